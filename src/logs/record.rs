//! An entry taken apart: writer, message, and the header and values that klog and logrus put into it. Pure; nothing is
//! copied that does not have to be changed.

use std::borrow::Cow;

use memchr::{memchr, memchr2, memmem};
use serde::de::IgnoredAny;

use crate::logs::klog::{Header, Severity};
use crate::logs::layout::{self, Layout};
use crate::logs::line::Line;

/// Values of one message that are looked at.
const MOST_FIELDS: usize = 256;
/// How deep a value may be nested: readers of JSON have limits.
const DEEPEST: usize = 64;

/// An entry's parts, as far as its text shows them.
#[derive(Debug, Default, PartialEq)]
pub struct Record<'a> {
    /// The program that wrote it.
    pub identifier: Option<&'a [u8]>,
    /// Its process.
    pub pid: Option<u64>,
    /// `stdout` or `stderr`, of a container's line.
    pub stream: Option<&'static str>,
    /// How severe its writer took it.
    pub severity: Option<Severity>,
    /// What is in the message, where its writer's form is known.
    pub parts: Option<Parts<'a>>,
}

/// A message in a known form.
#[derive(Debug, PartialEq)]
pub struct Parts<'a> {
    /// What stands before the words.
    pub lead: Lead<'a>,
    /// The words.
    pub msg: Cow<'a, [u8]>,
    /// The values, in their order.
    pub fields: Vec<(Cow<'a, [u8]>, Value<'a>)>,
}

/// What a message begins with.
#[derive(Debug, PartialEq)]
pub enum Lead<'a> {
    /// klog's text, `Lmmdd hh:mm:ss.uuuuuu thread file:line] msg` with `key=value` behind it, or klog's JSON.
    Klog {
        /// How severe.
        severity: Severity,
        /// The thread's number, which is the process's in practice; JSON has none.
        thread: Option<u64>,
        /// The source file that logs.
        file: &'a [u8],
        /// The line in it.
        line: Option<u64>,
    },
    /// logrus's text, `time="…" level=… msg="…"` and more `key=value`, as of containerd, CRI-O and k3s.
    Logfmt {
        /// The level's own word.
        level: Cow<'a, [u8]>,
    },
}

/// A value.
#[derive(Debug, PartialEq)]
pub enum Value<'a> {
    /// A text, which need not be UTF-8: what was quoted, without its quotation marks, or the words that stand there.
    Text(Cow<'a, [u8]>),
    /// JSON other than a string, on one line.
    Json(&'a [u8]),
}

type Fields<'a> = Vec<(Cow<'a, [u8]>, Value<'a>)>;

impl<'a> Record<'a> {
    /// Takes an entry apart, given its message, which is [`Line::dedented`].
    pub fn of(line: &'a Line, message: &'a [u8]) -> Record<'a> {
        let mut record = Record { parts: Parts::of(message), ..Record::default() };
        record.severity = match &record.parts {
            Some(Parts { lead: Lead::Klog { severity, .. }, .. }) => Some(*severity),
            _ => layout::severity(message),
        };
        let Some(head) = &line.head else { return record };
        let (from, to) = head.identifier;
        record.identifier = line.text.get(from..to).filter(|identifier| !identifier.is_empty());
        record.pid = line.text.get(to..head.message).and_then(pid);
        if head.layout == Layout::Rfc3339 && record.identifier.is_none() {
            let before = line.text.get(..head.message).unwrap_or_default();
            let is = |stream: &[u8]| memmem::find(before, stream).is_some();
            record.stream = if is(b" stdout ") { Some("stdout") } else { is(b" stderr ").then_some("stderr") };
        }
        record
    }
}

/// The severity of a message, in klog's JSON as well, where it takes reading all of it.
pub fn severity(message: &[u8]) -> Option<Severity> {
    let message = message.strip_suffix(b"\r").unwrap_or(message);
    match message.first()? {
        b'{' => match Parts::of(message)?.lead {
            Lead::Klog { severity, .. } => Some(severity),
            Lead::Logfmt { .. } => None,
        },
        _ => layout::severity(message),
    }
}

