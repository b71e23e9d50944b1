//! A hundred cuts of each source: whatever breaks, every line the node still had comes once, and in order.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper::StatusCode;
use kubelet_logs::clock::Clock;
use kubelet_logs::time::Timestamp;

use super::run::Following;
use super::{Log, random, same};
use crate::cluster::journal::growing::Growing;
use crate::cluster::{Cluster, Fault, Mode, Node, Reader, Recorded, Setup, Step, User, What};

/// How many cuts of each source, over these logs side by side.
fn cuts() -> u64 {
    std::env::var("FOLLOW_CUTS").map_or(100, |count| count.parse().expect("a number"))
}
const LOGS: u64 = 4;

/// A kubelet lets a query run for so long here.
const LIMIT: Duration = Duration::from_millis(400);

/// A log that a test writes and breaks.
trait Written {
    /// Adds so many lines.
    fn append(&mut self, count: u64);
    /// All lines so far, as they are to be printed.
    fn lines(&self) -> Vec<String>;
    /// The log itself is cut in one of [`Written::WAYS`] ways.
    fn cut(&mut self, way: u64);
    const WAYS: u64;
    /// Whether that way takes the last line there was, from which following goes on. Nothing unread is lost, but who follows
    /// can't know that: it is announced.
    fn takes_the_last_line(_: u64) -> bool {
        false
    }
    /// What a request for it holds.
    const PATH: &'static str;
}

/// What breaks on the way: a name, and what happens to how many requests.
fn breaks(size: usize) -> Vec<(&'static str, Vec<(What, usize)>)> {
    let unreachable = What::Text {
        status: StatusCode::BAD_GATEWAY,
        content_type: "text/plain",
        body: "Error trying to reach service: 'dial tcp 10.0.0.7:10250: connect: connection refused'".into(),
    };
    vec![
        ("reset", vec![(What::Reset, 1)]),
        ("reset mid-line", vec![(What::ResetAfter(size), 1)]),
        ("cut mid-line", vec![(What::CutAfter(size), 2)]),
        ("goaway", vec![(What::Goaway, 1)]),
        ("closed", vec![(What::Close, 1)]),
        (
            "api server restart",
            vec![
                (What::Reset, 3),
                (What::Status(StatusCode::SERVICE_UNAVAILABLE), 6),
                // Until it knows its roles and tokens.
                (What::Status(StatusCode::FORBIDDEN), 9),
                (What::Status(StatusCode::UNAUTHORIZED), 11),
            ],
        ),
        ("kubelet restart", vec![(What::CutAfter(size), 1), (unreachable, 3)]),
        ("30 s cut", vec![(What::EndAfterPause(size, LIMIT), 1)]),
    ]
}

fn follow<L: Written>(log: &mut L, cluster: &Cluster, args: &[&str], seed: u64) -> Done {
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let mut random = random(seed);
    log.append(20);
    let limit = format!("{}ms", LIMIT.as_millis());
    let args = [args, &["--server-limit", &limit, "--tail=5"]].concat();
    let mut following = Following::start(&kubeconfig, &args);
    following.wait_for(log.lines().last().expect("a line"));
    let (mut done, mut gaps) = (Done::new(), 0);
    let kinds = breaks(0).len() as u64 + L::WAYS;
    for round in 0..cuts().div_ceil(LOGS) {
        let kind = (round * LOGS + seed) % kinds;
        match breaks([random(60), random(400)][round as usize % 2] as usize).get(kind as usize) {
            Some((name, faults)) => {
                let fits = |asked: &Recorded| asked.target.contains(L::PATH);
                for (what, count) in faults {
                    let fault = Fault::new(what.clone()).path(L::PATH).first(*count);
                    // A body may be shorter than the place where it was to be cut.
                    let cut = matches!(what, What::ResetAfter(_) | What::CutAfter(_) | What::EndAfterPause(..));
                    cluster.inject(if cut { fault.perhaps() } else { fault });
                }
                // The next ones are made when these are past; requests may be under way already.
                let before = cluster.requests().iter().filter(|asked| fits(asked)).count();
                log.append(1);
                let all = faults.iter().map(|(_, count)| *count).max().unwrap_or(0);
                cluster.wait_for(before + all + 2, fits);
                *done.entry(name).or_default() += 1;
            }
            None => {
                let way = kind - (kinds - L::WAYS);
                if L::takes_the_last_line(way) {
                    following.wait_for(log.lines().last().expect("a line"));
                    gaps += 1;
                }
                log.cut(way);
                log.append(1);
                if L::takes_the_last_line(way) {
                    following.wait_for(log.lines().last().expect("a line"));
                }
                *done.entry(WAYS[way as usize]).or_default() += 1;
            }
        }
        log.append(1 + random(5));
        // Sometimes it is looked at meanwhile, sometimes much happens between two looks.
        if random(2) == 0 {
            following.wait_for(log.lines().last().expect("a line"));
        }
    }
    log.append(1);
    following.wait_for(log.lines().last().expect("a line"));
    cluster.heal();
    let (code, lines, said) = following.interrupt();
    assert_eq!(code, 130, "{said}");
    let lines: Vec<String> = lines.into_iter().filter(|line| !line.starts_with("-- ")).collect();
    same(&lines, &log.lines()[15..], &format!("{done:?}\n{said}"));
    let is_gap = |line: &&str| line.contains("that was read last is not in the log any more");
    assert_eq!(said.lines().filter(is_gap).count(), gaps, "{done:?}\n{said}");
    let said: String = said.lines().filter(|line| !is_gap(line)).collect();
    let loss = ["gone", "deleted", "corrupt", "missing"].iter().find(|word| said.contains(**word));
    assert_eq!(loss, None, "nothing was lost: {said}");
    done
}

