//! From flags, environment and kubeconfig to the one cluster and identity that count.

use std::path::PathBuf;

use super::check::has_certificate;
use super::fields::{Encoded, Hidden, List, Location, Switch, Text, encoded, hidden, location, switch, text};
use super::incluster::Pod;
use super::kubeconfig::{self, Entry, Kubeconfig};
use super::resolve::MAX_PEM;
use super::{Config, Env, pem, quoted, read_file};
use crate::args::Connection;
use crate::args::suggest::nearest;
use crate::error::{Error, Kind, Result};
use crate::named::Named;
use crate::secret::Secret;

/// Reads what `flags` and `env` point to and resolves it.
pub fn load(flags: &Connection, env: &Env) -> Result<Config> {
    let files = kubeconfig::load(flags.kubeconfig.as_deref(), env)?;
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
    let namespace = (flags.namespace.as_deref().or(choice.namespace.as_deref()))
        .or_else(|| pod.as_ref().and_then(Pod::namespace))
        .unwrap_or("default")
        .to_owned();
    choice.resolve(namespace, env)
}

/// The names of all contexts.
pub fn contexts(flags: &Connection, env: &Env) -> Result<Vec<String>> {
    Ok(kubeconfig::load(flags.kubeconfig.as_deref(), env)?.contexts.names().cloned().collect())
}

/// The fields that count, still as written, each with words for where it stands.
#[derive(Debug, Default)]
pub(super) struct Choice {
    pub(super) context: Option<String>,
    namespace: Option<String>,
    pub(super) cluster: kubeconfig::Cluster,
    /// `cluster "c" of /home/me/.kube/config`
    pub(super) cluster_place: String,
    pub(super) user: kubeconfig::User,
    pub(super) user_place: String,
    /// The user's name and the file that defined it, where tokens are written back to.
    pub(super) user_origin: Option<(String, PathBuf)>,
    pub(super) warnings: Vec<String>,
}

impl Choice {
    fn from_kubeconfig(files: &Kubeconfig, flags: &Connection, env: &Env) -> Result<Choice> {
        let mut warnings = Vec::new();
        if files.read.is_empty() && env.var("KUBECONFIG").is_some() {
            warnings.push(match files.missing.is_empty() {
                true => "KUBECONFIG names no file".to_owned(),
                false => format!("no file that KUBECONFIG names exists: {}", list(&files.missing)),
            });
        }
        let wanted = flags.context.as_deref();
        let name = wanted.or(files.current_context.as_deref());
        let context = match (name, files.contexts.get(name.unwrap_or_default())) {
            (_, Some(context)) => context.clone(),
            (None, None) => Entry::default(),
            (Some(name), None) => {
                let source = if wanted.is_some() { "--context" } else { "current-context" };
                return Err(absent("context", name, source, files.contexts.names(), files));
            }
        };
        let context_name = name.unwrap_or_default();
        let (cluster_name, cluster) = pick(
            flags.cluster.as_deref().ok_or(text(&context.fields.cluster)),
            ("cluster", "--cluster"),
            &files.clusters,
            files,
        )?;
        let (user_name, user) =
            pick(flags.user.as_deref().ok_or(text(&context.fields.user)), ("user", "--user"), &files.users, files)?;
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
            user_origin: user_name.zip(user).map(|(name, entry)| (name.to_owned(), entry.origin.clone())),
            warnings,
        };
        if text(&choice.cluster.server).is_none() && flags.server.as_deref().is_none() {
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
            choice.user.token_file = Some(Location(pod.token_file.clone()));
        }
        choice
    }

    /// Flags over entries.
    fn overlay(&mut self, flags: &Connection) {
        let flag = |value: &Option<String>| value.clone().map(Text);
        let path = |value: &Option<PathBuf>| value.clone().map(Location);
        let secret = |value: &Option<Secret>| value.clone().map(Hidden);
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
                extra.entry(key).clear();
            }
            for (key, value) in &flags.as_user_extra {
                extra.entry(key).push(value.clone());
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
                || (location(&cluster.certificate_authority).is_none()
                    && encoded(&cluster.certificate_authority_data).is_none()
                    && !switch(&cluster.insecure_skip_tls_verify)
                    && text(&cluster.tls_server_name).is_none()
                    && !has_certificate(user)
                    && hidden(&user.token).is_none()
                    && location(&user.token_file).is_none()
                    && text(&user.username).is_none()
                    && user.exec.is_none()
                    && user.auth_provider.is_none()))
    }
}

/// The entry a flag (`Ok`) or the context (`Err`) names: a flag's must exist, a context's need not.
fn pick<'a, T>(
    name: Result<&'a str, Option<&'a str>>,
    (kind, flag): (&str, &str),
    entries: &'a Named<Entry<T>>,
    files: &Kubeconfig,
) -> Result<(Option<&'a str>, Option<&'a Entry<T>>)> {
    match name {
        Ok(name) => match entries.get(name) {
            Some(entry) => Ok((Some(name), Some(entry))),
            None => Err(absent(kind, name, flag, entries.names(), files)),
        },
        Err(name) => Ok((name, entries.get(name.unwrap_or_default()))),
    }
}

/// An entry that should exist; the hint says which do.
fn absent<'a>(
    kind: &str,
    name: &str,
    source: &str,
    others: impl Iterator<Item = &'a String> + Clone,
    files: &Kubeconfig,
) -> Error {
    let place = if files.read.is_empty() { "any kubeconfig file".to_owned() } else { list(&files.read) };
    let near = nearest(name, others.clone().map(String::as_str));
    let near = near.map(|near| format!("did you mean {}? ", quoted(near))).unwrap_or_default();
    let mut names: Vec<String> = others.take(9).map(|name| quoted(name)).collect();
    if names.len() == 9 {
        names[8] = "…".into();
    }
    Error::new(Kind::Failed, format!("{kind} {} ({source}) does not exist in {place}", quoted(name))).hint(match names
        .is_empty()
    {
        true => format!("no {kind} is defined there; name another file with --kubeconfig or KUBECONFIG"),
        false => format!("{near}there are: {}", names.join(", ")),
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
            [] if env.var("KUBECONFIG").is_some() => "there is no kubeconfig: KUBECONFIG names none".to_owned(),
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

fn place<T>(kind: &str, name: Option<&str>, entry: Option<&Entry<T>>) -> String {
    match (name, entry) {
        (Some(name), Some(entry)) => format!("{kind} {} of {}", quoted(name), entry.origin.display()),
        _ => format!("the {kind} from flags and defaults"),
    }
}

fn list(paths: &[PathBuf]) -> String {
    let mut shown: Vec<String> = paths.iter().take(4).map(|path| path.display().to_string()).collect();
    if paths.len() > 4 {
        shown[3] = "…".into();
    }
    shown.join(", ")
}

fn replace<T>(field: &mut Option<T>, flag: Option<T>) {
    if flag.is_some() {
        *field = flag;
    }
}
