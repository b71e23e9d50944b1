//! The kubelet's log where no unit was named: in the unit `kubelet`, or in that of a distribution that runs one.
//!
//! `kubelet` is read as it always was, which costs a node that has it nothing. Only where the journal does not know it, or
//! its newest entry is old, the other units are looked up, a few small requests; of several, the one with the newest entry
//! wins. The kubelet that answers runs: if its log is old, it either has had nothing to say, or logs elsewhere.

use std::time::Duration;

use crate::error::{Error, Kind};
use crate::http::Request;
use crate::kube::path;
use crate::logs::filter::{Filter, Process};
use crate::logs::kubelet::Among;
use crate::logs::outlet::{Flow, Halt, Outlet};
use crate::logs::source::query::{Found, Query, Texts};
use crate::logs::source::{Machine, Node, Want};
use crate::logs::unit::{self, Holds, Home, KUBELET, LOOKED_UP, RKE2_LINK, RKE2_LOGS};
use crate::time::Timestamp;

/// How long a kubelet's configuration may take: it is worth a warning, no more.
const CONFIG_LIMIT: Duration = Duration::from_secs(5);
/// A configuration is shorter.
const LONGEST_CONFIG: usize = 1 << 20;

/// After so long a kubelet that was to leave its unit has left it.
const SETTLED: Duration = Duration::from_secs(120);

/// A kubelet at work is rarely silent for so long.
const QUIET: Duration = Duration::from_secs(3 * 3600);

