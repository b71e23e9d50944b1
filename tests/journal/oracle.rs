//! What journalctl printed once, and what it prints now where it is installed.

use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use flate2::read::GzDecoder;
use kubelet_logs::journal::{AnyOf, Matches, Query};
use serde::Deserialize;

use super::driver::{Files, Run, fixtures, read};

pub(crate) const VARIANTS: [&str; 6] =
    ["c0k00.journal", "c0k0LZ4.journal", "c0k0XZ.journal", "c0k1ZSTD.journal", "c1k0LZ4.journal", "c1k1ZSTD.journal"];

/// The same entries, written by systemd 247, 252 and 257; one file set aside after a crash, one journal in two files.
pub(crate) fn restarts() -> Vec<(&'static str, Files)> {
    let unclean = fixtures("restarts-header264.journal").remove(0).1;
    let mut unclean = Vec::clone(&unclean);
    unclean[16] = 1;
    vec![
        ("247", fixtures("restarts-header256.journal")),
        ("252", fixtures("restarts-header264.journal")),
        ("unclean", vec![("system@00060a2418200000-1234567890abcdef.journal~".into(), Arc::new(unclean))]),
        ("257, rotated", fixtures("rotated-restarts")),
    ]
}

pub(crate) fn expected(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/journals").join(name);
    let mut text = String::new();
    if let Ok(packed) = std::fs::File::open(path.with_file_name(format!("{name}.gz"))) {
        GzDecoder::new(packed).read_to_string(&mut text).expect("gzip");
        return text;
    }
    std::fs::read_to_string(path).expect("a fixture")
}

fn kubelet() -> Matches {
    Matches::all().and(AnyOf::unit("kubelet"))
}

#[track_caller]
pub(crate) fn assert_text(run: &Run, expected: &str, what: &str) {
    assert_eq!((&run.notices, run.end), (&vec![], None), "{what}");
    if run.text() != expected {
        let (got, expected) = (run.text(), expected.to_owned());
        let at = got.lines().zip(expected.lines()).position(|(a, b)| a != b);
        let line = |text: &str| at.and_then(|at| text.lines().nth(at).map(str::to_owned));
        panic!(
            "{what}: {} lines, expected {}; first difference in line {at:?}:\n{:?}\n{:?}",
            got.lines().count(),
            expected.lines().count(),
            line(&got),
            line(&expected)
        );
    }
}

#[test]
fn variants_of_the_format_read_alike() {
    let expected = expected("expected.short-precise.txt");
    for name in VARIANTS {
        assert_text(&read(&fixtures(name), Query::new(kubelet())), &expected, name);
        assert_text(&read(&fixtures(name), Query::tail(kubelet(), 1000)), &expected, name);
    }
}

#[test]
fn headers_of_all_versions_read_alike() {
    let expected = expected("expected-restarts.short-precise.txt");
    for (name, files) in restarts() {
        assert_text(&read(&files, Query::new(kubelet())), &expected, name);
        assert_text(&read(&files, Query::tail(kubelet(), 1000)), &expected, name);
    }
}

/// An entry as journalctl printed it.
#[derive(Clone, Deserialize)]
pub(crate) struct Recorded {
    #[serde(rename = "t")]
    pub(crate) realtime: u64,
    #[serde(rename = "b")]
    boot: usize,
    #[serde(rename = "u")]
    pub(crate) units: Vec<usize>,
    #[serde(rename = "x")]
    text: String,
}

#[derive(Deserialize)]
pub(crate) struct Recording {
    pub(crate) units: Vec<String>,
    boots: Vec<String>,
    #[serde(skip)]
    pub(crate) entries: Vec<Recorded>,
}

impl Recording {
    pub(crate) fn of(name: &str) -> Recording {
        let text = expected(&format!("{name}.entries"));
        let mut lines = text.lines();
        let mut recording: Recording = serde_json::from_str(lines.next().expect("a line")).expect("JSON");
        recording.entries = lines.map(|line| serde_json::from_str(line).expect("JSON")).collect();
        recording
    }
}

/// A query, and which recorded entries it should give.
type Case = (String, Query, Box<dyn Fn(&Recorded) -> bool>);

