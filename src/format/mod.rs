//! How what was read is shown: one file a format.

pub mod color;
pub mod text;
