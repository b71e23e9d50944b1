//! What of a list changes, as it happens: watched from the version of a list on, and listed anew where the server has
//! forgotten what lies between.
//!
//! The server ends each watch after a while, a proxy on the way may do so earlier, and connections break: each time it
//! goes on from the last version that was heard of, which quiet lists are told of by bookmarks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::list;
use super::node::Metadata;
use super::status::{self, Refusal};
use super::{Client, path};
use crate::document::{object, read_json};
use crate::error::{Error, Kind, Result};
use crate::http::{Body, Encoding, Request, retry};

/// Only names and labels of what changes, where the server can; whole objects otherwise.
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";

/// How long a watch may last, at least; up to twice as long, so that many do not end together.
const LASTS: Duration = Duration::from_secs(300);
/// A server that sends nothing for so much longer is gone.
const GRACE: Duration = Duration::from_secs(30);
/// The wait after the first failure in a row, and the longest; each in between is twice the one before.
const WAITS: (Duration, Duration) = (Duration::from_millis(800), Duration::from_secs(30));
/// A watch that lasted so long ended in order.
const LASTING: Duration = Duration::from_secs(10);
/// Failures in a row that are worth a word.
const WORTH_A_WORD: u32 = 4;
/// Between two lists where the server refuses to let them be watched.
const POLL: Duration = Duration::from_secs(30);
/// Lists in a row that may be refused: an API server that starts refuses everybody.
const MOST_REFUSALS: u32 = 3;
/// Bytes one event may have; objects have at most 1.5 MB.
const EVENT_BYTES: usize = 8 << 20;

/// What has changed.
#[derive(Debug)]
pub enum News {
    /// These are all there are now: what happened in between is unknown.
    All(Vec<Metadata>),
    /// An object came, or changed.
    Here(Metadata),
    /// An object is gone, or does not match any more.
    Gone(Metadata),
}

/// A list that is watched.
#[derive(Debug)]
pub struct Watch {
    client: Arc<Client>,
    path: String,
    parameters: Vec<(&'static str, String)>,
    /// Where to go on; empty where the list has to be read again.
    version: String,
    stream: Option<Stream>,
    failures: u32,
    /// How often in a row the list was refused.
    refusals: u32,
    /// It is not watched but read again and again: the server said no.
    polls: bool,
}

#[derive(Debug)]
struct Stream {
    body: Body,
    began: Instant,
    buffer: BytesMut,
    /// So much of the buffer is known to hold no line end.
    scanned: usize,
}

/// Why a watch is to be opened again.
enum Break {
    /// It ended, or its way broke.
    Ended(String),
    /// The server does not know any more what happened since.
    Forgotten,
}

object! {
    struct Event {
        kind: String = "type",
        object: Object = "object",
    }
}

object! {
    /// An object; or the `Status` of an event that is an error.
    struct Object {
        metadata: Metadata = "metadata",
        code: Option<i32> = "code",
        message: String = "message",
    }
}

impl Watch {
    /// Of the collection at this path, from the version of a list on. Parameters are those of the list, such as selectors.
    pub fn new(client: Arc<Client>, path: String, parameters: Vec<(&'static str, String)>, version: String) -> Self {
        Watch { client, path, parameters, version, stream: None, failures: 0, refusals: 0, polls: false }
    }

    /// Waits for what changes next. What passes is waited for, ever longer; an error is a refusal to list.
    pub async fn next(&mut self) -> Result<News> {
        loop {
            if self.version.is_empty() {
                match self.list().await {
                    Ok(news) => {
                        self.refusals = 0;
                        return Ok(news);
                    }
                    Err(error) if passes(&error) => self.wait(&error.chain()).await,
                    Err(error) if self.refusals < MOST_REFUSALS => {
                        self.refusals += 1;
                        self.wait_refused(&error).await;
                    }
                    Err(error) => return Err(error),
                }
                continue;
            }
            let broke = match self.event().await {
                Ok(Some(news)) => return Ok(news),
                Ok(None) => continue,
                Err(Ok(broke)) => broke,
                Err(Err(error)) if passes(&error) => Break::Ended(error.chain()),
                Err(Err(error)) => {
                    self.wait_refused(&error).await;
                    self.version.clear();
                    continue;
                }
            };
            let lasted = self.stream.take().map(|stream| self.elapsed(stream.began));
            let why = match broke {
                Break::Forgotten => {
                    self.version.clear();
                    "the server has forgotten what changed since".to_owned()
                }
                Break::Ended(why) => why,
            };
            match lasted {
                Some(lasted) if lasted >= LASTING => self.failures = 0,
                _ => self.wait(&why).await,
            }
        }
    }

    async fn list(&mut self) -> Result<News> {
        let parameters: Vec<(&str, &str)> =
            self.parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let listed = list::metadata(&self.client, &self.path, &parameters).await?;
        if listed.version.is_empty() {
            return Err(Error::new(Kind::Denied, "the list names no version from which to watch it"));
        }
        self.version = listed.version;
        Ok(News::All(listed.items))
    }

    /// The next event; `None` for one that only tells the version.
    async fn event(&mut self) -> Result<Option<News>, Result<Break>> {
        let stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = self.open().await?;
                self.polls = false;
                stream
            }
        };
        let stream = self.stream.insert(stream);
        let event: Event = loop {
            let line = stream.buffer.get(stream.scanned..).and_then(|rest| memchr::memchr(b'\n', rest));
            if let Some(end) = line {
                let line = stream.buffer.split_to(stream.scanned + end + 1);
                stream.scanned = 0;
                if line.trim_ascii().is_empty() {
                    continue;
                }
                break read_json(&line)
                    .map_err(|why| Ok(Break::Ended(format!("an event of it is not to be understood: {why}"))))?;
            }
            stream.scanned = stream.buffer.len();
            match stream.body.frame().await {
                Some(Ok(frame)) => stream.buffer.extend_from_slice(&frame),
                Some(Err(cut)) => return Err(Ok(Break::Ended(cut.to_string()))),
                None => return Err(Ok(Break::Ended("it ended".to_owned()))),
            }
            if stream.buffer.len() > EVENT_BYTES {
                return Err(Ok(Break::Ended(format!("an event of it has more than {EVENT_BYTES} bytes"))));
            }
        };
        let Event { kind, object } = event;
        if kind == "ERROR" {
            // Whatever it is, a new list begins anew; only that a version is too old is no failure of the server's.
            self.client.options.notices.verbose(4, || format!("watching {}: {}", self.path, object.message));
            return Err(Ok(Break::Forgotten));
        }
        if !object.metadata.resource_version.is_empty() {
            self.version.clone_from(&object.metadata.resource_version);
        }
        Ok(match kind.as_str() {
            "ADDED" | "MODIFIED" if list::has_name(&self.client, &object.metadata) => Some(News::Here(object.metadata)),
            "DELETED" => Some(News::Gone(object.metadata)),
            _ => None,
        })
    }

