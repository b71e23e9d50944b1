//! From flags, environment and kubeconfig to the one cluster and identity that count.

use std::path::{Path, PathBuf};

use super::fields::{Encoded, Hidden, List, Switch, Text, encoded, hidden, switch, text};
use super::incluster::Pod;
use super::kubeconfig::{self, Entry, Kubeconfig};
use super::{
    ClientCertificate, Cluster, Config, Env, Exec, ExecApi, Impersonate, Interactive, Scheme, Server, Trust, User, pem,
    proxy, quoted, read_file,
};
use crate::args::Connection;
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;

/// The largest certificate or key file read.
const MAX_PEM: usize = 4 << 20;

/// The name under which a cluster keeps what it tells credential plugins.
const EXEC_EXTENSION: &str = "client.authentication.k8s.io/exec";

/// Reads what `flags` and `env` point to and resolves it.
pub fn load(flags: &Connection, env: &Env) -> Result<Config> {
    let explicit = flags.kubeconfig.as_deref().filter(|path| !path.as_os_str().is_empty());
    let files = kubeconfig::load(explicit, env)?;
    let pod = Pod::detect(env);
    let mut choice = Choice::from_kubeconfig(&files, flags, env)?;
    choice.overlay(flags);
    choice.validate()?;
    if let Some(pod) = &pod
        && choice.is_default(env)
    {
        choice = Choice::from_pod(pod, flags);
        choice.overlay(flags);
        choice.validate()?;
    }
    let namespace = (set(&flags.namespace).or(choice.namespace.as_deref()))
        .or_else(|| pod.as_ref().and_then(Pod::namespace))
        .unwrap_or("default")
        .to_owned();
    choice.resolve(namespace, env)
}

/// The fields that count, still as written, each with words for where it stands.
#[derive(Debug, Default)]
struct Choice {
    context: Option<String>,
    namespace: Option<String>,
    cluster: kubeconfig::Cluster,
    /// `cluster "c" of /home/me/.kube/config`
    cluster_place: String,
    user: kubeconfig::User,
    user_place: String,
    warnings: Vec<String>,
}

impl Choice {
    fn from_kubeconfig(files: &Kubeconfig, flags: &Connection, env: &Env) -> Result<Choice> {
        let mut warnings = Vec::new();
        if files.read.is_empty() && env.var("KUBECONFIG").is_some() {
            warnings.push(format!("no file that KUBECONFIG names exists: {}", list(&files.missing)));
        }
        let wanted = set(&flags.context);
        let name = wanted.or(files.current_context.as_deref());
        let context = match (name, files.contexts.get(name.unwrap_or_default())) {
            (_, Some(context)) => context.clone(),
            (None, None) => Entry::default(),
            (Some(name), None) => {
                let source = if wanted.is_some() { "--context" } else { "current-context" };
                return Err(absent("context", name, source, files.contexts.keys(), files));
            }
        };
        let context_name = name.unwrap_or_default();
        let (cluster_name, cluster) = pick(
            set(&flags.cluster).ok_or(text(&context.fields.cluster)),
            ("cluster", "--cluster"),
            &files.clusters,
            files,
        )?;
        let (user_name, user) =
            pick(set(&flags.user).ok_or(text(&context.fields.user)), ("user", "--user"), &files.users, files)?;
        if let (Some(name), None) = (user_name, user) {
            warnings.push(format!(
                "context {} names the user {}, which does not exist in {}: going on without credentials",
                quoted(context_name),
                quoted(name),
                list(&files.read),
            ));
        }
        let mut choice = Choice {
            context: name.map(str::to_owned),
            namespace: text(&context.fields.namespace).map(str::to_owned),
            cluster_place: place("cluster", cluster_name, cluster),
            cluster: cluster.map(|entry| entry.fields.clone()).unwrap_or_default(),
            user_place: place("user", user_name, user),
            user: user.map(|entry| entry.fields.clone()).unwrap_or_default(),
            warnings,
        };
        if text(&choice.cluster.server).is_none() && set(&flags.server).is_none() {
            choice.warnings.extend(explain_default(files, &choice, cluster_name, cluster.is_some(), env));
        }
        if text(&choice.cluster.server).is_none() {
            choice.cluster.server = Some(Text(default_server(env)));
        }
        Ok(choice)
    }

