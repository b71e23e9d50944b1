//! What a simulated cluster is made of.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Cluster;
use super::access::{Basic, Grant};
use super::distro::{self, Distribution};
use super::fault::Fault;
use super::files::Mime;
use super::journal::{Journal, Reader};
use super::kubelet::{Flavour, Mode, Release};
use super::objects::Health;
use super::tls::Versions;
use super::zone::Zone;

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
    pub(crate) reader: Reader,
    pub(crate) port: Port,
    /// By so many seconds its clock is ahead of the cluster's.
    pub(crate) clock_ahead: i64,
}

/// Whether a node's kubelet listens itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Port {
    /// Reached through the API server alone.
    #[default]
    Proxied,
    /// On a loopback port, with a certificate of the cluster's authority.
    Open,
    /// The same with a certificate it signed itself, as kubeadm sets kubelets up.
    OpenSelfSigned,
}

/// What a node's /var/log holds beside its journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Files {
    /// The set of [`varlog`].
    #[default]
    Standard,
    /// No file at all.
    Bare,
    /// The test's own directory, journal included.
    At(PathBuf),
}

impl Node {
    /// A healthy node in UTC with the usual files; a Windows node keeps no journal.
    pub(crate) fn new(name: &str, mode: Mode) -> Node {
        let journal = if mode.flavour == Flavour::Windows { Journal::None } else { Journal::default() };
        Node {
            name: name.to_owned(),
            mode,
            zone: "UTC0".to_owned(),
            journal,
            files: Files::default(),
            mime: Mime::default(),
            health: Health::default(),
            labels: Vec::new(),
            reader: Reader::default(),
            port: Port::default(),
            clock_ahead: 0,
        }
    }

    /// With a port of its own.
    pub(crate) fn port(mut self, port: Port) -> Node {
        self.port = port;
        self
    }

    /// With a clock so many seconds ahead of the cluster's.
    pub(crate) fn clock_ahead(mut self, seconds: i64) -> Node {
        self.clock_ahead = seconds;
        self
    }

    /// With this in place of journalctl.
    pub(crate) fn reader(mut self, reader: Reader) -> Node {
        self.reader = reader;
        self
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

    /// With a journal that these units wrote, each until its time, and with no log file.
    pub(crate) fn units(self, units: &[(Distribution, i64)]) -> Node {
        let offset = Zone::new(&self.zone).offset(1_700_000_000);
        Node { reader: Reader::Made(distro::journal(units, offset)), files: Files::Bare, ..self }
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
    /// How long a kubelet lets a query run: 30 s at real ones.
    pub(crate) query_limit: Duration,
    /// How long the API server waits for a kubelet that says nothing: 10 s at real ones.
    pub(crate) handshake_limit: Duration,
    pub(crate) faults: Vec<Fault>,
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
            handshake_limit: Duration::from_secs(10),
            faults: Vec::new(),
        }
    }

    /// With this fault from the start.
    pub(crate) fn fault(mut self, fault: Fault) -> Setup {
        self.faults.push(fault);
        self
    }

    /// With queries cut after this time.
    pub(crate) fn query_limit(mut self, limit: Duration) -> Setup {
        self.query_limit = limit;
        self
    }

    /// Starts it.
    pub(crate) fn start(self) -> Cluster {
        Cluster::start(self)
    }
}
