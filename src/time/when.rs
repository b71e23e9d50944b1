//! Times as people say them: read first, made into an instant later, once, when "now" and the zone are known.

use std::time::Duration;

use super::civil::{self, Civil, klog_time, syslog_time};
use super::{Timestamp, Zone, parse_duration};
use crate::error::{Error, Result};

/// A time that was said, not yet an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// With its own zone, as RFC 3339 has.
    At(Timestamp),
    /// What a clock in the chosen zone shows.
    Local(Civil),
    /// The same without a year, as at the start of a log line.
    Yearless(Civil),
    /// The last time clocks in the chosen zone showed this time of day; the date is unused.
    TimeOfDay(Civil),
    /// Midnight of the day this many after today.
    Day(i8),
    /// This long before now; `now` itself is 0.
    Ago(Duration),
    /// This long after now.
    Ahead(Duration),
    /// What each node tells for itself.
    Anchor(Anchor),
}

/// A moment in a node's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// The first entry of its last boot, or of the one that was chosen.
    Boot,
    /// The first entry of its kubelet's last run.
    KubeletStart,
    /// When its Ready condition ceased to be true.
    NotReady,
}

impl Anchor {
    /// As it is said.
    pub fn name(self) -> &'static str {
        match self {
            Anchor::Boot => "boot",
            Anchor::KubeletStart => "kubelet-start",
            Anchor::NotReady => "not-ready",
        }
    }

    fn named(text: &str) -> Option<Anchor> {
        [Anchor::Boot, Anchor::KubeletStart, Anchor::NotReady].into_iter().find(|anchor| anchor.name() == text)
    }
}

/// An end of a window: an instant, or what becomes one for each node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The same for all nodes.
    At(Timestamp),
    /// Of each node its own.
    Of(Anchor),
    /// This long before that.
    Before(Anchor, Duration),
    /// This long after that.
    After(Anchor, Duration),
}

impl Bound {
    /// What a node has to tell.
    pub fn anchor(self) -> Option<Anchor> {
        match self {
            Bound::At(_) => None,
            Bound::Of(anchor) | Bound::Before(anchor, _) | Bound::After(anchor, _) => Some(anchor),
        }
    }

    /// The instant, for a node whose anchor is here.
    pub fn at(self, anchor: Timestamp) -> Timestamp {
        match self {
            Bound::At(at) => at,
            Bound::Of(_) => anchor,
            Bound::Before(_, by) => anchor.saturating_sub(by),
            Bound::After(_, by) => anchor.saturating_add(by),
        }
    }
}

/// Longer than any time said in earnest.
const MAX_TEXT: usize = 128;
/// Longer than a line anyone pastes.
const MAX_LINE: usize = 16 * 1024;

const FORMS: &str = "times are written 2026-11-21T03:07:12Z, 2026-11-21T03:07:12+01:00, \"2026-11-21 03:07[:12.5]\" with UTC behind it or \
     in the zone of --timezone, 2026-11-21, 03:07, today, yesterday, now, \
     -2h, @SECONDS, boot, kubelet-start, not-ready, or pasted from a log: \"I1121 03:07:12.123456\", \"Nov 21 03:07:12\"";

