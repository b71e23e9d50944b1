//! How the nodes of a run fared: what is said of those that failed or were not read, and the exit code.

use std::time::Duration;

use crate::args::{Format, Options};
use crate::command::{Outcome, out_of_time};
use crate::error::{Error, Kind, Result};
use crate::notice::Notices;
use crate::time::go_duration;

/// What logs on this machine are called.
pub(super) const FILES: &str = "files";

/// How the nodes fared.
pub(super) struct Tally {
    /// What they are: nodes, or files.
    pub(super) of: &'static str,
    pub(super) nodes: Vec<String>,
    /// How many had anything to print.
    pub(super) anything: usize,
    pub(super) failures: Vec<(usize, Error)>,
    /// How many of the failures were told.
    told: usize,
    /// What to do about those that were told.
    remedies: Vec<String>,
    /// What came of their logs, and what was printed, where that is the logs.
    bytes: u64,
    pub(super) printed: Option<u64>,
    /// Those of which something came, where it matters; and those that were not read to their ends.
    heard: Vec<bool>,
    pub(super) unfinished: Vec<usize>,
}

impl Tally {
    pub(super) fn new(of: &'static str, nodes: &[String]) -> Self {
        let nodes = nodes.to_vec();
        Tally {
            of,
            heard: vec![false; nodes.len()],
            nodes,
            anything: 0,
            failures: Vec::new(),
            told: 0,
            remedies: Vec::new(),
            bytes: 0,
            printed: None,
            unfinished: Vec::new(),
        }
    }

    /// One more, behind the others.
    pub(super) fn joined(&mut self, node: &str) {
        self.nodes.push(node.to_owned());
        self.heard.push(false);
    }

    /// So much has come of a node.
    pub(super) fn heard(&mut self, node: usize, bytes: u64) {
        self.bytes += bytes;
        if let Some(heard) = self.heard.get_mut(node) {
            *heard = true;
        }
    }

    pub(super) fn count(&mut self, node: usize, how: Result<bool>) {
        match how {
            Ok(anything) => self.anything += usize::from(anything),
            Err(error) => self.failures.push((node, error)),
        }
    }

    /// The exit code: of nodes that all failed alike theirs, of nodes that failed differently 1, of some that failed 3.
    pub(super) fn outcome(mut self, single: bool, notices: &Notices, took: Duration) -> Result<Outcome> {
        if single {
            return match self.failures.pop() {
                Some((node, error)) => {
                    let name = self.nodes.get(node).map_or("", String::as_str);
                    let says_it = self.of == FILES && error.chain().contains(name);
                    Err(if says_it { error } else { error.within(name) })
                }
                None => Ok(Outcome::DONE),
            };
        }
        self.tell(notices);
        self.sum_up(notices, took);
        let all = self.failures.len() == self.nodes.len();
        let mut kinds = self.failures.iter().map(|(_, error)| error.kind());
        let exit = match kinds.next() {
            None => return Ok(Outcome::DONE),
            Some(first) if all && kinds.clone().all(|kind| kind == first) => first,
            // Of one that failed in part something was printed.
            Some(first) if all && first != Kind::Partial && kinds.all(|kind| kind != Kind::Partial) => Kind::Failed,
            Some(_) => Kind::Partial,
        };
        Ok(Outcome { exit: exit.exit_code() })
    }

    /// The end of a run whose time was over: those that hung are named, so that the next run can do without them.
    pub(super) fn out_of_time(
        mut self,
        options: &Options,
        single: bool,
        notices: &Notices,
        took: Duration,
    ) -> Result<Outcome> {
        if self.unfinished.is_empty() && options.follow {
            // What is followed has no other end.
            notices.note(format_args!("--timeout {} is over", go_duration(options.timeout.unwrap_or_default())));
            return self.outcome(single, notices, took);
        }
        let error = out_of_time(options.timeout.unwrap_or_default());
        let unread = if single { String::new() } else { self.unread() };
        let mut error = Error::new(error.kind(), format!("{error}{unread}"));
        if let ([name], true) = (&*self.nodes, single) {
            error = error.within(name);
        }
        if self.bytes > 0 {
            let lines = matches!(options.format, Format::Text | Format::Raw | Format::Jsonl) && !options.list_boots;
            let merged = lines && options.merge && !single && self.of != FILES;
            error = error.hint(match merged {
                true => {
                    "what was printed is incomplete: a merge holds back what lines of those may precede; with --no-merge each of the others is \
                     shown whole"
                }
                false => "what was printed is incomplete",
            });
        }
        self.tell(notices);
        notices.error(&error);
        if !single {
            self.sum_up(notices, took);
        }
        Ok(Outcome { exit: error.kind().exit_code() })
    }

