//! Runs that end before all was read: by a signal, by the first failure, by the time they have.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::time::Duration;

use super::{ZONES, merged, same, start, write, written};
use crate::cluster::{Cluster, Health, Mode, Node, Setup, User};
use crate::support::{Ran, program, ran, run};

/// Two nodes with a log, and one that never answers.
fn with_one_hung(folder: &std::path::Path) -> (Cluster, String) {
    let written = written(2, 5);
    let nodes = written.iter().map(|node| {
        let folder = folder.join(&node.name);
        write(node, &folder);
        Node::new(&node.name, Mode::QUERY_OFF).zone(ZONES[node.zone].0).files(&folder)
    });
    // Not one that the API server gives up by itself.
    let hung = Node::new("hung", Mode::QUERY_OFF).health(Health::Hung);
    let setup = Setup { handshake_limit: Duration::from_secs(600), ..Setup::new(nodes.chain([hung]).collect()) };
    (setup.start(), merged(&written, 8))
}

fn spawned(cluster: &Cluster, args: &[&str]) -> Child {
    let mut command = program();
    command.arg("--kubeconfig").arg(cluster.kubeconfig(User::Admin)).args(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs")
}

/// Ctrl-C, once it has printed so many lines or asked the node that hangs.
fn interrupted(cluster: &Cluster, args: &[&str], lines: usize) -> (String, Ran) {
    let before = cluster.requests().len();
    let mut child = spawned(cluster, args);
    let mut printed = BufReader::new(child.stdout.take().expect("a pipe"));
    let first: Vec<String> = printed.by_ref().lines().take(lines).map_while(Result::ok).collect();
    for node in ["/node-000/", "/node-001/", "/hung/"] {
        cluster.wait_for(1, |request| request.target.contains(node));
    }
    cluster.wait_for(before + 3, |_| true);
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().expect("kill").success());
    let mut rest = String::new();
    printed.read_to_string(&mut rest).expect("text");
    let ran = ran(child.wait_with_output().expect("an end"));
    (first.iter().map(|line| format!("{line}\n")).collect::<String>() + &rest, ran)
}

#[test]
fn what_an_interrupted_run_has_not_read_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let (cluster, wanted) = with_one_hung(folder.path());
    let (_, ran) = interrupted(&cluster, &["node-000,hung,node-001"], 0);
    assert_eq!(ran.code, 130);
    assert!(
        ran.stderr.contains("warning: interrupted; had not answered: ") && ran.stderr.contains("hung"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("3 nodes: "), "{}", ran.stderr);
    // Of what is followed that is where it ends; only who never came so far is named.
    let (printed, ran) = interrupted(&cluster, &["node-000,hung,node-001", "-f"], wanted.lines().count());
    assert_eq!(ran.code, 130);
    same(&printed, &wanted);
    assert!(ran.stderr.contains("warning: interrupted; had not answered: hung\n"), "{}", ran.stderr);
    let (_, ran) = interrupted(&cluster, &["node-000,node-001", "-f"], wanted.lines().count());
    assert!(!ran.stderr.contains("interrupted") && ran.stderr.contains("2 nodes: "), "{}", ran.stderr);
}

#[test]
fn a_node_that_hangs_holds_followed_ones_no_longer_than_a_second() {
    let folder = tempfile::tempdir().expect("a folder");
    let (cluster, wanted) = with_one_hung(folder.path());
    let clock = kubelet_logs::clock::Clock::System;
    // It was 5 seconds once. A machine that is busy may take its time, but not always.
    let is_soon = (0..4).any(|_| {
        let before = cluster.requests().len();
        let mut child = spawned(&cluster, &["--all-nodes", "-f", "-q"]);
        let mut printed = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        cluster.wait_for(before + 4, |_| true);
        let began = clock.instant();
        assert_eq!(printed.next().expect("a line").expect("text"), wanted.lines().next().expect("a line"));
        let lasted = clock.instant().saturating_duration_since(began);
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        lasted < Duration::from_secs(4)
    });
    assert!(is_soon);
}

#[test]
fn followed_nodes_have_no_end_but_the_runs_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let (cluster, wanted) = with_one_hung(folder.path());
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let ran = run(&kubeconfig, ["node-000,node-001", "-f", "--timeout=6s"]);
    same(ran.expect(0, &["2 nodes: "]).text(), &wanted);
    assert!(!ran.stderr.contains("error"), "{}", ran.stderr);
    let ran = run(&kubeconfig, ["node-000,node-001,hung", "-f", "--timeout=6s"]);
    same(ran.expect(3, &["had not answered: hung\n", "2 of 3 nodes read to the end"]).text(), &wanted);
}

#[test]
fn the_first_failure_ends_a_run_that_wants_that_and_what_had_come_is_printed() {
    let folder = tempfile::tempdir().expect("a folder");
    let written = written(2, 5);
    let down = Node::new("down", Mode::QUERY_OFF).health(Health::Down);
    let cluster = start(&written, folder.path(), [down]);
    let kubeconfig = cluster.kubeconfig(User::Admin);
    // One after another: the first was read, the last was not begun.
    let ran = run(&kubeconfig, ["node-000,down,node-001", "--fail-fast", "--no-merge", "--max-concurrency=1"]);
    ran.expect(3, &["error: down: ", "warning: stopped by --fail-fast; had not answered: node-001\n"]);
    assert!(ran.text().starts_with("==> node-000 <==\n") && ran.text().contains("entry 4 of 0"), "{}", ran.text());
    assert!(ran.stderr.contains("1 of 3 nodes read to the end"), "{}", ran.stderr);
    // Merged, the line that waited for the others goes out as well.
    let merging = run(&kubeconfig, ["node-000,down", "--fail-fast", "--max-concurrency=1"]);
    same(merging.expect(3, &["error: down: "]).text(), &merged(&written[..1], 8));
    // A single node of several is one node.
    let one = run(&kubeconfig, ["dow*"]);
    assert!(one.stderr.contains("note: 1 node failed in "), "{}", one.stderr);
}
