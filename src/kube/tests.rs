//! The client against servers on loopback: recorded answers, faults, credentials.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use hyper::HeaderMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::args::Connection;
use crate::auth::Stdin;
use crate::config;
use crate::http::Roots;
use crate::http::testing::*;

/// An answer as a real server sent it: status line, headers and body, chunks and all.
macro_rules! recorded {
    ($case:literal) => {
        include_bytes!(concat!("../../fixtures/exchanges/", $case, ".http"))
    };
}

fn quiet() -> Notices {
    Notices::new(0, true, |_| ())
}

fn auth(said: Connection) -> Auth {
    auth_in(&Env::new([("", ""); 0]), said)
}

fn auth_in(env: &Env, said: Connection) -> Auth {
    let said = Connection { server: Some("https://somewhere".into()), ..said };
    let config = config::load(&said, env).unwrap();
    Auth::new(&config, env, Clock::System, quiet(), Stdin::Other).unwrap()
}

fn with_token() -> Connection {
    Connection { token: Some(crate::secret::Secret::from("t0ken")), ..Connection::default() }
}

fn plain_trust() -> Trust {
    Trust { roots: Roots::Authorities(Vec::new()), server_name: None }
}

/// A client, and the waits it would have made.
fn client(url: String, trust: Trust, auth: Auth) -> (Client, Arc<Mutex<Vec<Duration>>>) {
    let waits = Arc::default();
    let options = Options { pause: Pause::Record(Arc::clone(&waits)), ..Options::new(quiet()) };
    (Client::new(&Server { url, trust }, auth, options).unwrap(), waits)
}

fn anonymous(server: &Listening) -> Client {
    client(server.http_url(), plain_trust(), auth(Connection::default())).0
}