/// Units (every nth, and those that others ask about), boots and windows, alone and together.
fn cases(recording: &Recording, nth_unit: usize) -> Vec<Case> {
    let mut cases: Vec<Case> = vec![("all".into(), Query::default(), Box::new(|_| true))];
    let place = |name: &str| recording.units.iter().position(|unit| unit == name);
    for (nth, unit) in recording.units.iter().enumerate() {
        let known = ["kubelet.service", "containerd.service", "init.scope"].contains(&unit.as_str());
        if !known && nth % nth_unit > 0 {
            continue;
        }
        let matches = Matches::all().and(AnyOf::unit(unit));
        cases.push((unit.clone(), Query::new(matches), Box::new(move |entry| entry.units.contains(&nth))));
    }
    let pair = Matches::all().and(AnyOf::unit("kubelet").or(AnyOf::unit("containerd.service")));
    let (a, b) = (place("kubelet.service").unwrap(), place("containerd.service").unwrap());
    let either = move |entry: &Recorded| entry.units.contains(&a) || entry.units.contains(&b);
    cases.push(("two units".into(), Query::new(pair), Box::new(either)));
    for (nth, boot) in recording.boots.iter().enumerate() {
        let of_boot = AnyOf::boot(boot.parse().unwrap());
        let all = Matches::all().and(of_boot.clone());
        cases.push((format!("boot {nth}"), Query::new(all), Box::new(move |entry| entry.boot == nth)));
        let kubelets = move |entry: &Recorded| entry.boot == nth && entry.units.contains(&a);
        cases.push((format!("kubelet in boot {nth}"), Query::new(kubelet().and(of_boot)), Box::new(kubelets)));
    }
    let times: Vec<u64> = recording.entries.iter().map(|entry| entry.realtime).collect();
    let time = |percent: usize| times[(times.len() - 1) * percent / 100];
    for (since, until) in [(0, 100), (50, 100), (0, 50), (30, 60), (99, 100), (100, 100), (0, 0), (40, 41)] {
        // Both ends belong to it: exactly at an entry, and right behind it.
        for off in [0, 1] {
            let (since, until) = (time(since) + off, time(until) - off);
            let within = move |entry: &Recorded| (since..=until).contains(&entry.realtime);
            let query = |matches| Query { since: Some(since), until: Some(until), ..Query::new(matches) };
            cases.push((format!("{since}–{until}"), query(Matches::all()), Box::new(within)));
            let kubelets = move |entry: &Recorded| within(entry) && entry.units.contains(&a);
            cases.push((format!("kubelet {since}–{until}"), query(kubelet()), Box::new(kubelets)));
        }
    }
    cases
}

#[test]
fn queries_give_what_was_recorded() {
    let mut sets: Vec<(&str, &str, Files)> = vec![
        ("variants", "variants", fixtures("c1k1ZSTD.journal")),
        ("variants, XZ", "variants", fixtures("c0k0XZ.journal")),
        ("rotated", "rotated", fixtures("rotated")),
    ];
    sets.extend(restarts().into_iter().map(|(name, files)| (name, "restarts", files)));
    for (set, recording, files) in sets {
        let recording = Recording::of(recording);
        for (what, query, wanted) in cases(&recording, if set == "rotated" { 1 } else { 16 }) {
            let entries: Vec<&Recorded> = recording.entries.iter().filter(|entry| wanted(entry)).collect();
            let text = |entries: &[&Recorded]| entries.iter().map(|entry| entry.text.as_str()).collect::<String>();
            let run = read(&files, query.clone());
            assert_text(&run, &text(&entries), &format!("{set}: {what}"));
            assert_eq!(run.entries.len(), entries.len());
            for count in [1, 10, 100, 1000] {
                let last = &entries[entries.len().saturating_sub(count)..];
                let tail =
                    Query { since: query.since, until: query.until, ..Query::tail(query.matches.clone(), count) };
                assert_text(&read(&files, tail), &text(last), &format!("{set}: {what}, last {count}"));
            }
        }
    }
}

/// What this machine's journalctl prints for the files of a folder.
pub(crate) fn journalctl(folder: &Path, args: &[String]) -> Option<String> {
    let output = Command::new("journalctl")
        .args(["-q", "-o", "short-precise", "--utc", "--no-pager", "-D"])
        .arg(folder)
        .args(args)
        .env("TZ", "UTC")
        .output()
        .ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}
