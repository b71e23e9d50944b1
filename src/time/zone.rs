//! Time zones: UTC, an offset, a name of the system's zone database, or a POSIX rule.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use tz::timezone::{TimeZone, TimeZoneSettings};

use super::{Civil, MICROS, Timestamp};
use crate::error::{Error, Result};

/// Where clocks are set alike.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Zone {
    /// Coordinated universal time.
    #[default]
    Utc,
    /// Always this many seconds east of UTC, less than a day either way.
    Fixed(i32),
    /// With rules of its own: the name as given, and its transitions.
    Named(String, Arc<TimeZone>),
}

/// Where systems keep the zone database.
const DATABASES: &[&str] =
    &["/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/usr/share/lib/zoneinfo", "/share/zoneinfo", "/etc/zoneinfo"];

/// The largest file of a real database holds 4 kB.
const MAX_FILE: u64 = 256 << 10;

/// Longer than any name or POSIX rule.
const MAX_TEXT: usize = 128;

impl Zone {
    /// Reads `UTC`, `Z`, `local`, `+05:30`, `-0800`, `+1`, `Europe/Berlin`, or a POSIX rule such as `CET-1CEST,M3.5.0,M10.5.0/3`.
    ///
    /// Names are looked up in the system's zone database, and nowhere outside it.
    pub fn parse(text: &str) -> Result<Zone> {
        Zone::parse_with(text, DATABASES, std::env::var("TZ").ok().as_deref())
    }

    fn parse_with(text: &str, databases: &[&str], tz: Option<&str>) -> Result<Zone> {
        if text.len() > MAX_TEXT {
            return Err(Error::usage("time zone name is too long"));
        }
        if ["utc", "z", "gmt", "etc/utc"].iter().any(|name| text.eq_ignore_ascii_case(name)) {
            return Ok(Zone::Utc);
        }
        if text.eq_ignore_ascii_case("local") {
            return local(databases, tz);
        }
        if let Some(seconds) = offset(text.as_bytes()) {
            return Ok(if seconds == 0 { Zone::Utc } else { Zone::Fixed(seconds) });
        }
        // As a POSIX rule it would mean the opposite of what people do.
        let (name, signed) = text.split_at(text.find(['+', '-']).unwrap_or(text.len()));
        let is_utc = ["utc", "gmt"].iter().any(|utc| name.eq_ignore_ascii_case(utc));
        if (is_utc || name.bytes().all(|byte| byte.is_ascii_alphabetic()))
            && let Some(seconds) = offset(signed.as_bytes())
        {
            if seconds == 0 && is_utc {
                return Ok(Zone::Utc);
            }
            return Err(Error::usage(format!("{text} may be meant either way")).hint(format!(
                "write {} for clocks that show more than UTC by so much, with the other sign for less",
                Zone::Fixed(seconds)
            )));
        }
        if is_name(text)
            && let Some(zone) = databases.iter().find_map(|folder| read(&Path::new(folder).join(text)))
        {
            return Ok(Zone::Named(text.to_owned(), Arc::new(zone)));
        }
        if let Some(zone) = posix(text) {
            return Ok(Zone::Named(text.to_owned(), Arc::new(zone)));
        }
        let unknown = Error::usage(format!("unknown time zone {text:?}"));
        if is_name(text) && !databases.iter().any(|folder| Path::new(folder).is_dir()) {
            return Err(unknown.hint(format!(
                "this system has no zone database: give an offset such as +01:00, or mount one at {}",
                databases.first().unwrap_or(&"/usr/share/zoneinfo")
            )));
        }
        Err(unknown.hint("give UTC, local, an offset such as +05:30, or a name such as Europe/Berlin"))
    }

    /// Seconds east of UTC at an instant.
    pub fn offset_at(&self, at: Timestamp) -> i32 {
        match self {
            Zone::Utc => 0,
            Zone::Fixed(seconds) => *seconds,
            Zone::Named(_, zone) => match zone.find_local_time_type(at.as_seconds()) {
                Ok(kind) => kind.ut_offset(),
                // After the last transition of a file that names no rule for later, its last offset stays.
                Err(_) => {
                    let zone = TimeZone::as_ref(zone);
                    let last = zone.transitions().last().map_or(0, |last| last.local_time_type_index());
                    zone.local_time_types().get(last).map_or(0, |kind| kind.ut_offset())
                }
            },
        }
    }

