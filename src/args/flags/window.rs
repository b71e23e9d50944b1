//! From when.

use super::LOGS;
#[cfg(test)]
use super::tests::{refused, said};
use crate::args::flag::{Flag, Given, Group, Set, Value};
use crate::error::Result;
#[cfg(test)]
use crate::time::Anchor;
use crate::time::{Around, When, Zone, parse_duration};

pub(super) const FLAGS: &[&Flag] = &[&SINCE, &SINCE_TIME, &UNTIL, &UNTIL_TIME, &AROUND, &TIMEZONE];

/// A length of time means before now; anything else is a time.
fn ago_or_time(given: &Given<'_>) -> Result<When> {
    let text = given.text()?;
    match parse_duration(text) {
        Ok(ago) => Ok(When::Ago(ago)),
        // A number alone lacks its unit; the other way round the words about times help more.
        Err(no_unit) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => Err(no_unit),
        Err(_) => When::parse(text),
    }
}

static SINCE: Flag = Flag {
    long: "since",
    short: None,
    value: Value::Text("WHEN"),
    commands: LOGS,
    group: Group::Window,
    brief: "Lines from then on: 5m, 1h30m, 2d, or a time",
    help: &[
        "Prints lines written at this time or later: 30s, 5m, 2h, 1h30m, 3d or 1w before now, or a time.",
        "Times are written 2026-11-21T03:07:12Z, 2026-11-21T03:07:12+01:00, \"2026-11-21 03:07\", with :SS, a fraction and UTC if wanted, 2026-11-21, today, yesterday, \
         now, or pasted from a log: \"I1121 03:07:12.123456\", \"Nov 21 03:07:12\" (the latest year that fits). Without a zone of their \
         own they are in that of --timezone.",
        "Three moments are each node's own: boot, the beginning of its last boot or of that of --boot; kubelet-start, when its kubelet \
         was last started; not-ready, when its Ready condition ceased to be true. The first two are looked up in the node's journal.",
        "Both ends of a window are included, to the microsecond, whatever the node's own clock zone is.",
    ],
    excludes: &["since-time", "around"],
    set: Set::Option(|options, given| {
        options.since = Some(ago_or_time(given)?);
        Ok(())
    }),
};

#[test]
fn since() {
    let hours = |n: u64| Some(When::Ago(std::time::Duration::from_secs(n * 3600)));
    assert_eq!(said(&["n"]).since, None);
    assert_eq!(said(&["n", "--since", "2h"]).since, hours(2));
    assert_eq!(said(&["n", "--since", "-2h"]).since, hours(2));
    assert_eq!(said(&["n", "--since=1d"]).since, hours(24));
    assert_eq!(said(&["n", "--since", "yesterday"]).since, Some(When::Day(-1)));
    assert!(refused(&["n", "--since", "10"]).contains("say the unit: 10s"));
    assert_eq!(said(&["n", "--since", "boot"]).since, Some(When::Anchor(Anchor::Boot)));
    assert_eq!(said(&["n", "--until", "not-ready"]).until, Some(When::Anchor(Anchor::NotReady)));
    assert!(refused(&["n", "--since", "lately"]).contains("2026-11-21T03:07:12Z"));
    assert!(refused(&["n", "--since", "1h", "--since-time", "now"]).contains("--since and --since-time"));
}

static SINCE_TIME: Flag = Flag {
    long: "since-time",
    short: None,
    value: Value::Text("TIME"),
    commands: LOGS,
    group: Group::Window,
    brief: "The same, a time only, as kubectl logs has it",
    help: &["Prints lines written at this time or later. Takes the times that --since takes."],
    excludes: &["since", "around"],
    set: Set::Option(|options, given| {
        options.since = Some(When::parse(given.text()?)?);
        Ok(())
    }),
};

#[test]
fn since_time() {
    assert_eq!(
        said(&["n", "--since-time", "2026-11-21T03:07:12Z"]).since,
        Some(When::parse("2026-11-21T03:07:12Z").unwrap())
    );
    assert!(refused(&["n", "--since-time", "2h"]).contains("-2h is 2h before now"));
}

