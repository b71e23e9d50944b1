//! Tokens of an OpenID Connect provider, as client-go's `auth-provider: oidc` gets them: the id-token until shortly before
//! its end, then a new one against the refresh token, written back to the kubeconfig.
//!
//! Whatever the provider answers is hostile: bounded, and searched for our secrets before a word of it is shown.

#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use hyper::Uri;
use hyper::header::{ACCEPT, AUTHORIZATION, HeaderValue, LOCATION};
use serde_json::Value;
use tokio::sync::Mutex;

use super::failure::Failure;
use crate::clock::Clock;
use crate::config::{self, Env, Scheme, Server, Store, Tokens, quoted};
use crate::document::read_json;
use crate::error::{Doing, Error, Kind, Result};
use crate::http::{Origin, Pool, Protocol, Proxy, Request, Roots, Sent, Settings, Trust};
use crate::notice::Notices;
use crate::secret::Secret;
use crate::time::{Timestamp, seconds};

/// How long before its end an id-token is no longer used: client-go's allowance for clocks that differ.
const LEEWAY: Duration = Duration::from_secs(10);

/// How long the provider may take for all it is asked, where nothing else is said.
const LIMIT: Duration = Duration::from_secs(30);

/// A wait for another run from which on the person is told.
const WORTH_A_WORD: Duration = Duration::from_secs(2);

/// The largest answer read: what golang.org/x/oauth2 takes.
const MAX_ANSWER: usize = 1 << 20;

/// The longest token; API servers take no header near that size.
const MAX_TOKEN: usize = 128 << 10;

/// The most of the provider's own words that is shown.
const MAX_WORDS: usize = 300;

/// Redirects of its configuration followed in a row: Go's number.
const REDIRECTS: usize = 10;

/// A provider with the tokens it gave last.
pub(super) struct Provider {
    issuer: String,
    client_id: String,
    client_secret: Secret,
    trust: Trust,
    store: Store,
    env: Env,
    notices: Notices,
    limit: Duration,
    /// Held while tokens are refreshed, so that it happens once for all who wait.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tokens: Tokens,
    /// What the kubeconfig held when it was last looked at.
    seen: Tokens,
    /// The id-token as it is sent, and its end.
    header: Option<(HeaderValue, Timestamp)>,
    /// Counts the id-tokens.
    generation: u64,
    /// How the provider takes the client's name and secret, once that is known.
    style: Option<Style>,
    failure: Failure,
}

/// Where the client's name and secret stand in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Header,
    Form,
}

impl Provider {
    /// Nothing is asked yet.
    pub(super) fn new(oidc: &config::Oidc, notices: Notices) -> Self {
        let roots = match &oidc.trust {
            config::Trust::Ca(authorities) => Roots::Authorities(authorities.clone()),
            config::Trust::System => Roots::System,
            config::Trust::Insecure => Roots::InsecureAcceptAnyCertificate,
        };
        let state = State { tokens: oidc.tokens.clone(), seen: oidc.tokens.clone(), ..State::default() };
        Provider {
            issuer: oidc.issuer.clone(),
            client_id: oidc.client_id.clone(),
            client_secret: oidc.client_secret.clone(),
            trust: Trust { roots, server_name: None },
            store: oidc.store.clone(),
            env: oidc.env.clone(),
            notices,
            limit: LIMIT,
            state: Mutex::new(state),
        }
    }

    /// How long the provider may take.
    pub(super) fn limit(&mut self, limit: Duration) {
        self.limit = limit;
    }

    /// The header to send now.
    pub(super) async fn current(&self, clock: &Clock) -> Result<(HeaderValue, u64)> {
        let mut state = self.state.lock().await;
        if state.header.is_none() {
            state.take(clock);
        }
        match &state.header {
            Some((header, end)) if is_before(clock, *end) => Ok((header.clone(), state.generation)),
            _ => Ok((self.refresh(&mut state, clock).await?, state.generation)),
        }
    }

    /// Gets another token because the server refused that of `generation`; whether there is another now.
    pub(super) async fn renew(&self, generation: u64, clock: &Clock) -> bool {
        let mut state = self.state.lock().await;
        if state.generation == generation
            && let Err(error) = self.refresh(&mut state, clock).await
        {
            // The server's own 401 is the better error.
            self.notices.verbose(4, || format!("the id-token was refused, and there is no other: {}", error.chain()));
        }
        state.generation != generation
    }

    /// A new token, unless there was none to be had just now.
    async fn refresh(&self, state: &mut State, clock: &Clock) -> Result<HeaderValue> {
        match state.failure.again(clock.now()) {
            Some(error) => Err(error),
            None => self.get(state, clock).await.map_err(|error| state.failure.keep(error, clock.now())),
        }
    }

