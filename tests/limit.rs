//! The kubelet's 30 seconds: journalctl is killed, the answer ends without a word, and what is missing must be fetched or
//! its lack be told. The limit is shortened on both sides.

use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kubelet_logs::clock::Clock;
use kubelet_logs::time::Timestamp;

use crate::cluster::engine;
use crate::cluster::journal::{Localizer, Recording};
use crate::cluster::zone::Zone;
use crate::cluster::{Cluster, Fault, Files, Mode, Node, Reader, Setup, Step, User, What};
use crate::faults::WITH_QUERY;
use crate::support::{Ran, run};

/// How long the kubelets of these tests let a query run, and what the program is told of it.
const LIMIT: Duration = Duration::from_secs(2);
const TOLD: [&str; 5] = ["--server-limit", "2s", "--timeout", "60s", "--source=query"];

/// Fixed offsets: the log is of today, and so might a change to summer time be.
const ZONES: [&str; 3] = ["UTC0", "EST5", "IST-5:30"];

/// How much a journalctl of these tests writes until it is killed: two hours of the log.
const SPEED: usize = 44_000;

const ENTRIES: i64 = 1080;
const STEP: i64 = 20_000_000;

/// Six hours of a kubelet's log up to an hour ago: two boots, entries of several lines, entries that come twice.
fn log() -> &'static Recording {
    static LOG: OnceLock<Recording> = OnceLock::new();
    LOG.get_or_init(|| {
        let from = Clock::System.now().as_micros() - 3_600_000_000 - ENTRIES * STEP;
        let mut entries = Vec::new();
        for number in 0..ENTRIES {
            let at = from + number * STEP;
            let (prefix, header) = stamps(at);
            let severity = if number % 10 == 3 { 'E' } else { 'I' };
            let mut text = format!(
                "{prefix} node-7 kubelet[1203]: {severity}{header}    1203 loop.go:{number}] \"Syncing\" step={number}\n"
            );
            if number % 12 == 7 {
                // journalctl indents them to the message's column.
                text.push_str(&format!("{:45}a second line, number={number}\n{:45}and a third\n", "", ""));
            }
            let boot = usize::from(number >= 300);
            let entry = serde_json::json!({ "t": at, "b": boot, "u": [1], "x": text });
            for _ in 0..if number % 17 == 5 { 2 } else { 1 } {
                entries.push(serde_json::from_value(entry.clone()).expect("an entry"));
            }
        }
        Recording {
            units: ["containerd.service", "kubelet.service"].map(str::to_owned).to_vec(),
            boots: ["1f".repeat(16), "2e".repeat(16)].to_vec(),
            entries,
        }
    })
}

/// An instant as journalctl's prefix and klog's header show it.
fn stamps(micros: i64) -> (String, String) {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = Timestamp::from_micros(micros).rfc3339().to_string();
    let (month, day, clock) = (&text[5..7], &text[8..10], &text[11..26]);
    let name = MONTHS[month.parse::<usize>().expect("a month") - 1];
    (format!("{name} {day} {clock}"), format!("{month}{day} {clock}"))
}

/// What journalctl prints on a node in this zone.
fn journalctl(zone: usize, args: &[String]) -> Bytes {
    let zone = Zone::new(ZONES[zone]);
    let mut lines = Localizer::new(&zone);
    lines.push(BytesMut::from(&engine::answer(log(), &zone, args)[..]))
}

/// Where in a line an answer is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
enum Cut {
    LineEnd,
    MidLine,
    InsideTheTime,
    BeforeContinuation,
    InsideContinuation,
    BetweenTwins,
    InsideMarker,
    AfterMarker,
}

const CUTS: [Cut; 8] = [
    Cut::LineEnd,
    Cut::MidLine,
    Cut::InsideTheTime,
    Cut::BeforeContinuation,
    Cut::InsideContinuation,
    Cut::BetweenTwins,
    Cut::InsideMarker,
    Cut::AfterMarker,
];

