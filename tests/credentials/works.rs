//! Rules under which a request is made: the right server, the right identity.

use super::Seen::{Header, Path, Requests, User};
use super::{GOOD, ROW, Row};

const ADMIN: &str = "admin";

/// What works as with kubectl.
pub(super) const ROWS: &[Row] = &[
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
            ("a", "current-context: ''\ncontexts: [{name: z, context: {}}]"),
            ("b", config!("token: @ADMIN@")),
            ("c", "current-context: z"),
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
        env: &[("KUBECONFIG", ":@DIR@/none1:@DIR@/none2"), ("KUBERNETES_MASTER", "@PLAIN@")],
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
        rule: "tags of one's own are passed over",
        config: Some(
            "current-context: !mine x\ncontexts: !list [!one {name: !n x, context: {cluster: c, user: u}}]\n\
             clusters: [{name: c, cluster: !m {server: \"@URL@\", certificate-authority-data: !data @CA@}}]\n\
             users: [{name: !custom u, user: {token: !t @ADMIN@}}, {name: v, user: !u {token: x}}]\n",
        ),
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "a %YAML directive of 1.1",
        config: Some(concat!("%YAML 1.1 # old\n---\n", config!("token: @ADMIN@"))),
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "tokenFile beside exec: no plugin is run",
        user: "tokenFile: @DIR@/t\nexec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: no-such-plugin}",
        files: &[("t", "@ADMIN@")],
        seen: &[User(ADMIN), Requests(1)],
        ..ROW
    },
    Row {
        rule: "a tokenFile that can't be sent beside a token: no plugin is run either",
        user: "token: @ADMIN@\ntokenFile: @DIR@/none\nexec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: no-such-plugin}",
        words: &["warning: token file @DIR@/none can't be read", "going on with the earlier token"],
        seen: &[User(ADMIN), Requests(1)],
        ..ROW
    },
    Row {
        rule: "Teleport's plugin, as `tsh kube login` writes it",
        user: "exec:\n  apiVersion: client.authentication.k8s.io/v1beta1\n  command: @DIR@/tsh\n  args:\n  - kube\n  - credentials\n  - --kube-cluster=prod\n  - --teleport-cluster=t.example\n  - --proxy=t.example:443\n  env:\n  - {name: CREDENTIAL, value: '@DIR@/cred'}\n  provideClusterInfo: false",
        cluster: "certificate-authority-data: @CA@\ntls-server-name: localhost",
        files: &[
            ("tsh", "link:@PLUGINS@/credential-plugin"),
            (
                "cred",
                "{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1beta1\",\"spec\":{\"interactive\":false},\"status\":{\"expirationTimestamp\":\"2099-11-21T03:07:12Z\",\"clientCertificateData\":\"@CRTJSON@\",\"clientKeyData\":\"@KEYJSON@\"}}",
            ),
        ],
        seen: &[User(ADMIN), Header("authorization", &[])],
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
        user: "client-certificate: pki/../c.crt\nclient-key: c.key",
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
            "current-context: nowhere\ncontexts: [{name: z, context: {cluster: c, user: u}}]\n",
            "clusters: [{name: c, cluster: {server: \"@URL@\", certificate-authority-data: @CA@}}]\n",
            "users: [{name: u, user: {token: @ADMIN@}}]\n"
        )),
        args: &["--context", "z"],
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
        rule: "--insecure-skip-tls-verify=false leaves a verified server verified",
        args: &["--insecure-skip-tls-verify=false"],
        words: &["!not verified"],
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
        rule: "beside a tokenFile a token that can't be sent is as good as none",
        user: "token: \"s3cr3t\\n\"\ntokenFile: '@DIR@/t'",
        files: &[("t", "@ADMIN@")],
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
    // Proxies (more in tests/proxies.rs) and auth-provider.
    Row {
        rule: "loopback is never proxied",
        env: &[("HTTPS_PROXY", "http://proxy.example:3128")],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "a proxy of the environment that Go can't read is passed over",
        env: &[("HTTPS_PROXY", "http://u:s3cr3t%zz@p:3128"), ("NO_PROXY", "x")],
        words: &["!warning"],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "a proxy-url of null and one that is empty are none",
        cluster: "certificate-authority-data: @CA@\nproxy-url: null",
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "HTTP/2 variables with values that are none are told and passed over",
        env: &[
            ("HTTP2_READ_IDLE_TIMEOUT_SECONDS", "30s"),
            ("HTTP2_PING_TIMEOUT_SECONDS", "0"),
            ("DISABLE_HTTP2", "no"),
        ],
        words: &["warning: HTTP2_READ_IDLE_TIMEOUT_SECONDS=\"30s\" is no number of seconds: it stays at 30", "!PING"],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "HTTP/2 variables beyond what a clock can count",
        env: &[
            ("HTTP2_READ_IDLE_TIMEOUT_SECONDS", "9223372036854775807"),
            ("HTTP2_PING_TIMEOUT_SECONDS", "18446744073709551615"),
        ],
        words: &["!warning", "!panic"],
        seen: &[User(ADMIN), Requests(1)],
        ..ROW
    },
    Row {
        rule: "disable-compression asks for none",
        cluster: "certificate-authority-data: @CA@\ndisable-compression: true",
        seen: &[User(ADMIN), Header("accept-encoding", &[])],
        ..ROW
    },
    Row {
        rule: "--disable-compression asks for none",
        args: &["--disable-compression"],
        seen: &[User(ADMIN), Header("accept-encoding", &[])],
        ..ROW
    },
    Row {
        rule: "a token makes auth-provider oidc unnecessary",
        user: "token: @ADMIN@\nauth-provider: {name: oidc, config: {idp-issuer-url: 'https://idp.example', client-id: a, id-token: s3cr3t}}",
        seen: &[User(ADMIN)],
        ..ROW
    },
];