    fn from_pod(pod: &Pod, flags: &Connection) -> Choice {
        let mut choice = Choice {
            cluster_place: "the pod's cluster".into(),
            user_place: "the pod's service account".into(),
            ..Choice::default()
        };
        choice.cluster.server = Some(Text(pod.server.clone()));
        let other_trust = flags.certificate_authority.is_some() || flags.insecure_skip_tls_verify == Some(true);
        match read_file(&pod.certificate_authority, MAX_PEM).map(|pem| (pem::certificates(&pem), pem)) {
            _ if other_trust => {}
            Ok((Ok(_), pem)) => choice.cluster.certificate_authority_data = Some(Encoded(Secret::new(pem))),
            Ok((Err(why), _)) => choice.warnings.push(format!(
                "{} {why}: trusting the system's certificate authorities",
                pod.certificate_authority.display()
            )),
            Err(why) => choice.warnings.push(format!(
                "{} can't be read ({why}): trusting the system's certificate authorities",
                pod.certificate_authority.display()
            )),
        }
        // Here, unlike with a kubeconfig, a token from the command line stands instead of the file.
        if flags.token.is_none() {
            choice.user.token_file = Some(Text(pod.token_file.to_string_lossy().into_owned()));
        }
        choice
    }

    /// Flags over entries.
    fn overlay(&mut self, flags: &Connection) {
        let flag = |value: &Option<String>| set(value).map(|value| Text(value.to_owned()));
        let path = |value: &Option<PathBuf>| {
            value.as_ref().filter(|path| !path.as_os_str().is_empty()).map(|path| Text(path.to_string_lossy().into()))
        };
        let secret = |value: &Option<Secret>| value.clone().filter(|s| !s.expose().is_empty()).map(Hidden);
        let cluster = &mut self.cluster;
        let insecure = flags.insecure_skip_tls_verify == Some(true);
        let authority = path(&flags.certificate_authority);
        if insecure || authority.is_some() {
            cluster.insecure_skip_tls_verify = Some(Switch(insecure));
            cluster.certificate_authority = authority;
            cluster.certificate_authority_data = None;
        }
        if let Some(server) = flag(&flags.server) {
            cluster.server = Some(server);
            // It was the name of another server.
            cluster.tls_server_name = None;
        }
        replace(&mut cluster.tls_server_name, flag(&flags.tls_server_name));
        if flags.disable_compression == Some(true) {
            cluster.disable_compression = Some(Switch(true));
        }

        let user = &mut self.user;
        if let Some(certificate) = path(&flags.client_certificate) {
            user.client_certificate = Some(certificate);
            user.client_certificate_data = None;
        }
        if let Some(key) = path(&flags.client_key) {
            user.client_key = Some(key);
            user.client_key_data = None;
        }
        replace(&mut user.token, secret(&flags.token));
        replace(&mut user.username, flag(&flags.username));
        replace(&mut user.password, secret(&flags.password));
        replace(&mut user.as_user, flag(&flags.as_user));
        replace(&mut user.as_uid, flag(&flags.as_uid));
        if !flags.as_groups.is_empty() {
            user.as_groups = Some(List(flags.as_groups.iter().cloned().map(Text).collect()));
        }
        if !flags.as_user_extra.is_empty() {
            let extra = &mut user.as_user_extra.get_or_insert_default().0;
            for (key, _) in &flags.as_user_extra {
                extra.remove(key);
            }
            for (key, value) in &flags.as_user_extra {
                extra.entry(key.clone()).or_default().push(value.clone());
            }
        }
    }

    /// Whether nothing was configured that a pod's own access would not replace.
    ///
    /// Impersonation may be: kubectl then asks localhost:8080, which answers nobody; we ask the pod's cluster.
    fn is_default(&self, env: &Env) -> bool {
        let (cluster, user) = (&self.cluster, &self.user);
        let default = default_server(env);
        text(&cluster.server) == Some(&default)
            && hidden(&cluster.proxy_url).is_none()
            && (!default.starts_with("https://")
                || (text(&cluster.certificate_authority).is_none()
                    && encoded(&cluster.certificate_authority_data).is_none()
                    && !switch(&cluster.insecure_skip_tls_verify)
                    && text(&cluster.tls_server_name).is_none()
                    && !has_certificate(user)
                    && hidden(&user.token).is_none()
                    && text(&user.token_file).is_none()
                    && text(&user.username).is_none()
                    && user.exec.is_none()
                    && user.auth_provider.is_none()))
    }

