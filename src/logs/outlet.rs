//! Where a lane's log goes: a bounded channel to the one place that collects.

use bytes::Bytes;
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
}

impl Outlet {
    /// For one lane.
    pub fn new(sender: mpsc::Sender<Event>) -> Self {
        Outlet { sender, anything: false }
    }

    /// Hands on whole lines; waits while the collector is behind.
    pub async fn bytes(&mut self, bytes: Bytes) -> Flow<()> {
        if bytes.is_empty() { Ok(()) } else { self.send(Event::Bytes(bytes)).await }
    }

    /// Hands on entries; waits while the collector is behind.
    pub async fn lines(&mut self, lines: Vec<Line>) -> Flow<()> {
        if lines.is_empty() { Ok(()) } else { self.send(Event::Lines(lines)).await }
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
