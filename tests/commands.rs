//! What stands around a log: listing, completion, timestamps, notes, and commands that need no cluster.

use std::path::Path;

use crate::cluster::{Cluster, Health, Journal, Mode, Node, Setup, User};
use crate::support::{program, ran, run};

fn start() -> Cluster {
    Setup::new(vec![
        Node::new("node-a", Mode::QUERY_ON),
        Node::new("node-b", Mode::QUERY_OFF),
        Node::new("logs", Mode::QUERY_ON),
        Node::new("node-d", Mode::QUERY_ON).health(Health::Down),
    ])
    .start()
}

#[test]
fn commands_without_a_cluster_work_with_a_broken_kubeconfig() {
    for args in
        [&["--help"][..], &["-h"], &["help", "ls"], &["--version"], &["version"], &["man"], &["completion", "bash"]]
    {
        let ran = ran(program().env("KUBECONFIG", "/dev/null/none").args(args).output().expect("runs"));
        ran.expect(0, &[]);
        assert!(ran.text().contains("kubelet"), "{args:?}");
        assert!(ran.stderr.is_empty(), "{args:?}: {}", ran.stderr);
    }
    let ran = ran(program().env("KUBECONFIG", "/dev/null/none").arg("node-a").output().expect("runs"));
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.starts_with("error: "), "{}", ran.stderr);
}

#[test]
fn a_node_called_like_a_subcommand_is_named_with_its_kind() {
    let cluster = start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let plain = run(&kubeconfig, ["node-a", "--tail", "3"]);
    for args in [
        &["node/logs", "--tail", "3"][..],
        &["logs", "node/logs", "--tail", "3"],
        &["logs", "nodes/node-a", "--tail=3"],
    ] {
        let ran = run(&kubeconfig, args);
        ran.expect(0, &[]);
        assert_eq!(ran.stdout, plain.stdout, "{args:?}");
    }
}

/// Each line that is printed, given to a shell with kubectl on its PATH, gets what the run got.
#[test]
fn printed_requests_are_kubectls_own() {
    let cluster = start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    for args in [
        &["node-a", "--path", "quote\"s and 'single'.log"][..],
        &["node-a", "--since-time", "2026-11-21T00:00:00Z"],
        &["ls", "node-b"],
    ] {
        let before = cluster.requests().len();
        let ran = run(&kubeconfig, args.iter().chain(&["--print-requests", "-q"]));
        let mut sent: Vec<String> = cluster.requests()[before..].iter().map(|request| request.target.clone()).collect();
        let kubeconfig = kubeconfig.to_str().expect("text");
        let mut printed = Vec::new();
        for line in ran.stderr.lines().filter(|line| line.starts_with("kubectl ")) {
            let line = line.split("  # with Range: ").next().expect("a line");
            let words = format!("printf '%s\\n' {line}");
            let split = std::process::Command::new("sh").arg("-c").arg(words).output().expect("a shell").stdout;
            let split = String::from_utf8(split).expect("text");
            let words: Vec<&str> = split.lines().collect();
            assert_eq!(words[..5], ["kubectl", "--kubeconfig", kubeconfig, "get", "--raw"]);
            printed.push(words[5..].join("\n"));
        }
        // `ls` asks for sizes side by side.
        sent.sort();
        printed.sort();
        assert_eq!(printed, sent, "{}", ran.stderr);
    }
}

#[test]
fn kubectl_is_told_which_nodes_there_are() {
    let cluster = start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let link = tempfile::tempdir().expect("a directory");
    let hook = link.path().join("kubectl_complete-kubelet_logs");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_kubectl-kubelet_logs"), &hook).expect("a link");
    let complete = |words: &[&str], kubeconfig: &Path| {
        let mut command = std::process::Command::new(&hook);
        let ran = ran(command.env_clear().env("KUBECONFIG", kubeconfig).args(words).output().expect("runs"));
        ran.expect(0, &[]);
        assert!(ran.stderr.is_empty(), "{}", ran.stderr);
        ran.text().to_owned()
    };
    let nodes = complete(&["node-"], &kubeconfig);
    assert_eq!(nodes, "node-a\nnode-b\nnode-d\n:4\n");
    let flags = complete(&["node-a", "--ta"], &kubeconfig);
    assert!(flags.starts_with("--tail") && flags.ends_with(":4\n"), "{flags}");
    // Contexts are known without asking anybody.
    let several = link.path().join("config");
    let contexts = "contexts: [{name: prod-eu, context: {}}, {name: prod-us, context: {}}, {name: test, context: {}}]";
    std::fs::write(&several, contexts).expect("a file");
    assert_eq!(complete(&["node-a", "--context", "prod"], &several), "prod-eu\nprod-us\n:4\n");
    assert_eq!(complete(&["--context=t"], &several), "test\n:4\n");
    let refused = ran(program().env("KUBECONFIG", &several).args(["n", "--context", "prod-e"]).output().expect("runs"));
    refused.expect(1, &["hint: did you mean \"prod-eu\"? there are: \"prod-eu\", "]);
    // Nobody to ask: no nodes, no noise.
    assert!(complete(&["node-"], Path::new("/dev/null/none")).ends_with(":4\n"));
}

