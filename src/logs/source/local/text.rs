//! Text logs on this machine: one after another as one log, in one pass; or the end of one.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

use bytes::Bytes;

use super::stream::Stream;
use crate::error::{Error, Kind, Result};
use crate::logs::calendar::{Anchor, Calendar, offset_of_local_file};
use crate::logs::filter::Filter;
use crate::logs::layout::{Head, Layout, Stamp};
use crate::logs::line::Line;
use crate::logs::outlet::{Flow, Outlet};
use crate::logs::sieve::Sieve;
use crate::logs::source::file::{first_entry, has_time, second_line};
use crate::logs::source::rotated::older;
use crate::logs::source::{Machine, Want, check_time_was_seen};
use crate::logs::split::Continuation;
use crate::time::{Timestamp, Zone};

/// The first part read from a file's end; what is needed mostly lies in it.
const FIRST_END: u64 = 64 << 10;
/// How much more each further part has.
const GROWTH: u64 = 8;
/// The largest part read at once.
const MOST_END: u64 = 8 << 20;
/// In which a first line with a time mostly lies.
const FIRST_LINES: u64 = 8 << 10;

/// So many lines are looked at to tell when a part begins.
const FIRST_HEADS: usize = 100;

/// What comes on a pipe after so long is no part of the entry before it.
const PAUSE: Duration = Duration::from_millis(200);

/// A text log: its rotations, and what it is now.
#[derive(Debug)]
pub(super) struct Text {
    /// For people.
    pub(super) shown: String,
    /// Oldest first; never none.
    pub(super) parts: Vec<Part>,
    /// Whether it may hold lines of several units.
    pub(super) is_shared: bool,
}

/// One file of it, or a stream.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) stream: Stream,
    /// The same file once more, to look at its end, where it is plain text of a known size.
    pub(super) end: Option<File>,
    /// When it was last changed.
    pub(super) modified: Option<Timestamp>,
    /// Why it can't be read, where that is known before.
    pub(super) error: Option<Error>,
}

/// A part that could not be read.
struct Lost {
    error: Error,
    /// How many wanted entries stand before it.
    before: u64,
}

/// What became of the lines.
struct Passed {
    /// Those that did not go out on the way.
    lines: Vec<Line>,
    /// Whether years were guessed.
    guessed: bool,
    /// The time of the last one that had one, wanted or not.
    newest: Option<Timestamp>,
    /// What was needed and could not be read.
    lost: Vec<Lost>,
}

impl Passed {
    fn through(sieve: &mut Sieve<'_>) -> Passed {
        Passed { lines: sieve.remainder(), guessed: sieve.has_guessed(), newest: sieve.last(), lost: Vec::new() }
    }
}

impl Part {
    /// One that is not even to be opened, or is no text.
    pub(super) fn unreadable(error: Error, modified: Option<Timestamp>) -> Part {
        Part { stream: Stream::over(), end: None, modified, error: Some(error) }
    }

    /// The next piece, or why there is none; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>> {
        match self.error.take() {
            Some(error) => Err(error),
            None => self.stream.next().await,
        }
    }

    /// Its first bytes, without taking them: none where it can't be read, which whoever reads it is told.
    async fn beginning(&mut self) -> Bytes {
        if self.error.is_some() {
            return Bytes::new();
        }
        self.stream.beginning(1).await.unwrap_or_else(|error| {
            self.error = Some(error);
            Bytes::new()
        })
    }

    /// By when it has certainly begun.
    async fn begun(&mut self, calendar: &Calendar, now: Timestamp) -> Option<Timestamp> {
        let mut calendar = calendar.clone().anchored(Anchor::NotAfter(self.modified.unwrap_or(now)));
        let beginning = self.beginning().await;
        for head in beginning.split(|byte| *byte == b'\n').take(FIRST_HEADS).filter_map(Head::of) {
            calendar.resolve(&head);
        }
        calendar.begun()
    }
}

