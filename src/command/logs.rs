//! `logs NODE…`: prints nodes' logs.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::args::{Format as Said, Input, Options};
use crate::command::{Cluster, Context, Outcome, out_of_time};
use crate::error::{Doing, Error, Kind, Result};
use crate::format::digest::Table;
use crate::format::document::{About, Content, Document, Notation};
use crate::format::jsonl::Jsonl;
use crate::format::mask::Mask;
use crate::format::text::{Names, Style, Text};
use crate::format::{Format, Shown, color};
use crate::interrupt::Closing;
use crate::logs::collect::{Down, End, Lanes, Means, Order, Progress, Step, Then, Until, Use, collect};
use crate::logs::plan::{Plan, plan};
use crate::logs::unit::KUBELET;
use crate::notice::Notices;
use crate::output::Output;
use crate::output::file::Late;

mod choose;
mod tally;

use choose::{Found, look, most_followed, shard};
use tally::{FILES, Tally, amount};

/// Nodes read at the same time unless said.
const AT_ONCE: usize = 64;
/// Entries that mostly fit into what may wait of a node.
const MOST_AT_ONCE: u64 = 50;

/// Reads and prints.
pub async fn run(options: &Options, context: &mut Context, output: &mut Output) -> Result<Outcome> {
    // What was said is checked before anything is connected.
    let plan = plan(options, context.clock, &context.notices)?;
    let deadline = options.timeout.map(|limit| context.clock.instant() + limit);
    let cluster = match options.from.is_empty() {
        true => match context.cluster(options).await? {
            Ok(cluster) => Some(cluster),
            Err(ended) => return Ok(ended),
        },
        false => None,
    };
    let mut file = match &options.write {
        Some(path) => Some(file(path, options, context)?),
        None => None,
    };
    let output = file.as_mut().unwrap_or(output);
    let single = options.nodes.one().is_some() || options.from.len() == 1;
    let notices = if single { context.notices.clone() } else { context.notices.gathering() };
    let ended = read(options, cluster.as_ref(), plan, context, &notices, output, deadline).await;
    notices.status("");
    notices.tell_gathered();
    let written = file.map_or(Ok(()), |mut file| {
        if matches!(ended, Ok(Outcome::DONE)) {
            file.settle_empty();
        }
        file.finish()
    });
    ended.and_then(|outcome| written.map(|()| outcome))
}

/// The file of `-w`.
fn file(path: &Path, options: &Options, context: &Context) -> Result<Output> {
    let mut name = path.to_string_lossy().into_owned();
    if name.contains(SHARD) {
        let (index, _) = shard(options, context)?.ok_or_else(|| {
            Error::usage(format!("{SHARD} in the name of --write, and no --shard")).hint("add --shard I/N")
        })?;
        name = name.replace(SHARD, &index.to_string());
    }
    if let Some(unknown) = find_braced(&name) {
        return Err(Error::usage(format!("{unknown} in the name of --write stands for nothing"))
            .hint(format!("{SHARD} is the number of a --shard; there is no other")));
    }
    let path = if name == path.to_string_lossy() { path.to_owned() } else { name.into() };
    let shown = path.display().to_string();
    if options.from.iter().any(|input| holds(input, &path)) {
        return Err(Error::usage(format!("--write {shown} would overwrite what --from reads"))
            .hint("write to a file elsewhere"));
    }
    let file = Late::new(path).doing(Kind::Failed, || format!("writing {shown}"))?;
    Ok(Output::new(Box::new(file), false).named(shown))
}

/// Whether a file that is there belongs to an input.
fn holds(input: &Input, file: &Path) -> bool {
    let Input::Path(input) = input else { return false };
    match (input.canonicalize(), file.canonicalize()) {
        (Ok(input), Ok(file)) => file.starts_with(input),
        _ => false,
    }
}

/// What looks like the name of something, in braces.
fn find_braced(name: &str) -> Option<&str> {
    let from = name.find('{')?;
    let rest = name.get(from..)?;
    let inside = rest.get(1..rest.find('}')?)?;
    let is_word = !inside.is_empty() && inside.bytes().all(|b| b.is_ascii_lowercase());
    if is_word { rest.get(..inside.len() + 2) } else { find_braced(rest.get(1..)?) }
}

/// What stands for the shard's number in the name of a file.
const SHARD: &str = "{shard}";

