//! Takes the places of entries from rows, from either end, those of several rows together.

use std::collections::VecDeque;

use super::Corrupt;
use super::array::Row;
use super::corrupt::{Got, corrupt};
use super::file::File;
use super::query::Order;

/// The wanted part of a row.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) row: Row,
    /// What was not yet taken of it.
    pub(super) low: u64,
    pub(super) high: u64,
    /// Offsets taken, in the order they are wanted.
    ready: VecDeque<u64>,
    /// The offset taken last: the others must lie beyond.
    last: Option<u64>,
    /// Slots that name no place in the file: one bad byte is no reason to lose the others. Of very many, some.
    pub(super) skipped: Vec<Corrupt>,
}

const MOST_SKIPPED: usize = 64;

/// The next places of all rows together, each once.
pub(super) fn gather(feeds: &mut [Feed], file: &File, order: Order, most: usize) -> Got<Vec<u64>> {
    let filled: Vec<Got<()>> = feeds.iter_mut().map(|feed| feed.fill(file, order, most)).collect();
    filled.into_iter().collect::<Got<()>>()?;
    let mut places = Vec::new();
    while places.len() < most {
        let fronts = feeds.iter().filter_map(|feed| feed.ready.front().copied());
        let next = match order {
            Order::OldestFirst => fronts.min(),
            Order::NewestFirst => fronts.max(),
        };
        let Some(next) = next else { break };
        for feed in feeds.iter_mut() {
            if feed.ready.front() == Some(&next) {
                feed.ready.pop_front();
            }
        }
        places.push(next);
        // Of a row that has more, the next place must be known.
        if feeds.iter().any(|feed| feed.ready.is_empty() && feed.low < feed.high) {
            break;
        }
    }
    Ok(places)
}

impl Feed {
    /// From `low` up to `high`.
    pub(super) fn new(row: Row, low: u64, high: u64) -> Feed {
        Feed { row, low, high, ready: VecDeque::new(), last: None, skipped: Vec::new() }
    }

    /// Takes offsets until as many are ready or none are left.
    fn fill(&mut self, file: &File, order: Order, most: usize) -> Got<()> {
        let most = most as u64;
        while (self.ready.len() as u64) < most && self.low < self.high {
            let left = most.saturating_sub(self.ready.len() as u64);
            match order {
                Order::OldestFirst => {
                    let end = self.row.load(file, self.low, self.high.min(self.low.saturating_add(left)))?;
                    for index in self.low..end {
                        let offset = self.row.offset(file, index)?;
                        self.push(file, offset, self.last.is_none_or(|last| offset > last))?;
                        self.low = index.saturating_add(1);
                    }
                }
                Order::NewestFirst => {
                    let mut from = self.low.max(self.high.saturating_sub(left));
                    // The last array is known before the way to it is.
                    if let Some(start) = self.row.tail_start().filter(|start| *start < self.high) {
                        from = from.max(start);
                    }
                    let mut at = from;
                    while at < self.high {
                        at = self.row.load(file, at, self.high)?;
                    }
                    for index in (from..self.high).rev() {
                        let offset = self.row.offset(file, index)?;
                        self.push(file, offset, self.last.is_none_or(|last| offset < last))?;
                        self.high = index;
                    }
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, file: &File, offset: u64, in_order: bool) -> Got<()> {
        if !file.reaches(offset) {
            if self.skipped.len() < MOST_SKIPPED {
                self.skipped.push(Corrupt::new(offset, "an entry past the file's end"));
            }
            return Ok(());
        }
        if !in_order {
            return corrupt(offset, "a row of entries turns back");
        }
        self.last = Some(offset);
        self.ready.push_back(offset);
        Ok(())
    }

    /// Notes the slots of the next offsets, if others are asked for.
    pub(super) fn look_ahead(&mut self, file: &File, order: Order, most: u64) {
        if self.ready.len() as u64 >= most || self.low >= self.high {
            return;
        }
        let from = match order {
            Order::OldestFirst => self.low,
            Order::NewestFirst => self.low.max(self.high.saturating_sub(most)),
        };
        self.row.load_ahead(file, from, self.high.min(from.saturating_add(most)));
    }
}
