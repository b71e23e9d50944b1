//! A journal that a test writes, rotates, damages and deletes as it likes: regular files with keyed hashes, not compressed.
//!
//! As journald does it, what an entry needs is written first, and the header, which makes it count, last. Its clock is set
//! back every now and then, as that of a machine is which learns the time late.

#![allow(deprecated, reason = "the standard library's SipHash-2-4 takes a key only by its old name")]

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::hash::{Hasher, SipHasher};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use kubelet_logs::journal::full_name;

const HEADER: usize = 256;
const DATA: u8 = 1;
const FIELD: u8 = 2;
const ENTRY: u8 = 3;
const ARRAY: u8 = 6;
/// Buckets of either hash table.
const BUCKETS: u64 = 32;
/// Files grow by this many bytes at a time.
const GROWTH: usize = 32 << 10;
/// After so many entries the clock is set back by so many µs: further than it goes on in between.
const STEADY: u64 = 29;
const STEP: i64 = 300_000_000;

/// A chain of arrays that hold the places of entries.
#[derive(Debug, Default)]
struct Chain {
    used: u64,
    room: u64,
    /// The last array, and the first index in it.
    last: (usize, u64),
}

/// The active file.
#[derive(Debug)]
struct Active {
    bytes: Vec<u8>,
    id: [u8; 16],
    data: HashMap<Vec<u8>, (usize, Chain)>,
    fields: HashMap<Vec<u8>, usize>,
    entries: Chain,
}

/// The journal of one writer, below a /var/log.
#[derive(Debug)]
pub(crate) struct Growing {
    directory: PathBuf,
    active: Active,
    row: [u8; 16],
    files: u64,
    seqnum: u64,
    /// Of the next entry, in µs since 1970.
    pub(crate) at: i64,
    /// The latest time of an entry.
    latest: i64,
    /// Of the next entry, in µs since the first.
    pub(crate) uptime: u64,
    /// Whether the clock is set back every now and then.
    pub(crate) unsteady: bool,
    /// The boot that entries are of.
    pub(crate) boot: u64,
}

impl Growing {
    /// One without entries.
    pub(crate) fn new(var_log: &Path, at: i64) -> Growing {
        let directory = var_log.join("journal/0123456789abcdef0123456789abcdef");
        fs::create_dir_all(&directory).expect("a directory");
        let mut journal = Growing {
            directory,
            active: Active::new([0; 16], [1; 16]),
            row: [1; 16],
            files: 0,
            seqnum: 0,
            at,
            latest: at,
            uptime: 0,
            unsteady: true,
            boot: 1,
        };
        journal.begin();
        journal
    }

    /// Where its files are.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The boot of what is written now.
    pub(crate) fn boot_id(&self) -> String {
        format!("{:032x}", u128::from(self.boot))
    }

    /// Adds an entry of a unit; gives its time.
    pub(crate) fn append(&mut self, unit: &str, message: &str) -> i64 {
        self.seqnum += 1;
        self.at += 1000;
        self.uptime += 1000;
        self.latest = self.latest.max(self.at);
        let program = if unit == "kernel" {
            "_TRANSPORT=kernel".to_owned()
        } else {
            format!("_SYSTEMD_UNIT={}", full_name(unit))
        };
        let fields = [
            format!("_BOOT_ID={}", self.boot_id()),
            program,
            format!("SYSLOG_IDENTIFIER={unit}"),
            "_HOSTNAME=node-a".into(),
            "_PID=7".into(),
            "PRIORITY=6".into(),
            format!("MESSAGE={message}"),
        ];
        self.active.append(self.seqnum, [self.at as u64, self.uptime], u128::from(self.boot), &fields);
        self.active.write(&self.path());
        let at = self.at;
        if self.unsteady && self.seqnum.is_multiple_of(STEADY) {
            self.set_clock_back(STEP);
        }
        at
    }

    /// Sets the clock back by so many µs.
    pub(crate) fn set_clock_back(&mut self, by: i64) {
        self.at -= by;
    }

    /// Archives the file and begins another; gives the archive.
    pub(crate) fn rotate(&mut self) -> PathBuf {
        let header = &self.active.bytes;
        let (head, time) = (u64_at(header, 168), u64_at(header, 184));
        let row = self.row.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        self.archive(&format!("system@{row}-{head:016x}-{time:016x}.journal"))
    }

