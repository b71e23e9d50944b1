//! From bytes to the entries that are wanted: split, dated, filtered, and the last N kept; sans-io.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::logs::calendar::Calendar;
use crate::logs::filter::{Filter, Verdict};
use crate::logs::kubelet::KubeletLines;
use crate::logs::layout::Head;
use crate::logs::line::{Line, Part, begins_table, is_heading};
use crate::logs::split::{Continuation, Splitter};
use crate::time::Timestamp;

/// So many entries without a time wait for the first one that has one.
const MOST_UNTIMED: usize = 1000;
/// Room for no more entries is made before they are there.
const MOST_USUAL: usize = 256;

/// One pass over one stream, oldest entry first.
#[derive(Debug)]
pub struct Sieve<'f> {
    splitter: Splitter,
    calendar: Option<Calendar>,
    filter: &'f mut Filter,
    kubelet: Option<KubeletLines>,
    /// Whether this is a Windows node's table, once its beginning was seen.
    table: Option<bool>,
    /// How the last entry with a time begins, wanted or not.
    end: Option<Head>,
    /// The time that an entry without one inherits.
    last: Option<Timestamp>,
    /// The time of the first entry that carried one.
    first: Option<Timestamp>,
    /// One of journalctl's own lines, waiting for an entry on each side.
    marker: Option<Line>,
    /// Entries before the first time: whether a window can be applied to them shows only there.
    untimed: Vec<Line>,
    kept: Kept,
    read: u64,
    wanted: u64,
    scratch: Vec<Line>,
    /// So many entries were in the last piece.
    usual: usize,
}

#[derive(Debug)]
enum Kept {
    /// All of them go out as they come.
    All(Vec<Line>),
    /// Only the last ones go out, at the end.
    Last {
        most: usize,
        lines: VecDeque<Line>,
        /// How many of `lines` are no entries and don't count.
        others: usize,
        /// What may be held of them yet.
        room: usize,
    },
    /// There were more than may be held: they are only counted.
    Counted,
    /// What follows so many goes out, so many of them.
    Behind { skip: u64, most: u64, begun: bool, lines: Vec<Line> },
}

impl<'f> Sieve<'f> {
    /// Without a calendar no entry gets a time; `last_of` keeps only that many entries.
    pub fn new(
        continuation: Continuation,
        calendar: Option<Calendar>,
        filter: &'f mut Filter,
        last_of: Option<usize>,
    ) -> Self {
        let last = |most| Kept::Last { most, lines: VecDeque::new(), others: 0, room: usize::MAX };
        let kept = last_of.map_or(Kept::All(Vec::new()), last);
        let splitter = Splitter::new(continuation);
        let kubelet = filter.kubelet.map(|among| filter.before.take().unwrap_or_else(|| KubeletLines::new(among)));
        Sieve {
            splitter,
            calendar,
            filter,
            kubelet,
            // Only of the query come journalctl's lines and such tables.
            table: (continuation != Continuation::Indented).then_some(false),
            end: None,
            last: None,
            first: None,
            marker: None,
            untimed: Vec::new(),
            kept,
            read: 0,
            wanted: 0,
            scratch: Vec::new(),
            usual: 0,
        }
    }

    /// Holds no more than so many bytes of the last entries: where there are more, nothing is kept at all.
    pub fn within(mut self, bytes: usize) -> Self {
        if let Kept::Last { room, .. } = &mut self.kept {
            *room = bytes;
        }
        self
    }

    /// Lets through what stands behind so many wanted entries, and at most so many of it: what another pass has counted.
    pub fn behind(self, skip: u64, most: u64) -> Self {
        Sieve { kept: Kept::Behind { skip, most, begun: false, lines: Vec::new() }, ..self }
    }

    /// Whether the last entries were more than may be held, and so were only counted.
    pub fn has_overflowed(&self) -> bool {
        matches!(self.kept, Kept::Counted)
    }

    /// Takes the next piece. `false` means the window's end is past and nothing wanted follows.
    pub fn push(&mut self, piece: Bytes) -> bool {
        let mut entries = std::mem::take(&mut self.scratch);
        // Mostly about as many as in the piece before.
        entries.reserve(self.usual);
        self.splitter.push(piece, &mut entries);
        self.usual = entries.len().min(MOST_USUAL);
        let more = self.sift(&mut entries);
        self.scratch = entries;
        more
    }

    /// A part of the stream has ended: what follows begins on a line of its own.
    pub fn end_line(&mut self) {
        if self.splitter.is_mid_line() {
            self.push(Bytes::from_static(b"\n"));
        }
    }

    /// The stream has ended: the last entry is complete.
    pub fn finish(&mut self) {
        let mut entries = std::mem::take(&mut self.scratch);
        self.splitter.finish(&mut entries);
        self.sift(&mut entries);
    }

