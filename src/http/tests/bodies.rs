//! Bodies, whole and broken off.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;

use super::*;
use crate::http::gzip::tests::gzip;

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
