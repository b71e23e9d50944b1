//! Boots, runs and the kernel, through the real binary: as journalctl shows them.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use kubelet_logs::time::Timestamp;
use serde_json::Value;

use crate::cluster::journal::growing::Growing;
use crate::cluster::journal::{self, Journal, Recording};
use crate::cluster::{Cluster, Fault, Health, Mode, Node, Setup, User, What};
use crate::support::{Ran, journals, run, skipped};

const RUNS: &str = include_str!("../fixtures/journals/expected-restarts.invocations.txt");
const BOOTS: &str = include_str!("../fixtures/journals/expected-restarts.list-boots.txt");

/// Nodes with the same entries, in one file and in two, whose kubelets have the query on, off, or never heard of it.
fn start() -> Cluster {
    Setup::new(vec![
        Node::new("on", Mode::QUERY_ON),
        Node::new("off", Mode::QUERY_OFF).journal(Journal::RotatedRestarts),
        Node::new("old", Mode::V1_24),
        Node::new("volatile", Mode::QUERY_ON).journal(Journal::None),
        Node::new("volatile-off", Mode::QUERY_OFF).journal(Journal::None),
    ])
    .start()
}

const WITH_JOURNAL: [&str; 3] = ["on", "off", "old"];

/// What the journal holds of a unit in a boot, counted from the first.
fn recorded(unit: &str, boot: usize) -> String {
    let recording: &Recording = Journal::Restarts.recording();
    let unit = recording.units.iter().position(|name| name == unit).expect("a unit");
    let its = recording.entries.iter().filter(|entry| entry.boot == boot && entry.units.contains(&unit));
    its.map(|entry| entry.text.as_str()).collect()
}

fn boot_id(boot: usize) -> &'static str {
    &Journal::Restarts.recording().boots[boot]
}

/// What journalctl prints of a node's journal; `None` where there is none to ask.
fn journalctl(cluster: &Cluster, node: &str, args: &[&str]) -> Option<String> {
    if !journal::installed() {
        skipped("no journalctl on this machine");
        return None;
    }
    let folder = cluster.var_log(node).join("journal");
    let folder: PathBuf = folder.read_dir().expect("a folder").next().expect("a machine").expect("its name").path();
    let mut command = Command::new("journalctl");
    command.args(["--utc", "--no-pager", "-o", "short-precise", "-D"]).arg(folder).args(args);
    let ended = command.env("LC_ALL", "C").env("TZ", "UTC0").stdin(Stdio::null()).output().expect("journalctl runs");
    Some(String::from_utf8(ended.stdout).expect("text"))
}

#[track_caller]
fn same(ran: &Ran, expected: &str) {
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    if ran.text() != expected {
        let at = ran.text().lines().zip(expected.lines()).position(|(is, should)| is != should);
        let line = |text: &str| at.and_then(|at| text.lines().nth(at).map(str::to_owned));
        let (is, should) = (ran.text().lines().count(), expected.lines().count());
        panic!(
            "{is} lines of {should}; line {at:?} is {:?}, not {:?}; {}",
            line(ran.text()),
            line(expected),
            ran.stderr
        );
    }
}

#[test]
fn boots_are_listed_as_journalctl_lists_them() {
    let cluster = start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    for node in WITH_JOURNAL {
        same(&run(&kubeconfig, [node, "--list-boots"]), BOOTS);
    }
    let two = run(&kubeconfig, ["on", "old", "--list-boots"]);
    same(&two, &format!("==> on <==\n{BOOTS}\n==> old <==\n{BOOTS}"));
    run(&kubeconfig, ["volatile", "--list-boots"])
        .expect(5, &["/var/log holds no journal", "mkdir -p /var/log/journal"]);
    let globbed = run(&kubeconfig, ["o*", "--list-boots"]);
    assert!(!globbed.stderr.contains("--tail"), "a table is shown whole: {}", globbed.stderr);
}

#[test]
fn a_window_behind_the_end_holds_no_severity_and_says_so() {
    let cluster = start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let last: Vec<&str> = BOOTS.lines().last().expect("a boot").split_whitespace().collect();
    let since = format!("{}T{}.999999Z", last[7], last[8]);
    for node in ["on", "off", "volatile"] {
        // The query's answer begins earlier, for a zone that is not known.
        run(&kubeconfig, [node, "-P", "E", "--since-time", &since]).expect(0, &["nothing matched"]);
    }
}

