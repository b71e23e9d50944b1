//! One JSON object a line for each entry, for scripts: time, node, writer, message, and klog's parts.

use std::ops::ControlFlow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::args::Severity;
use crate::format::Limits;
use crate::logs::line::Line;
use crate::logs::outlet::Event;
use crate::logs::record::{Lead, Parts, Record, Value};
use crate::output::Output;
use crate::output::quote::quote;
use crate::time::Rfc3339;

/// Writes entries as JSON lines.
pub struct Jsonl<'o> {
    output: &'o mut Output,
    nodes: Vec<String>,
    /// The unit all entries are of, where one was asked for.
    unit: Option<String>,
    /// Whether what comes are objects, to which only the node is added.
    is_whole: bool,
    buffer: Vec<u8>,
}

impl<'o> Jsonl<'o> {
    /// For these nodes.
    pub fn new(output: &'o mut Output, nodes: &[String], unit: Option<String>) -> Self {
        Jsonl { output, nodes: nodes.to_vec(), unit, is_whole: false, buffer: Vec::new() }
    }

    /// Of objects, one a line: only the node is added.
    pub fn of_objects(output: &'o mut Output, nodes: &[String]) -> Self {
        Jsonl { is_whole: true, ..Jsonl::new(output, nodes, None) }
    }

    /// One more node, behind the others in the list.
    pub fn joined(&mut self, name: &str) {
        self.nodes.push(name.to_owned());
    }

    /// What has come of the node at this place in the list; whole objects, as far as its limit reaches.
    pub fn event(&mut self, limits: &mut Limits, node: usize, event: &Event) -> ControlFlow<()> {
        let Event::Lines(lines) = event else { return ControlFlow::Continue(()) };
        let name = self.nodes.get(node).map_or("", String::as_str);
        if self.is_whole {
            for line in lines {
                self.buffer.clear();
                self.buffer.push(b'{');
                text("node", name.as_bytes(), &mut self.buffer);
                self.output.put(&self.buffer);
                self.output.put(b",");
                self.output.put(line.text.get(1..).unwrap_or_default());
            }
            return self.output.state();
        }
        // journalctl's own lines between boots are no entries, and entries without a message it does not print.
        for line in lines.iter().filter(|line| line.is_entry() && !line.text.is_empty()) {
            self.buffer.clear();
            object(line, name, self.unit.as_deref(), &mut self.buffer);
            self.buffer.push(b'\n');
            if !limits.take(node, self.buffer.len() as u64) {
                break;
            }
            self.output.put(&self.buffer);
        }
        self.output.state()
    }

    /// Writes out what is buffered.
    pub fn flush(&mut self) -> ControlFlow<()> {
        self.output.flush()
    }
}

/// An entry as an object. What is not known is left out.
fn object(line: &Line, node: &str, unit: Option<&str>, into: &mut Vec<u8>) {
    let mut message = line.dedented();
    if line.entry.is_none() && memchr::memchr(b'\r', &message).is_some() {
        // Text may have line ends as on Windows, whose table ends with empty ones; the journal keeps what was written.
        let last = message.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |last| last + 1);
        let kept = message.iter().enumerate().take(last);
        let kept = kept.filter(|(nth, byte)| **byte != b'\r' || message.get(nth + 1) != Some(&b'\n'));
        message = kept.map(|(_, byte)| *byte).collect::<Vec<u8>>().into();
    }
    let message = &*message;
    let record = Record::of(line, message);
    into.push(b'{');
    if let Some(at) = line.at {
        text("time", at.rfc3339().encode(&mut [0; Rfc3339::MAX_LEN]), into);
    }
    text("node", node.as_bytes(), into);
    let field = |name: &str| line.entry.as_ref().and_then(|entry| entry.field(name.as_bytes()));
    let own =
        field("_SYSTEMD_UNIT").or_else(|| field("UNIT")).map(|unit| unit.strip_suffix(b".service").unwrap_or(unit));
    if let Some(unit) = own.or(unit.map(str::as_bytes)) {
        text("unit", unit, into);
    }
    if let Some(identifier) = field("SYSLOG_IDENTIFIER").or(record.identifier) {
        text("identifier", identifier, into);
    }
    let digits = |text: &[u8]| std::str::from_utf8(text).ok()?.parse().ok();
    if let Some(pid) = field("_PID").and_then(digits).or(record.pid) {
        number("pid", pid, into);
    }
    if let Some(priority) = line.entry.as_ref().and_then(|entry| entry.priority()) {
        number("priority", priority.into(), into);
    }
    if let Some(entry) = &line.entry {
        text("boot", entry.position.boot.to_string().as_bytes(), into);
    }
    if let Some(stream) = record.stream {
        text("stream", stream.as_bytes(), into);
    }
    if let Some(severity) = record.severity {
        text("severity", word(severity), into);
    }
    text("message", message, into);
    if std::str::from_utf8(message).is_err() {
        text("messageBase64", STANDARD.encode(message).as_bytes(), into);
    }
    if let Some(parts) = &record.parts {
        self::parts(parts, into);
    }
    into.push(b'}');
}

