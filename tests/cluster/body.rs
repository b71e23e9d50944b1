//! Response bodies, and the plain answers every handler gives.

use std::any::Any;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use tokio::sync::mpsc;

/// What every handler answers with. An error ends the connection (HTTP/1.1) or resets the stream (HTTP/2).
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;
pub(crate) type Answer = Response<Body>;

/// How much Go's HTTP server gathers before it sends a head: a shorter answer gets a Content-Length, a longer one is chunked.
pub(crate) const GO_BUFFER: usize = 2048;

/// A body known whole.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// An answer known whole, with its length.
pub(crate) fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let body = body.into();
    let mut answer = Response::new(full(body.clone()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    if !content_type.is_empty() {
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    answer
}

/// Go's `http.Error`: the text, a newline, and no guessing of its type.
pub(crate) fn go_error(status: StatusCode, text: &str) -> Answer {
    let mut answer = answer(status, "text/plain; charset=utf-8", format!("{text}\n"));
    answer.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    answer
}

/// Sets a header.
pub(crate) fn set(answer: &mut Answer, name: &'static str, value: &str) {
    let value = HeaderValue::from_bytes(value.as_bytes()).expect("a header value");
    answer.headers_mut().insert(name, value);
}

/// A body that others write while it is sent; the channel's bound is the only buffer.
pub(crate) struct Channel {
    first: VecDeque<Bytes>,
    rest: mpsc::Receiver<io::Result<Bytes>>,
}

impl Channel {
    /// Waits until Go's server would send the head, and answers as it would.
    pub(crate) async fn head(
        mut rest: mpsc::Receiver<io::Result<Bytes>>,
        known_length: bool,
        gather: usize,
    ) -> io::Result<Answer> {
        let mut first = VecDeque::new();
        let mut size = 0;
        let mut ended = false;
        while size <= gather {
            match rest.recv().await {
                Some(Ok(piece)) => {
                    size += piece.len();
                    first.push_back(piece);
                }
                Some(Err(broken)) if first.is_empty() => return Err(broken),
                Some(Err(broken)) => {
                    let (sender, receiver) = mpsc::channel(1);
                    let _ = sender.try_send(Err(broken));
                    rest = receiver;
                    break;
                }
                None => {
                    ended = true;
                    break;
                }
            }
        }
        let mut answer = Response::new(Channel { first, rest }.boxed_unsync());
        if ended && known_length && size <= GO_BUFFER {
            answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(size));
        }
        Ok(answer)
    }

    /// A body of what comes.
    pub(crate) fn body(rest: mpsc::Receiver<io::Result<Bytes>>) -> Body {
        Channel { first: VecDeque::new(), rest }.boxed_unsync()
    }
}

impl HttpBody for Channel {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(piece) = self.first.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        self.rest.poll_recv(context).map(|next| next.map(|piece| piece.map(Frame::data)))
    }
}

/// A stretch of a body: bytes as they are, or a range of the file.
pub(crate) enum Segment {
    Bytes(Bytes),
    Range { start: u64, length: u64 },
}

impl Segment {
    fn length(&self) -> u64 {
        match self {
            Segment::Bytes(bytes) => bytes.len() as u64,
            Segment::Range { length, .. } => *length,
        }
    }
}

/// A body read from a file as it is sent.
pub(crate) struct FileBody {
    file: File,
    segments: VecDeque<Segment>,
    /// Of the segments not yet sent.
    left: u64,
}

impl FileBody {
    /// The segments of `file`, in order.
    pub(crate) fn new(file: File, segments: Vec<Segment>) -> FileBody {
        let left = segments.iter().map(Segment::length).sum();
        FileBody { file, segments: segments.into(), left }
    }

    /// Its size.
    pub(crate) fn length(&self) -> u64 {
        self.left
    }

    fn next(&mut self) -> io::Result<Option<Bytes>> {
        const PIECE: u64 = 64 * 1024;
        loop {
            match self.segments.front_mut() {
                None => return Ok(None),
                Some(Segment::Range { length: 0, .. }) => {
                    self.segments.pop_front();
                }
                Some(Segment::Bytes(bytes)) => {
                    let bytes = std::mem::take(bytes);
                    self.segments.pop_front();
                    return Ok(Some(bytes));
                }
                Some(Segment::Range { start, length }) => {
                    let mut piece = vec![0; PIECE.min(*length) as usize];
                    self.file.seek(SeekFrom::Start(*start))?;
                    let read = self.file.read(&mut piece)?;
                    if read == 0 {
                        return Err(io::Error::other("the file shrank"));
                    }
                    piece.truncate(read);
                    *start += read as u64;
                    *length -= read as u64;
                    return Ok(Some(piece.into()));
                }
            }
        }
    }
}

impl HttpBody for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Poll::Ready(match self.next() {
            Ok(None) => None,
            Ok(Some(piece)) => {
                self.left -= piece.len() as u64;
                Some(Ok(Frame::data(piece)))
            }
            Err(broken) => Some(Err(broken)),
        })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// A body that does not tell its length, so that HTTP/1.1 sends it chunked.
pub(crate) fn unsized_body(body: Body) -> Body {
    Unsized(body).boxed_unsync()
}

struct Unsized(Body);

impl HttpBody for Unsized {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Pin::new(&mut self.0).poll_frame(context)
    }
}

/// A body that adds to `sent` what is taken from it, and drops `until` at its end.
pub(crate) fn counted(body: Body, sent: Arc<AtomicU64>, until: Box<dyn Any + Send>) -> Body {
    Counted { body, sent, until: Some(until) }.boxed_unsync()
}

struct Counted {
    body: Body,
    sent: Arc<AtomicU64>,
    until: Option<Box<dyn Any + Send>>,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.sent.fetch_add(frame.data_ref().map_or(0, |data| data.len() as u64), Ordering::SeqCst);
        } else if polled.is_ready() {
            self.until = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
