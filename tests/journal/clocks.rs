//! Clocks that are set back while a journal is written: windows and boots as journalctl has them.

use kubelet_logs::journal::{AnyOf, Matches, Query};

use super::driver::{Run, files_of, read, values};
use super::oracle::{assert_text, journalctl};
use crate::cluster::journal::growing::Growing;

const START: i64 = 1_700_000_000_000_000;
const SECOND: i64 = 1_000_000;

fn append(journal: &mut Growing, count: usize, name: &str) {
    for nth in 0..count {
        journal.at += SECOND;
        journal.uptime += SECOND as u64;
        journal.append(["kubelet", "other"][nth % 2], &format!("{name}{nth}"));
    }
}

/// What is written to a journal.
type Writes = fn(&mut Growing);

/// A clock that is put right in the next file, within a file, and when a machine has started in the past.
fn journals() -> Vec<(&'static str, Writes)> {
    vec![
        ("between files", |journal| {
            append(journal, 900, "a");
            journal.rotate();
            journal.set_clock_back(600 * SECOND);
            append(journal, 600, "b");
            journal.rotate();
            append(journal, 100, "c");
        }),
        ("within a file", |journal| {
            append(journal, 700, "a");
            journal.set_clock_back(350 * SECOND);
            append(journal, 700, "b");
        }),
        ("a little, near the end", |journal| {
            for _ in 0..30 {
                append(journal, 80, "a");
                journal.append("rare", "seldom");
            }
            journal.set_clock_back(2 * SECOND);
            append(journal, 60, "b");
            journal.append("rare", "last");
        }),
        ("at the start of a boot, in a file of its own", |journal| {
            append(journal, 200, "a");
            journal.rotate();
            journal.boot = 2;
            journal.set_clock_back(30 * 86_400 * SECOND);
            append(journal, 9, "early");
            journal.set_clock_back(-30 * 86_400 * SECOND);
            append(journal, 200, "b");
            journal.rotate();
            append(journal, 20, "c");
        }),
        ("at the start of a boot, in the file before", |journal| {
            append(journal, 150, "a");
            journal.boot = 2;
            journal.set_clock_back(30 * 86_400 * SECOND);
            append(journal, 9, "early");
            journal.set_clock_back(-30 * 86_400 * SECOND);
            append(journal, 150, "b");
        }),
        ("ahead at the start of a boot", |journal| {
            append(journal, 150, "a");
            journal.boot = 2;
            journal.set_clock_back(-7200 * SECOND);
            append(journal, 90, "ahead");
            journal.set_clock_back(7200 * SECOND);
            append(journal, 600, "b");
        }),
        ("ahead at the start of a boot, in a file of its own", |journal| {
            append(journal, 150, "a");
            journal.rotate();
            journal.boot = 2;
            journal.set_clock_back(-7200 * SECOND);
            append(journal, 90, "ahead");
            journal.set_clock_back(7200 * SECOND);
            append(journal, 600, "b");
            journal.rotate();
            append(journal, 20, "c");
        }),
    ]
}

#[test]
fn windows_begin_where_journalctl_begins_them() {
    for (what, write) in journals().into_iter().filter(|(what, _)| !what.starts_with("ahead")) {
        let root = tempfile::tempdir().expect("a folder");
        let mut journal = Growing::new(root.path(), START);
        journal.unsteady = false;
        write(&mut journal);
        let files = files_of(journal.directory());
        for (unit, matches) in [(None, Matches::all()), (Some("kubelet"), Matches::all().and(AnyOf::unit("kubelet")))] {
            for second in (-700..1000).step_by(150).chain([-30 * 86_400, -30 * 86_400 + 205]) {
                let since = START + second * SECOND;
                let mut args = vec!["--since".to_owned(), format!("@{}.{:06}", since / SECOND, since % SECOND)];
                args.extend(unit.map(|unit| format!("--unit={unit}")));
                let Some(printed) = journalctl(journal.directory(), &args) else {
                    return crate::support::skipped("no journalctl on this machine");
                };
                let at = format!("{what}, {unit:?}, since {second} s");
                let since = Some(since as u64);
                assert_text(&read(&files, Query { since, ..Query::new(matches.clone()) }), &printed, &at);
                for count in [10, 3000] {
                    let lines: Vec<&str> =
                        printed.split_inclusive('\n').filter(|line| !line.starts_with("-- ")).collect();
                    let last = lines[lines.len().saturating_sub(count)..].concat();
                    let tail = Query { since, ..Query::tail(matches.clone(), count) };
                    assert_text(&read(&files, tail), &last, &format!("{at}, the last {count}"));
                }
            }
        }
    }
}

