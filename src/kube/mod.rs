//! Typed calls to the Kubernetes API.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{ACCEPT_ENCODING, HeaderValue, RANGE, USER_AGENT};

use crate::args::kubectl::quoted;
use crate::auth::{Auth, Headers};
use crate::clock::Clock;
use crate::config::{self, Env};
use crate::document::{Slot, read_json};
use crate::error::{Doing, Error, Kind, Result};
use crate::http::ranges::{self, Fetched, Ranges};
use crate::http::tls::certificate::date;
use crate::http::{
    Certificate, Encoding, Identity, Origin, Pool, Protocol, Proxy, Redirect, Request, Response, Settings, Trust, retry,
};
use crate::notice::Notices;
use crate::time::seconds;

pub mod path;
pub mod status;
pub mod list;
pub mod node;
pub mod watch;
pub mod pod;
mod hint;
mod redirect;
#[cfg(test)]
mod tests;

/// Where the API server is and how to know it.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its URL; a path in it is kept in front of every request's.
    pub url: String,
    /// Whom to take for it.
    pub trust: Trust,
}

/// How a [`Client`] goes about its work.
#[derive(Clone, Debug)]
pub struct Options {
    /// Time allowed to the head of an answer: unset for the default of 45 s, zero for no limit.
    pub request_timeout: Option<Duration>,
    /// Never asks for compressed answers, whatever a request says.
    pub disable_compression: bool,
    /// The proxy to go through; none is direct, as the way to a kubelet always is.
    pub proxy: Option<Proxy>,
    /// Where the trusted authorities were read from, for words; may be empty.
    pub authority_source: String,
    /// Which HTTP versions to offer.
    pub protocol: Protocol,
    /// Bodies expected to be read side by side.
    pub streams: usize,
    /// Silence on an HTTP/2 connection before a ping is sent; none when zero.
    pub ping_after: Duration,
    /// Silence after that ping before the connection is given up.
    pub ping_timeout: Duration,
    /// Tells of each request as this command, kubectl with its flags, would send it.
    pub print_as: Option<String>,
    /// Where to tell of requests and waits.
    pub notices: Notices,
    /// The clock.
    pub clock: Clock,
    pause: Pause,
}

/// What to do with the time until a request is sent again.
#[derive(Clone, Debug)]
enum Pause {
    Wait,
    /// For tests: remembers it and goes on.
    #[cfg(test)]
    Record(std::sync::Arc<std::sync::Mutex<Vec<Duration>>>),
}

/// A node's answer may take its 30 s; then comes the API server's own time.
const FIRST_BYTE: Duration = Duration::from_secs(45);
/// Redirects followed in a row: Go's number.
const REDIRECTS: usize = 10;
/// Seconds of a wait as good as endless, which a clock's reading still has room for.
const NEVER: u64 = 365 * 24 * 60 * 60;
/// A wait from which on the person is told.
const WORTH_A_WORD: Duration = Duration::from_secs(2);

/// One API server, asked as one user.
#[derive(Debug)]
pub struct Client {
    origin: Origin,
    prefix: String,
    trust: Trust,
    auth: Auth,
    /// The connections, made under one client certificate; another certificate closes them.
    pool: Mutex<Option<(u64, Arc<Pool>)>>,
    /// What lists named that can be no object's name, and was said to be left out.
    odd: Mutex<Vec<String>>,
    options: Options,
    user_agent: HeaderValue,
}

impl Options {
    /// What fits one stream.
    pub fn new(notices: Notices) -> Self {
        Options {
            request_timeout: None,
            disable_compression: false,
            proxy: None,
            authority_source: String::new(),
            protocol: Protocol::Any,
            streams: 1,
            ping_after: Duration::from_secs(30),
            ping_timeout: Duration::from_secs(15),
            print_as: None,
            notices,
            clock: Clock::System,
            pause: Pause::Wait,
        }
    }

    /// The same, obeying the variables that client-go obeys: `DISABLE_HTTP2`, `HTTP2_READ_IDLE_TIMEOUT_SECONDS`,
    /// `HTTP2_PING_TIMEOUT_SECONDS`. As there, a value that is no number is told and passed over, and pings can be
    /// switched off (0) but not be waited for without end. Negative ones, with which client-go takes every connection for
    /// dead, are passed over too.
    pub fn obeying(mut self, env: &Env) -> Self {
        let seconds = |name, usual: Duration| {
            let Some(value) = env.var(name) else { return usual };
            let number = value.to_str().and_then(|value| value.parse().ok());
            number.map(|seconds: u64| Duration::from_secs(seconds.min(NEVER))).unwrap_or_else(|| {
                self.notices.warning(format!(
                    "{name}={} is no number of seconds: it stays at {}",
                    config::quoted(&value.to_string_lossy()),
                    usual.as_secs()
                ));
                usual
            })
        };
        let ping_after = seconds("HTTP2_READ_IDLE_TIMEOUT_SECONDS", self.ping_after);
        let ping_timeout = seconds("HTTP2_PING_TIMEOUT_SECONDS", self.ping_timeout);
        if env.var("DISABLE_HTTP2").is_some() {
            self.protocol = Protocol::Http1;
        }
        self.ping_after = ping_after;
        self.ping_timeout = if ping_timeout.is_zero() { self.ping_timeout } else { ping_timeout };
        self
    }
}

