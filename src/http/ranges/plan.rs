//! Which ranges to ask for, and what has come: arithmetic only.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

/// How much of a file goes into one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    /// Ranges, the lead among them.
    pub(super) ranges: usize,
    /// Bytes, unless a single need has more.
    pub(super) bytes: u64,
    /// Ranges no further apart than this are asked for as one: a part costs more than such a gap.
    pub(super) gap: u64,
}

/// Splits what is missing into requests, in order; the lead goes first into each.
pub(super) fn batches(missing: Vec<Range<u64>>, lead: Option<&Range<u64>>, size: Size) -> Vec<Vec<Range<u64>>> {
    let begun = || lead.cloned().into_iter().collect::<Vec<_>>();
    let (most, led) = (size.ranges.max(lead.map_or(1, |_| 2)), lead.map_or(0, |_| 1));
    let mut batches = Vec::new();
    let (mut batch, mut bytes) = (begun(), 0);
    for range in merge(missing, size) {
        let length = range.end - range.start;
        let full = batch.len() == most || bytes + length > size.bytes;
        if full && batch.len() > led {
            batches.push(std::mem::replace(&mut batch, begun()));
            bytes = 0;
        }
        batch.push(range);
        bytes += length;
    }
    if batch.len() > led || batches.is_empty() {
        batches.push(batch);
    }
    batches.retain(|batch| !batch.is_empty());
    batches
}

/// Sorted and disjoint, those close to each other as one.
fn merge(ranges: Vec<Range<u64>>, size: Size) -> Vec<Range<u64>> {
    let mut sorted: Vec<(u64, u64)> =
        ranges.into_iter().filter(|range| !range.is_empty()).map(|range| (range.start, range.end)).collect();
    sorted.sort_unstable();
    let mut merged: Vec<Range<u64>> = Vec::with_capacity(sorted.len());
    for (start, end) in sorted {
        let mut range = start..end;
        if let Some(last) = merged.last_mut() {
            let end = last.end.max(range.end);
            if range.start <= last.end.saturating_add(size.gap) && end - last.start <= size.bytes {
                last.end = end;
                continue;
            }
            // Servers that add up ranges count shared bytes twice, and may find more than the file has.
            range.start = range.start.max(last.end);
        }
        if !range.is_empty() {
            merged.push(range);
        }
    }
    merged
}

/// Pieces of a file: sorted, not empty, disjoint and not even touching.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segments(Vec<(u64, Bytes)>);

impl Segments {
    /// Each piece with its offset, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Bytes)> {
        self.0.iter().map(|(at, bytes)| (*at, bytes))
    }

    /// The pieces themselves.
    pub fn into_vec(self) -> Vec<(u64, Bytes)> {
        self.0
    }

    /// What there is from `range.start` on without a gap, at most the range; uncopied.
    pub fn slice(&self, range: Range<u64>) -> Bytes {
        let after = self.0.partition_point(|(at, _)| *at <= range.start);
        let Some((at, bytes)) = after.checked_sub(1).and_then(|nth| self.0.get(nth)) else { return Bytes::new() };
        let from = (range.start - at).min(bytes.len() as u64) as usize;
        let to = (range.end.max(range.start) - at).min(bytes.len() as u64) as usize;
        bytes.slice(from..to)
    }

    /// How many bytes there are.
    pub fn len(&self) -> u64 {
        self.0.iter().map(|(_, bytes)| bytes.len() as u64).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What of a range is not here.
    pub(super) fn missing(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let (mut gaps, mut from) = (Vec::new(), range.start);
        let first = self.0.partition_point(|(at, bytes)| at + bytes.len() as u64 <= range.start);
        for (at, bytes) in &self.0[first..] {
            if *at >= range.end {
                break;
            }
            if from < *at {
                gaps.push(from..*at);
            }
            from = at + bytes.len() as u64;
        }
        if from < range.end {
            gaps.push(from..range.end);
        }
        gaps
    }

    /// Adds pieces; where there is something already, that stays.
    pub(super) fn add(&mut self, pieces: Vec<(u64, Bytes)>) {
        for (at, bytes) in pieces {
            for gap in self.missing(at..at.saturating_add(bytes.len() as u64)) {
                let piece = bytes.slice((gap.start - at) as usize..(gap.end - at) as usize);
                let place = self.0.partition_point(|(other, _)| *other < gap.start);
                self.0.insert(place, (gap.start, piece));
            }
        }
    }

    /// Joins pieces that touch, so that what was asked for in one piece is in one.
    pub(super) fn join(&mut self) {
        let mut joined: Vec<(u64, Bytes)> = Vec::with_capacity(self.0.len());
        let (mut run, mut end) = (Vec::new(), None);
        for (at, bytes) in std::mem::take(&mut self.0) {
            let follows = end == Some(at);
            end = Some(at + bytes.len() as u64);
            if follows {
                run.push(bytes);
            } else {
                close(&mut joined, &mut run);
                joined.push((at, bytes));
            }
        }
        close(&mut joined, &mut run);
        self.0 = joined;
    }
}

