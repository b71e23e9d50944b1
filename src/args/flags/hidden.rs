//! Flags that are taken, but shown nowhere: other names of shown ones, and those for this program's own tests.

use super::LOGS;
use super::nodes::at_once;
#[cfg(test)]
use super::tests::{refused, said};
use crate::args::flag::{Flag, Group, Set, Value};
use crate::time::parse_timeout;

pub(super) const FLAGS: &[&Flag] = &[&MAX_LOG_REQUESTS, &UNIFY, &SERVER_LIMIT, &BUFFER];

static UNIFY: Flag = Flag {
    long: "unify",
    short: None,
    value: Value::Switch,
    commands: LOGS,
    group: Group::Output,
    brief: "The name oc adm node-logs has for merging",
    help: &["The name that oc adm node-logs has for merging by time; --unify=false is --no-merge."],
    excludes: &[],
    set: Set::Option(|options, given| {
        options.merge = given.switch()?;
        Ok(())
    }),
};

#[test]
fn unify() {
    assert!(!said(&["a,b", "--unify=false"]).merge);
}

static MAX_LOG_REQUESTS: Flag = Flag {
    long: "max-log-requests",
    short: None,
    value: Value::Text("N"),
    commands: LOGS,
    group: Group::Nodes,
    brief: "The name kubectl logs has for --max-concurrency",
    help: &["The name that kubectl logs has for --max-concurrency."],
    excludes: &[],
    set: Set::Option(|options, given| {
        options.max_concurrency = Some(at_once(given)?);
        Ok(())
    }),
};

#[test]
fn max_log_requests() {
    assert_eq!(said(&["a,b", "--max-log-requests", "5"]).max_concurrency, Some(5));
}

static SERVER_LIMIT: Flag = Flag {
    long: "server-limit",
    short: None,
    value: Value::Text("TIME"),
    commands: LOGS,
    group: Group::Output,
    brief: "How long kubelets let a query run, if not 30s",
    help: &[
        "How long the kubelet lets a query run before it ends the answer without a word, where that is not 30 seconds.",
    ],
    excludes: &[],
    set: Set::Option(|options, given| {
        options.server_limit = Some(parse_timeout(given.text()?)?).filter(|limit| !limit.is_zero());
        Ok(())
    }),
};

#[test]
fn server_limit() {
    assert_eq!(said(&["n"]).server_limit, None);
    assert_eq!(said(&["n", "--server-limit", "500ms"]).server_limit, Some(std::time::Duration::from_millis(500)));
    refused(&["n", "--server-limit", "soon"]);
}

static BUFFER: Flag = Flag {
    long: "buffer",
    short: None,
    value: Value::Text("BYTES"),
    commands: LOGS,
    group: Group::Output,
    brief: "How much of what was read may wait to be printed, if not 16 MB",
    help: &["How many bytes of all nodes' logs together may wait for their turn, where that is not 16 MB."],
    excludes: &[],
    set: Set::Option(|options, given| {
        options.buffer = Some(given.number()?);
        Ok(())
    }),
};

#[test]
fn buffer() {
    assert_eq!(said(&["n"]).buffer, None);
    assert_eq!(said(&["n", "--buffer", "4096"]).buffer, Some(4096));
}

#[test]
fn nothing_shows_them() {
    use crate::args::help::{Depth, text};
    use crate::args::{Command, Parsed, man, parse, readme};
    for flag in FLAGS {
        // Another flag's help may name it, on no line of its own.
        let name = format!("  --{} ", flag.long);
        let shown = [text(None, Depth::Full), text(Some(Command::Logs), Depth::Full), man::page(), readme::table()];
        assert!(shown.iter().all(|page| !page.replace('\\', "").contains(&name)), "{name}");
        let Ok(Parsed::Candidates(candidates)) = parse(["__complete", "--"], "x") else { panic!("no candidates") };
        assert!(candidates.fixed.iter().all(|word| !word.starts_with(&name)), "{name}");
    }
}
