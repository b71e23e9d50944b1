//! Where a lane's log goes: to the one place that collects, as far as its credit reaches.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::sync::{Semaphore, mpsc};

use crate::error::Error;
use crate::logs::line::Line;
use crate::logs::place::Place;
use crate::time::Timestamp;

/// What a lane hands on.
#[derive(Debug)]
pub enum Event {
    /// Whole lines as received, nothing known of them.
    Bytes(Bytes),
    /// Entries, oldest first.
    Lines(Vec<Line>),
}

impl Event {
    /// Of the log, as it was received.
    pub fn bytes(&self) -> u64 {
        match self {
            Event::Bytes(bytes) => bytes.len() as u64,
            Event::Lines(lines) => lines.iter().map(|line| line.text.len() as u64).sum(),
        }
    }
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

/// What a lane tells the collector.
#[derive(Debug)]
pub enum Told {
    /// It has found its place and begins to read.
    Begun,
    /// More of its log.
    Event(Event),
    /// It waits for credit: what it has handed on must go out before it goes on.
    Presses,
    /// It has come to the present: from now on it is followed.
    Live,
    /// A look begins.
    Looks,
    /// A look that began at this time went well: what the next one brings was written later.
    Looked(Timestamp),
    /// It can't be reached or read for now, and tries again.
    Fails(Error),
    /// Some of its lines are gone, and this says which.
    Lost(Error),
    /// It has ended: whether there was anything, or how it failed.
    Ended(Result<bool, Error>),
}

/// How many bytes of a lane may wait to be collected. A lane that has used it up pauses until some of it is given back.
#[derive(Clone, Debug)]
pub struct Credit {
    left: Arc<Semaphore>,
    /// The whole of it: an entry that is longer takes this much.
    whole: usize,
}

impl Credit {
    /// For so many bytes.
    pub fn new(bytes: usize) -> Self {
        Credit { left: Arc::new(Semaphore::new(bytes)), whole: bytes }
    }

    /// What an entry takes of it.
    pub fn cost_of(&self, line: &Line) -> usize {
        line.weight().min(self.whole)
    }

    /// What a piece takes of it.
    pub fn cost_of_bytes(&self, bytes: &Bytes) -> usize {
        bytes.len().min(self.whole)
    }

    /// Something was collected.
    pub fn give_back(&self, cost: usize) {
        self.left.add_permits(cost);
    }

    /// Takes it at once, if there is so much.
    fn try_take(&self, cost: usize) -> bool {
        let taken = self.left.try_acquire_many(u32::try_from(cost).unwrap_or(u32::MAX));
        taken.map(|taken| taken.forget()).is_ok()
    }

    async fn take(&self, cost: usize) {
        let cost = u32::try_from(cost).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        if let Ok(taken) = self.left.acquire_many(cost).await {
            taken.forget();
        }
    }
}

/// One lane's way to the collector.
#[derive(Debug)]
pub struct Outlet {
    lane: usize,
    sender: mpsc::UnboundedSender<(usize, Told)>,
    credit: Credit,
    place: Place,
    /// Bytes that the lane may hold by itself, before it hands them on.
    room: usize,
    anything: bool,
    /// Whether what was handed on last ends inside a line.
    mid_line: bool,
    ends: Ends,
}

/// One lane's word to the collector, beside its log.
#[derive(Clone, Debug)]
pub struct Teller {
    lane: usize,
    sender: mpsc::UnboundedSender<(usize, Told)>,
}

impl Teller {
    /// Tells it. A collector that is gone does not want to know.
    pub fn tell(&self, told: Told) {
        let _ = self.sender.send((self.lane, told));
    }
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
    /// For the lane of this number.
    pub fn new(lane: usize, sender: mpsc::UnboundedSender<(usize, Told)>, credit: Credit, place: Place) -> Self {
        let room = credit.whole;
        Outlet { lane, sender, credit, place, room, anything: false, mid_line: false, ends: Ends::AsTheyAre }
    }

    /// The lane may hold so many bytes by itself, where it has to before it hands them on; as many as its credit, unless said.
    pub fn with_room(self, room: usize) -> Self {
        Outlet { room, ..self }
    }

    /// See [`Outlet::with_room`]. Who has more than that reads it a second time, in its order.
    pub fn room(&self) -> usize {
        self.room
    }

    /// What speaks for the lane.
    pub fn teller(&self) -> Teller {
        Teller { lane: self.lane, sender: self.sender.clone() }
    }

