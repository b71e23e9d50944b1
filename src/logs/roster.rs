//! Which nodes there are while a run follows them: those that come, and those that go.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::kube::node::Metadata;
use crate::kube::watch::{News, Watch};
use crate::notice::Notices;
use crate::time::Timestamp;

/// What has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A node that is meant, since then.
    Came(String, Timestamp),
    /// It is gone, or not meant any more.
    Went(String),
}

/// What the times in objects are rounded down to.
const WHOLE_SECONDS: Duration = Duration::from_secs(1);

/// Whether a node is meant.
pub type IsMeant = Box<dyn Fn(&Metadata) -> bool + Send>;

/// Hears of changes until it is dropped.
#[derive(Debug)]
pub struct Roster {
    changes: mpsc::UnboundedReceiver<Change>,
    known: Arc<Mutex<Known>>,
    task: JoinHandle<()>,
}

impl Roster {
    /// Watches from where `known`, the nodes that are meant now, were listed.
    pub fn new(mut watch: Watch, known: &[String], means: IsMeant, clock: Clock, notices: Notices) -> Self {
        let (sender, changes) = mpsc::unbounded_channel();
        let names = known.iter().cloned().collect();
        let known = Arc::new(Mutex::new(Known { names, forgotten: Vec::new(), means, began: clock.now() }));
        let shared = Arc::clone(&known);
        let task = tokio::spawn(async move {
            loop {
                match watch.next().await {
                    Ok(news) => {
                        let changes = lock(&known).take(news, clock.now());
                        for change in changes {
                            if sender.send(change).is_err() {
                                return;
                            }
                        }
                    }
                    Err(error) => {
                        let words = format!("nodes that come or go are not noticed: {}", error.chain());
                        notices.warning(words);
                        if let Some(remedy) = error.remedy() {
                            notices.hint(remedy);
                        }
                        return;
                    }
                }
            }
        });
        Roster { changes, known: shared, task }
    }

    /// A node was not there when it was asked, whatever is known of it: where it is in what comes next it has come anew, and
    /// was read up to then.
    pub fn forget(&self, name: &str, read_to: Timestamp) {
        lock(&self.known).forget(name, read_to);
    }

    /// The next change; waits for ever where there will be none.
    pub async fn next(&mut self) -> Change {
        match self.changes.recv().await {
            Some(change) => change,
            None => std::future::pending().await,
        }
    }
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Roster {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The nodes that are meant.
struct Known {
    names: BTreeSet<String>,
    /// Those that were not there when they were asked, and how far they were read.
    forgotten: Vec<(String, Timestamp)>,
    means: IsMeant,
    /// When the run began.
    began: Timestamp,
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Known").field("names", &self.names).finish_non_exhaustive()
    }
}

impl Known {
    fn take(&mut self, news: News, now: Timestamp) -> Vec<Change> {
        match news {
            News::Here(node) if (self.means)(&node) => self.came(&node, now).into_iter().collect(),
            News::Here(node) | News::Gone(node) => self.went(&node.name).into_iter().collect(),
            News::All(mut nodes) => {
                nodes.retain(|node| (self.means)(node));
                let there: BTreeSet<String> = nodes.iter().map(|node| node.name.clone()).collect();
                let gone: Vec<String> = self.names.iter().filter(|name| !there.contains(*name)).cloned().collect();
                let mut changes: Vec<Change> = gone.iter().filter_map(|name| self.went(name)).collect();
                changes.extend(nodes.iter().filter_map(|node| self.came(node, now)));
                changes
            }
        }
    }

    /// A node that was made since the run began is new from then on, any other (its labels may have changed) from now on; one
    /// that was read before goes on there.
    fn came(&mut self, node: &Metadata, now: Timestamp) -> Option<Change> {
        let made = Timestamp::parse_rfc3339(&node.creation_timestamp)
            .filter(|made| made.saturating_add(WHOLE_SECONDS) > self.began);
        if !self.names.insert(node.name.clone()) {
            return None;
        }
        let from = match self.remember(&node.name) {
            Some(read_to) => made.map_or(read_to, |made| made.max(read_to)),
            None => made.unwrap_or(now),
        };
        Some(Change::Came(node.name.clone(), from.min(now)))
    }

    fn forget(&mut self, name: &str, read_to: Timestamp) {
        if self.names.remove(name) {
            self.forgotten.push((name.to_owned(), read_to));
        }
    }

    /// Takes one of those that were forgotten.
    fn remember(&mut self, name: &str) -> Option<Timestamp> {
        let place = self.forgotten.iter().position(|(forgotten, _)| forgotten == name)?;
        Some(self.forgotten.swap_remove(place).1)
    }

    fn went(&mut self, name: &str) -> Option<Change> {
        self.remember(name);
        self.names.remove(name).then(|| Change::Went(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_nodes_that_are_meant_come_and_each_comes_and_goes_once() {
        let at = |seconds: i64| Timestamp::from_micros(1_700_000_000_000_000 + seconds * 1_000_000);
        let node = |name: &str, made: i64| Metadata {
            name: name.to_owned(),
            creation_timestamp: at(made).rfc3339().to_string(),
            ..Metadata::default()
        };
        let means: IsMeant = Box::new(|node| node.name.starts_with('w'));
        let names = ["w1".to_owned(), "w2".to_owned()].into();
        let mut known = Known { names, forgotten: Vec::new(), means, began: at(100) };
        let mut after = |news| known.take(news, at(200));
        let (came, went) = (
            |name: &str, from: i64| Change::Came(name.to_owned(), at(from)),
            |name: &str| Change::Went(name.to_owned()),
        );
        assert_eq!(after(News::Here(node("w1", 0))), []);
        assert_eq!(after(News::Here(node("x1", 150))), []);
        assert_eq!(after(News::Here(node("w3", 150))), [came("w3", 150)]);
        assert_eq!(after(News::Here(node("w3", 150))), []);
        // One that is older than the run, and one of a clock ahead of ours.
        assert_eq!(after(News::Here(node("w4", 50))), [came("w4", 200)]);
        assert_eq!(after(News::Here(node("w5", 250))), [came("w5", 200)]);
        assert_eq!(after(News::Gone(node("w1", 0))), [went("w1")]);
        assert_eq!(after(News::Gone(node("w1", 0))), []);
        // After a gap only the difference counts.
        let all = ["w1", "w3", "w5", "x9"].map(|name| node(name, 0));
        assert_eq!(after(News::All(all.to_vec())), [went("w2"), went("w4"), came("w1", 200)]);
        // One that was not there when it was asked comes with the next list, and goes on where it was left; one that was made
        // anew begins there.
        for (made, from) in [(0, 180), (190, 190), (120, 180)] {
            known.forget("w3", at(180));
            assert_eq!(known.take(News::Here(node("w3", made)), at(200)), [came("w3", from)]);
        }
        known.forget("w3", at(180));
        assert_eq!(known.take(News::Gone(node("w3", 0)), at(200)), []);
        assert_eq!(known.take(News::Here(node("w3", 0)), at(300)), [came("w3", 300)]);
    }
}
