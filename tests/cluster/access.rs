//! Who asks (certificates, tokens, passwords, impersonation) and what they may do.

use std::collections::HashMap;
use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HeaderMap};

/// The users of every simulated cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum User {
    /// Everything; member of system:masters.
    Admin,
    /// Reads nodes, pods, events and leases, but may not use nodes/proxy.
    NoProxy,
    /// Reads nodes and may get nodes/proxy: what this program asks its users to grant.
    LogReader,
    /// nodes/log only: enough at a kubelet, useless through the API server.
    LogsOnly,
    /// Reads nodes, and nodes/log at the kubelets.
    Direct,
    /// Known, but without any right.
    Nobody,
    /// A certificate without any right.
    Limited,
    /// No credentials at all.
    Anonymous,
    /// A token the cluster does not know.
    BadToken,
}

/// All of them.
pub(crate) const USERS: [User; 9] = [
    User::Admin,
    User::NoProxy,
    User::LogReader,
    User::LogsOnly,
    User::Direct,
    User::Nobody,
    User::Limited,
    User::Anonymous,
    User::BadToken,
];

/// The name and groups a request acts as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) groups: Vec<String>,
}

/// One thing someone may do beyond the table of [`User`].
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) name: String,
    pub(crate) verb: &'static str,
    /// Such as `nodes` or `nodes/proxy`.
    pub(crate) resource: &'static str,
}

impl User {
    /// Its name in the cluster.
    pub(crate) fn name(self) -> &'static str {
        match self {
            User::Admin => "admin",
            User::NoProxy => "viewer",
            User::LogReader => "logreader",
            User::LogsOnly => "finelog",
            User::Direct => "direct",
            User::Nobody => "nobody",
            User::Limited => "limited",
            User::Anonymous => "system:anonymous",
            User::BadToken => "bad",
        }
    }

    /// Name and groups.
    pub(crate) fn identity(self) -> Identity {
        let groups: &[&str] = match self {
            User::Admin => &["system:masters"],
            User::LogReader => &["nodelog-readers"],
            _ => &[],
        };
        Identity { name: self.name().to_owned(), groups: groups.iter().map(|group| (*group).to_owned()).collect() }
    }

    /// Its bearer token.
    pub(crate) fn token(self) -> String {
        format!("sim-token-of-{}-0123456789abcdef", self.name())
    }

    /// Its password.
    pub(crate) fn password(self) -> String {
        format!("sim-password-of-{}", self.name())
    }

    fn may(name: &str, verb: &str, resource: &str) -> bool {
        let read = matches!(verb, "get" | "list" | "watch");
        let objects = matches!(resource, "nodes" | "pods" | "pods/log" | "events" | "leases");
        match USERS.iter().find(|user| user.name() == name) {
            Some(User::Admin) => true,
            Some(User::NoProxy) => read && objects,
            Some(User::LogReader) => (read && resource == "nodes") || (verb == "get" && resource == "nodes/proxy"),
            Some(User::LogsOnly) => verb == "get" && resource == "nodes/log",
            Some(User::Direct) => (read && resource == "nodes") || (verb == "get" && resource == "nodes/log"),
            _ => false,
        }
    }
}

impl Identity {
    /// Whether the rules allow it.
    pub(crate) fn may(&self, grants: &[Grant], verb: &str, resource: &str) -> bool {
        self.groups.iter().any(|group| group == "system:masters")
            || User::may(&self.name, verb, resource)
            || grants.iter().any(|grant| grant.name == self.name && grant.verb == verb && grant.resource == resource)
    }
}

/// The credentials of now, where they change while the cluster runs.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Beside those of [`User::token`]; without anyone, no longer accepted.
    tokens: Mutex<HashMap<String, Option<Identity>>>,
    /// Whose each client certificate is.
    certificates: Mutex<HashMap<Vec<u8>, Identity>>,
}

impl Known {
    /// Takes this token for `who`, or for nobody's from now on.
    pub(crate) fn token(&self, token: &str, who: Option<Identity>) {
        self.tokens.lock().expect("no panic while choosing").insert(token.to_owned(), who);
    }

    /// Takes this certificate for `who`, or for nobody's from now on.
    pub(crate) fn certificate(&self, certificate: &[u8], who: Option<Identity>) {
        let mut certificates = self.certificates.lock().expect("no panic while choosing");
        match who {
            Some(who) => certificates.insert(certificate.to_vec(), who),
            None => certificates.remove(certificate),
        };
    }

    /// Whose certificate it is.
    pub(crate) fn owner(&self, certificate: &[u8]) -> Option<Identity> {
        self.certificates.lock().expect("no panic while choosing").get(certificate).cloned()
    }

    fn bearer(&self, token: &str) -> Option<Option<Identity>> {
        self.tokens.lock().expect("no panic while choosing").get(token).cloned()
    }
}

/// What the request's `Authorization` says: someone, no one, or a credential nobody has.
pub(crate) fn from_headers(headers: &HeaderMap, basic: Basic, known: &Known) -> Result<Option<Identity>, Rejected> {
    let Some(value) = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()) else { return Ok(None) };
    if let Some(token) = value.strip_prefix("Bearer ") {
        if let Some(who) = known.bearer(token) {
            return who.map(Some).ok_or(Rejected);
        }
        return match USERS.iter().find(|user| **user != User::BadToken && user.token() == token) {
            Some(user) => Ok(Some(user.identity())),
            None => Err(Rejected),
        };
    }
    match (value.strip_prefix("Basic "), basic) {
        (Some(encoded), Basic::Taken) => {
            let decoded = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let pair = decoded.as_deref().and_then(|text| text.split_once(':'));
            match pair.and_then(|(name, password)| {
                USERS.iter().find(|user| user.name() == name && user.password() == password)
            }) {
                Some(user) => Ok(Some(user.identity())),
                None => Err(Rejected),
            }
        }
        _ => Ok(None),
    }
}

/// Whether passwords mean anything: API servers from 1.19 on ignore them, proxies in front of some take them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Basic {
    #[default]
    Taken,
    Ignored,
}

/// Credentials nobody has: 401.
#[derive(Debug)]
pub(crate) struct Rejected;

/// Whom an `Impersonate-*` request wants to be.
pub(crate) fn impersonated(headers: &HeaderMap) -> Option<Identity> {
    let all = |name: &str| -> Vec<String> {
        headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).map(str::to_owned).collect()
    };
    let name = all("impersonate-user").into_iter().next()?;
    let mut groups = all("impersonate-group");
    groups.push("system:authenticated".to_owned());
    Some(Identity { name, groups })
}
