//! What programs read: documents and JSON lines, by this project's own parsers and by Python's.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::cluster::{Cluster, Health, Mode, Node, Reader, Setup, User};
use crate::support::{run, skipped};

/// What must survive: control characters, what is no UTF-8, separators, a long line.
fn odd_log(long: usize) -> Vec<u8> {
    let mut log = b"I1114 22:13:20.000001    1 a.go:1] \"quotes\" key=\"v\\\"alue\" \\ \t tab\n".to_vec();
    log.extend_from_slice(
        "I1114 22:13:21.000001    1 a.go:2] nul \0 esc \x1b[2J nel \u{85} ls \u{2028} bom \u{feff} \u{1f4a9}\n"
            .as_bytes(),
    );
    log.extend_from_slice(b"I1114 22:13:22.000001    1 a.go:3] \xff\xfe not text \xe2\x82\n");
    log.extend_from_slice(b"I1114 22:13:23.000001    1 a.go:4] ");
    // However a body is cut into frames, some of these are cut in two.
    log.extend_from_slice("€".repeat(long / 3 + 1).as_bytes());
    log.extend_from_slice(b"\nI1114 22:13:24.000001    1 a.go:5] --- : # & * ! | > ' \" % @ `\nno line end");
    log
}

fn start(folder: &Path, long: usize) -> Cluster {
    std::fs::write(folder.join("odd.log"), odd_log(long)).expect("a file");
    Setup::new(vec![
        Node::new("odd", Mode::QUERY_OFF).files(folder),
        Node::new("same", Mode::QUERY_OFF).files(folder),
        Node::new("plain", Mode::QUERY_ON).reader(Reader::Recorded),
        Node::new("down", Mode::QUERY_ON).health(Health::Down),
    ])
    .start()
}

/// The document as Python reads it, handed back as JSON; `None` where there is no Python, or no yaml for it.
fn python(module: &str, load: &str, document: &[u8]) -> Option<Value> {
    let code = format!("import sys, json, {module}\njson.dump({load}, sys.stdout)");
    let mut child = Command::new("python3")
        .args(["-c", &code])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(document).ok()?;
    let out = child.wait_with_output().ok()?;
    out.status.success().then(|| serde_json::from_slice(&out.stdout).expect("Python's JSON"))
}

fn has(module: &str) -> bool {
    let found = Command::new("python3").args(["-c", &format!("import {module}")]).stderr(Stdio::null()).status();
    let found = found.is_ok_and(|status| status.success());
    if !found {
        skipped(&format!("what Python's {module} reads is not compared: it is not here"));
    }
    found
}

/// A document, checked to read the same everywhere.
#[track_caller]
fn read(format: &str, document: &[u8]) -> Value {
    let value: Value = match format {
        "json" => serde_json::from_slice(document).expect("JSON"),
        _ => serde_yaml::from_slice(document).expect("YAML"),
    };
    let (module, load) = match format {
        "json" => ("json", "json.load(sys.stdin)"),
        _ => ("yaml", "yaml.load(sys.stdin.buffer, Loader=getattr(yaml, 'CSafeLoader', yaml.SafeLoader))"),
    };
    if has(module) {
        assert_eq!(python(module, load, document).as_ref(), Some(&value), "Python reads {format} differently");
    }
    value
}

