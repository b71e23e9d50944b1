//! A text log and its rotated predecessors as one log, through the real binary.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;
use kubelet_logs::time::Timestamp;

use crate::cluster::{Cluster, Fault, Habit, Mode, Node, Setup, User, What};
use crate::support::{Ran, run};

/// Fixed offsets.
const ZONES: [(&str, i64); 3] = [("UTC0", 0), ("EST5", -18_000), ("IST-5:30", 19_800)];

/// 2026-11-16T00:00:00Z.
const START: i64 = 1_794_787_200_000_000;
/// So much lies between two lines.
const STEP: i64 = 600_000_000;
/// So many lines are in each part but the last.
const LINES: i64 = 40;

/// One line of klog, and what continues it.
fn line(number: i64, offset: i64) -> String {
    let text = Timestamp::from_micros(START + number * STEP + offset * 1_000_000).rfc3339().to_string();
    let header = format!("{}{} {}", &text[5..7], &text[8..10], &text[11..26]);
    let severity = if number % 10 == 3 { 'E' } else { 'I' };
    let more = if number % 7 == 2 { "\tgoroutine 1 [running]\n" } else { "" };
    format!("{severity}{header}     974 a.go:{number}] \"Line\" number={number}\n{more}")
}

/// Lines from..to.
fn lines(from: i64, to: i64, offset: i64) -> String {
    (from..to).map(|number| line(number, offset)).collect()
}

fn time(number: i64) -> String {
    Timestamp::from_micros(START + number * STEP).rfc3339().to_string()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).expect("memory");
    encoder.finish().expect("memory")
}

/// A file that was last changed with its line `last`.
fn write(root: &Path, name: &str, text: impl AsRef<[u8]>, last: i64) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(&path, text).expect("a file");
    let at = UNIX_EPOCH + Duration::from_micros((START + last * STEP) as u64);
    std::fs::File::options().append(true).open(&path).expect("a file").set_modified(at).expect("a time");
}

