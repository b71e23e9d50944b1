//! Units in text files under /var/log: in files of their own, or among others' lines in a syslog file.

use crate::error::{Error, Kind};
use crate::logs::filter::Filter;
use crate::logs::kubelet::Among;
use crate::logs::outlet::{Ends, Flow, Outlet};
use crate::logs::pace::Pace;
use crate::logs::source::file::{File, Followed, Packing};
use crate::logs::source::home;
use crate::logs::source::listing::{Entry, list};
use crate::logs::source::rotated::{Last, Log};
use crate::logs::source::watch::Watch;
use crate::logs::source::{Latest, Node, Want, check_severity_was_seen};
use crate::logs::unit::{HOMES, Holds, Home, KUBELET, RKE2_LINK};
use crate::time::Timestamp;

/// What to paste where the query is off.
pub(super) const QUERY_OFF: &str = "to switch the query on, put into the kubelet's configuration and restart it:
enableSystemLogHandler: true
enableSystemLogQuery: true
featureGates: {NodeLogQuery: true}   # kubelets 1.27 to 1.35; older ones have no query";

/// Files that hold many programs' lines.
pub(super) const COMMON: [&str; 3] = ["messages", "syslog", "daemon.log"];

/// What is known when text files are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// The query is off.
    QueryOff,
    /// The query is on, and no journal knows the unit.
    NoUnit,
    /// The query is on, and the unit is a text file to it.
    TextFile,
    /// Nothing: it was not asked.
    Nothing,
}

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    /// The kubelet, wherever it logs.
    Kubelet,
    /// These units, without `.service`.
    Units(&'a [String]),
    /// The kernel, which only the journal tells from others.
    Kernel,
}

impl Wanted<'_> {
    /// For people.
    pub fn names(self) -> String {
        match self {
            Wanted::Kubelet => KUBELET.to_owned(),
            Wanted::Units(units) => units.join(", "),
            Wanted::Kernel => "the kernel".to_owned(),
        }
    }
}

/// /var/log, as its listing shows it.
#[derive(Clone, Copy, Debug)]
struct Folder<'a> {
    node: &'a Node<'a>,
    entries: &'a [Entry],
}

/// Reads units from the text files that a listing of /var/log shows.
pub(super) async fn read(
    node: &Node<'_>,
    wanted: Wanted<'_>,
    entries: &[Entry],
    known: Known,
    want: Want,
    filter: &mut Filter,
    out: &mut Outlet,
) -> Flow<bool> {
    let folder = Folder { node, entries };
    let mut logs = Vec::new();
    let mut shared: Vec<String> = Vec::new();
    // Only syslog's lines carry an identifier.
    let by_identifier = !filter.identifiers.is_empty();
    match wanted {
        _ if by_identifier => {
            let Some(common) = folder.common() else {
                let words =
                    "--identifier can't be answered: /var/log has no syslog file, and the query selects by unit only";
                return Err(Error::usage(words).hint("name a unit with -u instead").into());
            };
            logs.push(Log::of(common, entries));
        }
        Wanted::Kubelet => match folder.kubelet().await? {
            Some((home, log)) => {
                if home.unit != KUBELET {
                    home::choose(node.machine(), home, &format!("/var/log/{}", log.path()), filter);
                }
                logs.push(log);
            }
            None => shared.push(KUBELET.to_owned()),
        },
        Wanted::Kernel => return Err(Error::usage("the kernel's messages are in the journal alone").into()),
        Wanted::Units(units) => {
            for unit in units {
                match folder.own(unit).await? {
                    Some(log) => logs.push(log),
                    None => shared.push(unit.clone()),
                }
            }
        }
    }
    let until_now = Node { follow: None, ..node.clone() };
    // What there is, and then what there is not.
    let mut missing = None;
    match (folder.common(), shared.first()) {
        (_, None) => {}
        (None, Some(_)) => missing = Some(no_log(node, shared.join(", "), entries, known)),
        (Some(common), Some(first)) if !logs.is_empty() => {
            let words = format!("no log of unit {first}: it has no file of its own, as the others have");
            let hint = format!("its lines may be among others in /var/log/{common}: -u {first} alone looks there");
            missing = Some(Error::new(Kind::NotFound, words).hint(hint));
        }
        (Some(common), Some(_)) => {
            match wanted {
                Wanted::Kubelet => {
                    filter.kubelet = Some(Among::Syslog);
                    let programs = HOMES.iter().filter(|home| home.holds != Holds::Supervisor);
                    filter.identifiers.extend(programs.map(|home| home.identifier.to_owned()));
                    filter.identifiers.dedup();
                }
                Wanted::Units(_) | Wanted::Kernel => filter.identifiers.extend(shared.iter().cloned()),
            }
            logs.push(Log::of(common, entries));
        }
    }
    let why = match known {
        _ if by_identifier => "for --identifier",
        Known::QueryOff => "the kubelet's query option is off",
        Known::NoUnit => "the journal does not know the unit",
        Known::TextFile => "the unit is a text file",
        Known::Nothing => "as asked",
    };
    let among = match wanted {
        _ if shared.is_empty() => String::new(),
        Wanted::Kubelet => ", the lines of the kubelet, by itself or in k3s, k0s, MicroK8s or MicroShift".to_owned(),
        Wanted::Units(_) | Wanted::Kernel => format!(", the lines of {}", wanted.names()),
    };
    let paths: Vec<&str> = logs.iter().map(Log::path).collect();
    let tell = || {
        node.notices.note(format_args!("{}: reading /var/log/{}{among} ({why})", node.name, paths.join(", /var/log/")));
    };
    // What the journal has never heard of is waited for only where a file has.
    if node.follow.is_some()
        && known == Known::NoUnit
        && !shared.is_empty()
        && missing.is_none()
        && let Some(log) = logs.last()
    {
        let mut theirs = Filter { identifiers: filter.identifiers.clone(), ..Filter::default() };
        let mut latest = Latest { count: 1, want, filter: &mut theirs, room: out.room() };
        let last = log.last(&until_now, &mut latest).await?;
        if last.parts.iter().all(|held| held.entries() == 0) {
            return Err(no_log(node, wanted.names(), entries, known).into());
        }
    }
    // Whether a file of many programs' lines has any of these shows only when it was read; the error tells it then.
    let uncertain = !shared.is_empty() && node.follow.is_none();
    if !uncertain && missing.is_none() {
        tell();
    }
    let node = if missing.is_some() { &until_now } else { node };
    let anything = read_logs(node, &logs, want, filter, out).await?;
    if let Some(missing) = missing {
        return Err(missing.into());
    }
    if uncertain && (anything || filter.saw_identifier()) {
        tell();
    }
    // Known nowhere, or only filtered away?
    if !anything && !shared.is_empty() && !filter.saw_identifier() {
        if filter.saw_supervisor
            && let Some(home) = HOMES.iter().find(|home| home.holds == Holds::Supervisor)
        {
            return Err(home::out_of_reach(node.machine(), home).into());
        }
        return Err(no_log(node, wanted.names(), entries, known).into());
    }
    // Of several, which were seen?
    let unseen = shared.iter().enumerate().find(|(place, _)| filter.seen_identifiers & 1 << (place % 64) == 0);
    if let (Wanted::Units(_), Some((_, unit))) = (wanted, unseen) {
        return Err(no_log(node, unit.clone(), entries, known).into());
    }
    check_severity_was_seen(filter)?;
    Ok(anything)
}

