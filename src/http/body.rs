//! A response's body, frame by frame: data as it arrived, gzip decoded, and an early end told apart from a clean one.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::Version;
use hyper::body::{Body as _, Frame, Incoming};

use super::gzip::Gunzip;
use super::pool::Turn;
use crate::clock::Clock;

/// A body being read. Dropping it early gives up the rest.
pub struct Body {
    wire: Arc<Mutex<Wire>>,
    gunzip: Option<Box<Unpacking>>,
    /// Frames put back by [`Body::unread`], given before anything else.
    back: VecDeque<Bytes>,
    /// Bytes given so far, decoded.
    given: u64,
    /// How long the next bytes may take.
    patience: Option<Duration>,
}

enum Wire {
    Open {
        incoming: Incoming,
        /// HTTP/1.1 or HTTP/2.
        version: Version,
        /// Counts this body among its connection's streams until it is over.
        _turn: Turn,
    },
    Over,
    /// Somebody else let go of it.
    LetGo,
}

/// What may let go of a body that somebody else reads.
#[derive(Clone)]
pub struct Grip(Weak<Mutex<Wire>>);

impl Grip {
    /// Whether there is still something to let go of.
    pub fn holds(&self) -> bool {
        self.0.upgrade().is_some_and(|wire| matches!(*lock(&wire), Wire::Open { .. }))
    }

    /// Ends the body as if its connection had broken, and frees its stream. Not while [`Body::frame`] is being waited for.
    pub fn let_go(&self) {
        let Some(wire) = self.0.upgrade() else { return };
        let mut wire = lock(&wire);
        if matches!(*wire, Wire::Open { .. }) {
            *wire = Wire::LetGo;
        }
    }
}

impl fmt::Debug for Grip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grip").finish_non_exhaustive()
    }
}

fn lock(wire: &Mutex<Wire>) -> MutexGuard<'_, Wire> {
    wire.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Wire {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let (incoming, version) = match self {
            Wire::Open { incoming, version, .. } => (incoming, *version),
            Wire::Over => return Poll::Ready(None),
            Wire::LetGo => return Poll::Ready(Some(Err(Broken::LetGo))),
        };
        match Pin::new(&mut *incoming).poll_frame(context) {
            Poll::Pending => Poll::Pending,
            // hyper takes a stream reset without an error code for a clean end; only the end mark is one.
            Poll::Ready(None) if version == Version::HTTP_2 && !incoming.is_end_stream() => {
                Poll::Ready(Some(Err(Broken::GivenUp)))
            }
            Poll::Ready(frame) => Poll::Ready(frame.map(|frame| frame.map_err(Broken::Told))),
        }
    }
}

enum Broken {
    Told(hyper::Error),
    GivenUp,
    LetGo,
}

#[derive(Default)]
struct Unpacking {
    decoder: Gunzip,
    /// Compressed bytes that arrived and were not decoded yet.
    input: Bytes,
}

/// A body that ended before its announced end, or could not be read to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyError {
    ended: Ended,
    given: u64,
    why: String,
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The connection or the HTTP/2 stream was reset.
    Reset,
    /// The connection was closed, or the compressed data ran out, before the announced end.
    Truncated,
    /// The peer fell silent: keep-alive pings or TCP itself gave up, or the reader's patience ended.
    Timeout,
    /// What arrived breaks the rules of its framing or compression.
    Corrupt,
    /// More came than the reader allowed.
    TooLong,
}

impl Ended {
    /// Whether asking for the rest once more makes sense.
    pub fn resumable(self) -> bool {
        matches!(self, Ended::Reset | Ended::Truncated | Ended::Timeout)
    }
}

impl Body {
    /// A body of bytes already here.
    pub fn of(bytes: impl Into<Bytes>) -> Self {
        let mut body = Body::new(Wire::Over, None);
        body.unread(bytes.into());
        body
    }

    fn new(wire: Wire, gunzip: Option<Box<Unpacking>>) -> Self {
        Body { wire: Arc::new(Mutex::new(wire)), gunzip, back: VecDeque::new(), given: 0, patience: None }
    }

    /// The body of an answer; `gzip` says that its bytes are compressed.
    pub(super) fn incoming(body: Incoming, version: Version, gzip: bool, turn: Turn) -> Self {
        Body::new(Wire::Open { incoming: body, version, _turn: turn }, gzip.then(Box::default))
    }

    /// A way to let go of it while somebody else reads it, or has stopped to.
    pub fn grip(&self) -> Grip {
        Grip(Arc::downgrade(&self.wire))
    }

    /// The next bytes, never empty, uncopied unless they had to be decoded; `None` at the clean end. After an error comes
    /// `None`. Dropping the future loses nothing.
    pub async fn frame(&mut self) -> Option<Result<Bytes, BodyError>> {
        let next = match self.back.pop_front() {
            Some(bytes) => Some(Ok(bytes)),
            None => match Clock::System.within(self.patience, self.step()).await {
                Some(next) => next,
                None => {
                    let seconds = self.patience.unwrap_or_default().as_secs_f32();
                    Some(Err(self.error(Ended::Timeout, &format!("nothing came for {seconds} s"))))
                }
            },
        };
        match &next {
            Some(Ok(bytes)) => self.given += bytes.len() as u64,
            Some(Err(_)) | None => {
                *lock(&self.wire) = Wire::Over;
                self.gunzip = None;
            }
        }
        next
    }

