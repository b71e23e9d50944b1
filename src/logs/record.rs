//! An entry taken apart: writer, message, and the header and values that klog and logrus put into it. Pure; nothing is
//! taken apart that does not have to be shown.

use std::borrow::Cow;

use serde_json::Value;

use crate::document::read_json;
use crate::logs::klog::{Header, Severity};
use crate::logs::layout::{self, Layout};
use crate::logs::line::Line;

/// Values of one message that are looked at.
const MOST_FIELDS: usize = 256;

/// An entry's parts, as far as its text shows them.
#[derive(Debug, Default, PartialEq)]
pub struct Record<'a> {
    /// The program that wrote it.
    pub identifier: Option<Cow<'a, str>>,
    /// Its process.
    pub pid: Option<u64>,
    /// `stdout` or `stderr`, of a container's line.
    pub stream: Option<&'a str>,
    /// How severe its writer took it.
    pub severity: Option<Severity>,
    /// What follows time and writer, without the last line end, continuation lines without journalctl's indent.
    pub message: Cow<'a, [u8]>,
    /// What klog says before the message and beside it.
    pub klog: Option<Klog>,
}

/// A klog line: `Lmmdd hh:mm:ss.uuuuuu thread file:line] msg` with `key=value` behind it, or klog's JSON.
#[derive(Debug, PartialEq)]
pub struct Klog {
    /// How severe.
    pub severity: Severity,
    /// The thread's number, which is the process's in practice; JSON has none.
    pub thread: Option<u64>,
    /// The source file that logs.
    pub file: String,
    /// The line in it.
    pub line: u64,
    /// The words.
    pub msg: String,
    /// The values, in their order. What is quoted in the log is text; other values are the words that stand there.
    pub fields: Vec<(String, Value)>,
}

impl<'a> Record<'a> {
    /// Takes an entry apart.
    pub fn of(line: &'a Line) -> Record<'a> {
        let message = line.dedented();
        let mut record = Record { severity: layout::severity(&message), ..Record::default() };
        if let Some(head) = &line.head {
            let (from, to) = head.identifier;
            let identifier = line.text.get(from..to).filter(|identifier| !identifier.is_empty());
            record.identifier = identifier.map(String::from_utf8_lossy);
            record.pid = line.text.get(to..head.message).and_then(pid);
            if head.layout == Layout::Rfc3339 && identifier.is_none() {
                let before = line.text.get(..head.message).unwrap_or_default();
                let is = |stream: &[u8]| memchr::memmem::find(before, stream).is_some();
                record.stream = if is(b" stdout ") { Some("stdout") } else { is(b" stderr ").then_some("stderr") };
            }
        }
        record.klog = Klog::of(&message);
        if let Some(klog) = &record.klog {
            record.severity = Some(klog.severity);
        }
        record.message = message;
        record
    }
}

/// `[974]: ` behind an identifier.
fn pid(text: &[u8]) -> Option<u64> {
    let (digits, _) = std::str::from_utf8(text).ok()?.strip_prefix('[')?.split_once(']')?;
    digits.parse().ok()
}

impl Klog {
    /// Reads a message, without its last line end.
    pub fn of(message: &[u8]) -> Option<Klog> {
        if message.first() == Some(&b'{') {
            return Klog::of_json(message);
        }
        let header = Header::of(message)?;
        let text = String::from_utf8_lossy(message.get(21..)?);
        let (thread, rest) = text.trim_start_matches(' ').split_once(' ')?;
        let (place, rest) = rest.split_once(']')?;
        let (file, line) = place.rsplit_once(':')?;
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        let (msg, fields) = structured(rest).unwrap_or_else(|| (rest.to_owned(), Vec::new()));
        Some(Klog {
            severity: header.severity,
            thread: Some(thread.parse().ok()?),
            file: file.to_owned(),
            line: line.parse().ok()?,
            msg,
            fields,
        })
    }

