//! The one test binary.

mod cluster;
mod support;
mod house;
mod golden;
mod commands;
mod contract;
mod credentials;
mod faults;
mod logs;
mod proxies;
mod limit;
mod stream;
mod tls;
