//! How it is shown, and the run as a whole.

#[cfg(test)]
use super::tests::{refused, said};
use super::{EVERY, LOGS, NODE};
use crate::args::flag::{Flag, Group, Set, Value};
use crate::args::options::{Color, Format};
#[cfg(test)]
use crate::args::{Parsed, parse};
use crate::error::Error;
use crate::time::parse_timeout;

pub(super) const FLAGS: &[&Flag] = &[
    &OUTPUT,
    &WRITE,
    &NO_MERGE,
    &PREFIX,
    &COLOR,
    &TIMESTAMPS,
    &REDACT,
    &TIMEOUT,
    &PRINT_REQUESTS,
    &QUIET,
    &VERBOSITY,
    &HELP,
    &VERSION,
];

static OUTPUT: Flag = Flag {
    long: "output",
    short: Some('o'),
    value: Value::Choice(&["text", "json", "yaml", "jsonl", "digest", "raw"]),
    commands: LOGS,
    group: Group::Output,
    brief: "Text (unless said), a document, objects, or plain bytes",
    help: &[
        "How lines are printed. text: as the node wrote them, with what other flags put in front; on a terminal, control characters are \
         shown instead of obeyed. raw: the bytes as received, unpacked where they are gzip (unless --no-decompress), and nothing else.",
        "jsonl: an object a line for each entry, with time, node, unit, identifier, pid, priority (0-7), boot, severity and message, and \
         the parts of klog and logfmt messages; what is not known is left out. Bytes that are not UTF-8 stand in messageBase64, too.",
        "json, yaml: one document. For one named node nodeName, timestamp (when the run began), logs and, where it failed, error; for \
         several, responses with these fields, errors and summary, node after node.",
        "digest: a table of what the lines say, names and numbers left out: how often, on which nodes, when first and last.",
    ],
    excludes: &[],
    set: Set::Option(|options, given| {
        options.format = match given.text()? {
            "text" => Format::Text,
            "raw" => Format::Raw,
            "jsonl" => Format::Jsonl,
            "digest" => Format::Digest,
            "json" => Format::Json,
            "yaml" => Format::Yaml,
            other => {
                return Err(Error::usage(format!("no such format: {other:?}"))
                    .hint("formats are text, json, yaml, jsonl, digest and raw"));
            }
        };
        Ok(())
    }),
};

#[test]
fn output() {
    assert_eq!((said(&["n"]).format, said(&["n", "-o", "jsonl"]).format), (Format::Text, Format::Jsonl));
    refused(&["n", "-o", "wide"]);
}

static WRITE: Flag = Flag {
    long: "write",
    short: Some('w'),
    value: Value::File("FILE"),
    commands: LOGS,
    group: Group::Output,
    brief: "Into a file instead of stdout; {shard} in its name is I",
    help: &[
        "Writes to this file instead of stdout, and replaces what it held. `{shard}` in the name stands for the I of --shard.",
    ],
    excludes: &[],
    set: Set::Option(|options, given| {
        options.write = Some(given.path().ok_or_else(|| Error::usage("the file's name is empty"))?);
        Ok(())
    }),
};

#[test]
fn write() {
    assert_eq!(said(&["n", "-w", "out-{shard}.log"]).write, Some("out-{shard}.log".into()));
    refused(&["n", "-w", ""]);
}

static NO_MERGE: Flag = Flag {
    long: "no-merge",
    short: None,
    value: Value::Switch,
    commands: LOGS,
    group: Group::Output,
    brief: "Node after node under ==> NODE <==, not merged by time",
    help: &[
        "Prints several nodes one after another, each under a line ==> NODE <==. Otherwise their lines are merged by time, each with its \
         node's name in front. With -f the lines are printed as they come, with their nodes' names. --unify=false is another name for it.",
    ],
    excludes: &[],
    set: Set::Option(|options, given| {
        options.merge = !given.switch()?;
        Ok(())
    }),
};

#[test]
fn no_merge() {
    assert!(said(&["a,b"]).merge && !said(&["a,b", "--no-merge"]).merge);
    assert!(!said(&["a,b", "--unify=false"]).merge && said(&["a,b", "--unify"]).merge);
}

static PREFIX: Flag = Flag {
    long: "prefix",
    short: None,
    value: Value::Choice(&["auto", "always", "never"]),
    commands: LOGS,
    group: Group::Output,
    brief: "A node's name before each line: where several are merged",
    help: &[
        "Puts the node's name in front of each line: always, never, or, unless said, where the lines of several nodes are merged.",
    ],
    excludes: &[],
    set: Set::Option(|options, given| {
        options.prefix = match given.text()? {
            "auto" => None,
            // kubectl's is a switch.
            "always" | "true" => Some(true),
            "never" | "false" => Some(false),
            other => return Err(no_such(other)),
        };
        Ok(())
    }),
};

