//! Ranges against servers on loopback that know them well, badly or not at all.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Barrier;

use self::scripted::*;
use super::*;
use crate::http::testing::*;
use crate::http::{Pool, Roots, Trust};

mod scripted;

#[tokio::test]
async fn needs_come_in_one_request_with_the_lead_first() {
    let file = file(100_000);
    let served = file.clone();
    let server = Scripted::new(move |_, asked| Sent::Whole(go(&served, asked))).await;
    let needs = [5000..5100, 200..400, 5200..5300, 90_000..200_000, 5050..5080];
    let fetched = server.fetch(&ranges(), Some(0..272), &needs).await.unwrap();
    check(&fetched, &file, Some(&(0..272)), &needs);
    assert_eq!(server.asked(), [vec![0..272, 272..400, 5000..5300, 90_000..200_000]]);
    // A need is in one piece, also where two parts touch.
    let offsets: Vec<u64> = fetched.segments.iter().map(|(at, _)| at).collect();
    assert_eq!(offsets, [0, 5000, 90_000]);
}

#[tokio::test]
async fn more_than_a_request_holds_goes_into_several_side_by_side() {
    let (file, barrier) = (Arc::new(file(2_000_000)), Arc::new(Barrier::new(4)));
    // None is answered before four have come.
    let served = Arc::clone(&file);
    let server = raw(move |_, mut stream| {
        let (served, barrier) = (Arc::clone(&served), Arc::clone(&barrier));
        async move {
            let head = read_head(&mut stream).await;
            barrier.wait().await;
            stream.write_all(&go(&served, &ranges_of(&head))).await.unwrap();
            let _ = stream.read_u8().await;
        }
    })
    .await;
    let trust = Trust { roots: Roots::Authorities(Vec::new()), server_name: None };
    let direct = Direct { pool: pool(&server.http_url(), &trust, settings()), pauses: Mutex::default() };
    let (ranges, needs) = (ranges(), scattered(4 * 159));
    let wanted = Wanted { lead: Some(&(0..272)), needs: &needs };
    let fetched = soon(ranges.fetch(&direct, &Request::get("/"), wanted)).await.unwrap();
    check(&fetched, &file, Some(&(0..272)), &needs);
    assert_eq!((fetched.leads.len(), ranges.requests(), server.connections()), (4, 4, 4));
}