fn parts(parts: &Parts<'_>, into: &mut Vec<u8>) {
    match &parts.lead {
        Lead::Klog { severity, thread, file, line } => {
            key(b"klog", into);
            into.push(b'{');
            text("severity", word(*severity), into);
            if let Some(thread) = thread {
                number("thread", *thread, into);
            }
            text("file", file, into);
            if let Some(line) = line {
                number("line", *line, into);
            }
        }
        Lead::Logfmt { level } => {
            key(b"logfmt", into);
            into.push(b'{');
            text("level", level, into);
        }
    }
    text("msg", &parts.msg, into);
    key(b"fields", into);
    into.push(b'{');
    for (name, value) in &parts.fields {
        key(name, into);
        match value {
            Value::Text(words) => quote(words, into),
            Value::Json(json) => into.extend_from_slice(json),
        }
    }
    into.extend_from_slice(b"}}");
}

fn key(name: &[u8], into: &mut Vec<u8>) {
    if into.last() != Some(&b'{') {
        into.push(b',');
    }
    quote(name, into);
    into.push(b':');
}

fn text(name: &str, value: &[u8], into: &mut Vec<u8>) {
    key(name.as_bytes(), into);
    quote(value, into);
}

fn number(name: &str, value: u64, into: &mut Vec<u8>) {
    key(name.as_bytes(), into);
    into.extend_from_slice(value.to_string().as_bytes());
}

fn word(severity: Severity) -> &'static [u8] {
    match severity {
        Severity::Info => b"info",
        Severity::Warning => b"warning",
        Severity::Error => b"error",
        Severity::Fatal => b"fatal",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::journal::{Entry, Id, Position};
    use crate::logs::layout::Head;
    use crate::time::Timestamp;
    use bytes::Bytes;

    fn shown(text: &[u8]) -> String {
        let object = shown_unread(text);
        serde_json::from_str::<serde_json::Value>(&object).unwrap_or_else(|why| panic!("{object}: {why}"));
        object
    }

    fn shown_unread(text: &[u8]) -> String {
        let at = Some(Timestamp::parse_rfc3339("2026-11-21T03:07:12.5Z").unwrap());
        let line = Line { at, ..Line::new(Head::of(text), Bytes::copy_from_slice(text)) };
        let mut object = Vec::new();
        super::object(&line, "node-7", Some("kubelet"), &mut object);
        String::from_utf8(object).unwrap()
    }

    #[test]
    fn an_entry_is_an_object_with_what_is_known() {
        assert_eq!(
            shown(b"Nov 21 03:07:12.500000 node-7 kubelet[974]: E1121 03:07:12.120000     974 a.go:1301] \"m\" err=\"x\" n=3\n"),
            "{\"time\":\"2026-11-21T03:07:12.500000Z\",\"node\":\"node-7\",\"unit\":\"kubelet\",\"identifier\":\"kubelet\",\"pid\":974,\
             \"severity\":\"error\",\"message\":\"E1121 03:07:12.120000     974 a.go:1301] \\\"m\\\" err=\\\"x\\\" n=3\",\
             \"klog\":{\"severity\":\"error\",\"thread\":974,\"file\":\"a.go\",\"line\":1301,\"msg\":\"m\",\
             \"fields\":{\"err\":\"x\",\"n\":\"3\"}}}"
        );
        let logrus = b"time=\"2026-11-21T03:07:12.5Z\" level=warning msg=\"a \\\"b\\\"\" error=\"\\xff\" n=3\n";
        assert!(shown(logrus).ends_with(
            "\"severity\":\"warning\",\"message\":\"time=\\\"2026-11-21T03:07:12.5Z\\\" level=warning msg=\\\"a \\\\\\\"b\\\\\\\"\\\" error=\\\"\\\\xff\\\" n=3\",\
             \"logfmt\":{\"level\":\"warning\",\"msg\":\"a \\\"b\\\"\",\"fields\":{\"error\":\"\u{fffd}\",\"n\":\"3\"}}}"
        ));
        let json = b"{\"ts\":1795230432123.456,\"msg\":\"x\",\"v\":2,\"f\":1e400,\"o\":{\"a\":[1]}}\n";
        let json = shown_unread(json);
        assert!(
            json.contains(
                "\"severity\":\"info\",\"file\":\"\",\"msg\":\"x\",\"fields\":{\"v\":2,\"f\":1e400,\"o\":{\"a\":[1]}}}"
            ),
            "{json}"
        );
        assert!(shown(b"plain\n").ends_with("\"unit\":\"kubelet\",\"message\":\"plain\"}"));
    }

    #[test]
    fn only_text_loses_its_line_ends() {
        let (nothing, message) = (Id::default(), b"a\r\nb\r\n\n");
        let position =
            Position { seqnum_id: nothing, seqnum: 1, realtime: 1, boot: nothing, monotonic: 1, xor_hash: 0 };
        let entry = Entry { position, fields: Vec::new() }.with_message(message);
        let line = |entry| Line { entry, ..Line::new(None, Bytes::from_static(message)) };
        for (line, expected) in [
            (line(None), "\"message\":\"a\\nb\"}"),
            (line(Some(Arc::new(entry))), "\"message\":\"a\\r\\nb\\r\\n\\n\"}"),
        ] {
            let mut object = Vec::new();
            super::object(&line, "node-7", None, &mut object);
            let object = String::from_utf8(object).unwrap();
            assert!(object.ends_with(expected), "{object}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_kept_beside_the_message() {
        let object = shown(b"Nov 21 03:07:12.500000 node-7 a: \xff\x00z\n");
        assert!(object.ends_with("\"message\":\"\u{fffd}\\u0000z\",\"messageBase64\":\"/wB6\"}"), "{object}");
    }
}
