//! From words to a typed command line. Nothing is read but the words, nothing is done.

use std::ffi::{OsStr, OsString};

use super::command::{COMMANDS, Positionals, SHELLS};
use super::complete::{self, Candidates};
use super::flag::{Flag, Given, Group, Set, Value};
use super::help::{self, Depth};
use super::nodes::node_name;
use super::options::{Boot, Format, Options, SourceChoice, path_under_var_log};
use super::suggest::{habit, nearest};
use super::words::{Word, Words};
use super::{Command, PROGRAM, flags, man, version};
use crate::error::{Error, Result};

/// What a command line asks for.
#[derive(Debug)]
pub enum Parsed {
    /// Work on a cluster.
    Run(Box<Options>),
    /// A text for stdout, and success: help, version, manual, completion script.
    Print(String),
    /// Words that could come next, for a shell.
    Candidates(Box<Candidates>),
}

/// Reads the words behind the program's name; `argv0` is that name, which may be kubectl's completion hook.
pub fn parse<I>(args: I, argv0: impl AsRef<OsStr>) -> Result<Parsed>
where
    I: IntoIterator,
    I::Item: Into<OsString>,
{
    let mut args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    if complete::is_hook(argv0.as_ref()) {
        return Ok(Parsed::Candidates(Box::new(complete::candidates(args))));
    }
    if args.first().is_some_and(|first| first == complete::COMPLETE) {
        return Ok(Parsed::Candidates(Box::new(complete::candidates(args.split_off(1)))));
    }
    let mut said = Said::default();
    if let Some(error) = one_dash(&args) {
        said.first_error = Some(error);
    }
    for word in Words::new(args) {
        // Read on: whoever asks for help further on gets it, whatever else is wrong.
        if let Err(error) = said.take(word) {
            said.first_error.get_or_insert(error);
        }
    }
    said.finish()
}

/// What has been said so far.
#[derive(Default)]
struct Said {
    options: Options,
    /// The command, once one was named or the first operand was not one.
    command: Option<Command>,
    operands: Vec<OsString>,
    used: Vec<&'static Flag>,
    ask: Option<Ask>,
    first_error: Option<Error>,
}

enum Ask {
    Help(Depth),
    Version,
}

