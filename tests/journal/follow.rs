//! A file that grows and is archived while it is read: every entry once.

use std::collections::HashMap;
use std::sync::Arc;

use kubelet_logs::journal::{AnyOf, Journal, Limits, Matches, Notice, Query, Step, short_precise};

use super::driver::{Files, fixtures, read};
use super::mutate::Random;

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// The file as it was after its first `entries` entries, but for objects that came later, which a reader may see as well.
fn past(bytes: &[u8], entries: u64) -> Vec<u8> {
    let mut past = bytes.to_vec();
    let compact = u64_at(bytes, 8) >> 32 & 16 != 0;
    let stride = if compact { 4 } else { 8 };
    let (mut array, mut start) = (u64_at(bytes, 176), 0);
    loop {
        let room = (u64_at(bytes, array as usize + 8) - 24) / stride;
        if entries <= start + room {
            break;
        }
        (array, start) = (u64_at(bytes, array as usize + 16), start + room);
    }
    let slot = (array + 24 + (entries - 1 - start) * stride) as usize;
    let entry = if compact { u64_at(bytes, slot) & 0xffff_ffff } else { u64_at(bytes, slot) } as usize;
    let mut set = |at: usize, value: u64| past[at..at + 8].copy_from_slice(&value.to_le_bytes());
    set(136, entry as u64);
    set(152, entries);
    set(160, u64_at(bytes, entry + 16));
    set(192, u64_at(bytes, entry + 24));
    set(200, u64_at(bytes, entry + 32));
    if u64_at(bytes, 88) >= 264 {
        set(256, array | (entries - start) << 32);
    }
    past
}

/// Steps to the end; the text of the entries, and what else was told.
fn run(journal: &mut Journal, folder: &HashMap<String, Arc<Vec<u8>>>, text: &mut Vec<u8>) -> Vec<Notice> {
    let mut notices = Vec::new();
    loop {
        match journal.step().expect("an end") {
            Step::Need(needs) => {
                for need in needs {
                    let Some(bytes) = folder.get(journal.name(need.file).unwrap()) else {
                        journal.gone(need.file);
                        continue;
                    };
                    let piece = |range: &std::ops::Range<u64>| {
                        (range.start, &bytes[range.start as usize..(range.end as usize).min(bytes.len())])
                    };
                    let pieces: Vec<(u64, &[u8])> = need.ranges.iter().map(piece).collect();
                    journal.provide(need.file, bytes.len() as u64, pieces);
                }
            }
            Step::Entry(entry) => short_precise(&entry, text),
            Step::Notice(notice) => notices.push(notice),
            Step::Value(value) => panic!("nobody asked for {value:?}"),
            Step::End => return notices,
        }
    }
}

fn folder(files: &Files) -> HashMap<String, Arc<Vec<u8>>> {
    files.iter().cloned().collect()
}

#[test]
fn what_is_added_is_read_once() {
    let mut random = Random(3);
    for name in ["c1k1ZSTD.journal", "c0k00.journal", "restarts-header264.journal", "restarts-header256.journal"] {
        let whole = fixtures(name).remove(0).1;
        let all = u64_at(&whole, 152);
        for matches in [Matches::all(), Matches::all().and(AnyOf::unit("kubelet"))] {
            let mut entries = 1 + random.below(all / 2);
            let now = |entries| folder(&vec![("system.journal".into(), Arc::new(past(&whole, entries)))]);
            let mut journal = Journal::new(["system.journal".to_owned()], Limits::default());
            journal.read(Query::new(matches.clone()));
            let mut text = Vec::new();
            assert_eq!(run(&mut journal, &now(entries), &mut text), []);
            while entries < all {
                journal.poll();
                assert_eq!(run(&mut journal, &now(entries), &mut text), [], "nothing new");
                let step = if random.below(2) == 0 { 5 } else { all };
                entries = all.min(entries + 1 + random.below(step));
                journal.poll();
                assert_eq!(run(&mut journal, &now(entries), &mut text), []);
            }
            let expected = read(&vec![("system.journal".into(), whole.clone())], Query::new(matches)).text();
            assert!(text == expected.as_bytes(), "{name}: {} bytes of {}", text.len(), expected.len());
        }
    }
}

#[test]
fn an_archived_file_is_read_to_its_end_and_then_its_successor() {
    let files = fixtures("rotated-restarts");
    let (successor, archived) = (&files[0], &files[1]);
    assert_eq!(successor.0, "system.journal");
    let first = u64_at(&archived.1, 152);
    for matches in [Matches::all(), Matches::all().and(AnyOf::unit("kubelet"))] {
        let expected = read(&files, Query::new(matches.clone())).text();
        for (before, tail) in [(first / 3, false), (first, false), (first / 2, true)] {
            let now = folder(&vec![("system.journal".into(), Arc::new(past(&archived.1, before)))]);
            let mut journal = Journal::new(["system.journal".to_owned()], Limits::default());
            journal.read(if tail { Query::tail(matches.clone(), 1) } else { Query::new(matches.clone()) });
            let mut text = Vec::new();
            assert_eq!(run(&mut journal, &now, &mut text), []);
            journal.poll();
            let notices = run(&mut journal, &folder(&files), &mut text);
            let [Notice::Rotated { name, .. }] = &notices[..] else { panic!("{notices:?}") };
            assert_eq!(*name, archived.0);
            journal.poll();
            assert_eq!(run(&mut journal, &folder(&files), &mut text), []);
            let text = String::from_utf8_lossy(&text);
            assert!(if tail { expected.ends_with(&*text) && text.len() > 1000 } else { text == expected }, "{before}");
        }
    }
}

#[test]
fn rotation_in_the_middle_of_a_read_is_survived() {
    let files = fixtures("rotated-restarts");
    let before = folder(&vec![("system.journal".into(), files[1].1.clone())]);
    let expected = read(&files, Query::default()).text();
    // Its successor may have room, and no header yet.
    let mut between = folder(&files);
    between.insert("system.journal".into(), Arc::new(vec![0; files[0].1.len()]));
    for (at, born) in (2..6).flat_map(|at| [(at, at), (at, at + 1)]) {
        let mut journal = Journal::new(["system.journal".to_owned()], Limits::default());
        journal.read(Query::default());
        let (mut text, mut round, mut polled) = (Vec::new(), 0, false);
        loop {
            match journal.step().unwrap() {
                Step::Need(needs) => {
                    round += 1;
                    let folder = match round {
                        _ if round < at => &before,
                        _ if round < born => &between,
                        _ => &folder(&files),
                    };
                    for need in needs {
                        let bytes = &folder[journal.name(need.file).unwrap()];
                        let pieces: Vec<(u64, &[u8])> = need
                            .ranges
                            .iter()
                            .map(|range| (range.start, &bytes[range.start as usize..range.end as usize]))
                            .collect();
                        journal.provide(need.file, bytes.len() as u64, pieces);
                    }
                }
                Step::Entry(entry) => short_precise(&entry, &mut text),
                Step::Notice(Notice::Rotated { .. }) => {}
                Step::End if polled => break,
                // What was asked for ends with the file; its successor is followed.
                Step::End => {
                    assert!(expected.as_bytes().starts_with(&text), "in round {at}");
                    polled = true;
                    journal.poll();
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(text == expected.as_bytes(), "in round {at}: {} bytes of {}", text.len(), expected.len());
    }
}
