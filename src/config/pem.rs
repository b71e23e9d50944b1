//! PEM text to certificates and keys; the only user of rustls-pemfile.

use std::sync::Arc;

use rustls::InconsistentKeys;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls_pemfile::Item;

use crate::error::{Error, Kind, Result};

/// Reads every certificate; other blocks are passed over. At least one must be there.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let mut certificates = Vec::new();
    for item in rustls_pemfile::read_all(&mut &*pem) {
        match item {
            Ok(Item::X509Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(_) => return Err(broken(pem)),
        }
    }
    match certificates.is_empty() {
        true => Err(Error::new(Kind::Failed, format!("holds no certificate{}", found(pem))).hint(if is_der(pem) {
            "convert it: openssl x509 -inform DER -in FILE"
        } else {
            "it must be PEM with a CERTIFICATE block"
        })),
        false => Ok(certificates),
    }
}

/// Reads the first private key: PKCS#1, PKCS#8 or SEC1.
pub fn key(pem: &[u8]) -> Result<PrivateKeyDer<'static>> {
    if is_encrypted(pem) {
        return Err(Error::new(Kind::Failed, "holds an encrypted private key, which is not supported")
            .hint("decrypt it: openssl pkey -in FILE"));
    }
    for item in rustls_pemfile::read_all(&mut &*pem) {
        match item {
            Ok(Item::Pkcs1Key(key)) => return Ok(key.into()),
            Ok(Item::Pkcs8Key(key)) => return Ok(key.into()),
            Ok(Item::Sec1Key(key)) => return Ok(key.into()),
            Ok(_) => {}
            Err(_) => return Err(broken(pem)),
        }
    }
    Err(Error::new(Kind::Failed, format!("holds no private key{}", found(pem))).hint(if is_der(pem) {
        "convert it: openssl pkey -inform DER -in FILE"
    } else {
        "it must be PEM with a PRIVATE KEY block (PKCS#8, PKCS#1 or SEC1)"
    }))
}

/// What TLS signs with as the owner of this certificate, if it can with this key.
pub fn pair(chain: Vec<CertificateDer<'static>>, key: &PrivateKeyDer<'static>) -> Result<Arc<CertifiedKey>> {
    let matched = ring::sign::any_supported_type(key).and_then(|key| {
        let pair = CertifiedKey::new(chain, key);
        match pair.keys_match() {
            // Unknown is no fault: some kinds of key don't tell.
            Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(Arc::new(pair)),
            Err(error) => Err(error),
        }
    });
    match matched {
        Ok(pair) => Ok(pair),
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err(Error::new(Kind::Failed, "the private key does not belong to the certificate")
                .hint("take certificate and key from the same pair"))
        }
        Err(rustls::Error::InvalidCertificate(_)) => Err(Error::new(Kind::Failed, "the certificate is not valid DER")
            .hint("look at it: openssl x509 -text -in FILE")),
        // Nothing rustls would say here quotes the key, but there is nothing to learn from it either.
        Err(_) => Err(Error::new(Kind::Failed, "the private key can't be used")
            .hint("supported are RSA of 2048 to 4096 bits, ECDSA P-256 and P-384, and Ed25519")),
    }
}

fn broken(pem: &[u8]) -> Error {
    Error::new(Kind::Failed, format!("holds a broken PEM block{}", found(pem)))
        .hint("its base64 or its END line is damaged; copy it again")
}

fn is_encrypted(pem: &[u8]) -> bool {
    lines(pem).any(|line| {
        line == b"-----BEGIN ENCRYPTED PRIVATE KEY-----"
            || (line.starts_with(b"Proc-Type:") && line.ends_with(b"ENCRYPTED"))
    })
}

/// DER starts with an ASN.1 SEQUENCE of a long length.
fn is_der(bytes: &[u8]) -> bool {
    matches!(bytes, [0x30, 0x81..=0x84, ..])
}

/// What blocks there are instead, as words for an error.
fn found(pem: &[u8]) -> String {
    let mut labels: Vec<&str> = lines(pem)
        .filter_map(|line| line.strip_prefix(b"-----BEGIN ")?.strip_suffix(b"-----"))
        .filter(|label| label.len() <= 40 && label.iter().all(|b| b.is_ascii_uppercase() || b" 0123456789".contains(b)))
        .filter_map(|label| std::str::from_utf8(label).ok())
        .collect();
    labels.dedup();
    labels.truncate(4);
    match labels.as_slice() {
        [] if pem.trim_ascii().is_empty() => " (it is empty)".to_owned(),
        [] if is_der(pem) => " (it looks like DER, not PEM)".to_owned(),
        [] => " (it holds no PEM block)".to_owned(),
        labels => format!(" (it holds: {})", labels.join(", ")),
    }
}

