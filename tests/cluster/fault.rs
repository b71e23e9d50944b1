//! Injected faults: what goes wrong between server and client, for which requests.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::{Body as HttpBody, Frame};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Sleep;

use super::api::status;
use super::body::{Answer, Body, set, unsized_body};
use super::ranges::Habit;

/// Something that goes wrong, and when.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    what: What,
    node: Option<String>,
    path: String,
    nth: Nth,
    certain: bool,
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// The body breaks off after so many bytes, as when a kubelet is killed: no last chunk, or RST_STREAM.
    CutAfter(usize),
    /// The body ends after so many bytes as if that were all.
    EndAfter(usize),
    /// After so many bytes nothing more comes, until the client gives up.
    StallAfter(usize),
    /// So many bytes, then nothing for so long, then a clean end: what a query's 30 s limit looks like.
    EndAfterPause(usize, Duration),
    /// This happens on the node before the request is answered.
    Do(Deed),
    /// Nothing for so long, then the answer.
    Delay(Duration),
    /// The answer in pieces of so many bytes with a pause between them.
    Drip(usize, Duration),
    /// The server is asked too much: 429 and when to come back.
    TooManyRequests { retry_after: u64 },
    /// This status as the API server's own failure.
    Status(StatusCode),
    /// This text in place of the answer, as from a proxy in between.
    Text { status: StatusCode, content_type: &'static str, body: String },
    /// The answer, and the wish that no more requests use this connection (GOAWAY, or `Connection: close`).
    Goaway,
    /// The connection is reset instead of an answer.
    Reset,
    /// The connection is reset after so many bytes of the body.
    ResetAfter(usize),
    /// The connection closes instead of an answer.
    Close,
    /// A compressed body that ends so many bytes early, though HTTP says it is whole.
    TruncatedGzip(usize),
    /// The Content-Length is off by so much.
    LyingLength(i64),
    /// Byte ranges fare badly on the way.
    Ranges(Habit),
}

/// Something that happens while a request is under way.
#[derive(Clone)]
pub(crate) struct Deed(Arc<dyn Fn() + Send + Sync>);

impl std::fmt::Debug for Deed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Deed")
    }
}

impl What {
    /// This, before the request is answered.
    pub(crate) fn deed(deed: impl Fn() + Send + Sync + 'static) -> What {
        What::Do(Deed(Arc::new(deed)))
    }
}

/// Of the requests that fit, which ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nth {
    Every,
    /// Counted from 1.
    Only(usize),
    /// The first so many.
    First(usize),
}

impl Fault {
    /// For every request.
    pub(crate) fn new(what: What) -> Fault {
        Fault { what, node: None, path: String::new(), nth: Nth::Every, certain: true }
    }

    /// Only for requests to this node.
    pub(crate) fn node(mut self, name: &str) -> Fault {
        self.node = Some(name.to_owned());
        self
    }

    /// Only for requests whose path and query hold this.
    pub(crate) fn path(mut self, part: &str) -> Fault {
        part.clone_into(&mut self.path);
        self
    }

    /// Only for the nth of them, counted from 1.
    pub(crate) fn nth(mut self, nth: usize) -> Fault {
        self.nth = Nth::Only(nth);
        self
    }

    /// Only for the first so many of them.
    pub(crate) fn first(mut self, count: usize) -> Fault {
        self.nth = Nth::First(count);
        self
    }

    /// Where the test does not know whether it will strike.
    pub(crate) fn perhaps(mut self) -> Fault {
        self.certain = false;
        self
    }
}

/// A fault that strikes a request.
pub(crate) struct Strike {
    pub(crate) what: What,
    /// Counts the answers that were another for it: a body that ends before it would be cut is not.
    felt: Arc<AtomicUsize>,
}

impl Strike {
    fn is_felt(&self) {
        self.felt.fetch_add(1, Ordering::SeqCst);
    }
}

/// An injected fault, how often it has fitted, and how often it was felt.
#[derive(Debug)]
struct Injected {
    fault: Fault,
    fitted: usize,
    felt: Arc<AtomicUsize>,
}

/// The faults of a running cluster.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Vec<Injected>>);

impl Faults {
    /// Adds one.
    pub(crate) fn inject(&self, fault: Fault) {
        let added = Injected { fault, fitted: 0, felt: Arc::default() };
        self.0.lock().expect("no panic while choosing").push(added);
    }

    /// Ends all of them, and gives those that nobody felt, though the test that injected them was certain of it.
    #[must_use]
    pub(crate) fn clear(&self) -> Vec<Fault> {
        let injected = std::mem::take(&mut *self.0.lock().expect("no panic while choosing"));
        let missed = |one: &Injected| one.fault.certain && one.felt.load(Ordering::SeqCst) == 0;
        injected.into_iter().filter(missed).map(|one| one.fault).collect()
    }

