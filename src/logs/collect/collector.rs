//! What the lanes of a run have brought, and what of it is given next.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use super::{Down, Lanes, Means, Order, Progress, Step, Then, Use};
use crate::error::Error;
use crate::logs::lane::{Reading, is_gone, midway};
use crate::logs::line::Line;
use crate::logs::merge::{Merge, Next, Patience};
use crate::logs::outlet::{Credit, Event, Outlet, Told};
use crate::logs::pace::Pace;
use crate::logs::place::{Leaves, Open, Place, Places};
use crate::logs::plan::Plan;
use crate::logs::roster::{Change, Roster};
use crate::logs::source::Want;
use crate::logs::source::contact::Contact;
use crate::time::Timestamp;

/// The bounds of one lane's share of what may wait.
const SHARE: (usize, usize) = (16 << 10, 512 << 10);
/// Bytes given back at once to a lane of which more waits.
const OWED: usize = 8 << 10;
/// Entries given in one step.
const BATCH: usize = 1024;
/// Lanes that read at the same time at the most. Their answers stay open while others are waited for, and an API server
/// takes four hundred on our connections: the rest are for what lanes ask beside.
const PLACES: usize = 300;

/// How long lines of one node wait for another that is followed and has nothing to say.
const PATIENCE: Duration = Duration::from_secs(1);
/// A look that has brought nothing for so long when the run ends hangs.
const HANGS: Duration = Duration::from_secs(5);
/// How much older than its last look a line of a node may be: what its clock is behind, and what it takes to be stored.
const BEHIND: Duration = Duration::from_secs(2);

/// All lanes of a run, and what has come of them and was not given yet.
pub(super) struct Collector<'a> {
    plan: &'a Arc<Plan>,
    /// Beside the lanes, and as long.
    nodes: Vec<String>,
    usage: Use,
    means: &'a Means,
    pub(super) roster: Option<Roster>,
    most: usize,
    down: Down,
    /// Lanes of nodes that there were in the beginning.
    listed: usize,
    tasks: JoinSet<()>,
    sender: mpsc::UnboundedSender<(usize, Told)>,
    pub(super) told: mpsc::UnboundedReceiver<(usize, Told)>,
    lanes: Vec<Lane>,
    places: Arc<Places>,
    /// Bytes of one lane that may wait, and that it may hold before.
    share: usize,
    room: usize,
    /// Lanes whose task was started; the others follow in order, each when the one before it has found a place.
    started: usize,
    pub(super) progress: Progress,
    /// The lane whose turn it is, where they go one after another.
    turn: usize,
    merge: Merge,
    /// What holds the lines that are given by time: each holds it for the next.
    run: Vec<Line>,
    /// Lanes that have joined and were not given yet.
    joined: VecDeque<usize>,
    /// Lanes that have ended, and of which nothing waits any more.
    over: VecDeque<usize>,
    /// The lanes that spoke, a number for each event that waits, where they are given as they come.
    spoke: VecDeque<usize>,
    /// How many lanes were told to have ended, and how many ended because their nodes went.
    told_ended: usize,
    gone: usize,
    /// Of when the line is that was given last.
    given: Option<Timestamp>,
    /// When lines go out that wait for silent lanes.
    pub(super) wake: Option<Instant>,
    /// When what was gathered is told.
    pub(super) tell: Option<Instant>,
    pace: Option<Arc<Pace>>,
}

/// A step, as far as it is the collector's own.
pub(super) enum Taken {
    Joined(usize),
    Event(usize, Event),
    Ended(usize, Result<bool, Error>),
    Unfinished(usize),
}

struct Lane {
    credit: Credit,
    /// What it gets back soon.
    owed: usize,
    /// What waits for the lane's turn.
    waiting: VecDeque<Event>,
    ended: Option<Result<bool, Error>>,
    /// Whether it has found its place.
    begun: bool,
    /// Whether anything of it has come.
    spoke: bool,
    /// Whether it has come to the present.
    is_live: bool,
    /// All that was written before this was read: when it began, or its last look that went well.
    looked: Option<Timestamp>,
    /// Since when a look that is under way has brought nothing.
    looks: Option<Instant>,
    /// What of it is gone unread.
    lost: Option<Error>,
    /// Why it can't be read at the moment.
    fails: Option<Error>,
    /// Of when the newest line is that came, where that is known.
    newest: Option<Timestamp>,
    /// Whether it has ended, told or not.
    is_over: bool,
    task: Option<AbortHandle>,
    /// Of a node that has joined: from when on it is read.
    from: Option<Timestamp>,
}

