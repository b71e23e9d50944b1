//! Servers on loopback for tests: raw ones that misbehave byte by byte, and hyper's with TLS for everything else.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_rustls::server::TlsStream;

use super::{Failure, Identity, Limits, Origin, Pool, Protocol, Request, Response, Roots, Settings, Trust};
use crate::config::pem;
use crate::notice::Notices;

/// The one source of mutations, which the fuzz targets share.
#[path = "../../tests/fuzz/mutate.rs"]
mod mutate;
pub(crate) use mutate::mutated;

/// A listening server; stops when dropped.
pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Listening {
    /// Connections accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn http_url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn https_url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Gives each connection, with its number from 0, to `talk`.
pub(crate) async fn raw<F, T>(talk: F) -> Listening
where
    F: Fn(usize, TcpStream) -> T + Send + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    let accepting = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            tokio::spawn(talk(count.fetch_add(1, Ordering::SeqCst), stream));
        }
    });
    Listening { address, connections, accepting }
}

/// Answers the first request of each connection with these bytes, then closes.
pub(crate) async fn saying(answer: impl Into<Vec<u8>>) -> Listening {
    let answer = Arc::new(answer.into());
    raw(move |_, mut stream| {
        let answer = Arc::clone(&answer);
        async move {
            read_head(&mut stream).await;
            stream.write_all(&answer).await.unwrap();
            stream.shutdown().await.unwrap();
            // A socket closed with unread bytes is reset: read until the client is gone.
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    })
    .await
}

/// Reads up to the empty line after a request's head.
pub(crate) async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

/// Closes with a TCP reset.
pub(crate) fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
}

/// A body made of pieces as the test sends them.
pub(crate) struct Pieces(mpsc::Receiver<Result<Bytes, Broken>>);

/// How a body breaks off.
pub(crate) type Broken = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Sending = mpsc::Sender<Result<Bytes, Broken>>;
pub(crate) type Asked = hyper::Request<Incoming>;
pub(crate) type Answer = hyper::Response<Pieces>;

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

/// An answer whose body is sent by the test.
pub(crate) fn streaming(status: u16) -> (Sending, Answer) {
    let (sending, receiving) = mpsc::channel(64);
    (sending, hyper::Response::builder().status(status).body(Pieces(receiving)).unwrap())
}

/// An answer with its whole body.
pub(crate) fn whole(status: u16, body: impl Into<Bytes>) -> Answer {
    let (sending, answer) = streaming(status);
    let body = body.into();
    if !body.is_empty() {
        sending.try_send(Ok(body)).unwrap();
    }
    answer
}

/// Serves `answer` over TLS, HTTP/1.1 or HTTP/2 as the handshake says.
pub(crate) async fn https<F, T>(config: ServerConfig, answer: F) -> Listening
where
    F: Fn(Asked) -> T + Clone + Send + Sync + 'static,
    T: Future<Output = Answer> + Send + 'static,
{
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    raw(move |_, stream| {
        let (acceptor, answer) = (acceptor.clone(), answer.clone());
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(stream, answer).await;
            }
        }
    })
    .await
}

