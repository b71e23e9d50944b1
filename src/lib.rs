//! `kubectl kubelet-logs`: node logs through the Kubernetes API.
//!
//! Modules are listed in reading order, which is call order and import order: a module imports only from those above it.

pub mod error;
pub mod secret;
pub mod redact;
pub mod named;
pub mod document;
pub mod sanitize;
pub mod notice;
pub mod time;
pub mod clock;
#[cfg(any(target_env = "musl", test))]
pub mod alloc;
#[cfg(unix)]
pub mod crash;
pub mod interrupt;
pub mod args;
pub mod config;
pub mod http;
pub mod auth;
pub mod kube;
pub mod journal;
pub mod logs;
pub mod insight;
pub mod output;
pub mod format;
pub mod command;

use std::ffi::OsString;
use std::io::Write;
use std::sync::{Arc, Mutex};

use args::{Command, Parsed};
use auth::Stdin;
use clock::Clock;
use command::{Context, Outcome};
use config::Env;
use error::{Doing, Kind, Result};
use interrupt::{Closing, Interrupt};
use notice::Notices;
use output::Output;

/// The outside world of one run.
pub struct Io {
    /// Where the answer goes; not buffered.
    pub stdout: Box<dyn Write + Send>,
    /// Whether that is a terminal.
    pub stdout_is_terminal: bool,
    /// Hears of it when nobody reads it any more.
    pub stdout_closing: Closing,
    /// Where everything else goes.
    pub stderr: Box<dyn Write + Send>,
    /// Whether that is a terminal.
    pub stderr_is_terminal: bool,
    /// Whether a credential plugin may ask somebody there.
    pub stdin: Stdin,
    /// Hears of signals; made when a command starts to work.
    pub interrupt: fn() -> Interrupt,
}

/// Runs the program: `args` begins with its own name. Gives the exit code.
pub fn run(args: impl IntoIterator<Item = OsString>, env: Env, io: Io) -> u8 {
    let mut args = args.into_iter();
    let argv0 = args.next().unwrap_or_default();
    let stderr = Arc::new(Mutex::new(io.stderr));
    let writing = |stderr: &Arc<Mutex<Box<dyn Write + Send>>>, end: &'static str| {
        let stderr = Arc::clone(stderr);
        move |text: &str| {
            // One write a line, so that lines of several processes don't mix; a closed stderr is nobody's loss.
            let _ = stderr.lock().map(|mut stderr| stderr.write_all(format!("{text}{end}").as_bytes()));
        }
    };
    let mut sink: Box<dyn FnMut(&str) + Send> = Box::new(writing(&stderr, "\n"));
    let mut output = Output::new(io.stdout, io.stdout_is_terminal);
    let parsed = match args::parse(args, argv0) {
        Ok(parsed) => parsed,
        Err(error) => {
            Notices::new(0, false, sink).error(&error);
            return error.kind().exit_code();
        }
    };
    let (verbosity, quiet) = match &parsed {
        Parsed::Run(options) => (options.verbosity, options.quiet),
        Parsed::Print(_) => (0, false),
        Parsed::Candidates(_) => {
            // A shell that completes a line shows nothing else.
            sink = Box::new(|_: &str| {});
            (0, true)
        }
    };
    let mut notices = Notices::new(verbosity, quiet, sink);
    if io.stderr_is_terminal {
        notices = notices.on_screen(writing(&stderr, ""));
    }
    let ended = match &parsed {
        Parsed::Print(text) => {
            let _ = output.text(text);
            Ok(Outcome::DONE)
        }
        _ => {
            let (clock, stdin, interrupt) = (Clock::System, io.stdin, (io.interrupt)());
            let closing = io.stdout_closing;
            work(&parsed, Context { env, clock, notices: notices.clone(), stdin, interrupt, closing }, &mut output)
        }
    };
    let finished = output.finish();
    match ended.and_then(|outcome| finished.map(|()| outcome)) {
        Ok(outcome) => outcome.exit,
        Err(error) => {
            notices.error(&error);
            error.kind().exit_code()
        }
    }
}

/// Does what needs the world outside.
fn work(parsed: &Parsed, mut context: Context, output: &mut Output) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .doing(Kind::Failed, || "starting the runtime".into())?;
    let outcome = runtime.block_on(async {
        match parsed {
            Parsed::Run(options) => match options.command {
                Command::Ls => command::ls::run(options, &mut context, output).await,
                _ => command::logs::run(options, &mut context, output).await,
            },
            Parsed::Candidates(candidates) => {
                command::complete::run(candidates, &context, output).await;
                Ok(Outcome::DONE)
            }
            Parsed::Print(_) => Ok(Outcome::DONE),
        }
    });
    // Name lookups that hang must not hold up the end.
    runtime.shutdown_background();
    outcome
}
