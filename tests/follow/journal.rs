//! A followed journal is rotated, vacuumed and set aside between any two requests.

use std::sync::{Arc, Mutex};

use super::run::Following;
use super::same;
use crate::cluster::journal::growing::Growing;
use crate::cluster::{Cluster, Mode, Node, Setup, User};

const START: i64 = 1_700_000_000_000_000;

/// A node whose journal a test writes: every third entry is of another unit than the kubelet.
struct Written {
    journal: Growing,
    /// The kubelet's messages, in order.
    messages: Vec<String>,
    number: usize,
}

impl Written {
    fn new(var_log: &std::path::Path) -> Written {
        Written { journal: Growing::new(var_log, START), messages: Vec::new(), number: 0 }
    }

    fn append(&mut self, count: usize) {
        for _ in 0..count {
            self.number += 1;
            let message = format!("entry {}", self.number);
            let unit = if self.number.is_multiple_of(3) { "other" } else { "kubelet" };
            self.journal.append(unit, &message);
            if unit == "kubelet" {
                self.messages.push(message);
            }
        }
    }

    /// The kubelet's last message.
    fn last(&self) -> String {
        format!(": {}", self.messages.last().expect("a message"))
    }
}

fn messages(lines: &[String]) -> Vec<String> {
    let text = |line: &String| line.split_once("kubelet[7]: ").map(|(_, text)| text.to_owned());
    lines.iter().filter_map(text).collect()
}

fn node(root: &std::path::Path) -> Cluster {
    Setup::new(vec![Node::new("node-a", Mode::QUERY_OFF).files(root)]).start()
}

const ARGS: [&str; 4] = ["node-a", "-u", "kubelet", "--source=journal"];

/// Follows while `deed` happens before the nth request for the journal, counted from the first or from the first look on; gives
/// the run, the journal, and whether it happened.
fn disturbed(
    nth: usize,
    tail: &str,
    looking: bool,
    deed: fn(&mut Written),
) -> Option<(i32, Vec<String>, String, Vec<String>)> {
    let root = tempfile::tempdir().expect("a directory");
    let mut written = Written::new(root.path());
    written.append(30);
    written.journal.rotate();
    written.append(12);
    let first = written.last();
    let written = Arc::new(Mutex::new(written));
    let cluster = node(root.path());
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let done = Arc::new(Mutex::new(false));
    let disturb = |from: usize| {
        let (written, done) = (Arc::clone(&written), Arc::clone(&done));
        let mut asked = from;
        cluster.watch(move |target| {
            if target.contains("/journal/") {
                asked += 1;
                if asked == nth {
                    deed(&mut written.lock().expect("no panic"));
                    *done.lock().expect("no panic") = true;
                }
            }
        });
    };
    if !looking {
        disturb(0);
    }
    let mut following = Following::start(&kubeconfig, &[&ARGS[..], &[tail]].concat());
    if looking {
        following.wait_for(&first);
        let asked = cluster.requests().len();
        cluster.wait_for(asked + 2, |_| true);
        // One look with news.
        written.lock().expect("no panic").append(5);
        disturb(0);
    }
    let asked = cluster.requests().len();
    cluster.wait_for(asked + nth + 3, |_| true);
    let last = {
        let mut written = written.lock().expect("no panic");
        written.append(3);
        written.last()
    };
    following.wait_for(&last);
    let (code, lines, said) = following.interrupt();
    let done = *done.lock().expect("no panic");
    let expected = written.lock().expect("no panic").messages.clone();
    done.then_some((code, messages(&lines), said, expected))
}

fn twice(written: &mut Written) {
    for _ in 0..2 {
        written.append(4);
        written.journal.rotate();
    }
    written.append(2);
}

fn thrice(written: &mut Written) {
    twice(written);
    written.journal.rotate();
}

fn crash(written: &mut Written) {
    written.append(4);
    written.journal.crash();
    written.append(4);
    written.journal.rotate();
}

#[test]
fn a_journal_may_rotate_often_between_any_two_requests() {
    let deeds = [("twice", twice as fn(&mut Written)), ("thrice", thrice), ("a crash", crash)];
    for (name, deed) in deeds {
        for looking in [false, true] {
            for nth in 1..=12 {
                let Some((code, got, said, expected)) = disturbed(nth, "--tail=-1", looking, deed) else { continue };
                let at = format!("{name} before request {nth}, looking: {looking}\n{said}");
                assert_eq!(code, 130, "{at}");
                same(&got, &expected, &at);
                assert!(!said.contains("deleted") && !said.contains("missing"), "{at}");
            }
        }
    }
}

#[test]
fn what_was_vacuumed_unread_is_announced() {
    let deed = |written: &mut Written| {
        thrice(written);
        written.append(2);
        written.journal.rotate();
        written.append(1);
        written.journal.vacuum(1);
    };
    let mut lost = 0;
    for looking in [false, true] {
        for nth in 2..=10 {
            let Some((code, got, said, expected)) = disturbed(nth, "--tail=-1", looking, deed) else { continue };
            let at = format!("before request {nth}, looking: {looking}\n{said}");
            assert_eq!(code, 130, "{at}");
            let mut rest = expected.iter();
            assert!(got.iter().all(|line| rest.any(|other| other == line)), "out of order: {got:?} {at}");
            if got != expected {
                lost += 1;
                assert!(said.contains("were deleted before they were read"), "{at}");
            }
        }
    }
    assert!(lost > 5, "the test loses nothing");
}

#[test]
fn the_kernels_messages_go_on_in_the_next_boot_and_a_chosen_boot_ends() {
    let root = tempfile::tempdir().expect("a directory");
    let mut journal = Growing::new(root.path(), START);
    let cluster = node(root.path());
    let kubeconfig = cluster.kubeconfig(User::Admin);
    journal.append("kernel", "before");
    journal.append("kubelet", "before");
    let first = journal.boot_id();
    let start = |args: &[&str]| Following::start(&kubeconfig, &[&["node-a", "--source=journal"], args].concat());
    let (mut kernel, mut boot, mut both) = (start(&["-k"]), start(&["-b", "0"]), start(&["-k", "-b", "0"]));
    for (following, unit) in [(&mut kernel, "kernel"), (&mut boot, "kubelet"), (&mut both, "kernel")] {
        following.wait_for(&format!("{unit}[7]: before"));
    }
    // In the same file, as after a clean shutdown, and then in another, as after a crash.
    journal.append("kubelet", "the last");
    journal.boot += 1;
    journal.append("kernel", "second boot");
    journal.append("kubelet", "second boot");
    kernel.wait_for("kernel[7]: second boot");
    for (following, lines) in [(boot, 2), (both, 1)] {
        let (code, got, said) = following.end();
        assert_eq!((code, got.len()), (0, lines), "{got:?} {said}");
        assert!(said.contains(&format!("note: node-a: boot {first} has ended")), "{said}");
    }
    journal.crash();
    journal.append("kernel", "third boot");
    kernel.wait_for("kernel[7]: third boot");
    let (_, lines, said) = kernel.interrupt();
    assert_eq!(lines.iter().filter(|line| line.contains("kernel[7]")).count(), 3, "{said}");
    assert_eq!(lines.iter().filter(|line| line.starts_with("-- Boot ")).count(), 2, "{lines:#?}");
}
