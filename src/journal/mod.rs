//! Decodes systemd journal files of which only ranges are at hand.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod corrupt;
mod le;
mod id;
mod header;
mod name;
mod hash;
mod object;
mod unpack;
mod cache;
mod entry;
mod matches;
mod query;
mod file;
mod array;
mod plan;
mod scan;
mod batch;
mod reader;
mod survey;
mod member;
mod set;
mod instances;
mod text;

pub use corrupt::Corrupt;
pub use entry::{Entry, Field, Position};
pub use header::Header;
pub use id::Id;
pub use instances::{Found, Instance, Instances};
pub use matches::{AnyOf, Matches};
pub use name::Name;
pub use query::{Limits, Order, Query};
pub use set::{FileId, Journal, Need, Notice, Step, Value};
pub use text::short_precise;