fn no_such(choice: &str) -> Error {
    Error::usage(format!("neither auto nor always nor never: {choice:?}")).hint("give auto, always or never")
}

#[test]
fn prefix() {
    assert_eq!(said(&["n"]).prefix, None);
    assert_eq!(said(&["n", "--prefix", "always"]).prefix, Some(true));
    assert_eq!(said(&["n", "--prefix=false"]).prefix, Some(false));
    refused(&["n", "--prefix", "maybe"]);
}

static COLOR: Flag = Flag {
    long: "color",
    short: None,
    value: Value::Choice(&["auto", "always", "never"]),
    commands: LOGS,
    group: Group::Output,
    brief: "A colour for each node's name: on a terminal, if auto",
    help: &[
        "Gives each node's name a colour of its own: always, never, or, unless said, on a terminal where NO_COLOR is not set.",
    ],
    excludes: &[],
    set: Set::Option(|options, given| {
        options.color = match given.text()? {
            "auto" => Color::Auto,
            "always" => Color::Always,
            "never" => Color::Never,
            other => return Err(no_such(other)),
        };
        Ok(())
    }),
};

#[test]
fn color() {
    assert_eq!((said(&["n"]).color, said(&["n", "--color=never"]).color), (Color::Auto, Color::Never));
    refused(&["n", "--color", "blue"]);
}

static TIMESTAMPS: Flag = Flag {
    long: "timestamps",
    short: None,
    value: Value::Switch,
    commands: LOGS,
    group: Group::Output,
    brief: "Put an RFC 3339 time with microseconds before each line",
    help: &[
        "Puts the time of each line before it, as 2026-11-21T03:07:12.123456Z, or with the offset of --timezone; in json and yaml, too.",
    ],
    excludes: &[],
    set: Set::Option(|options, given| {
        options.timestamps = given.switch()?;
        Ok(())
    }),
};

#[test]
fn timestamps() {
    assert!(!said(&["n"]).timestamps && said(&["n", "--timestamps"]).timestamps);
    assert!(!said(&["n", "--timestamps=false"]).timestamps);
}

static TIMEOUT: Flag = Flag {
    long: "timeout",
    short: None,
    value: Value::Text("TIME"),
    commands: NODE,
    group: Group::Output,
    brief: "End the whole run after this long: 90, 30s, 5m; 0 for never",
    help: &[
        "Ends the whole run after this long: seconds as a number, or 30s, 5m, 1h30m. 0 means never, the default. What was not read to \
         its end by then is named, and the exit code is 3. With -f it is a normal end, but for nodes that can't be read at that time.",
    ],
    excludes: &[],
    set: Set::Option(|options, given| {
        options.timeout = Some(parse_timeout(given.text()?)?).filter(|limit| !limit.is_zero());
        Ok(())
    }),
};

#[test]
fn timeout() {
    assert_eq!(said(&["n", "--timeout", "90"]).timeout, Some(std::time::Duration::from_secs(90)));
    assert_eq!(said(&["n", "--timeout", "1m30s"]).timeout, Some(std::time::Duration::from_secs(90)));
    assert_eq!(said(&["n", "--timeout", "0"]).timeout, None);
    refused(&["n", "--timeout", "-1s"]);
}

static REDACT: Flag = Flag {
    long: "redact",
    short: None,
    value: Value::Switch,
    commands: LOGS,
    group: Group::Output,
    brief: "Mask secrets in what the log says",
    help: &[
        "Prints (redacted) for what shows by its form or its name that it is a secret: bearer tokens and JSON Web Tokens, kubeadm's bootstrap \
         tokens, passwords in URLs, basic authentication, registry and cloud credentials, private keys in PEM, values of names such as \
         password and client_secret. It is a help, not a promise: a secret that looks like any other word, is encoded once more or cut in \
         two is printed. Filters look at the log as it was.",
    ],
    excludes: &[],
    set: Set::Option(|options, given| {
        options.redact = given.switch()?;
        Ok(())
    }),
};

#[test]
fn redact() {
    assert!(!said(&["n"]).redact && said(&["n", "--redact"]).redact);
    refused(&["ls", "--redact"]);
}

