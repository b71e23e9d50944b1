//! The run of a unit before its last, where only the query can be asked: its text tells runs by the number of the process
//! alone, and by what systemd says of the unit between them.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{DISORDER, Found, Keep, MOST_BOOTS, NO_BOOTS, Parameters, Passed, Query, STEPS, Stream, is_journals};
use crate::error::{Error, Kind};
use crate::logs::filter::Filter;
use crate::logs::line::Line;
use crate::logs::outlet::{Flow, Halt, Outlet};
use crate::logs::source::Want;
use crate::logs::split::{Continuation, Splitter};
use crate::logs::unit::{self, Home};
use crate::logs::verdict::{End, Words};

/// So much of an entry's beginning tells it from all others: its time has microseconds.
const TELLING: usize = 256;
/// Processes of one run that are remembered.
const MOST_PROCESSES: usize = 4096;

/// A part of the log, from one entry to just before another, that is cut out of an answer.
#[derive(Debug)]
pub(super) struct Span {
    /// How its first entry begins.
    from: Bytes,
    /// How the first entry behind it begins.
    to: Bytes,
    place: Place,
    splitter: Splitter,
    entries: Vec<Line>,
    ready: VecDeque<Bytes>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Before,
    Within,
    Behind,
}

impl Span {
    fn new(from: Bytes, to: Bytes) -> Span {
        let splitter = Splitter::new(Continuation::Indented);
        Span { from, to, place: Place::Before, splitter, entries: Vec::new(), ready: VecDeque::new() }
    }

    fn push(&mut self, piece: Bytes) {
        self.splitter.push(piece, &mut self.entries);
        self.sort();
    }

    fn finish(&mut self) {
        self.splitter.finish(&mut self.entries);
        self.sort();
    }

    fn sort(&mut self) {
        for entry in self.entries.drain(..) {
            if self.place == Place::Before && entry.text.starts_with(&self.from) {
                self.place = Place::Within;
            } else if self.place == Place::Within && entry.text.starts_with(&self.to) {
                self.place = Place::Behind;
            }
            if self.place == Place::Within {
                self.ready.push_back(entry.text);
            }
        }
    }
}

/// Tells the runs of a unit apart in its lines of one boot, which come in their order.
#[derive(Debug)]
struct Runs {
    /// What the main process is called, where the unit's name tells it: then only it writes under that name. Others have
    /// children that write as they do, each with a number of its own.
    main: Option<&'static Home>,
    /// The processes of the run, sorted.
    processes: Vec<u32>,
    /// Whether systemd has said that it is starting the unit, and not yet that it has.
    starting: bool,
    /// How the entry begins in which systemd said that it has, where that is all it said, and nothing was written since.
    started: Option<Bytes>,
    /// How the first entries begin of the newest runs, oldest first.
    first: VecDeque<Bytes>,
}

impl Runs {
    /// The one that is looked for, the one behind it, and the one before it, which shows that it is whole.
    const KEPT: usize = 3;

    fn new(unit: &str) -> Runs {
        let (processes, first) = (Vec::new(), VecDeque::new());
        Runs { main: unit::home(unit), processes, starting: false, started: None, first }
    }

    fn push(&mut self, entry: &Line) {
        if entry.is_marker() {
            return;
        }
        if self.first.is_empty() {
            self.begin(beginning(&entry.text));
        }
        let Some((writer, process)) = writer(entry) else { return };
        if (writer, process) == (&b"systemd"[..], 1) {
            self.hear(entry);
            return;
        }
        if self.main.is_some_and(|main| writer != main.identifier.as_bytes()) {
            return;
        }
        let started = self.started.take();
        let Err(place) = self.processes.binary_search(&process) else { return };
        if started.is_some() || self.main.is_some() && !self.processes.is_empty() {
            self.begin(started.unwrap_or_else(|| beginning(&entry.text)));
        }
        if self.processes.len() < MOST_PROCESSES {
            self.processes.insert(place.min(self.processes.len()), process);
        }
    }

