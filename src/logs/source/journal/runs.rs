//! The runs of a unit: systemd gives each start of it an id, which the journal keeps with its lines.

use super::Remote;
use super::timestamp;
use crate::error::{Error, Kind};
use crate::journal::{Found, Id, Instance, Instances, Journal, Limits, Step, full_name};
use crate::logs::outlet::Flow;

impl Remote<'_> {
    /// The newest runs of a unit, no more than so many, newest first; in one boot or all.
    pub async fn runs(&mut self, unit: &str, boot: Option<Id>, most: usize) -> Flow<Vec<Instance>> {
        self.fetched.clear();
        let journal = std::mem::replace(&mut self.journal, Journal::new([], Limits::default()));
        let mut instances = Instances::new(journal, &full_name(unit), boot);
        let ended = self.drive(&mut instances, most).await;
        self.journal = instances.into_journal();
        ended
    }

    async fn drive(&mut self, instances: &mut Instances, most: usize) -> Flow<Vec<Instance>> {
        let mut runs = Vec::new();
        while runs.len() < most {
            let step = match instances.step() {
                Ok(Found::Instance(run)) => {
                    runs.push(run);
                    continue;
                }
                Ok(Found::Step(step)) => step,
                Ok(Found::End) => break,
                Err(why) => {
                    return Err(self.costly(why).into());
                }
            };
            // While it is asked for bytes, the journal is here.
            std::mem::swap(&mut self.journal, instances.journal_mut());
            let done = match step {
                Step::Need(needs) => self.fetch(needs).await,
                Step::Notice(notice) => {
                    self.hear(notice);
                    Ok(())
                }
                Step::Entry(_) | Step::Value(_) | Step::End => Ok(()),
            };
            std::mem::swap(&mut self.journal, instances.journal_mut());
            done?;
        }
        Ok(runs)
    }

    /// The run of a unit before its last; of a unit without any run the inner error says why.
    pub async fn previous(&mut self, unit: &str, boot: Option<Id>) -> Flow<Result<Instance, Error>> {
        let runs = self.runs(unit, boot, 2).await?;
        let within = boot.map_or_else(String::new, |boot| format!(" in boot {boot}"));
        let node = self.node.name;
        match &*runs {
            [_, previous, ..] => {
                self.node.notices.verbose(4, || {
                    let (from, to) = (timestamp(previous.first.realtime), timestamp(previous.last.realtime));
                    format!("{node}: {unit} ran as {} from {} to {}", previous.id, from.rfc3339(), to.rfc3339())
                });
                Ok(Ok(*previous))
            }
            [only] => {
                let began = timestamp(only.first.realtime);
                let words = format!(
                    "the journal holds one run of {unit} alone{within}, begun at {}: none before it",
                    began.rfc3339()
                );
                let error = Error::new(Kind::NotFound, words);
                Ok(Err(match (self.journal.begins(), boot) {
                    (_, Some(_)) => error.hint("leave --boot out to look in every boot"),
                    (Some(begins), None) => error.hint(format!(
                        "the journal begins at {}; what was before is gone",
                        timestamp(begins).rfc3339()
                    )),
                    (None, None) => error,
                }))
            }
            [] => {
                let words =
                    format!("the journal tells no run of {unit}{within}: none of its lines there has an invocation id");
                Ok(Err(Error::new(Kind::NotFound, words).hint("--since and --until choose a time instead")))
            }
        }
    }
}
