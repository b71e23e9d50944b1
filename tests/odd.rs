//! What some kubelets, nodes and logs have and others have not: each named after the habit, through the real binary.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use kubelet_logs::clock::Clock;
use kubelet_logs::time::Timestamp;

use crate::cluster::journal::Recording;
use crate::cluster::zone::{Zone, month};
use crate::cluster::{Cluster, Fault, Files, Mode, Node, Reader, Setup, Step, User, What};
use crate::faults::WITH_QUERY;
use crate::support::{Ran, run, skipped};

fn ask(cluster: &Cluster, args: &[&str]) -> Ran {
    run(&cluster.kubeconfig(User::Admin), args)
}

#[track_caller]
fn same(ran: &Ran, expected: &str, what: &str) {
    ran.expect(0, &[]);
    assert!(ran.text() == expected, "{what}: printed:\n{}\nexpected:\n{expected}\n{}", ran.text(), ran.stderr);
}

/// The targets of the requests that a run makes.
fn targets(cluster: &Cluster, run: impl FnOnce()) -> Vec<String> {
    let before = cluster.requests().len();
    run();
    cluster.requests().split_off(before).into_iter().map(|request| request.target).collect()
}

fn file(root: &Path, name: &str, text: &str) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(path, text).expect("a file");
}

/// A line of so many seconds ago, as a node in UTC writes it.
fn line_of(ago: u64, words: &str) -> String {
    let at = Clock::System.now().saturating_sub(Duration::from_secs(ago));
    let at = Timestamp::from_micros(at.as_micros()).civil_utc();
    let (hour, minute, second) = (at.hour, at.minute, at.second);
    format!(
        "I{:02}{:02} {hour:02}:{minute:02}:{second:02}.{:06}     974 x.go:1] {words}\n",
        at.month, at.day, at.micros
    )
}

#[test]
fn a_time_of_change_that_was_noted_before_the_line_tells_no_zone() {
    let root = tempfile::tempdir().expect("a directory");
    file(root.path(), "kubelet.log", &line_of(3600, "old"));
    let path = root.path().join("kubelet.log");
    let cluster = Setup::new(vec![Node::new("w1", Mode::QUERY_OFF).files(root.path())]).start();
    // The file was changed now, and what changed it can't be read yet.
    for (nth, words) in [(1, None), (2, Some("new"))] {
        let path = path.clone();
        let deed = move || {
            let mut file = std::fs::File::options().append(true).open(&path).expect("a file");
            let now = Duration::from_micros(Clock::System.now().as_micros() as u64);
            file.set_modified(std::time::UNIX_EPOCH + now).expect("a time");
            if let Some(words) = words {
                file.write_all(line_of(0, words).as_bytes()).expect("room");
            }
        };
        cluster.inject(Fault::new(What::deed(deed)).path("kubelet.log").nth(nth));
    }
    let ran = ask(&cluster, &["w1", "--path=kubelet.log", "--since=10m"]);
    ran.expect(0, &[]);
    assert!(ran.text().ends_with("] new\n") && !ran.text().contains("old"), "{}{}", ran.text(), ran.stderr);
}

#[test]
fn an_index_html_in_place_of_a_listing_is_no_listing() {
    let root = tempfile::tempdir().expect("a directory");
    file(root.path(), "index.html", "<!doctype html>\n<pre>\n<a href=\"evil.log\">evil.log</a>\n</pre>\n");
    file(root.path(), "web/index.html", "<a href=\"x.log\">x.log</a>\n");
    file(root.path(), "kubelet.log", "I1121 03:07:12.123456     974 x.go:1] \"x\"\n");
    let modes = [("off", Mode::QUERY_OFF), ("old", Mode::V1_24), ("on", Mode::QUERY_ON)];
    let cluster = Setup::new(modes.map(|(name, mode)| Node::new(name, mode).files(root.path())).to_vec()).start();
    for (name, _) in modes {
        let index = "holds an index.html, which the kubelet shows instead of a listing";
        ask(&cluster, &["ls", name]).expect(1, &[index, "hint:"]);
        ask(&cluster, &["ls", &format!("{name}:web")]).expect(1, &[index, "--path web/FILE"]);
        ask(&cluster, &[name, "--path", "kubelet.log"]).expect(0, &[]);
        // A page is a file like others where it is named.
        let page = run(&cluster.kubeconfig(User::Admin), [name, "--path", "web"]);
        assert!(page.stdout.is_empty() && page.code != 0, "{name}: {}", page.stderr);
    }
    for name in ["off", "old"] {
        let ran = ask(&cluster, &[name]);
        assert!(ran.code != 0 && ran.stdout.is_empty(), "{name}: {}", ran.stderr);
    }
}

