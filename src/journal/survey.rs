//! Which values a field has in one file, or which of some values are there, and the first and last entry of each.

use super::array::Row;
use super::corrupt::{Got, Stop};
use super::entry::Position;
use super::file::File;
use super::object::Data;

/// What to look for.
#[derive(Clone, Debug)]
pub(super) enum Inquiry {
    /// The values of a field, newest first, and of each file no more than so many.
    Field(Vec<u8>, usize),
    /// These: `NAME=value`.
    Values(Vec<Vec<u8>>),
    /// These, and of each only its first entry, which stands for the last as well.
    Firsts(Vec<Vec<u8>>),
}

/// One file being looked through.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) file: File,
    todo: Todo,
    found: Vec<Found>,
    /// Whether the last entries are not asked about: the way to them is long.
    firsts: bool,
    done: bool,
}

#[derive(Debug)]
enum Todo {
    Begin(Inquiry),
    /// The next DATA object of the field, and how many more there may be.
    Chain(u64, usize),
    Lookup(Vec<Vec<u8>>),
    Ends,
}

#[derive(Debug)]
struct Found {
    value: Vec<u8>,
    data: Data,
    row: Row,
    first: Option<Position>,
    last: Option<Position>,
}

/// A value in a file: `NAME=value`, how many entries have it, the first and last of them.
pub(super) type Sighting = (Vec<u8>, u64, Position, Position);

impl Survey {
    pub(super) fn new(file: File, inquiry: Inquiry) -> Survey {
        let done = file.header.entries == 0;
        let firsts = matches!(inquiry, Inquiry::Firsts(_));
        Survey { file, todo: Todo::Begin(inquiry), found: Vec::new(), firsts, done }
    }

    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// What was found with both its ends.
    pub(super) fn take(&mut self) -> Vec<Sighting> {
        let whole = |found: Found| Some((found.value, found.data.entries, found.first?, found.last?));
        std::mem::take(&mut self.found).into_iter().filter_map(whole).collect()
    }

    /// Goes on as far as the bytes at hand allow; what is found by then is kept where the rest is corrupt.
    pub(super) fn advance(&mut self) -> Got<()> {
        let got = self.work();
        self.done = self.done || got != Err(Stop::Missing);
        got
    }

    fn work(&mut self) -> Got<()> {
        while !self.done {
            self.todo = match &mut self.todo {
                Todo::Begin(Inquiry::Field(name, most)) => match self.file.find_field(name)? {
                    Some(field) => Todo::Chain(field.data, *most),
                    None => Todo::Ends,
                },
                Todo::Begin(Inquiry::Values(values) | Inquiry::Firsts(values)) => Todo::Lookup(std::mem::take(values)),
                Todo::Chain(0, _) | Todo::Chain(_, 0) => Todo::Ends,
                Todo::Chain(at, most) => {
                    let (at, most) = (*at, most.saturating_sub(1));
                    let data = match self.file.data(at) {
                        Ok(data) => data,
                        Err(stop) => {
                            // The ends of those found so far come in the same round.
                            if stop == Stop::Missing {
                                let _ = self.find_ends();
                            }
                            return Err(stop);
                        }
                    };
                    let value = self.file.field(at)?.bytes().to_vec();
                    keep(&mut self.found, value, data);
                    // Chains run towards older objects.
                    Todo::Chain(if data.next_field < at { data.next_field } else { 0 }, most)
                }
                Todo::Lookup(values) => {
                    let mut missing = Vec::new();
                    for value in std::mem::take(values) {
                        match self.file.find_data(&value) {
                            Ok(Some(data)) => keep(&mut self.found, value, data),
                            Ok(None) => {}
                            Err(Stop::Missing) => missing.push(value),
                            Err(stop) => return Err(stop),
                        }
                    }
                    if missing.is_empty() {
                        Todo::Ends
                    } else {
                        *values = missing;
                        let _ = self.find_ends();
                        return Err(Stop::Missing);
                    }
                }
                Todo::Ends => {
                    self.find_ends()?;
                    self.done = true;
                    Todo::Ends
                }
            };
        }
        Ok(())
    }

    /// Reads the first and last entry of each value.
    fn find_ends(&mut self) -> Got<()> {
        let file = &self.file;
        let mut missing = false;
        for Found { row, first, last, .. } in &mut self.found {
            let last_index = if self.firsts { 0 } else { row.len().saturating_sub(1) };
            let mut end = |place: &mut Option<Position>, index: u64| -> Got<()> {
                if place.is_none() {
                    let stamp = row.offset(file, index).and_then(|at| file.stamp(at, 64));
                    match stamp {
                        Ok(stamp) => *place = Some(Position::new(file.header.seqnum_id, &stamp)),
                        Err(Stop::Missing) => missing = true,
                        Err(stop) => return Err(stop),
                    }
                }
                Ok(())
            };
            // A value whose entries are corrupt is none.
            let _ = end(first, 0).and_then(|()| end(last, last_index));
        }
        if missing { Err(Stop::Missing) } else { Ok(()) }
    }
}

fn keep(found: &mut Vec<Found>, value: Vec<u8>, data: Data) {
    if data.entries > 0 {
        found.push(Found { value, data, row: Row::of_data(&data), first: None, last: None });
    }
}
