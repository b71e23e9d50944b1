//! New lines of a text file: what stands behind what was read, across rotation and truncation.

use bytes::Bytes;

use super::{BEGINNING, File, Packing};
use crate::error::Kind;
use crate::http::ranges::{Limits, Ranges, Wanted};
use crate::kube::path;
use crate::logs::filter::Filter;
use crate::logs::outlet::{Flow, Halt, Outlet};
use crate::logs::sieve::Sieve;
use crate::logs::source::listing::list;
use crate::logs::source::rotation::rotations;
use crate::logs::source::watch::Watch;
use crate::logs::source::{Node, Want};
use crate::logs::split::Continuation;

/// Bytes taken in one look; more is taken in the next.
const MOST: u64 = 4 << 20;

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
        Followed { path: path.to_owned(), beginning: Bytes::new(), offset: 0 }
    }

    /// Everything up to its present end counts as taken.
    pub(in crate::logs::source) async fn to_its_end(node: &Node<'_>, path: &str) -> Flow<Self> {
        let (ranges, mut followed) = (ranges(node), Followed::new(path));
        let Behind::More(_, size) = followed.look(node, &ranges, 1).await? else { return Ok(followed) };
        // Up to the end of a line: the rest of it is not written yet.
        followed.offset = size.saturating_sub(LAST_LINE);
        match followed.look(node, &ranges, LAST_LINE).await? {
            Behind::More(end, _) => {
                let line_end = memchr::memrchr(b'\n', &end).map_or(0, |at| at as u64 + 1);
                followed.offset += line_end;
                Ok(followed)
            }
            Behind::Another => Ok(Followed::new(path)),
        }
    }

    /// What was taken: reading up to there and following from there leaves nothing out.
    pub(in crate::logs::source) fn offset(&self) -> u64 {
        self.offset
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
        let ranges = ranges(node);
        let mut anything = out.has_spoken();
        out.live();
        while watch.wait().await {
            let mut looked = Ok(false);
            for file in &mut files {
                let one = look_at(node, &ranges, file, want, filter, out, &mut watch).await;
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

/// One look at one file: hands on whole lines only; whether there were any.
async fn look_at(
    node: &Node<'_>,
    ranges: &Ranges,
    file: &mut Followed,
    want: Want,
    filter: &mut Filter,
    out: &mut Outlet,
    watch: &mut Watch<'_>,
) -> Flow<bool> {
    let mut anything = false;
    loop {
        let more = match file.look(node, ranges, MOST).await {
            Ok(Behind::More(more, _)) => more,
            Ok(Behind::Another) => {
                anything |= drain(node, ranges, file, want, filter, out, watch).await?;
                *file = Followed::new(&file.path);
                continue;
            }
            // Between its renaming and the first line of its successor there is no file of the name.
            Err(Halt::Failed(error)) if error.kind() == Kind::NotFound && !file.beginning.is_empty() => {
                return Ok(anything);
            }
            Err(halt) => return Err(halt),
        };
        let taken = hand_on(node, file, &more, want, filter, out).await?;
        anything |= taken > 0;
        file.offset += taken;
        if taken == 0 || (more.len() as u64) < MOST {
            return Ok(anything);
        }
    }
}

/// Hands on the whole lines of what was read; gives how many bytes that were.
async fn hand_on(
    node: &Node<'_>,
    file: &Followed,
    more: &Bytes,
    want: Want,
    filter: &mut Filter,
    out: &mut Outlet,
) -> Flow<u64> {
    // A line longer than a look is handed on in pieces.
    let whole =
        memchr::memrchr(b'\n', more).map_or(if more.len() as u64 == MOST { more.len() } else { 0 }, |end| end + 1);
    if whole == 0 {
        return Ok(0);
    }
    let dated = want.dated || filter.has_window();
    let calendar = if dated { File::new(node, &file.path, Packing::Plain).clock().await? } else { None };
    let mut sieve = Sieve::new(Continuation::Timeless, calendar, filter, None);
    sieve.push(more.slice(..whole));
    sieve.finish();
    let lines = sieve.remainder();
    out.lines(lines).await?;
    Ok(whole as u64)
}

/// What was written to a file before another took its name: it is looked for among the file's rotations.
async fn drain(
    node: &Node<'_>,
    ranges: &Ranges,
    file: &Followed,
    want: Want,
    filter: &mut Filter,
    out: &mut Outlet,
    watch: &mut Watch<'_>,
) -> Flow<bool> {
    let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
    let entries = list(node, folder).await?;
    // Oldest first. It may have been rotated more than once since: what came between stands in the files after it.
    let mut found = false;
    let mut anything = false;
    for rotation in rotations(&entries, name).all.iter().filter(|r| r.packing == Some(Packing::Plain)) {
        let path = if folder.is_empty() { rotation.name.clone() } else { format!("{folder}/{}", rotation.name) };
        let mut old = match found {
            true => Followed::new(&path),
            false => Followed { path, beginning: file.beginning.clone(), offset: file.offset },
        };
        loop {
            let more = match old.look(node, ranges, MOST).await {
                Ok(Behind::More(more, _)) => more,
                Ok(Behind::Another) => break,
                Err(Halt::Failed(error)) if error.kind() == Kind::NotFound => break,
                Err(halt) => return Err(halt),
            };
            found = true;
            let is_last = (more.len() as u64) < MOST;
            // Nothing will end its last line any more.
            let mut ended = more.to_vec();
            if is_last && !ended.is_empty() && !ended.ends_with(b"\n") {
                ended.push(b'\n');
            }
            let taken = hand_on(node, &old, &Bytes::from(ended), want, filter, out).await?;
            anything |= taken > 0;
            old.offset += taken.min(more.len() as u64);
            if is_last {
                break;
            }
        }
    }
    if found {
        return Ok(anything);
    }
    watch.lost(format!(
        "/var/log/{} was replaced or emptied, and what was written to it after byte {} is gone",
        file.path, file.offset
    ));
    Ok(false)
}

fn ranges(node: &Node<'_>) -> Ranges {
    let silence = node.server_limit + node.server_limit / 2;
    Ranges::new(Limits { budget: u64::MAX, silence, ..Limits::default() })
}
