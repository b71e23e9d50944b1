//! What of a request must not be shown when whoever answered repeats it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::HeaderValue;

use crate::redact::MASK;
use crate::secret::Secret;

/// Shorter ones would blot out words that have nothing to do with them.
const SHORTEST: usize = 4;

/// The credentials of one request, in every form in which they may come back.
#[derive(Clone, Debug, Default)]
pub struct Sent(Vec<Secret>);

impl Sent {
    /// Those in these headers: the values that are marked as sensitive.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut sent = Sent::default();
        headers.values().filter(|value| value.is_sensitive()).for_each(|value| sent.add(value));
        sent
    }

    /// Adds a header's value, what follows its scheme, and a password in that.
    pub(super) fn add(&mut self, value: &HeaderValue) {
        let Ok(value) = std::str::from_utf8(value.as_bytes()) else { return };
        let credentials = match value.split_once(' ') {
            Some(("Bearer", token)) => token,
            Some(("Basic", pair)) => {
                let plain = STANDARD.decode(pair).ok().and_then(|pair| String::from_utf8(pair).ok());
                if let Some((_, password)) = plain.as_deref().and_then(|pair| pair.split_once(':')) {
                    self.hide(password);
                }
                pair
            }
            _ => value,
        };
        self.hide(credentials);
    }

    /// Adds a secret that stood elsewhere.
    pub(super) fn hide(&mut self, secret: &str) {
        // As it is, inside a JSON string, in a URL, and in a form.
        let quoted = serde_json::Value::from(secret).to_string();
        let quoted = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(secret);
        let encoded = percent_encoded(secret);
        for form in [secret, quoted, &encoded, &encoded.replace("%20", "+")] {
            if form.len() >= SHORTEST && !self.0.iter().any(|known| known.expose() == form) {
                self.0.push(form.into());
            }
        }
        // A secret that another one is part of must not leave the rest behind.
        self.0.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
    }

    /// The words without them.
    pub fn scrub(&self, words: String) -> String {
        let mut words = words;
        for secret in &self.0 {
            if words.contains(secret.expose().as_str()) {
                words = words.replace(secret.expose().as_str(), MASK);
            }
        }
        words
    }
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_taken_out_in_every_form() {
        let mut headers = HeaderMap::new();
        // admin:it's "secret"
        for value in ["Bearer hunter2.token", "Basic YWRtaW46aXQncyAic2VjcmV0Ig=="] {
            let mut value = HeaderValue::from_static(value);
            value.set_sensitive(true);
            headers.append("authorization", value);
        }
        headers.insert("accept", HeaderValue::from_static("text/plain"));
        let sent = Sent::of(&headers);
        let words =
            r#"text/plain: Bearer hunter2.token, YWRtaW46aXQncyAic2VjcmV0Ig==, it's "secret", "it's \"secret\"""#;
        assert_eq!(sent.scrub(words.into()), r#"text/plain: Bearer (redacted), (redacted), (redacted), "(redacted)""#);
        let mut sent = Sent::default();
        sent.add(&HeaderValue::from_static("two words"));
        sent.hide("a form's=part");
        let words = "two words, words, a%20form%27s%3Dpart a+form%27s%3Dpart";
        assert_eq!(sent.scrub(words.into()), "(redacted), words, (redacted) (redacted)");
        assert!(!format!("{sent:?}").contains("hunter2"));
    }
}
