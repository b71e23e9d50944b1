//! Giving yearless, zoneless log times their year and their instant.
//!
//! Neither journalctl's `short-precise` nor klog nor syslog write a year, and the latter two write the node's local
//! time. A [`Calendar`] knows the node's zone and one fixed point in time, and rolls forward from line to line.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::logs::klog;
use crate::logs::layout::{Head, Layout, Stamp};
use crate::time::{Civil, Timestamp, Zone};

/// How far a later line may lie before an earlier one and still be of the same year: clocks step back, sources delay.
const BACKSTEP: Duration = Duration::from_secs(30 * 86_400);

/// How far off a fixed point may be: zones, and clocks that differ.
const SLACK: Duration = Duration::from_secs(2 * 86_400);

/// How far a later line may lie before an earlier one in the hour that comes twice, and still be of its first time.
const JITTER: Duration = Duration::from_secs(1);

/// How far a whole time may lie from what is known and still tell the year of the lines behind it.
const NEAR: u64 = 366 * 86_400_000_000;

/// The first of June 2014: no node is older than Kubernetes. Go's zero time is, and a clock that was never set.
const OLDEST: i64 = 1_401_580_800_000_000;

/// So many times tell when a stream begins: the first alone may be of a clock that was not set yet.
const FIRST_TIMES: u8 = 16;

/// What is known about the year of the next line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// The line is not older than this, give or take two days: the earliest year that fits.
    NotBefore(Timestamp),
    /// The line is not newer than this, give or take two days: the latest year that fits.
    NotAfter(Timestamp),
}

/// Resolves the times of one stream of lines, oldest first.
#[derive(Clone, Debug)]
pub struct Calendar {
    zone: Zone,
    /// The same of the times that journalctl writes in front of messages.
    prefix: Zone,
    /// What is known of the next line: the caller's fixed point at first, then the line before it.
    anchor: Anchor,
    slack: Duration,
    /// No line is newer than this, give or take two days.
    ceiling: Option<Timestamp>,
    guessed: bool,
    /// A whole time that was not believed yet.
    doubted: Option<Timestamp>,
    /// Month and day of the time that became the anchor, whether journalctl wrote it, and when that day began.
    before: Option<(u8, u8, bool, i64)>,
    /// The latest of the first times that were believed, and how many of them are still to come.
    begun: (Option<Timestamp>, u8),
}

impl Calendar {
    /// `offset` is the node's zone in seconds east of UTC.
    pub fn new(offset: i32, anchor: Anchor) -> Self {
        let begun = (None, FIRST_TIMES);
        Calendar {
            zone: Zone::Fixed(offset),
            prefix: Zone::Utc,
            anchor,
            slack: SLACK,
            ceiling: None,
            guessed: false,
            doubted: None,
            before: None,
            begun,
        }
    }

    /// The same zone and bound for a stream whose first line is placed by this.
    pub fn anchored(self, anchor: Anchor) -> Self {
        Calendar { anchor, slack: SLACK, doubted: None, before: None, begun: (None, FIRST_TIMES), ..self }
    }

    /// For times of clocks that are set to this zone, summer time and all; journalctl's own, too, which it writes in the zone of
    /// where it runs, unless told --utc, as the kubelet does.
    pub fn set_to(self, zone: &Zone) -> Self {
        Calendar { zone: zone.clone(), prefix: zone.clone(), ..self }
    }

    /// With a bound that no line exceeds: now, or when a file was last written. A clock that once was wrong then does not
    /// push all that follows into the next year.
    pub fn not_after(self, ceiling: Timestamp) -> Self {
        Calendar { ceiling: Some(ceiling), ..self }
    }

    /// Whether some year was a guess: a line would have been newer than the bound, or followed a time not to be believed.
    pub fn has_guessed(&self) -> bool {
        self.guessed
    }

    /// By when the stream has certainly begun: what was written before it is older than that.
    pub fn begun(&self) -> Option<Timestamp> {
        self.begun.0
    }

