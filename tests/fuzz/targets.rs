//! What is fuzzed: a line for each decoder of something hostile. A target panics where it finds a mistake, and gives a number
//! that stands for what the input came to; an input that came to something new is worth varying further.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use kubelet_logs::args::nodes::Shard;
use kubelet_logs::args::{Connection, Nodes};
use kubelet_logs::config::{self, Env, Scheme, Server, pem};
use kubelet_logs::error::{Error, Result};
use kubelet_logs::format::jsonl::Jsonl;
use kubelet_logs::format::{Format, Shown};
use kubelet_logs::http::proxy::{connect, socks5};
use kubelet_logs::http::ranges::multipart::{Parts, content_range, unsatisfied};
use kubelet_logs::http::{Certificate, Origin};
use kubelet_logs::journal::{AnyOf, Journal, Limits, Matches, Name, Query, Step, short_precise};
use kubelet_logs::kube::status::Refusal;
use kubelet_logs::logs::line::Line;
use kubelet_logs::logs::outlet::Event;
use kubelet_logs::logs::source::listing;
use kubelet_logs::logs::split::{Continuation, Splitter};
use kubelet_logs::output::{Output, quote};
use kubelet_logs::redact::{MASK, Redactor};
use kubelet_logs::time::{Around, Timestamp, When, Zone, go_duration, parse_duration, parse_timeout};
use kubelet_logs::{auth, sanitize};

/// One decoder.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    /// Panics on a mistake; equal numbers for inputs that came to the same.
    pub(crate) run: fn(&[u8]) -> u64,
    /// What is varied.
    pub(crate) seeds: fn() -> Vec<Vec<u8>>,
    /// Words that the decoder knows.
    pub(crate) tokens: &'static [&'static str],
    /// Mutations in `cargo test`.
    #[allow(dead_code, reason = "the driver goes by time")]
    pub(crate) runs: u64,
}

/// All of them.
pub(crate) const TARGETS: &[Target] = &[
    Target { name: "kubeconfig", run: kubeconfig, seeds: kubeconfigs, tokens: YAML, runs: 100_000 },
    Target { name: "kubeconfig-edit", run: kubeconfig_edit, seeds: kubeconfigs, tokens: YAML, runs: 100_000 },
    Target { name: "pem", run: pem, seeds: keys, tokens: PEM, runs: 100_000 },
    Target { name: "exec-credential", run: exec_credential, seeds: credentials, tokens: YAML, runs: 100_000 },
    Target { name: "status", run: status, seeds: answers, tokens: STATUS, runs: 100_000 },
    Target { name: "listing", run: listing, seeds: listings, tokens: HTML, runs: 100_000 },
    Target { name: "lines", run: lines, seeds: logs, tokens: LOG, runs: 100_000 },
    Target { name: "records", run: records, seeds: logs, tokens: LOG, runs: 100_000 },
    Target { name: "proxy-connect", run: proxy_connect, seeds: replies, tokens: HTTP, runs: 100_000 },
    Target { name: "proxy-socks5", run: proxy_socks5, seeds: dialogues, tokens: &[], runs: 100_000 },
    Target { name: "certificate", run: certificate, seeds: certificates, tokens: DER, runs: 100_000 },
    Target { name: "multipart", run: multipart, seeds: multiparts, tokens: HTTP, runs: 100_000 },
    // A file of 8 MiB, of which one run reads most: tests/journal varies its structures, too.
    Target { name: "journal", run: journal, seeds: journals, tokens: &[], runs: 200 },
    Target { name: "quoting", run: quoting, seeds: logs, tokens: LOG, runs: 100_000 },
    Target { name: "redact", run: redact, seeds: secrets, tokens: SECRET, runs: 100_000 },
    Target { name: "oidc-answer", run: oidc_answer, seeds: token_answers, tokens: TOKENS, runs: 100_000 },
    Target { name: "kuberc", run: kuberc, seeds: preferences, tokens: YAML, runs: 100_000 },
    Target { name: "proxies", run: proxies, seeds: written_proxies, tokens: URL, runs: 100_000 },
    Target { name: "times", run: times, seeds: written_times, tokens: TIME, runs: 100_000 },
    Target { name: "names", run: names, seeds: written_names, tokens: URL, runs: 100_000 },
];

