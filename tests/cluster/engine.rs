//! What `journalctl` (systemd 252) does with a kubelet's arguments, over a recording of what it once printed.

use bytes::Bytes;
use regex_lite::{Regex, RegexBuilder};

use super::journal::{Entry, Recording};
use super::zone::{Civil, Zone};

/// The arguments a kubelet gives journalctl, read back.
#[derive(Debug, Default)]
struct Arguments {
    field: Option<String>,
    since: Option<i64>,
    until: Option<i64>,
    lines: Option<usize>,
    units: Vec<String>,
    pattern: Option<Regex>,
    boot: Option<i64>,
}

/// Answers as journalctl would on a node in `zone`; klog headers are still those of the recording.
pub(crate) fn answer(recording: &Recording, zone: &Zone, args: &[String]) -> Bytes {
    let asked = match read(args, zone) {
        Ok(asked) => asked,
        Err(why) => return Bytes::from(why),
    };
    if asked.field.is_some() {
        return Bytes::from(recording.units.iter().map(|unit| format!("{unit}\n")).collect::<String>());
    }
    let boot = match asked.boot.map(|offset| (offset, recording.boots.len() as i64 - 1 + offset)) {
        None => None,
        Some((_, at)) if (0..recording.boots.len() as i64).contains(&at) => Some(at as usize),
        Some((offset, _)) => {
            return Bytes::from(format!(
                "Data from the specified boot ({offset}) is not available: No such boot ID in journal\n"
            ));
        }
    };
    let units: Vec<usize> =
        asked.units.iter().filter_map(|unit| recording.units.iter().position(|known| known == unit)).collect();
    let selected: Vec<&Entry> = recording
        .entries
        .iter()
        .filter(|entry| boot.is_none_or(|boot| entry.boot == boot))
        .filter(|entry| asked.units.is_empty() || entry.units.iter().any(|unit| units.contains(unit)))
        .collect();

    // With a pattern it cannot know how far back the lines reach, so it reads from the end.
    let reverse = asked.pattern.is_some() && asked.lines.is_some();
    let since = |entry: &&Entry| asked.since.is_none_or(|since| entry.realtime >= since);
    let until = |entry: &&Entry| asked.until.is_none_or(|until| entry.realtime <= until);
    let walked: Vec<&Entry> = if reverse {
        selected.iter().rev().copied().skip_while(|entry| !until(entry)).take_while(since).collect()
    } else {
        let start = match (asked.since, asked.lines) {
            (Some(_), _) => selected.iter().position(since).unwrap_or(selected.len()),
            (None, Some(lines)) => selected.len().saturating_sub(lines),
            (None, None) => 0,
        };
        selected[start..].iter().copied().take_while(until).collect()
    };

    let mut out = String::new();
    let mut shown = 0;
    let mut last_boot = None;
    for entry in walked {
        if asked.lines.is_some_and(|lines| shown >= lines) {
            break;
        }
        // Said before the pattern is tried, so also between boots of which nothing is shown.
        if last_boot.replace(entry.boot).is_some_and(|last| last != entry.boot) {
            out.push_str(&format!("-- Boot {} --\n", recording.boots[entry.boot]));
        }
        let matches =
            asked.pattern.as_ref().is_none_or(|pattern| !entry.text.is_empty() && pattern.is_match(entry.message()));
        if matches {
            out.push_str(&entry.text);
            shown += 1;
        }
    }
    if shown == 0 {
        out.push_str("-- No entries --\n");
    }
    Bytes::from(out)
}

fn read(args: &[String], zone: &Zone) -> Result<Arguments, String> {
    let mut asked = Arguments::default();
    let mut jump = false;
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let (name, value) = match arg.split_once('=') {
            Some((name, value)) => (name, value.to_owned()),
            None if matches!(arg.as_str(), "--field" | "--boot") => {
                (arg.as_str(), args.next().cloned().unwrap_or_default())
            }
            None => (arg.as_str(), String::new()),
        };
        match name {
            "--field" => asked.field = Some(value),
            "--since" => asked.since = Some(time(&value, zone).ok_or_else(|| unparsable(&value))?),
            "--until" => asked.until = Some(time(&value, zone).ok_or_else(|| unparsable(&value))?),
            "--lines" => asked.lines = value.parse().ok(),
            "--unit" if is_whole(&value) => asked.units.push(value),
            "--unit" => asked.units.push(format!("{value}.service")),
            "--grep" => {
                let ignore_case = !value.chars().any(char::is_uppercase);
                asked.pattern = RegexBuilder::new(&value).case_insensitive(ignore_case).build().ok();
            }
            "--boot" => asked.boot = value.parse().ok(),
            "--pager-end" => jump = true,
            _ => {}
        }
    }
    // Jumping to the end means the end of the latest boot: older ones are not looked at, however few lines it has.
    if jump && asked.boot.is_none() {
        asked.boot = Some(0);
    }
    Ok(asked)
}

/// Whether a unit's name ends in its type; a dot alone says nothing.
fn is_whole(unit: &str) -> bool {
    const TYPES: [&str; 6] = [".service", ".socket", ".scope", ".slice", ".mount", ".timer"];
    TYPES.iter().any(|end| unit.ends_with(end))
}

