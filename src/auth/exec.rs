//! Credential plugins: a program that prints credentials, by the protocol `client.authentication.k8s.io`.

mod process;
#[cfg(test)]
#[cfg(unix)]
mod tests;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use self::process::{News, Trouble};
use super::Stdin;
use super::failure::Failure;
use crate::clock::Clock;
use crate::config::fields::{Hidden, Text, hidden, mapping, text};
use crate::config::{Cluster, Env, Exec, ExecApi, Interactive, PluginPolicy, Trust, kubeconfig, pem, quoted};
use crate::document::read_json;
use crate::error::{Error, Kind, Result};
use crate::http::Identity;
use crate::notice::Notices;
use crate::sanitize;
use crate::secret::Secret;
use crate::time::Timestamp;

/// The most of an install hint that is shown.
const MAX_HINT: usize = 4000;

/// Where a policy against plugins comes from.
const KUBERC: &str =
    "credentialPluginPolicy and credentialPluginAllowlist say which plugins may run; KUBERC=off ignores them";

/// A plugin with what it last gave.
pub(super) struct Plugin {
    command: PathBuf,
    args: Vec<Secret>,
    /// The whole environment, without KUBERNETES_EXEC_INFO.
    env: Vec<(OsString, Secret<OsString>)>,
    /// Where to look for a command that is no path.
    path: Option<OsString>,
    /// `spec.cluster` of KUBERNETES_EXEC_INFO.
    cluster: Option<Value>,
    api: ExecApi,
    interactive: Interactive,
    stdin: Stdin,
    install_hint: Option<String>,
    policy: PluginPolicy,
    /// How long one run may take.
    limit: Option<Duration>,
    notices: Notices,
    /// Held while the plugin runs, so that it runs once for all who wait.
    last: Mutex<Last>,
}

/// What came of its runs.
#[derive(Default)]
struct Last {
    /// The last that were good.
    credentials: Option<Arc<Credentials>>,
    failure: Failure,
}

/// What a plugin gave.
#[derive(Debug)]
pub(super) struct Credentials {
    /// The bearer token, if it gave one.
    pub(super) authorization: Option<HeaderValue>,
    /// The client certificate, if it gave one.
    pub(super) identity: Option<Arc<Identity>>,
    /// Counts the runs.
    pub(super) generation: u64,
    /// Counts how often the certificate was another than before.
    changes: u64,
    expires: Option<Timestamp>,
}

mapping! {
    /// What a plugin prints.
    Answer { kind: Text = "kind", api_version: Text = "apiVersion", status: Status = "status", }
}

mapping! {
    /// The credentials themselves.
    Status {
        token: Hidden = "token",
        certificate: Hidden = "clientCertificateData",
        key: Hidden = "clientKeyData",
        expiration: Text = "expirationTimestamp",
    }
}

impl Plugin {
    /// Prepares a plugin; nothing runs yet.
    pub(super) fn new(exec: &Exec, cluster: &Cluster, env: &Env, notices: Notices, stdin: Stdin) -> Self {
        let inherited = env.variables().map(|(name, value)| (name.to_owned(), Secret::new(value.to_owned())));
        let own = exec.env.iter().map(|(name, value)| (name.into(), Secret::new(value.expose().into())));
        Plugin {
            command: exec.command.clone(),
            args: exec.args.clone(),
            env: inherited.chain(own).collect(),
            path: env.var("PATH").map(OsString::from),
            cluster: exec.provide_cluster_info.then(|| describe(cluster)),
            api: exec.api,
            interactive: exec.interactive,
            stdin,
            install_hint: exec.install_hint.clone(),
            policy: exec.policy.clone(),
            limit: None,
            notices,
            last: Mutex::default(),
        }
    }

    /// Bounds each run.
    pub(super) fn limit(&mut self, limit: Duration) {
        self.limit = Some(limit);
    }

