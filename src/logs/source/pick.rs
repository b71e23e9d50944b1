//! Which source a node's log is read from.
//!
//! `auto` reads a part of a log from the node's journal, whose end and middle are found in a few requests, and a whole log
//! through the kubelet's query, which sends no more than the text. Each is followed by the other, and both by text files,
//! only where an answer shows that there is no such source or no such unit; an error that says anything else (permission, an
//! unreachable kubelet) ends the reading. Once a byte was handed on, no other source takes over.

use bytes::Bytes;

use crate::args::{Boot, Format, SourceChoice};
use crate::error::{Error, Kind, Result};
use crate::logs::filter::Filter;
use crate::logs::line::Line;
use crate::logs::outlet::{Flow, Halt, Outlet};
use crate::logs::source::anchor::{self, Anchors};
use crate::logs::source::file::{File, Packing};
use crate::logs::source::home::{self, Taken};
use crate::logs::source::journal::{self, Part, Remote};
use crate::logs::source::listing;
use crate::logs::source::query::{Found, Query, Texts};
use crate::logs::source::rotated::Log;
use crate::logs::source::text::{self, Known, QUERY_OFF, Wanted};
use crate::logs::source::{Node, Want, check_severity_was_seen, check_time_was_seen};
use crate::logs::unit::{Holds, Home, KUBELET};

pub use crate::logs::source::listing::list;

/// The most units one query takes.
const MOST_UNITS: usize = 4;

/// What of a node's logs is wanted.
#[derive(Clone, Copy, Debug)]
pub struct What<'a> {
    /// Units, without `.service`; without any, and without paths, the kubelet, wherever it logs.
    pub units: &'a [String],
    /// Files under /var/log instead of units.
    pub paths: &'a [String],
    /// Which instance of them.
    pub instance: Instance,
    /// Only what was written in this boot.
    pub boot: Option<&'a Boot>,
    /// What is read in place of units and files.
    pub instead: Option<Instead>,
    /// The ends of the window that the node has to tell.
    pub anchors: Anchors,
    /// Which sources may be used.
    pub choice: SourceChoice,
    /// Whether `.gz` files are unpacked.
    pub decompress: bool,
}

/// Which of several logs of one name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Instance {
    /// The one that is written to.
    #[default]
    Current,
    /// The one before it: of a file its newest rotation, of a unit its run before the last.
    Previous,
}

/// What can be read in place of units and files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instead {
    /// The kernel's messages.
    Kernel,
    /// Which boots there are, in this format.
    Boots(Format),
}

impl What<'_> {
    /// Whether it is the run before the last of a unit, in a boot that the query can name: it tells that, if less surely.
    fn is_previous_of_query(&self) -> bool {
        let named = matches!(self.boot, Some(Boot::Nth(_) | Boot::Id(_)));
        self.instance == Instance::Previous && self.instead.is_none() && !named
    }

    /// What is wanted that only the journal tells, as it was asked for.
    pub(super) fn of_journal_alone(&self) -> Option<&'static str> {
        match self {
            What { instead: Some(Instead::Kernel), .. } => Some("--dmesg"),
            What { instead: Some(Instead::Boots(_)), .. } => Some("--list-boots"),
            What { instance: Instance::Previous, .. } => Some("--previous"),
            What { boot: Some(Boot::Nth(_) | Boot::Id(_)), .. } => Some("--boot with an id or counted from the first"),
            _ => None,
        }
    }
}

/// Reads what is wanted from where it is; tells whether there was anything.
pub async fn read(node: &Node<'_>, what: What<'_>, want: Want, filter: &mut Filter, out: &mut Outlet) -> Flow<bool> {
    let read = read_from(node, what, want, filter, out).await;
    anchor::tell(node.machine(), what.anchors, filter, &read);
    if node.follow.is_some() { read } else { read.map_err(|halt| in_part(halt, out)) }
}

/// What is not there, where something else was printed, is missing from it.
pub(super) fn in_part(halt: Halt, out: &Outlet) -> Halt {
    match halt {
        Halt::Failed(error) if error.kind() == Kind::NotFound && out.has_spoken() => {
            Halt::Failed(Error::new(Kind::Partial, "not all of it is there").because(error))
        }
        halt => halt,
    }
}

