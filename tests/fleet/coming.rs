//! Nodes that come and go while others are followed.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, UNIX_EPOCH};

use hyper::StatusCode;
use kubelet_logs::clock::Clock;
use kubelet_logs::interrupt::Signal;
use kubelet_logs::time::Timestamp;
use tempfile::TempDir;
use tokio::sync::watch;

use crate::cluster::{Cluster, Fault, Grant, Mode, Node, Setup, User, What};
use crate::follow::run::{Lines, spawn};

/// Longer than anything here takes; a test that waits for it has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A run that follows: what it prints and says, as it comes.
pub(super) struct Following {
    thread: Option<JoinHandle<u8>>,
    interrupt: watch::Sender<Option<Signal>>,
    pub(super) printed: Heard,
    pub(super) said: Heard,
}

/// The lines of a stream.
pub(super) struct Heard {
    pub(super) lines: Receiver<String>,
    pub(super) got: Vec<String>,
}

impl Heard {
    /// Waits until this is in a line.
    #[track_caller]
    pub(super) fn wait_for(&mut self, part: &str) {
        let mut found = self.got.iter().any(|line| line.contains(part));
        while !found {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    found = line.contains(part);
                    self.got.push(line);
                }
                Err(why) => panic!("{part:?} did not come ({why}): {:#?}", self.got),
            }
        }
    }

    pub(super) fn count(&self, part: &str) -> usize {
        self.got.iter().filter(|line| line.contains(part)).count()
    }
}

impl Following {
    pub(super) fn start(kubeconfig: &Path, args: &[&str]) -> Following {
        let args = [&["--source=file"], args].concat();
        let ((output, printed), (sender, said)) = (channel(), channel());
        let (thread, interrupt) = spawn(kubeconfig, &args, Lines::new(output), move |line| {
            let _ = sender.send(line.to_owned());
        });
        let [printed, said] = [printed, said].map(|lines| Heard { lines, got: Vec::new() });
        Following { thread: Some(thread), interrupt, printed, said }
    }

    /// Ends it as Ctrl-C does, and takes all that is left.
    pub(super) fn interrupt(&mut self) -> u8 {
        self.interrupt.send_replace(Some(Signal::Interrupt));
        self.end()
    }

    pub(super) fn end(&mut self) -> u8 {
        for heard in [&mut self.printed, &mut self.said] {
            heard.got.extend(heard.lines.iter());
        }
        self.thread.take().expect("one end").join().expect("no panic")
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.interrupt.send_replace(Some(Signal::Interrupt));
    }
}

/// The log files of nodes.
pub(super) struct Logs(TempDir);

impl Logs {
    pub(super) fn new() -> Logs {
        Logs(tempfile::tempdir().expect("a folder"))
    }

    pub(super) fn folder(&self, node: &str) -> PathBuf {
        self.0.path().join(node)
    }

    /// An entry of now, or of so many seconds ago.
    pub(super) fn write(&self, node: &str, words: &str, ago: u64) {
        let folder = self.folder(node);
        std::fs::create_dir_all(&folder).expect("a folder");
        let at = Clock::System.now().saturating_sub(Duration::from_secs(ago));
        let modified = UNIX_EPOCH + Duration::from_micros(at.as_micros() as u64);
        let at = Timestamp::from_micros(at.as_micros()).civil_utc();
        let line = format!(
            "I{:02}{:02} {:02}:{:02}:{:02}.{:06}    1 a.go:1] {words}\n",
            at.month, at.day, at.hour, at.minute, at.second, at.micros
        );
        let mut file =
            std::fs::File::options().append(true).create(true).open(folder.join("kubelet.log")).expect("a file");
        file.write_all(line.as_bytes()).and_then(|()| file.set_modified(modified)).expect("room");
    }

    /// A node whose log begins with an entry of an hour ago.
    pub(super) fn node(&self, name: &str) -> Node {
        self.write(name, "old", 3600);
        Node::new(name, Mode::QUERY_OFF).files(&self.folder(name))
    }

    pub(super) fn start(&self, names: &[&str]) -> Cluster {
        Setup::new(names.iter().map(|name| self.node(name).label("pool", "a")).collect()).start()
    }

    /// Two nodes, followed by somebody who may list but not watch them.
    pub(super) fn follow_unwatched(&self) -> (Cluster, Following) {
        let mut setup = Setup::new(vec![self.node("w1"), self.node("w2")]);
        setup.grants = [("get", "nodes/proxy"), ("list", "nodes")]
            .map(|(verb, resource)| Grant { name: "limited".to_owned(), verb, resource })
            .to_vec();
        let cluster = setup.start();
        let run = Following::start(&cluster.kubeconfig(User::Limited), &["--all-nodes", "--tail=1"]);
        (cluster, run)
    }
}

