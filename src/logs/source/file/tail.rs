//! The last entries of a file. What is too much to be held until its turn comes is counted, and read once more then.

use bytes::Bytes;

use super::{BEGINNING, FIRST_END, File, GROWTH, LAST_LINES, Packing, Stream, Times, first_entry, second_line};
use crate::error::{Error, Kind};
use crate::logs::calendar::Calendar;
use crate::logs::filter::Filter;
use crate::logs::line::Line;
use crate::logs::outlet::{Ends, Flow, Halt, Outlet, whole};
use crate::logs::sieve::Sieve;
use crate::logs::source::{Latest, Node, Want};
use crate::logs::split::Continuation;

/// The largest part that is fetched as a whole.
const MOST_END: u64 = 8 << 20;
/// What an entry takes, mostly no more.
const ENTRY: u64 = 512;
/// How much larger than the one before it the next counted part is at the most.
const MOST_GROWTH: u64 = 64;

/// The last entries of a file.
#[derive(Debug)]
pub(in crate::logs::source) struct Tail {
    pub(in crate::logs::source) held: Held,
    /// The first bytes of a file that was read from there, unless all that lies before it is older than the window.
    pub(in crate::logs::source) beginning: Option<Bytes>,
}

/// Entries that go out once those before them have.
#[derive(Debug)]
pub(in crate::logs::source) enum Held {
    /// Oldest first.
    Lines(Vec<Line>),
    /// More than may be held.
    Stretch(Box<Stretch>),
}

/// Entries that were counted.
#[derive(Debug)]
pub(in crate::logs::source) struct Stretch {
    path: String,
    packing: Packing,
    /// Where the counting began and where it ended, and how the file begins.
    from: u64,
    end: Option<u64>,
    beginning: Bytes,
    /// What counted them, as it was before.
    calendar: Option<Calendar>,
    filter: Filter,
    /// How many of the part's stand before them, and how many they are.
    before: u64,
    entries: u64,
}

impl Held {
    /// How many entries, journalctl's own lines not counted.
    pub(in crate::logs::source) fn entries(&self) -> u64 {
        match self {
            Held::Lines(lines) => lines.iter().filter(|line| !line.is_marker()).count() as u64,
            Held::Stretch(stretch) => stretch.entries,
        }
    }

    /// What they take of the memory.
    pub(in crate::logs::source) fn weight(&self) -> usize {
        match self {
            Held::Lines(lines) => lines.iter().map(Line::weight).sum(),
            Held::Stretch(_) => 0,
        }
    }

    /// Hands them on.
    pub(in crate::logs::source) async fn hand_on(self, node: &Node<'_>, ends: Ends, out: &mut Outlet) -> Flow<()> {
        match self {
            Held::Lines(mut lines) => {
                if ends == Ends::Whole {
                    whole(&mut lines);
                }
                out.lines(lines).await
            }
            Held::Stretch(stretch) => Box::pin(stretch.read(node, ends, out)).await,
        }
    }
}

impl Stretch {
    async fn read(mut self, node: &Node<'_>, ends: Ends, out: &mut Outlet) -> Flow<()> {
        let file = File::new(node, &self.path, self.packing).up_to(self.end);
        let mut stream = file.open_at(self.from, &self.beginning).await?;
        let sieve = Sieve::new(Continuation::Timeless, self.calendar, &mut self.filter, None);
        let mut sieve = sieve.behind(self.before, self.entries);
        while let Some(piece) = stream.next().await?
            && sieve.push(piece)
        {
            out.lines(sieve.ready()).await?;
        }
        if ends == Ends::Whole {
            sieve.end_line();
        }
        sieve.finish();
        out.lines(sieve.remainder()).await
    }
}

