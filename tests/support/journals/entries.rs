//! What a node's journal holds over a day, as an export-format stream: the same for the same seed.
//!
//! Units, fields and lengths of messages are those of real nodes' journals; one entry in a hundred is of a rare unit.

use std::io::{self, Write};

/// Microseconds since 1970 of 2023-11-14 00:00:00 UTC.
pub(crate) const MIDNIGHT: i64 = 1_699_920_000_000_000;
/// A day in microseconds.
pub(crate) const DAY: i64 = 86_400_000_000;

/// Who writes: name, how many of a thousand entries, and the way to journald.
const UNITS: [(&str, u64, &str); 12] = [
    (KUBELET, 300, "stdout"),
    (RARE, 10, "stdout"),
    ("containerd", 240, "stdout"),
    ("kernel", 60, "kernel"),
    ("systemd", 70, "journal"),
    ("sshd", 80, "syslog"),
    ("cron", 60, "syslog"),
    ("systemd-networkd", 40, "journal"),
    ("node-exporter", 50, "stdout"),
    ("calico-node", 40, "stdout"),
    ("dbus", 30, "syslog"),
    ("chronyd", 20, "syslog"),
];

/// The unit that writes most.
pub(crate) const KUBELET: &str = "kubelet";
/// The unit that writes one entry in a hundred.
pub(crate) const RARE: &str = "smartd";

/// Lengths of a kubelet's messages, measured over 13,878 lines of 1.36: percentile, bytes.
const LENGTHS: [(u64, u64); 8] =
    [(0, 60), (10, 80), (25, 115), (50, 166), (75, 232), (90, 345), (99, 352), (100, 1448)];

const SENTENCES: [(&str, &str); 10] = [
    ("kubelet.go:2457", "SyncLoop (PLEG): event for pod"),
    ("kubelet.go:2400", "SyncLoop UPDATE"),
    ("handler.go:325", "Added event"),
    ("reconciler_common.go:208", "operationExecutor.VerifyControllerAttachedVolume started for volume"),
    ("manager.go:1052", "Destroyed container"),
    ("watcher.go:95", "Error while processing event"),
    ("prober.go:107", "Probe failed"),
    ("pod_workers.go:1298", "Error syncing pod, skipping"),
    ("flags.go:64", "FLAG"),
    ("kubelet_node_status.go:736", "Recording event message for node"),
];

/// What long messages are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filling {
    Compressible,
    Incompressible,
    /// Not what the message is made of, but a field of its own, which nobody prints.
    Aside,
}

/// A stream of entries.
#[derive(Clone, Debug)]
pub(crate) struct Entries {
    random: Random,
    /// Time of the next entry, and how far apart entries are on average, in microseconds.
    at: i64,
    step: i64,
    number: u64,
    /// The numbers of the entries with which a new boot, and a new run of the kubelet, begins.
    boot_at: u64,
    restart_every: u64,
    /// What does not change from entry to entry, by unit and run.
    unchanging: Vec<(usize, u64, Vec<u8>)>,
    message: Vec<u8>,
}

impl Entries {
    /// So many over a day: two boots, and five runs of the kubelet.
    pub(crate) fn over_a_day(seed: u64, count: u64) -> Entries {
        let step = DAY / i64::try_from(count.max(1)).expect("fewer entries than that");
        Entries::new(seed, MIDNIGHT, step, count * 2 / 5, count / 5)
    }

    /// Without an end: one each `step` microseconds on average.
    pub(crate) fn from(seed: u64, at: i64, step: i64) -> Entries {
        Entries::new(seed, at, step, u64::MAX, u64::MAX)
    }

    fn new(seed: u64, at: i64, step: i64, boot_at: u64, restart_every: u64) -> Entries {
        let random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let (restart_every, unchanging, message) = (restart_every.max(1), Vec::new(), Vec::new());
        Entries { random, at, step: step.max(2), number: 0, boot_at, restart_every, unchanging, message }
    }

    /// How many have been written.
    pub(crate) fn written(&self) -> u64 {
        self.number
    }

    /// Time of the last one written, in microseconds since 1970, at the latest.
    pub(crate) fn now(&self) -> i64 {
        self.at
    }

    /// Writes the next so many.
    pub(crate) fn write(&mut self, count: u64, out: &mut dyn Write) -> io::Result<()> {
        for _ in 0..count {
            self.entry(None, out)?;
        }
        Ok(())
    }

    /// Writes one of the kubelet's with so many bytes.
    pub(crate) fn write_long(&mut self, length: usize, filling: Filling, out: &mut dyn Write) -> io::Result<()> {
        self.entry(Some((length, filling)), out)
    }

