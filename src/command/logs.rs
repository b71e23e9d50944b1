//! `logs NODE…`: prints nodes' logs.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::args::nodes::in_shard;
use crate::args::{Format as Said, Input, Nodes, Options, PodName};
use crate::command::{Cluster, Context, Outcome, out_of_time};
use crate::error::{Doing, Error, Kind, Result};
use crate::format::digest::Table;
use crate::format::document::{About, Document, Notation};
use crate::format::jsonl::Jsonl;
use crate::format::mask::Mask;
use crate::format::text::{Names, Style, Text};
use crate::format::{Format, color};
use crate::interrupt::Closing;
use crate::kube::node::Metadata;
use crate::kube::{Client, node, pod};
use crate::logs::collect::{Down, End, Lanes, Means, Order, Origin, Progress, Step, Then, Until, Use, collect};
use crate::logs::plan::{Plan, plan};
use crate::logs::pod::PodLines;
use crate::logs::roster::Roster;
use crate::logs::source::local::{self, Local, Unpack};
use crate::logs::unit::KUBELET;
use crate::notice::Notices;
use crate::output::Output;
use crate::output::file::Late;
use crate::time::go_duration;

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
    if let Some(unknown) = placeholder(&name) {
        return Err(Error::usage(format!("{unknown} in the name of --write stands for nothing"))
            .hint(format!("{SHARD} is the number of a --shard; there is no other")));
    }
    let path = if name == path.to_string_lossy() { path.to_owned() } else { name.into() };
    let shown = path.display().to_string();
    let file = Late::new(path).doing(Kind::Failed, || format!("writing {shown}"))?;
    Ok(Output::new(Box::new(file), false).named(shown))
}

/// What looks like the name of something, in braces.
fn placeholder(name: &str) -> Option<&str> {
    let from = name.find('{')?;
    let rest = name.get(from..)?;
    let inside = rest.get(1..rest.find('}')?)?;
    let is_word = !inside.is_empty() && inside.bytes().all(|b| b.is_ascii_lowercase());
    if is_word { rest.get(..inside.len() + 2) } else { placeholder(rest.get(1..)?) }
}

/// What stands for the shard's number in the name of a file.
const SHARD: &str = "{shard}";

/// Which shard of how many, where one was asked for.
fn shard(options: &Options, context: &Context) -> Result<Option<(u32, u32)>> {
    const INDEX: &str = "JOB_COMPLETION_INDEX";
    let Some(shard) = options.shard else { return Ok(None) };
    let index = match shard.index {
        Some(index) => index,
        None => {
            let said = context.env.text(INDEX).and_then(|index| index.parse().ok()).filter(|index| *index < shard.of);
            said.ok_or_else(|| {
                Error::usage(format!("--shard {} says not which, and {INDEX} is no number below it", shard.of))
                    .hint("give I/N, or run in an Indexed Job of that many completions")
            })?
        }
    };
    Ok(Some((index, shard.of)))
}

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
    let timestamps = (options.timestamps && (text || document)).then(|| options.timezone.clone());
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
        limit: options.limit_bytes,
        names,
        color: text && color::wanted(options.color, output.is_terminal(), &context.env),
        raw: !text,
    };
    let on_terminal = output.is_terminal();
    let plan = Arc::new(plan);
    let means = Means { origin, notices: notices.clone(), clock };
    let (began, started) = (clock.now(), clock.instant());
    let mut format = match options.format {
        Said::Text | Said::Raw => Format::Text(Text::new(output, &nodes, style)),
        Said::Jsonl => {
            // What was asked for: a distribution's kubelet is its kubelet, whatever unit runs it. A file may hold anybody's log.
            let unit = match (&*plan.units, &*plan.paths) {
                ([unit], _) => Some(unit.clone()),
                ([], []) if !options.dmesg && options.from.is_empty() => Some(KUBELET.to_owned()),
                _ => None,
            };
            Format::Jsonl(Jsonl::new(output, &nodes, unit, options.limit_bytes))
        }
        Said::Digest => Format::Digest(Table::new(output, &nodes)),
        Said::Json | Said::Yaml => {
            let notation = if options.format == Said::Json { Notation::Json } else { Notation::Yaml };
            let about = if single { About::Single } else { About::Several };
            Format::Document(Document::new(output, &nodes, style, notation, about, began))
        }
    };
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
                tally.nodes.push(name.to_owned());
                return Then::GoOn;
            }
            Step::Event(node, event) => {
                if on_terminal && shows_status {
                    // What is printed there shows by itself that something happens.
                    notices.status("");
                    shows_status = false;
                }
                tally.heard(node, event.bytes());
                let flow = format.event(node, mask.event(node, event));
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
                if failed && options.fail_fast { ControlFlow::Break(()) } else { flow }
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
    notices.status("");
    if matches!(flushed, ControlFlow::Continue(())) && !matches!(end, End::Interrupted(_)) {
        for (node, printed) in cut {
            let node = tally.nodes.get(node).map_or("", String::as_str);
            notices.of(node).note(format_args!("{node}: stopped after {printed} bytes (--limit-bytes)"));
        }
    }
    notices.tell_gathered();
    if let End::Interrupted(signal) = end {
        tally.unfinished.clear();
        if !single {
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
        _ => format!("{} nodes done, {failed} failed, {} left; ", ended - failed, nodes.saturating_sub(ended)),
    };
    let rate = (bytes as f64 / took.as_secs_f64().max(0.001)) as u64;
    format!("{nodes}{}, {}/s", amount(bytes), amount(rate))
}

/// Bytes in words.
fn amount(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{}.{} kB", bytes / 1_000, bytes % 1_000 / 100),
        1_000_000..1_000_000_000 => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
        _ => format!("{}.{} GB", bytes / 1_000_000_000, bytes % 1_000_000_000 / 100_000_000),
    }
}