/// The names of a log's parts, oldest first, in each manner of rotation.
fn manners() -> Vec<(&'static str, &'static str, [&'static str; 4])> {
    vec![
        ("numbers", "kubelet.log", ["kubelet.log.3.gz", "kubelet.log.2.gz", "kubelet.log.1", "kubelet.log"]),
        (
            "dates",
            "kubelet.log",
            ["kubelet.log-20261116.gz", "kubelet.log-20261117.gz", "kubelet.log-20261118", "kubelet.log"],
        ),
        (
            "epochs",
            "kubelet.log",
            [
                "kubelet.log-20261116-1794787300.gz",
                "kubelet.log-20261116-1794887300",
                "kubelet.log-20261117-1",
                "kubelet.log",
            ],
        ),
        (
            "extension",
            "kubelet.log",
            ["kubelet-20261116.log.gz", "kubelet-20261117.log", "kubelet-20261118.log", "kubelet.log"],
        ),
        ("mixed", "kubelet.log", ["kubelet.log.2.gz", "kubelet.log-20261117.gz", "kubelet.log.1", "kubelet.log"]),
        (
            "nested",
            "kubelet/kubelet.log",
            ["kubelet/kubelet.log.3.gz", "kubelet/kubelet.log.2", "kubelet/kubelet.log.1", "kubelet/kubelet.log"],
        ),
    ]
}

/// A /var/log of this manner: three parts of forty lines, and the current file with ten.
fn fill(root: &Path, parts: [&str; 4], offset: i64) {
    for (name, part) in parts.into_iter().zip(0..) {
        let to = if part < 3 { (part + 1) * LINES } else { part * LINES + 10 };
        let text = lines(part * LINES, to, offset);
        let bytes = if name.ends_with(".gz") { gzip(&text) } else { text.into_bytes() };
        write(root, name, bytes, to - 1);
    }
}

const ALL: i64 = 3 * LINES + 10;

#[track_caller]
fn same(ran: &Ran, expected: &str, what: &str) {
    assert_eq!(ran.code, 0, "{what}: {}", ran.stderr);
    let difference = ran.text().lines().zip(expected.lines()).position(|(a, b)| a != b);
    assert!(
        ran.text() == expected,
        "{what}: {} lines, expected {}; at {difference:?}: {:?}\n{}",
        ran.text().lines().count(),
        expected.lines().count(),
        difference.and_then(|at| ran.text().lines().nth(at)),
        ran.stderr
    );
}

#[test]
fn windows_and_ends_reach_back_through_all_parts_in_order() {
    for (zone, offset) in ZONES {
        let root = tempfile::tempdir().expect("a directory");
        let mut nodes = Vec::new();
        for (manner, _, parts) in manners() {
            let folder = root.path().join(manner);
            std::fs::create_dir(&folder).expect("a folder");
            fill(&folder, parts, offset);
            nodes.push(Node::new(manner, Mode::QUERY_OFF).zone(zone).files(&folder));
        }
        let cluster = Setup::new(nodes).start();
        let kubeconfig = cluster.kubeconfig(User::Admin);
        for (manner, path, _) in manners() {
            if offset != 0 && !["numbers", "mixed"].contains(&manner) {
                continue;
            }
            let ask = |args: &[&str]| run(&kubeconfig, [manner].iter().chain(args));
            let what = format!("{manner} in {zone}");
            same(&ask(&[]), &lines(0, ALL, offset), &what);
            for since in [5, LINES - 1, LINES, 3 * LINES + 4] {
                let args = ["--since-time", &time(since)];
                same(&ask(&args), &lines(since, ALL, offset), &format!("{what} {args:?}"));
            }
            for (since, until) in [(LINES - 2, LINES + 2), (3 * LINES + 1, ALL)] {
                let args = ["--since-time", &time(since), "--until-time", &time(until)];
                same(&ask(&args), &lines(since, (until + 1).min(ALL), offset), &format!("{what} {args:?}"));
                let args = [&args[..], &["--tail", "3"]].concat();
                let last = (until + 1).min(ALL);
                same(&ask(&args), &lines(last - 3, last, offset), &format!("{what} {args:?}"));
            }
            for tail in [10, 11, 50, 51, 130, 1000] {
                let args = ["--tail", &tail.to_string()];
                same(&ask(&args), &lines((ALL - tail).max(0), ALL, offset), &format!("{what} {args:?}"));
            }
            let errors = |from: i64| (from..ALL).filter(|n| n % 10 == 3).map(|n| line(n, offset)).collect::<String>();
            same(&ask(&["-P", "E"]), &errors(0), &what);
            same(&ask(&["-P", "E", "--tail", "7"]), &errors(ALL - 70), &what);
            let stamped: String = (0..ALL)
                .flat_map(|n| line(n, offset).lines().map(|l| format!("{} {l}\n", time(n))).collect::<Vec<_>>())
                .collect();
            same(&ask(&["--timestamps"]), &stamped, &what);
            // A file that is named is that file.
            same(&ask(&["--path", path]), &lines(3 * LINES, ALL, offset), &what);
            same(&ask(&["-p", "--path", path]), &lines(2 * LINES, 3 * LINES, offset), &what);
            same(&ask(&["-p", "--path", path, "--tail", "2"]), &lines(3 * LINES - 2, 3 * LINES, offset), &what);
        }
    }
}

#[test]
fn a_units_text_file_has_its_predecessors_where_the_query_is_on_too() {
    let root = tempfile::tempdir().expect("a directory");
    fill(root.path(), ["kubelet.log.3.gz", "kubelet.log.2.gz", "kubelet.log.1", "kubelet.log"], 0);
    let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_ON).units(&[]).files(root.path())]).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let since = time(LINES);
    for unit in [&[][..], &["-u", "kubelet"]] {
        let ask = |args: &[&str]| run(&kubeconfig, ["node-a"].iter().chain(unit).chain(args));
        same(&ask(&[]), &lines(0, ALL, 0), "all");
        same(&ask(&["--tail", "60"]), &lines(ALL - 60, ALL, 0), "the end");
        same(&ask(&["--since-time", &since]), &lines(LINES, ALL, 0), "a window");
        ask(&[]).expect(0, &["reading /var/log/kubelet.log (the unit is a text file)"]);
    }
    // The query itself knows the current file alone.
    same(&run(&kubeconfig, ["node-a", "--source", "query"]), &lines(3 * LINES, ALL, 0), "as it comes");
}

