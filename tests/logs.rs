//! One node's log through the real binary, against what the node's journal and files hold: every mode, zone and filter.

use std::collections::BTreeSet;

use crate::cluster::{Cluster, Fault, Health, Journal, Mode, Node, Reader, Setup, User, What};
use crate::support::{Ran, run};

/// POSIX zone, and its offset in November in seconds.
const ZONES: [(&str, &str, i64); 3] =
    [("utc", "UTC0", 0), ("ny", "EST5EDT,M3.2.0,M11.1.0", -5 * 3600), ("kolkata", "IST-5:30", 19_800)];

/// An entry that may be wanted: what an oracle knows of it.
#[derive(Clone, Debug)]
struct Entry {
    /// As shown, in microseconds.
    shown: i64,
    /// As the journal filters by it; the same where there is no journal.
    real: i64,
    boot: String,
    text: String,
    message: String,
}

/// A case: arguments, and the same as conditions.
#[derive(Clone, Debug, Default)]
struct Case {
    since: Option<i64>,
    until: Option<i64>,
    grep: Option<&'static str>,
    exclude: Option<&'static str>,
    tail: Option<usize>,
}

impl Case {
    fn args(&self) -> Vec<String> {
        let mut args = Vec::new();
        let mut flag = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                args.extend([name.to_owned(), value]);
            }
        };
        flag("--since-time", self.since.map(rfc3339));
        flag("--until-time", self.until.map(rfc3339));
        flag("--grep", self.grep.map(str::to_owned));
        flag("--exclude", self.exclude.map(str::to_owned));
        flag("--tail", self.tail.map(|n| n.to_string()));
        args
    }

    /// What must be printed by the query or from a file.
    fn expected(&self, entries: &[Entry]) -> String {
        self.printed(entries, self.until.is_none() && self.grep.is_none() && self.exclude.is_none())
    }

    /// What must be printed from the journal's files.
    fn of_journal(&self, entries: &[Entry]) -> String {
        self.printed(entries, self.grep.is_none() && self.exclude.is_none())
    }

    /// Entries without a message are printed by nobody, but `tail` may count them, as journalctl does.
    fn printed(&self, entries: &[Entry], counts_all: bool) -> String {
        let matches = |pattern: &str, entry: &Entry| entry.message.to_ascii_lowercase().contains(pattern);
        let wanted: Vec<&Entry> = entries
            .iter()
            .filter(|e| {
                self.since.is_none_or(|since| e.real >= since) && self.until.is_none_or(|until| e.real <= until)
            })
            .filter(|e| self.grep.is_none_or(|g| matches(g, e)) && !self.exclude.is_some_and(|x| matches(x, e)))
            .filter(|e| !e.text.is_empty() || counts_all)
            .collect();
        let from = self.tail.map_or(0, |n| wanted.len().saturating_sub(n));
        let mut text = String::new();
        let mut boot: Option<&str> = None;
        for entry in wanted[from..].iter().filter(|e| !e.text.is_empty()) {
            if boot.is_some_and(|boot| boot != entry.boot) {
                text.push_str(&format!("-- Boot {} --\n", entry.boot));
            }
            boot = Some(&entry.boot);
            text.push_str(&entry.text);
        }
        text
    }
}

/// The cases of the issue, for instants on which journal and shown times agree.
fn cases(instants: &[i64]) -> Vec<Case> {
    let (early, middle, late) =
        (instants[instants.len() / 8], instants[instants.len() / 2], instants[instants.len() * 3 / 4]);
    let case = Case::default;
    vec![
        case(),
        Case { tail: Some(5), ..case() },
        Case { tail: Some(592), ..case() },
        Case { since: Some(middle), ..case() },
        Case { until: Some(early), ..case() },
        Case { since: Some(early), until: Some(late), tail: Some(4), ..case() },
        Case { since: Some(early), until: Some(late), ..case() },
        Case { since: Some(early), tail: Some(7), ..case() },
        Case { until: Some(middle), tail: Some(7), ..case() },
        Case { since: Some(late), tail: Some(100_000), ..case() },
        Case { grep: Some("volume"), ..case() },
        Case { grep: Some("volume"), tail: Some(3), ..case() },
        Case { grep: Some("volume"), tail: Some(200), ..case() },
        Case { grep: Some("volume"), since: Some(middle), until: Some(late), ..case() },
        Case { grep: Some("no such words"), ..case() },
        Case { exclude: Some("volume"), ..case() },
        Case { exclude: Some("volume"), tail: Some(9), ..case() },
        Case { since: Some(late + 86_400_000_000), ..case() },
    ]
}