#[test]
fn a_link_out_of_var_log_is_followed_and_a_file_of_mode_000_is_readable() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let (root, outside) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let text = "I1121 03:07:12.123456     974 x.go:1] \"elsewhere\"\n";
    file(outside.path(), "elsewhere.log", text);
    file(root.path(), "secret.log", text);
    symlink(outside.path().join("elsewhere.log"), root.path().join("linked.log")).expect("a link");
    symlink(outside.path(), root.path().join("folder")).expect("a link");
    std::fs::set_permissions(root.path().join("secret.log"), PermissionsExt::from_mode(0o000)).expect("a mode");
    // A kubelet is root.
    let readable = std::fs::File::open(root.path().join("secret.log")).is_ok();
    if !readable {
        skipped("a file of mode 000: only root reads it");
    }
    for mode in [Mode::QUERY_ON, Mode::QUERY_OFF, Mode::V1_24] {
        let cluster = Setup::new(vec![Node::new("node-a", mode).files(root.path())]).start();
        let paths = ["linked.log", "folder/elsewhere.log", "secret.log"];
        for path in &paths[..if readable { 3 } else { 2 }] {
            for more in [&[][..], &["--tail", "1"], &["--timestamps"]] {
                let ran = ask(&cluster, &[&["node-a", "--path", path], more].concat());
                ran.expect(0, &[]);
                assert!(ran.text().ends_with(text), "{mode:?} {path} {more:?}: {}", ran.text());
            }
        }
        ask(&cluster, &["ls", "node-a:folder"]).expect(0, &[]);
    }
}

#[test]
fn an_empty_file_is_an_empty_log_whatever_its_ranges_are_answered_with() {
    // 200 since Go 1.22, 416 before.
    for mode in [Mode::QUERY_ON, Mode::QUERY_OFF, Mode::V1_24] {
        let cluster = Setup::new(vec![Node::new("node-a", mode)]).start();
        for args in [&[][..], &["--tail", "5"], &["--since", "1h"], &["-g", "x", "--tail", "1"], &["--timestamps"]] {
            let ran = ask(&cluster, &[&["node-a", "--path", "empty.log"], args].concat());
            same(&ran, "", &format!("{mode:?} {args:?}"));
        }
        let listed = ask(&cluster, &["ls", "node-a", "--long"]);
        assert!(listed.text().lines().any(|line| line.trim_start().starts_with("0 ") && line.ends_with(" empty.log")));
    }
}

const MINUTE: i64 = 60_000_000;

/// `Nov 14 22:13:20.000000`, as journalctl shows an instant.
fn prefix(at: i64) -> String {
    let text = Timestamp::from_micros(at).rfc3339().to_string();
    format!("{} {} {}", month(text[5..7].parse().expect("a month")), &text[8..10], &text[11..26])
}

/// A journal in which `unit` wrote these lines, one every ten minutes. It is never freed.
fn every_ten_minutes(
    unit: &str,
    from: i64,
    message: impl Fn(i64) -> String,
    count: i64,
) -> (&'static Recording, Vec<String>) {
    let lines: Vec<(i64, String)> = (0..count)
        .map(|number| from + number * 10 * MINUTE)
        .map(|at| (at, format!("{} node-7 {unit}[974]: {}\n", prefix(at), message(at))))
        .collect();
    let entry = |(at, text): &(i64, String)| serde_json::json!({ "t": at, "b": 0, "u": [0], "x": text });
    let entries = lines.iter().map(|line| serde_json::from_value(entry(line)).expect("an entry")).collect();
    let recording = Recording { units: vec![format!("{unit}.service")], boots: vec!["5e".repeat(16)], entries };
    (Box::leak(Box::new(recording)), lines.into_iter().map(|(_, line)| line).collect())
}

fn made(name: &str, mode: Mode, zone: &str, recording: &'static Recording) -> Node {
    let node = Node::new(name, mode).zone(zone).reader(Reader::Made(recording));
    Node { files: Files::Bare, ..node }
}

