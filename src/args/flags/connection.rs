//! kubectl's own flags, in kubectl's words and spellings.

use super::EVERY;
#[cfg(test)]
use super::tests::{refused, said};
use crate::args::flag::{Flag, Group, Set, Value};
use crate::args::options::namespace_name;
use crate::error::Error;
use crate::secret::Secret;
use crate::time::parse_timeout;

pub(super) const FLAGS: &[&Flag] = &[
    &KUBECONFIG,
    &CONTEXT,
    &CLUSTER,
    &USER,
    &NAMESPACE,
    &SERVER,
    &CERTIFICATE_AUTHORITY,
    &CLIENT_CERTIFICATE,
    &CLIENT_KEY,
    &TLS_SERVER_NAME,
    &INSECURE_SKIP_TLS_VERIFY,
    &TOKEN,
    &USERNAME,
    &PASSWORD,
    &AS,
    &AS_UID,
    &AS_GROUP,
    &AS_USER_EXTRA,
    &REQUEST_TIMEOUT,
    &CACHE_DIR,
    &DISABLE_COMPRESSION,
];

/// What most of these rows share.
const BASE: Flag = Flag {
    long: "",
    short: None,
    value: Value::Switch,
    commands: EVERY,
    group: Group::Connection,
    brief: "",
    help: &[],
    excludes: &[],
    set: Set::Option(|_, _| Ok(())),
};

static KUBECONFIG: Flag = Flag {
    long: "kubeconfig",
    value: Value::File("FILE"),
    brief: "Configuration to read instead of $KUBECONFIG or ~/.kube/config",
    help: &["Reads this configuration file alone, in place of those that KUBECONFIG lists, or of ~/.kube/config."],
    set: Set::Option(|options, given| {
        options.connection.kubeconfig = given.path();
        Ok(())
    }),
    ..BASE
};

#[test]
fn kubeconfig() {
    assert_eq!(said(&["n", "--kubeconfig", "a b/c"]).connection.kubeconfig, Some("a b/c".into()));
    assert_eq!(said(&["n", "--kubeconfig="]).connection.kubeconfig, None);
}

#[cfg(unix)]
#[test]
fn kubeconfig_takes_any_file_name() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let name = OsStr::from_bytes(b"/caf\xe9");
    match crate::args::parse([OsStr::new("n"), OsStr::new("--kubeconfig"), name], "x") {
        Ok(crate::args::Parsed::Run(options)) => assert_eq!(options.connection.kubeconfig, Some(name.into())),
        other => panic!("{other:?}"),
    }
}

static CONTEXT: Flag = Flag {
    long: "context",
    value: Value::Text("NAME"),
    brief: "Context to use instead of the current one",
    help: &["The context of the configuration to use instead of the current one."],
    set: Set::Option(|options, given| {
        options.connection.context = given.some_text()?;
        Ok(())
    }),
    ..BASE
};

#[test]
fn context() {
    assert_eq!(said(&["--context", "prod", "n"]).connection.context.as_deref(), Some("prod"));
    assert_eq!(said(&["n", "--context", "prod", "--context="]).connection.context, None);
}

static CLUSTER: Flag = Flag {
    long: "cluster",
    value: Value::Text("NAME"),
    brief: "Cluster to use instead of the context's",
    help: &["The cluster of the configuration to use instead of the context's."],
    set: Set::Option(|options, given| {
        options.connection.cluster = given.some_text()?;
        Ok(())
    }),
    ..BASE
};

#[test]
fn cluster() {
    assert_eq!(said(&["n", "--cluster", "c"]).connection.cluster.as_deref(), Some("c"));
}

static USER: Flag = Flag {
    long: "user",
    value: Value::Text("NAME"),
    brief: "User to be instead of the context's",
    help: &["The user of the configuration whose credentials are used instead of the context's."],
    set: Set::Option(|options, given| {
        options.connection.user = given.some_text()?;
        Ok(())
    }),
    ..BASE
};

#[test]
fn user() {
    assert_eq!(said(&["n", "--user", "u"]).connection.user.as_deref(), Some("u"));
}

static NAMESPACE: Flag = Flag {
    long: "namespace",
    short: Some('n'),
    value: Value::Text("NAME"),
    brief: "Namespace of the pod named by --for",
    help: &["The namespace in which the pod named by --for is looked for, instead of the context's. Nodes have none."],
    set: Set::Option(|options, given| {
        options.connection.namespace = given.some_text()?.map(|name| namespace_name(&name)).transpose()?;
        Ok(())
    }),
    ..BASE
};

#[test]
fn namespace() {
    assert_eq!(said(&["n", "-n", "kube-system"]).connection.namespace.as_deref(), Some("kube-system"));
    assert!(refused(&["n", "-n", "100"]).contains("--tail 100"));
    assert!(refused(&["n", "-n100"]).contains("--tail 100"));
    refused(&["n", "-n", "../x"]);
}

static SERVER: Flag = Flag {
    long: "server",
    short: Some('s'),
    value: Value::Text("URL"),
    brief: "Address of the API server",
    help: &["The address of the API server, in place of the cluster's."],
    set: Set::Option(|options, given| {
        options.connection.server = given.some_text()?;
        Ok(())
    }),
    ..BASE
};

