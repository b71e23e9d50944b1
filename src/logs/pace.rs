//! How often nodes are asked what is new: soon where there is something, seldom where nothing happens, and never more often
//! than a control plane can bear.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::error::{Error, Kind};
use crate::kube::status;
use crate::logs::outlet::{Teller, Told};
use crate::time::Timestamp;

/// Between two looks at a node that is followed alone: its lines are to come within a second.
const ALONE: Duration = Duration::from_millis(700);
/// The same where others are followed, too, and the most where nothing has come.
const AMONG: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// The least wait for the last look.
const LEFT: Duration = Duration::from_millis(100);
/// Waits after failures in a row.
const FAILED: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

/// The pace of a run, or one node's part in it.
#[derive(Clone, Debug)]
pub struct Pace {
    shared: Arc<Shared>,
    /// Hears how looks fare.
    teller: Option<Teller>,
}

/// What all followed nodes share: so many looks a second in all.
#[derive(Debug)]
struct Shared {
    gap: Duration,
    alone: bool,
    /// When the next look may begin.
    next: Mutex<Option<Instant>>,
}

impl Pace {
    /// For so many nodes, and so many looks a second in all.
    pub fn new(nodes: usize, a_second: u32) -> Self {
        let shared =
            Shared { gap: Duration::from_secs(1) / a_second.max(1), alone: nodes == 1, next: Mutex::new(None) };
        Pace { shared: Arc::new(shared), teller: None }
    }

    /// One node's part in it, of which this hears.
    pub fn of(&self, teller: Teller) -> Pace {
        Pace { shared: Arc::clone(&self.shared), teller: Some(teller) }
    }

    /// The waits between looks.
    pub fn waits(&self) -> Waits<'_> {
        let (least, most) = if self.shared.alone { (ALONE, ALONE) } else { AMONG };
        Waits { pace: self, least, most, wait: least, by: None, began: None, failures: 0 }
    }

    fn tell(&self, told: Told) {
        if let Some(teller) = &self.teller {
            teller.tell(told);
        }
    }
}

impl Shared {
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
    /// No wait goes beyond this.
    by: Option<Timestamp>,
    /// When the last look began.
    began: Option<Timestamp>,
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

    /// Waits for the first look after this no longer than until then.
    pub fn by(self, by: Option<Timestamp>) -> Self {
        Waits { by, ..self }
    }

    /// Waits for the next look.
    pub async fn next(&mut self, clock: Clock) {
        let left = self.by.map(|by| by.as_micros().saturating_sub(clock.now().as_micros()));
        let left = left.map_or(Duration::MAX, |left| Duration::from_micros(left.max(0) as u64).max(LEFT));
        clock.sleep(self.wait.min(left)).await;
        let now = clock.instant();
        let slot = self.pace.shared.slot(now);
        clock.sleep(slot.saturating_duration_since(now)).await;
        self.began = Some(clock.now());
        self.pace.tell(Told::Looks);
    }

    /// A look went well; whether it brought anything.
    pub fn looked(&mut self, anything: bool) {
        self.failures = 0;
        if let Some(began) = self.began {
            self.pace.tell(Told::Looked(began));
        }
        self.wait = if anything { self.least } else { (self.wait * 2).min(self.most) };
    }

    /// A look failed; whether it is the first in a row.
    pub fn failed(&mut self, error: &Error) -> bool {
        self.failures += 1;
        let told = Error::new(error.kind(), error.chain());
        self.pace.tell(Told::Fails(match error.remedy() {
            Some(remedy) => told.hint(remedy),
            None => told,
        }));
        self.wait = (FAILED.0 * self.failures).min(FAILED.1).max(self.least);
        self.failures == 1
    }

    /// Lines were lost for good.
    pub fn lost(&self, gap: Error) {
        self.pace.tell(Told::Lost(gap));
    }

    /// Whether looks have failed since the last that went well.
    pub fn is_failing(&self) -> bool {
        self.failures > 0
    }
}

/// Whether a failure is an answer that the same question gets again, whoever may be asked once more.
pub fn stays(error: &Error) -> bool {
    const ASK_FOR_PATIENCE: [u16; 3] = [408, 425, 429];
    error.kind() == Kind::Failed
        && status::told(error).is_some_and(|status| matches!(status, 400..=499) && !ASK_FOR_PATIENCE.contains(&status))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::status::Refusal;

    #[test]
    fn looks_are_spread_over_the_second() {
        let (pace, now) = (Pace::new(1000, 100), Clock::System.instant());
        let slots: Vec<Duration> = (0..5).map(|_| pace.shared.slot(now) - now).collect();
        assert_eq!(slots, [0, 10, 20, 30, 40].map(Duration::from_millis));
        // What was not used is not saved up.
        let later = now + Duration::from_secs(9);
        let slots = [(); 2].map(|()| pace.shared.slot(later) - later);
        assert_eq!(slots, [Duration::ZERO, Duration::from_millis(10)]);
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
        let error = Error::new(Kind::Unreachable, "no");
        assert!(waits.failed(&error) && !waits.failed(&error) && waits.is_failing());
        assert_eq!(waits.wait, Duration::from_secs(2));
        let pace = Pace::new(1, 100);
        let mut waits = pace.waits();
        waits.looked(false);
        assert!(waits.wait < Duration::from_secs(1));
        assert_eq!(pace.waits().at_least(Duration::from_secs(2)).wait, Duration::from_secs(2));
    }

    #[tokio::test]
    async fn no_wait_goes_beyond_the_end_of_a_window() {
        let (pace, clock) = (Pace::new(1, 100), Clock::System);
        let mut waits = pace.waits().at_least(Duration::from_secs(3600)).by(Some(clock.now()));
        assert!(clock.within(Some(Duration::from_secs(60)), waits.next(clock)).await.is_some());
    }

    #[test]
    fn answers_that_stay_are_told_from_those_that_pass() {
        let refused = |status| Refusal::parse(status, "text/plain", b"some words").into_error();
        for (status, stays) in [(400, true), (405, true), (408, false), (429, false), (500, false), (502, false)] {
            assert_eq!(super::stays(&refused(status).within("reading")), stays, "{status}");
        }
        assert!(!super::stays(&Error::new(Kind::Failed, "405")));
        assert_eq!(status::told(&Error::new(Kind::Failed, "4 nodes")), None);
    }
}
