//! `logs NODE`: prints a node's log.

use std::ops::ControlFlow;

use crate::args::{Options, PodName};
use crate::command::{Cluster, Context, Outcome, out_of_time};
use crate::error::{Kind, Result};
use crate::kube::{Client, pod};
use crate::logs::collect::{End, Step, Use, collect};
use crate::logs::outlet::Event;
use crate::logs::plan::{Plan, plan};
use crate::logs::pod::PodLines;
use crate::output::{Output, Style, Text};

/// Reads and prints.
pub async fn run(options: &Options, context: &mut Context, output: &mut Output) -> Result<Outcome> {
    // What was said is checked before anything is connected.
    let mut plan = plan(options, context.clock, &context.notices)?;
    let cluster = context.cluster(options)?;
    let clock = context.clock;
    let reading = read(options, &cluster, &mut plan, context, output);
    match clock.within(options.timeout, reading).await {
        Some(outcome) => outcome,
        None => Err(out_of_time(options.timeout.unwrap_or_default())),
    }
}

async fn read(
    options: &Options,
    cluster: &Cluster,
    plan: &mut Plan,
    context: &mut Context,
    output: &mut Output,
) -> Result<Outcome> {
    if let Some(pod) = &options.about {
        let namespace = pod.namespace.as_deref().unwrap_or(&cluster.namespace);
        let mut interrupt = context.interrupt.clone();
        plan.filter.pod = tokio::select! {
            biased;
            signal = interrupt.signal() => return Ok(Outcome { exit: signal.exit_code() }),
            lines = pod_lines(&cluster.client, pod, namespace, context) => Some(lines?),
        };
    }
    let style =
        Style { timestamps: options.timestamps.then_some(options.timezone.clone()), limit: options.limit_bytes };
    let usage = Use {
        dated: options.timestamps,
        raw: !options.timestamps && options.limit_bytes.is_none() && !output.is_terminal(),
    };
    let node = plan.node.clone();
    let mut text = Text::new(output, style);
    let end =
        collect(
            plan,
            usage,
            &cluster.client,
            &context.notices,
            context.clock,
            &mut context.interrupt,
            |step| match step {
                Step::Event(Event::Bytes(bytes)) => text.bytes(&bytes),
                Step::Event(Event::Lines(lines)) => text.lines(&lines),
                Step::Idle => text.flush(),
            },
        )
        .await;
    let (printed, cut) = (text.printed(), text.was_cut());
    let flushed = output.flush();
    match end.map_err(|error| error.within(&node))? {
        End::Interrupted(signal) => return Ok(Outcome { exit: signal.exit_code() }),
        End::Done { anything: false } if plan.last != Some(0) => {
            let (since, until) = (plan.filter.since, plan.filter.until);
            let from = since.map(|at| format!(" from {}", at.rfc3339())).unwrap_or_default();
            let to = until.map(|at| format!(" up to {}", at.rfc3339())).unwrap_or_default();
            context.notices.note(format_args!("{node}: nothing matched{from}{to}"));
        }
        End::Done { .. } | End::Stopped => {}
    }
    if cut && matches!(flushed, ControlFlow::Continue(())) {
        context.notices.note(format_args!("{node}: stopped after {printed} bytes (--limit-bytes)"));
    }
    Ok(Outcome::DONE)
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
