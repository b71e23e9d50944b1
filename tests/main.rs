//! The one test binary.

mod cluster;
mod golden;
