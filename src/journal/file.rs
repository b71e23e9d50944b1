//! One file of which only some bytes are at hand: reads objects, and notes which bytes are missing.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::ops::Range;

use super::cache::Cache;
use super::corrupt::{Got, Stop, corrupt};
use super::entry::Field;
use super::header::Header;
use super::object::{self, Data, Kind, OBJECT, Object, Stamp};
use super::query::Limits;
use super::unpack::{self, Whole, unpack};
use super::{Corrupt, hash};

/// A DATA object with a short payload fits in this.
const GUESS: u64 = 256;
/// Raw bytes kept of a file when a question is answered.
const SETTLED: usize = 32 << 10;
/// What is fetched of a file that grew: a little past its last object, in bytes, and no more than this in all.
const ADDED: u64 = 8 << 10;
const MOST_ADDED: u64 = 256 << 10;
/// An entry of more is none.
const LONGEST_ENTRY: u64 = 1 << 20;
const MOST_ITEMS: usize = 4096;
/// However little may be kept, so much is asked for in one round, and however much, no more, in bytes.
const LEAST_STEP: u64 = 64 << 10;
const MOST_STEP: u64 = 2 << 20;
/// What is still not written when it was fetched so often will not be.
const MOST_REFRESHED: u8 = 4;
/// Values from so many bytes on are not kept as they came once they are decoded.
const LARGE: u64 = 4 << 10;
/// Hash chains of more than this are loops.
const MOST_HOPS: usize = 1000;

/// How much of a file is kept and looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    /// Raw bytes, and decoded fields, each.
    pub(super) cache: usize,
    /// Of one value.
    pub(super) value: usize,
    /// What is asked for in one round, and what is decoded ahead.
    pub(super) step: u64,
}

impl Sizes {
    pub(super) fn new(limits: &Limits) -> Sizes {
        let cache = limits.cache / 4;
        Sizes { cache, value: limits.value, step: (cache as u64 / 2).clamp(LEAST_STEP, MOST_STEP) }
    }
}

/// A journal file with its header, as far as it is at hand.
#[derive(Debug)]
pub(super) struct File {
    pub(super) header: Header,
    /// In bytes.
    total: u64,
    cache: Cache,
    sizes: Sizes,
    /// What could not be read since the last time somebody asked.
    missing: RefCell<Vec<Range<u64>>>,
    /// What will be of use in the next round.
    ahead: RefCell<Vec<Range<u64>>>,
    /// Values that more than one entry has.
    shared: RefCell<Shared>,
    /// How much is asked for around a DATA object of unknown length.
    pub(super) guess: Cell<u64>,
    /// Whether it is written to while it is read.
    growing: bool,
    /// Whether the next file repeats its last entry, which may have found no more room in some arrays of this one.
    pub(super) repeated: bool,
    /// What is older than something that refers to it, and is to be fetched anew; and how often that was so, by place.
    stale: RefCell<Vec<Range<u64>>>,
    refreshed: RefCell<Vec<(u64, u8)>>,
}

impl File {
    pub(super) fn new(header: Header, total: u64, sizes: Sizes) -> File {
        File {
            header,
            total,
            cache: Cache::default(),
            sizes,
            missing: RefCell::default(),
            ahead: RefCell::default(),
            shared: RefCell::default(),
            guess: Cell::new(GUESS),
            growing: false,
            repeated: false,
            stale: RefCell::default(),
            refreshed: RefCell::default(),
        }
    }

    /// Of one that is written to while it is read, not all bytes are of the same age.
    pub(super) fn growing(self, growing: bool) -> File {
        File { growing, ..self }
    }

    /// Asks anew for bytes that must have been written since they were fetched; `false` if that can't be, or was of no use.
    pub(super) fn refresh(&self, range: Range<u64>) -> bool {
        let (mut refreshed, mut stale) = (self.refreshed.borrow_mut(), self.stale.borrow_mut());
        if stale.contains(&range) {
            // It was not to be had yet.
            return true;
        }
        if !self.growing {
            return false;
        }
        let nth = refreshed.iter().position(|(at, _)| *at == range.start).unwrap_or_else(|| {
            refreshed.push((range.start, 0));
            refreshed.len().saturating_sub(1)
        });
        let Some((_, times)) = refreshed.get_mut(nth) else { return false };
        let worthwhile = *times < MOST_REFRESHED;
        if worthwhile {
            *times = times.saturating_add(1);
            stale.push(range);
        }
        worthwhile
    }

    pub(super) fn provide(&mut self, at: u64, bytes: &[u8], total: u64) {
        // It grows as it is written, and shrinks to what it holds when it is archived.
        self.total = total;
        self.stale.take().into_iter().for_each(|range| self.cache.remove(range));
        self.cache.insert(at, bytes);
    }