#[test]
fn a_log_whose_zone_shows_nowhere_is_asked_for_fifteen_hours_more() {
    let from = Timestamp::parse_rfc3339("2023-11-14T00:00:00Z").expect("a time").as_micros();
    let (recording, lines) = every_ten_minutes("containerd", from, |_| "no klog header".to_owned(), 144);
    let zones = [("west", "EST5"), ("utc", "UTC0"), ("east", "LINT-14"), ("india", "IST-5:30")];
    let cluster = Setup::new(zones.map(|(name, zone)| made(name, Mode::QUERY_ON, zone, recording)).to_vec()).start();
    for (name, _) in zones {
        let args = [name, "-u", "containerd", "--source=query", "--since-time", "2023-11-14T20:00:00Z"];
        let asked = targets(&cluster, || same(&ask(&cluster, &args), &lines[120..].concat(), name));
        assert!(asked.iter().any(|target| target.contains("sinceTime=2023-11-14T05%3A00%3A00Z")), "{asked:#?}");
        let until = [&args[..], &["--until-time", "2023-11-14T21:00:00Z"]].concat();
        same(&ask(&cluster, &until), &lines[120..=126].concat(), name);
    }
}

#[test]
fn a_change_to_or_from_summer_time_inside_a_window_loses_no_line() {
    let zone = "EST5EDT,M3.2.0,M11.1.0";
    // Clocks were put back at 06:00 UTC on the one, forward at 07:00 UTC on the other.
    for day in ["2023-11-05", "2024-03-10"] {
        let at = |clock: &str| Timestamp::parse_rfc3339(&format!("{day}T{clock}:00Z")).expect("a time").as_micros();
        let klog = |at: i64| {
            let local = at + Zone::new(zone).offset(at / 1_000_000) * 1_000_000;
            let text = Timestamp::from_micros(local).rfc3339().to_string();
            format!("I{}{} {}     974 x.go:1] \"x\"", &text[5..7], &text[8..10], &text[11..26])
        };
        let (recording, lines) = every_ten_minutes("kubelet", at("03:00"), klog, 42);
        let cluster = Setup::new(WITH_QUERY.map(|(name, mode)| made(name, mode, zone, recording)).to_vec()).start();
        for (name, _) in WITH_QUERY {
            // So many tens of minutes after the beginning.
            for (since, until) in [(6, 36), (17, 19), (18, 24), (20, 40), (24, 25), (0, 17)] {
                let text =
                    |number: i64| Timestamp::from_micros(at("03:00") + number * 10 * MINUTE).rfc3339().to_string();
                let window = ["--since-time", &text(since), "--until-time", &text(until)];
                let ran = ask(&cluster, &[&[name, "-u", "kubelet", "--source=query"], &window[..]].concat());
                same(&ran, &lines[since as usize..=until as usize].concat(), &format!("{name} {day} {window:?}"));
            }
        }
    }
}

#[test]
fn the_tail_is_never_asked_for_together_with_a_start_or_a_pattern() {
    let nodes = WITH_QUERY.map(|(name, mode)| Node::new(name, mode).reader(Reader::Recorded));
    let cluster = Setup::new(nodes.to_vec()).start();
    let since = ["--since-time", "2023-11-14T22:15:00Z"];
    for (name, _) in WITH_QUERY {
        let with = |more: &[&str]| ask(&cluster, &[&[name, "--source=query"], more].concat());
        // With a start journalctl would give the first of them, with a pattern the newest first.
        for rule in [&since[..], &["-g", "volume"], &["-g", "volume", since[0], since[1]]] {
            let whole = with(rule);
            let lines: Vec<&str> = whole.expect(0, &[]).text().split_inclusive('\n').collect();
            assert!(lines.len() > 20, "{rule:?}");
            let tail = with(&[rule, &["--tail", "7"]].concat());
            let last: Vec<&str> = lines.iter().rev().filter(|line| line.starts_with("Nov ")).take(7).copied().collect();
            let shown: Vec<&str> = tail.expect(0, &[]).text().lines().filter(|line| line.starts_with("Nov ")).collect();
            assert_eq!(shown, last.iter().rev().map(|line| line.trim_end()).collect::<Vec<_>>(), "{name} {rule:?}");
        }
    }
    let both =
        |target: &str| target.contains("tailLines=") && (target.contains("sinceTime=") || target.contains("pattern="));
    assert!(cluster.requests().iter().all(|request| !both(&request.target)));
    assert!(cluster.requests().iter().any(|request| request.target.contains("tailLines=")));
}

