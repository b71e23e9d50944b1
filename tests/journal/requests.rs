//! What reading a whole day's journal costs the node and the API server, through the program: requests, ranges and bytes.

use std::path::{Path, PathBuf};

use hyper::StatusCode;
use tempfile::TempDir;

use super::driver::fixtures;
use crate::cluster::{Cluster, Fault, Habit, Mode, Node, Recorded, Setup, User, What};
use crate::support::journals::entries::{Entries, Filling, KUBELET, MIDNIGHT, RARE};
use crate::support::journals::{Day, Variant, Writer, journalctl, remote, var_log};
use crate::support::run;

const ENTRIES: u64 = 500_000;
/// What one request may ask for.
const MOST_RANGES: usize = 320;

/// A part of the day, and what it may cost in a compact file; others may take half as much again.
struct Part {
    /// As journalctl takes it, and this program but for `-n`.
    args: &'static [&'static str],
    /// Of the unit with 30 % of the entries, and of that with 1 %.
    requests: [u64; 2],
    bytes: u64,
}

const PARTS: [Part; 3] = [
    Part { args: &["-n", "100"], requests: [6, 14], bytes: 600_000 },
    Part {
        args: &["--since", "2023-11-14 12:00:00", "--until", "2023-11-14 12:10:00"],
        requests: [20, 20],
        bytes: 1_200_000,
    },
    Part {
        args: &["--since", "2023-11-14 12:00:00", "--until", "2023-11-14 13:00:00"],
        requests: [30, 30],
        bytes: 6_000_000,
    },
];

#[test]
fn a_part_of_a_day_is_had_for_few_requests() {
    let Some(stage) = Stage::new() else { return };
    for (node, directory, variant) in &stage.nodes {
        let more = |most: u64| if variant.compact { most } else { most + most / 2 };
        for Part { args, requests, bytes } in &PARTS {
            for (unit, requests) in [KUBELET, RARE].into_iter().zip(requests) {
                let cost = stage.read(node, directory, unit, args);
                let what = format!("{node} -u {unit} {}: {cost:?}", args.join(" "));
                println!("{what}");
                assert!(cost.requests <= more(*requests) && cost.bytes <= more(*bytes), "{what}");
                assert!(cost.ranges <= MOST_RANGES, "{what}");
            }
        }
    }
}

/// Whatever is asked of the day, it is what journalctl says.
#[test]
fn any_part_of_a_day_is_what_journalctl_prints() {
    let Some(stage) = Stage::new() else { return };
    let half_an_hour = ["--since", "2023-11-14 20:00:00", "--until", "2023-11-14 20:30:00"];
    let noon = ["--since", "2023-11-14 12:00:00"];
    for (node, directory, _) in &stage.nodes {
        for last in ["1", "10", "1000"] {
            stage.read(node, directory, KUBELET, &["-n", last]);
        }
        stage.read(node, directory, RARE, &[]);
        stage.read(node, directory, RARE, &noon);
        stage.read(node, directory, RARE, &["--until", "2023-11-14 06:00:00"]);
        stage.read(node, directory, RARE, &["-b", "-1"]);
        stage.read(node, directory, RARE, &["-g", "temperature|error"]);
        stage.read(node, directory, "chronyd", &[&["-u", RARE][..], &half_an_hour].concat());
        stage.read(node, directory, KUBELET, &[&["-t", KUBELET, "-g", "Probe"][..], &half_an_hour].concat());
    }
}

/// Some proxies allow a header less room: then the program asks for fewer ranges at a time, and reads the same.
#[test]
fn a_head_that_is_too_long_is_halved() {
    let Some(stage) = Stage::new() else { return };
    let (node, directory, _) = &stage.nodes[0];
    for status in [StatusCode::BAD_REQUEST, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE] {
        stage.cluster.inject(Fault::new(What::Ranges(Habit::AtMost(100, status))).path(".journal"));
        let cost = stage.read(node, directory, RARE, PARTS[2].args);
        println!("{status}: {cost:?}");
        assert!(cost.ranges > 100 && cost.requests <= 45, "{status}: {cost:?}");
        stage.cluster.heal();
    }
}

