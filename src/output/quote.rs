//! Text inside quotation marks, readable as JSON and as YAML alike.
//!
//! JSON (RFC 8259) wants control characters escaped; YAML 1.1 and 1.2 allow fewer characters as they are: C1 controls, the
//! line separators and the byte-order mark are escaped, too, so that every parser reads the same.

/// Appends a text to be put between quotation marks. What is not UTF-8 becomes U+FFFD.
pub fn escape(bytes: &[u8], into: &mut Vec<u8>) {
    for chunk in bytes.utf8_chunks() {
        let text = chunk.valid();
        let mut plain = 0;
        for (at, c) in text.char_indices().filter(|(_, c)| needs_escape(*c)) {
            into.extend_from_slice(text.get(plain..at).unwrap_or_default().as_bytes());
            plain = at + c.len_utf8();
            match c {
                '"' => into.extend_from_slice(b"\\\""),
                '\\' => into.extend_from_slice(b"\\\\"),
                '\n' => into.extend_from_slice(b"\\n"),
                '\t' => into.extend_from_slice(b"\\t"),
                '\r' => into.extend_from_slice(b"\\r"),
                // All of these are within sixteen bits.
                c => into.extend_from_slice(format!("\\u{:04x}", c as u32).as_bytes()),
            }
        }
        into.extend_from_slice(text.get(plain..).unwrap_or_default().as_bytes());
        if !chunk.invalid().is_empty() {
            into.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

/// How many bytes at the end are the beginning of a character whose rest is missing.
pub fn unfinished(bytes: &[u8]) -> usize {
    let last = bytes.get(bytes.len().saturating_sub(3)..).unwrap_or_default();
    // All but a character's first byte begin with the bits 10.
    let Some(first) = last.iter().rposition(|byte| byte >> 6 != 0b10) else { return 0 };
    let character = last.get(first..).unwrap_or_default();
    match std::str::from_utf8(character) {
        Err(invalid) if invalid.error_len().is_none() => character.len(),
        _ => 0,
    }
}

/// Appends a text with its quotation marks.
pub fn quote(text: impl AsRef<[u8]>, into: &mut Vec<u8>) {
    into.push(b'"');
    escape(text.as_ref(), into);
    into.push(b'"');
}

fn needs_escape(c: char) -> bool {
    matches!(
        c,
        '\0'..='\u{1f}' | '"' | '\\' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_yaml_read_back_what_was_written() {
        for text in [
            "",
            "plain",
            "a\"b\\c\n\t\r\0",
            "\u{7f}\u{85}\u{9f}\u{a0}",
            "\u{2028}\u{2029}\u{feff}\u{fffe}",
            "日本 \u{1f4a9}",
            "a: b # c",
            "'",
            "%",
            "\u{1b}[2J",
        ] {
            let mut quoted = Vec::new();
            quote(text, &mut quoted);
            assert_eq!(serde_json::from_slice::<String>(&quoted).unwrap(), text);
            let yaml = String::from_utf8(quoted).unwrap();
            assert_eq!(serde_yaml::from_str::<String>(&yaml).unwrap(), text);
            assert!(yaml.chars().all(|c| !c.is_control()), "{yaml:?}");
        }
    }

    #[test]
    fn what_is_no_text_is_replaced() {
        let mut quoted = Vec::new();
        quote(b"a\xff\xfeb\xe2\x82", &mut quoted);
        assert_eq!(serde_json::from_slice::<String>(&quoted).unwrap(), "a\u{fffd}\u{fffd}b\u{fffd}");
    }
}
