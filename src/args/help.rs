//! `-h`, `--help` and `help`, made from the two tables.

use super::command::{COMMANDS, Spec};
use super::flag::{Flag, Group};
use super::{Command, PROGRAM, flags};

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// A line a flag.
    Brief,
    /// Everything.
    Full,
}

/// What the program does, in a line.
pub const TAGLINE: &str = "Read the logs of Kubernetes nodes through the API server.";

/// Exit codes and what they mean to a script.
pub const EXIT_CODES: &[(&str, &str)] = &[
    ("0", "done, also when nothing matched or the reader went away"),
    ("1", "failed"),
    ("2", "the command line is wrong"),
    ("3", "an answer may be incomplete"),
    ("4", "not permitted: credentials refused, or a credential plugin failed"),
    ("5", "no such node, unit or file"),
    ("6", "the server can't be reached or trusted, or the API server can't reach the kubelet"),
    ("130", "interrupted"),
    ("143", "terminated"),
];

/// What the table of flags does not say.
pub const SWITCHES: &str = "A flag without a value also takes =true or =false, as in --timestamps=false.";

/// Lines are no longer than this.
const WIDTH: usize = 100;

/// Where a flag's line in brief help begins.
const COLUMN: usize = 34;

/// The whole program's help, or a command's.
pub fn text(command: Option<Command>, depth: Depth) -> String {
    let mut page = String::new();
    match command {
        None => overview(&mut page, depth),
        Some(command) => of_command(&mut page, command.spec(), depth),
    }
    page
}

fn overview(page: &mut String, depth: Depth) {
    page.push_str(TAGLINE);
    page.push_str("\n\n");
    heading(page, "Usage");
    line(page, 2, &format!("{PROGRAM} NODE [flags]"));
    line(page, 2, &format!("{PROGRAM} COMMAND ..."));
    page.push('\n');
    let logs = Command::Logs.spec();
    examples(page, logs);
    heading(page, "Commands");
    for spec in COMMANDS {
        entry(page, spec.name, spec.brief, 14);
    }
    page.push('\n');
    if depth == Depth::Full {
        heading(page, "How it works");
        paragraphs(page, logs.about, 2);
        page.push('\n');
    }
    flag_groups(page, Command::Logs, depth, &Group::ALL);
    if depth == Depth::Full {
        line(page, 0, SWITCHES);
        page.push('\n');
    }
    exit_codes(page);
    match depth {
        Depth::Brief => {
            line(page, 0, &format!("`{PROGRAM} --help` tells more, `{PROGRAM} COMMAND -h` explains a command."));
        }
        Depth::Full => {
            line(page, 0, &format!("`{PROGRAM} COMMAND --help` explains a command."));
            line(page, 0, &format!("`{PROGRAM} man` prints all of it as a manual page."));
        }
    }
}

fn of_command(page: &mut String, spec: &Spec, depth: Depth) {
    page.push_str(spec.brief);
    page.push_str(".\n\n");
    heading(page, "Usage");
    if spec.command == Command::Logs {
        line(page, 2, &format!("{PROGRAM} {}", spec.usage));
    }
    line(page, 2, format!("{PROGRAM} {} {}", spec.name, spec.usage).trim_end());
    page.push('\n');
    if !spec.examples.is_empty() {
        examples(page, spec);
    }
    heading(page, "About");
    paragraphs(page, spec.about, 2);
    page.push('\n');
    // Commands without a cluster take kubectl's flags, too, but do nothing with them.
    let groups = match spec.needs {
        super::command::Needs::Cluster => &Group::ALL[..],
        super::command::Needs::Nothing => &Group::ALL[..5],
    };
    flag_groups(page, spec.command, depth, groups);
    if depth == Depth::Brief {
        line(page, 0, &format!("`{PROGRAM} {} --help` tells more.", spec.name));
    } else {
        line(page, 0, &format!("`{PROGRAM} -h` lists commands and exit codes."));
    }
}

fn examples(page: &mut String, spec: &Spec) {
    heading(page, "Examples");
    for (purpose, words) in spec.examples {
        line(page, 2, &format!("# {purpose}"));
        line(page, 2, words);
    }
    page.push('\n');
}