impl Cut {
    /// The last such place in the beginning of an answer that fits into the time.
    fn place(self, answer: &[u8]) -> usize {
        let line_end = |before: usize| answer[..before].iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1);
        // Only near the end of what fits: an answer that is cut where it was cut before brings nothing new.
        let near = SPEED - 8_000;
        let last = |words: &[u8]| Some(near + answer[near..SPEED].windows(words.len()).rposition(|w| w == words)?);
        let end = line_end(SPEED);
        match self {
            Cut::LineEnd => end,
            Cut::MidLine => end - 20,
            Cut::InsideTheTime => line_end(end - 1) + 9,
            Cut::BeforeContinuation => line_end(last(b"a second line").unwrap_or(end)),
            Cut::InsideContinuation => last(b"and a third").map_or(end, |at| at + 5),
            Cut::BetweenTwins => {
                let lines: Vec<&[u8]> = answer[..end].split_inclusive(|b| *b == b'\n').collect();
                let twin = lines.windows(2).rposition(|pair| pair[0] == pair[1]).map_or(lines.len(), |n| n + 1);
                lines[..twin].iter().map(|line| line.len()).sum()
            }
            Cut::InsideMarker => last(b"-- Boot 2e").map_or(end, |at| at + 20),
            Cut::AfterMarker => last(b"-- Boot 2e").map_or(end, |at| at + 44),
        }
    }
}

/// A journalctl that is too slow for all it has to print.
fn slow<const ZONE: usize, const CUT: usize>(args: &[String]) -> Vec<Step> {
    let text = journalctl(ZONE, args);
    if text.len() <= SPEED {
        return vec![Step::Print(text)];
    }
    vec![Step::Print(text.slice(..CUTS[CUT].place(&text))), Step::Hang]
}

/// The same with all the time it needs.
fn quick<const ZONE: usize>(args: &[String]) -> Vec<Step> {
    vec![Step::Print(journalctl(ZONE, args))]
}

fn node(name: &str, zone: usize, script: fn(&[String]) -> Vec<Step>) -> Node {
    let node = Node::new(name, Mode::QUERY_ON).zone(ZONES[zone]).reader(Reader::Script(script));
    Node { files: Files::Bare, ..node }
}

/// The same in every mode with a query: `NAME.MODE`.
fn in_every_mode(nodes: Vec<Node>) -> Vec<Node> {
    let of = |node: &Node| {
        WITH_QUERY.map(|(mode, rules)| Node { name: format!("{}.{mode}", node.name), mode: rules, ..node.clone() })
    };
    nodes.iter().flat_map(of).collect()
}

/// The mode whose turn it is.
fn turn(name: &str, number: usize) -> String {
    format!("{name}.{}", WITH_QUERY[number % WITH_QUERY.len()].0)
}

/// All of them.
fn every(name: &str) -> Vec<String> {
    (0..WITH_QUERY.len()).map(|number| turn(name, number)).collect()
}

fn start(nodes: Vec<Node>) -> Cluster {
    Setup::new(nodes).query_limit(LIMIT).start()
}

/// Runs them side by side: most of the time they wait for the limit. Not all at once, lest a busy machine gets nothing done
/// within it.
fn each(cluster: &Cluster, cases: Vec<Vec<String>>) -> Vec<(Vec<String>, Ran)> {
    const SIDE_BY_SIDE: usize = 12;
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let (next, done) = (Mutex::new(cases.into_iter()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                loop {
                    let case = next.lock().expect("no panic while choosing").next();
                    let Some(args) = case else { break };
                    let ran = run(&kubeconfig, args.iter().map(String::as_str).chain(TOLD));
                    done.lock().expect("no panic while adding").push((args, ran));
                }
            });
        }
    });
    done.into_inner().expect("all have ended")
}

fn words(node: &str, args: &[&str]) -> Vec<String> {
    [node].iter().chain(args).map(|word| (*word).to_owned()).collect()
}

