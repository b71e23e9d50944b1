//! An entry whose lines come in several looks is one entry all the same.

use kubelet_logs::clock::Clock;
use kubelet_logs::time::Timestamp;

use super::Log;
use super::run::Following;
use crate::cluster::{Cluster, Mode, Node, Setup, User};

/// A node whose log has an entry.
struct Written {
    folder: tempfile::TempDir,
    log: Log,
}

impl Written {
    fn new() -> Written {
        let folder = tempfile::tempdir().expect("a folder");
        let mut log = Log::new(folder.path());
        log.append(1);
        Written { folder, log }
    }

    fn node(&self, name: &str) -> Node {
        Node::new(name, Mode::QUERY_OFF).files(self.folder.path())
    }

    /// Begins an entry.
    fn head(&mut self, words: &str) {
        let line = self.log.line(words);
        self.log.write(&format!("{line}\n"));
    }
}

/// Waits until all that was written is looked at.
fn looked(cluster: &Cluster) {
    let before = cluster.requests().len();
    cluster.wait_for(before + 6, |_| true);
}

/// What was printed, without what stands before the words.
fn words(lines: &[String]) -> Vec<&str> {
    lines.iter().map(|line| line.split_once("] ").or(line.split_once('\t')).map_or(line.as_str(), |(_, w)| w)).collect()
}

#[test]
fn lines_that_continue_an_entry_go_where_it_went() {
    // What is asked for, and what comes of an entry, two lines of it that come later, and the next entry.
    for (args, expected) in [
        (&["--since=1h"][..], &["line 0", "boom 1", "one", "two", "next 2"][..]),
        (&["--tail=0"], &["boom 1", "one", "two", "next 2"]),
        (&["--tail=0", "--timestamps"], &["boom 1", "one", "two", "next 2"]),
        (&["-g", "boom"], &["boom 1", "one", "two"]),
        (&["-g", "boom", "--since=1h"], &["boom 1", "one", "two"]),
        // Only a later line tells that it is wanted: all of it comes then.
        (&["-g", "two"], &["boom 1", "one", "two"]),
        (&["-e", "boom", "--since=1h"], &["line 0", "next 2"]),
        (&["-e", "boom"], &["line 0", "next 2"]),
        (&["-e", "two", "--tail=0"], &["boom 1", "one", "next 2"]),
        (&["-P", "E", "--since=1h"], &[]),
    ] {
        let mut written = Written::new();
        let cluster = Setup::new(vec![written.node("node-a")]).start();
        let args = [&["node-a", "--source=file"], args].concat();
        let following = Following::start(&cluster.kubeconfig(User::Admin), &args);
        looked(&cluster);
        written.head("boom");
        looked(&cluster);
        for continuation in ["\tone\n", "\ttwo\n"] {
            written.log.write(continuation);
            looked(&cluster);
        }
        written.head("next");
        looked(&cluster);
        let (_, lines, said) = following.interrupt();
        assert_eq!(words(&lines), expected, "{args:?}: {said}");
    }
}

#[test]
fn lines_that_continue_what_was_there_before_the_following_began_go_where_it_went() {
    for (args, expected) in [
        (&["--since=1h"][..], &["line 0", "one", "next 1"][..]),
        (&["--tail=0"], &["one", "next 1"]),
        (&["-g", "line"], &["line 0", "one"]),
        (&["-g", "one"], &["line 0", "one"]),
        (&["-g", "next"], &["next 1"]),
        (&["-e", "line"], &["next 1"]),
    ] {
        let mut written = Written::new();
        let cluster = Setup::new(vec![written.node("node-a")]).start();
        let args = [&["node-a", "--source=file"], args].concat();
        let following = Following::start(&cluster.kubeconfig(User::Admin), &args);
        looked(&cluster);
        written.log.write("\tone\n");
        looked(&cluster);
        written.head("next");
        looked(&cluster);
        let (_, lines, said) = following.interrupt();
        assert_eq!(words(&lines), expected, "{args:?}: {said}");
    }
}

#[test]
fn lines_that_continue_an_entry_of_a_node_that_came_follow_it() {
    let (mut one, mut two) = (Written::new(), Written::new());
    let cluster = Setup::new(vec![one.node("node-a")]).start();
    let mut following =
        Following::start(&cluster.kubeconfig(User::Admin), &["--all-nodes", "--source=file", "--tail=0"]);
    cluster.wait_for(1, |request| request.target.contains("watch=true"));
    cluster.put(two.node("node-b"));
    cluster.wait_for(8, |request| request.target.contains("/node-b/"));
    for (node, written) in [("node-b", &mut two), ("node-a", &mut one)] {
        for part in ["boom", "one", "two"] {
            match part {
                "boom" => written.head(part),
                part => written.log.write(&format!("\t{part}\n")),
            }
            let end = format!("{part}{}", if part == "boom" { " 1" } else { "" });
            following.wait_for(&end);
            assert!(following.got.last().is_some_and(|line| line.starts_with(node)), "{:#?}", following.got);
        }
    }
    let (_, lines, said) = following.interrupt();
    // A node is new from the second in which it was made.
    let new: Vec<&str> = words(&lines).into_iter().filter(|words| *words != "line 0").collect();
    assert_eq!(new, ["boom 1", "one", "two", "boom 1", "one", "two"], "{said}");
}

#[test]
fn lines_that_continue_a_strangers_stay_out_in_later_looks() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("messages");
    let write = |message: &str| {
        let at = Timestamp::from_micros(Clock::System.now().as_micros()).civil_utc();
        let time = format!("{:02}:{:02}:{:02}", at.hour, at.minute, at.second);
        super::append(&path, format!("Nov 21 {time} n k3s[812]: {message}\n").as_bytes());
    };
    write("I1121 03:07:12.123456     812 kubelet.go:2422] \"one\"");
    let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_OFF).files(folder.path())]).start();
    let mut following = Following::start(&cluster.kubeconfig(User::Admin), &["node-a", "--source=file"]);
    following.wait_for("one");
    for message in [
        "I1121 03:07:13.123456     812 replica_set.go:626] \"Too few replicas\"",
        "continued: of a stranger",
        "continued: once more",
        "I1121 03:07:14.123456     812 kubelet.go:2422] \"two\"",
        "continued: of the kubelet",
    ] {
        write(message);
        looked(&cluster);
    }
    let (_, lines, said) = following.interrupt();
    let ends = ["\"one\"", "\"two\"", "continued: of the kubelet"];
    assert!(lines.len() == 3 && lines.iter().zip(ends).all(|(line, end)| line.ends_with(end)), "{lines:#?}\n{said}");
}
