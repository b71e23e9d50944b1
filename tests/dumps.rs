//! Entries that go on for longer than a part of the file's end that is read at once, as a dump of all goroutines does.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use kubelet_logs::time::Timestamp;

use crate::cluster::{Mode, Node, Setup, User};
use crate::support::run;

/// 2026-11-21T09:00:00Z.
const START: i64 = 1_795_251_600_000_000;
/// Seconds that the node's clock is east of UTC.
const EAST: i64 = -18_000;

/// Entry `number`, a second after the one before it, with a dump of so many bytes.
fn entry(number: i64, dump: usize) -> String {
    let at = Timestamp::from_micros(START + (number + EAST) * 1_000_000).rfc3339().to_string();
    let header = format!("I{}{} {}", &at[5..7], &at[8..10], &at[11..26]);
    let mut text = format!("{header}     974 a.go:1] \"An entry as long as most of them are\" number={number}\n");
    while text.len() < dump {
        let line = text.len();
        text.push_str(&format!("goroutine {line} [select, 17 minutes]:\n\tmain.go:{line} +0x1d\n"));
    }
    text
}

/// A log that was last changed at its last entry's time.
fn write(folder: &Path, entries: &[String]) {
    let path = folder.join("kubelet.log");
    std::fs::write(&path, entries.concat()).expect("a file");
    let at = UNIX_EPOCH + Duration::from_micros((START + (entries.len() as i64 - 1) * 1_000_000) as u64);
    std::fs::File::options().append(true).open(&path).expect("a file").set_modified(at).expect("a time");
}

#[test]
fn what_does_not_fit_is_the_same_where_the_part_read_begins_inside_a_dump() {
    // With the second one the part that is too large to be fetched as a whole begins inside it.
    for (dump, tails) in [(200_000, &[600, 2000, 2500, 2601, 2700][..]), (8_200_000, &[2500, 2601, 4000])] {
        let folder = tempfile::tempdir().expect("a folder");
        let entries: Vec<String> = (0..5600).map(|n| entry(n, if n == 2999 { dump } else { 0 })).collect();
        write(folder.path(), &entries);
        let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_OFF).files(folder.path())]).start();
        let kubeconfig = cluster.kubeconfig(User::Admin);
        for tail in tails {
            for buffer in ["--buffer=300000", "--buffer=60000", "--buffer=32000000"] {
                let ran = run(&kubeconfig, ["node-a", "--path=kubelet.log", &format!("--tail={tail}"), buffer]);
                let expected = entries[entries.len() - tail..].concat();
                let same = ran.expect(0, &[]).text() == expected;
                let (lines, first) = (ran.text().lines().count(), ran.text().lines().next());
                assert!(same, "dump of {dump}, {tail} {buffer}: {lines} lines from {first:?}");
            }
        }
    }
}

#[test]
fn the_end_of_a_dump_is_no_entry() {
    for dump in [100_000, 600_000, 5_000_000] {
        let folder = tempfile::tempdir().expect("a folder");
        let entries: Vec<String> = (0..1000).map(|n| entry(n, if n == 999 { dump } else { 0 })).collect();
        write(folder.path(), &entries);
        let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_OFF).files(folder.path())]).start();
        let kubeconfig = cluster.kubeconfig(User::Admin);
        let late = ["--since-time=2026-11-21T09:16:38.5Z", "--tail=3"];
        for (args, first) in [
            (&["--tail=3"][..], 997),
            (&["--tail=3", "--buffer=60000"], 997),
            (&["--tail=1", "-g", "goroutine"], 999),
            (&["--tail=2", "-g", "number=99"], 998),
            (&["--tail=2", "--since-time=2026-11-21T09:16:30Z"], 998),
            (&late, 999),
            (&late[..1], 999),
        ] {
            if dump > 4 << 20 && args.iter().any(|arg| arg.starts_with("--since")) {
                // Where its zone shows is too far away.
                continue;
            }
            let path = folder.path().join("kubelet.log");
            for place in [["node-a", "--path=kubelet.log"], ["--from", path.to_str().expect("text")]] {
                if place[0] == "--from" && args.iter().any(|arg| arg.starts_with("--buffer")) {
                    // There is nobody who would print them a second time.
                    continue;
                }
                let args = [&place, args].concat();
                let ran = run(&kubeconfig, &args);
                let same = ran.expect(0, &[]).text() == entries[first..].concat();
                assert!(same, "dump of {dump}, {args:?}: {} lines", ran.text().lines().count());
            }
        }
    }
}

#[test]
fn the_last_lines_of_a_file_without_times_are_cheap() {
    let folder = tempfile::tempdir().expect("a folder");
    let lines: Vec<String> = (0..200_000).map(|n| format!("a line without a time, number={n}\n")).collect();
    write(folder.path(), &lines);
    let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_OFF).files(folder.path())]).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    for (args, expected) in [
        (&["--tail=3"][..], &lines[199_997..]),
        (&["--tail=3", "--timestamps"], &lines[199_997..]),
        (&["--tail=1", "-g", "number=1999"], &lines[199_999..]),
    ] {
        let before = cluster.traffic("kubelet.log").bytes;
        let ran = run(&kubeconfig, [&["node-a", "--path=kubelet.log"], args].concat());
        assert!(ran.expect(0, &[]).text().ends_with(&expected.concat()), "{args:?}: {}", ran.text());
        let bytes = cluster.traffic("kubelet.log").bytes - before;
        assert!(bytes <= 80 << 10, "{args:?}: {bytes} bytes");
        let path = folder.path().join("kubelet.log");
        let ran = run(&kubeconfig, [&["--from", path.to_str().expect("text")], args].concat());
        assert!(ran.expect(0, &[]).text().ends_with(&expected.concat()), "{args:?}: {}", ran.text());
    }
}