impl Client {
    /// A client for this server. Nothing is connected yet, and no credential plugin is run.
    pub fn new(server: &Server, auth: Auth, options: Options) -> Result<Self> {
        let (origin, prefix) = Origin::parse(&server.url)?;
        let trust = server.trust.clone();
        Ok(Client {
            origin,
            prefix,
            trust,
            auth,
            pool: Mutex::new(None),
            odd: Mutex::default(),
            options,
            user_agent: user_agent(),
        })
    }

    /// Sends a request and gives the answer whatever its status, after asking again where that makes sense: the server asked
    /// to come back later, a connection broke before the answer, credentials had to be renewed.
    ///
    /// Redirects are followed on this server alone, for to another neither credentials nor questions may go. A node's are
    /// not: those that stay with it are its file server's, which callers read, and any other is an error, lest a node choose
    /// what is asked of the API server.
    pub async fn get(&self, request: Request) -> Result<Response> {
        let mut request = request;
        for _ in 0..=REDIRECTS {
            let answer = self.ask(&request).await?;
            let next = match answer.redirect(&self.origin, &format!("{}{}", self.prefix, request.path())) {
                None => return Ok(answer),
                Some(Redirect::Away(to)) => return Err(redirect::refused(&answer, &self.origin, to.as_ref())),
                Some(Redirect::Here(next)) => next,
            };
            // Behind a path prefix the server may or may not know of it.
            let next = next.strip_prefix(self.prefix.as_str()).map(str::to_owned).unwrap_or(next);
            match path::node_proxy(request.path()) {
                None => request = request.at(next),
                Some(node) if next.starts_with(node) => return Ok(answer),
                Some(_) => return Err(redirect::out_of_node(&answer, &self.origin, &next)),
            }
        }
        Err(redirect::endless(&self.origin, REDIRECTS))
    }

    async fn ask(&self, request: &Request) -> Result<Response> {
        self.print(request);
        let (answer, sent) = self.insist(request).await?;
        if answer.status == 401 && self.auth.rejected(&sent).await? {
            return Ok(self.insist(request).await?.0);
        }
        Ok(answer)
    }

    /// An answer of 200 to 299, or the error that it is.
    pub async fn expect_ok(answer: Response) -> Result<Response> {
        match answer.status {
            200..=299 => Ok(answer),
            _ => Err(status::error_of(answer).await),
        }
    }

    /// An answer read as JSON. `limit` bounds its size in bytes, the request's time limit its reading.
    pub async fn read<T: Slot + Default>(&self, answer: Response, limit: usize) -> Result<T> {
        let body = self.body(answer, limit).await?;
        read_json(&body).doing(Kind::Failed, || "the API server's answer is not what its API promises".into())
    }

    /// The whole body of an answer of 200 to 299.
    async fn body(&self, answer: Response, limit: usize) -> Result<Bytes> {
        let answer = Client::expect_ok(answer).await?;
        let allowed = self.options.request_timeout.unwrap_or(FIRST_BYTE);
        let reading = self.options.clock.within((!allowed.is_zero()).then_some(allowed), answer.body.collect(limit));
        match reading.await {
            Some(Ok(body)) => Ok(body),
            Some(Err(cut)) => Err(Error::new(status::cut_short(cut.ended()), cut.to_string())),
            None => {
                let words = format!("the answer did not end within {} s", seconds(allowed));
                Err(Error::new(Kind::Unreachable, words))
            }
        }
    }

    /// Parts of the file at this path, in as few requests as the server allows: see [`Ranges::fetch`].
    pub async fn ranges(&self, ranges: &Ranges, path: &str, wanted: ranges::Wanted<'_>) -> Result<Fetched> {
        // Offsets are those of the file as it is.
        let request = Request::get(path).encoding(Encoding::Identity);
        ranges.fetch(self, &request, wanted).await
    }

    /// What `--print-requests` shows. kubectl drops the path of the server's URL when it gets a raw path.
    fn print(&self, request: &Request) {
        let Some(kubectl) = &self.options.print_as else { return };
        let path = quoted(&format!("{}{}", self.prefix, request.path()));
        let range = request.headers().get(RANGE).map(|range| String::from_utf8_lossy(range.as_bytes()));
        let range = range.map(|range| format!("  # with Range: {range}")).unwrap_or_default();
        self.options.notices.plain(format_args!("{kubectl} get --raw {path}{range}"));
    }

