//! A bearer token in a file that somebody else keeps fresh, such as a pod's service account token.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use hyper::header::HeaderValue;
use tokio::sync::Mutex;

use crate::clock::Clock;
use crate::config::{is_pipe, read_in_time};
use crate::error::{Error, Kind, Result};
use crate::notice::Notices;
use crate::time::Timestamp;

/// How long a token is used before the file is looked at again: client-go's minute less its leeway of ten seconds.
const FRESH: Duration = Duration::from_secs(50);

/// How long after a failed look the next one comes.
const RETRY: Duration = Duration::from_secs(10);

/// The largest token file read; an API server takes no header near that size.
const MAX_FILE: usize = 1 << 20;

/// A token file with what was last read from it.
pub(super) struct TokenFile {
    path: PathBuf,
    notices: Notices,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The last good one: from the file, or until that is read, the token given beside it.
    value: Option<HeaderValue>,
    /// Counts changes of `value`.
    generation: u64,
    /// When to look again; `None` is at once.
    next: Option<Timestamp>,
    failed: bool,
}

impl TokenFile {
    /// Not read yet; `first` is what to send while it can't be.
    pub(super) fn new(path: PathBuf, first: Option<HeaderValue>, notices: Notices) -> Self {
        TokenFile { path, notices, state: Mutex::new(State { value: first, ..State::default() }) }
    }

    /// The header to send now.
    pub(super) async fn current(&self, clock: &Clock) -> Result<(HeaderValue, u64)> {
        let mut state = self.state.lock().await;
        if state.value.is_none() || state.next.is_none_or(|next| clock.now() >= next) {
            self.look(&mut state, clock).await?;
        }
        match &state.value {
            Some(value) => Ok((value.clone(), state.generation)),
            None => Err(self.fault("no token was read")),
        }
    }

    /// Looks again because the server refused the token of `generation`; whether there is another now.
    pub(super) async fn reread(&self, generation: u64, clock: &Clock) -> Result<bool> {
        let mut state = self.state.lock().await;
        if state.generation == generation && !is_pipe(&self.path) {
            self.look(&mut state, clock).await?;
        }
        Ok(state.generation != generation)
    }

    /// Reads the file; a failure matters only where there is no earlier token.
    async fn look(&self, state: &mut State, clock: &Clock) -> Result<()> {
        let text = self.read(clock).await;
        let now = clock.now();
        // What the file held at first counts even where it can't be sent: the token beside it may be somebody else's.
        let counts = text.is_ok() && state.next.is_none();
        match text.and_then(|text| self.header(&text)) {
            Ok(value) => {
                if state.value.as_ref() != Some(&value) {
                    state.value = Some(value);
                    state.generation += 1;
                }
                // What a pipe gave it gives no more.
                state.next = Some(now.saturating_add(if is_pipe(&self.path) { Duration::MAX } else { FRESH }));
                state.failed = false;
                Ok(())
            }
            Err(error) if state.value.is_none() || counts => Err(error),
            Err(error) => {
                state.next = Some(now.saturating_add(RETRY));
                if !std::mem::replace(&mut state.failed, true) {
                    self.notices.warning(format_args!("{}: going on with the earlier token", error.chain()));
                }
                Ok(())
            }
        }
    }

    async fn read(&self, clock: &Clock) -> Result<String> {
        let bytes = read_in_time(&self.path, MAX_FILE, &self.notices, clock).await;
        let bytes = bytes.map_err(|error| self.fault("can't be read").because(error))?;
        let text = std::str::from_utf8(&bytes).map_err(|_| self.fault("is not text"))?.trim();
        if text.is_empty() {
            return Err(self.fault("is empty"));
        }
        Ok(text.to_owned())
    }

    fn header(&self, text: &str) -> Result<HeaderValue> {
        super::bearer(text).map_err(|error| error.within(format!("token file {}", self.path.display())))
    }

    fn fault(&self, what: &str) -> Error {
        Error::new(Kind::Failed, format!("token file {} {what}", self.path.display()))
            .hint("check tokenFile in the user entry, or give --token")
    }
}

