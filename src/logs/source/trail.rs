//! Remembering where a stream of journalctl's text stood, so that another answer can go on from there; sans-io.

use bytes::{Buf, Bytes, BytesMut};

use crate::logs::layout::Head;
use crate::logs::line::is_marker;
use crate::logs::split::{Continuation, Splitter};

/// An entry longer than this is not remembered whole: going on after it is not possible.
const LONGEST: usize = 1 << 20;

/// What was handed on up to its last entry, which may go on.
#[derive(Debug, Default)]
pub struct Complete {
    trail: Trail,
    /// That last entry, as far as it has come, and what stands behind it.
    last: BytesMut,
}

impl Complete {
    /// Nothing yet, behind this place.
    pub fn behind(trail: &Trail) -> Complete {
        Complete { trail: trail.clone(), last: BytesMut::new() }
    }

    /// The next piece was handed on.
    pub fn note(&mut self, piece: &[u8]) {
        let mut end = piece.len();
        let begins_line = self.last.is_empty() || self.last.ends_with(b"\n");
        while end > 0 {
            let start = memchr::memrchr(b'\n', piece.get(..end - 1).unwrap_or_default()).map_or(0, |n| n + 1);
            let line = piece.get(start..end).unwrap_or_default();
            if (start > 0 || begins_line) && line.first() != Some(&b' ') && !is_marker(line) {
                self.trail.note(&self.last);
                self.trail.note(piece.get(..start).unwrap_or_default());
                self.last.clear();
                return self.last.extend_from_slice(piece.get(start..).unwrap_or_default());
            }
            end = start;
        }
        self.last.extend_from_slice(piece);
        if self.last.len() > LONGEST {
            // Of one that is not remembered whole it does not matter where it ends.
            self.trail.note(&self.last.split());
        }
    }

    /// The place behind the last entry that is complete.
    pub fn into_trail(self) -> Trail {
        self.trail
    }
}

/// The last entry that was handed on.
#[derive(Clone, Debug, Default)]
pub struct Trail {
    last: BytesMut,
    /// How often it was handed on in a row: its time has microseconds, so once, but for a crafted log.
    times: u32,
    /// journalctl's own lines that were handed on behind it.
    markers: BytesMut,
}

impl Trail {
    /// Remembers the end of a piece that was handed on. Looks at the last entry only, from behind.
    pub fn note(&mut self, piece: &[u8]) {
        let mut piece = piece;
        if !self.last.is_empty() && !self.last.ends_with(b"\n") {
            // A very long line, in pieces.
            let end = memchr::memchr(b'\n', piece).map_or(piece.len(), |n| n + 1);
            self.extend(piece.get(..end).unwrap_or_default());
            piece = piece.get(end..).unwrap_or_default();
        }
        // Where the line looked at ends, and where the entry it belongs to ends.
        let (mut end, mut entry_end) = (piece.len(), piece.len());
        while end > 0 {
            let start = memchr::memrchr(b'\n', piece.get(..end - 1).unwrap_or_default()).map_or(0, |n| n + 1);
            let line = piece.get(start..end).unwrap_or_default();
            if is_marker(line) {
                entry_end = start;
            } else if line.first() != Some(&b' ') {
                let entry = piece.get(start..entry_end).unwrap_or_default();
                self.set(piece.get(..start).unwrap_or_default(), entry);
                return self.follow(piece.get(entry_end..).unwrap_or_default());
            }
            end = start;
        }
        // Nothing but continuation lines, and perhaps markers behind them.
        let lines = piece.split_inclusive(|b| *b == b'\n').take_while(|line| line.first() == Some(&b' '));
        let length = lines.map(<[u8]>::len).sum();
        self.extend(piece.get(..length).unwrap_or_default());
        self.follow(piece.get(length..).unwrap_or_default());
    }

    /// The last entry, if there was one.
    pub fn last(&self) -> Option<&[u8]> {
        (!self.last.is_empty()).then_some(&self.last)
    }

    /// How the last entry begins, if it is one of the journal's.
    pub fn head(&self) -> Option<Head> {
        Head::of(&self.last)
    }

    /// What skips, in another answer that begins earlier, everything up to and with the last entry. `None` if nothing was
    /// handed on or its end can't be recognised.
    pub fn skip(&self) -> Option<Skip> {
        if self.last.is_empty() || self.last.len() > LONGEST {
            return None;
        }
        let splitter = Splitter::new(Continuation::Indented);
        Some(Skip {
            splitter,
            target: self.last.clone().freeze(),
            left: self.times.max(1),
            markers: self.markers.clone().freeze(),
            passed: 0,
            entries: Vec::new(),
        })
    }

    fn set(&mut self, before: &[u8], entry: &[u8]) {
        let mut times = 1;
        let mut before = before;
        while let Some(rest) = before.strip_suffix(entry)
            && times < 10_000
        {
            times += 1;
            before = rest;
        }
        if before.is_empty() && self.last == entry {
            times += self.times;
        }
        self.times = times;
        self.last.clear();
        self.markers.clear();
        self.extend(entry);
    }

    fn follow(&mut self, markers: &[u8]) {
        if self.markers.len() <= LONGEST {
            self.markers.extend_from_slice(markers);
        }
    }

    fn extend(&mut self, more: &[u8]) {
        if self.last.len() <= LONGEST {
            self.last.extend_from_slice(more);
        }
    }
}

