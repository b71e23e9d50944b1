//! A client certificate in files that somebody else keeps fresh.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::config::{ClientCertificate, MAX_PEM, pem, read_again};
use crate::error::{Doing, Kind, Result};
use crate::http::Identity;
use crate::notice::Notices;
use crate::secret::Secret;
use crate::time::Timestamp;

/// How long files are not looked at again. client-go reads them for every new connection, at most once a second, and every
/// five minutes for those it has.
const FRESH: Duration = Duration::from_secs(1);

/// Certificate and key, read again as they change.
pub(super) struct Pair {
    /// Empty where one of the two is not in a file: nothing changes then, as with client-go.
    files: Option<(PathBuf, PathBuf)>,
    notices: Notices,
    state: Mutex<State>,
}

struct State {
    identity: Arc<Identity>,
    /// What the files held when they were last looked at.
    content: Option<Content>,
    /// Counts the changes.
    generation: u64,
    /// When to look again.
    next: Option<Timestamp>,
    failed: bool,
}

impl Pair {
    /// The pair as the configuration holds it.
    pub(super) fn new(given: &ClientCertificate, notices: Notices) -> Self {
        let files = given.certificate_file.clone().zip(given.key_file.clone());
        let state =
            State { identity: Arc::clone(&given.pair), content: None, generation: 0, next: None, failed: false };
        Pair { files, notices, state: Mutex::new(state) }
    }

    /// The pair of now, and how often it has changed.
    pub(super) fn current(&self, now: Timestamp) -> (Arc<Identity>, u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.next.is_none_or(|next| now >= next) {
            self.look(&mut state, now);
        }
        (Arc::clone(&state.identity), state.generation)
    }

    /// Looks again because the server refused the pair of `generation`; whether there is another now.
    pub(super) fn reread(&self, generation: u64, now: Timestamp) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.generation == generation {
            self.look(&mut state, now);
        }
        state.generation != generation
    }

    /// Reads the files. Half a new pair is none: whoever writes the one will write the other.
    fn look(&self, state: &mut State, now: Timestamp) {
        let Some((certificate, key)) = &self.files else { return };
        state.next = Some(now.saturating_add(FRESH));
        match read(certificate, key, &state.content) {
            Ok(None) => {}
            Ok(Some((identity, content))) => {
                // The same certificate has the same key.
                if identity.cert != state.identity.cert {
                    state.identity = identity;
                    state.generation += 1;
                }
                state.content = Some(content);
                state.failed = false;
            }
            Err(error) => {
                if !std::mem::replace(&mut state.failed, true) {
                    let chain = error.chain();
                    self.notices.verbose(4, || format!("going on with the earlier client certificate: {chain}"));
                }
            }
        }
    }
}

/// What the two files held.
type Content = Secret<(Vec<u8>, Vec<u8>)>;

/// The pair of two files; `None` where they hold what they held before.
fn read(certificate: &Path, key: &Path, known: &Option<Content>) -> Result<Option<(Arc<Identity>, Content)>> {
    let at = |file: &Path| file.display().to_string();
    let bytes = |file: &Path| read_again(file, MAX_PEM).doing(Kind::Failed, || at(file));
    let content = (bytes(certificate)?, bytes(key)?);
    if known.as_ref().is_some_and(|known| *known.expose() == content) {
        return Ok(None);
    }
    let chain = pem::certificates(&content.0).map_err(|error| error.within(at(certificate)))?;
    let private = pem::key(&content.1).map_err(|error| error.within(at(key)))?;
    let pair = pem::pair(chain, &private).map_err(|error| error.within(at(certificate)))?;
    Ok(Some((pair, Secret::new(content))))
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair").field("files", &self.files).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_micros(millis * 1000)
    }

    fn issue() -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        (rcgen::CertificateParams::default().self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn put(dir: &Path, part: &str, content: &str) {
        // As a careful writer does: the name always stands for a whole file.
        std::fs::write(dir.join("new"), content).unwrap();
        std::fs::rename(dir.join("new"), dir.join(part)).unwrap();
    }

    fn pair(dir: &Path, (certificate, key): &(String, String)) -> Pair {
        put(dir, "crt", certificate);
        put(dir, "key", key);
        let given = ClientCertificate {
            pair: pem::pair(pem::certificates(certificate.as_bytes()).unwrap(), &pem::key(key.as_bytes()).unwrap())
                .unwrap(),
            certificate_file: Some(dir.join("crt")),
            key_file: Some(dir.join("key")),
        };
        Pair::new(&given, Notices::new(0, false, |_| {}))
    }

    #[test]
    fn half_a_new_pair_is_not_used_and_the_old_one_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (issue(), issue());
        let pair = pair(dir.path(), &old);
        assert_eq!(pair.current(at(0)).1, 0);
        put(dir.path(), "crt", &new.0);
        for (millis, generation) in [(999, 0), (1000, 0)] {
            assert_eq!(pair.current(at(millis)).1, generation);
        }
        put(dir.path(), "key", &new.1);
        assert_eq!(pair.current(at(1999)).1, 0);
        let (identity, generation) = pair.current(at(2000));
        assert_eq!((generation, &identity.cert), (1, &pem::certificates(new.0.as_bytes()).unwrap()));
        for junk in ["", "junk"] {
            put(dir.path(), "key", junk);
            assert_eq!(pair.current(at(9000)).1, 1);
        }
        std::fs::remove_file(dir.path().join("crt")).unwrap();
        assert_eq!(pair.current(at(20_000)).1, 1);
        put(dir.path(), "crt", &old.0);
        put(dir.path(), "key", &old.1);
        assert_eq!(pair.current(at(30_000)).1, 2);
    }

    #[test]
    fn a_refused_pair_is_looked_at_at_once_and_the_same_again_is_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (issue(), issue());
        let pair = pair(dir.path(), &old);
        assert_eq!(pair.current(at(0)).1, 0);
        assert!(!pair.reread(0, at(1)));
        put(dir.path(), "crt", &new.0);
        put(dir.path(), "key", &new.1);
        assert!(pair.reread(0, at(2)));
        assert!(pair.reread(0, at(3)), "the late refusal of the first");
        assert!(!format!("{pair:?}").contains("PRIVATE"));
    }
}
