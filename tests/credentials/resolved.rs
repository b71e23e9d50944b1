//! Rules about what is chosen where no server can be asked: inside a pod, or where there is none.

use super::Resolved;

/// A pod's files.
const POD: &[(&str, &str)] = &[("pod/token", "t"), ("pod/namespace", "podns\n"), ("pod/ca.crt", "junk")];
/// A pod's variables.
const SERVICE: &[(&str, &str)] = &[("KUBERNETES_SERVICE_HOST", "10.0.0.1"), ("KUBERNETES_SERVICE_PORT", "443")];

const NOTHING: Resolved = Resolved { rule: "", files: &[], args: &[], env: &[], expected: "" };

/// What is chosen where no server needs to be asked, or none can be.
pub(super) const ROWS: &[Resolved] = &[
    Resolved {
        rule: "no kubeconfig and no server: localhost:8080, and why",
        env: &[("HOME", "@DIR@")],
        expected: "server=http://localhost:8080 trust=System namespace=default token=false token-file=\"\" exec=false as=\"\" \
                   warnings=[\"there is no kubeconfig: @DIR@/.kube/config does not exist: trying http://localhost:8080, as kubectl does\"]",
        ..NOTHING
    },
    Resolved {
        rule: "no home: no default file, never one of the working directory",
        expected: "there is no kubeconfig: HOME is not set",
        ..NOTHING
    },
    Resolved {
        rule: "no current-context",
        files: &[(".kube/config", "contexts: [{name: a, context: {cluster: c}}]")],
        env: &[("HOME", "@DIR@")],
        expected: "@DIR@/.kube/config sets no current-context (choose with --context): trying http://localhost:8080",
        ..NOTHING
    },
    Resolved {
        rule: "a context's missing cluster",
        files: &[(".kube/config", "current-context: x\ncontexts: [{name: x, context: {cluster: gone}}]")],
        env: &[("HOME", "@DIR@")],
        expected: "cluster \\\"gone\\\" does not exist in @DIR@/.kube/config: trying http://localhost:8080",
        ..NOTHING
    },
    Resolved {
        rule: "a cluster without a server",
        files: &[(
            ".kube/config",
            "current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\nclusters: [{name: c}]",
        )],
        env: &[("HOME", "@DIR@")],
        expected: "cluster \\\"c\\\" has no server: trying",
        ..NOTHING
    },
    Resolved {
        rule: "namespace: default",
        args: &["-s", "https://a.example"],
        expected: "server=https://a.example:443 trust=System namespace=default",
        ..NOTHING
    },
    Resolved {
        rule: "namespace: the context's",
        files: &[("c", "current-context: x\ncontexts: [{name: x, context: {namespace: ctx}}]")],
        args: &["--kubeconfig", "@DIR@/c"],
        expected: "context=\"x\" server=http://localhost:8080 trust=System namespace=ctx",
        ..NOTHING
    },
    Resolved {
        rule: "namespace: the flag over the context's",
        files: &[("c", "current-context: x\ncontexts: [{name: x, context: {namespace: ctx}}]")],
        args: &["--kubeconfig", "@DIR@/c", "-n", "flag"],
        expected: "namespace=flag",
        ..NOTHING
    },
    Resolved {
        rule: "with a token the plugin is left out",
        files: &[(
            "c",
            "users: [{name: u, user: {token: t, exec: {apiVersion: client.authentication.k8s.io/v1, command: x, interactiveMode: Never}}}]",
        )],
        args: &["--kubeconfig", "@DIR@/c", "--user", "u", "-s", "https://a.example"],
        expected: "token=true token-file=\"\" exec=false",
        ..NOTHING
    },
    Resolved {
        rule: "in a pod: its server, token file, namespace; a bad CA is said",
        files: POD,
        env: SERVICE,
        expected: "context=\"\" server=https://10.0.0.1:443 trust=System namespace=podns token=false token-file=\"@DIR@/pod/token\" \
                   exec=false as=\"\" warnings=[\"@DIR@/pod/ca.crt holds no certificate",
        ..NOTHING
    },
    Resolved {
        rule: "in a pod: no CA is said",
        files: &[("pod/token", "t")],
        env: SERVICE,
        expected: "namespace=default token=false token-file=\"@DIR@/pod/token\" exec=false as=\"\" \
                   warnings=[\"@DIR@/pod/ca.crt can't be read",
        ..NOTHING
    },
    Resolved {
        rule: "in a pod: IPv6 in brackets",
        files: POD,
        env: &[("KUBERNETES_SERVICE_HOST", "fd00::1"), ("KUBERNETES_SERVICE_PORT", "6443")],
        expected: "server=https://[fd00::1]:6443",
        ..NOTHING
    },
    Resolved {
        rule: "in a pod: POD_NAMESPACE over the file's",
        files: POD,
        env: &[("KUBERNETES_SERVICE_HOST", "h"), ("KUBERNETES_SERVICE_PORT", "1"), ("POD_NAMESPACE", "env")],
        expected: "namespace=env",
        ..NOTHING
    },
    Resolved {
        rule: "in a pod: --token instead of the token file, --server instead of the pod's",
        files: POD,
        env: SERVICE,
        args: &["--token", "x"],
        expected: "server=https://10.0.0.1:443 trust=System namespace=podns token=true token-file=\"\"",
    },
    Resolved {
        rule: "in a pod: --as",
        files: POD,
        env: SERVICE,
        args: &["--as", "jane"],
        expected: "token-file=\"@DIR@/pod/token\" exec=false as=\"jane\"",
    },
    Resolved {
        rule: "in a pod: --insecure-skip-tls-verify, not silent",
        files: POD,
        env: SERVICE,
        args: &["--insecure-skip-tls-verify"],
        expected: "trust=Insecure namespace=podns token=false token-file=\"@DIR@/pod/token\" exec=false as=\"\" warnings=[\"the certificate of",
    },
    Resolved {
        rule: "a pod's KUBERNETES_MASTER is the default that the pod's own access replaces",
        files: POD,
        env: &[
            ("KUBERNETES_SERVICE_HOST", "h"),
            ("KUBERNETES_SERVICE_PORT", "1"),
            ("KUBERNETES_MASTER", "https://m.example"),
        ],
        expected: "server=https://h:1",
        ..NOTHING
    },
    Resolved {
        rule: "in a pod a kubeconfig wins, but the namespace is still the pod's",
        files: &[
            ("pod/token", "t"),
            ("pod/namespace", "podns"),
            (
                "c",
                "current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\nclusters: [{name: c, cluster: {server: 'https://k.example'}}]",
            ),
        ],
        args: &["--kubeconfig", "@DIR@/c"],
        env: SERVICE,
        expected: "context=\"x\" server=https://k.example:443 trust=System namespace=podns token=false token-file=\"\"",
    },
    Resolved {
        rule: "no pod without its port",
        files: POD,
        env: &[("KUBERNETES_SERVICE_HOST", "10.0.0.1")],
        expected: "server=http://localhost:8080",
        ..NOTHING
    },
    Resolved {
        rule: "no pod without its token",
        files: &[("pod/token/directory", "")],
        env: SERVICE,
        expected: "server=http://localhost:8080",
        ..NOTHING
    },
];
