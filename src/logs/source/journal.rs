//! The node's own journal files, read through ranges of the kubelet's file server and decoded here; or files of a journal on
//! this machine.
//!
//! Works on any kubelet that serves /var/log, with its query option on or off, and knows what the query's text does not:
//! exact times, priorities, boots and instances.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::error::{Error, Kind, Result};
use crate::journal::{
    AnyOf, Corrupt, Entry, FileId, Header, Id, Journal, Limits, Matches, Need, Notice, Position, Query, Step, Value,
    full_name,
};
use crate::logs::outlet::{Flow, Outlet};
use crate::logs::source::{Machine, Node};
use crate::logs::unit::{HOMES, Home};
use crate::time::Timestamp;

mod place;
mod find;
mod boots;
mod runs;
mod units;
mod read;

use boots::Within;
pub use boots::{Span, listed, table};
pub use find::{Missing, find};
pub use place::{Files, unreadable};
pub use read::{Found, LISTED, Part, read, read_from};
pub use units::{Unit, by_name};

use place::{Answer, Place, is_active};

/// Losses that are kept to be told.
const MOST_LOSSES: usize = 1000;
/// Of many nodes each has its share of the memory, but at least so many bytes: with less, values are fetched one by one.
const LEAST_CACHE: usize = 256 << 10;

/// A machine's journal, of which as much is fetched as is asked for.
#[derive(Debug)]
pub struct Remote<'a> {
    node: Machine<'a>,
    /// Where its files are.
    place: Place<'a>,
    /// The boot that the node's object names.
    boot: Option<Id>,
    /// When a boot began whose first entry has another time, and where that entry stands.
    start: Option<(Timestamp, Position)>,
    journal: Journal,
    /// What could not be read; lines are missing then.
    damaged: Vec<String>,
    /// Whether any of it is for damage.
    corrupt: bool,
    /// Why the first file on this machine could not be read that is left out therefore.
    refused: Option<Error>,
    /// Fetched while what was at hand was handed on.
    fetched: VecDeque<(Need, Result<Answer>)>,
}

/// What a step has come to, once its bytes are there.
#[derive(Debug)]
pub enum Met {
    /// The next entry.
    Entry(Arc<Entry>),
    /// The next value.
    Value(Value),
    /// There is no more.
    End,
}

impl<'a> Remote<'a> {
    fn new(node: &'a Node<'a>, folder: String, names: Vec<String>) -> Self {
        Remote::of(node.machine(), Place::on_node(node, folder), names)
    }

    /// A journal on this machine, in files of these names.
    pub fn here(machine: Machine<'a>, files: Files, names: Vec<String>) -> Self {
        Remote::of(machine, Place::Here(files), names)
    }

    fn of(node: Machine<'a>, place: Place<'a>, names: Vec<String>) -> Self {
        let journal = Journal::new(names, limits(node));
        let (damaged, fetched) = (Vec::new(), VecDeque::new());
        Remote { node, place, boot: None, start: None, journal, damaged, corrupt: false, refused: None, fetched }
    }

    /// Asks for entries: see [`Journal::read`].
    pub fn ask(&mut self, query: Query) {
        self.fetched.clear();
        self.journal.read(query);
    }

    /// The values of this field in all files, at most the newest so many.
    pub async fn list(&mut self, field: &str, most: usize) -> Flow<Vec<Value>> {
        self.fetched.clear();
        self.journal.list(field, most);
        self.values().await
    }

    /// Which of these, as `NAME=value`, are anywhere in the journal.
    pub async fn find(&mut self, values: Vec<Vec<u8>>) -> Flow<Vec<Value>> {
        self.fetched.clear();
        self.journal.find(values);
        self.values().await
    }

    /// The newest entry of these, if there is one.
    pub async fn newest(&mut self, matches: Matches) -> Flow<Option<Arc<Entry>>> {
        self.ask(Query::tail(matches, 1));
        loop {
            match self.next().await? {
                Met::Entry(entry) => return Ok(Some(entry)),
                Met::End => return Ok(None),
                Met::Value(_) => {}
            }
        }
    }

    /// The unit that runs the kubelet: of those the journal knows, in this boot or in any, the one with the newest entry.
    pub async fn home(&mut self, boot: Option<Id>) -> Flow<Option<(&'static Home, Timestamp)>> {
        let units = HOMES.iter().map(|home| format!("_SYSTEMD_UNIT={}", full_name(home.unit)).into_bytes());
        let known = self.find(units.collect()).await?;
        let mut newest: Option<(&Home, Timestamp)> = None;
        for home in &HOMES {
            let unit = full_name(home.unit);
            let Some(value) = known.iter().find(|value| value.value() == unit.as_bytes()) else { continue };
            let last = match boot {
                None => Some(value.last.realtime),
                Some(boot) => {
                    let own = Matches::all().and(AnyOf::field("_SYSTEMD_UNIT", &unit)).and(AnyOf::boot(boot));
                    self.newest(own).await?.map(|entry| entry.position.realtime)
                }
            };
            // Of equals the first.
            if let Some(last) = last.map(timestamp)
                && newest.is_none_or(|(_, at)| last > at)
            {
                newest = Some((home, last));
            }
        }
        Ok(newest)
    }

