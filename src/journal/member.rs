//! One file of a journal: what its name tells, how far it is read, and whether it can hold what is asked for.

use super::array::Row;
use super::entry::Position;
use super::file::File;
use super::header::Header;
use super::query::{Order, Query};
use super::reader::Reader;
use super::survey::Survey;
use super::window::begins_after;
use super::{Id, Name};

/// Clocks may have been set back between two files by as much, in µs, without another look.
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
    /// Whether it ends before the window begins, by the names and headers known: see [`arrange`].
    pub(super) before: bool,
    pub(super) rank: Rank,
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

/// Which files are opened before others: those of one row by their numbers, whatever their times.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rank {
    /// The latest time at which it or a file before it begins, and ends.
    begins: u64,
    ends: u64,
    /// Of its first entry.
    seqnum: u64,
}

impl Rank {
    /// Rises from the file that is opened first.
    pub(super) fn key(self, order: Order) -> (u64, u64) {
        match order {
            Order::OldestFirst => (self.begins, self.seqnum),
            Order::NewestFirst => (!self.ends, !self.seqnum),
        }
    }
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
        Member {
            name,
            live,
            span,
            passed: false,
            open_ended: false,
            failures: 0,
            listed: true,
            before: false,
            rank: Rank::default(),
            state,
        }
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

/// A file's row, and number and time of its first entry.
pub(super) fn head(member: &Member) -> Option<(Id, u64, u64)> {
    match (member.state.header(), &member.span) {
        (Some(header), _) => {
            (header.entries > 0).then_some((header.seqnum_id, header.head_seqnum, header.head_realtime))
        }
        (None, Some(span)) => Some((span.seqnum_id, span.head_seqnum, span.head_realtime)),
        (None, None) => None,
    }
}

/// Finds where archived files end, which is where the next one of the same row begins, and which of them end before a window.
///
/// A clock that was set back makes a file's successor begin before the file ends. So none is left out by names alone: going
/// back from the window, headers are looked at until one tells that its file ends before it.
pub(super) fn arrange(files: &mut [Member], query: &Query) {
    let since = query.since;
    let order = in_rows(files);
    let (mut next, mut end, mut before) = (None, None, false);
    for ((row, seqnum), nth) in order.iter().rev() {
        let Some(member) = files.get_mut(*nth) else { continue };
        let Some((_, _, realtime)) = head(member) else { continue };
        match next {
            Some((same, after, at)) if same == row => {
                if after > *seqnum {
                    end = Some((after, at));
                }
            }
            _ => (end, before) = (None, false),
        }
        next = Some((row, *seqnum, realtime));
        if let Some(span) = &mut member.span {
            span.end = end.or(span.end);
        }
        let (Some(since), Some(span)) = (since, &member.span) else { continue };
        member.before = before;
        before |= match member.state.header() {
            Some(header) => ends_before(header, since),
            // It may reach into the window: its header is read before those of older files are. If it is read at all.
            None => {
                let will_be = !matches!(member.state, State::Lost) && !span.is_outside(query);
                will_be && span.end_time().is_none_or(|end| since > end)
            }
        };
    }
    if since.is_none() {
        files.iter_mut().for_each(|member| member.before = false);
    }
    let (mut last, mut begins, mut ends) = (None, 0, 0);
    for ((row, seqnum), nth) in &order {
        if last.replace(row) != Some(row) {
            (begins, ends) = (0, 0);
        }
        let Some(member) = files.get_mut(*nth) else { continue };
        let Some((_, _, realtime)) = head(member) else { continue };
        let end = member.state.header().map(|header| header.tail_realtime);
        let end = end.or(member.span.and_then(|span| Some(span.end?.1))).unwrap_or(u64::MAX);
        (begins, ends) = (begins.max(realtime), ends.max(end));
        member.rank = Rank { begins, ends, seqnum: *seqnum };
    }
}

/// Those files whose first entry is known, row by row: the row's and the entry's number, and the file's.
fn in_rows(files: &[Member]) -> Vec<((u64, u64), usize)> {
    let mut rows: Vec<(&str, Id)> = Vec::new();
    let mut order = Vec::with_capacity(files.len());
    for (nth, member) in files.iter().enumerate() {
        let Some((id, seqnum, _)) = head(member) else { continue };
        let own = (prefix(&member.name), id);
        let row = rows.iter().position(|row| *row == own).unwrap_or_else(|| {
            rows.push(own);
            rows.len().saturating_sub(1)
        });
        order.push(((row as u64, seqnum), nth));
    }
    order.sort_unstable();
    order
}

impl Span {
    /// Whether the file can hold nothing of what is asked.
    pub(super) fn is_outside(&self, query: &Query) -> bool {
        let same_row = |position: &Position| position.seqnum_id == self.seqnum_id;
        let set_back = self.end.is_some_and(|(_, realtime)| realtime < self.head_realtime);
        query.until.is_some_and(|until| until < self.head_realtime && !set_back)
            || query.before.is_some_and(|before| same_row(&before) && self.head_seqnum >= before.seqnum)
            || self.end.is_some_and(|(seqnum, _)| {
                query.after.is_some_and(|after| same_row(&after) && seqnum <= after.seqnum.saturating_add(1))
            })
    }

    /// When the file ends at the latest, if the clock was not set back further; `None` if that is not known.
    fn end_time(&self) -> Option<u64> {
        let (_, realtime) = self.end.filter(|(_, realtime)| *realtime > self.head_realtime)?;
        Some(realtime.saturating_add(CLOCK_STEP))
    }

    /// Whether the file may hold an entry that comes before this one.
    pub(super) fn may_precede(&self, best: &Position, order: Order) -> bool {
        let same_row = self.seqnum_id == best.seqnum_id;
        match order {
            Order::OldestFirst if same_row => self.head_seqnum <= best.seqnum,
            Order::OldestFirst => self.head_realtime <= best.realtime,
            Order::NewestFirst if same_row => self.end.is_none_or(|(seqnum, _)| seqnum > best.seqnum),
            Order::NewestFirst => self.end_time().is_none_or(|end| end >= best.realtime),
        }
    }
}

/// Whether a file ends before this time. Of one that was begun later all belongs to what is since then.
fn ends_before(header: &Header, since: u64) -> bool {
    header.tail_realtime < since && header.head_realtime < since
}

/// Whether a file can hold nothing of what is asked.
pub(super) fn is_outside(header: &Header, query: &Query) -> bool {
    let same_row = |position: &Position| position.seqnum_id == header.seqnum_id;
    header.entries == 0
        || query.since.is_some_and(|since| ends_before(header, since) && !begins_after(query, header.seqnum_id))
        || query.until.is_some_and(|until| until < header.head_realtime && header.head_realtime <= header.tail_realtime)
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
