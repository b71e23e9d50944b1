//! New lines through the query: asked for from the last known entry on, again and again. Each time the kubelet runs
//! journalctl twice, so not often.

use std::time::Duration;

use super::stream::Stream;
use super::{DISORDER, Parameters, Query};
use crate::error::{Error, Kind};
use crate::journal::Id;
use crate::kube::node;
use crate::logs::calendar::{Anchor, Calendar};
use crate::logs::filter::Filter;
use crate::logs::outlet::{Flow, Outlet};
use crate::logs::pace::Pace;
use crate::logs::sieve::Sieve;
use crate::logs::source::trail::{Complete, Trail};
use crate::logs::source::watch::Watch;
use crate::logs::split::Continuation;
use crate::logs::verdict::{End, Words};
use crate::time::Timestamp;

/// Between two looks.
const LEAST: Duration = Duration::from_secs(2);

impl Query<'_> {
    /// Hands on what is written after what was read, until the window's end.
    pub async fn follow(&mut self, pace: &Pace, filter: &mut Filter, out: &mut Outlet) -> Flow<bool> {
        let mut watch = Watch::new(self.node.machine(), pace, filter.until).at_least(LEAST);
        let began = self.node.clock.now();
        let mut anything = out.has_spoken();
        // When the last known entry was written.
        let mut at = match (self.trail.last(), self.trail.head()) {
            (Some(last), Some(head)) => {
                let last = last.to_vec();
                self.year_of(&last, &head).await?
            }
            _ => None,
        };
        let booted = self.boot_now().await;
        let mut failing = false;
        out.live();
        while watch.wait().await {
            let looked = self.look(&mut at, began, filter, &mut watch, out).await;
            anything |= matches!(looked, Ok(true));
            let failed = looked.is_err();
            watch.heard(looked)?;
            // A node that was started anew did not answer for a while.
            if std::mem::replace(&mut failing, failed)
                && !failed
                && let Some(ended) = self.boot_ended(booted).await
            {
                watch.say_boot_ended(&ended.to_string());
                break;
            }
        }
        watch.end().map(|()| anything)
    }

    async fn look(
        &mut self,
        at: &mut Option<Timestamp>,
        began: Timestamp,
        filter: &mut Filter,
        watch: &mut Watch<'_>,
        out: &mut Outlet,
    ) -> Flow<bool> {
        let from = at.unwrap_or(began).saturating_sub(DISORDER);
        let parameters = Parameters { since: Some(from), ..Parameters::default() };
        let mut stream = match Stream::open(self, parameters).await? {
            Ok(stream) => stream,
            Err(_) => {
                let words = "the kubelet's query option was switched off while its log was followed";
                return Err(Error::new(Kind::Partial, words).into());
            }
        };
        stream.go_on_after(&self.trail);
        // Lines are dated from the entry before them: the zone and the year are known by then.
        let calendar = Calendar::new(0, Anchor::NotBefore(from));
        let mut sieve = Sieve::new(Continuation::Indented, Some(calendar), filter, None);
        let mut complete = Complete::behind(&self.trail);
        let mut anything = false;
        let ended = loop {
            match stream.next(self).await {
                Ok(Some(piece)) => {
                    let more = sieve.push(piece.clone());
                    complete.note(&piece);
                    let lines = sieve.ready();
                    anything |= !lines.is_empty();
                    out.lines(lines).await?;
                    if !more {
                        break Ok(());
                    }
                }
                Ok(None) => break Ok(()),
                Err(halt) => break Err(halt),
            }
        };
        // An entry that the answer broke in comes with the next look, as a whole; but not one that is gone.
        let is_whole = ended.is_ok() || stream.has_lost_its_place();
        if is_whole {
            sieve.pause()
        } else {
            sieve.break_off()
        }
        let lines = sieve.remainder();
        anything |= !lines.is_empty();
        out.lines(lines).await?;
        let last = sieve.end().and_then(|head| Calendar::new(0, Anchor::NotBefore(from)).resolve(&head));
        *at = last.or(*at);
        match ended {
            Err(_) if stream.has_lost_its_place() => {
                // What is left of the log comes with the next look.
                let last = at.map_or_else(String::new, |at| format!(" of {}", at.rfc3339()));
                watch.lost(format!(
                    "the entry{last} that was read last is not in the log any more; some that followed it may have been \
                     deleted with it"
                ));
                self.trail = Trail::default();
                return Ok(true);
            }
            Err(halt) => {
                self.trail = complete.into_trail();
                return Err(halt);
            }
            Ok(()) => {}
        }
        let end = stream.end();
        if let Some(trail) = stream.into_trail() {
            self.trail = trail;
        }
        match end {
            End::Words(Words::Failed(words)) => Err(Error::new(Kind::Failed, words).into()),
            End::Words(Words::Deadline) => Err(super::cut_short(self.node.server_limit).into()),
            _ => Ok(anything),
        }
    }

    /// The node's boot where only that is followed, as far as the node's object tells it.
    async fn boot_now(&self) -> Option<Id> {
        self.boot?;
        node::get(self.node.client, self.node.name).await.ok()?.status.node_info.boot_id.parse().ok()
    }

    /// The boot that was followed, if the node is in another one now.
    async fn boot_ended(&self, followed: Option<Id>) -> Option<Id> {
        let now = self.boot_now().await?;
        followed.filter(|followed| *followed != now)
    }
}
