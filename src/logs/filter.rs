//! Which entries are wanted: time window, patterns, severity, identifier, pod. Pure.

use regex_lite::{Regex, RegexBuilder};

use crate::error::{Error, Result};
use crate::logs::klog::Severity;
use crate::logs::kubelet::{Among, KubeletLines};
use crate::logs::line::Line;
use crate::logs::pod::PodLines;
use crate::logs::record;
use crate::time::Timestamp;

/// How far past the window's end entries are still looked at: sources stamp their lines a little before the journal
/// takes them, so neighbours may stand in the wrong order.
const DISORDER_MICROS: i64 = 60_000_000;

/// So many entries in a row past the window's end mean that nothing wanted follows.
const ENOUGH_PAST: u32 = 16;

/// What becomes of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Wanted.
    Keep,
    /// Not wanted.
    Drop,
    /// Not wanted, and so far past the window's end that nothing wanted follows.
    Past,
}

/// All conditions on an entry; the default lets everything through.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Not before this; inclusive.
    pub since: Option<Timestamp>,
    /// Not after this; inclusive.
    pub until: Option<Timestamp>,
    /// Whether `since` is no more than when the node came: what is written from the first look on is wanted, dated or not.
    pub joined: bool,
    /// At least one of these matches the message, if there are any.
    pub grep: Vec<Pattern>,
    /// None of these matches the message.
    pub exclude: Vec<Pattern>,
    /// At least this severe; an entry that shows no severity counts as info.
    pub severity: Option<Severity>,
    /// The same on syslog's scale, for entries whose priority is known: this or more urgent.
    pub level: Option<u8>,
    /// Written by one of these programs, if there are any.
    pub identifiers: Vec<String>,
    /// About this pod.
    pub pod: Option<PodLines>,
    /// Only the kubelet's of a log that holds others' as well.
    pub kubelet: Option<Among>,
    /// Whose the lines were that were read before what is read next, where that is known.
    pub before: Option<KubeletLines>,
    /// Whether any entry showed a severity, in the window or not, and whether any in the window showed none.
    pub saw_severity: bool,
    /// See there.
    pub saw_unmarked: bool,
    /// Whether an entry was dropped that shows none.
    pub dropped_unmarked: bool,
    /// Whether any entry carried a time: without one, a window could not be applied.
    pub saw_time: bool,
    /// Whether there was any entry.
    pub saw_entry: bool,
    /// The kubelet's process that wrote last, as far as the lines name it.
    pub process: Option<Process>,
    /// By which of `identifiers` any entry was written: a bit each, in their order.
    pub seen_identifiers: u64,
    /// Whether any entry was a supervisor's whose kubelet logs elsewhere.
    pub saw_supervisor: bool,
    /// How many entries in a row lay past the window's end.
    pub past: u32,
}

/// A process of the kubelet's, and from when to when its lines were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    pid: u32,
    /// The time of the first of them.
    pub first: Timestamp,
    /// The time of the last of them.
    pub last: Timestamp,
}

impl Process {
    /// Of `… kubelet[974]: …`.
    fn of(line: &Line) -> Option<Process> {
        let head = line.head?;
        let (from, to) = head.identifier;
        if line.text.get(from..to) != Some(b"kubelet") {
            return None;
        }
        let pid = line.text.get(to..head.message)?.strip_prefix(b"[")?.strip_suffix(b"]: ")?;
        let pid = std::str::from_utf8(pid).ok()?.parse().ok()?;
        Some(Process { pid, first: line.at?, last: line.at? })
    }
}

impl Filter {
    /// Whether entries need no more than their place in the stream: nothing is filtered by content or window.
    pub fn is_empty(&self) -> bool {
        !self.has_window() && !self.looks_at_content()
    }

    /// Whether only a window of time is wanted.
    pub fn has_window(&self) -> bool {
        self.since.is_some() || self.until.is_some()
    }

    /// Whether a log that has begun by this time begins before the window, so that nothing wanted precedes it.
    pub fn begins_after(&self, begun: Option<Timestamp>) -> bool {
        matches!((begun, self.since), (Some(begun), Some(since)) if begun < since)
    }

