//! One lane: the reading of one node, from wherever its log is, until it ends.

use std::sync::{Arc, PoisonError};

use crate::clock::Clock;
use crate::error::{Error, Kind};
use crate::kube::{Client, status};
use crate::logs::outlet::{Flow, Halt, Outlet};
use crate::logs::pace::{Pace, stays};
use crate::logs::plan::Plan;
use crate::logs::source::contact::Contact;
use crate::logs::source::local::Slot;
use crate::logs::source::pick::{self, What};
use crate::logs::source::{Machine, Node, Want};
use crate::notice::Notices;
use crate::time::Timestamp;

/// Failures in a row after which a node is given up that lacks what is asked for and has just come, or where waiting seldom
/// helps.
const LACKS: u32 = 6;

/// What lanes work with.
#[derive(Clone, Debug)]
pub struct Means {
    /// Where lanes read.
    pub origin: Origin,
    /// Where to say what happens.
    pub notices: Notices,
    /// The clock.
    pub clock: Clock,
}

/// Where lanes read.
#[derive(Clone, Debug)]
pub enum Origin {
    /// Nodes of a cluster, through its API server.
    Cluster(Arc<Client>),
    /// Logs on this machine, one a lane, until it is taken.
    Here(Arc<[Slot]>),
}

/// What becomes of nodes that can't be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Down {
    /// They fail.
    Fail,
    /// They are asked again, as long as the run lasts.
    Wait,
}

/// The reading of one node.
pub(super) struct Reading {
    pub(super) plan: Arc<Plan>,
    pub(super) means: Means,
    pub(super) number: usize,
    pub(super) name: String,
    /// From then on, where the node has joined.
    pub(super) from: Option<Timestamp>,
    pub(super) down: Down,
    /// What is wanted of its log.
    pub(super) want: Want,
    pub(super) pace: Option<Arc<Pace>>,
    pub(super) contact: Contact,
}

impl Reading {
    /// Reads it, and tells the collector how it went.
    pub(super) async fn run(self, mut outlet: Outlet) {
        outlet.begin().await;
        let notices = self.means.notices.of(&self.name);
        let waits = self.from.is_some() || self.down == Down::Wait;
        let mut waits = self.pace.as_ref().filter(|_| waits).map(|pace| pace.waits());
        let mut failures = 0;
        loop {
            let how = match self.read(&notices, &mut outlet).await {
                Ok(anything) => Ok(anything),
                Err(Halt::Stopped) => return,
                Err(Halt::Failed(error)) if outlet.has_spoken() => Err(midway(error)),
                Err(Halt::Failed(error)) => Err(error),
            };
            failures += 1;
            match (how, &mut waits) {
                (Err(error), Some(waits))
                    if !outlet.has_spoken()
                        && self.may_come(&error, failures)
                        && !is_gone(&error, Some(&self.name)) =>
                {
                    if waits.failed(&error) {
                        notices.warning(format_args!("{}: {}; trying again", self.name, error.chain()));
                        outlet.rest();
                    }
                    waits.next(self.means.clock).await;
                }
                (how, _) => return outlet.end(how),
            }
        }
    }

    /// Whether what a node lacks may still come after so many failures: one that has just come may not be up yet.
    fn may_come(&self, error: &Error, failures: u32) -> bool {
        let is_over = self.plan.filter.until.is_some_and(|until| self.means.clock.now() > until);
        !is_over
            && match error.kind() {
                Kind::Failed if stays(error) => false,
                // Somebody may have to mend it.
                Kind::Failed if error.remedy().is_some() && status::told(error).is_none() => failures < LACKS,
                Kind::Unreachable | Kind::Failed | Kind::Partial => true,
                Kind::NotFound => self.from.is_some() && failures < LACKS,
                Kind::Denied | Kind::Usage | Kind::Findings => false,
            }
    }

    async fn read(&self, notices: &Notices, outlet: &mut Outlet) -> Flow<bool> {
        let plan = &self.plan;
        let what = What {
            units: &plan.units,
            paths: &plan.paths,
            instance: plan.instance,
            boot: plan.boot.as_ref(),
            instead: plan.instead,
            anchors: plan.anchors,
            choice: plan.choice,
            decompress: plan.decompress,
        };
        let mut filter = plan.filter.clone();
        filter.joined = self.from.is_some() && !filter.has_window();
        filter.since = filter.since.max(self.from);
        match &self.means.origin {
            Origin::Cluster(client) => {
                let node = Node {
                    client,
                    name: &self.name,
                    notices,
                    clock: self.means.clock,
                    server_limit: plan.server_limit,
                    follow: self.pace.as_deref(),
                    contact: &self.contact,
                    room: outlet.room(),
                };
                pick::read(&node, what, self.want, &mut filter, outlet).await
            }
            Origin::Here(locals) => {
                let machine = Machine { name: &self.name, notices, clock: self.means.clock, room: outlet.room() };
                let local =
                    locals.get(self.number).and_then(|l| l.lock().unwrap_or_else(PoisonError::into_inner).take());
                match local {
                    Some(Ok(local)) => local.read(machine, what, self.want, &mut filter, outlet).await,
                    Some(Err(error)) => Err(error.into()),
                    None => Ok(false),
                }
            }
        }
    }
}

/// Whether the API server said that there is no such node.
pub(super) fn is_gone(error: &Error, node: Option<&String>) -> bool {
    let Some(node) = node else { return false };
    error.kind() == Kind::NotFound && error.chain().contains(&format!("nodes \"{node}\" not found"))
}

/// A failure after something was handed on: the answer is incomplete, whatever the reason.
pub(super) fn midway(error: Error) -> Error {
    match error.kind() {
        Kind::Failed | Kind::Denied | Kind::Unreachable => {
            Error::new(Kind::Partial, "the rest could not be read").because(error)
        }
        _ => error,
    }
}
