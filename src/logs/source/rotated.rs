//! A log file and its rotated predecessors, read as one log.
//!
//! A rotation may happen at any time: then names mean other files than before. So every part is known by its first bytes,
//! looked at before anything is handed on, the current file's first of all and before the folder is listed: a part that
//! begins otherwise when it is read is looked for under its new name.

use bytes::Bytes;

use crate::error::{Error, Kind};
use crate::logs::calendar::{Anchor, Calendar};
use crate::logs::filter::Filter;
use crate::logs::outlet::{Flow, Halt, Outlet};
use crate::logs::sieve::Sieve;
use crate::logs::source::file::{File, LAST_LINES, Look, Packing, Stream};
use crate::logs::source::listing::{Entry, list};
use crate::logs::source::rotation::{Rotation, Rotations, rotations};
use crate::logs::source::{Node, Want, check_time_was_seen};
use crate::logs::split::Continuation;
use crate::time::Timestamp;

mod last;

pub(super) use last::Last;

/// How often a log may be rotated while it is read.
const MOST_SHIFTS: u32 = 4;

/// A log file, and whether it has predecessors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Under /var/log.
    path: String,
    packing: Packing,
    rotated: bool,
    end: Option<End>,
}

/// Where a log ends: what follows is read by somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
struct End {
    /// Behind so many bytes, unpacked,
    offset: u64,
    /// of the file that begins like this, which was the current one. It may have another name by now.
    beginning: Bytes,
}

/// One file of a log.
#[derive(Clone, Debug)]
struct Part {
    path: String,
    packing: Option<Packing>,
    beginning: Bytes,
    modified: Option<Timestamp>,
}

/// How a pass over one part ended.
enum Passed {
    Whole,
    /// The window's end is past.
    Enough,
    /// Another file has its name now; nothing of it was handed on.
    Replaced,
}

impl Log {
    /// One file by its path under /var/log, and nothing else.
    pub fn alone(path: &str, packing: Packing) -> Log {
        Log { path: path.to_owned(), packing, rotated: false, end: None }
    }

    /// A plain file with the predecessors that the entries of its folder show.
    pub fn of(path: &str, entries: &[Entry]) -> Log {
        let (_, name) = split(path);
        let rotated = !rotations(entries, name).all.is_empty();
        Log { path: path.to_owned(), packing: Packing::Plain, rotated, end: None }
    }

    /// The newest predecessor of a file.
    pub async fn previous(node: &Node<'_>, path: &str) -> Flow<Option<String>> {
        let log = Log { path: path.to_owned(), packing: Packing::Plain, rotated: true, end: None };
        let newest = log.predecessors(node).await?.pop();
        Ok(newest.map(|(rotation, _)| log.sibling(&rotation.name)))
    }

    /// Only so many bytes of the current file, which begins like this, and nothing that comes after it.
    pub(super) fn up_to(self, offset: u64, beginning: &Bytes) -> Log {
        Log { end: Some(End { offset, beginning: beginning.clone() }), ..self }
    }

    /// Whether it is to be unpacked.
    pub(super) fn is_packed(&self) -> bool {
        self.packing == Packing::Gzip
    }

    /// Its path under /var/log.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Reads all that is wanted and hands it on; tells whether there was anything.
    pub async fn read(&self, node: &Node<'_>, want: Want, filter: &mut Filter, out: &mut Outlet) -> Flow<bool> {
        if !self.rotated && self.end.is_none() {
            return File::new(node, &self.path, self.packing).read(want, filter, out).await;
        }
        let mut shifts = 0;
        loop {
            let parts = self.wanted_parts(node, filter.since).await?;
            if let Some(anything) = self.read_parts(node, parts, &mut shifts, want, filter, out).await? {
                return Ok(anything);
            }
        }
    }

