//! The contract: every exchange recorded with real servers, replayed against the simulated cluster.
//!
//! The simulation gets the recorded /var/log and, in place of journalctl, what journalctl printed for the arguments that
//! a kubelet is known to give it. Then the same request must get the same status, the same headers (`COMPARED`) and the
//! same body, byte for byte after `replace`. `SHAPE_ONLY` and `EXCLUDED` name what is compared less, and why.
//! A difference is a mistake in the simulation.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::collections::HashMap;
use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::Value;

use crate::cluster::client::{Ask, Got, Proof, get};
use crate::cluster::zone::{from_micros, parse_http_date, touch};
use crate::cluster::{Cluster, Fault, Health, Mode, Node, Port, Reader, Release, Setup, Step, User, What};

/// Cases whose bodies hold the recorded cluster's state: kinds, names and types of fields are compared.
const SHAPE_ONLY: &[(&str, &str)] = &[
    ("node-get", "a node's ids, times and capacity are its own"),
    ("nodes-list", "as node-get"),
    ("nodes-list-limit2", "as node-get; names, continue and remainder are compared"),
    ("nodes-list-continue", "as node-get; names, continue and remainder are compared"),
    ("nodes-list-rv0", "as node-get; names are compared"),
    ("nodes-gzip", "as node-get; that a list below 128 KiB is not compressed is compared"),
    ("nodes-selector", "as node-get; names are compared"),
    ("nodes-fieldselector", "as node-get; names are compared"),
    ("pods-node", "a pod's ids and times are its own; names are compared"),
    ("kubelet-configz", "the simulation shows only the settings that matter to logs"),
];

/// Cases that are not replayed, by the beginning of their names.
const EXCLUDED: &[(&str, &str)] = &[
    ("kubelet-metrics", "metrics are no part of the simulation yet"),
    ("kubelet-stats", "metrics are no part of the simulation yet"),
    ("kubelet-summary", "metrics are no part of the simulation yet"),
    ("kubelet-pods", "no command reads a kubelet's own pod list yet"),
    ("direct-pods", "no command reads a kubelet's own pod list yet"),
    ("kubelet-runningpods", "no command reads a kubelet's own pod list yet"),
    ("kubelet-containerLogs", "container logs are no part of the simulation yet"),
    ("kubelet-debug", "no command asks for it"),
    ("kubelet-checkpoint", "no command asks for it"),
    ("kubelet-flagz", "no command asks for it"),
    ("kubelet-statusz", "no command asks for it"),
    ("podlog", "container logs are no part of the simulation yet"),
    ("nodes-table", "the client asks for plain JSON"),
    ("nodes-partial", "the client asks for plain JSON"),
    ("nodes-protobuf", "the client asks for plain JSON"),
    ("nodes-cbor", "the client asks for plain JSON"),
    ("nodes-yaml", "the client asks for plain JSON"),
    ("events-", "events are no part of the simulation yet"),
    ("leases", "leases are no part of the simulation yet"),
    ("big-list", "config maps stand for any large list; the simulation compresses its own"),
    (
        "watch-",
        "what happened to the recorded cluster while it was watched; the simulation tells what happens to its own",
    ),
    ("ssar-", "access reviews are no part of the simulation yet"),
    ("ssrr", "access reviews are no part of the simulation yet"),
    ("selfsubjectreview", "access reviews are no part of the simulation yet"),
    ("api-readyz-verbose", "lists the recorded server's own checks"),
    ("api-api", "discovery is no part of the simulation yet"),
    ("api-openapi", "discovery is no part of the simulation yet"),
    ("api-metrics", "metrics are no part of the simulation yet"),
    ("V1_24 api-logs", "the API server's own /var/log, which only the older one served"),
];

/// Response headers that must be alike. Of the starred ones in the recordings only the presence is.
const COMPARED: [&str; 15] = [
    "accept-ranges",
    "allow",
    "audit-id",
    "cache-control",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "last-modified",
    "location",
    "retry-after",
    "vary",
    "x-content-type-options",
    "x-kubernetes-pf-flowschema-uid",
    "x-kubernetes-pf-prioritylevel-uid",
];