fn rfc3339(micros: i64) -> String {
    kubelet_logs::time::Timestamp::from_micros(micros).rfc3339().to_string()
}

/// Instants that fall between the same entries by the journal's time and by the shown one.
fn agreed(entries: &[Entry]) -> Vec<i64> {
    let (first, last) = (entries[0].real, entries[entries.len() - 1].real);
    let step = (last - first) / 200;
    (1..200)
        .map(|n| first + n * step)
        .filter(|at| entries.iter().all(|e| (e.real >= *at) == (e.shown >= *at)))
        // The window's end is looked at in the log's order.
        .filter(|at| entries.iter().skip_while(|e| e.shown <= *at).all(|e| e.shown > *at))
        .collect()
}

/// `Nov 14 22:13:20.714841` of 2023, in microseconds.
fn shown(text: &str) -> i64 {
    let at = format!("2023-11-{}T{}Z", &text[4..6], &text[7..22]);
    kubelet_logs::time::Timestamp::parse_rfc3339(&at).expect("a time").as_micros()
}

/// The kubelet's entries as the node's journal has them, its klog headers in the node's zone.
fn journal(offset: i64) -> Vec<Entry> {
    let recording = Journal::default().recording();
    let unit = recording.units.iter().position(|name| name == "kubelet.service").expect("a kubelet");
    recording
        .entries
        .iter()
        .filter(|entry| entry.units.contains(&unit))
        .map(|entry| Entry {
            shown: if entry.text.is_empty() { entry.realtime } else { shown(&entry.text) },
            real: entry.realtime,
            boot: recording.boots[entry.boot].clone(),
            text: localized(&entry.text, offset),
            message: localized(entry.message(), offset),
        })
        .collect()
}

/// Moves the klog header in a text; the fixture's headers are UTC and all of one day.
fn localized(text: &str, offset: i64) -> String {
    let at = if text.starts_with("Nov ") { text.find("]: ").map_or(0, |n| n + 3) } else { 0 };
    let header =
        text.get(at..at + 21).filter(|h| "IWEF".contains(&h[..1]) && h[1..5].bytes().all(|b| b.is_ascii_digit()));
    let Some(header) = header.filter(|h| h.as_bytes()[5] == b' ' && h.as_bytes()[8] == b':') else {
        return text.to_owned();
    };
    let at_utc = kubelet_logs::time::Timestamp::parse_rfc3339(&format!(
        "2023-{}-{}T{}Z",
        &header[1..3],
        &header[3..5],
        &header[6..]
    ));
    let local = rfc3339(at_utc.expect("a time").as_micros() + offset * 1_000_000);
    format!("{}{}{}{} {}{}", &text[..at], &header[..1], &local[5..7], &local[8..10], &local[11..26], &text[at + 21..])
}

/// The entries of a klog file in the node's zone.
fn klog_file(text: &str, offset: i64) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for line in text.split_inclusive('\n') {
        let header = line.len() > 30 && "IWEF".contains(&line[..1]) && line[1..5].bytes().all(|b| b.is_ascii_digit());
        match entries.last_mut() {
            Some(entry) if !header => {
                entry.text.push_str(line);
                entry.message.push_str(line);
            }
            _ => {
                let at = format!("2023-{}-{}T{}Z", &line[1..3], &line[3..5], &line[6..21]);
                let at =
                    kubelet_logs::time::Timestamp::parse_rfc3339(&at).expect("a time").as_micros() - offset * 1_000_000;
                entries.push(Entry {
                    shown: at,
                    real: at,
                    boot: String::new(),
                    text: line.into(),
                    message: line.into(),
                });
            }
        }
    }
    entries
}

