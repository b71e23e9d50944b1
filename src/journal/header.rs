//! The header of a journal file.

use super::le::{array, u32_at, u64_at};
use super::{Corrupt, Id, Name};

/// The shortest header there ever was, in bytes.
const SHORTEST: u64 = 208;
/// Longer than any header known; what follows the fields known here is not looked at.
const LONGEST: u64 = 65_536;
/// As much as is read of any header.
pub(super) const KNOWN: u64 = 272;

const SIGNATURE: &[u8; 8] = b"LPKSHHRH";

const COMPATIBLE_TAIL_BOOT: u32 = 2;

const XZ: u32 = 1;
const LZ4: u32 = 2;
const KEYED_HASH: u32 = 4;
const ZSTD: u32 = 8;
const COMPACT: u32 = 16;

/// What a journal file says of itself, at the moment it was read.
///
/// The format: systemd.io/JOURNAL_FILE_FORMAT. Fields that the writer's version did not know are zero or `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Names this file, and keys its hashes.
    pub file_id: Id,
    /// Of the machine that wrote it.
    pub machine_id: Id,
    /// The boot of the last entry.
    pub tail_boot: Option<Id>,
    /// Says which other files number their entries in one row with this one.
    pub seqnum_id: Id,
    /// In bytes.
    pub size: u64,
    /// In bytes, without the header; files are allocated ahead.
    pub arena: u64,
    /// Entries that are whole and linked: what comes later is not yet.
    pub entries: u64,
    /// The last entry's number; moves before that entry is whole.
    pub tail_seqnum: u64,
    /// The first entry's number.
    pub head_seqnum: u64,
    /// The first entry's time, µs since 1970.
    pub head_realtime: u64,
    /// The last entry's time, µs since 1970.
    pub tail_realtime: u64,
    /// The last entry's time, µs since its boot.
    pub tail_monotonic: u64,
    /// Whether offsets in arrays have 32 bits.
    pub(super) compact: bool,
    /// Whether hashes are keyed with the file's id.
    pub(super) keyed: bool,
    pub(super) data_table: Table,
    pub(super) field_table: Table,
    /// The last object; moves before that object is whole.
    pub(super) tail_object: u64,
    /// The first array of all entries.
    pub(super) array: u64,
    /// The last of those arrays, and the entries in it.
    pub(super) tail_array: Option<(u64, u64)>,
}

/// The buckets of a hash table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Table {
    /// Where they begin.
    pub(super) at: u64,
    /// In bytes.
    pub(super) len: u64,
}

impl Header {
    /// As much as is read of any header, in bytes.
    pub const KNOWN: u64 = KNOWN;

    /// Reads a header of any version from a file's first bytes; 272 of them hold all that is known.
    pub fn parse(bytes: &[u8]) -> Result<Header, Corrupt> {
        let wrong = |at, why| Err(Corrupt::new(at, why));
        if (bytes.len() as u64) < SHORTEST {
            return wrong(bytes.len() as u64, "too short for a journal's header");
        }
        if !bytes.starts_with(SIGNATURE) {
            return wrong(0, "no journal: its signature is missing");
        }
        let compatible = u32_at(bytes, 8);
        let incompatible = u32_at(bytes, 12);
        if incompatible & !(XZ | LZ4 | KEYED_HASH | ZSTD | COMPACT) != 0 {
            return wrong(12, Corrupt::NEWER);
        }
        let size = u64_at(bytes, 88);
        if !(SHORTEST..=LONGEST).contains(&size) || !size.is_multiple_of(8) {
            return wrong(88, "a header of this length is not known");
        }
        // Fields past the header's own end are objects' bytes.
        let bytes = bytes.get(..usize::try_from(size.min(KNOWN)).unwrap_or(0)).unwrap_or(bytes);
        let id = |at| Id(array(bytes, at).unwrap_or_default());
        let tail_array = (u64::from(u32_at(bytes, 256)), u64::from(u32_at(bytes, 260)));
        let header = Header {
            file_id: id(24),
            machine_id: id(40),
            tail_boot: (compatible & COMPATIBLE_TAIL_BOOT != 0).then(|| id(56)),
            seqnum_id: id(72),
            size,
            arena: u64_at(bytes, 96),
            entries: u64_at(bytes, 152),
            tail_seqnum: u64_at(bytes, 160),
            head_seqnum: u64_at(bytes, 168),
            head_realtime: u64_at(bytes, 184),
            tail_realtime: u64_at(bytes, 192),
            tail_monotonic: u64_at(bytes, 200),
            compact: incompatible & COMPACT != 0,
            keyed: incompatible & KEYED_HASH != 0,
            data_table: Table { at: u64_at(bytes, 104), len: u64_at(bytes, 112) },
            field_table: Table { at: u64_at(bytes, 120), len: u64_at(bytes, 128) },
            tail_object: u64_at(bytes, 136),
            array: u64_at(bytes, 176),
            tail_array: (tail_array.0 != 0 && tail_array.1 != 0).then_some(tail_array),
        };
        for (table, at) in [(header.data_table, 104), (header.field_table, 120)] {
            let empty = table == Table::default() && header.entries == 0;
            let sound = table.len > 0 && table.len % 16 == 0 && table.at >= size && table.at % 8 == 0;
            if !empty && (!sound || table.at.checked_add(table.len).is_none()) {
                return wrong(at, "its hash table is out of place");
            }
        }
        Ok(header)
    }

    /// The name this file gets when the writer archives it: `PREFIX@<seqnum id>-<first number>-<first time>.journal`.
    pub fn archived_name(&self, prefix: &str) -> String {
        Name::archived(prefix, self.seqnum_id, self.head_seqnum, self.head_realtime)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Vec<u8> {
        let mut bytes = vec![0; 272];
        bytes[..8].copy_from_slice(SIGNATURE);
        bytes[88] = 240;
        for (at, value) in [(104, 4096_u64), (112, 160), (120, 8192), (128, 160), (152, 7)] {
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        bytes[256] = 8;
        bytes[260] = 9;
        bytes
    }

    #[test]
    fn fields_past_the_headers_end_do_not_exist() {
        let mut bytes = sound();
        assert_eq!(Header::parse(&bytes).unwrap().tail_array, None);
        (bytes[88], bytes[89]) = (8, 1);
        assert_eq!(Header::parse(&bytes).unwrap().tail_array, Some((8, 9)));
        assert_eq!(Header::parse(&bytes).unwrap().entries, 7);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let broken: [fn(&mut Vec<u8>); 7] = [
            |b| b.truncate(200),
            |b| b[0] = b'l',
            |b| b[12] = 32,
            |b| b[88] = 200,
            |b| b[88] = 241,
            |b| b[112] = 161,
            |b| b[104..112].fill(255),
        ];
        for (nth, spoil) in broken.iter().enumerate() {
            let mut bytes = sound();
            spoil(&mut bytes);
            assert!(Header::parse(&bytes).is_err(), "case {nth}");
        }
        let mut bytes = sound();
        bytes[8] = 0xff;
        assert!(Header::parse(&bytes).is_ok(), "compatible features may be ignored");
    }
}
