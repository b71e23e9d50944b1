//! A day of a node's journal, written by systemd-journal-remote where it is installed.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::driver::Files;
use super::mutate::Random;

/// How the files are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variant {
    pub(crate) compact: bool,
    pub(crate) keyed: bool,
}

/// 14 November 2023, 22:13:20 UTC, in µs.
pub(crate) const START: u64 = 1_700_000_000_000_000;
pub(crate) const DAY: u64 = 86_400_000_000;
/// 1 % of the entries.
pub(crate) const RARE: &str = "kube-proxy.service";

const BOOT: &str = "db5b5fab8f4d3e27dda1494c73cf256d";

/// The day's journal in a folder; `None` where nothing here writes journals. Files that are there already are taken as they
/// are.
pub(crate) fn day(folder: &Path, entries: u64, variant: Variant) -> Option<Files> {
    written(folder, variant, |to| write_day(to, entries))
}

/// A journal of entries in the export format.
pub(crate) fn written(folder: &Path, variant: Variant, write: impl Fn(&mut dyn Write)) -> Option<Files> {
    let writer = ["/usr/lib/systemd/systemd-journal-remote", "/lib/systemd/systemd-journal-remote"];
    let writer = writer.into_iter().find(|path| Path::new(path).exists())?;
    let flag = |on: bool| if on { "1" } else { "0" };
    if !folder.exists() {
        std::fs::create_dir_all(folder).expect("as made");
        let mut child = Command::new(writer)
            .arg(format!("--output={}", folder.join("system.journal").display()))
            .arg("-")
            .env("SYSTEMD_JOURNAL_COMPACT", flag(variant.compact))
            .env("SYSTEMD_JOURNAL_KEYED_HASH", flag(variant.keyed))
            .env("SYSTEMD_LOG_LEVEL", "warning")
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut pipe = BufWriter::new(child.stdin.take().expect("as made"));
        write(&mut pipe);
        pipe.flush().expect("as made");
        drop(pipe);
        assert!(child.wait().expect("as made").success());
    }
    let mut files: Files = std::fs::read_dir(folder)
        .expect("as made")
        .map(|entry| entry.expect("as made").path())
        .map(|path| {
            (
                path.file_name().expect("as made").to_string_lossy().into_owned(),
                Arc::new(std::fs::read(&path).expect("as made")),
            )
        })
        .collect();
    files.sort();
    Some(files)
}

/// The entries in the export format: 30 % kubelet, 1 % of a rare unit, the rest of many.
fn write_day(to: &mut dyn Write, entries: u64) {
    let mut random = Random(7);
    for nth in 0..entries {
        let at = START + DAY / entries * nth + random.below(DAY / entries);
        let of = random.below(100);
        let (unit, name, pid) = match of {
            0..30 => ("kubelet.service".to_owned(), "kubelet", 1203),
            30 => (RARE.to_owned(), "kube-proxy", 2001),
            31..55 => ("containerd.service".to_owned(), "containerd", 900),
            55..60 => ("init.scope".to_owned(), "systemd", 1),
            60..65 => (format!("session-{}.scope", random.below(300)), "sshd", 4000 + random.below(3000)),
            _ => (format!("svc-{}.service", of % 25), "svc", 500 + of),
        };
        let tag = random.next();
        let message = match name {
            "kubelet" => format!(
                "I1114 {:02}:{:02}:{:02}.{:06} 1203 reconciler_common.go:{}] \"operationExecutor.VerifyControllerAttachedVolume \
                 started for volume \\\"kube-api-access-{:x}\\\" (UniqueName: \\\"kubernetes.io/projected/{tag:x}-kube-api-access\\\") \
                 pod \\\"web-{:x}-{}\\\"\" pod=\"prod/web-{:x}\"",
                at / 3_600_000_000 % 24,
                at / 60_000_000 % 60,
                at / 1_000_000 % 60,
                at % 1_000_000,
                tag % 400,
                tag % 99_991,
                tag % 65_521,
                nth,
                tag % 4093
            ),
            "systemd" => format!("Started Session {} of User core.", random.below(3000)),
            _ => format!("level=info msg=\"event {:x} handled\" took={}ms n={}", tag % 100_003, tag % 900, tag % 7919),
        };
        let mut line = |name: &str, value: &str| writeln!(to, "{name}={value}").expect("as made");
        line("__REALTIME_TIMESTAMP", &at.to_string());
        line("__MONOTONIC_TIMESTAMP", &(at - START + 5_000_000).to_string());
        line("_BOOT_ID", BOOT);
        line("PRIORITY", if tag.is_multiple_of(50) { "3" } else { "6" });
        line("SYSLOG_IDENTIFIER", name);
        line("_TRANSPORT", if pid == 1 { "journal" } else { "stdout" });
        line("_MACHINE_ID", "0123456789abcdef0123456789abcdef");
        line("_HOSTNAME", "node-7.example.internal");
        line("_UID", "0");
        line("_GID", "0");
        line("_PID", &pid.to_string());
        line("_COMM", name);
        line("_EXE", &format!("/usr/bin/{name}"));
        line("_CMDLINE", &format!("/usr/bin/{name} --config=/etc/{name}.yaml"));
        line("_CAP_EFFECTIVE", "1ffffffffff");
        line("_SELINUX_CONTEXT", "unconfined");
        line("_SYSTEMD_CGROUP", &format!("/system.slice/{unit}"));
        line("_SYSTEMD_UNIT", &unit);
        line("_SYSTEMD_SLICE", "system.slice");
        line("SYSLOG_FACILITY", "3");
        match pid {
            1 => {
                line("UNIT", if tag.is_multiple_of(20) { "kubelet.service" } else { "user@0.service" });
                line("_SOURCE_REALTIME_TIMESTAMP", &(at - 40).to_string());
                line("CODE_FILE", "src/core/job.c");
            }
            _ => {
                line("_STREAM_ID", &format!("309d6b79965eda32dae4455082{:06x}", pid));
                line("_SYSTEMD_INVOCATION_ID", &format!("73ab48767734d7c1c7fde805ec{:06x}", pid));
            }
        }
        line("MESSAGE", &message);
        writeln!(to).expect("as made");
    }
}
