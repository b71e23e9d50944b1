//! The `Range` header as Go's file server reads it.

/// A satisfiable range of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) start: u64,
    pub(crate) length: u64,
}

impl Range {
    /// `bytes 0-3/33`.
    pub(crate) fn content_range(&self, size: u64) -> String {
        // An empty suffix (`bytes=-0`) gives an end before its start, in Go as here.
        format!("bytes {}-{}/{size}", self.start, (self.start + self.length).wrapping_sub(1) as i64)
    }
}

/// Why no range can be served.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unsatisfiable {
    /// Not a range header Go understands: 416 without a size.
    Invalid,
    /// Every range begins past the end: 416 with the size.
    NoOverlap,
}

/// Reads `bytes=0-3,40-50,-9`; ranges past the end are dropped as long as one remains.
pub(crate) fn parse(header: &str, size: u64) -> Result<Vec<Range>, Unsatisfiable> {
    let number = |text: &str| -> Result<u64, Unsatisfiable> {
        // Go's ParseInt takes a plus sign, but neither spaces nor a value past i64.
        text.parse::<i64>().ok().and_then(|value| u64::try_from(value).ok()).ok_or(Unsatisfiable::Invalid)
    };
    let mut ranges = Vec::new();
    let mut dropped = false;
    for spec in header.strip_prefix("bytes=").ok_or(Unsatisfiable::Invalid)?.split(',') {
        let spec = spec.trim_matches([' ', '\t']);
        if spec.is_empty() {
            continue;
        }
        let (first, last) = spec.split_once('-').ok_or(Unsatisfiable::Invalid)?;
        let (first, last) = (first.trim(), last.trim());
        if first.is_empty() {
            if last.is_empty() || last.starts_with('-') {
                return Err(Unsatisfiable::Invalid);
            }
            let length = number(last)?.min(size);
            ranges.push(Range { start: size - length, length });
            continue;
        }
        let start = number(first)?;
        if start >= size {
            dropped = true;
            continue;
        }
        let end = if last.is_empty() { size - 1 } else { number(last)? };
        if start > end {
            return Err(Unsatisfiable::Invalid);
        }
        ranges.push(Range { start, length: end.min(size - 1) - start + 1 });
    }
    if dropped && ranges.is_empty() { Err(Unsatisfiable::NoOverlap) } else { Ok(ranges) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(header: &str, size: u64) -> Result<Vec<(u64, u64)>, Unsatisfiable> {
        parse(header, size).map(|ranges| ranges.iter().map(|range| (range.start, range.length)).collect())
    }

    #[test]
    fn ranges_are_read_as_go_reads_them() {
        assert_eq!(spans("bytes=0-3,5-9", 33), Ok(vec![(0, 4), (5, 5)]));
        assert_eq!(spans("bytes=10-", 33), Ok(vec![(10, 23)]));
        assert_eq!(spans("bytes=-100000", 33), Ok(vec![(0, 33)]));
        assert_eq!(spans("bytes= 0 - 3 ,, -1", 33), Ok(vec![(0, 4), (32, 1)]));
        assert_eq!(spans("bytes=30-99", 33), Ok(vec![(30, 3)]));
    }

    #[test]
    fn ranges_past_the_end_are_dropped_while_one_remains() {
        assert_eq!(spans("bytes=0-3,40-50", 33), Ok(vec![(0, 4)]));
        assert_eq!(spans("bytes=33-", 33), Err(Unsatisfiable::NoOverlap));
        assert_eq!(spans("bytes=40-,50-", 33), Err(Unsatisfiable::NoOverlap));
        assert_eq!(spans("bytes=0-", 0), Err(Unsatisfiable::NoOverlap));
        assert_eq!(spans("bytes=-5", 0), Ok(vec![(0, 0)]));
    }

    #[test]
    fn malformed_ranges_are_invalid() {
        for header in ["lines=0-9", "bytes=abc", "bytes=-", "bytes=--1", "bytes=9-3", "bytes=0-x", "bytes=1"] {
            assert_eq!(spans(header, 33), Err(Unsatisfiable::Invalid), "{header}");
        }
    }
}
