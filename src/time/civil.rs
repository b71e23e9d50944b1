//! Dates and times of day as clocks show them, and the headers of log lines that carry them. Nothing here allocates.

use std::time::Duration;

use super::{MICROS, Timestamp, Zone};

/// A date of the Gregorian calendar and a time of day, in no zone yet.
///
/// Log headers name no year: theirs is 0 until [`Civil::latest`] finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Civil {
    /// Proleptic Gregorian, 0 = 1 BC.
    pub year: i32,
    /// 1–12.
    pub month: u8,
    /// 1–31.
    pub day: u8,
    /// 0–23.
    pub hour: u8,
    /// 0–59.
    pub minute: u8,
    /// 0–59.
    pub second: u8,
    /// 0–999999.
    pub micros: u32,
}

impl Civil {
    /// Read as UTC; `None` if there is no such date or time of day.
    pub fn utc(self) -> Option<Timestamp> {
        if !self.is_sound() {
            return None;
        }
        let of_day = i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second);
        let seconds = days_from_civil(self.year, self.month, self.day) * 86_400 + of_day;
        let micros = i128::from(seconds) * i128::from(MICROS) + i128::from(self.micros);
        i64::try_from(micros).ok().map(Timestamp::from_micros)
    }

    /// Whether there is such a date and time of day.
    fn is_sound(&self) -> bool {
        // Days up to the 28th, which most are, every month has.
        let has_day = self.day >= 1 && (self.day <= 28 || self.day <= days_in_month(self.year, self.month));
        let has_date = (1..=12).contains(&self.month) && has_day;
        has_date && self.hour < 24 && self.minute < 60 && self.second < 60 && self.micros < 1_000_000
    }

    /// The calendar's view of an instant, in UTC.
    pub(super) fn of(at: Timestamp) -> Civil {
        let seconds = at.as_seconds();
        let of_day = seconds.rem_euclid(86_400);
        let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
        Civil {
            year,
            month,
            day,
            hour: (of_day / 3600) as u8,
            minute: (of_day / 60 % 60) as u8,
            second: (of_day % 60) as u8,
            micros: at.as_micros().rem_euclid(MICROS) as u32,
        }
    }

    /// Midnight of the day `days` after (or before) this one.
    pub(super) fn midnight(self, days: i64) -> Civil {
        let (year, month, day) = civil_from_days(days_from_civil(self.year, self.month, self.day) + days);
        Civil { year, month, day, hour: 0, minute: 0, second: 0, micros: 0 }
    }

    /// The instant a line without a year means, read at `now`: in the latest year in which it is at most a day ahead of
    /// `now` (clocks differ). `None` if there is no such date, or it is a 29 February with no leap year near.
    pub fn latest(self, now: Timestamp, zone: &Zone) -> Option<Timestamp> {
        let limit = now.saturating_add(Duration::from_secs(86_400));
        let this_year = limit.civil_utc().year;
        // One ahead, as a zone east of UTC may be in the next year already; nine back reaches a 29 February over 1900.
        (this_year - 9..=this_year + 1)
            .rev()
            .filter_map(|year| zone.resolve(&Civil { year, ..self }))
            .find(|&at| at <= limit)
    }
}

/// The time in a klog header, `I1121 03:07:12.123456`, without its year, and how many bytes of `line` it takes.
pub fn klog_time(line: &[u8]) -> Option<(Civil, usize)> {
    let (severity, rest) = line.split_first()?;
    if !matches!(severity, b'I' | b'W' | b'E' | b'F') {
        return None;
    }
    let (month, rest) = two(rest)?;
    let (day, rest) = two(rest)?;
    let (time, rest) = time_of_day(rest.strip_prefix(b" ")?)?;
    dated(Civil { year: 0, month, day, ..time }).map(|civil| (civil, line.len() - rest.len()))
}