#[track_caller]
fn same(args: &[String], ran: &Ran, expected: &[u8]) {
    ran.expect(0, &[]);
    let (text, expected) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(expected));
    let difference = text.lines().zip(expected.lines()).position(|(a, b)| a != b);
    assert!(
        text == expected,
        "{args:?}: {} lines, expected {}; at {difference:?}: {:?}, not {:?}\n{}",
        text.lines().count(),
        expected.lines().count(),
        difference.and_then(|at| text.lines().nth(at)),
        difference.and_then(|at| expected.lines().nth(at)),
        ran.stderr
    );
}

/// The arguments of these tests, after the node's name.
fn cases() -> Vec<Vec<String>> {
    let at = |entry: i64| Timestamp::from_micros(log().entries[entry as usize].realtime).rfc3339().to_string();
    let (early, late) = (at(100), at(ENTRIES - 100));
    [
        &[][..],
        &["--since-time", &early],
        &["--until-time", &late],
        &["--since-time", &early, "--until-time", &late],
        &["--tail", "600"],
        &["--since-time", &early, "--tail", "600"],
        &["--grep", "syncing"],
        &["--grep", "number=|step=[0-9]+5$"],
        &["--exclude", "step=.*7$"],
        &["--priority", "E", "--since-time", &early],
        &["--timestamps"],
        &["--limit-bytes", "60000"],
    ]
    .map(|args: &[&str]| args.iter().map(|arg| (*arg).to_owned()).collect())
    .to_vec()
}

/// What a node that has the time answers to the same.
fn expected(cluster: &Cluster, zone: usize, args: &[String]) -> Vec<u8> {
    let quick = [format!("quick-{zone}"), "--source=query".to_owned()];
    let ran = run(&cluster.kubeconfig(User::Admin), quick.iter().chain(args));
    ran.expect(0, &[]);
    assert!(!ran.stdout.is_empty(), "{args:?}");
    ran.stdout
}

fn nodes() -> Vec<Node> {
    macro_rules! slow_nodes {
        ($($zone:literal: $($cut:literal)*;)*) => {
            vec![$($(node(concat!("slow-", $zone, "-", $cut), $zone, slow::<$zone, $cut>),)*)*]
        };
    }
    let mut nodes = in_every_mode(slow_nodes! { 0: 0 1 2 3 4 5 6 7; 1: 0 1; 2: 0 1; });
    nodes.extend([node("quick-0", 0, quick::<0>), node("quick-1", 1, quick::<1>), node("quick-2", 2, quick::<2>)]);
    nodes
}

#[test]
fn an_answer_cut_at_the_limit_is_continued_wherever_it_was_cut() {
    let cluster = start(nodes());
    let whole = ["--utc", "--unit=kubelet"].map(str::to_owned);
    // Wherever in some mode, and inside a line in every one.
    let wherever = (0..CUTS.len()).map(|cut| turn(&format!("slow-0-{cut}"), cut));
    let mut names: Vec<String> = wherever.chain(every(&format!("slow-0-{}", Cut::MidLine as usize))).collect();
    names.sort();
    names.dedup();
    for (args, ran) in each(&cluster, names.iter().map(|name| words(name, &[])).collect()) {
        same(&args, &ran, &journalctl(0, &whole));
        let asked = cluster.requests().iter().filter(|request| request.target.contains(&args[0])).count();
        assert!(asked > 3, "{args:?}: cut several times, yet asked {asked} times");
    }
}

#[test]
fn an_answer_cut_at_the_limit_is_continued_whatever_was_asked() {
    let cluster = start(nodes());
    let mut asked = Vec::new();
    for zone in 0..ZONES.len() {
        for cut in [Cut::LineEnd, Cut::MidLine] {
            let name = format!("slow-{zone}-{}", cut as usize);
            // Each case in each mode, somewhere.
            let shifted = zone * 2 + cut as usize;
            asked.extend(cases().into_iter().zip(shifted..).map(|(args, n)| [vec![turn(&name, n)], args].concat()));
        }
    }
    for (args, ran) in each(&cluster, asked) {
        let zone = args[0][5..6].parse().expect("a zone");
        same(&args, &ran, &expected(&cluster, zone, &args[1..]));
    }
}

