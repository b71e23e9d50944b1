//! What goes out, and when it goes out again.

use super::*;

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
async fn redirects_are_followed_on_the_server_and_credentials_go_nowhere_else() {
    let thief = raw(|_, mut stream| async move {
        let _ = stream.read(&mut [0; 10]).await;
    })
    .await;
    let (elsewhere, plainly) = (thief.https_url(), thief.http_url());
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let record = Arc::clone(&asked);
    let (server, trust) = good(H2, move |asked| {
        let header = |name: &str| asked.headers().get(name).map(|v| v.to_str().unwrap().to_owned());
        assert_eq!(header("authorization").as_deref(), Some("Bearer t0ken"));
        assert_eq!(header("impersonate-user").as_deref(), Some("jane"));
        record.lock().unwrap().push(asked.uri().path_and_query().unwrap().to_string());
        let own = asked.uri().authority().unwrap().clone();
        let path = asked.uri().path();
        let (status, to) = match path.strip_prefix("/k8s/c").unwrap() {
            "/a" => (301, "b/".to_owned()),
            "/b/" => (302, "/k8s/c/d?x=1".to_owned()),
            // One that does not know of the prefix.
            "/d" => (307, "/e".to_owned()),
            "/e" => (308, format!("https://{own}/k8s/c/f")),
            "/loop" => (303, "loop".to_owned()),
            "/away" => (302, format!("{elsewhere}/login?token=s3cr3t")),
            "/plain" => (307, format!("{plainly}/x")),
            "/relative" => (302, format!("//{}/x", elsewhere.trim_start_matches("https://"))),
            "/userinfo" => (302, format!("https://me:s3cr3t@{own}/x")),
            "/nowhere" => (302, "https://[::1/".to_owned()),
            "/api/v1/nodes/n/proxy/logs/dir" => (301, "dir/".to_owned()),
            "/api/v1/nodes/n/proxy/logs/out" => (302, "/k8s/c/api/v1/secrets?token=s3cr3t".to_owned()),
            "/api/v1/nodes/n/proxy/logs/climbs" => (302, "../../../m/proxy/logs/".to_owned()),
            _ => (200, String::new()),
        };
        let mut answer = whole(status, path.to_owned());
        if !to.is_empty() {
            answer.headers_mut().insert("location", to.parse().unwrap());
        }
        async { answer }
    })
    .await;
    let said = Connection { as_user: Some("jane".to_owned()), ..with_token() };
    let (client, _) = client(format!("{}/k8s/c", server.https_url()), trust, auth(said));
    let follow = async |path: &str| match client.get(Request::get(path)).await {
        Ok(answer) => format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body.collect(99).await.unwrap())),
        Err(error) => format!("{:?}: {} | {}", error.kind(), error.chain(), error.remedy().unwrap()),
    };
    let (own, other) = (server.https_url(), thief.https_url());
    for (path, expected) in [
        ("/a", "200 /k8s/c/f".to_owned()),
        (
            "/loop",
            format!(
                "Unreachable: {own} redirects without end (10 times) | is the server's address right, its path too?"
            ),
        ),
        (
            "/away",
            format!(
                "Unreachable: 302 Found: {own} redirects to {other}, where credentials must not follow | is the server's"
            ),
        ),
        (
            "/plain",
            format!(
                "Unreachable: 307 Temporary Redirect: {own} redirects to {}, where credentials must not follow | that would \
                 be without TLS",
                thief.http_url()
            ),
        ),
        ("/relative", format!("Unreachable: 302 Found: {own} redirects to {other}, where")),
        ("/userinfo", format!("Unreachable: 302 Found: {own} redirects to an address that can't be used")),
        ("/nowhere", format!("Unreachable: 302 Found: {own} redirects to an address that can't be used")),
        ("/api/v1/nodes/n/proxy/logs/dir", "301 /k8s/c/api/v1/nodes/n/proxy/logs/dir".to_owned()),
        (
            "/api/v1/nodes/n/proxy/logs/out",
            format!("Unreachable: 302 Found: {own} redirects to \"/api/v1/secrets\", which is not this node's"),
        ),
        (
            "/api/v1/nodes/n/proxy/logs/climbs",
            format!(
                "Unreachable: 302 Found: {own} redirects to \"/api/v1/nodes/m/proxy/logs/\", which is not this node's"
            ),
        ),
    ] {
        let said = follow(path).await;
        assert!(said.starts_with(&expected) && !said.contains("s3cr3t"), "{path}: {said}");
    }
    let asked = asked.lock().unwrap();
    assert_eq!(asked[..5], ["/a", "/b/", "/d?x=1", "/e", "/f"].map(|path| format!("/k8s/c{path}")));
    assert_eq!(asked.iter().filter(|path| path.ends_with("/loop")).count(), 11);
    assert_eq!(asked.len(), 5 + 11 + 8, "nothing else was asked: {asked:?}");
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
        let (chain, key) = authority.issue_client(name);
        let certificate = pem("CERTIFICATE", &chain[0]);
        let key = pem("PRIVATE KEY", key.secret_der());
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
    let (after, timeout) = ("HTTP2_READ_IDLE_TIMEOUT_SECONDS", "HTTP2_PING_TIMEOUT_SECONDS");
    for (variables, expected) in [
        (vec![], (Protocol::Any, 30, 15, 0)),
        (vec![("DISABLE_HTTP2", "false")], (Protocol::Http1, 30, 15, 0)),
        (vec![("DISABLE_HTTP2", "")], (Protocol::Any, 30, 15, 0)),
        (vec![(after, "7"), (timeout, "3")], (Protocol::Any, 7, 3, 0)),
        (vec![(after, "0"), (timeout, "0")], (Protocol::Any, 0, 15, 0)),
        (vec![(after, "x"), (timeout, "-1")], (Protocol::Any, 30, 15, 2)),
        (vec![(after, "30s"), (timeout, "1.5")], (Protocol::Any, 30, 15, 2)),
        (vec![(after, "")], (Protocol::Any, 30, 15, 0)),
        (vec![(after, "18446744073709551616"), (timeout, "-9223372036854775808")], (Protocol::Any, 30, 15, 2)),
        (vec![(after, "9223372036854775807"), (timeout, "18446744073709551615")], (Protocol::Any, NEVER, NEVER, 0)),
    ] {
        let warned = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&warned);
        let notices = Notices::new(0, true, move |line: &str| sink.lock().unwrap().push(line.to_owned()));
        let options = Options::new(notices).obeying(&Env::new(variables.clone()));
        let warned = warned.lock().unwrap();
        let got = (options.protocol, options.ping_after.as_secs(), options.ping_timeout.as_secs(), warned.len());
        assert_eq!(got, expected, "{variables:?}");
        assert!(warned.iter().all(|line| line.starts_with("warning: HTTP2_")), "{warned:?}");
    }
}