    /// The stream pauses: the last entry is complete, unless it ends inside a line.
    pub fn settle(&mut self) {
        if !self.splitter.is_mid_line() {
            self.finish();
        }
    }

    /// The stream has ended for now: what follows it is read by another sieve with this filter.
    pub fn pause(&mut self) {
        self.finish();
        self.break_off();
    }

    /// The stream is read no more: what follows its complete entries is read by another sieve with this filter.
    pub fn break_off(&mut self) {
        self.filter.before = self.kubelet.take();
    }

    /// What can go out now; with `last`, nothing before [`Sieve::finish`] and [`Sieve::remainder`].
    pub fn ready(&mut self) -> Vec<Line> {
        match &mut self.kept {
            Kept::All(lines) | Kept::Behind { lines, .. } => std::mem::take(lines),
            Kept::Last { .. } | Kept::Counted => Vec::new(),
        }
    }

    /// What goes out at the end.
    pub fn remainder(&mut self) -> Vec<Line> {
        match &mut self.kept {
            Kept::All(lines) | Kept::Behind { lines, .. } => std::mem::take(lines),
            Kept::Last { lines, .. } => std::mem::take(lines).into(),
            Kept::Counted => Vec::new(),
        }
    }

    /// How many entries went in; journalctl's own lines and the heading of a table are none.
    pub fn read(&self) -> u64 {
        self.read
    }

    /// How many entries were wanted, before only the last were kept.
    pub fn wanted(&self) -> u64 {
        self.wanted
    }

    /// How the last entry with a time begins, wanted or not.
    pub fn end(&self) -> Option<Head> {
        self.end
    }

    /// Whether the year of some entry was a guess.
    pub fn has_guessed(&self) -> bool {
        self.calendar.as_ref().is_some_and(Calendar::has_guessed)
    }

    /// The time of the last entry that carried one.
    pub fn last(&self) -> Option<Timestamp> {
        self.last
    }

    /// The time of the first entry that carried one.
    pub fn first(&self) -> Option<Timestamp> {
        self.first
    }

    /// By when what was read has certainly begun.
    pub fn begun(&self) -> Option<Timestamp> {
        self.calendar.as_ref().and_then(Calendar::begun)
    }

    /// What is wanted of the entries stays, in place: mostly that is all of them.
    fn sift(&mut self, entries: &mut Vec<Line>) -> bool {
        let mut more = true;
        let (mut kept, mut next) = (0, 0);
        // What waited for the next entry and now goes out before it.
        let mut before = Vec::new();
        while let Some(line) = entries.get_mut(next) {
            if line.is_marker() {
                self.marker = Some(line.clone());
                next += 1;
                continue;
            }
            if *self.table.get_or_insert_with(|| begins_table(&line.text))
                && line.head.is_none()
                && is_heading(&line.text)
            {
                line.part = Part::Heading;
            }
            let counts = u64::from(line.is_entry());
            self.read += counts;
            let is_kubelets = self.kubelet.as_mut().is_none_or(|kubelet| kubelet.keep(line));
            self.end = line.head.or(self.end);
            if let (Some(calendar), Some(head)) = (&mut self.calendar, &line.head) {
                self.last = calendar.resolve(head).or(self.last);
                self.first = self.first.or(self.last);
            }
            line.at = self.last;
            if !is_kubelets {
                next += 1;
                continue;
            }
            if line.at.is_some() || self.untimed.len() >= MOST_UNTIMED {
                self.wanted += self.untimed.len() as u64;
                before.append(&mut self.untimed);
            }
            let mut stays = false;
            match self.filter.judge(line) {
                Verdict::Keep if line.at.is_none() && self.filter.has_window() => self.untimed.push(line.clone()),
                Verdict::Keep => {
                    before.extend(self.marker.take().filter(|_| self.wanted > 0));
                    self.wanted += counts;
                    stays = true;
                }
                Verdict::Drop => {}
                Verdict::Past => more = false,
            }
            if !before.is_empty() {
                let more = before.len();
                entries.splice(kept..next, before.drain(..));
                (kept, next) = (kept + more, kept + more);
            }
            if stays {
                if kept < next {
                    entries.swap(kept, next);
                }
                kept += 1;
            }
            next += 1;
        }
        entries.truncate(kept);
        self.filter.saw_supervisor |= self.kubelet.as_ref().is_some_and(KubeletLines::saw_supervisor);
        match &mut self.kept {
            Kept::All(lines) if lines.is_empty() => std::mem::swap(lines, entries),
            Kept::All(lines) => lines.append(entries),
            _ => entries.drain(..).for_each(|line| self.keep(line)),
        }
        more && !matches!(self.kept, Kept::Behind { most: 0, .. })
    }

