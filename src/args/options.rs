//! What was said on the command line, typed and checked as far as the text alone allows; nothing is looked up yet.

use std::path::PathBuf;
use std::time::Duration;

use super::Command;
use super::nodes::{Nodes, Shard};
use crate::error::{Error, Result};
use crate::secret::Secret;
use crate::time::{Around, Bound, Timestamp, When, Zone};

mod values;

pub(crate) use values::is_dns_name;
pub(super) use values::namespace_name;
pub use values::{Boot, PodName, Priority, Severity, path_under_var_log, unit_name};

/// A command with everything said to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// What to do.
    pub command: Command,
    /// Which nodes `logs` reads.
    pub nodes: Nodes,
    /// `ls`: the node, then the folder under /var/log if one was named.
    pub operands: Vec<String>,
    /// Which cluster, as whom.
    pub connection: Connection,
    /// `-u`: units without `.service`; empty means the kubelet.
    pub units: Vec<String>,
    /// `--path`: files relative to /var/log, without `..`; never together with units.
    pub paths: Vec<String>,
    /// `--from`: what is read instead of nodes; then there are none.
    pub from: Vec<Input>,
    /// `-p`: the newest rotation of each of `paths`, or the run of each unit before its last.
    pub previous: bool,
    /// `-b`.
    pub boot: Option<Boot>,
    /// `--list-boots`: in place of a log.
    pub list_boots: bool,
    /// `-k`: the kernel's messages in place of a unit's.
    pub dmesg: bool,
    /// `--source`.
    pub source: SourceChoice,
    /// Whether a file that ends in `.gz` is unpacked; `--no-decompress` says no.
    pub decompress: bool,
    /// `--since` or `--since-time`.
    pub since: Option<When>,
    /// `--until` or `--until-time`.
    pub until: Option<When>,
    /// `--around`; never together with `since` or `until`.
    pub around: Option<Around>,
    /// `--timezone`: for times without a zone, and for those printed.
    pub timezone: Option<Zone>,
    /// `--tail`.
    pub tail: Option<Tail>,
    /// `--limit-bytes`: at least 1.
    pub limit_bytes: Option<u64>,
    /// `-g`: regex-lite patterns that compile; a line is kept if one of them matches.
    pub grep: Vec<String>,
    /// `-e`: regex-lite patterns that compile; a line is dropped if one of them matches.
    pub exclude: Vec<String>,
    /// `--case-sensitive`; unset, a pattern without capitals ignores ASCII case.
    pub case_sensitive: Option<bool>,
    /// `-P`: this and what is worse.
    pub priority: Option<Priority>,
    /// `-t`: any of these.
    pub identifiers: Vec<String>,
    /// `--for`.
    pub about: Option<PodName>,
    /// `-f`.
    pub follow: bool,
    /// `--max-qps`: at least 1.
    pub max_qps: u32,
    /// `--max-concurrency`: at least 1.
    pub max_concurrency: Option<usize>,
    /// `--shard`.
    pub shard: Option<Shard>,
    /// `-w`: the file that takes the place of stdout.
    pub write: Option<PathBuf>,
    /// `--fail-fast`.
    pub fail_fast: bool,
    /// `-o`.
    pub format: Format,
    /// Whether several nodes are merged by time; `--no-merge` says no.
    pub merge: bool,
    /// `--prefix`; unset for `auto`.
    pub prefix: Option<bool>,
    /// `--color`.
    pub color: Color,
    /// `--timestamps`.
    pub timestamps: bool,
    /// `--redact`.
    pub redact: bool,
    /// `ls --long`.
    pub long: bool,
    /// `--print-requests`.
    pub print_requests: bool,
    /// `-v N`.
    pub verbosity: u8,
    /// `-q`.
    pub quiet: bool,
    /// `--timeout` for the whole run; never zero.
    pub timeout: Option<Duration>,
    /// `--server-limit`, hidden: how long kubelets let a query run; never zero.
    pub server_limit: Option<Duration>,
    /// `--buffer`, hidden: how many bytes may wait to be printed.
    pub buffer: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            command: Command::Logs,
            nodes: Nodes::default(),
            operands: Vec::new(),
            connection: Connection::default(),
            units: Vec::new(),
            paths: Vec::new(),
            from: Vec::new(),
            previous: false,
            boot: None,
            list_boots: false,
            dmesg: false,
            source: SourceChoice::Auto,
            decompress: true,
            since: None,
            until: None,
            around: None,
            timezone: None,
            tail: None,
            limit_bytes: None,
            grep: Vec::new(),
            exclude: Vec::new(),
            case_sensitive: None,
            priority: None,
            identifiers: Vec::new(),
            about: None,
            follow: false,
            max_qps: 100,
            max_concurrency: None,
            shard: None,
            write: None,
            fail_fast: false,
            format: Format::Text,
            merge: true,
            prefix: None,
            color: Color::Auto,
            timestamps: false,
            redact: false,
            long: false,
            print_requests: false,
            verbosity: 0,
            quiet: false,
            timeout: None,
            server_limit: None,
            buffer: None,
        }
    }
}

