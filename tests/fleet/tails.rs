//! The last entries of logs, more of them than may be held until it is their turn.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{ZONES, merged, same, start, write, written};
use crate::cluster::{Cluster, Fault, Mode, Node, Setup, User, What};
use crate::support::run;

/// How often the nodes' logs were asked for.
fn asked(cluster: &Cluster) -> usize {
    cluster.requests().iter().filter(|request| request.target.ends_with("/kubelet.log")).count()
}

#[test]
fn long_tails_of_many_nodes_are_counted_and_then_read_in_turns() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut written = written(30, 4000);
    let cluster = start(&written, folder.path(), []);
    let kubeconfig = cluster.kubeconfig(User::Admin);
    // What is not much is held, by each in one answer.
    let ran = run(&kubeconfig, ["--all-nodes", "--tail=50", "--path=kubelet.log", "-q", "-ojsonl"]);
    assert_eq!(ran.expect(0, &[]).text().lines().count(), 30 * 50);
    let held = asked(&cluster);
    assert!(held <= 2 * 30, "{held} requests");
    for node in &mut written {
        node.entries.drain(..500);
    }
    let ran = run(&kubeconfig, ["--all-nodes", "--tail=3500", "--path=kubelet.log", "-q", "--buffer=1000000"]);
    same(ran.expect(0, &[]).text(), &merged(&written, 8));
    // At least its end, its beginning, and what follows from there.
    let counted = asked(&cluster) - held;
    assert!(counted >= 3 * 30, "{counted} requests");
}

/// A kubelet's log in four files, the older ones packed.
fn rotated(folder: &Path) {
    let [written] = &mut *written(1, 9000) else { return };
    write(written, folder);
    let text =
        |from: usize, to: usize| written.entries[from..to].iter().map(|(_, text)| text.as_str()).collect::<String>();
    for (name, from, to) in [("kubelet.log.3.gz", 0, 2000), ("kubelet.log.2.gz", 2000, 4000)] {
        let mut packed = GzEncoder::new(std::fs::File::create(folder.join(name)).expect("a file"), Compression::fast());
        packed.write_all(text(from, to).as_bytes()).and_then(|()| packed.try_finish()).expect("a file");
    }
    // Its last line has no end.
    std::fs::write(folder.join("kubelet.log.1"), text(4000, 6000).trim_end()).expect("a file");
    written.entries.drain(..6000);
    write(written, folder);
}

#[test]
fn what_does_not_fit_is_printed_as_what_does() {
    let folder = tempfile::tempdir().expect("a folder");
    rotated(folder.path());
    let nodes = vec![
        Node::new("text", Mode::QUERY_OFF).zone(ZONES[1].0).files(folder.path()),
        Node::new("node", Mode::QUERY_ON),
    ];
    let cluster = Setup::new(nodes).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let mut cases: Vec<Vec<&str>> = Vec::new();
    for tail in ["--tail=300", "--tail=2999", "--tail=6500"] {
        cases.push(vec!["text", tail]);
        cases.push(vec!["text", tail, "-g", "entry [0-9]*[123] ", "-o", "jsonl"]);
        cases.push(vec!["text", tail, "--since-time", "2025-12-31T23:55:00Z", "--timestamps"]);
    }
    cases.push(vec!["text", "--path=kubelet.log", "--path=kubelet.log.2.gz", "--path=kubelet.log.1", "--tail=4100"]);
    for source in ["--source=query", "--source=journal"] {
        for tail in ["--tail=30", "--tail=100000"] {
            cases.push(vec!["node", source, tail]);
            cases.push(vec!["node", source, tail, "-g", "o"]);
            cases.push(vec!["node", source, tail, "-g", "o", "--timestamps", "--until-time", "2030-01-01"]);
            cases.push(vec!["node", source, tail, "--for=pod/default/web"]);
            cases.push(vec!["node", source, tail, "-p"]);
            cases.push(vec!["node", source, tail, "-f", "--until-time", "2024-01-01"]);
        }
    }
    let mut different = 0;
    for case in cases {
        let held = run(&kubeconfig, case.iter().chain(&["-q"]));
        let counted = run(&kubeconfig, case.iter().chain(&["-q", "--buffer=2000"]));
        assert_eq!((held.code, &held.stderr), (counted.code, &counted.stderr), "{case:?}");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        same(&text(&counted.stdout), &text(&held.stdout));
        different += usize::from(held.stdout.len() > 2000);
    }
    assert!(different > 20, "{different} were more than fits");
}

#[test]
fn a_file_that_is_another_one_when_its_turn_comes_is_not_taken_for_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let written = written(1, 4000);
    let cluster = start(&written, folder.path(), []);
    let file = folder.path().join("node-000/kubelet.log");
    // Once counted it is read again: by then it has been replaced.
    let shorter: String = written[0].entries.iter().take(50).map(|(_, text)| text.as_str()).collect();
    let replace = What::deed(move || std::fs::write(&file, &shorter[1..]).expect("a file"));
    cluster.inject(Fault::new(replace).path("/kubelet.log").nth(3));
    let ran = run(&cluster.kubeconfig(User::Admin), ["node-000", "--path=kubelet.log", "--tail=1000", "--buffer=2000"]);
    ran.expect(3, &["it was replaced while it was read"]);
}
