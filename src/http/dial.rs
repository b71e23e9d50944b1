//! Making connections: names to addresses, TCP to one of them, a proxy's consent, TLS on top, each with its time limit and
//! its own words.

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
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tower_service::Service;

use super::failure::{Failure, Stage, find, io_beneath, plain};
use super::proxy::{Proxy, ProxyKind};
use super::tls::Peer;
use super::wire::Wire;
use crate::clock::Clock;
use crate::time::seconds;

/// A connection, with TLS or without.
pub(super) type Stream = MaybeHttpsStream<Wire>;

/// How long each step of making a connection may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Resolving, TCP and what a proxy has to say, together.
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
    tls: Option<Secured>,
    /// The way to it, where that is not direct.
    proxy: Option<ByProxy>,
    /// For words.
    peer: Peer,
    limits: Limits,
    clock: Clock,
    /// A connection made ahead of its request.
    ready: Mutex<Option<Stream>>,
    /// A connection came out with another version than its client can speak.
    changed: AtomicBool,
}

/// How TLS is made, and with whom.
pub(super) type Secured = (Arc<ClientConfig>, ServerName<'static>);

/// A proxy, and TLS to it where it is spoken to so.
#[derive(Clone)]
pub(super) struct ByProxy {
    pub(super) proxy: Proxy,
    pub(super) tls: Option<Secured>,
}

impl Connector {
    /// Connects to the server that `peer` describes.
    pub(super) fn new(
        (host, port): (&str, u16),
        tls: Option<Secured>,
        proxy: Option<ByProxy>,
        peer: Peer,
        limits: Limits,
        clock: Clock,
    ) -> Self {
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host).to_owned();
        let (ready, changed) = (Mutex::new(None), AtomicBool::new(false));
        let server = Server { host, port, tls, proxy, peer, limits, clock, ready, changed };
        Connector { server: Arc::new(server), only: None }
    }

    /// Whom it connects to, for words.
    pub(super) fn peer(&self) -> &Peer {
        &self.server.peer
    }

    /// The HTTP proxy that is asked for each request, instead of for a way to the server.
    pub(super) fn forwarding(&self) -> Option<&Proxy> {
        let proxy = &self.server.proxy.as_ref()?.proxy;
        (self.server.tls.is_none() && proxy.kind != ProxyKind::Socks5).then_some(proxy)
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
        let wire = match &server.proxy {
            None => Wire::tcp(server.dial(&server.host, server.port, "", UNREACHABLE).await?),
            // Boxed, as most futures around hold room for it and few connections need it.
            Some(by) => Box::pin(self.through(by)).await?,
        };
        match &server.tls {
            None => Ok(MaybeHttpsStream::Http(wire)),
            Some(tls) => server.secure(wire, tls, &server.peer).await,
        }
    }

    /// A way to the server by a proxy.
    async fn through(&self, by: &ByProxy) -> Result<Wire, Failure> {
        let server = &*self.server;
        let proxy = &by.proxy;
        let started = server.clock.instant();
        let tcp = server.dial(&proxy.host, proxy.port, "the proxy ", &proxy.remedy()).await?;
        let mut wire = Wire::tcp(tcp);
        if let Some(tls) = &by.tls {
            let peer = Peer::proxy(proxy.to_string(), server.clock);
            wire = Wire::secured(server.secure(wire, tls, &peer).await?);
        }
        if self.forwarding().is_some() {
            return Ok(wire.forwarding());
        }
        let limit = server.limits.dial;
        let left = limit.saturating_sub(server.clock.instant().saturating_duration_since(started));
        let asking = proxy.open(&mut wire, &server.host, server.port, server.clock);
        match server.clock.within(Some(left), asking).await {
            Some(opened) => opened.map(|()| wire),
            None => {
                let name = host_and_port(&server.host, server.port);
                let words = format!("did not connect to {name} within {} s", seconds(limit));
                Err(proxy.failure(&words).hint(proxy.remedy()))
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
    /// TCP to the server, or to a proxy as `role` says.
    async fn dial(&self, host: &str, port: u16, role: &str, hint: &str) -> Result<TcpStream, Failure> {
        let limit = self.limits.dial;
        let dialled = match self.clock.within(Some(limit), dial(host, port, self.clock)).await {
            Some(dialled) => dialled,
            None => Err((Stage::Dial, format!("no answer within {} s", seconds(limit)))),
        };
        dialled.map_err(|(stage, why)| {
            let words = match stage {
                Stage::Resolve => format!("resolving {role}{host}: {why}"),
                _ => format!("connecting to {role}{}: {why}", host_and_port(host, port)),
            };
            Failure::new(stage, words).hint(hint)
        })
    }

    /// TLS on top of a connection.
    async fn secure(&self, wire: Wire, (config, name): &Secured, peer: &Peer) -> Result<Stream, Failure> {
        let name = Arc::new(FixedServerNameResolver::new(name.clone()));
        let mut tls = HttpsConnector::new(Connected(Some(wire)), Arc::clone(config), true, name);
        let limit = self.limits.handshake;
        match self.clock.within(Some(limit), tls.call(Uri::from_static("https://handshake"))).await {
            Some(Ok(stream)) => Ok(stream),
            Some(Err(error)) => Err(tls_failure(&*error, peer)),
            None => {
                let words = format!("no handshake within {} s", seconds(limit));
                Err(peer.failure(&words).hint(UNREACHABLE))
            }
        }
    }
}

fn tls_failure(error: &(dyn std::error::Error + 'static), peer: &Peer) -> Failure {
    if let Some(tls) = find::<rustls::Error>(error) {
        return peer.explain(tls);
    }
    match io_beneath(error).map(io::Error::kind) {
        Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => peer
            .failure("the connection was closed during the handshake")
            .hint("is it the right port? Load balancers without a server behind them do so too, and firewalls that read names"),
        _ => peer.failure(&super::failure::innermost(error)),
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
                let words = format!("{} no longer speaks HTTP/2", connector.server.peer.name());
                return Err(Failure::new(Stage::Lost, words));
            }
            Ok(stream)
        })
    }
}

/// A connection that is already there, in the shape hyper-rustls puts TLS on.
struct Connected(Option<Wire>);

impl Service<Uri> for Connected {
    type Response = Wire;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<Wire>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        std::future::ready(self.0.take().ok_or_else(|| io::Error::other("connection used twice")))
    }
}

