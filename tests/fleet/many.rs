//! More nodes than are read at the same time, and what a server has to bear at the most.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::Duration;

use super::{Written, merged, same, start, written};
use crate::cluster::{Cluster, Health, Mode, Node, Setup, User};
use crate::support::{program, run};

/// Streams over one connection that an API server allows.
const STREAMS: usize = 100;

#[test]
fn more_nodes_than_streams_are_merged_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let written = written(450, 8);
    let wanted = merged(&written, 8);
    for (at_once, most) in [(Some("50"), 50), (None, STREAMS)] {
        let cluster = start(&written, folder.path(), []);
        let mut args = vec!["--all-nodes", "--tail=-1", "-q"];
        args.extend(at_once.map(|_| "--max-concurrency"));
        args.extend(at_once);
        let ran = run(&cluster.kubeconfig(User::Admin), args);
        same(ran.expect(0, &[]).text(), &wanted);
        let (connection, node) = cluster.most_at_once();
        // Of one that has ended the server may hear a little later.
        assert!(connection <= most + most / 10, "{connection} requests over one connection");
        assert!(node <= 2, "{node} requests at one node");
        assert!(cluster.connections() <= 5, "{} connections", cluster.connections());
    }
}

#[test]
fn unless_said_otherwise_sixty_four_nodes_are_read_at_once_and_fifty_followed() {
    // None of them answers, so that all that are asked at once wait at once.
    let nodes = (0..150).map(|nth| Node::new(&format!("node-{nth:03}"), Mode::QUERY_OFF).health(Health::Hung));
    let cluster = Setup { handshake_limit: Duration::from_secs(600), ..Setup::new(nodes.collect()) }.start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let ran = run(&kubeconfig, ["--all-nodes", "--path=kubelet.log", "--timeout=5s"]);
    ran.expect(3, &["the run took longer than --timeout 5s"]);
    assert_eq!(cluster.most_at_once(), (64, 1), "at once, and at one node");
    let asked = cluster.requests().iter().filter(|request| request.target.ends_with("/kubelet.log")).count();
    assert_eq!(asked, 64, "none was given up before");
    let ran = run(&kubeconfig, ["--all-nodes", "-f"]);
    ran.expect(2, &["150 nodes are to be followed, and at most 50 at the same time", "--max-concurrency 150"]);
}

/// How often each node's log was asked for from a place within it.
fn resumed(cluster: &Cluster) -> usize {
    let within = |range: &str| range.strip_prefix("bytes=").is_some_and(|range| !range.starts_with(['0', '-']));
    cluster.requests().iter().filter(|request| request.header("range").is_some_and(within)).count()
}

#[test]
fn logs_that_do_not_fit_are_read_in_turns() {
    let folder = tempfile::tempdir().expect("a folder");
    let written = written(8, 9000);
    let wanted = merged(&written, 8);
    let cluster = start(&written, folder.path(), []);
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let ran = run(&kubeconfig, ["--all-nodes", "--tail=-1", "--max-concurrency=2", "-q"]);
    same(ran.expect(0, &[]).text(), &wanted);
    assert!(resumed(&cluster) >= 8, "{} times one was left and taken up again", resumed(&cluster));
    let (connection, _) = cluster.most_at_once();
    assert!(connection <= 4, "{connection} requests over one connection");
    // Where there is room for all of them nobody has to leave.
    let before = resumed(&cluster);
    let ran = run(&kubeconfig, ["--all-nodes", "--tail=-1", "-q"]);
    same(ran.expect(0, &[]).text(), &wanted);
    assert_eq!(resumed(&cluster), before);
}

/// Follows all nodes with these options, counts looks at their logs from when all is printed to so many requests later: how
/// many, in how many seconds, and how many seconds after the program began.
fn looks(
    cluster: &Cluster,
    lines: usize,
    options: &[&str],
    requests: usize,
    is_look: impl Fn(&str) -> bool,
) -> (usize, f64, f64) {
    let mut command = program();
    command.arg("--kubeconfig").arg(cluster.kubeconfig(User::Admin)).args(["-f", "--all-nodes", "-q"]).args(options);
    let clock = kubelet_logs::clock::Clock::System;
    let spawned = clock.instant();
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary runs");
    // Once all is printed, all of them are followed.
    let mut printed = BufReader::new(child.stdout.take().expect("a pipe"));
    assert_eq!(printed.by_ref().lines().take(lines).filter(Result::is_ok).count(), lines);
    let (began, before) = (clock.instant(), cluster.requests().len());
    let met = cluster.wait_for(before + requests, |_| true);
    let since = |then| clock.instant().saturating_duration_since(then).as_secs_f64();
    let (lasted, ran) = (since(began), since(spawned));
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert!(cluster.most_at_once().1 <= 2, "{:?}", cluster.most_at_once());
    (met[before..].iter().filter(|request| is_look(&request.target)).count(), lasted, ran)
}

#[test]
fn followed_nodes_are_looked_at_no_more_often_than_was_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let written: Vec<Written> = written(40, 2);
    let cluster = start(&written, folder.path(), []);
    let lines = merged(&written, 8).lines().count();
    let options = ["--source=file", "--max-qps=10", "--tail=-1"];
    let (looks, seconds, _) = looks(&cluster, lines, &options, 30, |target| target.ends_with("/kubelet.log"));
    // Ten a second, and one that was under way when counting began.
    assert!(looks >= 20 && looks as f64 <= seconds * 10.0 + 2.0, "{looks} looks in {seconds} s");
}

#[test]
fn followed_nodes_are_looked_at_no_more_than_a_hundred_times_a_second() {
    let folder = tempfile::tempdir().expect("a folder");
    // Each of them would be looked at once a second.
    let written: Vec<Written> = written(300, 1);
    let cluster = start(&written, folder.path(), []);
    let lines = merged(&written, 8).lines().count();
    let options = ["--source=file", "--max-concurrency=300", "--tail=-1"];
    let (looks, seconds, _) = looks(&cluster, lines, &options, 250, |target| target.ends_with("/kubelet.log"));
    // On a busy machine what was under way when counting began is heard of later; without the cap it is three hundred a second.
    assert!(looks >= 200 && looks as f64 <= seconds * 130.0 + 10.0, "{looks} looks in {seconds} s");
}

#[test]
fn the_query_is_asked_of_a_followed_node_every_two_seconds_at_the_most() {
    let nodes: Vec<Node> = (0..5).map(|nth| Node::new(&format!("node-{nth}"), Mode::QUERY_ON)).collect();
    let cluster = Setup::new(nodes).start();
    let options = ["--source=query", "-u=kubelet", "--tail=1"];
    let (looks, _, seconds) = looks(&cluster, 5, &options, 5, |target| target.contains("sinceTime"));
    assert!(looks >= 1 && looks as f64 <= 5.0 * (seconds / 2.0).floor(), "{looks} looks in {seconds} s");
}
