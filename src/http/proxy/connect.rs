//! HTTP's CONNECT (RFC 9110, section 9.3.6), sans-io: the request, and what a proxy replies.

use std::fmt;

use hyper::header::{HeaderValue, PROXY_AUTHENTICATE};
use hyper::{HeaderMap, StatusCode};

use crate::http::said;

/// A reply's head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The status code, 100 to 999.
    pub status: u16,
    /// The words behind it, in one bounded line.
    pub reason: String,
    /// The ways to log in that `Proxy-Authenticate` names.
    pub schemes: Vec<String>,
    /// The length its body is to have.
    pub content_length: Option<usize>,
    /// Whether the body is a web page.
    pub is_html: bool,
    /// The head's own length in bytes; what follows is the body, or the tunnel.
    pub length: usize,
}

/// Bytes that are no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Garbled {
    /// Something else than HTTP/1.
    NotHttp,
    /// A head of more than [`HEAD`] bytes.
    TooLong,
}

/// The longest head.
pub const HEAD: usize = 16 * 1024;
/// Ways to log in that are kept.
const SCHEMES: usize = 8;
/// Characters of words shown.
const SHOWN: usize = 200;

/// A request for a way to `server`, `host:port`.
pub fn request(server: &str, authorization: Option<&HeaderValue>) -> Vec<u8> {
    let agent = concat!("kubectl-kubelet_logs/", env!("CARGO_PKG_VERSION"));
    let mut request = format!("CONNECT {server} HTTP/1.1\r\nHost: {server}\r\nUser-Agent: {agent}\r\n").into_bytes();
    if let Some(authorization) = authorization {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(authorization.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    request
}

/// Reads the head of a reply from all bytes so far; `None` wants more of them. Interim replies (1xx) are passed over.
pub fn reply(bytes: &[u8]) -> Result<Option<Reply>, Garbled> {
    let mut start = 0;
    loop {
        let head = &bytes[start..];
        if !b"HTTP/1.".starts_with(&head[..head.len().min(7)]) {
            return Err(Garbled::NotHttp);
        }
        let Some(end) = end_of_head(head) else {
            return if bytes.len() > HEAD { Err(Garbled::TooLong) } else { Ok(None) };
        };
        if start + end > HEAD {
            return Err(Garbled::TooLong);
        }
        let reply = parse(&head[..end]).ok_or(Garbled::NotHttp)?;
        start += end;
        // 101 would be another protocol: no interim reply, and no way to a server.
        if !(100..200).contains(&reply.status) || reply.status == 101 {
            return Ok(Some(Reply { length: start, ..reply }));
        }
    }
}

/// What the body of a refusal says, in one bounded line.
pub fn said(body: &[u8], is_html: bool) -> String {
    let text = String::from_utf8_lossy(body);
    match is_html || text.trim_start().starts_with('<') {
        true => said::title(&text, SHOWN).map_or(String::new(), |title| format!("{title:?}")),
        false => said::one_line(&text, SHOWN),
    }
}

impl Reply {
    /// The same of an answer that was read elsewhere.
    pub(in crate::http) fn of(status: StatusCode, headers: &HeaderMap) -> Self {
        let texts = headers.get_all(PROXY_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let reason = status.canonical_reason().unwrap_or_default().to_owned();
        Reply {
            status: status.as_u16(),
            reason,
            schemes: texts.flat_map(schemes).take(SCHEMES).collect(),
            ..Reply::default()
        }
    }

    /// Whether a user name and a password would do.
    pub fn takes_basic(&self) -> bool {
        self.schemes.is_empty() || self.schemes.iter().any(|scheme| scheme.eq_ignore_ascii_case("basic"))
    }
}

impl fmt::Display for Garbled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Garbled::NotHttp => f.write_str("its answer is no HTTP"),
            Garbled::TooLong => write!(f, "the head of its answer is longer than {HEAD} bytes"),
        }
    }
}

/// Where the first empty line ends; a bare line feed ends lines too, as everywhere.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let mut line_start = 0;
    for at in memchr::memchr_iter(b'\n', &bytes[..bytes.len().min(HEAD + 1)]) {
        if matches!(&bytes[line_start..at], b"" | b"\r") && line_start > 0 {
            return Some(at + 1);
        }
        line_start = at + 1;
    }
    None
}

fn parse(head: &[u8]) -> Option<Reply> {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    let (_version, rest) = lines.next()?.split_once(' ')?;
    let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    if code.len() != 3 || !code.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let status = code.parse().ok().filter(|status| *status >= 100)?;
    let mut reply = Reply { status, reason: said::one_line(reason, SHOWN), ..Reply::default() };
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        match name.as_str() {
            "content-length" => reply.content_length = value.parse().ok(),
            "content-type" => reply.is_html = value.to_ascii_lowercase().starts_with("text/html"),
            "proxy-authenticate" => reply.schemes.extend(schemes(value)),
            _ => {}
        }
    }
    reply.schemes.truncate(SCHEMES);
    Some(reply)
}

