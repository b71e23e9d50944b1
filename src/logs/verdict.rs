//! Telling a log from everything else a 200 answer of the query source can hold; sans-io.
//!
//! The kubelet runs journalctl with stdout and stderr both going into the body and ignores how it ends, and writes its
//! own errors into the same body after an empty line. journalctl's own lines never are empty (continuation lines are
//! indented), so an empty line followed by one of the known phrases is the kubelet speaking.

use bytes::{Buf, Bytes, BytesMut};

use crate::logs::layout::{Head, Layout};
use crate::logs::line::is_marker;

/// A line longer than this is passed on as it comes: no word of the kubelet is that long.
const LONGEST_HELD: usize = 64 << 10;

/// The kubelet's words at the end of an answer are shorter than this.
const LONGEST_WORDS: usize = 4 << 10;

/// What the kubelet (`pkg/kubelet/kubelet_server_journal.go`) writes after an empty line.
const PHRASES: [&[u8]; 6] = [
    b"log not found for ",
    b"error getting log for ",
    b"options present and query resolved to log files for ",
    b"error: journal output not available",
    b"failed to get logging cmd",
    b"context error: ",
];

/// What the body of a query's answer turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Log entries to the end, or text of a file.
    Whole,
    /// Not one entry: empty, or `-- No entries --`.
    Empty,
    /// Ended inside a line: what was cut off is handed back by [`Judge::finish`] but no whole entry.
    MidLine,
    /// The kubelet's or journalctl's own words instead of, or after, a log.
    Words(Words),
}

/// Words that are no log, sorted by what they mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Words {
    /// Neither a journal unit nor a file of that name.
    NotFound(String),
    /// The name is no journal unit; options can't be applied to a file. It may not exist at all.
    FileWithOptions(String),
    /// The 30 seconds are over.
    Deadline,
    /// Anything else that failed, in the server's words.
    Failed(String),
}

/// Watches an answer on its way: hands on what is certainly log, holds back what the end must judge.
#[derive(Debug)]
pub struct Judge {
    /// Whether an entry has been seen; before it come only journalctl's markers and words.
    log: bool,
    /// What is held back: the last line, or what may be the kubelet's words.
    held: BytesMut,
    /// Whether what comes after everything handed on begins a line.
    line_start: bool,
    /// Whether the log is journalctl's: then no line stands for itself but entries, and words are words.
    journal: bool,
}

impl Default for Judge {
    fn default() -> Self {
        Judge::new()
    }
}

impl Judge {
    /// For one answer.
    pub fn new() -> Self {
        Judge { log: false, held: BytesMut::new(), line_start: true, journal: false }
    }

    /// Takes the next frame; hands on at most two pieces, which together are whole lines unless a line is very long.
    pub fn push(&mut self, frame: Bytes) -> [Bytes; 2] {
        if self.log && frame.len() >= LONGEST_WORDS {
            // The kubelet's words are shorter than this frame: those that were held back are log.
            let before = self.held.split().freeze();
            self.line_start = before.last().map_or(self.line_start, |last| *last == b'\n');
            let from = self.hold_from(&frame);
            self.held.extend_from_slice(frame.get(from..).unwrap_or_default());
            self.line_start = from == 0 && self.line_start || frame.get(..from).is_some_and(|f| f.ends_with(b"\n"));
            return [before, frame.slice(..from)];
        }
        self.held.extend_from_slice(&frame);
        if !self.log && !self.log_begins() {
            return [Bytes::new(), Bytes::new()];
        }
        if !self.log {
            self.log = true;
            self.drop_banner();
            self.journal = first_entry_is_journals(&self.held);
        }
        let from = self.hold_from(&self.held);
        let from = if self.held.len() - from > LONGEST_HELD { self.held.len() } else { from };
        let piece = self.held.split_to(from).freeze();
        self.line_start = piece.last().map_or(self.line_start, |last| *last == b'\n');
        [piece, Bytes::new()]
    }

