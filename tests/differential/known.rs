//! Where this program goes another way than kubectl, and why.

use super::generate::Case;
use super::stage::{Asked, End, Seen};

/// Two runs of a case that were not alike.
pub(super) struct Difference<'a> {
    pub(super) case: &'a Case,
    /// kubectl's run, and what it said.
    pub(super) theirs: &'a Seen,
    pub(super) their_words: &'a str,
    /// Ours.
    pub(super) ours: &'a Seen,
    pub(super) our_words: &'a str,
}

/// A difference that is meant.
pub(super) struct Known {
    pub(super) what: &'static str,
    pub(super) fits: fn(&Difference<'_>) -> bool,
}

pub(super) const KNOWN: &[Known] = &[
    Known {
        what: "without credentials kubectl asks for a user name; we ask the server as nobody",
        fits: |&Difference { theirs, ours, .. }| {
            theirs.end == End::Prompted && ours.request.as_ref().is_none_or(|asked| asked.authorization.is_none())
        },
    },
    Known {
        what: "a server without a scheme, but with a CA, a certificate or insecure: kubectl speaks plain HTTP all the same; we speak TLS",
        fits: |&Difference { theirs, their_words: words, ours, .. }| {
            let in_plain = theirs.end == End::Unreachable && words.contains("malformed HTTP response \"\\x15\\x03");
            in_plain && theirs.request.is_none() && ours.request.as_ref().is_none_or(|asked| asked.server != "plain")
        },
    },
    Known {
        what: "the same, where the server does speak plain HTTP: it is not asked",
        fits: |&Difference { case, theirs, ours, .. }| {
            let in_plain =
                theirs.request.as_ref().is_some_and(|asked| asked.server == "plain" && asked.authorization.is_none());
            in_plain && ours.request.is_none() && case.has_server_without_scheme()
        },
    },
    Known {
        what: "the same, where HTTPS_PROXY is for TLS alone: kubectl goes past it and finds no such host",
        fits: |&Difference { case, theirs, their_words: words, ours, .. }| {
            let past = is_silent(theirs) && theirs.end == End::Unreachable && words.contains("no such host");
            past && ours.proxy.is_some() && case.has_server_without_scheme()
        },
    },
    Known {
        what: "the same, where nothing listens: kubectl speaks plain HTTP to port 80, without credentials; we TLS to 443, with the plugin's",
        fits: |&Difference { case, theirs, ours, .. }| {
            let nobody = |seen: &Seen| seen.end == End::Unreachable && is_silent(seen);
            nobody(theirs) && nobody(ours) && theirs.told.is_none() && case.has_server_without_scheme()
        },
    },
    Known {
        what: "blanks at the end of a token: HTTP/1.1, in which one node is asked, drops those at the end of a header",
        fits: |&Difference { theirs, ours, .. }| match (&theirs.request, &ours.request) {
            (Some(Asked { authorization: Some(their), server, .. }), Some(our)) => {
                our.authorization.as_deref() == Some(their.trim_end()) && their.ends_with(' ') && our.server == *server
            }
            _ => false,
        },
    },
    Known {
        what: "a proxy variable: Go takes LocalHost, in capitals, for another host than localhost",
        fits: |&Difference { case, theirs, ours, .. }| {
            ["LocalHost", "LOCALHOST"].iter().any(|name| {
                case.mentions(&format!("//{name}"))
                    && theirs.proxy.as_ref().is_some_and(|asked| asked.contains(name))
                    && ours.proxy.is_none()
            })
        },
    },
    Known {
        what: "plain words that YAML 1.1 calls booleans and numbers (yes, 012) may be names; kubectl refuses the file",
        fits: |&Difference { case, theirs, their_words: words, .. }| {
            let kind = words.contains("cannot unmarshal bool into") || words.contains("cannot unmarshal number into");
            theirs.end == End::Refused
                && kind
                && words.contains(" of type string")
                && (case.has_odd_scalar() || words.contains("AuthProviderConfig"))
        },
    },
    Known {
        what: "an IPv4 address may be written as the system's resolver takes it (127.1, 0x7f000001); Go looks for a name",
        fits: |&Difference { case, theirs, their_words: words, .. }| {
            let is_short = case.mentions("//127.1:") || case.mentions("//0x7f000001:");
            is_short && theirs.end == End::Unreachable && words.contains("no such host")
        },
    },
    Known {
        what: "a boolean may be yes or no in quotes too; kubectl takes them without",
        fits: |&Difference { theirs, their_words: words, .. }| {
            theirs.end == End::Refused
                && words.contains("cannot unmarshal string into")
                && words.contains(" of type bool")
        },
    },
    Known {
        what: "what can't be asked or dialled is refused before that is tried",
        fits: |&Difference { theirs, ours, our_words: words, .. }| {
            let reasons = [
                "has the scheme ",
                "has no valid port",
                "has no valid host",
                "proxy-url has no host",
                "is not one of http",
                "must be percent-encoded",
                "holds a control character",
                "exclude each other",
                "can't be sent",
                "is empty",
                "does not belong to the certificate",
                "holds no certificate",
                "holds no private key",
                "holds an encrypted private key",
                "holds a broken PEM block",
            ];
            matches!(theirs.end, End::Unreachable | End::Refused | End::Distrust | End::Credentials)
                && matches!(ours.end, End::Refused | End::Credentials)
                && reasons.iter().any(|reason| words.contains(reason))
                && theirs.request.is_none()
                && is_silent(ours)
        },
    },
    Known {
        what: "what stands behind the path of server is dropped, from what a plugin is told, too",
        fits: |&Difference { theirs, ours, .. }| {
            let server = |seen: &Seen| Some(seen.told.as_ref()?.pointer("/spec/cluster/server")?.as_str()?.to_owned());
            let (Some(their), Some(our)) = (server(theirs), server(ours)) else { return false };
            their.contains('?') && their.split('?').next() == Some(our.as_str()) && theirs.request == ours.request
        },
    },
    Known {
        what: "a server without a host is refused; Go dials this machine",
        fits: |&Difference { case, ours, our_words: words, .. }| {
            case.mentions("https://:@PORT@") && ours.end == End::Refused && words.contains("has no valid host name")
        },
    },
    Known {
        what: "a space in the path of server is refused; kubectl escapes it",
        fits: |&Difference { ours, our_words: words, .. }| {
            ours.end == End::Refused && words.contains("server ") && words.contains(" holds a space")
        },
    },
    Known {
        what: "a user name and a password in server are sent by kubectl, refused by us",
        fits: |&Difference { ours, our_words: words, .. }| {
            ours.end == End::Refused && words.contains("holds a user name or password")
        },
    },
    Known {
        what: "--client-certificate and --client-key replace the kubeconfig's data; kubectl before 1.35 finds one too many",
        fits: |&Difference { theirs, their_words: words, .. }| {
            theirs.end == End::Refused
                && words.contains("-data will override")
                && words.contains("are both specified for")
        },
    },
    Known {
        what: "a percent-escape in the path of server is sent as written; kubectl decodes it, %2f too",
        fits: |&Difference { theirs, ours, .. }| match (&theirs.request, &ours.request) {
            (Some(their), Some(our)) => {
                let prefix = our.path.strip_suffix(their.path.as_str()).unwrap_or_default();
                prefix.contains('%') && our.authorization == their.authorization && our.server == their.server
            }
            _ => false,
        },
    },
    Known {
        what: "binary data is base64, not a list of numbers",
        fits: |&Difference { ours, our_words: words, .. }| {
            ours.end == End::Refused && words.contains("a list where base64 text belongs")
        },
    },
    Known {
        what: "a tls-server-name that is no host's name is refused before it is sent",
        fits: |&Difference { theirs, ours, our_words: words, .. }| {
            (theirs.end, ours.end) == (End::Distrust, End::Refused) && words.contains("can't be a server's name in TLS")
        },
    },
    Known {
        what: "proxy-url socks5h, which newer kubectls take, older ones do not",
        fits: |&Difference { theirs, their_words: words, .. }| {
            theirs.end == End::Refused && words.contains("unsupported scheme \"socks5h\"")
        },
    },
    Known {
        what: "what this program has no use for may be of any kind: preferences, extensions",
        fits: |&Difference { theirs, their_words: words, .. }| {
            let kind = words.contains("cannot unmarshal")
                && ["Preferences.", "Config.preferences", ".extensions of type"]
                    .iter()
                    .any(|field| words.contains(field));
            theirs.end == End::Refused && (kind || words.contains("error converting *[]NamedExtension"))
        },
    },
];

/// Whether nobody was asked anything.
fn is_silent(seen: &Seen) -> bool {
    seen.request.is_none() && seen.proxy.is_none()
}