async fn read(
    options: &Options,
    cluster: Option<&Cluster>,
    mut plan: Plan,
    context: &mut Context,
    notices: &Notices,
    output: &mut Output,
    deadline: Option<Instant>,
) -> Result<Outcome> {
    let clock = context.clock;
    let mut interrupt = context.interrupt.clone();
    let (Found { nodes, unknown, roster }, origin) = tokio::select! {
        biased;
        signal = interrupt.signal() => return Ok(Outcome { exit: signal.exit_code() }),
        () = clock.until(deadline) => return Err(out_of_time(options.timeout.unwrap_or_default())),
        found = look(options, cluster, &mut plan, context) => found?,
    };
    let single = options.nodes.one().is_some() || options.from.len() == 1;
    let several = nodes.len() > 1 || roster.is_some();
    let document = matches!(options.format, Said::Json | Said::Yaml);
    let order = match options.format {
        // A table is no log.
        _ if options.list_boots => Order::Sequential,
        Said::Digest => Order::Any,
        // Parts of one log, perhaps.
        _ if cluster.is_none() => Order::Sequential,
        _ if options.follow && !options.merge && several => Order::Any,
        _ if options.merge && several && !document => Order::Merged,
        _ => Order::Sequential,
    };
    let parted = matches!(options.format, Said::Jsonl | Said::Digest);
    let text = options.format == Said::Text;
    let names = match (text, options.prefix, order) {
        (true, Some(true), _) | (true, None, Order::Merged | Order::Any) => Names::Prefix,
        (true, None, Order::Sequential) if !single && nodes.len() > 1 && cluster.is_some() => Names::Header,
        _ => Names::Untold,
    };
    let timestamps = (options.timestamps && (text || document)).then(|| options.zone().clone());
    let usage = Use {
        dated: timestamps.is_some() || parted,
        fields: !text,
        raw: !options.redact
            && timestamps.is_none()
            && options.limit_bytes.is_none()
            && !parted
            && order == Order::Sequential
            && names != Names::Prefix
            && !(output.is_terminal() && text),
        order,
        at_once: options.max_concurrency.unwrap_or(match order {
            // Nothing can be printed before each has said something; of a few entries each says all at once.
            Order::Merged if plan.last.is_none_or(|last| last > MOST_AT_ONCE) => usize::MAX,
            _ if options.follow => usize::MAX,
            _ => AT_ONCE,
        }),
        tick: (notices.has_screen() && !options.follow).then_some(STATUS),
    };
    let style = Style {
        timestamps,
        names,
        color: text && color::wanted(options.color, output.is_terminal(), &context.env),
        raw: !text,
    };
    let on_terminal = output.is_terminal();
    let plan = Arc::new(plan);
    let means = Means { origin, notices: notices.clone(), clock };
    let (began, started) = (clock.now(), clock.instant());
    let shown = match options.format {
        Said::Jsonl if options.list_boots => Shown::Jsonl(Jsonl::of_objects(output, &nodes)),
        Said::Text | Said::Raw => Shown::Text(Text::new(output, &nodes, style)),
        Said::Jsonl => {
            // What was asked for: a distribution's kubelet is its kubelet, whatever unit runs it. A file may hold anybody's log.
            let unit = match (&*plan.units, &*plan.paths) {
                ([unit], _) => Some(unit.clone()),
                ([], []) if !options.dmesg && options.from.is_empty() => Some(KUBELET.to_owned()),
                _ => None,
            };
            Shown::Jsonl(Jsonl::new(output, &nodes, unit))
        }
        Said::Digest => Shown::Digest(Table::new(output, &nodes)),
        Said::Json | Said::Yaml => {
            let notation = if options.format == Said::Json { Notation::Json } else { Notation::Yaml };
            let about = if single { About::Single } else { About::Several };
            let content = if options.list_boots { Content::Boots } else { Content::Log };
            Shown::Document(Document::new(output, &nodes, style, (notation, content), about, began))
        }
    };
    let mut format = Format::new(shown, options.limit_bytes);
    let mut tally = Tally::new(if cluster.is_some() { "nodes" } else { FILES }, &nodes);
    let mut mask = if options.redact { Mask::new(nodes.len()) } else { Mask::default() };
    let down = if options.follow && several && !options.fail_fast { Down::Wait } else { Down::Fail };
    let lanes = Lanes { nodes: nodes.clone(), unknown, roster, most: most_followed(options), down };
    let mut shows_status = usage.tick.is_some();
    // A file is never closed from outside.
    let closing = if options.write.is_some() { &Closing::default() } else { &context.closing };
    let until = Until { interrupt: &mut context.interrupt, deadline, closing };
    let end = collect(&plan, lanes, usage, &means, until, |step| {
        let flow = match step {
            Step::Joined(_, name) => {
                format.joined(name);
                tally.joined(name);
                return Then::GoOn;
            }
            Step::Event(node, event) => {
                if on_terminal && shows_status {
                    // What is printed there shows by itself that something happens.
                    notices.status("");
                    shows_status = false;
                }
                tally.heard(node, event.bytes());
                mask.event(node, event);
                let flow = format.event(node, event);
                if flow.is_continue() && format.is_cut(node) {
                    return Then::EndLane;
                }
                flow
            }
            Step::Ended(node, how) => {
                let failed = how.is_err();
                let flow = format.ended(node, how.as_ref().map(|_| ()));
                tally.count(node, how);
                if options.follow && !single {
                    tally.tell(notices);
                }
                if failed && options.fail_fast && flow.is_continue() {
                    return Then::Enough;
                }
                flow
            }
            Step::Unfinished(node) => {
                tally.unfinished.push(node);
                let why = match options.timeout {
                    Some(limit) if deadline.is_some_and(|at| at <= clock.instant()) => out_of_time(limit),
                    _ => Error::new(Kind::Partial, "the run ended before the log did"),
                };
                format.ended(node, Err(&why))
            }
            Step::Idle(progress) => {
                let so_far = clock.instant().saturating_duration_since(started);
                if shows_status && so_far >= STATUS_AFTER {
                    notices.status(&status(progress, tally.nodes.len(), so_far));
                }
                format.flush()
            }
        };
        if flow.is_break() { Then::Stop } else { Then::GoOn }
    })
    .await;
    let took = clock.instant().saturating_duration_since(started);
    let cut = format.finish(took);
    let flushed = output.flush();
    // A table is counted by what it tells of.
    tally.printed = (options.format != Said::Digest).then(|| output.written());
    notices.status("");
    if matches!(flushed, ControlFlow::Continue(())) && !matches!(end, End::Interrupted(_)) {
        for (node, printed) in cut {
            let node = tally.nodes.get(node).map_or("", String::as_str);
            notices.of(node).note(format_args!("{node}: stopped after {printed} bytes (--limit-bytes)"));
        }
    }
    notices.tell_gathered();
    if let End::Interrupted(signal) = end {
        if !single {
            tally.tell(notices);
            tally.warn_of_unread(notices, "interrupted");
            tally.sum_up(notices, took);
        }
        return Ok(Outcome { exit: signal.exit_code() });
    }
    if matches!(end, End::Done) && tally.anything == 0 && tally.failures.is_empty() && plan.last != Some(0) {
        let (since, until) = (plan.filter.since, plan.filter.until);
        let from = since.map(|at| format!(" from {}", at.rfc3339())).unwrap_or_default();
        let to = until.map(|at| format!(" up to {}", at.rfc3339())).unwrap_or_default();
        let place = if let [node] = &*nodes { node.clone() } else { format!("{} {}", nodes.len(), tally.of) };
        let empty = if !options.from.is_empty() && is_empty(&options.from) { ": it is empty" } else { "" };
        notices.note(format_args!("{place}: nothing matched{from}{to}{empty}"));
    }
    if matches!(end, End::OutOfTime) {
        return tally.out_of_time(options, single, notices, took);
    }
    if options.fail_fast && !single {
        tally.tell(notices);
        tally.warn_of_unread(notices, "stopped by --fail-fast");
    }
    tally.outcome(single, notices, took)
}

/// Whether these are files without anything in them.
fn is_empty(inputs: &[Input]) -> bool {
    inputs.iter().all(|input| match input {
        Input::Path(path) => path.metadata().is_ok_and(|file| file.is_file() && file.len() == 0),
        Input::Stdin => false,
    })
}

/// How often the status is written anew, and from when on.
const STATUS: Duration = Duration::from_millis(250);
const STATUS_AFTER: Duration = Duration::from_secs(1);

/// How far the reading of so many nodes is.
fn status(progress: Progress, nodes: usize, took: Duration) -> String {
    let Progress { ended, failed, bytes, .. } = progress;
    let nodes = match nodes {
        1 => String::new(),
        _ => {
            let (done, left) = (ended - failed, nodes.saturating_sub(ended));
            format!("{done} node{} done, {failed} failed, {left} left; ", if done == 1 { "" } else { "s" })
        }
    };
    let rate = (bytes as f64 / took.as_secs_f64().max(0.001)) as u64;
    format!("{nodes}{}, {}/s", amount(bytes), amount(rate))
}
