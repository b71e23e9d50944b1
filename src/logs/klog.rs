//! klog's text header: `Lmmdd hh:mm:ss.uuuuuu threadid file:line] message` (k8s.io/klog, `formatHeader`).
//!
//! The time is the writer's local time and has no year.

use crate::time::{Civil, klog_time};

pub use crate::args::Severity;

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
        let (civil, length) = klog_time(line)?;
        let severity = match line.first()? {
            b'I' => Severity::Info,
            b'W' => Severity::Warning,
            b'E' => Severity::Error,
            _ => Severity::Fatal,
        };
        // Always six digits of fraction, then the thread id in columns.
        (length == 21 && line.get(length) == Some(&b' ')).then_some(Header { severity, civil })
    }

    /// Reads the header of a line that may be wrapped: behind the name of a component, or in logrus's `msg`.
    pub fn within(message: &[u8]) -> Option<Header> {
        const MESSAGE: &[u8] = b" msg=\"";
        let inner = if message.starts_with(b"time=\"") {
            memchr::memmem::find(message.get(..128).unwrap_or(message), MESSAGE)? + MESSAGE.len()
        } else {
            memchr::memchr(b' ', message.get(..64).unwrap_or(message))? + 1
        };
        Header::of(message).or_else(|| Header::of(message.get(inner..)?))
    }
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
    fn a_wrapped_header_is_found() {
        for line in [
            &b"E1121 03:07:12.123456     974 kubelet.go:2400] x"[..],
            b"kubelet E1121 03:07:12.123456     974 kubelet.go:2400] x",
            b"time=\"2026-11-21 03:07:12\" level=info msg=\"E1121 03:07:12.123456     974 kubelet.go:2400] x\" component=kubelet",
        ] {
            assert_eq!(Header::within(line).unwrap().severity, Severity::Error);
        }
        for line in [&b""[..], b"two words E1121 03:07:12.123456 1 a.go:1] x", b"time=\"x\" level=info"] {
            assert_eq!(Header::within(line), None);
        }
    }

    #[test]
    fn near_misses_are_none() {
        for line in
            [&b"X1121 03:07:12.123456 1 a.go:1] x"[..], b"I1121 03:07:12.12345", b"I1121_03:07:12.123456 1 ", b"I", b""]
        {
            assert_eq!(Header::of(line), None);
        }
    }
}
