//! Entries as text: byte for byte what `journalctl -q -o short-precise --utc` prints.

use std::io::Write;

use super::Entry;

/// A header field this long is not shown, in bytes.
const LONG: usize = 300;

/// Appends an entry's lines, each with its line end; nothing for an entry without a message.
///
/// The date is in UTC and has no year: `Nov 14 22:13:20.262058 HOST IDENTIFIER[PID]: MESSAGE`.
pub fn short_precise(entry: &Entry, to: &mut Vec<u8>) {
    let Some(message) = entry.message() else { return };
    let message = plain(message);
    let start = to.len();
    write_time(entry.shown_time(), to);
    let shown = |name: &[u8]| entry.field(name).filter(|value| value.len() < LONG && is_printable(value));
    if let Some(host) = shown(b"_HOSTNAME") {
        to.push(b' ');
        to.extend_from_slice(host);
    }
    let mut uncounted = 0;
    to.push(b' ');
    match shown(b"SYSLOG_IDENTIFIER").or_else(|| shown(b"_COMM")) {
        Some(name) => to.extend_from_slice(name),
        None => {
            to.extend_from_slice(b"unknown");
            // It does not indent the lines that follow.
            uncounted = " unknown".len();
        }
    }
    if let Some(pid) = shown(b"_PID").or_else(|| shown(b"SYSLOG_PID")) {
        to.push(b'[');
        to.extend_from_slice(pid);
        to.push(b']');
    }
    to.extend_from_slice(b": ");
    let indent = to.len().saturating_sub(start).saturating_sub(uncounted);
    if !is_printable(&message) {
        to.push(b'[');
        write_size(message.len() as u64, to);
        to.extend_from_slice(b" blob data]\n");
        return;
    }
    let text = message.strip_suffix(b"\n").unwrap_or(&message);
    for (nth, line) in text.split(|byte| *byte == b'\n').enumerate() {
        if nth > 0 {
            to.resize(to.len().saturating_add(indent), b' ');
        }
        to.extend_from_slice(line);
        to.push(b'\n');
    }
}

/// A message without what would move a cursor or colour a terminal.
fn plain(message: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    if !message.iter().any(|byte| matches!(byte, b'\t' | b'\r' | 0x1b)) {
        return message.into();
    }
    let mut plain = Vec::with_capacity(message.len());
    let mut rest = message;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'\t' => plain.extend_from_slice(b"        "),
            0x1b => match sequence(after) {
                Some(len) => rest = after.get(len..).unwrap_or_default(),
                // What follows it is kept as it is, whatever it is.
                None => {
                    plain.push(0x1b);
                    if let Some((next, after)) = after.split_first() {
                        plain.push(*next);
                        rest = after;
                    }
                }
            },
            b'\r' => {
                let len = after.iter().take_while(|byte| **byte == b'\r').count();
                let behind = after.get(len..).unwrap_or_default();
                // Only those before a line's end are dropped.
                if !behind.is_empty() && !behind.starts_with(b"\n") {
                    plain.resize(plain.len().saturating_add(len).saturating_add(1), b'\r');
                }
                rest = behind;
            }
            _ => plain.push(*byte),
        }
    }
    plain.into()
}

/// How long the rest of a colour sequence (`[…m`) or system command (`]…` BEL) behind an escape is.
fn sequence(rest: &[u8]) -> Option<usize> {
    let (kind, rest) = rest.split_first()?;
    let (end, inner): (u8, fn(&u8) -> bool) = match kind {
        b'[' => (b'm', |byte| byte.is_ascii_digit() || matches!(byte, b';' | 0)),
        b']' => (0x07, |byte| (32..=126).contains(byte)),
        _ => return None,
    };
    let len = rest.iter().take_while(|byte| inner(byte)).count();
    (rest.get(len) == Some(&end)).then(|| len.saturating_add(2))
}

/// Whether it is UTF-8 without control characters (but tabs and line ends) and without code points that are none.
fn is_printable(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    text.chars().all(|c| match u32::from(c) {
        9 | 10 => true,
        0..32 | 0x7f..=0x9f | 0xfdd0..=0xfdef => false,
        code => code & 0xfffe != 0xfffe,
    })
}