    /// The instant of a line, remembered as the fixed point of the next.
    pub fn resolve(&mut self, head: &Head) -> Option<Timestamp> {
        let at = match head.stamp {
            Stamp::Exact(at) => {
                if !self.believes(at) {
                    self.doubted = Some(at);
                    return Some(at);
                }
                (self.doubted, self.before) = (None, None);
                at
            }
            Stamp::Yearless(civil) => {
                let precise = matches!(head.layout, Layout::Short { precise: true });
                let at = match self.same_day(civil, precise) {
                    Some(at) => at,
                    None => {
                        let at = self.year(civil, precise)?;
                        let midnight = at.as_micros().saturating_sub(of_day(civil)?);
                        let zone = if precise { &self.prefix } else { &self.zone };
                        self.before = is_even(zone, midnight).then_some((civil.month, civil.day, precise, midnight));
                        at
                    }
                };
                self.guessed |= self.doubted.is_some();
                at
            }
        };
        self.anchor = Anchor::NotBefore(at);
        self.slack = BACKSTEP;
        if let (latest, left @ 1..) = self.begun {
            self.begun = (latest.max(Some(at)), left - 1);
        }
        Some(at)
    }

    /// Whether a whole time tells the year of what follows: one that a wrong clock or no clock gave would move it all there.
    fn believes(&self, at: Timestamp) -> bool {
        let near = |point: Timestamp| at.as_micros().abs_diff(point.as_micros()) <= NEAR;
        let fits = match self.anchor {
            Anchor::NotBefore(point) => near(point),
            Anchor::NotAfter(point) => at <= shift_by(point, SLACK, 1),
        };
        // Two that agree are believed, such as in an old file that was copied today.
        at.as_micros() >= OLDEST && (fits || self.ceiling.is_some_and(near) || self.doubted.is_some_and(near))
    }

    /// Most lines are of the day of the line before them: the same year, then, unless that was a guess.
    fn same_day(&self, civil: Civil, precise: bool) -> Option<Timestamp> {
        let (month, day, was_precise, midnight) = self.before?;
        if was_precise != precise || (month, day) != (civil.month, civil.day) || self.guessed {
            return None;
        }
        let at = Timestamp::from_micros(midnight.checked_add(of_day(civil)?)?);
        self.ceiling.is_none_or(|ceiling| at <= ceiling).then_some(at)
    }

    fn year(&mut self, civil: Civil, precise: bool) -> Option<Timestamp> {
        let (zone, anchor) = (if precise { &self.prefix } else { &self.zone }, self.anchor);
        let local = |year| {
            let (first, second) = zone.resolve_both(&Civil { year, ..civil })?;
            // When summer time ends an hour comes twice.
            let is_second = matches!(anchor, Anchor::NotBefore(before) if first < shift_by(before, JITTER, -1));
            Some(if is_second { second } else { first })
        };
        let latest = |point: Timestamp| {
            let ceiling = shift_by(point, SLACK, 1);
            let last = ceiling.civil_utc().year;
            (last - 8..last + 2).rev().filter_map(local).find(|at| *at <= ceiling)
        };
        match self.anchor {
            Anchor::NotBefore(point) => {
                let floor = shift_by(point, self.slack, -1);
                let first = floor.civil_utc().year;
                // 29 February may be eight years away.
                let earliest = (first - 1..first + 9).filter_map(local).find(|at| *at >= floor);
                match (earliest, self.ceiling) {
                    (Some(at), Some(ceiling)) if at > shift_by(ceiling, SLACK, 1) => {
                        self.guessed = true;
                        latest(ceiling)
                    }
                    _ => earliest,
                }
            }
            Anchor::NotAfter(point) => latest(point),
        }
    }
}

/// The node's offset from UTC in seconds, from one journal line whose message carries a klog header: the prefix is
/// UTC, the header is local, and their difference, rounded to a quarter of an hour, is the zone.
pub fn offset_in(line: &[u8], head: &Head) -> Option<i32> {
    let Layout::Short { precise: true } = head.layout else { return None };
    let Stamp::Yearless(utc) = head.stamp else { return None };
    let local = klog::Header::within(line.get(head.message..)?)?.civil;
    // A leap year has every date; around New Year the two differ by a year.
    let seconds = |civil: Civil| Some(Civil { year: 2024, ..civil }.utc()?.as_micros() / 1_000_000);
    let mut difference = seconds(local)? - seconds(utc)?;
    const YEAR: i64 = 366 * 86_400;
    if difference > YEAR / 2 {
        difference -= YEAR;
    } else if difference < -YEAR / 2 {
        difference += YEAR;
    }
    quarter(difference)
}

