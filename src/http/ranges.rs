//! Many parts of one file, in few requests: several ranges each where the server can, one by one where it can not.
//!
//! Go's file server answers several ranges at once with `multipart/byteranges`, leaves out those past the end, and sends the
//! whole file when they add up to more than it has. Proxies on the way do less: they answer only the first range, or none, or
//! refuse a long header. Each of these is met with fewer ranges a request, and remembered for the next.

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{HeaderValue, RANGE};

use super::failure::Stage;
use super::request::Request;
use super::response::Response;
use super::retry::{self, Decision, Outcome};
use crate::error::{Doing, Error, Kind, Result};

mod answer;
pub mod multipart;
mod plan;
#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "ranges are what is asked for")]
mod tests;

use answer::{Again, Got, Heard};
pub use plan::Segments;

/// How much is asked for at once, and in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Ranges no further apart than so many bytes are asked for as one.
    pub gap: u64,
    /// Ranges a request, at most [`Limits::MOST_RANGES`].
    pub ranges: usize,
    /// Bytes a request, unless a single need has more.
    pub request: u64,
    /// Requests side by side.
    pub parallel: usize,
    /// The largest file that is read whole from a server that knows no ranges, in bytes.
    pub whole: u64,
    /// Bytes of bodies in all, over the life of a [`Ranges`].
    pub budget: u64,
    /// A body that brings nothing for so long is given up.
    pub silence: Duration,
}

impl Limits {
    /// With about 20 bytes a range, what every server's and proxy's limit for a request's head admits.
    pub const MOST_RANGES: usize = 320;
}

impl Default for Limits {
    /// What journals are read with: 160 ranges make a header of 3.5 kB.
    fn default() -> Self {
        Limits {
            gap: 256,
            ranges: 160,
            request: 1 << 20,
            parallel: 4,
            whole: 32 << 20,
            budget: 1 << 30,
            silence: Duration::from_secs(45),
        }
    }
}

/// Whom to ask. It asks again by itself where a request got no answer, or one that asks to come back.
pub trait Server: Sync {
    /// Sends a request and gives the answer, whatever its status.
    fn ask(&self, request: Request) -> impl Future<Output = Result<Response>> + Send;

    /// The error that an answer of another status than 200, 206 and 416 stands for.
    fn refusal(&self, answer: Response) -> impl Future<Output = Error> + Send;

    /// Lets so much time pass.
    fn pause(&self, time: Duration) -> impl Future<Output = ()> + Send;
}

/// Reads ranges from one server: knows what it can do, and how much may still be read. Shared by all files of one query.
#[derive(Debug)]
pub struct Ranges {
    limits: Limits,
    learned: Mutex<Learned>,
    requests: AtomicU64,
    spent: AtomicU64,
}

/// What is wanted of one file.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Asked for before everything else in each request: by its copies in [`Fetched::leads`] is seen whether all came from
    /// the same file, and how old the oldest part may be.
    pub lead: Option<&'a Range<u64>>,
    /// In any order; they may overlap. Each counts against the budget as a whole while the file's size is unknown.
    pub needs: &'a [Range<u64>],
}

/// What a file had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Every need as far as the file reaches, each in one piece, and gaps that were read along. Where a need overlaps the
    /// lead it has the bytes of the first answer.
    pub segments: Segments,
    /// The lead of each answer, as far as the file reaches. Every part is at least as new as its own answer's lead, so none is
    /// older than the oldest of them. Empty where the file ends before it.
    pub leads: Vec<Bytes>,
    /// The file's size by the last answer.
    pub size: u64,
}

/// What is known of a server; it only ever gets worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Learned {
    /// Ranges a request.
    most: usize,
    way: Way,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Several ranges a request.
    Several,
    /// One; whether that has worked yet.
    One { proven: bool },
}

/// In single requests a gap costs less than a round trip up to about this many bytes.
const GAP_OF_SINGLES: u64 = 16 << 10;
/// What a part costs beside its data, about.
const PART: u64 = 160;
/// Rounds in a row that may bring nothing.
const FRUITLESS: u32 = 4;
/// Rounds one fetch may take.
const ROUNDS: u32 = 64;
/// Go reads offsets as signed numbers and refuses larger ones.
const FURTHEST: u64 = i64::MAX as u64;

