//! One request, described: a GET, or a form that is posted.

use std::time::Duration;

use bytes::Bytes;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, RANGE};
use hyper::{HeaderMap, Method};

use super::sent::Sent;
use crate::secret::Secret;

/// A request of one path. Without further words it sends neither `Accept` nor `Accept-Encoding`: a kubelet refuses any `Accept`
/// that does not admit `*/*`.
#[derive(Clone, Debug)]
pub struct Request {
    path: String,
    headers: HeaderMap,
    limit: Option<Duration>,
    /// What a POST carries; without it, a GET.
    form: Option<Secret<Bytes>>,
    /// What stands in it beside sensitive headers, and must not be shown when it comes back.
    secrets: Vec<Secret>,
}

/// What a server may do to the body on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// No `Accept-Encoding` header at all.
    #[default]
    Unsaid,
    /// `gzip` and nothing else: kubelets compress only for exactly this value. The body is decoded on arrival.
    Gzip,
    /// `identity`: pieces come as they are made, instead of when a compressor's buffer is full.
    Identity,
}

/// A part of a file, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// From this offset to the end.
    From(u64),
    /// From the first offset to the second, both included.
    Span(u64, u64),
    /// This many bytes at the end.
    Last(u64),
}

impl Request {
    /// A GET of `path_and_query`, which starts with `/` and is already percent-encoded.
    pub fn get(path_and_query: impl Into<String>) -> Self {
        Request { path: path_and_query.into(), headers: HeaderMap::new(), limit: None, form: None, secrets: Vec::new() }
    }

    /// A POST of `form`, which is already written as `application/x-www-form-urlencoded`. It must not be sent twice unasked.
    pub fn post(path_and_query: impl Into<String>, form: Secret<Bytes>) -> Self {
        let request = Request { form: Some(form), ..Request::get(path_and_query) };
        request.header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))
    }

    /// Sends this `Accept`.
    pub fn accept(self, types: &'static str) -> Self {
        self.header(ACCEPT, HeaderValue::from_static(types))
    }

    /// Says what the server may do to the body.
    pub fn encoding(self, encoding: Encoding) -> Self {
        match encoding {
            Encoding::Unsaid => self,
            Encoding::Gzip => self.header(ACCEPT_ENCODING, HeaderValue::from_static("gzip")),
            Encoding::Identity => self.header(ACCEPT_ENCODING, HeaderValue::from_static("identity")),
        }
    }

    /// Asks for a part only; a server may still send the whole with status 200.
    pub fn range(self, range: ByteRange) -> Self {
        let value = match range {
            ByteRange::From(start) => format!("bytes={start}-"),
            ByteRange::Span(first, last) => format!("bytes={first}-{last}"),
            ByteRange::Last(count) => format!("bytes=-{count}"),
        };
        match HeaderValue::from_str(&value) {
            Ok(value) => self.header(RANGE, value),
            Err(_) => self,
        }
    }

    /// Sets a header, replacing one of the same name.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Gives up when the response's head has not arrived after this long; zero means no limit.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Has this taken out of whatever is shown of the answer: a part of a form, say.
    pub fn hiding(mut self, secret: &Secret) -> Self {
        self.secrets.push(secret.clone());
        self
    }

    /// The same request for another path.
    pub fn at(&self, path_and_query: impl Into<String>) -> Self {
        Request { path: path_and_query.into(), ..self.clone() }
    }

    /// The path with its query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its own headers, without those a client adds.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The headers, to be completed by a client (credentials, user agent).
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }

    /// GET or POST.
    pub fn method(&self) -> Method {
        if self.form.is_some() { Method::POST } else { Method::GET }
    }

    /// What an answer to it may repeat and nobody is to see.
    pub(super) fn sent(&self) -> Sent {
        let mut sent = Sent::of(&self.headers);
        self.secrets.iter().for_each(|secret| sent.hide(secret.expose()));
        sent
    }

    pub(super) fn body(&self) -> Bytes {
        self.form.as_ref().map(|form| form.expose().clone()).unwrap_or_default()
    }

    /// The time allowed up to the head, where the request sets one.
    pub fn time_limit(&self) -> Option<Duration> {
        self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_request_says_neither_accept_nor_encoding() {
        assert!(Request::get("/x").headers().is_empty());
    }

    #[test]
    fn ranges_are_written_as_the_standard_says() {
        let range = |r| Request::get("/").range(r).headers()[RANGE].to_str().unwrap().to_owned();
        assert_eq!(range(ByteRange::From(5)), "bytes=5-");
        assert_eq!(range(ByteRange::Span(0, 99)), "bytes=0-99");
        assert_eq!(range(ByteRange::Last(u64::MAX)), "bytes=-18446744073709551615");
    }
}
