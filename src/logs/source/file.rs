//! Text files under the node's /var/log, through the kubelet's file server (Go's `net/http` rules).
//!
//! A file is read in one request where nothing has to be known of it before; from its end, by ranges, where only its
//! last entries are wanted; and twice where a window needs the node's zone, which shows in the file's last line beside
//! its time of modification.

use bytes::{Bytes, BytesMut};

use crate::error::{Error, Kind};
use crate::http::gzip::Gunzip;
use crate::http::{Body, BodyError, ByteRange, Encoding, Request, Response};
use crate::kube::{path, status};
use crate::logs::calendar::{Anchor, Calendar, offset_of_file};
use crate::logs::filter::Filter;
use crate::logs::layout::{Head, Layout, Stamp};
use crate::logs::outlet::{Flow, Outlet};
use crate::logs::sieve::Sieve;
use crate::logs::source::listing::is_listing;
use crate::logs::source::{JOURNAL_FOLDER, Node, Want, check_time_was_seen, expect_listing, is_file_servers};
use crate::logs::split::Continuation;
use crate::time::{Civil, Timestamp};

mod follow;
mod stream;
mod tail;

pub(in crate::logs::source) use follow::Followed;
pub(in crate::logs::source) use stream::Stream;
pub(super) use tail::{Held, Tail};

/// The first part read from a file's end; what is needed mostly lies in it.
const FIRST_END: u64 = 64 << 10;
/// In which a last line with a time mostly lies, and a first one.
pub(super) const LAST_LINES: u64 = 8 << 10;
/// How much more each further part of a file's end has.
const GROWTH: u64 = 8;
/// So far back a line with a time is looked for by parts of the file's end: an entry may be a dump of all goroutines.
const MOST_UNTIMED: u64 = 4 << 20;
/// How often a broken body is continued without having brought anything.
const MOST_FRUITLESS: u32 = 4;
/// By so many bytes a file that was replaced is recognised.
const BEGINNING: u64 = 64;
/// So much of a gzip file unpacks to at least as many.
const PACKED_BEGINNING: u64 = 1024;

/// Seconds from the westernmost zone to UTC: no local time is later.
const WESTERNMOST: i32 = -12 * 3600;

/// How a file is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// As its bytes are.
    Plain,
    /// gzip, to be unpacked.
    Gzip,
}

impl Packing {
    /// By the file's name.
    pub fn of(name: &str) -> Packing {
        if name.ends_with(".gz") { Packing::Gzip } else { Packing::Plain }
    }
}

/// One file of one node.
#[derive(Debug)]
pub struct File<'a> {
    node: &'a Node<'a>,
    name: &'a str,
    packing: Packing,
    /// What is known of its lines' times from elsewhere.
    calendar: Option<Calendar>,
    /// Only so many of its first bytes, unpacked, where what follows is read by somebody else.
    end: Option<u64>,
}

/// The end of a file, and what is known by it.
#[derive(Default)]
struct Ending {
    bytes: Bytes,
    /// Where it begins in the file.
    from: u64,
    /// Whether all of the file had to be sent for it.
    is_all: bool,
    modified: Option<Timestamp>,
    /// The time of the file's last line that has one, if that names no zone: also where that line is not to be read.
    last: Option<Civil>,
    times: Times,
    /// Whether it was changed in the second of the answer.
    is_fresh: bool,
}

/// Where the lines of a file have times, as its end shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Times {
    /// In what was read of it.
    Here,
    /// Before that: a long entry goes on to the file's end.
    Before,
    /// Neither there nor in its first lines: each line is an entry.
    #[default]
    Nowhere,
}

/// The time of an entry, if that names no zone.
fn local(head: Head) -> Option<Civil> {
    match head {
        Head { stamp: Stamp::Yearless(civil), layout, .. } if layout != (Layout::Short { precise: true }) => {
            Some(civil)
        }
        _ => None,
    }
}

/// What the first bytes of a file tell.
#[derive(Clone, Debug, Default)]
pub(super) struct Look {
    /// The first bytes, unpacked: 64, or fewer if it has no more. They tell one file from another.
    pub(super) beginning: Bytes,
    /// When it was last changed.
    pub(super) modified: Option<Timestamp>,
    /// How large it is, as far as that was said.
    size: Option<u64>,
    /// By when it has certainly begun, in whatever zone its lines were written.
    pub(super) begun: Option<Timestamp>,
}

