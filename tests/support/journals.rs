//! Journals made in the test run by the real `systemd-journal-remote`, where it is installed, and read back by the real
//! `journalctl`.
//!
//! Version 252 can write compact or regular files, with keyed hashes or without, compressed with ZSTD or not at all; it
//! knows no `SYSTEMD_JOURNAL_COMPRESS`, so LZ4 and XZ are left to the fixtures. Its files have headers of 264 bytes. How large
//! a file may grow it takes from the file system; a limit on the process's file size makes it rotate earlier, as journald does
//! on a full disk: the file is archived under the name from its header, and the next one goes on with its sequence numbers.
//! It also rotates when three quarters of a hash table are taken: after some 175,000 different payloads.
#![allow(dead_code, reason = "shared by tests, of which each uses a part")]

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use crate::cluster::journal;

pub(crate) mod entries;
pub(crate) mod replay;

use entries::{Entries, Filling};

/// How files are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Variant {
    pub(crate) compact: bool,
    pub(crate) keyed: bool,
    /// Payloads from 512 bytes on, with ZSTD.
    pub(crate) compressed: bool,
}

impl Variant {
    /// What systemd 252 and later write by default.
    pub(crate) const NEW: Variant = Variant { compact: true, keyed: true, compressed: true };
    /// What older ones wrote, but for their compression.
    pub(crate) const OLD: Variant = Variant { compact: false, keyed: false, compressed: false };

    /// All that 252 can write.
    pub(crate) fn all() -> [Variant; 8] {
        std::array::from_fn(|bits| Variant { compact: bits & 1 > 0, keyed: bits & 2 > 0, compressed: bits & 4 > 0 })
    }

    fn name(self) -> String {
        let word = |yes: bool, word: &'static str| if yes { word } else { "" };
        let Variant { compact, keyed, compressed } = self;
        format!("{}{}{}", if compact { "compact" } else { "regular" }, word(keyed, "-keyed"), word(compressed, "-zstd"))
    }
}

/// Files grow by this many bytes at a time, so a limit must be a multiple of it.
pub(crate) const GROWTH: u64 = 8 << 20;

/// Where the program is; `None`, with a printed line, where it is not installed or there is no journalctl to compare with.
pub(crate) fn remote(test: &str) -> Option<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let places = ["/lib/systemd", "/usr/lib/systemd"].map(PathBuf::from);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let places = places.into_iter().chain(std::env::split_paths(&path));
        places.map(|place| place.join("systemd-journal-remote")).find(|program| program.is_file())
    });
    let found = found.as_deref().filter(|_| journal::installed());
    if found.is_none() {
        let why = "systemd-journal-remote or journalctl is not installed";
        let _ = writeln!(io::stderr(), "skipped: {test}: {why}");
    }
    found
}

/// What `journalctl -q --utc` prints with these arguments over the files in a directory.
pub(crate) fn journalctl(directory: &Path, args: &[&str]) -> Vec<u8> {
    let mut command = Command::new("journalctl");
    command.args(["-q", "--utc", "--no-pager", "-D"]).arg(directory).args(args);
    let ended = command.env("LC_ALL", "C").env("TZ", "UTC0").stdin(Stdio::null()).output().expect("journalctl runs");
    assert!(ended.status.success(), "journalctl {args:?}: {}", String::from_utf8_lossy(&ended.stderr));
    ended.stdout
}

/// Where a node keeps its journal, below its /var/log.
const FOLDER: &str = "journal/0123456789abcdef0123456789abcdef";

/// A /var/log with the files of a directory as its journal: the same files, not copies.
pub(crate) fn var_log(directory: &Path) -> tempfile::TempDir {
    // Links reach no further than a file system.
    let beside = directory.parent().expect("a directory below target");
    let folder = tempfile::Builder::new().prefix("var-log-").tempdir_in(beside).expect("a directory");
    let journal = folder.path().join(FOLDER);
    fs::create_dir_all(&journal).expect("a directory");
    for file in fs::read_dir(directory).expect("files") {
        let file = file.expect("a file");
        fs::hard_link(file.path(), journal.join(file.file_name())).expect("a link");
    }
    folder
}

/// A day's journal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Day {
    pub(crate) seed: u64,
    pub(crate) entries: u64,
    pub(crate) variant: Variant,
    /// Where files are rotated, a multiple of [`GROWTH`]; 0 for the program's own limit of 128 MiB.
    pub(crate) file_size: u64,
}

