//! New lines of a text file: what stands behind what was read, across rotation and truncation.

use bytes::{Bytes, BytesMut};

use super::{BEGINNING, File, Packing, Stream};
use crate::error::{Error, Kind};
use crate::http::ranges::{Limits, Ranges, Wanted};
use crate::kube::path;
use crate::logs::calendar::Calendar;
use crate::logs::filter::Filter;
use crate::logs::layout::Head;
use crate::logs::line::Line;
use crate::logs::outlet::{Flow, Halt, Outlet};
use crate::logs::sieve::Sieve;
use crate::logs::source::listing::list;
use crate::logs::source::rotation::{Rotation, rotations};
use crate::logs::source::watch::Watch;
use crate::logs::source::{Node, Want};
use crate::logs::split::Continuation;

/// Bytes taken in one look; more is taken in the next.
const MOST: u64 = 4 << 20;

/// A file that was renamed is looked for so often before it counts as gone: names move while they are looked at.
const SEARCHES: u32 = 2;
/// Rotations gone through in one look.
const MOVES: u32 = 100;

/// The end of a line is looked for in so many last bytes.
const LAST_LINE: u64 = 64 << 10;

/// A file that is followed.
#[derive(Debug)]
pub(in crate::logs::source) struct Followed {
    /// Under /var/log.
    path: String,
    /// Its first bytes, 64 or all: they tell it from its successor.
    beginning: Bytes,
    /// What was taken of it.
    offset: u64,
    /// The last entry that was taken, or as much of it as tells what becomes of the lines that continue it later.
    entry: Bytes,
}

/// What one look found behind what was taken.
enum Behind {
    /// More, or nothing; how long the file is.
    More(Bytes, u64),
    /// Another file has the name now, or the file was emptied.
    Another,
}

impl Followed {
    /// A file that nothing was taken of, or that is not there yet.
    pub(in crate::logs::source) fn new(path: &str) -> Self {
        Followed { path: path.to_owned(), beginning: Bytes::new(), offset: 0, entry: Bytes::new() }
    }

    /// Everything up to its present end counts as taken.
    pub(in crate::logs::source) async fn to_its_end(node: &Node<'_>, path: &str) -> Flow<Self> {
        let ranges = ranges(node);
        for _ in 0..=SEARCHES {
            let mut followed = Followed::new(path);
            let Behind::More(_, size) = followed.look(node, &ranges, 1).await? else { continue };
            // Up to the end of a line: the rest of it is not written yet.
            followed.offset = size.saturating_sub(LAST_LINE);
            if let Behind::More(end, _) = followed.look(node, &ranges, LAST_LINE).await? {
                let line_end = memchr::memrchr(b'\n', &end).map_or(0, |at| at as u64 + 1);
                followed.offset += line_end;
                followed.remember(end.get(..line_end as usize).unwrap_or_default());
                return Ok(followed);
            }
        }
        Ok(Followed::new(path))
    }

    /// What was taken: reading up to there and following from there leaves nothing out.
    pub(in crate::logs::source) fn offset(&self) -> u64 {
        self.offset
    }

    /// Its first bytes.
    pub(in crate::logs::source) fn beginning(&self) -> &Bytes {
        &self.beginning
    }

    /// Whole lines were taken: keeps the entry that they end with.
    fn remember(&mut self, lines: &[u8]) {
        let starts = memchr::memrchr_iter(b'\n', lines).map(|end| end + 1).chain([0]);
        let mut entry = match starts.into_iter().find(|at| is_head(lines, *at)) {
            Some(at) => lines.get(at..).unwrap_or_default().to_vec(),
            // Without a time before them they are entries of their own.
            None if self.entry.is_empty() => return,
            None => [&self.entry, lines].concat(),
        };
        if entry.len() as u64 > LAST_LINE {
            entry.truncate(LAST_LINE as usize);
            entry.push(b'\n');
        }
        self.entry = entry.into();
    }

