//! The API objects of the simulated cluster, as JSON in the field order of the real servers.

use super::kubelet::{Flavour, Kubelet, Release};

/// A node as the API server knows it.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) kubelet: std::sync::Arc<Kubelet>,
    pub(crate) health: Health,
    pub(crate) labels: Vec<(String, String)>,
    /// Where its kubelet listens, or would.
    pub(crate) port: u16,
    /// The node's machine id, which names its journal directory.
    pub(crate) machine_id: String,
    /// Its latest boot's id, without dashes.
    pub(crate) boot_id: String,
    /// Of its object.
    pub(crate) version: u64,
    /// When it was made: RFC 3339.
    pub(crate) created: String,
    /// By so many seconds its clock is ahead of the cluster's.
    pub(crate) clock_ahead: i64,
}

/// Whether, and how not, the API server reaches a node's kubelet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Health {
    #[default]
    Up,
    /// Nothing listens.
    Down,
    /// It takes connections and says nothing.
    Hung,
    /// The node object has no addresses.
    NoAddresses,
    /// The kubelet's certificate is from an authority the API server does not know.
    WrongCa,
    /// It speaks plain HTTP.
    PlainHttp,
    /// Its host name is in no DNS.
    Unresolvable,
    /// Its address is one the API server will not proxy to.
    LinkLocal,
}

impl Member {
    /// The node object, without the newline that ends an answer.
    pub(crate) fn json(&self) -> String {
        let name = &self.name;
        let uid = uid(name);
        let (resource_version, created) = (self.version, &self.created);
        let labels = self
            .labels
            .iter()
            .map(|(key, value)| format!("{}:{}", quote(key), quote(value)))
            .collect::<Vec<_>>()
            .join(",");
        let version = match self.kubelet.mode.release {
            Release::V1_24 => "v1.24.0",
            Release::V1_36 => "v1.36.2",
        };
        let (system, image, kernel) = match self.kubelet.mode.flavour {
            Flavour::Vanilla => ("linux", "Debian GNU/Linux 12 (bookworm)", "5.14.0-427.el9x"),
            Flavour::OpenShift => ("linux", "Red Hat Enterprise Linux CoreOS", "5.14.0-427.el9x"),
            Flavour::Windows => ("windows", "Windows Server 2022 Datacenter", "10.0.20348.2402"),
        };
        let condition = |kind: &str, status: &str, reason: &str, message: &str| {
            format!(
                r#"{{"type":"{kind}","status":"{status}","lastHeartbeatTime":"2023-11-14T22:18:40Z","lastTransitionTime":"2023-11-14T22:13:30Z","reason":"{reason}","message":"{message}"}}"#
            )
        };
        let ready = match self.health {
            Health::Up => condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
            Health::NoAddresses | Health::WrongCa | Health::Unresolvable | Health::LinkLocal => {
                condition("Ready", "True", "KubeletReady", "kubelet is posting ready status")
            }
            Health::Down | Health::Hung | Health::PlainHttp => {
                condition("Ready", "Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.")
            }
        };
        let conditions = [
            condition(
                "MemoryPressure",
                "False",
                "KubeletHasSufficientMemory",
                "kubelet has sufficient memory available",
            ),
            condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
            ready,
        ]
        .join(",");
        let boot = dashed(&self.boot_id);
        let machine = &self.machine_id;
        let port = self.port;
        let address = |kind: &str, address: &str| format!(r#"{{"type":"{kind}","address":"{address}"}}"#);
        let addresses = match self.health {
            Health::NoAddresses => String::new(),
            Health::Unresolvable => address("Hostname", "no-such-host.invalid"),
            Health::LinkLocal => format!("{},{}", address("InternalIP", "169.254.1.1"), address("Hostname", name)),
            _ => format!("{},{}", address("InternalIP", "127.0.0.1"), address("Hostname", name)),
        };
        format!(
            r#"{{"metadata":{{"name":"{name}","uid":"{uid}","resourceVersion":"{resource_version}","creationTimestamp":"{created}","labels":{{{labels}}},"annotations":{{"volumes.kubernetes.io/controller-managed-attach-detach":"true"}}}},"spec":{{}},"status":{{"capacity":{{"cpu":"2","ephemeral-storage":"264212084Ki","memory":"24684096Ki","pods":"110"}},"allocatable":{{"cpu":"2","ephemeral-storage":"264212084Ki","memory":"24673856Ki","pods":"110"}},"conditions":[{conditions}],"addresses":[{addresses}],"daemonEndpoints":{{"kubeletEndpoint":{{"Port":{port}}}}},"nodeInfo":{{"machineID":"{machine}","systemUUID":"{machine}","bootID":"{boot}","kernelVersion":"{kernel}","osImage":"{image}","containerRuntimeVersion":"containerd://1.6.20","kubeletVersion":"{version}","kubeProxyVersion":"","operatingSystem":"{system}","architecture":"amd64"}}}}}}"#
        )
    }

    /// The static pod that runs on every node.
    pub(crate) fn pod(&self) -> String {
        let name = &self.name;
        let uid = uid(&format!("talker-{name}"));
        let owner = uid_of(name);
        format!(
            r#"{{"metadata":{{"name":"talker-{name}","namespace":"kube-system","uid":"{uid}","resourceVersion":"1190","creationTimestamp":"2023-11-14T22:14:00Z","labels":{{"app":"talker"}},"ownerReferences":[{{"apiVersion":"v1","kind":"Node","name":"{name}","uid":"{owner}","controller":true}}]}},"spec":{{"containers":[{{"name":"talker","image":"registry.example/busybox:1","resources":{{}}}}],"restartPolicy":"Always","nodeName":"{name}","hostNetwork":true}},"status":{{"phase":"Running","conditions":[{{"type":"Ready","status":"True","lastProbeTime":null,"lastTransitionTime":"2023-11-14T22:14:01Z"}}],"hostIP":"127.0.0.1","podIP":"127.0.0.1","startTime":"2023-11-14T22:14:00Z","containerStatuses":[{{"name":"talker","state":{{"running":{{"startedAt":"2023-11-14T22:14:01Z"}}}},"lastState":{{}},"ready":true,"restartCount":0,"image":"registry.example/busybox:1","imageID":"sha256:4ec954e95274fa81ff51d0ce3ea9caddaa193fd41456424bc1cbe2ee2354a095","containerID":"containerd://7a02f57066d5fc1ddb4403600a701f62a940dc9e2f496d26a8acf81122041173","started":true}}],"qosClass":"BestEffort"}}}}"#
        )
    }
}

/// An object on its own: its list form with kind and version in front.
pub(crate) fn single(kind: &str, item: &str) -> String {
    format!("{{\"kind\":\"{kind}\",\"apiVersion\":\"v1\",{}\n", &item[1..])
}

/// JSON text as Go writes it.
pub(crate) fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e")
}

fn uid_of(name: &str) -> String {
    uid(name)
}

/// A stable UUID for a name.
pub(crate) fn uid(name: &str) -> String {
    let mix = |seed: u64| {
        name.bytes()
            .fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(17))
    };
    dashed(&format!("{:016x}{:016x}", mix(0xcbf2_9ce4_8422_2325), mix(0x9e37_79b9_7f4a_7c15)))
}

/// 32 hexadecimal digits as a UUID.
pub(crate) fn dashed(hex: &str) -> String {
    match hex.len() {
        32 => format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]),
        _ => hex.to_owned(),
    }
}