/// What logs on this machine are called.
const FILES: &str = "files";

/// How the nodes fared.
struct Tally {
    /// What they are: nodes, or files.
    of: &'static str,
    nodes: Vec<String>,
    /// How many had anything to print.
    anything: usize,
    failures: Vec<(usize, Error)>,
    /// How many of the failures were told.
    told: usize,
    /// What to do about those that were told.
    remedies: Vec<String>,
    /// What came of their logs.
    bytes: u64,
    /// Those of which something came, where it matters; and those that were not read to their ends.
    heard: Vec<bool>,
    unfinished: Vec<usize>,
}

impl Tally {
    fn new(of: &'static str, nodes: &[String]) -> Self {
        let nodes = nodes.to_vec();
        Tally {
            of,
            heard: vec![false; nodes.len()],
            nodes,
            anything: 0,
            failures: Vec::new(),
            told: 0,
            remedies: Vec::new(),
            bytes: 0,
            unfinished: Vec::new(),
        }
    }

    /// So much has come of a node.
    fn heard(&mut self, node: usize, bytes: u64) {
        self.bytes += bytes;
        if let Some(heard) = self.heard.get_mut(node) {
            *heard = true;
        }
    }

    fn count(&mut self, node: usize, how: Result<bool>) {
        match how {
            Ok(anything) => self.anything += usize::from(anything),
            Err(error) => self.failures.push((node, error)),
        }
    }

    /// The exit code: of nodes that all failed alike theirs, of nodes that failed differently 1, of some that failed 3.
    fn outcome(mut self, single: bool, notices: &Notices, took: Duration) -> Result<Outcome> {
        if single {
            return match self.failures.pop() {
                Some((node, error)) => {
                    let name = self.nodes.get(node).map_or("", String::as_str);
                    let says_it = self.of == FILES && error.chain().contains(name);
                    Err(if says_it { error } else { error.within(name) })
                }
                None => Ok(Outcome::DONE),
            };
        }
        if self.told == 0 {
            self.failures.sort_by_key(|(node, _)| *node);
        }
        self.tell(notices);
        self.sum_up(notices, took);
        let all = self.failures.len() == self.nodes.len();
        let mut kinds = self.failures.iter().map(|(_, error)| error.kind());
        let exit = match kinds.next() {
            None => return Ok(Outcome::DONE),
            Some(first) if all && kinds.all(|kind| kind == first) => first,
            Some(_) if all => Kind::Failed,
            Some(_) => Kind::Partial,
        };
        Ok(Outcome { exit: exit.exit_code() })
    }