#[test]
fn a_window_within_the_current_file_costs_little() {
    let root = tempfile::tempdir().expect("a directory");
    fill(root.path(), ["kubelet.log.3.gz", "kubelet.log.2.gz", "kubelet.log.1", "kubelet.log"], 0);
    // Begun four days before its end.
    let first = (1..20).map(|n| format!("Nov 16 00:00:{n:02} n kubelet[1]: one of the first\n")).collect::<String>();
    write(root.path(), "messages", first + "Nov 20 00:00:00 n kubelet[1]: last\n", 576);
    write(root.path(), "messages-20261116", "Nov 15 00:00:01 n kubelet[1]: before\n", 0);
    let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_OFF).files(root.path())]).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let late = time(3 * LINES + 5);
    for (args, most) in [
        (&["--path", "kubelet.log"][..], 1),
        (&["-p", "--path", "kubelet.log"], 2),
        (&["--source", "file", "--tail", "5"], 2),
        // Two listings, a look at each part, and each part.
        (&["--source", "file"], 2 + 4 + 4),
        // Nor is more than the last change of the one before looked at, and the zone of the lines.
        (&["--source", "file", "--since-time", &late], 2 + 2 + 2),
        (&["--source", "file", "-u", "messages", "--since-time", "2026-11-19T00:00:00Z"], 1 + 1 + 2),
    ] {
        let before = cluster.requests().len();
        run(&kubeconfig, ["node-a"].iter().chain(args)).expect(0, &[]);
        let asked: Vec<String> = cluster.requests().split_off(before).into_iter().map(|asked| asked.target).collect();
        assert_eq!(asked.len(), most, "{args:?}: {asked:#?}");
    }
}

#[test]
fn one_wrong_clock_does_not_end_the_search_for_a_window() {
    let names = ["kubelet.log.3.gz", "kubelet.log.2.gz", "kubelet.log.1", "kubelet.log"];
    for odd in ["time=\"0001-01-01T00:00:00Z\" level=info msg=x\n", "I0101 00:00:07.000000     974 a.go:1] x\n"] {
        // In front of the current file, of the one before it, and of both.
        for places in [&[3][..], &[2], &[2, 3]] {
            let root = tempfile::tempdir().expect("a directory");
            fill(root.path(), names, 0);
            for part in places {
                let (from, to) = (*part * LINES, if *part < 3 { (*part + 1) * LINES } else { ALL });
                let text = odd.to_owned() + &lines(from, to, 0);
                write(root.path(), names[*part as usize], text, to - 1);
            }
            let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_OFF).files(root.path())]).start();
            let kubeconfig = cluster.kubeconfig(User::Admin);
            for since in [LINES - 2, 2 * LINES - 2, 3 * LINES - 2] {
                for tail in [&[][..], &["--tail=1000"]] {
                    let args = ["node-a", "--source=file", "--since-time", &time(since)];
                    let ran = run(&kubeconfig, args.iter().chain(tail));
                    same(&ran, &lines(since, ALL, 0), &format!("{odd:?} in {places:?} {since} {tail:?}"));
                }
            }
        }
    }
}

#[test]
fn who_ignores_ranges_costs_bytes_and_nothing_else() {
    let root = tempfile::tempdir().expect("a directory");
    // More than is fetched as a whole from its end.
    let number = 120_000;
    let at = |n: i64| Timestamp::from_micros(START + n * 1_000_000).rfc3339().to_string();
    let text = |from: i64| {
        let line = |n: i64| {
            format!(
                "I{}{} {}     974 a.go:1] \"A line\" number={n} {:.<60}\n",
                &at(n)[5..7],
                &at(n)[8..10],
                &at(n)[11..26],
                ""
            )
        };
        (from..number).map(line).collect::<String>()
    };
    write(root.path(), "kubelet.log", text(0), number / 600);
    let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_OFF).files(root.path())]).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    cluster.inject(Fault::new(What::Ranges(Habit::Ignores)).path("kubelet.log"));
    for (args, first, requests) in [
        (&["--tail=2"][..], number - 2, 1),
        (&["--tail=3", "-g", "number=11999"], number - 3, 1),
        (&["--tail=80000", "--buffer=100000000"], number - 80_000, 3),
        // Read once more, since it may not be held.
        (&["--tail=80000", "--buffer=60000"], number - 80_000, 4),
        (&["--tail=300", "--buffer=20000"], number - 300, 4),
        (&["--since-time", &at(number - 400), "--tail=50000", "--buffer=20000"], number - 400, 4),
        (&["--since-time", &at(number - 5)], number - 5, 2),
        (&["--since-time", &at(number - 5), "--tail=9"], number - 5, 1),
    ] {
        let before = cluster.traffic("kubelet.log").requests;
        let ran = run(&kubeconfig, ["node-a", "--path=kubelet.log"].iter().chain(args));
        same(&ran, &text(first), &format!("{args:?}"));
        assert_eq!(cluster.traffic("kubelet.log").requests - before, requests, "{args:?}");
    }
}

