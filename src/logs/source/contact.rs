//! What a node's answers tell beside what was asked: which of them are still being read, and what its clock says.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Machine;
use super::file::http_date;
use crate::http::Response;
use crate::logs::place::Open;
use crate::time::Timestamp;

/// A clock that is further off is worth a word.
const OFF: i64 = 2_000_000;

/// The answers of one node.
#[derive(Debug, Default)]
pub struct Contact {
    open: Open,
    told_of_clock: AtomicBool,
}

impl Contact {
    /// What is read of the node is put into `open`.
    pub fn new(open: Open) -> Self {
        Contact { open, told_of_clock: AtomicBool::new(false) }
    }

    /// The head of an answer has come.
    pub(super) fn answered(&self, node: Machine<'_>, answer: &Response) {
        self.open.add(&answer.body);
        // The API server dates what it says itself; what it passes on is dated by the kubelet.
        if !matches!(answer.status, 200 | 206) || self.told_of_clock.load(Ordering::Relaxed) {
            return;
        }
        let Some(date) = answer.header("date").and_then(http_date) else { return };
        if let Some(off) = off(date, node.clock.now(), answer.took)
            && !self.told_of_clock.swap(true, Ordering::Relaxed)
        {
            let (seconds, where_to) =
                (off.unsigned_abs().div_ceil(1_000_000), if off > 0 { "ahead of" } else { "behind" });
            node.notices.warning(format_args!(
                "{}: its clock is {seconds} s {where_to} this machine's; times are shown, and windows applied, as the node has them",
                node.name
            ));
        }
    }
}

/// By how many microseconds at least a node's clock is off that dated an answer so, which has just come and took so long.
fn off(date: Timestamp, now: Timestamp, took: Duration) -> Option<i64> {
    let (date, now) = (date.as_micros(), now.as_micros());
    let sent = now.saturating_sub(i64::try_from(took.as_micros()).unwrap_or(i64::MAX));
    // It was dated between sending and now, and dates have whole seconds: within these two it may be right.
    let (ahead, behind) = (date.saturating_sub(now), date.saturating_add(1_000_000).saturating_sub(sent));
    match () {
        () if ahead > OFF => Some(ahead),
        () if behind < -OFF => Some(behind),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_off_only_where_neither_the_way_nor_the_whole_seconds_explain_it() {
        let at = |micros| Timestamp::from_micros(1_700_000_000_000_000 + micros);
        let seconds = |n: i64| n * 1_000_000;
        for (date, now, took, expected) in [
            (0, seconds(0), 0, None),
            (seconds(3), seconds(1), 0, None),
            (seconds(4), seconds(1), 0, Some(seconds(3))),
            // Dated at the beginning of an answer that was long on its way.
            (0, seconds(60), 60, None),
            (0, seconds(60), 50, Some(-seconds(9))),
            (0, seconds(3), 0, None),
            (0, seconds(3) + 1, 0, Some(-seconds(2) - 1)),
        ] {
            assert_eq!(off(at(date), at(now), Duration::from_secs(took)), expected, "{date} {now} {took}");
        }
    }
}
