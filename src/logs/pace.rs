//! How often nodes are asked what is new: soon where there is something, seldom where nothing happens, and never more often
//! than a control plane can bear.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::clock::Clock;

/// Between two looks at a node that is followed alone: its lines are to come within a second.
const ALONE: Duration = Duration::from_millis(700);
/// The same where others are followed, too, and the most where nothing has come.
const AMONG: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// Waits after failures in a row.
const FAILED: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

/// What all followed nodes share: so many looks a second in all.
#[derive(Debug)]
pub struct Pace {
    gap: Duration,
    alone: bool,
    /// When the next look may begin.
    next: Mutex<Option<Instant>>,
    /// Whether anything was lost for good.
    lost: AtomicBool,
}

impl Pace {
    /// For so many nodes, and so many looks a second in all.
    pub fn new(nodes: usize, a_second: u32) -> Self {
        Pace {
            gap: Duration::from_secs(1) / a_second.max(1),
            alone: nodes == 1,
            next: Mutex::new(None),
            lost: AtomicBool::new(false),
        }
    }

    /// One node's part in it.
    pub fn waits(&self) -> Waits<'_> {
        let (least, most) = if self.alone { (ALONE, ALONE) } else { AMONG };
        Waits { pace: self, least, most, wait: least, failures: 0 }
    }

    /// Whether lines were lost for good on any node.
    pub fn has_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// When a look that is due at `now` may begin.
    fn slot(&self, now: Instant) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = next.map_or(now, |next| next.max(now));
        *next = Some(slot + self.gap);
        slot
    }
}

/// The waits between looks at one node.
#[derive(Debug)]
pub struct Waits<'p> {
    pace: &'p Pace,
    least: Duration,
    most: Duration,
    wait: Duration,
    failures: u32,
}

impl Waits<'_> {
    /// Never waits for less than this.
    pub fn at_least(mut self, least: Duration) -> Self {
        self.least = self.least.max(least);
        self.most = self.most.max(least);
        self.wait = self.wait.max(least);
        self
    }

    /// Waits for the next look.
    pub async fn next(&mut self, clock: Clock) {
        clock.sleep(self.wait).await;
        let now = clock.instant();
        let slot = self.pace.slot(now);
        clock.sleep(slot.saturating_duration_since(now)).await;
    }

    /// A look went well; whether it brought anything.
    pub fn looked(&mut self, anything: bool) {
        self.failures = 0;
        self.wait = if anything { self.least } else { (self.wait * 2).min(self.most) };
    }

    /// A look failed; whether it is the first in a row.
    pub fn failed(&mut self) -> bool {
        self.failures += 1;
        self.wait = (FAILED.0 * self.failures).min(FAILED.1).max(self.least);
        self.failures == 1
    }

    /// Lines were lost for good.
    pub fn lost(&self) {
        self.pace.lost.store(true, Ordering::Relaxed);
    }

    /// Whether looks have failed since the last that went well.
    pub fn is_failing(&self) -> bool {
        self.failures > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_spread_over_the_second() {
        let (pace, now) = (Pace::new(1000, 100), Clock::System.instant());
        let slots: Vec<Duration> = (0..5).map(|_| pace.slot(now) - now).collect();
        assert_eq!(slots, [0, 10, 20, 30, 40].map(Duration::from_millis));
        // What was not used is not saved up.
        let later = now + Duration::from_secs(9);
        assert_eq!((pace.slot(later) - later, pace.slot(later) - later), (Duration::ZERO, Duration::from_millis(10)));
    }

    #[test]
    fn an_idle_node_is_asked_ever_more_seldom_and_one_alone_is_not() {
        let pace = Pace::new(2, 100);
        let mut waits = pace.waits();
        let idle: Vec<u64> = (0..6)
            .map(|_| {
                waits.looked(false);
                waits.wait.as_secs()
            })
            .collect();
        assert_eq!(idle, [2, 4, 8, 10, 10, 10]);
        waits.looked(true);
        assert_eq!(waits.wait, AMONG.0);
        assert!(waits.failed() && !waits.failed() && waits.is_failing() && waits.wait == Duration::from_secs(2));
        let pace = Pace::new(1, 100);
        let mut waits = pace.waits();
        waits.looked(false);
        assert!(waits.wait < Duration::from_secs(1));
        assert_eq!(pace.waits().at_least(Duration::from_secs(2)).wait, Duration::from_secs(2));
    }
}
