//! Lengths of time: people's, and Go's as kubectl takes and prints them.

use std::time::Duration;

use crate::error::{Error, Result};

/// Longer than any window makes sense; keeps arithmetic far from its limits.
const MAX: Duration = Duration::from_secs(1000 * 366 * 86_400);

/// Longer than any sensible text for one.
const MAX_TEXT: usize = 64;

/// Nanoseconds of each unit people use.
const UNITS: &[(&str, u64)] = &[
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", SECOND),
    ("m", 60 * SECOND),
    ("h", 3600 * SECOND),
    ("d", 86_400 * SECOND),
    ("w", 7 * 86_400 * SECOND),
];

/// The words `journalctl` takes beside them.
const WORDS: &[(&str, u64)] = &[
    ("sec", SECOND),
    ("second", SECOND),
    ("min", 60 * SECOND),
    ("minute", 60 * SECOND),
    ("hour", 3600 * SECOND),
    ("day", 86_400 * SECOND),
    ("week", 7 * 86_400 * SECOND),
];

/// Nanoseconds of each unit Go knows.
const GO_UNITS: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", SECOND),
    ("m", 60 * SECOND),
    ("h", 3600 * SECOND),
];

const SECOND: u64 = 1_000_000_000;

/// Reads a person's length of time: `5s`, `2m`, `3h`, `2d`, `1w`, `250ms`, `1h30m`, `1.5h`, `5 min`. A number alone says no unit
/// and is refused.
pub fn parse_duration(text: &str) -> Result<Duration> {
    let unit = |name: &str| {
        let singular = if name.len() > 3 { name.strip_suffix('s').unwrap_or(name) } else { name };
        let known = |units: &[(&str, u64)], name: &str| units.iter().find(|(n, _)| *n == name).map(|(_, nanos)| *nanos);
        known(UNITS, name).or_else(|| known(WORDS, name)).or_else(|| known(WORDS, singular))
    };
    sum(text, unit).ok_or_else(|| {
        let error = Error::usage(format!("not a length of time: {}", shown(text)));
        if !text.is_empty() && text.len() < 20 && text.bytes().all(|b| b.is_ascii_digit()) {
            error.hint(format!("say the unit: {text}s, {text}m, {text}h or {text}d"))
        } else {
            error.hint("lengths of time are written 30s, 5m, 2h, 1h30m, 3d or 1w")
        }
    })
}

/// Reads a time-out as kubectl's `--request-timeout`: seconds as a plain integer, or Go's `1m30s`, `500ms`. Zero means none.
pub fn parse_timeout(text: &str) -> Result<Duration> {
    let seconds = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    let parsed = match seconds {
        Some(seconds) => Some(Duration::from_secs(seconds)).filter(|duration| *duration <= MAX),
        None => sum(text, |name| GO_UNITS.iter().find(|(n, _)| *n == name).map(|(_, nanos)| *nanos)),
    };
    parsed.ok_or_else(|| {
        Error::usage(format!("not a time-out: {}", shown(text)))
            .hint("time-outs are whole seconds, or written 500ms, 30s, 1m30s, 2h; 0 means none")
    })
}

/// Writes a duration as Go prints it: `1.234s`, `1m30s`, `2h0m0s`, `1.5ms`, `0s`.
pub fn go_duration(duration: Duration) -> String {
    let nanos = u64::from(duration.subsec_nanos());
    let seconds = duration.as_secs();
    let decimal = |whole: u64, fraction: u64, width: usize, unit: &str| {
        let fraction = format!("{fraction:0width$}");
        match fraction.trim_end_matches('0') {
            "" => format!("{whole}{unit}"),
            digits => format!("{whole}.{digits}{unit}"),
        }
    };
    match (seconds, nanos) {
        (0, 0) => "0s".to_owned(),
        (0, ..1_000) => format!("{nanos}ns"),
        (0, ..1_000_000) => decimal(nanos / 1_000, nanos % 1_000, 3, "µs"),
        (0, _) => decimal(nanos / 1_000_000, nanos % 1_000_000, 6, "ms"),
        _ => {
            let last = decimal(seconds % 60, nanos, 9, "s");
            match (seconds / 3600, seconds / 60 % 60) {
                (0, 0) => last,
                (0, minutes) => format!("{minutes}m{last}"),
                (hours, minutes) => format!("{hours}h{minutes}m{last}"),
            }
        }
    }
}

