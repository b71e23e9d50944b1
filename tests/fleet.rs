//! Several nodes in one run: which are read, in what order their lines come out, and what becomes of those that fail.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::StatusCode;
use kubelet_logs::time::Timestamp;

mod clocks;
mod coming;
mod ends;
mod followed;
mod many;
mod status;
mod tails;

use crate::cluster::{Cluster, Fault, Grant, Health, Mode, Node, Setup, User, What};
use crate::support::{program, ran, run};

/// Zones of nodes, with their offsets in seconds in winter.
const ZONES: [(&str, i64); 4] = [
    ("UTC0", 0),
    ("EST5EDT,M3.2.0,M11.1.0", -5 * 3600),
    ("IST-5:30", 19_800),
    ("NZST-12NZDT,M9.5.0,M4.1.0/3", 13 * 3600),
];

/// The turn of a year, in microseconds.
const NEW_YEAR: i64 = 1_767_225_600_000_000;

/// What one node wrote: true time, and the entry as it stands in the file.
struct Written {
    name: String,
    zone: usize,
    entries: Vec<(i64, String)>,
}

/// A deterministic stream of numbers.
fn random(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    }
}

/// klog files of these nodes, around the turn of a year, each in its own zone; some entries have lines that continue them.
fn written(nodes: usize, entries: usize) -> Vec<Written> {
    let mut random = random(7);
    (0..nodes)
        .map(|number| {
            let zone = number % ZONES.len();
            let mut at = NEW_YEAR - 600_000_000 + random(100_000_000) as i64;
            let entries = (0..entries).map(|n| {
                // Equal times within a node and between nodes are frequent.
                at += random(4) as i64 * (1_200_000_000 / (entries as i64 * 2));
                let local = Timestamp::from_micros(at + ZONES[zone].1 * 1_000_000).civil_utc();
                let header = format!(
                    "I{:02}{:02} {:02}:{:02}:{:02}.{:06}    {} a.go:{n}]",
                    local.month,
                    local.day,
                    local.hour,
                    local.minute,
                    local.second,
                    local.micros,
                    1000 + number
                );
                let continued = if random(5) == 0 { "\n  goroutine 1 [running]:\nmain.main()" } else { "" };
                (at, format!("{header} \"entry {n} of {number}\"{continued}\n"))
            });
            let entries = entries.collect();
            Written { name: format!("node-{number:03}"), zone, entries }
        })
        .collect()
}

/// As /var/log/kubelet.log below this folder; the file's date is that of its last line.
fn write(written: &Written, folder: &Path) {
    let text: String = written.entries.iter().map(|(_, text)| text.as_str()).collect();
    let path = folder.join("kubelet.log");
    std::fs::create_dir_all(folder).expect("a folder");
    std::fs::write(&path, text).expect("a file");
    let last = written.entries.last().map_or(NEW_YEAR, |(at, _)| *at);
    let modified: SystemTime = UNIX_EPOCH + Duration::from_micros(last as u64);
    std::fs::File::options().append(true).open(path).and_then(|file| file.set_modified(modified)).expect("a date");
}

/// What a merge of these must print.
fn merged<'a>(written: impl IntoIterator<Item = &'a Written>, width: usize) -> String {
    let mut all: Vec<(i64, usize, &Written, &str)> = Vec::new();
    for (number, node) in written.into_iter().enumerate() {
        all.extend(node.entries.iter().map(|(at, text)| (*at, number, node, text.as_str())));
    }
    all.sort_by_key(|(at, number, ..)| (*at, *number));
    let mut text = String::new();
    for (_, _, node, entry) in all {
        for line in entry.split_inclusive('\n') {
            text.push_str(&format!("{:width$} {line}", node.name));
        }
    }
    text
}

fn start(written: &[Written], folder: &Path, more: impl IntoIterator<Item = Node>) -> Cluster {
    let nodes = written.iter().map(|node| {
        let folder = folder.join(&node.name);
        write(node, &folder);
        Node::new(&node.name, Mode::QUERY_OFF).zone(ZONES[node.zone].0).files(&folder)
    });
    let mut setup = Setup::new(nodes.chain(more).collect());
    // A kubelet that does not answer is given up by the API server after 10 seconds.
    setup.handshake_limit = Duration::from_millis(200);
    setup.start()
}