/// A proxy may know nothing of ranges, or not all of them.
#[test]
fn whatever_becomes_of_ranges_on_the_way_the_entries_are_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let directory = folder.path().join("journal/0123456789abcdef0123456789abcdef");
    std::fs::create_dir_all(&directory).expect("a folder");
    for (name, bytes) in fixtures("rotated") {
        std::fs::write(directory.join(name), &bytes[..]).expect("written");
    }
    let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_OFF).files(folder.path())]).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let too_long = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
    let ask = |args: &[&str]| {
        let before = cluster.requests().len();
        let ran = run(&kubeconfig, [&["node-a", "--source", "journal"][..], args].concat());
        (ran.expect(0, &[]).stdout.clone(), cluster.requests().len() - before)
    };
    for args in [
        &["-u", KUBELET][..],
        &["-u", KUBELET, "--tail", "100"],
        &["-u", "containerd", "--since-time", "2023-11-14T22:20:00Z", "--tail", "50"],
        &["-t", KUBELET, "-g", "pod"],
        &["--list-boots"],
    ] {
        cluster.heal();
        let (whole, requests) = ask(args);
        assert!(!whole.is_empty(), "{args:?}");
        println!("{args:?}: {} bytes in {requests} requests", whole.len());
        for habit in [
            Habit::Reframes,
            Habit::FirstOnly,
            Habit::IgnoresSeveral,
            Habit::Ignores,
            Habit::LeavesOut(7),
            Habit::LeavesOut(1),
            Habit::AtMost(20, StatusCode::BAD_REQUEST),
            Habit::AtMost(1, too_long),
        ] {
            cluster.heal();
            cluster.inject(Fault::new(What::Ranges(habit)).path(".journal"));
            let (text, requests) = ask(args);
            println!("{args:?}, {habit:?}: {requests} requests");
            assert!(text == whole, "{args:?}, {habit:?}: {} bytes, not {}", text.len(), whole.len());
        }
    }
}

/// The last entries are held until the first of them is known; long ones are read again instead.
#[test]
fn a_tail_that_is_too_long_to_be_held_is_read_twice() {
    let Some(program) = remote("a long tail") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let directory = folder.path().join("journal/0123456789abcdef0123456789abcdef");
    std::fs::create_dir_all(&directory).expect("a folder");
    let mut writer = Writer::start(program, &directory, Variant::NEW, 0).expect("the program starts");
    let mut entries = Entries::from(1, MIDNIGHT, 2000);
    for _ in 0..20 {
        entries.write_long(1_000_000, Filling::Compressible, &mut writer.input()).expect("it reads");
        entries.write(7, &mut writer.input()).expect("it reads");
    }
    writer.finish();
    let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_OFF).files(folder.path())]).start();
    for last in ["10", "30", "1000"] {
        let theirs = journalctl(&directory, &["-o", "short-precise", "-u", KUBELET, "-n", last]);
        let ran = run(&cluster.kubeconfig(User::Admin), ["node-a", "-u", KUBELET, "--tail", last]);
        ran.expect(0, &[]);
        assert!(ran.stdout == theirs, "the last {last}: {} bytes, not {}", ran.stdout.len(), theirs.len());
    }
}

/// Nodes with the day's journal, one in each of the two forms that there are.
struct Stage {
    cluster: Cluster,
    nodes: Vec<(&'static str, PathBuf, Variant)>,
    _folders: Vec<TempDir>,
}

/// What the journal's files cost.
#[derive(Debug)]
struct Cost {
    requests: u64,
    bytes: u64,
    /// In one request at most.
    ranges: usize,
}

impl Stage {
    fn new() -> Option<Stage> {
        let (mut nodes, mut folders, mut members) = (Vec::new(), Vec::new(), Vec::new());
        for (name, variant) in [("compact", Variant::NEW), ("regular", Variant::OLD)] {
            let directory = Day { seed: 1, entries: ENTRIES, variant, file_size: 0 }.directory("a day's requests")?;
            let var_log = var_log(&directory);
            members.push(Node::new(name, Mode::QUERY_OFF).files(var_log.path()));
            nodes.push((name, directory, variant));
            folders.push(var_log);
        }
        Some(Stage { cluster: Setup::new(members).start(), nodes, _folders: folders })
    }

    /// Reads a part of the day and checks that it is what journalctl prints.
    #[track_caller]
    fn read(&self, node: &str, directory: &Path, unit: &str, args: &[&str]) -> Cost {
        let before = self.cluster.requests().len();
        let ours: Vec<&str> = args.iter().map(|arg| if *arg == "-n" { "--tail" } else { arg }).collect();
        let ran = run(&self.cluster.kubeconfig(User::Admin), [&[node, "-u", unit][..], &ours].concat());
        ran.expect(0, &[]);
        let theirs = journalctl(directory, &[&["-o", "short-precise", "-u", unit][..], args].concat());
        // With -q journalctl does not mark where a boot begins.
        let lines = ran.stdout.split_inclusive(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"-- Boot "));
        let entries = lines.collect::<Vec<_>>().concat();
        assert!(!theirs.is_empty() && entries == theirs, "{node} -u {unit} {args:?}: {} bytes", entries.len());
        let requests = self.cluster.requests();
        let of_files: Vec<&Recorded> =
            requests[before..].iter().filter(|request| request.path().ends_with(".journal")).collect();
        let ranges = |request: &&Recorded| request.header("range").map_or(0, |ranges| ranges.split(',').count());
        Cost {
            requests: of_files.len() as u64,
            bytes: of_files.iter().map(|request| request.sent()).sum(),
            ranges: of_files.iter().map(ranges).max().unwrap_or(0),
        }
    }
}