/// Reads logs one after another; the last N are those of all of them together.
pub(super) async fn read_logs(
    node: &Node<'_>,
    logs: &[Log],
    want: Want,
    filter: &mut Filter,
    out: &mut Outlet,
) -> Flow<bool> {
    if let Some(pace) = node.follow {
        return Box::pin(follow_logs(node, logs, pace, want, filter, out)).await;
    }
    let Some(count) = want.last else {
        let mut anything = false;
        for (number, log) in logs.iter().enumerate() {
            let follows = number + 1 < logs.len();
            out.treat_ends(if follows { Ends::Whole } else { Ends::AsTheyAre });
            anything |= log.read(node, want, filter, out).await?;
            if follows {
                out.end_line().await?;
            }
        }
        return Ok(anything);
    };
    let (mut newest_first, mut incomplete) = (Vec::new(), None);
    let mut latest = Latest { count, want, filter, room: out.room() };
    for log in logs.iter().rev() {
        // Asked even when nothing of it is wanted: a file that isn't there is an error.
        let Last { parts, lost } = log.last(node, &mut latest).await?;
        incomplete = incomplete.or(lost);
        newest_first.extend(parts);
    }
    let anything = newest_first.iter().any(|held| held.entries() > 0);
    while let Some(held) = newest_first.pop() {
        let ends = if newest_first.is_empty() { Ends::AsTheyAre } else { Ends::Whole };
        held.hand_on(node, ends, out).await?;
    }
    match incomplete {
        Some(error) => Err(error.into()),
        None => Ok(anything),
    }
}

/// Reads logs up to where they end now, and goes on from there.
async fn follow_logs(
    node: &Node<'_>,
    logs: &[Log],
    pace: &Pace,
    want: Want,
    filter: &mut Filter,
    out: &mut Outlet,
) -> Flow<bool> {
    let (mut followed, mut up_to) = (Vec::new(), Vec::new());
    for log in logs {
        if log.is_packed() {
            let words =
                format!("/var/log/{} is compressed: nothing is added to it, so it can't be followed", log.path());
            return Err(Error::usage(words).hint("leave --follow out").into());
        }
        let file = Followed::to_its_end(node, log.path()).await?;
        up_to.push(log.clone().up_to(file.offset(), file.beginning()));
        followed.push(file);
    }
    let until = filter.until;
    let until_now = Node { follow: None, ..node.clone() };
    Box::pin(read_logs(&until_now, &up_to, want, filter, out)).await?;
    Box::pin(File::follow(node, followed, want, filter, out, Watch::new(node.machine(), pace, until))).await
}

