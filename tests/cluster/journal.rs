//! A node's journal: the fixture files below its /var/log, and the `journalctl` that answers from them.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use flate2::read::GzDecoder;
use serde::Deserialize;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::process::Command;
use tokio::sync::mpsc;

use super::zone::{Zone, from_micros, touch};

#[cfg(test)]
pub(crate) mod growing;

/// Which journal a node has; all are of 14 November 2023, 22:13 to 22:22 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Journal {
    /// One file, three boots, five kubelet restarts, 1210 entries (systemd 252, header 264).
    #[default]
    Restarts,
    /// The same entries in two files, the older one archived (systemd 257).
    RotatedRestarts,
    /// One small file with odd messages, 260 entries (systemd 257, compact, keyed, ZSTD).
    Variants,
    /// 3000 entries of one boot in four files.
    Rotated,
    /// journald keeps its journal in memory: no directory below /var/log.
    None,
}

/// The content of a journal's nth file.
type Unpacked = (Journal, usize, Arc<Vec<u8>>);

/// What answers queries.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Reader {
    /// The machine's `journalctl`, or where there is none what it once answered.
    #[default]
    Auto,
    /// Never the machine's.
    Recorded,
    /// The test's own, given the kubelet's arguments.
    Script(Script),
    /// What journalctl would say of these entries, whose times are the node's already.
    Made(&'static Recording),
}

/// A stand-in for journalctl.
pub(crate) type Script = fn(&[String]) -> Vec<Step>;

/// What a stand-in does, one after the other.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Print(Bytes),
    Wait(Duration),
    /// Until it is killed.
    Hang,
}

/// One entry as journalctl once printed it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Entry {
    /// Microseconds since 1970, which since and until compare.
    #[serde(rename = "t")]
    pub(crate) realtime: i64,
    /// Index into [`Recording::boots`].
    #[serde(rename = "b")]
    pub(crate) boot: usize,
    /// Indices into [`Recording::units`]: for which `--unit` selects it.
    #[serde(rename = "u")]
    pub(crate) units: Vec<usize>,
    /// Its short-precise text, newline included; empty without a message.
    #[serde(rename = "x")]
    pub(crate) text: String,
    /// The message where the text does not show it as it is.
    #[serde(rename = "m")]
    message: Option<String>,
}

impl Entry {
    /// What `--grep` looks at.
    pub(crate) fn message(&self) -> &str {
        self.message.as_deref().unwrap_or_else(|| {
            // Neither date nor host holds a colon and a space.
            let start = self.text.find(": ").map_or(0, |at| at + 2);
            self.text[start..].trim_end_matches('\n')
        })
    }
}

/// A whole journal as journalctl once printed it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Recording {
    /// Sorted values of `_SYSTEMD_UNIT`.
    pub(crate) units: Vec<String>,
    /// Boot ids, oldest first.
    pub(crate) boots: Vec<String>,
    #[serde(skip)]
    pub(crate) entries: Vec<Entry>,
}

