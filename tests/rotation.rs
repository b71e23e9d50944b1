//! Credentials that change in the middle of a run: the run goes on, and nothing is lost.
//!
//! The simulated cluster stops taking the old ones, either between two requests of one command or where the rest of an
//! answer is asked for that was cut at the kubelet's limit.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::cluster::{Cluster, Fault, Key, Mode, Node, Reader, Setup, User, What};
use crate::support::issuer::{Issuer, id_token};
use crate::support::run;

/// How long the kubelet lets a query run here.
const LIMIT: Duration = Duration::from_secs(2);

/// A credential that somebody renews.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    TokenFile,
    CertificateFiles,
    PluginToken,
    PluginCertificate,
    Oidc,
}

const KINDS: [Kind; 5] =
    [Kind::TokenFile, Kind::CertificateFiles, Kind::PluginToken, Kind::PluginCertificate, Kind::Oidc];

/// A cluster, a kubeconfig for it, and how its credential is renewed; the old one is refused from then on.
struct Scene {
    cluster: Arc<Cluster>,
    directory: tempfile::TempDir,
    issuer: Option<Issuer>,
    renew: Box<dyn FnOnce() + Send>,
}

fn scene(kind: Kind) -> Scene {
    // The machine's journalctl may take its time.
    let node = Node::new("node-a", Mode::QUERY_ON).reader(Reader::Recorded);
    let cluster = Setup::new(vec![node]).query_limit(LIMIT).start();
    let cluster = Arc::new(cluster);
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    let token = |n: usize| format!("s3cr3t-token-{n}");
    let pair = cluster.pair(User::Admin, Key::EcPkcs8);
    let mut issuer = None;
    let (user, renew): (String, Box<dyn FnOnce() + Send>);
    let renewing = Arc::clone(&cluster);
    let credential = |status: &str| {
        format!(
            "{{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",\"status\":{{{status}}}}}"
        )
    };
    let plugin = format!(
        "exec: {{apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: /bin/cat, args: ['{}']}}",
        at("given").display()
    );
    match kind {
        Kind::TokenFile | Kind::PluginToken => {
            let is_file = kind == Kind::TokenFile;
            let content = move |n| if is_file { token(n) } else { credential(&format!("\"token\":\"{}\"", token(n))) };
            cluster.accept(&token(1), Some(User::Admin));
            fs::write(at("given"), content(1)).expect("a file");
            user = if is_file { "tokenFile: given".to_owned() } else { plugin };
            let file = at("given");
            renew = Box::new(move || {
                put(&file, &content(2));
                renewing.accept(&token(1), None);
                renewing.accept(&token(2), Some(User::Admin));
            });
        }
        Kind::CertificateFiles => {
            fs::write(at("crt"), &pair.certificate_pem).expect("a file");
            fs::write(at("key"), &pair.key_pem).expect("a file");
            user = "client-certificate: crt, client-key: key".to_owned();
            let (crt, key) = (at("crt"), at("key"));
            renew = Box::new(move || {
                let new = renewing.reissue(User::Admin, renewing.pair(User::Admin, Key::EcPkcs8));
                put(&crt, &new.certificate_pem);
                put(&key, &new.key_pem);
            });
        }
        Kind::PluginCertificate => {
            let content = move |crt: &str, key: &str| {
                let (crt, key) = (crt.replace('\n', "\\n"), key.replace('\n', "\\n"));
                credential(&format!("\"clientCertificateData\":\"{crt}\",\"clientKeyData\":\"{key}\""))
            };
            fs::write(at("given"), content(&pair.certificate_pem, &pair.key_pem)).expect("a file");
            user = plugin;
            let file = at("given");
            renew = Box::new(move || {
                let new = renewing.reissue(User::Admin, renewing.pair(User::Admin, Key::EcPkcs8));
                put(&file, &content(&new.certificate_pem, &new.key_pem));
            });
        }
        Kind::Oidc => {
            let old = id_token(4_102_444_800, "old");
            cluster.accept(&old, Some(User::Admin));
            let provider = Issuer::start(Duration::from_secs(3600), cluster.acceptor(User::Admin));
            user = format!("auth-provider: {}", provider.auth_provider("rotating", &old));
            issuer = Some(provider);
            renew = Box::new(move || renewing.accept(&old, None));
        }
    }
    let text = format!(
        "current-context: x\ncontexts: [{{name: x, context: {{cluster: c, user: u}}}}]\n\
         clusters: [{{name: c, cluster: {{server: '{}', certificate-authority-data: {}}}}}]\nusers: [{{name: u, user: {{{user}}}}}]\n",
        cluster.url(),
        STANDARD.encode(cluster.ca()),
    );
    fs::write(at("config"), text).expect("a kubeconfig");
    Scene { cluster, directory, issuer, renew }
}