    /// Reads these parts; `None` if the first of them has another name now.
    async fn read_parts(
        &self,
        node: &Node<'_>,
        mut parts: Vec<Part>,
        shifts: &mut u32,
        want: Want,
        filter: &mut Filter,
        out: &mut Outlet,
    ) -> Flow<Option<bool>> {
        if parts.is_empty() {
            return Ok(Some(out.has_spoken()));
        }
        let calendar = match (want.dated || filter.has_window(), parts.first()) {
            (true, Some(oldest)) => {
                let anchor = Anchor::NotAfter(oldest.modified.unwrap_or_else(|| node.clock.now()));
                Some(clock(node, &parts).await?.anchored(anchor))
            }
            _ => None,
        };
        let raw = want.raw && calendar.is_none() && filter.is_empty();
        let since = filter.since;
        // One for all parts: an entry may go on in the next.
        let mut sieve = (!raw).then(|| Sieve::new(Continuation::Timeless, calendar, filter, None));
        let mut lost = None;
        let (mut at, mut begun) = (0, false);
        while let Some(part) = parts.get(at) {
            let is_last = at + 1 == parts.len();
            let passed = self.pass(node, part, sieve.as_mut(), out).await;
            let had_begun = begun;
            begun |= !matches!(passed, Ok(Passed::Replaced));
            match passed {
                Ok(Passed::Whole) => {
                    at += 1;
                    if !is_last {
                        self.end_line(sieve.as_mut(), out).await?;
                    }
                }
                Ok(Passed::Enough) => break,
                Ok(Passed::Replaced) if *shifts < MOST_SHIFTS => {
                    *shifts += 1;
                    node.notices.verbose(4, || format!("{}: {} was rotated meanwhile", node.name, self.path));
                    if !had_begun {
                        return Ok(None);
                    }
                    let wanted = part.beginning.clone();
                    let before = at.checked_sub(1).and_then(|n| parts.get(n)).map(|part| part.beginning.clone());
                    parts = self.wanted_parts(node, since).await?;
                    let found = |beginning: &Bytes| parts.iter().position(|part| same(&part.beginning, beginning));
                    at = match (found(&wanted), before.as_ref().and_then(found)) {
                        (Some(at), _) => at,
                        // It is gone: with what follows the one before it, or with what there is, it goes on.
                        (None, before) => {
                            lost.get_or_insert_with(|| self.deleted());
                            before.map_or(0, |at| at + 1)
                        }
                    };
                }
                Ok(Passed::Replaced) => return Err(self.deleted().into()),
                Err(Halt::Failed(error)) if !is_last && matches!(error.kind(), Kind::Failed | Kind::Partial) => {
                    node.notices.warning(format_args!("{}: {}: {}", node.name, part.path, error.chain()));
                    lost.get_or_insert(error);
                    self.end_line(sieve.as_mut(), out).await?;
                    at += 1;
                }
                Err(halt) => return Err(halt),
            }
        }
        if let Some(mut sieve) = sieve {
            sieve.finish();
            let rest = sieve.remainder();
            if sieve.has_guessed() {
                File::new(node, &self.path, self.packing).tell_of_guesses();
            }
            out.last_lines(rest).await?;
        }
        check_time_was_seen(filter, &self.path)?;
        match lost {
            Some(error) => Err(self.incomplete(error).into()),
            None => Ok(Some(out.has_spoken())),
        }
    }