const YAML: &[&str] = &[
    "apiVersion",
    "users",
    "user",
    "token",
    "exec",
    "auth-provider",
    "config",
    "id-token",
    "status",
    "clientKeyData",
    "- ",
    ": ",
    "\n  ",
    "&a ",
    "*a",
    "<<: *a",
    "!!binary ",
    "!!int ",
    "|\n",
    ">-\n",
    "{",
    "}",
    "[",
    "]",
    "---\n",
    "...\n",
    "%TAG ! !\n",
    "null",
    "~",
    "true",
    "0x1f",
    "1e999",
    "\u{feff}",
    "\u{2028}",
    "\"",
    "'",
    "# ",
    "proxy-url: http://a:b@c:1\n",
];
const PEM: &[&str] = &[
    "-----BEGIN ",
    "-----END ",
    "CERTIFICATE",
    "PRIVATE KEY",
    "ENCRYPTED ",
    "-----\n",
    "Proc-Type: 4,ENCRYPTED\n",
    "=",
    "MII",
];
const STATUS: &[&str] = &[
    "\"kind\":\"Status\"",
    "\"message\":\"",
    "\"reason\":",
    "\"details\":{",
    "\"causes\":[",
    "{",
    "}",
    "[",
    "]",
    ",",
    "\\u0000",
    "\\ud800",
    "no such host",
    "<title>",
    "</title>",
    "404 page not found",
    "error trying to reach service",
    "forbidden",
    "nodes/proxy",
    "1e400",
];
const HTML: &[&str] = &[
    "<pre>",
    "<a href=\"",
    "\">",
    "</a>\n",
    "../",
    "./",
    "%2e%2e/",
    "%2F",
    "%00",
    "&amp;",
    "&#34;",
    "&#xffffffff;",
    "&lt",
    "/",
];
const LOG: &[&str] = &[
    "\n",
    "\n  ",
    "\t",
    " >",
    "<\n",
    "I1121 03:07:12.123456",
    "Nov 21 03:07:12.123456 node-a ",
    "kubelet[640]: ",
    "2026-11-21T03:07:12.5Z stdout F ",
    "time=\"2026-11-21T03:07:12Z\" level=info msg=\"",
    "-- Boot 0123 --\n",
    "file.go:12] ",
    "\"",
    "\\",
    "\\x",
    "\\u",
    "\\U00110000",
    "key=",
    "{\"ts\":",
    "=[",
    "={",
    "}",
    "]",
    "\u{1b}[31m",
    "\u{202e}",
];
const HTTP: &[&str] = &[
    "\r\n",
    "\r\n\r\n",
    "HTTP/1.1 ",
    "100 ",
    "101 ",
    "200 ",
    "407 ",
    "Content-Length: ",
    "Content-Range: bytes ",
    "bytes */",
    "Proxy-Authenticate: ",
    "Basic",
    "--",
    "--x",
    "Content-Type: text/html\r\n",
    ": ",
    "-",
    "/",
    "\"",
];
const DER: &[&str] =
    &["\u{0}", "\u{3}\u{55}\u{4}\u{3}", "\u{55}\u{1d}\u{11}", "0\u{5}", "1\u{9}", "991231235959Z", "20991231235959Z"];
const TOKENS: &[&str] = &[
    "\"id_token\"",
    "\"refresh_token\"",
    "\"error\"",
    "\"error_description\"",
    "eyJ",
    ".",
    "eyJleHAiOjF9",
    "eyJleHAiOjFlOTl9",
    "=",
    "-_",
    "\\u0000",
    "\\ud800",
    "null",
    "[",
    "{",
    "}",
    ":",
    ",",
];
const SECRET: &[&str] = &[
    "password",
    "token",
    "\"auth\":",
    "=",
    ": ",
    "\\\"",
    "\"",
    "'",
    "--",
    "://",
    "@",
    ":",
    "Bearer ",
    "Basic ",
    "-----BEGIN RSA PRIVATE KEY-----",
    "-----END ",
    "\n",
    "eyJ",
    ".eyJ",
    "AKIA",
    "ghp_",
    "K10",
    "::",
    "(redacted)",
    ",",
    ";",
    "&sig=",
];
const TIME: &[&str] = &[
    "T",
    "Z",
    "+00:00",
    "-23:59",
    "@",
    "-",
    "+",
    "ago",
    "now",
    "today",
    "h",
    "m",
    "s",
    "ms",
    "d",
    "w",
    " ",
    ":60",
    "24:00",
    "-02-29",
    ".999999999",
    "Europe/Berlin",
    "UTC",
    "../../etc/passwd",
    "±",
    "µs",
];
const URL: &[&str] = &[
    "https://",
    "http://",
    "socks5h://",
    "@",
    ":",
    "[::1]",
    "%25",
    "/",
    "?",
    "#",
    "..",
    ",",
    "{1..9}",
    "[a-c]",
    "!",
    "~",
    "role=",
    "1/",
    "@-",
    ".journal",
    ".journal~",
];

fn kubeconfig(input: &[u8]) -> u64 {
    thread_local!(static DIRECTORY: tempfile::TempDir = memory());
    DIRECTORY.with(|directory| {
        let path = directory.path().join("config");
        fs::write(&path, input).expect("a file");
        let env = Env::new([("PATH", "/nowhere")]).with_service_account(directory.path().join("none"));
        let loaded = config::load(&Connection { kubeconfig: Some(path), ..Connection::default() }, &env);
        came_to(loaded.map(|config| format!("{config:?}").len()))
    })
}

/// A folder that is on no disk, where there is one: a file for each mutation is many.
fn memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory")
}

fn kubeconfig_edit(input: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(input);
    let edited = config::edit(&text, "u", &[("id-token", "a.new-one.é"), ("refresh-token", "it's")]);
    if let Some(edited) = &edited {
        // What was put in is there: the same again changes nothing.
        let again = config::edit(edited, "u", &[("id-token", "a.new-one.é"), ("refresh-token", "it's")]);
        assert_eq!(again.as_ref(), Some(edited));
    }
    edited.map_or(0, |edited| 1 + edited.len() as u64 / 64)
}

fn pem(input: &[u8]) -> u64 {
    let (chain, key) = (pem::certificates(input), pem::key(input));
    if let (Ok(chain), Ok(key)) = (&chain, &key) {
        return 2 + came_to(pem::pair(chain.clone(), key).map(|pair| pair.cert.len()));
    }
    came_to(chain.map(|chain| chain.len())) ^ came_to(key.map(|_| 1)).rotate_left(1)
}

