//! Which cluster, as whom.
