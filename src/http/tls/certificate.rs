//! What an X.509 certificate says about itself, read for words and dates; sans-io, bounded, and never a reason to trust it.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::time::{Civil, Timestamp};

/// The parts of a certificate that a person asks about (RFC 5280, section 4.1). Its texts are whoever's who made it:
/// shortened here, and to be neutralised before they reach a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// `CN=kube-apiserver`, `CN=alice, O=dev`; empty where it says neither name nor organisation.
    pub subject: String,
    /// Who signed it, in the same form.
    pub issuer: String,
    /// Whether it names itself as its issuer, byte by byte.
    pub self_issued: bool,
    /// The first instant of its validity.
    pub not_before: Timestamp,
    /// The last.
    pub not_after: Timestamp,
    /// The DNS names and addresses it is for, at most [`NAMES`].
    pub names: Vec<String>,
    /// How many more there are.
    pub more_names: usize,
}

/// Names kept of one certificate.
pub const NAMES: usize = 8;
/// Characters kept of one text.
const LONGEST: usize = 100;
/// Attributes read of one name: real ones have a handful.
const ATTRIBUTES: usize = 32;

impl Certificate {
    /// Reads a DER certificate; `None` where it is none.
    pub fn read(der: &[u8]) -> Option<Self> {
        let (outer, _) = tagged(der, SEQUENCE)?;
        let (mut fields, _) = tagged(outer, SEQUENCE)?;
        if fields.first() == Some(&VERSION) {
            (_, _, fields) = element(fields)?;
        }
        // Serial number, signature algorithm.
        for _ in 0..2 {
            (_, _, fields) = element(fields)?;
        }
        let (issuer, fields) = tagged(fields, SEQUENCE)?;
        let (dates, fields) = tagged(fields, SEQUENCE)?;
        let (subject, fields) = tagged(fields, SEQUENCE)?;
        let (tag, from, rest) = element(dates)?;
        let not_before = instant(tag, from)?;
        let (tag, to, _) = element(rest)?;
        let (names, more_names) = alternative_names(fields).unwrap_or_default();
        Some(Certificate {
            subject: distinguished(subject),
            issuer: distinguished(issuer),
            self_issued: issuer == subject,
            not_before,
            not_after: instant(tag, to)?,
            names,
            more_names,
        })
    }

    /// `it is for a.example, 10.0.0.1 and 3 more`.
    pub fn names_in_words(&self) -> String {
        match (self.names.is_empty(), self.more_names) {
            (true, _) => "it names no host (only subject alternative names count)".to_owned(),
            (false, 0) => format!("it is for {}", self.names.join(", ")),
            (false, more) => format!("it is for {} and {more} more", self.names.join(", ")),
        }
    }
}

/// `subject "CN=server", issuer "CN=kubernetes", valid from 2026-01-01T00:00:00Z to 2027-01-01T00:00:00Z`.
impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Certificate { subject, issuer, not_before, not_after, .. } = self;
        let (from, to) = (date(*not_before), date(*not_after));
        write!(f, "subject {subject:?}, issuer {issuer:?}, valid from {from} to {to}")
    }
}

