//! `ls NODE[:DIR]`: lists what can be read on a node: files under its /var/log, and what its journal holds.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::args::Options;
use crate::command::{Context, Outcome, out_of_time};
use crate::error::{Error, Result};
use crate::http::{ByteRange, Request};
use crate::kube::{Client, path};
use crate::logs::outlet::Halt;
use crate::logs::plan::SERVER_LIMIT;
use crate::logs::source::contact::Contact;
use crate::logs::source::file::modified;
use crate::logs::source::journal::{self, Span, Unit};
use crate::logs::source::listing::Entry;
use crate::logs::source::{Node, pick};
use crate::output::Output;
use crate::sanitize;
use crate::time::Timestamp;

/// With more entries than this, sizes are asked for only with `--long`: each costs a request.
const MOST_SIZES: usize = 200;
/// Requests at a time.
const AT_ONCE: usize = 8;
/// Units of each of the journal's files that are looked for beside the well-known, and for how long.
const MOST_UNITS: (usize, Duration) = (200, Duration::from_secs(2));
/// Where the journal is.
const JOURNAL: &str = "journal";

/// Lists and prints.
pub async fn run(options: &Options, context: &mut Context, output: &mut Output) -> Result<Outcome> {
    let cluster = match context.cluster(options).await? {
        Ok(cluster) => cluster,
        Err(ended) => return Ok(ended),
    };
    let node = options.operands.first().map(String::as_str).unwrap_or_default();
    let directory = options.operands.get(1).map(String::as_str).unwrap_or_default();
    let (clock, mut interrupt) = (context.clock, context.interrupt.clone());
    let work = list(options, context, &cluster.client, node, directory, output);
    let ended = tokio::select! {
        biased;
        signal = interrupt.signal() => return Ok(Outcome { exit: signal.exit_code() }),
        ended = clock.within(options.timeout, work) => ended,
    };
    match ended {
        Some(outcome) => outcome.map_err(|error| error.within(node)),
        None => Err(out_of_time(options.timeout.unwrap_or_default())),
    }
}

async fn list(
    options: &Options,
    context: &Context,
    client: &Arc<Client>,
    name: &str,
    directory: &str,
    output: &mut Output,
) -> Result<Outcome> {
    let contact = Contact::default();
    let node = Node {
        client,
        name,
        notices: &context.notices,
        clock: context.clock,
        server_limit: SERVER_LIMIT,
        follow: None,
        contact: &contact,
        room: usize::MAX,
    };
    let entries = pick::list(&node, directory).await.map_err(|halt| match halt {
        Halt::Failed(error) => error,
        Halt::Stopped => Error::new(crate::error::Kind::Failed, "stopped"),
    })?;
    let files = entries.iter().filter(|entry| !entry.directory).count();
    let sizes = async {
        if files <= MOST_SIZES || options.long {
            return facts(client, name, directory, &entries).await;
        }
        context.notices.note(format_args!("{files} files; their sizes are asked for with --long"));
        vec![Fact::Unknown; entries.len()]
    };
    let journal = async {
        let there = directory.is_empty() && entries.iter().any(|entry| entry.directory && entry.name == JOURNAL);
        if there { look_into_journal(&node).await } else { None }
    };
    let (facts, journal) = tokio::join!(sizes, journal);
    if journal.is_some() && output.text("Files under /var/log, for --path:\n").is_break() {
        return Ok(Outcome::DONE);
    }
    for (entry, fact) in entries.iter().zip(&facts) {
        let slash = if entry.directory || *fact == Fact::Directory { "/" } else { "" };
        let (size, time) = match fact {
            Fact::File { size, modified } => (size.to_string(), modified.map_or_else(|| "-".into(), second)),
            Fact::Directory | Fact::Unknown => ("-".to_owned(), "-".to_owned()),
        };
        // One entry a line, whatever its name holds.
        let name = sanitize::text(&entry.name).replace('\t', "\\t");
        if output.text(&format!("{size:>12}  {time:<20}  {name}{slash}\n")).is_break() {
            return Ok(Outcome::DONE);
        }
    }
    let tells_units = journal.is_some();
    if let Some(journal) = journal {
        let _ = output.text(&shown(&journal));
    }
    if entries.is_empty() {
        context.notices.note(format_args!("/var/log/{directory} is empty"));
    } else if directory.is_empty() && !tells_units {
        context.notices.note(format_args!(
            "{name}: no journal can be read here, so its units and boots are not listed; where the kubelet's query is on, -u \
             and -b read them all the same"
        ));
    }
    Ok(Outcome::DONE)
}

