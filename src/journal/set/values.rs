//! The values of fields, in all files together.

use super::{FileId, Journal, Notice, Step};
use crate::journal::corrupt::Stop;
use crate::journal::entry::Position;
use crate::journal::member::State;
use crate::journal::survey::{Inquiry, Survey};
use crate::journal::{Corrupt, Id};

/// A field has no more values than this, whatever the files say.
const MOST_VALUES: usize = 1 << 14;

/// A field's value, in all files together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// `NAME=value`.
    pub bytes: Vec<u8>,
    /// How many entries have it; those in two files count twice.
    pub entries: u64,
    /// The first of them.
    pub first: Position,
    /// The last of them.
    pub last: Position,
}

impl Value {
    /// What stands behind `NAME=`.
    pub fn value(&self) -> &[u8] {
        let name = self.bytes.iter().position(|byte| *byte == b'=').map_or(0, |at| at.saturating_add(1));
        self.bytes.get(name..).unwrap_or_default()
    }

    /// The value as an id.
    pub fn id(&self) -> Option<Id> {
        std::str::from_utf8(self.value()).ok()?.parse().ok()
    }
}

impl Journal {
    /// Asks which values a field has: [`Step::Value`]s in the order of their last entries, of each file the newest `most`.
    ///
    /// This opens all files, and takes about as many rounds as there are values in one.
    pub fn list(&mut self, field: &str, most: usize) {
        self.inquire(Inquiry::Field(field.as_bytes().to_vec(), most));
    }

    /// Asks for all boots: like [`Journal::list`], see [`Value::id`].
    pub fn list_boots(&mut self) {
        self.list("_BOOT_ID", 4096);
    }

    /// Asks which of these are in the files, as `NAME=value`: [`Step::Value`]s in the order of their last entries.
    ///
    /// This opens all files.
    pub fn find(&mut self, values: Vec<Vec<u8>>) {
        self.inquire(Inquiry::Values(values));
    }

    /// Like [`Journal::find`], in the files opened so far and only for the first entries.
    pub(in crate::journal) fn find_firsts(&mut self, values: Vec<Vec<u8>>) {
        self.reopen();
        self.inquiry = Some(Inquiry::Firsts(values));
    }

    fn inquire(&mut self, inquiry: Inquiry) {
        self.reopen();
        self.inquiry = Some(inquiry);
        for member in &mut self.files {
            if matches!(member.state, State::Named) {
                member.state = State::Unopened;
            }
        }
    }

    /// Steps towards the values that were asked for.
    pub(super) fn survey(&mut self) -> Result<Step, Corrupt> {
        let Some(inquiry) = &self.inquiry else { return Ok(Step::End) };
        let mut missing = false;
        for (file, member) in self.files.iter_mut().enumerate() {
            if let State::Opened(_) = member.state
                && let State::Opened(opened) = std::mem::replace(&mut member.state, State::Lost)
            {
                member.state = State::Surveying(Box::new(Survey::new(*opened, inquiry.clone())));
            }
            missing |= matches!(member.state, State::Unopened);
            let State::Surveying(survey) = &mut member.state else { continue };
            match survey.advance() {
                Ok(()) => {}
                Err(Stop::Missing) => missing = true,
                Err(Stop::Corrupt(why)) => {
                    self.notices.push_back(Notice::FileSkipped { file: FileId(file), why });
                }
            }
            if survey.is_done() {
                for (bytes, entries, first, last) in survey.take() {
                    let place = match self.found.binary_search_by(|value| value.bytes.cmp(&bytes)) {
                        Ok(place) => place,
                        Err(_) if self.found.len() == MOST_VALUES => continue,
                        Err(place) => {
                            self.found.insert(place, Value { bytes, entries: 0, first, last });
                            place
                        }
                    };
                    let Some(value) = self.found.get_mut(place) else { continue };
                    value.entries = value.entries.saturating_add(entries);
                    value.first = if first.compare(&value.first).is_lt() { first } else { value.first };
                    value.last = if last.compare(&value.last).is_gt() { last } else { value.last };
                }
                member.close();
            }
        }
        if let Some(notice) = self.notices.pop_front() {
            return Ok(Step::Notice(notice));
        }
        if missing {
            let needs = self.missing();
            return self.need(needs);
        }
        self.values.extend(in_order(std::mem::take(&mut self.found)));
        Ok(self.values.pop_front().map_or(Step::End, Step::Value))
    }
}

/// Values by their last entries: in one row by its number, else by the time of day. A clock that was wrong when a machine
/// started makes its newest boot begin before others.
fn in_order(found: Vec<Value>) -> Vec<Value> {
    let mut rows: Vec<Id> = Vec::new();
    let mut row_of = |value: &Value| {
        let row = value.last.seqnum_id;
        let known = rows.iter().position(|known| *known == row);
        known.unwrap_or_else(|| {
            rows.push(row);
            rows.len().saturating_sub(1)
        }) as u64
    };
    let sorted = |mut keys: Vec<((u64, u64), usize)>| {
        keys.sort_unstable();
        keys.into_iter().map(|(_, nth)| nth)
    };
    // Each row has the places that its times give it, and fills them by its numbers.
    let by_time = sorted(found.iter().enumerate().map(|(nth, value)| ((value.last.realtime, 0), nth)).collect());
    let places = by_time.enumerate().filter_map(|(place, nth)| Some(((row_of(found.get(nth)?), place as u64), place)));
    let places = sorted(places.collect());
    let by_number = found.iter().enumerate().map(|(nth, value)| ((row_of(value), value.last.seqnum), nth));
    let mut ordered: Vec<((u64, u64), usize)> =
        places.zip(sorted(by_number.collect())).map(|(place, nth)| ((place as u64, 0), nth)).collect();
    ordered.sort_unstable();
    ordered.into_iter().filter_map(|(_, nth)| found.get(nth).cloned()).collect()
}