    /// As after a crash: the file is set aside under a name that tells nothing, and the next one numbers its entries anew.
    pub(crate) fn crash(&mut self) -> PathBuf {
        // Between two rows nothing but time tells the order.
        (self.at, self.unsteady) = (self.at.max(self.latest), false);
        self.row[0] += 1;
        self.seqnum = 0;
        self.boot += 1;
        self.archive(&format!("system@{:016x}-{:016x}.journal~", self.at, self.files))
    }

    /// Archives the file under a name, and begins another.
    fn archive(&mut self, name: &str) -> PathBuf {
        let archive = self.directory.join(name);
        fs::rename(self.path(), &archive).expect("a file to rename");
        self.begin();
        archive
    }

    /// Deletes the oldest archives but for so many, as journald does where there is no room.
    pub(crate) fn vacuum(&self, keep: usize) {
        let names = fs::read_dir(&self.directory).expect("a directory").map(|file| file.expect("a file").path());
        let age = |path: &Path| {
            let header = fs::read(path).expect("a file");
            (header[72..88].to_vec(), u64_at(&header, 168))
        };
        let mut archives: Vec<((Vec<u8>, u64), PathBuf)> =
            names.filter(|path| path.to_string_lossy().contains('@')).map(|path| (age(&path), path)).collect();
        archives.sort();
        let many = archives.len().saturating_sub(keep);
        archives[..many].iter().for_each(|(_, path)| fs::remove_file(path).expect("a file to delete"));
    }

    fn begin(&mut self) {
        self.files += 1;
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.files.to_le_bytes());
        id[8..].copy_from_slice(&(self.at as u64).to_le_bytes());
        self.active = Active::new(id, self.row);
        // The number of the last entry is handed down.
        self.active.set(160, self.seqnum);
        self.active.write(&self.path());
    }

    fn path(&self) -> PathBuf {
        self.directory.join("system.journal")
    }
}

impl Active {
    fn new(id: [u8; 16], row: [u8; 16]) -> Active {
        let mut bytes = vec![0; HEADER];
        bytes[..8].copy_from_slice(b"LPKSHHRH");
        bytes[12] = 4;
        bytes[16] = 1;
        bytes[24..40].copy_from_slice(&id);
        bytes[72..88].copy_from_slice(&row);
        let (data, fields) = (HashMap::new(), HashMap::new());
        let mut active = Active { bytes, id, data, fields, entries: Chain::default() };
        active.set(88, HEADER as u64);
        for (kind, at) in [(4, 104), (5, 120)] {
            let table = active.object(kind, 16 + BUCKETS as usize * 16);
            active.set(at, table as u64 + 16);
            active.set(at + 8, BUCKETS * 16);
        }
        active
    }

    fn append(&mut self, seqnum: u64, [at, uptime]: [u64; 2], boot: u128, fields: &[String]) {
        let data: Vec<usize> = fields.iter().map(|field| self.datum(field.as_bytes())).collect();
        let entry = self.object(ENTRY, 64 + 16 * data.len());
        for (offset, value) in [(16, seqnum), (24, at), (32, uptime), (56, seqnum)] {
            self.set(entry + offset, value);
        }
        self.bytes[entry + 40..entry + 56].copy_from_slice(&boot.to_be_bytes());
        for (nth, datum) in data.iter().enumerate() {
            self.set(entry + 64 + nth * 16, *datum as u64);
            self.set(entry + 72 + nth * 16, u64_at(&self.bytes, datum + 16));
        }
        let mut all = std::mem::take(&mut self.entries);
        self.link(&mut all, 176, entry);
        self.entries = all;
        for (field, datum) in fields.iter().zip(data) {
            let count = u64_at(&self.bytes, datum + 56);
            if count == 0 {
                self.set(datum + 40, entry as u64);
            } else {
                let mut chain = std::mem::take(&mut self.data.get_mut(field.as_bytes()).expect("a value").1);
                self.link(&mut chain, datum + 48, entry);
                self.data.get_mut(field.as_bytes()).expect("a value").1 = chain;
            }
            self.set(datum + 56, count + 1);
        }
        let entries = u64_at(&self.bytes, 152) + 1;
        if entries == 1 {
            self.set(168, seqnum);
            self.set(184, at);
        }
        for (offset, value) in [(152, entries), (160, seqnum), (192, at), (200, uptime)] {
            self.set(offset, value);
        }
    }

