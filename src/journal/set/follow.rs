//! A journal that is followed: what is added to its files, which are archived and deleted meanwhile.
//!
//! A file is known by its id, whatever its name: it is read on from the entry it was left at. Of a file that was archived the
//! rest is read before its successor; and the numbers of the entries tell whether anything was deleted between the two.

use super::{FileId, Journal, Notice};
use crate::journal::Id;
use crate::journal::array::Row;
use crate::journal::header::Header;
use crate::journal::matches::Matches;
use crate::journal::member::{Closed, Member, State, head, prefix};
use crate::journal::query::Order;
use crate::journal::reader::Reader;

impl Journal {
    /// Asks for what was written since the entries were asked for, or since this was last called: the matches stay, and
    /// every entry is given once. To be called at [`Step::End`](crate::journal::Step::End), or where a need could not be met:
    /// then reading goes on.
    pub fn poll(&mut self) {
        if !std::mem::replace(&mut self.following, true) {
            self.begin_to_follow();
        }
        self.prune();
        for member in &mut self.files {
            let again = member.live || member.open_ended;
            member.state = match std::mem::replace(&mut member.state, State::Lost) {
                State::Closed(closed) if again => State::Polling(closed),
                State::Absent => State::Unopened,
                other => other,
            };
        }
        self.query.order = Order::OldestFirst;
        (self.query.limit, self.query.expect) = (None, None);
        // What comes behind what was read is known by its file: a clock may have been set back.
        (self.query.before, self.query.after) = (None, None);
        let begun = |since: &u64| {
            self.files.iter().filter_map(|member| member.state.header()).any(|header| header.tail_realtime >= *since)
        };
        self.query.since = self.query.since.filter(|since| !begun(since));
        (self.rounds, self.given, self.inquiry) = (0, 0, None);
        self.abreast = 2;
    }

    /// From now on other entries are wanted. To be called before [`Journal::poll`].
    pub fn want(&mut self, matches: Matches) {
        self.query.matches = matches;
    }

    /// The boot of the last entry that was looked at while following, wanted or not.
    pub fn boot(&self) -> Option<Id> {
        self.boot
    }

    /// Gives no entries until it is told which files there are: one of them may come before what is known.
    pub fn hold(&mut self) {
        self.held = true;
    }

    /// Whether it waits to be told.
    pub fn is_held(&self) -> bool {
        self.held
    }

