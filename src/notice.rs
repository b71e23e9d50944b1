//! Words for the person beside the answer: notes, warnings, hints and, when asked for, what happens on the wire.
//!
//! Every module says them through one [`Notices`]; only the edge of the program knows where they go.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::error::Error;
use crate::sanitize;

/// Takes whole lines without their line end; or text for a line that is written over again.
type Sink = dyn FnMut(&str) + Send;

/// A handle to the person's attention; clones share one sink.
#[derive(Clone)]
pub struct Notices {
    mouth: Arc<Mutex<Mouth>>,
    verbosity: u8,
    quiet: bool,
    /// What nodes say alike, told together later.
    gathered: Option<Arc<Gathered>>,
    /// The node whose notices these are.
    about: Option<Arc<str>>,
}

struct Mouth {
    sink: Box<Sink>,
    /// Where a line can be written over: a terminal.
    screen: Option<Box<Sink>>,
    /// The line that is there now.
    status: String,
}

const NOTE: &str = "note: ";

/// Nodes that are named, of those that say the same: of notes, and of what may make an answer wrong.
const NAMED: (usize, usize) = (3, 20);

#[derive(Default)]
struct Gathered {
    said: Mutex<Vec<Said>>,
    first: Notify,
}

struct Said {
    prefix: &'static str,
    words: String,
    nodes: Vec<Arc<str>>,
}

impl Notices {
    /// Says things through `sink`; `verbosity` is `-v N`, `quiet` is `-q`.
    pub fn new(verbosity: u8, quiet: bool, sink: impl FnMut(&str) + Send + 'static) -> Self {
        let mouth = Mouth { sink: Box::new(sink), screen: None, status: String::new() };
        Notices { mouth: Arc::new(Mutex::new(mouth)), verbosity, quiet, gathered: None, about: None }
    }

    /// With a terminal for [`Notices::status`], which takes text as it is.
    pub fn on_screen(self, screen: impl FnMut(&str) + Send + 'static) -> Self {
        self.mouth.lock().unwrap_or_else(PoisonError::into_inner).screen = Some(Box::new(screen));
        self
    }

    /// Whether [`Notices::status`] shows anything.
    pub fn has_screen(&self) -> bool {
        !self.quiet && self.mouth.lock().unwrap_or_else(PoisonError::into_inner).screen.is_some()
    }

    /// Shows a line that stays below all others until the next one; an empty one takes it away.
    pub fn status(&self, words: &str) {
        let mut mouth = self.mouth.lock().unwrap_or_else(PoisonError::into_inner);
        if self.quiet || mouth.status == words {
            return;
        }
        mouth.hide();
        mouth.status = sanitize::text(words).into_owned();
        mouth.show();
    }

    /// The same, but what is said by [`Notices::of`] many nodes alike is told once, by [`Notices::tell_gathered`].
    pub fn gathering(&self) -> Notices {
        Notices { gathered: Some(Arc::default()), ..self.clone() }
    }

    /// Those of one node, by whose name and a colon its words begin.
    pub fn of(&self, node: &str) -> Notices {
        Notices { about: self.gathered.as_ref().map(|_| node.into()), ..self.clone() }
    }

    /// Tells what was gathered.
    pub fn tell_gathered(&self) {
        let Some(gathered) = &self.gathered else { return };
        let said = std::mem::take(&mut *gathered.said.lock().unwrap_or_else(PoisonError::into_inner));
        for Said { prefix, words, mut nodes } in said {
            nodes.sort_unstable();
            let named = if prefix == NOTE { NAMED.0 } else { NAMED.1 };
            let mut who = nodes.iter().take(named).map(|node| &**node).collect::<Vec<_>>().join(", ");
            if nodes.len() > named {
                who.push_str(", …");
            }
            match &*nodes {
                [node] => self.line(prefix, &format!("{node}: {words}")),
                _ => self.line(prefix, &format!("{} nodes: {words} ({who})", nodes.len())),
            }
        }
    }

    /// Waits until something was gathered.
    pub async fn has_gathered(&self) {
        match &self.gathered {
            Some(gathered) => gathered.first.notified().await,
            None => std::future::pending().await,
        }
    }

    /// Something worth knowing; hidden by `-q`.
    pub fn note(&self, words: impl fmt::Display) {
        if !self.quiet {
            self.say(NOTE, &words.to_string());
        }
    }

