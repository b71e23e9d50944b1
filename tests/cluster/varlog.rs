//! A /var/log as nodes have it: the kubelet's log and its rotations, syslog, odd names, a journal.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::journal::{Journal, Recording};
use super::zone::{Zone, from_micros, short_precise, touch};

/// How large `large.log` is: more than one window of anything.
pub(crate) const LARGE: u64 = 6 * 1024 * 1024;

const HOUR: i64 = 3_600_000_000;

/// A file to be: path below the root, content, and when it was last changed.
type Planned = (&'static str, Vec<u8>, i64);
/// The files of a journal and a zone.
type Plan = (Journal, String, Arc<Vec<Planned>>);

/// Fills an empty directory; returns the journal's machine id, if there is one on disk.
pub(crate) fn fill(root: &Path, journal: Journal, zone: &Zone) -> io::Result<Option<String>> {
    /// Many tests start many clusters, and what they hold is the same.
    static PLANS: Mutex<Vec<Plan>> = Mutex::new(Vec::new());
    let machine = journal.unpack(root)?;
    let known = |(of, name, plan): &Plan| (*of == journal && *name == zone.name).then(|| Arc::clone(plan));
    let plan = {
        let mut plans = PLANS.lock().expect("no panic while planning");
        plans.iter().find_map(known).map_or_else(
            || {
                let plan = plan(journal.recording(), zone).map(Arc::new)?;
                plans.push((journal, zone.name.clone(), Arc::clone(&plan)));
                io::Result::Ok(plan)
            },
            Ok,
        )?
    };
    for name in ["audit", "pods/kube-system_talker_0/talker", "chrony", "containers", "empty"] {
        fs::create_dir_all(root.join(name))?;
    }
    for (name, content, micros) in plan.iter() {
        write(root, name, content, *micros)?;
    }
    Ok(machine)
}

fn plan(recording: &Recording, zone: &Zone) -> io::Result<Vec<Planned>> {
    // What the kubelet wrote by itself: klog in the node's time, and only that.
    let (now, end) = klog(recording, zone, 0);
    let (before, before_end) = klog(recording, zone, -HOUR);
    let (yesterday, yesterday_end) = klog(recording, zone, -24 * HOUR);
    let mut plan = vec![
        ("kubelet.log", now, end),
        ("kubelet.log.1", before, before_end),
        ("kubelet.log-20231113.gz", gzip(&yesterday)?, yesterday_end),
        ("messages", syslog(recording, zone, |_| true), end),
        ("containerd.log", syslog(recording, zone, |name| name == "containerd"), end),
        ("large.log", large(), end),
    ];
    for (name, text) in [
        ("name with space & <angle>.log", "odd name\n"),
        ("café-100%.log", "utf-8 name\n"),
        ("quote\"s and 'single'.log", "quotes\n"),
        ("plus+semi;colon:.log", "punctuation\n"),
        ("empty.log", ""),
        ("no-newline.log", "the last line has no end"),
        ("audit/audit.log", "type=SYSCALL msg=audit(1700000000.123:456): arch=c000003e syscall=59 success=yes\n"),
        ("pods/kube-system_talker_0/talker/0.log", "2023-11-14T22:13:20.000000000Z stdout F line 0 of talker\n"),
        ("chrony/measurements.log", "2023-11-14 22:13:20 192.0.2.1 N\n"),
    ] {
        plan.push((name, text.as_bytes().to_vec(), end));
    }
    Ok(plan)
}

/// Writes a file whose last change was at `micros`.
pub(crate) fn write(directory: &Path, name: &str, content: &[u8], micros: i64) -> io::Result<()> {
    let path = directory.join(name);
    fs::write(&path, content)?;
    touch(&path, from_micros(micros))
}

/// The kubelet's own lines, moved by `shift` and into the node's time, and the instant of the last.
fn klog(recording: &Recording, zone: &Zone, shift: i64) -> (Vec<u8>, i64) {
    let shifted = Zone::new(&format!("X{}", -shift / HOUR));
    let mut out = Vec::new();
    let mut last = 0;
    for entry in &recording.entries {
        let message = entry.message();
        let from_kubelet = entry.text.get(..120).unwrap_or(&entry.text).contains(" kubelet[");
        let header = message.len() > 30 && b"IWEF".contains(&message.as_bytes()[0]) && message.as_bytes()[5] == b' ';
        // Entries without a header are continuation lines in a file: kept where they have one to continue.
        if !from_kubelet || !(header || (!out.is_empty() && message.contains('\n'))) {
            continue;
        }
        for line in message.split_inclusive('\n') {
            let moved = shifted.localize(line.as_bytes()).unwrap_or_else(|| line.as_bytes().to_vec());
            out.extend_from_slice(&zone.localize(&moved).unwrap_or(moved));
        }
        if out.last() != Some(&b'\n') {
            out.push(b'\n');
        }
        if header {
            last = entry.realtime + shift;
        }
    }
    (out, last)
}

/// Syslog lines (`Nov 14 17:13:20 host name[pid]: text`) of the identifiers that fit, in the node's time.
fn syslog(recording: &Recording, zone: &Zone, fits: impl Fn(&str) -> bool) -> Vec<u8> {
    let mut out = String::new();
    for entry in &recording.entries {
        let Some(micros) = entry.text.get(..22).and_then(short_precise) else { continue };
        let mut fields = entry.text.get(23..).unwrap_or_default().splitn(3, ' ');
        let (Some(host), Some(tag)) = (fields.next(), fields.next()) else { continue };
        if !fits(tag.split(['[', ':']).next().unwrap_or_default()) {
            continue;
        }
        let seconds = micros.div_euclid(1_000_000);
        let local = super::zone::Civil::from_seconds(seconds + zone.offset(seconds));
        let message = String::from_utf8_lossy(
            &zone.localize(entry.message().as_bytes()).unwrap_or_else(|| entry.message().into()),
        )
        .into_owned();
        // rsyslog writes control characters as #ooo and keeps one line an entry.
        let escaped: String = message
            .chars()
            .map(|c| if c.is_control() { format!("#{:03o}", c as u32) } else { c.to_string() })
            .collect();
        let host = host.split('.').next().unwrap_or(host);
        out.push_str(&format!(
            "{} {:2} {:02}:{:02}:{:02} {host} {tag} {escaped}\n",
            super::zone::month(local.month),
            local.day,
            local.hour,
            local.minute,
            local.second
        ));
    }
    out.into_bytes()
}

/// Lines that say where they are.
fn large() -> Vec<u8> {
    let mut out = Vec::with_capacity(LARGE as usize);
    let mut number = 0_u64;
    while out.len() < LARGE as usize {
        let line = format!(
            "I1114 22:13:20.{:06}    1203 large.go:1] \"A line of a large file\" number={number}\n",
            number % 1_000_000
        );
        out.extend_from_slice(line.as_bytes());
        number += 1;
    }
    out
}

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}