fn start(reader: Reader) -> Cluster {
    let mut nodes = Vec::new();
    for (name, zone, _) in ZONES {
        nodes.push(Node::new(&format!("on-{name}"), Mode::QUERY_ON).zone(zone));
        nodes.push(Node::new(&format!("until-{name}"), Mode::BROKEN_UNTIL).zone(zone));
        nodes.push(Node::new(&format!("off-{name}"), Mode::QUERY_OFF).zone(zone));
    }
    nodes.push(Node::new("down", Mode::QUERY_ON).health(Health::Down));
    let mut setup = Setup::new(nodes);
    setup.reader = reader;
    setup.start()
}

#[track_caller]
fn same(ran: &Ran, expected: &str, what: &str) {
    ran.expect(0, &[]);
    let text = String::from_utf8_lossy(&ran.stdout);
    if text != expected {
        let at = text.lines().zip(expected.lines()).position(|(a, b)| a != b);
        panic!(
            "{what}: {} lines, expected {}; first difference at line {at:?}:\n{:?}\n{:?}\nstderr: {}",
            text.lines().count(),
            expected.lines().count(),
            at.and_then(|at| text.lines().nth(at)),
            at.and_then(|at| expected.lines().nth(at)),
            ran.stderr
        );
    }
    if expected.is_empty() {
        assert!(ran.stderr.contains("nothing matched"), "{what}: silence");
    }
}

#[test]
fn with_the_query_on_every_filter_gives_the_journals_entries() {
    for reader in [Reader::Auto, Reader::Recorded] {
        let cluster = start(reader);
        let kubeconfig = cluster.kubeconfig(User::Admin);
        for (zone, _, offset) in ZONES {
            let entries = journal(offset);
            for case in cases(&agreed(&entries)) {
                for node in [format!("on-{zone}"), format!("until-{zone}")] {
                    let args = [node.clone(), "--source=query".to_owned()].into_iter().chain(case.args());
                    let ran = run(&kubeconfig, args);
                    same(&ran, &case.expected(&entries), &format!("{node} ({reader:?}) {:?}", case.args()));
                }
            }
        }
    }
}

#[test]
fn from_its_files_every_filter_gives_the_journals_entries() {
    let cluster = start(Reader::Auto);
    let kubeconfig = cluster.kubeconfig(User::Admin);
    // Each node's files hold the same; only what a kubelet says of its zone differs.
    let entries = journal(0);
    for (zone, _, _) in ZONES {
        for case in cases(&agreed(&entries)) {
            // Whether the query is on or off, and whether the journal was asked for or taken.
            for (node, way) in [("on", "--source=journal"), ("off", "--source=auto"), ("until", "--source=journal")] {
                let args = [format!("{node}-{zone}"), way.to_owned()].into_iter().chain(case.args());
                let ran = run(&kubeconfig, args);
                same(&ran, &case.of_journal(&entries), &format!("{node}-{zone} {way} {:?}", case.args()));
            }
        }
    }
}

#[test]
fn with_the_query_off_every_filter_gives_the_files_entries() {
    let cluster = start(Reader::Auto);
    let kubeconfig = cluster.kubeconfig(User::Admin);
    for (zone, _, offset) in ZONES {
        let node = format!("off-{zone}");
        let root = cluster.var_log(&node);
        let text = |name: &str| std::fs::read_to_string(root.join(name)).expect("a log");
        let mut whole = String::new();
        let packed = std::fs::File::open(root.join("kubelet.log-20231113.gz")).expect("a log");
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(packed), &mut whole).expect("gzip");
        whole.push_str(&text("kubelet.log.1"));
        whole.push_str(&text("kubelet.log"));
        // A file that is named is that file; the kubelet's log is also what was rotated.
        for (log, ways) in
            [(text("kubelet.log"), &[&["--path", "kubelet.log"][..]][..]), (whole, &[&["--source", "file"][..]][..])]
        {
            let entries = klog_file(&log, offset);
            for case in cases(&agreed(&entries)) {
                for way in ways {
                    let args = [node.clone()].into_iter().chain(case.args()).chain(way.iter().map(|s| (*s).to_owned()));
                    same(
                        &run(&kubeconfig, args),
                        &case.expected(&entries),
                        &format!("{node} {:?} {way:?}", case.args()),
                    );
                }
            }
        }
    }
}

