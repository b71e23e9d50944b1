//! `multipart/byteranges` (RFC 9110, section 14.6) read as it comes; holds no socket.
//!
//! A part's length is known from its `Content-Range`, so data is never searched for a boundary, and each part must be one that
//! was asked for: whoever sends the body decides neither where bytes go nor how many there are.

use std::fmt;
use std::ops::Range;

/// A body being read.
#[derive(Debug)]
pub struct Parts {
    /// Two hyphens and the boundary.
    delimiter: Vec<u8>,
    asked: Vec<Range<u64>>,
    /// The first of the asked that may still come: parts keep their order.
    next: usize,
    total: Option<u64>,
    state: State,
    /// A line without its end yet; at most [`LINE`] bytes.
    line: Vec<u8>,
    /// Bytes beside the data that may still come.
    spare: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Before the first delimiter.
    Preamble,
    /// In a part's header.
    Head(Option<Range<u64>>),
    /// In a part's data: what of it is to come.
    Data(Range<u64>),
    /// At the line end that belongs to the delimiter.
    Gap,
    /// At the delimiter.
    Delimiter,
    /// After the last one.
    Over,
}

/// What a body may not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// The content type is none, or names no usable boundary.
    NoBoundary,
    /// A line that does not end.
    LongLine,
    /// More beside the data than parts need.
    Padding,
    /// A header that is none.
    BadHeader,
    /// A part without `Content-Range`, or with two.
    NoRange,
    /// A `Content-Range` that can't be read.
    BadRange,
    /// A part that was not asked for, comes twice or out of order.
    NotAsked(Range<u64>),
    /// Two sizes of one file.
    TwoSizes(u64, u64),
    /// Something else where a part should end.
    NoDelimiter,
}

/// The longest line of a header.
const LINE: usize = 1024;
/// What each part may have beside its data; Go's file server needs about 150 bytes.
const SPARE: u64 = 1024;
/// The longest boundary that RFC 2046 allows.
const BOUNDARY: usize = 70;

impl Parts {
    /// A body of this content type, in answer to a request for these ranges, in this order.
    pub fn new(content_type: &str, asked: &[Range<u64>]) -> Result<Self, Violation> {
        let boundary = boundary(content_type).ok_or(Violation::NoBoundary)?;
        Ok(Parts {
            delimiter: [b"--", boundary.as_slice()].concat(),
            asked: asked.to_vec(),
            next: 0,
            total: None,
            state: State::Preamble,
            line: Vec::new(),
            spare: SPARE * (asked.len() as u64 + 1),
        })
    }