    /// systemd gives a unit a new id whenever it starts it.
    fn hear(&mut self, entry: &Line) {
        if entry.message().starts_with(b"Starting ") {
            self.finish();
            self.starting = true;
            self.begin(beginning(&entry.text));
        } else if entry.message().starts_with(b"Started ") && !std::mem::take(&mut self.starting) {
            // Where the beginning is cut off it may be the process that has just begun to write.
            self.finish();
            self.started = Some(beginning(&entry.text));
        }
    }

    /// Nothing more is written.
    fn finish(&mut self) {
        if let Some(started) = self.started.take() {
            self.begin(started);
        }
    }

    fn begin(&mut self, first: Bytes) {
        self.processes.clear();
        // What a boot begins with is the beginning of a run already.
        if self.first.back() != Some(&first) {
            self.first.push_back(first);
        }
        if self.first.len() > Runs::KEPT {
            self.first.pop_front();
        }
    }
}

/// What a boot's log told.
enum Told {
    /// How the newest runs begin, oldest first; the oldest may have begun earlier unless there are more than were needed.
    Runs(VecDeque<Bytes>),
    /// There is no such boot.
    NoBoot,
    /// There is no log in which to look.
    Nothing(Found),
}

impl Query<'_> {
    /// Reads the run before the last of a single unit and hands it on.
    pub async fn read_previous(&mut self, want: Want, filter: &mut Filter, out: &mut Outlet) -> Flow<Found> {
        let only = self.boot;
        let found = self.find_previous(filter).await;
        let (back, from, to) = match found {
            Ok(Ok(place)) => place,
            Ok(Err(found)) => return Ok(found),
            Err(Halt::Failed(error)) if error.chain().contains(NO_BOOTS) => {
                let words = "a Windows node's events tell no runs, so --previous can't be answered";
                return Err(Error::usage(words).hint("--since and --until choose a time instead").into());
            }
            Err(halt) => return Err(halt),
        };
        let name = self.node.name;
        self.node.notices.note(format_args!(
            "{name}: the query tells the run before the last by the change of the process number alone"
        ));
        if want.last == Some(0) {
            return Ok(Found::Log { anything: false });
        }
        self.boot = Some(back);
        let at = match crate::logs::layout::Head::of(&from) {
            Some(head) => self.year_of(&from, &head).await?,
            None => None,
        };
        let parameters = Parameters { since: at.map(|at| at.saturating_sub(DISORDER)), ..Parameters::default() };
        let keep = want.last.map_or(Keep::All, |last| Keep::Last(last, out.room()));
        let span = || Span::new(from.clone(), to.clone());
        self.span = Some(span());
        let passed = self.pass(&parameters, want, filter, keep, (keep == Keep::All).then_some(&mut *out)).await;
        let place = self.span.take().map(|span| span.place);
        self.span = Some(span());
        let pass = match passed? {
            Passed::Log(pass) => pass,
            Passed::Listing(listing) => return Ok(Found::Listing(listing)),
            Passed::Text => return Ok(Found::TextFile(self.units.join(", "))),
        };
        self.hand_on(pass.held, want, out).await?;
        (self.span, self.boot) = (None, only);
        let anything = pass.wanted > 0 || out.has_spoken();
        if let End::Words(words) = pass.end {
            return self.spoken(words, anything);
        }
        if place == Some(Place::Before) && pass.end != End::Whole {
            let words = "the log changed while it was read, and the beginning of the run is gone from it";
            return Err(Error::new(Kind::Partial, words).hint("ask again").into());
        }
        Ok(Found::Log { anything })
    }

    /// The next piece of an answer, of which only a span may be wanted.
    pub(super) async fn next_of(&mut self, stream: &mut Stream) -> Flow<Option<Bytes>> {
        loop {
            match &mut self.span {
                None => return stream.next(self).await,
                Some(span) => {
                    if let Some(entry) = span.ready.pop_front() {
                        return Ok(Some(entry));
                    }
                    if span.place == Place::Behind {
                        return Ok(None);
                    }
                }
            }
            let piece = stream.next(self).await?;
            let Some(span) = &mut self.span else { continue };
            match piece {
                Some(piece) => span.push(piece),
                None => {
                    span.finish();
                    return Ok(span.ready.pop_front());
                }
            }
        }
    }

    /// In which boot the run before the last is, how it begins and how what follows it begins; or what there is instead.
    async fn find_previous(&mut self, filter: &Filter) -> Flow<Result<(u32, Bytes, Bytes), Found>> {
        let name = self.units.join(", ");
        let boots = self.boot.map_or(0..=MOST_BOOTS, |back| back..=back);
        let first = *boots.start();
        // How the last run begins, where it is the only one of its boot.
        let mut last: Option<Bytes> = None;
        for back in boots {
            let runs = match self.runs_of(back, if last.is_some() { 1 } else { 2 }, filter).await? {
                Told::Runs(runs) => runs,
                Told::NoBoot if back > first => break,
                Told::NoBoot => {
                    let error =
                        Error::new(Kind::NotFound, format!("the node's journal has no boot {}", -i64::from(back)));
                    return Err(error.hint("leave --boot out to look in every boot").into());
                }
                Told::Nothing(found) => return Ok(Err(found)),
            };
            let mut newest = runs.into_iter().rev();
            let to = match last.take() {
                Some(to) => Some(to),
                None => newest.next(),
            };
            if let (Some(from), Some(to)) = (newest.next(), &to) {
                return Ok(Ok((back, from, to.clone())));
            }
            last = to;
        }
        if last.is_none() {
            let found = self.known().await?;
            if !matches!(found, Found::Log { .. }) {
                return Ok(Err(found));
            }
        }
        let words = match (&last, self.boot) {
            (Some(_), Some(_)) => {
                format!("in this boot the process number of {name} never changed: no run before the last")
            }
            (Some(_), None) => {
                format!("the process number of {name} never changed: the query shows no run before the last")
            }
            (None, _) => format!("the query shows no line of {name} there, so no run"),
        };
        let error = Error::new(Kind::NotFound, words);
        Err(match self.boot {
            Some(_) => error.hint("leave --boot out to look in every boot"),
            None => error.hint("--since and --until choose a time instead"),
        }
        .into())
    }

    /// The newest runs of a boot, so many of them whole: of ever more of its last lines.
    async fn runs_of(&mut self, back: u32, needed: usize, filter: &Filter) -> Flow<Told> {
        let mut read_before = None;
        for tail in STEPS.into_iter().map(Some).chain([None]) {
            let parameters = Parameters { tail, boot: Some(back), ..Parameters::default() };
            let mut stream = match Stream::open(self, parameters).await? {
                Ok(stream) => stream,
                Err(listing) => return Ok(Told::Nothing(Found::Listing(listing))),
            };
            let mut runs = Runs::new(self.units.first().map_or("", String::as_str));
            let (mut splitter, mut entries, mut read) = (Splitter::new(Continuation::Indented), Vec::new(), 0_u64);
            loop {
                let piece = stream.next(self).await?;
                let ended = piece.is_none();
                match piece {
                    Some(piece) => splitter.push(piece, &mut entries),
                    None => splitter.finish(&mut entries),
                }
                for entry in entries.drain(..) {
                    if entry.head.is_some_and(|head| !is_journals(&head)) {
                        return Ok(Told::Nothing(Found::TextFile(self.units.join(", "))));
                    }
                    read += u64::from(entry.head.is_some());
                    runs.push(&entry);
                }
                if ended {
                    break;
                }
            }
            match stream.end() {
                End::Words(Words::Failed(words)) if words.contains("specified boot") => return Ok(Told::NoBoot),
                end @ End::Words(_) => return self.judge(end, false, filter).await.map(Told::Nothing),
                End::Whole | End::Empty | End::MidLine => {}
            }
            runs.finish();
            // The same number twice: that was all of the boot. One is too few only where the tail was full.
            let whole = tail.is_none() || read == 0 || read_before == Some(read);
            if whole || runs.first.len() > needed {
                return Ok(Told::Runs(runs.first));
            }
            read_before = Some(read);
        }
        Ok(Told::Runs(VecDeque::new()))
    }
}

