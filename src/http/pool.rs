//! Connections to one server, reused: HTTP/1.1 or HTTP/2 as the server likes, several HTTP/2 connections when one is full.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_ENCODING, PROXY_AUTHORIZATION};
use hyper::{StatusCode, Uri, Version};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use tokio::sync::Mutex;

use super::body::Body;
use super::dial::{ByProxy, Connector, Limits, Stream, version};
use super::failure::{Failure, Stage};
use super::origin::Origin;
use super::proxy::{Proxy, ProxyKind, connect};
use super::request::Request;
use super::response::Response;
use super::tls::{self, Certificate, Identity, Peer, Protocol, Trust};
use super::trace;
use crate::clock::Clock;
use crate::error::Result;
use crate::notice::Notices;
use crate::time::seconds;

/// Streams on one HTTP/2 connection: what API servers allow since 1.36 (250 before).
const STREAMS: usize = 100;
/// HTTP/2 connections to one server. The first is filled before the next is made.
const CONNECTIONS: usize = 4;
/// The largest head, and the largest piece of an HTTP/1.1 body. Blocks from 128 KiB on are mapped and unmapped by the usual
/// allocators each time, which costs more than the smaller pieces do.
const BUFFER: usize = 64 * 1024;
/// The largest piece of an HTTP/2 body.
const FRAME: u32 = 64 * 1024;
/// Bytes that paused streams may hold together, and the bounds of one stream's share. Above 1 MiB a stream only costs more
/// memory and time; for one stream over a long way there is [`Protocol::Http1First`].
const HELD: usize = 16 * 1024 * 1024;
const WINDOW: (usize, usize) = (128 * 1024, 1024 * 1024);
/// Connections unused for this long are closed.
const IDLE: Duration = Duration::from_secs(90);

/// How a [`Pool`] goes about its work.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which HTTP versions to offer.
    pub protocol: Protocol,
    /// Bodies expected to be read side by side; sizes the HTTP/2 windows.
    pub streams: usize,
    /// Time limits for making a connection.
    pub limits: Limits,
    /// The proxy to go through; it is the caller's choice, and without one connections are direct.
    pub proxy: Option<Proxy>,
    /// Where the trusted authorities were read from, for words; may be empty.
    pub authority_source: String,
    /// Silence on an HTTP/2 connection before a ping is sent; none when zero.
    pub ping_after: Duration,
    /// Silence after that ping before the connection is given up.
    pub ping_timeout: Duration,
    /// Where requests are told about (`-v 6`, `-v 8`).
    pub notices: Notices,
    /// The clock for limits and measurements.
    pub clock: Clock,
}

/// Connections to one origin.
pub struct Pool {
    origin: Origin,
    connector: Connector,
    /// Where the first offers HTTP/1.1 alone, for a server that speaks only HTTP/2.
    second: Option<Connector>,
    settings: Settings,
    /// Known once the first connection has shown which version the server speaks; until then requests wait for one of them
    /// to find out, lest each makes a connection of its own.
    clients: Mutex<Option<Arc<Clients>>>,
    /// First connections that failed so far, and why the last one did.
    failures: AtomicU64,
    failure: std::sync::Mutex<Option<Failure>>,
}

type HyperClient = Client<Connector, Full<Bytes>>;

/// One HTTP/1.1 client, or an HTTP/2 client for each connection; beside each its requests whose bodies are still read.
struct Clients(Vec<(HyperClient, AtomicUsize)>);

/// One request's place on its connection, given back when dropped. It keeps the client, without which hyper would stop
/// sending keep-alive pings to a connection that still has a body to deliver.
pub(super) struct Turn {
    clients: Arc<Clients>,
    nth: usize,
}

impl Settings {
    /// What fits a program that reads one stream.
    pub fn new(notices: Notices) -> Self {
        Settings {
            protocol: Protocol::Any,
            streams: 1,
            limits: Limits::default(),
            proxy: None,
            authority_source: String::new(),
            ping_after: Duration::from_secs(30),
            ping_timeout: Duration::from_secs(15),
            notices,
            clock: Clock::System,
        }
    }
}

