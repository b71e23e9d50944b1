//! An answer that is an error: the server's own words, what they mean for us, and what to do about it.
//!
//! API servers explain themselves with a `Status` (meta/v1), kubelets in plain text, proxies on the way with web pages.

use std::time::Duration;

use hyper::StatusCode;

use super::hint;
use crate::clock::Clock;
use crate::document::{object, read_json};
use crate::error::{Error, Kind};
use crate::http::{Ended, Response, said};

/// An answer that refuses what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status code.
    pub status: u16,
    /// The server's own words in one line, bounded; may be empty.
    pub words: String,
    /// The API server's one-word reason, such as `NotFound` or `Expired`; empty when something else answered.
    pub reason: String,
    /// What the words are about: `nodes`, `pods`; may be empty.
    pub about: String,
    /// Where an expired list may go on.
    pub continue_token: String,
    /// When the server wants to be asked again, in seconds, where it says so.
    pub retry_after: Option<u64>,
    /// Under which id the API server's audit log knows the request; may be empty.
    pub audit_id: String,
}

/// The error an answer stands for. Reads a bounded part of its body.
pub async fn error_of(response: Response) -> Error {
    Refusal::read(response).await.into_error()
}

/// Whether an answer says that the API server could not reach the node: then asking again is of no use. Its body stays whole.
pub(super) async fn is_node_unreachable(response: &mut Response) -> bool {
    if !matches!(response.status, 500..=599) {
        return false;
    }
    let body = Clock::System.within(Some(READ_LIMIT), response.body.beginning(READ)).await.unwrap_or_default();
    let says = memchr::memmem::find(&body, b"error trying to reach service").is_some();
    response.body.unread(body);
    says
}

/// As much of an error's body as is read.
const READ: usize = 64 * 1024;
/// How long its reading may take: the head has said the essential.
const READ_LIMIT: Duration = Duration::from_secs(5);
/// Characters of words shown.
const SHOWN: usize = 1000;

impl Refusal {
    /// Reads what an answer says about itself.
    pub async fn read(mut response: Response) -> Self {
        let body = Clock::System.within(Some(READ_LIMIT), response.body.beginning(READ)).await.unwrap_or_default();
        let audit_id = response.sent.scrub(response.header("audit-id").unwrap_or_default().to_owned());
        let audit_id = audit_id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(64).collect();
        let retry_after = response.retry_after().map(|wait| wait.as_secs());
        // Before anything is cut, and again after texts were unquoted.
        let body = response.sent.scrub(String::from_utf8_lossy(&body).into_owned());
        let told = Refusal::parse(response.status, response.content_type(), body.as_bytes());
        let scrub = |words| response.sent.scrub(words);
        Refusal {
            audit_id,
            retry_after,
            words: scrub(told.words),
            reason: scrub(told.reason),
            about: scrub(told.about),
            ..told
        }
    }

    /// What an answer's status, type and the beginning of its body say.
    pub fn parse(status: u16, content_type: &str, body: &[u8]) -> Self {
        let empty = Refusal {
            status,
            words: String::new(),
            reason: String::new(),
            about: String::new(),
            continue_token: String::new(),
            retry_after: None,
            audit_id: String::new(),
        };
        if let Ok(told) = read_json::<Status>(body)
            && told.kind == "Status"
        {
            let words = told.words();
            return Refusal {
                words: without_code(status, &one_line(&words)),
                reason: one_line(&told.reason),
                about: one_line(&told.details.kind),
                continue_token: told.metadata.continue_token,
                ..empty
            };
        }
        let text = String::from_utf8_lossy(body);
        if content_type.starts_with("text/html") || text.trim_start().starts_with('<') {
            return Refusal { words: page_words(&text), ..empty };
        }
        Refusal { words: without_code(status, &one_line(&text)), ..empty }
    }

    /// What it means for the program's exit code.
    pub fn kind(&self) -> Kind {
        match self.status {
            401 | 403 => Kind::Denied,
            404 => Kind::NotFound,
            502..=504 => Kind::Unreachable,
            // A node whose address can't be used: told as the client's or the server's fault, and neither is.
            400 | 500 if self.node_has_no_way() => Kind::Unreachable,
            _ => Kind::Failed,
        }
    }

