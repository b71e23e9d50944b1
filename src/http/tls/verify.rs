//! Verification of a server's or a proxy's certificate, whose refusal carries what the certificate says about itself; a
//! server's own certificate may be one of the given authorities.
//!
//! Go, and so every Kubernetes client, accepts a server whose very certificate is in the trusted set, as self-signed ones are;
//! webpki refuses such a certificate when it is also marked as an authority. Name and dates count all the same.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme};

use super::certificate::Certificate;
use super::roots::Found;
use super::words::{Refused, Vouching};
use crate::error::{Error, Kind, Result};
use crate::time::Timestamp;

/// A verifier that trusts certain authorities and nothing else.
#[derive(Debug)]
pub(super) struct Verifier {
    roots: RootCertStore,
    algorithms: WebPkiSupportedAlgorithms,
    pinned: Vec<CertificateDer<'static>>,
    vouching: Arc<Vouching>,
}

/// Certificates of a chain that are read for words.
const READ: usize = 8;

impl Verifier {
    /// Trusts these, read from `source`.
    pub(super) fn authorities(
        authorities: &[CertificateDer<'static>],
        source: &str,
        provider: &CryptoProvider,
    ) -> Result<Self> {
        let read = authorities.iter().filter_map(|authority| Certificate::read(authority)).collect();
        let vouching = Vouching::Given { source: source.to_owned(), authorities: read };
        Ok(Verifier::new(with(authorities, RootCertStore::empty())?, authorities, vouching, provider))
    }

    /// Trusts what the system does.
    pub(super) fn system(found: Found, provider: &CryptoProvider) -> Self {
        Verifier::new(found.store, &[], found.vouching, provider)
    }

    /// Trusts these and the system's.
    pub(super) fn both(
        authorities: &[CertificateDer<'static>],
        system: RootCertStore,
        provider: &CryptoProvider,
    ) -> Result<Self> {
        Ok(Verifier::new(with(authorities, system)?, authorities, Vouching::Both, provider))
    }

    fn new(
        roots: RootCertStore,
        pinned: &[CertificateDer<'static>],
        vouching: Vouching,
        provider: &CryptoProvider,
    ) -> Self {
        let algorithms = provider.signature_verification_algorithms;
        Verifier { roots, algorithms, pinned: pinned.to_vec(), vouching: Arc::new(vouching) }
    }

    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verdict = self.verify_chain(end_entity, intermediates, server_name, now);
        if verdict.is_ok() || !self.pinned.iter().any(|pinned| pinned.as_ref() == end_entity.as_ref()) {
            return verdict;
        }
        let read = Certificate::read(end_entity).ok_or(CertificateError::BadEncoding)?;
        if timestamp(now) < read.not_before {
            return Err(CertificateError::NotValidYet.into());
        }
        if timestamp(now) > read.not_after {
            return Err(CertificateError::Expired.into());
        }
        verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    /// What rustls's own verifier does, which would bring 20 kB for revocation lists along.
    fn verify_chain(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, intermediates, now, self.algorithms.all)?;
        verify_server_name(&parsed, server_name)?;
        Ok(ServerCertVerified::assertion())
    }
}

/// These roots and the authorities.
fn with(authorities: &[CertificateDer<'static>], mut roots: RootCertStore) -> Result<RootCertStore> {
    let (added, _) = roots.add_parsable_certificates(authorities.iter().cloned());
    match added {
        0 => Err(Error::new(Kind::Failed, "the certificate authority data holds no usable certificate")
            .hint("certificate-authority wants PEM: one or more CERTIFICATE blocks")),
        _ => Ok(roots),
    }
}

fn timestamp(time: UnixTime) -> Timestamp {
    Timestamp::from_micros(i64::try_from(time.as_secs()).unwrap_or(i64::MAX).saturating_mul(1_000_000))
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.verify(end_entity, intermediates, server_name, now).map_err(|error| match error {
            rustls::Error::InvalidCertificate(error) => {
                let refused = Refused {
                    error,
                    now: timestamp(now),
                    leaf: Certificate::read(end_entity),
                    others: intermediates.iter().take(READ).filter_map(|other| Certificate::read(other)).collect(),
                    vouching: Arc::clone(&self.vouching),
                };
                CertificateError::Other(OtherError(Arc::new(refused))).into()
            }
            other => other,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