    /// Asks again as the policy says, with the credentials of then; gives those of the answer too.
    async fn insist(&self, request: &Request) -> Result<(Response, Headers)> {
        let mut attempts = 0;
        loop {
            let credentials = self.auth.headers().await?;
            let pool = self.pool().await?;
            let complete = self.complete(request, &credentials);
            attempts += 1;
            let mut answer = pool.send(&complete).await;
            let outcome = match &mut answer {
                Ok(answer) => retry::Outcome::Answered {
                    status: answer.status,
                    retry_after: answer.retry_after(),
                    unreachable_node: status::is_node_unreachable(answer).await,
                },
                Err(failure) => retry::Outcome::Failed(failure.stage()),
            };
            match retry::decide(attempts, outcome, retry::jitter()) {
                retry::Decision::Wait(wait) => self.wait(wait).await,
                retry::Decision::GiveUp => {
                    return answer.map(|answer| (answer, credentials)).map_err(|failure| match attempts {
                        1 => Error::from(failure),
                        _ => Error::from(failure).within(format!("asked {attempts} times")),
                    });
                }
            }
        }
    }

    async fn wait(&self, wait: Duration) {
        if wait >= WORTH_A_WORD {
            self.options.notices.note(format!("the server asks to wait {} s", wait.as_secs()));
        }
        self.rest(wait).await;
    }

    async fn rest(&self, wait: Duration) {
        match &self.options.pause {
            Pause::Wait => self.options.clock.sleep(wait).await,
            #[cfg(test)]
            Pause::Record(waits) => waits.lock().expect("waits").push(wait),
        }
    }

    /// The request as it goes out: the server's path prefix, credentials, and what every request says.
    fn complete(&self, request: &Request, credentials: &Headers) -> Request {
        let mut complete = request.at(format!("{}{}", self.prefix, request.path()));
        if complete.time_limit().is_none() {
            complete = complete.limit(self.options.request_timeout.unwrap_or(FIRST_BYTE));
        }
        let headers = complete.headers_mut();
        headers.insert(USER_AGENT, self.user_agent.clone());
        if self.options.disable_compression {
            headers.remove(ACCEPT_ENCODING);
        }
        // Over plain HTTP these are at most whom to act as: the configuration holds no other credentials then.
        headers.extend(credentials.map.clone());
        complete
    }

    /// The connections for the client certificate of now.
    async fn pool(&self) -> Result<Arc<Pool>> {
        let (identity, generation) = self.auth.identity().await?;
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((made_under, pool)) = &*pool
            && *made_under == generation
        {
            return Ok(Arc::clone(pool));
        }
        self.tell(identity.as_deref());
        let settings = Settings {
            protocol: self.options.protocol,
            streams: self.options.streams,
            ping_after: self.options.ping_after,
            ping_timeout: self.options.ping_timeout,
            proxy: self.options.proxy.clone(),
            authority_source: self.options.authority_source.clone(),
            clock: self.options.clock,
            ..Settings::new(self.options.notices.clone())
        };
        let made = Arc::new(Pool::new(self.origin.clone(), &self.trust, identity.as_deref(), settings)?);
        *pool = Some((generation, Arc::clone(&made)));
        Ok(made)
    }
}

impl Client {
    /// Says what is worth knowing before connections are made.
    fn tell(&self, identity: Option<&Identity>) {
        let notices = &self.options.notices;
        if let Some(proxy) = &self.options.proxy {
            notices.verbose(6, || format!("{} through the proxy {proxy}, which {} names", self.origin, proxy.set_by));
        }
        let certificate = identity.filter(|_| self.origin.is_secure()).and_then(|it| it.cert.first());
        // API servers take the handshake and then answer 401 without a word about dates.
        if let Some(ours) = certificate.and_then(|der| Certificate::read(der))
            && self.options.clock.now() > ours.not_after
        {
            notices.warning(format!("the client certificate expired at {} ({ours})", date(ours.not_after)));
        }
    }
}

impl ranges::Server for Client {
    async fn ask(&self, request: Request) -> Result<Response> {
        self.get(request).await
    }

    async fn refusal(&self, answer: Response) -> Error {
        status::error_of(answer).await
    }

    async fn pause(&self, time: Duration) {
        self.wait(time).await;
    }
}

/// `kubectl-kubelet_logs/VERSION (os/arch)`, in Go's names for them.
fn user_agent() -> HeaderValue {
    use std::env::consts::{ARCH, OS};
    let os = if OS == "macos" { "darwin" } else { OS };
    let arch = match ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    };
    let plain = concat!("kubectl-kubelet_logs/", env!("CARGO_PKG_VERSION"));
    HeaderValue::from_str(&format!("{plain} ({os}/{arch})")).unwrap_or(HeaderValue::from_static(plain))
}