/// One recorded exchange.
#[derive(Debug, Deserialize)]
struct Case {
    case: String,
    /// `api` or a node.
    to: String,
    user: String,
    method: String,
    target: String,
    #[serde(default)]
    send: HashMap<String, String>,
    /// Absent where nothing was answered.
    #[serde(default)]
    status: u16,
    #[serde(default)]
    headers: HashMap<String, String>,
    /// Unpacked and joined; at most the first 4096 bytes of long ones.
    #[serde(default)]
    body: String,
    base64: Option<String>,
    /// So many zero bytes.
    zeros: Option<usize>,
    /// Only the beginning of the body is here.
    #[serde(default)]
    cut: bool,
    /// The server closed in the middle of the body.
    #[serde(default)]
    broken: bool,
    #[serde(default)]
    excluded: bool,
}

impl Case {
    fn bytes(&self) -> Vec<u8> {
        match (&self.base64, self.zeros) {
            (Some(text), _) => STANDARD.decode(text).unwrap(),
            (_, Some(count)) => vec![0; count],
            _ => self.body.as_bytes().to_vec(),
        }
    }

    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }
}

fn recordings(version: Release) -> &'static [Case] {
    static LOADED: [OnceLock<Vec<Case>>; 2] = [const { OnceLock::new() }; 2];
    let (slot, text) = match version {
        Release::V1_24 => (0, include_str!("../fixtures/exchanges/1.24.jsonl")),
        Release::V1_36 => (1, include_str!("../fixtures/exchanges/1.36.jsonl")),
    };
    LOADED[slot].get_or_init(|| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn recording(version: Release, case: &str) -> &'static Case {
    recordings(version).iter().find(|one| one.case == case).unwrap_or_else(|| panic!("no recording {case}"))
}

#[test]
fn the_simulation_answers_as_1_36_did() {
    replay(Release::V1_36);
}

#[test]
fn the_simulation_answers_as_1_24_did() {
    replay(Release::V1_24);
}

#[test]
fn every_recording_is_replayed_or_excused() {
    for version in [Release::V1_24, Release::V1_36] {
        for case in recordings(version) {
            let full = format!("{version:?} {}", case.case);
            let excuse = EXCLUDED.iter().find(|(start, _)| case.case.starts_with(start) || full == *start);
            assert_eq!(excuse.is_some(), case.excluded, "{version:?} {}: {excuse:?}", case.case);
        }
    }
    for (name, _) in SHAPE_ONLY {
        recording(Release::V1_36, name);
    }
    for (start, _) in EXCLUDED {
        let start = start.trim_start_matches("V1_24 ");
        assert!(recordings(Release::V1_24).iter().any(|case| case.case.starts_with(start)), "{start} excuses nothing");
    }
}

/// Replays all of one release's recordings, and tells all differences at once.
fn replay(version: Release) {
    let place = tempfile::tempdir().unwrap();
    let outside = place.path().join("outside");
    let mut differences = Vec::new();
    let mut clusters: HashMap<Stage, Cluster> = HashMap::new();
    let mut count = 0;
    for case in recordings(version).iter().filter(|case| !case.excluded) {
        let stage = Stage::of(case);
        let cluster = clusters.entry(stage).or_insert_with(|| stage.start(version, place.path(), &outside));
        count += 1;
        if let Err(difference) = compare(version, case, cluster, &outside) {
            differences.push(format!("{}: {difference}", case.case));
        }
    }
    assert!(differences.is_empty(), "{} of {count} differ:\n{}", differences.len(), differences.join("\n"));
}

/// Which cluster a case is replayed against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Usual,
    /// With the kubelets' own ports.
    Direct,
    /// Nodes the API server cannot reach.
    Bad,
    /// A short limit, and a journalctl slower than that.
    Slow,
    /// A short limit, and a journalctl that hangs in everything.
    Hanging,
    /// A kubelet killed in the middle.
    Killed,
}

impl Stage {
    fn of(case: &Case) -> Stage {
        match case.case.as_str() {
            "killed-kubelet" => Stage::Killed,
            name if name.starts_with("slow-field") => Stage::Hanging,
            name if name.starts_with("slow-") => Stage::Slow,
            name if name.starts_with("bad-node") => Stage::Bad,
            _ if case.to != "api" => Stage::Direct,
            _ => Stage::Usual,
        }
    }

