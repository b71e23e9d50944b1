//! Credential plugins, and files, that do not end by themselves.

use std::fs;
use std::io::{BufRead, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::cluster::{Cluster, Key, Mode, Node, Setup, User};
use crate::support::{program, ran, skipped};

fn kubeconfig(directory: &Path, script: &str) -> std::path::PathBuf {
    let file = directory.join("config");
    let text = format!(
        "current-context: x\ncontexts: [{{name: x, context: {{cluster: c, user: u}}}}]\n\
         clusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:1'}}}}]\n\
         users: [{{name: u, user: {{exec: {{apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, \
         command: /bin/sh, args: [-c, '{script}']}}}}}}]\n"
    );
    fs::write(&file, text).expect("a kubeconfig");
    file
}

/// A plugin that leaves a line in a file each time, before it does this.
fn counted(directory: &Path, script: &str) -> (std::path::PathBuf, impl Fn() -> usize) {
    let count = directory.join("count");
    let config = kubeconfig(directory, &format!("echo x >> {}; {script}", count.display()));
    (config, move || fs::read_to_string(&count).map_or(0, |lines| lines.lines().count()))
}

#[test]
fn one_that_fails_or_hangs_runs_once_for_all_nodes() {
    for (script, words, arguments) in [
        ("echo no >&2; exit 3", "failed with exit code 3", &[][..]),
        ("echo junk", "printed no ExecCredential", &[]),
        ("exec sleep 1000", "did not end within 0.2 s", &["--request-timeout", "200ms"]),
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let (config, runs) = counted(directory.path(), script);
        let mut command = program();
        command.args(["a", "b", "c", "d", "--path", "a.log", "--kubeconfig"]).arg(config).args(arguments);
        ran(command.output().expect("the binary runs")).expect(4, &[words]);
        assert_eq!(runs(), 1, "{script}");
    }
}

#[test]
fn ctrl_c_ends_the_run_and_the_plugin() {
    for arguments in [&["node-a"][..], &["node-a", "--for", "pod/a/b"], &["ls", "node-a"]] {
        let directory = tempfile::tempdir().expect("a directory");
        // Opening it waits for the other side, and the plugin's end closes it.
        let fifo = directory.path().join("fifo");
        assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo").success());
        let config = kubeconfig(directory.path(), &format!("exec 3> {}; echo up >&3; exec sleep 1000", fifo.display()));
        let mut command = program();
        command.args(arguments).arg("--kubeconfig").arg(config).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().expect("the binary runs");
        let mut plugin = fs::File::open(&fifo).expect("a fifo");
        plugin.read_exact(&mut [0; 3]).expect("a plugin that runs");
        let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        assert!(killed.expect("kill").success());
        let ran = ran(child.wait_with_output().expect("an end"));
        ran.expect(130, &["the credential plugin \"/bin/sh\" did not end: killed"]);
        assert_eq!(plugin.read_to_end(&mut Vec::new()).expect("the end of the plugin"), 0, "{arguments:?}");
    }
}

/// Fields of the cluster and of the user, each with a file that nobody writes to; the kubeconfig itself is another.
const FILES: [(&str, &str); 5] = [
    ("certificate-authority: @", "{token: x}"),
    ("insecure-skip-tls-verify: true", "{tokenFile: @}"),
    ("insecure-skip-tls-verify: true", "{client-certificate: @, client-key: @}"),
    (
        "insecure-skip-tls-verify: true",
        "{auth-provider: {name: oidc, config: {idp-issuer-url: 'https://i', client-id: a, idp-certificate-authority: @}}}",
    ),
    ("", ""),
];

#[test]
fn files_that_nobody_writes_to_hold_up_neither_timeout_nor_ctrl_c() {
    std::thread::scope(|scope| {
        for (cluster, user) in FILES {
            scope.spawn(move || waits_for(cluster, user));
        }
    });
}

fn waits_for(cluster: &str, user: &str) {
    let directory = tempfile::tempdir().expect("a directory");
    let fifo = directory.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo").success());
    let mut config = fifo.clone();
    if !user.is_empty() {
        config = directory.path().join("config");
        let text = format!(
            "current-context: x\ncontexts: [{{name: x, context: {{cluster: c, user: u}}}}]\n\
                 clusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:1', {cluster}}}}}]\n\
                 users: [{{name: u, user: {user}}}]\n"
        );
        fs::write(&config, text.replace('@', &fifo.display().to_string())).expect("a kubeconfig");
    }
    for arguments in [&["node-a", "--timeout", "200ms"][..], &["ls", "node-a", "--timeout", "200ms"]] {
        let mut command = program();
        command.args(arguments).arg("--kubeconfig").arg(&config);
        ran(command.output().expect("it ends")).expect(3, &["the run took longer than --timeout 200ms"]);
    }
    let mut command = program();
    command.args(["node-a", "--kubeconfig"]).arg(&config).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    // After some seconds of waiting it says so.
    let mut said = std::io::BufReader::new(child.stderr.take().expect("its stderr"));
    let mut line = String::new();
    while !line.contains("note: waiting for what ") {
        line.clear();
        assert!(said.read_line(&mut line).expect("text") > 0, "it ended: {user}");
    }
    assert!(line.contains(&fifo.display().to_string()), "{line}");
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(killed.expect("kill").success());
    assert_eq!(child.wait().expect("an end").code(), Some(130), "{user}");
}

#[test]
fn a_shells_pipes_are_files_as_for_kubectl() {
    let bash = Command::new("bash").arg("-c").arg("test -e <(:)").status();
    if !bash.is_ok_and(|status| status.success()) {
        return skipped("a shell's pipes: there is no bash");
    }
    let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_ON)]).start();
    let directory = tempfile::tempdir().expect("a directory");
    let pair = cluster.pair(User::Admin, Key::EcPkcs8);
    let put = |name: &str, content: &str| fs::write(directory.path().join(name), content).expect("a file");
    put("ca", cluster.ca());
    put("crt", &pair.certificate_pem);
    put("key", &pair.key_pem);
    put("token", &User::Admin.token());
    let config = |user: &str| {
        format!(
            "current-context: x\ncontexts: [{{name: x, context: {{cluster: c, user: u}}}}]\n\
             clusters: [{{name: c, cluster: {{server: '{}'}}}}]\nusers: [{{name: u, user: {user}}}]\n",
            cluster.url()
        )
    };
    put("config", &config("{}"));
    let with_token = "--kubeconfig <(sed \"s|{}|{tokenFile: $1}|\" config) --certificate-authority <(cat ca)";
    for (nth, arguments) in [
        (
            "1",
            "--kubeconfig <(cat config) --certificate-authority <(cat ca) --client-certificate <(cat crt) --client-key <(cat key)",
        ),
        ("2", with_token),
    ] {
        let script = format!("run() {{ \"$0\" node-a node-a --path messages {arguments}; }}; run <(cat token)");
        let mut command = Command::new("bash");
        let binary = env!("CARGO_BIN_EXE_kubectl-kubelet_logs");
        command.args(["-c", &script, binary]).current_dir(directory.path()).stdin(Stdio::null());
        ran(command.output().expect("bash runs")).expect(0, &[]);
        let last = cluster.requests().pop().expect("a request");
        assert_eq!(last.user, "admin", "{nth}");
    }
}

