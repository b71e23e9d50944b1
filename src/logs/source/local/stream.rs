//! Bytes of a file, a pipe or stdin, from their beginning; unpacked, if they are gzip.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use bytes::{Buf, Bytes, BytesMut};
use tokio::sync::mpsc;

use crate::error::{Error, Kind, Result};
use crate::http::gzip::Gunzip;
use crate::logs::source::file::Packing;

/// Read at once.
const PIECE: usize = 256 << 10;
/// Pieces of a pipe that wait to be looked at.
const WAITING: usize = 4;

/// Bytes as they come.
#[derive(Debug)]
pub(super) struct Stream {
    /// For errors.
    shown: String,
    origin: Origin,
    /// Taken, and put back.
    ahead: VecDeque<Bytes>,
    unpack: Option<Gunzip>,
    packed: Bytes,
}

#[derive(Debug)]
enum Origin {
    /// A file that never makes anybody wait.
    File(File),
    /// Whatever may: a thread reads it, so that signals are heard meanwhile.
    Pipe(mpsc::Receiver<io::Result<Bytes>>),
    Over,
}

impl Stream {
    /// A regular file.
    pub(super) fn file(file: File, shown: String) -> Stream {
        Stream::of(Origin::File(file), shown)
    }

    /// stdin.
    pub(super) fn stdin() -> Stream {
        Stream::of(Origin::Pipe(pipe(|| Ok(io::stdin().lock()))), "stdin".to_owned())
    }

    /// A named pipe, or anything else that has no size.
    pub(super) fn pipe(path: PathBuf, shown: String) -> Stream {
        Stream::of(Origin::Pipe(pipe(move || File::open(path))), shown)
    }

    /// Nothing at all.
    pub(super) fn over() -> Stream {
        Stream::of(Origin::Over, String::new())
    }

    /// What it is called.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    fn of(origin: Origin, shown: String) -> Stream {
        Stream { shown, origin, ahead: VecDeque::new(), unpack: None, packed: Bytes::new() }
    }

    /// Unpacks from here on what is gzip by its first bytes; tells whether it is.
    pub(super) async fn unpack(&mut self) -> Result<Packing> {
        if !self.beginning(2).await?.starts_with(&[0x1f, 0x8b]) {
            return Ok(Packing::Plain);
        }
        self.packed = self.ahead.pop_front().unwrap_or_default();
        self.unpack = Some(Gunzip::new());
        Ok(Packing::Gzip)
    }

    /// The first bytes of what comes, as many as these if there are, without taking them. A line of text is enough: more may
    /// be long in coming.
    pub(super) async fn beginning(&mut self, length: usize) -> Result<Bytes> {
        let mut beginning = BytesMut::new();
        let is_line = |text: &[u8]| memchr::memchr(b'\n', text).is_some() && memchr::memchr(0, text).is_none();
        while beginning.len() < length && !is_line(&beginning) {
            match self.next().await? {
                Some(piece) => beginning.extend_from_slice(&piece),
                None => break,
            }
        }
        let beginning = beginning.freeze();
        if !beginning.is_empty() {
            self.ahead.push_front(beginning.clone());
        }
        Ok(beginning)
    }

    /// The next piece; `None` at the end. Who ceases to wait for it loses nothing.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>> {
        if let Some(ahead) = self.ahead.pop_front() {
            return Ok(Some(ahead));
        }
        let Some(unpack) = &mut self.unpack else { return take(&mut self.origin, &self.shown).await };
        let damaged = |kind, why: &str| Error::new(kind, format!("unpacking {}: {why}", self.shown));
        loop {
            while self.packed.has_remaining() {
                let plain = unpack
                    .step(&mut self.packed)
                    .map_err(|_| damaged(Kind::Partial, "its gzip data is damaged; what follows is lost"))?;
                if !plain.is_empty() {
                    return Ok(Some(plain));
                }
            }
            match take(&mut self.origin, &self.shown).await? {
                Some(piece) => self.packed = piece,
                None => {
                    let ended = self.unpack.take().map_or(Ok(()), |unpack| unpack.finish());
                    ended.map_err(|_| damaged(Kind::Partial, "its gzip data ends early"))?;
                    return Ok(None);
                }
            }
        }
    }

    /// All that comes, if it is no more than so many bytes.
    pub(super) async fn collect(&mut self, most: usize) -> Result<Option<Bytes>> {
        let mut all = BytesMut::new();
        while let Some(piece) = self.next().await? {
            if all.len().saturating_add(piece.len()) > most {
                return Ok(None);
            }
            all.extend_from_slice(&piece);
        }
        Ok(Some(all.freeze()))
    }
}

async fn take(origin: &mut Origin, shown: &str) -> Result<Option<Bytes>> {
    let taken = match origin {
        Origin::File(file) => {
            // Signals are heard here.
            tokio::task::yield_now().await;
            piece(file)
        }
        Origin::Pipe(pieces) => pieces.recv().await.unwrap_or(Ok(Bytes::new())),
        Origin::Over => Ok(Bytes::new()),
    };
    let taken = taken.map_err(|error| super::unreadable(shown, error));
    if !taken.as_ref().is_ok_and(|piece| !piece.is_empty()) {
        *origin = Origin::Over;
    }
    taken.map(|piece| (!piece.is_empty()).then_some(piece))
}

/// What a read gives; nothing at the end.
fn piece(from: &mut impl Read) -> io::Result<Bytes> {
    let mut bytes = vec![0; PIECE];
    loop {
        match from.read(&mut bytes) {
            Ok(length) => {
                bytes.truncate(length);
                return Ok(bytes.into());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Reads in a thread of its own, which ends with the process where nobody takes what it reads.
fn pipe<R: Read>(open: impl FnOnce() -> io::Result<R> + Send + 'static) -> mpsc::Receiver<io::Result<Bytes>> {
    let (sender, receiver) = mpsc::channel(WAITING);
    std::thread::spawn(move || {
        let mut from = match open() {
            Ok(from) => from,
            Err(error) => {
                let _ = sender.blocking_send(Err(error));
                return;
            }
        };
        loop {
            let piece = piece(&mut from);
            let more = piece.as_ref().is_ok_and(|piece| !piece.is_empty());
            if sender.blocking_send(piece).is_err() || !more {
                break;
            }
        }
    });
    receiver
}
