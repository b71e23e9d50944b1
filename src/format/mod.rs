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
pub struct Format<'o> {
    shown: Shown<'o>,
    limits: Limits,
}

/// In which form.
pub enum Shown<'o> {
    /// Lines.
    Text(text::Text<'o>),
    /// An object a line.
    Jsonl(jsonl::Jsonl<'o>),
    /// A table of what is said how often.
    Digest(digest::Table<'o>),
    /// One document.
    Document(document::Document<'o>),
}

/// How much of each node may be printed, and how much was.
#[derive(Debug)]
pub struct Limits {
    most: Option<u64>,
    /// The bytes of each node, and whether something was cut off.
    nodes: Vec<(u64, bool)>,
}

impl Limits {
    /// At most so many bytes of each node.
    pub fn new(most: Option<u64>) -> Self {
        Limits { most, nodes: Vec::new() }
    }

    /// Whether there is any.
    pub fn is_set(&self) -> bool {
        self.most.is_some()
    }

    /// Whether so many bytes more of the node at this place may be printed: where not, nothing more of it may.
    pub fn take(&mut self, node: usize, bytes: u64) -> bool {
        let Some(most) = self.most else { return true };
        if self.nodes.len() <= node {
            self.nodes.resize(node + 1, (0, false));
        }
        let Some((printed, is_cut)) = self.nodes.get_mut(node) else { return true };
        *is_cut |= *printed + bytes > most;
        *printed += if *is_cut { 0 } else { bytes };
        !*is_cut
    }

    /// The nodes of which something was cut off, with the bytes that were printed of each.
    pub fn cut(&self) -> impl Iterator<Item = (usize, u64)> {
        self.nodes.iter().enumerate().filter(|(_, node)| node.1).map(|(number, node)| (number, node.0))
    }
}

impl<'o> Format<'o> {
    /// In this form, at most so many bytes of each node.
    pub fn new(shown: Shown<'o>, limit: Option<u64>) -> Self {
        Format { shown, limits: Limits::new(limit) }
    }

    /// What has come of the node at this place in the list. Break: nobody wants more.
    pub fn event(&mut self, node: usize, event: &Event) -> ControlFlow<()> {
        match &mut self.shown {
            Shown::Text(text) => text.event(&mut self.limits, node, event),
            Shown::Jsonl(jsonl) => jsonl.event(&mut self.limits, node, event),
            Shown::Digest(table) => table.event(node, event),
            Shown::Document(document) => document.event(&mut self.limits, node, event),
        }
    }

    /// One more node, behind the others in the list: only where nodes are followed.
    pub fn joined(&mut self, name: &str) {
        match &mut self.shown {
            Shown::Text(text) => text.joined(name),
            Shown::Jsonl(jsonl) => jsonl.joined(name),
            Shown::Digest(_) | Shown::Document(_) => {}
        }
    }

    /// Whether the limit of the node at this place is reached.
    pub fn is_cut(&self, node: usize) -> bool {
        self.limits.nodes.get(node).is_some_and(|node| node.1)
    }

    /// A node has ended, and all of it was given.
    pub fn ended(&mut self, node: usize, how: Result<(), &Error>) -> ControlFlow<()> {
        match &mut self.shown {
            Shown::Text(_) | Shown::Jsonl(_) => ControlFlow::Continue(()),
            Shown::Digest(table) => table.ended(node, how.is_ok()),
            Shown::Document(document) => document.ended(node, how),
        }
    }

    /// Writes out what is buffered.
    pub fn flush(&mut self) -> ControlFlow<()> {
        match &mut self.shown {
            Shown::Text(text) => text.flush(),
            Shown::Jsonl(jsonl) => jsonl.flush(),
            Shown::Digest(_) => ControlFlow::Continue(()),
            Shown::Document(document) => document.flush(),
        }
    }

    /// What stands at the end, after a run of this length. Gives the nodes of which a limit cut something off, with the
    /// bytes that were printed of each.
    pub fn finish(self, took: Duration) -> Vec<(usize, u64)> {
        match self.shown {
            Shown::Text(_) | Shown::Jsonl(_) => {}
            Shown::Digest(table) => table.finish(),
            Shown::Document(mut document) => document.finish(took),
        }
        self.limits.cut().collect()
    }
}
