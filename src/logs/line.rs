//! One entry of a log, and where reading stands.

use bytes::Bytes;

use crate::logs::layout::Head;
use crate::time::Timestamp;

/// One log entry: its first line and the lines that continue it, as received, line ends included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it was written; an entry without a time of its own has that of the entry before it.
    pub at: Option<Timestamp>,
    /// How it begins; `None` where it carries no time.
    pub head: Option<Head>,
    /// The bytes, as the node sent them.
    pub text: Bytes,
}

impl Line {
    /// The message: the text after time and writer, without the last line end.
    pub fn message(&self) -> &[u8] {
        let text = self.text.strip_suffix(b"\n").unwrap_or(&self.text);
        text.get(self.head.map_or(0, |head| head.message)..).unwrap_or_default()
    }

    /// Whether this is one of journalctl's own lines between entries, such as `-- Boot 0123… --`.
    pub fn is_marker(&self) -> bool {
        is_marker(&self.text)
    }
}

/// Whether a line is one of journalctl's own: `-- Boot <id> --`, `-- Reboot --`, `-- Logs begin at … --`,
/// `-- No entries --`.
pub fn is_marker(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.starts_with(b"-- ") && line.ends_with(b" --")
        || line.starts_with(b"-- Logs begin at ")
        || line.starts_with(b"-- Journal begins at ")
}
