//! What is to be read: the nodes that were meant, as the cluster knows them, or logs on this machine.

use std::sync::{Arc, Mutex};

use crate::args::nodes::in_shard;
use crate::args::{Nodes, Options, PodName};
use crate::command::{Cluster, Context};
use crate::error::{Error, Kind, Result};
use crate::kube::node::Metadata;
use crate::kube::{Client, node, pod};
use crate::logs::collect::Origin;
use crate::logs::plan::Plan;
use crate::logs::pod::PodLines;
use crate::logs::roster::Roster;
use crate::logs::source::local::{self, Local, Unpack};
use crate::notice::Notices;

/// What is read.
pub(super) struct Found {
    pub(super) nodes: Vec<String>,
    /// How many at the end of `nodes` the cluster does not have.
    pub(super) unknown: usize,
    pub(super) roster: Option<Roster>,
}

/// What is read, by name, and where.
pub(super) async fn look(
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
    // Where a following ends does not say how much there is before it.
    let has_window = if options.follow { plan.has_beginning() } else { plan.has_window() };
    let few = plan.last.is_none() && options.tail.is_none() && !has_window;
    if !said.needs_list() {
        if options.follow && few {
            plan.last = Some(FEW);
        }
        let nodes = check_followed(of_shard(said.names.clone()), options)?;
        return Ok(Found { nodes, unknown: 0, roster: None });
    }
    let Chosen { nodes, unknown, version } = chosen(said, &cluster.client, &context.notices).await?;
    let nodes = of_shard(nodes);
    if few {
        plan.last = Some(FEW);
        let whose = match nodes.len() {
            1 => "1 node".to_owned(),
            count => format!("each of {count} nodes"),
        };
        context.notices.note(format_args!("the last {FEW} entries of {whose}; --tail or --since asks for more"));
    }
    let mut nodes = check_followed(nodes, options)?;
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
pub(super) fn most_followed(options: &Options) -> usize {
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
        let local = Local::open(input, options.timezone.as_ref(), unpack, &context.notices, context.clock).await;
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
            context.notices.note(format_args!(
                "there is no pod {namespace}/{name} now; it is known by its name alone (-n names another namespace)"
            ));
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

/// Which shard of how many, where one was asked for.
pub(super) fn shard(options: &Options, context: &Context) -> Result<Option<(u32, u32)>> {
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
