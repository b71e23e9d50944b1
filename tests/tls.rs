//! Certificates that are not to be trusted, and servers that are none, through the real binary: which certificate, what is
//! wrong with it, what to do.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kubelet_logs::clock::Clock;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::support::{Ran, program, ran};

/// A certificate with its key, which may sign others.
struct Made {
    params: CertificateParams,
    key: KeyPair,
    der: CertificateDer<'static>,
    pem: String,
}

fn params(name: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("valid names");
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn self_signed(params: CertificateParams) -> Made {
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    Made { der: certificate.der().clone(), pem: certificate.pem(), params, key }
}

fn authority(name: &str) -> Made {
    let mut params = params(name, &[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    self_signed(params)
}

impl Made {
    fn sign(&self, params: CertificateParams) -> Made {
        let key = KeyPair::generate().expect("a key");
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        Made { der: certificate.der().clone(), pem: certificate.pem(), params, key }
    }

    /// A server's certificate, changed by `adjust`.
    fn server(&self, names: &[&str], adjust: impl FnOnce(&mut CertificateParams)) -> Made {
        let mut params = params("kube-apiserver", names);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        adjust(&mut params);
        self.sign(params)
    }

    fn client(&self, adjust: impl FnOnce(&mut CertificateParams)) -> Made {
        let mut params = params("alice", &[]);
        params.distinguished_name.push(DnType::OrganizationName, "dev");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        adjust(&mut params);
        self.sign(params)
    }

    /// The configuration of a server that sends these after its own.
    fn config(&self, more: &[&Made]) -> ServerConfig {
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().expect("versions").with_no_client_auth();
        builder.with_single_cert(self.chain(more), self.key()).expect("a usable pair")
    }

    /// The configuration of a server that lets in only clients of this authority.
    fn demanding(&self, authority: &Made, versions: &[&'static rustls::SupportedProtocolVersion]) -> ServerConfig {
        let mut roots = RootCertStore::empty();
        roots.add(authority.der.clone()).expect("an authority");
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions).expect("versions");
        let builder = builder.with_client_cert_verifier(verifier.build().expect("a verifier"));
        builder.with_single_cert(self.chain(&[]), self.key()).expect("a usable pair")
    }

    fn chain(&self, more: &[&Made]) -> Vec<CertificateDer<'static>> {
        std::iter::once(self).chain(more.iter().copied()).map(|made| made.der.clone()).collect()
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.key.serialize_der().into())
    }
}

/// A server on loopback that answers every request with 401; ends with the process.
fn serve(config: ServerConfig) -> SocketAddr {
    let config = Arc::new(config);
    listen(move |stream| {
        let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).expect("a connection"), stream);
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
        let _ = stream.flush();
    })
}

fn listen(talk: impl Fn(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || listener.incoming().flatten().for_each(talk));
    address
}

/// A kubeconfig for a server, which trusts `authority` (else the system) and shows `identity`.
struct Asking<'a> {
    address: SocketAddr,
    authority: Option<&'a str>,
    identity: Option<&'a Made>,
    env: &'a [(&'a str, &'a str)],
}

impl Asking<'_> {
    fn run(&self) -> Ran {
        let directory = tempfile::tempdir().expect("a directory");
        let run = ran(self.command(directory.path()).output().expect("the binary runs"));
        for secret in ["s3cr3t", "PRIVATE KEY"] {
            assert!(!run.stderr.contains(secret) && !run.text().contains(secret), "{}", run.stderr);
        }
        run
    }

    fn command(&self, directory: &Path) -> std::process::Command {
        let data = |text: &str| STANDARD.encode(text);
        let authority =
            self.authority.map_or_else(String::new, |pem| format!(", certificate-authority-data: {}", data(pem)));
        let user = self.identity.map_or_else(
            || "token: s3cr3t".to_owned(),
            |made| {
                let key = data(&made.key.serialize_pem());
                format!("client-certificate-data: {}, client-key-data: {key}", data(&made.pem))
            },
        );
        let text = format!(
            "current-context: x\ncontexts: [{{name: x, context: {{cluster: c, user: u}}}}]\n\
             clusters: [{{name: c, cluster: {{server: \"https://localhost:{}\"{authority}}}}}]\nusers: [{{name: u, user: {{{user}}}}}]\n",
            self.address.port()
        );
        let path = directory.join("config");
        fs::write(&path, text).expect("a kubeconfig");
        let mut command = program();
        command.arg("--kubeconfig").arg(path).args(["node-a", "--path", "x.log", "-v", "9"]);
        command.envs(self.env.iter().copied());
        command
    }
}

