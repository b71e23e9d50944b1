//! Several programs that refresh the tokens of one kubeconfig at a time.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::cluster::{Cluster, Mode, Node, Setup, User};
use crate::support::issuer::{Issuer, id_token};
use crate::support::{program, ran};

/// A cluster, an issuer whose id-tokens have ended as soon as they are given, and a kubeconfig.
fn scene(directory: &Path) -> (Cluster, Issuer) {
    let cluster = Setup::new(vec![Node::new("node-a", Mode::QUERY_ON)]).start();
    let issuer = Issuer::start(Duration::from_secs(5), cluster.acceptor(User::Admin));
    let text = format!(
        "# mine\ncurrent-context: x  # usual\ncontexts: [{{name: x, context: {{cluster: c, user: u}}}}]\n\
         clusters: [{{name: c, cluster: {{server: '{}', certificate-authority-data: {}}}}}]\n\
         users:\n- name: u\n  user:\n    auth-provider: {}\n# the end\n",
        cluster.url(),
        STANDARD.encode(cluster.ca()),
        issuer.auth_provider("rotating", &id_token(1_700_000_000, "old")),
    );
    fs::write(directory.join("config"), text).expect("a kubeconfig");
    (cluster, issuer)
}

/// A text with the values of the two tokens cut out.
fn without_tokens(text: &str) -> String {
    let mut rest = text.to_owned();
    for (before, after) in [("id-token: ", ","), ("refresh-token: '", "'")] {
        let start = rest.find(before).expect("a token") + before.len();
        let end = start + rest[start..].find(after).expect("its end");
        rest.replace_range(start..end, "");
    }
    rest
}

#[test]
fn eight_at_a_time_lose_no_token_and_the_file_is_whole_at_every_moment() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("config");
    let (cluster, issuer) = scene(directory.path());
    let before = fs::read_to_string(&file).expect("a kubeconfig");
    let done = AtomicBool::new(false);
    let looks = std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let mut looks = 0;
            while !done.load(Ordering::SeqCst) {
                let text = fs::read_to_string(&file).expect("the file is there at every moment");
                assert_eq!(without_tokens(&text), without_tokens(&before), "only the tokens change");
                looks += 1;
            }
            looks
        });
        let running: Vec<_> = (0..8)
            .map(|_| {
                let mut command = program();
                command.arg("--kubeconfig").arg(&file).args(["node-a", "--path", "empty.log"]);
                command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs")
            })
            .collect();
        let ended: Vec<_> = running.into_iter().map(|child| ran(child.wait_with_output().expect("an end"))).collect();
        done.store(true, Ordering::SeqCst);
        for ran in ended {
            ran.expect(0, &[]);
            assert!(!ran.stderr.contains("warning") && !ran.stderr.contains("s3cr3t"), "{}", ran.stderr);
        }
        watching.join().expect("a whole file")
    });
    assert!(looks > 8, "the file was hardly looked at");
    let asked = issuer.asked();
    assert_eq!(asked.len(), 8, "each id-token had ended, so each run got its own");
    let mut used: Vec<&str> = asked.iter().map(|asked| asked.refresh_token.as_str()).collect();
    used.sort_unstable();
    used.dedup();
    assert_eq!(used.len(), 8, "no refresh token was used twice");
    let after = fs::read_to_string(&file).expect("a kubeconfig");
    let [live] = issuer.live().try_into().expect("one living refresh token");
    assert!(after.contains(&format!("refresh-token: '{live}'")), "the living one was saved");
    assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 1, "nothing is left behind");
    assert_eq!(cluster.requests().iter().filter(|request| request.user == "admin").count(), 8);
}

#[test]
fn kubectl_and_we_take_turns() {
    let kubectl = |args: &[&str]| {
        let mut command = Command::new("kubectl");
        command.args(args).env("HOME", "/nonexistent");
        command.output()
    };
    if !kubectl(&["version", "--client"]).is_ok_and(|output| output.status.success()) {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("config");
    let config = format!("--kubeconfig={}", file.display());
    let (cluster, issuer) = scene(directory.path());
    let said = |args: &[&str]| {
        let output = kubectl(&[&[config.as_str()], args].concat()).expect("kubectl runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    for n in 0..3 {
        // It refreshes too, and writes the file anew in its own style.
        said(&["get", "--raw", "/api/v1/nodes/node-a/proxy/logs/empty.log"]);
        said(&["config", "set", &format!("contexts.x{n}.namespace"), "n"]);
        let before = fs::read_to_string(&file).expect("a kubeconfig");
        let output = program().arg(&config).args(["node-a", "--path", "empty.log"]).output();
        ran(output.expect("the binary runs")).expect(0, &[]);
        let after = fs::read_to_string(&file).expect("a kubeconfig");
        let changed: Vec<&str> =
            after.lines().zip(before.lines()).filter(|(new, old)| new != old).map(|(new, _)| new.trim()).collect();
        assert!(
            matches!(changed[..], [id, refresh] if id.starts_with("id-token: ") && refresh.starts_with("refresh-token: ")),
            "{changed:?}"
        );
    }
    let asked: Vec<String> = issuer.asked().into_iter().map(|asked| asked.refresh_token).collect();
    let [live] = issuer.live().try_into().expect("one living refresh token");
    assert!(fs::read_to_string(&file).expect("a kubeconfig").contains(&live));
    let different: std::collections::BTreeSet<&String> = asked.iter().collect();
    assert!(asked.len() >= 6 && different.len() == asked.len(), "a refresh token was used twice: {asked:?}");
    assert!(cluster.requests().iter().filter(|request| request.user == "admin").count() >= 6);
}
