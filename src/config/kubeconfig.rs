//! Kubeconfig files: which ones, what they hold, and how several become one, as client-go does it.
//!
//! The only user of serde_yaml besides the YAML output.

use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeSeed;

use super::env::Env;
use super::fields::{Encoded, Hidden, List, Lists, Location, Switch, Text, Weigh, location, mapping, text};
use super::store::Tokens;
use super::{quoted, read_file};
use crate::document::{Put, Slot};
use crate::error::{Error, Kind, Result};
use crate::named::Named;

/// The largest kubeconfig read; one of a thousand clusters with certificates has about 5 MB.
pub(super) const MAX_FILE: usize = 10 << 20;

/// How deep `[` and `{` may nest. libyaml's time grows with size times depth; a kubeconfig in JSON has a depth of 6.
const MAX_DEPTH: usize = 200;

/// How many `%TAG` directives are read; kubeconfigs have none.
const MAX_TAGS: usize = 16;

/// What a file with aliases may unfold to.
const MAX_UNFOLDED: usize = 16 << 20;

/// All kubeconfig files as one: of each name the first file's entry, whole.
#[derive(Debug, Default)]
pub(super) struct Kubeconfig {
    /// The first file's that names one.
    pub(super) current_context: Option<String>,
    pub(super) contexts: Named<Entry<Context>>,
    pub(super) clusters: Named<Entry<Cluster>>,
    pub(super) users: Named<Entry<User>>,
    /// Files that were read, first to last.
    pub(super) read: Vec<PathBuf>,
    /// Files that do not exist.
    pub(super) missing: Vec<PathBuf>,
}

/// An entry and the file that defined it.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry<T> {
    pub(super) fields: T,
    pub(super) origin: PathBuf,
}

mapping! {
    /// A kubeconfig file.
    File {
        kind: Text = "kind",
        api_version: Text = "apiVersion",
        current_context: Text = "current-context",
        contexts: List<NamedContext> = "contexts",
        clusters: List<NamedCluster> = "clusters",
        users: List<NamedUser> = "users",
    }
}

mapping! {
    /// An element of `contexts`.
    NamedContext { name: Text = "name", context: Context = "context", }
}

mapping! {
    /// An element of `clusters`.
    NamedCluster { name: Text = "name", cluster: Cluster = "cluster", }
}

mapping! {
    /// An element of `users`.
    NamedUser { name: Text = "name", user: User = "user", }
}

mapping! {
    /// Which cluster as which user.
    Context {
        cluster: Text = "cluster",
        user: Text = "user",
        namespace: Text = "namespace",
    }
}

mapping! {
    /// How to reach an API server.
    Cluster {
        server: Text = "server",
        tls_server_name: Text = "tls-server-name",
        insecure_skip_tls_verify: Switch = "insecure-skip-tls-verify",
        certificate_authority: Location = "certificate-authority",
        certificate_authority_data: Encoded = "certificate-authority-data",
        /// May hold a password.
        proxy_url: Hidden = "proxy-url",
        disable_compression: Switch = "disable-compression",
        extensions: List<Extension> = "extensions",
    }
}

mapping! {
    /// Data of somebody else's, by name.
    Extension { name: Text = "name", extension: serde_json::Value = "extension", }
}

mapping! {
    /// How to authenticate.
    User {
        client_certificate: Location = "client-certificate",
        client_certificate_data: Encoded = "client-certificate-data",
        client_key: Location = "client-key",
        client_key_data: Encoded = "client-key-data",
        token: Hidden = "token",
        token_file: Location = "tokenFile",
        username: Text = "username",
        password: Hidden = "password",
        as_user: Text = "as",
        as_uid: Text = "as-uid",
        as_groups: List<Text> = "as-groups",
        as_user_extra: Lists = "as-user-extra",
        auth_provider: AuthProvider = "auth-provider",
        exec: Exec = "exec",
    }
}

mapping! {
    /// A built-in way to get credentials; of its configuration what OIDC has.
    AuthProvider { name: Text = "name", config: OidcConfig = "config", }
}

