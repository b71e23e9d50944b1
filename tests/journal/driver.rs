//! Files in memory as a server of ranges, which counts what it is asked.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::GzDecoder;
use kubelet_logs::journal::{
    Corrupt, Entry, Found, Id, Instances, Journal, Limits, Need, Notice, Query, Step, Value, short_precise,
};

/// A journal directory: file names and contents.
pub(crate) type Files = Vec<(String, Arc<Vec<u8>>)>;

/// What reading gave, and what it cost.
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub(crate) entries: Vec<Entry>,
    pub(crate) notices: Vec<Notice>,
    pub(crate) end: Option<Corrupt>,
    pub(crate) rounds: usize,
    /// Of at most 320 ranges and 1 MiB, each for one file.
    pub(crate) requests: usize,
    /// With what each part of an answer costs.
    pub(crate) bytes: u64,
}

impl Run {
    /// The entries as text, oldest first.
    pub(crate) fn text(&self) -> String {
        let mut text = Vec::new();
        self.entries.iter().for_each(|entry| short_precise(entry, &mut text));
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// Reads all that is asked for, each need answered with just what it asks.
pub(crate) fn read(files: &Files, query: Query) -> Run {
    read_with(files, query, Limits::default(), |_, journal, files, need| answer(journal, files, need))
}

/// Answers a need exactly.
pub(crate) fn answer(journal: &mut Journal, files: &Files, need: &Need) {
    let (_, bytes) = &files[need.file.0];
    let piece = |range: &std::ops::Range<u64>| {
        let end = (range.end as usize).min(bytes.len());
        (range.start, &bytes[(range.start as usize).min(end)..end])
    };
    let pieces: Vec<(u64, &[u8])> = need.ranges.iter().map(piece).collect();
    journal.provide(need.file, bytes.len() as u64, pieces);
}

/// Reads, and has `provide` answer the needs.
pub(crate) fn read_with(
    files: &Files,
    query: Query,
    limits: Limits,
    provide: impl FnMut(usize, &mut Journal, &Files, &Need),
) -> Run {
    let newest_first = query.order == kubelet_logs::journal::Order::NewestFirst;
    let mut entries = Vec::new();
    let mut run = drive(files, query, limits, provide, |entry| entries.push(entry));
    if newest_first {
        entries.reverse();
    }
    run.entries = entries;
    run
}

/// The same without keeping the entries.
pub(crate) fn drive(
    files: &Files,
    query: Query,
    limits: Limits,
    mut provide: impl FnMut(usize, &mut Journal, &Files, &Need),
    mut meet: impl FnMut(Entry),
) -> Run {
    let mut journal = Journal::new(files.iter().map(|(name, _)| name.clone()), limits);
    journal.read(query);
    let mut run = Run::default();
    loop {
        match journal.step() {
            Ok(Step::Need(needs)) => {
                run.rounds += 1;
                for need in &needs {
                    count(&mut run, need);
                    provide(run.rounds, &mut journal, files, need);
                }
            }
            Ok(Step::Entry(entry)) => meet(entry),
            Ok(Step::Value(value)) => panic!("nobody asked for {value:?}"),
            Ok(Step::Notice(notice)) => run.notices.push(notice),
            Ok(Step::End) => break,
            Err(corrupt) => {
                run.end = Some(corrupt);
                break;
            }
        }
    }
    run
}

/// The values that a question asks for.
pub(crate) fn values(files: &Files, ask: impl FnOnce(&mut Journal)) -> Vec<Value> {
    let mut journal = Journal::new(files.iter().map(|(name, _)| name.clone()), Limits::default());
    ask(&mut journal);
    values_of(&mut journal, files)
}

/// The values that were asked for.
pub(crate) fn values_of(journal: &mut Journal, files: &Files) -> Vec<Value> {
    let mut values = Vec::new();
    loop {
        match journal.step().expect("an end") {
            Step::Need(needs) => needs.iter().for_each(|need| answer(journal, files, need)),
            Step::Value(value) => values.push(value),
            Step::End => return values,
            other => panic!("{other:?}"),
        }
    }
}

/// The runs of a unit, oldest first, and after how many rounds the newest two were known.
pub(crate) fn runs(files: &Files, unit: &str, boot: Option<Id>) -> (Vec<Id>, usize) {
    let journal = Journal::new(files.iter().map(|(name, _)| name.clone()), Limits::default());
    let mut instances = Instances::new(journal, unit, boot);
    let (mut found, mut rounds, mut of_two) = (Vec::new(), 0, 0);
    loop {
        match instances.step().expect("an end") {
            Found::Step(Step::Need(needs)) => {
                rounds += 1;
                needs.iter().for_each(|need| answer(instances.journal_mut(), files, need));
            }
            Found::Step(other) => panic!("{other:?}"),
            Found::Instance(instance) => {
                assert!(instance.first.compare(&instance.last).is_le());
                found.insert(0, instance.id);
                if found.len() == 2 {
                    of_two = rounds;
                }
            }
            Found::End => return (found, of_two),
        }
    }
}

/// Adds what a need costs over HTTP.
fn count(run: &mut Run, need: &Need) {
    let mut parts: Vec<std::ops::Range<u64>> = Vec::new();
    for range in &need.ranges {
        match parts.last_mut() {
            Some(last) if range.start <= last.end + 256 => last.end = range.end,
            _ => parts.push(range.clone()),
        }
    }
    let (mut ranges, mut bytes) = (0, 0);
    run.requests += 1;
    for part in parts {
        let len = part.end - part.start;
        if ranges == 320 || (bytes > 0 && bytes + len > 1 << 20) {
            (ranges, bytes) = (0, 0);
            run.requests += 1;
        }
        ranges += 1;
        bytes += len;
        run.bytes += len + 154;
    }
}

/// The files of a folder.
pub(crate) fn files_of(folder: &Path) -> Files {
    let paths = folder.read_dir().expect("a folder").map(|file| file.expect("a file").path());
    let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
    paths.map(|path| (name(&path), std::fs::read(&path).expect("a file").into())).collect()
}

/// A folder of the fixtures' journals, or one of its files.
pub(crate) fn fixtures(name: &str) -> Files {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/journals").join(name);
    let mut paths: Vec<PathBuf> = if path.is_dir() {
        std::fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path()).collect()
    } else {
        vec![path.with_file_name(format!("{name}.gz"))]
    };
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let mut bytes = Vec::new();
            GzDecoder::new(std::fs::File::open(&path).expect("a fixture")).read_to_end(&mut bytes).expect("gzip");
            let name = path.file_name().expect("a name").to_string_lossy();
            (name.strip_suffix(".gz").expect(".gz").to_owned(), Arc::new(bytes))
        })
        .collect()
}
