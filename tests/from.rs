//! Logs on this machine, through the real binary that has neither a kubeconfig nor a home: journals against journalctl, texts,
//! stdin, and what is neither.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use crate::cluster::{Journal, varlog, zone};
use crate::journal::oracle::{expected, journalctl};
use crate::support::journals::replay::Replay;
use crate::support::{Ran, program, ran, skipped};

/// Runs it on a machine without any cluster.
fn run<A: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = A>) -> Ran {
    ran(program().env("KUBECONFIG", "/no/such/kubeconfig").args(args).output().expect("the binary runs"))
}

/// The same with this on stdin.
fn fed<A: AsRef<std::ffi::OsStr>>(bytes: &[u8], args: impl IntoIterator<Item = A>) -> Ran {
    let mut command = program();
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let bytes = bytes.to_vec();
    // Who needs no more closes the pipe.
    let feeding = std::thread::spawn(move || stdin.write_all(&bytes).is_ok());
    let output = child.wait_with_output().expect("it ends");
    feeding.join().expect("fed");
    ran(output)
}

/// `--from PATH`, and more.
fn from<'a>(path: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    [&["--from", path.to_str().expect("UTF-8")], more].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).expect("memory");
    packed.finish().expect("memory")
}

fn gunzip(packed: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut bytes).expect("gzip");
    bytes
}

/// Every fixture journal: its name, and a folder with its files alone.
fn journals() -> Vec<(String, tempfile::TempDir)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/journals");
    let mut sets: Vec<(String, Vec<PathBuf>)> = Vec::new();
    for entry in fs::read_dir(&folder).expect("fixtures") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if path.is_dir() {
            let files = fs::read_dir(&path).expect("fixtures").map(|entry| entry.expect("an entry").path());
            sets.push((name, files.collect()));
        } else if name.ends_with(".journal.gz") {
            sets.push((name, vec![path]));
        }
    }
    sets.sort();
    let unpack = |files: Vec<PathBuf>| {
        let folder = tempfile::tempdir().expect("a folder");
        for file in files {
            let name = file.file_name().expect("a name").to_string_lossy();
            let bytes = gunzip(&fs::read(&file).expect("a fixture"));
            fs::write(folder.path().join(name.strip_suffix(".gz").expect("packed")), bytes).expect("written");
        }
        folder
    };
    sets.into_iter().map(|(name, files)| (name, unpack(files))).collect()
}

/// The one file of a fixture journal.
fn journal(name: &str) -> (tempfile::TempDir, PathBuf) {
    let (_, folder) = journals().into_iter().find(|(known, _)| known == name).expect("a fixture");
    let file = fs::read_dir(folder.path()).expect("a folder").next().expect("a file").expect("an entry").path();
    (folder, file)
}

/// What was printed without the lines between boots, which journalctl -q leaves out.
fn entries(ran: &Ran) -> String {
    let text = String::from_utf8_lossy(&ran.stdout);
    text.split_inclusive('\n').filter(|line| !line.starts_with("-- Boot ")).collect()
}

const RESTARTS: &str = "restarts-header264.journal.gz";

#[test]
fn a_file_without_anything_in_it_is_said_to_be_empty() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("k.log");
    fs::write(&file, "").expect("a file");
    run(["--from".as_ref(), file.as_os_str()]).expect(0, &["note: k.log: nothing matched: it is empty"]);
    fs::write(&file, "I1121 03:07:12.123456 1 a.go:1] x\n").expect("a file");
    let ran = run(["--from".as_ref(), file.as_os_str(), "-gy".as_ref()]);
    assert!(!ran.expect(0, &["nothing matched"]).stderr.contains("empty"), "{}", ran.stderr);
}

#[test]
fn what_is_not_there_is_named_once() {
    for args in [&["--from", "nosuch"][..], &["--from", "nosuch", "--from", "/dev/null"]] {
        let ran = run(args);
        assert!(ran.stderr.starts_with("error: reading nosuch: No such file"), "{}", ran.stderr);
        assert_eq!((ran.stderr.matches("nosuch").count(), ran.code), (1, if args.len() > 2 { 3 } else { 5 }));
    }
}

