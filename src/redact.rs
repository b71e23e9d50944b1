//! Masks secrets in log text, line by line: what `--redact` promises, and what it does not.
//!
//! Masked is what shows by its form that it is a secret: bearer tokens, JSON Web Tokens, bootstrap tokens of kubeadm,
//! passwords in URLs, user and password of basic authentication, registry credentials as Docker's config has them, keys and
//! signatures of clouds, private keys in PEM (also over several lines), tokens of GitHub, GitLab, Slack and OpenShift, and the
//! values of names such as `password` and `client_secret`, and the data of Secrets in JSON or YAML. A secret that looks like any other word, is written in a form of its
//! own, is encoded once more, or is cut in two is not found. Of text that is masked wrongly, names and numbers of lines stay.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem::Finder;

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

/// Names whose value is a secret wherever they stand, in lower case; the name may have more in front.
const NAMES: [&str; 34] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "client_secret",
    "client-secret",
    "clientsecret",
    "secret_key",
    "secret-key",
    "secretkey",
    "secret_access_key",
    "secretaccesskey",
    "session_token",
    "sessiontoken",
    "access_token",
    "access-token",
    "accesstoken",
    "refresh_token",
    "refresh-token",
    "refreshtoken",
    "id_token",
    "id-token",
    "idtoken",
    "bearer_token",
    "auth_token",
    "auth-token",
    "authtoken",
    "identitytoken",
    "registrytoken",
    "api_key",
    "api-key",
    "apikey",
    "accountkey",
    "sharedaccesskey",
];

/// Names that must be the whole of theirs.
const WHOLE_NAMES: [&str; 7] =
    ["token", "sig", "x-amz-signature", "x-amz-security-token", "x-goog-signature", "auth", "certificate-key"];

/// So far back the `--` of an option is looked for.
const LONGEST_OPTION: usize = 64;
/// What is longer behind a name is no name or number: it is taken for a secret unread, so that no value is read many times.
const LONGEST_READ: usize = 1024;

/// Values behind telling names: `name=value`, `"name": "value"`, `name: value`, `--name value`, `"name":"name","value":"value"`.
///
/// Each value is looked at once or is short, so that a line of nothing but names takes no longer than another.
fn named(line: &[u8], lower: &[u8], found: &mut Vec<Range<usize>>) {
    static FINDERS: LazyLock<Vec<(&str, bool, Finder<'static>)>> = LazyLock::new(|| {
        let names = NAMES.map(|name| (name, false)).into_iter().chain(WHOLE_NAMES.map(|name| (name, true)));
        names.map(|(text, whole)| (text, whole, Finder::new(text))).collect()
    });
    for (text, whole, name) in FINDERS.iter() {
        // The last value that stands without quotes.
        let (mut done, mut plain) = (0, 0..0);
        for at in name.find_iter(lower) {
            let before = line[..at].last().copied().unwrap_or(b' ');
            if at < done
                || *whole
                    && (before.is_ascii_alphanumeric()
                        || b"_./".contains(&before)
                        || before == b'-' && !line[..at].ends_with(b"--"))
            {
                continue;
            }
            let end = at + text.len();
            let near = &line[at.saturating_sub(LONGEST_OPTION)..at];
            let word = near.iter().rposition(|byte| byte.is_ascii_whitespace() || b"\"'[,".contains(byte));
            let is_option = near[word.map_or(0, |last| last + 1)..].starts_with(b"--");
            let value = match opening(line, end, is_option) {
                // Both end where the same word does.
                Some((start, b"")) if plain.contains(&start) => Some(start..plain.end),
                Some((start, close)) => {
                    let value = start..closing(line, start, close);
                    if close.is_empty() {
                        plain = value.clone();
                    }
                    Some(value)
                }
                None if *whole => None,
                None => beside(line, lower, end),
            };
            let Some(value) = value else { continue };
            let said = &line[value.clone()];
            let is_one = match *text {
                // Docker's: of a user and a password. A number or a word is something else.
                "auth" => is_basic(said),
                _ if said.len() > LONGEST_READ => true,
                // A token's name has a slash, and words are short but in JSON.
                "token" => {
                    let quoted = line[end..].starts_with(b"\":") || line[end..].starts_with(b"\\\":");
                    let is_json = quoted && line[..value.start].ends_with(b"\"");
                    let is_long = said.len() >= 8 && (is_option || said.iter().any(u8::is_ascii_digit));
                    !said.contains(&b'/') && (is_json || is_long)
                }
                "sig" => said.len() >= 16 || b"&?".contains(&before),
                _ => !matches!(said, b"true" | b"false" | b"null" | b"nil" | b"<nil>" | b"none" | b"***"),
            };
            if is_one {
                done = value.end;
                found.push(value);
            }
        }
    }
}

