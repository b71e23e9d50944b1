//! Making connections: names to addresses, TCP to one of them, TLS on top, each with its time limit and its own words.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::{Uri, Version};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, MaybeHttpsStream};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tower_service::Service;

use super::failure::{Failure, Stage, find, io_beneath, plain};
use crate::clock::Clock;

/// A connection, with TLS or without.
pub(super) type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// How long each step of making a connection may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Resolving and TCP together.
    pub dial: Duration,
    /// The TLS handshake.
    pub handshake: Duration,
}

impl Default for Limits {
    /// client-go's: 30 s and 10 s.
    fn default() -> Self {
        Limits { dial: Duration::from_secs(30), handshake: Duration::from_secs(10) }
    }
}

/// Makes connections to one server; hyper-util's client calls it.
#[derive(Clone)]
pub(super) struct Connector {
    server: Arc<Server>,
    /// The one version its client can speak, where that is so.
    only: Option<Version>,
}

struct Server {
    host: String,
    port: u16,
    /// Without it, plain HTTP.
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    limits: Limits,
    clock: Clock,
    /// A connection made ahead of its request.
    ready: Mutex<Option<Stream>>,
    /// A connection came out with another version than its client can speak.
    changed: AtomicBool,
}

impl Connector {
    pub(super) fn new(
        host: &str,
        port: u16,
        tls: Option<(ClientConfig, ServerName<'static>)>,
        limits: Limits,
        clock: Clock,
    ) -> Self {
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host).to_owned();
        let tls = tls.map(|(config, name)| (Arc::new(config), name));
        let (ready, changed) = (Mutex::new(None), AtomicBool::new(false));
        Connector { server: Arc::new(Server { host, port, tls, limits, clock, ready, changed }), only: None }
    }

    /// The same for a client made for this version: an HTTP/2 client can't speak HTTP/1.1.
    pub(super) fn speaking(&self, version: Version) -> Self {
        Connector { server: Arc::clone(&self.server), only: (version == Version::HTTP_2).then_some(version) }
    }

    /// Whether, since it was last asked, a connection came out with another version than its client can speak.
    pub(super) fn has_changed(&self) -> bool {
        self.server.changed.swap(false, Ordering::Relaxed)
    }

    /// Makes a connection.
    pub(super) async fn connect(&self) -> Result<Stream, Failure> {
        let server = &*self.server;
        let limit = server.limits.dial;
        let tcp = match server.clock.within(Some(limit), dial(&server.host, server.port, server.clock)).await {
            Some(tcp) => tcp?,
            None => {
                let words = format!("connecting to {}: no answer within {} s", server.name(), limit.as_secs_f32());
                return Err(Failure::new(Stage::Dial, words).hint(UNREACHABLE));
            }
        };
        let tcp = TokioIo::new(tcp);
        let Some((config, name)) = &server.tls else { return Ok(MaybeHttpsStream::Http(tcp)) };
        let name = Arc::new(FixedServerNameResolver::new(name.clone()));
        let mut tls = HttpsConnector::new(Connected(Some(tcp)), Arc::clone(config), true, name);
        let limit = server.limits.handshake;
        match server.clock.within(Some(limit), tls.call(Uri::from_static("https://handshake"))).await {
            Some(Ok(stream)) => Ok(stream),
            Some(Err(error)) => Err(server.tls_failure(&*error)),
            None => {
                let words = format!("TLS with {}: no handshake within {} s", server.name(), limit.as_secs_f32());
                Err(Failure::new(Stage::Tls, words).hint(UNREACHABLE))
            }
        }
    }

    /// Keeps a connection for the next request that wants a new one.
    pub(super) fn keep(&self, stream: Stream) {
        if let Ok(mut ready) = self.server.ready.lock() {
            *ready = Some(stream);
        }
    }
}

/// The version agreed on in the TLS handshake.
pub(super) fn version(stream: &Stream) -> Version {
    match stream {
        MaybeHttpsStream::Https(tls) if tls.inner().get_ref().1.alpn_protocol() == Some(b"h2") => Version::HTTP_2,
        _ => Version::HTTP_11,
    }
}

const UNREACHABLE: &str = "is the server's address right, and can this machine reach it (VPN, firewall, proxy)?";

impl Server {
    /// `host:port`, as the words of an error name it.
    fn name(&self) -> String {
        host_and_port(&self.host, self.port)
    }

