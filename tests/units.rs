//! Units that a node's journal does not know, alone and among others; and how many requests a node has to bear.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::cluster::journal::Reader;
use crate::cluster::journal::growing::Growing;
use crate::cluster::{Cluster, Fault, Mode, Node, Setup, User, What};
use crate::support::run;

const START: i64 = 1_700_000_000_000_000;

fn start() -> Cluster {
    Setup::new(vec![Node::new("on", Mode::QUERY_ON), Node::new("off", Mode::QUERY_OFF)]).start()
}

#[test]
fn a_unit_that_is_missing_among_several_is_told_behind_the_others() {
    let cluster = start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let one = run(&kubeconfig, ["on", "-u", "containerd", "--tail", "1"]);
    let both = run(&kubeconfig, ["on,off", "-u", "containerd,nosuch", "--tail", "1"]);
    assert_eq!(both.expect(3, &["2 of 2 nodes failed, some after a part"]).text().lines().count(), 2);
    assert!(!one.expect(0, &[]).text().is_empty());
    for choice in
        [&["on"][..], &["off"], &["on", "--source=journal"], &["off", "--source=journal"], &["on", "--source=query"]]
    {
        for units in ["containerd,nosuch", "nosuch,containerd"] {
            let ran = run(&kubeconfig, choice.iter().chain(&["-u", units, "--tail", "1"]));
            // Something is missing from the output, not all of it.
            assert_eq!((ran.code, ran.text()), (3, one.text()), "{choice:?} {units}: {}", ran.stderr);
            assert!(ran.stderr.contains("error: ") && ran.stderr.contains("nosuch"), "{choice:?}: {}", ran.stderr);
            assert!(!ran.stderr.contains("not know containerd"), "{}", ran.stderr);
        }
        // One that is there, and has none of the last lines; and one whose lines are not wanted.
        let both = run(&kubeconfig, choice.iter().chain(&["-u", "svc-7,kubelet", "--tail", "1"]));
        assert_eq!((both.expect(0, &[]).text().lines().count(), &*both.stderr), (1, ""), "{choice:?}");
        run(&kubeconfig, choice.iter().chain(&["-u", "svc-7,kubelet", "-g", "Started kubelet"])).expect(0, &[]);
    }
}

#[test]
fn a_unit_that_is_nowhere_is_not_waited_for() {
    let cluster = start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    for node in ["on", "off"] {
        for more in [&[][..], &["--tail=0"], &["--source=journal"], &["--source=journal", "--since=1h"]] {
            let ask = |follow: &[&str]| {
                let always = [node, "-u", "nosuch", "--timeout=60s"];
                run(&kubeconfig, always.iter().chain(follow).chain(more))
            };
            ask(&[]).expect(5, &["no log of unit nosuch"]);
            ask(&["-f"]).expect(5, &["no log of unit nosuch"]);
        }
        let ran = run(&kubeconfig, [node, "-f", "-u", "containerd,nosuch", "--tail=1", "--timeout=60s"]);
        assert_eq!((ran.code, ran.text().lines().count()), (5, 1), "{}", ran.stderr);
        // What is a text file alone is read from there, and ends with its window.
        let text = [node, "-u", "kubelet.log", "--tail=3", "--until=2024-01-01"];
        let once = run(&kubeconfig, text);
        assert!(!once.expect(0, &["/var/log/kubelet.log"]).text().is_empty());
        let followed = run(&kubeconfig, text.iter().chain(&["-f", "--timeout=60s"]));
        assert_eq!(followed.expect(0, &["/var/log/kubelet.log"]).text(), once.text());
    }
}

#[test]
fn a_journal_of_many_files_is_not_asked_for_all_at_once() {
    let root = tempfile::tempdir().expect("a directory");
    let mut journal = Growing::new(root.path(), START);
    for number in 0..30 {
        journal.append("kubelet", &format!("entry {number}"));
        journal.rotate();
    }
    journal.append("kubelet", "the last");
    for (args, most) in [
        (&["--list-boots"][..], 8),
        (&["-u", "kubelet"], 8),
        (&["-u", "nosuch,kubelet"], 8),
        (&["-f", "-u", "kubelet", "--tail=-1", "--until=2024-01-01"], 2),
        (&["-f", "-u", "other,kubelet", "--tail=-1", "--until=2024-01-01"], 2),
    ] {
        let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_OFF).files(root.path())]).start();
        // Long enough for those that are asked at once to be there at once.
        cluster.inject(Fault::new(What::Delay(Duration::from_millis(20))).path("/journal/"));
        let kubeconfig = cluster.kubeconfig(User::Admin);
        let ran = run(&kubeconfig, ["node-a", "--timeout=60s"].iter().chain(args));
        assert!(matches!(ran.code, 0 | 3 | 5), "{args:?}: {}", ran.stderr);
        assert!(!ran.stdout.is_empty(), "{args:?}: {}", ran.stderr);
        let at_once = cluster.most_at_once().1;
        assert!((2..=most).contains(&at_once), "{args:?}: {at_once} at once");
    }
}