/// The value that stands beside a name which is itself one: `{"name":"DB_PASSWORD","value":"x"}` and Go's
/// `{Name:DB_PASSWORD Value:x}`; or behind the word alone, where it looks like no word: `password hunter2`.
fn beside(line: &[u8], lower: &[u8], end: usize) -> Option<Range<usize>> {
    let gap = lower[end..].iter().take(8).take_while(|byte| b"\\\", ".contains(byte)).count();
    let start = end + gap;
    if lower[start..].starts_with(b"value") {
        return value(line, start + b"value".len(), false);
    }
    let length = line[start..].iter().take(LONGEST_OPTION).take_while(|byte| byte.is_ascii_graphic()).count();
    let word = &line[start..start + length];
    let is_secret = word.len() >= 6 && word.iter().any(u8::is_ascii_digit) && word.iter().any(u8::is_ascii_alphabetic);
    let is_plain = word.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&*+-_?@".contains(byte));
    let is_password = lower[..end].ends_with(b"passwd") || lower[..end].ends_with(b"password");
    (is_password && line[end..start] == *b" " && is_secret && is_plain).then_some(start..start + length)
}

/// The value behind a name that ends here.
fn value(line: &[u8], end: usize, is_option: bool) -> Option<Range<usize>> {
    let (start, close) = opening(line, end, is_option)?;
    Some(start..closing(line, start, close))
}

/// Where the value begins behind a name that ends here, and what closes it: nothing, for a word without quotes.
fn opening(line: &[u8], end: usize, is_option: bool) -> Option<(usize, &'static [u8])> {
    let mut at = end;
    // The name's own closing quote, perhaps escaped.
    if line[at..].starts_with(b"\\\"") {
        at += 2;
    } else if line.get(at).is_some_and(|byte| b"\"'".contains(byte)) {
        at += 1;
    }
    let gap = line[at..].iter().take_while(|byte| **byte == b' ').count();
    match line.get(at + gap) {
        Some(b'=' | b':') => at += gap + 1,
        Some(_) if is_option && (gap > 0 || at > end) => {}
        _ => return None,
    }
    at += line[at..].iter().take_while(|byte| **byte == b' ' || is_option && **byte == b',').count();
    let rest = &line[at..];
    let close: &[u8] = match rest {
        [b'\\', b'"', ..] => b"\\\"",
        [b'"', ..] => b"\"",
        [b'\'', ..] => b"'",
        _ => b"",
    };
    (!rest.starts_with(MASK.as_bytes())).then_some((at + close.len(), close))
}

/// Where a value ends that begins here.
fn closing(line: &[u8], start: usize, close: &[u8]) -> usize {
    if close.is_empty() {
        let rest = &line[start..];
        let length = rest.iter().position(|byte| byte.is_ascii_whitespace() || b"\"'&;\\".contains(byte));
        let word = &rest[..length.unwrap_or(rest.len())];
        return start + word.iter().rposition(|byte| !b",)]}".contains(byte)).map_or(0, |last| last + 1);
    }
    let mut inside = start;
    while let Some(next) = position(&line[inside..], close) {
        let end = inside + next;
        let escapes = line[start..end].iter().rev().take_while(|byte| **byte == b'\\').count();
        if close != b"\"" || escapes % 2 == 0 {
            return end;
        }
        inside = end + 1;
    }
    start + line[start..].trim_ascii_end().len()
}

