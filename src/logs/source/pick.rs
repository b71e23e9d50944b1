//! Which source a node's log is read from.
//!
//! `auto` asks the query first and falls back to text files only where the answer shows that there is no query or no such
//! unit; an error that says anything else (permission, an unreachable kubelet) ends the reading. Once a byte was handed
//! on, no other source takes over.

use crate::args::SourceChoice;
use crate::error::{Error, Kind};
use crate::http::{Encoding, Request};
use crate::kube::{path, status};
use crate::logs::filter::Filter;
use crate::logs::outlet::{Flow, Outlet};
use crate::logs::source::file::{File, Packing};
use crate::logs::source::listing::{self, Entry, is_listing};
use crate::logs::source::query::{Found, Query};
use crate::logs::source::{JOURNAL_FOLDER, Node, Want, check_time_was_seen, expect_listing, is_file_servers};

/// A listing is smaller.
const LONGEST_LISTING: usize = 32 << 20;

/// The most units one query takes.
const MOST_UNITS: usize = 4;

/// What to paste where the query is off.
const QUERY_OFF: &str = "to switch the query on, put into the kubelet's configuration and restart it:
enableSystemLogHandler: true
enableSystemLogQuery: true
featureGates: {NodeLogQuery: true}   # kubelets 1.27 to 1.35; older ones have no query";

/// What of a node's logs is wanted.
#[derive(Clone, Copy, Debug)]
pub struct What<'a> {
    /// Units, without `.service`; at least one unless there are paths.
    pub units: &'a [String],
    /// Files under /var/log instead of units.
    pub paths: &'a [String],
    /// Which sources may be used.
    pub choice: SourceChoice,
    /// Whether `.gz` files are unpacked.
    pub decompress: bool,
}

/// Reads what is wanted from where it is; tells whether there was anything.
pub async fn read(node: &Node<'_>, what: What<'_>, want: Want, filter: &mut Filter, out: &mut Outlet) -> Flow<bool> {
    if !what.paths.is_empty() {
        let files: Vec<(String, Packing)> =
            what.paths.iter().map(|path| (path.clone(), Packing::of(path, what.decompress))).collect();
        let anything = read_files(node, &files, want, filter, out).await?;
        check_severity_was_seen(filter)?;
        return Ok(anything);
    }
    let listing = match what.choice {
        SourceChoice::File => None,
        SourceChoice::Auto if !filter.identifiers.is_empty() => {
            node.notices
                .verbose(4, || format!("{}: the query can't tell identifiers; looking for text files", node.name));
            None
        }
        SourceChoice::Auto | SourceChoice::Query => {
            check_query_can_answer(what, filter)?;
            match Query::new(node, what.units).read(want, filter, out).await? {
                Found::Log { anything } => {
                    node.notices.verbose(4, || format!("{}: read through the kubelet's log query", node.name));
                    check_time_was_seen(filter, &what.units.join(", "))?;
                    check_severity_was_seen(filter)?;
                    return Ok(anything);
                }
                Found::Listing(_) if what.choice == SourceChoice::Query => {
                    let words =
                        format!("the kubelet of {} offers no log query (it listed /var/log instead)", node.name);
                    return Err(Error::new(Kind::Failed, words).hint(QUERY_OFF).into());
                }
                Found::Absent(unit) if what.choice == SourceChoice::Query => return Err(no_unit(&unit).into()),
                Found::Listing(html) => {
                    node.notices.verbose(4, || format!("{}: the query is off; looking for text files", node.name));
                    Some(html)
                }
                Found::TextFile(unit) if what.choice == SourceChoice::Query => {
                    let words =
                        format!("{unit} is a text file, for which the query takes neither window nor tail nor pattern");
                    return Err(Error::usage(words).hint("leave --source out, or name the file with --path").into());
                }
                Found::TextFile(unit) => {
                    node.notices.verbose(4, || format!("{}: {unit} is a text file", node.name));
                    let entries = list(node, "").await?;
                    return read_units(node, what, &entries, Known::TextFile, want, filter, out).await;
                }
                Found::Absent(unit) => {
                    node.notices
                        .verbose(4, || format!("{}: no journal knows {unit}; looking for text files", node.name));
                    // The kubelet has looked for files of that name; what is left is a file that holds many programs' lines.
                    let entries = list(node, "").await?;
                    return read_units(node, what, &entries, Known::NoUnit, want, filter, out).await;
                }
            }
        }
    };
    match listing {
        Some(html) => {
            let entries = listing::parse(&String::from_utf8_lossy(&html));
            read_units(node, what, &entries, Known::QueryOff, want, filter, out).await
        }
        None => {
            let entries = list(node, "").await?;
            read_units(node, what, &entries, Known::Nothing, want, filter, out).await
        }
    }
}

