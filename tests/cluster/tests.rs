//! The simulation on its own: that it starts, answers as recorded, and stops.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::client::{Got, Version, get};
use super::*;

const A: &str = "/api/v1/nodes/node-a/proxy/logs/";

fn two() -> Cluster {
    Setup::new(vec![
        Node::new("node-a", Mode::QUERY_ON),
        Node::new("node-b", Mode::QUERY_OFF),
        Node::new("node-d", Mode::QUERY_ON).health(Health::Down),
    ])
    .start()
}

#[test]
fn both_http_versions_answer_alike_and_are_recorded() {
    let cluster = two();
    let first = get(User::Admin, "/version").send(&cluster).unwrap();
    let mut ask = get(User::Admin, "/version");
    ask.version = Version::Http2;
    let second = ask.send(&cluster).unwrap();
    assert_eq!((first.status, first.text()), (second.status, second.text()));
    let seen = cluster.requests();
    assert_eq!(
        seen.iter().map(|request| request.version).collect::<Vec<_>>(),
        [hyper::Version::HTTP_11, hyper::Version::HTTP_2]
    );
    assert_eq!(seen[0].user, "admin");
    assert_eq!(cluster.connections(), 2);
}

#[test]
fn who_may_not_is_told_so() {
    let cluster = two();
    for (user, target, status, words) in [
        (User::BadToken, A, 401, "Unauthorized"),
        (User::NoProxy, A, 403, r#"User \"viewer\" cannot get resource \"nodes/proxy\""#),
        (User::LogsOnly, A, 403, r#"User \"finelog\" cannot get"#),
        (User::Anonymous, A, 403, r#"User \"system:anonymous\" cannot get"#),
        (User::Limited, A, 403, r#"User \"limited\" cannot get"#),
        (
            User::Nobody,
            "/api/v1/nodes",
            403,
            r#"nodes is forbidden: User \"nobody\" cannot list resource \"nodes\" in API group"#,
        ),
        (User::LogReader, A, 200, "<pre>"),
        (User::NoProxy, "/api/v1/nodes", 200, "NodeList"),
        (User::LogReader, "/api/v1/nodes/nosuch/proxy/logs/", 404, r#"nodes \"nosuch\" not found"#),
        (User::Admin, "/api/v1/nodes/node-d/proxy/logs/", 503, "error trying to reach service: dial tcp 127.0.0.1:"),
    ] {
        let got = get(user, target).send(&cluster).unwrap();
        assert_eq!(got.status, status, "{user:?} {target}: {}", got.text());
        assert!(got.text().contains(words), "{user:?} {target}: {}", got.text());
    }
    let got = get(User::Admin, "/api/v1/nodes").header("Impersonate-User", "someone").send(&cluster).unwrap();
    assert!(got.text().contains(r#"User \"someone\" cannot list"#), "{}", got.text());
    let got = get(User::NoProxy, "/api/v1/nodes").header("Impersonate-User", "admin").send(&cluster).unwrap();
    assert!(
        got.text().contains(r#"users \"admin\" is forbidden: User \"viewer\" cannot impersonate resource \"users\""#),
        "{}",
        got.text()
    );
}

#[test]
fn a_query_is_answered_or_ignored_by_mode() {
    let cluster = two();
    let on = get(User::Admin, "/api/v1/nodes/node-a/proxy/logs/?query=kubelet&tailLines=2").send(&cluster).unwrap();
    assert_eq!(on.header("content-type"), "text/plain;charset=UTF-8");
    assert_eq!(on.text().lines().count(), 2, "{}", on.text());
    let off = get(User::Admin, "/api/v1/nodes/node-b/proxy/logs/?query=kubelet&tailLines=2").send(&cluster).unwrap();
    assert_eq!(off.header("content-type"), "text/html; charset=utf-8");
    assert!(off.text().starts_with("<!doctype html>"));
}

#[test]
fn every_kubeconfig_has_its_key() {
    let cluster = two();
    cluster.requests();
    for key in KEYS {
        let path = cluster.kubeconfig_with(User::Admin, Credential::Certificate(key));
        let text = fs::read_to_string(path).unwrap();
        let encoded = text.split("client-key-data: ").nth(1).and_then(|rest| rest.lines().next()).unwrap();
        let pem = STANDARD.decode(encoded).unwrap();
        let parsed = rustls_pemfile::private_key(&mut pem.as_slice()).unwrap().unwrap();
        rustls::crypto::ring::sign::any_supported_type(&parsed).unwrap();
    }
}

#[test]
#[should_panic(expected = "never asked")]
fn a_cluster_nobody_asks_is_a_mistake() {
    drop(two());
}

/// The prefixes of the lines a query gives.
fn times(cluster: &Cluster, node: &str, query: &str) -> Vec<String> {
    let target = format!("/api/v1/nodes/{node}/proxy/logs/?query=kubelet&{query}");
    let text = get(User::Admin, &target).send(cluster).unwrap().text();
    text.lines().filter_map(|line| line.get(..15)).map(str::to_owned).collect()
}

#[test]
fn a_window_begins_in_the_nodes_zone() {
    for reader in [Reader::Auto, Reader::Recorded] {
        let mut setup = Setup::new(vec![
            Node::new("utc", Mode::QUERY_ON),
            Node::new("new-york", Mode::QUERY_ON).zone("EST5EDT,M3.2.0,M11.1.0"),
            Node::new("kolkata", Mode::QUERY_ON).zone("IST-5:30"),
        ]);
        setup.reader = reader;
        let cluster = setup.start();
        let all = times(&cluster, "utc", "sinceTime=2023-01-01T00:00:00Z").len();
        let since = "sinceTime=2023-11-14T22:17:00Z";
        let right = times(&cluster, "utc", since);
        assert!(right.len() < all && right[0].starts_with("Nov 14 22:17:3"), "{}", right[0]);
        // West of UTC the window lies in the future, east of it in the past.
        assert!(times(&cluster, "new-york", since)[0].starts_with("-- No entries"));
        assert_eq!(times(&cluster, "kolkata", since).len(), all);
        assert_eq!(times(&cluster, "new-york", "sinceTime=2023-11-14T17:17:00Z"), right);
        // The offset written is dropped.
        assert_eq!(times(&cluster, "kolkata", "sinceTime=2023-11-15T03:47:00%2B05:30"), right);

        let target = "/api/v1/nodes/new-york/proxy/logs/?query=kubelet&tailLines=5";
        let lines = get(User::Admin, target).send(&cluster).unwrap().text();
        let moved = |line: &str| line.starts_with("Nov 14 22:18:") && line.contains("1114 17:18:");
        assert!(lines.lines().any(moved), "{lines}");
    }
}

#[test]
fn the_kubelets_own_file_is_in_local_time_and_dated_truly() {
    let cluster = Setup::new(vec![Node::new("node-b", Mode::QUERY_OFF).zone("IST-5:30")]).start();
    let got = get(User::Admin, "/api/v1/nodes/node-b/proxy/logs/kubelet.log").send(&cluster).unwrap();
    assert_eq!(got.header("last-modified"), "Tue, 14 Nov 2023 22:18:41 GMT");
    let text = got.text();
    assert!(text.lines().last().unwrap().contains("1115 03:48:41."), "{}", text.lines().last().unwrap());
    assert!(text.contains("\nsecond line\n  third line\n"), "a message of several lines");
    let rotated = get(User::Admin, "/api/v1/nodes/node-b/proxy/logs/kubelet.log.1").send(&cluster).unwrap();
    assert_eq!(rotated.header("last-modified"), "Tue, 14 Nov 2023 21:18:41 GMT");
}

#[test]
fn thousands_of_nodes_share_one_kubelet() {
    let nodes = (0..5000).map(|number| {
        Node::new(&format!("node-{number:04}"), Mode::QUERY_OFF).label("rack", &format!("r{}", number % 10))
    });
    let cluster = Setup::new(nodes.collect()).start();
    let one = get(User::Admin, "/api/v1/nodes/node-4999/proxy/logs/empty.log").send(&cluster).unwrap();
    assert_eq!(one.status, 200);
    let mut seen = 0;
    let mut next = String::new();
    loop {
        let target = format!("/api/v1/nodes?limit=200&labelSelector=rack%3Dr3&continue={next}");
        let page = get(User::Admin, &target).header("Accept-Encoding", "gzip").send(&cluster).unwrap();
        assert_eq!(page.header("content-encoding"), "gzip");
        let list: serde_json::Value =
            serde_json::from_reader(flate2::read::GzDecoder::new(page.body.as_slice())).unwrap();
        seen += list["items"].as_array().unwrap().len();
        match list["metadata"]["continue"].as_str() {
            Some(token) => next = token.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, 500);
}

fn ask(cluster: &Cluster, target: &str) -> Got {
    get(User::Admin, target).send(cluster).unwrap()
}

#[test]
fn an_unreachable_kubelet_is_told_in_the_servers_words() {
    let health = [
        ("down", Health::Down, 503, "connect: connection refused"),
        ("hung", Health::Hung, 503, "net/http: TLS handshake timeout"),
        ("none", Health::NoAddresses, 500, "no preferred addresses found; known addresses: []"),
        (
            "ca",
            Health::WrongCa,
            503,
            "tls: failed to verify certificate: x509: certificate signed by unknown authority",
        ),
        ("plain", Health::PlainHttp, 503, "error trying to reach service: EOF"),
        ("dns", Health::Unresolvable, 400, "no such host"),
        ("link", Health::LinkLocal, 400, "address not allowed"),
    ];
    let mut setup =
        Setup::new(health.iter().map(|(name, health, ..)| Node::new(name, Mode::QUERY_ON).health(*health)).collect());
    setup.handshake_limit = Duration::from_millis(1);
    let cluster = setup.start();
    for (name, _, status, words) in health {
        let got = ask(&cluster, &format!("/api/v1/nodes/{name}/proxy/logs/"));
        assert_eq!(got.status, status, "{name}");
        assert!(got.text().contains(words), "{name}: {}", got.text());
    }
}

#[test]
fn each_mode_answers_a_query_in_its_way() {
    let cluster = Setup::new(vec![
        Node::new("old", Mode::V1_24),
        Node::new("off", Mode::QUERY_OFF),
        Node::new("on", Mode::QUERY_ON),
        Node::new("joined", Mode::SECURE_JOIN),
        Node::new("until", Mode::BROKEN_UNTIL),
        Node::new("ocp-old", Mode::OPENSHIFT_1_24),
        Node::new("ocp", Mode::OPENSHIFT_1_36),
        Node::new("windows", Mode::WINDOWS),
        Node::new("none", Mode::HANDLER_OFF),
    ])
    .start();
    for (node, below, status, kind, start) in [
        ("old", "?query=kubelet&tailLines=1", 200, "text/html; charset=utf-8", "<pre>\n<a href=\"audit/\">"),
        ("off", "?query=kubelet&tailLines=1", 200, "text/html; charset=utf-8", "<!doctype html>"),
        ("on", "?query=kubelet&tailLines=1", 200, "text/plain;charset=UTF-8", "Nov 14 22:18:"),
        (
            "on",
            "?query=/empty.log",
            406,
            "text/plain; charset=utf-8",
            "query: Invalid value: [\"/empty.log\"]: statat /empty.log: path escapes",
        ),
        ("joined", "?query=/no-newline.log", 200, "text/x-log; charset=utf-8", "the last line"),
        ("until", "?query=kubelet&untilTime=2023-11-14T22:14:00Z", 503, "application/json", "{\"kind\":\"Status\""),
        (
            "until",
            "?query=kubelet&sinceTime=2023-11-14T22:13:00Z&untilTime=2023-11-14T22:14:00Z",
            200,
            "text/plain;charset=UTF-8",
            "-- No entries --",
        ),
        (
            "on",
            "?query=kubelet&sinceTime=2023-11-14T22:13:00Z&untilTime=2023-11-14T22:14:00Z",
            200,
            "text/plain;charset=UTF-8",
            "Nov 14 22:13:20",
        ),
        ("ocp-old", "?query=kubelet", 200, "text/html; charset=utf-8", "<pre>"),
        ("ocp-old", "journal/", 200, "text/html; charset=utf-8", "<pre>"),
        ("ocp-old", "journal?unit=kubelet&boot=-1&tail=1", 200, "text/plain;charset=UTF-8", "Nov 14 22:16:"),
        (
            "ocp-old",
            "journal?unit=kubelet&since=today",
            400,
            "text/plain; charset=utf-8",
            "parameter 'since' is invalid: date must be",
        ),
        ("ocp", "journal/", 200, "text/plain;charset=UTF-8", "Nov 14 22:13:20"),
        ("ocp", "?tailLines=1", 200, "text/html; charset=utf-8", "<!doctype html>"),
        ("ocp", "?unit=kubelet&tail=1", 200, "text/plain;charset=UTF-8", "Nov 14 22:18:"),
        (
            "ocp",
            "journal?unit=kubelet&output=verbose",
            406,
            "text/plain; charset=utf-8",
            "output: Unsupported value: \"verbose\"",
        ),
        ("windows", "?query=kubelet", 200, "text/plain;charset=UTF-8", "\r\n   ProviderName: kubelet"),
        ("windows", "?query=kubelet&boot=0", 406, "text/plain; charset=utf-8", "boot: "),
        ("windows", "no-newline.log", 200, "text/x-log; charset=utf-8", "the last line"),
        ("none", "kubelet.log", 405, "text/plain; charset=utf-8", "logs endpoint is disabled.\n"),
    ] {
        let got = ask(&cluster, &format!("/api/v1/nodes/{node}/proxy/logs/{below}"));
        assert_eq!((got.status, got.header("content-type")), (status, kind), "{node} {below}: {}", got.text());
        assert!(got.text().starts_with(start), "{node} {below}: {}", got.text().get(..300).unwrap_or(&got.text()));
    }
    let both = ask(&cluster, "/api/v1/nodes/ocp-old/proxy/logs/journal?unit=kubelet&tail=1").text();
    let times: Vec<&str> = both.lines().map(|line| &line[..12]).collect();
    assert_eq!(times, ["Nov 14 22:16", "Nov 14 22:18"], "the previous boot, then the latest");
}

#[test]
fn a_kubelets_own_port_has_its_own_rules() {
    let cluster = Setup::new(vec![
        Node::new("new", Mode::QUERY_ON).port(Port::Open),
        Node::new("old", Mode::V1_24).port(Port::Open),
        Node::new("own", Mode::QUERY_ON).port(Port::OpenSelfSigned),
        Node::new("down", Mode::QUERY_ON).port(Port::Open).health(Health::Down),
        Node::new("until", Mode::BROKEN_UNTIL).port(Port::Open),
    ])
    .start();
    for (node, user, path, status, text) in [
        ("new", User::LogsOnly, "/logs/no-newline.log", 200, "the last line has no end"),
        ("new", User::Anonymous, "/logs/", 401, "Unauthorized"),
        ("new", User::BadToken, "/logs/", 401, "Unauthorized"),
        (
            "new",
            User::LogReader,
            "/logs/",
            403,
            "Forbidden (user=logreader, verb=get, resource=nodes, subresource(s)=[log])",
        ),
        (
            "old",
            User::LogReader,
            "/logs/",
            403,
            "Forbidden (user=logreader, verb=get, resource=nodes, subresource=log)",
        ),
        (
            "new",
            User::LogsOnly,
            "/configz",
            403,
            "Forbidden (user=finelog, verb=get, resource=nodes, subresource(s)=[configz proxy])",
        ),
        (
            "old",
            User::LogsOnly,
            "/configz",
            403,
            "Forbidden (user=finelog, verb=get, resource=nodes, subresource=proxy)",
        ),
        ("old", User::LogReader, "/healthz", 200, "ok"),
        (
            "new",
            User::Limited,
            "/logs/",
            403,
            "Forbidden (user=limited, verb=get, resource=nodes, subresource(s)=[log])",
        ),
        ("new", User::Admin, "/nosuch", 404, "404 page not found\n"),
    ] {
        let got = get(user, path).send_to(&cluster, cluster.kubelet_address(node)).unwrap();
        assert_eq!((got.status, got.text().trim_end()), (status, text.trim_end()), "{node} {user:?} {path}");
        assert_eq!(got.header("audit-id"), "");
    }
    let mut http2 = get(User::Admin, "/logs/empty.log");
    http2.version = Version::Http2;
    assert_eq!(http2.send_to(&cluster, cluster.kubelet_address("old")).unwrap().status, 200);
    let query = get(User::Admin, "/logs/?query=kubelet&untilTime=2023-11-14T22:14:00Z");
    assert!(query.send_to(&cluster, cluster.kubelet_address("until")).is_err(), "a panic closes the connection");
    let refused = get(User::Admin, "/logs/").send_to(&cluster, cluster.kubelet_address("down")).unwrap_err();
    assert!(refused.contains("refused"), "{refused}");
    let strange = get(User::Admin, "/logs/").send_to(&cluster, cluster.kubelet_address("own")).unwrap_err();
    assert!(strange.contains("UnknownIssuer") || strange.contains("certificate"), "{strange}");
    assert!(cluster.kubelet_ca("own") != cluster.ca());
    // The node object tells where the port is.
    let node: serde_json::Value = serde_json::from_str(&ask(&cluster, "/api/v1/nodes/new").text()).unwrap();
    let port = node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"].as_u64();
    assert_eq!(port, Some(u64::from(cluster.kubelet_address("new").port())));
    assert!(cluster.requests().iter().any(|request| request.server == "new" && request.user == "finelog"));
}

#[test]
fn faults_break_what_they_say() {
    let cluster = two();
    let file = format!("{A}no-newline.log");
    let broken = |what: What| {
        cluster.heal();
        cluster.inject(Fault::new(what).node("node-a").first(2));
        let (one, mut two) = (get(User::Admin, &file), get(User::Admin, &file));
        two.version = Version::Http2;
        [one.send(&cluster), two.send(&cluster)]
    };
    for got in broken(What::CutAfter(8)) {
        let got = got.unwrap();
        assert_eq!((got.text().as_str(), got.whole), ("the last", false));
    }
    for got in broken(What::EndAfter(8)) {
        let got = got.unwrap();
        assert_eq!((got.text().as_str(), got.whole), ("the last", true));
    }
    for got in broken(What::EndAfterPause(8, Duration::from_millis(1))) {
        assert_eq!(got.unwrap().text(), "the last");
    }
    for got in broken(What::Drip(5, Duration::from_millis(1))) {
        assert_eq!(got.unwrap().text(), "the last line has no end");
    }
    for got in broken(What::Delay(Duration::from_millis(1))) {
        assert_eq!(got.unwrap().status, 200);
    }
    for got in broken(What::TooManyRequests { retry_after: 3 }) {
        let got = got.unwrap();
        assert_eq!((got.status, got.header("retry-after")), (429, "3"));
    }
    for got in broken(What::Status(hyper::StatusCode::GATEWAY_TIMEOUT)) {
        assert_eq!(got.unwrap().status, 504);
    }
    for got in broken(What::Text {
        status: hyper::StatusCode::BAD_GATEWAY,
        content_type: "text/html",
        body: "<h1>".to_owned(),
    }) {
        let got = got.unwrap();
        assert_eq!((got.status, got.header("content-type"), got.text().as_str()), (502, "text/html", "<h1>"));
    }
    for got in broken(What::LyingLength(5)) {
        // HTTP/2 finds the lie out before HTTP/1.1 misses the rest.
        assert!(got.is_err() || !got.unwrap().whole);
    }
    for got in [What::Reset, What::Close].into_iter().flat_map(broken) {
        got.unwrap_err();
    }
    for got in broken(What::Goaway) {
        assert_eq!(got.unwrap().text(), "the last line has no end");
    }
    let [first, _] = broken(What::ResetAfter(4));
    assert!(first.is_err() || !first.unwrap().whole);

    cluster.heal();
    cluster.inject(Fault::new(What::TruncatedGzip(10)).path("query=").nth(2));
    let query = get(User::Admin, "/api/v1/nodes/node-a/proxy/logs/?query=kubelet&tailLines=5")
        .header("Accept-Encoding", "gzip");
    let (whole, cut) = (query.send(&cluster).unwrap(), query.send(&cluster).unwrap());
    assert_eq!((whole.header("content-encoding"), whole.whole, cut.whole), ("gzip", true, true));
    assert_eq!(whole.body.len(), cut.body.len() + 10);
}

#[test]
fn a_stalled_answer_neither_ends_nor_goes_on() {
    let cluster = two();
    cluster.inject(Fault::new(What::StallAfter(8)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let target = format!("{A}no-newline.log");
    let mut request = get(User::Admin, &target);
    request.enough = 8;
    assert_eq!(request.send(&cluster).unwrap().text(), "the last");
    request.enough = 9;
    let waited = runtime.block_on(async {
        tokio::time::timeout(Duration::from_millis(50), request.exchange(&cluster, cluster.address())).await
    });
    assert!(waited.is_err());
}

/// A journalctl that knows the units kubelet and slow, prints a line of each, and then hangs in slow.
fn slow(args: &[String]) -> Vec<Step> {
    match args.iter().any(|arg| arg == "--field") {
        true => vec![Step::Print("kubelet.service\nslow.service\nhalf.service\n".into())],
        false if args.iter().any(|arg| arg == "--unit=slow") => {
            vec![Step::Print("Nov 14 one\nNov 14 tw".into()), Step::Hang]
        }
        false if args.iter().any(|arg| arg == "--unit=half") => vec![Step::Hang],
        false => vec![Step::Print("Nov 14 one\n".into())],
    }
}

#[test]
fn a_query_is_cut_at_the_limit_without_a_word() {
    let node = Node::new("node-a", Mode::QUERY_ON).reader(Reader::Script(slow));
    let cluster = Setup::new(vec![node]).query_limit(Duration::from_millis(100)).start();
    for (query, text) in [
        ("query=kubelet", "Nov 14 one\n"),
        ("query=slow", "Nov 14 one\nNov 14 tw"),
        ("query=half", ""),
        ("query=slow&query=empty.log", "Nov 14 one\nNov 14 tw\ncontext error: context deadline exceeded\n"),
        ("query=nosuch", "\nlog not found for nosuch\n"),
    ] {
        let got = ask(&cluster, &format!("{A}?{query}"));
        assert_eq!((got.status, got.text().as_str(), got.whole), (200, text, true), "{query}");
    }
}

#[test]
fn a_slow_reader_is_cut_too() {
    // More than the buffers on the way hold.
    fn endless(args: &[String]) -> Vec<Step> {
        match args.iter().any(|arg| arg == "--field") {
            true => vec![Step::Print("kubelet.service\n".into())],
            false => vec![Step::Print("x".repeat(64 * 1024 * 1024).into())],
        }
    }
    let node = Node::new("node-a", Mode::QUERY_ON).reader(Reader::Script(endless));
    let cluster = Setup::new(vec![node]).query_limit(Duration::from_millis(200)).start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let target = format!("{A}?query=kubelet");
    let request = get(User::Admin, &target).header("Accept-Encoding", "identity");
    let got = runtime.block_on(request.slowly(&cluster, Duration::from_millis(400))).unwrap();
    assert!(got.whole, "a clean end");
    assert!(got.body.len() < 32 * 1024 * 1024, "{}", got.body.len());
}
