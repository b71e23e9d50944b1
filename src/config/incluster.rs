//! Inside a pod: the API server and the identity that Kubernetes gives every container.

use std::path::PathBuf;

use super::env::Env;
use super::read_file;
use super::server::bracketed;

/// What a pod knows of its cluster.
#[derive(Debug)]
pub(super) struct Pod {
    pub(super) server: String,
    pub(super) token_file: PathBuf,
    pub(super) certificate_authority: PathBuf,
    namespace: Option<String>,
}

impl Pod {
    /// `None` unless both variables are set and the token is there.
    pub(super) fn detect(env: &Env) -> Option<Pod> {
        let host = env.text("KUBERNETES_SERVICE_HOST")?;
        let port = env.text("KUBERNETES_SERVICE_PORT")?;
        let directory = env.service_account();
        let token_file = directory.join("token");
        if !std::fs::metadata(&token_file).is_ok_and(|file| !file.is_dir()) {
            return None;
        }
        let namespace = env.text("POD_NAMESPACE").map(str::to_owned).or_else(|| {
            // A name has at most 63 characters.
            let bytes = read_file(&directory.join("namespace"), 1 << 20).ok()?;
            let name = String::from_utf8(bytes).ok()?;
            Some(name.trim().to_owned()).filter(|name| !name.is_empty())
        });
        Some(Pod {
            server: format!("https://{}:{port}", bracketed(host)),
            token_file,
            certificate_authority: directory.join("ca.crt"),
            namespace,
        })
    }

    /// The pod's own namespace, if it is known.
    pub(super) fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }
}