fn exec_credential(input: &[u8]) -> u64 {
    came_to(auth::read_answer(input))
}

fn status(input: &[u8]) -> u64 {
    const HEADS: [(u16, &str); 4] =
        [(403, "application/json"), (500, "text/plain"), (404, "text/html; charset=utf-8"), (999, "")];
    let (status, kind) = HEADS[input.len() % HEADS.len()];
    let refusal = Refusal::parse(status, kind, input);
    for words in [&refusal.words, &refusal.reason, &refusal.about] {
        assert!(words.len() <= 12_000 && !words.chars().any(char::is_control), "{words:?}");
    }
    u64::from(status) ^ came_to::<()>(Err(refusal.into_error()))
}

fn listing(input: &[u8]) -> u64 {
    let _ = listing::begins(input);
    let entries = listing::parse(&String::from_utf8_lossy(input));
    for entry in &entries {
        let name = &entry.name;
        assert!(!name.is_empty() && !name.contains('/') && name != "." && name != "..", "{name:?}");
    }
    entries.len() as u64
}

/// Split and joined again it is the same, and frames may end anywhere.
fn lines(input: &[u8]) -> u64 {
    let continuation = [Continuation::Indented, Continuation::Timeless][input.len() % 2];
    let whole = split(continuation, [Bytes::copy_from_slice(input)]);
    assert_eq!(whole.iter().map(|line| &*line.text).collect::<Vec<_>>().concat(), input);
    let length = [1, 7, 64][input.len() % 3];
    let cut = split(continuation, input.chunks(length).map(Bytes::copy_from_slice));
    assert_eq!(cut, whole, "in frames of {length}");
    whole.len() as u64 * 2 + input.len() as u64 % 2
}

/// Entries as JSON: readable again, and with their message.
fn records(input: &[u8]) -> u64 {
    let lines = split(Continuation::Indented, [Bytes::copy_from_slice(input)]);
    let shown: Vec<Line> = lines.iter().filter(|line| line.is_entry() && !line.text.is_empty()).cloned().collect();
    let sink = Sink::default();
    let mut output = Output::new(Box::new(sink.clone()), false);
    let names = ["node-a".to_owned()];
    let _ = Format::new(Shown::Jsonl(Jsonl::new(&mut output, &names, None)), None).event(0, &Event::Lines(lines));
    output.finish().expect("a sink takes all");
    let written = sink.0.lock().expect("one thread").clone();
    let mut kinds = 0;
    let mut objects = 0;
    for (object, line) in written.split(|b| *b == b'\n').zip(&shown) {
        let object: serde_json::Value = serde_json::from_slice(object).expect("JSON");
        let mut message = readable(&line.dedented());
        if message.contains('\r') {
            message = message.replace("\r\n", "\n").trim_end_matches(['\r', '\n']).to_owned();
        }
        assert_eq!(object["message"].as_str(), Some(&*message));
        kinds |= 1 << (object.as_object().map_or(0, serde_json::Map::len) % 32);
        objects += 1;
    }
    assert_eq!(objects, shown.len());
    kinds << 8 | objects.min(255) as u64
}

fn proxy_connect(input: &[u8]) -> u64 {
    match connect::reply(input) {
        Err(garbled) => 1 + shape(&garbled.to_string()),
        Ok(None) => 0,
        Ok(Some(reply)) => {
            assert!(reply.length <= input.len() && (100..1000).contains(&reply.status), "{reply:?}");
            let words = connect::said(&input[reply.length..], reply.is_html);
            assert!(reply.reason.len() + words.len() < 16 << 10 && reply.schemes.len() < 100, "{reply:?} {words}");
            assert!(!reply.reason.chars().any(char::is_control), "{reply:?}");
            u64::from(reply.status) << 8 | reply.schemes.len() as u64
        }
    }
}

/// The answers come one after the other, each of as many bytes as the input's first bytes say.
fn proxy_socks5(input: &[u8]) -> u64 {
    let Ok(mut dialogue) = socks5::Dialogue::new("a.example", 6443, Some(("u", "p"))) else { return 0 };
    let (mut unread, mut rest, mut steps) = (Vec::new(), input, 0);
    loop {
        steps += 1;
        assert!(steps < 2 * input.len() + 16, "it goes on for ever");
        match dialogue.step(&unread) {
            Ok(socks5::Step::Send { message, read }) => {
                assert!(!message.expose().is_empty() && read <= unread.len());
                unread.drain(..read);
            }
            Ok(socks5::Step::Wait) => {
                let Some((first, after)) = rest.split_first() else { return steps as u64 };
                unread.push(*first);
                rest = after;
            }
            Ok(socks5::Step::Open) => return 1000,
            Err(refusal) => return shape(&format!("{refusal:?}")),
        }
    }
}

fn certificate(input: &[u8]) -> u64 {
    let Some(read) = Certificate::read(input) else { return 0 };
    let words = [read.to_string(), read.names_in_words()].concat();
    assert!(words.len() < 16 << 10, "{} bytes", words.len());
    let parts =
        |name: &str| name.split(", ").map(|part| part.split('=').next().unwrap_or_default().to_owned()).collect();
    let names: [Vec<String>; 2] = [parts(&read.subject), parts(&read.issuer)];
    let years = [read.not_before, read.not_after].map(|at| at.civil_utc().year / 25);
    came_to(Ok((names, years, read.names.len(), read.more_names.min(2), read.self_issued)))
}

