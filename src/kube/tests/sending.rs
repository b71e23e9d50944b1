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
