//! A plain HTTP client for the simulation's own tests: it sends the headers it is given and shows what came back.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Cluster, Key, User};

/// Why there was no answer.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// An answer, read to its end or to where it broke off.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// Whether the body ended as HTTP ends one.
    pub(crate) whole: bool,
}

impl Got {
    /// A header's value, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// What to send.
#[derive(Clone, Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) user: User,
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    pub(crate) headers: Vec<(&'a str, &'a str)>,
    pub(crate) body: &'a str,
    pub(crate) version: Version,
    pub(crate) proof: Proof,
    /// Stops reading after so many bytes.
    pub(crate) enough: usize,
}

/// How the user proves who he is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    Token,
    Certificate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Http1,
    Http2,
}

/// A GET as this user.
pub(crate) fn get(user: User, target: &str) -> Ask<'_> {
    let proof = if user == User::Limited { Proof::Certificate } else { Proof::Token };
    Ask {
        user,
        method: "GET",
        target,
        headers: Vec::new(),
        body: "",
        version: Version::Http1,
        proof,
        enough: usize::MAX,
    }
}

impl<'a> Ask<'a> {
    /// With this header.
    pub(crate) fn header(mut self, name: &'a str, value: &'a str) -> Ask<'a> {
        self.headers.push((name, value));
        self
    }

    /// Sends it to the API server; the error tells that there was no answer.
    pub(crate) fn send(&self, cluster: &Cluster) -> Result<Got, String> {
        self.send_to(cluster, cluster.address())
    }

    /// Sends it to one of the cluster's listeners.
    pub(crate) fn send_to(&self, cluster: &Cluster, address: std::net::SocketAddr) -> Result<Got, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(self.exchange(cluster, address)).map_err(|broken| broken.to_string())
    }

    /// Sends it and begins to read only after a while.
    pub(crate) async fn slowly(&self, cluster: &Cluster, pause: Duration) -> Result<Got, Failure> {
        let answer = self.answer(cluster, cluster.address()).await?;
        tokio::time::sleep(pause).await;
        Ok(read(answer, self.enough).await)
    }

    /// Sends it and reads the answer.
    pub(crate) async fn exchange(&self, cluster: &Cluster, address: std::net::SocketAddr) -> Result<Got, Failure> {
        Ok(read(self.answer(cluster, address).await?, self.enough).await)
    }

    async fn answer(&self, cluster: &Cluster, address: std::net::SocketAddr) -> Result<Response<Incoming>, Failure> {
        let mut roots = RootCertStore::empty();
        for certificate in rustls_pemfile::certs(&mut cluster.ca().as_bytes()) {
            roots.add(certificate?)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let mut config = match self.proof {
            Proof::Certificate => {
                let pair = cluster.pair(self.user, Key::EcPkcs8);
                let key = rustls_pemfile::private_key(&mut pair.key_pem.as_bytes())?.ok_or("no key")?;
                builder.with_client_auth_cert(vec![pair.certificate.clone()], key)?
            }
            Proof::Token => builder.with_no_client_auth(),
        };
        config.alpn_protocols = match self.version {
            Version::Http1 => vec![b"http/1.1".to_vec()],
            Version::Http2 => vec![b"h2".to_vec()],
        };
        let socket = TcpStream::connect(address).await?;
        let stream = TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("127.0.0.1")?, socket).await?;
        let mut request = Request::builder().method(self.method);
        request = match self.version {
            Version::Http1 => request.uri(self.target).header("host", address.to_string()),
            Version::Http2 => request.uri(format!("https://{address}{}", self.target)),
        };
        if self.proof == Proof::Token && self.user != User::Anonymous {
            request = request.header("authorization", format!("Bearer {}", self.user.token()));
        }
        for (name, value) in &self.headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(self.body.as_bytes())))?;
        let answer = match self.version {
            Version::Http1 => {
                let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
                tokio::spawn(connection);
                sender.send_request(request).await?
            }
            Version::Http2 => {
                let (mut sender, connection) =
                    hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
                tokio::spawn(connection);
                sender.send_request(request).await?
            }
        };
        Ok(answer)
    }
}

async fn read(answer: Response<Incoming>, enough: usize) -> Got {
    let (head, mut incoming) = answer.into_parts();
    let (mut body, mut whole) = (Vec::new(), true);
    while body.len() < enough
        && let Some(frame) = incoming.frame().await
    {
        match frame {
            Ok(frame) => body.extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new())),
            Err(_) => {
                whole = false;
                break;
            }
        }
    }
    Got { status: head.status.as_u16(), headers: head.headers, body, whole }
}