/// The time at the start of a syslog line, `Nov 21 03:07:12` with or without a fraction, without its year, and how many
/// bytes of `line` it takes.
pub fn syslog_time(line: &[u8]) -> Option<(Civil, usize)> {
    const MONTHS: &[u8; 36] = b"janfebmaraprmayjunjulaugsepoctnovdec";
    let (name, rest) = line.split_at_checked(3)?;
    let month = MONTHS.chunks_exact(3).position(|month| month.eq_ignore_ascii_case(name))?;
    let rest = rest.strip_prefix(b" ")?;
    let (day, rest) = match rest {
        [b' ', ones @ b'0'..=b'9', rest @ ..] => (ones - b'0', rest),
        [ones @ b'0'..=b'9', b' ', ..] => (ones - b'0', rest.get(1..)?),
        _ => two(rest)?,
    };
    let (time, rest) = time_of_day(rest.strip_prefix(b" ")?)?;
    dated(Civil { year: 0, month: month as u8 + 1, day, ..time }).map(|civil| (civil, line.len() - rest.len()))
}

/// `YYYY-MM-DD`, then `T` or a space, then `HH:MM:SS[.fraction]`; what follows is handed back. Not yet checked against
/// the calendar.
pub(super) fn date_time(text: &[u8]) -> Option<(Civil, &[u8])> {
    let (day, rest) = date(text)?;
    let (b'T' | b't' | b' ', rest) = rest.split_first()? else { return None };
    let (time, rest) = time_of_day(rest)?;
    Some((Civil { year: day.year, month: day.month, day: day.day, ..time }, rest))
}

/// `YYYY-MM-DD`, at midnight.
pub(super) fn date(text: &[u8]) -> Option<(Civil, &[u8])> {
    let (century, rest) = two(text)?;
    let (year, rest) = two(rest)?;
    let (month, rest) = two(rest.strip_prefix(b"-")?)?;
    let (day, rest) = two(rest.strip_prefix(b"-")?)?;
    let year = i32::from(century) * 100 + i32::from(year);
    Some((Civil { year, month, day, hour: 0, minute: 0, second: 0, micros: 0 }, rest))
}

/// `HH:MM`.
pub(super) fn hour_minute(text: &[u8]) -> Option<(u8, u8, &[u8])> {
    let (hour, rest) = two(text)?;
    let (minute, rest) = two(rest.strip_prefix(b":")?)?;
    Some((hour, minute, rest))
}

/// `HH:MM:SS` and up to nine digits of fraction, cut to microseconds. Most of a log's lines go this way: it is kept flat.
fn time_of_day(text: &[u8]) -> Option<(Civil, &[u8])> {
    let [h, hh, b':', m, mm, b':', s, ss, rest @ ..] = text else { return None };
    let (hour, minute, second) = (pair(*h, *hh)?, pair(*m, *mm)?, pair(*s, *ss)?);
    let time = Civil { year: 0, month: 0, day: 0, hour, minute, second, micros: 0 };
    let [b'.', rest @ ..] = rest else { return Some((time, rest)) };
    let (mut rest, mut micros, mut place) = (rest, 0, 1_000_000);
    let mut length = 0;
    while let [digit @ b'0'..=b'9', after @ ..] = rest {
        place /= 10;
        micros += u32::from(digit - b'0') * place;
        length += 1;
        rest = after;
    }
    (1..=9).contains(&length).then_some((Civil { micros, ..time }, rest))
}

fn two(text: &[u8]) -> Option<(u8, &[u8])> {
    let [tens, ones, rest @ ..] = text else { return None };
    Some((pair(*tens, *ones)?, rest))
}

#[inline(always)]
fn pair(tens: u8, ones: u8) -> Option<u8> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    if tens < 10 && ones < 10 { Some(tens * 10 + ones) } else { None }
}

/// A date that some year has (0 is a leap year).
fn dated(civil: Civil) -> Option<Civil> {
    civil.is_sound().then_some(civil)
}

