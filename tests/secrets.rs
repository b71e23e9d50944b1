//! Servers, proxies and identity providers that repeat what they were sent: our own credentials are in nothing that is printed, however much of it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::KeyPair;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::support::{program, ran};

const SECRET: &str = "s3cr3t-it's\\here";
const VERBOSITIES: [&str; 5] = ["0", "6", "8", "9", "10"];

/// What is made of a request: its head, and what it carries.
type Echo = fn(&str) -> String;

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

/// A request's credentials, on one line.
fn credentials(head: &str) -> String {
    let wanted = |line: &&str| line.to_ascii_lowercase().contains("authorization:");
    let line = head.lines().find(wanted).unwrap_or_default();
    let coded = line.rsplit(' ').next().unwrap_or_default();
    let plain = STANDARD.decode(coded).map(|pair| String::from_utf8_lossy(&pair).into_owned()).unwrap_or_default();
    format!("{line} {plain}")
}

fn status(head: &str) -> String {
    let message = format!("who sends {}?", credentials(head));
    serde_json::json!({"kind": "Status", "message": message, "reason": credentials(head), "details": {"kind": credentials(head)}})
        .to_string()
}

const ECHOES: [(&str, Echo); 6] = [
    ("a Status", |head| answer("403 Forbidden", "Content-Type: application/json\r\n", &status(head))),
    ("a Status behind 401", |head| answer("401 Unauthorized", "Content-Type: application/json\r\n", &status(head))),
    ("a text", |head| answer("404 Not Found", "Content-Type: text/plain\r\n", &format!("{}{head}", "x".repeat(900)))),
    ("a page", |head| {
        let body = format!("<html><title>{}</title>", credentials(head));
        answer("500 Internal Server Error", "Content-Type: text/html\r\n", &body)
    }),
    ("headers", |head| {
        let value = credentials(head);
        answer(
            "403 Forbidden",
            &format!("X-Echo: {value}\r\nAudit-Id: {value}\r\nWarning: 299 - \"{value}\"\r\n"),
            "no",
        )
    }),
    ("a redirect", |head| {
        let coded =
            credentials(head).split_whitespace().last().unwrap_or_default().replace('\\', "%5C").replace('\'', "%27");
        answer("302 Found", &format!("Location: https://u:{coded}@other.example/{coded}?token={coded}\r\n"), "")
    }),
];

/// Serves until the test ends: every connection is asked once and answered so.
fn serve(tls: bool, echo: Echo) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    let key = KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate").der().clone();
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("versions").with_no_client_auth();
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let config = Arc::new(builder.with_single_cert(vec![certificate], key).expect("a usable pair"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(stream), config) = (stream, Arc::clone(&config)) else { return };
            std::thread::spawn(move || match tls {
                true => talk(StreamOwned::new(ServerConnection::new(config).expect("a connection"), stream), echo),
                false => talk::<TcpStream>(stream, echo),
            });
        }
    });
    address
}

fn talk<S: Read + Write>(mut stream: S, echo: Echo) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let mut request = String::from_utf8_lossy(&head).into_owned();
    let length =
        request.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut form = vec![0; length.unwrap_or(0)];
    if stream.read_exact(&mut form).is_err() {
        return;
    }
    request.push_str(&String::from_utf8_lossy(&form));
    let _ = stream.write_all(echo(&request).as_bytes()).and_then(|()| stream.flush());
    let _ = stream.read(&mut byte);
}

/// What is printed in such a run, to both sides.
fn printed(dir: &Path, server: &str, user: &str, env: &[(&str, &str)], verbosity: &str) -> String {
    let config = dir.join("config");
    let text = format!(
        "current-context: x\ncontexts: [{{name: x, context: {{cluster: c, user: u}}}}]\n\
         clusters: [{{name: c, cluster: {{server: \"{server}\", insecure-skip-tls-verify: true}}}}]\n\
         users:\n- name: u\n  user:\n    {user}\n"
    );
    std::fs::write(&config, text).expect("a file");
    let mut command = program();
    command.args(["node-a", "--path", "a.log", "--print-requests", "-v", verbosity, "--request-timeout", "20s"]);
    let ran = ran(command.env("KUBECONFIG", &config).envs(env.iter().copied()).output().expect("it runs"));
    assert_ne!(ran.code, 0, "{}", ran.stderr);
    format!("{}{}", ran.text(), ran.stderr)
}

