//! Lines of several lanes put into one order of time; sans-io.
//!
//! A lane's own order is never changed: where its clock steps back (between boots, by NTP), its lines follow one another as
//! the node wrote them, and the merge goes on from the earlier time. Equal times go in the order of the lanes.

use std::cmp::Reverse;
use std::collections::binary_heap::PeekMut;
use std::collections::{BinaryHeap, VecDeque};
use std::hint::black_box;
use std::time::{Duration, Instant};
use std::vec;

use crate::logs::line::Line;
use crate::time::Timestamp;

/// Lines on their way into one order.
///
/// A line goes out once no open lane can still bring an earlier one: every other lane has a line waiting, is closed or known
/// to have passed the line's time, or has been silent for longer than its patience.
#[derive(Debug, Default)]
pub struct Merge {
    lanes: Vec<Lane>,
    /// Those that are open: of many that come, most have gone.
    open: Vec<usize>,
    /// The first waiting line of each lane that has one.
    heads: BinaryHeap<Reverse<Key>>,
    /// Open lanes that have nothing waiting.
    empty: usize,
    /// Lanes that read no further before some of their lines go out.
    pressing: usize,
}

#[derive(Debug)]
struct Lane {
    waiting: VecDeque<Piece>,
    /// How many lines wait in all.
    lines: usize,
    open: bool,
    /// Where among the open ones it stands, as long as it is one.
    place: usize,
    patience: Patience,
    /// What it will bring is not older than this.
    passed: Option<Timestamp>,
    /// Nothing is to be expected of it for now.
    away: bool,
    /// Since when others have waited for it, without a sign of it.
    missed: Option<Instant>,
    presses: bool,
}

/// Lines that came together: never none.
#[derive(Debug)]
struct Piece {
    lines: vec::IntoIter<Line>,
    since: Instant,
}

impl Lane {
    fn first(&self) -> Option<&Line> {
        self.waiting.front()?.lines.as_slice().first()
    }

    /// Looks at what comes next, so that it is at hand when the lane has its turn again: a hundred lanes' lines lie far apart,
    /// and waiting for memory took a third of the time. The text's place was looked at a turn before.
    fn fetch(&self) {
        let Some(piece) = self.waiting.front() else { return };
        let [line, rest @ ..] = piece.lines.as_slice() else { return };
        if let Some(next) = rest.first() {
            black_box((next.at.is_some(), next.head.is_some(), next.text.len(), next.entry.is_some()));
        }
        for part in line.text.chunks(64).take(4) {
            black_box(part.first().is_some_and(|first| *first == 0));
        }
    }
}

/// A line's time and its lane's number as one number: every line is compared with others. Lines without a time come first.
type Key = u128;

fn key(line: &Line, number: usize) -> Key {
    key_at(line.at, number as u64)
}

fn key_at(at: Option<Timestamp>, number: u64) -> Key {
    let at = at.map_or(0, |at| at.as_micros() as u64 ^ 1 << 63);
    Key::from(at) << 64 | Key::from(number)
}

/// How long others wait for a lane that has nothing to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Until it speaks or closes: it has not reached the present yet.
    Endless,
    /// This long, counted from the arrival of what waits; where some lane can't go on before, from when it was missed first.
    Lasts(Duration),
}

/// Whether the earliest line has to wait for silent lanes.
enum Held {
    /// Until one of them speaks, or until this instant.
    Until(Option<Instant>),
    /// It goes out, and what came with it as far as this.
    UpTo(Key),
}

/// What [`Merge::pop`] says.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Lines of this lane were given.
    Run(usize),
    /// Nothing can go out before a lane speaks or closes, or before this instant.
    Wait(Option<Instant>),
    /// All lanes are closed and empty.
    End,
}

impl Merge {
    /// One more lane, by the number it is given: its place among equal times.
    pub fn join(&mut self, patience: Patience) -> usize {
        self.lanes.push(Lane {
            waiting: VecDeque::new(),
            lines: 0,
            open: true,
            place: self.open.len(),
            patience,
            passed: None,
            away: false,
            missed: None,
            presses: false,
        });
        self.empty += 1;
        self.open.push(self.lanes.len() - 1);
        self.lanes.len() - 1
    }

    /// Lines of a lane, in its own order, at hand since `now`.
    pub fn push(&mut self, number: usize, lines: Vec<Line>, now: Instant) {
        let (Some(lane), Some(first)) = (self.lanes.get_mut(number), lines.first()) else { return };
        if lane.waiting.is_empty() {
            self.heads.push(Reverse(key(first, number)));
            self.empty -= usize::from(lane.open);
        }
        lane.lines += lines.len();
        lane.waiting.push_back(Piece { lines: lines.into_iter(), since: now });
        (lane.away, lane.missed) = (false, None);
        self.pressing -= usize::from(std::mem::take(&mut lane.presses));
    }

