//! An answer: its head, and a body still to be read.

use std::time::Duration;

use hyper::header::{AsHeaderName, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use hyper::{HeaderMap, Version};

use super::body::Body;
use super::origin::Origin;
use super::sent::Sent;

/// An answer whose head has arrived.
#[derive(Debug)]
pub struct Response {
    /// The status code, whatever it says.
    pub status: u16,
    /// HTTP/1.1 or HTTP/2.
    pub version: Version,
    /// The head's headers. `Content-Encoding` and `Content-Length` describe the body on the wire, before decoding.
    pub headers: HeaderMap,
    /// The body, decoded from gzip where the server compressed it.
    pub body: Body,
    /// The request's credentials, which the answer may repeat.
    pub sent: Sent,
    /// Time from sending the request to the head.
    pub took: Duration,
}

impl Response {
    /// A header's value as text, if it is there and is text.
    pub fn header(&self, name: impl AsHeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The media type as sent, parameters included.
    pub fn content_type(&self) -> &str {
        self.header(CONTENT_TYPE).unwrap_or_default()
    }

    /// How long the server asks to wait before another try, where it says so in whole seconds.
    pub fn retry_after(&self) -> Option<Duration> {
        self.header(RETRY_AFTER)?.trim().parse().ok().map(Duration::from_secs)
    }

    /// Where a redirect leads; `None` for an answer that is none. `asked` is the path that was requested.
    pub fn redirect(&self, origin: &Origin, asked: &str) -> Option<Redirect> {
        if !matches!(self.status, 301 | 302 | 303 | 307 | 308) {
            return None;
        }
        let location = self.header(LOCATION)?;
        Some(match origin.resolve(asked, location) {
            Some(path) => Redirect::Here(path),
            None => Redirect::Away(origin.of_location(location)),
        })
    }
}

/// Where a redirect leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redirect {
    /// To this path with its query, on the same origin.
    Here(String),
    /// To another origin, where nothing of ours goes; unknown where its address is not to be understood.
    Away(Option<Origin>),
}