/// Where it failed, and why.
type Undialled = (Stage, String);

async fn dial(host: &str, port: u16, clock: Clock) -> Result<TcpStream, Undialled> {
    let stream = match host.parse::<IpAddr>() {
        // No thread for a resolver where there is nothing to resolve.
        Ok(address) => TcpStream::connect((address, port)).await,
        Err(_) => first_of(resolve(host, port).await?, PATIENCE, clock).await,
    };
    let stream = stream.map_err(|error| (Stage::Dial, tcp_words(&error)))?;
    // Neither is worth failing for.
    let _ = stream.set_nodelay(true);
    let probes = TcpKeepalive::new().with_time(Duration::from_secs(30));
    #[cfg(any(target_os = "linux", target_os = "macos", target_os = "windows"))]
    let probes = probes.with_interval(Duration::from_secs(15));
    let _ = SockRef::from(&stream).set_tcp_keepalive(&probes);
    Ok(stream)
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Undialled> {
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
    Err((Stage::Resolve, why))
}

/// How long a silent address holds up the next one: Go's.
const PATIENCE: Duration = Duration::from_millis(300);

/// The first connection that comes about. A silent address holds up the next for `patience`, a refusal not at all.
async fn first_of(addresses: Vec<SocketAddr>, patience: Duration, clock: Clock) -> io::Result<TcpStream> {
    let mut left = addresses.into_iter();
    let mut attempts = JoinSet::new();
    let mut refusal = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        match left.next() {
            Some(address) => drop(attempts.spawn(TcpStream::connect(address))),
            None if attempts.is_empty() => return Err(refusal),
            None => {}
        }
        let limit = (left.len() > 0).then_some(patience);
        match clock.within(limit, attempts.join_next()).await {
            Some(Some(Ok(Ok(stream)))) => return Ok(stream),
            Some(Some(Ok(Err(error)))) => refusal = error,
            Some(Some(Err(_)) | None) | None => {}
        }
    }
}

pub(super) fn tcp_words(error: &io::Error) -> String {
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

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use socket2::{Domain, Socket, Type};

    /// An address that answers nothing: its queue is full, so the kernel drops whoever knocks. Lasts as long as the sockets.
    fn silent() -> (SocketAddr, Vec<Socket>) {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut sockets = vec![listener];
        for _ in 0..8 {
            let knocking = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            knocking.set_nonblocking(true).unwrap();
            let _ = knocking.connect(&address);
            sockets.push(knocking);
        }
        (address.as_socket().unwrap(), sockets)
    }

    #[tokio::test]
    async fn a_silent_address_hits_the_dial_limit() {
        let (address, _full) = silent();
        let limits = Limits { dial: Duration::from_millis(50), ..Limits::default() };
        let peer = Peer::server(address.to_string(), None, None, Clock::System);
        let connector = Connector::new(("127.0.0.1", address.port()), None, None, peer, limits, Clock::System);
        let failure = connector.connect().await.err().unwrap();
        assert_eq!(failure.stage(), Stage::Dial);
        assert_eq!(failure.to_string(), format!("connecting to {address}: no answer within 0.05 s"));
    }

    #[tokio::test]
    async fn a_silent_address_does_not_hold_up_the_next() {
        let (silent, _full) = silent();
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let good = listener.local_addr().unwrap();
        let stream = first_of(vec![silent, good], Duration::from_millis(5), Clock::System).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
    }

    #[tokio::test]
    async fn when_all_addresses_refuse_the_refusal_is_told() {
        let gone = || std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        let never = Duration::from_secs(3600);
        let error = first_of(vec![gone(), gone()], never, Clock::System).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
