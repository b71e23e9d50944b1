//! Which proxy, if any, stands between us and a server: the kubeconfig's, or the environment's by Go's rules.

use std::fmt;
use std::net::IpAddr;

use super::env::Env;
use super::server::{Server, bracketed, split_authority};
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;

/// A proxy, as a `proxy-url` or a variable names it. `Display` leaves the credentials out.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// How it is spoken to.
    pub scheme: ProxyScheme,
    /// A DNS name or an address; an IPv6 address without brackets. Lower case.
    pub host: String,
    /// Never 0.
    pub port: u16,
    /// User name and password, percent-decoded.
    pub credentials: Option<(Secret, Secret)>,
    /// What names it: `proxy-url`, or the variable.
    pub set_by: &'static str,
    /// As it was written, but for the scheme, which is in lower case, as Go writes it: what a credential plugin is told.
    pub given: Secret,
}

/// How a proxy is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyScheme {
    /// HTTP: CONNECT to servers with TLS, whole URLs to others.
    Http,
    /// The same over TLS.
    Https,
    /// SOCKS 5. The proxy resolves the server's name, for socks5 as for socks5h, as Go has it.
    Socks5,
}

/// Why a text is no proxy's URL; never quotes it, for it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadProxy {
    Scheme,
    NoHost,
    Host,
    Port,
    Credentials,
    /// What looks like a host may be a part of the password.
    Split,
}

impl Proxy {
    /// The proxy that Go's HTTP client would use for this server; `None` means a direct connection.
    ///
    /// HTTPS_PROXY or HTTP_PROXY by the server's scheme, upper case first, unless NO_PROXY names the server. Loopback is
    /// never proxied. ALL_PROXY is no such variable in Go. A value that Go can't read is passed over, here with a warning.
    pub fn from_environment(env: &Env, server: &Server, warnings: &mut Vec<String>) -> Result<Option<Proxy>> {
        let names = if server.is_https() { ["HTTPS_PROXY", "https_proxy"] } else { ["HTTP_PROXY", "http_proxy"] };
        let Some(name) = names.into_iter().find(|name| env.var(name).is_some()) else { return Ok(None) };
        let parsed = match env.text(name) {
            Some(url) => Proxy::parse(url, Some(ProxyScheme::Http), name),
            None => Err(BadProxy::Host),
        };
        // In a CGI script the client chooses HTTP_PROXY (it is its `Proxy:` header).
        if parsed.is_ok() && !server.is_https() && env.var("REQUEST_METHOD").is_some() {
            let words = format!("{name} is not to be trusted where REQUEST_METHOD is set, as in a CGI script");
            return Err(Error::new(Kind::Failed, words).hint(format!("unset {name}, or name the proxy by proxy-url")));
        }
        let exempt = env.text("NO_PROXY").or(env.text("no_proxy")).unwrap_or_default();
        if is_exempt(exempt, &server.host, server.port) {
            return Ok(None);
        }
        match parsed {
            Ok(proxy) => Ok(Some(proxy)),
            Err(bad @ (BadProxy::Scheme | BadProxy::NoHost | BadProxy::Split)) => Err(Error::new(
                Kind::Failed,
                format!("{name} {bad}"),
            )
            .hint(format!("{}, or unset it; NO_PROXY={} goes past it", bad.remedy(), server.host))),
            Err(bad) => {
                warnings.push(format!("{name} {bad}: going without a proxy, as kubectl does"));
                Ok(None)
            }
        }
    }

