//! The server part of a URL, and where a redirect leads from it.

use std::fmt;

use hyper::Uri;

use super::dial::host_and_port;
use crate::error::{Error, Result};

/// Where requests go: scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    secure: bool,
    /// Without brackets.
    host: String,
    port: u16,
}

impl Origin {
    /// Splits a server's URL into its origin and its path prefix (no slash at the end; query and fragment dropped).
    pub fn parse(url: &str) -> Result<(Self, String)> {
        let unusable = |why: &str| Error::usage(format!("server URL {:?}: {why}", without_userinfo(url)));
        let hint = |error: Error| error.hint("it looks like https://HOST:PORT");
        let uri: Uri = url.trim().parse().map_err(|_| hint(unusable("not a URL")))?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(hint(unusable("neither http nor https"))),
        };
        let Some(authority) = uri.authority() else { return Err(hint(unusable("no host"))) };
        if authority.as_str().contains('@') {
            return Err(unusable("a user name or password does not belong there")
                .hint("put credentials into the kubeconfig's user"));
        }
        let host = authority.host();
        // The parser of URLs lets words stand behind an address in brackets, and leaves them out.
        let whole = authority.as_str().strip_prefix(host).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'));
        let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = inside.unwrap_or(host);
        if !whole || host.is_empty() || host.contains(['[', ']']) || inside.is_some_and(|inside| !inside.contains(':'))
        {
            return Err(hint(unusable("no host")));
        }
        let port = match authority.as_str().rsplit_once(':') {
            Some((_, port)) if !port.ends_with(']') => port.parse().map_err(|_| hint(unusable("no such port")))?,
            _ => {
                if secure {
                    443
                } else {
                    80
                }
            }
        };
        let prefix = uri.path().trim_end_matches('/').to_owned();
        Ok((Origin { secure, host: host.to_owned(), port }, prefix))
    }

    /// Whether credentials may be sent to it.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Whether it can only be on this machine.
    pub fn is_loopback(&self) -> bool {
        let address = self.host.parse::<std::net::IpAddr>();
        self.host == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback())
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// `host:port`.
    pub fn name(&self) -> String {
        host_and_port(&self.host, self.port)
    }

    /// The path and query a `Location` leads to from the path that was asked, if it stays on this origin.
    pub fn resolve(&self, asked: &str, location: &str) -> Option<String> {
        let location = location.split('#').next().unwrap_or_default();
        if let Some(absolute) = self.absolute(location) {
            let uri: Uri = absolute.parse().ok()?;
            let (origin, _) = Origin::parse(&absolute).ok()?;
            return (origin == *self).then(|| uri.path_and_query().map_or("/".to_owned(), ToString::to_string));
        }
        let (path, query) = match location.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (location, None),
        };
        let base = asked.split('?').next().unwrap_or_default();
        let joined = match path {
            "" => base.to_owned(),
            absolute if absolute.starts_with('/') => absolute.to_owned(),
            // Relative to the directory of what was asked.
            relative => format!("{}/{relative}", base.rsplit_once('/').map_or("", |(directory, _)| directory)),
        };
        let mut resolved = without_dots(&joined);
        if let Some(query) = query {
            resolved.push('?');
            resolved.push_str(query);
        }
        resolved.parse::<hyper::http::uri::PathAndQuery>().ok().map(|path| path.to_string())
    }

    /// The origin that a `Location` names, if it names one.
    pub fn of_location(&self, location: &str) -> Option<Origin> {
        Origin::parse(&self.absolute(location)?).ok().map(|(origin, _)| origin)
    }

    /// A location that has an origin of its own, with its scheme.
    fn absolute(&self, location: &str) -> Option<String> {
        if location.starts_with("//") {
            return Some(format!("{}:{location}", if self.secure { "https" } else { "http" }));
        }
        let end = location.find([':', '/', '?'])?;
        location[end..].starts_with(':').then(|| location.to_owned())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, usual) = if self.secure { ("https", 443) } else { ("http", 80) };
        match (self.port == usual, self.host.contains(':')) {
            (true, true) => write!(f, "{scheme}://[{}]", self.host),
            (true, false) => write!(f, "{scheme}://{}", self.host),
            (false, _) => write!(f, "{scheme}://{}", self.name()),
        }
    }
}

