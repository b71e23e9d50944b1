//! Nodes that come and go while others are followed.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, UNIX_EPOCH};

use hyper::StatusCode;
use kubelet_logs::clock::Clock;
use kubelet_logs::time::Timestamp;
use tempfile::TempDir;

use crate::cluster::{Cluster, Fault, Grant, Mode, Node, Setup, User, What};
use crate::support::program;

/// Longer than anything here takes; a test that waits for it has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A run that follows: what it prints and says, as it comes.
struct Following {
    child: Child,
    printed: Heard,
    said: Heard,
}

/// The lines of a stream.
struct Heard {
    lines: Receiver<String>,
    got: Vec<String>,
}

impl Heard {
    fn new(stream: impl Read + Send + 'static) -> Heard {
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Heard { lines, got: Vec::new() }
    }

    /// Waits until this is in a line.
    #[track_caller]
    fn wait_for(&mut self, part: &str) {
        while !self.got.iter().any(|line| line.contains(part)) {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.got.push(line),
                Err(why) => panic!("{part:?} did not come ({why}): {:#?}", self.got),
            }
        }
    }

    fn count(&self, part: &str) -> usize {
        self.got.iter().filter(|line| line.contains(part)).count()
    }
}

impl Following {
    fn start(kubeconfig: &Path, args: &[&str]) -> Following {
        let mut command = program();
        command.arg("--kubeconfig").arg(kubeconfig).args(["-f", "--source=file"]).args(args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
        let printed = Heard::new(child.stdout.take().expect("a pipe"));
        let said = Heard::new(child.stderr.take().expect("a pipe"));
        Following { child, printed, said }
    }

    /// Ends it as Ctrl-C does, and takes all that is left.
    fn interrupt(&mut self) -> i32 {
        let killed = std::process::Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(killed.is_ok_and(|status| status.success()));
        self.end()
    }

    fn end(&mut self) -> i32 {
        for heard in [&mut self.printed, &mut self.said] {
            heard.got.extend(heard.lines.iter());
        }
        self.child.wait().expect("an end").code().expect("an exit code")
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // One that has ended can't be killed, and need not be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The log files of nodes.
struct Logs(TempDir);

impl Logs {
    fn new() -> Logs {
        Logs(tempfile::tempdir().expect("a folder"))
    }

    fn folder(&self, node: &str) -> PathBuf {
        self.0.path().join(node)
    }

    /// An entry of now, or of so many seconds ago.
    fn write(&self, node: &str, words: &str, ago: u64) {
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
    fn node(&self, name: &str) -> Node {
        self.write(name, "old", 3600);
        Node::new(name, Mode::QUERY_OFF).files(&self.folder(name))
    }

    fn start(&self, names: &[&str]) -> Cluster {
        Setup::new(names.iter().map(|name| self.node(name).label("pool", "a")).collect()).start()
    }
}

/// Waits until the run watches, so that what happens next is an event for it.
fn watched(cluster: &Cluster, times: usize) {
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
    assert!(run.said.count("gave ") == 1, "{:#?}", run.said.got);
}

#[test]
fn a_node_that_is_not_up_yet_is_waited_for() {
    let logs = Logs::new();
    let cluster = logs.start(&["w1"]);
    let mut run = Following::start(&cluster.kubeconfig(User::Admin), &["--all-nodes", "--tail=0", "--no-merge"]);
    watched(&cluster, 1);
    // Its kubelet does not listen yet; then it has no log yet.
    cluster.inject(Fault::new(What::Status(StatusCode::INTERNAL_SERVER_ERROR)).node("w2").first(2));
    std::fs::create_dir_all(logs.folder("w2")).expect("a folder");
    cluster.put(Node::new("w2", Mode::QUERY_OFF).files(&logs.folder("w2")));
    run.said.wait_for("warning: w2: ");
    cluster.wait_for(4, |request| request.target.contains("/nodes/w2/"));
    logs.write("w2", "first", 0);
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
fn who_may_not_watch_is_told_and_follows_the_nodes_there_are() {
    let logs = Logs::new();
    let mut setup = Setup::new(vec![logs.node("w1")]);
    setup.grants = [("get", "nodes/proxy"), ("list", "nodes")]
        .map(|(verb, resource)| Grant { name: "limited".to_owned(), verb, resource })
        .to_vec();
    let cluster = setup.start();
    let mut run = Following::start(&cluster.kubeconfig(User::Limited), &["--all-nodes", "--tail=1"]);
    run.said.wait_for("warning: nodes that come or go are not noticed: 403 Forbidden");
    logs.write("w1", "one", 0);
    run.printed.wait_for("one");
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
