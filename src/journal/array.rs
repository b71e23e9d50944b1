//! Rows of entries: all of a file, or those that have one value. A chain of arrays, each about three times as long as the one
//! before, and for a value one entry ahead of them.

use super::corrupt::{Got, Stop, corrupt};
use super::file::File;
use super::le::{u32_at, u64_at};
use super::object::{Data, Kind, stride};

/// Chains of more than this are loops.
const MOST_ARRAYS: usize = 64;

/// Offsets of entries, rising, by index.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    /// How many.
    len: u64,
    /// The entry at index 0, where it stands apart.
    first: Option<u64>,
    /// Those that are known, in their order; the first is the chain's.
    arrays: Vec<Array>,
    /// The array after those that are known; 0 if there is none.
    next: u64,
    /// The last array, from the chain's end.
    tail: Option<Array>,
}

#[derive(Clone, Copy, Debug)]
struct Array {
    at: u64,
    /// Index of its first entry in the row.
    start: u64,
    /// How many it can hold.
    room: u64,
}

impl Row {
    /// All entries of a file.
    pub(super) fn of_file(file: &File) -> Row {
        let header = &file.header;
        Row::new(header.entries, None, header.array, header.tail_array)
    }

    /// The entries that have a value.
    pub(super) fn of_data(data: &Data) -> Row {
        let first = (data.entry != 0 && data.entries > 0).then_some(data.entry);
        Row::new(data.entries, first, data.array, data.tail_array)
    }

    fn new(len: u64, first: Option<u64>, next: u64, tail: Option<(u64, u64)>) -> Row {
        let apart = u64::from(first.is_some());
        let tail = tail.and_then(|(at, used)| {
            let start = len.checked_sub(used).filter(|start| *start >= apart)?;
            Some(Array { at, start, room: used })
        });
        Row { len, first, arrays: Vec::new(), next, tail }
    }