mapping! {
    /// `auth-provider.config` of the provider `oidc`.
    OidcConfig {
        issuer: Text = "idp-issuer-url",
        client_id: Text = "client-id",
        client_secret: Hidden = "client-secret",
        certificate_authority: Location = "idp-certificate-authority",
        certificate_authority_data: Encoded = "idp-certificate-authority-data",
        id_token: Hidden = "id-token",
        refresh_token: Hidden = "refresh-token",
    }
}

mapping! {
    /// A program that prints credentials.
    Exec {
        /// A path, or a name to look up on PATH.
        command: Location = "command",
        args: List<Hidden> = "args",
        env: List<Variable> = "env",
        api_version: Text = "apiVersion",
        install_hint: Text = "installHint",
        provide_cluster_info: Switch = "provideClusterInfo",
        interactive_mode: Text = "interactiveMode",
    }
}

mapping! {
    /// An environment variable for that program.
    Variable { name: Text = "name", value: Hidden = "value", }
}

/// Reads and merges the files that `explicit` (`--kubeconfig`), KUBECONFIG or the home directory name.
pub(super) fn load(explicit: Option<&Path>, env: &Env) -> Result<Kubeconfig> {
    let mut merged = Kubeconfig::default();
    for path in files(explicit, env) {
        match read_file(&path, MAX_FILE) {
            Ok(bytes) => {
                let file = parse(&path, &bytes)?;
                merged.add(&path, file)?;
                merged.read.push(path);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && explicit.is_none() => merged.missing.push(path),
            Err(error) => {
                let hint = match explicit {
                    Some(_) => "check the path after --kubeconfig",
                    None => "check KUBECONFIG, or name another file with --kubeconfig",
                };
                return Err(Error::new(Kind::Failed, format!("kubeconfig {}", path.display()))
                    .because(error)
                    .hint(hint));
            }
        }
    }
    Ok(merged)
}

/// Reads the first document of a YAML (or JSON) text, with bounded unfolding; the words never quote a value.
pub(crate) fn read_yaml<T: Slot + Default>(text: &str) -> Result<T, Malformed> {
    let mut read = T::default();
    put_yaml(text, &mut read)?;
    Ok(read)
}

fn put_yaml(text: &str, slot: &mut dyn Slot) -> Result<(), Malformed> {
    if nests_deeper(text, MAX_DEPTH) {
        return Err(Malformed { line: None, what: format!("nested more than {MAX_DEPTH} brackets deep") });
    }
    // As kubectl, whose reader knows no other version.
    let head = text.lines().take_while(|line| line.starts_with(['%', '#']) || line.trim().is_empty());
    let mut versions = head.filter_map(|line| line.strip_prefix("%YAML"));
    if let Some(version) = versions.find(|version| version.split_whitespace().next() != Some("1.1")) {
        let what = format!("%YAML of version {}, where only 1.1 is read", quoted(version.trim()));
        return Err(Malformed { line: None, what });
    }
    // Each is compared with all before it.
    if text.lines().filter(|line| line.starts_with("%TAG")).count() > MAX_TAGS {
        return Err(Malformed { line: None, what: format!("more than {MAX_TAGS} %TAG directives") });
    }
    // An alias costs a few bytes and may stand for megabytes: count before building anything.
    if text.contains('&') && text.contains('*') {
        first_document(text, |document| Put::into(&mut Weigh::new(MAX_UNFOLDED)).deserialize(document))?;
    }
    first_document(text, |document| Put::into(slot).deserialize(document))
}

/// What is wrong with a YAML text.
#[derive(Debug)]
pub(crate) struct Malformed {
    /// Counted from 1.
    pub(crate) line: Option<usize>,
    pub(crate) what: String,
}

fn files(explicit: Option<&Path>, env: &Env) -> Vec<PathBuf> {
    if let Some(explicit) = explicit {
        return vec![explicit.to_owned()];
    }
    if let Some(list) = env.var("KUBECONFIG") {
        let mut files: Vec<PathBuf> = Vec::new();
        for path in std::env::split_paths(list) {
            if !path.as_os_str().is_empty() && !files.contains(&path) {
                files.push(path);
            }
        }
        return files;
    }
    env.home().map(|home| home.join(".kube").join("config")).into_iter().collect()
}

fn parse(path: &Path, bytes: &[u8]) -> Result<File> {
    let place = |line: Option<usize>| match line {
        Some(line) => format!("kubeconfig {} line {line}", path.display()),
        None => format!("kubeconfig {}", path.display()),
    };
    let text = decode(bytes).map_err(|malformed| {
        Error::new(Kind::Failed, place(malformed.line)).because(malformed.what).hint("save the file as UTF-8 text")
    })?;
    let file: File = read_yaml(&text).map_err(|malformed| {
        Error::new(Kind::Failed, place(malformed.line))
            .because(malformed.what)
            .hint("correct the line, or name another file with --kubeconfig or KUBECONFIG")
    })?;
    let kind = super::fields::text(&file.kind).unwrap_or("Config");
    let version = super::fields::text(&file.api_version).unwrap_or("v1");
    if (version, kind) != ("v1", "Config") {
        let words = format!("kind {} of apiVersion {} is not a kubeconfig", quoted(kind), quoted(version));
        return Err(Error::new(Kind::Failed, place(None))
            .because(words)
            .hint("a kubeconfig has `apiVersion: v1` and `kind: Config`"));
    }
    Ok(file)
}

/// UTF-8 with or without a byte-order mark, or UTF-16 with one (as Windows editors and shells write it).
pub(super) fn decode(bytes: &[u8]) -> Result<String, Malformed> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = bytes.chunks(2).map(|pair| match *pair {
            [a, b] => unit([a, b]),
            _ => 0xd800, // an odd byte at the end: no valid unit
        });
        char::decode_utf16(units)
            .collect::<Result<String, _>>()
            .map_err(|_| Malformed { line: None, what: "not valid UTF-16".into() })
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] | rest => std::str::from_utf8(rest).map(str::to_owned).map_err(|error| {
            let line = 1 + rest[..error.valid_up_to()].iter().filter(|&&b| b == b'\n').count();
            Malformed { line: Some(line), what: "not UTF-8 text".into() }
        }),
    }
}