    /// What stands behind what was taken, at most so many bytes of it.
    async fn look(&mut self, node: &Node<'_>, ranges: &Ranges, most: u64) -> Flow<Behind> {
        let url = path::logs_file(node.name, &self.path);
        let (lead, more) = (0..BEGINNING, self.offset..self.offset.saturating_add(most));
        let wanted = Wanted { lead: Some(&lead), needs: std::slice::from_ref(&more) };
        let fetched = node.client.ranges(ranges, &url, wanted).await?;
        // Nothing is older than the first answer's beginning, and all are of one file if all begin alike.
        let same = |lead: &Bytes| lead.starts_with(&self.beginning);
        if !fetched.leads.iter().all(same) || fetched.size < self.offset {
            return Ok(Behind::Another);
        }
        if let Some(lead) = fetched.leads.first().filter(|lead| lead.len() > self.beginning.len()) {
            self.beginning = lead.clone();
        }
        Ok(Behind::More(fetched.segments.slice(more.start..more.end.min(fetched.size)), fetched.size))
    }
}

impl File<'_> {
    /// Hands on what is written to these files from now on; ends where the window does.
    pub(in crate::logs::source) async fn follow(
        node: &Node<'_>,
        mut files: Vec<Followed>,
        want: Want,
        filter: &mut Filter,
        out: &mut Outlet,
        mut watch: Watch<'_>,
    ) -> Flow<bool> {
        let mut anything = out.has_spoken();
        out.live();
        if filter.joined {
            filter.since = None;
        }
        let mut look = Look { node, ranges: ranges(node), want, filter, out };
        while watch.wait().await {
            let mut looked = Ok(false);
            for file in &mut files {
                let one = look.look_at(file, &mut watch).await;
                looked = match (looked, one) {
                    (Ok(before), Ok(brought)) => Ok(before || brought),
                    (Err(halt), _) | (Ok(_), Err(halt)) => Err(halt),
                };
            }
            anything |= matches!(looked, Ok(true));
            watch.heard(looked)?;
        }
        watch.end().map(|()| anything)
    }
}

/// The looks at the files of one node.
struct Look<'l, 'n> {
    node: &'l Node<'n>,
    ranges: Ranges,
    want: Want,
    filter: &'l mut Filter,
    out: &'l mut Outlet,
}

impl Look<'_, '_> {
    /// One look at one file: hands on whole lines only; whether there were any.
    async fn look_at(&mut self, file: &mut Followed, watch: &mut Watch<'_>) -> Flow<bool> {
        let mut anything = false;
        let (mut searches, mut moves) = (0, 0);
        loop {
            match file.look(self.node, &self.ranges, MOST).await {
                Ok(Behind::More(more, _)) => {
                    let taken = self.hand_on(file, &more).await?;
                    anything |= taken > 0;
                    if taken == 0 || (more.len() as u64) < MOST {
                        return Ok(anything);
                    }
                    continue;
                }
                Ok(Behind::Another) => {}
                // Between its renaming and the first line of its successor there is no file of the name.
                Err(Halt::Failed(error)) if error.kind() == Kind::NotFound => {}
                Err(halt) => return Err(halt),
            }
            match Box::pin(self.move_on(file)).await? {
                Moved::On(brought) if moves < MOVES => {
                    moves += 1;
                    anything |= brought;
                }
                Moved::On(brought) => return Ok(anything || brought),
                Moved::Nowhere(brought) => return Ok(anything || brought),
                Moved::Lost if searches < SEARCHES => searches += 1,
                Moved::Lost => {
                    watch.lost(format!(
                        "/var/log/{} was replaced or emptied: what was written to it after byte {}, if anything, is gone",
                        file.path, file.offset
                    ));
                    *file = Followed::new(&file.path);
                }
            }
        }
    }

