//! The one test binary.

mod cluster;
mod credentials;
mod support;
mod house;
mod golden;
mod logs;
mod contract;