    /// The body has ended: what was held back and is log after all, and what the whole thing was.
    pub fn finish(mut self) -> (Bytes, End) {
        if !self.log {
            self.drop_banner();
        }
        let held = self.held.split().freeze();
        if !self.log {
            let mut rest: &[u8] = &held;
            while let Some((line, after)) = first_line(rest)
                && is_marker(line)
            {
                rest = after;
            }
            if rest.is_empty() {
                return (Bytes::new(), End::Empty);
            }
            if rest.starts_with(NO_EVENTS) {
                return (Bytes::new(), End::Empty);
            }
            if kubelet_speaks(rest) == Begins::Yes || journalctl_speaks(rest) {
                return (Bytes::new(), End::Words(words(&held)));
            }
        } else if self.line_start
            && (kubelet_speaks(&held) == Begins::Yes || self.journal && held.ends_with(b"\n") && is_strange(&held))
        {
            return (Bytes::new(), End::Words(words(&held)));
        }
        let whole = if held.is_empty() { self.line_start } else { held.ends_with(b"\n") };
        (held, if whole { End::Whole } else { End::MidLine })
    }

    /// Older journalctls announce the journal with its bounds, which is no entry.
    fn drop_banner(&mut self) {
        const BANNERS: [&[u8]; 2] = [b"-- Logs begin at ", b"-- Journal begins at "];
        if BANNERS.iter().any(|banner| self.held.starts_with(banner))
            && let Some(end) = memchr::memchr(b'\n', &self.held)
        {
            self.held.advance(end + 1);
        }
    }

    /// Where the block of lines that are none of a log begins which ends in the line at `last`.
    fn strange_from(&self, piece: &[u8], last: usize) -> usize {
        let mut from = last;
        if !self.journal || !is_strange(piece.get(from..).unwrap_or_default()) {
            return from;
        }
        while from > 0 && piece.len() - from < LONGEST_WORDS {
            let before = piece.get(..from - 1).unwrap_or_default();
            let start = memchr::memrchr(b'\n', before).map_or(0, |n| n + 1);
            if start == 0 || !is_strange(piece.get(start..from).unwrap_or_default()) {
                break;
            }
            from = start;
        }
        from
    }

    /// Whether what has come so far shows that this is a log.
    fn log_begins(&self) -> bool {
        let mut rest: &[u8] = &self.held;
        while let Some((line, after)) = first_line(rest) {
            if line == b"\n" {
                return kubelet_speaks(rest) == Begins::No;
            }
            if !is_marker(line) && !journalctl_speaks(line) {
                return true;
            }
            rest = after;
        }
        self.held.len() > LONGEST_HELD
    }

    /// Where to begin holding back: where the kubelet's words may begin, else at the last line.
    fn hold_from(&self, piece: &[u8]) -> usize {
        if self.line_start && kubelet_speaks(piece) != Begins::No {
            return 0;
        }
        let tail = piece.len().saturating_sub(LONGEST_WORDS);
        let region = piece.get(tail..).unwrap_or_default();
        for at in memchr::memmem::find_iter(region, b"\n\n") {
            if kubelet_speaks(region.get(at + 1..).unwrap_or_default()) != Begins::No {
                return tail + at + 1;
            }
        }
        match memchr::memrchr(b'\n', piece.strip_suffix(b"\n").unwrap_or(piece)) {
            Some(n) => self.strange_from(piece, n + 1),
            // Inside a line that began before: not the beginning of anything, so nothing to hold.
            None if !self.line_start => piece.len(),
            None => 0,
        }
    }
}

/// Whether the first line that is no marker and no words is an entry of the journal.
fn first_entry_is_journals(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some((line, after)) = first_line(rest) {
        if let Some(head) = Head::of(line) {
            return head.layout == Layout::Short { precise: true };
        }
        rest = after;
    }
    false
}

