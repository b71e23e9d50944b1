//! The API server: who asks, whether they may, and the routes this program uses.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap};
use hyper::{Method, StatusCode, Uri};

use super::access::{self, Basic, Grant, Identity, Known, User};
use super::body::{Answer, GO_BUFFER, answer, full, go_error, set, unsized_body};
use super::kubelet::{Asked, From, Outcome, Release};
use super::members::{Members, Selection};
use super::objects::{self, Health, Member, quote};
use super::query::{self, Plus, unescape};
use super::selector;

/// The API server.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) release: Release,
    pub(crate) members: Arc<Members>,
    pub(crate) grants: Vec<Grant>,
    pub(crate) basic: Basic,
    pub(crate) known: Known,
    /// How long it waits for a kubelet's TLS handshake: 10 s at real servers.
    pub(crate) handshake_limit: Duration,
}

/// An answer instead of what was asked for.
type Refusal = Box<Answer>;

/// What a request is about, for the access rules.
struct Attributes {
    verb: &'static str,
    /// `None`: a path outside /api and /apis.
    resource: Option<Resource>,
}

struct Resource {
    group: &'static str,
    namespace: Option<String>,
    /// With its subresource, such as `nodes/proxy`.
    kind: String,
    name: Option<String>,
}

/// The head of a request.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
    /// The client's certificate.
    pub(crate) certificate: Option<&'a [u8]>,
}

impl Api {
    /// Whom a request acts for, before impersonation; the error is a 401.
    pub(crate) fn authenticate(&self, request: &Request<'_>) -> Result<Identity, access::Rejected> {
        if let Some(certificate) = request.certificate {
            return self.known.owner(certificate).ok_or(access::Rejected);
        }
        Ok(access::from_headers(request.headers, self.basic, &self.known)?
            .unwrap_or_else(|| User::Anonymous.identity()))
    }

    /// Answers one request; `None` stands for a connection closed without an answer.
    pub(crate) async fn answer(&self, request: &Request<'_>) -> Answer {
        let mut answer = self.route(request).await;
        set(&mut answer, "audit-id", &objects::dashed(&format!("{:016x}{:016x}", super::random(), super::random())));
        set(&mut answer, "cache-control", "no-cache, private");
        answer
    }

