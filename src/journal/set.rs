//! Several files read as one journal: opened together, merged as journalctl merges them, what is in two of them once.

use std::collections::VecDeque;
use std::ops::Range;

use super::corrupt::Stop;
use super::entry::{Entry, Position};
use super::file::{File, Sizes};
use super::header::{Header, KNOWN};
use super::query::{Limits, Order, Query};
use super::reader::Reader;
use super::{Corrupt, Name};

/// Header and field table; the first piece of any file.
const OPENING: u64 = 8192;
/// Files read at the same time at most, where the first of them had too little.
const ABREAST: usize = 8;

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
    state: State,
}

#[derive(Debug)]
enum State {
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
        let notices = (left_out > 0).then_some(Notice::TooManyFiles { left_out });
        Journal { files, query, limits, notices: notices.into_iter().collect(), rounds: 0, given: 0, abreast: 1 }
    }

    /// The name of a file, as it is now.
    pub fn name(&self, file: FileId) -> Option<&str> {
        self.files.get(file.0).map(|file| file.name.as_str())
    }

    /// Adds bytes of one answer about one file, whose length is `total`: pieces by offset, the file's beginning first if it
    /// is among them. More or fewer than were asked for do no harm.
    pub fn provide<'a>(&mut self, file: FileId, total: u64, pieces: impl IntoIterator<Item = (u64, &'a [u8])>) {
        let Some(member) = self.files.get_mut(file.0) else { return };
        let sizes = Sizes { cache: self.limits.cache / 8, value: self.limits.value };
        for (at, bytes) in pieces {
            match &mut member.state {
                State::Unopened if at == 0 => match Header::parse(bytes) {
                    Ok(header) => {
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
                State::Reading(reader) if !another(&reader.file, at, bytes) => reader.file.provide(at, bytes, total),
                State::Opened(_) | State::Reading(_) => {
                    // The rest of the answer is of that other file.
                    self.rotate(file);
                    return;
                }
                State::Unopened | State::Done => {}
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
        let unopened: Vec<Need> = self
            .members()
            .filter(|(_, member)| matches!(member.state, State::Unopened))
            .map(|(file, _)| Need { file, ranges: Vec::from([0..OPENING]) })
            .collect();
        if !unopened.is_empty() {
            return self.need(unopened);
        }
        loop {
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
                let needs = self.missing();
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
            let State::Opened(opened) = &member.state else { continue };
            let header = &opened.header;
            if is_outside(header, &self.query) {
                member.state = State::Done;
            } else if best.is_none_or(|best| may_precede(header, best, order)) {
                let key = match order {
                    Order::OldestFirst => header.head_realtime,
                    Order::NewestFirst => u64::MAX.saturating_sub(header.tail_realtime),
                };
                next.push((key, file));
            }
        }
        next.sort_unstable();
        if best.is_none() {
            next.truncate(self.abreast);
            self.abreast = self.abreast.saturating_mul(2).min(ABREAST);
        }
        for (_, file) in &next {
            let Some(member) = self.files.get_mut(*file) else { continue };
            if let State::Opened(opened) = std::mem::replace(&mut member.state, State::Done) {
                member.state = State::Reading(Box::new(Reader::new(*opened, &self.query)));
            }
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
            State::Reading(reader) => reader.file.take_missing(),
            State::Opened(opened) => opened.take_missing(),
            State::Unopened | State::Done => Vec::new(),
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
            State::Unopened | State::Done => return,
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

    fn readers(&self) -> impl Iterator<Item = (FileId, &Reader)> {
        self.members().filter_map(|(file, member)| match &member.state {
            State::Reading(reader) => Some((file, &**reader)),
            _ => None,
        })
    }
}

impl Member {
    fn new(name: String) -> Member {
        let live = Name::parse(&name).is_none_or(|name| name.is_active());
        Member { name, live, state: State::Unopened }
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