    /// Whether `severity` could be answered: where entries were judged by it, some that were read show theirs.
    pub fn tells_severities(&self) -> bool {
        self.saw_severity || !self.saw_unmarked
    }

    /// Whether any entry was written by one of `identifiers`.
    pub fn saw_identifier(&self) -> bool {
        self.seen_identifiers != 0
    }

    /// Whether any condition looks beyond the time.
    pub fn looks_at_content(&self) -> bool {
        !self.grep.is_empty()
            || !self.exclude.is_empty()
            || self.severity.is_some()
            || !self.identifiers.is_empty()
            || self.pod.is_some()
            || self.kubelet.is_some()
    }

    /// Judges one entry. Entries come in the log's order.
    pub fn judge(&mut self, line: &Line) -> Verdict {
        self.saw_time |= line.head.is_some();
        self.saw_entry = true;
        if let Some(process) = Process::of(line) {
            self.process = Some(match self.process {
                Some(known) if known.pid == process.pid => Process { last: process.last, ..known },
                _ => process,
            });
        }
        if !self.identifiers.is_empty() {
            let (from, to) = line.head.map_or((0, 0), |head| head.identifier);
            let identifier = line.text.get(from..to).unwrap_or_default();
            let Some(place) = self.identifiers.iter().position(|wanted| wanted.as_bytes() == identifier) else {
                return Verdict::Drop;
            };
            self.seen_identifiers |= 1 << (place % 64);
        }
        if self.severity.is_some() && !self.saw_severity {
            self.saw_severity = severities(line) != (None, None);
        }
        if let Some(at) = line.at {
            if let Some(until) = self.until
                && at > until
            {
                // One entry with a wrong clock does not end the window; a row of them does.
                let far = at.as_micros().saturating_sub(until.as_micros()) > DISORDER_MICROS;
                self.past = if far { self.past + 1 } else { 0 };
                return if self.past >= ENOUGH_PAST { Verdict::Past } else { Verdict::Drop };
            }
            self.past = 0;
            if self.since.is_some_and(|since| at < since) {
                return Verdict::Drop;
            }
        } else if self.since.is_some() {
            // Before the first time of all: what these lines belong to lies before the window.
            return Verdict::Drop;
        }
        if !self.looks_at_content() || self.wants(line) { Verdict::Keep } else { Verdict::Drop }
    }

    fn wants(&mut self, line: &Line) -> bool {
        if let Some(least) = self.severity {
            let (severity, level) = severities(line);
            let is_unmarked = severity.is_none() && level.is_none();
            self.saw_unmarked |= is_unmarked;
            // journald takes a program's word for it only where the program speaks its protocol; a kubelet's lines are all "info".
            let urgent = level.zip(self.level).is_some_and(|(level, most)| level <= most);
            if severity.unwrap_or(Severity::Info) < least && !urgent {
                self.dropped_unmarked |= is_unmarked;
                return false;
            }
        }
        if !self.grep.is_empty() || !self.exclude.is_empty() {
            let message = line.dedented();
            if !self.grep.is_empty() && !self.grep.iter().any(|pattern| pattern.matches(&message)) {
                return false;
            }
            if self.exclude.iter().any(|pattern| pattern.matches(&message)) {
                return false;
            }
        }
        self.pod.as_mut().is_none_or(|pod| pod.mentions(line.message()))
    }
}

/// How severe an entry is by its text, and by the journal.
fn severities(line: &Line) -> (Option<Severity>, Option<u8>) {
    (record::severity(line.message()), line.entry.as_ref().and_then(|entry| entry.priority()))
}

/// A `--grep` or `--exclude` pattern: regex-lite's syntax; all-lowercase ignores ASCII case.
#[derive(Clone, Debug)]
pub struct Pattern {
    source: String,
    ignore_case: bool,
    kind: PatternKind,
}

