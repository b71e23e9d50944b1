//! What is read.

use super::LOGS;
#[cfg(test)]
use super::tests::{refused, said};
use crate::args::command::Command;
use crate::args::flag::{Flag, Group, Set, Value};
#[cfg(test)]
use crate::args::options::Options;
use crate::args::options::{Boot, Input, SourceChoice, path_under_var_log, unit_name};
use crate::error::Error;

pub(super) const FLAGS: &[&Flag] =
    &[&UNIT, &DMESG, &FOLLOW, &PATH, &PREVIOUS, &BOOT, &LIST_BOOTS, &NO_DECOMPRESS, &SOURCE, &FROM, &LONG];

static UNIT: Flag = Flag {
    long: "unit",
    short: Some('u'),
    value: Value::Text("UNIT"),
    commands: LOGS,
    group: Group::Source,
    brief: "A service's log instead of the kubelet's; repeatable, or a,b",
    help: &[
        "Reads the log of a service, such as containerd, crio or kube-proxy, instead of the kubelet's. May be given several times, or \
         with a list such as containerd,kubelet. `.service` may be left out.",
    ],
    excludes: &["path", "dmesg"],
    set: Set::Option(|options, given| {
        for name in given.text()?.split(',') {
            let name = unit_name(name)?;
            if !options.units.contains(&name) {
                options.units.push(name);
            }
        }
        Ok(())
    }),
};

#[test]
fn unit() {
    assert_eq!(
        said(&["n", "-u", "containerd.service,kubelet", "--unit=crio", "-ukubelet"]).units,
        ["containerd", "kubelet", "crio"]
    );
    assert_eq!(said(&["n", "-u", "systemd-fsck@dev-sda1:x_y.service"]).units, ["systemd-fsck@dev-sda1:x_y"]);
    for bad in ["", "a,,b", "a b", "a/b", "-q", ".service", "ü"] {
        refused(&["n", "-u", bad]);
    }
    assert!(refused(&["n", "-u", "kube*"]).contains("-u a,b"));
    assert_eq!(said(&["n", "-u", r"var-a\x2db.mount"]).units, [r"var-a\x2db.mount"]);
    assert!(said(&["n", "-u", &"a".repeat(255)]).units.len() == 1);
    refused(&["n", "-u", &"a".repeat(256)]);
    assert!(refused(&["n", "-u", "crio", "--path", "x"]).contains("--unit and --path"));
}

static FOLLOW: Flag = Flag {
    long: "follow",
    short: Some('f'),
    value: Value::Switch,
    commands: LOGS,
    group: Group::Source,
    brief: "Go on with new lines as they are written",
    help: &[
        "Prints the log's end, ten entries unless --tail or --since says more, and then new lines as they are written, across rotations, \
         restarts of the kubelet and of the API server, and lost connections. --until or --timeout ends it. Lines of several nodes are merged by time; a \
         line waits for others for a second at most. Where nodes are chosen by other than their names, those that come meanwhile are \
         followed from their appearance on, and those that go are let go.",
    ],
    excludes: &["from"],
    set: Set::Option(|options, given| {
        options.follow = given.switch()?;
        Ok(())
    }),
};

#[test]
fn follow() {
    assert!(said(&["n", "-f"]).follow && !said(&["n"]).follow);
    for args in [
        &["n", "-f", "-o", "json"][..],
        &["n", "-f", "-o", "yaml"],
        &["n", "-f", "-p", "--path", "x"],
        &["n", "-f", "-o", "digest"],
        &["n", "-f", "-b", "-1"],
    ] {
        assert!(refused(args).contains("--follow"), "{args:?}");
    }
    assert!(refused(&["n", "-f", "-o", "json"]).contains("jsonl"));
}

static PATH: Flag = Flag {
    long: "path",
    short: None,
    value: Value::Text("FILE"),
    commands: LOGS,
    group: Group::Source,
    brief: "A file under the node's /var/log instead; repeatable",
    help: &[
        "Reads a file under the node's /var/log instead of a service's log. May be given several times: the files are printed one after \
         another. `ls NODE` shows what is there. A file that ends in .gz is unpacked.",
    ],
    excludes: &["from", "unit", "dmesg", "boot"],
    set: Set::Option(|options, given| {
        let path = path_under_var_log(given.text()?)?;
        if path.is_empty() || given.text()?.ends_with('/') {
            return Err(Error::usage(format!("names a folder: {:?}", given.text()?)).hint("`ls NODE:FOLDER` lists one"));
        }
        options.paths.push(path);
        Ok(())
    }),
};