/// Now and so many seconds.
fn from_now(seconds: u64) -> SystemTime {
    let now = Duration::from_micros(Clock::System.now().as_micros().unsigned_abs());
    UNIX_EPOCH + now + Duration::from_secs(seconds)
}

#[test]
fn a_servers_bad_certificate_is_named_with_its_fault_and_the_remedy() {
    let ca = authority("kubernetes");
    let (namesake, stranger) = (authority("kubernetes"), authority("corp gateway"));
    let mut params = params("between", &[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_after = rcgen::date_time_ymd(2021, 2, 3);
    let between = ca.sign(params);
    let good = |names: &[&str]| ca.server(names, |_| ());
    let past = |params: &mut CertificateParams| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 2);
        params.not_after = rcgen::date_time_ymd(2021, 2, 3);
    };
    let mut young = self::params("young", &[]);
    young.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    young.not_before = rcgen::date_time_ymd(2090, 1, 1);
    let young = self_signed(young);
    let alone = self_signed(self::params("alone", &["localhost"]));
    let mut own = self::params("own", &["localhost"]);
    own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let own = self_signed(own);
    let other_own = authority("own");
    let subject = "subject \"CN=kube-apiserver\", issuer \"CN=kubernetes\", valid from ";
    let rows: &[(&str, ServerConfig, Option<&Made>, &[&str])] = &[
        (
            "expired",
            ca.server(&["localhost"], past).config(&[]),
            Some(&ca),
            &[
                ": the server's certificate expired at 2021-02-03T00:00:00Z; it is 20",
                &format!("({subject}2020-01-02T00:00:00Z to 2021-02-03T00:00:00Z)"),
                "hint: it expired ",
                " days ago, unless this machine's clock is ahead: the server needs a new certificate",
            ],
        ),
        (
            "expired between",
            between.server(&["localhost"], |_| ()).config(&[&between]),
            Some(&ca),
            &[
                ": the certificate of an authority between expired at 2021-02-03T00:00:00Z; it is 20",
                "(subject \"CN=between\", issuer \"CN=kubernetes\", valid from ",
            ],
        ),
        (
            "early by a little",
            ca.server(&["localhost"], |params| params.not_before = from_now(3000).into()).config(&[]),
            Some(&ca),
            &[
                ": the server's certificate is valid only from 20",
                subject,
                "hint: this machine's clock is probably behind, by ",
                " min at least: set it",
            ],
        ),
        (
            "early by years",
            ca.server(&["localhost"], |params| params.not_before = rcgen::date_time_ymd(2099, 1, 2)).config(&[]),
            Some(&ca),
            &[
                ": the server's certificate is valid only from 2099-01-02T00:00:00Z on; it is 20",
                "hint: is this machine's clock right? It would have to be ",
                " days behind",
            ],
        ),
        (
            "a clock before the authority",
            young.server(&["localhost"], |params| params.not_before = rcgen::date_time_ymd(2090, 1, 2)).config(&[]),
            Some(&young),
            &[
                ": the server's certificate is valid only from 2090-01-02T00:00:00Z on; it is 20",
                "hint: this machine's clock is behind: it stands before the day the cluster's own authority was made",
            ],
        ),
        (
            "another name",
            good(&["api.example", "10.0.0.1"]).config(&[]),
            Some(&ca),
            &[
                ": the server's certificate is not for localhost: it is for api.example, 10.0.0.1",
                subject,
                "hint: use a name it has as the server's, or tls-server-name in the kubeconfig (--tls-server-name NAME)",
            ],
        ),
        (
            "no name",
            good(&[]).config(&[]),
            Some(&ca),
            &[
                ": the server's certificate is not for localhost: it names no host (only subject alternative names count)",
                "hint: the server needs a certificate with subject alternative names",
            ],
        ),
        (
            "unknown authority",
            stranger.server(&["localhost"], |_| ()).config(&[]),
            Some(&ca),
            &[
                ": the server's certificate is signed by an unknown authority, \"CN=corp gateway\" (subject \"CN=kube-apiserver\"",
                "; trusted is only \"CN=kubernetes\" (certificate-authority-data of cluster \"c\" of ",
                "hint: is the server's address right? Then give the authority that signed it: certificate-authority",
            ],
        ),
        (
            "a namesake's",
            namesake.server(&["localhost"], |_| ()).config(&[]),
            Some(&ca),
            &[
                ": the server's certificate is signed by another authority of the same name (",
                subject,
                "hint: the certificate authority given is another cluster's",
            ],
        ),
        (
            "self-signed",
            alone.config(&[]),
            Some(&ca),
            &[
                ": the server's certificate is self-signed: nobody vouches for it but itself (subject \"CN=alone\"",
                "; trusted is only \"CN=kubernetes\"",
            ],
        ),
        (
            "self-signed as an authority, of the trusted one's name",
            own.config(&[]),
            Some(&other_own),
            &[": the server's certificate is self-signed: nobody vouches for it but itself (subject \"CN=own\""],
        ),
        (
            "no authority given",
            good(&["localhost"]).config(&[]),
            None,
            &[
                ": the server's certificate is signed by an unknown authority, \"CN=kubernetes\"",
                "; trusted are this system's authorities (1)",
                "hint: the kubeconfig names no authority for this cluster: certificate-authority, or --certificate-authority FILE",
            ],
        ),
        (
            "a client's",
            ca.client(|params| {
                params.subject_alt_names = vec![rcgen::SanType::DnsName("localhost".try_into().expect("a name"))];
            })
            .config(&[]),
            Some(&ca),
            &[": the server's certificate is not made for servers (extended key usage) (subject \"CN=alice, O=dev\""],
        ),
    ];
    let system = tempfile::tempdir().expect("a directory");
    let file = system.path().join("roots.crt");
    fs::write(&file, &stranger.pem).expect("a file");
    let env = [("SSL_CERT_FILE", file.to_str().expect("a path"))];
    for (what, config, authority, words) in rows {
        let address = serve(config.clone());
        let authority = authority.map(|made| made.pem.as_str());
        let ran = Asking { address, authority, identity: None, env: &env }.run();
        let place = format!("error: node-a: TLS with localhost:{}: ", address.port());
        assert!(ran.stderr.contains(&place), "{what}: {}", ran.stderr);
        assert_eq!(ran.stderr.matches("hint: ").count(), 1, "{what}: {}", ran.stderr);
        ran.expect(6, words);
    }
}

