//! Kubeconfig and credential rules, a row each: what is given, how the real binary must end, what it must say, and what
//! the simulated cluster must have seen.
//!
//! The rows are data ([`works`], [`refused`], [`resolved`]); taking a rule's code away turns its row red. Where kubectl does something surprising, the
//! row was written after what kubectl 1.32 was seen to do.

/// A kubeconfig with one cluster and user, for rows about files.
macro_rules! config {
    ($user:literal) => {
        concat!(
            "current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n",
            "clusters: [{name: c, cluster: {server: \"@URL@\", certificate-authority-data: @CA@}}]\n",
            "users: [{name: u, user: {",
            $user,
            "}}]\n"
        )
    };
}

/// A user whose credential plugin prints the file `cred`.
macro_rules! plugin {
    ($more:literal) => {
        concat!(
            "exec:\n  apiVersion: client.authentication.k8s.io/v1\n  command: /bin/sh\n  args: [-c, 'cat @DIR@/cred']\n",
            $more
        )
    };
}

macro_rules! credential {
    ($status:literal) => {
        concat!(
            "{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",\"status\":{",
            $status,
            "}}"
        )
    };
}

/// A user of the identity provider `$issuer`.
macro_rules! oidc {
    ($issuer:literal, $more:literal) => {
        concat!(
            "auth-provider:\n  name: oidc\n  config:\n    idp-issuer-url: @ISSUER@/",
            $issuer,
            "\n    client-id: @CLIENTID@\n    client-secret: '@CLIENTSECRET@'\n    idp-certificate-authority-data: @ISSUERCA@\n",
            $more
        )
    };
    ($issuer:literal) => {
        oidc!($issuer, "    id-token: @OLDID@ # of yesterday\n    refresh-token: '@REFRESH@'")
    };
}

/// kubectl's preferences, with this policy.
macro_rules! kuberc {
    ($policy:literal) => {
        concat!("apiVersion: kubectl.config.k8s.io/v1beta1\nkind: Preference\n", $policy)
    };
}

mod works;
mod refused;
mod resolved;
mod oidc;
mod policy;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kubelet_logs::args::{Connection, Parsed, parse};
use kubelet_logs::auth::{Auth, Stdin};
use kubelet_logs::clock::Clock;
use kubelet_logs::config::{self, Config, Env};
use kubelet_logs::notice::Notices;

use crate::cluster::{Basic, Cluster, Key, Mode, Node, Setup, User};
use crate::support::issuer::{CLIENT, Issuer, REFRESH, id_token};

/// One rule. Texts may hold `@NAME@`, see [`Stage::fill`].
struct Row {
    rule: &'static str,
    /// The cluster's `server`.
    server: &'static str,
    /// More fields of the cluster, a line each.
    cluster: &'static str,
    /// The user's fields, a line each.
    user: &'static str,
    /// The whole kubeconfig instead.
    config: Option<&'static str>,
    /// Further files, by name below `@DIR@`.
    files: &'static [(&'static str, &'static str)],
    args: &'static [&'static str],
    env: &'static [(&'static str, &'static str)],
    exit: u8,
    /// Each must be on stderr; with a `!` in front it must not.
    words: &'static [&'static str],
    seen: &'static [Seen],
}

/// A request of the sort that succeeds: token of the admin, verified server.
const ROW: Row = Row {
    rule: "",
    server: "@URL@",
    cluster: "certificate-authority-data: @CA@",
    user: "token: @ADMIN@",
    config: None,
    files: &[],
    args: &[],
    env: &[],
    exit: 0,
    words: &[],
    seen: &[],
};

/// What a credential plugin prints for the admin.
const GOOD: (&str, &str) = ("cred", credential!("\"token\":\"@ADMIN@\""));

