//! Words that could come next, for shells and for kubectl's completion hook.

use std::time::Duration;

use serde::Deserialize;

use crate::args::{Candidates, Options};
use crate::command::Context;
use crate::error::Result;
use crate::http::Request;
use crate::kube::path;
use crate::output::Output;

/// Whoever presses TAB does not wait longer.
const PATIENCE: Duration = Duration::from_secs(3);
/// More names help nobody.
const MOST: &str = "500";

/// Prints candidates; a cluster that can't be asked adds none, and says nothing.
pub async fn run(candidates: &Candidates, context: &Context, output: &mut Output) {
    let names =
        if candidates.nodes { context.clock.within(Some(PATIENCE), nodes(candidates, context)).await } else { None };
    let names = names.and_then(Result::ok).unwrap_or_default();
    let _ = output.text(&candidates.render(&names));
}

async fn nodes(candidates: &Candidates, context: &Context) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct List {
        items: Vec<Item>,
    }
    #[derive(Deserialize)]
    struct Item {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    struct Metadata {
        name: String,
    }
    let options = Options { connection: candidates.connection.clone(), ..Options::default() };
    let client = context.cluster(&options)?.client;
    let request = Request::get(path::nodes(&[("limit", MOST)]))
        .accept("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json");
    let list: List = client.read(client.get(request).await?, 32 << 20).await?;
    Ok(list.items.into_iter().map(|item| item.metadata.name).collect())
}