    fn start(self, version: Release, place: &Path, outside: &Path) -> Cluster {
        let usual = |name: &str, mode: Mode, script: fn(&[String]) -> Vec<Step>| {
            let root = place.join(format!("{self:?}-{name}"));
            build(&root, outside, version, name, self);
            Node::new(name, mode).files(&root).reader(Reader::Script(script))
        };
        let query = Mode::BROKEN_UNTIL;
        let joined = Mode { query: Mode::SECURE_JOIN.query, ..query };
        let nodes = match (self, version) {
            (Stage::Usual, Release::V1_24) => vec![
                usual("node-a", Mode::V1_24, |_| unexpected(&[])),
                usual("node-c", Mode::OPENSHIFT_1_24, printed_1_24),
                Node::new("node-d", Mode::V1_24).health(Health::Down),
            ],
            (Stage::Usual, Release::V1_36) => vec![
                usual("node-a", query, printed_1_36),
                usual("node-b", Mode::QUERY_OFF, unexpected),
                usual("node-c", Mode::OPENSHIFT_1_36, printed_1_36_openshift),
                Node::new("node-d", query).health(Health::Down),
                usual("node-e", joined, unexpected),
            ],
            (Stage::Direct, Release::V1_24) => vec![usual("node-a", Mode::V1_24, unexpected).port(Port::Open)],
            (Stage::Direct, Release::V1_36) => vec![usual("node-a", query, printed_1_36).port(Port::Open)],
            (Stage::Bad, _) => [
                ("node-x1", Health::LinkLocal),
                ("node-x2", Health::NoAddresses),
                ("node-x3", Health::Hung),
                ("node-x4", Health::WrongCa),
                ("node-x5", Health::PlainHttp),
                ("node-x6", Health::Unresolvable),
            ]
            .map(|(name, health)| Node::new(name, query).health(health))
            .into(),
            (Stage::Slow | Stage::Killed, _) => vec![usual("node-e", joined, printed_slowly).port(Port::Open)],
            (Stage::Hanging, _) => vec![usual("node-e", joined, |_| vec![Step::Hang])],
        };
        let mut setup = Setup::new(nodes);
        setup.release = version;
        setup.handshake_limit = Duration::from_millis(10);
        if matches!(self, Stage::Slow | Stage::Hanging) {
            setup.query_limit = Duration::from_millis(200);
        }
        if self == Stage::Killed {
            setup.faults.push(Fault::new(What::CutAfter(recording(version, "killed-kubelet").bytes().len())));
        }
        setup.start()
    }
}

/// Sends the recorded request and compares what comes back.
fn compare(version: Release, case: &Case, cluster: &Cluster, outside: &Path) -> Result<(), String> {
    let (user, proof) = match case.user.as_str() {
        "admin" => (User::Admin, Proof::Token),
        "cert admin" => (User::Admin, Proof::Certificate),
        "cert limited" => (User::Limited, Proof::Certificate),
        "viewer" => (User::NoProxy, Proof::Token),
        "logs" => (User::LogReader, Proof::Token),
        "fine" => (User::LogsOnly, Proof::Token),
        "nobody" => (User::Nobody, Proof::Token),
        "none" => (User::Anonymous, Proof::Token),
        "bad" => (User::BadToken, Proof::Token),
        other => return Err(format!("an unknown user {other}")),
    };
    let headers = case.send.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    // The recorded client did not read the largest bodies to their end either.
    let enough = if case.cut { case.bytes().len() } else { usize::MAX };
    let ask = Ask { method: &case.method, headers, proof, enough, ..get(user, &case.target) };
    let address = if case.to == "api" { cluster.address() } else { cluster.kubelet_address(&case.to) };
    let got = match (ask.send_to(cluster, address), case.status) {
        (Err(_), 0) => return Ok(()),
        (Err(broken), _) => return Err(format!("no answer: {broken}")),
        (Ok(got), _) => got,
    };
    if got.status != case.status {
        return Err(format!("status {}, recorded {}: {}", got.status, case.status, got.text()));
    }
    let body = unpacked(&got);
    for name in COMPARED {
        let (here, there) = (replace(got.header(name), outside), replace(case.header(name), outside));
        let alike = match name {
            // Lengths follow the bodies, which are compared after replacing; of a shape they mean nothing.
            "content-length" if (!case.cut && case.method != "HEAD") || case.header("content-encoding") == "gzip" => {
                here.is_empty() == there.is_empty()
            }
            _ if there == "*" => !here.is_empty(),
            _ => here == there,
        };
        let excused = name == "content-length" && is_shape_only(case);
        if !alike && !excused {
            return Err(format!("{name}: {here:?}, recorded {there:?}"));
        }
    }
    if got.whole == case.broken {
        return Err(format!("the end: whole is {}", got.whole));
    }
    let recorded = case.bytes();
    if is_shape_only(case) {
        return alike_in_shape(&body, &recorded, &recording(version, "nodes-list").bytes());
    }
    let end = if case.cut { recorded.len().min(body.len()) } else { body.len() };
    let (here, there) = (
        replace(&String::from_utf8_lossy(&body[..end]), outside),
        replace(&String::from_utf8_lossy(&recorded), outside),
    );
    if here == there {
        return Ok(());
    }
    let at = here.bytes().zip(there.bytes()).take_while(|(a, b)| a == b).count();
    let around = |text: &str| text.chars().skip(at.saturating_sub(20)).take(120).collect::<String>();
    Err(format!("body at {at}: {:?}, recorded {:?}", around(&here), around(&there)))
}