impl Options {
    /// The zone of times that name none, and of those printed.
    pub fn zone(&self) -> &Zone {
        self.timezone.as_ref().unwrap_or(&Zone::Utc)
    }

    /// First and last instant wanted, both included, for a run that starts at `now`; some are each node's own.
    pub fn window(&self, now: Timestamp) -> Result<(Option<Bound>, Option<Bound>)> {
        let zone = self.zone();
        if let Some(around) = &self.around {
            let (since, until) = around.resolve(now, zone).map_err(|e| e.within("--around"))?;
            return Ok((Some(since), Some(until)));
        }
        let resolve = |when: &Option<When>, flag: &str| {
            when.map(|when| when.resolve(now, zone)).transpose().map_err(|e| e.within(flag))
        };
        let (since, until) = (resolve(&self.since, "--since")?, resolve(&self.until, "--until")?);
        if let (Some(Bound::At(since)), Some(Bound::At(until))) = (since, until)
            && since > until
        {
            return Err(Error::usage(format!(
                "the window ends before it begins: since {}, until {}",
                since.rfc3339_in(zone),
                until.rfc3339_in(zone)
            ))
            .hint(
                "--since says where it begins, --until where it ends; --timezone tells of which zone their times are",
            ));
        }
        Ok((since, until))
    }
}

/// kubectl's global flags. An empty text counts as not given, as with kubectl.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Connection {
    /// `--kubeconfig`: this file alone.
    pub kubeconfig: Option<PathBuf>,
    /// `--context`.
    pub context: Option<String>,
    /// `--cluster`.
    pub cluster: Option<String>,
    /// `--user`.
    pub user: Option<String>,
    /// `-n`: where pods are looked for.
    pub namespace: Option<String>,
    /// `-s`.
    pub server: Option<String>,
    /// `--tls-server-name`.
    pub tls_server_name: Option<String>,
    /// `--insecure-skip-tls-verify`.
    pub insecure_skip_tls_verify: Option<bool>,
    /// `--client-certificate`.
    pub client_certificate: Option<PathBuf>,
    /// `--client-key`.
    pub client_key: Option<PathBuf>,
    /// `--certificate-authority`.
    pub certificate_authority: Option<PathBuf>,
    /// `--token`.
    pub token: Option<Secret>,
    /// `--username`.
    pub username: Option<String>,
    /// `--password`.
    pub password: Option<Secret>,
    /// `--as`.
    pub as_user: Option<String>,
    /// `--as-uid`.
    pub as_uid: Option<String>,
    /// `--as-group`, each.
    pub as_groups: Vec<String>,
    /// `--as-user-extra`, each `key=value`.
    pub as_user_extra: Vec<(String, String)>,
    /// `--request-timeout`; zero means no limit, unset means the default of each kind of request.
    pub request_timeout: Option<Duration>,
    /// `--cache-dir`.
    pub cache_dir: Option<PathBuf>,
    /// `--disable-compression`.
    pub disable_compression: Option<bool>,
}

/// How what was read is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// As lines.
    #[default]
    Text,
    /// The bytes as received.
    Raw,
    /// An object a line.
    Jsonl,
    /// A table of templates.
    Digest,
    /// A document.
    Json,
    /// The same in YAML.
    Yaml,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Color {
    /// On a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Where a node's log is taken from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourceChoice {
    /// What fits.
    #[default]
    Auto,
    /// The kubelet's node log query.
    Query,
    /// The node's journal files.
    Journal,
    /// Text files under /var/log.
    File,
}

/// A log on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// What comes on stdin.
    Stdin,
    /// A file or folder.
    Path(PathBuf),
}

/// How much of the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// `-1`: everything.
    All,
    /// The last so many entries; 0 prints none.
    Last(u64),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_that_ends_before_it_begins_is_refused() {
        let now = Timestamp::from_micros(1_795_230_432_000_000);
        let when = |text: &str| Some(When::parse(text).unwrap());
        let options = |since, until| Options { since, until, ..Options::default() };
        assert!(options(when("-1h"), when("-2h")).window(now).is_err_and(|error| error.remedy().is_some()));
        assert!(options(when("-1h"), when("-1h")).window(now).is_ok());
        assert_eq!(options(None, None).window(now).unwrap(), (None, None));
        let around = Options { around: Some(Around::parse("now±1s").unwrap()), ..Options::default() };
        let (since, until) = around.window(now).unwrap();
        let micros = |bound: Option<Bound>| bound.unwrap().at(now).as_micros();
        assert_eq!(micros(until) - micros(since), 2_000_000);
    }
}
