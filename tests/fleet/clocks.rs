//! Nodes whose clocks are off, and those whose clock went back.

use std::io::Write;

use super::{ZONES, merged, same, write, written};
use crate::cluster::{Mode, Node, Setup, User};
use crate::support::journals::{Variant, Writer, journalctl, remote};
use crate::support::run;

#[test]
fn clocks_that_are_off_are_told_once_for_each_node() {
    let folder = tempfile::tempdir().expect("a folder");
    let written = written(4, 3);
    let nodes = written.iter().zip([0, 90, -3600, 1]).map(|(node, ahead)| {
        let folder = folder.path().join(&node.name);
        write(node, &folder);
        Node::new(&node.name, Mode::QUERY_OFF).zone(ZONES[node.zone].0).files(&folder).clock_ahead(ahead)
    });
    let cluster = Setup::new(nodes.collect()).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let ran = run(&kubeconfig, ["--all-nodes", "--tail=-1"]);
    same(ran.expect(0, &[]).text(), &merged(&written, 8));
    assert_eq!(ran.stderr.matches("its clock is").count(), 2, "{}", ran.stderr);
    for (name, words) in [("node-001", "s ahead of"), ("node-002", "s behind")] {
        let line = ran.stderr.lines().find(|line| line.contains(words)).expect("a word");
        let seconds = line.split_once("its clock is ").and_then(|(_, rest)| rest.split(' ').next());
        let seconds: i64 = seconds.and_then(|seconds| seconds.parse().ok()).expect("an amount");
        let off = if name == "node-001" { 90 } else { 3600 };
        assert!(line.starts_with(&format!("warning: {name}: ")) && (off - 2..=off).contains(&seconds), "{line}");
    }
    // One node alone, and one that is right.
    run(&kubeconfig, ["node-001", "-q"]).expect(0, &["warning: node-001: its clock is"]);
    assert_eq!(run(&kubeconfig, ["node-000", "-q"]).expect(0, &[]).stderr, "");
}

/// A time of the journals below, in microseconds.
const NOON: i64 = 1_763_726_400_000_000;

#[test]
fn a_clock_that_goes_back_between_two_boots_changes_nothing_in_a_nodes_order() {
    let Some(program) = remote("a clock that goes back") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (first, second) = ("a".repeat(32), "b".repeat(32));
    let logs = [
        ("node-a", vec![(100, &first), (101, &first), (50, &second), (51, &second), (200, &second)]),
        ("node-b", vec![(60, &first), (100, &first), (120, &first)]),
    ];
    let directory = |node: &str| folder.path().join(node).join("journal/0123456789abcdef0123456789abcdef");
    for (node, entries) in &logs {
        std::fs::create_dir_all(directory(node)).expect("a folder");
        let mut writer = Writer::start(program, &directory(node), Variant::NEW, 0).expect("it starts");
        let mut input = writer.input();
        for (number, (second, boot)) in entries.iter().enumerate() {
            let (at, monotonic) = (NOON + second * 1_000_000, (number + 1) * 1_000_000);
            let text = format!(
                "__REALTIME_TIMESTAMP={at}\n__MONOTONIC_TIMESTAMP={monotonic}\n_BOOT_ID={boot}\n_HOSTNAME={node}\n\
                 _SYSTEMD_UNIT=kubelet.service\nSYSLOG_IDENTIFIER=kubelet\n_PID=1\nMESSAGE={node} {second}\n\n"
            );
            input.write_all(text.as_bytes()).expect("it reads");
        }
        drop(input);
        writer.finish();
    }
    let nodes = logs.iter().map(|(node, _)| Node::new(node, Mode::QUERY_OFF).files(&folder.path().join(node)));
    let cluster = Setup::new(nodes.collect()).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    // By itself, as journalctl shows it.
    let ran = run(&kubeconfig, ["node-a", "-q"]);
    let shown = journalctl(&directory("node-a"), &["-o", "short-precise"]);
    let lines = ran.expect(0, &[]).text().split_inclusive('\n').filter(|line| !line.starts_with("-- Boot "));
    same(&lines.collect::<String>(), &String::from_utf8(shown).expect("text"));
    // Among others: its lines keep their order, equal times go by node, and the merge goes on from the earlier time.
    let wanted = ["b 60", "a 100", "b 100", "a 101", "a 50", "a 51", "b 120", "a 200"];
    for args in [&["node-a,node-b", "-q"][..], &["--all-nodes", "--tail=10", "-q"]] {
        let ran = run(&kubeconfig, args);
        let got: Vec<&str> = ran
            .expect(0, &[])
            .text()
            .lines()
            .filter_map(|line| line.rsplit_once("node-").map(|(_, end)| end))
            .collect();
        assert_eq!(got, wanted, "{args:?}: {}", ran.text());
    }
}