    /// What is missing, without what came since; forgets it.
    pub(super) fn take_missing(&self) -> Vec<Range<u64>> {
        let mut wanted = self.missing.take();
        let ahead = self.ahead.take();
        let stale = self.stale.borrow().clone();
        if wanted.is_empty() && stale.is_empty() {
            return wanted;
        }
        wanted.extend(ahead);
        let gaps = wanted.into_iter().flat_map(|range| self.cache.gaps(range)).chain(stale);
        let mut wanted: Vec<(u64, u64)> = gaps.map(|range| (range.start, range.end)).collect();
        wanted.sort_unstable();
        let mut joined: Vec<Range<u64>> = Vec::with_capacity(wanted.len());
        for (start, end) in wanted {
            match joined.last_mut() {
                Some(last) if start <= last.end => last.end = last.end.max(end),
                _ => joined.push(start..end),
            }
        }
        joined
    }

    /// An entry with these DATA objects is complete: lets go of what is large and no other entry's.
    pub(super) fn spend(&mut self, items: &[u64]) {
        for item in items {
            if let Ok(data) = self.data(*item)
                && data.entries <= 1
                && data.len >= LARGE
            {
                self.cache.remove(data.payload..data.payload.saturating_add(data.len));
            }
        }
    }

    /// Keeps no more raw bytes than it may.
    pub(super) fn shrink(&mut self) {
        self.cache.shrink(self.sizes.cache);
    }

    /// The same while a batch of entries is read, whose bytes are at hand before they are needed.
    pub(super) fn shrink_meanwhile(&mut self) {
        let step = usize::try_from(self.sizes.step).unwrap_or(usize::MAX);
        self.cache.shrink(self.sizes.cache.max(step).saturating_mul(2));
    }

    /// Keeps what helps with the next question.
    pub(super) fn settle(&mut self) {
        self.cache.shrink(SETTLED);
        self.missing.take();
        self.ahead.take();
    }

    /// Forgets the values as well.
    pub(super) fn forget_values(&mut self) {
        self.shared.take();
    }

    /// The file has grown: its header says now how far. Notes what was added as needed, if it is not much.
    pub(super) fn update(&mut self, header: Header, total: u64) {
        // Old bytes of a growing file may have changed.
        self.settle();
        self.cache.clear();
        self.stale.take();
        self.refreshed.take();
        let (from, to) = (self.header.tail_object, header.tail_object.saturating_add(ADDED));
        self.header = header;
        // It grows as it is written, and shrinks to what it holds when it is archived.
        self.total = total;
        if to.saturating_sub(from) <= MOST_ADDED {
            self.want_ahead(from..to);
        }
    }

    /// How much is asked for in one round, in bytes.
    pub(super) fn step(&self) -> u64 {
        self.sizes.step
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn compact(&self) -> bool {
        self.header.compact
    }

    /// Bytes that will be needed soon.
    pub(super) fn want_ahead(&self, range: Range<u64>) {
        let range = range.start.min(self.total)..range.end.min(self.total);
        if !range.is_empty() {
            self.ahead.borrow_mut().push(range);
        }
    }

    /// Bytes that are needed: asks for those that are missing.
    pub(super) fn want(&self, range: Range<u64>) -> Got<()> {
        let range = range.start.min(self.total)..range.end.min(self.total);
        let gaps = self.cache.gaps(range);
        if gaps.is_empty() {
            return Ok(());
        }
        self.missing.borrow_mut().extend(gaps);
        Err(Stop::Missing)
    }

    /// Whether all of these bytes are at hand.
    pub(super) fn has(&self, range: Range<u64>) -> bool {
        self.cache.gaps(range).is_empty()
    }

    /// Whether this place is one of the file's.
    pub(super) fn reaches(&self, at: u64) -> bool {
        at < self.total
    }

    /// Whether all of the object there is at hand.
    pub(super) fn has_object(&self, at: u64) -> bool {
        let head = self.cache.read(at..at.saturating_add(OBJECT));
        head.is_some_and(|head| self.has(at..at.saturating_add(Object::parse(&head).size).min(self.total)))
    }

    /// These bytes; where they are missing asks for as many as `guess`.
    pub(super) fn read(&self, at: u64, len: u64, guess: u64) -> Got<Cow<'_, [u8]>> {
        let end = at.checked_add(len).filter(|end| *end <= self.total);
        let Some(end) = end else { return corrupt(at, "what lies there is past the file's end") };
        if let Some(bytes) = self.cache.read(at..end) {
            return Ok(bytes);
        }
        let guess = at.saturating_add(guess.max(len)).min(self.total);
        self.missing.borrow_mut().push(at..guess);
        Err(Stop::Missing)
    }

