//! Which credential plugins may run: kubectl's kuberc; and how long.

use super::Seen::{Requests, User};
use super::{GOOD, ROW, Row};

const ADMIN: &str = "admin";

pub(super) const ROWS: &[Row] = &[
    Row {
        rule: "kuberc: AllowAll",
        user: plugin!("  interactiveMode: Never"),
        files: &[GOOD, ("home/.kube/kuberc", kuberc!("credentialPluginPolicy: AllowAll"))],
        words: &["!warning"],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "kuberc: DenyAll",
        user: plugin!("  interactiveMode: Never"),
        files: &[GOOD, ("home/.kube/kuberc", kuberc!("credentialPluginPolicy: DenyAll"))],
        exit: 4,
        words: &[
            "credential plugin \"/bin/sh\" may not be run: credentialPluginPolicy of @DIR@/home/.kube/kuberc is DenyAll",
            "hint: credentialPluginPolicy and",
        ],
        seen: &[Requests(0)],
        ..ROW
    },
    Row {
        rule: "kuberc: DenyAll is about plugins alone",
        files: &[("home/.kube/kuberc", kuberc!("credentialPluginPolicy: DenyAll"))],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "kuberc: with a token no plugin runs, and its faults are nobody's",
        user: "token: @ADMIN@\nexec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: x}",
        files: &[("home/.kube/kuberc", kuberc!("credentialPluginPolicy: Maybe"))],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "kuberc: a plugin on the list",
        user: plugin!("  interactiveMode: Never"),
        files: &[
            GOOD,
            (
                "home/.kube/kuberc",
                kuberc!(
                    "credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist: [{name: x}, {command: /bin/sh}]"
                ),
            ),
        ],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "kuberc: a name on the list is looked up on PATH",
        user: "exec:\n  apiVersion: client.authentication.k8s.io/v1\n  interactiveMode: Never\n  command: '@PLUGINS@/credential-plugin'\n  env: [{name: CREDENTIAL, value: '@DIR@/cred'}]",
        files: &[
            GOOD,
            (
                "home/.kube/kuberc",
                kuberc!("credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist: [{command: credential-plugin}]"),
            ),
        ],
        env: &[("PATH", "@PLUGINS@:@PATH@")],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "kuberc: a plugin that is not on the list",
        user: plugin!("  interactiveMode: Never"),
        files: &[
            GOOD,
            (
                "rc",
                kuberc!(
                    "credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist: [{command: /bin/s}, {command: credential-plugin}]"
                ),
            ),
        ],
        env: &[("KUBERC", "@DIR@/rc")],
        exit: 4,
        words: &["may not be run: credentialPluginAllowlist of @DIR@/rc does not name it", "hint: "],
        seen: &[Requests(0)],
        ..ROW
    },
    Row {
        rule: "kuberc: KUBERC=off",
        user: plugin!("  interactiveMode: Never"),
        files: &[GOOD, ("home/.kube/kuberc", kuberc!("credentialPluginPolicy: DenyAll"))],
        env: &[("KUBERC", "off")],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "kuberc: an unknown policy",
        user: plugin!("  interactiveMode: Never"),
        files: &[GOOD, ("home/.kube/kuberc", kuberc!("credentialPluginPolicy: Maybe"))],
        exit: 1,
        words: &["error: kuberc @DIR@/home/.kube/kuberc: credentialPluginPolicy \"Maybe\" is not known", "hint: "],
        seen: &[Requests(0)],
        ..ROW
    },
    Row {
        rule: "kuberc: a broken file is told and not followed, as by kubectl",
        user: plugin!("  interactiveMode: Never"),
        files: &[GOOD, ("home/.kube/kuberc", "a: [")],
        words: &["warning: kuberc @DIR@/home/.kube/kuberc: no document of it is a Preference"],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "kuberc: a broken file that speaks of plugins might deny them",
        user: plugin!("  interactiveMode: Never"),
        files: &[GOOD, ("home/.kube/kuberc", "credentialPluginPolicy: DenyAll")],
        exit: 1,
        words: &[
            "error: kuberc @DIR@/home/.kube/kuberc: no document of it is a Preference",
            "hint: it may forbid credential plugins: correct it, or set KUBERC=off",
        ],
        seen: &[Requests(0)],
        ..ROW
    },
    Row {
        rule: "kuberc: DenyAll behind the dashes that begin a document",
        user: plugin!("  interactiveMode: Never"),
        files: &[
            GOOD,
            (
                "home/.kube/kuberc",
                "--- {apiVersion: kubectl.config.k8s.io/v1beta1, kind: Preference, credentialPluginPolicy: DenyAll}\n",
            ),
        ],
        exit: 4,
        words: &["is DenyAll"],
        seen: &[Requests(0)],
        ..ROW
    },
    Row {
        rule: "kuberc: DenyAll with a byte-order mark",
        user: plugin!("  interactiveMode: Never"),
        files: &[GOOD, ("home/.kube/kuberc", concat!("utf8bom:", kuberc!("credentialPluginPolicy: DenyAll")))],
        exit: 4,
        words: &["is DenyAll"],
        seen: &[Requests(0)],
        ..ROW
    },
    Row {
        rule: "kuberc: DenyAll in UTF-16",
        user: plugin!("  interactiveMode: Never"),
        files: &[GOOD, ("home/.kube/kuberc", concat!("utf16le:", kuberc!("credentialPluginPolicy: DenyAll")))],
        exit: 4,
        words: &["is DenyAll"],
        seen: &[Requests(0)],
        ..ROW
    },
    Row {
        rule: "kuberc: its own words may hold secrets, which are not told",
        user: plugin!("  interactiveMode: Never"),
        files: &[
            GOOD,
            (
                "rc",
                kuberc!(
                    "aliases: [{name: s3cr3t, options: [s3cr3t]}]\ns3cr3t: s3cr3t\ncredentialPluginPolicy: [s3cr3t]"
                ),
            ),
        ],
        env: &[("KUBERC", "@DIR@/rc")],
        exit: 1,
        words: &["credentialPluginPolicy is no string"],
        seen: &[Requests(0)],
        ..ROW
    },
    Row {
        rule: "kuberc: a file that KUBERC names must be good",
        user: plugin!("  interactiveMode: Never"),
        files: &[GOOD],
        env: &[("KUBERC", "@DIR@/none")],
        exit: 1,
        words: &["error: kuberc @DIR@/none: No such file", "hint: correct the file that KUBERC names"],
        ..ROW
    },
    // How long.
    Row {
        rule: "a plugin that hangs: --request-timeout",
        user: "exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: /bin/sh, args: [-c, 'exec sleep 1000']}",
        args: &["--request-timeout", "1"],
        exit: 4,
        words: &["credential plugin \"/bin/sh\" did not end within 1 s", "hint: --request-timeout counts"],
        seen: &[Requests(0)],
        ..ROW
    },
    Row {
        rule: "a plugin that hangs: --timeout",
        user: "exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: /bin/sh, args: [-c, 'exec sleep 1000']}",
        args: &["--timeout", "1"],
        exit: 3,
        words: &["warning: the credential plugin \"/bin/sh\" did not end: killed", "longer than --timeout"],
        seen: &[Requests(0)],
        ..ROW
    },
    Row {
        rule: "a plugin that leaves a child behind",
        user: "exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: /bin/sh, args: [-c, 'sleep 3 2>/dev/null & cat @DIR@/cred']}",
        files: &[GOOD],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "a plugin whose credentials come expired: they are tried",
        user: plugin!("  interactiveMode: Never"),
        files: &[("cred", credential!("\"token\":\"@ADMIN@\",\"expirationTimestamp\":\"2020-11-21T00:00:00Z\""))],
        seen: &[User(ADMIN), Requests(1)],
        ..ROW
    },
];