impl Said {
    fn take(&mut self, word: Word) -> Result<()> {
        match word {
            Word::Command(command) => self.command = Some(command),
            Word::Operand(word) => self.operands.push(word),
            Word::Unknown(spelled) => return Err(unknown_flag(&spelled)),
            Word::Valueless(flag) => {
                return Err(Error::usage(format!("--{} needs a value", flag.long)).hint(format!(
                    "write --{}{}",
                    flag.long,
                    flag.metavar()
                )));
            }
            Word::Flag { flag, value, spelled } => {
                let given = Given(&value);
                match flag.set {
                    Set::Option(set) => {
                        set(&mut self.options, &given).map_err(|e| e.within(spelled))?;
                        // `--follow=false` says what is so anyway.
                        if !matches!(flag.value, Value::Switch) || given.switch()? {
                            self.used.push(flag);
                        }
                    }
                    Set::Help | Set::Version if !given.switch().map_err(|e| e.within(spelled.clone()))? => {}
                    Set::Help => {
                        let depth = if spelled.starts_with("--") { Depth::Full } else { Depth::Brief };
                        self.ask.get_or_insert(Ask::Help(depth));
                    }
                    Set::Version => {
                        self.ask.get_or_insert(Ask::Version);
                    }
                }
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Parsed> {
        match self.ask {
            Some(Ask::Version) => return Ok(Parsed::Print(version::short())),
            Some(Ask::Help(depth)) => {
                // `help ls --help` explains ls.
                let asked = match self.command {
                    Some(Command::Help) => self.operands.first().and_then(|name| Command::named(name.to_str()?)),
                    command => command,
                };
                return Ok(Parsed::Print(help::text(asked, depth)));
            }
            None => {}
        }
        if let Some(error) = self.first_error {
            return Err(error);
        }
        self.options.command = self.command.unwrap_or_default();
        self.check_flags()?;
        self.operands()
    }

    /// Flags of other commands, and flags that exclude each other.
    fn check_flags(&self) -> Result<()> {
        let command = self.options.command;
        for flag in &self.used {
            if !flag.commands.contains(&command) {
                let of: Vec<&str> = flag.commands.iter().map(|command| command.name()).collect();
                return Err(Error::usage(format!(
                    "--{} is a flag of {}, not of {}",
                    flag.long,
                    of.join(", "),
                    command.name()
                ))
                .hint(format!("see `{PROGRAM} {} -h`", command.name())));
            }
        }
        for flag in &self.used {
            if let Some(other) = self.used.iter().find(|other| flag.excludes.contains(&other.long)) {
                let words = format!("--{} and --{} can't be given together", flag.long, other.long);
                let hint = match (flag.long, other.long) {
                    ("follow", "from") | ("from", "follow") => {
                        "what is added to a file: tail -F FILE | kubectl kubelet-logs --from -"
                    }
                    ("path", "from") | ("from", "path") => "--from FILE names the file itself",
                    _ => "leave one of them out",
                };
                return Err(Error::usage(words).hint(hint));
            }
        }
        if self.options.follow {
            let never_ends = "a document ends, and --follow does not";
            match self.options.format {
                Format::Json | Format::Yaml => {
                    return Err(Error::usage(never_ends).hint("-o jsonl prints an object a line as they come"));
                }
                Format::Digest => {
                    return Err(Error::usage("a digest counts what there is, and --follow does not end")
                        .hint("leave one of them out"));
                }
                Format::Text | Format::Raw | Format::Jsonl => {}
            }
            if self.options.previous {
                return Err(
                    Error::usage("--follow waits for new lines, and --previous has none").hint("leave one of them out")
                );
            }
            // The last boot by another name is known only once the journal is read.
            if let Some(boot) = self.options.boot.as_ref().filter(|boot| **boot != Boot::Back(0)) {
                return Err(Error::usage(format!("--follow waits for new lines, and boot {boot} may have none"))
                    .hint("leave --boot out, or follow boot 0"));
            }
        }
        if !self.options.paths.is_empty() && matches!(self.options.source, SourceChoice::Query | SourceChoice::Journal)
        {
            let named = if self.options.source == SourceChoice::Query { "query" } else { "journal" };
            return Err(Error::usage(format!("--path reads a file, --source {named} asks for a service"))
                .hint("leave out one of them; --unit names a service"));
        }
        let (format, said) = (self.options.format, |long: &str| self.used.iter().any(|flag| flag.long == long));
        let without = match format {
            Format::Raw | Format::Digest if said("timestamps") => Some("timestamps"),
            Format::Text => None,
            _ if self.options.prefix == Some(true) => Some("prefix"),
            _ => None,
        };
        if let Some(flag) = without {
            return Err(Error::usage(format!("--{flag} changes nothing about this --output"))
                .hint("leave one of them out; -o text takes both, and jsonl has each entry's time and node"));
        }
        self.check_source()
    }

    /// What only the journal tells can't be asked of another source.
    fn check_source(&self) -> Result<()> {
        let Options { source, boot, .. } = &self.options;
        let elsewhere = matches!(source, SourceChoice::Query | SourceChoice::File);
        let asked = match boot {
            _ if self.options.list_boots => Some("--list-boots"),
            _ if self.options.dmesg => Some("--dmesg"),
            _ if self.options.previous && self.options.paths.is_empty() && *source == SourceChoice::File => {
                Some("--previous")
            }
            // The kubelet's query takes a number.
            Some(Boot::Back(_)) if *source == SourceChoice::Query => None,
            Some(_) => Some("--boot"),
            None => None,
        };
        if let Some(asked) = asked.filter(|_| elsewhere) {
            let named = if *source == SourceChoice::Query { "query" } else { "file" };
            let also = if asked == "--boot" && named == "query" { ": the query takes 0, -1, -2 and so on" } else { "" };
            return Err(Error::usage(format!("{asked} can't be answered by --source {named}{also}"))
                .hint("leave --source out, or give --source journal"));
        }
        if self.options.list_boots {
            let changes_lines = |flag: &Flag| match flag.group {
                Group::Source => !matches!(flag.long, "list-boots" | "source" | "from"),
                Group::Window | Group::Filter => true,
                _ if flag.long == "output" => matches!(self.options.format, Format::Raw | Format::Digest),
                _ => matches!(flag.long, "timestamps" | "limit-bytes"),
            };
            if let Some(flag) = self.used.iter().find(|flag| changes_lines(flag)) {
                let words = format!("--list-boots prints a table, which --{} can't change", flag.long);
                return Err(Error::usage(words).hint("leave one of them out"));
            }
        }
        Ok(())
    }

    /// Operands as the command wants them, and what commands without a cluster print.
    fn operands(mut self) -> Result<Parsed> {
        let command = self.options.command;
        let mut words = Vec::new();
        for word in std::mem::take(&mut self.operands) {
            words.push(word.into_string().map_err(|_| Error::usage("an argument is not UTF-8"))?);
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match (command.spec().positionals, words.as_slice()) {
            (Positionals::NodeAndFolder, []) => {
                return Err(Error::usage("no node was named").hint(format!(
                    "write {PROGRAM} {} NODE; `kubectl get nodes` lists nodes, {PROGRAM} -h explains",
                    command.name()
                )));
            }
            (Positionals::Nodes, []) if !self.options.from.is_empty() => {}
            (Positionals::Nodes, [word, ..]) if !self.options.from.is_empty() => {
                return Err(Error::usage(format!("--from reads on this machine, and yet a node is named: {word}"))
                    .hint("leave out one of them; each file takes a --from of its own"));
            }
            (Positionals::Nodes, words) => {
                if let [first, _, ..] = words
                    && self.command.is_none()
                    && let Some(meant) = nearest_command(first)
                {
                    return Err(Error::usage(format!("several nodes were named, {first} first")).hint(format!(
                        "did you mean the command `{meant}`? node/{first} names a node that is called so"
                    )));
                }
                words.iter().try_for_each(|word| self.options.nodes.add(word))?;
                self.options.nodes.check()?;
            }
            (Positionals::NodeAndFolder, [place]) => {
                let (node, folder) = place.split_once(':').unwrap_or((place, ""));
                let folder = path_under_var_log(folder)?;
                self.options.operands = vec![node_name(node)?];
                self.options.operands.extend((!folder.is_empty()).then_some(folder));
            }
            (Positionals::NodeAndFolder, [node, folder, ..]) => {
                return Err(Error::usage(format!("more than one place was named: {}", words.join(", ")))
                    .hint(format!("did you mean {node}:{folder}? `{}` takes one node at a time", command.name())));
            }
            (Positionals::None, []) | (Positionals::CommandName, []) => {}
            (Positionals::CommandName, [name]) => {
                let asked = Command::named(name).ok_or_else(|| {
                    let known: Vec<&str> = COMMANDS.iter().map(|spec| spec.name).collect();
                    let hint = match nearest_command(name) {
                        Some(meant) => format!("did you mean {meant}?"),
                        None => format!("commands are {}", known.join(", ")),
                    };
                    Error::usage(format!("no such command: {name:?}")).hint(hint)
                })?;
                return Ok(Parsed::Print(help::text(Some(asked), Depth::Full)));
            }
            (Positionals::Shell, [shell]) => {
                let script =
                    complete::script(shell).ok_or_else(|| no_shell(&format!("no completion for {shell:?}")))?;
                return Ok(Parsed::Print(script));
            }
            (Positionals::Shell, []) => return Err(no_shell("no shell was named")),
            (_, [.., last]) => {
                return Err(Error::usage(format!("`{}` does not take {last:?}", command.name()))
                    .hint(format!("see `{PROGRAM} {} -h`", command.name())));
            }
        }
        Ok(match command {
            Command::Logs | Command::Ls => Parsed::Run(Box::new(self.options)),
            Command::Version => Parsed::Print(version::long()),
            Command::Help | Command::Completion => Parsed::Print(help::text(None, Depth::Full)),
            Command::Man => Parsed::Print(man::page()),
        })
    }
}

/// A long flag behind a single dash, which would be read as a letter with a value: `-since 1h` as `-s ince`.
fn one_dash(args: &[OsString]) -> Option<Error> {
    args.iter().take_while(|word| *word != "--").find_map(|word| {
        let name = word.to_str()?.strip_prefix('-')?;
        let name = name.split_once('=').map_or(name, |(name, _)| name);
        let long = name.len() > 1 && flags::all().any(|flag| flag.long == name);
        long.then(|| Error::usage(format!("-{name} is a long flag")).hint(format!("write --{name}")))
    })
}

fn no_shell(what: &str) -> Error {
    Error::usage(what).hint(format!("shells are {}", SHELLS.join(", ")))
}

/// The command whose name `word` may be a slip for: for the remedy of a node that does not exist.
pub fn nearest_command(word: &str) -> Option<&'static str> {
    nearest(word, COMMANDS.iter().map(|spec| spec.name))
}

fn unknown_flag(spelled: &str) -> Error {
    let error = Error::usage(format!("unknown flag {spelled}"));
    if let Some(instead) = habit(spelled) {
        return error.hint(instead);
    }
    match spelled.strip_prefix("--").and_then(|name| nearest(name, flags::all().map(|flag| flag.long))) {
        Some(meant) => error.hint(format!("did you mean --{meant}?")),
        None => error.hint(format!("`{PROGRAM} -h` lists flags")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::BINARY;
    use crate::error::Kind;

    fn run(args: &[&str]) -> Options {
        match parse(args, BINARY) {
            Ok(Parsed::Run(options)) => *options,
            other => panic!("{args:?}: {other:?}"),
        }
    }

    fn refusal(args: &[&str]) -> (String, String) {
        match parse(args, BINARY) {
            Err(error) => {
                assert_eq!(error.kind(), Kind::Usage);
                (error.chain(), error.remedy().unwrap_or_default().to_owned())
            }
            other => panic!("{args:?}: {other:?}"),
        }
    }

    fn print(args: &[&str]) -> String {
        match parse(args, BINARY) {
            Ok(Parsed::Print(text)) => text,
            other => panic!("{args:?}: {other:?}"),
        }
    }

    #[test]
    fn logs_is_the_default_command() {
        for args in [
            ["node-1"].as_slice(),
            &["logs", "node-1"],
            &["node/node-1"],
            &["--", "node-1"],
            &["-q", "--", "logs", "node-1"],
        ] {
            let options = run(args);
            assert_eq!((options.command, options.nodes.one()), (Command::Logs, Some("node-1")), "{args:?}");
        }
        assert_eq!(run(&["node/ls"]).nodes.one(), Some("ls"));
        assert_eq!(run(&["logs", "ls"]).nodes.one(), Some("ls"));
        assert_eq!(run(&["a", "b,c", "node/a"]).nodes.names, ["a", "b", "c"]);
    }

    #[test]
    fn ls_takes_a_node_and_a_folder() {
        for (place, expected) in [
            ("node-1", ["node-1"].as_slice()),
            ("node/node-1:", &["node-1"]),
            ("node-1:/var/log", &["node-1"]),
            ("node-1:pods/a:b/", &["node-1", "pods/a:b"]),
            ("node-1:/var/log/pods", &["node-1", "pods"]),
        ] {
            let options = run(&["ls", place]);
            assert_eq!(
                (options.command, options.operands),
                (Command::Ls, expected.iter().map(|s| s.to_string()).collect())
            );
        }
        for bad in ["node-1:..", "node-1:/etc", ":pods", "a/b:pods"] {
            refusal(&["ls", bad]);
        }
    }

    #[test]
    fn words_that_say_too_much_or_too_little_are_refused() {
        for (args, words, remedy) in [
            ([].as_slice(), "no node was named", "kubectl kubelet-logs NODE"),
            (&["ls"], "no node was named", "kubectl kubelet-logs ls NODE;"),
            (&["ls", "a", "b"], "more than one place was named: a, b", "one node at a time"),
            (&["lgos", "b"], "several nodes were named, lgos first", "did you mean the command `logs`?"),
            (&["version", "x"], "`version` does not take \"x\"", "version -h"),
            (&["help", "lss"], "no such command: \"lss\"", "did you mean ls?"),
            (&["help", "zzzzzz"], "no such command: \"zzzzzz\"", "logs, ls, version"),
            (&["completion"], "no shell was named", "bash, zsh, fish"),
            (&["completion", "csh"], "no completion for \"csh\"", "bash, zsh, fish"),
            (&["n", "--tail"], "--tail needs a value", "write --tail N"),
            (&["n", "-since", "1h"], "-since is a long flag", "write --since"),
            (&["n", "-tail=5"], "-tail is a long flag", "write --tail"),
            (&["n", "--tial", "5"], "unknown flag --tial", "did you mean --tail?"),
            (&["n", "--grpe=x"], "unknown flag --grpe", "did you mean --grep?"),
            (&["n", "-A"], "unknown flag -A", "--all-nodes"),
            (&["n", "-Z"], "unknown flag -Z", "lists flags"),
            (&["n", "--quiet=perhaps"], "--quiet: neither true nor false", ""),
            (&["n", "--help=foo"], "--help: neither true nor false", ""),
            (&["ls", "n", "pods"], "more than one place", "did you mean n:pods?"),
            (&["n", "-o", "raw", "--timestamps"], "--timestamps changes nothing", "-o text"),
            (&["n", "-o", "digest", "--timestamps"], "--timestamps changes nothing", "-o text"),
            (&["n", "-o", "jsonl", "--prefix", "always"], "--prefix changes nothing", "jsonl has"),
            (&["n", "--source", "journal", "--path", "x"], "--path reads a file, --source journal", "--unit"),
            (&["n", "--limit-bytes", "1k"], "--limit-bytes: ", "1000000"),
            (&["n", "--color", "yes"], "--color: neither", "give auto, always or never"),
            (&["ls", "n", "--tail", "5"], "--tail is a flag of logs, not of ls", "ls -h"),
            (&["--tail", "5", "ls", "n"], "--tail is a flag of logs, not of ls", "ls -h"),
        ] {
            let (said, hint) = refusal(args);
            assert!(said.starts_with(words), "{args:?}: {said}");
            assert!(hint.contains(remedy), "{args:?}: {hint}");
        }
    }

    #[test]
    fn the_value_of_an_unknown_flag_is_never_repeated() {
        for args in [
            ["n", "--tokne=hunter2"].as_slice(),
            &["n", "--insecure-skip-tls-verify", "--tokem=hunter2"],
            &["n", "-Zhunter2"],
        ] {
            let (said, hint) = refusal(args);
            assert!(!said.contains("hunter2") && !hint.contains("hunter2"), "{said} {hint}");
        }
    }

    #[test]
    fn what_needs_no_cluster_is_printed_whatever_flags_stand_beside() {
        assert!(print(&["man"]).starts_with(".TH"));
        for shell in SHELLS {
            assert!(print(&["completion", shell]).contains(complete::COMPLETE));
        }
        assert_eq!(print(&["version", "--context", "gone", "-v", "6"]), print(&["version"]));
        assert_eq!(print(&["help"]), print(&["--help"]));
    }

    #[test]
    fn kubectls_hook_is_known_by_its_name() {
        for argv0 in [
            "kubectl_complete-kubelet_logs",
            "/usr/local/bin/kubectl_complete-kubelet_logs",
            "./kubectl_complete-kubelet_logs.exe",
        ] {
            assert!(matches!(parse(["--"], argv0), Ok(Parsed::Candidates(_))), "{argv0}");
        }
        assert!(matches!(parse(["__complete", ""], BINARY), Ok(Parsed::Candidates(_))));
    }

    #[test]
    fn no_words_make_it_panic() {
        let pieces = [
            "", "-", "--", "---", "-=", "--=", "-q=", "-v", "--since", "node/", "ls", "help", "=", "-qqq", "\u{fffd}",
            "--v=", "a:b",
        ];
        for a in pieces {
            for b in pieces {
                for c in pieces {
                    let _ = parse([a, b, c], BINARY);
                    let _ = parse([a, b, c], complete::HOOK);
                }
            }
        }
    }
}