#[test]
#[cfg(feature = "embedded-roots")]
fn where_the_system_has_no_authorities_the_embedded_ones_count() {
    let ca = authority("kubernetes");
    let address = serve(ca.server(&["localhost"], |_| ()).config(&[]));
    let empty = tempfile::tempdir().expect("a directory");
    let file = empty.path().join("none.crt");
    let env =
        [("SSL_CERT_DIR", empty.path().to_str().expect("a path")), ("SSL_CERT_FILE", file.to_str().expect("a path"))];
    let ask = |authority| Asking { address, authority, identity: None, env: &env }.run();
    ask(None).expect(
        6,
        &[
            "this system has no certificate authorities: trusting the 1",
            ": the server's certificate is signed by an unknown authority, \"CN=kubernetes\"",
            " public authorities built in, for this system has none",
            "hint: the kubeconfig names no authority for this cluster: certificate-authority, or --certificate-authority FILE",
        ],
    );
    // An authority that is named is alone.
    let named = ask(Some(authority("other").pem.as_str()));
    assert!(!named.stderr.contains("built in"), "{}", named.stderr);
    named.expect(6, &["trusted is only \"CN=other\""]);
}

#[test]
fn a_refused_client_certificate_is_ours_and_its_dates_are_told() {
    let ca = authority("kubernetes");
    let server = ca.server(&["localhost"], |_| ());
    let expired = ca.client(|params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 2);
        params.not_after = rcgen::date_time_ymd(2021, 2, 3);
    });
    let early = ca.client(|params| params.not_before = from_now(1800).into());
    let stranger = authority("other cluster").client(|_| ());
    for versions in [&[&rustls::version::TLS12], &[&rustls::version::TLS13]] {
        let address = serve(server.demanding(&ca, versions));
        let ask = |identity| Asking { address, authority: Some(&ca.pem), identity, env: &[] }.run();
        let ours = "(subject \"CN=alice, O=dev\", issuer \"CN=";
        ask(Some(&expired)).expect(
            6,
            &[
                "warning: the client certificate expired at 2021-02-03T00:00:00Z ",
                "the server refused our client certificate: it expired at 2021-02-03T00:00:00Z; it is 20",
                ours,
                "hint: get a new one: log in again",
            ],
        );
        ask(Some(&early)).expect(
            6,
            &[
                "the server refused our client certificate: it is valid only from 20",
                "hint: this machine's clock is probably behind, by ",
            ],
        );
        ask(Some(&stranger)).expect(
            6,
            &[
                "the server refused our client certificate: ",
                "issuer \"CN=other cluster\"",
                "hint: is it of this cluster",
            ],
        );
        ask(None).expect(6, &["client certificate, and we have none", "hint: "]);
        ask(Some(&ca.client(|_| ()))).expect(4, &["401 Unauthorized"]);
    }
    // As API servers do: the handshake is taken, and the answer is a 401 that says nothing of dates.
    let address = serve(server.config(&[]));
    let ran = Asking { address, authority: Some(&ca.pem), identity: Some(&expired), env: &[] }.run();
    ran.expect(4, &[
        "warning: the client certificate expired at 2021-02-03T00:00:00Z (subject \"CN=alice, O=dev\", issuer \"CN=kubernetes\"",
        "error: node-a: 401 Unauthorized",
    ]);
}

