//! The last entries of a log: of its current file, and as long as those are too few, of what it was before.

use bytes::Bytes;

use super::{Log, MOST_SHIFTS, foreign, older, same};
use crate::error::{Error, Kind};
use crate::logs::outlet::{Flow, Halt};
use crate::logs::source::file::{File, Held, Look, Packing, Tail};
use crate::logs::source::rotation::Rotation;
use crate::logs::source::{Latest, Node, check_time_was_seen};

/// The last entries of a log.
#[derive(Debug, Default)]
pub(in crate::logs::source) struct Last {
    /// Those of each of its files, the newest first.
    pub(in crate::logs::source) parts: Vec<Held>,
    /// What could not be read.
    pub(in crate::logs::source) lost: Option<Error>,
}

impl Latest<'_> {
    /// So much of it was found.
    fn take(&mut self, held: &Held) {
        self.count = self.count.saturating_sub(held.entries());
        self.room = self.room.saturating_sub(held.weight());
    }
}

impl Log {
    /// The newest entries that are wanted, which are taken off what is.
    pub(in crate::logs::source) async fn last(&self, node: &Node<'_>, latest: &mut Latest<'_>) -> Flow<Last> {
        let (current, path) = self.last_of_current(node, latest).await?;
        latest.take(&current.held);
        let mut last = Last { parts: vec![current.held], lost: None };
        if let (true, true, Some(beginning)) = (self.rotated, latest.count > 0, current.beginning) {
            // Listed only now: what was rotated since the current file was read is among them.
            let names = match path == self.path {
                true => self.predecessors(node).await?,
                false => self.before(node, &beginning).await?,
            };
            self.look_back(node, names, beginning, latest, &mut last).await?;
        }
        check_time_was_seen(latest.filter, &self.path)?;
        last.lost = last.lost.map(|error| self.incomplete(error));
        Ok(last)
    }

    /// Those of the current file, and where that is; up to its end it is read wherever that is by now.
    async fn last_of_current(&self, node: &Node<'_>, latest: &mut Latest<'_>) -> Flow<(Tail, String)> {
        let (mut path, mut packing, mut calendar) = (self.path.clone(), self.packing, None);
        let before = self.end.as_ref().map(|_| latest.filter.clone());
        for _ in 0..=MOST_SHIFTS {
            let file = File::new(node, &path, packing).with(calendar.clone());
            let file = file.up_to(self.end.as_ref().map(|end| end.offset));
            let read = file.last(latest).await;
            let (Some(end), Some(before)) = (self.end.as_ref().filter(|end| !end.beginning.is_empty()), &before) else {
                return Ok((read?, path));
            };
            if !matches!(read, Err(Halt::Stopped)) && !file.is_still(read.as_ref().ok(), &end.beginning).await {
                latest.filter.clone_from(before);
                (path, packing) = self.find(node, &end.beginning).await?.unwrap_or((self.path.clone(), self.packing));
                if packing == Packing::Gzip && (latest.want.dated || latest.filter.has_window()) {
                    calendar = File::new(node, &self.path, Packing::Plain).clock().await.ok().flatten();
                }
                continue;
            }
            return Ok((read?, path));
        }
        // It is gone; who goes on from its end tells that.
        Ok((Tail { held: Held::Lines(Vec::new()), beginning: Some(Bytes::new()) }, path))
    }

