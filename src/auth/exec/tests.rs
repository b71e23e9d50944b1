//! A plugin's surroundings, its answers and its failures.

use std::io::Read;

use tokio::sync::oneshot;

use super::*;
use crate::config::{Scheme, Server};

const CRT: &str = include_str!("../../../fixtures/kubeconfigs/keys/ec.crt");
const KEY: &str = include_str!("../../../fixtures/kubeconfigs/keys/ec-sec1.key");
const OTHER_KEY: &str = include_str!("../../../fixtures/kubeconfigs/keys/rsa-pkcs8.key");

fn cluster() -> Cluster {
    Cluster {
        server: Server::parse("https://a.example:6443/p/", Scheme::Http).unwrap(),
        tls_server_name: Some("b.example".into()),
        trust: Trust::System,
        certificate_authority_data: Some(b"ca".to_vec()),
        authority_source: String::new(),
        proxy: None,
        disable_compression: true,
        exec_extension: Some(json!({"audience": "x", "n": [1, null]})),
    }
}

fn exec(script: &str) -> Exec {
    Exec {
        command: "/bin/sh".into(),
        args: vec!["-c".into(), script.into(), "plugin".into()],
        env: vec![],
        api: ExecApi::V1,
        install_hint: None,
        provide_cluster_info: false,
        interactive: Interactive::Never,
        policy: PluginPolicy::AllowAll,
    }
}

fn env() -> Env {
    Env::new([("PATH", "/usr/bin:/bin"), ("INHERITED", "yes"), ("BOTH", "environment")])
}

fn plugin_of(exec: &Exec, stdin: Stdin) -> Plugin {
    Plugin::new(exec, &cluster(), &env(), Notices::new(0, false, |_| {}), stdin)
}

