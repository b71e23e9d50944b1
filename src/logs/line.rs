//! One entry of a log, and where reading stands.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use crate::journal::Entry;
use crate::logs::layout::{Head, Layout};
use crate::time::Timestamp;

/// One log entry: its first line and the lines that continue it, as received, line ends included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it was written; an entry without a time of its own has that of the entry before it.
    pub at: Option<Timestamp>,
    /// How it begins; `None` where it carries no time.
    pub head: Option<Head>,
    /// The bytes, as the node sent them, or as journalctl would print the entry.
    pub text: Bytes,
    /// All that the node's journal knows of it, where it was read from there.
    pub entry: Option<Arc<Entry>>,
    /// What it is to those who count entries.
    pub part: Part,
}

/// What a line is in the whole that it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// An entry, or one of journalctl's own lines.
    Entry,
    /// The heading or the rule of a Windows node's table.
    Heading,
}

impl Line {
    /// A line as it was received; when it was written is not known yet.
    pub fn new(head: Option<Head>, text: Bytes) -> Self {
        Line { at: None, head, text, entry: None, part: Part::Entry }
    }

    /// The message: the text after time and writer, without the last line end.
    pub fn message(&self) -> &[u8] {
        let text = self.text.strip_suffix(b"\n").unwrap_or(&self.text);
        text.get(self.head.map_or(0, |head| head.message)..).unwrap_or_default()
    }

    /// The message as its writer wrote it: journalctl indents continuation lines to the message's column.
    pub fn dedented(&self) -> Cow<'_, [u8]> {
        if let Some(entry) = &self.entry {
            return Cow::Borrowed(entry.message().unwrap_or_default());
        }
        let message = self.message();
        let indented = matches!(self.head, Some(head) if head.layout == Layout::Short { precise: true });
        if !indented || memchr::memchr(b'\n', message).is_none() {
            return Cow::Borrowed(message);
        }
        let indent = self.head.map_or(0, |head| head.message);
        let mut lines = message.split(|b| *b == b'\n');
        let mut whole = lines.next().unwrap_or_default().to_vec();
        for line in lines {
            whole.push(b'\n');
            let spaces = line.iter().take(indent).take_while(|b| **b == b' ').count();
            whole.extend_from_slice(line.get(spaces..).unwrap_or_default());
        }
        Cow::Owned(whole)
    }

    /// What it takes of the memory: the text, the fields, and what is known of them.
    pub fn weight(&self) -> usize {
        const ITSELF: usize = 100;
        let fields = self.entry.as_ref().map_or(0, |entry| usize::try_from(entry.weight()).unwrap_or(usize::MAX));
        self.text.len().saturating_add(fields).saturating_add(ITSELF)
    }

    /// Whether this is one of journalctl's own lines between entries, such as `-- Boot 0123… --`.
    pub fn is_marker(&self) -> bool {
        // What carries a time is none; its text need not be looked at.
        self.head.is_none() && is_marker(&self.text)
    }

    /// Whether it is an entry at all, and so counts as one: neither a marker nor a table's heading.
    pub fn is_entry(&self) -> bool {
        self.part == Part::Entry && !self.is_marker()
    }
}

/// Whether a line of a Windows node's table is no event: the provider's name, the heading, the rule, or an empty one.
/// In any other log such lines are entries.
pub fn is_heading(line: &[u8]) -> bool {
    let text = line.trim_ascii();
    begins_table(line) || text.is_empty() || text.starts_with(b"TimeCreated ") || text.starts_with(b"-----------")
}

/// Whether a first line begins a Windows node's table.
pub fn begins_table(line: &[u8]) -> bool {
    line.ends_with(b"\r\n") && line.trim_ascii().starts_with(b"ProviderName: ")
}

/// Whether a line is one of journalctl's own: `-- Boot <id> --`, `-- Reboot --`, `-- Logs begin at … --`,
/// `-- No entries --`.
pub fn is_marker(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.starts_with(b"-- ") && line.ends_with(b" --")
        || line.starts_with(b"-- Logs begin at ")
        || line.starts_with(b"-- Journal begins at ")
}
