//! When tokens are got anew, with a clock of our own.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::args::Connection;
use crate::config::Env;
use crate::http::testing::{Authority, H1, Listening, https, server_config, whole};

fn at(seconds: i64) -> Clock {
    Clock::Fixed(Timestamp::from_micros(seconds * 1_000_000))
}

fn jwt(payload: &str) -> String {
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload))
}

fn until(end: i64, nth: usize) -> String {
    jwt(&format!("{{\"exp\":{end},\"n\":{nth}}}"))
}

/// A provider whose nth id-token ends at `1000 * (nth + 1)`, whose refresh tokens are `r1`, `r2`, …, and how often it was
/// asked; the kubeconfig holds one that ends at 1000.
async fn provider(dir: &Path) -> (Provider, Listening, Arc<AtomicUsize>) {
    let authority = Authority::new();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = https(server_config(authority.server(&["localhost"], |_| ()), H1), move |request| {
        let host = request.headers()["host"].to_str().unwrap().to_owned();
        let body = match request.uri().path() {
            "/token" => {
                let nth = count.fetch_add(1, Ordering::SeqCst) + 1;
                let id = until(1000 * (nth as i64 + 1), nth);
                format!("{{\"id_token\": \"{id}\", \"refresh_token\": \"refresh{nth}\"}}")
            }
            _ => format!("{{\"issuer\": \"https://{host}\", \"token_endpoint\": \"https://{host}/token\"}}"),
        };
        async { whole(200, body) }
    })
    .await;
    let Roots::Authorities(roots) = authority.trust().roots else { panic!("it has one") };
    let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(&roots[0]));
    let text = format!(
        "current-context: c\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
         clusters: [{{name: c, cluster: {{server: https://somewhere}}}}]\n\
         users: [{{name: u, user: {{auth-provider: {{name: oidc, config: {{idp-issuer-url: '{}', client-id: a, \
         id-token: {}, refresh-token: refresh0, idp-certificate-authority-data: {}}}}}}}}}]\n",
        server.https_url(),
        until(1000, 0),
        STANDARD.encode(pem)
    );
    std::fs::write(dir.join("config"), text).unwrap();
    let said = Connection { kubeconfig: Some(dir.join("config")), ..Connection::default() };
    let config = config::load(&said, &Env::new([("", ""); 0])).unwrap();
    let provider = Provider::new(config.user.oidc.as_ref().unwrap(), Notices::new(0, true, |_| {}));
    (provider, server, asked)
}

async fn header(provider: &Provider, clock: Clock) -> String {
    provider.current(&clock).await.unwrap().0.to_str().unwrap().to_owned()
}

fn bearer(end: i64, nth: usize) -> String {
    format!("Bearer {}", until(end, nth))
}

#[tokio::test]
async fn a_token_is_used_until_ten_seconds_before_its_end_and_then_refreshed_once_for_all() {
    let dir = tempfile::tempdir().unwrap();
    let (provider, _server, asked) = provider(dir.path()).await;
    assert_eq!(header(&provider, at(989)).await, bearer(1000, 0));
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    let (a, b) = tokio::join!(header(&provider, at(990)), header(&provider, at(990)));
    assert_eq!([a, b], [bearer(2000, 1), bearer(2000, 1)]);
    assert_eq!(header(&provider, at(1989)).await, bearer(2000, 1));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert_eq!(header(&provider, at(1990)).await, bearer(3000, 2));
    let text = std::fs::read_to_string(dir.path().join("config")).unwrap();
    assert!(text.contains(&until(3000, 2)) && text.contains("refresh-token: refresh2"), "{text}");
}

#[tokio::test]
async fn a_refusal_refreshes_once_and_a_late_one_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let (provider, _server, asked) = provider(dir.path()).await;
    let (_, generation) = provider.current(&at(0)).await.unwrap();
    let clock = at(0);
    let (a, b) = tokio::join!(provider.renew(generation, &clock), provider.renew(generation, &clock));
    assert!(a && b);
    assert_eq!((header(&provider, at(0)).await, asked.load(Ordering::SeqCst)), (bearer(2000, 1), 1));
}

#[tokio::test]
async fn what_another_program_got_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let (provider, _server, asked) = provider(dir.path()).await;
    let file = dir.path().join("config");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace(&until(1000, 0), &until(5000, 77)).replace("refresh0", "other")).unwrap();
    assert_eq!(header(&provider, at(1000)).await, bearer(5000, 77));
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    // One that has ended too is no use, but its refresh token is.
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace(&until(5000, 77), &until(4000, 78))).unwrap();
    assert_eq!(header(&provider, at(5000)).await, bearer(2000, 1));
    assert!(std::fs::read_to_string(&file).unwrap().contains("refresh-token: refresh1"));
}

#[tokio::test]
async fn a_failure_counts_for_all_and_for_a_while() {
    let dir = tempfile::tempdir().unwrap();
    let (mut provider, server, _asked) = provider(dir.path()).await;
    provider.issuer = format!("{}/other", server.https_url());
    let (clock, before) = (at(1000), server.connections());
    let (a, b) = tokio::join!(provider.current(&clock), provider.current(&clock));
    let words = [a.unwrap_err(), b.unwrap_err()].map(|error| error.chain());
    assert!(words[0].contains("the provider calls itself") && words[0] == words[1], "{words:?}");
    assert_eq!(server.connections() - before, 1);
    for (seconds, connections) in [(1009, 1), (1010, 2)] {
        assert!(provider.current(&at(seconds)).await.is_err());
        assert_eq!(server.connections() - before, connections);
    }
}

#[tokio::test]
async fn tokens_that_can_not_be_saved_are_kept_and_not_mistaken_for_others() {
    let dir = tempfile::tempdir().unwrap();
    let (provider, _server, asked) = provider(dir.path()).await;
    let file = dir.path().join("config");
    let mut readonly = std::fs::metadata(&file).unwrap().permissions();
    readonly.set_readonly(true);
    std::fs::set_permissions(&file, readonly).unwrap();
    for (now, expected) in [(995, bearer(2000, 1)), (1995, bearer(3000, 2)), (2000, bearer(3000, 2))] {
        assert_eq!(header(&provider, at(now)).await, expected);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    assert!(std::fs::read_to_string(&file).unwrap().contains("refresh0"));
}

#[test]
fn the_end_of_a_token_is_read_without_trusting_it() {
    let end = |payload: &str| expiry(&jwt(payload)).map(|end| end.as_micros());
    assert_eq!(end("{\"exp\":12}"), Some(12_000_000));
    assert_eq!(end("{\"exp\":1.2e1,\"x\":[{}]}"), Some(12_000_000));
    assert_eq!(end("{\"exp\":12.9}"), Some(12_000_000));
    assert_eq!(end("{\"exp\":9223372036854775807}"), Some(i64::MAX));
    assert_eq!(end("{\"exp\":1e300}"), Some(i64::MAX));
    for payload in ["{}", "{\"exp\":\"12\"}", "{\"exp\":null}", "[]", "", "x", &"[".repeat(100_000)] {
        assert_eq!(end(payload), None, "{payload:.20}");
    }
    let good = jwt("{\"exp\":12}");
    for token in
        ["", ".", "..", "a.b", &format!("{good}."), &format!("{good}.x"), &format!("{good}{}", "x".repeat(MAX_TOKEN))]
    {
        assert_eq!(expiry(token), None, "{token:.20}");
    }
}

#[test]
fn forms_are_written_as_go_writes_them() {
    assert_eq!(escape("aZ09-_.~ &=+%/ü\n"), "aZ09-_.~+%26%3D%2B%25%2F%C3%BC%0A");
}
