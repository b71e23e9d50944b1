//! The address of an API server, as a kubeconfig, a flag or the environment writes it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use crate::error::{Error, Kind, Result};

/// What a server without a scheme means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain text; no credentials are sent.
    Http,
    /// TLS.
    Https,
}

/// Where the API server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Plain or TLS.
    pub scheme: Scheme,
    /// A DNS name or an address; an IPv6 address without brackets. Lower case.
    pub host: String,
    /// Never 0.
    pub port: u16,
    /// What comes before every path: empty, or `/` and more, without a `/` at its end. Only characters of a URL path.
    pub prefix: String,
    /// As it was written, without query and fragment: what a credential plugin is told.
    pub given: String,
}

impl Server {
    /// Reads a URL or `host[:port]`, which has no scheme and gets `otherwise`.
    pub fn parse(given: &str, otherwise: Scheme) -> Result<Self> {
        // What stands before an @ may be a password, even where the URL is too broken to tell.
        let shown = if given.contains('@') { "(hidden, it holds an @)".to_owned() } else { super::quoted(given) };
        let bad = |why: &str| {
            Error::new(Kind::Failed, format!("server {shown} {why}")).hint("write it as https://HOST[:PORT][/PATH]")
        };
        if let Some(bad_char) = given.chars().find(|c| c.is_whitespace() || c.is_control()) {
            return Err(bad(&format!("holds a {}", if bad_char.is_control() { "control character" } else { "space" })));
        }
        let (scheme, rest) = match given.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (Scheme::Https, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (Scheme::Http, rest),
            Some((scheme, _)) => {
                return Err(bad(&format!("has the scheme {}, not http or https", super::quoted(scheme))));
            }
            None => (otherwise, given),
        };
        let rest = rest.find(['?', '#']).map_or(rest, |end| &rest[..end]);
        let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        if authority.contains('@') {
            return Err(
                bad("holds a user name or password").hint("put username and password, or a token, into the user entry")
            );
        }
        let (host, port) = split_port(authority).ok_or_else(|| bad("has no valid host and port"))?;
        let host = plain_host(host).map_err(&bad)?;
        let port = match (port, scheme) {
            (None | Some(""), Scheme::Https) => 443,
            (None | Some(""), Scheme::Http) => 80,
            (Some(port), _) => match port.parse::<u16>() {
                Ok(number) if number > 0 && !port.starts_with('+') => number,
                _ => return Err(bad("has no valid port")),
            },
        };
        if !given.contains("://") && path.len() > 1 {
            return Err(bad("has a path but no scheme"));
        }
        if !path.bytes().all(is_path) || !path.split('%').skip(1).all(is_escape) {
            return Err(bad("has a character in its path that must be percent-encoded"));
        }
        Ok(Server {
            scheme,
            host,
            port,
            prefix: cleaned(path),
            given: given[..given.find(['?', '#']).unwrap_or(given.len())].to_owned(),
        })
    }

    /// Whether it speaks TLS; credentials go only there.
    pub fn is_https(&self) -> bool {
        self.scheme == Scheme::Https
    }

    /// Whether it can only be on this machine.
    pub(super) fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self.host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
    }

    /// `host:port` for a URL or a `Host` header, with brackets around IPv6; always with the port.
    pub fn authority(&self) -> String {
        format!("{}:{}", bracketed(&self.host), self.port)
    }
}

/// The base URL, without a `/` at its end.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_https() { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.prefix)
    }
}

/// Whether this, behind a `%`, is a byte in hexadecimal and what follows it.
fn is_escape(behind: &str) -> bool {
    behind.len() >= 2 && behind.bytes().take(2).all(|byte| byte.is_ascii_hexdigit())
}

/// The path without empty segments and dots, as client-go joins it with what is asked for.
fn cleaned(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    segments.iter().flat_map(|segment| ["/", segment]).collect()
}

/// An IPv6 address in brackets, anything else as it is.
pub(super) fn bracketed(host: &str) -> String {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(v6)) => format!("[{v6}]"),
        _ => host.to_owned(),
    }
}

/// Host and port of a URL; the host as in [`Server::host`], the port unread.
pub(super) fn split_authority(authority: &str) -> Option<(String, Option<&str>)> {
    let (host, port) = split_port(authority)?;
    Some((plain_host(host).ok()?, port))
}

