//! What recorded and hostile error answers become.

use super::*;

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
        (recorded!("1.36/bad-node-x1"), Unreachable, "400 Bad Request: address not allowed", "loopback"),
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
         metadata: {name: kubelet-logs-get-nodes-proxy}\n\
         rules:\n\
         - {apiGroups: [\"\"], resources: [\"nodes/proxy\"], verbs: [\"get\"]}\n\
         and\n\
         kubectl create clusterrolebinding kubelet-logs-get-nodes-proxy --clusterrole=kubelet-logs-get-nodes-proxy --user=viewer\n\
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
