//! The rules as data.

use super::Seen::{Header, Path, Requests, User};
use super::{ROW, Resolved, Row};

const ADMIN: &str = "admin";

/// A kubeconfig with one cluster and user, for rows about files.
macro_rules! config {
    ($user:literal) => {
        concat!(
            "current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n",
            "clusters: [{name: c, cluster: {server: \"@URL@\", certificate-authority-data: @CA@}}]\n",
            "users: [{name: u, user: {",
            $user,
            "}}]\n"
        )
    };
}

/// A user whose credential plugin prints the file `cred`.
macro_rules! plugin {
    ($more:literal) => {
        concat!(
            "exec:\n  apiVersion: client.authentication.k8s.io/v1\n  command: /bin/sh\n  args: [-c, 'cat @DIR@/cred']\n",
            $more
        )
    };
}

macro_rules! credential {
    ($status:literal) => {
        concat!(
            "{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",\"status\":{",
            $status,
            "}}"
        )
    };
}

const GOOD: (&str, &str) = ("cred", credential!("\"token\":\"@ADMIN@\""));

/// What works as with kubectl.
pub(super) const RULES: &[Row] = &[
    // Which files.
    Row {
        rule: "--kubeconfig is that file alone",
        args: &["--kubeconfig", "@DIR@/other"],
        files: &[("other", config!("token: @READER@"))],
        seen: &[User("logreader"), Requests(1)],
        ..ROW
    },
    Row { rule: "an empty --kubeconfig is none", args: &["--kubeconfig", ""], seen: &[User(ADMIN)], ..ROW },
    Row {
        rule: "KUBECONFIG: the first file wins whole entries; empty, repeated and missing names are skipped",
        files: &[("a", "users: [{name: u, user: {token: @ADMIN@}}]"), ("b", config!("token: @BAD@, as: nobody"))],
        env: &[("KUBECONFIG", ":@DIR@/a::@DIR@/none:@DIR@/b:@DIR@/a")],
        words: &["!warning"],
        seen: &[User(ADMIN), Header("impersonate-user", &[])],
        ..ROW
    },
    Row {
        rule: "current-context: the first that is not empty",
        files: &[
            ("a", "current-context: ''\ncontexts: [{name: y, context: {}}]"),
            ("b", config!("token: @ADMIN@")),
            ("c", "current-context: y"),
        ],
        env: &[("KUBECONFIG", "@DIR@/a:@DIR@/b:@DIR@/c")],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "without KUBECONFIG the home directory's file",
        files: &[("home/.kube/config", config!("token: @ADMIN@"))],
        env: &[("KUBECONFIG", "")],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "all files of KUBECONFIG missing: a warning",
        env: &[("KUBECONFIG", "@DIR@/none1:@DIR@/none2"), ("KUBERNETES_MASTER", "@PLAIN@")],
        words: &["warning: no file that KUBECONFIG names exists: @DIR@/none1, @DIR@/none2"],
        seen: &[Requests(1)],
        ..ROW
    },
    Row {
        rule: "an empty file is fine",
        files: &[("a", ""), ("b", "# nothing\n"), ("c", config!("token: @ADMIN@"))],
        env: &[("KUBECONFIG", "@DIR@/a:@DIR@/b:@DIR@/c")],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "UTF-8 with a byte-order mark",
        config: Some(concat!("utf8bom:", config!("token: @ADMIN@"))),
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "UTF-16, little end first",
        config: Some(concat!("utf16le:", config!("token: @ADMIN@"))),
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "UTF-16, big end first",
        config: Some(concat!("utf16be:", config!("token: @ADMIN@"))),
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "JSON is YAML",
        config: Some(
            "{\"current-context\": \"x\", \"contexts\": [{\"name\": \"x\", \"context\": {\"cluster\": \"c\", \"user\": \"u\"}}], \
             \"clusters\": [{\"name\": \"c\", \"cluster\": {\"server\": \"@URL@\", \"certificate-authority-data\": \"@CA@\"}}], \
             \"users\": [{\"name\": \"u\", \"user\": {\"token\": \"@ADMIN@\"}}]}",
        ),
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "of repeated keys the last counts, unknown ones are passed over, only the first document is read",
        config: Some(concat!(config!("token: @BAD@, token: @ADMIN@, unknown: {a: [1]}"), "more: 1\n---\n[junk")),
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "anchors and merge keys",
        config: Some(
            "x: &t {token: @ADMIN@, as: nobody}\ncurrent-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n\
             clusters: [{name: c, cluster: {server: &s \"@URL@\", certificate-authority-data: @CA@, proxy-url: ''}}]\n\
             users: [{name: u, user: {<<: *t, as: logreader}}]\n",
        ),
        seen: &[User(ADMIN), Header("impersonate-user", &["logreader"])],
        ..ROW
    },
    Row {
        rule: "relative paths count from their file: CA, certificate and key",
        cluster: "certificate-authority: pki/ca.crt",
        user: "client-certificate: ../kube/c.crt\nclient-key: c.key",
        files: &[("kube/pki/ca.crt", "@CAPEM@"), ("kube/c.crt", "@CRTPEM@"), ("kube/c.key", "@KEYPEM@")],
        seen: &[User(ADMIN), Header("authorization", &[])],
        ..ROW
    },
    Row {
        rule: "relative paths count from their file: tokenFile",
        user: "tokenFile: t",
        files: &[("kube/t", "@ADMIN@")],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "relative paths count from their file: exec.command with a separator",
        user: "exec:\n  apiVersion: client.authentication.k8s.io/v1\n  interactiveMode: Never\n  command: ./plugin\n  env: [{name: CREDENTIAL, value: '@DIR@/cred'}]",
        files: &[GOOD, ("kube/plugin", "link:@PLUGINS@/credential-plugin")],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "exec.command without a separator is looked for on PATH, ours and not the plugin's",
        user: "exec:\n  apiVersion: client.authentication.k8s.io/v1\n  interactiveMode: Never\n  command: credential-plugin\n  env: [{name: CREDENTIAL, value: '@DIR@/cred'}, {name: PATH, value: /bin:/usr/bin}]",
        files: &[GOOD],
        env: &[("PATH", "@PLUGINS@:@PATH@")],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "paths from flags count from the working directory",
        cluster: "",
        user: "",
        files: &[("cwd/ca.crt", "@CAPEM@"), ("cwd/c.crt", "@CRTPEM@"), ("cwd/c.key", "@KEYPEM@")],
        args: &["--certificate-authority", "./ca.crt", "--client-certificate", "./c.crt", "--client-key", "./c.key"],
        seen: &[User(ADMIN)],
        ..ROW
    },
    // Selection.
    Row {
        rule: "--context over current-context",
        config: Some(concat!(
            "current-context: nowhere\ncontexts: [{name: y, context: {cluster: c, user: u}}]\n",
            "clusters: [{name: c, cluster: {server: \"@URL@\", certificate-authority-data: @CA@}}]\n",
            "users: [{name: u, user: {token: @ADMIN@}}]\n"
        )),
        args: &["--context", "y"],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "--cluster and --user over the context's",
        config: Some(
            "current-context: x\ncontexts: [{name: x, context: {cluster: none, user: none}}]\n\
             clusters: [{name: c, cluster: {server: '@URL@', certificate-authority-data: @CA@}}]\n\
             users: [{name: u, user: {token: @ADMIN@}}]\n",
        ),
        args: &["--cluster", "c", "--user", "u"],
        words: &["!warning"],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "--cluster and --user without any context",
        config: Some(
            "clusters: [{name: c, cluster: {server: '@URL@', certificate-authority-data: @CA@}}]\n\
             users: [{name: u, user: {token: @ADMIN@}}]\n",
        ),
        args: &["--cluster", "c", "--user", "u"],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "a context's missing user is anonymous, and said",
        config: Some(
            "current-context: x\ncontexts: [{name: x, context: {cluster: c, user: gone}}]\n\
             clusters: [{name: c, cluster: {server: '@URL@', certificate-authority-data: @CA@}}]\n",
        ),
        exit: 4,
        words: &["warning: context \"x\" names the user \"gone\", which does not exist in @DIR@/kube/config"],
        seen: &[User("system:anonymous"), Header("authorization", &[])],
        ..ROW
    },
    Row {
        rule: "no server: KUBERNETES_MASTER",
        config: Some(""),
        env: &[("KUBERNETES_MASTER", "@PLAIN@")],
        seen: &[Requests(1), Path("/api/v1/nodes/node-a/proxy/logs/empty.log")],
        ..ROW
    },
    Row {
        rule: "no server but --server",
        config: Some(""),
        args: &["--server", "@URL@", "--token", "@ADMIN@", "--certificate-authority", "@DIR@/ca"],
        files: &[("ca", "@CAPEM@")],
        words: &["!warning"],
        seen: &[User(ADMIN)],
        ..ROW
    },
    // Cluster fields.
    Row {
        rule: "a path in server is kept, query and fragment are not",
        server: "'@PLAIN@/k8s/clusters/x/?a=b#c'",
        seen: &[Path("/k8s/clusters/x/api/v1/nodes/node-a/proxy/logs/empty.log")],
        ..ROW
    },
    Row {
        rule: "without a scheme it is https if a CA is given",
        server: "127.0.0.1:@PORT@",
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "without a scheme it is https if insecure",
        server: "127.0.0.1:@PORT@",
        cluster: "insecure-skip-tls-verify: true",
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "without a scheme it is https if a client certificate is given",
        server: "127.0.0.1:@PORT@",
        cluster: "",
        user: "client-certificate-data: @CRT@\nclient-key-data: @KEY@",
        env: &[("SSL_CERT_FILE", "@DIR@/ca")],
        files: &[("ca", "@CAPEM@")],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "without a scheme and without any of these it is http",
        server: "'@PLAINADDRESS@'",
        cluster: "",
        seen: &[Requests(1), Header("authorization", &[])],
        ..ROW
    },
    Row {
        rule: "certificate-authority: a file",
        cluster: "certificate-authority: '@DIR@/ca'",
        files: &[("ca", "some words\n@CAPEM@")],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "without a CA the system's roots",
        cluster: "",
        env: &[("SSL_CERT_FILE", "@DIR@/ca")],
        files: &[("ca", "@CAPEM@")],
        words: &["!warning"],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "a CA replaces the system's roots",
        cluster: "certificate-authority-data: @CRT@",
        env: &[("SSL_CERT_FILE", "@DIR@/ca")],
        files: &[("ca", "@CAPEM@")],
        exit: 6,
        words: &["certificate"],
        seen: &[Requests(0)],
        ..ROW
    },
    Row {
        rule: "tls-server-name is what the certificate must be for",
        cluster: "certificate-authority-data: @CA@\ntls-server-name: kubernetes.default.svc",
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "another tls-server-name fails",
        cluster: "certificate-authority-data: @CA@\ntls-server-name: elsewhere.example",
        exit: 6,
        words: &["elsewhere.example"],
        seen: &[Requests(0)],
        ..ROW
    },
    Row {
        rule: "--tls-server-name over the kubeconfig's",
        cluster: "certificate-authority-data: @CA@\ntls-server-name: elsewhere.example",
        args: &["--tls-server-name", "localhost"],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "--server clears the kubeconfig's tls-server-name",
        cluster: "certificate-authority-data: @CA@\ntls-server-name: elsewhere.example",
        args: &["--server", "@URL@"],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "--server over the kubeconfig's",
        server: "https://127.0.0.1:1",
        args: &["-s", "@URL@"],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "insecure-skip-tls-verify is never silent",
        cluster: "insecure-skip-tls-verify: true",
        args: &["-q"],
        words: &["warning: the certificate of https://127.0.0.1:@PORT@ is not verified"],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "a boolean may be YAML 1.1's yes",
        cluster: "insecure-skip-tls-verify: yes",
        words: &["is not verified"],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "--insecure-skip-tls-verify clears the CA",
        cluster: "certificate-authority-data: @CRT@",
        args: &["--insecure-skip-tls-verify"],
        words: &["is not verified"],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "--insecure-skip-tls-verify=false is as if it were not there",
        cluster: "insecure-skip-tls-verify: true",
        args: &["--insecure-skip-tls-verify=false"],
        words: &["is not verified"],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "--certificate-authority clears CA data and insecure",
        cluster: "insecure-skip-tls-verify: true\ncertificate-authority-data: @CRT@",
        args: &["--certificate-authority", "@DIR@/ca"],
        files: &[("ca", "@CAPEM@")],
        words: &["!not verified"],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "disable-compression and its flag are taken",
        cluster: "certificate-authority-data: @CA@\ndisable-compression: true",
        args: &["--disable-compression=true"],
        seen: &[User(ADMIN)],
        ..ROW
    },
    // User fields.
    Row { rule: "token", seen: &[User(ADMIN), Header("authorization", &["Bearer @ADMIN@"]), Requests(1)], ..ROW },
    Row {
        rule: "--token over the kubeconfig's",
        user: "token: @BAD@",
        args: &["--token", "@ADMIN@"],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "credentials go only over https: token",
        server: "@PLAIN@",
        cluster: "",
        seen: &[Requests(1), Header("authorization", &[])],
        ..ROW
    },
    Row {
        rule: "credentials go only over https: basic",
        server: "@PLAIN@",
        cluster: "",
        user: "username: admin\npassword: @PASSWORD@",
        seen: &[Requests(1), Header("authorization", &[])],
        ..ROW
    },
    Row {
        rule: "credentials go only over https: no token file is read",
        server: "@PLAIN@",
        cluster: "",
        user: "tokenFile: none",
        seen: &[Requests(1), Header("authorization", &[])],
        ..ROW
    },
    Row {
        rule: "credentials go only over https: no plugin is run",
        server: "@PLAIN@",
        cluster: "",
        user: "exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: no-such-plugin}",
        seen: &[Requests(1), Header("authorization", &[])],
        ..ROW
    },
    Row {
        rule: "impersonation goes over http too: whoever proxies there must not act with more",
        server: "@PLAIN@",
        cluster: "",
        args: &["--as", "nobody", "--as-group", "g"],
        seen: &[Header("impersonate-user", &["nobody"]), Header("impersonate-group", &["g"])],
        ..ROW
    },
    Row {
        rule: "tokenFile, trimmed, beats token",
        user: "token: @BAD@\ntokenFile: '@DIR@/t'",
        files: &[("t", "  @ADMIN@\n\n")],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "tokenFile beats --token",
        user: "tokenFile: '@DIR@/t'",
        args: &["--token", "@BAD@"],
        files: &[("t", "@ADMIN@")],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "while tokenFile can't be read, token serves, and it is said",
        user: "token: @ADMIN@\ntokenFile: none",
        words: &["warning: token file @DIR@/kube/none can't be read"],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row { rule: "basic", user: "username: admin\npassword: @PASSWORD@", seen: &[User(ADMIN)], ..ROW },
    Row {
        rule: "--username and --password",
        user: "username: nobody\npassword: wrong",
        args: &["--username", "admin", "--password", "@PASSWORD@"],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "client certificate from data, PKCS#8",
        user: "client-certificate-data: @CRT@\nclient-key-data: @KEY@",
        seen: &[User(ADMIN), Header("authorization", &[])],
        ..ROW
    },
    Row {
        rule: "client certificate with a SEC1 key",
        user: "client-certificate-data: @SEC1CRT@\nclient-key-data: @SEC1KEY@",
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "client certificate with an RSA key in PKCS#1",
        user: "client-certificate-data: @RSACRT@\nclient-key-data: @RSAKEY@",
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "certificate and token are both presented",
        user: "client-certificate-data: @CRT@\nclient-key-data: @KEY@\ntoken: @ADMIN@",
        seen: &[Header("authorization", &["Bearer @ADMIN@"])],
        ..ROW
    },
    Row {
        rule: "a key without a certificate is no certificate",
        user: "client-key: none\ntoken: @ADMIN@",
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "flag certificate and key replace data and path",
        user: "client-certificate-data: @LIMITEDCRT@\nclient-key-data: @LIMITEDKEY@\nclient-key: x",
        args: &["--client-certificate", "@DIR@/c.crt", "--client-key", "@DIR@/c.key"],
        files: &[("c.crt", "@CRTPEM@"), ("c.key", "@KEYPEM@")],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "impersonation from the kubeconfig, keys escaped, values repeated",
        user: "token: @ADMIN@\nas: logreader\nas-uid: '7'\nas-groups: [a, b]\nas-user-extra: {'x.example/Y%': [one, 'two words'], none: null}",
        seen: &[
            Header("authorization", &["Bearer @ADMIN@"]),
            Header("impersonate-user", &["logreader"]),
            Header("impersonate-uid", &["7"]),
            Header("impersonate-group", &["a", "b"]),
            Header("impersonate-extra-x.example%2fy%25", &["one", "two words"]),
            Header("impersonate-extra-none", &[]),
        ],
        ..ROW
    },
    Row {
        rule: "impersonation from flags over the kubeconfig's, part by part",
        user: "token: @ADMIN@\nas: nobody\nas-uid: '7'\nas-groups: [a, b]\nas-user-extra: {k: [old], l: [kept]}",
        args: &[
            "--as",
            "logreader",
            "--as-group",
            "c",
            "--as-group=d",
            "--as-user-extra",
            "k=1",
            "--as-user-extra",
            "k=2",
        ],
        seen: &[
            Header("impersonate-user", &["logreader"]),
            Header("impersonate-uid", &["7"]),
            Header("impersonate-group", &["c", "d"]),
            Header("impersonate-extra-k", &["1", "2"]),
            Header("impersonate-extra-l", &["kept"]),
        ],
        ..ROW
    },
    Row {
        rule: "--as-uid",
        args: &["--as", "logreader", "--as-uid", "9"],
        seen: &[Header("impersonate-uid", &["9"])],
        ..ROW
    },
    // Credential plugins.
    Row {
        rule: "a plugin's token, asked for once",
        user: plugin!("  interactiveMode: Never"),
        files: &[GOOD],
        seen: &[User(ADMIN), Header("authorization", &["Bearer @ADMIN@"]), Requests(1)],
        ..ROW
    },
    Row {
        rule: "a plugin's certificate and key",
        user: plugin!("  interactiveMode: IfAvailable"),
        files: &[(
            "cred",
            credential!(
                "\"clientCertificateData\":\"@CRTJSON@\",\"clientKeyData\":\"@KEYJSON@\",\"expirationTimestamp\":\"2126-11-21T00:00:00Z\""
            ),
        )],
        seen: &[User(ADMIN), Header("authorization", &[])],
        ..ROW
    },
    Row {
        rule: "v1beta1 needs no interactiveMode",
        user: "exec:\n  apiVersion: client.authentication.k8s.io/v1beta1\n  command: cat\n  args: ['@DIR@/cred']",
        files: &[(
            "cred",
            "{\"apiVersion\":\"client.authentication.k8s.io/v1beta1\",\"kind\":\"ExecCredential\",\"status\":{\"token\":\"@ADMIN@\"}}",
        )],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "a plugin gets the environment, then its env, then KUBERNETES_EXEC_INFO; its stderr is ours",
        user: "exec:\n  apiVersion: client.authentication.k8s.io/v1\n  interactiveMode: IfAvailable\n  command: /bin/sh\n  args: [-c, 'echo \"$OURS $BOTH $KUBERNETES_EXEC_INFO\" >&2; cat @DIR@/cred']\n  env: [{name: BOTH, value: its}, {name: KUBERNETES_EXEC_INFO, value: forged}]",
        files: &[GOOD],
        env: &[("OURS", "ours"), ("BOTH", "ours")],
        words: &[
            "ours its {\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",\"spec\":{\"interactive\":false}}",
        ],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "provideClusterInfo tells the plugin about the cluster",
        cluster: "certificate-authority-data: @CA@\ntls-server-name: localhost\ndisable-compression: true\nextensions: [{name: other, extension: x}, {name: client.authentication.k8s.io/exec, extension: {audience: a1}}]",
        user: "exec:\n  apiVersion: client.authentication.k8s.io/v1\n  interactiveMode: Never\n  provideClusterInfo: true\n  command: /bin/sh\n  args: [-c, 'echo \"$KUBERNETES_EXEC_INFO\" >&2; cat @DIR@/cred']",
        files: &[GOOD],
        words: &[
            "\"server\":\"@URL@\"",
            "\"tls-server-name\":\"localhost\"",
            "\"certificate-authority-data\":\"@CA@\"",
            "\"disable-compression\":true",
            "\"config\":{\"audience\":\"a1\"}",
        ],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "provideClusterInfo tells of an unverified server",
        cluster: "insecure-skip-tls-verify: true",
        user: "exec:\n  apiVersion: client.authentication.k8s.io/v1\n  interactiveMode: Never\n  provideClusterInfo: true\n  command: /bin/sh\n  args: [-c, 'echo \"$KUBERNETES_EXEC_INFO\" >&2; cat @DIR@/cred']",
        files: &[GOOD],
        words: &["\"insecure-skip-tls-verify\":true"],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "a 401 runs the plugin again",
        user: "exec:\n  apiVersion: client.authentication.k8s.io/v1\n  interactiveMode: Never\n  command: /bin/sh\n  args: [-c, 'if mkdir @DIR@/ran 2>/dev/null; then cat @DIR@/old; else cat @DIR@/cred; fi']",
        files: &[GOOD, ("old", credential!("\"token\":\"@BAD@\""))],
        seen: &[User(ADMIN), Requests(2)],
        ..ROW
    },
    Row {
        rule: "a 401 runs the plugin again once",
        user: plugin!("  interactiveMode: Never"),
        files: &[("cred", credential!("\"token\":\"@BAD@\""))],
        exit: 4,
        words: &["401"],
        seen: &[User(""), Requests(2)],
        ..ROW
    },
    Row {
        rule: "with a token no plugin is run",
        user: "token: @ADMIN@\nexec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: no-such-plugin}",
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "with --token no plugin is run",
        user: "exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: no-such-plugin}",
        args: &["--token=@ADMIN@"],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "with basic no plugin is run",
        user: "username: admin\npassword: @PASSWORD@\nexec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: no-such-plugin}",
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "with a certificate no plugin is run",
        user: "client-certificate-data: @CRT@\nclient-key-data: @KEY@\nexec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: no-such-plugin}",
        seen: &[User(ADMIN)],
        ..ROW
    },
    // Proxies and auth-provider, until they are built.
    Row {
        rule: "loopback is never proxied",
        env: &[("HTTPS_PROXY", "http://proxy.example:3128")],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "a token makes auth-provider oidc unnecessary",
        user: "token: @ADMIN@\nauth-provider: {name: oidc, config: {id-token: s3cr3t}}",
        seen: &[User(ADMIN)],
        ..ROW
    },
];

/// What must be told in one clear line: the thing, the place, the remedy.
pub(super) const BAD_INPUT: &[Row] = &[
    Row {
        rule: "--kubeconfig names no file",
        args: &["--kubeconfig", "@DIR@/none"],
        exit: 1,
        words: &["error: kubeconfig @DIR@/none: No such file or directory", "hint: check the path after --kubeconfig"],
        seen: &[Requests(0)],
        ..ROW
    },
    Row {
        rule: "KUBECONFIG names a directory",
        env: &[("KUBECONFIG", "@DIR@/kube")],
        exit: 1,
        words: &["error: kubeconfig @DIR@/kube: Is a directory", "hint: "],
        ..ROW
    },
    Row {
        rule: "broken YAML, with its line",
        config: Some("users:\n- name: u\n\tuser: s3cr3t\n"),
        exit: 1,
        words: &["error: kubeconfig @DIR@/kube/config line 3: found a tab character", "hint: "],
        ..ROW
    },
    Row {
        rule: "a second file that is broken",
        files: &[("bad", "a: [")],
        env: &[("KUBECONFIG", "@DIR@/kube/config:@DIR@/bad")],
        exit: 1,
        words: &["error: kubeconfig @DIR@/bad line "],
        ..ROW
    },
    Row {
        rule: "binary junk",
        config: Some("binary:"),
        exit: 1,
        words: &["error: kubeconfig @DIR@/kube/config line 2: not UTF-8 text", "hint: save the file as UTF-8"],
        ..ROW
    },
    Row {
        rule: "a huge file",
        config: Some("huge:"),
        exit: 1,
        words: &["error: kubeconfig @DIR@/kube/config: larger than 10 MiB"],
        ..ROW
    },
    Row {
        rule: "a text that is no mapping",
        config: Some("s3cr3t"),
        exit: 1,
        words: &["kubeconfig @DIR@/kube/config line 1: a string where a mapping belongs"],
        ..ROW
    },
    Row {
        rule: "another kind of object",
        config: Some("apiVersion: v1\nkind: Pod\n"),
        exit: 1,
        words: &["kind \"Pod\" of apiVersion \"v1\" is not a kubeconfig"],
        ..ROW
    },
    Row {
        rule: "the same name twice",
        config: Some("users: [{name: u}, {name: u}]"),
        exit: 1,
        words: &["kubeconfig @DIR@/kube/config: users holds the name \"u\" twice", "hint: remove or rename"],
        ..ROW
    },
    Row {
        rule: "a number for a token",
        user: "token: 1234567",
        exit: 1,
        words: &["line 15: users[0].user.token: a number where a string (in quotes) belongs", "!1234567"],
        ..ROW
    },
    Row {
        rule: "a string for a boolean",
        cluster: "insecure-skip-tls-verify: 'true'",
        exit: 1,
        words: &["clusters[0].cluster.insecure-skip-tls-verify: a string where true or false belongs"],
        ..ROW
    },
    Row {
        rule: "bad base64",
        cluster: "certificate-authority-data: 'a%'",
        exit: 1,
        words: &["line 11: clusters[0].cluster.certificate-authority-data: not standard base64 (at byte 1)"],
        ..ROW
    },
    Row {
        rule: "--context names nothing",
        args: &["--context", "nope"],
        exit: 1,
        words: &["error: context \"nope\" (--context) does not exist in @DIR@/kube/config", "hint: there are: \"ctx\""],
        ..ROW
    },
    Row {
        rule: "current-context names nothing",
        config: Some("current-context: nope"),
        exit: 1,
        words: &[
            "error: context \"nope\" (current-context) does not exist in @DIR@/kube/config",
            "hint: no context is defined",
        ],
        ..ROW
    },
    Row {
        rule: "--cluster names nothing",
        args: &["--cluster", "nope"],
        exit: 1,
        words: &["error: cluster \"nope\" (--cluster) does not exist in @DIR@/kube/config", "hint: there are: \"c\""],
        ..ROW
    },
    Row {
        rule: "--user names nothing",
        args: &["--user", "nope"],
        exit: 1,
        words: &["error: user \"nope\" (--user) does not exist in @DIR@/kube/config", "hint: there are: \"u\""],
        ..ROW
    },
    Row {
        rule: "a server of another scheme",
        server: "ftp://a.example",
        exit: 1,
        words: &[
            "error: cluster \"c\" of @DIR@/kube/config: server \"ftp://a.example\" has the scheme \"ftp\"",
            "hint: write it as https://HOST",
        ],
        ..ROW
    },
    Row {
        rule: "a server with a bad port",
        args: &["--server", "https://a.example:99999"],
        exit: 1,
        words: &["server \"https://a.example:99999\" has no valid port"],
        ..ROW
    },
    Row {
        rule: "a password in the server's URL",
        server: "https://bob:s3cr3t@a.example",
        exit: 1,
        words: &["holds a user name or password", "hint: put username and password"],
        ..ROW
    },
    Row {
        rule: "certificate-authority twice",
        cluster: "certificate-authority: x\ncertificate-authority-data: @CA@",
        exit: 1,
        words: &[
            "cluster \"c\" of @DIR@/kube/config: certificate-authority and certificate-authority-data exclude each other",
        ],
        ..ROW
    },
    Row {
        rule: "a CA file that is not there, even over http",
        server: "@PLAIN@",
        cluster: "certificate-authority: none",
        exit: 1,
        words: &["cluster \"c\" of @DIR@/kube/config: certificate-authority @DIR@/kube/none: No such file"],
        seen: &[Requests(0)],
        ..ROW
    },
    Row {
        rule: "a CA file that is a directory",
        cluster: "certificate-authority: '@DIR@'",
        exit: 1,
        words: &["certificate-authority @DIR@: Is a directory", "hint: correct certificate-authority"],
        ..ROW
    },
    Row {
        rule: "a CA file without a certificate",
        cluster: "certificate-authority: '@DIR@/ca'",
        files: &[("ca", "hello")],
        exit: 1,
        words: &["certificate-authority @DIR@/ca: holds no certificate (it holds no PEM block)"],
        ..ROW
    },
    Row {
        rule: "CA data that is a key",
        cluster: "certificate-authority-data: @KEY@",
        exit: 1,
        words: &["certificate-authority-data: holds no certificate (it holds: PRIVATE KEY)"],
        ..ROW
    },
    Row {
        rule: "insecure and a CA",
        cluster: "insecure-skip-tls-verify: true\ncertificate-authority-data: @CA@",
        exit: 1,
        words: &["insecure-skip-tls-verify and a certificate authority exclude each other"],
        ..ROW
    },
    Row {
        rule: "both flags",
        args: &["--insecure-skip-tls-verify", "--certificate-authority", "@DIR@/ca"],
        files: &[("ca", "@CAPEM@")],
        exit: 1,
        words: &["insecure-skip-tls-verify and a certificate authority exclude each other"],
        ..ROW
    },
    Row {
        rule: "a proxy-url of another scheme",
        cluster: "proxy-url: ftp://u:s3cr3t@p",
        exit: 1,
        words: &["cluster \"c\" of @DIR@/kube/config: proxy-url is not one of http, https, socks5"],
        ..ROW
    },
    Row {
        rule: "proxy-url is refused until it is built",
        cluster: "proxy-url: http://u:s3cr3t@p:3128",
        exit: 1,
        words: &["proxy-url is not supported yet", "hint: "],
        seen: &[Requests(0)],
        ..ROW
    },
    Row {
        rule: "a proxy from the environment is refused until it is built",
        server: "https://a.example:6443",
        env: &[("https_proxy", "http://u:s3cr3t@p:3128"), ("NO_PROXY", "b.example")],
        exit: 1,
        words: &[
            "error: https_proxy names a proxy for a.example:6443",
            "hint: where the server can be reached directly: NO_PROXY=a.example",
        ],
        ..ROW
    },
    Row {
        rule: "token and basic",
        user: "token: @ADMIN@\nusername: admin\npassword: @PASSWORD@",
        exit: 1,
        words: &["user \"u\" of @DIR@/kube/config: token and username/password exclude each other", "hint: give one"],
        seen: &[Requests(0)],
        ..ROW
    },
    Row {
        rule: "--token and the kubeconfig's basic, even over http",
        server: "@PLAIN@",
        cluster: "",
        user: "password: s3cr3t",
        args: &["--token", "@ADMIN@"],
        exit: 1,
        words: &["token and username/password exclude each other"],
        ..ROW
    },
    Row {
        rule: "tokenFile and basic",
        user: "tokenFile: x\nusername: admin",
        exit: 1,
        words: &["tokenFile and username/password exclude each other"],
        ..ROW
    },
    Row {
        rule: "a password without a username",
        user: "password: s3cr3t",
        exit: 1,
        words: &["has a password but no username"],
        ..ROW
    },
    Row {
        rule: "a token file that is not there",
        user: "tokenFile: none",
        exit: 1,
        words: &["token file @DIR@/kube/none can't be read: No such file", "hint: check tokenFile"],
        seen: &[Requests(0)],
        ..ROW
    },
    Row {
        rule: "an empty token file",
        user: "tokenFile: t",
        files: &[("kube/t", " \n")],
        exit: 1,
        words: &["token file @DIR@/kube/t is empty"],
        ..ROW
    },
    Row {
        rule: "a token that can't be sent",
        user: "token: \"s3cr3t\\nx\"",
        exit: 1,
        words: &["the token holds a control character, such as a line break"],
        ..ROW
    },
    Row {
        rule: "a certificate without its key",
        user: "client-certificate-data: @CRT@",
        exit: 1,
        words: &["user \"u\" of @DIR@/kube/config: the client certificate has no key", "hint: add client-key"],
        ..ROW
    },
    Row {
        rule: "certificate twice",
        user: "client-certificate-data: @CRT@\nclient-certificate: x\nclient-key-data: @KEY@",
        exit: 1,
        words: &["client-certificate and client-certificate-data exclude each other"],
        ..ROW
    },
    Row {
        rule: "key twice",
        user: "client-certificate-data: @CRT@\nclient-key: x\nclient-key-data: @KEY@",
        exit: 1,
        words: &["client-key and client-key-data exclude each other"],
        ..ROW
    },
    Row {
        rule: "a certificate file that is not there",
        user: "client-certificate: none\nclient-key-data: @KEY@",
        exit: 1,
        words: &["client-certificate @DIR@/kube/none: No such file"],
        ..ROW
    },
    Row {
        rule: "a key file that is not there, even over http",
        server: "@PLAIN@",
        cluster: "",
        user: "client-certificate-data: @CRT@\nclient-key: none",
        exit: 1,
        words: &["client-key @DIR@/kube/none: No such file"],
        seen: &[Requests(0)],
        ..ROW
    },
    Row {
        rule: "a key that is no key",
        user: "client-certificate-data: @CRT@\nclient-key-data: @CRT@",
        exit: 1,
        words: &["user \"u\" of @DIR@/kube/config: client-key-data: holds no private key (it holds: CERTIFICATE)"],
        ..ROW
    },
    Row {
        rule: "an encrypted key",
        user: "client-certificate-data: @CRT@\nclient-key-data: @ENCRYPTEDKEY@",
        exit: 1,
        words: &["client-key-data: holds an encrypted private key", "hint: decrypt it"],
        ..ROW
    },
    Row {
        rule: "a key of a kind TLS can't use here",
        user: "client-certificate-data: @CRT@\nclient-key-data: @P521KEY@",
        exit: 1,
        words: &["client-certificate-data with client-key-data: the private key can't be used", "hint: supported are"],
        ..ROW
    },
    Row {
        rule: "a key of another certificate",
        user: "client-certificate: c.crt\nclient-key-data: @LIMITEDKEY@",
        files: &[("kube/c.crt", "@CRTPEM@")],
        exit: 1,
        words: &[
            "client-certificate @DIR@/kube/c.crt with client-key-data: the private key does not belong to the certificate",
        ],
        ..ROW
    },
    Row {
        rule: "groups without a user",
        args: &["--as-group", "g"],
        exit: 1,
        words: &["impersonates a uid, groups or extra without a user", "hint: name the user with --as"],
        seen: &[Requests(0)],
        ..ROW
    },
    Row {
        rule: "a uid without a user",
        user: "token: @ADMIN@\nas-uid: '7'",
        exit: 1,
        words: &["impersonates a uid, groups or extra without a user"],
        ..ROW
    },
    Row {
        rule: "extra without a user",
        user: "token: @ADMIN@\nas-user-extra: {k: [v]}",
        exit: 1,
        words: &["impersonates a uid, groups or extra without a user"],
        ..ROW
    },
    Row {
        rule: "auth-provider oidc is refused until it is built",
        user: "auth-provider: {name: oidc, config: {client-secret: s3cr3t, refresh-token: s3cr3t}}",
        exit: 1,
        words: &["auth-provider oidc is not supported yet", "hint: pass the id-token with --token"],
        ..ROW
    },
    Row {
        rule: "auth-provider gcp was removed",
        user: "auth-provider: {name: gcp, config: {access-token: s3cr3t}}\ntoken: @ADMIN@",
        exit: 1,
        words: &["auth-provider gcp was removed", "gke-gcloud-auth-plugin"],
        ..ROW
    },
    Row {
        rule: "auth-provider azure was removed",
        user: "auth-provider: {name: azure}",
        exit: 1,
        words: &["auth-provider azure was removed", "kubelogin"],
        ..ROW
    },
    Row {
        rule: "an unknown auth-provider",
        user: "auth-provider: {name: other}",
        exit: 1,
        words: &["auth-provider \"other\" is not known"],
        ..ROW
    },
    Row {
        rule: "auth-provider and exec",
        user: plugin!("  interactiveMode: Never\nauth-provider: {name: oidc}"),
        exit: 1,
        words: &["auth-provider and exec exclude each other"],
        ..ROW
    },
    Row {
        rule: "exec without a command",
        user: "exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never}",
        exit: 1,
        words: &["user \"u\" of @DIR@/kube/config: exec has no command"],
        ..ROW
    },
    Row {
        rule: "exec without an apiVersion",
        user: "exec: {command: x, interactiveMode: Never}",
        exit: 1,
        words: &["exec has no apiVersion"],
        ..ROW
    },
    Row {
        rule: "exec of v1alpha1, even beside a token",
        user: "token: @ADMIN@\nexec: {command: x, apiVersion: client.authentication.k8s.io/v1alpha1}",
        exit: 1,
        words: &[
            "exec.apiVersion \"client.authentication.k8s.io/v1alpha1\" is not supported",
            "hint: use client.authentication.k8s.io/v1",
        ],
        ..ROW
    },
    Row {
        rule: "v1 needs an interactiveMode",
        user: plugin!(""),
        files: &[GOOD],
        exit: 1,
        words: &["exec has no interactiveMode", "hint: exec.interactiveMode is Never, IfAvailable or Always"],
        ..ROW
    },
    Row {
        rule: "an unknown interactiveMode",
        user: plugin!("  interactiveMode: Sometimes"),
        exit: 1,
        words: &["exec.interactiveMode \"Sometimes\" is not known"],
        ..ROW
    },
    Row {
        rule: "exec.env without a name",
        user: plugin!("  interactiveMode: Never\n  env: [{value: s3cr3t}]"),
        exit: 1,
        words: &["exec.env has a variable without a name"],
        ..ROW
    },
    Row {
        rule: "interactiveMode Always without a terminal",
        user: plugin!("  interactiveMode: Always"),
        files: &[GOOD],
        exit: 4,
        words: &["credential plugin \"/bin/sh\" needs a terminal", "hint: run this in a terminal"],
        seen: &[Requests(0)],
        ..ROW
    },
    Row {
        rule: "a plugin that is not installed, its hint made safe",
        user: "exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: no-such-plugin, installHint: \"get \\e[31mit\"}",
        exit: 4,
        words: &["credential plugin \"no-such-plugin\" not found on PATH", "hint: get \\x1b[31mit", "!\u{1b}"],
        ..ROW
    },
    Row {
        rule: "a plugin in the working directory is not on PATH",
        user: "exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: credential-plugin, env: [{name: CREDENTIAL, value: '@DIR@/cred'}]}",
        files: &[GOOD, ("cwd/credential-plugin", "link:@PLUGINS@/credential-plugin")],
        env: &[("PATH", ".::@PATH@")],
        exit: 4,
        words: &["not found on PATH"],
        ..ROW
    },
    Row {
        rule: "a plugin that can't be run",
        user: "exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: ./plugin}",
        files: &[("kube/plugin", "s3cr3t")],
        exit: 4,
        words: &["credential plugin \"@DIR@/kube/./plugin\" can't be run: Permission denied"],
        ..ROW
    },
    Row {
        rule: "a plugin that fails",
        user: "exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: /bin/sh, args: [-c, 'echo s3cr3t; exit 3']}",
        exit: 4,
        words: &["credential plugin \"/bin/sh\" failed with exit code 3", "hint: "],
        seen: &[Requests(0)],
        ..ROW
    },
    Row {
        rule: "a plugin that is killed",
        user: "exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: /bin/sh, args: [-c, 'kill -9 $$']}",
        exit: 4,
        words: &["credential plugin \"/bin/sh\" failed with signal 9"],
        ..ROW
    },
    Row {
        rule: "a plugin that floods",
        user: "exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: /bin/sh, args: [-c, 'yes s3cr3t']}",
        exit: 4,
        words: &["printed more than 1 MiB"],
        ..ROW
    },
    Row {
        rule: "a plugin that prints junk",
        user: plugin!("  interactiveMode: Never"),
        files: &[("cred", "s3cr3t")],
        exit: 4,
        words: &["credential plugin \"/bin/sh\" printed no ExecCredential: neither JSON nor YAML"],
        ..ROW
    },
    Row {
        rule: "a plugin that says more than its answer",
        user: plugin!("  interactiveMode: Never"),
        files: &[("cred", concat!(credential!("\"token\":\"@ADMIN@\""), " s3cr3t"))],
        exit: 4,
        words: &["printed no ExecCredential: trailing characters"],
        ..ROW
    },
    Row {
        rule: "a plugin of another version",
        user: plugin!("  interactiveMode: Never"),
        files: &[(
            "cred",
            "{\"apiVersion\":\"client.authentication.k8s.io/v1beta1\",\"kind\":\"ExecCredential\",\"status\":{\"token\":\"@ADMIN@\"}}",
        )],
        exit: 4,
        words: &["answered as client.authentication.k8s.io/v1beta1, not client.authentication.k8s.io/v1"],
        ..ROW
    },
    Row {
        rule: "a plugin that gives nothing",
        user: plugin!("  interactiveMode: Never"),
        files: &[("cred", credential!(""))],
        exit: 4,
        words: &["gave neither a token nor a certificate"],
        ..ROW
    },
    Row {
        rule: "a plugin that gives half a pair",
        user: plugin!("  interactiveMode: Never"),
        files: &[("cred", credential!("\"token\":\"@ADMIN@\",\"clientKeyData\":\"@KEYJSON@\""))],
        exit: 4,
        words: &["gave a key without its certificate"],
        ..ROW
    },
    Row {
        rule: "a plugin with a bad date",
        user: plugin!("  interactiveMode: Never"),
        files: &[("cred", credential!("\"token\":\"@ADMIN@\",\"expirationTimestamp\":\"tomorrow\""))],
        exit: 4,
        words: &["expirationTimestamp that is not RFC 3339"],
        ..ROW
    },
];

/// A pod's files.
const POD: &[(&str, &str)] = &[("pod/token", "t"), ("pod/namespace", "podns\n"), ("pod/ca.crt", "junk")];
/// A pod's variables.
const SERVICE: &[(&str, &str)] = &[("KUBERNETES_SERVICE_HOST", "10.0.0.1"), ("KUBERNETES_SERVICE_PORT", "443")];

const NOTHING: Resolved = Resolved { rule: "", files: &[], args: &[], env: &[], expected: "" };

/// What is chosen where no server needs to be asked, or none can be.
pub(super) const RESOLVED: &[Resolved] = &[
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
        ..NOTHING
    },
    Resolved {
        rule: "in a pod: --as",
        files: POD,
        env: SERVICE,
        args: &["--as", "jane"],
        expected: "token-file=\"@DIR@/pod/token\" exec=false as=\"jane\"",
        ..NOTHING
    },
    Resolved {
        rule: "in a pod: --insecure-skip-tls-verify, not silent",
        files: POD,
        env: SERVICE,
        args: &["--insecure-skip-tls-verify"],
        expected: "trust=Insecure namespace=podns token=false token-file=\"@DIR@/pod/token\" exec=false as=\"\" warnings=[\"the certificate of",
        ..NOTHING
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
        ..NOTHING
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
