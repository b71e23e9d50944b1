//! Lines that say the same but for names and numbers, counted: the many lines of many nodes on one page.
//!
//! A line's template is its message with everything replaced that changes from one occurrence to the next: quoted values,
//! numbers, ids, addresses, paths with digits. klog's lines are told apart by the place in the source they come from, too.

use std::collections::HashMap;

use crate::logs::klog::Severity;
use crate::logs::line::Line;
use crate::logs::record::{Lead, Parts, Record, Value};
use crate::time::Timestamp;

/// Templates that are counted one by one; what comes after that many is counted together.
const MOST: usize = 10_000;
/// Bytes of a template.
const LONGEST: usize = 300;
/// Bytes of a line's message that are looked at.
const LOOKED_AT: usize = 4096;

/// What stands in place of what changes.
const HOLE: &str = "*";

/// The lines so far.
#[derive(Debug, Default)]
pub struct Digest {
    rows: HashMap<(Option<Severity>, String), Row>,
    /// Lines whose template is one too many.
    rest: Option<Row>,
    lines: u64,
}

/// One template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// How severe its writers took it, where the lines show it.
    pub severity: Option<Severity>,
    /// The source place and the message with holes; empty for the lines of all templates beyond the most that are told apart.
    pub template: String,
    /// How many lines.
    pub count: u64,
    /// The first and the last of them in time, where they have times.
    pub span: Option<(Timestamp, Timestamp)>,
    nodes: Vec<u64>,
}

impl Row {
    /// The nodes it came from, by their places in the list.
    pub fn nodes(&self) -> impl Iterator<Item = usize> {
        (0..self.nodes.len() * 64).filter(|node| self.nodes[node / 64] >> (node % 64) & 1 == 1)
    }

    fn add(&mut self, node: usize, at: Option<Timestamp>) {
        self.count += 1;
        if self.nodes.len() <= node / 64 {
            self.nodes.resize(node / 64 + 1, 0);
        }
        self.nodes[node / 64] |= 1 << (node % 64);
        self.span = match (self.span, at) {
            (Some((first, last)), Some(at)) => Some((first.min(at), last.max(at))),
            (span, at) => span.or(at.map(|at| (at, at))),
        };
    }
}

impl Digest {
    /// Counts an entry of the node at this place in the list.
    pub fn add(&mut self, node: usize, line: &Line) {
        if !line.is_entry() {
            return;
        }
        self.lines += 1;
        let message = line.dedented();
        let record = Record::of(line, &message);
        let key = (record.severity, template(&record, &message));
        let room = self.rows.len() < MOST;
        let new = |(severity, template): &(Option<Severity>, String)| Row {
            severity: *severity,
            template: template.clone(),
            count: 0,
            span: None,
            nodes: Vec::new(),
        };
        let row = match self.rows.get_mut(&key) {
            Some(row) => row,
            None if room => {
                let row = new(&key);
                self.rows.entry(key).or_insert(row)
            }
            None => self.rest.get_or_insert_with(|| new(&(None, String::new()))),
        };
        row.add(node, line.at);
    }

    /// How many entries were counted.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// All templates: the most severe first, then the most frequent, then the earliest.
    pub fn rows(self) -> Vec<Row> {
        let mut rows: Vec<Row> = self.rows.into_values().collect();
        rows.sort_by(|a, b| {
            let first = |row: &Row| row.span.map(|(first, _)| first);
            (b.severity, b.count, first(a), &a.template).cmp(&(a.severity, a.count, first(b), &b.template))
        });
        rows.extend(self.rest);
        rows
    }
}

/// The message with holes.
fn template(record: &Record<'_>, message: &[u8]) -> String {
    let mut template = String::new();
    match (&record.parts, record.identifier) {
        (Some(Parts { lead: Lead::Klog { file, line, .. }, .. }), _) => {
            template.push_str(&String::from_utf8_lossy(file));
            template.push_str(&format!(":{} ", line.unwrap_or_default()));
        }
        (_, Some(identifier)) => {
            template.push_str(&String::from_utf8_lossy(identifier));
            template.push_str(": ");
        }
        _ => {}
    }
    fill(record.parts.as_ref().map_or(message, |parts| &parts.msg), &mut template);
    for (name, value) in record.parts.iter().flat_map(|parts| &parts.fields) {
        // What failed is told by the words of the error, not by whom it concerns.
        if let (b"err" | b"error" | b"reason", Value::Text(words)) = (&**name, value) {
            template.push_str(&format!(" {}=", String::from_utf8_lossy(name)));
            fill(words, &mut template);
        }
    }
    if template.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|end| template.is_char_boundary(*end)).unwrap_or(0);
        template.truncate(end);
        template.push('…');
    }
    template
}

/// Appends the words of the first line, those that change replaced.
fn fill(text: &[u8], template: &mut String) {
    let text = String::from_utf8_lossy(text.get(..LOOKED_AT).unwrap_or(text));
    let mut rest = text.lines().next().unwrap_or_default();
    while !rest.is_empty() && template.len() <= LONGEST {
        let (token, after) = rest.split_at(token(rest.as_bytes()));
        template.push_str(if changes(token.as_bytes()) { HOLE } else { token });
        rest = after;
    }
}