/// Says nothing for most of the time it has.
fn late(args: &[String]) -> Vec<Step> {
    let wait = if args[0] == "--field" { Duration::ZERO } else { LIMIT * 2 / 3 };
    vec![Step::Wait(wait), Step::Print(journalctl(0, args))]
}

#[test]
fn a_first_byte_that_comes_late_but_in_time_is_waited_for() {
    let cluster = start(in_every_mode(vec![node("late", 0, late)]));
    let whole = journalctl(0, &["--unit=kubelet".to_owned()]);
    for (args, ran) in each(&cluster, every("late").iter().map(|name| words(name, &[])).collect()) {
        same(&args, &ran, &whole);
    }
}

/// Prints all, and then goes on looking for more; with a start it comes to its end.
fn lingering(args: &[String]) -> Vec<Step> {
    let text = journalctl(0, args);
    match args.iter().any(|arg| arg == "--field" || arg.starts_with("--since")) {
        true => vec![Step::Print(text)],
        false => vec![Step::Print(text), Step::Hang],
    }
}

/// The same without ever coming to its end.
fn lingering_on(args: &[String]) -> Vec<Step> {
    let end = if args[0] == "--field" { None } else { Some(Step::Hang) };
    [Step::Print(journalctl(0, args))].into_iter().chain(end).collect()
}

#[test]
fn an_answer_that_lasted_until_the_limit_is_whole_when_nothing_new_follows() {
    let nodes = vec![node("lingering", 0, lingering), node("lingering-on", 0, lingering_on)];
    let cluster = start(in_every_mode(nodes));
    let whole = journalctl(0, &["--unit=kubelet".to_owned()]);
    let names = [every("lingering"), every("lingering-on")].concat();
    for (args, ran) in each(&cluster, names.iter().map(|name| words(name, &[])).collect()) {
        match args[0].split('.').next().expect("a name") {
            "lingering" => same(&args, &ran, &whole),
            _ => {
                ran.expect(3, &["the kubelet stopped its answer after 2 s", "--since", "--tail", "--source"]);
                assert!(ran.stdout == whole, "what came is printed, and once");
            }
        }
    }
}

/// Says nothing at all until it is killed.
fn silent(args: &[String]) -> Vec<Step> {
    if args[0] == "--field" { vec![Step::Print(journalctl(0, args))] } else { vec![Step::Hang] }
}

/// Does not even list the units in time.
fn mute(_: &[String]) -> Vec<Step> {
    vec![Step::Hang]
}

/// Takes too long to look for a pattern.
fn slow_to_search(args: &[String]) -> Vec<Step> {
    if args.iter().any(|arg| arg.starts_with("--grep")) { silent(args) } else { quick::<0>(args) }
}

#[test]
fn silence_until_the_limit_is_tried_once_more_and_then_told() {
    let cluster = start(in_every_mode(vec![node("silent", 0, silent), node("mute", 0, mute)]));
    let early = Timestamp::from_micros(log().entries[100].realtime).rfc3339().to_string();
    let mut asked = Vec::new();
    for name in ["silent", "mute"] {
        asked.extend(every(name).iter().map(|name| words(name, &[])));
        let cases = [
            &["--tail", "5"][..],
            &["--since-time", &early],
            &["-g", "syncing"],
            &["-e", "x", "--tail", "3"],
            &["--timestamps", "--until-time", &early],
        ];
        asked.extend(cases.iter().enumerate().map(|(number, args)| words(&turn(name, number), args)));
    }
    for (args, ran) in each(&cluster, asked) {
        ran.expect(
            3,
            &["the kubelet stopped its answer after 2 s", "lines are missing", "--since", "--tail", "--source"],
        );
        assert!(ran.stdout.is_empty(), "{args:?}");
    }
    let before = cluster.requests().len();
    run(&cluster.kubeconfig(User::Admin), ["silent.on"].into_iter().chain(TOLD)).expect(3, &[]);
    assert_eq!(cluster.requests().len() - before, 2, "asked, and asked once more");
}

