//! The one test binary.

mod cluster;
mod support;
mod house;
mod golden;
mod commands;
mod contract;
mod credentials;
mod differential;
mod faults;
mod fleet;
mod follow;
mod formats;
mod logs;
mod oidc;
mod plugin;
mod proxies;
mod rotation;
mod journal;
mod limit;
mod ranges;
mod stream;
mod tls;
mod distro;
mod rotated;
mod from;