impl Ranges {
    /// Nothing known, nothing read.
    pub fn new(limits: Limits) -> Self {
        let most = limits.ranges.clamp(1, Limits::MOST_RANGES);
        let way = if most == 1 { Way::One { proven: false } } else { Way::Several };
        Ranges {
            limits,
            learned: Mutex::new(Learned { most, way }),
            requests: AtomicU64::new(0),
            spent: AtomicU64::new(0),
        }
    }

    /// Requests sent so far, those that the server had asked again for counted once.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Bytes of bodies read so far.
    pub fn spent(&self) -> u64 {
        self.spent.load(Ordering::Relaxed)
    }

    /// Fetches what is wanted of the file that `request` names. Past its end there is nothing, which is no error. Dropping the
    /// future gives up the requests under way.
    pub async fn fetch(&self, server: &impl Server, request: &Request, wanted: Wanted<'_>) -> Result<Fetched> {
        let mut fetch = Fetch::new(wanted);
        let mut fruitless = 0;
        let mut last = self.learned().most;
        for _ in 0..ROUNDS {
            let learned = self.learned();
            let Some(mut batches) = fetch.batches(&self.limits, learned) else { return Ok(fetch.finish()) };
            // What is new is tried with one request, before many fail together.
            if learned.most != last || learned.way == (Way::One { proven: false }) {
                batches.truncate(1);
            }
            last = learned.most;
            self.check_budget(request, &batches)?;
            let before = fetch.progress();
            fetch.cut = None;
            let at_once = self.limits.parallel.max(1);
            let asking = batches.into_iter().map(|asked| self.ask(server, request, asked));
            side_by_side(asking, at_once, |answer| {
                let (asked, heard) = answer?;
                self.learn(&asked, &heard);
                fetch.take(request, &asked, heard)?;
                // What was planned by what is no longer so is planned again.
                Ok(if self.learned() == learned { Then::GoOn } else { Then::Finish })
            })
            .await?;
            if fetch.progress() > before || self.learned() != learned {
                fruitless = 0;
                continue;
            }
            fruitless += 1;
            if fruitless > FRUITLESS {
                break;
            }
            if fetch.cut.is_some()
                && let Decision::Wait(time) =
                    retry::decide(fruitless.min(3), Outcome::Failed(Stage::Lost), retry::jitter())
            {
                server.pause(time).await;
            }
        }
        Err(fetch.failure(request))
    }

    /// One request and what is made of its answer.
    async fn ask(
        &self,
        server: &impl Server,
        request: &Request,
        asked: Vec<Range<u64>>,
    ) -> Result<(Vec<Range<u64>>, Heard)> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let mut answer = server.ask(request.clone().header(RANGE, header(&asked)?)).await?;
        answer.body.limit_silence(self.limits.silence);
        let left = self.limits.budget.saturating_sub(self.spent());
        match answer::read(answer, &asked, self.limits.whole.min(left), &self.spent).await {
            Heard::Refused(answer) => Err(server.refusal(answer).await),
            heard => Ok((asked, heard)),
        }
    }

    fn learned(&self) -> Learned {
        *self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn learn(&self, asked: &[Range<u64>], heard: &Heard) {
        let mut learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        let one = Way::One { proven: false };
        match heard {
            Heard::TooMany if asked.len() > 2 => learned.most = learned.most.min(asked.len() / 2),
            Heard::TooMany | Heard::OnlyOne(_) | Heard::Ignored | Heard::Broken(_) if learned.way == Way::Several => {
                learned.way = one;
            }
            Heard::Got(got) if got.unasked && learned.way == Way::Several => learned.way = one,
            Heard::Got(got) if !got.unasked && learned.way == one => learned.way = Way::One { proven: true },
            _ => {}
        }
    }

    fn check_budget(&self, request: &Request, batches: &[Vec<Range<u64>>]) -> Result<()> {
        let planned = batches.iter().flatten().fold(0, |sum: u64, r| sum.saturating_add(r.end - r.start + PART));
        let (spent, budget) = (self.spent(), self.limits.budget);
        if spent.saturating_add(planned) <= budget {
            return Ok(());
        }
        let words = format!(
            "reading {}: {planned} bytes more after {spent} would be more than the {budget} that may be read in all",
            request.path()
        );
        Err(Error::new(Kind::Failed, words).hint("a narrower time window needs less"))
    }
}