#[test]
fn a_pattern_the_node_takes_too_long_for_is_looked_for_here() {
    let mut nodes = in_every_mode(vec![node("slow-to-search", 0, slow_to_search)]);
    nodes.push(node("quick-0", 0, quick::<0>));
    let cluster = start(nodes);
    let until = Timestamp::from_micros(log().entries[500].realtime).rfc3339().to_string();
    let asked = every("slow-to-search");
    let asked = asked.iter().map(|name| words(name, &["--grep", "syncing", "--until-time", &until])).collect();
    let expected = expected(&cluster, 0, &words("--grep", &["syncing", "--until-time", &until]));
    for (args, ran) in each(&cluster, asked) {
        same(&args, &ran, &expected);
    }
    let patterns = cluster.requests().iter().filter(|request| request.target.contains("pattern=")).count();
    assert_eq!(patterns, 1 + WITH_QUERY.len(), "once of each node");
}

/// Ends in the middle with the kubelet's words for the limit; with a start it comes to its end.
fn told_in_band(args: &[String]) -> Vec<Step> {
    let text = journalctl(0, args);
    if args.iter().any(|arg| arg == "--field" || arg.starts_with("--since")) {
        return vec![Step::Print(text)];
    }
    let end = Cut::LineEnd.place(&text);
    vec![Step::Print(text.slice(..end)), Step::Print("\ncontext error: context deadline exceeded\n".into())]
}

#[test]
fn the_kubelets_words_for_its_limit_are_never_printed() {
    let cluster = start(in_every_mode(vec![node("in-band", 0, told_in_band)]));
    for (args, ran) in each(&cluster, every("in-band").iter().map(|name| words(name, &[])).collect()) {
        same(&args, &ran, &journalctl(0, &["--unit=kubelet".to_owned()]));
    }
}

#[test]
fn a_text_file_under_a_units_name_that_may_have_been_cut_is_told() {
    // The kubelet takes no start for a file, so what is missing can't be asked for.
    let nodes = WITH_QUERY.map(|(name, mode)| Node::new(name, mode));
    let cut = |name| Fault::new(What::EndAfterPause(10_000, LIMIT)).node(name).path("query=messages");
    let cluster = WITH_QUERY.iter().fold(Setup::new(nodes.to_vec()), |setup, (name, _)| setup.fault(cut(name))).start();
    let asked = WITH_QUERY.iter().map(|(name, _)| words(name, &["-u", "messages"])).collect();
    for (args, ran) in each(&cluster, asked) {
        ran.expect(3, &["what follows can't be asked for by itself", "--path"]);
        let file = std::fs::read(cluster.var_log(&args[0]).join("messages")).expect("a file");
        assert!(!ran.stdout.is_empty() && file.starts_with(&ran.stdout), "{args:?}");
    }
}

#[test]
fn a_windows_nodes_table_that_may_have_been_cut_is_told() {
    let cut = |node, bytes| Fault::new(What::EndAfterPause(bytes, LIMIT)).node(node).first(1);
    let cluster = Setup::new(vec![Node::new("some", Mode::WINDOWS), Node::new("none", Mode::WINDOWS)])
        .fault(cut("some", 300))
        .fault(cut("none", 0))
        .start();
    let table = crate::cluster::windows::TABLE.as_bytes();
    for (args, ran) in each(&cluster, vec![words("some", &[]), words("none", &[])]) {
        match &*args[0] {
            "some" => {
                ran.expect(3, &["what follows can't be asked for by itself"]);
                assert!(!ran.stdout.is_empty() && table.starts_with(&ran.stdout));
            }
            // Nothing at all: it is asked once more.
            _ => same(&args, &ran, table),
        }
    }
}