impl When {
    /// Reads RFC 3339, `YYYY-MM-DD[ HH:MM[:SS[.ffffff]]]`, `HH:MM[:SS]`, a klog or syslog header or a whole line that starts with
    /// one, `@SECONDS` since 1970, `today`, `yesterday`, `tomorrow`, `now`, `-2h`, `+5m`, `2h ago`.
    pub fn parse(text: &str) -> Result<When> {
        let text = text.trim();
        if let Some(civil) = head_of_a_line(text) {
            return Ok(When::Yearless(civil));
        }
        if text.len() > MAX_TEXT {
            return Err(Error::usage("not a time: too long").hint(FORMS));
        }
        if let Some(when) = written(text) {
            return Ok(when);
        }
        let not_a_time = || Error::usage(format!("not a time: {text:?}"));
        if let Some(anchor) = Anchor::named(text) {
            return Ok(When::Anchor(anchor));
        }
        if let Some(ago) = text.strip_prefix('-').or_else(|| text.strip_suffix("ago")) {
            return parse_duration(ago).map(When::Ago).map_err(|_| not_a_time().hint(FORMS));
        }
        if let Some(ahead) = text.strip_prefix('+') {
            return parse_duration(ahead).map(When::Ahead).map_err(|_| not_a_time().hint(FORMS));
        }
        if let Some(micros) = text.strip_prefix('@').and_then(since_1970) {
            return Ok(When::At(Timestamp::from_micros(micros)));
        }
        Err(match parse_duration(text) {
            Err(_) if since_1970(text).is_some() => {
                not_a_time().hint(format!("@{text} is that many seconds since 1970"))
            }
            Ok(_) => not_a_time().hint(format!("-{text} is {text} before now")),
            Err(_) => not_a_time().hint(FORMS),
        })
    }

    /// The instant it means at `now`, for clocks in `zone`, unless a node has to tell it.
    pub fn resolve(&self, now: Timestamp, zone: &Zone) -> Result<Bound> {
        let resolved = match *self {
            When::Anchor(anchor) => return Ok(Bound::Of(anchor)),
            When::At(at) => Some(at),
            When::Local(civil) => zone.resolve(&civil),
            When::Yearless(civil) => civil.latest(now, zone),
            When::TimeOfDay(time) => {
                let today = zone.civil(now).midnight(0);
                // A day back, also where that time is skipped today by a change of the clocks.
                let on = |day: Civil| zone.resolve(&Civil { year: day.year, month: day.month, day: day.day, ..time });
                on(today).filter(|at| *at <= now).or_else(|| on(today.midnight(-1)))
            }
            When::Day(days) => zone.resolve(&zone.civil(now).midnight(days.into())),
            When::Ago(by) => Some(now.saturating_sub(by)),
            When::Ahead(by) => Some(now.saturating_add(by)),
        };
        resolved.map(Bound::At).ok_or_else(|| Error::usage("no such date or time of day").hint(FORMS))
    }
}

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// The forms that stand for themselves. Dates are checked against the calendar here, so that a bad one is a usage error before
/// anything else happens.
fn written(text: &str) -> Option<When> {
    match text {
        "now" => return Some(When::Ago(Duration::ZERO)),
        "today" => return Some(When::Day(0)),
        "yesterday" => return Some(When::Day(-1)),
        "tomorrow" => return Some(When::Day(1)),
        _ => {}
    }
    // As tables here and elsewhere have it: `Tue 2026-11-21 03:07:12 UTC`.
    let text = match text.split_once(' ') {
        Some((day, time)) if DAYS.iter().any(|name| day.eq_ignore_ascii_case(name)) => time,
        _ => text,
    };
    let joined;
    let text = match text.rsplit_once(' ') {
        Some((time, zone)) if zone == "UTC" || zone == "Z" || zone.starts_with(['+', '-']) => {
            joined = format!("{time}{}", zone.replace("UTC", "Z"));
            &*joined
        }
        _ => text,
    };
    if let Some(at) = Timestamp::parse_rfc3339(text) {
        return Some(When::At(at));
    }
    // ISO 8601 may leave the seconds out.
    if let Some((minutes, zone)) = text.split_at_checked(16)
        && let Some(at) = Timestamp::parse_rfc3339(&format!("{minutes}:00{zone}"))
    {
        return Some(When::At(at));
    }
    let bytes = text.as_bytes();
    if let Some((civil, len)) = klog_time(bytes).or_else(|| syslog_time(bytes)) {
        return (len == bytes.len()).then_some(When::Yearless(civil));
    }
    if let Some((hour, minute, rest)) = civil::hour_minute(bytes) {
        let time = Civil { year: 2000, month: 1, day: 1, hour, minute, second: 0, micros: 0 };
        return match rest {
            [] => Some(time),
            _ => civil::date_time(format!("2000-01-01 {text}").as_bytes())
                .filter(|(_, rest)| rest.is_empty())
                .map(|(t, _)| t),
        }
        .filter(|time| time.utc().is_some())
        .map(When::TimeOfDay);
    }
    let (day, rest) = civil::date(bytes)?;
    let civil = match rest.split_first() {
        None => day,
        Some((b' ' | b'T' | b't', rest)) => match civil::hour_minute(rest)? {
            (hour, minute, []) => Civil { hour, minute, ..day },
            _ => match civil::date_time(bytes)? {
                (civil, []) => civil,
                _ => return None,
            },
        },
        _ => return None,
    };
    civil.utc().map(|_| When::Local(civil))
}

