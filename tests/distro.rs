//! The kubelet of distributions that run it in a unit of another name, through the real binary.

use std::path::Path;
use std::sync::LazyLock;

use hyper::StatusCode;
use kubelet_logs::clock::Clock;
use kubelet_logs::time::Timestamp;

use crate::cluster::distro::Written;
use crate::cluster::{Cluster, Distribution, Fault, Mode, Node, Reader, Setup, Step, User, What};
use crate::support::{Ran, run};

/// Fixed offsets: the logs are of today.
const ZONES: [(&str, i64); 3] = [("UTC0", 0), ("EST5", -18_000), ("IST-5:30", 19_800)];

/// Those whose unit holds other lines as well.
const MIXED: [Distribution; 6] = [
    Distribution::K3sServer,
    Distribution::K3sAgent,
    Distribution::K0sWorker,
    Distribution::K0sController,
    Distribution::MicroK8s,
    Distribution::MicroShift,
];

/// Minutes ago, in microseconds since 1970.
fn ago(minutes: i64) -> i64 {
    Clock::System.now().as_micros() - minutes * 60_000_000
}

fn rfc3339(at: i64) -> String {
    Timestamp::from_micros(at).rfc3339().to_string()
}

/// What of these lines is to be printed, as the journal has it.
fn shown<'l>(lines: impl IntoIterator<Item = &'l Written>) -> String {
    lines.into_iter().filter(|line| line.kubelets).map(|line| line.shown(&line.journal)).collect()
}

#[track_caller]
fn same(ran: &Ran, expected: &str) {
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.text() == expected, "printed:\n{}\nexpected:\n{expected}\nstderr: {}", ran.text(), ran.stderr);
}

/// How many requests a run makes.
fn requests(cluster: &Cluster, run: impl FnOnce() -> Ran) -> (Ran, usize) {
    let before = cluster.requests().len();
    let ran = run();
    (ran, cluster.requests().len() - before)
}

#[test]
fn of_a_unit_that_holds_everything_only_the_kubelets_lines_are_shown() {
    let end = ago(60);
    for (zone, offset) in ZONES {
        let nodes = MIXED.map(|unit| Node::new(unit.unit(), Mode::QUERY_ON).zone(zone).units(&[(unit, end)]));
        let cluster = Setup::new(nodes.to_vec()).start();
        let kubeconfig = cluster.kubeconfig(User::Admin);
        for unit in MIXED {
            let (name, lines) = (unit.unit(), unit.written(end, offset));
            let note = format!("note: {name} runs ");
            let ask = |args: &[&str]| run(&kubeconfig, [name].iter().chain(args));
            let all = ask(&[]);
            all.expect(0, &[&note, &format!("showing the lines of its kubelet from unit {name}; -u {name} shows all")]);
            same(&all, &shown(&lines));
            let whole: String = lines.iter().map(|line| line.journal.as_str()).collect();
            same(&ask(&["-u", name]), &whole);
            assert!(!ask(&["-u", name]).stderr.contains("showing"), "all of it was asked for");
            // What there is of another boot is told of the unit that runs it.
            let before = ask(&["-b", "-1"]);
            let named = ask(&["-u", name, "-b", "-1"]);
            assert!(!before.stderr.contains("no log of unit kubelet"), "{}", before.stderr);
            assert_eq!(
                (before.code, before.text().is_empty()),
                (named.code, true),
                "{} {}",
                before.stderr,
                named.stderr
            );
            ask(&["-u", "kubelet"]).expect(5, &["no log of unit kubelet", "without -u the kubelet is found"]);
            // Windows and ends, by what is shown.
            let kubelets: Vec<&Written> = lines.iter().filter(|line| line.kubelets).collect();
            let (from, to) = (kubelets[1].at, kubelets[kubelets.len() - 2].at);
            let window = || kubelets.iter().copied().filter(|line| line.at >= from && line.at <= to);
            let (since, until) = (rfc3339(from), rfc3339(to));
            same(&ask(&["--since-time", &since, "--until-time", &until]), &shown(window()));
            same(&ask(&["--since-time", &since]), &shown(kubelets[1..].iter().copied()));
            same(&ask(&["--tail", "3"]), &shown(kubelets[kubelets.len() - 3..].iter().copied()));
            let last_two: Vec<&Written> = window().collect();
            let last_two = last_two[last_two.len() - 2..].iter().copied();
            same(&ask(&["--until-time", &until, "--tail", "2"]), &shown(last_two));
            let errors = kubelets.iter().copied().filter(|line| {
                let message = line.shown_bare();
                message.starts_with("panic: ")
                    || message.starts_with('E') && message[1..].starts_with(|c: char| c.is_ascii_digit())
            });
            same(&ask(&["-P", "E"]), &shown(errors));
            let version = kubelets.iter().copied().filter(|line| line.shown_bare().contains("Kubelet version"));
            same(&ask(&["-g", "\"Kubelet version\""]), &shown(version));
            let stamped = ask(&["--timestamps", "--tail", "1"]);
            let last = kubelets[kubelets.len() - 1];
            same(&stamped, &format!("{} {}", rfc3339(last.at), last.shown(&last.journal)));
        }
    }
}

