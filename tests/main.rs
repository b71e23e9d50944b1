//! The one test binary.

mod cluster;
mod contract;
