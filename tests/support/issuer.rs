//! An OpenID Connect provider on loopback: a configuration and a token endpoint over TLS, for each way of being one.
//!
//! The first part of a path says which: `/good`, `/rotating`, `/html` and so on, each an issuer of its own.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rustls::{ServerConnection, StreamOwned};
use serde_json::json;

use crate::cluster::tls::{Authority, ClientCertificates, Versions, server_config};

/// The client's name and secret, which need escaping in the header.
pub(crate) const CLIENT: (&str, &str) = ("kube client", "s3cr3t:client+&=ü");

/// The first refresh token.
pub(crate) const REFRESH: &str = "s3cr3t-refresh/token+1";

/// A running provider; its threads end with the process.
pub(crate) struct Issuer {
    address: SocketAddr,
    ca: String,
    state: Arc<State>,
}

/// A request for a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Which issuer.
    pub(crate) issuer: String,
    pub(crate) refresh_token: String,
    /// Where the client's name stood: `header` or `form`.
    pub(crate) style: &'static str,
}

struct State {
    /// Told of each id-token it gives.
    give: Box<dyn Fn(&str) + Send + Sync>,
    /// How long id-tokens last, from now.
    lifetime: Duration,
    asked: Mutex<Vec<Asked>>,
    /// The refresh tokens that `rotating` takes, each once.
    live: Mutex<BTreeSet<String>>,
}

impl Issuer {
    /// Starts one whose id-tokens last so long; `give` is told of each.
    pub(crate) fn start(lifetime: Duration, give: impl Fn(&str) + Send + Sync + 'static) -> Issuer {
        let authority = Authority::new("issuer CA");
        let pair = authority.server(&["127.0.0.1", "localhost"]);
        let config = Arc::new(server_config(&pair, Versions::Both, ClientCertificates::Ignored, &[]));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let address = listener.local_addr().expect("an address");
        let live = Mutex::new(BTreeSet::from([REFRESH.to_owned()]));
        let state = Arc::new(State { give: Box::new(give), lifetime, asked: Mutex::default(), live });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let (state, config) = (Arc::clone(&shared), Arc::clone(&config));
                std::thread::spawn(move || {
                    let connection = ServerConnection::new(config).expect("a usable configuration");
                    // Peers that give up in the middle are no news.
                    let _ = state.serve(StreamOwned::new(connection, socket), address);
                });
            }
        });
        Issuer { address, ca: authority.pem, state }
    }

    /// The URL of one of its issuers.
    pub(crate) fn url(&self, issuer: &str) -> String {
        format!("https://{}/{issuer}", self.address)
    }

    /// All of its issuers.
    pub(crate) fn base(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Its authority's certificate, as PEM.
    pub(crate) fn ca(&self) -> &str {
        &self.ca
    }

    /// Who asked for tokens so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.asked.lock().expect("a record").clone()
    }

    /// The refresh tokens that `rotating` would take now.
    pub(crate) fn live(&self) -> Vec<String> {
        self.state.live.lock().expect("tokens").iter().cloned().collect()
    }

    /// An `auth-provider` of this issuer, in YAML's flow style.
    pub(crate) fn auth_provider(&self, issuer: &str, id_token: &str) -> String {
        format!(
            "{{name: oidc, config: {{idp-issuer-url: '{}', client-id: '{}', client-secret: '{}', id-token: {id_token}, \
             refresh-token: '{REFRESH}', idp-certificate-authority-data: {}}}}}",
            self.url(issuer),
            CLIENT.0,
            CLIENT.1,
            STANDARD.encode(&self.ca)
        )
    }
}

/// A token that lasts until so many seconds after 1970.
pub(crate) fn id_token(end: i64, more: &str) -> String {
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", part(json!({"alg": "none"})), part(json!({"exp": end, "jti": more})), "s3cr3tsignature")
}

fn now() -> i64 {
    kubelet_logs::clock::Clock::System.now().as_micros() / 1_000_000
}

