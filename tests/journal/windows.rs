//! Windows over sets whose files' names tell little of each other.

use kubelet_logs::journal::{Limits, Matches, Query};

use super::driver::{Files, answer, fixtures, read, read_with};

/// What is read of a window is what lies in it, whichever files there are.
#[test]
fn files_without_a_known_successor_hide_nothing_before_them() {
    let whole = fixtures("rotated");
    let is_active = |name: &str| name == "system.journal";
    let archives: Files = whole.iter().filter(|(name, _)| !is_active(name)).cloned().collect();
    // One of another row: systemd counts anew after most restarts.
    let mut mixed = archives.clone();
    mixed.extend(
        fixtures("restarts-header264.journal").into_iter().map(|(_, bytes)| ("system.journal".to_owned(), bytes)),
    );
    let missing: Files =
        archives.iter().enumerate().filter(|(nth, _)| *nth != 1).map(|(_, file)| file.clone()).collect();
    for (what, files) in [("archives", archives), ("another row", mixed), ("one missing", missing)] {
        let all = read(&files, Query::new(Matches::all())).entries;
        let (first, last) = (all[0].position.realtime, all[all.len() - 1].position.realtime);
        let step = (last - first) / 16;
        for begin in 0..16 {
            for length in [1, 4] {
                let (since, until) = (first + begin * step, first + (begin + length) * step);
                let query = Query { since: Some(since), until: Some(until), ..Query::new(Matches::all()) };
                let expected: Vec<_> =
                    all.iter().filter(|entry| (since..=until).contains(&entry.position.realtime)).collect();
                let at = format!("{what}: {since} to {until}");
                assert_eq!(read(&files, query.clone()).entries.iter().collect::<Vec<_>>(), expected, "{at}");
                let tail = Query { since: query.since, until: query.until, ..Query::tail(Matches::all(), 10) };
                let last = &expected[expected.len().saturating_sub(10)..];
                assert_eq!(read(&files, tail).entries.iter().collect::<Vec<_>>(), last, "{at}, the last 10");
            }
        }
    }
}

/// A lane among many has a small share of the memory: it asks for less at a time, and gives the same.
#[test]
fn with_less_memory_less_is_asked_for_at_a_time() {
    let files = fixtures("rotated");
    let run = |cache: usize| {
        let mut most = 0;
        let limits = Limits { cache, ..Limits::default() };
        let mut provided = std::collections::HashMap::new();
        let run = read_with(&files, Query::new(Matches::all()), limits, |round, journal, files, need| {
            let bytes: u64 = need.ranges.iter().map(|range| range.end - range.start).sum();
            let sum = provided.entry(round).or_insert(0);
            *sum += bytes;
            most = most.max(*sum);
            answer(journal, files, need);
        });
        (run.text(), most)
    };
    let (whole, large) = run(16 << 20);
    let (same, small) = run(256 << 10);
    assert_eq!(same, whole);
    assert!(small <= 512 << 10 && small < large, "{small} and {large} bytes");
}
