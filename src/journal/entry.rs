//! Entries, their fields, and the order among them.

use std::cmp::Ordering;

use bytes::Bytes;

use super::Id;
use super::object::Stamp;

/// One entry of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands.
    pub position: Position,
    /// Its fields as they are stored, those of the same name side by side or not.
    pub fields: Vec<Field>,
}

impl Entry {
    /// The last value of this field, which is the one that journalctl shows.
    pub fn field(&self, name: &[u8]) -> Option<&[u8]> {
        self.fields.iter().rev().find(|field| field.name() == name).map(Field::value)
    }

    /// All values of this field.
    pub fn values<'a>(&'a self, name: &'a [u8]) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        self.fields.iter().filter(move |field| field.name() == name).map(Field::value)
    }

    /// The text; some entries have none.
    pub fn message(&self) -> Option<&[u8]> {
        self.field(b"MESSAGE")
    }

    /// What it takes in memory, about, in bytes.
    pub fn weight(&self) -> u64 {
        self.fields.iter().fold(256, |sum: u64, field| sum.saturating_add(field.weight() as u64))
    }

    /// The same entry with another text.
    pub fn with_message(&self, message: &[u8]) -> Entry {
        let mut entry = self.clone();
        entry.fields.retain(|field| field.name() != b"MESSAGE");
        let bytes = Bytes::from([b"MESSAGE=", message].concat());
        entry.fields.extend(Field::parse(bytes, false));
        entry
    }

    /// How urgent its writer says it is: 0 (emergency) to 7 (debug).
    pub fn priority(&self) -> Option<u8> {
        match self.field(b"PRIORITY")? {
            [digit @ b'0'..=b'7'] => digit.checked_sub(b'0'),
            _ => None,
        }
    }

    /// When its source says that it happened, else when journald took it, in µs since 1970: the time journalctl shows.
    pub fn shown_time(&self) -> u64 {
        let source = self.values(b"_SOURCE_REALTIME_TIMESTAMP").next();
        source.and_then(number).filter(|micros| (1..1 << 55).contains(micros)).unwrap_or(self.position.realtime)
    }
}

/// A number as journalctl reads it: spaces and a plus may stand before it, and a prefix tells its base: `0x`, `0o` or `0`, `0b`.
fn number(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text.split(|byte| *byte == 0).next()?).ok()?;
    let text = text.trim_start_matches([' ', '\t', '\n', '\r']);
    let (text, base) = match text.as_bytes() {
        [b'0', b'b' | b'B', ..] => (text.get(2..)?, 2),
        [b'0', b'o' | b'O', ..] => (text.get(2..)?, 8),
        _ => (text, 0),
    };
    // From here on it is read by strtoull.
    let text = text.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
    let text = text.strip_prefix('+').unwrap_or(text);
    let (digits, base) = match text.as_bytes() {
        _ if base > 0 => (text, base),
        [b'0', b'x' | b'X', ..] => (text.get(2..)?, 16),
        [b'0', ..] => (text, 8),
        _ => (text, 10),
    };
    if digits.starts_with('+') { None } else { u64::from_str_radix(digits, base).ok() }
}

/// A field of an entry: `NAME=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The whole.
    bytes: Bytes,
    /// How long the name is: less than the whole.
    name: usize,
    /// Whether the value is longer than is kept of it.
    cut: bool,
}

impl Field {
    /// Splits `NAME=value`; `None` where there is no name.
    pub(super) fn parse(bytes: Bytes, cut: bool) -> Option<Field> {
        let name = bytes.iter().position(|byte| *byte == b'=').filter(|name| *name > 0)?;
        Some(Field { bytes, name, cut })
    }

    /// What it takes of the memory.
    pub fn weight(&self) -> usize {
        self.bytes.len().saturating_add(size_of::<Field>())
    }

    /// The name: capitals, digits and underscores, if the writer was sound.
    pub fn name(&self) -> &[u8] {
        self.bytes.get(..self.name).unwrap_or_default()
    }

    /// The value: any bytes.
    pub fn value(&self) -> &[u8] {
        self.bytes.get(self.name.saturating_add(1)..).unwrap_or_default()
    }

