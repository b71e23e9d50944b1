//! Words for the person beside the answer: notes, warnings, hints and, when asked for, what happens on the wire.
//!
//! Every module says them through one [`Notices`]; only the edge of the program knows where they go.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Error;
use crate::sanitize;

/// Takes whole lines without their line end.
type Sink = dyn FnMut(&str) + Send;

/// A handle to the person's attention; clones share one sink.
#[derive(Clone)]
pub struct Notices {
    sink: Arc<Mutex<Sink>>,
    verbosity: u8,
    quiet: bool,
    /// What is said no more.
    once: Arc<Mutex<Vec<&'static str>>>,
}

impl Notices {
    /// Says things through `sink`; `verbosity` is `-v N`, `quiet` is `-q`.
    pub fn new(verbosity: u8, quiet: bool, sink: impl FnMut(&str) + Send + 'static) -> Self {
        Notices { sink: Arc::new(Mutex::new(sink)), verbosity, quiet, once: Arc::default() }
    }

    /// Something worth knowing; hidden by `-q`.
    pub fn note(&self, words: impl fmt::Display) {
        if !self.quiet {
            self.line("note: ", &words.to_string());
        }
    }

    /// The same, once however many nodes it is true of.
    pub fn note_once(&self, words: &'static str) {
        let mut once = self.once.lock().unwrap_or_else(PoisonError::into_inner);
        if !once.contains(&words) {
            once.push(words);
            drop(once);
            self.note(words);
        }
    }

    /// Something that may make the answer wrong, incomplete or unsafe; never hidden.
    pub fn warning(&self, words: impl fmt::Display) {
        self.line("warning: ", &words.to_string());
    }

    /// A remedy; hidden by `-q` unless it follows an error.
    pub fn hint(&self, words: impl fmt::Display) {
        if !self.quiet {
            self.line("hint: ", &words.to_string());
        }
    }

    /// A failure with all its levels, and its remedy; never hidden.
    pub fn error(&self, error: &Error) {
        self.error_alone(error);
        if let Some(remedy) = error.remedy() {
            self.line("hint: ", remedy);
        }
    }

    /// A failure whose remedy was told with another one.
    pub fn error_alone(&self, error: &Error) {
        self.line("error: ", &error.chain());
    }

    /// A node's failure that is told while others go on.
    pub fn error_alone_of(&self, node: &str, error: &Error) {
        self.line("error: ", &format!("{node}: {}", error.chain()));
    }

    /// Said only from `-v level` on: 6 requests, 8 their heads, as kubectl's.
    pub fn verbose(&self, level: u8, words: impl FnOnce() -> String) {
        if self.verbosity >= level {
            self.line("", &words());
        }
    }

    /// Words that were asked for and stand alone, for a script to take; never hidden.
    pub fn plain(&self, words: impl fmt::Display) {
        self.line("", &words.to_string());
    }

    /// The `-v N` this run was started with.
    pub fn verbosity(&self) -> u8 {
        self.verbosity
    }

    /// Untrusted words reach the terminal only neutralised; the first line carries the prefix, later ones are indented.
    fn line(&self, prefix: &str, words: &str) {
        let Ok(mut sink) = self.sink.lock() else { return };
        for (n, line) in words.trim_end().split('\n').enumerate() {
            let lead = if n == 0 { prefix } else { "  " };
            sink(&format!("{lead}{}", sanitize::text(line)));
        }
    }
}

impl fmt::Debug for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notices")
            .field("verbosity", &self.verbosity)
            .field("quiet", &self.quiet)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn heard(verbosity: u8, quiet: bool, say: impl FnOnce(&Notices)) -> Vec<String> {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        say(&Notices::new(verbosity, quiet, move |line| sink.lock().unwrap().push(line.to_owned())));
        let lines = lines.lock().unwrap();
        lines.clone()
    }

    #[test]
    fn quiet_hides_notes_but_never_errors_and_warnings() {
        let say = |n: &Notices| {
            n.note("a");
            n.warning("b");
            n.hint("c");
            n.error(&Error::new(Kind::Failed, "d").hint("e"));
        };
        assert_eq!(heard(0, false, say), ["note: a", "warning: b", "hint: c", "error: d", "hint: e"]);
        assert_eq!(heard(0, true, say), ["warning: b", "error: d", "hint: e"]);
    }

    #[test]
    fn verbose_lines_come_from_their_level_on() {
        let say = |n: &Notices| {
            n.verbose(6, || "six".into());
            n.verbose(8, || "eight".into());
        };
        assert_eq!(heard(6, false, say), ["six"]);
        assert_eq!(heard(8, true, say), ["six", "eight"]);
    }

    #[test]
    fn control_characters_of_a_server_never_reach_the_terminal() {
        let heard = heard(0, false, |n| n.warning("one\x1b[2J\ntwo"));
        assert_eq!(heard.len(), 2);
        assert!(heard.iter().all(|line| !line.contains('\x1b')), "{heard:?}");
    }
}