/// What the query told of the kubelet's log.
#[derive(Debug)]
pub enum Taken {
    /// It was read, or is nowhere in the journal.
    Found(Found),
    /// The node runs this, whose kubelet does not log to the journal.
    Supervised(&'static Home),
}

/// Reads the kubelet through the query, wherever in the journal it logs.
///
/// In one boot, so many before the last, it is the unit `kubelet`, or where that is unknown the one at work: when another wrote
/// there is not to be asked.
pub async fn read(
    node: &Node<'_>,
    texts: Texts,
    boot: Option<u32>,
    want: Want,
    filter: &mut Filter,
    out: &mut Outlet,
) -> Flow<Taken> {
    let units = [KUBELET.to_owned()];
    let mut query = Query::new(node, &units).texts(texts).boot(boot);
    if boot.is_some_and(|back| back > 0) {
        let found = query.read(want, filter, out).await?;
        // Where another unit runs it now, that tells what there is of the boot.
        if let Found::Absent(_) = found
            && let Some((home, _)) = at_work(node, None).await?
        {
            return take(node, home, boot, want, filter, out).await;
        }
        return Ok(Taken::Found(found));
    }
    if let (None, Some(since)) = (want.last, filter.since) {
        // What a window needs to know of the node anyway tells whether its kubelet is at work, before anything is printed.
        query.prepare().await?;
        if query.newest().is_some_and(|newest| newest < since && is_old(node, newest, filter))
            && let Some(home) = newer(node, query.newest()).await
        {
            return take(node, home, boot, want, filter, out).await;
        }
    }
    let (held, found) = query.gather(want, filter, out).await?;
    let newest = query.newest();
    match &found {
        Ok(Found::Absent(_)) => {
            if let Some((home, _)) = at_work(node, None).await? {
                return take(node, home, boot, want, filter, out).await;
            }
        }
        // Lines without the journal's time are none of a journal's: a Windows node's.
        Ok(Found::Log { anything: true }) if newest.is_none() => {}
        Ok(Found::Log { .. }) if want.last != Some(0) && newest.is_none_or(|newest| is_old(node, newest, filter)) => {
            match newer(node, newest).await {
                Some(home) if out.has_spoken() => return go_on(node, home, newest, want, filter, out).await,
                Some(home) => return take(node, home, boot, want, filter, out).await,
                None => {}
            }
        }
        _ => {}
    }
    query.hand_on(held, want, out).await?;
    found.map(Taken::Found)
}

/// Reads the run before the last of a unit, or of whatever runs the kubelet, through the query.
pub(super) async fn read_previous(
    node: &Node<'_>,
    unit: Option<&str>,
    boot: Option<u32>,
    want: Want,
    filter: &mut Filter,
    out: &mut Outlet,
) -> Flow<Taken> {
    let unit = match unit {
        Some(unit) => unit,
        None => {
            let home = now(node, filter).await?;
            if home.holds == Holds::Supervisor {
                return Ok(Taken::Supervised(home));
            }
            if home.unit != KUBELET {
                choose(node.machine(), home, &format!("unit {}", home.unit), filter);
            }
            home.unit
        }
    };
    let units = [unit.to_owned()];
    Query::new(node, &units).texts(Texts::Left).boot(boot).read_previous(want, filter, out).await.map(Taken::Found)
}

/// What runs the kubelet now, as far as the journal shows it: what is to be followed.
pub(super) async fn now(node: &Node<'_>, filter: &Filter) -> Flow<&'static Home> {
    let [kubelet, ..] = &unit::HOMES;
    let newest = Query::new(node, &[KUBELET.to_owned()]).look_up().await?;
    let other = match newest.at {
        _ if newest.off => None,
        None if !newest.absent.is_empty() => at_work(node, None).await?.map(|(home, _)| home),
        Some(at) if !is_old(node, at, filter) => None,
        at => newer(node, at).await,
    };
    Ok(other.unwrap_or(kubelet))
}

/// Warns where a kubelet has left its unit (`kubeletCgroups`): its later lines are not the unit's, which is all that the
/// query selects by. Its configuration tells, where that may be read; where not, nothing is said. It leaves soon after its
/// start: one that has been at work in its unit up to now is not asked, which of many nodes spares each a request.
pub(super) async fn warn_of_cgroup(node: &Node<'_>, filter: &Filter) {
    let settled = |process: &Process| {
        process.last >= process.first.saturating_add(SETTLED)
            && process.last >= node.clock.now().saturating_sub(SETTLED)
    };
    if filter.process.as_ref().is_some_and(settled) {
        return;
    }
    let configuration = async {
        let answer = node.get(Request::get(path::kubelet(node.name, "configz"))).await.ok()?;
        if answer.status != 200 { None } else { answer.body.collect(LONGEST_CONFIG).await.ok() }
    };
    let Some(Some(text)) = node.clock.within(Some(CONFIG_LIMIT), configuration).await else { return };
    let Some(cgroup) = kubelet_cgroup(&text).filter(|cgroup| !is_in_its_unit(cgroup)) else { return };
    node.notices.warning(format_args!(
        "{}: its kubelet moves to the cgroup {cgroup} (kubeletCgroups), so lines after its start may be missing: the \
         query selects by unit alone; --source=journal has them",
        node.name
    ));
}

/// `kubeletCgroups` in a kubelet's answer to /configz, which Go writes without spaces; bounded.
fn kubelet_cgroup(configuration: &[u8]) -> Option<String> {
    const KEY: &[u8] = b"\"kubeletCgroups\":\"";
    let from = memchr::memmem::find(configuration, KEY)? + KEY.len();
    let rest = configuration.get(from..)?;
    let cgroup = rest.get(..memchr::memchr(b'"', rest)?)?;
    let is_plain = cgroup.len() <= 256 && cgroup.iter().all(|b| b.is_ascii_graphic());
    is_plain.then(|| String::from_utf8_lossy(cgroup).into_owned()).filter(|cgroup| !cgroup.is_empty())
}

/// Whether systemd takes a process of this cgroup for the unit's: the first part that is no slice is the unit.
fn is_in_its_unit(cgroup: &str) -> bool {
    let unit = cgroup.split('/').find(|part| !part.is_empty() && !part.ends_with(".slice"));
    unit.and_then(|unit| unit.strip_suffix(".service")) == Some(KUBELET)
}

/// Says whose kubelet is shown, and shows only its lines.
pub(super) fn choose(node: Machine<'_>, home: &Home, place: &str, filter: &mut Filter) {
    let (name, unit, distribution) = (node.name, home.unit, home.distribution);
    if home.holds.others() {
        filter.kubelet = Some(Among::Unit(home.holds));
        node.notices.note(format_args!(
            "{name} runs {distribution}: showing the lines of its kubelet from {place}; -u {unit} shows all"
        ));
    } else {
        node.notices.note(format_args!("{name} runs {distribution}: showing {place}"));
    }
}

/// What to say of a node whose kubelet logs out of reach.
pub(super) fn out_of_reach(node: Machine<'_>, home: &Home) -> Error {
    let (name, distribution) = (node.name, home.distribution);
    let words = format!(
        "the node runs {distribution}, whose kubelet logs to {RKE2_LOGS}/kubelet.log, out of /var/log and so out of reach"
    );
    Error::new(Kind::NotFound, words).hint(format!(
        "link it in, on the node: ln -s {RKE2_LOGS} /var/log/{RKE2_LINK}\n\
         then: kubectl kubelet-logs {name} --path {RKE2_LINK}/kubelet.log\n\
         the supervisor's own log: kubectl kubelet-logs {name} -u {}",
        home.unit
    ))
}

/// Reads the unit of a distribution.
async fn take(
    node: &Node<'_>,
    home: &'static Home,
    boot: Option<u32>,
    want: Want,
    filter: &mut Filter,
    out: &mut Outlet,
) -> Flow<Taken> {
    if home.holds == Holds::Supervisor {
        return Ok(Taken::Supervised(home));
    }
    choose(node.machine(), home, &format!("unit {}", home.unit), filter);
    filter.past = 0;
    let units = [home.unit.to_owned()];
    Query::new(node, &units).boot(boot).read(want, filter, out).await.map(Taken::Found)
}

/// The log of the unit `kubelet`, which was printed, has ended long ago: that of a distribution follows it.
async fn go_on(
    node: &Node<'_>,
    home: &'static Home,
    newest: Option<Timestamp>,
    want: Want,
    filter: &mut Filter,
    out: &mut Outlet,
) -> Flow<Taken> {
    let ended = newest.map_or_else(String::new, |at| format!(" at {}", at.rfc3339()));
    node.notices.note(format_args!("{}: the log of unit {KUBELET} ended{ended}; what follows is newer", node.name));
    let from = newest.map(|at| at.saturating_add(Duration::from_micros(1)));
    filter.since = filter.since.max(from);
    match take(node, home, None, want, filter, out).await? {
        Taken::Supervised(home) => Err(Error::new(Kind::Partial, "what was printed is of a kubelet that runs no more")
            .because(out_of_reach(node.machine(), home))
            .into()),
        // There was something, whatever the rest is.
        Taken::Found(_) => Ok(Taken::Found(Found::Log { anything: true })),
    }
}

/// Whether a kubelet at work would have written something since, as far as the window reaches.
fn is_old(node: &Node<'_>, newest: Timestamp, filter: &Filter) -> bool {
    let now = node.clock.now();
    newest < filter.until.unwrap_or(now).min(now).saturating_sub(QUIET)
}

/// A unit at work whose newest entry is newer. What can't be told is not worth an error: there is a log to print.
async fn newer(node: &Node<'_>, than: Option<Timestamp>) -> Option<&'static Home> {
    match at_work(node, than).await {
        Ok(found) => found.filter(|(_, at)| *at > than).map(|(home, _)| home),
        Err(Halt::Failed(error)) => {
            let name = node.name;
            node.notices.verbose(4, || format!("{name}: other units could not be looked up: {}", error.chain()));
            None
        }
        Err(Halt::Stopped) => None,
    }
}

/// The unit with the newest entry, and when it wrote that; the last group is asked for only where that is not newer than
/// what is known.
async fn at_work(node: &Node<'_>, than: Option<Timestamp>) -> Flow<Option<(&'static Home, Option<Timestamp>)>> {
    let mut best: Option<(&'static Home, Option<Timestamp>)> = None;
    for (number, names) in LOOKED_UP.into_iter().enumerate() {
        if number + 1 == LOOKED_UP.len() && best.is_some_and(|(_, at)| at > than) {
            break;
        }
        for (home, at) in known(node, names).await? {
            if best.is_none_or(|(_, newest)| at > newest) {
                best = Some((home, at));
            }
        }
    }
    Ok(best)
}

/// Which of these units the journal knows, and when they last wrote.
async fn known(node: &Node<'_>, names: &[&str]) -> Flow<Vec<(&'static Home, Option<Timestamp>)>> {
    let mut units: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let newest = loop {
        match Query::new(node, &units).look_up().await {
            // Kubelets of 1.27 take no dot in a unit's name.
            Err(Halt::Failed(error))
                if error.chain().contains("unsupported characters") && units.iter().any(|unit| unit.contains('.')) =>
            {
                units.retain(|unit| !unit.contains('.'));
            }
            other => break other?,
        }
    };
    if newest.at.is_none() && newest.absent.is_empty() {
        // Nothing was written by any, and yet none is unknown: no journal says so.
        return Ok(Vec::new());
    }
    units.retain(|unit| !newest.absent.contains(unit));
    let homes: Vec<&'static Home> = units.iter().filter_map(|unit| unit::home(unit)).collect();
    let mut known = Vec::new();
    for home in &homes {
        let at = match homes.len() {
            1 => newest.at,
            _ => Query::new(node, &[home.unit.to_owned()]).look_up().await?.at,
        };
        known.push((*home, at));
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroup_tells_whether_the_kubelet_is_still_its_units() {
        let told = |text: &str| kubelet_cgroup(text.as_bytes());
        let config = |cgroup: &str| format!("{{\"kubeletconfig\":{{\"port\":10250,\"kubeletCgroups\":\"{cgroup}\"}}}}");
        for (cgroup, own) in [
            ("/kubelet", false),
            ("/podruntime.slice/kubelet", false),
            ("/system.slice/other.service", false),
            ("/system.slice/kubelet.service", true),
            ("/kube.slice/kubelet.service/inner", true),
        ] {
            let told = told(&config(cgroup));
            assert_eq!((told.as_deref(), is_in_its_unit(cgroup)), (Some(cgroup), own));
        }
        for nothing in
            ["", "{}", &config(""), "\"kubeletCgroups\":\"cut", &config("/a\u{1b}[2J"), &config(&"x".repeat(300))]
        {
            assert_eq!(told(nothing), None, "{nothing}");
        }
    }
}