async fn read_from(node: &Node<'_>, what: What<'_>, want: Want, filter: &mut Filter, out: &mut Outlet) -> Flow<bool> {
    let mut remote = None;
    if !what.anchors.is_empty() {
        match anchor::resolve(node, what.anchors, what.boot, filter).await? {
            Some(opened) => remote = opened,
            None => return Ok(false),
        }
    }
    if !what.paths.is_empty() {
        let (mut logs, mut missing) = (Vec::new(), None);
        for path in what.paths {
            let path = match what.instance {
                Instance::Current => path.clone(),
                Instance::Previous => previous(node, path).await?,
            };
            let packing = if what.decompress { Packing::of(&path) } else { Packing::Plain };
            // What is not there hides none of the others.
            if what.paths.len() > 1 || is_journals(&path) {
                match File::new(node, &path, Packing::Plain).look().await {
                    Ok(look) if look.beginning.starts_with(JOURNAL) => node.notices.note(format_args!(
                        "{}: /var/log/{path} is a journal: its bytes are printed; -u UNIT, or --source journal, reads what \
                         is in it",
                        node.name
                    )),
                    Ok(_) => {}
                    Err(Halt::Failed(error)) if error.kind() == Kind::NotFound => {
                        missing.get_or_insert(error);
                        continue;
                    }
                    Err(halt) => return Err(halt),
                }
            }
            logs.push(Log::alone(&path, packing));
        }
        if !logs.is_empty() {
            let anything = text::read_logs(node, &logs, want, filter, out).await?;
            check_severity_was_seen(filter)?;
            if !anything && want.last != Some(0) {
                for log in &logs {
                    // Of what was read whole that is known.
                    let is_empty = filter.is_empty() && want.last.is_none()
                        || File::new(node, log.path(), Packing::Plain).look().await?.beginning.is_empty();
                    if is_empty {
                        node.notices.note(format_args!("{}: /var/log/{} is empty", node.name, log.path()));
                    }
                }
            }
            if missing.is_none() {
                return Ok(anything);
            }
        }
        return missing.map_or(Ok(false), |error| Err(error.into()));
    }
    let wanted = match what.instead {
        Some(Instead::Boots(format)) => return list_boots(node, format, out).await,
        Some(Instead::Kernel) => Wanted::Kernel,
        None if what.units.is_empty() => Wanted::Kubelet,
        None => Wanted::Units(what.units),
    };
    let alone = what.of_journal_alone();
    let mut journal = match what.choice {
        SourceChoice::Journal => Journal::Alone,
        SourceChoice::Auto if alone.is_some() || what.boot.is_some() => Journal::First,
        SourceChoice::Auto if what.units.len() > MOST_UNITS || escaped(what.units).is_some() => Journal::First,
        SourceChoice::Auto if node.follow.is_some() || is_part(want, filter) => Journal::First,
        SourceChoice::Auto => Journal::Later,
        SourceChoice::Query | SourceChoice::File => Journal::Never,
    };
    let mut known = Known::Nothing;
    let mut missing = None;
    if matches!(journal, Journal::Alone | Journal::First) {
        match from_journal(node, remote.take(), (wanted, what), want, filter, out).await? {
            Ok(anything) => return Ok(anything),
            Err(none) => match next_source(none, journal, what, filter)? {
                Some(why) => (journal, missing) = (Journal::Never, Some(why)),
                None => known = Known::NoUnit,
            },
        }
    }
    let mut listing = None;
    match what.choice {
        SourceChoice::File | SourceChoice::Journal => {}
        // The query would ask the same journal.
        _ if known == Known::NoUnit => {}
        SourceChoice::Auto if !filter.identifiers.is_empty() => {
            node.notices
                .verbose(4, || format!("{}: the query can't tell identifiers; looking for text files", node.name));
        }
        SourceChoice::Auto | SourceChoice::Query => {
            check_query_can_answer(what, filter)?;
            let texts = if what.choice == SourceChoice::Query { Texts::Read } else { Texts::Left };
            let back = match what.boot {
                Some(Boot::Back(back)) => Some(*back),
                _ => None,
            };
            let mut kubelet = [KUBELET.to_owned()];
            let mut followed: Option<Query<'_>> = None;
            let previous = what.instance == Instance::Previous;
            let taken = match wanted {
                _ if previous => {
                    let unit = what.units.first().map(String::as_str);
                    home::read_previous(node, unit, back, want, filter, out).await?
                }
                Wanted::Units(units) => {
                    let query = followed.insert(Query::new(node, units).texts(texts).boot(back));
                    Taken::Found(query.read(want, filter, out).await?)
                }
                // Who runs it is found first: it is not looked for again.
                Wanted::Kubelet if node.follow.is_some() => {
                    let home = home::now(node, filter).await?;
                    if home.holds == Holds::Supervisor {
                        Taken::Supervised(home)
                    } else {
                        if home.unit != KUBELET {
                            home::choose(node.machine(), home, &format!("unit {}", home.unit), filter);
                            home.unit.clone_into(&mut kubelet[0]);
                        }
                        let query = followed.insert(Query::new(node, &kubelet).texts(texts).boot(back));
                        Taken::Found(query.read(want, filter, out).await?)
                    }
                }
                Wanted::Kubelet | Wanted::Kernel => home::read(node, texts, back, want, filter, out).await?,
            };
            let found = match taken {
                Taken::Found(found) => found,
                Taken::Supervised(home) => return read_supervised(node, home, what, want, filter, out).await,
            };
            if let Some(refusal) = refusal(node, &found, what, &mut missing) {
                return Err(refusal.into());
            }
            known = tell(node, &found);
            match found {
                Found::Log { anything } => {
                    let of_kubelet = match wanted {
                        Wanted::Kubelet => filter.kubelet.is_none(),
                        Wanted::Units(units) => units.iter().any(|unit| unit == KUBELET),
                        Wanted::Kernel => false,
                    };
                    if of_kubelet && want.last != Some(0) {
                        home::warn_of_cgroup(node, filter).await;
                    }
                    check_time_was_seen(filter, &wanted.names())?;
                    check_severity_was_seen(filter)?;
                    if let (Some(pace), Some(query)) = (node.follow, &mut followed) {
                        return query.follow(pace, filter, out).await;
                    }
                    return Ok(anything);
                }
                Found::Listing(html) => {
                    if journal == Journal::Later {
                        match from_journal(node, remote.take(), (wanted, what), want, filter, out).await? {
                            Ok(anything) => return Ok(anything),
                            Err(NotThere::Unit(_)) => known = Known::NoUnit,
                            Err(NotThere::Journal(why)) => missing = Some(why),
                        }
                    }
                    listing = Some(html);
                }
                Found::TextFile(_) | Found::Absent(_) => {}
            }
        }
    }
    let entries = match listing {
        Some(html) => listing::parse(&String::from_utf8_lossy(&html)),
        None => list(node, "").await?,
    };
    let read = text::read(node, wanted, &entries, known, want, filter, out).await;
    read.map_err(|halt| match (halt, missing.filter(is_unreadable)) {
        (Halt::Failed(error), Some(why)) if error.kind() == Kind::NotFound => Halt::Failed(error.because(why)),
        (halt, _) => halt,
    })
}

