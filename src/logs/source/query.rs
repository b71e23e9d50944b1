//! The kubelet's node log query: `…/proxy/logs/?query=UNIT&…`, which runs journalctl on the node.
//!
//! What the server promises and what it does differ: until is broken, since is read in the node's zone, tail with since
//! gives the first lines, tail alone those of one boot only (the kubelet says `--pager-end`, which implies the current
//! boot), and after 30 seconds the answer ends without a mark. So only `tailLines` alone or `sinceTime` alone are ever
//! asked for, widened where needed, and everything else is done here.

use std::time::Duration;

use bytes::Bytes;

use crate::error::{Error, Kind};
use crate::logs::filter::Filter;
use crate::logs::layout::{Head, Layout};
use crate::logs::line::{Line, is_marker};
use crate::logs::outlet::{Flow, Halt, Outlet};
use crate::logs::sieve::Sieve;
use crate::logs::source::trail::Trail;
use crate::logs::source::{Latest, Node, Want};
use crate::logs::split::Continuation;
use crate::logs::verdict::{End, Words};
use crate::time::{Timestamp, seconds};

mod ask;
mod follow;
mod stream;
mod lookup;
mod previous;
mod year;

use ask::{Asked, Parameters};
pub use lookup::Newest;
use previous::Span;
use stream::Stream;

/// The kubelet refuses more.
const MOST_TAIL_LINES: u64 = 100_000;
/// What is asked for in turn where the last N wanted entries are somewhere among the last so many.
const STEPS: [u64; 3] = [1_000, 10_000, MOST_TAIL_LINES];
/// A listing of /var/log is smaller.
const LONGEST_LISTING: usize = 8 << 20;
/// The widest difference between two zones, and an hour.
const ANY_ZONE: Duration = Duration::from_secs(15 * 3600);
/// By how much a start is widened when the zone is known: it may have been summer time then.
const SUMMER_TIME: Duration = Duration::from_secs(3600);
/// The journal takes an entry a little after its source stamped it.
const DISORDER: Duration = Duration::from_secs(5);
/// A year, less a week for what clocks and zones may be off: a start younger than this settles every year.
const NEARLY_A_YEAR: Duration = Duration::from_secs(358 * 86_400);
/// How many boots back the last entries are looked for one by one; after that the whole log is read.
const MOST_BOOTS: u32 = 16;
/// How often in a row an answer may break without having brought anything new.
const MOST_FRUITLESS: u32 = 4;
/// What a Windows node says of `boot`.
const NO_BOOTS: &str = "not supported on Windows";

/// What became of the reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The unit's log was read; so many entries or, where nothing had to be looked at, whether there was any.
    Log {
        /// Whether anything was wanted.
        anything: bool,
    },
    /// The query option is off: the kubelet listed /var/log instead.
    Listing(Bytes),
    /// The unit is a text file under /var/log, or a Windows node's table that is to be followed, for which the kubelet takes no options and has a limit of time, and whose
    /// predecessors it does not know.
    TextFile(String),
    /// No journal knows the unit, and /var/log has no file of its name.
    Absent(String),
}

/// Reads units through the query.
#[derive(Debug)]
pub struct Query<'a> {
    node: &'a Node<'a>,
    units: &'a [String],
    /// The node's offset from UTC in seconds, once it was looked for.
    offset: Option<Option<i32>>,
    /// When the newest entry was written that was seen, wanted or not.
    newest: Option<Timestamp>,
    texts: Texts,
    /// Only the boot so many before the last.
    boot: Option<u32>,
    /// Where the log that was read ended.
    trail: Trail,
    /// The only part of an answer that is wanted.
    span: Option<Span>,
}

/// What becomes of a unit that is a text file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Texts {
    /// It is read like a unit.
    #[default]
    Read,
    /// It is left to somebody who reads files, where its first line shows what it is.
    Left,
}

/// Which of the wanted entries are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    All,
    /// The last so many, if they take no more than so many bytes; else they are counted.
    Last(u64, usize),
    /// What stands behind so many, at most so many.
    Behind(u64, u64),
}

