//! The real binary through proxies: good ones of every kind, and those that refuse, hang, close or lie.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kubelet_logs::clock::Clock;

use crate::cluster::tls::{Authority, ClientCertificates, server_config};
use crate::cluster::{Cluster, Credential, Fault, Http, Key, Mode, Node, Setup, User, Versions, What};
use crate::support::proxy::{Does, Proxy, Speaks};
use crate::support::{Ran, program, ran};

/// A cluster, and a directory for kubeconfigs that lead to it by a name which only proxies know.
struct Stage {
    cluster: Cluster,
    directory: tempfile::TempDir,
    /// The authority of proxies with TLS.
    authority: Authority,
}

/// How a run is told of its proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    ProxyUrl,
    Variable,
}

impl Stage {
    fn new() -> Stage {
        Stage::speaking(Http::Both)
    }

    fn speaking(http: Http) -> Stage {
        let mut setup = Setup::new(vec![Node::new("node-a", Mode::QUERY_ON)]);
        setup.http = http;
        let cluster = setup.start();
        Stage { cluster, directory: tempfile::tempdir().expect("a directory"), authority: Authority::new("proxies") }
    }

    /// A proxy's URL with this userinfo.
    fn url(proxy: &Proxy, scheme: &str, userinfo: &str) -> String {
        format!("{scheme}://{userinfo}localhost:{}", proxy.address.port())
    }

    /// A kubeconfig with these further fields of the cluster.
    fn kubeconfig(&self, fields: &str) -> PathBuf {
        let text = self
            .cluster
            .kubeconfig_text(&[(User::Admin, Credential::Certificate(Key::EcPkcs8))], self.directory.path())
            .replace("server: https://127.0.0.1:", "server: https://api.invalid:")
            .replace(
                "  cluster:\n    server",
                &format!("  cluster:\n    tls-server-name: localhost\n{fields}    server"),
            );
        let path = self.directory.path().join(format!("config-{}", fields.len()));
        fs::write(&path, text).expect("a kubeconfig");
        path
    }

    fn run(&self, by: By, url: &str, env: &[(&str, &str)], args: &[&str]) -> Ran {
        let field = format!("    proxy-url: {url:?}\n");
        let config = self.kubeconfig(if by == By::ProxyUrl { &field } else { "" });
        let mut command = program();
        command.arg("--kubeconfig").arg(config).args(["node-a", "--path", "messages"]).args(args);
        if by == By::Variable {
            command.env("HTTPS_PROXY", url);
        }
        ran(command.envs(env.iter().copied()).output().expect("the binary runs"))
    }
}

/// A proxy with TLS that asks for certificates, and would speak HTTP/2 if it were let.
fn https(authority: &Authority) -> Speaks {
    let pair = authority.server(&["localhost"]);
    Speaks::Https(Arc::new(server_config(&pair, Versions::Both, ClientCertificates::Asked, &[b"h2", b"http/1.1"])))
}

const SECRETS: [&str; 4] = ["s3cr3t", "czNjcjN0", "OnMzY3IzdC", "pzM2NyM3Q"];

/// Nothing of a password, whole or as Basic writes it.
#[track_caller]
fn keeps_secrets(ran: &Ran) {
    for secret in SECRETS {
        assert!(!ran.stderr.contains(secret) && !ran.text().contains(secret), "{secret} in {}", ran.stderr);
    }
}

