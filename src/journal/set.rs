//! Several files read as one journal: opened together, merged as journalctl merges them, what is in two of them once.

use std::collections::VecDeque;
use std::ops::Range;

use super::corrupt::Stop;
use super::entry::{Entry, Position};
use super::file::{File, Sizes};
use super::header::{Header, KNOWN};
use super::query::{Limits, Order, Query};
use super::reader::Reader;
use super::{Corrupt, Id, Name};

/// Header and field table; the first piece of any file.
const OPENING: u64 = 8192;
/// Clocks may have been set back between two files by as much, in µs, without a loss.
const CLOCK_STEP: u64 = 120_000_000;
/// Files read at the same time at most, where the first of them had too little.
const ABREAST: usize = 4;

/// A file of a [`Journal`]: counts from 0 in the order they were given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub usize);

/// Bytes of one file without which reading can't go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// Whose.
    pub file: FileId,
    /// Rising, apart from each other. The end of the first may lie past the file's end; a file that is written to has its
    /// header in front each time.
    pub ranges: Vec<Range<u64>>,
}

/// What reading has come to.
#[derive(Debug)]
pub enum Step {
    /// Bytes are missing: [`Journal::provide`] them and step again.
    Need(Vec<Need>),
    /// The next entry.
    Entry(Entry),
    /// Something to know; reading goes on.
    Notice(Notice),
    /// There is no more.
    End,
}

/// What could not be read, and other news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The rest of this file, or all of it.
    FileSkipped {
        /// Which.
        file: FileId,
        /// Why.
        why: Corrupt,
    },
    /// One entry of it.
    EntrySkipped {
        /// In which file.
        file: FileId,
        /// Why.
        why: Corrupt,
    },
    /// The writer archived a file while it was read: it goes on under its new name, and another file has its old one.
    Rotated {
        /// The file that was being read.
        file: FileId,
        /// Its name from now on.
        name: String,
        /// The file that has the old name now.
        successor: FileId,
    },
    /// So many files were beyond the limit.
    TooManyFiles {
        /// How many are not read.
        left_out: usize,
    },
}

/// Journal files of one machine, read as one.
#[derive(Debug)]
pub struct Journal {
    files: Vec<Member>,
    query: Query,
    limits: Limits,
    notices: VecDeque<Notice>,
    /// Rounds since the last entry.
    rounds: usize,
    /// Entries given so far.
    given: usize,
    /// How many files are begun when those begun have too little.
    abreast: usize,
}

#[derive(Debug)]
struct Member {
    name: String,
    /// Whether somebody may be writing to it.
    live: bool,
    /// What its name tells of its entries.
    span: Option<Span>,
    state: State,
}

/// What the names of archived files tell.
#[derive(Clone, Copy, Debug)]
struct Span {
    seqnum_id: Id,
    head_seqnum: u64,
    head_realtime: u64,
    /// Number and time of the entry behind its last, where the next file is known.
    end: Option<(u64, u64)>,
}

#[derive(Debug)]
enum State {
    /// Not needed yet, by its name.
    Named,
    /// Its header is needed.
    Unopened,
    /// With the file's beginning at hand.
    Opened(Box<File>),
    Reading(Box<Reader>),
    Done,
}

impl Journal {
    /// Reads files of these names. A name tells whether the file is still written to.
    pub fn new(names: impl IntoIterator<Item = String>, query: Query, limits: Limits) -> Journal {
        let mut files: Vec<Member> = names.into_iter().map(Member::new).collect();
        let left_out = files.len().saturating_sub(limits.files);
        files.truncate(limits.files);
        for member in &mut files {
            // What is named by its first entry can wait; others may hold anything.
            member.state = if member.span.is_some() { State::Named } else { State::Unopened };
        }
        find_ends(&mut files);
        let (abreast, at_once) = if query.order == Order::OldestFirst { (2, 2) } else { (1, 0) };
        // The first of them together with those that have to be opened anyway.
        let mut first: Vec<(u64, &mut Member)> = files
            .iter_mut()
            .filter_map(|member| Some((member.span.filter(|span| !span.is_outside(&query))?.head_realtime, member)))
            .collect();
        first.sort_unstable_by_key(|(realtime, _)| *realtime);
        first.into_iter().take(at_once).for_each(|(_, member)| member.state = State::Unopened);
        let notices = (left_out > 0).then_some(Notice::TooManyFiles { left_out });
        Journal { files, query, limits, notices: notices.into_iter().collect(), rounds: 0, given: 0, abreast }
    }

    /// The name of a file, as it is now.
    pub fn name(&self, file: FileId) -> Option<&str> {
        self.files.get(file.0).map(|file| file.name.as_str())
    }

