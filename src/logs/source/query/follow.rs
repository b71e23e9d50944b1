//! New lines through the query: asked for from the last known entry on, again and again. Each time the kubelet runs
//! journalctl twice, so not often.

use std::time::Duration;

use super::stream::Stream;
use super::{DISORDER, Parameters, Query};
use crate::error::{Error, Kind};
use crate::logs::calendar::{Anchor, Calendar};
use crate::logs::filter::Filter;
use crate::logs::outlet::{Flow, Outlet};
use crate::logs::pace::Pace;
use crate::logs::sieve::Sieve;
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
        out.live();
        while watch.wait().await {
            let looked = self.look(&mut at, began, filter, out).await;
            anything |= matches!(looked, Ok(true));
            watch.heard(looked)?;
        }
        watch.end().map(|()| anything)
    }

    async fn look(
        &mut self,
        at: &mut Option<Timestamp>,
        began: Timestamp,
        filter: &mut Filter,
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
        let mut anything = false;
        while let Some(piece) = stream.next(self).await? {
            if !sieve.push(piece) {
                break;
            }
        }
        sieve.finish();
        let lines = sieve.remainder();
        let last = sieve.end().and_then(|head| Calendar::new(0, Anchor::NotBefore(from)).resolve(&head));
        *at = last.or(*at);
        anything |= !lines.is_empty();
        out.lines(lines).await?;
        match stream.end() {
            End::Words(Words::Failed(words)) => return Err(Error::new(Kind::Failed, words).into()),
            End::Words(Words::Deadline) => return Err(super::cut_short(self.node.server_limit).into()),
            _ => {}
        }
        if let Some(trail) = stream.into_trail() {
            self.trail = trail;
        }
        Ok(anything)
    }
}
