//! The one test binary.

mod cluster;
mod credentials;
mod support;
mod golden;
mod logs;
mod contract;