impl<'a> File<'a> {
    /// A file by its path under /var/log.
    pub fn new(node: &'a Node<'a>, name: &'a str, packing: Packing) -> Self {
        File { node, name, packing, calendar: None, end: None }
    }

    /// With what is known of its lines' times; a packed file tells nothing itself.
    pub(super) fn with(self, calendar: Option<Calendar>) -> Self {
        File { calendar, ..self }
    }

    /// Only its first so many bytes.
    pub(super) fn up_to(self, end: Option<u64>) -> Self {
        File { end, ..self }
    }

    /// Reads all that is wanted and hands it on; tells whether there was anything.
    pub async fn read(&self, want: Want, filter: &mut Filter, out: &mut Outlet) -> Flow<bool> {
        if want.raw && !want.dated && filter.is_empty() {
            return self.pass_on(out).await;
        }
        let (mut stream, calendar) = self.open(want, filter).await?;
        let mut sieve = Sieve::new(Continuation::Timeless, calendar, filter, None);
        while let Some(piece) = stream.next().await? {
            if !sieve.push(piece) {
                break;
            }
            out.lines(sieve.ready()).await?;
        }
        sieve.finish();
        let lines = sieve.remainder();
        if sieve.has_guessed() {
            self.tell_of_guesses();
        }
        check_time_was_seen(filter, self.name)?;
        let anything = out.has_spoken() || !lines.is_empty();
        out.last_lines(lines).await?;
        Ok(anything)
    }

    /// Its first bytes and the time of its last change, by one small request.
    pub(super) fn look(&self) -> impl Future<Output = Flow<Look>> {
        self.look_at(match self.packing {
            Packing::Plain => BEGINNING,
            Packing::Gzip => PACKED_BEGINNING,
        })
    }

    /// The same by so many bytes.
    pub(super) async fn look_at(&self, length: u64) -> Flow<Look> {
        let mut look = self.look_at_first(length).await?;
        let mut calendar = Calendar::new(WESTERNMOST, Anchor::NotAfter(self.modified_or_now(look.modified)));
        for head in look.beginning.split(|b| *b == b'\n').filter_map(Head::of) {
            calendar.resolve(&head);
        }
        look.begun = calendar.begun();
        look.beginning = self.first_bytes(look.beginning);
        Ok(look)
    }

    /// So many of its first bytes, as they are.
    async fn look_at_first(&self, length: u64) -> Flow<Look> {
        let mut answer = self.ask(Some(ByteRange::Span(0, length - 1))).await?;
        let (modified, size) = (modified(&answer), size(&answer));
        let first = match answer.status {
            416 => Bytes::new(),
            _ => answer.body.beginning(length as usize).await,
        };
        // Fewer would be those of another file just as well.
        if range_length(&answer).is_some_and(|length| (first.len() as u64) < length) {
            return Err(Error::new(Kind::Partial, format!("reading {}: the answer broke off", self.name)).into());
        }
        Ok(Look { beginning: first, modified, size, begun: None })
    }

    /// What its end tells of the times in it; `None` if no line there has one.
    pub(super) async fn clock(&self) -> Flow<Option<Calendar>> {
        // A file that is followed is asked often, and its last line is mostly short.
        let ending = self.dated_ending(LAST_LINES).await?;
        Ok((ending.times == Times::Here).then(|| self.calendar(&ending)))
    }

    /// All of it, as it comes.
    async fn pass_on(&self, out: &mut Outlet) -> Flow<bool> {
        let mut stream = Stream::open(self).await?;
        let mut anything = false;
        while let Some(piece) = stream.next().await? {
            anything = true;
            out.bytes(piece).await?;
        }
        Ok(anything)
    }

    /// All of it from its beginning, and what its times mean, where that is asked for.
    async fn open(&self, want: Want, filter: &Filter) -> Flow<(Stream<'_>, Option<Calendar>)> {
        let dated = want.dated || filter.has_window();
        let ending =
            if dated && self.packing == Packing::Plain { Some(self.dated_ending(FIRST_END).await?) } else { None };
        let stream = Stream::open(self).await?;
        let calendar = dated.then(|| match (&ending, &self.calendar) {
            (Some(ending), _) => self.calendar(ending),
            (None, Some(known)) => known.clone().anchored(Anchor::NotAfter(self.modified_or_now(stream.modified))),
            (None, None) => self.calendar_without_zone(stream.modified),
        });
        Ok((stream, calendar))
    }

