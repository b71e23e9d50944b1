//! Reads the wanted entries of one file, from either end.

use std::collections::VecDeque;

use super::array::{Key, Row, Search};
use super::batch::{Batch, Outcome, Shape, mean};
use super::corrupt::{Got, Stop};
use super::entry::Entry;
use super::feed::{Feed, gather};
use super::file::File;
use super::object::Stamp;
use super::plan::{Lookup, Plan, Test};
use super::query::{Order, Query};
use super::scan::{Last, Scan};
use super::window::{Look, Window, ends, step_back, within};
use super::{Corrupt, Id};

/// Right behind the hash tables lie the fields and values that every entry has, in bytes.
const BEGINNING: u64 = 12 << 10;
/// A little further lie the first arrays of what is written often: where the whole chain has to be walked.
const BEGINNING_OF_CHAINS: u64 = 96 << 10;
/// The last stretch of a file is read whole if it is no longer than this.
const STRETCH: u64 = 1 << 20;
const STRETCH_COMPACT: u64 = 512 << 10;
/// A search ends when no more than this many entries are left: they are read anyway.
const SLACK: u64 = 12;
/// Entries fetched at once: at first, and at most.
const FIRST_BATCH: usize = 64;
const LEAST_BATCH: usize = 8;
const BATCH: usize = 2000;
/// Of a part of a row with no more entries than this all offsets are fetched together.
const AT_ONCE: u64 = 8192;
/// Entries whose fields are fetched before it is known whether they are wanted: others have the same.
const SAMPLE: usize = 8;

/// One file on its way from header to last entry.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) file: File,
    stage: Stage,
    last: Last,
    scan: Scan,
    shape: Shape,
    test: Test,
    /// Entries ready to be taken, in the order they are wanted.
    ready: VecDeque<Entry>,
    /// Entries that can't be read.
    skipped: Vec<Corrupt>,
    batch: Batch,
    /// The batch after that, whose bytes are fetched together with what the first one lacks.
    next: Option<Batch>,
    /// How many entries the next batch has at most.
    size: usize,
    /// How many were taken so far.
    taken: usize,
    /// Whether it waits for bytes.
    waits: bool,
    begun: Begun,
    window: Window,
    /// Where the window's beginning is searched for, if need be.
    rows: Vec<Row>,
    /// The boot of the last entry looked at.
    boot: Option<Id>,
    /// The number of the last entry taken.
    given: u64,
}

/// How the reading began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begun {
    /// With a question, whose values were looked up.
    Asked,
    /// With entries that were added later, all of them: their own fields tell which are wanted.
    Resumed {
        /// The index of the first.
        from: u64,
        /// The number of the last entry read.
        last: u64,
    },
}

#[derive(Debug)]
enum Stage {
    Lookup(Lookup),
    Stretch(Plan),
    /// Reads the entries of a stretch; the rows go on before it.
    InStretch(Vec<Row>, u64),
    Locate(Vec<Bounds>),
    Read(Vec<Feed>),
    /// The row of all entries is read to its end.
    Ended(Row),
    Done,
}

/// A row, and the two ends of what is wanted of it.
#[derive(Debug)]
struct Bounds {
    row: Row,
    low: Option<Search>,
    high: Option<Search>,
    /// Whether the end was searched for once more, further back.
    later: bool,
}

impl Reader {
    pub(super) fn new(file: File, query: &Query) -> Reader {
        let shape = Shape::new(&file);
        let empty = file.header.entries == 0;
        let stage = if empty { Stage::Done } else { Stage::Lookup(Lookup::new(&query.matches)) };
        let window = Window::new(file.header.seqnum_id, query);
        Reader {
            file,
            stage,
            last: Last::default(),
            scan: Scan::default(),
            shape,
            test: Test::default(),
            ready: VecDeque::new(),
            skipped: Vec::new(),
            batch: Batch::default(),
            next: None,
            size: FIRST_BATCH,
            taken: 0,
            waits: false,
            begun: Begun::Asked,
            window,
            rows: Vec::new(),
            boot: None,
            given: 0,
        }
    }