    /// Something that may make the answer wrong, incomplete or unsafe; never hidden.
    pub fn warning(&self, words: impl fmt::Display) {
        self.say("warning: ", &words.to_string());
    }

    /// A remedy; hidden by `-q` unless it follows an error.
    pub fn hint(&self, words: impl fmt::Display) {
        if !self.quiet {
            self.line("hint: ", &words.to_string());
        }
    }

    /// A remedy that follows an error; never hidden.
    pub fn remedy(&self, words: &str) {
        self.line("hint: ", words);
    }

    /// A failure with all its levels, and its remedy; never hidden.
    pub fn error(&self, error: &Error) {
        self.line("error: ", &error.chain());
        if let Some(remedy) = error.remedy() {
            self.remedy(remedy);
        }
    }

    /// A failure in these words, without its remedy.
    pub fn error_alone(&self, words: &str) {
        self.line("error: ", words);
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

    /// Now; or together with what other nodes say alike.
    fn say(&self, prefix: &'static str, words: &str) {
        if let (Some(gathered), Some(node)) = (&self.gathered, &self.about)
            && let Some(words) = words.strip_prefix(&**node).and_then(|rest| rest.strip_prefix(": "))
        {
            let mut said = gathered.said.lock().unwrap_or_else(PoisonError::into_inner);
            if said.is_empty() {
                gathered.first.notify_one();
            }
            match said.iter_mut().find(|known| known.prefix == prefix && known.words == words) {
                Some(known) if known.nodes.contains(node) => {}
                Some(known) => known.nodes.push(Arc::clone(node)),
                None => said.push(Said { prefix, words: words.to_owned(), nodes: vec![Arc::clone(node)] }),
            }
            return;
        }
        self.line(prefix, words);
    }

    /// Untrusted words reach the terminal only neutralised; the first line carries the prefix, later ones are indented.
    fn line(&self, prefix: &str, words: &str) {
        let Ok(mut mouth) = self.mouth.lock() else { return };
        mouth.hide();
        for (n, line) in words.trim_end().split('\n').enumerate() {
            let lead = if n == 0 { prefix } else { "  " };
            (mouth.sink)(&format!("{lead}{}", sanitize::text(line)));
        }
        mouth.show();
    }
}

impl Mouth {
    /// Takes the status line away, if there is one.
    fn hide(&mut self) {
        if let Some(screen) = self.screen.as_mut().filter(|_| !self.status.is_empty()) {
            screen("\r\x1b[K");
        }
    }

    /// Writes it over what is there.
    fn show(&mut self) {
        if let Some(screen) = self.screen.as_mut().filter(|_| !self.status.is_empty()) {
            screen(&format!("\r\x1b[K{}", self.status));
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
    fn what_nodes_say_alike_is_told_once() {
        let say = |n: &Notices| {
            let gathering = n.gathering();
            for number in 0..25 {
                let name = format!("n{number:02}");
                gathering.of(&name).note(format_args!("{name}: off"));
                gathering.of(&name).note(format_args!("{name}: off"));
                gathering.of(&name).warning(format_args!("{name}: late"));
            }
            gathering.of("x").note("x: alone");
            gathering.of("x").note("of no node");
            gathering.tell_gathered();
            gathering.tell_gathered();
        };
        let told = heard(0, false, say);
        let late = (0..20).map(|n| format!("n{n:02}")).collect::<Vec<_>>().join(", ");
        assert_eq!(
            told,
            [
                "note: of no node".to_owned(),
                "note: 25 nodes: off (n00, n01, n02, …)".to_owned(),
                format!("warning: 25 nodes: late ({late}, …)"),
                "note: x: alone".to_owned(),
            ]
        );
    }

    #[test]
    fn a_status_stays_below_what_is_said() {
        let written = Arc::new(Mutex::new(String::new()));
        let (lines, screen) = (Arc::clone(&written), Arc::clone(&written));
        let notices = Notices::new(0, false, move |line| lines.lock().unwrap().push_str(&format!("{line}\n")))
            .on_screen(move |text| screen.lock().unwrap().push_str(text));
        notices.status("1 of 2");
        notices.note("x");
        notices.status("");
        notices.note("y");
        let clear = "\r\x1b[K";
        assert_eq!(*written.lock().unwrap(), format!("{clear}1 of 2{clear}note: x\n{clear}1 of 2{clear}note: y\n"));
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