#[test]
fn a_journals_folder_and_file_give_what_journalctl_prints() {
    // With a window and -n at once journalctl 252 does not give the last of the window.
    let cases: [(&[&str], &[&str]); 9] = [
        (&["-u", "kubelet"], &["-u", "kubelet"]),
        (&["-u", "kubelet,containerd"], &["-u", "kubelet", "-u", "containerd"]),
        (&["-t", "kubelet"], &["-t", "kubelet"]),
        (&["-t", "sshd", "-t", "kernel"], &["-t", "sshd", "-t", "kernel"]),
        (&["-u", "kubelet", "--tail", "1"], &["-u", "kubelet", "-n", "1"]),
        (&["-u", "kubelet", "--tail", "10"], &["-u", "kubelet", "-n", "10"]),
        (&["-u", "kubelet", "--tail", "1000"], &["-u", "kubelet", "-n", "1000"]),
        (&["-u", "kubelet", "--since-time", "2023-11-14T22:14:00Z"], &["-u", "kubelet", "-S", "2023-11-14 22:14:00"]),
        (&["-u", "kubelet", "--until-time", "2023-11-14 22:15:00"], &["-u", "kubelet", "-U", "2023-11-14 22:15:00"]),
    ];
    for (name, folder) in journals() {
        for (ours, theirs) in &cases {
            let theirs: Vec<String> = theirs.iter().map(|arg| (*arg).to_owned()).collect();
            let Some(printed) = journalctl(folder.path(), &theirs) else {
                return skipped("no journalctl on this machine");
            };
            let files: Vec<PathBuf> =
                fs::read_dir(folder.path()).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
            let mut places = vec![folder.path()];
            places.extend(files.iter().map(PathBuf::as_path).filter(|_| files.len() == 1));
            for place in places {
                let ran = run(from(place, ours));
                assert!(ran.code == 0 || printed.is_empty() && ran.code == 5, "{name} {ours:?}: {}", ran.stderr);
                assert!(entries(&ran) == printed, "{name} {}: {ours:?}", place.display());
            }
        }
    }
}

