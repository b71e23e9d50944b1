//! Whom to trust and as whom to appear: rustls configurations, and TLS failures in words.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
/// A client certificate, its intermediates, and what signs with its key; see `config::pem::pair`.
pub use rustls::sign::CertifiedKey as Identity;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::error::{Doing, Kind, Result};
use crate::notice::Notices;

pub mod certificate;
mod provider;
mod roots;
mod verify;
mod words;

pub use self::certificate::Certificate;
use self::provider::provider;
pub(super) use self::words::Peer;

/// Which servers are believed to be who they say they are.
#[derive(Clone, Debug)]
pub struct Trust {
    /// Who must have signed the server's certificate.
    pub roots: Roots,
    /// The name the certificate must be valid for, where it is not the host's: tls-server-name.
    pub server_name: Option<String>,
}

/// Who may sign a server's certificate.
#[derive(Clone, Debug)]
pub enum Roots {
    /// These authorities alone, each a DER certificate. A server's own certificate among them is trusted as such.
    Authorities(Vec<CertificateDer<'static>>),
    /// The authorities the operating system trusts.
    System,
    /// Nobody needs to: any certificate is accepted, so anyone on the way can read and change everything.
    InsecureAcceptAnyCertificate,
}

/// Which HTTP versions to offer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/2, else HTTP/1.1, as the server likes.
    #[default]
    Any,
    /// HTTP/1.1 only: what upgrades need.
    Http1,
    /// HTTP/1.1, and HTTP/2 with a server that speaks nothing else: for one stream at a time. It has no window of its own that
    /// a long way to the server could exhaust (1 MiB in 100 ms is 10 MB/s), nothing to agree on before the first request,
    /// copies less and holds less (`make bench`).
    Http1First,
}

impl Protocol {
    /// What is offered in the TLS handshake, most wanted first.
    pub(super) fn offers(self) -> Vec<Vec<u8>> {
        match self {
            Protocol::Any => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            // Servers take what they like best of all that is offered, and that is HTTP/2.
            Protocol::Http1 | Protocol::Http1First => vec![b"http/1.1".to_vec()],
        }
    }
}

/// The TLS configuration for a server, with this trust and identity, offering these HTTP versions. `source` tells where
/// [`Roots::Authorities`] were read from, for words.
pub fn configure(
    trust: &Trust,
    source: &str,
    identity: Option<&Identity>,
    protocol: Protocol,
    notices: &Notices,
) -> Result<ClientConfig> {
    let provider = Arc::new(provider());
    let verifier: Arc<dyn ServerCertVerifier> = match &trust.roots {
        Roots::Authorities(authorities) => Arc::new(verify::Verifier::authorities(authorities, source, &provider)?),
        Roots::System => Arc::new(verify::Verifier::system(roots::system(notices)?, &provider)),
        Roots::InsecureAcceptAnyCertificate => Arc::new(AcceptAny(Arc::clone(&provider))),
    };
    configure_with(provider, verifier, identity, protocol)
}

/// The TLS configuration for a proxy on the way to a server with this trust. Go verifies it by the server's authority,
/// which few proxies' certificates come from: the system's authorities may vouch for it as well. It never sees the
/// client's certificate, which is for the server.
pub(super) fn configure_proxy(trust: &Trust, notices: &Notices) -> Result<ClientConfig> {
    let provider = Arc::new(provider());
    let verifier: Arc<dyn ServerCertVerifier> = match &trust.roots {
        Roots::Authorities(authorities) => {
            let system = roots::system(notices).map_or(RootCertStore::empty(), |found| found.store);
            Arc::new(verify::Verifier::both(authorities, system, &provider)?)
        }
        Roots::System => Arc::new(verify::Verifier::system(roots::system(notices)?, &provider)),
        Roots::InsecureAcceptAnyCertificate => Arc::new(AcceptAny(Arc::clone(&provider))),
    };
    configure_with(provider, verifier, None, Protocol::Http1)
}

fn configure_with(
    provider: Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
    identity: Option<&Identity>,
    protocol: Protocol,
) -> Result<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .doing(Kind::Failed, || "setting up TLS".into())?;
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let mut config = match identity.cloned() {
        None => builder.with_no_client_auth(),
        Some(identity) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity))),
    };
    config.resumption = Resumption::in_memory_sessions(8);
    config.alpn_protocols = protocol.offers();
    Ok(config)
}

/// The name to ask a server's certificate for: the override, else the host (an IPv6 address in brackets or not).
pub(super) fn server_name(trust: &Trust, host: &str) -> Result<ServerName<'static>> {
    let name = match &trust.server_name {
        Some(name) => name.as_str(),
        None => host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host),
    };
    ServerName::try_from(name.to_owned()).doing(Kind::Usage, || format!("{name:?} can't be a server's name in TLS"))
}

/// The verifier behind [`Roots::InsecureAcceptAnyCertificate`].
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