/// The node's offset from UTC in seconds, from the local time of a file's last line and the instant the file was last
/// written; `None` where they don't agree to a minute and a half, as for a file that was copied or touched.
///
/// So much, because a node's files are rarely copied, while lines without a time may follow the last that has one, and
/// daemons hold lines back.
pub fn offset_of_file(last: Civil, modified: Timestamp) -> Option<i32> {
    offset_within(last, modified, -90..=90)
}

/// The same of a file on this machine, which more often than not is a copy, whose time of change is that of the copying: they
/// agree to what klog holds a line back, and to the second.
pub fn offset_of_local_file(last: Civil, modified: Timestamp) -> Option<i32> {
    offset_within(last, modified, -6..=1)
}

/// The offset by which the last line is so many seconds ahead of the last change.
fn offset_within(last: Civil, modified: Timestamp, ahead: RangeInclusive<i64>) -> Option<i32> {
    let written = modified.as_seconds();
    let year = modified.civil_utc().year;
    (year - 1..=year + 1)
        .filter_map(|year| Some(Civil { year, ..last }.utc()?.as_seconds() - written))
        .find_map(|difference| quarter(difference).filter(|offset| ahead.contains(&(difference - i64::from(*offset)))))
}

/// Rounded to a quarter of an hour, if clocks anywhere are set so: by whole hours, and in a few places by these minutes.
fn quarter(seconds: i64) -> Option<i32> {
    const ODD: [i64; 13] = [-570, -210, -150, 210, 270, 330, 345, 390, 525, 570, 630, 765, 825];
    let minutes = (seconds + 450).div_euclid(900) * 15;
    let in_use = minutes % 60 == 0 && (-12 * 60..=14 * 60).contains(&minutes) || ODD.contains(&minutes);
    in_use.then_some(minutes as i32 * 60)
}

/// µs since midnight, if there is such a time of day.
fn of_day(civil: Civil) -> Option<i64> {
    let sound = civil.hour < 24 && civil.minute < 60 && civil.second < 60 && civil.micros < 1_000_000;
    let seconds = (i64::from(civil.hour) * 60 + i64::from(civil.minute)) * 60 + i64::from(civil.second);
    sound.then(|| seconds * 1_000_000 + i64::from(civil.micros))
}

/// Whether a day that begins then has one offset all through.
fn is_even(zone: &Zone, midnight: i64) -> bool {
    let offset = |at| zone.offset_at(Timestamp::from_micros(at));
    !matches!(zone, Zone::Named(..)) || offset(midnight) == offset(midnight.saturating_add(86_400_000_000))
}

