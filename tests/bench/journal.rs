//! Parts of a day's journal, read through ranges at no distance and at some, beside journalctl on the node itself.

use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::cluster::{Cluster, Credential, Fault, Mode, Node, Setup, What};
use crate::measure::{self, Sink};
use crate::peer::Peer;
use crate::report::{Bound, Figures, Held, Samples, Verdict, megabytes};
use crate::support::journals::entries::KUBELET;
use crate::support::journals::{Day, Variant, var_log};
use crate::{Effort, access};

const NODE: &str = "node-1";
/// What a request takes beside its answer.
const DELAY: Duration = Duration::from_millis(40);
const RUNS: usize = 7;

/// A part of the day, and how long reading it may take at a distance.
struct Part {
    words: &'static str,
    ours: &'static [&'static str],
    theirs: &'static [&'static str],
    goal_ms: Option<f64>,
}

const PARTS: [Part; 3] = [
    Part { words: "last 100", ours: &["--tail", "100"], theirs: &["-n", "100"], goal_ms: Some(350.0) },
    Part { words: "10 minutes", ours: TEN_MINUTES, theirs: TEN_MINUTES, goal_ms: None },
    Part { words: "one hour", ours: HOUR, theirs: HOUR, goal_ms: Some(1200.0) },
];
const TEN_MINUTES: &[&str] = &["--since", "2023-11-14 12:00:00", "--until", "2023-11-14 12:10:00"];
const HOUR: &[&str] = &["--since", "2023-11-14 12:00:00", "--until", "2023-11-14 13:00:00"];

/// Measures each part.
pub(crate) fn measure(peers: &[&Peer], effort: &Effort, folder: &Path, out: &mut impl Write) -> io::Result<Verdict> {
    let day = Day { seed: 1, entries: effort.entries, variant: Variant::NEW, file_size: 0 };
    let Some(directory) = day.directory("reading a day's journal") else { return Ok(Verdict::Met) };
    let root = var_log(&directory);
    let cluster = Setup::new(vec![Node::new(NODE, Mode::QUERY_OFF).files(root.path())]).start();
    let access = access(&cluster, folder, Credential::Token)?;
    let title = format!("A part of {} entries, of unit {KUBELET} (compact files), {RUNS} runs", effort.entries);
    let head = ["wall ms", "min", "CPU ms", "min", "peak MB", "requests", "kB"];
    let mut figures = Figures::new(title, &head);
    for part in &PARTS {
        let theirs = {
            let mut command = Command::new("journalctl");
            command.args(["-q", "--utc", "--no-pager", "-o", "short-precise", "-u", KUBELET, "-D"]).arg(&directory);
            command.args(part.theirs).env("LC_ALL", "C").env("TZ", "UTC0").stdin(Stdio::null());
            command
        };
        let args = [&[NODE, "-u", KUBELET, "-q"][..], part.ours].concat();
        let mut at_hand = theirs;
        let mut samples = Samples::default();
        let (_, expected) = measure::run_and_read(&mut at_hand)?;
        for _ in 0..RUNS {
            samples.add(&measure::run_and_read(&mut at_hand)?.0);
            samples.peaked(measure::run_into(&mut at_hand, Sink::Pipe)?.peak);
        }
        figures.row(format!("{}: journalctl, local", part.words), cells(&samples, None), Vec::new());
        for peer in peers {
            for delay in [Duration::ZERO, DELAY] {
                cluster.heal();
                if !delay.is_zero() {
                    cluster.inject(Fault::new(What::Delay(delay)));
                }
                let mut samples = Samples::default();
                let before = files(&cluster);
                let (_, answer) = measure::run_and_read(&mut peer.run(&access, &args))?;
                let after = files(&cluster);
                if answer != expected {
                    let words = format!("{} {}: not what journalctl prints", peer.name, args.join(" "));
                    return Err(io::Error::other(words));
                }
                for _ in 0..RUNS {
                    samples.add(&measure::run_and_read(&mut peer.run(&access, &args))?.0);
                    samples.peaked(measure::run_into(&mut peer.run(&access, &args), Sink::Pipe)?.peak);
                }
                let goal = part.goal_ms.filter(|_| !delay.is_zero());
                let value = samples.wall_ms()[0];
                let held = goal.map(|most| Held { unit: "ms", value, most, how: Bound::Goal }).into_iter().collect();
                let name = format!("{}: {}, {} ms", part.words, peer.name, delay.as_millis());
                figures.row(name, cells(&samples, Some((after.0 - before.0, after.1 - before.1))), held);
            }
        }
    }
    figures.print(out)
}

/// Requests of journal files so far, and bytes of their answers; the node's object and the folder's listing do not count.
fn files(cluster: &Cluster) -> (usize, u64) {
    let traffic = cluster.traffic(".journal");
    (traffic.requests, traffic.bytes)
}

fn cells(samples: &Samples, traffic: Option<(usize, u64)>) -> Vec<String> {
    let [wall, wall_min] = samples.wall_ms();
    let [cpu, cpu_min] = samples.cpu_ms();
    let mut cells: Vec<String> = [wall, wall_min, cpu, cpu_min].map(|ms| format!("{ms:.1}")).to_vec();
    cells.push(megabytes(samples.peak));
    if let Some((requests, bytes)) = traffic {
        cells.extend([requests.to_string(), (bytes / 1000).to_string()]);
    }
    cells
}