fn unpacked(got: &Got) -> Vec<u8> {
    if got.header("content-encoding") != "gzip" {
        return got.body.clone();
    }
    let mut plain = Vec::new();
    // A cut recording was unpacked as far as it went.
    let _ = GzDecoder::new(got.body.as_slice()).read_to_end(&mut plain);
    plain
}

/// What differs between two runs of the same server, or between its network and this one.
fn replace(text: &str, outside: &Path) -> String {
    let mut text = text
        // The recorded servers' own patch.
        .replace(": proxy subresource changed to unsafeproxy", "")
        // A masked address of the same length.
        .replace("127.000.0.053:53", "127.0.0.53:53")
        // Where a link leads that leads out of /var/log.
        .replace(&format!("{}/", outside.display()), "/")
        .replace(&format!("/var/log{}", outside.display()), "/var/log");
    for start in ["boundary=", "\r\n--", "127.0.0.1:"] {
        let mut from = 0;
        while let Some(at) = text[from..].find(start) {
            let begin = from + at + start.len();
            let length = text[begin..].bytes().take_while(u8::is_ascii_hexdigit).count();
            let known = match start {
                "127.0.0.1:" => length > 0,
                _ => length == 60,
            };
            if known {
                text.replace_range(begin..begin + length, "X");
            }
            from = begin;
        }
    }
    // The first boundary of a body has no line before it.
    match text.strip_prefix("--").filter(|rest| rest.bytes().take(60).filter(u8::is_ascii_hexdigit).count() == 60) {
        Some(rest) => format!("--X{}", &rest[60..]),
        None => text,
    }
}

fn is_shape_only(case: &Case) -> bool {
    SHAPE_ONLY.iter().any(|(name, _)| *name == case.case)
}

/// Whether all fields of `here` are in `there` and of the same type, and the same things are listed.
fn alike_in_shape(here: &[u8], there: &[u8], nodes: &[u8]) -> Result<(), String> {
    let [here, there, nodes] = [here, there, nodes].map(|text| serde_json::from_slice::<Value>(text).unwrap());
    let names = |list: &Value| -> Vec<String> {
        list["items"].as_array().into_iter().flatten().map(|item| item["metadata"]["name"].to_string()).collect()
    };
    if names(&here) != names(&there) {
        return Err(format!("items {:?}, recorded {:?}", names(&here), names(&there)));
    }
    for field in ["continue", "remainingItemCount"] {
        let (here, there) = (&here["metadata"][field], &there["metadata"][field]);
        if here.is_null() != there.is_null() || (field == "remainingItemCount" && here != there) {
            return Err(format!("{field} {here}, recorded {there}"));
        }
    }
    let (mut shape, mut recorded) = (Vec::new(), Vec::new());
    fields(&here, String::new(), &mut shape);
    fields(&there, String::new(), &mut recorded);
    // Not every recorded node had a kubelet to fill it in.
    if here["kind"] == "NodeList" {
        fields(&nodes, String::new(), &mut recorded);
    }
    match shape.iter().find(|field| !recorded.contains(field)) {
        Some(field) => Err(format!("{field} was never recorded")),
        None => Ok(()),
    }
}