/// Nothing is given that was not asked for.
fn multipart(input: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(&input[..input.len().min(200)]);
    let _ = (content_range(&text), unsatisfied(&text), Parts::new(&text, std::slice::from_ref(&(0..9))).map(drop));
    let asked = [0..5, 7..9, 20..100];
    let mut outcomes = [17, 4096].map(|length| {
        let mut parts = Parts::new("multipart/byteranges; boundary=x", &asked).expect("a boundary");
        let mut given: BTreeMap<u64, u8> = BTreeMap::new();
        for frame in input.chunks(length) {
            let pushed = parts.push(frame, |at, bytes| {
                let end = at + bytes.len() as u64;
                assert!(asked.iter().any(|range| range.start <= at && end <= range.end), "{at}-{end}");
                given.extend((at..end).zip(bytes.iter().copied()));
            });
            if let Err(violation) = pushed {
                return shape(&violation.to_string());
            }
        }
        u64::from(parts.is_over()) + 2 * given.len() as u64
    });
    assert_eq!(outcomes[0], outcomes[1], "it depends on the frames");
    std::mem::take(&mut outcomes[0])
}

fn journal(input: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(&input[..input.len().min(64)]);
    let _ = Name::parse(&text);
    let limits = Limits { rounds: 400, cache: 1 << 20, ..Limits::default() };
    let mut journal = Journal::new(["system.journal".to_owned()], limits);
    journal.read(Query::tail(Matches::all().and(AnyOf::unit("kubelet")), 50));
    let (mut entries, mut notices, mut text) = (0, 0, Vec::new());
    loop {
        match journal.step() {
            Ok(Step::Need(needs)) => {
                for need in needs {
                    let end = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(input.len());
                    let piece = |range: &std::ops::Range<u64>| (range.start, &input[end(range.start)..end(range.end)]);
                    let pieces: Vec<(u64, &[u8])> = need.ranges.iter().map(piece).collect();
                    journal.provide(need.file, input.len() as u64, pieces);
                }
            }
            Ok(Step::Entry(entry)) => {
                entries += 1;
                text.clear();
                short_precise(&entry, &mut text);
            }
            Ok(Step::Value(_)) => {}
            Ok(Step::Notice(_)) => notices += 1,
            Ok(Step::End) => break,
            Err(_) => return 1 << 20,
        }
    }
    assert!(entries <= 50);
    entries << 8 | notices.min(255)
}

/// Text in quotes is read back as it was, and neutralised text steers no terminal.
fn quoting(input: &[u8]) -> u64 {
    let expected = readable(input);
    let mut quoted = Vec::new();
    quote::quote(input, &mut quoted);
    assert_eq!(serde_json::from_slice::<String>(&quoted).expect("JSON"), expected);
    if input.len() < 300 {
        assert_eq!(serde_yaml::from_slice::<String>(&quoted).expect("YAML"), expected);
    }
    let safe = sanitize::bytes(input);
    let safe = std::str::from_utf8(&safe).expect("UTF-8");
    assert!(!safe.chars().any(|c| c.is_control() && c != '\n' && c != '\t'), "{safe:?}");
    assert_eq!(sanitize::bytes(safe.as_bytes()), safe.as_bytes(), "safe text stays");
    (quoted.len() - input.len().min(quoted.len())).min(64) as u64
}

/// Lines stay lines, whole or one by one; what is masked is shown, and stays masked.
fn redact(input: &[u8]) -> u64 {
    let masked = Redactor::default().mask(input).into_owned();
    if input.len().is_multiple_of(2) {
        let (mut redactor, lines) = (Redactor::default(), input.split_inclusive(|byte| *byte == b'\n'));
        let pieces: Vec<u8> = lines.flat_map(|line| redactor.mask(line).into_owned()).collect();
        assert_eq!(masked, pieces);
    }
    let ends = |text: &[u8]| text.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(ends(input), ends(&masked));
    assert!(masked.len() <= 11 * input.len() + 1);
    if masked != input {
        assert!(memchr::memmem::find(&masked, MASK.as_bytes()).is_some());
    }
    memchr::memmem::find_iter(&masked, MASK.as_bytes()).count() as u64
}

fn oidc_answer(input: &[u8]) -> u64 {
    came_to(auth::read_tokens([200, 200, 400, 302][input.len() % 4], input).map(|()| 1))
}

fn kuberc(input: &[u8]) -> u64 {
    came_to(config::PluginPolicy::read(input).map(|policy| match policy {
        config::PluginPolicy::AllowAll => 0,
        config::PluginPolicy::DenyAll { .. } => 1,
        config::PluginPolicy::Allowlist { commands, .. } => 2 + commands.len(),
    }))
}