    async fn route(&self, request: &Request<'_>) -> Answer {
        let Ok(mut who) = self.authenticate(request) else {
            return status(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized", None);
        };
        let path = unescape(request.uri.path(), Plus::Plus).unwrap_or_default();
        let watches = request.uri.query().is_some_and(|query| query.contains("watch=true"));
        let attributes = attributes(request.method, &path, watches);
        let fair = |mut answer: Answer, who: &Identity| {
            // The flow schema that the request fell under: `exempt` for masters, `global-default` else.
            let (schema, level) = match who.groups.iter().any(|group| group == "system:masters") {
                true => ("a3ca8710-6ca7-49e7-91ba-b66f2762407f", "b38b73e1-0f4b-442d-ae48-f7d2e0e81c1a"),
                false => ("822475ac-2d42-4577-a6e2-b2cf1bb3d94e", "53dd38a8-27d9-4994-909e-9ec948cc8629"),
            };
            set(&mut answer, "x-kubernetes-pf-flowschema-uid", schema);
            set(&mut answer, "x-kubernetes-pf-prioritylevel-uid", level);
            answer
        };
        if let Some(other) = access::impersonated(request.headers) {
            if !who.may(&self.grants, "impersonate", "users") {
                let target = Resource { group: "", namespace: None, kind: "users".to_owned(), name: Some(other.name) };
                return fair(forbidden(&who, "impersonate", &target), &who);
            }
            who = other;
        }
        let proxied = attributes.resource.as_ref().is_some_and(|resource| resource.kind == "nodes/proxy");
        if let Some(refusal) = self.refuse(&who, &attributes, &path) {
            return if proxied { refusal } else { fair(refusal, &who) };
        }
        if proxied {
            return self.proxy(request).await;
        }
        fair(self.own(request, &path, &attributes), &who)
    }

    fn refuse(&self, who: &Identity, attributes: &Attributes, path: &str) -> Option<Answer> {
        match &attributes.resource {
            Some(resource) => (!who.may(&self.grants, attributes.verb, &resource.kind))
                .then(|| forbidden(who, attributes.verb, resource)),
            None => {
                const PUBLIC: [&str; 5] = ["/version", "/healthz", "/livez", "/readyz", "/version/"];
                const DISCOVERY: [&str; 3] = ["/api", "/apis", "/openapi"];
                let public = PUBLIC.contains(&path);
                let discovery = DISCOVERY
                    .iter()
                    .any(|start| path == *start || path.strip_prefix(start).is_some_and(|rest| rest.starts_with('/')));
                let known = who.name != User::Anonymous.name();
                let master = who.groups.iter().any(|group| group == "system:masters");
                (!(master || public || (discovery && known))).then(|| {
                    let message = format!("forbidden: User {} cannot get path {}", quote(&who.name), quote(path));
                    refused(&message, "{}")
                })
            }
        }
    }

    /// The API server's own resources.
    fn own(&self, request: &Request<'_>, path: &str, attributes: &Attributes) -> Answer {
        let pairs = query::pairs(request.uri.query().unwrap_or_default());
        match &attributes.resource {
            None => match path {
                "/version" => answer(StatusCode::OK, "application/json", self.version()),
                "/healthz" | "/livez" | "/readyz" => {
                    let mut ok = answer(StatusCode::OK, "text/plain; charset=utf-8", "ok");
                    set(&mut ok, "x-content-type-options", "nosniff");
                    ok
                }
                _ => go_error(StatusCode::NOT_FOUND, "404 page not found"),
            },
            Some(_) if !matches!(*request.method, Method::GET) => status(
                StatusCode::METHOD_NOT_ALLOWED,
                "the server does not allow this method on the requested resource",
                "MethodNotAllowed",
                Some("{}"),
            ),
            Some(_) if !admits_json(request.headers) => not_acceptable(self.release),
            Some(resource) => match (resource.kind.as_str(), &resource.name) {
                ("nodes", Some(name)) => match self.member(name) {
                    Some(member) => object(objects::single("Node", &member.json()), request.headers),
                    None => not_found("nodes", name),
                },
                ("nodes", None) => self.nodes(&pairs, request.headers).unwrap_or_else(|refusal| *refusal),
                ("pods", None) => {
                    self.pods(&pairs, resource.namespace.as_deref(), request.headers).unwrap_or_else(|refusal| *refusal)
                }
                ("pods", Some(name)) => match name.strip_prefix("talker-").and_then(|node| self.member(node)) {
                    Some(member) if resource.namespace.as_deref() == Some("kube-system") => {
                        object(objects::single("Pod", &member.pod()), request.headers)
                    }
                    _ => not_found("pods", name),
                },
                ("events", None) => object(list("EventList", 1924, &[], None), request.headers),
                _ => go_error(StatusCode::NOT_FOUND, "404 page not found"),
            },
        }
    }

    fn nodes(&self, pairs: &[(String, String)], headers: &HeaderMap) -> Result<Answer, Refusal> {
        let first = |name: &str| pairs.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
        let labels = selector::parse(first("labelSelector")).map_err(|why| Box::new(bad_request(&why)))?;
        let fields = selector::fields(first("fieldSelector"), &["metadata.name", "spec.unschedulable"])
            .map_err(|why| Box::new(bad_request(&why)))?;
        let selection = Selection { labels, fields };
        if matches!(first("watch"), "1" | "true") {
            let from =
                first("resourceVersion").parse().map_err(|_| Box::new(bad_request("no version to watch from")))?;
            let seconds = first("timeoutSeconds").parse().unwrap_or(1800);
            let bookmarks = matches!(first("allowWatchBookmarks"), "1" | "true");
            return Ok(self.members.watch(from, selection, seconds, bookmarks));
        }
        let (members, version) = self.members.all();
        let chosen: Vec<&Arc<Member>> = members.iter().filter(|member| selection.admits(member)).collect();
        // With resourceVersion=0 the answer comes from the watch cache, which used not to know pages.
        let limit = match first("resourceVersion") {
            "0" => 0,
            _ => first("limit").parse::<usize>().unwrap_or(0),
        };
        let start = match first("continue") {
            "" => 0,
            token => {
                let after = continued(token)?;
                chosen.iter().position(|member| member.name > after).unwrap_or(chosen.len())
            }
        };
        let rest = &chosen[start..];
        let page = if limit == 0 { rest } else { &rest[..limit.min(rest.len())] };
        let items: Vec<String> = page.iter().map(|member| member.json()).collect();
        let more = page.last().filter(|_| page.len() < rest.len()).map(|last| {
            // A selection's remainder is not counted.
            let remaining =
                (selection.labels.is_empty() && selection.fields.is_empty()).then_some(rest.len() - page.len());
            (last.name.clone(), remaining)
        });
        Ok(object(list("NodeList", version, &items, more), headers))
    }

    fn pods(
        &self,
        pairs: &[(String, String)],
        namespace: Option<&str>,
        headers: &HeaderMap,
    ) -> Result<Answer, Refusal> {
        let text = pairs.iter().find(|(key, _)| key == "fieldSelector").map_or("", |(_, value)| value.as_str());
        let fields = selector::fields(text, &["spec.nodeName", "metadata.name", "metadata.namespace", "status.phase"])
            .map_err(|why| Box::new(bad_request(&why)))?;
        let (members, _) = self.members.all();
        let items: Vec<String> = members
            .iter()
            .filter(|_| namespace.is_none_or(|namespace| namespace == "kube-system"))
            .filter(|member| {
                fields.iter().all(|(field, equal, value)| {
                    let actual = match field.as_str() {
                        "spec.nodeName" => member.name.clone(),
                        "metadata.name" => format!("talker-{}", member.name),
                        "metadata.namespace" => "kube-system".to_owned(),
                        _ => "Running".to_owned(),
                    };
                    (actual == *value) == *equal
                })
            })
            .map(|member| member.pod())
            .collect();
        Ok(object(list("PodList", 1924, &items, None), headers))
    }

    pub(crate) fn member(&self, name: &str) -> Option<Arc<Member>> {
        self.members.named(name)
    }

    /// Passes a request on to a kubelet.
    async fn proxy(&self, request: &Request<'_>) -> Answer {
        let whole = request.uri.path();
        let rest = whole.strip_prefix("/api/v1/nodes/").unwrap_or_default();
        let (named, below) = rest.split_once("/proxy").unwrap_or((rest, ""));
        let named = unescape(named, Plus::Plus).unwrap_or_default();
        // `node`, `node:port` or `scheme:node:port`.
        let parts: Vec<&str> = named.split(':').collect();
        let (name, port) = match parts[..] {
            [name] => (name, None),
            [name, port] => (name, Some(port)),
            [_, name, port] => (name, Some(port)),
            _ => ("", None),
        };
        let Some(member) = self.member(name) else { return not_found("nodes", &named) };
        let port =
            port.filter(|port| !port.is_empty()).and_then(|port| port.parse::<u16>().ok()).unwrap_or(member.port);
        if let Some(failure) = self.reach(&member, port).await {
            return failure;
        }
        // The proxy joins and cleans the path; a slash at the end stays.
        let Some(decoded) = query::unescape_bytes(below, Plus::Plus) else {
            return bad_request("invalid URL escape");
        };
        let mut path = super::files::clean(&decoded);
        if decoded.ends_with(b"/") && path != b"/" {
            path.push(b'/');
        }
        let asked = Asked {
            method: request.method,
            path: &super::files::escape_path(&path),
            query: request.uri.query(),
            headers: request.headers,
            from: From::Proxy,
        };
        match member.kubelet.answer(asked).await {
            Outcome::Panicked => unreachable("EOF"),
            Outcome::Answered(mut answer) => {
                // The server dates what is not dated: the kubelet has its own clock.
                if member.clock_ahead != 0 {
                    set(&mut answer, "date", &http_date(member.clock_ahead));
                }
                rewrite(answer, &format!("/api/v1/nodes/{named}/proxy")).await
            }
        }
    }

    /// Why no connection to the kubelet comes about.
    async fn reach(&self, member: &Member, port: u16) -> Option<Answer> {
        let refused = || unreachable(&format!("dial tcp 127.0.0.1:{port}: connect: connection refused"));
        let lookup = "lookup no-such-host.invalid on 127.0.0.53:53: no such host";
        match (member.health, self.release) {
            _ if port != member.port => Some(refused()),
            (Health::Up, _) => None,
            (Health::Down, _) => Some(refused()),
            (Health::Hung, _) => {
                tokio::time::sleep(self.handshake_limit).await;
                Some(unreachable("net/http: TLS handshake timeout"))
            }
            (Health::NoAddresses, _) => Some(status(
                StatusCode::INTERNAL_SERVER_ERROR,
                "no preferred addresses found; known addresses: []",
                "",
                None,
            )),
            (Health::WrongCa, Release::V1_24) => Some(unreachable("x509: certificate signed by unknown authority")),
            (Health::WrongCa, Release::V1_36) => {
                Some(unreachable("tls: failed to verify certificate: x509: certificate signed by unknown authority"))
            }
            (Health::PlainHttp, _) => Some(unreachable("EOF")),
            (Health::Unresolvable, Release::V1_24) => Some(unreachable(&format!("dial tcp: {lookup}"))),
            (Health::Unresolvable, Release::V1_36) => Some(bad_request(lookup)),
            (Health::LinkLocal, _) => Some(bad_request("address not allowed")),
        }
    }

    fn version(&self) -> String {
        match self.release {
            Release::V1_36 => "{\n  \"major\": \"1\",\n  \"minor\": \"36\",\n  \"emulationMajor\": \"1\",\n  \"emulationMinor\": \"36\",\n  \"minCompatibilityMajor\": \"1\",\n  \"minCompatibilityMinor\": \"35\",\n  \"gitVersion\": \"v1.36.2\",\n  \"gitCommit\": \"$Format:%H$\",\n  \"gitTreeState\": \"clean\",\n  \"buildDate\": \"2026-06-10T00:00:00Z\",\n  \"goVersion\": \"go1.26.6\",\n  \"compiler\": \"gc\",\n  \"platform\": \"linux/amd64\"\n}".to_owned(),
            Release::V1_24 => "{\n  \"major\": \"1\",\n  \"minor\": \"24\",\n  \"gitVersion\": \"v1.24.0\",\n  \"gitCommit\": \"$Format:%H$\",\n  \"gitTreeState\": \"clean\",\n  \"buildDate\": \"2022-09-13T00:00:00Z\",\n  \"goVersion\": \"go1.19.8\",\n  \"compiler\": \"gc\",\n  \"platform\": \"linux/amd64\"\n}".to_owned(),
        }
    }
}

/// The time so many seconds from now, as HTTP writes it.
fn http_date(ahead: i64) -> String {
    let now = kubelet_logs::clock::Clock::System.now().as_micros() + ahead * 1_000_000;
    let at = kubelet_logs::time::Timestamp::from_micros(now).civil_utc();
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = MONTHS[usize::from(at.month) - 1];
    format!("Sat, {:02} {month} {} {:02}:{:02}:{:02} GMT", at.day, at.year, at.hour, at.minute, at.second)
}

/// What the API server's proxy changes in a kubelet's answer: absolute locations, and the links of HTML pages.
async fn rewrite(mut answer: Answer, prefix: &str) -> Answer {
    use http_body_util::BodyExt as _;
    if let Some(location) = answer.headers().get("location").and_then(|value| value.to_str().ok())
        && location.starts_with('/')
    {
        let moved = format!("{prefix}{location}");
        set(&mut answer, "location", &moved);
        return answer;
    }
    let html = answer.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if !html || answer.status() != StatusCode::OK {
        return answer;
    }
    let (mut head, body) = answer.into_parts();
    let Ok(page) = body.collect().await.map(|page| page.to_bytes()) else {
        return unreachable("unexpected EOF");
    };
    let page = escape_references(&page);
    head.headers.remove("content-length");
    let length = page.len();
    if length <= GO_BUFFER {
        head.headers.insert("content-length", length.into());
        return Answer::from_parts(head, full(page));
    }
    Answer::from_parts(head, unsized_body(full(page)))
}

/// Links are parsed and written again, which escapes their ampersands.
fn escape_references(page: &[u8]) -> Vec<u8> {
    const START: &[u8] = b"href=\"";
    let mut out = Vec::with_capacity(page.len());
    let mut rest = page;
    while let Some(at) = rest.windows(START.len()).position(|bytes| bytes == START) {
        let (before, after) = rest.split_at(at + START.len());
        out.extend_from_slice(before);
        let end = after.iter().position(|byte| *byte == b'"').unwrap_or(after.len());
        let reference = String::from_utf8_lossy(&after[..end]).replace("&amp;", "&").replace('&', "&amp;");
        out.extend_from_slice(reference.as_bytes());
        rest = &after[end..];
    }
    out.extend_from_slice(rest);
    out
}

fn attributes(method: &Method, path: &str, watches: bool) -> Attributes {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let (group, rest) = match parts[..] {
        ["api", "v1", ref rest @ ..] if !rest.is_empty() => ("", rest),
        ["apis", "events.k8s.io", "v1", ref rest @ ..] if !rest.is_empty() => ("events.k8s.io", rest),
        ["apis", "coordination.k8s.io", "v1", ref rest @ ..] if !rest.is_empty() => ("coordination.k8s.io", rest),
        _ => return Attributes { verb: "get", resource: None },
    };
    let (namespace, rest) = match rest {
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some((*namespace).to_owned()), rest),
        rest => (None, rest),
    };
    let (kind, name) = match rest {
        [kind] => ((*kind).to_owned(), None),
        [kind, name] => ((*kind).to_owned(), Some((*name).to_owned())),
        [kind, name, sub, ..] => (format!("{kind}/{sub}"), Some((*name).to_owned())),
        [] => unreachable!("a path with a resource"),
    };
    let verb = match *method {
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ if name.is_none() && watches => "watch",
        _ if name.is_none() => "list",
        _ => "get",
    };
    Attributes { verb, resource: Some(Resource { group, namespace, kind, name }) }
}