impl Pool {
    /// A pool for this origin. Nothing is connected yet.
    pub fn new(origin: Origin, trust: &Trust, identity: Option<&Identity>, settings: Settings) -> Result<Self> {
        let clock = settings.clock;
        let tls = match origin.is_secure() {
            false => None,
            true => {
                let config =
                    tls::configure(trust, &settings.authority_source, identity, settings.protocol, &settings.notices)?;
                Some((Arc::new(config), tls::server_name(trust, origin.host())?))
            }
        };
        let through = settings.proxy.as_ref().map(ToString::to_string);
        let proxy = match &settings.proxy {
            None => None,
            Some(proxy) => {
                let unnamed = Trust { roots: trust.roots.clone(), server_name: None };
                let tls = match proxy.kind {
                    ProxyKind::Https => {
                        let name = tls::server_name(&unnamed, &proxy.host)?;
                        Some((Arc::new(tls::configure_proxy(trust, &settings.notices)?), name))
                    }
                    ProxyKind::Http | ProxyKind::Socks5 => None,
                };
                Some(ByProxy { proxy: proxy.clone(), tls })
            }
        };
        let ours = identity.and_then(|identity| Certificate::read(identity.cert.first()?));
        let peer = Peer::server(origin.name(), through, ours, clock);
        let place = (origin.host(), origin.port());
        let connector = |tls| Connector::new(place, tls, proxy.clone(), peer.clone(), settings.limits, clock);
        let second = match &tls {
            Some((config, name)) if settings.protocol == Protocol::Http1First => {
                let mut config = ClientConfig::clone(config);
                config.alpn_protocols = Protocol::Any.offers();
                Some(connector(Some((Arc::new(config), name.clone()))))
            }
            _ => None,
        };
        Ok(Pool {
            connector: connector(tls),
            second,
            origin,
            settings,
            clients: Mutex::new(None),
            failures: AtomicU64::new(0),
            failure: std::sync::Mutex::new(None),
        })
    }

    /// Where its requests go.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Sends a request and waits for the head of the answer, for no longer than the request's limit.
    pub async fn send(&self, request: &Request) -> Result<Response, Failure> {
        let url = format!("{}{}", self.origin, request.path());
        let clock = self.settings.clock;
        let started = clock.instant();
        trace::request(&self.settings.notices, request, &url);
        let limit = request.time_limit().filter(|limit| !limit.is_zero());
        let outcome = match clock.within(limit, self.exchange(request, &url)).await {
            Some(outcome) => outcome,
            None => {
                let limit = seconds(limit.unwrap_or_default());
                let words = format!("{} did not answer within {limit} s", self.connector.peer().name());
                Err(Failure::new(Stage::Late, words).hint("--request-timeout sets how long to wait (0 = for ever)"))
            }
        };
        let took = clock.instant().saturating_duration_since(started);
        let mut sent = request.sent();
        let proxy = self.settings.proxy.as_ref();
        proxy.and_then(Proxy::authorization).iter().for_each(|value| sent.add(value));
        trace::outcome(&self.settings.notices, request, &url, &sent, &outcome, took);
        let (head, turn) = outcome?;
        let (parts, body) = head.into_parts();
        let gzip =
            parts.headers.get(CONTENT_ENCODING).is_some_and(|coding| coding.as_bytes().eq_ignore_ascii_case(b"gzip"));
        Ok(Response {
            status: parts.status.as_u16(),
            version: parts.version,
            headers: parts.headers,
            body: Body::incoming(body, parts.version, gzip, turn),
            sent,
            took,
        })
    }

    async fn exchange(&self, request: &Request, url: &str) -> Result<Exchanged, Failure> {
        let uri: Uri = url.parse().map_err(|why| Failure::new(Stage::Garbled, format!("{url:?} is no URL: {why}")))?;
        let clients = self.clients().await?;
        let turn = Turn::take(clients);
        let mut outgoing = hyper::Request::new(Full::new(request.body()));
        *outgoing.method_mut() = request.method();
        *outgoing.uri_mut() = uri;
        outgoing.headers_mut().clone_from(request.headers());
        let forwarding = self.connector.forwarding();
        if let Some(authorization) = forwarding.and_then(Proxy::authorization) {
            outgoing.headers_mut().insert(PROXY_AUTHORIZATION, authorization);
        }
        match turn.client().request(outgoing).await {
            Ok(head) => match forwarding {
                Some(proxy) if head.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                    let reply = connect::Reply::of(head.status(), head.headers());
                    Err(proxy.refused(&reply, &self.origin.name(), self.origin.host(), String::new()))
                }
                _ => Ok((head, turn)),
            },
            Err(error) => {
                let failure = Failure::of(&error, self.connector.peer());
                let failure = if url.starts_with("http:") { failure.in_plain_text() } else { failure };
                if self.connectors().filter(|connector| connector.has_changed()).count() > 0 {
                    *self.clients.lock().await = None;
                }
                Err(failure)
            }
        }
    }

    /// The clients for the version the server speaks, found out by the first connection. Whoever waited for a first
    /// connection that failed shares its failure instead of trying again.
    async fn clients(&self) -> Result<Arc<Clients>, Failure> {
        let failures = self.failures.load(Ordering::Relaxed);
        let mut clients = self.clients.lock().await;
        if let Some(clients) = &*clients {
            return Ok(Arc::clone(clients));
        }
        if self.failures.load(Ordering::Relaxed) != failures
            && let Ok(failure) = self.failure.lock()
            && let Some(failure) = &*failure
        {
            return Err(failure.clone());
        }
        match self.connect().await {
            Ok((stream, connector)) => {
                let version = version(&stream);
                connector.keep(stream);
                let made = Arc::new(Clients::new(version, connector.speaking(version), &self.settings));
                *clients = Some(Arc::clone(&made));
                Ok(made)
            }
            Err(failure) => {
                if let Ok(mut last) = self.failure.lock() {
                    *last = Some(failure.clone());
                }
                self.failures.fetch_add(1, Ordering::Relaxed);
                Err(failure)
            }
        }
    }

    /// A first connection, and who made it.
    async fn connect(&self) -> Result<(Stream, &Connector), Failure> {
        let mut failed = None;
        for connector in self.connectors() {
            // Boxed: it is large and seldom, and all that send requests would hold room for it.
            match Box::pin(connector.connect()).await {
                Ok(stream) => return Ok((stream, connector)),
                Err(failure) if failure.stage() == Stage::Version => failed = Some(failure),
                Err(failure) => return Err(failure),
            }
        }
        Err(failed.unwrap_or_else(|| Failure::new(Stage::Dial, "nothing to connect with")))
    }

    fn connectors(&self) -> impl Iterator<Item = &Connector> {
        std::iter::once(&self.connector).chain(&self.second)
    }
}

