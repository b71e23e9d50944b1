//! How one file is searched for what is wanted: the values looked up, the rows of entries to go along, and the test of each
//! entry, which needs no more than the places of its fields.
//!
//! A full file may have its last entry only in part: in the rows of some of its values, but not in those that would have
//! needed another array. The next file has it again. To journalctl, which goes by rows alone, it then lacks those values
//! here.

use super::array::Row;
use super::corrupt::{Got, Stop};
use super::file::File;
use super::matches::Matches;
use super::object::Data;

/// The values of a query, each once, and what is known of them in one file.
#[derive(Debug)]
pub(super) struct Lookup {
    values: Vec<Vec<u8>>,
    found: Vec<Option<Option<Data>>>,
    /// The query's conditions, in indices of `values`.
    conditions: Vec<Vec<Vec<usize>>>,
    partial: Partial,
}

/// An entry that is in the rows of only some of its values.
#[derive(Clone, Debug, Default)]
struct Partial {
    at: u64,
    /// The places of the DATA objects that don't lead to it.
    lacks: Vec<u64>,
}

/// The rows that hold every wanted entry, and how to tell which are.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) rows: Vec<Row>,
    /// How many entries are in all rows together.
    pub(super) entries: u64,
    pub(super) test: Test,
}

/// Tells wanted entries by the places of their fields.
#[derive(Debug, Default)]
pub(super) struct Test {
    /// Index of the value in `present`, by the place of its DATA object.
    places: Vec<(u64, u64)>,
    /// Which values an entry has; scratch.
    present: Vec<bool>,
    conditions: Vec<Vec<Vec<usize>>>,
    partial: Partial,
}

impl Lookup {
    pub(super) fn new(matches: &Matches) -> Lookup {
        let mut values: Vec<Vec<u8>> = Vec::new();
        let mut place = |value: &Vec<u8>| {
            values.iter().position(|known| known == value).unwrap_or_else(|| {
                values.push(value.clone());
                values.len().saturating_sub(1)
            })
        };
        let mut term = |term: &Vec<Vec<u8>>| term.iter().map(&mut place).collect();
        let conditions =
            matches.conditions().iter().map(|any| any.all_terms().iter().map(&mut term).collect()).collect();
        Lookup { found: vec![None; values.len()], values, conditions, partial: Partial::default() }
    }

    /// Looks all values up.
    pub(super) fn advance(&mut self, file: &File) -> Got<()> {
        let mut missing = false;
        for (value, found) in self.values.iter().zip(&mut self.found) {
            if found.is_none() {
                match file.find_data(value) {
                    Ok(data) => *found = Some(data),
                    Err(Stop::Missing) => missing = true,
                    Err(stop) => return Err(stop),
                }
            }
        }
        if missing { Err(Stop::Missing) } else { self.look_at_the_last(file) }
    }

    /// Finds the values that don't lead to the last entry, if that one may be there in part.
    fn look_at_the_last(&mut self, file: &File) -> Got<()> {
        if !file.repeated || self.values.is_empty() {
            return Ok(());
        }
        // An odd row tells nothing here, and a new value has none.
        let last = |mut row: Row, odd: u64| match row.offset(file, row.len().saturating_sub(1)) {
            Err(Stop::Corrupt(_)) => Ok(if row.len() > 0 { odd } else { 0 }),
            last => last,
        };
        let at = last(Row::of_file(file), 0);
        let values = self.found.iter().copied().flatten().flatten();
        let ends: Vec<(u64, Got<u64>)> = values.map(|data| (data.at, last(Row::of_data(&data), u64::MAX))).collect();
        let mut partial = Partial { at: at?, lacks: Vec::new() };
        for (data, end) in ends {
            if end? < partial.at {
                partial.lacks.push(data);
            }
        }
        self.partial = partial;
        Ok(())
    }

    /// The cheapest way to all wanted entries; `None` if there can be none.
    pub(super) fn plan(&self, file: &File) -> Option<Plan> {
        let data = |value: &usize| self.found.get(*value).copied().flatten().flatten();
        let mut best: Option<(u64, Vec<Data>)> = None;
        let mut conditions = Vec::new();
        for any in &self.conditions {
            // A term whose values aren't all there holds for no entry.
            let terms: Vec<&Vec<usize>> = any.iter().filter(|term| term.iter().all(|v| data(v).is_some())).collect();
            let mut drivers: Vec<Data> = Vec::new();
            for data in terms.iter().filter_map(|term| term.iter().filter_map(data).min_by_key(|data| data.entries)) {
                if drivers.iter().all(|known| known.at != data.at) {
                    drivers.push(data);
                }
            }
            let entries = drivers.iter().fold(0, |sum: u64, data| sum.saturating_add(data.entries));
            if entries == 0 {
                return None;
            }
            if best.as_ref().is_none_or(|(least, _)| entries < *least) {
                best = Some((entries, drivers));
            }
            conditions.push(terms.into_iter().cloned().collect());
        }
        let (entries, rows) = match best {
            Some((entries, drivers)) => (entries, drivers.iter().map(Row::of_data).collect()),
            None => (file.header.entries, vec![Row::of_file(file)]),
        };
        let mut places: Vec<(u64, u64)> =
            (0..self.values.len()).filter_map(|value| Some((data(&value)?.at, value as u64))).collect();
        places.sort_unstable();
        let (present, partial) = (vec![false; self.values.len()], self.partial.clone());
        Some(Plan { rows, entries, test: Test { places, present, conditions, partial } })
    }
}

impl Test {
    /// Whether the entry at this place, with these DATA objects, is wanted.
    pub(super) fn accepts(&mut self, at: u64, items: &[u64]) -> bool {
        if self.conditions.is_empty() {
            return true;
        }
        self.present.fill(false);
        for item in items {
            if let Ok(found) = self.places.binary_search_by_key(item, |(at, _)| *at)
                && !(at == self.partial.at && self.partial.lacks.contains(item))
                && let Some((_, value)) = self.places.get(found)
                && let Some(present) = self.present.get_mut(*value as usize)
            {
                *present = true;
            }
        }
        let has = |value: &usize| self.present.get(*value).copied().unwrap_or(false);
        self.conditions.iter().all(|any| any.iter().any(|term| term.iter().all(has)))
    }
}