    /// What this lane will bring is not older than this.
    pub fn pass(&mut self, number: usize, at: Timestamp) {
        if let Some(lane) = self.lanes.get_mut(number) {
            lane.passed = lane.passed.max(Some(at));
            (lane.away, lane.missed) = (false, None);
        }
    }

    /// Nothing is to be expected of this lane before it speaks, or passes a time: nobody waits for it.
    pub fn leave(&mut self, number: usize) {
        if let Some(lane) = self.lanes.get_mut(number) {
            lane.away = true;
        }
    }

    /// This lane brings no more before some of its lines have gone out.
    pub fn press(&mut self, number: usize) {
        if let Some(lane) = self.lanes.get_mut(number).filter(|lane| lane.open) {
            self.pressing += usize::from(!std::mem::replace(&mut lane.presses, true));
        }
    }

    /// Nothing more will come of this lane; what waits still goes out.
    pub fn close(&mut self, number: usize) {
        if let Some(lane) = self.lanes.get_mut(number)
            && std::mem::replace(&mut lane.open, false)
        {
            self.empty -= usize::from(lane.waiting.is_empty());
            self.pressing -= usize::from(std::mem::take(&mut lane.presses));
            let place = lane.place;
            self.open.swap_remove(place);
            if let Some(lane) = self.open.get(place).and_then(|moved| self.lanes.get_mut(*moved)) {
                lane.place = place;
            }
        }
    }

    /// Nothing more is wanted of this lane, and nothing of what waits.
    pub fn discard(&mut self, number: usize) {
        self.close(number);
        if let Some(lane) = self.lanes.get_mut(number) {
            (lane.waiting, lane.lines) = (VecDeque::new(), 0);
            self.heads.retain(|Reverse(head)| *head as usize != number);
        }
    }

    /// How many lines of this lane wait.
    pub fn waiting(&self, number: usize) -> usize {
        self.lanes.get(number).map_or(0, |lane| lane.lines)
    }

    /// Gives the lines that come next as long as they are of one lane, at most `most` of them. The time is asked for only
    /// where it matters.
    pub fn pop(&mut self, now: impl FnOnce() -> Instant, most: usize, mut each: impl FnMut(Line)) -> Next {
        let Some(Reverse(head)) = self.heads.peek() else {
            return if self.empty == 0 { Next::End } else { Next::Wait(None) };
        };
        let number = *head as usize;
        // Where no lane is silent nothing has to wait, and lines need not be looked at before their turn.
        let held = self.empty > 0;
        let mut passed = Key::MAX;
        if held {
            let first = self.lanes.get(number).and_then(|lane| Some((lane.first()?.at, lane.waiting.front()?.since)));
            let Some((at, since)) = first else { return Next::Wait(None) };
            match self.held(at, since, now()) {
                Held::Until(until) => return Next::Wait(until),
                Held::UpTo(up_to) => passed = up_to,
            }
        }
        // Up to the next lane's first line this lane needs no comparing with the rest. A heap's second stands below its first.
        let other = self.heads.as_slice().get(1..self.heads.len().min(3)).and_then(|below| below.iter().max());
        let other = other.map_or(Key::MAX, |Reverse(other)| *other).min(passed);
        let (Some(lane), Some(mut head)) = (self.lanes.get_mut(number), self.heads.peek_mut()) else {
            return Next::Wait(None);
        };
        let mut left = most.max(1);
        while let Some(piece) = lane.waiting.front_mut()
            && let Some(line) = piece.lines.next()
        {
            each(line);
            left -= 1;
            let mut goes_on = left > 0;
            if piece.lines.as_slice().is_empty() {
                lane.waiting.pop_front();
                // While a lane is silent, a line that came later has its own waiting to do.
                goes_on &= !held;
            }
            goes_on &= lane.first().is_none_or(|first| key(first, number) <= other);
            if !goes_on {
                break;
            }
        }
        lane.lines -= most.max(1) - left;
        lane.fetch();
        match lane.first() {
            Some(first) => *head = Reverse(key(first, number)),
            None => {
                PeekMut::pop(head);
                if lane.open {
                    self.empty += 1;
                } else {
                    // Nothing more comes: not even the room for it is needed.
                    lane.waiting = VecDeque::new();
                }
            }
        }
        Next::Run(number)
    }