/// Whether a file is called as journals are.
fn is_journals(path: &str) -> bool {
    path.ends_with(".journal") || path.ends_with(".journal~")
}

/// How they begin.
pub(super) const JOURNAL: &[u8] = b"LPKSHHRH";

/// Where to go on where the journal does not have what is wanted: to text files, or to any other source, and why.
fn next_source(none: NotThere, journal: Journal, what: What<'_>, filter: &Filter) -> Result<Option<Error>> {
    let alone = what.of_journal_alone();
    match none {
        NotThere::Unit(error) | NotThere::Journal(error) if journal == Journal::Alone => Err(error),
        // Text files know of no boots and runs.
        NotThere::Unit(error) if alone.is_some() || what.boot.is_some() => Err(error),
        NotThere::Unit(_) => Ok(None),
        NotThere::Journal(error) => match alone {
            Some(asked) if !what.is_previous_of_query() || !filter.identifiers.is_empty() => {
                let words = format!("{asked} takes the node's journal, which can't be read");
                Err(Error::new(error.kind(), words).because(error))
            }
            _ => Ok(Some(error)),
        },
    }
}

/// Why what the query told is the end, where no other source may be asked.
fn refusal(node: &Node<'_>, found: &Found, what: What<'_>, missing: &mut Option<Error>) -> Option<Error> {
    let (previous, asked) = (what.instance == Instance::Previous, what.choice == SourceChoice::Query);
    let boot = what.boot.is_some() || previous;
    let (kind, words, hint) = match found {
        Found::Listing(_) if asked => {
            (Kind::Failed, "the kubelet offers no log query (it listed /var/log instead)".to_owned(), QUERY_OFF)
        }
        Found::Listing(_) if boot => {
            let asked = if previous { "--previous" } else { "--boot" };
            let words = format!("{asked} takes the node's journal or the kubelet's log query, and there is neither");
            (Kind::NotFound, words, QUERY_OFF)
        }
        Found::TextFile(unit) if boot => {
            let (tells, hint) = match previous {
                true => ("runs", "-p --path FILE reads a file's newest rotation"),
                false => ("boots", "leave --boot out, and give a time with --since"),
            };
            (Kind::Usage, format!("{unit} is a text file, which tells no {tells}"), hint)
        }
        Found::TextFile(unit) if asked => {
            let words = match node.follow {
                Some(_) => format!("the query shows none of a journal's entries of {unit}, so it can't follow it"),
                None => {
                    format!("{unit} is a text file, for which the query takes neither window nor tail nor pattern")
                }
            };
            (Kind::Usage, words, "leave --source out, or name the file with --path")
        }
        Found::Absent(unit) if boot || asked => return Some(text::no_unit(node.name, unit)),
        _ => return None,
    };
    let error = Error::new(kind, words).hint(hint);
    Some(missing.take().into_iter().fold(error, Error::because))
}

