//! One file a command.

use std::sync::Arc;
use std::time::Duration;

use crate::args::kubectl::kubectl;
use crate::args::{Command, Options};
use crate::auth::{Auth, Stdin};
use crate::clock::Clock;
use crate::config::{self, Config, Env};
use crate::error::{Error, Kind, Result};
use crate::http::{Protocol, Proxy, Roots, Trust};
use crate::interrupt::{Closing, Interrupt};
use crate::kube::{self, Client};
use crate::notice::Notices;

pub mod logs;
pub mod ls;
pub mod complete;

/// What a command works with beside its options.
#[derive(Debug)]
pub struct Context {
    /// The process environment.
    pub env: Env,
    /// The clock.
    pub clock: Clock,
    /// Where to say things.
    pub notices: Notices,
    /// Whether a credential plugin may ask somebody.
    pub stdin: Stdin,
    /// Hears of signals.
    pub interrupt: Interrupt,
    /// Hears of it when nobody reads stdout any more.
    pub closing: Closing,
}

/// Bodies read side by side where nobody knows how many.
const MANY: usize = 128;

/// How a command ended, where it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The exit code.
    pub exit: u8,
}

impl Outcome {
    /// All went well.
    pub const DONE: Outcome = Outcome { exit: 0 };
}

/// A cluster, ready to be asked.
#[derive(Debug)]
pub struct Cluster {
    /// Its client.
    pub client: Arc<Client>,
    /// The namespace where none is said.
    pub namespace: String,
}

impl Context {
    /// Reads the configuration and makes the client, nothing is connected yet; or how the run ends, if a signal comes first.
    pub async fn cluster(&self, options: &Options) -> Result<Result<Cluster, Outcome>> {
        let loading = config::load_in_time(&options.connection, &self.env, &self.notices, &self.clock);
        let mut interrupt = self.interrupt.clone();
        let loaded = tokio::select! {
            biased;
            signal = interrupt.signal() => return Ok(Err(Outcome { exit: signal.exit_code() })),
            loaded = self.clock.within(options.timeout, loading) => loaded,
        };
        let config = loaded.unwrap_or_else(|| Err(out_of_time(options.timeout.unwrap_or_default())))?;
        for warning in &config.warnings {
            self.notices.warning(warning);
        }
        let client = self.client(&config, options)?;
        Ok(Ok(Cluster { client: Arc::new(client), namespace: config.namespace }))
    }

    /// A client for what the configuration says.
    pub fn client(&self, config: &Config, said: &Options) -> Result<Client> {
        let cluster = &config.cluster;
        let scheme = if cluster.server.is_https() { "https" } else { "http" };
        let server = kube::Server {
            url: format!("{scheme}://{}{}", cluster.server.authority(), cluster.server.prefix),
            trust: Trust {
                roots: match &cluster.trust {
                    config::Trust::Ca(roots) => Roots::Authorities(roots.clone()),
                    config::Trust::System => Roots::System,
                    config::Trust::Insecure => Roots::InsecureAcceptAnyCertificate,
                },
                server_name: cluster.tls_server_name.clone(),
            },
        };
        let auth = Auth::new(config, &self.env, self.clock, self.notices.clone(), self.stdin)?
            .limit(said.connection.request_timeout);
        let mut options = kube::Options::new(self.notices.clone());
        // One node is one stream; lists and many nodes are many requests side by side, which HTTP/2 answers by one handshake.
        if said.command == Command::Logs && said.nodes.one().is_some() {
            options.protocol = Protocol::Http1First;
        }
        // How many a list has is not known before it was read.
        options.streams = if said.nodes.needs_list() { MANY } else { said.nodes.names.len() };
        let mut options = options.obeying(&self.env);
        options.request_timeout = said.connection.request_timeout;
        options.print_as = said.print_requests.then(|| kubectl(&said.connection));
        options.disable_compression = cluster.disable_compression;
        options.proxy = cluster.proxy.as_ref().map(Proxy::from);
        options.authority_source = cluster.authority_source.clone();
        options.clock = self.clock;
        Client::new(&server, auth, options)
    }
}

/// Ends a run that lasts longer than `--timeout`.
pub(crate) fn out_of_time(limit: Duration) -> Error {
    Error::new(Kind::Partial, format!("the run took longer than --timeout {}", crate::time::go_duration(limit)))
}
