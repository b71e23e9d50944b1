//! The last stretch of a file, read object by object: the way to a few last entries that needs the fewest rounds.

use super::corrupt::{Got, Stop};
use super::file::File;
use super::object::Kind;

/// Before the number of wanted entries is known, this much before the last object is fetched, in bytes.
const FIRST: u64 = 96 << 10;
/// Behind the last object: what was written since the header was read.
const AFTER: u64 = 8 << 10;

/// A stretch of the file up to its last object.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// The newest DATA object of MESSAGE; `None` before it was looked up.
    newest: Option<u64>,
}

/// What a stretch holds.
#[derive(Debug)]
pub(super) struct Stretch {
    /// The first object read.
    pub(super) start: u64,
    /// The places of all entries behind it, rising.
    pub(super) entries: Vec<u64>,
}

impl Scan {
    /// Asks, while other things are looked up, for what will surely be needed.
    pub(super) fn prepare(&mut self, file: &File) -> Got<()> {
        let last = file.header.tail_object;
        file.want_ahead(last.saturating_sub(FIRST)..last.saturating_add(AFTER));
        if self.newest.is_none() {
            self.newest = Some(file.find_field(b"MESSAGE")?.map_or(0, |field| field.data));
        }
        Ok(())
    }

    /// A few of the last entries, if what was asked for first is at hand.
    pub(super) fn samples(&self, file: &File, most: usize) -> Vec<u64> {
        let last = file.header.tail_object;
        let end = last.saturating_add(AFTER).min(file.total());
        if self.newest.is_none() || !file.has(last.saturating_sub(FIRST)..end) {
            return Vec::new();
        }
        let stretch = self.read(file, FIRST).ok().flatten();
        stretch.map_or_else(Vec::new, |stretch| stretch.entries.into_iter().rev().take(most).collect())
    }

    /// Reads a stretch of about `len` bytes; `None` if nothing in it tells where objects begin.
    pub(super) fn read(&self, file: &File, len: u64) -> Got<Option<Stretch>> {
        let last = file.header.tail_object;
        let from = last.saturating_sub(len);
        let end = last.saturating_add(AFTER).min(file.total());
        file.want(from..end)?;
        let Some(start) = self.boundary(file, from, end)? else { return Ok(None) };
        let mut entries = Vec::new();
        let mut at = start;
        while at <= last {
            let object = match file.any_object(at) {
                Ok(object) => object,
                // Not yet written, or not in the stretch.
                Err(_) => break,
            };
            if object.kind == Kind::Entry as u8 {
                entries.push(at);
            }
            at = at.saturating_add(object.size).saturating_add(7) & !7;
        }
        // A stretch with a hole is none: what lies behind the hole would be lost.
        let whole = at > last || last.saturating_sub(at) < 64;
        Ok(whole.then_some(Stretch { start, entries }))
    }

    /// An object at or behind `from`, found along the chain of messages. Bytes that look like an object may be in a message.
    fn boundary(&self, file: &File, from: u64, end: u64) -> Got<Option<u64>> {
        if from <= file.header.size {
            return Ok(Some(file.header.size));
        }
        let mut start = None;
        let mut at = self.newest.unwrap_or(0);
        while at >= from {
            let data = file.data(at)?;
            if at < end {
                start = Some(at);
            }
            // Only forward in time does the chain turn.
            if data.next_field >= at {
                break;
            }
            at = data.next_field;
        }
        Ok(start)
    }
}

/// The number of the last entry that is whole: what comes later belongs to the next reading.
#[derive(Debug, Default)]
pub(super) struct Last {
    seqnum: Option<u64>,
}

impl Last {
    /// Finds the number while other things are looked up.
    pub(super) fn prepare(&mut self, file: &File) -> Got<u64> {
        if let Some(seqnum) = self.seqnum {
            return Ok(seqnum);
        }
        let header = &file.header;
        let mut row = super::array::Row::of_file(file);
        let last = header.entries.checked_sub(1);
        let seqnum = match last.filter(|last| row.tail_start().is_some_and(|start| start <= *last)) {
            Some(last) => match row.offset(file, last).and_then(|at| Ok(file.stamp(at, 64)?.seqnum)) {
                Ok(seqnum) => seqnum,
                Err(Stop::Missing) => return Err(Stop::Missing),
                Err(_) => header.tail_seqnum,
            },
            // Older headers don't tell where that entry is.
            None => header.tail_seqnum,
        };
        self.seqnum = Some(seqnum);
        Ok(seqnum)
    }

    pub(super) fn seqnum(&self) -> Option<u64> {
        self.seqnum
    }
}