/// Values of a Secret's data in JSON, all on one line, perhaps within a string.
fn secret_data(line: &[u8], found: &mut Vec<Range<usize>>) {
    let skip = |at: usize, bytes: &[u8]| at + line[at..].iter().take_while(|byte| bytes.contains(byte)).count();
    let mut kinds = memchr::memmem::find_iter(line, b"Secret");
    let is_kind = |at: usize| {
        let name = line[..at].trim_ascii_end();
        let name = &name[..name.iter().rposition(|byte| !b"\\\": ".contains(byte)).map_or(0, |last| last + 1)];
        name.ends_with(b"kind") && line.get(at + 6).is_some_and(|byte| b"\\\"".contains(byte))
    };
    if !kinds.any(is_kind) {
        return;
    }
    for name in [&b"\"data"[..], b"\"stringData"] {
        for at in memchr::memmem::find_iter(line, name) {
            let mut at = skip(at + name.len(), b"\\\": ");
            if line.get(at) != Some(&b'{') {
                continue;
            }
            while line.get(at).is_some_and(|byte| b"{,".contains(byte)) {
                let key = skip(at + 1, b"\\\" ");
                let length = line[key..].iter().position(|byte| b"\\\"".contains(byte));
                let Some(value) = length.and_then(|length| value(line, key + length, false)) else { break };
                at = skip(value.end, b"\\\" ");
                found.push(value);
            }
        }
    }
}

/// Headers, and the schemes that stand in them: `Bearer TOKEN`, `Basic BASE64`.
fn schemes(line: &[u8], lower: &[u8], found: &mut Vec<Range<usize>>) {
    for scheme in [&b"bearer "[..], b"basic "] {
        for at in memchr::memmem::find_iter(lower, scheme) {
            if line[..at].last().is_some_and(u8::is_ascii_alphanumeric) {
                continue;
            }
            let start = at + scheme.len();
            let start = start + line[start..].iter().take_while(|byte| **byte == b' ').count();
            let token = start..start + line[start..].iter().take_while(|byte| is_token_byte(byte)).count();
            let text = &line[token.clone()];
            let before = lower[..at].iter().rposition(|byte| !b"\"'\\[ :=".contains(byte)).map_or(0, |last| last + 1);
            let in_header = lower[..before].ends_with(b"authorization");
            let is_one = match scheme {
                _ if in_header => true,
                b"basic " => is_basic(text),
                _ => text.len() >= 16 && text.iter().any(u8::is_ascii_digit),
            };
            if is_one {
                found.push(token);
            }
        }
    }
    for name in [&b"cookie: "[..], b"x-auth-token: ", b"x-vault-token: "] {
        for at in memchr::memmem::find_iter(lower, name) {
            let start = at + name.len();
            let length = line[start..].iter().position(|byte| b"\r\n\"".contains(byte)).unwrap_or(line.len() - start);
            found.push(start..start + length);
        }
    }
}

