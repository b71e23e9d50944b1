//! What happens while following begins.

use std::path::Path;
use std::sync::{Arc, Mutex};

use super::Log;
use super::run::Following;
use crate::cluster::{Fault, Mode, Node, Setup, User, What};

/// Writes to a log, rotates it, and writes to the next one.
fn rotate(log: &mut Log, folder: &Path, is_packed: bool) {
    log.append(1);
    log.rotate();
    if is_packed {
        log.pack(1);
    }
    log.append(3);
    assert!(folder.join("kubelet.log").exists());
}

/// Follows a log that is rotated before the nth request is answered; gives which of its lines was printed first.
#[track_caller]
fn followed(args: &[&str], nth: usize, has_predecessor: bool, is_packed: bool) -> usize {
    let folder = tempfile::tempdir().expect("a folder");
    let mut log = Log::new(folder.path());
    if has_predecessor {
        log.append(10);
        log.rotate();
    }
    log.append(20);
    let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_OFF).files(folder.path())]).start();
    let log = Arc::new(Mutex::new(log));
    let (rotated, path) = (Arc::clone(&log), folder.path().to_owned());
    let comes = What::deed(move || rotate(&mut rotated.lock().expect("no panic"), &path, is_packed));
    cluster.inject(Fault::new(comes).path("/proxy/logs/").nth(nth));
    let mut following = Following::start(&cluster.kubeconfig(User::Admin), &[&["node-a"], args].concat());
    cluster.wait_for(nth + 1, |request| request.target.contains("/proxy/logs/"));
    log.lock().expect("no panic").append(1);
    let written = log.lock().expect("no panic").written.clone();
    following.wait_for(written.last().expect("a line"));
    let (code, lines, said) = following.interrupt();
    // With a time in front of each, if that was asked for.
    let same = |(line, written): (&String, &String)| line.ends_with(written.as_str());
    let from = written.len() - lines.len().min(written.len());
    let at = format!("{args:?} at request {nth}, {has_predecessor} {is_packed}: {lines:#?}\n{said}");
    assert!(lines.len() <= written.len() && lines.iter().zip(&written[from..]).all(same), "{at}");
    assert!(code == 130 && !said.contains("gone") && !said.contains("rror"), "{code} {at}");
    from
}

#[test]
fn a_file_that_is_rotated_while_following_begins_is_printed_once() {
    for is_packed in [false, true] {
        for args in [&["--path=kubelet.log", "--tail=-1"][..], &["--path=kubelet.log", "--since=1h", "--timestamps"]] {
            for nth in 1..=7 {
                let from = followed(args, nth, false, is_packed);
                // All of the old one, or nothing of it where it was rotated before its end was looked for.
                assert!(from == 0 || nth <= 2 && from == 21, "{args:?} at request {nth}: from line {from}");
            }
        }
        for nth in 1..=7 {
            let from = followed(&["--path=kubelet.log", "--tail=5"], nth, false, is_packed);
            assert!(from == 15 || nth <= 2 && from == 21, "at request {nth}: from line {from}");
        }
    }
}

#[test]
fn a_log_that_is_rotated_while_following_begins_is_printed_once() {
    for is_packed in [false, true] {
        for (args, first) in [
            (&["--source=file", "--tail=-1"][..], &[0][..]),
            (&["--source=file", "--since=1h"], &[0]),
            // The last of those that were there when its end was looked for.
            (&["--source=file", "--tail=25"], &[5, 9, 10]),
        ] {
            for nth in 1..=10 {
                let from = followed(args, nth, true, is_packed);
                assert!(first.contains(&from), "{args:?} at request {nth}: from line {from}");
            }
        }
    }
}
