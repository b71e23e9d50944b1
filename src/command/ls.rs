//! `ls NODE[:DIR]`: lists what can be read under the node's /var/log.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::args::Options;
use crate::command::{Context, Outcome, out_of_time};
use crate::error::{Error, Result};
use crate::http::{ByteRange, Request};
use crate::kube::{Client, path};
use crate::logs::outlet::Halt;
use crate::logs::plan::SERVER_LIMIT;
use crate::logs::source::file::modified;
use crate::logs::source::listing::Entry;
use crate::logs::source::{Node, pick};
use crate::output::Output;
use crate::sanitize;
use crate::time::Timestamp;

/// With more entries than this, sizes are asked for only with `--long`: each costs a request.
const MOST_SIZES: usize = 200;
/// Requests at a time.
const AT_ONCE: usize = 8;

/// Lists and prints.
pub async fn run(options: &Options, context: &mut Context, output: &mut Output) -> Result<Outcome> {
    let cluster = context.cluster(options)?;
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
    let node = Node {
        client,
        name,
        notices: &context.notices,
        clock: context.clock,
        server_limit: SERVER_LIMIT,
        follow: None,
    };
    let entries = pick::list(&node, directory).await.map_err(|halt| match halt {
        Halt::Failed(error) => error,
        Halt::Stopped => Error::new(crate::error::Kind::Failed, "stopped"),
    })?;
    let files = entries.iter().filter(|entry| !entry.directory).count();
    let facts = if files <= MOST_SIZES || options.long {
        facts(client, name, directory, &entries).await
    } else {
        context.notices.note(format_args!("{files} files; their sizes are asked for with --long"));
        vec![Fact::Unknown; entries.len()]
    };
    for (entry, fact) in entries.iter().zip(&facts) {
        let slash = if entry.directory || *fact == Fact::Directory { "/" } else { "" };
        let (size, time) = match fact {
            Fact::File { size, modified } => {
                let time = modified.and_then(|at| at.rfc3339().to_string().get(..19).map(|text| format!("{text}Z")));
                (size.to_string(), time.unwrap_or_else(|| "-".into()))
            }
            Fact::Directory | Fact::Unknown => ("-".to_owned(), "-".to_owned()),
        };
        // One entry a line, whatever its name holds.
        let name = sanitize::text(&entry.name).replace('\t', "\\t");
        if output.text(&format!("{size:>12}  {time:<20}  {name}{slash}\n")).is_break() {
            break;
        }
    }
    if entries.is_empty() {
        context.notices.note(format_args!("/var/log/{directory} is empty"));
    }
    Ok(Outcome::DONE)
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