/// Drops what was handed on before from an answer that begins earlier.
#[derive(Debug)]
pub struct Skip {
    splitter: Splitter,
    target: Bytes,
    left: u32,
    /// What was handed on behind the last known entry.
    markers: Bytes,
    /// Entries after the last known one.
    passed: u64,
    entries: Vec<crate::logs::line::Line>,
}

impl Skip {
    /// Takes a piece of the new answer; hands on what is new in it.
    pub fn push(&mut self, piece: Bytes) -> Vec<Bytes> {
        let mut entries = std::mem::take(&mut self.entries);
        self.splitter.push(piece, &mut entries);
        self.sort(entries)
    }

    /// The answer has ended: the last new entry is complete.
    pub fn finish(&mut self) -> Vec<Bytes> {
        let mut entries = std::mem::take(&mut self.entries);
        self.splitter.finish(&mut entries);
        self.sort(entries)
    }

    /// Whether the last known entry was met.
    pub fn found(&self) -> bool {
        self.left == 0
    }

    /// How many entries were new.
    pub fn passed(&self) -> u64 {
        self.passed
    }

    fn sort(&mut self, mut entries: Vec<crate::logs::line::Line>) -> Vec<Bytes> {
        let mut new = Vec::new();
        for entry in entries.drain(..) {
            if self.left == 0 {
                if entry.is_marker() && self.markers.starts_with(&entry.text) {
                    self.markers.advance(entry.text.len());
                    continue;
                }
                self.passed += u64::from(!entry.is_marker());
                new.push(entry.text);
            } else if let Some(rest) = entry.text.strip_prefix(&*self.target)
                && (rest.is_empty() || !self.target.ends_with(b"\n") || rest.first() == Some(&b' '))
            {
                self.left -= 1;
                if self.left == 0 && !rest.is_empty() {
                    // It was cut off in its middle before.
                    self.passed += 1;
                    new.push(entry.text.slice(self.target.len()..));
                }
            }
        }
        self.entries = entries;
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "Nov 14 22:13:20.000001 n k[1]: one
Nov 14 22:13:20.000002 n k[1]: two
                               more
Nov 14 22:13:20.000002 n k[1]: same
Nov 14 22:13:20.000002 n k[1]: same
-- Boot b --
Nov 14 22:13:20.000001 n k[1]: earlier
Nov 14 22:13:21.000001 n k[1]: three
";

    #[test]
    fn wherever_a_stream_breaks_the_next_answer_goes_on_without_loss_or_repeat() {
        let log = LOG.as_bytes();
        let ends: Vec<usize> = memchr::memchr_iter(b'\n', log).map(|n| n + 1).collect();
        for &cut in &ends {
            for &middle in ends.iter().filter(|m| **m <= cut) {
                let mut trail = Trail::default();
                trail.note(&log[..middle]);
                if middle < cut {
                    trail.note(&log[middle..cut]);
                }
                for size in [1, 13, 10_000] {
                    let mut skip = trail.skip().unwrap();
                    let mut rest: Vec<u8> = Vec::new();
                    for piece in log.chunks(size) {
                        rest.extend(skip.push(Bytes::copy_from_slice(piece)).concat());
                    }
                    rest.extend(skip.finish().concat());
                    assert!(skip.found());
                    assert_eq!(String::from_utf8(rest).unwrap(), LOG[cut..], "cut at {cut}, noted at {middle}");
                }
            }
        }
    }

    #[test]
    fn an_entry_is_complete_when_the_next_one_begins() {
        let log = LOG.as_bytes();
        for cut in 0..=log.len() {
            for size in [1, 13, 10_000] {
                let mut complete = Complete::behind(&Trail::default());
                log[..cut].chunks(size).for_each(|piece| complete.note(piece));
                let trail = complete.into_trail();
                let Some(mut skip) = trail.skip() else {
                    assert!(cut <= "Nov 14 22:13:20.000001 n k[1]: one\n".len(), "cut at {cut}");
                    continue;
                };
                let rest = [skip.push(Bytes::from_static(log)), skip.finish()].concat().concat();
                assert!(skip.found());
                // It goes on with the last entry that had begun, or with a marker behind that.
                let rest = String::from_utf8(rest).unwrap();
                let from = LOG.len() - rest.len();
                let begins = |at: &usize| !LOG[*at..].starts_with(' ') && *at < cut;
                let last = LOG.match_indices('\n').map(|(end, _)| end + 1).rfind(begins).unwrap();
                let is_marker = LOG[last..].starts_with("--");
                assert!(
                    LOG.ends_with(&rest) && (from == last || is_marker && LOG[from..last].lines().count() == 1),
                    "{cut}"
                );
            }
        }
    }

    #[test]
    fn a_line_cut_in_its_middle_goes_on_there() {
        let mut trail = Trail::default();
        trail.note(b"Nov 14 22:13:20.000001 n k[1]: one\nNov 14 22:13:20.000002 n k[1]: tw");
        let mut skip = trail.skip().unwrap();
        let mut rest = skip.push(Bytes::from_static(LOG.as_bytes())).concat();
        rest.extend(skip.finish().concat());
        assert!(rest.starts_with(b"o\n      ") && skip.passed() == 5, "{}", String::from_utf8_lossy(&rest));
    }

    #[test]
    fn a_log_that_changed_is_noticed() {
        let mut trail = Trail::default();
        trail.note(b"Nov 14 22:13:19.000001 n k[1]: vacuumed\n");
        let mut skip = trail.skip().unwrap();
        assert!(skip.push(Bytes::from_static(LOG.as_bytes())).is_empty());
        skip.finish();
        assert!(!skip.found());
    }
}