#[test]
fn a_log_is_read_through_every_kind_of_proxy() {
    let stage = Stage::new();
    let to = stage.cluster.address();
    let direct = {
        let config = stage.cluster.kubeconfig(User::Admin);
        ran(program().arg("--kubeconfig").arg(config).args(["node-a", "--path", "messages"]).output().expect("it runs"))
    };
    direct.expect(0, &[]);
    assert!(!direct.stdout.is_empty());
    let ca = stage.directory.path().join("proxies.crt");
    fs::write(&ca, &stage.authority.pem).expect("a file");
    let ca = ca.to_str().expect("a path");
    let place = format!("api.invalid:{}", to.port());
    for (scheme, speaks, userinfo, login) in [
        ("http", Speaks::Http, "", None),
        ("http", Speaks::Http, "do%40main:s3cr3t%3a%2F@", Some("do@main:s3cr3t:/")),
        ("https", https(&stage.authority), "", None),
        ("https", https(&stage.authority), "u:s3cr3t@", Some("u:s3cr3t")),
        ("socks5", Speaks::Socks5, "", None),
        ("socks5", Speaks::Socks5, "u:s3cr3t@", Some("u:s3cr3t")),
        ("socks5h", Speaks::Socks5, "u%20x:s3cr3t@", Some("u x:s3cr3t")),
    ] {
        for by in [By::ProxyUrl, By::Variable] {
            let proxy = Proxy::start(speaks.clone(), Does::Lead { to, login });
            let url = Stage::url(&proxy, scheme, userinfo);
            for (disabled, connections) in [("", 1), ("1", 1)] {
                let env = [("SSL_CERT_FILE", ca), ("DISABLE_HTTP2", disabled)];
                let through = stage.run(by, &url, &env, &["-v", "9"]);
                through.expect(0, &["through the proxy"]);
                assert_eq!(through.stdout, direct.stdout, "{scheme} {by:?}");
                keeps_secrets(&through);
                let asked = proxy.asked();
                let last = asked.last().expect("asked");
                assert!(last.contains(&place), "{last}");
                assert!(asked.len() >= connections, "{asked:?}");
            }
        }
    }
}

#[test]
fn a_proxy_with_tls_may_also_be_vouched_for_by_the_clusters_authority() {
    let stage = Stage::new();
    let does = Does::Lead { to: stage.cluster.address(), login: None };
    let proxy = Proxy::start(https(&stage.authority), does);
    let url = Stage::url(&proxy, "https", "");
    let none = stage.directory.path().join("none.crt");
    fs::write(&none, stage.cluster.ca()).expect("a file");
    let env = [("SSL_CERT_FILE", none.to_str().expect("a path"))];
    let words = [
        format!(
            "error: node-a: TLS with the proxy {url}: the proxy's certificate is signed by an unknown authority, \"CN=proxies\""
        ),
        "subject \"CN=server\"".to_owned(),
        "trusted are the cluster's authority and those of this system".to_owned(),
        "hint: add the authority that signed it to the system's (or to SSL_CERT_FILE)".to_owned(),
    ];
    let refused = stage.run(By::Variable, &url, &env, &[]);
    refused.expect(6, &words.iter().map(String::as_str).collect::<Vec<_>>());
    // As Go has it: whoever may vouch for the server may for its proxy.
    let both = format!("{}{}", stage.cluster.ca(), stage.authority.pem);
    let config = stage.kubeconfig(&format!("    proxy-url: {url}\n"));
    let text = fs::read_to_string(&config).expect("a kubeconfig");
    let text = text.replace(&STANDARD.encode(stage.cluster.ca()), &STANDARD.encode(both));
    fs::write(&config, text).expect("a kubeconfig");
    let mut command = program();
    command.arg("--kubeconfig").arg(config).args(["node-a", "--path", "messages"]).envs(env);
    ran(command.output().expect("the binary runs")).expect(0, &[]);
}

#[test]
fn plain_servers_are_asked_for_by_whole_urls() {
    let (authority, directory) = (Authority::new("proxies"), tempfile::tempdir().expect("a directory"));
    let ca = directory.path().join("ca");
    fs::write(&ca, &authority.pem).expect("a file");
    let server = Proxy::start(
        Speaks::Http,
        Does::Say(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nAccept-Ranges: bytes\r\nContent-Length: 2\r\nConnection: close\r\n\r\nx\n"),
    );
    let refusing = Proxy::start(Speaks::Http, Does::Lead { to: server.address, login: Some("someone:else") });
    for (speaks, scheme, line) in [
        (Speaks::Http, "http", "GET http://api.invalid:8080/p/api/v1/nodes/node-a/proxy/logs/x.log HTTP/1.1\r\n"),
        (https(&authority), "https", "GET http://api.invalid:8080/p/api/v1/nodes/node-a/proxy/logs/x.log HTTP/1.1\r\n"),
        (Speaks::Socks5, "socks5", "u:s3cr3t@api.invalid:8080"),
    ] {
        let proxy = Proxy::start(speaks, Does::Lead { to: server.address, login: Some("u:s3cr3t") });
        let ask = |variable: &str, url: &str| {
            let args = ["--kubeconfig=", "--server", "http://api.invalid:8080/p", "--token", "s3cr3t", "-v", "9"];
            let mut command = program();
            command.args(args).args(["node-a", "--path", "x.log"]).env(variable, url).env("SSL_CERT_FILE", &ca);
            ran(command.output().expect("the binary runs"))
        };
        let got = ask("HTTP_PROXY", &Stage::url(&proxy, scheme, "u:s3cr3t@"));
        got.expect(0, &[]);
        assert_eq!(got.text(), "x\n");
        keeps_secrets(&got);
        assert!(proxy.asked().last().expect("asked").starts_with(line), "{:?}", proxy.asked());
        let refused = ask("http_proxy", &Stage::url(&refusing, "http", "u:s3cr3t@"));
        keeps_secrets(&refused);
        refused
            .expect(6, &["does not take the user name and password of http_proxy (407 Proxy Authentication Required)"]);
    }
    for head in server.asked() {
        let head = head.to_ascii_lowercase();
        assert!(head.starts_with("get /p/api/") && head.contains("\r\nhost: api.invalid:8080\r\n"), "{head}");
        assert!(!head.contains("authorization"), "credentials go only over TLS, and a proxy's to the proxy: {head}");
    }
}

/// Scheme and manners of a proxy, the userinfo given, and the words that must be said.
type Refusal = (&'static str, Does, &'static str, &'static [&'static str]);

