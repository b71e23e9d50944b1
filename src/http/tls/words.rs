//! TLS failures in words a person can act on: which certificate, what is wrong with it, and what to do.

use std::fmt;
use std::sync::Arc;

use rustls::{CertificateError, InvalidMessage, OtherError, PeerIncompatible};

use super::certificate::{Certificate, date};
use crate::clock::Clock;
use crate::http::failure::{Failure, Stage, plain};
use crate::time::Timestamp;

/// Whom a handshake was made with.
#[derive(Clone, Debug)]
pub(in crate::http) struct Peer {
    role: Role,
    /// `api.example:6443`, or a proxy's URL without its credentials.
    place: String,
    /// The proxy that lies between, as a URL without credentials.
    through: Option<String>,
    /// The certificate we show when asked.
    ours: Option<Certificate>,
    clock: Clock,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Server,
    Proxy,
}

/// Who may vouch for a peer, for words.
#[derive(Debug)]
pub(super) enum Vouching {
    /// These authorities.
    Given {
        /// Where they were read from; may be empty.
        source: String,
        authorities: Vec<Certificate>,
    },
    /// So many of the system's.
    System(usize),
    /// So many embedded in this program.
    Embedded(usize),
    /// Given ones and the system's.
    Both,
}

/// Why a peer's certificate was refused, with what it says about itself.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) error: CertificateError,
    pub(super) now: Timestamp,
    /// The peer's own.
    pub(super) leaf: Option<Certificate>,
    /// Those it sent along.
    pub(super) others: Vec<Certificate>,
    pub(super) vouching: Arc<Vouching>,
}

impl Peer {
    pub(in crate::http) fn server(
        place: String,
        through: Option<String>,
        ours: Option<Certificate>,
        clock: Clock,
    ) -> Self {
        Peer { role: Role::Server, place, through, ours, clock }
    }

    pub(in crate::http) fn proxy(url: String, clock: Clock) -> Self {
        Peer { role: Role::Proxy, place: url, through: None, ours: None, clock }
    }

    /// `api.example:6443 (through the proxy http://p:3128)`.
    pub(in crate::http) fn name(&self) -> String {
        match (self.role, &self.through) {
            (Role::Proxy, _) => format!("the proxy {}", self.place),
            (Role::Server, None) => self.place.clone(),
            (Role::Server, Some(proxy)) => format!("{} (through the proxy {proxy})", self.place),
        }
    }