#[test]
fn a_listing_tells_names_sizes_and_times_one_a_line() {
    let cluster = start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let ran = run(&kubeconfig, ["ls", "node-b"]);
    ran.expect(0, &[]);
    let root = cluster.var_log("node-b");
    let size = std::fs::metadata(root.join("kubelet.log")).expect("a file").len().to_string();
    let line = ran.text().lines().find(|line| line.ends_with("  kubelet.log")).expect("kubelet.log");
    assert_eq!(line.split_whitespace().collect::<Vec<_>>(), [&*size, "2023-11-14T22:18:41Z", "kubelet.log"]);
    for name in ["audit/", "empty.log", "name with space & <angle>.log", "café-100%.log", "quote\"s and 'single'.log"]
    {
        assert!(ran.text().lines().any(|line| line.ends_with(&format!("  {name}"))), "{name}: {}", ran.text());
    }
    let empty = ran.text().lines().find(|line| line.ends_with("  empty.log")).expect("empty.log");
    assert!(empty.trim_start().starts_with("0 "), "{empty}");
    let entries = std::fs::read_dir(root).expect("a directory").count();
    let (files, _journal) = ran.text().split_once("\n\n").expect("files, then what the journal holds");
    assert_eq!(files.lines().count(), 1 + entries);

    assert!(run(&kubeconfig, ["ls", "node-b:audit"]).text().ends_with("  audit.log\n"));
    run(&kubeconfig, ["ls", "node-b:nosuch"]).expect(5, &["no directory /var/log/nosuch"]);
    run(&kubeconfig, ["ls", "node-b:kubelet.log"]).expect(2, &["no directory", "--path kubelet.log"]);
    run(&kubeconfig, ["ls", "node-d"]).expect(6, &["connection refused"]);
    run(&kubeconfig, ["ls", "nosuch"]).expect(5, &["not found"]);
    run(&cluster.kubeconfig(User::NoProxy), ["ls", "node-a"]).expect(4, &["nodes/proxy"]);
}

#[test]
fn a_large_directory_is_listed_without_a_request_for_each_file() {
    let root = tempfile::tempdir().expect("a directory");
    for n in 0..250 {
        std::fs::write(root.path().join(format!("{n}.log")), "x").expect("a file");
    }
    let cluster = Setup::new(vec![Node::new("many", Mode::QUERY_OFF).files(root.path())]).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let ran = run(&kubeconfig, ["ls", "many"]);
    ran.expect(0, &["250 files", "--long"]);
    assert_eq!((ran.text().lines().count(), cluster.requests().len()), (250, 1));
    let long = run(&kubeconfig, ["ls", "many", "--long"]);
    assert!(long.text().lines().all(|line| line.trim_start().starts_with("1 ")), "{}", long.text());
    assert_eq!(cluster.requests().len(), 1 + 251);
}

#[test]
fn timestamps_stand_before_every_line_in_the_wanted_zone() {
    let cluster = start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    for node in [&["node-a"][..], &["node-b", "--path", "kubelet.log"]] {
        let ask = |more: &[&str]| run(&kubeconfig, node.iter().chain(more));
        let plain = ask(&[]);
        let utc = ask(&["--timestamps"]);
        let east = ask(&["--timestamps", "--timezone", "+05:30"]);
        let strip = |text: &str, width: usize| -> String {
            text.split_inclusive('\n').map(|line| line.get(width..).expect("a timestamp")).collect()
        };
        assert!(
            utc.text()
                .lines()
                .filter(|l| !l.contains("-- Boot"))
                .all(|l| l.starts_with("2023-11-14T22:1") && l.get(26..28) == Some("Z "))
        );
        let without_boots =
            |text: String| text.split_inclusive('\n').filter(|l| !l.contains("-- Boot")).collect::<String>();
        let lines = without_boots(utc.text().to_owned());
        assert_eq!(strip(&lines, 28), without_boots(plain.text().to_owned()), "{node:?}");
        assert!(
            without_boots(east.text().to_owned())
                .lines()
                .all(|l| l.starts_with("2023-11-15T03:4") && l.contains("+05:30 "))
        );
    }
}