    /// As `ending`, with a last line that the time of the last change is surely that of. The kernel notes that time
    /// before what is written can be read: in between, the line before would tell of a zone that is not the node's.
    async fn dated_ending(&self, size: u64) -> Flow<Ending> {
        let ending = self.ending(size).await?;
        let is_sure = match (ending.last, ending.modified) {
            (Some(civil), Some(modified)) => offset_of_file(civil, modified) == Some(0),
            _ => true,
        };
        if is_sure || !ending.is_fresh { Ok(ending) } else { self.ending(size).await }
    }

    /// The last `size` bytes, or all if it has fewer; more, if none of their lines has a time but the file's first lines do.
    async fn ending(&self, mut size: u64) -> Flow<Ending> {
        let mut begins_with_times = None;
        loop {
            let mut ending = self.last_bytes(size).await?;
            if ending.times == Times::Here {
                return Ok(ending);
            }
            if ending.from == 0 {
                ending.times = Times::Nowhere;
                return Ok(ending);
            }
            if size >= FIRST_END && begins_with_times.is_none() {
                let first = self.look_at_first(LAST_LINES).await?.beginning;
                begins_with_times = Some(has_time(&first));
            }
            if begins_with_times == Some(false) {
                ending.times = Times::Nowhere;
            }
            if begins_with_times == Some(false) || size >= MOST_UNTIMED {
                return Ok(ending);
            }
            size = size.saturating_mul(GROWTH);
        }
    }

    /// The last `size` bytes, or all if it has fewer. Of a part they are read to the file's end and cut: the time of the
    /// last change belongs to the last line there is.
    async fn last_bytes(&self, size: u64) -> Flow<Ending> {
        let mut fruitless = 0;
        loop {
            let answer = self.ask(Some(ByteRange::Last(size))).await?;
            if answer.status == 416 {
                // Kubernetes 1.24 says so of an empty file.
                return Ok(Ending::default());
            }
            let modified = modified(&answer);
            let is_fresh = modified.is_some_and(|at| {
                answer.header("date").and_then(http_date).is_some_and(|now| now.as_seconds() <= at.as_seconds() + 1)
            });
            // 200 means all of it: of an empty file, or from a proxy that does not know ranges.
            let is_all = answer.status != 206;
            let (start, length) = if is_all { (0, None) } else { (range_start(&answer), range_length(&answer)) };
            let whole = |all| length.is_none_or(|length| length == all);
            match last_of(answer.body, usize::try_from(size).unwrap_or(usize::MAX)).await {
                Ok((before, bytes)) if whole(before + bytes.len() as u64) => {
                    let (from, mut bytes) = (start + before, Bytes::from(bytes));
                    let head = bytes.split(|b| *b == b'\n').rev().find_map(Head::of);
                    let (last, times) = (head.and_then(local), head.map_or(Times::Before, |_| Times::Here));
                    if let Some(end) = self.end {
                        // One that is shorter than it was is another file.
                        let is_shorter = from + (bytes.len() as u64) < end;
                        let part = if is_shorter { 0 } else { end.saturating_sub(from) };
                        bytes.truncate(usize::try_from(part).unwrap_or(usize::MAX));
                    }
                    return Ok(Ending { bytes, from, is_all, modified, last, times, is_fresh });
                }
                Ok(_) if fruitless < MOST_FRUITLESS => fruitless += 1,
                Ok(_) => {
                    let words = format!("reading {}: the answer has not the length it names", self.name);
                    return Err(Error::new(Kind::Partial, words).into());
                }
                Err(cut) if cut.ended().resumable() && fruitless < MOST_FRUITLESS => fruitless += 1,
                Err(cut) => return Err(Error::new(Kind::Partial, format!("reading {}: {cut}", self.name)).into()),
            }
        }
    }

    /// The node's zone and the years, from the file's last line with a time and the time of its last change.
    fn calendar(&self, ending: &Ending) -> Calendar {
        let Some(modified) = ending.modified.filter(|_| ending.times != Times::Before) else {
            return self.calendar_without_zone(ending.modified);
        };
        // Lines with a zone of their own need none.
        let Some(last) = ending.last else { return Calendar::new(0, Anchor::NotAfter(modified)) };
        let offset = offset_of_file(last, modified);
        if offset.is_none() {
            let (node, name) = (self.node.name, self.name);
            self.node.notices.warning(format_args!(
                "{node}: the zone of the times in {name} is unknown (the file was changed after its last line); they are taken as UTC"
            ));
        }
        Calendar::new(offset.unwrap_or(0), Anchor::NotAfter(modified)).not_after(modified)
    }

