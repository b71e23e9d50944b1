//! Where a node's log can be read, and what is common to reading it.

use std::time::Duration;

use crate::clock::Clock;
use crate::error::{Error, Kind, Result};
use crate::http::{Request, Response};
use crate::kube::{Client, status};
use crate::logs::filter::Filter;
use crate::logs::outlet::Flow;
use crate::logs::pace::Pace;
use crate::notice::Notices;

use contact::Contact;

pub mod contact;
pub mod trail;
pub mod listing;
pub mod query;
pub mod home;
pub mod file;
pub mod rotation;
pub mod rotated;
pub mod text;
pub mod journal;
pub mod anchor;
mod watch;
pub mod pick;
pub mod local;

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
    /// At which pace its log is followed, once it was read to its end.
    pub follow: Option<&'a Pace>,
    /// What its answers are, and what they have told.
    pub contact: &'a Contact,
    /// Bytes of its log that may be held at a time.
    pub room: usize,
}

/// A machine whose log is read, as far as it takes to speak of it.
#[derive(Clone, Copy, Debug)]
pub struct Machine<'a> {
    /// Its name.
    pub name: &'a str,
    /// Where to say what happens.
    pub notices: &'a Notices,
    /// The clock.
    pub clock: Clock,
    /// Bytes of its log that may be held at a time.
    pub room: usize,
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
    /// Whether more is wanted of an entry than its text and its time.
    pub fields: bool,
}

/// The newest entries that are wanted of a log, which are held until it is known that they are those.
#[derive(Debug)]
struct Latest<'f> {
    /// How many.
    count: u64,
    want: Want,
    filter: &'f mut Filter,
    /// How many bytes of them may be held.
    room: usize,
}

impl<'a> Node<'a> {
    /// The same, without the way to it.
    pub fn machine(&self) -> Machine<'a> {
        Machine { name: self.name, notices: self.notices, clock: self.clock, room: self.room }
    }

    /// Asks the node. Its answer may pause for as long as a query may last, and half as long again: then it is broken.
    async fn get(&self, request: Request) -> Result<Response> {
        let mut answer = self.client.get(request).await?;
        answer.body.limit_silence(self.server_limit + self.server_limit / 2);
        self.contact.answered(self.machine(), &answer);
        Ok(answer)
    }
}

/// Lets a page through that is a listing; one of a proxy on the way is an error.
async fn expect_listing(mut answer: Response) -> Result<Response> {
    let head = answer.body.beginning(512).await;
    let begins = listing::begins(&head);
    answer.body.unread(head);
    if begins { Ok(answer) } else { Err(status::error_of(answer).await) }
}

/// A 200 answer that no kubelet gives to a query.
fn no_kubelets(content_type: &str) -> Error {
    let what = if content_type.is_empty() { "without a content type" } else { content_type };
    Error::new(Kind::Failed, format!("the answer is none of a kubelet's: 200 OK, {what}"))
        .hint("is there a proxy or a login page on the way? -v 8 shows the answer's head")
}

/// Whether an answer comes from the kubelet's file server: that one dates everything it serves.
fn is_file_servers(answer: &Response) -> bool {
    answer.header("last-modified").is_some() || answer.header("accept-ranges").is_some()
}

/// What stands at /var/log/journal where the file server does not.
const JOURNAL_FOLDER: &str = "which this kubelet answers with all of its journal, as OpenShift's do";

/// A window over entries without times would silently drop all of them, or none.
fn check_time_was_seen(filter: &Filter, log: &str) -> Flow<()> {
    if filter.joined || !filter.has_window() || filter.saw_time || !filter.saw_entry {
        return Ok(());
    }
    let words = format!("no line of {log} begins with a time that can be read, so a time window can't be applied");
    Err(Error::new(Kind::Usage, words).hint("leave --since and --until out, or use --grep").into())
}

/// A severity filter over lines that show no severity would silently drop everything.
fn check_severity_was_seen(filter: &Filter) -> Flow<()> {
    if filter.severity.is_none() || filter.tells_severities() {
        return Ok(());
    }
    let read = if filter.has_window() { " that was read" } else { "" };
    let words = format!("no line{read} begins with a klog header, so --priority can't be answered");
    Err(Error::usage(words).hint("leave --priority out, or use --grep").into())
}
