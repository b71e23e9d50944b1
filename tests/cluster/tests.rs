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
