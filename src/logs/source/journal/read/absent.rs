//! Units that a journal does not know.

use super::{Found, Reading};
use crate::error::{Error, Kind};
use crate::journal::{AnyOf, Entry, Matches, full_name};
use crate::logs::filter::Filter;
use crate::logs::outlet::Flow;
use crate::logs::source::journal::Remote;
use crate::logs::source::journal::place::Place;
use crate::logs::source::text::Wanted;
use crate::logs::unit::KUBELET;

/// What makes an entry one of a unit's, as `journalctl -u` has it.
const FIELDS: [&str; 5] = ["_SYSTEMD_UNIT", "UNIT", "OBJECT_SYSTEMD_UNIT", "COREDUMP_UNIT", "_SYSTEMD_SLICE"];

/// How to learn a journal's units on this machine.
pub const LISTED: &str = "-u and -t name others; journalctl -F _SYSTEMD_UNIT lists units; one with a LogNamespace= has a \
     journal of its own, in the folder ID.NAMESPACE beside";

/// Units that no entry was of yet, with their suffixes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Unseen(Vec<String>);

impl Unseen {
    pub(super) fn of(units: &[String]) -> Unseen {
        Unseen(units.iter().map(|unit| full_name(unit)).collect())
    }

    pub(super) fn see(&mut self, entry: &Entry) {
        if !self.0.is_empty() {
            self.0.retain(|unit| !FIELDS.iter().any(|name| entry.field(name.as_bytes()) == Some(unit.as_bytes())));
        }
    }
}

impl Reading<'_, '_, '_> {
    /// Whether there are such units at all, where no entry showed it; of several, what to say once the others were printed.
    pub(super) async fn look_for_units(
        &mut self,
        wanted: Wanted<'_>,
        anything: bool,
        followed: bool,
    ) -> Flow<(Found, Option<Error>)> {
        let unseen = std::mem::take(&mut self.unseen).0;
        let told = match wanted {
            _ if self.has_identifiers => anything || followed || self.want.last == Some(0),
            Wanted::Units(_) => unseen.is_empty(),
            Wanted::Kubelet | Wanted::Kernel => anything || self.want.last == Some(0),
        };
        if told {
            return Ok((Found::Log { anything }, None));
        }
        // What is followed goes on from what was read.
        let read = followed.then(|| self.remote.put_aside());
        let found =
            if anything { self.missing(unseen).await? } else { (self.remote.absent(wanted, self.filter).await?, None) };
        if let (Some(read), Found::Log { .. }) = (read, &found.0) {
            self.remote.fetched.clear();
            self.remote.journal = read;
        }
        Ok(found)
    }

    /// Which of these no entry is of: the newest of each is looked for, which for one that is there opens few files.
    async fn missing(&mut self, units: Vec<String>) -> Flow<(Found, Option<Error>)> {
        let mut missing = Vec::new();
        for unit in units {
            if self.remote.newest(Matches::all().and(AnyOf::unit(&unit))).await?.is_none() {
                missing.push(unit.strip_suffix(".service").map_or(unit.clone(), str::to_owned));
            }
        }
        let error =
            (!missing.is_empty()).then(|| self.remote.unknown(&missing.join(", "), "; the others were printed"));
        Ok((Found::Log { anything: true }, error))
    }
}

impl Remote<'_> {
    /// What to say of units that the journal does not know.
    pub(super) fn unknown(&self, units: &str, rest: &str) -> Error {
        let hint = match &self.place {
            Place::Node { .. } => {
                "ask for it by itself: a single unit is looked for in the files under /var/log as well"
            }
            Place::Here(_) => LISTED,
        };
        let journal = self.place.journal();
        Error::new(Kind::NotFound, format!("{journal} does not know {units}{rest}")).hint(hint)
    }

    /// Nothing was wanted: is there such a unit at all?
    pub(super) async fn absent(&mut self, wanted: Wanted<'_>, filter: &Filter) -> Flow<Found> {
        let units: Vec<String> = match wanted {
            // A program that was never started here is no error of a node, as a unit that it does not have is.
            _ if !filter.identifiers.is_empty() => {
                let named = filter.identifiers.iter().map(|name| format!("SYSLOG_IDENTIFIER={name}").into_bytes());
                if self.find(named.collect()).await?.is_empty() {
                    let (name, identifiers) = (self.node.name, filter.identifiers.join(", "));
                    self.node.notices.note(format_args!("{name}: nothing in its journal was logged as {identifiers}"));
                }
                return Ok(Found::Log { anything: false });
            }
            Wanted::Kernel => return Ok(Found::Log { anything: false }),
            Wanted::Kubelet => vec![KUBELET.to_owned()],
            Wanted::Units(units) => units.to_vec(),
        };
        let values = units.iter().flat_map(|unit| {
            let full = full_name(unit);
            FIELDS.map(|field| format!("{field}={full}").into_bytes())
        });
        let mut values: Vec<Vec<u8>> = values.collect();
        if matches!(wanted, Wanted::Kubelet) {
            values.push(format!("SYSLOG_IDENTIFIER={KUBELET}").into_bytes());
        }
        let known = self.find(values).await?;
        let absent = units.iter().find(|unit| {
            let full = full_name(unit);
            !known.iter().any(|value| value.value() == full.as_bytes() || matches!(wanted, Wanted::Kubelet))
        });
        Ok(match absent {
            Some(unit) => Found::Absent(unit.clone()),
            None => Found::Log { anything: false },
        })
    }
}