fn lines(pem: &[u8]) -> impl Iterator<Item = &[u8]> {
    pem.split(|&b| b == b'\n').map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RSA_PKCS1: &[u8] = include_bytes!("../../fixtures/kubeconfigs/keys/rsa-pkcs1.key");
    const RSA_PKCS8: &[u8] = include_bytes!("../../fixtures/kubeconfigs/keys/rsa-pkcs8.key");
    const RSA_CRT: &[u8] = include_bytes!("../../fixtures/kubeconfigs/keys/rsa.crt");
    const EC_SEC1: &[u8] = include_bytes!("../../fixtures/kubeconfigs/keys/ec-sec1.key");
    const EC_PKCS8: &[u8] = include_bytes!("../../fixtures/kubeconfigs/keys/ec-pkcs8.key");
    const EC_CRT: &[u8] = include_bytes!("../../fixtures/kubeconfigs/keys/ec.crt");
    const ENCRYPTED: &[u8] = include_bytes!("../../fixtures/kubeconfigs/keys/rsa-encrypted.key");
    const ENCRYPTED_OLD: &[u8] = include_bytes!("../../fixtures/kubeconfigs/keys/rsa-encrypted-pkcs1.key");
    const P521: &[u8] = include_bytes!("../../fixtures/kubeconfigs/keys/ec-p521.key");

    #[test]
    fn keys_of_every_form_fit_their_certificate() {
        let ed25519 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&ed25519).unwrap();
        for (pem, crt) in [
            (RSA_PKCS1, RSA_CRT),
            (RSA_PKCS8, RSA_CRT),
            (EC_SEC1, EC_CRT),
            (EC_PKCS8, EC_CRT),
            (ed25519.serialize_pem().as_bytes(), certificate.pem().as_bytes()),
        ] {
            super::pair(certificates(crt).unwrap(), &key(pem).unwrap()).unwrap();
        }
    }

    #[test]
    fn a_file_may_hold_both_and_more() {
        let both = [EC_SEC1, b"junk between\n", EC_CRT, RSA_CRT].concat();
        assert_eq!(certificates(&both).unwrap().len(), 2);
        assert_eq!(key(&both).unwrap(), key(EC_SEC1).unwrap());
        let windows = String::from_utf8(EC_CRT.to_vec()).unwrap().replace('\n', "\r\n");
        assert_eq!(certificates(windows.as_bytes()).unwrap(), certificates(EC_CRT).unwrap());
    }

    #[test]
    fn what_does_not_fit_is_told_in_words() {
        let der = certificates(RSA_CRT).unwrap()[0].to_vec();
        let broken = String::from_utf8(RSA_CRT.to_vec()).unwrap().replacen("\nM", "\n!", 1);
        let told = |result: Result<()>| {
            let error = result.unwrap_err();
            assert!(error.remedy().is_some(), "{error}");
            error.to_string()
        };
        let crt = |pem: &[u8]| told(certificates(pem).map(|_| ()));
        let private = |pem: &[u8]| told(key(pem).map(|_| ()));
        assert_eq!(crt(EC_PKCS8), "holds no certificate (it holds: PRIVATE KEY)");
        assert_eq!(crt(b""), "holds no certificate (it is empty)");
        assert_eq!(crt(&der), "holds no certificate (it looks like DER, not PEM)");
        assert_eq!(crt(b"hello"), "holds no certificate (it holds no PEM block)");
        assert_eq!(crt(broken.as_bytes()), "holds a broken PEM block (it holds: CERTIFICATE)");
        assert_eq!(private(RSA_CRT), "holds no private key (it holds: CERTIFICATE)");
        assert_eq!(private(ENCRYPTED), "holds an encrypted private key, which is not supported");
        assert_eq!(private(ENCRYPTED_OLD), "holds an encrypted private key, which is not supported");
        let pair =
            |crt: &[u8], pem: &[u8]| told(super::pair(certificates(crt).unwrap(), &key(pem).unwrap()).map(|_| ()));
        assert_eq!(pair(EC_CRT, RSA_PKCS1), "the private key does not belong to the certificate");
        assert_eq!(pair(EC_CRT, P521), "the private key can't be used");
    }
}
