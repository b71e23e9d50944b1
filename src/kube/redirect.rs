//! Redirects that are not followed, in words: whoever sends them is no API server.

use hyper::StatusCode;

use crate::config::quoted;
use crate::error::{Error, Kind};
use crate::http::{Origin, Response};

/// To another origin. Of its address only the origin is shown: what follows may hold somebody's tokens.
pub(super) fn refused(answer: &Response, from: &Origin, to: Option<&Origin>) -> Error {
    let place = match to {
        Some(to) => to.to_string(),
        None => "an address that can't be used".to_owned(),
    };
    let words = format!("{}: {from} redirects to {place}, where credentials must not follow", status(answer));
    let error = Error::new(Kind::Unreachable, words);
    match to {
        Some(to) if !from.is_secure() && to.is_secure() => {
            error.hint(format!("if that is the cluster, set server: {to} in the kubeconfig"))
        }
        Some(to) if from.is_secure() && !to.is_secure() => {
            error.hint("that would be without TLS: whatever redirects there is set up wrongly, or is no API server")
        }
        _ => {
            error.hint("is the server's address right? A login page or a gateway may stand there in a cluster's place")
        }
    }
}

/// From a node's answer to what is not that node's.
pub(super) fn out_of_node(answer: &Response, from: &Origin, to: &str) -> Error {
    let to = quoted(to.split('?').next().unwrap_or_default());
    let words = format!("{}: {from} redirects to {to}, which is not this node's", status(answer));
    Error::new(Kind::Unreachable, words).hint("is there a login page on the way? -v 8 shows the answer's head")
}

/// Too many in a row.
pub(super) fn endless(from: &Origin, followed: usize) -> Error {
    Error::new(Kind::Unreachable, format!("{from} redirects without end ({followed} times)"))
        .hint("is the server's address right, its path too? -v 6 shows each request")
}

fn status(answer: &Response) -> String {
    match StatusCode::from_u16(answer.status).ok().and_then(|code| code.canonical_reason()) {
        Some(reason) => format!("{} {reason}", answer.status),
        None => answer.status.to_string(),
    }
}
