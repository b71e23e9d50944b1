//! What goes wrong between the node and here: connections that break, servers that refuse, kubelets that answer oddly. Right
//! lines, or the right error and exit code; nothing twice, nothing missing.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Stdio};

use hyper::StatusCode;

use crate::cluster::setup::Http;
use crate::cluster::{Cluster, Fault, Health, Mode, Node, Reader, Setup, User, What};
use crate::support::{Ran, program, run};

/// Nothing here may hang; and a stall is noticed after 1.5 seconds in place of 45.
const TOLD: [&str; 4] = ["--timeout", "60s", "--server-limit", "1s"];

/// The versions of HTTP a cluster may speak.
const VERSIONS: [Http; 2] = [Http::Only1, Http::Only2];

/// Nodes whose journal answers queries.
pub(crate) const WITH_QUERY: [(&str, Mode); 4] = [
    ("on", Mode::QUERY_ON),
    ("secure-join", Mode::SECURE_JOIN),
    ("broken-until", Mode::BROKEN_UNTIL),
    ("openshift", Mode::OPENSHIFT_1_36),
];

/// Nodes that list /var/log instead.
const WITHOUT_QUERY: [(&str, Mode); 3] =
    [("off", Mode::QUERY_OFF), ("old", Mode::V1_24), ("openshift-old", Mode::OPENSHIFT_1_24)];

fn nodes_of(modes: &[(&str, Mode)]) -> Vec<Node> {
    modes.iter().map(|(name, mode)| Node::new(name, *mode).reader(Reader::Recorded)).collect()
}

fn start(http: Http, nodes: Vec<Node>) -> Cluster {
    let mut setup = Setup::new(nodes);
    setup.http = http;
    setup.start()
}

fn ask(kubeconfig: &Path, args: &[&str]) -> Ran {
    // A listing is no query.
    let told = if args[0] == "ls" { &TOLD[..2] } else { &TOLD };
    run(kubeconfig, args.iter().chain(told))
}