    /// Its credentials, from the last run unless they have expired.
    pub(super) async fn current(&self, clock: &Clock) -> Result<Arc<Credentials>> {
        let mut last = self.last.lock().await;
        match &last.credentials {
            Some(known) if known.expires.is_none_or(|end| clock.now() <= end) => Ok(Arc::clone(known)),
            _ => self.run(&mut last, clock).await,
        }
    }

    /// The certificate of its last run, expired or not, and how often that was another than before; runs it only if it
    /// never ran.
    pub(super) async fn identity(&self, clock: &Clock) -> Result<(Option<Arc<Identity>>, u64)> {
        let mut last = self.last.lock().await;
        let credentials = match &last.credentials {
            Some(known) => Arc::clone(known),
            None => self.run(&mut last, clock).await?,
        };
        Ok((credentials.identity.clone(), credentials.changes))
    }

    /// Runs it again, unless that has happened since the run of `generation`.
    pub(super) async fn renew(&self, generation: u64, clock: &Clock) -> Result<()> {
        let mut last = self.last.lock().await;
        if last.credentials.as_ref().is_none_or(|known| known.generation == generation) {
            self.run(&mut last, clock).await?;
        }
        Ok(())
    }

    async fn run(&self, last: &mut Last, clock: &Clock) -> Result<Arc<Credentials>> {
        if let Some(error) = last.failure.again(clock.now()) {
            return Err(error);
        }
        self.notices.verbose(6, || format!("running the credential plugin {}", self.name()));
        let generation = last.credentials.as_ref().map_or(0, |known| known.generation) + 1;
        let ran = self.output(clock).await.and_then(|output| self.read(output.expose(), generation));
        let mut credentials = ran.map_err(|error| last.failure.keep(error, clock.now()))?;
        if let Some(known) = &last.credentials {
            credentials.changes = known.changes + u64::from(!is_same(&known.identity, &credentials.identity));
        }
        let credentials = Arc::new(credentials);
        last.credentials = Some(Arc::clone(&credentials));
        Ok(credentials)
    }

