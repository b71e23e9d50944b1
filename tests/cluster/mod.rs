//! The simulated cluster: a TLS server on loopback that answers as an API server and the kubelets behind it do.
//!
//! It is built from recordings of real servers; where it differs from them, it is wrong. [`Cluster::start`] brings one
//! up, [`Cluster::kubeconfig`] is the way in, [`Cluster::requests`] tells what was asked, and dropping it ends it.
#![allow(dead_code, reason = "shared by the tests and the example, of which each uses a part")]

pub(crate) mod zone;
pub(crate) mod body;
pub(crate) mod tls;
pub(crate) mod access;
pub(crate) mod ranges;
pub(crate) mod files;
pub(crate) mod query;
pub(crate) mod openshift;
pub(crate) mod windows;
pub(crate) mod journal;
pub(crate) mod engine;
pub(crate) mod distro;
pub(crate) mod varlog;
pub(crate) mod kubelet;
pub(crate) mod selector;
pub(crate) mod objects;
pub(crate) mod members;
pub(crate) mod api;
pub(crate) mod direct;
pub(crate) mod fault;
pub(crate) mod server;
pub(crate) mod setup;
pub(crate) mod kubeconfig;
#[cfg(test)]
pub(crate) mod client;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use tempfile::TempDir;
use tokio::sync::oneshot;

#[allow(unused_imports, reason = "the names tests write; each test binary uses a part")]
pub(crate) use self::{
    access::{Basic, Grant, User},
    distro::Distribution,
    fault::{Fault, What},
    files::Mime,
    journal::{Journal, Reader, Step},
    kubeconfig::Credential,
    kubelet::{Mode, Release},
    objects::Health,
    ranges::Habit,
    server::Recorded,
    setup::{Files, Http, Node, Port, Setup},
    tls::{Key, Versions},
};

use access::Known;
use api::Api;
use fault::Faults;
use kubelet::{Flavour, Kubelet};
use members::Members;
use objects::Member;
use server::{Face, Http2, Record, Service, Watcher};
use tls::{Authority, ClientCertificates, Pair};
use zone::Zone;

/// A running simulation. Dropping it stops it; one that nobody asked anything is a mistake in the test.
pub(crate) struct Cluster {
    directory: TempDir,
    address: SocketAddr,
    authority: Authority,
    certificates: HashMap<(User, Key), Pair>,
    api: Arc<Api>,
    record: Arc<Record>,
    faults: Arc<Faults>,
    watcher: Arc<Watcher>,
    /// The authority behind each open port's certificate.
    own_certificates: HashMap<String, String>,
    looked_at: AtomicBool,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What was asked for, and how much was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) requests: usize,
    pub(crate) bytes: u64,
}

/// What the certificates of all servers are for.
const SERVER_NAMES: [&str; 3] = ["127.0.0.1", "localhost", "kubernetes.default.svc"];

enum Listener {
    Tls(std::net::TcpListener, Arc<rustls::ServerConfig>, Service),
    Hung(std::net::TcpListener),
    Plain(std::net::TcpListener),
}

/// The key kinds that client certificates exist for.
const KEYS: [Key; 5] = [Key::EcPkcs8, Key::EcSec1, Key::Ed25519, Key::RsaPkcs8, Key::RsaPkcs1];

