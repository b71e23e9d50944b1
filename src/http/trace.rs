//! What `-v 6` and `-v 8` show of the wire; nothing secret.

use std::borrow::Cow;
use std::time::Duration;

use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderName, HeaderValue, LOCATION, SERVER};
use hyper::{HeaderMap, Method};

use super::failure::Failure;
use super::pool::Exchanged;
use super::request::Request;
use super::sent::Sent;
use crate::notice::Notices;
use crate::redact::{MASK, Redactor};

/// Parts of header names whose values are never shown.
const SECRET: [&str; 9] =
    ["authorization", "cookie", "token", "secret", "password", "api-key", "apikey", "credential", "impersonate-extra"];

/// Level 8: the request's head.
pub(super) fn request(notices: &Notices, request: &Request, url: &str) {
    notices.verbose(8, || with_headers(format!("{} {}", request.method(), masked(url)), request.headers(), shown));
}

/// Level 6: a line a request; level 8: the answer's head.
pub(super) fn outcome(
    notices: &Notices,
    request: &Request,
    url: &str,
    sent: &Sent,
    outcome: &Result<Exchanged, Failure>,
    took: Duration,
) {
    let (method, took) = (request.method(), took.as_millis());
    match outcome {
        Ok((head, _)) => {
            notices.verbose(6, || format!("{method} {} {} in {took} milliseconds", masked(url), head.status()));
            notices.verbose(8, || {
                // What answers a form may be new tokens.
                let shown = if request.method() == Method::POST { harmless } else { shown };
                sent.scrub(with_headers(format!("{:?} {}", head.version(), head.status()), head.headers(), shown))
            });
        }
        Err(failure) => {
            notices.verbose(6, || format!("{method} {} failed in {took} milliseconds: {failure}", masked(url)));
        }
    }
}

/// A redirect on the same server may lead to a URL with a token in it.
fn masked(url: &str) -> String {
    String::from_utf8_lossy(&Redactor::default().mask(url.as_bytes())).into_owned()
}

fn with_headers(
    mut words: String,
    headers: &HeaderMap,
    shown: for<'v> fn(&HeaderName, &'v HeaderValue) -> Cow<'v, str>,
) -> String {
    for (name, value) in headers {
        words.push_str(&format!("\n{name}: {}", shown(name, value)));
    }
    words
}

fn shown<'v>(name: &HeaderName, value: &'v HeaderValue) -> Cow<'v, str> {
    if value.is_sensitive() || SECRET.iter().any(|part| name.as_str().contains(part)) {
        return MASK.into();
    }
    let text = String::from_utf8_lossy(value.as_bytes());
    // A login page hands over its tokens behind the address.
    match text.find(['?', '#']) {
        Some(end) if *name == LOCATION => format!("{}{MASK}", &text[..=end]).into(),
        _ => text,
    }
}

fn harmless<'v>(name: &HeaderName, value: &'v HeaderValue) -> Cow<'v, str> {
    match [CONTENT_TYPE, CONTENT_LENGTH, DATE, SERVER].contains(name) {
        true => shown(name, value),
        false => MASK.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_redirect_its_query_and_of_an_answer_to_a_form_most_is_left_out() {
        for (location, expected) in [
            ("https://a/b", "https://a/b"),
            ("https://a/cb?id_token=hunter2", "https://a/cb?(redacted)"),
            ("/cb#id_token=hunter2?x", "/cb#(redacted)"),
        ] {
            assert_eq!(shown(&LOCATION, &HeaderValue::from_static(location)), expected);
        }
        let value = HeaderValue::from_static("text/html?hunter2");
        assert_eq!(harmless(&CONTENT_TYPE, &value), "text/html?hunter2");
        assert_eq!(harmless(&HeaderName::from_static("x-session"), &value), MASK);
    }

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
        let words = with_headers("GET x".into(), &headers, shown);
        assert!(!words.contains("hunter2"), "{words}");
        assert!(words.contains("\naccept: */*") && words.matches("(redacted)").count() == secrets.len() + 1, "{words}");
    }
}
