//! `make bench`: what the program takes, on the simulated cluster, held against its targets.
//!
//! Peers take turns, so that whatever else the machine does meets them alike; of times the median counts, of processor time
//! the least, for what disturbs a run only ever adds to it. The cluster lives in this process, whose own time is nobody's.
//!
//! Exit code 1: a target is missed. What is not on this machine (kubectl, systemd-journal-remote) is not measured against,
//! and that is said.
#![allow(clippy::unwrap_used, reason = "as in tests: what is shared with them may")]

#[path = "../cluster/mod.rs"]
mod cluster;
#[path = "../support"]
#[allow(unused_imports, reason = "some is for tests alone")]
mod support {
    pub(crate) mod journals;
}
#[path = "../journal/mutate.rs"]
mod mutate;
mod binary;
mod measure;
mod peer;
mod report;
mod transfer;
mod journal;
mod damaged;
mod fleet;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cluster::{Cluster, Credential, User};
use peer::Access;
use report::Verdict;

const USAGE: &str = "usage: bench PROGRAM...

Measures kubectl-kubelet_logs: each PROGRAM is a build of it.
BENCH_PARTS      which of transfer,journal,damaged,fleet,merge (all)
BENCH_GB         transfer: size of the stream, in 10^9 bytes (2)
BENCH_RUNS       transfer: runs of the small GET (31)
BENCH_STREAMS    transfer: runs of the stream (3)
BENCH_KUBECTL    transfer: the kubectl to compare with (the one on PATH)
BENCH_ENTRIES    journal: entries of the day (500000)
BENCH_MUTATIONS  damaged: files tried (50000: some minutes a PROGRAM)
BENCH_NODES      fleet: nodes (5000)
BENCH_MERGE_MB   merge: 10^6 bytes a node (20), read once like that and once ten times as long
";

const PARTS: [&str; 5] = ["transfer", "journal", "damaged", "fleet", "merge"];

/// How much to do.
pub(crate) struct Effort {
    pub(crate) bytes: u64,
    pub(crate) runs: usize,
    pub(crate) streams: usize,
    pub(crate) entries: u64,
    pub(crate) mutations: u64,
    pub(crate) nodes: usize,
    /// Bytes a node.
    pub(crate) merged: u64,
    parts: Vec<String>,
}

fn main() -> ExitCode {
    let args: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if let [first, command @ ..] = &*args
        && first.as_os_str() == measure::ALONE
    {
        return measure::report_peak(command);
    }
    let effort = match effort() {
        Ok(effort) if !args.is_empty() => effort,
        Ok(_) => return usage("no PROGRAM"),
        Err(why) => return usage(&why),
    };
    match run(&args, &effort) {
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
    let parts = std::env::var("BENCH_PARTS").unwrap_or_else(|_| PARTS.join(","));
    let parts: Vec<String> = parts.split(',').map(str::to_owned).collect();
    if let Some(unknown) = parts.iter().find(|part| !PARTS.contains(&part.as_str())) {
        return Err(format!("BENCH_PARTS: there is no {unknown:?}"));
    }
    let (runs, streams): (usize, usize) = (number("BENCH_RUNS", 31)?, number("BENCH_STREAMS", 3)?);
    Ok(Effort {
        bytes: (gigabytes * 1e9) as u64,
        runs: runs.max(1),
        streams: streams.max(1),
        entries: number("BENCH_ENTRIES", 500_000)?,
        mutations: number("BENCH_MUTATIONS", 50_000)?,
        nodes: number("BENCH_NODES", 5000)?,
        merged: number::<u64>("BENCH_MERGE_MB", 20)?.max(1) * 1_000_000,
        parts,
    })
}

fn run(programs: &[PathBuf], effort: &Effort) -> io::Result<Verdict> {
    let mut out = io::stdout().lock();
    let folder = tempfile::tempdir()?;
    let (peers, mut verdict) = peer::find(programs, &mut out)?;
    let ours: Vec<&peer::Peer> = peers.iter().filter(|peer| peer.kind == peer::Kind::Ours).collect();
    for part in &effort.parts {
        let place = folder.path().join(part);
        fs::create_dir_all(&place)?;
        let met = match part.as_str() {
            "transfer" => transfer::measure(&peers, effort, &place, &mut out)?,
            "journal" => journal::measure(&ours, effort, &place, &mut out)?,
            "damaged" => damaged::measure(&ours, effort, &place, &mut out)?,
            "fleet" => fleet::measure(&ours, effort, &place, &mut out)?,
            _ => fleet::measure_merge(&ours, effort, &place, &mut out)?,
        };
        verdict = verdict.and(met);
    }
    Ok(verdict)
}

/// Writes a kubeconfig, and what curl needs instead of one.
pub(crate) fn access(cluster: &Cluster, folder: &Path, credential: Credential) -> io::Result<Access> {
    let folder = folder.join(format!("{credential:?}").split('(').next().unwrap_or_default());
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("config"), cluster.kubeconfig_text(&[(User::Admin, credential)], &folder))?;
    fs::write(folder.join("ca.crt"), cluster.ca())?;
    let token = (credential == Credential::Token).then(|| User::Admin.token());
    Ok(Access { folder, url: cluster.url(), token })
}
