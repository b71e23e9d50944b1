//! Messages and fields of all kinds, as text.

use std::io::Write;

use kubelet_logs::journal::{Matches, Query};

use super::driver::read;
use super::generate::{START, Variant, written};
use super::mutate::Random;
use super::oracle::{assert_text, journalctl};

/// Pieces that text is made of here: what terminals, encodings and journalctl treat in a way of their own.
const PIECES: [&[u8]; 40] = [
    b"plain",
    b" ",
    b"x",
    b"\t",
    b"\n",
    b"\n\n",
    b"\r",
    b"\r\n",
    b"\r\r",
    b"\x1b",
    b"\x1b[1;31m",
    b"\x1b[0m",
    b"\x1b[",
    b"\x1b[31",
    b"\x1b[2J",
    b"\x1b]8;;http://x\x07",
    b"\x1b]0;title",
    b"\x07",
    b"\0",
    b"\x01",
    b"\x7f",
    b"\xff",
    b"\xc3",
    b"\xc2\x80",
    b"\xc2\xa0",
    b"\xe2\x9c\x93",
    b"\xf0\x9f\x90\xb3",
    b"\xed\xa0\x80",
    b"\xef\xb7\x90",
    b"\xef\xbf\xbf",
    b"\xc0\x80",
    b"\xf4\x90\x80\x80",
    b"=",
    b"\"",
    b"m",
    b"[",
    b";",
    b"7",
    b"\\",
    b"kubelet",
];

fn odd(random: &mut Random, most: u64) -> Vec<u8> {
    let mut text = Vec::new();
    // Often little that is odd, so that not all of it is a blob.
    let tame = random.below(3) > 0;
    for _ in 0..random.below(most) {
        let piece = if tame && random.below(6) > 0 { random.below(3) } else { random.below(PIECES.len() as u64) };
        text.extend_from_slice(PIECES[piece as usize]);
    }
    text
}

/// A number as no writer writes it, but journalctl may read it.
fn number(random: &mut Random, number: u64) -> String {
    let mut pick = |from: &[&str]| from[random.below(from.len() as u64) as usize].to_owned();
    let before = pick(&["", "", " ", "\t\n", "+", "-", " +", "\x0b", "++"]);
    let prefix = pick(&["", "0", "0x", "0X", "0b", "0B", "0o", "0O"]);
    let digits = match pick(&[prefix.as_str(), prefix.as_str(), prefix.as_str(), "0x"]).to_lowercase().as_str() {
        "0x" => format!("{number:x}"),
        "0b" => format!("{number:b}"),
        "0" | "0o" => format!("{number:o}"),
        _ => number.to_string(),
    };
    format!(
        "{before}{prefix}{}{digits}{}",
        pick(&["", "", "", "", "+", " ", "0"]),
        pick(&["", "", "", "", "", " ", "\0", "\0x", "x"])
    )
}

fn write_odd(to: &mut dyn Write) {
    let mut random = Random(23);
    for nth in 0..4000_u64 {
        let mut field = |name: &str, value: &[u8]| {
            to.write_all(name.as_bytes()).expect("as made");
            to.write_all(b"\n").expect("as made");
            to.write_all(&(value.len() as u64).to_le_bytes()).expect("as made");
            to.write_all(value).expect("as made");
            to.write_all(b"\n").expect("as made");
        };
        let mut maybe = |random: &mut Random, name: &str| {
            for _ in 0..[0, 1, 1, 1, 1, 1, 1, 2][random.below(8) as usize] {
                let value = match random.below(12) {
                    0 => odd(random, 6),
                    1 => vec![b'l'; 298 + random.below(4) as usize],
                    _ => format!("{}-{}", name.to_lowercase(), random.below(5)).into_bytes(),
                };
                field(name, &value);
            }
        };
        for name in ["_HOSTNAME", "SYSLOG_IDENTIFIER", "_COMM", "_PID", "SYSLOG_PID"] {
            maybe(&mut random, name);
        }
        for _ in 0..random.below(8) / 5 {
            let value = match random.below(5) {
                0 => odd(&mut random, 3),
                4 => number(&mut random, START + nth * 1000 - 23).into_bytes(),
                1 => b"0".to_vec(),
                2 => b"99999999999999999999".to_vec(),
                _ => (START + nth * 1000 - random.below(5000)).to_string().into_bytes(),
            };
            field("_SOURCE_REALTIME_TIMESTAMP", &value);
        }
        match random.below(20) {
            0 => {}
            1 => field("MESSAGE", b""),
            2 => field("MESSAGE", &odd(&mut random, 4000)),
            3 => field("MESSAGE", &vec![b'z'; random.below(20_000) as usize]),
            _ => field("MESSAGE", &odd(&mut random, 30)),
        }
        writeln!(to, "__REALTIME_TIMESTAMP={}", START + nth * 1000).expect("as made");
        writeln!(
            to,
            "__MONOTONIC_TIMESTAMP={}\n_BOOT_ID=db5b5fab8f4d3e27dda1494c73cf256d\nN={nth}\n",
            5000 + nth * 1000
        )
        .expect("as made");
    }
}

#[test]
fn odd_entries_look_as_journalctl_shows_them() {
    for variant in [Variant { compact: true, keyed: true }, Variant { compact: false, keyed: false }] {
        let scratch = tempfile::tempdir().expect("as made");
        let folder = scratch.path().join("journal");
        let Some(files) = written(&folder, variant, write_odd) else {
            println!("skipped: no systemd-journal-remote on this machine");
            return;
        };
        let Some(printed) = journalctl(&folder, &[]) else {
            println!("skipped: no journalctl on this machine");
            return;
        };
        let run = read(&files, Query::default());
        assert_eq!(run.entries.len(), 4000);
        assert_text(&run, &printed, &format!("{variant:?}"));
        assert_text(&read(&files, Query::tail(Matches::all(), 4000)), &printed, &format!("{variant:?}, from the end"));
    }
}
