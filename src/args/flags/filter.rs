//! Which lines.

use super::LOGS;
#[cfg(test)]
use super::tests::{refused, said};
use crate::args::flag::{Flag, Given, Group, Set, Value};
#[cfg(test)]
use crate::args::options::Severity;
use crate::args::options::{PodName, Priority, Tail};
use crate::error::{Doing, Error, Kind, Result};

pub(super) const FLAGS: &[&Flag] =
    &[&GREP, &EXCLUDE, &CASE_SENSITIVE, &PRIORITY, &IDENTIFIER, &FOR, &TAIL, &LIMIT_BYTES];

/// A pattern that compiles.
fn pattern(given: &Given<'_>) -> Result<String> {
    let pattern = given.text()?;
    if pattern.is_empty() {
        return Err(Error::usage("the pattern is empty, and so in every line"));
    }
    let looks = ["(?=", "(?!", "(?<=", "(?<!"].iter().any(|look| pattern.contains(look));
    regex_lite::Regex::new(pattern).doing(Kind::Usage, || format!("bad pattern {pattern:?}")).map_err(|error| {
        if looks {
            error.hint("patterns can't look ahead or behind: use --exclude for what must not be there")
        } else {
            error.hint("patterns are regular expressions: put a backslash before a special character meant as it is")
        }
    })?;
    Ok(pattern.to_owned())
}

static GREP: Flag = Flag {
    long: "grep",
    short: Some('g'),
    value: Value::Text("PATTERN"),
    commands: LOGS,
    group: Group::Filter,
    brief: "Lines that match; repeatable: any of them",
    help: &[
        "Prints lines whose message matches a regular expression. Given several times, one match is enough. A pattern without capital \
         letters ignores case. A line and its continuation lines are tested, kept and dropped as one.",
        "Expressions have no lookaround and no back references.",
    ],
    excludes: &[],
    set: Set::Option(|options, given| {
        options.grep.push(pattern(given)?);
        Ok(())
    }),
};

#[test]
fn grep() {
    assert_eq!(said(&["n", "-g", "timed? out", "--grep=-x"]).grep, ["timed? out", "-x"]);
    assert!(refused(&["n", "-g", "a(?=b)"]).contains("--exclude"));
    assert!(refused(&["n", "-g", "a("]).contains("bad pattern \"a(\""));
    refused(&["n", "-g", "(a{1000}){1000}"]);
    refused(&["n", "-g", &"(".repeat(10_000)]);
}

static EXCLUDE: Flag = Flag {
    long: "exclude",
    short: Some('e'),
    value: Value::Text("PATTERN"),
    commands: LOGS,
    group: Group::Filter,
    brief: "Lines that do not match; repeatable: none of them",
    help: &["Leaves out lines whose message matches a regular expression, of the kind --grep takes. Wins over --grep."],
    excludes: &[],
    set: Set::Option(|options, given| {
        options.exclude.push(pattern(given)?);
        Ok(())
    }),
};

#[test]
fn exclude() {
    assert_eq!(said(&["n", "-e", "probe", "--exclude", "a|b"]).exclude, ["probe", "a|b"]);
    refused(&["n", "-e", "["]);
    refused(&["n", "-e", ""]);
}

static CASE_SENSITIVE: Flag = Flag {
    long: "case-sensitive",
    short: None,
    value: Value::Switch,
    commands: LOGS,
    group: Group::Filter,
    brief: "Whether patterns tell capitals apart (default: if they have any)",
    help: &[
        "Makes --grep and --exclude tell capital letters apart; `--case-sensitive=false` makes them never do. Without it a pattern does \
         only if it has a capital itself.",
    ],
    excludes: &[],
    set: Set::Option(|options, given| {
        options.case_sensitive = Some(given.switch()?);
        Ok(())
    }),
};

#[test]
fn case_sensitive() {
    assert_eq!(said(&["n"]).case_sensitive, None);
    assert_eq!(said(&["n", "--case-sensitive"]).case_sensitive, Some(true));
    assert_eq!(said(&["n", "--case-sensitive=false"]).case_sensitive, Some(false));
    refused(&["n", "--case-sensitive=maybe"]);
}

static PRIORITY: Flag = Flag {
    long: "priority",
    short: Some('P'),
    value: Value::Text("LEVEL"),
    commands: LOGS,
    group: Group::Filter,
    brief: "This severity and worse: I, W, E, F, or a syslog level",
    help: &[
        "Prints lines of this severity and worse: I, W, E or F as in the headers of the kubelet's lines, or a syslog level: 0 to 7, or \
         emerg, alert, crit, err, warning, notice, info, debug.",
    ],
    excludes: &[],
    set: Set::Option(|options, given| {
        options.priority = Some(Priority::parse(given.text()?)?);
        Ok(())
    }),
};

#[test]
fn priority() {
    assert_eq!(said(&["n", "-P", "W"]).priority, Some(Priority::Klog(Severity::Warning)));
    assert_eq!(said(&["n", "--priority=err"]).priority, Some(Priority::Syslog(3)));
    assert!(refused(&["n", "-P", "9"]).contains("klog's I, W, E or F"));
}