/// Whether a line of journalctl's output is none of a log: neither an entry, nor the continuation of one, nor a marker.
fn is_strange(line: &[u8]) -> bool {
    !line.is_empty() && line.first() != Some(&b' ') && line != b"\n" && !is_marker(line) && Head::of(line).is_none()
}

fn first_line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    memchr::memchr(b'\n', text).and_then(|n| text.split_at_checked(n + 1))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begins {
    Yes,
    /// What is there fits, but more must come.
    Perhaps,
    No,
}

/// Whether the kubelet speaks from here on: an empty line, then one of its phrases.
fn kubelet_speaks(text: &[u8]) -> Begins {
    let Some(text) = text.strip_prefix(b"\n") else { return Begins::No };
    if PHRASES.iter().any(|phrase| text.starts_with(phrase)) {
        Begins::Yes
    } else if PHRASES.iter().any(|phrase| phrase.starts_with(text)) {
        Begins::Perhaps
    } else {
        Begins::No
    }
}

/// A Windows node's way to say that there is no entry.
const NO_EVENTS: &[u8] = b"Get-WinEvent : No events were found";

/// journalctl's own words on stderr, which stand where entries would; or Get-WinEvent's.
fn journalctl_speaks(line: &[u8]) -> bool {
    const BEGINNINGS: [&[u8]; 14] = [
        b"Journal file ",
        b"Error was encountered while opening journal files",
        b"No journal boot entry found",
        b"Use SYSTEMD_LOG_LEVEL=",
        b"No journal files were ",
        b"No journal files ",
        b"Data from the specified boot ",
        b"Failed to ",
        b"Hint: You are currently not seeing messages",
        b"      Users in groups ",
        b"      Pass -q to turn off",
        b"journalctl: ",
        b"Compiled without pattern matching support",
        b"Get-WinEvent : ",
    ];
    BEGINNINGS.iter().any(|beginning| line.starts_with(beginning))
}