    /// There are more now. What is known of the arrays stays, but the last one may have got a successor.
    pub(super) fn grow(&mut self, len: u64, tail: Option<(u64, u64)>) {
        let Row { first, mut arrays, mut next, .. } = std::mem::take(self);
        if let Some(last) = arrays.pop() {
            next = last.at;
        }
        *self = Row { arrays, ..Row::new(len, first, next, tail) };
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The entry at index 0, if it is known without an array.
    pub(super) fn first(&self) -> Option<u64> {
        self.first
    }

    /// The first index of the last array walked to before the last of all.
    fn last_start(&self) -> Option<u64> {
        let tail = self.tail.map_or(u64::MAX, |tail| tail.start);
        self.arrays.iter().rev().map(|array| array.start).find(|start| *start < tail)
    }

    /// Where the last array begins, if that is known without walking there.
    pub(super) fn tail_start(&self) -> Option<u64> {
        self.tail.map(|tail| tail.start)
    }

    /// The offset of the entry at an index below the length.
    pub(super) fn offset(&mut self, file: &File, index: u64) -> Got<u64> {
        if index == 0
            && let Some(first) = self.first
        {
            return Ok(first);
        }
        let array = self.array_of(file, index)?;
        self.slot(file, array, index)
    }

    /// Asks for all the offsets of these indices that lie in the array of the first: where that array ends.
    pub(super) fn load(&mut self, file: &File, from: u64, to: u64) -> Got<u64> {
        let to = to.min(self.len);
        if from == 0 && self.first.is_some() {
            return Ok(1.min(to));
        }
        let array = self.array_of(file, from)?;
        let stride = stride(Kind::Array, file.compact());
        let end = array.start.saturating_add(array.room).min(to);
        let place = |index: u64| slot_at(array, index, stride);
        file.want(place(from)..place(end))?;
        Ok(end)
    }

    /// Notes the slots of these indices as needed soon, where their arrays are known.
    pub(super) fn load_ahead(&self, file: &File, from: u64, to: u64) {
        let stride = stride(Kind::Array, file.compact());
        for array in self.arrays.iter().chain(self.tail.as_ref()) {
            let (first, end) = (from.max(array.start), array.start.saturating_add(array.room).min(to));
            if first < end {
                file.want_ahead(slot_at(*array, first, stride)..slot_at(*array, end, stride));
            }
        }
    }

    /// The first index of the nth array of the chain, walking there; `None` past the last.
    pub(super) fn start_of(&mut self, file: &File, nth: usize) -> Got<Option<u64>> {
        while self.arrays.len() <= nth {
            if !self.walk(file)? {
                return Ok(None);
            }
        }
        Ok(self.arrays.get(nth).map(|array| array.start))
    }

    /// Where the array ends that holds this index.
    fn end_of(&mut self, file: &File, index: u64) -> Got<u64> {
        let array = self.array_of(file, index)?;
        Ok(array.start.saturating_add(array.room).min(self.len))
    }

    fn array_of(&mut self, file: &File, index: u64) -> Got<Array> {
        let within = |array: &Array| index >= array.start && index < array.start.saturating_add(array.room);
        if let Some(array) = self.arrays.iter().rev().find(|array| within(array)) {
            return Ok(*array);
        }
        if let Some(tail) = self.tail.filter(within) {
            return Ok(tail);
        }
        while self.walk(file)? {
            if let Some(array) = self.arrays.last().filter(|array| within(array)) {
                return Ok(*array);
            }
        }
        // The last one was fetched before it had a successor.
        if let Some(last) = self.arrays.last().copied()
            && self.next == 0
            && file.refresh(last.at..last.at.saturating_add(24))
        {
            self.arrays.pop();
            self.next = last.at;
            return Err(Stop::Missing);
        }
        corrupt(self.next, "an array of entries is missing")
    }

    /// Learns of one more array; false at the end of the chain.
    fn walk(&mut self, file: &File) -> Got<bool> {
        let last = self.arrays.last();
        let start = match last {
            Some(last) => last.start.saturating_add(last.room),
            None => self.first.is_some().into(),
        };
        let before = last.map_or(0, |last| last.at);
        if self.next == 0 || start >= self.len {
            return Ok(false);
        }
        if self.arrays.len() >= MOST_ARRAYS || self.next <= before {
            return corrupt(self.next, "a chain of arrays without end");
        }
        // Its first slot is looked at next.
        let (object, bytes) = file.object(self.next, Kind::Array, 40)?;
        let room = object.size.saturating_sub(24).checked_div(stride(Kind::Array, file.compact())).unwrap_or(0);
        if room == 0 {
            return corrupt(self.next, "an array without room");
        }
        self.arrays.push(Array { at: self.next, start, room });
        self.next = u64_at(&bytes, 16);
        Ok(true)
    }

    fn slot(&self, file: &File, array: Array, index: u64) -> Got<u64> {
        let stride = stride(Kind::Array, file.compact());
        let at = slot_at(array, index, stride);
        let bytes = file.read(at, stride, stride)?;
        let offset = if file.compact() { u32_at(&bytes, 0).into() } else { u64_at(&bytes, 0) };
        // The array was fetched before the value that tells how many entries it has.
        let end = self.len.min(array.start.saturating_add(array.room));
        match offset {
            0 if file.refresh(at..slot_at(array, end, stride)) => Err(Stop::Missing),
            0 => corrupt(at, "an array ends early"),
            _ => Ok(offset),
        }
    }
}

fn slot_at(array: Array, index: u64, stride: u64) -> u64 {
    let nth = index.saturating_sub(array.start);
    array.at.saturating_add(24).saturating_add(nth.saturating_mul(stride))
}

/// What entries of a row are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// The entry's place in the file.
    Offset(u64),
    /// The entry's time, µs since 1970.
    Realtime(u64),
    /// The entry's number.
    Seqnum(u64),
}

/// Looks for the first entry of a row that is not below a key, many entries a round.
#[derive(Clone, Debug)]
pub(super) struct Search {
    key: Key,
    /// Entries before this one are below the key.
    low: u64,
    /// This one and those after it are not.
    high: u64,
    /// Whether both are in one array.
    placed: bool,
    /// Whether the last entry of that array was looked at.
    halving: bool,
}

/// Rows of no more than this are not searched: their slots are read whole.
const WHOLE: u64 = 4096;

impl Search {
    /// The two indices between which the entry is, as far as is known.
    pub(super) fn span(&self) -> (u64, u64) {
        (self.low, self.high)
    }

    pub(super) fn key(&self) -> Key {
        self.key
    }

    pub(super) fn new(key: Key, row: &Row) -> Search {
        Search { key, low: 0, high: row.len(), placed: false, halving: false }
    }