#[test]
fn server() {
    assert_eq!(said(&["n", "-s", "https://h:6443"]).connection.server.as_deref(), Some("https://h:6443"));
}

static CERTIFICATE_AUTHORITY: Flag = Flag {
    long: "certificate-authority",
    value: Value::File("FILE"),
    brief: "Certificates that the server's is checked against",
    help: &["A file with the certificates of the authorities that the server's certificate is checked against."],
    set: Set::Option(|options, given| {
        options.connection.certificate_authority = given.path();
        Ok(())
    }),
    ..BASE
};

#[test]
fn certificate_authority() {
    let said = said(&["n", "--certificate-authority", "ca.pem"]);
    assert_eq!(said.connection.certificate_authority, Some("ca.pem".into()));
}

static CLIENT_CERTIFICATE: Flag = Flag {
    long: "client-certificate",
    value: Value::File("FILE"),
    brief: "Certificate to show to the server",
    help: &["A file with the certificate to show to the server. Needs --client-key or a key in the configuration."],
    set: Set::Option(|options, given| {
        options.connection.client_certificate = given.path();
        Ok(())
    }),
    ..BASE
};

#[test]
fn client_certificate() {
    assert_eq!(said(&["n", "--client-certificate", "c.pem"]).connection.client_certificate, Some("c.pem".into()));
}

static CLIENT_KEY: Flag = Flag {
    long: "client-key",
    value: Value::File("FILE"),
    brief: "Private key of that certificate",
    help: &["A file with the private key of the certificate to show."],
    set: Set::Option(|options, given| {
        options.connection.client_key = given.path();
        Ok(())
    }),
    ..BASE
};

#[test]
fn client_key() {
    assert_eq!(said(&["n", "--client-key", "k.pem"]).connection.client_key, Some("k.pem".into()));
}

static TLS_SERVER_NAME: Flag = Flag {
    long: "tls-server-name",
    value: Value::Text("NAME"),
    brief: "Name the server's certificate must carry",
    help: &["The name that the server's certificate is checked for, when it is not the host of its address."],
    set: Set::Option(|options, given| {
        options.connection.tls_server_name = given.some_text()?;
        Ok(())
    }),
    ..BASE
};

#[test]
fn tls_server_name() {
    assert_eq!(said(&["n", "--tls-server-name", "kube"]).connection.tls_server_name.as_deref(), Some("kube"));
}

static INSECURE_SKIP_TLS_VERIFY: Flag = Flag {
    long: "insecure-skip-tls-verify",
    brief: "Do not check the server's certificate: anyone may answer",
    help: &[
        "Does not check the server's certificate. Whoever answers sees the credentials and can answer anything: for tests only. A warning \
         is printed each time.",
    ],
    set: Set::Option(|options, given| {
        options.connection.insecure_skip_tls_verify = Some(given.switch()?);
        Ok(())
    }),
    ..BASE
};

#[test]
fn insecure_skip_tls_verify() {
    let said = |args: &[&str]| said(args).connection.insecure_skip_tls_verify;
    assert_eq!(said(&["n"]), None);
    assert_eq!(said(&["n", "--insecure-skip-tls-verify"]), Some(true));
    assert_eq!(said(&["--insecure-skip-tls-verify", "n"]), Some(true));
    assert_eq!(said(&["n", "--insecure-skip-tls-verify=false"]), Some(false));
}

static TOKEN: Flag = Flag {
    long: "token",
    value: Value::Text("TOKEN"),
    brief: "Bearer token to authenticate with",
    help: &["A bearer token to authenticate with. Other users of this machine may see it in the list of processes."],
    set: Set::Option(|options, given| {
        options.connection.token = given.some_text()?.map(Secret::new);
        Ok(())
    }),
    ..BASE
};

#[test]
fn token() {
    let options = said(&["n", "--token", "hunter2"]);
    assert_eq!(options.connection.token, Some(Secret::from("hunter2")));
    assert!(!format!("{options:?}").contains("hunter2"));
    assert_eq!(said(&["n", "--token="]).connection.token, None);
}

static USERNAME: Flag = Flag {
    long: "username",
    value: Value::Text("NAME"),
    brief: "Name for basic authentication",
    help: &["The name for basic authentication."],
    set: Set::Option(|options, given| {
        options.connection.username = given.some_text()?;
        Ok(())
    }),
    ..BASE
};

#[test]
fn username() {
    assert_eq!(said(&["n", "--username", "me"]).connection.username.as_deref(), Some("me"));
}

static PASSWORD: Flag = Flag {
    long: "password",
    value: Value::Text("PASSWORD"),
    brief: "Password for basic authentication",
    help: &["The password for basic authentication. Other users of this machine may see it in the list of processes."],
    set: Set::Option(|options, given| {
        options.connection.password = given.some_text()?.map(Secret::new);
        Ok(())
    }),
    ..BASE
};

#[test]
fn password() {
    let options = said(&["n", "--password", "hunter2"]);
    assert_eq!(options.connection.password, Some(Secret::from("hunter2")));
    assert!(!format!("{options:?}").contains("hunter2"));
}

