//! Where a node keeps its journal: `journal/<machine id>` below /var/log.

use super::Remote;
use crate::error::Kind;
use crate::http::{Encoding, Request};
use crate::journal::Name;
use crate::kube::{node, path, status};
use crate::logs::outlet::Flow;
use crate::logs::source::Node;
use crate::logs::source::listing::{Entry, entries, is_listing};

/// Why there is no journal to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// /var/log holds none: journald keeps it in memory, or there is no journald.
    Folder,
    /// The kubelet serves no files.
    HandlerOff,
    /// Windows has none.
    Windows,
    /// This folder is there, and no file in it is a journal's.
    Files(String),
}

impl Missing {
    /// In words.
    pub fn words(&self) -> String {
        match self {
            Missing::Folder => "/var/log holds no journal: journald keeps it in memory, or there is none".to_owned(),
            Missing::Windows => "Windows nodes have no journal".to_owned(),
            Missing::HandlerOff => "the kubelet serves no files (enableSystemLogHandler is off)".to_owned(),
            Missing::Files(folder) => format!("/var/log/{folder} holds no journal file"),
        }
    }
}

/// Finds the journal of the node's machine.
pub async fn find<'a>(node: &'a Node<'a>) -> Flow<Result<Remote<'a>, Missing>> {
    // Asking the kubelet for journal/ would be answered by some with all of the journal: the machine's folder is asked for,
    // whose name the node's object tells. Who may not read that has to look.
    let mut boot = None;
    let machine = match node::get(node.client, node.name).await {
        Ok(object) if object.is_windows() => return Ok(Err(Missing::Windows)),
        Ok(object) => {
            boot = object.status.node_info.boot_id.parse().ok();
            Some(object.status.node_info.machine_id).filter(|id| is_id(id))
        }
        Err(error) if error.kind() == Kind::Denied => {
            node.notices.verbose(4, || format!("{}: its machine id is not to be had: {}", node.name, error.chain()));
            None
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(machine) = &machine {
        match files(node, machine).await? {
            Ok(found) => return Ok(Ok(Remote { boot, ..found })),
            Err(Missing::Folder) => {}
            Err(missing) => return Ok(Err(missing)),
        }
    }
    // The machine id of an image that was cloned, or of a node in a container, may be another than the journal's.
    let folders: Vec<Entry> = match list(node, "journal").await? {
        Ok(entries) => entries.into_iter().filter(|entry| entry.directory && is_id(&entry.name)).collect(),
        Err(missing) => return Ok(Err(missing)),
    };
    match &*folders {
        [only] => files(node, &only.name).await,
        _ => Ok(Err(Missing::Folder)),
    }
}

/// A journal of the files in this machine's folder.
async fn files<'a>(node: &'a Node<'a>, machine: &str) -> Flow<Result<Remote<'a>, Missing>> {
    let folder = format!("journal/{machine}");
    let names = match names(node, &folder).await? {
        Ok(names) => names,
        Err(missing) => return Ok(Err(missing)),
    };
    node.notices.verbose(4, || format!("{}: files of the journal in /var/log/{folder}: {}", node.name, names.len()));
    Ok(Ok(Remote::new(node, folder, names)))
}

/// The names of the journal files in a folder; at least one.
pub(super) async fn names(node: &Node<'_>, folder: &str) -> Flow<Result<Vec<String>, Missing>> {
    let entries = match list(node, folder).await? {
        Ok(entries) => entries,
        Err(missing) => return Ok(Err(missing)),
    };
    let is_journal = |entry: &Entry| !entry.directory && Name::parse(&entry.name).is_some();
    let names: Vec<String> = entries.into_iter().filter(is_journal).map(|entry| entry.name).collect();
    Ok(if names.is_empty() { Err(Missing::Files(folder.to_owned())) } else { Ok(names) })
}

async fn list(node: &Node<'_>, folder: &str) -> Flow<Result<Vec<Entry>, Missing>> {
    let url = path::logs_dir(node.name, folder);
    let answer = node.get(Request::get(url).encoding(Encoding::Identity)).await?;
    match answer.status {
        200 if is_listing(&answer) => Ok(Ok(entries(answer, &format!("/var/log/{folder}")).await?)),
        // OpenShift's kubelets answer journal/ with all of the journal, as text: not read on.
        200 | 301 | 307 => Ok(Err(Missing::Folder)),
        404 | 405 => {
            let missing = if answer.status == 404 { Missing::Folder } else { Missing::HandlerOff };
            let error = status::error_of(answer).await;
            // A node that is not there is said so by the API server, in its own form.
            let kubelets = ["page not found", "logs endpoint is disabled"].iter().any(|w| error.chain().contains(w));
            if kubelets { Ok(Err(missing)) } else { Err(error.into()) }
        }
        _ => Err(status::error_of(answer).await.into()),
    }
}

fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit())
}
