//! The transport against servers on loopback, good and bad.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::Version;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::gzip::tests::gzip;
use super::testing::*;
use super::*;

const ALL: usize = 64 << 20;

/// A test whose failure would be waiting for ever.
async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), work).await.expect("this should not take long")
}

async fn ended(body: Body) -> (Vec<u8>, Option<Ended>) {
    let (mut body, mut all) = (body, Vec::new());
    loop {
        match body.frame().await {
            None => return (all, None),
            Some(Ok(bytes)) => all.extend_from_slice(&bytes),
            Some(Err(error)) => {
                assert_eq!(error.given(), all.len() as u64);
                assert!(body.frame().await.is_none(), "nothing comes after an error");
                return (all, Some(error.ended()));
            }
        }
    }
}

fn no_trust() -> Trust {
    Trust { roots: Roots::Authorities(Vec::new()), server_name: None }
}

// Versions and connections.

#[tokio::test]
async fn the_server_chooses_http2_or_http1_and_the_caller_may_insist_on_http1() {
    let cases = [
        (H2, Protocol::Any, Version::HTTP_2),
        (H2, Protocol::Http1, Version::HTTP_11),
        (H1, Protocol::Any, Version::HTTP_11),
        (&[], Protocol::Any, Version::HTTP_11),
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

// Trust.

fn words_of(failure: Failure) -> (Stage, String, String) {
    let stage = failure.stage();
    let error = crate::error::Error::from(failure);
    assert_eq!(error.kind(), crate::error::Kind::Unreachable);
    (stage, error.chain(), error.remedy().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_client_certificate_is_shown_when_the_server_asks() {
    for alpn in [H1, H2] {
        let authority = Authority::new();
        let config = authority.demanding(authority.server(&["localhost"], |_| ()), alpn);
        let server = https(config, |_| async { whole(200, "known") }).await;
        let origin = Origin::parse(&server.https_url()).unwrap().0;
        let identity = authority.client("alice");
        let pool = Pool::new(origin, &authority.trust(), Some(&identity), settings()).unwrap();
        let answer = pool.send(&Request::get("/")).await.unwrap();
        assert_eq!(answer.body.collect(ALL).await.unwrap(), "known");

        let (stage, words, hint) = words_of(ask(&server, &authority.trust(), Protocol::Any).await.unwrap_err());
        assert_eq!(stage, Stage::Tls, "{words}");
        assert!(words.ends_with("the server wants a client certificate, and we have none"), "{words}");
        assert!(hint.contains("client-certificate"), "{hint}");

        let stranger = Authority::new().client("mallory");
        let origin = Origin::parse(&server.https_url()).unwrap().0;
        let pool = Pool::new(origin, &authority.trust(), Some(&stranger), settings()).unwrap();
        let (stage, words, _) = words_of(pool.send(&Request::get("/")).await.unwrap_err());
        assert_eq!(stage, Stage::Tls, "{words}");
        assert!(words.contains("the server refused our client certificate"), "{words}");
    }
}

#[tokio::test]
async fn an_unknown_authority_is_refused() {
    let (server, _) = good(H2, |_| async { whole(200, "x") }).await;
    let (stage, words, hint) = words_of(ask(&server, &Authority::new().trust(), Protocol::Any).await.unwrap_err());
    assert_eq!(stage, Stage::Tls);
    let place = format!("TLS with localhost:{}: ", server.address.port());
    assert_eq!(words, format!("{place}the server's certificate is signed by another authority of the same name"));
    assert!(hint.contains("another cluster's"), "{hint}");
    let (_, words, hint) =
        words_of(ask(&server, &Authority::named("someone else").trust(), Protocol::Any).await.unwrap_err());
    assert_eq!(words, format!("{place}the server's certificate is signed by an unknown authority"));
    assert!(hint.contains("certificate-authority"), "{hint}");
}

#[tokio::test]
async fn an_expired_certificate_is_refused_with_its_date() {
    let authority = Authority::new();
    let expired = authority.server(&["localhost"], |params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 2, 3);
    });
    let server = https(server_config(expired, H2), |_| async { whole(200, "x") }).await;
    let (_, words, hint) = words_of(ask(&server, &authority.trust(), Protocol::Any).await.unwrap_err());
    assert!(words.contains("the server's certificate expired at 2021-02-03T00:00:00Z; it is 20"), "{words}");
    assert!(hint.contains("clock"), "{hint}");

    let early = authority.server(&["localhost"], |params| params.not_before = rcgen::date_time_ymd(2099, 1, 1));
    let server = https(server_config(early, H2), |_| async { whole(200, "x") }).await;
    let (_, words, _) = words_of(ask(&server, &authority.trust(), Protocol::Any).await.unwrap_err());
    assert!(words.contains("valid only from 2099-01-01T00:00:00Z on"), "{words}");
}

#[tokio::test]
async fn another_name_is_refused_unless_it_is_the_one_to_expect() {
    let authority = Authority::new();
    let issued = authority.server(&["api.example", "*.svc.example", "10.1.2.3"], |_| ());
    let server = https(server_config(issued, H2), |_| async { whole(200, "x") }).await;
    let (_, words, hint) = words_of(ask(&server, &authority.trust(), Protocol::Any).await.unwrap_err());
    let wanted = "the server's certificate is not for localhost: it is for api.example, *.svc.example, 10.1.2.3";
    assert!(words.ends_with(wanted), "{words}");
    assert!(hint.contains("--tls-server-name"), "{hint}");
    for name in ["api.example", "kubernetes.svc.example", "10.1.2.3"] {
        let trust = Trust { server_name: Some(name.to_owned()), ..authority.trust() };
        assert_eq!(ask(&server, &trust, Protocol::Any).await.unwrap().status, 200, "{name}");
    }
}

#[tokio::test]
async fn an_address_in_the_url_is_checked_as_an_address() {
    let authority = Authority::new();
    for (names, good) in [(["127.0.0.1"], true), (["localhost"], false)] {
        let config = server_config(authority.server(&names, |_| ()), H2);
        let server = https(config, |_| async { whole(200, "x") }).await;
        let url = format!("https://{}", server.address);
        let answer = pool(&url, &authority.trust(), settings()).send(&Request::get("/")).await;
        assert_eq!(answer.is_ok(), good, "{names:?}");
    }
}

#[tokio::test]
async fn a_servers_own_certificate_can_be_trusted_even_as_an_authority() {
    let self_signed = |name: &str, until: i32| {
        let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        let key = rustls::pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into());
        (vec![certificate], key)
    };
    let cases =
        [("localhost", 2099, ""), ("elsewhere", 2099, "is not for localhost"), ("localhost", 2020, "expired at 2020")];
    for (name, until, complaint) in cases {
        let issued = self_signed(name, until);
        let trust = Trust { roots: Roots::Authorities(issued.0.clone()), server_name: None };
        let server = https(server_config(issued, H2), |_| async { whole(200, "x") }).await;
        match ask(&server, &trust, Protocol::Any).await {
            Ok(_) => assert_eq!(complaint, ""),
            Err(failure) => assert!(!complaint.is_empty() && failure.to_string().contains(complaint), "{failure}"),
        }
        // Another one for the same name and dates is still nobody we know.
        let other = Trust { roots: Roots::Authorities(self_signed(name, until).0), server_name: None };
        assert!(ask(&server, &other, Protocol::Any).await.is_err());
    }
}

#[tokio::test]
async fn insecure_accepts_any_certificate() {
    let (server, _) = good(H2, |_| async { whole(200, "x") }).await;
    let trust = Trust { roots: Roots::InsecureAcceptAnyCertificate, server_name: None };
    assert_eq!(ask(&server, &trust, Protocol::Any).await.unwrap().status, 200);
}

#[test]
fn unusable_trust_and_identities_are_told_before_anything_is_sent() {
    let origin = || Origin::parse("https://localhost").unwrap().0;
    let error = Pool::new(origin(), &no_trust(), None, settings()).unwrap_err();
    assert!(error.to_string().contains("no usable certificate"), "{error}");
    let authority = Authority::new();
    let (one, other) = (authority.client("a"), authority.client("b"));
    let mixed = Identity { chain: one.chain, key: other.key };
    let error = Pool::new(origin(), &authority.trust(), Some(&mixed), settings()).unwrap_err();
    assert!(error.to_string().contains("do not belong together"), "{error}");
    assert_eq!(format!("{mixed:?}"), "Identity { chain: 1 certificates, key: (redacted) }");
}

#[tokio::test]
async fn a_plain_server_on_a_tls_port_is_told() {
    let server = saying("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    // It waits for a line end that a TLS greeting need not hold: any bytes will do as an answer.
    let blunt = raw(|_, mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n").await;
        let mut sink = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut sink).await;
    })
    .await;
    drop(server);
    let (stage, words, hint) = words_of(ask(&blunt, &Authority::new().trust(), Protocol::Any).await.unwrap_err());
    assert_eq!(stage, Stage::Tls);
    assert!(words.ends_with("what answered there does not speak TLS"), "{words}");
    assert!(hint.contains("port"), "{hint}");
}

