//! Where a journal's files are: below a node's /var/log, or on this machine.

use std::fs::{self, File};
use std::future::poll_fn;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use bytes::Bytes;

use crate::error::{Error, Kind, Result};
use crate::http::ranges::{Fetched, Limits, Ranges, Wanted};
use crate::journal::{Header, Name, Need};
use crate::kube::path;
use crate::logs::outlet::Flow;
use crate::logs::source::Node;

use super::find::{self, Missing};

/// Bytes that may be fetched for one node's log: a journal's usual limit is a tenth of it.
const BUDGET: u64 = 64 << 30;

/// Files of a node that are asked at the same time: one that has hundreds would be asked for as many at once.
const AT_ONCE: usize = 8;
/// The same while it is followed: requests at the same time, too. Many run so for long.
const AT_ONCE_FOLLOWED: usize = 2;

/// The largest header known, in bytes.
const HEADER: u64 = Header::KNOWN;

/// Where a journal's files are.
#[derive(Debug)]
pub(super) enum Place<'a> {
    /// In a folder below a node's /var/log.
    Node { node: &'a Node<'a>, folder: String, ranges: Ranges },
    /// On this machine.
    Here(Files),
}

/// Journal files on this machine.
#[derive(Clone, Debug)]
pub struct Files(Kept);

#[derive(Clone, Debug)]
enum Kept {
    /// Named files of a folder. Each is opened whenever it is read: it may get another name meanwhile.
    Folder(PathBuf),
    /// A single one, whatever its name.
    One { file: Arc<Mutex<Box<dyn Seekable>>>, name: String, shown: String },
}

trait Seekable: Read + Seek + Send + std::fmt::Debug {}

impl<T: Read + Seek + Send + std::fmt::Debug> Seekable for T {}

/// What a file had of a need.
#[derive(Debug)]
pub(super) struct Answer {
    /// The file's size.
    pub(super) size: u64,
    /// The header as it was before the pieces were read, of each request that this took.
    pub(super) leads: Vec<Bytes>,
    /// By offset.
    pub(super) pieces: Vec<(u64, Bytes)>,
}

impl<'a> Place<'a> {
    /// A folder below a node's /var/log.
    pub(super) fn on_node(node: &'a Node<'a>, folder: String) -> Self {
        let limits = Limits {
            ranges: Limits::MOST_RANGES,
            budget: BUDGET,
            silence: node.server_limit + node.server_limit / 2,
            parallel: if node.follow.is_some() { 1 } else { Limits::default().parallel },
            ..Limits::default()
        };
        Place::Node { node, folder, ranges: Ranges::new(limits) }
    }

    /// For people.
    pub(super) fn shown(&self) -> String {
        match self {
            Place::Node { folder, .. } => format!("/var/log/{folder}"),
            Place::Here(Files(Kept::Folder(folder))) => folder.display().to_string(),
            Place::Here(Files(Kept::One { shown, .. })) => shown.clone(),
        }
    }

    /// The journal, in words.
    pub(super) fn journal(&self) -> String {
        match self {
            Place::Node { .. } => "the node's journal".to_owned(),
            Place::Here(_) => format!("the journal in {}", self.shown()),
        }
    }

    /// What to do about a journal that can't be read.
    pub(super) fn remedy(&self) -> &'static str {
        match self {
            Place::Node { .. } => {
                "journalctl on the node can read it; --source query lets the kubelet run that, where its option is on"
            }
            Place::Here(_) => "journalctl -D or --file can read it",
        }
    }

    /// What tells more of a journal that is damaged.
    pub(super) fn examination(&self) -> &'static str {
        match self {
            Place::Node { .. } => "journalctl --verify on the node says more",
            Place::Here(_) => "journalctl --verify with --file or -D says more",
        }
    }

    /// Whether it is files on this machine, of which some may be read where others can't.
    pub(super) fn has_others(&self) -> bool {
        matches!(self, Place::Here(Files(Kept::Folder(_))))
    }

    /// Whether no more than two requests may be under way.
    pub(super) fn is_followed(&self) -> bool {
        matches!(self, Place::Node { node, .. } if node.follow.is_some())
    }

    /// The names of the files that there are now.
    pub(super) async fn names(&self) -> Flow<Result<Vec<String>, Missing>> {
        match self {
            Place::Node { node, folder, .. } => find::names(node, folder).await,
            Place::Here(Files(Kept::One { name, .. })) => Ok(Ok(vec![name.clone()])),
            Place::Here(Files(Kept::Folder(folder))) => {
                let listed = fs::read_dir(folder).and_then(|entries| {
                    entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<io::Result<Vec<_>>>()
                });
                let names = listed.map_err(|error| unreadable(&folder.display().to_string(), error))?;
                let names = names.into_iter().filter_map(|name| name.into_string().ok());
                Ok(Ok(names.filter(|name| Name::parse(name).is_some()).collect()))
            }
        }
    }

    /// What the files of these names have of these needs: each file's in requests of their own, all side by side.
    pub(super) async fn fetch(&self, needs: Vec<(Need, String)>) -> Vec<(Need, Result<Answer>)> {
        match self {
            Place::Node { node, folder, ranges } => fetch_all(node, folder, ranges, needs).await,
            Place::Here(files) => {
                let answers = needs.into_iter().map(|(need, name)| {
                    let answer = files.read(&name, &need);
                    (need, answer)
                });
                let answers = answers.collect();
                // A disk never makes anybody wait: signals are heard here.
                tokio::task::yield_now().await;
                answers
            }
        }
    }
}