    /// Adds bytes of one answer about one file, whose length is `total`: pieces by offset, the file's beginning first if it
    /// is among them. More or fewer than were asked for do no harm.
    pub fn provide<'a>(&mut self, file: FileId, total: u64, pieces: impl IntoIterator<Item = (u64, &'a [u8])>) {
        let mut ends = Vec::new();
        let Some(member) = self.files.get_mut(file.0) else { return };
        let sizes = Sizes { cache: self.limits.cache / 4, value: self.limits.value };
        for (at, bytes) in pieces {
            match &mut member.state {
                State::Unopened if at == 0 => match Header::parse(bytes) {
                    Ok(header) => {
                        ends.push((prefix(&member.name).to_owned(), header.clone()));
                        let mut opened = File::new(header, total, sizes);
                        opened.provide(at, bytes, total);
                        member.state = State::Opened(Box::new(opened));
                    }
                    Err(why) => {
                        self.notices.push_back(Notice::FileSkipped { file, why });
                        member.state = State::Done;
                    }
                },
                State::Opened(opened) if !another(opened, at, bytes) => opened.provide(at, bytes, total),
                State::Reading(reader) if !another(&reader.file, at, bytes) => reader.provide(at, bytes, total),
                State::Opened(_) | State::Reading(_) => {
                    // The rest of the answer is of that other file.
                    self.rotate(file);
                    return;
                }
                State::Named | State::Unopened | State::Done => {}
            }
        }
        ends.into_iter().for_each(|(prefix, header)| self.ends_before(&prefix, &header));
    }

    /// The last archived file ends where the one that is written to begins.
    fn ends_before(&mut self, of: &str, header: &Header) {
        let last =
            self.files.iter_mut().filter(|member| prefix(&member.name) == of).filter_map(|member| member.span.as_mut());
        for span in last.filter(|span| span.end.is_none() && span.seqnum_id == header.seqnum_id) {
            if header.entries > 0 && header.head_seqnum > span.head_seqnum {
                span.end = Some((header.head_seqnum, header.head_realtime));
            }
        }
    }

    /// Goes on without this file, which can't be had any more.
    pub fn gone(&mut self, file: FileId) {
        if let Some(member) = self.files.get_mut(file.0) {
            member.state = State::Done;
        }
    }

    /// Goes on as far as the bytes at hand allow. An error is the end: the files would cost more than the limits allow.
    pub fn step(&mut self) -> Result<Step, Corrupt> {
        if let Some(notice) = self.notices.pop_front() {
            return Ok(Step::Notice(notice));
        }
        if self.query.limit.is_some_and(|limit| self.given >= limit) {
            return Ok(Step::End);
        }
        loop {
            if self.members().any(|(_, member)| matches!(member.state, State::Unopened)) {
                let needs = self.missing();
                return self.need(needs);
            }
            self.advance();
            if let Some(notice) = self.notices.pop_front() {
                return Ok(Step::Notice(notice));
            }
            let best = self.best();
            if self.begin(best.as_ref().map(|(_, position)| position)) {
                continue;
            }
            let waiting = self.readers().any(|(_, reader)| {
                let blocks =
                    best.as_ref().is_none_or(|(_, best)| may_precede(&reader.file.header, best, self.query.order));
                reader.ready() == 0 && !reader.is_done() && blocks
            });
            if waiting {
                let mut needs = self.missing();
                if needs.is_empty() {
                    // Asked for already, and not provided.
                    self.readers_mut().for_each(Reader::ask_again);
                    self.advance();
                    needs = self.missing();
                }
                return self.need(needs);
            }
            let Some((file, position)) = best else { return Ok(Step::End) };
            if let Some(entry) = self.take(file, &position) {
                self.rounds = 0;
                self.given = self.given.saturating_add(1);
                return Ok(Step::Entry(entry));
            }
        }
    }

    /// What will be needed soon, though there are entries to step through yet: fetching it meanwhile saves the wait.
    pub fn needs_ahead(&mut self) -> Vec<Need> {
        let query = &self.query;
        let mut low = false;
        for member in &mut self.files {
            if let State::Reading(reader) = &mut member.state
                && reader.ready() < 64
                && !reader.is_done()
            {
                low |= matches!(reader.advance(query), Err(Stop::Missing));
            }
        }
        if low { self.missing() } else { Vec::new() }
    }

    /// Lets every reader work that has nothing ready.
    fn advance(&mut self) {
        for (file, member) in self.files.iter_mut().enumerate() {
            let State::Reading(reader) = &mut member.state else { continue };
            if reader.ready() == 0
                && let Err(Stop::Corrupt(why)) = reader.advance(&self.query)
            {
                reader.stop();
                self.notices.push_back(Notice::FileSkipped { file: FileId(file), why });
            }
            let skipped = reader.take_skipped().into_iter();
            self.notices.extend(skipped.map(|why| Notice::EntrySkipped { file: FileId(file), why }));
            if reader.ready() == 0 && reader.is_done() {
                member.state = State::Done;
            }
        }
    }

    /// The entry that comes next among those that are ready.
    fn best(&self) -> Option<(FileId, Position)> {
        let ready = self.readers().filter_map(|(file, reader)| Some((file, reader.peek()?.position)));
        ready.min_by(|(_, a), (_, b)| match self.query.order {
            Order::OldestFirst => a.compare(b),
            Order::NewestFirst => b.compare(a),
        })
    }

    /// Begins with files that may hold an entry before the best one; whether there were any.
    fn begin(&mut self, best: Option<&Position>) -> bool {
        let waiting = self.readers().any(|(_, reader)| !reader.is_done());
        if best.is_none() && waiting {
            return false;
        }
        let order = self.query.order;
        let mut next: Vec<(u64, usize)> = Vec::new();
        for (file, member) in self.files.iter_mut().enumerate() {
            let (outside, precedes, key) = match (&member.state, &member.span) {
                (State::Opened(opened), _) => {
                    let header = &opened.header;
                    let precedes = best.is_none_or(|best| may_precede(header, best, order));
                    (is_outside(header, &self.query), precedes, (header.head_realtime, header.tail_realtime))
                }
                (State::Named, Some(span)) => {
                    let end = span.end.map_or(u64::MAX, |(_, realtime)| realtime);
                    let precedes = best.is_none_or(|best| span.may_precede(best, order));
                    (span.is_outside(&self.query), precedes, (span.head_realtime, end))
                }
                _ => continue,
            };
            if outside {
                member.state = State::Done;
            } else if precedes {
                let key = match order {
                    Order::OldestFirst => key.0,
                    Order::NewestFirst => u64::MAX.saturating_sub(key.1),
                };
                next.push((key, file));
            }
        }
        next.sort_unstable();
        if best.is_none() {
            next.truncate(self.abreast);
            if order == Order::NewestFirst {
                self.abreast = self.abreast.saturating_mul(2).min(ABREAST);
            }
        }
        for (_, file) in &next {
            let Some(member) = self.files.get_mut(*file) else { continue };
            member.state = match std::mem::replace(&mut member.state, State::Unopened) {
                State::Opened(opened) => State::Reading(Box::new(Reader::new(*opened, &self.query))),
                _ => State::Unopened,
            };
        }
        !next.is_empty()
    }

    /// Takes an entry, and lets go of the same entry in other files.
    fn take(&mut self, file: FileId, position: &Position) -> Option<Entry> {
        let mut taken = None;
        for (nth, member) in self.files.iter_mut().enumerate() {
            let State::Reading(reader) = &mut member.state else { continue };
            if nth == file.0 {
                taken = reader.take();
            } else if reader.peek().is_some_and(|entry| entry.position == *position) {
                reader.take();
            }
        }
        taken
    }

    fn missing(&self) -> Vec<Need> {
        let ranges = |member: &Member| match &member.state {
            State::Unopened => Vec::from([0..OPENING]),
            State::Reading(reader) => reader.file.take_missing(),
            State::Named | State::Opened(_) | State::Done => Vec::new(),
        };
        let mut needs = Vec::new();
        for (file, member) in self.members() {
            let mut ranges = ranges(member);
            if let Some(first) = ranges.first() {
                if member.live && first.start >= KNOWN {
                    ranges.insert(0, 0..KNOWN);
                }
                needs.push(Need { file, ranges });
            }
        }
        needs
    }

    fn need(&mut self, needs: Vec<Need>) -> Result<Step, Corrupt> {
        self.rounds = self.rounds.saturating_add(1);
        if self.rounds > self.limits.rounds || needs.is_empty() {
            return Err(Corrupt::new(0, "reading does not come to an end"));
        }
        Ok(Step::Need(needs))
    }

    /// The file got a new name, and another one has its own.
    fn rotate(&mut self, file: FileId) {
        let successor = FileId(self.files.len());
        let Some(member) = self.files.get_mut(file.0) else { return };
        let header = match &member.state {
            State::Opened(opened) => &opened.header,
            State::Reading(reader) => &reader.file.header,
            State::Named | State::Unopened | State::Done => return,
        };
        let prefix = Name::parse(&member.name).map_or_else(String::new, |name| name.prefix().to_owned());
        let name = header.archived_name(&prefix);
        let old = std::mem::replace(&mut member.name, name.clone());
        member.live = false;
        if self.files.len() < self.limits.files.saturating_mul(2) {
            self.files.push(Member::new(old));
        }
        self.notices.push_back(Notice::Rotated { file, name, successor });
    }

    fn members(&self) -> impl Iterator<Item = (FileId, &Member)> {
        self.files.iter().enumerate().map(|(nth, member)| (FileId(nth), member))
    }

    fn readers_mut(&mut self) -> impl Iterator<Item = &mut Reader> {
        self.files.iter_mut().filter_map(|member| match &mut member.state {
            State::Reading(reader) => Some(&mut **reader),
            _ => None,
        })
    }

    fn readers(&self) -> impl Iterator<Item = (FileId, &Reader)> {
        self.members().filter_map(|(file, member)| match &member.state {
            State::Reading(reader) => Some((file, &**reader)),
            _ => None,
        })
    }
}

