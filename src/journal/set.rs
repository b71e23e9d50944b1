//! Several files read as one journal: opened together, merged as journalctl merges them, what is in two of them once.

use std::collections::VecDeque;
use std::ops::Range;

use super::corrupt::Stop;
use super::entry::{Entry, Position};
use super::file::{File, Sizes};
use super::header::{Header, KNOWN};
use super::member::{Member, State, arrange, head, is_outside, may_precede};
use super::query::{Limits, Order, Query};
use super::reader::Reader;
use super::survey::Inquiry;
use super::{Corrupt, Id};

mod follow;
mod values;

pub use values::Value;

/// Header and field table; the first piece of any file.
const OPENING: u64 = 8192;
/// Files read at the same time at most, where the first of them had too little.
const ABREAST: usize = 4;
/// Behind this many entries a reader gets on with the next ones.
const LOW: usize = 256;

/// A file of a [`Journal`]: counts from 0 in the order they were given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub usize);

/// Bytes of one file without which reading can't go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// Whose.
    pub file: FileId,
    /// Rising, apart from each other. The first piece of a file may reach past its end; of a file that is written to the
    /// header is the first range each time, to notice when another file has got its name.
    pub ranges: Vec<Range<u64>>,
}

/// What reading has come to.
#[derive(Debug)]
pub enum Step {
    /// Bytes are missing: [`Journal::provide`] them and step again. None at all: [`Journal::update`] is waited for.
    Need(Vec<Need>),
    /// The next entry.
    Entry(Entry),
    /// The next value that was asked for.
    Value(Value),
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
    /// Entries that were there and are not to be had: their file was deleted before it was read.
    Missing {
        /// The file, or the one after which they stood.
        name: String,
        /// Number and time (µs since 1970) of the first of them at the earliest.
        from: (u64, u64),
        /// Of the last of them at the latest, where that is known.
        to: Option<(u64, u64)>,
    },
    /// So many files were beyond the limit.
    TooManyFiles {
        /// How many are not read.
        left_out: usize,
    },
}

/// So many, by the times in their names.
fn leave_out_oldest(files: &mut Vec<Member>, count: usize) {
    if count == 0 {
        return;
    }
    let begins = |file: &Member| file.span.map_or(u64::MAX, |span| span.head_realtime);
    let mut by_age: Vec<(u64, u64)> = files.iter().zip(0..).map(|(file, nth)| (begins(file), nth)).collect();
    by_age.sort_unstable();
    let Some(first) = by_age.get(count).copied() else { return files.clear() };
    let mut nth = 0..;
    files.retain(|file| nth.next().is_some_and(|nth| (begins(file), nth) >= first));
}

/// Journal files of one machine, read as one.
#[derive(Debug)]
pub struct Journal {
    files: Vec<Member>,
    query: Query,
    inquiry: Option<Inquiry>,
    /// What an inquiry found, in order.
    values: VecDeque<Value>,
    /// The same while files are still missing, sorted by their bytes.
    found: Vec<Value>,
    limits: Limits,
    notices: VecDeque<Notice>,
    /// Rounds since the last entry.
    rounds: usize,
    /// Entries given so far.
    given: usize,
    /// How many files are begun when those begun have too little.
    abreast: usize,
    /// Whether what is read now comes after what was asked for: see [`Journal::poll`].
    following: bool,
    /// Files that were archived while they were followed, until their successors are known.
    rotated: Vec<Id>,
    /// The boot of the last entry that was looked at while following, wanted or not.
    boot: Option<Id>,
    /// Whether it was told that there are too many files.
    told: bool,
    /// Whether entries wait until the files are listed.
    held: bool,
}

impl Journal {
    /// A journal in files of these names, which tell what they hold and whether they are still written to.
    ///
    /// Before it is asked something there is nothing in it: see [`Journal::read`], [`Journal::list`], [`Journal::find`].
    pub fn new(names: impl IntoIterator<Item = String>, limits: Limits) -> Journal {
        let mut files: Vec<Member> = names.into_iter().map(Member::new).collect();
        let left_out = files.len().saturating_sub(limits.files);
        leave_out_oldest(&mut files, left_out);
        arrange(&mut files, &Query::default());
        Journal {
            files,
            query: Query::default(),
            inquiry: Some(Inquiry::Values(Vec::new())),
            values: VecDeque::new(),
            found: Vec::new(),
            limits,
            notices: (left_out > 0).then_some(Notice::TooManyFiles { left_out }).into_iter().collect(),
            rounds: 0,
            given: 0,
            abreast: 1,
            following: false,
            rotated: Vec::new(),
            boot: None,
            told: left_out > 0,
            held: false,
        }
    }