/// How often each cut was made.
type Done = HashMap<&'static str, u32>;

/// Cuts of the log itself.
const WAYS: [&str; 5] = ["log 0", "log 1", "log 2", "log 3", "log 4"];

/// Cuts several logs side by side, so often that each cut occurs.
fn side_by_side<L: Written>(one: impl Fn(u64) -> Done + Sync) {
    let all: Vec<Done> = std::thread::scope(|scope| {
        let one = &one;
        let running: Vec<_> = (0..LOGS).map(|seed| scope.spawn(move || one(seed))).collect();
        running.into_iter().map(|log| log.join().expect("no panic")).collect()
    });
    let (known, least) = (breaks(0), cuts() / 20);
    for kind in known.iter().map(|(name, _)| *name).chain(WAYS.into_iter().take(L::WAYS as usize)) {
        let times: u32 = all.iter().filter_map(|done| done.get(kind)).sum();
        assert!(u64::from(times) >= least, "{kind}: {times} times");
    }
}

struct Journaled {
    journal: Growing,
    lines: Vec<String>,
}

impl Written for Journaled {
    const WAYS: u64 = 4;
    const PATH: &'static str = "/journal/";

    fn append(&mut self, count: u64) {
        for _ in 0..count {
            let message = format!("entry {}", self.lines.len());
            let at = self.journal.append("kubelet", &message);
            self.journal.append("other", "not of the kubelet");
            let at = Timestamp::from_micros(at).rfc3339().to_string();
            self.lines.push(format!("Nov 14 {} node-a kubelet[7]: {message}", &at[11..26]));
        }
    }

    fn lines(&self) -> Vec<String> {
        self.lines.clone()
    }

    fn cut(&mut self, way: u64) {
        match way {
            0 => drop(self.journal.rotate()),
            1 => {
                for _ in 0..3 {
                    self.journal.rotate();
                    self.append(2);
                }
            }
            2 => drop(self.journal.crash()),
            _ => {
                self.journal.rotate();
                self.append(1);
                // The oldest ones were read long ago.
                self.journal.vacuum(20);
            }
        }
    }
}

#[test]
fn a_journal_is_followed_through_a_hundred_cuts() {
    side_by_side::<Journaled>(|seed| {
        let root = tempfile::tempdir().expect("a directory");
        let mut log = Journaled { journal: Growing::new(root.path(), 1_700_000_000_000_000), lines: Vec::new() };
        let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_OFF).files(root.path())]).start();
        follow(&mut log, &cluster, &["node-a", "-u", "kubelet", "--source=journal"], seed)
    });
}

impl Written for Log {
    const WAYS: u64 = 5;
    const PATH: &'static str = "kubelet.log";

    fn append(&mut self, count: u64) {
        Log::append(self, count);
    }

    fn lines(&self) -> Vec<String> {
        self.written.clone()
    }

    fn cut(&mut self, way: u64) {
        match way {
            0 => self.rotate(),
            1 => {
                for _ in 0..2 {
                    self.rotate();
                    Log::append(self, 2);
                }
            }
            2 => self.copy_and_truncate(),
            3 => {
                // Its last line ends in the next file's time.
                let line = self.line("without an end");
                self.write(&line);
                self.rotate();
            }
            _ => {
                self.rotate();
                Log::append(self, 2);
                self.rotate();
                self.pack(2);
            }
        }
    }
}

#[test]
fn a_file_is_followed_through_a_hundred_cuts() {
    side_by_side::<Log>(|seed| {
        let root = tempfile::tempdir().expect("a directory");
        let mut log = Log::new(root.path());
        let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_OFF).files(root.path())]).start();
        follow(&mut log, &cluster, &["node-a", "--source=file"], seed)
    });
}

/// What the query's journalctl reads, by unit.
static QUERIED: Mutex<Vec<(String, i64, String)>> = Mutex::new(Vec::new());

fn answer(args: &[String]) -> Vec<Step> {
    let log = QUERIED.lock().unwrap_or_else(PoisonError::into_inner);
    if args.first().is_some_and(|arg| arg == "--field") {
        let units: std::collections::BTreeSet<String> =
            log.iter().map(|(unit, ..)| format!("{unit}.service\n")).collect();
        return vec![Step::Print(units.into_iter().collect::<String>().into())];
    }
    let log: Vec<(i64, String)> = log
        .iter()
        .filter(|(unit, ..)| args.iter().any(|arg| arg.contains(unit.as_str())))
        .map(|(_, at, line)| (*at, line.clone()))
        .collect();
    super::journalctl_of(&log, args)
}