/// journalctl ends at the first entry past --until. Of a node whose clock was ahead when it started, and was put right, it
/// shows nothing of the hour that is asked for: so here what is too late is left out, and reading goes on.
#[test]
fn windows_end_with_the_last_entry_that_is_not_too_late() {
    // Of a file between whose first and last entries a clock was behind for a while, nothing tells so.
    for (what, write) in journals().into_iter().filter(|(what, _)| !what.ends_with("in the file before")) {
        let root = tempfile::tempdir().expect("a folder");
        let mut journal = Growing::new(root.path(), START);
        journal.unsteady = false;
        write(&mut journal);
        let files = files_of(journal.directory());
        for unit in [None, Some("kubelet"), Some("rare")] {
            let matches = unit.map_or(Matches::all(), |unit| Matches::all().and(AnyOf::unit(unit)));
            let times = (50..1000).step_by(150).chain([100_000_000]).map(|second| START + second * SECOND);
            for (since, until) in times.flat_map(|until| {
                [None, Some((START - SECOND) as u64), Some((until - 100 * SECOND) as u64)]
                    .map(|since| (since, until as u64))
            }) {
                // Where it begins in a clock that was ahead is another question.
                if what.starts_with("ahead") && since.is_some_and(|since| since >= START as u64) {
                    continue;
                }
                let at = format!("{what}, {unit:?}, since {since:?} until {until}");
                let all = read(&files, Query { since, ..Query::new(matches.clone()) }).entries;
                let expected: Vec<_> = all.into_iter().filter(|entry| entry.position.realtime <= until).collect();
                let until = Some(until);
                let run = read(&files, Query { since, until, ..Query::new(matches.clone()) });
                assert!(run.entries == expected, "{at}: {} entries, not {}", run.entries.len(), expected.len());
                for count in [10, 3000] {
                    let tail = read(&files, Query { since, until, ..Query::tail(matches.clone(), count) }).entries;
                    let last = &expected[expected.len().saturating_sub(count)..];
                    assert!(tail == last, "{at}, the last {count}: {} entries, not {}", tail.len(), last.len());
                }
            }
        }
    }
}

#[test]
fn boots_come_in_the_order_of_their_numbers() {
    for (what, write) in journals() {
        let root = tempfile::tempdir().expect("a folder");
        let mut journal = Growing::new(root.path(), START);
        journal.unsteady = false;
        write(&mut journal);
        let boots = values(&files_of(journal.directory()), |journal| journal.list_boots());
        let ids: Vec<String> = boots.iter().map(|boot| boot.id().expect("an id").to_string()).collect();
        let expected: Vec<String> = (1..=journal.boot).map(|boot| format!("{boot:032x}")).collect();
        assert_eq!(ids, expected, "{what}");
    }
}

#[test]
fn a_small_step_later_on_makes_a_window_no_dearer() {
    let cost = |step: i64| {
        let root = tempfile::tempdir().expect("a folder");
        let mut journal = Growing::new(root.path(), START);
        journal.unsteady = false;
        append(&mut journal, 8000, "a");
        journal.set_clock_back(step);
        append(&mut journal, 200, "b");
        let files = files_of(journal.directory());
        let [since, until] = [1000, 1100].map(|second| Some((START + second * SECOND) as u64));
        let runs = [Query::default(), Query::tail(Matches::all(), 3000)]
            .map(|query| read(&files, Query { since, until, ..query }));
        let is_wanted = |at: &u64| since.is_some_and(|since| *at >= since) && until.is_some_and(|until| *at <= until);
        let times = |run: &Run| run.entries.iter().map(|entry| entry.position.realtime).collect::<Vec<_>>();
        let all: Vec<u64> = times(&read(&files, Query::default())).into_iter().filter(is_wanted).collect();
        assert!(all.len() > 90 && runs.iter().all(|run| times(run) == all), "{} entries", all.len());
        runs.map(|run| run.bytes)
    };
    let (with, without) = (cost(SECOND / 5), cost(0));
    assert!(
        with.iter().zip(without).all(|(with, without)| *with < without * 3 / 2),
        "{with:?} bytes, {without:?} before"
    );
}
