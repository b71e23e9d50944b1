//! The flag table: every flag once. Help, man page, completion and the README are made from it.
//!
//! A file a group; each row is followed by its test.

mod connection;
mod filter;
mod hidden;
mod nodes;
mod output;
mod source;
mod window;

use super::Command;
use super::flag::{Flag, Group};

/// Commands that print a log.
const LOGS: &[Command] = &[Command::Logs];
/// Commands that ask a node.
const NODE: &[Command] = &[Command::Logs, Command::Ls];
/// All of them: an alias that always names a context works with `version` too.
const EVERY: &[Command] =
    &[Command::Logs, Command::Ls, Command::Version, Command::Help, Command::Man, Command::Completion];

/// Every flag that is shown, in the order help shows them.
pub fn all() -> impl Iterator<Item = &'static Flag> {
    [nodes::FLAGS, source::FLAGS, window::FLAGS, filter::FLAGS, output::FLAGS, connection::FLAGS]
        .into_iter()
        .flatten()
        .copied()
}

/// The flags of a command in a group.
pub fn of(command: Command, group: Group) -> impl Iterator<Item = &'static Flag> {
    all().filter(move |flag| flag.group == group && flag.commands.contains(&command))
}

/// The flag of this long name, one that is shown nowhere included.
pub fn long(name: &str) -> Option<&'static Flag> {
    known().find(|flag| flag.long == name)
}

/// The flag a command calls by this letter; without one of its own, what the letter means elsewhere.
pub fn short(letter: char, command: Command) -> Option<&'static Flag> {
    let named = || all().filter(move |flag| flag.short == Some(letter));
    named().find(|flag| flag.commands.contains(&command)).or_else(|| named().next())
}

/// Every flag, the hidden ones last.
fn known() -> impl Iterator<Item = &'static Flag> {
    all().chain(hidden::FLAGS.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Options, Parsed, parse};

    /// What a command line says.
    pub(super) fn said(args: &[&str]) -> Options {
        match parse(args, "kubectl-kubelet_logs") {
            Ok(Parsed::Run(options)) => *options,
            other => panic!("{args:?}: {other:?}"),
        }
    }

    /// Why a command line is refused, with the remedy.
    pub(super) fn refused(args: &[&str]) -> String {
        let error = parse(args, "kubectl-kubelet_logs").expect_err(&format!("{args:?}"));
        assert_eq!(error.kind(), crate::error::Kind::Usage, "{args:?}");
        format!("{} ({})", error.chain(), error.remedy().unwrap_or_default())
    }

    #[test]
    fn a_name_means_one_thing_in_a_command() {
        for flag in known() {
            assert_eq!(known().filter(|other| other.long == flag.long).count(), 1, "--{}", flag.long);
            for command in flag.commands {
                let same = |other: &&Flag| other.short == flag.short && other.commands.contains(command);
                assert!(flag.short.is_none() || known().filter(same).count() == 1, "-{:?} of {command:?}", flag.short);
            }
        }
    }

    #[test]
    fn every_flag_is_explained_within_the_page() {
        for flag in known() {
            assert!((1..=64).contains(&flag.brief.chars().count()), "--{}: {}", flag.long, flag.brief.chars().count());
            assert!(!flag.brief.ends_with('.') && !flag.commands.is_empty(), "--{}", flag.long);
            assert!(!flag.help.is_empty() && flag.help.iter().all(|p| p.ends_with(['.', ':'])), "--{}", flag.long);
            assert!(flag.help.iter().all(|p| !p.contains("  ") && !p.contains('\n')), "--{}", flag.long);
            for other in flag.excludes {
                let other = long(other).unwrap_or_else(|| panic!("--{} excludes --{other}", flag.long));
                assert!(other.excludes.contains(&flag.long), "--{} and --{}", flag.long, other.long);
            }
        }
    }
}