#[tokio::test]
async fn never_more_at_once_than_allowed() {
    let (file, now, most) = (file(40_000), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (served, counting, highest) = (file.clone(), Arc::clone(&now), Arc::clone(&most));
    let server = raw(move |_, mut stream| {
        let (served, now, most) = (served.clone(), Arc::clone(&counting), Arc::clone(&highest));
        async move {
            loop {
                let head = read_head(&mut stream).await;
                if head.is_empty() {
                    return;
                }
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                now.fetch_sub(1, Ordering::SeqCst);
                stream.write_all(&go(&served, &ranges_of(&head))).await.unwrap();
            }
        }
    })
    .await;
    let trust = Trust { roots: Roots::Authorities(Vec::new()), server_name: None };
    let direct = Direct { pool: pool(&server.http_url(), &trust, settings()), pauses: Mutex::default() };
    let ranges = Ranges::new(Limits { ranges: 2, parallel: 3, ..Limits::default() });
    let needs = scattered(39);
    let fetched = soon(ranges.fetch(&direct, &Request::get("/"), Wanted { lead: None, needs: &needs })).await.unwrap();
    check(&fetched, &file, None, &needs);
    assert_eq!(ranges.requests(), 20);
    assert!(most.load(Ordering::SeqCst) <= 3);
}

#[tokio::test]
async fn what_the_file_does_not_have_is_told_and_no_error() {
    for size in [0, 5, 33, 300, 4096] {
        let file = file(size);
        let served = file.clone();
        let server = Scripted::new(move |_, asked| Sent::Whole(go(&served, asked))).await;
        for needs in
            [vec![0..10], vec![100..110, 30..50], vec![4096..5000], vec![9000..9001, 10_000..1_000_000], vec![7..7]]
        {
            for lead in [None, Some(0..272), Some(40..44)] {
                let fetched = server.fetch(&ranges(), lead.clone(), &needs).await.unwrap();
                if !(lead.is_none() && needs == [7..7]) {
                    check(&fetched, &file, lead.as_ref(), &needs);
                }
            }
        }
        let most = server.asked().len();
        assert!(most <= 2 * 14, "{most} requests for 14 fetches");
    }
}

#[tokio::test]
async fn a_server_that_gives_one_range_is_asked_for_one_at_a_time() {
    let file = file(3_000_000);
    let served = file.clone();
    let server = Scripted::new(move |_, asked| Sent::Whole(one(&served, &asked[0]))).await;
    let ranges = ranges();
    let needs: Vec<_> = (1..=10).map(|n| n * 100_000..n * 100_000 + 16).collect();
    let fetched = server.fetch(&ranges, Some(0..272), &needs).await.unwrap();
    check(&fetched, &file, Some(&(0..272)), &needs);
    let asked = server.asked();
    assert_eq!((asked.len(), asked[0].len()), (12, 11), "all, each, and the lead again");
    assert!(asked[1..].iter().all(|asked| asked.len() == 1));
    // Between two leads: what came is of one file.
    assert_eq!((fetched.leads.len(), asked.last()), (2, Some(&vec![0..272])));
    // It is remembered, and close ranges are one.
    let fetched = server.fetch(&ranges, None, &[1000..1016, 9000..9016, 100_000..100_001]).await.unwrap();
    check(&fetched, &file, None, &[1000..1016, 9000..9016, 100_000..100_001]);
    assert_eq!(server.asked()[12..], [vec![1000..9016], vec![100_000..100_001]]);
}

#[tokio::test]
async fn a_whole_file_is_not_read_where_parts_were_asked_for() {
    let file = file(3_000_000);
    let served = file.clone();
    let server = Scripted::new(move |_, asked| {
        Sent::Whole(if asked.len() > 1 { answer("200 OK", &served) } else { go(&served, asked) })
    })
    .await;
    let (ranges, needs) = (ranges(), scattered(3));
    let fetched = server.fetch(&ranges, Some(0..272), &needs).await.unwrap();
    check(&fetched, &file, Some(&(0..272)), &needs);
    assert!(ranges.spent() < 10_000, "{} bytes read", ranges.spent());
    assert!(server.asked()[1..].iter().all(|asked| asked.len() == 1));
}

#[tokio::test]
async fn a_small_file_is_taken_whole() {
    let file = file(60_000);
    let served = file.clone();
    let server = Scripted::new(move |_, _| Sent::Whole(answer("200 OK", &served))).await;
    let fetched = server.fetch(&ranges(), Some(0..272), &scattered(3)).await.unwrap();
    check(&fetched, &file, Some(&(0..272)), &scattered(3));
    assert_eq!((fetched.segments.len(), server.asked().len(), fetched.leads.len()), (60_000, 1, 1));
}

#[tokio::test]
async fn a_file_on_a_server_without_ranges_is_read_once_or_not_at_all() {
    let file = file(1_000_000);
    for chunked in [false, true] {
        let served = file.clone();
        let server = Scripted::new(move |_, _| match chunked {
            false => Sent::Whole(answer("200 OK", &served)),
            true => {
                let mut body = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
                for chunk in served.chunks(50_000) {
                    body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    body.extend_from_slice(&[chunk, b"\r\n"].concat());
                }
                body.extend_from_slice(b"0\r\n\r\n");
                Sent::Whole(body)
            }
        })
        .await;
        let (ranges, needs) = (ranges(), [5000..5001, 900_000..900_100]);
        let fetched = server.fetch(&ranges, Some(0..272), &needs).await.unwrap();
        check(&fetched, &file, Some(&(0..272)), &needs);
        assert_eq!((fetched.segments.len(), server.asked().len()), (1_000_000, 2));
        let small = Ranges::new(Limits { whole: 500_000, ..Limits::default() });
        let error = server.fetch(&small, None, &needs).await.unwrap_err();
        let size = if chunked { "many more" } else { "1000000" };
        assert_eq!(
            error.to_string(),
            format!(
                "reading /file: byte ranges are ignored on the way, and {size} bytes are too many to read them all"
            )
        );
        assert!(small.spent() < 700_000, "{}", small.spent());
    }
}

#[tokio::test]
async fn ranges_that_were_left_out_are_asked_for_again() {
    // Once, then always, of several; a server that leaves them out alone is at fault.
    for (always, requests) in [(false, 2), (true, 4)] {
        let file = file(30_000);
        let served = file.clone();
        let server = Scripted::new(move |nth, asked| {
            let kept: Spans = asked.iter().filter(|range| range.start != 2000 || asked.len() == 1).cloned().collect();
            let leaves_out = nth == 0 || always;
            Sent::Whole(several(&served, if leaves_out && asked.len() > 2 { &kept } else { asked }))
        })
        .await;
        let needs = scattered(9);
        let fetched = server.fetch(&ranges(), None, &needs).await.unwrap();
        check(&fetched, &file, None, &needs);
        assert!(server.asked().len() <= requests, "{:?}", server.asked());
        assert_eq!(server.asked()[1], [2000..2016]);
    }
    let server = Scripted::new(|_, asked| {
        Sent::Whole(several(&file(30_000), &asked.iter().filter(|r| r.start == 0).cloned().collect::<Vec<_>>()))
    })
    .await;
    let error = server.fetch(&ranges(), Some(0..272), &scattered(3)).await.unwrap_err();
    assert_eq!(error.to_string(), "reading /file: the server leaves out bytes 1000-1015 of 30000");
    assert!(server.asked().len() < 20, "{}", server.asked().len());
    // 416, though the range is inside.
    let server =
        Scripted::new(|_, _| Sent::Whole(answer("416 Range Not Satisfiable\r\nContent-Range: bytes */30000", b"no")))
            .await;
    server.fetch(&ranges(), None, &scattered(3)).await.unwrap_err();
    assert!(server.asked().len() < 20, "{}", server.asked().len());
}

#[tokio::test]
async fn a_header_that_is_too_long_is_halved_and_that_is_remembered() {
    for status in ["400 Bad Request", "431 Request Header Fields Too Large"] {
        for limit in [1, 2, 25, 100] {
            let file = file(1_000_000);
            let served = file.clone();
            let server = Scripted::new(move |_, asked| {
                Sent::Whole(if asked.len() > limit { answer(status, b"too large") } else { go(&served, asked) })
            })
            .await;
            let (ranges, needs) = (Ranges::new(Limits { parallel: 1, ..Limits::default() }), scattered(300));
            let fetched = server.fetch(&ranges, Some(0..272), &needs).await.unwrap();
            check(&fetched, &file, Some(&(0..272)), &needs);
            let refused = server.asked().iter().filter(|asked| asked.len() > limit).count();
            assert!((1..=8).contains(&refused), "{limit}: {refused}");
            let before = server.asked().len();
            server.fetch(&ranges, None, &needs).await.unwrap();
            assert!(server.asked()[before..].iter().all(|asked| asked.len() <= limit.max(1)), "{limit}");
        }
    }
    // One range is not too long.
    let server = Scripted::new(|_, _| Sent::Whole(answer("400 Bad Request", b"no such node"))).await;
    let error = server.fetch(&ranges(), None, &[0..8192, 9000..9010]).await.unwrap_err();
    assert_eq!(error.to_string(), "refused with 400");
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn a_wrong_range_among_several_is_not_believed_and_one_alone_is_an_error() {
    let file = file(30_000);
    let served = file.clone();
    let server = Scripted::new(move |_, asked| {
        let moved: Spans = asked.iter().map(|range| range.start + 1..range.end + 1).collect();
        Sent::Whole(if asked.len() > 1 { several(&served, &moved) } else { go(&served, asked) })
    })
    .await;
    let needs = scattered(3);
    check(&server.fetch(&ranges(), None, &needs).await.unwrap(), &file, None, &needs);
    let served = file.clone();
    let server =
        Scripted::new(move |_, asked| Sent::Whole(one(&served, &(asked[0].start + 1..asked[0].end + 1)))).await;
    let error = server.fetch(&ranges(), None, &[5..9]).await.unwrap_err();
    let words = "reading /file: the answer is not the part asked for: bytes 6-9, which were not asked for";
    assert_eq!(error.to_string(), words);
    for (head, body, why) in [
        ("206 Partial Content", "abcd", "a part without one Content-Range"),
        ("206 Partial Content\r\nContent-Range: bytes 5-8", "abcd", "a Content-Range that can't be read"),
        ("206 Partial Content\r\nContent-Range: bytes 5-8/30", "abcdef", "a part longer than its Content-Range says"),
        ("206 Partial Content\r\nContent-Type: multipart/byteranges", "", "the content type names no boundary"),
    ] {
        let (head, body) = (head.to_owned(), body.to_owned());
        let server = Scripted::new(move |_, _| Sent::Whole(answer(&head, body.as_bytes()))).await;
        let error = server.fetch(&ranges(), None, &[5..9]).await.unwrap_err();
        assert!(error.to_string().ends_with(why), "{error}");
    }
}

#[tokio::test]
async fn what_a_broken_answer_brought_is_kept_and_the_rest_asked_for() {
    let file = file(30_000);
    let served = file.clone();
    let needs = [1000..1500, 5000..9000, 20_000..20_100];
    let whole = go(&file, &needs).len();
    let server = Scripted::new(move |nth, asked| {
        let mut bytes = go(&served, asked);
        match nth {
            0 => {
                bytes.truncate(whole - 2000);
                Sent::Cut(bytes)
            }
            _ => Sent::Whole(bytes),
        }
    })
    .await;
    let fetched = server.fetch(&ranges(), None, &needs).await.unwrap();
    check(&fetched, &file, None, &needs);
    let asked = server.asked();
    assert_eq!(asked.len(), 2);
    let first = asked[1][0].clone();
    assert!(first.end == 9000 && first.start > 6000, "only the rest: {:?}", asked[1]);
    // One that breaks always, and one that ends early without breaking.
    for cut in [true, false] {
        let served = file.clone();
        let server = Scripted::new(move |_, asked| {
            let bytes = go(&served, asked);
            let head = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
            let bytes = if asked[0].start == 7 { bytes[..head].to_vec() } else { bytes };
            match cut {
                true => Sent::Cut(bytes),
                false => {
                    let text = String::from_utf8_lossy(&bytes).replace("Content-Length", "X");
                    Sent::Cut(text.into_bytes())
                }
            }
        })
        .await;
        let direct = server.direct();
        let wanted = Wanted { lead: None, needs: &[7..90] };
        let error = soon(ranges().fetch(&direct, &Request::get("/file"), wanted)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unreachable, "{error}");
        assert!(error.to_string().starts_with("reading /file: answer "), "{error}");
        assert_eq!(server.asked().len(), 5);
        let pauses = direct.pauses.lock().unwrap();
        assert!(pauses.len() == 4 && pauses.iter().all(|pause| *pause <= Duration::from_secs(1)), "{pauses:?}");
    }
}

#[tokio::test]
async fn no_more_is_read_than_the_budget_allows() {
    let served = file(3_000_000);
    let server = Scripted::new(move |_, asked| Sent::Whole(go(&served, asked))).await;
    let ranges = Ranges::new(Limits { budget: 10_000, ..Limits::default() });
    server.fetch(&ranges, None, &[0..8192]).await.unwrap();
    assert_eq!((ranges.spent(), ranges.requests()), (8192, 1));
    let error = server.fetch(&ranges, None, &[10_000..12_000]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "reading /file: 2160 bytes more after 8192 would be more than the 10000 that may be read in all"
    );
    assert_eq!(ranges.requests(), 1);
    // Nor by a server that sends more than it was asked for.
    let ignoring = Scripted::new(|_, _| Sent::Whole(answer("200 OK", &[0; 200_000]))).await;
    let ranges = Ranges::new(Limits { budget: 100_000, ..Limits::default() });
    ignoring.fetch(&ranges, None, &[0..8192]).await.unwrap_err();
    assert!(ranges.spent() <= 100_000);
}

#[tokio::test]
async fn any_other_answer_is_an_error_as_it_is() {
    for head in
        ["404 Not Found", "403 Forbidden", "301 Moved Permanently\r\nLocation: x/", "200 OK\r\nContent-Type: text/html"]
    {
        let server = Scripted::new(move |_, _| Sent::Whole(answer(head, b"<html>"))).await;
        let error = server.fetch(&ranges(), Some(0..272), &scattered(3)).await.unwrap_err();
        assert_eq!((error.kind(), server.asked().len()), (Kind::NotFound, 1), "{error}");
    }
    let server = Scripted::new(|_, _| Sent::Whole(answer("416 Range Not Satisfiable", b"invalid range\n"))).await;
    assert_eq!(server.fetch(&ranges(), None, &[0..5]).await.unwrap_err().to_string(), "refused with 416");
}

#[tokio::test]
async fn a_file_that_changes_its_size_between_answers_is_told_by_the_last() {
    let (small, large) = (file(5000), file(500_000));
    // Replaced by a smaller one: what is past its end is nobody's fault.
    let served = [large.clone(), small.clone()];
    let server = Scripted::new(move |nth, asked| Sent::Whole(go(&served[nth.min(1)], asked))).await;
    let one_by_one = || Ranges::new(Limits { ranges: 2, parallel: 1, ..Limits::default() });
    let needs = [1000..1010, 400_000..400_010, 450_000..450_010];
    let fetched = server.fetch(&one_by_one(), Some(0..272), &needs).await.unwrap();
    assert_eq!((fetched.size, fetched.leads.len()), (5000, 3));
    // Grown: what the first answer did not have is asked for.
    let served = [small, large.clone()];
    let server = Scripted::new(move |nth, asked| Sent::Whole(go(&served[nth.min(1)], asked))).await;
    let fetched = server.fetch(&one_by_one(), Some(0..272), &[4990..5020, 400_000..400_010]).await.unwrap();
    check(&fetched, &large, Some(&(0..272)), &[4990..5020, 400_000..400_010]);
}

#[tokio::test]
async fn a_fetch_given_up_leaves_nothing_behind() {
    let file = file(30_000);
    let served = file.clone();
    let (came, arrived) = tokio::sync::mpsc::unbounded_channel();
    let server = raw(move |nth, mut stream| {
        let (served, came) = (served.clone(), came.clone());
        async move {
            let head = read_head(&mut stream).await;
            if nth == 0 {
                came.send(()).unwrap();
                // Never answered.
                let _ = stream.read_u8().await;
                came.send(()).unwrap();
                return;
            }
            stream.write_all(&go(&served, &ranges_of(&head))).await.unwrap();
            let _ = stream.read_u8().await;
        }
    })
    .await;
    let trust = Trust { roots: Roots::Authorities(Vec::new()), server_name: None };
    let direct = Direct { pool: pool(&server.http_url(), &trust, settings()), pauses: Mutex::default() };
    let (ranges, mut arrived, needs) = (ranges(), arrived, scattered(3));
    let request = Request::get("/");
    let wanted = Wanted { lead: None, needs: &needs };
    tokio::select! {
        _ = ranges.fetch(&direct, &request, wanted) => panic!("answered"),
        _ = arrived.recv() => {}
    }
    // Its connection ends with it.
    soon(arrived.recv()).await.unwrap();
    check(&soon(ranges.fetch(&direct, &request, wanted)).await.unwrap(), &file, None, &needs);
}

/// A habit a server may have; each leaves a way to all bytes.
fn answer_by_habit(habit: usize, nth: usize, file: &[u8], asked: &Spans) -> Sent {
    match habit {
        1 => Sent::Whole(match asked.iter().find(|range| range.start < file.len() as u64) {
            Some(range) => one(file, range),
            None => go(file, asked),
        }),
        2 if asked.len() > 1 => Sent::Whole(answer("200 OK", file)),
        3 => Sent::Whole(answer("200 OK", file)),
        4 if asked.len() > 7 => Sent::Whole(answer("431 Request Header Fields Too Large", b"")),
        5 if nth % 3 == 1 => {
            let mut bytes = go(file, asked);
            let head = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
            bytes.truncate(bytes.len() - ((bytes.len() - head) / 3).min(200));
            Sent::Cut(bytes)
        }
        6 if asked.len() > 2 => Sent::Whole(go(file, &asked[..asked.len() - 1])),
        _ => Sent::Whole(go(file, asked)),
    }
}

#[tokio::test]
async fn the_same_bytes_come_whatever_the_servers_habit() {
    let mut seed = 7_u64;
    let mut below = |bound: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % bound
    };
    let mut seen = HashSet::new();
    for run in 0..84 {
        let habit = run % 7;
        let file = file(1 + below(300_000));
        let served = file.clone();
        let server = Scripted::new(move |nth, asked| answer_by_habit(habit, nth, &served, asked)).await;
        let limits = Limits {
            gap: below(600),
            ranges: 1 + below(30) as usize,
            request: 1 + below(40_000),
            parallel: 1 + below(5) as usize,
            ..Limits::default()
        };
        let needs: Vec<Range<u64>> = (0..below(40))
            .map(|_| {
                let start = below(320_000);
                start..start + below(9000)
            })
            .collect();
        let lead = [None, Some(0..272)][below(2) as usize].clone();
        let ranges = Ranges::new(limits);
        let fetched = server.fetch(&ranges, lead.clone(), &needs).await.unwrap_or_else(|error| {
            panic!("habit {habit}, {limits:?}: {}: {:?}", error.chain(), server.asked().last())
        });
        if lead.is_some() || needs.iter().any(|need| !need.is_empty()) {
            check(&fetched, &file, lead.as_ref(), &needs);
            seen.insert(habit);
        }
    }
    assert_eq!(seen.len(), 7);
}
