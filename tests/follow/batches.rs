//! Lines of an answer that takes long, or never ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kubelet_logs::clock::Clock;
use kubelet_logs::time::Timestamp;

use super::run::Following;
use crate::cluster::{Mode, Node, Reader, Setup, Step, User};

/// Whether the answers of this test's journalctl end.
static ENDS: AtomicBool = AtomicBool::new(false);

fn endless(args: &[String]) -> Vec<Step> {
    if args.first().is_some_and(|arg| arg == "--field") {
        return vec![Step::Print("kubelet.service\n".into())];
    }
    let line = |number: usize| {
        // The hour before this one.
        let hour = Clock::System.now().as_micros() / 3_600_000_000 - 1;
        let at = Timestamp::from_micros(hour * 3_600_000_000 + number as i64 * 1_000_000);
        format!("{}\n", super::entry(at, "kubelet", number))
    };
    let some: String = (0..3).map(line).collect();
    if !args.iter().any(|arg| arg.starts_with("--since=")) {
        return vec![Step::Print(some.into())];
    }
    let more: String = (3..200).map(line).collect();
    let begun = format!("{some}{more}{}                               and more of it\n", line(200));
    match ENDS.load(Ordering::SeqCst) {
        false => vec![Step::Print(begun.into()), Step::Hang],
        true => vec![Step::Print(
            format!("{begun}                               the rest of it\n{}{}", line(201), line(202)).into(),
        )],
    }
}

#[test]
fn an_answer_without_an_end_is_handed_on_as_it_comes() {
    for (args, expected) in [(&[][..], 205), (&["-g", "rest of it|entry 202"], 4)] {
        ENDS.store(false, Ordering::SeqCst);
        let limit = Duration::from_millis(400);
        let node = Node::new("node-a", Mode::QUERY_ON).reader(Reader::Script(endless));
        let cluster = Setup::new(vec![node]).query_limit(limit).start();
        let given = ["node-a", "--source=query", "--server-limit=400ms", "--tail=3"];
        let mut following = Following::start(&cluster.kubeconfig(User::Admin), &[&given, args].concat());
        if args.is_empty() {
            following.wait_for("entry 150");
        }
        // Until a look has failed, since nothing new came any more.
        cluster.wait_for(9, |request| request.target.contains("sinceTime"));
        ENDS.store(true, Ordering::SeqCst);
        following.wait_for("entry 202");
        let (code, lines, said) = following.interrupt();
        assert!(code == 130 && lines.len() == expected && said.contains("trying again"), "{code} {lines:#?} {said}");
        let mut once = lines.clone();
        once.dedup();
        assert_eq!(once, lines);
        let entry = lines.iter().position(|line| line.ends_with("entry 200")).expect("it");
        assert!(lines[entry + 1].ends_with("and more of it") && lines[entry + 2].ends_with("the rest of it"));
    }
}
