//! When a unit last wrote: what tells which of several units is the one at work.

use super::{Parameters, Query, Stream, is_journals};
use crate::logs::calendar::{Anchor, Calendar};
use crate::logs::layout::Head;
use crate::logs::outlet::Flow;
use crate::logs::verdict::{End, Words};
use crate::time::Timestamp;

/// Entries longer than this are not looked at to their end.
const LONGEST: usize = 64 << 10;

/// What the newest entry of some units tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Newest {
    /// When it was written; `None` if they wrote nothing since the node was started.
    pub at: Option<Timestamp>,
    /// The units that the journal does not know.
    pub absent: Vec<String>,
    /// Whether the query is off, so that none of it was asked.
    pub off: bool,
}

impl Query<'_> {
    /// When the newest entry was written that was seen so far, wanted or not.
    pub fn newest(&self) -> Option<Timestamp> {
        self.newest
    }

    /// Looks where the node's zone shows, and so how new the unit's entries are, where a window needs the former anyway.
    pub async fn prepare(&mut self) -> Flow<()> {
        self.offset().await.map(|_| ())
    }

    /// Asks for the newest entry of the units since the node was started.
    pub async fn look_up(&mut self) -> Flow<Newest> {
        let parameters = Parameters { tail: Some(1), ..Parameters::default() };
        let Ok(mut stream) = Stream::open(self, parameters).await? else {
            return Ok(Newest { at: None, absent: self.units.to_vec(), off: true });
        };
        let mut text = Vec::new();
        while let Some(piece) = stream.next(self).await? {
            text.extend_from_slice(
                piece.get(..LONGEST.saturating_sub(text.len()).min(piece.len())).unwrap_or_default(),
            );
        }
        self.note(text.split(|b| *b == b'\n').rev().find_map(Head::of));
        let absent = match stream.end() {
            End::Words(Words::FileWithOptions(units) | Words::NotFound(units)) => {
                units.split_whitespace().map(str::to_owned).collect()
            }
            // Whatever else it says instead of an entry: nothing is known of any.
            End::Words(_) => self.units.to_vec(),
            End::Whole | End::Empty | End::MidLine => Vec::new(),
        };
        Ok(Newest { at: self.newest, absent, off: false })
    }

    /// Remembers how new an entry is.
    pub(super) fn note(&mut self, head: Option<Head>) {
        let now = self.node.clock.now();
        let at = head.filter(is_journals).and_then(|head| Calendar::new(0, Anchor::NotAfter(now)).resolve(&head));
        self.newest = self.newest.max(at);
    }
}
