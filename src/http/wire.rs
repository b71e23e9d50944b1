//! What HTTP or TLS to a server runs on: TCP, or TLS to a proxy.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::dial::Stream;

/// A connection to a server or to a proxy.
pub(super) struct Wire {
    on: On,
    /// Whether a proxy reads the requests, which then name the whole URL.
    forwarding: bool,
}

enum On {
    Tcp(TokioIo<TcpStream>),
    Tls(Box<Stream>),
}

impl Wire {
    pub(super) fn tcp(stream: TcpStream) -> Self {
        Wire { on: On::Tcp(TokioIo::new(stream)), forwarding: false }
    }

    pub(super) fn secured(stream: Stream) -> Self {
        Wire { on: On::Tls(Box::new(stream)), forwarding: false }
    }

    pub(super) fn forwarding(self) -> Self {
        Wire { forwarding: true, ..self }
    }
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.forwarding)
    }
}

impl Read for Wire {
    #[inline]
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().on {
            On::Tcp(tcp) => Pin::new(tcp).poll_read(cx, buf),
            On::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl Write for Wire {
    #[inline]
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().on {
            On::Tcp(tcp) => Pin::new(tcp).poll_write(cx, buf),
            On::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().on {
            On::Tcp(tcp) => Pin::new(tcp).poll_flush(cx),
            On::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().on {
            On::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            On::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.on {
            On::Tcp(tcp) => tcp.is_write_vectored(),
            On::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().on {
            On::Tcp(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            On::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, bufs),
        }
    }
}
