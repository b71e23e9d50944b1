//! Logs on this machine: a journal's file or folder, a text log, a folder of those, stdin. No cluster is asked anything.
//!
//! What something is tells its content, never its name: a journal by its first bytes, gzip too, and what is packed in another
//! way is told from a text.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::args::Input;
use crate::clock::Clock;
use crate::error::{Error, Kind, Result};
use crate::journal::{Matches, Name, Query};
use crate::logs::filter::Filter;
use crate::logs::layout::Head;
use crate::logs::outlet::{Flow, Halt, Outlet};
use crate::logs::source::anchor;
use crate::logs::source::file::Packing;
use crate::logs::source::journal::{Files, Found, LISTED, Met, Part as Portion, Remote, read_from, unreadable};
use crate::logs::source::pick::{self, Instead, JOURNAL, What};
use crate::logs::source::text::Wanted;
use crate::logs::source::{Machine, Want, check_severity_was_seen};
use crate::logs::unit::RKE2_LOGS;
use crate::notice::Notices;
use crate::time::{Timestamp, Zone};

mod stream;
mod text;
mod folder;

use folder::{Folder, Packed};
use stream::Stream;
use text::{Part, Text};

/// A journal that can't be read here and there (from a pipe, or packed) is held in memory; journald makes none so large.
const MOST_HELD: usize = 256 << 20;
/// By so many bytes it is told what something is.
const BEGINNING: usize = 4096;

/// Something to read, opened.
#[derive(Debug)]
pub struct Local {
    /// The machine's name, where the log tells it; else the file's.
    pub name: String,
    kind: Kept,
    /// Of times that name none, where that was said.
    zone: Option<Zone>,
    packing: Unpack,
}

/// Something to read, or why it can't be, until a lane takes it.
pub type Slot = Mutex<Option<Result<Local>>>;

/// What it is, as far as that is known before anything waits.
#[derive(Debug)]
enum Kept {
    Journal {
        files: Files,
        names: Vec<String>,
        /// Beside them, packed: those are read only by their names.
        packed: Vec<Packed>,
        shown: String,
    },
    Folder(Folder),
    /// A file that is no journal, if it is plain: with its end at hand.
    File {
        path: Arc<Path>,
        modified: Option<Timestamp>,
    },
    /// stdin.
    Stdin,
    /// A named pipe or the like.
    Pipe {
        path: Arc<Path>,
    },
}

/// Whether gzip is unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unpack {
    /// Yes.
    Gzip,
    /// Bytes stay as they are.
    Nothing,
}

/// How to call something before it was opened.
pub fn name(input: &Input) -> String {
    match input {
        Input::Stdin => "stdin".to_owned(),
        Input::Path(path) => {
            let whole = || path.canonicalize().ok()?.file_name().map(|name| name.to_string_lossy().into_owned());
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            name.or_else(whole).unwrap_or_else(|| path.display().to_string())
        }
    }
}

impl Local {
    /// Looks at what was named, and reads from a journal whose it is.
    pub async fn open(
        input: &Input,
        zone: Option<&Zone>,
        packing: Unpack,
        notices: &Notices,
        clock: Clock,
    ) -> Result<Local> {
        let kind = kind(input)?;
        let mut name = name(input);
        if let Kept::Journal { files, names, .. } = &kind {
            let machine = Machine { name: &name, notices, clock, room: 0 };
            if let Some(told) = hostname(Remote::here(machine, files.clone(), names.clone())).await {
                name = told;
            }
        }
        Ok(Local { name, kind, zone: zone.cloned(), packing })
    }

    /// Reads what is wanted and hands it on; tells whether there was anything.
    pub async fn read(
        self,
        machine: Machine<'_>,
        what: What<'_>,
        want: Want,
        filter: &mut Filter,
        out: &mut Outlet,
    ) -> Flow<bool> {
        let read = self.read_what(machine, what, want, filter, out).await;
        anchor::tell(machine, what.anchors, filter, &read);
        read.map_err(|halt| pick::in_part(halt, out))
    }

