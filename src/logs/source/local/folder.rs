//! A folder on this machine: a journal's, or of text logs, as /var/log is, or one of both.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::stream::Stream;
use super::text::{Part, Text};
use super::{Files, Kept, Unpack, check_is_text, unreadable};
use crate::error::{Error, Kind, Result};
use crate::journal::Name;
use crate::logs::filter::Filter;
use crate::logs::kubelet::Among;
use crate::logs::source::Machine;
use crate::logs::source::file::Packing;
use crate::logs::source::home;
use crate::logs::source::listing::{Entry, MOST};
use crate::logs::source::rotated::older;
use crate::logs::source::rotation::{rotations, unpacked};
use crate::logs::source::text::{COMMON, Wanted};
use crate::logs::unit::{HOMES, Holds, Home, KUBELET};
use crate::time::Timestamp;

/// What is named of much that could be.
const SHOWN: usize = 3;

/// A folder of text logs.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    entries: Vec<Entry>,
}

/// A packed journal file.
#[derive(Debug)]
pub(super) struct Packed {
    path: PathBuf,
    modified: Option<Timestamp>,
}

/// Fails where packed files of a journal that was read may have lines of the window, too.
pub(super) fn check_none_is_packed(shown: &str, mut packed: Vec<Packed>, since: Option<Timestamp>) -> Result<()> {
    packed.retain(|file| !older(file.modified, since));
    if packed.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = packed.iter().take(SHOWN).map(|file| format!("--from {}", file.path.display())).collect();
    let words = format!("what of the journal is packed in {shown} was not read; lines may be missing");
    Err(Error::new(Kind::Partial, words).hint(format!("what is packed, by its name: {}", names.join(" "))))
}

/// What a folder is: a journal's, or else of text logs.
pub(super) fn kind(path: &Path) -> Result<Kept> {
    let entries = list(path)?;
    if let Some(journal) = journal(path, &entries)? {
        return Ok(journal);
    }
    // A copy of /var/log.
    let below = path.join("journal");
    if entries.iter().any(|entry| entry.directory && entry.name == "journal")
        && let Some(journal) = journal(&below, &list(&below)?)?
    {
        return Ok(journal);
    }
    Ok(Kept::Folder(Folder { path: path.to_owned(), entries }))
}

/// The journal whose files are in a folder, or in that of the one machine below it.
fn journal(path: &Path, entries: &[Entry]) -> Result<Option<Kept>> {
    let names = |entries: &[Entry]| -> Vec<String> {
        let files = entries.iter().filter(|entry| !entry.directory && Name::parse(&entry.name).is_some());
        files.map(|entry| entry.name.clone()).collect()
    };
    let own = names(entries);
    if !own.is_empty() {
        return Ok(Some(of_journal(path, own, entries)));
    }
    let mut machines = Vec::new();
    for machine in entries.iter().filter(|entry| entry.directory && is_id(&entry.name)) {
        let folder = path.join(&machine.name);
        let entries = list(&folder)?;
        let files = names(&entries);
        if !files.is_empty() {
            machines.push((folder, files, entries));
        }
    }
    if machines.len() > 1 {
        let folders: Vec<String> = machines.iter().map(|(folder, ..)| format!("--from {}", folder.display())).collect();
        let words = format!("{} holds the journals of {} machines", path.display(), machines.len());
        return Err(Error::usage(words).hint(format!("name one, or several: {}", folders.join(" "))));
    }
    Ok(machines.pop().map(|(folder, names, entries)| of_journal(&folder, names, &entries)))
}

fn of_journal(folder: &Path, names: Vec<String>, entries: &[Entry]) -> Kept {
    let is_packed = |entry: &&Entry| {
        let bare = unpacked(&entry.name).filter(|bare| Name::parse(bare).is_some());
        !entry.directory && bare.is_some_and(|bare| !names.iter().any(|name| name == bare))
    };
    let packed = entries.iter().filter(is_packed).map(|entry| folder.join(&entry.name));
    let packed = packed.map(|path| Packed { modified: modified(&path), path }).collect();
    Kept::Journal { files: Files::of(folder), names, packed, shown: folder.display().to_string() }
}

fn modified(path: &Path) -> Option<Timestamp> {
    fs::metadata(path).and_then(|about| about.modified()).ok().map(Timestamp::from)
}

impl Folder {
    /// For people.
    pub(super) fn shown(&self) -> String {
        self.path.display().to_string()
    }

    /// The log of what is wanted, with its rotations, as on a node.
    pub(super) async fn text(
        &self,
        machine: Machine<'_>,
        wanted: Wanted<'_>,
        filter: &mut Filter,
        unpack: Unpack,
    ) -> Result<Text> {
        let programs = !filter.identifiers.is_empty();
        let (path, is_shared) = match wanted {
            _ if programs => (self.common(), true),
            Wanted::Kubelet => match self.kubelet() {
                Some((home, own)) => {
                    if home.unit != KUBELET {
                        home::choose(machine, home, &own, filter);
                    }
                    (Some(own), false)
                }
                None => {
                    filter.kubelet = Some(Among::Syslog);
                    let programs = HOMES.iter().filter(|home| home.holds != Holds::Supervisor);
                    filter.identifiers.extend(programs.map(|home| home.identifier.to_owned()));
                    filter.identifiers.dedup();
                    (self.common(), false)
                }
            },
            // Refused of texts.
            Wanted::Kernel => (None, false),
            Wanted::Units(units) => match units {
                [unit] if self.own(unit).is_some() => (self.own(unit), false),
                _ => (self.common(), true),
            },
        };
        let Some(path) = path else {
            let what = match programs {
                false => format!("a text log of {}", wanted.names()),
                true => format!("a file of many programs' lines ({})", COMMON.join(", ")),
            };
            let words = format!("{} holds neither a journal nor {what}", self.path.display());
            let mut hidden = hidden(&self.path, &self.entries);
            if self.entries.iter().any(|entry| entry.directory && entry.name == "journal") {
                let below = self.path.join("journal");
                hidden.extend(list(&below).map(|entries| self::hidden(&below, &entries)).unwrap_or_default());
            }
            let more = match hidden.len().saturating_sub(SHOWN) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            hidden.truncate(SHOWN);
            let hint = match hidden.is_empty() {
                true => "name a file in it with --from".to_owned(),
                false => {
                    format!(
                        "what is packed, or another machine's or namespace's, by its name: {}{more}",
                        hidden.join(" ")
                    )
                }
            };
            return Err(Error::new(Kind::NotFound, words).hint(hint));
        };
        machine.notices.note(format_args!("{}: reading {}", machine.name, self.path.join(&path).display()));
        self.log(&path, is_shared, unpack).await
    }