/// A size in units of 1024, from the first of them on with one decimal, cut.
fn write_size(bytes: u64, to: &mut Vec<u8>) {
    let (mut unit, mut whole, mut tenths) = ("B", bytes, None);
    for larger in ["K", "M", "G", "T"] {
        if whole < 1024 {
            break;
        }
        (unit, whole, tenths) = (larger, whole / 1024, Some(whole.saturating_mul(10) / 1024 % 10));
    }
    let _ = match tenths {
        None => write!(to, "{whole}{unit}"),
        Some(tenths) => write!(to, "{whole}.{tenths}{unit}"),
    };
}

/// `Nov 14 22:13:20.262058` in UTC.
fn write_time(micros: u64, to: &mut Vec<u8>) {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = micros / 1_000_000;
    let (month, day) = month_and_day(seconds / 86_400);
    let name = MONTHS.get(month).copied().unwrap_or_default();
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let _ = write!(to, "{name} {day:02} {hour:02}:{minute:02}:{second:02}.{:06}", micros % 1_000_000);
}

/// The month (from 0) and day (from 1) so many days after 1 January 1970.
fn month_and_day(days: u64) -> (usize, u64) {
    // Days since 1 March 0000, as years that begin in March end with the leap day.
    let days = days.saturating_add(719_468);
    let of_era = days % 146_097;
    let year =
        of_era.saturating_sub(of_era / 1460).saturating_add(of_era / 36_524).saturating_sub(of_era / 146_096) / 365;
    let of_year = of_era.saturating_sub(year.saturating_mul(365).saturating_add(year / 4).saturating_sub(year / 100));
    let month = of_year.saturating_mul(5).saturating_add(2) / 153;
    let day = of_year.saturating_sub(month.saturating_mul(153).saturating_add(2) / 5).saturating_add(1);
    (usize::try_from(month.saturating_add(2) % 12).unwrap_or(0), day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut to = Vec::new();
        write(&mut to);
        String::from_utf8(to).unwrap()
    }

    #[test]
    fn times_of_leap_and_other_years() {
        for (seconds, text) in [
            (0, "Jan 01 00:00:00.000007"),
            (951_782_399, "Feb 28 23:59:59.000007"),
            (951_782_400, "Feb 29 00:00:00.000007"),
            (951_868_800, "Mar 01 00:00:00.000007"),
            (1_700_000_000, "Nov 14 22:13:20.000007"),
            (1_735_689_599, "Dec 31 23:59:59.000007"),
            (4_107_542_400, "Mar 01 00:00:00.000007"),
        ] {
            assert_eq!(printed(|to| write_time(seconds * 1_000_000 + 7, to)), text);
        }
    }

    #[test]
    fn sizes_are_cut_to_one_decimal() {
        for (bytes, text) in [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1.0K"),
            (1126, "1.0K"),
            (1127, "1.1K"),
            (4999, "4.8K"),
            (1 << 20, "1.0M"),
            ((1 << 20) + 104_857, "1.0M"),
            ((1 << 20) + 107_000, "1.1M"),
        ] {
            assert_eq!(printed(|to| write_size(bytes, to)), text);
        }
    }

    #[test]
    fn messages_lose_what_moves_the_cursor() {
        for (from, to) in [
            (&b"plain"[..], &b"plain"[..]),
            (b"a\tb", b"a        b"),
            (b"\x1b[1;31mred\x1b[0m", b"red"),
            (b"\x1b]8;;http://x\x07link", b"link"),
            (b"\x1b[2Jx", b"\x1b[2Jx"),
            (b"\x1b]8;\nx", b"\x1b]8;\nx"),
            (b"a\x1b", b"a\x1b"),
            (b"\x1b\tx", b"\x1b\tx"),
            (b"a\r\r\nb\rc\r", b"a\nb\rc"),
        ] {
            assert_eq!(plain(from).as_ref(), to, "{from:?}");
        }
    }

    #[test]
    fn only_sound_text_is_printable() {
        assert!(is_printable("ünïcödé ✓\t\n".as_bytes()));
        for text in [&b"\0"[..], b"\x1b", b"\x7f", b"\xff", b"\xc2\x80", "\u{fdd0}".as_bytes(), "\u{1ffff}".as_bytes()]
        {
            assert!(!is_printable(text), "{text:?}");
        }
    }
}
