//! How it is shown, and the run as a whole.

#[cfg(test)]
use super::tests::{refused, said};
use super::{EVERY, LOGS, NODE};
use crate::args::flag::{Flag, Group, Set, Value};
#[cfg(test)]
use crate::args::{Parsed, parse};
use crate::error::Error;
use crate::time::parse_timeout;

pub(super) const FLAGS: &[&Flag] = &[&TIMESTAMPS, &TIMEOUT, &PRINT_REQUESTS, &QUIET, &VERBOSITY, &HELP, &VERSION];

static TIMESTAMPS: Flag = Flag {
    long: "timestamps",
    short: None,
    value: Value::Switch,
    commands: LOGS,
    group: Group::Output,
    brief: "Put an RFC 3339 time with microseconds before each line",
    help: &["Puts the time of each line before it, as 2026-11-21T03:07:12.123456Z, or with the offset of --timezone."],
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
        "Ends the whole run after this long, with an error: seconds as a number, or 30s, 5m, 1h30m. 0 means never, the default.",
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
        "Hides notes and hints on stderr. Errors, warnings that an answer may be incomplete, and insecure TLS are always said.",
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
    assert_eq!(said(&["n", "--version=false"]).operands, ["n"]);
}
