//! The binary: hands the process's surroundings to [`kubelet_logs::run`].

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use kubelet_logs::Io;
use kubelet_logs::auth::Stdin;
use kubelet_logs::config::Env;
use kubelet_logs::interrupt::{self, Closing};

fn main() -> ExitCode {
    #[cfg(unix)]
    kubelet_logs::crash::tell();
    let stdout = std::io::stdout();
    let io = Io {
        stdout_is_terminal: stdout.is_terminal(),
        stdout_closing: closing(&stdout),
        stdout: unbuffered(stdout),
        stderr_is_terminal: std::io::stderr().is_terminal(),
        stderr: Box::new(std::io::stderr()),
        stdin: if std::io::stdin().is_terminal() { Stdin::Terminal } else { Stdin::Other },
        interrupt: interrupt::listen,
    };
    ExitCode::from(kubelet_logs::run(std::env::args_os(), Env::new(std::env::vars_os()), io))
}

/// A pipe that nobody reads any more ends the run.
fn closing(stdout: &std::io::Stdout) -> Closing {
    #[cfg(unix)]
    if !stdout.is_terminal()
        && let Ok(pipe) = std::os::fd::AsFd::as_fd(stdout).try_clone_to_owned()
    {
        return Closing::of(pipe);
    }
    let _ = stdout;
    Closing::default()
}

/// The standard library's stdout keeps the last line back; this one does not.
fn unbuffered(stdout: std::io::Stdout) -> Box<dyn Write + Send> {
    #[cfg(unix)]
    let duplicate = std::os::fd::AsFd::as_fd(&stdout).try_clone_to_owned();
    #[cfg(windows)]
    let duplicate = std::os::windows::io::AsHandle::as_handle(&stdout).try_clone_to_owned();
    match duplicate {
        Ok(duplicate) => Box::new(File::from(duplicate)),
        Err(_) => Box::new(stdout),
    }
}
