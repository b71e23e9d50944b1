//! However ranges are cut, the entries are the same.

use std::sync::Arc;

use kubelet_logs::journal::{AnyOf, Journal, Limits, Matches, Need, Order, Query};

use super::driver::{Files, answer, fixtures, read, read_with};
use super::mutate::Random;

fn queries() -> Vec<Query> {
    let kubelet = Matches::all().and(AnyOf::unit("kubelet"));
    let window = Query { since: Some(1_700_000_060_000_000), until: Some(1_700_000_300_000_000), ..Query::default() };
    vec![
        Query::default(),
        Query::new(kubelet.clone()),
        Query::tail(kubelet.clone(), 20),
        Query::tail(kubelet.clone().and(AnyOf::priority(3)), 1000),
        window.clone(),
        Query { matches: kubelet, order: Order::NewestFirst, ..window },
    ]
}

/// Answers as servers may: in other pieces, out of order, with more or less than was asked, once in a while with nothing.
fn answer_oddly(random: &mut Random, journal: &mut Journal, files: &Files, need: &Need) {
    let bytes = &files[need.file.0].1;
    let whole = bytes.len() as u64;
    let mut pieces: Vec<(u64, &[u8])> = Vec::new();
    for range in &need.ranges {
        let mut at = range.start.min(whole);
        // Sometimes from earlier on, sometimes past the end.
        if at > 0 && random.below(4) == 0 {
            at -= random.below(at.min(500));
        }
        let end = (range.end + if random.below(4) == 0 { random.below(3000) } else { 0 }).min(whole);
        while at < end {
            let len = match random.below(3) {
                0 => 1 + random.below(40),
                1 => 1 + random.below(end - at),
                _ => end - at,
            };
            let next = (at + len).min(end);
            if at < 272 || random.below(16) > 0 {
                pieces.push((at, &bytes[at as usize..next as usize]));
            }
            at = next;
        }
    }
    // The header is a piece of its own, and the first; the others come in any order.
    let opening = need.ranges[0].start == 0;
    pieces.retain(|(at, _)| !opening || *at >= 272);
    for nth in (1..pieces.len()).rev() {
        pieces.swap(nth, random.below(nth as u64 + 1) as usize);
    }
    if opening {
        pieces.insert(0, (0, &bytes[..272]));
    }
    if random.below(20) > 0 {
        journal.provide(need.file, whole, pieces);
    }
}

#[test]
fn the_cut_of_ranges_does_not_matter() {
    let seed = std::env::var("JOURNAL_SEED").map_or(11, |seed| seed.parse().expect("a number"));
    println!("JOURNAL_SEED={seed}");
    let mut random = Random(seed);
    for files in [fixtures("c1k1ZSTD.journal"), fixtures("restarts-header256.journal"), fixtures("rotated-restarts")] {
        for query in queries() {
            let expected = read(&files, query.clone());
            assert_eq!((expected.notices.len(), expected.end), (0, None));
            for _ in 0..4 {
                // A small cache has to fetch again what it let go.
                let cache = [16 << 20, 64 << 10][random.below(2) as usize];
                let limits = Limits { cache, ..Limits::default() };
                let run = read_with(&files, query.clone(), limits, |_, journal, files, need| {
                    answer_oddly(&mut random, journal, files, need);
                });
                assert_eq!((run.notices.len(), run.end), (0, None));
                assert!(run.text() == expected.text(), "{query:?} with a cache of {cache}");
                let places = |run: &super::driver::Run| run.entries.iter().map(|e| e.position).collect::<Vec<_>>();
                assert!(places(&run) == places(&expected));
            }
        }
    }
}

#[test]
fn whole_files_at_once_do_as_well() {
    for files in [fixtures("c0k0XZ.journal"), fixtures("rotated")] {
        for query in queries() {
            let expected = read(&files, query.clone()).text();
            let run = read_with(&files, query, Limits::default(), |_, journal, files, need| {
                let bytes = &files[need.file.0].1;
                journal.provide(need.file, bytes.len() as u64, [(0, &bytes[..])]);
            });
            assert!(run.text() == expected && run.notices.is_empty());
            assert!(run.rounds <= 1 + files.len(), "{} rounds", run.rounds);
        }
    }
}

#[test]
fn a_server_that_answers_nothing_is_given_up() {
    let files = fixtures("c0k0XZ.journal");
    let limits = Limits { rounds: 50, ..Limits::default() };
    let run = read_with(&files, Query::default(), limits, |_, _, _, _| {});
    assert!(run.end.is_some() && run.rounds == 50);
    let run = read_with(&files, Query::default(), limits, |_, journal, files, need| {
        journal.provide(need.file, files[need.file.0].1.len() as u64, [(0, &files[need.file.0].1[..100])]);
    });
    assert!(run.end.is_some() && run.rounds == 50);
    let run = read_with(&files, Query::default(), limits, |round, journal, files, need| {
        if round < 3 {
            answer(journal, files, need);
        }
    });
    assert!(run.end.is_some());
}

#[test]
fn entries_in_two_files_are_given_once() {
    let mut files = fixtures("restarts-header264.journal");
    let expected = read(&files, Query::default());
    files.push(("system@00060a2418200000-1234567890abcdef.journal~".into(), Arc::clone(&files[0].1)));
    for query in [Query::default(), Query::tail(Matches::all(), 5000)] {
        let run = read(&files, query);
        assert!(run.text() == expected.text() && run.entries.len() == expected.entries.len());
    }
}