#[test]
fn boots_are_listed_as_objects_with_journalctls_fields() {
    let cluster = start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_else(|why| panic!("{why}: {text}"));
    // The table, as journalctl -o json has it: times in microseconds.
    let micros = |words: &[&str]| {
        let at = Timestamp::parse_rfc3339(&format!("{}T{}Z", words[1], words[2])).expect("a time");
        at.as_seconds() * 1_000_000
    };
    let rows: Vec<Vec<&str>> = BOOTS.lines().skip(1).map(|row| row.split_whitespace().collect()).collect();
    let check = |boots: &[Value]| {
        assert_eq!(boots.len(), rows.len());
        for (boot, row) in boots.iter().zip(&rows) {
            assert_eq!((boot["index"].to_string(), boot["boot_id"].as_str()), (row[0].to_owned(), Some(row[1])));
            for (name, at) in [("first_entry", micros(&row[2..6])), ("last_entry", micros(&row[6..]))] {
                let is = boot[name].as_i64().expect("microseconds");
                assert_eq!(is - is % 1_000_000, at, "{name}");
            }
        }
    };
    let one = run(&kubeconfig, ["on", "--list-boots", "-o", "json"]);
    let document = json(one.text());
    assert_eq!(document["nodeName"], "on");
    check(document["boots"].as_array().expect("boots"));
    for (notation, several) in
        ["json", "yaml"].map(|n| (n, run(&kubeconfig, ["on,volatile,old", "--list-boots", "-o", n])))
    {
        several.expect(3, &["volatile: "]);
        let document: Value = match notation {
            "json" => json(several.text()),
            _ => serde_yaml::from_str(several.text()).unwrap_or_else(|why| panic!("{why}: {}", several.text())),
        };
        assert_eq!(document["errors"][0]["nodeName"], "volatile");
        for (nth, node) in ["on", "old"].iter().enumerate() {
            assert_eq!(document["responses"][nth]["nodeName"], *node);
            check(document["responses"][nth]["boots"].as_array().expect("boots"));
        }
    }
    let failed = run(&kubeconfig, ["volatile", "--list-boots", "-o", "json"]);
    let document = json(failed.text());
    assert!(document["boots"] == json("[]") && document["error"].is_string(), "{document}");
    let lines = run(&kubeconfig, ["on,old", "--list-boots", "-o", "jsonl"]);
    let lines: Vec<Value> = lines.text().lines().map(json).collect();
    for (node, boots) in ["on", "old"].into_iter().zip(lines.chunks(rows.len())) {
        assert!(boots.iter().all(|boot| boot["node"] == node), "{boots:?}");
        check(boots);
    }
}

#[test]
fn a_boot_is_chosen_by_number_or_id() {
    let cluster = start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let dashed = |id: &str| format!("{}-{}-{}-{}-{}", &id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]);
    for (boot, numbers) in [["-2", "+1"], ["-1", "+2"], ["0", "+3"]].iter().enumerate() {
        let id = boot_id(boot);
        let dashed = dashed(id);
        let (expected, other) = (recorded("kubelet.service", boot), recorded("containerd.service", boot));
        for node in WITH_JOURNAL {
            for name in [numbers[0], numbers[1], id, &dashed] {
                same(&run(&kubeconfig, [node, "-b", name]), &expected);
                // 252 reads an id with dashes as one with an offset.
                if name != dashed
                    && let Some(printed) = journalctl(&cluster, node, &["-u", "kubelet", "-b", name])
                {
                    assert!(printed == expected, "journalctl -b {name} tells more");
                }
            }
            same(&run(&kubeconfig, [node, "-b", numbers[0], "-u", "containerd"]), &other);
            let last: Vec<&str> = expected.split_inclusive('\n').collect();
            let ran = run(&kubeconfig, [node, "-b", numbers[0], "--tail", "1", "-g", "kubelet"]);
            assert!(ran.code == 0 && last.iter().any(|line| *line == ran.text()), "{}: {}", ran.text(), ran.stderr);
        }
        // Where the journal can't be read the kubelet knows boots by number.
        for choice in [&["on", "--source", "query"][..], &["volatile"]] {
            let ask = |args: &[&str]| run(&kubeconfig, choice.iter().chain(args));
            same(&ask(&["-b", numbers[0]]), &expected);
            same(&ask(&["-b", numbers[0], "-u", "containerd"]), &other);
            let tail: String =
                other.split_inclusive('\n').rev().take(2).collect::<Vec<_>>().into_iter().rev().collect();
            same(&ask(&["-b", numbers[0], "-u", "containerd", "--tail", "2"]), &tail);
        }
    }
}

