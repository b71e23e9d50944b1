//! Reading node logs: from options to lines.

pub mod unit;
pub mod klog;
pub mod layout;
pub mod calendar;
pub mod line;
pub mod kubelet;
pub mod record;
pub mod split;
pub mod verdict;
pub mod pod;
pub mod filter;
pub mod sieve;
pub mod merge;
pub mod place;
pub mod outlet;
pub mod pace;
pub mod roster;
pub mod source;
pub mod plan;

mod lane;
pub mod collect;
