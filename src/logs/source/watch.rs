//! Following: looking again and again for what is new, whatever happens to the node and the way to it.

use std::time::Duration;

use crate::error::{Error, Kind};
use crate::logs::outlet::{Flow, Halt};
use crate::logs::pace::{Pace, Waits, stays};
use crate::logs::source::Machine;
use crate::time::Timestamp;

/// An entry that was written by the end of the window is looked for so much longer: it takes a moment to be stored.
const GRACE: Duration = Duration::from_secs(1);

/// Refusals in a row that are waited through, the best part of a minute: an API server that starts refuses everybody.
const MOST_REFUSALS: u32 = 8;

/// The looks at one log.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    node: Machine<'a>,
    waits: Waits<'a>,
    /// After this nothing is wanted.
    until: Option<Timestamp>,
    /// The next look is the last.
    last: bool,
    /// What was lost for good.
    gap: Option<Error>,
    /// Refusals in a row.
    refusals: u32,
}

impl<'a> Watch<'a> {
    /// At the pace of the run.
    pub(super) fn new(node: Machine<'a>, pace: &'a Pace, until: Option<Timestamp>) -> Self {
        let waits = pace.waits().by(until.map(|until| until.saturating_add(GRACE)));
        Watch { node, waits, until, last: false, gap: None, refusals: 0 }
    }

    /// Never looks more often than this.
    pub(super) fn at_least(self, least: Duration) -> Self {
        Watch { waits: self.waits.at_least(least), ..self }
    }

    /// Waits for the time of the next look; `false` means there is none any more.
    pub(super) async fn wait(&mut self) -> bool {
        if self.last {
            return false;
        }
        self.waits.next(self.node.clock).await;
        self.last = self.until.is_some_and(|until| self.node.clock.now() > until.saturating_add(GRACE));
        true
    }

    /// What a look has come to: whether it brought anything, or why it failed. What passes is waited for.
    pub(super) fn heard(&mut self, looked: Flow<bool>) -> Flow<()> {
        let name = self.node.name;
        let is_refusal = matches!(&looked, Err(Halt::Failed(error)) if error.kind() == Kind::Denied || stays(error));
        self.refusals = if is_refusal { self.refusals + 1 } else { 0 };
        match looked {
            Ok(anything) => {
                if self.waits.is_failing() {
                    self.node
                        .notices
                        .note(format_args!("{name}: it answers again; nothing was missed that it still has"));
                }
                self.waits.looked(anything);
                Ok(())
            }
            Err(Halt::Failed(error)) if passes(&error, self.refusals) && !self.last => {
                if self.waits.failed(&error) {
                    self.node.notices.warning(format_args!("{name}: {}; trying again", error.chain()));
                }
                Ok(())
            }
            Err(halt) => Err(halt),
        }
    }

    /// Says what was lost for good.
    pub(super) fn lost(&mut self, words: String) {
        self.node.notices.warning(format_args!("{}: {words}", self.node.name));
        let gap = || Error::new(Kind::Partial, words.as_str());
        self.waits.lost(gap());
        self.gap.get_or_insert_with(gap);
    }

    /// Says that nothing more will come, because the only boot that was asked for is over.
    pub(super) fn say_boot_ended(&self, boot: &str) {
        self.node.notices.note(format_args!(
            "{}: boot {boot} has ended, and with it what --boot chose; without it the next boot is followed, too",
            self.node.name
        ));
    }

    /// How following ends where nothing failed.
    pub(super) fn end(self) -> Flow<()> {
        self.gap.map_or(Ok(()), |gap| Err(gap.into()))
    }
}

/// Whether waiting may help: not against a refusal that stays, a wrong question, or where there is nothing.
fn passes(error: &Error, refusals: u32) -> bool {
    match error.kind() {
        Kind::Failed if stays(error) => refusals < MOST_REFUSALS,
        Kind::Unreachable | Kind::Failed | Kind::Partial => true,
        Kind::Denied => refusals < MOST_REFUSALS,
        Kind::NotFound | Kind::Usage | Kind::Findings => false,
    }
}
