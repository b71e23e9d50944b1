//! Whom to trust and as whom to appear: rustls configurations, and TLS failures in words.

use std::fmt;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, InvalidMessage, OtherError, RootCertStore, SignatureScheme,
};

use super::failure::{Failure, Stage};
use crate::error::{Doing, Error, Kind, Result};

mod pinned;

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

/// A client certificate with its key.
pub struct Identity {
    /// The certificate, then its intermediates.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key of the first certificate.
    pub key: PrivateKeyDer<'static>,
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

impl Clone for Identity {
    fn clone(&self) -> Self {
        Identity { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity {{ chain: {} certificates, key: (redacted) }}", self.chain.len())
    }
}

/// The TLS configuration for this trust and identity, offering these HTTP versions.
pub fn configure(trust: &Trust, identity: Option<&Identity>, protocol: Protocol) -> Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .doing(Kind::Failed, || "setting up TLS".into())?;
    let builder = match &trust.roots {
        Roots::Authorities(authorities) => {
            let verifier = pinned::Verifier::new(authorities, provider)?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
        Roots::System => builder.with_root_certificates(system_roots()?),
        Roots::InsecureAcceptAnyCertificate => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AcceptAny(provider)))
        }
    };
    let mut config = match identity.cloned() {
        None => builder.with_no_client_auth(),
        Some(Identity { chain, key }) => builder.with_client_auth_cert(chain, key).map_err(unusable_identity)?,
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

fn system_roots() -> Result<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added > 0 {
        return Ok(roots);
    }
    let error = Error::new(Kind::Unreachable, "this system has no trusted certificate authorities")
        .hint("name the cluster's own: certificate-authority in the kubeconfig, or --certificate-authority FILE");
    Err(match found.errors.into_iter().next() {
        Some(cause) => error.because(cause),
        None => error,
    })
}

fn unusable_identity(error: rustls::Error) -> Error {
    match error {
        rustls::Error::InconsistentKeys(_) => {
            Error::new(Kind::Denied, "the client certificate and the client key do not belong together")
                .hint("check client-certificate and client-key of this user")
        }
        rustls::Error::NoCertificatesPresented => {
            Error::new(Kind::Denied, "the client certificate holds no certificate")
        }
        other => Error::new(Kind::Denied, "the client certificate's key can't be used").because(other).hint(
            "RSA (2048 bits or more), ECDSA P-256 and P-384, and Ed25519 keys can be used, in PKCS#8, PKCS#1 or SEC1",
        ),
    }
}

/// A TLS failure of which only words are left: HTTP/2 keeps no more of it than its text.
pub(super) fn failure_in_words(words: &str, server: &str) -> Option<Failure> {
    let alert = words.strip_prefix("received fatal alert: ")?;
    Some(alert_failure(alert, |words| Failure::new(Stage::Tls, format!("TLS with {server}: {words}"))))
}

/// What a TLS error means. `server` is `host:port`.
pub(super) fn failure(error: &rustls::Error, server: &str) -> Failure {
    use rustls::Error as Tls;
    let failure = |words: String| Failure::new(Stage::Tls, format!("TLS with {server}: {words}"));
    match error {
        Tls::InvalidCertificate(error) => certificate_failure(error, failure),
        Tls::AlertReceived(alert) => alert_failure(&format!("{alert:?}"), failure),
        Tls::InvalidMessage(InvalidMessage::InvalidContentType) => {
            failure("what answered there does not speak TLS".into())
                .hint("is it the right port? http:// for a plain server")
        }
        Tls::PeerIncompatible(why) => failure(format!("no version or cipher in common ({why:?})")),
        Tls::NoApplicationProtocol => failure("the server speaks neither HTTP/2 nor HTTP/1.1".into()),
        other => failure(super::failure::plain(&other.to_string())),
    }
}

const CHECK_CLOCK: &str = "compare this machine's clock with the server's; else the server needs a new certificate";

