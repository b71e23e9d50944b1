//! A program that is run for what it prints: bounded, and killed when nobody waits for it any more.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::secret::Secret;

/// The most a program may print.
const MAX_OUTPUT: usize = 1 << 20;

/// The longest pause between two looks at whether a program has ended.
const LOOK: Duration = Duration::from_millis(50);

/// How long after its end what it printed is read. Its end closes its output, unless it has left a child behind that keeps
/// it open.
const DRAIN: Duration = Duration::from_secs(1);

/// A wait from which on the person is told.
const WORTH_A_WORD: Duration = Duration::from_secs(15);

/// Why there is no output.
#[derive(Debug)]
pub(super) enum Trouble {
    Start(io::Error),
    Read(io::Error),
    Wait(io::Error),
    /// More than may be.
    Flood,
    /// It took too long.
    Late,
}

/// What is worth a word while a program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It takes long.
    Waiting,
    /// Nobody waits for it any more, so it is killed.
    Killed,
}

/// Runs a program, whose stdout must be piped, to its end, for no longer than `limit`. When this future is dropped, the
/// program is killed.
pub(super) async fn output(
    mut command: Command,
    limit: Option<Duration>,
    tell: impl Fn(News),
    clock: &Clock,
) -> Result<(Secret<Vec<u8>>, ExitStatus), Trouble> {
    let mut running = Running { child: command.spawn().map_err(Trouble::Start)?, tell };
    let mut pieces = pieces(running.child.stdout.take()).map_err(Trouble::Read)?;
    let mut output = Vec::new();
    let mut is_open = true;
    let started = clock.instant();
    let (mut looked, mut told) = (started, false);
    let mut pause = LOOK;
    let mut ended = None;
    loop {
        let now = clock.instant();
        let wait = match ended {
            None => pause.saturating_sub(now - looked),
            Some((_, at)) => DRAIN.saturating_sub(now - at),
        };
        let piece = match is_open {
            true => clock.within(Some(wait), pieces.recv()).await,
            false => {
                clock.sleep(wait).await;
                None
            }
        };
        match piece {
            Some(Some(Ok(piece))) if output.len() + piece.len() > MAX_OUTPUT => return Err(running.end(Trouble::Flood)),
            Some(Some(Ok(piece))) => output.extend(piece),
            Some(Some(Err(why))) => return Err(running.end(Trouble::Read(why))),
            // The end comes at once where the output has ended.
            Some(None) => (is_open, pause) = (false, Duration::from_millis(1)),
            None => {}
        }
        let now = clock.instant();
        if ended.is_none() && now - looked >= pause {
            ended = running.child.try_wait().map_err(Trouble::Wait)?.map(|status| (status, now));
            looked = now;
            if !is_open {
                pause = (pause * 2).min(LOOK);
            }
        }
        match ended {
            Some((status, at)) if !is_open || now - at >= DRAIN => return Ok((Secret::new(output), status)),
            None if limit.is_some_and(|limit| now - started >= limit) => return Err(running.end(Trouble::Late)),
            None if !told && now - started >= WORTH_A_WORD => {
                told = true;
                (running.tell)(News::Waiting);
            }
            _ => {}
        }
    }
}

/// What is read from a pipe, piece by piece. Not by tokio's blocking pool: a runtime that ends waits for that, and a
/// program's children may hold the pipe for ever.
fn pieces(stdout: Option<impl Read + Send + 'static>) -> io::Result<mpsc::Receiver<io::Result<Vec<u8>>>> {
    let (sender, receiver) = mpsc::channel(4);
    std::thread::Builder::new().name("credential plugin".into()).stack_size(128 << 10).spawn(move || {
        let Some(mut stdout) = stdout else { return };
        let mut buffer = vec![0; 16 << 10];
        loop {
            let piece = match stdout.read(&mut buffer) {
                Ok(0) => return,
                Ok(length) => Ok(buffer[..length].to_vec()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let failed = piece.is_err();
            if sender.blocking_send(piece).is_err() || failed {
                return;
            }
        }
    })?;
    Ok(receiver)
}

/// A program that runs; killed if nobody waits for it any more.
struct Running<F: Fn(News)> {
    child: Child,
    tell: F,
}

impl<F: Fn(News)> Running<F> {
    /// Kills it for a reason that is told already.
    fn end(&mut self, why: Trouble) -> Trouble {
        self.kill();
        why
    }

    /// Whether it was still running.
    fn kill(&mut self) -> bool {
        let runs = matches!(self.child.try_wait(), Ok(None));
        if runs {
            // Both fail only where it has just ended; a killed process is gone at once.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        runs
    }
}

impl<F: Fn(News)> Drop for Running<F> {
    fn drop(&mut self) {
        if self.kill() {
            (self.tell)(News::Killed);
        }
    }
}

/// How a program ended, in words.
#[cfg(unix)]
pub(super) fn ending(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "no exit code".to_owned(),
    }
}

#[cfg(not(unix))]
pub(super) fn ending(status: ExitStatus) -> String {
    status.code().map_or_else(|| "no exit code".to_owned(), |code| format!("exit code {code}"))
}

/// Whether a file can be run.
#[cfg(unix)]
pub(super) fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
pub(super) fn is_executable(file: &Path) -> bool {
    file.is_file()
}

/// The files that may stand for a name.
#[cfg(not(windows))]
pub(super) fn candidates(file: PathBuf) -> impl Iterator<Item = PathBuf> {
    std::iter::once(file)
}

/// A name without an extension has one of these on Windows.
#[cfg(windows)]
pub(super) fn candidates(file: PathBuf) -> impl Iterator<Item = PathBuf> {
    let more = ["com", "exe", "bat", "cmd"].into_iter().filter(|_| file.extension().is_none());
    let more: Vec<PathBuf> = more.map(|extension| file.with_extension(extension)).collect();
    std::iter::once(file).chain(more)
}
