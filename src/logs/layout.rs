//! How a log line begins: its time, its writer and where its message starts.
//!
//! Recognised, from the bytes alone and without allocating:
//!
//! | layout | example | source |
//! |---|---|---|
//! | journalctl `short-precise` | `Nov 21 03:07:12.123456 node-7 kubelet[974]: …` | systemd, `output_short` |
//! | syslog | `Nov  1 03:07:12 node-7 kubelet[974]: …` | RFC 3164 |
//! | klog | `I1121 03:07:12.123456     974 file.go:12] …` | k8s.io/klog |
//! | RFC 3339 first | `2026-11-21T03:07:12.123456789Z stdout F …` | CRI, rsyslog's newer format |
//! | logrus | `time="2026-11-21T03:07:12Z" level=info msg=…` | containerd |
//! | klog JSON | `{"ts":1763694432123.456,…}` | k8s.io/component-base |
//! | JSON lines | `{"time":"2026-11-21T03:07:12Z",…}` | `-o jsonl`, Go's slog |
//! | journalctl `json` | `{"__REALTIME_TIMESTAMP":"1763694432123456",…}`, in any order | systemd, `output_json` |
//!
//! Behind an RFC 3339 time may stand any of the others, as --timestamps puts them there.

use crate::logs::klog::{self, Severity};
use crate::time::{Civil, Timestamp, syslog_time};

/// When a line says it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// Date, time and zone are all there.
    Exact(Timestamp),
    /// No year (`year` is 0) and no zone.
    Yearless(Civil),
}

/// Which kind of beginning a line has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `Nov 21 03:07:12.123456 host ident[pid]: message`: with a fraction it is journalctl's, without one syslog's.
    Short {
        /// Whether microseconds are given.
        precise: bool,
    },
    /// A klog text header.
    Klog,
    /// An RFC 3339 time comes first.
    Rfc3339,
    /// containerd's logrus text.
    Logrus,
    /// A JSON object: klog's, one of `-o jsonl`, or journalctl's.
    Json,
}

/// The beginning of a line, as offsets into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Which kind it is.
    pub layout: Layout,
    /// When it was written.
    pub stamp: Stamp,
    /// Where the message begins.
    pub message: usize,
    /// Where the identifier (the program's name) stands; empty where the layout has none.
    pub identifier: (usize, usize),
}

impl Head {
    /// Reads the beginning of one line; `None` means it carries no time, as a continuation line does.
    pub fn of(line: &[u8]) -> Option<Head> {
        match *line.first()? {
            b'I' | b'W' | b'E' | b'F' if line.get(1).is_some_and(u8::is_ascii_digit) => {
                let civil = klog::Header::of(line)?.civil;
                Some(Head { layout: Layout::Klog, stamp: Stamp::Yearless(civil), message: 0, identifier: (0, 0) })
            }
            b'A'..=b'S' => short(line),
            b'0'..=b'9' => rfc3339(line),
            b't' => logrus(line),
            b'{' => json(line),
            _ => None,
        }
    }

    /// The severity a line's writer gave it, where the text shows one: klog's letter, logrus's level.
    pub fn severity(&self, line: &[u8]) -> Option<Severity> {
        severity(line.get(self.message..)?)
    }
}

/// The severity of a message: a klog header, a logrus level, or the start of a Go crash.
pub fn severity(message: &[u8]) -> Option<Severity> {
    if let Some(header) = klog::Header::of(message) {
        return Some(header.severity);
    }
    if message.starts_with(b"panic: ") || message.starts_with(b"fatal error: ") {
        return Some(Severity::Fatal);
    }
    if message.starts_with(b"time=\"") {
        let at = memchr::memmem::find(message.get(..128).unwrap_or(message), b" level=")?;
        let level = message.get(at + 7..)?;
        return [
            (&b"trace"[..], Severity::Info),
            (b"debug", Severity::Info),
            (b"info", Severity::Info),
            (b"warn", Severity::Warning),
            (b"error", Severity::Error),
            (b"fatal", Severity::Fatal),
            (b"panic", Severity::Fatal),
        ]
        .into_iter()
        .find_map(|(name, severity)| level.starts_with(name).then_some(severity));
    }
    None
}