impl File<'_> {
    /// The newest entries that are wanted.
    pub(in crate::logs::source) async fn last(&self, latest: &mut Latest<'_>) -> Flow<Tail> {
        let Latest { count: last, want, ref mut filter, room } = *latest;
        let mut count = Count { last, room, calendar: None, before: filter.clone() };
        match self.packing {
            Packing::Plain => self.count_end(&mut count, want, filter).await,
            Packing::Gzip => {
                let (mut stream, calendar) = self.open(want, filter).await?;
                count.calendar = calendar;
                let counted = count.of(self, (0, self.end), Bytes::new(), Some(&mut stream), filter).await?;
                Ok(counted.tail(0, self.first_bytes(Bytes::copy_from_slice(stream.beginning()))))
            }
        }
    }

    /// Those of a plain file, from ever larger parts of its end.
    async fn count_end(&self, count: &mut Count, want: Want, filter: &mut Filter) -> Flow<Tail> {
        let dated = want.dated || filter.has_window();
        let most = MOST_END.min(count.room as u64).max(FIRST_END);
        let mut size = FIRST_END.max(count.last.saturating_mul(ENTRY).min(most));
        let (end, mut from, mut wanted, times) = loop {
            let ending = if dated { self.dated_ending(size).await? } else { self.ending(size).await? };
            count.calendar = dated.then(|| self.calendar(&ending));
            let (from, read) = (ending.from, ending.bytes.len() as u64);
            let end = self.end.unwrap_or(from + read);
            let beginning = ending.bytes.slice(..ending.bytes.len().min(BEGINNING as usize));
            // A part begins inside a line, and inside an entry: the first one with a time is the first whole one.
            let entry = match ending.times {
                _ if from == 0 => Some(0),
                Times::Nowhere => Some(second_line(&ending.bytes)),
                Times::Here | Times::Before => first_entry(&ending.bytes),
            };
            let mut wanted = 0;
            if let Some(entry) = entry {
                let span = (from + entry as u64, Some(end));
                let counted = count.of(self, span, ending.bytes.slice(entry..), None, filter).await?;
                if from == 0 {
                    return Ok(counted.tail(from, beginning));
                }
                // Where ranges are not known there is no part of it to read once more.
                if counted.is_enough() && !(ending.is_all && counted.is_stretch()) {
                    let beginning = if counted.is_stretch() { self.beginning(end).await? } else { Bytes::new() };
                    return Ok(counted.tail(from, beginning));
                }
                wanted = counted.wanted;
            }
            size = size.max(read).saturating_mul(GROWTH);
            if ending.is_all {
                // Whoever does not know ranges would send all of it for each part.
                break (end, 0, wanted, ending.times);
            }
            if size > most {
                break (end, from, wanted, ending.times);
            }
        };
        // Too much to be fetched as a whole: what is more is counted as it comes.
        let beginning = self.beginning(end).await?;
        let file = File::new(self.node, self.name, Packing::Plain).up_to(Some(end));
        loop {
            from = start(end, end.saturating_sub(from), wanted, count.last);
            let mut stream = file.open_at(from, &beginning).await?;
            let first = match from {
                0 => Some((0, Bytes::new())),
                _ => to_first_entry(&mut stream, times).await?,
            };
            if let Some((passed, first)) = first {
                let span = (from + passed, Some(end));
                let counted = count.of(self, span, first, Some(&mut stream), filter).await?;
                if from == 0 || counted.is_enough() {
                    return Ok(counted.tail(from, beginning));
                }
                wanted = counted.wanted;
            }
        }
    }

    /// How a file begins that is known up to there.
    async fn beginning(&self, end: u64) -> Flow<Bytes> {
        let look = self.look().await?;
        if look.size.is_some_and(|size| size < end) {
            return Err(self.replaced());
        }
        Ok(look.beginning)
    }

    /// From one of its bytes on, if it begins like this.
    async fn open_at(&self, from: u64, beginning: &Bytes) -> Flow<Stream<'_>> {
        if from > 0 {
            return Stream::open_at(self, from, beginning).await;
        }
        let mut stream = Stream::open(self).await?;
        match stream.begins_with(beginning).await? {
            true => Ok(stream),
            false => Err(self.replaced()),
        }
    }

    fn replaced(&self) -> Halt {
        let words =
            format!("reading {}: it was replaced while it was read; the rest of the old one is gone", self.name);
        Error::new(Kind::Partial, words).hint("run it again").into()
    }
}

