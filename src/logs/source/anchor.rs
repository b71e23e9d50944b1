//! The ends of a window that each node tells for itself: its boot, its kubelet's start, when it ceased to be ready.

use crate::args::Boot;
use crate::error::{Error, Kind};
use crate::kube::node;
use crate::logs::filter::Filter;
use crate::logs::outlet::Flow;
use crate::logs::source::journal::{self, Remote};
use crate::logs::source::{Machine, Node};
use crate::logs::unit::KUBELET;
use crate::notice::Notices;
use crate::time::{Anchor, Bound, Timestamp};

/// Such ends; a window's other ends are known before a node is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Anchors {
    /// Its beginning.
    pub since: Option<Bound>,
    /// Its end.
    pub until: Option<Bound>,
    /// What becomes of a node that is ready where the window needs a time at which it was not.
    pub ready: Ready,
}

/// What becomes of a node that is ready where the window needs a time at which it was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ready {
    /// It was asked about by name: that is an error.
    #[default]
    Fails,
    /// It is one of many: there is nothing to show of it.
    IsLeftOut,
}

impl Anchors {
    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.since.is_none() && self.until.is_none()
    }
}

/// Tells a log's window, where it is asked about that much.
pub fn show_window(notices: &Notices, node: &str, since: Option<Timestamp>, until: Option<Timestamp>) {
    if since.is_none() && until.is_none() {
        return;
    }
    notices.verbose(4, || {
        let whose = if node.is_empty() { String::new() } else { format!("{node}: ") };
        format!("{whose}window: {}", window(since, until))
    });
}

/// What a log that was read tells of the window that was its own, where nothing in it matched, and of lines that were left out
/// for what they don't show.
pub(super) fn tell(machine: Machine<'_>, anchors: Anchors, filter: &Filter, read: &Flow<bool>) {
    let name = machine.name;
    match read {
        Ok(anything) if filter.dropped_unmarked => machine.notices.note(format_args!(
            "{name}: lines without a klog header show no severity here, so --priority leaves {} out",
            if *anything { "them" } else { "all of them" }
        )),
        _ => {}
    }
    if let (Ok(false), false) = (read, anchors.is_empty())
        && filter.has_window()
    {
        machine.notices.note(format_args!("{name}: the window was {}", window(filter.since, filter.until)));
    }
}

fn window(since: Option<Timestamp>, until: Option<Timestamp>) -> String {
    let shown = |at: Option<Timestamp>, open: &str| at.map_or(open.to_owned(), |at| at.rfc3339().to_string());
    format!("{} to {}, both included", shown(since, "the log's beginning"), shown(until, "its end"))
}

/// Asks the node for its anchors and puts them into the filter; gives the journal back that was looked into for it. The inner
/// `None`: there is no such window of this node, and nothing to show.
///
/// Whatever source the lines come from, boots and runs are the journal's to tell.
pub async fn resolve<'a>(
    node: &'a Node<'a>,
    anchors: Anchors,
    boot: Option<&Boot>,
    filter: &mut Filter,
) -> Flow<Option<Option<Remote<'a>>>> {
    let mut known: Vec<(Anchor, Timestamp)> = Vec::new();
    let mut opened = None;
    let mut ends = [None, None];
    for (end, bound) in ends.iter_mut().zip([anchors.since, anchors.until]) {
        let Some((bound, anchor)) = bound.and_then(|bound| Some((bound, bound.anchor()?))) else { continue };
        let at = match known.iter().find(|(other, _)| *other == anchor) {
            Some((_, at)) => *at,
            None => match anchor {
                Anchor::NotReady => match not_ready(node).await? {
                    Ok(at) => at,
                    Err(ready) if anchors.ready == Ready::IsLeftOut => {
                        let name = node.name;
                        node.notices
                            .note(format_args!("{name}: ready, so there is no time not-ready: nothing is shown of it"));
                        node.notices.verbose(4, || format!("{}: {}", node.name, ready.chain()));
                        return Ok(None);
                    }
                    Err(ready) => return Err(ready.into()),
                },
                Anchor::Boot | Anchor::KubeletStart => {
                    let remote = match &mut opened {
                        Some(remote) => remote,
                        None => opened.insert(open(node, anchor).await?),
                    };
                    match anchor {
                        Anchor::Boot => remote.began(boot.unwrap_or(&Boot::Back(0))).await?,
                        _ => kubelet_start(remote, boot).await?,
                    }
                }
            },
        };
        known.push((anchor, at));
        *end = Some(bound.at(at));
    }
    settle(ends, node.machine(), filter)?;
    Ok(Some(opened))
}