#[test]
fn the_snap_of_a_kubelet_is_shown_whole() {
    let (end, snap) = (ago(5), Distribution::KubeletSnap);
    let cluster = Setup::new(vec![Node::new("snap", Mode::QUERY_ON).units(&[(snap, end)])]).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let lines = snap.written(end, 0);
    for args in [&[][..], &["--tail", "100"], &["--since", "1h"], &["-f", "--until-time", &rfc3339(ago(0))]] {
        let ran = run(&kubeconfig, ["snap"].iter().chain(args));
        same(&ran, &shown(&lines));
        ran.expect(0, &["snap runs the kubelet snap: showing unit snap.kubelet.daemon"]);
    }
    same(&run(&kubeconfig, ["snap", "-u", "snap.kubelet.daemon"]), &shown(&lines));
}

#[test]
fn k0s_lines_are_unwrapped() {
    let end = ago(1);
    let cluster = Setup::new(vec![Node::new("k0s", Mode::QUERY_ON).units(&[(Distribution::K0sWorker, end)])]).start();
    let ran = run(&cluster.kubeconfig(User::Admin), ["k0s"]);
    ran.expect(0, &[]);
    let text = ran.text();
    assert!(!text.contains("component=") && !text.contains("level=info"), "{text}");
    assert!(
        text.contains(r#"err="rpc error: code = Unknown desc = failed to mount C:\\path\twith ünïcode""#),
        "{text}"
    );
}

#[test]
fn the_unit_that_wrote_last_wins() {
    let (old, new) = (ago(10 * 24 * 60), ago(30));
    let (kubelet, k3s) = (Distribution::Kubelet, Distribution::K3sServer);
    let cluster = Setup::new(vec![
        Node::new("moved", Mode::QUERY_ON).units(&[(kubelet, old), (k3s, new)]),
        Node::new("moved-back", Mode::QUERY_ON).units(&[(kubelet, new), (k3s, old)]),
        Node::new("quiet", Mode::QUERY_ON).units(&[(kubelet, old), (k3s, old - 60_000_000_000)]),
        Node::new("two", Mode::QUERY_ON).units(&[(Distribution::K3sAgent, old), (k3s, new)]),
    ])
    .start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let ask = |args: &[&str]| run(&kubeconfig, args);
    let (of_old, of_new) = (shown(&kubelet.written(old, 0)), shown(&k3s.written(new, 0)));
    // The end of the log is that of the one at work.
    let last: Vec<Written> = k3s.written(new, 0).into_iter().filter(|line| line.kubelets).collect();
    let tail = ask(&["moved", "--tail", "4"]);
    same(&tail, &shown(&last[last.len() - 4..]));
    tail.expect(0, &["moved runs k3s: showing the lines of its kubelet from unit k3s; -u k3s shows all"]);
    same(&ask(&["moved", "--since", "2h"]), &of_new);
    same(&ask(&["moved", "--since", "20d", "--until", "5d"]), &of_old);
    // What was printed before that showed is followed by it.
    let all = ask(&["moved"]);
    same(&all, &format!("{of_old}{of_new}"));
    all.expect(0, &["the log of unit kubelet ended at", "moved runs k3s"]);
    // A kubelet that is at work, or that no other is newer than, is all there is.
    for (node, expected) in [("moved-back", shown(&kubelet.written(new, 0))), ("quiet", of_old)] {
        let ran = ask(&[node]);
        same(&ran, &expected);
        assert!(ran.stderr.is_empty(), "{}", ran.stderr);
    }
    same(&ask(&["two"]), &of_new);
}

#[test]
fn a_plain_kubelet_costs_what_it_always_did() {
    let (at_work, kubelet) = (ago(5), Distribution::Kubelet);
    let cluster = Setup::new(vec![
        Node::new("vanilla", Mode::QUERY_ON).units(&[(kubelet, at_work)]),
        Node::new("k3s", Mode::QUERY_ON).units(&[(Distribution::K3sServer, at_work)]),
    ])
    .start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    for (args, most) in [
        // One of these is for the kubelet's configuration, which tells whether its unit holds all of its lines.
        (&["vanilla"][..], 2),
        (&["vanilla", "--source=query", "--tail", "2"], 2),
        (&["vanilla", "-g", "node"], 2),
        (&["vanilla", "--source=query", "--tail", "0"], 1),
        (&["vanilla", "--source=query", "--since", "1h"], 3),
        // Asked for kubelet, for two groups of four, and for k3s.
        (&["k3s"], 4),
        (&["k3s", "-u", "k3s"], 1),
    ] {
        let (ran, count) = requests(&cluster, || run(&kubeconfig, args));
        ran.expect(0, &[]);
        assert_eq!(count, most, "{args:?}: {:#?}", cluster.requests());
    }
}

#[test]
fn a_kubelet_that_leaves_its_unit_is_warned_of() {
    let new = ago(5);
    let node = |name: &str| Node::new(name, Mode::QUERY_ON).units(&[(Distribution::Kubelet, new)]);
    let names = ["kubelet", "kubepods", "own", "denied", "page", "silent"];
    let cluster = Setup::new(names.map(node).to_vec()).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let config = |cgroup: &str| format!("{{\"kubeletconfig\":{{\"kubeletCgroups\":\"{cgroup}\",\"port\":10250}}}}\n");
    let text = |body| What::Text { status: StatusCode::OK, content_type: "application/json", body };
    for (name, what) in names.into_iter().zip([
        text(config("/kubelet")),
        text(config("/podruntime.slice/kubelet")),
        text(config("/system.slice/kubelet.service")),
        What::Status(StatusCode::FORBIDDEN),
        text("<html>".to_owned()),
        What::CutAfter(20),
    ]) {
        cluster.inject(Fault::new(what).node(name).path("/proxy/configz"));
        for args in
            [&[][..], &["-u", "kubelet"], &["--source=query", "--tail", "2"], &["-u", "kubelet", "-g", "nowhere"]]
        {
            let ran = run(&kubeconfig, [name].iter().chain(args));
            ran.expect(0, &[]);
            let warned = ran.stderr.contains("(kubeletCgroups)") && ran.stderr.contains("--source=journal");
            assert_eq!(warned, name.starts_with("kube"), "{name} {args:?}: {}", ran.stderr);
            assert!(warned || args.contains(&"nowhere") || ran.stderr.is_empty(), "{name} {args:?}: {}", ran.stderr);
        }
    }
    let asked = cluster.traffic("/kubelet/proxy/configz").requests;
    run(&kubeconfig, ["kubelet", "--path", "pods/nosuch"]).expect(5, &[]);
    assert_eq!(cluster.traffic("/kubelet/proxy/configz").requests, asked, "for the query alone");
}

#[test]
fn what_is_followed_is_the_unit_at_work() {
    let (old, new) = (ago(10 * 24 * 60), ago(5));
    let (kubelet, k3s) = (Distribution::Kubelet, Distribution::K3sServer);
    let mut nodes: Vec<Node> =
        MIXED.iter().map(|unit| Node::new(unit.unit(), Mode::QUERY_ON).units(&[(*unit, new)])).collect();
    nodes.extend([
        Node::new("vanilla", Mode::QUERY_ON).units(&[(kubelet, new)]),
        Node::new("moved", Mode::QUERY_ON).units(&[(kubelet, old), (k3s, new)]),
        Node::new("moved-back", Mode::QUERY_ON).units(&[(kubelet, new), (k3s, old)]),
        Node::new("rke2", Mode::QUERY_ON).units(&[(Distribution::Rke2Agent, new)]),
        Node::new("off", Mode::QUERY_OFF).units(&[]),
    ]);
    let cluster = Setup::new(nodes).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let now = rfc3339(ago(0));
    let follow = |name: &str| run(&kubeconfig, [name, "-f", "--tail", "3", "--until-time", &now]);
    let of = |name: &str, unit: Distribution| {
        let ran = follow(name);
        let lines: Vec<Written> = unit.written(new, 0).into_iter().filter(|line| line.kubelets).collect();
        same(&ran, &shown(&lines[lines.len() - 3..]));
        let looks = format!("/{name}/proxy/logs/?query={}&sinceTime=", unit.unit());
        assert!(cluster.requests().iter().any(|request| request.target.contains(&looks)), "{name}: followed");
        ran.stderr
    };
    // They wait for new lines, side by side.
    std::thread::scope(|scope| {
        for unit in MIXED {
            scope.spawn(move || assert!(of(unit.unit(), unit).contains("showing the lines of its kubelet")));
        }
        scope.spawn(|| assert!(of("moved", k3s).contains("moved runs k3s")));
        for name in ["vanilla", "moved-back"] {
            scope.spawn(move || assert!(!of(name, kubelet).contains(" runs ")));
        }
        scope.spawn(|| follow("rke2").expect(5, &["rke2", "runs RKE2", "ln -s"]).code);
        scope.spawn(|| follow("off").expect(5, &["offers no log query"]).code);
    });
    let asked = cluster.requests().iter().filter(|request| request.target.contains("/off/proxy/logs/?query=")).count();
    assert_eq!(asked, 2, "where there is no query nothing is looked up");
}

#[test]
fn an_old_kubelet_takes_no_dot_in_a_units_name() {
    let body = "query: Invalid value: \"snap.kubelet.daemon\": input contains unsupported characters\n".to_owned();
    let status = StatusCode::NOT_ACCEPTABLE;
    let refuses = Fault::new(What::Text { status, content_type: "text/plain; charset=utf-8", body }).path("snap.");
    let end = ago(5);
    let cluster = Setup::new(vec![Node::new("old", Mode::QUERY_ON).units(&[(Distribution::MicroShift, end)])])
        .fault(refuses)
        .start();
    let ran = run(&cluster.kubeconfig(User::Admin), ["old"]);
    same(&ran, &shown(&Distribution::MicroShift.written(end, 0)));
}

#[test]
fn what_can_not_be_looked_up_leaves_the_log_there_is() {
    let old = ago(10 * 24 * 60);
    let cluster = Setup::new(vec![Node::new("quiet", Mode::QUERY_ON).units(&[(Distribution::Kubelet, old)])])
        .fault(Fault::new(What::Status(StatusCode::INTERNAL_SERVER_ERROR)).path("query=k3s"))
        .start();
    let ran = run(&cluster.kubeconfig(User::Admin), ["quiet", "-v", "4"]);
    same(&ran, &shown(&Distribution::Kubelet.written(old, 0)));
    ran.expect(0, &["other units could not be looked up"]);
}

#[test]
fn rke2_is_told_honestly_and_its_supervisor_never_printed_as_the_kubelet() {
    let end = ago(5);
    let linked = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(linked.path().join("rke2")).expect("a directory");
    let text = "I1121 03:07:12.123456     974 kubelet.go:2400] \"SyncLoop ADD\"\n";
    std::fs::write(linked.path().join("rke2/kubelet.log"), text).expect("a file");
    let mut nodes = Vec::new();
    for (name, unit) in [("server", Distribution::Rke2Server), ("agent", Distribution::Rke2Agent)] {
        nodes.push(Node::new(name, Mode::QUERY_ON).units(&[(unit, end)]));
        nodes.push(Node::new(&format!("{name}-linked"), Mode::QUERY_ON).units(&[(unit, end)]).files(linked.path()));
        nodes.push(Node::new(&format!("{name}-off"), Mode::QUERY_OFF).files(linked.path()));
        let units = [(Distribution::Kubelet, ago(10 * 24 * 60)), (unit, end)];
        nodes.push(Node::new(&format!("{name}-moved"), Mode::QUERY_ON).units(&units));
    }
    let cluster = Setup::new(nodes).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let words = [
        "runs RKE2, whose kubelet logs to /var/lib/rancher/rke2/agent/logs/kubelet.log",
        "ln -s /var/lib/rancher/rke2/agent/logs /var/log/rke2",
        "--path rke2/kubelet.log",
    ];
    for (name, unit) in [("server", "rke2-server"), ("agent", "rke2-agent")] {
        for args in [&[][..], &["--tail", "2"], &["--since", "1h"], &["--source", "query"], &["-g", "kubelet"]] {
            run(&kubeconfig, [name].iter().chain(args)).expect(5, &words);
        }
        run(&kubeconfig, [&*format!("{name}-moved"), "--tail", "2"]).expect(5, &words);
        let moved = run(&kubeconfig, [format!("{name}-moved")]);
        moved.expect(3, &words);
        assert!(moved.text().contains("kubelet[640]") && !moved.text().contains("rke2"), "{}", moved.text());
        for node in [format!("{name}-linked"), format!("{name}-off")] {
            let ran = run(&kubeconfig, [&node]);
            ran.expect(0, &["/var/log/rke2/kubelet.log"]);
            assert_eq!(ran.text(), text, "{node}");
        }
        let all = run(&kubeconfig, [name, "-u", unit]);
        all.expect(0, &[]);
        assert_eq!(all.text().lines().count(), 5);
    }
}

fn write(root: &Path, name: &str, text: impl AsRef<[u8]>, at: i64) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(&path, text).expect("a file");
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_micros(at as u64);
    std::fs::File::options().append(true).open(&path).expect("a file").set_modified(at).expect("a time");
}