/// Serves one connection, HTTP/1.1 or HTTP/2 as its first bytes say.
pub(crate) async fn serve<F, T>(stream: TlsStream<TcpStream>, answer: F)
where
    F: Fn(Asked) -> T + Clone + Send + Sync + 'static,
    T: Future<Output = Answer> + Send + 'static,
{
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http2().max_concurrent_streams(100).initial_stream_window_size(256 * 1024);
    let service = hyper::service::service_fn(move |asked| {
        let answer = answer(asked);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

/// A certificate authority made for one test.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

/// A certificate and its key.
pub(crate) type Issued = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl Authority {
    /// One of the name kubeadm gives to every cluster's.
    pub(crate) fn new() -> Self {
        Authority::named("kubernetes")
    }

    pub(crate) fn named(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Authority { issuer: Issuer::new(params, key), certificate }
    }

    /// A server's certificate for these names, changed by `adjust`.
    pub(crate) fn server(&self, names: &[&str], adjust: impl FnOnce(&mut CertificateParams)) -> Issued {
        self.issue(names, ExtendedKeyUsagePurpose::ServerAuth, adjust)
    }

    pub(crate) fn client(&self, name: &str) -> Identity {
        let (chain, key) = self.issue_client(name);
        Arc::unwrap_or_clone(pem::pair(chain, &key).unwrap())
    }

    /// A client's certificate and key.
    pub(crate) fn issue_client(&self, name: &str) -> Issued {
        self.issue(&[name], ExtendedKeyUsagePurpose::ClientAuth, |_| ())
    }

    pub(crate) fn trust(&self) -> Trust {
        Trust { roots: Roots::Authorities(vec![self.certificate.clone()]), server_name: None }
    }

    fn issue(
        &self,
        names: &[&str],
        usage: ExtendedKeyUsagePurpose,
        adjust: impl FnOnce(&mut CertificateParams),
    ) -> Issued {
        let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        params.extended_key_usages = vec![usage];
        adjust(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        (vec![certificate], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
    }

    /// A server configuration that wants client certificates of this authority.
    pub(crate) fn demanding(&self, issued: Issued, alpn: &[&str]) -> ServerConfig {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = builder.with_client_cert_verifier(verifier.build().unwrap()).with_single_cert(issued.0, issued.1);
        with_alpn(config.unwrap(), alpn)
    }
}

pub(crate) const H2: &[&str] = &["h2", "http/1.1"];
pub(crate) const H1: &[&str] = &["http/1.1"];

pub(crate) fn server_config(issued: Issued, alpn: &[&str]) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    with_alpn(builder.with_no_client_auth().with_single_cert(issued.0, issued.1).unwrap(), alpn)
}

fn with_alpn(mut config: ServerConfig, alpn: &[&str]) -> ServerConfig {
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

/// A server with a good certificate for `localhost`, and the trust to use it with.
pub(crate) async fn good<F, T>(alpn: &[&str], answer: F) -> (Listening, Trust)
where
    F: Fn(Asked) -> T + Clone + Send + Sync + 'static,
    T: Future<Output = Answer> + Send + 'static,
{
    let authority = Authority::new();
    let config = server_config(authority.server(&["localhost"], |_| ()), alpn);
    (https(config, answer).await, authority.trust())
}

/// Settings that say nothing and whose every limit is far away.
pub(crate) fn settings() -> Settings {
    let far = Duration::from_secs(60);
    let limits = Limits { dial: far, handshake: far };
    Settings { limits, ..Settings::new(Notices::new(0, true, |_| ())) }
}

pub(crate) fn pool(url: &str, trust: &Trust, settings: Settings) -> Pool {
    Pool::new(Origin::parse(url).unwrap().0, trust, None, settings).unwrap()
}

/// One request to a plain server.
pub(crate) async fn ask_plain(server: &Listening) -> Result<Response, Failure> {
    let trust = Trust { roots: Roots::Authorities(Vec::new()), server_name: None };
    pool(&server.http_url(), &trust, settings()).send(&Request::get("/")).await
}

/// One request to a TLS server.
pub(crate) async fn ask(server: &Listening, trust: &Trust, protocol: Protocol) -> Result<Response, Failure> {
    pool(&server.https_url(), trust, Settings { protocol, ..settings() }).send(&Request::get("/")).await
}

/// Passes bytes on in both directions while `open` says so.
pub(crate) async fn valve(to: SocketAddr) -> (Listening, watch::Sender<bool>) {
    let (open, watching) = watch::channel(true);
    let server = raw(move |_, near| {
        let watching = watching.clone();
        async move {
            let far = TcpStream::connect(to).await.unwrap();
            let (near_read, near_write) = near.into_split();
            let (far_read, far_write) = far.into_split();
            tokio::join!(pass(near_read, far_write, watching.clone()), pass(far_read, near_write, watching));
        }
    })
    .await;
    (server, open)
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut open: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if open.wait_for(|open| *open).await.is_err() {
            break;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
}
