//! The command line: text to typed options, and every text made from the flag table.
