//! The one fan-in: runs a lane for each node and gives what comes to a closure, in order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::interrupt::{Closing, Interrupt, Signal};
use crate::logs::outlet::Event;
use crate::logs::plan::Plan;
use crate::logs::roster::{Change, Roster};

mod collector;

use collector::Collector;

pub use crate::logs::lane::{Down, Means, Origin};

/// How long what nodes say alike is gathered while they are followed.
const GATHERED: Duration = Duration::from_millis(500);

/// How the collecting ended.
#[derive(Debug)]
pub enum End {
    /// Every lane has ended.
    Done,
    /// The closure wanted no more, or nobody reads what it writes.
    Stopped,
    /// A signal came.
    Interrupted(Signal),
    /// Its time was over.
    OutOfTime,
}

/// What ends the collecting before all lanes have.
#[derive(Debug)]
pub struct Until<'a> {
    /// A signal.
    pub interrupt: &'a mut Interrupt,
    /// This instant.
    pub deadline: Option<Instant>,
    /// Whoever reads goes away.
    pub closing: &'a Closing,
}

/// What the closure is given. Lanes are known by the place of their node in the list.
#[derive(Debug)]
pub enum Step<'a> {
    /// This lane is new, and reads this node.
    Joined(usize, &'a str),
    /// Something of this lane to print.
    Event(usize, &'a mut Event),
    /// This lane has ended, and all of it was given: whether there was anything, or how it failed.
    Ended(usize, Result<bool, Error>),
    /// The collecting ends before this lane does; what had come of it was given.
    Unfinished(usize),
    /// Nothing more is at hand: a good time to flush.
    Idle(Progress),
}

/// What the closure answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It wants more.
    GoOn,
    /// No more of the lane that this was of.
    EndLane,
    /// No more than what has come.
    Enough,
    /// No more at all.
    Stop,
}

/// How far the reading is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Lanes that have begun.
    pub begun: usize,
    /// Those that have ended, and those of them that failed.
    pub ended: usize,
    /// See `ended`.
    pub failed: usize,
    /// Bytes of their logs that have come.
    pub bytes: u64,
}

/// How what comes will be used.
#[derive(Clone, Copy, Debug)]
pub struct Use {
    /// Each entry needs its time.
    pub dated: bool,
    /// Bytes may come as they are.
    pub raw: bool,
    /// More is looked at than an entry's text and its time.
    pub fields: bool,
    /// In which order lanes are given.
    pub order: Order,
    /// How many lanes are read at the same time.
    pub at_once: usize,
    /// How often [`Step::Idle`] is wanted at least.
    pub tick: Option<Duration>,
}

/// The nodes to read.
#[derive(Debug)]
pub struct Lanes {
    /// Those of the beginning.
    pub nodes: Vec<String>,
    /// How many of them, at the end of the list, are in no list of the cluster's: they are not said to have gone.
    pub unknown: usize,
    /// Hears of others that come, and of those that go, where they are followed.
    pub roster: Option<Roster>,
    /// How many may be followed.
    pub most: usize,
    /// What becomes of those of the beginning that can't be reached while others are followed.
    pub down: Down,
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

/// Reads these nodes to their ends, until something else ends it, or until the closure wants no more.
pub async fn collect(
    plan: &Arc<Plan>,
    lanes: Lanes,
    usage: Use,
    means: &Means,
    until: Until<'_>,
    mut each: impl FnMut(Step<'_>) -> Then,
) -> End {
    let mut collector = Collector::new(plan, lanes, usage, means);
    let mut closes = std::pin::pin!(until.closing.happens());
    loop {
        while let Some(taken) = collector.next() {
            match collector.give(taken, &mut each) {
                Then::Enough => collector.give_rest(&mut each),
                Then::Stop => {}
                Then::GoOn | Then::EndLane => continue,
            }
            return End::Stopped;
        }
        if collector.is_done() {
            return End::Done;
        }
        if each(Step::Idle(collector.progress)) == Then::Stop {
            return End::Stopped;
        }
        let tick = usage.tick.map(|tick| means.clock.instant() + tick);
        let wake = [collector.wake, collector.tell, tick, until.deadline].into_iter().flatten().min();
        tokio::select! {
            biased;
            signal = until.interrupt.signal() => {
                collector.give_rest(&mut each);
                return End::Interrupted(signal);
            }
            () = &mut closes => return End::Stopped,
            () = means.clock.until(wake), if wake.is_some() => {
                if until.deadline.is_some_and(|at| at <= means.clock.instant()) {
                    collector.give_rest(&mut each);
                    return End::OutOfTime;
                }
                collector.tell_gathered();
            }
            told = collector.told.recv() => {
                if let Some((lane, told)) = told {
                    collector.take(lane, told);
                }
            }
            change = next_change(&mut collector.roster) => collector.change(change),
            () = means.notices.has_gathered(), if plan.follow.is_some() => {
                collector.tell = Some(means.clock.instant() + GATHERED);
            }
        }
        collector.take_all();
    }
}

async fn next_change(roster: &mut Option<Roster>) -> Change {
    match roster {
        Some(roster) => roster.next().await,
        None => std::future::pending().await,
    }
}