    /// A new token: somebody else's from the kubeconfig, else one asked for.
    async fn get(&self, state: &mut State, clock: &Clock) -> Result<HeaderValue> {
        // With a provider that gives each refresh token once, two programs that ask at a time would log each other out.
        let mut turn = std::pin::pin!(self.store.turn(self.limit, clock));
        let _turn = match clock.within(Some(WORTH_A_WORD), turn.as_mut()).await {
            Some(turn) => turn,
            None => {
                self.notices.note(format_args!("waiting for another run to refresh tokens of {}", self.store.place()));
                turn.await
            }
        };
        if let Some(header) = self.look(state, clock) {
            return Ok(header);
        }
        let asked = match self.ask(state, clock).await {
            // kubectl takes no turns: it may have been faster with the same token.
            Err(_) if self.look(state, clock).is_some() => None,
            asked => Some(asked?),
        };
        if let Some(new) = asked {
            let id = new.id.as_ref().map_or("", |id| id.expose());
            let (header, end) = (super::bearer(id)?, expiry(id).unwrap_or(clock.now()));
            match self.store.save(&state.seen, &new, clock).await {
                Ok(()) => state.seen = new.clone(),
                Err(error) => {
                    let words = "the new tokens can't be saved, so the next run may ask for a new login";
                    self.notices.warning(format_args!("{words}: {}", error.chain()));
                    if let Some(remedy) = error.remedy() {
                        self.notices.hint(remedy);
                    }
                }
            }
            state.tokens = new;
            state.header = Some((header, end));
            state.generation += 1;
        }
        match &state.header {
            Some((header, _)) => Ok(header.clone()),
            None => Err(self.fault("no id-token")),
        }
    }

    /// Takes what the kubeconfig holds by now, if that has changed; the header, if it serves.
    fn look(&self, state: &mut State, clock: &Clock) -> Option<HeaderValue> {
        // A file that holds none is one that somebody is just writing.
        let now = self.store.read().ok().filter(|now| *now != state.seen && now.refresh.is_some())?;
        state.seen = now.clone();
        state.tokens = now;
        state.take(clock);
        state.header.as_ref().map(|(header, _)| header.clone())
    }

    async fn ask(&self, state: &mut State, clock: &Clock) -> Result<Tokens> {
        let Some(refresh) = state.tokens.refresh.clone() else {
            return Err(self
                .fault("the id-token has expired or is not there, and there is no refresh-token to get another with")
                .hint("log in again with the tool that wrote this user entry"));
        };
        self.notices.verbose(6, || format!("refreshing the id-token at {}", quoted(&self.issuer)));
        let seconds = seconds(self.limit);
        // Boxed: it is large and seldom, and all that want headers would hold room for it.
        let exchange = Box::pin(self.exchange(&refresh, &mut state.style, clock));
        let asked = clock.within(Some(self.limit), exchange).await;
        asked.unwrap_or_else(|| Err(self.unreachable(&format!("no answer within {seconds} s"))))
    }

    /// The provider's token endpoint, then its answer to the refresh token.
    async fn exchange(&self, refresh: &Secret, known: &mut Option<Style>, clock: &Clock) -> Result<Tokens> {
        let endpoint = self.discover(clock).await?;
        // As golang.org/x/oauth2: first as the standard wants it, then as some providers do.
        let mut style = known.unwrap_or(Style::Header);
        let answer = loop {
            let request = self.form(&endpoint.path, refresh, style)?;
            match self.call(&endpoint.origin, request, clock).await? {
                Answer::Object(answer) => break answer,
                Answer::Refusal(_) if known.is_none() && style == Style::Header => style = Style::Form,
                Answer::Refusal(error) => return Err(error),
                Answer::Elsewhere(_) => {
                    return Err(self.fault("the token endpoint redirects, which a secret does not follow"));
                }
            }
        };
        *known = Some(style);
        self.tokens(&answer, refresh)
    }

    fn tokens(&self, answer: &Value, refresh: &Secret) -> Result<Tokens> {
        let token = |name| answer.get(name).and_then(Value::as_str).filter(|token| !token.is_empty());
        let Some(id) = token("id_token") else {
            return Err(self
                .fault("the provider gave no id_token against the refresh token")
                .hint("log in again with the scope openid; some providers never give one when refreshing"));
        };
        let refresh = token("refresh_token").unwrap_or(refresh.expose());
        let is_odd = |token: &str| token.len() > MAX_TOKEN || !token.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if is_odd(id) || is_odd(refresh) {
            return Err(self.fault("the provider gave a token that is no token: too long, or with odd characters"));
        }
        if expiry(id).is_none() {
            return Err(self.fault("the provider gave an id_token that is no JWT with an end"));
        }
        Ok(Tokens { id: Some(id.into()), refresh: Some(refresh.into()) })
    }

