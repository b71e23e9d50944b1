//! HTTP transport over TLS; knows nothing of Kubernetes or of kubeconfig.
//!
//! A [`Pool`] speaks to one [`Origin`]; [`Pool::send`] turns one [`Request`] into one [`Response`] whose [`Body`] is read
//! frame by frame. Nothing here retries, follows a redirect or knows a server's credential: [`retry`] is the
//! policy, callers act.

pub mod body;
pub mod dial;
pub mod gzip;
pub mod origin;
pub mod pool;
pub mod proxy;
pub mod ranges;
pub mod request;
pub mod response;
pub mod retry;
pub mod tls;
mod failure;
mod sent;
pub(crate) mod said;
mod trace;
mod wire;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use body::{Body, BodyError, Ended, Grip};
pub use dial::Limits;
pub use failure::{Failure, Stage};
pub use origin::Origin;
pub use pool::{Pool, Settings};
pub use proxy::{Proxy, ProxyKind};
pub use ranges::{Fetched, Ranges};
pub use request::{ByteRange, Encoding, Request};
pub use response::{Redirect, Response};
pub use sent::Sent;
pub use tls::{Certificate, Identity, Protocol, Roots, Trust};