/// `Nov 21 03:07:12[.123456] [host ]ident[pid]: message`
fn short(line: &[u8]) -> Option<Head> {
    let (civil, length) = syslog_time(line)?;
    if line.get(length) != Some(&b' ') {
        return None;
    }
    let (identifier, message) = writer(line, length + 1);
    let layout = Layout::Short { precise: length == 22 };
    Some(Head { layout, stamp: Stamp::Yearless(civil), message, identifier })
}

/// `[host ]ident[pid]: message` from an offset: where the identifier stands, and where the message begins.
fn writer(line: &[u8], from: usize) -> ((usize, usize), usize) {
    let rest = line.get(from..).unwrap_or_default();
    let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
    let rest = rest.get(..end).unwrap_or_default();
    let Some(colon) = memchr::memchr_iter(b':', rest).find(|at| rest.get(at + 1) == Some(&b' ')) else {
        return ((from, from), from);
    };
    let head = rest.get(..colon).unwrap_or_default();
    let start = memchr::memchr(b' ', head).map_or(0, |space| space + 1);
    let length = memchr::memchr(b'[', head.get(start..).unwrap_or_default()).unwrap_or(colon - start);
    ((from + start, from + start + length), from + colon + 2)
}

fn rfc3339(line: &[u8]) -> Option<Head> {
    if line.get(4) != Some(&b'-') || line.get(10) != Some(&b'T') {
        return None;
    }
    let end = memchr::memchr2(b' ', b'\n', line.get(..40).unwrap_or(line)).unwrap_or(line.len().min(40));
    let at = Timestamp::parse_rfc3339(std::str::from_utf8(line.get(..end)?).ok()?)?;
    let rest = (end + 1).min(line.len());
    let after = line.get(rest..).unwrap_or_default();
    if after.first().is_some_and(|first| !first.is_ascii_digit())
        && let Some(inner) = Head::of(after)
    {
        // This time is as exact as that one, or more so.
        let (from, to) = inner.identifier;
        let (identifier, message) = ((rest + from, rest + to), rest + inner.message);
        return Some(Head { layout: Layout::Rfc3339, stamp: Stamp::Exact(at), message, identifier });
    }
    // --timestamps dates every line, those too that journalctl indents below an entry's first one.
    if after.starts_with(&[b' '; INDENT]) {
        return None;
    }
    // CRI: `stdout F message`; rsyslog: `host ident[pid]: message`.
    let (identifier, message) =
        if [&b"stdout F "[..], b"stdout P ", b"stderr F ", b"stderr P "].iter().any(|s| after.starts_with(s)) {
            ((rest, rest), rest + 9)
        } else {
            writer(line, rest)
        };
    Some(Head { layout: Layout::Rfc3339, stamp: Stamp::Exact(at), message, identifier })
}

fn logrus(line: &[u8]) -> Option<Head> {
    let rest = line.strip_prefix(b"time=\"")?;
    let end = memchr::memchr(b'"', rest.get(..40).unwrap_or(rest))?;
    let at = Timestamp::parse_rfc3339(std::str::from_utf8(rest.get(..end)?).ok()?)?;
    Some(Head { layout: Layout::Logrus, stamp: Stamp::Exact(at), message: 0, identifier: (0, 0) })
}

