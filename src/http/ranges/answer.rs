//! What one answer to a request for ranges says.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE};

use super::multipart::{Parts, Violation, content_range, is_answer, unsatisfied};
use crate::http::{Body, Response};

/// An answer, understood.
#[derive(Debug)]
pub(super) enum Heard {
    /// Bytes, or that there are none.
    Got(Got),
    /// To several ranges only one, though there are bytes for others.
    OnlyOne(Got),
    /// To several ranges the whole file, of which nothing was read.
    Ignored,
    /// To several ranges a refusal that fewer may be spared.
    TooMany,
    /// The whole file, which has more bytes than may be read; how many, if that was said.
    TooLarge(Option<u64>),
    /// It breaks the rules.
    Broken(Violation),
    /// Any other status.
    Refused(Response),
}

/// What came.
#[derive(Debug, Default)]
pub(super) struct Got {
    pub(super) pieces: Vec<(u64, Bytes)>,
    /// The file's size at that time.
    pub(super) size: Option<u64>,
    /// Why not all came that was announced, and whether asking again may help.
    pub(super) cut: Option<(String, Again)>,
    /// Whether the server left out what the file has.
    pub(super) left_out: bool,
    /// Whether it is the whole file, to who asked for less.
    pub(super) unasked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    Helps,
    IsUseless,
}

/// What a whole file may have beyond what was asked for, to be read after all.
const NEARLY: u64 = 64 << 10;

/// Reads an answer to a request for these ranges. Where the server sends the whole file to a request for one range, it is read
/// if it has at most `whole` bytes. Bytes are counted in `spent` as they come.
pub(super) async fn read(answer: Response, asked: &[Range<u64>], whole: u64, spent: &AtomicU64) -> Heard {
    let got = Got::default();
    let range = answer.header(CONTENT_RANGE);
    match answer.status {
        206 if answer.content_type().get(..10).is_some_and(|kind| kind.eq_ignore_ascii_case("multipart/")) => {
            match Parts::new(answer.content_type(), asked) {
                Ok(parts) => several(answer.body, parts, asked, got, spent).await,
                Err(violation) => Heard::Broken(violation),
            }
        }
        206 => match range.map(content_range) {
            Some(Some((range, size))) => one(answer.body, range, size, asked, got, spent).await,
            Some(None) => Heard::Broken(Violation::BadRange),
            None => Heard::Broken(Violation::NoRange),
        },
        // A web page is somebody's login.
        200 if answer.content_type().starts_with("text/html") => Heard::Refused(answer),
        200 => all(answer, asked, whole, got, spent).await,
        416 => match range.and_then(unsatisfied) {
            Some(size) => {
                let left_out = asked.iter().any(|range| range.start < size);
                Heard::Got(Got { size: Some(size), left_out, ..got })
            }
            None => Heard::Refused(answer),
        },
        400 | 431 if asked.len() > 1 => Heard::TooMany,
        _ => Heard::Refused(answer),
    }
}

async fn several(mut body: Body, mut parts: Parts, asked: &[Range<u64>], mut got: Got, spent: &AtomicU64) -> Heard {
    let mut pieces = Pieces::of(asked);
    loop {
        match next(&mut body, spent).await {
            Ok(Some(frame)) => {
                if let Err(violation) = parts.push(&frame, |at, bytes| pieces.give(at, bytes)) {
                    return Heard::Broken(violation);
                }
            }
            Ok(None) => {
                if !parts.is_over() {
                    got.cut = Some(("answer ends inside a part".into(), Again::Helps));
                }
                break;
            }
            Err(cut) => {
                got.cut = Some(cut);
                break;
            }
        }
    }
    got.size = parts.total();
    got.pieces = pieces.take();
    if got.cut.is_none() {
        let here = |range: &Range<u64>| got.pieces.iter().any(|(at, _)| *at == range.start);
        got.left_out = asked.iter().any(|range| got.size.is_none_or(|size| range.start < size) && !here(range));
    }
    Heard::Got(got)
}