#[derive(Clone, Debug)]
enum PatternKind {
    /// No metacharacter, case counts: searched at memory speed.
    Exact(Box<memchr::memmem::Finder<'static>>),
    /// No metacharacter, case ignored; lower case.
    Caseless(Vec<u8>),
    Regex(Regex),
}

impl Pattern {
    /// Compiles a pattern; `case_sensitive` overrides what its letters say.
    pub fn new(source: &str, case_sensitive: Option<bool>) -> Result<Pattern> {
        let ignore_case = !case_sensitive.unwrap_or_else(|| source.chars().any(|c| c.is_ascii_uppercase()));
        let kind = if !is_literal(source) {
            let regex = RegexBuilder::new(source).case_insensitive(ignore_case).build().map_err(|cause| {
                Error::usage(format!("pattern {source:?}")).because(cause).hint(
                    "patterns are regular expressions without look-around and backreferences; escape special characters with \\",
                )
            })?;
            PatternKind::Regex(regex)
        } else if ignore_case {
            PatternKind::Caseless(source.to_ascii_lowercase().into_bytes())
        } else {
            PatternKind::Exact(Box::new(memchr::memmem::Finder::new(source.as_bytes()).into_owned()))
        };
        Ok(Pattern { source: source.to_owned(), ignore_case, kind })
    }

    /// Whether it occurs in a message.
    pub fn matches(&self, message: &[u8]) -> bool {
        match &self.kind {
            PatternKind::Exact(finder) => finder.find(message).is_some(),
            PatternKind::Caseless(needle) => find_caseless(message, needle),
            PatternKind::Regex(regex) => regex.is_match(&String::from_utf8_lossy(message)),
        }
    }

    /// The pattern to ask of the server, where its answer can only hold more than ours: a plain word without
    /// characters that PCRE, Go or journalctl's own preparation of a message could read differently.
    pub fn for_server(&self) -> Option<String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_:/=@-".contains(c);
        let pushable =
            !matches!(self.kind, PatternKind::Regex(_)) && self.source.len() < 256 && self.source.chars().all(plain);
        // journalctl ignores case exactly where there is no capital letter.
        pushable.then(|| if self.ignore_case { self.source.to_ascii_lowercase() } else { self.source.clone() })
    }
}

fn is_literal(pattern: &str) -> bool {
    !pattern.is_empty() && !pattern.bytes().any(|b| br"\.+*?()|[]{}^$#&-~".contains(&b) && b != b'-')
}

