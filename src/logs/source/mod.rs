//! Where a node's log can be read, and what is common to reading it.

use std::time::Duration;

use crate::clock::Clock;
use crate::kube::Client;
use crate::notice::Notices;

pub mod trail;
pub mod listing;
pub mod query;
pub mod file;
pub mod pick;

/// One node, and what is needed to read from it.
#[derive(Clone, Debug)]
pub struct Node<'a> {
    /// The API server's client.
    pub client: &'a Client,
    /// The node's name.
    pub name: &'a str,
    /// Where to say what happens.
    pub notices: &'a Notices,
    /// The clock.
    pub clock: Clock,
    /// How long the kubelet lets a query run before it kills journalctl: 30 s.
    pub server_limit: Duration,
}

/// How much of the wanted log is wanted, and how it will be used.
#[derive(Clone, Copy, Debug)]
pub struct Want {
    /// Only this many entries, the last ones.
    pub last: Option<u64>,
    /// Whether each entry needs its time.
    pub dated: bool,
    /// Whether bytes may go out as they come where nothing has to be looked at.
    pub raw: bool,
}
