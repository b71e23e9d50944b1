//! Masks secrets in log text, line by line: what `--redact` promises, and what it does not.
//!
//! Masked is what shows by its form that it is a secret: bearer tokens, JSON Web Tokens, bootstrap tokens of kubeadm,
//! passwords in URLs, user and password of basic authentication, registry credentials as Docker's config has them, keys and
//! signatures of clouds, private keys in PEM (also over several lines), tokens of GitHub, GitLab, Slack and OpenShift, and the
//! values of names such as `password` and `client_secret`, and the data of Secrets in JSON or YAML. A secret that looks like any other word, is written in a form of its
//! own, is encoded once more, or is cut in two is not found. Of text that is masked wrongly, names and numbers of lines stay.

use std::borrow::Cow;
use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

mod forms;
mod names;

use forms::{is_base64_byte, schemes, urls, words};
use names::{named, secret_data, value};

/// What stands in a secret's place.
pub const MASK: &str = "(redacted)";

/// Lines of one private key; longer ones are none.
const MOST_KEY_LINES: usize = 400;

/// Masks one text, line after line.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    /// Lines of a private key that may still come.
    key_lines: usize,
    /// How far a `data:` is indented whose values may still come.
    data: Option<usize>,
}

impl Redactor {
    /// Masks whole lines; the text of several keeps its line ends.
    pub fn mask<'t>(&mut self, text: &'t [u8]) -> Cow<'t, [u8]> {
        let mut masked: Option<Vec<u8>> = None;
        let mut done = 0;
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let secrets = self.secrets(line);
            if !secrets.is_empty() {
                masked.get_or_insert_with(|| text[..done].to_vec());
            }
            if let Some(masked) = &mut masked {
                let mut kept = 0;
                for secret in secrets {
                    masked.extend_from_slice(&line[kept..secret.start]);
                    masked.extend_from_slice(MASK.as_bytes());
                    kept = secret.end;
                }
                masked.extend_from_slice(&line[kept..]);
            }
            done += line.len();
        }
        masked.map_or(Cow::Borrowed(text), Cow::Owned)
    }

    /// Where secrets stand in a line: in order, apart from each other.
    fn secrets(&mut self, line: &[u8]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        self.keys(line, &mut found);
        self.data(line, &mut found);
        secret_data(line, &mut found);
        let lower = line.to_ascii_lowercase();
        named(line, &lower, &mut found);
        schemes(line, &lower, &mut found);
        words(line, &mut found);
        urls(line, &mut found);
        found.retain(|secret| !secret.is_empty() && !line[secret.clone()].starts_with(MASK.as_bytes()));
        found.sort_unstable_by_key(|secret| (secret.start, std::cmp::Reverse(secret.end)));
        let mut apart: Vec<Range<usize>> = Vec::new();
        for secret in found {
            match apart.last_mut() {
                Some(last) if secret.start < last.end => last.end = last.end.max(secret.end),
                _ => apart.push(secret),
            }
        }
        apart
    }

    /// Values in base64 below `data:`, as YAML has a Secret: its kind may stand only behind them.
    fn data(&mut self, line: &[u8], found: &mut Vec<Range<usize>>) {
        let text = line.trim_ascii_end();
        let indent = text.iter().take_while(|byte| **byte == b' ').count();
        if matches!(&text[indent..], b"data:" | b"stringData:") {
            self.data = Some(indent);
            return;
        }
        let Some(outer) = self.data.filter(|outer| text.is_empty() || indent > *outer) else {
            self.data = None;
            return;
        };
        let key = &text[indent..];
        if let Some(colon) = position(key, b": ").filter(|_| indent > outer)
            && let Some(value) = value(line, indent + colon, false).filter(|value| value.end <= text.len())
            && value.len() >= 8
            && STANDARD.decode(&line[value.clone()]).is_ok()
        {
            found.push(value);
        }
    }

    /// Private keys in PEM, in one line or over many.
    fn keys(&mut self, line: &[u8], found: &mut Vec<Range<usize>>) {
        let mut from = 0;
        if self.key_lines > 0 {
            let end = position(line, b"-----END ");
            let text = line[..end.unwrap_or(line.len())].trim_ascii_end();
            let is_header = text.starts_with(b"Proc-Type:") || text.starts_with(b"DEK-Info:");
            // Whatever stands before it on its line: a time, a name. The base64 is the last word.
            let start = text.iter().rposition(u8::is_ascii_whitespace).map_or(0, |at| at + 1);
            let word = &text[start..];
            let is_alone = text[..start].trim_ascii().is_empty();
            let is_odd = word.len() >= 20 || word.iter().any(|byte| !byte.is_ascii_alphabetic());
            let is_base64 = !word.is_empty() && word.iter().all(is_base64_byte) && (is_alone || is_odd);
            if is_header || is_base64 {
                found.push(if is_header { 0 } else { start }..text.len());
            }
            let goes_on = end.is_none() && (is_header || is_base64 || text.is_empty());
            self.key_lines = if goes_on { self.key_lines - 1 } else { 0 };
            from = match end {
                Some(end) => end,
                None if goes_on => return,
                None => 0,
            };
        }
        while let Some(at) = position(&line[from..], b"-----BEGIN ") {
            let begin = from + at;
            let label = begin + b"-----BEGIN ".len();
            let Some(close) = position(&line[label..], b"-----") else { return };
            from = label + close + 5;
            if !line[label..label + close].ends_with(b"PRIVATE KEY") {
                continue;
            }
            match position(&line[from..], b"-----END ") {
                Some(end) => {
                    found.push(from..from + end);
                    from += end;
                }
                None => {
                    let end = from + line[from..].trim_ascii_end().len();
                    found.push(from..end);
                    self.key_lines = MOST_KEY_LINES;
                    return;
                }
            }
        }
    }
}