#[test]
fn the_same_window_gives_the_same_lines_in_every_zone() {
    let cluster = start(Reader::Auto);
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let entries = journal(0);
    let instants = agreed(&entries);
    let (from, to) = (rfc3339(instants[instants.len() / 4]), rfc3339(instants[instants.len() / 2]));
    for (mode, source) in [("on", "--source=query"), ("off", "--source=auto"), ("off", "--source=file")] {
        let sets: BTreeSet<Vec<String>> = ZONES
            .into_iter()
            .map(|(zone, _, _)| {
                let node = format!("{mode}-{zone}");
                let args = [&*node, source, "--since-time", &from, "--until-time", &to, "--timestamps"];
                let ran = run(&kubeconfig, args);
                ran.expect(0, &[]);
                // Time and message, without what is local.
                let line = |line: &str| format!("{} {}", &line[..27], line.rsplit("] ").next().unwrap_or_default());
                ran.text().lines().filter(|l| !l.contains("-- Boot")).map(line).collect()
            })
            .collect();
        assert_eq!(sets.len(), 1, "{mode} {source}: {sets:#?}");
        assert!(sets.iter().all(|lines| lines.len() > 20));
    }
    for (zone, _, _) in ZONES {
        let place = format!("/on-{zone}/proxy/logs/?query=kubelet&sinceTime=");
        assert!(
            cluster.requests().iter().any(|request| request.target.contains(&place)),
            "the zone bug is the query's"
        );
    }
}

#[test]
fn what_goes_wrong_is_said_and_never_printed_as_a_log() {
    let cluster = start(Reader::Auto);
    let admin = cluster.kubeconfig(User::Admin);
    for mode in ["on-utc", "off-utc"] {
        let ask = |args: &[&str]| run(&admin, [mode].iter().chain(args));
        ask(&["-u", "nosuch"]).expect(5, &["nosuch"]);
        ask(&["-u", "nosuch", "--tail", "3"]).expect(5, &["nosuch"]);
        ask(&["--path", "nosuch.log"]).expect(5, &["/var/log/nosuch.log", "kubectl kubelet-logs ls"]);
        ask(&["--path", "nosuch/x.log", "--tail", "2"]).expect(5, &["nosuch/x.log"]);
        ask(&["--path", "kubelet.log,messages"]).expect(5, &["each file takes a --path of its own"]);
        ask(&["--path", "audit"]).expect(2, &["/var/log/audit is a directory"]);
        ask(&["--tail", "0"]).expect(0, &[]);
        for (user, code, words) in [
            (User::NoProxy, 4, "nodes/proxy"),
            (User::LogsOnly, 4, "nodes/proxy"),
            (User::Nobody, 4, "nodes/proxy"),
            (User::Anonymous, 4, "system:anonymous"),
        ] {
            run(&cluster.kubeconfig(user), [mode]).expect(code, &["403 Forbidden", words, "get"]);
        }
        run(&cluster.kubeconfig(User::BadToken), [mode]).expect(4, &["401 Unauthorized"]);
    }
    run(&admin, ["on-utc", "-u", "let"]).expect(5, &["let"]);
    run(&admin, ["off-utc", "--source", "query"]).expect(1, &["no log query", "enableSystemLogQuery: true"]);
    run(&admin, ["nosuch"]).expect(5, &["nodes \"nosuch\" not found"]);
    run(&admin, ["down"]).expect(6, &["down:", "connection refused"]);
    run(&admin, ["down", "--path", "kubelet.log"]).expect(6, &["connection refused"]);
}

