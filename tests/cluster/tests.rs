//! The simulation on its own: that it starts, answers as recorded, and stops.

use super::client::{Version, get};
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
