//! The one fan-in: runs a lane for each node and gives what comes to a closure, in order.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::error::{Error, Kind};
use crate::interrupt::{Interrupt, Signal};
use crate::kube::Client;
use crate::logs::line::Line;
use crate::logs::merge::{Merge, Next, Patience};
use crate::logs::outlet::{Credit, Event, Halt, Outlet, Told};
use crate::logs::pace::Pace;
use crate::logs::plan::Plan;
use crate::logs::source::local::Slot;
use crate::logs::source::pick::{self, What};
use crate::logs::source::{Machine, Node, Want};
use crate::notice::Notices;

/// Bytes of all lanes together that may wait for a slow reader or for each other, and the bounds of one lane's share.
const HELD: usize = 32 << 20;
const SHARE: (usize, usize) = (64 << 10, 512 << 10);
/// Entries given in one step.
const BATCH: usize = 1024;

/// How long lines of one node wait for another that is followed and has nothing to say, and for one that has not come to
/// the present yet.
const PATIENCE: Duration = Duration::from_secs(1);
const FIRST_PATIENCE: Duration = Duration::from_secs(5);

/// How the collecting ended.
#[derive(Debug)]
pub enum End {
    /// Every lane has ended.
    Done,
    /// The closure wanted no more.
    Stopped,
    /// A signal came.
    Interrupted(Signal),
}

/// What the closure is given. Lanes are known by the place of their node in the list.
#[derive(Debug)]
pub enum Step {
    /// Something of this lane to print.
    Event(usize, Event),
    /// This lane has ended, and all of it was given: whether there was anything, or how it failed.
    Ended(usize, Result<bool, Error>),
    /// Nothing more is at hand: a good time to flush.
    Idle,
}

/// How what comes will be used.
#[derive(Clone, Copy, Debug)]
pub struct Use {
    /// Each entry needs its time.
    pub dated: bool,
    /// Bytes may come as they are.
    pub raw: bool,
    /// In which order lanes are given.
    pub order: Order,
    /// How many lanes are read at the same time. A merge of logs whose length nobody knows reads all of them.
    pub at_once: usize,
}

/// In which order lanes are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// One after another.
    Sequential,
    /// By time.
    Merged,
    /// As they come.
    Any,
}

/// What lanes work with.
#[derive(Clone, Debug)]
pub struct Means {
    /// Where lanes read.
    pub origin: Origin,
    /// Where to say what happens.
    pub notices: Notices,
    /// The clock.
    pub clock: Clock,
}

/// Where lanes read.
#[derive(Clone, Debug)]
pub enum Origin {
    /// Nodes of a cluster, through its API server.
    Cluster(Arc<Client>),
    /// Logs on this machine, one a lane, until it is taken.
    Here(Arc<[Slot]>),
}

/// Reads these nodes to their ends, until a signal, or until the closure breaks.
pub async fn collect(
    plan: &Arc<Plan>,
    nodes: &[String],
    usage: Use,
    means: &Means,
    interrupt: &mut Interrupt,
    mut each: impl FnMut(Step) -> ControlFlow<()>,
) -> End {
    let mut collector = Collector::new(plan, nodes, usage, means);
    loop {
        while let Some(step) = collector.next() {
            if each(step).is_break() {
                return End::Stopped;
            }
        }
        if collector.is_done() {
            return End::Done;
        }
        if each(Step::Idle).is_break() {
            return End::Stopped;
        }
        tokio::select! {
            biased;
            signal = interrupt.signal() => {
                // What has come is whole lines: they go out.
                for step in collector.rest() {
                    if each(step).is_break() {
                        break;
                    }
                }
                return End::Interrupted(signal);
            }
            () = means.clock.until(collector.wake), if collector.wake.is_some() => {}
            told = collector.told.recv() => {
                if let Some((lane, told)) = told {
                    collector.take(lane, told);
                }
            }
        }
        collector.take_all();
    }
}