/// Lists a directory under /var/log; `""` is /var/log itself.
pub async fn list(node: &Node<'_>, directory: &str) -> Flow<Vec<Entry>> {
    let url = if directory.is_empty() { path::logs_root(node.name) } else { path::logs_dir(node.name, directory) };
    let answer = node.get(Request::get(url).encoding(Encoding::Identity)).await?;
    let shown = format!("/var/log/{}", directory.trim_end_matches('/'));
    let no_directory = |words: String| {
        let hint =
            format!("read a file with: kubectl kubelet-logs {} --path {}", node.name, directory.trim_end_matches('/'));
        Error::new(Kind::Usage, words).hint(hint)
    };
    match answer.status {
        200 if is_listing(answer.content_type(), answer.header("accept-ranges").is_some()) => {
            let html = expect_listing(answer).await?.body.collect(LONGEST_LISTING).await;
            let html = html.map_err(|cut| Error::new(Kind::Partial, format!("listing {shown}: {cut}")))?;
            Ok(listing::parse(&String::from_utf8_lossy(&html)))
        }
        200 if answer.content_type().starts_with("text/html") => {
            let words = format!("{shown} holds an index.html, which the kubelet shows instead of a listing");
            let hint = format!("kubectl kubelet-logs {} --path {directory}/FILE reads a file in it", node.name);
            Err(Error::new(Kind::Failed, words).hint(hint).into())
        }
        200 if !is_file_servers(&answer) => {
            let hint = format!(
                "its files are in {shown}/MACHINE-ID, with the id that kubectl get node {} -o yaml shows as machineID; -u reads the log of a unit",
                node.name
            );
            Err(Error::usage(format!("{shown} is a directory, {JOURNAL_FOLDER}")).hint(hint).into())
        }
        200 | 301 | 307 => Err(no_directory(format!("{shown} is no directory")).into()),
        404 => {
            let error = status::error_of(answer).await;
            if error.to_string().contains("page not found") {
                let hint = format!("see what there is: kubectl kubelet-logs ls {}", node.name);
                return Err(Error::new(Kind::NotFound, format!("no directory {shown}"))
                    .because(error)
                    .hint(hint)
                    .into());
            }
            Err(error.into())
        }
        _ => Err(status::error_of(answer).await.into()),
    }
}

/// What is known when text files are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// The query is off.
    QueryOff,
    /// The query is on, and no journal knows the unit.
    NoUnit,
    /// The query is on, and the unit is a text file to it.
    TextFile,
    /// Nothing: it was not asked.
    Nothing,
}

/// Reads units from the text files that a listing of /var/log shows.
async fn read_units(
    node: &Node<'_>,
    what: What<'_>,
    entries: &[Entry],
    known: Known,
    want: Want,
    filter: &mut Filter,
    out: &mut Outlet,
) -> Flow<bool> {
    let has = |name: &str, directory: bool| entries.iter().any(|e| e.name == name && e.directory == directory);
    let common = || ["messages", "syslog", "daemon.log"].into_iter().find(|name| has(name, false));
    if !filter.identifiers.is_empty() {
        // Only syslog's lines carry an identifier.
        let Some(common) = common() else {
            let words =
                "--identifier can't be answered: /var/log has no syslog file, and the query selects by unit only";
            return Err(Error::usage(words).hint("name a unit with -u instead").into());
        };
        node.notices.note(format_args!("{}: reading /var/log/{common} (for --identifier)", node.name));
        return read_files(node, &[(common.to_owned(), Packing::Plain)], want, filter, out).await;
    }
    let mut files = Vec::new();
    let mut shared = Vec::new();
    let mut missing = Vec::new();
    for unit in what.units {
        let own = format!("{unit}.log");
        let nested = format!("{unit}/{unit}.log");
        // The kubelet's own order.
        if has(unit, false) {
            files.push(unit.clone());
        } else if has(&own, false) {
            files.push(own);
        } else if has(unit, true) && list(node, unit).await?.iter().any(|e| e.name == own && !e.directory) {
            files.push(nested);
        } else if let Some(common) = common() {
            shared.push((unit, common));
        } else {
            missing.push(unit.as_str());
        }
    }
    if !missing.is_empty() {
        return Err(no_log(node, missing.join(", "), entries, known).into());
    }
    if let (Some((unit, common)), Some(file)) = (shared.first(), files.first()) {
        let words = format!(
            "{unit} has no file of its own beside /var/log/{file}; its lines may be among others in /var/log/{common}"
        );
        return Err(Error::usage(words).hint("is the name right? then ask for each unit by itself").into());
    }
    if let Some((_, common)) = shared.first() {
        filter.identifiers.extend(shared.iter().map(|(unit, _)| (*unit).clone()));
        files.push((*common).to_owned());
    }
    let why = match known {
        Known::QueryOff => "the kubelet's query option is off",
        Known::NoUnit => "the journal does not know the unit",
        Known::TextFile => "the unit is a text file",
        Known::Nothing => "as asked",
    };
    let among = if shared.is_empty() { String::new() } else { format!(", the lines of {}", what.units.join(", ")) };
    node.notices.note(format_args!("{}: reading /var/log/{}{among} ({why})", node.name, files.join(", /var/log/")));
    let files: Vec<(String, Packing)> = files.into_iter().map(|name| (name, Packing::Plain)).collect();
    let anything = read_files(node, &files, want, filter, out).await?;
    // Known nowhere, or only filtered away?
    if !anything && !shared.is_empty() && !filter.saw_identifier {
        return Err(no_log(node, what.units.join(", "), entries, known).into());
    }
    check_severity_was_seen(filter)?;
    Ok(anything)
}