/// Does it with all of them at the same time: mostly they wait.
fn at_once<T: Send>(cases: impl IntoIterator<Item = T>, check: impl Fn(T) + Sync) {
    std::thread::scope(|scope| {
        let running: Vec<_> = cases.into_iter().map(|case| scope.spawn(|| check(case))).collect();
        for thread in running {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}

/// So that each fault meets each mode with a query, and each version of HTTP.
const SPREAD: [(Http, [Mode; 2]); 2] =
    [(Http::Only1, [Mode::QUERY_ON, Mode::OPENSHIFT_1_36]), (Http::Only2, [Mode::SECURE_JOIN, Mode::BROKEN_UNTIL])];

/// Nodes for each fault that is to be tried, whose modes take turns.
fn alike(count: usize, modes: &[Mode]) -> Vec<Node> {
    let modes = modes.iter().cycle().take(count).enumerate();
    modes.map(|(number, mode)| Node::new(&format!("node-{number:03}"), *mode).reader(Reader::Recorded)).collect()
}

#[track_caller]
fn same(ran: &Ran, expected: &[u8], what: &str) {
    ran.expect(0, &[]);
    let at = ran.stdout.iter().zip(expected).position(|(a, b)| a != b);
    assert!(ran.stdout == expected, "{what}: {} bytes of {}, {at:?}\n{}", ran.stdout.len(), expected.len(), ran.stderr);
}

/// What breaks an answer of so many bytes in its middle.
fn breaks(size: usize) -> Vec<What> {
    let mut breaks = vec![What::CutAfter(0), What::LyingLength(1000)];
    if size > 40 {
        // A kubelet that was killed: no last chunk, or RST_STREAM. Inside a time, and inside a line.
        breaks.extend([What::CutAfter(10), What::CutAfter(size * 2 / 3), What::ResetAfter((size / 3) | 1)]);
    }
    breaks
}

/// Asks once undisturbed, then again with the first answer broken in each way, then with each of the others broken in one:
/// it must come to the same.
fn break_every_answer(cluster: &Cluster, args: &[&str], least: usize) {
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let before = cluster.requests().len();
    let whole = ask(&kubeconfig, args).expect(0, &[]).stdout.clone();
    assert!(whole.len() > least, "{args:?}: {} bytes", whole.len());
    let sizes: Vec<usize> = cluster.requests()[before..].iter().map(|request| request.sent() as usize).collect();
    for (number, size) in sizes.iter().enumerate() {
        let all = breaks(*size);
        let one = number % all.len();
        for what in if number == 0 { &all[..] } else { &all[one..=one] } {
            let fault = Fault::new(what.clone()).nth(number + 1);
            // Where a window ends no more may be read.
            let ends = args.contains(&"--until-time") && !matches!(what, What::CutAfter(0 | 10) | What::LyingLength(_));
            cluster.inject(if ends { fault.perhaps() } else { fault });
            same(&ask(&kubeconfig, args), &whole, &format!("{args:?} {what:?} in {number} of {sizes:?}"));
            cluster.heal();
        }
    }
}

#[test]
fn a_query_that_breaks_off_is_continued() {
    at_once(VERSIONS, |http| {
        let india = Node::new("india", Mode::BROKEN_UNTIL).zone("IST-5:30").reader(Reader::Recorded);
        let cluster = start(http, [nodes_of(&WITH_QUERY), vec![india]].concat());
        let (early, late) = ("2023-11-14T22:14:00Z", "2023-11-14T22:17:00Z");
        for args in [
            &["on"][..],
            &["secure-join", "--since-time", early],
            &["openshift", "--tail", "400"],
            &["broken-until", "-u", "kubelet", "--tail", "3", "--until-time", late],
            &["india", "-g", "volume|sync", "--since-time", early, "--until-time", late],
            &["india", "--timestamps"],
        ] {
            break_every_answer(&cluster, &[args, &["--source=query"]].concat(), 300);
        }
        let theirs = |target: &str| target.contains("query=") || target.ends_with("/configz");
        assert!(cluster.requests().iter().all(|request| theirs(&request.target)));
    });
}

#[test]
fn a_file_that_breaks_off_is_continued() {
    at_once(VERSIONS, |http| {
        let cluster = start(http, vec![Node::new("node-a", Mode::V1_24), Node::new("node-b", Mode::QUERY_ON)]);
        let kubeconfig = cluster.kubeconfig(User::Admin);
        for args in [
            &["node-a", "--path", "kubelet.log"][..],
            &["node-b", "--path", "kubelet.log"],
            &["node-a", "--path", "kubelet.log", "--since-time", "2023-11-14T22:15:00Z"],
            &["node-b", "--path", "kubelet.log", "--tail", "500"],
            &["node-b", "--path", "kubelet.log", "-g", "volume"],
            &["node-b", "--path", "kubelet.log-20231113.gz"],
        ] {
            break_every_answer(&cluster, args, 1000);
        }
        // However often.
        let large = std::fs::read(cluster.var_log("node-b").join("large.log")).expect("a file");
        cluster.inject(Fault::new(What::CutAfter(1_500_000)).path("large.log"));
        same(&ask(&kubeconfig, &["node-b", "--path", "large.log"]), &large, "cut again and again");
    });
}

#[test]
fn an_answer_that_stalls_is_asked_for_again() {
    for http in VERSIONS {
        let cluster = start(http, nodes_of(&WITH_QUERY));
        let kubeconfig = cluster.kubeconfig(User::Admin);
        let cases = [
            &["on"][..],
            &["secure-join"],
            &["broken-until"],
            &["openshift"],
            &["on", "--path", "kubelet.log"],
            &["openshift", "--path", "kubelet.log", "--tail", "5"],
        ];
        let whole = cases.map(|args| ask(&kubeconfig, args).expect(0, &[]).stdout.clone());
        for args in cases {
            let path = if args.len() == 1 { "query=" } else { "kubelet.log" };
            cluster.inject(Fault::new(What::StallAfter(1_000)).node(args[0]).path(path).first(1));
        }
        at_once(cases.iter().zip(&whole), |(args, whole)| {
            same(&ask(&kubeconfig, args), whole, &format!("{http:?} {args:?}"))
        });
    }
}

#[test]
fn an_answer_that_can_not_be_had_whole_is_incomplete() {
    let rest = [
        // Nothing more ever comes, nothing more is allowed, nobody answers any more.
        (What::CutAfter(0), ""),
        (What::Status(StatusCode::FORBIDDEN), "403"),
        (What::Status(StatusCode::SERVICE_UNAVAILABLE), "503"),
        (What::Close, "closed the connection"),
    ];
    for (http, modes) in SPREAD {
        let cases = rest.len() * 2 * modes.len();
        let cluster = start(http, alike(cases + 1, &modes));
        let kubeconfig = cluster.kubeconfig(User::Admin);
        // The modes take turns first, then the source, then the fault.
        let asked = |node: &str, number: usize| match number / 2 % 2 {
            0 => ask(&kubeconfig, &[node]),
            _ => ask(&kubeconfig, &[node, "--path", "kubelet.log"]),
        };
        let whole = [0, 2].map(|number| asked(&format!("node-{cases:03}"), number).expect(0, &[]).stdout.clone());
        at_once(0..cases, |number| {
            let node = format!("node-{number:03}");
            let (what, words) = &rest[number / 4];
            cluster.inject(Fault::new(What::CutAfter(50_000)).node(&node).nth(1));
            cluster.inject(Fault::new(what.clone()).node(&node));
            let ran = asked(&node, number);
            ran.expect(3, &[&format!("{node}:"), words]);
            let prefix = whole[number / 2 % 2].starts_with(&ran.stdout);
            assert!(!ran.stdout.is_empty() && prefix, "{http:?} {number} {what:?}: {}", ran.stdout.len());
        });
    }
}

/// Starts reading a file whose first answer breaks off far behind what fits into the buffers on the way, and takes the first
/// bytes: the program now waits for its reader, and everything else still waits for the program.
fn begin(cluster: &Cluster, path: &str) -> (Child, Vec<u8>) {
    // A file that is cut off itself ends sooner.
    cluster.inject(Fault::new(What::CutAfter(5 << 20)).path(path).first(1).perhaps());
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let mut command = program();
    command.arg("--kubeconfig").arg(kubeconfig).args(["node-a", "--path", path]).args(TOLD);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
    let mut first = vec![0; 1000];
    child.stdout.as_mut().expect("a pipe").read_exact(&mut first).expect("the file's beginning");
    (child, first)
}

/// Takes the rest.
fn end(mut child: Child, mut first: Vec<u8>) -> Ran {
    child.stdout.take().expect("a pipe").read_to_end(&mut first).expect("the rest");
    let ran = crate::support::ran(child.wait_with_output().expect("an end"));
    Ran { stdout: first, ..ran }
}

#[test]
fn a_file_that_is_replaced_or_truncated_while_it_is_read_is_incomplete() {
    for http in VERSIONS {
        let change = |words: &str, change: &dyn Fn(&Path)| {
            let cluster = start(http, vec![Node::new("node-a", Mode::QUERY_OFF)]);
            let file = cluster.var_log("node-a").join("large.log");
            let whole = std::fs::read(&file).expect("a file");
            let (child, first) = begin(&cluster, "large.log");
            change(&file);
            let ran = end(child, first);
            ran.expect(3, &["reading large.log", words, "incomplete"]);
            assert!(whole.starts_with(&ran.stdout) && ran.stdout.len() > 100_000, "{words}: {}", ran.stdout.len());
        };
        change("replaced", &|file| {
            std::fs::rename(file, file.with_extension("log.1")).expect("a rotation");
            std::fs::write(file, "I1114 23:00:00.000001 1 new.go:1] a new file\n".repeat(200_000)).expect("a new file");
        });
        change("replaced", &|file| std::fs::write(file, "").expect("an empty file"));
        let shorten = |file: &Path| std::fs::File::options().write(true).open(file).and_then(|f| f.set_len(1000));
        change("truncated", &|file| shorten(file).expect("a shorter file"));
    }
}

#[test]
fn a_file_that_grows_while_it_is_read_is_whole() {
    let cluster = start(Http::Only2, vec![Node::new("node-a", Mode::QUERY_OFF)]);
    let file = cluster.var_log("node-a").join("large.log");
    let (child, first) = begin(&cluster, "large.log");
    let more = b"I1114 22:13:21.000001    1203 large.go:1] one more line\n";
    std::fs::File::options().append(true).open(&file).and_then(|mut file| file.write_all(more)).expect("a longer file");
    same(&end(child, first), &std::fs::read(&file).expect("a file"), "with what was added");
}

#[test]
fn gzip_that_ends_early_or_is_damaged_is_told() {
    for http in VERSIONS {
        let cluster = start(http, vec![Node::new("node-a", Mode::QUERY_OFF)]);
        let kubeconfig = cluster.kubeconfig(User::Admin);
        let args = ["node-a", "--path", "kubelet.log-20231113.gz"];
        let whole = ask(&kubeconfig, &args).expect(0, &[]).stdout.clone();
        cluster.inject(Fault::new(What::TruncatedGzip(100)).path(".gz"));
        let ran = ask(&kubeconfig, &args);
        ran.expect(3, &["kubelet.log-20231113.gz", "gzip data ends early or is damaged"]);
        assert!(whole.starts_with(&ran.stdout) && ran.stdout.len() < whole.len());
        let tail = ask(&kubeconfig, &[&args[..], &["--tail", "5"]].concat());
        tail.expect(3, &["gzip data ends early"]);
        assert!(tail.stdout.is_empty(), "not the file's last lines");
        cluster.heal();
        let follow = ask(&kubeconfig, &[&args[..], &["-f"]].concat());
        follow.expect(2, &["kubelet.log-20231113.gz is compressed", "can't be followed", "hint:"]);
        let root = cluster.var_log("node-a");
        std::fs::write(root.join("no.gz"), "plain text\n").expect("a file");
        ask(&kubeconfig, &["node-a", "--path", "no.gz"]).expect(1, &["unpacking no.gz", "--no-decompress"]);
        same(&ask(&kubeconfig, &["node-a", "--path", "no.gz", "--no-decompress"]), b"plain text\n", "as it is");
    }
}

#[test]
fn a_server_that_is_busy_or_has_a_bad_moment_is_asked_again() {
    let moments = [
        What::TooManyRequests { retry_after: 0 },
        What::TooManyRequests { retry_after: 1 },
        What::Status(StatusCode::SERVICE_UNAVAILABLE),
        What::Status(StatusCode::GATEWAY_TIMEOUT),
        What::Status(StatusCode::BAD_GATEWAY),
        What::Reset,
        What::Close,
        What::Goaway,
    ];
    for (http, modes) in SPREAD {
        let cases = moments.len() * modes.len();
        let cluster = start(http, alike(cases + 1, &modes));
        let kubeconfig = cluster.kubeconfig(User::Admin);
        for path in [&[][..], &["--path", "kubelet.log"]] {
            let asked = |node: usize| ask(&kubeconfig, &[&[&*format!("node-{node:03}")], path].concat());
            let whole = asked(cases).expect(0, &[]).stdout.clone();
            for node in 0..cases {
                let what = moments[node / modes.len()].clone();
                cluster.inject(Fault::new(what).node(&format!("node-{node:03}")).first(1));
            }
            at_once(0..cases, |node| {
                same(&asked(node), &whole, &format!("{http:?} {path:?} {:?}", moments[node / modes.len()]))
            });
            cluster.heal();
        }
        // Several requests, and after each the connection is given up.
        let args = ["node-000", "--tail", "700", "--timestamps"];
        let whole = ask(&kubeconfig, &args).expect(0, &[]).stdout.clone();
        let before = cluster.connections();
        cluster.inject(Fault::new(What::Goaway));
        same(&ask(&kubeconfig, &args), &whole, "goaway each time");
        assert!(cluster.connections() - before > 1);
    }
}

#[test]
fn a_server_that_stays_busy_or_down_is_told_in_its_words() {
    let answers = [
        (What::TooManyRequests { retry_after: 0 }, 1, "429 Too Many Requests", 10),
        (What::TooManyRequests { retry_after: 3600 }, 1, "429 Too Many Requests", 1),
        (What::Status(StatusCode::SERVICE_UNAVAILABLE), 6, "503 Service Unavailable: the server is currently", 4),
        (What::Status(StatusCode::GATEWAY_TIMEOUT), 6, "504 Gateway Timeout", 4),
        (What::Status(StatusCode::INTERNAL_SERVER_ERROR), 1, "500 Internal Server Error", 1),
        (What::Reset, 6, "closed the connection before it answered", 4),
    ];
    let cluster = start(Http::Both, alike(3 * answers.len(), &[Mode::QUERY_ON]));
    let kubeconfig = cluster.kubeconfig(User::Admin);
    at_once(0..3 * answers.len(), |number| {
        let node = &*format!("node-{number:03}");
        let (what, code, words, requests) = &answers[number % answers.len()];
        let args = [vec![node], vec![node, "--path", "kubelet.log"], vec!["ls", node]];
        let args = &args[number / answers.len()];
        cluster.inject(Fault::new(what.clone()).node(node));
        ask(&kubeconfig, args).expect(*code, &[&format!("{node}:"), words]);
        let asked = cluster.requests().iter().filter(|request| request.target.contains(node)).count();
        assert_eq!(asked, *requests, "{args:?} {what:?}");
    });
}

#[test]
fn the_until_panic_and_other_modes_change_no_line() {
    let cluster = start(Http::Both, [nodes_of(&WITH_QUERY), nodes_of(&WITHOUT_QUERY)].concat());
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let (early, late) = ("2023-11-14T22:14:30Z", "2023-11-14T22:16:30Z");
    for args in [
        &[][..],
        &["--until-time", late],
        &["--since-time", early, "--until-time", late],
        &["--until-time", late, "--tail", "9"],
        &["--since-time", early, "--tail", "9"],
        &["-u", "containerd", "--until-time", late],
    ] {
        for (modes, source) in [(&WITH_QUERY[..], "--source=query"), (&WITHOUT_QUERY, "--source=auto")] {
            let asked = |name: &str| ask(&kubeconfig, &[&[name, source], args].concat());
            let expected = asked(modes[0].0).expect(0, &[]).stdout.clone();
            assert!(expected.len() > 500, "{args:?}");
            for (name, _) in &modes[1..] {
                same(&asked(name), &expected, &format!("{name} {args:?}"));
            }
        }
    }
    let requests = cluster.requests();
    assert!(requests.iter().all(|request| !request.target.contains("untilTime")), "it is never asked for");
    for (name, _) in WITH_QUERY {
        let place = format!("/nodes/{name}/");
        let mut of = requests.iter().filter(|request| request.target.contains(&place));
        let theirs = |target: &str| target.contains("?query=") || target.ends_with("/configz");
        assert!(of.all(|request| theirs(&request.target)), "{name}: the fault is the query's");
    }
}

#[test]
fn a_kubelet_without_query_is_said_to_be_one_and_no_listing_is_printed() {
    let root = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(root.path().join("journal")).expect("a directory");
    let nodes = WITHOUT_QUERY.iter().map(|(name, mode)| Node::new(name, *mode).files(root.path())).collect();
    let cluster = start(Http::Both, nodes);
    let kubeconfig = cluster.kubeconfig(User::Admin);
    for (name, _) in WITHOUT_QUERY {
        for args in [&[name][..], &[name, "--tail", "5"], &[name, "--since", "1h"], &[name, "-u", "containerd"]] {
            let words = ["offers no log query", "journal", "enableSystemLogQuery: true", "kubectl kubelet-logs ls"];
            ask(&kubeconfig, args).expect(5, &words);
        }
        ask(&kubeconfig, &[name, "--source", "query"])
            .expect(1, &["offers no log query", "enableSystemLogQuery: true"]);
    }
}

#[test]
fn openshifts_stream_in_place_of_the_journals_folder_is_never_printed() {
    let cluster =
        start(Http::Both, vec![Node::new("new", Mode::OPENSHIFT_1_36), Node::new("old", Mode::OPENSHIFT_1_24)]);
    let kubeconfig = cluster.kubeconfig(User::Admin);
    for args in [&["ls", "new:journal"][..], &["new", "--path", "journal"], &["old", "--path", "journal"]] {
        ask(&kubeconfig, args).expect(2, &["/var/log/journal is a directory", "OpenShift", "-u"]);
    }
    let id = std::fs::read_dir(cluster.var_log("new").join("journal")).expect("a journal").flatten().next();
    let id = id.expect("a machine id").file_name().into_string().expect("a name");
    for name in ["new", "old"] {
        let listed = ask(&kubeconfig, &["ls", &format!("{name}:journal/{id}")]);
        assert!(listed.expect(0, &[]).text().contains("system.journal"));
    }
}

#[test]
fn a_windows_nodes_table_is_passed_through_and_nothing_is_made_of_its_times() {
    let empty = tempfile::tempdir().expect("a directory");
    let bare = Node::new("bare-w", Mode::WINDOWS).files(empty.path());
    let cluster = start(Http::Both, vec![Node::new("node-w", Mode::WINDOWS), bare]);
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let table = include_bytes!("../fixtures/logs/windows-get-winevent.txt");
    same(&ask(&kubeconfig, &["node-w"]), table, "the table");
    // What the node chose of it, its heading too; whatever is asked, no boot is.
    let (heading, events, end) = crate::cluster::windows::parts();
    for number in [1, 2, 3, 10, 12, 100_000] {
        let asked = cluster.requests().len();
        let ran = ask(&kubeconfig, &["node-w", "--tail", &number.to_string()]);
        let newest = events[events.len().saturating_sub(number)..].concat();
        same(&ran, format!("{heading}{newest}{end}").as_bytes(), &format!("--tail {number}"));
        assert!(cluster.requests()[asked..].iter().all(|request| !request.target.contains("boot=")));
    }
    ask(&kubeconfig, &["node-w*"]).expect(0, &["10"]);
    ask(&kubeconfig, &["node-w", "--tail", "0"]).expect(0, &[]);
    // What is chosen here is events.
    for (args, expected) in [
        (&["-g", "SyncLoop"][..], format!("{}{end}", events[0])),
        (&["-g", "PLEG|Probe failed", "--tail", "1"], format!("{}{end}", events[2])),
        (&["-g", "prod/web", "-e", "Error", "--tail", "5"], events[0].to_owned()),
    ] {
        same(&ask(&kubeconfig, &[&["node-w"], args].concat()), expected.as_bytes(), &format!("{args:?}"));
    }
    // Its heading counts nowhere.
    let counted = ask(&kubeconfig, &["node-w", "-e", "nothing such", "--tail", &events.len().to_string()]);
    same(&counted, table, "as many as there are");
    let counted = ask(&kubeconfig, &["node-w", "-e", "nothing such", "--tail", &(events.len() - 1).to_string()]);
    same(&counted, format!("{}{end}", events[1..].concat()).as_bytes(), "all but one");
    // Its heading and rule are no entries, and its line ends no part of them.
    let objects = ask(&kubeconfig, &["node-w", "-o", "jsonl"]);
    let objects: Vec<serde_json::Value> =
        objects.text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(objects.len(), events.len(), "{objects:?}");
    for (object, event) in objects.iter().zip(&events) {
        assert_eq!(object["message"].as_str(), Some(event.replace("\r\n", "\n").trim_end()));
    }
    let digest = ask(&kubeconfig, &["node-w", "-o", "digest"]);
    assert!(!digest.text().contains("TimeCreated") && !digest.text().contains("ProviderName"), "{}", digest.text());
    ask(&kubeconfig, &["node-w", "-P", "E"]).expect(2, &["no line begins with a klog header", "--grep"]);
    for args in [&["-b", "0"][..], &["-b", "-1"], &["-b", "0", "--tail", "3"]] {
        let words = ["406 Not Acceptable", "boot is not supported on Windows", "hint: leave --boot out"];
        ask(&kubeconfig, &[&["node-w"], args].concat()).expect(1, &words);
    }
    // A table can't be followed; a file can.
    ask(&kubeconfig, &["bare-w", "-f"]).expect(5, &["no log of kubelet: the query shows a table", "ls bare-w"]);
    ask(&kubeconfig, &["node-w", "-f", "--source=query"]).expect(2, &["kubelet", "can't follow", "--path"]);
    let (now, file) = (["--until", "1s"], ["/var/log/kubelet.log"]);
    ask(&kubeconfig, &[&["node-w", "-f"], &now[..]].concat()).expect(0, &file);
    ask(&kubeconfig, &["node-w", "-u", "nosuch", "--tail", "2"]).expect(5, &["no log of unit nosuch"]);
    for window in [["--since-time", "2023-11-14T20:00:00Z"], ["--until", "1h"]] {
        ask(&kubeconfig, &["node-w", window[0], window[1]]).expect(2, &["time window can't be applied", "--grep"]);
    }
    ask(&kubeconfig, &["node-w", "--since", "1h"]).expect(0, &["nothing matched"]);
    ask(&kubeconfig, &["node-w", "-u", "nosuch"]).expect(5, &["no log of unit nosuch", "its event log", "providers"]);
}

#[test]
fn a_kubelet_that_can_not_be_reached_is_told_in_the_api_servers_words() {
    use crate::cluster::Release;
    for release in [Release::V1_36, Release::V1_24] {
        let health = |name: &str, health: Health| Node::new(name, Mode::QUERY_ON).health(health);
        let mut setup = Setup::new(vec![
            health("down", Health::Down),
            health("hung", Health::Hung),
            health("no-addresses", Health::NoAddresses),
            health("wrong-ca", Health::WrongCa),
            health("plain-http", Health::PlainHttp),
            health("unresolvable", Health::Unresolvable),
            health("link-local", Health::LinkLocal),
            Node::new("handler-off", Mode::HANDLER_OFF),
        ]);
        setup.release = release;
        setup.handshake_limit = std::time::Duration::from_millis(100);
        let cluster = setup.start();
        let kubeconfig = cluster.kubeconfig(User::Admin);
        let cases = [
            ("down", 6, "connection refused", "systemctl status kubelet"),
            ("hung", 6, "TLS handshake timeout", "kubectl describe node"),
            ("no-addresses", 6, "no preferred addresses found", "kubectl get node"),
            ("wrong-ca", 6, "certificate signed by unknown authority", "kubectl get csr"),
            ("plain-http", 6, "error trying to reach service: EOF", "dropped the request"),
            ("unresolvable", 6, "no such host", "can't resolve"),
            ("link-local", 6, "address not allowed", "check the node's addresses"),
            ("handler-off", 1, "405 Method Not Allowed: logs endpoint is disabled.", "enableSystemLogHandler: true"),
            ("nosuch", 5, "nodes \"nosuch\" not found", "kubectl get nodes"),
        ];
        at_once(cases, |(name, code, words, hint)| {
            let asks = [&[name][..], &[name, "--tail", "3"], &[name, "--path", "kubelet.log"], &["ls", name]];
            for args in asks {
                ask(&kubeconfig, args).expect(code, &[&format!("error: {name}:"), words, "hint:", hint]);
            }
            let place = format!("/nodes/{name}/");
            let asked = cluster.requests().iter().filter(|request| request.target.contains(&place)).count();
            let expected = match name {
                // Looked up before its journal is looked for.
                "nosuch" => asks.len() - 1,
                // Where no file is served, no journal is; the query is asked all the same.
                "handler-off" => asks.len() + 1,
                _ => asks.len(),
            };
            assert_eq!(asked, expected, "{name}: asking again is of no use");
        });
    }
}

#[test]
fn a_hung_kubelet_is_waited_for_no_longer_than_asked() {
    for http in VERSIONS {
        let cluster = start(http, vec![Node::new("hung", Mode::QUERY_ON).health(Health::Hung)]);
        let kubeconfig = cluster.kubeconfig(User::Admin);
        // The API server itself gives up after ten seconds.
        for args in [&["hung"][..], &["hung", "--path", "kubelet.log"], &["ls", "hung"]] {
            let request = [args, &["--request-timeout", "300ms"]].concat();
            run(&kubeconfig, &request).expect(6, &["hung:", "did not answer within 0.3 s", "--request-timeout"]);
            let whole = [args, &["--timeout", "300ms"]].concat();
            run(&kubeconfig, &whole).expect(3, &["took longer than --timeout 300ms"]);
        }
    }
}

#[test]
fn what_a_200_says_in_place_of_a_log_is_an_error_and_never_printed() {
    let root = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(root.path().join("journal")).expect("a directory");
    let log = "Nov 14 22:13:20.262058 node-7 kubelet[1203]: I1114 22:13:20.262058    1203 x.go:1] \"one\"\n";
    {
        let nodes = nodes_of(&WITH_QUERY).into_iter().map(|node| node.files(root.path()));
        let cluster = start(Http::Both, nodes.collect());
        let kubeconfig = cluster.kubeconfig(User::Admin);
        for (body, code, words, printed) in [
            ("\nlog not found for kubelet\n", 5, "no log of unit kubelet", ""),
            (
                "\noptions present and query resolved to log files for [kubelet]\ntry without specifying options\n",
                5,
                "no log of unit kubelet",
                "",
            ),
            ("\nerror getting log for kubelet: open /var/log/kubelet: permission denied\n", 1, "permission denied", ""),
            (
                "\nerror: journal output not available\n",
                1,
                "the node answered: error: journal output not available",
                "",
            ),
            (
                "\nfailed to get logging cmd: exec: \"journalctl\": executable file not found in $PATH\n",
                1,
                "journalctl",
                "",
            ),
            ("\ncontext error: context deadline exceeded\n", 3, "the kubelet stopped its answer", ""),
            ("-- No entries --\n", 5, "no log of unit kubelet", ""),
            ("-- Boot 0123 --\n-- Boot 4567 --\n-- No entries --\n", 5, "no log of unit kubelet", ""),
            ("", 5, "no log of unit kubelet", ""),
            ("No journal files were found.\n-- No entries --\n", 5, "no log of unit kubelet", ""),
            (
                "Data from the specified boot (-99) is not available: No such boot ID in journal\n",
                1,
                "the specified boot",
                "",
            ),
            (
                "Hint: You are currently not seeing messages from other users and the system.\n-- No entries --\n",
                1,
                "not seeing messages",
                "",
            ),
            (
                "{log}\nerror getting log for other: open /var/log/other: permission denied\n",
                3,
                "permission denied",
                "{log}",
            ),
            ("{log}\nlog not found for other\n", 3, "other", "{log}"),
            (
                "-- Logs begin at Tue 2023-11-14 22:13:20 UTC, end at Tue 2023-11-14 22:22:42 UTC. --\n{log}",
                0,
                "",
                "{log}",
            ),
        ] {
            let printed = printed.replace("{log}", log);
            let body = body.replace("{log}", log);
            let text =
                What::Text { status: StatusCode::OK, content_type: "text/plain;charset=UTF-8", body: body.clone() };
            for (node, _) in WITH_QUERY {
                cluster.inject(Fault::new(text.clone()).node(node).path("query="));
            }
            at_once(WITH_QUERY, |(node, _)| {
                for args in [&[][..], &["-u", "kubelet", "--tail", "7"]] {
                    let ran = ask(&kubeconfig, &[&[node], args].concat());
                    assert_eq!((ran.code, ran.text()), (code, printed.as_str()), "{body:?} {args:?}: {}", ran.stderr);
                    assert!(ran.stderr.contains(words), "{body:?} {args:?}: {}", ran.stderr);
                }
            });
            cluster.heal();
        }
    }
}

#[test]
fn a_web_page_of_somebody_on_the_way_is_no_listing() {
    let cluster = start(Http::Both, vec![Node::new("node-a", Mode::QUERY_OFF)]);
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let page =
        "<!DOCTYPE html><html><head><title>Log in to Example</title></head><body><a href=\"x.log\">x</a></body></html>";
    for status in [StatusCode::OK, StatusCode::FOUND, StatusCode::BAD_GATEWAY] {
        let what = What::Text { status, content_type: "text/html; charset=utf-8", body: page.to_owned() };
        cluster.inject(Fault::new(what));
        for args in [
            &["node-a"][..],
            &["node-a", "--path", "kubelet.log"],
            &["node-a", "--path", "kubelet.log", "--tail", "1"],
            &["ls", "node-a"],
        ] {
            let code = if status == StatusCode::BAD_GATEWAY { 6 } else { 1 };
            ask(&kubeconfig, &[args, &["-q"]].concat())
                .expect(code, &["a web page answered, not Kubernetes", "Log in to Example"]);
        }
        cluster.heal();
    }
}