// Getting there.

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

// Bodies.

#[tokio::test]
async fn a_connection_lost_in_the_body_is_reported_with_what_came_before() {
    // Closed before the announced length, and before the last chunk.
    for (framing, data) in [("Content-Length: 10", "12345"), ("Transfer-Encoding: chunked", "5\r\n12345\r\n")] {
        let server = saying(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{data}")).await;
        let answer = ask_plain(&server).await.unwrap();
        assert_eq!(ended(answer.body).await, (b"12345".to_vec(), Some(Ended::Truncated)), "{framing}");
    }
    // Reset, once the head has arrived.
    let arrived = Arc::new(Notify::new());
    let told = Arc::clone(&arrived);
    let server = raw(move |_, mut stream| {
        let arrived = Arc::clone(&told);
        async move {
            read_head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n").await.unwrap();
            arrived.notified().await;
            reset(stream);
        }
    })
    .await;
    let answer = ask_plain(&server).await.unwrap();
    arrived.notify_one();
    assert_eq!(ended(answer.body).await, (Vec::new(), Some(Ended::Reset)));
    // An HTTP/2 stream given up by the server, with an error code and, as if all were well, without one.
    for reason in [h2::Reason::INTERNAL_ERROR, h2::Reason::NO_ERROR] {
        let arrived = Arc::new(Notify::new());
        let told = Arc::clone(&arrived);
        let (server, trust) = good(H2, move |_| {
            let arrived = Arc::clone(&told);
            async move {
                let (sending, answer) = streaming(200);
                tokio::spawn(async move {
                    sending.send(Ok(Bytes::from_static(b"12345"))).await.unwrap();
                    arrived.notified().await;
                    sending.send(Err(h2::Error::from(reason).into())).await.unwrap();
                });
                answer
            }
        })
        .await;
        let mut answer = ask(&server, &trust, Protocol::Any).await.unwrap();
        let first = answer.body.frame().await.unwrap().unwrap();
        arrived.notify_one();
        answer.body.unread(first);
        assert_eq!(ended(answer.body).await, (b"12345".to_vec(), Some(Ended::Reset)), "{reason:?}");
    }
}

#[tokio::test]
async fn a_content_length_that_lies_is_noticed_in_http2_too() {
    let (server, trust) = good(H2, |_| async {
        let mut answer = whole(200, "12345");
        answer.headers_mut().insert("content-length", "10".parse().unwrap());
        answer
    })
    .await;
    let answer = ask(&server, &trust, Protocol::Any).await.unwrap();
    let (_, end) = ended(answer.body).await;
    assert!(end.is_some_and(Ended::resumable), "{end:?}");
}

#[tokio::test]
async fn damaged_chunks_are_not_a_clean_end() {
    let server = saying("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n").await;
    let answer = ask_plain(&server).await.unwrap();
    assert_eq!(ended(answer.body).await, (b"abc".to_vec(), Some(Ended::Corrupt)));
}

#[tokio::test]
async fn compressed_bodies_are_decoded_and_their_early_end_is_noticed() {
    let plain: Vec<u8> = (0..20_000).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
    let packed = gzip(&plain);
    let serve = |body: Vec<u8>| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", body.len());
        saying([head.into_bytes(), body].concat())
    };
    let answer = ask_plain(&serve(packed.clone()).await).await.unwrap();
    assert_eq!(ended(answer.body).await, (plain.clone(), None));
    let answer = ask_plain(&serve(packed[..packed.len() - 9].to_vec()).await).await.unwrap();
    let (given, end) = ended(answer.body).await;
    assert_eq!(end, Some(Ended::Truncated));
    assert!(plain.starts_with(&given) && given.len() > plain.len() / 2);
    let answer = ask_plain(&serve(b"not gzip at all, not even nearly".to_vec()).await).await.unwrap();
    assert_eq!(ended(answer.body).await, (Vec::new(), Some(Ended::Corrupt)));
}