/// Says what the query told, and how much that is for text files.
fn tell(node: &Node<'_>, found: &Found) -> Known {
    let (known, words) = match found {
        Found::Log { .. } => (Known::Nothing, "read through the kubelet's log query".to_owned()),
        Found::Listing(_) => (Known::QueryOff, "the query is off".to_owned()),
        Found::TextFile(unit) => (Known::TextFile, format!("{unit} is a text file")),
        // The kubelet has looked for files of that name; what is left is a file that holds many programs' lines.
        Found::Absent(unit) => (Known::NoUnit, format!("no journal knows {unit}; looking for text files")),
    };
    node.notices.verbose(4, || format!("{}: {words}", node.name));
    known
}

/// Whether there is a journal, of which nothing can be read: what is nowhere else is in there.
fn is_unreadable(why: &Error) -> bool {
    why.kind() == Kind::Partial
}

/// When the node's journal is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Journal {
    /// Nothing else is.
    Alone,
    /// Before the query.
    First,
    /// Where there is no query.
    Later,
    Never,
}

/// What the journal does not have.
enum NotThere {
    /// There is no journal.
    Journal(Error),
    /// There is one, without this unit.
    Unit(Error),
}

/// Whether only a part of a log is wanted, or what the query's text does not tell.
fn is_part(want: Want, filter: &Filter) -> bool {
    want.last.is_some()
        || want.dated
        || filter.has_window()
        || filter.severity.is_some()
        || filter.level.is_some()
        || !filter.identifiers.is_empty()
}

/// Shows which boots there are.
async fn list_boots(node: &Node<'_>, format: Format, out: &mut Outlet) -> Flow<bool> {
    let mut remote = match journal::find(node).await? {
        Ok(remote) => remote,
        Err(missing) => return Err(no_journal(node, &missing).into()),
    };
    print_boots(&mut remote, format, out).await
}

/// A journal's boots.
pub(super) async fn print_boots(remote: &mut Remote<'_>, format: Format, out: &mut Outlet) -> Flow<bool> {
    let boots = remote.boots().await?;
    if !boots.is_empty() {
        let row = |text: &str| Line::new(None, Bytes::copy_from_slice(text.as_bytes()));
        out.lines(journal::listed(&boots, format).split_inclusive('\n').map(row).collect()).await?;
    }
    remote.check_whole()?;
    Ok(!boots.is_empty())
}

fn no_journal(node: &Node<'_>, missing: &journal::Missing) -> Error {
    let (kind, hint) = match missing {
        journal::Missing::HandlerOff => (Kind::Failed, HANDLER_OFF.to_owned()),
        journal::Missing::Folder => (Kind::NotFound, format!("{MEMORY}\n{}", there_is(node))),
        journal::Missing::Windows | journal::Missing::Files(_) => (Kind::NotFound, there_is(node)),
    };
    Error::new(kind, missing.words()).hint(hint)
}

fn there_is(node: &Node<'_>) -> String {
    format!("see what there is: kubectl kubelet-logs ls {}", node.name)
}