/// A host without brackets, in lower case, or what is wrong with it.
fn plain_host(host: &str) -> Result<String, &'static str> {
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        // An IPv4 address in IPv6's clothes is that address, for certificates too.
        Some(v6) => Ok(v6.parse::<Ipv6Addr>().map_err(|_| "has no valid IPv6 address")?.to_canonical().to_string()),
        None if is_host(host) => Ok(host.to_ascii_lowercase()),
        None => Err("has no valid host name"),
    }
}

/// `host:port`, `host:` or `host`; a bare IPv6 address must be in brackets.
fn split_port(authority: &str) -> Option<(&str, Option<&str>)> {
    if authority.starts_with('[') {
        let end = authority.find(']')? + 1;
        let (host, rest) = authority.split_at(end);
        return match rest {
            "" => Some((host, None)),
            _ => rest.strip_prefix(':').map(|port| (host, Some(port))),
        };
    }
    match authority.split_once(':') {
        Some((_, port)) if port.contains(':') => None,
        Some((host, port)) => Some((host, Some(port))),
        None => Some((authority, None)),
    }
}

/// DNS names (underscores too, which exist in the wild) and IPv4 addresses; at most 253 characters.
fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
    };
    host.len() <= 253 && host.strip_suffix('.').unwrap_or(host).split('.').all(label)
}

/// RFC 3986's pchar, `/` and `%`.
fn is_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@%".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(given: &str) -> String {
        Server::parse(given, Scheme::Http).map_or_else(|e| e.to_string(), |server| server.to_string())
    }

    #[test]
    fn urls_and_host_ports() {
        for (given, expected) in [
            ("https://a.example:6443", "https://a.example:6443"),
            ("https://a.example", "https://a.example:443"),
            ("http://a.example", "http://a.example:80"),
            ("HTTPS://A.Example:6443/", "https://a.example:6443"),
            ("https://a.example:", "https://a.example:443"),
            ("https://[FD00::1]:6443/x", "https://[fd00::1]:6443/x"),
            ("https://[::1]", "https://[::1]:443"),
            ("https://[::ffff:10.0.0.1]:6443", "https://10.0.0.1:6443"),
            ("https://10.0.0.1/k8s/clusters/c-x/", "https://10.0.0.1:443/k8s/clusters/c-x"),
            ("https://a/p//?a=b#c", "https://a:443/p"),
            ("https://a?x=/y", "https://a:443"),
            ("https://a/x//y/./../z/.", "https://a:443/x/z"),
            ("https://a/../..", "https://a:443"),
            ("a.example:6443", "http://a.example:6443"),
            ("a_b.example.", "http://a_b.example.:80"),
        ] {
            assert_eq!(base(given), expected, "{given}");
        }
    }

    #[test]
    fn what_a_plugin_is_told_keeps_its_form() {
        let server = Server::parse("https://A:1/p/?q=1#f", Scheme::Http).unwrap();
        assert_eq!(server.given, "https://A:1/p/");
    }

    #[test]
    fn bad_addresses_name_the_part() {
        for (given, words) in [
            ("ftp://a", "scheme \"ftp\""),
            ("https://", "host"),
            ("https://:6443", "host name"),
            ("https://a:0", "port"),
            ("https://a:99999", "port"),
            ("https://a:+80", "port"),
            ("https://a:b", "port"),
            ("https://::1:6443", "host and port"),
            ("https://[::1", "host and port"),
            ("https://[::1]6443", "host and port"),
            ("https://[fe80::1%25eth0]:6443", "IPv6"),
            ("https://a b", "space"),
            ("https://a\u{7}b", "control"),
            ("https://ü.example", "host name"),
            ("https://a..b", "host name"),
            ("a/b", "no scheme"),
            ("https://a/\"", "percent-encoded"),
            ("https://a/%zz", "percent-encoded"),
            ("https://a/%2", "percent-encoded"),
        ] {
            let said = base(given);
            assert!(said.starts_with("server ") && said.contains(words), "{given}: {said}");
        }
    }

    #[test]
    fn a_password_in_the_url_is_refused_unquoted() {
        let said = base("https://bob:s3cr3t@a.example");
        assert!(said.contains("password") && !said.contains("s3cr3t"), "{said}");
        for broken in ["https://bob:s3cr3t /@a", "https://bob:s3cr3t/@a", "ftp://bob:s3cr3t@a", "bob:s3cr3t@a"] {
            assert!(!base(broken).contains("s3cr3t"), "{}", base(broken));
        }
    }
}