    /// The head of an object of this kind, checked: its size, and the bytes of its fixed part.
    pub(super) fn object(&self, at: u64, kind: Kind, guess: u64) -> Got<(Object, Cow<'_, [u8]>)> {
        if !at.is_multiple_of(8) || at < self.header.size {
            return corrupt(at, "no object can be here");
        }
        let head = kind.head(self.compact());
        let bytes = self.read(at, head, guess)?;
        let object = Object::parse(&bytes);
        // There was nothing when it was fetched.
        if object.kind == 0 && self.refresh(at..at.saturating_add(guess.max(head)).min(self.total)) {
            return Err(Stop::Missing);
        }
        if object.kind != kind as u8 {
            return corrupt(at, "an object of another kind is here");
        }
        if object.size < head || at.checked_add(object.size).is_none_or(|end| end > self.total) {
            return corrupt(at, "an object of impossible length");
        }
        Ok((object, bytes))
    }

    /// Any object's head, for reading one after the other.
    pub(super) fn any_object(&self, at: u64) -> Got<Object> {
        let object = Object::parse(&self.read(at, OBJECT, OBJECT)?);
        let sound = object.size >= OBJECT && at.checked_add(object.size).is_some_and(|end| end <= self.total);
        if sound { Ok(object) } else { corrupt(at, "an object of impossible length") }
    }

    pub(super) fn data(&self, at: u64) -> Got<Data> {
        let (_, bytes) = self.object(at, Kind::Data, self.guess.get())?;
        Ok(Data::parse(&bytes, at, self.compact()))
    }

    pub(super) fn stamp(&self, at: u64, guess: u64) -> Got<Stamp> {
        let (object, bytes) = self.object(at, Kind::Entry, guess)?;
        if object.size > LONGEST_ENTRY {
            return corrupt(at, "an entry of impossible length");
        }
        let stamp = Stamp::parse(&bytes);
        if stamp.seqnum == 0 || stamp.realtime == 0 {
            return corrupt(at, "an entry without number or time");
        }
        Ok(stamp)
    }

    /// An entry's length, stamp, and the DATA objects it names.
    pub(super) fn entry(&self, at: u64, guess: u64) -> Got<(u64, Stamp, Vec<u64>)> {
        let stamp = self.stamp(at, guess)?;
        let (object, _) = self.object(at, Kind::Entry, guess)?;
        let bytes = self.read(at, object.size, 0)?;
        let items: Vec<u64> = object::items(&bytes, Kind::Entry, self.compact()).take(MOST_ITEMS + 1).collect();
        if items.len() > MOST_ITEMS {
            return corrupt(at, "an entry of too many fields");
        }
        Ok((object.size, stamp, items))
    }

    /// The DATA objects that an entry names, if it is at hand; asks for nothing.
    pub(super) fn peek_entry(&self, at: u64) -> Got<Vec<u64>> {
        let asked = self.missing.borrow().len();
        let entry = self.entry(at, OBJECT);
        self.missing.borrow_mut().truncate(asked);
        entry.map(|(_, _, items)| items)
    }

    /// The DATA object that holds exactly this.
    pub(super) fn find_data(&self, payload: &[u8]) -> Got<Option<Data>> {
        let hash = self.hash(payload);
        let Some((mut at, last)) = self.bucket(self.header.data_table, hash)? else { return Ok(None) };
        // Most chains have one or two objects.
        let guess = self.guess.get();
        self.want_ahead(last..last.saturating_add(guess));
        for _ in 0..MOST_HOPS {
            if at == 0 {
                return Ok(None);
            }
            let data = self.data(at)?;
            if data.hash == hash && self.holds(&data, payload)? {
                return Ok(Some(data));
            }
            if data.next_hash != 0 && data.next_hash <= at {
                return corrupt(at, "a hash chain that turns back");
            }
            at = data.next_hash;
        }
        corrupt(at, "a hash chain without end")
    }

    /// The FIELD object of this name.
    pub(super) fn find_field(&self, name: &[u8]) -> Got<Option<object::Field>> {
        let hash = self.hash(name);
        let Some((mut at, last)) = self.bucket(self.header.field_table, hash)? else { return Ok(None) };
        self.want_ahead(last..last.saturating_add(64));
        for _ in 0..MOST_HOPS {
            if at == 0 {
                return Ok(None);
            }
            let (_, bytes) = self.object(at, Kind::Field, 64)?;
            let field = object::Field::parse(&bytes);
            let payload = at.saturating_add(Kind::Field.head(false));
            if field.hash == hash && field.len == name.len() as u64 && *self.read(payload, field.len, 0)? == *name {
                return Ok(Some(field));
            }
            if field.next_hash != 0 && field.next_hash <= at {
                return corrupt(at, "a hash chain that turns back");
            }
            at = field.next_hash;
        }
        corrupt(at, "a hash chain without end")
    }