/// An object of `-o jsonl` or of journalctl: what its quotes stand in has none that is not behind a backslash.
fn json(line: &[u8]) -> Option<Head> {
    let beginning = line.get(..LONGEST_JSON).unwrap_or(line);
    let value = |key: &[u8]| {
        let from = memchr::memmem::find(beginning, key)? + key.len();
        let to = from + memchr::memchr(b'"', beginning.get(from..)?)?;
        Some((from, to, std::str::from_utf8(beginning.get(from..to)?).ok()?))
    };
    let (at, identifier, message) = if line.starts_with(b"{\"ts\":") {
        return klog_json(line);
    } else if line.starts_with(b"{\"time\":\"") {
        let at = Timestamp::parse_rfc3339(value(b"\"time\":\"")?.2)?;
        (at, value(b"\"identifier\":\""), value(b"\"message\":\""))
    } else {
        let micros = value(b"\"__REALTIME_TIMESTAMP\":\"")?.2.parse().ok().filter(|at| (0..=LATEST).contains(at))?;
        let at = Timestamp::from_micros(micros);
        (at, value(b"\"SYSLOG_IDENTIFIER\":\""), value(b"\"MESSAGE\":\""))
    };
    let identifier = identifier.map_or((0, 0), |(from, to, _)| (from, to));
    let message = message.map_or(0, |(from, ..)| from);
    Some(Head { layout: Layout::Json, stamp: Stamp::Exact(at), message, identifier })
}

/// No head of journalctl's is shorter; nobody else indents so far.
const INDENT: usize = 24;
/// In which of an object's bytes its time and writer are looked for.
const LONGEST_JSON: usize = 64 << 10;
/// A time that no calendar writes in four digits is none.
const LATEST: i64 = 253_402_300_799_999_999;