/// What one pass over an answer found.
struct Pass {
    end: End,
    read: u64,
    /// Whether anything was read that is none of a journal's.
    foreign: bool,
    wanted: u64,
    first: Option<Timestamp>,
    /// By when what was read has certainly begun.
    begun: Option<Timestamp>,
    /// With `last`: the entries to hand on.
    held: Held,
}

/// The last entries, which go out once it is known that they are those.
pub(super) enum Held {
    /// These.
    Lines(Vec<Line>),
    /// More than may be held: those of this answer, behind so many others, at most so many.
    Again { parameters: Parameters, filter: Box<Filter>, before: u64, most: u64 },
}

impl Held {
    fn none() -> Held {
        Held::Lines(Vec::new())
    }
}

enum Passed {
    Log(Pass),
    Listing(Bytes),
    Text,
}

impl<'a> Query<'a> {
    /// For these units, without `.service`: at most four.
    pub fn new(node: &'a Node<'a>, units: &'a [String]) -> Self {
        let (texts, trail) = (Texts::default(), Trail::default());
        Query { node, units, offset: None, newest: None, texts, boot: None, trail, span: None }
    }

    /// With text files treated like this.
    pub fn texts(self, texts: Texts) -> Self {
        Query { texts, ..self }
    }

    /// Of the boot so many before the last alone.
    pub fn boot(self, boot: Option<u32>) -> Self {
        Query { boot, ..self }
    }

    /// Reads what is wanted and hands it on.
    pub async fn read(&mut self, want: Want, filter: &mut Filter, out: &mut Outlet) -> Flow<Found> {
        let (held, found) = self.gather(want, filter, out).await?;
        self.hand_on(held, want, out).await?;
        found
    }

    /// Hands on what was gathered.
    pub(super) async fn hand_on(&mut self, held: Held, want: Want, out: &mut Outlet) -> Flow<()> {
        match held {
            Held::Lines(lines) => out.lines(lines).await,
            Held::Again { parameters, mut filter, before, most } => {
                // What is followed goes on from where this ends.
                let most = if self.node.follow.is_some() { u64::MAX } else { most };
                let keep = Keep::Behind(before, most);
                match Box::pin(self.pass(&parameters, want, &mut filter, keep, Some(out))).await? {
                    Passed::Log(Pass { end: End::Words(words), .. }) => self.spoken(words, true).map(|_| ()),
                    _ => Ok(()),
                }
            }
        }
    }

    /// The same, but where only the last entries are wanted they are given back, beside what became of the reading.
    pub(super) async fn gather(
        &mut self,
        want: Want,
        filter: &mut Filter,
        out: &mut Outlet,
    ) -> Flow<(Held, Flow<Found>)> {
        let passed = match want.last {
            // Nothing is to be printed, but the node must answer and know the unit.
            Some(0) => return Ok((Held::none(), self.known().await)),
            Some(last) if last <= MOST_TAIL_LINES && filter.until.is_none() && !filter.looks_at_content() => {
                self.last_of_all(Latest { count: last, want, filter, room: out.room() }).await?
            }
            Some(last) => self.last_of_window(Latest { count: last, want, filter, room: out.room() }).await?,
            None => {
                // Whether the log shows severities at all is told by lines that don't match, too;
                // and a line that continues another is the kubelet's only if that one is.
                let pattern = match filter.grep.as_slice() {
                    [one] if filter.severity.is_none() && filter.kubelet.is_none() => one.for_server(),
                    _ => None,
                };
                let parameters = Parameters { since: filter.since, pattern, ..Parameters::default() };
                self.pass(&parameters, want, filter, Keep::All, Some(out)).await?
            }
        };
        if let (Passed::Log(Pass { end: End::Words(Words::FileWithOptions(names)), .. }), Some(_)) =
            (&passed, want.last)
        {
            // With a missing one among them the end of the others was looked for no further.
            let (missed, rest): (Vec<String>, Vec<String>) =
                self.units.iter().cloned().partition(|unit| names.split_whitespace().any(|name| name == unit));
            if !missed.is_empty()
                && !rest.is_empty()
                && let Found::Absent(unit) = Box::pin(Query::new(self.node, &missed).known()).await?
            {
                let mut query =
                    Query { offset: self.offset, ..Query::new(self.node, &rest).texts(self.texts).boot(self.boot) };
                let (held, found) = Box::pin(query.gather(want, filter, out)).await?;
                return Ok((held, found.and_then(|_| Err(missing(&unit).into()))));
            }
        }
        let pass = match passed {
            Passed::Log(pass) => pass,
            Passed::Listing(listing) => return Ok((Held::none(), Ok(Found::Listing(listing)))),
            Passed::Text => return Ok((Held::none(), Ok(Found::TextFile(self.units.join(", "))))),
        };
        let Pass { end, wanted, held, .. } = pass;
        let anything = wanted > 0 || out.has_spoken();
        Ok((held, self.judge(end, anything, filter).await))
    }

