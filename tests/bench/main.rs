//! `make bench`: the program beside kubectl and curl on the simulated cluster, in one run.
//!
//! Two jobs: one small GET, where starting up is what costs, and one long stream, where bytes are. Peers take turns, so that
//! whatever else the machine does meets them alike; of times the median counts, of processor time the least, for what
//! disturbs a run only ever adds to it. The cluster lives in this process, whose own time is nobody's.
//!
//! Exit code 1: a target is missed. Without kubectl there is nothing to hold the targets against, and that is said.

#[path = "../cluster/mod.rs"]
mod cluster;
mod binary;
mod measure;
mod peer;
mod report;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use cluster::{Cluster, Credential, Fault, Key, Mode, Node, Setup, User, What};
use measure::{Sink, peak_memory};
use peer::{Access, Peer};
use report::{Samples, Table, Verdict};

const USAGE: &str = "usage: bench PROGRAM...

Measures kubectl-kubelet_logs (each PROGRAM is a build of it) beside kubectl and curl.
BENCH_GB        size of the stream, in 10^9 bytes (2)
BENCH_RUNS      runs of the small GET (31)
BENCH_STREAMS   runs of the stream (3)
BENCH_KUBECTL   the kubectl to compare with (the one on PATH)
";

const NODE: &str = "node-1";
const SMALL: &str = "small.log";
/// The same, but its end comes late.
const HELD: &str = "held.log";
const LARGE: &str = "large.log";
const SMALL_SIZE: usize = 512;
/// How late: time enough to read the peak of a client that has done all but leave.
const HOLD: Duration = Duration::from_millis(300);
/// Peaks vary little.
const MEMORY_RUNS: usize = 3;

/// How much to do.
struct Effort {
    bytes: u64,
    runs: usize,
    streams: usize,
}

fn main() -> ExitCode {
    let programs: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let effort = match effort() {
        Ok(effort) if !programs.is_empty() => effort,
        Ok(_) => return usage("no PROGRAM"),
        Err(why) => return usage(&why),
    };
    match run(&programs, &effort) {
        Ok(Verdict::Met) => ExitCode::SUCCESS,
        Ok(Verdict::Missed) => ExitCode::FAILURE,
        Err(why) => {
            let _ = writeln!(io::stderr(), "error: {why}");
            ExitCode::FAILURE
        }
    }
}

fn usage(why: &str) -> ExitCode {
    let _ = write!(io::stderr(), "error: {why}\n{USAGE}");
    ExitCode::from(2)
}

fn effort() -> Result<Effort, String> {
    fn number<T: std::str::FromStr>(name: &str, usual: T) -> Result<T, String> {
        let Ok(text) = std::env::var(name) else { return Ok(usual) };
        text.parse().map_err(|_| format!("{name}={text} is no number"))
    }
    let gigabytes: f64 = number("BENCH_GB", 2.0)?;
    if !(gigabytes > 0.0 && gigabytes < 1e6) {
        return Err(format!("BENCH_GB={gigabytes} is no size"));
    }
    let (runs, streams) = (number("BENCH_RUNS", 31)?, number("BENCH_STREAMS", 3)?);
    Ok(Effort { bytes: (gigabytes * 1e9) as u64, runs: runs.max(1), streams: streams.max(1) })
}

fn run(programs: &[PathBuf], effort: &Effort) -> io::Result<Verdict> {
    let mut out = io::stdout().lock();
    let folder = tempfile::tempdir()?;
    let (cluster, log) = start(folder.path(), effort)?;
    let (peers, mut verdict) = peer::find(programs, &mut out)?;

    for (credential, words) in
        [(Credential::Token, "a token"), (Credential::CertificateFiles(Key::EcPkcs8), "a client certificate")]
    {
        let access = access(&cluster, folder.path(), credential)?;
        let mut samples = vec![Samples::default(); peers.len()];
        for round in 0..=effort.runs {
            for (peer, samples) in peers.iter().zip(&mut samples) {
                let (run, answer) = measure::run_and_read(&mut command(peer, &access, SMALL))?;
                check(answer == log, peer, "did not give the file")?;
                // The first round warms up the caches.
                if round > 0 {
                    samples.add(&run);
                }
            }
        }
        for _ in 0..MEMORY_RUNS {
            for (peer, samples) in peers.iter().zip(&mut samples) {
                samples.peaked(peak_memory(&mut command(peer, &access, HELD))?);
            }
        }
        let title = format!("One GET of {SMALL_SIZE} bytes with {words}, {} runs", effort.runs);
        verdict = verdict.and(Table::gets(title, &peers, &samples).print(&mut out)?);
    }

    let access = access(&cluster, folder.path(), Credential::Token)?;
    for (sink, words) in [(Sink::Null, "/dev/null"), (Sink::Pipe, "a pipe")] {
        let mut samples = vec![Samples::default(); peers.len()];
        for _ in 0..effort.streams {
            for (peer, samples) in peers.iter().zip(&mut samples) {
                let run = measure::run_into(&mut command(peer, &access, LARGE), sink)?;
                check(run.bytes.is_none_or(|bytes| bytes == effort.bytes), peer, "did not give all of the stream")?;
                samples.add(&run);
                samples.peaked(run.peak);
            }
        }
        let gigabytes = effort.bytes as f64 / 1e9;
        let title = format!("A stream of {gigabytes} GB to {words}, {} runs", effort.streams);
        verdict = verdict.and(Table::streams(title, &peers, &samples, gigabytes).print(&mut out)?);
    }
    cluster.requests();
    Ok(verdict)
}

/// A cluster whose one node has the files; gives the small one's text too.
fn start(folder: &Path, effort: &Effort) -> io::Result<(Cluster, Vec<u8>)> {
    let root = folder.join("log");
    fs::create_dir(&root)?;
    let line = b"I1121 03:07:12.123456    1203 kubelet.go:2509] \"SyncLoop ADD\" source=\"api\"\n";
    let log: Vec<u8> = line.iter().copied().cycle().take(SMALL_SIZE).collect();
    fs::write(root.join(SMALL), &log)?;
    fs::write(root.join(HELD), &log)?;
    // Zeros that nobody stored: no client looks at them, and encryption makes them as dear as any other bytes.
    File::create(root.join(LARGE))?.set_len(effort.bytes)?;
    let held = Fault::new(What::EndAfterPause(SMALL_SIZE, HOLD)).path(HELD);
    let cluster = Setup::new(vec![Node::new(NODE, Mode::QUERY_ON).files(&root)]).fault(held).start();
    Ok((cluster, log))
}

/// Writes a kubeconfig, and what curl needs instead of one.
fn access(cluster: &Cluster, folder: &Path, credential: Credential) -> io::Result<Access> {
    let folder = folder.join(format!("{credential:?}").split('(').next().unwrap_or_default());
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("config"), cluster.kubeconfig_text(&[(User::Admin, credential)], &folder))?;
    fs::write(folder.join("ca.crt"), cluster.ca())?;
    let token = (credential == Credential::Token).then(|| User::Admin.token());
    Ok(Access { folder, url: cluster.url(), token })
}

fn command(peer: &Peer, access: &Access, file: &str) -> Command {
    peer.command(access, NODE, file)
}

fn check(right: bool, peer: &Peer, wrong: &str) -> io::Result<()> {
    if right { Ok(()) } else { Err(io::Error::other(format!("{} {wrong}", peer.name))) }
}
