//! The servers that both programs are let loose on, and what is seen of a run.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use super::generate::{Case, Content, Encoding};
use crate::cluster::{Basic, Cluster, Files, Key, Mode, Node, Setup, User};
use crate::credentials::{Plain, Recorded};
use crate::support::issuer::id_token;
use crate::support::proxy::{Does, Proxy, Speaks};

/// How long a run may take: nothing here waits for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// The file that both ask for.
const FILE: &str = "asked.log";

/// Servers that no other test or thread uses, so that all they see is of the one run.
pub(super) struct Stage {
    directory: TempDir,
    cluster: Cluster,
    second: Cluster,
    plain: Plain,
    proxies: [(&'static str, Proxy); 3],
    texts: Vec<(&'static str, String)>,
}

/// One of the two programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who<'a> {
    /// Asked for the file by `get --raw`.
    Kubectl(&'a Path),
    /// Asked for the server's version: `get --raw` forgets a path in `server`, all else keeps it.
    KubectlVersion(&'a Path),
    Ours,
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) end: End,
    /// The first request: a refused plugin's token is tried again by us alone.
    pub(super) request: Option<Asked>,
    /// The first that a proxy was asked.
    pub(super) proxy: Option<String>,
    /// What the plugin was told when it first ran.
    pub(super) told: Option<Value>,
}

/// A request as a server saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) server: &'static str,
    pub(super) path: String,
    /// By what was proved; `None` of a server that does not look.
    pub(super) user: Option<String>,
    pub(super) authorization: Option<String>,
    pub(super) impersonation: Vec<(String, String)>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The server answered, and it was what was asked for.
    Done,
    Unauthorized,
    Forbidden,
    NotFound,
    /// The server said something else.
    Answered,
    /// Nobody was asked for a file: the configuration won't do.
    Refused,
    /// Nor where a connection could not be made.
    Unreachable,
    /// Nor where one of the two did not trust the other.
    Distrust,
    /// Nor where there were no credentials from a plugin or provider.
    Credentials,
    /// Nor where a person was asked for a user name.
    Prompted,
    /// It did not end.
    Hung,
}

impl Stage {
    pub(super) fn new() -> Stage {
        let start = || {
            let mut setup = Setup::new(vec![Node { files: Files::Bare, ..Node::new("node-a", Mode::QUERY_OFF) }]);
            setup.basic = Basic::Taken;
            let cluster = setup.start();
            fs::write(cluster.var_log("node-a").join(FILE), "a line\n").expect("a file");
            cluster
        };
        let (cluster, second, plain) = (start(), start(), Plain::start());
        let (good_id, old_id) = (id_token(4_102_444_800, "good"), id_token(1_700_000_000, "old"));
        cluster.accept(&good_id, Some(User::Admin));
        let lead = |speaks, login| Proxy::start(speaks, Does::Lead { to: cluster.address(), login });
        let proxies = [
            ("proxy", lead(Speaks::Http, None)),
            ("proxy with a login", lead(Speaks::Http, Some("n:p"))),
            ("socks", lead(Speaks::Socks5, None)),
        ];
        let key = |name: &str| {
            fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/kubeconfigs/keys").join(name))
                .expect("a key")
        };
        let (admin, limited, rsa) = (
            cluster.pair(User::Admin, Key::EcPkcs8),
            cluster.pair(User::Limited, Key::EcPkcs8),
            cluster.pair(User::Admin, Key::RsaPkcs1),
        );
        let half = cluster.ca()[..cluster.ca().len() / 2].to_owned();
        let mut texts = vec![
            ("URL", cluster.url()),
            ("URL2", second.url()),
            ("HOST", cluster.address().to_string()),
            ("PORT", cluster.address().port().to_string()),
            ("PLAIN", format!("http://{}", plain.address)),
            ("PLAINHOST", plain.address.to_string()),
            ("PROXY", proxies[0].1.address.to_string()),
            ("LOGIN", proxies[1].1.address.to_string()),
            ("SOCKS", proxies[2].1.address.to_string()),
            ("ADMIN", User::Admin.token()),
            ("READER", User::LogReader.token()),
            ("NOBODY", User::Nobody.token()),
            ("BAD", User::BadToken.token()),
            ("PASSWORD", User::Admin.password()),
            ("GOODID", good_id),
            ("OLDID", old_id),
        ];
        // Each as it is, in base64, and as a JSON string's content.
        for (names, pem) in [
            (["CAPEM", "CA", ""], cluster.ca().to_owned()),
            (["CA2PEM", "CA2", ""], second.ca().to_owned()),
            (["", "BOTH", ""], format!("{}{}", second.ca(), cluster.ca())),
            (["HALFPEM", "HALF", ""], half),
            (["CRTPEM", "CRT", "CRTJSON"], admin.certificate_pem.clone()),
            (["KEYPEM", "KEY", "KEYJSON"], admin.key_pem.clone()),
            (["", "PAIR", ""], format!("{}{}", admin.certificate_pem, admin.key_pem)),
            (["LIMITEDCRTPEM", "LIMITEDCRT", "LIMITEDCRTJSON"], limited.certificate_pem.clone()),
            (["LIMITEDKEYPEM", "LIMITEDKEY", ""], limited.key_pem.clone()),
            (["", "RSACRT", ""], rsa.certificate_pem.clone()),
            (["", "RSAKEY", ""], rsa.key_pem.clone()),
            (["ENCRYPTEDKEYPEM", "ENCRYPTEDKEY", ""], key("rsa-encrypted.key")),
        ] {
            let forms = [pem.clone(), STANDARD.encode(&pem), pem.replace('\n', "\\n")];
            texts.extend(names.into_iter().zip(forms).filter(|(name, _)| !name.is_empty()));
        }
        Stage { directory: tempfile::tempdir().expect("a directory"), cluster, second, plain, proxies, texts }
    }

    /// Runs one of the two on this case, from a clean slate.
    pub(super) async fn run(&self, who: Who<'_>, case: &Case) -> (Seen, String) {
        let directory = self.directory.path().join("case");
        self.lay_out(&directory, case);
        let before = self.counts();
        let mut command = match who {
            Who::Kubectl(program) => {
                let mut command = Command::new(program);
                command.args(["get", "--raw", &format!("/api/v1/nodes/node-a/proxy/logs/{FILE}")]);
                command
            }
            Who::KubectlVersion(program) => {
                let mut command = Command::new(program);
                command.arg("version");
                command
            }
            Who::Ours => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-kubelet_logs"));
                command.args(["node-a", "--path", FILE]);
                command
            }
        };
        let fill = |text: &str| self.fill(text, &directory);
        command
            .args(case.args.iter().map(|arg| fill(arg)))
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", directory.join("bin").display()))
            .envs(case.env.iter().map(|(name, value)| (name, fill(value))))
            .current_dir(directory.join("cwd"))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let ended =
            tokio::time::timeout(PATIENCE, command.output()).await.map(|output| output.expect("the program runs"));
        let (request, proxy) = self.news(&before);
        let told = fs::read_to_string(directory.join("info")).ok();
        let told = told.and_then(|lines| lines.lines().next().map(|line| serde_json::from_str(line).expect("JSON")));
        let (end, words) = match ended {
            Err(_) => (End::Hung, String::new()),
            Ok(output) => {
                let words = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
                let code = output.status.code().unwrap_or(-1);
                let end = match who {
                    Who::Kubectl(_) | Who::KubectlVersion(_) => kubectl_end(code, &words, request.is_some()),
                    Who::Ours => our_end(code, &words, request.is_some()),
                };
                (end, format!("exit {code}: {words}"))
            }
        };
        (Seen { end, request, proxy, told }, words)
    }

    /// The case's texts as they are on this stage, for a person to read.
    pub(super) fn show(&self, case: &Case) -> String {
        let config = case.files.iter().find(|(name, _)| name == "kube/config").map_or("", |(_, content)| &content.text);
        format!("args {:?}\nenv {:?}\n{config}", case.args, case.env)
    }

    fn lay_out(&self, directory: &Path, case: &Case) {
        if directory.exists() {
            fs::remove_dir_all(directory).expect("the last run's files are removed");
        }
        for name in ["kube", "kube2", "cwd", "home", "bin"] {
            fs::create_dir_all(directory.join(name)).expect("a directory");
        }
        for (name, content) in &case.files {
            let Content { text, encoding } = content;
            fs::write(directory.join(name), encode(&self.fill(text, directory), *encoding)).expect("a file");
        }
        let plugin = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/kubeconfigs/plugins/credential-plugin");
        for name in ["bin/credential-plugin", "kube/plugin"] {
            std::os::unix::fs::symlink(&plugin, directory.join(name)).expect("a link");
        }
    }

    fn fill(&self, text: &str, directory: &Path) -> String {
        if !text.contains('@') {
            return text.to_owned();
        }
        let mut filled = text.replace("@DIR@", &directory.display().to_string());
        for (name, value) in &self.texts {
            filled = filled.replace(&format!("@{name}@"), value);
        }
        filled
    }

    fn servers(&self) -> [(&'static str, Vec<Recorded>); 3] {
        let recorded = |cluster: &Cluster| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let one = |request: crate::cluster::Recorded| Recorded {
                target: request.path().to_owned(),
                headers: request
                    .headers
                    .iter()
                    .map(|(name, value)| (name.to_string(), text(value.as_bytes())))
                    .collect(),
                user: Some(request.user),
            };
            cluster.requests().into_iter().map(one).collect()
        };
        [("first", recorded(&self.cluster)), ("second", recorded(&self.second)), ("plain", self.plain.requests())]
    }

    fn counts(&self) -> Vec<usize> {
        let servers = self.servers().into_iter().map(|(_, requests)| requests.len());
        servers.chain(self.proxies.iter().map(|(_, proxy)| proxy.asked().len())).collect()
    }

    /// The first request since, and the first that a proxy was asked.
    fn news(&self, before: &[usize]) -> (Option<Asked>, Option<String>) {
        let (servers, proxies) = before.split_at(3);
        let asked = self.servers().into_iter().zip(servers).find_map(|((server, requests), before)| {
            // What is no request, TLS to a server without it, has no path.
            let first = requests.into_iter().skip(*before).find(|request| !request.target.is_empty())?;
            let value =
                |wanted: &str| first.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
            let impersonation = first.headers.iter().filter(|(name, _)| name.starts_with("impersonate-"));
            // HTTP/1.1 has no spaces around a value, HTTP/2 may have.
            let mut impersonation: Vec<(String, String)> =
                impersonation.map(|(name, value)| (name.clone(), value.trim().to_owned())).collect();
            impersonation.sort();
            // kubectl puts --request-timeout into the query of what it asks.
            let path = first.target.split('?').next().unwrap_or_default().to_owned();
            Some(Asked { server, authorization: value("authorization"), path, user: first.user, impersonation })
        });
        let proxy = self.proxies.iter().zip(proxies).find_map(|((name, proxy), before)| {
            let head = proxy.asked().into_iter().nth(*before)?;
            let login = head.lines().find(|line| line.to_ascii_lowercase().starts_with("proxy-authorization:"));
            let login = login.and_then(|line| line.split_once(' ')).map_or("", |(_, login)| login);
            let line = head.lines().next().unwrap_or_default();
            Some(format!("{name}: {} {login}", line.split([' ', '?']).take(2).collect::<Vec<_>>().join(" ")))
        });
        (asked, proxy)
    }
}

/// What kubectl 1.27 to 1.33 say.
fn kubectl_end(code: i32, words: &str, was_asked: bool) -> End {
    let has = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
    match was_asked {
        _ if code == 0 => End::Done,
        true if has(&["(Unauthorized)"]) => End::Unauthorized,
        true if has(&["(Forbidden)"]) => End::Forbidden,
        true if has(&["(NotFound)"]) => End::NotFound,
        true => End::Answered,
        false if has(&["Please enter Username"]) => End::Prompted,
        false if has(&["getting credentials", "No valid id-token", "failed to refresh token", "ID Token is not"]) => {
            End::Credentials
        }
        // The file that holds it is looked at when the server is.
        false if has(&["tls: private key", "tls: failed to parse", "tls: failed to find"]) => End::Refused,
        false if has(&["tls: failed to verify", "x509: ", "remote error: tls"]) => End::Distrust,
        false
            if has(&[
                "Unable to connect to the server",
                "The connection to the server",
                "dial tcp",
                "proxyconnect",
                "status code 407",
            ]) =>
        {
            End::Unreachable
        }
        false => End::Refused,
    }
}

fn our_end(code: i32, words: &str, was_asked: bool) -> End {
    let words = words.find("error: ").map_or("", |at| &words[at..]);
    match (code, was_asked) {
        (0, _) => End::Done,
        (4, true) if words.contains("401 Unauthorized") => End::Unauthorized,
        (4, true) => End::Forbidden,
        (5, true) => End::NotFound,
        (_, true) => End::Answered,
        (4, false) => End::Credentials,
        (6, false) if words.contains("certificate") => End::Distrust,
        (6, false) => End::Unreachable,
        (_, false) if words.contains("did not answer in HTTP") => End::Unreachable,
        (_, false) => End::Refused,
    }
}

fn encode(text: &str, encoding: Encoding) -> Vec<u8> {
    let utf16 = |unit: fn(u16) -> [u8; 2]| [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(unit).collect();
    match encoding {
        Encoding::Utf8 => text.as_bytes().to_vec(),
        Encoding::Utf8Mark => [b"\xef\xbb\xbf", text.as_bytes()].concat(),
        Encoding::Utf16Little => utf16(u16::to_le_bytes),
        Encoding::Utf16Big => utf16(u16::to_be_bytes),
        Encoding::Latin1 => text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect(),
    }
}
