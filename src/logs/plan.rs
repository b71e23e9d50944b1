//! From what was said to what will be read: the window becomes two instants, once, and the filters are built.

use std::time::Duration;

use crate::args::{Boot, Options, Priority, Severity, SourceChoice, Tail};
use crate::clock::Clock;
use crate::error::Result;
use crate::logs::filter::{Filter, Pattern};
use crate::logs::source::anchor::{Anchors, Ready, show_window};
use crate::logs::source::pick::{Instance, Instead};
use crate::notice::Notices;
use crate::time::Bound;

/// What one run of `logs` reads.
#[derive(Debug)]
pub struct Plan {
    /// Units without `.service`; without any, and without paths, the kubelet is read, wherever it logs.
    pub units: Vec<String>,
    /// Files under /var/log.
    pub paths: Vec<String>,
    /// Which instance of them.
    pub instance: Instance,
    /// Only what was written in this boot.
    pub boot: Option<Boot>,
    /// What is read in place of units and files.
    pub instead: Option<Instead>,
    /// The ends of the window that are each node's own; the others are in the filter.
    pub anchors: Anchors,
    /// Which sources may be used.
    pub choice: SourceChoice,
    /// Whether `.gz` files are unpacked.
    pub decompress: bool,
    /// Only so many of the last entries.
    pub last: Option<u64>,
    /// Which entries.
    pub filter: Filter,
    /// The looks a second in all, where the logs are followed.
    pub follow: Option<u32>,
    /// How long a kubelet lets a query run.
    pub server_limit: Duration,
    /// Bytes of all nodes together that may wait for a slow reader or for each other.
    pub buffer: usize,
}

/// The kubelet kills journalctl after this long.
pub const SERVER_LIMIT: Duration = Duration::from_secs(30);
/// What may wait, unless said.
const BUFFER: usize = 16 << 20;

impl Plan {
    /// Whether what is read is bounded: by a window of time, or by being no log at all.
    pub fn has_window(&self) -> bool {
        self.filter.has_window() || !self.anchors.is_empty() || matches!(self.instead, Some(Instead::Boots(_)))
    }

    /// Whether it is said from when on.
    pub fn has_beginning(&self) -> bool {
        self.filter.since.is_some() || self.anchors.since.is_some()
    }
}

/// Resolves the options of `logs`.
pub fn plan(options: &Options, clock: Clock, notices: &Notices) -> Result<Plan> {
    let (since, until) = options.window(clock.now())?;
    let fixed = |bound: Option<Bound>| match bound {
        Some(Bound::At(at)) => Some(at),
        _ => None,
    };
    let own = |bound: Option<Bound>| bound.filter(|bound| bound.anchor().is_some());
    let ready = if options.nodes.one().is_some() { Ready::Fails } else { Ready::IsLeftOut };
    let anchors = Anchors { since: own(since), until: own(until), ready };
    let (since, until) = (fixed(since), fixed(until));
    if anchors.is_empty() {
        show_window(notices, "", since, until);
    }
    let patterns = |sources: &[String]| -> Result<Vec<Pattern>> {
        sources.iter().map(|source| Pattern::new(source, options.case_sensitive)).collect()
    };
    let filter = Filter {
        since,
        until,
        grep: patterns(&options.grep)?,
        exclude: patterns(&options.exclude)?,
        severity: options.priority.map(Priority::severity).filter(|least| *least > Severity::Info),
        level: options.priority.map(Priority::level),
        identifiers: options.identifiers.clone(),
        ..Filter::default()
    };
    let last = match options.tail {
        Some(Tail::Last(last)) => Some(last),
        Some(Tail::All) | None => None,
    };
    Ok(Plan {
        units: options.units.clone(),
        paths: options.paths.clone(),
        instance: if options.previous { Instance::Previous } else { Instance::Current },
        boot: options.boot.clone(),
        instead: match options {
            Options { list_boots: true, format, .. } => Some(Instead::Boots(*format)),
            Options { dmesg: true, .. } => Some(Instead::Kernel),
            _ => None,
        },
        anchors,
        choice: options.source,
        decompress: options.decompress,
        last,
        filter,
        follow: options.follow.then_some(options.max_qps),
        server_limit: options.server_limit.unwrap_or(SERVER_LIMIT),
        buffer: options.buffer.unwrap_or(BUFFER),
    })
}