impl Day {
    /// The directory with its files, made now or by an earlier run: it is kept below cargo's target directory, and must not be
    /// changed. `None` where it can't be made.
    pub(crate) fn directory(&self, test: &str) -> Option<PathBuf> {
        static MAKING: Mutex<()> = Mutex::new(());
        let program = remote(test)?;
        let Day { seed, entries, variant, file_size } = self;
        // To be changed with what the entries are.
        const EDITION: u32 = 1;
        let name = format!("day-{EDITION}-{entries}-{seed}-{}-{}", variant.name(), file_size >> 20);
        // Of tests, benches and examples alike it is three steps up from the program that runs.
        let running = std::env::current_exe().expect("a program that runs");
        let kept = running.ancestors().nth(3).expect("cargo's target directory").join("tmp/journals");
        let _making = MAKING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let directory = kept.join(&name);
        if directory.is_dir() {
            return Some(directory);
        }
        fs::create_dir_all(&kept).expect("a directory below target");
        // Whole or not at all: a run may be stopped, and another one be at it too.
        let making = tempfile::Builder::new().prefix("making-").tempdir_in(&kept).expect("a directory below target");
        let mut writer = Writer::start(program, making.path(), *variant, *file_size).expect("the program starts");
        Entries::over_a_day(*seed, *entries).write(*entries, &mut writer.input()).expect("it reads");
        writer.finish();
        let made = making.keep();
        if fs::rename(&made, &directory).is_err() {
            fs::remove_dir_all(made).expect("another run's was first");
        }
        Some(directory)
    }
}

/// A running `systemd-journal-remote` that writes `system.journal` in a directory and rotates it.
pub(crate) struct Writer {
    child: Child,
    input: Option<ChildStdin>,
}

impl Writer {
    /// Starts it; it goes on with a file that is there already.
    pub(crate) fn start(program: &Path, directory: &Path, variant: Variant, file_size: u64) -> io::Result<Writer> {
        assert!(file_size.is_multiple_of(GROWTH), "files grow by 8 MiB at a time");
        let flag = |on: bool| if on { "1" } else { "0" };
        let mut command = Command::new("sh");
        // A file that would grow past the limit is rotated, if only the signal about it is not fatal. POSIX counts blocks.
        let blocks = if file_size == 0 { "unlimited".to_owned() } else { (file_size / 512).to_string() };
        command.args(["-c", &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\""), "sh"]).arg(program);
        command.arg(if variant.compressed { "--compress=yes" } else { "--compress=no" });
        command.arg("-o").arg(directory.join("system.journal")).arg("-");
        command.env("SYSTEMD_JOURNAL_COMPACT", flag(variant.compact));
        command.env("SYSTEMD_JOURNAL_KEYED_HASH", flag(variant.keyed));
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let input = child.stdin.take();
        Ok(Writer { child, input })
    }

    /// Takes entries in export format; what has left it may not be written yet.
    pub(crate) fn input(&mut self) -> BufWriter<&mut ChildStdin> {
        BufWriter::with_capacity(1 << 16, self.input.as_mut().expect("not finished"))
    }

    /// Ends the input and waits: then all is written.
    pub(crate) fn finish(mut self) {
        drop(self.input.take());
        let ended = self.child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success() && said.contains("Finishing after writing"), "systemd-journal-remote: {said}");
    }

    /// Kills it, as a node does that loses its power: the file stays marked as being written.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        let _ = self.child.wait();
    }
}

/// A journal that grows and rotates as a test wants.
pub(crate) struct Live {
    program: &'static Path,
    directory: PathBuf,
    variant: Variant,
    entries: Entries,
}

impl Live {
    /// An empty one below a /var/log; `None` where it can't be made. Files rotate at 8 MiB.
    pub(crate) fn new(var_log: &Path, variant: Variant, test: &str) -> Option<Live> {
        let program = remote(test)?;
        let directory = var_log.join(FOLDER);
        fs::create_dir_all(&directory).expect("a directory");
        let entries = Entries::from(1, entries::MIDNIGHT, 2000);
        Some(Live { program, directory, variant, entries })
    }

    /// Where its files are.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// How many entries it has.
    pub(crate) fn written(&self) -> u64 {
        self.entries.written()
    }

    /// Adds so many entries; when this returns they are written.
    pub(crate) fn append(&mut self, count: u64) {
        let mut writer = self.writer();
        self.entries.write(count, &mut writer.input()).expect("it reads");
        writer.finish();
    }

    /// Adds large entries until the file is full and another one has begun.
    pub(crate) fn rotate(&mut self) {
        let files = || self.directory.read_dir().expect("its directory").count();
        let before = files();
        let filling = if self.variant.compressed { Filling::Incompressible } else { Filling::Compressible };
        for _ in 0..20 {
            let mut writer = self.writer();
            for _ in 0..10 {
                self.entries.write_long(60_000, filling, &mut writer.input()).expect("it reads");
            }
            writer.finish();
            if files() > before {
                return;
            }
        }
        panic!("12 MB did not fill a file of 8 MiB");
    }

    /// A writer for entries that come while others read; the test writes them with [`Live::write`].
    pub(crate) fn writer(&self) -> Writer {
        Writer::start(self.program, &self.directory, self.variant, GROWTH).expect("the program starts")
    }

    /// Hands so many entries to a running writer.
    pub(crate) fn write(&mut self, count: u64, writer: &mut Writer) {
        let mut input = writer.input();
        self.entries.write(count, &mut input).and_then(|()| input.flush()).expect("it reads");
    }