#[test]
fn a_boot_that_is_not_there_is_told_which_are() {
    let cluster = start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    for boot in ["-3", "+4", "0123456789abcdef0123456789abcdef"] {
        for node in WITH_JOURNAL {
            let ran = run(&kubeconfig, [node, "-b", boot]);
            ran.expect(5, &[&format!("no boot {boot}; it knows 3, 0 to -2 or +1 to +3"), boot_id(2), "--list-boots"]);
        }
    }
    run(&kubeconfig, ["on", "-b", "-3", "--source", "query"])
        .expect(5, &["No such boot ID in journal", "--list-boots"]);
    run(&kubeconfig, ["volatile", "-b", "+1"]).expect(5, &["--boot", "/var/log holds no journal"]);
    run(&kubeconfig, ["volatile-off", "-b", "0"]).expect(5, &["there is neither"]);
    run(&kubeconfig, ["on", "-b", "-1", "-u", "nosuch"]).expect(5, &["no log of unit nosuch"]);
    // A unit that only another boot knows is no error.
    same(&run(&kubeconfig, ["on", "-b", "0", "--until-time", "2020-01-01"]), "");
}

#[test]
fn the_previous_run_is_the_one_before_the_newest() {
    let cluster = start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let ids: Vec<&str> = RUNS.lines().filter_map(|line| line.split(' ').next()).collect();
    let count = |id: &str| RUNS.lines().find(|line| line.starts_with(id)).and_then(|line| line.split(' ').nth(1));
    let previous = ids[ids.len() - 2];
    for node in WITH_JOURNAL {
        let oracle = |id: &str, more: &[&str]| {
            let (own, of) = (format!("_SYSTEMD_INVOCATION_ID={id}"), format!("INVOCATION_ID={id}"));
            journalctl(&cluster, node, &[&[&*own, "+", "_PID=1", &of], more].concat())
        };
        let ran = run(&kubeconfig, [node, "-p"]);
        ran.expect(0, &[]);
        // A count that knows of no line between boots.
        let lines = ran.text().lines().filter(|line| !line.starts_with("-- Boot ")).count();
        assert_eq!(Some(lines.to_string().as_str()), count(previous));
        for args in [&["-p"][..], &["-p", "-u", "kubelet"], &["-p", "--source", "journal"]] {
            if let Some(expected) = oracle(previous, &[]) {
                same(&run(&kubeconfig, [node].iter().chain(args)), &expected);
            }
        }
        // Within each boot: what it held of the run before its last.
        for (boot, id) in [(0, ids[1]), (1, ids[3]), (2, ids[4])] {
            if let Some(expected) = oracle(id, &["-b", boot_id(boot)]) {
                same(&run(&kubeconfig, [node, "-p", "-b", boot_id(boot)]), &expected);
            }
        }
        if let Some(expected) = oracle(previous, &["-n", "5"]) {
            same(&run(&kubeconfig, [node, "-p", "--tail", "5"]), &expected);
        }
        run(&kubeconfig, [node, "-p", "-v", "4"]).expect(0, &[previous]);
        run(&kubeconfig, [node, "-p", "-u", "nosuch"]).expect(5, &["no log of unit nosuch"]);
        run(&kubeconfig, [node, "-p", "-u", "sshd"]).expect(5, &["sshd"]);
    }
}