    /// The instant at which clocks here show `civil`: the earlier one where they show it twice; where they skip it, as much
    /// later as they skip. `None` if there is no such date or time of day.
    pub fn resolve(&self, civil: &Civil) -> Option<Timestamp> {
        self.resolve_both(civil).map(|(first, _)| first)
    }

    /// The same, and the later one where clocks here show `civil` twice; else that once more.
    pub fn resolve_both(&self, civil: &Civil) -> Option<(Timestamp, Timestamp)> {
        let naive = civil.utc()?;
        let at = |offset: i32| Timestamp::from_micros(naive.as_micros().saturating_sub(i64::from(offset) * MICROS));
        if let Zone::Utc | Zone::Fixed(_) = self {
            let only = at(self.offset_at(naive));
            return Some((only, only));
        }
        // No offset reaches 26 hours, so the true one is that before or after whatever happens in these two days.
        let reach = std::time::Duration::from_secs(26 * 3600);
        let [one, other] = [naive.saturating_sub(reach), naive.saturating_add(reach)].map(|at| self.offset_at(at));
        let is_shown = |offset: i32| self.offset_at(at(offset)) == offset;
        Some(match (is_shown(one), is_shown(other)) {
            (true, true) => (at(one.max(other)), at(one.min(other))),
            (true, false) => (at(one), at(one)),
            (false, true) => (at(other), at(other)),
            (false, false) => (at(one.min(other)), at(one.min(other))),
        })
    }

    /// Calendar date and time of day as clocks here show them.
    pub fn civil(&self, at: Timestamp) -> Civil {
        let shift = i64::from(self.offset_at(at)) * MICROS;
        Timestamp::from_micros(at.as_micros().saturating_add(shift)).civil_utc()
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Zone::Utc => f.write_str("UTC"),
            Zone::Fixed(seconds) => {
                let minutes = seconds.unsigned_abs() / 60;
                let sign = if *seconds < 0 { '-' } else { '+' };
                write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
            Zone::Named(name, _) => f.write_str(name),
        }
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({self})")
    }
}

/// Seconds of `±HH:MM`, from its digits.
pub(super) fn offset_of(sign: u8, hours: [u8; 2], minutes: [u8; 2]) -> Option<i32> {
    let number = |[tens, ones]: [u8; 2]| {
        (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| i32::from(tens - b'0') * 10 + i32::from(ones - b'0'))
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let seconds = (hours < 24 && minutes < 60).then_some(hours * 3600 + minutes * 60)?;
    Some(if sign == b'-' { -seconds } else { seconds })
}

/// `±H`, `±HH`, `±HHMM` or `±HH:MM`.
fn offset(text: &[u8]) -> Option<i32> {
    match *text {
        [sign @ (b'+' | b'-'), h] => offset_of(sign, [b'0', h], *b"00"),
        [sign @ (b'+' | b'-'), h1, h2] => offset_of(sign, [h1, h2], *b"00"),
        [sign @ (b'+' | b'-'), h1, h2, m1, m2] | [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            offset_of(sign, [h1, h2], [m1, m2])
        }
        _ => None,
    }
}

/// Whether it can name a file inside the database: words joined by slashes, none of them able to climb out.
fn is_name(text: &str) -> bool {
    text.split('/').all(|word| {
        word.starts_with(|c: char| c.is_ascii_alphabetic())
            && word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'+' | b'-'))
    })
}

fn read(file: &Path) -> Option<TimeZone> {
    let about = std::fs::metadata(file).ok()?;
    if !about.is_file() || about.len() > MAX_FILE {
        return None;
    }
    TimeZone::from_tz_data(&std::fs::read(file).ok()?).ok()
}

/// A POSIX rule; its parser is kept from reading files of that name.
fn posix(text: &str) -> Option<TimeZone> {
    TimeZoneSettings::new(&[], |_| Err("not a file".into())).parse_posix_tz(text).ok()
}

