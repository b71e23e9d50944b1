//! The nodes of the cluster as they come, change and go, and what a watch tells of it.

use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use hyper::StatusCode;
use tokio::sync::{mpsc, watch};

use super::body::{Answer, Channel, answer};
use super::objects::{Member, quote};
use super::selector::Requirement;

/// The first version of a cluster: that of the recorded lists.
const FIRST: u64 = 1924;

/// The nodes, and what has happened to them.
#[derive(Debug)]
pub(crate) struct Members {
    state: Mutex<State>,
    /// The version of now, and how often watches were ended.
    now: watch::Sender<(u64, u64)>,
}

#[derive(Debug)]
struct State {
    /// Sorted by name.
    nodes: Vec<Arc<Member>>,
    version: u64,
    /// What happened, oldest first, each with the version it made.
    events: Vec<Event>,
    /// From which version on events are known.
    known_from: u64,
}

#[derive(Clone, Debug)]
struct Event {
    version: u64,
    before: Option<Arc<Member>>,
    after: Option<Arc<Member>>,
}

/// Which nodes a list or watch is about.
pub(crate) struct Selection {
    pub(crate) labels: Vec<Requirement>,
    /// Name, whether it must equal, value.
    pub(crate) fields: Vec<(String, bool, String)>,
}

impl Selection {
    pub(crate) fn admits(&self, member: &Member) -> bool {
        self.labels.iter().all(|requirement| requirement.admits(&member.labels))
            && self.fields.iter().all(|(field, equal, value)| {
                let actual = if field == "metadata.name" { member.name.as_str() } else { "false" };
                (actual == value) == *equal
            })
    }
}

impl Members {
    pub(crate) fn new(mut nodes: Vec<Arc<Member>>) -> Members {
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        let state = State { nodes, version: FIRST, events: Vec::new(), known_from: FIRST };
        Members { state: Mutex::new(state), now: watch::channel((FIRST, 0)).0 }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while looking at nodes")
    }

    /// All of them, sorted by name, and the version of that.
    pub(crate) fn all(&self) -> (Vec<Arc<Member>>, u64) {
        let state = self.state();
        (state.nodes.clone(), state.version)
    }

    pub(crate) fn named(&self, name: &str) -> Option<Arc<Member>> {
        self.state().nodes.iter().find(|member| member.name == name).cloned()
    }

    /// Puts a node there, in place of one of the same name; without a node that one goes.
    pub(crate) fn put(&self, name: &str, after: Option<Member>) {
        let mut state = self.state();
        state.version += 1;
        let after = after.map(|member| Arc::new(Member { version: state.version, ..member }));
        let at = state.nodes.binary_search_by(|member| member.name.as_str().cmp(name));
        let before = match (at, &after) {
            (Ok(at), Some(after)) => Some(std::mem::replace(&mut state.nodes[at], Arc::clone(after))),
            (Ok(at), None) => Some(state.nodes.remove(at)),
            (Err(at), Some(after)) => {
                state.nodes.insert(at, Arc::clone(after));
                None
            }
            (Err(_), None) => panic!("{name} is no node of this cluster"),
        };
        let version = state.version;
        state.events.push(Event { version, before, after });
        self.now.send_modify(|now| now.0 = version);
    }

    /// Forgets what has happened so far, and lets nobody go on from before.
    pub(crate) fn forget(&self) {
        let mut state = self.state();
        state.version += 1;
        state.known_from = state.version;
        state.events.clear();
    }

    /// Ends all watches in order, as a server does that stops.
    pub(crate) fn end_watches(&self) {
        self.now.send_modify(|now| now.1 += 1);
    }

    /// Tells of every change after `from`, until the time is over or all watches are ended.
    pub(crate) fn watch(self: &Arc<Self>, from: u64, selection: Selection, seconds: u64, bookmarks: bool) -> Answer {
        if from < self.state().known_from {
            let current = self.state().version;
            let message = quote(&format!("too old resource version: {from} ({current})"));
            let error = format!(
                "{{\"type\":\"ERROR\",\"object\":{{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{{}},\"status\":\"Failure\",\"message\":{message},\"reason\":\"Expired\",\"code\":410}}}}\n"
            );
            return answer(StatusCode::OK, "application/json", error);
        }
        let (sender, events) = mpsc::channel(64);
        let members = Arc::clone(self);
        let mut now = self.now.subscribe();
        let ended = now.borrow().1;
        tokio::spawn(async move {
            let mut told = from;
            let over = tokio::time::sleep(std::time::Duration::from_secs(seconds));
            tokio::pin!(over);
            loop {
                let news: Vec<Event> =
                    members.state().events.iter().filter(|event| event.version > told).cloned().collect();
                let mut lines: Vec<String> = news.iter().filter_map(|event| event.line(&selection)).collect();
                if let Some(last) = news.last() {
                    told = last.version;
                    // What happened to others is told as how far the server is; at real ones within a minute.
                    if lines.is_empty() && bookmarks {
                        lines.push(bookmark(told));
                    }
                }
                for line in lines {
                    if sender.send(Ok(Bytes::from(line))).await.is_err() {
                        return;
                    }
                }
                tokio::select! {
                    changed = now.changed() => {
                        if changed.is_err() || now.borrow().1 != ended {
                            return;
                        }
                    }
                    () = &mut over => break,
                    () = sender.closed() => return,
                }
            }
            if bookmarks {
                let _: Result<(), _> = sender.send(Ok(Bytes::from(bookmark(told)))).await;
            }
        });
        let mut watching = answer(StatusCode::OK, "application/json", "");
        watching.headers_mut().remove("content-length");
        watching.map(|_| Channel::body(events))
    }
}

impl Event {
    /// As it is told to those who watch a selection: what does not match any more is deleted for them.
    fn line(&self, selection: &Selection) -> Option<String> {
        let matching = |member: &Option<Arc<Member>>| member.clone().filter(|member| selection.admits(member));
        let (kind, object) = match (matching(&self.before), matching(&self.after)) {
            (None, None) => return None,
            (None, Some(after)) => ("ADDED", after),
            (Some(_), Some(after)) => ("MODIFIED", after),
            (Some(before), None) => ("DELETED", self.after.clone().unwrap_or(before)),
        };
        let object = Member { version: self.version, ..(*object).clone() };
        let object = format!("{{\"kind\":\"Node\",\"apiVersion\":\"v1\",{}", &object.json()[1..]);
        Some(format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n"))
    }
}

/// What tells a watch of a quiet list how far the server is.
fn bookmark(version: u64) -> String {
    let empty = r#""spec":{},"status":{"daemonEndpoints":{"kubeletEndpoint":{"Port":0}},"nodeInfo":{"machineID":"","systemUUID":"","bootID":"","kernelVersion":"","osImage":"","containerRuntimeVersion":"","kubeletVersion":"","kubeProxyVersion":"","operatingSystem":"","architecture":""}}"#;
    let object = format!(r#"{{"kind":"Node","apiVersion":"v1","metadata":{{"resourceVersion":"{version}"}},{empty}}}"#);
    format!("{{\"type\":\"BOOKMARK\",\"object\":{object}}}\n")
}
