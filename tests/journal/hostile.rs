//! Files that are broken, or made to break a reader: no panic, no hang, no more memory than is allowed.

use std::sync::Arc;

use kubelet_logs::journal::{AnyOf, Journal, Limits, Matches, Need, Notice, Query, Step, short_precise};

use super::driver::{Files, answer, drive, fixtures, read, read_with};
use super::mutate::{Random, mutate, objects};

/// Reads in several ways with tight limits; how many entries there were.
fn read_all_ways(files: &Files) -> usize {
    let limits = Limits { rounds: 400, cache: 1 << 20, ..Limits::default() };
    let kubelet = Matches::all().and(AnyOf::unit("kubelet"));
    let window = Query { since: Some(1_700_000_100_000_000), until: Some(1_700_000_200_000_000), ..Query::default() };
    let mut entries = 0;
    for query in [Query::default(), Query::tail(kubelet.clone(), 50), Query { matches: kubelet, ..window }] {
        let (mut count, mut text) = (0, Vec::new());
        let provide = |_, journal: &mut Journal, files: &Files, need: &Need| answer(journal, files, need);
        drive(files, query, limits, provide, |entry| {
            count += 1;
            text.clear();
            short_precise(&entry, &mut text);
        });
        // No entry comes twice, so a file has no more than it has bytes for.
        assert!(count * 64 <= files.iter().map(|(_, bytes)| bytes.len()).sum::<usize>());
        entries += count;
    }
    let mut journal = Journal::new(files.iter().map(|(name, _)| name.clone()), limits);
    journal.list("_SYSTEMD_UNIT", 100);
    loop {
        match journal.step() {
            Ok(Step::Need(needs)) => needs.iter().for_each(|need| answer(&mut journal, files, need)),
            Ok(Step::End) | Err(_) => return entries,
            Ok(_) => {}
        }
    }
}

#[test]
fn mutated_files_do_no_harm() {
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |n| n.parse().expect("a number"));
    let (seed, count) = (number("JOURNAL_SEED", 5), number("JOURNAL_MUTATIONS", 1000));
    let originals: Vec<(Vec<u8>, Vec<usize>)> = ["c1k1ZSTD", "c0k0XZ", "c0k0LZ4", "c0k00"]
        .iter()
        .map(|name| Vec::clone(&fixtures(&format!("{name}.journal"))[0].1))
        .map(|bytes| (objects(&bytes), bytes))
        .map(|(objects, bytes)| (bytes, objects))
        .collect();
    let mut entries = 0;
    for nth in 0..count {
        let mut random = Random(seed.wrapping_add(nth.wrapping_mul(0x1000_0001)));
        let (original, objects) = &originals[(nth % originals.len() as u64) as usize];
        let mut bytes = original.clone();
        mutate(&mut bytes, objects, &mut random);
        let files = vec![("system.journal".to_owned(), Arc::new(bytes))];
        let read = std::panic::catch_unwind(|| read_all_ways(&files));
        entries += read.unwrap_or_else(|_| panic!("mutation {nth} with JOURNAL_SEED={seed} broke the reader"));
    }
    println!("JOURNAL_SEED={seed}: {count} files, {entries} entries");
    assert!(entries > 100 * count as usize, "most of most files can be read");
}

/// Sets a word in every object of a kind.
fn craft(bytes: &[u8], kind: u8, offset: usize, value: impl Fn(usize) -> u64) -> Files {
    let mut crafted = bytes.to_vec();
    for object in objects(bytes).into_iter().filter(|object| bytes[*object] == kind) {
        crafted[object + offset..object + offset + 8].copy_from_slice(&value(object).to_le_bytes());
    }
    vec![("system.journal".to_owned(), Arc::new(crafted))]
}