    /// Runs the program to its end. When this future is dropped, the program is killed.
    async fn output(&self, clock: &Clock) -> Result<Secret<Vec<u8>>> {
        let interactive = match (self.interactive, self.stdin) {
            (Interactive::Never, _) | (Interactive::IfAvailable, Stdin::Other) => false,
            (Interactive::IfAvailable | Interactive::Always, Stdin::Terminal) => true,
            (Interactive::Always, Stdin::Other) => {
                return Err(self
                    .fault("needs a terminal (exec.interactiveMode is Always), and standard input is none")
                    .hint("run this in a terminal, or log in beforehand and set interactiveMode to IfAvailable"));
            }
        };
        let mut command = Command::new(self.permitted()?);
        command
            .args(self.args.iter().map(Secret::expose))
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value.expose())))
            .env("KUBERNETES_EXEC_INFO", self.info(interactive))
            .stdin(if interactive { Stdio::inherit() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let tell = |news| match news {
            News::Waiting => self.notices.note(format_args!("still waiting for the credential plugin {}", self.name())),
            News::Killed => {
                self.notices.warning(format_args!("the credential plugin {} did not end: killed", self.name()));
            }
        };
        let fault = |what: &str, why: io::Error| self.fault(what).because(why);
        match process::output(command, self.limit, tell, clock).await {
            Ok((bytes, status)) if status.success() => Ok(bytes),
            Ok((_, status)) => Err(self
                .fault(&format!("failed with {}", process::ending(status)))
                .hint("its own words are on stderr; it may ask for a new login")),
            Err(Trouble::Start(why)) if why.kind() == io::ErrorKind::InvalidInput => Err(fault("can't be run", why)
                .hint("exec.command, args and env in the user entry of the kubeconfig must be without NUL characters")),
            Err(Trouble::Start(why)) => {
                Err(fault("can't be run", why).hint("check exec.command in the user entry of the kubeconfig"))
            }
            Err(Trouble::Read(why)) => Err(fault("can't be read", why)),
            Err(Trouble::Wait(why)) => Err(fault("can't be waited for", why)),
            Err(Trouble::Flood) => {
                Err(self.fault("printed more than 1 MiB").hint("it should print one ExecCredential"))
            }
            Err(Trouble::Late) => {
                let seconds = self.limit.unwrap_or_default().as_secs_f32();
                Err(self
                    .fault(&format!("did not end within {seconds} s"))
                    .hint("--request-timeout counts a plugin's time too, as kubectl does; 0 for no limit"))
            }
        }
    }

    fn name(&self) -> String {
        quoted(&self.command.to_string_lossy())
    }

    /// The program's file, if the person's policy lets it run.
    fn permitted(&self) -> Result<PathBuf> {
        let denied = |why: String| Err(self.fault(&format!("may not be run: {why}")).hint(KUBERC));
        if let Some(why) = self.policy.denies_all() {
            return denied(why);
        }
        let program = self.locate(&self.command).ok_or_else(|| {
            let hint = self.install_hint.as_deref().map(safe);
            let hint = hint.unwrap_or_else(|| {
                "install it, or correct exec.command in the user entry of the kubeconfig".to_owned()
            });
            self.fault("not found on PATH").hint(hint)
        })?;
        match self.policy.denies(&self.command, &program, |entry| self.locate(entry)) {
            Some(why) => denied(why),
            None => Ok(program),
        }
    }

    /// The program's file: a path as it is, a name by PATH. An entry of PATH that is relative is passed over, so that a
    /// working directory can't slip a program in.
    fn locate(&self, command: &Path) -> Option<PathBuf> {
        if command.components().count() > 1 || command.is_absolute() {
            return Some(command.to_owned());
        }
        let directories = self.path.iter().flat_map(std::env::split_paths).filter(|directory| directory.is_absolute());
        let mut files = directories.flat_map(|directory| process::candidates(directory.join(command)));
        files.find(|file| process::is_executable(file))
    }

    /// KUBERNETES_EXEC_INFO.
    fn info(&self, interactive: bool) -> String {
        let mut spec = Map::new();
        if let Some(cluster) = &self.cluster {
            spec.insert("cluster".into(), cluster.clone());
        }
        spec.insert("interactive".into(), interactive.into());
        json!({"apiVersion": self.api.name(), "kind": "ExecCredential", "spec": spec}).to_string()
    }

    /// Reads what the program printed: JSON, or YAML, which client-go takes too. No word of it may reach an error.
    fn read(&self, output: &[u8], generation: u64) -> Result<Credentials> {
        let hint = "it should print one ExecCredential as JSON; is it the right program, with the right arguments?";
        let junk = |why: String| self.fault(&format!("printed no ExecCredential: {why}")).hint(hint);
        let answer: Answer = if output.trim_ascii_start().starts_with(b"{") {
            read_json(output).map_err(|error| junk(error.to_string()))?
        } else {
            let text = std::str::from_utf8(output).map_err(|_| junk("it is not text".into()))?;
            kubeconfig::read_yaml(text).map_err(|malformed| match malformed.line {
                Some(line) => junk(format!("neither JSON nor YAML (line {line})")),
                None => junk("neither JSON nor YAML".into()),
            })?
        };
        let version = text(&answer.api_version).unwrap_or("nothing");
        if version != self.api.name() {
            return Err(self
                .fault(&format!("answered as {}, not {}", known_version(version), self.api.name()))
                .hint("set exec.apiVersion to what the plugin speaks, or update the plugin"));
        }
        if text(&answer.kind).is_some_and(|kind| kind != "ExecCredential") {
            return Err(junk("it is of another kind".into()));
        }
        let status = answer.status.ok_or_else(|| junk("it has no status".into()))?;
        let identity = match (hidden(&status.certificate), hidden(&status.key)) {
            (Some(certificate), Some(key)) => Some(self.pair(certificate, key)?),
            (None, None) => None,
            (Some(_), None) => return Err(self.fault("gave a certificate without its key")),
            (None, Some(_)) => return Err(self.fault("gave a key without its certificate")),
        };
        let authorization = hidden(&status.token)
            .map(|token| super::bearer(token.expose()))
            .transpose()
            .map_err(|error| self.fault("gave a bad token").because(error))?;
        if authorization.is_none() && identity.is_none() {
            return Err(self.fault("gave neither a token nor a certificate").hint("it may ask for a new login"));
        }
        let expires = match &status.expiration {
            None => None,
            Some(Text(end)) => Some(Timestamp::parse_rfc3339(end).ok_or_else(|| {
                self.fault("gave an expirationTimestamp that is not RFC 3339").hint("update the plugin")
            })?),
        };
        Ok(Credentials { authorization, identity, generation, changes: 0, expires })
    }

    fn pair(&self, certificate: &Secret, key: &Secret) -> Result<Arc<Identity>> {
        let bad = |error: Error| self.fault("gave a bad certificate or key").because(error);
        let chain = pem::certificates(certificate.expose().as_bytes()).map_err(bad)?;
        let key = pem::key(key.expose().as_bytes()).map_err(bad)?;
        pem::pair(chain, &key).map_err(bad)
    }

    fn fault(&self, what: &str) -> Error {
        Error::new(Kind::Denied, format!("credential plugin {} {what}", self.name()))
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin").field("command", &self.command).field("api", &self.api).finish_non_exhaustive()
    }
}