/// The schemes of `Negotiate, Basic realm="a, b", Digest realm=c`: the words before no `=`.
fn schemes(value: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut quoted = false;
    let challenges = value.split(|c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    });
    for challenge in challenges {
        let word = challenge.split_whitespace().next().unwrap_or_default();
        let is_token = word.len() <= 20 && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if is_token && !word.is_empty() && found.len() < SCHEMES {
            found.push(word.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::mutated;

    #[test]
    fn a_request_names_the_server_twice() {
        let agent = concat!("kubectl-kubelet_logs/", env!("CARGO_PKG_VERSION"));
        let expected =
            format!("CONNECT [fd00::1]:6443 HTTP/1.1\r\nHost: [fd00::1]:6443\r\nUser-Agent: {agent}\r\n\r\n");
        assert_eq!(request("[fd00::1]:6443", None), expected.into_bytes());
        let authorization = HeaderValue::from_static("Basic dTpw");
        let with = String::from_utf8(request("a:1", Some(&authorization))).unwrap();
        assert!(with.ends_with("\r\nProxy-Authorization: Basic dTpw\r\n\r\n"), "{with}");
    }

    #[test]
    fn replies_however_they_are_cut() {
        for (bytes, status, reason, rest) in [
            ("HTTP/1.1 200 Connection established\r\n\r\n", 200, "Connection established", ""),
            ("HTTP/1.0 200\r\n\r\n", 200, "", ""),
            ("HTTP/1.1 200 OK\nVia: x\n\nmore", 200, "OK", "more"),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", 200, "OK", ""),
            ("HTTP/1.1 101 Switching\r\n\r\n", 101, "Switching", ""),
            (
                "HTTP/1.1 502 \t no \u{1b}[2J way  out \r\nContent-Length: 5\r\n\r\nhello",
                502,
                "no [2J way out",
                "hello",
            ),
        ] {
            for cut in 0..bytes.len() - rest.len() {
                assert_eq!(reply(&bytes.as_bytes()[..cut]), Ok(None), "{bytes:?} cut at {cut}");
            }
            let got = reply(bytes.as_bytes()).unwrap().unwrap();
            assert_eq!((got.status, got.reason.as_str(), &bytes[got.length..]), (status, reason, rest), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_reply_is_told_at_its_first_byte() {
        for bytes in ["SSH-2.0-x\r\n", "\x15\x03\x01", "HTTP/2 200\r\n\r\n", "http/1.1 200 OK\r\n\r\n", "\r\n\r\n"] {
            assert_eq!(reply(bytes.as_bytes()), Err(Garbled::NotHttp), "{bytes:?}");
        }
        for line in
            ["HTTP/1.1\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 +20 OK\r\n\r\n", "HTTP/1.1 099 x\r\n\r\n"]
        {
            assert_eq!(reply(line.as_bytes()), Err(Garbled::NotHttp), "{line:?}");
        }
        let long = format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(HEAD));
        assert_eq!(reply(long.as_bytes()), Err(Garbled::TooLong));
        let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(HEAD / 20);
        assert_eq!(reply(interim.as_bytes()), Err(Garbled::TooLong));
    }

    #[test]
    fn the_ways_to_log_in_are_found() {
        let of = |lines: &str| reply(format!("HTTP/1.1 407 x\r\n{lines}\r\n\r\n").as_bytes()).unwrap().unwrap();
        let all =
            of("Proxy-Authenticate: Negotiate\r\nproxy-authenticate: NTLM\r\nPROXY-AUTHENTICATE: basic realm=\"a, b\"");
        assert_eq!(all.schemes, ["Negotiate", "NTLM", "basic"]);
        assert!(all.takes_basic());
        let digest = of("Proxy-Authenticate: Digest realm=\"x\", qop=\"auth\", nonce=\"Basic\"");
        assert_eq!(digest.schemes, ["Digest"]);
        assert!(!digest.takes_basic());
        assert!(of("X: y").takes_basic(), "one that names none");
    }

    #[test]
    fn a_refusal_says_its_words_and_never_html() {
        assert_eq!(said(b"Access denied\r\n by policy 7\x1b[0m", false), "Access denied by policy 7 [0m");
        let page = b"<html><head><title>ERROR: The requested URL could not be retrieved</title><body><a href=x>";
        assert_eq!(said(page, true), "\"ERROR: The requested URL could not be retrieved\"");
        assert_eq!(said(b"<!DOCTYPE html><p>no title", false), "");
    }

    #[test]
    fn mutated_replies_stay_within_bounds() {
        let seeds: [&[u8]; 4] = [
            b"HTTP/1.1 200 Connection established\r\nVia: 1.1 squid\r\n\r\n",
            b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"a, b\", Digest x=y\r\nContent-Length: 3\r\n\r\nno.",
            b"HTTP/1.0 100 \r\n\r\nHTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nContent-Length: 99999999999999999999\r\n\r\n<title>x",
            b"HTTP/1.1 503 a\nb: c\n\n",
        ];
        for seed in 0..100_000_u64 {
            let bytes = mutated(seeds[seed as usize % seeds.len()], seed);
            if let Ok(Some(reply)) = reply(&bytes) {
                assert!(reply.length <= bytes.len() && (100..1000).contains(&reply.status), "seed {seed}");
                let words = reply.reason.len() + said(&bytes[reply.length..], reply.is_html).len();
                assert!(words <= 8 * (SHOWN + 2) && reply.schemes.len() <= SCHEMES, "seed {seed}");
            }
        }
    }
}
