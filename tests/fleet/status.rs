//! What a person is told beside the lines: how far it is, how it went, and what many nodes say alike.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kubelet_logs::Io;
use kubelet_logs::auth::Stdin;
use kubelet_logs::config::Env;
use kubelet_logs::interrupt::{Closing, Interrupt};

use super::{start, written};
use crate::cluster::{Fault, User, What};
use crate::support::{program, ran, run};

/// Keeps what is written.
#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl Screen {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("a screen").clone()).expect("text")
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("a screen").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs the program with stderr, and perhaps stdout, as a terminal: what came to each.
fn on_a_terminal(kubeconfig: &Path, args: &[&str], both: bool) -> (String, String) {
    let (stdout, stderr) = (Screen::default(), Screen::default());
    let io = Io {
        stdout: Box::new(stdout.clone()),
        stdout_is_terminal: both,
        stdout_closing: Closing::default(),
        stderr: Box::new(stderr.clone()),
        stderr_is_terminal: true,
        stdin: Stdin::Other,
        interrupt: || Interrupt::new().1,
    };
    let kubeconfig = kubeconfig.to_str().expect("a path");
    let words = ["kubectl-kubelet_logs", "--kubeconfig", kubeconfig].into_iter().chain(args.iter().copied());
    let code = kubelet_logs::run(words.map(OsString::from), Env::new(Vec::<(OsString, OsString)>::new()), io);
    assert_eq!(code, 0, "{args:?}: {}", stderr.text());
    (stdout.text(), stderr.text())
}

/// What takes a line away that is written over.
const CLEAR: &str = "\r\u{1b}[K";

#[test]
fn long_work_shows_how_far_it_is_on_a_terminal_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let written = written(3, 5);
    let cluster = start(&written, folder.path(), []);
    let kubeconfig = cluster.kubeconfig(User::Admin);
    // From a second on it is worth a word.
    cluster.inject(Fault::new(What::Delay(Duration::from_millis(1400))).node("node-001").path("/kubelet.log"));
    let args = ["node-000,node-001,node-002", "--tail=5"];
    let (printed, said) = on_a_terminal(&kubeconfig, &args, false);
    assert!(said.contains(&format!("{CLEAR}2 nodes done, 0 failed, 1 left; ")), "{said:?}");
    let after = said.rsplit_once("left; ").and_then(|(_, rest)| rest.split_once(CLEAR)).map(|(_, rest)| rest);
    assert!(after.is_some_and(|rest| rest.contains("3 nodes: ")), "it does not stay: {said:?}");
    assert!(!printed.contains('\u{1b}') && !printed.is_empty());
    // On the same terminal it goes before the first line comes.
    let (printed, said) = on_a_terminal(&kubeconfig, &args, true);
    assert!(said.contains("1 left; ") && printed.contains("entry 0 of 1"), "{said:?}");
    // Quiet, and elsewhere, there is none.
    let quiet: Vec<&str> = args.into_iter().chain(["-q"]).collect();
    assert_eq!(on_a_terminal(&kubeconfig, &quiet, false).1, "");
    assert!(!run(&kubeconfig, args).expect(0, &["3 nodes: "]).stderr.contains('\u{1b}'));
    cluster.heal();
    let (_, said) = on_a_terminal(&kubeconfig, &args, false);
    assert!(!said.contains("left; "), "{said:?}");
}

#[test]
fn the_summary_says_what_was_printed_and_notes_come_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let written = written(12, 5);
    let cluster = start(&written, folder.path(), []);
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let ran_all = run(&kubeconfig, ["--all-nodes", "--tail=-1"]);
    ran_all.expect(0, &["note: 12 nodes: reading /var/log/kubelet.log", "note: 12 nodes: "]);
    assert_eq!(ran_all.stderr.lines().count(), 2, "{}", ran_all.stderr);
    assert_eq!(run(&kubeconfig, ["--all-nodes", "-q"]).expect(0, &[]).stderr, "");
    run(&kubeconfig, ["node-000,nosuch"]).expect(3, &["note: 1 of 2 nodes failed; "]);
    run(&kubeconfig, ["nosuch,nobody"]).expect(5, &["2 of 2 nodes failed in "]);
    // What was printed, however much that is of what was read; of a table, what it tells of.
    let amount = |bytes: usize| match bytes {
        ..1000 => format!("{bytes} B"),
        _ => format!("{}.{} kB", bytes / 1000, bytes % 1000 / 100),
    };
    for args in [
        &["--tail=-1"][..],
        &["--tail=-1", "--prefix=false"],
        &["--tail=-1", "--timestamps", "--no-merge"],
        &["--tail=-1", "--limit-bytes=100"],
        &["--tail=-1", "-ojsonl"],
        &["--tail=-1", "-ojson"],
        &["--tail=-1", "-oyaml", "--redact"],
    ] {
        let ran = run(&kubeconfig, ["--all-nodes"].iter().chain(args));
        ran.expect(0, &[&format!("note: 12 nodes: {} printed in ", amount(ran.stdout.len()))]);
    }
    let read = written.iter().flat_map(|node| &node.entries).map(|(_, text)| text.len()).sum::<usize>();
    let read = format!("note: 12 nodes: {} read in ", amount(read));
    run(&kubeconfig, ["--all-nodes", "--tail=-1", "-odigest"]).expect(0, &[&read]);
    // What is wrong is told once: as an error.
    let none = run(&kubeconfig, ["node-000", "-u", "nosuch"]);
    assert_eq!(
        none.expect(5, &["error: node-000: no log of nosuch"]).stderr.matches("nosuch").count(),
        1,
        "{}",
        none.stderr
    );
    // Files are files.
    let file = |node: &str| folder.path().join(node).join("kubelet.log");
    let mut command = program();
    command.arg("--from").arg(file("node-000")).arg("--from").arg(file("node-001")).arg("--from").arg(file("nosuch"));
    let local = ran(command.args(["-g", "no such words"]).output().expect("runs"));
    assert!(local.stderr.contains("1 of 3 files failed"), "{}", local.stderr);
}
