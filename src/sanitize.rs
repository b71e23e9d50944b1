//! Making untrusted text safe for a terminal.
