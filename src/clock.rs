//! The one place that reads a clock or waits; tests put their own time in.

use std::future::Future;
use std::time::{Duration, Instant, SystemTime};

use crate::time::Timestamp;

/// Where "now" comes from.
#[derive(Clone, Copy, Debug, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A fixed wall clock, for tests; waiting still really waits.
    Fixed(Timestamp),
    /// The machine's clock, but waits take only this part of their time: for tests of what waits often.
    Hurried(u32),
}

impl Clock {
    /// Wall-clock time.
    #[allow(clippy::disallowed_methods, reason = "the one reader of the wall clock")]
    pub fn now(&self) -> Timestamp {
        match self {
            Clock::Fixed(at) => *at,
            Clock::System | Clock::Hurried(_) => SystemTime::now().into(),
        }
    }

    /// A monotonic reading, for measuring how long something took.
    #[allow(clippy::disallowed_methods, reason = "the one reader of the monotonic clock")]
    pub fn instant(&self) -> Instant {
        Instant::now()
    }

    /// Waits.
    pub async fn sleep(&self, duration: Duration) {
        let part = if let Clock::Hurried(part) = self { *part } else { 1 };
        tokio::time::sleep(duration / part).await;
    }

    /// Waits for an instant; for ever without one.
    pub async fn until(&self, at: Option<Instant>) {
        match at {
            Some(at) => tokio::time::sleep_until(at.into()).await,
            None => std::future::pending().await,
        }
    }

    /// Runs `work` for at most `limit`; `None` means the limit came first (or there is no limit and it never does).
    pub async fn within<F: Future>(&self, limit: Option<Duration>, work: F) -> Option<F::Output> {
        match limit {
            None => Some(work.await),
            Some(limit) => tokio::time::timeout(limit, work).await.ok(),
        }
    }
}
