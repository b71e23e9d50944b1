//! What the runs before the last wrote.

use super::Found;
use crate::error::{Error, Kind};
use crate::journal::{AnyOf, Id, Matches};
use crate::logs::filter::Filter;
use crate::logs::outlet::Flow;
use crate::logs::source::home::choose;
use crate::logs::source::journal::Remote;
use crate::logs::source::text::Wanted;
use crate::logs::unit::{Holds, KUBELET};

impl Remote<'_> {
    /// What the runs before the last wrote, and systemd about them; and what to say of those units that have none, once the
    /// others were printed.
    pub(super) async fn of_previous_runs(
        &mut self,
        wanted: Wanted<'_>,
        boot: Option<Id>,
        filter: &mut Filter,
    ) -> Flow<Result<(AnyOf, Option<Error>), Found>> {
        let units: Vec<String> = match wanted {
            Wanted::Units(units) => units.to_vec(),
            Wanted::Kubelet | Wanted::Kernel => match self.home(boot).await? {
                Some((home, _)) if home.holds == Holds::Supervisor => return Ok(Err(Found::Supervised(home))),
                Some((home, _)) => {
                    if home.unit != KUBELET {
                        choose(self.node, home, &format!("unit {}", home.unit), filter);
                    }
                    vec![home.unit.to_owned()]
                }
                None => vec![KUBELET.to_owned()],
            },
        };
        let mut entries: Option<AnyOf> = None;
        let mut none: Vec<(&str, Error)> = Vec::new();
        for unit in &units {
            match self.previous(unit, boot).await? {
                Ok(run) => {
                    let own = AnyOf::invocation(run.id);
                    let own = match unit == KUBELET {
                        true => self.left_its_unit(&run).await?.into_iter().fold(own, AnyOf::or),
                        false => own,
                    };
                    entries = Some(entries.unwrap_or_default().or(own));
                }
                Err(why) => none.push((unit, why)),
            }
        }
        let units: Vec<&str> = none.iter().map(|(unit, _)| *unit).collect();
        let told = units.join(", ");
        let Some((unit, why)) = none.into_iter().next() else { return Ok(Ok((entries.unwrap_or_default(), None))) };
        let found = self.absent(Wanted::Units(&[unit.to_owned()]), filter).await?;
        match (entries, found) {
            (None, Found::Log { .. }) if self.is_readable() => Err(why.into()),
            (None, found) => Ok(Err(found)),
            (Some(entries), found) => {
                let words = format!("no run before the last of {told}; those of the others were printed");
                let why = match found {
                    Found::Absent(_) => self.unknown(unit, ""),
                    _ => why,
                };
                Ok(Ok((entries, Some(Error::new(Kind::NotFound, words).because(why)))))
            }
        }
    }

    /// The lines of the kubelet of this run that tell no unit and no run: with kubeletCgroups it leaves its unit's group.
    async fn left_its_unit(&mut self, run: &crate::journal::Instance) -> Flow<Option<AnyOf>> {
        let own = AnyOf::field("_SYSTEMD_INVOCATION_ID", &run.id.to_string());
        let Some(entry) = self.newest(Matches::all().and(own).and(AnyOf::identifier(KUBELET))).await? else {
            return Ok(None);
        };
        let pid = entry.field(b"_PID").and_then(|pid| std::str::from_utf8(pid).ok());
        Ok(pid.map(|pid| AnyOf::process(KUBELET, pid, entry.position.boot)))
    }
}