/// What the TZ variable says, else the system's setting, else UTC, as the C library has it.
fn local(databases: &[&str], tz: Option<&str>) -> Result<Zone> {
    let named = tz.map(|tz| tz.strip_prefix(':').unwrap_or(tz)).filter(|tz| !tz.is_empty());
    match named {
        Some(name) if name.eq_ignore_ascii_case("local") => Ok(Zone::Utc),
        Some(path) if path.starts_with('/') => match read(Path::new(path)) {
            Some(zone) => Ok(Zone::Named("local".to_owned(), Arc::new(zone))),
            None => Err(Error::usage(format!("TZ={path:?} is no zone file"))),
        },
        // Here a rule is one.
        Some(rule) if let Some(zone) = posix(rule) => Ok(Zone::Named(rule.to_owned(), Arc::new(zone))),
        Some(name) => Zone::parse_with(name, databases, None).map_err(|e| e.within("reading the TZ variable")),
        None if cfg!(unix) => Ok(match read(Path::new("/etc/localtime")) {
            Some(zone) => Zone::Named("local".to_owned(), Arc::new(zone)),
            None => Zone::Utc,
        }),
        None => Err(Error::usage("the local time zone is not known on this system")
            .hint("give an offset such as +01:00, or set TZ to one")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Berlin's rule, so that tests need no zone database.
    const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

    fn utc(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn offsets_are_read_in_the_forms_people_write() {
        for (text, seconds) in
            [("+05:30", 19_800), ("-0800", -28_800), ("+1", 3600), ("-08", -28_800), ("+23:59", 86_340)]
        {
            assert_eq!(Zone::parse(text).unwrap(), Zone::Fixed(seconds), "{text}");
        }
        for text in ["UTC", "utc", "Z", "z", "GMT", "Etc/UTC", "+00:00", "-0"] {
            assert_eq!(Zone::parse(text).unwrap(), Zone::Utc, "{text}");
        }
    }

    #[test]
    fn bad_zones_are_usage_errors_and_no_path_leaves_the_database() {
        let database = tempfile::tempdir().unwrap();
        std::fs::create_dir(database.path().join("Zones")).unwrap();
        let outside = tempfile::NamedTempFile::new().unwrap();
        let outside_name = format!("../{}", outside.path().file_name().unwrap().to_string_lossy());
        let too_long = "A".repeat(200);
        for text in [
            "",
            "+24:00",
            "+5:30",
            "Nowhere/Town",
            "/etc/localtime",
            &outside_name,
            "Zones",
            "Zones/../x",
            ".",
            ":UTC",
            &too_long,
        ] {
            let error = Zone::parse_with(text, &[database.path().to_str().unwrap()], None).unwrap_err();
            assert_eq!(error.kind(), crate::error::Kind::Usage, "{text}");
        }
    }

    #[test]
    fn what_posix_means_the_other_way_is_asked_about() {
        for (text, hint) in [
            ("UTC+1", "write +01:00 "),
            ("gmt-05:30", "write -05:30 "),
            ("UTC+x", "+05:30"),
            ("CET+1", "write +01:00 "),
            ("EST-05", "write -05:00 "),
        ] {
            let error = Zone::parse(text).unwrap_err();
            assert!(error.kind() == crate::error::Kind::Usage && error.remedy().unwrap().contains(hint), "{text}");
        }
        assert_eq!(Zone::parse("UTC+0").unwrap(), Zone::Utc);
        // Whoever writes the rule in full knows POSIX.
        assert_eq!(Zone::parse("EST5").unwrap().offset_at(utc("2026-01-01T00:00:00Z")), -5 * 3600);
    }

    #[test]
    fn a_missing_database_is_said_with_the_remedy() {
        let error = Zone::parse_with("Europe/Berlin", &["/nonexistent/zoneinfo"], None).unwrap_err();
        assert_eq!(error.to_string(), "unknown time zone \"Europe/Berlin\"");
        assert!(
            error.remedy().unwrap().contains("+01:00") && error.remedy().unwrap().contains("/nonexistent/zoneinfo")
        );
        assert!(Zone::parse_with(BERLIN, &["/nonexistent/zoneinfo"], None).is_ok());
    }

    #[test]
    fn local_is_what_the_variable_says() {
        let berlin = Zone::parse_with("local", &[], Some(BERLIN)).unwrap();
        assert_eq!(berlin.offset_at(utc("2026-07-01T00:00:00Z")), 7200);
        assert_eq!(Zone::parse_with("local", &[], Some("UTC")).unwrap(), Zone::Utc);
        // The variable's is a rule for sure.
        let posix = Zone::parse_with("local", &[], Some("CET-1")).unwrap();
        assert_eq!(posix.offset_at(utc("2026-01-01T00:00:00Z")), 3600);
        assert!(Zone::parse_with("local", &[], Some("Nowhere/Town")).is_err());
        assert!(Zone::parse_with("local", &[], None).is_ok());
    }

    #[test]
    fn a_name_is_read_from_the_database() {
        let database = tempfile::tempdir().unwrap();
        std::fs::create_dir(database.path().join("Test")).unwrap();
        std::fs::write(database.path().join("Test/Rule"), tzif(BERLIN)).unwrap();
        std::fs::write(database.path().join("Test/Torn"), &tzif(BERLIN)[..60]).unwrap();
        let folder = [database.path().to_str().unwrap()];
        let zone = Zone::parse_with("Test/Rule", &folder, None).unwrap();
        assert_eq!(zone.to_string(), "Test/Rule");
        assert_eq!(zone.offset_at(utc("2026-01-01T00:00:00Z")), 3600);
        assert_eq!(zone.offset_at(utc("2026-07-01T00:00:00Z")), 7200);
        assert!(Zone::parse_with("Test/Torn", &folder, None).is_err());
    }

    #[test]
    fn a_clock_reading_becomes_one_instant() {
        let berlin = Zone::parse(BERLIN).unwrap();
        let resolve = |text: &str| {
            let (civil, _) = super::super::civil::date_time(text.as_bytes()).unwrap();
            let at = berlin.resolve(&civil).unwrap();
            at.rfc3339().to_string()
        };
        assert_eq!(resolve("2026-11-21 04:07:12"), "2026-11-21T03:07:12.000000Z");
        assert_eq!(resolve("2026-07-01 02:00:00"), "2026-07-01T00:00:00.000000Z");
        // Shown twice on 25 October, from 02:00 to 03:00: the earlier.
        assert_eq!(resolve("2026-10-25 02:30:00"), "2026-10-25T00:30:00.000000Z");
        assert_eq!(resolve("2026-10-25 03:00:00"), "2026-10-25T02:00:00.000000Z");
        // Skipped on 29 March, from 02:00 to 03:00: an hour later.
        assert_eq!(resolve("2026-03-29 02:30:00"), "2026-03-29T01:30:00.000000Z");
        assert_eq!(resolve("2026-03-29 01:59:59"), "2026-03-29T00:59:59.000000Z");
        assert_eq!(resolve("2026-03-29 03:00:00"), "2026-03-29T01:00:00.000000Z");
        let no_such_day = Civil { year: 2026, month: 2, day: 30, hour: 0, minute: 0, second: 0, micros: 0 };
        assert_eq!(berlin.resolve(&no_such_day), None);
    }

    #[test]
    fn extreme_instants_have_an_offset_too() {
        let berlin = Zone::parse(BERLIN).unwrap();
        for micros in [i64::MIN, i64::MAX] {
            let at = Timestamp::from_micros(micros);
            assert!((0..=7200).contains(&berlin.offset_at(at)));
            assert!(!at.rfc3339_in(&berlin).to_string().is_empty());
        }
    }

    /// The smallest zone file: one local time type and a rule for all time.
    fn tzif(rule: &str) -> Vec<u8> {
        let block = |version_data: &mut Vec<u8>| {
            version_data.extend_from_slice(b"TZif2");
            version_data.extend_from_slice(&[0; 15]);
            for count in [0_u32, 0, 0, 0, 1, 4] {
                version_data.extend_from_slice(&count.to_be_bytes());
            }
            version_data.extend_from_slice(&3600_i32.to_be_bytes());
            version_data.extend_from_slice(b"\0\0CET\0");
        };
        let mut file = Vec::new();
        block(&mut file);
        block(&mut file);
        file.extend_from_slice(format!("\n{rule}\n").as_bytes());
        file
    }
}
