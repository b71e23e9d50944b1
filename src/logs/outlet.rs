//! Where a lane's log goes: a bounded channel to the one place that collects.

use bytes::{BufMut, Bytes, BytesMut};
use tokio::sync::mpsc;

use crate::error::Error;
use crate::logs::line::Line;

/// What a lane hands on.
#[derive(Debug)]
pub enum Event {
    /// Whole lines as received, nothing known of them.
    Bytes(Bytes),
    /// Entries, oldest first.
    Lines(Vec<Line>),
}

/// Why reading stops before its end.
#[derive(Debug)]
pub enum Halt {
    /// Nobody wants more: the reader has closed, or a limit is reached.
    Stopped,
    /// It failed.
    Failed(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Halt::Failed(error)
    }
}

/// What reading gives: a value, or why it stopped.
pub type Flow<T> = Result<T, Halt>;

/// One lane's end of the channel.
#[derive(Debug)]
pub struct Outlet {
    sender: mpsc::Sender<Event>,
    anything: bool,
    /// Whether what was handed on last ends inside a line.
    mid_line: bool,
    ends: Ends,
}

/// What becomes of a text's last line that has no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// It stays as it is.
    AsTheyAre,
    /// It gets one, since another text follows.
    Whole,
}

impl Outlet {
    /// For one lane.
    pub fn new(sender: mpsc::Sender<Event>) -> Self {
        Outlet { sender, anything: false, mid_line: false, ends: Ends::AsTheyAre }
    }

    /// Hands on whole lines; waits while the collector is behind.
    pub async fn bytes(&mut self, bytes: Bytes) -> Flow<()> {
        let Some(last) = bytes.last() else { return Ok(()) };
        self.mid_line = *last != b'\n';
        self.send(Event::Bytes(bytes)).await
    }

    /// Hands on entries; waits while the collector is behind.
    pub async fn lines(&mut self, lines: Vec<Line>) -> Flow<()> {
        if lines.is_empty() { Ok(()) } else { self.send(Event::Lines(lines)).await }
    }

    /// Hands on the last entries of a text.
    pub async fn last_lines(&mut self, mut lines: Vec<Line>) -> Flow<()> {
        if self.ends == Ends::Whole {
            whole(&mut lines);
        }
        self.lines(lines).await
    }

    /// From now on the last line of a text is treated like this.
    pub fn treat_ends(&mut self, ends: Ends) {
        self.ends = ends;
    }

    /// A text of bytes is over and another follows: that begins on a line of its own.
    pub async fn end_line(&mut self) -> Flow<()> {
        if self.mid_line { self.bytes(Bytes::from_static(b"\n")).await } else { Ok(()) }
    }

    /// Whether anything was handed on yet: from then on no other source may take over.
    pub fn has_spoken(&self) -> bool {
        self.anything
    }

    async fn send(&mut self, event: Event) -> Flow<()> {
        self.anything = true;
        self.sender.send(event).await.map_err(|_| Halt::Stopped)
    }
}

/// Ends the last line, if it has no end.
pub fn whole(lines: &mut [Line]) {
    if let Some(last) = lines.last_mut()
        && !last.text.ends_with(b"\n")
    {
        let mut text = BytesMut::from(&last.text[..]);
        text.put_u8(b'\n');
        last.text = text.freeze();
    }
}