/// RKE2's kubelet log, if somebody linked it into /var/log.
pub(super) async fn linked(node: &Node<'_>, entries: &[Entry]) -> Flow<Option<Log>> {
    if !entries.iter().any(|entry| entry.name == RKE2_LINK) {
        return Ok(None);
    }
    let Some(inside) = folder_of(node, RKE2_LINK).await? else { return Ok(None) };
    let log = inside.iter().any(|entry| entry.name == "kubelet.log" && !entry.directory);
    Ok(log.then(|| Log::of(&format!("{RKE2_LINK}/kubelet.log"), &inside)))
}

/// What a folder holds; `None` if it is none, or is not there.
async fn folder_of(node: &Node<'_>, name: &str) -> Flow<Option<Vec<Entry>>> {
    use crate::logs::outlet::Halt;
    match list(node, name).await {
        Ok(entries) => Ok(Some(entries)),
        Err(Halt::Failed(error)) if matches!(error.kind(), Kind::Usage | Kind::NotFound) => Ok(None),
        Err(halt) => Err(halt),
    }
}

impl Folder<'_> {
    fn has_file(&self, name: &str) -> bool {
        self.entries.iter().any(|entry| !entry.directory && entry.name == name)
    }

    fn has_folder(&self, name: &str) -> bool {
        self.entries.iter().any(|entry| entry.directory && entry.name == name)
    }

    /// A file of many programs.
    fn common(&self) -> Option<&'static str> {
        COMMON.into_iter().find(|name| self.has_file(name))
    }

    /// A unit's own file, in the kubelet's own order of places.
    async fn own(&self, unit: &str) -> Flow<Option<Log>> {
        let own = format!("{unit}.log");
        if self.has_file(unit) {
            return Ok(Some(Log::of(unit, self.entries)));
        }
        if self.has_file(&own) {
            return Ok(Some(Log::of(&own, self.entries)));
        }
        if self.has_folder(unit) {
            let inside = list(self.node, unit).await?;
            if inside.iter().any(|entry| entry.name == own && !entry.directory) {
                return Ok(Some(Log::of(&format!("{unit}/{own}"), &inside)));
            }
        }
        Ok(None)
    }

    /// The own file of whatever runs the kubelet here; of several, the one that was written to last.
    async fn kubelet(&self) -> Flow<Option<(&'static Home, Log)>> {
        let mut found: Vec<(&'static Home, Log)> = Vec::new();
        for home in HOMES.iter().filter(|home| home.holds != Holds::Supervisor) {
            if let Some(log) = self.own(home.unit).await? {
                found.push((home, log));
            }
        }
        if found.is_empty() {
            let rke2 = HOMES.iter().find(|home| home.holds == Holds::Supervisor);
            if let (Some(log), Some(_)) = (linked(self.node, self.entries).await?, rke2) {
                // Its file holds its kubelet's lines alone.
                return Ok(HOMES.first().map(|home| (home, log)));
            }
        }
        if found.len() < 2 {
            return Ok(found.pop());
        }
        let mut newest: Option<(Option<Timestamp>, &'static Home, Log)> = None;
        for (home, log) in found {
            let at = File::new(self.node, log.path(), Packing::Plain).look().await?.modified;
            if newest.as_ref().is_none_or(|(best, ..)| at > *best) {
                newest = Some((at, home, log));
            }
        }
        Ok(newest.map(|(_, home, log)| (home, log)))
    }
}

pub(super) fn no_unit(node: &str, unit: &str) -> Error {
    let homes = if unit == KUBELET { "without -u the kubelet is found wherever a distribution runs it; " } else { "" };
    Error::new(
        Kind::NotFound,
        format!(
            "no log of unit {unit}: the node's journal (on Windows its event log) does not know it, and /var/log has no file of that name"
        ),
    )
    .hint(format!(
        "{homes}unit names are those of `systemctl list-units` (on Windows of the event log's providers), and one with a LogNamespace= has \
         a journal of its own, which is not read; see what there is: kubectl kubelet-logs ls {node}"
    ))
}

fn no_log(node: &Node<'_>, units: String, entries: &[Entry], known: Known) -> Error {
    if known == Known::NoUnit {
        return no_unit(node.name, &units);
    }
    let journal = entries.iter().any(|e| e.directory && e.name == "journal");
    let holds = if journal {
        "its log is in the journal, and /var/log has no text file of it"
    } else {
        "/var/log has no text file of it"
    };
    let off = match known {
        Known::QueryOff => "the kubelet offers no log query; ",
        Known::TextFile => "the query shows a table or a file, of which it can't tell what is new; ",
        Known::NoUnit | Known::Nothing => "",
    };
    let list = format!("see what there is: kubectl kubelet-logs ls {}", node.name);
    let hint = if known == Known::QueryOff { format!("{list}\n{QUERY_OFF}") } else { list };
    Error::new(Kind::NotFound, format!("no log of {units}: {off}{holds}")).hint(hint)
}