    /// What is wrong whatever the server's scheme.
    fn validate(&self) -> Result<()> {
        let at_cluster = |what: &str, hint: &str| Err(fault(&self.cluster_place, what).hint(hint));
        let cluster = &self.cluster;
        if text(&cluster.certificate_authority).is_some() && encoded(&cluster.certificate_authority_data).is_some() {
            return at_cluster("certificate-authority and certificate-authority-data exclude each other", "remove one");
        }
        if let Some(path) = text(&cluster.certificate_authority) {
            openable(path, "certificate-authority", &self.cluster_place)?;
        }
        if hidden(&cluster.proxy_url).is_some_and(|url| !proxy::is_supported(url.expose())) {
            return at_cluster("proxy-url is not one of http, https, socks5", "write it as http://HOST:PORT");
        }
        self.validate_user()
    }

    fn validate_user(&self) -> Result<()> {
        let user = &self.user;
        let at_user = |what: &str, hint: &str| Err(fault(&self.user_place, what).hint(hint));
        if hidden(&user.token).is_some() && (text(&user.username).is_some() || hidden(&user.password).is_some()) {
            return at_user("token and username/password exclude each other", "give one of them");
        }
        if has_certificate(user) {
            let both = |file: &Option<Text>, data: &Option<Encoded>| text(file).is_some() && encoded(data).is_some();
            if both(&user.client_certificate, &user.client_certificate_data) {
                return at_user("client-certificate and client-certificate-data exclude each other", "remove one");
            }
            if both(&user.client_key, &user.client_key_data) {
                return at_user("client-key and client-key-data exclude each other", "remove one");
            }
            if text(&user.client_key).is_none() && encoded(&user.client_key_data).is_none() {
                return at_user("the client certificate has no key", "add client-key or client-key-data");
            }
            for (path, field) in [(&user.client_certificate, "client-certificate"), (&user.client_key, "client-key")] {
                if let Some(path) = text(path) {
                    openable(path, field, &self.user_place)?;
                }
            }
        }
        if let Some(exec) = &user.exec {
            if user.auth_provider.is_some() {
                return at_user("auth-provider and exec exclude each other", "remove one");
            }
            if text(&exec.command).is_none() {
                return at_user("exec has no command", "add exec.command, the credential plugin's name or path");
            }
            if text(&exec.api_version).is_none() {
                return at_user("exec has no apiVersion", "add exec.apiVersion: client.authentication.k8s.io/v1");
            }
            if exec.env.as_ref().is_some_and(|env| env.0.iter().any(|variable| text(&variable.name).is_none())) {
                return at_user("exec.env has a variable without a name", "name it or remove it");
            }
            interactive(exec).map_err(|what| {
                fault(&self.user_place, &what).hint("exec.interactiveMode is Never, IfAvailable or Always")
            })?;
        }
        let impersonates = text(&user.as_user).is_some();
        let more = text(&user.as_uid).is_some()
            || user.as_groups.as_ref().is_some_and(|groups| !groups.0.is_empty())
            || user.as_user_extra.as_ref().is_some_and(|extra| !extra.0.is_empty());
        if more && !impersonates {
            return at_user("impersonates a uid, groups or extra without a user", "name the user with --as");
        }
        Ok(())
    }

    /// Reads certificates and keys and builds the flat result.
    fn resolve(self, namespace: String, env: &Env) -> Result<Config> {
        let has_authority = text(&self.cluster.certificate_authority).is_some()
            || encoded(&self.cluster.certificate_authority_data).is_some();
        let insecure = switch(&self.cluster.insecure_skip_tls_verify);
        let otherwise =
            if has_authority || insecure || has_certificate(&self.user) { Scheme::Https } else { Scheme::Http };
        let given = text(&self.cluster.server).unwrap_or_default();
        let server = Server::parse(given, otherwise).map_err(|error| error.within(self.cluster_place.as_str()))?;
        self.refuse_proxy(&server, env)?;
        let mut warnings = self.warnings.clone();
        let (trust, authority) = match server.is_https() {
            true => self.trust()?,
            false => (Trust::System, None),
        };
        if matches!(trust, Trust::Insecure) {
            warnings.push(format!(
                "the certificate of {server} is not verified (insecure-skip-tls-verify): whoever stands between can read \
                 the credentials and change the answers"
            ));
        }
        let mut user = if server.is_https() { self.credentials()? } else { User::default() };
        user.impersonate = self.impersonate();
        let cluster = self.cluster;
        let exec_extension = cluster
            .extensions
            .into_iter()
            .flat_map(|list| list.0)
            .find(|extension| text(&extension.name) == Some(EXEC_EXTENSION))
            .and_then(|extension| extension.extension);
        Ok(Config {
            context: self.context,
            cluster: Cluster {
                server,
                tls_server_name: text(&cluster.tls_server_name).map(str::to_owned),
                trust,
                certificate_authority_data: authority,
                disable_compression: switch(&cluster.disable_compression),
                exec_extension,
            },
            user,
            namespace,
            warnings,
        })
    }

