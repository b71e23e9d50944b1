//! Between the program and whoever reads it: slow readers, closed pipes, full disks, signals, terminals, memory.

use std::ffi::OsString;
use std::io::{PipeReader, Read, Write, pipe};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use kubelet_logs::Io;
use kubelet_logs::auth::Stdin;
use kubelet_logs::clock::Clock;
use kubelet_logs::config::Env;
use kubelet_logs::interrupt::{Closing, Interrupt};
use kubelet_logs::time::Timestamp;
use tokio::net::unix;

use crate::cluster::zone::Civil;
use crate::cluster::{Cluster, Fault, Mode, Node, Reader, Setup, Step, User, What};
use crate::support::{program, run};

const MEGABYTE: usize = 1 << 20;

/// A megabyte of a kubelet's log, in whole lines.
fn megabyte() -> &'static Bytes {
    static TEXT: OnceLock<Bytes> = OnceLock::new();
    TEXT.get_or_init(|| {
        let mut text = String::with_capacity(MEGABYTE);
        for number in 0.. {
            let line = format!(
                "Nov 14 22:{:02}:{:02}.000001 node-7 kubelet[1203]: I1114 22:13:20.000001    1203 x.go:1] \"A line\" number={number}\n",
                number / 600 % 60,
                number / 10 % 60
            );
            if text.len() + line.len() > MEGABYTE {
                break;
            }
            text.push_str(&line);
        }
        Bytes::from(text)
    })
}

/// A journalctl with 64 of them.
fn large(args: &[String]) -> Vec<Step> {
    if args[0] == "--field" {
        return vec![Step::Print("kubelet.service\n".into())];
    }
    vec![Step::Print(megabyte().clone()); 64]
}

/// One that prints a little and then looks for more.
fn lingering(args: &[String]) -> Vec<Step> {
    if args[0] == "--field" {
        return vec![Step::Print("kubelet.service\n".into())];
    }
    vec![Step::Print(megabyte().slice(..3_000)), Step::Hang]
}

fn cluster() -> Cluster {
    Setup::new(vec![
        Node::new("large", Mode::QUERY_ON).reader(Reader::Script(large)),
        Node::new("lingering", Mode::QUERY_ON).reader(Reader::Script(lingering)),
        Node::new("node-a", Mode::QUERY_ON),
        Node::new("node-b", Mode::QUERY_ON),
    ])
    .start()
}

fn command(kubeconfig: &Path, args: &[&str]) -> Command {
    let mut command = program();
    command.arg("--kubeconfig").arg(kubeconfig).args(args).stderr(Stdio::piped());
    command
}

fn spawn(kubeconfig: &Path, args: &[&str]) -> Child {
    command(kubeconfig, args).stdout(Stdio::piped()).spawn().expect("the binary runs")
}

/// How it ended and what it said, once stdout was dealt with.
fn ended(mut child: Child) -> (i32, String) {
    drop(child.stdout.take());
    let ran = crate::support::ran(child.wait_with_output().expect("an end"));
    (ran.code, ran.stderr)
}

/// The most memory a process ever had resident, in bytes; `None` once it has ended.
fn peak(child: &Child) -> Option<usize> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<usize>().ok()? * 1024)
}

#[test]
fn memory_does_not_grow_with_the_log() {
    let cluster = cluster();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let file = cluster.var_log("node-a").join("huge.log");
    std::fs::write(&file, megabyte().repeat(64)).expect("a file");
    for args in [
        &["large"][..],
        &["large", "--source=query", "--timestamps", "-e", "number=7"],
        &["node-a", "--path", "huge.log"],
    ] {
        let mut child = spawn(&kubeconfig, args);
        let mut stdout = child.stdout.take().expect("a pipe");
        let (mut read, mut peaked, mut buffer) = (0, 0, vec![0; MEGABYTE]);
        loop {
            match stdout.read(&mut buffer).expect("more") {
                0 => break,
                some => read += some,
            }
            // As long as it has more to write than fits into a pipe it can be asked.
            peaked = peak(&child).unwrap_or(0).max(peaked);
        }
        let (code, stderr) = ended(child);
        assert_eq!(code, 0, "{args:?}: {stderr}");
        assert!(read > 50 * MEGABYTE && peaked > 0, "{args:?}: {read}");
        assert!(peaked < 32 * MEGABYTE, "{args:?}: {peaked} bytes of memory");
    }
}

