//! The one fan-in: runs what was planned and gives what comes to a closure, in order.

use std::ops::ControlFlow;

use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::error::{Error, Kind, Result};
use crate::interrupt::{Interrupt, Signal};
use crate::kube::Client;
use crate::logs::outlet::{Event, Halt, Outlet};
use crate::logs::plan::Plan;
use crate::logs::source::pick::{self, What};
use crate::logs::source::{Node, Want};
use crate::notice::Notices;

/// Frames and batches of entries that may wait for a slow reader: what one TLS read brings, a few times.
const WAITING: usize = 8;

/// How the collecting ended.
#[derive(Debug)]
pub enum End {
    /// All was read; whether there was anything.
    Done {
        /// Whether anything was wanted.
        anything: bool,
    },
    /// The closure wanted no more.
    Stopped,
    /// A signal came.
    Interrupted(Signal),
}

/// What the closure is given.
#[derive(Debug)]
pub enum Step {
    /// Something to print.
    Event(Event),
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
}

/// Runs a plan to its end, the first failure, a signal, or until the closure breaks.
pub async fn collect(
    plan: &mut Plan,
    usage: Use,
    client: &Client,
    notices: &Notices,
    clock: Clock,
    interrupt: &mut Interrupt,
    mut each: impl FnMut(Step) -> ControlFlow<()>,
) -> Result<End> {
    let (sender, mut events) = mpsc::channel(WAITING);
    let node = Node { client, name: &plan.node, notices, clock, server_limit: plan.server_limit };
    let what = What {
        units: &plan.units,
        paths: &plan.paths,
        instance: plan.instance,
        choice: plan.choice,
        decompress: plan.decompress,
    };
    let want = Want { last: plan.last, dated: usage.dated, raw: usage.raw };
    let filter = &mut plan.filter;
    let lane = async {
        let mut outlet = Outlet::new(sender);
        let read = pick::read(&node, what, want, filter, &mut outlet).await;
        read.map_err(|halt| match halt {
            Halt::Failed(error) if outlet.has_spoken() => Halt::Failed(midway(error)),
            halt => halt,
        })
    };
    let mut lane = std::pin::pin!(lane);
    let mut ended = None;
    loop {
        while let Ok(event) = events.try_recv() {
            if each(Step::Event(event)).is_break() {
                return Ok(End::Stopped);
            }
        }
        match ended.take() {
            Some(Ok(anything)) => return Ok(End::Done { anything }),
            Some(Err(Halt::Stopped)) => return Ok(End::Stopped),
            Some(Err(Halt::Failed(error))) => return Err(error),
            None => {}
        }
        if each(Step::Idle).is_break() {
            return Ok(End::Stopped);
        }
        tokio::select! {
            biased;
            signal = interrupt.signal() => {
                // What has come is whole lines: they go out.
                while let Ok(event) = events.try_recv() {
                    if each(Step::Event(event)).is_break() {
                        break;
                    }
                }
                return Ok(End::Interrupted(signal));
            }
            Some(event) = events.recv() => {
                if each(Step::Event(event)).is_break() {
                    return Ok(End::Stopped);
                }
            }
            result = &mut lane => ended = Some(result),
        }
    }
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
