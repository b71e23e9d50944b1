//! stdout, or a file in its place: one buffer, flushed when nothing more is at hand; a closed pipe is success.

pub mod file;
pub mod quote;

use std::io::{self, ErrorKind, Write};
use std::ops::ControlFlow;

use crate::error::{Error, Kind, Result};

/// Written in one go from here on.
const BUFFER: usize = 64 << 10;

/// Where the answer goes.
pub struct Output {
    writer: Box<dyn Write + Send>,
    /// For an error.
    name: String,
    buffer: Vec<u8>,
    terminal: bool,
    /// Whether the last byte ended a line; true before the first.
    at_line_start: bool,
    /// Whether all that comes stands between quotation marks.
    quotes: bool,
    /// The beginning of a character whose rest has not come yet; only between quotation marks.
    cut: Vec<u8>,
    /// Bytes written.
    written: u64,
    end: Option<End>,
}

enum End {
    /// The reader has gone: nobody wants more, and that is fine.
    Closed,
    Failed(io::Error),
}

impl Output {
    /// To this writer, which must not buffer by itself.
    pub fn new(writer: Box<dyn Write + Send>, terminal: bool) -> Self {
        Output {
            writer,
            name: "stdout".to_owned(),
            buffer: Vec::new(),
            terminal,
            at_line_start: true,
            quotes: false,
            cut: Vec::new(),
            written: 0,
            end: None,
        }
    }

    /// Called so where writing fails.
    pub fn named(mut self, name: String) -> Self {
        self.name = name;
        self
    }

    /// Whether a person sees it at once, as it is.
    pub fn is_terminal(&self) -> bool {
        self.terminal && !self.quotes
    }

    /// Whole lines as they came: past the buffer, uncopied. Break: nobody wants more.
    pub fn bytes(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        if self.quotes {
            self.put(bytes);
            return self.state();
        }
        self.flush()?;
        self.at_line_start = bytes.last().map_or(self.at_line_start, |last| *last == b'\n');
        self.written += bytes.len() as u64;
        let written = self.writer.write_all(bytes);
        self.settle(written);
        self.state()
    }

    /// How many bytes were written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Whether what comes next begins a line.
    pub fn at_line_start(&self) -> bool {
        self.at_line_start
    }

    /// What comes from here on stands between quotation marks, as JSON and YAML want it.
    pub fn begin_quotes(&mut self) {
        self.quotes = true;
        self.at_line_start = true;
    }

    /// The quoted text is at its end.
    pub fn end_quotes(&mut self) {
        self.quotes = false;
        quote::escape(&self.cut, &mut self.buffer);
        self.cut.clear();
    }

    /// A text of our own.
    pub fn text(&mut self, text: &str) -> ControlFlow<()> {
        self.put(text.as_bytes());
        self.state()
    }

    /// Writes out what is buffered.
    pub fn flush(&mut self) -> ControlFlow<()> {
        if !self.buffer.is_empty() && self.end.is_none() {
            self.written += self.buffer.len() as u64;
            let written = self.writer.write_all(&self.buffer).and_then(|()| self.writer.flush());
            self.settle(written);
        }
        self.buffer.clear();
        self.state()
    }

    /// All went well: where nothing was written, that is what stands there.
    pub fn settle_empty(&mut self) {
        if self.flush().is_continue() {
            let flushed = self.writer.flush();
            self.settle(flushed);
        }
    }

    /// The end: what is buffered goes out, and a failure (not a closed pipe) is told.
    pub fn finish(&mut self) -> Result<()> {
        let _ = self.flush();
        match self.end.take() {
            Some(End::Failed(why)) => Err(Error::new(Kind::Failed, format!("writing to {}", self.name)).because(why)),
            Some(End::Closed) | None => Ok(()),
        }
    }

    /// Into the buffer, as it is; written out when that is full.
    pub fn put(&mut self, bytes: &[u8]) {
        self.at_line_start = bytes.last().map_or(self.at_line_start, |last| *last == b'\n');
        if self.quotes {
            self.quoted(bytes);
        } else {
            self.buffer.extend_from_slice(bytes);
        }
        if self.buffer.len() >= BUFFER {
            let _ = self.flush();
        }
    }

    /// What comes is cut anywhere: a character is put together before it is looked at.
    fn quoted(&mut self, mut bytes: &[u8]) {
        while !self.cut.is_empty()
            && let Some((first, rest)) = bytes.split_first()
        {
            self.cut.push(*first);
            bytes = rest;
            let begun = self.cut.split_off(self.cut.len() - quote::unfinished(&self.cut));
            quote::escape(&self.cut, &mut self.buffer);
            self.cut = begun;
        }
        let (whole, rest) = bytes.split_at(bytes.len() - quote::unfinished(bytes));
        quote::escape(whole, &mut self.buffer);
        self.cut.extend_from_slice(rest);
    }

    fn settle(&mut self, written: io::Result<()>) {
        if let Err(why) = written {
            self.end = Some(if why.kind() == ErrorKind::BrokenPipe { End::Closed } else { End::Failed(why) });
        }
    }

    /// Break: nobody wants more.
    pub fn state(&self) -> ControlFlow<()> {
        if self.end.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// Keeps what is written; or fails every time, this way.
    #[derive(Clone, Default)]
    pub(crate) struct Sink(Arc<Mutex<Vec<u8>>>, Option<ErrorKind>);

    impl Sink {
        pub(crate) fn failing(kind: ErrorKind) -> Self {
            Sink(Arc::default(), Some(kind))
        }

        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

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
}

#[cfg(test)]
mod tests {
    use super::testing::Sink;
    use super::*;

    #[test]
    fn a_closed_pipe_stops_quietly_and_a_full_disk_does_not() {
        for (kind, fails) in [(ErrorKind::BrokenPipe, false), (ErrorKind::StorageFull, true)] {
            let mut output = Output::new(Box::new(Sink::failing(kind)), false);
            assert!(output.bytes(b"x\n").is_break());
            assert_eq!(output.finish().is_err(), fails);
        }
    }

    #[test]
    fn a_quoted_character_may_come_in_pieces() {
        let text = b"\xe2\x82\xaca\xf0\x9f\x92\xa9\xc3\xa9 \xe2\x82\xe2\x82\xac\xff\xf0\x9f\xe2\"\xf0\x9f\x92";
        let quoted = |pieces: &[&[u8]]| {
            let sink = Sink::default();
            let mut output = Output::new(Box::new(sink.clone()), false);
            output.begin_quotes();
            pieces.iter().for_each(|piece| output.put(piece));
            output.end_quotes();
            output.put(b"|");
            output.finish().unwrap();
            sink.text()
        };
        let whole = quoted(&[text]);
        assert_eq!(whole, "\u{20ac}a\u{1f4a9}\u{e9} \u{fffd}\u{20ac}\u{fffd}\u{fffd}\u{fffd}\\\"\u{fffd}|");
        for a in 0..text.len() {
            for b in a..text.len() {
                assert_eq!(quoted(&[&text[..a], &text[a..b], &text[b..]]), whole, "cut at {a}, {b}");
            }
        }
        assert_eq!(quoted(&text.chunks(1).collect::<Vec<_>>()), whole);
    }

    #[test]
    fn it_is_known_whether_the_last_line_has_ended() {
        let mut output = Output::new(Box::new(Sink::default()), false);
        assert!(output.at_line_start());
        output.put(b"x");
        assert!(!output.at_line_start());
        let _ = output.bytes(b"y\n");
        output.put(b"");
        assert!(output.at_line_start());
    }
}