#[test]
fn a_missing_unit_among_several_is_named_behind_what_there_is() {
    let files = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: String| std::fs::write(files.path().join(name), text).expect("a file");
    let line = |number: i64| format!("I1121 03:07:12.{number:06}     974 x.go:1] \"line\" number={number}\n");
    let (own, syslog) = (|name: &str| format!("{name} {}", line(1)), "Nov 21 03:07:12 n sshd[1]: Accepted\n");
    write("kubelet.log", (0..40).map(line).collect());
    write("containerd.log", own("time"));
    let bare = Node::new("files", Mode::QUERY_OFF).files(files.path());
    let shared = tempfile::tempdir().expect("a directory");
    std::fs::write(shared.path().join("messages"), syslog).expect("a file");
    let shared = Node::new("shared", Mode::QUERY_OFF).files(shared.path());
    let cluster = Setup::new(vec![Node::new("on", Mode::QUERY_ON), bare, shared]).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let ask = |args: &[&str]| run(&kubeconfig, args);
    for (node, source) in [("on", "--source=query"), ("files", "--source=file"), ("files", "--source=auto")] {
        for more in [&[][..], &["--tail", "3"], &["--tail", "400"], &["-g", "number=3|volume"]] {
            let there = ask(&[&[node, source, "-u", "kubelet"], more].concat());
            assert!(!there.expect(0, &[]).stdout.is_empty());
            for units in ["nosuch,kubelet", "kubelet,nosuch"] {
                let ran = ask(&[&[node, source, "-u", units], more].concat());
                assert_eq!(
                    (ran.code, ran.text()),
                    (3, there.text()),
                    "{node} {source} {units} {more:?}: {}",
                    ran.stderr
                );
                assert!(ran.stderr.contains("nosuch") && !ran.stderr.contains("NODE"), "{}", ran.stderr);
            }
        }
    }
    // Among many programs' lines, too; and of what is nowhere nothing else is said.
    let ran = ask(&["shared", "-u", "nosuch,sshd"]);
    assert_eq!((ran.code, ran.text()), (3, syslog), "{}", ran.stderr);
    assert!(ran.stderr.contains("no log of nosuch") && ran.stderr.contains("ls shared"), "{}", ran.stderr);
    for (node, words) in [("shared", "error: shared: no log of nosuch"), ("on", "error: on: no log of unit nosuch")] {
        let ran = ask(&[node, "-u", "nosuch"]);
        ran.expect(5, &[words, &format!("kubectl kubelet-logs ls {node}")]);
        assert!(!ran.stderr.contains("note:") && !ran.stderr.contains("NODE"), "{}", ran.stderr);
    }
}

#[test]
fn a_node_without_query_and_file_gets_an_honest_answer() {
    let empty = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(empty.path().join("journal")).expect("a directory");
    let cluster = Setup::new(vec![Node::new("bare", Mode::QUERY_OFF).files(empty.path())]).start();
    let ran = run(&cluster.kubeconfig(User::Admin), ["bare"]);
    ran.expect(
        5,
        &["offers no log query", "journal", "enableSystemLogQuery: true", "featureGates: {NodeLogQuery: true}"],
    );
}

#[test]
fn files_come_byte_for_byte_in_one_request() {
    let cluster = start(Reader::Auto);
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let root = cluster.var_log("on-utc").to_owned();
    let names = [
        "kubelet.log",
        "large.log",
        "empty.log",
        "no-newline.log",
        "name with space & <angle>.log",
        "café-100%.log",
        "quote\"s and 'single'.log",
        "plus+semi;colon:.log",
        "audit/audit.log",
    ];
    for name in names {
        let before = cluster.requests().len();
        let ran = run(&kubeconfig, ["on-utc", "--path", name]);
        ran.expect(0, &[]);
        assert!(ran.stdout == std::fs::read(root.join(name)).expect("a file"), "{name}");
        assert_eq!(cluster.requests().len() - before, 1, "{name}: one request");
    }
    let gz = "kubelet.log-20231113.gz";
    let packed = std::fs::read(root.join(gz)).expect("a file");
    let mut plain = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&*packed), &mut plain).expect("gzip");
    assert!(run(&kubeconfig, ["on-utc", "--path", gz]).stdout == plain, "unpacked");
    assert!(run(&kubeconfig, ["on-utc", "--path", gz, "--no-decompress"]).stdout == packed, "as it is");
    let tail = run(&kubeconfig, ["on-utc", "--path", gz, "--tail", "1"]);
    assert!(plain.ends_with(&tail.stdout) && !tail.stdout.is_empty());
    let two = run(&kubeconfig, ["on-utc", "--path", "audit/audit.log", "--path", "no-newline.log", "--tail", "2"]);
    assert_eq!(two.text().lines().count(), 2, "files print one after another: {:?}", two.text());
}