fn position(text: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str) -> String {
        String::from_utf8(Redactor::default().mask(text.as_bytes()).into_owned()).unwrap()
    }

    const JWT: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4IiwiZXhwIjoxfQ.c2lnbmF0dXJl-_x";

    #[test]
    fn secrets_are_masked_and_what_stands_around_them_stays() {
        let aws = ["AKIA", "IOSFODNN7EXAMPLE"].concat();
        let github = ["ghp_", "abcdefghijklmnopqrstuvwxyz0123456789"].concat();
        for (line, expected) in [
            ("Authorization: Bearer abc.def", "Authorization: Bearer (redacted)"),
            ("curl -H \"authorization: bearer x1\" b", "curl -H \"authorization: bearer (redacted)\" b"),
            ("got Bearer abcdef0123456789abcdef!", "got Bearer (redacted)!"),
            ("token=\"Bearer abcdefghijklmnopqrstuvwxyz\"", "token=\"Bearer (redacted)\""),
            ("Authorization:[Basic dTpw]", "Authorization:[Basic (redacted)]"),
            ("with Basic YWRtaW46aHVudGVyMg== sent", "with Basic (redacted) sent"),
            (&format!("jwt {JWT}, done"), "jwt (redacted), done"),
            ("kubeadm join --token abcdef.0123456789abcdef --x", "kubeadm join --token (redacted) --x"),
            ("the token is 07401b.f395accd246ae52d.", "the token is (redacted)."),
            ("proxy http://user:hunter2@proxy:3128/x y", "proxy http://user:(redacted)@proxy:3128/x y"),
            ("postgres://u:p%40ss:w@ord@db:5432", "postgres://u:(redacted)@db:5432"),
            ("git clone https://abcdefghijklmnopqrst@host/x", "git clone https://(redacted)@host/x"),
            ("{\"auths\":{\"r\":{\"auth\":\"dXNlcjpwYXNz\"}}}", "{\"auths\":{\"r\":{\"auth\":\"(redacted)\"}}}"),
            ("msg=\"{\\\"auth\\\": \\\"dXNlcjpwYXNz\\\"}\"", "msg=\"{\\\"auth\\\": \\\"(redacted)\\\"}\""),
            (&format!("key {aws} used"), "key (redacted) used"),
            ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG", "aws_secret_access_key = (redacted)"),
            ("AccountName=a;AccountKey=abc+/d==;Endpoint=x", "AccountName=a;AccountKey=(redacted);Endpoint=x"),
            ("https://a.blob/c?sv=1&sig=abcd%2Fefghijklmnop%3D&se=2", "https://a.blob/c?sv=1&sig=(redacted)&se=2"),
            ("?X-Amz-Signature=0123456789abcdef&a=b", "?X-Amz-Signature=(redacted)&a=b"),
            ("DB_PASSWORD=hunter2 next", "DB_PASSWORD=(redacted) next"),
            ("\"password\": \"a\\\"b c\", \"x\"", "\"password\": \"(redacted)\", \"x\""),
            ("cmd --password hunter2 --v=2", "cmd --password (redacted) --v=2"),
            ("args [\"--password\",\"hunter2\",\"x\"]", "args [\"--password\",\"(redacted)\",\"x\"]"),
            ("clientSecret='it' id", "clientSecret='(redacted)' id"),
            ("password: \"not closed", "password: \"(redacted)"),
            (&format!("token={github}"), "token=(redacted)"),
            (&format!("found {github} here"), "found (redacted) here"),
            ("Set-Cookie: a=b; c=d", "Set-Cookie: (redacted)"),
            (r#"{"token":"abc123"}"#, r#"{"token":"(redacted)"}"#),
            (r#"x="{\"token\": \"abc\"}""#, r#"x="{\"token\": \"(redacted)\"}""#),
            (r#"[{"name":"DB_PASSWORD","value":"x"}]"#, r#"[{"name":"DB_PASSWORD","value":"(redacted)"}]"#),
            (
                r#"[{\"name\":\"PGPASSWORD\", \"value\":\"x\"}]"#,
                r#"[{\"name\":\"PGPASSWORD\", \"value\":\"(redacted)\"}]"#,
            ),
            ("{Name:API_KEY Value:x1 ValueFrom:nil}", "{Name:API_KEY Value:(redacted) ValueFrom:nil}"),
            ("https://a.blob/c?sv=1&sig=ab%2Fc&se=2", "https://a.blob/c?sv=1&sig=(redacted)&se=2"),
            ("echo passwd hunter2 | su", "echo passwd (redacted) | su"),
        ] {
            assert_eq!(masked(line), expected);
            assert_eq!(masked(expected), expected, "what is masked stays masked");
        }
    }

    #[test]
    fn the_data_of_a_secret_is_masked() {
        let json = r#"{"kind":"Secret","data":{"a":"aHVudGVyMg==","b-c": "eA=="},"stringData":{"d":"two \"words\""},"metadata":{"name":"n"}}"#;
        let hidden = r#"{"kind":"Secret","data":{"a":"(redacted)","b-c": "(redacted)"},"stringData":{"d":"(redacted)"},"metadata":{"name":"n"}}"#;
        assert_eq!(masked(json), hidden);
        assert_eq!(masked(&json.replace("two \\\"words\\\"", "w").replace('"', "\\\"")), hidden.replace('"', "\\\""));
        let other = json.replace("Secret", "ConfigMap");
        assert_eq!(masked(&other), other);
        for open in
            [r#"{"kind":"Secret","data":{"a":"x"#, r#"{"kind":"Secret","data":{"#, r#""kind": "Secret" "data": {"a"#]
        {
            assert!(masked(open).len() >= open.len(), "{open}");
        }
        let yaml = "apiVersion: v1\ndata:\n  a: aHVudGVyMg==\n\n  'b': 'aHVudGVyMg=='\n  word: plain\nkind: Secret\n  c: aHVudGVyMg==\n";
        assert_eq!(
            masked(yaml),
            "apiVersion: v1\ndata:\n  a: (redacted)\n\n  'b': '(redacted)'\n  word: plain\nkind: Secret\n  c: aHVudGVyMg==\n"
        );
    }

    #[test]
    fn what_only_looks_like_a_secret_stays() {
        for line in [
            "I1121 03:07:12.123456     640 kubelet.go:2448] \"SyncLoop ADD\" source=\"api\" pods=[\"default/token-reviewer-5d4f\"]",
            "pod UID 6f1c1b1e-7c1e-4f0e-8f61-0123456789ab podUID=\"6f1c1b1e-7c1e-4f0e-8f61-0123456789ab\"",
            "image=\"r.example/a@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"",
            "containerd://0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "\"Caches populated\" type=\"*v1.Secret\" reflector=\"object-\\\"default\\\"/\\\"db-password\\\"\"",
            "MountVolume.SetUp succeeded for volume \"kube-api-access-x\" secret=\"default/db\" token expired",
            "Basic authentication is off; Bearer authentication with bearer tokens; auth: ok",
            "WWW-Authenticate: Bearer realm=\"https://auth.example/token\",service=\"r\"",
            "server.servicediscovery plugin.registrationfunc kubele.containerd123456/x v1.28.0123456789",
            "token=\"kube-system/bootstrap\" tokens: 5 csr-token-requested password reset",
            "http://10.0.0.1:10250/healthz user@host:22 https://host/a:b@c",
            "-----BEGIN CERTIFICATE-----",
            "AKIAshort AKIAIOSFODNN7EXAMPLEXX eyJub3QgYSB0b2tlbg",
            "password resets /etc/passwd rotated 3x \"password\", \"valued\" {\"token\":\"a/b\"} \"token\":null name=token value=x",
            "passwordless: logins; --password-file /etc/x sigkill sig=9 password: null",
        ] {
            assert!(matches!(Redactor::default().mask(line.as_bytes()), Cow::Borrowed(_)), "{}", masked(line));
        }
    }

    #[test]
    fn a_private_key_is_masked_over_its_lines_and_no_further() {
        let begin = ["-----BEGIN RSA PRIVATE ", "KEY-----"].concat();
        let end = ["-----END RSA PRIVATE ", "KEY-----"].concat();
        let key = format!("a\n{begin}\nMIIEowIBAAKC\n  AQEA+/9x==\nx app[1]: c2VjcmV0\n{end}\nMIIEowIBAAKC\n");
        let expected = format!("a\n{begin}\n(redacted)\n  (redacted)\nx app[1]: (redacted)\n{end}\nMIIEowIBAAKC\n");
        assert_eq!(masked(&key), expected);
        // In pieces, a line at a time, it is the same.
        let mut redactor = Redactor::default();
        let pieces: Vec<u8> =
            key.split_inclusive('\n').flat_map(|line| redactor.mask(line.as_bytes()).into_owned()).collect();
        assert_eq!(String::from_utf8(pieces).unwrap(), expected);
        assert_eq!(
            masked(&format!("\"k\":\"{begin}\\nMIIE\\n{end}\\n\"")),
            format!("\"k\":\"{begin}(redacted){end}\\n\"")
        );
        // One that is cut off ends where other words come.
        assert_eq!(
            masked(&format!("{begin}\nMIIE\nother words\nMIIE\n")),
            format!("{begin}\n(redacted)\nother words\nMIIE\n")
        );
    }

    /// Each of these took a time that grew with the square of the line's length: minutes.
    #[test]
    fn a_line_of_nothing_but_names_is_no_slower_than_another() {
        let most = 256 << 10;
        for piece in [
            "pwd",
            "pwd=",
            "--pwd",
            "token=",
            "token=/token=",
            "auth=",
            "\"auth\":",
            "sig=",
            "--token ",
            "pwd,",
            "password ",
        ] {
            let line = piece.repeat(most / piece.len());
            let masks = ["pwd=", "sig=", "token=", "token=/token="].contains(&piece);
            assert_eq!(masked(&line).contains(MASK), masks, "{piece}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_stay() {
        let line = b"\xff\xfe password=\xff\xfe1 \xc3";
        assert_eq!(&*Redactor::default().mask(line), b"\xff\xfe password=(redacted) \xc3");
    }
}
