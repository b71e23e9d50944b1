//! Which kubelet lines are about one pod.

use memchr::memmem::Finder;

/// At most this many container and sandbox ids are remembered for one pod.
const MOST_IDS: usize = 256;

/// What kubelet lines call one pod: `namespace/name`, `name_namespace(uid)`, its UID, its containers' ids, and the
/// sandbox ids that only the log itself tells.
#[derive(Clone, Debug)]
pub struct PodLines {
    names: Vec<(Finder<'static>, usize)>,
    ids: Vec<String>,
}

impl PodLines {
    /// From the pod's names, and its UID and container ids as far as they are known.
    pub fn new(namespace: &str, name: &str, ids: impl IntoIterator<Item = String>) -> Self {
        let names = [format!("{namespace}/{name}"), format!("{name}_{namespace}")];
        PodLines {
            names: names.iter().map(|n| (Finder::new(n.as_bytes()).into_owned(), n.len())).collect(),
            ids: ids.into_iter().filter(|id| id.len() >= 12).take(MOST_IDS).collect(),
        }
    }

    /// Whether a message is about the pod; learns the ids of sandboxes and containers that such messages name.
    pub fn mentions(&mut self, message: &[u8]) -> bool {
        let named = self
            .names
            .iter()
            .any(|(finder, length)| finder.find_iter(message).any(|at| stands_alone(message, at, *length)));
        let found = named || self.ids.iter().any(|id| memchr::memmem::find(message, id.as_bytes()).is_some());
        if found {
            self.learn(message);
        }
        found
    }

    /// The pod lifecycle lines (`event={"ID":"UID","Type":"ContainerStarted","Data":"64 hex digits"}`) name ids that
    /// the API never shows.
    fn learn(&mut self, message: &[u8]) {
        const BEFORE: &[u8] = b"\"Data\":\"";
        for at in memchr::memmem::find_iter(message, BEFORE) {
            let from = at + BEFORE.len();
            let Some(id) = message.get(from..from + 64) else { continue };
            if let Ok(id) = std::str::from_utf8(id)
                && id.bytes().all(|b| b.is_ascii_hexdigit())
                && self.ids.len() < MOST_IDS
                && !self.ids.iter().any(|known| known == id)
            {
                self.ids.push(id.to_owned());
            }
        }
    }
}

/// Whether a name found in a message is not just the beginning or the end of a longer one.
fn stands_alone(message: &[u8], at: usize, length: usize) -> bool {
    let of_name = |b: &u8| b.is_ascii_alphanumeric() || *b == b'-' || *b == b'.';
    let before = at.checked_sub(1).and_then(|n| message.get(n));
    let after = message.get(at + length);
    !before.is_some_and(of_name) && !after.is_some_and(|b| of_name(b) && *b != b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_known_by_names_uid_and_learned_ids() {
        let sandbox = "a".repeat(64);
        let mut pod = PodLines::new("prod", "web-1", ["0787b26d-9e2e-5be5-6b66-ec953102fad3".to_owned()]);
        let started =
            format!("event for pod pod=\"prod/web-1\" event={{\"Type\":\"ContainerStarted\",\"Data\":\"{sandbox}\"}}");
        for (message, expected) in [
            (format!("StopPodSandbox {sandbox}"), false),
            (started, true),
            (format!("StopPodSandbox {sandbox}"), true),
            ("pod=\"prod/web-10\"".into(), false),
            ("pod=\"preprod/web-1\"".into(), false),
            ("pod=web-1_prod(0787)".into(), true),
            ("(UID: \"0787b26d-9e2e-5be5-6b66-ec953102fad3\")".into(), true),
            ("syncing prod/web-1.".into(), true),
        ] {
            assert_eq!(pod.mentions(message.as_bytes()), expected, "{message}");
        }
    }
}