#[tokio::test]
async fn a_slow_body_is_no_error_and_comes_as_it_is_sent() {
    for alpn in [H1, H2] {
        let go = Arc::new(Notify::new());
        let told = Arc::clone(&go);
        let (server, trust) = good(alpn, move |_| {
            let go = Arc::clone(&told);
            async move {
                let (sending, answer) = streaming(200);
                tokio::spawn(async move {
                    for n in 0..5 {
                        sending.send(Ok(Bytes::from(format!("line {n}\n")))).await.unwrap();
                        go.notified().await;
                    }
                });
                answer
            }
        })
        .await;
        // The limit covers the head only.
        let request = Request::get("/").limit(Duration::from_secs(60));
        let mut answer = pool(&server.https_url(), &trust, settings()).send(&request).await.unwrap();
        for n in 0..5 {
            assert_eq!(answer.body.frame().await.unwrap().unwrap(), format!("line {n}\n"));
            go.notify_one();
        }
        assert!(answer.body.frame().await.is_none());
        assert_eq!(answer.body.given(), 35);
    }
}

#[tokio::test]
async fn bodies_are_collected_up_to_a_limit_and_can_be_put_back() {
    let body = || saying("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n4\r\n6789\r\n0\r\n\r\n");
    let collect = async |limit| ask_plain(&body().await).await.unwrap().body.collect(limit).await;
    assert_eq!(collect(9).await.unwrap(), "123456789");
    assert_eq!(collect(8).await.unwrap_err().ended(), Ended::TooLong);
    assert_eq!(collect(4).await.unwrap_err().ended(), Ended::TooLong);

    let mut answer = ask_plain(&body().await).await.unwrap();
    let beginning = answer.body.beginning(7).await;
    assert_eq!(beginning, "1234567");
    answer.body.unread(beginning);
    assert_eq!(ended(answer.body).await, (b"123456789".to_vec(), None));
    assert_eq!(Body::of("").collect(0).await.unwrap(), "");
}

