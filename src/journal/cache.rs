//! The bytes of a file that are at hand, by offset.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;

/// Pieces of one file. What came first stays: objects don't change once they are whole.
#[derive(Debug, Default)]
pub(super) struct Cache {
    /// By offset; they don't overlap.
    pieces: BTreeMap<u64, Piece>,
    /// Of all pieces together.
    bytes: usize,
    /// Counts reads, to tell which piece was used last.
    clock: Cell<u64>,
}

#[derive(Debug)]
struct Piece {
    bytes: Box<[u8]>,
    used: Cell<u64>,
}

/// What a piece costs beside its bytes.
const OVERHEAD: usize = 64;

impl Piece {
    fn end(&self, at: u64) -> u64 {
        at.saturating_add(self.bytes.len() as u64)
    }
}

impl Cache {
    /// Adds the bytes from `at` on, where there are none yet.
    pub(super) fn insert(&mut self, at: u64, bytes: &[u8]) {
        let end = at.saturating_add(bytes.len() as u64);
        for gap in self.gaps(at..end) {
            let (from, to) = (gap.start.saturating_sub(at), gap.end.saturating_sub(at));
            let Some(piece) = bytes.get(from as usize..to as usize) else { continue };
            self.bytes = self.bytes.saturating_add(piece.len()).saturating_add(OVERHEAD);
            self.pieces.insert(gap.start, Piece { bytes: piece.into(), used: Cell::new(self.tick()) });
        }
    }

    /// These bytes, if all are here.
    pub(super) fn read(&self, range: Range<u64>) -> Option<Cow<'_, [u8]>> {
        let len = usize::try_from(range.end.checked_sub(range.start)?).ok()?;
        let (&start, piece) = self.pieces.range(..=range.start).next_back()?;
        let from = usize::try_from(range.start.checked_sub(start)?).ok()?;
        piece.used.set(self.tick());
        if let Some(bytes) = piece.bytes.get(from..from.checked_add(len)?) {
            return Some(Cow::Borrowed(bytes));
        }
        // Over the seam of two pieces.
        let mut whole = Vec::with_capacity(len.min(1 << 20));
        whole.extend_from_slice(piece.bytes.get(from..)?);
        let mut next = piece.end(start);
        while whole.len() < len {
            let piece = self.pieces.get(&next)?;
            piece.used.set(self.tick());
            let wanted = len.saturating_sub(whole.len()).min(piece.bytes.len());
            whole.extend_from_slice(piece.bytes.get(..wanted)?);
            next = piece.end(next);
        }
        Some(Cow::Owned(whole))
    }

    /// The parts of a range that are not here.
    pub(super) fn gaps(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let mut gaps = Vec::new();
        let mut at = range.start;
        let before = self.pieces.range(..=range.start).next_back().map_or(range.start, |(start, _)| *start);
        for (&start, piece) in self.pieces.range(before..range.end.max(before)) {
            if start > at {
                gaps.push(at..start.min(range.end));
            }
            at = at.max(piece.end(start));
        }
        if at < range.end {
            gaps.push(at..range.end);
        }
        gaps
    }

    /// Lets go of what was not used for longest until no more than `budget` bytes are left.
    pub(super) fn shrink(&mut self, budget: usize) {
        if self.bytes <= budget {
            return;
        }
        let mut by_use: Vec<(u64, u64)> = self.pieces.iter().map(|(at, piece)| (piece.used.get(), *at)).collect();
        by_use.sort_unstable();
        for (_, at) in by_use {
            if self.bytes <= budget {
                break;
            }
            if let Some(piece) = self.pieces.remove(&at) {
                self.bytes = self.bytes.saturating_sub(piece.bytes.len()).saturating_sub(OVERHEAD);
            }
        }
    }

    /// Lets go of these bytes.
    pub(super) fn remove(&mut self, range: Range<u64>) {
        let before = self.pieces.range(..=range.start).next_back().map_or(range.start, |(start, _)| *start);
        let touched =
            self.pieces.range(before..range.end.max(before)).filter(|(at, piece)| piece.end(**at) > range.start);
        for at in touched.map(|(at, _)| *at).collect::<Vec<u64>>() {
            let Some(Piece { bytes, .. }) = self.pieces.remove(&at) else { continue };
            self.bytes = self.bytes.saturating_sub(bytes.len()).saturating_sub(OVERHEAD);
            let end = at.saturating_add(bytes.len() as u64);
            for kept in [at..range.start, range.end..end] {
                let place = kept.start.saturating_sub(at) as usize..kept.end.saturating_sub(at) as usize;
                if let Some(rest) = bytes.get(place).filter(|rest| !rest.is_empty()) {
                    self.insert(kept.start, rest);
                }
            }
        }
    }

    /// Forgets all bytes.
    pub(super) fn clear(&mut self) {
        self.pieces.clear();
        self.bytes = 0;
    }

    fn tick(&self) -> u64 {
        self.clock.set(self.clock.get().wrapping_add(1));
        self.clock.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pieces: &[(u64, &[u8])]) -> Cache {
        let mut cache = Cache::default();
        for (at, bytes) in pieces {
            cache.insert(*at, bytes);
        }
        cache
    }

    fn gaps(cache: &Cache, range: Range<u64>) -> Vec<(u64, u64)> {
        cache.gaps(range).into_iter().map(|gap| (gap.start, gap.end)).collect()
    }

    #[test]
    fn pieces_join_whatever_their_cut() {
        let cache = of(&[(4, b"efgh"), (0, b"abcdef"), (7, b"hijk"), (20, b"xyz")]);
        assert_eq!(cache.read(0..11).unwrap().as_ref(), b"abcdefghijk");
        assert_eq!(cache.read(2..4).unwrap().as_ref(), b"cd");
        assert!(matches!(cache.read(5..7), Some(Cow::Borrowed(b"fg"))));
        assert_eq!(cache.read(9..12), None);
        assert_eq!(cache.read(12..13), None);
        assert_eq!(gaps(&cache, 9..30), [(11, 20), (23, 30)]);
        assert_eq!(gaps(&cache, 0..11), []);
        assert_eq!(gaps(&cache, 30..31), [(30, 31)]);
    }

    #[test]
    fn what_came_first_stays() {
        let cache = of(&[(2, b"cc"), (0, b"xxxxxx")]);
        assert_eq!(cache.read(0..6).unwrap().as_ref(), b"xxccxx");
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let mut cache = of(&[(0, &[1; 100]), (100, &[2; 100]), (200, &[3; 100])]);
        assert!(cache.read(0..1).is_some());
        cache.shrink(400);
        assert!(cache.read(0..100).is_some() && cache.read(200..300).is_some());
        assert_eq!(gaps(&cache, 0..300), [(100, 200)]);
        cache.remove(150..250);
        assert_eq!((gaps(&cache, 0..300), cache.bytes), (vec![(100, 250)], 150 + 2 * OVERHEAD));
        cache.remove(10..20);
        assert_eq!((gaps(&cache, 0..100), cache.bytes), (vec![(10, 20)], 140 + 3 * OVERHEAD));
        cache.clear();
        assert_eq!(gaps(&cache, 0..3), [(0, 3)]);
    }
}