/// A list of items, with where to go on and how many are left.
fn list(kind: &str, version: u64, items: &[String], more: Option<(String, Option<usize>)>) -> String {
    let more = more.map_or_else(String::new, |(last, remaining)| {
        let token =
            URL_SAFE_NO_PAD.encode(format!(r#"{{"v":"meta.k8s.io/v1","rv":{version},"start":"{last}\u0000"}}"#));
        let remaining = remaining.map_or_else(String::new, |count| format!(r#","remainingItemCount":{count}"#));
        format!(r#","continue":"{token}"{remaining}"#)
    });
    let items = items.join(",");
    format!(
        "{{\"kind\":\"{kind}\",\"apiVersion\":\"v1\",\"metadata\":{{\"resourceVersion\":\"{version}\"{more}}},\"items\":[{items}]}}\n"
    )
}

/// The name a continue token goes on after.
fn continued(token: &str) -> Result<String, Refusal> {
    let bad = |why: &str| Box::new(bad_request(&format!("invalid continue token: {why}")));
    let bytes = URL_SAFE_NO_PAD
        .decode(token)
        .map_err(|_| bad("continue key is not valid: illegal base64 data at input byte 0"))?;
    let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(|_| {
        let first = bytes.first().map_or(' ', |byte| char::from(*byte));
        bad(&format!("continue key is not valid: invalid character '{first}' looking for beginning of value"))
    })?;
    let start = value["start"].as_str().unwrap_or_default().trim_end_matches('\0').to_owned();
    if value["rv"].as_i64() == Some(1) {
        let fresh = URL_SAFE_NO_PAD.encode(format!(r#"{{"v":"meta.k8s.io/v1","rv":-1,"start":"{start}\u0000"}}"#));
        let message = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";
        return Err(Box::new(answer(
            StatusCode::GONE,
            "application/json",
            format!(
                "{{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{{\"continue\":\"{fresh}\"}},\"status\":\"Failure\",\"message\":{},\"reason\":\"Expired\",\"code\":410}}\n",
                quote(message)
            ),
        )));
    }
    Ok(start)
}

/// A JSON answer: compressed when very long and wanted, chunked when long, as the API server sends it.
fn object(text: String, headers: &HeaderMap) -> Answer {
    use std::io::Write as _;
    /// Smaller answers are not worth it to the API server.
    const COMPRESSED: usize = 128 * 1024;
    let length = text.len();
    let mut answer = answer(StatusCode::OK, "application/json", text.clone());
    let wanted = headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    if length > COMPRESSED && wanted.into_iter().any(|name| name.split(';').next().unwrap_or_default().trim() == "gzip")
    {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let packed = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()).expect("memory takes it");
        *answer.body_mut() = full(packed);
        set(&mut answer, "content-encoding", "gzip");
        set(&mut answer, "vary", "Accept-Encoding");
    }
    if length > GO_BUFFER {
        answer.headers_mut().remove("content-length");
        answer = answer.map(unsized_body);
    }
    answer
}

/// A failure as a Status object. An empty reason is left out, as are details that are not given.
pub(crate) fn status(code: StatusCode, message: &str, reason: &str, details: Option<&str>) -> Answer {
    let reason = if reason.is_empty() { String::new() } else { format!(",\"reason\":\"{reason}\"") };
    let details = details.map_or_else(String::new, |details| format!(",\"details\":{details}"));
    let text = format!(
        "{{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{{}},\"status\":\"Failure\",\"message\":{}{reason}{details},\"code\":{}}}\n",
        quote(message),
        code.as_u16()
    );
    answer(code, "application/json", text)
}

fn not_found(kind: &str, name: &str) -> Answer {
    let details = format!("{{\"name\":{},\"kind\":\"{kind}\"}}", quote(name));
    status(StatusCode::NOT_FOUND, &format!("{kind} {} not found", quote(name)), "NotFound", Some(&details))
}

pub(crate) fn bad_request(why: &str) -> Answer {
    status(StatusCode::BAD_REQUEST, why, "BadRequest", None)
}

/// The proxy could not get an answer from the kubelet.
pub(crate) fn unreachable(why: &str) -> Answer {
    status(
        StatusCode::SERVICE_UNAVAILABLE,
        &format!("error trying to reach service: {why}"),
        "ServiceUnavailable",
        None,
    )
}

fn forbidden(who: &Identity, verb: &str, resource: &Resource) -> Answer {
    let kind = resource.kind.split('/').next().unwrap_or_default();
    let (object, group) = if resource.group.is_empty() {
        (kind.to_owned(), String::new())
    } else {
        (format!("{kind}.{}", resource.group), format!("\"group\":\"{}\",", resource.group))
    };
    let subject = resource.name.as_ref().map_or_else(|| object.clone(), |name| format!("{object} {}", quote(name)));
    let scope = resource
        .namespace
        .as_ref()
        .map_or_else(|| "at the cluster scope".to_owned(), |name| format!("in the namespace {}", quote(name)));
    let message = format!(
        "{subject} is forbidden: User {} cannot {verb} resource {} in API group {} {scope}",
        quote(&who.name),
        quote(&resource.kind),
        quote(resource.group)
    );
    let name = resource.name.as_ref().map_or_else(String::new, |name| format!("\"name\":{},", quote(name)));
    refused(&message, &format!("{{{name}{group}\"kind\":\"{kind}\"}}"))
}

fn refused(message: &str, details: &str) -> Answer {
    let mut answer = status(StatusCode::FORBIDDEN, message, "Forbidden", Some(details));
    set(&mut answer, "x-content-type-options", "nosniff");
    answer
}

fn not_acceptable(release: Release) -> Answer {
    let offered = match release {
        Release::V1_24 => "",
        Release::V1_36 => {
            "\\n\\nAvailable representations: application/json, application/yaml, application/vnd.kubernetes.protobuf, application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"
        }
    };
    answer(
        StatusCode::NOT_ACCEPTABLE,
        "application/json",
        format!(
            "{{\n  \"kind\": \"Status\",\n  \"apiVersion\": \"v1\",\n  \"metadata\": {{}},\n  \"status\": \"Failure\",\n  \"message\": \"406: Not Acceptable{offered}\",\n  \"reason\": \"NotAcceptable\",\n  \"details\": {{}},\n  \"code\": 406\n}}"
        ),
    )
}

fn admits_json(headers: &HeaderMap) -> bool {
    let kinds: Vec<&str> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    kinds.is_empty()
        || kinds.iter().any(|kind| {
            let mut parts = kind.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            matches!(name, "*/*" | "application/*")
                || (name == "application/json" && !parts.any(|part| part.starts_with("as=")))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_a_page_are_written_again() {
        let page = b"<a href=\"a%20&%20b\">a &amp; b</a>\n<a href=\"c&amp;d\">c</a>";
        assert_eq!(escape_references(page), b"<a href=\"a%20&amp;%20b\">a &amp; b</a>\n<a href=\"c&amp;d\">c</a>");
    }
}