#[test]
fn the_byte_limit_cuts_at_a_line_end_and_says_so() {
    let cluster = start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    for node in ["node-a", "node-b"] {
        let whole = run(&kubeconfig, [node]).stdout;
        let ran = run(&kubeconfig, [node, "--limit-bytes", "5000"]);
        ran.expect(0, &["stopped after", "--limit-bytes"]);
        assert!(ran.stdout.len() <= 5000 && ran.stdout.len() > 1000 && ran.stdout.ends_with(b"\n"));
        assert!(whole.starts_with(&ran.stdout));
        let all = run(&kubeconfig, [node, "--limit-bytes", "100000000"]);
        assert!(all.stdout == whole && !all.stderr.contains("stopped"));
    }
}

#[test]
fn quiet_hides_notes_and_verbosity_shows_requests_without_secrets() {
    let cluster = start();
    let kubeconfig = cluster.kubeconfig(User::LogReader);
    let noted = run(&kubeconfig, ["node-b", "--tail", "1", "--source", "file"]);
    noted.expect(0, &["note: node-b: reading /var/log/kubelet.log"]);
    let quiet = run(&kubeconfig, ["node-b", "--tail", "1", "--source", "file", "-q"]);
    assert!(quiet.stderr.is_empty() && quiet.stdout == noted.stdout);
    let token = User::LogReader.token();
    for (verbosity, shown) in [("6", "GET https://"), ("8", "uthorization")] {
        let ran = run(&kubeconfig, ["node-b", "--tail", "1", "-v", verbosity]);
        ran.expect(0, &[shown, "/api/v1/nodes/node-b/proxy/logs/"]);
        assert!(!ran.stderr.contains(&token), "{}", ran.stderr);
    }
}

#[test]
fn lines_about_one_pod_are_found_by_name_and_uid() {
    let cluster = start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    let all = run(&kubeconfig, ["node-a"]);
    let name =
        all.text().split("pod=\"prod/").nth(1).and_then(|rest| rest.split('"').next()).expect("a pod").to_owned();
    let ran = run(&kubeconfig, ["node-a", "--for", &format!("pod/prod/{name}")]);
    ran.expect(0, &["known by its name alone"]);
    let expected: Vec<&str> = all.text().lines().filter(|line| line.contains(&name)).collect();
    assert!(!expected.is_empty());
    assert!(expected.iter().all(|line| ran.text().lines().any(|shown| shown == *line)), "{}", ran.text());
    assert!(ran.text().lines().count() < all.text().lines().count() / 2);
}