impl Files {
    /// Files of a folder, by their names.
    pub fn of(folder: &Path) -> Files {
        Files(Kept::Folder(folder.to_owned()))
    }

    /// One that is open, and is called this in the journal.
    pub fn open(file: File, name: String, shown: String) -> Files {
        Files::one(file, name, shown)
    }

    /// One that is in memory.
    pub fn held(bytes: Bytes, name: String, shown: String) -> Files {
        Files::one(io::Cursor::new(bytes), name, shown)
    }

    fn one(file: impl Seekable + 'static, name: String, shown: String) -> Files {
        Files(Kept::One { file: Arc::new(Mutex::new(Box::new(file))), name, shown })
    }

    fn read(&self, name: &str, need: &Need) -> Result<Answer> {
        match &self.0 {
            Kept::Folder(folder) => {
                let path = folder.join(name);
                let read = File::open(&path).and_then(|mut file| answer(&mut file, &need.ranges));
                read.map_err(|error| unreadable(&path.display().to_string(), error))
            }
            Kept::One { file, shown, .. } => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                answer(&mut **file, &need.ranges).map_err(|error| unreadable(shown, error))
            }
        }
    }
}

/// Why something on this machine can't be read.
pub fn unreadable(shown: &str, error: io::Error) -> Error {
    let (kind, hint) = match error.kind() {
        io::ErrorKind::NotFound => (Kind::NotFound, "--from names a file or folder on this machine, or - for stdin"),
        io::ErrorKind::PermissionDenied => {
            (Kind::Denied, "journals belong to the group systemd-journal, other logs mostly to adm or root")
        }
        _ => return Error::new(Kind::Failed, format!("reading {shown}")).because(error),
    };
    Error::new(kind, format!("reading {shown}")).because(error).hint(hint)
}

/// The ranges of a file as far as it reaches, the header first.
fn answer(file: &mut (impl Read + Seek + ?Sized), ranges: &[Range<u64>]) -> io::Result<Answer> {
    let mut piece = |range: &Range<u64>| {
        file.seek(SeekFrom::Start(range.start))?;
        let mut bytes = Vec::new();
        file.take(range.end.saturating_sub(range.start)).read_to_end(&mut bytes)?;
        io::Result::Ok((range.start, Bytes::from(bytes)))
    };
    let (lead, rest) = split(ranges);
    let leads = match lead {
        Some(lead) => vec![piece(&lead)?.1],
        None => Vec::new(),
    };
    let pieces = rest.iter().map(piece).collect::<io::Result<_>>()?;
    Ok(Answer { size: file.seek(SeekFrom::End(0))?, leads, pieces })
}

async fn fetch_all(
    node: &Node<'_>,
    folder: &str,
    ranges: &Ranges,
    needs: Vec<(Need, String)>,
) -> Vec<(Need, Result<Answer>)> {
    let fetch = |(need, name): (Need, String)| async move {
        let url = path::logs_file(node.name, &format!("{folder}/{name}"));
        let (lead, rest) = match &*need.ranges {
            // An answer that breaks off may be continued from the file's successor, which its header tells; that is of one.
            [first] if first.start == 0 && first.end >= HEADER && is_active(&name) => {
                (Some(0..HEADER), std::iter::once(HEADER..first.end).filter(|rest| !rest.is_empty()).collect())
            }
            ranges => split(ranges),
        };
        let wanted = Wanted { lead: lead.as_ref(), needs: &rest };
        let fetched = node.client.ranges(ranges, &url, wanted).await;
        (need, fetched.map(Answer::from))
    };
    let at_once = if node.follow.is_some() { AT_ONCE_FOLLOWED } else { AT_ONCE };
    let mut waiting = needs.into_iter();
    let mut running = Vec::new();
    let mut done = Vec::new();
    poll_fn(move |context| {
        loop {
            running
                .extend(waiting.by_ref().take(at_once.saturating_sub(running.len())).map(|need| Box::pin(fetch(need))));
            let before = done.len();
            running.retain_mut(|one| match one.as_mut().poll(context) {
                Poll::Ready(fetched) => {
                    done.push(fetched);
                    false
                }
                Poll::Pending => true,
            });
            match () {
                () if running.is_empty() && waiting.len() == 0 => return Poll::Ready(std::mem::take(&mut done)),
                () if done.len() == before => return Poll::Pending,
                // There is room for those that wait.
                () => {}
            }
        }
    })
    .await
}

impl From<Fetched> for Answer {
    fn from(fetched: Fetched) -> Self {
        Answer { size: fetched.size, leads: fetched.leads, pieces: fetched.segments.into_vec() }
    }
}

/// Whether a file of this name is written to.
pub(super) fn is_active(name: &str) -> bool {
    Name::parse(name).is_some_and(|name| name.is_active())
}

/// The header, where it is the first of several ranges, and the others: it then goes into every request.
fn split(ranges: &[Range<u64>]) -> (Option<Range<u64>>, Vec<Range<u64>>) {
    match ranges {
        [first, rest @ ..] if first.start == 0 && !rest.is_empty() => (Some(first.clone()), rest.to_vec()),
        all => (None, all.to_vec()),
    }
}
