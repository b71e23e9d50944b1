//! The one test binary.

mod cluster;
