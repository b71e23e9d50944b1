//! The authorities for a server when nobody named any: the machine's, or the embedded ones where it has none.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use super::words::Vouching;
use crate::error::{Error, Kind, Result};
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

#[cfg(feature = "embedded-roots")]
fn embedded() -> Vec<rustls::pki_types::TrustAnchor<'static>> {
    webpki_roots::TLS_SERVER_ROOTS.to_vec()
}

#[cfg(not(feature = "embedded-roots"))]
fn embedded() -> Vec<rustls::pki_types::TrustAnchor<'static>> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

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
