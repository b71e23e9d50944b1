//! Nodes that are followed together: how soon what waits comes, and what is said of those that were not read.

use std::time::{Duration, UNIX_EPOCH};

use hyper::StatusCode;
use kubelet_logs::clock::Clock;

use super::coming::{Following, Logs, watched};
use crate::cluster::{Fault, Health, Mode, Node, Setup, User, What};
use crate::support::run;

/// Entries of 200 bytes each, written within the last hour.
fn write_backlog(logs: &Logs, node: &str, entries: u64) {
    let begin = Clock::System.now().saturating_sub(Duration::from_secs(3600));
    let text: String = (0..entries)
        .map(|n| {
            let at = begin.saturating_add(Duration::from_millis(n * 3_000_000 / entries)).civil_utc();
            let header = format!(
                "I{:02}{:02} {:02}:{:02}:{:02}.{:06}    1 a.go:1] entry {n} ",
                at.month, at.day, at.hour, at.minute, at.second, at.micros
            );
            format!("{header:.<199}\n")
        })
        .collect();
    let path = logs.folder(node).join("kubelet.log");
    std::fs::create_dir_all(logs.folder(node)).expect("a folder");
    std::fs::write(&path, text).expect("room");
    let last = UNIX_EPOCH + Duration::from_micros(begin.as_micros() as u64) + Duration::from_secs(3000);
    std::fs::File::options().append(true).open(path).and_then(|file| file.set_modified(last)).expect("a date");
}

#[test]
fn a_backlog_is_not_held_back_by_nodes_that_have_nothing_to_say() {
    // What may wait of one node, and how often as much there is. Each waiting for a silent node takes a second.
    let (share, shares) = (16 << 10, 100);
    let logs = Logs::new();
    write_backlog(&logs, "w1", share * shares / 200);
    let file = |name: &str| Node::new(name, Mode::QUERY_OFF).files(&logs.folder(name));
    let mut setup = Setup::new(vec![
        file("w1"),
        logs.node("quiet"),
        Node::new("hung", Mode::QUERY_OFF).health(Health::Hung),
        Node::new("down", Mode::QUERY_OFF).health(Health::Down),
    ]);
    // Not one that the API server gives up by itself.
    setup.handshake_limit = Duration::from_secs(600);
    let cluster = setup.start();
    let buffer = (share * 2).to_string();
    for other in ["quiet", "hung", "down"] {
        // Held back for each share it would take as many seconds as there are shares, and be over before.
        let args = ["w1", other, "--tail=-1", "--buffer", &buffer, "--timeout=60s"];
        let mut run = Following::start(&cluster.kubeconfig(User::Admin), &args);
        run.printed.wait_for(&format!("entry {} ", share * shares / 200 - 1));
        assert_eq!(run.interrupt(), 130);
    }
}

#[test]
fn who_is_not_read_when_a_following_ends_is_named() {
    let logs = Logs::new();
    let cluster = logs.start(&["w1", "w2", "w3"]);
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let fails = |node: &str| Fault::new(What::Status(StatusCode::SERVICE_UNAVAILABLE)).node(node);
    // One that never answers well, and one that does not any more.
    cluster.inject(fails("w2"));
    let mut run = Following::start(&kubeconfig, &["w1,w2,w3", "--tail=1"]);
    run.said.wait_for("warning: w2: 503");
    run.printed.wait_for("w3 I");
    cluster.inject(fails("w3"));
    run.said.wait_for("warning: w3: 503");
    logs.write("w1", "one", 0);
    run.printed.wait_for("one");
    assert_eq!(run.interrupt(), 130);
    run.said.wait_for("error: w2: 503 Service Unavailable");
    run.said.wait_for("error: w3: the rest could not be read: 503 Service Unavailable");
    run.said.wait_for("note: 2 of 3 nodes failed");
    assert_eq!(run.said.count("error: "), 2, "{:#?}", run.said.got);
    // The time of a run ends a following in order, where nothing fails.
    for (nodes, code) in [("w1,w2", 3), ("w1", 0)] {
        let mut run = Following::start(&kubeconfig, &[nodes, "--tail=1", "--timeout=3s"]);
        assert_eq!(run.end(), code, "{:#?}", run.said.got);
        run.said.wait_for("note: --timeout 3s is over");
        assert_eq!(run.said.count("error: w2: 503"), usize::from(code > 0), "{:#?}", run.said.got);
        assert_eq!(run.said.count("error: "), usize::from(code > 0), "{:#?}", run.said.got);
    }
}

#[test]
fn a_look_that_hangs_when_a_following_ends_is_none_that_went_well() {
    let logs = Logs::new();
    let cluster = logs.start(&["w1"]);
    let args = ["--all-nodes", "--tail=1", "--timeout=9s"];
    let mut run = Following::start(&cluster.kubeconfig(User::Admin), &args);
    run.printed.wait_for("w1 I");
    watched(&cluster, 1);
    cluster.put(logs.node("w2"));
    run.said.wait_for("note: w2 has come");
    for node in ["w1", "w2"] {
        logs.write(node, &format!("of {node}"), 0);
        run.printed.wait_for(&format!("of {node}"));
    }
    // It has joined and was heard, and then it hangs.
    cluster.inject(Fault::new(What::Delay(Duration::from_secs(600))).node("w2"));
    assert_eq!(run.end(), 3, "{:#?}", run.said.got);
    run.said.wait_for("error: the run took longer than --timeout 9s; had not come to the end: w2");
    run.said.wait_for("note: 1 of 2 nodes read to the end");
    assert_eq!(run.said.count("error: "), 1, "{:#?}", run.said.got);
}