#[test]
fn without_a_journal_a_distributions_own_file_is_read() {
    let end = ago(30);
    for (zone, offset) in ZONES {
        let root = tempfile::tempdir().expect("a directory");
        let mut nodes = Vec::new();
        for unit in MIXED {
            let folder = root.path().join(unit.unit());
            let text: String = unit.written(end, offset).iter().map(|line| format!("{}\n", line.bare)).collect();
            write(&folder, &format!("{}.log", unit.unit()), text, end);
            for mode in [Mode::QUERY_OFF, Mode::QUERY_ON] {
                let query = if mode == Mode::QUERY_ON { "on" } else { "off" };
                nodes.push(Node::new(&format!("{query}.{}", unit.unit()), mode).zone(zone).units(&[]).files(&folder));
            }
        }
        let cluster = Setup::new(nodes).start();
        let kubeconfig = cluster.kubeconfig(User::Admin);
        for unit in MIXED {
            let kubelets: Vec<Written> = unit.written(end, offset).into_iter().filter(|line| line.kubelets).collect();
            let text =
                |lines: &[Written]| lines.iter().map(|line| format!("{}\n", line.shown_bare())).collect::<String>();
            for query in ["on", "off"] {
                let node = format!("{query}.{}", unit.unit());
                let ran = run(&kubeconfig, [&node]);
                // In a file nothing parts systemd's words from what they stand behind.
                let without = |text: &str| {
                    text.lines()
                        .filter(|line| !line.contains("tart") || line.contains("Kubelet"))
                        .map(|l| format!("{l}\n"))
                        .collect::<String>()
                };
                assert_eq!(without(ran.text()), without(&text(&kubelets)), "{node} {}", ran.stderr);
                ran.expect(0, &[&format!("from /var/log/{}.log", unit.unit())]);
                let last = run(&kubeconfig, [&*node, "--tail", "1", "--timestamps"]);
                last.expect(0, &[]);
            }
        }
    }
}