impl Lane {
    fn new(credit: Credit, from: Option<Timestamp>) -> Self {
        let waiting = VecDeque::new();
        Lane {
            credit,
            owed: 0,
            waiting,
            ended: None,
            begun: false,
            spoke: false,
            is_live: false,
            looked: None,
            looks: None,
            lost: None,
            fails: None,
            newest: None,
            is_over: false,
            task: None,
            from,
        }
    }

    /// What waits next, paid back.
    fn next(&mut self) -> Option<Event> {
        let event = self.waiting.pop_front()?;
        self.credit.give_back(match &event {
            Event::Bytes(bytes) => self.credit.cost_of_bytes(bytes),
            Event::Lines(lines) => lines.iter().map(|line| self.credit.cost_of(line)).sum(),
        });
        Some(event)
    }
}

impl<'a> Collector<'a> {
    pub(super) fn new(plan: &'a Arc<Plan>, lanes: Lanes, usage: Use, means: &'a Means) -> Self {
        let (sender, told) = mpsc::unbounded_channel();
        let Lanes { nodes, unknown, roster, most, down } = lanes;
        let room = (plan.buffer / nodes.len().max(1)).max(SHARE.0.min(plan.buffer));
        // Nodes that come later make company.
        let company = nodes.len().max(1 + usize::from(roster.is_some()));
        let mut collector = Collector {
            plan,
            usage,
            means,
            roster,
            most,
            down,
            listed: nodes.len() - unknown.min(nodes.len()),
            tasks: JoinSet::new(),
            sender,
            told,
            lanes: Vec::with_capacity(nodes.len()),
            places: Arc::new(Places::new(usage.at_once.min(PLACES))),
            share: room.clamp(SHARE.0, SHARE.1),
            room,
            started: 0,
            progress: Progress::default(),
            turn: 0,
            merge: Merge::default(),
            run: Vec::new(),
            joined: VecDeque::new(),
            over: VecDeque::new(),
            spoke: VecDeque::new(),
            told_ended: 0,
            gone: 0,
            given: None,
            wake: None,
            tell: None,
            pace: plan.follow.map(|looks| Arc::new(Pace::new(company, looks))),
            nodes: Vec::with_capacity(nodes.len()),
        };
        nodes.into_iter().for_each(|node| collector.join(node, None));
        collector.start_next();
        collector
    }

    fn join(&mut self, node: String, from: Option<Timestamp>) {
        self.merge.join(match self.plan.follow {
            Some(_) => Patience::Lasts(PATIENCE),
            None => Patience::Endless,
        });
        self.lanes.push(Lane::new(Credit::new(self.share), from));
        self.nodes.push(node);
    }

    fn start_next(&mut self) {
        // A node may go before its turn comes.
        while self.lanes.get(self.started).is_some_and(|lane| lane.is_over) {
            self.started += 1;
        }
        let number = self.started;
        let (Some(lane), Some(node)) = (self.lanes.get_mut(number), self.nodes.get(number)) else { return };
        self.started += 1;
        let leaves = if self.usage.order == Order::Merged { Leaves::WhenWanted } else { Leaves::Never };
        let open = Open::default();
        let place = Place::new(Arc::clone(&self.places), leaves, open.clone());
        let outlet = Outlet::new(number, self.sender.clone(), lane.credit.clone(), place).with_room(self.room);
        let want = Want {
            last: self.plan.last.filter(|_| lane.from.is_none()),
            dated: self.usage.dated || self.usage.order == Order::Merged,
            raw: self.usage.raw,
            fields: self.usage.fields,
        };
        let reading = Reading {
            plan: Arc::clone(self.plan),
            means: self.means.clone(),
            number,
            name: node.clone(),
            from: lane.from,
            down: self.down,
            want,
            pace: self.pace.as_ref().map(|pace| Arc::new(pace.of(outlet.teller()))),
            contact: Contact::new(open),
        };
        lane.task = Some(self.tasks.spawn(reading.run(outlet)));
    }