#[test]
fn documents_hold_whole_logs_whatever_is_in_them() {
    let folder = tempfile::tempdir().expect("a folder");
    // Parsers of YAML are slow.
    let cluster = start(folder.path(), 50_000);
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let log = String::from_utf8_lossy(&odd_log(50_000)).into_owned();
    for format in ["json", "yaml"] {
        let ran = run(&kubeconfig, ["odd", "--path=odd.log", "-o", format]);
        let document = read(format, &ran.expect(0, &[]).stdout);
        let keys: Vec<&str> = document.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(keys, ["logs", "nodeName", "timestamp"]);
        assert_eq!((document["nodeName"].as_str(), document["logs"].as_str()), (Some("odd"), Some(&*log)));
        assert!(document["timestamp"].as_str().is_some_and(|at| at.ends_with('Z') && at.len() == 27));

        // A node that fails is a document, too, and an exit code.
        let ran = run(&kubeconfig, ["down", "-o", format]);
        assert_eq!(ran.code, 6);
        let document = read(format, &ran.stdout);
        assert!(document["error"].as_str().is_some_and(|error| error.contains("connection refused")), "{document}");
        assert_eq!(document["logs"], "");

        let ran = run(&kubeconfig, ["odd,down,same,nosuch", "--path=odd.log", "-o", format]);
        assert_eq!(ran.code, 3);
        let document = read(format, &ran.stdout);
        let names: Vec<_> = document["responses"].as_array().expect("a list").iter().map(|r| &r["nodeName"]).collect();
        assert_eq!(names, ["odd", "same"]);
        assert!(document["responses"].as_array().expect("a list").iter().all(|response| response["logs"] == log));
        let failed: Vec<_> = document["errors"].as_array().expect("a list").iter().map(|e| &e["nodeName"]).collect();
        assert_eq!(failed, ["down", "nosuch"]);
        let summary = &document["summary"];
        assert_eq!(
            (&summary["totalNodes"], &summary["successNodes"], &summary["errorNodes"]),
            (&4.into(), &2.into(), &2.into())
        );
        assert!(summary["executionTime"].as_str().is_some_and(|took| took.ends_with('s')), "{summary}");

        // A list is a list, of one node too; and of none that could be read.
        let ran = run(&kubeconfig, ["od*", "--path=odd.log", "--tail=1", "-o", format, "--limit-bytes=10"]);
        let document = read(format, &ran.expect(0, &["stopped after 0 bytes"]).stdout);
        assert_eq!(
            (&document["responses"][0]["logs"], document["errors"].as_array().map(Vec::len)),
            (&"".into(), Some(0))
        );
        let ran = run(&kubeconfig, ["down,nosuch", "-o", format]);
        assert_eq!((ran.code, read(format, &ran.stdout)["responses"].as_array().map(Vec::len)), (1, Some(0)));
    }
}

#[test]
fn json_lines_tell_the_parts_of_each_entry() {
    let folder = tempfile::tempdir().expect("a folder");
    let cluster = start(folder.path(), 1 << 20);
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let lines = |stdout: &[u8]| -> Vec<Value> {
        let text = std::str::from_utf8(stdout).expect("UTF-8");
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|why| panic!("{line}: {why}"))).collect()
    };
    let ran = run(&kubeconfig, ["odd", "--path=odd.log", "-o", "jsonl"]);
    let entries = lines(&ran.expect(0, &[]).stdout);
    assert_eq!(entries.len(), 5);
    assert_eq!(entries[0]["klog"]["msg"], "\"quotes\" key=\"v\\\"alue\" \\ \t tab");
    assert_eq!((&entries[1]["klog"]["line"], &entries[1]["klog"]["severity"]), (&2.into(), &"info".into()));
    assert!(entries[2]["messageBase64"].is_string() && entries[1]["messageBase64"].is_null());
    assert!(entries[3]["message"].as_str().is_some_and(|message| message.len() > 1 << 20));
    assert!(
        entries[4]["message"].as_str().is_some_and(|message| message.ends_with("`\nno line end")),
        "{}",
        entries[4]
    );

    // The same entries as text, with their times; journalctl's own lines between boots are no entries.
    let text = run(&kubeconfig, ["plain", "--timestamps"]);
    let text: Vec<&str> = text.expect(0, &[]).text().lines().filter(|line| !line.contains("Z -- ")).collect();
    let ran = run(&kubeconfig, ["plain", "-o", "jsonl"]);
    let entries = lines(&ran.expect(0, &[]).stdout);
    let first: Vec<&str> = text.iter().copied().filter(|line| line.get(28..31) == Some("Nov")).collect();
    assert_eq!(entries.len(), first.len());
    for (entry, line) in entries.iter().zip(first) {
        let (time, line) = line.split_once(' ').expect("a time");
        assert_eq!(entry["time"], time);
        assert_eq!(entry["node"], "plain");
        assert!(entry["unit"].is_string() && entry["boot"].as_str().is_some_and(|boot| boot.len() == 32), "{entry}");
        // journalctl's text shows otherwise what is no plain text; here it is as it was written.
        if line.ends_with("blob data]")
            || entry["messageBase64"].is_string()
            || entry["message"].as_str().is_some_and(|m| m.contains(char::is_control))
        {
            continue;
        }
        let message = entry["message"].as_str().expect("a message").lines().next().unwrap_or_default();
        assert!(line.ends_with(message), "{line:?} {message:?}");
    }
    // Several nodes are merged by time.
    let ran = run(&kubeconfig, ["odd,same", "--path=odd.log", "-o", "jsonl"]);
    let nodes: Vec<Value> = lines(&ran.expect(0, &[]).stdout).into_iter().map(|entry| entry["node"].clone()).collect();
    assert_eq!(nodes, ["odd", "same"].repeat(5));
}

