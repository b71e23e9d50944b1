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