    /// Takes the next bytes of the body and hands over the data in them, each piece with its offset in the file.
    pub fn push(&mut self, mut bytes: &[u8], mut give: impl FnMut(u64, &[u8])) -> Result<(), Violation> {
        while !bytes.is_empty() {
            if let State::Data(rest) = &mut self.state {
                let here = usize::try_from(rest.end - rest.start).unwrap_or(usize::MAX).min(bytes.len());
                let (data, after) = bytes.split_at(here);
                give(rest.start, data);
                rest.start += here as u64;
                if rest.is_empty() {
                    self.state = State::Gap;
                }
                bytes = after;
                continue;
            }
            let end = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
            let (piece, after) = bytes.split_at(end);
            self.spare = self.spare.checked_sub(piece.len() as u64).ok_or(Violation::Padding)?;
            bytes = after;
            if self.state == State::Over {
                continue;
            }
            if self.line.len() + piece.len() > LINE {
                return Err(Violation::LongLine);
            }
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                self.state = self.after(line.trim_ascii_end())?;
                // Its room serves the next line.
                self.line = line;
                self.line.clear();
            }
        }
        Ok(())
    }

    /// The file's size, once a part has named it.
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// Whether the body came to its own end; call it when there is no more.
    pub fn is_over(&self) -> bool {
        self.state == State::Over || (self.state == State::Delimiter && self.closes(self.line.trim_ascii_end()))
    }

    /// The state after a whole line, which is given without white space at its end.
    fn after(&mut self, line: &[u8]) -> Result<State, Violation> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Preamble | State::Delimiter if line == self.delimiter => Ok(State::Head(None)),
            State::Preamble | State::Delimiter if self.closes(line) => Ok(State::Over),
            State::Preamble => Ok(State::Preamble),
            State::Gap if line.is_empty() => Ok(State::Delimiter),
            State::Gap | State::Delimiter => Err(Violation::NoDelimiter),
            State::Head(None) if line.is_empty() => Err(Violation::NoRange),
            State::Head(Some(range)) if line.is_empty() => Ok(State::Data(range)),
            State::Head(range) => {
                let colon = memchr::memchr(b':', line).ok_or(Violation::BadHeader)?;
                let (name, value) = (&line[..colon], &line[colon + 1..]);
                if !name.eq_ignore_ascii_case(b"content-range") {
                    return Ok(State::Head(range));
                }
                if range.is_some() {
                    return Err(Violation::NoRange);
                }
                let value = std::str::from_utf8(value).map_err(|_| Violation::BadRange)?;
                let (range, total) = content_range(value).ok_or(Violation::BadRange)?;
                Ok(State::Head(Some(self.expected(range, total)?)))
            }
            // Data has no lines, and after the end none is looked at.
            state @ (State::Data(_) | State::Over) => Ok(state),
        }
    }

    fn closes(&self, line: &[u8]) -> bool {
        line.strip_prefix(self.delimiter.as_slice()) == Some(b"--")
    }

    /// The range, if it is one that may come now.
    fn expected(&mut self, range: Range<u64>, total: u64) -> Result<Range<u64>, Violation> {
        match self.total {
            Some(before) if before != total => return Err(Violation::TwoSizes(before, total)),
            _ => self.total = Some(total),
        }
        let nth = self.asked[self.next..].iter().position(|asked| is_answer(&range, asked, total));
        self.next += nth.ok_or_else(|| Violation::NotAsked(range.clone()))? + 1;
        Ok(range)
    }
}

/// Whether a server may answer `range` to who asked for `asked` of a file of `total` bytes: all of it that there is.
pub fn is_answer(range: &Range<u64>, asked: &Range<u64>, total: u64) -> bool {
    range.start == asked.start && range.end == asked.end.min(total)
}

/// `bytes FIRST-LAST/TOTAL`, as a range and the total.
pub fn content_range(value: &str) -> Option<(Range<u64>, u64)> {
    let (range, total) = in_bytes(value)?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, total) = (number(first)?, number(last)?, number(total)?);
    (first <= last && last < total).then(|| (first..last + 1, total))
}

/// `bytes */TOTAL`: the total.
pub fn unsatisfied(value: &str) -> Option<u64> {
    number(in_bytes(value)?.strip_prefix("*/")?)
}

fn in_bytes(value: &str) -> Option<&str> {
    let (unit, rest) = value.trim().split_once(' ')?;
    unit.eq_ignore_ascii_case("bytes").then_some(rest.trim_start())
}

/// Digits alone: no sign, as `parse` would take.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// The boundary in `multipart/byteranges; boundary=…`, quoted or not.
fn boundary(content_type: &str) -> Option<Vec<u8>> {
    let (kind, mut rest) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/byteranges") {
        return None;
    }
    loop {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => unquoted(quoted)?,
            None => {
                after.split_once(';').map_or((after.trim_end().into(), ""), |(v, rest)| (v.trim_end().into(), rest))
            }
        };
        if name.trim().eq_ignore_ascii_case("boundary") {
            // RFC 2046: neither empty nor with white space at its end, which lines are read without.
            let usable = (1..=BOUNDARY).contains(&value.len()) && !value.ends_with(|c: char| c.is_ascii_whitespace());
            return (usable && !value.contains(['\r', '\n'])).then(|| value.into_bytes());
        }
        rest = after.trim_start_matches([';', ' ', '\t']);
    }
}