    /// The end of a run whose time was over: those that hung are named, so that the next run can do without them.
    fn out_of_time(mut self, options: &Options, single: bool, notices: &Notices, took: Duration) -> Result<Outcome> {
        let error = out_of_time(options.timeout.unwrap_or_default());
        let mut words = error.to_string();
        let (late, silent): (Vec<usize>, Vec<usize>) =
            self.unfinished.iter().partition(|node| self.heard.get(**node).is_some_and(|heard| *heard));
        for (nodes, how) in [(silent, "had not answered"), (late, "had not come to the end")] {
            // Those that are followed have no end.
            let endless = options.follow && how.ends_with("end");
            if !nodes.is_empty() && !single && !endless {
                let names: Vec<&str> =
                    nodes.iter().filter_map(|node| self.nodes.get(*node)).map(String::as_str).collect();
                words.push_str(&format!("; {how}: {}", named(&names)));
            }
        }
        let mut error = Error::new(error.kind(), words);
        if self.bytes > 0 {
            error = error.hint("what was printed is incomplete");
        }
        self.failures.sort_by_key(|(node, _)| *node);
        self.tell(notices);
        notices.error(&error);
        if !single {
            self.sum_up(notices, took);
        }
        Ok(Outcome { exit: error.kind().exit_code() })
    }

    /// Tells the failures that were not told yet, those that are alike together, and each remedy once.
    fn tell(&mut self, notices: &Notices) {
        let mut told: Vec<Alike<'_>> = Vec::new();
        for (node, error) in self.failures.iter().skip(self.told) {
            let name = self.nodes.get(*node).map_or("", String::as_str);
            let words = without_audit_id(&without_name(&error.chain(), name));
            match told.iter_mut().find(|alike| alike.words == words) {
                Some(alike) => alike.names.push(name),
                None => told.push(Alike { words, names: vec![name], error }),
            }
        }
        for Alike { names, error, .. } in told {
            let words = error.chain();
            match &*names {
                // What can't be read here says so by its name.
                [name] if self.of == FILES && words.contains(name) => notices.error_alone(&words),
                [name] => notices.error_alone(&format!("{name}: {words}")),
                [first, ..] => notices.error_alone(&format!("{}: {}", named(&names), without_name(&words, first))),
                [] => {}
            }
            if let Some(remedy) = error.remedy()
                && !self.remedies.iter().any(|known| known == remedy)
            {
                notices.remedy(remedy);
                self.remedies.push(remedy.to_owned());
            }
        }
        self.told = self.failures.len();
    }

    fn sum_up(&self, notices: &Notices, took: Duration) {
        let (all, of, bytes) = (self.nodes.len(), self.of, amount(self.bytes));
        let took = go_duration(Duration::from_millis(u64::try_from(took.as_millis()).unwrap_or(u64::MAX)));
        match self.failures.len() {
            _ if !self.unfinished.is_empty() => {
                let whole = all - self.failures.len() - self.unfinished.len();
                notices.note(format_args!("{whole} of {all} {of} read to the end, {bytes} in {took}"));
            }
            0 => notices.note(format_args!("{all} {of} gave {bytes} in {took}")),
            failed if failed == all => notices.note(format_args!("{failed} of {all} {of} failed in {took}")),
            failed => {
                notices.note(format_args!("{failed} of {all} {of} failed, the others gave {bytes} in {took}"));
            }
        }
    }
}

/// Failures that differ in nothing but whose they are.
struct Alike<'a> {
    words: String,
    names: Vec<&'a str>,
    /// The first of them.
    error: &'a Error,
}

