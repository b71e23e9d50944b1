//! Where this program goes another way than kubectl, and why.

use super::stage::{End, Seen};

/// A difference that is meant.
pub(super) struct Known {
    pub(super) what: &'static str,
    /// kubectl's run and words, ours and our words.
    pub(super) fits: fn(&Seen, &str, &Seen, &str) -> bool,
}

pub(super) const KNOWN: &[Known] = &[
    Known {
        what: "without credentials kubectl asks for a user name; we ask the server as nobody",
        fits: |theirs, _, ours, _| {
            theirs.end == End::Prompted && ours.request.as_ref().is_none_or(|asked| asked.authorization.is_none())
        },
    },
];