impl Journal {
    /// Name in the journal directory and fixture of each file.
    fn files(self) -> &'static [(&'static str, &'static [u8])] {
        macro_rules! fixture {
            ($path:literal) => {
                include_bytes!(concat!("../../fixtures/journals/", $path, ".gz"))
            };
        }
        match self {
            Journal::Restarts => &[("system.journal", fixture!("restarts-header264.journal"))],
            Journal::RotatedRestarts => &[
                ("system.journal", fixture!("rotated-restarts/system.journal")),
                (
                    "system@2c887e1383f3407f839107c93b1dd9a4-0000000000000001-00060a24181fbb6c.journal",
                    fixture!(
                        "rotated-restarts/system@2c887e1383f3407f839107c93b1dd9a4-0000000000000001-00060a24181fbb6c.journal"
                    ),
                ),
            ],
            Journal::Variants => &[("system.journal", fixture!("c1k1ZSTD.journal"))],
            Journal::Rotated => &[
                ("system.journal", fixture!("rotated/system.journal")),
                (
                    "system@d845223f2d1c49cab88ad5c9e8993e92-0000000000000001-00060a241822ccc9.journal",
                    fixture!(
                        "rotated/system@d845223f2d1c49cab88ad5c9e8993e92-0000000000000001-00060a241822ccc9.journal"
                    ),
                ),
                (
                    "system@d845223f2d1c49cab88ad5c9e8993e92-000000000000030d-00060a241feef9ce.journal",
                    fixture!(
                        "rotated/system@d845223f2d1c49cab88ad5c9e8993e92-000000000000030d-00060a241feef9ce.journal"
                    ),
                ),
                (
                    "system@d845223f2d1c49cab88ad5c9e8993e92-0000000000000618-00060a24280f0f15.journal",
                    fixture!(
                        "rotated/system@d845223f2d1c49cab88ad5c9e8993e92-0000000000000618-00060a24280f0f15.journal"
                    ),
                ),
            ],
            Journal::None => &[],
        }
    }

    /// What journalctl printed from it; a node without a journal on disk has the default's in memory.
    pub(crate) fn recording(self) -> &'static Recording {
        static LOADED: [OnceLock<Recording>; 3] = [const { OnceLock::new() }; 3];
        let (slot, fixture): (_, &[u8]) = match self {
            Journal::Restarts | Journal::RotatedRestarts | Journal::None => {
                (0, include_bytes!("../../fixtures/journals/restarts.entries.gz"))
            }
            Journal::Variants => (1, include_bytes!("../../fixtures/journals/variants.entries.gz")),
            Journal::Rotated => (2, include_bytes!("../../fixtures/journals/rotated.entries.gz")),
        };
        LOADED[slot].get_or_init(|| {
            let mut text = String::new();
            GzDecoder::new(fixture).read_to_string(&mut text).expect("a gzip fixture");
            let mut lines = text.lines();
            let mut recording: Recording = serde_json::from_str(lines.next().unwrap_or_default()).expect("a head");
            recording.entries = lines.map(|line| serde_json::from_str(line).expect("an entry")).collect();
            recording
        })
    }

    /// Unpacks its files into `journal/<machine-id>/` below `var_log` and returns the machine id.
    pub(crate) fn unpack(self, var_log: &Path) -> io::Result<Option<String>> {
        static UNPACKED: Mutex<Vec<Unpacked>> = Mutex::new(Vec::new());
        let mut machine = None;
        for (index, (name, packed)) in self.files().iter().enumerate() {
            let bytes = {
                let mut unpacked = UNPACKED.lock().expect("no panic while unpacking");
                match unpacked.iter().find(|(journal, at, _)| *journal == self && *at == index) {
                    Some((_, _, bytes)) => Arc::clone(bytes),
                    None => {
                        let mut bytes = Vec::new();
                        GzDecoder::new(*packed).read_to_end(&mut bytes)?;
                        unpacked.push((self, index, Arc::new(bytes)));
                        Arc::clone(&unpacked[unpacked.len() - 1].2)
                    }
                }
            };
            let id = bytes[40..56].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            let directory = var_log.join("journal").join(&id);
            fs::create_dir_all(&directory)?;
            // The header tells when its last entry was written, which is when journald last touched the file.
            let tail: [u8; 8] = bytes[192..200].try_into().expect("eight bytes");
            write_sparse(&directory.join(name), &bytes)?;
            touch(&directory.join(name), from_micros(i64::from_le_bytes(tail)))?;
            machine = Some(id);
        }
        Ok(machine)
    }
}

/// Writes a file without its blocks of zeros, of which a journal is half made.
fn write_sparse(path: &Path, bytes: &[u8]) -> io::Result<()> {
    const BLOCK: usize = 64 * 1024;
    let file = File::create(path)?;
    file.set_len(bytes.len() as u64)?;
    for (index, block) in bytes.chunks(BLOCK).enumerate() {
        if block.iter().any(|byte| *byte != 0) {
            file.write_all_at(block, (index * BLOCK) as u64)?;
        }
    }
    Ok(())
}