/// Path and type of every field, with all items of a list as one.
fn fields(value: &Value, path: String, out: &mut Vec<String>) {
    match value {
        // Their keys are data.
        Value::Object(_) if path.ends_with(".labels") || path.ends_with(".annotations") => out.push(path),
        Value::Object(map) => map.iter().for_each(|(key, value)| fields(value, format!("{path}.{key}"), out)),
        Value::Array(items) => items.iter().for_each(|item| fields(item, format!("{path}[]"), out)),
        Value::Null => out.push(format!("{path} null")),
        Value::Bool(_) => out.push(format!("{path} bool")),
        Value::Number(_) => out.push(format!("{path} number")),
        Value::String(_) => out.push(format!("{path} string")),
    }
}

/// Makes a node's /var/log as it was recorded: contents, sizes, dates.
fn build(root: &Path, outside: &Path, version: Release, node: &str, stage: Stage) {
    /// Each file and the case that shows it, at node-a and elsewhere.
    const SHOWN: [(&str, &str); 11] = [
        ("kubelet.log", "file"),
        ("foo.log", "file-foo"),
        ("secret.log", "file-unreadable"),
        ("empty.log", "file-empty"),
        ("messages-20261108.gz", "file-gz"),
        ("messages", "file-noext"),
        ("btmp", "file-binary"),
        ("name with space & <angle>.log", "file-odd-name"),
        ("café-100%.log", "file-utf8-name"),
        ("audit/audit.log", "subdir-file"),
        ("withindex/index.html", "subdir-index-html"),
    ];
    const UNSHOWN: [(&str, &str); 6] = [
        ("bar/bar.log", "bar heuristics: /var/log/bar/bar.log\n"),
        ("baz", "baz heuristics: /var/log/baz\n"),
        ("growing.log", ""),
        ("lastlog", ""),
        ("messages-20261115", ""),
        ("many/.keep", ""),
    ];
    const LOCAL: [(&str, &str, &str); 3] = [
        ("node-b", "foo.log", "off-file"),
        ("node-e", "foo.log", "sj-q-file"),
        ("node-e", "audit/audit.log", "sj-q-file-nested"),
    ];
    const DIRECTORIES: [(&str, &str, &str); 9] = [
        ("node-a", "", "list-root"),
        ("node-a", "audit", "subdir"),
        ("node-a", "emptydir", "subdir-empty"),
        ("node-a", "many", "subdir-many"),
        ("node-a", "journal", "journal-dir"),
        ("node-b", "", "off-q-kubelet"),
        ("node-c", "", "ocp-list"),
        ("node-c", "journal", "ocp-journal-slash"),
        ("node-e", "audit", "sj-q-file-dir"),
    ];
    let known = |name: &str| recordings(version).iter().find(|case| case.case == name);
    for name in ["audit", "bar", "chrony", "containers", "emptydir", "many", "pods", "withindex"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    let journal = root.join("journal/0123456789abcdef0123456789abcdef");
    fs::create_dir_all(&journal).unwrap();
    for (name, text) in UNSHOWN {
        fs::write(root.join(name), text).unwrap();
    }
    for (name, shown) in SHOWN {
        let local = LOCAL.iter().find(|(at, file, _)| *at == node && *file == name).map_or(shown, |(_, _, case)| case);
        file(&root.join(name), known(local).unwrap_or_else(|| recording(version, shown)));
    }
    file(&root.join("big.log"), recording(version, "big-abort"));
    ends_with(&root.join("kubelet.log"), &recording(version, "range-last100").bytes());
    let tail = recording(version, "range-journal-tail");
    file(&journal.join("system.journal"), recording(version, "range-journal"));
    ends_with(&journal.join("system.journal"), &tail.bytes());
    dated(&journal.join("system.journal"), tail);
    dated(&root.join("kubelet.log"), recording(version, "file"));
    fs::create_dir_all(outside.join("etc")).unwrap();
    file(&outside.join("etc/os-release"), recording(version, "link-outside"));
    for (name, target) in [
        ("link-broken", Path::new("nowhere")),
        ("link-dir", Path::new("audit")),
        ("link-inside.log", Path::new("kubelet.log")),
        ("link-outside", &outside.join("etc/os-release")),
    ] {
        symlink(target, root.join(name)).unwrap();
    }
    if node == "node-a" && stage == Stage::Usual {
        // As many as the kept beginning of the listing shows, and some more.
        for number in 0..200 {
            fs::write(root.join(format!("many/pod-{number:04}.log")), "").unwrap();
        }
    }
    // Last, since making files changes their directories.
    for (at, name, case) in DIRECTORIES {
        if let Some(case) = known(case).filter(|_| at == node) {
            let modified = parse_http_date(case.header("last-modified")).unwrap();
            fs::File::open(root.join(name)).unwrap().set_modified(from_micros(modified * 1_000_000)).unwrap();
        }
    }
}

/// A file that begins with the case's body and has the size and date its headers tell.
fn file(path: &Path, case: &Case) {
    fs::write(path, case.bytes()).unwrap();
    let range = case.header("content-range").split('/').nth(1);
    let size = range.or(Some(case.header("content-length"))).and_then(|size| size.parse().ok());
    if let Some(size) = size {
        fs::File::options().write(true).open(path).unwrap().set_len(size).unwrap();
    }
    dated(path, case);
}

fn dated(path: &Path, case: &Case) {
    let modified = parse_http_date(case.header("last-modified")).unwrap();
    touch(path, from_micros(modified * 1_000_000)).unwrap();
}

fn ends_with(path: &Path, tail: &[u8]) {
    let mut file = fs::File::options().write(true).open(path).unwrap();
    file.seek(SeekFrom::End(-(tail.len() as i64))).unwrap();
    file.write_all(tail).unwrap();
}

/// A journalctl that nobody should have called like this.
fn unexpected(args: &[String]) -> Vec<Step> {
    vec![Step::Print(format!("unexpected: journalctl {}\n", args.join(" ")).into())]
}

/// What the recorded journalctl printed for these arguments, as the body of a case shows it.
fn printed(version: Release, args: &[String], table: &[(&str, &str)]) -> Vec<Step> {
    if args == ["--field", "_SYSTEMD_UNIT"] {
        return vec![Step::Print("init.scope\nchronyd.service\ncontainerd.service\nkubelet.service\n".into())];
    }
    let line = args.join(" ");
    match table.iter().find(|(known, _)| *known == line) {
        Some((_, case)) => vec![Step::Print(recording(version, case).bytes().into())],
        None => unexpected(args),
    }
}

fn printed_1_36(args: &[String]) -> Vec<Step> {
    macro_rules! precise {
        ($rest:literal) => {
            concat!("--utc --no-pager --output=short-precise ", $rest)
        };
    }
    printed(
        Release::V1_36,
        args,
        &[
            (precise!("--unit=kubelet"), "q-kubelet"),
            (precise!("--pager-end --lines=1 --unit=kubelet"), "q-on-file-path"),
            (precise!("--pager-end --lines=3 --unit=kubelet"), "q-tail3"),
            (precise!("--pager-end --lines=0 --unit=kubelet"), "q-tail0"),
            (precise!("--pager-end --lines=500 --unit=kubelet"), "direct-gzip-query"),
            (precise!("--pager-end --lines=2000 --unit=kubelet"), "q-gzip"),
            (precise!("--pager-end --lines=100000 --unit=kubelet"), "q-tail-100000"),
            (precise!("--pager-end --lines=100000 --unit=kubelet --boot 0"), "q-binary"),
            (precise!("--pager-end --lines=2 --unit=kubelet --boot 0"), "q-boot0"),
            (precise!("--pager-end --lines=2 --unit=kubelet --boot -1"), "q-boot-1"),
            (precise!("--pager-end --lines=2 --unit=kubelet --boot -2"), "q-boot-2"),
            (precise!("--unit=kubelet --boot -99"), "q-boot-99"),
            (precise!("--pager-end --lines=5 --unit=kubelet --boot -99"), "q-boot-99-tail"),
            (precise!("--pager-end --lines=4 --unit=kubelet --grep=panic"), "q-pattern"),
            (precise!("--pager-end --lines=2 --unit=kubelet --grep=PANIC"), "q-pattern-case"),
            (precise!("--unit=kubelet --grep=zzzznomatch"), "q-pattern-nomatch"),
            (precise!(r"--unit=kubelet --grep=\pz"), "q-pattern-re2only"),
            (precise!("--pager-end --lines=2 --unit=kubelet --grep=err or|panic"), "q-pattern-space"),
            (precise!("--pager-end --lines=2 --unit=kubelet --grep=goroutine"), "q-multiline"),
            (precise!("--pager-end --lines=2 --unit=kubelet --grep=non-ascii"), "q-nonascii"),
            (precise!("--unit=kubelet --grep=tarted Kube --boot -1"), "q-pid1"),
            (precise!("--since=2026-11-21 2:5:0 --unit=kubelet"), "q-since"),
            (precise!("--since=2026-11-21 4:5:0 --pager-end --lines=3 --unit=kubelet"), "q-since-offset"),
            (precise!("--since=2026-11-21 2:5:0 --pager-end --lines=2 --unit=kubelet"), "q-since-frac"),
            (precise!("--since=2030-1-1 0:0:0 --unit=kubelet"), "q-since-future"),
            (precise!("--since=2026-11-20 10:0:0 --until=2026-11-20 10:0:0 --unit=kubelet"), "q-since-until"),
            (precise!("--pager-end --lines=4 --unit=kubelet --unit=containerd"), "q-two"),
            (precise!("--unit=chronyd"), "q-mix-noopt"),
            (precise!("--pager-end --lines=2 --unit=let"), "q-substr"),
            (precise!("--pager-end --lines=2 --unit=d"), "q-substr2"),
        ],
    )
}

fn printed_1_36_openshift(args: &[String]) -> Vec<Step> {
    printed(
        Release::V1_36,
        args,
        &[
            ("--utc --no-pager --output=short-precise --pager-end --lines=2 --unit=kubelet", "ocp-q-kubelet"),
            ("--utc --no-pager --output=cat --pager-end --lines=2 --unit=kubelet", "ocp-journal"),
            ("--utc --no-pager --output=json --pager-end --lines=1 --unit=kubelet", "ocp-journal-json"),
            ("--utc --no-pager --output=short-unix --since=-1d --pager-end --lines=2 --unit=kubelet", "ocp-unix"),
            ("--utc --no-pager --output=short-precise --pager-end --lines=2", "ocp-all"),
            ("--utc --no-pager --output=short-precise --until=-1h --pager-end --lines=2 --unit=kubelet", "ocp-until"),
        ],
    )
}

fn printed_1_24(args: &[String]) -> Vec<Step> {
    const LATEST: &str = "--utc --no-pager --output=short-precise --pager-end --lines=3 --unit=kubelet --boot 0";
    if args.join(" ") == LATEST.replace("--boot 0", "--boot -1") {
        // One recorded answer holds both boots; the other the latest alone.
        let both = recording(Release::V1_24, "ocp-journal").bytes();
        let latest = recording(Release::V1_24, "ocp-journal-boot0").bytes();
        return vec![Step::Print(both.strip_suffix(latest.as_slice()).unwrap().to_vec().into())];
    }
    printed(
        Release::V1_24,
        args,
        &[
            (LATEST, "ocp-journal-boot0"),
            ("--utc --no-pager --output=short-precise --since=-1h --unit=kubelet --boot 0", "ocp-journal-since"),
            (
                "--utc --no-pager --output=short-precise --pager-end --lines=2 --unit=kubelet --grep=panic --case-sensitive=true --boot 0",
                "ocp-journal-grep",
            ),
            ("--utc --no-pager --output=json --pager-end --lines=1 --unit=kubelet --boot 0", "ocp-journal-output"),
            ("--utc --no-pager --output=short-precise --pager-end --lines=2 --boot 0", "ocp-journal-nounit"),
            (
                "--utc --no-pager --output=short-precise --pager-end --lines=100000 --unit=kubelet --boot 0",
                "ocp-journal-tailbig",
            ),
            (
                "--utc --no-pager --output=short-precise --pager-end --lines=100 --unit=kubelet --boot 0",
                "ocp-journal-gzip",
            ),
        ],
    )
}

/// The stand-in that node-e had: it prints what it can and then hangs.
fn printed_slowly(args: &[String]) -> Vec<Step> {
    if args == ["--field", "_SYSTEMD_UNIT"] {
        let units = ["fails", "slowdrip", "slowsilent", "slowpartial"].map(|name| format!("{name}.service\n"));
        return vec![Step::Print(units.concat().into())];
    }
    let unit = args.iter().find_map(|arg| arg.strip_prefix("--unit=")).unwrap_or_default();
    let said = |case: &str| Step::Print(recording(Release::V1_36, case).bytes().into());
    match unit {
        "fails" => vec![said("slow-fails")],
        "slowdrip" => vec![said("slow-drip"), Step::Hang],
        "slowpartial" => vec![said("slow-partial"), Step::Hang],
        "slowsilent" => vec![Step::Hang],
        _ => unexpected(args),
    }
}
