//! A failure to get credentials that stands for a while, for all who ask.

use std::time::Duration;

use crate::error::{Error, Kind};
use crate::time::Timestamp;

/// How long nobody tries again: thousands of nodes wait for the same plugin, and the next one would fail as the last did.
const STANDS: Duration = Duration::from_secs(10);

/// The last failure, if there was one.
#[derive(Debug, Default)]
pub(super) struct Failure(Option<Kept>);

#[derive(Debug)]
struct Kept {
    at: Timestamp,
    kind: Kind,
    words: String,
    remedy: Option<String>,
}

impl Failure {
    /// Keeps a failure of now.
    pub(super) fn keep(&mut self, error: Error, now: Timestamp) -> Error {
        let remedy = error.remedy().map(str::to_owned);
        self.0 = Some(Kept { at: now, kind: error.kind(), words: error.chain(), remedy });
        error
    }

    /// The same once more, while it stands. A clock that was set back ends it, too.
    pub(super) fn again(&self, now: Timestamp) -> Option<Error> {
        let kept = self.0.as_ref().filter(|kept| kept.at <= now && now < kept.at.saturating_add(STANDS))?;
        let error = Error::new(kept.kind, kept.words.as_str());
        Some(match &kept.remedy {
            Some(remedy) => error.hint(remedy.as_str()),
            None => error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_stands_for_ten_seconds_with_its_words_kind_and_remedy() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let mut failure = Failure::default();
        assert!(failure.again(at(0)).is_none());
        failure.keep(Error::new(Kind::Denied, "plugin").because("why").hint("do this"), at(5));
        for (now, stands) in [(4, false), (5, true), (14, true), (15, false)] {
            assert_eq!(failure.again(at(now)).is_some(), stands, "{now}");
        }
        let again = failure.again(at(6)).unwrap();
        assert_eq!(
            (again.kind(), again.chain().as_str(), again.remedy()),
            (Kind::Denied, "plugin: why", Some("do this"))
        );
    }
}
