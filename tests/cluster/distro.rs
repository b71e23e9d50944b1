//! Nodes of distributions that run their kubelet in a unit of another name: what their units write, from the lines in
//! `fixtures/logs/distributions`, with times that end when a test says.
//!
//! A line of a fixture is the part of the distribution that wrote it, a tab, and what the journal shows behind time and
//! host: `k3s[812]: I@K     812 kubelet.go:2422] …`. `@K` stands for klog's time, `@R` for logrus's. `?` is a part that
//! nothing in the line tells; `systemd` is systemd's word on the unit.

use super::journal::Recording;
use super::zone::{Civil, month};

/// Whose node it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Distribution {
    /// A kubelet by itself.
    Kubelet,
    K3sServer,
    K3sAgent,
    K0sWorker,
    K0sController,
    KubeletSnap,
    MicroK8s,
    MicroShift,
    Rke2Server,
    Rke2Agent,
}

/// One line of a unit.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    /// Microseconds since 1970.
    pub(crate) at: i64,
    /// What is shown in the journal.
    pub(crate) journal: String,
    /// The same as a syslog file has it.
    pub(crate) syslog: String,
    /// The bare message, as the unit's own file has it.
    pub(crate) bare: String,
    /// Whether it is to be shown as the kubelet's.
    pub(crate) kubelets: bool,
    /// The message without what its supervisor wraps it in.
    inner: String,
}

impl Written {
    /// The line as the journal's and a syslog file's are to be shown.
    pub(crate) fn shown(&self, wrapped: &str) -> String {
        wrapped.replace(&self.bare, &self.inner)
    }

    /// The message as it is to be shown from the unit's own file.
    pub(crate) fn shown_bare(&self) -> &str {
        &self.inner
    }
}

impl Distribution {
    /// Without `.service`.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Distribution::Kubelet => "kubelet",
            Distribution::K3sServer => "k3s",
            Distribution::K3sAgent => "k3s-agent",
            Distribution::K0sWorker => "k0sworker",
            Distribution::K0sController => "k0scontroller",
            Distribution::KubeletSnap => "snap.kubelet.daemon",
            Distribution::MicroK8s => "snap.microk8s.daemon-kubelite",
            Distribution::MicroShift => "microshift",
            Distribution::Rke2Server => "rke2-server",
            Distribution::Rke2Agent => "rke2-agent",
        }
    }

    fn fixture(self) -> &'static str {
        match self {
            Distribution::Kubelet | Distribution::KubeletSnap => {
                include_str!("../../fixtures/logs/distributions/kubelet.log")
            }
            Distribution::K3sServer => include_str!("../../fixtures/logs/distributions/k3s-server.log"),
            Distribution::K3sAgent => include_str!("../../fixtures/logs/distributions/k3s-agent.log"),
            Distribution::K0sWorker | Distribution::K0sController => {
                include_str!("../../fixtures/logs/distributions/k0s.log")
            }
            Distribution::MicroK8s => include_str!("../../fixtures/logs/distributions/microk8s.log"),
            Distribution::MicroShift => include_str!("../../fixtures/logs/distributions/microshift.log"),
            Distribution::Rke2Server | Distribution::Rke2Agent => {
                include_str!("../../fixtures/logs/distributions/rke2.log")
            }
        }
    }

    /// What its unit wrote, a line a second, the last at `end`, on a node so many seconds east of UTC.
    pub(crate) fn written(self, end: i64, offset: i64) -> Vec<Written> {
        let lines: Vec<&str> = self.fixture().lines().collect();
        let first = end - (lines.len() as i64 - 1) * 1_000_000;
        lines
            .iter()
            .zip(0..)
            .map(|(line, number)| {
                let at = first + number * 1_000_000;
                let (part, rest) = line.split_once('\t').expect("a part and a line");
                let (writer, message) = rest.split_once(": ").expect("a writer and a message");
                let writer = match self {
                    Distribution::KubeletSnap => writer.replace("kubelet[", "kubelet.daemon["),
                    _ => writer.to_owned(),
                };
                let local = Civil::from_seconds(at / 1_000_000 + offset);
                let micros = at % 1_000_000;
                let clock = |civil: &Civil| format!("{:02}:{:02}:{:02}", civil.hour, civil.minute, civil.second);
                let klog = format!("{:02}{:02} {}.{micros:06}", local.month, local.day, clock(&local));
                let date = |civil: &Civil| format!("{}-{:02}-{:02}", civil.year, civil.month, civil.day);
                let utc = Civil::from_seconds(at / 1_000_000);
                let inner = message.replace("@K", &klog).replace("@R", &format!("{}T{}Z", date(&utc), clock(&utc)));
                let bare = match (self, part) {
                    (_, "systemd") => inner.clone(),
                    (Distribution::K0sWorker | Distribution::K0sController, part) => {
                        let component =
                            if part == "k0s" { String::new() } else { format!(" component={part} stream=stderr") };
                        let time = format!("{} {}", date(&utc), clock(&utc));
                        format!("time=\"{time}\" level=info msg=\"{}\"{component}", quoted(&inner))
                    }
                    (Distribution::MicroShift, part) if inner.contains(&klog) => format!("{part} {inner}"),
                    _ => inner.clone(),
                };
                let stamp = |civil: &Civil| format!("{} {:02} {}", month(civil.month), civil.day, clock(civil));
                let kubelets = ["kubelet", "?", "???", "systemd"].contains(&part) && !self.is_supervisor();
                Written {
                    at,
                    journal: format!("{}.{micros:06} node-7 {writer}: {bare}\n", stamp(&utc)),
                    syslog: format!(
                        "{} {:2} {} node-7 {writer}: {bare}\n",
                        month(local.month),
                        local.day,
                        clock(&local)
                    ),
                    bare,
                    kubelets,
                    inner,
                }
            })
            .collect()
    }

    fn is_supervisor(self) -> bool {
        matches!(self, Distribution::Rke2Server | Distribution::Rke2Agent)
    }
}

/// The journal of a node on which these units wrote, each until its time, in their order of time. It is never freed.
pub(crate) fn journal(units: &[(Distribution, i64)], offset: i64) -> &'static Recording {
    let mut names: Vec<String> = units.iter().map(|(unit, _)| format!("{}.service", unit.unit())).collect();
    names.sort();
    let mut entries: Vec<(i64, serde_json::Value)> = Vec::new();
    for (unit, end) in units {
        let name = names.iter().position(|name| *name == format!("{}.service", unit.unit())).expect("a name");
        entries.extend(
            unit.written(*end, offset)
                .into_iter()
                .map(|line| (line.at, serde_json::json!({ "t": line.at, "b": 0, "u": [name], "x": line.journal }))),
        );
    }
    entries.sort_by_key(|(at, _)| *at);
    let entries = entries.into_iter().map(|(_, entry)| serde_json::from_value(entry).expect("an entry")).collect();
    Box::leak(Box::new(Recording { units: names, boots: vec!["5e".repeat(16)], entries }))
}

/// As Go's `strconv.Quote` writes what is printable.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\t', "\\t")
}
