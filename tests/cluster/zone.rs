//! Calendar arithmetic, HTTP dates and node-local time: a node's klog headers are in its own zone while the journal's
//! prefix is UTC.

use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tz::TimeZone;

/// The year of the fixture journals, whose lines carry none.
pub(crate) const YEAR: i64 = 2023;

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A calendar date and time of day, without zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    pub(crate) month: i64,
    pub(crate) day: i64,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) second: i64,
}

impl Civil {
    /// The date `seconds` after 1970-01-01 00:00:00 on the same clock.
    pub(crate) fn from_seconds(seconds: i64) -> Civil {
        let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        // Years run from March here, so that the leap day is the last of its year.
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        Civil {
            year: era * 400 + year_of_era + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * from_march + 2) / 5 + 1,
            hour: rest / 3_600,
            minute: rest / 60 % 60,
            second: rest % 60,
        }
    }

    /// Seconds since 1970-01-01 00:00:00 on the same clock.
    pub(crate) fn seconds(&self) -> i64 {
        let year = if self.month <= 2 { self.year - 1 } else { self.year };
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let from_march = (self.month + 9) % 12;
        let day_of_year = (153 * from_march + 2) / 5 + self.day - 1;
        let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
        days * 86_400 + self.hour * 3_600 + self.minute * 60 + self.second
    }

    /// `2023-1-4 3:7:9`, as a kubelet hands a time to journalctl.
    pub(crate) fn unpadded(&self) -> String {
        format!("{}-{}-{} {}:{}:{}", self.year, self.month, self.day, self.hour, self.minute, self.second)
    }
}

/// A node's clock setting.
#[derive(Clone, Debug)]
pub(crate) struct Zone {
    /// The POSIX description, which is also the `TZ` of the node's journalctl.
    pub(crate) name: String,
    rules: TimeZone,
}

impl Zone {
    /// Reads a POSIX zone such as `UTC0` or `EST5EDT,M3.2.0,M11.1.0`, which needs no zone files.
    pub(crate) fn new(name: &str) -> Zone {
        let rules = TimeZone::from_posix_tz(name).unwrap_or_else(|e| panic!("zone {name}: {e}"));
        Zone { name: name.to_owned(), rules }
    }

    /// Seconds to add to UTC at that UTC instant.
    pub(crate) fn offset(&self, utc: i64) -> i64 {
        self.rules.find_local_time_type(utc).map_or(0, |kind| i64::from(kind.ut_offset()))
    }

    /// The UTC instant at which the node's clock shows `civil`.
    pub(crate) fn instant(&self, civil: &Civil) -> i64 {
        let naive = civil.seconds();
        let guess = naive - self.offset(naive);
        naive - self.offset(guess)
    }

    /// A line with its klog header, if it has one at its start or after its journal prefix, moved from UTC to this zone.
    pub(crate) fn localize(&self, line: &[u8]) -> Option<Vec<u8>> {
        let at = find_klog(line)?;
        let mut moved = line.to_vec();
        let number = |range: std::ops::Range<usize>| -> i64 {
            line[range].iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'))
        };
        let utc = Civil {
            year: YEAR,
            month: number(at + 1..at + 3),
            day: number(at + 3..at + 5),
            hour: number(at + 6..at + 8),
            minute: number(at + 9..at + 11),
            second: number(at + 12..at + 14),
        }
        .seconds();
        let local = Civil::from_seconds(utc + self.offset(utc));
        let text =
            format!("{:02}{:02} {:02}:{:02}:{:02}", local.month, local.day, local.hour, local.minute, local.second);
        moved[at + 1..at + 14].copy_from_slice(text.as_bytes());
        Some(moved)
    }

    /// Whether local time is UTC all year.
    pub(crate) fn is_utc(&self) -> bool {
        [0, 15_552_000].iter().all(|&seconds| {
            self.offset(Civil { year: YEAR, month: 1, day: 1, hour: 0, minute: 0, second: 0 }.seconds() + seconds) == 0
        })
    }
}

/// `Jan` to `Dec`.
pub(crate) fn month(number: i64) -> &'static str {
    MONTHS[number as usize - 1]
}

/// Where a klog header (`I1114 22:13:20.602157 `) begins: at the line's start or after the first `: ` that one follows.
fn find_klog(line: &[u8]) -> Option<usize> {
    const SHAPE: &[u8] = b"I0000 00:00:00.000000 ";
    let fits = |at: usize| {
        line.get(at..at + SHAPE.len()).is_some_and(|text| {
            text.iter().zip(SHAPE).all(|(byte, shape)| match shape {
                b'I' => b"IWEF".contains(byte),
                b'0' => byte.is_ascii_digit(),
                other => byte == other,
            })
        })
    };
    if fits(0) {
        return Some(0);
    }
    line.windows(2).take(300).enumerate().filter(|(_, pair)| *pair == b": ").map(|(at, _)| at + 2).find(|&at| fits(at))
}

