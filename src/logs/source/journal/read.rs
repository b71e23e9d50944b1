//! A node's log from its journal: which entries, in which order, and what to say where there are none.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Met, Missing, Remote, Within, boot_marker, find, timestamp};
use crate::args::Boot;
use crate::error::{Error, Kind};
use crate::journal::{AnyOf, Entry, Field, Id, Matches, Order, Position, Query, SUPPRESSED, short_precise};
use crate::logs::filter::{Filter, Verdict};
use crate::logs::kubelet::KubeletLines;
use crate::logs::layout::Head;
use crate::logs::line::Line;
use crate::logs::outlet::{Flow, Halt, Outlet};
use crate::logs::pace::Pace;
use crate::logs::source::home::{choose, out_of_reach};
use crate::logs::source::pick::Instance;
use crate::logs::source::text::Wanted;
use crate::logs::source::{Machine, Node, Want};
use crate::logs::unit::{Holds, Home, KUBELET};
use crate::time::Timestamp;

mod absent;
mod follow;
mod previous;

pub use absent::LISTED;

use absent::Unseen;
use follow::AtBoot;

/// What the journal had.
#[derive(Debug)]
pub enum Found {
    /// The log; whether anything of it was wanted.
    Log {
        /// Whether anything was handed on.
        anything: bool,
    },
    /// No entry of any time is of this unit.
    Absent(String),
    /// There is no journal.
    Missing(Missing),
    /// There is one, and none of its files can be read.
    Unreadable(Error),
    /// The node runs this, whose kubelet does not log to the journal.
    Supervised(&'static Home),
}

/// Lines handed on together, and bytes.
const BATCH: usize = 512;
/// The fields of an entry that are printed.
const PRINTED: [&[u8]; 6] = [b"MESSAGE", b"SYSLOG_IDENTIFIER", b"_PID", b"PRIORITY", b"_SYSTEMD_UNIT", b"UNIT"];
/// A kubelet at work is rarely silent for so long.
const QUIET: Duration = Duration::from_secs(3 * 3600);

/// Bytes handed on together, beside what waits already.
fn batch(out: &Outlet) -> usize {
    (out.room() / 4).min(256 << 10)
}

/// Which part of a log is wanted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Part<'a> {
    /// Only what was written in this boot.
    pub boot: Option<&'a Boot>,
    /// Which run of the units.
    pub instance: Instance,
}

/// Reads what is wanted of a node's journal, which may have been found already.
pub async fn read<'a>(
    node: &'a Node<'a>,
    remote: Option<Remote<'a>>,
    (wanted, part): (Wanted<'_>, Part<'_>),
    want: Want,
    filter: &mut Filter,
    out: &mut Outlet,
) -> Flow<Found> {
    let remote = match remote {
        Some(remote) => remote,
        None => match find(node).await? {
            Ok(remote) => remote,
            Err(missing) => return Ok(Found::Missing(missing)),
        },
    };
    read_from(remote, (wanted, part), want, node.follow, filter, out).await
}