/// An instant to the second, in UTC.
pub fn date(at: Timestamp) -> String {
    let text = at.rfc3339().to_string();
    format!("{}Z", text.split('.').next().unwrap_or_default())
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_ID: u8 = 0x06;
const OCTETS: u8 = 0x04;
/// Context tags of a certificate's fields: version, extensions.
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
/// Object ids: commonName, organizationName, organizationalUnitName, subjectAltName.
const COMMON_NAME: [u8; 3] = [0x55, 4, 3];
const ORGANIZATION: [u8; 3] = [0x55, 4, 10];
const UNIT: [u8; 3] = [0x55, 4, 11];
const ALTERNATIVE_NAMES: [u8; 3] = [0x55, 0x1d, 17];

/// Common name, organisations and units of a Name, in this order.
fn distinguished(name: &[u8]) -> String {
    let mut found: [(&str, &[u8; 3], Vec<String>); 3] =
        [("CN", &COMMON_NAME, Vec::new()), ("O", &ORGANIZATION, Vec::new()), ("OU", &UNIT, Vec::new())];
    let mut sets = name;
    let mut left = ATTRIBUTES;
    while let Some((mut attributes, rest)) = tagged(sets, SET) {
        sets = rest;
        while let Some((attribute, rest)) = tagged(attributes, SEQUENCE) {
            attributes = rest;
            if left == 0 {
                break;
            }
            left -= 1;
            if let Some((id, value)) = tagged(attribute, OBJECT_ID)
                && let Some((tag, text, _)) = element(value)
                && let Some((_, _, texts)) = found.iter_mut().find(|(_, wanted, _)| id == *wanted)
            {
                texts.push(string(tag, text));
            }
        }
    }
    let parts: Vec<String> =
        found.iter().flat_map(|(label, _, texts)| texts.iter().map(move |text| format!("{label}={text}"))).collect();
    shortened(parts.join(", ").chars())
}

/// The DNS names and addresses of the subject alternative names among what follows the subject.
fn alternative_names(mut fields: &[u8]) -> Option<(Vec<String>, usize)> {
    let mut extensions = loop {
        let (tag, content, rest) = element(fields)?;
        if tag == EXTENSIONS {
            break tagged(content, SEQUENCE)?.0;
        }
        fields = rest;
    };
    let mut list = loop {
        let (extension, rest) = tagged(extensions, SEQUENCE)?;
        extensions = rest;
        let (id, mut value) = tagged(extension, OBJECT_ID)?;
        if id == ALTERNATIVE_NAMES {
            const CRITICAL: u8 = 0x01;
            if value.first() == Some(&CRITICAL) {
                (_, _, value) = element(value)?;
            }
            break tagged(tagged(value, OCTETS)?.0, SEQUENCE)?.0;
        }
    };
    let (mut names, mut more) = (Vec::new(), 0);
    while let Some((tag, content, rest)) = element(list) {
        list = rest;
        const DNS: u8 = 0x82;
        const ADDRESS: u8 = 0x87;
        let name = match (tag, content.len()) {
            (DNS, _) => shortened(String::from_utf8_lossy(content).chars()),
            (ADDRESS, 4) => <[u8; 4]>::try_from(content).map(Ipv4Addr::from).ok()?.to_string(),
            (ADDRESS, 16) => <[u8; 16]>::try_from(content).map(Ipv6Addr::from).ok()?.to_string(),
            _ => continue,
        };
        match names.len() < NAMES {
            true => names.push(name),
            false => more += 1,
        }
    }
    Some((names, more))
}

/// A string of a name, in whichever of ASN.1's alphabets.
fn string(tag: u8, text: &[u8]) -> String {
    const TELETEX: u8 = 0x14;
    const BMP: u8 = 0x1e;
    match tag {
        TELETEX => shortened(text.iter().map(|&byte| char::from(byte))),
        BMP => {
            let units = text.chunks_exact(2).map(|unit| u16::from_be_bytes([unit[0], unit[1]]));
            shortened(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)))
        }
        _ => shortened(String::from_utf8_lossy(&text[..text.len().min(4 * LONGEST + 4)]).chars()),
    }
}

fn shortened(text: impl Iterator<Item = char>) -> String {
    let mut text = text;
    let mut short: String = text.by_ref().take(LONGEST).collect();
    if text.next().is_some() {
        short.push('…');
    }
    short
}

/// Content and rest of the DER element at the front, if it has this tag.
fn tagged(der: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let (tag, content, rest) = element(der)?;
    (tag == wanted).then_some((content, rest))
}

