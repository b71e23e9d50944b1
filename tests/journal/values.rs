//! Boots, units and the runs of a unit.

use kubelet_logs::journal::{Id, Journal, Limits, Value};

use super::driver::{Files, fixtures, runs, values_of as values};
use super::oracle::{Recording, expected, restarts};

fn journal(files: &Files) -> Journal {
    Journal::new(files.iter().map(|(name, _)| name.clone()), Limits::default())
}

#[test]
fn boots_are_those_that_journalctl_lists() {
    // `YYYY-MM-DD HH:MM:SS` of 14 November 2023, the day of all fixtures.
    let time = |micros: u64| {
        let seconds = micros / 1_000_000 - 1_699_920_000;
        format!("Tue 2023-11-14 {:02}:{:02}:{:02} UTC", seconds / 3600, seconds / 60 % 60, seconds % 60)
    };
    let listed = expected("expected-restarts.list-boots.txt");
    for (name, files) in restarts() {
        let mut journal = journal(&files);
        journal.list_boots();
        let boots = values(&mut journal, &files);
        let last = boots.len() as i64 - 1;
        let mut text = "IDX BOOT ID                          FIRST ENTRY                 LAST ENTRY\n".to_owned();
        for (nth, boot) in boots.iter().enumerate() {
            let (first, last_entry) = (time(boot.first.realtime), time(boot.last.realtime));
            text += &format!("{:3} {} {first} {last_entry}\n", nth as i64 - last, boot.id().unwrap());
        }
        let lines = |text: &str| text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
        assert_eq!(lines(&text), lines(&listed), "{name}");
    }
}

#[test]
fn units_are_those_that_were_recorded() {
    for (files, recording) in [(fixtures("rotated"), "rotated"), (fixtures("restarts-header256.journal"), "restarts")] {
        let recording = Recording::of(recording);
        let mut journal = journal(&files);
        journal.list("_SYSTEMD_UNIT", 4096);
        let listed = values(&mut journal, &files);
        let mut units: Vec<&str> = listed.iter().map(|value| std::str::from_utf8(value.value()).unwrap()).collect();
        units.sort_unstable();
        assert_eq!(units, recording.units);
        assert_eq!(journal.begins(), Some(recording.entries[0].realtime));
        let of = |unit: &str| format!("_SYSTEMD_UNIT={unit}").into_bytes();
        journal.find(vec![of("kubelet.service"), of("k3s.service"), of("containerd.service")]);
        let mut found = values(&mut journal, &files);
        found.sort_by(|a, b| a.bytes.cmp(&b.bytes));
        assert_eq!(
            found.iter().map(Value::value).collect::<Vec<_>>(),
            [&b"containerd.service"[..], b"kubelet.service"]
        );
        for value in &found {
            assert!(listed.contains(value), "the two ways agree: {value:?}");
            // Lines of systemd about the unit are the unit's as well, but do not carry this value.
            let place = recording.units.iter().position(|unit| unit.as_bytes() == value.value()).unwrap();
            let times: Vec<u64> =
                recording.entries.iter().filter(|entry| entry.units.contains(&place)).map(|e| e.realtime).collect();
            assert!(times.contains(&value.first.realtime) && times.contains(&value.last.realtime));
        }
    }
}

#[test]
fn the_runs_of_a_unit_are_found_newest_first() {
    let known: Vec<Id> = expected("expected-restarts.invocations.txt")
        .lines()
        .map(|line| line.split(' ').next().unwrap().parse().unwrap())
        .collect();
    for (name, files) in restarts() {
        let runs = |boot| runs(&files, "kubelet.service", boot);
        let (all, rounds) = runs(None);
        println!("{name}: {rounds} rounds for the previous run");
        assert_eq!(all, known, "{name}");
        let mut boots = journal(&files);
        boots.list_boots();
        let mut of_boots: Vec<Id> =
            values(&mut boots, &files).iter().flat_map(|boot| runs(Some(boot.id().unwrap())).0).collect();
        // The last lines about a run may come in the next boot.
        of_boots.dedup();
        assert_eq!(of_boots, known, "{name}, boot by boot");
    }
}
