//! Following: every line the node still had, once, in order, whatever breaks meanwhile.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use hyper::StatusCode;
use kubelet_logs::clock::Clock;
use kubelet_logs::time::Timestamp;

use crate::cluster::{Cluster, Fault, Mode, Node, Reader, Setup, Step, User, What};
use crate::support::journals::replay::Replay;
use crate::support::journals::{Live, Variant, journalctl};

mod batches;
mod beginning;
mod continued;
mod cuts;
mod journal;
pub(crate) mod run;
mod zone;

use run::Following;

/// What breaks on the way, once each.
fn breaks() -> [What; 6] {
    [
        What::Reset,
        What::Status(StatusCode::SERVICE_UNAVAILABLE),
        What::Goaway,
        What::CutAfter(3),
        What::ResetAfter(70),
        What::Status(StatusCode::BAD_GATEWAY),
    ]
}

/// Every line once, and in order.
#[track_caller]
fn same(got: &[String], wanted: &[String], said: &str) {
    let cut = |line: Option<&String>| line.map(|line| line.chars().take(150).collect::<String>());
    let at = (0..got.len().max(wanted.len())).find(|at| got.get(*at) != wanted.get(*at));
    let around =
        at.map(|at| (at, cut(at.checked_sub(1).and_then(|at| got.get(at))), cut(got.get(at)), cut(wanted.get(at))));
    assert!(
        around.is_none(),
        "{} lines of {}: (at, before, got, wanted) = {around:#?}\n{said}",
        got.len(),
        wanted.len()
    );
}

fn random(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    }
}

/// Adds to a file, which may not be there yet.
fn append(path: &Path, bytes: &[u8]) {
    let mut file = std::fs::File::options().append(true).create(true).open(path).expect("a file");
    file.write_all(bytes).expect("room");
}

/// A log file that is written, rotated and truncated.
struct Log {
    path: PathBuf,
    written: Vec<String>,
    rotations: u32,
}

impl Log {
    fn new(folder: &Path) -> Log {
        Log { path: folder.join("kubelet.log"), written: Vec::new(), rotations: 0 }
    }

    fn write(&mut self, text: &str) {
        append(&self.path, text.as_bytes());
    }

    fn line(&mut self, words: &str) -> String {
        let at = Timestamp::from_micros(Clock::System.now().as_micros()).civil_utc();
        let number = self.written.len();
        let line = format!(
            "I{:02}{:02} {:02}:{:02}:{:02}.{:06}    1 a.go:{number}] {words} {number}",
            at.month, at.day, at.hour, at.minute, at.second, at.micros
        );
        self.written.push(line.clone());
        line
    }

    fn append(&mut self, count: u64) {
        for _ in 0..count {
            let line = self.line("line");
            self.write(&format!("{line}\n"));
        }
    }

    /// As logrotate does, oldest first.
    fn rotate(&mut self) {
        self.make_room();
        std::fs::rename(&self.path, self.path.with_extension("log.1")).expect("renamed");
        self.rotations += 1;
        std::fs::File::create(&self.path).expect("a file");
    }

    /// Renames the rotations.
    fn make_room(&self) {
        for number in (1..20).rev() {
            for end in ["", ".gz"] {
                let of = |number: u32| self.path.with_extension(format!("log.{number}{end}"));
                let _ = std::fs::remove_file(of(number + 1));
                let _ = std::fs::rename(of(number), of(number + 1));
            }
        }
    }

    /// As logrotate does for writers that keep their file open.
    fn copy_and_truncate(&mut self) {
        self.make_room();
        std::fs::copy(&self.path, self.path.with_extension("log.1")).expect("a copy");
        std::fs::File::options().write(true).truncate(true).open(&self.path).expect("a file");
    }

    /// Packs the rotation of this number.
    fn pack(&self, number: u32) {
        let plain = self.path.with_extension(format!("log.{number}"));
        let Ok(content) = std::fs::read(&plain) else { return };
        let file = std::fs::File::create(self.path.with_extension(format!("log.{number}.gz"))).expect("a file");
        let mut packer = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        packer.write_all(&content).and_then(|()| packer.finish()).expect("room");
        std::fs::remove_file(plain).expect("deleted");
    }
}

