//! Which proxy, if any, stands between us and a server: the kubeconfig's, or the environment's by Go's rules.

use std::net::IpAddr;

use super::env::Env;
use super::server::Server;

/// The variable whose proxy Go's HTTP client would use for this server; `None` means a direct connection.
///
/// HTTPS_PROXY or HTTP_PROXY by the server's scheme, upper case first, unless NO_PROXY names the server. Loopback is
/// never proxied. ALL_PROXY is no such variable in Go.
pub(super) fn from_environment(env: &Env, server: &Server) -> Option<&'static str> {
    let names = if server.is_https() { ["HTTPS_PROXY", "https_proxy"] } else { ["HTTP_PROXY", "http_proxy"] };
    let name = names.into_iter().find(|name| env.var(name).is_some())?;
    // In a CGI script the client chooses HTTP_PROXY (it is its `Proxy:` header).
    if !server.is_https() && env.var("REQUEST_METHOD").is_some() {
        return None;
    }
    let exempt = env.text("NO_PROXY").or(env.text("no_proxy")).unwrap_or_default();
    (!is_exempt(exempt, &server.host, server.port)).then_some(name)
}

/// Whether a `proxy-url` is one a kubeconfig may hold.
pub(super) fn is_supported(url: &str) -> bool {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            ["http", "https", "socks5", "socks5h"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
                && !rest.is_empty()
                && !rest.starts_with(['/', '?', '#'])
                && !url.contains(|c: char| c.is_whitespace() || c.is_control())
        }
        None => false,
    }
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
        let name = name.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(name);
        match name.strip_prefix('.') {
            _ if name.is_empty() => false,
            Some(_) => host.ends_with(name),
            None => host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.')),
        }
    })
}

/// `name:port`, `[v6]:port`, or neither.
fn split_port(entry: &str) -> (&str, Option<&str>) {
    if let Some(rest) = entry.strip_prefix('[')
        && let Some((v6, port)) = rest.split_once(']')
    {
        return (v6, port.strip_prefix(':'));
    }
    match entry.split_once(':') {
        Some((name, port)) if !port.contains(':') => (name, Some(port)),
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
            ("https://a.b.example:6443", "B.Example:6443", false),
            ("https://a.b.example:6443", "b.example:443", true),
            ("https://a.b.example", "b.example:443", false),
            ("https://xb.example", "b.example", true),
            ("https://10.255.0.1", "10.0.0.0/8", false),
            ("https://11.255.0.1", "10.0.0.0/8", true),
            ("https://11.255.0.1", "0.0.0.0/0", false),
            ("https://10.255.0.1", "10.255.0.1", false),
            ("https://10.255.0.1:6443", "10.255.0.1:443", true),
            ("https://10.255.0.1", "10.", true),
            ("https://[fd00::1]", "fd00::/8", false),
            ("https://[fd00::1]", "[fd00::1]:443", false),
            ("https://[fd00::1]", "fd00::1", false),
            ("https://[fd00::2]", "fd00::1", true),
            ("https://a.example", "*", false),
            ("https://a.example", "foo, *", false),
            ("https://a.example", ",, :80", true),
            ("https://a.example.", "a.example", true),
            ("https://a.example", "a.example.", true),
            ("https://localhost:1", "", false),
            ("https://foo.localhost:1", "", true),
            ("https://127.1.2.3:1", "", false),
            ("https://[::1]:1", "", false),
        ] {
            let env = Env::new([("HTTPS_PROXY", "http://proxy.example"), ("NO_PROXY", no_proxy)]);
            let server = Server::parse(server, Scheme::Http).unwrap();
            assert_eq!(from_environment(&env, &server).is_some(), proxied, "{server} with NO_PROXY={no_proxy}");
        }
    }

    #[test]
    fn the_scheme_chooses_the_variable_and_upper_case_wins() {
        let https = Server::parse("https://a.example", Scheme::Http).unwrap();
        let http = Server::parse("http://a.example", Scheme::Http).unwrap();
        for (variables, server, expected) in [
            (vec![("HTTPS_PROXY", "p")], &https, Some("HTTPS_PROXY")),
            (vec![("https_proxy", "p")], &https, Some("https_proxy")),
            (vec![("https_proxy", "p"), ("HTTPS_PROXY", "q")], &https, Some("HTTPS_PROXY")),
            (vec![("HTTPS_PROXY", ""), ("https_proxy", "p")], &https, Some("https_proxy")),
            (vec![("HTTP_PROXY", "p")], &https, None),
            (vec![("ALL_PROXY", "p")], &https, None),
            (vec![("http_proxy", "p")], &http, Some("http_proxy")),
            (vec![("HTTP_PROXY", "p"), ("REQUEST_METHOD", "GET")], &http, None),
            (vec![("HTTPS_PROXY", "p"), ("no_proxy", "a.example")], &https, None),
        ] {
            assert_eq!(from_environment(&Env::new(variables.clone()), server), expected, "{variables:?} {server}");
        }
    }

    #[test]
    fn proxy_urls_have_a_known_scheme_and_a_host() {
        for good in ["http://p:3128", "https://u:p@p", "socks5://p", "SOCKS5h://p:1080"] {
            assert!(is_supported(good), "{good}");
        }
        for bad in ["p:3128", "ftp://p", "http://", "http:///x", "http://a b", "://p"] {
            assert!(!is_supported(bad), "{bad}");
        }
    }
}
