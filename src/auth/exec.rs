//! Credential plugins: a program that prints credentials, by the protocol `client.authentication.k8s.io`.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use serde_json::{Map, Value, json};
use tokio::sync::{Mutex, oneshot};

use super::Stdin;
use crate::clock::Clock;
use crate::config::fields::{Hidden, Text, hidden, mapping, text};
use crate::config::{Cluster, Env, Exec, ExecApi, Interactive, Trust, kubeconfig, pem, quoted};
use crate::document::read_json;
use crate::error::{Error, Kind, Result};
use crate::http::Identity;
use crate::notice::Notices;
use crate::sanitize;
use crate::secret::Secret;
use crate::time::Timestamp;

/// The most a plugin may print.
const MAX_OUTPUT: u64 = 1 << 20;

/// The most of an install hint that is shown.
const MAX_HINT: usize = 4000;

/// The longest pause between two looks at whether a plugin that closed its output has ended.
const LOOK: Duration = Duration::from_millis(50);

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
    notices: Notices,
    /// Held while the plugin runs, so that it runs once for all who wait.
    last: Mutex<Option<Arc<Credentials>>>,
    identity_generation: AtomicU64,
}

/// What a plugin gave.
#[derive(Debug)]
pub(super) struct Credentials {
    /// The bearer token, if it gave one.
    pub(super) authorization: Option<HeaderValue>,
    /// The client certificate, if it gave one.
    pub(super) identity: Option<Identity>,
    /// Counts the runs.
    pub(super) generation: u64,
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
            notices,
            last: Mutex::new(None),
            identity_generation: AtomicU64::new(0),
        }
    }

    /// Its credentials, from the last run unless they have expired.
    pub(super) async fn current(&self, clock: &Clock) -> Result<Arc<Credentials>> {
        let mut last = self.last.lock().await;
        match &*last {
            Some(known) if known.expires.is_none_or(|end| clock.now() <= end) => Ok(Arc::clone(known)),
            _ => self.run(&mut last, clock).await,
        }
    }

    /// The credentials of its last run, expired or not; runs it only if it never ran.
    pub(super) async fn latest(&self, clock: &Clock) -> Result<Arc<Credentials>> {
        let mut last = self.last.lock().await;
        match &*last {
            Some(known) => Ok(Arc::clone(known)),
            None => self.run(&mut last, clock).await,
        }
    }

    /// Runs it again, unless that has happened since the run of `generation`.
    pub(super) async fn renew(&self, generation: u64, clock: &Clock) -> Result<()> {
        let mut last = self.last.lock().await;
        if last.as_ref().is_none_or(|known| known.generation == generation) {
            self.run(&mut last, clock).await?;
        }
        Ok(())
    }

    /// Counts how often it gave another certificate than before.
    pub(super) fn identity_generation(&self) -> u64 {
        self.identity_generation.load(Ordering::Acquire)
    }

    async fn run(&self, last: &mut Option<Arc<Credentials>>, clock: &Clock) -> Result<Arc<Credentials>> {
        self.notices
            .verbose(6, || format!("running the credential plugin {}", quoted(&self.command.to_string_lossy())));
        let output = self.output(clock).await?;
        let generation = last.as_ref().map_or(0, |known| known.generation) + 1;
        let credentials = Arc::new(self.read(output.expose(), generation)?);
        if last.as_ref().is_some_and(|known| !is_same(&known.identity, &credentials.identity)) {
            self.identity_generation.fetch_add(1, Ordering::AcqRel);
        }
        *last = Some(Arc::clone(&credentials));
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
        let mut command = Command::new(self.locate()?);
        command
            .args(self.args.iter().map(Secret::expose))
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value.expose())))
            .env("KUBERNETES_EXEC_INFO", self.info(interactive))
            .stdin(if interactive { Stdio::inherit() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let child = command.spawn().map_err(|error| {
            self.fault("can't be run").because(error).hint("check exec.command in the user entry of the kubeconfig")
        })?;
        let mut running = Running(child);
        // Not tokio's blocking pool: a runtime that ends waits for that, and a plugin's children may hold the pipe.
        let (done, bytes) = oneshot::channel();
        let stdout = running.0.stdout.take();
        std::thread::Builder::new()
            .name("credential plugin".into())
            .spawn(move || done.send(read_bounded(stdout)))
            .map_err(|error| self.fault("can't be read").because(error))?;
        let bytes = match bytes.await {
            Ok(Ok(bytes)) => Secret::new(bytes),
            Ok(Err(error)) => return Err(self.fault("can't be read").because(error)),
            Err(_) => return Err(self.fault("can't be read")),
        };
        if bytes.expose().len() as u64 > MAX_OUTPUT {
            return Err(self.fault("printed more than 1 MiB").hint("it should print one ExecCredential"));
        }
        let status = running.end(clock).await.map_err(|error| self.fault("can't be waited for").because(error))?;
        match status.success() {
            true => Ok(bytes),
            false => Err(self
                .fault(&format!("failed with {}", ending(status)))
                .hint("its own words are on stderr; it may ask for a new login")),
        }
    }

    /// The program's file: a path as it is, a name by PATH. An entry of PATH that is relative is passed over, so that a
    /// working directory can't slip a program in.
    fn locate(&self) -> Result<PathBuf> {
        let given = &self.command;
        if given.components().count() > 1 || given.is_absolute() {
            return Ok(given.to_owned());
        }
        let directories = self.path.iter().flat_map(std::env::split_paths).filter(|directory| directory.is_absolute());
        directories.flat_map(|directory| candidates(directory.join(given))).find(|file| is_executable(file)).ok_or_else(
            || {
                let hint = self.install_hint.as_deref().map(safe).unwrap_or_else(|| {
                    "install it, or correct exec.command in the user entry of the kubeconfig".to_owned()
                });
                self.fault("not found on PATH").hint(hint)
            },
        )
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
            (Some(certificate), Some(key)) => Some(self.identity(certificate, key)?),
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
        Ok(Credentials { authorization, identity, generation, expires })
    }

    fn identity(&self, certificate: &Secret, key: &Secret) -> Result<Identity> {
        let bad = |error: Error| self.fault("gave a bad certificate or key").because(error);
        let chain = pem::certificates(certificate.expose().as_bytes()).map_err(bad)?;
        let key = pem::key(key.expose().as_bytes()).map_err(bad)?;
        pem::check_pair(&chain, &key).map_err(bad)?;
        Ok(Identity { chain, key })
    }

    fn fault(&self, what: &str) -> Error {
        Error::new(Kind::Denied, format!("credential plugin {} {what}", quoted(&self.command.to_string_lossy())))
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin").field("command", &self.command).field("api", &self.api).finish_non_exhaustive()
    }
}