/// `[974]: ` behind an identifier.
fn pid(text: &[u8]) -> Option<u64> {
    let (digits, _) = cut(text.strip_prefix(b"[")?, b']')?;
    number(digits).flatten()
}

/// Digits as a number, `Some(None)` where it is too large for one; `None` where there is anything else.
fn number(digits: &[u8]) -> Option<Option<u64>> {
    let are_digits = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    are_digits.then(|| std::str::from_utf8(digits).ok()?.parse().ok())
}

/// What stands before the first such byte, and what behind it.
fn cut(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr(at, text)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

impl<'a> Parts<'a> {
    /// Reads a message, without its last line end.
    pub fn of(message: &'a [u8]) -> Option<Parts<'a>> {
        match message.first()? {
            b'{' => Parts::of_json(message),
            b't' => Parts::of_logfmt(message),
            _ => Parts::of_klog(message),
        }
    }

    fn of_klog(message: &'a [u8]) -> Option<Parts<'a>> {
        let severity = Header::of(message)?.severity;
        let text = message.get(21..)?;
        let text = text.get(text.iter().position(|b| *b != b' ')?..)?;
        let (thread, rest) = cut(text, b' ')?;
        let (place, rest) = cut(rest, b']')?;
        let colon = memchr::memrchr(b':', place)?;
        let rest = rest.strip_prefix(b" ").unwrap_or(rest);
        let (msg, fields) = structured(rest).unwrap_or((Cow::Borrowed(rest), Vec::new()));
        let (thread, line) = (number(thread)?, number(place.get(colon + 1..)?)?);
        Some(Parts { lead: Lead::Klog { severity, thread, file: place.get(..colon)?, line }, msg, fields })
    }

    /// `{"ts":…,"caller":"file.go:12","msg":"…","v":0,…}`; klog marks errors by nothing but their `err`.
    fn of_json(message: &'a [u8]) -> Option<Parts<'a>> {
        // Parts are handed on as they are: on one line, and without half characters, which readers take differently.
        let is_odd = memchr2(b'\n', b'\r', message).is_some() || memmem::find(message, b"\\ud").is_some();
        if !message.starts_with(b"{\"ts\":") || is_odd || memmem::find(message, b"\\uD").is_some() {
            return None;
        }
        std::str::from_utf8(message).ok()?;
        serde_json::from_slice::<IgnoredAny>(message).ok()?;
        let mut fields = object(message)?;
        let mut take = |name: &str| {
            let at = fields.iter().position(|(key, _)| &**key == name.as_bytes())?;
            Some(fields.remove(at).1)
        };
        take("ts");
        let Some(Value::Text(msg)) = take("msg") else { return None };
        let (mut file, mut line) = (&b""[..], None);
        if let Some(Value::Text(Cow::Borrowed(caller))) = take("caller") {
            let colon = memchr::memrchr(b':', caller).unwrap_or(caller.len());
            (file, line) = (caller.get(..colon)?, caller.get(colon + 1..).and_then(number).flatten());
        }
        let has_failed = fields.iter().any(|(key, _)| **key == *b"err");
        let severity = if has_failed { Severity::Error } else { Severity::Info };
        Some(Parts { lead: Lead::Klog { severity, thread: None, file, line }, msg, fields })
    }

    fn of_logfmt(message: &'a [u8]) -> Option<Parts<'a>> {
        if !message.starts_with(b"time=\"") {
            return None;
        }
        let (mut level, mut msg) = (None, None);
        let mut fields = pairs(message)?;
        fields.retain_mut(|(key, value)| {
            let Value::Text(value) = value else { return true };
            let place = match &**key {
                b"time" => return false,
                b"level" => &mut level,
                b"msg" => &mut msg,
                _ => return true,
            };
            *place = Some(std::mem::take(value));
            false
        });
        Some(Parts { lead: Lead::Logfmt { level: level? }, msg: msg?, fields })
    }
}

/// `"msg"` and pairs behind it; `None` where it is a plain text.
fn structured(text: &[u8]) -> Option<(Cow<'_, [u8]>, Fields<'_>)> {
    let (msg, rest) = quoted(text)?;
    let fields = if rest.is_empty() { Vec::new() } else { pairs(rest.strip_prefix(b" ")?)? };
    Some((msg, fields))
}

/// `key="value" key=value key=[a b] key={…} key=<` and lines after a TAB up to ` >`, and nothing else.
fn pairs(mut text: &[u8]) -> Option<Fields<'_>> {
    let mut fields = Vec::new();
    loop {
        let (key, value) = cut(text, b'=')?;
        let is_word = !key.is_empty() && !key.iter().any(|b| matches!(b, b' ' | b'"' | b'\n'));
        if !is_word || std::str::from_utf8(key).is_err() {
            return None;
        }
        let (value, after) = match value.first() {
            Some(b'"') => quoted(value)?,
            Some(b'<') if value.starts_with(b"<\n") => block(value)?,
            Some(b'[' | b'{') => {
                // Unclosed, all that is left.
                let (value, after) = value.split_at(nested(value).map_or(value.len(), |(end, _)| end));
                (Cow::Borrowed(value), after)
            }
            _ => {
                let (value, after) = value.split_at(memchr(b' ', value).unwrap_or(value.len()));
                (Cow::Borrowed(value), after)
            }
        };
        put(&mut fields, Cow::Borrowed(key), Value::Text(value))?;
        match after.split_first() {
            None => return Some(fields),
            Some((b' ', rest)) => text = rest,
            Some(_) => return None,
        }
    }
}

/// A key that comes twice would make an object that readers read differently: the last one counts.
fn put<'a>(fields: &mut Fields<'a>, key: Cow<'a, [u8]>, value: Value<'a>) -> Option<()> {
    if let Some(at) = fields.iter().position(|(known, _)| *known == key) {
        fields.remove(at);
    }
    fields.push((key, value));
    (fields.len() <= MOST_FIELDS).then_some(())
}

/// The fields of a JSON object that is known to be one.
fn object(text: &[u8]) -> Option<Fields<'_>> {
    let mut fields = Vec::new();
    let mut rest = text.strip_prefix(b"{")?;
    loop {
        let (key, after) = quoted(rest.trim_ascii_start())?;
        let after = after.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
        let (value, after) = match after.first()? {
            b'"' => {
                let (value, after) = quoted(after)?;
                (Value::Text(value), after)
            }
            first => {
                let (end, depth) = match first {
                    b'[' | b'{' => nested(after)?,
                    _ => (after.iter().position(|b| b",} \t".contains(b))?, 0),
                };
                if depth > DEEPEST {
                    return None;
                }
                let (value, after) = after.split_at(end);
                (Value::Json(value), after)
            }
        };
        put(&mut fields, key, value)?;
        match after.trim_ascii_start().split_first()? {
            (b',', after) => rest = after,
            _ => return Some(fields),
        }
    }
}

/// A string literal of Go or JSON at the start, and what follows it.
fn quoted(text: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let mut rest = text.strip_prefix(b"\"")?;
    let mut value = Vec::new();
    loop {
        let at = memchr2(b'"', b'\\', rest)?;
        let (before, after) = (rest.get(..at)?, rest.get(at + 1..)?);
        if rest.get(at) == Some(&b'"') {
            if value.is_empty() {
                return Some((Cow::Borrowed(before), after));
            }
            value.extend_from_slice(before);
            return Some((Cow::Owned(value), after));
        }
        value.extend_from_slice(before);
        let (escape, after) = after.split_first()?;
        let plain = match escape {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'a' => 7,
            b'b' => 8,
            b'f' => 12,
            b'v' => 11,
            b'x' | b'u' | b'U' => {
                let length = match escape {
                    b'x' => 2,
                    b'u' => 4,
                    _ => 8,
                };
                let digits = after.get(..length)?;
                let number = digits.iter().try_fold(0, |n, digit| Some(n << 4 | char::from(*digit).to_digit(16)?))?;
                match u8::try_from(number) {
                    // By its number a byte, which need not be a character.
                    Ok(byte) if *escape == b'x' => value.push(byte),
                    _ => {
                        let char = char::from_u32(number).unwrap_or('\u{fffd}');
                        value.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
                    }
                }
                rest = after.get(digits.len()..)?;
                continue;
            }
            other => *other,
        };
        value.push(plain);
        rest = after;
    }
}

/// klog's form of a value with several lines: each after a TAB, and ` >` at the end.
fn block(text: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let mut lines = Vec::new();
    let mut rest = text.strip_prefix(b"<\n")?;
    loop {
        if let Some(after) = rest.strip_prefix(b" >") {
            return Some((Cow::Owned(lines.join(&b'\n')), after));
        }
        let (line, after) = cut(rest, b'\n')?;
        lines.push(line.strip_prefix(b"\t")?);
        rest = after;
    }
}

/// Where a list or an object at the start ends, and how deep it goes; brackets in strings don't count.
fn nested(text: &[u8]) -> Option<(usize, usize)> {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0usize, 0, false, false);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = depth.max(deepest);
            }
            b']' | b'}' if !in_string => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some((at + 1, deepest));
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::layout::Head;
    use bytes::Bytes;

    fn line(text: &str) -> Line {
        Line::new(Head::of(text.as_bytes()), Bytes::copy_from_slice(text.as_bytes()))
    }

    fn words(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// Whether, of which line of which file, and with which severity klog wrote it, the words, and the values.
    type Seen = (Option<(String, Option<u64>, Severity)>, String, Vec<(String, String)>);

    fn seen(message: &str) -> Option<Seen> {
        let Parts { lead, msg, fields } = Parts::of(message.as_bytes())?;
        let lead = match lead {
            Lead::Klog { severity, file, line, .. } => Some((words(file), line, severity)),
            Lead::Logfmt { .. } => None,
        };
        let value = |value: &Value<'_>| match value {
            Value::Text(text) => words(text),
            Value::Json(text) => format!("json:{}", words(text)),
        };
        Some((lead, words(&msg), fields.iter().map(|(key, said)| (words(key), value(said))).collect()))
    }

    /// The words and the values of what must be a message in a known form.
    #[track_caller]
    fn said(message: &str) -> (String, Vec<(String, String)>) {
        let (_, msg, fields) = seen(message).unwrap_or_else(|| panic!("{message}"));
        (msg, fields)
    }

    fn owned(fields: &[(&str, &str)]) -> Vec<(String, String)> {
        fields.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn journalctls_lines_are_taken_apart() {
        let text = line(
            "Nov 21 03:07:12.123456 node-7 kubelet[974]: E1121 03:07:12.120000     974 pod_workers.go:1301] \"Error syncing pod\" err=\"x\"\n",
        );
        let message = text.dedented();
        let record = Record::of(&text, &message);
        assert_eq!((record.identifier, record.pid), (Some(&b"kubelet"[..]), Some(974)));
        assert_eq!(record.severity, Some(Severity::Error));
        let Some(Parts { lead: Lead::Klog { thread, .. }, .. }) = record.parts else { panic!("{record:?}") };
        assert_eq!(thread, Some(974));
        let lead = Some(("pod_workers.go".to_owned(), Some(1301), Severity::Error));
        let message = std::str::from_utf8(&message).unwrap();
        assert_eq!(seen(message), Some((lead, "Error syncing pod".to_owned(), owned(&[("err", "x")]))));
        let text = line("2026-11-21T03:07:12Z stderr F oh no\n");
        assert_eq!(Record::of(&text, &text.dedented()).stream, Some("stderr"));
        let text = line("goroutine 1 [running]:\n");
        assert_eq!(Record::of(&text, &text.dedented()), Record::default());
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
            assert_eq!(said(&format!("{head}{rest}")), (msg.to_owned(), owned(&expected)), "{rest}");
        }
        // What is not quite that form is kept whole.
        for odd in
            ["\"m\" no-value", "\"unclosed", "\"m\"tail", "\"m\" a b=c", "\"m\" v=<\n\tone\n", "\"m\" k=\"unclosed"]
        {
            assert_eq!(said(&format!("{head}{odd}")), (odd.to_owned(), vec![]));
        }
        // Numbers that fit nowhere are not known; all else is.
        let lead = Some(("a.go".to_owned(), None, Severity::Info));
        let long = "I1121 03:07:12.123456     98765432109876543210 a.go:98765432109876543210] x";
        assert_eq!(seen(long), Some((lead, "x".to_owned(), vec![])));
    }

    #[test]
    fn klogs_json_keeps_its_values_as_they_are() {
        let (lead, msg, fields) = seen(
            "{\"ts\":1795230432123.456,\"caller\":\"a.go:12\",\"msg\":\"x\\n\",\"v\":2, \"f\" : 1e400 ,\"o\":{\"a\":[1,\"}\"]},\"err\":\"y\",\"v\":3}",
        )
        .unwrap();
        assert_eq!((lead, &*msg), (Some(("a.go".to_owned(), Some(12), Severity::Error)), "x\n"));
        let expected = [("f", "json:1e400"), ("o", "json:{\"a\":[1,\"}\"]}"), ("err", "y"), ("v", "json:3")];
        assert_eq!(fields, owned(&expected));
        for odd in [
            "{\"ts\":1,\"msg\":\"x\",\"v\":01}",
            "{\"ts\":1,\"msg\":\"x\",\"v\":[1,\n2]}",
            "{\"ts\":1,\"msg\":\"x\",\"v\":[\"\\ud800\"]}",
            "{\"ts\":1,\"msg\":2}",
            "{\"ts\":1}",
            "{\"ts\":1,\"msg\":\"x\"",
            "{\"ts\":1,\"msg\":\"x\"}}",
        ] {
            assert_eq!(seen(odd), None, "{odd}");
        }
        let deep =
            |depth: usize| format!("{{\"ts\":1,\"msg\":\"x\",\"v\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(seen(&deep(DEEPEST)).is_some() && seen(&deep(DEEPEST + 1)).is_none());
    }

    #[test]
    fn logrus_lines_are_words_and_values() {
        let head = "time=\"2026-11-21T03:07:12.5Z\" level=error";
        for (rest, msg, expected) in [
            (
                "msg=\"PullImage \\\"x:1\\\" failed\" error=\"no \\\"such\\\" image\" n=3",
                "PullImage \"x:1\" failed",
                vec![("error", "no \"such\" image"), ("n", "3")],
            ),
            ("msg=done revision= version=v1.7.18", "done", vec![("revision", ""), ("version", "v1.7.18")]),
        ] {
            let message = format!("{head} {rest}");
            assert_eq!(seen(&message), Some((None, msg.to_owned(), owned(&expected))), "{rest}");
            let Some(Parts { lead: Lead::Logfmt { level }, .. }) = Parts::of(message.as_bytes()) else {
                panic!("{rest}")
            };
            assert_eq!((&*level, layout::severity(message.as_bytes())), (&b"error"[..], Some(Severity::Error)));
        }
        for odd in ["", " msg=\"unclosed", " nothing=1", " msg=x y"] {
            assert_eq!(seen(&format!("{head}{odd}")), None, "{odd}");
        }
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
            "time=\"",
            " level=",
            " msg=",
        ];
        for a in pieces {
            for b in pieces {
                for c in pieces {
                    for d in pieces {
                        let text = line(&format!("I1121 03:07:12.123456 974 a.go:1] {a}{b}{c}{d}"));
                        assert!(Record::of(&text, &text.dedented()).parts.is_some());
                        Parts::of(format!("{a}{b}{c}{d}").as_bytes());
                    }
                }
            }
        }
    }
}