#[test]
fn a_syslog_files_predecessors_are_read_too() {
    let root = tempfile::tempdir().expect("a directory");
    let text = |day: u32| {
        (0..4)
            .map(|n| format!("Nov {day} 0{n}:00:00 node-7 {}[9]: line {n} of {day}\n", ["kubelet", "sshd"][n % 2]))
            .collect::<String>()
    };
    write(root.path(), "syslog.2.gz", gzip(&text(16)), 18);
    write(root.path(), "syslog.1", text(17), 144 + 18);
    write(root.path(), "syslog", text(18), 288 + 18);
    let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_OFF).files(root.path())]).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let kubelets: Vec<String> = (16..19)
        .flat_map(|day| {
            text(day).lines().filter(|l| l.contains("kubelet")).map(|l| format!("{l}\n")).collect::<Vec<_>>()
        })
        .collect();
    for (args, from) in [
        (&[][..], 0),
        (&["--tail", "5"], 1),
        (&["--tail", "3"], 3),
        (&["--since-time", "2026-11-17T00:30:00Z"], 3),
        (&["-t", "kubelet"], 0),
        (&["-u", "kubelet", "--tail", "4"], 2),
    ] {
        let ran = run(&kubeconfig, ["node-a"].iter().chain(args));
        same(&ran, &kubelets[from..].concat(), &format!("{args:?}"));
    }
}

#[test]
fn a_part_that_can_not_be_read_is_told_and_the_others_are_printed() {
    for (name, bytes, words) in [
        ("kubelet.log.2.gz", gzip(&lines(LINES, 2 * LINES, 0))[..200].to_vec(), "kubelet.log.2.gz"),
        ("kubelet.log.2.gz", b"this is no gzip".to_vec(), "it is no gzip data, or damaged"),
        ("kubelet.log.2.xz", b"\xfd7zXZ".to_vec(), "packed in a way that can't be unpacked here"),
    ] {
        let root = tempfile::tempdir().expect("a directory");
        fill(root.path(), ["kubelet.log.3.gz", "x", "kubelet.log.1", "kubelet.log"], 0);
        write(root.path(), name, bytes, 2 * LINES - 1);
        let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_OFF).files(root.path())]).start();
        let kubeconfig = cluster.kubeconfig(User::Admin);
        for args in [&[][..], &["--tail", "1000"], &["--timestamps"], &["-g", "line"]] {
            let ran = run(&kubeconfig, ["node-a"].iter().chain(args));
            ran.expect(3, &[words, "lines are missing"]);
            let has = |n: i64| ran.text().contains(&format!("number={n}\n"));
            assert!((0..LINES).chain(2 * LINES..ALL).all(has), "{name} {args:?}: {}", ran.text().lines().count());
        }
        // Where it is not needed nobody misses it.
        same(&run(&kubeconfig, ["node-a", "--tail", "50"]), &lines(ALL - 50, ALL, 0), name);
        same(&run(&kubeconfig, ["node-a", "--since-time", &time(2 * LINES)]), &lines(2 * LINES, ALL, 0), name);
    }
}

#[test]
fn a_file_without_predecessors_has_no_previous_one() {
    let root = tempfile::tempdir().expect("a directory");
    write(root.path(), "logs/a.log", "x\n", 0);
    let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_OFF).files(root.path())]).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    run(&kubeconfig, ["node-a", "-p", "--path", "logs/a.log"]).expect(5, &["has no rotation", "ls node-a:logs"]);
    run(&kubeconfig, ["node-a", "-p", "--path", "nosuch/a.log"]).expect(5, &["/var/log/nosuch"]);
}

#[test]
fn each_of_several_files_begins_on_a_line_of_its_own() {
    let root = tempfile::tempdir().expect("a directory");
    for (name, text) in [("a", "one"), ("b", "two\n"), ("c", ""), ("d", "three")] {
        write(root.path(), name, text, 0);
    }
    let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_OFF).files(root.path())]).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let paths = ["--path", "a", "--path", "b", "--path", "c", "--path", "d"];
    for more in [&[][..], &["--tail", "9"], &["-g", "[a-z]"], &["--limit-bytes", "100"]] {
        let ran = run(&kubeconfig, ["node-a"].iter().chain(&paths).chain(more));
        same(&ran, "one\ntwo\nthree", &format!("{more:?}"));
    }
    same(&run(&kubeconfig, ["node-a", "--path", "a"]), "one", "one file is printed as it is");
}

