//! Who is trusted, and what is said when nobody is.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

#[tokio::test]
async fn a_client_certificate_is_shown_when_the_server_asks() {
    for alpn in [H1, H2] {
        let authority = Authority::new();
        let config = authority.demanding(authority.server(&["localhost"], |_| ()), alpn);
        let server = https(config, |_| async { whole(200, "known") }).await;
        let origin = Origin::parse(&server.https_url()).unwrap().0;
        let identity = authority.client("alice");
        let pool = Pool::new(origin, &authority.trust(), Some(&identity), settings()).unwrap();
        let answer = pool.send(&Request::get("/")).await.unwrap();
        assert_eq!(answer.body.collect(ALL).await.unwrap(), "known");

        let (stage, words, hint) = words_of(ask(&server, &authority.trust(), Protocol::Any).await.unwrap_err());
        assert_eq!(stage, Stage::Tls, "{words}");
        assert!(words.ends_with("the server wants a client certificate, and we have none"), "{words}");
        assert!(hint.contains("client-certificate"), "{hint}");

        let stranger = Authority::new().client("mallory");
        let origin = Origin::parse(&server.https_url()).unwrap().0;
        let pool = Pool::new(origin, &authority.trust(), Some(&stranger), settings()).unwrap();
        let (stage, words, _) = words_of(pool.send(&Request::get("/")).await.unwrap_err());
        assert_eq!(stage, Stage::Tls, "{words}");
        assert!(words.contains("the server refused our client certificate"), "{words}");
    }
}

#[tokio::test]
async fn an_unknown_authority_is_refused() {
    let (server, _) = good(H2, |_| async { whole(200, "x") }).await;
    let (stage, words, hint) = words_of(ask(&server, &Authority::new().trust(), Protocol::Any).await.unwrap_err());
    assert_eq!(stage, Stage::Tls);
    let place = format!("TLS with localhost:{}: ", server.address.port());
    let wanted = format!("{place}the server's certificate is signed by another authority of the same name (subject ");
    assert!(words.starts_with(&wanted) && words.ends_with("; trusted is only \"CN=kubernetes\""), "{words}");
    assert!(hint.contains("another cluster's"), "{hint}");
    let (_, words, hint) =
        words_of(ask(&server, &Authority::named("someone else").trust(), Protocol::Any).await.unwrap_err());
    let wanted =
        format!("{place}the server's certificate is signed by an unknown authority, \"CN=kubernetes\" (subject ");
    assert!(words.starts_with(&wanted) && words.ends_with("; trusted is only \"CN=someone else\""), "{words}");
    assert!(hint.contains("certificate-authority"), "{hint}");
}

#[tokio::test]
async fn an_expired_certificate_is_refused_with_its_date() {
    let authority = Authority::new();
    let expired = authority.server(&["localhost"], |params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 2, 3);
    });
    let server = https(server_config(expired, H2), |_| async { whole(200, "x") }).await;
    let (_, words, hint) = words_of(ask(&server, &authority.trust(), Protocol::Any).await.unwrap_err());
    assert!(words.contains("the server's certificate expired at 2021-02-03T00:00:00Z; it is 20"), "{words}");
    assert!(hint.contains("clock"), "{hint}");

    let early = authority.server(&["localhost"], |params| params.not_before = rcgen::date_time_ymd(2099, 1, 1));
    let server = https(server_config(early, H2), |_| async { whole(200, "x") }).await;
    let (_, words, _) = words_of(ask(&server, &authority.trust(), Protocol::Any).await.unwrap_err());
    assert!(words.contains("valid only from 2099-01-01T00:00:00Z on"), "{words}");
}

#[tokio::test]
async fn another_name_is_refused_unless_it_is_the_one_to_expect() {
    let authority = Authority::new();
    let issued = authority.server(&["api.example", "*.svc.example", "10.1.2.3"], |_| ());
    let server = https(server_config(issued, H2), |_| async { whole(200, "x") }).await;
    let (_, words, hint) = words_of(ask(&server, &authority.trust(), Protocol::Any).await.unwrap_err());
    let wanted = "the server's certificate is not for localhost: it is for api.example, *.svc.example, 10.1.2.3";
    assert!(words.contains(wanted), "{words}");
    assert!(hint.contains("--tls-server-name"), "{hint}");
    for name in ["api.example", "kubernetes.svc.example", "10.1.2.3"] {
        let trust = Trust { server_name: Some(name.to_owned()), ..authority.trust() };
        assert_eq!(ask(&server, &trust, Protocol::Any).await.unwrap().status, 200, "{name}");
    }
}

#[tokio::test]
async fn an_address_in_the_url_is_checked_as_an_address() {
    let authority = Authority::new();
    for (names, good) in [(["127.0.0.1"], true), (["localhost"], false)] {
        let config = server_config(authority.server(&names, |_| ()), H2);
        let server = https(config, |_| async { whole(200, "x") }).await;
        let url = format!("https://{}", server.address);
        let answer = pool(&url, &authority.trust(), settings()).send(&Request::get("/")).await;
        assert_eq!(answer.is_ok(), good, "{names:?}");
    }
}

#[tokio::test]
async fn a_servers_own_certificate_can_be_trusted_even_as_an_authority() {
    let self_signed = |name: &str, until: i32| {
        let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        let key = rustls::pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into());
        (vec![certificate], key)
    };
    let cases =
        [("localhost", 2099, ""), ("elsewhere", 2099, "is not for localhost"), ("localhost", 2020, "expired at 2020")];
    for (name, until, complaint) in cases {
        let issued = self_signed(name, until);
        let trust = Trust { roots: Roots::Authorities(issued.0.clone()), server_name: None };
        let server = https(server_config(issued, H2), |_| async { whole(200, "x") }).await;
        match ask(&server, &trust, Protocol::Any).await {
            Ok(_) => assert_eq!(complaint, ""),
            Err(failure) => assert!(!complaint.is_empty() && failure.to_string().contains(complaint), "{failure}"),
        }
        // Another one for the same name and dates is still nobody we know.
        let other = Trust { roots: Roots::Authorities(self_signed(name, until).0), server_name: None };
        assert!(ask(&server, &other, Protocol::Any).await.is_err());
    }
}

#[tokio::test]
async fn insecure_accepts_any_certificate() {
    let (server, _) = good(H2, |_| async { whole(200, "x") }).await;
    let trust = Trust { roots: Roots::InsecureAcceptAnyCertificate, server_name: None };
    assert_eq!(ask(&server, &trust, Protocol::Any).await.unwrap().status, 200);
}

#[test]
fn unusable_trust_is_told_before_anything_is_sent() {
    let origin = || Origin::parse("https://localhost").unwrap().0;
    let error = Pool::new(origin(), &no_trust(), None, settings()).unwrap_err();
    assert!(error.to_string().contains("no usable certificate"), "{error}");
}

#[tokio::test]
async fn a_plain_server_on_a_tls_port_is_told() {
    let server = raw(|_, mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n").await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let (stage, words, hint) = words_of(ask(&server, &Authority::new().trust(), Protocol::Any).await.unwrap_err());
    assert_eq!(stage, Stage::Tls);
    assert!(words.ends_with("what answered there does not speak TLS"), "{words}");
    assert!(hint.contains("port"), "{hint}");
}
