//! Which cluster, as whom: kubeconfig files, flags, environment and a pod's service account become one flat [`Config`].
//!
//! The rules are client-go's, so that this program reaches the cluster that kubectl reaches, as the same identity.

mod check;
mod edit;
mod env;
pub(crate) mod fields;
mod incluster;
pub(crate) mod kubeconfig;
mod kuberc;
pub mod pem;
mod proxy;
mod resolve;
mod select;
mod server;
mod store;
mod wait;

use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;

pub use self::edit::put as edit;
pub use self::env::Env;
pub use self::kuberc::PluginPolicy;
pub use self::proxy::{Proxy, ProxyScheme};
pub(crate) use self::resolve::MAX_PEM;
pub use self::select::{contexts, load};
pub use self::server::{Scheme, Server};
pub(crate) use self::store::{Store, Tokens};
pub use self::wait::load_in_time;
pub(crate) use self::wait::{is_pipe, read_again, read_file, read_in_time};
use crate::named::Named;
use crate::secret::Secret;

/// A resolved choice of cluster, identity and namespace.
#[derive(Debug)]
pub struct Config {
    /// The context's name, if one was chosen.
    pub context: Option<String>,
    /// How to reach the API server.
    pub cluster: Cluster,
    /// Who to be there.
    pub user: User,
    /// Where namespaced things are looked for; never empty.
    pub namespace: String,
    /// What the person must know even with `-q`: an unverified server, an entry that does not exist.
    pub warnings: Vec<String>,
}

/// How to reach an API server.
#[derive(Debug)]
pub struct Cluster {
    /// Its address.
    pub server: Server,
    /// The name its certificate must carry, if not the host's.
    pub tls_server_name: Option<String>,
    /// Who vouches for its certificate; of no meaning over plain HTTP.
    pub trust: Trust,
    /// The PEM text behind [`Trust::Ca`], which credential plugins may be told.
    pub certificate_authority_data: Option<Vec<u8>>,
    /// Where the trusted authorities were read from, for words; empty but for [`Trust::Ca`].
    pub authority_source: String,
    /// The proxy to go through, by the kubeconfig or the environment.
    pub proxy: Option<Proxy>,
    /// Do not ask for compressed answers.
    pub disable_compression: bool,
    /// What the cluster tells credential plugins: its extension `client.authentication.k8s.io/exec`.
    pub exec_extension: Option<serde_json::Value>,
}

/// Who vouches for the server's certificate.
#[derive(Debug)]
pub enum Trust {
    /// These authorities alone; never empty.
    Ca(Vec<CertificateDer<'static>>),
    /// The machine's own roots.
    System,
    /// Nobody: any certificate will do.
    Insecure,
}

/// An identity. Over plain HTTP all but `impersonate` is empty: credentials go only over TLS.
#[derive(Debug, Default)]
pub struct User {
    /// For the TLS handshake.
    pub certificate: Option<ClientCertificate>,
    /// A bearer token; where there is a token file too, only until that was read.
    pub token: Option<Secret>,
    /// A file with a bearer token, to be read again while running.
    pub token_file: Option<PathBuf>,
    /// User name and password.
    pub basic: Option<(String, Secret)>,
    /// An identity provider that gives tokens; empty where there is a token or a password.
    pub oidc: Option<Oidc>,
    /// A program that prints credentials; empty where any of the above is set.
    pub exec: Option<Exec>,
    /// Who to act as.
    pub impersonate: Impersonate,
}

/// A client certificate with its key, which fit each other.
#[derive(Debug)]
pub struct ClientCertificate {
    /// The certificate, what lies between it and its authority, and what signs with its key.
    pub pair: Arc<CertifiedKey>,
    /// Where the certificate was read from, if from a file.
    pub certificate_file: Option<PathBuf>,
    /// Where the key was read from, if from a file.
    pub key_file: Option<PathBuf>,
}

/// Whom to act as; without a user the rest is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the parts of a Kubernetes user")]
pub struct Impersonate {
    pub user: Option<String>,
    pub uid: Option<String>,
    pub groups: Vec<String>,
    pub extra: Named<Vec<String>>,
}

/// An OpenID Connect provider and what was got from it.
#[derive(Debug)]
pub struct Oidc {
    /// Its URL, as it calls itself.
    pub issuer: String,
    /// As whom this client is known there.
    pub client_id: String,
    /// What proves that; empty for a public client.
    pub client_secret: Secret,
    /// Who vouches for its certificate.
    pub trust: Trust,
    /// The tokens as the kubeconfig held them.
    pub(crate) tokens: Tokens,
    /// Where new ones go.
    pub(crate) store: Store,
    /// The environment, which may name a proxy for it; the kubeconfig's is for the API server alone.
    pub(crate) env: Env,
}

/// A credential plugin.
#[derive(Debug)]
pub struct Exec {
    /// A path, or a name to look up on PATH.
    pub command: PathBuf,
    /// Hidden, for a token may stand there.
    pub args: Vec<Secret>,
    /// Set over the process's own environment.
    pub env: Vec<(String, Secret)>,
    /// The protocol both sides speak.
    pub api: ExecApi,
    /// Words for when it is not installed; untrusted.
    pub install_hint: Option<String>,
    /// Whether it is told about the cluster.
    pub provide_cluster_info: bool,
    /// Whether it may talk to the person.
    pub interactive: Interactive,
    /// Whether it may run at all.
    pub policy: PluginPolicy,
}

/// The versions of the credential plugin protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the versions' names")]
pub enum ExecApi {
    V1,
    V1beta1,
}

impl ExecApi {
    /// `apiVersion` as it is written.
    pub fn name(self) -> &'static str {
        match self {
            ExecApi::V1 => "client.authentication.k8s.io/v1",
            ExecApi::V1beta1 => "client.authentication.k8s.io/v1beta1",
        }
    }
}

/// Whether a credential plugin gets our standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interactive {
    /// Not at all.
    Never,
    /// If that is a terminal.
    IfAvailable,
    /// It must be a terminal.
    Always,
}

/// A name in quotes, control characters escaped, cut where it gets too long to read.
pub(crate) fn quoted(name: &str) -> String {
    const LONGEST: usize = 120;
    match name.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}…", &name[..end]),
        None => format!("{name:?}"),
    }
}