    /// A file's first bytes, unpacked, from those that came first. What is no gzip is told when it is read.
    fn first_bytes(&self, mut raw: Bytes) -> Bytes {
        let mut plain = BytesMut::new();
        if self.packing == Packing::Gzip {
            let mut unpack = Gunzip::new();
            while plain.len() < BEGINNING as usize
                && !raw.is_empty()
                && let Ok(piece) = unpack.step(&mut raw)
            {
                plain.extend_from_slice(&piece);
            }
            raw = plain.freeze();
        }
        raw.truncate(BEGINNING as usize);
        raw
    }

    pub(super) fn tell_of_guesses(&self) {
        let (node, name) = (self.node.name, self.name);
        self.node.notices.warning(format_args!(
            "{node}: the times in {name} go back by months or span more than a year, and name no year: their years are guesses"
        ));
    }

    fn modified_or_now(&self, modified: Option<Timestamp>) -> Timestamp {
        modified.unwrap_or_else(|| self.node.clock.now())
    }

    fn calendar_without_zone(&self, modified: Option<Timestamp>) -> Calendar {
        let (node, name) = (self.node.name, self.name);
        self.node.notices.note(format_args!("{node}: times in {name} that name no zone are taken as UTC"));
        Calendar::new(0, Anchor::NotAfter(self.modified_or_now(modified)))
    }

    /// One request for the file or a part of it, told apart from everything else the server may answer.
    async fn ask(&self, range: Option<ByteRange>) -> Flow<Response> {
        // Without a compressor on the way pieces come as they are read.
        let mut request = Request::get(path::logs_file(self.node.name, self.name)).encoding(Encoding::Identity);
        if let Some(range) = range {
            request = request.range(range);
        }
        let answer = self.node.get(request).await?;
        let hint = format!("kubectl kubelet-logs ls {}:{}", self.node.name, self.name.trim_end_matches('/'));
        match answer.status {
            200 | 206 if is_listing(&answer) => {
                expect_listing(answer).await?;
                let words = format!("/var/log/{} is a directory", self.name);
                Err(Error::usage(words).hint(format!("list it: {hint}")).into())
            }
            200 if !is_file_servers(&answer) => {
                let words = format!("/var/log/{} is a directory, {JOURNAL_FOLDER}", self.name);
                Err(Error::usage(words).hint("-u reads the log of a unit").into())
            }
            200 | 206 => Ok(answer),
            416 if range.is_some() => Ok(answer),
            // The file server's way to a directory; any other way leads to somebody's login.
            301 | 307 if answer.header("location").is_some_and(|to| to.ends_with('/')) => {
                let words = format!("/var/log/{} is a directory", self.name);
                Err(Error::usage(words).hint(format!("list it: {hint}")).into())
            }
            404 => {
                let error = status::error_of(answer).await;
                if error.to_string().contains("page not found") {
                    let parent = self.name.rsplit_once('/').map_or("", |(parent, _)| parent);
                    let list = format!("kubectl kubelet-logs ls {}:{parent}", self.node.name);
                    let hint = match self.name.contains(',') {
                        true => "each file takes a --path of its own".to_owned(),
                        false => format!("see what there is: {}", list.trim_end_matches(':')),
                    };
                    return Err(Error::new(Kind::NotFound, format!("no file /var/log/{}", self.name))
                        .because(error)
                        .hint(hint)
                        .into());
                }
                Err(error.into())
            }
            _ => Err(status::error_of(answer).await.into()),
        }
    }
}

/// The last so many bytes of a body, and how many come before them. Never many more are held: a proxy that does not know
/// ranges sends a file of any size.
async fn last_of(mut body: Body, most: usize) -> Result<(u64, Vec<u8>), BodyError> {
    let (mut before, mut bytes) = (0, Vec::new());
    while let Some(frame) = body.frame().await.transpose()? {
        bytes.extend_from_slice(&frame);
        if bytes.len() > most.saturating_mul(2) {
            before += leave_last(&mut bytes, most);
        }
    }
    before += leave_last(&mut bytes, most);
    Ok((before, bytes))
}

