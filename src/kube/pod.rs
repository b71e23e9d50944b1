//! Pods, as far as finding their traces in node logs needs to know them.

use super::list::JSON;
use super::node::Metadata;
use super::{Client, path};
use crate::document::object;
use crate::error::Result;
use crate::http::Request;

object! {
    /// A pod (core/v1). Parts that are missing are empty.
    pub struct Pod {
        /// Name, namespace, uid.
        pub metadata: Metadata = "metadata",
        /// What it is meant to be.
        pub spec: Spec = "spec",
        /// What became of it.
        pub status: Status = "status",
    }
}

object! {
    /// A pod's specification.
    pub struct Spec {
        /// The node it runs on; empty until it is scheduled.
        pub node_name: String = "nodeName",
    }
}

object! {
    /// A pod's status.
    #[allow(missing_docs, reason = "the API's names")]
    pub struct Status {
        pub phase: String = "phase",
        /// RFC 3339; empty until its kubelet took it on.
        pub start_time: String = "startTime",
        pub container_statuses: Vec<ContainerStatus> = "containerStatuses",
        pub init_container_statuses: Vec<ContainerStatus> = "initContainerStatuses",
        pub ephemeral_container_statuses: Vec<ContainerStatus> = "ephemeralContainerStatuses",
    }
}

object! {
    /// One container's status.
    #[allow(missing_docs, reason = "the API's names")]
    pub struct ContainerStatus {
        pub name: String = "name",
        /// `containerd://0123…`; empty until it was made.
        pub container_id: String = "containerID",
        pub ready: bool = "ready",
        pub restart_count: u32 = "restartCount",
        /// What ended last, for its id.
        pub last_state: LastState = "lastState",
    }
}

object! {
    /// What a container was before.
    pub struct LastState {
        /// The instance that ended last.
        pub terminated: Option<Terminated> = "terminated",
    }
}

object! {
    /// An instance of a container that ended.
    #[allow(missing_docs, reason = "the API's names")]
    pub struct Terminated {
        pub container_id: String = "containerID",
        pub exit_code: i32 = "exitCode",
        pub reason: String = "reason",
    }
}

impl Pod {
    /// The ids of its containers of all kinds, of now and of before, without the runtime's name in front.
    pub fn container_ids(&self) -> impl Iterator<Item = &str> {
        let status = &self.status;
        let all = [&status.container_statuses, &status.init_container_statuses, &status.ephemeral_container_statuses];
        all.into_iter()
            .flatten()
            .flat_map(|container| {
                let before = container.last_state.terminated.as_ref().map(|ended| ended.container_id.as_str());
                [Some(container.container_id.as_str()), before]
            })
            .flatten()
            .filter_map(|id| id.split_once("://").map(|(_, id)| id))
            .filter(|id| !id.is_empty())
    }
}

/// Bytes a pod may have: the API server's limit for a request is 3 MiB.
const POD_BYTES: usize = 8 << 20;

/// Reads one pod.
pub async fn get(client: &Client, namespace: &str, name: &str) -> Result<Pod> {
    let answer = client.get(Request::get(path::pod(namespace, name)).accept(JSON)).await?;
    client.read(answer, POD_BYTES).await
}
