//! Nodes, as far as reading their logs needs to know them.

use std::sync::Arc;

use serde::Serialize;

use super::list::{self, JSON, Listed, Listing};
use super::watch::Watch;
use super::{Client, path};
use crate::document::object;
use crate::error::Result;
use crate::http::Request;
use crate::named::Named;

object! {
    /// A node (core/v1). Parts that are missing are empty.
    pub struct Node {
        /// Name, uid, labels.
        pub metadata: Metadata = "metadata",
        /// What its kubelet last said about it.
        pub status: Status = "status",
    }
}

object! {
    /// Metadata of any object.
    #[allow(missing_docs, reason = "the API's names")]
    pub struct Metadata {
        pub name: String = "name",
        pub namespace: String = "namespace",
        pub uid: String = "uid",
        pub resource_version: String = "resourceVersion",
        pub labels: Named<String> = "labels",
        /// RFC 3339.
        pub creation_timestamp: String = "creationTimestamp",
    }
}

object! {
    /// A node's status.
    pub struct Status {
        /// Where to reach it.
        pub addresses: Vec<Address> = "addresses",
        /// Ready and its like; their polarity differs.
        pub conditions: Vec<Condition> = "conditions",
        /// Versions and ids.
        pub node_info: NodeInfo = "nodeInfo",
        /// Where its kubelet listens.
        pub daemon_endpoints: Endpoints = "daemonEndpoints",
    }
}

object! {
    /// One address of a node.
    pub struct Address {
        /// `InternalIP`, `Hostname`, `ExternalIP` …
        pub kind: String = "type",
        /// A host name or an address.
        pub address: String = "address",
    }
}

object! {
    /// A condition, whole: documents show it as it is.
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    #[allow(missing_docs, reason = "the API's names")]
    pub struct Condition {
        #[serde(rename = "type")]
        pub kind: String = "type",
        /// `True`, `False` or `Unknown`.
        pub status: String = "status",
        #[serde(skip_serializing_if = "Option::is_none")]
        pub last_heartbeat_time: Option<String> = "lastHeartbeatTime",
        #[serde(skip_serializing_if = "Option::is_none")]
        pub last_transition_time: Option<String> = "lastTransitionTime",
        #[serde(skip_serializing_if = "String::is_empty")]
        pub reason: String = "reason",
        #[serde(skip_serializing_if = "String::is_empty")]
        pub message: String = "message",
    }
}

object! {
    /// What a node runs.
    #[allow(missing_docs, reason = "the API's names")]
    pub struct NodeInfo {
        pub machine_id: String = "machineID",
        pub boot_id: String = "bootID",
        /// `v1.36.2`, with a vendor's suffix at times.
        pub kubelet_version: String = "kubeletVersion",
        pub container_runtime_version: String = "containerRuntimeVersion",
        pub os_image: String = "osImage",
        pub kernel_version: String = "kernelVersion",
        /// `linux` or `windows`.
        pub operating_system: String = "operatingSystem",
        pub architecture: String = "architecture",
    }
}

object! {
    /// Where a node's daemons listen.
    pub struct Endpoints {
        /// The kubelet's.
        pub kubelet_endpoint: Endpoint = "kubeletEndpoint",
    }
}

object! {
    /// One port.
    pub struct Endpoint {
        /// 0 where none is known.
        pub port: u16 = "Port",
    }
}

impl Node {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// Whether it runs Windows.
    pub fn is_windows(&self) -> bool {
        self.status.node_info.operating_system == "windows"
    }

    /// The condition of this type.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.status.conditions.iter().find(|condition| condition.kind == kind)
    }
}

/// Bytes a node may have; those with hundreds of images come near 100 kB.
const NODE_BYTES: usize = 8 << 20;

/// Reads one node.
pub async fn get(client: &Client, name: &str) -> Result<Node> {
    let answer = client.get(Request::get(path::node(name)).accept(JSON)).await?;
    client.read(answer, NODE_BYTES).await
}

/// Reads all nodes that match; selectors go to the server as they are, empty ones match all.
pub async fn list(client: &Client, label_selector: &str, field_selector: &str) -> Result<Vec<Node>> {
    let parameters = selectors(label_selector, field_selector);
    let listing = Listing { path: &path::nodes(&[]), parameters: &parameters, accept: JSON };
    let mut nodes: Vec<Node> = list::all(client, listing).await?.items;
    nodes.retain(|node| list::has_name(client, &node.metadata));
    Ok(nodes)
}

/// Names and labels of the nodes that match; selectors go to the server as they are, empty ones match all.
pub async fn matching(client: &Client, label_selector: &str, field_selector: &str) -> Result<Listed<Metadata>> {
    list::metadata(client, &path::nodes(&[]), &selectors(label_selector, field_selector)).await
}

/// The nodes that match as they come and go, from the version of a list on; see [`matching`].
pub fn watch(client: Arc<Client>, label_selector: &str, field_selector: &str, version: String) -> Watch {
    let parameters = selectors(label_selector, field_selector);
    let parameters = parameters.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
    Watch::new(client, path::nodes(&[]), parameters, version)
}

/// The names of all nodes, for which the server sends metadata only.
pub async fn names(client: &Client) -> Result<Vec<String>> {
    Ok(matching(client, "", "").await?.items.into_iter().map(|node| node.name).collect())
}

fn selectors<'a>(label: &'a str, field: &'a str) -> Vec<(&'static str, &'a str)> {
    let both = [("labelSelector", label), ("fieldSelector", field)];
    both.into_iter().filter(|(_, selector)| !selector.is_empty()).collect()
}
