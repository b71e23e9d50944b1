//! What a flag is.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::str::FromStr;

use super::command::Command;
use super::options::Options;
use crate::error::{Error, Result};

/// A row of the flag table.
#[derive(Debug)]
pub struct Flag {
    /// Behind two dashes.
    pub long: &'static str,
    /// Behind one; unique among the flags of a command.
    pub short: Option<char>,
    /// What it takes.
    pub value: Value,
    /// Which commands take it.
    pub commands: &'static [Command],
    /// Where help shows it.
    pub group: Group,
    /// One line, for `-h` and the README.
    pub brief: &'static str,
    /// Paragraphs, without line breaks inside, for `--help` and the manual.
    pub help: &'static [&'static str],
    /// Long names of the flags it can't be given together with.
    pub excludes: &'static [&'static str],
    /// What it does.
    pub set: Set,
}

/// What a flag takes.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    /// Nothing, or `=true` or `=false`.
    Switch,
    /// Any text; what help calls it.
    Text(&'static str),
    /// A path on this machine; what help calls it.
    File(&'static str),
    /// One of these.
    Choice(&'static [&'static str]),
}

/// What giving a flag does.
#[derive(Clone, Copy, Debug)]
pub enum Set {
    /// Writes it down.
    Option(fn(&mut Options, &Given<'_>) -> Result<()>),
    /// Asks for help in place of a run: the short form for a short flag.
    Help,
    /// Asks for the version in place of a run.
    Version,
}

/// Headings of help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Which nodes.
    Nodes,
    /// What is read.
    Source,
    /// When it was written.
    Window,
    /// Which lines of it.
    Filter,
    /// How it is shown, and the run as a whole.
    Output,
    /// kubectl's own.
    Connection,
}

impl Group {
    /// In the order help shows them.
    pub const ALL: [Group; 6] =
        [Group::Nodes, Group::Source, Group::Window, Group::Filter, Group::Output, Group::Connection];

    /// The heading.
    pub fn title(self) -> &'static str {
        match self {
            Group::Nodes => "Which nodes",
            Group::Source => "What to read",
            Group::Window => "From when",
            Group::Filter => "Which lines",
            Group::Output => "Output and run",
            Group::Connection => "Cluster and credentials, as in kubectl",
        }
    }
}

impl Flag {
    /// What its value is called: ` FILE`, `[=BOOL]`, or the choices.
    pub fn metavar(&self) -> String {
        match self.value {
            Value::Switch => String::new(),
            Value::Text(name) | Value::File(name) => format!(" {name}"),
            Value::Choice(choices) => format!(" {}", choices.join("|")),
        }
    }

    /// Both spellings and the value: `-u, --unit UNIT`.
    pub fn spelling(&self) -> String {
        let short = self.short.map_or(String::new(), |short| format!("-{short}, "));
        format!("{short}--{}{}", self.long, self.metavar())
    }
}

/// A value that was given to a flag. Errors never repeat it unless the flag's own reading does.
#[derive(Debug)]
pub struct Given<'a>(pub &'a OsStr);

impl Given<'_> {
    /// As text.
    pub fn text(&self) -> Result<&str> {
        self.0.to_str().ok_or_else(|| Error::usage("value is not UTF-8"))
    }

    /// As text; an empty one counts as not given.
    pub fn some_text(&self) -> Result<Option<String>> {
        self.text().map(|text| (!text.is_empty()).then(|| text.to_owned()))
    }

    /// As a path on this machine; an empty one counts as not given.
    pub fn path(&self) -> Option<PathBuf> {
        (!self.0.is_empty()).then(|| PathBuf::from(self.0))
    }

    /// As yes or no, in the spellings Go takes.
    pub fn switch(&self) -> Result<bool> {
        match self.text()? {
            "true" | "True" | "TRUE" | "t" | "T" | "1" => Ok(true),
            "false" | "False" | "FALSE" | "f" | "F" | "0" => Ok(false),
            other => Err(Error::usage(format!("neither true nor false: {other:?}"))),
        }
    }

    /// As a whole number.
    pub fn number<T: FromStr>(&self) -> Result<T> {
        let text = self.text()?;
        text.parse().map_err(|_| Error::usage(format!("not a number it can take: {text:?}")))
    }
}