fn unparsable(value: &str) -> String {
    format!("Failed to parse timestamp: {value}\n")
}

/// Microseconds since 1970 of `2023-11-14 22:15:30`, as a clock in `zone` shows it.
fn time(text: &str, zone: &Zone) -> Option<i64> {
    let (date, clock) = text.split_once(' ')?;
    let mut date = date.split('-').map(|part| part.parse::<i64>().ok());
    let mut clock = clock.split(':').map(|part| part.parse::<i64>().ok());
    let civil = Civil {
        year: date.next()??,
        month: date.next()??,
        day: date.next()??,
        hour: clock.next()??,
        minute: clock.next()??,
        second: clock.next()??,
    };
    Some(zone.instant(&civil) * 1_000_000)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::super::journal::{Journal, installed};
    use super::*;

    /// Every kind of argument a kubelet passes, alone and together.
    const ASKED: [&str; 24] = [
        "--unit=kubelet",
        "--unit=kubelet.service",
        "--unit=containerd|--unit=kubelet",
        "--unit=let",
        "--unit=kubelet|--boot|0",
        "--unit=kubelet|--boot|-1",
        "--unit=kubelet|--boot|-99",
        "--pager-end|--lines=3|--unit=kubelet",
        "--pager-end|--lines=0|--unit=kubelet",
        "--pager-end|--lines=100000|--unit=kubelet",
        "--pager-end|--lines=2|--unit=kubelet|--boot|-1",
        "--since=2023-11-14 22:15:30|--unit=kubelet",
        "--since=2023-11-14 17:15:30|--unit=kubelet",
        "--since=2023-11-15 3:45:30|--unit=kubelet",
        "--since=2030-1-1 0:0:0|--unit=kubelet",
        "--since=2023-11-14 22:13:30|--until=2023-11-14 22:16:0|--unit=kubelet",
        "--until=2023-11-14 22:14:0|--unit=kubelet",
        "--unit=kubelet|--grep=syncloop",
        "--unit=kubelet|--grep=SyncLoop",
        "--unit=kubelet|--grep=SYNCLOOP",
        "--unit=kubelet|--grep=zzznomatch",
        "--pager-end|--lines=2|--unit=kubelet|--grep=syncloop",
        "--unit=svc-1|--grep=.*",
        "--unit=kubelet|--grep=second|--boot|0",
    ];
    /// What newer releases of journalctl answer differently.
    const ASKED_OF_252: [&str; 3] = [
        "--since=2023-11-14 22:13:30|--pager-end|--lines=3|--unit=kubelet",
        "--since=2023-11-14 22:13:30|--pager-end|--lines=3|--unit=kubelet|--grep=syncloop",
        "--until=2023-11-14 22:14:0|--pager-end|--lines=5|--unit=kubelet",
    ];

    #[test]
    fn the_recording_answers_as_journalctl_does() {
        if !installed() {
            return;
        }
        let version = Command::new("journalctl").arg("--version").output().unwrap().stdout;
        let old = ["systemd 252", "systemd 253", "systemd 254"].iter().any(|name| version.starts_with(name.as_bytes()));
        for journal in [Journal::Restarts, Journal::Variants, Journal::Rotated, Journal::RotatedRestarts] {
            let root = tempfile::tempdir().unwrap();
            let id = journal.unpack(root.path()).unwrap().unwrap();
            let directory = root.path().join("journal").join(id);
            for zone in ["UTC0", "EST5EDT,M3.2.0,M11.1.0", "IST-5:30"].map(Zone::new) {
                let timed = |asked: &str| asked.contains("since") || asked.contains("until");
                for asked in ASKED.iter().chain(ASKED_OF_252.iter().filter(|_| old)) {
                    // A zone changes nothing but how times are read.
                    if !zone.is_utc() && !timed(asked) {
                        continue;
                    }
                    let mut args: Vec<String> =
                        ["--utc", "--no-pager", "--output=short-precise"].map(str::to_owned).into();
                    args.extend(asked.split('|').map(str::to_owned));
                    let real = Command::new("journalctl")
                        .args(&args)
                        .arg("--directory")
                        .arg(&directory)
                        .env("TZ", &zone.name)
                        .env("LC_ALL", "C")
                        .output()
                        .unwrap();
                    let real = [real.stdout, real.stderr].concat();
                    let recorded = answer(journal.recording(), &zone, &args);
                    assert!(
                        real == recorded,
                        "{journal:?} {} {asked}:\n{}\n--- recorded:\n{}",
                        zone.name,
                        String::from_utf8_lossy(&real[..real.len().min(2000)]),
                        String::from_utf8_lossy(&recorded[..recorded.len().min(2000)])
                    );
                }
            }
        }
    }

    #[test]
    fn a_time_is_the_nodes() {
        assert_eq!(time("2023-11-14 22:13:20", &Zone::new("UTC0")), Some(1_700_000_000_000_000));
        assert_eq!(time("2023-11-15 3:43:20", &Zone::new("IST-5:30")), Some(1_700_000_000_000_000));
        assert_eq!(time("x", &Zone::new("UTC0")), None);
    }
}