/// Starts journalctl on the files in `directory`, on a node in `zone`, and gives what it prints on either stream.
/// Dropping the receiver kills it.
pub(crate) fn journalctl(directory: &Path, zone: &Zone, args: &[String]) -> mpsc::Receiver<Bytes> {
    let (sender, receiver) = mpsc::channel(4);
    let mut command = Command::new("journalctl");
    command.args(args).env("TZ", &zone.name).env("LC_ALL", "C").stdin(Stdio::null()).kill_on_drop(true);
    command.arg("--directory").arg(directory);
    let mut lines = Localizer::new(zone);
    tokio::spawn(async move {
        let started = io::pipe().and_then(|(reader, writer)| {
            command.stdout(writer.try_clone()?).stderr(writer);
            let child = command.spawn()?;
            // The command holds the pipe's other end: without it the end of journalctl is the end of the pipe.
            drop(command);
            Ok((child, pipe::Receiver::from_owned_fd(OwnedFd::from(reader))?))
        });
        let Ok((mut child, mut output)) = started else { return };
        loop {
            let mut piece = BytesMut::with_capacity(32 * 1024);
            tokio::select! {
                read = output.read_buf(&mut piece) => match read {
                    Ok(0) | Err(_) => break,
                    Ok(_) => {
                        if sender.send(lines.push(piece)).await.is_err() {
                            return;
                        }
                    }
                },
                () = sender.closed() => return,
            }
        }
        let _ = sender.send(lines.end()).await;
        let _ = child.wait().await;
    });
    receiver
}

/// Does what a stand-in does, as far as someone reads.
pub(crate) fn perform(steps: Vec<Step>) -> mpsc::Receiver<Bytes> {
    let (sender, receiver) = mpsc::channel(4);
    tokio::spawn(async move {
        for step in steps {
            match step {
                Step::Print(mut text) => {
                    while !text.is_empty() {
                        let piece = text.split_to(text.len().min(32 * 1024));
                        if sender.send(piece).await.is_err() {
                            return;
                        }
                    }
                }
                Step::Wait(time) => tokio::time::sleep(time).await,
                Step::Hang => sender.closed().await,
            }
        }
    });
    receiver
}

/// Whether the machine has a journalctl.
pub(crate) fn installed() -> bool {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    *INSTALLED.get_or_init(|| {
        std::env::var_os("PATH")
            .is_some_and(|path| std::env::split_paths(&path).any(|place| place.join("journalctl").is_file()))
    })
}

/// Gives klog headers the node's local time, line by line as they pass.
pub(crate) struct Localizer {
    /// `None` where local time is UTC and bytes pass as they are.
    zone: Option<Zone>,
    pending: BytesMut,
}

impl Localizer {
    /// For a node in this zone.
    pub(crate) fn new(zone: &Zone) -> Localizer {
        Localizer { zone: (!zone.is_utc()).then(|| zone.clone()), pending: BytesMut::new() }
    }

    /// Takes a piece and gives the lines it completes.
    pub(crate) fn push(&mut self, piece: BytesMut) -> Bytes {
        let Some(zone) = &self.zone else { return piece.freeze() };
        self.pending.extend_from_slice(&piece);
        let Some(end) = self.pending.iter().rposition(|byte| *byte == b'\n') else { return Bytes::new() };
        let whole = self.pending.split_to(end + 1);
        let mut out = BytesMut::with_capacity(whole.len());
        for line in whole.split_inclusive(|byte| *byte == b'\n') {
            match zone.localize(line) {
                Some(moved) => out.extend_from_slice(&moved),
                None => out.extend_from_slice(line),
            }
        }
        out.freeze()
    }

    /// What is left of a line without an end.
    pub(crate) fn end(&mut self) -> Bytes {
        self.pending.split().freeze()
    }
}

/// The recording of a journal by unit, for tests that want to know what to expect.
pub(crate) fn texts_by_unit(recording: &Recording) -> HashMap<&str, String> {
    let mut texts: HashMap<&str, String> = HashMap::new();
    for entry in &recording.entries {
        for unit in &entry.units {
            texts.entry(&recording.units[*unit]).or_default().push_str(&entry.text);
        }
    }
    texts
}