#[test]
fn lines_that_end_as_on_windows_are_entries_whatever_they_say() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("crlf.log");
    let log = "foo\r\n-----------\r\nbar\r\n\r\nProviderName: x\r\nTimeCreated  Id\r\n";
    std::fs::write(&path, log).expect("a file");
    let from = path.to_str().expect("a path");
    let messages = |args: &[&str]| -> Vec<String> {
        let ran = run(Path::new("none"), [&["--from", from, "-o", "jsonl"], args].concat());
        let objects = ran.expect(0, &[]).text();
        let objects = objects.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        objects.map(|object| object["message"].as_str().expect("a string").to_owned()).collect()
    };
    let all: Vec<&str> = log.lines().collect();
    assert_eq!(messages(&[]), all);
    assert_eq!(messages(&["--tail", "3"]), all[3..]);
    assert_eq!(messages(&["--tail", "5"]), all[1..]);
    let digest = run(Path::new("none"), ["--from", from, "-o", "digest"]);
    assert!(digest.expect(0, &[]).text().starts_with("6 entries of "), "{}", digest.text());
}

#[test]
fn a_limit_of_bytes_leaves_whole_records() {
    let folder = tempfile::tempdir().expect("a folder");
    let cluster = start(folder.path(), 1 << 20);
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let whole = run(&kubeconfig, ["odd", "--path=odd.log", "-o", "jsonl", "-q"]);
    let first = whole.expect(0, &[]).stdout.iter().position(|byte| *byte == b'\n').expect("a line") + 1;
    for (limit, wanted) in [(first - 1, 0), (first, first), (first + 1, first)] {
        let limit = format!("--limit-bytes={limit}");
        let ran = run(&kubeconfig, ["odd", "--path=odd.log", "-o", "jsonl", &limit]);
        assert_eq!(ran.expect(0, &[&format!("stopped after {wanted} bytes")]).stdout, whole.stdout[..wanted]);
    }
    // Of each node as much; one's name is a byte longer.
    let limit = format!("--limit-bytes={}", first + 1);
    let ran = run(&kubeconfig, ["odd,same", "--path=odd.log", "-o", "jsonl", &limit]);
    let nodes: Vec<Value> = ran.expect(0, &[]).text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(nodes.iter().filter_map(|entry| entry["node"].as_str()).collect::<Vec<_>>(), ["odd", "same"]);
    assert_eq!(ran.stderr.matches("(--limit-bytes)").count(), 2, "{}", ran.stderr);
    // A limit that cuts nothing says nothing.
    let limit = format!("--limit-bytes={}", whole.stdout.len());
    let ran = run(&kubeconfig, ["odd", "--path=odd.log", "-o", "jsonl", &limit]);
    assert_eq!((ran.expect(0, &[]).stdout == whole.stdout, ran.stderr.contains("stopped")), (true, false));
    // In documents and in text it counts the bytes of the log, and what nobody prints is not read on.
    let log = odd_log(1 << 20);
    let line = log.iter().position(|byte| *byte == b'\n').expect("a line") + 1;
    for (format, limit, wanted) in
        [("json", line + 5, line), ("yaml", 3, 0), ("text", line, line), ("raw", line + 1, line)]
    {
        let before = cluster.traffic("odd.log").bytes;
        let ran = run(&kubeconfig, ["odd", "--path=odd.log", "-o", format, &format!("--limit-bytes={limit}")]);
        ran.expect(0, &[&format!("stopped after {wanted} bytes")]);
        match format {
            "json" | "yaml" => {
                let document = read(format, &ran.stdout);
                let logs = String::from_utf8_lossy(&log[..wanted]);
                assert_eq!((&document["logs"], &document["error"]), (&Value::from(&*logs), &Value::Null));
            }
            _ => assert_eq!(ran.stdout, log[..wanted]),
        }
        assert!(cluster.traffic("odd.log").bytes - before <= log.len() as u64, "{format}: it was read twice");
    }
}