/// How wide each line of [`history`] is, and how far apart they were written.
const WIDTH: usize = 256;
const APART: i64 = 3_000_000;
/// How long it is.
const LONG: usize = 28 * MEGABYTE;

/// As many megabytes of a kubelet's log of the last days as a reader of 300 kB a second takes a minute and a half for, and the instant of its first line.
fn history() -> &'static (Bytes, i64) {
    static TEXT: OnceLock<(Bytes, i64)> = OnceLock::new();
    TEXT.get_or_init(|| {
        let lines = (LONG / WIDTH) as i64;
        let from = Clock::System.now().as_micros() - (lines + 100) * APART;
        let mut text = Vec::with_capacity(LONG);
        for number in 0..lines {
            let at = Timestamp::from_micros(from + number * APART).rfc3339().to_string();
            const MONTHS: [&str; 12] =
                ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
            let month = MONTHS[at[5..7].parse::<usize>().expect("a month") - 1];
            let (digits, day, clock) = (&at[5..7], &at[8..10], &at[11..26]);
            let line = format!("{month} {day} {clock} n kubelet[1]: I{digits}{day} {clock} 1 x.go:1] number={number} ");
            text.extend_from_slice(line.as_bytes());
            text.resize(text.len() + WIDTH - line.len() - 1, b'.');
            text.push(b'\n');
        }
        (Bytes::from(text), from)
    })
}

/// A journalctl that knows where to begin.
fn historian(args: &[String]) -> Vec<Step> {
    let (text, from) = history();
    if args[0] == "--field" {
        return vec![Step::Print("kubelet.service\n".into())];
    }
    let since = args.iter().find_map(|arg| arg.strip_prefix("--since="));
    let lines = args.iter().find_map(|arg| arg.strip_prefix("--lines="));
    let first = match (since, lines) {
        (Some(since), _) => {
            let mut parts = since.split(['-', ' ', ':']).map(|part| part.parse::<i64>().expect("a number"));
            let mut next = || parts.next().expect("a part");
            let civil =
                Civil { year: next(), month: next(), day: next(), hour: next(), minute: next(), second: next() };
            ((civil.seconds() * 1_000_000 - from).max(0) + APART - 1) / APART
        }
        (None, Some(lines)) => (text.len() / WIDTH) as i64 - lines.parse::<i64>().expect("a number"),
        (None, None) => 0,
    };
    vec![Step::Print(text.slice((first as usize * WIDTH).min(text.len())..))]
}

/// The slowest reader there can be: it takes no byte of an answer before the kubelet has lost its patience with it, so that
/// each answer brings what fits into the buffers on the way and nothing else.
fn reads_slowly(more: &[&str]) {
    let node = Node::new("node-a", Mode::QUERY_ON).reader(Reader::Script(historian));
    let cluster = Setup::new(vec![node]).query_limit(Duration::from_secs(1)).start();
    let (text, _) = history();
    let args = [&["node-a", "-u", "kubelet", "--source=query", "--server-limit", "1s"], more].concat();
    let mut child = spawn(&cluster.kubeconfig(User::Admin), &args);
    let mut stdout = child.stdout.take().expect("a pipe");
    let (mut read, mut buffer, mut asked) = (0, vec![0; 16 << 10], 0);
    loop {
        let queries = cluster.requests().iter().filter(|request| request.target.contains("query=")).count();
        if queries > asked {
            asked = queries;
            cluster.wait_for_ends("node-a", asked);
        }
        let more = stdout.read(&mut buffer).expect("more");
        if more == 0 {
            break;
        }
        assert!(text[read..].starts_with(&buffer[..more]), "{args:?}: what comes at {read} is not what follows");
        read += more;
    }
    let (code, stderr) = ended(child);
    assert_eq!((code, read), (0, text.len()), "{args:?}: {stderr}");
    assert!(asked > 3, "{args:?}: the kubelet waited, so nothing was shown: asked {asked} times");
}