    fn tls_failure(&self, error: &(dyn std::error::Error + 'static)) -> Failure {
        let server = self.name();
        if let Some(tls) = find::<rustls::Error>(error) {
            return super::tls::failure(tls, &server);
        }
        let why = match io_beneath(error).map(io::Error::kind) {
            Some(io::ErrorKind::UnexpectedEof) => "the server closed the connection during the handshake".to_owned(),
            _ => super::failure::innermost(error),
        };
        Failure::new(Stage::Tls, format!("TLS with {server}: {why}"))
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, Failure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            let ready = connector.server.ready.lock().ok().and_then(|mut ready| ready.take());
            let stream = match ready {
                Some(stream) => stream,
                None => connector.connect().await?,
            };
            if connector.only.is_some_and(|only| only != version(&stream)) {
                connector.server.changed.store(true, Ordering::Relaxed);
                let words = format!("{} no longer speaks HTTP/2", connector.server.name());
                return Err(Failure::new(Stage::Lost, words));
            }
            Ok(stream)
        })
    }
}

/// A connection that is already there, in the shape hyper-rustls puts TLS on.
struct Connected(Option<TokioIo<TcpStream>>);

impl Service<Uri> for Connected {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<TokioIo<TcpStream>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        std::future::ready(self.0.take().ok_or_else(|| io::Error::other("connection used twice")))
    }
}

async fn dial(host: &str, port: u16, clock: Clock) -> Result<TcpStream, Failure> {
    let stream = match host.parse::<IpAddr>() {
        // No thread for a resolver where there is nothing to resolve.
        Ok(address) => TcpStream::connect((address, port)).await,
        Err(_) => first_of(resolve(host, port).await?, clock).await,
    };
    let stream = stream.map_err(|error| {
        let words = format!("connecting to {}: {}", host_and_port(host, port), tcp_words(&error));
        Failure::new(Stage::Dial, words).hint(UNREACHABLE)
    })?;
    // Neither is worth failing for.
    let _ = stream.set_nodelay(true);
    let probes = TcpKeepalive::new().with_time(Duration::from_secs(30));
    #[cfg(any(target_os = "linux", target_os = "macos", target_os = "windows"))]
    let probes = probes.with_interval(Duration::from_secs(15));
    let _ = SockRef::from(&stream).set_tcp_keepalive(&probes);
    Ok(stream)
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    let name = host.to_owned();
    let looked_up =
        tokio::task::spawn_blocking(move || (name.as_str(), port).to_socket_addrs().map(Vec::from_iter)).await;
    let why = match looked_up {
        Ok(Ok(addresses)) if !addresses.is_empty() => return Ok(addresses),
        Ok(Ok(_)) => "it has no address".to_owned(),
        Ok(Err(error)) => {
            let words = plain(&error.to_string());
            plain(words.strip_prefix("failed to lookup address information: ").unwrap_or(&words))
        }
        Err(_) => "the resolver broke off".to_owned(),
    };
    Err(Failure::new(Stage::Resolve, format!("resolving {host}: {why}")).hint(UNREACHABLE))
}

/// The first connection that comes about. A silent address does not hold up the next for longer than Go's 300 ms; a refusal
/// not at all.
async fn first_of(addresses: Vec<SocketAddr>, clock: Clock) -> io::Result<TcpStream> {
    const PATIENCE: Duration = Duration::from_millis(300);
    let mut left = addresses.into_iter();
    let mut attempts = JoinSet::new();
    let mut refusal = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        match left.next() {
            Some(address) => drop(attempts.spawn(TcpStream::connect(address))),
            None if attempts.is_empty() => return Err(refusal),
            None => {}
        }
        let patience = (left.len() > 0).then_some(PATIENCE);
        match clock.within(patience, attempts.join_next()).await {
            Some(Some(Ok(Ok(stream)))) => return Ok(stream),
            Some(Some(Ok(Err(error)))) => refusal = error,
            Some(Some(Err(_)) | None) | None => {}
        }
    }
}

fn tcp_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".into(),
        io::ErrorKind::NetworkUnreachable => "network unreachable".into(),
        io::ErrorKind::HostUnreachable => "host unreachable".into(),
        io::ErrorKind::TimedOut => "no answer: timed out".into(),
        io::ErrorKind::ConnectionReset => "connection reset".into(),
        _ => plain(&error.to_string()),
    }
}

pub(super) fn host_and_port(host: &str, port: u16) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}