#[test]
fn every_format_bears_bytes_that_are_no_text() {
    let folder = tempfile::tempdir().expect("a folder");
    let cluster = start(folder.path(), 1 << 20);
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let log = odd_log(1 << 20);
    for format in ["text", "raw"] {
        let ran = run(&kubeconfig, ["odd", "--path=odd.log", "-o", format, "-q"]);
        assert!(ran.expect(0, &[]).stdout == log, "{format} changes bytes");
    }
    let ran = run(&kubeconfig, ["odd,same", "--path=odd.log", "-q"]);
    let mine: Vec<&[u8]> = ran.expect(0, &[]).stdout.split_inclusive(|byte| *byte == b'\n').collect();
    let mine: Vec<u8> = mine.iter().filter_map(|line| line.strip_prefix(b"odd  ")).flatten().copied().collect();
    assert!(mine.strip_suffix(b"\n") == Some(&log), "a merge changes bytes");
    let text = String::from_utf8_lossy(&log).into_owned();
    for format in ["json", "yaml"] {
        let ran = run(&kubeconfig, ["odd", "--path=odd.log", "-o", format, "-q"]);
        let value: Value = match format {
            "json" => read(format, &ran.expect(0, &[]).stdout),
            // Python's parser of YAML takes minutes for it, where it is not the one in C.
            _ => serde_yaml::from_slice(&ran.expect(0, &[]).stdout).expect("YAML"),
        };
        assert!(value["logs"] == text, "{format}");
    }
    let ran = run(&kubeconfig, ["odd", "--path=odd.log", "-o", "digest", "-q"]);
    assert!(ran.expect(0, &[]).text().starts_with("5 entries of 1 node, 5 templates\n"), "{}", ran.text());
    assert!(!ran.text().contains(['\0', '\u{1b}']));
}

#[test]
fn a_digest_counts_what_is_said_alike_on_all_nodes() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = |node: usize| {
        (0..200)
            .map(|n| format!("E1114 22:13:{:02}.{n:06}    1 a.go:1] \"Failed\" pod=\"ns/p{node}-{n}\"\n", n % 60))
            .collect::<String>()
    };
    let nodes: Vec<Node> = (0..3)
        .map(|node| {
            let folder = folder.path().join(node.to_string());
            std::fs::create_dir(&folder)
                .and_then(|()| std::fs::write(folder.join("x.log"), log(node)))
                .expect("a file");
            Node::new(&format!("node-{node}"), Mode::QUERY_OFF).files(&folder)
        })
        .collect();
    let cluster = Setup::new(nodes).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let ran = run(&kubeconfig, ["node-*", "--path=x.log", "-o", "digest", "--tail=-1"]);
    let text = ran.expect(0, &[]).text();
    assert!(text.starts_with("600 entries of 3 nodes, 1 template\n"), "{text}");
    let row: Vec<&str> = text.lines().nth(2).expect("a row").split_whitespace().collect();
    assert_eq!((row[0], row[1], &row[4..]), ("600", "error", &["node-0,node-1,node-2", "a.go:1", "Failed"][..]));
}