    /// `{"ts":…,"caller":"file.go:12","msg":"…","v":0,…}`; klog marks errors by nothing but their `err`.
    fn of_json(message: &[u8]) -> Option<Klog> {
        if !message.starts_with(b"{\"ts\":") {
            return None;
        }
        let Value::Object(mut fields) = read_json(message).ok()? else { return None };
        let text = |value: Option<Value>| match value {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let msg = text(fields.remove("msg"))?;
        let caller = text(fields.remove("caller")).unwrap_or_default();
        let (file, line) = caller.rsplit_once(':').unwrap_or((&caller, "0"));
        fields.remove("ts");
        let severity = if fields.contains_key("err") { Severity::Error } else { Severity::Info };
        Some(Klog {
            severity,
            thread: None,
            file: file.to_owned(),
            line: line.parse().unwrap_or(0),
            msg,
            fields: fields.into_iter().collect(),
        })
    }
}

/// `"msg" key="value" key=value key=[a b] key={…} key=<` and lines after a TAB up to ` >`; `None` where it is a plain text.
fn structured(text: &str) -> Option<(String, Vec<(String, Value)>)> {
    let (msg, mut rest) = quoted(text)?;
    let mut fields: Vec<(String, Value)> = Vec::new();
    while let Some(pair) = rest.strip_prefix(' ') {
        let (key, value) = pair.split_once('=')?;
        if key.is_empty() || key.contains([' ', '"', '\n']) || fields.len() >= MOST_FIELDS {
            return None;
        }
        let (value, after) = match value.as_bytes().first() {
            Some(b'"') => quoted(value)?,
            Some(b'<') if value.starts_with("<\n") => block(value)?,
            Some(b'[' | b'{') => nested(value),
            _ => {
                let (value, after) = value.split_at(value.find(' ').unwrap_or(value.len()));
                (value.to_owned(), after)
            }
        };
        // A key that comes twice would make an object that readers read differently: the last one counts.
        fields.retain(|(known, _)| known != key);
        fields.push((key.to_owned(), Value::String(value)));
        rest = after;
    }
    rest.is_empty().then_some((msg, fields))
}

/// A Go string literal at the start, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut chars = text.strip_prefix('"')?.char_indices();
    let mut value = String::new();
    loop {
        let (at, c) = chars.next()?;
        match c {
            '"' => return Some((value, text.get(at + 2..)?)),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                'r' => value.push('\r'),
                'a' => value.push('\u{7}'),
                'b' => value.push('\u{8}'),
                'f' => value.push('\u{c}'),
                'v' => value.push('\u{b}'),
                'x' => value.push(escape(&mut chars, 2)?),
                'u' => value.push(escape(&mut chars, 4)?),
                'U' => value.push(escape(&mut chars, 8)?),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
}

/// A character by its hexadecimal number; a byte that is no text by itself becomes U+FFFD.
fn escape(chars: &mut std::str::CharIndices<'_>, digits: usize) -> Option<char> {
    let mut number = 0;
    for _ in 0..digits {
        number = number * 16 + chars.next()?.1.to_digit(16)?;
    }
    let char = char::from_u32(number).unwrap_or('\u{fffd}');
    Some(if digits == 2 && number > 0x7f { '\u{fffd}' } else { char })
}

/// klog's form of a value with several lines: each after a TAB, and ` >` at the end.
fn block(text: &str) -> Option<(String, &str)> {
    let mut lines = Vec::new();
    let mut rest = text.strip_prefix("<\n")?;
    loop {
        if let Some(after) = rest.strip_prefix(" >") {
            return Some((lines.join("\n"), after));
        }
        let (line, after) = rest.split_once('\n')?;
        lines.push(line.strip_prefix('\t')?);
        rest = after;
    }
}

/// A list or an object, up to its closing bracket; brackets in strings don't count. Unclosed, all that is left.
fn nested(text: &str) -> (String, &str) {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    let (value, rest) = text.split_at(at + 1);
                    return (value.to_owned(), rest);
                }
            }
            _ => {}
        }
    }
    (text.to_owned(), "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::layout::Head;
    use bytes::Bytes;

    fn line(text: &str) -> Line {
        Line { at: None, head: Head::of(text.as_bytes()), text: Bytes::copy_from_slice(text.as_bytes()), entry: None }
    }

    fn klog(message: &str) -> Klog {
        Klog::of(message.as_bytes()).unwrap_or_else(|| panic!("{message}"))
    }

    fn fields(klog: &Klog) -> Vec<(&str, &str)> {
        klog.fields.iter().map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default())).collect()
    }

    #[test]
    fn journalctls_lines_are_taken_apart() {
        let text = line(
            "Nov 21 03:07:12.123456 node-7 kubelet[974]: E1121 03:07:12.120000     974 pod_workers.go:1301] \"Error syncing pod\" err=\"x\"\n",
        );
        let record = Record::of(&text);
        assert_eq!((record.identifier.as_deref(), record.pid), (Some("kubelet"), Some(974)));
        assert_eq!(record.severity, Some(Severity::Error));
        let klog = record.klog.unwrap();
        assert_eq!((klog.file.as_str(), klog.line, klog.thread), ("pod_workers.go", 1301, Some(974)));
        assert_eq!(
            (klog.msg.as_str(), fields(&Klog::of(&record.message).unwrap())),
            ("Error syncing pod", vec![("err", "x")])
        );
        let text =
            line("Nov 21 03:07:12.123456 node-7 kubelet[974]: one\n                                            two\n");
        assert_eq!(&*Record::of(&text).message, b"one\ntwo");
        let text = line("2026-11-21T03:07:12Z stderr F oh no\n");
        assert_eq!((Record::of(&text).stream, &*Record::of(&text).message), (Some("stderr"), &b"oh no"[..]));
        let text = line("goroutine 1 [running]:\n");
        assert_eq!(
            Record::of(&text),
            Record { message: Cow::Borrowed(b"goroutine 1 [running]:"), ..Record::default() }
        );
    }

    #[test]
    fn values_come_in_all_of_klogs_forms() {
        let head = "I1121 03:07:12.123456     974 a.go:12] ";
        for (rest, msg, expected) in [
            ("plain words: a=b", "plain words: a=b", vec![]),
            ("\"Quoted \\\"word\\\"\"", "Quoted \"word\"", vec![]),
            (
                "\"m\" pod=\"ns/x\" n=3 ok=true d=1.5s",
                "m",
                vec![("pod", "ns/x"), ("n", "3"), ("ok", "true"), ("d", "1.5s")],
            ),
            (
                "\"m\" l=[\"a b\",\"c]\"] o={\"k\":{\"v\":1}} z=1",
                "m",
                vec![("l", "[\"a b\",\"c]\"]"), ("o", "{\"k\":{\"v\":1}}"), ("z", "1")],
            ),
            ("\"m\" err=\"a\\n\\tb\\u00e9\\x00\"", "m", vec![("err", "a\n\tbé\0")]),
            ("\"m\" v=<\n\tone\n\ttwo\n > w=1", "m", vec![("v", "one\ntwo"), ("w", "1")]),
            ("\"m\" a=1 b=2 a=3", "m", vec![("b", "2"), ("a", "3")]),
            ("\"m\" empty= x=1", "m", vec![("empty", ""), ("x", "1")]),
        ] {
            let klog = klog(&format!("{head}{rest}"));
            assert_eq!((klog.msg.as_str(), fields(&klog)), (msg, expected), "{rest}");
        }
        // What is not quite that form is kept whole.
        for odd in
            ["\"m\" no-value", "\"unclosed", "\"m\"tail", "\"m\" a b=c", "\"m\" v=<\n\tone\n", "\"m\" k=\"unclosed"]
        {
            assert_eq!(klog(&format!("{head}{odd}")).msg, odd);
        }
        let json = klog("{\"ts\":1795230432123.456,\"caller\":\"a.go:12\",\"msg\":\"x\",\"v\":2,\"err\":\"y\"}");
        assert_eq!((json.severity, json.file.as_str(), json.line, json.fields.len()), (Severity::Error, "a.go", 12, 2));
    }

    #[test]
    fn no_line_makes_it_panic() {
        let pieces = [
            "I1121 03:07:12.123456",
            " 974",
            " a.go:1]",
            " ",
            "\"",
            "\\",
            "=",
            "<\n",
            "[",
            "{",
            "}",
            "x",
            "\u{e9}",
            "\t",
            "\\u12",
            "{\"ts\":",
        ];
        for a in pieces {
            for b in pieces {
                for c in pieces {
                    for d in pieces {
                        let text = line(&format!("I1121 03:07:12.123456 974 a.go:1] {a}{b}{c}{d}"));
                        assert!(Record::of(&text).klog.is_some());
                        Record::of(&line(&format!("{a}{b}{c}{d}")));
                    }
                }
            }
        }
    }
}