pub(super) type Exchanged = (hyper::Response<hyper::body::Incoming>, Turn);

impl Clients {
    fn new(version: Version, connector: Connector, settings: &Settings) -> Self {
        keep_freed_memory();
        let mut builder = Client::builder(TokioExecutor::new());
        builder.timer(TokioTimer::new()).pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE);
        let count = if version == Version::HTTP_2 {
            let window = (HELD / settings.streams.max(1)).clamp(WINDOW.0, WINDOW.1);
            builder
                .http2_only(true)
                .http2_max_frame_size(FRAME)
                .http2_max_header_list_size(BUFFER as u32)
                .http2_initial_stream_window_size(window as u32)
                // Room for every stream's window, so that paused streams never stop the others.
                .http2_initial_connection_window_size((window * STREAMS) as u32);
            if !settings.ping_after.is_zero() {
                builder
                    .http2_keep_alive_interval(settings.ping_after)
                    .http2_keep_alive_timeout(settings.ping_timeout)
                    // As Go's: a connection that died unused is noticed before the next request meets it.
                    .http2_keep_alive_while_idle(true);
            }
            CONNECTIONS
        } else {
            builder.http1_max_buf_size(BUFFER);
            1
        };
        Clients((0..count).map(|_| (builder.build(connector.clone()), AtomicUsize::new(0))).collect())
    }

    /// The first client with room, else the one with the fewest requests.
    fn choose(&self) -> usize {
        let loads = || self.0.iter().map(|(_, load)| load.load(Ordering::Relaxed)).enumerate();
        let first = loads().find(|(_, load)| self.0.len() == 1 || *load < STREAMS);
        first.or_else(|| loads().min_by_key(|(_, load)| *load)).map_or(0, |(nth, _)| nth)
    }
}

/// Stops glibc from handing freed frames back to the kernel, only to fault them in again for the next ones: by default it
/// trims its heap down to 128 KiB of free memory, and freeing one large block raises that to twice the block's size. Costs
/// two system calls and no memory, saves a third of the processor time of an HTTP/2 stream.
fn keep_freed_memory() {
    if cfg!(target_env = "gnu") {
        drop(std::hint::black_box(Vec::<u8>::with_capacity(8 * 1024 * 1024)));
    }
}

impl Turn {
    fn take(clients: Arc<Clients>) -> Self {
        let nth = clients.choose();
        clients.0[nth].1.fetch_add(1, Ordering::Relaxed);
        Turn { clients, nth }
    }

    fn client(&self) -> &HyperClient {
        &self.clients.0[self.nth].0
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.clients.0[self.nth].1.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("origin", &self.origin).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_connection_is_filled_before_the_next_is_used() {
        let settings = Settings::new(Notices::new(0, true, |_| ()));
        let peer = Peer::server("localhost:1".to_owned(), None, None, Clock::System);
        let connector = Connector::new(("localhost", 1), None, None, peer, Limits::default(), Clock::System);
        let clients = Arc::new(Clients::new(Version::HTTP_2, connector, &settings));
        let loads = || clients.0.iter().map(|(_, n)| n.load(Ordering::Relaxed)).collect::<Vec<_>>();
        let take = |count| (0..count).map(|_| Turn::take(Arc::clone(&clients))).collect::<Vec<_>>();
        let turns = take(STREAMS + 1);
        assert_eq!(loads(), [STREAMS, 1, 0, 0]);
        drop(turns);
        assert_eq!(loads(), [0; CONNECTIONS]);
        let _more = take(STREAMS * CONNECTIONS + 2);
        assert_eq!(loads(), [STREAMS + 1, STREAMS + 1, STREAMS, STREAMS]);
    }
}