    /// Waits until a running writer has written all that was handed to it.
    pub(crate) fn settle(&self) {
        let (_open, never) = std::sync::mpsc::channel::<()>();
        for _ in 0..30_000 {
            if self.committed() == Some(self.written()) {
                return;
            }
            // Memory that is written to tells nobody.
            let _ = never.recv_timeout(Duration::from_millis(2));
        }
        panic!("{:?} of {} entries after a minute", self.committed(), self.written());
    }

    /// The number of the last entry, by the header of the active file; `None` between two files.
    fn committed(&self) -> Option<u64> {
        let mut header = [0; 264];
        File::open(self.directory.join("system.journal")).ok()?.read_exact_at(&mut header, 0).ok()?;
        let number = |at: usize| header[at..at + 8].iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let (entries, first) = (number(152), number(168));
        (entries > 0).then(|| first + entries - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &[u8]) -> usize {
        text.iter().filter(|byte| **byte == b'\n').count()
    }

    /// Sequence number range and state of a file, from its header.
    fn header(path: &Path) -> (u64, u64, u8, u32) {
        let bytes = fs::read(path).expect("a file");
        let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        (number(168), number(160), bytes[16], number(8).rotate_left(32) as u32)
    }

    #[test]
    fn every_variant_is_written_and_read_back() {
        for variant in Variant::all() {
            let root = tempfile::tempdir().expect("a directory");
            let Some(mut live) = Live::new(root.path(), variant, "every variant") else { return };
            live.append(300);
            live.append(200);
            let said = journalctl(live.directory(), &["-o", "export", "--output-fields=_PID"]);
            assert_eq!(memchr::memmem::find_iter(&said, b"__CURSOR=").count(), 500, "{variant:?}");
            let flags = header(&live.directory().join("system.journal")).3;
            let Variant { compact, keyed, compressed } = variant;
            assert_eq!(flags, u32::from(keyed) * 4 + u32::from(compressed) * 8 + u32::from(compact) * 16);
        }
    }

    #[test]
    fn a_full_file_is_archived_and_the_next_goes_on() {
        let root = tempfile::tempdir().expect("a directory");
        let Some(mut live) = Live::new(root.path(), Variant::NEW, "rotation") else { return };
        live.append(20);
        live.rotate();
        live.append(20);
        live.rotate();
        let mut files: Vec<_> =
            fs::read_dir(live.directory()).expect("files").map(|file| file.expect("one").path()).collect();
        // The one without an @ is the newest.
        files.sort_by_key(|path| path.to_string_lossy().replace("system.journal", "system~"));
        assert_eq!(files.len(), 3, "{files:?}");
        let headers: Vec<_> = files.iter().map(|path| header(path)).collect();
        assert_eq!(headers.iter().map(|header| header.2).collect::<Vec<_>>(), [2, 2, 0], "archived but the last");
        assert!(headers.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0), "{headers:?}");
        assert_eq!((headers[0].0, headers[2].1), (1, live.written()));
    }

    #[test]
    fn a_writer_that_was_killed_leaves_an_unclean_file() {
        let root = tempfile::tempdir().expect("a directory");
        let Some(mut live) = Live::new(root.path(), Variant::OLD, "an unclean file") else { return };
        live.append(5);
        let mut writer = live.writer();
        for count in [1, 100, 20_000] {
            live.write(count, &mut writer);
            live.settle();
        }
        writer.kill();
        live.append(7);
        let names: Vec<_> =
            fs::read_dir(live.directory()).expect("files").map(|file| file.expect("one").file_name()).collect();
        assert!(names.iter().any(|name| name.to_string_lossy().ends_with(".journal~")), "{names:?}");
        let said = journalctl(live.directory(), &["-o", "export", "--output-fields=_PID"]);
        assert_eq!(memchr::memmem::find_iter(&said, b"__CURSOR=").count() as u64, live.written());
    }

    #[test]
    fn a_day_has_the_units_it_should_have() {
        let day = Day { seed: 1, entries: 20_000, variant: Variant::NEW, file_size: GROWTH };
        let Some(directory) = day.directory("a day") else { return };
        assert!(directory.read_dir().expect("files").count() > 1);
        let entries = |args: &[&str]| {
            let said = journalctl(&directory, &[&["-o", "export", "--output-fields=_PID"], args].concat());
            memchr::memmem::find_iter(&said, b"__CURSOR=").count()
        };
        assert_eq!(entries(&[]), 20_000);
        let (kubelet, rare) = (entries(&["-u", entries::KUBELET]), entries(&["-u", entries::RARE]));
        assert!((5600..7200).contains(&kubelet) && (150..400).contains(&rare), "{kubelet} {rare}");
        assert_eq!(count(&journalctl(&directory, &["--list-boots"])), 2);
        let text = journalctl(&directory, &["-o", "short-precise", "-n", "200"]);
        assert!(text.starts_with(b"Nov 14 23:"), "{}", String::from_utf8_lossy(&text[..200]));
    }
}
