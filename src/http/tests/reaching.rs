//! What is said when no answer comes.

use std::time::Duration;

use super::*;
use tokio::net::TcpListener;

#[tokio::test]
async fn a_refused_connection_names_the_place() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("http://{host}:{}", address.port());
        let failure = pool(&url, &no_trust(), settings()).send(&Request::get("/")).await.unwrap_err();
        let (stage, words, hint) = words_of(failure);
        assert_eq!(stage, Stage::Dial);
        assert_eq!(words, format!("connecting to {host}:{}: connection refused", address.port()));
        assert!(hint.contains("address"), "{hint}");
    }
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_told_apart() {
    // No resolver on earth looks up an empty label.
    let failure = pool("http://no..host", &no_trust(), settings()).send(&Request::get("/")).await.unwrap_err();
    let (stage, words, _) = words_of(failure);
    assert_eq!(stage, Stage::Resolve);
    assert!(words.starts_with("resolving no..host: ") && !words.contains("os error"), "{words}");
}

#[tokio::test]
async fn a_name_with_several_addresses_is_reached_at_any_of_them() {
    // localhost is ::1 and 127.0.0.1 on most machines; the server listens on the latter only.
    let server = saying("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let url = format!("http://localhost:{}", server.address.port());
    let answer = pool(&url, &no_trust(), settings()).send(&Request::get("/")).await.unwrap();
    assert_eq!(answer.body.collect(ALL).await.unwrap(), "ok");
}

#[tokio::test]
async fn a_stalled_handshake_hits_its_limit() {
    let server = raw(|_, stream| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let limits = Limits { handshake: Duration::from_millis(20), ..settings().limits };
    let pool = pool(&server.https_url(), &Authority::new().trust(), Settings { limits, ..settings() });
    let (stage, words, _) = words_of(pool.send(&Request::get("/")).await.unwrap_err());
    assert_eq!(stage, Stage::Tls);
    assert!(words.ends_with("no handshake within 0.02 s"), "{words}");
}

#[tokio::test]
async fn a_proxy_that_hangs_hits_the_dial_limit() {
    let hanging = raw(|_, stream| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    })
    .await;
    for (kind, scheme) in [(ProxyKind::Http, "http"), (ProxyKind::Socks5, "socks5")] {
        let (host, port) = (hanging.address.ip().to_string(), hanging.address.port());
        let credentials = Some((crate::secret::Secret::from("u"), crate::secret::Secret::from("hunter2")));
        let proxy = Proxy { kind, host, port, credentials, set_by: "HTTPS_PROXY" };
        let limits = Limits { dial: Duration::from_millis(50), ..settings().limits };
        let settings = Settings { limits, proxy: Some(proxy), ..settings() };
        let pool = pool("https://api.invalid", &Authority::new().trust(), settings);
        let (stage, words, hint) = words_of(soon(pool.send(&Request::get("/"))).await.unwrap_err());
        assert_eq!(stage, Stage::Dial);
        let place = hanging.address;
        assert_eq!(words, format!("the proxy {scheme}://{place} did not connect to api.invalid:443 within 0.05 s"));
        assert!(hint.ends_with("It is set by HTTPS_PROXY"), "{hint}");
        assert!(!format!("{pool:?} {words} {hint}").contains("hunter2"));
    }
}

#[tokio::test]
async fn a_stalled_head_hits_the_requests_limit() {
    for alpn in [H1, H2] {
        let (server, trust) = good(alpn, |_| std::future::pending()).await;
        let request = Request::get("/").limit(Duration::from_millis(50));
        let failure = pool(&server.https_url(), &trust, settings()).send(&request).await.unwrap_err();
        let (stage, words, hint) = words_of(failure);
        assert_eq!(stage, Stage::Late);
        assert!(words.ends_with("did not answer within 0.05 s"), "{words}");
        assert!(hint.contains("--request-timeout"), "{hint}");
    }
}

#[tokio::test]
async fn a_connection_lost_before_the_head_is_told_apart() {
    let closing = raw(|_, mut stream| async move {
        read_head(&mut stream).await;
    })
    .await;
    let resetting = raw(|_, mut stream| async move {
        read_head(&mut stream).await;
        reset(stream);
    })
    .await;
    let half = saying("HTTP/1.1 200 OK\r\nContent-Le").await;
    for server in [closing, resetting, half] {
        let (stage, words, _) = words_of(ask_plain(&server).await.unwrap_err());
        assert_eq!(stage, Stage::Lost, "{words}");
        let place = format!("{} closed the connection before it answered: ", server.address);
        assert!(words.starts_with(&place), "{words}");
    }
}

#[tokio::test]
async fn what_is_no_http_is_told() {
    for bytes in ["SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 abc\r\n\r\n"] {
        let server = saying(bytes).await;
        let failure = ask_plain(&server).await.unwrap_err();
        assert_eq!(failure.stage(), Stage::Garbled, "{failure}");
        assert_eq!(crate::error::Error::from(failure).kind(), crate::error::Kind::Failed);
    }
    // An alert: "unexpected message".
    let server = saying("\x15\x03\x01\x00\x02\x02\x0a").await;
    let error = crate::error::Error::from(ask_plain(&server).await.unwrap_err());
    assert!(error.remedy().is_some_and(|hint| hint.contains("https://")), "{error:?}");
}

#[tokio::test]
async fn a_giant_head_is_refused() {
    let giant = "x".repeat(200_000);
    let server = saying(format!("HTTP/1.1 200 OK\r\nA: {giant}\r\nContent-Length: 0\r\n\r\n")).await;
    let stage = ask_plain(&server).await.err().map(|failure| failure.stage());
    assert_eq!(stage, Some(Stage::Garbled));
    let many: String = (0..200).map(|n| format!("H{n}: x\r\n")).collect();
    let server = saying(format!("HTTP/1.1 200 OK\r\n{many}Content-Length: 0\r\n\r\n")).await;
    let stage = ask_plain(&server).await.err().map(|failure| failure.stage());
    assert_eq!(stage, Some(Stage::Garbled));

    let (server, trust) = good(H2, move |_| {
        let mut answer = whole(200, "x");
        answer.headers_mut().insert("a", giant.parse().unwrap());
        async { answer }
    })
    .await;
    assert!(ask(&server, &trust, Protocol::Any).await.is_err());
}