    async fn read_what(
        self,
        machine: Machine<'_>,
        what: What<'_>,
        want: Want,
        filter: &mut Filter,
        out: &mut Outlet,
    ) -> Flow<bool> {
        let wanted = match what.instead {
            Some(Instead::Kernel) => Wanted::Kernel,
            _ if what.units.is_empty() => Wanted::Kubelet,
            _ => Wanted::Units(what.units),
        };
        let is_stdin = matches!(self.kind, Kept::Stdin);
        let (mut stream, end, modified) = match self.kind {
            Kept::Journal { files, names, packed, shown } => {
                let remote = Remote::here(machine, files, names);
                let read = read_journal(remote, machine, &shown, (wanted, what), want, filter, out).await;
                let unread = folder::check_none_is_packed(&shown, packed, filter.since);
                if let (Err(Halt::Failed(_)), Err(unread)) = (&read, &unread) {
                    machine.notices.warning(format_args!("{}", unread.chain()));
                }
                return read.and_then(|read| unread.map(|()| read).map_err(Halt::from));
            }
            Kept::Folder(folder) => {
                check_is_for_texts(&folder.shown(), what)?;
                let text = folder.text(machine, wanted, filter, self.packing).await?;
                return read_text(text, machine, wanted, self.zone.as_ref(), want, filter, out).await;
            }
            Kept::File { path, modified } => {
                let shown = path.display().to_string();
                let open = || File::open(&path).map_err(|error| unreadable(&shown, error));
                (Stream::file(open()?, shown.clone()), Some(open()?), modified)
            }
            Kept::Stdin => (Stream::stdin(), None, None),
            Kept::Pipe { path } => (Stream::pipe(path.to_path_buf(), path.display().to_string()), None, None),
        };
        let packing = match self.packing {
            Unpack::Gzip => stream.unpack().await?,
            Unpack::Nothing => Packing::Plain,
        };
        let shown = stream.shown().to_owned();
        let beginning = stream.beginning(BEGINNING).await?;
        if beginning.starts_with(JOURNAL) {
            let Some(bytes) = stream.collect(MOST_HELD).await? else {
                let words = format!(
                    "{shown} is a journal of more than {} MiB that can't be read piece by piece",
                    MOST_HELD >> 20
                );
                return Err(Error::new(Kind::Failed, words).hint("write it to a file, unpacked, and name that").into());
            };
            let remote = Remote::here(
                machine,
                Files::held(bytes, JOURNALS.to_owned(), shown.clone()),
                vec![JOURNALS.to_owned()],
            );
            return read_journal(remote, machine, &shown, (wanted, what), want, filter, out).await;
        }
        if beginning.is_empty() && is_stdin {
            machine.notices.note(format_args!("stdin is empty: nothing was written into it"));
        }
        check_is_for_texts(&shown, what)?;
        if self.packing == Unpack::Gzip {
            check_is_text(&shown, &beginning)?;
        }
        let end = end.filter(|_| packing == Packing::Plain);
        let text = Text { shown, parts: vec![Part { stream, end, modified, error: None }], is_shared: true };
        read_text(text, machine, wanted, self.zone.as_ref(), want, filter, out).await
    }
}

/// What a journal is called that has no name of its own.
const JOURNALS: &str = "system.journal";

