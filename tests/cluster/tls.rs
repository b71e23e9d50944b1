//! Certificates made at start, and the server's side of TLS.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};

/// The throw-away RSA key, which ring can use but not make.
const RSA_KEY: &str = include_str!("../../fixtures/keys/rsa2048-throwaway.pem");

/// The kinds of private key a kubeconfig may hold, each in the armour it usually comes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    /// `BEGIN PRIVATE KEY`, P-256.
    #[default]
    EcPkcs8,
    /// `BEGIN EC PRIVATE KEY`, P-256, as openssl and kubeadm write it.
    EcSec1,
    /// `BEGIN PRIVATE KEY`, Ed25519.
    Ed25519,
    /// `BEGIN PRIVATE KEY`, RSA.
    RsaPkcs8,
    /// `BEGIN RSA PRIVATE KEY`.
    RsaPkcs1,
}

/// A certificate authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate.
    pub(crate) pem: String,
}

/// A certificate and its key.
pub(crate) struct Pair {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) certificate_pem: String,
    /// In the armour asked for.
    pub(crate) key_pem: String,
    key: Vec<u8>,
}

/// Which TLS versions a server speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Versions {
    #[default]
    Both,
    Only12,
    Only13,
}

/// Whether a server asks for client certificates. Kubernetes asks and decides later: a bad one is 401, not a failed handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientCertificates {
    Asked,
    Ignored,
}

impl Authority {
    /// Makes one.
    pub(crate) fn new(name: &str) -> Authority {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    /// A server's certificate for these DNS names and addresses.
    pub(crate) fn server(&self, names: &[&str]) -> Pair {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("valid names");
        params.distinguished_name.push(DnType::CommonName, "server");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(params, Key::EcPkcs8)
    }

    /// A client's certificate: the user is its common name, the groups its organisations.
    pub(crate) fn client(&self, user: &str, groups: &[String], key: Key) -> Pair {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, user);
        // One organisation is all rcgen's name type can hold.
        if let Some(group) = groups.first() {
            params.distinguished_name.push(DnType::OrganizationName, group.as_str());
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params, key)
    }

    fn sign(&self, params: CertificateParams, kind: Key) -> Pair {
        let key = match kind {
            Key::EcPkcs8 | Key::EcSec1 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            Key::Ed25519 => KeyPair::generate_for(&rcgen::PKCS_ED25519),
            Key::RsaPkcs8 | Key::RsaPkcs1 => {
                KeyPair::from_pkcs8_pem_and_sign_algo(&armour("PRIVATE KEY", &rsa_pkcs8()), &rcgen::PKCS_RSA_SHA256)
            }
        }
        .expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let pkcs8 = key.serialize_der();
        let key_pem = match kind {
            Key::EcPkcs8 | Key::Ed25519 | Key::RsaPkcs8 => armour("PRIVATE KEY", &pkcs8),
            Key::EcSec1 => armour("EC PRIVATE KEY", &sec1(&pkcs8)),
            Key::RsaPkcs1 => RSA_KEY.to_owned(),
        };
        Pair { certificate: certificate.der().clone(), certificate_pem: certificate.pem(), key_pem, key: pkcs8 }
    }
}

/// The configuration of a server with this certificate.
pub(crate) fn server_config(
    pair: &Pair,
    versions: Versions,
    clients: ClientCertificates,
    alpn: &[&[u8]],
) -> ServerConfig {
    let provider = Arc::new(ring::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let versions: &[&rustls::SupportedProtocolVersion] = match versions {
        Versions::Both => &[&rustls::version::TLS12, &rustls::version::TLS13],
        Versions::Only12 => &[&rustls::version::TLS12],
        Versions::Only13 => &[&rustls::version::TLS13],
    };
    let builder =
        ServerConfig::builder_with_provider(provider).with_protocol_versions(versions).expect("supported versions");
    let builder = match clients {
        ClientCertificates::Asked => builder.with_client_cert_verifier(Arc::new(AnyCertificate { algorithms })),
        ClientCertificates::Ignored => builder.with_no_client_auth(),
    };
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pair.key.clone()));
    let mut config = builder.with_single_cert(vec![pair.certificate.clone()], key).expect("a usable pair");
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config
}

/// Takes every certificate whose key the client holds; whose it is gets decided per request.
#[derive(Debug)]
struct AnyCertificate {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// PEM with lines of 64 characters.
fn armour(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for at in (0..text.len()).step_by(64) {
        pem.push_str(&text[at..text.len().min(at + 64)]);
        pem.push('\n');
    }
    pem + &format!("-----END {label}-----\n")
}

/// The RSA key, which is stored as PKCS#1, wrapped as PKCS#8.
fn rsa_pkcs8() -> Vec<u8> {
    let text: String = RSA_KEY.lines().filter(|line| !line.starts_with("-----")).collect();
    let pkcs1 = STANDARD.decode(text).expect("base64");
    // version 0, then rsaEncryption with NULL parameters.
    let head = [2, 1, 0, 0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1, 5, 0];
    der(0x30, &[&head[..], &der(4, &pkcs1)].concat())
}

/// The SEC1 key inside a P-256 PKCS#8 one, with its curve named as openssl does.
fn sec1(pkcs8: &[u8]) -> Vec<u8> {
    // SEQUENCE { version, algorithm, OCTET STRING { SEQUENCE { 1, OCTET STRING key, [1] public key } } }
    let at = pkcs8.windows(4).position(|bytes| bytes == [2, 1, 1, 4]).expect("an EC key");
    let length = usize::from(pkcs8[at + 4]);
    let (key, public) = pkcs8[at + 3..].split_at(2 + length);
    let curve = der(0xa0, &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]);
    der(0x30, &[&[2, 1, 1][..], key, &curve, public].concat())
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = match length {
        0..=127 => vec![tag, length as u8],
        128..=255 => vec![tag, 0x81, length as u8],
        _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
    };
    out.extend_from_slice(content);
    out
}
