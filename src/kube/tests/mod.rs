//! The client against servers on loopback: recorded answers, faults, credentials.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::args::Connection;
use crate::auth::Stdin;
use crate::config;
use crate::http::Roots;
use crate::http::testing::*;

/// An answer as a real server sent it: status line, headers and body, chunks and all.
macro_rules! recorded {
    ($case:literal) => {
        include_bytes!(concat!("../../../fixtures/exchanges/", $case, ".http"))
    };
}

mod refusals;
mod sending;
mod objects;
mod watching;

fn quiet() -> Notices {
    Notices::new(0, true, |_| ())
}

fn auth(said: Connection) -> Auth {
    auth_in(&Env::new([("", ""); 0]), said)
}

fn auth_in(env: &Env, said: Connection) -> Auth {
    let said = Connection { server: Some("https://somewhere".into()), ..said };
    let config = config::load(&said, env).unwrap();
    Auth::new(&config, env, Clock::System, quiet(), Stdin::Other).unwrap()
}

fn with_token() -> Connection {
    Connection { token: Some(crate::secret::Secret::from("t0ken")), ..Connection::default() }
}

fn plain_trust() -> Trust {
    Trust { roots: Roots::Authorities(Vec::new()), server_name: None }
}

/// A client, and the waits it would have made.
fn client(url: String, trust: Trust, auth: Auth) -> (Client, Arc<Mutex<Vec<Duration>>>) {
    let waits = Arc::default();
    let options = Options { pause: Pause::Record(Arc::clone(&waits)), ..Options::new(quiet()) };
    (Client::new(&Server { url, trust }, auth, options).unwrap(), waits)
}

fn anonymous(server: &Listening) -> Client {
    client(server.http_url(), plain_trust(), auth(Connection::default())).0
}

/// Answers requests one after another, on as many connections as come, and keeps their heads.
async fn answering(answers: Vec<Vec<u8>>) -> (Listening, Arc<Mutex<Vec<String>>>) {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let (asked, answers) = (Arc::clone(&heads), Arc::new(Mutex::new(answers.into_iter())));
    let server = raw(move |_, mut stream| {
        let (asked, answers) = (Arc::clone(&asked), Arc::clone(&answers));
        async move {
            loop {
                let head = read_head(&mut stream).await;
                if head.is_empty() {
                    return;
                }
                asked.lock().unwrap().push(head);
                let answer = answers.lock().unwrap().next().expect("one more request than answers");
                if answer.is_empty() {
                    return reset(stream);
                }
                if stream.write_all(&answer).await.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    (server, heads)
}

fn answer(head: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}
