//! The command line: text to typed options, and every text made from the flag table.

pub mod command;
pub mod nodes;
pub mod options;
pub mod kubectl;
pub mod selector;
pub mod flag;
pub mod flags;
pub mod suggest;
pub mod help;
pub mod man;
pub mod readme;
pub mod version;
pub(crate) mod words;
pub mod complete;
pub mod parse;

pub use command::Command;
pub use complete::Candidates;
pub use nodes::Nodes;
pub use options::{
    Boot, Color, Connection, Format, Input, Options, PodName, Priority, Severity, SourceChoice, Tail,
    path_under_var_log, unit_name,
};
pub use parse::{Parsed, parse};

/// How people call the program.
pub const PROGRAM: &str = "kubectl kubelet-logs";

/// The binary's file name, which kubectl derives from the plugin's.
pub const BINARY: &str = "kubectl-kubelet_logs";