#[tokio::test]
async fn a_paused_stream_does_not_stop_the_others() {
    let (server, trust) = good(H2, |asked| async move {
        let (sending, answer) = streaming(200);
        let endless = asked.uri().path() == "/endless";
        tokio::spawn(async move {
            let piece = Bytes::from(vec![b'x'; 64 * 1024]);
            let mut left = 64;
            while endless || left > 0 {
                left -= i32::from(!endless);
                if sending.send(Ok(piece.clone())).await.is_err() {
                    break;
                }
            }
        });
        answer
    })
    .await;
    let pool = pool(&server.https_url(), &trust, Settings { streams: 64, ..settings() });
    let mut paused = Vec::new();
    for _ in 0..90 {
        paused.push(pool.send(&Request::get("/endless")).await.unwrap());
    }
    for _ in 0..3 {
        let answer = pool.send(&Request::get("/")).await.unwrap();
        assert_eq!(soon(answer.body.collect(ALL)).await.unwrap().len(), 4 << 20);
    }
    assert_eq!(server.connections(), 1, "all of it over one connection");
}

#[tokio::test]
async fn a_peer_that_falls_silent_is_noticed() {
    let (server, trust) = good(H2, |_| async {
        let (sending, answer) = streaming(200);
        sending.try_send(Ok(Bytes::from_static(b"one\n"))).unwrap();
        tokio::spawn(async move { sending.closed().await });
        answer
    })
    .await;
    let (between, open) = valve(server.address).await;
    let shortly = Duration::from_millis(50);
    let settings = Settings { ping_after: shortly, ping_timeout: shortly, ..settings() };
    let mut answer = pool(&between.https_url(), &trust, settings).send(&Request::get("/")).await.unwrap();
    assert_eq!(answer.body.frame().await.unwrap().unwrap(), "one\n");
    open.send(false).unwrap();
    let error = soon(answer.body.frame()).await.unwrap().unwrap_err();
    assert!(error.ended().resumable(), "{error}");
    assert_eq!(error.to_string(), "connection lost after 4 bytes: the connection was closed or fell silent");
}

#[tokio::test]
async fn verbose_shows_requests_and_heads_without_secrets() {
    use std::sync::Mutex;
    let (server, trust) = good(H2, |_| async {
        let mut answer = whole(200, "x");
        answer.headers_mut().insert("set-cookie", "hunter2".parse().unwrap());
        answer
    })
    .await;
    for (level, lines) in [(5, 0), (6, 1), (8, 5)] {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&heard);
        let notices = crate::notice::Notices::new(level, false, move |line| sink.lock().unwrap().push(line.to_owned()));
        let pool = pool(&server.https_url(), &trust, Settings { notices, ..settings() });
        let token = hyper::header::HeaderValue::from_static("Bearer hunter2");
        pool.send(&Request::get("/x?y").header(hyper::header::AUTHORIZATION, token)).await.unwrap();
        let heard = heard.lock().unwrap();
        assert!(!heard.concat().contains("hunter2"), "{heard:?}");
        assert!(heard.len() >= lines && (lines > 0 || heard.is_empty()), "{heard:?}");
        if level == 6 {
            let start = format!("GET {}/x?y 200 OK in ", server.https_url());
            assert!(heard[0].starts_with(&start) && heard[0].ends_with(" milliseconds"), "{heard:?}");
        }
    }
}