    /// Goes on to the next entry or value; fetches what that takes.
    pub async fn next(&mut self) -> Flow<Met> {
        loop {
            match self.try_next()? {
                Ok(met) => return Ok(met),
                Err(needs) => self.fetch(needs).await?,
            }
        }
    }

    /// Goes on as far as the bytes at hand allow; else says which are missing.
    fn try_next(&mut self) -> Flow<Result<Met, Vec<Need>>> {
        loop {
            match self.journal.step() {
                Ok(Step::Need(needs)) if self.fetched.is_empty() => return Ok(Err(needs)),
                // What was fetched meanwhile may be what is missing.
                Ok(Step::Need(_)) => self.provide_fetched()?,
                Ok(Step::Entry(entry)) => return Ok(Ok(Met::Entry(Arc::new(entry)))),
                Ok(Step::Value(value)) => return Ok(Ok(Met::Value(value))),
                Ok(Step::Notice(notice)) => self.hear(notice),
                Ok(Step::End) => return Ok(Ok(Met::End)),
                Err(why) => return Err(self.costly(why).into()),
            }
        }
    }

    fn costly(&self, why: Corrupt) -> Error {
        let words = format!("the journal in {} costs too much to read", self.place.shown());
        Error::new(Kind::Partial, words).because(why).hint(self.place.remedy())
    }

    /// Hands on lines and meanwhile fetches what will be needed next.
    async fn hand_on(&mut self, lines: Vec<crate::logs::line::Line>, out: &mut Outlet) -> Flow<()> {
        let ahead =
            if self.fetched.is_empty() && !self.journal.is_held() { self.journal.needs_ahead() } else { Vec::new() };
        if ahead.is_empty() {
            return out.lines(lines).await;
        }
        let ahead = self.named(ahead);
        let (handed, fetched) = tokio::join!(out.lines(lines), self.place.fetch(ahead));
        self.fetched.extend(fetched);
        handed
    }

    /// What was lost: an error once everything else was handed on.
    pub fn check_whole(&mut self) -> Flow<()> {
        match self.unreadable() {
            Some(why) => Err(why.into()),
            None if self.damaged.is_empty() => Ok(()),
            None => Err(self.loss().into()),
        }
    }

    /// Why nothing of the journal can be read, where that is so.
    fn unreadable(&mut self) -> Option<Error> {
        if self.damaged.is_empty() || self.is_readable() {
            return None;
        }
        Some(self.refused.take().unwrap_or_else(|| self.loss()))
    }

    /// Whether any of its files could be read so far.
    fn is_readable(&self) -> bool {
        (0..self.journal.files()).any(|file| self.journal.header(FileId(file)).is_some())
    }

    fn loss(&self) -> Error {
        const SHOWN: usize = 3;
        let mut words = self.damaged.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("; ");
        match self.damaged.len() {
            0..=SHOWN => {}
            MOST_LOSSES.. => words.push_str("; and many more"),
            more => words.push_str(&format!("; and {} more", more - SHOWN)),
        }
        let what = match self.corrupt {
            true => "the journal is damaged, lines may be missing",
            false if self.is_readable() => "not all of the journal could be read, lines may be missing",
            false => "the journal can't be read",
        };
        let hint = match &self.refused {
            _ if self.corrupt => self.place.examination(),
            Some(refused) => refused.remedy().unwrap_or("ls -l shows what it is"),
            None => self.place.remedy(),
        };
        Error::new(Kind::Partial, format!("{what}: {words}")).hint(hint)
    }

    /// Several passes over one damage are one loss.
    fn lose(&mut self, words: String) {
        if self.damaged.len() < MOST_LOSSES && !self.damaged.contains(&words) {
            self.damaged.push(words);
        }
    }

    /// Puts the journal aside and another one in its place that knows the same files: what was read is not asked about again.
    fn put_aside(&mut self) -> Journal {
        let names = (0..self.journal.files()).filter_map(|file| self.journal.name(FileId(file)).map(str::to_owned));
        let mut names: Vec<String> = names.collect();
        names.sort_unstable();
        names.dedup();
        self.fetched.clear();
        std::mem::replace(&mut self.journal, Journal::new(names, limits(self.node)))
    }

    async fn values(&mut self) -> Flow<Vec<Value>> {
        let mut values = Vec::new();
        loop {
            match self.next().await? {
                Met::Value(value) => values.push(value),
                Met::End => return Ok(values),
                Met::Entry(_) => {}
            }
        }
    }

    fn provide_fetched(&mut self) -> Flow<()> {
        while let Some((need, fetched)) = self.fetched.pop_front() {
            self.provide(&need, fetched)?;
        }
        Ok(())
    }

