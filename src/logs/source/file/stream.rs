//! A file's body from its beginning, continued where it broke, unpacked on the way.

use bytes::{Bytes, BytesMut};

use super::{BEGINNING, File, MOST_FRUITLESS, Packing, modified, range_start, size};
use crate::error::{Error, Kind};
use crate::http::gzip::Gunzip;
use crate::http::{Body, ByteRange};
use crate::logs::outlet::Flow;
use crate::time::Timestamp;

/// A file's body from its beginning, continued where it broke.
pub(in crate::logs::source) struct Stream<'f> {
    file: &'f File<'f>,
    /// Until it is over.
    body: Option<Body>,
    /// When the file was last changed.
    pub(super) modified: Option<Timestamp>,
    /// Bytes taken from the server, before unpacking.
    offset: u64,
    beginning: Vec<u8>,
    unpack: Option<Gunzip>,
    /// Bytes not yet unpacked.
    packed: Bytes,
    /// How much was unpacked.
    unpacked: u64,
    /// Unpacked bytes that were looked at before they were asked for.
    ahead: Option<Bytes>,
    fruitless: u32,
}

impl<'f> Stream<'f> {
    pub(in crate::logs::source) async fn open(file: &'f File<'f>) -> Flow<Stream<'f>> {
        let answer = file.ask(rest(file, 0)).await?;
        let modified = modified(&answer);
        let body = Some(answer.body).filter(|_| file.end != Some(0));
        Ok(Stream { modified, ..Stream::new(file, body, 0, &[]) })
    }

    /// From one of its bytes on, if the file begins like this.
    pub(super) async fn open_at(file: &'f File<'f>, offset: u64, beginning: &[u8]) -> Flow<Stream<'f>> {
        let mut stream = Stream::new(file, None, offset, beginning);
        stream.go_on().await?;
        Ok(stream)
    }

    fn new(file: &'f File<'f>, body: Option<Body>, offset: u64, beginning: &[u8]) -> Stream<'f> {
        Stream {
            file,
            body,
            modified: None,
            offset,
            beginning: beginning.to_vec(),
            unpack: (file.packing == Packing::Gzip).then(Gunzip::new),
            packed: Bytes::new(),
            unpacked: 0,
            ahead: None,
            fruitless: 0,
        }
    }

    /// Whether what is read begins like this; nothing is taken by it.
    pub(in crate::logs::source) async fn begins_with(&mut self, beginning: &[u8]) -> Flow<bool> {
        let mut ahead = self.gathered(beginning.len()).await?;
        let begins = ahead.starts_with(beginning);
        self.ahead = (!ahead.is_empty()).then(|| ahead.split().freeze());
        Ok(begins)
    }

    /// The next so many bytes, or as many as there are.
    pub(super) async fn take(&mut self, length: usize) -> Flow<Bytes> {
        let mut taken = self.gathered(length).await?;
        let rest = taken.split_off(length.min(taken.len()));
        self.ahead = (!rest.is_empty()).then(|| rest.freeze());
        Ok(taken.freeze())
    }

    async fn gathered(&mut self, least: usize) -> Flow<BytesMut> {
        let mut gathered = BytesMut::new();
        while gathered.len() < least {
            let Some(piece) = self.next().await? else { break };
            gathered.extend_from_slice(&piece);
        }
        Ok(gathered)
    }

    /// The file's first bytes as far as they were read, before unpacking: 64 of them tell one file from another.
    pub(super) fn beginning(&self) -> &[u8] {
        &self.beginning
    }

    pub(in crate::logs::source) async fn next(&mut self) -> Flow<Option<Bytes>> {
        if let Some(ahead) = self.ahead.take() {
            return Ok(Some(ahead));
        }
        loop {
            if let Some(unpack) = &mut self.unpack {
                while !self.packed.is_empty() {
                    let mut plain = unpack.step(&mut self.packed).map_err(|_| {
                        Error::new(
                            Kind::Failed,
                            format!("unpacking {}: it is no gzip data, or damaged", self.file.name),
                        )
                        .hint("--no-decompress reads its bytes as they are")
                    })?;
                    if plain.is_empty() {
                        continue;
                    }
                    let left = self.file.end.map_or(u64::MAX, |end| end - self.unpacked);
                    plain.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                    self.unpacked += plain.len() as u64;
                    if plain.is_empty() {
                        (self.body, self.unpack) = (None, None);
                        return Ok(None);
                    }
                    return Ok(Some(plain));
                }
            }
            let Some(body) = &mut self.body else { break };
            let mut frame = match body.frame().await {
                Some(Ok(frame)) => frame,
                Some(Err(cut)) if cut.ended().resumable() && self.fruitless < MOST_FRUITLESS => {
                    self.fruitless += 1;
                    self.go_on().await?;
                    continue;
                }
                Some(Err(cut)) => return Err(self.partial(cut.to_string()).into()),
                None => {
                    self.body = None;
                    continue;
                }
            };
            self.fruitless = 0;
            if let Some(end) = end_of(self.file) {
                // Whoever does not know ranges sends what follows, too.
                frame.truncate(usize::try_from(end.saturating_sub(self.offset)).unwrap_or(usize::MAX));
                if frame.is_empty() {
                    self.body = None;
                    continue;
                }
            }
            self.offset += frame.len() as u64;
            if self.beginning.len() < BEGINNING as usize {
                let missing = BEGINNING as usize - self.beginning.len();
                self.beginning.extend(frame.iter().take(missing));
            }
            if self.unpack.is_none() {
                return Ok(Some(frame));
            }
            self.packed = frame;
        }
        match self.unpack.take().map_or(Ok(()), |unpack| unpack.finish()) {
            Ok(()) => Ok(None),
            Err(_) => Err(self.partial("its gzip data ends early or is damaged".into()).into()),
        }
    }

    /// Asks for what follows, if the file is still the one that was begun.
    async fn go_on(&mut self) -> Flow<()> {
        if end_of(self.file) == Some(self.offset) {
            self.body = None;
        } else if self.offset > 0 {
            let mut first = self.file.ask(Some(ByteRange::Span(0, BEGINNING - 1))).await?;
            let first = first.body.beginning(BEGINNING as usize).await;
            if !first.starts_with(&self.beginning) {
                return Err(self
                    .partial("it was replaced while it was read; the rest of the old one is gone".into())
                    .into());
            }
            let answer = self.file.ask(rest(self.file, self.offset)).await?;
            match answer.status {
                206 if range_start(&answer) == self.offset => self.body = Some(answer.body),
                416 if size(&answer).is_none_or(|size| size >= self.offset) => self.body = None,
                416 => {
                    return Err(self.partial("it was truncated while it was read; the rest is gone".into()).into());
                }
                _ => {
                    return Err(self
                        .partial("the connection broke and the server does not serve the rest by itself".into())
                        .into());
                }
            }
        } else {
            self.body = Some(self.file.ask(rest(self.file, 0)).await?.body);
        }
        Ok(())
    }

    fn partial(&self, why: String) -> Error {
        Error::new(Kind::Partial, format!("reading {}: {why}", self.file.name))
            .hint("what was printed is incomplete; run it again")
    }
}

/// Where a file is to be read to, by its bytes; of a packed one that is counted as it is unpacked.
fn end_of(file: &File<'_>) -> Option<u64> {
    file.end.filter(|_| file.packing == Packing::Plain)
}

/// The part from an offset to where it is to be read; `None` for all of it.
fn rest(file: &File<'_>, offset: u64) -> Option<ByteRange> {
    match (end_of(file), offset) {
        (Some(end), _) => Some(ByteRange::Span(offset, end.saturating_sub(1).max(offset))),
        (None, 0) => None,
        (None, offset) => Some(ByteRange::From(offset)),
    }
}
