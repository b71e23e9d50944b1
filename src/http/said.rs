//! Untrusted words of whoever answered, made fit for one line of an error.

/// Text as one line of at most `limit` characters: white space and control characters become single spaces.
pub(crate) fn one_line(text: &str, limit: usize) -> String {
    let mut line = String::new();
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    for (n, word) in words.enumerate() {
        if n > 0 {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > limit
            && let Some((cut, _)) = line.char_indices().nth(limit)
        {
            line.truncate(cut);
            line.push('…');
            break;
        }
    }
    line
}

/// The title of a web page, the one part of it worth showing.
pub(crate) fn title(page: &str, limit: usize) -> Option<String> {
    let lower = page.to_ascii_lowercase();
    let from = lower.find("<title>")? + "<title>".len();
    let to = from + lower[from..].find("</title>")?;
    Some(one_line(page.get(from..to)?, limit)).filter(|title| !title.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_joined_and_cut_by_characters() {
        assert_eq!(one_line(" a\r\n\tb\u{7}c ", 10), "a b c");
        assert_eq!(one_line("äöüß", 4), "äöüß");
        assert_eq!(one_line("äöüß!", 4), "äöüß…");
        assert_eq!(one_line("abc def", 5), "abc d…");
    }

    #[test]
    fn of_a_page_its_title_is_kept() {
        assert_eq!(title("<HTML><Title>\n Log  in</TITLE><p>x", 99).as_deref(), Some("Log in"));
        for page in ["<title></title>", "<title>x", "x</title>", ""] {
            assert_eq!(title(page, 99), None, "{page}");
        }
    }
}