    /// The error: `403 Forbidden: <words>`, and a hint where there is one.
    pub fn into_error(self) -> Error {
        let mut doing = match StatusCode::from_u16(self.status).ok().and_then(|code| code.canonical_reason()) {
            Some(reason) => format!("{} {reason}", self.status),
            None => self.status.to_string(),
        };
        if !self.words.is_empty() {
            doing.push_str(": ");
            doing.push_str(&self.words);
        }
        if !self.audit_id.is_empty() {
            doing.push_str(&format!(" (audit id {})", self.audit_id));
        }
        let error = Error::new(self.kind(), doing);
        match hint::for_refusal(&self) {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }

    fn node_has_no_way(&self) -> bool {
        let says = |words| self.words.contains(words);
        says("no such host") || says("no preferred addresses found") || says("address not allowed")
    }
}

/// The status of the answer that an error tells of, as [`Refusal::into_error`] writes it.
pub fn told(error: &Error) -> Option<u16> {
    let mut levels = std::iter::successors(Some(error as &dyn std::error::Error), |level| level.source());
    levels.find_map(|level| {
        let words = level.to_string();
        let (status, rest) = words.split_at_checked(3)?;
        let status = StatusCode::from_bytes(status.as_bytes()).ok()?;
        let reason = status.canonical_reason().map_or_else(String::new, |reason| format!(" {reason}"));
        let rest = rest.strip_prefix(&reason)?;
        (rest.is_empty() || rest.starts_with([':', ' '])).then(|| status.as_u16())
    })
}

object! {
    /// meta/v1 Status, as far as it is used.
    struct Status {
        kind: String = "kind",
        message: String = "message",
        reason: String = "reason",
        metadata: ListMeta = "metadata",
        details: Details = "details",
    }
}

object! {
    struct ListMeta {
        continue_token: String = "continue",
    }
}

object! {
    struct Details {
        kind: String = "kind",
        causes: Vec<Cause> = "causes",
    }
}

object! {
    struct Cause {
        message: String = "message",
        field: String = "field",
    }
}

impl Status {
    /// The message, then each cause it does not contain already.
    fn words(&self) -> String {
        let mut words = self.message.clone();
        for cause in self.details.causes.iter().filter(|cause| !cause.message.is_empty()).take(8) {
            if words.contains(&cause.message) {
                continue;
            }
            if !words.is_empty() {
                words.push_str("; ");
            }
            if !cause.field.is_empty() {
                words.push_str(&cause.field);
                words.push_str(": ");
            }
            words.push_str(&cause.message);
        }
        if words.is_empty() { self.reason.clone() } else { words }
    }
}

/// Untrusted text as one bounded line.
fn one_line(text: &str) -> String {
    said::one_line(text, SHOWN)
}

/// Go's handlers repeat the code: `404 page not found`, `405: Method Not Allowed`, `Unauthorized`.
fn without_code(status: u16, words: &str) -> String {
    let words = words.strip_prefix(&status.to_string()).map_or(words, |rest| rest.trim_start_matches([':', ' ']));
    let reason = StatusCode::from_u16(status).ok().and_then(|code| code.canonical_reason()).unwrap_or_default();
    let rest = words.strip_prefix(reason).map_or(words, |rest| rest.trim_start_matches([':', '.', ' ']));
    rest.trim_end_matches("Available representations:").trim_end().to_owned()
}

/// What a web page says: its title, else nothing of it.
fn page_words(page: &str) -> String {
    match said::title(page, SHOWN) {
        Some(title) => format!("a web page answered, not Kubernetes: {title:?}"),
        None => "a web page answered, not Kubernetes".to_owned(),
    }
}

/// What a body's early end means when the body was needed whole.
pub(super) fn cut_short(ended: Ended) -> Kind {
    match ended {
        Ended::Reset | Ended::Truncated | Ended::Timeout => Kind::Unreachable,
        Ended::Corrupt | Ended::TooLong => Kind::Failed,
    }
}