static UNTIL: Flag = Flag {
    long: "until",
    short: None,
    value: Value::Text("WHEN"),
    commands: LOGS,
    group: Group::Window,
    brief: "Lines up to then: 5m, 1h30m, 2d, or a time",
    help: &[
        "Prints lines written at this time or earlier. Takes what --since takes: `--until 5m` ends five minutes before now.",
    ],
    excludes: &["until-time", "around"],
    set: Set::Option(|options, given| {
        options.until = Some(ago_or_time(given)?);
        Ok(())
    }),
};

#[test]
fn until() {
    assert_eq!(said(&["n", "--until", "5m"]).until, Some(When::Ago(std::time::Duration::from_secs(300))));
    assert_eq!(said(&["n", "--until", "today"]).until, Some(When::Day(0)));
    assert!(refused(&["n", "--until-time", "now", "--until", "1h"]).contains("--until-time and --until"));
}

static UNTIL_TIME: Flag = Flag {
    long: "until-time",
    short: None,
    value: Value::Text("TIME"),
    commands: LOGS,
    group: Group::Window,
    brief: "The same, a time only",
    help: &["Prints lines written at this time or earlier. Takes the times that --since takes."],
    excludes: &["until", "around"],
    set: Set::Option(|options, given| {
        options.until = Some(When::parse(given.text()?)?);
        Ok(())
    }),
};

#[test]
fn until_time() {
    assert_eq!(said(&["n", "--until-time", "Nov 21 03:07:12"]).until, Some(When::parse("Nov 21 03:07:12").unwrap()));
    refused(&["n", "--until-time", "soon"]);
}

static AROUND: Flag = Flag {
    long: "around",
    short: None,
    value: Value::Text("TIME±REACH"),
    commands: LOGS,
    group: Group::Window,
    brief: "Lines near a time, five minutes either way unless said",
    help: &[
        "Prints lines near a time: `--around \"Nov 21 03:07:12±30s\"`, `--around kubelet-start±1m`. Without a reach it is five minutes either way. `+-` or `~` may be \
         typed for the sign. Takes the times that --since takes.",
    ],
    excludes: &["since", "since-time", "until", "until-time"],
    set: Set::Option(|options, given| {
        options.around = Some(Around::parse(given.text()?)?);
        Ok(())
    }),
};

#[test]
fn around() {
    let expected = Around::parse("2026-11-21T03:07:12Z±5m").unwrap();
    assert_eq!(said(&["n", "--around", "2026-11-21T03:07:12Z"]).around, Some(expected));
    assert_eq!(said(&["n", "--around", "2026-11-21T03:07:12Z~5m"]).around, Some(expected));
    assert_eq!(said(&["n", "--around", "boot+-5m"]).around.map(|around| around.at), Some(When::Anchor(Anchor::Boot)));
    for other in ["--since", "--since-time", "--until", "--until-time"] {
        let words = refused(&["n", "--around", "now", other, "yesterday"]);
        assert!(words.contains(other) && words.contains("--around"), "{words}");
    }
}

static TIMEZONE: Flag = Flag {
    long: "timezone",
    short: None,
    value: Value::Text("ZONE"),
    commands: LOGS,
    group: Group::Window,
    brief: "Zone of times given and printed (default UTC)",
    help: &[
        "The zone of times given without one, of those printed by --timestamps, and with --from of those in a text log that name none: \
         UTC, local, an offset such as +05:30, or a name such as Europe/Berlin, which needs the system's zone database. The text of a log \
         stays as it was written.",
    ],
    excludes: &[],
    set: Set::Option(|options, given| {
        options.timezone = Some(Zone::parse(given.text()?)?);
        Ok(())
    }),
};

#[test]
fn timezone() {
    assert_eq!((said(&["n"]).timezone.as_ref(), said(&["n"]).zone()), (None, &Zone::Utc));
    assert_eq!(said(&["n", "--timezone", "+05:30"]).zone(), &Zone::Fixed(19_800));
    refused(&["n", "--timezone", "../etc/passwd"]);
}
