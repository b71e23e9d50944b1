//! The heads of the objects that a journal file is made of.

use super::Id;
use super::le::{array, u32_at, u64_at};

/// The kinds of object; others are passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Data = 1,
    Field = 2,
    Entry = 3,
    Array = 6,
}

impl Kind {
    /// How long its fixed part is, which no object is shorter than.
    pub(super) fn head(self, compact: bool) -> u64 {
        match self {
            Kind::Data if compact => 72,
            Kind::Data | Kind::Entry => 64,
            Kind::Field => 40,
            Kind::Array => 24,
        }
    }
}

/// What every object begins with: kind, flags, length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Object {
    pub(super) kind: u8,
    pub(super) flags: u8,
    /// In bytes, all of it; the next object begins at the next multiple of 8.
    pub(super) size: u64,
}

/// How long that is.
pub(super) const OBJECT: u64 = 16;

impl Object {
    pub(super) fn parse(bytes: &[u8]) -> Object {
        let [kind, flags] = array(bytes, 0).unwrap_or_default();
        Object { kind, flags, size: u64_at(bytes, 8) }
    }
}

/// A field and its value, stored once however many entries have it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Data {
    pub(super) at: u64,
    pub(super) flags: u8,
    pub(super) hash: u64,
    /// The next one in the same bucket.
    pub(super) next_hash: u64,
    /// The next older one of the same field.
    pub(super) next_field: u64,
    /// The first entry that has it.
    pub(super) entry: u64,
    /// The arrays of the others.
    pub(super) array: u64,
    /// How many entries have it.
    pub(super) entries: u64,
    /// The last of those arrays and the entries in it, where the format has them.
    pub(super) tail_array: Option<(u64, u64)>,
    /// Where `NAME=value` begins.
    pub(super) payload: u64,
    /// How long it is in the file, perhaps packed.
    pub(super) len: u64,
}

impl Data {
    pub(super) fn parse(bytes: &[u8], at: u64, compact: bool) -> Data {
        let object = Object::parse(bytes);
        let head = Kind::Data.head(compact);
        let tail_array = (u64::from(u32_at(bytes, 64)), u64::from(u32_at(bytes, 68)));
        Data {
            at,
            flags: object.flags,
            hash: u64_at(bytes, 16),
            next_hash: u64_at(bytes, 24),
            next_field: u64_at(bytes, 32),
            entry: u64_at(bytes, 40),
            array: u64_at(bytes, 48),
            entries: u64_at(bytes, 56),
            tail_array: (compact && tail_array.0 != 0 && tail_array.1 != 0).then_some(tail_array),
            payload: at.saturating_add(head),
            len: object.size.saturating_sub(head),
        }
    }
}

/// The name of a field, and the way to its values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) hash: u64,
    pub(super) next_hash: u64,
    /// Its newest [`Data`].
    pub(super) data: u64,
    /// How long the name is.
    pub(super) len: u64,
}

impl Field {
    pub(super) fn parse(bytes: &[u8]) -> Field {
        Field {
            hash: u64_at(bytes, 16),
            next_hash: u64_at(bytes, 24),
            data: u64_at(bytes, 32),
            len: Object::parse(bytes).size.saturating_sub(Kind::Field.head(false)),
        }
    }
}

/// When and where an entry was written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    pub(super) seqnum: u64,
    pub(super) realtime: u64,
    pub(super) monotonic: u64,
    pub(super) boot: Id,
    pub(super) xor_hash: u64,
}

impl Stamp {
    pub(super) fn parse(bytes: &[u8]) -> Stamp {
        Stamp {
            seqnum: u64_at(bytes, 16),
            realtime: u64_at(bytes, 24),
            monotonic: u64_at(bytes, 32),
            boot: Id(array(bytes, 40).unwrap_or_default()),
            xor_hash: u64_at(bytes, 56),
        }
    }
}

/// The objects an entry or an array names, after its head.
pub(super) fn items(bytes: &[u8], kind: Kind, compact: bool) -> impl DoubleEndedIterator<Item = u64> {
    let stride = stride(kind, compact) as usize;
    let bytes = bytes.get(kind.head(compact) as usize..).unwrap_or_default();
    bytes.chunks_exact(stride).map(move |item| if compact { u32_at(item, 0).into() } else { u64_at(item, 0) })
}

/// How far apart the items of an entry or an array lie.
pub(super) fn stride(kind: Kind, compact: bool) -> u64 {
    match (kind, compact) {
        (_, true) => 4,
        (Kind::Entry, false) => 16,
        (_, false) => 8,
    }
}