#[test]
fn a_run_before_which_there_is_none_is_told() {
    let cluster = start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let words =
        ["one run of containerd alone, begun at 2023-11-14T22:13:20", "the journal begins at 2023-11-14T22:13:20"];
    run(&kubeconfig, ["on", "-p", "-u", "containerd"]).expect(5, &words);
    run(&kubeconfig, ["on", "-p", "-u", "containerd", "-b", "0"]).expect(5, &["in boot", "leave --boot out"]);
}

#[test]
fn the_kernels_messages_are_those_of_the_last_boot() {
    let cluster = start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    for node in WITH_JOURNAL {
        for (args, oracle) in [
            (&["-k"][..], &["-k"][..]),
            (&["--dmesg", "-b", "-1"], &["-k", "-b", "-1"]),
            (&["-k", "-b", "+1"], &["-k", "-b", "+1"]),
            (&["-k", "--tail", "3"], &["-k", "-n", "3"]),
        ] {
            let ran = run(&kubeconfig, [node].iter().chain(args));
            assert!(ran.code == 0 && ran.text().lines().all(|line| line.contains(" kernel")), "{}", ran.stderr);
            if let Some(expected) = journalctl(&cluster, node, oracle) {
                assert!(!expected.is_empty());
                same(&ran, &expected);
            }
        }
        let ran = run(&kubeconfig, [node, "-k", "-o", "jsonl", "--tail", "1"]);
        assert!(!ran.text().contains("\"unit\":\"kubelet\""), "{}", ran.text());
    }
    let remedy = "mkdir -p /var/log/journal";
    run(&kubeconfig, ["volatile", "-k"]).expect(5, &["--dmesg takes the node's journal", "holds no journal", remedy]);
}

#[test]
fn where_no_journal_can_be_read_the_remedy_is_that_of_the_reason() {
    let nodes =
        [("handler-off", Mode::HANDLER_OFF), ("windows", Mode::WINDOWS)].map(|(name, mode)| Node::new(name, mode));
    let cluster = Setup::new(nodes.to_vec()).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let plain = run(&kubeconfig, ["handler-off"]).code;
    for args in [["handler-off", "--list-boots"], ["handler-off", "-k"]] {
        run(&kubeconfig, args).expect(plain, &["serves no files", "enableSystemLogHandler: true"]);
    }
    for args in [["windows", "--list-boots"], ["windows", "-k"]] {
        run(&kubeconfig, args).expect(5, &["Windows nodes have no journal"]);
    }
}

#[test]
fn identifiers_choose_as_journalctl_chooses() {
    let cluster = start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    for node in WITH_JOURNAL {
        for (args, oracle) in [
            (&["-t", "systemd"][..], &["-t", "systemd"][..]),
            (&["-t", "systemd,containerd"], &["-t", "systemd", "-t", "containerd"]),
            (&["-t", "kernel", "-t", "kubelet", "--tail", "7"], &["-t", "kernel", "-t", "kubelet", "-n", "7"]),
            (&["-t", "systemd", "-u", "kubelet"], &["-t", "systemd", "-u", "kubelet"]),
            (&["-t", "systemd", "-t", "kernel", "-b", "-1"], &["-t", "systemd", "-t", "kernel", "-b", "-1"]),
        ] {
            if let Some(expected) = journalctl(&cluster, node, oracle) {
                assert!(expected.lines().count() > 2, "{oracle:?}");
                same(&run(&kubeconfig, [node].iter().chain(args)), &expected);
            }
        }
    }
}