    /// Reads a file that was rotated to its end, and goes on to the one that was begun after it.
    ///
    /// Names move at any time: a file is known by its first bytes, and which one comes after it is only sure while it keeps its
    /// place before and after the other was looked at.
    async fn move_on(&mut self, file: &mut Followed) -> Flow<Moved> {
        let node = self.node;
        let (folder, name) = file.path.rsplit_once('/').map_or(("", &*file.path), |(folder, name)| (folder, name));
        let (folder, name) = (folder.to_owned(), name.to_owned());
        let rotated = rotations(&list(node, &folder).await?, &name).all;
        // Of one whose first bytes were never seen nothing tells where it is.
        if file.beginning.is_empty() {
            return Ok(Moved::Nowhere(false));
        }
        let path = |rotation: &Rotation| match &*folder {
            "" => rotation.name.clone(),
            folder => format!("{folder}/{}", rotation.name),
        };
        let mut found = None;
        for (nth, rotation) in rotated.iter().enumerate().rev() {
            let Some(packing) = rotation.packing else { continue };
            if is_there(node, file, &path(rotation), packing).await? {
                found = Some((nth, packing));
                break;
            }
        }
        let Some((nth, packing)) = found else { return Ok(Moved::Lost) };
        let old = rotated.get(nth).map(path).unwrap_or_default();
        let (after, packing_after) = match rotated.get(nth + 1) {
            Some(next) => (path(next), next.packing),
            None => (file.path.clone(), Some(Packing::Plain)),
        };
        let Some(packing_after) = packing_after else { return Ok(Moved::Lost) };
        let next = beginning_of(node, &after, packing_after).await?.unwrap_or_default();
        // Whoever writes to the next one writes to this one no more. The first few bytes of a line are those of other files, too.
        let over = next.len() as u64 >= BEGINNING || next.contains(&b'\n');
        let anything = match Box::pin(self.drain(file, (&old, packing), over)).await {
            Ok(Some(anything)) => anything,
            Ok(None) => return Ok(Moved::Lost),
            Err(Halt::Failed(error)) if error.kind() == Kind::NotFound => return Ok(Moved::Lost),
            Err(halt) => return Err(halt),
        };
        let same = rotations(&list(node, &folder).await?, &name).all == rotated;
        if !same || !is_there(node, file, &old, packing).await? {
            // It was rotated again: where it is now is looked for anew.
            return Ok(Moved::On(anything));
        }
        // As long as that is empty it may be renamed unseen.
        if !over {
            return Ok(Moved::Nowhere(anything));
        }
        (file.beginning, file.offset) = (next, 0);
        Ok(Moved::On(anything))
    }

    /// Hands on the rest of a file that was rotated; whether it was of use, or `None` if it is not there any more.
    async fn drain(&mut self, file: &mut Followed, (path, packing): (&str, Packing), over: bool) -> Flow<Option<bool>> {
        let node = self.node;
        let mut anything = false;
        let mut rest = BytesMut::new();
        if packing == Packing::Gzip {
            let log = File::new(node, path, packing);
            let mut stream = Stream::open(&log).await?;
            if !stream.begins_with(&file.beginning).await? {
                return Ok(None);
            }
            let mut before = file.offset;
            while let Some(mut piece) = stream.next().await? {
                let skipped = before.min(piece.len() as u64);
                before -= skipped;
                rest.extend_from_slice(&piece.split_off(usize::try_from(skipped).unwrap_or(usize::MAX)));
                if rest.len() as u64 >= MOST {
                    let taken = self.hand_on(file, &rest.clone().freeze()).await?;
                    anything = true;
                    rest = rest.split_off(usize::try_from(taken).unwrap_or(usize::MAX));
                }
            }
        } else {
            let mut old = Followed { beginning: file.beginning.clone(), ..Followed::new(path) };
            loop {
                old.offset = file.offset;
                let Behind::More(more, _) = old.look(node, &self.ranges, MOST).await? else { return Ok(None) };
                if (more.len() as u64) < MOST {
                    rest.extend_from_slice(&more);
                    break;
                }
                self.hand_on(file, &more).await?;
                anything = true;
            }
        }
        // If it is over nothing will end its last line any more.
        if !rest.is_empty() {
            let end = rest.len() as u64 + file.offset;
            if over && !rest.ends_with(b"\n") {
                rest.extend_from_slice(b"\n");
            }
            anything |= self.hand_on(file, &rest.freeze()).await? > 0;
            file.offset = file.offset.min(end);
        }
        Ok(Some(anything))
    }

