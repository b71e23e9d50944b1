//! Running the real binary, and what it may need beside a cluster.

pub(crate) mod issuer;

pub(crate) mod journals;
pub(crate) mod proxy;

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What a run printed and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

/// The binary under test, with no more of the environment than `PATH`.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-kubelet_logs"));
    command.env_clear().stdin(Stdio::null());
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}

/// Runs it with this kubeconfig.
pub(crate) fn run<A: AsRef<std::ffi::OsStr>>(kubeconfig: &Path, args: impl IntoIterator<Item = A>) -> Ran {
    ran(program().arg("--kubeconfig").arg(kubeconfig).args(args).output().expect("the binary runs"))
}

impl Ran {
    /// stdout as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("text")
    }

    /// Checks the exit code, that stderr holds these words, and that no HTML reached stdout.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32, words: &[&str]) -> &Ran {
        assert_eq!(self.code, code, "stderr: {}", self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not in: {}", self.stderr);
        }
        let html =
            self.stdout.windows(8).any(|w| w.eq_ignore_ascii_case(b"<a href=") || w.eq_ignore_ascii_case(b"<!doctyp"));
        assert!(!html, "HTML on stdout");
        if code != 0 && code != 3 {
            assert!(self.stdout.is_empty(), "an error, and yet a log on stdout");
        }
        self
    }
}

pub(crate) fn ran(output: Output) -> Ran {
    Ran {
        code: output.status.code().expect("an exit code"),
        stdout: output.stdout,
        stderr: String::from_utf8(output.stderr).expect("stderr is text"),
    }
}

/// Says on the test's stderr what could not be checked on this machine.
#[allow(clippy::print_stderr, reason = "the harness shows it with a failing test, or with --nocapture")]
pub(crate) fn skipped(what: &str) {
    eprintln!("skipped: {what}");
}
