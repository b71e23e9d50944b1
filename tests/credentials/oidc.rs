//! The auth-provider `oidc`: tokens of an identity provider, as client-go gets them.

use super::Seen::{File, Header, Requests, User};
use super::{ROW, Row};

const ADMIN: &str = "admin";

pub(super) const ROWS: &[Row] = &[
    Row {
        rule: "oidc: an id-token that has not ended is sent, and nobody is asked",
        user: "auth-provider: {name: oidc, config: {idp-issuer-url: 'https://127.0.0.1:1', client-id: a, id-token: @GOODID@}}",
        seen: &[User(ADMIN), Header("authorization", &["Bearer @GOODID@"]), Requests(1)],
        ..ROW
    },
    Row {
        rule: "oidc: an id-token that has ended is refreshed and written back, the rest of the file kept",
        user: oidc!("good"),
        words: &["!warning"],
        seen: &[
            User(ADMIN),
            Requests(1),
            File(
                "kube/config",
                &[
                    "!@OLDID@",
                    "id-token: eyJ",
                    " # of yesterday\n",
                    "client-secret: '@CLIENTSECRET@'",
                    "refresh-token: '@REFRESH@'",
                ],
            ),
        ],
        ..ROW
    },
    Row {
        rule: "oidc: without an id-token one is got, and added to the file",
        user: oidc!("good", "    refresh-token: '@REFRESH@' # kept"),
        seen: &[User(ADMIN), File("kube/config", &["id-token: eyJ", "refresh-token: '@REFRESH@' # kept"])],
        ..ROW
    },
    Row {
        rule: "oidc: an id-token that is no JWT counts as ended",
        user: oidc!("good", "    refresh-token: '@REFRESH@'\n    id-token: s3cr3t"),
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "oidc: client name and secret go into the form where the header is not taken",
        user: oidc!("form"),
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "oidc: the provider's configuration may be elsewhere",
        user: oidc!("redirected"),
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "oidc: idp-certificate-authority is a file, counted from the working directory",
        user: "auth-provider: {name: oidc, config: {idp-issuer-url: '@ISSUER@/good/', client-id: '@CLIENTID@', client-secret: '@CLIENTSECRET@', refresh-token: '@REFRESH@', idp-certificate-authority: ca, extra-scopes: groups}}",
        files: &[("cwd/ca", "@ISSUERCAPEM@"), ("ca", "@ISSUERCAPEM@")],
        seen: &[
            User(ADMIN),
            File("kube/config", &["s3cr3t:client+&=ü', id-token: eyJ", ", refresh-token: '@REFRESH@'"]),
        ],
        ..ROW
    },
    Row {
        rule: "oidc: a kubeconfig of Windows stays one",
        config: Some(
            "utf16le:current-context: x\r\ncontexts: [{name: x, context: {cluster: c, user: u}}]\r\n\
             clusters: [{name: c, cluster: {server: '@URL@', certificate-authority-data: @CA@}}]\r\n\
             users: [{name: u, user: {auth-provider: {name: oidc, config: {idp-issuer-url: '@ISSUER@/good', client-id: '@CLIENTID@', client-secret: '@CLIENTSECRET@', refresh-token: '@REFRESH@', idp-certificate-authority-data: @ISSUERCA@}}}}]\r\n",
        ),
        words: &["!warning"],
        seen: &[User(ADMIN)],
        ..ROW
    },
    Row {
        rule: "oidc: tokens go to the file that defined the user",
        files: &[
            (
                "a",
                "users:\n- name: u\n  user: {auth-provider: {name: oidc, config: {idp-issuer-url: '@ISSUER@/good', client-id: '@CLIENTID@', client-secret: '@CLIENTSECRET@', refresh-token: '@REFRESH@', idp-certificate-authority-data: @ISSUERCA@}}}\n",
            ),
            ("b", config!("auth-provider: {name: oidc, config: {id-token: x}}")),
        ],
        env: &[("KUBECONFIG", "@DIR@/a:@DIR@/b")],
        seen: &[User(ADMIN), File("a", &["id-token: eyJ"]), File("b", &["id-token: x"])],
        ..ROW
    },
    Row {
        rule: "oidc: tokens that can't be saved are used and it is said",
        config: Some(
            "x: &shared {idp-issuer-url: '@ISSUER@/good', client-id: '@CLIENTID@', client-secret: '@CLIENTSECRET@', id-token: @OLDID@, refresh-token: '@REFRESH@', idp-certificate-authority-data: @ISSUERCA@}\n\
             current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n\
             clusters: [{name: c, cluster: {server: '@URL@', certificate-authority-data: @CA@}}]\n\
             users: [{name: u, user: {auth-provider: {name: oidc, config: *shared}}}]\n",
        ),
        words: &[
            "warning: the new tokens can't be saved",
            "kubeconfig @DIR@/kube/config: the user entry is written in a way",
        ],
        seen: &[User(ADMIN), File("kube/config", &["@OLDID@"])],
        ..ROW
    },
    Row {
        rule: "oidc: beside a certificate both are presented",
        user: concat!(oidc!("good"), "\nclient-certificate-data: @CRT@\nclient-key-data: @KEY@"),
        seen: &[User(ADMIN), File("kube/config", &["!@OLDID@"])],
        ..ROW
    },
    Row {
        rule: "oidc: over plain http nobody is asked",
        server: "@PLAIN@",
        cluster: "",
        user: oidc!("good"),
        seen: &[Requests(1), Header("authorization", &[]), File("kube/config", &["@OLDID@"])],
        ..ROW
    },
    // What must be told.
    Row {
        rule: "oidc: no issuer, even beside a token",
        user: "auth-provider: {name: oidc, config: {client-id: a, client-secret: s3cr3t, refresh-token: s3cr3t}}\ntoken: @ADMIN@",
        exit: 1,
        words: &[
            "user \"u\" of @DIR@/kube/config: auth-provider oidc has no idp-issuer-url",
            "hint: add auth-provider.config.idp-issuer-url",
        ],
        seen: &[Requests(0)],
        ..ROW
    },
    Row {
        rule: "oidc: no client-id",
        user: "auth-provider: {name: oidc, config: {idp-issuer-url: 'https://a.example'}}",
        exit: 1,
        words: &["auth-provider oidc has no client-id"],
        ..ROW
    },
    Row {
        rule: "oidc: an issuer over plain http",
        user: "auth-provider: {name: oidc, config: {idp-issuer-url: 'http://idp.example/x', client-id: a, refresh-token: s3cr3t}}",
        exit: 1,
        words: &["idp-issuer-url http://idp.example:80/x is not https", "hint: "],
        seen: &[Requests(0)],
        ..ROW
    },
    Row {
        rule: "oidc: a password in the issuer's URL",
        user: "auth-provider: {name: oidc, config: {idp-issuer-url: 'https://bob:s3cr3t@a.example', client-id: a}}",
        exit: 1,
        words: &["idp-issuer-url: ", "holds a user name or password"],
        ..ROW
    },
    Row {
        rule: "oidc: a bad certificate authority",
        user: "auth-provider: {name: oidc, config: {idp-issuer-url: 'https://a.example', client-id: a, idp-certificate-authority-data: @KEY@}}",
        exit: 1,
        words: &["idp-certificate-authority-data: holds no certificate (it holds: PRIVATE KEY)"],
        ..ROW
    },
    Row {
        rule: "oidc: no refresh-token",
        user: oidc!("good", "    id-token: @OLDID@"),
        exit: 4,
        words: &[
            "auth-provider oidc, \"@ISSUER@/good\": the id-token has expired or is not there, and there is no refresh-token",
            "hint: log in again",
        ],
        seen: &[Requests(0)],
        ..ROW
    },
    Row {
        rule: "oidc: an issuer of an unknown authority",
        user: "auth-provider: {name: oidc, config: {idp-issuer-url: '@ISSUER@/good', client-id: a, refresh-token: s3cr3t, idp-certificate-authority-data: @CA@}}",
        exit: 6,
        words: &["auth-provider oidc, \"@ISSUER@/good\": TLS with 127.0.0.1:", "unknown authority"],
        seen: &[Requests(0)],
        ..ROW
    },
    Row {
        rule: "oidc: an issuer that is not there",
        user: "auth-provider: {name: oidc, config: {idp-issuer-url: 'https://127.0.0.1:1', client-id: a, refresh-token: s3cr3t}}",
        env: &[("SSL_CERT_FILE", "@DIR@/ca")],
        files: &[("ca", "@CAPEM@")],
        exit: 6,
        words: &["auth-provider oidc, \"https://127.0.0.1:1\": connecting to 127.0.0.1:1: connection refused"],
        ..ROW
    },
    Row {
        rule: "oidc: an issuer that hangs",
        user: oidc!("hanging"),
        args: &["--request-timeout", "1"],
        exit: 6,
        words: &["auth-provider oidc, \"@ISSUER@/hanging\": no answer within 1 s"],
        seen: &[Requests(0), File("kube/config", &["@OLDID@"])],
        ..ROW
    },
    Row {
        rule: "oidc: a refresh token that has ended; the provider repeats it",
        user: oidc!("ended"),
        exit: 4,
        words: &[
            "the provider answered 400: invalid_grant (the refresh token (redacted) has ended)",
            "hint: log in again",
        ],
        seen: &[Requests(0), File("kube/config", &["@OLDID@"])],
        ..ROW
    },
    Row {
        rule: "oidc: a provider that refuses with 200",
        user: oidc!("sorry"),
        exit: 4,
        words: &["the provider answered 200: invalid_grant"],
        ..ROW
    },
    Row {
        rule: "oidc: a wrong client secret",
        user: "auth-provider: {name: oidc, config: {idp-issuer-url: '@ISSUER@/good', client-id: '@CLIENTID@', client-secret: s3cr3t-wrong, refresh-token: '@REFRESH@', idp-certificate-authority-data: @ISSUERCA@}}",
        exit: 4,
        words: &["the provider answered 401: invalid_client (who is @CLIENTID@:(redacted)?)"],
        ..ROW
    },
    Row {
        rule: "oidc: a page for people instead of the configuration",
        user: oidc!("html"),
        exit: 4,
        words: &["what the provider answered is no JSON object"],
        ..ROW
    },
    Row {
        rule: "oidc: a page for people instead of a token, our own token in it",
        user: oidc!("page"),
        exit: 4,
        words: &["the provider answered 502: \"<html>(redacted)\""],
        ..ROW
    },
    Row {
        rule: "oidc: an issuer that does not exist there",
        user: oidc!("absent"),
        exit: 4,
        words: &["the provider answered 404: \"no such realm\""],
        ..ROW
    },
    Row {
        rule: "oidc: an issuer of another name",
        user: oidc!("misnamed"),
        exit: 4,
        words: &["the provider calls itself \"https://elsewhere.example\"", "hint: correct idp-issuer-url"],
        ..ROW
    },
    Row {
        rule: "oidc: a token endpoint over plain http",
        user: oidc!("plain"),
        exit: 4,
        words: &["its token_endpoint is not https: \"@ISSUERPLAIN@/plain/token\""],
        ..ROW
    },
    Row {
        rule: "oidc: no token endpoint",
        user: oidc!("endless"),
        exit: 4,
        words: &["the provider's configuration has no token_endpoint"],
        ..ROW
    },
    Row {
        rule: "oidc: redirects in a circle",
        user: oidc!("circling"),
        exit: 4,
        words: &["redirected for ever"],
        ..ROW
    },
    Row {
        rule: "oidc: no id_token against the refresh token",
        user: oidc!("without-id"),
        exit: 4,
        words: &["the provider gave no id_token", "hint: log in again with the scope openid"],
        seen: &[Requests(0), File("kube/config", &["@OLDID@"])],
        ..ROW
    },
    Row {
        rule: "oidc: an id_token that can't be sent",
        user: oidc!("odd-id"),
        exit: 4,
        words: &["a token that is no token"],
        seen: &[Requests(0), File("kube/config", &["@OLDID@"])],
        ..ROW
    },
    Row {
        rule: "oidc: an id_token that is no JWT",
        user: oidc!("no-jwt"),
        exit: 4,
        words: &["an id_token that is no JWT"],
        ..ROW
    },
    Row {
        rule: "oidc: an endless answer",
        user: oidc!("flooding"),
        exit: 6,
        words: &["answer too long after "],
        ..ROW
    },
];