/// A plugin, and what is said about it.
fn heard(script: &str) -> (Plugin, Arc<std::sync::Mutex<Vec<String>>>) {
    let lines = Arc::new(std::sync::Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    let notices = Notices::new(0, false, move |line| sink.lock().unwrap().push(line.to_owned()));
    (Plugin::new(&exec(script), &cluster(), &env(), notices, Stdin::Other), lines)
}

fn plugin(script: &str) -> Plugin {
    plugin_of(&exec(script), Stdin::Other)
}

fn printing(value: &Value) -> String {
    format!("cat <<'END'\n{value}\nEND\n")
}

fn answer(status: Value) -> Value {
    json!({"apiVersion": ExecApi::V1.name(), "kind": "ExecCredential", "status": status})
}

fn block_on<F: Future>(work: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn token(plugin: &Plugin) -> Result<String> {
    let credentials = block_on(plugin.current(&Clock::System))?;
    Ok(credentials.authorization.as_ref().map_or("none", |value| value.to_str().unwrap()).to_owned())
}

/// A plugin that counts its runs in a file and gives the count as its token.
fn counting(directory: &Path, status: &str) -> Plugin {
    let count = directory.join("count").display().to_string();
    plugin(&format!(
        "echo x >> {count}; n=$(wc -l < {count}); n=$((n)); printf '{}' \"$n\"",
        answer(json!({"token": "%s"})).to_string().replace("\"%s\"", &format!("\"%s\"{status}"))
    ))
}

#[test]
fn a_failure_counts_for_all_and_for_a_while() {
    let directory = tempfile::tempdir().unwrap();
    let count = directory.path().join("count");
    let plugin = plugin(&format!("echo x >> {}; exit 7", count.display()));
    let runs = || std::fs::read_to_string(&count).unwrap_or_default().lines().count();
    let at = |seconds: i64| Clock::Fixed(Timestamp::from_micros(seconds * 1_000_000));
    let clock = at(100);
    block_on(async {
        let (a, b, c) = tokio::join!(plugin.current(&clock), plugin.identity(&clock), plugin.renew(0, &clock));
        let words =
            [a.unwrap_err(), b.unwrap_err(), c.unwrap_err()].map(|error| (error.chain(), error.remedy().is_some()));
        assert!(words[0].0.contains("failed with exit code 7") && words.iter().all(|w| *w == words[0]), "{words:?}");
    });
    assert_eq!(runs(), 1);
    for (seconds, expected) in [(109, 1), (110, 2), (119, 2), (120, 3)] {
        assert!(block_on(plugin.current(&at(seconds))).is_err());
        assert_eq!(runs(), expected, "{seconds}");
    }
}

#[test]
fn it_gets_environment_arguments_and_info() {
    let mut exec = exec(
        "printf '{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":{\"token\":\"%s\"}}' \
         \"$INHERITED,$BOTH,$OWN,$2,$#,$(printf %s \"$KUBERNETES_EXEC_INFO\" | base64 | tr -d '\\n')\"",
    );
    exec.args.extend(["a".into(), "b c".into(), "".into()]);
    exec.env = vec![
        ("BOTH".into(), "first".into()),
        ("BOTH".into(), "config".into()),
        ("OWN".into(), "own".into()),
        ("KUBERNETES_EXEC_INFO".into(), "forged".into()),
    ];
    for (cluster_info, expected) in [
        (false, json!({"interactive": false})),
        (
            true,
            json!({"interactive": false, "cluster": {
                "server": "https://a.example:6443/p/", "tls-server-name": "b.example",
                "certificate-authority-data": "Y2E=", "disable-compression": true,
                "config": {"audience": "x", "n": [1, null]},
            }}),
        ),
    ] {
        exec.provide_cluster_info = cluster_info;
        let token = token(&plugin_of(&exec, Stdin::Other)).unwrap();
        let (words, info) = token.rsplit_once(',').unwrap();
        assert_eq!(words, "Bearer yes,config,own,b c,3");
        let info: Value = serde_json::from_slice(&STANDARD.decode(info).unwrap()).unwrap();
        assert_eq!(info, json!({"apiVersion": ExecApi::V1.name(), "kind": "ExecCredential", "spec": expected}));
    }
}

#[test]
fn the_interactive_mode_decides_about_stdin() {
    let script = printing(&answer(json!({"token": "t"})));
    for (mode, stdin, expected) in [
        (Interactive::Never, Stdin::Terminal, Some(false)),
        (Interactive::IfAvailable, Stdin::Other, Some(false)),
        (Interactive::Always, Stdin::Other, None),
    ] {
        // Without a terminal the plugin reads nothing, whatever ours is.
        let guarded = format!(
            "case \"$KUBERNETES_EXEC_INFO\" in *'\"interactive\":false'*) ;; *) exit 9;; esac; read x && exit 8; {script}"
        );
        let plugin = plugin_of(&Exec { interactive: mode, ..exec(&guarded) }, stdin);
        match (token(&plugin), expected) {
            (Ok(token), Some(false)) => assert_eq!(token, "Bearer t"),
            (Err(error), None) => {
                assert!(error.chain().contains("needs a terminal") && error.kind() == Kind::Denied)
            }
            (got, _) => panic!("{mode:?} {stdin:?}: {got:?}"),
        }
    }
    // A terminal's stdin is handed on; here it is the test's own, so only what it is told can be looked at.
    let told = "case \"$KUBERNETES_EXEC_INFO\" in *'\"interactive\":true'*) ;; *) exit 9;; esac; ";
    for mode in [Interactive::IfAvailable, Interactive::Always] {
        let plugin = plugin_of(&Exec { interactive: mode, ..exec(&format!("{told}{script}")) }, Stdin::Terminal);
        assert_eq!(token(&plugin).unwrap(), "Bearer t");
    }
}

#[test]
fn good_answers() {
    let yaml = "apiVersion: client.authentication.k8s.io/v1\nkind: ExecCredential\nstatus: {token: t}\n";
    for output in [
        answer(json!({"token": "t"})).to_string(),
        answer(json!({"token": "t", "expirationTimestamp": null, "other": 1})).to_string(),
        answer(json!({"token": "t", "expirationTimestamp": "2026-11-21T03:07:12.5+02:00"})).to_string(),
        format!("\n {}\n\n", answer(json!({"token": "t", "clientCertificateData": "", "clientKeyData": null}))),
        json!({"apiVersion": ExecApi::V1.name(), "status": {"token": "t"}}).to_string(),
        yaml.to_owned(),
    ] {
        let credentials = plugin("").read(output.as_bytes(), 1).unwrap();
        assert_eq!(credentials.authorization.unwrap(), "Bearer t", "{output}");
        assert!(credentials.identity.is_none());
    }
    let both = answer(json!({"token": "t", "clientCertificateData": CRT, "clientKeyData": KEY})).to_string();
    let credentials = plugin("").read(both.as_bytes(), 1).unwrap();
    assert!(credentials.authorization.is_some() && credentials.identity.is_some());
    let beta = Plugin { api: ExecApi::V1beta1, ..plugin("") };
    let answer = json!({"apiVersion": ExecApi::V1beta1.name(), "kind": "ExecCredential", "status": {"token": "t"}});
    assert!(beta.read(answer.to_string().as_bytes(), 1).is_ok());
}

#[test]
fn bad_answers_are_told_without_their_content() {
    let s = "s3cr3t";
    for (output, words) in [
        (String::new(), "answered as nothing, not client.authentication.k8s.io/v1"),
        (s.to_owned(), "printed no ExecCredential: neither JSON nor YAML (line 1)"),
        (format!("error: {s}"), "answered as nothing"),
        (format!("logging in\n{}", answer(json!({"token": s}))), "neither JSON nor YAML"),
        (format!("{} {s}", answer(json!({"token": s}))), "trailing characters"),
        (format!("{{\"{s}"), "EOF while parsing"),
        ("[]".to_owned(), "neither JSON nor YAML"),
        ("\u{1}".to_owned(), "neither JSON nor YAML"),
        (json!({"apiVersion": ExecApi::V1beta1.name(), "status": {"token": s}}).to_string(), "v1beta1, not client"),
        (json!({"apiVersion": s, "status": {"token": s}}).to_string(), "answered as something else"),
        (json!({"apiVersion": ExecApi::V1.name(), "kind": s, "status": {}}).to_string(), "of another kind"),
        (json!({"apiVersion": ExecApi::V1.name(), "kind": "ExecCredential"}).to_string(), "has no status"),
        (answer(json!({})).to_string(), "gave neither a token nor a certificate"),
        (answer(json!({"token": ""})).to_string(), "gave neither"),
        (answer(json!({"Token": s})).to_string(), "gave neither"),
        (answer(json!({"token": 1234567})).to_string(), "a number where a string"),
        (answer(json!({"token": format!("{s}\n")})).to_string(), "gave a bad token: the token holds a control"),
        (answer(json!({"clientCertificateData": CRT})).to_string(), "a certificate without its key"),
        (answer(json!({"clientKeyData": KEY, "token": s})).to_string(), "a key without its certificate"),
        (answer(json!({"clientKeyData": OTHER_KEY, "clientCertificateData": CRT})).to_string(), "does not belong"),
        (answer(json!({"clientKeyData": s, "clientCertificateData": CRT})).to_string(), "holds no private key"),
        (answer(json!({"clientKeyData": KEY, "clientCertificateData": s})).to_string(), "holds no certificate"),
        (answer(json!({"token": s, "expirationTimestamp": s})).to_string(), "expirationTimestamp"),
    ] {
        let error = plugin("").read(output.as_bytes(), 1).unwrap_err();
        let chain = error.chain();
        assert!(chain.starts_with("credential plugin \"/bin/sh\" ") && chain.contains(words), "{output}: {chain}");
        assert!(!chain.contains(s) && !chain.contains("1234567") && !chain.contains("PRIVATE KEY"), "{chain}");
        assert_eq!(error.kind(), Kind::Denied);
    }
}

#[test]
fn failures_name_the_program_and_its_end() {
    for (script, words) in [
        ("echo s3cr3t; exit 3", "failed with exit code 3"),
        ("kill -9 $$", "failed with signal 9"),
        ("yes s3cr3t", "printed more than 1 MiB"),
    ] {
        let error = token(&plugin(script)).unwrap_err();
        assert_eq!(error.chain(), format!("credential plugin \"/bin/sh\" {words}"));
        assert!(error.kind() == Kind::Denied && error.remedy().is_some());
    }
    let gone = Exec { command: "/no/such/plugin".into(), ..exec("") };
    let chain = token(&plugin_of(&gone, Stdin::Other)).unwrap_err().chain();
    assert!(chain.starts_with("credential plugin \"/no/such/plugin\" can't be run: No such file"), "{chain}");
}

#[test]
fn a_plugin_that_is_not_installed_says_how_to_get_it() {
    let mut missing = Exec { command: "no-such-plugin".into(), ..exec("") };
    let error = token(&plugin_of(&missing, Stdin::Other)).unwrap_err();
    assert_eq!(error.chain(), "credential plugin \"no-such-plugin\" not found on PATH");
    assert!(error.remedy().unwrap().starts_with("install it"));
    missing.install_hint = Some(format!("get \x1b[31mit\n\tnow\x07 é{}", "x".repeat(10_000)));
    let error = token(&plugin_of(&missing, Stdin::Other)).unwrap_err();
    let hint = error.remedy().unwrap();
    assert!(hint.starts_with("get \\x1b[31mit\n\tnow\\x07 é") && hint.len() < 5000, "{hint}");
}

#[test]
fn only_absolute_entries_of_path_are_searched() {
    let plugin = |path: &str, command: &str| {
        let exec = Exec { command: command.into(), ..exec("") };
        let env = Env::new([("PATH", path)]);
        Plugin::new(&exec, &cluster(), &env, Notices::new(0, false, |_| {}), Stdin::Other).permitted()
    };
    assert_eq!(plugin("/nowhere:/bin", "sh").unwrap(), Path::new("/bin/sh"));
    for path in ["bin", ".", "", "/etc"] {
        assert!(plugin(path, "sh").is_err(), "{path}");
    }
    assert!(plugin("/etc", "passwd").is_err(), "not executable");
    assert_eq!(plugin("", "./sh").unwrap(), Path::new("./sh"), "a path is no name");
}

#[test]
fn credentials_are_kept_until_they_expire() {
    let dir = tempfile::tempdir().unwrap();
    let forever = counting(dir.path(), "");
    assert_eq!(token(&forever).unwrap(), "Bearer 1");
    assert_eq!(token(&forever).unwrap(), "Bearer 1");
    let dir = tempfile::tempdir().unwrap();
    let until = counting(dir.path(), ", \"expirationTimestamp\": \"2026-11-21T00:00:00Z\"");
    let end = Timestamp::parse_rfc3339("2026-11-21T00:00:00Z").unwrap();
    let at = |clock: Timestamp| {
        let credentials = block_on(until.current(&Clock::Fixed(clock))).unwrap();
        credentials.authorization.as_ref().unwrap().to_str().unwrap().to_owned()
    };
    assert_eq!(at(end), "Bearer 1");
    assert_eq!(at(end), "Bearer 1");
    assert_eq!(at(end.saturating_add(Duration::from_micros(1))), "Bearer 2", "used once even if it comes expired");
}

#[test]
fn many_who_wait_share_one_run_and_a_refusal_costs_one() {
    let dir = tempfile::tempdir().unwrap();
    let plugin = counting(dir.path(), "");
    block_on(async {
        let clock = Clock::System;
        let (a, b, c) = tokio::join!(plugin.current(&clock), plugin.current(&clock), plugin.current(&clock));
        let first = a.unwrap().generation;
        assert_eq!([b.unwrap().generation, c.unwrap().generation], [first; 2]);
        let (a, b) = tokio::join!(plugin.renew(first, &clock), plugin.renew(first, &clock));
        a.unwrap();
        b.unwrap();
    });
    assert_eq!(token(&plugin).unwrap(), "Bearer 2");
}

#[test]
fn another_certificate_is_counted_another_token_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("answer");
    let plugin = plugin(&format!("cat {}", file.display()));
    let other = rcgen::KeyPair::generate().unwrap();
    let other_crt = rcgen::CertificateParams::default().self_signed(&other).unwrap().pem();
    let mut generations = Vec::new();
    for status in [
        json!({"clientCertificateData": CRT, "clientKeyData": KEY}),
        json!({"clientCertificateData": CRT, "clientKeyData": KEY, "token": "t"}),
        json!({"clientCertificateData": other_crt, "clientKeyData": other.serialize_pem()}),
        json!({"token": "t"}),
    ] {
        std::fs::write(&file, answer(status).to_string()).unwrap();
        block_on(async {
            let seen = plugin.last.lock().await.credentials.as_ref().map_or(0, |known| known.generation);
            plugin.renew(seen, &Clock::System).await.unwrap();
        });
        generations.push(block_on(plugin.identity(&Clock::System)).unwrap().1);
    }
    assert_eq!(generations, [0, 0, 1, 2]);
}

#[test]
fn a_run_that_nobody_waits_for_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    // Opening a fifo waits for the other side, so the test knows that the plugin runs, and its end closes it.
    let fifo = dir.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let (plugin, lines) = heard(&format!("exec 3> {}; echo up >&3; exec sleep 1000", fifo.display()));
    block_on(async {
        let (up, started) = oneshot::channel();
        let (down, ended) = oneshot::channel();
        std::thread::spawn(move || {
            let mut fifo = std::fs::File::open(fifo).unwrap();
            fifo.read_exact(&mut [0; 3]).unwrap();
            up.send(()).unwrap();
            fifo.read_to_end(&mut Vec::new()).unwrap();
            down.send(()).unwrap();
        });
        tokio::select! {
            _ = plugin.current(&Clock::System) => panic!("it sleeps"),
            started = started => started.unwrap(),
        }
        ended.await.unwrap();
    });
    assert_eq!(*lines.lock().unwrap(), ["warning: the credential plugin \"/bin/sh\" did not end: killed"]);
}

#[test]
fn a_plugin_that_hangs_is_killed_at_the_limit_whether_its_output_is_open_or_not() {
    for script in ["exec sleep 1000", "exec sleep 1000 >&-"] {
        let (mut plugin, lines) = heard(script);
        plugin.limit(Duration::from_millis(100));
        let error = token(&plugin).unwrap_err();
        assert_eq!(error.chain(), "credential plugin \"/bin/sh\" did not end within 0.1 s");
        assert!(error.kind() == Kind::Denied && error.remedy().unwrap().contains("--request-timeout"));
        assert!(lines.lock().unwrap().is_empty(), "the error says it all");
    }
}

#[test]
fn a_child_that_a_plugin_leaves_behind_holds_nobody_up() {
    let dir = tempfile::tempdir().unwrap();
    let pid = dir.path().join("pid");
    let script = format!("sleep 1000 & echo $! > {}; {}", pid.display(), printing(&answer(json!({"token": "t"}))));
    assert_eq!(token(&plugin(&script)).unwrap(), "Bearer t");
    let pid = std::fs::read_to_string(pid).unwrap();
    assert!(Command::new("kill").arg(pid.trim()).status().unwrap().success(), "it still held the pipe");
}

#[test]
fn a_plugin_that_closes_its_output_and_fails_later_has_failed() {
    let script = format!("{}exec >&-; sleep 0.1; exit 5", printing(&answer(json!({"token": "t"}))));
    assert!(token(&plugin(&script)).unwrap_err().chain().ends_with("failed with exit code 5"));
}

#[test]
fn credentials_that_come_expired_are_used_once() {
    let dir = tempfile::tempdir().unwrap();
    let expired = counting(dir.path(), ", \"expirationTimestamp\": \"2020-11-21T00:00:00Z\"");
    assert_eq!([token(&expired).unwrap(), token(&expired).unwrap()], ["Bearer 1", "Bearer 2"]);
    let generation = |plugin: &Plugin| block_on(plugin.identity(&Clock::System)).unwrap().1;
    assert_eq!(generation(&expired), 0, "asking for its certificate runs it no third time");
    assert_eq!(token(&expired).unwrap(), "Bearer 3");
}

#[test]
fn a_policy_decides_before_anything_runs() {
    let dir = tempfile::tempdir().unwrap();
    let ran = dir.path().join("ran");
    let script = format!("echo > {}; {}", ran.display(), printing(&answer(json!({"token": "t"}))));
    let list = |names: &[&str]| PluginPolicy::Allowlist {
        commands: names.iter().map(|&name| name.to_owned()).collect(),
        file: "/k/kuberc".into(),
    };
    for (policy, words) in [
        (PluginPolicy::DenyAll { file: "/k/kuberc".into() }, "credentialPluginPolicy of /k/kuberc is DenyAll"),
        (list(&["other"]), "credentialPluginAllowlist of /k/kuberc does not name it"),
    ] {
        let error = token(&Plugin { policy, ..plugin(&script) }).unwrap_err();
        assert_eq!(error.chain(), format!("credential plugin \"/bin/sh\" may not be run: {words}"));
        assert!(error.kind() == Kind::Denied && error.remedy().unwrap().contains("KUBERC=off") && !ran.exists());
    }
    // The name is found on PATH, as the allowed one is.
    for (command, names) in [("/bin/sh", ["/bin/sh"]), ("sh", ["sh"])] {
        let exec = Exec { command: command.into(), policy: list(&names), ..exec(&script) };
        assert_eq!(token(&plugin_of(&exec, Stdin::Other)).unwrap(), "Bearer t");
    }
    assert!(ran.exists());
}

#[test]
fn debug_shows_no_secret() {
    let mut exec = exec("s3cr3t");
    exec.env = vec![("X".into(), "s3cr3t".into())];
    let plugin = plugin_of(&exec, Stdin::Other);
    let credentials = plugin.read(answer(json!({"token": "s3cr3t"})).to_string().as_bytes(), 1).unwrap();
    assert!(!format!("{exec:?} {plugin:?} {credentials:?}").contains("s3cr3t"));
}
