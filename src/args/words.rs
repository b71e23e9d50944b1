//! Words of a command line told apart: flags with their values, commands, operands.

use std::ffi::OsString;

use lexopt::Arg;

use super::flag::{Flag, Value};
use super::{Command, flags};

/// A word, or two that belong together.
#[derive(Debug)]
pub(super) enum Word {
    /// A flag with its value; a switch alone has `true`. `spelled` has its dashes.
    Flag { flag: &'static Flag, value: OsString, spelled: String },
    /// A flag that should have a value, at the end of the line.
    Valueless(&'static Flag),
    /// The name of a command.
    Command(Command),
    /// Anything else without dashes.
    Operand(OsString),
    /// A flag nobody knows, with its dashes.
    Unknown(String),
}

/// Tells flags from operands; the first operand may be a command.
pub(super) struct Words {
    parser: lexopt::Parser,
    command: Option<Command>,
}

impl Words {
    pub(super) fn new(args: Vec<OsString>) -> Self {
        Words { parser: lexopt::Parser::from_args(args), command: None }
    }

    fn flag(&mut self, flag: &'static Flag, spelled: String) -> Word {
        let value = match flag.value {
            Value::Switch if spelled.starts_with("--") => self.parser.optional_value().or(Some("true".into())),
            // In `-qv6` the `v6` is another flag; only `-q=false` is a value.
            Value::Switch => match self.parser.clone().next() {
                Err(lexopt::Error::UnexpectedValue { .. }) => self.parser.optional_value(),
                _ => Some("true".into()),
            },
            _ => self.parser.value().ok(),
        };
        match value {
            Some(value) => Word::Flag { flag, value, spelled },
            None => Word::Valueless(flag),
        }
    }
}

impl Iterator for Words {
    type Item = Word;

    fn next(&mut self) -> Option<Word> {
        loop {
            let (found, spelled) = match self.parser.next() {
                Ok(None) => return None,
                Ok(Some(Arg::Long(name))) => (flags::long(name), format!("--{name}")),
                Ok(Some(Arg::Short(letter))) => {
                    (flags::short(letter, self.command.unwrap_or_default()), format!("-{letter}"))
                }
                Ok(Some(Arg::Value(word))) => {
                    let first = self.command.is_none();
                    let named = word.to_str().filter(|_| first).and_then(Command::named);
                    self.command.get_or_insert(named.unwrap_or_default());
                    return Some(named.map_or(Word::Operand(word), Word::Command));
                }
                // A value left over from a switch; the switches below take theirs, so there is none.
                Err(_) => continue,
            };
            if let Some(flag) = found {
                return Some(self.flag(flag, spelled));
            }
            // What hangs on an unknown flag goes unseen: it may be a secret.
            let _ = self.parser.optional_value();
            return Some(Word::Unknown(spelled));
        }
    }
}