/// Runs with a terminal on which the admin's token is typed; `None` where none can be made.
fn typed(cluster: &Cluster, mode: &str) -> Option<(bool, String)> {
    let directory = tempfile::tempdir().expect("a directory");
    let answer =
        r#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"'$x'"}}"#;
    fs::write(directory.path().join("ask"), format!("printf Token: >&2; read -r x || exit 5; echo '{answer}'\n"))
        .expect("a script");
    let text = format!(
        "current-context: x\ncontexts: [{{name: x, context: {{cluster: c, user: u}}}}]\n\
         clusters: [{{name: c, cluster: {{server: '{}', insecure-skip-tls-verify: true}}}}]\n\
         users: [{{name: u, user: {{exec: {{apiVersion: client.authentication.k8s.io/v1, interactiveMode: {mode}, \
         command: /bin/sh, args: ['{}/ask']}}}}}}]\n",
        cluster.url(),
        directory.path().display()
    );
    fs::write(directory.path().join("config"), text).expect("a kubeconfig");
    let binary = env!("CARGO_BIN_EXE_kubectl-kubelet_logs");
    let run = format!("'{binary}' --kubeconfig '{}/config' node-a --path empty.log", directory.path().display());
    let mut command = Command::new("script");
    command.args(["-qec", &run, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let mut keyboard = child.stdin.take().expect("its stdin");
    keyboard.write_all(format!("{}\n", User::Admin.token()).as_bytes()).expect("a terminal");
    let mut screen = String::new();
    child.stdout.take().expect("its stdout").read_to_string(&mut screen).expect("text");
    drop(keyboard);
    Some((child.wait().expect("an end").success(), screen))
}

#[test]
fn one_that_asks_on_a_terminal_may_or_may_not() {
    let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_ON)]).start();
    for (mode, asks) in [("Always", true), ("IfAvailable", true), ("Never", false)] {
        let before = cluster.requests().len();
        let Some((good, screen)) = typed(&cluster, mode) else {
            return skipped("a plugin that asks on a terminal: there is no program `script`");
        };
        assert_eq!((good, screen.contains("Token:")), (asks, true), "{mode}: {screen}");
        assert_eq!(screen.contains("failed with exit code 5"), !asks, "{mode}: {screen}");
        let users: Vec<String> = cluster.requests().split_off(before).into_iter().map(|asked| asked.user).collect();
        assert_eq!(users.iter().any(|user| user == "admin"), asks, "{mode}: {users:?}");
    }
}

#[test]
fn what_one_says_on_stderr_is_its_own_affair_and_said_once() {
    for script in [
        "echo s3cr3t-word >&2; exit 1",
        "echo s3cr3t-word >&2; echo s3cr3t-other; echo {",
        "echo s3cr3t-word >&2; echo s3cr3t",
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let config = kubeconfig(directory.path(), script);
        for verbosity in ["0", "10"] {
            let mut command = program();
            command.args(["node-a", "--path", "a.log", "-v", verbosity, "--kubeconfig"]).arg(&config);
            let ran = ran(command.output().expect("the binary runs"));
            ran.expect(4, &["s3cr3t-word\n"]);
            assert_eq!(ran.stderr.matches("s3cr3t").count(), 1, "{}", ran.stderr);
        }
    }
}
