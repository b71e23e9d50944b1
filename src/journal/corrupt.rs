//! What is wrong with a journal file.

use std::error::Error as StdError;
use std::fmt;

/// Bytes that are no journal, or not a whole one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt {
    /// Where in the file, in bytes from its beginning.
    pub at: u64,
    /// What is wrong there.
    pub why: &'static str,
}

impl Corrupt {
    /// Why a file is not read that is sound: newer formats announce themselves.
    pub const NEWER: &str = "it was written by a newer systemd, in a format that is not known here";

    pub(super) fn new(at: u64, why: &'static str) -> Corrupt {
        Corrupt { at, why }
    }
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.why {
            Corrupt::NEWER => f.write_str(self.why),
            why => write!(f, "corrupt at byte {}: {why}", self.at),
        }
    }
}

impl StdError for Corrupt {}

/// Why an answer can't be given now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Bytes are missing; the file noted which.
    Missing,
    /// There will never be an answer.
    Corrupt(Corrupt),
}

impl From<Corrupt> for Stop {
    fn from(corrupt: Corrupt) -> Stop {
        Stop::Corrupt(corrupt)
    }
}

/// What could be read from the bytes at hand.
pub(super) type Got<T> = Result<T, Stop>;

/// Turns what is corrupt into a [`Stop`] in one word.
pub(super) fn corrupt<T>(at: u64, why: &'static str) -> Got<T> {
    Err(Stop::Corrupt(Corrupt::new(at, why)))
}
