//! One process, measured: how long it took, its processor time, its peak memory.

use std::fs;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
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

/// The argument that makes of this program one that runs the rest of its arguments and tells their peak.
pub(crate) const ALONE: &str = "--alone";

/// The peak memory of a process, however short its life and whatever its exit code, and what it wrote to stderr; an error if a
/// signal ended it. A small process starts it in this one's place: see [`peak_so_far`].
pub(crate) fn peak_alone(command: &Command) -> io::Result<(u64, String)> {
    let mut alone = Command::new(std::env::current_exe()?);
    alone.arg(ALONE).arg(command.get_program()).args(command.get_args()).env_clear().stdin(Stdio::null());
    alone.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let told = alone.output()?;
    let peak = String::from_utf8_lossy(&told.stdout).trim().parse();
    let said = String::from_utf8_lossy(&told.stderr).into_owned();
    peak.map(|peak| (peak, said))
        .map_err(|_| io::Error::other(format!("it was ended by a signal: {}", said_last(&told.stderr))))
}

fn said_last(stderr: &[u8]) -> String {
    String::from_utf8_lossy(stderr).lines().last().unwrap_or_default().to_owned()
}

/// What [`ALONE`] does: prints the peak in bytes, or nothing where there was no exit code.
pub(crate) fn report_peak(command: &[PathBuf]) -> ExitCode {
    let [program, args @ ..] = command else { return ExitCode::from(2) };
    let child = Command::new(program).args(args).stdout(Stdio::null()).spawn();
    match child.and_then(Wait4::wait4) {
        Ok(ended) if ended.status.code().is_some() => {
            let told = writeln!(io::stdout(), "{}", ended.rusage.maxrss);
            if told.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        _ => ExitCode::FAILURE,
    }
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