/// Who wrote an entry, and the number of the process.
fn writer(entry: &Line) -> Option<(&[u8], u32)> {
    let head = entry.head?;
    let (from, to) = head.identifier;
    let name = entry.text.get(from..to)?;
    let number = entry.text.get(to..head.message)?.strip_prefix(b"[")?;
    let number = number.get(..memchr::memchr(b']', number)?)?;
    Some((name, std::str::from_utf8(number).ok()?.parse().ok()?))
}

fn beginning(text: &Bytes) -> Bytes {
    // A copy: it would hold all that came with it.
    let line = memchr::memchr(b'\n', text).map_or(text.len(), |end| end + 1);
    Bytes::copy_from_slice(text.get(..line.min(TELLING)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How the runs begin that these lines tell apart: `writer[number]: message`.
    fn runs(unit: &str, lines: &[&str]) -> Vec<usize> {
        let text: Vec<String> =
            lines.iter().enumerate().map(|(n, line)| format!("Nov 14 22:13:{n:02}.000001 node-7 {line}\n")).collect();
        let (mut splitter, mut entries) = (Splitter::new(Continuation::Indented), Vec::new());
        splitter.push(Bytes::from(text.concat()), &mut entries);
        splitter.finish(&mut entries);
        let mut runs = Runs::new(unit);
        entries.iter().for_each(|entry| runs.push(entry));
        runs.finish();
        let place = |first: &Bytes| text.iter().position(|line| line.as_bytes().starts_with(first)).unwrap();
        runs.first.iter().map(place).collect()
    }

    #[test]
    fn a_run_begins_where_systemd_starts_it_else_with_its_first_line() {
        let lines = [
            "systemd[1]: Starting kubelet.service - kubelet...",
            "systemd[1]: Started kubelet.service - kubelet.",
            "kubelet[7]: I1114 one",
            "mount[8]: a child's",
            "kubelet[7]: I1114 two",
            "systemd[1]: kubelet.service: Main process exited, code=exited, status=1/FAILURE",
            "systemd[1]: kubelet.service: Scheduled restart job, restart counter is at 5.",
            "systemd[1]: Started kubelet.service - kubelet.",
            "kubelet[9]: I1114 three",
            "kubelet[11]: I1114 systemd said nothing",
        ];
        assert_eq!(runs("kubelet", &lines), [0, 7, 9]);
        // A tail may begin anywhere.
        assert_eq!(runs("kubelet", &lines[3..]), [0, 4, 6]);
        assert_eq!(runs("kubelet", &lines[6..9]), [0, 1]);
        // It has just been started.
        assert_eq!(runs("kubelet", &lines[..8]), [0, 7]);
    }

    #[test]
    fn a_service_whose_children_write_as_it_does_is_told_by_systemd() {
        let lines = [
            "systemd[1]: Started containerd.service - containerd container runtime.",
            "containerd[7]: time=\"…\" level=info",
            "containerd[70]: a shim",
            "containerd[7]: time=\"…\" level=info",
            "containerd[71]: a shim",
            "systemd[1]: Reloaded containerd.service - containerd container runtime.",
            "containerd[72]: a shim",
            "systemd[1]: Started containerd.service - containerd container runtime.",
            "containerd[9]: time=\"…\" level=info",
        ];
        assert_eq!(runs("containerd", &lines), [0, 7]);
        let waited_for = [
            "systemd[1]: Starting containerd.service - containerd container runtime...",
            "containerd[7]: time=\"…\" level=info",
            "systemd[1]: Started containerd.service - containerd container runtime.",
            "containerd[70]: a shim",
            "systemd[1]: Starting containerd.service - containerd container runtime...",
            "containerd[9]: time=\"…\" level=info",
            "systemd[1]: Started containerd.service - containerd container runtime.",
        ];
        assert_eq!(runs("containerd", &waited_for), [0, 4]);
    }
}
