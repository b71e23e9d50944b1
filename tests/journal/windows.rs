//! Windows over sets whose files' names tell little of each other.

use kubelet_logs::journal::{Matches, Query};

use super::driver::{Files, fixtures, read};

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