/// A plugin that runs; killed if nobody waits for it any more.
struct Running(Child);

impl Running {
    /// Waits for the end, which comes at once where the output has ended.
    async fn end(&mut self, clock: &Clock) -> io::Result<ExitStatus> {
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status);
            }
            clock.sleep(pause).await;
            pause = (pause * 2).min(LOOK);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            // Both fail only where it has just ended; a killed process is gone at once.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

fn read_bounded(stdout: Option<impl Read>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(stdout) = stdout {
        stdout.take(MAX_OUTPUT + 1).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
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

fn is_same(a: &Option<Identity>, b: &Option<Identity>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => a.chain == b.chain && a.key == b.key,
        _ => false,
    }
}

/// Untrusted words: control characters escaped, lines kept, not too long.
fn safe(hint: &str) -> String {
    let end = hint.char_indices().nth(MAX_HINT).map_or(hint.len(), |(end, _)| end);
    hint[..end].lines().map(|line| sanitize::text(line)).collect::<Vec<_>>().join("\n")
}

#[cfg(unix)]
fn ending(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "no exit code".to_owned(),
    }
}

#[cfg(not(unix))]
fn ending(status: ExitStatus) -> String {
    status.code().map_or_else(|| "no exit code".to_owned(), |code| format!("exit code {code}"))
}

#[cfg(unix)]
fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(file: &Path) -> bool {
    file.is_file()
}

#[cfg(not(windows))]
fn candidates(file: PathBuf) -> impl Iterator<Item = PathBuf> {
    std::iter::once(file)
}