/// Tag, content and rest of the DER element at the front.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// UTCTime `YYMMDDHHMMSSZ` or GeneralizedTime `YYYYMMDDHHMMSSZ`.
fn instant(tag: u8, text: &[u8]) -> Option<Timestamp> {
    const UTC_TIME: u8 = 0x17;
    const GENERALIZED_TIME: u8 = 0x18;
    let digits = text.strip_suffix(b"Z")?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = |digits: &[u8]| digits.iter().fold(0, |number, digit| number * 10 + i32::from(digit - b'0'));
    let (year, rest) = match (tag, digits.len()) {
        (UTC_TIME, 12) => {
            let year = number(&digits[..2]);
            (if year < 50 { 2000 + year } else { 1900 + year }, &digits[2..])
        }
        (GENERALIZED_TIME, 14) => (number(&digits[..4]), &digits[4..]),
        _ => return None,
    };
    let two = |at: usize| number(&rest[at..at + 2]) as u8;
    Civil { year, month: two(0), day: two(2), hour: two(4), minute: two(6), second: two(8), micros: 0 }.utc()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::http::testing::mutated;
    use rcgen::{CertificateParams, DnType, DnValue, KeyPair};

    fn made(adjust: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params =
            CertificateParams::new(vec!["api.example".to_owned(), "10.0.0.1".to_owned(), "fd00::1".to_owned()])
                .unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        adjust(&mut params);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn it_says_who_when_and_for_what() {
        let read = Certificate::read(&made(|params| {
            params.distinguished_name.push(DnType::OrganizationName, "some \u{1b}org");
            params.not_before = rcgen::date_time_ymd(2024, 1, 2);
            params.not_after = rcgen::date_time_ymd(2030, 3, 4);
        }))
        .unwrap();
        assert_eq!(
            read.to_string(),
            "subject \"CN=kube-apiserver, O=some \\u{1b}org\", issuer \"CN=kube-apiserver, O=some \\u{1b}org\", \
             valid from 2024-01-02T00:00:00Z to 2030-03-04T00:00:00Z"
        );
        assert!(read.self_issued);
        assert_eq!(read.names_in_words(), "it is for api.example, 10.0.0.1, fd00::1");
    }

    #[test]
    fn dates_are_read_in_both_notations() {
        let dates = |from, to| {
            let read = Certificate::read(&made(|params| {
                params.not_before = rcgen::date_time_ymd(from, 1, 2);
                params.not_after = rcgen::date_time_ymd(to, 3, 4);
            }))
            .unwrap();
            (date(read.not_before), date(read.not_after))
        };
        // From 2050 on certificates write four-digit years.
        assert_eq!(dates(1999, 2055), ("1999-01-02T00:00:00Z".to_owned(), "2055-03-04T00:00:00Z".to_owned()));
        assert_eq!(dates(1951, 9999).0, "1951-01-02T00:00:00Z");
    }

    #[test]
    fn names_in_other_alphabets_and_far_too_many_are_bounded() {
        let bmp = DnValue::BmpString("Zürich ✓".try_into().unwrap());
        let read = Certificate::read(&made(|params| {
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(DnType::OrganizationalUnitName, bmp);
            params
                .distinguished_name
                .push(DnType::OrganizationName, DnValue::TeletexString("Basel".try_into().unwrap()));
        }))
        .unwrap();
        assert_eq!(read.subject, "O=Basel, OU=Zürich ✓");
        let read = Certificate::read(&made(|params| {
            params.distinguished_name.push(DnType::CommonName, "x".repeat(5000));
            let many = (0..300).map(|n| format!("host-{n}.example").try_into().map(rcgen::SanType::DnsName).unwrap());
            params.subject_alt_names = many.collect();
        }))
        .unwrap();
        assert_eq!(read.subject, format!("CN={}…", "x".repeat(97)));
        assert_eq!((read.names.len(), read.more_names), (NAMES, 300 - NAMES));
        assert!(read.names_in_words().ends_with("host-7.example and 292 more"));
        let bare = Certificate::read(&made(|params| {
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.subject_alt_names.clear();
        }))
        .unwrap();
        assert_eq!((bare.subject.as_str(), bare.names.len()), ("", 0));
    }

    #[test]
    fn a_damaged_certificate_is_no_panic() {
        let whole = made(|_| ());
        for cut in 0..whole.len() {
            assert_eq!(Certificate::read(&whole[..cut]), None);
        }
        for seed in 0..100_000 {
            if let Some(read) = Certificate::read(&mutated(&whole, seed)) {
                let bound = 8 * (LONGEST + 8) * (NAMES + 2);
                assert!(read.to_string().len() + read.names_in_words().len() < bound, "seed {seed}");
            }
        }
    }
}
