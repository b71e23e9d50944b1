//! The units that may run a node's kubelet, and what else they hold. Data; no IO.

/// The plain one, which is asked first.
pub const KUBELET: &str = "kubelet";

/// Where RKE2's kubelet logs: a file out of reach of the kubelet's file server, unless linked into /var/log.
pub const RKE2_LOGS: &str = "/var/lib/rancher/rke2/agent/logs";

/// Where that folder is looked for below /var/log.
pub const RKE2_LINK: &str = "rke2";

/// A unit that may run the kubelet.
#[derive(Debug, PartialEq, Eq)]
pub struct Home {
    /// Without `.service`.
    pub unit: &'static str,
    /// Whose it is, for people.
    pub distribution: &'static str,
    /// What its lines are called in syslog and the journal.
    pub identifier: &'static str,
    /// What it holds.
    pub holds: Holds,
}

/// What the lines of a unit that runs a kubelet are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// The kubelet's, and nobody else's.
    Kubelet,
    /// Those of one process that is kubelet, proxy, API server and controllers at once: klog's, all alike.
    Process,
    /// Those of a supervisor that writes its children's lines into logrus's, with the child as `component`.
    Components,
    /// klog's of one process, each behind the name of the part that wrote it.
    Prefixed,
    /// Those of a supervisor alone: its kubelet logs elsewhere.
    Supervisor,
}

impl Holds {
    /// Whether its lines are others' too, so that the kubelet's have to be told apart.
    pub fn others(self) -> bool {
        self != Holds::Kubelet
    }
}

/// All of them; the order of equals.
pub const HOMES: [Home; 10] = [
    Home { unit: KUBELET, distribution: "a kubelet", identifier: "kubelet", holds: Holds::Kubelet },
    Home { unit: "k3s", distribution: "k3s", identifier: "k3s", holds: Holds::Process },
    Home { unit: "k3s-agent", distribution: "k3s", identifier: "k3s", holds: Holds::Process },
    Home { unit: "k0sworker", distribution: "k0s", identifier: "k0s", holds: Holds::Components },
    Home { unit: "k0scontroller", distribution: "k0s", identifier: "k0s", holds: Holds::Components },
    Home {
        unit: "snap.kubelet.daemon",
        distribution: "the kubelet snap",
        identifier: "kubelet.daemon",
        holds: Holds::Kubelet,
    },
    Home {
        unit: "snap.microk8s.daemon-kubelite",
        distribution: "MicroK8s",
        identifier: "microk8s.daemon-kubelite",
        holds: Holds::Process,
    },
    Home { unit: "microshift", distribution: "MicroShift", identifier: "microshift", holds: Holds::Prefixed },
    Home { unit: "rke2-server", distribution: "RKE2", identifier: "rke2", holds: Holds::Supervisor },
    Home { unit: "rke2-agent", distribution: "RKE2", identifier: "rke2", holds: Holds::Supervisor },
];

/// The same units but for the plain one, as they are asked for: no query takes more than four names. The last are asked
/// for only where the others told nothing.
pub const LOOKED_UP: [&[&str]; 3] = [
    &["k3s", "k3s-agent", "k0sworker", "k0scontroller"],
    &["snap.kubelet.daemon", "snap.microk8s.daemon-kubelite", "microshift", "rke2-server"],
    &["rke2-agent"],
];

/// The home of this unit's name.
pub fn home(unit: &str) -> Option<&'static Home> {
    HOMES.iter().find(|home| home.unit == unit)
}

/// The home whose lines carry this identifier.
pub fn home_of_identifier(identifier: &[u8]) -> Option<&'static Home> {
    HOMES.iter().find(|home| home.identifier.as_bytes() == identifier)
}

/// Source files that log on a node but never from inside a kubelet: of the API server and its storage, the aggregator,
/// controllers, scheduler, cloud controllers and proxy (kubernetes/kubernetes, 1.24 to 1.36). A name that any package of
/// the kubelet has as well, such as `controller.go`, `server.go`, `reflector.go` or `trace.go`, must not be here. Sorted.
pub const NOT_THE_KUBELETS: [&str; 90] = [
    "aggregator.go",
    "alloc.go",
    "apiapproval_controller.go",
    "apiservice_controller.go",
    "attach_detach_controller.go",
    "autoregister_controller.go",
    "available_controller.go",
    "bootstrapsigner.go",
    "bounded_frequency_runner.go",
    "cacher.go",
    "certificate_controller.go",
    "cidrallocator.go",
    "cloud_cidr_allocator.go",
    "clusterroleaggregation_controller.go",
    "controllermanager.go",
    "crd_finalizer.go",
    "crdregistration_controller.go",
    "cronjob_controller.go",
    "cronjob_controllerv2.go",
    "customresource_discovery_controller.go",
    "customresource_handler.go",
    "daemon_controller.go",
    "default_binder.go",
    "default_preemption.go",
    "default_servicecidr_controller.go",
    "deployment_controller.go",
    "deployment_util.go",
    "disruption.go",
    "endpoints_controller.go",
    "endpointslice_controller.go",
    "endpointslicecache.go",
    "endpointslicemirroring_controller.go",
    "establishing_controller.go",
    "eventhandlers.go",
    "expand_controller.go",
    "garbagecollector.go",
    "gc_controller.go",
    "graceful_termination.go",
    "graph_builder.go",
    "handler_proxy.go",
    "horizontal.go",
    "job_controller.go",
    "leaderelection.go",
    "legacy_serviceaccount_token_cleaner.go",
    "local_available_controller.go",
    "namespace_controller.go",
    "namespaced_resources_deleter.go",
    "naming_controller.go",
    "network_policy_controller.go",
    "node_ipam_controller.go",
    "node_lifecycle_controller.go",
    "node_tree.go",
    "nonstructuralschema_controller.go",
    "proxier.go",
    "proxier_health.go",
    "proxy_health.go",
    "pv_controller.go",
    "pv_controller_base.go",
    "pv_protection_controller.go",
    "pvc_protection_controller.go",
    "range_allocator.go",
    "remote_available_controller.go",
    "replica_set.go",
    "replica_set_utils.go",
    "resource_quota_controller.go",
    "resource_quota_monitor.go",
    "route_controller.go",
    "schedule_one.go",
    "scheduler.go",
    "scheduling_queue.go",
    "service_health.go",
    "serviceaccounts_controller.go",
    "servicechangetracker.go",
    "stateful_pod_control.go",
    "stateful_set.go",
    "stateful_set_control.go",
    "stateful_set_utils.go",
    "storage_flowcontrol.go",
    "storage_rbac.go",
    "storage_scheduling.go",
    "taint_eviction.go",
    "taint_manager.go",
    "timed_workers.go",
    "tokencleaner.go",
    "tokens_controller.go",
    "topologycache.go",
    "ttl_controller.go",
    "ttlafterfinished_controller.go",
    "watch_cache.go",
    "watch_cache_interval.go",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_home_is_looked_up_once_and_in_groups_that_a_query_takes() {
        let mut asked: Vec<&str> = LOOKED_UP.concat();
        assert!(LOOKED_UP.iter().all(|group| (1..=4).contains(&group.len())));
        asked.push(KUBELET);
        asked.sort_unstable();
        let mut known: Vec<&str> = HOMES.iter().map(|home| home.unit).collect();
        known.sort_unstable();
        assert_eq!(asked, known);
    }

    #[test]
    fn homes_with_one_identifier_hold_the_same() {
        for home in &HOMES {
            let first = home_of_identifier(home.identifier.as_bytes()).unwrap();
            assert_eq!((first.holds, first.distribution), (home.holds, home.distribution));
        }
    }
}
