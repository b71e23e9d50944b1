//! One file of a journal: what its name tells, how far it is read, and whether it can hold what is asked for.

use super::array::Row;
use super::entry::Position;
use super::file::File;
use super::header::Header;
use super::query::{Order, Query};
use super::reader::Reader;
use super::survey::Survey;
use super::{Id, Name};

/// Clocks may have been set back between two files by as much, in µs, without a loss.
const CLOCK_STEP: u64 = 120_000_000;

#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: String,
    /// Whether somebody may be writing to it.
    pub(super) live: bool,
    /// What its name tells of its entries.
    pub(super) span: Option<Span>,
    /// Whether it was not read and what is followed now comes later.
    pub(super) passed: bool,
    /// Whether it may have grown since its header was read: that was when it had the name of one that is written to.
    pub(super) open_ended: bool,
    /// How often reading it failed in a row, and was begun again.
    pub(super) failures: u8,
    /// Whether the last listing had its name.
    pub(super) listed: bool,
    pub(super) state: State,
}

/// How far a file is read.
#[derive(Debug)]
pub(super) enum State {
    /// Not needed yet, by its name.
    Named,
    /// Its header is needed.
    Unopened,
    /// Its header is known.
    Opened(Box<File>),
    Reading(Box<Reader>),
    Surveying(Box<Survey>),
    /// All that was asked of it is read.
    Closed(Box<Closed>),
    /// Its header is needed anew, to see what was written since.
    Polling(Box<Closed>),
    /// It holds what was written after everything that is read now: it waits until that is read to its end.
    Later,
    /// Nothing has this name at the moment, but a file that is written to will have it.
    Absent,
    /// Not to be had under its name any more. It may come up under another.
    Gone(Box<State>),
    /// It can't be read.
    Lost,
}

/// A file that was read, and where reading it goes on.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) file: File,
    /// All its entries, as far as the way to them is known.
    pub(super) row: Row,
    /// So many of them were asked about.
    pub(super) entries: u64,
    /// The number of the last of them.
    pub(super) last: u64,
}

/// What the names of archived files tell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) seqnum_id: Id,
    pub(super) head_seqnum: u64,
    pub(super) head_realtime: u64,
    /// Number and time of the entry behind its last, where the next file is known.
    pub(super) end: Option<(u64, u64)>,
}

impl Member {
    pub(super) fn new(name: String) -> Member {
        let (live, span) = match Name::parse(&name) {
            Some(Name::Archived { seqnum_id, head_seqnum, head_realtime, .. }) => {
                (false, Some(Span { seqnum_id, head_seqnum, head_realtime, end: None }))
            }
            Some(Name::Unclean { .. }) => (false, None),
            Some(Name::Active { .. }) | None => (true, None),
        };
        // What is named by its first entry can wait; others may hold anything.
        let state = if span.is_some() { State::Named } else { State::Unopened };
        Member { name, live, span, passed: false, open_ended: false, failures: 0, listed: true, state }
    }

    /// Its header, as long as it can be read.
    pub(super) fn header(&self) -> Option<&Header> {
        if self.is_gone() { None } else { self.state.header() }
    }

    pub(super) fn is_gone(&self) -> bool {
        matches!(self.state, State::Gone(_))
    }

    /// Whether nothing more will come of it.
    pub(super) fn is_over(&self) -> bool {
        let over = match self.state {
            State::Lost => true,
            State::Closed(_) => !self.open_ended,
            State::Named => self.passed,
            _ => false,
        };
        over && !self.live
    }

    /// Makes ready for another question.
    pub(super) fn reopen(&mut self) {
        self.passed = false;
        self.state = match std::mem::replace(&mut self.state, State::Lost) {
            State::Reading(reader) => State::Opened(Box::new(reader.file)),
            State::Surveying(survey) => State::Opened(Box::new(survey.file)),
            State::Closed(closed) | State::Polling(closed) => State::Opened(Box::new(closed.file)),
            other => other,
        };
    }

    /// Sets a file aside that could not be read on, to be read again from where it was begun: it may have been written to at
    /// that moment. Not for ever.
    pub(super) fn try_again(&mut self) -> bool {
        const MOST: u8 = 4;
        if !self.open_ended || self.failures >= MOST {
            return false;
        }
        match std::mem::replace(&mut self.state, State::Lost) {
            State::Reading(reader) => {
                let (file, entries, last) = reader.give_up();
                let row = Row::of_file(&file);
                self.failures = self.failures.saturating_add(1);
                self.state = State::Closed(Box::new(Closed { file, row, entries, last }));
                true
            }
            other => {
                self.state = other;
                false
            }
        }
    }