fn certificate_failure(error: &CertificateError, failure: impl Fn(String) -> Failure) -> Failure {
    use CertificateError as C;
    match error {
        C::UnknownIssuer => failure("the server's certificate is signed by an unknown authority".into()).hint(
            "give the authority that signed it: certificate-authority in the kubeconfig, or --certificate-authority FILE",
        ),
        // An authority of the right name but with another key: kubeadm calls each cluster's "kubernetes".
        C::BadSignature => failure("the server's certificate is signed by another authority of the same name".into())
            .hint("the certificate authority given is another cluster's: check certificate-authority, and the server's address"),
        C::ExpiredContext { time, not_after } => {
            failure(format!("the server's certificate expired at {}; it is {} now", date(*not_after), date(*time)))
                .hint(CHECK_CLOCK)
        }
        C::Expired => failure("the server's certificate has expired".into()).hint(CHECK_CLOCK),
        C::NotValidYetContext { time, not_before } => failure(format!(
            "the server's certificate is valid only from {} on; it is {} now",
            date(*not_before),
            date(*time)
        ))
        .hint(CHECK_CLOCK),
        C::NotValidYet => failure("the server's certificate is not valid yet".into()).hint(CHECK_CLOCK),
        C::NotValidForNameContext { expected, presented } => {
            let names = presented_names(presented);
            failure(format!("the server's certificate is not for {}: {names}", expected.to_str())).hint(
                "use a name it has as the server's, or tls-server-name in the kubeconfig (--tls-server-name NAME)",
            )
        }
        C::NotValidForName => failure("the server's certificate is for another name".into())
            .hint("tls-server-name in the kubeconfig, or --tls-server-name NAME, says which name to expect"),
        C::Revoked => failure("the server's certificate is revoked".into()),
        C::Other(OtherError(why)) => failure(format!("the server's certificate can't be used: {why}")),
        other => failure(format!("the server's certificate can't be used: {}", super::failure::plain(&other.to_string()))),
    }
}

/// The names of a certificate, shortened: it may have hundreds, and they are the server's words.
fn presented_names(presented: &[String]) -> String {
    const SHOWN: usize = 8;
    if presented.is_empty() {
        return "it names no host (only subject alternative names count)".into();
    }
    let plain = |name: &String| {
        let name = name.strip_prefix("DnsName(\"").and_then(|n| n.strip_suffix("\")")).unwrap_or(name);
        let name = name.strip_prefix("IpAddress(").and_then(|n| n.strip_suffix(')')).unwrap_or(name);
        name.chars().take(100).collect::<String>()
    };
    let mut names = presented.iter().take(SHOWN).map(plain).collect::<Vec<_>>().join(", ");
    if presented.len() > SHOWN {
        names.push_str(&format!(" and {} more", presented.len() - SHOWN));
    }
    format!("it is for {names}")
}

/// What the server told us by a TLS alert, from rustls's name for it.
fn alert_failure(alert: &str, failure: impl Fn(String) -> Failure) -> Failure {
    let ours = |why: &str| {
        failure(format!("the server refused our client certificate: {why}"))
            .hint("check client-certificate of this user: its dates, and that this cluster's authority signed it")
    };
    match alert {
        "CertificateExpired" => ours("expired"),
        "CertificateRevoked" => ours("revoked"),
        "UnknownCA" => ours("signed by an authority unknown to it"),
        "BadCertificate" | "UnsupportedCertificate" | "CertificateUnknown" | "AccessDenied" | "DecryptError" => {
            ours("not acceptable to it")
        }
        "CertificateRequired" => failure("the server wants a client certificate, and we have none".into())
            .hint("give one: client-certificate and client-key of the kubeconfig's user"),
        "ProtocolVersion" | "InsufficientSecurity" => {
            failure("no version or cipher in common (TLS 1.2 and 1.3 are spoken here)".into())
        }
        "UnrecognisedName" => failure("the server does not know the name we asked for".into())
            .hint("tls-server-name in the kubeconfig, or --tls-server-name NAME, says which name to ask for"),
        "NoApplicationProtocol" => failure("the server speaks neither HTTP/2 nor HTTP/1.1".into()),
        other => failure(format!("the server ended the handshake ({other})")),
    }
}

fn date(at: UnixTime) -> String {
    let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    match tz::UtcDateTime::from_timespec(seconds, 0) {
        Ok(t) => format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
            t.year(),
            t.month(),
            t.month_day(),
            t.hour(),
            t.minute(),
            t.second()
        ),
        Err(_) => format!("{seconds} s after 1970"),
    }
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
