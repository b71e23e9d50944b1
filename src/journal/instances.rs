//! The runs of a unit, newest first: each start gets an invocation id, which its lines carry, and those of systemd about it.

use super::entry::{Entry, Position};
use super::matches::{AnyOf, Matches};
use super::query::{Order, Query};
use super::set::{FileId, Journal, Step};
use super::{Corrupt, Id};

/// Lines without an invocation id that are passed over before giving up: systemd before 232 writes none.
const MOST_WITHOUT: usize = 64;

/// One run of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instance {
    /// What [`AnyOf::invocation`] selects it by.
    pub id: Id,
    /// Its first line.
    pub first: Position,
    /// Its last line.
    pub last: Position,
}

/// Finds the runs of a unit one by one, each in a few rounds.
#[derive(Debug)]
pub struct Instances {
    journal: Journal,
    unit: String,
    matches: Matches,
    stage: Stage,
    /// The run found last, until it is known where it begins.
    current: Option<Instance>,
    without: usize,
}

#[derive(Debug)]
enum Stage {
    /// Looks for the newest line before what is known.
    Line,
    /// Looks for the first line of the current run in the files opened so far.
    Beginning,
    End,
}

/// What looking has come to.
#[derive(Debug)]
pub enum Found {
    /// As [`Step::Need`], [`Step::Notice`].
    Step(Step),
    /// The next older run.
    Instance(Instance),
    /// There is no older one.
    End,
}

impl Instances {
    /// The runs of a unit (with its suffix) in a journal, in one boot or all.
    pub fn new(journal: Journal, unit: &str, boot: Option<Id>) -> Instances {
        let own = AnyOf::field("_SYSTEMD_UNIT", unit);
        let matches = Matches::all().and(own.or(AnyOf::systemd_about(unit)));
        let matches = boot.into_iter().fold(matches, |matches, boot| matches.and(AnyOf::boot(boot)));
        let mut instances =
            Instances { journal, unit: unit.to_owned(), matches, stage: Stage::Line, current: None, without: 0 };
        instances.look_before(None);
        instances
    }

    /// As [`Journal::provide`].
    pub fn provide<'a>(&mut self, file: FileId, total: u64, pieces: impl IntoIterator<Item = (u64, &'a [u8])>) {
        self.journal.provide(file, total, pieces);
    }

    /// As [`Journal::gone`].
    pub fn gone(&mut self, file: FileId) {
        self.journal.gone(file);
    }

    /// The journal, for what a driver wants of it between two steps: the names of its files.
    pub fn journal_mut(&mut self) -> &mut Journal {
        &mut self.journal
    }

    /// The journal, to be asked for something else.
    pub fn into_journal(self) -> Journal {
        self.journal
    }

    /// Goes on as far as the bytes at hand allow.
    pub fn step(&mut self) -> Result<Found, Corrupt> {
        loop {
            match self.stage {
                Stage::Line => match self.journal.step()? {
                    Step::Entry(entry) => {
                        if let Some(before) = self.meet(&entry) {
                            return Ok(Found::Instance(before));
                        }
                    }
                    Step::End => {
                        self.stage = Stage::End;
                        return Ok(self.current.take().map_or(Found::End, Found::Instance));
                    }
                    step => return Ok(Found::Step(step)),
                },
                Stage::Beginning => match self.journal.step()? {
                    Step::Value(value) => {
                        if let Some(current) = &mut self.current
                            && value.first.compare(&current.first).is_lt()
                        {
                            current.first = value.first;
                        }
                    }
                    Step::End => self.look_before(self.current.map(|current| current.first)),
                    step => return Ok(Found::Step(step)),
                },
                Stage::End => return Ok(Found::End),
            }
        }
    }

    /// Takes the newest line before what is known; gives the run before this one, if it belongs to another.
    fn meet(&mut self, entry: &Entry) -> Option<Instance> {
        let own = entry.field(b"_SYSTEMD_UNIT") == Some(self.unit.as_bytes());
        let id = entry.field(if own { b"_SYSTEMD_INVOCATION_ID" } else { b"INVOCATION_ID" });
        let Some(id) = id.and_then(|id| std::str::from_utf8(id).ok()?.parse::<Id>().ok()) else {
            self.without = self.without.saturating_add(1);
            match self.without {
                0..MOST_WITHOUT => self.look_before(Some(entry.position)),
                _ => {
                    self.stage = Stage::End;
                    return self.current.take();
                }
            }
            return None;
        };
        self.without = 0;
        let position = entry.position;
        let before = self.current.filter(|current| current.id != id);
        match &mut self.current {
            // It goes on in an older file.
            Some(current) if current.id == id => current.first = position,
            _ => self.current = Some(Instance { id, first: position, last: position }),
        }
        let values = ["_SYSTEMD_INVOCATION_ID", "INVOCATION_ID"].map(|name| format!("{name}={id}").into_bytes());
        self.journal.find_firsts(values.into());
        self.stage = Stage::Beginning;
        before
    }

    fn look_before(&mut self, before: Option<Position>) {
        let query = Query { before, order: Order::NewestFirst, limit: Some(1), ..Query::new(self.matches.clone()) };
        self.journal.read(query);
        self.stage = Stage::Line;
    }
}
