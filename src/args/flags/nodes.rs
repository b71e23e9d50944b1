//! Which nodes.

use super::LOGS;
#[cfg(test)]
use super::tests::{refused, said};
use crate::args::flag::{Flag, Given, Group, Set, Value};
use crate::args::nodes::Shard;
use crate::args::selector;
use crate::error::{Error, Result};

pub(super) const FLAGS: &[&Flag] =
    &[&ALL_NODES, &SELECTOR, &ROLE, &FIELD_SELECTOR, &SHARD, &MAX_CONCURRENCY, &MAX_QPS, &FAIL_FAST];

static ALL_NODES: Flag = Flag {
    long: "all-nodes",
    short: None,
    value: Value::Switch,
    commands: LOGS,
    group: Group::Nodes,
    brief: "Every node of the cluster",
    help: &[
        "Reads from every node of the cluster. With a pattern of names, -l, --role or --field-selector, from those of them that match all \
         that is given. Unless --tail or a window is given, 10 entries are printed for each node, as kubectl does with a selector.",
    ],
    excludes: &["from"],
    set: Set::Option(|options, given| {
        options.nodes.all = given.switch()?;
        Ok(())
    }),
};

#[test]
fn all_nodes() {
    assert!(said(&["--all-nodes"]).nodes.all && said(&["--all-nodes", "worker-*"]).nodes.all);
    assert!(!said(&["--all-nodes=false", "n"]).nodes.all);
    assert!(refused(&["--all-nodes", "n"]).contains("--all-nodes"));
}

static SELECTOR: Flag = Flag {
    long: "selector",
    short: Some('l'),
    value: Value::Text("SELECTOR"),
    commands: LOGS,
    group: Group::Nodes,
    brief: "Nodes whose labels match, as in kubectl: a=b,c!=d,e in (f,g)",
    help: &[
        "Reads from the nodes whose labels match: a label selector as kubectl's, such as pool=gpu,zone!=a or 'zone in (a,b)'.",
    ],
    excludes: &["from"],
    set: Set::Option(|options, given| {
        options.nodes.selector = selected(given, selector::labels)?;
        Ok(())
    }),
};

#[test]
fn selector_of_labels() {
    assert_eq!(said(&["-l", "a in (b,c),!d"]).nodes.selector, "a in (b,c),!d");
    assert_eq!(said(&["--selector=pool=gpu"]).nodes.selector, "pool=gpu");
    refused(&["-l", ""]);
    refused(&["-l", "pool in (gpu"]);
}

static ROLE: Flag = Flag {
    long: "role",
    short: None,
    value: Value::Text("ROLE"),
    commands: LOGS,
    group: Group::Nodes,
    brief: "Nodes of this role; repeatable: of any of them",
    help: &[
        "Reads from the nodes that `kubectl get nodes` shows with this role: those labelled node-role.kubernetes.io/ROLE, or, on old \
         clusters, kubernetes.io/role=ROLE. May be given several times, or as a list.",
    ],
    excludes: &["from"],
    set: Set::Option(|options, given| {
        for role in given.text()?.split(',') {
            let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
            if role.is_empty() || role.len() > 63 || !role.bytes().all(allowed) {
                return Err(Error::usage(format!("not a role: {role:?}"))
                    .hint("roles are such as control-plane or worker: see `kubectl get nodes`"));
            }
            options.nodes.roles.push(role.to_owned());
        }
        Ok(())
    }),
};

#[test]
fn role() {
    assert_eq!(
        said(&["--role", "control-plane,infra", "--role=worker"]).nodes.roles,
        ["control-plane", "infra", "worker"]
    );
    for bad in ["", "a,", "a/b", "a b", &"a".repeat(64)] {
        refused(&["--role", bad]);
    }
}

static FIELD_SELECTOR: Flag = Flag {
    long: "field-selector",
    short: None,
    value: Value::Text("SELECTOR"),
    commands: LOGS,
    group: Group::Nodes,
    brief: "Nodes whose fields match: spec.unschedulable=true",
    help: &["Reads from the nodes whose fields match: for nodes servers know metadata.name and spec.unschedulable."],
    excludes: &["from"],
    set: Set::Option(|options, given| {
        options.nodes.field_selector = selected(given, selector::fields)?;
        Ok(())
    }),
};