/// Waits until the run watches, so that what happens next is an event for it.
pub(super) fn watched(cluster: &Cluster, times: usize) {
    cluster.wait_for(times, |request| request.target.contains("watch=true"));
}

#[test]
fn nodes_that_come_are_followed_and_nodes_that_go_are_not() {
    let logs = Logs::new();
    let cluster = logs.start(&["w1"]);
    let mut run = Following::start(&cluster.kubeconfig(User::Admin), &["-l", "pool=a", "--tail=1"]);
    run.printed.wait_for("w1 I");
    watched(&cluster, 1);
    // One that comes, one that is none of ours, and one that becomes one.
    cluster.put(logs.node("w2").label("pool", "a"));
    run.said.wait_for("note: w2 has come");
    logs.write("w2", "two", 0);
    run.printed.wait_for("two");
    cluster.put(logs.node("w3"));
    cluster.label("w3", "pool", "a");
    run.said.wait_for("note: w3 has come");
    logs.write("w3", "three", 0);
    run.printed.wait_for("three");
    // One that goes, and one that is chosen no longer.
    cluster.remove("w2");
    run.said.wait_for("note: w2 is gone");
    cluster.label("w3", "pool", "b");
    run.said.wait_for("note: w3 is gone");
    // What happens while the server forgets shows in the list.
    let before = cluster.requests().len();
    cluster.inject(Fault::new(What::Status(StatusCode::SERVICE_UNAVAILABLE)).path("watch=true").first(4));
    cluster.end_watches();
    cluster.put(logs.node("w4").label("pool", "a"));
    cluster.forget();
    run.said.wait_for("note: w4 has come");
    assert!(
        cluster.requests()[before..]
            .iter()
            .any(|request| request.path().ends_with("/nodes") && !request.target.contains("watch=true")),
        "it was not listed again"
    );
    // A watch that is cut, or whose connection is lost, goes on.
    for (name, what) in [("w5", What::CutAfter(0)), ("w6", What::Reset)] {
        cluster.heal();
        cluster.inject(Fault::new(what).path("watch=true").first(1));
        let seen = cluster.requests().iter().filter(|request| request.target.contains("watch=true")).count();
        cluster.end_watches();
        watched(&cluster, seen + 2);
        cluster.put(logs.node(name).label("pool", "a"));
        run.said.wait_for(&format!("note: {name} has come"));
    }
    // A node that comes back is followed again, and the one of the beginning still is.
    cluster.put(logs.node("w2").label("pool", "a"));
    logs.write("w1", "one", 0);
    run.printed.wait_for("one");
    while run.said.count("note: w2 has come") < 2 {
        let line = run.said.lines.recv_timeout(PATIENCE).expect("w2 comes once more");
        run.said.got.push(line);
    }
    assert_eq!(run.interrupt(), 130, "{:#?}", run.said.got);
    for (part, count) in [("w2 has come", 2), ("w3 has come", 1), ("w4 has come", 1), ("w5 has come", 1), ("w6 has", 1)]
    {
        assert_eq!(run.said.count(part), count, "{part}: {:#?}", run.said.got);
    }
    assert_eq!((run.said.count("is gone"), run.said.count("error: ")), (2, 0), "{:#?}", run.said.got);
    assert_eq!(run.printed.count(" old"), 1, "only of the node that was there: {:#?}", run.printed.got);
    assert!(run.said.count(" printed in ") == 1, "{:#?}", run.said.got);
}

#[test]
fn a_node_that_is_not_up_yet_is_waited_for() {
    let logs = Arc::new(Logs::new());
    let cluster = logs.start(&["w1"]);
    let mut run = Following::start(&cluster.kubeconfig(User::Admin), &["--all-nodes", "--tail=0", "--no-merge"]);
    watched(&cluster, 1);
    // Its kubelet does not listen yet; then it has no log yet.
    cluster.inject(Fault::new(What::Status(StatusCode::INTERNAL_SERVER_ERROR)).node("w2").first(2));
    let written = Arc::clone(&logs);
    cluster.inject(Fault::new(What::deed(move || written.write("w2", "first", 0))).node("w2").nth(5));
    std::fs::create_dir_all(logs.folder("w2")).expect("a folder");
    cluster.put(Node::new("w2", Mode::QUERY_OFF).files(&logs.folder("w2")));
    run.said.wait_for("warning: w2: ");
    run.printed.wait_for("first");
    assert_eq!(run.interrupt(), 130, "{:#?}", run.said.got);
    assert_eq!(run.said.count("error: "), 0, "{:#?}", run.said.got);
}