/// The same of a journal on this machine, which has no cluster to ask.
pub async fn resolve_in(
    remote: &mut Remote<'_>,
    machine: Machine<'_>,
    anchors: Anchors,
    boot: Option<&Boot>,
    filter: &mut Filter,
) -> Flow<()> {
    let mut ends = [None, None];
    for (end, bound) in ends.iter_mut().zip([anchors.since, anchors.until]) {
        let Some((bound, anchor)) = bound.and_then(|bound| Some((bound, bound.anchor()?))) else { continue };
        let at = match anchor {
            Anchor::Boot => remote.began(boot.unwrap_or(&Boot::Back(0))).await?,
            Anchor::KubeletStart => kubelet_start(remote, boot).await?,
            Anchor::NotReady => {
                let words = "the time not-ready is told by a cluster, and --from asks none";
                return Err(Error::usage(words).hint("kubelet-start and boot are told by a journal").into());
            }
        };
        *end = Some(bound.at(at));
    }
    settle(ends, machine, filter)
}

/// Puts the ends that are known now into the filter.
fn settle(ends: [Option<Timestamp>; 2], machine: Machine<'_>, filter: &mut Filter) -> Flow<()> {
    let [since, until] = ends;
    filter.since = since.or(filter.since);
    filter.until = until.or(filter.until);
    if let (Some(since), Some(until)) = (filter.since, filter.until)
        && since > until
    {
        let words = format!("the window ends before it begins: since {}, until {}", since.rfc3339(), until.rfc3339());
        return Err(Error::usage(words).into());
    }
    show_window(machine.notices, machine.name, filter.since, filter.until);
    Ok(())
}

async fn open<'a>(node: &'a Node<'a>, anchor: Anchor) -> Flow<Remote<'a>> {
    journal::find(node).await?.map_err(|missing| {
        let words = format!("the time {} is told by the node's journal, which can't be read", anchor.name());
        let error = Error::new(Kind::NotFound, words).because(Error::new(Kind::NotFound, missing.words()));
        error.hint("give a time instead, such as -2h or 2026-11-21T03:07:12Z").into()
    })
}

/// When the kubelet's last run began.
async fn kubelet_start(remote: &mut Remote<'_>, boot: Option<&Boot>) -> Flow<Timestamp> {
    let boot = match boot {
        Some(boot) => Some(remote.boot(boot).await?.id),
        None => None,
    };
    let unit = remote.home(boot).await?.map_or(KUBELET, |(home, _)| home.unit);
    let runs = remote.runs(unit, boot, 1).await?;
    let first = runs.first().map(|run| i64::try_from(run.first.realtime).unwrap_or(i64::MAX));
    first.map(Timestamp::from_micros).ok_or_else(|| {
        let words = format!("the journal does not tell when unit {unit} was started, so there is no kubelet-start");
        Error::new(Kind::NotFound, words).hint("give a time instead, such as -2h or 2026-11-21T03:07:12Z").into()
    })
}

/// When the node's Ready condition ceased to be true; the inner error says that it did not.
async fn not_ready(node: &Node<'_>) -> Flow<Result<Timestamp, Error>> {
    let object = node::get(node.client, node.name).await.map_err(|error| error.within("looking up not-ready"))?;
    let Some(ready) = object.condition("Ready") else {
        return Err(Error::new(Kind::Failed, "the node has no Ready condition, so there is no time not-ready").into());
    };
    let at = ready.last_transition_time.as_deref();
    if ready.status == "True" {
        let since = at.map_or_else(String::new, |at| format!(" since {at}"));
        let words = format!("the node is ready{since}, so there is no time not-ready");
        return Ok(Err(Error::new(Kind::Failed, words)
            .hint("a node that keeps a journal on its disk tells kubelet-start and boot")));
    }
    at.and_then(Timestamp::parse_rfc3339)
        .map(Ok)
        .ok_or_else(|| Error::new(Kind::Failed, "the node's Ready condition says not when it changed").into())
}