fn assert_hidden(text: &str, secrets: &[String], what: &str) {
    for secret in secrets {
        assert!(!text.contains(secret.as_str()), "{what}: {secret} is in\n{text}");
    }
}

#[test]
fn what_a_server_repeats_of_our_credentials_is_not_shown() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("token");
    std::fs::write(&file, SECRET).expect("a file");
    let plugin = r#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"s3cr3t-plugin"}}"#;
    std::fs::write(dir.path().join("cred"), plugin).expect("a file");
    let quoted = SECRET.replace('\'', "''");
    let users = [
        format!("token: '{quoted}'"),
        format!("{{username: admin, password: '{quoted}'}}"),
        format!("tokenFile: {}", file.display()),
        format!(
            "exec: {{apiVersion: client.authentication.k8s.io/v1, command: cat, args: [{}], interactiveMode: Never}}",
            dir.path().join("cred").display()
        ),
    ];
    // Its beginning is enough, for what is cut or escaped on the way.
    let secrets = ["s3cr3t".to_owned(), STANDARD.encode(format!("admin:{SECRET}"))];
    for (what, echo) in ECHOES {
        let server = format!("https://{}", serve(true, echo));
        for user in &users {
            for verbosity in VERBOSITIES {
                let text = printed(dir.path(), &server, user, &[], verbosity);
                assert_hidden(&text, &secrets, &format!("{what}, {user}, -v {verbosity}"));
            }
        }
    }
}

#[test]
fn what_a_proxy_repeats_of_its_password_is_not_shown() {
    let dir = tempfile::tempdir().expect("a directory");
    let echoes: [Echo; 3] = [
        |head| {
            answer(&format!("407 {}", credentials(head)), "Proxy-Authenticate: Basic realm=x\r\n", &credentials(head))
        },
        |head| answer("403 Forbidden", "Content-Type: text/html\r\n", &format!("<title>{}</title>", credentials(head))),
        |head| answer("502 Bad Gateway", &format!("X-Echo: {}\r\n", credentials(head)), &credentials(head)),
    ];
    let secrets = ["s3cr3t".to_owned(), STANDARD.encode("user:s3cr3t-proxy")];
    for echo in echoes {
        let proxy = format!("http://user:s3cr3t-proxy@{}", serve(false, echo));
        for verbosity in VERBOSITIES {
            let env = [("HTTPS_PROXY", proxy.as_str())];
            let text = printed(dir.path(), "https://api.example:6443", "token: s3cr3t-token", &env, verbosity);
            assert_hidden(&text, &secrets, &format!("-v {verbosity}"));
        }
    }
}

#[test]
fn what_a_proxy_without_tls_in_front_of_the_server_repeats_is_not_shown() {
    let dir = tempfile::tempdir().expect("a directory");
    let secrets = ["s3cr3t".to_owned(), STANDARD.encode("bob:s3cr3t-proxy")];
    for (what, echo) in ECHOES {
        let proxy = format!("http://bob:s3cr3t-proxy@{}", serve(false, echo));
        for verbosity in VERBOSITIES {
            for variable in ["HTTP_PROXY", "http_proxy"] {
                let env = [(variable, proxy.as_str())];
                let text = printed(dir.path(), "http://api.example:8080", "token: s3cr3t-token", &env, verbosity);
                assert_hidden(&text, &secrets, &format!("{what}, {variable}, -v {verbosity}"));
            }
            let server = format!("http://api.example:8080\", proxy-url: \"{proxy}");
            let text = printed(dir.path(), &server, "{}", &[], verbosity);
            assert_hidden(&text, &secrets, &format!("{what}, proxy-url, -v {verbosity}"));
        }
    }
}

#[test]
fn a_password_that_is_written_badly_into_a_proxys_url_is_neither_shown_nor_asked_for() {
    let dir = tempfile::tempdir().expect("a directory");
    for url in [
        "http://bob:p@s3cr3t/w0rd@host",
        "http://bob:p@s3cr3t?w0rd@host:3128",
        "bob:p@s3cr3t#w0rd@host",
        "http://s3cr3t:1/2@host",
        "http://bob:s3cr3t/w0rd@host",
        "http://bob:s3cr3t w0rd@host",
        "bob:s3cr3t@host:port",
        "http://bob:s3cr3t\\w0rd@host",
    ] {
        for verbosity in ["0", "10"] {
            let text = printed(dir.path(), "https://a.invalid", "{}", &[("HTTPS_PROXY", url)], verbosity);
            assert_hidden(&text, &["s3cr3t".to_owned(), "w0rd".to_owned()], &format!("HTTPS_PROXY={url}"));
            let server = format!("https://a.invalid\", \"proxy-url\": '{url}', tls-server-name: \"a");
            let text = printed(dir.path(), &server, "{}", &[], verbosity);
            assert_hidden(&text, &["s3cr3t".to_owned(), "w0rd".to_owned()], &format!("proxy-url {url}"));
        }
    }
}