fn shift_by(at: Timestamp, by: Duration, sign: i64) -> Timestamp {
    Timestamp::from_micros(at.as_micros().saturating_add(sign * by.as_micros() as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    fn resolved(calendar: &mut Calendar, line: &str) -> String {
        calendar.resolve(&Head::of(line.as_bytes()).unwrap()).unwrap().rfc3339().to_string()
    }

    #[test]
    fn the_year_turns_with_the_lines() {
        let mut calendar = Calendar::new(0, Anchor::NotBefore(at("2023-12-30T00:00:00Z")));
        assert_eq!(resolved(&mut calendar, "Dec 31 23:59:59.900000 n k[1]: x"), "2023-12-31T23:59:59.900000Z");
        assert_eq!(resolved(&mut calendar, "Jan 01 00:00:00.100000 n k[1]: x"), "2024-01-01T00:00:00.100000Z");
        assert_eq!(resolved(&mut calendar, "Dec 31 23:59:59.990000 n k[1]: late"), "2023-12-31T23:59:59.990000Z");
        assert_eq!(resolved(&mut calendar, "Feb 29 12:00:00.000000 n k[1]: x"), "2024-02-29T12:00:00.000000Z");
        assert_eq!(
            resolved(&mut calendar, "Dec 25 12:00:00.000000 n k[1]: ten months later"),
            "2024-12-25T12:00:00.000000Z"
        );
    }

    #[test]
    fn each_time_has_the_offset_of_its_day_and_an_hour_may_come_twice_or_never() {
        let berlin = Zone::parse("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let oldest = Anchor::NotAfter(at("2026-11-01T00:00:00Z"));
        let mut calendar = Calendar::new(0, oldest).set_to(&berlin);
        for (line, expected) in [
            ("I0329 01:59:59.000000 1 a.go:1] x", "2026-03-29T00:59:59"),
            ("I0329 02:30:00.000000 1 a.go:1] never", "2026-03-29T01:30:00"),
            ("I0329 03:30:00.000000 1 a.go:1] x", "2026-03-29T01:30:00"),
            ("I0330 00:00:00.000000 1 a.go:1] x", "2026-03-29T22:00:00"),
            ("Oct 24 23:59:59 n k[1]: x", "2026-10-24T21:59:59"),
            ("Oct 25 00:30:00 n k[1]: x", "2026-10-24T22:30:00"),
            ("Oct 25 02:10:00 n k[1]: once", "2026-10-25T00:10:00"),
            ("Oct 25 02:50:00 n k[1]: once", "2026-10-25T00:50:00"),
            ("Oct 25 02:49:59 n k[1]: late", "2026-10-25T00:49:59"),
            ("Oct 25 02:10:00 n k[1]: twice", "2026-10-25T01:10:00"),
            ("Oct 25 02:10:00 n k[1]: twice", "2026-10-25T01:10:00"),
            ("Oct 25 02:50:00 n k[1]: twice", "2026-10-25T01:50:00"),
            ("Oct 25 03:00:00.000000 n k[1]: x", "2026-10-25T02:00:00"),
            ("Oct 25 12:00:00 n k[1]: x", "2026-10-25T11:00:00"),
            ("Oct 26 12:00:00 n k[1]: x", "2026-10-26T11:00:00"),
            ("Oct 26 12:00:01 n k[1]: x", "2026-10-26T11:00:01"),
        ] {
            let resolved = resolved(&mut calendar, line);
            assert!(resolved.starts_with(expected), "{line}: {resolved}");
        }
        assert!(!calendar.has_guessed());
    }

    #[test]
    fn a_clock_that_was_wrong_once_does_not_move_what_follows() {
        let mut calendar =
            Calendar::new(0, Anchor::NotBefore(at("2026-11-20T09:00:00Z"))).not_after(at("2026-11-21T00:00:00Z"));
        for (line, expected) in [
            ("Nov 20 10:00:00.000000 n k[1]: x", "2026-11-20T10:00:00.000000Z"),
            ("Aug 20 10:00:00.000000 n k[1]: x", "2026-08-20T10:00:00.000000Z"),
            ("Nov 20 10:00:02.000000 n k[1]: x", "2026-11-20T10:00:02.000000Z"),
        ] {
            assert_eq!(resolved(&mut calendar, line), expected);
        }
        assert!(calendar.has_guessed());
    }

    #[test]
    fn a_whole_time_that_can_not_be_moves_nothing_that_follows() {
        let point = at("2026-11-21T09:00:00Z");
        let klog = |second| (format!("I1121 08:00:{second:02}.000000 1 a.go:1] x"), "2026-11-21T08:00");
        let whole = |time: &'static str| (format!("time=\"{time}\" level=info msg=x"), time.get(..16).unwrap());
        for calendar in [
            Calendar::new(0, Anchor::NotAfter(point)).not_after(point),
            Calendar::new(0, Anchor::NotBefore(at("2026-11-21T07:00:00Z"))),
        ] {
            for odd in ["0001-01-01T00:00:00Z", "1970-01-01T00:00:07Z", "2019-03-01T00:00:00Z", "2099-01-01T00:00:00Z"]
            {
                let mut calendar = calendar.clone();
                for (line, expected) in [
                    klog(0),
                    whole(odd),
                    klog(1),
                    whole("0001-01-01T00:00:00Z"),
                    whole("0001-01-01T00:00:00Z"),
                    klog(2),
                    whole("2026-11-21T08:00:03Z"),
                    klog(4),
                ] {
                    let resolved = resolved(&mut calendar, &line);
                    assert!(resolved.starts_with(expected), "{odd}: {line}: {resolved}");
                }
                assert!(calendar.has_guessed());
            }
        }
        // What stands first may be as old as it likes, and so may what is said twice: a file of two years ago.
        let copied = Calendar::new(0, Anchor::NotAfter(point)).not_after(point);
        for lines in [
            &[whole("2024-11-21T08:00:00Z"), (klog(1).0, "2024-11-21T08:00")][..],
            &[
                klog(0),
                whole("2024-11-21T08:00:00Z"),
                klog(1),
                whole("2024-11-21T08:00:02Z"),
                (klog(3).0, "2024-11-21T08:00"),
            ],
        ] {
            let mut calendar = copied.clone();
            for (line, expected) in lines {
                let resolved = resolved(&mut calendar, line);
                assert!(resolved.starts_with(expected), "{line}: {resolved}");
            }
        }
        let mut calendar = copied;
        resolved(&mut calendar, "time=\"2019-03-01T00:00:00Z\" level=info msg=x");
        assert!(!calendar.has_guessed(), "whole times are no guesses");
    }

    #[test]
    fn one_wrong_clock_does_not_tell_when_a_stream_begins() {
        let point = at("2026-11-21T09:00:00Z");
        for odd in
            ["time=\"0001-01-01T00:00:00Z\" level=info msg=x", "I0101 00:00:07.000000 1 a.go:1] x", "no time at all"]
        {
            let mut calendar = Calendar::new(0, Anchor::NotAfter(point)).not_after(point);
            let mut push = |line: &str| {
                Head::of(line.as_bytes()).and_then(|head| calendar.resolve(&head));
                calendar.begun().map(|at| at.rfc3339().to_string().split_off(5))
            };
            push(odd);
            let begun = Some("11-21T08:00:00.000000Z".to_owned());
            assert_eq!(push("I1121 08:00:00.000000 1 a.go:1] x"), begun, "{odd}");
            assert_eq!(push(odd), begun, "{odd}");
            // The rest is no beginning any more.
            (0..FIRST_TIMES).for_each(|_| drop(push("I1121 08:00:00.000000 1 a.go:1] x")));
            assert_eq!(push("I1121 08:00:01.000000 1 a.go:1] x"), begun, "{odd}");
        }
    }

    #[test]
    fn without_a_start_the_latest_year_that_fits_is_taken() {
        let point = Anchor::NotAfter(at("2026-11-21T00:00:00Z"));
        for (line, expected) in [
            ("Nov 21 23:00:00.000000 n k[1]: tomorrow, by a clock that is fast", "2026-11-21T23:00:00.000000Z"),
            ("Nov 24 00:00:00.000000 n k[1]: x", "2025-11-24T00:00:00.000000Z"),
            ("Feb 29 00:00:00.000000 n k[1]: x", "2024-02-29T00:00:00.000000Z"),
        ] {
            assert_eq!(resolved(&mut Calendar::new(0, point), line), expected);
        }
    }

    #[test]
    fn local_times_are_shifted_and_journal_prefixes_are_not() {
        let anchor = Anchor::NotBefore(at("2026-11-01T00:00:00Z"));
        let zone = 5 * 3600 + 1800;
        assert_eq!(
            resolved(&mut Calendar::new(zone, anchor), "I1121 08:30:00.000000 1 a.go:1] x"),
            "2026-11-21T03:00:00.000000Z"
        );
        assert_eq!(
            resolved(&mut Calendar::new(zone, anchor), "Nov 21 08:30:00 n k[1]: x"),
            "2026-11-21T03:00:00.000000Z"
        );
        assert_eq!(
            resolved(&mut Calendar::new(zone, anchor), "Nov 21 03:00:00.000000 n k[1]: x"),
            "2026-11-21T03:00:00.000000Z"
        );
    }

    #[test]
    fn the_offset_shows_in_a_kubelet_line() {
        for (line, offset) in [
            ("Nov 14 22:13:22.594537 n kubelet[1]: I1114 22:13:23.000001  1 a.go:1] x", Some(0)),
            ("Nov 14 22:13:22.594537 n kubelet[1]: I1114 17:13:21.000001  1 a.go:1] x", Some(-5 * 3600)),
            ("Dec 31 20:00:00.000000 n kubelet[1]: I0101 01:30:00.000001  1 a.go:1] x", Some(5 * 3600 + 1800)),
            ("Jan 01 02:00:00.000000 n kubelet[1]: I1231 21:00:00.000001  1 a.go:1] x", Some(-5 * 3600)),
            ("Nov 14 22:13:22.594537 n kubelet[1]: no klog", None),
            ("Nov 14 22:13:22.594537 n kubelet[1]: I0814 22:13:23.000001  1 a.go:1] stale", None),
        ] {
            assert_eq!(offset_in(line.as_bytes(), &Head::of(line.as_bytes()).unwrap()), offset, "{line}");
        }
    }

    #[test]
    fn the_offset_shows_in_the_last_write_of_a_file() {
        let last = Civil { year: 0, month: 1, day: 1, hour: 1, minute: 30, second: 1, micros: 5 };
        assert_eq!(offset_of_file(last, at("2025-12-31T20:00:01Z")), Some(5 * 3600 + 1800));
        assert_eq!(offset_of_file(last, at("2026-01-01T01:30:31Z")), Some(0));
        assert_eq!(offset_of_file(last, at("2026-01-01T01:37:31Z")), None, "touched seven minutes later");
        assert_eq!(offset_of_file(last, at("2026-03-01T01:30:01Z")), None, "copied months later");
        assert_eq!(offset_of_local_file(last, at("2026-01-01T01:30:05Z")), Some(0), "klog holds lines back");
        assert_eq!(offset_of_local_file(last, at("2026-01-01T01:30:00Z")), Some(0), "without a fraction");
        assert_eq!(offset_of_local_file(last, at("2026-01-01T01:30:09Z")), None, "copied");
    }

    #[test]
    fn a_zone_that_is_nowhere_is_none() {
        let last = Civil { year: 0, month: 11, day: 21, hour: 10, minute: 0, second: 0, micros: 0 };
        let offsets = |of: fn(Civil, Timestamp) -> Option<i32>| {
            let noon = at("2026-11-21T12:00:00Z").as_micros();
            let steps = (-26 * 60..26 * 60).map(|minute| Timestamp::from_micros(noon + minute * 60_000_000));
            let mut found: Vec<i32> = steps.filter_map(|modified| Some(of(last, modified)? / 60)).collect();
            found.dedup();
            found
        };
        let (node, local) = (offsets(offset_of_file), offsets(offset_of_local_file));
        assert_eq!(node, local);
        assert_eq!(node.len(), 27 + 13);
        assert!([-195, -15, 15, 405, -720 - 60, 900].iter().all(|nowhere| !node.contains(nowhere)), "{node:?}");
        assert!([-210, 345, 765, 840, -720].iter().all(|somewhere| node.contains(somewhere)), "{node:?}");
    }

    /// The short way for lines of one day gives what the long way gives.
    #[test]
    fn the_day_before_is_not_looked_for_again() {
        let mut state = 3u64;
        let mut random = |below: i64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as i64 % below
        };
        for round in 0..200 {
            let end = at("2024-12-31T22:00:00Z");
            let offset = [0, 3600, -5 * 3600][round % 3];
            let first = Calendar::new(offset, Anchor::NotBefore(at("2024-12-30T22:00:00Z")));
            let mut short = if round % 2 == 0 { first.not_after(end) } else { first };
            let mut long = short.clone();
            let mut now = end.as_micros();
            for _ in 0..50 {
                let step = [1_000, 60_000_000, 40_000_000_000, 90_000_000_000][random(4) as usize];
                now += random(step) - random(step) / 3;
                let civil = Zone::Fixed(offset).civil(Timestamp::from_micros(now));
                let stamp = Stamp::Yearless(Civil { year: 0, ..civil });
                let head = Head { layout: Layout::Klog, stamp, message: 0, identifier: (0, 0) };
                long.before = None;
                assert_eq!(short.resolve(&head), long.resolve(&head), "{round}: {civil:?}");
            }
        }
    }
}
