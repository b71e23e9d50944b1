//! The simulated cluster as a program: `cargo run --example cluster -- --dir DIR`.
//!
//! It writes `DIR/kubeconfig`, prints one line `ready DIR/kubeconfig`, and serves until its input ends or it is
//! told to stop.

#[path = "mod.rs"]
mod cluster;
#[path = "dns.rs"]
mod dns;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use cluster::{Cluster, Credential, Distribution, Fault, Health, Journal, Key, Mode, Node, Setup, User, What};

const USAGE: &str = "usage: cluster --dir DIR [--nodes N] [--zone TZ] [--every-mode] [--dns]

Starts a simulated Kubernetes cluster on loopback and writes DIR/kubeconfig with a context for each kind of user
(admin, viewer, logreader, finelog, direct, nobody, limited, system:anonymous, bad).
Nodes: node-a (log query on), node-b (log query off), node-d (down), with --nodes worker-0000 and on, and with
--every-mode one of each kind of kubelet there is.
TZ is the nodes' zone as POSIX writes it, such as EST5EDT,M3.2.0,M11.1.0 or IST-5:30.
With --dns a name server on 127.0.0.1 port 53 gives every name the address 127.0.0.1.
";

struct Options {
    directory: PathBuf,
    workers: usize,
    zone: String,
    every_mode: bool,
    dns: bool,
}

fn main() -> ExitCode {
    let options = match parse() {
        Ok(options) => options,
        Err(why) => {
            let _ = write!(std::io::stderr(), "error: {why}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let _ = writeln!(std::io::stderr(), "error: {why}");
            ExitCode::FAILURE
        }
    }
}

fn parse() -> Result<Options, lexopt::Error> {
    use lexopt::prelude::*;
    let mut options =
        Options { directory: PathBuf::new(), workers: 0, zone: "UTC0".to_owned(), every_mode: false, dns: false };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("dir") => options.directory = parser.value()?.into(),
            Long("nodes") => options.workers = parser.value()?.parse()?,
            Long("zone") => options.zone = parser.value()?.string()?,
            Long("dns") => options.dns = true,
            Long("every-mode") => options.every_mode = true,
            other => return Err(other.unexpected()),
        }
    }
    if options.directory.as_os_str().is_empty() {
        return Err("--dir DIR is needed".into());
    }
    Ok(options)
}

fn run(options: &Options) -> std::io::Result<()> {
    let mut nodes = vec![
        Node::new("node-a", Mode::QUERY_ON).label("node-role.kubernetes.io/control-plane", ""),
        Node::new("node-b", Mode::QUERY_OFF),
        Node::new("node-d", Mode::QUERY_ON).health(Health::Down),
    ];
    nodes.extend((0..options.workers).map(|number| {
        Node::new(&format!("worker-{number:04}"), Mode::QUERY_ON).label("node-role.kubernetes.io/worker", "")
    }));
    if options.every_mode {
        nodes.extend([
            Node::new("kubelet-1-24", Mode::V1_24),
            Node::new("secure-join", Mode::SECURE_JOIN),
            Node::new("broken-until", Mode::BROKEN_UNTIL),
            Node::new("openshift-4-11", Mode::OPENSHIFT_1_24),
            Node::new("openshift", Mode::OPENSHIFT_1_36),
            Node::new("windows", Mode::WINDOWS),
            Node::new("handler-off", Mode::HANDLER_OFF),
            Node::new("volatile", Mode::QUERY_ON).journal(Journal::None),
            Node::new("hung", Mode::QUERY_ON).health(Health::Hung),
            Node::new("no-address", Mode::QUERY_ON).health(Health::NoAddresses),
            Node::new("wrong-ca", Mode::QUERY_ON).health(Health::WrongCa),
            Node::new("plain-http", Mode::QUERY_ON).health(Health::PlainHttp),
            Node::new("unresolvable", Mode::QUERY_ON).health(Health::Unresolvable),
            Node::new("link-local", Mode::QUERY_ON).health(Health::LinkLocal),
            Node::new("slow", Mode::QUERY_ON),
            Node::new("killed", Mode::QUERY_ON),
        ]);
        let now = kubelet_logs::clock::Clock::System.now().as_micros();
        nodes.extend(
            [
                ("k3s", Distribution::K3sServer),
                ("k3s-agent", Distribution::K3sAgent),
                ("k0s", Distribution::K0sWorker),
                ("k0s-controller", Distribution::K0sController),
                ("kubelet-snap", Distribution::KubeletSnap),
                ("microk8s", Distribution::MicroK8s),
                ("microshift", Distribution::MicroShift),
                ("rke2", Distribution::Rke2Server),
            ]
            .map(|(name, unit)| Node::new(name, Mode::QUERY_ON).zone(&options.zone).units(&[(unit, now)])),
        );
    }
    let nodes = nodes.into_iter().map(|node| node.zone(&options.zone)).collect();
    std::fs::create_dir_all(&options.directory)?;
    if options.dns {
        dns::serve()?;
    }
    // Each answer of the one comes in drops; the first of the other breaks off, as when a kubelet is killed.
    let drops = What::Drip(16 << 10, std::time::Duration::from_millis(100));
    let setup = Setup::new(nodes)
        .fault(Fault::new(drops).node("slow").path("/proxy/logs/").perhaps())
        .fault(Fault::new(What::CutAfter(50_000)).node("killed").path("/proxy/logs/").first(1).perhaps());
    let cluster = Cluster::start(setup);
    let users = [
        (User::Admin, Credential::Certificate(Key::EcPkcs8)),
        (User::NoProxy, Credential::Token),
        (User::LogReader, Credential::Token),
        (User::LogsOnly, Credential::Token),
        (User::Direct, Credential::Token),
        (User::Nobody, Credential::Token),
        (User::Limited, Credential::Certificate(Key::Ed25519)),
        (User::Anonymous, Credential::None),
        (User::BadToken, Credential::Token),
    ];
    let path = options.directory.join("kubeconfig");
    std::fs::write(&path, cluster.kubeconfig_text(&users, &options.directory))?;
    writeln!(std::io::stdout(), "ready {}", path.display())?;
    wait()?;
    cluster.requests();
    Ok(())
}

/// Returns when the input ends or a signal asks to stop.
fn wait() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (ended, end) = tokio::sync::oneshot::channel();
    // A read of stdin cannot be called off: the thread ends with the process.
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = ended.send(());
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = end => {}
        }
        Ok(())
    })
}