#[test]
fn a_window_may_begin_where_the_node_says() {
    let cluster = start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let newest = RUNS.lines().last().and_then(|line| line.split(' ').next()).expect("a run");
    let last_boot = recorded("kubelet.service", 2);
    for node in WITH_JOURNAL {
        let ask = |args: &[&str]| run(&kubeconfig, [node].iter().chain(args));
        same(&ask(&["--since", "boot"]), &last_boot);
        same(&ask(&["--since", "boot", "--source", "journal"]), &last_boot);
        same(&ask(&["-b", "-1", "--since", "boot"]), &recorded("kubelet.service", 1));
        let (own, of) = (format!("_SYSTEMD_INVOCATION_ID={newest}"), format!("INVOCATION_ID={newest}"));
        if let Some(run_of_now) = journalctl(&cluster, node, &[&*own, "+", "_PID=1", &of]) {
            let ran = ask(&["--since", "kubelet-start"]);
            assert_eq!(ran.text().lines().next(), run_of_now.lines().next(), "{}", ran.stderr);
            assert!(ran.code == 0 && last_boot.ends_with(ran.text()));
            let before = ask(&["-b", "0", "--until", "kubelet-start"]);
            assert!(last_boot.starts_with(before.text()) && !before.text().is_empty());
            assert_eq!(before.text().lines().last(), run_of_now.lines().next());
        }
        let around = ask(&["--around", "boot±0s", "-v", "4"]);
        around.expect(0, &[&format!("{node}: window: 2023-11-14T22:17:35")]);
        let around = ask(&["--around", "boot±10s"]);
        assert!(around.text().lines().all(|line| line.starts_with("Nov 14 22:17:") || line.starts_with("-- Boot")));
        // A file's lines begin there as well.
        let file = ask(&["--path", "kubelet.log", "--since", "boot"]);
        file.expect(0, &[]);
    }
    run(&kubeconfig, ["volatile", "--since", "boot"]).expect(5, &["the time boot is told by the node's journal"]);
    run(&kubeconfig, ["volatile", "--around", "kubelet-start"]).expect(5, &["the time kubelet-start"]);
    same(&run(&kubeconfig, ["on", "--since", "boot", "--source", "query"]), &last_boot);
    run(&kubeconfig, ["on", "--since", "kubelet-start", "--until", "boot"]).expect(2, &["ends before it begins"]);
}

/// A machine without a battery starts in the past, and learns the time a moment later.
#[test]
fn a_boot_that_began_with_a_wrong_clock_is_the_last_one_all_the_same() {
    const MONTH: i64 = 30 * 86_400_000_000;
    let root = tempfile::tempdir().expect("a folder");
    let mut journal = Growing::new(root.path(), 1_700_000_000_000_000);
    journal.unsteady = false;
    let append = |journal: &mut Growing, name: &str, count: usize| {
        for nth in 0..count {
            journal.append(["kubelet", "kernel"][nth % 2], &format!("{name}{nth}"));
        }
    };
    append(&mut journal, "a", 40);
    journal.rotate();
    journal.boot = 2;
    journal.set_clock_back(MONTH);
    append(&mut journal, "early", 10);
    journal.set_clock_back(-MONTH);
    append(&mut journal, "b", 40);
    journal.rotate();
    append(&mut journal, "c", 10);
    let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_OFF).files(root.path())]).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let folder = journal.directory().to_str().expect("text");
    for from in [&["node-a"][..], &["--from", folder]] {
        let ask = |args: &[&str]| run(&kubeconfig, [from, args].concat());
        for args in [&["--list-boots"][..], &["-b", "0"], &["-b", "-1"], &["-b", "+1"], &["-k"]] {
            if let Some(printed) = journalctl(&cluster, "node-a", args) {
                same(
                    &ask(&[args, if args[0] == "-b" { &["-t", "kubelet,kernel"][..] } else { &[] }].concat()),
                    &printed,
                );
            }
        }
        let last = ask(&["-b", "0"]);
        assert_eq!((last.code, last.text().lines().count()), (0, 30), "{}", last.stderr);
        same(&ask(&["-b", "0", "-u", "kubelet"]), last.text());
        for more in [&[][..], &["--tail", "1000"]] {
            same(&ask(&[&["-u", "kubelet", "--since", "boot"], more].concat()), last.text());
        }
        let before = ask(&["-b", "-1", "-u", "kubelet", "--since", "boot"]);
        assert!(before.text().lines().count() == 20 && before.text().contains("a38"), "{}", before.text());
    }
}