    /// Hands on the whole lines of what was read, which then counts as taken; gives how many bytes that were.
    async fn hand_on(&mut self, file: &mut Followed, more: &Bytes) -> Flow<u64> {
        // A line longer than a look is handed on in pieces.
        let whole =
            memchr::memrchr(b'\n', more).map_or(if more.len() as u64 >= MOST { more.len() } else { 0 }, |end| end + 1);
        if whole == 0 {
            return Ok(0);
        }
        let dated = self.want.dated || self.filter.has_window();
        let calendar = match dated {
            true => File::new(self.node, &file.path, Packing::Plain).clock().await.map_err(soon)?,
            false => None,
        };
        let text = more.get(..whole).unwrap_or_default();
        let mut starts = [0].into_iter().chain(memchr::memchr_iter(b'\n', text).map(|end| end + 1));
        let from = match starts.find(|at| is_head(text, *at)) {
            _ if file.entry.is_empty() => 0,
            head => head.unwrap_or(whole),
        };
        let mut lines = Vec::new();
        if from > 0 {
            // An entry that goes on is judged anew, as a whole; of one that went out already only the rest follows.
            let entry = [&file.entry, text.get(..from).unwrap_or_default()].concat();
            let before = self.sift(file.entry.clone(), &calendar).first().map_or(0, |line| line.text.len());
            lines = self.sift(entry.into(), &calendar);
            for line in lines.iter_mut().filter(|_| before > 0) {
                (line.head, line.text) = (None, line.text.slice(before.min(line.text.len())..));
            }
        }
        lines.extend(self.sift(more.slice(from..whole), &calendar));
        self.out.lines(lines).await?;
        file.remember(text);
        file.offset += whole as u64;
        Ok(whole as u64)
    }

    /// The entries of whole lines that are wanted.
    fn sift(&mut self, text: Bytes, calendar: &Option<Calendar>) -> Vec<Line> {
        let mut sieve = Sieve::new(Continuation::Timeless, calendar.clone(), self.filter, None);
        sieve.push(text);
        sieve.pause();
        sieve.remainder()
    }
}

/// Whether an entry begins there.
fn is_head(text: &[u8], at: usize) -> bool {
    text.get(at..).is_some_and(|line| Head::of(line).is_some())
}

/// What became of a file whose name another one has.
enum Moved {
    /// It was read to its end, and the one after it comes now; whether that end was of use.
    On(bool),
    /// It was read to its end, and there is nothing after it yet.
    Nowhere(bool),
    /// It is not there any more.
    Lost,
}

/// Whether this is the file that is followed.
async fn is_there(node: &Node<'_>, file: &Followed, path: &str, packing: Packing) -> Flow<bool> {
    let beginning = beginning_of(node, path, packing).await?;
    Ok(beginning.is_some_and(|beginning| beginning.starts_with(&file.beginning)))
}

/// The first bytes of a file, if it is there.
async fn beginning_of(node: &Node<'_>, path: &str, packing: Packing) -> Flow<Option<Bytes>> {
    match Box::pin(File::new(node, path, packing).look()).await {
        Ok(look) => Ok(Some(look.beginning)),
        Err(Halt::Failed(error)) if error.kind() == Kind::NotFound => Ok(None),
        Err(halt) => Err(halt),
    }
}

/// Between two files of a name there is none: that passes.
fn soon(halt: Halt) -> Halt {
    match halt {
        Halt::Failed(error) if error.kind() == Kind::NotFound => {
            Error::new(Kind::Failed, "looking at its times").because(error).into()
        }
        halt => halt,
    }
}

fn ranges(node: &Node<'_>) -> Ranges {
    let silence = node.server_limit + node.server_limit / 2;
    Ranges::new(Limits { budget: u64::MAX, silence, ..Limits::default() })
}