/// The first line is a proxy's URL, the second what goes past it. No password is shown, not even one in a wrong place.
fn proxies(input: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(&input[..input.len().min(2000)]);
    let (url, exempt) = text.split_once('\n').unwrap_or((&text, ""));
    let mut sum = 0;
    for server in ["https://a.example:6443", "http://10.0.0.1", "https://[fd00::1]"] {
        let server = Server::parse(server, Scheme::Https).expect("a server");
        let (mut env, mut warnings) = (vec![("NO_PROXY", exempt)], Vec::new());
        env.extend([("HTTPS_PROXY", url), ("HTTP_PROXY", url)].into_iter().filter(|(_, url)| !url.is_empty()));
        let chosen = config::Proxy::from_environment(&Env::new(env), &server, &mut warnings);
        if let Ok(Some(proxy)) = &chosen {
            let (shown, host) = (format!("{proxy} {proxy:?}"), proxy.host.as_str());
            assert!(!host.is_empty() && !host.contains(['@', '/', '?', '#']) && proxy.port > 0, "{url:?} {shown}");
            // An address is written anew.
            let is_name = host.parse::<std::net::IpAddr>().is_err();
            assert!(!is_name || url.to_ascii_lowercase().rfind(host) > url.rfind('@'), "{url:?} {shown}");
        }
        sum = sum * 31 + came_to(chosen.map(|proxy| proxy.is_some())) % 1000 + warnings.len() as u64;
    }
    sum
}

fn times(input: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(input);
    let now = Timestamp::from_micros(1_795_230_432_000_000);
    // A name of a zone may be a file to read.
    let zone = if text.len() < 12 { Zone::parse(&text).ok() } else { None }.unwrap_or(Zone::Utc);
    let when = When::parse(&text).and_then(|when| when.resolve(now, &zone));
    let around = Around::parse(&text).and_then(|around| around.resolve(now, &zone));
    if let Ok((from, to)) = around {
        // What a node tells for itself lies anywhere; the window about it is as wide.
        assert!(from.at(now) <= to.at(now), "{text:?}");
    }
    if let Some(at) = Timestamp::parse_rfc3339(&text) {
        let printed = at.rfc3339().to_string();
        assert_eq!(Timestamp::parse_rfc3339(&printed), Some(at), "{text:?} {printed}");
    }
    if let Ok(duration) = parse_timeout(&text) {
        let printed = go_duration(duration);
        assert_eq!(parse_timeout(&printed).ok(), Some(duration), "{text:?} {printed}");
    }
    came_to(when.map(|_| 1)) ^ came_to(parse_duration(&text).map(|_| 2)).rotate_left(7)
}

/// URLs, nodes, shards.
fn names(input: &[u8]) -> u64 {
    // From one's own command line or a bounded header: an error may quote it whole.
    let text = String::from_utf8_lossy(&input[..input.len().min(2000)]);
    let origin = Origin::parse(&text);
    if let Ok((origin, _)) = &origin {
        let printed = origin.to_string();
        assert_eq!(Origin::parse(&printed).map(|(origin, _)| origin).ok().as_ref(), Some(origin), "{text:?} {printed}");
        let _ = (origin.resolve("/a/b", &text), origin.of_location(&text));
    }
    let mut nodes = Nodes::default();
    let added = nodes.add(&text).and_then(|()| nodes.check());
    let _ = (nodes.said().len(), nodes.admits("node-a", |_| None), Shard::parse(&text));
    let server = Server::parse(&text, Scheme::Https);
    came_to(origin.map(|_| 1)) ^ came_to(added).rotate_left(3) ^ came_to(server.map(|_| 1)).rotate_left(5)
}

/// A number for a result; an error must have words of a bearable length.
fn came_to<T: Hash>(result: Result<T>) -> u64 {
    match result {
        Ok(value) => {
            let mut hasher = DefaultHasher::new();
            value.hash(&mut hasher);
            hasher.finish()
        }
        Err(error) => shape(&bearable(&error)),
    }
}

fn bearable(error: &Error) -> String {
    let words = error.chain();
    assert!(words.len() < 16 << 10, "{} bytes of words: {words:.200}", words.len());
    assert!(error.remedy().is_none_or(|remedy| remedy.len() < 16 << 10));
    words
}

/// A number for words, whatever they quote and count.
fn shape(words: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (nth, part) in words.split(['"', '`', '\'']).enumerate().filter(|(nth, _)| nth % 2 == 0) {
        nth.hash(&mut hasher);
        part.bytes().filter(u8::is_ascii_alphabetic).take(200).for_each(|byte| byte.hash(&mut hasher));
    }
    hasher.finish()
}