    /// The parts that are to be read, oldest first, the current file last; or the one that was the current file, and up to
    /// whose end the log is to be read.
    async fn wanted_parts(&self, node: &Node<'_>, since: Option<Timestamp>) -> Flow<Vec<Part>> {
        let Some(end) = &self.end else { return self.parts(node, since).await };
        if !self.rotated {
            match File::new(node, &self.path, self.packing).look().await {
                Ok(look) if end.beginning.is_empty() || same(&look.beginning, &end.beginning) => {
                    return Ok(vec![part(self.path.clone(), Some(self.packing), look)]);
                }
                Err(Halt::Failed(error)) if error.kind() != Kind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        let mut parts = self.parts(node, since).await?;
        match parts.iter().rposition(|part| self.is_end(part)) {
            Some(last) => parts.truncate(last + 1),
            // It is gone; who goes on from its end tells that.
            None => parts.retain(|part| part.path != self.path),
        }
        if !self.rotated {
            parts.retain(|part| self.is_end(part));
        }
        Ok(parts)
    }

    /// Whether the log is to be read up to somewhere in this file.
    fn is_end(&self, part: &Part) -> bool {
        match &self.end {
            Some(end) if !end.beginning.is_empty() => same(&end.beginning, &part.beginning),
            _ => part.path == self.path,
        }
    }

    /// The parts that may hold lines of the window, oldest first, the current file last.
    async fn parts(&self, node: &Node<'_>, since: Option<Timestamp>) -> Flow<Vec<Part>> {
        let mut shifts = 0;
        'again: loop {
            let mut parts = Vec::new();
            match File::new(node, &self.path, Packing::Plain).look_at(LAST_LINES).await {
                Ok(current) => {
                    let is_enough = current.begun < since && current.begun.is_some();
                    parts.push(part(self.path.clone(), Some(Packing::Plain), current));
                    if is_enough {
                        return Ok(parts);
                    }
                }
                // Between its renaming and the first line of its successor there is no file of the name.
                Err(Halt::Failed(error)) if error.kind() == Kind::NotFound && self.end.is_some() => {}
                Err(halt) => return Err(halt),
            }
            let mut names = self.predecessors(node).await?;
            while let Some((rotation, look)) = names.pop() {
                let look = match look {
                    Some(look) => look,
                    None => match self.look(node, &rotation).await {
                        Ok(look) => look,
                        Err(Halt::Failed(error)) if error.kind() == Kind::NotFound && shifts < MOST_SHIFTS => {
                            shifts += 1;
                            continue 'again;
                        }
                        Err(halt) => return Err(halt),
                    },
                };
                if parts.iter().any(|part| same(&part.beginning, &look.beginning)) && shifts < MOST_SHIFTS {
                    // It was rotated since the one before was looked at.
                    shifts += 1;
                    continue 'again;
                }
                if older(look.modified, since) {
                    break;
                }
                parts.push(part(self.sibling(&rotation.name), rotation.packing, look));
            }
            parts.reverse();
            return Ok(parts);
        }
    }

    /// Its predecessors, oldest first; with a look at each where their names don't tell the order.
    async fn predecessors(&self, node: &Node<'_>) -> Flow<Vec<(Rotation, Option<Look>)>> {
        let (folder, name) = split(&self.path);
        let Rotations { all, mixed } = rotations(&list(node, folder).await?, name);
        let mut found: Vec<(Rotation, Option<Look>)> = all.into_iter().map(|rotation| (rotation, None)).collect();
        if mixed {
            for (rotation, look) in &mut found {
                *look = self.look(node, rotation).await.ok();
            }
            // What compares alike stays in the order of names; there are few.
            let modified = |(_, look): &(Rotation, Option<Look>)| look.as_ref().and_then(|look| look.modified);
            for unsorted in 1..found.len() {
                let mut at = unsorted;
                while at > 0 && modified(&found[at - 1]) > modified(&found[at]) {
                    found.swap(at - 1, at);
                    at -= 1;
                }
            }
        }
        Ok(found)
    }

    /// A look at one of its predecessors.
    async fn look(&self, node: &Node<'_>, rotation: &Rotation) -> Flow<Look> {
        let path = self.sibling(&rotation.name);
        Box::pin(File::new(node, &path, rotation.packing.unwrap_or(Packing::Plain)).look()).await
    }

    /// One pass over one part.
    async fn pass(
        &self,
        node: &Node<'_>,
        part: &Part,
        mut sieve: Option<&mut Sieve<'_>>,
        out: &mut Outlet,
    ) -> Flow<Passed> {
        let Some(packing) = part.packing else { return Err(foreign(&part.path).into()) };
        let mut file = File::new(node, &part.path, packing);
        let mut beginning = part.beginning.clone();
        if let Some(end) = self.end.as_ref().filter(|_| self.is_end(part)) {
            file = file.up_to(Some(end.offset));
            beginning.truncate(usize::try_from(end.offset).unwrap_or(usize::MAX));
        }
        let mut stream = match Stream::open(&file).await {
            Ok(stream) => stream,
            Err(Halt::Failed(error)) if error.kind() == Kind::NotFound => return Ok(Passed::Replaced),
            Err(halt) => return Err(halt),
        };
        if !stream.begins_with(&beginning).await? {
            return Ok(Passed::Replaced);
        }
        while let Some(piece) = stream.next().await? {
            match &mut sieve {
                None => out.bytes(piece).await?,
                Some(sieve) => {
                    let more = sieve.push(piece);
                    out.lines(sieve.ready()).await?;
                    if !more {
                        return Ok(Passed::Enough);
                    }
                }
            }
        }
        Ok(Passed::Whole)
    }

    /// A part is over and another follows, which begins on a line of its own.
    async fn end_line(&self, sieve: Option<&mut Sieve<'_>>, out: &mut Outlet) -> Flow<()> {
        match sieve {
            None => out.end_line().await,
            Some(sieve) => {
                sieve.end_line();
                Ok(())
            }
        }
    }

    /// A file beside it, by its name.
    fn sibling(&self, name: &str) -> String {
        match split(&self.path).0 {
            "" => name.to_owned(),
            folder => format!("{folder}/{name}"),
        }
    }

    fn deleted(&self) -> Error {
        Error::new(Kind::Partial, format!("{} was rotated away while it was read", self.path))
    }

    fn incomplete(&self, error: Error) -> Error {
        let words =
            format!("not all of {} and what it was before its rotations could be read; lines are missing", self.path);
        Error::new(Kind::Partial, words).because(error)
    }
}

fn part(path: String, packing: Option<Packing>, look: Look) -> Part {
    Part { path, packing, beginning: look.beginning, modified: look.modified }
}

/// What the parts tell of the times in them: the newest that shows it.
async fn clock(node: &Node<'_>, parts: &[Part]) -> Flow<Calendar> {
    let bound = parts.last().and_then(|part| part.modified).unwrap_or_else(|| node.clock.now());
    for part in parts.iter().rev().filter(|part| part.packing == Some(Packing::Plain)) {
        if let Some(calendar) = File::new(node, &part.path, Packing::Plain).clock().await? {
            return Ok(calendar.not_after(bound));
        }
    }
    node.notices.note(format_args!("{}: times that name no zone are taken as UTC", node.name));
    Ok(Calendar::new(0, Anchor::NotAfter(bound)).not_after(bound))
}

/// Whether two files are one by their first bytes, of which it may have had fewer at first.
fn same(one: &Bytes, other: &Bytes) -> bool {
    !one.is_empty() && !other.is_empty() && (one.starts_with(other) || other.starts_with(one))
}

/// Whether a file was last changed before the window.
pub(super) fn older(modified: Option<Timestamp>, since: Option<Timestamp>) -> bool {
    // Times of change have whole seconds.
    matches!((modified, since), (Some(modified), Some(since)) if modified.as_seconds() < since.as_seconds())
}

fn foreign(path: &str) -> Error {
    Error::new(Kind::Failed, format!("{path} is packed in a way that can't be unpacked here"))
}

/// The folder and the name of a path.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}