#[track_caller]
fn same(got: &str, wanted: &str) {
    let at = got.lines().zip(wanted.lines()).position(|(got, wanted)| got != wanted);
    let shown = |text: &str| at.and_then(|at| text.lines().nth(at)).map(str::to_owned);
    assert!(
        got == wanted,
        "{} bytes of {}, line {at:?}: {:?}, not {:?}",
        got.len(),
        wanted.len(),
        shown(got),
        shown(wanted)
    );
}

#[test]
fn fifty_nodes_are_merged_in_true_time_over_the_end_of_a_year() {
    let folder = tempfile::tempdir().expect("a folder");
    let written = written(50, 80);
    let cluster = start(&written, folder.path(), []);
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let names: Vec<&str> = written.iter().map(|node| node.name.as_str()).collect();
    let ran = run(&kubeconfig, [&names.join(","), "-q"]);
    ran.expect(0, &[]);
    same(ran.text(), &merged(&written, 8));
    // The same by any way of choosing, and with a tail that leaves nothing out.
    for args in [&["--all-nodes", "--tail", "-1"][..], &["node-*", "--tail=80", "--max-concurrency=3"]] {
        let ran = run(&kubeconfig, args.iter().chain(&["-q"]));
        ran.expect(0, &[]);
        same(ran.text(), &merged(&written, 8));
    }
    // The last entries of each node; and, where nothing says how many, ten of each.
    let last = |count: usize| -> Vec<Written> {
        let cut = |node: &Written| Written {
            name: node.name.clone(),
            zone: node.zone,
            entries: node.entries[node.entries.len() - count..].to_vec(),
        };
        written.iter().map(cut).collect()
    };
    let ran = run(&kubeconfig, ["--all-nodes", "--tail=3", "-q"]);
    same(ran.expect(0, &[]).text(), &merged(&last(3), 8));
    let ran = run(&kubeconfig, ["node-0*"]);
    same(ran.expect(0, &["the last 10 entries of each of 50 nodes"]).text(), &merged(&last(10), 8));
    // A window across the turn of the year.
    let ran = run(
        &kubeconfig,
        ["--all-nodes", "--since-time", "2025-12-31T23:58:00Z", "--until-time", "2026-01-01T00:02:00Z"],
    );
    let within = |at: i64| (NEW_YEAR - 120_000_000..=NEW_YEAR + 120_000_000).contains(&at);
    let inside: Vec<Written> = written
        .iter()
        .map(|node| Written {
            name: node.name.clone(),
            zone: node.zone,
            entries: node.entries.iter().filter(|(at, _)| within(*at)).cloned().collect(),
        })
        .collect();
    same(ran.expect(0, &[]).text(), &merged(&inside, 8));
}