#[test]
fn a_plain_log_costs_one_request_and_names_its_client() {
    let cluster = start(Reader::Auto);
    let kubeconfig = cluster.kubeconfig(User::Admin);
    // The journal is years old: without a name it would be asked whether another unit is at work.
    let query = ["on-utc", "--tail", "5", "--source", "query"];
    for args in [&["on-utc"][..], &query, &["on-utc", "-g", "volume"]] {
        let args = [args, &["-u", "kubelet"]].concat();
        let before = cluster.requests().len();
        run(&kubeconfig, &args).expect(0, &[]);
        let requests = cluster.requests().split_off(before);
        // And one for the kubelet's configuration, which tells whether its unit holds all of its lines.
        assert_eq!(requests.len(), 2, "{args:?}: {requests:#?}");
        assert!(requests[1].target.ends_with("/proxy/configz"), "{args:?}: {requests:#?}");
        let agent = requests[0].headers.get("user-agent").and_then(|v| v.to_str().ok()).unwrap_or_default();
        assert!(agent.starts_with("kubectl-kubelet_logs/"), "{agent}");
        assert!(!requests[0].headers.contains_key("accept"));
    }
}

#[test]
fn a_unit_that_is_a_text_file_is_read_as_one() {
    let cluster = start(Reader::Auto);
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let text = std::fs::read_to_string(cluster.var_log("on-utc").join("large.log")).expect("a file");
    let last: Vec<&str> = text.split_inclusive('\n').collect();
    let ran = run(&kubeconfig, ["on-utc", "-u", "large", "--tail", "2"]);
    ran.expect(0, &["reading /var/log/large.log"]);
    assert_eq!(ran.text(), last[last.len() - 2..].concat());
    assert!(run(&kubeconfig, ["on-utc", "-u", "large"]).text() == text, "whole, through the query");
    run(&kubeconfig, ["on-utc", "-u", "large", "--tail", "2", "--source", "query"]).expect(2, &["text file"]);
    run(&kubeconfig, ["on-utc", "-u", "empty,no-newline", "--since", "1h"]).expect(2, &["no line of"]);
}

#[test]
fn a_probe_that_is_cut_short_does_not_move_the_log_to_another_year() {
    let cluster = start(Reader::Auto);
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let told = ["on-utc", "--timestamps", "--source=query"];
    let expected = run(&kubeconfig, told);
    assert!(expected.text().starts_with("2023-11-14T"));
    for what in [What::EndAfter(0), What::CutAfter(60), What::Reset] {
        cluster.inject(Fault::new(what).node("on-utc").path("sinceTime=2023").first(1));
        let ran = run(&kubeconfig, told);
        ran.expect(0, &[]);
        assert!(ran.stdout == expected.stdout, "{}", ran.text().lines().next().unwrap_or_default());
        let none = run(&kubeconfig, ["on-utc", "--until-time", "2022-12-31", "--source=query"]);
        none.expect(0, &["nothing matched up to 2022-12-31"]);
        cluster.heal();
    }
    // One that is never answered whole ends the run: a guess would be wrong.
    cluster.inject(Fault::new(What::EndAfter(0)).node("on-utc").path("sinceTime=2023"));
    run(&kubeconfig, told).expect(3, &["year"]);
}

#[test]
fn a_file_that_spans_years_without_naming_them_is_warned_of() {
    let root = tempfile::tempdir().expect("a directory");
    let line = |day: &str| format!("I{day} 10:00:00.000000    1203 x.go:1] \"x\"\n");
    let path = root.path().join("old.log");
    std::fs::write(&path, ["0124", "1124", "0225", "0325"].map(line).concat()).expect("a file");
    let written = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_774_432_800); // 2026-03-25T10:00:00Z
    std::fs::File::options().append(true).open(&path).expect("a file").set_modified(written).expect("a time");
    let cluster = Setup::new(vec![Node::new("old", Mode::QUERY_OFF).files(root.path())]).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    run(&kubeconfig, ["old", "--path", "old.log", "--timestamps"]).expect(0, &["warning: old: the times in old.log"]);
    let tail = run(&kubeconfig, ["old", "--path", "old.log", "--timestamps", "--tail", "1"]);
    assert!(tail.text().starts_with("2026-03-25T10:00:00"), "{}", tail.text());
}
