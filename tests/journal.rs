//! The journal decoder against journalctl: the same entries, whatever the file and however its bytes arrive.

mod driver;
mod oracle;
mod generate;
mod cost;
mod follow;
mod hostile;
mod ranges;
mod values;
