//! The journal decoder against journalctl: the same entries, whatever the file and however its bytes arrive.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may, and so may what only tests call")]

mod driver;
pub(crate) mod oracle;
mod mutate;
mod generate;
mod cost;
mod clocks;
mod follow;
mod hostile;
mod matrix;
mod odd;
mod ranges;
mod requests;
mod values;
mod windows;