/// Reads what a plugin printed, as after its run: the way in for whoever tries what it makes of hostile bytes.
pub fn read_answer(output: &[u8]) -> Result<()> {
    let plugin = Plugin {
        command: "plugin".into(),
        args: Vec::new(),
        env: Vec::new(),
        path: None,
        cluster: None,
        api: ExecApi::V1,
        interactive: Interactive::Never,
        stdin: Stdin::Other,
        install_hint: None,
        policy: PluginPolicy::AllowAll,
        limit: None,
        notices: Notices::new(0, true, |_| {}),
        last: Mutex::default(),
    };
    plugin.read(output, 0).map(drop)
}

/// `spec.cluster`, with the field names of the protocol.
fn describe(cluster: &Cluster) -> Value {
    let mut info = Map::new();
    info.insert("server".into(), cluster.server.given.as_str().into());
    if let Some(name) = &cluster.tls_server_name {
        info.insert("tls-server-name".into(), name.as_str().into());
    }
    if matches!(cluster.trust, Trust::Insecure) {
        info.insert("insecure-skip-tls-verify".into(), true.into());
    }
    if let Some(pem) = &cluster.certificate_authority_data {
        info.insert("certificate-authority-data".into(), STANDARD.encode(pem).into());
    }
    // Only the kubeconfig's own: a proxy of the environment is in the plugin's environment too.
    if let Some(proxy) = cluster.proxy.as_ref().filter(|proxy| proxy.set_by == "proxy-url") {
        info.insert("proxy-url".into(), proxy.given.expose().as_str().into());
    }
    if cluster.disable_compression {
        info.insert("disable-compression".into(), true.into());
    }
    info.insert("config".into(), cluster.exec_extension.clone().unwrap_or(Value::Null));
    Value::Object(info)
}

/// A version for an error: only words that are versions, for anything else may be a misplaced secret.
fn known_version(version: &str) -> &str {
    match version {
        "client.authentication.k8s.io/v1"
        | "client.authentication.k8s.io/v1beta1"
        | "client.authentication.k8s.io/v1alpha1"
        | "nothing" => version,
        _ => "something else",
    }
}

fn is_same(a: &Option<Arc<Identity>>, b: &Option<Arc<Identity>>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => a.cert == b.cert,
        _ => false,
    }
}

/// Untrusted words: control characters escaped, lines kept, not too long.
fn safe(hint: &str) -> String {
    let end = hint.char_indices().nth(MAX_HINT).map_or(hint.len(), |(end, _)| end);
    hint[..end].lines().map(|line| sanitize::text(line)).collect::<Vec<_>>().join("\n")
}
