//! New entries of a journal: each file is read on from where it was left, whatever its name is by now.

use super::{BATCH, Reading, batch};
use crate::error::Error;
use crate::journal::Id;
use crate::logs::kubelet::KubeletLines;
use crate::logs::outlet::{Flow, Outlet};
use crate::logs::pace::Pace;
use crate::logs::source::journal::Met;
use crate::logs::source::watch::Watch;

/// What becomes of the following when the machine is started anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AtBoot {
    /// It goes on.
    GoOn,
    /// It ends: only this boot was asked for.
    End(Id),
}

impl Reading<'_, '_, '_> {
    /// What is written from now on, until the window's or the boot's end; or why nothing can be read.
    pub(super) async fn follow(&mut self, pace: &Pace, at_boot: AtBoot, out: &mut Outlet) -> Flow<Option<Error>> {
        let mut watch = Watch::new(self.node, pace, self.until);
        let mut kubelet = self.filter.kubelet.map(KubeletLines::new);
        if self.want.last == Some(0) {
            // Nothing was opened yet, and what is not opened counts as new.
            self.remote.newest(self.matches.clone()).await?;
            if let Some(why) = self.remote.unreadable() {
                return Ok(Some(why));
            }
        }
        if at_boot == AtBoot::GoOn {
            self.remote.journal.want(self.of_any_boot.clone());
        }
        let identifiers = std::mem::take(&mut self.filter.identifiers);
        let mut told = 0;
        out.live();
        loop {
            for damage in self.remote.damaged.get(told..).unwrap_or_default() {
                watch.lost(damage.clone());
            }
            told = self.remote.damaged.len();
            if !watch.wait().await {
                break;
            }
            let looked = self.look(&mut kubelet, out).await;
            watch.heard(looked)?;
            if let (AtBoot::End(boot), Some(now)) = (at_boot, self.remote.journal.boot())
                && now != boot
            {
                watch.say_boot_ended(&boot.to_string());
                break;
            }
        }
        self.filter.identifiers = identifiers;
        watch.end().map(|()| None)
    }

    /// Hands on what was written since the last look; whether anything of it was wanted. What a look could not read, because
    /// the node was not to be reached, the next one does.
    async fn look(&mut self, kubelet: &mut Option<KubeletLines>, out: &mut Outlet) -> Flow<bool> {
        self.remote.fetched.clear();
        self.remote.journal.poll();
        let mut anything = false;
        let mut lines = Vec::new();
        let mut bytes = 0;
        loop {
            let needs = match self.remote.try_next()? {
                Ok(Met::Entry(entry)) => {
                    if let Some(line) = self.wanted(entry, kubelet) {
                        self.mark(&line, &mut lines);
                        let line = self.lightened(line);
                        bytes += line.weight();
                        lines.push(line);
                    }
                    if lines.len() < BATCH && bytes < batch(out) {
                        continue;
                    }
                    None
                }
                Ok(Met::Value(_)) => continue,
                Ok(Met::End) => break,
                Err(needs) => Some(needs),
            };
            // Before anything can fail.
            anything |= !lines.is_empty();
            bytes = 0;
            out.lines(std::mem::take(&mut lines)).await?;
            if let Some(needs) = needs {
                self.remote.fetch(needs).await?;
            }
        }
        anything |= !lines.is_empty();
        out.lines(lines).await?;
        Ok(anything)
    }
}