    /// Asks for entries. What was asked before is forgotten, what is known of the files is not.
    pub fn read(&mut self, query: Query) {
        self.reopen();
        self.inquiry = None;
        arrange(&mut self.files, &query);
        let at_once;
        (self.abreast, at_once) = match query.order {
            // Of a window the first may lie before it.
            Order::OldestFirst => (2, if query.since.is_some() { 3 } else { 2 }),
            Order::NewestFirst => (1, 0),
        };
        // The first files together with those that have to be opened anyway.
        let may_hold = |member: &Member| {
            matches!(member.state, State::Named)
                && !member.before
                && member.span.is_some_and(|span| !span.is_outside(&query))
        };
        let first = self.files.iter().enumerate().filter(|(_, member)| may_hold(member));
        let mut first: Vec<((u64, u64), usize)> =
            first.map(|(file, member)| (member.rank.key(query.order), file)).collect();
        first.sort_unstable();
        for (_, file) in first.into_iter().take(at_once) {
            if let Some(member) = self.files.get_mut(file) {
                member.state = State::Unopened;
            }
        }
        self.query = query;
    }

    /// The name of a file, as it is now.
    pub fn name(&self, file: FileId) -> Option<&str> {
        self.files.get(file.0).map(|file| file.name.as_str())
    }

    /// The header of a file, once it is read.
    pub fn header(&self, file: FileId) -> Option<&Header> {
        self.files.get(file.0)?.header()
    }

    /// When the journal begins, as far as names and headers tell that are known by now, in µs since 1970.
    pub fn begins(&self) -> Option<u64> {
        let of = |member: &Member| match (member.header(), &member.span) {
            (Some(header), _) => (header.entries > 0).then_some(header.head_realtime),
            (None, span) => span.as_ref().map(|span| span.head_realtime),
        };
        self.files.iter().filter_map(of).min()
    }

    /// How many files there are.
    pub fn files(&self) -> usize {
        self.files.len()
    }