    /// What the end of an answer means for the reading.
    async fn judge(&mut self, end: End, anything: bool, filter: &Filter) -> Flow<Found> {
        match end {
            End::Whole | End::MidLine => Ok(Found::Log { anything }),
            End::Empty if anything => Ok(Found::Log { anything }),
            // Because nothing matched, or because there is no such unit?
            End::Empty if filter.is_empty() && self.boot.is_none() => Ok(Found::Absent(self.units.join(", "))),
            End::Empty => self.known().await,
            End::Words(Words::FileWithOptions(unit)) if !anything => Ok(match self.known().await? {
                Found::Log { .. } => Found::TextFile(unit),
                other => other,
            }),
            End::Words(Words::FileWithOptions(unit)) => {
                let units: Vec<String> = unit.split_whitespace().map(str::to_owned).collect();
                match Box::pin(Query::new(self.node, &units).known()).await? {
                    Found::Absent(unit) => Err(missing(&unit).into()),
                    _ => self.spoken(Words::FileWithOptions(units.join(", ")), anything),
                }
            }
            End::Words(words) => self.spoken(words, anything),
        }
    }

    /// What words instead of a log, or behind one, mean for the reading.
    fn spoken(&self, words: Words, anything: bool) -> Flow<Found> {
        match words {
            Words::NotFound(unit) if anything => Err(missing(&unit).into()),
            Words::NotFound(unit) | Words::FileWithOptions(unit) if !anything => Ok(Found::Absent(unit)),
            Words::NotFound(unit) | Words::FileWithOptions(unit) => {
                let words = format!("{unit} is a text file, which the kubelet does not merge with the journal's units");
                Err(Error::new(Kind::Partial, words).hint("ask for each unit by itself").into())
            }
            Words::Failed(words) if self.boot.is_some() && words.starts_with("Data from the specified boot") => {
                let error = Error::new(Kind::NotFound, format!("the node answered: {words}"));
                Err(error.hint("--list-boots shows which there are, where the node's journal can be read").into())
            }
            Words::Failed(words) if words.starts_with("No journal files") => Ok(Found::Absent(self.units.join(", "))),
            Words::Failed(words) => {
                let kind = if anything { Kind::Partial } else { Kind::Failed };
                Err(Error::new(kind, format!("the node answered: {words}")).into())
            }
            Words::Deadline => Err(cut_short(self.node.server_limit).into()),
        }
    }