#[test]
fn a_part_that_ends_inside_a_line_does_not_swallow_the_next() {
    let root = tempfile::tempdir().expect("a directory");
    fill(root.path(), ["kubelet.log.3.gz", "kubelet.log.2.gz", "kubelet.log.1", "kubelet.log"], 0);
    let cut = lines(2 * LINES, 3 * LINES, 0);
    write(root.path(), "kubelet.log.1", cut.trim_end(), 3 * LINES - 1);
    let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_OFF).files(root.path())]).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    for args in [&[][..], &["--tail", "1000"], &["-g", "line"]] {
        same(&run(&kubeconfig, ["node-a"].iter().chain(args)), &lines(0, ALL, 0), &format!("{args:?}"));
    }
}

/// Rotates as logrotate does, once: numbers move, the second is packed; or the current file gets a date. Then the log goes
/// on with a line.
fn rotate(root: &Path, manner: &str) {
    let rename = |from: &str, to: &str| std::fs::rename(root.join(from), root.join(to)).expect("a file");
    if manner == "numbers" {
        rename("kubelet.log.3.gz", "kubelet.log.4.gz");
        rename("kubelet.log.2.gz", "kubelet.log.3.gz");
        let text = std::fs::read_to_string(root.join("kubelet.log.1")).expect("a file");
        write(root, "kubelet.log.2.gz", gzip(&text), 3 * LINES - 1);
        rename("kubelet.log", "kubelet.log.1");
    } else {
        rename("kubelet.log", "kubelet.log-20261119");
    }
    write(root, "kubelet.log", line(ALL, 0), ALL);
}

/// Runs, and the log is rotated just before the nth request is answered. Tells whether there were as many.
fn run_across_a_rotation(
    cluster: &Cluster,
    root: &Path,
    manner: &'static str,
    nth: usize,
    args: &[&str],
) -> (Ran, bool) {
    let before = cluster.requests().len();
    let place = root.to_owned();
    cluster.inject(Fault::new(What::deed(move || rotate(&place, manner))).nth(nth).perhaps());
    let ran = run(&cluster.kubeconfig(User::Admin), ["node-a"].iter().chain(args));
    cluster.heal();
    (ran, cluster.requests().len() - before >= nth)
}

#[test]
fn a_rotation_at_any_time_loses_and_repeats_nothing() {
    let numbers = ["kubelet.log.3.gz", "kubelet.log.2.gz", "kubelet.log.1", "kubelet.log"];
    let dates = ["kubelet.log-20261116.gz", "kubelet.log-20261117.gz", "kubelet.log-20261118", "kubelet.log"];
    let since = time(LINES + 7);
    for (manner, parts) in [("numbers", numbers), ("dates", dates)] {
        for (args, from) in [
            (&["--source", "file"][..], 0),
            (&["--timestamps", "--source", "file"], 0),
            (&["--source", "file", "--since-time", &since], LINES + 7),
            (&["--source", "file", "--tail", "70"], ALL - 70),
            (&["--source", "file", "--tail", "1000"], 0),
        ] {
            for nth in 1.. {
                let root = tempfile::tempdir().expect("a directory");
                fill(root.path(), parts, 0);
                let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_OFF).files(root.path())]).start();
                let (ran, rotated) = run_across_a_rotation(&cluster, root.path(), manner, nth, args);
                if !rotated {
                    assert!(nth > 3, "{manner} {args:?}: asked {nth} times");
                    break;
                }
                let asked: Vec<String> = cluster.requests().into_iter().map(|asked| asked.target).collect();
                let what = format!("{manner} {args:?} rotated at request {nth}: {} {asked:#?}", ran.stderr);
                assert_eq!(ran.code, 0, "{what}");
                ran.expect(0, &[]);
                let numbers: Vec<i64> =
                    ran.text().lines().filter_map(|line| line.rsplit_once("number=")?.1.parse().ok()).collect();
                // The line behind the rotation is there or not; nothing else depends on when it happened.
                let end = if numbers.last() == Some(&ALL) { ALL + 1 } else { ALL };
                let from = if args.contains(&"70") { end - 70 } else { from };
                let expected: Vec<i64> = (from..end).collect();
                assert_eq!(numbers, expected, "{what}");
            }
        }
    }
}