    /// Hands a step to the closure, and does as it says.
    pub(super) fn give(&mut self, taken: Taken, each: &mut impl FnMut(Step<'_>) -> Then) -> Then {
        let (number, then) = match taken {
            Taken::Joined(number) => match self.nodes.get(number) {
                Some(node) => (number, each(Step::Joined(number, node))),
                None => return Then::GoOn,
            },
            Taken::Event(number, mut event) => {
                let then = each(Step::Event(number, &mut event));
                if let Event::Lines(mut lines) = event {
                    lines.clear();
                    self.run = lines;
                }
                (number, then)
            }
            Taken::Ended(number, how) => (number, each(Step::Ended(number, how))),
            Taken::Unfinished(number) => (number, each(Step::Unfinished(number))),
        };
        if then == Then::EndLane {
            self.end_lane(number);
        }
        then
    }

    /// Nothing more is wanted of a lane.
    fn end_lane(&mut self, number: usize) {
        let Some(lane) = self.lanes.get_mut(number) else { return };
        lane.waiting.clear();
        self.spoke.retain(|spoke| *spoke != number);
        self.merge.discard(number);
        // One that has ended and waits to be told so is told.
        if lane.is_over && !self.over.contains(&number) {
            self.note_if_over(number);
        }
        self.close(number, Ok(true));
    }

    /// A lane has ended; what waits still goes out.
    fn close(&mut self, number: usize, how: Result<bool, Error>) {
        let Some(lane) = self.lanes.get_mut(number).filter(|lane| !lane.is_over) else { return };
        if let Some(task) = lane.task.take() {
            task.abort();
        }
        self.progress.ended += 1;
        self.progress.failed += usize::from(how.is_err());
        lane.is_over = true;
        lane.ended = Some(how);
        let waits = !lane.begun && number < self.started;
        self.merge.close(number);
        self.note_if_over(number);
        if waits {
            self.start_next();
        }
        while self.tasks.try_join_next().is_some() {}
    }

    /// A node has come or gone.
    pub(super) fn change(&mut self, change: Change) {
        // What a node said before it went comes first.
        self.take_all();
        let notices = &self.means.notices;
        match change {
            Change::Came(node, _) if self.open_lane(&node).is_some() => {}
            Change::Came(node, _) if self.lanes.iter().filter(|lane| !lane.is_over).count() >= self.most => {
                notices.warning(format_args!(
                    "{node} has come and is not followed: {} nodes are, and --max-concurrency allows no more",
                    self.most
                ));
            }
            Change::Came(node, from) => {
                notices.note(format_args!("{node} has come: followed from {}", from.rfc3339()));
                self.join(node, Some(from));
                self.joined.push_back(self.lanes.len() - 1);
                // Otherwise one that waits for its place starts it.
                if self.started + 1 == self.lanes.len() {
                    self.start_next();
                }
            }
            Change::Went(node) => {
                if let Some(number) = self.open_lane(&node) {
                    self.went(number);
                }
            }
        }
    }

    fn went(&mut self, number: usize) {
        let node = self.nodes.get(number).map_or("", String::as_str);
        self.means.notices.note(format_args!("{node} is gone, or not chosen any more: no longer followed"));
        self.gone += 1;
        self.close(number, Ok(true));
    }

    fn open_lane(&self, node: &str) -> Option<usize> {
        let named =
            (0..self.lanes.len()).rev().filter(|number| self.nodes.get(*number).is_some_and(|name| name == node));
        named.into_iter().find(|number| self.lanes.get(*number).is_some_and(|lane| !lane.is_over))
    }

    /// A lane that others have not waited for any longer has spoken.
    fn tell_if_late(&self, number: usize, first: Option<Timestamp>) {
        let (Some(first), Some(given), Some(node)) = (first, self.given, self.nodes.get(number)) else { return };
        if first < given {
            let words =
                format_args!("{node}: it answered late: what it wrote before stands behind newer lines of others");
            self.means.notices.of(node).note(words);
        }
    }

    pub(super) fn tell_gathered(&mut self) {
        if self.tell.is_some_and(|at| at <= self.means.clock.instant()) {
            self.tell = None;
            self.means.notices.tell_gathered();
        }
    }

    pub(super) fn take_all(&mut self) {
        while let Ok((lane, told)) = self.told.try_recv() {
            self.take(lane, told);
        }
    }

    pub(super) fn take(&mut self, number: usize, told: Told) {
        let Some(lane) = self.lanes.get_mut(number).filter(|lane| !lane.is_over) else { return };
        let mut is_first = false;
        if let Told::Event(event) = &told {
            self.progress.bytes += event.bytes();
            is_first = !std::mem::replace(&mut lane.spoke, true);
            lane.fails = None;
            lane.looks = lane.looks.map(|_| self.means.clock.instant());
            if let Event::Lines(lines) = event {
                lane.newest = lines.iter().filter_map(|line| line.at).next_back().max(lane.newest);
            }
        }
        match (told, self.usage.order) {
            (Told::Begun, _) => {
                lane.begun = true;
                lane.looked = Some(self.means.clock.now());
                self.progress.begun += 1;
                self.start_next();
            }
            (Told::Event(Event::Lines(mut lines)), Order::Merged) => {
                // journalctl's own lines between boots belong to one node's text.
                lines.retain(|line| !line.is_marker());
                let first = lines.first().filter(|_| is_first && self.plan.follow.is_some()).and_then(|line| line.at);
                self.merge.push(number, lines, self.means.clock.instant());
                self.tell_if_late(number, first);
            }
            // Bytes are only ever asked for where there is nothing to merge.
            (Told::Event(event), order) => {
                lane.waiting.push_back(event);
                if order == Order::Any {
                    self.spoke.push_back(number);
                }
            }
            (Told::Presses, _) => self.merge.press(number),
            (Told::Live, _) => {
                (lane.is_live, lane.fails, lane.looks) = (true, None, None);
                // What was written while it was read comes with the first look.
                let began = lane.looked;
                began.into_iter().for_each(|began| self.merge.pass(number, began.saturating_sub(BEHIND)));
            }
            (Told::Looks, _) => lane.looks = Some(self.means.clock.instant()),
            (Told::Lost(gap), _) => lane.lost = lane.lost.take().or(Some(gap)),
            (Told::Looked(at), _) => {
                (lane.looked, lane.fails, lane.looks) = (Some(at), None, None);
                self.merge.pass(number, at.saturating_sub(BEHIND));
            }
            (Told::Fails(error), _) => {
                (lane.fails, lane.looks) = (Some(error), None);
                self.merge.leave(number);
            }
            // The server may say so before it tells of the change.
            (Told::Ended(Err(error)), _)
                if self.roster.is_some()
                    && (number < self.listed || lane.from.is_some())
                    && is_gone(&error, self.nodes.get(number)) =>
            {
                let after = lane.newest.map(|newest| newest.saturating_add(Duration::from_micros(1)));
                let read_to = lane.from.filter(|_| !lane.spoke).or(after).or(lane.looked);
                if let (Some(roster), Some(node)) = (&self.roster, self.nodes.get(number)) {
                    roster.forget(node, read_to.unwrap_or_else(|| self.means.clock.now()));
                }
                self.went(number);
            }
            (Told::Ended(how), _) => self.close(number, how),
        }
    }

    /// The next thing to print, if any is due.
    pub(super) fn next(&mut self) -> Option<Taken> {
        if let Some(number) = self.joined.pop_front() {
            return Some(Taken::Joined(number));
        }
        match self.usage.order {
            Order::Merged => self.next_by_time(),
            Order::Sequential => self.next_in_turn(),
            Order::Any => self.next_as_it_comes(),
        }
    }

    fn next_as_it_comes(&mut self) -> Option<Taken> {
        if let Some(number) = self.spoke.pop_front() {
            let event = self.lanes.get_mut(number)?.next().map(|event| Taken::Event(number, event));
            self.note_if_over(number);
            return event;
        }
        self.next_that_ended()
    }

    fn next_in_turn(&mut self) -> Option<Taken> {
        let lane = self.lanes.get_mut(self.turn)?;
        if let Some(event) = lane.next() {
            return Some(Taken::Event(self.turn, event));
        }
        let how = lane.ended.take()?;
        self.told_ended += 1;
        self.turn += 1;
        Some(Taken::Ended(self.turn - 1, how))
    }

    fn next_by_time(&mut self) -> Option<Taken> {
        if let Some(step) = self.next_that_ended() {
            return Some(step);
        }
        let mut lines = std::mem::take(&mut self.run);
        let next = self.merge.pop(|| self.means.clock.instant(), BATCH, |line| lines.push(line));
        self.wake = match next {
            Next::Wait(until) => until,
            Next::Run(_) | Next::End => None,
        };
        let Next::Run(number) = next else {
            self.run = lines;
            return None;
        };
        self.given = lines.last().and_then(|line| line.at).or(self.given);
        let lane = &mut self.lanes[number];
        lane.owed += lines.iter().map(|line| lane.credit.cost_of(line)).sum::<usize>();
        // Lanes take turns line by line, and each giving back may wake one: several lines' worth at a time.
        if lane.owed >= OWED || self.merge.waiting(number) == 0 {
            lane.credit.give_back(std::mem::take(&mut lane.owed));
        }
        self.note_if_over(number);
        Some(Taken::Event(number, Event::Lines(lines)))
    }

    fn next_that_ended(&mut self) -> Option<Taken> {
        let number = self.over.pop_front()?;
        let how = self.lanes.get_mut(number)?.ended.take()?;
        self.told_ended += 1;
        Some(Taken::Ended(number, how))
    }

    fn note_if_over(&mut self, number: usize) {
        let ended = self.lanes.get(number).is_some_and(|lane| lane.ended.is_some() && lane.waiting.is_empty());
        if ended && self.usage.order != Order::Sequential && self.merge.waiting(number) == 0 {
            self.over.push_back(number);
        }
    }

    /// Whether all lanes have ended; where all of their nodes went, others may come.
    pub(super) fn is_done(&self) -> bool {
        let may_come = self.roster.is_some() && self.plan.filter.until.is_none() && self.gone == self.lanes.len();
        self.told_ended == self.lanes.len() && !may_come
    }

    /// Gives all that has come, in order, whatever may still be missing between: it is whole lines.
    pub(super) fn give_rest(&mut self, each: &mut impl FnMut(Step<'_>) -> Then) {
        self.tasks.abort_all();
        self.take_all();
        let now = self.means.clock.instant();
        for number in 0..self.lanes.len() {
            self.merge.close(number);
            let Some(lane) = self.lanes.get_mut(number) else { continue };
            let hangs = lane.looks.is_some_and(|since| now.saturating_duration_since(since) >= HANGS);
            match lane.fails.take().or(lane.lost.take()) {
                Some(error) if lane.spoke => self.close(number, Err(midway(error))),
                Some(error) => self.close(number, Err(error)),
                // What is followed has no other end.
                None if lane.is_live && !hangs => self.close(number, Ok(true)),
                None => {}
            }
        }
        // One after another, a lane is at its end before the next begins.
        while self.usage.order == Order::Sequential && self.turn < self.lanes.len() {
            let step = self.next_in_turn().unwrap_or_else(|| {
                self.turn += 1;
                Taken::Unfinished(self.turn - 1)
            });
            if self.give(step, each) == Then::Stop {
                return;
            }
        }
        while let Some(step) = self.next() {
            if self.give(step, each) == Then::Stop {
                return;
            }
        }
        let unfinished = self.lanes.iter().enumerate().filter(|(_, lane)| !lane.is_over).map(|(number, _)| number);
        for number in unfinished.collect::<Vec<_>>() {
            if self.usage.order != Order::Sequential && self.give(Taken::Unfinished(number), each) == Then::Stop {
                return;
            }
        }
    }
}