#[test]
fn severities_select_klog_lines_and_refuse_to_guess() {
    let cluster = start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    for (node, source) in [("node-a", "--source=query"), ("node-b", "--source=file")] {
        let ran = run(&kubeconfig, [node, "-P", "E", source]);
        ran.expect(0, &[]);
        let message = |line: &str| match line.strip_prefix("Nov ") {
            Some(rest) => rest.split_once("]: ").map_or(line, |(_, message)| message).to_owned(),
            None => line.to_owned(),
        };
        let errors = ran.text().lines().filter(|l| !l.starts_with("-- ") && !l.starts_with(' ')).map(message);
        let errors: Vec<String> = errors.collect();
        let milder = |l: &String| l.len() > 5 && "IW".contains(&l[..1]) && l[1..5].bytes().all(|b| b.is_ascii_digit());
        assert!(errors.len() > 10 && !errors.iter().any(milder), "{errors:#?}");
    }
    // The journal knows how urgent any program's lines are.
    let urgent = run(&kubeconfig, ["node-b", "-P", "err", "-o", "jsonl"]);
    let lines: Vec<&str> = urgent.expect(0, &[]).text().lines().collect();
    let severe = |line: &str| line.contains("\"severity\":\"error\"") || line.contains("\"severity\":\"fatal\"");
    let wanted = |line: &str| severe(line) || (0..=3).any(|level| line.contains(&format!("\"priority\":{level},")));
    assert!(lines.len() > 10 && lines.iter().all(|line| wanted(line)), "{lines:#?}");
    assert!(lines.iter().any(|line| !severe(line)), "the priority alone");
    run(&kubeconfig, ["node-a", "-u", "sshd", "-P", "E", "--source", "query"]).expect(2, &["--priority"]);
    // Where nothing is left to judge, nothing matched; klog's JSON marks its errors.
    let folder = tempfile::tempdir().expect("a directory");
    let log = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("a file");
        folder.path().join(name).to_str().expect("text").to_owned()
    };
    let klog = log("klog", "2023-11-14T22:13:20.5Z I1114 22:13:20.500000    1 a.go:1] x\n");
    let ran = run(&kubeconfig, ["--from", &klog, "-P", "E", "--since-time", "2023-11-14T22:13:21Z"]);
    ran.expect(0, &["nothing matched"]);
    let failed = "{\"ts\":1700000001000.5,\"msg\":\"x\",\"err\":\"y\"}\n";
    let json = log("json", &format!("{}{failed}", failed.replace("err", "v")));
    assert_eq!(run(&kubeconfig, ["--from", &json, "-P", "E"]).expect(0, &[]).text(), failed);
    let plain = log("plain", "2023-11-14T22:13:20.5Z x\n");
    run(&kubeconfig, ["--from", &plain, "-P", "E"]).expect(2, &["no line begins with a klog header"]);
    run(&kubeconfig, ["node-a", "-t", "kubelet", "--source", "query"]).expect(2, &["--identifier"]);
}

#[test]
fn of_several_files_what_is_not_there_hides_none_and_is_missing() {
    let cluster = start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    for more in [&[][..], &["--tail=3"], &["-gkubelet"]] {
        let alone = run(&kubeconfig, ["node-b", "--path=messages"].iter().chain(more));
        assert!(!alone.expect(0, &[]).stdout.is_empty());
        for paths in [["--path=messages", "--path=nosuch"], ["--path=nosuch", "--path=messages"]] {
            let ran = run(&kubeconfig, ["node-b"].iter().chain(&paths).chain(more));
            ran.expect(3, &["not all of it is there: no file /var/log/nosuch", "ls node-b"]);
            assert!(ran.stdout == alone.stdout, "{paths:?} {more:?}");
        }
    }
    run(&kubeconfig, ["node-b", "--path=nosuch", "--path=gone"]).expect(5, &["no file /var/log/nosuch"]);
    run(&kubeconfig, ["node-b", "--path=empty.log"]).expect(0, &["note: node-b: /var/log/empty.log is empty"]);
    let machine = std::fs::read_dir(cluster.var_log("node-b").join("journal")).expect("a journal").next();
    let machine = machine.expect("a machine").expect("an entry").file_name().into_string().expect("UTF-8");
    let path = format!("journal/{machine}/system.journal");
    let ran = run(&kubeconfig, ["node-b", "--path", &path]);
    ran.expect(0, &["is a journal: its bytes are printed; -u UNIT, or --source journal"]);
    assert!(ran.stdout.starts_with(b"LPKSHHRH"));
}

#[test]
fn what_was_left_out_or_looked_for_is_told() {
    let nodes = [("on", Journal::Restarts), ("memory", Journal::None)];
    let nodes = nodes.map(|(name, journal)| Node::new(name, Mode::QUERY_ON).journal(journal));
    let cluster = Setup::new(nodes.into()).start();
    let kubeconfig = cluster.kubeconfig(User::Admin);
    run(&kubeconfig, ["on", "--since=kubelet-start", "-gzzzz"])
        .expect(0, &["note: on: the window was 2023-11-14T22:1", " to its end, both included", "nothing matched"]);
    run(&kubeconfig, ["memory", "-PE"]).expect(0, &["lines without a klog header show no severity here"]);
    run(&kubeconfig, ["on", "-tkublet"]).expect(0, &["note: on: nothing in its journal was logged as kublet"]);
    assert!(
        !run(&kubeconfig, ["on", "-tkubelet", "-gzzyq"]).expect(0, &["nothing matched"]).stderr.contains("logged as")
    );
    assert_eq!(run(&kubeconfig, ["on", "-PE"]).expect(0, &[]).stderr, "");
    run(&kubeconfig, ["ls", "memory"])
        .expect(0, &["no journal can be read here, so its units and boots are not listed"]);
    assert_eq!(run(&kubeconfig, ["ls", "on"]).expect(0, &[]).stderr, "");
}