    /// The last N entries, as far as they lie in the window: the last N of the window are the last N of all.
    async fn last_of_all(&mut self, latest: Latest<'_>) -> Flow<Passed> {
        let Latest { count: last, want, filter, room } = latest;
        let keep = Keep::Last(last, room);
        let parameters = Parameters { tail: Some(last), ..Parameters::default() };
        let pass = match self.pass(&parameters, want, filter, keep, None).await? {
            Passed::Log(pass) => pass,
            listing => return Ok(listing),
        };
        let all = pass.read >= last || filter.begins_after(pass.begun) || self.boot.is_some() || pass.foreign;
        if all || !matches!(pass.end, End::Whole | End::Empty) {
            return Ok(Passed::Log(pass));
        }
        // Too few: because some of them have no message and print nothing, or because the boot has no more?
        let more = Parameters { tail: Some((last * 2).min(MOST_TAIL_LINES)), ..Parameters::default() };
        let mut all = Filter::default();
        if let Passed::Log(wider) = self.pass(&more, want, &mut all, Keep::Last(0, 0), None).await?
            && wider.read > pass.read
        {
            return Ok(Passed::Log(pass));
        }
        // Where in the boots before this one does the first of them stand?
        let mut missing = last - pass.read;
        let dated = Want { dated: true, ..want };
        let mut from = filter.since;
        for boot in 1..=MOST_BOOTS {
            let parameters = Parameters { tail: Some(missing), boot: Some(boot), ..Parameters::default() };
            let mut all = Filter::default();
            let passed = match self.pass(&parameters, dated, &mut all, Keep::Last(0, 0), None).await {
                Err(Halt::Failed(error)) if error.chain().contains(NO_BOOTS) => return Ok(Passed::Log(pass)),
                passed => passed?,
            };
            let Passed::Log(pass) = passed else { break };
            if matches!(pass.end, End::Words(_)) {
                // There is no such boot: the log has fewer entries than that.
                break;
            }
            missing = missing.saturating_sub(pass.read);
            if filter.begins_after(pass.begun) {
                break;
            }
            if missing == 0 {
                from = pass.first;
                break;
            }
        }
        let parameters = Parameters { since: from, ..Parameters::default() };
        self.pass(&parameters, want, filter, keep, None).await
    }

    /// The last N wanted entries, where what is wanted is decided here: among ever more of the log's last lines.
    async fn last_of_window(&mut self, latest: Latest<'_>) -> Flow<Passed> {
        let Latest { count: last, want, filter, room } = latest;
        let keep = Keep::Last(last, room);
        let (mut read_before, mut since) = (None, filter.since);
        for step in STEPS.into_iter().filter(|step| *step >= last) {
            let parameters = Parameters { tail: Some(step), ..Parameters::default() };
            let before = filter.clone();
            let pass = match self.pass(&parameters, want, filter, keep, None).await? {
                Passed::Log(pass) => pass,
                listing => return Ok(listing),
            };
            let is_enough = pass.wanted >= last || filter.begins_after(pass.begun);
            if is_enough && matches!(pass.held, Held::Again { .. }) {
                // What is asked for a second time has to begin where it did, whatever was written meanwhile.
                since = since.max(pass.first);
                *filter = before;
                break;
            }
            if is_enough || !matches!(pass.end, End::Whole | End::Empty) {
                return Ok(Passed::Log(pass));
            }
            // Entries without a message count on the node and print nothing, so fewer than asked proves nothing; the
            // same number twice does: that was all of the current boot.
            if pass.read == 0 || read_before == Some(pass.read) {
                break;
            }
            read_before = Some(pass.read);
        }
        let parameters = Parameters { since, ..Parameters::default() };
        self.pass(&parameters, want, filter, keep, None).await
    }

    /// Whether the node knows the units, in whatever boot: by the beginning of their log.
    async fn known(&mut self) -> Flow<Found> {
        let boot = self.boot.take();
        let found = self.known_at_all().await;
        self.boot = boot;
        found
    }

    async fn known_at_all(&mut self) -> Flow<Found> {
        let mut stream = match Stream::open(self, Parameters::default()).await? {
            Ok(stream) => stream,
            Err(listing) => return Ok(Found::Listing(listing)),
        };
        if stream.next(self).await?.is_some() {
            return Ok(Found::Log { anything: false });
        }
        match stream.end() {
            End::Whole | End::MidLine => Ok(Found::Log { anything: false }),
            End::Empty => Ok(Found::Absent(self.units.join(", "))),
            End::Words(words) => self.spoken(words, false),
        }
    }

