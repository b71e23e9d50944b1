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
pub(crate) mod journal;
pub(crate) mod engine;
pub(crate) mod varlog;
pub(crate) mod kubelet;
pub(crate) mod selector;
pub(crate) mod objects;
pub(crate) mod api;
pub(crate) mod server;
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
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;
use tokio::sync::oneshot;

pub(crate) use access::{Basic, Grant, User};
pub(crate) use files::Mime;
pub(crate) use journal::{Journal, Reader};
pub(crate) use kubelet::{Mode, Release};
pub(crate) use objects::Health;
pub(crate) use server::Recorded;
pub(crate) use tls::{Key, Versions};

use api::Api;
use kubelet::Kubelet;
use objects::Member;
use server::{Face, Http2, Record, Service};
use tls::{Authority, ClientCertificates, Pair};
use zone::Zone;

/// One node of a cluster to start.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) mode: Mode,
    /// POSIX, as `EST5EDT,M3.2.0,M11.1.0`.
    pub(crate) zone: String,
    pub(crate) journal: Journal,
    pub(crate) files: Files,
    pub(crate) mime: Mime,
    pub(crate) health: Health,
    /// Beside the usual ones.
    pub(crate) labels: Vec<(String, String)>,
}

/// What a node's /var/log holds beside its journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Files {
    /// The set of [`varlog`].
    #[default]
    Standard,
    /// The test's own directory, journal included.
    At(PathBuf),
}

impl Node {
    /// A healthy node in UTC with the usual files.
    pub(crate) fn new(name: &str, mode: Mode) -> Node {
        Node {
            name: name.to_owned(),
            mode,
            zone: "UTC0".to_owned(),
            journal: Journal::default(),
            files: Files::default(),
            mime: Mime::default(),
            health: Health::default(),
            labels: Vec::new(),
        }
    }

    /// In this zone.
    pub(crate) fn zone(mut self, zone: &str) -> Node {
        zone.clone_into(&mut self.zone);
        self
    }

    /// With this journal.
    pub(crate) fn journal(mut self, journal: Journal) -> Node {
        self.journal = journal;
        self
    }

    /// With this directory as /var/log.
    pub(crate) fn files(mut self, root: &Path) -> Node {
        self.files = Files::At(root.to_owned());
        self
    }

    /// In this state.
    pub(crate) fn health(mut self, health: Health) -> Node {
        self.health = health;
        self
    }

    /// With this label.
    pub(crate) fn label(mut self, key: &str, value: &str) -> Node {
        self.labels.push((key.to_owned(), value.to_owned()));
        self
    }
}

/// What to start.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) nodes: Vec<Node>,
    pub(crate) release: Release,
    pub(crate) http: Http,
    pub(crate) tls: Versions,
    pub(crate) basic: Basic,
    pub(crate) grants: Vec<Grant>,
    pub(crate) reader: Reader,
    /// How long a kubelet lets a query run.
    pub(crate) query_limit: Duration,
}

/// The HTTP versions the API server offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Http {
    #[default]
    Both,
    Only1,
    Only2,
}

impl Setup {
    /// These nodes, with everything else as usual.
    pub(crate) fn new(nodes: Vec<Node>) -> Setup {
        Setup {
            nodes,
            release: Release::V1_36,
            http: Http::default(),
            tls: Versions::default(),
            basic: Basic::default(),
            grants: Vec::new(),
            reader: Reader::default(),
            query_limit: Duration::from_secs(30),
        }
    }

    /// Starts it.
    pub(crate) fn start(self) -> Cluster {
        Cluster::start(self)
    }
}

/// How a kubeconfig's user proves who he is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    Certificate(Key),
    /// Certificate and key in files beside the kubeconfig, named relative to it.
    CertificateFiles(Key),
    Token,
    /// In a file beside the kubeconfig.
    TokenFile,
    Basic,
    None,
}