/// The time a pasted line of a log starts with, where it is one: klog's header ends in `]`, syslog's in a colon.
fn head_of_a_line(text: &str) -> Option<Civil> {
    let line = text.as_bytes();
    let (civil, len, end) = match klog_time(line) {
        Some((civil, len)) => (civil, len, b']'),
        None => syslog_time(line).map(|(civil, len)| (civil, len, b':'))?,
    };
    let rest = line.get(len..).filter(|_| line.len() <= MAX_LINE)?;
    (rest.first() == Some(&b' ') && rest.contains(&end)).then_some(civil)
}

/// Microseconds of a decimal number of seconds since 1970 that is a time of this century or the last.
fn since_1970(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !(9..=10).contains(&whole.len()) || !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let micros: i64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    Some(whole.parse::<i64>().ok()? * 1_000_000 + micros)
}

/// A window around a time: `T±5m`, also typed `T+-5m` or `T~5m`; five minutes either way unless said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Around {
    /// The middle.
    pub at: When,
    /// How far the window reaches to either side.
    pub reach: Duration,
}

impl Around {
    /// Reads a time and, behind a `±`, the reach.
    pub fn parse(text: &str) -> Result<Around> {
        let split = ["±", "+-", "+/-", "~"]
            .iter()
            .filter_map(|sign| text.rfind(sign).map(|at| (&text[..at], &text[at + sign.len()..])))
            .next();
        let (at, reach) = match split.map(|(at, reach)| (at, parse_duration(reach))) {
            Some((at, Ok(reach))) => (at, reach),
            // In a pasted line the sign is part of the message.
            Some((_, Err(error))) if head_of_a_line(text).is_none() => return Err(error),
            _ => (text, Duration::from_secs(300)),
        };
        Ok(Around { at: When::parse(at)?, reach })
    }