    /// Whether the earliest line, of `at` and at hand since `since`, has to wait for silent lanes.
    fn held(&mut self, at: Option<Timestamp>, since: Instant, now: Instant) -> Held {
        let (mut latest, mut passed) = (now, Key::MAX);
        for number in &self.open {
            let Some(lane) = self.lanes.get_mut(*number).filter(|lane| lane.waiting.is_empty()) else { continue };
            let Patience::Lasts(patience) = lane.patience else { return Held::Until(None) };
            if lane.away {
                continue;
            }
            if lane.passed.is_some() && at <= lane.passed {
                passed = passed.min(key_at(lane.passed, u64::MAX));
                continue;
            }
            let missed = *lane.missed.get_or_insert(now);
            // Whoever can't go on would bring one share after each wait.
            let from = if self.pressing > 0 { since.min(missed) } else { since };
            latest = latest.max(from + patience);
        }
        if latest > now { Held::Until(Some(latest)) } else { Held::UpTo(passed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::time::Timestamp;
    use bytes::Bytes;

    fn line(at: i64, text: &str) -> Line {
        Line { at: Some(Timestamp::from_micros(at)), ..Line::new(None, Bytes::copy_from_slice(text.as_bytes())) }
    }

    /// All that can go out at `now`, a word a line: lane and text.
    fn popped(merge: &mut Merge, now: Instant) -> (String, Next) {
        let mut words = Vec::new();
        loop {
            let mut run = Vec::new();
            match merge.pop(|| now, usize::MAX, |line| run.push(String::from_utf8(line.text.to_vec()).unwrap())) {
                Next::Run(lane) => words.extend(run.into_iter().map(|text| format!("{lane}{text}"))),
                end => return (words.join(" "), end),
            }
        }
    }

    #[test]
    fn no_line_goes_out_before_every_open_lane_has_spoken() {
        let (mut merge, now) = (Merge::default(), Clock::System.instant());
        let (a, b) = (merge.join(Patience::Endless), merge.join(Patience::Endless));
        merge.push(a, vec![line(1, "x"), line(3, "y")], now);
        assert_eq!(popped(&mut merge, now + Duration::from_secs(99)), (String::new(), Next::Wait(None)));
        merge.push(b, vec![line(2, "z")], now);
        assert_eq!(popped(&mut merge, now), ("0x 1z".into(), Next::Wait(None)));
        merge.close(b);
        assert_eq!(popped(&mut merge, now), ("0y".into(), Next::Wait(None)));
        merge.close(a);
        assert_eq!(popped(&mut merge, now), (String::new(), Next::End));
    }

    #[test]
    fn a_silent_lane_holds_others_no_longer_than_its_patience() {
        let (mut merge, now) = (Merge::default(), Clock::System.instant());
        let patience = Duration::from_secs(1);
        let (a, _silent) = (merge.join(Patience::Lasts(patience)), merge.join(Patience::Lasts(patience)));
        merge.push(a, vec![line(1, "x")], now);
        merge.push(a, vec![line(2, "y")], now + patience / 2);
        assert_eq!(popped(&mut merge, now), (String::new(), Next::Wait(Some(now + patience))));
        let later = Next::Wait(Some(now + patience + patience / 2));
        assert_eq!(popped(&mut merge, now + patience), ("0x".into(), later));
        assert_eq!(popped(&mut merge, now + patience * 2).0, "0y");
    }

    #[test]
    fn a_lane_that_cannot_go_on_waits_once_for_one_that_stays_silent() {
        let (mut merge, now) = (Merge::default(), Clock::System.instant());
        let patience = Duration::from_secs(1);
        let (a, silent) = (merge.join(Patience::Lasts(patience)), merge.join(Patience::Lasts(patience)));
        merge.push(a, vec![line(1, "x")], now);
        merge.press(a);
        assert_eq!(popped(&mut merge, now), (String::new(), Next::Wait(Some(now + patience))));
        assert_eq!(popped(&mut merge, now + patience).0, "0x");
        // What it could not bring before has no waiting to do.
        let later = now + patience * 3;
        merge.push(a, vec![line(2, "y")], later);
        assert_eq!(popped(&mut merge, later).1, Next::Wait(Some(later + patience)));
        merge.press(a);
        assert_eq!(popped(&mut merge, later).0, "0y");
        // A sign of the other, and it is waited for anew.
        merge.pass(silent, Timestamp::from_micros(2));
        merge.push(a, vec![line(3, "z")], later);
        merge.press(a);
        assert_eq!(popped(&mut merge, later).1, Next::Wait(Some(later + patience)));
        // Unless it is known to be away.
        merge.leave(silent);
        assert_eq!(popped(&mut merge, later).0, "0z");
    }

    #[test]
    fn lines_of_times_that_a_silent_lane_has_passed_go_at_once() {
        let (mut merge, now) = (Merge::default(), Clock::System.instant());
        let patience = Duration::from_secs(1);
        let (a, b) = (merge.join(Patience::Lasts(patience)), merge.join(Patience::Lasts(patience)));
        merge.push(a, vec![line(1, "p"), line(5, "q"), line(6, "r"), line(9, "s")], now);
        merge.pass(b, Timestamp::from_micros(5));
        assert_eq!(popped(&mut merge, now), ("0p 0q".into(), Next::Wait(Some(now + patience))));
        // A time that was passed is never taken back.
        merge.pass(b, Timestamp::from_micros(2));
        merge.push(b, vec![line(7, "t")], now);
        assert_eq!(popped(&mut merge, now), ("0r 1t".into(), Next::Wait(Some(now + patience))));
        merge.pass(b, Timestamp::from_micros(9));
        assert_eq!(popped(&mut merge, now).0, "0s");
    }

    #[test]
    fn equal_times_go_by_lane_and_a_step_back_stays_where_it_was_written() {
        let (mut merge, now) = (Merge::default(), Clock::System.instant());
        let (a, b) = (merge.join(Patience::Endless), merge.join(Patience::Endless));
        merge.push(b, vec![line(5, "p"), line(5, "q"), line(7, "r")], now);
        merge.push(a, vec![line(5, "s"), line(9, "t"), line(1, "u"), line(6, "v")], now);
        merge.close(a);
        merge.close(b);
        assert_eq!(popped(&mut merge, now).0, "0s 1p 1q 1r 0t 0u 0v");
    }

    #[test]
    fn a_lane_that_is_discarded_holds_nobody_and_gives_nothing() {
        let (mut merge, now) = (Merge::default(), Clock::System.instant());
        let (a, b, c) = (merge.join(Patience::Endless), merge.join(Patience::Endless), merge.join(Patience::Endless));
        merge.push(a, vec![line(1, "x"), line(4, "y")], now);
        merge.push(b, vec![line(2, "p"), line(3, "q")], now);
        merge.discard(c);
        assert_eq!(popped(&mut merge, now), ("0x 1p 1q".into(), Next::Wait(None)));
        merge.push(b, vec![line(5, "r")], now);
        merge.discard(b);
        assert_eq!(popped(&mut merge, now), ("0y".into(), Next::Wait(None)));
        merge.discard(a);
        assert_eq!(popped(&mut merge, now), (String::new(), Next::End));
    }

    /// Random lanes, pushed in random pieces: all lines come out, each lane in its own order, and in the order of time where
    /// the lanes are in it.
    #[test]
    fn what_goes_in_comes_out_in_order() {
        let mut state = 1u64;
        let mut random = move |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let now = Clock::System.instant();
        for round in 0..500 {
            let lanes = 1 + random(6) as usize;
            let mut inputs: Vec<VecDeque<i64>> = (0..lanes)
                .map(|_| {
                    let mut times: Vec<i64> = (0..random(20)).map(|_| random(30) as i64).collect();
                    times.sort_unstable();
                    times.into()
                })
                .collect();
            let mut expected: Vec<(i64, usize)> =
                inputs.iter().enumerate().flat_map(|(lane, times)| times.iter().map(move |at| (*at, lane))).collect();
            expected.sort_unstable();
            let mut merge = Merge::default();
            for _ in 0..lanes {
                merge.join(Patience::Endless);
            }
            let mut got = Vec::new();
            let mut closed = vec![false; lanes];
            loop {
                let most = 1 + random(4) as usize;
                let mut run = Vec::new();
                match merge.pop(|| now, most, |line| run.push(line.at.unwrap().as_micros())) {
                    Next::Run(lane) => {
                        assert!(run.len() <= most);
                        got.extend(run.into_iter().map(|at| (at, lane)));
                        continue;
                    }
                    Next::End => break,
                    Next::Wait(until) => assert_eq!(until, None),
                }
                let lane = random(lanes as u64) as usize;
                let piece = (1 + random(5) as usize).min(inputs[lane].len());
                let lines: Vec<Line> = inputs[lane].drain(..piece).map(|at| line(at, "")).collect();
                if lines.is_empty() && !std::mem::replace(&mut closed[lane], true) {
                    merge.close(lane);
                }
                merge.push(lane, lines, now);
            }
            assert!(closed.iter().all(|closed| *closed));
            assert_eq!(got, expected, "round {round}");
        }
    }
}