#[test]
fn a_file_is_followed_across_rotations_and_every_break() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut log = Log::new(folder.path());
    log.append(20);
    let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_OFF).files(folder.path())]).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let mut following = Following::start(&kubeconfig, &["node-a", "--source=file", "--tail=5"]);
    following.wait_for("line 19");
    let mut random = random(9);
    let rounds: u64 = std::env::var("FOLLOW_CUTS").map_or(25, |n| n.parse().expect("a number"));
    for round in 0..rounds {
        match random(4) {
            0 => log.rotate(),
            1 => {
                let fault = Fault::new(breaks()[(round % 6) as usize].clone()).path("kubelet.log").first(1);
                // The next one may come before this one strikes.
                cluster.inject(fault.perhaps());
            }
            2 => {
                // The beginning of a line, and the rest of it later.
                let line = log.line("halves");
                let middle = line.len() / 2;
                log.write(&line[..middle]);
                let last = cluster.requests().len();
                cluster.wait_for(last + 2, |_| true);
                log.write(&format!("{}\n", &line[middle..]));
            }
            _ => log.append(1 + random(5)),
        }
        log.append(1);
        // Sometimes it is looked at meanwhile, sometimes much happens between two looks.
        if random(3) == 0 {
            following.wait_for(&format!("line {}", log.written.len() - 1));
        }
    }
    log.append(1);
    following.wait_for(&format!("line {}", log.written.len() - 1));
    let (code, lines, said) = following.interrupt();
    assert_eq!(code, 130, "{said}");
    same(&lines, &log.written[15..], &said);
    assert!(log.rotations > 2, "the test rotates nothing");
}

#[test]
fn a_gap_that_a_rotation_made_is_announced() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut log = Log::new(folder.path());
    log.append(3);
    let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_OFF).files(folder.path())]).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let mut following = Following::start(&kubeconfig, &["node-a", "--source=file"]);
    following.wait_for("line 2");
    // Emptied, and written anew at once: nobody has what stood there.
    std::fs::write(&log.path, "").expect("emptied");
    log.append(2);
    following.wait_for("line 4");
    let (code, lines, said) = following.interrupt();
    assert_eq!((code, lines.len()), (130, 5), "{said}");
    assert!(said.contains("warning: node-a: /var/log/kubelet.log was replaced or emptied"), "{said}");
}

#[test]
fn a_window_that_ends_ends_the_following() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut log = Log::new(folder.path());
    log.append(3);
    let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_OFF).files(folder.path())]).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let ran = crate::support::run(&kubeconfig, ["node-a", "-f", "--source=file", "--until=now", "--tail=2", "-q"]);
    assert_eq!(ran.expect(0, &[]).text().lines().count(), 2);
}

/// Follows a journal while `step` changes it, as often as it says that something came; compares with journalctl.
fn follow_journal(root: &Path, directory: &Path, unit: &str, mut step: impl FnMut(&Cluster) -> bool) {
    let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_OFF).files(root)]).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let mut following = Following::start(&kubeconfig, &["node-a", "-u", unit, "--tail=-1", "--source=journal"]);
    let whole = || {
        let text = journalctl(directory, &["-o", "short-precise", "--utc", "-u", unit]);
        let text = String::from_utf8_lossy(&text).into_owned();
        text.lines().filter(|line| !line.starts_with("-- ")).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut more = true;
    while std::mem::replace(&mut more, false) {
        more = step(&cluster);
        if let Some(last) = whole().iter().rev().find(|line| !line.starts_with(' ')) {
            following.wait_for(last.trim_end());
        }
    }
    let (code, lines, said) = following.interrupt();
    assert_eq!(code, 130, "{said}");
    let lines: Vec<String> = lines.into_iter().filter(|line| !line.starts_with("-- ")).collect();
    same(&lines, &whole(), &said);
}

#[test]
fn a_journal_is_followed_across_rotations() {
    let root = tempfile::tempdir().expect("a directory");
    let Some(mut live) = Live::new(root.path(), Variant::NEW, "following a journal") else {
        return;
    };
    live.append(50);
    let directory = live.directory().to_owned();
    let mut random = random(5);
    let mut left = 12;
    follow_journal(root.path(), &directory, "kubelet", |cluster| {
        left -= 1;
        match random(3) {
            0 => live.rotate(),
            1 => cluster.inject(Fault::new(breaks()[(left % 6) as usize].clone()).path("journal").first(1)),
            _ => {}
        }
        live.append(5 + random(20));
        left > 0
    });
}

#[test]
fn a_recorded_journal_is_followed_across_rotations() {
    let root = tempfile::tempdir().expect("a directory");
    let mut replay = Replay::new(root.path());
    let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_OFF).files(root.path())]).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    replay.step();
    let args = ["node-a", "-u", "kubelet", "--tail=-1", "--source=journal"];
    let mut following = Following::start(&kubeconfig, &args);
    following.wait_for("kubelet[");
    while replay.step().is_some() {}
    let text = String::from_utf8_lossy(&replay.text()).into_owned();
    let last = text.lines().rev().find(|line| line.contains(" kubelet[")).expect("a line");
    following.wait_for(last.trim_end());
    let (code, lines, said) = following.interrupt();
    assert_eq!(code, 130, "{said}");
    let first = |lines: &mut dyn Iterator<Item = &str>| -> Vec<String> {
        lines.filter(|line| line.contains(" kubelet[")).map(str::to_owned).collect()
    };
    let expected = first(&mut text.lines());
    same(&first(&mut lines.iter().map(String::as_str)), &expected, &said);
}

