//! A journal that grows and rotates, as it once did: for machines where none can be made.
//!
//! `fixtures/journals/growing.gz` holds what changed in the files of a journal from step to step, written by
//! `systemd-journal-remote` 252. Each record is a line of JSON and, where it says `bytes`, so many bytes after it:
//! a file renamed (`file`, `to`), given a size (`file`, `size`), written to (`file`, `at`, `bytes`); the end of a step
//! (`entries` so far); and last what `journalctl -o short-precise` printed of it all (`bytes` alone). `RECORD=1` makes it anew.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use super::{Live, Variant, journalctl};

/// One record's line.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Head {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entries: Option<u64>,
}

/// The recording being played.
pub(crate) struct Replay {
    recording: Vec<u8>,
    /// How much of it is done.
    at: usize,
    directory: PathBuf,
}

impl Replay {
    /// Below a /var/log; nothing is there before the first step.
    pub(crate) fn new(var_log: &Path) -> Replay {
        let mut recording = Vec::new();
        let packed: &[u8] = include_bytes!("../../../fixtures/journals/growing.gz");
        GzDecoder::new(packed).read_to_end(&mut recording).expect("a gzip fixture");
        let directory = var_log.join("journal/0123456789abcdef0123456789abcdef");
        fs::create_dir_all(&directory).expect("a directory");
        Replay { recording, at: 0, directory }
    }

    /// Where its files are.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Does what was done in one step; how many entries there are then, or `None` when it was the last before.
    pub(crate) fn step(&mut self) -> Option<u64> {
        let mut changes = Changes::default();
        loop {
            let before = self.at;
            let (head, bytes) = self.record();
            let path = |name: String| self.directory.join(name);
            match head {
                Head { file: Some(file), to: Some(to), .. } => {
                    changes.make(&self.recording);
                    changes = Changes { file: path(file), to: Some(path(to)), ..Changes::default() };
                }
                Head { file: Some(file), size, at, .. } => {
                    let file = path(file);
                    if *changes.to.as_ref().unwrap_or(&changes.file) != file {
                        changes.make(&self.recording);
                        changes = Changes { file, ..Changes::default() };
                    }
                    changes.size = changes.size.or(size);
                    changes.writes.extend(at.map(|at| (at, bytes)));
                }
                Head { entries, .. } => {
                    changes.make(&self.recording);
                    self.at = if entries.is_some() { self.at } else { before };
                    return entries;
                }
            }
        }
    }

    /// What is printed of all entries; to be asked for after the last step.
    pub(crate) fn text(&mut self) -> Vec<u8> {
        let bytes = self.record().1;
        self.recording[bytes].to_vec()
    }

    fn record(&mut self) -> (Head, Range<usize>) {
        let rest = &self.recording[self.at..];
        let end = memchr::memchr(b'\n', rest).expect("a line") + 1;
        let head: Head = serde_json::from_slice(&rest[..end]).expect("a record");
        let start = self.at + end;
        self.at = start + head.bytes.unwrap_or(0);
        (head, start..self.at)
    }
}

/// What one step changes in one file.
#[derive(Default)]
struct Changes {
    file: PathBuf,
    to: Option<PathBuf>,
    size: Option<u64>,
    /// Where which part of the recording goes.
    writes: Vec<(u64, Range<usize>)>,
}

impl Changes {
    /// Makes them as a journal's writer does: entries and arrays, which lie behind what counts them, are there before they are
    /// counted, and a file that is moved away is whole.
    fn make(&self, recording: &[u8]) {
        if let Some(size) = self.size {
            open(&self.file).set_len(size).expect("room");
        }
        for (at, bytes) in self.writes.iter().rev() {
            open(&self.file).write_all_at(&recording[bytes.clone()], *at).expect("room");
        }
        if let Some(to) = &self.to {
            fs::rename(&self.file, to).expect("a file to rename");
        }
    }
}

fn open(path: &Path) -> File {
    OpenOptions::new().create(true).truncate(false).write(true).open(path).expect("a file")
}