#[test]
fn without_journalctl_too_a_journal_gives_what_was_recorded() {
    let recorded = expected("expected-restarts.short-precise.txt");
    let (_folder, file) = journal(RESTARTS);
    let bytes = fs::read(&file).expect("a journal");
    let whole = ["-u", "kubelet"];
    for ran in [
        run(from(&file, &whole)),
        fed(&bytes, ["--from", "-", "-u", "kubelet"]),
        fed(&gzip(&bytes), ["--from", "-", "-u", "kubelet"]),
    ] {
        assert!(entries(ran.expect(0, &[])) == recorded);
    }
    // A journal is one by what it holds, whatever its name.
    let odd = file.with_file_name("ümläut copy.bin");
    fs::rename(&file, &odd).expect("renamed");
    assert!(entries(run(from(&odd, &whole)).expect(0, &[])) == recorded);
    let packed = file.with_file_name("copy.gz");
    fs::write(&packed, gzip(&bytes)).expect("written");
    assert!(entries(run(from(&packed, &whole)).expect(0, &[])) == recorded);
    let line = run(from(&odd, &["--tail", "1", "-o", "jsonl"]));
    assert!(line.expect(0, &[]).text().contains(r#""node":"node-7.example.internal","unit":"kubelet""#));
    let document = run(from(&odd, &["--tail", "1", "-o", "json"]));
    assert!(document.text().contains(r#""nodeName": "node-7.example.internal""#), "{}", document.text());
}

#[test]
fn wherever_a_journal_lies_in_a_copy_it_is_found() {
    let root = tempfile::tempdir().expect("a folder");
    let machine = Journal::RotatedRestarts.unpack(root.path()).expect("a journal").expect("an id");
    fs::write(root.path().join("kubelet.log"), "not this\n").expect("written");
    let folder = root.path().join("journal").join(&machine);
    let all = run(from(&folder, &[])).expect(0, &[]).stdout.clone();
    assert!(all.len() > 10_000);
    for place in [root.path(), &root.path().join("journal"), &folder.join(".")] {
        assert!(run(from(place, &[])).expect(0, &[]).stdout == all, "{}", place.display());
    }
    let other = root.path().join("journal").join("0".repeat(32));
    fs::create_dir(&other).expect("a folder");
    assert!(run(from(root.path(), &[])).expect(0, &[]).stdout == all, "an empty folder is no journal");
    fs::copy(folder.join("system.journal"), other.join("system.journal")).expect("copied");
    run(from(root.path(), &[])).expect(2, &["the journals of 2 machines", "--from "]);
}

#[test]
fn a_journal_that_is_written_to_and_rotated_is_read_as_it_is() {
    let root = tempfile::tempdir().expect("a folder");
    let mut replay = Replay::new(root.path());
    let mut before = Vec::new();
    let mut steps = 0;
    while (0..2).all(|_| replay.step().is_some()) {
        steps += 1;
        let Some(printed) = journalctl(replay.directory(), &[]) else { return skipped("no journalctl") };
        let units = ["-t", "kubelet"];
        let ours = run(from(replay.directory(), &units));
        let theirs = journalctl(replay.directory(), &units.map(str::to_owned)).expect("journalctl");
        assert!(!printed.is_empty() && entries(ours.expect(0, &[])) == theirs, "step {steps}");
        assert!(ours.stdout.starts_with(&before), "step {steps}");
        before = ours.stdout;
    }
    assert!(steps > 1);
}

#[test]
fn boots_runs_and_the_kernel_are_told_by_journals_alone() {
    let (_folder, file) = journal(RESTARTS);
    let boots = run(from(&file, &["--list-boots"]));
    assert_eq!(boots.expect(0, &[]).text().lines().count(), 3 + 1, "{}", boots.text());
    let all = run(from(&file, &["-u", "kubelet"])).stdout;
    let mut parts = Vec::new();
    for boot in ["-b+1", "-b-1", "-b0"] {
        parts.extend(run(from(&file, &["-u", "kubelet", boot])).expect(0, &[]).stdout.clone());
    }
    let whole = Ran { code: 0, stdout: all, stderr: String::new() };
    assert!(entries(&whole).into_bytes() == parts);
    let kernel = run(from(&file, &["-k", "-b+1"]));
    assert!(kernel.expect(0, &[]).text().lines().all(|line| line.contains(" kernel: ") || line.starts_with(' ')));
    assert!(!run(from(&file, &["-p"])).expect(0, &[]).stdout.is_empty());
    assert!(!run(from(&file, &["--since", "kubelet-start"])).expect(0, &[]).stdout.is_empty());
    run(from(&file, &["--since", "not-ready"])).expect(2, &["not-ready is told by a cluster"]);
    for args in [&["-b", "0"][..], &["-k"], &["--list-boots"], &["-p"], &["--since", "boot"]] {
        let ran = fed(b"I1114 22:13:20.000001 1 a.go:1] one\n", [&["--from", "-"], args].concat());
        ran.expect(2, &["takes a journal, and stdin is none"]);
    }
}

#[test]
fn of_a_pod_and_by_pattern_and_priority() {
    let (_folder, file) = journal(RESTARTS);
    let all = run(from(&file, &[])).stdout;
    let all = String::from_utf8_lossy(&all);
    let lines = |args: &[&str]| {
        let ran = run(from(&file, args));
        let text = String::from_utf8_lossy(&ran.expect(0, &[]).stdout).into_owned();
        text.lines().filter(|line| !line.starts_with("-- Boot")).map(str::to_owned).collect::<Vec<_>>()
    };
    let failed = lines(&["-g", "probe failed", "-e", "readiness"]);
    assert!(!failed.is_empty() && failed.iter().all(|line| line.contains("Probe failed")));
    assert_eq!(failed.len(), all.lines().filter(|line| line.contains("Probe failed")).count());
    assert!(lines(&["-P", "E"]).len() < lines(&[]).len());
    let text = fed(all.as_bytes(), ["--from", "-", "-g", "probe failed"]);
    // A text's boots are its own lines: they stand between two that are wanted.
    assert_eq!(text.expect(0, &[]).text().lines().filter(|line| !line.starts_with("-- Boot")).count(), failed.len());
    assert!(
        run(from(&file, &["--for", "pod/default/no-such", "--tail", "3"]))
            .expect(0, &["nothing matched"])
            .stdout
            .is_empty()
    );
}

#[test]
fn text_logs_are_printed_as_they_are_and_one_after_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("written");
        path
    };
    let klog = b"starting\nI1114 22:13:20.000001 1 a.go:1] one\n\tmore\nE1114 22:13:21.000001 1 a.go:1] two\n";
    let one = file("one.log", klog);
    let two = file("two.log", b"2023-11-14T22:13:20.000000000Z stdout F three\nno end");
    let packed = file("three", &gzip(klog));
    assert_eq!(run(from(&one, &[])).expect(0, &[]).stdout, klog);
    assert_eq!(run(from(&packed, &[])).expect(0, &[]).stdout, klog);
    assert_eq!(run(from(&packed, &["--no-decompress"])).expect(0, &[]).stdout, gzip(klog));
    assert_eq!(fed(klog, ["--from", "-", "-o", "raw"]).expect(0, &[]).stdout, klog);
    assert_eq!(run(from(&one, &["--tail", "1"])).text(), "E1114 22:13:21.000001 1 a.go:1] two\n");
    assert_eq!(run(from(&one, &["-P", "E"])).text(), "E1114 22:13:21.000001 1 a.go:1] two\n");
    let both = run(from(&two, &["--from", one.to_str().expect("UTF-8"), "--tail", "1"]));
    assert_eq!(
        both.text(),
        "2023-11-14T22:13:20.000000000Z stdout F three\nno endE1114 22:13:21.000001 1 a.go:1] two\n"
    );
    let objects = run(from(&two, &["--from", one.to_str().expect("UTF-8"), "-o", "jsonl", "--tail", "1"]));
    assert!(objects.text().contains(r#""node":"two.log""#) && objects.text().contains(r#""node":"one.log""#));
    let gone = folder.path().join("gone.log");
    run(from(&gone, &["--from", one.to_str().expect("UTF-8")])).expect(3, &["gone.log", "No such file"]);
}

#[test]
fn times_of_a_text_are_those_of_its_zone() {
    let mut windows = Vec::new();
    for posix in ["UTC0", "EST5EDT,M3.2.0,M11.1.0", "IST-5:30"] {
        let root = tempfile::tempdir().expect("a folder");
        varlog::fill(root.path(), Journal::None, &zone::Zone::new(posix)).expect("files");
        let log = root.path().join("kubelet.log");
        let window = ["--timestamps", "--since-time", "2023-11-14T22:14:00Z", "--until-time", "2023-11-14T22:15:00Z"];
        let stamps = |ran: Ran| -> Vec<String> {
            let text = String::from_utf8_lossy(&ran.expect(0, &[]).stdout).into_owned();
            text.lines().filter_map(|line| Some(line.split_once(' ')?.0.to_owned())).collect()
        };
        let of_window = stamps(run(from(&log, &window)));
        assert!(of_window.len() > 10 && of_window.iter().all(|at| at.starts_with("2023-11-14T22:1")), "{of_window:?}");
        windows.push(of_window);
        // Of a copy the time of change tells nothing.
        let copy = root.path().join("copy.log");
        fs::write(&copy, fs::read(&log).expect("a log")).expect("written");
        let year = |stamps: Vec<String>| stamps.into_iter().map(|at| at[5..].to_owned()).collect::<Vec<_>>();
        let told = year(stamps(run(from(&copy, &["--timestamps", "--timezone", posix_name(posix), "--tail", "3"]))));
        let known = stamps(run(from(&log, &["--timestamps", "--tail", "3"])));
        let shown: Vec<String> = year(known);
        if posix == "UTC0" {
            assert_eq!(told, shown);
        } else {
            assert_ne!(told, shown, "--timezone is that of what is printed, too");
            let clocks: Vec<&str> = told.iter().map(|at| &at[..at.len() - 6]).collect();
            let lines = String::from_utf8_lossy(&fs::read(&copy).expect("a log")).into_owned();
            let last = lines.lines().rev().find(|line| line.starts_with(['I', 'W', 'E', 'F'])).expect("a line");
            assert_eq!(clocks.last().map(|at| &at[6..14]), Some(&last[6..14]), "as its clock shows it");
        }
    }
    assert!(windows.iter().all(|window| *window == windows[0]));
}

/// A zone as it may be said.
fn posix_name(posix: &str) -> &str {
    match posix {
        "UTC0" => "UTC",
        "IST-5:30" => "+05:30",
        _ => "-05:00",
    }
}

#[test]
fn a_folder_of_text_logs_is_read_as_on_a_node() {
    let root = tempfile::tempdir().expect("a folder");
    varlog::fill(root.path(), Journal::None, &zone::Zone::new("UTC0")).expect("files");
    let read = |name: &str| fs::read(root.path().join(name)).expect("a log");
    let all = [gunzip(&read("kubelet.log-20231113.gz")), read("kubelet.log.1"), read("kubelet.log")].concat();
    assert!(run(from(root.path(), &[])).expect(0, &["reading "]).stdout == all);
    assert!(run(from(root.path(), &["-u", "containerd"])).expect(0, &[]).stdout == read("containerd.log"));
    let tail = run(from(root.path(), &["--tail", "2000"]));
    assert!(all.ends_with(&tail.expect(0, &[]).stdout) && tail.stdout.len() > read("kubelet.log").len());
    let sshd = run(from(root.path(), &["-t", "sshd"]));
    assert!(sshd.expect(0, &["messages"]).text().lines().all(|line| line.contains(" sshd[")));
    let messages = root.path().join("messages");
    let of_unit = run(from(&messages, &["-u", "kubelet"])).expect(0, &[]).stdout.clone();
    assert!(of_unit == run(from(&messages, &["-t", "kubelet"])).stdout && !of_unit.is_empty());
    run(from(&messages, &["-u", "no-such"])).expect(5, &["no line of", "no-such"]);
    // A window that the oldest rotation ends before.
    let late = run(from(root.path(), &["--since-time", "2023-11-14T22:14:00Z"]));
    assert!(late.expect(0, &[]).stdout.len() < read("kubelet.log").len() && all.ends_with(&late.stdout));
}

#[test]
fn of_large_files_the_end_is_read_from_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("large.log");
    let line = |n: u32| format!("I1114 22:{:02}:{:02}.{:06} 1 a.go:1] line {n}\n", n / 60_000, n / 1000 % 60, n % 1000);
    let all: String = (0..60_000).map(line).collect();
    fs::write(&path, &all).expect("written");
    for (count, args) in [(1, &[][..]), (10, &["--timestamps"]), (5_000, &[]), (30_000, &[])] {
        let tail = count.to_string();
        let ran = run(from(&path, &[args, &["--tail", &tail]].concat()));
        let last: String = (60_000 - count..60_000).map(line).collect();
        let text: String = match args.is_empty() {
            true => ran.expect(0, &[]).text().to_owned(),
            false => ran.text().lines().map(|line| format!("{}\n", &line[28..])).collect(),
        };
        assert!(text == last, "{count}: {} bytes", text.len());
    }
    let rare = run(from(&path, &["-g", "line 1$", "--tail", "5"]));
    assert_eq!(rare.expect(0, &[]).text(), line(1));
}

#[test]
fn what_comes_on_stdin_is_printed_as_it_comes() {
    let mut command = program();
    command.args(["--from", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    // More than what it takes to tell what this is.
    for n in 0..3 {
        let text = format!("Nov 14 22:13:2{n}.000001 n kubelet[1]: {}\n", "x".repeat(5000));
        stdin.write_all(text.as_bytes()).expect("taken");
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        assert!(line == text);
    }
    drop(stdin);
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn journalctls_own_text_is_dated_and_filtered() {
    let recorded = expected("expected-restarts.short-precise.txt");
    let ran = fed(recorded.as_bytes(), ["--from", "-", "--timestamps", "--tail", "2"]);
    let zone = fed(recorded.as_bytes(), ["--from", "-", "--timestamps", "--tail", "1", "--timezone", "+02:00"]);
    let last = recorded.lines().last().expect("a line");
    assert!(
        ran.expect(0, &[])
            .text()
            .lines()
            .last()
            .is_some_and(|line| line.ends_with(last) && line.contains(&last[7..22]))
    );
    assert!(zone.text().contains(&format!("{}+02:00 ", &last[7..22])), "{}", zone.text());
    let logrus =
        b"time=\"2023-11-14T22:13:20Z\" level=info msg=one\ntime=\"2023-11-14T22:13:21Z\" level=error msg=two\n";
    let ran = fed(logrus, ["--from", "-", "-P", "E", "--timestamps"]);
    assert!(
        ran.expect(0, &[]).text().starts_with("2023-11-14T22:13:21.000000Z time=") && ran.text().lines().count() == 1
    );
    assert!(!ran.stderr.contains("zone"), "{}", ran.stderr);
}

#[test]
fn what_can_not_be_read_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("written");
        path
    };
    run(from(&folder.path().join("gone"), &[])).expect(5, &["reading ", "gone"]);
    run(from(folder.path(), &[])).expect(5, &["holds neither a journal nor a text log of kubelet"]);
    for (name, bytes, words) in [
        ("a.xz", &b"\xfd7zXZ\0\0\x04"[..], "packed with xz"),
        ("a.zst", b"\x28\xb5\x2f\xfd\x04", "packed with zstd"),
        ("a.bin", b"\x7fELF\x02\x01\x01\0\0\0", "neither a journal nor a text"),
        ("a.log", b"\xff\xfeI\x001\0", "UTF-16"),
        ("a.zip", b"PK\x03\x04\0\0", "an archive"),
    ] {
        run(from(&file(name, bytes), &[])).expect(1, &[words]);
        fed(&gzip(bytes), ["--from", "-"]).expect(1, &[words]);
    }
    let text = file("notes", b"no time\nin any line\n");
    run(from(&text, &["--since", "1h"])).expect(2, &["a time window can't be applied"]);
    run(from(&text, &["-P", "W"])).expect(2, &["no line shows a severity"]);
    let cut = gzip(&b"I1114 22:13:20.000001 1 a.go:1] one\n".repeat(10_000));
    run(from(&file("cut.gz", &cut[..cut.len() / 2]), &[])).expect(3, &["gzip data ends early"]);
    run(from(&file("no.gz", b"\x1f\x8bnothing of the kind"), &[])).expect(3, &["gzip data"]);
    let (_folder, journal) = journal(RESTARTS);
    run(from(&journal, &["-u", "no-such"])).expect(5, &["no log of unit no-such"]);
    run(from(&journal, &["node-1"])).expect(2, &["node-1"]);
    assert!(fed(b"", ["--from", "-"]).expect(0, &["nothing matched"]).stdout.is_empty());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let locked = file("locked", b"x\n");
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o0)).expect("locked");
        // Nothing is locked to root.
        if fs::File::open(&locked).is_err() {
            run(from(&locked, &[])).expect(4, &["reading ", "locked"]);
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn one_file_that_can_not_be_read_hides_no_other() {
    let (folder, file) = journal(RESTARTS);
    let whole = run(from(&file, &["-u", "kubelet"]));
    // Its length is 0, and no page of it is there: a disk that can't give what it has, to root neither.
    let bad = folder.path().join("user-1000.journal");
    std::os::unix::fs::symlink("/proc/self/mem", &bad).expect("a link");
    let said = format!("not all of the journal could be read, lines may be missing: reading {}: ", bad.display());
    for args in [&[][..], &["--tail", "3"], &["--since", "2023-11-14"]] {
        let ran = run(from(folder.path(), &[&["-u", "kubelet"], args].concat()));
        let last = ran.expect(3, &[&said]).text().lines().next_back();
        assert_eq!(last, whole.text().lines().next_back(), "{args:?}");
        assert!(!ran.stderr.contains("damaged") && ran.stderr.contains("hint: "), "{}", ran.stderr);
    }
    let text = run(from(folder.path(), &["-u", "kubelet"]));
    assert!(text.text() == whole.text());
    assert_eq!(run(from(folder.path(), &["--list-boots"])).expect(3, &[&said]).text().lines().count(), 3 + 1);
    // Where no file can be read, that is the error.
    fs::remove_file(&file).expect("removed");
    run(from(folder.path(), &[])).expect(1, &[&format!("reading {}: ", bad.display())]);
}

#[cfg(unix)]
#[test]
fn a_file_of_somebody_else_is_named_with_what_to_do() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, file) = journal(RESTARTS);
    let other = folder.path().join("user-1000.journal");
    fs::copy(&file, &other).expect("copied");
    fs::set_permissions(&other, fs::Permissions::from_mode(0o0)).expect("locked");
    if fs::File::open(&other).is_ok() {
        return skipped("nothing is locked to root");
    }
    let words = [&*format!("reading {}: Permission denied", other.display()), "hint: journals belong to the group"];
    assert!(!run(from(folder.path(), &["-u", "kubelet"])).expect(3, &words).stdout.is_empty());
    fs::remove_file(&file).expect("removed");
    run(from(folder.path(), &["-u", "kubelet"])).expect(4, &words);
}

#[test]
fn one_damage_is_told_once() {
    let (_folder, file) = journal(RESTARTS);
    let whole = fs::read(&file).expect("a journal");
    fs::write(&file, &whole[..300_000]).expect("written");
    for args in [&["-u", "kubelet"][..], &["-u", "nosuch,kubelet"], &[]] {
        let ran = run(from(&file, args));
        let places: Vec<&str> =
            ran.stderr.split("corrupt at byte ").skip(1).map(|at| at.split(':').next().unwrap()).collect();
        assert!(!places.is_empty() && (1..places.len()).all(|n| !places[..n].contains(&places[n])), "{}", ran.stderr);
        assert!(!ran.stderr.contains("on the node") && ran.stderr.contains("journalctl --verify"), "{}", ran.stderr);
    }
}

#[test]
fn junk_is_told_and_never_the_end_of_the_program() {
    // Numbers that are the same each time (xorshift).
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("system.journal");
    let (_kept, journal) = journal("c1k1ZSTD.journal.gz");
    let whole = fs::read(journal).expect("a journal");
    for round in 0..60 {
        let mut bytes = whole.clone();
        for _ in 0..=random(40) {
            let near = [300, 8192, bytes.len()][round % 3];
            let at = 8 + random(near - 8);
            bytes[at] ^= 1 << random(8);
        }
        if round % 4 == 0 {
            bytes.truncate(8 + random(whole.len()));
        }
        fs::write(&path, &bytes).expect("written");
        let args: &[&str] = [&[][..], &["--tail", "5"], &["-o", "jsonl"], &["--since", "2023-11-14"]][round % 4];
        let ran = match round % 5 {
            0 => fed(&bytes, [&["--from", "-"], args].concat()),
            1 => run(from(folder.path(), args)),
            _ => run(from(&path, args)),
        };
        assert!(matches!(ran.code, 0 | 3 | 5), "round {round}: {} {}", ran.code, ran.stderr);
        assert!(!ran.stderr.contains("panicked"), "round {round}: {}", ran.stderr);
    }
    for round in 0..20 {
        let bytes: Vec<u8> = (0..random(20_000)).map(|_| random(256) as u8).collect();
        let ran = fed(&bytes, ["--from", "-", "--tail", "3", "--timestamps"]);
        assert!(matches!(ran.code, 0 | 1) && !ran.stderr.contains("panicked"), "round {round}: {}", ran.stderr);
    }
}