impl Text {
    /// Reads all that is wanted and hands it on; tells whether there was anything, and of which time the last line is that was
    /// looked at and has one.
    pub(super) async fn read(
        mut self,
        machine: Machine<'_>,
        zone: Option<&Zone>,
        want: Want,
        filter: &mut Filter,
        out: &mut Outlet,
    ) -> Flow<(bool, Option<Timestamp>)> {
        if want.raw && !want.dated && want.last.is_none() && filter.is_empty() {
            let (anything, lost) = self.pass_on(out).await?;
            self.check_nothing_is_lost(machine, lost)?;
            return Ok((anything, None));
        }
        let calendar = match want.dated || filter.has_window() {
            true => Some(self.calendar(machine, zone).await?),
            false => None,
        };
        let Passed { lines, guessed, newest, lost } = match want.last {
            Some(last) => match self.end(last, calendar.as_ref(), filter, room(out))? {
                Some(ended) => ended,
                None => self.pass(machine, Some(last), calendar, filter, out).await?,
            },
            None => self.pass(machine, None, calendar, filter, out).await?,
        };
        if guessed {
            machine.notices.warning(format_args!(
                "the times in {} go back by months or span more than a year, and name no year: their years are guesses",
                self.shown
            ));
        }
        let anything = out.has_spoken() || !lines.is_empty();
        out.last_lines(lines).await?;
        check_time_was_seen(filter, &self.shown)?;
        self.check_nothing_is_lost(machine, lost)?;
        Ok((anything, newest))
    }