    /// Proxies are not built yet: better no connection than one past the proxy.
    fn refuse_proxy(&self, server: &Server, env: &Env) -> Result<()> {
        if hidden(&self.cluster.proxy_url).is_some() {
            return Err(fault(&self.cluster_place, "proxy-url is not supported yet")
                .hint("remove it where the server can be reached directly"));
        }
        match proxy::from_environment(env, server) {
            None => Ok(()),
            Some(variable) => Err(Error::new(
                Kind::Failed,
                format!("{variable} names a proxy for {}, and proxies are not supported yet", server.authority()),
            )
            .hint(format!("where the server can be reached directly: NO_PROXY={}", server.host))),
        }
    }

    fn trust(&self) -> Result<(Trust, Option<Vec<u8>>)> {
        let cluster = &self.cluster;
        let pem = match (text(&cluster.certificate_authority), encoded(&cluster.certificate_authority_data)) {
            (Some(path), _) => Some((read(path, "certificate-authority", &self.cluster_place)?, path)),
            (None, Some(data)) => Some((data.expose().clone(), "certificate-authority-data")),
            (None, None) => None,
        };
        match (pem, switch(&cluster.insecure_skip_tls_verify)) {
            (Some(_), true) => Err(fault(
                &self.cluster_place,
                "insecure-skip-tls-verify and a certificate authority exclude each other",
            )
            .hint("remove insecure-skip-tls-verify to have the server verified")),
            (None, true) => Ok((Trust::Insecure, None)),
            (None, false) => Ok((Trust::System, None)),
            (Some((pem, source)), false) => {
                let authorities = pem::certificates(&pem).map_err(|error| at(error, source, &self.cluster_place))?;
                Ok((Trust::Ca(authorities), Some(pem)))
            }
        }
    }

    fn credentials(&self) -> Result<User> {
        let user = &self.user;
        let certificate = if has_certificate(user) { Some(self.certificate()?) } else { None };
        let basic =
            text(&user.username).map(|name| (name.to_owned(), hidden(&user.password).cloned().unwrap_or_default()));
        let token = hidden(&user.token).cloned();
        let token_file = text(&user.token_file).map(PathBuf::from);
        if basic.is_some() && token_file.is_some() {
            return Err(
                fault(&self.user_place, "tokenFile and username/password exclude each other").hint("remove one")
            );
        }
        let has_header = basic.is_some() || token.is_some() || token_file.is_some();
        // A token or a password is what the server sees, so an auth-provider beside it is never asked.
        self.refuse_auth_provider(has_header)?;
        let exec = match &user.exec {
            Some(exec) => Some(self.exec(exec)?).filter(|_| !has_header && certificate.is_none()),
            None => None,
        };
        if !has_header && certificate.is_none() && exec.is_none() && hidden(&user.password).is_some() {
            return Err(fault(&self.user_place, "has a password but no username").hint("add username, or --username"));
        }
        Ok(User { certificate, token, token_file, basic, exec, impersonate: Impersonate::default() })
    }

    fn certificate(&self) -> Result<ClientCertificate> {
        let user = &self.user;
        let (crt, crt_source, certificate_file) =
            self.part(&user.client_certificate, &user.client_certificate_data, "client-certificate")?;
        let (key, key_source, key_file) = self.part(&user.client_key, &user.client_key_data, "client-key")?;
        let chain = pem::certificates(crt.expose()).map_err(|error| at(error, &crt_source, &self.user_place))?;
        let key = pem::key(key.expose()).map_err(|error| at(error, &key_source, &self.user_place))?;
        pem::check_pair(&chain, &key)
            .map_err(|error| at(error, &format!("{crt_source} with {key_source}"), &self.user_place))?;
        Ok(ClientCertificate { chain, key: Secret::new(key), certificate_file, key_file })
    }

