//! Listeners and connections: TLS, HTTP by ALPN, and the record of what was asked.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
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
use super::body::Answer;

/// A request as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) method: String,
    /// Path and query, as sent.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    /// Whose credentials came with it; empty where they were refused.
    pub(crate) user: String,
    pub(crate) version: Version,
    /// Requests over one connection share this number.
    pub(crate) connection: usize,
}

impl Recorded {
    /// The path without its query.
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
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
}

impl Record {
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

/// How HTTP/2 connections are set up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Http2 {
    /// 100 at API servers of 1.36, 250 at 1.24.
    pub(crate) streams: u32,
}

/// Who answers at a listener.
#[derive(Clone)]
pub(crate) enum Face {
    Api(Arc<Api>),
}

/// One listener's part of the cluster.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) face: Face,
    pub(crate) record: Arc<Record>,
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
pub(crate) async fn serve(listener: std::net::TcpListener, tls: ServerConfig, service: Service) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    while let Ok((socket, _)) = listener.accept().await {
        let (acceptor, service) = (acceptor.clone(), service.clone());
        tokio::spawn(async move {
            // Peers that give up in the middle are no news.
            let _ = connection(socket, acceptor, service).await;
        });
    }
}

async fn connection(
    socket: TcpStream,
    acceptor: TlsAcceptor,
    service: Service,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    socket.set_nodelay(true)?;
    let stream = acceptor.accept(socket).await?;
    let number = service.record.connections.fetch_add(1, Ordering::SeqCst);
    let (_, tls) = stream.get_ref();
    let certificate = tls.peer_certificates().and_then(|chain| chain.first()).map(|leaf| leaf.to_vec());
    let http2 = tls.alpn_protocol() == Some(b"h2");
    let streams = service.http2.streams;
    let certificate = Arc::new(certificate);
    let handler = service_fn(move |request: Request<Incoming>| {
        let (service, certificate) = (service.clone(), Arc::clone(&certificate));
        async move { Ok::<Answer, Infallible>(answer(request, &service, certificate.as_deref(), number).await) }
    });
    let io = TokioIo::new(stream);
    if http2 {
        hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .max_concurrent_streams(streams)
            .initial_stream_window_size(262_144)
            .initial_connection_window_size(26_214_400)
            .max_frame_size(262_144)
            .serve_connection(io, handler)
            .await?;
    } else {
        hyper::server::conn::http1::Builder::new().title_case_headers(true).serve_connection(io, handler).await?;
    }
    Ok(())
}

async fn answer(
    request: Request<Incoming>,
    service: &Service,
    certificate: Option<&[u8]>,
    connection: usize,
) -> Answer {
    let (head, _body) = request.into_parts();
    let asked = api::Request { method: &head.method, uri: &head.uri, headers: &head.headers, certificate };
    match &service.face {
        Face::Api(api) => {
            service.record.add(Recorded {
                method: head.method.to_string(),
                target: head.uri.path_and_query().map_or_else(String::new, ToString::to_string),
                headers: head.headers.clone(),
                user: api.authenticate(&asked).map_or_else(|_| String::new(), |who| who.name),
                version: head.version,
                connection,
            });
            api.answer(&asked).await
        }
    }
}