struct Collector<'a> {
    plan: &'a Arc<Plan>,
    nodes: &'a [String],
    usage: Use,
    means: &'a Means,
    tasks: JoinSet<()>,
    sender: mpsc::UnboundedSender<(usize, Told)>,
    told: mpsc::UnboundedReceiver<(usize, Told)>,
    lanes: Vec<Lane>,
    /// Lanes that have begun; the others follow in order.
    begun: usize,
    /// Lanes that have begun and not ended.
    running: usize,
    /// The lane whose turn it is, where they go one after another.
    turn: usize,
    merge: Merge,
    /// Lanes that have ended, and of which nothing waits any more.
    over: VecDeque<usize>,
    /// The lanes that spoke, a number for each event that waits, where they are given as they come.
    spoke: VecDeque<usize>,
    /// How many lanes were told to have ended.
    told_ended: usize,
    /// When lines go out that wait for silent lanes.
    wake: Option<Instant>,
    pace: Option<Arc<Pace>>,
}

struct Lane {
    credit: Credit,
    /// What waits for the lane's turn.
    waiting: VecDeque<Event>,
    ended: Option<Result<bool, Error>>,
}

impl Lane {
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
    fn new(plan: &'a Arc<Plan>, nodes: &'a [String], usage: Use, means: &'a Means) -> Self {
        let (sender, told) = mpsc::unbounded_channel();
        let mut merge = Merge::default();
        let bounded = plan.last.is_some() && plan.follow.is_none();
        let patience = if plan.follow.is_some() { Patience::Lasts(FIRST_PATIENCE) } else { Patience::Endless };
        let share = match usage.order {
            // The last N come at once when all is read: nothing would make room for them.
            Order::Merged if bounded => usize::from(u16::MAX) << 12,
            _ => (HELD / nodes.len().max(1)).clamp(SHARE.0, SHARE.1),
        };
        let lanes = nodes.iter().map(|_| {
            merge.join(patience);
            Lane { credit: Credit::new(share), waiting: VecDeque::new(), ended: None }
        });
        let lanes: Vec<Lane> = lanes.collect();
        let at_once = match usage.order {
            Order::Merged if !bounded => nodes.len(),
            _ if plan.follow.is_some() => nodes.len(),
            _ => usage.at_once.max(1),
        };
        let mut collector = Collector {
            plan,
            nodes,
            usage: Use { at_once, ..usage },
            means,
            tasks: JoinSet::new(),
            sender,
            told,
            lanes,
            begun: 0,
            running: 0,
            turn: 0,
            merge,
            over: VecDeque::new(),
            spoke: VecDeque::new(),
            told_ended: 0,
            wake: None,
            pace: plan.follow.map(|looks| Arc::new(Pace::new(nodes.len(), looks))),
        };
        collector.begin();
        collector
    }

    /// Starts as many lanes as may run.
    fn begin(&mut self) {
        while self.running < self.usage.at_once && self.begun < self.nodes.len() {
            let number = self.begun;
            let outlet = Outlet::new(number, self.sender.clone(), self.lanes[number].credit.clone());
            let (plan, means, name) = (Arc::clone(self.plan), self.means.clone(), self.nodes[number].clone());
            self.tasks.spawn(run(plan, means, number, name, self.usage, self.pace.clone(), outlet));
            self.begun += 1;
            self.running += 1;
        }
    }

    fn take_all(&mut self) {
        while let Ok((lane, told)) = self.told.try_recv() {
            self.take(lane, told);
        }
    }

    fn take(&mut self, number: usize, told: Told) {
        let Some(lane) = self.lanes.get_mut(number) else { return };
        match (told, self.usage.order) {
            (Told::Event(Event::Lines(lines)), Order::Merged) => {
                // journalctl's own lines between boots belong to one node's text.
                let lines = lines.into_iter().filter(|line| !line.is_marker());
                self.merge.push(number, lines, self.means.clock.instant());
            }
            // Bytes are only ever asked for where there is nothing to merge.
            (Told::Event(event), order) => {
                lane.waiting.push_back(event);
                if order == Order::Any {
                    self.spoke.push_back(number);
                }
            }
            (Told::Live, _) => self.merge.set_patience(number, Patience::Lasts(PATIENCE)),
            (Told::Ended(how), _) => {
                lane.ended = Some(how);
                self.merge.close(number);
                self.note_if_over(number);
                self.running -= 1;
                while self.tasks.try_join_next().is_some() {}
                self.begin();
            }
        }
    }

    /// The next thing to print, if any is due.
    fn next(&mut self) -> Option<Step> {
        match self.usage.order {
            Order::Merged => self.next_by_time(),
            Order::Sequential => self.next_in_turn(),
            Order::Any => self.next_as_it_comes(),
        }
    }