#[test]
fn proxies_that_refuse_or_lie_are_named_with_the_step_and_the_remedy() {
    let stage = Stage::new();
    let to = stage.cluster.address();
    let lead = Does::Lead { to, login: Some("u:other") };
    let cases: &[Refusal] = &[
        ("http", lead.clone(), "", &["wants a user name and a password (407 Proxy Authentication Required: no.)", "hint: put them into @BY@: http://USER:PASSWORD@localhost:"]),
        ("http", lead.clone(), "u:s3cr3t@", &["does not take the user name and password of @BY@ (407", "hint: check them in @BY@"]),
        ("http", Does::Say(b"HTTP/1.1 407 Nope\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM\r\n\r\n"), "u:s3cr3t@", &["asks for a login by Negotiate, NTLM, and only Basic is spoken here (407 Nope)", "hint: "]),
        ("http", Does::Say(b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nContent-Length: 62\r\n\r\n<html><head><title>Blocked by policy</title></head><a href=x>x<"), "u:s3cr3t@", &["refused to connect to api.invalid:@PORT@: 403 Forbidden: \"Blocked by policy\"", "hint: its rules must allow CONNECT to api.invalid:@PORT@; "]),
        ("http", Does::Say(b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain\r\nContent-Length: 24\r\n\r\ndns error\x1b[2J\nno such host"), "", &["failed to connect to api.invalid:@PORT@: 502 Bad Gateway: dns error [2J no such host", "hint: the proxy itself must reach the server; "]),
        ("http", Does::Say(b"HTTP/1.1 302 Found\r\nLocation: http://login.example/?s3cr3t\r\n\r\n"), "", &["did not agree to connect to api.invalid:@PORT@: 302 Found", "hint: is the proxy's address right"]),
        ("http", Does::Say(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<!doctype html><a href=s3cr3t>Log in</a>"), "", &["does not speak HTTP as a proxy does: it agreed to connect and then went on talking itself"]),
        ("http", Does::Say(b"SSH-2.0-OpenSSH_9.2p1\r\n"), "", &["does not speak HTTP as a proxy does: its answer is no HTTP", "hint: is the proxy's address right, and its scheme (http, https, socks5)? It is set by @BY@"]),
        ("http", Does::Say(b"HTTP/1.1 200 Connection established\r\n\r\n"), "", &["TLS with api.invalid:@PORT@ (through the proxy http://localhost:@PROXY@): the connection was closed during the handshake"]),
        ("http", Does::Say(b""), "u:s3cr3t@", &["closed the connection before it answered"]),
        ("http", Does::Close, "u:s3cr3t@", &["error: node-a: the proxy http://localhost:@PROXY@ closed the connection before it answered", "hint: is the proxy's address right"]),
        ("https", Does::Close, "u:s3cr3t@", &["error: node-a: TLS with the proxy https://localhost:@PROXY@: what answered there does not speak TLS", "hint: is it the right port? Most proxies are spoken to without TLS"]),
        ("socks5", lead.clone(), "", &["wants a user name and a password", "hint: put them into @BY@: socks5://USER:PASSWORD@localhost:"]),
        ("socks5", lead, "u:s3cr3t@", &["does not take the user name and password of @BY@"]),
        ("socks5", Does::Say(&[5, 0, 5, 2, 0, 1, 0, 0, 0, 0, 0, 0]), "", &["the proxy socks5://localhost:@PROXY@ refused to connect to api.invalid:@PORT@: not allowed by its rules"]),
        ("socks5", Does::Say(&[5, 0, 5, 5, 0, 1, 0, 0, 0, 0, 0, 0]), "u:s3cr3t@", &["failed to connect to api.invalid:@PORT@: connection refused", "hint: the proxy itself must reach the server"]),
        ("socks5", Does::Say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "u:s3cr3t@", &["does not speak SOCKS 5 as a proxy does: it answers in HTTP"]),
        ("socks5", Does::Close, "u:s3cr3t@", &["the proxy socks5://localhost:@PROXY@ closed the connection before it answered"]),
    ];
    for (scheme, does, userinfo, words) in cases {
        let speaks = if *scheme == "socks5" { Speaks::Socks5 } else { Speaks::Http };
        let proxy = Proxy::start(speaks, does.clone());
        for (by, name) in [(By::ProxyUrl, "proxy-url"), (By::Variable, "HTTPS_PROXY")] {
            for verbosity in ["0", "9"] {
                let got = stage.run(by, &Stage::url(&proxy, scheme, userinfo), &[], &["-v", verbosity]);
                let fill = |words: &&str| {
                    let ports = words.replace("@PORT@", &to.port().to_string());
                    ports.replace("@PROXY@", &proxy.address.port().to_string()).replace("@BY@", name)
                };
                let words: Vec<String> = words.iter().map(fill).collect();
                got.expect(6, &words.iter().map(String::as_str).collect::<Vec<_>>());
                keeps_secrets(&got);
                assert!(!got.stderr.contains('\u{1b}'), "{}", got.stderr);
            }
        }
    }
    assert!(stage.cluster.requests().is_empty(), "nothing went past the proxies");
}

#[test]
fn a_proxy_that_hangs_or_is_not_there_ends_in_time() {
    let stage = Stage::new();
    for (scheme, speaks) in [("http", Speaks::Http), ("socks5", Speaks::Socks5)] {
        let proxy = Proxy::start(speaks, Does::Hang);
        let url = Stage::url(&proxy, scheme, "u:s3cr3t@");
        let got = stage.run(By::ProxyUrl, &url, &[], &["--request-timeout", "500ms"]);
        let place = Stage::url(&proxy, scheme, "");
        got.expect(6, &[&format!("(through the proxy {place}) did not answer within 0.5 s"), "hint: "]);
        keeps_secrets(&got);
        let gone = Proxy::start(Speaks::Http, Does::Hang);
        let url = Stage::url(&gone, scheme, "u:s3cr3t@");
        let port = gone.address.port();
        drop(gone);
        let got = stage.run(By::Variable, &url, &[], &["-v", "9"]);
        let words = format!("error: node-a: connecting to the proxy localhost:{port}: connection refused");
        got.expect(
            6,
            &[
                &words,
                "hint: is the proxy's address right, and its scheme (http, https, socks5)? It is set by HTTPS_PROXY",
            ],
        );
        keeps_secrets(&got);
        let got = stage.run(By::Variable, "http://u:s3cr3t@no..proxy:1", &[], &[]);
        got.expect(
            6,
            &[
                "HTTPS_PROXY has no valid host: going without a proxy, as kubectl does",
                "error: node-a: resolving api.invalid: ",
            ],
        );
        keeps_secrets(&got);
    }
    assert!(stage.cluster.requests().is_empty(), "nothing went past the proxies");
}

#[test]
fn the_kubeconfigs_proxy_overrides_the_environment_and_no_proxy() {
    let stage = Stage::new();
    let good = Proxy::start(Speaks::Http, Does::Lead { to: stage.cluster.address(), login: None });
    let url = Stage::url(&good, "http", "");
    let env = [("HTTPS_PROXY", "http://u:s3cr3t@127.0.0.1:1"), ("NO_PROXY", "*")];
    stage.run(By::ProxyUrl, &url, &env, &[]).expect(0, &[]);
    // Without one, NO_PROXY counts: directly there is no such server.
    let env = [("NO_PROXY", "other.example,.example:443,api.invalid")];
    stage.run(By::Variable, &url, &env, &[]).expect(6, &["error: node-a: resolving api.invalid: "]);
    assert_eq!(good.asked().len(), 1);
}

#[test]
fn a_run_goes_on_through_a_proxy_when_the_connection_breaks() {
    let stage = Stage::new();
    let proxy = Proxy::start(Speaks::Http, Does::Lead { to: stage.cluster.address(), login: None });
    let url = Stage::url(&proxy, "http", "");
    let whole = stage.run(By::ProxyUrl, &url, &[], &[]);
    stage.cluster.inject(Fault::new(What::ResetAfter(100)).first(1));
    let broken = stage.run(By::ProxyUrl, &url, &[], &[]);
    broken.expect(0, &[]);
    assert_eq!(broken.stdout, whole.stdout);
    assert!(proxy.asked().len() >= 3, "{:?}", proxy.asked());
}

#[test]
fn a_connection_that_falls_silent_is_noticed_by_its_pings_and_one_that_answers_them_is_not() {
    let stage = Stage::speaking(Http::Only2);
    let to = stage.cluster.address();
    let whole = stage.run(
        By::ProxyUrl,
        &Stage::url(&Proxy::start(Speaks::Http, Does::Lead { to, login: None }), "http", ""),
        &[],
        &[],
    );
    assert!(whole.stdout.len() > 20_000, "{}", whole.stdout.len());
    let pings = [("HTTP2_READ_IDLE_TIMEOUT_SECONDS", "1"), ("HTTP2_PING_TIMEOUT_SECONDS", "1")];
    // Within the answer, and before its head.
    for after in [10_000, 3_000] {
        let proxy = Proxy::start(Speaks::Http, Does::LeadAndFreeze { to, nth: 2, after });
        let url = Stage::url(&proxy, "http", "");
        let started = Clock::System.instant();
        let got = stage.run(By::ProxyUrl, &url, &pings, &[]);
        got.expect(0, &[]);
        assert_eq!(got.stdout, whole.stdout);
        // The first one found out that HTTP/2 is what is spoken.
        assert_eq!(proxy.asked().len(), 3, "one connection more");
        assert!(started.elapsed() < Duration::from_secs(25), "by default the first ping comes after 30 s");
    }
    stage.cluster.inject(Fault::new(What::Delay(Duration::from_secs(4))).first(1));
    let proxy = Proxy::start(Speaks::Http, Does::Lead { to, login: None });
    let got = stage.run(By::ProxyUrl, &Stage::url(&proxy, "http", ""), &pings, &[]);
    got.expect(0, &[]);
    assert_eq!((got.stdout, proxy.asked().len()), (whole.stdout, 2), "a slow answer is none that is lost");
}

#[test]
fn an_identity_provider_is_asked_through_the_environments_proxy() {
    let proxy = Proxy::start(Speaks::Http, Does::Say(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"));
    let directory = tempfile::tempdir().expect("a directory");
    let config = directory.path().join("config");
    let text = "current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n\
                clusters: [{name: c, cluster: {server: 'https://api.invalid', proxy-url: 'socks5://127.0.0.1:1'}}]\n\
                users: [{name: u, user: {auth-provider: {name: oidc, config: {idp-issuer-url: 'https://idp.invalid', \
                client-id: a, refresh-token: s3cr3t}}}}]\n";
    fs::write(&config, text).expect("a kubeconfig");
    let mut command = program();
    command.arg("--kubeconfig").arg(&config).args(["node-a", "--path", "messages", "-v", "9"]);
    let got =
        ran(command.env("HTTPS_PROXY", Stage::url(&proxy, "http", "u:s3cr3t@")).output().expect("the binary runs"));
    let words = format!("{} refused to connect to idp.invalid:443: 403 Forbidden", Stage::url(&proxy, "http", ""));
    got.expect(
        6,
        &[&words, "hint: its rules must allow CONNECT to idp.invalid:443; NO_PROXY=idp.invalid goes past it"],
    );
    keeps_secrets(&got);
    assert!(proxy.asked()[0].starts_with("CONNECT idp.invalid:443 HTTP/1.1\r\n"));
}
