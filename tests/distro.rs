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
