//! Many nodes at once: the ends of thousands of logs, and long logs merged by time.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use kubelet_logs::clock::Clock;
use kubelet_logs::time::Civil;

use crate::cluster::setup::Files;
use crate::cluster::{Cluster, Credential, Mode, Node, Reader, Setup, Step};
use crate::measure::{self, Sink};
use crate::peer::Peer;
use crate::report::{Bound, Figures, Held, Samples, Verdict, megabytes};
use crate::support::journals::entries::MIDNIGHT;
use crate::{Effort, access};

const RUNS: usize = 3;
const TAIL: usize = 10;
/// Nodes whose logs are merged.
const MERGED: usize = 100;
/// Different logs among them.
const LOGS: usize = 4;
const LOG: &str = "bench.log";
/// Formats that take every entry apart.
const FORMATS: [&str; 2] = ["jsonl", "digest"];
/// About what a line of them takes.
const LINE: u64 = 180;

/// Reads the last entries of each of many nodes.
pub(crate) fn measure(peers: &[&Peer], effort: &Effort, folder: &Path, out: &mut impl Write) -> io::Result<Verdict> {
    let title = format!("The last {TAIL} entries of each of {} nodes, {RUNS} runs", effort.nodes);
    let mut figures = Figures::new(title, &["wall s", "CPU s", "peak MB", "requests"]);
    // The unit looked for and a journal decoded take several requests a node, and the journal's lines are long: that is shown,
    // not judged.
    for (words, source, more, judged) in [
        ("canned answers", "query", &["-u", "kubelet"][..], true),
        ("canned, unit looked for", "query", &[], false),
        ("their journals", "journal", &[], false),
    ] {
        let query = source == "query";
        let (files, mode) = if query { (Files::Bare, Mode::QUERY_ON) } else { (Files::Standard, Mode::QUERY_OFF) };
        let node = |nth| Node::new(&format!("node-{nth:05}"), mode).reader(Reader::Script(canned));
        let nodes = (0..effort.nodes).map(|nth| Node { files: files.clone(), ..node(nth) });
        let cluster = Setup::new(nodes.collect()).start();
        let place = folder.join(source);
        let access = access(&cluster, &place, Credential::Token)?;
        for peer in peers {
            let args = [&["--all-nodes", "--tail", "10", "-q", "--source", source][..], more].concat();
            let mut samples = Samples::default();
            let before = cluster.requests().len();
            for _ in 0..RUNS {
                let run = measure::run_into(&mut peer.run(&access, &args), Sink::Pipe)?;
                check(run.bytes, (effort.nodes * TAIL * 100) as u64, &peer.name)?;
                samples.add(&run);
                samples.peaked(run.peak);
            }
            let requests = (cluster.requests().len() - before) / RUNS;
            let (wall, cpu) = (samples.wall_ms()[1], samples.cpu_ms()[1]);
            let how = if judged { Bound::Must } else { Bound::Goal };
            let held = vec![
                Held { unit: "MB", value: mega(samples.peak), most: 48.0, how },
                Held { unit: "ms CPU a node", value: cpu / effort.nodes as f64, most: 0.1, how },
            ];
            let cells = vec![
                format!("{:.2}", wall / 1e3),
                format!("{:.2}", cpu / 1e3),
                megabytes(samples.peak),
                requests.to_string(),
            ];
            figures.row(format!("{}: {words}", peer.name), cells, held);
        }
    }
    figures.print(out)
}

/// What each node's journalctl says.
fn canned(args: &[String]) -> Vec<Step> {
    if args.iter().any(|arg| arg == "--field") {
        return vec![Step::Print(Bytes::from_static(b"kubelet.service\n"))];
    }
    vec![Step::Print(CANNED.clone())]
}