    /// `the server` or `the proxy`.
    fn who(&self) -> &'static str {
        match self.role {
            Role::Server => "the server",
            Role::Proxy => "the proxy",
        }
    }

    pub(in crate::http) fn failure(&self, words: &str) -> Failure {
        Failure::new(Stage::Tls, format!("TLS with {}: {words}", self.name()))
    }

    /// What a TLS error means.
    pub(in crate::http) fn explain(&self, error: &rustls::Error) -> Failure {
        use rustls::Error as Tls;
        let who = self.who();
        match error {
            Tls::InvalidCertificate(CertificateError::Other(OtherError(why))) if why.is::<Refused>() => {
                why.downcast_ref().map_or_else(|| self.failure("refused"), |refused| self.refused(refused))
            }
            Tls::InvalidCertificate(error) => {
                self.failure(&format!("{who}'s certificate can't be used: {}", plain(&error.to_string())))
            }
            Tls::AlertReceived(alert) => self.alert(&format!("{alert:?}")),
            Tls::InvalidMessage(InvalidMessage::InvalidContentType) => {
                let failure = self.failure("what answered there does not speak TLS");
                match (self.role, &self.through) {
                    (Role::Server, None) => failure.hint("is it the right port? http:// for a plain server"),
                    (Role::Server, Some(_)) => failure.hint(
                        "is it the right port? Or did the proxy answer in the server's place, as login pages do?",
                    ),
                    (Role::Proxy, _) => failure
                        .hint("is it the right port? Most proxies are spoken to without TLS: write http:// for them"),
                }
            }
            Tls::PeerIncompatible(why) => self.incompatible(why),
            Tls::NoApplicationProtocol => self.failure(&format!("{who} speaks neither HTTP/2 nor HTTP/1.1")),
            other => self.failure(&plain(&other.to_string())),
        }
    }

    /// What a failure means of which only words are left: HTTP/2 keeps no more of it than its text.
    pub(in crate::http) fn explain_words(&self, words: &str) -> Option<Failure> {
        Some(self.alert(words.strip_prefix("received fatal alert: ")?))
    }

    /// What the peer told us by a TLS alert, from rustls's name for it.
    fn alert(&self, alert: &str) -> Failure {
        let who = self.who();
        match alert {
            "CertificateExpired" => self.ours_refused("it has expired"),
            "CertificateRevoked" => self.ours_refused("it was revoked"),
            "UnknownCA" => self.ours_refused("an authority unknown to it signed it"),
            "BadCertificate" | "UnsupportedCertificate" | "CertificateUnknown" | "AccessDenied" | "DecryptError" => {
                self.ours_refused("it is not acceptable to it")
            }
            "CertificateRequired" => self.wants_ours(),
            // What servers with TLS 1.2 say to a client that shows no certificate.
            "HandshakeFailure" if self.ours.is_none() => self
                .failure(&format!("{who} refused the handshake"))
                .hint("it may want a client certificate, and we have none; or no version or cipher is in common"),
            "ProtocolVersion" | "InsufficientSecurity" | "HandshakeFailure" => {
                self.failure("no version or cipher in common (TLS 1.2 and 1.3 are spoken here)").hint(OLD)
            }
            "UnrecognisedName" => self.failure(&format!("{who} does not know the name we asked for")).hint(NAME),
            "NoApplicationProtocol" => {
                let failure = self.failure(&format!("{who} speaks neither HTTP/2 nor HTTP/1.1"));
                // A server may speak another version than those it was offered; of proxies there is but one.
                if self.role == Role::Server { failure.at(Stage::Version) } else { failure }
            }
            other => self.failure(&format!("{who} ended the handshake ({other})")),
        }
    }

    fn wants_ours(&self) -> Failure {
        match self.role {
            Role::Server => self
                .failure("the server wants a client certificate, and we have none")
                .hint("give one: client-certificate and client-key of the kubeconfig's user"),
            Role::Proxy => self.failure("the proxy wants a client certificate, and gets none").hint(
                "only the API server is shown the user's certificate: use a proxy that takes a name and a password",
            ),
        }
    }

    fn ours_refused(&self, why: &str) -> Failure {
        let Some(ours) = &self.ours else {
            let alert = if why.starts_with("it is not") { "" } else { " as if we had shown one" };
            return match self.role {
                Role::Server => self.wants_ours_or(alert),
                Role::Proxy => self.wants_ours(),
            };
        };
        let failure =
            |why: &str| self.failure(&format!("{} refused our client certificate: {why} ({ours})", self.who()));
        let now = self.clock.now();
        if now > ours.not_after {
            failure(&format!("it expired at {}; it is {} now", date(ours.not_after), date(now)))
                .hint("get a new one: log in again, or have an administrator renew client-certificate of this user")
        } else if now < ours.not_before {
            failure(&format!("it is valid only from {} on; it is {} now", date(ours.not_before), date(now)))
                .hint(behind(ours.not_before, now))
        } else {
            failure(why).hint(
                "is it of this cluster, whose authority must have signed it? Check client-certificate of this user; if \
                 its dates are near, the clocks of both machines",
            )
        }
    }

    fn wants_ours_or(&self, more: &str) -> Failure {
        self.failure(&format!("the server refused the handshake over a client certificate, and we have none{more}"))
            .hint("give one: client-certificate and client-key of the kubeconfig's user")
    }

    fn incompatible(&self, why: &PeerIncompatible) -> Failure {
        match why {
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled => {
                self.failure(&format!("{} speaks only versions of TLS before 1.2", self.who())).hint(OLD)
            }
            why => self.failure(&format!("no version or cipher in common ({why:?})")).hint(OLD),
        }
    }

    /// Why we refused the peer's certificate.
    fn refused(&self, refused: &Refused) -> Failure {
        use CertificateError as C;
        let Refused { error, now, leaf, .. } = refused;
        let whose = format!("{}'s certificate", self.who());
        let about = leaf.as_ref().map_or(String::new(), |leaf| format!(" ({leaf})"));
        match error {
            C::ExpiredContext { .. } | C::Expired => match refused.at_fault(|it| *now > it.not_after) {
                Some((its, it)) => self
                    .failure(&format!(
                        "{} expired at {}; it is {} now ({it})",
                        its.unwrap_or(&whose),
                        date(it.not_after),
                        date(*now)
                    ))
                    .hint(format!(
                        "it expired {} ago, unless this machine's clock is ahead: {} needs a new certificate",
                        span(it.not_after, *now),
                        self.who()
                    )),
                None => self.failure(&format!("{whose} has expired")).hint(CLOCK),
            },
            C::NotValidYetContext { .. } | C::NotValidYet => match refused.at_fault(|it| *now < it.not_before) {
                Some((its, it)) => self
                    .failure(&format!(
                        "{} is valid only from {} on; it is {} now ({it})",
                        its.unwrap_or(&whose),
                        date(it.not_before),
                        date(*now)
                    ))
                    .hint(match refused.vouching.all_start_after(*now) {
                        true => "this machine's clock is behind: it stands before the day the cluster's own authority was made".into(),
                        false => behind(it.not_before, *now),
                    }),
                None => self.failure(&format!("{whose} is not valid yet")).hint(CLOCK),
            },
            C::NotValidForNameContext { expected, .. } => {
                let names = leaf.as_ref().map_or_else(|| "another".to_owned(), Certificate::names_in_words);
                let failure = self.failure(&format!("{whose} is not for {}: {names}{about}", expected.to_str()));
                match self.role {
                    _ if leaf.as_ref().is_some_and(|leaf| leaf.names.is_empty()) => failure.hint(format!(
                        "{} needs a certificate with subject alternative names",
                        self.who()
                    )),
                    Role::Server => failure.hint(
                        "use a name it has as the server's, or tls-server-name in the kubeconfig (--tls-server-name NAME)",
                    ),
                    Role::Proxy => failure.hint("name the proxy as its certificate does"),
                }
            }
            C::NotValidForName => self.failure(&format!("{whose} is for another name{about}")).hint(NAME),
            C::Revoked => self.failure(&format!("{whose} is revoked{about}")),
            _ if leaf.as_ref().is_some_and(|leaf| leaf.self_issued) && refused.is_about_trust() => {
                self.untrusted(refused, &format!("{whose} is self-signed: nobody vouches for it but itself{about}"))
            }
            // An authority of the right name but with another key: kubeadm calls each cluster's "kubernetes".
            C::BadSignature | C::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
                let words = format!("{whose} is signed by another authority of the same name{about}");
                let failure = self.failure(&format!("{words}; {}", refused.vouching));
                failure.hint(
                    "the certificate authority given is another cluster's: check certificate-authority, and the server's address",
                )
            }
            C::UnknownIssuer => {
                let by = match leaf.as_ref().map(|leaf| leaf.issuer.as_str()) {
                    Some(issuer) if !issuer.is_empty() => format!(", {issuer:?}"),
                    _ => String::new(),
                };
                self.untrusted(refused, &format!("{whose} is signed by an unknown authority{by}{about}"))
            }
            C::InvalidPurpose | C::InvalidPurposeContext { .. } => self
                .failure(&format!("{whose} is not made for servers (extended key usage){about}"))
                .hint("is it the right address and port?"),
            C::BadEncoding => self.failure(&format!("{whose} is damaged{about}")),
            C::Other(OtherError(why)) if why.to_string() == "CaUsedAsEndEntity" => {
                self.failure(&format!("{whose} is an authority's own, not a server's{about}"))
            }
            C::Other(OtherError(why)) => self.failure(&format!("{whose} can't be used: {}{about}", plain(&why.to_string()))),
            other => self.failure(&format!("{whose} can't be used: {}{about}", plain(&other.to_string()))),
        }
    }

    fn untrusted(&self, refused: &Refused, words: &str) -> Failure {
        let failure = self.failure(&format!("{words}; {}", refused.vouching));
        match (self.role, &self.through, &*refused.vouching) {
            (Role::Proxy, ..) => failure.hint("add the authority that signed it to the system's (or to SSL_CERT_FILE)"),
            (Role::Server, Some(proxy), _) => failure.hint(format!(
                "either the authority given is not this server's, or {proxy} opens TLS and signs anew: then NO_PROXY, or the \
                 proxy's authority as certificate-authority"
            )),
            (Role::Server, None, Vouching::Given { .. }) => failure.hint(
                "is the server's address right? Then give the authority that signed it: certificate-authority in the \
                 kubeconfig, or --certificate-authority FILE",
            ),
            (Role::Server, None, _) => failure.hint(
                "the kubeconfig names no authority for this cluster: certificate-authority, or --certificate-authority FILE",
            ),
        }
    }
}

