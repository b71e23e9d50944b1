//! Bytes to entries: lines, and the lines that continue them; sans-io.
//!
//! Entries inside one frame are slices of it, never copies; only what crosses a frame's end is put together anew.

use bytes::{Bytes, BytesMut};

use crate::logs::layout::Head;
use crate::logs::line::{Line, is_marker};

/// An entry longer than this is handed on in pieces, so that a line without an end can't fill the memory. Nothing is
/// lost by it: the pieces follow one another.
pub const LONGEST: usize = 8 << 20;

/// Which lines continue the one before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continuation {
    /// journalctl's output: those that begin with a space. Empty ones, which it never writes, part a Windows node's table.
    Indented,
    /// Text files: those without a time, once a line with a time has been seen.
    Timeless,
}

/// Cuts a stream of frames into entries.
#[derive(Debug)]
pub struct Splitter {
    continuation: Continuation,
    /// The entry at the end of what was pushed: it may still be continued.
    pending: BytesMut,
    /// Where in `pending` its last, perhaps unfinished, line begins.
    line: usize,
    /// How the pending entry begins, once its first line is known.
    head: Option<Head>,
    seen_time: bool,
    longest: usize,
}

impl Splitter {
    /// An empty splitter.
    pub fn new(continuation: Continuation) -> Self {
        Splitter { continuation, pending: BytesMut::new(), line: 0, head: None, seen_time: false, longest: LONGEST }
    }

    /// Takes the next frame; appends every entry that is complete by it. The last one stays until the next begins.
    pub fn push(&mut self, frame: Bytes, entries: &mut Vec<Line>) {
        let mut from = 0;
        // What crosses the frame's beginning is put together line by line, until an entry begins inside the frame.
        while !self.pending.is_empty() && from < frame.len() {
            let at_line_start = self.line == self.pending.len();
            let rest = frame.get(from..).unwrap_or_default();
            let end = memchr::memchr(b'\n', rest).map(|n| from + n + 1);
            if at_line_start && let Some(end) = end {
                let line = frame.get(from..end).unwrap_or_default();
                if let Some(head) = self.starts(line) {
                    self.flush(entries);
                    self.head = head;
                    from = self.direct(&frame, from, end, entries);
                    break;
                }
            }
            self.pending.extend_from_slice(frame.get(from..end.unwrap_or(frame.len())).unwrap_or_default());
            from = end.unwrap_or(frame.len());
            if end.is_some() {
                self.line_ended(entries);
            }
            if self.pending.len() > self.longest {
                self.flush(entries);
            }
        }
        if self.pending.is_empty() && from < frame.len() {
            let rest = frame.get(from..).unwrap_or_default();
            match memchr::memchr(b'\n', rest) {
                Some(n) => {
                    let end = from + n + 1;
                    // The first line of all, or the first after an overlong one: it begins an entry either way.
                    self.head = self.starts(frame.get(from..end).unwrap_or_default()).flatten();
                    self.direct(&frame, from, end, entries);
                }
                None => self.pending.extend_from_slice(rest),
            }
        }
    }

    /// Whether what was pushed ends inside a line.
    pub fn is_mid_line(&self) -> bool {
        self.pending.last().is_some_and(|last| *last != b'\n')
    }

    /// The stream has ended: the pending entry is complete.
    pub fn finish(&mut self, entries: &mut Vec<Line>) {
        if self.line < self.pending.len() {
            self.line_ended(entries);
        }
        self.flush(entries);
    }

    /// From an entry whose first line is `frame[start..end]`: emits all entries that end in the frame, keeps the rest
    /// pending. Returns the frame's length.
    fn direct(&mut self, frame: &Bytes, start: usize, end: usize, entries: &mut Vec<Line>) -> usize {
        let (mut start, mut line) = (start, end);
        while let Some(n) = frame.get(line..).and_then(|rest| memchr::memchr(b'\n', rest)) {
            let end = line + n + 1;
            if let Some(head) = self.starts(frame.get(line..end).unwrap_or_default()) {
                entries.push(Line::new(self.head.take(), frame.slice(start..line)));
                self.head = head;
                start = line;
            }
            line = end;
        }
        self.pending.extend_from_slice(frame.get(start..).unwrap_or_default());
        self.line = line - start;
        frame.len()
    }

    /// The line at the end of `pending` is complete: if it begins an entry, the one before it goes out.
    fn line_ended(&mut self, entries: &mut Vec<Line>) {
        let line = self.pending.get(self.line..).unwrap_or_default();
        let starts = starts(self.continuation, self.seen_time, line);
        self.seen_time |= matches!(starts, Some(Some(_)));
        if self.line == 0 {
            self.head = starts.flatten();
        } else if let Some(head) = starts {
            let text = self.pending.split_to(self.line).freeze();
            entries.push(Line::new(self.head.take(), text));
            self.head = head;
        }
        self.line = self.pending.len();
    }