/// How long a quoted text, a word, or a single other character at the start is; cut between characters.
fn token(text: &[u8]) -> usize {
    let is_word = |b: &u8| b.is_ascii_alphanumeric() || b"_-./@+~".contains(b) || !b.is_ascii();
    match text.first() {
        Some(b'"') => closing(text).map_or(1, |end| end + 1),
        Some(first) if is_word(first) => text.iter().position(|b| !is_word(b)).unwrap_or(text.len()),
        _ => 1,
    }
}

/// Where the quotation mark is that closes the one at the start.
fn closing(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match text.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Whether a token is likely another one the next time: quoted, with a digit in it, or a path.
fn changes(token: &[u8]) -> bool {
    token.len() > 1 && token.iter().any(|b| matches!(b, b'"' | b'/' | b'0'..=b'9'))
        || token.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::layout::Head;
    use bytes::Bytes;

    fn line(at: i64, text: &str) -> Line {
        let at = Some(Timestamp::from_micros(at));
        Line { at, ..Line::new(Head::of(text.as_bytes()), Bytes::copy_from_slice(text.as_bytes())) }
    }

    #[test]
    fn lines_that_differ_in_names_and_numbers_are_one() {
        let mut digest = Digest::default();
        for (node, at) in [(0, 5), (70, 3), (0, 9)] {
            let text = format!(
                "E1121 03:07:12.123456 {at} a.go:12] \"Error syncing pod\" pod=\"ns/p{at}\" err=\"failed to pull image \\\"x:{at}\\\"\"\n"
            );
            digest.add(node, &line(at, &text));
        }
        digest.add(1, &line(4, "Nov 21 03:07:12.123456 n containerd[12]: sandbox 0123abcd of ns/x is gone\n"));
        digest.add(1, &line(4, "-- Boot 0123 --\n"));
        assert_eq!(digest.lines(), 4);
        let rows = digest.rows();
        assert_eq!(rows.len(), 2, "{rows:?}");
        assert_eq!(rows[0].template, "a.go:12 Error syncing pod err=failed to pull image *");
        assert_eq!((rows[0].count, rows[0].nodes().collect::<Vec<_>>()), (3, vec![0, 70]));
        assert_eq!(rows[0].span.map(|(first, last)| (first.as_micros(), last.as_micros())), Some((3, 9)));
        assert_eq!(rows[1].template, "containerd: sandbox * of * is gone");
    }

    #[test]
    fn a_runtimes_lines_are_told_apart_by_their_words() {
        let mut digest = Digest::default();
        for (node, msg) in
            [(0, "StopPodSandbox \\\"ab12\\\" failed"), (1, "StopPodSandbox \\\"cd34\\\" failed"), (2, "disk full")]
        {
            let text = format!(
                "time=\"2026-11-21T03:07:1{node}Z\" level=error msg=\"{msg}\" error=\"of {node}: \\\"y\\\"\"\n"
            );
            digest.add(node, &line(1, &text));
            digest.add(node, &line(1, &format!("Nov 21 03:07:12.123456 n containerd[12]: {text}")));
        }
        // What is in no known form keeps its quoted values in one piece, whatever is quoted in them.
        digest.add(0, &line(1, "msg=\"a \\\"b\\\" c\" tail\n"));
        let rows = digest.rows();
        let templates: Vec<_> = rows.iter().map(|row| (row.severity, row.count, row.template.as_str())).collect();
        let error = Some(Severity::Error);
        assert_eq!(
            templates,
            [
                (error, 2, "StopPodSandbox * failed error=of *: *"),
                (error, 2, "containerd: StopPodSandbox * failed error=of *: *"),
                (error, 1, "containerd: disk full error=of *: *"),
                (error, 1, "disk full error=of *: *"),
                (None, 1, "msg=* tail"),
            ]
        );
    }

    #[test]
    fn the_worst_and_most_frequent_come_first_and_memory_is_bounded() {
        let mut digest = Digest::default();
        for n in 0..MOST as i64 + 50 {
            let letters: String = n.to_string().bytes().map(|digit| char::from(digit + b'a' - b'0')).collect();
            digest.add(0, &line(n, &format!("I1121 03:07:12.123456 1 a.go:1] message {letters}\n")));
        }
        digest.add(0, &line(1, "W1121 03:07:12.123456 1 a.go:1] message a\n"));
        let rows = digest.rows();
        assert_eq!(rows.len(), MOST + 1);
        assert_eq!(rows.last().map(|row| (row.template.as_str(), row.count)), Some(("", 51)));
        let mut digest = Digest::default();
        for (severity, word) in [("I", "often"), ("I", "often"), ("I", "once"), ("F", "once"), ("W", "x")] {
            digest.add(0, &line(1, &format!("{severity}1121 03:07:12.123456 1 a.go:1] {word}\n")));
        }
        let rows = digest.rows();
        let order: Vec<(Option<Severity>, u64)> = rows.iter().map(|row| (row.severity, row.count)).collect();
        let expected = [(Severity::Fatal, 1), (Severity::Warning, 1), (Severity::Info, 2), (Severity::Info, 1)];
        assert_eq!(order, expected.map(|(severity, count)| (Some(severity), count)));
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let mut digest = Digest::default();
        digest.add(0, &line(1, &format!("Nov 21 03:07:12.123456 n a[1]: {}\n", "é ".repeat(1000))));
        let rows = digest.rows();
        assert!(rows[0].template.ends_with('…') && rows[0].template.len() < LONGEST + 10);
    }
}