#[test]
fn a_node_that_its_requests_miss_first_is_gone_and_no_failure() {
    let logs = Logs::new();
    let cluster = logs.start(&["w1", "w2"]);
    let mut run = Following::start(&cluster.kubeconfig(User::Admin), &["w*", "--tail=1"]);
    run.printed.wait_for("w2 I");
    watched(&cluster, 1);
    cluster.inject(Fault::new(What::Status(StatusCode::SERVICE_UNAVAILABLE)).path("watch=true").perhaps());
    cluster.end_watches();
    cluster.remove("w2");
    let asked = cluster.requests().iter().filter(|request| request.target.contains("/nodes/w2/")).count();
    cluster.wait_for(asked + 1, |request| request.target.contains("/nodes/w2/"));
    // The watch says so later; once is enough.
    watched(&cluster, 2);
    cluster.heal();
    cluster.put(logs.node("w3"));
    run.said.wait_for("note: w2 is gone");
    run.said.wait_for("note: w3 has come");
    // All of them go: others may come.
    cluster.remove("w1");
    cluster.remove("w3");
    run.said.wait_for("note: w3 is gone");
    run.said.wait_for("note: w1 is gone");
    cluster.put(logs.node("w4"));
    run.said.wait_for("note: w4 has come");
    assert_eq!(run.interrupt(), 130, "{:#?}", run.said.got);
    assert_eq!((run.said.count("w2 is gone"), run.said.count("error: ")), (1, 0), "{:#?}", run.said.got);
}

#[test]
fn no_more_nodes_are_followed_than_was_said() {
    let logs = Logs::new();
    let cluster = logs.start(&["w1", "w2"]);
    let mut run = Following::start(
        &cluster.kubeconfig(User::Admin),
        &["--all-nodes", "--tail=1", "--max-concurrency=2", "--shard=0/1"],
    );
    run.printed.wait_for("w2 I");
    watched(&cluster, 1);
    cluster.put(logs.node("w3"));
    run.said.wait_for("warning: w3 has come and is not followed: 2 nodes are");
    assert_eq!(run.interrupt(), 130);
}

#[test]
fn who_may_not_watch_is_told_and_hears_of_nodes_by_lists() {
    let logs = Logs::new();
    let (cluster, mut run) = logs.follow_unwatched();
    run.said.wait_for("warning: what comes and goes is noticed late, by a list every 30 s: 403 Forbidden");
    logs.write("w1", "one", 0);
    run.printed.wait_for("one");
    cluster.put(logs.node("w3"));
    cluster.remove("w2");
    run.said.wait_for("note: w2 is gone");
    run.said.wait_for("note: w3 has come");
    logs.write("w3", "three", 0);
    run.printed.wait_for("three");
    assert_eq!(run.interrupt(), 130);
    assert_eq!((run.said.count("noticed late"), run.said.count("error: ")), (1, 0), "{:#?}", run.said.got);
}

#[test]
fn a_watch_and_a_list_that_are_refused_for_a_while_go_on() {
    let logs = Logs::new();
    let cluster = logs.start(&["w1"]);
    let mut run = Following::start(&cluster.kubeconfig(User::Admin), &["--all-nodes", "--tail=1"]);
    watched(&cluster, 1);
    let lists = |status| Fault::new(What::Status(status)).path("/api/v1/nodes?").perhaps();
    for (status, name) in [(StatusCode::FORBIDDEN, "w2"), (StatusCode::UNAUTHORIZED, "w3")] {
        // The watch first, and then the list.
        cluster.inject(lists(status).first(3));
        cluster.end_watches();
        cluster.put(logs.node(name));
        run.said.wait_for(&format!("note: {name} has come"));
    }
    cluster.heal();
    // Once it stays so, that is told with what to do.
    cluster.inject(lists(StatusCode::UNAUTHORIZED));
    cluster.end_watches();
    run.said.wait_for("warning: nodes that come or go are not noticed: 401");
    run.said.wait_for("hint: the server does not know these credentials");
    logs.write("w1", "one", 0);
    run.printed.wait_for("one");
    assert_eq!(run.interrupt(), 130);
    assert_eq!(run.said.count("error: "), 0, "{:#?}", run.said.got);
}