#[test]
fn what_one_node_has_lost_is_not_laid_at_anothers_door() {
    let logs = Logs::new();
    let cluster = logs.start(&["w1", "w2"]);
    let mut run = Following::start(&cluster.kubeconfig(User::Admin), &["w1,w2", "--tail=1", "--timeout=5s"]);
    for node in ["w1", "w2"] {
        logs.write(node, &format!("of {node}"), 0);
        run.printed.wait_for(&format!("of {node}"));
    }
    // Emptied, and gone on with.
    std::fs::write(logs.folder("w1").join("kubelet.log"), "").expect("an empty file");
    logs.write("w1", "new", 0);
    run.said.wait_for("warning: w1: /var/log/kubelet.log was replaced or emptied");
    assert_eq!(run.end(), 3, "{:#?}", run.said.got);
    run.said.wait_for("note: --timeout 5s is over");
    run.said.wait_for("error: w1: /var/log/kubelet.log was replaced or emptied");
    run.said.wait_for("note: 1 of 2 nodes failed");
    assert_eq!((run.said.count("error: "), run.said.count(": w2")), (1, 0), "{:#?}", run.said.got);
}

#[test]
fn a_refusal_that_stays_is_told_with_its_remedy() {
    let logs = Logs::new();
    let cluster = Setup::new(vec![logs.node("w1"), Node::new("off", Mode::HANDLER_OFF)]).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let mut run = Following::start(&kubeconfig, &["--all-nodes", "--tail=1"]);
    run.said.wait_for("error: off: 405 Method Not Allowed: logs endpoint is disabled");
    run.said.wait_for("hint: this node's kubelet does not serve its logs");
    logs.write("w1", "one", 0);
    run.printed.wait_for("one");
    // One that was read, and whose kubelet serves its logs no more.
    let body = "logs endpoint is disabled.".to_owned();
    let off = What::Text { status: StatusCode::METHOD_NOT_ALLOWED, content_type: "text/plain", body };
    cluster.inject(Fault::new(off).node("w1"));
    run.said.wait_for("error: w1: the rest could not be read: 405 Method Not Allowed");
    assert_eq!(run.end(), 3, "{:#?}", run.said.got);
}

#[test]
fn a_following_with_an_end_begins_with_ten_entries_too() {
    let logs = Logs::new();
    for n in 0..15 {
        logs.write("w1", &format!("entry {n}"), 100 - n);
        logs.write("w2", &format!("entry {n}"), 100 - n);
    }
    let node = |name: &str| Node::new(name, Mode::QUERY_OFF).files(&logs.folder(name));
    let cluster = Setup::new(vec![node("w1"), node("w2")]).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    for (args, entries) in [
        (&["w1", "--until=now"][..], 10),
        (&["w*", "--until=now"], 20),
        (&["w1", "--until=now", "--since=1h"], 15),
        (&["w1", "--until=now", "--tail=-1"], 15),
    ] {
        let mut run = Following::start(&kubeconfig, args);
        assert_eq!((run.end(), run.printed.got.len()), (0, entries), "{args:?} {:#?}", run.said.got);
    }
    let ran = run(&kubeconfig, ["w[1]", "-q"]);
    ran.expect(0, &[]);
    run(&kubeconfig, ["w[1]"]).expect(0, &["note: the last 10 entries of 1 node; "]);
}

#[test]
fn a_node_that_is_not_there_once_comes_back_with_the_next_list() {
    let logs = Logs::new();
    let (cluster, mut run) = logs.follow_unwatched();
    run.printed.wait_for("w2 I");
    watched(&cluster, 1);
    let body = r#"{"kind":"Status","message":"nodes \"w2\" not found","reason":"NotFound","details":{"kind":"nodes"},"code":404}"#;
    let gone = What::Text { status: StatusCode::NOT_FOUND, content_type: "application/json", body: body.to_owned() };
    cluster.inject(Fault::new(gone).node("w2"));
    run.said.wait_for("note: w2 is gone");
    cluster.heal();
    logs.write("w2", "meanwhile", 0);
    run.said.wait_for("note: w2 has come");
    run.printed.wait_for("meanwhile");
    logs.write("w2", "two", 0);
    run.printed.wait_for("two");
    assert_eq!(run.interrupt(), 130);
    assert_eq!((run.printed.count("w2 I"), run.said.count("error: ")), (3, 0), "{:#?}", run.said.got);
}

#[test]
fn a_node_that_did_not_answer_in_time_is_named() {
    let hung = Node::new("hung", Mode::QUERY_OFF).health(Health::Hung);
    let cluster = Setup { handshake_limit: Duration::from_secs(600), ..Setup::new(vec![hung]) }.start();
    let ran = run(&cluster.kubeconfig(User::Admin), ["hung", "--timeout=1s"]);
    ran.expect(3, &["error: hung: the run took longer than --timeout 1s\n"]);
}