/// What the server must have recorded.
enum Seen {
    /// So many requests.
    Requests(usize),
    /// The last request's user, by what it proved.
    User(&'static str),
    /// The last request's values of a header.
    Header(&'static str, &'static [&'static str]),
    /// The start of the last request's path.
    Path(&'static str),
    /// A file of the row's directory: each must be in it; with a `!` in front it must not.
    File(&'static str, &'static [&'static str]),
}

/// Servers and texts that rows refer to.
struct Stage {
    cluster: Cluster,
    /// Named by the texts.
    _issuer: Issuer,
    plain: Plain,
    texts: BTreeMap<&'static str, String>,
    /// Each must never be printed.
    secrets: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) user: Option<String>,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
}

struct Ended {
    exit: Option<i32>,
    stdout: String,
    stderr: String,
}

#[test]
fn rules() {
    let stage = Stage::new();
    let mut wrong = Vec::new();
    for row in works::ROWS.iter().chain(refused::ROWS).chain(oidc::ROWS).chain(policy::ROWS) {
        for verbosity in ["0", "9"] {
            if let Err(why) = stage.check(row, verbosity) {
                wrong.push(format!("{} (-v {verbosity})\n{why}", row.rule));
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "{} rows\n\n{}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn what_is_resolved_without_a_server() {
    let mut wrong = Vec::new();
    for row in resolved::ROWS {
        let dir = tempfile::tempdir().expect("a directory");
        let fill = |text: &str| text.replace("@DIR@", &dir.path().display().to_string());
        for (name, content) in row.files {
            write(dir.path(), name, fill(content).as_bytes());
        }
        let env: Vec<(String, String)> =
            row.env.iter().map(|(name, value)| ((*name).to_owned(), fill(value))).collect();
        let env = Env::new(env).with_service_account(dir.path().join("pod"));
        let args: Vec<String> = row.args.iter().map(|arg| fill(arg)).collect();
        let summary = match config::load(&connection(&args), &env) {
            Ok(config) => summary(&config),
            Err(error) => format!("error: {}", error.chain()),
        };
        let expected = fill(row.expected);
        if !summary.contains(&expected) {
            wrong.push(format!("{}: {expected}\n  not in {summary}", row.rule));
        }
    }
    assert!(wrong.is_empty(), "{} rows\n{}", wrong.len(), wrong.join("\n"));
}

/// A rule about what is chosen, where no server is asked.
struct Resolved {
    rule: &'static str,
    files: &'static [(&'static str, &'static str)],
    args: &'static [&'static str],
    env: &'static [(&'static str, &'static str)],
    /// A part of the [`summary`].
    expected: &'static str,
}

/// `server=… namespace=… …`, without secrets.
fn summary(config: &Config) -> String {
    let (cluster, user) = (&config.cluster, &config.user);
    let trust = match &cluster.trust {
        config::Trust::Ca(authorities) => format!("{} authorities", authorities.len()),
        other => format!("{other:?}"),
    };
    format!(
        "context={:?} server={} trust={trust} namespace={} token={} token-file={:?} exec={} as={:?} warnings={:?}",
        config.context.as_deref().unwrap_or_default(),
        cluster.server,
        config.namespace,
        user.token.is_some(),
        user.token_file.as_deref().unwrap_or(Path::new("")),
        user.exec.is_some(),
        user.impersonate.user.as_deref().unwrap_or_default(),
        config.warnings,
    )
}

impl Stage {
    fn new() -> Stage {
        let mut setup = Setup::new(vec![Node::new("node-a", Mode::QUERY_ON)]);
        setup.basic = Basic::Taken;
        let cluster = setup.start();
        let plain = Plain::start();
        let issuer = Issuer::start(Duration::from_secs(3600), cluster.acceptor(User::Admin));
        let (good_id, old_id) = (id_token(4_102_444_800, "good"), id_token(1_700_000_000, "old"));
        cluster.accept(&good_id, Some(User::Admin));
        let pair = |user, key| {
            let pair = cluster.pair(user, key);
            (pair.certificate_pem.clone(), pair.key_pem.clone())
        };
        let (crt, key) = pair(User::Admin, Key::EcPkcs8);
        let (sec1_crt, sec1) = pair(User::Admin, Key::EcSec1);
        let (limited_crt, limited_key) = pair(User::Limited, Key::EcPkcs8);
        let (rsa_crt, rsa_key) = pair(User::Admin, Key::RsaPkcs1);
        let texts = BTreeMap::from([
            ("URL", cluster.url()),
            ("PORT", cluster.address().port().to_string()),
            ("PLAIN", format!("http://{}", plain.address)),
            ("PLAINADDRESS", plain.address.to_string()),
            ("CA", STANDARD.encode(cluster.ca())),
            ("CAPEM", cluster.ca().to_owned()),
            ("CRT", STANDARD.encode(&crt)),
            ("CRTPEM", crt.clone()),
            ("CRTJSON", crt.replace('\n', "\\n")),
            ("KEY", STANDARD.encode(&key)),
            ("KEYPEM", key.clone()),
            ("KEYJSON", key.replace('\n', "\\n")),
            ("SEC1CRT", STANDARD.encode(&sec1_crt)),
            ("SEC1KEY", STANDARD.encode(&sec1)),
            ("RSACRT", STANDARD.encode(&rsa_crt)),
            ("RSAKEY", STANDARD.encode(&rsa_key)),
            ("LIMITEDCRT", STANDARD.encode(&limited_crt)),
            ("LIMITEDKEY", STANDARD.encode(&limited_key)),
            ("ADMIN", User::Admin.token()),
            ("NOBODY", User::Nobody.token()),
            ("READER", User::LogReader.token()),
            ("BAD", User::BadToken.token()),
            ("PASSWORD", User::Admin.password()),
            ("ENCRYPTEDKEY", STANDARD.encode(fs::read(fixture("keys/rsa-encrypted.key")).expect("a fixture"))),
            ("P521KEY", STANDARD.encode(fs::read(fixture("keys/ec-p521.key")).expect("a fixture"))),
            ("ISSUER", issuer.base()),
            ("ISSUERPLAIN", issuer.base().replacen("https", "http", 1)),
            ("ISSUERCA", STANDARD.encode(issuer.ca())),
            ("ISSUERCAPEM", issuer.ca().to_owned()),
            ("CLIENTID", CLIENT.0.to_owned()),
            ("CLIENTSECRET", CLIENT.1.to_owned()),
            ("REFRESH", REFRESH.to_owned()),
            ("GOODID", good_id),
            ("OLDID", old_id),
            ("PLUGINS", fixture("plugins").display().to_string()),
        ]);
        let mut secrets: Vec<String> =
            ["PASSWORD", "GOODID", "OLDID", "KEY", "SEC1KEY", "RSAKEY", "LIMITEDKEY", "P521KEY", "ENCRYPTEDKEY"]
                .map(|name| texts[name].clone())
                .to_vec();
        secrets.extend([key, sec1, rsa_key, limited_key].iter().flat_map(|pem| pem.lines().skip(1).map(str::to_owned)));
        secrets.retain(|secret| secret.len() > 8 && !secret.starts_with("-----"));
        secrets.extend(["sim-token-of-", "s3cr3t", "PRIVATE KEY-----"].map(str::to_owned));
        secrets.push(STANDARD.encode(format!("admin:{}", User::Admin.password())));
        Stage { cluster, _issuer: issuer, plain, texts, secrets }
    }

    /// Replaces `@NAME@`; `@DIR@` is the row's own directory.
    fn fill(&self, text: &str, dir: &Path) -> String {
        let mut filled = text.replace("@DIR@", &dir.display().to_string());
        for (name, value) in &self.texts {
            filled = filled.replace(&format!("@{name}@"), value);
        }
        filled
    }

    fn check(&self, row: &Row, verbosity: &str) -> Result<(), String> {
        let dir = tempfile::tempdir().expect("a directory");
        let dir = dir.path();
        self.prepare(row, dir);
        let env: Vec<(String, String)> = self.environment(row, dir);
        let args: Vec<String> = row.args.iter().map(|arg| self.fill(arg, dir)).collect();
        let before = self.requests().map(|requests| requests.len());
        let ended = run(&args, &env, &dir.join("cwd"), verbosity);
        let mut wrong = Vec::new();
        if ended.exit != Some(row.exit.into()) {
            wrong.push(format!("exit {:?}, not {}", ended.exit, row.exit));
        }
        for words in row.words {
            let words = self.fill(words, dir);
            match words.strip_prefix('!') {
                Some(words) if ended.stderr.contains(words) => wrong.push(format!("stderr holds {words:?}")),
                None if !ended.stderr.contains(&words) => wrong.push(format!("stderr lacks {words:?}")),
                _ => {}
            }
        }
        let requests: Vec<Recorded> =
            self.requests().into_iter().zip(before).flat_map(|(mut all, before)| all.split_off(before)).collect();
        for seen in row.seen {
            if let Err(why) = self.saw(seen, &requests, dir) {
                wrong.push(why);
            }
        }
        let debug = self.debug(row, &args, &env, dir);
        for (place, text) in [("stdout", &ended.stdout), ("stderr", &ended.stderr), ("Debug", &debug)] {
            if let Some(secret) = self.secrets.iter().find(|secret| text.contains(secret.as_str())) {
                wrong.push(format!("{place} holds the secret {secret:?}: {text}"));
            }
        }
        if row.exit != 0 && verbosity == "0" {
            // One clear line, then at most what is advised.
            let errors = ended.stderr.lines().filter(|line| line.starts_with("error: ")).count();
            if errors != 1 {
                wrong.push(format!("{errors} error lines"));
            }
        }
        match wrong.is_empty() {
            true => Ok(()),
            false => Err(format!("  {}\nstderr:\n{}", wrong.join("\n  "), ended.stderr)),
        }
    }

    fn prepare(&self, row: &Row, dir: &Path) {
        for name in ["cwd", "home", "kube"] {
            fs::create_dir(dir.join(name)).expect("a directory");
        }
        for (name, content) in row.files {
            match content.strip_prefix("link:") {
                Some(target) => link(Path::new(&self.fill(target, dir)), &dir.join(name)),
                None => write(dir, name, &encode(&self.fill(content, dir))),
            }
        }
        let config = match row.config {
            Some(config) => self.fill(config, dir),
            None => {
                let fields = |text: &str| self.fill(text, dir).replace('\n', "\n    ");
                format!(
                    "apiVersion: v1\nkind: Config\ncurrent-context: ctx\ncontexts:\n- name: ctx\n  context: {{cluster: c, user: u}}\n\
                     clusters:\n- name: c\n  cluster:\n    server: {}\n    {}\nusers:\n- name: u\n  user:\n    {}\n",
                    self.fill(row.server, dir),
                    fields(row.cluster),
                    if row.user.is_empty() { "{}".to_owned() } else { fields(row.user) },
                )
            }
        };
        write(dir, "kube/config", &encode(&config));
    }

    fn environment(&self, row: &Row, dir: &Path) -> Vec<(String, String)> {
        let usual = [
            ("PATH", std::env::var("PATH").unwrap_or_default()),
            ("HOME", dir.join("home").display().to_string()),
            ("KUBECONFIG", dir.join("kube/config").display().to_string()),
        ];
        let mut env: BTreeMap<String, String> = usual.map(|(name, value)| (name.to_owned(), value)).into();
        env.extend(row.env.iter().map(|(name, value)| {
            let value = self.fill(value, dir).replace("@PATH@", &std::env::var("PATH").unwrap_or_default());
            ((*name).to_owned(), value)
        }));
        env.into_iter().collect()
    }

    /// What the same input looks like to whoever prints the program's own values.
    fn debug(&self, row: &Row, args: &[String], env: &[(String, String)], dir: &Path) -> String {
        // Relative paths of flags count from the working directory, which a test can't change for itself.
        if row.args.iter().any(|arg| arg.starts_with("./")) {
            return String::new();
        }
        let env = Env::new(env.iter().cloned()).with_service_account(dir.join("no-pod"));
        let connection = connection(args);
        let mut text = format!("{connection:?} {env:?}");
        match config::load(&connection, &env) {
            Ok(config) => {
                text.push_str(&format!("{config:?}"));
                let notices = Notices::new(9, false, |_| {});
                text.push_str(&match Auth::new(&config, &env, Clock::System, notices, Stdin::Other) {
                    Ok(auth) => format!("{auth:?}"),
                    Err(error) => format!("{error:?} {}", error.chain()),
                });
            }
            Err(error) => text.push_str(&format!("{error:?} {}", error.chain())),
        }
        text
    }

    /// What the two servers recorded; a row asks one of them.
    fn requests(&self) -> [Vec<Recorded>; 2] {
        let value = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let secure = self
            .cluster
            .requests()
            .into_iter()
            .map(|request| Recorded {
                user: Some(request.user),
                target: request.target,
                headers: request
                    .headers
                    .iter()
                    .map(|(name, bytes)| (name.as_str().to_owned(), value(bytes.as_bytes())))
                    .collect(),
            })
            .collect();
        [secure, self.plain.requests()]
    }

    fn saw(&self, seen: &Seen, requests: &[Recorded], dir: &Path) -> Result<(), String> {
        if let Seen::Requests(count) = seen {
            return match requests.len() == *count {
                true => Ok(()),
                false => Err(format!("{} requests, not {count}", requests.len())),
            };
        }
        if let Seen::File(name, expected) = seen {
            let text = fs::read_to_string(dir.join(name)).map_err(|error| format!("{name}: {error}"))?;
            let wrong = expected.iter().find(|words| match words.strip_prefix('!') {
                Some(words) => text.contains(&self.fill(words, dir)),
                None => !text.contains(&self.fill(words, dir)),
            });
            return wrong.map_or(Ok(()), |words| Err(format!("{name}: {words}")));
        }
        let last = requests.last().ok_or("no request")?;
        match seen {
            Seen::Requests(_) | Seen::File(..) => Ok(()),
            Seen::User(user) if last.user.as_deref() == Some(user) => Ok(()),
            Seen::User(user) => Err(format!("seen as {:?}, not {user:?}", last.user)),
            Seen::Path(start) if last.target.starts_with(start) => Ok(()),
            Seen::Path(start) => Err(format!("path {:?}, not {start:?}", last.target)),
            Seen::Header(name, expected) => {
                let values: Vec<&str> =
                    last.headers.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str()).collect();
                let expected: Vec<String> = expected.iter().map(|value| self.fill(value, dir)).collect();
                match values == expected {
                    true => Ok(()),
                    // Not the values themselves, which may be a token.
                    false => Err(format!("header {name} differs: {} values", values.len())),
                }
            }
        }
    }
}

/// The flags as the program reads them.
fn connection(args: &[String]) -> Connection {
    let words = ["node-a"].into_iter().map(str::to_owned).chain(args.iter().cloned());
    match parse(words, "kubectl-kubelet_logs") {
        Ok(Parsed::Run(options)) => options.connection,
        _ => Connection::default(),
    }
}

fn run(args: &[String], env: &[(String, String)], cwd: &Path, verbosity: &str) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_kubectl-kubelet_logs"))
        .args(["node-a", "--path", "empty.log", "-v", verbosity])
        .args(args)
        .env_clear()
        .envs(env.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))))
        .current_dir(cwd)
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs");
    Ended {
        exit: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/kubeconfigs").join(name)
}

fn write(dir: &Path, name: &str, content: &[u8]) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    fs::write(path, content).expect("a file");
}

#[cfg(unix)]
fn link(target: &Path, name: &Path) {
    std::os::unix::fs::symlink(target, name).expect("a link");
}

#[cfg(not(unix))]
fn link(target: &Path, name: &Path) {
    fs::copy(target, name).expect("a copy");
}

/// `utf8bom:`, `utf16le:`, `utf16be:` and `binary:` in front of a text say how it is written.
fn encode(text: &str) -> Vec<u8> {
    let utf16 =
        |text: &str, unit: fn(u16) -> [u8; 2]| [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(unit).collect();
    match text.split_once(':') {
        Some(("utf8bom", text)) => [b"\xef\xbb\xbf", text.as_bytes()].concat(),
        Some(("utf16le", text)) => utf16(text, u16::to_le_bytes),
        Some(("utf16be", text)) => utf16(text, u16::to_be_bytes),
        Some(("binary", _)) => (0..=255).collect(),
        Some(("huge", _)) => vec![b'#'; 11 << 20],
        _ => text.as_bytes().to_vec(),
    }
}

/// A server without TLS that says yes to everything and remembers it.
pub(crate) struct Plain {
    pub(crate) address: SocketAddr,
    record: Arc<Mutex<Vec<String>>>,
}

impl Plain {
    pub(crate) fn start() -> Plain {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let address = listener.local_addr().expect("an address");
        let record = Arc::new(Mutex::new(Vec::new()));
        let heads = Arc::clone(&record);
        // Ends with the process.
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let mut lines = BufReader::new(&connection).lines().map_while(Result::ok);
                let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
                drop(lines);
                heads.lock().expect("a record").push(head.join("\n"));
                let answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nAccept-Ranges: bytes\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                let _ = (&connection).write_all(answer.as_bytes());
            }
        });
        Plain { address, record }
    }

    pub(crate) fn requests(&self) -> Vec<Recorded> {
        let heads = self.record.lock().expect("a record");
        heads
            .iter()
            .map(|head| {
                let mut lines = head.lines();
                let target = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
                let pair = |line: &str| line.split_once(": ").map(|(n, v)| (n.to_ascii_lowercase(), v.to_owned()));
                Recorded { user: None, target, headers: lines.filter_map(pair).collect() }
            })
            .collect()
    }
}