#[test]
fn what_a_server_repeats_of_impersonated_extras_is_not_shown() {
    fn extras(head: &str) -> String {
        let lines: Vec<&str> =
            head.lines().filter(|line| line.to_ascii_lowercase().starts_with("impersonate")).collect();
        let value = lines.join(" ");
        answer("403 Forbidden", &format!("X-Echo: {value}\r\nAudit-Id: {value}\r\n"), &value)
    }
    let dir = tempfile::tempdir().expect("a directory");
    for (tls, scheme) in [(true, "https"), (false, "http")] {
        let server = format!("{scheme}://{}", serve(tls, extras));
        for verbosity in VERBOSITIES {
            let user = "{as: jane, as-user-extra: {Scopes: [\"s3cr3t-scope of mine\", b]}}";
            let text = printed(dir.path(), &server, user, &[], verbosity);
            assert_hidden(&text, &["s3cr3t".to_owned(), "of mine".to_owned()], &format!("{scheme}, -v {verbosity}"));
            assert!(text.contains("jane"), "whom to act as is no secret: {text}");
        }
    }
}

#[test]
fn what_an_identity_provider_repeats_or_gives_is_not_shown() {
    fn provider(request: &str, refused: impl Fn(&str) -> String) -> String {
        let host = request.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("host: ").map(str::to_owned));
        let host = host.unwrap_or_default();
        match request.starts_with("GET ") {
            true => {
                let url = format!("http://{host}");
                let configuration = serde_json::json!({"issuer": url, "token_endpoint": url + "/token"});
                answer("200 OK", "Content-Type: application/json\r\n", &configuration.to_string())
            }
            false => refused(request.rsplit("\r\n\r\n").next().unwrap_or_default()),
        }
    }
    let echoes: [(&str, Echo); 4] = [
        ("headers", |request| {
            let basic = credentials(request);
            provider(request, |form| {
                answer(
                    "400 Bad Request",
                    &format!("X-Echo: {form}\r\nX-Basic: {basic}\r\nVia: {form} {basic}\r\n"),
                    "no",
                )
            })
        }),
        ("an error", |request| {
            let basic = credentials(request);
            provider(request, |form| {
                let body = serde_json::json!({"error": form, "error_description": basic});
                answer("400 Bad Request", "", &body.to_string())
            })
        }),
        ("new tokens", |request| {
            provider(request, |_| {
                answer(
                    "200 OK",
                    "X-Session: s3cr3t-new\r\nX-Other: s3cr3t-new\r\n",
                    "{\"access_token\": \"s3cr3t-new\"}",
                )
            })
        }),
        ("a redirect", |request| {
            provider(request, |form| answer("302 Found", &format!("Location: ftp://s3cr3t.example/x?{form}\r\n"), ""))
        }),
    ];
    let dir = tempfile::tempdir().expect("a directory");
    let secrets =
        ["s3cr3t".to_owned(), "ab+cd".to_owned(), "ab%2Bcd".to_owned(), STANDARD.encode("kube:s3cr3t-client")];
    for (what, echo) in echoes {
        let issuer = serve(false, echo);
        let user = format!(
            "auth-provider: {{name: oidc, config: {{idp-issuer-url: \"http://{issuer}\", client-id: kube, \
             client-secret: s3cr3t-client, refresh-token: \"s3cr3t ab+cd/ef\"}}}}"
        );
        for verbosity in VERBOSITIES {
            let text = printed(dir.path(), "https://127.0.0.1:1", &user, &[], verbosity);
            assert!(text.contains("the provider") || text.contains("the token endpoint"), "{what}: {text}");
            assert_hidden(&text, &secrets, &format!("{what}, -v {verbosity}"));
        }
    }
}

