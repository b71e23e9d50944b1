//! Why no answer came, told apart and in words.

use std::error::Error as StdError;
use std::{fmt, io};

use super::tls::Peer;
use crate::error::{Error, Kind};

/// A request that got no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    stage: Stage,
    words: String,
    hint: Option<String>,
}

/// How far a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The host's name was not resolved.
    Resolve,
    /// No connection was made.
    Dial,
    /// The connection is not to be trusted, or the server does not trust us.
    Tls,
    /// The server speaks none of the HTTP versions it was offered.
    Version,
    /// The connection was lost before the answer's head: the server may or may not have seen the request.
    Lost,
    /// The head did not come within the time allowed.
    Late,
    /// What came is no HTTP, or more than a head may hold.
    Garbled,
}

impl Failure {
    pub(super) fn new(stage: Stage, words: impl Into<String>) -> Self {
        Failure { stage, words: words.into(), hint: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn at(mut self, stage: Stage) -> Self {
        self.stage = stage;
        self
    }

    /// The same of a request that was sent without TLS: a server that speaks it answers with an alert, which is no HTTP.
    pub(super) fn in_plain_text(self) -> Self {
        match self.stage == Stage::Garbled && self.words.contains("HTTP version") {
            true => self.hint("if the server speaks TLS on this port, write https:// in front of its address"),
            false => self,
        }
    }

    /// How far the request came.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// What became of a request to this server, from what the client library says.
    pub(super) fn of(error: &hyper_util::client::legacy::Error, server: &Peer) -> Self {
        if let Some(failure) = find::<Failure>(error) {
            return failure.clone();
        }
        // With TLS 1.3 a server refuses our certificate only after we think the handshake is over.
        if let Some(tls) = find::<rustls::Error>(error) {
            return server.explain(tls);
        }
        let (why, host) = (innermost(error), server.name());
        if let Some(failure) = server.explain_words(&why) {
            return failure;
        }
        match find::<hyper::Error>(error) {
            Some(hyper) if hyper.is_parse() => {
                Failure::new(Stage::Garbled, format!("{host} did not answer in HTTP: {why}"))
            }
            Some(hyper) if hyper.is_timeout() => {
                Failure::new(Stage::Lost, format!("{host} fell silent before it answered: {why}"))
            }
            _ => Failure::new(Stage::Lost, format!("{host} closed the connection before it answered: {why}")),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl StdError for Failure {}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let kind = if failure.stage == Stage::Garbled { Kind::Failed } else { Kind::Unreachable };
        let error = Error::new(kind, failure.words);
        match failure.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

/// The first error of this type in a chain, looking into `io::Error`s too: their `source` skips the error they wrap.
pub(super) fn find<'e, T: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        next = beneath(error);
    }
    None
}

/// The deepest `io::Error` of a chain.
pub(super) fn io_beneath<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e io::Error> {
    let mut found = None;
    let mut next = Some(error);
    while let Some(error) = next {
        found = error.downcast_ref::<io::Error>().or(found);
        next = beneath(error);
    }
    found
}

/// The words of the deepest level of a chain, without the operating system's number.
pub(super) fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut last = error;
    while let Some(error) = beneath(last) {
        last = error;
    }
    plain(&last.to_string())
}

/// An operating system's words in our style: no number, no capital.
pub(super) fn plain(words: &str) -> String {
    let words = words.split(" (os error").next().unwrap_or(words).trim_end_matches('.');
    let mut chars = words.chars();
    match (chars.next(), words.chars().nth(1)) {
        (Some(first), Some(second)) if second.is_ascii_lowercase() => {
            std::iter::once(first.to_ascii_lowercase()).chain(chars).collect()
        }
        _ => words.to_owned(),
    }
}

fn beneath<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_wrapped_in_io_errors_is_found() {
        let inner = Failure::new(Stage::Tls, "unknown authority").hint("give the CA");
        let wrapped = io::Error::other(io::Error::other(inner.clone()));
        assert_eq!(find::<Failure>(&wrapped), Some(&inner));
        assert_eq!(innermost(&wrapped), "unknown authority");
        let error = Error::from(inner);
        assert_eq!((error.kind(), error.remedy()), (Kind::Unreachable, Some("give the CA")));
    }

    #[test]
    fn words_of_the_system_take_our_style() {
        assert_eq!(plain("Connection refused (os error 111)"), "connection refused");
        assert_eq!(plain("TLS is hard."), "TLS is hard");
    }
}
