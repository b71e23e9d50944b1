//! Which units wrote to a node's journal.

use super::{Remote, timestamp};
use crate::journal::{Value, full_name};
use crate::logs::outlet::Flow;
use crate::logs::unit::HOMES;
use crate::time::Timestamp;

/// Services of many nodes. They begin early in a file, where a walk along its newest units does not reach.
const COMMON: [&str; 12] = [
    "chronyd",
    "containerd",
    "cri-docker",
    "crio",
    "docker",
    "kube-proxy",
    "kubepods.slice",
    "ssh",
    "sshd",
    "systemd-journald",
    "systemd-networkd",
    "systemd-resolved",
];

/// A unit, as far as the journal still holds its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// As `--unit` takes it.
    pub name: String,
    /// How many entries it has.
    pub entries: u64,
    /// When the last of them was taken.
    pub last: Timestamp,
}

impl Remote<'_> {
    /// Those of some well-known units that are there: a few requests.
    pub async fn common_units(&mut self) -> Flow<Vec<Unit>> {
        let names = COMMON.into_iter().chain(HOMES.iter().map(|home| home.unit));
        let values = names.map(|name| format!("_SYSTEMD_UNIT={}", full_name(name)).into_bytes());
        let found = self.find(values.collect()).await?;
        Ok(units(&found))
    }

    /// The newest units of each file, at most so many: that costs about as many requests.
    pub async fn newest_units(&mut self, most: usize) -> Flow<Vec<Unit>> {
        let found = self.list("_SYSTEMD_UNIT", most).await?;
        Ok(units(&found))
    }
}

/// By name. Sessions and containers are scopes, which come and go.
fn units(values: &[Value]) -> Vec<Unit> {
    let mut found = Vec::new();
    for value in values {
        let Ok(full) = std::str::from_utf8(value.value()) else { continue };
        if !full.ends_with(".scope") {
            let name = full.strip_suffix(".service").unwrap_or(full).to_owned();
            found.push(Unit { name, entries: value.entries, last: timestamp(value.last.realtime) });
        }
    }
    by_name(found)
}

/// In the order of their names, each once.
pub fn by_name(mut units: Vec<Unit>) -> Vec<Unit> {
    units.sort_unstable_by(|a, b| (&a.name, b.last).cmp(&(&b.name, a.last)));
    units.dedup_by(|later, one| later.name == one.name);
    units
}
