//! The kubeconfigs of a cluster's users.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Cluster;
use super::access::User;
use super::tls::Key;

/// How a kubeconfig's user proves who he is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    Certificate(Key),
    /// Certificate and key in files beside the kubeconfig, named relative to it.
    CertificateFiles(Key),
    Token,
    /// In a file beside the kubeconfig.
    TokenFile,
    Basic,
    None,
}

impl Cluster {
    /// Writes a kubeconfig for this user in his usual way and returns its path.
    pub(crate) fn kubeconfig(&self, user: User) -> PathBuf {
        let credential = match user {
            User::Admin | User::Limited => Credential::Certificate(Key::EcPkcs8),
            User::Anonymous => Credential::None,
            _ => Credential::Token,
        };
        self.kubeconfig_with(user, credential)
    }

    /// Writes a kubeconfig for this user with this credential, in a directory of its own, and returns its path.
    pub(crate) fn kubeconfig_with(&self, user: User, credential: Credential) -> PathBuf {
        let name = format!("{}-{credential:?}", user.name()).replace([':', '(', ')'], "-").to_lowercase();
        let directory = self.directory.path().join("kubeconfigs").join(name);
        fs::create_dir_all(&directory).expect("a directory");
        let path = directory.join("config");
        fs::write(&path, self.kubeconfig_text(&[(user, credential)], &directory)).expect("a kubeconfig");
        path
    }

    /// A kubeconfig with a context for each of these, named as the user; the first is the current one.
    pub(crate) fn kubeconfig_text(&self, users: &[(User, Credential)], directory: &Path) -> String {
        let (mut contexts, mut entries) = (String::new(), String::new());
        for (user, credential) in users {
            let name = user.name();
            contexts.push_str(&format!("- name: {name}\n  context: {{cluster: simulated, user: {name}}}\n"));
            let entry = match credential {
                Credential::Certificate(key) => {
                    let pair = self.pair(*user, *key);
                    format!(
                        "client-certificate-data: {}\n    client-key-data: {}",
                        STANDARD.encode(&pair.certificate_pem),
                        STANDARD.encode(&pair.key_pem)
                    )
                }
                Credential::CertificateFiles(key) => {
                    let pair = self.pair(*user, *key);
                    fs::write(directory.join("client.crt"), &pair.certificate_pem).expect("a certificate");
                    fs::write(directory.join("client.key"), &pair.key_pem).expect("a key");
                    "client-certificate: client.crt\n    client-key: client.key".to_owned()
                }
                Credential::Token => format!("token: {}", user.token()),
                Credential::TokenFile => {
                    fs::write(directory.join("token"), format!("{}\n", user.token())).expect("a token");
                    "tokenFile: token".to_owned()
                }
                Credential::Basic => format!("username: {name}\n    password: {}", user.password()),
                Credential::None => "{}".to_owned(),
            };
            entries.push_str(&format!("- name: {name}\n  user:\n    {entry}\n"));
        }
        format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: simulated\n  cluster:\n    server: {}\n    certificate-authority-data: {}\ncontexts:\n{contexts}users:\n{entries}current-context: {}\n",
            self.url(),
            STANDARD.encode(self.ca()),
            users.first().map_or("", |(user, _)| user.name()),
        )
    }
}
