//! Which version is spoken, and how many connections are made.

use std::sync::Arc;

use super::*;
use hyper::Version;
use tokio::sync::Notify;

#[tokio::test]
async fn the_server_chooses_http2_or_http1_and_the_caller_may_insist_on_http1_or_prefer_it() {
    let cases: [(&[&str], _, _); 7] = [
        (H2, Protocol::Any, Version::HTTP_2),
        (H2, Protocol::Http1, Version::HTTP_11),
        (H1, Protocol::Any, Version::HTTP_11),
        (&[], Protocol::Any, Version::HTTP_11),
        (H2, Protocol::Http1First, Version::HTTP_11),
        (&[], Protocol::Http1First, Version::HTTP_11),
        (&["h2"], Protocol::Http1First, Version::HTTP_2),
    ];
    for (alpn, protocol, version) in cases {
        let (server, trust) = good(alpn, |asked| async move { whole(200, format!("{:?}", asked.version())) }).await;
        let answer = ask(&server, &trust, protocol).await.unwrap();
        assert_eq!((answer.status, answer.version), (200, version));
        assert_eq!(answer.body.collect(ALL).await.unwrap(), format!("{version:?}"));
    }
}

#[tokio::test]
async fn requests_carry_their_path_and_headers() {
    for alpn in [H1, H2] {
        let (server, trust) = good(alpn, |asked| async move {
            let header = |name: &str| asked.headers().get(name).map(|v| v.to_str().unwrap().to_owned());
            let host = asked.uri().authority().map(ToString::to_string).or(header("host"));
            let seen = format!(
                "{} {:?} {:?} {:?}",
                asked.uri().path_and_query().unwrap(),
                host,
                header("accept"),
                header("range")
            );
            whole(200, seen)
        })
        .await;
        let request = Request::get("/logs/a%20b?q=1&q=2").range(ByteRange::Last(9));
        let answer = pool(&server.https_url(), &trust, settings()).send(&request).await.unwrap();
        let seen = answer.body.collect(ALL).await.unwrap();
        let host = format!("localhost:{}", server.address.port());
        assert_eq!(seen, format!("/logs/a%20b?q=1&q=2 {:?} None {:?}", Some(host), Some("bytes=-9")));
    }
}

#[tokio::test]
async fn connections_are_reused() {
    for alpn in [H1, H2] {
        let (server, trust) = good(alpn, |_| async { whole(200, "x") }).await;
        let pool = pool(&server.https_url(), &trust, settings());
        for _ in 0..5 {
            let answer = pool.send(&Request::get("/")).await.unwrap();
            answer.body.collect(ALL).await.unwrap();
            // An HTTP/1.1 connection becomes free a moment after its body ended.
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
        }
        assert_eq!(server.connections(), 1, "{alpn:?}");
    }
}

#[tokio::test]
async fn many_first_requests_make_one_http2_connection() {
    let (server, trust) = good(H2, |_| async { whole(200, "x") }).await;
    let pool = Arc::new(pool(&server.https_url(), &trust, settings()));
    let asking: Vec<_> = (0..60)
        .map(|_| {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move { pool.send(&Request::get("/")).await.unwrap().body.collect(ALL).await.unwrap() })
        })
        .collect();
    for asked in asking {
        assert_eq!(asked.await.unwrap(), "x");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn requests_beyond_one_connections_streams_go_to_a_second() {
    let (server, trust) = good(H2, |_| async {
        let (sending, answer) = streaming(200);
        // Kept open as long as the client reads.
        tokio::spawn(async move { sending.closed().await });
        answer
    })
    .await;
    let pool = pool(&server.https_url(), &trust, settings());
    let mut open = Vec::new();
    for _ in 0..101 {
        open.push(pool.send(&Request::get("/")).await.unwrap());
    }
    assert_eq!(server.connections(), 2);
    drop(open);
}

#[tokio::test]
async fn those_who_waited_for_a_failing_first_connection_share_its_failure() {
    // Accepts, waits until all requests wait, then resets: the handshake fails.
    let gate = Arc::new(Notify::new());
    let opened = Arc::clone(&gate);
    let server = raw(move |_, stream| {
        let gate = Arc::clone(&gate);
        async move {
            gate.notified().await;
            reset(stream);
        }
    })
    .await;
    let pool = Arc::new(pool(&server.https_url(), &Authority::new().trust(), settings()));
    let ask = || {
        let pool = Arc::clone(&pool);
        tokio::spawn(async move { pool.send(&Request::get("/")).await.unwrap_err() })
    };
    let asking: Vec<_> = (0..20).map(|_| ask()).collect();
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
    opened.notify_one();
    for asked in asking {
        assert_eq!(soon(asked).await.unwrap().stage(), Stage::Tls);
    }
    assert_eq!(server.connections(), 1);
    // A request that comes later tries again.
    opened.notify_one();
    ask().await.unwrap();
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_server_that_changes_to_http1_is_followed() {
    // Load-balanced servers that differ: the first connection speaks HTTP/2 and breaks, the next speak HTTP/1.1.
    let authority = Authority::new();
    let issued = || authority.server(&["localhost"], |_| ());
    let configs = [server_config(issued(), H2), server_config(issued(), H1)];
    let acceptors = configs.map(|config| tokio_rustls::TlsAcceptor::from(Arc::new(config)));
    let done = Arc::new(Notify::new());
    let told = Arc::clone(&done);
    let server = raw(move |nth, stream| {
        let (acceptor, done) = (acceptors[nth.min(1)].clone(), Arc::clone(&told));
        async move {
            let stream = acceptor.accept(stream).await.unwrap();
            tokio::select! {
                () = serve(stream, |_| async { whole(200, "x") }) => {}
                () = done.notified(), if nth == 0 => {}
            }
        }
    })
    .await;
    let pool = pool(&server.https_url(), &authority.trust(), settings());
    assert_eq!(pool.send(&Request::get("/")).await.unwrap().version, Version::HTTP_2);
    done.notify_one();
    // The break may be seen before the next request, or only by it.
    let mut failures = Vec::new();
    let version = loop {
        match pool.send(&Request::get("/")).await {
            Ok(answer) => break Some(answer.version),
            Err(_) if failures.len() == 10 => break None,
            Err(failure) => failures.push(failure.stage()),
        }
    };
    assert_eq!(version, Some(Version::HTTP_11));
    assert!((1..=2).contains(&failures.len()) && failures.iter().all(|stage| *stage == Stage::Lost), "{failures:?}");
}