    /// The lane waits, and reads nothing meanwhile.
    pub fn rest(&mut self) {
        self.place.leave();
    }

    /// Waits until the lane may read.
    pub async fn begin(&mut self) {
        self.place.take().await;
        let _ = self.sender.send((self.lane, Told::Begun));
    }

    /// Hands on whole lines; waits while the collector is behind.
    pub async fn bytes(&mut self, bytes: Bytes) -> Flow<()> {
        let Some(last) = bytes.last() else { return Ok(()) };
        self.mid_line = *last != b'\n';
        self.pay(self.credit.cost_of_bytes(&bytes)).await;
        self.send(Event::Bytes(bytes))
    }

    /// Hands on entries; waits while the collector is behind.
    pub async fn lines(&mut self, mut lines: Vec<Line>) -> Flow<()> {
        while !lines.is_empty() {
            let mut cost = 0;
            let mut fitting = 0;
            for line in &lines {
                let more = self.credit.cost_of(line);
                if cost + more > self.credit.whole {
                    break;
                }
                (cost, fitting) = (cost + more, fitting + 1);
            }
            let rest = lines.split_off(fitting.max(1));
            self.pay(cost).await;
            self.send(Event::Lines(std::mem::replace(&mut lines, rest)))?;
        }
        Ok(())
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

    /// The log was read to its present end; what comes now is new.
    pub fn live(&mut self) {
        self.place.leave();
        // A collector that is gone does not want to know.
        let _ = self.sender.send((self.lane, Told::Live));
    }

    /// Whether anything was handed on yet: from then on no other source may take over.
    pub fn has_spoken(&self) -> bool {
        self.anything
    }

    /// The lane has ended.
    pub fn end(self, how: Result<bool, Error>) {
        // A collector that is gone does not want to know.
        let _ = self.sender.send((self.lane, Told::Ended(how)));
    }

    /// Waits for credit, and leaves the place meanwhile to a lane that wants one.
    async fn pay(&mut self, cost: usize) {
        if self.credit.try_take(cost) {
            return;
        }
        let _ = self.sender.send((self.lane, Told::Presses));
        tokio::select! {
            biased;
            () = self.credit.take(cost) => return,
            () = self.place.wanted() => {}
        }
        self.place.leave();
        self.credit.take(cost).await;
        self.place.take().await;
    }

    fn send(&mut self, event: Event) -> Flow<()> {
        self.anything = true;
        self.sender.send((self.lane, Told::Event(event))).map_err(|_| Halt::Stopped)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn line(length: usize) -> Line {
        Line::new(None, Bytes::from(vec![b'x'; length]))
    }

    #[tokio::test]
    async fn a_lane_pauses_when_its_credit_is_used_up() {
        let (sender, mut told) = mpsc::unbounded_channel();
        let credit = Credit::new(1000);
        let mut outlet = Outlet::new(7, sender, credit.clone(), Place::default());
        let lane = tokio::spawn(async move {
            outlet.lines((0..10).map(|_| line(300)).collect()).await.unwrap();
            outlet.lines(vec![line(5000)]).await.unwrap();
            outlet.bytes(Bytes::from(vec![b'x'; 5000])).await.unwrap();
            outlet.end(Ok(true));
        });
        let (mut entries, mut most) = (0, 0);
        loop {
            let (number, told) = told.recv().await.unwrap();
            assert_eq!(number, 7);
            match told {
                Told::Event(Event::Lines(lines)) => {
                    let cost = lines.iter().map(|line| credit.cost_of(line)).sum();
                    assert!(cost <= 1000 && !lines.is_empty());
                    (entries, most) = (entries + lines.len(), most.max(lines.len()));
                    credit.give_back(cost);
                }
                Told::Event(Event::Bytes(bytes)) => credit.give_back(credit.cost_of_bytes(&bytes)),
                Told::Ended(how) => break assert!(how.unwrap()),
                _ => {}
            }
        }
        assert_eq!((entries, most), (11, 2));
        assert_eq!(credit.left.available_permits(), 1000);
        lane.await.unwrap();
    }

    #[tokio::test]
    async fn nobody_listening_ends_a_lane() {
        let (sender, told) = mpsc::unbounded_channel();
        drop(told);
        let mut outlet = Outlet::new(0, sender, Credit::new(10), Place::default());
        assert!(matches!(outlet.bytes(Bytes::from_static(b"x")).await, Err(Halt::Stopped)));
    }
}
