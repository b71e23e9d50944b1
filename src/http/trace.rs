//! What `-v 6` and `-v 8` show of the wire; nothing secret.

use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

use super::failure::Failure;
use super::pool::Exchanged;
use super::request::Request;
use super::sent::Sent;
use crate::notice::Notices;

/// Parts of header names whose values are never shown.
const SECRET: [&str; 9] =
    ["authorization", "cookie", "token", "secret", "password", "api-key", "apikey", "credential", "impersonate-extra"];

/// Level 8: the request's head.
pub(super) fn request(notices: &Notices, request: &Request, url: &str) {
    notices.verbose(8, || with_headers(format!("{} {url}", request.method()), request.headers()));
}

/// Level 6: a line a request; level 8: the answer's head.
pub(super) fn outcome(
    notices: &Notices,
    request: &Request,
    url: &str,
    outcome: &Result<Exchanged, Failure>,
    took: Duration,
) {
    let (method, took) = (request.method(), took.as_millis());
    match outcome {
        Ok((head, _)) => {
            notices.verbose(6, || format!("{method} {url} {} in {took} milliseconds", head.status()));
            notices.verbose(8, || {
                Sent::of(request.headers())
                    .scrub(with_headers(format!("{:?} {}", head.version(), head.status()), head.headers()))
            });
        }
        Err(failure) => notices.verbose(6, || format!("{method} {url} failed in {took} milliseconds: {failure}")),
    }
}

fn with_headers(mut words: String, headers: &HeaderMap) -> String {
    for (name, value) in headers {
        words.push_str(&format!("\n{name}: {}", shown(name, value)));
    }
    words
}

fn shown(name: &HeaderName, value: &HeaderValue) -> String {
    if value.is_sensitive() || SECRET.iter().any(|part| name.as_str().contains(part)) {
        return "(redacted)".to_owned();
    }
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_and_the_rest_is_shown() {
        let mut headers = HeaderMap::new();
        let secrets = [
            "authorization",
            "proxy-authorization",
            "cookie",
            "set-cookie",
            "x-auth-token",
            "impersonate-extra-scopes",
        ];
        for name in secrets {
            headers.insert(name, HeaderValue::from_static("hunter2"));
        }
        let mut marked = HeaderValue::from_static("hunter2");
        marked.set_sensitive(true);
        headers.insert("x-other", marked);
        headers.insert("accept", HeaderValue::from_static("*/*"));
        let words = with_headers("GET x".into(), &headers);
        assert!(!words.contains("hunter2"), "{words}");
        assert!(words.contains("\naccept: */*") && words.matches("(redacted)").count() == secrets.len() + 1, "{words}");
    }
}