    /// What goes wrong with a request, which counts for each fault that it fits; the first that strikes does.
    pub(crate) fn strike(&self, node: Option<&str>, target: &str) -> Option<Strike> {
        let mut struck = None;
        for Injected { fault, fitted, felt } in self.0.lock().expect("no panic while choosing").iter_mut() {
            if !target.contains(&fault.path) || fault.node.as_deref().is_some_and(|name| node != Some(name)) {
                continue;
            }
            *fitted += 1;
            let strikes = match fault.nth {
                Nth::Every => true,
                Nth::Only(nth) => *fitted == nth,
                Nth::First(first) => *fitted <= first,
            };
            if strikes && struck.is_none() {
                struck = Some(Strike { what: fault.what.clone(), felt: Arc::clone(felt) });
            }
        }
        struck
    }
}

/// A connection as a fault reaches it.
#[derive(Debug, Default)]
pub(crate) struct Control {
    pub(crate) goaway: Notify,
    pub(crate) kill: Notify,
    pub(crate) reset: AtomicBool,
    /// Bytes written so far, and of those the ones that have left.
    written: AtomicUsize,
    flushed: AtomicUsize,
    waiting: Mutex<Vec<Waker>>,
}

impl Control {
    /// Ends the connection with a reset.
    pub(crate) fn reset(&self) {
        self.reset.store(true, Ordering::SeqCst);
        self.kill.notify_one();
    }

    /// Whether so many bytes have left; if not, wakes who asks when more have.
    fn has_flushed(&self, bytes: usize, context: &Context<'_>) -> bool {
        self.waiting.lock().expect("no panic while waking").push(context.waker().clone());
        self.flushed.load(Ordering::SeqCst) >= bytes
    }
}

/// A connection's stream that tells its [`Control`] what has left.
pub(crate) struct Watched<T> {
    pub(crate) inner: T,
    pub(crate) control: Arc<Control>,
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, into)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = &written {
            self.control.written.fetch_add(*count, Ordering::SeqCst);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(context);
        if flushed.is_ready() {
            self.control.flushed.store(self.control.written.load(Ordering::SeqCst), Ordering::SeqCst);
            for waker in self.control.waiting.lock().expect("no panic while waking").drain(..) {
                waker.wake();
            }
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

/// Applied before the request is looked at: an answer instead, or none at all.
pub(crate) async fn before(strike: &Strike, control: &Control) -> Option<io::Result<Answer>> {
    use What::*;
    if let TooManyRequests { .. } | Status(_) | Text { .. } | Do(_) | Delay(_) | Goaway | Reset | Close | Ranges(_) =
        strike.what
    {
        strike.is_felt();
    }
    instead(&strike.what, control).await
}

async fn instead(what: &What, control: &Control) -> Option<io::Result<Answer>> {
    match what {
        What::TooManyRequests { retry_after } => {
            let mut answer = status(
                StatusCode::TOO_MANY_REQUESTS,
                "the server has received too many requests and has asked us to try again later",
                "TooManyRequests",
                Some(&format!("{{\"retryAfterSeconds\":{retry_after}}}")),
            );
            set(&mut answer, "retry-after", &retry_after.to_string());
            Some(Ok(answer))
        }
        What::Status(code) => {
            let (message, reason) = match *code {
                StatusCode::SERVICE_UNAVAILABLE => {
                    ("the server is currently unable to handle the request", "ServiceUnavailable")
                }
                StatusCode::GATEWAY_TIMEOUT => (
                    "the server was unable to return a response in the time allotted, but may still be processing the request",
                    "Timeout",
                ),
                StatusCode::INTERNAL_SERVER_ERROR => {
                    ("an error on the server has prevented the request from succeeding", "InternalError")
                }
                _ => ("the server rejected our request for an unknown reason", "Unknown"),
            };
            Some(Ok(status(*code, message, reason, None)))
        }
        What::Text { status, content_type, body } => Some(Ok(super::body::answer(*status, content_type, body.clone()))),
        What::Do(Deed(deed)) => {
            deed();
            None
        }
        What::Delay(time) => {
            tokio::time::sleep(*time).await;
            None
        }
        What::Reset => {
            control.reset();
            // The connection is gone before this could be answered.
            std::future::pending::<()>().await;
            None
        }
        What::Close => Some(Err(io::Error::other("closed by a fault"))),
        What::Goaway => {
            control.goaway.notify_one();
            None
        }
        _ => None,
    }
}

/// Applied to the answer.
pub(crate) async fn after(strike: Strike, mut answer: Answer, control: Arc<Control>) -> io::Result<Answer> {
    let end = match strike.what.clone() {
        What::CutAfter(bytes) => (bytes, End::Break),
        What::EndAfter(bytes) => (bytes, End::Clean),
        What::StallAfter(bytes) => (bytes, End::Never),
        What::EndAfterPause(bytes, pause) => (bytes, End::Pause(pause)),
        What::ResetAfter(bytes) => (bytes, End::Reset),
        What::TruncatedGzip(bytes) => {
            let (head, body) = answer.into_parts();
            let whole = body.collect().await?.to_bytes();
            strike.is_felt();
            let short = whole.slice(..whole.len().saturating_sub(bytes));
            let mut answer = Answer::from_parts(head, unsized_body(super::body::full(short)));
            answer.headers_mut().remove("content-length");
            return Ok(answer);
        }
        What::LyingLength(by) => {
            let (head, body) = answer.into_parts();
            let whole = body.collect().await?.to_bytes();
            strike.is_felt();
            let claimed = (whole.len() as i64 + by).max(0);
            let mut answer = Answer::from_parts(head, unsized_body(super::body::full(whole)));
            set(&mut answer, "content-length", &claimed.to_string());
            return Ok(answer);
        }
        What::Ranges(habit) => return habit.pass_back(answer).await,
        What::Drip(bytes, pause) => {
            strike.is_felt();
            return Ok(
                answer.map(|body| Drip { inner: body, bytes, pause, rest: Bytes::new(), waiting: None }.boxed_unsync())
            );
        }
        _ => return Ok(answer),
    };
    let (left, end) = end;
    if matches!(end, End::Clean | End::Pause(_)) {
        answer.headers_mut().remove("content-length");
    }
    Ok(answer.map(|body| {
        Cut { inner: body, left, end, control, leaving: 0, waiting: None, strike: Some(strike) }.boxed_unsync()
    }))
}

enum End {
    Break,
    Clean,
    Never,
    Pause(Duration),
    Reset,
}

/// A body that ends early.
struct Cut {
    inner: Body,
    left: usize,
    end: End,
    control: Arc<Control>,
    /// How many bytes the connection has written when the last of these has left.
    leaving: usize,
    waiting: Option<Pin<Box<Sleep>>>,
    /// Until it is felt.
    strike: Option<Strike>,
}

impl HttpBody for Cut {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        if this.left > 0 {
            return match Pin::new(&mut this.inner).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    let mut data = frame.into_data().unwrap_or_default();
                    data.truncate(this.left);
                    this.left -= data.len();
                    this.leaving = this.control.written.load(Ordering::SeqCst) + data.len();
                    Poll::Ready(Some(Ok(Frame::data(data))))
                }
                other => other,
            };
        }
        if let Some(strike) = this.strike.take() {
            strike.is_felt();
        }
        // hyper throws away what it has not flushed when a body fails. Bytes of other frames count too, so a moment more.
        if matches!(this.end, End::Break | End::Reset) {
            if !this.control.has_flushed(this.leaving, context) {
                return Poll::Pending;
            }
            let moment = this.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(Duration::from_millis(10))));
            if Future::poll(moment.as_mut(), context).is_pending() {
                return Poll::Pending;
            }
        }
        match &this.end {
            End::Break => Poll::Ready(Some(Err(io::Error::other("cut by a fault")))),
            End::Clean => Poll::Ready(None),
            End::Never => Poll::Pending,
            End::Pause(pause) => {
                let pause = *pause;
                let waiting = this.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(pause)));
                Future::poll(waiting.as_mut(), context).map(|()| None)
            }
            End::Reset => {
                this.control.reset();
                Poll::Pending
            }
        }
    }
}

