//! From a chosen cluster and user, as written, to what connections are made with: files read, certificates parsed.

use std::path::{Path, PathBuf};

use super::check::{fault, has_certificate, interactive, unreadable};
use super::fields::{Encoded, Hidden, Location, Text, encoded, hidden, location, switch, text};
use super::select::Choice;
use super::{
    ClientCertificate, Cluster, Config, Env, Exec, ExecApi, Impersonate, Oidc, PluginPolicy, Proxy, Scheme, Server,
    Store, Trust, User, kubeconfig, kuberc, pem, quoted, read_file,
};
use crate::error::{Error, Result};
use crate::secret::Secret;

/// The largest certificate or key file read.
pub(crate) const MAX_PEM: usize = 4 << 20;

/// The name under which a cluster keeps what it tells credential plugins.
const EXEC_EXTENSION: &str = "client.authentication.k8s.io/exec";

impl Choice {
    /// Reads certificates and keys and builds the flat result.
    pub(super) fn resolve(self, namespace: String, env: &Env) -> Result<Config> {
        let has_authority = location(&self.cluster.certificate_authority).is_some()
            || encoded(&self.cluster.certificate_authority_data).is_some();
        let insecure = switch(&self.cluster.insecure_skip_tls_verify);
        let otherwise =
            if has_authority || insecure || has_certificate(&self.user) { Scheme::Https } else { Scheme::Http };
        let given = text(&self.cluster.server).unwrap_or_default();
        let server = Server::parse(given, otherwise).map_err(|error| error.within(self.cluster_place.as_str()))?;
        let mut warnings = self.warnings.clone();
        let proxy = match self.proxy_url()? {
            Some(proxy) => Some(proxy),
            None => Proxy::from_environment(env, &server, &mut warnings)?,
        };
        let (trust, authority, authority_source) = match server.is_https() {
            true => self.trust()?,
            false => (Trust::System, None, String::new()),
        };
        if matches!(trust, Trust::Insecure) {
            warnings.push(format!(
                "the certificate of {server} is not verified (insecure-skip-tls-verify): whoever stands between can read \
                 the credentials and change the answers"
            ));
        }
        let mut user = if server.is_https() { self.credentials(env)? } else { User::default() };
        user.impersonate = self.impersonate();
        if let Some(exec) = &mut user.exec {
            let (policy, words) = kuberc::policy(env)?;
            exec.policy = policy;
            warnings.extend(words);
        }
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
                authority_source,
                proxy,
                disable_compression: switch(&cluster.disable_compression),
                exec_extension,
            },
            user,
            namespace,
            warnings,
        })
    }

    /// Whom to trust, the PEM text and words for where it stands.
    fn trust(&self) -> Result<(Trust, Option<Vec<u8>>, String)> {
        let cluster = &self.cluster;
        let pem = match (location(&cluster.certificate_authority), encoded(&cluster.certificate_authority_data)) {
            (Some(path), _) => Some((
                read(path, "certificate-authority", &self.cluster_place)?,
                format!("certificate-authority {}", path.display()),
            )),
            (None, Some(data)) => Some((data.expose().clone(), "certificate-authority-data".to_owned())),
            (None, None) => None,
        };
        match (pem, switch(&cluster.insecure_skip_tls_verify)) {
            (Some(_), true) => Err(fault(
                &self.cluster_place,
                "insecure-skip-tls-verify and a certificate authority exclude each other",
            )
            .hint("remove insecure-skip-tls-verify to have the server verified")),
            (None, true) => Ok((Trust::Insecure, None, String::new())),
            (None, false) => Ok((Trust::System, None, String::new())),
            (Some((pem, source)), false) => {
                let authorities = pem::certificates(&pem).map_err(|error| at(error, &source, &self.cluster_place))?;
                Ok((Trust::Ca(authorities), Some(pem), format!("{source} of {}", self.cluster_place)))
            }
        }
    }

    fn credentials(&self, env: &Env) -> Result<User> {
        let user = &self.user;
        let certificate = if has_certificate(user) { Some(self.certificate()?) } else { None };
        let basic =
            text(&user.username).map(|name| (name.to_owned(), hidden(&user.password).cloned().unwrap_or_default()));
        let token = hidden(&user.token).cloned();
        let token_file = location(&user.token_file).map(Path::to_owned);
        if basic.is_some() && token_file.is_some() {
            return Err(
                fault(&self.user_place, "tokenFile and username/password exclude each other").hint("remove one")
            );
        }
        let has_header = basic.is_some() || token.is_some() || token_file.is_some();
        // A token or a password is what the server sees, so an auth-provider beside it is never asked.
        let oidc = self.auth_provider(env)?.filter(|_| !has_header);
        let exec = match &user.exec {
            Some(exec) => Some(self.exec(exec)?).filter(|_| !has_header && certificate.is_none()),
            None => None,
        };
        if !has_header && certificate.is_none() && exec.is_none() && oidc.is_none() && hidden(&user.password).is_some()
        {
            return Err(fault(&self.user_place, "has a password but no username").hint("add username, or --username"));
        }
        Ok(User { certificate, token, token_file, basic, oidc, exec, impersonate: Impersonate::default() })
    }

    fn certificate(&self) -> Result<ClientCertificate> {
        let user = &self.user;
        let (crt, crt_source, certificate_file) =
            self.part(&user.client_certificate, &user.client_certificate_data, "client-certificate")?;
        let (key, key_source, key_file) = self.part(&user.client_key, &user.client_key_data, "client-key")?;
        let chain = pem::certificates(crt.expose()).map_err(|error| at(error, &crt_source, &self.user_place))?;
        let key = pem::key(key.expose()).map_err(|error| at(error, &key_source, &self.user_place))?;
        let pair = pem::pair(chain, &key)
            .map_err(|error| at(error, &format!("{crt_source} with {key_source}"), &self.user_place))?;
        Ok(ClientCertificate { pair, certificate_file, key_file })
    }

    /// The PEM text, words for where it stands, and its file.
    fn part(&self, path: &Option<Location>, data: &Option<Encoded>, field: &str) -> Result<Part> {
        match location(path) {
            Some(path) => Ok((
                Secret::new(read(path, field, &self.user_place)?),
                format!("{field} {}", path.display()),
                Some(path.into()),
            )),
            None => Ok((encoded(data).cloned().unwrap_or_default(), format!("{field}-data"), None)),
        }
    }

    /// The one auth-provider there is, checked also where it will not be asked.
    fn auth_provider(&self, env: &Env) -> Result<Option<Oidc>> {
        let Some(provider) = &self.user.auth_provider else { return Ok(None) };
        let (what, hint) = match text(&provider.name).unwrap_or_default() {
            "oidc" => return self.oidc(&provider.config.clone().unwrap_or_default(), env).map(Some),
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

    fn oidc(&self, config: &kubeconfig::OidcConfig, env: &Env) -> Result<Oidc> {
        let needed = |field: &Option<Text>, name: &str| match text(field) {
            Some(value) => Ok(value.to_owned()),
            None => Err(fault(&self.user_place, &format!("auth-provider oidc has no {name}"))
                .hint(format!("add auth-provider.config.{name}"))),
        };
        let issuer = needed(&config.issuer, "idp-issuer-url")?;
        // Whoever listens on the way would have the refresh token; a listener on this machine is no stranger.
        let server =
            Server::parse(&issuer, Scheme::Https).map_err(|error| at(error, "idp-issuer-url", &self.user_place))?;
        if !server.is_https() && !server.is_loopback() {
            return Err(fault(&self.user_place, &format!("idp-issuer-url {server} is not https"))
                .hint("API servers take no other; correct auth-provider.config.idp-issuer-url"));
        }
        // Data over file, and a relative path counts from the working directory, as client-go has it for these two.
        let pem = match (encoded(&config.certificate_authority_data), location(&config.certificate_authority)) {
            (Some(data), _) => Some((data.expose().clone(), "idp-certificate-authority-data".to_owned())),
            (None, Some(path)) => Some((
                read(path, "idp-certificate-authority", &self.user_place)?,
                format!("idp-certificate-authority {}", path.display()),
            )),
            (None, None) => None,
        };
        let trust = match pem {
            None => Trust::System,
            Some((pem, source)) => {
                Trust::Ca(pem::certificates(&pem).map_err(|error| at(error, &source, &self.user_place))?)
            }
        };
        let (name, file) = self.user_origin.clone().unwrap_or_default();
        Ok(Oidc {
            client_id: needed(&config.client_id, "client-id")?,
            client_secret: hidden(&config.client_secret).cloned().unwrap_or_default(),
            trust,
            tokens: config.tokens(),
            store: Store::new(file, name),
            env: env.clone(),
            issuer,
        })
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
            command: location(&exec.command).unwrap_or(Path::new("")).to_owned(),
            args: exec.args.iter().flat_map(|list| &list.0).map(|Hidden(arg)| arg.clone()).collect(),
            env: exec.env.iter().flat_map(|list| &list.0).cloned().map(variable).collect(),
            api,
            install_hint: text(&exec.install_hint).map(str::to_owned),
            provide_cluster_info: switch(&exec.provide_cluster_info),
            interactive: interactive(exec).map_err(|what| fault(&self.user_place, &what))?,
            policy: PluginPolicy::AllowAll,
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

/// PEM text, words for where it stands, and its file.
type Part = (Secret<Vec<u8>>, String, Option<PathBuf>);

/// A fault of a file or a field of an entry.
fn at(error: Error, source: &str, place: &str) -> Error {
    error.within(source).within(place)
}

fn read(path: &Path, field: &str, place: &str) -> Result<Vec<u8>> {
    read_file(path, MAX_PEM).map_err(|error| unreadable(error, path, field, place))
}
