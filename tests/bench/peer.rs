//! Who is measured, and how each is asked for a file of a node.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::binary;
use crate::report::Verdict;

/// A program that can fetch a node's file.
pub(crate) struct Peer {
    pub(crate) kind: Kind,
    /// As the table names it.
    pub(crate) name: String,
    program: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ours,
    Kubectl,
    Curl,
}

/// The way in.
pub(crate) struct Access {
    /// With the kubeconfig `config`, `ca.crt`, and where there is no token `client.crt` and `client.key`.
    pub(crate) folder: PathBuf,
    pub(crate) url: String,
    pub(crate) token: Option<String>,
}

/// The builds given, and kubectl and curl where they are; tells of those that are not, and whether the builds are small enough.
pub(crate) fn find(programs: &[PathBuf], out: &mut impl Write) -> io::Result<(Vec<Peer>, Verdict)> {
    let (mut peers, mut verdict) = (Vec::new(), Verdict::Met);
    for program in programs {
        let (words, small) = binary::describe(program)?;
        let name =
            if programs.len() == 1 { "kubelet-logs".into() } else { format!("kubelet-logs {}", peers.len() + 1) };
        writeln!(out, "{name}: {words}")?;
        verdict = verdict.and(small);
        peers.push(Peer { kind: Kind::Ours, name, program: fs::canonicalize(program)? });
    }
    let kubectl = std::env::var_os("BENCH_KUBECTL").map_or_else(|| PathBuf::from("kubectl"), PathBuf::from);
    for (kind, program, version) in [
        (Kind::Kubectl, behind_dispatcher(kubectl), &["version", "--client"][..]),
        (Kind::Curl, "curl".into(), &["-V"]),
    ] {
        let name = if kind == Kind::Kubectl { "kubectl" } else { "curl" };
        match first_line(&program, version) {
            Some(line) => {
                writeln!(out, "{name}: {}, {line}", program.display())?;
                peers.push(Peer { kind, name: name.to_owned(), program });
            }
            None => writeln!(out, "{name}: {} can't be run; the comparison goes without it", program.display())?,
        }
    }
    Ok((peers, verdict))
}

impl Peer {
    /// Runs it with these arguments; one of our own builds.
    pub(crate) fn run(&self, access: &Access, args: &[&str]) -> Command {
        let mut command = self.begin(access);
        command.arg("--kubeconfig").arg(access.folder.join("config")).args(args);
        command
    }

    /// Fetches a file under the node's /var/log to stdout, with nothing of the environment but `PATH`.
    pub(crate) fn command(&self, access: &Access, node: &str, file: &str) -> Command {
        let mut command = self.begin(access);
        let at = |name: &str| access.folder.join(name);
        let path = format!("/api/v1/nodes/{node}/proxy/logs/{file}");
        match self.kind {
            Kind::Ours => command.arg("--kubeconfig").arg(at("config")).args([node, "--path", file]),
            Kind::Kubectl => command.arg("--kubeconfig").arg(at("config")).args(["get", "--raw", &path]),
            Kind::Curl => {
                command.args(["-q", "-sS", "--fail", "--cacert"]).arg(at("ca.crt"));
                match &access.token {
                    Some(token) => command.args(["-H", &format!("Authorization: Bearer {token}")]),
                    None => command.arg("--cert").arg(at("client.crt")).arg("--key").arg(at("client.key")),
                };
                command.arg(format!("{}{path}", access.url))
            }
        };
        command
    }

    fn begin(&self, access: &Access) -> Command {
        let mut command = Command::new(&self.program);
        command.env_clear().env("HOME", &access.folder).stdin(Stdio::null());
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command
    }
}

/// Google's SDK puts a small kubectl in front, which asks the server for its version and starts one of those beside it: that
/// would be measuring two programs. The newest of those beside it, then.
fn behind_dispatcher(kubectl: PathBuf) -> PathBuf {
    let is_dispatcher = first_line(&kubectl, &["version", "--client"]).is_some_and(|line| line.contains("dispatcher"));
    if !is_dispatcher {
        return kubectl;
    }
    newest_beside(&kubectl).unwrap_or(kubectl)
}

fn newest_beside(kubectl: &Path) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).map(|folder| folder.join(kubectl)).find(|file| file.is_file())?;
    let real = fs::canonicalize(found).ok()?;
    let minor = |file: &Path| file.file_name()?.to_str()?.strip_prefix("kubectl.1.")?.parse::<u32>().ok();
    let beside = fs::read_dir(real.parent()?).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    beside.filter(|file| minor(file).is_some()).max_by_key(|file| minor(file))
}

fn first_line(program: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let line = String::from_utf8_lossy(&output.stdout).lines().next()?.to_owned();
    output.status.success().then_some(line)
}
