//! The one test binary.

mod cluster;
mod support;
mod house;
mod golden;
mod commands;
mod contract;
mod credentials;
mod faults;
mod fleet;
mod logs;
mod limit;
mod stream;
mod distro;
mod rotated;