fn find_caseless(haystack: &[u8], needle: &[u8]) -> bool {
    let Some(&first) = needle.first() else { return true };
    let mut from = 0;
    while let Some(rest) = haystack.get(from..)
        && let Some(at) = memchr::memchr2(first, first.to_ascii_uppercase(), rest)
    {
        match rest.get(at..at + needle.len()) {
            Some(candidate) if candidate.eq_ignore_ascii_case(needle) => return true,
            Some(_) => from += at + 1,
            None => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    use crate::logs::layout::Head;

    fn line(text: &str, at: i64) -> Line {
        Line {
            at: Some(Timestamp::from_micros(at)),
            ..Line::new(Head::of(text.as_bytes()), Bytes::copy_from_slice(text.as_bytes()))
        }
    }

    fn pattern(source: &str) -> Pattern {
        Pattern::new(source, None).unwrap()
    }

    #[test]
    fn both_ends_of_a_window_are_inclusive_to_the_microsecond() {
        let mut filter = Filter {
            since: Some(Timestamp::from_micros(10)),
            until: Some(Timestamp::from_micros(20)),
            ..Filter::default()
        };
        let verdicts = [9, 10, 20, 21].map(|at| filter.judge(&line("x\n", at)));
        assert_eq!(verdicts, [Verdict::Drop, Verdict::Keep, Verdict::Keep, Verdict::Drop]);
    }

    #[test]
    fn a_row_of_entries_past_the_end_ends_the_window_and_one_wrong_clock_does_not() {
        let until = Some(Timestamp::from_micros(-20));
        let mut filter = Filter { until, ..Filter::default() };
        for wrong in [21 + DISORDER_MICROS, i64::MAX] {
            assert_eq!(filter.judge(&line("x\n", wrong)), Verdict::Drop);
            assert_eq!(filter.judge(&line("x\n", -30)), Verdict::Keep);
        }
        let row: Vec<Verdict> = (0..ENOUGH_PAST).map(|_| filter.judge(&line("x\n", 21 + DISORDER_MICROS))).collect();
        assert_eq!(row.last(), Some(&Verdict::Past));
        assert_eq!(row.iter().filter(|verdict| **verdict == Verdict::Past).count(), 1);
    }

    #[test]
    fn severities_are_judged_by_all_that_was_read() {
        let at = |micros| Some(Timestamp::from_micros(micros));
        let new = || Filter { severity: Some(Severity::Error), since: at(10), until: at(20), ..Filter::default() };
        let klog = "I1114 22:13:20.000001    1 a.go:1] x\n";
        let json = "{\"ts\":1795230432123.456,\"msg\":\"x\",\"err\":\"y\"}\r\n";
        for (lines, wanted, answered) in [
            (&[][..], 0, true),
            (&[("plain\n", 1)], 0, true),
            (&[("plain\n", 15)], 0, false),
            (&[("plain\n", 15), (klog, 1)], 0, true),
            (&[(klog, 21), ("plain\n", 15)], 0, true),
            (&[(json, 15), ("plain\n", 15)], 1, true),
        ] {
            let mut filter = new();
            let kept = lines.iter().filter(|(text, at)| filter.judge(&line(text, *at)) == Verdict::Keep).count();
            assert_eq!((kept, filter.tells_severities()), (wanted, answered), "{lines:?}");
        }
    }

    #[test]
    fn case_counts_only_with_a_capital_or_when_told() {
        for (source, sensitive, text, expected) in [
            ("error", None, "an ERROR", true),
            ("Error", None, "an error", false),
            ("Error", Some(false), "an error", true),
            ("error", Some(true), "an ERROR", false),
            ("err.r", None, "an ERROR", true),
            ("Err.r", None, "an ERROR", false),
            ("errorx", None, "an ERROR", false),
            ("eerror", None, "eeeERROR", true),
            ("a|b", None, "xB", true),
            ("ü", None, "ü", true),
        ] {
            let pattern = Pattern::new(source, sensitive).unwrap();
            assert_eq!(pattern.matches(text.as_bytes()), expected, "{source} {sensitive:?} in {text}");
        }
        assert!(pattern("x").matches(b"\xff\xfex"), "bytes that are no text");
        assert!(Pattern::new("(?=x)", None).is_err() && Pattern::new("(", None).is_err());
    }

    #[test]
    fn a_pattern_sees_the_message_with_its_continuation_and_without_the_prefix() {
        let text = "Nov 14 22:13:20.000001 n k[1]: panic: x\n                               main.main()\n";
        let entry = line(text, 0);
        for (source, expected) in
            [("^panic: x\nmain", true), ("main\\(\\)$", true), ("k\\[1\\]", false), ("Nov 14", false)]
        {
            let mut filter = Filter { grep: vec![pattern(source)], ..Filter::default() };
            assert_eq!(filter.judge(&entry) == Verdict::Keep, expected, "{source:?}");
        }
    }

    #[test]
    fn exclude_wins_over_grep_and_several_patterns_are_alternatives() {
        let mut filter =
            Filter { grep: vec![pattern("one"), pattern("two")], exclude: vec![pattern("not")], ..Filter::default() };
        let verdicts = ["one", "two", "not one", "three"].map(|text| filter.judge(&line(text, 0)) == Verdict::Keep);
        assert_eq!(verdicts, [true, true, false, false]);
    }

    #[test]
    fn severities_are_at_least_and_the_unmarked_count_as_info() {
        let mut filter = Filter { severity: Some(Severity::Warning), ..Filter::default() };
        let lines = [
            "W1121 03:07:12.123456 1 a.go:1] x",
            "I1121 03:07:12.123456 1 a.go:1] x",
            "F1121 03:07:12.123456 1 a.go:1] x",
            "x",
        ];
        assert_eq!(lines.map(|text| filter.judge(&line(text, 0)) == Verdict::Keep), [true, false, true, false]);
        assert!(filter.saw_severity);
    }

    #[test]
    fn only_plain_words_are_left_to_the_server() {
        for (source, sensitive, asked) in [
            ("panic", None, Some("panic")),
            ("Panic", None, Some("Panic")),
            ("Panic", Some(false), Some("panic")),
            ("panic", Some(true), Some("panic")),
            ("two words", None, None),
            ("a.b", None, None),
            ("é", None, None),
        ] {
            assert_eq!(Pattern::new(source, sensitive).unwrap().for_server().as_deref(), asked, "{source}");
        }
    }
}