/// Words that are secrets by their own form.
fn words(line: &[u8], found: &mut Vec<Range<usize>>) {
    /// How a token begins, and the least number of letters, digits, `-` and `_` that follow.
    const TOKENS: [(&[u8], usize); 16] = [
        (b"AKIA", 16),
        (b"ASIA", 16),
        (b"ghp_", 30),
        (b"gho_", 30),
        (b"ghu_", 30),
        (b"ghs_", 30),
        (b"ghr_", 30),
        (b"github_pat_", 30),
        (b"glpat-", 16),
        (b"xoxb-", 20),
        (b"xoxp-", 20),
        (b"AIza", 35),
        (b"ya29.", 20),
        (b"sha256~", 40),
        (b"hvs.", 20),
        (b"AWSv4-", 1000),
    ];
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
    let mut at = 0;
    while let Some(next) = line[at..].iter().position(is_word) {
        let start = at + next;
        let rest = &line[start..];
        let length = rest.iter().take_while(|byte| is_word(byte)).count();
        at = start + length;
        if let Some((prefix, least)) = TOKENS.iter().find(|(prefix, _)| rest.starts_with(prefix)) {
            let more = rest[prefix.len()..].iter().take_while(|byte| is_word(byte)).count();
            let aws = prefix.ends_with(b"IA");
            let fits = if aws {
                more == 16 && rest[4..20].iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
            } else {
                more >= *least
            };
            if fits {
                found.push(start..start + prefix.len() + more);
                at = start + prefix.len() + more;
            }
            continue;
        }
        let is_alone = !line[..start].last().is_some_and(|byte| b"./%".contains(byte));
        if rest.starts_with(b"eyJ") && length >= 10 && rest.get(length) == Some(&b'.') {
            // header.payload.signature
            let token = rest.iter().take_while(|byte| is_word(byte) || **byte == b'.').count();
            if rest[length + 1..].starts_with(b"eyJ") || rest[..token].iter().filter(|byte| **byte == b'.').count() >= 2
            {
                found.push(start..start + token);
                at = start + token;
            }
        } else if length == 6 && is_alone && rest.get(6) == Some(&b'.') {
            // kubeadm: [a-z0-9]{6}.[a-z0-9]{16}, of which the second part is the secret.
            let id = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            let secret = &rest[7..];
            let length = secret.iter().take_while(|byte| is_word(byte) || **byte == b'.').count();
            let length = length - secret[..length].iter().rev().take_while(|byte| **byte == b'.').count();
            let mixed =
                secret[..length].iter().any(u8::is_ascii_digit) && secret[..length].iter().any(u8::is_ascii_lowercase);
            if length == 16 && mixed && rest[..6].iter().chain(&secret[..16]).all(id) && secret.get(16) != Some(&b'/') {
                found.push(start..start + 23);
                at = start + 23;
            }
        } else if rest.starts_with(b"K10") && length == 67 && rest[67..].starts_with(b"::") {
            // k3s: the CA's hash, then user and secret.
            let token = rest.iter().take_while(|byte| is_word(byte) || b":.".contains(byte)).count();
            found.push(start + 69..start + token);
            at = start + token;
        }
    }
}

/// Passwords in URLs: `scheme://user:password@host`, and a token alone in front of the `@`.
fn urls(line: &[u8], found: &mut Vec<Range<usize>>) {
    for at in memchr::memmem::find_iter(line, b"://") {
        let start = at + 3;
        let end = |byte: &u8| byte.is_ascii_whitespace() || b"/?#\"'<>\\`".contains(byte);
        let length = line[start..].iter().position(end).unwrap_or(line.len() - start);
        let authority = &line[start..start + length];
        let Some(host) = memchr::memrchr(b'@', authority) else { continue };
        match memchr::memchr(b':', &authority[..host]) {
            Some(colon) => found.push(start + colon + 1..start + host),
            None if host >= 20 => found.push(start..start + host),
            None => {}
        }
    }
}

/// Base64 of a user, a colon and a password.
fn is_basic(text: &[u8]) -> bool {
    // What is no base64 shows that early.
    let odd = text.iter().position(|byte| !is_base64_byte(byte) || *byte == b'=').unwrap_or(text.len());
    text.len() >= 4
        && odd + 2 >= text.len()
        && STANDARD.decode(text).is_ok_and(|pair| pair.contains(&b':') && pair.is_ascii())
}

fn is_token_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte)
}

fn is_base64_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=".contains(byte)
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
