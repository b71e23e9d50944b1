//! The tables, and whether the targets are met.

use std::io::{self, Write};
use std::time::Duration;

use crate::measure::Run;
use crate::peer::{Kind, Peer};

/// What one peer took, run by run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples {
    wall: Vec<Duration>,
    cpu: Vec<Duration>,
    /// The largest of its peaks, in bytes.
    pub(crate) peak: Option<u64>,
}

impl Samples {
    pub(crate) fn add(&mut self, run: &Run) {
        self.wall.push(run.wall);
        self.cpu.push(run.cpu);
    }

    /// Median and least wall time, in milliseconds.
    pub(crate) fn wall_ms(&self) -> [f64; 2] {
        median_and_min(&self.wall).map(|seconds| seconds * 1e3)
    }

    /// Median and least processor time, in milliseconds.
    pub(crate) fn cpu_ms(&self) -> [f64; 2] {
        median_and_min(&self.cpu).map(|seconds| seconds * 1e3)
    }

    pub(crate) fn peaked(&mut self, peak: Option<u64>) {
        self.peak = self.peak.max(peak);
    }
}

/// Whether all targets are met, as far as there was something to hold them against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Met,
    Missed,
}

impl Verdict {
    pub(crate) fn and(self, other: Verdict) -> Verdict {
        if self == Verdict::Met { other } else { self }
    }
}

/// What must not be passed, as a part of what kubectl takes.
#[derive(Clone, Copy, Debug)]
struct Target {
    what: &'static str,
    most: f64,
    /// What is hoped for.
    goal: f64,
}

const GET_WALL: Target = Target { what: "wall time", most: 1.0 / 20.0, goal: 1.0 / 20.0 };
const GET_MEMORY: Target = Target { what: "memory", most: 1.0 / 15.0, goal: 1.0 / 15.0 };
const STREAM_CPU: Target = Target { what: "CPU", most: 0.6, goal: 0.45 };

/// What must not be passed, in figures of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    /// As it is shown, such as `ms`.
    pub(crate) unit: &'static str,
    pub(crate) value: f64,
    pub(crate) most: f64,
    /// Whether missing it is more than a pity.
    pub(crate) how: Bound,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    Must,
    Goal,
}

/// A table of any columns.
pub(crate) struct Figures {
    title: String,
    head: Vec<&'static str>,
    rows: Vec<(String, Vec<String>, Vec<Held>)>,
}

impl Figures {
    pub(crate) fn new(title: String, head: &[&'static str]) -> Figures {
        Figures { title, head: head.to_vec(), rows: Vec::new() }
    }

    /// One more row: its name, its cells, and what is held against targets.
    pub(crate) fn row(&mut self, name: impl Into<String>, cells: Vec<String>, held: Vec<Held>) {
        self.rows.push((name.into(), cells, held));
    }

    /// Prints it.
    pub(crate) fn print(&self, out: &mut impl Write) -> io::Result<Verdict> {
        let width = self.rows.iter().map(|(name, ..)| name.len()).max().unwrap_or_default();
        write!(out, "\n{}\n{:width$}", self.title, "")?;
        let widths: Vec<usize> = self.head.iter().map(|head| head.len().max(8)).collect();
        for (head, width) in self.head.iter().zip(&widths) {
            write!(out, " {head:>width$}")?;
        }
        writeln!(out)?;
        let mut verdict = Verdict::Met;
        for (name, cells, held) in &self.rows {
            write!(out, "{name:width$}")?;
            for (cell, width) in cells.iter().zip(&widths) {
                write!(out, " {cell:>width$}")?;
            }
            for Held { unit, value, most, how } in held {
                let (word, kind) = match how {
                    Bound::Must => ("MISSED", "at most"),
                    Bound::Goal => ("goal missed", "goal"),
                };
                let word = if value <= most { "ok" } else { word };
                write!(out, "   {} {unit}, {kind} {most} {word}", round(*value))?;
                if value > most && *how == Bound::Must {
                    verdict = Verdict::Missed;
                }
            }
            writeln!(out)?;
        }
        out.flush()?;
        Ok(verdict)
    }
}

/// Three digits or so.
fn round(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.3}").trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

/// One job, a row a peer.
pub(crate) struct Table {
    title: String,
    head: &'static str,
    rows: Vec<Row>,
    /// What the targets speak of, in the order of a row's `judged`.
    targets: Vec<Target>,
}

struct Row {
    kind: Kind,
    name: String,
    cells: String,
    /// What the targets are held against; unknown where it could not be measured.
    judged: Vec<Option<f64>>,
}

impl Table {
    /// For short runs, where starting up is what costs.
    pub(crate) fn gets(title: String, peers: &[Peer], samples: &[Samples]) -> Table {
        let row = |(peer, samples): (&Peer, &Samples)| {
            let [wall, wall_min] = median_and_min(&samples.wall);
            let [cpu, cpu_min] = median_and_min(&samples.cpu);
            let milli = 1e3;
            Row {
                kind: peer.kind,
                name: peer.name.clone(),
                cells: format!(
                    "{:>8.2} {:>8.2} {:>8.2} {:>8.2} {:>8}",
                    wall * milli,
                    wall_min * milli,
                    cpu * milli,
                    cpu_min * milli,
                    megabytes(samples.peak)
                ),
                judged: vec![Some(wall), samples.peak.map(|peak| peak as f64)],
            }
        };
        let rows = peers.iter().zip(samples).map(row).collect();
        let head = " wall ms      min   CPU ms      min  peak MB";
        Table { title, head, rows, targets: vec![GET_WALL, GET_MEMORY] }
    }

