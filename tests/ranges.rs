//! Many parts of a file through the real client, from a simulated cluster whose servers and proxies do well, badly or
//! worse: the same bytes each time, for no more requests and bytes than each habit costs.

use std::ffi::OsStr;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use kubelet_logs::args::{Parsed, parse};
use kubelet_logs::auth::Stdin;
use kubelet_logs::clock::Clock;
use kubelet_logs::command::Context;
use kubelet_logs::config::{self, Env};
use kubelet_logs::error::{Kind, Result};
use kubelet_logs::http::ranges::{Fetched, Limits, Ranges, Wanted};
use kubelet_logs::interrupt::Interrupt;
use kubelet_logs::kube::{Client, path};
use kubelet_logs::notice::Notices;

use crate::cluster::setup::Http;
use crate::cluster::{Cluster, Fault, Habit, Mode, Node, Setup, Traffic, User, What};
use crate::support::journals::replay::Replay;
use crate::support::journals::{Live, Variant};

/// The program's own client, made from a kubeconfig of the cluster's.
pub(crate) fn client(cluster: &Cluster, user: User) -> Arc<Client> {
    let config = cluster.kubeconfig(user);
    let words: [&OsStr; 3] = ["--kubeconfig".as_ref(), config.as_os_str(), "node-a".as_ref()];
    let options = match parse(words, "kubectl-kubelet_logs") {
        Ok(Parsed::Run(options)) => options,
        other => panic!("{other:?}"),
    };
    let context = Context {
        env: Env::new([("", ""); 0]),
        clock: Clock::System,
        notices: Notices::new(0, true, |_| ()),
        stdin: Stdin::Other,
        interrupt: Interrupt::new().1,
        closing: Default::default(),
    };
    let config = config::load(&options.connection, &context.env).expect("a configuration");
    Arc::new(context.client(&config, &options).expect("a client"))
}

const FILE: &str = "large.log";
const LEAD: Range<u64> = 0..272;

/// 150 needs all over a file of 6 MiB, one across its end and one past it.
fn needs() -> Vec<Range<u64>> {
    let end = crate::cluster::varlog::LARGE;
    let mut needs: Vec<Range<u64>> = (1..149).map(|n| n * 40_009..n * 40_009 + 16 + n * 3).collect();
    needs.extend([end - 40..end + 4096, end + 10_000..end + 10_016]);
    needs
}

struct Stage {
    cluster: Cluster,
    runtime: tokio::runtime::Runtime,
    file: Vec<u8>,
}

impl Stage {
    fn new(http: Http) -> Stage {
        let nodes = vec![Node::new("node-a", Mode::QUERY_OFF), Node::new("old", Mode::V1_24)];
        let cluster = Setup { http, ..Setup::new(nodes) }.start();
        let file = std::fs::read(cluster.var_log("node-a").join(FILE)).expect("a file");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Stage { cluster, runtime, file }
    }

    /// Fetches what the tests want; what came, and what it cost.
    fn fetch(&self, node: &str, limits: Limits) -> (Result<Fetched>, Traffic) {
        let (client, path, before) = (client(&self.cluster, User::Admin), path::logs_file(node, FILE), self.traffic());
        let (ranges, needs) = (Ranges::new(limits), needs());
        let wanted = Wanted { lead: Some(&LEAD), needs: &needs };
        let work = async { tokio::time::timeout(Duration::from_secs(60), client.ranges(&ranges, &path, wanted)).await };
        let fetched = self.runtime.block_on(work).expect("this should not take a minute");
        let after = self.traffic();
        (fetched, Traffic { requests: after.requests - before.requests, bytes: after.bytes - before.bytes })
    }

    fn traffic(&self) -> Traffic {
        self.cluster.traffic(FILE)
    }

    #[track_caller]
    fn check(&self, fetched: &Fetched) {
        let size = self.file.len() as u64;
        assert_eq!(fetched.size, size);
        assert!(!fetched.leads.is_empty() && fetched.leads.iter().all(|lead| lead[..] == self.file[..272]));
        for need in needs() {
            let there = need.start.min(size) as usize..need.end.min(size) as usize;
            assert_eq!(fetched.segments.slice(need.clone())[..], self.file[there], "{need:?}");
        }
    }
}

