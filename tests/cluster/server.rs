//! Listeners and connections: TLS, HTTP by ALPN, and the record of what was asked.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::service::service_fn;
use hyper::{Request, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::api::{self, Api};
use super::body::{self, Answer};
use super::direct;
use super::fault::{self, Control, Faults, Strike, Watched, What};
use super::objects::Member;

/// A request as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    /// `api`, or the node whose port was asked.
    pub(crate) server: String,
    pub(crate) method: String,
    /// Path and query, as sent.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    /// Whose credentials came with it; empty where they were refused.
    pub(crate) user: String,
    pub(crate) version: Version,
    /// Requests over one connection share this number.
    pub(crate) connection: usize,
    sent: Arc<AtomicU64>,
}

impl Recorded {
    /// The path without its query.
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// Bytes of the answer's body that have been sent, or are about to be.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// Everything asked so far, and a way to wait for more.
#[derive(Debug, Default)]
pub(crate) struct Record {
    requests: Mutex<Vec<Recorded>>,
    more: Condvar,
    connections: AtomicUsize,
    busy: Mutex<Busy>,
}

/// Requests that are being answered: of each connection and each node, now and at the most.
#[derive(Debug, Default)]
struct Busy {
    connections: HashMap<usize, (usize, usize)>,
    nodes: HashMap<String, (usize, usize)>,
}

/// A request that is being answered, until it is dropped.
struct Answering {
    record: Arc<Record>,
    connection: usize,
    node: Option<String>,
}

impl Answering {
    fn new(record: &Arc<Record>, connection: usize, node: Option<&str>) -> Answering {
        let mut busy = record.busy.lock().expect("no panic while counting");
        let one_more = |(now, most): &mut (usize, usize)| {
            *now += 1;
            *most = (*most).max(*now);
        };
        one_more(busy.connections.entry(connection).or_default());
        if let Some(node) = node {
            one_more(busy.nodes.entry(node.to_owned()).or_default());
        }
        Answering { record: Arc::clone(record), connection, node: node.map(str::to_owned) }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let Ok(mut busy) = self.record.busy.lock() else { return };
        if let Some((now, _)) = busy.connections.get_mut(&self.connection) {
            *now -= 1;
        }
        if let Some((now, _)) = self.node.as_ref().and_then(|node| busy.nodes.get_mut(node)) {
            *now -= 1;
        }
    }
}

impl Record {
    /// The most requests that were answered at the same time: over one connection, and by one node.
    pub(crate) fn most_at_once(&self) -> (usize, usize) {
        let busy = self.busy.lock().expect("no panic while counting");
        let most = |counts: &mut dyn Iterator<Item = &(usize, usize)>| counts.map(|(_, most)| *most).max().unwrap_or(0);
        (most(&mut busy.connections.values()), most(&mut busy.nodes.values()))
    }

    fn add(&self, request: Recorded) {
        self.requests.lock().expect("no panic while recording").push(request);
        self.more.notify_all();
    }

    /// All requests so far, in the order they came.
    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.requests.lock().expect("no panic while recording").clone()
    }

    /// How many connections got through their handshake.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Waits until `count` requests fit; panics after a minute.
    pub(crate) fn wait(&self, count: usize, fits: impl Fn(&Recorded) -> bool) -> Vec<Recorded> {
        let found = |requests: &Vec<Recorded>| requests.iter().filter(|request| fits(request)).count();
        let requests = self.requests.lock().expect("no panic while recording");
        let (requests, late) = self
            .more
            .wait_timeout_while(requests, Duration::from_secs(60), |requests| found(requests) < count)
            .expect("no panic while recording");
        assert!(!late.timed_out(), "waited for {count} requests, had {} of {}", found(&requests), requests.len());
        requests.iter().filter(|request| fits(request)).cloned().collect()
    }
}

/// Who is told of each request first.
#[derive(Default)]
pub(crate) struct Watcher(Mutex<Option<See>>);

type See = Box<dyn FnMut(&str) + Send>;

impl Watcher {
    pub(crate) fn set(&self, see: impl FnMut(&str) + Send + 'static) {
        *self.0.lock().expect("no panic while watching") = Some(Box::new(see));
    }

    fn tell(&self, target: &str) {
        if let Some(see) = &mut *self.0.lock().expect("no panic while watching") {
            see(target);
        }
    }
}

/// How HTTP/2 connections are set up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Http2 {
    /// 100 at API servers of 1.36, 250 at 1.24.
    pub(crate) streams: u32,
}

/// Who answers at a listener.
#[derive(Clone)]
pub(crate) enum Face {
    Api,
    Kubelet(Arc<Member>),
}

/// One listener's part of the cluster.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) face: Face,
    pub(crate) api: Arc<Api>,
    pub(crate) record: Arc<Record>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) watcher: Arc<Watcher>,
    pub(crate) http2: Http2,
}

/// Binds a loopback port of the system's choice.
pub(crate) fn listen() -> io::Result<(std::net::TcpListener, SocketAddr)> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Accepts until the runtime ends.
pub(crate) async fn serve(listener: std::net::TcpListener, tls: Arc<ServerConfig>, service: Service) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let acceptor = TlsAcceptor::from(tls);
    while let Ok((socket, _)) = listener.accept().await {
        let (acceptor, service) = (acceptor.clone(), service.clone());
        tokio::spawn(async move {
            // Peers that give up in the middle are no news.
            let _ = connection(socket, acceptor, service).await;
        });
    }
}

