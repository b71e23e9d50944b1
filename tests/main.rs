//! The one test binary.

mod cluster;
mod credentials;
mod golden;