/// What the journal holds.
struct Journal {
    units: Vec<Unit>,
    boots: Vec<Span>,
}

/// Looks what the node's journal holds; without one, or where it can't be read, there is nothing to show.
async fn look_into_journal(node: &Node<'_>) -> Option<Journal> {
    let looked = async {
        let mut remote = match journal::find(node).await? {
            Ok(remote) => remote,
            Err(missing) => {
                node.notices.verbose(4, || format!("{}: {}", node.name, missing.words()));
                return Ok(None);
            }
        };
        let boots = remote.boots().await?;
        let mut units = remote.common_units().await?;
        let (most, limit) = MOST_UNITS;
        match node.clock.within(Some(limit), remote.newest_units(most)).await {
            Some(found) => units.extend(found?),
            None => {
                let words = "its journal is slow to read, so only well-known units are shown; --unit reads any";
                node.notices.note(format_args!("{}: {words}", node.name));
            }
        }
        Ok(Some(Journal { units: journal::by_name(units), boots }))
    };
    match looked.await {
        Ok(journal) => journal,
        Err(Halt::Failed(error)) => {
            let name = node.name;
            node.notices.note(format_args!("{name}: what its journal holds could not be read: {}", error.chain()));
            None
        }
        Err(Halt::Stopped) => None,
    }
}

fn shown(journal: &Journal) -> String {
    let mut text = "\nUnits in the journal, for --unit: entries, and when the last was written\n".to_owned();
    for Unit { name, entries, last } in &journal.units {
        let name = sanitize::text(name).replace('\t', "\\t");
        text.push_str(&format!("{entries:>12}  {:<20}  {name}\n", second(*last)));
    }
    text.push_str("\nBoots in the journal, for --boot:\n");
    text.push_str(&journal::table(&journal.boots));
    text
}

/// RFC 3339 to the second.
fn second(at: Timestamp) -> String {
    at.rfc3339().to_string().get(..19).map_or_else(|| "-".into(), |text| format!("{text}Z"))
}

/// What one byte of a file tells about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fact {
    File {
        size: u64,
        modified: Option<Timestamp>,
    },
    /// A link to one, or one.
    Directory,
    Unknown,
}

/// Asks for one byte of each file, a few files at a time.
async fn facts(client: &Arc<Client>, node: &str, directory: &str, entries: &[Entry]) -> Vec<Fact> {
    let mut facts: Vec<Fact> =
        entries.iter().map(|entry| if entry.directory { Fact::Directory } else { Fact::Unknown }).collect();
    let mut waiting: VecDeque<usize> =
        (0..entries.len()).filter(|n| !entries.get(*n).is_none_or(|e| e.directory)).collect();
    let mut asked = JoinSet::new();
    loop {
        while asked.len() < AT_ONCE
            && let Some(n) = waiting.pop_front()
        {
            let name = entries.get(n).map(|entry| entry.name.clone()).unwrap_or_default();
            let file = if directory.is_empty() { name } else { format!("{}/{name}", directory.trim_end_matches('/')) };
            let request = Request::get(path::logs_file(node, &file)).range(ByteRange::Span(0, 0));
            let client = Arc::clone(client);
            asked.spawn(async move { (n, fact(&client, request).await) });
        }
        match asked.join_next().await {
            None => return facts,
            Some(Ok((n, fact))) => {
                if let Some(place) = facts.get_mut(n) {
                    *place = fact;
                }
            }
            Some(Err(_)) => {}
        }
    }
}

async fn fact(client: &Client, request: Request) -> Fact {
    let Ok(answer) = client.get(request).await else { return Fact::Unknown };
    match answer.status {
        206 => {
            let total = answer.header("content-range").and_then(|range| range.rsplit_once('/')?.1.parse().ok());
            total.map_or(Fact::Unknown, |size| Fact::File { size, modified: modified(&answer) })
        }
        // An empty file: from 1.36 on 200, before 416.
        200 if answer.header("content-length") == Some("0") => Fact::File { size: 0, modified: modified(&answer) },
        416 => Fact::File { size: 0, modified: modified(&answer) },
        301 | 302 | 307 | 308 => Fact::Directory,
        _ => Fact::Unknown,
    }
}
