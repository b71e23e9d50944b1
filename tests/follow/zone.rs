//! The zone of a followed file's times: told by the time of its last change, which is that of its last line.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use kubelet_logs::clock::Clock;
use kubelet_logs::time::Timestamp;

use super::run::Following;
use crate::cluster::{Fault, Mode, Node, Setup, User, What};

/// Adds a line that was written so long ago on a node so many hours east, and makes that the time of the file's last change.
fn write(path: &Path, words: &str, ago: Duration, east: i64) {
    let at = Clock::System.now().saturating_sub(ago);
    let local = Timestamp::from_micros(at.as_micros() + east * 3_600_000_000).civil_utc();
    let line = format!(
        "I{:02}{:02} {:02}:{:02}:{:02}.{:06}    1 a.go:1] {words}\n",
        local.month, local.day, local.hour, local.minute, local.second, local.micros
    );
    super::append(path, line.as_bytes());
    let file = std::fs::File::options().append(true).open(path).expect("a file");
    file.set_modified(UNIX_EPOCH + Duration::from_micros(at.as_micros() as u64)).expect("set");
}

#[test]
fn a_line_that_comes_while_following_begins_does_not_move_the_zone() {
    for (nth, tail) in [(1, "-1"), (2, "-1"), (3, "-1"), (4, "-1"), (2, "5"), (3, "5"), (4, "5")] {
        for east in [0, 2] {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("kubelet.log");
            write(&path, "old", Duration::from_secs(3600), east);
            let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_OFF).files(folder.path())]).start();
            let written = path.clone();
            let comes = What::deed(move || write(&written, "new", Duration::ZERO, east));
            cluster.inject(Fault::new(comes).path("kubelet.log").nth(nth));
            let kubeconfig = cluster.kubeconfig(User::Admin);
            let tail = format!("--tail={tail}");
            let args = ["node-a", "--source=file", "--since=1m", &tail, "--timestamps"];
            let mut following = Following::start(&kubeconfig, &args);
            following.wait_for("new");
            let (_, lines, said) = following.interrupt();
            let at = format!("before request {nth}, {east} hours east: {lines:#?}\n{said}");
            let [line] = &*lines else { panic!("{at}") };
            let stamp = line.split(' ').next().and_then(Timestamp::parse_rfc3339).expect("a time");
            let off = Clock::System.now().as_seconds() - stamp.as_seconds();
            assert!((0..600).contains(&off), "{at}");
            assert!(!said.contains("unknown"), "{at}");
        }
    }
}