/// One fetch under way.
struct Fetch<'a> {
    wanted: Wanted<'a>,
    segments: Segments,
    leads: Vec<Bytes>,
    size: Option<u64>,
    /// Why the last round did not bring all.
    cut: Option<String>,
    /// How often an answer to several ranges left out what the file has.
    left_out: u32,
    /// Single ranges came since the last lead: another one must tell that they are of the same file.
    open: bool,
}

impl<'a> Fetch<'a> {
    fn new(wanted: Wanted<'a>) -> Self {
        Fetch {
            wanted,
            segments: Segments::default(),
            leads: Vec::new(),
            size: None,
            cut: None,
            left_out: 0,
            open: false,
        }
    }

    /// What to ask for next; `None` when there is all.
    fn batches(&self, limits: &Limits, learned: Learned) -> Option<Vec<Vec<Range<u64>>>> {
        let lead = self.wanted.lead;
        let missing = self.missing();
        let lead_is_due = lead.is_some_and(|lead| self.leads.is_empty() && self.size.is_none_or(|s| lead.start < s));
        // A server that has left out ranges twice is asked for them one by one.
        let several = learned.way == Way::Several && self.left_out < 2;
        if several {
            let size = plan::Size { ranges: learned.most, bytes: limits.request, gap: limits.gap };
            return (lead_is_due || !missing.is_empty()).then(|| plan::batches(missing, lead, size));
        }
        match lead {
            Some(lead) if lead_is_due || (missing.is_empty() && self.open) => Some(vec![vec![lead.clone()]]),
            _ if missing.is_empty() => None,
            _ => {
                let size = plan::Size { ranges: 1, bytes: limits.request, gap: limits.gap.max(GAP_OF_SINGLES) };
                Some(plan::batches(missing, None, size))
            }
        }
    }

    /// What is needed and not here, as far as the file is known to reach; the lead comes by itself.
    fn missing(&self) -> Vec<Range<u64>> {
        let end = self.size.unwrap_or(FURTHEST).min(FURTHEST);
        let lead = self.wanted.lead.cloned().unwrap_or(0..0);
        let around = |range: Range<u64>| [range.start..range.end.min(lead.start), range.start.max(lead.end)..range.end];
        let needs = self.wanted.needs.iter().map(|need| need.start..need.end.min(end));
        needs
            .flat_map(|need| if lead.is_empty() { [need, 0..0] } else { around(need) })
            .filter(|need| !need.is_empty())
            .flat_map(|need| self.segments.missing(need))
            .collect()
    }

    /// Grows with all that brings the fetch further.
    fn progress(&self) -> (u64, usize, u32, bool) {
        (self.segments.len(), self.leads.len().min(1), self.left_out.min(2), !self.open)
    }

    fn take(&mut self, request: &Request, asked: &[Range<u64>], heard: Heard) -> Result<()> {
        match heard {
            Heard::Got(got) | Heard::OnlyOne(got) => self.keep(request, asked, got),
            // Several ranges are easy to get wrong; one is not.
            Heard::Broken(violation) if asked.len() == 1 => {
                Err(reading(request, Kind::Failed, format!("the answer is not the part asked for: {violation}")))
            }
            Heard::TooLarge(size) => {
                let size = size.map_or("many more".into(), |size| size.to_string());
                let words =
                    format!("byte ranges are ignored on the way, and {size} bytes are too many to read them all");
                Err(reading(request, Kind::Failed, words).hint("is there a proxy that drops the Range header?"))
            }
            Heard::Ignored | Heard::TooMany | Heard::Broken(_) | Heard::Refused(_) => Ok(()),
        }
    }

