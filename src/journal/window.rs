//! Where a window begins in a file, as journalctl has it: at the first entry that is not too early, wherever a search finds
//! that one. What follows it belongs to the window, also where a clock was set back. It ends otherwise: journalctl stops at
//! the first entry that is too late, here no more than the entries that are too late are left out.

use super::Id;
use super::array::Key;
use super::entry::Position;
use super::header::Header;
use super::object::Stamp;
use super::query::{Order, Query};

/// The two times of an entry are not taken at the same moment: so much between them is no step of the clock, in µs.
const SLACK: u64 = 100_000;

/// The beginning of a window, while the entries of one file are looked at from either end.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// µs since 1970; `None` where entries belong to it whatever their time.
    since: Option<u64>,
    order: Order,
    /// The place of the first entry known to be in it.
    begins: Option<u64>,
    /// The place of an entry that is too early, read from the end: a search has to tell what lies before it.
    doubt: Option<u64>,
}

/// What to do about an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Take,
    Skip,
    /// Others come before it that are not known yet.
    Wait,
    /// Neither this one nor any that comes next.
    Stop,
}

impl Window {
    /// In a file that numbers its entries in this row.
    pub(super) fn new(row: Id, query: &Query) -> Window {
        let since = query.since.filter(|_| !begins_after(query, row));
        Window { since, order: query.order, begins: None, doubt: None }
    }

    /// Whether an entry is in it; `first` tells whether all those before it in the order of reading are known.
    pub(super) fn look(&mut self, at: u64, stamp: &Stamp, first: bool) -> Look {
        let Some(since) = self.since else { return Look::Take };
        if stamp.realtime >= since {
            self.begins = Some(self.begins.map_or(at, |begins| begins.min(at)));
            return Look::Take;
        }
        match self.order {
            Order::OldestFirst if self.begins.is_some_and(|begins| begins < at) => Look::Take,
            Order::OldestFirst if first => Look::Skip,
            Order::NewestFirst if first => {
                self.doubt = Some(at);
                Look::Stop
            }
            _ => Look::Wait,
        }
    }

    /// When it begins, if entries are judged by that.
    pub(super) fn since(&self) -> Option<u64> {
        self.since
    }

    /// Where the search for its beginning has to end, once.
    pub(super) fn take_doubt(&mut self) -> Option<u64> {
        self.doubt.take()
    }

    /// From now on only such entries are looked at that a search has found to be in it.
    pub(super) fn is_found(&mut self) {
        self.since = None;
    }
}

/// Whether the entry after which a query begins is numbered in this row: then its number decides, and no time.
pub(super) fn begins_after(query: &Query, row: Id) -> bool {
    query.after.is_some_and(|after| after.seqnum_id == row)
}

/// The ends of what is asked for; those that a whole file keeps need no search.
pub(super) fn ends(query: &Query, header: &Header) -> (Option<Key>, Option<Key>) {
    let same_row = |position: &Position| position.seqnum_id == header.seqnum_id;
    let low = match (query.after, query.since) {
        (Some(after), _) if same_row(&after) => Some(Key::Seqnum(after.seqnum)),
        (Some(after), since) => Some(Key::Realtime(since.unwrap_or(0).max(after.realtime))),
        (None, since) => since.map(Key::Realtime),
    };
    let high = match (query.before, query.until) {
        (Some(before), _) if same_row(&before) => Some(Key::Seqnum(before.seqnum.saturating_add(1))),
        (Some(before), until) => Some(Key::Realtime(until.unwrap_or(u64::MAX).min(before.realtime).saturating_add(1))),
        (None, until) => until.map(|until| Key::Realtime(until.saturating_add(1))),
    };
    let low = low.filter(|key| match key {
        Key::Realtime(since) => *since > header.head_realtime,
        Key::Seqnum(seqnum) => *seqnum > header.head_seqnum,
        Key::Offset(_) => true,
    });
    let high = high.filter(|key| match key {
        Key::Realtime(until) => *until <= header.tail_realtime,
        Key::Seqnum(seqnum) => *seqnum <= header.tail_seqnum,
        Key::Offset(_) => true,
    });
    (low, high)
}

/// By how much the clock was set back between an entry and the file's last one, in µs: then some of those between them may be
/// early again, but none that comes behind what was as much later without it.
///
/// The time since the boot tells: by a clock that is left alone no boot is earlier than another one before it.
pub(super) fn step_back(header: &Header, stamp: &Stamp) -> Option<u64> {
    let booted = |realtime: u64, monotonic| realtime.saturating_sub(monotonic);
    let last = booted(header.tail_realtime, header.tail_monotonic);
    let step = booted(stamp.realtime, stamp.monotonic).checked_sub(last)?;
    (step > SLACK).then(|| step.saturating_add(SLACK))
}

/// Whether an entry lies between the query's bounds, but for the beginning of its window.
pub(super) fn within(query: &Query, seqnum_id: Id, stamp: &Stamp) -> Look {
    let from = |bound: Position| match bound.seqnum_id == seqnum_id {
        true => stamp.seqnum.cmp(&bound.seqnum),
        false => Position::new(seqnum_id, stamp).compare(&bound),
    };
    let too_early = query.after.is_some_and(|after| from(after).is_le());
    let too_late = query.until.is_some_and(|until| stamp.realtime > until)
        || query.before.is_some_and(|before| from(before).is_ge());
    match () {
        () if too_early && query.order == Order::NewestFirst && begins_after(query, seqnum_id) => Look::Stop,
        () if too_early || too_late => Look::Skip,
        () => Look::Take,
    }
}