fn kind(input: &Input) -> Result<Kept> {
    let Input::Path(path) = input else { return Ok(Kept::Stdin) };
    let shown = path.display().to_string();
    let path: Arc<Path> = path.as_path().into();
    let about = fs::metadata(&path).map_err(|error| {
        let is_list = error.kind() == io::ErrorKind::NotFound && shown.contains(',');
        let error = unreadable(&shown, error);
        if is_list { error.hint("each file takes a --from of its own") } else { error }
    })?;
    if about.is_dir() {
        return folder::kind(&path);
    }
    if !about.is_file() {
        return Ok(Kept::Pipe { path });
    }
    let file = File::open(&path).map_err(|error| unreadable(&shown, error))?;
    if !is_journal(&file).map_err(|error| unreadable(&shown, error))? {
        let modified = about.modified().ok().map(Timestamp::from);
        return Ok(Kept::File { path, modified });
    }
    let own = path.file_name().and_then(|name| name.to_str()).filter(|name| Name::parse(name).is_some());
    let name = own.unwrap_or(JOURNALS).to_owned();
    let names = vec![name.clone()];
    Ok(Kept::Journal { files: Files::open(file, name.clone(), shown.clone()), names, packed: Vec::new(), shown })
}

fn is_journal(mut file: &File) -> io::Result<bool> {
    use io::{Read, Seek};
    let mut first = Vec::new();
    file.take(JOURNAL.len() as u64).read_to_end(&mut first)?;
    file.rewind()?;
    Ok(first == JOURNAL)
}

/// Whose a journal is, by its newest entry.
async fn hostname(mut remote: Remote<'_>) -> Option<String> {
    remote.ask(Query::tail(Matches::all(), 1));
    let Ok(Met::Entry(entry)) = remote.next().await else { return None };
    let name = std::str::from_utf8(entry.field(b"_HOSTNAME")?).ok()?;
    // A host's name is short and plain; what is not would break lines and columns.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (!name.is_empty() && name.len() <= 253 && name.bytes().all(plain)).then(|| name.to_owned())
}

async fn read_journal(
    mut remote: Remote<'_>,
    machine: Machine<'_>,
    shown: &str,
    (wanted, what): (Wanted<'_>, What<'_>),
    want: Want,
    filter: &mut Filter,
    out: &mut Outlet,
) -> Flow<bool> {
    if let Some(Instead::Boots(format)) = what.instead {
        return pick::print_boots(&mut remote, format, out).await;
    }
    if !what.anchors.is_empty() {
        anchor::resolve_in(&mut remote, machine, what.anchors, what.boot, filter).await?;
    }
    let part = Portion { boot: what.boot, instance: what.instance };
    match read_from(remote, (wanted, part), want, None, filter, out).await? {
        Found::Log { anything } => Ok(anything),
        Found::Absent(unit) => {
            let words = format!("no log of unit {unit}: the journal in {shown} does not know it");
            Err(Error::new(Kind::NotFound, words).hint(LISTED).into())
        }
        Found::Missing(missing) => Err(Error::new(Kind::NotFound, missing.words()).into()),
        Found::Unreadable(why) => Err(why.into()),
        Found::Supervised(home) => {
            let (unit, distribution) = (home.unit, home.distribution);
            let words = format!("this is the journal of {distribution}, whose kubelet does not log to it");
            let hint = format!("its log is {RKE2_LOGS}/kubelet.log on the node; the supervisor's own: -u {unit}");
            Err(Error::new(Kind::NotFound, words).hint(hint).into())
        }
    }
}