#[test]
fn no_more_lines_are_asked_for_than_the_kubelet_gives() {
    let cluster = Setup::new(WITH_QUERY.map(|(name, mode)| Node::new(name, mode)).to_vec()).start();
    for (name, _) in WITH_QUERY {
        let whole = ask(&cluster, &[name, "--source=query"]);
        for tail in ["100000", "100001", "5000000"] {
            let asked = targets(&cluster, || {
                let ran = ask(&cluster, &[name, "--source=query", "--tail", tail]);
                same(&ran, whole.text(), &format!("{name} {tail}"));
            });
            let most =
                asked.iter().filter_map(|target| target.split("tailLines=").nth(1)?.split('&').next()?.parse().ok());
            assert!(most.max() <= Some(100_000), "{asked:#?}");
        }
    }
}

const FIRST: &str = "Nov 14 22:13:20.000001 n kubelet[1]: I1114 22:13:20.000001 1 x.go:1] one\n";
const SECOND: &str = "Nov 14 22:14:20.000001 n kubelet[1]: I1114 22:14:20.000001 1 x.go:1] two\n";

/// An older journalctl.
fn rebooted(args: &[String]) -> Vec<Step> {
    let text = if args[0] == "--field" { "kubelet.service\n".into() } else { format!("{FIRST}-- Reboot --\n{SECOND}") };
    vec![Step::Print(Bytes::from(text))]
}

#[test]
fn a_reboot_line_stands_between_two_entries_of_a_text_and_is_none() {
    let nodes = WITH_QUERY.map(|(name, mode)| Node::new(name, mode).reader(Reader::Script(rebooted)));
    let cluster = Setup::new(nodes.to_vec()).start();
    for (name, _) in WITH_QUERY {
        let with = |more: &[&str]| ask(&cluster, &[&[name, "-u", "kubelet", "--source=query"], more].concat());
        let whole = format!("{FIRST}-- Reboot --\n{SECOND}");
        same(&with(&[]), &whole, name);
        same(&with(&["--tail", "2"]), &whole, name);
        same(&with(&["--tail", "1"]), SECOND, name);
        same(&with(&["-g", "two"]), SECOND, name);
        same(&with(&["-e", "two"]), FIRST, name);
        let records = with(&["-o", "jsonl"]);
        assert_eq!(records.text().lines().count(), 2, "{}", records.text());
        assert!(!records.text().contains("Reboot"), "{}", records.text());
    }
}

#[test]
fn a_units_name_is_asked_for_without_service() {
    let cluster = Setup::new(WITH_QUERY.map(|(name, mode)| Node::new(name, mode)).to_vec()).start();
    for (name, _) in WITH_QUERY {
        for source in ["--source=query", "--source=journal"] {
            let plain = ask(&cluster, &[name, "-u", "containerd", source]);
            assert!(!plain.text().is_empty());
            same(&ask(&cluster, &[name, "-u", "containerd.service", source]), plain.text(), source);
        }
    }
    // The kubelet would take it for a file of that name.
    assert!(cluster.requests().iter().all(|request| !request.target.contains(".service")));
}

#[test]
fn more_units_than_a_query_takes_are_read_from_the_journal() {
    let cluster = Setup::new(WITH_QUERY.map(|(name, mode)| Node::new(name, mode)).to_vec()).start();
    let units = "kubelet,containerd,sshd,systemd-journald,cron";
    for (name, _) in WITH_QUERY {
        ask(&cluster, &[name, "-u", units, "--source=query"])
            .expect(2, &["5 units were named", "takes 4", "second run"]);
        let of_journal = run(&cluster.kubeconfig(User::Admin), [name, "-u", units, "--source=journal"]);
        let auto = run(&cluster.kubeconfig(User::Admin), [name, "-u", units]);
        assert_eq!((auto.code, auto.text()), (of_journal.code, of_journal.text()), "{name}: {}", auto.stderr);
    }
}

#[test]
fn a_node_of_talos_has_no_journal_and_its_services_files() {
    let root = tempfile::tempdir().expect("a directory");
    let kubelet = "{\"ts\":1795230432123.456,\"caller\":\"kubelet/kubelet.go:1\",\"msg\":\"Starting\",\"v\":0}\n";
    for name in ["kubelet.log", "etcd.log", "machined.log"] {
        file(root.path(), name, kubelet);
    }
    for mode in [Mode::QUERY_OFF, Mode::QUERY_ON] {
        fn none(_: &[String]) -> Vec<Step> {
            vec![Step::Print("No journal files were found.\n".into())]
        }
        let node = Node::new("talos", mode).files(root.path()).reader(Reader::Script(none));
        let cluster = Setup::new(vec![node]).start();
        for args in [&[][..], &["--tail", "1"], &["-u", "etcd"], &["-f", "--until-time", "2026-11-21T03:10:00Z"]] {
            same(&ask(&cluster, &[&["talos"], args].concat()), kubelet, &format!("{mode:?} {args:?}"));
        }
        ask(&cluster, &["talos", "--source=journal"]).expect(5, &["holds no journal", "ls talos"]);
        ask(&cluster, &["talos", "--dmesg"]).expect(5, &["--dmesg takes the node's journal"]);
    }
}

