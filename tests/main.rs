//! The one test binary.

mod cluster;
mod contract;
mod support;
mod golden;
mod logs;