#[test]
fn path() {
    assert_eq!(said(&["n", "--path", "/var/log/a b.log", "--path=pods/x"]).paths, ["a b.log", "pods/x"]);
    assert!(refused(&["n", "--path", "../x"]).starts_with("--path: path with a '..'"));
    for folder in ["", "/var/log", "pods/"] {
        assert!(refused(&["n", "--path", folder]).contains("ls NODE:FOLDER"), "{folder}");
    }
    assert!(refused(&["n", "--path", "x", "--source", "query"]).contains("--source query"));
}

static DMESG: Flag = Flag {
    long: "dmesg",
    short: Some('k'),
    value: Value::Switch,
    commands: LOGS,
    group: Group::Source,
    brief: "The kernel's messages instead, of the last boot unless -b",
    help: &[
        "Reads the messages of the node's kernel instead of a service's log, from the node's journal: those since the node was last \
         started, unless --boot names another boot.",
    ],
    excludes: &["unit", "path", "previous"],
    set: Set::Option(|options, given| {
        options.dmesg = given.switch()?;
        Ok(())
    }),
};

#[test]
fn dmesg() {
    assert!(said(&["n", "-k"]).dmesg && said(&["n", "--dmesg", "-b", "-1"]).dmesg && !said(&["n"]).dmesg);
    for (other, words) in [
        (&["-u", "crio"][..], "--unit"),
        (&["--path", "x"], "--path"),
        (&["-p"], "--previous"),
        (&["--source", "query"], "--source journal"),
        (&["--source=file"], "--source journal"),
    ] {
        let args = [&["n", "-k"], other].concat();
        assert!(refused(&args).contains(words), "{args:?}");
    }
}

static PREVIOUS: Flag = Flag {
    long: "previous",
    short: Some('p'),
    value: Value::Switch,
    commands: LOGS,
    group: Group::Source,
    brief: "The run before the last: of the kubelet, a unit, or a file",
    help: &[
        "Reads what the kubelet, or the unit of --unit, wrote before it was last started, in whatever boot; with --boot, what it wrote \
         before it was last started in that boot. systemd gives each run an id, by which the node's journal tells them apart; where only the kubelet's query can be asked, \
         the change of the process number tells them, and stderr says so.",
        "With --path FILE, reads the file's newest rotation instead, whatever it is called: FILE.1, FILE-20261120, FILE-20261120.gz. \
         Without it the rotations of a text log are read with it, as far as the window or --tail reaches back.",
    ],
    excludes: &["dmesg"],
    set: Set::Option(|options, given| {
        options.previous = given.switch()?;
        Ok(())
    }),
};

#[test]
fn previous() {
    assert!(said(&["n", "-p", "--path", "x"]).previous && !said(&["n", "--path", "x"]).previous);
    assert!(said(&["n", "-p"]).previous && said(&["n", "-p", "-u", "crio", "-b", "0"]).previous);
    assert!(!said(&["n", "--previous=false"]).previous);
    assert!(refused(&["n", "-p", "--source", "file"]).contains("--source journal"));
    assert!(said(&["n", "-p", "--source", "query"]).previous);
    assert!(said(&["n", "-p", "--path", "x", "--source", "file"]).previous);
}

static BOOT: Flag = Flag {
    long: "boot",
    short: Some('b'),
    value: Value::Text("BOOT"),
    commands: LOGS,
    group: Group::Source,
    brief: "One boot: 0 the last, -1 the one before, +1 the first, an id",
    help: &[
        "Reads what was written in one boot of the node: 0 is the last, -1 the one before it, +1 the first that the journal knows. A \
         boot's id, as --list-boots shows it, may be given instead.",
        "The kubelet's log query knows 0, -1, -2 and so on; everything else takes the node's journal.",
    ],
    excludes: &["path"],
    set: Set::Option(|options, given| {
        options.boot = Some(Boot::parse(given.text()?)?);
        Ok(())
    }),
};