#[test]
fn not_ready_is_when_the_node_ceased_to_be() {
    let cluster =
        Setup::new(vec![Node::new("ready", Mode::QUERY_OFF), Node::new("down", Mode::QUERY_OFF).health(Health::Down)])
            .start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    run(&kubeconfig, ["ready", "--since", "not-ready"]).expect(1, &["the node is ready since 2023-11-14T22:13:30Z"]);
    // Of many nodes those that are ready have nothing to show, and have not failed.
    let cluster_of = ["ready", "fine", "good"].map(|name| Node::new(name, Mode::QUERY_OFF));
    let healthy = Setup::new(cluster_of.to_vec()).start();
    let all = run(&healthy.kubeconfig(User::Admin), ["--all-nodes", "--since", "not-ready"]);
    all.expect(0, &["note: 3 nodes: ready, so there is no time not-ready: nothing is shown of it"]);
    assert_eq!((all.stderr.matches("no time not-ready").count(), all.text()), (1, ""), "{}", all.stderr);
    let down = run(&kubeconfig, ["down", "--around", "not-ready±30s", "-v", "4"]);
    assert!(down.code == 6 || down.code == 1, "{}", down.stderr);
    assert!(down.stderr.contains("window: 2023-11-14T22:13:00.000000Z to 2023-11-14T22:14:00"), "{}", down.stderr);
}

#[test]
fn a_listing_shows_units_and_boots_where_there_is_a_journal() {
    let cluster = start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let entries = |unit: &str| {
        let recording = Journal::Restarts.recording();
        let unit = recording.units.iter().position(|name| name == unit).expect("a unit");
        recording.entries.iter().filter(|entry| entry.units.contains(&unit)).count()
    };
    for node in WITH_JOURNAL {
        let ran = run(&kubeconfig, ["ls", node]);
        ran.expect(0, &[]);
        assert!(ran.stderr.is_empty(), "{}", ran.stderr);
        let (files, journal) = ran.text().split_once("\nUnits in the journal, for --unit").expect("units");
        let (units, boots) = journal.split_once("\nBoots in the journal, for --boot:\n").expect("boots");
        assert!(files.starts_with("Files under /var/log, for --path:\n") && files.contains("  kubelet.log\n"));
        assert_eq!(boots, BOOTS);
        let row = |unit: &str| units.lines().find(|row| row.ends_with(&format!("  {unit}"))).map(str::to_owned);
        let containerd = row("containerd").expect("containerd");
        let columns: Vec<&str> = containerd.split_whitespace().collect();
        assert_eq!(columns[0], entries("containerd.service").to_string());
        assert!(columns[1].starts_with("2023-11-14T22:18:") && row("kubelet").is_some() && row("svc-7").is_some());
        assert!(!units.contains(".scope"), "{units}");
        // A folder is a folder.
        assert!(!run(&kubeconfig, ["ls", &format!("{node}:audit")]).text().contains("Units"));
    }
    // Where none is on disk there are files alone.
    let ran = run(&kubeconfig, ["ls", "volatile"]);
    ran.expect(0, &[]);
    assert!(!ran.text().contains("Files under") && !ran.text().contains("Boots"), "{}", ran.text());
}

#[test]
fn a_listing_does_not_fail_with_its_journal() {
    let cluster = start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    cluster.inject(Fault::new(What::Status(hyper::StatusCode::FORBIDDEN)).path("/journal/"));
    let ran = run(&kubeconfig, ["ls", "on"]);
    ran.expect(0, &["note: on: what its journal holds could not be read"]);
    assert!(ran.text().contains("  kubelet.log\n") && !ran.text().contains("Boots"), "{}", ran.text());
}

/// A /var/log whose journal has these entries, each given by its fields; `None` where none can be made.
fn made(entries: &[Vec<String>], test: &str) -> Option<tempfile::TempDir> {
    let program = journals::remote(test)?;
    let root = tempfile::tempdir().expect("a directory");
    let folder = root.path().join("journal/0123456789abcdef0123456789abcdef");
    std::fs::create_dir_all(&folder).expect("a directory");
    let mut writer = journals::Writer::start(program, &folder, journals::Variant::NEW, 0).expect("the program starts");
    let mut input = writer.input();
    for (number, fields) in entries.iter().enumerate() {
        let (at, boot) = (1_700_000_000_000_000 + number as u64 * 1_000_000, "b0070000000000000000000000000001");
        let head = format!("__REALTIME_TIMESTAMP={at}\n__MONOTONIC_TIMESTAMP={at}\n_BOOT_ID={boot}\n_HOSTNAME=n\n");
        input.write_all(format!("{head}{}\n\n", fields.join("\n")).as_bytes()).expect("it reads");
    }
    drop(input);
    writer.finish();
    Some(root)
}