fn days_in_month(year: i32, month: u8) -> u8 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01. Years are counted from March in eras of 400, so that a leap day ends its year.
fn days_from_civil(year: i32, month: u8, day: u8) -> i64 {
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let month = (i64::from(month) + 9) % 12;
    let of_year = (153 * month + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil_from_days(days: i64) -> (i32, u8, u8) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = (of_year - (153 * month + 2) / 5 + 1) as u8;
    let month = if month < 10 { month + 3 } else { month - 9 } as u8;
    ((era * 400 + year + i64::from(month <= 2)) as i32, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_is_its_own_inverse_and_steps_day_by_day() {
        let mut expected = (1895, 12, 31);
        for days in -27_028_i64..70_000 {
            let (year, month, day) = civil_from_days(days);
            let next = if expected.2 < days_in_month(expected.0, expected.1) {
                (expected.0, expected.1, expected.2 + 1)
            } else if expected.1 < 12 {
                (expected.0, expected.1 + 1, 1)
            } else {
                (expected.0 + 1, 1, 1)
            };
            assert_eq!((year, month, day), next, "day {days}");
            assert_eq!(days_from_civil(year, month, day), days);
            expected = next;
        }
        for micros in [i64::MIN, -1, 0, 1, i64::MAX] {
            let at = Timestamp::from_micros(micros);
            assert_eq!(at.civil_utc().utc(), Some(at));
        }
    }

    #[test]
    fn headers_of_log_lines_are_read_from_their_bytes() {
        let (time, len) = klog_time(b"I1121 03:07:12.123456   1234 kubelet.go:1] \"x\"").unwrap();
        assert_eq!((time.month, time.day, time.hour, time.minute, time.second), (11, 21, 3, 7, 12));
        assert_eq!((time.micros, len), (123_456, 21));
        let (time, len) = syslog_time(b"Nov  1 03:07:12 node kubelet[1]: x").unwrap();
        assert_eq!((time.month, time.day, time.micros, len), (11, 1, 0, 15));
        assert_eq!(syslog_time(b"nov 1 03:07:12.5").unwrap().0.micros, 500_000);
        assert_eq!(syslog_time(b"Feb 29 23:59:59.000001").unwrap().0.day, 29);
        for bad in [
            &b""[..],
            b"I",
            b"X1121 03:07:12.123456",
            b"I1321 03:07:12.123456",
            b"I0230 03:07:12.123456",
            b"I1121 24:07:12.123456",
            b"I1121 03:07:12.",
            b"I1121\t03:07:12",
            b"Nov 21",
            b"Nov 32 03:07:12",
            b"Nov 00 03:07:12",
            b"Abc 21 03:07:12",
            b"Nov 21 03:07:12.0123456789",
            b"\xff\xff\xff 21 03:07:12",
        ] {
            assert_eq!(klog_time(bad), None, "{bad:?}");
            assert_eq!(syslog_time(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_line_without_a_year_is_at_most_a_day_ahead() {
        let now = Timestamp::parse_rfc3339("2027-01-01T00:30:00Z").unwrap();
        let year_of = |line: &[u8]| {
            let (time, _) = syslog_time(line).unwrap();
            time.latest(now, &Zone::Utc).map(|at| at.civil_utc().year)
        };
        assert_eq!(year_of(b"Dec 31 23:59:59"), Some(2026));
        assert_eq!(year_of(b"Jan  1 00:29:59"), Some(2027));
        assert_eq!(year_of(b"Jan  2 00:30:00"), Some(2027));
        assert_eq!(year_of(b"Jan  2 00:30:01"), Some(2026));
        assert_eq!(year_of(b"Feb 29 00:00:00"), Some(2024));
        let kiritimati = Zone::parse("+14:00").unwrap();
        let eve = Timestamp::parse_rfc3339("2026-12-31T11:00:00Z").unwrap();
        let (time, _) = syslog_time(b"Jan  1 01:00:00").unwrap();
        assert_eq!(time.latest(eve, &kiritimati), Some(eve));
    }
}