/// Reads what is wanted of a journal, and then follows it if at a pace.
pub async fn read_from(
    mut remote: Remote<'_>,
    (wanted, part): (Wanted<'_>, Part<'_>),
    want: Want,
    follow: Option<&Pace>,
    filter: &mut Filter,
    out: &mut Outlet,
) -> Flow<Found> {
    let named = match part.boot {
        // What the kernel said before the last start is asked for by name.
        None if matches!(wanted, Wanted::Kernel) => Some(&Boot::Back(0)),
        boot => boot,
    };
    let boot = match named {
        Some(boot) => match remote.within(boot).await {
            Ok(within) => Some(within),
            Err(Halt::Failed(why)) if why.kind() == Kind::Partial && !remote.is_readable() => {
                return Ok(Found::Unreadable(why));
            }
            Err(halt) => return Err(halt),
        },
        None => None,
    };
    let (entries, others) = match part.instance {
        Instance::Current => (entries(wanted, filter), None),
        Instance::Previous => match remote.of_previous_runs(wanted, boot.map(|boot| boot.id), filter).await? {
            Ok((entries, others)) => (Some(entries), others),
            Err(found) => return Ok(remote.unreadable().map_or(found, Found::Unreadable)),
        },
    };
    let mut reading = Reading::new(&mut remote, boot, want, filter);
    if let Wanted::Units(units) = wanted {
        reading.unseen = Unseen::of(units);
    }
    let mut anything = reading.run(entries, out).await?;
    if let Some(why) = reading.remote.unreadable() {
        reading.conclude(false);
        return Ok(Found::Unreadable(why));
    }
    let newest = reading.newest;
    let found = match (wanted, part.instance) {
        (Wanted::Kubelet, Instance::Current) if !reading.has_identifiers => {
            reading.elsewhere(newest, anything, follow.is_some(), out).await?
        }
        _ => None,
    };
    let (found, absent) = match found {
        Some(found) => (found, None),
        None if part.instance == Instance::Previous => (Found::Log { anything }, others),
        None => reading.look_for_units(wanted, anything, follow.is_some()).await?,
    };
    if let (Some(pace), Found::Log { .. }, None) = (follow, &found, &absent) {
        // The kernel's messages are this boot's only as long as nothing else is said.
        let at_boot = match boot {
            Some(boot) if part.boot.is_some() => AtBoot::End(boot.id),
            _ => AtBoot::GoOn,
        };
        if let Some(why) = reading.follow(pace, at_boot, out).await? {
            reading.conclude(false);
            return Ok(Found::Unreadable(why));
        }
        anything |= out.has_spoken();
    }
    let nothing = !anything && matches!(found, Found::Log { anything: false });
    reading.conclude(nothing && follow.is_none());
    remote.check_whole()?;
    match (found, absent) {
        (_, Some(error)) => Err(error.into()),
        (Found::Log { anything: before }, None) => Ok(Found::Log { anything: anything || before }),
        (found, None) => Ok(found),
    }
}

/// The entries of these units, of the kernel, or of the kubelet; `None` for those of all.
fn entries(wanted: Wanted<'_>, filter: &Filter) -> Option<AnyOf> {
    match wanted {
        Wanted::Kernel => Some(AnyOf::kernel()),
        Wanted::Units(units) => units.iter().map(|unit| AnyOf::unit(unit)).reduce(AnyOf::or),
        // Who asks for an identifier has said whose lines.
        Wanted::Kubelet if !filter.identifiers.is_empty() => None,
        // Under kubeletCgroups the kubelet leaves its unit, and its lines with it.
        Wanted::Kubelet => Some(AnyOf::unit(KUBELET).or(AnyOf::identifier(KUBELET))),
    }
}

/// One pass, or several, over a node's journal.
struct Reading<'r, 'a, 'f> {
    remote: &'r mut Remote<'a>,
    want: Want,
    filter: &'f mut Filter,
    /// The window, which the journal applies by itself: to the time at which journald took an entry.
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    has_identifiers: bool,
    /// The only one that is wanted.
    within: Option<Within>,
    /// The boot of the entry handed on last.
    boot: Option<Id>,
    /// When the newest entry that was met was taken, wanted or not.
    newest: Option<Timestamp>,
    /// Of several units those that no entry was of yet.
    unseen: Unseen,
    /// Entries that journald dropped.
    suppressed: u64,
    /// What is read, and the same of whatever boot.
    matches: Matches,
    of_any_boot: Matches,
    node: Machine<'a>,
}

impl<'r, 'a, 'f> Reading<'r, 'a, 'f> {
    fn new(remote: &'r mut Remote<'a>, within: Option<Within>, want: Want, filter: &'f mut Filter) -> Self {
        let (since, until) = (filter.since.take(), filter.until.take());
        let has_identifiers = !filter.identifiers.is_empty();
        let node = remote.node;
        Reading {
            remote,
            want,
            filter,
            since,
            until,
            has_identifiers,
            within,
            boot: None,
            newest: None,
            unseen: Unseen::default(),
            suppressed: 0,
            matches: Matches::all(),
            of_any_boot: Matches::all(),
            node,
        }
    }