/// klog's JSON: `"ts"` is the time in milliseconds with a fraction, always the first key.
fn klog_json(line: &[u8]) -> Option<Head> {
    let rest = line.strip_prefix(b"{\"ts\":")?;
    let end = rest.iter().take(24).position(|b| !b.is_ascii_digit() && *b != b'.')?;
    let (whole, fraction) = match memchr::memchr(b'.', rest.get(..end)?) {
        Some(dot) => (rest.get(..dot)?, rest.get(dot + 1..end)?),
        None => (rest.get(..end)?, &b""[..]),
    };
    let digits = |bytes: &[u8]| std::str::from_utf8(bytes).ok()?.parse::<i64>().ok();
    let mut micros = digits(whole)?.checked_mul(1000)?;
    for (place, digit) in [100, 10, 1].into_iter().zip(fraction) {
        micros = micros.checked_add(place * i64::from(digit.checked_sub(b'0')?))?;
    }
    if micros > LATEST {
        return None;
    }
    let stamp = Stamp::Exact(Timestamp::from_micros(micros));
    Some(Head { layout: Layout::Json, stamp, message: 0, identifier: (0, 0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(line: &[u8], (from, to): (usize, usize)) -> &str {
        std::str::from_utf8(&line[from..to]).unwrap()
    }

    #[test]
    fn short_lines_tell_time_identifier_and_message() {
        for (line, identifier, message, micros) in [
            (&b"Nov 21 03:07:12.123456 node-7 kubelet[974]: I1121 x"[..], "kubelet", "I1121 x", 123_456),
            (b"Nov 21 03:07:12.000001 kubelet[974]: no host", "kubelet", "no host", 1),
            (b"Nov  1 03:07:12 node-7 kernel: eth0: up", "kernel", "eth0: up", 0),
            (b"Nov 21 03:07:12.000001 node-7 kubelet[974]: ", "kubelet", "", 1),
        ] {
            let head = Head::of(line).unwrap();
            assert_eq!(part(line, head.identifier), identifier);
            assert_eq!(part(line, (head.message, line.len())), message);
            let Stamp::Yearless(civil) = head.stamp else { panic!("{head:?}") };
            assert_eq!((civil.month, civil.hour, civil.micros), (11, 3, micros));
        }
    }

    #[test]
    fn other_layouts_carry_their_own_zone() {
        for (line, micros) in [
            (&b"2026-11-21T03:07:12.123456789Z stdout F hello"[..], 1_795_230_432_123_456),
            (b"time=\"2026-11-21T04:07:12.123456000+01:00\" level=info msg=x", 1_795_230_432_123_456),
            (b"{\"ts\":1795230432123.456,\"caller\":\"a.go:1\",\"msg\":\"x\"}", 1_795_230_432_123_456),
            (b"{\"ts\":1795230432123,\"msg\":\"x\"}", 1_795_230_432_123_000),
        ] {
            assert_eq!(Head::of(line).unwrap().stamp, Stamp::Exact(Timestamp::from_micros(micros)), "{line:?}");
        }
        let cri = b"2026-11-21T03:07:12Z stderr F oh no";
        assert_eq!(part(cri, (Head::of(cri).unwrap().message, cri.len())), "oh no");
    }

    #[test]
    fn what_was_printed_here_is_read_back() {
        for (line, identifier, message) in [
            (&b"2026-11-21T03:07:12.123456Z Nov 21 03:07:12.123456 node-7 kubelet[9]: a: b"[..], "kubelet", "a: b"),
            (b"2026-11-21T03:07:12.123456Z E1121 03:07:12.123456     974 a.go:1] \"x: y\"", "", "E1121 03:0"),
            (b"2026-11-21T03:07:12.123456Z node-7 kubelet[9]: rsyslog's", "kubelet", "rsyslog's"),
            (b"2026-11-21T03:07:12.123456Z 2026-11-21T03:07:12Z a[1]: b", "a", "b"),
            (
                br#"{"time":"2026-11-21T03:07:12.123456Z","node":"n","unit":"kubelet","identifier":"k","message":"E1121 \"x"}"#,
                "k",
                "E1121",
            ),
            (
                br#"{"MESSAGE":"a \"SYSLOG_IDENTIFIER\":\"no","__REALTIME_TIMESTAMP":"1795230432123456","SYSLOG_IDENTIFIER":"sshd"}"#,
                "sshd",
                "a ",
            ),
            (br#"{"__REALTIME_TIMESTAMP":"1795230432123456","MESSAGE":[104,105]}"#, "", "{"),
        ] {
            let shown = String::from_utf8_lossy(line);
            let head = Head::of(line).expect(&shown);
            assert_eq!(head.stamp, Stamp::Exact(Timestamp::from_micros(1_795_230_432_123_456)), "{shown}");
            assert_eq!(part(line, head.identifier), identifier, "{shown}");
            assert!(part(line, (head.message, line.len())).starts_with(message), "{shown}");
        }
    }

    #[test]
    fn what_only_looks_like_a_head_is_none() {
        for line in [
            &b""[..],
            b"\n",
            b"   continued",
            b"goroutine 1 [running]:",
            b"Nov 21",
            b"Nov 41 03:07:12 a b: c",
            b"Nov 21 25:07:12 a b: c",
            b"Nov 21 03:07:12x a b: c",
            b"I1321 03:07:12.123456 1 a.go:1] x",
            b"2026-11-21",
            b"2026-13-41T99:00:00Z x",
            b"time=\"yesterday\" level=info",
            b"{\"ts\":99999999999999999999999,\"msg\":1}",
            b"{\"ts\":9223372036854775.0,\"msg\":1}",
            b"2026-11-21T03:07:12.123456Z                                    second line",
            b"{\"time\":\"soon\"}",
            b"{\"time\":\"2026-11-21T03:07:12Z",
            b"{\"__REALTIME_TIMESTAMP\":\"-1\"}",
            b"{\"__REALTIME_TIMESTAMP\":\"9223372036854775807\"}",
            b"{}",
            b"\xff\xfe\x00",
        ] {
            assert_eq!(Head::of(line), None, "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn severities_come_from_klog_logrus_and_crashes() {
        for (message, severity_) in [
            (&b"W1121 03:07:12.123456     974 a.go:1] \"x\""[..], Some(Severity::Warning)),
            (b"time=\"2026-11-21T04:07:12Z\" level=error msg=x", Some(Severity::Error)),
            (b"panic: runtime error", Some(Severity::Fatal)),
            (b"Started kubelet", None),
        ] {
            assert_eq!(severity(message), severity_);
        }
    }
}