    /// Reads `scheme://[user[:password]@]host[:port]`; path, query and fragment are dropped. Without a scheme it gets
    /// `otherwise`, if there is one.
    pub(super) fn parse(url: &str, otherwise: Option<ProxyScheme>, set_by: &'static str) -> Result<Proxy, BadProxy> {
        if url.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(BadProxy::Host);
        }
        let (scheme, rest, given) = match url.split_once("://") {
            Some((scheme, rest)) => {
                let scheme = scheme.to_ascii_lowercase();
                (ProxyScheme::named(&scheme), rest, format!("{scheme}://{rest}"))
            }
            None => (otherwise, url, url.to_owned()),
        };
        let scheme = scheme.ok_or(BadProxy::Scheme)?;
        let (authority, behind) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (credentials, authority) = match authority.rsplit_once('@') {
            Some((userinfo, authority)) => (Some(credentials(userinfo).ok_or(BadProxy::Credentials)?), authority),
            None => (None, authority),
        };
        if authority.is_empty() || authority.starts_with(':') {
            return Err(BadProxy::NoHost);
        }
        let (host, port) = split_authority(authority).ok_or(BadProxy::Host)?;
        let port = match port {
            None | Some("") => scheme.usual_port(),
            Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => match port.parse() {
                Ok(port) if port > 0 => port,
                _ => return Err(BadProxy::Port),
            },
            Some(_) => return Err(BadProxy::Port),
        };
        // `http://me:pass/word@host`: Go would take the password's beginning for a port, or a part of it for the host.
        if behind.contains('@') {
            return Err(BadProxy::Split);
        }
        Ok(Proxy { scheme, host, port, credentials, set_by, given: given.into() })
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme.name(), bracketed(&self.host), self.port)
    }
}

impl ProxyScheme {
    fn named(name: &str) -> Option<Self> {
        match name {
            "http" => Some(ProxyScheme::Http),
            "https" => Some(ProxyScheme::Https),
            "socks5" | "socks5h" => Some(ProxyScheme::Socks5),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            ProxyScheme::Http => "http",
            ProxyScheme::Https => "https",
            ProxyScheme::Socks5 => "socks5",
        }
    }

    fn usual_port(self) -> u16 {
        match self {
            ProxyScheme::Http => 80,
            ProxyScheme::Https => 443,
            ProxyScheme::Socks5 => 1080,
        }
    }
}

impl BadProxy {
    pub(super) fn remedy(self) -> &'static str {
        match self {
            BadProxy::Credentials | BadProxy::Port | BadProxy::Split => {
                "write it as http://USER:PASSWORD@HOST:PORT, special characters of the password percent-encoded"
            }
            _ => "write it as http://HOST:PORT",
        }
    }
}

impl fmt::Display for BadProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BadProxy::Scheme => "is not one of http, https, socks5",
            BadProxy::NoHost => "has no host",
            BadProxy::Host => "has no valid host",
            BadProxy::Port => "has no valid port",
            BadProxy::Split => "has an @ behind its host: characters of a password that must be percent-encoded",
            BadProxy::Credentials => "has a user name or password with characters that must be percent-encoded",
        })
    }
}

/// User name and password of a URL.
fn credentials(userinfo: &str) -> Option<(Secret, Secret)> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:%@".contains(&b);
    if !userinfo.bytes().all(allowed) {
        return None;
    }
    let (name, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    Some((unescape(name)?.into(), unescape(password)?.into()))
}