    /// Reads these entries; tells whether anything was handed on.
    async fn run(&mut self, entries: Option<AnyOf>, out: &mut Outlet) -> Flow<bool> {
        let boot = self.within.map(|boot| AnyOf::boot(boot.id));
        let identifiers = self.filter.identifiers.iter().map(|name| AnyOf::identifier(name)).reduce(AnyOf::or);
        self.of_any_boot = entries.into_iter().chain(identifiers).fold(Matches::all(), Matches::and);
        let matches = boot.into_iter().fold(self.of_any_boot.clone(), Matches::and);
        let micros = |at: Option<Timestamp>| at.map(|at| u64::try_from(at.as_micros()).unwrap_or(0));
        self.matches = matches.clone();
        let start = self.remote.start.filter(|(began, _)| self.since == Some(*began));
        let after = start.map(|(_, first)| Position { seqnum: first.seqnum.saturating_sub(1), ..first });
        let query = Query { since: micros(self.since), until: micros(self.until), after, ..Query::new(matches) };
        // Identifiers are the journal's to match; a pod's sandboxes are learned from the lines before.
        let identifiers = std::mem::take(&mut self.filter.identifiers);
        let done = match self.want.last {
            Some(last) => self.last(query, usize::try_from(last).unwrap_or(usize::MAX), out).await,
            None => self.forwards(query, 0..usize::MAX, out).await,
        };
        self.filter.identifiers = identifiers;
        done
    }

    /// Those of these numbers, counted from 0, as they come.
    async fn forwards(&mut self, query: Query, numbers: Range<usize>, out: &mut Outlet) -> Flow<bool> {
        self.remote.ask(query);
        let mut kubelet = self.filter.kubelet.map(KubeletLines::new);
        let anything = self.hand_on(numbers, &mut kubelet, out).await?;
        self.note_supervisor(kubelet);
        Ok(anything)
    }