    /// Adds bytes of one answer about one file, whose length is `total`: pieces by offset, the file's beginning first if it
    /// is among them. More or fewer than were asked for do no harm.
    pub fn provide<'a>(&mut self, file: FileId, total: u64, pieces: impl IntoIterator<Item = (u64, &'a [u8])>) {
        for (at, bytes) in pieces {
            let Some(member) = self.files.get_mut(file.0) else { return };
            if at == 0
                && let Some(known) = member.header()
                && (Header::parse(bytes).is_ok_and(|header| header.file_id != known.file_id)
                    || member.live && is_unborn(bytes))
            {
                // The rest of the answer is of that other file. Two archives have one name only if they were empty.
                self.gone(file);
                return;
            }
            match &mut member.state {
                State::Unopened if at == 0 => self.open(file, total, bytes),
                State::Opened(opened) => opened.provide(at, bytes, total),
                State::Reading(reader) => reader.provide(at, bytes, total),
                State::Surveying(survey) => survey.file.provide(at, bytes, total),
                State::Polling(_) if at == 0 => self.grow(file, total, bytes),
                _ => {}
            }
        }
    }

    /// Goes on as far as the bytes at hand allow. An error is the end: the files would cost more than the limits allow.
    pub fn step(&mut self) -> Result<Step, Corrupt> {
        if self.inquiry.is_some() {
            return self.survey();
        }
        if let Some(notice) = self.notices.pop_front() {
            return Ok(Step::Notice(notice));
        }
        if self.query.limit.is_some_and(|limit| self.given >= limit) {
            return Ok(Step::End);
        }
        loop {
            if self.files.iter().any(|member| matches!(member.state, State::Unopened | State::Polling(_))) {
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
            if self.held {
                return Ok(Step::Need(Vec::new()));
            }
            let Some((file, position)) = best else {
                if self.following && self.go_over() {
                    continue;
                }
                self.find_gaps();
                return Ok(self.notices.pop_front().map_or(Step::End, Step::Notice));
            };
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
                && reader.is_low(LOW)
                && !reader.is_done()
            {
                low |= matches!(reader.advance(query), Err(Stop::Missing));
            }
        }
        if low { self.missing() } else { Vec::new() }
    }

    fn reopen(&mut self) {
        self.files.iter_mut().for_each(Member::reopen);
        self.following = false;
        self.values.clear();
        self.found.clear();
        (self.rounds, self.given) = (0, 0);
    }

    /// Lets every reader work that has nothing ready.
    fn advance(&mut self) {
        for (file, member) in self.files.iter_mut().enumerate() {
            let State::Reading(reader) = &mut member.state else { continue };
            if reader.ready() == 0
                && let Err(Stop::Corrupt(why)) = reader.advance(&self.query)
            {
                if self.following && member.try_again() {
                    continue;
                }
                let State::Reading(reader) = &mut member.state else { continue };
                reader.stop();
                self.notices.push_back(Notice::FileSkipped { file: FileId(file), why });
            }
            let State::Reading(reader) = &mut member.state else { continue };
            self.boot = reader.boot().or(self.boot);
            let skipped = reader.take_skipped().into_iter();
            self.notices.extend(skipped.map(|why| Notice::EntrySkipped { file: FileId(file), why }));
            if reader.ready() == 0 && reader.is_done() {
                member.failures = 0;
                member.close();
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
        let mut next: Vec<((u64, u64), usize)> = Vec::new();
        for (file, member) in self.files.iter_mut().enumerate() {
            let (outside, precedes) = match (&member.state, &member.span) {
                (State::Opened(opened), _) => {
                    let header = &opened.header;
                    (is_outside(header, &self.query), best.is_none_or(|best| may_precede(header, best, order)))
                }
                // It may be asked for by another question.
                (State::Named, Some(span)) if !member.passed && !member.before && !span.is_outside(&self.query) => {
                    (false, best.is_none_or(|best| span.may_precede(best, order)))
                }
                _ => continue,
            };
            if outside {
                member.close();
            } else if precedes {
                next.push((member.rank.key(order), file));
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
            let repeated = self.is_repeated(*file);
            let Some(member) = self.files.get_mut(*file) else { continue };
            member.state = match std::mem::replace(&mut member.state, State::Unopened) {
                State::Opened(mut opened) => {
                    opened.repeated = repeated;
                    State::Reading(Box::new(Reader::new(*opened, &self.query)))
                }
                _ => State::Unopened,
            };
        }
        !next.is_empty()
    }

    /// Whether another file begins with the entry that this one ends with, under the next number, and that one may be wanted.
    fn is_repeated(&self, file: usize) -> bool {
        let Some(header) = self.files.get(file).and_then(Member::header) else { return false };
        let next = Some((header.seqnum_id, header.tail_seqnum.saturating_add(1), header.tail_realtime));
        self.query.until.is_none_or(|until| until >= header.tail_realtime)
            && self.files.iter().any(|member| head(member) == next)
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
            State::Unopened => std::iter::once(0..OPENING).collect(),
            State::Polling(_) => std::iter::once(0..KNOWN).collect(),
            State::Reading(reader) => reader.file.take_missing(),
            State::Surveying(survey) => survey.file.take_missing(),
            _ => Vec::new(),
        };
        let mut needs = Vec::new();
        for (file, member) in self.files.iter().enumerate() {
            let mut ranges = ranges(member);
            if let Some(first) = ranges.first() {
                if member.live && first.start >= KNOWN {
                    ranges.insert(0, 0..KNOWN);
                }
                needs.push(Need { file: FileId(file), ranges });
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

    /// Reads a file's header.
    fn open(&mut self, file: FileId, total: u64, bytes: &[u8]) {
        let sizes = Sizes::new(&self.limits);
        let Some(member) = self.files.get_mut(file.0) else { return };
        if (bytes.len() as u64) < KNOWN.min(total) {
            // Not what was asked for: it is asked for again.
            return;
        }
        let unborn = member.live && is_unborn(bytes);
        match Header::parse(bytes) {
            Ok(header) => {
                member.open_ended = member.live;
                self.boot = header.tail_boot.filter(|_| header.entries > 0 && self.following).or(self.boot);
                if self.take_over(file, &header, total, bytes) {
                    return;
                }
                let Some(member) = self.files.get_mut(file.0) else { return };
                let mut opened = File::new(header.clone(), total, sizes).growing(member.live);
                opened.provide(0, bytes, total);
                member.state = State::Opened(Box::new(opened));
                arrange(&mut self.files, &self.query);
            }
            Err(_) if unborn => member.state = State::Absent,
            Err(why) => {
                member.state = State::Lost;
                self.notices.push_back(Notice::FileSkipped { file, why });
            }
        }
    }

    fn readers_mut(&mut self) -> impl Iterator<Item = &mut Reader> {
        self.files.iter_mut().filter_map(|member| match &mut member.state {
            State::Reading(reader) => Some(&mut **reader),
            _ => None,
        })
    }

    fn readers(&self) -> impl Iterator<Item = (FileId, &Reader)> {
        self.files.iter().enumerate().filter_map(|(file, member)| match &member.state {
            State::Reading(reader) => Some((FileId(file), &**reader)),
            _ => None,
        })
    }
}

/// Whether the file is just being made, and has no header yet.
fn is_unborn(bytes: &[u8]) -> bool {
    bytes.iter().take(8).all(|byte| *byte == 0)
}