#[test]
fn what_gke_autopilot_denies_is_told_in_its_words() {
    let words = "nodes \"gk3\" is forbidden: User \"a@example.com\" cannot get resource \"nodes/proxy\" in API group \"\" \
                 at the cluster scope: GKE Warden authz [denied by managed-nodes-limitation]: the request's resource \
                 \"nodes/proxy\" is denied";
    let body = serde_json::json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": words,
        "reason": "Forbidden", "details": { "name": "gk3", "kind": "nodes" }, "code": 403 });
    let denies = What::Text { status: StatusCode::FORBIDDEN, content_type: "application/json", body: body.to_string() };
    let cluster = Setup::new(vec![Node::new("gk3", Mode::QUERY_ON)]).fault(Fault::new(denies).path("/proxy/")).start();
    for args in
        [&["gk3"][..], &["gk3", "--tail", "3"], &["gk3", "--path", "kubelet.log"], &["gk3", "-f"], &["ls", "gk3"]]
    {
        let asked = targets(&cluster, || {
            ask(&cluster, args).expect(4, &["error: gk3: 403 Forbidden", "GKE Warden", "nodes/proxy"]);
        });
        assert!(asked.iter().filter(|target| target.contains("/proxy/")).count() == 1, "{args:?}: {asked:#?}");
    }
}

/// What a unit wrote lately.
fn lately(args: &[String]) -> Vec<Step> {
    written(args, Duration::ZERO)
}

/// The same of the day before yesterday.
fn days_ago(args: &[String]) -> Vec<Step> {
    written(args, Duration::from_secs(50 * 3600))
}

fn written(args: &[String], ago: Duration) -> Vec<Step> {
    if args[0] == "--field" {
        return vec![Step::Print(Bytes::from_static(b"kubelet.service\nsshd.service\n"))];
    }
    let lines = (1..4).rev().map(|nth| {
        let at = Clock::System.now().saturating_sub(ago + Duration::from_secs(nth)).civil_utc();
        format!(
            "{} {:02} {:02}:{:02}:{:02}.{:06} n kubelet[1]: {nth}\n",
            month(at.month.into()),
            at.day,
            at.hour,
            at.minute,
            at.second,
            0
        )
    });
    vec![Step::Print(Bytes::from(lines.collect::<String>()))]
}

#[test]
fn a_running_kubelets_last_lines_are_of_today_and_the_year_of_others_is_asked_for() {
    let node = |name, script| Node::new(name, Mode::QUERY_ON).reader(Reader::Script(script));
    let cluster = Setup::new(vec![node("lately", lately), node("days-ago", days_ago)]).start();
    for (args, asks) in [
        (&["lately", "-u", "kubelet", "--tail=3"][..], false),
        (&["lately", "-u", "kubelet", "--tail=3", "-b", "0"], false),
        (&["lately", "-u", "kubelet", "--tail=3", "-b", "-1"], true),
        (&["lately", "-u", "kubelet", "--tail=5000"], true),
        (&["lately", "-u", "kubelet", "--tail=-1"], true),
        (&["lately", "-u", "sshd", "--tail=3"], true),
        (&["days-ago", "-u", "kubelet", "--tail=3"], true),
    ] {
        let before = cluster.requests().len();
        let ran = ask(&cluster, &[args, &["--timestamps", "--source=query"]].concat());
        let year = Clock::System.now().saturating_sub(Duration::from_secs(60 * 3600)).civil_utc().year;
        let years = [format!("{year}-"), format!("{}-", year + 1)];
        let lines: Vec<_> = ran.text().lines().collect();
        let is_dated = |line: &&str| years.iter().any(|year| line.starts_with(year));
        assert!(lines.len() == 3 && lines.iter().all(is_dated), "{args:?}: {}", ran.text());
        let asked = cluster.requests().split_off(before);
        assert_eq!(asked.iter().any(|request| request.target.contains("sinceTime")), asks, "{args:?}: {asked:#?}");
    }
}
