//! The transport against servers on loopback, good and bad.

use std::future::Future;
use std::time::Duration;

use super::testing::*;
use super::*;

mod connections;
mod trust;
mod reaching;
mod bodies;

const ALL: usize = 64 << 20;

/// A test whose failure would be waiting for ever.
async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), work).await.expect("this should not take long")
}

fn no_trust() -> Trust {
    Trust { roots: Roots::Authorities(Vec::new()), server_name: None }
}

fn words_of(failure: Failure) -> (Stage, String, String) {
    let stage = failure.stage();
    let error = crate::error::Error::from(failure);
    assert_eq!(error.kind(), crate::error::Kind::Unreachable);
    (stage, error.chain(), error.remedy().unwrap_or_default().to_owned())
}
