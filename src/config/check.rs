//! What makes a chosen cluster and user unusable, by client-go's rules, whatever the server's scheme.

use std::fs::File;
use std::path::Path;

use super::fields::{Encoded, Location, encoded, hidden, location, text};
use super::proxy::{BadProxy, Proxy};
use super::select::Choice;
use super::{Interactive, is_pipe, kubeconfig, quoted};
use crate::error::{Error, Kind, Result};

impl Choice {
    /// What is wrong whatever the server's scheme.
    pub(super) fn validate(&self) -> Result<()> {
        let at_cluster = |what: &str, hint: &str| Err(fault(&self.cluster_place, what).hint(hint));
        let cluster = &self.cluster;
        if location(&cluster.certificate_authority).is_some() && encoded(&cluster.certificate_authority_data).is_some()
        {
            return at_cluster("certificate-authority and certificate-authority-data exclude each other", "remove one");
        }
        if let Some(path) = location(&cluster.certificate_authority) {
            openable(path, "certificate-authority", &self.cluster_place)?;
        }
        self.proxy_url()?;
        self.validate_user()
    }

    /// The kubeconfig's proxy, which no variable overrides or exempts from.
    pub(super) fn proxy_url(&self) -> Result<Option<Proxy>> {
        let Some(url) = hidden(&self.cluster.proxy_url) else { return Ok(None) };
        let proxy = Proxy::parse(url.expose(), None, "proxy-url");
        let wrong = |bad: BadProxy| fault(&self.cluster_place, &format!("proxy-url {bad}")).hint(bad.remedy());
        proxy.map(Some).map_err(wrong)
    }

    fn validate_user(&self) -> Result<()> {
        let user = &self.user;
        let at_user = |what: &str, hint: &str| Err(fault(&self.user_place, what).hint(hint));
        if hidden(&user.token).is_some() && (text(&user.username).is_some() || hidden(&user.password).is_some()) {
            return at_user("token and username/password exclude each other", "give one of them");
        }
        if has_certificate(user) {
            let both =
                |file: &Option<Location>, data: &Option<Encoded>| location(file).is_some() && encoded(data).is_some();
            if both(&user.client_certificate, &user.client_certificate_data) {
                return at_user("client-certificate and client-certificate-data exclude each other", "remove one");
            }
            if both(&user.client_key, &user.client_key_data) {
                return at_user("client-key and client-key-data exclude each other", "remove one");
            }
            if location(&user.client_key).is_none() && encoded(&user.client_key_data).is_none() {
                return at_user("the client certificate has no key", "add client-key or client-key-data");
            }
            for (path, field) in [(&user.client_certificate, "client-certificate"), (&user.client_key, "client-key")] {
                if let Some(path) = location(path) {
                    openable(path, field, &self.user_place)?;
                }
            }
        }
        if let Some(exec) = &user.exec {
            if user.auth_provider.is_some() {
                return at_user("auth-provider and exec exclude each other", "remove one");
            }
            if location(&exec.command).is_none() {
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
}

/// `exec.interactiveMode`, which v1 requires.
pub(super) fn interactive(exec: &kubeconfig::Exec) -> Result<Interactive, String> {
    match (text(&exec.interactive_mode), text(&exec.api_version)) {
        (Some("Never"), _) => Ok(Interactive::Never),
        (Some("IfAvailable"), _) => Ok(Interactive::IfAvailable),
        (Some("Always"), _) => Ok(Interactive::Always),
        (Some(other), _) => Err(format!("exec.interactiveMode {} is not known", quoted(other))),
        (None, Some("client.authentication.k8s.io/v1")) => Err("exec has no interactiveMode".to_owned()),
        (None, _) => Ok(Interactive::IfAvailable),
    }
}

/// Whether the user has a client certificate; a key alone is none.
pub(super) fn has_certificate(user: &kubeconfig::User) -> bool {
    location(&user.client_certificate).is_some() || encoded(&user.client_certificate_data).is_some()
}

fn openable(path: &Path, field: &str, place: &str) -> Result<()> {
    // A pipe is not opened for nothing: whoever writes to it would find it closed.
    if is_pipe(path) {
        return Ok(());
    }
    File::open(path).map(|_| ()).map_err(|error| unreadable(error, path, field, place))
}

/// A fault of an entry.
pub(super) fn fault(place: &str, what: &str) -> Error {
    Error::new(Kind::Failed, what).within(place)
}

pub(super) fn unreadable(error: std::io::Error, path: &Path, field: &str, place: &str) -> Error {
    Error::new(Kind::Failed, format!("{field} {}", path.display()))
        .because(error)
        .hint(format!("correct {field}, or make the file readable"))
        .within(place)
}