#[test]
fn loops_and_lies_come_to_an_end() {
    let original = Vec::clone(&fixtures("c0k00.journal")[0].1);
    let word = |at: usize| u64::from_le_bytes(original[at..at + 8].try_into().unwrap());
    // What it is, in which kind of object, where, and by the object's place the word put there.
    type Case = (&'static str, u8, usize, fn(usize) -> u64);
    let cases: [Case; 10] = [
        ("hash chains that lead to themselves", 1, 24, |at| at as u64),
        ("fields that lead to themselves", 1, 32, |at| at as u64),
        ("arrays that lead to themselves", 6, 16, |at| at as u64),
        ("arrays that lead back", 6, 16, |at| at as u64 - 8),
        ("arrays that claim to be endless", 6, 8, |_| u64::MAX - 7),
        ("values that claim to be endless", 1, 8, |_| u64::MAX - 7),
        ("values that claim to be in every entry there can be", 1, 56, |_| u64::MAX),
        ("values that claim to be 256 KiB", 1, 8, |_| 256 << 10),
        ("entries that claim to be endless", 3, 8, |_| 1 << 40),
        ("values that claim to be packed", 1, 0, |_| 0x0401),
    ];
    for (what, kind, offset, value) in cases {
        println!("{what}: {} entries", read_all_ways(&craft(&original, kind, offset, value)));
    }
    for (what, at, value) in [
        ("endless entries", 152, u64::MAX),
        ("a table as long as all there is", 112, word(112) << 40),
        ("objects before the header's end", 176, 8),
        ("a last object far away", 136, u64::MAX - 7),
        ("no arena", 96, 0),
    ] {
        let mut bytes = original.clone();
        bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        println!("{what}: {} entries", read_all_ways(&vec![("system.journal".to_owned(), Arc::new(bytes))]));
    }
}

#[test]
fn one_bad_slot_costs_one_entry() {
    let original = Vec::clone(&fixtures("c0k00.journal")[0].1);
    let array = u64::from_le_bytes(original[176..184].try_into().unwrap()) as usize;
    let all = read(&vec![("system.journal".to_owned(), Arc::new(original.clone()))], Query::default()).entries;
    // The first array has four.
    for nth in [0, 1, 3] {
        let mut bytes = original.clone();
        // The highest byte of a place.
        bytes[array + 24 + 8 * nth + 7] = 0xff;
        let files = vec![("system.journal".to_owned(), Arc::new(bytes))];
        let expected: Vec<_> = all.iter().enumerate().filter(|(at, _)| *at != nth).map(|(_, entry)| entry).collect();
        for query in [Query::default(), Query::tail(Matches::all(), 100_000)] {
            let run = read(&files, query);
            assert!(run.entries.iter().eq(expected.iter().copied()), "{nth}: {} entries", run.entries.len());
            assert!(matches!(run.notices[..], [Notice::EntrySkipped { .. }]), "{nth}: {:?}", run.notices);
        }
    }
}

#[test]
fn of_too_many_files_the_oldest_are_left_out() {
    let files = fixtures("rotated");
    let whole = read(&files, Query::default()).entries;
    let limits = Limits { files: 2, ..Limits::default() };
    // Not as a server lists them: the newest in front.
    let listed: Files = files.iter().rev().cloned().collect();
    for files in [&files, &listed] {
        let run = read_with(files, Query::default(), limits, |_, journal, files, need| {
            let name = journal.name(need.file).expect("a name").to_owned();
            let (_, bytes) = files.iter().find(|(known, _)| *known == name).expect("a file");
            let piece = |range: &std::ops::Range<u64>| {
                (range.start, &bytes[range.start as usize..bytes.len().min(range.end as usize)])
            };
            journal.provide(need.file, bytes.len() as u64, need.ranges.iter().map(piece));
        });
        assert_eq!(run.notices, [Notice::TooManyFiles { left_out: files.len() - 2 }]);
        assert!(run.entries.len() > 500 && whole.ends_with(&run.entries), "{} entries", run.entries.len());
    }
}
