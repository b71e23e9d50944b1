//! Decodes systemd journal files of which only ranges are at hand: bytes in, entries out.
//!
//! Nothing here reads a file, waits or looks at a clock. A [`Journal`] is told the names of its files and asked something;
//! each [`Journal::step`] gives the next entry, or says of which files it needs which bytes. Whoever drives it fetches these
//! from wherever the files are, all of a round side by side, and steps again. All that could be needed at once is asked for
//! at once, as every round costs the way to the node and back: the last hundred lines of a unit take five rounds, an hour
//! of a busy day about twenty.
//!
//! ```
//! use kubelet_logs::journal::{AnyOf, Journal, Limits, Matches, Query, Step, short_precise};
//!
//! fn last_lines(folder: &std::path::Path, names: Vec<String>, unit: &str) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
//!     let mut journal = Journal::new(names, Limits::default());
//!     journal.read(Query::tail(Matches::all().and(AnyOf::unit(unit)), 100));
//!     let mut entries = Vec::new();
//!     loop {
//!         match journal.step()? {
//!             Step::Need(needs) => {
//!                 for need in needs {
//!                     // A real driver asks for all ranges of a file in one request, and for all files at the same time.
//!                     let name = journal.name(need.file).ok_or("no such file")?;
//!                     let whole = std::fs::read(folder.join(name))?;
//!                     let piece = |range: &std::ops::Range<u64>| {
//!                         let end = (range.end as usize).min(whole.len());
//!                         (range.start, &whole[range.start as usize..end])
//!                     };
//!                     journal.provide(need.file, whole.len() as u64, need.ranges.iter().map(piece));
//!                 }
//!             }
//!             Step::Entry(entry) => entries.push(entry),
//!             Step::Notice(notice) => eprintln!("{notice:?}"),
//!             Step::Value(_) => {}
//!             Step::End => break,
//!         }
//!     }
//!     let mut text = Vec::new();
//!     // A tail comes newest first.
//!     entries.iter().rev().for_each(|entry| short_precise(entry, &mut text));
//!     Ok(text)
//! }
//! # let folder = tempfile::tempdir().unwrap();
//! # assert!(last_lines(folder.path(), Vec::new(), "kubelet").unwrap().is_empty());
//! ```
//!
//! What a driver has to know:
//!
//! - **Order.** A tail is read from its end: [`Order::NewestFirst`]. Who filters entries himself (by a pattern, say) leaves
//!   `limit` out, says in `expect` about how many he will take, and stops stepping when he has enough.
//! - **Files that are written to.** What is read is what was there when the file was opened. [`Journal::poll`], called at
//!   [`Step::End`] as often as one likes, goes on with what came since; each entry comes once. An answer must belong to one
//!   file: where the header is among a need's ranges it comes first in the answer, and the other ranges are at least as new.
//! - **Rotation.** When another file is found under a name, [`Notice::Rotated`] tells under which name the one that was read
//!   goes on, and its [`FileId`] stands for that; [`Journal::name`] always gives the name to ask for. Its successor is read by
//!   the next [`Journal::poll`], after all of it. Files that were archived in between are found by listing the directory:
//!   [`Journal::update`], at the latest when the header of a file that is written to was first [`Journal::provide`]d, before
//!   more of it is. A file that is not there: [`Journal::gone`]. What was deleted unread is told: [`Notice::Missing`].
//! - **Meanwhile.** [`Journal::needs_ahead`] gives what will be needed next while there are entries to print.
//! - **Boots** are [`Journal::list_boots`], oldest first, and [`AnyOf::boot`]; **runs** of a unit are [`Instances`] and
//!   [`AnyOf::invocation`]; **units** are [`Journal::list`] of `_SYSTEMD_UNIT`; [`Journal::find`] tells which of some are there.
//!
//! Every byte is taken as hostile: lengths, counts and chains are bounded, memory is taken only for what is there, and what is
//! corrupt is passed over with a [`Notice`] that says where and why. The format is described at
//! <https://systemd.io/JOURNAL_FILE_FORMAT>.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod corrupt;
mod le;
mod id;
mod header;
mod name;
mod hash;
mod object;
mod unpack;
mod cache;
mod entry;
mod matches;
mod query;
mod file;
mod array;
mod plan;
mod scan;
mod window;
mod feed;
mod batch;
mod reader;
mod survey;
mod member;
mod set;
mod instances;
mod text;

pub use corrupt::Corrupt;
pub use entry::{Entry, Field, Position};
pub use header::Header;
pub use id::Id;
pub use instances::{Found, Instance, Instances};
pub use matches::{AnyOf, Matches, SUPPRESSED, full_name};
pub use name::Name;
pub use query::{Limits, Order, Query};
pub use set::{FileId, Journal, Need, Notice, Step, Value};
pub use text::short_precise;