#[test]
fn boot() {
    assert_eq!(said(&["n"]).boot, None);
    assert_eq!(said(&["n", "-b", "-1"]).boot, Some(Boot::Back(1)));
    assert_eq!(said(&["n", "--boot=+1", "--source", "journal"]).boot, Some(Boot::Nth(1)));
    assert_eq!(said(&["n", "-b0", "--source", "query"]).boot, Some(Boot::Back(0)));
    assert!(refused(&["n", "-b", "last"]).contains("--list-boots shows them"));
    assert!(refused(&["n", "-b", "-1", "--path", "x"]).contains("--boot and --path"));
    assert!(refused(&["n", "-b", "-1", "--source", "file"]).contains("--source journal"));
    for boot in ["+1", "3bb427c1a1da059d2ad1245c92010b38"] {
        assert!(refused(&["n", "-b", boot, "--source", "query"]).contains("--source journal"), "{boot}");
    }
}

static LIST_BOOTS: Flag = Flag {
    long: "list-boots",
    short: None,
    value: Value::Switch,
    commands: LOGS,
    group: Group::Source,
    brief: "Show the boots the journal knows instead of a log",
    help: &[
        "Prints a table of the boots that the node's journal knows instead of a log: the number that --boot takes, the boot's id, and \
         when its first and last entries were written, in UTC. With -o json, yaml or jsonl they are objects with the fields of \
         journalctl --list-boots -o json: index, boot_id, first_entry and last_entry, in microseconds since 1970.",
    ],
    excludes: &[],
    set: Set::Option(|options, given| {
        options.list_boots = given.switch()?;
        Ok(())
    }),
};

#[test]
fn list_boots() {
    assert!(said(&["n", "--list-boots"]).list_boots && !said(&["n"]).list_boots);
    assert!(said(&["n", "--list-boots", "--source", "journal"]).list_boots);
    for other in
        [&["-b", "0"][..], &["-k"], &["--since", "1h"], &["--tail", "1"], &["-P", "W"], &["-f"], &["--timestamps"]]
    {
        let words = refused(&[&["n", "--list-boots"], other].concat());
        assert!(words.contains("--list-boots prints a table, which --"), "{words}");
    }
    assert!(refused(&["n", "--list-boots", "--source", "query"]).contains("--source journal"));
    assert!(refused(&["n", "--list-boots", "-o", "digest"]).contains("--output"));
    assert!(matches!(said(&["n", "--list-boots", "-o", "json"]).format, crate::args::options::Format::Json));
}

static NO_DECOMPRESS: Flag = Flag {
    long: "no-decompress",
    short: None,
    value: Value::Switch,
    commands: LOGS,
    group: Group::Source,
    brief: "Print .gz files as they are",
    help: &["Prints a file that ends in .gz as it is on the node instead of unpacking it."],
    excludes: &[],
    set: Set::Option(|options, given| {
        options.decompress = !given.switch()?;
        Ok(())
    }),
};

#[test]
fn no_decompress() {
    assert!(said(&["n"]).decompress && said(&["n", "--no-decompress=false"]).decompress);
    assert!(!said(&["n", "--no-decompress"]).decompress);
}

static SOURCE: Flag = Flag {
    long: "source",
    short: None,
    value: Value::Choice(&["auto", "query", "journal", "file"]),
    commands: LOGS,
    group: Group::Source,
    brief: "Where the node's log is taken from (default auto)",
    help: &[
        "Where the log is taken from. `query` asks the kubelet, which must have its node log query enabled (enableSystemLogQuery in its \
         configuration). `journal` reads the node's journal files through the kubelet's file server and decodes them here; `file` reads text \
         files under /var/log: both need the kubelet's log handler alone. `auto` takes what fits; -v 4 says which, and why not the others.",
    ],
    excludes: &["from"],
    set: Set::Option(|options, given| {
        options.source = match given.text()? {
            "auto" => SourceChoice::Auto,
            "query" => SourceChoice::Query,
            "journal" => SourceChoice::Journal,
            "file" => SourceChoice::File,
            other => {
                return Err(
                    Error::usage(format!("no such source: {other:?}")).hint("give auto, query, journal or file")
                );
            }
        };
        Ok(())
    }),
};

