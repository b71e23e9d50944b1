//! A kubelet's own port: who may ask it what, and its plain-text refusals.

use std::io;

use hyper::StatusCode;

use super::access::{self, Basic, Identity};
use super::api::{Api, Request};
use super::body::{Answer, answer};
use super::kubelet::{Asked, From, Outcome, Release};
use super::objects::Member;

/// Whose request it is, if anyone's: without credentials there is nothing to get here.
pub(crate) fn authenticate(api: &Api, request: &Request<'_>) -> Option<Identity> {
    match request.certificate {
        Some(certificate) => api.known.owner(certificate),
        None => access::from_headers(request.headers, Basic::Ignored, &api.known).ok().flatten(),
    }
}

/// Answers one request to the node's port; the error is a connection closed without an answer.
pub(crate) async fn serve(api: &Api, member: &Member, request: &Request<'_>) -> io::Result<Answer> {
    let Some(who) = authenticate(api, request) else {
        return Ok(answer(StatusCode::UNAUTHORIZED, "text/plain; charset=utf-8", "Unauthorized"));
    };
    let release = member.kubelet.mode.release;
    let verb = match request.method.as_str() {
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ => "get",
    };
    let needed = subresources(request.uri.path(), release);
    if !needed.iter().any(|name| who.may(&api.grants, verb, &format!("nodes/{name}"))) {
        let shown = match release {
            Release::V1_24 => format!("subresource={})", needed.join(" ")),
            Release::V1_36 => format!("subresource(s)=[{}])\n", needed.join(" ")),
        };
        let text = format!("Forbidden (user={}, verb={verb}, resource=nodes, {shown}", who.name);
        return Ok(answer(StatusCode::FORBIDDEN, "text/plain; charset=utf-8", text));
    }
    let asked = Asked {
        method: request.method,
        path: request.uri.path(),
        query: request.uri.query(),
        headers: request.headers,
        from: From::Client,
    };
    match member.kubelet.answer(asked).await {
        Outcome::Answered(answer) => Ok(answer),
        Outcome::Panicked => Err(io::Error::other("the handler panicked")),
    }
}

/// The subresources of nodes of which one must be allowed.
fn subresources(path: &str, release: Release) -> Vec<&'static str> {
    let below = |start: &str| path == start || path.strip_prefix(start).is_some_and(|rest| rest.starts_with('/'));
    let coarse = [("/stats", "stats"), ("/metrics", "metrics"), ("/logs", "log"), ("/spec", "spec")];
    if let Some((_, name)) = coarse.iter().find(|(start, _)| below(start)) {
        return vec![name];
    }
    let fine = [("/healthz", "healthz"), ("/configz", "configz"), ("/pods", "pods"), ("/runningpods", "pods")];
    match (release, fine.iter().find(|(start, _)| below(start))) {
        (Release::V1_36, Some((_, name))) => vec![name, "proxy"],
        _ => vec!["proxy"],
    }
}