    /// Where to ask: `token_endpoint` of the provider's configuration.
    async fn discover(&self, clock: &Clock) -> Result<Endpoint> {
        let issuer = self.issuer.trim_end_matches('/');
        let mut endpoint = self.endpoint(&format!("{issuer}/.well-known/openid-configuration"), "idp-issuer-url")?;
        let mut redirects = 0;
        let configuration = loop {
            // Nothing secret goes with it, so it may lead anywhere.
            let request = Request::get(endpoint.path.as_str());
            match self.call(&endpoint.origin, request, clock).await? {
                Answer::Object(configuration) => break configuration,
                Answer::Refusal(error) => return Err(error),
                Answer::Elsewhere(_) if redirects == REDIRECTS => {
                    return Err(self.fault("the provider's configuration is redirected for ever"));
                }
                Answer::Elsewhere(to) => {
                    redirects += 1;
                    endpoint = match endpoint.origin.resolve(&endpoint.path, &to) {
                        Some(path) => Endpoint { path, ..endpoint },
                        None => self.endpoint(&to, "a redirect")?,
                    };
                }
            }
        };
        let text = |name| configuration.get(name).and_then(Value::as_str);
        match (text("issuer").filter(|named| named.trim_end_matches('/') != issuer), text("token_endpoint")) {
            (Some(other), _) => Err(self
                .fault(&format!("the provider calls itself {}", quoted(other)))
                .hint("correct idp-issuer-url: it must be the issuer that the API server is configured with")),
            (None, Some(url)) => self.endpoint(url, "its token_endpoint"),
            (None, None) => Err(self.fault("the provider's configuration has no token_endpoint")),
        }
    }

    /// Splits a URL that may be asked: https, unless all of it stays on this machine.
    fn endpoint(&self, url: &str, what: &str) -> Result<Endpoint> {
        let (origin, _) = Origin::parse(url)
            .doing(Kind::Failed, || format!("{what} can't be asked"))
            .map_err(|error| self.within(error))?;
        let stays_here = self.issuer.starts_with("http://") && origin.is_loopback();
        if !(origin.is_secure() || stays_here) {
            let url = url.split(['?', '#']).next().unwrap_or_default();
            return Err(self.fault(&format!("{what} is not https: {}", quoted(url))));
        }
        let path = url.trim().parse::<Uri>().ok().and_then(|uri| Some(uri.path_and_query()?.as_str().to_owned()));
        Ok(Endpoint { origin, path: path.unwrap_or_else(|| "/".to_owned()) })
    }

    /// The environment's proxy for this place.
    fn proxy(&self, origin: &Origin) -> Result<Option<Proxy>> {
        let mut warnings = Vec::new();
        let server = Server::parse(&origin.to_string(), Scheme::Https)?;
        let proxy = config::Proxy::from_environment(&self.env, &server, &mut warnings)?;
        for warning in warnings {
            self.notices.warning(warning);
        }
        Ok(proxy.as_ref().map(Proxy::from))
    }

    fn form(&self, path: &str, refresh: &Secret, style: Style) -> Result<Request> {
        let mut form = format!("grant_type=refresh_token&refresh_token={}", escape(refresh.expose()));
        if style == Style::Form {
            form.push_str(&format!("&client_id={}", escape(&self.client_id)));
            if !self.client_secret.expose().is_empty() {
                form.push_str(&format!("&client_secret={}", escape(self.client_secret.expose())));
            }
        }
        let request = Request::post(path, Secret::new(Bytes::from(form))).hiding(refresh).hiding(&self.client_secret);
        Ok(match style {
            Style::Form => request,
            Style::Header => {
                let pair = format!("{}:{}", escape(&self.client_id), escape(self.client_secret.expose()));
                let basic = format!("Basic {}", STANDARD.encode(pair));
                request.header(AUTHORIZATION, super::sensitive(basic, "client-secret")?)
            }
        })
    }

    /// One request, and what it came to.
    async fn call(&self, origin: &Origin, request: Request, clock: &Clock) -> Result<Answer> {
        let proxy = self.proxy(origin).map_err(|error| self.within(error))?;
        let settings =
            Settings { protocol: Protocol::Http1, clock: *clock, proxy, ..Settings::new(self.notices.clone()) };
        let pool = Pool::new(origin.clone(), &self.trust, None, settings).map_err(|error| self.within(error))?;
        let request = request.header(ACCEPT, HeaderValue::from_static("application/json"));
        let answer = pool.send(&request).await.map_err(|failure| self.within(failure.into()))?;
        let (status, to) = (answer.status, answer.header(LOCATION).map(str::to_owned));
        let body = answer.body.collect(MAX_ANSWER).await.map_err(|cut| self.unreachable(&cut.to_string()))?;
        Ok(match (status, to) {
            (301 | 302 | 303 | 307 | 308, Some(to)) => Answer::Elsewhere(to),
            _ => self.read(status, &body, &answer.sent),
        })
    }