#[test]
fn nodes_that_fail_hide_nothing_of_the_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let written = written(50, 400);
    let others = [("down", Health::Down), ("hung", Health::Hung), ("nowhere", Health::NoAddresses)];
    let more = others.map(|(name, health)| Node::new(name, Mode::QUERY_OFF).health(health));
    let cluster = start(&written, folder.path(), more);
    // One breaks off mid-way, and refuses the rest.
    let fails = |what| Fault::new(what).node("node-003").path("kubelet.log");
    cluster.inject(fails(What::CutAfter(9000)).nth(2));
    cluster.inject(fails(What::Status(StatusCode::FORBIDDEN)).nth(3));
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let ran = run(&kubeconfig, ["--all-nodes", "--tail=-1"]);
    ran.expect(3, &["error: down: ", "error: hung: ", "error: nowhere: ", "error: node-003: ", "4 of 53 nodes failed"]);
    assert_eq!(ran.stderr.matches("error: ").count(), 4, "{}", ran.stderr);
    let healthy = |line: &&str| !line.starts_with("node-003");
    let got: String = ran.text().lines().filter(healthy).map(|line| format!("{line}\n")).collect();
    same(&got, &merged(written.iter().filter(|node| node.name != "node-003"), 8));
    // Of the one that broke off what had come is there, in its place among the others.
    let whole = merged(&written, 8);
    let mut rest = whole.lines();
    assert!(ran.text().lines().all(|line| rest.any(|next| next == line)), "lines are out of order");
    let own =
        |text: &str| text.lines().filter(|line| !healthy(line)).map(|line| format!("{line}\n")).collect::<String>();
    let (had, has) = (own(ran.text()), own(&whole));
    assert!(has.starts_with(&had) && had.len() > 1000 && had.len() < has.len(), "{} bytes of {}", had.len(), has.len());
    // All failed alike, or each in its way.
    let ran = run(&kubeconfig, ["down,hung"]);
    ran.expect(6, &["error: down: ", "error: hung: ", "2 of 2 nodes failed"]);
    assert_eq!(ran.stderr.matches("hint: ").count(), 2, "each remedy once: {}", ran.stderr);
    let ran = run(&kubeconfig, ["down,nosuch"]);
    ran.expect(1, &["error: down: ", "error: nosuch: "]);
    let ran = run(&kubeconfig, ["node-000,nosuch", "--tail=1"]);
    ran.expect(3, &["error: nosuch: ", "1 of 2 nodes failed"]);
    assert_eq!(ran.text().lines().count(), written[0].entries[399].1.lines().count());
    // The node's name stands once, and what is wrong is told once.
    let ran = run(&kubeconfig, ["node-000", "--source=query"]);
    assert_eq!(
        ran.expect(1, &["error: node-000: "]).stderr.lines().next().map(|line| line.matches("node-000").count()),
        Some(1)
    );
    let ran = run(&kubeconfig, ["nosuch,down", "--fail-fast", "--no-merge", "--max-concurrency=1"]);
    ran.expect(3, &["error: nosuch: "]);
    assert_eq!(ran.stderr.matches("error: ").count(), 1, "{}", ran.stderr);
}