    /// The PEM text, words for where it stands, and its file.
    fn part(&self, path: &Option<Text>, data: &Option<Encoded>, field: &str) -> Result<Part> {
        match text(path) {
            Some(path) => Ok((Secret::new(read(path, field, &self.user_place)?), path.to_owned(), Some(path.into()))),
            None => Ok((encoded(data).cloned().unwrap_or_default(), format!("{field}-data"), None)),
        }
    }

    fn refuse_auth_provider(&self, has_header: bool) -> Result<()> {
        let Some(provider) = &self.user.auth_provider else { return Ok(()) };
        let (what, hint) = match text(&provider.name).unwrap_or_default() {
            "oidc" if has_header => return Ok(()),
            "oidc" => (
                "auth-provider oidc is not supported yet".to_owned(),
                "pass the id-token with --token, or use a credential plugin such as kubelogin (exec)".to_owned(),
            ),
            "gcp" => (
                "auth-provider gcp was removed from Kubernetes clients".to_owned(),
                "use the credential plugin gke-gcloud-auth-plugin (exec)".to_owned(),
            ),
            "azure" => (
                "auth-provider azure was removed from Kubernetes clients".to_owned(),
                "use the credential plugin kubelogin, https://github.com/Azure/kubelogin (exec)".to_owned(),
            ),
            other => {
                (format!("auth-provider {} is not known", quoted(other)), "use a credential plugin (exec)".to_owned())
            }
        };
        Err(fault(&self.user_place, &what).hint(hint))
    }

    fn exec(&self, exec: &kubeconfig::Exec) -> Result<Exec> {
        let api = match text(&exec.api_version).unwrap_or_default() {
            "client.authentication.k8s.io/v1" => ExecApi::V1,
            "client.authentication.k8s.io/v1beta1" => ExecApi::V1beta1,
            other => {
                let words = format!("exec.apiVersion {} is not supported", quoted(other));
                return Err(fault(&self.user_place, &words).hint(
                    "use client.authentication.k8s.io/v1 or v1beta1; a newer version of the plugin may be needed",
                ));
            }
        };
        let variable = |variable: kubeconfig::Variable| {
            (variable.name.unwrap_or_default().0, variable.value.unwrap_or_default().0)
        };
        Ok(Exec {
            command: text(&exec.command).unwrap_or_default().to_owned(),
            args: exec.args.iter().flat_map(|list| &list.0).map(|Hidden(arg)| arg.clone()).collect(),
            env: exec.env.iter().flat_map(|list| &list.0).cloned().map(variable).collect(),
            api,
            install_hint: text(&exec.install_hint).map(str::to_owned),
            provide_cluster_info: switch(&exec.provide_cluster_info),
            interactive: interactive(exec).map_err(|what| fault(&self.user_place, &what))?,
        })
    }

    fn impersonate(&self) -> Impersonate {
        let user = &self.user;
        Impersonate {
            user: text(&user.as_user).map(str::to_owned),
            uid: text(&user.as_uid).map(str::to_owned),
            groups: user.as_groups.iter().flat_map(|list| &list.0).map(|Text(group)| group.clone()).collect(),
            extra: user.as_user_extra.clone().unwrap_or_default().0,
        }
    }
}

type Part = (Secret<Vec<u8>>, String, Option<PathBuf>);

/// `exec.interactiveMode`, which v1 requires.
fn interactive(exec: &kubeconfig::Exec) -> Result<Interactive, String> {
    match (text(&exec.interactive_mode), text(&exec.api_version)) {
        (Some("Never"), _) => Ok(Interactive::Never),
        (Some("IfAvailable"), _) => Ok(Interactive::IfAvailable),
        (Some("Always"), _) => Ok(Interactive::Always),
        (Some(other), _) => Err(format!("exec.interactiveMode {} is not known", quoted(other))),
        (None, Some("client.authentication.k8s.io/v1")) => Err("exec has no interactiveMode".to_owned()),
        (None, _) => Ok(Interactive::IfAvailable),
    }
}