    fn entry(&mut self, long: Option<(usize, Filling)>, out: &mut dyn Write) -> io::Result<()> {
        let number = self.number;
        self.number += 1;
        self.at += 1 + self.random.below(2 * self.step as u64 - 1) as i64;
        let at = self.at;
        let unit = if long.is_some() { 0 } else { self.unit() };
        let boot = u64::from(number >= self.boot_at);
        let run = if self.restart_every == u64::MAX { boot } else { number / self.restart_every };
        let (name, _, transport) = UNITS[unit];
        let monotonic = at - MIDNIGHT + 20_000_000 - if boot > 0 { 3_000_000 } else { 0 };
        writeln!(out, "__REALTIME_TIMESTAMP={at}\n__MONOTONIC_TIMESTAMP={monotonic}")?;
        writeln!(out, "_BOOT_ID={:032x}", 0xb007_0000_0000_0000_0000_0000_0000_0001_u128 + u128::from(boot))?;
        out.write_all(self.unchanging(unit, run))?;
        let severity = match self.random.below(100) {
            0..4 => b'E',
            4..10 => b'W',
            _ => b'I',
        };
        let priority = match severity {
            b'E' => 3,
            b'W' => 4,
            _ => 6,
        };
        writeln!(out, "PRIORITY={priority}")?;
        match transport {
            "kernel" => writeln!(out, "_SOURCE_MONOTONIC_TIMESTAMP={}", monotonic - 11)?,
            "syslog" => writeln!(out, "SYSLOG_TIMESTAMP={}\n_SOURCE_REALTIME_TIMESTAMP={}", syslog(at), at - 23)?,
            "journal" => writeln!(out, "_SOURCE_REALTIME_TIMESTAMP={}", at - 41)?,
            _ => {}
        }
        if name == "systemd" {
            let about = UNITS[self.random.below(UNITS.len() as u64) as usize].0;
            writeln!(out, "UNIT={about}.service\nINVOCATION_ID={:032x}", invocation(about, run))?;
        }
        self.message(unit, severity, at, long);
        match self.random.below(5000) {
            // An entry without a message.
            0 if long.is_none() => {}
            1..4 if long.is_none() => binary(out, "MESSAGE", &[&self.message[..20], b"\xff\x00\x1b[1m\x07"].concat())?,
            4..9 => {
                binary(out, "MESSAGE", &[&self.message[..], b"\n\tgoroutine 1 [running]:\n\n\tmain.go:7"].concat())?
            }
            _ => {
                out.write_all(b"MESSAGE=")?;
                out.write_all(&self.message)?;
                out.write_all(b"\n")?;
            }
        }
        if let Some((length, Filling::Aside)) = long {
            let value: Vec<u8> = (0..length).map(|_| b'!' + self.random.below(94) as u8).collect();
            out.write_all(&[b"DUMP=", &value[..], b"\n"].concat())?;
        }
        out.write_all(b"\n")
    }

    fn unit(&mut self) -> usize {
        let mut drawn = self.random.below(1000);
        for (nth, (_, share, _)) in UNITS.iter().enumerate() {
            if drawn < *share {
                return nth;
            }
            drawn -= share;
        }
        0
    }

    fn unchanging(&mut self, unit: usize, run: u64) -> &[u8] {
        let known = self.unchanging.iter().position(|(of, when, _)| (*of, *when) == (unit, run));
        let nth = known.unwrap_or_else(|| {
            self.unchanging.push((unit, run, unchanging(unit, run)));
            self.unchanging.len() - 1
        });
        &self.unchanging[nth].2
    }

    /// Puts a message together.
    fn message(&mut self, unit: usize, severity: u8, at: i64, long: Option<(usize, Filling)>) {
        let (name, random) = (UNITS[unit].0, &mut self.random);
        let mut text = std::mem::take(&mut self.message);
        text.clear();
        let out = &mut text;
        let drawn = random.below(1 << 16);
        // Writing to memory does not fail.
        let _ = match name {
            // These say the same again and again.
            "kernel" => write!(
                out,
                "IPv{}: ADDRCONF(NETDEV_CHANGE): cali{:x}: link becomes ready",
                drawn % 2 * 2 + 4,
                drawn % 97
            ),
            "systemd" => write!(out, "Started {}.service.", UNITS[drawn as usize % UNITS.len()].0),
            "cron" => write!(out, "pam_unix(cron:session): session opened for user root(uid=0) by (uid={})", drawn % 3),
            "dbus" => write!(out, "[system] Successfully activated service 'org.freedesktop.hostname{}'", drawn % 5),
            "sshd" => {
                write!(out, "Accepted publickey for ops from 10.{}.{}.58 port {drawn} ssh2", drawn % 200, drawn % 7)
            }
            "containerd" => {
                write!(
                    out,
                    "time=\"{}\" level=info msg=\"container event\" id={}",
                    klog(at - 77),
                    Hex(random.next(), 8)
                )
            }
            _ => {
                let (place, sentence) = SENTENCES[drawn as usize % SENTENCES.len()];
                write!(out, "{}{}    1203 {place}] \"{sentence}\"", char::from(severity), klog(at - 60))
            }
        };
        let wanted = match long {
            Some((length, filling)) if filling != Filling::Aside => length,
            Some(_) => 100,
            None if matches!(name, "kernel" | "systemd" | "cron" | "dbus" | "sshd") => 0,
            None if random.below(2000) == 0 => 2000 + random.below(7000) as usize,
            None => length(random.below(1 << 20)),
        };
        if let Some((_, filling)) = long.filter(|(_, filling)| *filling != Filling::Aside) {
            while text.len() < wanted {
                text.push(match filling {
                    Filling::Compressible => b'=',
                    Filling::Incompressible | Filling::Aside => b'!' + random.below(94) as u8,
                });
            }
        }
        while text.len() < wanted {
            let (pod, id) = (random.below(900), random.next());
            let _ = match wanted - text.len() {
                0..24 => write!(text, " n={}", id % 1000),
                24..80 => write!(text, " pod=\"default/web-{pod}\""),
                80..400 => write!(text, " containerID={{\"Type\":\"containerd\",\"ID\":\"{}\"}}", Hex(id, 32)),
                _ => write!(text, " event={{\"object\":\"kube-system/daemon-{pod}\",\"uid\":\"{}\"}}", Hex(id, 40)),
            };
        }
        self.message = text;
    }
}