async fn one(
    mut body: Body,
    range: Range<u64>,
    size: u64,
    asked: &[Range<u64>],
    mut got: Got,
    spent: &AtomicU64,
) -> Heard {
    let Some(wanted) = asked.iter().find(|asked| is_answer(&range, asked, size)) else {
        return Heard::Broken(Violation::NotAsked(range));
    };
    let mut pieces = Pieces::of(asked);
    let mut at = range.start;
    loop {
        match next(&mut body, spent).await {
            Ok(Some(frame)) if frame.len() as u64 > range.end - at => return Heard::Broken(Violation::NoDelimiter),
            Ok(Some(frame)) => {
                pieces.give(at, &frame);
                at += frame.len() as u64;
            }
            Ok(None) => {
                if at < range.end {
                    got.cut = Some((format!("answer ends {} bytes early", range.end - at), Again::Helps));
                }
                break;
            }
            Err(cut) => {
                got.cut = Some(cut);
                break;
            }
        }
    }
    got.size = Some(size);
    got.pieces = pieces.take();
    match asked.iter().any(|other| other != wanted && other.start < size) {
        true => Heard::OnlyOne(got),
        false => Heard::Got(got),
    }
}

async fn all(answer: Response, asked: &[Range<u64>], whole: u64, mut got: Got, spent: &AtomicU64) -> Heard {
    let wanted: u64 = asked.iter().fold(0, |sum: u64, range| sum.saturating_add(range.end - range.start));
    let nearly = wanted.saturating_add(NEARLY);
    let allowed = if asked.len() > 1 { nearly.min(whole) } else { whole };
    let too_large = |size| if asked.len() > 1 { Heard::Ignored } else { Heard::TooLarge(size) };
    let plain = answer.headers.get(CONTENT_ENCODING).is_none();
    let announced = answer.header(CONTENT_LENGTH).filter(|_| plain).and_then(|length| length.parse().ok());
    if announced.is_some_and(|length| length > allowed) {
        return too_large(announced);
    }
    let (mut body, mut bytes) = (answer.body, BytesMut::new());
    loop {
        match next(&mut body, spent).await {
            Ok(Some(frame)) if (bytes.len() + frame.len()) as u64 > allowed => return too_large(None),
            Ok(Some(frame)) => bytes.extend_from_slice(&frame),
            Ok(None) => {
                got.size = Some(bytes.len() as u64);
                break;
            }
            Err(cut) => {
                got.size = announced;
                got.cut = Some(cut);
                break;
            }
        }
    }
    let end = asked.iter().map(|range| range.end).max().unwrap_or(0);
    got.unasked = bytes.len() as u64 > end;
    if !bytes.is_empty() {
        got.pieces = vec![(0, bytes.freeze())];
    }
    Heard::Got(got)
}

/// The next bytes; or why there are none, though there should be.
async fn next(body: &mut Body, spent: &AtomicU64) -> Result<Option<Bytes>, (String, Again)> {
    match body.frame().await {
        None => Ok(None),
        Some(Ok(frame)) => {
            spent.fetch_add(frame.len() as u64, Ordering::Relaxed);
            Ok(Some(frame))
        }
        Some(Err(cut)) => {
            let again = if cut.ended().resumable() { Again::Helps } else { Again::IsUseless };
            Err((cut.to_string(), again))
        }
    }
}

/// Bytes as they come, put together by range. Copied: a slice would keep the whole frame it came in.
struct Pieces<'a> {
    asked: &'a [Range<u64>],
    pieces: Vec<(u64, BytesMut)>,
}

impl<'a> Pieces<'a> {
    fn of(asked: &'a [Range<u64>]) -> Self {
        Pieces { asked, pieces: Vec::with_capacity(asked.len()) }
    }

    fn give(&mut self, at: u64, bytes: &[u8]) {
        let begins = self.asked.iter().find(|range| range.start == at);
        match (begins, self.pieces.last_mut()) {
            (None, Some((_, piece))) => piece.extend_from_slice(bytes),
            (range, _) => {
                let length = range.map_or(0, |range| usize::try_from(range.end - range.start).unwrap_or(0));
                let mut piece = BytesMut::with_capacity(length.clamp(bytes.len(), bytes.len().max(1 << 20)));
                piece.extend_from_slice(bytes);
                self.pieces.push((at, piece));
            }
        }
    }

    fn take(self) -> Vec<(u64, Bytes)> {
        self.pieces.into_iter().map(|(at, piece)| (at, piece.freeze())).collect()
    }
}
