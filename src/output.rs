//! stdout: one buffer, flushed when nothing more is at hand; a closed pipe is success.

use std::io::{self, ErrorKind, Write};
use std::ops::ControlFlow;

use crate::error::{Error, Kind, Result};
use crate::logs::line::Line;
use crate::sanitize;
use crate::time::{Rfc3339, Zone};

/// Written in one go from here on.
const BUFFER: usize = 64 << 10;

/// Where the answer goes.
pub struct Output {
    writer: Box<dyn Write + Send>,
    buffer: Vec<u8>,
    terminal: bool,
    end: Option<End>,
}

enum End {
    /// The reader has gone: nobody wants more, and that is fine.
    Closed,
    Failed(io::Error),
}

/// How entries are written.
#[derive(Clone, Debug, Default)]
pub struct Style {
    /// RFC 3339 in this zone in front of each line.
    pub timestamps: Option<Zone>,
    /// Not more than this many bytes, cut at a line's end.
    pub limit: Option<u64>,
}

impl Output {
    /// To this writer, which must not buffer by itself; on a terminal, what steers it is neutralised.
    pub fn new(writer: Box<dyn Write + Send>, terminal: bool) -> Self {
        Output { writer, buffer: Vec::new(), terminal, end: None }
    }

    /// Whether a person sees it at once.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Whole lines as they came: past the buffer, uncopied. Break: nobody wants more.
    pub fn bytes(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        if self.terminal {
            let safe = sanitize::bytes(bytes);
            self.put(&safe);
            return self.state();
        }
        self.flush()?;
        let written = self.writer.write_all(bytes);
        self.settle(written);
        self.state()
    }

    /// A text of our own.
    pub fn text(&mut self, text: &str) -> ControlFlow<()> {
        self.put(text.as_bytes());
        self.state()
    }

    /// Writes out what is buffered.
    pub fn flush(&mut self) -> ControlFlow<()> {
        if !self.buffer.is_empty() && self.end.is_none() {
            let written = self.writer.write_all(&self.buffer).and_then(|()| self.writer.flush());
            self.settle(written);
        }
        self.buffer.clear();
        self.state()
    }

    /// The end: what is buffered goes out, and a failure (not a closed pipe) is told.
    pub fn finish(&mut self) -> Result<()> {
        let _ = self.flush();
        match self.end.take() {
            Some(End::Failed(why)) => Err(Error::new(Kind::Failed, "writing to stdout").because(why)),
            Some(End::Closed) | None => Ok(()),
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER {
            let _ = self.flush();
        }
    }

    fn settle(&mut self, written: io::Result<()>) {
        if let Err(why) = written {
            self.end = Some(if why.kind() == ErrorKind::BrokenPipe { End::Closed } else { End::Failed(why) });
        }
    }

    fn state(&self) -> ControlFlow<()> {
        if self.end.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Writes entries as text.
pub struct Text<'o> {
    output: &'o mut Output,
    style: Style,
    printed: u64,
    cut: bool,
}

impl<'o> Text<'o> {
    /// In this style.
    pub fn new(output: &'o mut Output, style: Style) -> Self {
        Text { output, style, printed: 0, cut: false }
    }

    /// Bytes as they came; only for a style that looks at nothing.
    pub fn bytes(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        self.printed += bytes.len() as u64;
        self.output.bytes(bytes)
    }

    /// Entries, oldest first.
    pub fn lines(&mut self, lines: &[Line]) -> ControlFlow<()> {
        for line in lines {
            if self.style.timestamps.is_none() && self.style.limit.is_none() && !self.output.terminal {
                self.output.put(&line.text);
                self.printed += line.text.len() as u64;
                continue;
            }
            self.line(line)?;
        }
        self.output.state()
    }

    /// Writes out what is buffered.
    pub fn flush(&mut self) -> ControlFlow<()> {
        self.output.flush()
    }

    /// Bytes written so far.
    pub fn printed(&self) -> u64 {
        self.printed
    }

    /// Whether the limit cut something off.
    pub fn was_cut(&self) -> bool {
        self.cut
    }

    fn line(&mut self, line: &Line) -> ControlFlow<()> {
        let mut buffer = [0; Rfc3339::MAX_LEN];
        let stamp = match (&self.style.timestamps, line.at) {
            (Some(zone), Some(at)) => at.rfc3339_in(zone).encode(&mut buffer),
            _ => &[],
        };
        for part in line.text.split_inclusive(|b| *b == b'\n') {
            let safe = if self.output.terminal { sanitize::bytes(part) } else { part.into() };
            let length = (safe.len() + stamp.len() + usize::from(!stamp.is_empty())) as u64;
            if self.style.limit.is_some_and(|limit| self.printed + length > limit) {
                self.cut = true;
                return ControlFlow::Break(());
            }
            self.printed += length;
            if !stamp.is_empty() {
                self.output.put(stamp);
                self.output.put(b" ");
            }
            self.output.put(&safe);
        }
        self.output.state()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    use bytes::Bytes;

    use crate::time::Timestamp;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>, Option<ErrorKind>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if let Some(kind) = self.1 {
                return Err(kind.into());
            }
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn line(text: &'static str) -> Line {
        let at = Some(Timestamp::parse_rfc3339("2026-11-21T03:07:12.5Z").unwrap());
        Line { at, head: None, text: Bytes::from_static(text.as_bytes()) }
    }

    fn printed(terminal: bool, style: Style, lines: &[Line]) -> (String, bool) {
        let sink = Sink::default();
        let mut output = Output::new(Box::new(sink.clone()), terminal);
        let mut text = Text::new(&mut output, style);
        let _ = text.lines(lines);
        let cut = text.was_cut();
        output.finish().unwrap();
        let bytes = sink.0.lock().unwrap().clone();
        (String::from_utf8(bytes).unwrap(), cut)
    }

    #[test]
    fn every_line_of_an_entry_gets_its_time() {
        let style = Style { timestamps: Some(Zone::Utc), limit: None };
        let (text, _) = printed(false, style, &[line("a\n  b\n"), line("c")]);
        let stamp = "2026-11-21T03:07:12.500000Z";
        assert_eq!(text, format!("{stamp} a\n{stamp}   b\n{stamp} c"));
    }

    #[test]
    fn the_limit_cuts_at_a_line_end_and_says_so() {
        let style = |limit| Style { timestamps: None, limit: Some(limit) };
        let lines = [line("one\n"), line("two\n")];
        assert_eq!(printed(false, style(8), &lines), ("one\ntwo\n".into(), false));
        assert_eq!(printed(false, style(7), &lines), ("one\n".into(), true));
        assert_eq!(printed(false, style(3), &lines), (String::new(), true));
    }

    #[test]
    fn only_a_terminal_gets_neutralised_text() {
        let lines = [line("a\x1b[2J\n")];
        assert_eq!(printed(false, Style::default(), &lines).0, "a\x1b[2J\n");
        assert_eq!(printed(true, Style::default(), &lines).0, "a\\x1b[2J\n");
    }

    #[test]
    fn a_closed_pipe_stops_quietly_and_a_full_disk_does_not() {
        for (kind, fails) in [(ErrorKind::BrokenPipe, false), (ErrorKind::StorageFull, true)] {
            let mut output = Output::new(Box::new(Sink(Arc::default(), Some(kind))), false);
            assert!(output.bytes(b"x\n").is_break());
            assert_eq!(output.finish().is_err(), fails);
        }
    }
}