static AS: Flag = Flag {
    long: "as",
    value: Value::Text("USER"),
    brief: "User to impersonate",
    help: &["The user to impersonate, which the credentials must permit."],
    set: Set::Option(|options, given| {
        options.connection.as_user = given.some_text()?;
        Ok(())
    }),
    ..BASE
};

#[test]
fn as_user() {
    assert_eq!(said(&["n", "--as", "system:node:x"]).connection.as_user.as_deref(), Some("system:node:x"));
}

static AS_UID: Flag = Flag {
    long: "as-uid",
    value: Value::Text("UID"),
    brief: "UID to impersonate",
    help: &["The UID to impersonate. Needs --as."],
    set: Set::Option(|options, given| {
        options.connection.as_uid = given.some_text()?;
        Ok(())
    }),
    ..BASE
};

#[test]
fn as_uid() {
    assert_eq!(said(&["n", "--as-uid", "7"]).connection.as_uid.as_deref(), Some("7"));
}

static AS_GROUP: Flag = Flag {
    long: "as-group",
    value: Value::Text("GROUP"),
    brief: "Group to impersonate; repeatable",
    help: &["A group to impersonate. May be given several times. Needs --as."],
    set: Set::Option(|options, given| {
        options.connection.as_groups.push(given.text()?.to_owned());
        Ok(())
    }),
    ..BASE
};

#[test]
fn as_group() {
    assert_eq!(said(&["n", "--as-group", "a,b", "--as-group=c"]).connection.as_groups, ["a,b", "c"]);
}

static AS_USER_EXTRA: Flag = Flag {
    long: "as-user-extra",
    value: Value::Text("KEY=VALUE"),
    brief: "Extra attribute to impersonate; repeatable",
    help: &["An extra attribute to impersonate. May be given several times, also for one key. Needs --as."],
    set: Set::Option(|options, given| match given.text()?.split_once('=') {
        Some((key, value)) if !key.is_empty() => {
            options.connection.as_user_extra.push((key.to_owned(), value.to_owned()));
            Ok(())
        }
        _ => Err(Error::usage("has no KEY=").hint("write --as-user-extra KEY=VALUE")),
    }),
    ..BASE
};

#[test]
fn as_user_extra() {
    let extra = said(&["n", "--as-user-extra", "k=a=b", "--as-user-extra=k="]).connection.as_user_extra;
    assert_eq!(extra, [("k".to_owned(), "a=b".to_owned()), ("k".to_owned(), String::new())]);
    assert!(!refused(&["n", "--as-user-extra", "hunter2"]).contains("hunter2"));
    refused(&["n", "--as-user-extra", "=v"]);
}

static REQUEST_TIMEOUT: Flag = Flag {
    long: "request-timeout",
    value: Value::Text("TIME"),
    brief: "Limit for one request: 30, 30s, 5m; 0 for none",
    help: &[
        "The longest a request may take until its answer begins: seconds as a number, or 30s, 1m30s. 0 means no limit. Without it \
         reading from a node waits 45 seconds for the first byte.",
    ],
    set: Set::Option(|options, given| {
        let text = given.some_text()?;
        options.connection.request_timeout = text.map(|text| parse_timeout(&text)).transpose()?;
        Ok(())
    }),
    ..BASE
};

#[test]
fn request_timeout() {
    use std::time::Duration;
    let said = |args: &[&str]| said(args).connection.request_timeout;
    assert_eq!(said(&["n"]), None);
    assert_eq!(said(&["n", "--request-timeout", "0"]), Some(Duration::ZERO));
    assert_eq!(said(&["n", "--request-timeout", "30"]), Some(Duration::from_secs(30)));
    assert_eq!(said(&["n", "--request-timeout=1m30s"]), Some(Duration::from_secs(90)));
    refused(&["n", "--request-timeout", "soon"]);
}

static CACHE_DIR: Flag = Flag {
    long: "cache-dir",
    value: Value::File("FOLDER"),
    brief: "Accepted for kubectl's sake; nothing is cached on disk",
    help: &["Accepted so that a kubectl command line can be reused. Nothing is cached on disk."],
    set: Set::Option(|options, given| {
        options.connection.cache_dir = given.path();
        Ok(())
    }),
    ..BASE
};

#[test]
fn cache_dir() {
    assert_eq!(said(&["n", "--cache-dir", "/c"]).connection.cache_dir, Some("/c".into()));
}

static DISABLE_COMPRESSION: Flag = Flag {
    long: "disable-compression",
    brief: "Do not ask the server to compress its answers",
    help: &["Does not ask the server to compress its answers."],
    set: Set::Option(|options, given| {
        options.connection.disable_compression = Some(given.switch()?);
        Ok(())
    }),
    ..BASE
};

#[test]
fn disable_compression() {
    assert_eq!(said(&["n"]).connection.disable_compression, None);
    assert_eq!(said(&["n", "--disable-compression"]).connection.disable_compression, Some(true));
    assert_eq!(said(&["n", "--disable-compression=false"]).connection.disable_compression, Some(false));
}