#[test]
fn a_text_file_without_a_line_end_is_whole() {
    let root = tempfile::tempdir().expect("a directory");
    let text = "I1114 22:13:20.000001 1 a.go:1] one\nI1114 22:13:20.000002 1 a.go:1] two, without a line end";
    std::fs::write(root.path().join("kubelet.log"), text).expect("a file");
    std::fs::create_dir(root.path().join("journal")).expect("a directory");
    let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_ON).files(root.path())]).start();
    for args in [&["-u", "kubelet.log"][..], &["--path", "kubelet.log"]] {
        let ran = run(&cluster.kubeconfig(User::Admin), ["node-a"].iter().chain(args));
        ran.expect(0, &[]);
        assert_eq!(ran.text(), text, "{args:?}");
    }
}

/// What the node of `a_journal_that_ends_inside_a_line_is_continued` answers: a marker, entries of several lines.
fn short(args: &[String]) -> Vec<Step> {
    vec![Step::Print(short_log(args))]
}

fn short_log(args: &[String]) -> Bytes {
    static LOG: OnceLock<Recording> = OnceLock::new();
    let log = LOG.get_or_init(|| {
        let long = log();
        let boot = long.entries.iter().position(|entry| entry.boot == 1).expect("a second boot");
        Recording { entries: long.entries[boot - 6..boot + 9].to_vec(), ..long.clone() }
    });
    engine::answer(log, &Zone::new("UTC0"), args)
}

#[test]
fn a_journal_that_ends_inside_a_line_is_continued_wherever_it_ends() {
    let whole = short_log(&["--unit=kubelet".to_owned()]);
    assert!(whole.windows(8).any(|w| w == b"-- Boot ") && whole.windows(12).any(|w| w == b"a second lin"));
    // A cut at a line's end, before the time is up, can't be told from the log's own end.
    let ends: Vec<usize> = (1..whole.len()).filter(|end| whole[end - 1] != b'\n').step_by(7).collect();
    let mut setup = Setup::new(ends.iter().map(|end| node(&format!("n{end}"), 0, short)).collect());
    for end in &ends {
        setup = setup.fault(Fault::new(What::EndAfter(*end)).node(&format!("n{end}")).first(1));
    }
    let cluster = setup.start();
    for ends in ends.chunks(8) {
        for (args, ran) in each(&cluster, ends.iter().map(|end| words(&format!("n{end}"), &[])).collect()) {
            same(&args, &ran, &whole);
        }
    }
}

#[test]
fn a_boot_that_breaks_off_is_continued_in_that_boot() {
    // Hours each: where the last of a boot stood is asked for with an hour to spare.
    let mut long = log().clone();
    long.boots.insert(0, "0d".repeat(16));
    let count = long.entries.len();
    for (number, entry) in long.entries.iter_mut().enumerate() {
        entry.boot = [2 * count / 5, 3 * count / 5].iter().filter(|from| number >= **from).count();
    }
    let log: &'static Recording = Box::leak(Box::new(long));
    let nodes = WITH_QUERY.map(|(name, mode)| Node::new(name, mode).reader(Reader::Made(log)));
    let cluster = Setup::new(nodes.map(|node| Node { files: Files::Bare, ..node }).to_vec()).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let most = (count - count / 10).to_string();
    for (name, _) in WITH_QUERY {
        for (args, path) in
            [(&["--tail", &most][..], "boot=-1"), (&["--tail", &most], "boot=-2"), (&["-b", "-1"], "boot=-1")]
        {
            let args = [&[name, "--source=query"], args].concat();
            let whole = run(&kubeconfig, &args).expect(0, &[]).stdout.clone();
            cluster.inject(Fault::new(What::CutAfter(10_000)).path(path).first(1));
            same(&words(name, &args), &run(&kubeconfig, &args), &whole);
            cluster.heal();
        }
    }
}