/// Puts a run of pieces behind the piece they follow.
fn close(joined: &mut [(u64, Bytes)], run: &mut Vec<Bytes>) {
    if run.is_empty() {
        return;
    }
    if let Some((_, first)) = joined.last_mut() {
        let mut all = BytesMut::with_capacity(first.len() + run.iter().map(Bytes::len).sum::<usize>());
        all.extend_from_slice(first);
        run.drain(..).for_each(|piece| all.extend_from_slice(&piece));
        *first = all.freeze();
    }
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "ranges are what is asked for")]
mod tests {
    use super::*;

    const SIZE: Size = Size { ranges: 3, bytes: 1000, gap: 10 };

    #[test]
    fn close_ranges_become_one_and_far_ones_stay() {
        for (needs, merged) in [
            (vec![50..60, 0..10], vec![0..10, 50..60]),
            (vec![0..10, 20..30], vec![0..30]),
            (vec![0..10, 21..30], vec![0..10, 21..30]),
            (vec![0..100, 20..30, 100..110, 5..5], vec![0..110]),
            // Not past the size of a request: what two share is asked for once.
            (vec![0..800, 700..1500], vec![0..800, 800..1500]),
            (vec![0..1500, 100..200, 1500..1501], vec![0..1500, 1500..1501]),
            (vec![u64::MAX - 5..u64::MAX, u64::MAX - 1..u64::MAX], vec![u64::MAX - 5..u64::MAX]),
        ] {
            assert_eq!(merge(needs.clone(), SIZE), merged, "{needs:?}");
        }
    }

    #[test]
    fn a_request_holds_so_many_ranges_and_so_many_bytes() {
        let needs = || vec![0..10, 100..110, 200..210, 300..310];
        assert_eq!(batches(needs(), None, SIZE), [vec![0..10, 100..110, 200..210], vec![300..310]]);
        let led = batches(needs(), Some(&(0..5)), SIZE);
        assert_eq!(led, [vec![0..5, 0..10, 100..110], vec![0..5, 200..210, 300..310]]);
        let sizes = |needs| batches(needs, None, SIZE).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes(vec![0..600, 700..1100, 2000..2001]), [2, 1]);
        assert_eq!(sizes(vec![0..600, 700..1101, 2000..2001]), [1, 2]);
        // A single need may be larger.
        assert_eq!(sizes(vec![0..5, 100..5000, 6000..6001]), [1, 1, 1]);
        assert!(batches(vec![3..3], None, SIZE).is_empty());
        assert_eq!(batches(Vec::new(), Some(&(0..5)), SIZE), [vec![0..5]]);
        // The lead leaves room for one.
        assert_eq!(batches(needs(), Some(&(0..5)), Size { ranges: 1, ..SIZE }).len(), 4);
    }

    #[test]
    fn pieces_come_together() {
        let mut segments = Segments::default();
        segments.add(vec![(10, "abc".into()), (20, "xyz".into())]);
        assert_eq!(segments.missing(0..30), [0..10, 13..20, 23..30]);
        assert_eq!(segments.missing(11..12), []);
        assert_eq!(segments.missing(12..21), [13..20]);
        segments.add(vec![(8, "12345678".into()), (13, "de".into())]);
        segments.join();
        assert_eq!(segments.0, [(8, "12abc678".into()), (20, "xyz".into())]);
        assert_eq!((segments.len(), segments.missing(0..30)), (11, vec![0..8, 16..20, 23..30]));
        for (range, bytes) in
            [(8..10, "12"), (10..99, "abc678"), (22..23, "z"), (23..30, ""), (16..17, ""), (0..9, ""), (9..9, "")]
        {
            assert_eq!(segments.slice(range.clone()), bytes, "{range:?}");
        }
    }
}