static PRINT_REQUESTS: Flag = Flag {
    long: "print-requests",
    short: None,
    value: Value::Switch,
    commands: NODE,
    group: Group::Output,
    brief: "Show each request as the `kubectl get --raw` that equals it",
    help: &[
        "Shows on stderr each request that is sent as a line for a shell, `kubectl get --raw PATH`, with the flags that lead to the same \
         cluster. A header that kubectl can't send, Range, follows as a comment. A token or password stands there as the name of a variable.",
    ],
    excludes: &[],
    set: Set::Option(|options, given| {
        options.print_requests = given.switch()?;
        Ok(())
    }),
};

#[test]
fn print_requests() {
    assert!(!said(&["n"]).print_requests && said(&["ls", "n", "--print-requests"]).print_requests);
    refused(&["version", "--print-requests"]);
}

static QUIET: Flag = Flag {
    long: "quiet",
    short: Some('q'),
    value: Value::Switch,
    commands: EVERY,
    group: Group::Output,
    brief: "No notes on stderr; warnings and errors stay",
    help: &[
        "Hides notes, the status line and the summary on stderr. Errors with their hints, warnings that an answer may be incomplete, and insecure TLS are always said.",
    ],
    excludes: &[],
    set: Set::Option(|options, given| {
        options.quiet = given.switch()?;
        Ok(())
    }),
};

#[test]
fn quiet() {
    assert!(said(&["n", "-q"]).quiet && said(&["n", "--quiet=true"]).quiet);
    assert!(!said(&["n"]).quiet && !said(&["n", "-q=false"]).quiet);
    let both = said(&["n", "-qv6"]);
    assert!(both.quiet && both.verbosity == 6);
}

static VERBOSITY: Flag = Flag {
    long: "v",
    short: Some('v'),
    value: Value::Text("N"),
    commands: EVERY,
    group: Group::Output,
    brief: "Say more on stderr: 4 choices, 6 requests, 8 their heads",
    help: &[
        "Says on stderr what is done, as kubectl's -v does: from 4 on which source is taken and why, from 6 on each request, from 8 on \
         the heads of requests and answers. Credentials are never shown.",
    ],
    excludes: &[],
    set: Set::Option(|options, given| {
        options.verbosity = given.number().map_err(|e: Error| e.hint("give a level from 0 to 10, as in -v 6"))?;
        Ok(())
    }),
};

#[test]
fn verbosity() {
    assert_eq!(said(&["n"]).verbosity, 0);
    for args in [["-v", "6"].as_slice(), &["-v=6"], &["-v6"], &["--v=6"], &["--v", "6"]] {
        assert_eq!(said(&[&["n"], args].concat()).verbosity, 6, "{args:?}");
    }
    assert!(refused(&["n", "-vvv"]).contains("-v 6"));
    refused(&["n", "-v", "-1"]);
}

static HELP: Flag = Flag {
    long: "help",
    short: Some('h'),
    value: Value::Switch,
    commands: EVERY,
    group: Group::Output,
    brief: "Explain the command: -h in short, --help in full",
    help: &["Explains the command and ends: -h in short, --help in full."],
    excludes: &[],
    set: Set::Help,
};

#[test]
fn help() {
    let print = |args: &[&str]| match parse(args, "x") {
        Ok(Parsed::Print(text)) => text,
        other => panic!("{args:?}: {other:?}"),
    };
    assert!(print(&["-h"]).len() < print(&["--help"]).len());
    assert_eq!(print(&["--help", "ls"]), print(&["ls", "--help"]));
    assert_eq!(print(&["ls", "--help"]), print(&["help", "ls"]));
    assert_eq!(print(&["--bogus", "--help"]), print(&["help"]));
    assert_eq!(print(&["--help", "--tail"]), print(&["help"]));
    assert_ne!(print(&["ls", "--help"]), print(&["logs", "--help"]));
}

static VERSION: Flag = Flag {
    long: "version",
    short: None,
    value: Value::Switch,
    commands: EVERY,
    group: Group::Output,
    brief: "Print the version",
    help: &["Prints the version and ends. The command `version` says how the binary was built, too."],
    excludes: &[],
    set: Set::Version,
};

#[test]
fn version() {
    let expected = format!("kubectl-kubelet_logs {}\n", env!("CARGO_PKG_VERSION"));
    assert!(matches!(parse(["--version"], "x"), Ok(Parsed::Print(text)) if text == expected));
    assert!(matches!(parse(["version"], "x"), Ok(Parsed::Print(text)) if text.starts_with(&expected)));
    assert_eq!(said(&["n", "--version=false"]).nodes.names, ["n"]);
}
