//! The simulated cluster.
fn main() {}
