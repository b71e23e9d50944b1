//! Lines that say the same but for names and numbers, counted: the many lines of many nodes on one page.
//!
//! A line's template is its message with everything replaced that changes from one occurrence to the next: quoted values,
//! numbers, ids, addresses, paths with digits. klog's lines are told apart by the place in the source they come from, too.

use std::collections::HashMap;

use crate::logs::klog::Severity;
use crate::logs::line::Line;
use crate::logs::record::Record;
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
        if line.is_marker() {
            return;
        }
        self.lines += 1;
        let record = Record::of(line);
        let key = (record.severity, template(&record));
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
fn template(record: &Record<'_>) -> String {
    let mut template = String::new();
    match &record.klog {
        Some(klog) => {
            template.push_str(&format!("{}:{} ", klog.file, klog.line));
            fill(&klog.msg, &mut template);
            for (name, value) in &klog.fields {
                // What failed is told by the words of the error, not by whom it concerns.
                if let ("err" | "error" | "reason", Some(words)) = (name.as_str(), value.as_str()) {
                    template.push_str(&format!(" {name}="));
                    fill(words, &mut template);
                }
            }
        }
        None => {
            if let Some(identifier) = &record.identifier {
                template.push_str(&format!("{identifier}: "));
            }
            fill(&String::from_utf8_lossy(record.message.get(..LOOKED_AT).unwrap_or(&record.message)), &mut template);
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
fn fill(text: &str, template: &mut String) {
    let line = text.lines().next().unwrap_or_default();
    let mut rest = line;
    while !rest.is_empty() && template.len() <= LONGEST {
        let (token, after) = token(rest);
        template.push_str(if changes(token) { HOLE } else { token });
        rest = after;
    }
}

/// A quoted text, a word, or a single other character.
fn token(text: &str) -> (&str, &str) {
    let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '@' | '+' | '~');
    let length = match text.chars().next() {
        Some('"') => text[1..].find('"').map_or(1, |end| end + 2),
        Some(c) if word(c) => text.find(|c| !word(c)).unwrap_or(text.len()),
        Some(c) => c.len_utf8(),
        None => 0,
    };
    text.split_at(length)
}

/// Whether a token is likely another one the next time: quoted, with a digit in it, or a path.
fn changes(token: &str) -> bool {
    token.len() > 1 && token.starts_with('"')
        || token.bytes().any(|b| b.is_ascii_digit())
        || token.contains('/') && token.len() > 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::layout::Head;
    use bytes::Bytes;

    fn line(at: i64, text: &str) -> Line {
        let at = Some(Timestamp::from_micros(at));
        Line { at, head: Head::of(text.as_bytes()), text: Bytes::copy_from_slice(text.as_bytes()), entry: None }
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