    async fn fetch(&mut self, needs: Vec<Need>) -> Flow<()> {
        let needs = self.named(needs);
        if self.journal.is_held() {
            let (fetched, listed) = if self.place.is_followed() {
                (self.place.fetch(needs).await, self.place.names().await)
            } else {
                tokio::join!(self.place.fetch(needs), self.place.names())
            };
            // What was archived since the first listing is not among its names, unless that was noticed while reading.
            let names = listed?.map_err(|missing| Error::new(Kind::Failed, missing.words()))?;
            self.journal.update(names.iter().map(String::as_str));
            self.fetched.extend(fetched);
            return self.provide_fetched();
        }
        let fetched = self.place.fetch(needs).await;
        for (need, fetched) in fetched {
            self.provide(&need, fetched)?;
        }
        Ok(())
    }

    /// The same needs, each with the name of its file.
    fn named(&self, needs: Vec<Need>) -> Vec<(Need, String)> {
        let name = |need: &Need| self.journal.name(need.file).map(str::to_owned);
        needs.into_iter().filter_map(|need| name(&need).map(|name| (need, name))).collect()
    }

    fn provide(&mut self, need: &Need, fetched: Result<Answer>) -> Flow<()> {
        let file = need.file;
        let fetched = match fetched {
            Ok(fetched) => fetched,
            Err(error) if error.kind() == Kind::NotFound => {
                // Archived or vacuumed since it was listed.
                self.journal.hold();
                self.journal.gone(file);
                return Ok(());
            }
            // One of the files on this machine that belongs to somebody else, or lies on a bad part of the disk.
            Err(error) if self.place.has_others() => {
                self.lose(error.chain());
                self.refused.get_or_insert(error);
                self.journal.leave_out(file);
                return Ok(());
            }
            Err(error) => return Err(error.within("reading the journal").into()),
        };
        let total = fetched.size;
        let known = self.journal.header(file).map(|header| header.file_id);
        // The file may have got its name after the others were listed.
        if known.is_none() && self.journal.name(file).is_some_and(is_active) {
            self.journal.hold();
        }
        // Where one answer came from another file, under the same name, the parts are of no use.
        let mut id = known;
        for lead in fetched.leads.iter().rev() {
            let Ok(header) = Header::parse(lead) else { continue };
            if *id.get_or_insert(header.file_id) != header.file_id {
                let newest = if known.is_some() { lead } else { fetched.leads.last().unwrap_or(lead) };
                self.journal.provide(file, total, [(0, &**newest)]);
                return Ok(());
            }
        }
        let first = fetched.leads.first().map(|lead| (0, &**lead));
        let rest = fetched.pieces.iter().map(|(at, bytes)| (*at, &**bytes));
        self.journal.provide(file, total, first.into_iter().chain(rest));
        Ok(())
    }

    fn hear(&mut self, notice: Notice) {
        let name = |file: FileId| self.journal.name(file).unwrap_or_default();
        match notice {
            Notice::FileSkipped { file, why } => {
                let words = format!("{}: {why}", name(file));
                self.corrupt |= why.why != Corrupt::NEWER;
                self.lose(words);
            }
            Notice::EntrySkipped { file, why } => {
                let words = format!("{}: an entry is left out: {why}", name(file));
                self.corrupt = true;
                self.lose(words);
            }
            Notice::Rotated { name, .. } => {
                let node = self.node.name;
                self.node
                    .notices
                    .verbose(4, || format!("{node}: the journal was rotated, its last file is {name} now"));
            }
            Notice::Missing { name, from, to } => self.lose(missing(&name, from, to)),
            Notice::TooManyFiles { left_out } => {
                self.lose(format!("{left_out} files are not read, there are too many"));
            }
        }
    }

    /// When the last entry was taken that is known of.
    fn ends(&self) -> Option<Timestamp> {
        let headers = (0..self.journal.files()).filter_map(|file| self.journal.header(FileId(file)));
        headers.map(|header| header.tail_realtime).max().map(timestamp)
    }
}

/// What reading a machine's journal may cost.
fn limits(node: Machine<'_>) -> Limits {
    let most = Limits::default();
    Limits { cache: node.room.clamp(LEAST_CACHE, most.cache), ..most }
}

fn timestamp(micros: u64) -> Timestamp {
    Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}

/// Entries that nobody can read any more.
fn missing(name: &str, from: (u64, u64), to: Option<(u64, u64)>) -> String {
    let at = |realtime: u64| timestamp(realtime).rfc3339();
    let until = to.map_or_else(String::new, |(_, realtime)| format!(" to {}", at(realtime)));
    let numbers = match to {
        Some((seqnum, _)) if seqnum >= from.0 => format!(" (numbers {} to {seqnum})", from.0),
        _ => String::new(),
    };
    format!(
        "entries from {}{until}{numbers} were deleted before they were read: they followed in or after {name}",
        at(from.1)
    )
}

/// `-- Boot <id> --`, as journalctl writes it between two boots.
fn boot_marker(id: Id) -> String {
    format!("-- Boot {id} --\n")
}
