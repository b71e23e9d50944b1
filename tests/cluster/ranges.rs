//! The `Range` header as Go's file server reads it, and what worse servers and proxies make of it.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, RANGE};
use tokio::sync::mpsc;

use super::body::{Answer, Channel, answer};

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

/// What becomes of ranges on the way to the file server and back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// Of several only the first is served.
    FirstOnly,
    /// None is: always the whole file.
    Ignores,
    /// Of several none is.
    IgnoresSeveral,
    /// Of several the nth, counted from 1, or the last is left out.
    LeavesOut(usize),
    /// More than so many are refused with this status.
    AtMost(usize, StatusCode),
    /// Each begins and ends so many bytes later than it was asked for.
    Moves(u64),
    /// Several parts come as a proxy may write them: its own boundary, quoted, a preamble, headers in small letters, no
    /// length, and frames of odd sizes.
    Reframes,
}

impl Habit {
    /// Changes what the file server gets to see, or refuses it.
    pub(crate) fn pass_on(self, headers: &mut HeaderMap) -> Option<Answer> {
        let asked = headers.get(RANGE)?.to_str().ok()?.strip_prefix("bytes=")?.to_owned();
        let mut ranges: Vec<String> = asked.split(',').map(|range| range.trim().to_owned()).collect();
        let several = ranges.len() > 1;
        match self {
            Habit::FirstOnly => ranges.truncate(1),
            Habit::Ignores => ranges.clear(),
            Habit::IgnoresSeveral if several => ranges.clear(),
            Habit::LeavesOut(nth) if several => drop(ranges.remove(nth.clamp(1, ranges.len()) - 1)),
            Habit::AtMost(most, status) if ranges.len() > most => {
                return Some(answer(status, "text/plain; charset=utf-8", "Request Header Fields Too Large\n"));
            }
            Habit::Moves(by) => {
                let moved = |number: &str| number.parse::<u64>().map_or(number.to_owned(), |n| (n + by).to_string());
                for range in &mut ranges {
                    *range = range.split('-').map(moved).collect::<Vec<_>>().join("-");
                }
            }
            Habit::IgnoresSeveral | Habit::LeavesOut(_) | Habit::AtMost(..) | Habit::Reframes => {}
        }
        if ranges.is_empty() {
            headers.remove(RANGE);
        } else {
            let value = HeaderValue::from_str(&format!("bytes={}", ranges.join(","))).expect("a header value");
            headers.insert(RANGE, value);
        }
        None
    }

    /// Changes what the file server answered.
    pub(crate) async fn pass_back(self, answered: Answer) -> std::io::Result<Answer> {
        let kind = answered.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let Some(boundary) = kind.strip_prefix("multipart/byteranges; boundary=").map(str::to_owned) else {
            return Ok(answered);
        };
        if self != Habit::Reframes {
            return Ok(answered);
        }
        let (mut head, body) = answered.into_parts();
        let whole = body.collect().await?.to_bytes();
        let kind = "Multipart/ByteRanges; charset=binary; boundary=\"a proxy's; boundary\"";
        head.headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        head.headers.remove(CONTENT_LENGTH);
        let (sender, receiver) = mpsc::channel(4);
        tokio::spawn(async move {
            let mut rest = reframed(&whole, &boundary);
            for size in [1, 700, 3, 64 * 1024, 17].into_iter().cycle() {
                let frame = rest.split_to(rest.len().min(size));
                if frame.is_empty() || sender.send(Ok(frame)).await.is_err() {
                    break;
                }
            }
        });
        Ok(Answer::from_parts(head, Channel::body(receiver)))
    }
}

/// Go's `multipart/byteranges` in other words; the data between the heads is left alone.
fn reframed(body: &[u8], boundary: &str) -> Bytes {
    let delimiter = format!("--{boundary}");
    let mut out = BytesMut::from(&b"This proxy writes a preamble.\r\n"[..]);
    let mut rest = body;
    while let Some(at) = memchr::memmem::find(rest, delimiter.as_bytes()) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(b"--a proxy's; boundary");
        rest = &rest[at + delimiter.len()..];
        let head = rest.strip_prefix(b"\r\n").and_then(|_| memchr::memmem::find(rest, b"\r\n\r\n"));
        if let Some(end) = head {
            out.extend_from_slice(b" \t\r\nx-cache: miss");
            out.extend_from_slice(&rest[..end].to_ascii_lowercase());
            rest = &rest[end..];
        }
    }
    out.extend_from_slice(rest);
    out.extend_from_slice(b"and an epilogue\r\n");
    out.freeze()
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