#[test]
fn in_a_syslog_file_the_lines_of_whatever_runs_the_kubelet_are_shown() {
    let end = ago(30);
    let others = "Nov 21 03:07:12 node-7 sshd[1]: Accepted publickey\n";
    for (zone, offset) in ZONES {
        let root = tempfile::tempdir().expect("a directory");
        let mut nodes = Vec::new();
        for unit in [Distribution::Kubelet, Distribution::Rke2Server].iter().chain(&MIXED) {
            let folder = root.path().join(unit.unit());
            let text: String = unit.written(end, offset).into_iter().map(|line| line.syslog).collect();
            write(&folder, "messages", format!("{others}{text}"), end);
            nodes.push(Node::new(unit.unit(), Mode::QUERY_OFF).zone(zone).files(&folder));
        }
        let cluster = Setup::new(nodes).start();
        let kubeconfig = cluster.kubeconfig(User::Admin);
        for unit in [Distribution::Kubelet].iter().chain(&MIXED) {
            let expected: String = unit
                .written(end, offset)
                .iter()
                .filter(|line| line.kubelets && !line.syslog.contains("systemd["))
                .map(|line| line.shown(&line.syslog))
                .collect();
            let ran = run(&kubeconfig, [unit.unit()]);
            same(&ran, &expected);
            ran.expect(0, &["reading /var/log/messages, the lines of the kubelet, by itself or in k3s"]);
            let last = run(&kubeconfig, [unit.unit(), "--tail", "2", "--since", "2h"]);
            let lines: Vec<&str> = expected.split_inclusive('\n').collect();
            same(&last, &lines[lines.len() - 2..].concat());
        }
        run(&kubeconfig, ["rke2-server"]).expect(5, &["runs RKE2", "ln -s"]);
    }
}