/// Percent-decodes; `None` for a broken escape, or one that leads to no text.
fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        bytes.push(match first {
            b'%' => {
                let (digits, tail) = rest.split_at_checked(2)?;
                rest = tail;
                let digit = |at: usize| char::from(digits[at]).to_digit(16);
                u8::try_from(digit(0)? << 4 | digit(1)?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// NO_PROXY: `*`, addresses, CIDR blocks, `name` (with its subdomains), `.name` and `*.name` (subdomains only), each but
/// the block with an optional `:port`.
fn is_exempt(no_proxy: &str, host: &str, port: u16) -> bool {
    let address: Option<IpAddr> = host.parse().ok();
    if host == "localhost" || address.is_some_and(|address| address.to_canonical().is_loopback()) {
        return true;
    }
    no_proxy.split(',').map(|entry| entry.trim().to_ascii_lowercase()).filter(|entry| !entry.is_empty()).any(|entry| {
        if entry == "*" {
            return true;
        }
        if let Some((block, bits)) = entry.split_once('/')
            && let (Ok(block), Ok(bits)) = (block.parse::<IpAddr>(), bits.parse::<u32>())
            && !entry.contains('+')
        {
            return address.is_some_and(|address| in_block(address, block, bits));
        }
        let (name, only) = split_port(&entry);
        if only.is_some_and(|only| only != port.to_string()) {
            return false;
        }
        if let Ok(exempt) = name.parse::<IpAddr>() {
            return address.is_some_and(|address| address.to_canonical() == exempt.to_canonical());
        }
        // A name is never the end of an address.
        if address.is_some() {
            return false;
        }
        let name = name.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(name);
        match name.strip_prefix('.') {
            _ if name.is_empty() => false,
            Some(_) => host.ends_with(name),
            None => host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.')),
        }
    })
}

/// `name:port` and `[v6]:port`; an empty port is any. Whatever else stays whole, brackets too, and so fits no server.
fn split_port(entry: &str) -> (&str, Option<&str>) {
    let split = match entry.strip_prefix('[') {
        Some(rest) => rest.split_once("]:"),
        None => entry.split_once(':'),
    };
    match split {
        Some((name, port)) if !port.contains([':', '[', ']']) => (name, Some(port).filter(|port| !port.is_empty())),
        _ => (entry, None),
    }
}

fn in_block(address: IpAddr, block: IpAddr, bits: u32) -> bool {
    match (address.to_canonical(), block) {
        (IpAddr::V4(address), IpAddr::V4(block)) if bits <= 32 => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            address.to_bits() & mask == block.to_bits() & mask
        }
        (IpAddr::V6(address), IpAddr::V6(block)) if bits <= 128 => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            address.to_bits() & mask == block.to_bits() & mask
        }
        // A block of mapped addresses is one of IPv4.
        (address @ IpAddr::V4(_), IpAddr::V6(block)) if (96..=128).contains(&bits) => {
            block.to_ipv4_mapped().is_some_and(|block| in_block(address, IpAddr::V4(block), bits - 96))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::server::Scheme;

    /// Each row as Go's client (kubectl 1.32) was seen to decide it.
    #[test]
    fn no_proxy_as_go_reads_it() {
        for (server, no_proxy, proxied) in [
            ("https://a.b.example:6443", "", true),
            ("https://a.b.example:6443", "b.example", false),
            ("https://b.example:6443", "b.example", false),
            ("https://b.example:6443", ".b.example", true),
            ("https://a.b.example:6443", ".b.example", false),
            ("https://a.b.example:6443", "*.b.example", false),
            ("https://b.example:6443", "*.b.example", true),
            ("https://a.b.example:6443", "*.b.example:6443", false),
            ("https://a.b.example:6443", "*b.example", true),
            ("https://a.b.example:6443", "a.*.example", true),
            ("https://a.b.example:6443", "B.Example:6443", false),
            ("https://A.B.example:6443", "\t b.EXAMPLE \t", false),
            ("https://a.b.example:6443", "b.example:443", true),
            ("https://a.b.example", "b.example:443", false),
            ("https://a.b.example", "b.example:", false),
            ("https://a.b.example", "b.example:https", true),
            ("https://a.b.example", "b.example:443:1", true),
            ("https://a.b.example", "https://b.example", true),
            ("https://xb.example", "b.example", true),
            ("https://10.255.0.1", "10.0.0.0/8", false),
            ("https://11.255.0.1", "10.0.0.0/8", true),
            ("https://11.255.0.1", "10.0.0.0/40,10.0.0.0/x", true),
            ("https://10.255.0.1", "10.0.0.0/+8", true),
            ("https://10.255.0.1", "10.0.0.0/08", false),
            ("https://11.255.0.1", "0.0.0.0/0", false),
            ("https://10.255.0.1", "::/0", true),
            ("https://10.255.0.1", "::ffff:10.0.0.0/104", false),
            ("https://10.255.0.1", "10.255.0.1", false),
            ("https://10.255.0.1", "::ffff:10.255.0.1", false),
            ("https://10.255.0.1:6443", "10.255.0.1:443", true),
            ("https://10.255.0.1:6443", "10.255.0.1:6443", false),
            ("https://10.255.0.1", "10.", true),
            ("https://10.255.0.1", ".0.1", true),
            ("https://[fd00::1]", "fd00::/8", false),
            ("https://[fd00::1]", "[fd00::1]:443", false),
            ("https://[fd00::1]", "[fd00::1]:80", true),
            ("https://[fd00::1]", "[fd00::1]", true),
            ("https://[fd00::1]", "fd00::1", false),
            ("https://[fd00::2]", "fd00::1", true),
            ("https://a.example", "*", false),
            ("https://a.example", "foo, *", false),
            ("https://a.example", "*:443", true),
            ("https://a.example", ",, :80", true),
            ("https://a.example.", "a.example", true),
            ("https://a.example", "a.example.", true),
            ("https://localhost:1", "", false),
            ("https://foo.localhost:1", "", true),
            ("https://127.1.2.3:1", "", false),
            ("https://[::1]:1", "", false),
            ("https://[::ffff:127.0.0.1]:1", "", false),
        ] {
            let env = Env::new([("HTTPS_PROXY", "http://proxy.example"), ("NO_PROXY", no_proxy)]);
            let server = Server::parse(server, Scheme::Http).unwrap();
            let chosen = Proxy::from_environment(&env, &server, &mut Vec::new()).unwrap();
            assert_eq!(chosen.is_some(), proxied, "{server} with NO_PROXY={no_proxy}");
        }
    }

    #[test]
    fn the_scheme_chooses_the_variable_and_upper_case_wins() {
        let https = Server::parse("https://a.example", Scheme::Http).unwrap();
        let http = Server::parse("http://a.example", Scheme::Http).unwrap();
        for (variables, server, expected) in [
            (vec![("HTTPS_PROXY", "p")], &https, "http://p:80 by HTTPS_PROXY"),
            (vec![("https_proxy", "p:3128")], &https, "http://p:3128 by https_proxy"),
            (vec![("https_proxy", "p"), ("HTTPS_PROXY", "q")], &https, "http://q:80 by HTTPS_PROXY"),
            (vec![("HTTPS_PROXY", ""), ("https_proxy", "p")], &https, "http://p:80 by https_proxy"),
            (vec![("HTTP_PROXY", "p")], &https, "none"),
            (vec![("ALL_PROXY", "p")], &https, "none"),
            (vec![("HTTPS_PROXY", "p")], &http, "none"),
            (vec![("http_proxy", "https://p")], &http, "https://p:443 by http_proxy"),
            (vec![("HTTPS_PROXY", "socks5h://P")], &https, "socks5://p:1080 by HTTPS_PROXY"),
            (vec![("HTTPS_PROXY", "p"), ("REQUEST_METHOD", "GET")], &https, "http://p:80 by HTTPS_PROXY"),
            (
                vec![("HTTP_PROXY", "p"), ("REQUEST_METHOD", "GET"), ("NO_PROXY", "*")],
                &http,
                "error: HTTP_PROXY is not to be trusted where REQUEST_METHOD is set, as in a CGI script",
            ),
            (vec![("HTTPS_PROXY", "p"), ("no_proxy", "a.example")], &https, "none"),
            (
                vec![("HTTPS_PROXY", "p"), ("NO_PROXY", "x"), ("no_proxy", "a.example")],
                &https,
                "http://p:80 by HTTPS_PROXY",
            ),
            (vec![("HTTPS_PROXY", "ftp://p:1")], &https, "error: HTTPS_PROXY is not one of http, https, socks5"),
            (vec![("HTTPS_PROXY", "ftp://p:1"), ("NO_PROXY", "*")], &https, "none"),
            (vec![("HTTPS_PROXY", "http://")], &https, "error: HTTPS_PROXY has no host"),
            (
                vec![("HTTPS_PROXY", "bob:12345/34@p")],
                &https,
                "error: HTTPS_PROXY has an @ behind its host: characters of a password that must be percent-encoded",
            ),
            (vec![("HTTPS_PROXY", "bob:12345/34@p"), ("NO_PROXY", "*")], &https, "none"),
            (
                vec![("HTTPS_PROXY", "http://u:s3cr3t%zz@p")],
                &https,
                "none, HTTPS_PROXY has a user name or password with characters that must be percent-encoded: going \
                 without a proxy, as kubectl does",
            ),
        ] {
            let mut warnings = Vec::new();
            let mut said = match Proxy::from_environment(&Env::new(variables.clone()), server, &mut warnings) {
                Ok(Some(proxy)) => format!("{proxy} by {}", proxy.set_by),
                Ok(None) => "none".to_owned(),
                Err(error) => format!("error: {}", error.chain()),
            };
            for warning in warnings {
                said.push_str(&format!(", {warning}"));
            }
            assert_eq!(said, expected, "{variables:?} {server}");
        }
    }

    #[test]
    fn proxy_urls_and_their_credentials() {
        let parse = |url| Proxy::parse(url, None, "proxy-url");
        for (url, told, credentials) in [
            ("http://p:3128", "http://p:3128", None),
            ("http://p", "http://p:80", None),
            ("https://P.Example:", "https://p.example:443", None),
            ("SOCKS5h://p/x?y#z", "socks5://p:1080", None),
            ("http://[FD00::1]:8080", "http://[fd00::1]:8080", None),
            ("https://u:p@p", "https://p:443", Some(("u", "p"))),
            ("http://u@p", "http://p:80", Some(("u", ""))),
            ("http://:pw@p", "http://p:80", Some(("", "pw"))),
            ("http://do%40main%5Cu:p%3aq%2F%25@p:1", "http://p:1", Some(("do@main\\u", "p:q/%"))),
            ("http://u:a:b@c@p", "http://p:80", Some(("u", "a:b@c"))),
        ] {
            let proxy = parse(url).unwrap();
            assert_eq!(proxy.to_string(), told, "{url}");
            let got =
                proxy.credentials.as_ref().map(|(name, password)| (name.expose().as_str(), password.expose().as_str()));
            assert_eq!(got, credentials, "{url}");
        }
        assert_eq!(parse("HTTPS://U@P/X").unwrap().given.expose(), "https://U@P/X");
        for (url, bad) in [
            ("p:3128", BadProxy::Scheme),
            ("ftp://p", BadProxy::Scheme),
            ("://p", BadProxy::Scheme),
            ("http://", BadProxy::NoHost),
            ("http:///x", BadProxy::NoHost),
            ("http://u:p@", BadProxy::NoHost),
            ("http://:3128", BadProxy::NoHost),
            ("http://a b", BadProxy::Host),
            ("http://a:b:1", BadProxy::Host),
            ("http://p:99999", BadProxy::Port),
            ("http://p:0", BadProxy::Port),
            ("http://p:+1", BadProxy::Port),
            ("http://u:s3#cr3t@p", BadProxy::Port),
            ("http://u:%zz@p", BadProxy::Credentials),
            ("http://u:%ff@p", BadProxy::Credentials),
            ("http://u:pä@p", BadProxy::Credentials),
            ("http://bob:p@s3cr3t/w0rd@host", BadProxy::Split),
            ("http://bob:12345/34@host:3128", BadProxy::Split),
            ("http://bob:12345?34@host", BadProxy::Split),
            ("http://bob#34@host", BadProxy::Split),
        ] {
            assert_eq!(parse(url).unwrap_err(), bad, "{url}");
        }
        let shown = format!("{:?}", parse("http://u5er:s3cr3t@p").unwrap());
        assert!(!shown.contains("s3cr3t") && !shown.contains("u5er"), "{shown}");
    }
}