fn flag_groups(page: &mut String, command: Command, depth: Depth, groups: &[Group]) {
    for &group in groups {
        if flags::of(command, group).next().is_none() {
            continue;
        }
        heading(page, group.title());
        if depth == Depth::Brief && group == Group::Connection {
            let names: Vec<String> = flags::of(command, group).map(both_names).collect();
            wrap(page, 2, &names.join(" "));
        } else {
            for flag in flags::of(command, group) {
                match depth {
                    Depth::Brief => entry(page, &aligned(flag), flag.brief, COLUMN),
                    Depth::Full => {
                        line(page, 2, &aligned(flag));
                        paragraphs(page, flag.help, 10);
                        page.push('\n');
                    }
                }
            }
        }
        if depth == Depth::Brief {
            page.push('\n');
        }
    }
}

fn exit_codes(page: &mut String) {
    heading(page, "Exit codes");
    for (code, meaning) in EXIT_CODES {
        entry(page, code, meaning, 7);
    }
    page.push('\n');
}

/// Both spellings, long ones below each other.
fn aligned(flag: &Flag) -> String {
    match flag.short {
        Some(_) => flag.spelling(),
        None => format!("    {}", flag.spelling()),
    }
}

fn both_names(flag: &Flag) -> String {
    match flag.short {
        Some(short) => format!("-{short}/--{}", flag.long),
        None => format!("--{}", flag.long),
    }
}

fn heading(page: &mut String, title: &str) {
    page.push_str(title);
    page.push_str(":\n");
}

fn line(page: &mut String, indent: usize, text: &str) {
    page.extend(std::iter::repeat_n(' ', indent));
    page.push_str(text);
    page.push('\n');
}

/// A name and what it is, from `column` on; on a line of its own if the name is too long.
fn entry(page: &mut String, name: &str, meaning: &str, column: usize) {
    let used = 2 + name.chars().count();
    page.push_str("  ");
    page.push_str(name);
    if used + 2 > column {
        page.push('\n');
        page.extend(std::iter::repeat_n(' ', column));
    } else {
        page.extend(std::iter::repeat_n(' ', column - used));
    }
    page.push_str(meaning);
    page.push('\n');
}

fn paragraphs(page: &mut String, paragraphs: &[&str], indent: usize) {
    for (n, paragraph) in paragraphs.iter().enumerate() {
        if n > 0 {
            page.push('\n');
        }
        wrap(page, indent, paragraph);
    }
}

/// Words in lines of at most [`WIDTH`].
fn wrap(page: &mut String, indent: usize, text: &str) {
    let mut used = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if used == 0 || used + 1 + length > WIDTH {
            if used > 0 {
                page.push('\n');
            }
            page.extend(std::iter::repeat_n(' ', indent));
            used = indent;
        } else {
            page.push(' ');
            used += 1;
        }
        page.push_str(word);
        used += length;
    }
    page.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn no_line_is_wider_than_the_page() {
        for depth in [Depth::Brief, Depth::Full] {
            for command in COMMANDS.iter().map(|spec| Some(spec.command)).chain([None]) {
                for line in text(command, depth).lines() {
                    assert!(line.chars().count() <= WIDTH, "{command:?}: {line}");
                    assert_eq!(line.trim_end(), line);
                }
            }
        }
    }

    #[test]
    fn every_flag_of_a_command_is_in_its_help() {
        for spec in COMMANDS.iter().filter(|spec| spec.needs == super::super::command::Needs::Cluster) {
            for depth in [Depth::Brief, Depth::Full] {
                let page = text(Some(spec.command), depth);
                for flag in flags::all().filter(|flag| flag.commands.contains(&spec.command)) {
                    assert!(
                        page.contains(&format!("--{}", flag.long)),
                        "{} in {depth:?} help of {}",
                        flag.long,
                        spec.name
                    );
                }
            }
        }
    }

    #[test]
    fn exit_codes_of_errors_are_listed() {
        for kind in [Kind::Failed, Kind::Usage, Kind::Partial, Kind::Denied, Kind::NotFound, Kind::Unreachable] {
            assert!(EXIT_CODES.iter().any(|(code, _)| *code == kind.exit_code().to_string()), "{kind:?}");
        }
    }
}