/// Passes over what does not begin with a whole entry: how much that is, and what was taken of what follows.
async fn to_first_entry(stream: &mut Stream<'_>, times: Times) -> Flow<Option<(u64, Bytes)>> {
    let (mut passed, mut part) = (0, Bytes::new());
    loop {
        let more = stream.take(FIRST_END as usize).await?;
        if more.is_empty() {
            return Ok(None);
        }
        part = if part.is_empty() { more } else { [part, more].concat().into() };
        let entry = match times {
            Times::Nowhere => Some(second_line(&part)),
            Times::Here | Times::Before => first_entry(&part),
        };
        if let Some(entry) = entry {
            return Ok(Some((passed + entry as u64, part.slice(entry..))));
        }
        // The last line may be cut inside its time.
        let line = memchr::memrchr(b'\n', &part).filter(|end| ((part.len() - end) as u64) < LAST_LINES);
        let rest = part.split_off(line.unwrap_or(part.len()));
        passed += std::mem::replace(&mut part, rest).len() as u64;
    }
}

/// Where a part begins that may have all that is wanted, by how much of that a part of this size had.
fn start(end: u64, size: u64, wanted: u64, last: u64) -> u64 {
    let likely = match wanted {
        0 => u128::from(size) * u128::from(GROWTH),
        _ => u128::from(size) * u128::from(last) / u128::from(wanted) * 5 / 4,
    };
    let likely = u64::try_from(likely).unwrap_or(u64::MAX);
    end.saturating_sub(likely.clamp(size.saturating_mul(2), size.saturating_mul(MOST_GROWTH)).max(MOST_END))
}

/// Counts what is wanted of a part, and holds it if there is room.
struct Count {
    last: u64,
    room: usize,
    calendar: Option<Calendar>,
    /// The filter, before it saw anything.
    before: Filter,
}

/// What a part has of that.
struct Counted {
    held: Held,
    wanted: u64,
    /// Whether there are as many as were asked for.
    is_full: bool,
    /// Whether all that stands before the part is older than the window.
    begun_before: bool,
}

impl Count {
    async fn of(
        &self,
        file: &File<'_>,
        (from, end): (u64, Option<u64>),
        first: Bytes,
        mut stream: Option<&mut Stream<'_>>,
        filter: &mut Filter,
    ) -> Flow<Counted> {
        filter.clone_from(&self.before);
        let keep = usize::try_from(self.last).unwrap_or(usize::MAX);
        let mut sieve = Sieve::new(Continuation::Timeless, self.calendar.clone(), filter, Some(keep)).within(self.room);
        let mut more = sieve.push(first);
        while more
            && let Some(stream) = &mut stream
            && let Some(piece) = stream.next().await?
        {
            more = sieve.push(piece);
        }
        sieve.finish();
        let (wanted, begun) = (sieve.wanted(), sieve.begun());
        let entries = wanted.min(self.last);
        let is_full = wanted >= self.last;
        if sieve.has_guessed() && (is_full || from == 0) {
            file.tell_of_guesses();
        }
        let held = match sieve.has_overflowed() {
            false => Held::Lines(sieve.remainder()),
            true => Held::Stretch(Box::new(Stretch {
                path: file.name.to_owned(),
                packing: file.packing,
                from,
                end,
                beginning: Bytes::new(),
                calendar: self.calendar.clone(),
                filter: self.before.clone(),
                before: wanted - entries,
                entries,
            })),
        };
        Ok(Counted { held, wanted, is_full, begun_before: filter.begins_after(begun) })
    }
}

impl Counted {
    /// Whether nothing before the part can be wanted.
    fn is_enough(&self) -> bool {
        self.is_full || self.begun_before
    }

    fn is_stretch(&self) -> bool {
        matches!(self.held, Held::Stretch(_))
    }

    /// The last entries of a file that begins like this, when nothing before the part is needed.
    fn tail(mut self, from: u64, beginning: Bytes) -> Tail {
        if let Held::Stretch(stretch) = &mut self.held {
            stretch.beginning = beginning.clone();
        }
        Tail { held: self.held, beginning: (from == 0 && !self.begun_before).then_some(beginning) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_as_large_as_what_is_missing_makes_likely() {
        let mega = |n: u64| n << 20;
        for (end, size, wanted, last, expected) in [
            (mega(100), mega(8), 100, 200, mega(80)),
            (mega(100), mega(8), 100, 110, mega(84)),
            (mega(100), mega(1), 0, 10, mega(92)),
            (mega(100), mega(1), 100, 10_000_000, mega(36)),
            (mega(10), mega(8), 100, 1000, 0),
        ] {
            assert_eq!(start(end, size, wanted, last), expected, "{size} {wanted} {last}");
        }
    }
}
