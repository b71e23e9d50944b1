//! The digest as a table: how often, on which nodes, from when to when, and the template.

use std::ops::ControlFlow;

use crate::args::Severity;
use crate::insight::digest::{Digest, Row};
use crate::logs::outlet::Event;
use crate::output::Output;
use crate::sanitize;

/// Nodes named in a row; of more it says how many.
const NAMED: usize = 3;
/// The same, of those that failed.
const FAILED: usize = 20;

/// Collects a digest and prints it at the end.
pub struct Table<'o> {
    output: &'o mut Output,
    nodes: &'o [String],
    digest: Digest,
    /// Nodes of which not all was read.
    failed: Vec<usize>,
}

impl<'o> Table<'o> {
    /// For these nodes.
    pub fn new(output: &'o mut Output, nodes: &'o [String]) -> Self {
        Table { output, nodes, digest: Digest::default(), failed: Vec::new() }
    }

    /// A node has ended, and all of it was read or not.
    pub fn ended(&mut self, node: usize, whole: bool) -> ControlFlow<()> {
        self.failed.extend((!whole).then_some(node));
        ControlFlow::Continue(())
    }

    /// What has come of the node at this place in the list.
    pub fn event(&mut self, node: usize, event: &Event) -> ControlFlow<()> {
        if let Event::Lines(lines) = event {
            lines.iter().for_each(|line| self.digest.add(node, line));
        }
        self.output.state()
    }

    /// Prints it.
    pub fn finish(self) {
        let Table { output, nodes, digest, mut failed } = self;
        if digest.lines() == 0 {
            return;
        }
        let lines = digest.lines();
        let rows = digest.rows();
        let entries = if lines == 1 { "entry" } else { "entries" };
        let templates = if rows.len() == 1 { "template" } else { "templates" };
        failed.sort_unstable();
        let all = format!("{} {}", nodes.len(), if nodes.len() == 1 { "node" } else { "nodes" });
        let of = match failed.len() {
            0 => all,
            count => format!("{} of {all} (failed: {})", nodes.len() - count, names(&failed, nodes, FAILED)),
        };
        let _ = output.text(&format!("{lines} {entries} of {of}, {} {templates}\n", rows.len()));
        let shown: Vec<[String; 5]> = rows.iter().map(|row| cells(row, nodes)).collect();
        let heads = ["COUNT", "SEVERITY", "FIRST", "LAST", "NODES"].map(str::to_owned);
        let mut widths = [0; 5];
        for cells in shown.iter().chain([&heads]) {
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let _ = output.text(&line(&heads, &widths, "TEMPLATE"));
        for (cells, row) in shown.iter().zip(&rows) {
            let template = if row.template.is_empty() { "(all others)" } else { &row.template };
            if output.text(&line(cells, &widths, &sanitize::text(template))).is_break() {
                return;
            }
        }
    }
}

fn cells(row: &Row, nodes: &[String]) -> [String; 5] {
    let severity = match row.severity {
        Some(Severity::Fatal) => "fatal",
        Some(Severity::Error) => "error",
        Some(Severity::Warning) => "warning",
        Some(Severity::Info) => "info",
        None => "-",
    };
    let at = |pick: fn((crate::time::Timestamp, crate::time::Timestamp)) -> crate::time::Timestamp| {
        row.span.map_or("-".to_owned(), |span| {
            format!("{}Z", pick(span).rfc3339().to_string().get(..19).unwrap_or_default())
        })
    };
    let of: Vec<usize> = row.nodes().collect();
    [row.count.to_string(), severity.to_owned(), at(|span| span.0), at(|span| span.1), names(&of, nodes, NAMED)]
}

/// The first names, and how many more there are.
fn names(of: &[usize], nodes: &[String], most: usize) -> String {
    let named: Vec<&str> = of.iter().take(most).filter_map(|node| nodes.get(*node)).map(String::as_str).collect();
    let more = if of.len() > most { format!(" +{}", of.len() - most) } else { String::new() };
    format!("{}{more}", named.join(","))
}

fn line(cells: &[String; 5], widths: &[usize; 5], template: &str) -> String {
    let mut line = String::new();
    for (number, (cell, width)) in cells.iter().zip(widths).enumerate() {
        // Numbers end in a column, words begin in one.
        line.push_str(&if number == 0 { format!("{cell:>width$}  ") } else { format!("{cell:<width$}  ") });
    }
    line + template + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::layout::Head;
    use crate::logs::line::Line;
    use crate::output::testing::Sink;
    use crate::time::Timestamp;
    use bytes::Bytes;

    #[test]
    fn the_table_says_how_often_where_and_when() {
        let sink = Sink::default();
        let mut output = Output::new(Box::new(sink.clone()), false);
        let nodes: Vec<String> = (0..5).map(|n| format!("node-{n}")).collect();
        let mut table = Table::new(&mut output, &nodes);
        let mut add = |node: usize, at: &str, text: &str| {
            let at = Timestamp::parse_rfc3339(at);
            let line = Line { at, ..Line::new(Head::of(text.as_bytes()), Bytes::copy_from_slice(text.as_bytes())) };
            let _ = table.event(node, &Event::Lines(vec![line]));
        };
        for node in 0..5 {
            add(
                node,
                &format!("2026-11-21T03:07:1{node}.5Z"),
                "W1121 03:07:12.123456 1 a.go:1] \"full\" disk=\"/a\"\n",
            );
        }
        add(1, "2026-11-21T03:00:00Z", "I1121 03:07:12.123456 1 b.go:22] started in 3s\n");
        table.finish();
        output.finish().unwrap();
        let expected = "6 entries of 5 nodes, 2 templates
COUNT  SEVERITY  FIRST                 LAST                  NODES                    TEMPLATE
    5  warning   2026-11-21T03:07:10Z  2026-11-21T03:07:14Z  node-0,node-1,node-2 +2  a.go:1 full
    1  info      2026-11-21T03:00:00Z  2026-11-21T03:00:00Z  node-1                   b.go:22 started in *
";
        assert_eq!(sink.text(), expected);
    }

    #[test]
    fn what_failed_is_not_counted_as_covered() {
        let first = |failed: &[usize], nodes: &[&str]| {
            let sink = Sink::default();
            let mut output = Output::new(Box::new(sink.clone()), false);
            let nodes: Vec<String> = nodes.iter().map(|name| (*name).to_owned()).collect();
            let mut table = Table::new(&mut output, &nodes);
            let text = Bytes::from_static(b"x\n");
            let _ = table.event(0, &Event::Lines(vec![Line::new(None, text)]));
            for node in failed {
                let _ = table.ended(*node, false);
            }
            table.finish();
            output.finish().unwrap();
            sink.text().lines().next().unwrap().to_owned()
        };
        assert_eq!(first(&[], &["a"]), "1 entry of 1 node, 1 template");
        assert_eq!(first(&[2, 1], &["a", "b", "c"]), "1 entry of 1 of 3 nodes (failed: b,c), 1 template");
    }
}
