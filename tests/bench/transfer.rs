//! Two jobs beside kubectl and curl: one small GET, where starting up is what costs, and one long stream, where bytes are.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::Effort;
use crate::access;
use crate::cluster::{Cluster, Credential, Fault, Key, Mode, Node, Setup, What};
use crate::measure::{self, Sink, peak_memory};
use crate::peer::{Access, Peer};
use crate::report::{Samples, Table, Verdict};

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

/// Measures both jobs.
pub(crate) fn measure(peers: &[Peer], effort: &Effort, folder: &Path, out: &mut impl Write) -> io::Result<Verdict> {
    let (cluster, log) = start(folder, effort)?;
    let mut verdict = Verdict::Met;
    for (credential, words) in
        [(Credential::Token, "a token"), (Credential::CertificateFiles(Key::EcPkcs8), "a client certificate")]
    {
        let access = access(&cluster, folder, credential)?;
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
        verdict = verdict.and(Table::gets(title, peers, &samples).print(out)?);
    }

    let access = access(&cluster, folder, Credential::Token)?;
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
        verdict = verdict.and(Table::streams(title, peers, &samples, gigabytes).print(out)?);
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

fn command(peer: &Peer, access: &Access, file: &str) -> Command {
    peer.command(access, NODE, file)
}

fn check(right: bool, peer: &Peer, wrong: &str) -> io::Result<()> {
    if right { Ok(()) } else { Err(io::Error::other(format!("{} {wrong}", peer.name))) }
}
