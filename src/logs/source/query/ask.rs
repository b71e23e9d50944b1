//! One request of the query.

use bytes::Bytes;

use super::{ANY_ZONE, LONGEST_LISTING, NO_BOOTS, Query, SUMMER_TIME};
use crate::args::Boot;
use crate::http::{Body, Encoding, Request};
use crate::kube::{path, status};
use crate::logs::outlet::Flow;
use crate::logs::source::listing::is_listing;
use crate::logs::source::{expect_listing, no_kubelets};
use crate::time::Timestamp;

/// The parameters of one request.
#[derive(Clone, Debug, Default)]
pub(in crate::logs::source) struct Parameters {
    /// In UTC; the node's offset is added on sending.
    pub(super) since: Option<Timestamp>,
    pub(super) tail: Option<u64>,
    /// So many boots ago.
    pub(super) boot: Option<u32>,
    pub(super) pattern: Option<String>,
}

/// What it was answered with.
pub(super) enum Asked {
    Answer(Box<Body>),
    Listing(Bytes),
}

impl Query<'_> {
    /// Sends one request.
    pub(super) async fn ask(&self, parameters: &Parameters) -> Flow<Asked> {
        let since = parameters.since.map(|since| since_parameter(since, self.offset.flatten()));
        let tail = parameters.tail.map(|tail| tail.to_string());
        let boot = parameters.boot.or(self.boot).map(|back| Boot::Back(back).to_string());
        let mut pairs: Vec<(&str, &str)> = self.units.iter().map(|unit| ("query", unit.as_str())).collect();
        pairs.extend(since.as_deref().map(|since| ("sinceTime", since)));
        pairs.extend(tail.as_deref().map(|tail| ("tailLines", tail)));
        pairs.extend(boot.as_deref().map(|boot| ("boot", boot)));
        pairs.extend(parameters.pattern.as_deref().map(|pattern| ("pattern", pattern)));
        let request = Request::get(path::logs_query(self.node.name, &pairs)).encoding(Encoding::Identity);
        let answer = self.node.get(request).await?;
        if answer.status != 200 {
            let error = status::error_of(answer).await;
            return Err(match error.chain().contains(NO_BOOTS) {
                true => error.hint("leave --boot out: --tail and --grep choose among a Windows node's events").into(),
                false => error.into(),
            });
        }
        if is_listing(&answer) {
            let mut listing = expect_listing(answer).await?;
            return Ok(Asked::Listing(listing.body.beginning(LONGEST_LISTING).await));
        }
        if !answer.content_type().starts_with("text/plain") {
            return Err(no_kubelets(answer.content_type()).into());
        }
        Ok(Asked::Answer(Box::new(answer.body)))
    }
}

/// `sinceTime` as the kubelet must get it: it drops the zone, and journalctl reads the rest in the node's local time.
fn since_parameter(since: Timestamp, offset: Option<i32>) -> String {
    let local = match offset {
        Some(offset) => Timestamp::from_micros(since.as_micros().saturating_add(i64::from(offset) * 1_000_000))
            .saturating_sub(SUMMER_TIME),
        None => since.saturating_sub(ANY_ZONE),
    };
    let text = local.rfc3339().to_string();
    format!("{}Z", text.get(..19).unwrap_or_default())
}
