//! A way to a server through a proxy: HTTP CONNECT, over TLS or not, and SOCKS 5.
//!
//! What a proxy says is read by [`connect`] and [`socks5`], which hold no socket; here their bytes are moved, and a refusal
//! becomes words that name the proxy, the step and the remedy. Its credentials are in none of them.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use hyper::rt::{Read, ReadBuf, Write};

use super::dial::{host_and_port, tcp_words};
use super::failure::{Failure, Stage};
use super::sent::Sent;
use crate::clock::Clock;
use crate::secret::Secret;

pub mod connect;
pub mod socks5;

/// A proxy to go through. `Display` leaves the credentials out.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// How it is spoken to.
    pub kind: ProxyKind,
    /// A name or an address; an IPv6 address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// User name and password.
    pub credentials: Option<(Secret, Secret)>,
    /// What named it: `proxy-url`, or a variable of the environment.
    pub set_by: &'static str,
}

/// How a proxy is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyKind {
    /// HTTP.
    Http,
    /// HTTP over TLS.
    Https,
    /// SOCKS 5, where the proxy resolves names.
    Socks5,
}

impl Proxy {
    /// What an HTTP proxy is shown of the credentials.
    pub(super) fn authorization(&self) -> Option<HeaderValue> {
        let (name, password) = self.credentials.as_ref().filter(|_| self.kind != ProxyKind::Socks5)?;
        let text = STANDARD.encode(format!("{}:{}", name.expose(), password.expose()));
        let mut value = HeaderValue::from_str(&format!("Basic {text}")).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Asks for a way to the server; afterwards `stream` leads there.
    pub(super) async fn open<S: Read + Write + Unpin>(
        &self,
        stream: &mut S,
        host: &str,
        port: u16,
        clock: Clock,
    ) -> Result<(), Failure> {
        match self.kind {
            ProxyKind::Http | ProxyKind::Https => self.tunnel(stream, host, port, clock).await,
            ProxyKind::Socks5 => self.socks(stream, host, port).await,
        }
    }

    async fn tunnel<S: Read + Write + Unpin>(
        &self,
        stream: &mut S,
        host: &str,
        port: u16,
        clock: Clock,
    ) -> Result<(), Failure> {
        let server = host_and_port(host, port);
        let authorization = self.authorization();
        send(stream, &connect::request(&server, authorization.as_ref())).await.map_err(|error| self.lost(&error))?;
        let mut bytes = Vec::new();
        let reply = loop {
            match connect::reply(&bytes) {
                Ok(Some(reply)) => break reply,
                Ok(None) => self.more(stream, &mut bytes).await?,
                Err(garbled) => return Err(self.garbled(&garbled.to_string())),
            }
        };
        let body = bytes.split_off(reply.length);
        match reply.status {
            200..=299 if body.is_empty() => Ok(()),
            // Nobody beyond the proxy speaks before our part of the TLS handshake.
            200..=299 => Err(self.garbled("it agreed to connect and then went on talking itself")),
            _ => {
                let body = self.rest(stream, body, &reply, clock).await;
                Err(self.refused(&reply, &server, host, connect::said(&body, reply.is_html)))
            }
        }
    }

    async fn socks<S: Read + Write + Unpin>(&self, stream: &mut S, host: &str, port: u16) -> Result<(), Failure> {
        let credentials =
            self.credentials.as_ref().map(|(name, password)| (name.expose().as_str(), password.expose().as_str()));
        let mut dialogue = socks5::Dialogue::new(host, port, credentials)
            .map_err(|refusal| self.socks_refused(refusal, host, port))?;
        let mut bytes = Vec::new();
        loop {
            match dialogue.step(&bytes) {
                Ok(socks5::Step::Send { message, read }) => {
                    bytes.drain(..read);
                    send(stream, message.expose()).await.map_err(|error| self.lost(&error))?;
                }
                Ok(socks5::Step::Wait) => self.more(stream, &mut bytes).await?,
                Ok(socks5::Step::Open) => return Ok(()),
                Err(refusal) => return Err(self.socks_refused(refusal, host, port)),
            }
        }
    }

    /// Waits for more bytes; an end is a failure.
    async fn more<S: Read + Unpin>(&self, stream: &mut S, bytes: &mut Vec<u8>) -> Result<(), Failure> {
        match receive(stream, bytes).await {
            Ok(0) => Err(self.failure("closed the connection before it answered").hint(self.remedy())),
            Ok(_) => Ok(()),
            Err(error) => Err(self.lost(&error)),
        }
    }

    /// What else belongs to a refusal, as far as it comes at once: its words are wanted, and nothing hangs on them.
    async fn rest<S: Read + Unpin>(
        &self,
        stream: &mut S,
        mut body: Vec<u8>,
        reply: &connect::Reply,
        clock: Clock,
    ) -> Vec<u8> {
        const ENOUGH: usize = 8 * 1024;
        const AT_ONCE: Duration = Duration::from_secs(1);
        let announced = reply.content_length.unwrap_or(0).min(ENOUGH);
        let reading = async { while body.len() < announced && matches!(receive(stream, &mut body).await, Ok(1..)) {} };
        clock.within(Some(AT_ONCE), reading).await;
        body
    }

    /// An HTTP proxy's refusal; `said` are the words of its page.
    pub(super) fn refused(&self, reply: &connect::Reply, server: &str, host: &str, said: String) -> Failure {
        let status = reply.status;
        let mut answer = match reply.reason.is_empty() {
            true => status.to_string(),
            false => format!("{status} {}", reply.reason),
        };
        if !said.is_empty() {
            answer.push_str(&format!(": {said}"));
        }
        let mut sent = Sent::default();
        self.authorization().iter().for_each(|value| sent.add(value));
        let answer = sent.scrub(answer);
        let to_server = format!("to connect to {server}");
        match status {
            407 if !reply.takes_basic() => self
                .failure(&format!(
                    "asks for a login by {}, and only Basic is spoken here ({answer})",
                    reply.schemes.join(", ")
                ))
                .hint("a proxy on this machine that logs in to the other one can stand between, such as px or cntlm"),
            407 if self.credentials.is_some() => self
                .failure(&format!("does not take the user name and password of {} ({answer})", self.set_by))
                .hint(format!("check them in {}; special characters must be percent-encoded", self.set_by)),
            407 => self.failure(&format!("wants a user name and a password ({answer})")).hint(format!(
                "put them into {}: {}",
                self.set_by,
                self.with_credentials()
            )),
            401 | 403 | 405 => self
                .failure(&format!("refused {to_server}: {answer}"))
                .hint(format!("its rules must allow CONNECT to {server}; {}", self.around(host))),
            502..=504 => self
                .failure(&format!("failed {to_server}: {answer}"))
                .hint(format!("the proxy itself must reach the server; {}", self.around(host))),
            _ => self.failure(&format!("did not agree {to_server}: {answer}")).hint(self.remedy()),
        }
    }

    fn socks_refused(&self, refusal: socks5::Refusal, host: &str, port: u16) -> Failure {
        use socks5::Refusal as R;
        let server = host_and_port(host, port);
        match refusal {
            R::WantsCredentials => self.failure("wants a user name and a password").hint(format!(
                "put them into {}: {}",
                self.set_by,
                self.with_credentials()
            )),
            R::NoCommonMethod => {
                self.failure("offers no way to log in that is spoken here (none, or user name and password)")
            }
            R::BadCredentials => self
                .failure(&format!("does not take the user name and password of {}", self.set_by))
                .hint(format!("check them in {}; special characters must be percent-encoded", self.set_by)),
            R::TooLong(what) => {
                self.failure(&format!("can't be asked: {what} is longer than SOCKS 5 allows (255 bytes)"))
            }
            R::Denied(2) => {
                self.failure(&format!("refused to connect to {server}: {}", socks5::reason(2))).hint(self.around(host))
            }
            R::Denied(code) => self
                .failure(&format!("failed to connect to {server}: {}", socks5::reason(code)))
                .hint(format!("the proxy itself must reach the server; {}", self.around(host))),
            R::Garbled(why) => self.garbled(why),
        }
    }

    /// A failure of this proxy.
    pub(super) fn failure(&self, words: &str) -> Failure {
        Failure::new(Stage::Dial, format!("the proxy {self} {words}"))
    }

    fn garbled(&self, why: &str) -> Failure {
        let kind = if self.kind == ProxyKind::Socks5 { "SOCKS 5" } else { "HTTP" };
        self.failure(&format!("does not speak {kind} as a proxy does: {why}")).hint(self.remedy())
    }

    fn lost(&self, error: &io::Error) -> Failure {
        self.failure(&format!("broke off: {}", tcp_words(error))).hint(self.remedy())
    }

    /// What to check where the proxy itself is in doubt.
    pub(super) fn remedy(&self) -> String {
        format!("is the proxy's address right, and its scheme (http, https, socks5)? It is set by {}", self.set_by)
    }

    /// How to go without it.
    fn around(&self, host: &str) -> String {
        match self.set_by {
            "proxy-url" => "proxy-url in the kubeconfig says to use it".to_owned(),
            variable => format!("NO_PROXY={host} goes past it, which {variable} names"),
        }
    }

    fn with_credentials(&self) -> String {
        format!("{}://USER:PASSWORD@{}", self.kind.scheme(), host_and_port(&self.host, self.port))
    }
}

impl ProxyKind {
    fn scheme(self) -> &'static str {
        match self {
            ProxyKind::Http => "http",
            ProxyKind::Https => "https",
            ProxyKind::Socks5 => "socks5",
        }
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.kind.scheme(), host_and_port(&self.host, self.port))
    }
}

async fn send<S: Write + Unpin>(stream: &mut S, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match poll_fn(|cx| Pin::new(&mut *stream).poll_write(cx, bytes)).await? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            count => bytes = &bytes[count..],
        }
    }
    poll_fn(|cx| Pin::new(&mut *stream).poll_flush(cx)).await
}

/// Appends what has come, and says how much.
async fn receive<S: Read + Unpin>(stream: &mut S, bytes: &mut Vec<u8>) -> io::Result<usize> {
    let mut space = [0; 2048];
    let mut buffer = ReadBuf::new(&mut space);
    poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, buffer.unfilled())).await?;
    bytes.extend_from_slice(buffer.filled());
    Ok(buffer.filled().len())
}