#[test]
fn a_slow_reader_gets_all_of_a_log_that_the_kubelet_does_not_wait_for() {
    std::thread::scope(|scope| {
        for more in [&[][..], &["-e", "nowhere"], &["--timezone", "UTC", "-g", "number="]] {
            scope.spawn(move || reads_slowly(more));
        }
    });
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let cluster = cluster();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    for args in [
        &["large"][..],
        &["large", "-e", "number=7"],
        &["node-a", "--path", "large.log"],
        &["node-a", "--path", "large.log", "--timestamps"],
    ] {
        let mut child = spawn(&kubeconfig, args);
        let mut stdout = child.stdout.take().expect("a pipe");
        stdout.read_exact(&mut [0; 100]).expect("a beginning");
        drop(stdout);
        let (code, stderr) = ended(child);
        assert_eq!(code, 0, "{args:?}: {stderr}");
        assert!(!stderr.contains("error") && !stderr.contains("panic"), "{args:?}: {stderr}");
    }
    // Nobody ever reads.
    for args in [&["node-a"][..], &["node-a", "--tail", "5"], &["ls", "node-a"], &["--help"], &["man"]] {
        let (reader, writer) = pipe().expect("a pipe");
        drop(reader);
        let (code, stderr) = ended(command(&kubeconfig, args).stdout(writer).spawn().expect("the binary runs"));
        assert_eq!((code, stderr.as_str()), (0, ""), "{args:?}");
    }
}

#[test]
fn a_reader_that_goes_ends_a_log_in_which_nothing_happens() {
    let cluster = cluster();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    for args in [&["node-a", "-f", "--tail", "3"][..], &["node-a,node-b", "-f", "--tail", "3"], &["lingering"]] {
        let mut child = spawn(&kubeconfig, args);
        let mut stdout = child.stdout.take().expect("a pipe");
        stdout.read_exact(&mut [0; 100]).expect("a beginning");
        // Nothing is written from here on: that would tell it, too.
        drop(stdout);
        let (code, stderr) = ended(child);
        assert_eq!(code, 0, "{args:?}: {stderr}");
        assert!(!stderr.contains("error"), "{args:?}: {stderr}");
    }
}

#[test]
fn a_full_disk_is_an_error() {
    let cluster = cluster();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    for args in [
        &["node-a"][..],
        &["node-a", "--tail", "5"],
        &["node-a", "--path", "large.log"],
        &["large"],
        &["ls", "node-a"],
        &["--help"],
        &["completion", "bash"],
    ] {
        let full = std::fs::File::options().write(true).open("/dev/full").expect("a full disk");
        let (code, stderr) = ended(command(&kubeconfig, args).stdout(full).spawn().expect("the binary runs"));
        assert_eq!(code, 1, "{args:?}: {stderr}");
        assert!(stderr.contains("error: writing to stdout: ") && stderr.contains("space left"), "{args:?}: {stderr}");
    }
}

fn signal(child: &Child, name: &str) {
    // The shell's own: not every machine has the command.
    let status = Command::new("sh").args(["-c", &format!("kill -{name} {}", child.id())]).status().expect("a shell");
    assert!(status.success(), "kill -{name}");
}

/// What comes of a log that goes on for ever, ended by `end` once the first lines have come.
fn broken_off(kubeconfig: &Path, args: &[&str], end: impl FnOnce(&Child)) -> (i32, Vec<u8>, String) {
    let mut child = spawn(kubeconfig, args);
    let mut stdout = child.stdout.take().expect("a pipe");
    let mut all = vec![0; 2_000];
    stdout.read_exact(&mut all).expect("the first lines");
    end(&child);
    stdout.read_to_end(&mut all).expect("the end");
    let (code, stderr) = ended(child);
    (code, all, stderr)
}

