//! A run that follows, in this process: its waits are short, and its lines are taken as they come.

use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use kubelet_logs::args::{Parsed, parse};
use kubelet_logs::auth::Stdin;
use kubelet_logs::clock::Clock;
use kubelet_logs::command::{Context, logs};
use kubelet_logs::config::Env;
use kubelet_logs::interrupt::{Interrupt, Signal};
use kubelet_logs::notice::Notices;
use kubelet_logs::output::Output;
use tokio::sync::watch;

/// A run that follows: its lines as they come.
pub(super) struct Following {
    thread: JoinHandle<u8>,
    interrupt: watch::Sender<Option<Signal>>,
    lines: Receiver<String>,
    said: Arc<Mutex<String>>,
    pub(super) got: Vec<String>,
}

/// Longer than anything here takes; a test that waits for it has failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// Waits take this part of their time.
const HURRY: u32 = 50;

/// Cuts what is written into lines.
pub(crate) struct Lines {
    sender: Sender<String>,
    begun: Vec<u8>,
}

impl Lines {
    pub(crate) fn new(sender: Sender<String>) -> Lines {
        Lines { sender, begun: Vec::new() }
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begun.extend_from_slice(bytes);
        while let Some(end) = memchr::memchr(b'\n', &self.begun) {
            let line: Vec<u8> = self.begun.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line[..end]).into_owned();
            self.sender.send(line).map_err(|_| io::ErrorKind::BrokenPipe)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs `-f` with these arguments in a thread that gives the exit code; ends it as Ctrl-C does when that is sent.
pub(crate) fn spawn(
    kubeconfig: &Path,
    args: &[&str],
    output: Lines,
    said: impl FnMut(&str) + Send + 'static,
) -> (JoinHandle<u8>, watch::Sender<Option<Signal>>) {
    let given = ["--kubeconfig", kubeconfig.to_str().expect("text"), "-f", "--server-limit", "2s"];
    let args: Vec<String> = given.iter().chain(args).map(|arg| (*arg).to_owned()).collect();
    let verbosity = std::env::var("FOLLOW_VERBOSE").map_or(0, |level| level.parse().expect("a level"));
    let (pull, interrupt) = Interrupt::new();
    let thread = std::thread::spawn(move || {
        let Ok(Parsed::Run(options)) = parse(args, "kubectl-kubelet_logs") else { panic!("options") };
        let notices = Notices::new(verbosity, false, said);
        let env = Env::new(Vec::<(String, String)>::new());
        let clock = Clock::Hurried(HURRY);
        let mut context = Context {
            env,
            clock,
            notices: notices.clone(),
            stdin: Stdin::Other,
            interrupt,
            closing: Default::default(),
        };
        let mut output = Output::new(Box::new(output), false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        match runtime.block_on(logs::run(&options, &mut context, &mut output)) {
            Ok(outcome) => outcome.exit,
            Err(error) => {
                notices.error(&error);
                error.kind().exit_code()
            }
        }
    });
    (thread, pull)
}

impl Following {
    pub(super) fn start(kubeconfig: &Path, args: &[&str]) -> Following {
        let (sender, lines) = channel();
        let said = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&said);
        let (thread, interrupt) = spawn(kubeconfig, args, Lines::new(sender), move |line| {
            let mut heard = heard.lock().expect("no panic while talking");
            heard.push_str(line);
            heard.push('\n');
        });
        Following { thread, interrupt, lines, said, got: Vec::new() }
    }

    /// What it has said by now.
    pub(super) fn said(&self) -> String {
        self.said.lock().expect("no panic while talking").clone()
    }

    /// Takes one line.
    #[track_caller]
    pub(super) fn next(&mut self) {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => self.got.push(line),
            Err(why) => panic!("no line came ({why}); last {:?}\n{}", self.got.last(), self.said()),
        }
    }

    /// Waits until this has come.
    #[track_caller]
    pub(super) fn wait_for(&mut self, part: &str) {
        while !self.got.last().is_some_and(|line| line.contains(part)) {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.got.push(line),
                Err(why) => panic!("{part:?} did not come ({why}); last {:?}\n{}", self.got.last(), self.said()),
            }
        }
    }

    /// Waits for its end: its exit code, all lines, and what it said.
    #[track_caller]
    pub(super) fn end(mut self) -> (i32, Vec<String>, String) {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.got.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it did not end; last {:?}\n{}", self.got.last(), self.said()),
            }
        }
        let code = self.thread.join().expect("no panic");
        let said = self.said.lock().expect("no panic while talking").clone();
        (i32::from(code), self.got, said)
    }

    /// Ends it as Ctrl-C does.
    #[track_caller]
    pub(super) fn interrupt(self) -> (i32, Vec<String>, String) {
        self.interrupt.send_replace(Some(Signal::Interrupt));
        self.end()
    }
}
