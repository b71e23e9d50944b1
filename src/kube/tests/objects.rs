//! Nodes, pods and lists.

use super::*;

#[tokio::test]
async fn a_recorded_node_is_read() {
    for (recording, port) in [(&recorded!("1.36/node-get")[..], 10250), (&recorded!("1.24/node-get")[..], 10350)] {
        let server = saying(recording).await;
        let node = node::get(&anonymous(&server), "node-a").await.unwrap();
        assert_eq!(node.name(), "node-a");
        assert_eq!(node.metadata.labels.get("kubernetes.io/os").unwrap(), "linux");
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
    assert_eq!(error.to_string(), "the list /api/v1/nodes does not end: 2 objects on 2 pages so far");
    // Each page is empty, and each names another that follows.
    let pages: Vec<_> = (0..2_000).map(|n| page(&[], &format!("t{n}"))).collect();
    let (server, heads) = answering(pages).await;
    let error = node::names(&anonymous(&server)).await.unwrap_err();
    assert_eq!(error.to_string(), "the list /api/v1/nodes does not end: 0 objects on 2000 pages so far");
    assert_eq!(heads.lock().unwrap().len(), 2_000);
    let (server, _) = answering(vec![answer("200 OK", "<html>")]).await;
    let error = node::names(&anonymous(&server)).await.unwrap_err();
    assert!(error.to_string().contains("not what its API promises"), "{error}");
    let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".to_vec();
    let server = saying(cut).await;
    let error = node::names(&anonymous(&server)).await.unwrap_err();
    assert_eq!(error.to_string(), "answer cut off after 1 bytes: the server closed the connection");
    assert_eq!(error.kind(), Kind::Unreachable);
}
