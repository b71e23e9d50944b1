//! Text inside quotation marks, readable as JSON and as YAML alike.
//!
//! JSON (RFC 8259) wants control characters escaped; YAML 1.1 and 1.2 allow fewer characters as they are: C1 controls, the
//! line separators and the byte-order mark are escaped, too, so that every parser reads the same.

/// Appends a text to be put between quotation marks. What is not UTF-8 becomes U+FFFD.
pub fn escape(bytes: &[u8], into: &mut Vec<u8>) {
    let mut rest = bytes;
    loop {
        let (plain, after) = rest.split_at(rest.iter().position(|b| !is_plain(*b)).unwrap_or(rest.len()));
        into.extend_from_slice(plain);
        let Some(first) = after.first() else { return };
        if first.is_ascii() {
            escape_char(char::from(*first), into);
            rest = after.get(1..).unwrap_or_default();
            continue;
        }
        let (odd, after) = after.split_at(after.iter().position(u8::is_ascii).unwrap_or(after.len()));
        for chunk in odd.utf8_chunks() {
            chunk.valid().chars().for_each(|c| escape_char(c, into));
            if !chunk.invalid().is_empty() {
                into.extend_from_slice("\u{fffd}".as_bytes());
            }
        }
        rest = after;
    }
}

fn escape_char(c: char, into: &mut Vec<u8>) {
    let short = match c {
        '"' | '\\' => c,
        '\n' => 'n',
        '\t' => 't',
        '\r' => 'r',
        c if needs_escape(c) => {
            // All of these are within sixteen bits.
            into.extend_from_slice(format!("\\u{:04x}", c as u32).as_bytes());
            return;
        }
        c => {
            into.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            return;
        }
    };
    into.extend_from_slice(&[b'\\', short as u8]);
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

/// Whether a byte stands for itself.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

fn needs_escape(c: char) -> bool {
    matches!(
        c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
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
