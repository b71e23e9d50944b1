//! Text: lines as the nodes wrote them, with what was asked for in front.

use std::ops::ControlFlow;

use crate::format::{Limits, color};
use crate::logs::line::Line;
use crate::logs::outlet::Event;
use crate::output::Output;
use crate::sanitize;
use crate::time::{Rfc3339, Zone};

/// How entries are written.
#[derive(Clone, Debug, Default)]
pub struct Style {
    /// RFC 3339 in this zone in front of each line.
    pub timestamps: Option<Zone>,
    /// Where a line's node is told.
    pub names: Names,
    /// Whether names have colours.
    pub color: bool,
    /// Whether bytes go to a terminal as they are, control characters and all.
    pub raw: bool,
}

/// Where a line's node is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// Nowhere.
    #[default]
    Untold,
    /// In front of each line.
    Prefix,
    /// In a line of its own before a node's first line: `==> NODE <==`.
    Header,
}

/// Writes entries as text.
pub struct Text<'o> {
    output: &'o mut Output,
    style: Style,
    /// Each node's name, as written in front of a line or in a header.
    nodes: Vec<String>,
    /// Names in front of lines take so many columns.
    width: usize,
    /// Of which node something was written last.
    last: Option<usize>,
}

impl<'o> Text<'o> {
    /// For these nodes, in this style.
    pub fn new(output: &'o mut Output, nodes: &[String], style: Style) -> Self {
        let width = nodes.iter().map(String::len).max().unwrap_or_default();
        let mut text = Text { output, style, nodes: Vec::with_capacity(nodes.len()), width, last: None };
        nodes.iter().for_each(|node| text.joined(node));
        text
    }

    /// One more node, behind the others in the list.
    pub fn joined(&mut self, name: &str) {
        let coloured = if self.style.color { color::of_name(name) } else { name.to_owned() };
        let shown = match self.style.names {
            Names::Prefix => format!("{coloured}{} ", " ".repeat(self.width.saturating_sub(name.len()))),
            _ => coloured,
        };
        self.nodes.push(shown);
    }

    /// What has come of the node at this place in the list.
    pub fn event(&mut self, limits: &mut Limits, node: usize, event: &Event) -> ControlFlow<()> {
        self.head(node);
        match event {
            // Only for a style that looks at nothing.
            Event::Bytes(bytes) => self.output.bytes(bytes),
            Event::Lines(lines) => self.lines(limits, node, lines),
        }
    }

    /// Where it writes to.
    pub fn output(&mut self) -> &mut Output {
        self.output
    }

    /// Writes out what is buffered.
    pub fn flush(&mut self) -> ControlFlow<()> {
        self.output.flush()
    }

    fn lines(&mut self, limits: &mut Limits, number: usize, lines: &[Line]) -> ControlFlow<()> {
        let plain = self.style.timestamps.is_none() && !limits.is_set() && !self.sanitizes();
        for line in lines {
            if plain && self.style.names != Names::Prefix {
                self.output.put(&line.text);
            } else {
                self.line(limits, number, line)?;
            }
        }
        self.output.state()
    }