    /// The field that a DATA object holds.
    pub(super) fn field(&self, at: u64) -> Got<Field> {
        if let Some(field) = self.shared.borrow_mut().find(at) {
            return Ok(field);
        }
        let data = self.data(at)?;
        let (bytes, whole) = self.payload(&data)?;
        let Some(field) = Field::parse(bytes.into(), whole == Whole::Cut) else {
            return corrupt(at, "a field without a name");
        };
        if data.entries > 1 {
            self.shared.borrow_mut().keep(at, &field, self.sizes.cache);
        }
        Ok(field)
    }

    /// Whether that field's bytes are here, and how many they are; asks for those that are missing.
    pub(super) fn field_at_hand(&self, at: u64) -> Result<u64, (Stop, u64)> {
        if let Some(field) = self.shared.borrow_mut().find(at) {
            return Ok(field.bytes().len() as u64);
        }
        let data = self.data(at).map_err(|stop| (stop, self.guess.get()))?;
        let len = data.len.min(self.sizes.value as u64);
        self.want(data.payload..data.payload.saturating_add(len)).map_err(|stop| (stop, len))?;
        Ok(len)
    }

    fn payload(&self, data: &Data) -> Got<(Vec<u8>, Whole)> {
        let limit = self.sizes.value;
        let packed = data.flags & (unpack::XZ | unpack::LZ4 | unpack::ZSTD) != 0;
        if packed {
            if data.len > limit as u64 {
                return corrupt(data.at, "a packed value that is too long");
            }
            let bytes = self.read(data.payload, data.len, 0)?;
            return unpack(data.flags, &bytes, limit).map_err(|why| Stop::Corrupt(Corrupt::new(data.at, why)));
        }
        let bytes = self.read(data.payload, data.len.min(limit as u64), 0)?;
        Ok((bytes.into_owned(), if data.len > limit as u64 { Whole::Cut } else { Whole::Yes }))
    }

    fn holds(&self, data: &Data, payload: &[u8]) -> Got<bool> {
        let packed = data.flags & (unpack::XZ | unpack::LZ4 | unpack::ZSTD) != 0;
        if packed {
            return Ok(self.payload(data)?.0 == payload);
        }
        Ok(data.len == payload.len() as u64 && *self.read(data.payload, data.len, 0)? == *payload)
    }

    fn hash(&self, payload: &[u8]) -> u64 {
        if self.header.keyed { hash::siphash(payload, self.header.file_id) } else { hash::jenkins(payload) }
    }

    /// The first and last object of a bucket; `None` if it is empty.
    fn bucket(&self, table: super::header::Table, hash: u64) -> Got<Option<(u64, u64)>> {
        let Some(nth) = hash.checked_rem(table.len / 16) else { return Ok(None) };
        let at = table.at.saturating_add(nth.saturating_mul(16));
        let bytes = self.read(at, 16, 16)?;
        let (first, last) = (super::le::u64_at(&bytes, 0), super::le::u64_at(&bytes, 8));
        Ok((first != 0).then_some((first, last)))
    }
}

fn place(values: &[(u64, Field)], at: u64) -> Result<usize, usize> {
    values.binary_search_by_key(&at, |(at, _)| *at)
}

/// Values by the offset of their DATA object: two generations, of which the elder goes when the younger is full.
#[derive(Debug, Default)]
struct Shared {
    young: Vec<(u64, Field)>,
    old: Vec<(u64, Field)>,
    /// Of the young ones, in bytes.
    bytes: usize,
}

impl Shared {
    fn find(&mut self, at: u64) -> Option<Field> {
        if let Ok(nth) = place(&self.young, at) {
            return self.young.get(nth).map(|(_, field)| field.clone());
        }
        let (_, field) = self.old.remove(place(&self.old, at).ok()?);
        self.add(at, &field);
        Some(field)
    }

    fn keep(&mut self, at: u64, field: &Field, budget: usize) {
        let cost = Shared::cost(field);
        if cost > budget / 8 {
            return;
        }
        if self.bytes.saturating_add(cost) > budget / 2 {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
        self.add(at, field);
    }

    /// Most come in the order of the file.
    fn add(&mut self, at: u64, field: &Field) {
        if let Err(nth) = place(&self.young, at) {
            self.bytes = self.bytes.saturating_add(Shared::cost(field));
            self.young.insert(nth, (at, field.clone()));
        }
    }

    fn cost(field: &Field) -> usize {
        field.bytes().len().saturating_add(128)
    }
}
