//! The one test binary.

mod cluster;
mod support;
mod golden;
mod logs;
mod limit;
