//! What the lines of many nodes say together.

pub mod digest;