#[test]
fn failures_that_are_alike_are_told_once_with_all_their_nodes() {
    let nodes = (0..25).map(|n| Node::new(&format!("node-{n:02}"), Mode::QUERY_OFF));
    let cluster = Setup::new(nodes.chain([Node::new("down", Mode::QUERY_OFF).health(Health::Down)]).collect()).start();
    let all = (0..20).map(|n| format!("node-{n:02}")).collect::<Vec<_>>().join(", ");
    let ran = run(&cluster.kubeconfig(User::Admin), ["--all-nodes", "--path=nosuch"]);
    ran.expect(1, &[&format!("error: {all} and 5 more: "), "error: down: ", "26 of 26 nodes failed"]);
    assert_eq!(ran.stderr.matches("error: ").count(), 2, "{}", ran.stderr);
    // Their names and audit ids stand within the words.
    let ran = run(&cluster.kubeconfig(User::NoProxy), ["node-00,node-01,node-02", "--path=nosuch"]);
    ran.expect(4, &["error: node-00, node-01, node-02: 403 Forbidden: nodes \"NODE\" is forbidden: ", "(audit id "]);
    assert_eq!(ran.stderr.matches("hint: ").count(), 1, "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("audit id ").count(), 1, "{}", ran.stderr);
}

#[test]
fn the_time_for_a_run_ends_it_with_all_that_is_whole_and_names_who_hung() {
    let folder = tempfile::tempdir().expect("a folder");
    let written = written(2, 5);
    let nodes = written.iter().map(|node| {
        write(node, &folder.path().join(&node.name));
        Node::new(&node.name, Mode::QUERY_OFF).zone(ZONES[node.zone].0).files(&folder.path().join(&node.name))
    });
    // Not one that the API server gives up by itself.
    let hung = Node::new("hung", Mode::QUERY_OFF).health(Health::Hung);
    let cluster =
        Setup { handshake_limit: Duration::from_secs(600), ..Setup::new(nodes.chain([hung]).collect()) }.start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    // All at the same time: each of them waits.
    let formats = [&[][..], &["--no-merge"], &["-ojsonl"], &["-ojson"], &["-oyaml"], &["-odigest"]];
    let runs = formats.map(|format| {
        let mut command = program();
        command.arg("--kubeconfig").arg(&kubeconfig).args(["node-000,hung,node-001", "--timeout=5s"]).args(format);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs")
    });
    let printed = runs.map(|run| {
        let ran = ran(run.wait_with_output().expect("an end"));
        let told = "error: the run took longer than --timeout 5s; had not answered: hung\nhint: what was printed is";
        (ran.expect(3, &[told, "2 of 3 nodes read to the end"]).text().to_owned(), ran.stderr.contains("--no-merge"))
    });
    // Only a merge holds back what a silent node's lines may precede.
    let hinted = printed.each_ref().map(|(_, hinted)| *hinted);
    assert_eq!(hinted, [true, false, true, false, false, false]);
    let printed = printed.map(|(text, _)| text);
    let [merged_text, parted, jsonl, json, yaml, digest] = printed;
    same(&merged_text, &merged(&written, 8));
    let text = |node: &Written| node.entries.iter().map(|(_, text)| text.as_str()).collect::<String>();
    same(&parted, &format!("==> node-000 <==\n{}\n==> node-001 <==\n{}", text(&written[0]), text(&written[1])));
    assert_eq!(jsonl.lines().count(), 10);
    let json: serde_json::Value = serde_json::from_str(&json).expect("a document");
    let yaml: serde_json::Value = serde_yaml::from_str(&yaml).expect("a document");
    for document in [json, yaml] {
        for (number, node) in written.iter().enumerate() {
            assert_eq!(document["responses"][number]["nodeName"], node.name);
            assert_eq!(document["responses"][number]["logs"], text(node));
        }
        assert_eq!(document["errors"][0]["nodeName"], "hung");
        assert_eq!(document["errors"][0]["error"], "the run took longer than --timeout 5s");
        assert_eq!((&document["errors"][1], &document["summary"]["errorNodes"]), (&serde_json::Value::Null, &1.into()));
    }
    assert!(digest.starts_with("10 entries of 2 of 3 nodes (failed: hung), "), "{digest}");
}

#[test]
fn nodes_come_one_after_another_where_that_is_wanted() {
    let folder = tempfile::tempdir().expect("a folder");
    let written = written(3, 5);
    let cluster = start(&written, folder.path(), []);
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let text = |node: &Written| node.entries.iter().map(|(_, text)| text.as_str()).collect::<String>();
    let headed: Vec<String> = written.iter().map(|node| format!("==> {} <==\n{}", node.name, text(node))).collect();
    for flag in ["--no-merge", "--unify=false"] {
        let ran = run(&kubeconfig, ["node-000,node-001", "node-002", flag, "-q"]);
        same(ran.expect(0, &[]).text(), &headed.join("\n"));
    }
    // In the order they were named in, and without any sign of their names.
    let ran = run(&kubeconfig, ["node-002,node-000", "--no-merge", "-o", "raw", "-q"]);
    same(ran.expect(0, &[]).text(), &format!("{}{}", text(&written[2]), text(&written[0])));
    let ran = run(&kubeconfig, ["node-001", "--prefix=always", "-q"]);
    same(ran.expect(0, &[]).text(), &merged([&written[1]], 8));
    let ran = run(&kubeconfig, ["node-001,node-002", "--prefix=never", "--limit-bytes=1000", "-q"]);
    assert!(!ran.expect(0, &[]).text().contains("node-00"));
    let ran = run(&kubeconfig, ["node-001,node-002", "--color=always", "--tail=1", "-q"]);
    assert!(ran.expect(0, &[]).text().contains("m\u{6e}ode-001\x1b[0m "));
}

#[test]
fn nodes_are_chosen_by_labels_roles_and_patterns() {
    let folder = tempfile::tempdir().expect("a folder");
    let written = written(1, 1);
    let text = folder.path().join("node-000");
    write(&written[0], &text);
    let node = |name: &str| Node::new(name, Mode::QUERY_OFF).files(&text);
    let mut setup = Setup::new(vec![
        node("cp-1").label("node-role.kubernetes.io/control-plane", ""),
        node("worker-1").label("pool", "gpu").label("kubernetes.io/role", "node"),
        node("worker-2").label("pool", "cpu"),
        node("worker-3"),
    ]);
    setup.grants = vec![Grant { name: "limited".to_owned(), verb: "get", resource: "nodes/proxy" }];
    let cluster = setup.start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    for (args, chosen) in [
        (&["--all-nodes"][..], &["cp-1", "worker-1", "worker-2", "worker-3"][..]),
        (&["-l", "pool in (gpu,cpu)"], &["worker-1", "worker-2"]),
        (&["-l", "!pool", "worker-*"], &["worker-3"]),
        (&["--role", "control-plane"], &["cp-1"]),
        (&["--role=control-plane,node"], &["cp-1", "worker-1"]),
        (&["worker-[12]"], &["worker-1", "worker-2"]),
        (&["--field-selector", "metadata.name=worker-2"], &["worker-2"]),
        (&["worker-1,cp-1,worker-2", "-l", "pool"], &["worker-1", "worker-2"]),
    ] {
        let ran = run(&kubeconfig, args.iter().chain(&["-q", "--no-merge", "--prefix=always"]));
        let names: Vec<&str> = ran.expect(0, &[]).text().lines().filter_map(|line| line.split(' ').next()).collect();
        let names: Vec<&str> =
            names.iter().enumerate().filter(|(n, x)| *n == 0 || names[n - 1] != **x).map(|(_, x)| *x).collect();
        assert_eq!(names, chosen, "{args:?}");
    }
    for (args, words) in [
        (&["nosuch-*"][..], "no node matches nosuch-*"),
        (&["--all-nodes", "-l", "a=b"], "no node matches --all-nodes -l a=b"),
        (&["--role", "infra"], "no node matches --role infra"),
    ] {
        run(&kubeconfig, args).expect(5, &[words, "kubectl get nodes"]);
    }
    let before = cluster.requests().len();
    run(&kubeconfig, ["-l", "pool in (gpu"]).expect(2, &["not a label selector: \"pool in (gpu\": a ( without its )"]);
    run(&kubeconfig, ["--field-selector=foo=bar"]).expect(2, &["servers know no field \"foo\" of nodes"]);
    assert_eq!(cluster.requests().len(), before, "servers are not asked for what can't be meant");
    run(&kubeconfig, ["--all-nodes", "cp-1"]).expect(2, &["--all-nodes, and yet a node is named: cp-1"]);
    // A name that no node has is an error, whatever chooses beside it; one that a selector leaves out is not.
    for args in
        [&["worker-*", "node-zz"][..], &["worker-1,node-zz", "-l", "pool"], &["worker-2", "node-z[yz]", "node-zz"]]
    {
        let ran = run(&kubeconfig, args.iter().chain(&["--prefix=always"]));
        ran.expect(3, &["error: node-zz: 404 Not Found: nodes \"node-zz\" not found", "nodes failed"]);
        assert!(ran.text().starts_with("worker-"), "{args:?}");
    }
    run(&kubeconfig, ["worker-1,worker-3", "-l", "pool"]).expect(0, &["note: worker-3 is left out"]);
    let mut command = program();
    command.arg("--kubeconfig").arg(&kubeconfig).args(["worker-*", "node-zz", "-f", "--until", "2020-01-01"]);
    ran(command.output().expect("runs")).expect(3, &["error: node-zz: 404 Not Found"]);
    // Plain names need no permission to list.
    let limited = cluster.kubeconfig(User::Limited);
    run(&limited, ["worker-1,worker-2", "-q"]).expect(0, &[]);
    run(&limited, ["--all-nodes"]).expect(4, &["listing nodes"]);
}

#[test]
fn shards_read_each_node_once_and_write_files_of_their_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let written = written(20, 3);
    let cluster = start(&written, folder.path(), []);
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let file = folder.path().join("out-{shard}.log");
    let mut lines = Vec::new();
    for shard in ["0", "1", "2"] {
        let mut command = program();
        command.env("JOB_COMPLETION_INDEX", shard).arg("--kubeconfig").arg(&kubeconfig).arg("-w").arg(&file);
        let ran = ran(command.args(["--all-nodes", "--shard", "3"]).output().expect("runs"));
        ran.expect(0, &[&format!("shard {shard} of 3: ")]);
        assert!(ran.stdout.is_empty());
        let text = std::fs::read_to_string(folder.path().join(format!("out-{shard}.log"))).expect("the shard's file");
        lines.extend(text.lines().map(str::to_owned));
    }
    let mut all: Vec<String> = merged(&written, 8).lines().map(str::to_owned).collect();
    all.sort();
    lines.sort();
    assert_eq!(lines, all);
    // A node that comes, and one that goes, are a matter of their shards alone: the others read what they have read.
    let shards = || {
        ["0/3", "1/3", "2/3"].map(|shard| {
            let ran =
                run(&kubeconfig, ["--all-nodes", "--shard", shard, "--tail=1", "-q", "--no-merge", "--prefix=always"]);
            let names = ran.expect(0, &[]).text().lines().filter_map(|line| line.split(' ').next().map(str::to_owned));
            names.collect::<std::collections::BTreeSet<_>>()
        })
    };
    let before = shards();
    cluster.remove("node-007");
    cluster.put(Node::new("node-100", Mode::QUERY_OFF).files(&folder.path().join("node-000")));
    let after = shards();
    let is_old = |name: &&String| *name != "node-100";
    for (before, after) in before.iter().zip(&after) {
        let stayed = before.iter().filter(|name| *name != "node-007");
        assert!(after.iter().filter(is_old).eq(stayed), "{before:?} {after:?}");
    }
    assert_eq!(after.iter().flatten().count(), 20);
    run(&kubeconfig, ["--all-nodes", "--shard", "3"]).expect(2, &["JOB_COMPLETION_INDEX"]);
    run(&kubeconfig, ["node-000", "-w", "/dev/null/{shard}"]).expect(2, &["no --shard"]);
    run(&kubeconfig, ["node-000", "-w", "/dev/null/x"]).expect(1, &["writing /dev/null/x"]);
}