impl Member {
    fn new(name: String) -> Member {
        let (live, span) = match Name::parse(&name) {
            Some(Name::Archived { seqnum_id, head_seqnum, head_realtime, .. }) => {
                (false, Some(Span { seqnum_id, head_seqnum, head_realtime, end: None }))
            }
            Some(Name::Unclean { .. }) => (false, None),
            Some(Name::Active { .. }) | None => (true, None),
        };
        Member { name, live, span, state: State::Unopened }
    }
}

/// What stands before `@` or the first dot.
fn prefix(name: &str) -> &str {
    name.split(['@', '.']).next().unwrap_or_default()
}

/// Where an archived file ends, the next one of the same row begins.
fn find_ends(files: &mut [Member]) {
    let mut order: Vec<(String, Id, u64, u64, usize)> = files
        .iter()
        .enumerate()
        .filter_map(|(nth, file)| {
            let span = file.span?;
            Some((prefix(&file.name).to_owned(), span.seqnum_id, span.head_seqnum, span.head_realtime, nth))
        })
        .collect();
    order.sort_unstable();
    for (this, next) in order.iter().zip(order.iter().skip(1)) {
        if (&this.0, this.1) == (&next.0, next.1)
            && let Some(span) = files.get_mut(this.4).and_then(|file| file.span.as_mut())
        {
            span.end = Some((next.2, next.3));
        }
    }
}

