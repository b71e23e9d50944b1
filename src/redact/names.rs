//! Secrets that are told by the names before them.

use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::forms::is_basic;
use super::{MASK, position};

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
pub(super) fn named(line: &[u8], lower: &[u8], found: &mut Vec<Range<usize>>) {
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
pub(super) fn value(line: &[u8], end: usize, is_option: bool) -> Option<Range<usize>> {
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
pub(super) fn secret_data(line: &[u8], found: &mut Vec<Range<usize>>) {
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