/// A /var/log whose journal a systemd wrote that is newer than what is known: an unknown bit says so.
fn of_newer_systemd(root: &Path) {
    let mut journal = Growing::new(root, START);
    for number in 0..3 {
        journal.append("kubelet", &format!("entry {number}"));
    }
    let path = journal.directory().join("system.journal");
    let mut bytes = fs::read(&path).expect("a journal");
    bytes[13] |= 0x10;
    fs::write(&path, bytes).expect("written");
}

#[test]
fn where_no_journal_file_can_be_read_the_next_source_is() {
    let [bare, with_log] = [(); 2].map(|()| tempfile::tempdir().expect("a directory"));
    of_newer_systemd(bare.path());
    of_newer_systemd(with_log.path());
    let text = "I1121 03:07:12.123456 1 a.go:1] one\nI1121 03:07:13.123456 1 a.go:1] two\n";
    fs::write(with_log.path().join("kubelet.log"), text).expect("written");
    let nodes = [("on", Mode::QUERY_ON, &bare), ("off", Mode::QUERY_OFF, &bare), ("file", Mode::QUERY_OFF, &with_log)];
    let nodes = nodes.map(|(name, mode, root)| Node::new(name, mode).reader(Reader::Recorded).files(root.path()));
    let cluster = Setup::new(nodes.into()).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    for part in [&["--tail=2"][..], &["--since-time=2023-11-14T22:13:20Z"], &["-b0"], &["-p"], &[]] {
        let ran = run(&kubeconfig, ["on"].iter().chain(part));
        let asked = run(&kubeconfig, ["on", "--source=query"].iter().chain(part));
        assert!(ran.code == 0 && ran.text() == asked.text() && !ran.text().is_empty(), "{part:?}: {}", ran.stderr);
        assert!(!ran.stderr.contains("damaged"), "{}", ran.stderr);
        let newer = &["the journal can't be read: system.journal: it was written by a newer systemd", "--source query"];
        for node in ["on", "off"] {
            let ran = run(&kubeconfig, [node, "--source=journal"].iter().chain(part));
            assert!(!ran.expect(3, newer).stderr.contains("damaged"), "{}", ran.stderr);
            assert!(!ran.stderr.contains("--verify"), "{}", ran.stderr);
        }
    }
    for follow in [&["--tail=0"][..], &["--tail=1", "--until=2026-12-01"]] {
        run(&kubeconfig, ["off", "-f", "--source=journal", "--timeout=60s"].iter().chain(follow))
            .expect(3, &["a newer systemd"]);
    }
    let ran = run(&kubeconfig, ["file", "--tail=1"]);
    assert_eq!(ran.expect(0, &["/var/log/kubelet.log"]).text(), &text[text.len() / 2..]);
    run(&kubeconfig, ["off", "--tail=1"])
        .expect(5, &["no text file of it: the journal can't be read", "enableSystemLogQuery"]);
    run(&kubeconfig, ["on", "--list-boots"]).expect(3, &["a newer systemd"]);
    run(&kubeconfig, ["off", "-b-1"]).expect(5, &["there is neither: the journal can't be read"]);
}

#[test]
fn a_unit_with_an_escaped_name_is_the_journals_to_tell() {
    const UNIT: &str = r"var-lib-kubelet-pods-x-kubernetes.io\x7eprojected-kube\x2dapi.mount";
    let root = tempfile::tempdir().expect("a directory");
    let mut journal = Growing::new(root.path(), START);
    journal.append("kubelet", "other");
    journal.append(UNIT, "mounted");
    let nodes = ["on", "off"].map(|name| {
        let mode = if name == "on" { Mode::QUERY_ON } else { Mode::QUERY_OFF };
        Node::new(name, mode).files(root.path())
    });
    let cluster = Setup::new(nodes.into()).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    for node in ["on", "off"] {
        for more in [&[][..], &["--source=journal"], &["--tail=1"]] {
            let ran = run(&kubeconfig, [node, "-u", UNIT].iter().chain(more));
            assert!(ran.expect(0, &[]).text().ends_with(": mounted\n"), "{}", ran.text());
            assert_eq!(ran.text().lines().count(), 1);
        }
    }
    run(&kubeconfig, ["on", "--source=query", "-u", UNIT]).expect(2, &["takes no \\", "--source journal"]);
    run(&kubeconfig, ["on", "--source=file", "-u", UNIT]).expect(5, &["no log of"]);
    run(&kubeconfig, ["on", "-u", r"no\x2dsuch.mount"]).expect(5, &["no log of unit"]);
}