impl Span {
    fn is_outside(&self, query: &Query) -> bool {
        let same_row = |position: &Position| position.seqnum_id == self.seqnum_id;
        query.until.is_some_and(|until| until < self.head_realtime)
            || query.before.is_some_and(|before| same_row(&before) && self.head_seqnum >= before.seqnum)
            || self.end.is_some_and(|(seqnum, realtime)| {
                query.since.is_some_and(|since| since > realtime.saturating_add(CLOCK_STEP))
                    || query.after.is_some_and(|after| same_row(&after) && seqnum <= after.seqnum.saturating_add(1))
            })
    }

    fn may_precede(&self, best: &Position, order: Order) -> bool {
        let same_row = self.seqnum_id == best.seqnum_id;
        match (order, self.end) {
            (Order::OldestFirst, _) if same_row => self.head_seqnum <= best.seqnum,
            (Order::OldestFirst, _) => self.head_realtime <= best.realtime,
            (Order::NewestFirst, Some((seqnum, _))) if same_row => seqnum > best.seqnum,
            (Order::NewestFirst, Some((_, realtime))) => realtime >= best.realtime,
            (Order::NewestFirst, None) => true,
        }
    }
}

/// Whether these bytes are the beginning of another file.
fn another(file: &File, at: u64, bytes: &[u8]) -> bool {
    at == 0 && Header::parse(bytes).is_ok_and(|header| header.file_id != file.header.file_id)
}

/// Whether a file can hold nothing of what is asked.
fn is_outside(header: &Header, query: &Query) -> bool {
    let same_row = |position: &Position| position.seqnum_id == header.seqnum_id;
    header.entries == 0
        || query.since.is_some_and(|since| since > header.tail_realtime)
        || query.until.is_some_and(|until| until < header.head_realtime)
        || query.after.is_some_and(|after| same_row(&after) && header.tail_seqnum <= after.seqnum)
        || query.before.is_some_and(|before| same_row(&before) && header.head_seqnum >= before.seqnum)
}

/// Whether a file may hold an entry that comes before this one.
fn may_precede(header: &Header, best: &Position, order: Order) -> bool {
    let same_row = header.seqnum_id == best.seqnum_id;
    match order {
        Order::OldestFirst if same_row => header.head_seqnum <= best.seqnum,
        Order::OldestFirst => header.head_realtime <= best.realtime,
        Order::NewestFirst if same_row => header.tail_seqnum >= best.seqnum,
        Order::NewestFirst if header.tail_boot == Some(best.boot) => header.tail_monotonic >= best.monotonic,
        Order::NewestFirst => header.tail_realtime >= best.realtime,
    }
}