#[test]
fn a_watch_that_breaks_after_each_event_is_worth_a_word() {
    let logs = Logs::new();
    let cluster = logs.start(&["w1"]);
    let mut run = Following::start(&cluster.kubeconfig(User::Admin), &["--all-nodes", "--tail=1"]);
    for round in 1..=5 {
        watched(&cluster, round);
        cluster.put(Node::new("w1", Mode::QUERY_OFF).files(&logs.folder("w1")).label("round", &round.to_string()));
        cluster.put(logs.node(&format!("n{round}")));
        run.said.wait_for(&format!("note: n{round} has come"));
        cluster.end_watches();
    }
    run.said.wait_for("warning: what comes and goes is not noticed at the moment");
    assert_eq!(run.interrupt(), 130);
    assert_eq!(run.said.count("at the moment"), 1, "{:#?}", run.said.got);
}

#[test]
fn a_node_that_is_down_when_the_following_begins_is_asked_again() {
    let logs = Logs::new();
    let cluster = logs.start(&["w1", "w2", "w3"]);
    for (node, status) in [("w2", StatusCode::SERVICE_UNAVAILABLE), ("w3", StatusCode::INTERNAL_SERVER_ERROR)] {
        cluster.inject(Fault::new(What::Status(status)).node(node));
    }
    for args in [&["w1,w2,w3"][..], &["--all-nodes"], &["w1,w2,w3", "--no-merge"]] {
        let args = [args, &["--tail=1"]].concat();
        let mut run = Following::start(&cluster.kubeconfig(User::Admin), &args);
        run.printed.wait_for("w1 I");
        run.said.wait_for("w2: 503");
        run.said.wait_for("w3: 500");
        let asked = |node: &str| {
            let path = format!("/nodes/{node}/");
            cluster.requests().iter().filter(|request| request.target.contains(&path)).count()
        };
        cluster.wait_for(asked("w2") + 6, |request| request.target.contains("/nodes/w2/"));
        assert_eq!((run.said.count("error: "), run.printed.count("w2 I")), (0, 0), "{:#?}", run.said.got);
        assert_eq!(run.said.count("; trying again"), 2, "{:#?}", run.said.got);
        assert_eq!(run.interrupt(), 130, "{:#?}", run.said.got);
    }
    // Ending by itself it tells them, and has not all.
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let until = Clock::System.now().saturating_add(Duration::from_secs(3)).rfc3339().to_string();
    for args in [&["--until-time", &until][..], &["--fail-fast"]] {
        let mut run = Following::start(&kubeconfig, &[&["w1,w2", "--tail=1"], args].concat());
        assert_eq!(run.end(), 3, "{args:?}: {:#?}", run.said.got);
        run.said.wait_for("error: w2: 503");
        assert_eq!(run.said.count("trying again"), usize::from(args.len() > 1), "{:#?}", run.said.got);
    }
    // And what comes back is read as it would have been.
    let mut run = Following::start(&kubeconfig, &["w1,w2", "--tail=1"]);
    run.said.wait_for("w2: 503");
    cluster.heal();
    run.printed.wait_for("w2 I");
    logs.write("w2", "two", 0);
    run.printed.wait_for("two");
    assert_eq!(run.interrupt(), 130);
}

#[test]
fn a_window_that_ends_ends_the_following_of_all_nodes() {
    let logs = Logs::new();
    let cluster = logs.start(&["w1", "w2"]);
    let mut run = Following::start(&cluster.kubeconfig(User::Admin), &["--all-nodes", "--until=now", "--tail=1"]);
    assert_eq!(run.end(), 0, "{:#?}", run.said.got);
    assert_eq!(run.printed.got.len(), 2);
}

#[test]
fn a_node_that_comes_with_a_log_without_times_is_followed_from_its_end() {
    let logs = Logs::new();
    let plain = |node: &str, words: &str| {
        let file = std::fs::File::options().append(true).create(true).open(logs.folder(node).join("plain.log"));
        file.and_then(|mut file| file.write_all(words.as_bytes())).expect("room");
    };
    let cluster = logs.start(&["w1"]);
    plain("w1", "old\n");
    let mut run =
        Following::start(&cluster.kubeconfig(User::Admin), &["--all-nodes", "--path", "plain.log", "--tail=1"]);
    run.printed.wait_for("w1 old");
    watched(&cluster, 1);
    let node = logs.node("w2");
    plain("w2", "of before\n");
    cluster.put(node);
    run.said.wait_for("note: w2 has come");
    cluster.wait_for(4, |request| request.target.contains("/nodes/w2/"));
    for node in ["w2", "w1"] {
        plain(node, "new\n");
        run.printed.wait_for(&format!("{node} new"));
    }
    assert_eq!(run.interrupt(), 130, "{:#?}", run.said.got);
    assert_eq!((run.said.count("error: "), run.printed.count("of before")), (0, 0), "{:#?}", run.said.got);
}
