//! `kubectl kubelet-logs`: node logs through the Kubernetes API.
//!
//! Modules are listed in reading order, which is call order and import order: a module imports only from those above it.

pub mod error;
pub mod secret;
pub mod sanitize;
pub mod notice;
pub mod time;
pub mod clock;
pub mod args;
pub mod config;
pub mod http;
pub mod auth;
pub mod kube;
pub mod logs;
pub mod format;
pub mod command;
