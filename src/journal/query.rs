//! What to read, and how much at most.

use super::Matches;
use super::entry::Position;

/// Which entries, in which order.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Those that satisfy this.
    pub matches: Matches,
    /// Taken by journald at this time or later, µs since 1970.
    pub since: Option<u64>,
    /// Taken by journald at this time or earlier, µs since 1970.
    pub until: Option<u64>,
    /// Behind this one.
    pub after: Option<Position>,
    /// Before this one.
    pub before: Option<Position>,
    /// From which end.
    pub order: Order,
    /// No more than so many.
    pub limit: Option<usize>,
    /// About how many will be taken before the caller stops asking, so that no more than these are fetched; what the caller
    /// filters itself it counts in. `None`: all, or `limit`.
    pub expect: Option<usize>,
}

impl Query {
    /// All entries of these matches, oldest first.
    pub fn new(matches: Matches) -> Query {
        Query { matches, ..Query::default() }
    }

    /// The last `count` entries of these matches, newest first.
    pub fn tail(matches: Matches, count: usize) -> Query {
        Query { matches, order: Order::NewestFirst, limit: Some(count), ..Query::default() }
    }
}

/// From which end entries are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// As they were written.
    #[default]
    OldestFirst,
    /// The other way round.
    NewestFirst,
}

/// How much a journal may cost, whatever it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Rounds of needs in a row that yield no entry; more is an error.
    pub rounds: usize,
    /// Files; those beyond are not read, and a notice says so.
    pub files: usize,
    /// Bytes kept, as they came and decoded, where two files are read side by side; besides, what is on its way. A reader
    /// with little of it asks for less at once.
    pub cache: usize,
    /// Bytes kept of one value.
    pub value: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { rounds: 4096, files: 1000, cache: 16 << 20, value: 8 << 20 }
    }
}
