//! Instants, calendar dates, zones and durations, as users and servers write them.

mod civil;
mod duration;
mod when;
mod zone;

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use civil::{Civil, klog_time, syslog_time};
pub use duration::{go_duration, parse_duration, parse_timeout, seconds};
pub use when::{Anchor, Around, Bound, When};
pub use zone::Zone;

/// An instant: microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Timestamp(micros)
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded towards the past.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(MICROS)
    }

    /// This much later; the last representable instant if that lies beyond it.
    pub fn saturating_add(self, by: Duration) -> Self {
        Timestamp(self.0.saturating_add(micros_of(by)))
    }

    /// This much earlier; the first representable instant if that lies beyond it.
    pub fn saturating_sub(self, by: Duration) -> Self {
        Timestamp(self.0.saturating_sub(micros_of(by)))
    }

    /// Reads RFC 3339: `2026-11-21T03:07:12Z`, with up to nine digits of fraction (cut to microseconds), an offset, a
    /// space in place of the `T`, in either case.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let (local, rest) = civil::date_time(text.as_bytes())?;
        let offset = match rest {
            b"Z" | b"z" => 0,
            // ISO 8601's shorter form, which other programs print, is no less clear.
            [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] | [sign @ (b'+' | b'-'), h1, h2, m1, m2] => {
                zone::offset_of(*sign, [*h1, *h2], [*m1, *m2])?
            }
            _ => return None,
        };
        let shifted = local.utc()?.0.checked_sub(i64::from(offset).checked_mul(MICROS)?)?;
        Some(Timestamp(shifted))
    }

    /// The instant in UTC for people and protocols: `2026-11-21T03:07:12.123456Z`, always six digits.
    pub fn rfc3339(self) -> Rfc3339 {
        Rfc3339 { at: self, offset: None }
    }

    /// The instant as clocks in `zone` show it, with the offset: `2026-11-21T04:07:12.123456+01:00`; `Z` for [`Zone::Utc`].
    pub fn rfc3339_in(self, zone: &Zone) -> Rfc3339 {
        match zone {
            Zone::Utc => self.rfc3339(),
            // RFC 3339 has no seconds in an offset; local mean times before 1900 had: both parts are cut alike.
            zone => Rfc3339 { at: self, offset: Some(zone.offset_at(self) / 60) },
        }
    }

    /// Calendar date and time of day in UTC.
    pub fn civil_utc(self) -> Civil {
        Civil::of(self)
    }
}

impl From<SystemTime> for Timestamp {
    fn from(at: SystemTime) -> Self {
        Timestamp(match at.duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros),
        })
    }
}

const MICROS: i64 = 1_000_000;

fn micros_of(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// An instant ready to be written.
#[derive(Clone, Copy, Debug)]
pub struct Rfc3339 {
    at: Timestamp,
    /// Minutes east of UTC; `None` writes `Z`.
    offset: Option<i32>,
}

impl Rfc3339 {
    /// Enough for any instant in any zone.
    pub const MAX_LEN: usize = 40;

    /// Writes into a buffer without allocating, for one prefix a line.
    pub fn encode(self, buffer: &mut [u8; Self::MAX_LEN]) -> &[u8] {
        let shift = i64::from(self.offset.unwrap_or(0)) * 60 * MICROS;
        let c = Timestamp(self.at.0.saturating_add(shift)).civil_utc();
        let mut out = Cursor { buffer, len: 0 };
        let year = c.year.unsigned_abs();
        if (0..=9999).contains(&c.year) {
            out.digits(year, 4);
        } else {
            out.byte(if c.year < 0 { b'-' } else { b'+' });
            out.digits(year, 6);
        }
        for (lead, value) in [(b'-', c.month), (b'-', c.day), (b'T', c.hour), (b':', c.minute), (b':', c.second)] {
            out.byte(lead);
            out.digits(value.into(), 2);
        }
        out.byte(b'.');
        out.digits(c.micros, 6);
        match self.offset {
            None => out.byte(b'Z'),
            Some(minutes) => {
                out.byte(if minutes < 0 { b'-' } else { b'+' });
                out.digits(minutes.unsigned_abs() / 60, 2);
                out.byte(b':');
                out.digits(minutes.unsigned_abs() % 60, 2);
            }
        }
        let Cursor { buffer, len } = out;
        &buffer[..len]
    }
}

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut buffer = [0; Self::MAX_LEN];
        f.write_str(std::str::from_utf8(self.encode(&mut buffer)).unwrap_or_default())
    }
}

