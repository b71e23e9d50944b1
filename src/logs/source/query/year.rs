//! The year and the zone of the log's lines, which tell neither: looked for in the journal and in the kubelet's lines.

use std::time::Duration;

use bytes::Bytes;

use super::ask::{Asked, Parameters};
use super::{ANY_ZONE, DISORDER, MOST_FRUITLESS, NEARLY_A_YEAR, Query, SUMMER_TIME, Texts};
use crate::error::{Error, Kind};
use crate::http::Ended;
use crate::logs::calendar::{Anchor, Calendar, offset_in};
use crate::logs::filter::Filter;
use crate::logs::layout::{Head, Layout};
use crate::logs::outlet::Flow;
use crate::logs::sieve::Sieve;
use crate::logs::source::trail::Trail;
use crate::logs::split::Continuation;
use crate::logs::unit;
use crate::logs::verdict::{End, Judge};
use crate::time::Timestamp;

/// How many years back an entry's year is looked for.
const OLDEST_YEARS: i32 = 10;
/// A kubelet that answers has written more than so many lines within a year.
const FEW_A_YEAR: u64 = 1000;
const DAY: Duration = Duration::from_secs(86_400);

impl Query<'_> {
    /// What settles the years and zones of an answer that begins with `piece`.
    pub(super) async fn calendar(&mut self, parameters: &Parameters, piece: &Bytes) -> Flow<Calendar> {
        let now = self.node.clock.now();
        let Some((entry, head)) = first_entry(piece) else {
            return Ok(Calendar::new(0, Anchor::NotAfter(now)));
        };
        if self.offset.is_none()
            && let Some(shown) = offset_in(entry, &head)
        {
            self.offset = Some(Some(shown));
        }
        // journalctl writes UTC; text files served under a unit's name have the node's local time.
        let offset = match head.layout {
            Layout::Short { precise: true } => 0,
            _ => self.offset().await?.unwrap_or(0),
        };
        if let Some(since) = parameters.since
            && since > now.saturating_sub(NEARLY_A_YEAR)
        {
            return Ok(Calendar::new(offset, Anchor::NotBefore(since)).not_after(now));
        }
        let latest = Calendar::new(offset, Anchor::NotAfter(now)).not_after(now);
        if self.are_latest(parameters, piece, latest.clone()) {
            return Ok(latest);
        }
        Ok(match self.year_of(entry, &head).await? {
            Some(at) => Calendar::new(offset, Anchor::NotBefore(at)).not_after(now),
            None => latest,
        })
    }

    /// Whether these are the last few lines of the kubelet that answers, all of today or yesterday as they stand: it would have
    /// to have fallen silent a year ago, to the day, for that to be another year's. So a fleet's tails take one request a node
    /// and not two.
    fn are_latest(&self, parameters: &Parameters, piece: &[u8], mut latest: Calendar) -> bool {
        let is_kubelets = self.units.iter().any(|unit| unit::home(unit).is_some());
        let is_tail = parameters.tail.is_some_and(|tail| tail <= FEW_A_YEAR);
        let is_this_boot = parameters.boot.or(self.boot).is_none_or(|back| back == 0);
        let a_day_ago = self.node.clock.now().saturating_sub(DAY);
        let mut times = piece.split(|b| *b == b'\n').filter_map(Head::of).map(|head| latest.resolve(&head));
        is_kubelets && is_tail && is_this_boot && times.all(|at| at.is_some_and(|at| at > a_day_ago))
    }

    /// When an entry of the journal was written, year and all: the log from shortly before that time on must hold it.
    pub(super) async fn year_of(&mut self, entry: &[u8], head: &Head) -> Flow<Option<Timestamp>> {
        let now = self.node.clock.now();
        let mut not_after = now;
        for _ in 0..OLDEST_YEARS {
            let Some(at) = Calendar::new(0, Anchor::NotAfter(not_after)).resolve(head) else { return Ok(None) };
            if self.has_entry_at(entry, at).await? {
                return Ok(Some(at));
            }
            not_after = at.saturating_sub(Duration::from_secs(300 * 86_400));
        }
        Ok(None)
    }

    /// Whether the journal holds this entry at this time.
    async fn has_entry_at(&mut self, entry: &[u8], at: Timestamp) -> Flow<bool> {
        // Without the node's zone half a day of log would come first.
        self.offset().await?;
        let mut breaks = 0;
        loop {
            match self.look_for(entry, at).await? {
                Ok(found) => return Ok(found),
                Err(_) if breaks < MOST_FRUITLESS => breaks += 1,
                Err(why) => {
                    let words = format!("the year of the log's lines could not be told: {why}");
                    return Err(Error::new(Kind::Partial, words).hint("give --since, at most a year ago").into());
                }
            }
        }
    }

    /// One look; the inner error says why it told nothing: only an entry behind the place, or the log's certain end,
    /// shows that the entry is not there.
    async fn look_for(&self, entry: &[u8], at: Timestamp) -> Flow<Result<bool, String>> {
        let started = self.node.clock.instant();
        let parameters = Parameters { since: Some(at.saturating_sub(DISORDER)), ..Parameters::default() };
        let Asked::Answer(mut body) = self.ask(&parameters).await? else { return Ok(Ok(false)) };
        let (mut judge, mut filter) = (Judge::new(), Filter::default());
        let mut sieve =
            Sieve::new(Continuation::Indented, Some(Calendar::new(0, Anchor::NotBefore(at))), &mut filter, None);
        // Of a very long line no more than a beginning may have come.
        let entry = entry.split_inclusive(|b| *b == b'\n').next().unwrap_or_default();
        let limit = at.saturating_add(DISORDER).saturating_add(SUMMER_TIME);
        let mut ended = None;
        while ended.is_none() {
            match body.frame().await {
                Some(Ok(frame)) => judge.push(frame).into_iter().for_each(|piece| {
                    sieve.push(piece);
                }),
                Some(Err(cut)) => return Ok(Err(cut.to_string())),
                None => {
                    let lasted = self.node.clock.instant().saturating_duration_since(started);
                    let (rest, end) = std::mem::take(&mut judge).finish();
                    let certain = match end {
                        End::Whole => lasted < self.node.server_limit - self.node.server_limit / 30,
                        // Without a word it is an answer that was cut off.
                        End::Empty => body.given() > 0,
                        End::MidLine | End::Words(_) => false,
                    };
                    sieve.push(rest);
                    sieve.finish();
                    ended = Some(certain);
                }
            }
            for line in sieve.ready() {
                if line.text.starts_with(entry) {
                    return Ok(Ok(true));
                }
                if line.at.is_some_and(|at| at > limit) {
                    return Ok(Ok(false));
                }
            }
        }
        Ok(if ended == Some(true) { Ok(false) } else { Err("the answer was cut short".to_owned()) })
    }

    /// The node's offset from UTC in seconds as its kubelet's latest lines show it; `None` if none shows it.
    pub(super) async fn offset(&mut self) -> Flow<Option<i32>> {
        if let Some(known) = self.offset {
            return Ok(known);
        }
        let home = self.units.iter().find(|name| unit::home(name).is_some());
        let probed = [home.map_or(unit::KUBELET, String::as_str).to_owned()];
        let probe = Query {
            node: self.node,
            units: &probed,
            offset: Some(None),
            newest: None,
            texts: Texts::Read,
            boot: None,
            trail: Trail::default(),
            span: None,
        };
        let parameters = Parameters { tail: Some(50), ..Parameters::default() };
        let mut offset = None;
        let mut breaks = 0;
        while let Asked::Answer(body) = probe.ask(&parameters).await? {
            match body.collect(4 << 20).await {
                Ok(text) => {
                    offset = text.split(|b| *b == b'\n').rev().find_map(|line| offset_in(line, &Head::of(line)?));
                    if *self.units == probed {
                        self.note(text.split(|b| *b == b'\n').rev().find_map(Head::of));
                    }
                    break;
                }
                Err(cut) if cut.ended().resumable() && breaks < MOST_FRUITLESS => breaks += 1,
                // Very long entries: then it goes without the zone.
                Err(cut) if cut.ended() == Ended::TooLong => break,
                Err(cut) => return Err(Error::new(Kind::Unreachable, cut.to_string()).into()),
            }
        }
        let node = self.node.name;
        self.node.notices.verbose(4, || match offset {
            Some(offset) => format!("{node}: the node's clock is {offset} s east of UTC"),
            None => format!("{node}: the node's zone shows nowhere; reading {} h more", ANY_ZONE.as_secs() / 3600),
        });
        self.offset = Some(offset);
        Ok(offset)
    }
}

/// The first entry of a piece that carries a time.
fn first_entry(piece: &[u8]) -> Option<(&[u8], Head)> {
    let mut from = 0;
    while let Some(rest) = piece.get(from..)
        && !rest.is_empty()
    {
        let length = memchr::memchr(b'\n', rest).map_or(rest.len(), |n| n + 1);
        let line = rest.get(..length).unwrap_or_default();
        if let Some(head) = Head::of(line) {
            return Some((line, head));
        }
        from += length;
    }
    None
}