/// Writes a file as a careful writer does.
fn put(file: &Path, content: &str) {
    let new = file.with_extension("new");
    fs::write(&new, content).expect("a file");
    fs::rename(new, file).expect("a file");
}

impl Scene {
    fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join("config")
    }

    /// Renews when the `nth` request whose path holds `part` arrives, counted from 1; gives the count.
    fn renew_at(&mut self, nth: usize, part: &'static str) -> Arc<AtomicUsize> {
        let count = Arc::new(AtomicUsize::new(0));
        let (counting, renew) =
            (Arc::clone(&count), Mutex::new(Some(std::mem::replace(&mut self.renew, Box::new(|| {})))));
        self.cluster.watch(move |target| {
            if target.contains(part) && counting.fetch_add(1, Ordering::SeqCst) + 1 == nth {
                renew.lock().expect("once").take().expect("once")();
            }
        });
        count
    }
}

#[test]
fn a_command_of_many_requests_goes_on() {
    let reference = scene(Kind::TokenFile);
    let expected = run(&reference.kubeconfig(), ["ls", "node-a", "--long"]);
    expected.expect(0, &[]);
    for kind in KINDS {
        for nth in [1, 2, 5] {
            let mut scene = scene(kind);
            let count = scene.renew_at(nth, "/proxy/logs/");
            let ran = run(&scene.kubeconfig(), ["ls", "node-a", "--long"]);
            ran.expect(0, &[]);
            assert_eq!(ran.text(), expected.text(), "{kind:?} {nth}");
            assert!(!ran.stderr.contains("s3cr3t"), "{}", ran.stderr);
            assert!(count.load(Ordering::SeqCst) > 5, "too few requests to show it");
            let refused = scene.cluster.requests().iter().filter(|request| request.user.is_empty()).count();
            // As many as were on their way: eight sizes of files, and what is asked of the journal.
            assert!((1..=12).contains(&refused), "{kind:?} {nth}: {refused} requests were refused");
            if let Some(issuer) = &scene.issuer {
                assert_eq!(issuer.asked().len(), 1, "refreshed once for all requests");
            }
            end(scene);
        }
    }
    end(reference);
}

#[test]
fn the_rest_of_a_cut_answer_is_asked_for_with_the_new_credential() {
    let args = ["node-a", "--server-limit", "2s", "--timeout", "60s"];
    let reference = scene(Kind::TokenFile);
    let expected = run(&reference.kubeconfig(), args);
    expected.expect(0, &[]);
    std::thread::scope(|scope| {
        for kind in KINDS {
            let expected = &expected;
            scope.spawn(move || {
                let mut scene = scene(kind);
                let cut = What::EndAfterPause(10_000, LIMIT);
                scene.cluster.inject(Fault::new(cut).path("query=kubelet").first(1));
                let count = scene.renew_at(2, "query=kubelet");
                let ran = run(&scene.kubeconfig(), args);
                ran.expect(0, &[]);
                assert!(ran.stdout == expected.stdout, "{kind:?}: something is lost or comes twice\n{}", ran.stderr);
                assert!(count.load(Ordering::SeqCst) > 2, "it was not cut");
                end(scene);
            });
        }
    });
    end(reference);
}

#[test]
fn a_refused_credential_that_nobody_renews_stays_refused() {
    for kind in [Kind::TokenFile, Kind::CertificateFiles, Kind::PluginToken] {
        let mut scene = scene(kind);
        let cluster = Arc::clone(&scene.cluster);
        scene.renew = Box::new(move || {
            cluster.accept("s3cr3t-token-1", None);
            cluster.reissue(User::Admin, cluster.pair(User::Admin, Key::EcPkcs8));
        });
        let count = scene.renew_at(1, "/proxy/logs/");
        run(&scene.kubeconfig(), ["node-a", "--path", "empty.log"]).expect(4, &["401 Unauthorized"]);
        assert_eq!(count.load(Ordering::SeqCst), if kind == Kind::PluginToken { 2 } else { 1 }, "{kind:?}");
        end(scene);
    }
}

/// The watcher holds the cluster too; without it the cluster can end.
fn end(scene: Scene) {
    scene.cluster.watch(|_| {});
}