    /// Tells which files there are now. What has come up since is read where it belongs.
    pub fn update<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        self.held = false;
        self.files.iter_mut().for_each(|member| member.listed = false);
        let mut left_out = 0_usize;
        for name in names {
            if let Some(member) = self.files.iter_mut().find(|member| member.name == name) {
                member.listed = true;
            } else if self.files.len() >= self.limits.files {
                left_out = left_out.saturating_add(1);
            } else {
                let mut member = Member::new(name.to_owned());
                if self.comes_later(&member) {
                    member.state = State::Later;
                }
                self.files.push(member);
            }
        }
        if left_out > 0 && !std::mem::replace(&mut self.told, true) {
            self.notices.push_back(Notice::TooManyFiles { left_out });
        }
    }

    /// This file can't be read: the others are read without it.
    pub fn leave_out(&mut self, file: FileId) {
        if let Some(member) = self.files.get_mut(file.0) {
            member.state = State::Lost;
        }
    }

    /// There is no file of this name (any more): it may have got another, or was deleted.
    pub fn gone(&mut self, file: FileId) {
        let Some(member) = self.files.get_mut(file.0) else { return };
        if member.live && member.header().is_some() {
            // Between the renaming of a full file and the making of its successor.
            return self.rotate(file);
        }
        member.state = match std::mem::replace(&mut member.state, State::Lost) {
            State::Unopened if member.live => State::Absent,
            state if state.header().is_some() => State::Gone(Box::new(state)),
            State::Named | State::Unopened => {
                let span = member.span.as_ref();
                let from = span.map_or((0, 0), |span| (span.head_seqnum, span.head_realtime));
                let to = span.and_then(|span| span.end).map(|(seqnum, realtime)| (seqnum.saturating_sub(1), realtime));
                self.notices.push_back(Notice::Missing { name: member.name.clone(), from, to });
                State::Lost
            }
            other => other,
        };
    }

    /// What was asked for is left where it is: only what was opened for it counts as read.
    fn begin_to_follow(&mut self) {
        for member in &mut self.files {
            member.close();
            member.passed |= matches!(member.state, State::Named);
        }
        // A file that was listed under its new name and opened under its old one is followed where more of it was read.
        for nth in 0..self.files.len() {
            let Some((id, read)) = self.files.get(nth).and_then(read_of) else { continue };
            let better = |(other, member): (usize, &Member)| {
                read_of(member).is_some_and(|(same, more)| same == id && (more, nth) > (read, other) && other != nth)
            };
            if self.files.iter().enumerate().any(better)
                && let Some(member) = self.files.get_mut(nth)
            {
                member.state = if member.live { State::Later } else { State::Lost };
            }
        }
    }

    /// Forgets files that are read to their end and deleted, where there are many.
    fn prune(&mut self) {
        if self.files.len() > self.limits.files / 2 {
            self.files.retain(|member| member.listed || !member.is_over());
        }
    }

    /// Whether a file begins behind one that is not read to its end.
    fn comes_later(&self, member: &Member) -> bool {
        let Some(span) = &member.span else { return false };
        self.files.iter().filter(|other| other.open_ended && prefix(&other.name) == prefix(&member.name)).any(|other| {
            other.state.header().is_some_and(|header| match header.seqnum_id == span.seqnum_id {
                _ if header.entries == 0 => false,
                true => span.head_seqnum >= header.head_seqnum,
                false => span.head_realtime >= header.head_realtime,
            })
        })
    }

    /// Goes on with the rest of what was archived, then with what came after; whether there is any.
    pub(super) fn go_over(&mut self) -> bool {
        let mut any = false;
        for member in self.files.iter_mut().filter(|member| member.open_ended && !member.live) {
            member.state = match std::mem::replace(&mut member.state, State::Lost) {
                State::Closed(closed) => {
                    any = true;
                    State::Polling(closed)
                }
                other => other,
            };
        }
        if any {
            return true;
        }
        // What was listed before its predecessor was found renamed has to wait for that.
        let ready: Vec<bool> = self.files.iter().map(|member| !self.comes_later(member)).collect();
        for (member, ready) in self.files.iter_mut().zip(ready) {
            if ready && matches!(member.state, State::Later) {
                any = true;
                member.state = if member.span.is_some() { State::Named } else { State::Unopened };
            }
        }
        any
    }

    /// Whether the file that was opened is one that is known under another name: then it is read on where that was left.
    pub(super) fn take_over(&mut self, file: FileId, header: &Header, total: u64, bytes: &[u8]) -> bool {
        let id = header.file_id;
        let known = |(nth, member): (usize, &Member)| {
            nth != file.0 && member.state.header().is_some_and(|header| header.file_id == id)
        };
        let Some(nth) = self.files.iter().enumerate().position(known) else { return false };
        let following = self.following;
        let Some(other) = self.files.get_mut(nth) else { return false };
        let state = match std::mem::replace(&mut other.state, State::Lost) {
            State::Gone(state) => *state,
            // It was renamed: the old name is its successor's, and the one it might have got is nobody's.
            state if following && other.open_ended => {
                if other.live {
                    other.state = State::Later;
                    self.rotated.push(id);
                }
                other.open_ended = false;
                state
            }
            state => {
                other.state = state;
                // Whose entries are known by their positions.
                if !following {
                    return false;
                }
                State::Lost
            }
        };
        let Some(member) = self.files.get_mut(file.0) else { return true };
        (member.state, member.open_ended) = (state, true);
        match &mut member.state {
            State::Opened(opened) => opened.provide(0, bytes, total),
            State::Reading(reader) => reader.provide(0, bytes, total),
            State::Surveying(survey) => survey.file.provide(0, bytes, total),
            State::Polling(_) => self.grow(file, total, bytes),
            _ => {}
        }
        true
    }

    /// Says what was deleted before it was read.
    pub(super) fn find_gaps(&mut self) {
        if self.following {
            let rotated = std::mem::take(&mut self.rotated);
            self.rotated = rotated.into_iter().filter(|id| !self.tell_gaps(*id)).collect();
            return;
        }
        for member in &mut self.files {
            if let State::Gone(state) = &member.state
                && let Some(header) = state.header()
                && !std::mem::replace(&mut member.passed, true)
            {
                let (from, to) =
                    ((header.head_seqnum, header.head_realtime), (header.tail_seqnum, header.tail_realtime));
                self.rotated.retain(|id| *id != header.file_id);
                self.notices.push_back(Notice::Missing { name: member.name.clone(), from, to: Some(to) });
            }
        }
    }

    /// Goes along the files from one that was archived to the one that is written to; `false` if there is none yet.
    fn tell_gaps(&mut self, archived: Id) -> bool {
        let of = |member: &Member| member.state.header().is_some_and(|header| header.file_id == archived);
        let Some(mut last) = self.files.iter().find(|member| of(member)) else { return true };
        // The first file of all, as long as nothing was written to it.
        if last.state.header().is_some_and(|header| header.tail_seqnum == 0) {
            return true;
        }
        let mut missing = Vec::new();
        let mut first = true;
        while let Some(header) = last.state.header() {
            let gone = first && last.is_gone();
            let behind = |member: &&Member| {
                let same = prefix(&member.name) == prefix(&last.name);
                same && !of(member)
                    && head(member)
                        .is_some_and(|(row, seqnum, _)| row == header.seqnum_id && seqnum > header.head_seqnum)
            };
            let next = self.files.iter().filter(behind).min_by_key(|member| head(member).map(|(_, seqnum, _)| seqnum));
            let name = || last.name.clone();
            let from = (header.tail_seqnum.saturating_add(1), header.tail_realtime);
            let Some(next) = next else {
                // Its successor may number its entries anew.
                let successor = |member: &&Member| member.live && prefix(&member.name) == prefix(&last.name);
                let other = self.files.iter().filter(successor).find_map(head);
                if first && other.is_none() {
                    return false;
                }
                if let Some((_, _, realtime)) = other.filter(|_| gone) {
                    missing.push(Notice::Missing { name: name(), from, to: Some((0, realtime)) });
                }
                break;
            };
            if let Some((_, seqnum, realtime)) = head(next)
                && seqnum > from.0
                && (gone || !self.is_elsewhere(prefix(&last.name), header.seqnum_id, from.0, seqnum))
            {
                missing.push(Notice::Missing { name: name(), from, to: Some((seqnum.saturating_sub(1), realtime)) });
            }
            if next.live {
                break;
            }
            (last, first) = (next, false);
        }
        self.notices.extend(missing);
        true
    }

    /// Whether entries of these numbers may be in the files of another prefix: all of them count together.
    fn is_elsewhere(&self, own: &str, row: Id, from: u64, to: u64) -> bool {
        self.files.iter().filter(|member| prefix(&member.name) != own).any(|member| {
            let tail = member.state.header().filter(|_| !member.live).map_or(u64::MAX, |header| header.tail_seqnum);
            tail >= from && head(member).is_some_and(|(other, seqnum, _)| other == row && seqnum < to)
        })
    }

    /// Reads a file's header again, and goes on with the entries that came since.
    pub(super) fn grow(&mut self, file: FileId, total: u64, bytes: &[u8]) {
        let Some(member) = self.files.get_mut(file.0) else { return };
        let State::Polling(mut closed) = std::mem::replace(&mut member.state, State::Lost) else { return };
        // Without a header it is a successor that is just being made.
        let Some(header) = Header::parse(bytes).ok().filter(|header| header.file_id == closed.file.header.file_id)
        else {
            member.state = State::Closed(closed);
            return;
        };
        member.open_ended = member.live;
        if header.entries <= closed.entries {
            member.state = State::Closed(closed);
            return;
        }
        closed.file.update(header, total);
        let Closed { file, mut row, entries, last } = *closed;
        match entries {
            // It had no array yet.
            0 => row = Row::of_file(&file),
            _ => row.grow(file.header.entries, file.header.tail_array),
        }
        member.state = State::Reading(Box::new(Reader::resume(file, row, entries, last, &self.query)));
    }

    /// The file got a new name, and another one has its own, which is read when this one was read to its end.
    pub(super) fn rotate(&mut self, file: FileId) {
        let Some(member) = self.files.get_mut(file.0) else { return };
        let Some(header) = member.header() else { return };
        let (id, name) = (header.file_id, header.archived_name(prefix(&member.name)));
        let old = std::mem::replace(&mut member.name, name.clone());
        member.live = false;
        self.rotated.push(id);
        // It may have been listed already.
        for (nth, other) in self.files.iter_mut().enumerate() {
            if nth != file.0
                && other.name == name
                && matches!(other.state, State::Named | State::Unopened | State::Later)
            {
                other.state = State::Lost;
            }
        }
        let successor = FileId(self.files.len());
        if successor.0 >= self.limits.files.saturating_mul(2) {
            if std::mem::replace(&mut self.told, true) {
                return;
            }
            self.notices.push_back(Notice::TooManyFiles { left_out: 1 });
            return;
        }
        self.files.push(Member { state: State::Later, ..Member::new(old) });
        self.notices.push_back(Notice::Rotated { file, name, successor });
    }
}

/// The file's id, and how many of its entries were read.
fn read_of(member: &Member) -> Option<(Id, u64)> {
    match &member.state {
        State::Closed(closed) => Some((closed.file.header.file_id, closed.entries)),
        _ => None,
    }
}
