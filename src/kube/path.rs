//! Paths of the API, percent-encoded; pure.
//!
//! Everything here is relative to the server's URL and its prefix.

/// One node.
pub fn node(node: &str) -> String {
    let mut path = "/api/v1/nodes/".to_owned();
    encode(node, &mut path);
    path
}

/// All nodes, with these query parameters.
pub fn nodes(query: &[(&str, &str)]) -> String {
    with_query("/api/v1/nodes".to_owned(), query)
}

/// One pod.
pub fn pod(namespace: &str, name: &str) -> String {
    let mut path = "/api/v1/namespaces/".to_owned();
    encode(namespace, &mut path);
    path.push_str("/pods/");
    encode(name, &mut path);
    path
}

/// A path of the kubelet's own, through the API server: `metrics/cadvisor`, `configz`.
pub fn kubelet(node: &str, path: &str) -> String {
    let mut proxied = self::node(node);
    proxied.push_str("/proxy");
    push_segments(path, &mut proxied);
    proxied
}

/// The root of everything under a node's /var/log.
pub fn logs_root(node: &str) -> String {
    kubelet(node, "logs/")
}

/// Of a path that a node answers, the part up to and with `/proxy/`: everything below it is that node's.
pub fn node_proxy(path: &str) -> Option<&str> {
    const PROXY: &str = "/proxy/";
    let node = path.strip_prefix("/api/v1/nodes/")?;
    let end = node.find('/')?;
    node[end..].starts_with(PROXY).then(|| &path[..path.len() - node.len() + end + PROXY.len()])
}

/// A directory under the node's /var/log, with the slash kubelets insist on; `""` or `/` is /var/log itself.
pub fn logs_dir(node: &str, directory: &str) -> String {
    let mut path = logs_file(node, directory);
    if !path.ends_with('/') {
        path.push('/');
    }
    path
}

/// A file under the node's /var/log, named relative to it.
pub fn logs_file(node: &str, file: &str) -> String {
    let mut path = kubelet(node, "logs");
    push_segments(file, &mut path);
    path
}

/// The kubelet's log query: `query`, `sinceTime`, `tailLines` and so on, each as often as needed.
pub fn logs_query(node: &str, parameters: &[(&str, &str)]) -> String {
    with_query(logs_root(node), parameters)
}

/// A path with query parameters put after it.
pub fn with_query(mut path: String, parameters: &[(&str, &str)]) -> String {
    for (n, (name, value)) in parameters.iter().enumerate() {
        path.push(if n == 0 { '?' } else { '&' });
        encode(name, &mut path);
        path.push('=');
        encode(value, &mut path);
    }
    path
}

/// Each segment after a slash; slashes at the front and in a row count once.
fn push_segments(segments: &str, path: &mut String) {
    for segment in segments.split('/').filter(|segment| !segment.is_empty()) {
        path.push('/');
        encode(segment, path);
    }
    if segments.ends_with('/') && !path.ends_with('/') {
        path.push('/');
    }
}