impl State {
    fn serve(&self, mut stream: StreamOwned<ServerConnection, TcpStream>, own: SocketAddr) -> std::io::Result<()> {
        let (mut head, mut form) = (Vec::new(), String::new());
        {
            let mut reader = BufReader::new(&mut stream);
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line)? == 0 || line == "\r\n" {
                    break;
                }
                head.push(line.trim_end().to_owned());
            }
            let length = header(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
            reader.take(length).read_to_string(&mut form)?;
        }
        let target = head.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
        let issuer = target.split('/').nth(1).unwrap_or_default().to_owned();
        let url = format!("https://{own}/{issuer}");
        let is_token = target.contains("/token");
        let (status, kind, body) = match (issuer.as_str(), is_token) {
            ("hanging", _) => {
                let mut rest = Vec::new();
                return stream.read_to_end(&mut rest).map(|_| ());
            }
            ("flooding", true) => {
                stream.write_all(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{\"x\":\"",
                )?;
                loop {
                    stream.write_all(&[b'x'; 4096])?;
                }
            }
            ("redirected", false) if !target.starts_with("/redirected/moved") => {
                let to = "Location: /redirected/moved/config\r\nContent-Length: 0\r\nConnection: close";
                return stream.write_all(format!("HTTP/1.1 302 Found\r\n{to}\r\n\r\n").as_bytes());
            }
            ("circling", false) => {
                let to = format!("Location: {target}\r\nContent-Length: 0\r\nConnection: close");
                return stream.write_all(format!("HTTP/1.1 302 Found\r\n{to}\r\n\r\n").as_bytes());
            }
            ("html", _) => (200, "text/html", "<!doctype html><title>Sign in</title>".to_owned()),
            ("absent", _) => (404, "text/plain", "no such realm".to_owned()),
            (_, false) => (200, "application/json", configuration(&issuer, &url)),
            (_, true) => self.token(&issuer, &head, &form),
        };
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())?;
        stream.conn.send_close_notify();
        stream.flush()
    }

    fn token(&self, issuer: &str, head: &[String], form: &str) -> (u16, &'static str, String) {
        let field = |name: &str| {
            let pair = form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            pair.map(unescape)
        };
        let refresh = field("refresh_token").unwrap_or_default();
        let basic = header(head, "authorization").and_then(|value| value.strip_prefix("Basic "));
        let decoded = basic.and_then(|text| String::from_utf8(STANDARD.decode(text).ok()?).ok());
        let pair = decoded.as_deref().and_then(|pair| pair.split_once(':'));
        let (style, client) = match pair {
            Some((id, secret)) => ("header", (unescape(id), unescape(secret))),
            None => ("form", (field("client_id").unwrap_or_default(), field("client_secret").unwrap_or_default())),
        };
        let asked = Asked { issuer: issuer.to_owned(), refresh_token: refresh.clone(), style };
        self.asked.lock().expect("a record").push(asked);
        let error = |status, error: &str, words: String| {
            (status, "application/json", json!({"error": error, "error_description": words}).to_string())
        };
        if field("grant_type").as_deref() != Some("refresh_token") || client != (CLIENT.0.into(), CLIENT.1.into()) {
            return error(401, "invalid_client", format!("who is {}:{}?", client.0, client.1));
        }
        let good = |more: &str, refresh: Option<String>| {
            let id = id_token(now() + self.lifetime.as_secs() as i64, more);
            (self.give)(&id);
            let mut answer = json!({"access_token": "s3cr3t-access", "token_type": "Bearer", "id_token": id});
            if let Some(refresh) = refresh {
                answer["refresh_token"] = refresh.into();
            }
            (200, "application/json", answer.to_string())
        };
        match issuer {
            "form" if style == "header" => error(401, "invalid_client", "use the form".to_owned()),
            "ended" => error(400, "invalid_grant", format!("the refresh token {refresh} has ended")),
            "sorry" => (200, "application/json", json!({"error": "invalid_grant"}).to_string()),
            "page" => (502, "text/html", format!("<html>{refresh}")),
            "without-id" => (200, "application/json", json!({"access_token": "s3cr3t-access"}).to_string()),
            "odd-id" => {
                (200, "application/json", json!({"access_token": "a", "id_token": "s3cr3t\r\nx: y"}).to_string())
            }
            "no-jwt" => (200, "application/json", json!({"access_token": "a", "id_token": "s3cr3t"}).to_string()),
            "rotating" => {
                let mut live = self.live.lock().expect("tokens");
                if !live.remove(&refresh) {
                    return error(400, "invalid_grant", "used before".to_owned());
                }
                let next = format!("s3cr3t-refresh/token+{}", self.asked.lock().expect("a record").len() + 1);
                live.insert(next.clone());
                good(&next, Some(next.clone()))
            }
            _ => good("good", None),
        }
    }
}

fn configuration(issuer: &str, url: &str) -> String {
    let named = match issuer {
        "misnamed" => "https://elsewhere.example",
        _ => url,
    };
    let endpoint = match issuer {
        "plain" => url.replacen("https", "http", 1) + "/token",
        _ => format!("{url}/token?x=y"),
    };
    match issuer {
        "endless" => json!({"issuer": named}),
        _ => json!({"issuer": named, "token_endpoint": endpoint}),
    }
    .to_string()
}

fn header<'a>(head: &'a [String], name: &str) -> Option<&'a str> {
    head.iter().find_map(|line| {
        let (own, value) = line.split_once(": ")?;
        own.eq_ignore_ascii_case(name).then_some(value)
    })
}

fn unescape(text: &str) -> String {
    let bytes = text.replace('+', " ").into_bytes();
    let (mut plain, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let hex = (bytes[at] == b'%').then(|| std::str::from_utf8(bytes.get(at + 1..at + 3)?).ok()).flatten();
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                plain.push(byte);
                at += 3;
            }
            None => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(plain).expect("text")
}