#[test]
fn field_selector() {
    let said = said(&["--field-selector", "spec.unschedulable=true"]);
    assert_eq!(said.nodes.field_selector, "spec.unschedulable=true");
    refused(&["--field-selector="]);
    refused(&["--field-selector=foo=bar"]);
}

static SHARD: Flag = Flag {
    long: "shard",
    short: None,
    value: Value::Text("I/N"),
    commands: LOGS,
    group: Group::Nodes,
    brief: "Of the nodes chosen, the I-th part of N; the first is 0/N",
    help: &[
        "Of the nodes that are chosen, reads only those that fall to the I-th of N runs, so that N runs read each node once. A node's part \
         depends on its name alone and stays the same when other nodes come and go. In an Indexed Job give N alone: \
         JOB_COMPLETION_INDEX is I.",
    ],
    excludes: &["from"],
    set: Set::Option(|options, given| {
        options.shard = Some(Shard::parse(given.text()?)?);
        Ok(())
    }),
};

#[test]
fn shard() {
    assert_eq!(said(&["--all-nodes", "--shard", "1/4"]).shard, Some(Shard { index: Some(1), of: 4 }));
    refused(&["--all-nodes", "--shard", "4/4"]);
}

static MAX_CONCURRENCY: Flag = Flag {
    long: "max-concurrency",
    short: None,
    value: Value::Text("N"),
    commands: LOGS,
    group: Group::Nodes,
    brief: "Nodes read at the same time, 64 unless said",
    help: &[
        "Reads so many nodes at the same time: 64 unless said. A merge of whole logs reads all of them, up to 300: where there are more \
         than may be read they take turns, each going on later from where it was left. With --follow it is how many nodes are followed at \
         the most, 50 unless said. --max-log-requests is another name for it.",
    ],
    excludes: &[],
    set: Set::Option(|options, given| {
        options.max_concurrency = Some(at_once(given)?);
        Ok(())
    }),
};

#[test]
fn max_concurrency() {
    assert_eq!(said(&["a,b"]).max_concurrency, None);
    assert_eq!(said(&["a,b", "--max-concurrency", "5"]).max_concurrency, Some(5));
    assert_eq!(said(&["a,b", "--max-log-requests=7"]).max_concurrency, Some(7));
    for bad in ["0", "-1", "x", "100000"] {
        refused(&["a,b", "--max-concurrency", bad]);
    }
}

static MAX_QPS: Flag = Flag {
    long: "max-qps",
    short: None,
    value: Value::Text("N"),
    commands: LOGS,
    group: Group::Nodes,
    brief: "With -f: looks at all nodes together in a second, 100",
    help: &[
        "With --follow, looks for new lines at most so often a second at all nodes together: 100 times unless said. A node at which nothing \
         happens is looked at once in ten seconds, one that is followed alone more than once a second.",
    ],
    excludes: &[],
    set: Set::Option(|options, given| {
        options.max_qps = u32::try_from(at_once(given)?).unwrap_or(u32::MAX);
        Ok(())
    }),
};

#[test]
fn max_qps() {
    assert_eq!((said(&["n"]).max_qps, said(&["n", "--max-qps=7"]).max_qps), (100, 7));
    refused(&["n", "--max-qps", "0"]);
}

static FAIL_FAST: Flag = Flag {
    long: "fail-fast",
    short: None,
    value: Value::Switch,
    commands: LOGS,
    group: Group::Nodes,
    brief: "End with the first node that fails",
    help: &[
        "Ends the run with the first node that fails. Otherwise the others are read, and each failure is told at the end.",
    ],
    excludes: &[],
    set: Set::Option(|options, given| {
        options.fail_fast = given.switch()?;
        Ok(())
    }),
};

#[test]
fn fail_fast() {
    assert!(said(&["a,b", "--fail-fast"]).fail_fast && !said(&["a,b"]).fail_fast);
}

/// A selector as the server takes it.
fn selected(given: &Given<'_>, check: fn(&str) -> Result<()>) -> Result<String> {
    match given.text()?.trim() {
        "" => Err(Error::usage("the selector is empty").hint("--all-nodes chooses every node")),
        text => check(text).map(|()| text.to_owned()),
    }
}

/// How many at once.
pub(super) fn at_once(given: &Given<'_>) -> Result<usize> {
    match given.number()? {
        0 => Err(Error::usage("nothing can be read by none at once").hint("give at least 1")),
        number @ 1..=10_000 => Ok(number),
        _ => Err(Error::usage("too many at once").hint("give at most 10000")),
    }
}
