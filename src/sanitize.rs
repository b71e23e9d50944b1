//! Making untrusted text safe for a terminal.
//!
//! Only for terminals: what goes to a pipe or a file stays as the node wrote it.

use std::borrow::Cow;

/// Neutralises what could steer a terminal: control characters except TAB, DEL, C1 controls, and the characters that
/// reorder or hide text (bidi controls, zero width, byte-order mark). Each becomes a visible escape such as `\x1b` or
/// `\u{202e}`; everything else stays.
pub fn text(untrusted: &str) -> Cow<'_, str> {
    if untrusted.bytes().all(|b| (b' '..0x7f).contains(&b) || b == b'\t') || !untrusted.chars().any(steers) {
        return Cow::Borrowed(untrusted);
    }
    let mut safe = String::with_capacity(untrusted.len() + 16);
    for c in untrusted.chars() {
        match c {
            c if !steers(c) => safe.push(c),
            c if (c as u32) < 0x100 => safe.push_str(&format!("\\x{:02x}", c as u32)),
            c => safe.push_str(&format!("\\u{{{:x}}}", c as u32)),
        }
    }
    Cow::Owned(safe)
}

/// The same for bytes that hold whole lines: line ends stay, bytes that are not UTF-8 become `\xNN`.
pub fn bytes(untrusted: &[u8]) -> Cow<'_, [u8]> {
    if untrusted.iter().all(|&b| (b' '..0x7f).contains(&b) || b == b'\t' || b == b'\n') {
        return Cow::Borrowed(untrusted);
    }
    let mut safe = Vec::with_capacity(untrusted.len() + 16);
    for chunk in untrusted.utf8_chunks() {
        let mut lines = chunk.valid().split('\n');
        if let Some(first) = lines.next() {
            safe.extend_from_slice(text(first).as_bytes());
        }
        for line in lines {
            safe.push(b'\n');
            safe.extend_from_slice(text(line).as_bytes());
        }
        for byte in chunk.invalid() {
            safe.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
        }
    }
    Cow::Owned(safe)
}

fn steers(c: char) -> bool {
    match c {
        '\t' => false,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => true,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' => true,
        '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_and_accented_text_stays_borrowed() {
        for plain in ["", "a\tb", "ünïcödé ✓ 日本"] {
            assert!(matches!(text(plain), Cow::Borrowed(same) if same == plain));
        }
        assert!(matches!(bytes(b"a\nb\n"), Cow::Borrowed(_)));
    }

    #[test]
    fn what_steers_a_terminal_becomes_visible() {
        assert_eq!(text("\x1b[2J\x07\u{9b}1m"), "\\x1b[2J\\x07\\x9b1m");
        assert_eq!(text("a\u{202e}b\u{200b}\u{feff}"), "a\\u{202e}b\\u{200b}\\u{feff}");
        assert_eq!(text("one\rtwo"), "one\\x0dtwo");
    }

    #[test]
    fn lines_keep_their_ends_and_bad_utf8_is_shown() {
        assert_eq!(&*bytes(b"a\x1b\n\xff\xc3\xa9\n"), "a\\x1b\n\\xffé\n".as_bytes());
    }
}
