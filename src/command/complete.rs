//! Words that could come next, for shells and for kubectl's completion hook.

use std::time::Duration;

use crate::args::{Candidates, Options};
use crate::command::Context;
use crate::config;
use crate::error::Result;
use crate::kube::node;
use crate::output::Output;

/// Whoever presses TAB does not wait longer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Prints candidates; a cluster that can't be asked adds none, and says nothing.
pub async fn run(candidates: &Candidates, context: &Context, output: &mut Output) {
    let names = if candidates.contexts {
        // Nobody has to be asked.
        Some(config::contexts(&candidates.connection, &context.env))
    } else if candidates.nodes {
        context.clock.within(Some(PATIENCE), nodes(candidates, context)).await
    } else {
        None
    };
    let names = names.and_then(Result::ok).unwrap_or_default();
    let _ = output.text(&candidates.render(&names));
}

async fn nodes(candidates: &Candidates, context: &Context) -> Result<Vec<String>> {
    let options = Options { connection: candidates.connection.clone(), ..Options::default() };
    match context.cluster(&options).await? {
        Ok(cluster) => node::names(&cluster.client).await,
        Err(_) => Ok(Vec::new()),
    }
}