#[test]
fn tokens_that_a_login_page_hands_over_in_a_redirect_are_not_shown() {
    let redirects: [Echo; 2] = [
        |_| {
            answer("302 Found", "Location: https://other.example/cb?id_token=s3cr3t-theirs#access_token=s3cr3t\r\n", "")
        },
        |head| match head.contains("/cb?") {
            false => answer("302 Found", "Location: /cb?id_token=s3cr3t-theirs\r\n", ""),
            true => answer("403 Forbidden", "", "no"),
        },
    ];
    let dir = tempfile::tempdir().expect("a directory");
    for redirect in redirects {
        let server = format!("https://{}", serve(true, redirect));
        for verbosity in VERBOSITIES {
            let text = printed(dir.path(), &server, "token: x", &[], verbosity);
            assert_hidden(&text, &["s3cr3t".to_owned()], &format!("-v {verbosity}"));
        }
    }
}

/// Whatever stands in a secret's place, and however it is written there.
#[test]
fn a_kubeconfig_that_is_wrong_is_told_without_its_secrets() {
    let dir = tempfile::tempdir().expect("a directory");
    let oidc = |field: &str| {
        format!("auth-provider: {{name: oidc, config: {{idp-issuer-url: \"https://i.invalid\", {field}: @}}}}")
    };
    let places = [
        "token: @".to_owned(),
        "{username: a, password: @}".to_owned(),
        "client-key-data: @".to_owned(),
        "{client-certificate-data: @, client-key-data: @}".to_owned(),
        "exec: {apiVersion: client.authentication.k8s.io/v1, command: none-such, args: [@], interactiveMode: Never}".to_owned(),
        "exec: {apiVersion: client.authentication.k8s.io/v1, command: none-such, env: [{name: A, value: @}], interactiveMode: Never}".to_owned(),
        oidc("refresh-token"),
        oidc("client-secret"),
        oidc("id-token"),
        "auth-provider: {name: gcp, config: {access-token: @}}".to_owned(),
    ];
    let forms = [
        "s3cr3t",
        "'s3cr3t'",
        "[s3cr3t]",
        "{s3cr3t: 1}",
        "!!int s3cr3t",
        "!!binary s3cr3t",
        "\"s3cr3t\\u0007\"",
        "&s3cr3t s3cr3t",
        "\"s3cr3t",
        "|\n   s3cr3t",
    ];
    for place in &places {
        for form in forms {
            for verbosity in ["0", "10"] {
                let user = place.replace('@', form);
                let text = printed(dir.path(), "https://127.0.0.1:1", &user, &[], verbosity);
                assert_hidden(&text, &["s3cr3t".to_owned()], &format!("{user} (-v {verbosity})"));
            }
        }
    }
}

#[test]
fn redact_masks_a_log_in_every_format() {
    fn log(_: &str) -> String {
        let lines = "one password=s3cr3t-log end\ntwo Authorization: Bearer s3cr3t-log\nthree\n";
        answer(
            "200 OK",
            "Content-Type: text/plain\r\nAccept-Ranges: bytes\r\nLast-Modified: Sat, 21 Nov 2026 03:07:12 GMT\r\n",
            lines,
        )
    }
    let dir = tempfile::tempdir().expect("a directory");
    let config = dir.path().join("config");
    let server = serve(true, log);
    let text = format!(
        "current-context: x\ncontexts: [{{name: x, context: {{cluster: c, user: u}}}}]\n\
         clusters: [{{name: c, cluster: {{server: \"https://{server}\", insecure-skip-tls-verify: true}}}}]\n\
         users: [{{name: u, user: {{token: x}}}}]\n"
    );
    std::fs::write(&config, text).expect("a file");
    for format in ["text", "raw", "json", "yaml", "jsonl", "digest"] {
        let run = |more: &[&str]| {
            let mut command = program();
            command.args(["node-a", "--path", "a.log", "-o", format]).args(more).env("KUBECONFIG", &config);
            ran(command.output().expect("it runs"))
        };
        let masked = run(&["--redact"]);
        let text = masked.expect(0, &[]).text();
        assert!(!text.contains("s3cr3t-log") && text.contains("three"), "{format}: {text}");
        if format != "digest" {
            assert_eq!(text.matches("(redacted)").count(), 2, "{format}: {text}");
            assert!(run(&[]).text().contains("s3cr3t-log"), "{format}");
        }
    }
}
