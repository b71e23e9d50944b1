//! Files that make their reader wait: pipes, such as a shell's `<(…)`, which kubectl takes for files like any other.
//!
//! A thread that reads one can't be told to stop, and whoever waits for it must still hear of Ctrl-C and of `--timeout`. So
//! such a file is read on a thread of its own; all others are not, for most runs are over in the time that a thread costs.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::oneshot;

use super::{Config, Env, select};
use crate::args::Connection;
use crate::clock::Clock;
use crate::error::{Doing, Kind, Result};
use crate::notice::Notices;

/// A wait from which on the person is told.
const WORTH_A_WORD: Duration = Duration::from_secs(3);

thread_local! {
    /// What this thread does with a file that it would have to wait for.
    static PATIENCE: RefCell<Patience> = const { RefCell::new(Patience::Waits) };
}

enum Patience {
    Waits,
    Refuses,
    /// This one.
    Refused(PathBuf),
}

/// As [`select::load`], without keeping others of this thread from their work.
pub async fn load_in_time(flags: &Connection, env: &Env, notices: &Notices, clock: &Clock) -> Result<Config> {
    match impatiently(|| select::load(flags, env)) {
        Ok(loaded) => loaded,
        Err(file) => {
            let (flags, env) = (flags.clone(), env.clone());
            let loading = aside(&file, notices, clock, move || select::load(&flags, &env));
            loading.await.doing(Kind::Failed, || file.display().to_string())?
        }
    }
}

/// What a kubeconfig of one cluster or two has, in bytes, and a token or a certificate all the more.
const USUAL: usize = 8 << 10;

/// Reads a file of at most `limit` bytes.
pub(crate) fn read_file(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    if is_pipe(path) {
        PATIENCE.with_borrow_mut(|patience| match patience {
            Patience::Waits => Ok(()),
            Patience::Refuses | Patience::Refused(_) => {
                *patience = Patience::Refused(path.to_owned());
                Err(io::Error::from(io::ErrorKind::WouldBlock))
            }
        })?;
    }
    // Most come in one read.
    let mut bytes = Vec::with_capacity(USUAL);
    File::open(path)?.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    match bytes.len() > limit {
        true => Err(io::Error::other(format!("larger than {} MiB", limit >> 20))),
        false => Ok(bytes),
    }
}

/// The same for a file that is read again and again, which a pipe can't be.
pub(crate) fn read_again(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    match is_pipe(path) {
        true => Err(io::Error::other("it is no regular file")),
        false => read_file(path, limit),
    }
}

/// The same, without keeping others of this thread from their work.
pub(crate) async fn read_in_time(path: &Path, limit: usize, notices: &Notices, clock: &Clock) -> io::Result<Vec<u8>> {
    match is_pipe(path) {
        true => {
            let file = path.to_owned();
            aside(path, notices, clock, move || read_file(&file, limit)).await?
        }
        false => read_file(path, limit),
    }
}

/// Whether somebody else decides when there is something to read, and it is gone when it was read.
pub(crate) fn is_pipe(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|file| !file.is_file() && !file.is_dir())
}

/// What work comes to that does not wait, or the file it would have to wait for.
fn impatiently<T>(work: impl FnOnce() -> T) -> Result<T, PathBuf> {
    PATIENCE.set(Patience::Refuses);
    let done = work();
    match PATIENCE.replace(Patience::Waits) {
        Patience::Refused(file) => Err(file),
        _ => Ok(done),
    }
}

/// Work that waits for this file, on a thread of its own, which nobody waits for in the end.
async fn aside<T: Send + 'static>(
    file: &Path,
    notices: &Notices,
    clock: &Clock,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let (sender, mut receiver) = oneshot::channel();
    std::thread::Builder::new().name("pipe".into()).spawn(move || sender.send(work()).is_ok())?;
    let done = match clock.within(Some(WORTH_A_WORD), &mut receiver).await {
        Some(done) => done,
        None => {
            notices.note(format_args!("waiting for what {} gives, which is no regular file", file.display()));
            receiver.await
        }
    };
    done.map_err(|_| io::Error::other("reading it ended early"))
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_not_waited_for_unless_it_may_be() {
        let dir = tempfile::tempdir().unwrap();
        let (pipe, file) = (dir.path().join("pipe"), dir.path().join("file"));
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        std::fs::write(&file, "f").unwrap();
        assert_eq!(impatiently(|| read_file(&file, 9).unwrap()), Ok(b"f".to_vec()));
        assert_eq!(impatiently(|| drop((read_file(&pipe, 9), read_file(&file, 9)))), Err(pipe.clone()));
        assert!(impatiently(|| read_file(&dir.path().join("none"), 9)).unwrap().is_err());
        assert!(read_again(&pipe, 9).is_err() && read_again(&file, 9).is_ok());
        let (writer, target) = (pipe.clone(), pipe.clone());
        let writing = std::thread::spawn(move || std::fs::write(writer, "p").unwrap());
        assert_eq!(read_file(&target, 9).unwrap(), b"p");
        writing.join().unwrap();
    }
}