/// Reads files one after another; the last N are those of all of them together.
async fn read_files(
    node: &Node<'_>,
    files: &[(String, Packing)],
    want: Want,
    filter: &mut Filter,
    out: &mut Outlet,
) -> Flow<bool> {
    let Some(mut left) = want.last else {
        let mut anything = false;
        for (name, packing) in files {
            anything |= File::new(node, name, *packing).read(want, filter, out).await?;
        }
        return Ok(anything);
    };
    let mut parts = Vec::new();
    for (name, packing) in files.iter().rev() {
        // Asked even when nothing of it is wanted: a file that isn't there is an error.
        let lines = File::new(node, name, *packing).last(left, want, filter).await?;
        left = left.saturating_sub(lines.iter().filter(|line| !line.is_marker()).count() as u64);
        parts.push(lines);
    }
    let anything = parts.iter().any(|lines| !lines.is_empty());
    for lines in parts.into_iter().rev() {
        out.lines(lines).await?;
    }
    Ok(anything)
}

fn check_query_can_answer(what: What<'_>, filter: &Filter) -> Flow<()> {
    if !filter.identifiers.is_empty() {
        return Err(Error::usage("--identifier can't be asked of the query source")
            .hint("the query selects by unit: use -u; or read a syslog file with --source file")
            .into());
    }
    if what.units.len() > MOST_UNITS {
        let words = format!("{} units were named; the kubelet's query takes {MOST_UNITS}", what.units.len());
        return Err(Error::usage(words).hint("ask for the others in a second run").into());
    }
    Ok(())
}

/// A severity filter over lines that show no severity would silently drop everything.
fn check_severity_was_seen(filter: &Filter) -> Flow<()> {
    if filter.severity.is_none() || filter.saw_severity || !filter.saw_entry {
        return Ok(());
    }
    let words = "no line shows a severity, so --priority can't be answered: this log has no klog headers";
    Err(Error::usage(words).hint("leave --priority out, or use --grep").into())
}

fn no_unit(unit: &str) -> Error {
    Error::new(
        Kind::NotFound,
        format!("no log of unit {unit}: the node's journal does not know it, and /var/log has no file of that name"),
    )
    .hint("unit names are those of `systemctl list-units`; files are listed by: kubectl kubelet-logs ls NODE")
}

fn no_log(node: &Node<'_>, units: String, entries: &[Entry], known: Known) -> Error {
    if known == Known::NoUnit {
        return no_unit(&units);
    }
    let journal = entries.iter().any(|e| e.directory && e.name == "journal");
    let holds = if journal {
        "its log is in the journal, and /var/log has no text file of it"
    } else {
        "/var/log has no text file of it"
    };
    let off = if known == Known::QueryOff {
        format!("the kubelet of {} offers no log query; ", node.name)
    } else {
        String::new()
    };
    let list = format!("see what there is: kubectl kubelet-logs ls {}", node.name);
    let hint = if known == Known::QueryOff { format!("{list}\n{QUERY_OFF}") } else { list };
    Error::new(Kind::NotFound, format!("no log of {units}: {off}{holds}")).hint(hint)
}