/// What to paste where no file is served: as for any log of such a node.
const HANDLER_OFF: &str = "the kubelet's configuration can have it serve them (then restart the kubelet):
enableSystemLogHandler: true";

/// What to do on a node whose journal is not on its disk.
const MEMORY: &str = "one in memory can't be read from here; to keep it on disk from now on, on the node:
mkdir -p /var/log/journal && journalctl --flush   # Storage=auto or persistent in journald.conf";

/// Reads from the node's journal files.
async fn from_journal<'a>(
    node: &'a Node<'a>,
    remote: Option<Remote<'a>>,
    (wanted, what): (Wanted<'_>, What<'_>),
    want: Want,
    filter: &mut Filter,
    out: &mut Outlet,
) -> Flow<Result<bool, NotThere>> {
    let name = node.name;
    let part = Part { boot: what.boot, instance: what.instance };
    Ok(match journal::read(node, remote, (wanted, part), want, filter, out).await? {
        journal::Found::Log { anything } => {
            node.notices.verbose(4, || format!("{name}: read from the journal's files"));
            Ok(anything)
        }
        journal::Found::Missing(missing) => {
            node.notices.verbose(4, || format!("{name}: {}", missing.words()));
            Err(NotThere::Journal(no_journal(node, &missing)))
        }
        journal::Found::Unreadable(why) => {
            node.notices.verbose(4, || format!("{name}: {}", why.chain()));
            Err(NotThere::Journal(why))
        }
        journal::Found::Absent(unit) => {
            node.notices.verbose(4, || format!("{name}: no journal knows {unit}"));
            Err(NotThere::Unit(text::no_unit(node.name, &unit)))
        }
        journal::Found::Supervised(home) => Ok(read_supervised(node, home, what, want, filter, out).await?),
    })
}

/// The newest rotation of a file.
async fn previous(node: &Node<'_>, path: &str) -> Flow<String> {
    let Some(rotation) = Log::previous(node, path).await? else {
        let folder = path.rsplit_once('/').map_or(String::new(), |(folder, _)| format!(":{folder}"));
        let words = format!("/var/log/{path} has no rotation such as {path}.1");
        let hint = format!("see what there is: kubectl kubelet-logs ls {}{folder}", node.name);
        return Err(Error::new(Kind::NotFound, words).hint(hint).into());
    };
    node.notices.note(format_args!("{}: reading /var/log/{rotation}", node.name));
    Ok(rotation)
}

/// A node whose supervisor keeps its kubelet's log out of /var/log: unless that was linked in, there is nothing to read.
async fn read_supervised(
    node: &Node<'_>,
    home: &Home,
    what: What<'_>,
    want: Want,
    filter: &mut Filter,
    out: &mut Outlet,
) -> Flow<bool> {
    if what.choice == SourceChoice::Auto
        && let Some(log) = text::linked(node, &list(node, "").await?).await?
    {
        let (name, distribution, path) = (node.name, home.distribution, log.path());
        node.notices.note(format_args!("{name} runs {distribution}: reading the log of its kubelet, /var/log/{path}"));
        let anything = text::read_logs(node, &[log], want, filter, out).await?;
        check_severity_was_seen(filter)?;
        return Ok(anything);
    }
    Err(home::out_of_reach(node.machine(), home).into())
}

/// One whose name has what systemd puts in place of other letters, which the kubelet's query refuses.
fn escaped(units: &[String]) -> Option<&String> {
    units.iter().find(|unit| unit.contains('\\'))
}

fn check_query_can_answer(what: What<'_>, filter: &Filter) -> Flow<()> {
    if what.instance == Instance::Previous && what.units.len() > 1 {
        let words = "the query tells the run before the last of one unit at a time";
        return Err(Error::usage(words).hint("ask for each unit by itself").into());
    }
    if !filter.identifiers.is_empty() {
        return Err(Error::usage("--identifier can't be asked of the query source")
            .hint("the query selects by unit: use -u; or read a syslog file with --source file")
            .into());
    }
    if let Some(unit) = escaped(what.units) {
        let words = format!("the kubelet's query takes no \\ in a unit's name: {unit}");
        return Err(Error::usage(words).hint("the node's journal knows such units: --source journal").into());
    }
    if what.units.len() > MOST_UNITS {
        let words = format!("{} units were named; the kubelet's query takes {MOST_UNITS}", what.units.len());
        return Err(Error::usage(words).hint("ask for the others in a second run").into());
    }
    Ok(())
}