/// Accepts and never says a word.
pub(crate) async fn hang(listener: std::net::TcpListener) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let mut held = Vec::new();
    while let Ok((socket, _)) = listener.accept().await {
        held.push(socket);
    }
}

/// Speaks plain HTTP to whoever comes.
pub(crate) async fn speak_plainly(listener: std::net::TcpListener) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    while let Ok((socket, _)) = listener.accept().await {
        tokio::spawn(async move {
            let answer = || body::answer(hyper::StatusCode::NOT_FOUND, "text/plain", "404 page not found\n");
            let handler = service_fn(move |_: Request<Incoming>| std::future::ready(Ok::<Answer, io::Error>(answer())));
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), handler).await;
        });
    }
}

async fn connection(
    socket: TcpStream,
    acceptor: TlsAcceptor,
    service: Service,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    socket.set_nodelay(true)?;
    // A second handle on the socket, for the one thing that must be set when the first is out of reach.
    let twin = socket.as_fd().try_clone_to_owned()?;
    let stream = acceptor.accept(socket).await?;
    let number = service.record.connections.fetch_add(1, Ordering::SeqCst);
    let (_, tls) = stream.get_ref();
    let certificate = Arc::new(tls.peer_certificates().and_then(|chain| chain.first()).map(|leaf| leaf.to_vec()));
    let http2 = tls.alpn_protocol() == Some(b"h2");
    let streams = service.http2.streams;
    let control = Arc::new(Control::default());
    let handler = {
        let control = Arc::clone(&control);
        service_fn(move |request: Request<Incoming>| {
            let (service, certificate, control) = (service.clone(), Arc::clone(&certificate), Arc::clone(&control));
            async move { answer(request, &service, certificate.as_deref(), number, control).await }
        })
    };
    let io = TokioIo::new(Watched { inner: stream, control: Arc::clone(&control) });
    // The two kinds of connection share no trait.
    macro_rules! drive {
        ($connection:expr) => {{
            let mut connection = pin!($connection);
            loop {
                tokio::select! {
                    ended = connection.as_mut() => {
                        ended?;
                        break;
                    }
                    () = control.goaway.notified() => connection.as_mut().graceful_shutdown(),
                    () = control.kill.notified() => {
                        if control.reset.load(Ordering::SeqCst) {
                            TcpStream::from_std(std::net::TcpStream::from(twin))?.set_zero_linger()?;
                        }
                        break;
                    }
                }
            }
        }};
    }
    if http2 {
        let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder
            .max_concurrent_streams(streams)
            .initial_stream_window_size(262_144)
            .initial_connection_window_size(26_214_400)
            .max_frame_size(262_144)
            .max_header_list_size(1_048_896);
        drive!(builder.serve_connection(io, handler));
    } else {
        let mut builder = hyper::server::conn::http1::Builder::new();
        drive!(builder.title_case_headers(true).serve_connection(io, handler));
    }
    Ok(())
}

async fn answer(
    request: Request<Incoming>,
    service: &Service,
    certificate: Option<&[u8]>,
    connection: usize,
    control: Arc<Control>,
) -> io::Result<Answer> {
    let (mut head, _body) = request.into_parts();
    let asked = api::Request { method: &head.method, uri: &head.uri, headers: &head.headers, certificate };
    let target = head.uri.path_and_query().map_or_else(String::new, ToString::to_string);
    service.watcher.tell(&target);
    let (server, node, user) = match &service.face {
        Face::Api => {
            let node = target.strip_prefix("/api/v1/nodes/").and_then(|rest| rest.split(['/', '?']).next());
            ("api", node, service.api.authenticate(&asked).ok())
        }
        Face::Kubelet(member) => {
            (member.name.as_str(), Some(member.name.as_str()), direct::authenticate(&service.api, &asked))
        }
    };
    let sent = Arc::new(AtomicU64::new(0));
    service.record.add(Recorded {
        server: server.to_owned(),
        method: head.method.to_string(),
        target: target.clone(),
        headers: head.headers.clone(),
        user: user.map_or_else(String::new, |who| who.name),
        version: head.version,
        connection,
        sent: Arc::clone(&sent),
    });
    let answering = Answering::new(&service.record, connection, node);
    let struck = service.faults.strike(node, &target);
    if let Some(strike) = &struck
        && let Some(instead) = fault::before(strike, &control).await
    {
        return instead;
    }
    if let Some(Strike { what: What::Ranges(habit), .. }) = &struck
        && let Some(refused) = habit.pass_on(&mut head.headers)
    {
        return Ok(refused);
    }
    let asked = api::Request { method: &head.method, uri: &head.uri, headers: &head.headers, certificate };
    let answered = match &service.face {
        Face::Api => service.api.answer(&asked).await,
        Face::Kubelet(member) => direct::serve(&service.api, member, &asked).await?,
    };
    let answered = match struck {
        Some(strike) => fault::after(strike, answered, control).await?,
        None => answered,
    };
    Ok(answered.map(|body| body::counted(body, sent, Box::new(answering))))
}
