//! Label and field selectors of list requests.

/// One condition on a label.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

impl Requirement {
    /// Whether these labels meet it.
    pub(crate) fn admits(&self, labels: &[(String, String)]) -> bool {
        let value = |key: &str| labels.iter().find(|(name, _)| name == key).map(|(_, value)| value);
        match self {
            Requirement::In(key, values) => value(key).is_some_and(|value| values.contains(value)),
            Requirement::NotIn(key, values) => !value(key).is_some_and(|value| values.contains(value)),
            Requirement::Exists(key) => value(key).is_some(),
            Requirement::Absent(key) => value(key).is_none(),
        }
    }
}

/// Reads a label selector; the error is the server's text.
pub(crate) fn parse(text: &str) -> Result<Vec<Requirement>, String> {
    let mut requirements = Vec::new();
    for part in split(text) {
        let part = part.trim();
        if part.is_empty() {
            continue;
        }
        let set = |rest: &str| -> Vec<String> {
            rest.trim()
                .trim_start_matches('(')
                .trim_end_matches(')')
                .split(',')
                .map(|value| value.trim().to_owned())
                .collect()
        };
        let requirement = if let Some(key) = part.strip_prefix('!') {
            Requirement::Absent(key.trim().to_owned())
        } else if let Some((key, values)) = part.split_once(" notin ") {
            Requirement::NotIn(key.trim().to_owned(), set(values))
        } else if let Some((key, values)) = part.split_once(" in ") {
            Requirement::In(key.trim().to_owned(), set(values))
        } else if let Some((key, value)) = part.split_once("!=") {
            Requirement::NotIn(key.trim().to_owned(), vec![value.trim().to_owned()])
        } else if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
            if key.trim().is_empty() {
                let operator = if part.starts_with("==") { "==" } else { "=" };
                return Err(format!("found '{operator}', expected: !, identifier, or 'end of string'"));
            }
            Requirement::In(key.trim().to_owned(), vec![value.trim().to_owned()])
        } else {
            Requirement::Exists(part.to_owned())
        };
        requirements.push(requirement);
    }
    Ok(requirements)
}

/// The parts between commas outside parentheses.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// The pairs of a field selector: name, whether it must equal, value. The error is the server's text.
pub(crate) fn fields(text: &str, supported: &[&str]) -> Result<Vec<(String, bool, String)>, String> {
    let mut pairs = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (name, equal, value) = if let Some((name, value)) = part.split_once("!=") {
            (name, false, value)
        } else if let Some((name, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
            (name, true, value)
        } else {
            return Err(format!("invalid selector: '{part}'; can't understand '{part}'"));
        };
        if !supported.contains(&name) {
            return Err(format!("field label not supported: {name}"));
        }
        pairs.push((name.to_owned(), equal, value.to_owned()));
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_admit_by_label() {
        let labels = [("a".to_owned(), "1".to_owned()), ("role".to_owned(), String::new())];
        let admits = |text: &str| parse(text).unwrap().iter().all(|requirement| requirement.admits(&labels));
        for text in ["", "a=1", "a==1", "a in (2, 1)", "a!=2", "b!=1", "role", "!b", "a notin (3),role=", "a,role"] {
            assert!(admits(text), "{text}");
        }
        for text in ["a=2", "!a", "b", "a in (2,3)", "a notin (1)", "a=1,b=1"] {
            assert!(!admits(text), "{text}");
        }
        assert_eq!(parse("==").unwrap_err(), "found '==', expected: !, identifier, or 'end of string'");
    }
}