#[test]
fn what_is_no_tls_server_is_told() {
    let ca = authority("kubernetes");
    let alert = |description: u8| {
        listen(move |mut stream| {
            let _ = stream.read(&mut [0; 2048]);
            let _ = stream.write_all(&[21, 3, 3, 0, 2, 2, description]);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        })
    };
    let saying = |words: &'static [u8]| {
        listen(move |mut stream| {
            let _ = stream.read(&mut [0; 2048]);
            let _ = stream.write_all(words);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        })
    };
    // A ServerHello of TLS 1.1: version 3.2, random, no session, a cipher, no compression.
    const OLD: [u8; 47] = {
        let mut hello = [0; 47];
        (hello[0], hello[1], hello[2], hello[4]) = (22, 3, 2, 42);
        (hello[5], hello[8], hello[9], hello[10]) = (2, 38, 3, 2);
        (hello[45], hello[46]) = (0x2f, 0);
        hello
    };
    for (address, words) in [
        (
            saying(b"HTTP/1.1 400 Bad Request\r\n\r\n<html>s3cr3t"),
            ["what answered there does not speak TLS", "hint: is it the right port?"],
        ),
        (saying(b"SSH-2.0-OpenSSH_9.2\r\n"), ["what answered there does not speak TLS", "hint: is it the right port?"]),
        (saying(b""), ["the connection was closed during the handshake", "hint: is it the right port?"]),
        (saying(&OLD), ["speaks only versions of TLS before 1.2", "hint: an old server"]),
        (alert(70), ["no version or cipher in common (TLS 1.2 and 1.3 are spoken here)", "hint: an old server"]),
        (alert(40), ["the server refused the handshake", "hint: it may want a client certificate, and we have none"]),
        (alert(112), ["the server does not know the name we asked for", "hint: tls-server-name"]),
        (alert(80), ["the server ended the handshake (InternalError)", ""]),
    ] {
        let ran = Asking { address, authority: Some(&ca.pem), identity: None, env: &[] }.run();
        ran.expect(6, &[&format!("error: node-a: TLS with localhost:{}: ", address.port()), words[0], words[1]]);
    }
}

#[test]
fn a_plain_request_to_a_port_with_tls_is_told() {
    let address = listen(|mut stream| {
        let _ = stream.read(&mut [0; 2048]);
        let _ = stream.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n");
    });
    let mut command = program();
    command.args(["--kubeconfig=", "--server", &format!("http://{address}"), "node-a", "--path", "x.log"]);
    ran(command.output().expect("the binary runs")).expect(
        1,
        &[
            "error: node-a: 400 Bad Request: Client sent an HTTP request to an HTTPS server.",
            "hint: the server speaks TLS on this port: write https:// in front of its address",
        ],
    );
}