/// `Wed, 18 Nov 2026 02:42:59 GMT`.
pub(crate) fn http_date(seconds: i64) -> String {
    let civil = Civil::from_seconds(seconds);
    let mut text = String::new();
    let _ = write!(
        text,
        "{}, {:02} {} {} {:02}:{:02}:{:02} GMT",
        DAYS[seconds.div_euclid(86_400).rem_euclid(7) as usize],
        civil.day,
        MONTHS[civil.month as usize - 1],
        civil.year,
        civil.hour,
        civil.minute,
        civil.second
    );
    text
}

/// The instant of an HTTP date; only the one form servers write.
pub(crate) fn parse_http_date(text: &str) -> Option<i64> {
    let (day, rest) = text.split_once(", ")?;
    let fields: Vec<&str> = rest.split([' ', ':']).collect();
    let [day_of_month, month, year, hour, minute, second, "GMT"] = fields[..] else { return None };
    let seconds = Civil {
        year: year.parse().ok()?,
        month: MONTHS.iter().position(|name| *name == month)? as i64 + 1,
        day: day_of_month.parse().ok()?,
        hour: hour.parse().ok()?,
        minute: minute.parse().ok()?,
        second: second.parse().ok()?,
    }
    .seconds();
    DAYS.contains(&day).then_some(seconds)
}

/// Seconds since 1970, for a file's modification time.
pub(crate) fn unix_seconds(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

/// The reverse of [`unix_seconds`], for microseconds.
pub(crate) fn from_micros(micros: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(micros.unsigned_abs())
}

/// Sets when a file was last changed.
pub(crate) fn touch(path: &Path, at: SystemTime) -> io::Result<()> {
    File::options().append(true).open(path)?.set_modified(at)
}

/// Microseconds since 1970 of `Nov 14 22:13:20.262058` at the start of a short-precise line, in [`YEAR`].
pub(crate) fn short_precise(line: &str) -> Option<i64> {
    let month = MONTHS.iter().position(|name| line.get(..3) == Some(name))? as i64 + 1;
    let number = |range: std::ops::Range<usize>| line.get(range)?.trim_start().parse::<i64>().ok();
    let civil = Civil {
        year: YEAR,
        month,
        day: number(4..6)?,
        hour: number(7..9)?,
        minute: number(10..12)?,
        second: number(13..15)?,
    };
    Some(civil.seconds() * 1_000_000 + number(16..22)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_seconds_are_inverse() {
        for seconds in [-1, 0, 951_782_399, 951_782_400, 1_700_000_000, 1_709_210_096, 4_102_444_800] {
            assert_eq!(Civil::from_seconds(seconds).seconds(), seconds);
        }
        assert_eq!(http_date(1_794_970_979), "Wed, 18 Nov 2026 03:02:59 GMT");
        assert_eq!(parse_http_date("Wed, 18 Nov 2026 03:02:59 GMT"), Some(1_794_970_979));
        assert_eq!(parse_http_date("\"abc\""), None);
        assert_eq!(Civil::from_seconds(1_672_801_629).unpadded(), "2023-1-4 3:7:9");
    }

    #[test]
    fn klog_headers_move_and_the_prefix_stays() {
        let line = b"Nov 14 22:13:20.262058 node-7 kubelet[1203]: E1114 22:13:20.262058  1203 x.go:1] \"a\"\n";
        let india = Zone::new("IST-5:30").localize(line).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&india),
            "Nov 14 22:13:20.262058 node-7 kubelet[1203]: E1115 03:43:20.262058  1203 x.go:1] \"a\"\n"
        );
        let new_york = Zone::new("EST5EDT,M3.2.0,M11.1.0");
        assert_eq!(
            new_york.localize(b"I0704 12:00:00.000000 1 y.go:1] b").unwrap(),
            b"I0704 08:00:00.000000 1 y.go:1] b"
        );
        assert_eq!(new_york.localize(b"Nov 14 22:13:20.262058 node-7 systemd[1]: Started.\n"), None);
        assert_eq!(
            new_york.instant(&Civil { year: 2023, month: 11, day: 14, hour: 17, minute: 13, second: 20 }),
            1_700_000_000
        );
    }
}