    /// A JSON object, or the provider's own words for why there is none.
    fn read(&self, status: u16, body: &[u8], sent: &Sent) -> Answer {
        let said: Option<Value> = read_json(body).ok().filter(Value::is_object);
        let words = |name| Some(scrub(sent, said.as_ref()?.get(name)?.as_str()?));
        let is_good = (200..300).contains(&status);
        if let Some(error) = words("error") {
            let more = words("error_description").map(|words| format!(" ({words})")).unwrap_or_default();
            return Answer::Refusal(
                self.fault(&format!("the provider answered {status}: {error}{more}"))
                    .hint("log in again with the tool that wrote this user entry, if the refresh token has ended"),
            );
        }
        match said {
            Some(object) if is_good => Answer::Object(object),
            None if is_good => Answer::Refusal(self.fault("what the provider answered is no JSON object")),
            _ => {
                let text = scrub(sent, &String::from_utf8_lossy(body));
                let text = text.lines().next().unwrap_or_default().trim();
                Answer::Refusal(self.fault(&format!("the provider answered {status}: {}", quoted(text))))
            }
        }
    }

    fn fault(&self, what: &str) -> Error {
        self.within(Error::new(Kind::Denied, what))
    }

    fn unreachable(&self, what: &str) -> Error {
        self.within(Error::new(Kind::Unreachable, what))
    }

    fn within(&self, error: Error) -> Error {
        error.within(format!("auth-provider oidc, {}", quoted(&self.issuer)))
    }
}

impl State {
    /// Makes the header of the id-token at hand, if that is still good.
    fn take(&mut self, clock: &Clock) {
        let id = self.tokens.id.as_ref();
        let good = id.and_then(|id| Some((id, expiry(id.expose()).filter(|end| is_before(clock, *end))?)));
        let header = good.and_then(|(id, end)| Some((super::bearer(id.expose()).ok()?, end)));
        if header.is_some() {
            self.generation += 1;
        }
        self.header = header;
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// Reads what a token endpoint says, as after asking it: the way in for whoever tries what it makes of hostile bytes.
pub fn read_tokens(status: u16, body: &[u8]) -> Result<()> {
    let provider = Provider {
        issuer: "https://issuer.example".to_owned(),
        client_id: String::new(),
        client_secret: Secret::default(),
        trust: Trust { roots: Roots::System, server_name: None },
        store: Store::new(Default::default(), String::new()),
        env: Env::new([("", ""); 0]),
        notices: Notices::new(0, true, |_| {}),
        limit: LIMIT,
        state: Mutex::default(),
    };
    match provider.read(status, body, &Sent::default()) {
        Answer::Object(answer) => provider.tokens(&answer, &Secret::default()).map(drop),
        Answer::Refusal(error) => Err(error),
        Answer::Elsewhere(_) => Ok(()),
    }
}

/// What a request came to.
enum Answer {
    Object(Value),
    Refusal(Error),
    Elsewhere(String),
}

/// Where a request goes.
struct Endpoint {
    origin: Origin,
    /// With its query.
    path: String,
}

/// The provider's words without our secrets, which it may repeat.
fn scrub(sent: &Sent, words: &str) -> String {
    sent.scrub(words.to_owned()).chars().take(MAX_WORDS).collect()
}

fn is_before(clock: &Clock, end: Timestamp) -> bool {
    clock.now().saturating_add(LEEWAY) < end
}

/// The end a JWT gives itself. Nothing else of it is looked at: whether it is true is the API server's business.
fn expiry(token: &str) -> Option<Timestamp> {
    let mut parts = token.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || token.len() > MAX_TOKEN {
        return None;
    }
    let claims: Value = read_json(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    let end = claims.get("exp")?;
    // The standard allows fractions.
    let seconds = end.as_i64().or_else(|| end.as_f64().map(|seconds| seconds as i64))?;
    Some(Timestamp::from_micros(seconds.saturating_mul(1_000_000)))
}

/// As forms are written.
fn escape(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut escaped, byte| {
        match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' | b'.' | b'~' => escaped.push(byte as char),
            b' ' => escaped.push('+'),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
        escaped
    })
}