    fn next_as_it_comes(&mut self) -> Option<Step> {
        if let Some(number) = self.spoke.pop_front() {
            return self.lanes.get_mut(number)?.next().map(|event| Step::Event(number, event));
        }
        self.next_that_ended()
    }

    fn next_in_turn(&mut self) -> Option<Step> {
        let lane = self.lanes.get_mut(self.turn)?;
        if let Some(event) = lane.next() {
            return Some(Step::Event(self.turn, event));
        }
        let how = lane.ended.take()?;
        self.told_ended += 1;
        self.turn += 1;
        Some(Step::Ended(self.turn - 1, how))
    }

    fn next_by_time(&mut self) -> Option<Step> {
        if let Some(step) = self.next_that_ended() {
            return Some(step);
        }
        let mut lines: Vec<Line> = Vec::new();
        let next = self.merge.pop(self.means.clock.instant(), BATCH, |line| lines.push(line));
        self.wake = match next {
            Next::Wait(until) => until,
            Next::Run(_) | Next::End => None,
        };
        let Next::Run(number) = next else { return None };
        let credit = &self.lanes[number].credit;
        credit.give_back(lines.iter().map(|line| credit.cost_of(line)).sum());
        self.note_if_over(number);
        Some(Step::Event(number, Event::Lines(lines)))
    }

    fn next_that_ended(&mut self) -> Option<Step> {
        let number = self.over.pop_front()?;
        let how = self.lanes.get_mut(number)?.ended.take()?;
        self.told_ended += 1;
        Some(Step::Ended(number, how))
    }

    fn note_if_over(&mut self, number: usize) {
        let ended = self.lanes.get(number).is_some_and(|lane| lane.ended.is_some());
        if ended && self.usage.order != Order::Sequential && self.merge.waiting(number) == 0 {
            self.over.push_back(number);
        }
    }

    fn is_done(&self) -> bool {
        self.told_ended == self.lanes.len()
    }

    /// All that has come, in order, whatever may still be missing between.
    fn rest(mut self) -> Vec<Step> {
        self.tasks.abort_all();
        self.take_all();
        for number in 0..self.lanes.len() {
            self.merge.close(number);
        }
        let mut steps = Vec::new();
        while self.turn < self.lanes.len() {
            match self.next() {
                Some(step) => steps.push(step),
                None if self.usage.order == Order::Sequential => self.turn += 1,
                None => break,
            }
        }
        steps
    }
}

/// Reads one node.
async fn run(
    plan: Arc<Plan>,
    means: Means,
    number: usize,
    name: String,
    usage: Use,
    pace: Option<Arc<Pace>>,
    mut outlet: Outlet,
) {
    let what = What {
        units: &plan.units,
        paths: &plan.paths,
        instance: plan.instance,
        boot: plan.boot.as_ref(),
        instead: plan.instead,
        anchors: plan.anchors,
        choice: plan.choice,
        decompress: plan.decompress,
    };
    let want = Want { last: plan.last, dated: usage.dated || usage.order == Order::Merged, raw: usage.raw };
    let mut filter = plan.filter.clone();
    let reading = match &means.origin {
        Origin::Cluster(client) => {
            let node = Node {
                client,
                name: &name,
                notices: &means.notices,
                clock: means.clock,
                server_limit: plan.server_limit,
                follow: pace.as_deref(),
            };
            pick::read(&node, what, want, &mut filter, &mut outlet).await
        }
        Origin::Here(locals) => {
            let machine = Machine { name: &name, notices: &means.notices, clock: means.clock };
            let local = locals.get(number).and_then(|l| l.lock().unwrap_or_else(PoisonError::into_inner).take());
            match local {
                Some(Ok(local)) => local.read(machine, what, want, &mut filter, &mut outlet).await,
                Some(Err(error)) => Err(error.into()),
                None => Ok(false),
            }
        }
    };
    let ended = match reading {
        Ok(anything) => Ok(anything),
        Err(Halt::Stopped) => return,
        Err(Halt::Failed(error)) if outlet.has_spoken() => Err(midway(error)),
        Err(Halt::Failed(error)) => Err(error),
    };
    outlet.end(ended);
}

/// A failure after something was handed on: the answer is incomplete, whatever the reason.
fn midway(error: Error) -> Error {
    match error.kind() {
        Kind::Failed | Kind::Denied | Kind::Unreachable => {
            Error::new(Kind::Partial, "the rest could not be read").because(error)
        }
        _ => error,
    }
}