/// Answers requests one after another, on as many connections as come, and keeps their heads.
async fn answering(answers: Vec<Vec<u8>>) -> (Listening, Arc<Mutex<Vec<String>>>) {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let (asked, answers) = (Arc::clone(&heads), Arc::new(Mutex::new(answers.into_iter())));
    let server = raw(move |_, mut stream| {
        let (asked, answers) = (Arc::clone(&asked), Arc::clone(&answers));
        async move {
            loop {
                let head = read_head(&mut stream).await;
                if head.is_empty() {
                    return;
                }
                asked.lock().unwrap().push(head);
                let answer = answers.lock().unwrap().next().expect("one more request than answers");
                if answer.is_empty() {
                    return reset(stream);
                }
                if stream.write_all(&answer).await.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    (server, heads)
}

fn answer(head: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

// Refusals.

/// What a recorded answer becomes: kind, words without the audit id, hint.
async fn refusal(recording: &[u8]) -> (Kind, String, String) {
    let server = saying(recording).await;
    let asked = ask_plain(&server).await.unwrap();
    let error = status::error_of(asked).await;
    let chain = error.chain();
    let words = match chain.split_once(" (audit id ") {
        Some((words, id)) => {
            assert!(id.len() == 37 && id.ends_with(')'), "{chain}");
            words.to_owned()
        }
        None => chain.clone(),
    };
    (error.kind(), words, error.remedy().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn recorded_refusals_say_the_servers_words_and_a_remedy() {
    use Kind::{Denied, Failed, NotFound, Unreachable};
    let cases: &[(&[u8], Kind, &str, &str)] = &[
        (recorded!("1.36/auth-bad-token"), Denied, "401 Unauthorized", "log in again"),
        (recorded!("1.36/direct-noauth"), Denied, "401 Unauthorized", "log in again"),
        (
            recorded!("1.36/noauth"),
            Denied,
            "403 Forbidden: nodes \"node-a\" is forbidden: User \"system:anonymous\" cannot get resource \"nodes/proxy\" in API group \"\" at the cluster scope: proxy subresource changed to unsafeproxy",
            "saw no credentials",
        ),
        (
            recorded!("1.36/forbidden-viewer"),
            Denied,
            "403 Forbidden: nodes \"node-a\" is forbidden: User \"viewer\" cannot get resource \"nodes/proxy\" in API group \"\" at the cluster scope",
            "{apiGroups: [\"\"], resources: [\"nodes/proxy\"], verbs: [\"get\"]}",
        ),
        (
            recorded!("1.36/forbidden-nobody-nodes"),
            Denied,
            "403 Forbidden: nodes is forbidden: User \"nobody\" cannot list resource \"nodes\" in API group \"\" at the cluster scope",
            "resources: [\"nodes\"], verbs: [\"list\"]",
        ),
        (
            recorded!("1.36/apiserver-logs-user"),
            Denied,
            "403 Forbidden: forbidden: User \"logreader\" cannot get path \"/logs/\"",
            "",
        ),
        (
            recorded!("1.36/direct-nobody"),
            Denied,
            "403 Forbidden: (user=nobody, verb=get, resource=nodes, subresource(s)=[log])",
            "resources: [\"nodes/log\"], verbs: [\"get\"]",
        ),
        (
            recorded!("1.24/direct-nobody"),
            Denied,
            "403 Forbidden: (user=nobody, verb=get, resource=nodes, subresource=log)",
            "resources: [\"nodes/log\"], verbs: [\"get\"]",
        ),
        (recorded!("1.36/node-unknown"), NotFound, "404 Not Found: nodes \"nosuch\" not found", "kubectl get nodes"),
        (recorded!("1.36/file-missing"), NotFound, "404 Not Found: page not found", ""),
        (recorded!("1.36/list-root-json"), Failed, "406 Not Acceptable", ""),
        (recorded!("1.36/list-root-post"), Failed, "405 Method Not Allowed", ""),
        (
            recorded!("1.36/q-badchars"),
            Failed,
            "406 Not Acceptable: query: Invalid value: \"kube$let\": input contains unsupported characters",
            "",
        ),
        (
            recorded!("1.36/node-down"),
            Unreachable,
            "503 Service Unavailable: error trying to reach service: dial tcp 127.0.0.1:10259: connect: connection refused",
            "systemctl status kubelet",
        ),
        (recorded!("1.36/bad-node-x1"), Failed, "400 Bad Request: address not allowed", "loopback"),
        (
            recorded!("1.36/bad-node-x2"),
            Unreachable,
            "500 Internal Server Error: no preferred addresses found; known addresses: []",
            "no address",
        ),
        (
            recorded!("1.36/bad-node-x3"),
            Unreachable,
            "503 Service Unavailable: error trying to reach service: net/http: TLS handshake timeout",
            "hangs",
        ),
        (
            recorded!("1.36/bad-node-x4"),
            Unreachable,
            "503 Service Unavailable: error trying to reach service: tls: failed to verify certificate: x509: certificate signed by unknown authority",
            "kubectl get csr",
        ),
        (
            recorded!("1.36/bad-node-x5"),
            Unreachable,
            "503 Service Unavailable: error trying to reach service: EOF",
            "dropped the request",
        ),
        (
            recorded!("1.36/bad-node-x6"),
            Unreachable,
            "400 Bad Request: lookup no-such-host.invalid on 127.000.0.053:53: no such host",
            "host name",
        ),
        (
            recorded!("1.24/bad-node-x6"),
            Unreachable,
            "503 Service Unavailable: error trying to reach service: dial tcp: lookup no-such-host.invalid on 127.000.0.053:53: no such host",
            "host name",
        ),
        (
            recorded!("1.36/nodes-list-continue-bad"),
            Failed,
            "400 Bad Request: invalid continue token: continue key is not valid: invalid character 'i' looking for beginning of value",
            "",
        ),
        (
            recorded!("1.36/podlog-bad"),
            Failed,
            "422 Unprocessable Entity: PodLogOptions \"talker-node-a\" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0",
            "",
        ),
        (recorded!("1.36/range-beyond"), Failed, "416 Range Not Satisfiable: invalid range: failed to overlap", ""),
    ];
    for (recording, kind, words, hint) in cases {
        let told = refusal(recording).await;
        assert_eq!((told.0, told.1.as_str()), (*kind, *words));
        assert!(told.2.contains(hint) && hint.is_empty() == told.2.is_empty(), "{words}: {:?}", told.2);
    }
}

#[tokio::test]
async fn the_missing_permission_can_be_pasted() {
    let (_, _, hint) = refusal(recorded!("1.36/forbidden-viewer")).await;
    assert_eq!(
        hint,
        "the verb get on nodes/proxy is missing; an administrator can grant it with\n\
         apiVersion: rbac.authorization.k8s.io/v1\n\
         kind: ClusterRole\n\
         metadata: {name: kubelet-logs}\n\
         rules:\n\
         - {apiGroups: [\"\"], resources: [\"nodes/proxy\"], verbs: [\"get\"]}\n\
         and\n\
         kubectl create clusterrolebinding kubelet-logs --clusterrole=kubelet-logs --user=viewer\n\
         careful: get on nodes/proxy opens all of the kubelet's API, with it running commands in any pod of the node"
    );
    let told = |user: &str, resource: &str| {
        let message =
            format!("x is forbidden: User \"{user}\" cannot get resource \"{resource}\" in API group \"\" at");
        let status = serde_json::json!({"kind": "Status", "message": message}).to_string();
        async move { refusal(&answer("403 Forbidden", &status)).await.2 }
    };
    let account = told("system:serviceaccount:ops:reader", "nodes").await;
    assert!(account.ends_with("--serviceaccount=ops:reader"), "{account}");
    // What a server says is never pasted into a shell unless it is a plain name.
    assert!(told("me; rm -rf /", "nodes").await.ends_with("--user=NAME"));
    assert_eq!(told("me", "nodes; rm -rf /").await, "");
}

#[tokio::test]
async fn a_disabled_log_endpoint_names_the_kubelets_setting() {
    let (kind, words, hint) = refusal(&answer("405 Method Not Allowed", "logs endpoint is disabled.")).await;
    assert_eq!((kind, words.as_str()), (Kind::Failed, "405 Method Not Allowed: logs endpoint is disabled."));
    assert!(hint.contains("\nenableSystemLogHandler: true\n"), "{hint}");
}

#[tokio::test]
async fn hostile_and_foreign_error_bodies_become_bounded_words() {
    let (_, words, _) = refusal(&answer("500 Oops", &"x ".repeat(200_000))).await;
    assert!(words.len() < 1100 && words.ends_with('…'), "{}", words.len());
    let (_, words, _) = refusal(&answer("500 Oops", "one\r\n\x1b[2Jtwo\u{0}three")).await;
    assert_eq!(words, "500 Internal Server Error: one [2Jtwo three");
    let page = "<html><head><TITLE>502 Bad\nGateway</TITLE></head><body>nginx</body></html>";
    let (kind, words, _) = refusal(&answer("502 Bad Gateway", page)).await;
    assert_eq!(words, "502 Bad Gateway: a web page answered, not Kubernetes: \"502 Bad Gateway\"");
    assert_eq!(kind, Kind::Unreachable);
    let nested = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    assert!(refusal(&answer("500 Oops", &nested)).await.1.len() < 1100);
    let (_, words, _) = refusal(&answer("599 Odd", "")).await;
    assert_eq!(words, "599");
    // Causes tell more than the message at times.
    let causes = r#"{"kind":"Status","message":"the server rejected our request","details":{"causes":[{"reason":"UnexpectedServerResponse","message":"404 page not found"},{"field":"a.b","message":"bad"}]}}"#;
    let (_, words, _) = refusal(&answer("404 Not Found", causes)).await;
    assert_eq!(words, "404 Not Found: the server rejected our request; 404 page not found; a.b: bad");
}

#[tokio::test]
async fn an_error_whose_body_never_ends_is_told_all_the_same() {
    let server = raw(|_, mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nno way").await.unwrap();
    })
    .await;
    let asked = ask_plain(&server).await.unwrap();
    assert_eq!(status::error_of(asked).await.chain(), "403 Forbidden: no way");
}

// Asking again.

#[tokio::test]
async fn retry_after_is_waited_for_and_the_answer_comes() {
    let busy = || answer("429 Too Many Requests\r\nRetry-After: 3", "slow down");
    let (server, heads) = answering(vec![busy(), busy(), answer("200 OK", "fine")]).await;
    let (client, waits) = client(server.http_url(), plain_trust(), auth(Connection::default()));
    let got = client.get(Request::get("/x")).await.unwrap();
    assert_eq!((got.status, &got.body.collect(99).await.unwrap()[..]), (200, &b"fine"[..]));
    assert_eq!(heads.lock().unwrap().len(), 3);
    let waits = waits.lock().unwrap();
    assert_eq!(waits.len(), 2);
    assert!(waits.iter().all(|wait| (3.0..4.0).contains(&wait.as_secs_f64())), "{waits:?}");
}

#[tokio::test]
async fn a_server_that_stays_busy_is_given_up_with_its_own_words() {
    let busy = answer("429 Too Many Requests", "too many requests, please try again later");
    let (server, heads) = answering(vec![busy; 4]).await;
    let (client, waits) = client(server.http_url(), plain_trust(), auth(Connection::default()));
    let error = Client::expect_ok(client.get(Request::get("/x")).await.unwrap()).await.unwrap_err();
    assert_eq!(error.to_string(), "429 Too Many Requests: too many requests, please try again later");
    assert_eq!((heads.lock().unwrap().len(), waits.lock().unwrap().len()), (4, 3));

    let (server, heads) = answering(vec![answer("503 Service Unavailable\r\nRetry-After: 86400", "later")]).await;
    let error = Client::expect_ok(anonymous(&server).get(Request::get("/x")).await.unwrap()).await.unwrap_err();
    assert_eq!(error.remedy(), Some("the server asks to come back in 86400 s"));
    assert_eq!(heads.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_connection_lost_before_the_answer_is_made_again() {
    for alpn in [H1, H2] {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let (server, trust) = good(alpn, move |_| {
            let nth = count.fetch_add(1, Ordering::SeqCst);
            async move {
                match nth {
                    // No answer, and the connection breaks.
                    0 => panic!("injected: connection lost"),
                    _ => whole(200, "fine"),
                }
            }
        })
        .await;
        let (client, waits) = client(server.https_url(), trust, auth(Connection::default()));
        assert_eq!(client.get(Request::get("/x")).await.unwrap().status, 200, "{alpn:?}");
        assert_eq!((asked.load(Ordering::SeqCst), waits.lock().unwrap().len()), (2, 1));
    }
    // Always.
    let (server, heads) = answering(vec![Vec::new(); 4]).await;
    let (client, _) = client(server.http_url(), plain_trust(), auth(Connection::default()));
    let error = client.get(Request::get("/x")).await.unwrap_err();
    assert!(error.chain().starts_with("asked 4 times: ") && error.kind() == Kind::Unreachable, "{}", error.chain());
    assert_eq!(heads.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn a_node_that_is_down_is_asked_once_and_its_error_stays_whole() {
    let (server, heads) = answering(vec![recorded!("1.36/node-down").to_vec()]).await;
    let got = anonymous(&server).get(Request::get("/x")).await.unwrap();
    assert_eq!(heads.lock().unwrap().len(), 1);
    let error = status::error_of(got).await;
    assert!(error.chain().contains("connection refused") && error.kind() == Kind::Unreachable, "{}", error.chain());
}

// What goes out.

#[tokio::test]
async fn every_request_says_who_asks_and_keeps_the_path_prefix() {
    let (server, heads) = answering(vec![answer("200 OK", "")]).await;
    let url = format!("{}/k8s/clusters/x/", server.http_url());
    let (client, _) = client(url, plain_trust(), auth(Connection::default()));
    client.get(Request::get(path::logs_dir("n", ""))).await.unwrap();
    let heads = heads.lock().unwrap();
    assert!(heads[0].starts_with("GET /k8s/clusters/x/api/v1/nodes/n/proxy/logs/ HTTP/1.1\r\n"), "{}", heads[0]);
    let agent = format!("user-agent: kubectl-kubelet_logs/{} (", env!("CARGO_PKG_VERSION"));
    assert!(
        heads[0].contains(&agent) && heads[0].contains("/amd64)\r\n") == cfg!(target_arch = "x86_64"),
        "{}",
        heads[0]
    );
    assert!(!heads[0].contains("accept"), "{}", heads[0]);
}

#[tokio::test]
async fn compression_is_asked_for_unless_disabled() {
    for (disable_compression, expected) in [(false, "gzip"), (true, "")] {
        let (listening, trust) = good(H2, |asked| async move {
            let said = asked.headers().get("accept-encoding").map_or("", |value| value.to_str().unwrap());
            whole(200, said.to_owned())
        })
        .await;
        let options = Options { disable_compression, ..Options::new(quiet()) };
        let server = Server { url: listening.https_url(), trust };
        let client = Client::new(&server, auth(Connection::default()), options).unwrap();
        let got = client.get(Request::get("/").encoding(crate::http::Encoding::Gzip)).await.unwrap();
        assert_eq!(got.body.collect(99).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_bearer_token_goes_out_and_never_to_another_origin() {
    let seen: Arc<Mutex<Vec<HeaderMap>>> = Arc::default();
    let thief_seen = Arc::clone(&seen);
    let thief = raw(move |_, mut stream| {
        let seen = Arc::clone(&thief_seen);
        async move {
            let mut bytes = vec![0; 10];
            let _ = stream.read(&mut bytes).await;
            seen.lock().unwrap().push(HeaderMap::new());
        }
    })
    .await;
    let elsewhere = thief.https_url();
    let (server, trust) = good(H2, move |asked| {
        let token = asked.headers().get("authorization").map(|v| v.to_str().unwrap().to_owned());
        assert_eq!(token.as_deref(), Some("Bearer t0ken"));
        let (status, to) = match asked.uri().path() {
            "/in/a" => (301, "b/".to_owned()),
            "/in/b/" => (200, String::new()),
            "/in/out" => (302, "/api/v1/secrets".to_owned()),
            _ => (307, format!("{elsewhere}/in/b/")),
        };
        let mut answer = whole(status, "x");
        if !to.is_empty() {
            answer.headers_mut().insert("location", to.parse().unwrap());
        }
        async { answer }
    })
    .await;
    let (client, _) = client(server.https_url(), trust, auth(with_token()));
    let follow = async |path: &str| client.get_within(Request::get(path), "/in/").await.unwrap().status;
    assert_eq!(follow("/in/a").await, 200);
    assert_eq!(follow("/in/out").await, 302, "stays within its path");
    assert_eq!(follow("/in/away").await, 307, "stays on its server");
    assert_eq!(seen.lock().unwrap().len(), 0);
    assert_eq!(thief.connections(), 0);
}

#[tokio::test]
async fn a_rejected_token_file_is_read_again_once() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, "old\n").unwrap();
    let kubeconfig = directory.path().join("config");
    let text = "current-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n\
                clusters: [{name: c, cluster: {server: https://somewhere}}]\nusers: [{name: u, user: {tokenFile: token}}]\n";
    std::fs::write(&kubeconfig, text).unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let (count, rotated) = (Arc::clone(&asked), file.clone());
    let (server, trust) = good(H2, move |request| {
        count.fetch_add(1, Ordering::SeqCst);
        let token = request.headers()["authorization"].to_str().unwrap().to_owned();
        // The token is rotated while the first request is on its way.
        std::fs::write(&rotated, "new\n").unwrap();
        async move { whole(if token == "Bearer new" { 200 } else { 401 }, "x") }
    })
    .await;
    let said = Connection { kubeconfig: Some(kubeconfig.to_str().unwrap().into()), ..Connection::default() };
    let (client, _) = client(server.https_url(), trust, auth(said));
    assert_eq!(client.get(Request::get("/")).await.unwrap().status, 200);
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[cfg(unix)]
#[tokio::test]
async fn a_plugins_new_certificate_gets_a_new_connection() {
    use base64::Engine;
    let pem = |label: &str, der: &[u8]| {
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
    };
    let authority = Authority::new();
    let credential = |name: &str| {
        let identity = authority.client(name);
        let certificate = pem("CERTIFICATE", &identity.chain[0]);
        let key = pem("PRIVATE KEY", identity.key.secret_der());
        serde_json::json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
            "status": {"clientCertificateData": certificate, "clientKeyData": key}})
        .to_string()
    };
    let directory = tempfile::tempdir().unwrap();
    let given = directory.path().join("credential");
    std::fs::write(&given, credential("old")).unwrap();
    let kubeconfig = directory.path().join("config");
    let text = format!(
        "current-context: c\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
         clusters: [{{name: c, cluster: {{server: https://somewhere}}}}]\n\
         users: [{{name: u, user: {{exec: {{apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, \
         command: /bin/cat, args: [{given:?}]}}}}}}]\n"
    );
    std::fs::write(&kubeconfig, text).unwrap();
    let config = authority.demanding(authority.server(&["localhost"], |_| ()), H2);
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let renewed = (given, credential("new"));
    // The first connection's certificate is no longer accepted, and the plugin has another.
    let server = raw(move |nth, stream| {
        let (acceptor, (given, new)) = (acceptor.clone(), renewed.clone());
        async move {
            let status = if nth == 0 { 401 } else { 200 };
            let stream = acceptor.accept(stream).await.unwrap();
            std::fs::write(&given, &new).unwrap();
            serve(stream, move |_| async move { whole(status, "x") }).await;
        }
    })
    .await;
    let said = Connection { kubeconfig: Some(kubeconfig.to_str().unwrap().into()), ..Connection::default() };
    let (client, _) = client(server.https_url(), authority.trust(), auth(said));
    for _ in 0..2 {
        assert_eq!(client.get(Request::get("/")).await.unwrap().status, 200);
    }
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_token_that_stays_rejected_is_asked_about_once() {
    let (server, trust) = good(H2, |_| async { whole(401, "Unauthorized") }).await;
    let (client, waits) = client(server.https_url(), trust, auth(with_token()));
    assert_eq!(client.get(Request::get("/")).await.unwrap().status, 401);
    assert_eq!(waits.lock().unwrap().len(), 0);
}

#[test]
fn the_environment_can_switch_http2_off_and_set_its_pings() {
    let env = Env::new([
        ("DISABLE_HTTP2", "1"),
        ("HTTP2_READ_IDLE_TIMEOUT_SECONDS", "0"),
        ("HTTP2_PING_TIMEOUT_SECONDS", "x"),
    ]);
    let options = Options::new(quiet()).obeying(&env);
    assert_eq!(options.protocol, Protocol::Http1);
    assert_eq!((options.ping_after, options.ping_timeout), (Duration::ZERO, Duration::from_secs(15)));
}

// Objects.

#[tokio::test]
async fn a_recorded_node_is_read() {
    for (recording, port) in [(&recorded!("1.36/node-get")[..], 10250), (&recorded!("1.24/node-get")[..], 10350)] {
        let server = saying(recording).await;
        let node = node::get(&anonymous(&server), "node-a").await.unwrap();
        assert_eq!(node.name(), "node-a");
        assert_eq!(node.metadata.labels["kubernetes.io/os"], "linux");
        let info = &node.status.node_info;
        assert!(info.kubelet_version.starts_with("v1."), "{info:?}");
        assert_eq!((info.boot_id.len(), info.machine_id.len(), node.is_windows()), (36, 32, false));
        assert_eq!(node.condition("Ready").unwrap().status, "True");
        assert_eq!(node.status.addresses[0].kind, "InternalIP");
        assert_eq!(node.status.daemon_endpoints.kubelet_endpoint.port, port);
    }
}

#[tokio::test]
async fn recorded_names_and_pods_are_read() {
    let server = saying(&recorded!("1.36/nodes-partial")[..]).await;
    let names = node::names(&anonymous(&server)).await.unwrap();
    assert!(names.contains(&"node-a".to_owned()) && names.len() > 3, "{names:?}");

    let pod = r#"{"metadata":{"name":"a","namespace":"b","uid":"u"},"spec":{"nodeName":"n"},"status":{"startTime":"2026-11-21T02:05:49Z",
        "containerStatuses":[{"name":"c","containerID":"containerd://new","restartCount":1,"lastState":{"terminated":{"containerID":"containerd://old","exitCode":1}}}],
        "initContainerStatuses":[{"name":"i","containerID":""}]}}"#;
    let (server, heads) = answering(vec![answer("200 OK", pod)]).await;
    let pod = pod::get(&anonymous(&server), "b", "a").await.unwrap();
    assert!(heads.lock().unwrap()[0].starts_with("GET /api/v1/namespaces/b/pods/a "));
    assert_eq!((pod.metadata.uid.as_str(), pod.spec.node_name.as_str()), ("u", "n"));
    assert_eq!(pod.container_ids().collect::<Vec<_>>(), ["new", "old"]);
}

fn page(names: &[&str], token: &str) -> Vec<u8> {
    let items: Vec<_> = names.iter().map(|name| serde_json::json!({"metadata": {"name": name}})).collect();
    answer("200 OK", &serde_json::json!({"metadata": {"continue": token}, "items": items}).to_string())
}

#[tokio::test]
async fn lists_are_read_page_by_page_and_go_on_after_expiry() {
    // The recorded 410 holds the token to go on with.
    let expired = recorded!("1.36/nodes-list-continue-expired").to_vec();
    let (server, heads) = answering(vec![page(&["a", "b"], "t=1"), expired, page(&["c"], "")]).await;
    let nodes = node::list(&anonymous(&server), "role in (a,b)", "").await.unwrap();
    assert_eq!(nodes.iter().map(node::Node::name).collect::<Vec<_>>(), ["a", "b", "c"]);
    let asked: Vec<_> = heads.lock().unwrap().iter().map(|head| head.lines().next().unwrap().to_owned()).collect();
    assert_eq!(asked[0], "GET /api/v1/nodes?labelSelector=role%20in%20%28a%2Cb%29&limit=500 HTTP/1.1");
    assert!(asked[1].ends_with("&limit=500&continue=t%3D1 HTTP/1.1"), "{}", asked[1]);
    assert!(asked[2].contains("&continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEi"), "{}", asked[2]);

    // One without a token starts over.
    let gone = answer("410 Gone", r#"{"kind":"Status","message":"expired","reason":"Expired"}"#);
    let (server, _) = answering(vec![page(&["a"], "t"), gone, page(&["a", "b"], "")]).await;
    assert_eq!(node::names(&anonymous(&server)).await.unwrap(), ["a", "b"]);
    let (server, _) = answering(vec![answer("200 OK", r#"{"items":null}"#)]).await;
    assert!(node::names(&anonymous(&server)).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_list_that_does_not_end_and_an_answer_that_is_no_list_are_errors() {
    let (server, _) = answering(vec![page(&["a"], "t"), page(&["a"], "t")]).await;
    let error = node::names(&anonymous(&server)).await.unwrap_err();
    assert!(error.to_string().starts_with("the list does not end"), "{error}");
    let (server, _) = answering(vec![answer("200 OK", "<html>")]).await;
    let error = node::names(&anonymous(&server)).await.unwrap_err();
    assert!(error.to_string().contains("not what its API promises"), "{error}");
    let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".to_vec();
    let server = saying(cut).await;
    let error = node::names(&anonymous(&server)).await.unwrap_err();
    assert_eq!(error.to_string(), "answer cut off after 1 bytes: the server closed the connection");
    assert_eq!(error.kind(), Kind::Unreachable);
}