#[test]
fn of_several_files_the_one_written_last_is_read() {
    let root = tempfile::tempdir().expect("a directory");
    let (old, new) = (ago(10 * 24 * 60), ago(30));
    let text = |unit: Distribution, end| {
        unit.written(end, 0).iter().map(|line| format!("{}\n", line.bare)).collect::<String>()
    };
    write(root.path(), "kubelet.log", text(Distribution::Kubelet, old), old);
    write(root.path(), "k3s.log", text(Distribution::K3sServer, new), new);
    let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_OFF).files(root.path())]).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let ran = run(&kubeconfig, ["node-a"]);
    ran.expect(0, &["node-a runs k3s: showing the lines of its kubelet from /var/log/k3s.log; -u k3s shows all"]);
    assert!(ran.text().contains("Successfully registered node") && !ran.text().contains("replica_set.go"));
}

/// What journalctl says of a kubelet that has written a line every half a minute up to now.
fn at_work(args: &[String]) -> Vec<Step> {
    if args.iter().any(|arg| arg == "--field") {
        return vec![Step::Print("kubelet.service\n".into())];
    }
    vec![Step::Print(AT_WORK.clone().into())]
}

static AT_WORK: LazyLock<String> = LazyLock::new(|| {
    let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let line = |nth: i64| {
        let at = Timestamp::from_micros(ago(0) - nth * 30_000_000).civil_utc();
        let (month, hour, minute, second) = (month[usize::from(at.month) - 1], at.hour, at.minute, at.second);
        format!("{month} {:02} {hour:02}:{minute:02}:{second:02}.{:06} n kubelet[7]: {nth}\n", at.day, at.micros)
    };
    (0..8).rev().map(line).collect()
});

#[test]
fn a_kubelet_that_has_been_at_work_in_its_unit_up_to_now_is_not_asked_whether_it_left() {
    let cluster = Setup::new(vec![Node::new("busy", Mode::QUERY_ON).reader(Reader::Script(at_work))]).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let args = ["busy", "-u", "kubelet", "--source=query", "--timestamps", "--tail=10"];
    assert_eq!(run(&kubeconfig, args).expect(0, &[]).text().lines().count(), 8);
    assert_eq!(cluster.traffic("/busy/proxy/configz").requests, 0);
    // Undated lines tell nothing.
    run(&kubeconfig, ["busy", "-u", "kubelet", "--source=query"]).expect(0, &[]);
    assert_eq!(cluster.traffic("/busy/proxy/configz").requests, 1);
}