/// RFC 3986, section 5.2.4: `.` and `..` taken out of an absolute path.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let segments = path.strip_prefix('/').unwrap_or(path);
    for segment in segments.split('/') {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            other => kept.push(other),
        }
    }
    if matches!(segments.rsplit('/').next(), Some("." | "..")) {
        kept.push("");
    }
    format!("/{}", kept.join("/"))
}

/// A URL that may hold a password, or a token behind its path, fit to be shown.
fn without_userinfo(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    match url.rsplit_once('@') {
        Some((before, after)) => match before.split_once("://") {
            Some((scheme, _)) => format!("{scheme}://{after}"),
            None => after.to_owned(),
        },
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(url: &str) -> Origin {
        Origin::parse(url).unwrap().0
    }

    #[test]
    fn a_server_url_is_split_into_origin_and_prefix() {
        let split = |url| {
            let (origin, prefix) = Origin::parse(url).unwrap();
            (origin.to_string(), origin.name(), prefix)
        };
        let expect = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
        assert_eq!(split("https://api.example:6443"), expect("https://api.example:6443", "api.example:6443", ""));
        assert_eq!(split("https://api.example"), expect("https://api.example", "api.example:443", ""));
        assert_eq!(split("http://localhost:8080/"), expect("http://localhost:8080", "localhost:8080", ""));
        assert_eq!(
            split("https://[::1]:6443/k8s/clusters/x/?a=b"),
            expect("https://[::1]:6443", "[::1]:6443", "/k8s/clusters/x")
        );
        assert_eq!(split("https://[fe80::1]"), expect("https://[fe80::1]", "[fe80::1]:443", ""));
    }

    #[test]
    fn an_unusable_server_url_is_refused_without_showing_its_password() {
        for url in [
            "",
            "api.example:6443",
            "ftp://x",
            "https://",
            "https://x:99999",
            "https://a b",
            "https://:6443",
            "https://x[a]",
            "https://[%25],0",
        ] {
            let error = Origin::parse(url).unwrap_err();
            assert!(error.to_string().starts_with("server URL"), "{url}: {error}");
        }
        let error = Origin::parse("https://me:hunter2@api.example").unwrap_err();
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        let error = Origin::parse("ftp://x/cb?id_token=hunter2").unwrap_err();
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }

    #[test]
    fn redirects_resolve_on_their_own_origin_only() {
        let api = origin("https://api.example:6443");
        let asked = "/api/v1/nodes/n/proxy/logs/audit?query=x";
        let to = |location| api.resolve(asked, location);
        let some = |path: &str| Some(path.to_owned());
        // As recorded: Go's file server answers relative, the node proxy absolute.
        assert_eq!(to("audit/"), some("/api/v1/nodes/n/proxy/logs/audit/"));
        assert_eq!(to("./"), some("/api/v1/nodes/n/proxy/logs/"));
        assert_eq!(api.resolve("/p/logs/foo.log/", "../foo.log"), some("/p/logs/foo.log"));
        assert_eq!(
            to("/api/v1/nodes/n/proxy/logs/?query=kubelet&tailLines=2"),
            some("/api/v1/nodes/n/proxy/logs/?query=kubelet&tailLines=2")
        );
        assert_eq!(to("https://api.example:6443/x?y"), some("/x?y"));
        assert_eq!(to("/login?next=https://api.example/"), some("/login?next=https://api.example/"));
        assert_eq!(to("login?next=//x"), some("/api/v1/nodes/n/proxy/logs/login?next=//x"));
        assert_eq!(to("//api.example:6443/x"), some("/x"));
        assert_eq!(to("../../../../../../../etc"), some("/etc"));
        for elsewhere in [
            "https://evil.example/",
            "http://api.example:6443/",
            "https://api.example/",
            "//evil.example:6443/x",
            "ftp://api.example:6443/",
            "https://a@api.example:6443/",
        ] {
            assert_eq!(to(elsewhere), None, "{elsewhere}");
        }
        assert_eq!(to("/x\u{7f}y z"), None);
        let away = |location| api.of_location(location).map(|origin| origin.to_string());
        assert_eq!(away("//evil.example:1/x").as_deref(), Some("https://evil.example:1"));
        assert_eq!(away("HTTP://evil.example/x?y").as_deref(), Some("http://evil.example"));
        for nowhere in ["/x", "x", "https://a@b/", "javascript:alert(1)", "https://[::1/"] {
            assert_eq!(away(nowhere), None, "{nowhere}");
        }
    }
}