impl Cluster {
    /// Brings up what `setup` says; it answers when this returns.
    pub(crate) fn start(setup: Setup) -> Cluster {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let authority = Authority::new("simulated cluster CA");
        let mut certificates = HashMap::new();
        let known = Known::default();
        for user in [User::Admin, User::Limited] {
            for key in KEYS {
                let identity = user.identity();
                let pair = authority.client(&identity.name, &identity.groups, key);
                known.certificate(&pair.certificate, Some(identity));
                certificates.insert((user, key), pair);
            }
        }
        let ports = open_ports(&setup);
        let api = Arc::new(Api {
            release: setup.release,
            members: Arc::new(Members::new(members(&setup, directory.path(), &ports))),
            grants: setup.grants.clone(),
            basic: setup.basic,
            known,
            handshake_limit: setup.handshake_limit,
        });
        let record = Arc::new(Record::default());
        let faults = Arc::new(Faults::default());
        let watcher = Arc::new(Watcher::default());
        setup.faults.iter().for_each(|fault| faults.inject(fault.clone()));
        let (listener, address) = server::listen().expect("a loopback port");
        let pair = authority.server(&SERVER_NAMES);
        let alpn: &[&[u8]] = match setup.http {
            Http::Both => &[b"h2", b"http/1.1"],
            Http::Only1 => &[b"http/1.1"],
            Http::Only2 => &[b"h2"],
        };
        let tls = tls::server_config(&pair, setup.tls, ClientCertificates::Asked, alpn);
        let streams = if setup.release == Release::V1_36 { 100 } else { 250 };
        let service = Service {
            face: Face::Api,
            api: Arc::clone(&api),
            record: Arc::clone(&record),
            faults: Arc::clone(&faults),
            watcher: Arc::clone(&watcher),
            http2: Http2 { streams },
        };
        let mut listeners = vec![Listener::Tls(listener, Arc::new(tls), service.clone())];
        let mut own_certificates = HashMap::new();
        let mut held = Vec::new();
        for OpenPort { node, certificate, socket, .. } in ports {
            let member = api.member(&node).expect("a node with a port");
            let socket = match socket {
                Socket::Listening(socket) => socket,
                Socket::Refusing(socket) => {
                    held.push(socket);
                    continue;
                }
            };
            listeners.push(match member.health {
                Health::Hung => Listener::Hung(socket),
                Health::PlainHttp => Listener::Plain(socket),
                health => {
                    let stranger = certificate == Port::OpenSelfSigned || health == Health::WrongCa;
                    let own = stranger.then(|| Authority::new(&format!("{node}-ca")));
                    let signer = own.as_ref().unwrap_or(&authority);
                    let pair = signer.server(&SERVER_NAMES);
                    own_certificates.insert(node, signer.pem.clone());
                    // Kubelets of 1.36 offer no protocols at all, and speak HTTP/1.1.
                    let (alpn, streams): (&[&[u8]], u32) = match member.kubelet.mode.release {
                        Release::V1_24 => (&[b"h2", b"http/1.1"], 250),
                        Release::V1_36 => (&[], 0),
                    };
                    let tls = tls::server_config(&pair, setup.tls, ClientCertificates::Asked, alpn);
                    let service = Service { face: Face::Kubelet(member), http2: Http2 { streams }, ..service.clone() };
                    Listener::Tls(socket, Arc::new(tls), service)
                }
            });
        }
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
            runtime.block_on(async {
                for listener in listeners {
                    match listener {
                        Listener::Tls(socket, tls, service) => tokio::spawn(server::serve(socket, tls, service)),
                        Listener::Hung(socket) => tokio::spawn(server::hang(socket)),
                        Listener::Plain(socket) => tokio::spawn(server::speak_plainly(socket)),
                    };
                }
                let _ = stopped.await;
            });
            runtime.shutdown_background();
            drop(held);
        });
        Cluster {
            directory,
            address,
            authority,
            certificates,
            api,
            record,
            faults,
            watcher,
            own_certificates,
            looked_at: AtomicBool::new(false),
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// `https://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Where the API server listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate of the cluster's authority, as PEM.
    pub(crate) fn ca(&self) -> &str {
        &self.authority.pem
    }

    /// Where a node's kubelet listens, or would: its port must not be [`Port::Proxied`].
    pub(crate) fn kubelet_address(&self, node: &str) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.api.member(node).expect("a node of this cluster").port))
    }

    /// The certificate of the authority behind a node's own port, as PEM.
    pub(crate) fn kubelet_ca(&self, node: &str) -> &str {
        self.own_certificates.get(node).expect("a node with an open port")
    }

    /// Makes something go wrong from now on.
    pub(crate) fn inject(&self, fault: Fault) {
        self.faults.inject(fault);
    }

    /// Ends all faults. One that nobody felt is a mistake in the test.
    #[track_caller]
    pub(crate) fn heal(&self) {
        let missed = self.faults.clear();
        assert!(missed.is_empty(), "nobody felt these faults: {missed:#?}");
    }

    /// A node's /var/log, which a test may change.
    pub(crate) fn var_log(&self, node: &str) -> PathBuf {
        self.api.member(node).expect("a node of this cluster").kubelet.root.clone()
    }

    /// A node comes, or takes the place of the one of its name.
    pub(crate) fn put(&self, node: Node) {
        let place = self.directory.path().join(format!("came-{:016x}", random()));
        let setup = Setup::new(vec![node]);
        for member in members(&setup, &place, &[]) {
            let now = kubelet_logs::clock::Clock::System.now().rfc3339().to_string();
            let member = Member { created: format!("{}Z", &now[..19]), ..(*member).clone() };
            self.api.members.put(&member.name.clone(), Some(member));
        }
    }

    /// A node gets a label.
    pub(crate) fn label(&self, node: &str, key: &str, value: &str) {
        let mut member = (*self.api.member(node).expect("a node of this cluster")).clone();
        member.labels.retain(|(name, _)| name != key);
        member.labels.push((key.to_owned(), value.to_owned()));
        self.api.members.put(node, Some(member));
    }

    /// A node goes.
    pub(crate) fn remove(&self, node: &str) {
        self.api.members.put(node, None);
    }

    /// What happened to nodes so far is forgotten: whoever watches from before has to list them again.
    pub(crate) fn forget(&self) {
        self.api.members.forget();
    }

    /// All watches end, as when an API server stops.
    pub(crate) fn end_watches(&self) {
        self.api.members.end_watches();
    }

    /// The most requests that were answered at the same time: over one connection, and by one node.
    pub(crate) fn most_at_once(&self) -> (usize, usize) {
        self.record.most_at_once()
    }

    /// Certificate and key of a user, for tests that write their own kubeconfig.
    pub(crate) fn pair(&self, user: User, key: Key) -> &Pair {
        self.certificates.get(&(user, key)).unwrap_or_else(|| panic!("{user:?} has no certificate"))
    }

    /// Takes this token for the user's, or for nobody's from now on: the usual ones too.
    pub(crate) fn accept(&self, token: &str, user: Option<User>) {
        self.api.known.token(token, user.map(User::identity));
    }

    /// Takes tokens for the user's, one after another, wherever they are made.
    pub(crate) fn acceptor(&self, user: User) -> impl Fn(&str) + Send + Sync + 'static {
        let api = Arc::clone(&self.api);
        move |token| api.known.token(token, Some(user.identity()))
    }

    /// A new certificate for this user; the one of before is no longer accepted.
    pub(crate) fn reissue(&self, user: User, before: &Pair) -> Pair {
        let identity = user.identity();
        let pair = self.authority.client(&identity.name, &identity.groups, Key::EcPkcs8);
        self.api.known.certificate(&before.certificate, None);
        self.api.known.certificate(&pair.certificate, Some(identity));
        pair
    }

    /// Has `see` told of the path and query of each request before anything else happens to it.
    pub(crate) fn watch(&self, see: impl FnMut(&str) + Send + 'static) {
        self.watcher.set(see);
    }

    /// What was asked so far.
    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.looked_at.store(true, Ordering::SeqCst);
        self.record.requests()
    }

    /// How many requests for a path that holds this there were so far, and the bytes of their answers' bodies.
    pub(crate) fn traffic(&self, path: &str) -> Traffic {
        let requests = self.requests();
        let fitting: Vec<&Recorded> = requests.iter().filter(|request| request.path().contains(path)).collect();
        Traffic { requests: fitting.len(), bytes: fitting.iter().map(|request| request.sent()).sum() }
    }

    /// Waits until `count` requests fit, and gives them; panics after a minute.
    pub(crate) fn wait_for(&self, count: usize, fits: impl Fn(&Recorded) -> bool) -> Vec<Recorded> {
        self.record.wait(count, fits)
    }

    /// Waits until so many queries of a node's kubelet have ended, whether it was done or its time was over.
    pub(crate) fn wait_for_ends(&self, node: &str, least: usize) {
        self.api.member(node).expect("a node of this cluster").kubelet.ended.wait(least);
    }

    /// How many connections were made.
    pub(crate) fn connections(&self) -> usize {
        self.record.connections()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().is_none_or(|thread| thread.join().is_ok());
        if std::thread::panicking() {
            return;
        }
        assert!(ended, "the simulated cluster panicked");
        let asked = self.looked_at.load(Ordering::SeqCst) || !self.record.requests().is_empty();
        assert!(asked, "the simulated cluster was never asked anything");
        self.heal();
    }
}

