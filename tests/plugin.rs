//! Credential plugins that do not end by themselves.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{program, ran};

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