/// A line of a program in a unit's run, or in none.
fn said(program: &str, pid: u32, run: Option<(&str, u32)>, message: &str) -> Vec<String> {
    let mut fields = vec![format!("SYSLOG_IDENTIFIER={program}"), format!("_PID={pid}"), format!("MESSAGE={message}")];
    if let Some((unit, run)) = run {
        fields.extend([format!("_SYSTEMD_UNIT={unit}.service"), format!("_SYSTEMD_INVOCATION_ID={run:032x}")]);
    }
    fields
}

/// systemd's line about a start.
fn started(unit: &str, run: u32) -> Vec<String> {
    let fields = [
        "SYSLOG_IDENTIFIER=systemd".to_owned(),
        "_PID=1".into(),
        format!("UNIT={unit}.service"),
        format!("INVOCATION_ID={run:032x}"),
        format!("MESSAGE=Started {unit}."),
    ];
    fields.to_vec()
}

#[test]
fn the_lines_of_a_kubelet_that_left_its_unit_are_those_of_its_run() {
    let unit = "kubelet";
    let entries = [
        started(unit, 1),
        said(unit, 100, Some((unit, 1)), "first run, in its unit"),
        said(unit, 100, None, "first run, out of it"),
        said("kubelet-helper", 100, None, "somebody else"),
        started(unit, 2),
        said(unit, 200, Some((unit, 2)), "second run, in its unit"),
        said(unit, 200, None, "second run, out of it"),
    ];
    let Some(root) = made(&entries, "a kubelet that left its unit") else { return };
    let cluster = Setup::new(vec![Node::new("left", Mode::QUERY_OFF).files(root.path())]).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let ask = |args: &[&str]| {
        let ran = run(&kubeconfig, ["left"].iter().chain(args));
        ran.expect(0, &[]);
        ran.text().lines().map(|line| line.split_once(": ").map_or("", |(_, text)| text).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ask(&["-p"]), ["Started kubelet.", "first run, in its unit", "first run, out of it"]);
    assert_eq!(ask(&["-p", "--tail", "1"]), ["first run, out of it"]);
    assert_eq!(ask(&["-p", "-u", "kubelet", "-t", "kubelet"]), ["first run, in its unit", "first run, out of it"]);
    assert_eq!(
        ask(&["--since", "kubelet-start"]),
        ["Started kubelet.", "second run, in its unit", "second run, out of it"]
    );
}

#[test]
fn the_previous_run_of_a_distribution_is_its_units() {
    let unit = "k3s";
    let header = "I1114 22:13:20.000000     100 kubelet.go:2400] \"of the kubelet\"";
    let other = "I1114 22:13:20.000000     100 scheduler.go:24] \"of another\"";
    let entries = [
        started(unit, 1),
        said(unit, 100, Some((unit, 1)), header),
        said(unit, 100, Some((unit, 1)), other),
        started(unit, 2),
        said(unit, 200, Some((unit, 2)), header),
    ];
    let Some(root) = made(&entries, "a distribution's runs") else { return };
    let cluster = Setup::new(vec![Node::new("k3s", Mode::QUERY_OFF).files(root.path())]).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let ran = run(&kubeconfig, ["node/k3s", "-p"]);
    ran.expect(0, &["k3s runs k3s: showing the lines of its kubelet from unit k3s; -u k3s shows all"]);
    assert!(ran.text().contains("k3s[100]") && !ran.text().contains("k3s[200]"), "{}", ran.text());
    assert!(!ran.text().contains("of another"), "{}", ran.text());
    let all = run(&kubeconfig, ["node/k3s", "-p", "-u", "k3s"]);
    assert!(all.text().contains("of another") && all.text().contains("Started k3s."), "{}", all.text());
    let now = run(&kubeconfig, ["node/k3s", "-u", "k3s", "--since", "kubelet-start"]);
    assert_eq!((now.text().lines().count(), now.text().contains("k3s[100]")), (2, false), "{}", now.text());
}