/// Bytes as the quoting shows them: U+FFFD for what is no UTF-8.
fn readable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn split(continuation: Continuation, frames: impl IntoIterator<Item = Bytes>) -> Vec<Line> {
    let (mut splitter, mut lines) = (Splitter::new(continuation), Vec::new());
    frames.into_iter().for_each(|frame| splitter.push(frame, &mut lines));
    splitter.finish(&mut lines);
    lines
}

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("one thread").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn fixture(name: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().find(|folder| folder.join("fixtures").is_dir());
    let path = root.unwrap_or(Path::new(".")).join("fixtures").join(name);
    fs::read(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn keys() -> Vec<Vec<u8>> {
    [
        "ec.crt",
        "ec-pkcs8.key",
        "ec-sec1.key",
        "rsa.crt",
        "rsa-pkcs1.key",
        "rsa-encrypted.key",
        "rsa-encrypted-pkcs1.key",
    ]
    .map(|name| fixture(&format!("kubeconfigs/keys/{name}")))
    .into_iter()
    .chain([[fixture("kubeconfigs/keys/ec.crt"), fixture("kubeconfigs/keys/ec-sec1.key")].concat()])
    .collect()
}

fn kubeconfigs() -> Vec<Vec<u8>> {
    let head = "apiVersion: v1\nkind: Config\ncurrent-context: x\npreferences: {}\n\
        contexts:\n- name: x\n  context: {cluster: c, user: u, namespace: n}\n\
        clusters:\n- name: c\n  cluster:\n    server: https://a.example:6443\n";
    let user = |fields: &str| format!("{head}users:\n- name: u\n  user:\n    {fields}\n").into_bytes();
    let json = "{\"apiVersion\":\"v1\",\"kind\":\"Config\",\"current-context\":\"x\",\"contexts\":[{\"name\":\"x\",\"context\":{\"cluster\":\"c\",\"user\":\"u\"}}],\
        \"clusters\":[{\"name\":\"c\",\"cluster\":{\"server\":\"https://a\",\"insecure-skip-tls-verify\":true,\"proxy-url\":\"socks5://a:b@c:1080\"}}],\
        \"users\":[{\"name\":\"u\",\"user\":{\"auth-provider\":{\"name\":\"oidc\",\"config\":{\"id-token\":\"a.b.c\",\"refresh-token\":\"r\"}}}}]}";
    let utf16 = |text: &[u8]| [0xff, 0xfe].into_iter().chain(text.iter().flat_map(|byte| [*byte, 0])).collect();
    vec![
        user("token: hunter2\n    as: admin\n    as-groups: [a, b]\n    as-user-extra: {k: [v]}"),
        user("username: admin\n    password: 'hun''ter2'"),
        user(
            "exec:\n      apiVersion: client.authentication.k8s.io/v1\n      command: aws\n      args: [eks, get-token]\n      env: [{name: A, value: b}]\n      interactiveMode: Never",
        ),
        user(
            "auth-provider:\n      name: oidc\n      config:\n        client-id: k\n        client-secret: s\n        id-token: a.b.c # old\n        idp-issuer-url: https://i.example\n        refresh-token: \"r\"",
        ),
        user(
            "auth-provider: &a\n      name: oidc\n      config: {refresh-token: 'r', idp-issuer-url: \"https://i\"}\n- name: v\n  user: {auth-provider: *a}",
        ),
        user(&format!("client-certificate-data: {}", "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg==")),
        json.into(),
        utf16(json.as_bytes()),
    ]
}

fn credentials() -> Vec<Vec<u8>> {
    let json = |status: &str| {
        format!(
            "{{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",\"status\":{{{status}}}}}"
        )
        .into_bytes()
    };
    let pem = |name: &str| serde_json::Value::from(String::from_utf8_lossy(&fixture(name))).to_string();
    let (certificate, key) = (pem("kubeconfigs/keys/ec.crt"), pem("kubeconfigs/keys/ec-sec1.key"));
    vec![
        json("\"token\":\"hunter2\",\"expirationTimestamp\":\"2026-11-21T03:07:12Z\""),
        json(&format!("\"clientCertificateData\":{certificate},\"clientKeyData\":{key}")),
        b"apiVersion: client.authentication.k8s.io/v1\nkind: ExecCredential\nstatus:\n  token: hunter2\n".to_vec(),
    ]
}

/// Recorded refusals.
fn answers() -> Vec<Vec<u8>> {
    [
        "bad-node-x1",
        "bad-node-x6",
        "node-unknown",
        "forbidden-viewer",
        "file-missing",
        "auth-bad-token",
        "node-down",
        "nodes-list-continue-expired",
    ]
    .map(|name| fixture(&format!("exchanges/1.36/{name}.http")))
    .into_iter()
    .map(|answer| {
        let body = memchr::memmem::find(&answer, b"\r\n\r\n").map_or(0, |at| at + 4);
        answer[body..].to_vec()
    })
    .chain(texts(&["<html><head><TITLE>502 Bad Gateway</title></head></html>", "404 page not found\n"]))
    .collect()
}

fn listings() -> Vec<Vec<u8>> {
    texts(&[
        "<!doctype html>\n<meta name=\"viewport\" content=\"width=device-width\">\n<pre>\n<a href=\"audit/\">audit/</a>\n<a href=\"a%20b.log\">a b.log</a>\n</pre>\n",
        "<pre>\n<a href=\"./a:b\">a:b</a>\n<a href=\"x&amp;y%22.gz\">x&amp;y&#34;.gz</a>\n<a href=\"%C3%A9/\">é/</a>\n</pre>\n",
    ])
}

fn logs() -> Vec<Vec<u8>> {
    let expected = fixture("journals/expected.short-precise.txt");
    let mut seeds: Vec<Vec<u8>> = expected.chunks(240).step_by(20).map(<[u8]>::to_vec).collect();
    seeds.push(fixture("logs/windows-get-winevent.txt").into_iter().take(300).collect());
    seeds.extend(texts(&[
        "Nov 21 03:07:12.123456 node-a kubelet[640]: I1121 03:07:12.123456     640 server.go:487] \"Kubelet \\\"version\\\"\" pod=\"a/b\" list=[a b] map={\"a\":1} err=<\n                                        \tone\n                                        \ttwo\n                                         >\nNov 21 03:07:13.000001 node-a kernel: x\n",
        "{\"ts\":1795230432123.5,\"caller\":\"a/b.go:12\",\"msg\":\"text\",\"v\":0,\"err\":\"x\\ny\",\"list\":[1,{\"a\":null}]}\n",
        "2026-11-21T03:07:12.123456789Z stderr F W1121 03:07:12.123456       1 a.go:1] plain words\n2026-11-21T03:07:13Z stdout P partial",
        "time=\"2026-11-21T03:07:12Z\" level=warning msg=\"E1121 03:07:12.123456 1 x.go:1] in\\tlogrus\" a=b\n-- Reboot --\n",
    ]));
    seeds
}

fn secrets() -> Vec<Vec<u8>> {
    let key = ["-----BEGIN PRIVATE ", "KEY-----\nMIIEow\n  AQEA+/9x==\n-----END PRIVATE ", "KEY-----\nx\n"].concat();
    texts(&[
        &key,
        "data:\n  a: aHVudGVyMg==\nkind: Secret\n{\"kind\":\"Secret\",\"data\":{\"a\":\"eA==\",\"b\":\"eA==\"}}\n",
        "Authorization: Bearer abc.def\nBasic YWRtaW46aHVudGVyMg== {\"auth\":\"dXNlcjpwYXNz\"}\n",
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4IiwiZXhwIjoxfQ.c2ln abcdef.0123456789abcdef http://u:p@h:1/x?sig=0123456789abcdef&b\n",
        "--password \"a\\\"b\" --token=abcdefgh1 DB_PASSWORD='x' [\"--password\",\"y\"] AccountKey=a==;b\nCookie: a=b\n",
    ])
}

fn replies() -> Vec<Vec<u8>> {
    texts(&[
        "HTTP/1.1 200 Connection established\r\nVia: 1.1 squid\r\n\r\n",
        "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"a, b\", Digest x=y\r\nContent-Length: 3\r\n\r\nno.",
        "HTTP/1.0 100 \r\n\r\nHTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nContent-Length: 99999999999999999999\r\n\r\n<title>x",
        "HTTP/1.1 503 a\nb: c\n\n",
    ])
}

fn dialogues() -> Vec<Vec<u8>> {
    vec![
        vec![5, 2, 1, 0, 5, 0, 0, 1, 1, 2, 3, 4, 0, 80],
        vec![5, 0, 5, 0, 0, 3, 4, b'h', b'o', b's', b't', 0, 80],
        [&[5, 0, 5, 0, 0, 4][..], &[1; 18]].concat(),
        vec![5, 2, 1, 1],
        vec![5, 2, 1, 0, 5, 5],
        vec![5, 255],
    ]
}

fn certificates() -> Vec<Vec<u8>> {
    let of = |name: &str| pem::certificates(&fixture(&format!("kubeconfigs/keys/{name}"))).expect("a certificate");
    let found = [of("ec.crt"), of("rsa.crt")].concat();
    // Small ones, of which a variation often is one still.
    let der = |tag: u8, parts: &[&[u8]]| -> Vec<u8> {
        let content = parts.concat();
        [&[tag, 0x82, (content.len() >> 8) as u8, content.len() as u8][..], &content].concat()
    };
    let attribute =
        |id: u8, tag: u8, text: &[u8]| der(0x31, &[&der(0x30, &[&der(6, &[&[0x55, 4, id]]), &der(tag, &[text])])]);
    let made = |names: &[Vec<u8>], from: (u8, &[u8]), to: (u8, &[u8]), hosts: &[(u8, &[u8])]| {
        let hosts: Vec<u8> = hosts.iter().flat_map(|(tag, host)| der(*tag, &[host])).collect();
        let extension =
            der(0x30, &[&der(6, &[&[0x55, 0x1d, 17]]), &der(1, &[&[0xff]]), &der(4, &[&der(0x30, &[&hosts])])]);
        let dates = der(0x30, &[&der(from.0, &[from.1]), &der(to.0, &[to.1])]);
        let (subject, key) = (der(0x30, &[&names.concat()]), der(0x30, &[]));
        let fields =
            [&der(2, &[&[1]])[..], &key, &subject, &dates, &subject, &key, &der(0xa3, &[&der(0x30, &[&extension])])];
        der(0x30, &[&der(0x30, &fields)])
    };
    let (common, unit) = (attribute(3, 12, b"name"), attribute(11, 0x1e, b"\0u\0n"));
    let (old, late) = ((0x17, &b"260101000000Z"[..]), (0x18, &b"20490101000000Z"[..]));
    let hosts: [(u8, &[u8]); 4] =
        [(0x82, b"a.example"), (0x87, &[10, 0, 0, 1]), (0x87, &[0; 16]), (0x86, b"spiffe://x")];
    found
        .iter()
        .map(|certificate| certificate.to_vec())
        .chain([
            made(&[common.clone(), attribute(10, 0x14, b"org\xe9")], old, old, &hosts),
            made(&[common, unit], old, late, &hosts.repeat(4)),
            made(&[], late, old, &[]),
        ])
        .collect()
}

fn token_answers() -> Vec<Vec<u8>> {
    texts(&[
        "{\"id_token\":\"e30.eyJleHAiOjE3OTUyMzA0MzJ9.c2ln\",\"refresh_token\":\"r-2\",\"token_type\":\"Bearer\"}",
        "{\"id_token\":\"e30.eyJleHAiOjEuNWU5LCJhdWQiOlsiYSJdfQ.c2ln\",\"expires_in\":3600}",
        "{\"error\":\"invalid_grant\",\"error_description\":\"Token has ended\"}",
        "{\"access_token\":\"a\"}",
        "<html><title>502</title>",
    ])
}

fn preferences() -> Vec<Vec<u8>> {
    let of = |more: &str| format!("apiVersion: kubectl.config.k8s.io/v1beta1\nkind: Preference\n{more}\n");
    let list =
        of("credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist:\n- name: aws\n- command: /usr/bin/tsh");
    let deny = of("credentialPluginPolicy: DenyAll");
    let utf16 = [0xfeff].into_iter().chain(deny.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let inline = format!("--- {{{}}}", deny.trim_end().replace('\n', ", "));
    [list.into_bytes(), utf16, inline.into_bytes(), format!("kind: Other\n---\n{deny}---\n").into_bytes()].to_vec()
}

fn written_proxies() -> Vec<Vec<u8>> {
    texts(&[
        "http://u:p%40x@proxy.example:3128\n.example,10.0.0.0/8",
        "socks5h://[fd00::2]\n*.a.example:6443, 10.0.0.1:80 ,[fd00::1]:443",
        "proxy:8080\n::ffff:10.0.0.0/104,fd00::/8",
        "https://user@p\n*",
        "bob:12345/34@p",
    ])
}

fn multiparts() -> Vec<Vec<u8>> {
    let part = |range: &str, data: &str| {
        format!("--x\r\nContent-Range: bytes {range}/100\r\nContent-Type: text/plain\r\n\r\n{data}\r\n")
    };
    let long = "0123456789".repeat(8);
    vec![
        [part("0-4", "01234"), part("7-8", "78"), part("20-99", &long), "--x--\r\n".into()].concat().into(),
        [part("7-8", "78"), "--x--".into()].concat().into(),
        "preamble\n--x\ncontent-range: bytes 0-4/5\n\n01234\n--x--\nepilogue".into(),
        b"bytes 0-499/1234".to_vec(),
        b"multipart/byteranges; boundary=\"a b\"".to_vec(),
    ]
}

fn journals() -> Vec<Vec<u8>> {
    ["c1k1ZSTD", "c0k0XZ", "c0k0LZ4", "c0k00"]
        .map(|name| {
            let mut bytes = Vec::new();
            let packed = fixture(&format!("journals/{name}.journal.gz"));
            flate2::read::GzDecoder::new(&*packed).read_to_end(&mut bytes).expect("gzip");
            bytes
        })
        .to_vec()
}

fn written_times() -> Vec<Vec<u8>> {
    texts(&[
        "2026-11-21T03:07:12Z",
        "2026-11-21T03:07:12.123456789+05:30",
        "2026-11-21 03:07",
        "2026-11-21",
        "03:07",
        "today",
        "-2h",
        "1h30m",
        "@1795230432.5",
        "5 min ago",
        "I1121 03:07:12.123456",
        "Nov 21 03:07:12 node",
        "1m30.5s",
        "250ms",
        "30",
        "Europe/Rome",
        "+02:00",
        "03:07±5m",
        "2026-11-21 03:07 ±2m",
    ])
}

fn written_names() -> Vec<Vec<u8>> {
    texts(&[
        "https://a.example:6443/k8s/c/1",
        "http://[::1]:80",
        "https://user:hunter2@host",
        "//b/c?d#e",
        "node-a",
        "node-{1..9}",
        "~^worker-[a-c]",
        "role=worker",
        "1/3",
        "http://u:p@proxy:3128",
        "10.0.0.0/8,.example,*.x:443",
        "socks5://[fe80::1%25eth0]:1080",
    ])
}

/// Where a target's inputs may be kept, named by whoever runs it.
#[allow(dead_code, reason = "for the driver")]
pub(crate) fn read_inputs(folder: &Path) -> std::io::Result<Vec<Vec<u8>>> {
    let mut paths: Vec<PathBuf> = if folder.is_dir() {
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?
    } else {
        vec![folder.to_owned()]
    };
    paths.sort();
    paths.into_iter().filter(|path| path.is_file()).map(fs::read).collect()
}

/// Runs the seeds, then variations until `goes_on` says no. Tells each input before it is tried. How many inputs were tried.
pub(crate) fn fuzz(
    target: &Target,
    more: Vec<Vec<u8>>,
    seed: u64,
    mut goes_on: impl FnMut(u64) -> bool,
    mut about_to: impl FnMut(&[u8]),
) -> Tried {
    let mut corpus: Vec<Vec<u8>> = (target.seeds)().into_iter().chain(more).collect();
    let mut known = std::collections::HashSet::new();
    for input in &corpus {
        about_to(input);
        known.insert((target.run)(input));
    }
    let seeds = corpus.len();
    let mut runs = 0;
    while goes_on(runs) {
        let mut mutator = super::mutate::Mutator::new(seed.wrapping_add(runs));
        // The seeds keep their weight beside what grew out of them.
        let among = if mutator.below(2) == 0 { seeds } else { corpus.len() };
        let one = mutator.below(among);
        let other = mutator.below(corpus.len());
        let input = mutator.vary(&corpus[one], &corpus[other], target.tokens);
        about_to(&input);
        if known.insert((target.run)(&input))
            && corpus.len() < MOST_KEPT
            && input.len() <= LONGEST_KEPT.max(corpus[one].len())
        {
            corpus.push(input);
        }
        runs += 1;
    }
    Tried { runs, outcomes: known.len() }
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Tried {
    pub(crate) runs: u64,
    /// Different ones.
    pub(crate) outcomes: usize,
}

/// Inputs that are varied; a journal is 8 MiB.
const MOST_KEPT: usize = 500;
const LONGEST_KEPT: usize = 256;