    /// One pass over one answer, however often it has to be asked for.
    async fn pass(
        &mut self,
        parameters: &Parameters,
        want: Want,
        filter: &mut Filter,
        keep: Keep,
        mut out: Option<&mut Outlet>,
    ) -> Flow<Passed> {
        let dated = want.dated || filter.has_window();
        let mut stream = match Stream::open(self, parameters.clone()).await? {
            Ok(stream) => stream,
            Err(listing) => return Ok(Passed::Listing(listing)),
        };
        let first = self.next_of(&mut stream).await?;
        let head = first.as_deref().and_then(Head::of);
        if self.texts == Texts::Left && head.is_some_and(|head| !is_journals(&head)) {
            return Ok(Passed::Text);
        }
        let foreign =
            !head.is_some_and(|head| is_journals(&head)) && first.as_deref().is_some_and(|p| !begins_with_marker(p));
        if foreign && self.node.follow.is_some() {
            // Where a table or a file stood when it was asked for again can't be told.
            return Ok(Passed::Text);
        }
        if want.raw && !dated && filter.is_empty() && keep == Keep::All {
            let mut anything = 0;
            let mut next = first;
            while let Some(piece) = next {
                anything = 1;
                if let Some(out) = &mut out {
                    out.bytes(piece).await?;
                }
                next = self.next_of(&mut stream).await?;
            }
            self.note(stream.head());
            let end = stream.end();
            self.trail = stream.into_trail().unwrap_or_default();
            let (read, wanted) = (anything, anything);
            return Ok(Passed::Log(Pass { end, read, foreign, wanted, first: None, begun: None, held: Held::none() }));
        }
        let calendar = match &first {
            Some(piece) if dated => Some(self.calendar(parameters, piece).await?),
            _ => None,
        };
        // Cut by the node to what is wanted, a table keeps its heading.
        let keep = match keep {
            Keep::Last(last, _) if foreign && last > 0 && parameters.tail == Some(last) => Keep::All,
            keep => keep,
        };
        let before = filter.clone();
        let last = match keep {
            Keep::Last(last, _) => Some(usize::try_from(last).unwrap_or(usize::MAX)),
            Keep::All | Keep::Behind(..) => None,
        };
        let mut sieve = Sieve::new(Continuation::Indented, calendar, filter, last);
        sieve = match keep {
            Keep::All => sieve,
            Keep::Last(_, room) => sieve.within(room),
            Keep::Behind(before, most) => sieve.behind(before, most),
        };
        let mut next = first;
        let mut past = false;
        while let Some(piece) = next {
            if !sieve.push(piece) {
                // The window's end: dropping the stream tells the server to stop.
                past = true;
                break;
            }
            if let Some(out) = &mut out {
                out.lines(sieve.ready()).await?;
            }
            next = self.next_of(&mut stream).await?;
        }
        sieve.finish();
        let end = if past { End::Whole } else { stream.end() };
        // A boot before this one is not where the log ends.
        if parameters.boot.is_none()
            && let Some(trail) = stream.into_trail()
        {
            self.trail = trail;
        }
        let mut lines = sieve.remainder();
        if let Some(out) = out
            && last.is_none()
        {
            out.lines(std::mem::take(&mut lines)).await?;
        }
        let overflowed = sieve.has_overflowed();
        let (read, wanted, first, newest) = (sieve.read(), sieve.wanted(), sieve.first(), sieve.end());
        let begun = sieve.begun();
        self.note(newest);
        let held = match keep {
            Keep::Last(last, _) if overflowed => Held::Again {
                parameters: parameters.clone(),
                filter: Box::new(before),
                before: wanted.saturating_sub(last),
                most: last,
            },
            _ => Held::Lines(lines),
        };
        Ok(Passed::Log(Pass { end, read, foreign, wanted, first, begun, held }))
    }
}

fn begins_with_marker(piece: &[u8]) -> bool {
    is_marker(piece.split_inclusive(|b| *b == b'\n').next().unwrap_or_default())
}

/// Whether an entry is journalctl's, not a text file's: from such a one an answer can be continued.
fn is_journals(head: &Head) -> bool {
    head.layout == Layout::Short { precise: true }
}

fn missing(unit: &str) -> Error {
    Error::new(Kind::NotFound, format!("the node has no unit {unit:?}"))
}

fn cut_short(limit: Duration) -> Error {
    let words = format!("the kubelet stopped its answer after {} s; lines are missing", seconds(limit));
    Error::new(Kind::Partial, words)
        .hint("ask for less with --since or --tail, or read a file with --source file or --path")
}
