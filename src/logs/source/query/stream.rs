//! One answer of the query, made whole: asked for again from where it stood, whenever it broke or was cut.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use super::{Asked, DISORDER, MOST_FRUITLESS, NEARLY_A_YEAR, Parameters, Query, cut_short, is_journals};
use crate::error::{Error, Kind};
use crate::http::Body;
use crate::logs::calendar::{Anchor, Calendar};
use crate::logs::layout::Head;
use crate::logs::outlet::Flow;
use crate::logs::source::trail::{Skip, Trail};
use crate::logs::verdict::{End, Judge, Words};
use crate::time::{Timestamp, seconds};

/// One answer, asked for again from where it stood whenever it broke or was cut by the kubelet's time limit.
pub(super) struct Stream {
    parameters: Parameters,
    body: Body,
    judge: Judge,
    skip: Option<Skip>,
    queue: VecDeque<Bytes>,
    trail: Trail,
    started: Instant,
    fruitless: u32,
    /// Whether this answer has brought anything.
    fruit: bool,
    /// When the last entry was written, as far as it had to be known.
    reached: Option<Timestamp>,
    end: Option<End>,
    /// Whether the place it was to go on from is not in the log any more.
    lost: bool,
}

impl Stream {
    pub(super) async fn open(query: &mut Query<'_>, parameters: Parameters) -> Flow<Result<Stream, Bytes>> {
        if parameters.since.is_some() {
            query.offset().await?;
        }
        let started = query.node.clock.instant();
        Ok(match query.ask(&parameters).await? {
            Asked::Listing(listing) => Err(listing),
            Asked::Answer(body) => Ok(Stream {
                parameters,
                body: *body,
                judge: Judge::new(),
                skip: None,
                queue: VecDeque::new(),
                trail: Trail::default(),
                started,
                fruitless: 0,
                fruit: false,
                reached: None,
                end: None,
                lost: false,
            }),
        })
    }

    /// What the answer turned out to be, after [`Stream::next`] gave `None`.
    pub(super) fn end(&mut self) -> End {
        self.end.take().unwrap_or(End::Whole)
    }

    /// Whether it failed because the place it was to go on from is not in the log any more.
    pub(super) fn has_lost_its_place(&self) -> bool {
        self.lost
    }

    /// How the last entry begins that was handed on.
    pub(super) fn head(&self) -> Option<Head> {
        self.trail.head()
    }

    /// Hands on only what stands behind this place, which the answer reaches back to.
    pub(super) fn go_on_after(&mut self, trail: &Trail) {
        self.skip = trail.skip();
        // Where it breaks before it brought anything, it goes on from there, too.
        self.trail = trail.clone();
    }

    /// Where it stands; `None` where it handed on nothing.
    pub(super) fn into_trail(self) -> Option<Trail> {
        self.trail.last().is_some().then_some(self.trail)
    }

