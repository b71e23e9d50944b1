//! A batch of entries of one file: fetched together, tested, and completed one after the other.

use std::collections::VecDeque;

use super::Corrupt;
use super::corrupt::{Got, Stop};
use super::entry::{Entry, Field, Position};
use super::file::File;
use super::object::Stamp;
use super::plan::Test;
use super::window::Look;

/// What a part of an answer costs beside its bytes.
const PART: u64 = 154;
/// Pieces less than this apart are asked for as one: a request holds only so many. Entries that are larger lie further apart.
const GAP: u64 = 1200;
const GAP_COMPACT: u64 = 700;
/// Values of one entry, packed or not, may not be more than this together.
const LONGEST_ENTRY: u64 = 16 << 20;

/// Entries on their way.
#[derive(Debug, Default)]
pub(super) struct Batch {
    rest: VecDeque<Pending>,
}

#[derive(Debug)]
struct Pending {
    at: u64,
    read: Option<(Stamp, Vec<u64>)>,
}

/// How entries lie in this file, learned while reading.
#[derive(Debug)]
pub(super) struct Shape {
    /// Before an entry lie the values that are new with it, in bytes.
    before: u64,
    /// The entry itself, in bytes.
    entry: u64,
}

/// What became of an entry.
pub(super) enum Outcome {
    Entry(Entry),
    Skipped(Corrupt),
}

impl Shape {
    pub(super) fn new(file: &File) -> Shape {
        let mean = mean(file);
        let entry = if file.compact() { 64 + 30 * 4 } else { 64 + 26 * 16 };
        Shape { before: mean.saturating_sub(entry / 2).clamp(512, 4096), entry }
    }

    /// So many entries, or as many as are fetched at once.
    pub(super) fn fit(&self, file: &File, entries: usize) -> usize {
        let most = file.step().checked_div(self.before.saturating_add(self.entry)).unwrap_or(0);
        entries.min(usize::try_from(most).unwrap_or(usize::MAX)).max(16)
    }

    /// Most entries should lie within: takes what is more at once, and what is less slowly.
    fn learn(&mut self, before: u64, entry: u64) {
        let drift = |known: u64, seen: u64| known.saturating_sub(known / 64).max(seen);
        self.before = drift(self.before, before).clamp(128, 4096);
        self.entry = drift(self.entry, entry).clamp(64, 4096);
    }
}

/// How many bytes an entry takes with all that belongs to it, on the average.
pub(super) fn mean(file: &File) -> u64 {
    let header = &file.header;
    let start = header.data_table.at.saturating_add(header.data_table.len);
    header.tail_object.saturating_sub(start).checked_div(header.entries).unwrap_or(0).clamp(256, 1 << 20)
}

impl Batch {
    /// Entries at these places, in the order they are wanted; asks for them in few pieces.
    pub(super) fn new(places: impl IntoIterator<Item = u64>) -> Batch {
        Batch { rest: places.into_iter().map(|at| Pending { at, read: None }).collect() }
    }