    fn line(&mut self, limits: &mut Limits, number: usize, line: &Line) -> ControlFlow<()> {
        let sanitizes = self.sanitizes();
        let name = self.nodes.get(number).filter(|_| self.style.names == Names::Prefix).map_or("", String::as_str);
        let mut buffer = [0; Rfc3339::MAX_LEN];
        let stamp = match (&self.style.timestamps, line.at) {
            (Some(zone), Some(at)) => at.rfc3339_in(zone).encode(&mut buffer),
            _ => &[],
        };
        let mut rest = &line.text[..];
        while !rest.is_empty() {
            let (part, after) = rest.split_at(memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1));
            rest = after;
            let safe = if sanitizes { sanitize::bytes(part) } else { part.into() };
            // The end of a file may be no line end; another node's line must not go on there.
            let end: &[u8] = if name.is_empty() || safe.last() == Some(&b'\n') { b"" } else { b"\n" };
            let length = (name.len() + safe.len() + end.len() + stamp.len() + usize::from(!stamp.is_empty())) as u64;
            if !limits.take(number, length) {
                return ControlFlow::Continue(());
            }
            self.output.put(name.as_bytes());
            if !stamp.is_empty() {
                self.output.put(stamp);
                self.output.put(b" ");
            }
            self.output.put(&safe);
            if !end.is_empty() {
                self.output.put(end);
            }
        }
        self.output.state()
    }

    /// Where this is another node than before: ends the other's line, which may have no end, and writes the header.
    fn head(&mut self, number: usize) {
        if self.last == Some(number) {
            return;
        }
        let is_first = self.last.replace(number).is_none();
        if !is_first && !self.output.at_line_start() {
            self.output.put(b"\n");
        }
        if let Some(node) = self.nodes.get(number).filter(|_| self.style.names == Names::Header) {
            let gap = if is_first { "" } else { "\n" };
            self.output.put(format!("{gap}==> {node} <==\n").as_bytes());
        }
    }

    fn sanitizes(&self) -> bool {
        self.output.is_terminal() && !self.style.raw
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::testing::Sink;
    use crate::time::Timestamp;
    use bytes::Bytes;

    fn line(text: &'static str) -> Line {
        let at = Some(Timestamp::parse_rfc3339("2026-11-21T03:07:12.5Z").unwrap());
        Line { at, ..Line::new(None, Bytes::from_static(text.as_bytes())) }
    }

    /// What is printed of these entries, each of the node of its number, and which nodes were cut.
    fn printed(terminal: bool, style: Style, lines: &[(usize, Line)]) -> (String, Vec<usize>) {
        printed_up_to(None, terminal, style, lines)
    }

    fn printed_up_to(
        limit: Option<u64>,
        terminal: bool,
        style: Style,
        lines: &[(usize, Line)],
    ) -> (String, Vec<usize>) {
        let mut limits = Limits::new(limit);
        let sink = Sink::default();
        let mut output = Output::new(Box::new(sink.clone()), terminal);
        let nodes: Vec<String> = lines
            .iter()
            .map(|(node, _)| *node)
            .max()
            .map_or(Vec::new(), |most| (0..=most).map(|number| format!("n{}", "x".repeat(number))).collect());
        let mut text = Text::new(&mut output, &nodes, style);
        for (node, line) in lines {
            if text.event(&mut limits, *node, &Event::Lines(vec![line.clone()])).is_break() {
                break;
            }
        }
        let cut = limits.cut().map(|(node, _)| node).collect();
        output.finish().unwrap();
        (sink.text(), cut)
    }

    #[test]
    fn every_line_of_an_entry_gets_its_time_and_its_node() {
        let style = Style { timestamps: Some(Zone::Utc), ..Style::default() };
        let (text, _) = printed(false, style.clone(), &[(0, line("a\n  b\n")), (0, line("c"))]);
        let stamp = "2026-11-21T03:07:12.500000Z";
        assert_eq!(text, format!("{stamp} a\n{stamp}   b\n{stamp} c"));
        let style = Style { names: Names::Prefix, ..style };
        let (text, _) = printed(false, style, &[(0, line("a\n  b\n")), (1, line("c")), (0, line("d\n"))]);
        assert_eq!(text, format!("n  {stamp} a\nn  {stamp}   b\nnx {stamp} c\nn  {stamp} d\n"));
    }

    #[test]
    fn another_nodes_line_never_goes_on_a_line_without_end() {
        let lines = [(0, line("a\n")), (0, line("half")), (1, line("three\n")), (0, line("end"))];
        for names in [Names::Untold, Names::Prefix] {
            for timestamps in [None, Some(Zone::Utc)] {
                let raw = timestamps.is_none();
                let (text, _) = printed(false, Style { names, timestamps, raw, ..Style::default() }, &lines);
                let ends =
                    |end: &str| text.lines().any(|line| line.ends_with(end) && !line.contains(&format!("half{end}")));
                assert!(text.lines().count() == 4 && ends("half") && ends("three"), "{text:?}");
            }
        }
        let (text, _) = printed(false, Style::default(), &lines);
        assert_eq!(text, "a\nhalf\nthree\nend");
    }

    #[test]
    fn a_header_stands_before_a_nodes_first_line() {
        let style = Style { names: Names::Header, ..Style::default() };
        let lines = [(0, line("a\n")), (0, line("b\n")), (1, line("no end")), (2, line("c\n"))];
        let (text, _) = printed(false, style, &lines);
        assert_eq!(text, "==> n <==\na\nb\n\n==> nx <==\nno end\n\n==> nxx <==\nc\n");
    }

    #[test]
    fn the_limit_cuts_each_node_at_a_line_end() {
        let printed = |limit, lines: &[(usize, Line)]| printed_up_to(Some(limit), false, Style::default(), lines);
        let lines = [(0, line("one\n")), (0, line("two\n"))];
        assert_eq!(printed(8, &lines), ("one\ntwo\n".into(), vec![]));
        assert_eq!(printed(7, &lines), ("one\n".into(), vec![0]));
        assert_eq!(printed(3, &lines), (String::new(), vec![0]));
        let both = [(0, line("one\n")), (0, line("two\n")), (1, line("three\n")), (0, line("four\n"))];
        assert_eq!(printed(6, &both), ("one\nthree\n".into(), vec![0]));
    }

    #[test]
    fn only_a_terminal_gets_neutralised_text_and_only_unless_raw() {
        let lines = [(0, line("a\x1b[2J\n"))];
        assert_eq!(printed(false, Style::default(), &lines).0, "a\x1b[2J\n");
        assert_eq!(printed(true, Style::default(), &lines).0, "a\\x1b[2J\n");
        assert_eq!(printed(true, Style { raw: true, ..Style::default() }, &lines).0, "a\x1b[2J\n");
    }
}