/// A write position that drops what does not fit.
struct Cursor<'a> {
    buffer: &'a mut [u8; Rfc3339::MAX_LEN],
    len: usize,
}

impl Cursor<'_> {
    fn byte(&mut self, byte: u8) {
        if let Some(slot) = self.buffer.get_mut(self.len) {
            *slot = byte;
            self.len += 1;
        }
    }

    fn digits(&mut self, value: u32, width: u32) {
        for place in (0..width).rev() {
            self.byte(b'0' + (value / 10_u32.pow(place) % 10) as u8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn rfc3339_is_read_in_all_its_forms() {
        let expected = Timestamp::from_micros(1_795_230_432_123_456);
        for text in [
            "2026-11-21T03:07:12.123456Z",
            "2026-11-21t03:07:12.123456z",
            "2026-11-21 03:07:12.123456Z",
            "2026-11-21T03:07:12.123456789Z",
            "2026-11-21T04:07:12.123456+01:00",
            "2026-11-20T19:07:12.123456-08:00",
            "2026-11-21T08:37:12.123456+05:30",
        ] {
            assert_eq!(at(text), expected, "{text}");
        }
        assert_eq!(at("1970-01-01T00:00:00Z").as_micros(), 0);
        assert_eq!(at("1969-12-31T23:59:59.9Z").as_micros(), -100_000);
        assert_eq!(at("2024-02-29T00:00:00Z").as_micros(), 1_709_164_800_000_000);
    }

    #[test]
    fn what_is_not_rfc3339_is_refused() {
        for text in [
            "",
            "2026",
            "2026-11-21",
            "2026-11-21T03:07:12",
            "2026-11-21T03:07:12.Z",
            "2026-11-21T03:07:12.1234567890Z",
            "2026-11-21T03:07:12+1:00",
            "2026-11-21T03:07:12+24:00",
            "2026-11-21T03:07:12+01:60",
            "2026-11-21T24:00:00Z",
            "2026-11-21T03:60:00Z",
            "2026-11-21T03:07:60Z",
            "2026-00-21T03:07:12Z",
            "2026-13-21T03:07:12Z",
            "2025-02-29T03:07:12Z",
            "2026-11-31T03:07:12Z",
            "2026-11-21T03:07:12Z ",
            "２026-11-21T03:07:12Z",
            "+026-11-21T03:07:12Z",
        ] {
            assert_eq!(Timestamp::parse_rfc3339(text), None, "{text}");
        }
    }

    #[test]
    fn instants_are_written_with_six_digits() {
        assert_eq!(at("2026-11-21T03:07:12Z").rfc3339().to_string(), "2026-11-21T03:07:12.000000Z");
        assert_eq!(at("1969-12-31T23:59:59.999999Z").rfc3339().to_string(), "1969-12-31T23:59:59.999999Z");
        assert_eq!(Timestamp::from_micros(i64::MAX).rfc3339().to_string(), "+294247-01-10T04:00:54.775807Z");
        assert_eq!(Timestamp::from_micros(i64::MIN).rfc3339().to_string(), "-290308-12-21T19:59:05.224192Z");
    }

    #[test]
    fn instants_are_written_as_a_zone_shows_them() {
        let t = at("2026-11-21T03:07:12Z");
        let shown = |zone: &str| t.rfc3339_in(&Zone::parse(zone).unwrap()).to_string();
        assert_eq!(shown("UTC"), "2026-11-21T03:07:12.000000Z");
        assert_eq!(shown("+05:30"), "2026-11-21T08:37:12.000000+05:30");
        assert_eq!(shown("-08"), "2026-11-20T19:07:12.000000-08:00");
        assert_eq!(shown("-00:30"), "2026-11-21T02:37:12.000000-00:30");
        assert_eq!(shown("CET-1CEST,M3.5.0,M10.5.0/3"), "2026-11-21T04:07:12.000000+01:00");
    }

    #[test]
    fn arithmetic_saturates() {
        let last = Timestamp::from_micros(i64::MAX);
        let first = Timestamp::from_micros(i64::MIN);
        assert_eq!(last.saturating_add(Duration::MAX), last);
        assert_eq!(first.saturating_sub(Duration::MAX), first);
        assert_eq!(Timestamp::from_micros(5).saturating_sub(Duration::from_micros(7)).as_micros(), -2);
        assert_eq!(Timestamp::from_micros(-1).as_seconds(), -1);
    }
}