/// A port of a node's own.
struct OpenPort {
    node: String,
    number: u16,
    certificate: Port,
    socket: Socket,
}

enum Socket {
    Listening(std::net::TcpListener),
    /// Bound, so that nobody else gets the port, and refusing whoever comes.
    Refusing(tokio::net::TcpSocket),
}

/// Takes a port for every node that wants its own.
fn open_ports(setup: &Setup) -> Vec<OpenPort> {
    let wanted = setup.nodes.iter().filter(|node| node.port != Port::Proxied);
    wanted
        .map(|node| {
            let (socket, number) = if node.health == Health::Down {
                let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
                socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a loopback port");
                let number = socket.local_addr().expect("a bound socket").port();
                (Socket::Refusing(socket), number)
            } else {
                let (listener, address) = server::listen().expect("a loopback port");
                (Socket::Listening(listener), address.port())
            };
            OpenPort { node: node.name.clone(), number, certificate: node.port, socket }
        })
        .collect()
}

/// The nodes, sorted by name. Those alike share one kubelet and its directory.
fn members(setup: &Setup, directory: &Path, ports: &[OpenPort]) -> Vec<Arc<Member>> {
    let mut kubelets: HashMap<_, (Arc<Kubelet>, Option<String>)> = HashMap::new();
    let mut members: Vec<Arc<Member>> = setup
        .nodes
        .iter()
        .map(|node| {
            let habits = format!("{:?} {:?} {:?}", node.mode, node.mime, node.reader);
            let key = (habits, node.zone.clone(), node.journal, node.files.clone());
            let place = directory.join(format!("var-log-{}", kubelets.len()));
            let (kubelet, machine_id) = kubelets.entry(key).or_insert_with(|| kubelet(setup, node, &place));
            let boot_id = node.journal.recording().boots.last().cloned().unwrap_or_default();
            let system = if node.mode.flavour == Flavour::Windows { "windows" } else { "linux" };
            let mut labels: Vec<(String, String)> = [
                ("beta.kubernetes.io/arch", "amd64"),
                ("beta.kubernetes.io/os", system),
                ("kubernetes.io/arch", "amd64"),
                ("kubernetes.io/hostname", node.name.as_str()),
                ("kubernetes.io/os", system),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .to_vec();
            labels.extend(node.labels.clone());
            labels.sort();
            Arc::new(Member {
                name: node.name.clone(),
                kubelet: Arc::clone(kubelet),
                health: node.health,
                labels,
                port: ports.iter().find(|port| port.node == node.name).map_or(10250, |port| port.number),
                machine_id: machine_id.clone().unwrap_or_else(|| "0123456789abcdef0123456789abcdef".to_owned()),
                boot_id,
                version: 1804,
                created: "2023-11-01T00:00:00Z".to_owned(),
                clock_ahead: node.clock_ahead,
            })
        })
        .collect();
    members.sort_by(|a, b| a.name.cmp(&b.name));
    members
}

fn kubelet(setup: &Setup, node: &Node, place: &Path) -> (Arc<Kubelet>, Option<String>) {
    let zone = Zone::new(&node.zone);
    let (root, machine_id) = match &node.files {
        Files::At(root) => (root.clone(), machine_id(root)),
        Files::Bare => {
            fs::create_dir_all(place.join("pods")).expect("a directory");
            (place.to_owned(), None)
        }
        Files::Standard => {
            fs::create_dir_all(place).expect("a directory");
            (place.to_owned(), varlog::fill(place, node.journal, &zone).expect("files below /var/log"))
        }
    };
    let journal_directory = machine_id.as_ref().map(|id| root.join("journal").join(id));
    let kubelet = Kubelet {
        mode: node.mode,
        zone,
        mime: node.mime,
        root,
        journal: node.journal,
        journal_directory,
        reader: if matches!(node.reader, Reader::Auto) { setup.reader } else { node.reader },
        limit: setup.query_limit,
        ended: kubelet::Ended::default(),
    };
    (Arc::new(kubelet), machine_id)
}

/// The one journal directory below a /var/log, if there is one.
fn machine_id(root: &Path) -> Option<String> {
    let name = fs::read_dir(root.join("journal")).ok()?.flatten().next()?.file_name();
    Some(name.to_string_lossy().into_owned())
}

/// A number nobody can guess: for ids and boundaries.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
