//! Whether to ask again, and when: a pure policy. Every request here is a GET, so asking again changes nothing.
//!
//! client-go asks again where the server sends `Retry-After` with 429 or 5xx, up to ten times, and where a connection was reset
//! before the answer. Beside that we ask a few times more where a proxy on the way had a bad moment.

use std::time::Duration;

use super::failure::Stage;

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An answer.
    Answered {
        /// Its status code.
        status: u16,
        /// Its `Retry-After`, if it has one.
        retry_after: Option<Duration>,
        /// The API server says that it could not reach the node: that is the answer, not a bad moment.
        unreachable_node: bool,
    },
    /// No answer.
    Failed(Stage),
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Ask again after this long.
    Wait(Duration),
    /// It stays as it is.
    GiveUp,
}

/// Attempts where the server says when to come back: client-go's number.
const ASKED_TO: u32 = 10;
/// Attempts where it does not.
const ON_OUR_OWN: u32 = 4;
/// The first wait of our own; each later one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// A server that asks for more than this is not worth waiting for silently.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What to do after `attempts` attempts (1 after the first). `jitter` is in 0..1: many clients must not come back together.
pub fn decide(attempts: u32, outcome: Outcome, jitter: f64) -> Decision {
    let jitter = jitter.clamp(0.0, 1.0);
    let own = || match attempts < ON_OUR_OWN {
        // Between half and the whole of the step.
        true => Decision::Wait((FIRST_WAIT * 2u32.pow(attempts.saturating_sub(1))).mul_f64(0.5 + jitter / 2.0)),
        false => Decision::GiveUp,
    };
    match outcome {
        Outcome::Answered { unreachable_node: true, .. } => Decision::GiveUp,
        Outcome::Answered { status: 429 | 500..=599, retry_after: Some(wait), .. } => {
            if attempts < ASKED_TO && wait <= LONGEST_WAIT {
                // Never earlier than asked, at most a second and a quarter later.
                Decision::Wait(
                    wait + (wait / 4).min(Duration::from_secs(1)).mul_f64(jitter) + FIRST_WAIT.mul_f64(jitter),
                )
            } else {
                Decision::GiveUp
            }
        }
        Outcome::Answered { status: 429 | 502..=504, .. } | Outcome::Failed(Stage::Lost) => own(),
        Outcome::Answered { .. } | Outcome::Failed(_) => Decision::GiveUp,
    }
}

/// A jitter from the operating system's randomness, for [`decide`].
pub fn jitter() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    (RandomState::new().hash_one(0u8) >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use Decision::{GiveUp, Wait};

    fn answered(status: u16, retry_after: Option<u64>) -> Outcome {
        Outcome::Answered { status, retry_after: retry_after.map(Duration::from_secs), unreachable_node: false }
    }

    fn waits(outcome: Outcome, jitter: f64) -> Vec<Duration> {
        let mut waits = Vec::new();
        while let Wait(wait) = decide(waits.len() as u32 + 1, outcome, jitter) {
            waits.push(wait);
        }
        waits
    }

    #[test]
    fn retry_after_is_obeyed_and_never_cut_short() {
        for status in [429, 500, 502, 503, 504] {
            for jitter in [0.0, 0.5, 1.0] {
                let waits = waits(answered(status, Some(2)), jitter);
                assert_eq!(waits.len(), 9, "{status}");
                assert!(waits.iter().all(|w| (2.0..=3.25).contains(&w.as_secs_f64())), "{status}: {waits:?}");
            }
        }
        assert_eq!(decide(1, answered(429, Some(0)), 0.0), Wait(Duration::ZERO));
        assert_eq!(decide(1, answered(503, Some(86_400)), 0.0), GiveUp);
    }

    #[test]
    fn bad_moments_are_tried_again_a_few_times_with_growing_waits() {
        let millis = |ms: &[u64]| ms.iter().map(|&ms| Duration::from_millis(ms)).collect::<Vec<_>>();
        for outcome in [
            answered(429, None),
            answered(502, None),
            answered(503, None),
            answered(504, None),
            Outcome::Failed(Stage::Lost),
        ] {
            assert_eq!(waits(outcome, 0.0), millis(&[125, 250, 500]), "{outcome:?}");
            assert_eq!(waits(outcome, 1.0), millis(&[250, 500, 1000]), "{outcome:?}");
        }
    }

    #[test]
    fn an_answer_is_an_answer() {
        for status in [200, 206, 301, 307, 400, 401, 403, 404, 405, 406, 410, 416, 500, 501] {
            assert_eq!(decide(1, answered(status, None), 0.5), GiveUp, "{status}");
        }
        // Retry-After means nothing on other codes.
        assert_eq!(decide(1, answered(404, Some(1)), 0.5), GiveUp);
        // A kubelet that is down stays down: its reader must learn it at once.
        let down = Outcome::Answered { status: 503, retry_after: Some(Duration::ZERO), unreachable_node: true };
        assert_eq!(decide(1, down, 0.5), GiveUp);
    }

    #[test]
    fn what_asking_again_can_not_mend_is_not_asked_again() {
        for stage in [Stage::Resolve, Stage::Dial, Stage::Tls, Stage::Late, Stage::Garbled] {
            assert_eq!(decide(1, Outcome::Failed(stage), 0.5), GiveUp, "{stage:?}");
        }
    }

    #[test]
    fn jitter_stays_in_its_range_and_varies() {
        let drawn: Vec<f64> = (0..100).map(|_| jitter()).collect();
        assert!(drawn.iter().all(|j| (0.0..1.0).contains(j)));
        assert!(drawn.iter().any(|j| (j - drawn[0]).abs() > 1e-9));
    }
}