/// Sorts words that are no log by what they mean.
fn words(text: &[u8]) -> Words {
    let text = String::from_utf8_lossy(text);
    let lines: Vec<&str> =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !is_marker(line.as_bytes())).collect();
    let first = lines.first().copied().unwrap_or_default();
    if lines.iter().any(|line| line.starts_with("context error: ")) {
        Words::Deadline
    } else if let Some(unit) = first.strip_prefix("log not found for ") {
        Words::NotFound(unit.to_owned())
    } else if let Some(units) = first.strip_prefix("options present and query resolved to log files for ") {
        Words::FileWithOptions(units.trim_matches(['[', ']']).to_owned())
    } else {
        Words::Failed(lines.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that is handed on, and the end, with the body cut into frames of a size.
    fn judged(body: &[u8], size: usize) -> (Vec<u8>, End) {
        let mut judge = Judge::new();
        let mut out = Vec::new();
        for frame in body.chunks(size.max(1)) {
            for piece in judge.push(Bytes::copy_from_slice(frame)) {
                out.extend_from_slice(&piece);
            }
        }
        let (rest, end) = judge.finish();
        out.extend_from_slice(&rest);
        (out, end)
    }

    const LOG: &str = "Nov 21 02:41:26.655128 node-a kubelet[4307]: one\n                                             more\nNov 21 02:41:27.612072 node-a kubelet[4307]: two\n";

    #[test]
    fn bodies_are_judged_the_same_however_they_are_cut() {
        let words = |w| End::Words(w);
        let cases: Vec<(String, String, End)> = vec![
            (LOG.into(), LOG.into(), End::Whole),
            (LOG.trim_end().into(), LOG.trim_end().into(), End::MidLine),
            ("".into(), "".into(), End::Empty),
            ("-- No entries --\n".into(), "".into(), End::Empty),
            ("-- Boot 926c --\n-- Boot 0123 --\n-- No entries --\n".into(), "".into(), End::Empty),
            ("Get-WinEvent : No events were found that match.\r\n".into(), "".into(), End::Empty),
            (
                "Get-WinEvent : Access is denied.\r\n".into(),
                "".into(),
                words(Words::Failed("Get-WinEvent : Access is denied.".into())),
            ),
            (format!("-- Boot 926c --\n{LOG}"), format!("-- Boot 926c --\n{LOG}"), End::Whole),
            ("\nlog not found for nosuchsvc\n".into(), "".into(), words(Words::NotFound("nosuchsvc".into()))),
            (
                "\noptions present and query resolved to log files for [foo]\ntry without specifying options\n".into(),
                "".into(),
                words(Words::FileWithOptions("foo".into())),
            ),
            (format!("{LOG}\nlog not found for x\n"), LOG.into(), words(Words::NotFound("x".into()))),
            (format!("{LOG}\ncontext error: context deadline exceeded\n"), LOG.into(), words(Words::Deadline)),
            (
                "Data from the specified boot (-99) is not available: No such boot ID in journal\n".into(),
                "".into(),
                words(Words::Failed(
                    "Data from the specified boot (-99) is not available: No such boot ID in journal".into(),
                )),
            ),
            (
                "\nerror getting log for foo: open /var/log/foo: permission denied\n".into(),
                "".into(),
                words(Words::Failed("error getting log for foo: open /var/log/foo: permission denied".into())),
            ),
            (
                "No journal files were found.\n-- No entries --\n".into(),
                "".into(),
                words(Words::Failed("No journal files were found.".into())),
            ),
            (
                "plain text of a file\n\nwith an empty line\n".into(),
                "plain text of a file\n\nwith an empty line\n".into(),
                End::Whole,
            ),
            ("no newline".into(), "no newline".into(), End::MidLine),
            (
                format!("-- Logs begin at Tue 2023-11-14 22:13:20 UTC, end at {LOG}"),
                LOG[LOG.find('\n').unwrap() + 1..].into(),
                End::Whole,
            ),
            (format!("-- Journal begins at Tue 2023-11-14 22:13:20 UTC. --\n{LOG}"), LOG.into(), End::Whole),
            ("-- Logs begin at Tue 2023-11-14 22:13:20 UTC. --\n-- No entries --\n".into(), "".into(), End::Empty),
            ("-- Logs begin at Tue 2023-11-14 22:13:20 UTC. --\nNov 21 02".into(), "Nov 21 02".into(), End::MidLine),
            (
                format!("{LOG}Failed to iterate through journal: Bad message\n"),
                LOG.into(),
                words(Words::Failed("Failed to iterate through journal: Bad message".into())),
            ),
            (
                "Journal file /x uses an unsupported feature, ignoring file.\nUse SYSTEMD_LOG_LEVEL=debug journalctl\n-- No entries --\n".into(),
                "".into(),
                words(Words::Failed(
                    "Journal file /x uses an unsupported feature, ignoring file.; Use SYSTEMD_LOG_LEVEL=debug journalctl".into(),
                )),
            ),
        ];
        for (body, log, end) in &cases {
            for size in [1, 2, 3, 5, 16, 61, 4096, 100_000] {
                let (out, judged) = judged(body.as_bytes(), size);
                assert_eq!(
                    (String::from_utf8(out).unwrap(), judged),
                    (log.clone(), end.clone()),
                    "{body:?} in frames of {size}"
                );
            }
        }
    }

    #[test]
    fn large_frames_and_long_lines_pass_unchanged() {
        let mut body = LOG.repeat(3000).into_bytes();
        body.extend_from_slice(&[b'x'; 300_000]);
        body.push(b'\n');
        body.extend_from_slice(LOG.as_bytes());
        for size in [8192, 32_768, 70_000] {
            let (out, end) = judged(&body, size);
            assert_eq!(end, End::Whole);
            assert!(out == body, "frames of {size}");
        }
        body.extend_from_slice(b"\ncontext error: context deadline exceeded\n");
        for size in [8192, 32_768, 70_000] {
            assert_eq!(judged(&body, size).1, End::Words(Words::Deadline), "frames of {size}");
        }
    }
}