/// Percent-encodes all but RFC 3986's unreserved characters, so that the result means the same in a path and in a query.
fn encode(text: &str, into: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => into.push(char::from(byte)),
            other => into.push_str(&format!("%{other:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(text: &str) -> Vec<u8> {
        let (mut bytes, mut left) = (Vec::new(), text.as_bytes());
        while let Some((&byte, rest)) = left.split_first() {
            left = rest;
            if byte == b'%' {
                bytes.push(u8::from_str_radix(std::str::from_utf8(&rest[..2]).unwrap(), 16).unwrap());
                left = &rest[2..];
            } else {
                bytes.push(byte);
            }
        }
        bytes
    }

    /// A deterministic stream of odd names.
    fn names() -> impl Iterator<Item = String> {
        let alphabet: Vec<char> = "ab/. %&?#\"'<>+=;:@\\é日\u{1f4a9}\u{7f}\t-_~[]{}|^`,!$()*".chars().collect();
        let mut state = 7u64;
        std::iter::from_fn(move || {
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 33) as usize
            };
            let length = 1 + next() % 12;
            Some((0..length).map(|_| alphabet[next() % alphabet.len()]).collect())
        })
        .take(2000)
    }

    #[test]
    fn the_paths_of_the_recorded_requests() {
        assert_eq!(node("node-a"), "/api/v1/nodes/node-a");
        assert_eq!(nodes(&[("limit", "500")]), "/api/v1/nodes?limit=500");
        assert_eq!(logs_dir("n", ""), "/api/v1/nodes/n/proxy/logs/");
        assert_eq!(logs_dir("n", "/"), "/api/v1/nodes/n/proxy/logs/");
        assert_eq!(logs_dir("n", "audit"), "/api/v1/nodes/n/proxy/logs/audit/");
        assert_eq!(logs_dir("n", "/audit/"), "/api/v1/nodes/n/proxy/logs/audit/");
        let odd = "name with space & <angle>.log";
        assert_eq!(logs_file("n", odd), "/api/v1/nodes/n/proxy/logs/name%20with%20space%20%26%20%3Cangle%3E.log");
        assert_eq!(logs_file("n", "/café-100%.log"), "/api/v1/nodes/n/proxy/logs/caf%C3%A9-100%25.log");
        let query = [("query", "kubelet"), ("query", "cri o"), ("sinceTime", "2026-11-21T02:00:00Z")];
        let asked = "/api/v1/nodes/n/proxy/logs/?query=kubelet&query=cri%20o&sinceTime=2026-11-21T02%3A00%3A00Z";
        assert_eq!(logs_query("n", &query), asked);
        assert_eq!(logs_query("n", &[]), "/api/v1/nodes/n/proxy/logs/");
        assert_eq!(kubelet("n", "metrics/cadvisor"), "/api/v1/nodes/n/proxy/metrics/cadvisor");
        assert_eq!(node_proxy(&logs_file("n", "a.log")), Some("/api/v1/nodes/n/proxy/"));
        for other in [node("n"), node("proxy"), nodes(&[]), "/api/v1/nodes/n/proxyx".to_owned(), "/x/proxy/".to_owned()]
        {
            assert_eq!(node_proxy(&other), None, "{other}");
        }
    }

    #[test]
    fn a_name_with_a_slash_stays_one_name() {
        assert_eq!(node("a/../b"), "/api/v1/nodes/a%2F..%2Fb");
        assert_eq!(pod("kube-system", "a/b"), "/api/v1/namespaces/kube-system/pods/a%2Fb");
    }

    #[test]
    fn every_name_survives_the_way_to_the_server() {
        for name in names() {
            let path = logs_file("n", &name);
            let uri: hyper::Uri = format!("https://x{path}").parse().unwrap();
            assert_eq!((uri.path(), uri.query()), (path.as_str(), None), "{name:?}");
            let got = decode(path.strip_prefix("/api/v1/nodes/n/proxy/logs").unwrap());
            let mut wanted: String =
                name.split('/').filter(|s| !s.is_empty()).map(|s| format!("/{s}")).collect::<Vec<_>>().concat();
            if name.ends_with('/') {
                wanted.push('/');
            }
            assert_eq!(String::from_utf8(got).unwrap(), wanted, "{name:?}");

            let path = logs_query("n", &[("a", &name), (&name, "b")]);
            let uri: hyper::Uri = format!("https://x{path}").parse().unwrap();
            let pairs: Vec<(Vec<u8>, Vec<u8>)> = uri
                .query()
                .unwrap()
                .split('&')
                .map(|pair| pair.split_once('=').unwrap())
                .map(|(name, value)| (decode(name), decode(value)))
                .collect();
            let raw = name.as_bytes().to_vec();
            assert_eq!(pairs, [(b"a".to_vec(), raw.clone()), (raw, b"b".to_vec())], "{name:?}");
        }
    }
}