/// Words with `NODE` for a node's name.
fn without_name(words: &str, name: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let mut generic = String::new();
    let mut rest = words;
    while let Some(at) = rest.find(name).filter(|_| !name.is_empty()) {
        let (before, found) = rest.split_at(at);
        let after = found.get(name.len()..).unwrap_or_default();
        let is_whole = !before.ends_with(is_part) && !after.starts_with(is_part);
        generic.push_str(before);
        generic.push_str(if is_whole { "NODE" } else { name });
        rest = after;
    }
    generic + rest
}

/// Words without the id that a server gives each request.
fn without_audit_id(words: &str) -> String {
    match words.split_once(" (audit id ") {
        Some((before, after)) => format!("{before}{}", after.split_once(')').map_or("", |(_, rest)| rest)),
        None => words.to_owned(),
    }
}

/// Names in a sentence: the first ones.
fn named(names: &[&str]) -> String {
    const NAMED: usize = 20;
    match names.get(..NAMED) {
        Some(first) if names.len() > NAMED => format!("{} and {} more", first.join(", "), names.len() - NAMED),
        _ => names.join(", "),
    }
}

/// What is read.
struct Found {
    nodes: Vec<String>,
    /// How many at the end of `nodes` the cluster does not have.
    unknown: usize,
    roster: Option<Roster>,
}

/// What is read, by name, and where.
async fn look(
    options: &Options,
    cluster: Option<&Cluster>,
    plan: &mut Plan,
    context: &Context,
) -> Result<(Found, Origin)> {
    let Some(cluster) = cluster else {
        let (nodes, origin) = open(options, plan, context).await;
        return Ok((Found { nodes, unknown: 0, roster: None }, origin));
    };
    let found = prepare(options, cluster, plan, context).await?;
    Ok((found, Origin::Cluster(Arc::clone(&cluster.client))))
}

/// What has to be asked of the API before nodes are read: which ones, and what the pod is called.
async fn prepare(options: &Options, cluster: &Cluster, plan: &mut Plan, context: &Context) -> Result<Found> {
    if let Some(pod) = &options.about {
        let namespace = pod.namespace.as_deref().unwrap_or(&cluster.namespace);
        plan.filter.pod = Some(pod_lines(&cluster.client, pod, namespace, context).await?);
    }
    let said = &options.nodes;
    let shard = shard(options, context)?;
    let of_shard = |nodes: Vec<String>| match shard {
        None => nodes,
        Some((index, of)) => {
            let all = nodes.len();
            let nodes: Vec<String> = nodes.into_iter().filter(|node| in_shard(node, index, of)).collect();
            context.notices.note(format_args!("shard {index} of {of}: {} of {all} nodes", nodes.len()));
            nodes
        }
    };
    let few = plan.last.is_none() && options.tail.is_none() && !plan.has_window();
    if !said.needs_list() {
        if options.follow && few {
            plan.last = Some(FEW);
        }
        let nodes = check_followed(of_shard(said.names.clone()), options)?;
        return Ok(Found { nodes, unknown: 0, roster: None });
    }
    let Chosen { nodes, unknown, version } = chosen(said, &cluster.client, &context.notices).await?;
    if few {
        plan.last = Some(FEW);
        context.notices.note(format_args!(
            "the last {FEW} entries of each of {} nodes; --tail or --since asks for more",
            nodes.len()
        ));
    }
    let mut nodes = check_followed(of_shard(nodes), options)?;
    let roster = options.follow.then(|| {
        let watch = node::watch(Arc::clone(&cluster.client), &said.selector, &said.field_selector, version);
        let said = said.clone();
        let is_meant = Box::new(move |node: &Metadata| {
            admits(&said, node) && shard.is_none_or(|(index, of)| in_shard(&node.name, index, of))
        });
        Roster::new(watch, &nodes, is_meant, context.clock, context.notices.clone())
    });
    // They are read like the others, and the server says what is wrong with them.
    nodes.extend(unknown.iter().cloned());
    Ok(Found { nodes, unknown: unknown.len(), roster })
}

fn admits(said: &Nodes, node: &Metadata) -> bool {
    said.admits(&node.name, |label| node.labels.get(label).map(String::as_str))
}