/// A name without an extension has one of these on Windows.
#[cfg(windows)]
fn candidates(file: PathBuf) -> impl Iterator<Item = PathBuf> {
    let more = ["com", "exe", "bat", "cmd"].into_iter().filter(|_| file.extension().is_none());
    let more: Vec<PathBuf> = more.map(|extension| file.with_extension(extension)).collect();
    std::iter::once(file).chain(more)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use crate::config::{Scheme, Server};

    const CRT: &str = include_str!("../../fixtures/kubeconfigs/keys/ec.crt");
    const KEY: &str = include_str!("../../fixtures/kubeconfigs/keys/ec-sec1.key");
    const OTHER_KEY: &str = include_str!("../../fixtures/kubeconfigs/keys/rsa-pkcs8.key");

    fn cluster() -> Cluster {
        Cluster {
            server: Server::parse("https://a.example:6443/p/", Scheme::Http).unwrap(),
            tls_server_name: Some("b.example".into()),
            trust: Trust::System,
            certificate_authority_data: Some(b"ca".to_vec()),
            disable_compression: true,
            exec_extension: Some(json!({"audience": "x", "n": [1, null]})),
        }
    }

    fn exec(script: &str) -> Exec {
        Exec {
            command: "/bin/sh".into(),
            args: vec!["-c".into(), script.into(), "plugin".into()],
            env: vec![],
            api: ExecApi::V1,
            install_hint: None,
            provide_cluster_info: false,
            interactive: Interactive::Never,
        }
    }

    fn env() -> Env {
        Env::new([("PATH", "/usr/bin:/bin"), ("INHERITED", "yes"), ("BOTH", "environment")])
    }

    fn plugin_of(exec: &Exec, stdin: Stdin) -> Plugin {
        Plugin::new(exec, &cluster(), &env(), Notices::new(0, false, |_| {}), stdin)
    }

    fn plugin(script: &str) -> Plugin {
        plugin_of(&exec(script), Stdin::Other)
    }

    fn printing(value: &Value) -> String {
        format!("cat <<'END'\n{value}\nEND\n")
    }

    fn answer(status: Value) -> Value {
        json!({"apiVersion": ExecApi::V1.name(), "kind": "ExecCredential", "status": status})
    }

    fn block_on<F: Future>(work: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    fn token(plugin: &Plugin) -> Result<String> {
        let credentials = block_on(plugin.current(&Clock::System))?;
        Ok(credentials.authorization.as_ref().map_or("none", |value| value.to_str().unwrap()).to_owned())
    }

    /// A plugin that counts its runs in a file and gives the count as its token.
    fn counting(directory: &Path, status: &str) -> Plugin {
        let count = directory.join("count").display().to_string();
        plugin(&format!(
            "echo x >> {count}; n=$(wc -l < {count}); n=$((n)); printf '{}' \"$n\"",
            answer(json!({"token": "%s"})).to_string().replace("\"%s\"", &format!("\"%s\"{status}"))
        ))
    }

    #[test]
    fn it_gets_environment_arguments_and_info() {
        let mut exec = exec(
            "printf '{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":{\"token\":\"%s\"}}' \
             \"$INHERITED,$BOTH,$OWN,$2,$#,$(printf %s \"$KUBERNETES_EXEC_INFO\" | base64 | tr -d '\\n')\"",
        );
        exec.args.extend(["a".into(), "b c".into(), "".into()]);
        exec.env = vec![
            ("BOTH".into(), "first".into()),
            ("BOTH".into(), "config".into()),
            ("OWN".into(), "own".into()),
            ("KUBERNETES_EXEC_INFO".into(), "forged".into()),
        ];
        for (cluster_info, expected) in [
            (false, json!({"interactive": false})),
            (
                true,
                json!({"interactive": false, "cluster": {
                    "server": "https://a.example:6443/p/", "tls-server-name": "b.example",
                    "certificate-authority-data": "Y2E=", "disable-compression": true,
                    "config": {"audience": "x", "n": [1, null]},
                }}),
            ),
        ] {
            exec.provide_cluster_info = cluster_info;
            let token = token(&plugin_of(&exec, Stdin::Other)).unwrap();
            let (words, info) = token.rsplit_once(',').unwrap();
            assert_eq!(words, "Bearer yes,config,own,b c,3");
            let info: Value = serde_json::from_slice(&STANDARD.decode(info).unwrap()).unwrap();
            assert_eq!(info, json!({"apiVersion": ExecApi::V1.name(), "kind": "ExecCredential", "spec": expected}));
        }
    }

    #[test]
    fn the_interactive_mode_decides_about_stdin() {
        let script = printing(&answer(json!({"token": "t"})));
        for (mode, stdin, expected) in [
            (Interactive::Never, Stdin::Terminal, Some(false)),
            (Interactive::IfAvailable, Stdin::Other, Some(false)),
            (Interactive::Always, Stdin::Other, None),
        ] {
            // Without a terminal the plugin reads nothing, whatever ours is.
            let guarded = format!(
                "case \"$KUBERNETES_EXEC_INFO\" in *'\"interactive\":false'*) ;; *) exit 9;; esac; read x && exit 8; {script}"
            );
            let plugin = plugin_of(&Exec { interactive: mode, ..exec(&guarded) }, stdin);
            match (token(&plugin), expected) {
                (Ok(token), Some(false)) => assert_eq!(token, "Bearer t"),
                (Err(error), None) => {
                    assert!(error.chain().contains("needs a terminal") && error.kind() == Kind::Denied)
                }
                (got, _) => panic!("{mode:?} {stdin:?}: {got:?}"),
            }
        }
        // A terminal's stdin is handed on; here it is the test's own, so only what it is told can be looked at.
        let told = "case \"$KUBERNETES_EXEC_INFO\" in *'\"interactive\":true'*) ;; *) exit 9;; esac; ";
        for mode in [Interactive::IfAvailable, Interactive::Always] {
            let plugin = plugin_of(&Exec { interactive: mode, ..exec(&format!("{told}{script}")) }, Stdin::Terminal);
            assert_eq!(token(&plugin).unwrap(), "Bearer t");
        }
    }

    #[test]
    fn good_answers() {
        let yaml = "apiVersion: client.authentication.k8s.io/v1\nkind: ExecCredential\nstatus: {token: t}\n";
        for output in [
            answer(json!({"token": "t"})).to_string(),
            answer(json!({"token": "t", "expirationTimestamp": null, "other": 1})).to_string(),
            answer(json!({"token": "t", "expirationTimestamp": "2026-11-21T03:07:12.5+02:00"})).to_string(),
            format!("\n {}\n\n", answer(json!({"token": "t", "clientCertificateData": "", "clientKeyData": null}))),
            json!({"apiVersion": ExecApi::V1.name(), "status": {"token": "t"}}).to_string(),
            yaml.to_owned(),
        ] {
            let credentials = plugin("").read(output.as_bytes(), 1).unwrap();
            assert_eq!(credentials.authorization.unwrap(), "Bearer t", "{output}");
            assert!(credentials.identity.is_none());
        }
        let both = answer(json!({"token": "t", "clientCertificateData": CRT, "clientKeyData": KEY})).to_string();
        let credentials = plugin("").read(both.as_bytes(), 1).unwrap();
        assert!(credentials.authorization.is_some() && credentials.identity.is_some());
        let beta = Plugin { api: ExecApi::V1beta1, ..plugin("") };
        let answer = json!({"apiVersion": ExecApi::V1beta1.name(), "kind": "ExecCredential", "status": {"token": "t"}});
        assert!(beta.read(answer.to_string().as_bytes(), 1).is_ok());
    }

    #[test]
    fn bad_answers_are_told_without_their_content() {
        let s = "s3cr3t";
        for (output, words) in [
            (String::new(), "answered as nothing, not client.authentication.k8s.io/v1"),
            (s.to_owned(), "printed no ExecCredential: neither JSON nor YAML (line 1)"),
            (format!("error: {s}"), "answered as nothing"),
            (format!("logging in\n{}", answer(json!({"token": s}))), "neither JSON nor YAML"),
            (format!("{} {s}", answer(json!({"token": s}))), "trailing characters"),
            (format!("{{\"{s}"), "EOF while parsing"),
            ("[]".to_owned(), "neither JSON nor YAML"),
            ("\u{1}".to_owned(), "neither JSON nor YAML"),
            (json!({"apiVersion": ExecApi::V1beta1.name(), "status": {"token": s}}).to_string(), "v1beta1, not client"),
            (json!({"apiVersion": s, "status": {"token": s}}).to_string(), "answered as something else"),
            (json!({"apiVersion": ExecApi::V1.name(), "kind": s, "status": {}}).to_string(), "of another kind"),
            (json!({"apiVersion": ExecApi::V1.name(), "kind": "ExecCredential"}).to_string(), "has no status"),
            (answer(json!({})).to_string(), "gave neither a token nor a certificate"),
            (answer(json!({"token": ""})).to_string(), "gave neither"),
            (answer(json!({"Token": s})).to_string(), "gave neither"),
            (answer(json!({"token": 1234567})).to_string(), "a number where a string"),
            (answer(json!({"token": format!("{s}\n")})).to_string(), "gave a bad token: the token holds a control"),
            (answer(json!({"clientCertificateData": CRT})).to_string(), "a certificate without its key"),
            (answer(json!({"clientKeyData": KEY, "token": s})).to_string(), "a key without its certificate"),
            (answer(json!({"clientKeyData": OTHER_KEY, "clientCertificateData": CRT})).to_string(), "does not belong"),
            (answer(json!({"clientKeyData": s, "clientCertificateData": CRT})).to_string(), "holds no private key"),
            (answer(json!({"clientKeyData": KEY, "clientCertificateData": s})).to_string(), "holds no certificate"),
            (answer(json!({"token": s, "expirationTimestamp": s})).to_string(), "expirationTimestamp"),
        ] {
            let error = plugin("").read(output.as_bytes(), 1).unwrap_err();
            let chain = error.chain();
            assert!(chain.starts_with("credential plugin \"/bin/sh\" ") && chain.contains(words), "{output}: {chain}");
            assert!(!chain.contains(s) && !chain.contains("1234567") && !chain.contains("PRIVATE KEY"), "{chain}");
            assert_eq!(error.kind(), Kind::Denied);
        }
    }

    #[test]
    fn failures_name_the_program_and_its_end() {
        for (script, words) in [
            ("echo s3cr3t; exit 3", "failed with exit code 3"),
            ("kill -9 $$", "failed with signal 9"),
            ("yes s3cr3t", "printed more than 1 MiB"),
        ] {
            let error = token(&plugin(script)).unwrap_err();
            assert_eq!(error.chain(), format!("credential plugin \"/bin/sh\" {words}"));
            assert!(error.kind() == Kind::Denied && error.remedy().is_some());
        }
        let gone = Exec { command: "/no/such/plugin".into(), ..exec("") };
        let chain = token(&plugin_of(&gone, Stdin::Other)).unwrap_err().chain();
        assert!(chain.starts_with("credential plugin \"/no/such/plugin\" can't be run: No such file"), "{chain}");
    }

    #[test]
    fn a_plugin_that_is_not_installed_says_how_to_get_it() {
        let mut missing = Exec { command: "no-such-plugin".into(), ..exec("") };
        let error = token(&plugin_of(&missing, Stdin::Other)).unwrap_err();
        assert_eq!(error.chain(), "credential plugin \"no-such-plugin\" not found on PATH");
        assert!(error.remedy().unwrap().starts_with("install it"));
        missing.install_hint = Some(format!("get \x1b[31mit\n\tnow\x07 é{}", "x".repeat(10_000)));
        let error = token(&plugin_of(&missing, Stdin::Other)).unwrap_err();
        let hint = error.remedy().unwrap();
        assert!(hint.starts_with("get \\x1b[31mit\n\tnow\\x07 é") && hint.len() < 5000, "{hint}");
    }

    #[test]
    fn only_absolute_entries_of_path_are_searched() {
        let plugin = |path: &str, command: &str| {
            let exec = Exec { command: command.into(), ..exec("") };
            let env = Env::new([("PATH", path)]);
            Plugin::new(&exec, &cluster(), &env, Notices::new(0, false, |_| {}), Stdin::Other).locate()
        };
        assert_eq!(plugin("/nowhere:/bin", "sh").unwrap(), Path::new("/bin/sh"));
        for path in ["bin", ".", "", "/etc"] {
            assert!(plugin(path, "sh").is_err(), "{path}");
        }
        assert!(plugin("/etc", "passwd").is_err(), "not executable");
        assert_eq!(plugin("", "./sh").unwrap(), Path::new("./sh"), "a path is no name");
    }

    #[test]
    fn credentials_are_kept_until_they_expire() {
        let dir = tempfile::tempdir().unwrap();
        let forever = counting(dir.path(), "");
        assert_eq!(token(&forever).unwrap(), "Bearer 1");
        assert_eq!(token(&forever).unwrap(), "Bearer 1");
        let dir = tempfile::tempdir().unwrap();
        let until = counting(dir.path(), ", \"expirationTimestamp\": \"2026-11-21T00:00:00Z\"");
        let end = Timestamp::parse_rfc3339("2026-11-21T00:00:00Z").unwrap();
        let at = |clock: Timestamp| {
            let credentials = block_on(until.current(&Clock::Fixed(clock))).unwrap();
            credentials.authorization.as_ref().unwrap().to_str().unwrap().to_owned()
        };
        assert_eq!(at(end), "Bearer 1");
        assert_eq!(at(end), "Bearer 1");
        assert_eq!(at(end.saturating_add(Duration::from_micros(1))), "Bearer 2", "used once even if it comes expired");
    }

    #[test]
    fn many_who_wait_share_one_run_and_a_refusal_costs_one() {
        let dir = tempfile::tempdir().unwrap();
        let plugin = counting(dir.path(), "");
        block_on(async {
            let clock = Clock::System;
            let (a, b, c) = tokio::join!(plugin.current(&clock), plugin.current(&clock), plugin.current(&clock));
            let first = a.unwrap().generation;
            assert_eq!([b.unwrap().generation, c.unwrap().generation], [first; 2]);
            let (a, b) = tokio::join!(plugin.renew(first, &clock), plugin.renew(first, &clock));
            a.unwrap();
            b.unwrap();
        });
        assert_eq!(token(&plugin).unwrap(), "Bearer 2");
    }

    #[test]
    fn another_certificate_is_counted_another_token_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("answer");
        let plugin = plugin(&format!("cat {}", file.display()));
        let other = rcgen::KeyPair::generate().unwrap();
        let other_crt = rcgen::CertificateParams::default().self_signed(&other).unwrap().pem();
        let mut generations = Vec::new();
        for status in [
            json!({"clientCertificateData": CRT, "clientKeyData": KEY}),
            json!({"clientCertificateData": CRT, "clientKeyData": KEY, "token": "t"}),
            json!({"clientCertificateData": other_crt, "clientKeyData": other.serialize_pem()}),
            json!({"token": "t"}),
        ] {
            std::fs::write(&file, answer(status).to_string()).unwrap();
            block_on(async {
                let seen = plugin.last.lock().await.as_ref().map_or(0, |known| known.generation);
                plugin.renew(seen, &Clock::System).await.unwrap();
            });
            generations.push(plugin.identity_generation());
        }
        assert_eq!(generations, [0, 0, 1, 2]);
    }

    #[test]
    fn a_run_that_nobody_waits_for_is_killed() {
        let dir = tempfile::tempdir().unwrap();
        // Opening a fifo waits for the other side, so the test knows that the plugin runs, and its end closes it.
        let fifo = dir.path().join("fifo");
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let plugin = plugin(&format!("exec 3> {}; echo up >&3; exec sleep 1000", fifo.display()));
        block_on(async {
            let (up, started) = oneshot::channel();
            let (down, ended) = oneshot::channel();
            std::thread::spawn(move || {
                let mut fifo = std::fs::File::open(fifo).unwrap();
                fifo.read_exact(&mut [0; 3]).unwrap();
                up.send(()).unwrap();
                fifo.read_to_end(&mut Vec::new()).unwrap();
                down.send(()).unwrap();
            });
            tokio::select! {
                _ = plugin.current(&Clock::System) => panic!("it sleeps"),
                started = started => started.unwrap(),
            }
            ended.await.unwrap();
        });
    }

    #[test]
    fn debug_shows_no_secret() {
        let mut exec = exec("s3cr3t");
        exec.env = vec![("X".into(), "s3cr3t".into())];
        let plugin = plugin_of(&exec, Stdin::Other);
        let credentials = plugin.read(answer(json!({"token": "s3cr3t"})).to_string().as_bytes(), 1).unwrap();
        assert!(!format!("{exec:?} {plugin:?} {credentials:?}").contains("s3cr3t"));
    }
}