    async fn open(&self) -> Result<Stream, Result<Break>> {
        let lasts = LASTS.mul_f64(1.0 + retry::jitter());
        let seconds = lasts.as_secs().to_string();
        let own = [
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", &self.version),
            ("timeoutSeconds", &seconds),
        ];
        let parameters: Vec<(&str, &str)> =
            self.parameters.iter().map(|(name, value)| (*name, value.as_str())).chain(own).collect();
        let url = path::with_query(self.path.clone(), &parameters);
        let request = Request::get(url).accept(METADATA).encoding(Encoding::Identity);
        let mut answer = self.client.get(request).await.map_err(Err)?;
        match answer.status {
            200..=299 => {}
            410 => return Err(Ok(Break::Forgotten)),
            429 => return Err(Ok(Break::Ended(Refusal::read(answer).await.into_error().chain()))),
            _ => return Err(Err(status::error_of(answer).await)),
        }
        answer.body.limit_silence(lasts + GRACE);
        let began = self.client.options.clock.instant();
        Ok(Stream { body: answer.body, began, buffer: BytesMut::new(), scanned: 0 })
    }

    async fn wait(&mut self, why: &str) {
        let step = WAITS.0.saturating_mul(2u32.saturating_pow(self.failures)).min(WAITS.1);
        self.failures = self.failures.saturating_add(1);
        let notices = &self.client.options.notices;
        notices.verbose(4, || format!("watching {}: {why}", self.path));
        if self.failures == WORTH_A_WORD {
            notices.warning(format_args!("what comes and goes is not noticed at the moment: {why}; trying again"));
        }
        self.client.rest(step.mul_f64(1.0 + retry::jitter() / 4.0)).await;
    }

    /// The server said no: its list is read again later, and then it is asked once more whether it can be watched.
    async fn wait_refused(&mut self, error: &Error) {
        if !std::mem::replace(&mut self.polls, true) {
            let (notices, every) = (&self.client.options.notices, POLL.as_secs());
            notices.warning(format_args!(
                "what comes and goes is noticed late, by a list every {every} s: {}",
                error.chain()
            ));
            if let Some(remedy) = error.remedy() {
                notices.hint(remedy);
            }
        }
        self.client.rest(POLL.mul_f64(1.0 + retry::jitter() / 4.0)).await;
    }

    fn elapsed(&self, since: Instant) -> Duration {
        self.client.options.clock.instant().saturating_duration_since(since)
    }
}

/// Whether waiting may help.
fn passes(error: &Error) -> bool {
    matches!(error.kind(), Kind::Unreachable | Kind::Failed | Kind::Partial)
}
