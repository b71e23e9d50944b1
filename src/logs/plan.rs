//! From what was said to what will be read: the window becomes two instants, once, and the filters are built.

use std::time::Duration;

use crate::args::{Options, Priority, Severity, SourceChoice, Tail};
use crate::clock::Clock;
use crate::error::Result;
use crate::logs::filter::{Filter, Pattern};
use crate::logs::source::pick::Instance;
use crate::notice::Notices;

/// What one run of `logs` reads.
#[derive(Debug)]
pub struct Plan {
    /// Units without `.service`; without any, and without paths, the kubelet is read, wherever it logs.
    pub units: Vec<String>,
    /// Files under /var/log.
    pub paths: Vec<String>,
    /// Which instance of them.
    pub instance: Instance,
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
}

/// The kubelet kills journalctl after this long.
pub const SERVER_LIMIT: Duration = Duration::from_secs(30);

/// Resolves the options of `logs`.
pub fn plan(options: &Options, clock: Clock, notices: &Notices) -> Result<Plan> {
    let (since, until) = options.window(clock.now())?;
    if since.is_some() || until.is_some() {
        notices.verbose(4, || {
            let shown = |at: Option<crate::time::Timestamp>, open: &str| {
                at.map_or(open.to_owned(), |at| at.rfc3339().to_string())
            };
            format!("window: {} to {}, both included", shown(since, "the log's beginning"), shown(until, "its end"))
        });
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
        choice: options.source,
        decompress: options.decompress,
        last,
        filter,
        follow: options.follow.then_some(options.max_qps),
        server_limit: options.server_limit.unwrap_or(SERVER_LIMIT),
    })
}