/// The entry a flag (`Ok`) or the context (`Err`) names: a flag's must exist, a context's need not.
fn pick<'a, T>(
    name: Result<&'a str, Option<&'a str>>,
    (kind, flag): (&str, &str),
    entries: &'a std::collections::BTreeMap<String, Entry<T>>,
    files: &Kubeconfig,
) -> Result<(Option<&'a str>, Option<&'a Entry<T>>)> {
    match name {
        Ok(name) => match entries.get(name) {
            Some(entry) => Ok((Some(name), Some(entry))),
            None => Err(absent(kind, name, flag, entries.keys(), files)),
        },
        Err(name) => Ok((name, entries.get(name.unwrap_or_default()))),
    }
}

/// An entry that should exist; the hint says which do.
fn absent<'a>(
    kind: &str,
    name: &str,
    source: &str,
    others: impl Iterator<Item = &'a String>,
    files: &Kubeconfig,
) -> Error {
    let place = if files.read.is_empty() { "any kubeconfig file".to_owned() } else { list(&files.read) };
    let mut names: Vec<String> = others.take(9).map(|name| quoted(name)).collect();
    if names.len() == 9 {
        names[8] = "…".into();
    }
    Error::new(Kind::Failed, format!("{kind} {} ({source}) does not exist in {place}", quoted(name))).hint(match names
        .is_empty()
    {
        true => format!("no {kind} is defined there; name another file with --kubeconfig or KUBECONFIG"),
        false => format!("there are: {}", names.join(", ")),
    })
}

/// Why the default server is used, for a person who did not want it.
fn explain_default(
    files: &Kubeconfig,
    choice: &Choice,
    cluster: Option<&str>,
    exists: bool,
    env: &Env,
) -> Option<String> {
    if env.var("KUBERNETES_MASTER").is_some() {
        return None;
    }
    let why = match (cluster, &choice.context) {
        _ if files.read.is_empty() => match files.missing.as_slice() {
            [] => "there is no kubeconfig: HOME is not set".to_owned(),
            missing => format!("there is no kubeconfig: {} does not exist", list(missing)),
        },
        (Some(name), _) if exists => format!("cluster {} has no server", quoted(name)),
        (Some(name), _) => format!("cluster {} does not exist in {}", quoted(name), list(&files.read)),
        (None, Some(context)) => format!("context {} names no cluster", quoted(context)),
        (None, None) => format!("{} sets no current-context (choose with --context)", list(&files.read)),
    };
    Some(format!("{why}: trying {}, as kubectl does", default_server(env)))
}

fn default_server(env: &Env) -> String {
    env.text("KUBERNETES_MASTER").unwrap_or("http://localhost:8080").to_owned()
}

fn has_certificate(user: &kubeconfig::User) -> bool {
    text(&user.client_certificate).is_some() || encoded(&user.client_certificate_data).is_some()
}

fn place<T>(kind: &str, name: Option<&str>, entry: Option<&Entry<T>>) -> String {
    match (name, entry) {
        (Some(name), Some(entry)) => format!("{kind} {} of {}", quoted(name), entry.origin.display()),
        _ => format!("the {kind} from flags and defaults"),
    }
}

/// A fault of an entry.
fn fault(place: &str, what: &str) -> Error {
    Error::new(Kind::Failed, what).within(place)
}

/// A fault of a file or a field of an entry.
fn at(error: Error, source: &str, place: &str) -> Error {
    error.within(source).within(place)
}

fn openable(path: &str, field: &str, place: &str) -> Result<()> {
    std::fs::File::open(path).map(|_| ()).map_err(|error| unreadable(error, path, field, place))
}

fn read(path: &str, field: &str, place: &str) -> Result<Vec<u8>> {
    read_file(Path::new(path), MAX_PEM).map_err(|error| unreadable(error, path, field, place))
}

fn unreadable(error: std::io::Error, path: &str, field: &str, place: &str) -> Error {
    Error::new(Kind::Failed, format!("{field} {path}"))
        .because(error)
        .hint(format!("correct {field}, or make the file readable"))
        .within(place)
}

fn list(paths: &[PathBuf]) -> String {
    let mut shown: Vec<String> = paths.iter().take(4).map(|path| path.display().to_string()).collect();
    if paths.len() > 4 {
        shown[3] = "…".into();
    }
    shown.join(", ")
}

/// A flag's value unless empty.
fn set(value: &Option<String>) -> Option<&str> {
    value.as_deref().filter(|value| !value.is_empty())
}

fn replace<T>(field: &mut Option<T>, flag: Option<T>) {
    if flag.is_some() {
        *field = flag;
    }
}
