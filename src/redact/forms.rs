//! Secrets that are told by their own form, wherever they stand.

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Headers, and the schemes that stand in them: `Bearer TOKEN`, `Basic BASE64`.
pub(super) fn schemes(line: &[u8], lower: &[u8], found: &mut Vec<Range<usize>>) {
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
                // Longer than any word that would follow.
                _ => text.len() >= 24 || text.len() >= 16 && text.iter().any(u8::is_ascii_digit),
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
pub(super) fn words(line: &[u8], found: &mut Vec<Range<usize>>) {
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
pub(super) fn urls(line: &[u8], found: &mut Vec<Range<usize>>) {
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
pub(super) fn is_basic(text: &[u8]) -> bool {
    // What is no base64 shows that early.
    let odd = text.iter().position(|byte| !is_base64_byte(byte) || *byte == b'=').unwrap_or(text.len());
    text.len() >= 4
        && odd + 2 >= text.len()
        && STANDARD.decode(text).is_ok_and(|pair| pair.contains(&b':') && pair.is_ascii())
}

fn is_token_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte)
}

pub(super) fn is_base64_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=".contains(byte)
}