    fn keep(&mut self, mut line: Line) {
        let entries = u64::from(line.is_entry());
        match &mut self.kept {
            Kept::All(lines) => lines.push(line),
            Kept::Counted => {}
            Kept::Behind { skip, most, begun, lines } => match entries {
                0 if !*begun || *most == 0 => {}
                1.. if *skip > 0 => *skip -= 1,
                1.. if *most == 0 => {}
                _ => {
                    *begun = true;
                    *most -= entries.min(*most);
                    lines.push(line);
                }
            },
            Kept::Last { most, lines, others, room } => {
                *others += usize::from(entries == 0);
                // A copy: what it came with can go.
                line.text = Bytes::copy_from_slice(&line.text);
                let held = line.weight();
                lines.push_back(line);
                // journalctl prints its own lines only between two entries: never first.
                while lines.len() - *others > *most || lines.front().is_some_and(Line::is_marker) {
                    let Some(line) = lines.pop_front() else { break };
                    *room = room.saturating_add(line.weight());
                    *others -= usize::from(!line.is_entry());
                }
                match room.checked_sub(held) {
                    Some(left) => *room = left,
                    None => self.kept = Kept::Counted,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::calendar::Anchor;
    use crate::logs::filter::Pattern;

    const LOG: &[u8] = b"-- Boot a --
Nov 14 22:13:20.000001 n k[1]: one
Nov 14 22:13:21.000001 n k[1]: two
                               more
-- Boot b --
Nov 14 22:14:20.000001 n k[1]: three
-- Boot c --
Nov 14 22:15:20.000001 n k[1]: four
";

    fn sifted(filter: &mut Filter, last: Option<usize>) -> String {
        let start = Timestamp::parse_rfc3339("2023-11-14T00:00:00Z").unwrap();
        let calendar = Calendar::new(0, Anchor::NotBefore(start));
        let mut sieve = Sieve::new(Continuation::Indented, Some(calendar), filter, last);
        let mut lines = Vec::new();
        for piece in LOG.chunks(11) {
            sieve.push(Bytes::copy_from_slice(piece));
            lines.extend(sieve.ready());
        }
        sieve.finish();
        lines.extend(sieve.remainder());
        lines.iter().map(|line| String::from_utf8_lossy(&line.text).trim_end().to_owned()).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn markers_stand_only_between_two_wanted_entries() {
        let all = sifted(&mut Filter::default(), None);
        assert!(all.starts_with("Nov 14 22:13:20") && all.matches("-- Boot").count() == 2, "{all}");
        let grep = |word| Filter { grep: vec![Pattern::new(word, None).unwrap()], ..Filter::default() };
        assert!(!sifted(&mut grep("four"), None).contains("Boot"));
        let one_four = sifted(&mut grep("one|four"), None);
        assert!(one_four.contains("one|-- Boot c --|Nov 14 22:15:20"), "{one_four}");
    }

    #[test]
    fn the_last_entries_are_counted_without_markers_and_with_their_continuation() {
        for (most, expected) in [
            (1, "Nov 14 22:15:20.000001 n k[1]: four"),
            (2, "Nov 14 22:14:20.000001 n k[1]: three|-- Boot c --|Nov 14 22:15:20.000001 n k[1]: four"),
        ] {
            assert_eq!(sifted(&mut Filter::default(), Some(most)), expected);
        }
        assert!(sifted(&mut Filter::default(), Some(3)).starts_with("Nov 14 22:13:21.000001 n k[1]: two\n      "));
        assert_eq!(sifted(&mut Filter::default(), Some(4)), sifted(&mut Filter::default(), None));
    }

    #[test]
    fn a_window_lets_nothing_through_before_it_saw_a_time() {
        let until = Timestamp::parse_rfc3339("2023-11-15T00:00:00Z");
        for (log, expected) in [
            ("starting\nup\nI1114 22:13:20.000001 1 a.go:1] one\n", 3),
            ("starting\nup\nI1116 22:13:20.000001 1 a.go:1] one\n", 2),
            ("no\ntimes\n", 0),
        ] {
            let calendar =
                Calendar::new(0, Anchor::NotBefore(Timestamp::parse_rfc3339("2023-11-14T00:00:00Z").unwrap()));
            let mut filter = Filter { until, ..Filter::default() };
            let mut sieve = Sieve::new(Continuation::Timeless, Some(calendar), &mut filter, None);
            sieve.push(Bytes::from_static(log.as_bytes()));
            sieve.finish();
            assert_eq!(sieve.remainder().len(), expected, "{log}");
        }
    }

    #[test]
    fn continuation_lines_and_markers_follow_the_window_of_their_entry() {
        let at = |text| Timestamp::parse_rfc3339(text);
        let mut filter =
            Filter { since: at("2023-11-14T22:13:21Z"), until: at("2023-11-14T22:14:20.000001Z"), ..Filter::default() };
        let window = sifted(&mut filter, None);
        assert!(
            window.starts_with("Nov 14 22:13:21") && window.ends_with("three") && window.contains("more|-- Boot b --"),
            "{window}"
        );
    }
}