    /// All of it, as it comes, and what could not be read.
    async fn pass_on(&mut self, out: &mut Outlet) -> Flow<(bool, Vec<Lost>)> {
        let mut anything = false;
        let mut lost = Vec::new();
        let newest = self.parts.len() - 1;
        for (number, part) in self.parts.iter_mut().enumerate() {
            if number > 0 {
                out.end_line().await?;
            }
            loop {
                match part.next().await {
                    Ok(Some(piece)) => {
                        anything = true;
                        out.bytes(piece).await?;
                    }
                    Ok(None) => break,
                    Err(error) if number < newest => {
                        lost.push(Lost { error, before: 0 });
                        break;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok((anything, lost))
    }

    /// Fails where a part is missing: each is told.
    fn check_nothing_is_lost(&self, machine: Machine<'_>, mut lost: Vec<Lost>) -> Result<()> {
        let Some(newest) = lost.pop() else { return Ok(()) };
        for Lost { error, .. } in lost {
            machine.notices.warning(format_args!("{}", error.chain()));
        }
        let words =
            format!("not all of {} and what it was before its rotations could be read; lines are missing", self.shown);
        Err(Error::new(Kind::Partial, words).because(newest.error))
    }

    /// All of it, looked at.
    async fn pass(
        &mut self,
        machine: Machine<'_>,
        last: Option<u64>,
        calendar: Option<Calendar>,
        filter: &mut Filter,
        out: &mut Outlet,
    ) -> Flow<Passed> {
        let keep = last.map(|last| usize::try_from(last).unwrap_or(usize::MAX));
        let (since, dates) = (filter.since, calendar.clone());
        let mut lost: Vec<Lost> = Vec::new();
        let newest = self.parts.len() - 1;
        // One for all parts: an entry may go on in the next.
        let mut sieve = Sieve::new(Continuation::Timeless, calendar, filter, keep).within(room(out));
        'parts: for (number, part) in self.parts.iter_mut().enumerate() {
            sieve.end_line();
            if let (false, Some(since), Some(dates)) = (lost.is_empty(), since, &dates)
                && part.begun(dates, machine.clock.now()).await.is_some_and(|begun| begun < since)
            {
                // All before it is older than the window.
                lost.clear();
            }
            loop {
                let piece = match machine.clock.within(Some(PAUSE), part.next()).await {
                    Some(piece) => piece,
                    None => {
                        // Who watches what is written sees the last entry, too.
                        sieve.settle();
                        out.lines(sieve.ready()).await?;
                        part.next().await
                    }
                };
                let piece = match piece {
                    Ok(Some(piece)) => piece,
                    Ok(None) => break,
                    Err(error) if number < newest => {
                        sieve.end_line();
                        sieve.settle();
                        if !older(part.modified, since) {
                            lost.push(Lost { error, before: sieve.wanted() });
                        }
                        break;
                    }
                    Err(error) => return Err(error.into()),
                };
                if !sieve.push(piece) {
                    break 'parts;
                }
                out.lines(sieve.ready()).await?;
            }
        }
        sieve.finish();
        check_room(&sieve, out)?;
        // Where as many as were asked for stand behind it, nobody misses it.
        lost.retain(|lost| last.is_none_or(|last| sieve.wanted() - lost.before < last));
        Ok(Passed { lost, ..Passed::through(&mut sieve) })
    }

    /// The last entries that are wanted, from ever larger parts of its end; `None` where that takes all of it.
    fn end(
        &mut self,
        last: u64,
        calendar: Option<&Calendar>,
        filter: &mut Filter,
        room: usize,
    ) -> Result<Option<Passed>> {
        let [Part { end: Some(file), .. }] = &mut *self.parts else { return Ok(None) };
        let keep = usize::try_from(last).unwrap_or(usize::MAX);
        let mut size = FIRST_END.max(last.saturating_mul(512));
        while size <= MOST_END {
            let (bytes, from) = ending(file, size).map_err(|error| super::unreadable(&self.shown, error))?;
            if from == 0 {
                break;
            }
            let mut begins_with_times =
                || begins_with_times(file).map_err(|error| super::unreadable(&self.shown, error));
            let entry = match first_entry(&bytes) {
                Some(entry) => entry,
                // Where the last entry begins shows only from the beginning on.
                None if begins_with_times()? => break,
                None => second_line(&bytes),
            };
            filter.past = 0;
            let mut sieve = Sieve::new(Continuation::Timeless, calendar.cloned(), filter, Some(keep)).within(room);
            sieve.push(bytes.slice(entry..));
            sieve.finish();
            if sieve.wanted() >= last && !sieve.has_overflowed() {
                return Ok(Some(Passed::through(&mut sieve)));
            }
            size = size.max(bytes.len() as u64).saturating_mul(GROWTH);
        }
        filter.past = 0;
        Ok(None)
    }

    /// The zone and the years of its times: as said; else from the last line of a file beside the time of its last change, as
    /// far as they agree; else UTC.
    async fn calendar(&mut self, machine: Machine<'_>, said: Option<&Zone>) -> Result<Calendar> {
        let now = machine.clock.now();
        let bound = self.parts.last().and_then(|part| part.modified).unwrap_or(now);
        let oldest = Anchor::NotAfter(self.parts.first().and_then(|part| part.modified).unwrap_or(now));
        if let Some(zone) = said {
            return Ok(Calendar::new(0, oldest).set_to(zone).not_after(bound));
        }
        let mut offset = 0;
        for part in self.parts.iter_mut().rev() {
            let (lines, changed) = match &mut part.end {
                Some(file) => {
                    let (lines, _) = ending(file, FIRST_END).map_err(|error| super::unreadable(&self.shown, error))?;
                    (lines, part.modified)
                }
                None => (part.beginning().await, None),
            };
            let mut heads = lines.split(|byte| *byte == b'\n').rev().filter_map(Head::of);
            let Some(head) = heads.next() else { continue };
            if let (Stamp::Yearless(civil), false) = (head.stamp, head.layout == (Layout::Short { precise: true })) {
                let told = changed.and_then(|changed| offset_of_local_file(civil, changed));
                offset = told.unwrap_or(0);
                if told != Some(0) {
                    let (shown, zone) = (&self.shown, if offset == 0 { Zone::Utc } else { Zone::Fixed(offset) });
                    let why = if offset == 0 { "" } else { ", going by when it was last changed" };
                    machine.notices.note(format_args!(
                        "times in {shown} that name no zone are taken as {zone}{why}; --timezone tells of another"
                    ));
                }
            }
            break;
        }
        Ok(Calendar::new(offset, oldest).not_after(bound))
    }
}

/// What may be held of the last entries: here is more room than where many nodes are read, and a pipe can't be read twice.
fn room(out: &Outlet) -> usize {
    out.room().saturating_mul(16)
}

fn check_room(sieve: &Sieve<'_>, out: &Outlet) -> Result<()> {
    if !sieve.has_overflowed() {
        return Ok(());
    }
    let words = format!("the last entries are more than the {} MB that may be held of them", room(out) >> 20);
    Err(Error::new(Kind::Failed, words).hint("ask for fewer with --tail, or for a time with --since"))
}

/// The last `size` bytes of a file, and where they begin in it; more, if none of their lines has a time but the file's first
/// lines do.
fn ending(file: &mut File, mut size: u64) -> std::io::Result<(Bytes, u64)> {
    loop {
        let from = file.seek(SeekFrom::End(0))?.saturating_sub(size);
        let bytes = read_at(file, from, size)?;
        if from == 0 || size >= MOST_END || has_time(&bytes) || !begins_with_times(file)? {
            return Ok((bytes, from));
        }
        size = size.saturating_mul(GROWTH);
    }
}

fn begins_with_times(file: &mut File) -> std::io::Result<bool> {
    Ok(has_time(&read_at(file, 0, FIRST_LINES)?))
}

fn read_at(file: &mut File, from: u64, most: u64) -> std::io::Result<Bytes> {
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes.into())
}
