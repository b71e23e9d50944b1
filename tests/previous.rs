//! The run before the last where only the query can be asked: told by the process number.

use crate::cluster::journal::{Journal, Reader, Recording};
use crate::cluster::setup::Files;
use crate::cluster::{Cluster, Mode, Node, Setup, User};
use crate::support::run;

/// What the fixture's journal gives the ids that systemd gives: not to every crash that it makes up.
const OWN: &str = r#"\] "|Started |status=255"#;
const SAID: &str = "by the change of the process number";

#[test]
fn the_query_tells_the_run_before_the_last_as_the_journal_does() {
    let nodes = ["on", "volatile"].map(|name| Node::new(name, Mode::QUERY_ON));
    let [on, volatile] = nodes;
    let off = Node::new("off", Mode::QUERY_OFF).journal(Journal::None);
    let cluster = Setup::new(vec![on, volatile.journal(Journal::None), off]).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let ask = |choice: &[&str], args: &[&str]| run(&kubeconfig, choice.iter().chain(&["-p", "-g", OWN]).chain(args));
    for boot in ["0", "-1", "-2"] {
        for more in [&[][..], &["--tail", "3"], &["-u", "kubelet"], &["--until-time", "2023-11-14T22:18:00Z"]] {
            let args = [&["-b", boot][..], more].concat();
            let told = ask(&["on", "--source", "journal"], &args);
            assert!(!told.expect(0, &[]).text().is_empty() && !told.stderr.contains(SAID), "{}", told.stderr);
            for choice in [&["on", "--source=query"][..], &["volatile"]] {
                let ran = ask(choice, &args);
                ran.expect(0, &[SAID]);
                assert!(ran.text() == told.text(), "{choice:?} {args:?}:\n{}---\n{}", ran.text(), told.text());
            }
        }
    }
    // One run of it is known there.
    run(&kubeconfig, ["volatile", "-p", "-u", "containerd", "-b", "0"])
        .expect(5, &["in this boot", "leave --boot out"]);
    run(&kubeconfig, ["volatile", "-p", "-u", "nosuch"]).expect(5, &["no log of unit nosuch"]);
    run(&kubeconfig, ["volatile", "-p", "-b", "-9"]).expect(5, &["no boot -9"]);
    run(&kubeconfig, ["volatile", "-p", "-u", "kubelet,containerd"]).expect(2, &["one unit at a time"]);
    run(&kubeconfig, ["volatile", "-p", "-b", "+1"]).expect(5, &["--previous takes the node's journal", "no journal"]);
    run(&kubeconfig, ["volatile", "-p", "-t", "kubelet"]).expect(5, &["--previous takes the node's journal"]);
    run(&kubeconfig, ["off", "-p"]).expect(5, &["--previous", "there is neither"]);
    run(&kubeconfig, ["off", "-p", "--source=query"]).expect(1, &["offers no log query"]);
    run(&kubeconfig, ["on", "-p", "--source=file"]).expect(2, &["--source journal"]);
}

/// A kubelet's entries: so many of each process, in these boots, each begun by systemd.
fn kubelet(runs: &[(usize, u32, usize)]) -> &'static Recording {
    let (mut entries, mut at) = (Vec::new(), 1_700_000_000_000_000_i64);
    let mut push = |boot: usize, text: &str| {
        at += 1_000;
        let (minute, micros) = ((at / 60_000_000) % 60, at % 60_000_000);
        let time = format!("22:{minute:02}:{:02}.{:06}", micros / 1_000_000, micros % 1_000_000);
        let entry = serde_json::json!({ "t": at, "b": boot, "u": [0], "x": format!("Nov 14 {time} node-7 {text}\n") });
        entries.push(serde_json::from_value(entry).expect("an entry"));
    };
    for (boot, process, many) in runs {
        push(*boot, "systemd[1]: Started kubelet.service - kubelet: The Kubernetes Node Agent.");
        (0..*many).for_each(|n| push(*boot, &format!("kubelet[{process}]: line {n}")));
        push(*boot, "systemd[1]: kubelet.service: Main process exited, code=exited, status=255/EXCEPTION");
    }
    let boots = runs.iter().map(|(boot, ..)| format!("{boot:032x}"));
    let boots: std::collections::BTreeSet<String> = boots.collect();
    let boots = boots.into_iter().collect();
    Box::leak(Box::new(Recording { units: vec!["kubelet.service".to_owned()], boots, entries }))
}

