//! Credentials for a request: what proves to the API server who asks, and as whom to act.

mod exec;
mod failure;
mod file;
mod oidc;
mod pair;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};

use self::exec::Plugin;
pub use self::exec::read_answer;
use self::file::TokenFile;
use self::oidc::Provider;
pub use self::oidc::read_tokens;
use self::pair::Pair;
use crate::clock::Clock;
use crate::config::{self, Config, Env, Impersonate};
use crate::error::{Doing, Error, Kind, Result};
use crate::http::{Identity, Proxy, ProxyKind};
use crate::notice::Notices;

/// What standard input is: only a terminal has a person to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stdin {
    /// Somebody may type.
    Terminal,
    /// A pipe, a file, nothing.
    Other,
}

/// One identity's credentials, kept fresh while the program runs.
#[derive(Debug)]
pub struct Auth {
    impersonation: HeaderMap,
    certificate: Option<Pair>,
    bearer: Bearer,
    clock: Clock,
}

/// Where the `Authorization` header comes from.
#[derive(Debug)]
enum Bearer {
    /// Nowhere: anonymous, or the certificate says it all.
    None,
    /// Known from the start.
    Fixed(HeaderValue),
    /// A file that changes.
    File(TokenFile),
    /// An identity provider.
    Provider(Box<Provider>),
    /// A program, which may give a certificate as well.
    Plugin(Box<Plugin>),
}

/// The headers of one request, and which credentials they carry.
#[derive(Clone)]
pub struct Headers {
    /// `Authorization`, marked sensitive, and `Impersonate-*`.
    pub map: HeaderMap,
    /// Counts changes of the token and of the certificate, so that a late refusal of old ones does not discard the new.
    generation: u64,
    certificate: u64,
}

impl Auth {
    /// Prepares what `config` says; no file is read and nothing is run before the first request.
    pub fn new(config: &Config, env: &Env, clock: Clock, notices: Notices, stdin: Stdin) -> Result<Auth> {
        let user = &config.user;
        let bearer = if let Some(path) = &user.token_file {
            // One that can't be sent is none: the file's is what counts.
            let first = user.token.as_ref().and_then(|token| bearer(token.expose()).ok());
            Bearer::File(TokenFile::new(path.clone(), first, notices.clone()))
        } else if let Some(token) = &user.token {
            Bearer::Fixed(bearer(token.expose())?)
        } else if let Some((name, password)) = &user.basic {
            Bearer::Fixed(basic(name, password.expose())?)
        } else if let Some(oidc) = &user.oidc {
            Bearer::Provider(Box::new(Provider::new(oidc, notices.clone())))
        } else if let Some(exec) = &user.exec {
            Bearer::Plugin(Box::new(Plugin::new(exec, &config.cluster, env, notices.clone(), stdin)))
        } else {
            Bearer::None
        };
        let certificate = user.certificate.as_ref().map(|certificate| Pair::new(certificate, notices));
        Ok(Auth { impersonation: impersonation(&user.impersonate)?, certificate, bearer, clock })
    }

    /// Bounds the time a plugin or an identity provider may take. Unbounded, a plugin may take as long as a login does.
    pub fn limit(mut self, limit: Option<Duration>) -> Auth {
        match (&mut self.bearer, limit.filter(|limit| !limit.is_zero())) {
            (Bearer::Provider(provider), Some(limit)) => provider.limit(limit),
            (Bearer::Plugin(plugin), Some(limit)) => plugin.limit(limit),
            _ => {}
        }
        self
    }

    /// The headers to send with a request now; reads the token file, asks the provider or runs the plugin if that is due.
    pub async fn headers(&self) -> Result<Headers> {
        let mut map = self.impersonation.clone();
        let (authorization, generation) = match &self.bearer {
            Bearer::None => (None, 0),
            Bearer::Fixed(value) => (Some(value.clone()), 0),
            Bearer::File(file) => {
                let (value, generation) = file.current(&self.clock).await?;
                (Some(value), generation)
            }
            Bearer::Provider(provider) => {
                let (value, generation) = provider.current(&self.clock).await?;
                (Some(value), generation)
            }
            Bearer::Plugin(plugin) => {
                let credentials = plugin.current(&self.clock).await?;
                (credentials.authorization.clone(), credentials.generation)
            }
        };
        if let Some(value) = authorization {
            map.insert(AUTHORIZATION, value);
        }
        let certificate = self.certificate.as_ref().map_or(0, |pair| pair.current(self.clock.now()).1);
        Ok(Headers { map, generation, certificate })
    }

    /// The client certificate for TLS, of the same run of the plugin as the headers before it, and a count of its changes:
    /// connections made under an earlier count are to be closed.
    pub async fn identity(&self) -> Result<(Option<Arc<Identity>>, u64)> {
        match (&self.bearer, &self.certificate) {
            (Bearer::Plugin(plugin), _) => plugin.identity(&self.clock).await,
            (_, Some(pair)) => {
                let (identity, generation) = pair.current(self.clock.now());
                Ok((Some(identity), generation))
            }
            (_, None) => Ok((None, 0)),
        }
    }