/// Writes a duration as seconds for a sentence, to the millisecond: `45`, `1.5`. Floats would cost 2 kB of the program.
pub fn seconds(duration: Duration) -> String {
    let text = format!("{}.{:03}", duration.as_secs(), duration.subsec_millis());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The text in quotes, unless nobody would read it.
fn shown(text: &str) -> String {
    if text.len() > MAX_TEXT { "too long".to_owned() } else { format!("{text:?}") }
}

/// Adds up `<number><unit>` terms, with spaces allowed around each; nanoseconds are exact.
fn sum(text: &str, unit: impl Fn(&str) -> Option<u64>) -> Option<Duration> {
    if text.len() > MAX_TEXT {
        return None;
    }
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let number = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        let (digits, after) = rest.split_at(number);
        let after = after.trim_start();
        let name = after.len() - after.trim_start_matches(char::is_alphabetic).len();
        let (name, after) = after.split_at(name);
        total = total.checked_add(scaled(digits, unit(name)?)?)?;
        rest = after.trim_start();
    }
    let seconds = u64::try_from(total / u128::from(SECOND)).ok()?;
    let duration = Duration::new(seconds, (total % u128::from(SECOND)) as u32);
    (duration <= MAX).then_some(duration)
}

/// A decimal number times a unit, in nanoseconds; what is smaller is cut.
fn scaled(digits: &str, unit: u64) -> Option<u128> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    if fraction.contains('.') || whole.len() > 18 || fraction.len() > 18 {
        return None;
    }
    let number = |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse::<u128>().ok() };
    let unit = u128::from(unit);
    let below_one = number(fraction)? * unit / 10_u128.pow(fraction.len() as u32);
    number(whole)?.checked_mul(unit)?.checked_add(below_one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_says_seconds_without_zeros_at_the_end() {
        for (millis, text) in [(0, "0"), (1, "0.001"), (200, "0.2"), (1500, "1.5"), (30_000, "30"), (100_010, "100.01")]
        {
            assert_eq!(seconds(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn peoples_lengths_of_time() {
        for (text, millis) in [
            ("5s", 5_000),
            ("2m", 120_000),
            ("3h", 10_800_000),
            ("2d", 172_800_000),
            ("1w", 604_800_000),
            ("250ms", 250),
            ("1h30m", 5_400_000),
            ("1.5h", 5_400_000),
            (".5s", 500),
            ("0s", 0),
            ("5 min", 300_000),
            ("2 hours", 7_200_000),
            ("1 day 2 hours", 93_600_000),
        ] {
            assert_eq!(parse_duration(text).unwrap(), Duration::from_millis(millis), "{text}");
        }
        for text in [
            "",
            " ",
            "s",
            "5",
            "0",
            "5x",
            "-5s",
            "5s3",
            "1..5h",
            "5ss",
            "١s",
            "99999999999999999999s",
            "9999w9999999999w",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        assert!(parse_duration(&"1s".repeat(40)).is_err());
        assert_eq!(parse_duration("100").unwrap_err().remedy(), Some("say the unit: 100s, 100m, 100h or 100d"));
    }

    #[test]
    fn kubectls_timeouts() {
        for (text, millis) in [("0", 0), ("0s", 0), ("30", 30_000), ("500ms", 500), ("1m30s", 90_000), ("1.5s", 1_500)]
        {
            assert_eq!(parse_timeout(text).unwrap(), Duration::from_millis(millis), "{text}");
        }
        for text in ["", "x", "1d", "-1", "-1s", "1h30", "99999999999999999999"] {
            assert!(parse_timeout(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_print_as_gos() {
        for (nanos, text) in [
            (0, "0s"),
            (3, "3ns"),
            (2_000, "2µs"),
            (1_500, "1.5µs"),
            (1_500_000, "1.5ms"),
            (1_234_000_000, "1.234s"),
            (60_000_000_000, "1m0s"),
            (90_000_000_000, "1m30s"),
            (3_600_000_000_000, "1h0m0s"),
            (5_430_100_000_000, "1h30m30.1s"),
        ] {
            assert_eq!(go_duration(Duration::from_nanos(nanos)), text);
        }
    }
}
