//! How what was read is shown: one file a format.

use std::ops::ControlFlow;
use std::time::Duration;

use crate::error::Error;
use crate::logs::outlet::Event;

pub mod color;
pub mod mask;
pub mod text;
pub mod jsonl;
pub mod digest;
pub mod document;

/// What is being written.
pub enum Format<'o> {
    /// Lines.
    Text(text::Text<'o>),
    /// An object a line.
    Jsonl(jsonl::Jsonl<'o>),
    /// A table of what is said how often.
    Digest(digest::Table<'o>),
    /// One document.
    Document(document::Document<'o>),
}

impl Format<'_> {
    /// What has come of the node at this place in the list. Break: nobody wants more.
    pub fn event(&mut self, node: usize, event: Event) -> ControlFlow<()> {
        match self {
            Format::Text(text) => text.event(node, event),
            Format::Jsonl(jsonl) => jsonl.event(node, event),
            Format::Digest(table) => table.event(node, event),
            Format::Document(document) => document.event(node, event),
        }
    }

    /// One more node, behind the others in the list: only where nodes are followed.
    pub fn joined(&mut self, name: &str) {
        match self {
            Format::Text(text) => text.joined(name),
            Format::Jsonl(jsonl) => jsonl.joined(name),
            Format::Digest(_) | Format::Document(_) => {}
        }
    }

    /// Whether the limit of the node at this place is reached.
    pub fn is_cut(&self, node: usize) -> bool {
        match self {
            Format::Text(text) => text.is_cut(node),
            Format::Jsonl(jsonl) => jsonl.is_cut(node),
            Format::Digest(_) => false,
            Format::Document(document) => document.is_cut(node),
        }
    }

    /// A node has ended, and all of it was given.
    pub fn ended(&mut self, node: usize, how: Result<(), &Error>) -> ControlFlow<()> {
        match self {
            Format::Text(_) | Format::Jsonl(_) => ControlFlow::Continue(()),
            Format::Digest(table) => table.ended(node, how.is_ok()),
            Format::Document(document) => document.ended(node, how),
        }
    }

    /// Writes out what is buffered.
    pub fn flush(&mut self) -> ControlFlow<()> {
        match self {
            Format::Text(text) => text.flush(),
            Format::Jsonl(jsonl) => jsonl.flush(),
            Format::Digest(_) => ControlFlow::Continue(()),
            Format::Document(document) => document.flush(),
        }
    }

    /// What stands at the end, after a run of this length. Gives the nodes of which a limit cut something off, with the
    /// bytes that were printed of each.
    pub fn finish(self, took: Duration) -> Vec<(usize, u64)> {
        match self {
            Format::Text(text) => text.cut().collect(),
            Format::Jsonl(jsonl) => jsonl.cut().collect(),
            Format::Digest(table) => {
                table.finish();
                Vec::new()
            }
            Format::Document(mut document) => {
                document.finish(took);
                document.cut().collect()
            }
        }
    }
}
