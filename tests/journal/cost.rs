//! What reading costs: rounds, requests and bytes, on a generated day.

use kubelet_logs::journal::{AnyOf, Matches, Query};

use super::driver::read;
use super::generate::{DAY, RARE, START, Variant, day};

#[test]
fn a_days_journal_is_read_in_few_requests() {
    let entries: u64 = std::env::var("JOURNAL_ENTRIES").map_or(60_000, |n| n.parse().expect("a number"));
    let root = std::env::var_os("JOURNAL_KEEP").map(std::path::PathBuf::from);
    let scratch = tempfile::tempdir().unwrap();
    let root = root.as_deref().unwrap_or(scratch.path());
    for compact in [true, false] {
        let variant = Variant { compact, keyed: compact };
        let folder = root.join(format!("{entries}-{compact}"));
        let Some(files) = day(&folder, entries, variant) else {
            println!("skipped: no systemd-journal-remote on this machine");
            return;
        };
        for unit in ["kubelet.service", RARE] {
            let matches = Matches::all().and(AnyOf::unit(unit));
            let noon = START + DAY / 2 + 123_456;
            let window = |minutes: u64| Query {
                since: Some(noon),
                until: Some(noon + minutes * 60_000_000),
                ..Query::new(matches.clone())
            };
            for (what, query) in [
                ("-n 10", Query::tail(matches.clone(), 10)),
                ("-n 100", Query::tail(matches.clone(), 100)),
                ("-n 1000", Query::tail(matches.clone(), 1000)),
                ("10 min", window(10)),
                ("1 h", window(60)),
                ("all", Query::new(matches.clone())),
            ] {
                let start = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
                let run = read(&files, query);
                let took = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap() - start;
                assert_eq!((run.end, run.notices.len()), (None, 0));
                println!(
                    "compact {compact} {unit} {what}: {} entries, {} rounds, {} requests, {} KB, {took:?}",
                    run.entries.len(),
                    run.rounds,
                    run.requests,
                    run.bytes / 1000
                );
            }
        }
    }
}
