//! Long lists, page by page.

use std::sync::PoisonError;

use super::node::Metadata;
use super::status::Refusal;
use super::{Client, path};
use crate::args::options::is_dns_name;
use crate::document::{Fit, Slot, object};
use crate::error::{Error, Kind, Result};
use crate::http::{Encoding, Request};

/// Objects as the API server knows them.
pub const JSON: &str = "application/json";
/// Only their names and labels, where the server can; whole objects otherwise.
pub const METADATA: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

/// Objects a page: kubectl's number.
const PAGE: &str = "500";
/// Bytes a page may have: 500 nodes of 100 kB.
const PAGE_BYTES: usize = 64 << 20;
/// Objects in all; no cluster has as many nodes.
const MOST: usize = 200_000;
/// Pages in all: servers may send less than a page that was asked for, or nothing, and still go on.
const MOST_PAGES: usize = 2_000;
/// Names that no object can have, of which that is said.
const MOST_ODD: usize = 100;
/// Times a list may expire before it is given up.
const RESTARTS: usize = 3;

/// What to list.
#[derive(Clone, Copy, Debug)]
pub struct Listing<'a> {
    /// The collection's path, without a query.
    pub path: &'a str,
    /// Query parameters, such as selectors; paging is added.
    pub parameters: &'a [(&'a str, &'a str)],
    /// [`JSON`] or [`METADATA`].
    pub accept: &'static str,
}

struct Page<T> {
    metadata: PageMeta,
    items: Vec<T>,
}

object! {
    struct PageMeta {
        continue_token: String = "continue",
        version: String = "resourceVersion",
    }
}

impl<T> Default for Page<T> {
    fn default() -> Self {
        Page { metadata: PageMeta::default(), items: Vec::new() }
    }
}

impl<T: Slot + Default> Slot for Page<T> {
    fn wanted(&self) -> &'static str {
        "a list"
    }

    fn clear(&mut self) {}

    fn place(&mut self) -> &mut dyn Slot {
        self
    }

    fn mapping(&mut self) -> Fit {
        Ok(())
    }

    fn field(&mut self, key: &str) -> Option<&mut dyn Slot> {
        match key {
            "metadata" => Some(&mut self.metadata),
            "items" => Some(&mut self.items),
            _ => None,
        }
    }
}

/// Name, labels and the like of all objects of a list.
pub async fn metadata(client: &Client, path: &str, parameters: &[(&str, &str)]) -> Result<Listed<Metadata>> {
    let listed: Listed<Bare> = all(client, Listing { path, parameters, accept: METADATA }).await?;
    let items = listed.items.into_iter().map(|bare| bare.metadata).filter(|object| has_name(client, object));
    Ok(Listed { items: items.collect(), version: listed.version })
}

/// Whether an object is called as objects can be. What is called otherwise is left out, and that is said once: names are
/// printed as they are, in front of each line, and no API server lets such a one pass.
pub(super) fn has_name(client: &Client, object: &Metadata) -> bool {
    let is_name = is_dns_name(&object.name);
    if !is_name {
        let shown: String = object.name.chars().take(80).collect();
        let mut odd = client.odd.lock().unwrap_or_else(PoisonError::into_inner);
        if odd.len() < MOST_ODD && !odd.contains(&shown) {
            let notices = &client.options.notices;
            notices.warning(format_args!("left out: {shown:?}, which is no name that an object can have"));
            odd.push(shown);
        }
    }
    is_name
}

object! {
    struct Bare { metadata: Metadata = "metadata", }
}

/// A list, and when it was true.
#[derive(Clone, Debug, Default)]
pub struct Listed<T> {
    /// All objects.
    pub items: Vec<T>,
    /// The resource version from which on changes are to be watched.
    pub version: String,
}

/// All objects of a list. Where it expires between two pages it goes on with the token the server offers, which may miss
/// what changed meanwhile, else from the start.
pub async fn all<T: Slot + Default>(client: &Client, listing: Listing<'_>) -> Result<Listed<T>> {
    let mut items: Vec<T> = Vec::new();
    // That of the first page: what changes while the others are read is watched then.
    let mut version = String::new();
    let mut token = String::new();
    let mut expired = 0;
    let mut pages = 0;
    loop {
        let mut parameters = listing.parameters.to_vec();
        parameters.push(("limit", PAGE));
        if !token.is_empty() {
            parameters.push(("continue", &token));
        }
        let url = path::with_query(listing.path.to_owned(), &parameters);
        let answer = client.get(Request::get(url).accept(listing.accept).encoding(Encoding::Gzip)).await?;
        if answer.status == 410 && !token.is_empty() && expired < RESTARTS {
            expired += 1;
            token = Refusal::read(answer).await.continue_token;
            if token.is_empty() {
                items.clear();
                version.clear();
            }
            continue;
        }
        let page: Page<T> = client.read(answer, PAGE_BYTES).await?;
        pages += 1;
        items.extend(page.items);
        if version.is_empty() {
            version = page.metadata.version;
        }
        if page.metadata.continue_token.is_empty() {
            return Ok(Listed { items, version });
        }
        if page.metadata.continue_token == token || items.len() > MOST || pages >= MOST_PAGES {
            let (path, items) = (listing.path, items.len());
            let words = format!("the list {path} does not end: {items} objects on {pages} pages so far");
            return Err(Error::new(Kind::Failed, words));
        }
        token = page.metadata.continue_token;
    }
}
