//! Selectors of labels and fields, checked before a server is asked; which nodes match is the server's to say.
//!
//! The grammar is that of Kubernetes' `labels.Parse` and `fields.ParseSelector`.

use crate::error::{Error, Result};

/// Checks a label selector: `a=b,c!=d,e in (f,g),!h,i>1`.
pub fn labels(text: &str) -> Result<()> {
    requirements(text).map_err(|why| {
        Error::usage(format!("not a label selector: {text:?}: {why}"))
            .hint("write a=b, a!=b, a (it is there), !a, 'a in (b,c)' or 'a notin (b,c)', with commas between; in quotes for the shell")
    })
}

/// Checks a field selector: `spec.unschedulable=true`.
pub fn fields(text: &str) -> Result<()> {
    for term in text.split(',').filter(|term| !term.is_empty()) {
        let name = term.split_once('=').map(|(name, _)| name.strip_suffix('!').unwrap_or(name).trim());
        let why = match name {
            Some("metadata.name" | "spec.unschedulable") => continue,
            Some(name) => format!("servers know no field {name:?} of nodes"),
            None => format!("{term:?} has no ="),
        };
        return Err(Error::usage(format!("not a field selector: {text:?}: {why}"))
            .hint("nodes have metadata.name and spec.unschedulable: --field-selector spec.unschedulable=true; labels are chosen by -l"));
    }
    Ok(())
}

/// What a requirement is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'t> {
    Word(&'t str),
    /// `=`, `==`, `!=`, `!`, `<`, `>`, `(`, `)`, `,`.
    Sign(&'t str),
    End,
}

struct Tokens<'t>(&'t str);

impl<'t> Tokens<'t> {
    fn next(&mut self) -> Token<'t> {
        self.0 = self.0.trim_start();
        let is_sign = |c: char| "=!<>(),".contains(c);
        let (length, kind): (usize, fn(&'t str) -> Token<'t>) = match self.0.chars().next() {
            None => return Token::End,
            Some(_) if self.0.starts_with("==") || self.0.starts_with("!=") => (2, Token::Sign),
            Some(c) if is_sign(c) => (1, Token::Sign),
            Some(_) => (self.0.find(|c: char| is_sign(c) || c.is_whitespace()).unwrap_or(self.0.len()), Token::Word),
        };
        let (token, rest) = self.0.split_at(length);
        self.0 = rest;
        kind(token)
    }

    /// The next one, left where it is.
    fn peek(&self) -> Token<'t> {
        Tokens(self.0).next()
    }

    fn word(&mut self) -> Result<&'t str, String> {
        match self.next() {
            Token::Word(word) => Ok(word),
            Token::Sign(sign) => Err(format!("a {sign:?} where a word belongs")),
            Token::End => Err("it ends too early".to_owned()),
        }
    }
}

fn requirements(text: &str) -> Result<(), String> {
    let mut tokens = Tokens(text);
    loop {
        requirement(&mut tokens)?;
        match tokens.next() {
            Token::End => return Ok(()),
            Token::Sign(",") => {}
            Token::Word(other) | Token::Sign(other) => return Err(format!("{other:?} where a comma belongs")),
        }
    }
}

fn requirement(tokens: &mut Tokens<'_>) -> Result<(), String> {
    if tokens.peek() == Token::Sign("!") {
        tokens.next();
        return key(tokens.word()?);
    }
    key(tokens.word()?)?;
    match tokens.peek() {
        Token::End | Token::Sign(",") => return Ok(()),
        _ => {}
    }
    match tokens.next() {
        Token::Sign("=" | "==" | "!=") => match tokens.peek() {
            // The empty value.
            Token::End | Token::Sign(",") => Ok(()),
            _ => value(tokens.word()?),
        },
        Token::Sign("<" | ">") => {
            let number = tokens.word()?;
            number.parse::<i64>().map(drop).map_err(|_| format!("{number:?} is no number"))
        }
        Token::Word("in" | "notin") => values(tokens),
        Token::Word(other) | Token::Sign(other) => Err(format!("{other:?} where =, !=, in or notin belongs")),
        Token::End => Ok(()),
    }
}

fn values(tokens: &mut Tokens<'_>) -> Result<(), String> {
    if tokens.next() != Token::Sign("(") {
        return Err("in and notin want a list in ( )".to_owned());
    }
    loop {
        if let Token::Word(word) = tokens.peek() {
            tokens.next();
            value(word)?;
        }
        match tokens.next() {
            Token::Sign(",") => {}
            Token::Sign(")") => return Ok(()),
            Token::End => return Err("a ( without its )".to_owned()),
            Token::Word(other) | Token::Sign(other) => return Err(format!("{other:?} in a list")),
        }
    }
}

/// A label's key: a name, perhaps behind a domain and a slash.
fn key(text: &str) -> Result<(), String> {
    let (domain, name) = text.split_once('/').map_or((None, text), |(domain, name)| (Some(domain), name));
    let is_domain = |domain: &str| super::options::is_dns_name(domain);
    if name.is_empty() || !is_name(name) || !domain.is_none_or(is_domain) {
        return Err(format!("{text:?} is no label"));
    }
    Ok(())
}

fn value(text: &str) -> Result<(), String> {
    if is_name(text) { Ok(()) } else { Err(format!("{text:?} is no label's value")) }
}

fn is_name(text: &str) -> bool {
    let ends = |b: Option<&u8>| b.is_none_or(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && ends(bytes.first())
        && ends(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubectl_takes_is_taken_and_what_it_refuses_is_refused() {
        for good in [
            "a=b",
            "a==b",
            "a != b",
            "a",
            "!a",
            "! a",
            "a=",
            "a=,b",
            "a in (b,c),!d",
            "a notin ()",
            "a in (b, )",
            "x in(a,b)",
            "node-role.kubernetes.io/control-plane",
            "cpus>4,cpus<9",
            "in in (in)",
            "a.b_c-d=E1",
        ] {
            assert!(labels(good).is_ok(), "{good}: {:?}", labels(good));
        }
        for bad in [
            "pool in (gpu",
            "a=b=c",
            "==",
            "a b",
            "a,",
            ",a",
            "!",
            "a in b",
            "a in (b c)",
            "a in (b)c",
            "a>x",
            "-a",
            "a/b/c=d",
            "/a",
            "a=b/c",
            "a=ä",
            "!a=b",
        ] {
            let error = labels(bad).expect_err(bad);
            assert!(error.kind() == crate::error::Kind::Usage && error.remedy().is_some(), "{bad}");
        }
        assert!(labels(&format!("a={}", "b".repeat(63))).is_ok() && labels(&format!("a={}", "b".repeat(64))).is_err());
        for good in ["metadata.name=a", "spec.unschedulable!=true,metadata.name==b", "spec.unschedulable="] {
            assert!(fields(good).is_ok(), "{good}");
        }
        for bad in ["foo=bar", "metadata.name", "=", "metadata.name=a,b"] {
            assert!(fields(bad).is_err(), "{bad}");
        }
    }
}