    /// A file with its rotations.
    async fn log(&self, path: &str, is_shared: bool, unpack: Unpack) -> Result<Text> {
        let (folder, name) = match path.rsplit_once('/') {
            Some((below, name)) => (self.path.join(below), name),
            None => (self.path.clone(), path),
        };
        let found = rotations(&list(&folder)?, name);
        let mut parts = Vec::new();
        for rotation in &found.all {
            let path = folder.join(&rotation.name);
            let read = match rotation.packing {
                Some(_) => part(&path, unpack).await,
                None => {
                    let words = format!("{} is packed in a way that can't be unpacked here", path.display());
                    Err(Error::new(Kind::Failed, words).hint("unpack it beside the others"))
                }
            };
            parts.push(read.unwrap_or_else(|error| Part::unreadable(error, modified(&path))));
        }
        if found.mixed {
            // They are few, and of equals the names' order stands.
            let mut by_name = std::mem::take(&mut parts);
            while let Some(oldest) = (0..by_name.len()).min_by_key(|nth| by_name[*nth].modified) {
                parts.push(by_name.remove(oldest));
            }
        }
        let current = folder.join(name);
        parts.push(part(&current, unpack).await?);
        Ok(Text { shown: current.display().to_string(), parts, is_shared })
    }

    fn has_file(&self, name: &str) -> bool {
        self.entries.iter().any(|entry| !entry.directory && entry.name == name)
    }

    /// A file of many programs.
    fn common(&self) -> Option<String> {
        COMMON.into_iter().find(|name| self.has_file(name)).map(str::to_owned)
    }

    /// A unit's own file, in the kubelet's own order of places.
    fn own(&self, unit: &str) -> Option<String> {
        let own = format!("{unit}.log");
        if self.has_file(unit) {
            return Some(unit.to_owned());
        }
        if self.has_file(&own) {
            return Some(own);
        }
        let below = format!("{unit}/{own}");
        self.path.join(&below).is_file().then_some(below)
    }

    /// The own file of whatever runs the kubelet here; of several, the one that was written to last.
    fn kubelet(&self) -> Option<(&'static Home, String)> {
        let changed = |own: &String| fs::metadata(self.path.join(own)).and_then(|about| about.modified()).ok();
        let homes = HOMES.iter().filter(|home| home.holds != Holds::Supervisor);
        homes.filter_map(|home| Some((home, self.own(home.unit)?))).rev().max_by_key(|(_, own)| changed(own))
    }
}

/// How to name the journals in a folder that are read only if they are named: packed ones, and those in folders of their own.
fn hidden(path: &Path, entries: &[Entry]) -> Vec<String> {
    let is_journal = |name: &str| Name::parse(name).is_some();
    let is_hidden = |entry: &&Entry| match entry.directory {
        true => list(&path.join(&entry.name)).is_ok_and(|inside| inside.iter().any(|entry| is_journal(&entry.name))),
        false => entry.name.rsplit_once('.').is_some_and(|(name, _)| is_journal(name)),
    };
    let hidden = entries.iter().filter(is_hidden);
    hidden.map(|entry| format!("--from {}", path.join(&entry.name).display())).collect()
}

async fn part(path: &Path, unpack: Unpack) -> Result<Part> {
    let shown = path.display().to_string();
    let failed = |error| unreadable(&shown, error);
    let file = File::open(path).map_err(failed)?;
    let modified = file.metadata().and_then(|about| about.modified()).ok().map(Timestamp::from);
    let mut stream = Stream::file(file, shown.clone());
    let packing = match unpack {
        Unpack::Gzip => stream.unpack().await?,
        Unpack::Nothing => Packing::Plain,
    };
    if unpack == Unpack::Gzip {
        check_is_text(&shown, &stream.beginning(super::BEGINNING).await?)?;
    }
    let end = if packing == Packing::Plain { Some(File::open(path).map_err(failed)?) } else { None };
    Ok(Part { stream, end, modified, error: None })
}

fn list(path: &Path) -> Result<Vec<Entry>> {
    let failed = |error| unreadable(&path.display().to_string(), error);
    let mut entries = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)?.take(MOST) {
        let entry = entry.map_err(failed)?;
        // Links count as what they lead to; what leads nowhere, and pipes, as nothing.
        let Ok(about) = fs::metadata(entry.path()) else { continue };
        if let (true, Ok(name)) = (about.is_dir() || about.is_file(), entry.file_name().into_string()) {
            entries.push(Entry { name, directory: about.is_dir() });
        }
    }
    entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