impl OidcConfig {
    /// What the provider gave.
    pub(super) fn tokens(&self) -> Tokens {
        let token = |field| super::fields::hidden(field).cloned();
        Tokens { id: token(&self.id_token), refresh: token(&self.refresh_token) }
    }
}

/// The text in the encoding of `like`.
pub(super) fn encode(like: &[u8], text: &str) -> Vec<u8> {
    let utf16 = |unit: fn(u16) -> [u8; 2]| [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(unit).collect();
    match like {
        [0xff, 0xfe, ..] => utf16(u16::to_le_bytes),
        [0xfe, 0xff, ..] => utf16(u16::to_be_bytes),
        [0xef, 0xbb, 0xbf, ..] => [b"\xef\xbb\xbf", text.as_bytes()].concat(),
        _ => text.as_bytes().to_vec(),
    }
}

/// A user's tokens in a file's content, if it has an auth-provider there.
pub(super) fn tokens(path: &Path, bytes: &[u8], user: &str) -> Result<Option<Tokens>> {
    let users = parse(path, bytes)?.users.into_iter().flat_map(|list| list.0);
    let entry = users.into_iter().find(|entry| super::fields::text(&entry.name).unwrap_or_default() == user);
    Ok(entry.and_then(|entry| entry.user?.auth_provider?.config).map(|config| config.tokens()))
}

/// Brackets in strings and comments count too, which takes an absurd file to matter.
fn nests_deeper(text: &str, limit: usize) -> bool {
    let mut depth: usize = 0;
    text.bytes().any(|byte| {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > limit
    })
}

pub(super) fn first_document<'de, T>(
    text: &'de str,
    read: impl FnOnce(serde_yaml::Deserializer<'de>) -> Result<T, serde_yaml::Error>,
) -> Result<T, Malformed> {
    let malformed = |error: serde_yaml::Error| {
        let mut what = error.to_string();
        let line = error.location().map(|at| {
            what = what.replacen(&format!(" at line {} column {}", at.line(), at.column()), "", 1);
            at.line()
        });
        Malformed { line, what: without_value(what) }
    };
    match serde_yaml::Deserializer::from_str(text).next() {
        Some(document) => read(document).map_err(malformed),
        None => Err(Malformed { line: None, what: "no YAML document".into() }),
    }
}

/// `!!int TEXT` makes the reader of YAML quote the text, which may be a token.
fn without_value(what: String) -> String {
    const VALUE: &str = ": string \"";
    match (what.find(VALUE), what.rfind("\", expected")) {
        (Some(from), Some(to)) if from < to => [&what[..from], &what[to + 1..]].concat(),
        (Some(from), _) => what[..from].to_owned(),
        _ => what,
    }
}

impl Kubeconfig {
    /// Adds a file behind those already read: what they name stays theirs.
    fn add(&mut self, path: &Path, file: File) -> Result<()> {
        if self.current_context.is_none() {
            self.current_context = text(&file.current_context).map(str::to_owned);
        }
        let directory = std::path::absolute(path).ok().and_then(|path| path.parent().map(Path::to_owned));
        let directory = directory.unwrap_or_default();
        let contexts = file.contexts.into_iter().flat_map(|list| list.0).map(|named| (named.name, named.context));
        merge(&mut self.contexts, path, "contexts", contexts, |_| {})?;
        let clusters = file.clusters.into_iter().flat_map(|list| list.0).map(|named| (named.name, named.cluster));
        merge(&mut self.clusters, path, "clusters", clusters, |cluster: &mut Cluster| {
            resolve(&mut cluster.certificate_authority, &directory);
        })?;
        let users = file.users.into_iter().flat_map(|list| list.0).map(|named| (named.name, named.user));
        merge(&mut self.users, path, "users", users, |user: &mut User| {
            resolve(&mut user.client_certificate, &directory);
            resolve(&mut user.client_key, &directory);
            resolve(&mut user.token_file, &directory);
            if let Some(exec) = &mut user.exec
                && location(&exec.command).is_some_and(has_separator)
            {
                resolve(&mut exec.command, &directory);
            }
        })
    }
}

/// Adds one file's entries, each name once.
fn merge<T: Default>(
    into: &mut Named<Entry<T>>,
    path: &Path,
    list: &str,
    named: impl Iterator<Item = (Option<Text>, Option<T>)>,
    resolve: impl Fn(&mut T),
) -> Result<()> {
    let mut own = Named::default();
    for (name, fields) in named {
        let name = name.unwrap_or_default().0;
        if own.get(&name).is_some() {
            return Err(Error::new(Kind::Failed, format!("kubeconfig {}", path.display()))
                .because(format!("{list} holds the name {} twice", quoted(&name)))
                .hint("remove or rename one of the two entries"));
        }
        own.add(name.clone(), ());
        let mut fields = fields.unwrap_or_default();
        resolve(&mut fields);
        into.add(name, Entry { fields, origin: path.to_owned() });
    }
    Ok(())
}

/// Relative paths count from the directory of the file that holds them.
fn resolve(path: &mut Option<Location>, directory: &Path) {
    if let Some(Location(path)) = path
        && !path.as_os_str().is_empty()
    {
        *path = directory.join(&*path);
    }
}

/// Whether a command is a path, and not a name for PATH.
fn has_separator(command: &Path) -> bool {
    command.to_str().is_some_and(|command| command.contains(std::path::MAIN_SEPARATOR))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(directory: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = directory.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn env(paths: &[&Path]) -> Env {
        Env::new([("KUBECONFIG", std::env::join_paths(paths).unwrap())])
    }

    fn user(name: &str, token: &str) -> String {
        format!("users: [{{name: {name}, user: {{token: {token}}}}}]\n")
    }

    #[test]
    fn the_first_file_wins_whole_entries_and_scalars_by_being_set() {
        let dir = tempfile::tempdir().unwrap();
        let a = write(dir.path(), "a", format!("current-context: \"\"\n{}", user("u", "one")));
        let b = write(dir.path(), "b", "current-context: b\nusers: [{name: u, user: {token: two, as: x}}, {name: v}]");
        let c = write(dir.path(), "c", "current-context: c\n");
        let merged = load(None, &env(&[&a, Path::new(""), &b, &a, &dir.path().join("absent"), &c])).unwrap();
        assert_eq!(merged.current_context.as_deref(), Some("b"));
        let u = merged.users.get("u").unwrap();
        assert_eq!(u.fields.token.as_ref().unwrap().0.expose(), "one");
        assert!(u.fields.as_user.is_none(), "fields of later entries are dropped");
        assert_eq!(u.origin, a);
        assert_eq!(merged.users.get("v").unwrap().origin, b);
        assert_eq!(merged.read, [a, b, c]);
        assert_eq!(merged.missing, [dir.path().join("absent")]);
    }

    #[test]
    fn the_flag_wins_over_the_variable_and_both_over_home() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".kube")).unwrap();
        let config = write(home.path(), ".kube/config", "current-context: home");
        let other = write(home.path(), "other", "current-context: other");
        let context = |explicit: Option<&Path>, variable: &str| {
            let env = Env::new([("HOME", home.path().to_str().unwrap()), ("KUBECONFIG", variable)]);
            load(explicit, &env).unwrap().current_context.unwrap()
        };
        assert_eq!(context(None, ""), "home");
        assert_eq!(context(None, other.to_str().unwrap()), "other");
        assert_eq!(context(Some(&config), other.to_str().unwrap()), "home");
        let error = load(Some(Path::new("/no/such")), &Env::new([("HOME", "/")])).unwrap_err();
        assert!(error.chain().starts_with("kubeconfig /no/such: No such file"), "{}", error.chain());
    }

    #[test]
    fn relative_paths_count_from_their_file() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| Some(Location(dir.path().join(path)));
        let a = write(
            dir.path(),
            "a",
            "clusters: [{name: c, cluster: {certificate-authority: x/ca.crt}}]\n\
             users:\n- {name: u, user: {client-certificate: c.crt, client-key: /k, tokenFile: t, exec: {command: ./p}}}\n\
             - {name: v, user: {exec: {command: p}}}\n",
        );
        let merged = load(Some(&a), &Env::new([("X", "")])).unwrap();
        let user = &merged.users.get("u").unwrap().fields;
        assert_eq!(merged.clusters.get("c").unwrap().fields.certificate_authority, at("x/ca.crt"));
        assert_eq!(user.client_certificate, at("c.crt"));
        assert_eq!(user.client_key, Some(Location("/k".into())));
        assert_eq!(user.token_file, at("t"));
        assert_eq!(user.exec.as_ref().unwrap().command, at("./p"));
        assert_eq!(
            merged.users.get("v").unwrap().fields.exec.as_ref().unwrap().command,
            Some(Location("p".into())),
            "found on PATH"
        );
    }

    #[test]
    fn encodings_of_windows_are_read() {
        let text = user("ü", "tok");
        let utf16: Vec<u16> = text.encode_utf16().collect();
        let le = utf16.iter().flat_map(|unit| unit.to_le_bytes());
        let be = utf16.iter().flat_map(|unit| unit.to_be_bytes());
        for bytes in [
            text.clone().into_bytes(),
            [b"\xef\xbb\xbf", text.as_bytes()].concat(),
            [0xff, 0xfe].into_iter().chain(le).collect(),
            [0xfe, 0xff].into_iter().chain(be).collect(),
        ] {
            let file = parse(Path::new("f"), &bytes).unwrap();
            assert_eq!(file.users.unwrap().0[0].name, Some(Text("ü".into())));
        }
    }

    #[test]
    fn only_the_first_document_counts_and_an_empty_one_is_fine() {
        for empty in ["", "# nothing\n", "---\n", "null\n", "{}", "clusters: null\nusers: [null]\n"] {
            parse(Path::new("f"), empty.as_bytes()).unwrap();
        }
        let file = parse(Path::new("f"), b"---\ncurrent-context: a\n---\ncurrent-context: [").unwrap();
        assert_eq!(file.current_context, Some(Text("a".into())));
    }

    #[test]
    fn bad_files_name_file_and_line_and_quote_no_value() {
        let long = format!("kind: {}", "x".repeat(5000));
        for (input, words) in [
            (&b"a: ["[..], "kubeconfig f line 2"),
            (b"users:\n- name: u\n\ttoken: s3cr3t", "kubeconfig f line 3: "),
            (b"users:\n- name: u\n  user: {token: [s3cr3t]}", "line 3: users[0].user.token: a list where a string"),
            (b"users:\n- name: u\n  user: s3cr3t", "line 3: users[0].user: a string where a mapping belongs"),
            (b"users: s3cr3t", "users: a string where a list belongs"),
            (b"- s3cr3t", "a list where a mapping belongs"),
            (b"s3cr3t", "a string where a mapping belongs"),
            (b"x: *s3cr3t", "unknown anchor"),
            (b"users:\n- name: \xe9", "kubeconfig f line 2: not UTF-8 text"),
            (b"\xff\xfea", "not valid UTF-16"),
            (b"\x00\x01\x02", "kubeconfig f"),
            (b"apiVersion: v1\nkind: Pod", "kind \"Pod\" of apiVersion \"v1\" is not a kubeconfig"),
            (b"apiVersion: v2\nkind: Config", "apiVersion \"v2\""),
            (long.as_bytes(), "…"),
        ] {
            let error = parse(Path::new("f"), input).unwrap_err();
            let chain = error.chain();
            assert!(chain.contains(words), "{chain}");
            assert!(!chain.contains("s3cr3t") && !chain.contains('\n') && chain.len() < 400, "{chain}");
            assert!(error.remedy().is_some());
        }
    }

    #[test]
    fn the_same_name_twice_in_a_file_is_an_error() {
        for (list, field) in [("contexts", "context"), ("clusters", "cluster"), ("users", "user")] {
            let dir = tempfile::tempdir().unwrap();
            let text = format!("{list}: [{{name: x, {field}: {{}}}}, {{name: y}}, {{name: x}}]");
            let error = load(Some(&write(dir.path(), "f", text)), &Env::new([("", "")])).unwrap_err();
            assert!(error.chain().ends_with(&format!("{list} holds the name \"x\" twice")), "{}", error.chain());
        }
    }

    #[test]
    fn what_unfolds_without_bound_is_refused() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..12 {
            let alias = format!("*a{}", n - 1);
            bomb.push_str(&format!("a{n}: &a{n} [{}]\n", [alias.as_str(); 10].join(", ")));
        }
        bomb.push_str("clusters: [{name: c, cluster: {extensions: [{name: e, extension: *a11}]}}]\n");
        let wide = format!("x: &x \"{}\"\nusers: [{}]", "s".repeat(1 << 20), "*x,".repeat(1000));
        let deep = format!("x: {}{}", "[".repeat(5000), "]".repeat(5000));
        let circle = "x: &x [*x]\n";
        let tags: String = (0..17).map(|n| format!("%TAG !{n}! a\n")).collect();
        for (input, words) in [
            (bomb.as_str(), "repetition limit"),
            (&wide, "unfold to too much"),
            (&deep, "nested more than 200"),
            (circle, "recursion limit"),
            (&tags, "%TAG"),
        ] {
            let chain = parse(Path::new("f"), input.as_bytes()).unwrap_err().chain();
            assert!(chain.contains(words), "{chain}");
        }
    }

    #[test]
    fn a_huge_file_and_a_directory_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let huge = write(dir.path(), "huge", vec![b'#'; MAX_FILE + 1]);
        for (path, words) in [(huge.as_path(), "larger than 10 MiB"), (dir.path(), "directory")] {
            let chain = load(Some(path), &Env::new([("", "")])).unwrap_err().chain();
            assert!(chain.contains(words), "{chain}");
        }
    }
}