    /// Who was not read to the end, in words that follow others.
    fn unread(&self) -> String {
        let (late, silent): (Vec<usize>, Vec<usize>) =
            self.unfinished.iter().partition(|node| self.heard.get(**node).is_some_and(|heard| *heard));
        let mut words = String::new();
        for (nodes, how) in [(silent, "had not answered"), (late, "had not come to the end")] {
            if !nodes.is_empty() {
                let names = nodes.iter().filter_map(|node| self.nodes.get(*node));
                words.push_str(&format!("; {how}: {}", named(&names.map(String::as_str).collect::<Vec<_>>())));
            }
        }
        words
    }

    pub(super) fn warn_of_unread(&self, notices: &Notices, why: &str) {
        if !self.unfinished.is_empty() {
            notices.warning(format_args!("{why}{}", self.unread()));
        }
    }

    /// Tells the failures that were not told yet, those that are alike together, and each remedy once.
    pub(super) fn tell(&mut self, notices: &Notices) {
        if let Some(untold) = self.failures.get_mut(self.told..) {
            untold.sort_unstable_by_key(|(node, _)| *node);
        }
        let mut told: Vec<Alike<'_>> = Vec::new();
        for (node, error) in self.failures.iter().skip(self.told) {
            let name = self.nodes.get(*node).map_or("", String::as_str);
            let words = without_audit_id(&without_name(&error.chain(), name));
            match told.iter_mut().find(|alike| alike.words == words) {
                Some(alike) => alike.names.push(name),
                None => told.push(Alike { words, names: vec![name], error }),
            }
        }
        for Alike { names, error, .. } in told {
            let words = error.chain();
            match &*names {
                // What can't be read here says so by its name.
                [name] if self.of == FILES && words.contains(name) => notices.error_alone(&words),
                [name] => notices.error_alone(&format!("{name}: {words}")),
                [first, ..] => notices.error_alone(&format!("{}: {}", named(&names), without_name(&words, first))),
                [] => {}
            }
            if let Some(remedy) = error.remedy()
                && !self.remedies.iter().any(|known| known == remedy)
            {
                notices.remedy(remedy);
                self.remedies.push(remedy.to_owned());
            }
        }
        self.told = self.failures.len();
    }

    pub(super) fn sum_up(&self, notices: &Notices, took: Duration) {
        let all = self.nodes.len();
        let (bytes, done) = self.printed.map_or((self.bytes, "read"), |printed| (printed, "printed"));
        let bytes = format!("{} {done}", amount(bytes));
        let of = if all == 1 { self.of.trim_end_matches('s') } else { self.of };
        let took = go_duration(Duration::from_millis(u64::try_from(took.as_millis()).unwrap_or(u64::MAX)));
        match self.failures.len() {
            _ if !self.unfinished.is_empty() => {
                let whole = all - self.failures.len() - self.unfinished.len();
                notices.note(format_args!("{whole} of {all} {of} read to the end; {bytes} in {took}"));
            }
            0 => notices.note(format_args!("{all} {of}: {bytes} in {took}")),
            1 if all == 1 => notices.note(format_args!("1 {of} failed in {took}")),
            failed if failed == all && self.bytes == 0 => {
                notices.note(format_args!("{failed} of {all} {of} failed in {took}"));
            }
            failed if failed == all => {
                notices.note(format_args!("{failed} of {all} {of} failed, some after a part; {bytes} in {took}"));
            }
            failed => {
                notices.note(format_args!("{failed} of {all} {of} failed; {bytes} in {took}"));
            }
        }
    }
}

/// Failures that differ in nothing but whose they are.
struct Alike<'a> {
    words: String,
    names: Vec<&'a str>,
    /// The first of them.
    error: &'a Error,
}

/// Words with `NODE` for a node's name.
fn without_name(words: &str, name: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let mut generic = String::new();
    let mut rest = words;
    while let Some(at) = rest.find(name).filter(|_| !name.is_empty()) {
        let (before, found) = rest.split_at(at);
        let after = found.get(name.len()..).unwrap_or_default();
        let is_whole = !before.ends_with(is_part) && !after.starts_with(is_part);
        generic.push_str(before);
        generic.push_str(if is_whole { "NODE" } else { name });
        rest = after;
    }
    generic + rest
}

/// Words without the id that a server gives each request.
fn without_audit_id(words: &str) -> String {
    match words.split_once(" (audit id ") {
        Some((before, after)) => format!("{before}{}", after.split_once(')').map_or("", |(_, rest)| rest)),
        None => words.to_owned(),
    }
}

/// Names in a sentence: the first ones.
fn named(names: &[&str]) -> String {
    const NAMED: usize = 20;
    match names.get(..NAMED) {
        Some(first) if names.len() > NAMED => format!("{} and {} more", first.join(", "), names.len() - NAMED),
        _ => names.join(", "),
    }
}

/// Bytes in words.
pub(super) fn amount(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{}.{} kB", bytes / 1_000, bytes % 1_000 / 100),
        1_000_000..1_000_000_000 => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
        _ => format!("{}.{} GB", bytes / 1_000_000_000, bytes % 1_000_000_000 / 100_000_000),
    }
}