/// A body in small pieces.
struct Drip {
    inner: Body,
    bytes: usize,
    pause: Duration,
    rest: Bytes,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl HttpBody for Drip {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        if let Some(waiting) = &mut this.waiting {
            if Future::poll(waiting.as_mut(), context).is_pending() {
                return Poll::Pending;
            }
            this.waiting = None;
        }
        if this.rest.is_empty() {
            match Pin::new(&mut this.inner).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => this.rest = frame.into_data().unwrap_or_default(),
                other => return other,
            }
        }
        let piece = this.rest.split_to(this.rest.len().min(this.bytes));
        this.waiting = Some(Box::pin(tokio::time::sleep(this.pause)));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_what_it_names() {
        let faults = Faults::default();
        let strike = |node: &str, target: &str| faults.strike(Some(node), target).map(|strike| strike.what);
        faults.inject(Fault::new(What::CutAfter(1)).node("a").path("query=kubelet").nth(2));
        faults.inject(Fault::new(What::Reset).first(1));
        assert!(matches!(strike("a", "/logs/?query=kubelet"), Some(What::Reset)));
        assert!(strike("b", "/logs/?query=kubelet").is_none());
        assert!(strike("a", "/logs/").is_none());
        assert!(matches!(strike("a", "/logs/?query=kubelet"), Some(What::CutAfter(1))));
        assert!(strike("a", "/logs/?query=kubelet").is_none());
    }

    #[tokio::test]
    async fn a_fault_that_nobody_felt_is_told() {
        let faults = Faults::default();
        let clear = || faults.clear().iter().map(|fault| format!("{:?}", fault.what)).collect::<Vec<_>>();
        faults.inject(Fault::new(What::Goaway).path("elsewhere"));
        faults.inject(Fault::new(What::Reset).perhaps());
        assert_eq!(clear(), ["Goaway"]);
        for (length, missed) in [(9, &["EndAfter(10)"][..]), (10, &[]), (11, &[])] {
            faults.inject(Fault::new(What::EndAfter(10)));
            let strike = faults.strike(None, "/").expect("a fault");
            let answer = crate::cluster::body::answer(StatusCode::OK, "text/plain", "x".repeat(length));
            let answer = after(strike, answer, Arc::default()).await.expect("an answer");
            let _ = answer.into_body().collect().await;
            assert_eq!(clear(), missed, "{length}");
        }
    }
}