struct Queried {
    unit: String,
    lines: Vec<String>,
}

impl Queried {
    /// Adds lines, and deletes all of them but so many, at once.
    fn write(&mut self, count: u64, kept: Option<usize>) {
        let mut log = QUERIED.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..count {
            let at = Clock::System.now();
            let line = super::entry(at, &self.unit, self.lines.len());
            log.push((self.unit.clone(), at.as_micros(), line.clone()));
            self.lines.push(line);
        }
        if let Some(kept) = kept {
            let all = log.iter().filter(|(unit, ..)| *unit == self.unit).count();
            let mut nth = 0;
            log.retain(|(unit, ..)| {
                nth += usize::from(*unit == self.unit);
                *unit != self.unit || nth + kept > all
            });
        }
    }
}

/// A rotation and a truncation are cuts of files. journalctl reads all there are as one, in which a rotation changes nothing; and
/// what a vacuum deletes of them shows as a log that begins later. What it may take is read already: who has not read it yet
/// loses it, in `what_the_node_deleted_before_the_query_read_it_is_announced`. A kubelet that is started anew is among what
/// breaks on the way.
impl Written for Queried {
    const WAYS: u64 = 3;
    const PATH: &'static str = "sinceTime";

    fn append(&mut self, count: u64) {
        self.write(count, None);
    }

    fn lines(&self) -> Vec<String> {
        self.lines.clone()
    }

    fn cut(&mut self, way: u64) {
        match way {
            // All but the last lines; all; all but what was written meanwhile.
            0 => self.write(0, Some(60)),
            1 => self.write(0, Some(0)),
            _ => self.write(2, Some(2)),
        }
    }

    fn takes_the_last_line(way: u64) -> bool {
        way > 0
    }
}

#[test]
fn the_query_is_followed_through_a_hundred_cuts() {
    side_by_side::<Queried>(|seed| {
        let unit = format!("cut-{seed}");
        let mut log = Queried { unit: unit.clone(), lines: Vec::new() };
        let node = Node::new("node-a", Mode::QUERY_ON).reader(Reader::Script(answer));
        let cluster = Setup::new(vec![node]).start();
        follow(&mut log, &cluster, &["node-a", "-u", &unit, "--source=query"], seed)
    });
}

#[test]
fn what_the_node_deleted_before_the_query_read_it_is_announced() {
    let unit = "vacuumed".to_owned();
    let mut log = Queried { unit: unit.clone(), lines: Vec::new() };
    log.append(5);
    let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_ON).reader(Reader::Script(answer))]).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let mut following = Following::start(&kubeconfig, &["node-a", "-u", &unit, "--source=query"]);
    following.wait_for(log.lines.last().expect("a line"));
    log.append(3);
    QUERIED.lock().unwrap_or_else(PoisonError::into_inner).retain(|(of, ..)| *of != unit);
    log.append(2);
    following.wait_for(log.lines.last().expect("a line"));
    let (_, lines, said) = following.interrupt();
    assert!(said.contains("is not in the log any more"), "{said}");
    assert!(lines.ends_with(&log.lines[8..]) && lines.len() <= 10, "{lines:#?}\n{said}");
}

#[test]
fn a_file_that_is_emptied_unread_is_announced_and_followed() {
    let root = tempfile::tempdir().expect("a directory");
    let mut log = Log::new(root.path());
    Log::append(&mut log, 3);
    let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_OFF).files(root.path())]).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let mut following = Following::start(&kubeconfig, &["node-a", "--source=file"]);
    let last = |log: &Log| log.written.last().expect("a line").clone();
    following.wait_for(&last(&log));
    for round in 1..=3 {
        empty(&log.path);
        Log::append(&mut log, 2);
        following.wait_for(&last(&log));
        assert_eq!(following.said().matches(", if anything, is gone").count(), round, "{}", following.said());
    }
    let (code, lines, said) = following.interrupt();
    assert_eq!(code, 130, "{said}");
    same(&lines, &log.written, &said);
}

#[test]
fn a_refusal_that_stays_ends_the_following_with_what_to_do() {
    let root = tempfile::tempdir().expect("a directory");
    let mut log = Log::new(root.path());
    Log::append(&mut log, 3);
    let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_OFF).files(root.path())]).start();
    let mut following = Following::start(&cluster.kubeconfig(User::Admin), &["node-a", "--source=file"]);
    following.wait_for(log.written.last().expect("a line"));
    cluster.inject(Fault::new(What::Status(StatusCode::UNAUTHORIZED)).path("kubelet.log"));
    let (code, lines, said) = following.end();
    assert_eq!((code, lines.len()), (3, 3), "{said}");
    assert_eq!(said.matches("trying again").count(), 1, "{said}");
    assert!(said.contains("error: node-a: the rest could not be read: 401"), "{said}");
    assert!(said.contains("hint: the server does not know these credentials"), "{said}");
}

fn empty(path: &Path) {
    std::fs::File::options().write(true).truncate(true).open(path).expect("a file");
}
