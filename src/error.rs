//! What can go wrong, in one type: a kind that decides the exit code, one level of words, a cause and a remedy.
//!
//! `Display` says one level only; the edge of the program prints the whole chain with [`Error::chain`].

use std::error::Error as StdError;
use std::fmt;

/// A result with the program's own error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What an error means for the caller of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Anything without a kind of its own.
    Failed,
    /// The command line or a value in it is wrong.
    Usage,
    /// A part is missing: some nodes failed, or an answer may be incomplete.
    Partial,
    /// Not permitted: 401, 403, a credential plugin that failed.
    Denied,
    /// No such node, unit or file.
    NotFound,
    /// The server can't be reached or trusted: DNS, TCP, TLS, proxy, or a kubelet the API server can't reach.
    Unreachable,
    /// Findings at or above `--fail-on`.
    Findings,
}

impl Kind {
    /// The process exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Failed => 1,
            Kind::Usage => 2,
            Kind::Partial => 3,
            Kind::Denied => 4,
            Kind::NotFound => 5,
            Kind::Unreachable => 6,
            Kind::Findings => 7,
        }
    }
}

/// One level of a failure, with what lies beneath it.
///
/// Words are lower case without a full stop: `reading /etc/kube.conf`, not `Failed to read file.`
///
/// Boxed, so that the many results that carry one stay as small as their value.
#[derive(Debug)]
pub struct Error(Box<Level>);

#[derive(Debug)]
struct Level {
    kind: Kind,
    doing: String,
    cause: Option<Box<dyn StdError + Send + Sync>>,
    hint: Option<String>,
}

impl Error {
    /// An error that says what was being done, or what is wrong.
    pub fn new(kind: Kind, doing: impl Into<String>) -> Self {
        Error::level(kind, doing.into())
    }

    /// Shorthand for [`Kind::Usage`].
    pub fn usage(what: impl Into<String>) -> Self {
        Error::level(Kind::Usage, what.into())
    }

    /// Adds what lies beneath. An [`Error`] as cause hands up its hint unless this one has its own.
    pub fn because(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// Adds the remedy: what the reader can do about it.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        self.with_hint(hint.into())
    }

    /// The same failure one level up: keeps the kind, says what it happened in.
    pub fn within(self, doing: impl Into<String>) -> Self {
        let kind = self.kind();
        Error::level(kind, doing.into()).because(self)
    }

    /// What it means for the caller.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// All levels, outermost first, joined by `: `.
    pub fn chain(&self) -> String {
        let mut words = self.to_string();
        let mut next = self.source();
        while let Some(cause) = next {
            let level = cause.to_string();
            // Libraries often repeat their source in their own words: say it once.
            if !words.ends_with(&level) {
                words.push_str(": ");
                words.push_str(&level);
            }
            next = cause.source();
        }
        words
    }

    /// The remedy of the outermost level that has one.
    pub fn remedy(&self) -> Option<&str> {
        if let Some(hint) = &self.0.hint {
            return Some(hint);
        }
        let mut next = self.source();
        while let Some(cause) = next {
            if let Some(hint) = cause.downcast_ref::<Error>().and_then(|e| e.0.hint.as_deref()) {
                return Some(hint);
            }
            next = cause.source();
        }
        None
    }

    /// Out of line: errors are made in many places and seldom.
    #[inline(never)]
    fn level(kind: Kind, doing: String) -> Self {
        Error(Box::new(Level { kind, doing, cause: None, hint: None }))
    }

    #[inline(never)]
    fn with_hint(mut self, hint: String) -> Self {
        self.0.hint = Some(hint);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.doing)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.cause.as_ref().map(|c| &**c as &(dyn StdError + 'static))
    }
}

/// Adds a level to any failure.
pub trait Doing<T> {
    /// Turns the failure into an [`Error`] of this kind that says what was being done.
    fn doing(self, kind: Kind, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Box<dyn StdError + Send + Sync>>> Doing<T> for std::result::Result<T, E> {
    fn doing(self, kind: Kind, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|cause| Error::new(kind, what()).because(cause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_says_each_level_once_and_the_outermost_hint_wins() {
        let inner = Error::new(Kind::Denied, "403 Forbidden: no").hint("ask for nodes/proxy");
        let outer = inner.within("node-7");
        assert_eq!(outer.kind(), Kind::Denied);
        assert_eq!(outer.chain(), "node-7: 403 Forbidden: no");
        assert_eq!(outer.remedy(), Some("ask for nodes/proxy"));
        assert_eq!(outer.hint("other").remedy(), Some("other"));
    }

    #[test]
    fn exit_codes_are_the_documented_ones() {
        let kinds =
            [Kind::Failed, Kind::Usage, Kind::Partial, Kind::Denied, Kind::NotFound, Kind::Unreachable, Kind::Findings];
        assert_eq!(kinds.map(Kind::exit_code), [1, 2, 3, 4, 5, 6, 7]);
    }
}
