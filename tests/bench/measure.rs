//! One process, measured: how long it took, its processor time, its peak memory.

use std::fs;
use std::io::{self, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use kubelet_logs::clock::Clock;
use wait4::Wait4;

/// How often a peak is read.
const PEAK_INTERVAL: Duration = Duration::from_millis(5);

/// Where a process writes to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sink {
    Null,
    /// To a reader that does nothing but read.
    Pipe,
}

/// What a process took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// From before it was started until it was gone.
    pub(crate) wall: Duration,
    /// In user and system mode, all its threads and children.
    pub(crate) cpu: Duration,
    /// In bytes; unknown where the system does not tell.
    pub(crate) peak: Option<u64>,
    /// What it wrote, where that was seen.
    pub(crate) bytes: Option<u64>,
}

/// Runs it and gives what it printed.
pub(crate) fn run_and_read(command: &mut Command) -> io::Result<(Run, Vec<u8>)> {
    let started = Clock::System.instant();
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut text = Vec::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_end(&mut text)?;
    }
    let cpu = end(child, command)?;
    let wall = Clock::System.instant().saturating_duration_since(started);
    Ok((Run { wall, cpu, peak: None, bytes: Some(text.len() as u64) }, text))
}

/// Runs it for its own sake.
pub(crate) fn run_into(command: &mut Command, sink: Sink) -> io::Result<Run> {
    let started = Clock::System.instant();
    command.stdout(match sink {
        Sink::Null => Stdio::null(),
        Sink::Pipe => Stdio::piped(),
    });
    let mut child = command.spawn()?;
    let (pid, stdout) = (child.id(), child.stdout.take());
    thread::scope(|scope| {
        let reader = stdout.map(|mut stdout| {
            scope.spawn(move || {
                let (mut buffer, mut bytes) = (vec![0; 64 << 10], 0);
                loop {
                    match stdout.read(&mut buffer)? {
                        0 => return Ok::<u64, io::Error>(bytes),
                        read => bytes += read as u64,
                    }
                }
            })
        });
        let (sender, ended) = mpsc::channel();
        let command = &*command;
        scope.spawn(move || {
            let cpu = end(child, command);
            let _ = sender.send((cpu, Clock::System.instant()));
        });
        let mut peak = None;
        let (cpu, gone) = loop {
            match ended.recv_timeout(PEAK_INTERVAL) {
                Ok(ended) => break ended,
                Err(RecvTimeoutError::Timeout) => peak = peak_so_far(pid).or(peak),
                Err(RecvTimeoutError::Disconnected) => return Err(io::Error::other("nobody waited for it")),
            }
        };
        let bytes = reader.map(|reader| reader.join().unwrap_or_else(|_| Err(io::Error::other("reading"))));
        Ok(Run { wall: gone.saturating_duration_since(started), cpu: cpu?, peak, bytes: bytes.transpose()? })
    })
}

/// The peak memory of a process that something holds up at its end.
pub(crate) fn peak_memory(command: &mut Command) -> io::Result<Option<u64>> {
    Ok(run_into(command, Sink::Pipe)?.peak)
}

/// Waits for a process that must succeed; gives its processor time.
fn end(child: Child, command: &Command) -> io::Result<Duration> {
    let ended = child.wait4()?;
    if !ended.status.success() {
        let program = command.get_program().to_string_lossy();
        return Err(io::Error::other(format!("{program} failed ({})", ended.status)));
    }
    Ok(ended.rusage.utime + ended.rusage.stime)
}

/// The most memory a process has held. Not `ru_maxrss`, which outlives exec: a process begins with the peak of the one that
/// started it (the whole simulated cluster here, in a child of fork and of vfork alike), and never shows less. `VmHWM`
/// belongs to the program alone, but is gone when the process is, so it is read on the way.
fn peak_so_far(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}