    fn keep(&mut self, request: &Request, asked: &[Range<u64>], mut got: Got) -> Result<()> {
        if let Some(size) = got.size {
            self.size = Some(size);
        }
        if let Some(lead) = self.wanted.lead {
            let end = lead.end.min(got.size.unwrap_or(lead.end));
            let here = got.pieces.iter().position(|(at, bytes)| *at <= lead.start && end <= at + bytes.len() as u64);
            match here.filter(|_| lead.start < end) {
                Some(nth) => {
                    let (at, bytes) = &got.pieces[nth];
                    self.leads.push(bytes.slice((lead.start - at) as usize..(end - at) as usize));
                    if asked.contains(lead) && bytes.len() as u64 == end - lead.start {
                        got.pieces.remove(nth);
                    }
                    self.open = false;
                }
                None => self.open |= !got.pieces.is_empty(),
            }
        }
        self.left_out += u32::from(got.left_out);
        self.segments.add(got.pieces);
        match got.cut {
            Some((words, Again::IsUseless)) => Err(reading(request, Kind::Failed, words)),
            cut => {
                self.cut = cut.map(|(words, _)| words).or(self.cut.take());
                Ok(())
            }
        }
    }

    fn finish(mut self) -> Fetched {
        if let (Some(lead), Some(bytes)) = (self.wanted.lead, self.leads.first()) {
            self.segments.add(vec![(lead.start, bytes.clone())]);
        }
        self.segments.join();
        Fetched { segments: self.segments, leads: self.leads, size: self.size.unwrap_or(0) }
    }

    /// Why there is no more.
    fn failure(self, request: &Request) -> Error {
        match (self.cut.as_deref(), self.missing().first(), self.size) {
            (Some(cut), _, _) => reading(request, Kind::Unreachable, cut),
            (None, Some(range), Some(size)) => {
                let words = format!("the server leaves out bytes {}-{} of {size}", range.start, range.end - 1);
                reading(request, Kind::Failed, words)
            }
            _ => reading(request, Kind::Failed, "the answers don't come to an end"),
        }
    }
}

fn reading(request: &Request, kind: Kind, what: impl AsRef<str>) -> Error {
    Error::new(kind, format!("reading {}: {}", request.path(), what.as_ref()))
}

fn header(ranges: &[Range<u64>]) -> Result<HeaderValue> {
    let mut value = String::with_capacity(6 + 22 * ranges.len());
    for range in ranges {
        value.push_str(if value.is_empty() { "bytes=" } else { "," });
        value.push_str(&format!("{}-{}", range.start, range.end.saturating_sub(1)));
    }
    HeaderValue::try_from(value).doing(Kind::Failed, || "asking for byte ranges".into())
}

/// Whether to begin with those that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    GoOn,
    /// Only what is under way comes to its end.
    Finish,
}

/// Runs these, so many at once, and hands over each result as it comes, until one is an error.
async fn side_by_side<F: Future>(
    all: impl Iterator<Item = F>,
    at_once: usize,
    mut take: impl FnMut(F::Output) -> Result<Then>,
) -> Result<()> {
    let mut waiting = all.fuse();
    let mut running: Vec<Pin<Box<F>>> = Vec::new();
    let mut then = Then::GoOn;
    std::future::poll_fn(move |context| {
        loop {
            while then == Then::GoOn
                && running.len() < at_once
                && let Some(next) = waiting.next()
            {
                running.push(Box::pin(next));
            }
            if running.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let mut nth = 0;
            let mut ended = false;
            while let Some(one) = running.get_mut(nth) {
                match one.as_mut().poll(context) {
                    Poll::Pending => nth += 1,
                    Poll::Ready(result) => {
                        drop(running.swap_remove(nth));
                        ended = true;
                        match take(result) {
                            Ok(Then::GoOn) => {}
                            Ok(Then::Finish) => then = Then::Finish,
                            Err(error) => return Poll::Ready(Err(error)),
                        }
                    }
                }
            }
            if !ended {
                return Poll::Pending;
            }
        }
    })
    .await
}