#[test]
fn source() {
    assert_eq!(said(&["n"]).source, SourceChoice::Auto);
    for (text, expected) in [("auto", SourceChoice::Auto), ("query", SourceChoice::Query), ("file", SourceChoice::File)]
    {
        assert_eq!(said(&["n", "--source", text]).source, expected);
    }
    assert!(refused(&["n", "--source", "wal"]).contains("give auto, query, journal or file"));
}

static FROM: Flag = Flag {
    long: "from",
    short: None,
    value: Value::File("FILE|DIR|-"),
    commands: LOGS,
    group: Group::Source,
    brief: "Logs on this machine instead of nodes; repeatable, - is stdin",
    help: &[
        "Reads logs on this machine instead of a node's, with the same filters; no cluster is asked and no kubeconfig needed. FILE is \
         a journal's file or a text log, plain or packed with gzip, - the same on stdin. DIR is a journal (/var/log/journal, a \
         machine's folder in it, or a copy), or a copy of /var/log: of its text logs the kubelet's is read, or with -u a service's, \
         with its rotations. May be given several times: what is named is printed one after another, and --tail counts in each.",
        "Of a journal the kubelet's entries are shown, unless -u or -t asks for others; of a text log all lines, and -u and -t select \
         by the program that a line names. The rotations of a FILE are not read with it, and boots, runs and the kernel are told \
         by a journal alone. Times that name no zone are in --timezone; without it \
         in the zone that the time of the file's last change beside its last line tells, if it does, which a note names; else in UTC.",
    ],
    excludes: &["follow", "path", "source", "all-nodes", "selector", "role", "field-selector", "shard"],
    set: Set::Option(|options, given| {
        let path = given.path().ok_or_else(|| Error::usage("names nothing").hint("give a file, a folder, or -"))?;
        let input = if path.as_os_str() == "-" { Input::Stdin } else { Input::Path(path) };
        if input == Input::Stdin && options.from.contains(&Input::Stdin) {
            return Err(Error::usage("stdin can be read once").hint("give --from - once, and files by their names"));
        }
        options.from.push(input);
        Ok(())
    }),
};

#[test]
fn from() {
    let path = |path: &str| Input::Path(path.into());
    assert_eq!(said(&["--from", "a b"]).from, [path("a b")]);
    assert_eq!(said(&["--from=x", "--from", "-", "logs", "--from", "/y"]).from, [path("x"), Input::Stdin, path("/y")]);
    assert_eq!(said(&["-u", "crio", "--from", "./-"]).from, [path("./-")]);
    assert!(refused(&["--from", "-", "--from", "-"]).contains("stdin can be read once"));
    assert!(refused(&["--from", ""]).contains("names nothing"));
    assert!(refused(&["--from", "x", "n"]).contains("--from reads on this machine, and yet a node is named: n"));
    for other in [&["--path", "x"][..], &["--all-nodes"], &["-l", "a=b"], &["--role", "x"], &["--source", "journal"]] {
        let args = [&["--from", "x"], other].concat();
        assert!(refused(&args).contains("can't be given together"), "{args:?}");
    }
    assert!(refused(&["--from", "x", "-f"]).contains("tail -F FILE | "));
    assert!(refused(&["--from", "x", "--path", "x"]).contains("names the file itself"));
    assert!(refused(&["ls", "n", "--from", "x"]).contains("--from is a flag of logs, not of ls"));
}

static LONG: Flag = Flag {
    long: "long",
    short: None,
    value: Value::Switch,
    commands: &[Command::Ls],
    group: Group::Source,
    brief: "Ask for the size of every file, however many",
    help: &[
        "Asks for the size of every file in the folder. Each costs a request, so without it only the first 200 are asked for.",
    ],
    excludes: &[],
    set: Set::Option(|options, given| {
        options.long = given.switch()?;
        Ok(())
    }),
};

#[test]
fn long() {
    assert_eq!(said(&["ls", "n", "--long"]), Options { long: true, ..said(&["ls", "n"]) });
    assert!(refused(&["n", "--long"]).contains("--long is a flag of ls, not of logs"));
}