/// What the query's journalctl reads.
static QUERIED: Mutex<Vec<(i64, String)>> = Mutex::new(Vec::new());

fn queried(args: &[String]) -> Vec<Step> {
    if args.iter().any(|arg| arg == "--field") || args.first().is_some_and(|arg| arg == "--field") {
        return vec![Step::Print("kubelet.service\n".into())];
    }
    journalctl_of(&QUERIED.lock().unwrap_or_else(PoisonError::into_inner), args)
}

/// What journalctl prints of these entries.
fn journalctl_of(log: &[(i64, String)], args: &[String]) -> Vec<Step> {
    let value = |name: &str| args.iter().find_map(|arg| arg.strip_prefix(name));
    let since = value("--since=").and_then(|at| {
        let (date, time) = at.split_once(' ')?;
        let padded: Vec<String> = date.split('-').map(|n| format!("{n:0>2}")).collect();
        let time: Vec<String> = time.split(':').map(|n| format!("{n:0>2}")).collect();
        Some(Timestamp::parse_rfc3339(&format!("{}T{}Z", padded.join("-"), time.join(":")))?.as_micros())
    });
    let lines: Vec<&String> =
        log.iter().filter(|(at, _)| since.is_none_or(|since| *at >= since)).map(|(_, l)| l).collect();
    let tail = value("--lines=").and_then(|n| n.parse().ok()).unwrap_or(usize::MAX);
    let from = lines.len().saturating_sub(tail);
    vec![Step::Print(lines[from..].iter().map(|line| format!("{line}\n")).collect::<String>().into())]
}

/// An entry as journalctl prints it.
fn entry(at: Timestamp, unit: &str, number: usize) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let shown = at.civil_utc();
    let month = MONTHS[usize::from(shown.month) - 1];
    let (hour, minute, second, micros) = (shown.hour, shown.minute, shown.second, shown.micros);
    format!("{month} {:02} {hour:02}:{minute:02}:{second:02}.{micros:06} node-a {unit}[1]: entry {number}", shown.day)
}

#[test]
fn the_query_is_followed_without_loss_or_repeat() {
    let write = |count: usize| {
        let mut log = QUERIED.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..count {
            let at = Clock::System.now();
            let line = entry(at, "kubelet", log.len());
            log.push((at.as_micros(), line));
        }
        log.len() - 1
    };
    let last = write(30);
    let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_ON).reader(Reader::Script(queried))]).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let mut following = Following::start(&kubeconfig, &["node-a", "--source=query", "--tail=4"]);
    following.wait_for(&format!("entry {last}"));
    for number in 0..4 {
        cluster.inject(Fault::new(breaks()[number].clone()).path("sinceTime").first(1));
        let last = write(3 + number);
        following.wait_for(&format!("entry {last}"));
    }
    let (code, lines, said) = following.interrupt();
    assert_eq!(code, 130, "{said}");
    let log = QUERIED.lock().unwrap_or_else(PoisonError::into_inner);
    let expected: Vec<String> = log[26..].iter().map(|(_, line)| line.clone()).collect();
    same(&lines, &expected, &said);
}

#[test]
fn several_nodes_are_followed_as_one_and_a_lost_one_does_not_stop_the_others() {
    let root = tempfile::tempdir().expect("a folder");
    let folders: Vec<PathBuf> = (0..3).map(|n| root.path().join(format!("node-{n}"))).collect();
    let mut logs: Vec<Log> = folders
        .iter()
        .map(|folder| {
            std::fs::create_dir(folder).expect("a folder");
            Log::new(folder)
        })
        .collect();
    logs.iter_mut().for_each(|log| log.append(1));
    let nodes =
        folders.iter().enumerate().map(|(n, folder)| Node::new(&format!("node-{n}"), Mode::QUERY_OFF).files(folder));
    let cluster = Setup::new(nodes.collect()).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let mut following = Following::start(&kubeconfig, &["node-*", "--source=file"]);
    for _ in 0..3 {
        following.next();
    }
    cluster.inject(Fault::new(What::Status(StatusCode::SERVICE_UNAVAILABLE)).node("node-1"));
    for number in 1..4 {
        for node in [0, 2] {
            logs[node].append(1);
            following.wait_for(&format!("line {number}"));
        }
    }
    logs[1].append(2);
    cluster.heal();
    following.wait_for("node-1 ");
    while !following.got.iter().any(|line| line.starts_with("node-1") && line.ends_with("line 2")) {
        following.next();
    }
    let (code, mut lines, said) = following.interrupt();
    assert_eq!(code, 130, "{said}");
    assert!(
        said.contains("warning: node-1: ") && said.contains("trying again") && said.contains("answers again"),
        "{said}"
    );
    let mut expected: Vec<String> = logs
        .iter()
        .enumerate()
        .flat_map(|(n, log)| log.written.iter().map(move |line| format!("node-{n} {line}")))
        .collect();
    lines.sort();
    expected.sort();
    same(&lines, &expected, &said);
}