/// Drops all but the last so many bytes; gives how many those were.
fn leave_last(bytes: &mut Vec<u8>, most: usize) -> u64 {
    let before = bytes.len().saturating_sub(most);
    bytes.drain(..before);
    before as u64
}

/// The start in `Content-Range: bytes START-END/TOTAL`.
fn range_start(answer: &Response) -> u64 {
    let range = answer.header("content-range").and_then(|range| range.strip_prefix("bytes "));
    range.and_then(|range| range.split_once('-')?.0.parse().ok()).unwrap_or(0)
}

/// The length of `Content-Range: bytes START-END/TOTAL`.
fn range_length(answer: &Response) -> Option<u64> {
    let (range, _) = answer.header("content-range")?.strip_prefix("bytes ")?.split_once('/')?;
    let (start, end) = range.split_once('-')?;
    end.parse::<u64>().ok()?.checked_sub(start.parse().ok()?)?.checked_add(1)
}

/// The size in `Content-Range: bytes START-END/SIZE`, or `bytes */SIZE`.
fn size(answer: &Response) -> Option<u64> {
    answer.header("content-range")?.strip_prefix("bytes ")?.split_once('/')?.1.parse().ok()
}

/// `Last-Modified: Sat, 21 Nov 2026 02:42:59 GMT` (RFC 9110).
pub(crate) fn modified(answer: &Response) -> Option<Timestamp> {
    http_date(answer.header("last-modified")?)
}

pub(super) fn http_date(text: &str) -> Option<Timestamp> {
    let mut words = text.split_once(", ")?.1.split(' ');
    let (day, month, year, clock) = (words.next()?, words.next()?, words.next()?, words.next()?);
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let month = MONTHS.find(month).filter(|at| at % 3 == 0 && month.len() == 3)? / 3 + 1;
    Timestamp::parse_rfc3339(&format!("{year}-{month:02}-{day}T{clock}Z"))
}

/// Whether any line has a time.
pub(super) fn has_time(text: &[u8]) -> bool {
    text.split(|b| *b == b'\n').any(|line| Head::of(line).is_some())
}

/// Where in a part of a file, which may begin inside a line, the first line begins that has a time.
pub(super) fn first_entry(part: &[u8]) -> Option<usize> {
    let mut starts = memchr::memchr_iter(b'\n', part).map(|end| end + 1);
    starts.find(|start| part.get(*start..).is_some_and(|line| Head::of(line).is_some()))
}

/// Where the second line begins of a part of a file that has no times; a piece of a long line is all there is.
pub(super) fn second_line(part: &[u8]) -> usize {
    memchr::memchr(b'\n', part).map_or(0, |end| end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_dates_are_read() {
        let at = http_date("Sat, 21 Nov 2026 02:42:59 GMT").unwrap();
        assert_eq!(at.rfc3339().to_string(), "2026-11-21T02:42:59.000000Z");
        for bad in ["", "Sat", "Sat, 21", "Sat, 21 anF 2026 02:42:59 GMT", "Sat, 99 Nov 2026 02:42:59 GMT"] {
            assert_eq!(http_date(bad), None);
        }
    }

    #[tokio::test]
    async fn of_a_body_that_is_larger_than_what_is_wanted_only_the_end_is_held() {
        let all: Vec<u8> = (0..1_000_000u32).map(|n| (n % 251) as u8).collect();
        for most in [0, 1, 700, 5_000, 999_999, 1_000_000, 2_000_000] {
            let mut body = Body::of("");
            all.chunks(977).rev().for_each(|frame| body.unread(Bytes::copy_from_slice(frame)));
            let (before, bytes) = last_of(body, most).await.unwrap();
            let from = all.len().saturating_sub(most);
            assert!(before == from as u64 && bytes[..] == all[from..], "{most}");
            assert!(bytes.capacity() <= most * 4 + 4096, "{most}: {}", bytes.capacity());
        }
    }

    #[test]
    fn a_part_is_read_from_its_first_whole_entry() {
        for (part, entry, line) in [
            ("t of a line\n\tmain.go\nI1114 22:13:20.000001 1 a.go:1] x\n", Some(21), 12),
            ("I1114 22:13:20.000001 1 a.go:1] perhaps cut\nno time\n", None, 44),
            ("one piece of a long line", None, 0),
        ] {
            assert_eq!((first_entry(part.as_bytes()), second_line(part.as_bytes())), (entry, line));
        }
    }
}