    /// Goes on with what is at hand. At the end no more than `slack` entries lie between the two bounds: those before the
    /// first are below the key, those from the second on are not.
    pub(super) fn narrow(&mut self, row: &mut Row, file: &File, slack: u64) -> Got<(u64, u64)> {
        if self.high.saturating_sub(self.low) > slack && !self.placed {
            self.place(row, file)?;
            self.placed = true;
        }
        while let span = self.high.saturating_sub(self.low)
            && span > slack
        {
            if span <= WHOLE {
                let mut at = self.low;
                while at < self.high {
                    at = row.load(file, at, self.high)?;
                }
            }
            // As journalctl does it: where a clock was set back, this tells which of several bounds is found.
            let last = self.high.saturating_sub(1);
            let index = if self.halving { middle(self.low, self.high) } else { last };
            match self.below(row, file, index) {
                // The first of the next array may be late, and others in it early again.
                Ok(true) if !self.halving && self.high < row.len() => {
                    let end = row.end_of(file, self.high)?;
                    (self.low, self.high) = (self.high, end);
                    continue;
                }
                Ok(true) => self.low = index.saturating_add(1),
                Ok(false) => self.high = index,
                Err(Stop::Missing) => {
                    let high = if self.halving { self.high } else { last };
                    for index in points(self.low, high, slack) {
                        let _ = self.below(row, file, index);
                    }
                    return Err(Stop::Missing);
                }
                Err(stop) => return Err(stop),
            }
            self.halving = true;
        }
        Ok((self.low, self.high))
    }

    /// Finds the array that holds the bound: the last one whose first entry is below the key.
    fn place(&mut self, row: &mut Row, file: &File) -> Got<()> {
        let mut missing = false;
        let mut probe = |row: &mut Row, index| match self.below(row, file, index) {
            Ok(below) => Ok(Some(below)),
            Err(Stop::Missing) => {
                missing = true;
                Ok(None)
            }
            Err(stop) => Err(stop),
        };
        let mut low = 0;
        let mut high = row.len();
        if let Some(start) = row.tail_start().filter(|start| *start < high) {
            match probe(row, start)? {
                Some(true) => {
                    (self.low, self.high) = (start, high);
                    return Ok(());
                }
                Some(false) => high = start,
                None => {}
            }
        }
        if high > 0 && probe(row, 0)? == Some(false) {
            (self.low, self.high) = (0, 0);
            return Ok(());
        }
        for nth in 0..MOST_ARRAYS {
            match row.start_of(file, nth) {
                Ok(Some(start)) if start < high => match probe(row, start)? {
                    Some(true) => low = start,
                    Some(false) => high = start,
                    None => {}
                },
                Ok(start) => {
                    // The last one is likely; only its first entry is not known yet.
                    let last = start.unwrap_or(high).min(high);
                    if let Some(from) = row.last_start().filter(|from| *from < last) {
                        for index in points(from, last, 0) {
                            row.load_ahead(file, index, index.saturating_add(1));
                        }
                    }
                    break;
                }
                Err(Stop::Missing) => {
                    missing = true;
                    break;
                }
                Err(stop) => return Err(stop),
            }
        }
        if missing {
            return Err(Stop::Missing);
        }
        (self.low, self.high) = (low, high);
        Ok(())
    }

    fn below(&self, row: &mut Row, file: &File, index: u64) -> Got<bool> {
        let offset = row.offset(file, index)?;
        Ok(match self.key {
            Key::Offset(key) => offset < key,
            Key::Realtime(key) => file.stamp(offset, 64)?.realtime < key,
            Key::Seqnum(key) => file.stamp(offset, 64)?.seqnum < key,
        })
    }
}

fn middle(low: u64, high: u64) -> u64 {
    low.midpoint(high)
}

/// Where halving will look in its next steps, until no more than `slack` entries are left.
fn points(low: u64, high: u64, slack: u64) -> Vec<u64> {
    let steps = if high.saturating_sub(low) > WHOLE { 7 } else { 6 };
    let (mut points, mut spans) = (Vec::new(), Vec::from([(low, high)]));
    for _ in 0..steps {
        let mut halves = Vec::new();
        for (low, high) in spans.into_iter().filter(|(low, high)| high.saturating_sub(*low) > slack) {
            let middle = middle(low, high);
            points.push(middle);
            halves.extend([(low, middle), (middle.saturating_add(1), high)]);
        }
        spans = halves;
    }
    points
}