    /// First and last instant of the window.
    pub fn resolve(&self, now: Timestamp, zone: &Zone) -> Result<(Bound, Bound)> {
        Ok(match self.at.resolve(now, zone)? {
            Bound::At(at) => (Bound::At(at.saturating_sub(self.reach)), Bound::At(at.saturating_add(self.reach))),
            Bound::Of(anchor) | Bound::Before(anchor, _) | Bound::After(anchor, _) => {
                (Bound::Before(anchor, self.reach), Bound::After(anchor, self.reach))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn now() -> Timestamp {
        Timestamp::parse_rfc3339("2026-11-21T03:57:30Z").unwrap()
    }

    fn said(text: &str, zone: &str) -> String {
        let zone = Zone::parse(zone).unwrap();
        let when = When::parse(text).unwrap_or_else(|e| panic!("{text}: {}", e.chain()));
        instant(when.resolve(now(), &zone).unwrap()).rfc3339().to_string()
    }

    fn instant(bound: Bound) -> Timestamp {
        match bound {
            Bound::At(at) => at,
            other => panic!("a node's own: {other:?}"),
        }
    }

    #[test]
    fn times_are_read_in_every_form_people_write() {
        for (text, expected) in [
            ("2026-11-21T03:07:12Z", "2026-11-21T03:07:12.000000Z"),
            ("2026-11-21T03:07:12+01:00", "2026-11-21T02:07:12.000000Z"),
            ("2026-11-21T03:07Z", "2026-11-21T03:07:00.000000Z"),
            ("2026-11-21T03:07+01:00", "2026-11-21T02:07:00.000000Z"),
            ("2026-11-21 03:07:12.123456", "2026-11-21T03:07:12.123456Z"),
            ("2026-11-21T03:07:12", "2026-11-21T03:07:12.000000Z"),
            ("2026-11-21 03:07", "2026-11-21T03:07:00.000000Z"),
            ("2026-11-21", "2026-11-21T00:00:00.000000Z"),
            (" 2026-11-21 ", "2026-11-21T00:00:00.000000Z"),
            ("I1121 03:07:12.123456", "2026-11-21T03:07:12.123456Z"),
            ("E1122 03:57:30.000000", "2026-11-22T03:57:30.000000Z"),
            ("W1122 03:57:30.000001", "2025-11-22T03:57:30.000001Z"),
            ("Nov 21 03:07:12", "2026-11-21T03:07:12.000000Z"),
            ("Dec  1 03:07:12.5", "2025-12-01T03:07:12.500000Z"),
            ("today", "2026-11-21T00:00:00.000000Z"),
            ("yesterday", "2026-11-20T00:00:00.000000Z"),
            ("tomorrow", "2026-11-22T00:00:00.000000Z"),
            ("2026-11-21T03:07:12+0100", "2026-11-21T02:07:12.000000Z"),
            ("03:57", "2026-11-21T03:57:00.000000Z"),
            ("03:57:30", "2026-11-21T03:57:30.000000Z"),
            ("03:57:30.5", "2026-11-20T03:57:30.500000Z"),
            ("22:16", "2026-11-20T22:16:00.000000Z"),
            ("@1700000000", "2023-11-14T22:13:20.000000Z"),
            ("@1700000000.25", "2023-11-14T22:13:20.250000Z"),
            ("I1121 03:07:12.123456    1234 kubelet.go:1] \"Pod\" at=\"10:00\"", "2026-11-21T03:07:12.123456Z"),
            (
                "Nov 21 03:07:12.123456 node-a kubelet[12]: I1121 04:00:00.000000 1 a.go:1] x",
                "2026-11-21T03:07:12.123456Z",
            ),
            ("Sat 2026-11-21 03:07:12 UTC", "2026-11-21T03:07:12.000000Z"),
            ("2026-11-21 03:07:12 UTC", "2026-11-21T03:07:12.000000Z"),
            ("2026-11-21 03:07:12.5 +01:00", "2026-11-21T02:07:12.500000Z"),
            ("2026-11-21 03:07 Z", "2026-11-21T03:07:00.000000Z"),
            ("now", "2026-11-21T03:57:30.000000Z"),
            ("-2h", "2026-11-21T01:57:30.000000Z"),
            ("2h ago", "2026-11-21T01:57:30.000000Z"),
            ("5 min ago", "2026-11-21T03:52:30.000000Z"),
            ("+5m", "2026-11-21T04:02:30.000000Z"),
        ] {
            assert_eq!(said(text, "UTC"), expected, "{text}");
        }
    }

    #[test]
    fn times_without_a_zone_are_those_of_the_chosen_one() {
        assert_eq!(said("2026-11-21 09:00", "+05:30"), "2026-11-21T03:30:00.000000Z");
        assert_eq!(said("today", "-08:00"), "2026-11-20T08:00:00.000000Z");
        assert_eq!(said("today", "CET-1CEST,M3.5.0,M10.5.0/3"), "2026-11-20T23:00:00.000000Z");
        assert_eq!(said("I1121 04:07:12.123456", "+01:00"), "2026-11-21T03:07:12.123456Z");
        assert_eq!(said("2026-11-21T09:00:00Z", "+05:30"), "2026-11-21T09:00:00.000000Z");
    }

    #[test]
    fn what_is_no_time_is_a_usage_error_naming_the_forms() {
        for text in [
            "",
            "soon",
            "2026-02-30",
            "2026-11-21 25:00",
            "2026-11-21 03:07:12x",
            "2026-11-21x",
            "2026-11",
            "I1121 03:07:12.123456 or so",
            "Nov 21 03:07:12 UTC",
            "3:07",
            "24:00",
            "03:60",
            "@12",
            "@",
            "-",
            "+",
            "ago",
            "-5",
            "--2h",
            "boots",
            "kubelet-started",
            "not ready",
        ] {
            let error = When::parse(text).unwrap_err();
            assert_eq!(error.kind(), Kind::Usage, "{text}");
            assert!(error.remedy().unwrap().contains("yesterday"), "{text}: {:?}", error.remedy());
        }
        assert!(When::parse("1700000000").unwrap_err().remedy().unwrap().starts_with("@1700000000 is"));
        assert_eq!(When::parse("2h").unwrap_err().remedy(), Some("-2h is 2h before now"));
        assert!(When::parse(&"9".repeat(1000)).is_err());
    }

    #[test]
    fn a_window_reaches_five_minutes_unless_said() {
        let window = |text: &str| {
            let (since, until) = Around::parse(text).unwrap().resolve(now(), &Zone::Utc).unwrap();
            (instant(since).rfc3339().to_string(), instant(until).rfc3339().to_string())
        };
        let expected = ("2026-11-21T03:02:12.000000Z".to_owned(), "2026-11-21T03:12:12.000000Z".to_owned());
        for text in [
            "2026-11-21T03:07:12Z",
            "2026-11-21T03:07:12Z±5m",
            "2026-11-21T03:07:12Z ± 5m",
            "2026-11-21T03:07:12+00:00+-5m",
            "2026-11-21T03:07:12Z+/-5m",
            "Nov 21 03:07:12~300s",
            "I1121 03:07:12.000000 1 a.go:1] ~x",
            "I1121 03:07:12.000000 1 a.go:1] x ± 5m",
        ] {
            assert_eq!(window(text), expected, "{text}");
        }
        assert_eq!(window("-1h±1h").1, "2026-11-21T03:57:30.000000Z");
        for text in ["±5m", "now±", "now±5", "now±-5m", "boot±", "±", "~"] {
            assert!(Around::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn anchors_wait_for_a_node_to_tell_them() {
        let at = now();
        let minute = Duration::from_secs(60);
        for anchor in [Anchor::Boot, Anchor::KubeletStart, Anchor::NotReady] {
            let bound = When::parse(anchor.name()).unwrap().resolve(at, &Zone::Utc).unwrap();
            assert_eq!((bound, bound.anchor(), bound.at(at)), (Bound::Of(anchor), Some(anchor), at));
            let (since, until) =
                Around::parse(&format!("{}±1m", anchor.name())).unwrap().resolve(at, &Zone::Utc).unwrap();
            assert_eq!((since.anchor(), until.anchor()), (Some(anchor), Some(anchor)));
            assert_eq!((since.at(at), until.at(at)), (at.saturating_sub(minute), at.saturating_add(minute)));
        }
        assert_eq!(Bound::At(at).anchor(), None);
    }

    #[test]
    fn no_text_makes_it_panic() {
        let pieces = [
            "",
            "±",
            "µ",
            "٣",
            "-",
            "+",
            "~",
            "ago",
            "2026-11-21",
            "T",
            "03:07:12",
            ".",
            "9999999999999999999",
            "1e9",
            "h",
            "d",
            "w",
            "Nov ",
            "I1121 ",
            " ",
            "Z",
            "+23:59",
            "\u{0}",
            "😀",
        ];
        let far = [Timestamp::from_micros(i64::MIN), Timestamp::from_micros(i64::MAX), now()];
        let zones = [Zone::Utc, Zone::Fixed(-86_340), Zone::parse("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()];
        for a in pieces {
            for b in pieces {
                for c in pieces {
                    let text = format!("{a}{b}{c}");
                    let _ = super::super::parse_timeout(&text);
                    let (when, around) = (When::parse(&text), Around::parse(&text));
                    for now in far {
                        for zone in &zones {
                            let _ = when.as_ref().map(|when| when.resolve(now, zone));
                            let _ = around.as_ref().map(|around| around.resolve(now, zone));
                        }
                    }
                }
            }
        }
    }
}