/// The fields journald adds by itself, and those a service always gives.
fn unchanging(unit: usize, run: u64) -> Vec<u8> {
    let (name, _, transport) = UNITS[unit];
    let mut fields = format!(
        "_MACHINE_ID=0123456789abcdef0123456789abcdef\n_HOSTNAME=node-7.example.internal\n_TRANSPORT={transport}\nSYSLOG_IDENTIFIER={name}\n"
    );
    if transport == "kernel" {
        fields.push_str("SYSLOG_FACILITY=0\n");
        return fields.into_bytes();
    }
    let (pid, cgroup) = match name {
        "systemd" => (1, "/init.scope".to_owned()),
        _ => (800 + 97 * unit as u64 + 1000 * run, format!("/system.slice/{name}.service")),
    };
    fields.push_str(&format!(
        "SYSLOG_FACILITY=3\n_PID={pid}\n_UID=0\n_GID=0\n_COMM={name}\n_EXE=/usr/bin/{name}\n_CMDLINE=/usr/bin/{name} --config=/etc/{name}/config.yaml\n_CAP_EFFECTIVE=1ffffffffff\n_SELINUX_CONTEXT=unconfined\n_SYSTEMD_CGROUP={cgroup}\n"
    ));
    match name {
        "systemd" => fields.push_str(
            "_SYSTEMD_UNIT=init.scope\n_SYSTEMD_SLICE=-.slice\nMESSAGE_ID=39f53479d3a045ac8e11786248231fbf\nCODE_FILE=src/core/job.c\nCODE_LINE=822\nCODE_FUNC=job_emit_done_message\nJOB_TYPE=start\nJOB_RESULT=done\n",
        ),
        _ => fields.push_str(&format!(
            "_SYSTEMD_UNIT={name}.service\n_SYSTEMD_SLICE=system.slice\n_SYSTEMD_INVOCATION_ID={:032x}\n",
            invocation(name, run)
        )),
    }
    if transport == "stdout" {
        fields.push_str(&format!("_STREAM_ID={:032x}\n", invocation(name, run) ^ 0x5757));
    }
    fields.into_bytes()
}

/// The id of a unit's nth run.
pub(crate) fn invocation(unit: &str, run: u64) -> u128 {
    unit.bytes().fold(u128::from(run) + 1, |id, byte| {
        id.wrapping_mul(0x0100_0000_01b3_0000_0000_0159).wrapping_add(byte.into())
    })
}

fn binary(out: &mut dyn Write, name: &str, bytes: &[u8]) -> io::Result<()> {
    writeln!(out, "{name}")?;
    out.write_all(&(bytes.len() as u64).to_le_bytes())?;
    out.write_all(bytes)?;
    out.write_all(b"\n")
}

/// A length by its place among 2^20.
fn length(drawn: u64) -> usize {
    let place = drawn * 100;
    let next = LENGTHS.iter().position(|(percent, _)| place < percent << 20).unwrap_or(LENGTHS.len() - 1).max(1);
    let ((from, low), (to, high)) = (LENGTHS[next - 1], LENGTHS[next]);
    (low + (high - low) * (place - (from << 20)) / ((to - from) << 20)) as usize
}

/// `1114 22:13:20.123456`, of any day in November 2023.
fn klog(at: i64) -> String {
    let (day, micros) = ((at - MIDNIGHT).div_euclid(DAY) + 14, (at - MIDNIGHT).rem_euclid(DAY));
    let seconds = micros / 1_000_000;
    format!("11{day:02} {:02}:{:02}:{:02}.{:06}", seconds / 3600, seconds / 60 % 60, seconds % 60, micros % 1_000_000)
}

/// `Nov 14 22:13:20`.
fn syslog(at: i64) -> String {
    let klog = klog(at);
    format!("Nov {} {}", &klog[2..4], &klog[5..13])
}

/// A number in so many hexadecimal digits, repeated.
struct Hex(u64, usize);

impl std::fmt::Display for Hex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = format!("{:016x}", self.0);
        (0..self.1).try_for_each(|nth| f.write_str(&digits[nth % 16..=nth % 16]))
    }
}

/// Numbers that look random, the same for the same seed (xorshift64).
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
}