    /// From now on a body that brings nothing for this long has ended.
    pub fn limit_silence(&mut self, patience: Duration) {
        self.patience = Some(patience);
    }

    /// Puts bytes back: the next [`Body::frame`] gives them again.
    pub fn unread(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.given = self.given.saturating_sub(bytes.len() as u64);
            self.back.push_front(bytes);
        }
    }

    /// All of it, in one piece; an error when there is more than `limit` bytes.
    pub async fn collect(mut self, limit: usize) -> Result<Bytes, BodyError> {
        let Some(first) = self.frame().await.transpose()? else { return Ok(Bytes::new()) };
        if first.len() > limit {
            return Err(self.too_long(limit));
        }
        let Some(second) = self.frame().await.transpose()? else { return Ok(first) };
        let mut all = BytesMut::from(first);
        let mut next = Some(second);
        while let Some(bytes) = next {
            if all.len() + bytes.len() > limit {
                return Err(self.too_long(limit));
            }
            all.extend_from_slice(&bytes);
            next = self.frame().await.transpose()?;
        }
        Ok(all.freeze())
    }

    /// The first `limit` bytes at most, for words to show: how the body ends does not matter. What follows stays to be read.
    pub async fn beginning(&mut self, limit: usize) -> Bytes {
        let mut all = BytesMut::new();
        while all.len() < limit {
            let Some(Ok(mut bytes)) = self.frame().await else { break };
            self.unread(bytes.split_off(bytes.len().min(limit - all.len())));
            all.extend_from_slice(&bytes);
        }
        all.freeze()
    }

    /// Bytes given so far, after decoding.
    pub fn given(&self) -> u64 {
        self.given
    }

    async fn step(&mut self) -> Option<Result<Bytes, BodyError>> {
        loop {
            if let Some(unpacking) = &mut self.gunzip {
                while !unpacking.input.is_empty() {
                    match unpacking.decoder.step(&mut unpacking.input) {
                        Ok(bytes) if bytes.is_empty() => {}
                        Ok(bytes) => return Some(Ok(bytes)),
                        Err(_) => return Some(Err(self.error(Ended::Corrupt, "the gzip data is damaged"))),
                    }
                }
            }
            let wire = &self.wire;
            let arrived = poll_fn(|context| lock(wire).poll(context)).await;
            match (arrived, &mut self.gunzip) {
                (Some(Ok(frame)), unpacking) => match (frame.into_data(), unpacking) {
                    // Trailers say nothing we use; an empty frame is no news.
                    (Err(_), _) => {}
                    (Ok(bytes), _) if bytes.is_empty() => {}
                    (Ok(bytes), Some(unpacking)) => unpacking.input = bytes,
                    (Ok(bytes), None) => return Some(Ok(bytes)),
                },
                (Some(Err(broken)), _) => {
                    let (ended, why) = match broken {
                        Broken::Told(error) => told(&error),
                        Broken::GivenUp => (Ended::Reset, "the server gave up the stream".to_owned()),
                        Broken::LetGo => (Ended::Reset, "it was left to make room for others".to_owned()),
                    };
                    return Some(Err(self.error(ended, &why)));
                }
                (None, None) => return None,
                (None, Some(unpacking)) => {
                    *lock(&self.wire) = Wire::Over;
                    return match unpacking.decoder.finish() {
                        Ok(()) => None,
                        Err(_) => Some(Err(self.error(Ended::Truncated, "the gzip data ends too early"))),
                    };
                }
            }
        }
    }

    fn error(&self, ended: Ended, why: &str) -> BodyError {
        BodyError { ended, given: self.given, why: why.to_owned() }
    }

    fn too_long(&self, limit: usize) -> BodyError {
        self.error(Ended::TooLong, &format!("more than the {limit} bytes allowed"))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("given", &self.given).finish_non_exhaustive()
    }
}

/// What a failure of the connection means for a body, in a word and in words.
fn told(error: &hyper::Error) -> (Ended, String) {
    if error.is_timeout() {
        return (Ended::Timeout, "no answer to keep-alive pings".to_owned());
    }
    let closed = || (Ended::Truncated, "the server closed the connection".to_owned());
    if error.is_incomplete_message() {
        return closed();
    }
    match super::failure::io_beneath(error).map(io::Error::kind) {
        Some(io::ErrorKind::UnexpectedEof) => closed(),
        Some(io::ErrorKind::TimedOut) => (Ended::Timeout, "the connection timed out".to_owned()),
        Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => {
            (Ended::Corrupt, super::failure::innermost(error))
        }
        _ => match super::failure::innermost(error) {
            // All that h2 says to streams whose connection is gone, also after unanswered pings.
            why if why.ends_with("because of a broken pipe") => {
                (Ended::Reset, "the connection was closed or fell silent".to_owned())
            }
            why => (Ended::Reset, why),
        },
    }
}

impl BodyError {
    /// How the body ended.
    pub fn ended(&self) -> Ended {
        self.ended
    }

    /// Bytes given before, after decoding.
    pub fn given(&self) -> u64 {
        self.given
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.ended {
            Ended::Reset => "connection lost",
            Ended::Truncated => "answer cut off",
            Ended::Timeout => "server fell silent",
            Ended::Corrupt => "answer damaged",
            Ended::TooLong => "answer too long",
        };
        write!(f, "{what} after {} bytes: {}", self.given, self.why)
    }
}

impl std::error::Error for BodyError {}