    /// The DATA object of a value, which is made if it is new.
    fn datum(&mut self, value: &[u8]) -> usize {
        if let Some((at, _)) = self.data.get(value) {
            return *at;
        }
        let name = &value[..value.iter().position(|byte| *byte == b'=').expect("a name")];
        let field = match self.fields.get(name) {
            Some(field) => *field,
            None => {
                let field = self.named(FIELD, 40, name, 120);
                self.fields.insert(name.to_vec(), field);
                field
            }
        };
        let datum = self.named(DATA, 64, value, 104);
        let newest = u64_at(&self.bytes, field + 32);
        self.set(datum + 32, newest);
        self.set(field + 32, datum as u64);
        self.data.insert(value.to_vec(), (datum, Chain::default()));
        datum
    }

    /// An object that is found by its hash.
    fn named(&mut self, kind: u8, head: usize, payload: &[u8], table: usize) -> usize {
        let key = |from: usize| u64::from_le_bytes(self.id[from..from + 8].try_into().expect("eight bytes"));
        let mut hasher = SipHasher::new_with_keys(key(0), key(8));
        hasher.write(payload);
        let hash = hasher.finish();
        let object = self.object(kind, head + payload.len());
        self.bytes[object + head..object + head + payload.len()].copy_from_slice(payload);
        self.set(object + 16, hash);
        let bucket = (u64_at(&self.bytes, table) + hash % BUCKETS * 16) as usize;
        match u64_at(&self.bytes, bucket + 8) as usize {
            0 => self.set(bucket, object as u64),
            last => self.set(last + 24, object as u64),
        }
        self.set(bucket + 8, object as u64);
        object
    }

    fn link(&mut self, chain: &mut Chain, first: usize, entry: usize) {
        if chain.used == chain.room {
            let room = (chain.room * 2).max(4);
            let array = self.object(ARRAY, 24 + 8 * room as usize);
            self.set(if chain.room == 0 { first } else { chain.last.0 + 16 }, array as u64);
            (chain.last, chain.room) = ((array, chain.room), chain.room + room);
        }
        self.set(chain.last.0 + 24 + 8 * (chain.used - chain.last.1) as usize, entry as u64);
        chain.used += 1;
    }

    fn object(&mut self, kind: u8, len: usize) -> usize {
        let at = self.bytes.len();
        self.bytes.resize(at + len.next_multiple_of(8), 0);
        self.bytes[at] = kind;
        self.set(at + 8, len as u64);
        self.set(136, at as u64);
        self.set(144, u64_at(&self.bytes, 144) + 1);
        at
    }

    fn set(&mut self, at: usize, value: u64) {
        self.bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }

    fn write(&mut self, path: &Path) {
        let len = self.bytes.len().next_multiple_of(GROWTH);
        self.set(96, (len - HEADER) as u64);
        let file: File = OpenOptions::new().create(true).truncate(false).write(true).open(path).expect("a file");
        file.set_len(len as u64).expect("room");
        file.write_all_at(&self.bytes[HEADER..], HEADER as u64).expect("room");
        file.write_all_at(&self.bytes[..HEADER], 0).expect("room");
    }
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::journals::journalctl;

    #[test]
    fn journalctl_reads_what_is_written() {
        if !super::super::installed() {
            return crate::support::skipped("no journalctl on this machine");
        }
        let root = tempfile::tempdir().expect("a directory");
        let mut journal = Growing::new(root.path(), 1_700_000_000_000_000);
        for number in 0..300 {
            journal.append(["kubelet", "other"][number % 2], &format!("entry {number}"));
            if number % 90 == 50 {
                journal.rotate();
            }
        }
        journal.crash();
        journal.append("kubelet", "after the crash");
        let count = |args: &[&str]| journalctl(journal.directory(), args).split(|byte| *byte == b'\n').count() - 1;
        assert_eq!(count(&["-o", "cat"]), 301);
        assert_eq!(count(&["-o", "cat", "-u", "kubelet"]), 151);
        journal.vacuum(1);
        assert_eq!(count(&["-o", "cat", "-b", &journal.boot_id()]), 1);
    }
}