#[test]
fn every_part_comes_whatever_becomes_of_ranges_on_the_way() {
    let few = Limits::default();
    for http in [Http::Only1, Http::Only2] {
        let stage = Stage::new(http);
        for (habit, limits, requests, kilobytes) in [
            (None, few, 1, 80),
            (None, Limits { ranges: 40, ..few }, 4, 80),
            (Some(Habit::Reframes), few, 1, 80),
            (Some(Habit::FirstOnly), few, 1 + 149 + 1, 60),
            (Some(Habit::IgnoresSeveral), few, 1 + 1 + 149 + 1, 6 << 10),
            (Some(Habit::Ignores), few, 2, 13 << 10),
            (Some(Habit::LeavesOut(7)), few, 4, 80),
            (Some(Habit::LeavesOut(1)), few, 160, 160),
            (Some(Habit::AtMost(20, StatusCode::BAD_REQUEST)), few, 16, 80),
            (Some(Habit::AtMost(100, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)), few, 4, 80),
            (Some(Habit::AtMost(1, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)), few, 8 + 149 + 2, 60),
        ] {
            for node in ["node-a", "old"] {
                stage.cluster.heal();
                if let Some(habit) = habit {
                    stage.cluster.inject(Fault::new(What::Ranges(habit)).path(FILE));
                }
                let (fetched, cost) = stage.fetch(node, limits);
                let fetched = fetched.unwrap_or_else(|error| panic!("{habit:?}: {}", error.chain()));
                stage.check(&fetched);
                assert!(cost.requests <= requests, "{http:?} {habit:?}: {cost:?}");
                assert!(cost.bytes <= kilobytes << 10, "{http:?} {habit:?}: {cost:?}");
            }
        }
    }
}

#[test]
fn answers_that_break_off_are_continued() {
    for http in [Http::Only1, Http::Only2] {
        let stage = Stage::new(http);
        for what in [
            What::CutAfter(20_000),
            What::CutAfter(0),
            What::EndAfter(20_000),
            What::ResetAfter(10_000),
            What::StallAfter(5_000),
            What::Close,
            What::Goaway,
            What::TooManyRequests { retry_after: 0 },
            What::Drip(1000, Duration::ZERO),
        ] {
            stage.cluster.heal();
            stage.cluster.inject(Fault::new(what.clone()).path(FILE).nth(1));
            let limits = Limits { silence: Duration::from_secs(1), ..Limits::default() };
            let (fetched, cost) = stage.fetch("node-a", limits);
            stage.check(&fetched.unwrap_or_else(|error| panic!("{what:?}: {}", error.chain())));
            assert!(cost.requests <= 2 && cost.bytes <= 90 << 10, "{http:?} {what:?}: {cost:?}");
        }
    }
}

#[test]
fn what_can_not_be_mended_is_told() {
    let stage = Stage::new(Http::Both);
    for (what, kind, words) in [
        (What::Ranges(Habit::Moves(1)), Kind::Failed, "the answer is not the part asked for"),
        (What::EndAfter(0), Kind::Unreachable, "answer ends"),
        (What::Status(StatusCode::INTERNAL_SERVER_ERROR), Kind::Failed, "500 Internal Server Error"),
        (
            What::Text { status: StatusCode::OK, content_type: "text/html", body: "<title>Login</title>".into() },
            Kind::Failed,
            "a web page answered",
        ),
    ] {
        stage.cluster.heal();
        stage.cluster.inject(Fault::new(what.clone()).path(FILE));
        let (fetched, cost) = stage.fetch("node-a", Limits::default());
        let error = fetched.expect_err("a failure");
        assert!(
            error.kind() == kind && error.chain().contains(words),
            "{what:?}: {:?} {}",
            error.kind(),
            error.chain()
        );
        assert!(cost.requests <= 7, "{what:?}: {cost:?}");
    }
    stage.cluster.heal();
    stage.cluster.inject(Fault::new(What::Ranges(Habit::Ignores)).path(FILE));
    let (fetched, cost) = stage.fetch("node-a", Limits { whole: 1 << 20, ..Limits::default() });
    let error = fetched.expect_err("too large");
    let size = stage.file.len();
    let words = format!("byte ranges are ignored on the way, and {size} bytes are too many to read them all");
    assert!(error.chain().ends_with(&words) && cost.requests == 2, "{} {cost:?}", error.chain());
    assert_eq!(error.remedy(), Some("is there a proxy that drops the Range header?"));
    // Not there, not allowed.
    for (node, user, kind) in [("node-a", User::Admin, Kind::NotFound), ("node-a", User::NoProxy, Kind::Denied)] {
        let (client, path) = (client(&stage.cluster, user), path::logs_file(node, "journal/nosuch/system.journal"));
        let ranges = Ranges::new(Limits::default());
        let wanted = Wanted { lead: Some(&LEAD), needs: &[] };
        let error = stage.runtime.block_on(client.ranges(&ranges, &path, wanted)).expect_err("refused");
        assert_eq!((error.kind(), ranges.requests()), (kind, 1), "{}", error.chain());
    }
}