#[test]
fn a_signal_ends_the_run_with_whole_lines_and_its_own_code() {
    let cluster = cluster();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    cluster.inject(Fault::new(What::StallAfter(3_000)).path("large.log"));
    for (args, text) in [
        (&["lingering"][..], &megabyte()[..]),
        (&["lingering", "-e", "nothing"], megabyte()),
        (
            &["node-a", "--path", "large.log", "-e", "nothing"],
            &std::fs::read(cluster.var_log("node-a").join("large.log")).expect("a file"),
        ),
    ] {
        for (name, expected) in [("INT", 130), ("TERM", 143)] {
            let (code, printed, stderr) = broken_off(&kubeconfig, args, |child| signal(child, name));
            assert_eq!(code, expected, "{args:?} {name}: {stderr}");
            assert!(text.starts_with(&printed) && printed.ends_with(b"\n"), "{args:?} {name}");
            assert!(!stderr.contains("error"), "{args:?} {name}: {stderr}");
        }
    }
}

#[test]
fn a_crash_is_said_and_still_is_one() {
    let cluster = cluster();
    let mut child = spawn(&cluster.kubeconfig(User::Admin), &["lingering"]);
    // Its first bytes: it works.
    child.stdout.as_mut().expect("a pipe").read_exact(&mut [0; 100]).expect("the first lines");
    signal(&child, "ILL");
    let output = child.wait_with_output().expect("an end");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&output.status), Some(4), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.starts_with("error: internal error: a defect of kubectl-kubelet_logs ") && said.ends_with('\n'),
        "{said}"
    );
}

#[test]
fn the_time_for_a_run_ends_it_with_whole_lines() {
    let cluster = cluster();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    for args in [&["lingering"][..], &["lingering", "-e", "nothing"]] {
        let timed = [args, &["--timeout", "1s"]].concat();
        let (code, printed, stderr) = broken_off(&kubeconfig, &timed, |_| {});
        assert_eq!(code, 3, "{args:?}: {stderr}");
        assert!(stderr.contains("took longer than --timeout 1s") && stderr.contains("incomplete"), "{stderr}");
        assert!(megabyte().starts_with(&printed) && printed.ends_with(b"\n"), "{args:?}");
    }
}

/// A pipe into which nothing fits any more.
fn full_pipe() -> (PipeReader, OwnedFd) {
    let (reader, writer) = pipe().expect("a pipe");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
    let _guard = runtime.enter();
    let sender = unix::pipe::Sender::from_owned_fd(OwnedFd::from(writer)).expect("a pipe");
    runtime.block_on(async {
        sender.writable().await.expect("an open pipe");
        while sender.try_write(&[b'x'; 4096]).is_ok() {}
        while sender.try_write(b"x").is_ok() {}
    });
    (reader, sender.into_blocking_fd().expect("a pipe"))
}

/// Whether a process waits in a write. Where the system does not tell, it is believed to.
fn writes(child: &Child) -> bool {
    let number = if cfg!(target_arch = "aarch64") { "64 " } else { "1 " };
    let tasks = std::fs::read_dir(format!("/proc/{}/task", child.id())).expect("a running process");
    tasks
        .flatten()
        .any(|task| std::fs::read_to_string(task.path().join("syscall")).map_or(true, |call| call.starts_with(number)))
}

#[test]
fn a_second_signal_ends_the_run_even_when_nobody_reads() {
    let cluster = cluster();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    for (first, second, expected) in [("INT", "INT", 130), ("TERM", "TERM", 143), ("TERM", "INT", 130)] {
        let (reader, writer) = full_pipe();
        let mut child = command(&kubeconfig, &["large"]).stdout(writer).spawn().expect("the binary runs");
        while !writes(&child) {
            assert!(child.try_wait().expect("a child").is_none(), "it ended without having written");
            std::thread::yield_now();
        }
        // Two signals of a kind may arrive as one: the second is sent until it is heard.
        signal(&child, first);
        while child.try_wait().expect("a child").is_none() {
            signal(&child, second);
        }
        let (code, stderr) = ended(child);
        assert_eq!(code, expected, "{first}, {second}: {stderr}");
        drop(reader);
    }
}