async fn read_text(
    text: Text,
    machine: Machine<'_>,
    wanted: Wanted<'_>,
    zone: Option<&Zone>,
    want: Want,
    filter: &mut Filter,
    out: &mut Outlet,
) -> Flow<bool> {
    let shown = text.shown.clone();
    let said = !filter.identifiers.is_empty();
    if let (Wanted::Units(units), true, false) = (wanted, text.is_shared, said) {
        // Lines of a text tell their program at most.
        filter.identifiers.extend(units.iter().cloned());
    }
    let (anything, newest) = text.read(machine, zone, want, filter, out).await?;
    if let (false, Some(since), Some(newest)) = (anything, filter.since, newest)
        && newest < since
    {
        machine.notices.note(format_args!("{shown}: its last line with a time is of {}", newest.rfc3339()));
    }
    // Whatever runs the kubelet is one of several.
    let units = said && filter.kubelet.is_none() || matches!(wanted, Wanted::Units(_));
    if (units || !said) && filter.saw_entry && !filter.identifiers.is_empty() {
        // What was read from its end, or up to the window's, tells nothing of the others.
        let whole = want.last.is_none() && filter.until.is_none();
        let unseen = |place: usize| filter.seen_identifiers & 1 << (place % 64) == 0;
        let names = filter.identifiers.iter().enumerate();
        let names: Vec<&str> = names.filter(|(place, _)| unseen(*place)).map(|(_, name)| name.as_str()).collect();
        let rest = if filter.saw_identifier() { "; the others were printed" } else { "" };
        if !names.is_empty() && (!anything && !filter.saw_identifier() || whole && units) {
            let words = format!("no line of {shown} is of {}{rest}", names.join(", "));
            let hint = match said {
                true => "that is the name before a line's process number; without -t all of it is printed",
                false => "a text names programs, not units; without -u all of it is printed",
            };
            return Err(Error::new(Kind::NotFound, words).hint(hint).into());
        }
    }
    check_severity_was_seen(filter)?;
    Ok(anything)
}

/// Fails where what was asked for is a journal's alone to tell.
fn check_is_for_texts(shown: &str, what: What<'_>) -> Result<()> {
    let asked = what.of_journal_alone().or(what.boot.map(|_| "--boot"));
    let asked = asked.or((!what.anchors.is_empty()).then_some("a window that begins or ends with a boot or a start"));
    match asked {
        Some(asked) => Err(Error::usage(format!("{asked} takes a journal, and {shown} is none"))
            .hint("name the journal's file or folder with --from, or leave that out")),
        None => Ok(()),
    }
}

/// Fails for what is no text by its first bytes.
fn check_is_text(shown: &str, beginning: &[u8]) -> Result<()> {
    const PACKED: [(&[u8], &str, &str); 4] = [
        (b"\xfd7zXZ\0", "xz", "xz -dc"),
        (b"\x28\xb5\x2f\xfd", "zstd", "zstd -dc"),
        (b"BZh", "bzip2", "bzip2 -dc"),
        (b"\x04\x22\x4d\x18", "lz4", "lz4 -dc"),
    ];
    let failed = |words: String, hint: String| Err(Error::new(Kind::Failed, words).hint(hint));
    for (magic, packing, tool) in PACKED {
        if beginning.starts_with(magic) {
            let hint = format!("{tool} FILE | kubectl kubelet-logs --from -");
            return failed(format!("{shown} is packed with {packing}, which is not unpacked here"), hint);
        }
    }
    if beginning.starts_with(b"__CURSOR=") {
        let hint = "systemd-journal-remote -o x.journal FILE makes a journal of it, which --from reads".to_owned();
        return failed(format!("{shown} is in journalctl's export format"), hint);
    }
    if beginning.get(257..262) == Some(b"ustar") || beginning.starts_with(b"PK\x03\x04") {
        return failed(format!("{shown} is an archive"), "unpack it, and name a file or folder of it".to_owned());
    }
    if beginning.starts_with(b"\xff\xfe") || beginning.starts_with(b"\xfe\xff") {
        let hint = "iconv -f UTF-16 -t UTF-8 FILE | kubectl kubelet-logs --from -".to_owned();
        return failed(format!("{shown} is a text in UTF-16"), hint);
    }
    // A crash leaves NULs in a text log too, between lines that have a time.
    let timed = || beginning.split(|byte| *byte == b'\n').any(|line| Head::of(line).is_some());
    if memchr::memchr(0, beginning).is_some() && !timed() {
        let hint = "--no-decompress prints its bytes as they are".to_owned();
        return failed(format!("{shown} is neither a journal nor a text"), hint);
    }
    Ok(())
}
