//! klog's text header: `Lmmdd hh:mm:ss.uuuuuu threadid file:line] message` (k8s.io/klog, `formatHeader`).
//!
//! The time is the writer's local time and has no year.

use crate::time::Civil;

/// klog's severities, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// `I`
    Info,
    /// `W`
    Warning,
    /// `E`
    Error,
    /// `F`
    Fatal,
}

/// A klog header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The first letter.
    pub severity: Severity,
    /// Local time; `year` is 0.
    pub civil: Civil,
}

impl Header {
    /// Reads the header at the start of a line or message.
    pub fn of(line: &[u8]) -> Option<Header> {
        let severity = match line.first()? {
            b'I' => Severity::Info,
            b'W' => Severity::Warning,
            b'E' => Severity::Error,
            b'F' => Severity::Fatal,
            _ => return None,
        };
        let (month, day) = (two(line, 1)?, two(line, 3)?);
        if line.get(5) != Some(&b' ') || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return None;
        }
        let (hour, minute, second) = clock(line, 6)?;
        let micros = micros(line, 14)?;
        if line.get(21) != Some(&b' ') {
            return None;
        }
        Some(Header { severity, civil: Civil { year: 0, month, day, hour, minute, second, micros } })
    }
}

/// Two ASCII digits as a number.
pub(crate) fn two(line: &[u8], at: usize) -> Option<u8> {
    match line.get(at..at + 2)? {
        [a @ b'0'..=b'9', b @ b'0'..=b'9'] => Some((a - b'0') * 10 + (b - b'0')),
        _ => None,
    }
}

/// `HH:MM:SS` at an offset.
pub(crate) fn clock(line: &[u8], at: usize) -> Option<(u8, u8, u8)> {
    if line.get(at + 2) != Some(&b':') || line.get(at + 5) != Some(&b':') {
        return None;
    }
    let (hour, minute, second) = (two(line, at)?, two(line, at + 3)?, two(line, at + 6)?);
    (hour < 24 && minute < 60 && second <= 60).then_some((hour, minute, second.min(59)))
}

/// A `.` and six digits at an offset, in microseconds.
pub(crate) fn micros(line: &[u8], at: usize) -> Option<u32> {
    let [b'.', digits @ ..] = line.get(at..at + 7)? else { return None };
    digits.iter().try_fold(0, |n, d| d.is_ascii_digit().then(|| n * 10 + u32::from(d - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_gives_severity_and_local_time() {
        let header = Header::of(b"E1121 03:07:12.123456     974 kubelet.go:2400] \"x\"").unwrap();
        assert_eq!(header.severity, Severity::Error);
        let civil = Civil { year: 0, month: 11, day: 21, hour: 3, minute: 7, second: 12, micros: 123_456 };
        assert_eq!(header.civil, civil);
    }

    #[test]
    fn near_misses_are_none() {
        for line in [&b"X1121 03:07:12.123456 1 a.go:1] x"[..], b"I1121 03:07:12.12345", b"I1121_03:07:12.123456 1 ", b"I", b""] {
            assert_eq!(Header::of(line), None);
        }
    }
}