    /// The server answered 401 to `sent`: gets new credentials where that is possible.
    ///
    /// True means there are others now (or the plugin was run again), so one more try makes sense; a second 401 in a row is
    /// final. Errors as [`Auth::headers`].
    pub async fn rejected(&self, sent: &Headers) -> Result<bool> {
        let now = self.clock.now();
        let certificate = self.certificate.as_ref().is_some_and(|pair| pair.reread(sent.certificate, now));
        let token = match &self.bearer {
            Bearer::None | Bearer::Fixed(_) => false,
            Bearer::File(file) => file.reread(sent.generation, &self.clock).await?,
            Bearer::Provider(provider) => provider.renew(sent.generation, &self.clock).await,
            Bearer::Plugin(plugin) => plugin.renew(sent.generation, &self.clock).await.map(|()| true)?,
        };
        Ok(certificate || token)
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Headers").field("map", &self.map).finish_non_exhaustive()
    }
}

impl From<&config::Proxy> for Proxy {
    fn from(proxy: &config::Proxy) -> Self {
        Proxy {
            kind: match proxy.scheme {
                config::ProxyScheme::Http => ProxyKind::Http,
                config::ProxyScheme::Https => ProxyKind::Https,
                config::ProxyScheme::Socks5 => ProxyKind::Socks5,
            },
            host: proxy.host.clone(),
            port: proxy.port,
            credentials: proxy.credentials.clone(),
            set_by: proxy.set_by,
        }
    }
}

/// `Bearer` with a token.
fn bearer(token: &str) -> Result<HeaderValue> {
    sensitive(format!("Bearer {token}"), "the token")
}

fn basic(name: &str, password: &str) -> Result<HeaderValue> {
    sensitive(format!("Basic {}", STANDARD.encode(format!("{name}:{password}"))), "the password")
}

/// A header value that Debug, HPACK's table and traces leave out.
fn sensitive(value: String, what: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| {
        Error::new(Kind::Failed, format!("{what} holds a control character, such as a line break, and can't be sent"))
            .hint("look for a stray line end where it is written")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// `Impersonate-*`, also over plain HTTP as client-go sends them: they prove nothing and only ever take rights away.
fn impersonation(who: &Impersonate) -> Result<HeaderMap> {
    let mut map = HeaderMap::new();
    let mut add = |name: &str, value: &str| -> Result<()> {
        let what = || format!("impersonating: {name} can't be sent");
        let name = HeaderName::from_bytes(name.as_bytes()).doing(Kind::Failed, what)?;
        let value = HeaderValue::from_bytes(value.as_bytes()).doing(Kind::Failed, what)?;
        map.try_append(name, value).map(|_| ()).doing(Kind::Failed, || "impersonating: too many values".to_owned())
    };
    if let Some(user) = &who.user {
        add("impersonate-user", user)?;
    }
    if let Some(uid) = &who.uid {
        add("impersonate-uid", uid)?;
    }
    for group in &who.groups {
        add("impersonate-group", group)?;
    }
    for (key, values) in who.extra.iter() {
        for value in values {
            add(&format!("impersonate-extra-{}", escape(key)), value)?;
        }
    }
    // An authorizer may go by these, so one may be as good as a token.
    map.iter_mut()
        .filter(|(name, _)| name.as_str().starts_with("impersonate-extra-"))
        .for_each(|(_, value)| value.set_sensitive(true));
    Ok(map)
}

/// Percent-encodes what a header name can't hold, and `%` itself.
fn escape(key: &str) -> String {
    key.bytes().fold(String::with_capacity(key.len()), |mut escaped, byte| {
        match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => escaped.push(byte as char),
            _ if b"!#$&'*+-.^_`|~".contains(&byte) => escaped.push(byte as char),
            _ => escaped.push_str(&format!("%{byte:02x}")),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::named::Named;

    #[test]
    fn impersonation_headers_as_client_go_writes_them() {
        let mut extra = Named::default();
        extra.add("example.com/Foo%ü".to_owned(), vec!["x".to_owned(), "y z".to_owned()]);
        extra.add("empty".to_owned(), vec![]);
        let who = Impersonate {
            user: Some("jané".into()),
            uid: Some("7".into()),
            groups: vec!["a".into(), "b".into()],
            extra,
        };
        let map = impersonation(&who).unwrap();
        let all = |name: &str| map.get_all(name).iter().map(|v| v.as_bytes().to_vec()).collect::<Vec<_>>();
        assert_eq!(all("Impersonate-User"), ["jané".as_bytes()]);
        assert_eq!(all("Impersonate-Uid"), [b"7"]);
        assert_eq!(all("Impersonate-Group"), [b"a", b"b"]);
        assert_eq!(all("Impersonate-Extra-example.com%2fFoo%25%c3%bc"), [&b"x"[..], b"y z"]);
        assert_eq!(map.len(), 6);
        let secret: Vec<_> = map.iter().filter(|(_, value)| value.is_sensitive()).map(|(name, _)| name).collect();
        assert_eq!(secret, ["impersonate-extra-example.com%2ffoo%25%c3%bc"; 2], "what is echoed of these is hidden");
        assert!(impersonation(&Impersonate { user: Some("a\nb".into()), ..who }).is_err());
    }

    #[test]
    fn a_value_that_can_not_be_sent_is_not_quoted() {
        let chain = bearer("s3cr3t\n").unwrap_err().chain();
        assert!(chain.contains("line break") && !chain.contains("s3cr3t"), "{chain}");
        assert_eq!(format!("{:?}", bearer("s3cr3t").unwrap()), "Sensitive");
        assert_eq!(basic("bob", "pw").unwrap(), "Basic Ym9iOnB3");
    }
}
