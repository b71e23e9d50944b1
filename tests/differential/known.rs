//! Where this program goes another way than kubectl, and why.

use super::stage::{End, Seen};

/// A difference that is meant.
pub(super) struct Known {
    pub(super) what: &'static str,
    /// kubectl's run and words, ours and our words.
    pub(super) fits: fn(&Seen, &str, &Seen, &str) -> bool,
}

pub(super) const KNOWN: &[Known] = &[
    Known {
        what: "without credentials kubectl asks for a user name; we ask the server as nobody",
        fits: |theirs, _, ours, _| {
            theirs.end == End::Prompted && ours.request.as_ref().is_none_or(|asked| asked.authorization.is_none())
        },
    },
    Known {
        what: "a server without a scheme, but with a CA, a certificate or insecure: kubectl speaks plain HTTP all the same; we speak TLS",
        fits: |theirs, words, ours, _| {
            let in_plain = theirs.end == End::Unreachable && words.contains("malformed HTTP response \"\\x15\\x03");
            in_plain && theirs.request.is_none() && ours.request.as_ref().is_none_or(|asked| asked.server != "plain")
        },
    },
    Known {
        what: "what can't be asked or dialled is refused before that is tried",
        fits: |theirs, _, ours, words| {
            let reasons = [
                "has the scheme ", "has no valid port", "has no valid host", "proxy-url has no host", "proxy-url is not one of",
                "can't be sent", "is empty", "does not belong to the certificate", "holds no certificate", "holds no private key",
                "holds an encrypted private key", "holds a broken PEM block",
            ];
            matches!(theirs.end, End::Unreachable | End::Refused | End::Distrust)
                && matches!(ours.end, End::Refused | End::Credentials)
                && reasons.iter().any(|reason| words.contains(reason))
                && theirs.request.is_none()
                && is_silent(ours)
        },
    },
    Known {
        what: "a space in the path of server is refused; kubectl escapes it",
        fits: |_, _, ours, words| ours.end == End::Refused && words.contains("server ") && words.contains(" holds a space"),
    },
    Known {
        what: "a user name and a password in server are sent by kubectl, refused by us",
        fits: |_, _, ours, words| ours.end == End::Refused && words.contains("holds a user name or password"),
    },
    Known {
        what: "--client-certificate and --client-key replace the kubeconfig's data; kubectl before 1.35 finds one too many",
        fits: |theirs, words, _, _| {
            theirs.end == End::Refused && words.contains("-data will override") && words.contains("are both specified for")
        },
    },
    Known {
        what: "a percent-escape in the path of server is sent as written; kubectl decodes it, %2f too",
        fits: |theirs, _, ours, _| match (&theirs.request, &ours.request) {
            (Some(their), Some(our)) => {
                let prefix = our.path.strip_suffix(their.path.as_str()).unwrap_or_default();
                prefix.contains('%') && our.authorization == their.authorization && our.server == their.server
            }
            _ => false,
        },
    },
    Known {
        what: "binary data is base64, not a list of numbers",
        fits: |_, _, ours, words| ours.end == End::Refused && words.contains("a list where base64 text belongs"),
    },
    Known {
        what: "a tls-server-name that is no host's name is refused before it is sent",
        fits: |theirs, _, ours, words| {
            (theirs.end, ours.end) == (End::Distrust, End::Refused) && words.contains("can't be a server's name in TLS")
        },
    },
    Known {
        what: "proxy-url socks5h, which newer kubectls take, older ones do not",
        fits: |theirs, words, _, _| theirs.end == End::Refused && words.contains("unsupported scheme \"socks5h\""),
    },
    Known {
        what: "what this program has no use for may be of any kind: preferences, extensions",
        fits: |theirs, words, _, _| {
            let kind = words.contains("cannot unmarshal")
                && ["Preferences.", "Config.preferences", ".extensions of type"].iter().any(|field| words.contains(field));
            theirs.end == End::Refused && (kind || words.contains("error converting *[]NamedExtension"))
        },
    },
];

/// Whether nobody was asked anything.
fn is_silent(seen: &Seen) -> bool {
    seen.request.is_none() && seen.proxy.is_none()
}