    /// `NAME=value`.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Whether the value is longer than is kept of it.
    pub fn is_cut(&self) -> bool {
        self.cut
    }
}

/// Where an entry stands among all of a machine's: enough to go on after it in whatever file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// In whose row it is numbered.
    pub seqnum_id: Id,
    /// Its number there.
    pub seqnum: u64,
    /// When journald took it, µs since 1970; clocks may have been set since.
    pub realtime: u64,
    /// Its boot.
    pub boot: Id,
    /// When journald took it, µs since the boot.
    pub monotonic: u64,
    /// Hashes its fields.
    pub xor_hash: u64,
}

impl Position {
    pub(super) fn new(seqnum_id: Id, stamp: &Stamp) -> Position {
        Position {
            seqnum_id,
            seqnum: stamp.seqnum,
            realtime: stamp.realtime,
            boot: stamp.boot,
            monotonic: stamp.monotonic,
            xor_hash: stamp.xor_hash,
        }
    }

    /// Which of two entries journalctl shows first. Numbers decide in one row, else the time since one boot, else the time
    /// of day; entries that are equal in all are one.
    pub fn compare(&self, other: &Position) -> Ordering {
        if self == other {
            return Ordering::Equal;
        }
        let by_number = match self.seqnum_id == other.seqnum_id {
            true => self.seqnum.cmp(&other.seqnum),
            false => Ordering::Equal,
        };
        let by_uptime = || match self.boot == other.boot {
            true => self.monotonic.cmp(&other.monotonic),
            false => Ordering::Equal,
        };
        by_number
            .then_with(by_uptime)
            .then_with(|| self.realtime.cmp(&other.realtime))
            .then_with(|| self.xor_hash.cmp(&other.xor_hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(row: u8, seqnum: u64, realtime: u64, boot: u8, monotonic: u64, xor_hash: u64) -> Position {
        Position { seqnum_id: Id([row; 16]), seqnum, realtime, boot: Id([boot; 16]), monotonic, xor_hash }
    }

    #[test]
    fn numbers_decide_before_uptime_before_the_clock() {
        let first = at(1, 5, 100, 1, 50, 7);
        assert_eq!(first.compare(&at(1, 6, 90, 1, 40, 7)), Ordering::Less);
        assert_eq!(first.compare(&at(2, 6, 90, 1, 60, 7)), Ordering::Less);
        assert_eq!(first.compare(&at(2, 6, 90, 2, 60, 7)), Ordering::Greater);
        assert_eq!(first.compare(&at(2, 6, 100, 2, 60, 6)), Ordering::Greater);
        assert_eq!(first.compare(&first), Ordering::Equal);
    }

    #[test]
    fn the_last_of_repeated_fields_counts_but_the_first_time() {
        let field = |text: &str| Field::parse(Bytes::copy_from_slice(text.as_bytes()), false).unwrap();
        let stamps = ["_SOURCE_REALTIME_TIMESTAMP=7", "_SOURCE_REALTIME_TIMESTAMP=8", "A=b=c", "A="];
        let mut entry = Entry { position: at(1, 5, 100, 1, 50, 7), fields: stamps.map(field).to_vec() };
        assert_eq!((entry.shown_time(), entry.field(b"A"), entry.message()), (7, Some(&b""[..]), None));
        assert_eq!(entry.values(b"A").next(), Some(&b"b=c"[..]));
        for (source, shown) in [("x", 100), (" 12", 12), ("0x12", 18), ("0", 100), ("", 100)]
            .into_iter()
            .chain([("+12", 12), ("-12", 100), ("012", 10), ("08", 100), ("0o12", 10), ("0B101", 5), ("0b+11", 3)])
            .chain([("+0b11", 100), ("0x+12", 100), ("+ 12", 100), ("++12", 100), ("12 ", 100), ("\x0b+0X12", 18)])
        {
            entry.fields = vec![field(&format!("_SOURCE_REALTIME_TIMESTAMP={source}"))];
            assert_eq!(entry.shown_time(), shown, "{source:?}");
        }
        assert_eq!(Field::parse(Bytes::from_static(b"=x"), false), None);
        assert_eq!(Field::parse(Bytes::from_static(b"x"), false), None);
    }
}