    pub(super) fn len(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Asks for what the entries probably need, where nothing of it is at hand.
    pub(super) fn fetch(&self, file: &File, shape: &Shape) -> Got<()> {
        // All of them are noted before the first is waited for.
        let asked: Vec<Got<()>> =
            self.pieces(file, shape).into_iter().map(|(start, end)| file.want(start..end)).collect();
        asked.into_iter().collect()
    }

    /// Notes the same as needed soon.
    pub(super) fn fetch_ahead(&self, file: &File, shape: &Shape) {
        self.pieces(file, shape).into_iter().for_each(|(start, end)| file.want_ahead(start..end));
    }

    fn pieces(&self, file: &File, shape: &Shape) -> Vec<(u64, u64)> {
        let mut windows: Vec<(u64, u64)> = self
            .rest
            .iter()
            .filter(|entry| !file.has_object(entry.at))
            .map(|entry| (entry.at.saturating_sub(shape.before) & !7, entry.at.saturating_add(shape.entry)))
            .collect();
        windows.sort_unstable();
        let (Some(first), Some(last)) = (windows.first().copied(), windows.last().copied()) else { return Vec::new() };
        let gap = if file.compact() { GAP_COMPACT } else { GAP };
        let mut pieces: Vec<(u64, u64)> = Vec::new();
        for (start, end) in windows {
            match pieces.last_mut() {
                Some(piece) if start <= piece.1.saturating_add(gap) => piece.1 = piece.1.max(end),
                _ => pieces.push((start, end)),
            }
        }
        let apart: u64 = pieces
            .iter()
            .fold(0, |sum: u64, (start, end)| sum.saturating_add(end.saturating_sub(*start)).saturating_add(PART));
        let span = last.1.saturating_sub(first.0);
        if apart >= span.saturating_sub(span / 5) {
            return Vec::from([(first.0, last.1)]);
        }
        pieces
    }

    /// Completes entries from the front, as far as bytes are at hand. `test` tells by the items, `wanted` by
    /// the place and the stamp, and whether those of all entries before are known.
    pub(super) fn advance(
        &mut self,
        file: &mut File,
        shape: &mut Shape,
        test: &mut Test,
        mut wanted: impl FnMut(u64, &Stamp, bool) -> Look,
        most: usize,
    ) -> (Vec<Outcome>, Got<()>) {
        let step = file.step();
        let mut done = Vec::new();
        let (mut missing, mut unread) = (false, false);
        let (mut ready, mut asked, mut seen) = (0_u64, 0_u64, 0_usize);
        let mut waiting = VecDeque::new();
        while let Some(mut pending) = self.rest.pop_front() {
            let guess = shape.entry;
            if pending.read.is_none() {
                match file.entry(pending.at, guess) {
                    Ok((_, stamp, items)) => match wanted(pending.at, &stamp, !unread) {
                        Look::Take if test.accepts(pending.at, &items) => pending.read = Some((stamp, items)),
                        Look::Take | Look::Skip => continue,
                        Look::Wait => {}
                        Look::Stop => {
                            self.rest.clear();
                            break;
                        }
                    },
                    Err(Stop::Missing) => {
                        (missing, unread) = (true, true);
                        asked = asked.saturating_add(guess);
                    }
                    Err(Stop::Corrupt(corrupt)) => {
                        done.push(Outcome::Skipped(corrupt));
                        continue;
                    }
                }
            }
            let Some((stamp, items)) = &pending.read else {
                waiting.push_back(pending);
                if asked > step {
                    break;
                }
                continue;
            };
            seen = seen.saturating_add(1);
            // Most entries are complete at once; of the others all that is missing is asked for.
            let whole = if waiting.is_empty() { complete(file, stamp, items) } else { Err(Stop::Missing) };
            match whole {
                Ok(entry) => {
                    // Others may have a few fields more.
                    let len = (items.len() as u64).saturating_add(4).saturating_mul(item(file)).saturating_add(64);
                    shape.learn(before(pending.at, items), len);
                    ready = ready.saturating_add(entry.weight());
                    file.spend(items);
                    done.push(Outcome::Entry(entry));
                }
                Err(Stop::Corrupt(corrupt)) => done.push(Outcome::Skipped(corrupt)),
                Err(Stop::Missing) => match available(file, items) {
                    Err((Stop::Corrupt(corrupt), _)) => done.push(Outcome::Skipped(corrupt)),
                    Err((Stop::Missing, bytes)) => {
                        missing = true;
                        asked = asked.saturating_add(bytes);
                        waiting.push_back(pending);
                    }
                    Ok(()) => waiting.push_back(pending),
                },
            }
            if asked > step || ready > step || seen >= most {
                break;
            }
        }
        waiting.append(&mut self.rest);
        self.rest = waiting;
        let got = if missing && done.is_empty() { Err(Stop::Missing) } else { Ok(()) };
        (done, got)
    }
}

/// Asks for the bytes of all values of an entry.
fn available(file: &File, items: &[u64]) -> Result<(), (Stop, u64)> {
    let (mut missing, mut bytes, mut all) = (false, 0_u64, 0_u64);
    for item in items {
        match file.field_at_hand(*item) {
            Ok(len) => all = all.saturating_add(len),
            Err((Stop::Missing, len)) => {
                missing = true;
                bytes = bytes.saturating_add(len);
                all = all.saturating_add(len);
            }
            Err((stop, _)) => return Err((stop, 0)),
        }
        if all > LONGEST_ENTRY {
            return Err((Stop::Corrupt(Corrupt::new(*item, "the entry is too long with this value")), 0));
        }
    }
    if missing { Err((Stop::Missing, bytes)) } else { Ok(()) }
}

fn complete(file: &File, stamp: &Stamp, items: &[u64]) -> Got<Entry> {
    let mut fields: Vec<Field> = Vec::with_capacity(items.len());
    let mut bytes = 0_u64;
    for item in items {
        let field = file.field(*item)?;
        bytes = bytes.saturating_add(field.bytes().len() as u64);
        if bytes > LONGEST_ENTRY {
            return Err(Stop::Corrupt(Corrupt::new(*item, "the entry is too long with this value")));
        }
        fields.push(field);
    }
    Ok(Entry { position: Position::new(file.header.seqnum_id, stamp), fields })
}

/// How far before an entry the values lie that came with it.
fn before(at: u64, items: &[u64]) -> u64 {
    let near = |item: &u64| *item < at && at.saturating_sub(*item) <= 4096;
    items.iter().copied().filter(near).min().map_or(0, |first| at.saturating_sub(first))
}

fn item(file: &File) -> u64 {
    super::object::stride(super::object::Kind::Entry, file.compact())
}
