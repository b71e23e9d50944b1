//! New entries of a journal: each file is read on from where it was left, whatever its name is by now.

use super::Reading;
use crate::error::Error;
use crate::journal::Id;
use crate::logs::kubelet::KubeletLines;
use crate::logs::outlet::{Flow, Outlet};
use crate::logs::pace::Pace;
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
        self.hand_on(0..usize::MAX, kubelet, out).await
    }
}