    pub(super) async fn next(&mut self, query: &mut Query<'_>) -> Flow<Option<Bytes>> {
        loop {
            if let Some(piece) = self.queue.pop_front() {
                return Ok(Some(piece));
            }
            if self.end.is_some() {
                return Ok(None);
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    for piece in self.judge.push(frame) {
                        self.accept(piece);
                    }
                }
                Some(Err(cut)) => {
                    // What was held back is asked for again.
                    if !cut.ended().resumable() {
                        return Err(Error::new(Kind::Partial, format!("the answer broke: {cut}")).into());
                    }
                    let node = query.node.name;
                    query.node.notices.verbose(4, || format!("{node}: {cut}; asking for the rest"));
                    self.again(query, &format!("the answer broke: {cut}")).await?;
                }
                None => self.ended(query).await?,
            }
        }
    }

    fn accept(&mut self, piece: Bytes) {
        match &mut self.skip {
            None => self.enqueue(piece),
            Some(skip) => skip.push(piece).into_iter().for_each(|piece| self.enqueue(piece)),
        }
    }

    fn enqueue(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.fruit = true;
            self.trail.note(&piece);
            self.queue.push_back(piece);
        }
    }

    /// The body came to a clean end. Is it the log's?
    async fn ended(&mut self, query: &mut Query<'_>) -> Flow<()> {
        let (rest, end) = std::mem::take(&mut self.judge).finish();
        let limit = query.node.server_limit;
        // The kubelet's clock starts before ours hears of it: a second less counts as the limit.
        let lasted = query.node.clock.instant().saturating_duration_since(self.started);
        let at_limit = lasted >= limit.saturating_sub(limit / 30) || end == End::Words(Words::Deadline);
        // journalctl ends every line, a text file may not end its last: of which kind is what came before?
        let of_journal = match (self.trail.last(), self.trail.head()) {
            // Too little to tell: a file comes the same once more.
            (None, _) => at_limit || self.fruitless == 0 || Head::of(&rest).is_some_and(|head| is_journals(&head)),
            (Some(_), head) => head.is_some_and(|head| is_journals(&head)),
        };
        let mid_line = end == End::MidLine && of_journal;
        if !mid_line {
            self.accept(rest);
        }
        if let Some(mut skip) = self.skip.take() {
            skip.finish().into_iter().for_each(|piece| self.enqueue(piece));
            if !skip.found() && !at_limit && !mid_line && !matches!(end, End::Words(_)) {
                self.lost = true;
                let words =
                    "the log changed while it was read, and the place reached in it is gone; lines may be missing";
                return Err(Error::new(Kind::Partial, words).hint("ask again, for a window that begins later").into());
            }
            if skip.found() && skip.passed() == 0 && !at_limit && !mid_line {
                // Asked again, and nothing new: it was all.
                self.end = Some(End::Whole);
                return Ok(());
            }
        }
        // A journalctl that can't look for patterns: then it is done here.
        if let End::Words(Words::Failed(words)) = &end
            && words.contains("pattern matching")
            && !self.fruit
            && self.parameters.pattern.take().is_some()
        {
            return self.again(query, words).await;
        }
        if mid_line || at_limit {
            if !self.fruit && at_limit && self.parameters.pattern.take().is_none() && self.fruitless > 0 {
                return Err(cut_short(limit).into());
            }
            let why = format!("the kubelet ended its answer after {} s", seconds(lasted));
            let node = query.node.name;
            query.node.notices.verbose(4, || format!("{node}: {why}; asking for the rest"));
            return self.again(query, &why).await;
        }
        self.end = Some(end);
        Ok(())
    }

    /// Asks again, from the last entry handed on, or for all of it if there was none.
    async fn again(&mut self, query: &mut Query<'_>, why: &str) -> Flow<()> {
        self.fruitless = if self.fruit { 0 } else { self.fruitless + 1 };
        self.fruit = false;
        if self.fruitless > MOST_FRUITLESS {
            return Err(Error::new(
                Kind::Partial,
                format!("{why}, and asking again brought nothing new; lines are missing"),
            )
            .hint("ask for less with --since or --tail, or read a file with --source file or --path")
            .into());
        }
        let parameters = match (self.trail.skip(), self.trail.head()) {
            (Some(skip), Some(head)) if is_journals(&head) => {
                let last = self.trail.last().unwrap_or_default().to_vec();
                let now = query.node.clock.now();
                let recent = self.parameters.since.filter(|since| *since > now.saturating_sub(NEARLY_A_YEAR));
                let at = match self.reached.or(recent) {
                    Some(point) => Calendar::new(0, Anchor::NotBefore(point)).resolve(&head),
                    None => query.year_of(&last, &head).await?,
                };
                let Some(at) = at else {
                    return Err(Error::new(
                        Kind::Partial,
                        format!("{why}, and its place in the log is gone; lines are missing"),
                    )
                    .into());
                };
                query.offset().await?;
                self.reached = Some(at);
                self.skip = Some(skip);
                let pattern = self.parameters.pattern.clone();
                let since = Some(at.saturating_sub(DISORDER));
                Parameters { since, pattern, boot: self.parameters.boot, tail: None }
            }
            (None, _) if self.trail.last().is_none() => {
                self.skip = None;
                self.parameters.clone()
            }
            _ => {
                return Err(Error::new(Kind::Partial, format!("{why}; what follows can't be asked for by itself"))
                    .hint("if it is a file under /var/log, --path reads it without a time limit")
                    .into());
            }
        };
        self.judge = Judge::new();
        self.started = query.node.clock.instant();
        match Box::pin(query.ask(&parameters)).await? {
            Asked::Answer(body) => self.body = *body,
            Asked::Listing(_) => {
                let words = "the kubelet's query option was switched off while its log was read; lines are missing";
                return Err(Error::new(Kind::Partial, words).into());
            }
        }
        Ok(())
    }
}