static IDENTIFIER: Flag = Flag {
    long: "identifier",
    short: Some('t'),
    value: Value::Text("NAME"),
    commands: LOGS,
    group: Group::Filter,
    brief: "Lines logged under this name; repeatable, or a,b",
    help: &[
        "Prints lines whose program is called so: the name before the process number in a line of syslog or the journal.",
    ],
    excludes: &[],
    set: Set::Option(|options, given| {
        for name in given.text()?.split(',') {
            if name.is_empty() || name.len() > 255 || name.chars().any(char::is_control) {
                return Err(Error::usage("an identifier is a program's name, such as kubelet"));
            }
            options.identifiers.push(name.to_owned());
        }
        Ok(())
    }),
};

#[test]
fn identifier() {
    assert_eq!(said(&["n", "-t", "kubelet", "-t", "systemd,sshd"]).identifiers, ["kubelet", "systemd", "sshd"]);
    refused(&["n", "-t", "kubelet,"]);
    refused(&["n", "-t", ""]);
    refused(&["n", "-t", "a\x1b"]);
}

static FOR: Flag = Flag {
    long: "for",
    short: None,
    value: Value::Text("pod/[NS/]NAME"),
    commands: LOGS,
    group: Group::Filter,
    brief: "Lines about one pod: by name, UID and container ids",
    help: &[
        "Prints lines about one pod: those that name it, its UID, or one of its containers or sandboxes by id. The namespace is that of \
         -n or of the context unless it is named: pod/kube-system/coredns-0.",
    ],
    excludes: &[],
    set: Set::Option(|options, given| {
        if options.about.is_some() {
            return Err(Error::usage("one pod at a time").hint("run it once for each pod, or give names with --grep"));
        }
        options.about = Some(PodName::parse(given.text()?)?);
        Ok(())
    }),
};

#[test]
fn for_pod() {
    let pod = |namespace: Option<&str>, name: &str| {
        Some(PodName { namespace: namespace.map(str::to_owned), name: name.to_owned() })
    };
    assert_eq!(said(&["n", "--for", "pod/web-0"]).about, pod(None, "web-0"));
    assert_eq!(said(&["n", "--for", "pod/kube-system/coredns-0"]).about, pod(Some("kube-system"), "coredns-0"));
    for bad in ["web-0", "pod/", "pod//x", "pod/a/b/c", "pod/a/../b", "pod/A", "deploy/web", "pod/x.y/z"] {
        assert!(refused(&["n", "--for", bad]).contains("pod/NAMESPACE/NAME"), "{bad}");
    }
    assert!(refused(&["n", "--for", "web/web-0"]).contains("did you mean pod/web/web-0"));
    assert!(!refused(&["n", "--for", "node/web-0"]).contains("did you mean"));
    assert!(refused(&["n", "--for", "pod/a", "--for", "pod/b"]).contains("one pod at a time"));
}

static TAIL: Flag = Flag {
    long: "tail",
    short: None,
    value: Value::Text("N"),
    commands: LOGS,
    group: Group::Filter,
    brief: "The last N of what is left; -1 for all (the default)",
    help: &[
        "Prints the last N entries after all other filters, over all units together; -1 prints all, 0 none. An entry with its \
         continuation lines counts as one.",
    ],
    excludes: &[],
    set: Set::Option(|options, given| {
        options.tail = Some(match given.text()? {
            "-1" => Tail::All,
            _ => Tail::Last(given.number().map_err(|e| e.hint("give a number of entries, or -1 for all"))?),
        });
        Ok(())
    }),
};

#[test]
fn tail() {
    assert_eq!(said(&["n"]).tail, None);
    assert_eq!(said(&["n", "--tail", "-1"]).tail, Some(Tail::All));
    assert_eq!(said(&["n", "--tail=0"]).tail, Some(Tail::Last(0)));
    assert_eq!(said(&["n", "--tail", "18446744073709551615"]).tail, Some(Tail::Last(u64::MAX)));
    for bad in ["-2", "", "x", "1.5", "18446744073709551616"] {
        assert!(refused(&["n", "--tail", bad]).contains("-1 for all"), "{bad}");
    }
}

static LIMIT_BYTES: Flag = Flag {
    long: "limit-bytes",
    short: None,
    value: Value::Text("N"),
    commands: LOGS,
    group: Group::Filter,
    brief: "Stop after so many bytes of a node, at the end of a line",
    help: &["Prints at most so many bytes of each node, ends at the end of a line, and says so on stderr."],
    excludes: &[],
    set: Set::Option(|options, given| {
        options.limit_bytes =
            match given.number().map_err(|e: Error| e.hint("give a number of bytes, as in 1000000"))? {
                0 => return Err(Error::usage("must be at least 1")),
                limit => Some(limit),
            };
        Ok(())
    }),
};

#[test]
fn limit_bytes() {
    assert_eq!(said(&["n", "--limit-bytes", "4096"]).limit_bytes, Some(4096));
    for bad in ["0", "-1", "4k", ""] {
        refused(&["n", "--limit-bytes", bad]);
    }
}