const CLOCK: &str = "compare this machine's clock with the server's; else the server needs a new certificate";
const NAME: &str = "tls-server-name in the kubeconfig, or --tls-server-name NAME, says which name to ask for";
const OLD: &str = "an old server, or something else than an API server on this port?";

impl Refused {
    /// The certificate for which this is so, with words for it where it is not the peer's own.
    fn at_fault(&self, so: impl Fn(&Certificate) -> bool) -> Option<(Option<&'static str>, &Certificate)> {
        let leaf = self.leaf.iter().map(|leaf| (None, leaf));
        let others = self.others.iter().map(|other| (Some("the certificate of an authority between"), other));
        leaf.chain(others).find(|(_, it)| so(it))
    }

    /// Whether it was refused for who signed it.
    fn is_about_trust(&self) -> bool {
        match &self.error {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => true,
            CertificateError::Other(OtherError(why)) => why.to_string() == "CaUsedAsEndEntity",
            _ => false,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Refused {}

impl Vouching {
    /// Whether by this clock none of the given authorities exists yet.
    fn all_start_after(&self, now: Timestamp) -> bool {
        match self {
            Vouching::Given { authorities, .. } => {
                !authorities.is_empty() && authorities.iter().all(|authority| now < authority.not_before)
            }
            _ => false,
        }
    }
}

/// `trusted is only "CN=kubernetes" (certificate-authority-data of cluster "c")`.
impl fmt::Display for Vouching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 3;
        match self {
            Vouching::Given { source, authorities } => {
                f.write_str("trusted is only ")?;
                for (n, authority) in authorities.iter().take(SHOWN).enumerate() {
                    write!(f, "{}{:?}", if n > 0 { ", " } else { "" }, authority.subject)?;
                }
                if authorities.len() > SHOWN {
                    write!(f, " and {} more", authorities.len() - SHOWN)?;
                }
                match source.is_empty() {
                    true => Ok(()),
                    false => write!(f, " ({source})"),
                }
            }
            Vouching::System(count) => write!(f, "trusted are this system's authorities ({count})"),
            Vouching::Embedded(count) => {
                write!(f, "trusted are the {count} public authorities built in, for this system has none")
            }
            Vouching::Both => f.write_str("trusted are the cluster's authority and those of this system"),
        }
    }
}

/// What to do about a validity that lies ahead.
fn behind(not_before: Timestamp, now: Timestamp) -> String {
    let ahead = span(now, not_before);
    match not_before.as_seconds() - now.as_seconds() {
        ..=86_400 => format!("this machine's clock is probably behind, by {ahead} at least: set it"),
        _ => format!("is this machine's clock right? It would have to be {ahead} behind"),
    }
}

/// The time between two instants, in the largest unit that fits twice.
fn span(from: Timestamp, to: Timestamp) -> String {
    let seconds = (to.as_seconds() - from.as_seconds()).max(0);
    let (unit, name) = [(86_400, "days"), (3_600, "h"), (60, "min")]
        .into_iter()
        .find(|(unit, _)| seconds >= 2 * unit)
        .unwrap_or((1, "s"));
    format!("{} {name}", seconds / unit)
}