    /// Sets the file aside when all that was asked of it is read. One that nobody writes to keeps little but its header.
    pub(super) fn close(&mut self) {
        let (mut file, row, last) = match std::mem::replace(&mut self.state, State::Lost) {
            State::Reading(reader) => {
                let last = reader.last_seqnum();
                let (file, row) = reader.into_parts();
                (file, row, last)
            }
            State::Surveying(survey) => (survey.file, None, None),
            State::Opened(file) => (*file, None, None),
            other => {
                self.state = other;
                return;
            }
        };
        file.settle();
        if !self.live {
            file.forget_values();
        }
        let entries = file.header.entries;
        // The header's own number may be that of an entry that is not whole yet.
        let last = last.unwrap_or(0);
        let row = row.unwrap_or_else(|| Row::of_file(&file));
        self.state = State::Closed(Box::new(Closed { file, row, entries, last }));
    }
}

impl State {
    /// The last header known.
    pub(super) fn header(&self) -> Option<&Header> {
        match self {
            State::Named | State::Unopened | State::Later | State::Absent | State::Lost => None,
            State::Opened(file) => Some(&file.header),
            State::Reading(reader) => Some(&reader.file.header),
            State::Surveying(survey) => Some(&survey.file.header),
            State::Closed(closed) | State::Polling(closed) => Some(&closed.file.header),
            State::Gone(state) => state.header(),
        }
    }
}

/// What stands before `@` or the first dot.
pub(super) fn prefix(name: &str) -> &str {
    name.split(['@', '.']).next().unwrap_or_default()
}

/// Where an archived file ends, the next one of the same row begins.
pub(super) fn find_ends(files: &mut [Member]) {
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

/// The last archived file ends where the one that is written to begins.
pub(super) fn ends_before(files: &mut [Member], name: &str, header: &Header) {
    let same = files.iter_mut().filter(|member| prefix(&member.name) == prefix(name));
    for span in same.filter_map(|member| member.span.as_mut()) {
        let follows = header.entries > 0 && header.head_seqnum > span.head_seqnum;
        if span.end.is_none() && span.seqnum_id == header.seqnum_id && follows {
            span.end = Some((header.head_seqnum, header.head_realtime));
        }
    }
}

impl Span {
    /// Whether the file can hold nothing of what is asked.
    pub(super) fn is_outside(&self, query: &Query) -> bool {
        let same_row = |position: &Position| position.seqnum_id == self.seqnum_id;
        query.until.is_some_and(|until| until < self.head_realtime)
            || query.before.is_some_and(|before| same_row(&before) && self.head_seqnum >= before.seqnum)
            || self.end.is_some_and(|(seqnum, realtime)| {
                query.since.is_some_and(|since| since > realtime.saturating_add(CLOCK_STEP))
                    || query.after.is_some_and(|after| same_row(&after) && seqnum <= after.seqnum.saturating_add(1))
            })
    }

    /// Whether the file may hold an entry that comes before this one.
    pub(super) fn may_precede(&self, best: &Position, order: Order) -> bool {
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

/// Whether a file can hold nothing of what is asked.
pub(super) fn is_outside(header: &Header, query: &Query) -> bool {
    let same_row = |position: &Position| position.seqnum_id == header.seqnum_id;
    header.entries == 0
        || query.since.is_some_and(|since| since > header.tail_realtime)
        || query.until.is_some_and(|until| until < header.head_realtime)
        || query.after.is_some_and(|after| same_row(&after) && header.tail_seqnum <= after.seqnum)
        || query.before.is_some_and(|before| same_row(&before) && header.head_seqnum >= before.seqnum)
}

/// Whether a file may hold an entry that comes before this one.
pub(super) fn may_precede(header: &Header, best: &Position, order: Order) -> bool {
    let same_row = header.seqnum_id == best.seqnum_id;
    match order {
        Order::OldestFirst if same_row => header.head_seqnum <= best.seqnum,
        Order::OldestFirst => header.head_realtime <= best.realtime,
        Order::NewestFirst if same_row => header.tail_seqnum >= best.seqnum,
        Order::NewestFirst if header.tail_boot == Some(best.boot) => header.tail_monotonic >= best.monotonic,
        Order::NewestFirst => header.tail_realtime >= best.realtime,
    }
}