#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("a screen").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// An entry that would rename the terminal's window, hide text and reverse what follows.
const NASTY: &str =
    "Nov 14 22:13:20.000001 n kubelet[1]: \u{1b}]0;owned\u{7} \u{1b}[8mhidden\r \u{202e}txt.exe \u{9b}2J tab\there\n";

fn nasty(args: &[String]) -> Vec<Step> {
    vec![Step::Print(if args[0] == "--field" { "kubelet.service\n".into() } else { NASTY.into() })]
}

#[test]
fn what_steers_a_terminal_reaches_a_pipe_but_no_terminal() {
    let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_ON).reader(Reader::Script(nasty))]).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    std::fs::write(cluster.var_log("node-a").join("nasty.log"), NASTY).expect("a file");
    std::fs::write(cluster.var_log("node-a").join("\u{1b}[31mred.log"), "").expect("a file");
    for args in [
        &["node-a"][..],
        &["node-a", "-g", "hidden"],
        &["node-a", "--path", "nasty.log"],
        &["node-a", "--source=query", "--tail", "1"],
    ] {
        assert_eq!(run(&kubeconfig, args).expect(0, &[]).text(), NASTY, "{args:?}");
        let shown = on_a_terminal(&kubeconfig, args);
        assert!(
            shown.contains("\\x1b]0;owned\\x07") && shown.contains("\\x0d") && shown.contains("\\u{202e}"),
            "{shown:?}"
        );
        assert!(shown.chars().all(|c| c == '\n' || c == '\t' || !c.is_control()), "{args:?}: {shown:?}");
        assert!(shown.ends_with("tab\there\n"), "{args:?}: {shown:?}");
    }
    let listed = on_a_terminal(&kubeconfig, &["ls", "node-a"]);
    assert!(listed.contains("red.log") && !listed.contains('\u{1b}'), "{listed:?}");
}

#[test]
fn a_file_is_not_written_over_what_is_read() {
    let root = tempfile::tempdir().expect("a folder");
    let (log, other) = (root.path().join("kubelet.log"), root.path().join("other.log"));
    let text = "I1114 22:13:20.000001 1 a.go:1] one\n".repeat(20_000);
    std::fs::write(&log, &text).expect("a file");
    let write = |from: &Path, to: &Path| {
        let args = ["--from".as_ref(), from.as_os_str(), "-w".as_ref(), to.as_os_str()];
        run(&root.path().join("no-kubeconfig"), args)
    };
    let beside = root.path().join("../").join(root.path().file_name().expect("a name")).join("kubelet.log");
    for (from, to) in [(&*log, &*log), (root.path(), &log), (&log, &beside)] {
        write(from, to).expect(2, &["--write", "would overwrite what --from"]);
        assert_eq!(std::fs::read_to_string(&log).expect("a file"), text);
    }
    write(&log, &other).expect(0, &[]);
    assert_eq!(std::fs::read_to_string(&other).expect("a file"), text);
}

/// Runs the program as on a terminal and gives what a person sees there.
fn on_a_terminal(kubeconfig: &Path, args: &[&str]) -> String {
    let (screen, errors) = (Screen::default(), Screen::default());
    let io = Io {
        stdout: Box::new(screen.clone()),
        stdout_is_terminal: true,
        stdout_closing: Closing::default(),
        stderr_is_terminal: false,
        stderr: Box::new(errors.clone()),
        stdin: Stdin::Other,
        interrupt: || Interrupt::new().1,
    };
    let kubeconfig = kubeconfig.to_str().expect("a path");
    let words = ["kubectl-kubelet_logs", "--kubeconfig", kubeconfig].into_iter().chain(args.iter().copied());
    let code = kubelet_logs::run(words.map(OsString::from), Env::new(Vec::<(OsString, OsString)>::new()), io);
    let said = |screen: &Screen| String::from_utf8(screen.0.lock().expect("a screen").clone()).expect("text");
    assert_eq!(code, 0, "{args:?}: {}", said(&errors));
    said(&screen)
}
