//! What reading costs, and that it reads right, on a generated day of a node.

use std::path::{Path, PathBuf};

use kubelet_logs::journal::{AnyOf, Matches, Query};

use super::driver::{Run, read};
use super::generate::{DAY, RARE, START, Variant, day};
use super::oracle::{assert_text, journalctl};

/// Requests and bytes that a query may take, and journalctl's options for it.
struct Goal {
    args: Vec<String>,
    query: Query,
    requests: usize,
    bytes: u64,
}

/// The goals for a compact file; others may take half as much again.
fn goals(unit: &str) -> Vec<Goal> {
    let matches = Matches::all().and(AnyOf::unit(unit));
    let tail = |count: usize, requests, bytes| Goal {
        args: vec!["-n".into(), count.to_string()],
        query: Query::tail(matches.clone(), count),
        requests,
        bytes,
    };
    // From noon on, to the microsecond.
    let noon = START + DAY / 2 + 123_456;
    let window = |minutes: u64, requests, bytes| {
        let until = noon + minutes * 60_000_000;
        let at = |micros: u64| {
            let of_day = micros / 1_000_000 - 1_699_920_000;
            let (day, hour) = (14 + of_day / 86_400, of_day / 3600 % 24);
            format!("2023-11-{day} {hour:02}:{:02}:{:02}.{:06}", of_day / 60 % 60, of_day % 60, micros % 1_000_000)
        };
        Goal {
            args: vec!["--since".into(), at(noon), "--until".into(), at(until)],
            query: Query { since: Some(noon), until: Some(until), ..Query::new(matches.clone()) },
            requests,
            bytes,
        }
    };
    let rare = unit == RARE;
    vec![
        tail(10, if rare { 14 } else { 6 }, 300_000),
        tail(100, if rare { 14 } else { 6 }, 600_000),
        tail(1000, 60, 5_000_000),
        window(10, 20, 1_200_000),
        window(60, 30, 6_000_000),
        Goal { args: Vec::new(), query: Query::new(matches.clone()), requests: usize::MAX, bytes: u64::MAX },
    ]
}

#[test]
fn a_days_journal_is_read_in_few_requests() {
    let entries: u64 = std::env::var("JOURNAL_ENTRIES").map_or(40_000, |n| n.parse().expect("a number"));
    // Kept for the next time, if a place is named.
    let scratch = tempfile::tempdir().unwrap();
    let root = std::env::var_os("JOURNAL_KEEP").map_or(scratch.path().to_owned(), PathBuf::from);
    for variant in [Variant { compact: true, keyed: true }, Variant { compact: false, keyed: false }] {
        let folder = root.join(format!("{entries}-{}", variant.compact));
        if !read_day(&folder, entries, variant) {
            println!("skipped: no systemd-journal-remote on this machine");
            return;
        }
    }
}

fn read_day(folder: &Path, entries: u64, variant: Variant) -> bool {
    let Some(files) = day(folder, entries, variant) else { return false };
    let more = |goal: u64| if variant.compact { goal } else { goal.saturating_add(goal / 2) };
    for unit in ["kubelet.service", RARE] {
        for goal in goals(unit) {
            let run: Run = read(&files, goal.query);
            let what = format!(
                "compact {}, {unit} {}: {} entries, {} rounds, {} requests, {} KB",
                variant.compact,
                goal.args.join(" "),
                run.entries.len(),
                run.rounds,
                run.requests,
                run.bytes / 1000
            );
            println!("{what}");
            assert!(run.requests as u64 <= more(goal.requests as u64) && run.bytes <= more(goal.bytes), "{what}");
            let args = [vec!["-u".to_owned(), unit.to_owned()], goal.args].concat();
            if let Some(printed) = journalctl(folder, &args) {
                assert_text(&run, &printed, &what);
            }
        }
    }
    true
}