fn node(runs: &[(usize, u32, usize)]) -> (Cluster, &'static Recording) {
    let recording = kubelet(runs);
    let mut node = Node::new("node-a", Mode::QUERY_ON).journal(Journal::None).reader(Reader::Made(recording));
    node.files = Files::Bare;
    (Setup::new(vec![node]).start(), recording)
}

#[test]
fn a_long_run_is_found_in_steps_and_in_an_earlier_boot() {
    for (runs, previous) in [
        // The last run fills the first step, the one before it the second.
        (&[(0, 10, 40), (0, 11, 6_000), (0, 12, 1_500)][..], 1),
        // The only run of its boot, whose process has the same number.
        (&[(0, 10, 40), (0, 11, 2_500), (1, 11, 30)], 1),
        // Boots in between in which it wrote nothing are none: all of a boot is one run.
        (&[(0, 10, 30), (1, 11, 20)], 0),
        // A run that has only just begun.
        (&[(0, 10, 30), (0, 11, 20), (0, 12, 0)], 1),
    ] {
        let (cluster, recording) = node(runs);
        let kubeconfig = cluster.kubeconfig(User::Admin);
        let from: usize = runs[..previous].iter().map(|(.., many)| many + 2).sum();
        let many = runs[previous].2 + 2;
        let wanted: Vec<&str> = recording.entries[from..from + many].iter().map(|entry| entry.text.as_str()).collect();
        let ran = run(&kubeconfig, ["node-a", "-p"]);
        assert!(ran.expect(0, &[SAID]).text() == wanted.concat(), "{runs:?}: {} lines", ran.text().lines().count());
        let asked = cluster.requests().iter().filter(|request| request.target.contains("query=")).count();
        assert!(asked <= 20, "{asked} queries");
        let all = |target: &str| !target.contains("tailLines") && !target.contains("sinceTime");
        let whole = cluster
            .requests()
            .iter()
            .filter(|request| request.target.contains("query=") && all(&request.target))
            .count();
        assert_eq!(whole, 0, "all of the log was asked for");
        let ran = run(&kubeconfig, ["node-a", "-p", "--tail", "3"]);
        assert_eq!(ran.expect(0, &[]).text(), wanted[many - 3..].concat());
    }
}

#[test]
fn a_process_that_never_changed_has_no_run_before() {
    let (cluster, _) = node(&[(0, 10, 1_200)]);
    run(&cluster.kubeconfig(User::Admin), ["node-a", "-p"])
        .expect(5, &["kubelet never changed", "--since and --until"]);
}

#[test]
fn of_several_units_those_are_printed_that_ran_before() {
    let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_OFF)]).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let one = run(&kubeconfig, ["node-a", "-p", "-u", "kubelet"]);
    assert!(!one.expect(0, &[]).text().is_empty());
    for (units, words) in [
        ("kubelet,containerd", &["no run before the last of containerd;", "one run of containerd alone"][..]),
        ("containerd,kubelet", &["no run before the last of containerd;", "one run of containerd alone"]),
        ("nosuch,kubelet", &["no run before the last of nosuch;", "does not know nosuch"]),
        ("kubelet,containerd,nosuch", &["no run before the last of containerd, nosuch; those of the others were"]),
    ] {
        let ran = run(&kubeconfig, ["node-a", "-p", "-u", units]);
        assert_eq!((ran.code, ran.text()), (3, one.text()), "{units}: {}", ran.stderr);
        assert!(words.iter().all(|words| ran.stderr.contains(words)), "{units}: {}", ran.stderr);
    }
    run(&kubeconfig, ["node-a", "-p", "-u", "containerd,nosuch"]).expect(5, &["one run of containerd alone"]);
    run(&kubeconfig, ["node-a", "-p", "-u", "nosuch,containerd"]).expect(5, &["no log of unit nosuch"]);
}