/// The header of a journal file, which each request for parts of it begins with.
struct Header(Vec<u8>);

impl Header {
    fn file_id(&self) -> &[u8] {
        &self.0[24..40]
    }

    /// The name its file gets when it is archived.
    fn archived(&self) -> String {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let number = |at: usize| self.0[at..at + 8].iter().rev().copied().collect::<Vec<u8>>();
        format!("system@{}-{}-{}.journal", hex(&self.0[72..88]), hex(&number(168)), hex(&number(184)))
    }
}

/// Reads a journal after each step of its growth, from a node whose /var/log it is below.
fn follow(var_log: &Path, mut grow: impl FnMut() -> bool) -> usize {
    #[expect(clippy::single_range_in_vec_init, reason = "ranges are what is asked for")]
    const WHOLE: [Range<u64>; 1] = [0..16 << 20];
    const FOLDER: &str = "journal/0123456789abcdef0123456789abcdef";
    let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_OFF).files(var_log)]).start();
    let client = client(&cluster, User::Admin);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let ranges = Ranges::new(Limits::default());
    let fetch = |name: &str, needs: &[Range<u64>]| {
        let path = path::logs_file("node-a", &format!("{FOLDER}/{name}"));
        runtime.block_on(client.ranges(&ranges, &path, Wanted { lead: Some(&LEAD), needs })).expect("its parts")
    };
    let (mut last, mut rotations): (Option<Header>, _) = (None, 0);
    while grow() {
        let fetched = fetch("system.journal", &[4096..8192, 3_800_000..3_900_000]);
        let header = Header(fetched.leads[0].to_vec());
        if let Some(last) = last.take_if(|last| last.file_id() != header.file_id()) {
            let archived = fetch(&last.archived(), &WHOLE);
            assert_eq!(Header(archived.leads[0].to_vec()).file_id(), last.file_id());
            let there = std::fs::read(var_log.join(FOLDER).join(last.archived())).expect("the archived file");
            assert!(archived.segments.slice(0..there.len() as u64) == there);
            rotations += 1;
        }
        let there = std::fs::read(var_log.join(FOLDER).join("system.journal")).expect("the active file");
        assert_eq!(fetched.size, there.len() as u64);
        assert!(fetched.segments.iter().all(|(at, bytes)| there[at as usize..].starts_with(bytes)));
        last = Some(header);
    }
    rotations
}

#[test]
fn a_journal_is_followed_as_it_grows_and_rotates() {
    let root = tempfile::tempdir().expect("a directory");
    let mut replay = Replay::new(root.path());
    assert_eq!(follow(root.path(), || replay.step().is_some()), 2);

    let root = tempfile::tempdir().expect("a directory");
    let Some(mut live) = Live::new(root.path(), Variant::NEW, "following a journal that is written") else { return };
    let mut step = 0;
    let rotations = follow(root.path(), || {
        step += 1;
        if step % 3 == 0 {
            live.rotate()
        } else {
            live.append(step)
        }
        step < 7
    });
    assert_eq!(rotations, 2);
}
