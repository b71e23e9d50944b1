//! Reading node logs: from options to lines.