    /// Where the file is now that begins like this, if it was rotated.
    async fn find(&self, node: &Node<'_>, beginning: &Bytes) -> Flow<Option<(String, Packing)>> {
        let mut names = self.predecessors(node).await?;
        while let Some((rotation, look)) = names.pop() {
            let look = match look {
                Some(look) => Ok(look),
                None => self.look(node, &rotation).await,
            };
            match (look, rotation.packing) {
                (Ok(look), Some(packing)) if same(&look.beginning, beginning) => {
                    return Ok(Some((self.sibling(&rotation.name), packing)));
                }
                (Err(Halt::Failed(error)), _) if error.kind() != Kind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        Ok(None)
    }

    /// Reads the ends of predecessors, the newest first, until no more entries are wanted.
    async fn look_back(
        &self,
        node: &Node<'_>,
        mut names: Vec<(Rotation, Option<Look>)>,
        current: Bytes,
        latest: &mut Latest<'_>,
        last: &mut Last,
    ) -> Flow<()> {
        let mut calendar = None;
        let (mut read, mut shifts) = (current, 0);
        let mut moved = false;
        while latest.count > 0 {
            if std::mem::take(&mut moved) {
                shifts += 1;
                names = self.before(node, &read).await?;
            }
            let Some((rotation, look)) = names.pop() else { break };
            let path = self.sibling(&rotation.name);
            let file = File::new(node, &path, rotation.packing.unwrap_or(Packing::Plain));
            let look = match look {
                Some(look) => Ok(look),
                None => file.look().await,
            };
            let look = match look {
                Ok(look) => look,
                Err(Halt::Failed(error)) if error.kind() == Kind::NotFound => {
                    if shifts < MOST_SHIFTS {
                        moved = true;
                    } else {
                        last.lost.get_or_insert(error);
                    }
                    continue;
                }
                Err(halt) => return Err(halt),
            };
            if same(&look.beginning, &read) {
                // What was read already has this name now: the others have moved as well.
                if shifts < MOST_SHIFTS {
                    moved = true;
                }
                continue;
            }
            if older(look.modified, latest.filter.since) {
                break;
            }
            if rotation.packing.is_none() {
                last.lost.get_or_insert(foreign(&path));
                continue;
            }
            let dated = latest.want.dated || latest.filter.has_window();
            if dated && rotation.packing == Some(Packing::Gzip) && calendar.is_none() {
                calendar = File::new(node, &self.path, Packing::Plain).clock().await?;
            }
            let file = file.with(calendar.clone());
            match file.last(latest).await {
                Ok(tail) => {
                    let still = file.is_still(Some(&tail), &look.beginning).await;
                    if !still && !look.beginning.is_empty() && shifts < MOST_SHIFTS {
                        moved = true;
                        continue;
                    }
                    latest.take(&tail.held);
                    last.parts.push(tail.held);
                    if tail.beginning.is_none() {
                        break;
                    }
                }
                Err(Halt::Failed(error)) if error.kind() == Kind::NotFound && shifts < MOST_SHIFTS => {
                    moved = true;
                    continue;
                }
                Err(Halt::Failed(error)) if matches!(error.kind(), Kind::Failed | Kind::Partial) => {
                    node.notices.warning(format_args!("{}: {path}: {}", node.name, error.chain()));
                    last.lost.get_or_insert(error);
                }
                Err(halt) => return Err(halt),
            }
            read = look.beginning;
        }
        Ok(())
    }

    /// The predecessors that are older than the file that begins like this; all, if none of them does.
    async fn before(&self, node: &Node<'_>, beginning: &Bytes) -> Flow<Vec<(Rotation, Option<Look>)>> {
        let mut names = self.predecessors(node).await?;
        for at in (0..names.len()).rev() {
            let Some((rotation, look)) = names.get_mut(at) else { break };
            if look.is_none() {
                *look = self.look(node, rotation).await.ok();
            }
            if look.as_ref().is_some_and(|look| same(&look.beginning, beginning)) {
                names.truncate(at);
                break;
            }
        }
        Ok(names)
    }
}

impl File<'_> {
    /// Whether what was read begins like this. Of most only the end is known: then whether what has the name now does.
    async fn is_still(&self, read: Option<&Tail>, beginning: &Bytes) -> bool {
        match read.and_then(|tail| tail.beginning.as_ref()).filter(|beginning| !beginning.is_empty()) {
            Some(read) => same(read, beginning),
            None => self.look().await.is_ok_and(|look| same(&look.beginning, beginning)),
        }
    }
}