    /// The same of what was asked for.
    async fn hand_on(
        &mut self,
        numbers: Range<usize>,
        kubelet: &mut Option<KubeletLines>,
        out: &mut Outlet,
    ) -> Flow<bool> {
        let mut lines = Vec::new();
        let (mut anything, mut bytes, mut taken) = (false, 0, 0);
        while taken < numbers.end {
            let needs = match self.remote.try_next()? {
                Ok(Met::Entry(entry)) => {
                    if let Some(line) = self.wanted(entry, kubelet) {
                        taken += 1;
                        if taken <= numbers.start {
                            continue;
                        }
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
            anything |= !lines.is_empty();
            bytes = 0;
            match needs {
                // What is at hand goes out while the rest is on its way.
                Some(needs) if lines.is_empty() || self.remote.journal.is_held() => {
                    out.lines(std::mem::take(&mut lines)).await?;
                    self.remote.fetch(needs).await?;
                }
                Some(needs) => {
                    let needs = self.remote.named(needs);
                    let ready = std::mem::take(&mut lines);
                    let (handed, fetched) = tokio::join!(out.lines(ready), self.remote.place.fetch(needs));
                    self.remote.fetched.extend(fetched);
                    handed?;
                }
                None => self.remote.hand_on(std::mem::take(&mut lines), out).await?,
            }
        }
        anything |= !lines.is_empty();
        out.lines(lines).await?;
        Ok(anything)
    }

    /// The last of them: read from the end, or from the beginning where each can only be judged after those before it.
    async fn last(&mut self, mut query: Query, last: usize, out: &mut Outlet) -> Flow<bool> {
        let after_others = self.filter.pod.is_some() || self.filter.kubelet.is_some();
        let (before, suppressed) = (self.filter.clone(), self.suppressed);
        let mut asked = query.clone();
        if !after_others {
            asked.order = Order::NewestFirst;
            // Who looks into entries takes some of them only.
            (asked.limit, asked.expect) = match self.filter.looks_at_content() {
                true => (None, Some(last.saturating_mul(2))),
                false => (Some(last), None),
            };
        }
        self.remote.ask(asked);
        let mut kubelet = self.filter.kubelet.map(KubeletLines::new);
        let mut kept: VecDeque<Line> = VecDeque::new();
        let (mut taken, mut bytes, mut too_long, mut oldest) = (0_usize, 0, false, None);
        while after_others || taken < last {
            let entry = match self.remote.next().await? {
                Met::Entry(entry) => entry,
                Met::Value(_) => continue,
                Met::End => break,
            };
            let position = entry.position;
            let Some(line) = self.wanted(entry, &mut kubelet) else { continue };
            let line = self.placed(line);
            (taken, bytes, oldest) = (taken + 1, bytes + line.weight(), Some(position));
            if after_others {
                kept.push_back(line)
            } else {
                kept.push_front(line)
            }
            while kept.len() > last || bytes > out.room() {
                too_long |= kept.len() <= last;
                let Some(line) = kept.pop_front() else { break };
                bytes -= line.weight();
            }
        }
        if too_long && kept.len() < last.min(taken) {
            drop(kept);
            self.suppressed = suppressed;
            match oldest {
                Some(oldest) if !after_others => {
                    query.after = Some(Position { seqnum: oldest.seqnum.saturating_sub(1), ..oldest });
                }
                _ => *self.filter = before,
            }
            return self.forwards(query, taken.saturating_sub(last)..taken, out).await;
        }
        let mut lines = Vec::new();
        for line in kept {
            self.mark(&line, &mut lines);
            lines.push(self.lightened(line));
        }
        let anything = !lines.is_empty();
        out.lines(lines).await?;
        self.note_supervisor(kubelet);
        Ok(anything)
    }

    /// An entry as a line, if it is wanted.
    fn wanted(&mut self, entry: Arc<Entry>, kubelet: &mut Option<KubeletLines>) -> Option<Line> {
        let taken = timestamp(entry.position.realtime);
        self.newest = self.newest.max(Some(taken));
        self.unseen.see(&entry);
        if entry.field(b"MESSAGE_ID") == Some(SUPPRESSED.as_bytes()) {
            let dropped = entry.field(b"N_DROPPED").and_then(|n| std::str::from_utf8(n).ok()?.parse().ok());
            self.suppressed = self.suppressed.saturating_add(dropped.unwrap_or(1));
        }
        // Time, host and writer stand before the message. What is too much room would be held as long as the text.
        let mut text = Vec::with_capacity(entry.message().map_or(0, <[u8]>::len).saturating_add(80));
        short_precise(&entry, &mut text);
        let text = Bytes::from(text);
        let head = Head::of(&text);
        let mut line = Line { at: Some(timestamp(entry.shown_time())), entry: Some(entry), ..Line::new(head, text) };
        if kubelet.as_mut().is_some_and(|kubelet| !kubelet.keep(&mut line)) {
            return None;
        }
        // An entry without a message prints nothing; journalctl's -n counts it all the same, and no pattern fits it.
        let bare = line.text.is_empty() && self.filter.looks_at_content();
        (!bare && self.filter.judge(&line) == Verdict::Keep).then_some(line)
    }

    /// With the fields that are printed, and none where only its text is wanted: many are held until the last node has spoken.
    fn lightened(&self, line: Line) -> Line {
        if self.want.fields { self.placed(line) } else { Line { entry: None, ..line } }
    }

    /// The same, but for its place, which tells of its boot.
    fn placed(&self, line: Line) -> Line {
        let printed = |entry: Arc<Entry>| {
            let is_printed = |field: &&Field| self.want.fields && PRINTED.contains(&field.name());
            let fields = entry.fields.iter().filter(is_printed).cloned().collect();
            Arc::new(Entry { position: entry.position, fields })
        };
        Line { entry: line.entry.map(printed), ..line }
    }

    /// Puts journalctl's line between two boots where one ended.
    fn mark(&mut self, line: &Line, lines: &mut Vec<Line>) {
        let boot = line.entry.as_ref().map(|entry| entry.position.boot);
        // An entry without a message prints nothing, and so ends nothing.
        if line.text.is_empty() {
            return;
        }
        if let (Some(before), Some(boot)) = (self.boot, boot)
            && before != boot
        {
            lines.push(Line { at: line.at, ..Line::new(None, boot_marker(boot).into()) });
        }
        self.boot = boot.or(self.boot);
    }

    /// The kubelet, where the unit of its name has nothing or ended long ago: another unit may run it.
    async fn elsewhere(
        &mut self,
        newest: Option<Timestamp>,
        anything: bool,
        followed: bool,
        out: &mut Outlet,
    ) -> Flow<Option<Found>> {
        let now = self.node.clock.now();
        let end = self.until.unwrap_or(now).min(self.within.map_or(now, |boot| boot.last));
        let old = newest.is_none_or(|newest| newest < end.saturating_sub(QUIET));
        if self.want.last == Some(0) || anything && !old {
            return Ok(None);
        }
        // What is followed goes on from what was read.
        let read = followed.then(|| self.remote.put_aside());
        let home = self.remote.home(self.within.map(|boot| boot.id)).await?;
        let newer = |at: Timestamp| newest.is_none_or(|newest| at > newest);
        let Some((home, _)) = home.filter(|(home, at)| home.unit != KUBELET && newer(*at)) else {
            if let Some(read) = read {
                self.remote.fetched.clear();
                self.remote.journal = read;
            }
            return Ok(None);
        };
        if home.holds == Holds::Supervisor {
            return match anything {
                false => Ok(Some(Found::Supervised(home))),
                true => Err(Error::new(Kind::Partial, "what was printed is of a kubelet that runs no more")
                    .because(out_of_reach(self.node, home))
                    .into()),
            };
        }
        if let Some(newest) = newest.filter(|_| anything) {
            let ended = newest.rfc3339();
            self.node.notices.note(format_args!(
                "{}: the log of unit {KUBELET} ended at {ended}; what follows is newer",
                self.node.name
            ));
            self.since = self.since.max(Some(newest.saturating_add(Duration::from_micros(1))));
        }
        choose(self.node, home, &format!("unit {}", home.unit), self.filter);
        let more = self.run(Some(AnyOf::unit(home.unit)), out).await?;
        Ok(Some(Found::Log { anything: anything || more }))
    }

    fn note_supervisor(&mut self, kubelet: Option<KubeletLines>) {
        self.filter.saw_supervisor |= kubelet.is_some_and(|kubelet| kubelet.saw_supervisor());
    }

    /// Gives the filter its window back, and says what the journal itself has lost, or has not reached where nothing was found.
    fn conclude(&mut self, nothing: bool) {
        self.filter.since = self.since;
        self.filter.until = self.until;
        let name = self.node.name;
        if self.suppressed > 0 {
            self.node.notices.warning(format_args!(
                "{name}: journald dropped {} lines of these, more than its limit allows a unit at once (RateLimitBurst in \
                 journald.conf)",
                self.suppressed
            ));
        }
        if let (true, Some(since), Some(ends)) = (nothing, self.since, self.remote.ends())
            && ends < since
        {
            let ends = ends.rfc3339();
            self.node.notices.note(format_args!("{name}: the last entry of its journal is of {ends}"));
        }
        if let (Some(since), Some(begins)) = (self.since, self.remote.journal.begins())
            && timestamp(begins) > since
        {
            let begins = timestamp(begins);
            self.node
                .notices
                .note(format_args!("{name}: its journal begins at {}; what was before is gone", begins.rfc3339()));
        }
    }
}
