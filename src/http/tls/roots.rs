//! The authorities for a server when nobody named any: the machine's, or the embedded ones where it has none.

#[cfg(feature = "embedded-roots")]
use bytes::Bytes;
use rustls::RootCertStore;
#[cfg(feature = "embedded-roots")]
use rustls::pki_types::Der;
use rustls::pki_types::{CertificateDer, TrustAnchor};

use super::words::Vouching;
use crate::error::{Error, Kind, Result};
#[cfg(feature = "embedded-roots")]
use crate::http::gzip::{Corrupt, Gunzip};
use crate::notice::Notices;

/// Authorities, with words for who they are.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) store: RootCertStore,
    pub(super) vouching: Vouching,
}

/// The machine's authorities, from where OpenSSL looks for them (SSL_CERT_FILE and SSL_CERT_DIR choose other places).
/// Where it has none, as in a container with nothing but this program: Mozilla's, as they were when this was built.
pub(super) fn system(notices: &Notices) -> Result<Found> {
    let found = rustls_native_certs::load_native_certs();
    if let Some(chosen) = choose(found.certs) {
        if let Vouching::Embedded(count) = chosen.vouching {
            notices.verbose(4, || format!("this system has no certificate authorities: trusting the {count} built in"));
        }
        return Ok(chosen);
    }
    let error = Error::new(Kind::Unreachable, "this system has no trusted certificate authorities")
        .hint("name the cluster's own: certificate-authority in the kubeconfig, or --certificate-authority FILE");
    Err(match found.errors.into_iter().next() {
        Some(cause) => error.because(cause),
        None => error,
    })
}

fn choose(machine: Vec<CertificateDer<'static>>) -> Option<Found> {
    let mut store = RootCertStore::empty();
    let (added, _) = store.add_parsable_certificates(machine);
    if added > 0 {
        return Some(Found { store, vouching: Vouching::System(added) });
    }
    store.roots = embedded();
    match store.len() {
        0 => None,
        count => Some(Found { store, vouching: Vouching::Embedded(count) }),
    }
}

/// Mozilla's authorities, as webpki-roots lists them, compressed: of each its name, its key and its constraints (empty where
/// it has none), with two bytes in front of each for its length. As that crate's table they took 20 kB more.
#[cfg(feature = "embedded-roots")]
const PACKED: &[u8] = include_bytes!("roots.gz");

#[cfg(feature = "embedded-roots")]
fn embedded() -> Vec<TrustAnchor<'static>> {
    let (mut packed, mut plain) = (Bytes::from_static(PACKED), Vec::new());
    let mut gunzip = Gunzip::new();
    while !packed.is_empty() {
        match gunzip.step(&mut packed) {
            Ok(piece) => plain.extend_from_slice(&piece),
            // The tests have read it.
            Err(Corrupt) => return Vec::new(),
        }
    }
    let mut rest = &*plain;
    let mut part = || {
        let (length, behind) = rest.split_first_chunk()?;
        let (part, behind) = behind.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        rest = behind;
        Some(Der::from(part.to_vec()))
    };
    std::iter::from_fn(|| {
        let (subject, subject_public_key_info, constraints) = (part()?, part()?, part()?);
        let name_constraints = Some(constraints).filter(|constraints| !constraints.is_empty());
        Some(TrustAnchor { subject, subject_public_key_info, name_constraints })
    })
    .collect()
}

#[cfg(not(feature = "embedded-roots"))]
fn embedded() -> Vec<TrustAnchor<'static>> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `UPDATE=1` packs those of another version of webpki-roots.
    #[test]
    #[cfg(feature = "embedded-roots")]
    fn the_embedded_ones_are_those_of_webpki_roots() {
        use std::io::Write;

        let anchors = webpki_roots::TLS_SERVER_ROOTS;
        if std::env::var_os("UPDATE").is_some() {
            let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/http/tls/roots.gz");
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            for anchor in anchors {
                let constraints = anchor.name_constraints.as_deref().unwrap_or_default();
                for part in [&*anchor.subject, &*anchor.subject_public_key_info, constraints] {
                    packed.write_all(&u16::try_from(part.len()).unwrap().to_be_bytes()).unwrap();
                    packed.write_all(part).unwrap();
                }
            }
            std::fs::write(file, packed.finish().unwrap()).unwrap();
        } else {
            assert!(embedded() == anchors, "webpki-roots lists others: run the tests with UPDATE=1");
        }
    }

    #[test]
    fn a_machine_without_authorities_gets_the_embedded_ones() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let own = params.self_signed(&key).unwrap().der().clone();
        let found = choose(vec![own, CertificateDer::from(vec![0])]).unwrap();
        assert!(matches!((found.vouching, found.store.len()), (Vouching::System(1), 1)), "its own alone");
        for none in [Vec::new(), vec![CertificateDer::from(vec![0])]] {
            match choose(none) {
                Some(Found { vouching: Vouching::Embedded(count), store }) => {
                    assert!(cfg!(feature = "embedded-roots") && count > 100 && store.len() == count);
                }
                other => assert!(other.is_none() && !cfg!(feature = "embedded-roots")),
            }
        }
    }
}