impl fmt::Debug for TokenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenFile").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;

    fn at(seconds: i64) -> Clock {
        Clock::Fixed(Timestamp::from_micros(seconds * 1_000_000))
    }

    fn block_on<F: Future>(work: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    fn file(path: &Path, first: Option<&str>) -> (TokenFile, Arc<std::sync::Mutex<Vec<String>>>) {
        let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
        let sink = Arc::clone(&heard);
        let notices = Notices::new(0, false, move |line| sink.lock().unwrap().push(line.to_owned()));
        (TokenFile::new(path.to_owned(), first.map(|token| super::super::bearer(token).unwrap()), notices), heard)
    }

    fn token(file: &TokenFile, seconds: i64) -> String {
        block_on(file.current(&at(seconds))).unwrap().0.to_str().unwrap().to_owned()
    }

    #[test]
    fn it_is_trimmed_kept_most_of_a_minute_and_then_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, " one \n").unwrap();
        let (file, _) = file(&path, Some("beside"));
        assert_eq!(token(&file, 0), "Bearer one", "the file wins over the token beside it");
        std::fs::write(&path, "two").unwrap();
        assert_eq!(token(&file, 49), "Bearer one");
        assert_eq!(token(&file, 50), "Bearer two");
    }

    #[test]
    fn the_last_good_one_is_kept_and_the_failure_said_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "one").unwrap();
        let (file, heard) = file(&path, None);
        assert_eq!(token(&file, 0), "Bearer one");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(token(&file, 50), "Bearer one");
        assert_eq!(token(&file, 60), "Bearer one");
        assert_eq!(heard.lock().unwrap().len(), 1);
        assert!(heard.lock().unwrap()[0].starts_with("warning: token file "), "{heard:?}");
        std::fs::write(&path, "two").unwrap();
        assert_eq!(token(&file, 69), "Bearer one");
        assert_eq!(token(&file, 70), "Bearer two");
    }

    #[test]
    fn until_it_can_be_read_the_token_beside_it_serves() {
        let (file, heard) = file(Path::new("/no/such/token"), Some("beside"));
        assert_eq!(token(&file, 0), "Bearer beside");
        assert_eq!(heard.lock().unwrap().len(), 1);
    }

    #[test]
    fn without_any_token_it_is_an_error_that_quotes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        for (content, words) in [
            (None, "can't be read: No such file"),
            (Some(&b" \n"[..]), "is empty"),
            (Some(b"s3cr3t\xff"), "is not text"),
            (Some(b"s3cr3t\ntwo"), "line break"),
        ] {
            let _ = content.map(|content| std::fs::write(&path, content).unwrap());
            let error = block_on(file(&path, None).0.current(&at(0))).unwrap_err();
            assert!(error.chain().contains(words) && !error.chain().contains("s3cr3t"), "{}", error.chain());
            assert!(error.chain().contains(path.to_str().unwrap()) && error.remedy().is_some());
        }
    }

    #[test]
    fn a_refused_token_is_read_again_but_a_newer_one_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "one").unwrap();
        let (file, _) = file(&path, None);
        let (_, first) = block_on(file.current(&at(0))).unwrap();
        assert!(!block_on(file.reread(first, &at(1))).unwrap(), "the same token again is no reason for another try");
        std::fs::write(&path, "two").unwrap();
        assert!(block_on(file.reread(first, &at(2))).unwrap());
        std::fs::write(&path, "three").unwrap();
        assert!(block_on(file.reread(first, &at(3))).unwrap());
        assert_eq!(token(&file, 4), "Bearer two", "the late refusal of the first did not touch the second");
    }

    #[test]
    #[cfg(unix)]
    fn what_a_pipe_gives_is_read_once_and_waited_for_without_standing_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let (file, _) = file(&path, None);
        block_on(async {
            let (clock, meanwhile) = (at(0), std::fs::write);
            let write = async {
                tokio::task::yield_now().await;
                meanwhile(&path, "one").unwrap();
            };
            let (read, ()) = tokio::join!(file.current(&clock), write);
            assert_eq!(read.unwrap().0, "Bearer one");
        });
        assert_eq!(token(&file, 1_000_000), "Bearer one");
        assert!(!block_on(file.reread(1, &at(1_000_000))).unwrap());
    }
}