/// A running simulation. Dropping it stops it; one that nobody asked anything is a mistake in the test.
pub(crate) struct Cluster {
    directory: TempDir,
    address: SocketAddr,
    authority: Authority,
    certificates: HashMap<(User, Key), Pair>,
    api: Arc<Api>,
    record: Arc<Record>,
    looked_at: AtomicBool,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The key kinds that client certificates exist for.
const KEYS: [Key; 5] = [Key::EcPkcs8, Key::EcSec1, Key::Ed25519, Key::RsaPkcs8, Key::RsaPkcs1];

impl Cluster {
    /// Brings up what `setup` says; it answers when this returns.
    pub(crate) fn start(setup: Setup) -> Cluster {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let authority = Authority::new("simulated cluster CA");
        let mut certificates = HashMap::new();
        let mut known = HashMap::new();
        for user in [User::Admin, User::Limited] {
            for key in KEYS {
                let identity = user.identity();
                let pair = authority.client(&identity.name, &identity.groups, key);
                known.insert(pair.certificate.to_vec(), identity);
                certificates.insert((user, key), pair);
            }
        }
        let api = Arc::new(Api {
            release: setup.release,
            members: members(&setup, directory.path()),
            grants: setup.grants.clone(),
            basic: setup.basic,
            certificates: known,
        });
        let record = Arc::new(Record::default());
        let (listener, address) = server::listen().expect("a loopback port");
        let pair = authority.server(&["127.0.0.1", "localhost", "kubernetes.default.svc"]);
        let alpn: &[&[u8]] = match setup.http {
            Http::Both => &[b"h2", b"http/1.1"],
            Http::Only1 => &[b"http/1.1"],
            Http::Only2 => &[b"h2"],
        };
        let tls = tls::server_config(&pair, setup.tls, ClientCertificates::Asked, alpn);
        let streams = if setup.release == Release::V1_36 { 100 } else { 250 };
        let service =
            Service { face: Face::Api(Arc::clone(&api)), record: Arc::clone(&record), http2: Http2 { streams } };
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
            runtime.block_on(async {
                tokio::spawn(server::serve(listener, tls, service));
                let _ = stopped.await;
            });
            runtime.shutdown_background();
        });
        Cluster {
            directory,
            address,
            authority,
            certificates,
            api,
            record,
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

    /// A node's /var/log, which a test may change.
    pub(crate) fn var_log(&self, node: &str) -> &Path {
        &self.api.member(node).expect("a node of this cluster").kubelet.root
    }

    /// Writes a kubeconfig for this user in his usual way and returns its path.
    pub(crate) fn kubeconfig(&self, user: User) -> PathBuf {
        let credential = match user {
            User::Admin | User::Limited => Credential::Certificate(Key::EcPkcs8),
            User::Anonymous => Credential::None,
            _ => Credential::Token,
        };
        self.kubeconfig_with(user, credential)
    }

    /// Writes a kubeconfig for this user with this credential, in a directory of its own, and returns its path.
    pub(crate) fn kubeconfig_with(&self, user: User, credential: Credential) -> PathBuf {
        let name = format!("{}-{credential:?}", user.name()).replace([':', '(', ')'], "-").to_lowercase();
        let directory = self.directory.path().join("kubeconfigs").join(name);
        fs::create_dir_all(&directory).expect("a directory");
        let path = directory.join("config");
        fs::write(&path, self.kubeconfig_text(&[(user, credential)], &directory)).expect("a kubeconfig");
        path
    }

    /// A kubeconfig with a context for each of these, named as the user; the first is the current one.
    pub(crate) fn kubeconfig_text(&self, users: &[(User, Credential)], directory: &Path) -> String {
        let (mut contexts, mut entries) = (String::new(), String::new());
        for (user, credential) in users {
            let name = user.name();
            contexts.push_str(&format!("- name: {name}\n  context: {{cluster: simulated, user: {name}}}\n"));
            let entry = match credential {
                Credential::Certificate(key) => {
                    let pair = self.pair(*user, *key);
                    format!(
                        "client-certificate-data: {}\n    client-key-data: {}",
                        STANDARD.encode(&pair.certificate_pem),
                        STANDARD.encode(&pair.key_pem)
                    )
                }
                Credential::CertificateFiles(key) => {
                    let pair = self.pair(*user, *key);
                    fs::write(directory.join("client.crt"), &pair.certificate_pem).expect("a certificate");
                    fs::write(directory.join("client.key"), &pair.key_pem).expect("a key");
                    "client-certificate: client.crt\n    client-key: client.key".to_owned()
                }
                Credential::Token => format!("token: {}", user.token()),
                Credential::TokenFile => {
                    fs::write(directory.join("token"), format!("{}\n", user.token())).expect("a token");
                    "tokenFile: token".to_owned()
                }
                Credential::Basic => format!("username: {name}\n    password: {}", user.password()),
                Credential::None => "{}".to_owned(),
            };
            entries.push_str(&format!("- name: {name}\n  user:\n    {entry}\n"));
        }
        format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: simulated\n  cluster:\n    server: {}\n    certificate-authority-data: {}\ncontexts:\n{contexts}users:\n{entries}current-context: {}\n",
            self.url(),
            STANDARD.encode(self.ca()),
            users.first().map_or("", |(user, _)| user.name()),
        )
    }

    /// Certificate and key of a user, for tests that write their own kubeconfig.
    pub(crate) fn pair(&self, user: User, key: Key) -> &Pair {
        self.certificates.get(&(user, key)).unwrap_or_else(|| panic!("{user:?} has no certificate"))
    }

    /// What was asked so far.
    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.looked_at.store(true, Ordering::SeqCst);
        self.record.requests()
    }

    /// Waits until `count` requests fit, and gives them; panics after a minute.
    pub(crate) fn wait_for(&self, count: usize, fits: impl Fn(&Recorded) -> bool) -> Vec<Recorded> {
        self.record.wait(count, fits)
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
    }
}

/// The nodes, sorted by name. Those alike share one kubelet and its directory.
fn members(setup: &Setup, directory: &Path) -> Vec<Arc<Member>> {
    let mut kubelets: HashMap<_, (Arc<Kubelet>, Option<String>)> = HashMap::new();
    let mut members: Vec<Arc<Member>> = setup
        .nodes
        .iter()
        .map(|node| {
            let key = (format!("{:?} {:?}", node.mode, node.mime), node.zone.clone(), node.journal, node.files.clone());
            let place = directory.join(format!("var-log-{}", kubelets.len()));
            let (kubelet, machine_id) = kubelets.entry(key).or_insert_with(|| kubelet(setup, node, &place));
            let boot_id = node.journal.recording().boots.last().cloned().unwrap_or_default();
            let mut labels: Vec<(String, String)> = [
                ("beta.kubernetes.io/arch", "amd64"),
                ("beta.kubernetes.io/os", "linux"),
                ("kubernetes.io/arch", "amd64"),
                ("kubernetes.io/hostname", node.name.as_str()),
                ("kubernetes.io/os", "linux"),
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
                port: 10250,
                machine_id: machine_id.clone().unwrap_or_else(|| "0123456789abcdef0123456789abcdef".to_owned()),
                boot_id,
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
        reader: setup.reader,
        limit: setup.query_limit,
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