/// Following many nodes asks much of a control plane for long: more than a few only where that was said.
fn most_followed(options: &Options) -> usize {
    const MOST: usize = 50;
    options.max_concurrency.unwrap_or(MOST)
}

fn check_followed(nodes: Vec<String>, options: &Options) -> Result<Vec<String>> {
    let most = most_followed(options);
    if options.follow && nodes.len() > most {
        let words = format!("{} nodes are to be followed, and at most {most} at the same time", nodes.len());
        return Err(Error::usage(words).hint(format!("--max-concurrency {} allows it", nodes.len())));
    }
    Ok(nodes)
}

/// What has to be looked at before logs on this machine are read: whose they are. What can't be opened fails by itself.
async fn open(options: &Options, plan: &mut Plan, context: &Context) -> (Vec<String>, Origin) {
    if let Some(pod) = &options.about {
        let namespace = pod.namespace.as_deref().or(options.connection.namespace.as_deref()).unwrap_or("default");
        plan.filter.pod = Some(PodLines::new(namespace, &pod.name, []));
    }
    let unpack = if options.decompress { Unpack::Gzip } else { Unpack::Nothing };
    let (mut names, mut locals) = (Vec::new(), Vec::new());
    for input in &options.from {
        let local = Local::open(input, &options.timezone, unpack, &context.notices, context.clock).await;
        names.push(local.as_ref().map_or_else(|_| local::name(input), |local| local.name.clone()));
        locals.push(Mutex::new(Some(local)));
    }
    (names, Origin::Here(locals.into()))
}

/// Entries a node where a selector chooses and nothing says how many: kubectl's number.
const FEW: u64 = 10;

/// The nodes that are meant.
struct Chosen {
    nodes: Vec<String>,
    /// Names that were said, and that no node has.
    unknown: Vec<String>,
    /// From which version on to watch them.
    version: String,
}

/// Looks which nodes are meant.
async fn chosen(said: &Nodes, client: &Client, notices: &Notices) -> Result<Chosen> {
    let listed = node::matching(client, &said.selector, &said.field_selector).await;
    let listed = listed.map_err(|error| error.within("listing nodes"))?;
    let mut names: Vec<String> =
        listed.items.iter().filter(|node| admits(said, node)).map(|node| node.name.clone()).collect();
    names.sort_unstable();
    if names.is_empty() {
        let error = Error::new(Kind::NotFound, format!("no node matches {}", said.said()));
        return Err(error.hint("`kubectl get nodes --show-labels` shows names, roles and labels"));
    }
    let missing = said.names.iter().filter(|name| !names.contains(name));
    let mut unknown: Vec<String> = missing.cloned().collect();
    if said.is_narrowed() && !unknown.is_empty() {
        // Whether a selector leaves a node out or there is none tells only the list of all.
        let all = node::names(client).await.map_err(|error| error.within("listing nodes"))?;
        for name in unknown.extract_if(.., |name| all.contains(name)) {
            notices.note(format_args!("{name} is left out: it does not match {}", said.said()));
        }
    }
    Ok(Chosen { nodes: names, unknown, version: listed.version })
}

/// What kubelet lines call a pod. One that is gone or may not be read is known by its name alone.
async fn pod_lines(client: &Client, name: &PodName, namespace: &str, context: &Context) -> Result<PodLines> {
    let ids = match pod::get(client, namespace, &name.name).await {
        Ok(pod) => std::iter::once(pod.metadata.uid.clone()).chain(pod.container_ids().map(str::to_owned)).collect(),
        Err(error) if error.kind() == Kind::NotFound => {
            let name = &name.name;
            context.notices.note(format_args!("there is no pod {namespace}/{name} now; it is known by its name alone"));
            Vec::new()
        }
        Err(error) if error.kind() == Kind::Denied => {
            let name = &name.name;
            context.notices.note(format_args!("pod {namespace}/{name} is known by its name alone ({})", error.chain()));
            Vec::new()
        }
        Err(error) => return Err(error.within(format!("pod {namespace}/{}", name.name))),
    };
    Ok(PodLines::new(namespace, &name.name, ids))
}
