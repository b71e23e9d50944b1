//! Small proxies on loopback, good ones and others.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// How a proxy is spoken to.
#[derive(Clone)]
pub(crate) enum Speaks {
    Http,
    Https(Arc<ServerConfig>),
    Socks5,
}

/// What it does with whoever comes.
#[derive(Clone)]
pub(crate) enum Does {
    /// Leads there, whatever was asked for, whoever logs in as `name:password` where that is wanted.
    Lead { to: SocketAddr, login: Option<&'static str> },
    /// The same, but on its nth connection (from 1) no more than so many bytes come back, as from a peer that is gone.
    LeadAndFreeze { to: SocketAddr, nth: usize, after: u64 },
    /// Says this to the first bytes that come, and closes.
    Say(&'static [u8]),
    /// Nothing at all.
    Hang,
    /// Closes after the first bytes.
    Close,
}

/// A running proxy; ends when dropped.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    record: Arc<Mutex<Vec<String>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    pub(crate) fn start(speaks: Speaks, does: Does) -> Proxy {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a loopback port");
        listener.set_nonblocking(true).expect("a listener");
        let address = listener.local_addr().expect("an address");
        let record = Arc::new(Mutex::new(Vec::new()));
        let (stop, stopped) = oneshot::channel();
        let asked = Arc::clone(&record);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).expect("a listener");
                let accepting = async {
                    while let Ok((stream, _)) = listener.accept().await {
                        tokio::spawn(meet(stream, speaks.clone(), does.clone(), Arc::clone(&asked)));
                    }
                };
                tokio::select! {
                    () = accepting => {}
                    _ = stopped => {}
                }
            });
        });
        Proxy { address, record, stop: Some(stop), thread: Some(thread) }
    }

    /// What it was asked: the heads of requests, `host:port` of SOCKS, each with the login as it was sent.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.record.lock().expect("a record").clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().is_none_or(|thread| thread.join().is_ok());
        assert!(ended || std::thread::panicking(), "the proxy panicked");
    }
}

type Record = Arc<Mutex<Vec<String>>>;

async fn meet(stream: TcpStream, speaks: Speaks, does: Does, record: Record) {
    match speaks {
        Speaks::Http => http(stream, does, record).await,
        Speaks::Https(config) => {
            if let Ok(stream) = tokio_rustls::TlsAcceptor::from(config).accept(stream).await {
                let shown = stream.get_ref().1.peer_certificates().is_some();
                assert!(!shown, "a proxy is never shown the client's certificate");
                http(stream, does, record).await;
            }
        }
        Speaks::Socks5 => {
            // Peers that give up in the middle are no news.
            let _ = socks(stream, does, record).await;
        }
    }
}

async fn http<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, does: Does, record: Record) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            // TLS where none is spoken.
            Ok(0x16) if head.is_empty() => {
                return misbehave(stream, Does::Say(b"HTTP/1.1 400 Bad Request\r\n\r\n")).await;
            }
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).expect("a head is text");
    let count = {
        let mut record = record.lock().expect("a record");
        record.push(head.clone());
        record.len()
    };
    let (to, login, freeze) = match does {
        Does::Lead { to, login } => (to, login, None),
        Does::LeadAndFreeze { to, nth, after } => (to, None, (count == nth).then_some(after)),
        other => return misbehave(stream, other).await,
    };
    let wanted = login.map(|login| format!("\r\nproxy-authorization: basic {}\r\n", STANDARD.encode(login)));
    // Header names in whichever case, the value in its own.
    let normal = head
        .replace("Proxy-Authorization: Basic ", "proxy-authorization: basic ")
        .replace("proxy-authorization: Basic ", "proxy-authorization: basic ");
    if wanted.is_some_and(|wanted| !normal.contains(&wanted)) {
        let no = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"p\"\r\nContent-Length: 3\r\n\r\nno.";
        let _ = stream.write_all(no.as_bytes()).await;
        return;
    }
    let Ok(mut server) = TcpStream::connect(to).await else { return };
    let (method, rest) = head.split_once(' ').expect("a request line");
    if method == "CONNECT" {
        let _ = stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await;
    } else {
        let path = rest.splitn(4, '/').nth(3).expect("a whole URL");
        let lines: Vec<&str> =
            path.split("\r\n").filter(|line| !line.to_ascii_lowercase().starts_with("proxy-")).collect();
        let _ = server.write_all(format!("{method} /{}", lines.join("\r\n")).as_bytes()).await;
    }
    match freeze {
        None => drop(copy_bidirectional(&mut stream, &mut server).await),
        Some(after) => {
            let ((from_client, mut to_client), (from_server, mut to_server)) =
                (tokio::io::split(stream), server.split());
            let back = async {
                let _ = tokio::io::copy(&mut from_server.take(after), &mut to_client).await;
                std::future::pending::<()>().await;
            };
            let mut from_client = from_client;
            tokio::select! {
                () = back => {}
                // Until the client gives up.
                _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
            }
        }
    }
}

async fn socks(mut stream: TcpStream, does: Does, record: Record) -> std::io::Result<()> {
    let (version, count) = (stream.read_u8().await?, stream.read_u8().await?);
    assert_eq!(version, 5);
    let mut methods = vec![0; count.into()];
    stream.read_exact(&mut methods).await?;
    let (to, login) = match does {
        Does::Lead { to, login } => (to, login),
        other => {
            misbehave(stream, other).await;
            return Ok(());
        }
    };
    let mut seen = String::new();
    if let Some(login) = login {
        if !methods.contains(&2) {
            return stream.write_all(&[5, 0xff]).await;
        }
        stream.write_all(&[5, 2]).await?;
        assert_eq!(stream.read_u8().await?, 1);
        let (name, password) = (counted(&mut stream).await?, counted(&mut stream).await?);
        seen = format!("{name}:{password}@");
        let good = seen.trim_end_matches('@') == login;
        stream.write_all(&[1, u8::from(!good)]).await?;
        if !good {
            return Ok(());
        }
    } else {
        stream.write_all(&[5, 0]).await?;
    }
    let mut request = [0; 4];
    stream.read_exact(&mut request).await?;
    assert_eq!(request[..3], [5, 1, 0]);
    let host = match request[3] {
        3 => counted(&mut stream).await?,
        1 => std::net::Ipv4Addr::from(stream.read_u32().await?).to_string(),
        other => panic!("an address of kind {other}"),
    };
    let port = stream.read_u16().await?;
    record.lock().expect("a record").push(format!("{seen}{host}:{port}"));
    let mut server = TcpStream::connect(to).await?;
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    copy_bidirectional(&mut stream, &mut server).await.map(|_| ())
}

async fn counted(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut text = vec![0; stream.read_u8().await?.into()];
    stream.read_exact(&mut text).await?;
    Ok(String::from_utf8(text).expect("text"))
}

async fn misbehave<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, does: Does) {
    match does {
        Does::Say(words) => {
            let _ = stream.write_all(words).await;
            let _ = stream.shutdown().await;
            // A socket closed with unread bytes is reset: read until the client is gone.
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
        Does::Hang => std::future::pending().await,
        Does::Close | Does::Lead { .. } | Does::LeadAndFreeze { .. } => {}
    }
}