    /// Reads the entries from this index on, which come after the one with this number.
    pub(super) fn resume(file: File, row: Row, index: u64, last: u64, query: &Query) -> Reader {
        let high = row.len();
        let feed = Feed::new(row, index, high);
        let mut reader = Reader::new(file, query);
        reader.stage = Stage::Read(Vec::from([feed]));
        reader.begun = Begun::Resumed { from: index, last };
        reader.size = BATCH;
        reader
    }

    /// The next entry, if it is ready.
    pub(super) fn peek(&self) -> Option<&Entry> {
        self.ready.front()
    }

    pub(super) fn take(&mut self) -> Option<Entry> {
        let entry = self.ready.pop_front()?;
        self.taken = self.taken.saturating_add(1);
        self.given = entry.position.seqnum;
        Some(entry)
    }

    /// How many entries are ready.
    pub(super) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Whether less is ready than so many entries and what one step decodes.
    pub(super) fn is_low(&self, entries: usize) -> bool {
        let bytes = self.ready.iter().fold(0, |sum: u64, entry| sum.saturating_add(entry.weight()));
        self.ready.len() < entries && bytes < self.file.step()
    }

    /// Whether all that is wanted of the file is ready or taken.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done | Stage::Ended(_)) && self.batch.is_empty() && self.next.is_none()
    }

    /// What could not be read since this was asked last.
    pub(super) fn take_skipped(&mut self) -> Vec<Corrupt> {
        std::mem::take(&mut self.skipped)
    }

    /// The boot of the last entry that was looked at of those added later.
    pub(super) fn boot(&self) -> Option<Id> {
        self.boot
    }

    /// The number of the last entry that belongs to this reading, as far as is known.
    pub(super) fn last_seqnum(&self) -> Option<u64> {
        match self.begun {
            Begun::Asked => self.last.seqnum(),
            Begun::Resumed { last, .. } => Some(last),
        }
    }

    /// The file, and the row of all its entries if it was read along that.
    pub(super) fn into_parts(self) -> (File, Option<Row>) {
        let row = match (self.begun, self.stage) {
            (Begun::Resumed { .. }, Stage::Read(feeds)) => feeds.into_iter().next().map(|feed| feed.row),
            (Begun::Resumed { .. }, Stage::Ended(row)) => Some(row),
            _ => None,
        };
        (self.file, row)
    }

    /// The file, the index from which it was read, and the number of the last entry before what is to be read again.
    pub(super) fn give_up(self) -> (File, u64, u64) {
        match self.begun {
            Begun::Asked => (self.file, 0, self.given),
            // Those that were not wanted are looked at again.
            Begun::Resumed { from, .. } => (self.file, from, self.given),
        }
    }

    /// Goes no further: what is ready stays.
    pub(super) fn stop(&mut self) {
        self.stage = Stage::Done;
        self.batch = Batch::default();
        self.next = None;
    }

    /// Adds bytes to the file.
    pub(super) fn provide(&mut self, at: u64, bytes: &[u8], total: u64) {
        self.file.provide(at, bytes, total);
        self.waits = false;
    }

    /// Forgets that it has asked.
    pub(super) fn ask_again(&mut self) {
        self.waits = false;
    }

    /// Works until more entries are ready, nothing is left, or bytes are missing.
    pub(super) fn advance(&mut self, query: &Query) -> Got<()> {
        if self.waits {
            return Err(Stop::Missing);
        }
        let got = self.work(query);
        self.waits = got == Err(Stop::Missing);
        got
    }

    fn work(&mut self, query: &Query) -> Got<()> {
        let before = self.ready.len();
        while self.ready.len() == before && !self.is_done() {
            if self.batch.is_empty() {
                self.batch = self.next.take().unwrap_or_default();
            }
            if !self.batch.is_empty() {
                self.complete(query)?;
                continue;
            }
            self.stage = match std::mem::replace(&mut self.stage, Stage::Done) {
                Stage::Lookup(lookup) => self.look_up(lookup, query)?,
                Stage::Stretch(plan) => self.read_stretch(plan, query)?,
                Stage::InStretch(rows, start) => {
                    let bounds = rows.into_iter().map(|row| {
                        let high = Some(Search::new(Key::Offset(start), &row));
                        Bounds { row, low: None, high, later: false }
                    });
                    Stage::Locate(bounds.collect())
                }
                Stage::Locate(bounds) => self.locate(bounds, query)?,
                Stage::Read(feeds) => {
                    let batch = self.read(feeds, query)?;
                    self.file.shrink();
                    self.batch = batch;
                    continue;
                }
                ended @ (Stage::Ended(_) | Stage::Done) => ended,
            };
        }
        Ok(())
    }

    fn look_up(&mut self, mut lookup: Lookup, query: &Query) -> Got<Stage> {
        let header = &self.file.header;
        let tables = [header.data_table, header.field_table].map(|table| table.at.saturating_add(table.len));
        let start = tables.into_iter().max().unwrap_or(0);
        let bounded = query.since.is_some() || query.until.is_some() || query.after.is_some() || query.before.is_some();
        let len = if bounded { BEGINNING_OF_CHAINS } else { BEGINNING };
        self.file.want_ahead(start..start.saturating_add(len));
        let from_the_end = query.order == Order::NewestFirst && self.reaches_the_end(query);
        let mut looked = lookup.advance(&self.file);
        if from_the_end && !matches!(looked, Err(Stop::Corrupt(_))) {
            looked = looked.and(self.scan.prepare(&self.file).or_else(pardon));
        }
        looked = looked.and(self.last.prepare(&self.file).map(drop));
        if from_the_end && looked == Err(Stop::Missing) {
            self.scan.samples(&self.file, SAMPLE).into_iter().for_each(|at| self.sample(at));
        }
        if let Err(stop) = looked {
            // Whatever is known by now stays known.
            self.stage = Stage::Lookup(lookup);
            return Err(stop);
        }
        let Some(plan) = lookup.plan(&self.file) else { return Ok(Stage::Done) };
        if query.order == Order::NewestFirst && self.window.since().is_some() {
            self.rows.clone_from(&plan.rows);
        }
        Ok(if from_the_end { Stage::Stretch(plan) } else { self.start(plan, query) })
    }

    /// Asks, beside other things, for the values of an entry, or for the entry.
    fn sample(&self, at: u64) {
        let guess = self.file.guess.get();
        match self.file.peek_entry(at) {
            Ok(items) => items.into_iter().for_each(|item| self.file.want_ahead(item..item.saturating_add(guess))),
            Err(_) => self.file.want_ahead(at..at.saturating_add(512)),
        }
    }

    /// Reads the end of the file in one piece if the entries expected of it are likely to be there.
    fn read_stretch(&mut self, mut plan: Plan, query: &Query) -> Got<Stage> {
        let wanted = self.expected(query) as u64;
        let most = if self.file.compact() { STRETCH_COMPACT } else { STRETCH };
        let all = u128::from(self.file.header.entries).saturating_mul(mean(&self.file).into());
        let len = all.saturating_mul(wanted.into()).checked_div(plan.entries.into()).unwrap_or(0);
        let len = u64::try_from(len).unwrap_or(u64::MAX);
        let len = len.saturating_add(len / 4).saturating_add(32 << 10);
        if len > most {
            return Ok(self.start(plan, query));
        }
        let stretch = match self.scan.read(&self.file, len) {
            Ok(Some(stretch)) => stretch,
            Err(Stop::Missing) => {
                self.stage = Stage::Stretch(plan);
                return Err(Stop::Missing);
            }
            // The rows know better.
            Ok(None) | Err(Stop::Corrupt(_)) => return Ok(self.start(plan, query)),
        };
        self.test = std::mem::take(&mut plan.test);
        self.batch = Batch::new(stretch.entries.into_iter().rev());
        Ok(Stage::InStretch(plan.rows, stretch.start))
    }

    /// Prepares to go along the rows.
    fn start(&mut self, plan: Plan, query: &Query) -> Stage {
        self.test = plan.test;
        let (low, high) = ends(query, &self.file.header);
        // From the end on the beginning is found by getting there, unless the end has to be searched as well.
        let low = low.filter(|_| query.order == Order::OldestFirst || high.is_some());
        let bounds = plan.rows.into_iter().map(|row| {
            let search = |key: Option<Key>| key.map(|key| Search::new(key, &row));
            let (low, high) = (search(low), search(high));
            Bounds { row, low, high, later: false }
        });
        Stage::Locate(bounds.collect())
    }

    fn locate(&mut self, mut bounds: Vec<Bounds>, query: &Query) -> Got<Stage> {
        let (mut missing, mut again) = (false, false);
        let mut feeds = Vec::new();
        for Bounds { row, low, high, later } in &mut bounds {
            // What no time tells any more has to be found to the entry.
            let found = query.since.is_some() && self.window.since().is_none();
            let mut find = |search: &mut Option<Search>| match search {
                Some(search) => {
                    let slack = if found || matches!(search.key(), Key::Offset(_)) { 0 } else { SLACK };
                    search.narrow(row, &self.file, slack).map(Some)
                }
                None => Ok(None),
            };
            match (find(low), find(high)) {
                (Ok(found), Ok(bound)) => {
                    let end = bound.map_or(row.len(), |(_, end)| end);
                    if let Some(Key::Realtime(bound)) = high.as_ref().map(Search::key)
                        && query.until.is_some()
                        && !*later
                        && end < row.len()
                    {
                        match row.offset(&self.file, end).and_then(|at| self.file.stamp(at, 64)) {
                            Ok(stamp) => {
                                *later = true;
                                if let Some(step) = step_back(&self.file.header, &stamp) {
                                    *high = Some(Search::new(Key::Realtime(bound.saturating_add(step)), row));
                                    again = true;
                                    continue;
                                }
                            }
                            Err(Stop::Missing) => {
                                missing = true;
                                continue;
                            }
                            Err(stop) => return Err(stop),
                        }
                    }
                    let low = found.map_or(0, |(low, _)| low);
                    let high = end;
                    feeds.push(Feed::new(row.clone(), low, high));
                }
                (Err(Stop::Corrupt(corrupt)), _) | (_, Err(Stop::Corrupt(corrupt))) => {
                    return Err(Stop::Corrupt(corrupt));
                }
                _ => {
                    missing = true;
                    let from = low.as_ref().map_or(0, |search| search.span().0);
                    let to = high.as_ref().map_or(row.len(), |search| search.span().1);
                    if to.saturating_sub(from) <= AT_ONCE {
                        row.load_ahead(&self.file, from, to);
                    }
                }
            }
        }
        if missing {
            bounds.iter().filter_map(|bounds| bounds.row.first()).take(SAMPLE).for_each(|at| self.sample(at));
            self.stage = Stage::Locate(bounds);
            return Err(Stop::Missing);
        }
        if again {
            return Ok(Stage::Locate(bounds));
        }
        let all = feeds.iter().fold(0, |sum: u64, feed| sum.saturating_add(feed.high.saturating_sub(feed.low)));
        self.size = match (query.order, query.limit.or(query.expect)) {
            // The whole of a window at once.
            (Order::OldestFirst, None) if all <= AT_ONCE => BATCH,
            (_, Some(expected)) => expected.saturating_add(expected / 4).clamp(LEAST_BATCH, BATCH),
            _ => FIRST_BATCH,
        };
        Ok(Stage::Read(feeds))
    }

    /// Makes the next batch; an empty one at the end of the rows.
    fn read(&mut self, mut feeds: Vec<Feed>, query: &Query) -> Got<Batch> {
        let gathered = gather(&mut feeds, &self.file, query.order, self.shape.fit(&self.file, self.size));
        feeds.iter_mut().for_each(|feed| self.skipped.append(&mut feed.skipped));
        if let Ok(places) = &gathered {
            self.size = BATCH;
            // The rows' next slots come along.
            feeds.iter_mut().for_each(|feed| feed.look_ahead(&self.file, query.order, BATCH as u64));
            if places.is_empty() {
                if let (Begun::Resumed { .. }, Some(feed)) = (self.begun, feeds.pop()) {
                    self.stage = Stage::Ended(feed.row);
                }
                return Ok(Batch::default());
            }
        }
        self.stage = Stage::Read(feeds);
        Ok(Batch::new(gathered?))
    }

    /// Gets on with the next batch while the first one waits.
    fn read_ahead(&mut self, query: &Query) {
        if self.next.is_none() && self.expected(query) > self.batch.len() {
            match std::mem::replace(&mut self.stage, Stage::Done) {
                Stage::Read(feeds) => self.next = self.read(feeds, query).ok().filter(|batch| !batch.is_empty()),
                other => self.stage = other,
            }
        }
        if let Some(next) = &self.next {
            next.fetch_ahead(&self.file, &self.shape);
        }
    }

    /// Completes entries of the batch.
    fn complete(&mut self, query: &Query) -> Got<()> {
        self.batch.fetch(&self.file, &self.shape)?;
        let last = self.last.seqnum();
        let seqnum_id = self.file.header.seqnum_id;
        let begun = self.begun;
        let most = match query.order {
            Order::NewestFirst => self.expected(query).max(16),
            Order::OldestFirst => BATCH,
        };
        let (mut past, mut newest, mut boot) = (false, 0, self.boot);
        let window = &mut self.window;
        let wanted = |at: u64, stamp: &Stamp, first: bool| {
            newest = newest.max(stamp.seqnum);
            boot = Some(stamp.boot);
            let of_this_reading = match begun {
                Begun::Asked => last.is_none_or(|last| stamp.seqnum <= last),
                Begun::Resumed { last, .. } => stamp.seqnum > last,
            };
            match within(query, seqnum_id, stamp) {
                Look::Take if of_this_reading => window.look(at, stamp, first),
                Look::Stop => {
                    past = true;
                    Look::Stop
                }
                _ => Look::Skip,
            }
        };
        let (done, got) = self.batch.advance(&mut self.file, &mut self.shape, &mut self.test, wanted, most);
        if !done.is_empty() {
            // Never while an entry waits for all of its values: they may be more than is kept.
            self.file.shrink_meanwhile();
        }
        for outcome in done {
            match outcome {
                Outcome::Entry(entry) if begun == Begun::Asked || query.matches.accept(&entry.fields) => {
                    self.ready.push_back(entry);
                }
                Outcome::Entry(_) => {}
                Outcome::Skipped(corrupt) => self.skipped.push(corrupt),
            }
        }
        self.boot = boot.filter(|_| begun != Begun::Asked);
        if let Begun::Resumed { from, last } = begun
            && self.batch.is_empty()
        {
            // Only now are all before it given.
            self.begun = Begun::Resumed { from, last: last.max(newest) };
        }
        let since = self.window.since();
        match self.window.take_doubt() {
            Some(at) => {
                let bounds = std::mem::take(&mut self.rows).into_iter().map(|row| {
                    let low = since.map(|since| Search::new(Key::Realtime(since), &row));
                    let high = Some(Search::new(Key::Offset(at.saturating_add(1)), &row));
                    Bounds { row, low, high, later: false }
                });
                self.stage = Stage::Locate(bounds.collect());
                self.next = None;
                self.window.is_found();
            }
            // What is left lies beyond the query's beginning.
            None if past => {
                self.stage = Stage::Done;
                self.next = None;
            }
            None if got.is_err() => self.read_ahead(query),
            None => {}
        }
        got
    }

    /// How many entries will yet be taken.
    fn expected(&self, query: &Query) -> usize {
        let all = query.expect.or(query.limit).unwrap_or(usize::MAX);
        all.saturating_sub(self.taken).saturating_sub(self.ready.len()).max(1)
    }

    /// Whether the query wants the file's last entries.
    fn reaches_the_end(&self, query: &Query) -> bool {
        query.until.is_none_or(|until| until >= self.file.header.tail_realtime)
            && query.before.is_none_or(|before| {
                before.seqnum_id == self.file.header.seqnum_id && before.seqnum > self.file.header.tail_seqnum
            })
    }
}

/// What is missing for a convenience does no harm when it is corrupt.
fn pardon(stop: Stop) -> Got<()> {
    match stop {
        Stop::Missing => Err(Stop::Missing),
        Stop::Corrupt(_) => Ok(()),
    }
}