/// Records a journal that grows; `None` where none can be made.
fn record() -> Option<Vec<u8>> {
    let root = tempfile::tempdir().expect("a directory");
    let variant = Variant { compact: true, keyed: true, compressed: false };
    let mut live = Live::new(root.path(), variant, "recording a journal that grows")?;
    let (mut before, mut out) = (BTreeMap::new(), Vec::new());
    let steps: [fn(&mut Live); 9] = [
        |live| live.append(3),
        |live| live.append(1),
        |live| live.append(60),
        Live::rotate,
        |live| live.append(1),
        |live| live.append(30),
        Live::rotate,
        |live| live.append(1),
        |live| live.append(40),
    ];
    for step in steps {
        step(&mut live);
        let now = contents(live.directory());
        record_changes(&before, &now, &mut out);
        write(&mut out, &Head { entries: Some(live.written()), ..Head::default() }, &[]);
        before = now;
    }
    let text = journalctl(live.directory(), &["-o", "short-precise"]);
    write(&mut out, &Head { bytes: Some(text.len()), ..Head::default() }, &text);
    Some(out)
}

type Contents = BTreeMap<String, Vec<u8>>;

fn contents(directory: &Path) -> Contents {
    let files = fs::read_dir(directory).expect("a directory").map(|file| file.expect("a file").path());
    let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
    files.map(|path| (name(&path), fs::read(&path).expect("a journal file"))).collect()
}

fn record_changes(before: &Contents, now: &Contents, out: &mut Vec<u8>) {
    /// Where a journal file says which one it is.
    const FILE_ID: Range<usize> = 24..40;
    const BLOCK: usize = 64;
    let mut known: BTreeMap<&[u8], (&String, &Vec<u8>)> =
        before.iter().map(|(name, bytes)| (&bytes[FILE_ID], (name, bytes))).collect();
    // A file is moved away before another one takes its name.
    let mut files: Vec<_> = now.iter().collect();
    files.sort_by_key(|(name, bytes)| (known.get(&bytes[FILE_ID]).is_none_or(|(old, _)| old == name), *name));
    for (name, bytes) in files {
        let old = known.remove(&bytes[FILE_ID]);
        let file = || Some(name.clone());
        if let Some((old, _)) = old.filter(|(old, _)| *old != name) {
            write(out, &Head { file: Some(old.clone()), to: file(), ..Head::default() }, &[]);
        }
        let old = old.map_or(&[][..], |(_, bytes)| bytes);
        if old.len() != bytes.len() {
            write(out, &Head { file: file(), size: Some(bytes.len() as u64), ..Head::default() }, &[]);
        }
        // A new file is all zeros.
        let same = |at: usize| {
            let block = &bytes[at..bytes.len().min(at + BLOCK)];
            old.get(at..at + block.len()).map_or(block.iter().all(|byte| *byte == 0), |old| old == block)
        };
        let mut blocks = (0..bytes.len()).step_by(BLOCK).peekable();
        while let Some(start) = blocks.next() {
            if same(start) {
                continue;
            }
            let mut end = start + BLOCK;
            while blocks.next_if(|at| !same(*at)).is_some() {
                end += BLOCK;
            }
            let part = &bytes[start..end.min(bytes.len())];
            write(
                out,
                &Head { file: file(), at: Some(start as u64), bytes: Some(part.len()), ..Head::default() },
                part,
            );
        }
    }
}

fn write(out: &mut Vec<u8>, head: &Head, bytes: &[u8]) {
    serde_json::to_writer(&mut *out, head).expect("JSON");
    out.push(b'\n');
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::journal;

    #[test]
    fn the_recording_grows_as_the_journal_did() {
        if std::env::var_os("RECORD").is_some()
            && let Some(recording) = record()
        {
            let mut packed = GzEncoder::new(Vec::new(), Compression::best());
            packed.write_all(&recording).expect("memory");
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/journals/growing.gz");
            fs::write(path, packed.finish().expect("memory")).expect("the fixture");
            return;
        }
        let root = tempfile::tempdir().expect("a directory");
        let mut replay = Replay::new(root.path());
        let mut files = Vec::new();
        while let Some(entries) = replay.step() {
            files.push(replay.directory().read_dir().expect("files").count());
            if journal::installed() {
                let said = journalctl(replay.directory(), &["-o", "export", "--output-fields=_PID"]);
                assert_eq!(memchr::memmem::find_iter(&said, b"__CURSOR=").count() as u64, entries);
            }
        }
        assert_eq!(files, [1, 1, 1, 2, 2, 2, 3, 3, 3]);
        let text = replay.text();
        assert!(text.starts_with(b"Nov 14 00:00:00.") && text.ends_with(b"\n"));
        if journal::installed() {
            assert!(
                text == journalctl(replay.directory(), &["-o", "short-precise"]),
                "the text is not what is printed"
            );
        }
    }
}