    /// For long runs, where bytes are what costs.
    pub(crate) fn streams(title: String, peers: &[Peer], samples: &[Samples], gigabytes: f64) -> Table {
        let row = |(peer, samples): (&Peer, &Samples)| {
            let [wall, wall_min] = median_and_min(&samples.wall);
            let [cpu, cpu_min] = median_and_min(&samples.cpu);
            Row {
                kind: peer.kind,
                name: peer.name.clone(),
                cells: format!(
                    "{:>8.3} {:>8.3} {:>8.3} {:>8.3} {:>8}",
                    wall / gigabytes,
                    wall_min / gigabytes,
                    cpu / gigabytes,
                    cpu_min / gigabytes,
                    megabytes(samples.peak)
                ),
                judged: vec![Some(cpu_min)],
            }
        };
        let rows = peers.iter().zip(samples).map(row).collect();
        let head = "wall s/GB     min CPU s/GB     min  peak MB";
        Table { title, head, rows, targets: vec![STREAM_CPU] }
    }

    /// Prints it with what each peer takes of kubectl's; only our own are held to the targets.
    pub(crate) fn print(&self, out: &mut impl Write) -> io::Result<Verdict> {
        let width = self.rows.iter().map(|row| row.name.len()).max().unwrap_or_default();
        writeln!(out, "\n{}\n{:width$} {}", self.title, "", self.head)?;
        let kubectl = self.rows.iter().find(|row| row.kind == Kind::Kubectl);
        let mut verdict = Verdict::Met;
        for row in &self.rows {
            write!(out, "{:width$} {}", row.name, row.cells)?;
            for (nth, target) in self.targets.iter().enumerate() {
                let value = |row: &Row| row.judged.get(nth).copied().flatten();
                let (Some(own), Some(theirs)) = (value(row), kubectl.and_then(value)) else { continue };
                if row.kind == Kind::Kubectl {
                    continue;
                }
                let part = own / theirs;
                write!(out, "   {} of its {}", fraction(part), target.what)?;
                if row.kind == Kind::Ours {
                    let word = target.judge(part);
                    write!(out, " {word}")?;
                    if part > target.most {
                        verdict = Verdict::Missed;
                    }
                }
            }
            writeln!(out)?;
        }
        let targets: Vec<String> = self.targets.iter().map(Target::words).collect();
        match kubectl {
            Some(_) => writeln!(out, "target: of kubectl's {}", targets.join(", "))?,
            None => writeln!(out, "target: of kubectl's {}; not judged without it", targets.join(", "))?,
        }
        out.flush()?;
        Ok(verdict)
    }
}

impl Target {
    fn judge(&self, part: f64) -> &'static str {
        match part {
            part if part > self.most => "MISSED",
            part if part > self.goal => "ok (goal missed)",
            _ => "ok",
        }
    }

    fn words(&self) -> String {
        let goal = if self.goal < self.most { format!(" (goal {})", fraction(self.goal)) } else { String::new() };
        format!("{} at most {}{goal}", self.what, fraction(self.most))
    }
}

/// 1/20.3 for what is small, else 0.45.
fn fraction(part: f64) -> String {
    let round = |number: f64| format!("{number:.1}").trim_end_matches(".0").to_owned();
    if part < 0.2 {
        format!("1/{}", round(1.0 / part))
    } else {
        format!("{:.2}", part).trim_end_matches('0').to_owned()
    }
}

/// In seconds.
fn median_and_min(durations: &[Duration]) -> [f64; 2] {
    let mut sorted = durations.to_vec();
    sorted.sort();
    let at = |nth: usize| sorted.get(nth).copied().unwrap_or_default().as_secs_f64();
    [at(sorted.len() / 2), at(0)]
}

pub(crate) fn megabytes(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "?".to_owned(), |bytes| format!("{:.1}", bytes as f64 / 1e6))
}
