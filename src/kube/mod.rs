//! Typed calls to the Kubernetes API.