#[test]
fn a_file_keeps_what_it_had_until_something_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let written = written(1, 3);
    let down = Node::new("down", Mode::QUERY_OFF).health(Health::Down);
    let cluster = start(&written, folder.path(), [down]);
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let file = folder.path().join("out.log");
    let to = |args: &[&str]| {
        let mut command = program();
        ran(command.arg("--kubeconfig").arg(&kubeconfig).arg("-w").arg(&file).args(args).output().expect("runs"))
    };
    let kept = || std::fs::read_to_string(&file).expect("the file");
    to(&["down"]).expect(6, &[]);
    assert!(!file.exists());
    std::fs::write(&file, "older and longer than what comes: ".repeat(100)).expect("a file");
    for args in [&["down"][..], &["down,nosuch"], &["node-000", "--path=nosuch"]] {
        assert_ne!(to(args).code, 0);
        assert!(kept().starts_with("older"), "{args:?}");
    }
    to(&["node-000", "-q"]).expect(0, &[]);
    let text: String = written[0].entries.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(kept(), text);
    // A log without entries is a log.
    to(&["node-000", "-g", "nosuch"]).expect(0, &["nothing matched"]);
    assert_eq!(kept(), "");
    run(&kubeconfig, ["node-000", "-w", "/dev/full"]).expect(1, &["error: writing to /dev/full: "]);
    run(&kubeconfig, ["node-000", "-w", "{x/o-{node}.log"]).expect(2, &["{node} in the name", "{shard} is"]);
}
