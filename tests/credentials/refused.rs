//! Input that is refused.

use super::Seen::Requests;
use super::{GOOD, ROW, Row};

/// What must be told in one clear line: the thing, the place, the remedy.
pub(super) const ROWS: &[Row] = &[
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
        rule: "a %YAML directive of a version that kubectl does not read",
        config: Some(concat!("# mine\n%YAML 1.2\n---\n", config!("token: @ADMIN@"))),
        exit: 1,
        words: &["error: kubeconfig @DIR@/kube/config: %YAML of version \"1.2\", where only 1.1 is read", "hint: "],
        seen: &[Requests(0)],
        ..ROW
    },
    Row {
        rule: "a KUBECONFIG that names no file",
        env: &[("KUBECONFIG", ":")],
        exit: 6,
        words: &[
            "warning: KUBECONFIG names no file",
            "there is no kubeconfig: KUBECONFIG names none: trying http://localhost:8080",
            "!HOME",
        ],
        ..ROW
    },
    Row {
        rule: "a NUL character in what a plugin is run with",
        user: "exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: /bin/sh, env: [{name: \"A\\0B\", value: s3cr3t}]}",
        exit: 4,
        words: &[
            "credential plugin \"/bin/sh\" can't be run: ",
            "hint: exec.command, args and env",
            "!check exec.command",
        ],
        seen: &[Requests(0)],
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
        rule: "a proxy-url whose password is not percent-encoded",
        cluster: "proxy-url: http://u:s3cr3t%zz@p:3128",
        exit: 1,
        words: &[
            "proxy-url has a user name or password with characters that must be percent-encoded",
            "hint: write it as http://USER:PASSWORD@HOST:PORT",
        ],
        seen: &[Requests(0)],
        ..ROW
    },
    Row {
        rule: "a proxy-url is checked and used whatever NO_PROXY and the environment say, for loopback too",
        cluster: "certificate-authority-data: @CA@\nproxy-url: http://u:s3cr3t@no-such-proxy.invalid:3128",
        env: &[("HTTPS_PROXY", "http://p.invalid"), ("NO_PROXY", "*")],
        exit: 6,
        words: &["resolving the proxy no-such-proxy.invalid: ", "hint: is the proxy's address right"],
        seen: &[Requests(0)],
        ..ROW
    },
    Row {
        rule: "a proxy of the environment of another scheme",
        server: "https://a.invalid:6443",
        env: &[("https_proxy", "ftp://u:s3cr3t@p:3128"), ("NO_PROXY", "b.example")],
        exit: 1,
        words: &["error: https_proxy is not one of http, https, socks5", "NO_PROXY=a.invalid goes past it"],
        ..ROW
    },
    Row {
        rule: "HTTP_PROXY may be a stranger's header in a CGI script",
        server: "http://a.invalid:6443",
        cluster: "",
        env: &[("HTTP_PROXY", "http://u:s3cr3t@p.invalid"), ("REQUEST_METHOD", "GET")],
        exit: 1,
        words: &["error: HTTP_PROXY is not to be trusted where REQUEST_METHOD is set", "hint: unset HTTP_PROXY"],
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
        rule: "a token file that can't be sent, whatever the token beside it",
        user: "tokenFile: t\ntoken: @ADMIN@",
        files: &[("kube/t", "s3cr3t\nx")],
        exit: 1,
        words: &["token file @DIR@/kube/t: the token holds a control character"],
        seen: &[Requests(0)],
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