/// A quoted string whose first quote is gone, and what follows the last.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let (mut value, mut escaped) = (String::new(), false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => {
                value.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return Some((value, &text[at + 1..])),
            _ => value.push(c),
        }
    }
    None
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Violation::NoBoundary => f.write_str("the content type names no boundary"),
            Violation::LongLine => write!(f, "a header line of more than {LINE} bytes"),
            Violation::Padding => f.write_str("more beside the data than parts need"),
            Violation::BadHeader => f.write_str("a header line without a colon"),
            Violation::NoRange => f.write_str("a part without one Content-Range"),
            Violation::BadRange => f.write_str("a Content-Range that can't be read"),
            Violation::NotAsked(range) => {
                write!(f, "bytes {}-{}, which were not asked for", range.start, range.end.saturating_sub(1))
            }
            Violation::TwoSizes(one, other) => write!(f, "two sizes of one file, {one} and {other} bytes"),
            Violation::NoDelimiter => f.write_str("a part longer than its Content-Range says"),
        }
    }
}

impl std::error::Error for Violation {}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/byteranges; boundary=54df2eb7";

    /// A file whose bytes say where they are, with line ends and hyphens among them.
    fn file(size: u64) -> Vec<u8> {
        (0..size).map(|n| b"\r\n--54df2eb7abc\0\xff"[(n * 7 % 19 + n / 19 % 3) as usize % 17]).collect()
    }

    /// As Go's file server writes it.
    fn body(file: &[u8], ranges: &[Range<u64>]) -> Vec<u8> {
        let mut body = Vec::new();
        for (n, range) in ranges.iter().enumerate() {
            let gap = if n == 0 { "" } else { "\r\n" };
            let (first, last, total) = (range.start, range.end - 1, file.len());
            let head = format!(
                "{gap}--54df2eb7\r\nContent-Range: bytes {first}-{last}/{total}\r\nContent-Type: text/x-log\r\n\r\n"
            );
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(&file[range.start as usize..range.end as usize]);
        }
        body.extend_from_slice(b"\r\n--54df2eb7--\r\n");
        body
    }

    type Read = (Vec<(u64, Vec<u8>)>, Option<u64>, bool);

    /// The data, with neighbouring pieces joined.
    fn read<'b>(
        content_type: &str,
        asked: &[Range<u64>],
        frames: impl IntoIterator<Item = &'b [u8]>,
    ) -> Result<Read, Violation> {
        let mut parts = Parts::new(content_type, asked)?;
        let mut data: Vec<(u64, Vec<u8>)> = Vec::new();
        for frame in frames {
            parts.push(frame, |at, bytes| match data.last_mut() {
                Some((start, before)) if *start + before.len() as u64 == at => before.extend_from_slice(bytes),
                _ => data.push((at, bytes.to_vec())),
            })?;
        }
        Ok((data, parts.total(), parts.is_over()))
    }

    fn read_whole(asked: &[Range<u64>], body: &str) -> Result<Read, Violation> {
        read(TYPE, asked, [body.as_bytes()])
    }

    #[expect(clippy::single_range_in_vec_init, reason = "ranges are what is asked for")]
    const ONE: [Range<u64>; 1] = [0..4];

    #[test]
    fn the_recorded_answer_is_read() {
        let recorded = include_str!("../../../fixtures/exchanges/1.36/range-multi.http");
        let (head, body) = recorded.split_once("\r\n\r\n").or_else(|| recorded.split_once("\n\n")).unwrap();
        let kind = head.lines().find_map(|line| line.strip_prefix("Content-Type: ")).unwrap();
        let read = read(kind, &[0..4, 5..10], [body.as_bytes()]).unwrap();
        assert_eq!(read, (vec![(0, b"foo ".to_vec()), (5, b"euris".to_vec())], Some(33), true));
    }

    #[test]
    fn the_same_parts_come_out_however_the_body_is_cut() {
        let (file, ranges) = (file(5000), [0..272, 300..301, 302..1500, 1501..1600, 4000..5000]);
        let body = body(&file, &ranges);
        let expected: Vec<(u64, Vec<u8>)> =
            ranges.iter().map(|r| (r.start, file[r.start as usize..r.end as usize].to_vec())).collect();
        for size in [1, 2, 3, 7, 100, body.len()] {
            let read = read(TYPE, &ranges, body.chunks(size)).unwrap();
            assert_eq!(read, (expected.clone(), Some(5000), true), "pieces of {size}");
        }
        let mut random = Random(1);
        for _ in 0..300 {
            let (mut rest, mut frames) = (body.as_slice(), Vec::new());
            while !rest.is_empty() {
                let (frame, after) = rest.split_at(rest.len().min(random.below(700) as usize));
                frames.push(frame);
                rest = after;
            }
            assert_eq!(read(TYPE, &ranges, frames).unwrap(), (expected.clone(), Some(5000), true));
        }
    }

    #[test]
    fn ranges_past_the_end_are_dropped_or_shortened() {
        let file = file(33);
        let asked = [0..4, 8..10, 30..50, 60..70];
        let (data, total, over) = read(TYPE, &asked, [body(&file, &[0..4, 30..33]).as_slice()]).unwrap();
        assert_eq!((data.len(), data[1].0, data[1].1.len(), total, over), (2, 30, 3, Some(33), true));
    }

    #[test]
    fn other_servers_ways_of_writing_are_read_too() {
        for (kind, text) in [
            // A line end before the first delimiter, no type of the parts, other cases.
            (TYPE, "\r\n--54df2eb7\r\ncontent-range: Bytes 0-3/33\r\n\r\nabcd\r\n--54df2eb7--\r\n"),
            (TYPE, "This is a preamble.\r\n--54df2eb7  \r\nContent-Range:bytes 0-3/33\r\n\r\nabcd\r\n--54df2eb7--"),
            (
                "Multipart/Byteranges;boundary=\"a b;\\\"c\"",
                "--a b;\"c\nContent-Range: bytes 0-3/33\n\nabcd\n--a b;\"c--\n",
            ),
            (
                "multipart/byteranges; charset=\"x;y\"; Boundary=q ; z=1",
                "--q\r\nContent-Range: bytes  0-3/33\r\n\r\nabcd\r\n--q--\r\nepilogue",
            ),
        ] {
            let read = read(kind, &ONE, [text.as_bytes()]);
            let (data, total, _) = read.unwrap_or_else(|why| panic!("{why}: {text:?}"));
            assert_eq!((data, total), (vec![(0, b"abcd".to_vec())], Some(33)), "{text:?}");
        }
    }

    #[test]
    fn a_body_that_is_cut_off_is_not_over() {
        let whole = body(&file(33), &[0..4, 8..10]);
        for cut in 0..whole.len() - 2 {
            let (_, _, over) = read(TYPE, &[0..4, 8..10], [&whole[..cut]]).unwrap();
            assert!(!over, "cut at {cut} of {}", whole.len());
        }
    }

    #[test]
    fn what_was_not_asked_for_is_refused() {
        let part = |range: &str| format!("--54df2eb7\r\nContent-Range: {range}\r\n\r\nabcdefgh");
        for range in ["bytes 4-7/33", "bytes 0-2/33", "bytes 0-4/33", "bytes 0-1/33", "bytes 0-2/3"] {
            let read = read_whole(&ONE, &part(range));
            match range {
                "bytes 0-2/3" => assert!(matches!(read, Err(Violation::NoDelimiter) | Ok(_)), "{read:?}"),
                _ => assert!(matches!(read, Err(Violation::NotAsked(_))), "{range}: {read:?}"),
            }
        }
        for range in
            ["", "bytes", "bytes 0-3", "bytes 0-3/*", "bytes */33", "bytes +0-3/33", "bytes 3-0/33", "lines 0-3/33"]
        {
            assert_eq!(read_whole(&ONE, &part(range)), Err(Violation::BadRange), "{range}");
        }
        for range in
            ["bytes 0-33/33", "bytes 0-18446744073709551615/18446744073709551615", "bytes 0-99999999999999999999/1"]
        {
            assert_eq!(read_whole(&ONE, &part(range)), Err(Violation::BadRange), "{range}");
        }
        // Twice, or in another order.
        let (file, asked) = (file(33), [0..4, 8..10]);
        for sent in [[0..4, 0..4], [8..10, 0..4]] {
            let read = read(TYPE, &asked, [body(&file, &sent).as_slice()]);
            assert_eq!(read, Err(Violation::NotAsked(0..4)));
        }
        let asked = [0..4, 8..10, 20..22];
        for sent in [[20..22, 20..22], [20..22, 8..10]] {
            let read = read(TYPE, &asked, [body(&file, &sent).as_slice()]);
            assert_eq!(read, Err(Violation::NotAsked(sent[1].clone())));
        }
    }

    #[test]
    fn a_body_that_breaks_its_form_is_refused() {
        let head = "--54df2eb7\r\nContent-Range: bytes 0-3/33\r\n";
        for (text, why) in [
            (format!("{head}\r\nabcdefgh\r\n--54df2eb7--"), Violation::NoDelimiter),
            (format!("{head}\r\nabcd--54df2eb7--\r\n"), Violation::NoDelimiter),
            (format!("{head}\r\nabcd\r\n--other\r\n"), Violation::NoDelimiter),
            (format!("{head}Content-Range: bytes 0-3/33\r\n\r\nabcd"), Violation::NoRange),
            ("--54df2eb7\r\nContent-Type: x\r\n\r\nabcd".to_owned(), Violation::NoRange),
            (format!("{head}no colon\r\n"), Violation::BadHeader),
            (format!("{head}X: {}", "y".repeat(1500)), Violation::LongLine),
            ("z".repeat(5000), Violation::Padding),
            (format!("{head}\r\nabcd\r\n--54df2eb7--\r\n{}", "z".repeat(3000)), Violation::Padding),
            (format!("{head}{}", "X: y\r\n".repeat(1000)), Violation::Padding),
        ] {
            let found = read_whole(&ONE, &text);
            assert!(found == Err(why.clone()) || (why == Violation::Padding && found.is_err()), "{why}: {found:?}");
        }
        let two = format!("{head}\r\nabcd\r\n--54df2eb7\r\nContent-Range: bytes 8-9/34\r\n\r\n");
        assert_eq!(read_whole(&[0..4, 8..10], &two), Err(Violation::TwoSizes(33, 34)));
        for kind in [
            "text/plain",
            "multipart/byteranges",
            "multipart/byteranges; boundary=",
            "multipart/byteranges; boundary=\"x",
            "multipart/byteranges; boundary=\"x \"",
            "multipart/form-data; boundary=x",
            &format!("multipart/byteranges; boundary={}", "x".repeat(71)),
        ] {
            assert_eq!(Parts::new(kind, &ONE).unwrap_err(), Violation::NoBoundary, "{kind}");
        }
    }

    #[test]
    fn mutated_bodies_neither_panic_nor_give_bytes_that_were_not_asked_for() {
        let (file, asked) = (file(3000), [0..272, 300..310, 500..1500, 2990..4000]);
        let whole = body(&file, &[0..272, 300..310, 500..1500, 2990..3000]);
        let mut random = Random(20_231_114);
        for _ in 0..10_000 {
            let mut mutant = whole.clone();
            for _ in 0..=random.below(4) {
                let at = random.below(mutant.len() as u64) as usize;
                match random.below(4) {
                    0 => mutant[at] ^= 1 << random.below(8),
                    1 => mutant.truncate(at.max(1)),
                    2 => drop(mutant.drain(at..(at + random.below(60) as usize).min(mutant.len() - 1).max(at))),
                    _ => {
                        let copy = mutant[at..(at + 90).min(mutant.len())].to_vec();
                        let to = random.below(mutant.len() as u64) as usize;
                        mutant.splice(to..to, copy);
                    }
                }
            }
            let mut parts = Parts::new(TYPE, &asked).unwrap();
            let mut given = 0;
            for frame in mutant.chunks(1 + random.below(2000) as usize) {
                let pushed = parts.push(frame, |at, bytes| {
                    let end = at + bytes.len() as u64;
                    assert!(asked.iter().any(|range| range.start <= at && end <= range.end), "{at}-{end}");
                    given += bytes.len();
                });
                if pushed.is_err() {
                    break;
                }
            }
            let _ = parts.is_over();
            assert!(given as u64 <= asked.iter().map(|range| range.end - range.start).sum());
        }
    }

    /// Numbers that look random, the same each time (xorshift64).
    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % bound.max(1)
        }
    }
}