/// A kubelet at work wrote it, a line every half a minute up to now.
static CANNED: LazyLock<Bytes> = LazyLock::new(|| {
    let now = Clock::System.now();
    let lines = (0..TAIL).rev().map(|nth| {
        let at = now.saturating_sub(Duration::from_secs(30) * nth as u32).civil_utc();
        let Civil { month, day, hour, minute, second, micros, .. } = at;
        let name = MONTHS[usize::from(month) - 1];
        let time = format!("{hour:02}:{minute:02}:{second:02}.{micros:06}");
        format!(
            "{name} {day:02} {time} node-7 kubelet[1203]: I{month:02}{day:02} {time}    1203 kubelet.go:2457] \"SyncLoop UPDATE\" source=\"api\" pods=[\"kube-system/proxy\"]\n"
        )
    });
    Bytes::from(lines.collect::<String>())
});

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Merges long logs of many nodes by time.
pub(crate) fn measure_merge(
    peers: &[&Peer],
    effort: &Effort,
    folder: &Path,
    out: &mut impl Write,
) -> io::Result<Verdict> {
    let title = format!("Files of {MERGED} nodes, merged by time into a pipe");
    let mut figures = Figures::new(title, &["wall s", "CPU s", "peak MB"]);
    let mut first = Vec::new();
    // The last entries of the long ones are as many as the short ones have.
    for (times, last) in [1, 10].into_iter().flat_map(|times| [(times, None), (times, Some(effort.merged / LINE))]) {
        let size = effort.merged * times;
        let logs: Vec<_> = (0..LOGS).map(|nth| folder.join(format!("{times}-{nth}"))).collect();
        for (nth, log) in logs.iter().enumerate() {
            fs::create_dir_all(log)?;
            write_log(&log.join(LOG), size, nth as u64)?;
        }
        let nodes =
            (0..MERGED).map(|nth| Node::new(&format!("node-{nth:03}"), Mode::QUERY_OFF).files(&logs[nth % LOGS]));
        let cluster: Cluster = Setup::new(nodes.collect()).start();
        let place = folder.join(format!("config-{times}"));
        let access = access(&cluster, &place, Credential::Token)?;
        let all = last.map_or(size, |last| last * LINE * 3 / 4) * MERGED as u64;
        let tail = last.map_or("-1".to_owned(), |last| last.to_string());
        for (nth, peer) in peers.iter().enumerate() {
            let args = ["--all-nodes", "--tail", &tail, "-q", "--path", LOG];
            let mut samples = Samples::default();
            // The long ones take long enough to be measured once.
            for _ in 0..if times == 1 { RUNS } else { 1 } {
                let run = measure::run_into(&mut peer.run(&access, &args), Sink::Pipe)?;
                check(run.bytes, all, &peer.name)?;
                samples.add(&run);
                samples.peaked(run.peak);
            }
            let (wall, cpu) = (samples.wall_ms()[1] / 1e3, samples.cpu_ms()[1] / 1e3);
            let cells = vec![format!("{wall:.1}"), format!("{cpu:.1}"), megabytes(samples.peak)];
            let mut held = vec![Held { unit: "MB", value: mega(samples.peak), most: 96.0, how: Bound::Must }];
            // Of each question the short logs come first.
            let like = nth + last.map_or(0, |_| peers.len());
            match (times, last) {
                // A rate as its inverse, so that less is better here, too; of several runs.
                (1, None) => {
                    let value = cpu / (all as f64 / 250e6);
                    held.push(Held { unit: "s CPU for 250 MB", value, most: 1.0, how: Bound::Must });
                }
                (1, Some(_)) => {}
                _ => {
                    let value = mega(samples.peak) / first.get(like).copied().unwrap_or(f64::MIN_POSITIVE);
                    held.push(Held { unit: "of the memory for a tenth", value, most: 1.2, how: Bound::Must });
                }
            }
            if times == 1 {
                first.push(mega(samples.peak));
            }
            let what = last.map_or(String::new(), |last| format!(", the last {last} entries"));
            figures.row(format!("{}: {} MB each{what}", peer.name, size / 1_000_000), cells, held);
            // What takes every entry apart is measured once.
            for format in FORMATS.iter().filter(|_| times == 1 && last.is_none()) {
                let args = [&args[..], &["-o", format]].concat();
                let run = measure::run_into(&mut peer.run(&access, &args), Sink::Pipe)?;
                let cpu = run.cpu.as_secs_f64();
                let value = cpu / (all as f64 / 250e6);
                let held = vec![Held { unit: "s CPU for 250 MB", value, most: 4.0, how: Bound::Goal }];
                let cells = vec![format!("{:.1}", run.wall.as_secs_f64()), format!("{cpu:.1}"), megabytes(run.peak)];
                figures.row(format!("{}: as {format}", peer.name), cells, held);
            }
        }
        for log in &logs {
            fs::remove_dir_all(log)?;
        }
    }
    figures.print(out)
}

/// A kubelet's file of this size, over most of a day; each seed has times of its own.
fn write_log(path: &Path, size: u64, seed: u64) -> io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let lines = (size / LINE).max(1);
    let mut written = 0;
    let mut micros = 0;
    for nth in 0.. {
        micros = (80_000_000_000 / lines) * nth + seed * 7919 % (80_000_000_000 / lines);
        let seconds = micros / 1_000_000;
        let line = format!(
            "I1114 {:02}:{:02}:{:02}.{:06}    1203 kubelet.go:2457] \"SyncLoop (PLEG): event for pod\" pod=\"default/web-{:06}\" event={{\"type\":\"ContainerStarted\",\"data\":\"{:016x}{:016x}\"}}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60,
            micros % 1_000_000,
            nth % 1_000_000,
            nth.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            nth.wrapping_mul(0xbf58_476d_1ce4_e5b9)
        );
        let line = &line[..line.len().min((size - written).saturating_sub(1) as usize)];
        writeln!(file, "{line}")?;
        written += line.len() as u64 + 1;
        if written + 1 >= size {
            break;
        }
    }
    file.flush()?;
    // A file is as old as its last line: that tells the zone of its times.
    file.get_ref().set_modified(UNIX_EPOCH + Duration::from_micros(MIDNIGHT as u64 + micros))
}

fn mega(bytes: Option<u64>) -> f64 {
    bytes.map_or(f64::MAX, |bytes| bytes as f64 / 1e6)
}

/// Whether there was as much as there must be at the least.
fn check(bytes: Option<u64>, least: u64, name: &str) -> io::Result<()> {
    match bytes {
        Some(bytes) if bytes >= least - 2 * MERGED as u64 => Ok(()),
        bytes => Err(io::Error::other(format!("{name} printed {bytes:?} bytes, not {least} or more"))),
    }
}