    fn flush(&mut self, entries: &mut Vec<Line>) {
        self.line = 0;
        if !self.pending.is_empty() {
            entries.push(Line::new(self.head.take(), self.pending.split().freeze()));
        }
        self.head = None;
    }

    fn starts(&mut self, line: &[u8]) -> Option<Option<Head>> {
        let starts = starts(self.continuation, self.seen_time, line);
        self.seen_time |= matches!(starts, Some(Some(_)));
        starts
    }
}

/// Whether a line begins an entry, and if so how.
fn starts(continuation: Continuation, seen_time: bool, line: &[u8]) -> Option<Option<Head>> {
    match continuation {
        Continuation::Indented if line.first() == Some(&b' ') || line == b"\n" || line == b"\r\n" => None,
        Continuation::Indented => Some(Head::of(line)),
        Continuation::Timeless => match Head::of(line) {
            Some(head) => Some(Some(head)),
            None if !seen_time || is_marker(line) => Some(None),
            None => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(continuation: Continuation, longest: usize, frames: &[&[u8]]) -> Vec<Line> {
        let mut splitter = Splitter { longest, ..Splitter::new(continuation) };
        let mut entries = Vec::new();
        for frame in frames {
            splitter.push(Bytes::copy_from_slice(frame), &mut entries);
        }
        splitter.finish(&mut entries);
        entries
    }

    fn texts(entries: &[Line]) -> Vec<String> {
        entries.iter().map(|e| String::from_utf8_lossy(&e.text).into_owned()).collect()
    }

    const JOURNAL: &[u8] = b"Nov 14 22:13:20.000001 n k[1]: one\nNov 14 22:13:20.000002 n k[1]: two\n      more\n          \n-- Boot 0 --\nNov 14 22:13:20.000003 n k[1]: three";
    const KLOG: &[u8] = b"starting\nup\nI1114 22:13:20.000001 1 a.go:1] one\npanic: x\n\ngoroutine 1\nE1114 22:13:20.000002 1 a.go:1] two\n";

    #[test]
    fn continuation_lines_stay_with_their_first_line() {
        let entries = split(Continuation::Indented, LONGEST, &[JOURNAL]);
        assert_eq!(entries.len(), 4);
        assert!(entries[1].text.ends_with(b"more\n          \n") && entries[1].head.is_some());
        assert!(entries[2].is_marker() && entries[2].head.is_none());
        assert_eq!(entries[3].message(), b"three");
        let entries = split(Continuation::Timeless, LONGEST, &[KLOG]);
        assert_eq!(texts(&entries)[..2], ["starting\n", "up\n"]);
        assert_eq!(entries.len(), 4);
        assert!(entries[2].text.ends_with(b"goroutine 1\n"));
    }

    #[test]
    fn the_same_entries_come_however_the_stream_is_cut() {
        for (continuation, whole) in [(Continuation::Indented, JOURNAL), (Continuation::Timeless, KLOG)] {
            let expected = split(continuation, LONGEST, &[whole]);
            for a in 0..whole.len() {
                for b in [a, a + 1, (a + 7).min(whole.len()), (a + 40).min(whole.len())] {
                    let b = b.min(whole.len());
                    assert_eq!(
                        split(continuation, LONGEST, &[&whole[..a], &whole[a..b], &whole[b..]]),
                        expected,
                        "cut at {a}, {b}"
                    );
                }
            }
            let bytes: Vec<&[u8]> = whole.chunks(1).collect();
            assert_eq!(split(continuation, LONGEST, &bytes), expected, "byte by byte");
        }
    }

    #[test]
    fn splitting_and_joining_is_the_identity_even_for_a_line_without_end() {
        let long =
            [b"Nov 14 22:13:20.000001 n k[1]: ".as_slice(), &[b'x'; 5000], b"\n", JOURNAL, &[0xff; 300]].concat();
        for size in [1, 7, 64, 999, 10_000] {
            let frames: Vec<&[u8]> = long.chunks(size).collect();
            let entries = split(Continuation::Indented, 1000, &frames);
            assert_eq!(entries.iter().flat_map(|e| e.text.to_vec()).collect::<Vec<u8>>(), long);
            if size < 1000 {
                assert!(entries.iter().all(|e| e.text.len() <= 2000), "pieces stay bounded");
            }
        }
    }
}
