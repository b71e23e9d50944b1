//! Kubeconfigs made from a seed: a usual one, then a few twists.

use serde_json::{Map, Value, json};

use super::values::*;

/// What both programs are given. Texts may hold `@NAME@`, see `Stage::fill`.
pub(super) struct Case {
    /// The kubeconfig, before it is written in some style.
    config: Value,
    /// Names below `@DIR@` with their content.
    pub(super) files: Vec<(String, Content)>,
    pub(super) args: Vec<String>,
    pub(super) env: Vec<(&'static str, String)>,
    /// What makes this case another than the usual one, in words.
    pub(super) twists: Vec<String>,
}

/// What a file holds.
pub(super) struct Content {
    pub(super) text: String,
    pub(super) encoding: Encoding,
}

/// How a text becomes bytes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Encoding {
    Utf8,
    Utf8Mark,
    Utf16Little,
    Utf16Big,
    Latin1,
}

/// Splitmix64: small, and the same on every machine.
pub(super) struct Random(u64);

impl Random {
    /// Neighbouring seeds would give the same numbers, shifted by one, were they not mixed first.
    pub(super) fn new(seed: u64) -> Random {
        Random(Random(seed).next().rotate_left(17) ^ seed.wrapping_mul(0xd6e8_feb8_6659_fd93))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).expect("below a usize")
    }

    fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// The case of this seed; the same seed is the same case, whatever ran before.
pub(super) fn case(seed: u64) -> Case {
    let mut random = Random::new(seed);
    let mut case = usual();
    case.choose_server(&mut random);
    case.choose_credentials(&mut random);
    let twists = random.pick(&[0, 1, 1, 1, 1, 2, 2, 2, 3, 3, 5]);
    for _ in 0..twists {
        case.twist(&mut random);
    }
    case.write(&mut random);
    case
}

/// Every field and long flag that cases vary, but those that nobody knows and those of the file's frame.
pub(super) fn names() -> impl Iterator<Item = String> {
    let fields = [CLUSTER_FIELDS, USER_FIELDS, EXEC_FIELDS].into_iter().flatten().map(|(key, _)| (*key).to_owned());
    let flags = FLAGS.iter().flat_map(|flags| flags.split([' ', '='])).filter(|word| word.starts_with("--"));
    let strange = ["unknown", "Server", "Token", "api-version", "client-certificate-data", "client-key-data"];
    let by_row = ["--insecure-skip-tls-verify", "--disable-compression", "--cache-dir"];
    let known = move |name: &String| !strange.contains(&name.as_str()) && !by_row.contains(&name.as_str());
    fields.chain(flags.map(str::to_owned)).filter(known)
}

const CLUSTER: &str = "/clusters/0/cluster";
const USER: &str = "/users/0/user";

fn usual() -> Case {
    let named = |name: &str, field: &str, value: Value| json!({"name": name, field: value});
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "ctx",
        "contexts": [
            named("ctx", "context", json!({"cluster": "c", "user": "u"})),
            named("other", "context", json!({"cluster": "d", "user": "v", "namespace": "ns"})),
        ],
        "clusters": [
            named("c", "cluster", json!({"server": "@URL@", "certificate-authority-data": "@CA@"})),
            named("d", "cluster", json!({"server": "@URL2@", "certificate-authority-data": "@CA2@"})),
        ],
        "users": [named("u", "user", json!({})), named("v", "user", json!({"token": "@READER@"}))],
    });
    let file = |name: &str, text: &str| (name.to_owned(), Content { text: text.to_owned(), encoding: Encoding::Utf8 });
    let mut files = vec![
        file("kube/ca-and-words", "some words\n@CAPEM@more\n"),
        file("kube/junk", "hello\n"),
        file("kube/half", "@HALFPEM@"),
        file("kube/empty", ""),
        file("kube/blank", " \n"),
        file("kube/both", "@CA2PEM@@CAPEM@"),
        file("kube/pair", "@CRTPEM@@KEYPEM@"),
        file("kube/t", " @ADMIN@\n"),
        file("kube/t-reader", "@READER@"),
        file("kube/t-lines", "@READER@\n@ADMIN@\n"),
        file("kube/encrypted.key", "@ENCRYPTEDKEYPEM@"),
        file("kube2/t", "@NOBODY@"),
        file("kube2/extra", SECOND[0]),
        file("cwd/junk", "hello\n"),
    ];
    for (name, text) in [
        ("ca", "@CAPEM@"),
        ("ca2", "@CA2PEM@"),
        ("c.crt", "@CRTPEM@"),
        ("c.key", "@KEYPEM@"),
        ("limited.crt", "@LIMITEDCRTPEM@"),
        ("limited.key", "@LIMITEDKEYPEM@"),
    ] {
        for folder in ["kube", "cwd"] {
            files.push(file(&format!("{folder}/{name}"), text));
        }
    }
    let env = vec![("KUBECONFIG", "@DIR@/kube/config".to_owned()), ("HOME", "@DIR@/home".to_owned())];
    let mut case = Case { config, files, args: Vec::new(), env, twists: Vec::new() };
    case.print("client.authentication.k8s.io/v1", "\"token\":\"@ADMIN@\"");
    case
}

impl Case {
    /// Mostly the usual server; else one that needs another choice of trust, or a proxy.
    fn choose_server(&mut self, random: &mut Random) {
        match random.below(12) {
            0 => self.put(CLUSTER, "server", json!("@PLAIN@")),
            1 => self.put(CLUSTER, "proxy-url", json!("http://@PROXY@")),
            2 | 3 => {
                self.put(CLUSTER, "server", json!("https://no-such-name.invalid:6443"));
                self.put(CLUSTER, "tls-server-name", json!("localhost"));
                self.set(
                    "HTTPS_PROXY",
                    random.pick(&["http://@PROXY@", "http://n:p@@LOGIN@", "socks5://@SOCKS@", "@PROXY@"]),
                );
            }
            4 => {
                self.remove(CLUSTER, "certificate-authority-data");
                self.put(CLUSTER, "insecure-skip-tls-verify", json!(true));
            }
            5 => {
                self.remove(CLUSTER, "certificate-authority-data");
                self.put(CLUSTER, "certificate-authority", json!("ca"));
            }
            _ => {}
        }
    }

    fn choose_credentials(&mut self, random: &mut Random) {
        let kind = random.below(10);
        let put = |case: &mut Case, fields: Value| {
            for (key, value) in fields.as_object().expect("fields") {
                case.put(USER, key, value.clone());
            }
        };
        match kind {
            0 | 1 => put(self, json!({"token": "@ADMIN@"})),
            2 => put(self, json!({"tokenFile": "t"})),
            3 => put(self, json!({"username": "admin", "password": "@PASSWORD@"})),
            4 => put(self, json!({"client-certificate-data": "@CRT@", "client-key-data": "@KEY@"})),
            5 => put(self, json!({"client-certificate": "c.crt", "client-key": "c.key"})),
            6 => put(
                self,
                json!({"auth-provider": {"name": "oidc", "config": {"idp-issuer-url": "https://127.0.0.1:1", "client-id": "c", "id-token": "@GOODID@"}}}),
            ),
            7 => {}
            _ => {
                let api = random.pick(&[
                    "client.authentication.k8s.io/v1",
                    "client.authentication.k8s.io/v1",
                    "client.authentication.k8s.io/v1beta1",
                ]);
                let script = "printf '%s\\n' \"$KUBERNETES_EXEC_INFO\" >> @DIR@/info; cat @DIR@/cred";
                put(
                    self,
                    json!({"exec": {"apiVersion": api, "command": "/bin/sh", "args": ["-c", script], "interactiveMode": "Never"}}),
                );
                if random.percent(30) {
                    self.put("/users/0/user/exec", "provideClusterInfo", json!(true));
                }
                self.print(api, "\"token\":\"@ADMIN@\"");
                if random.percent(60) {
                    self.twist_plugin(random);
                }
            }
        }
    }

    fn twist(&mut self, random: &mut Random) {
        match random.below(100) {
            0..25 => self.twist_field(random, CLUSTER, CLUSTER_FIELDS),
            25..50 => self.twist_field(random, USER, USER_FIELDS),
            50..56 => self.twist_field(random, "", TOP_FIELDS),
            56..60 => self.twist_field(random, "/contexts/0/context", CONTEXT_FIELDS),
            60..82 => {
                let flags = random.pick(FLAGS);
                self.twists.push(flags.to_owned());
                self.args.extend(flags.split(' ').map(str::to_owned));
            }
            82..92 => {
                let (name, value) = random.pick(VARIABLES);
                self.twists.push(format!("{name}={value}"));
                self.set(name, value);
            }
            92..96 => {
                let text = random.pick(SECOND);
                let list = random.pick(&["@DIR@/kube2/extra:@DIR@/kube/config", "@DIR@/kube/config:@DIR@/kube2/extra"]);
                self.twists.push(format!("KUBECONFIG={list} with {text:?}"));
                self.set("KUBECONFIG", list);
                self.file("kube2/extra", text.to_owned());
            }
            _ => self.twist_plugin(random),
        }
    }

    fn twist_plugin(&mut self, random: &mut Random) {
        if self.config.pointer("/users/0/user/exec").is_none_or(|exec| !exec.is_object()) {
            return self.twist_field(random, USER, USER_FIELDS);
        }
        if random.percent(60) {
            return self.twist_field(random, "/users/0/user/exec", EXEC_FIELDS);
        }
        let api = random.pick(&[
            "client.authentication.k8s.io/v1",
            "client.authentication.k8s.io/v1",
            "client.authentication.k8s.io/v1",
            "client.authentication.k8s.io/v1beta1",
            "",
            "x/v1",
        ]);
        let printed = random.pick(PRINTED);
        self.twists.push(format!("the plugin prints {api} {printed}"));
        self.print(api, printed);
        match random.below(20) {
            0 => self.file("cred", "junk".to_owned()),
            1 => self.file("cred", String::new()),
            2 => self.file("cred", "{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"Pod\",\"status\":{\"token\":\"@ADMIN@\"}}".to_owned()),
            3 => self.file("cred", "{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\"}".to_owned()),
            4 => self.file("cred", "apiVersion: client.authentication.k8s.io/v1\nkind: ExecCredential\nstatus: {token: '@ADMIN@'}\n".to_owned()),
            5 => self.file("cred", "{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":{\"token\":\"@ADMIN@\"}} junk".to_owned()),
            _ => return,
        }
        self.twists.push("or rather no such thing".to_owned());
    }

    fn twist_field(&mut self, random: &mut Random, place: &'static str, fields: &[Field]) {
        let (key, values) = random.pick(fields);
        if random.percent(5) {
            self.twists.push(format!("{place} without {key}"));
            return self.remove(place, key);
        }
        let value = if random.percent(10) { random.pick(ODD) } else { random.pick(values) };
        self.twists.push(format!("{place} {key}: {value}"));
        self.put(place, key, serde_json::from_str(value).expect("JSON"));
    }

    /// Whether a flag or the chosen kubeconfig names a server without saying how it is spoken to.
    pub(super) fn has_server_without_scheme(&self) -> bool {
        let flag = |arg: &String| arg.strip_prefix("--server=").or(arg.strip_prefix("-s=")).unwrap_or(arg).to_owned();
        let flags = self.args.iter().map(flag).filter(|arg| arg.contains("@HOST@") || arg.starts_with("localhost:"));
        let variables =
            self.env.iter().filter(|(name, _)| *name == "KUBERNETES_MASTER").map(|(_, value)| value.clone());
        let server = self.config.pointer("/clusters/0/cluster/server").and_then(Value::as_str).map(str::to_owned);
        flags.chain(variables).chain(server).any(|server| !server.contains("://"))
    }

    /// Whether the kubeconfig holds this.
    pub(super) fn mentions(&self, text: &str) -> bool {
        self.files.iter().any(|(name, content)| name == "kube/config" && content.text.contains(text))
    }

    /// Whether the kubeconfig was given a scalar of unclear kind, or ends in one since it was cut there.
    pub(super) fn has_odd_scalar(&self) -> bool {
        let is_given =
            |twist: &String| SCALARS.iter().any(|scalar| twist.starts_with(&format!("the file: {scalar:?} at ")));
        self.twists.iter().any(is_given)
            || self.files.iter().any(|(name, content)| {
                let last = content.text.rsplit(": ").next().unwrap_or_default();
                name == "kube/config" && ["n", "y", "no", "on"].contains(&last)
            })
    }

    fn put(&mut self, place: &str, key: &str, value: Value) {
        if let Some(object) = self.object(place) {
            object.insert(key.to_owned(), value);
        }
    }

    fn remove(&mut self, place: &str, key: &str) {
        if let Some(object) = self.object(place) {
            object.remove(key);
        }
    }

    /// An earlier twist may have put something else there.
    fn object(&mut self, place: &str) -> Option<&mut Map<String, Value>> {
        self.config.pointer_mut(place)?.as_object_mut()
    }

    fn set(&mut self, name: &'static str, value: &str) {
        self.env.retain(|(known, _)| *known != name);
        self.env.push((name, value.to_owned()));
    }

    fn file(&mut self, name: &str, text: String) {
        self.files.retain(|(known, _)| known != name);
        self.files.push((name.to_owned(), Content { text, encoding: Encoding::Utf8 }));
    }

    fn print(&mut self, api: &str, status: &str) {
        self.file("cred", format!("{{\"apiVersion\":\"{api}\",\"kind\":\"ExecCredential\",\"status\":{{{status}}}}}"));
    }

    /// Writes the kubeconfig in one of the styles there are.
    fn write(&mut self, random: &mut Random) {
        let mut text = match random.below(6) {
            0 => self.config.to_string(),
            1 => serde_json::to_string_pretty(&self.config).expect("JSON"),
            _ => serde_yaml::to_string(&self.config).expect("YAML"),
        };
        let mut encoding = Encoding::Utf8;
        if random.percent(20) {
            let how = twist_text(random, &mut text, &mut encoding);
            self.twists.push(format!("the file: {how}"));
        }
        self.files.push(("kube/config".to_owned(), Content { text, encoding }));
    }
}

fn twist_text(random: &mut Random, text: &mut String, encoding: &mut Encoding) -> String {
    let mut at = random.below(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let end = text[line..].find('\n').map_or(text.len(), |end| line + end + 1);
    match random.below(30) {
        0 => *encoding = Encoding::Utf8Mark,
        1 => *encoding = Encoding::Utf16Little,
        2 => *encoding = Encoding::Utf16Big,
        3 => *text = text.replace('\n', "\r\n"),
        4 => text.insert_str(0, "# a comment\n"),
        5 => text.insert_str(0, "---\n"),
        6 => text.push_str("\n---\njunk: [\n"),
        7 => text.push_str("\n...\n"),
        8 => text.truncate(at),
        9 => {
            let odd = random.pick(&[
                "\t", ":", "{", "}", "[", "]", "'", "\"", "#", "&", "*", "!", "|", ">", "%", "@", ",", "-", " ", "\n",
                "\0", "\u{85}", "\u{2028}", "\\", "?",
            ]);
            text.insert_str(at, odd);
            return format!("{odd:?} at {at}");
        }
        10 => {
            text.remove(at);
            return format!("without the character at {at}");
        }
        11 => {
            let copy = text[line..end].to_owned();
            text.insert_str(line, &copy);
            return format!("twice {copy:?}");
        }
        12 => {
            text.replace_range(line..end, "");
            return format!("without line at {line}");
        }
        13 => text.push_str("\ncurrent-context: other\n"),
        14 => *text = text.replace("token: ", "token: !!str "),
        15 => *text = text.replace("server: ", "server: &s "),
        16 => text.insert_str(0, "%YAML 1.1\n---\n"),
        17 => text.insert(0, ' '),
        18 => *text = text.replace('\'', "\""),
        19 => *text = text.replace("user: u\n", "user: *nope\n"),
        20 => *text = text.replace("name: u\n", "name: u # comment\n").replace("name: c\n", "name: !!str c\n"),
        21 => *text = text.replace('\n', "\r"),
        22 => {
            text.insert_str(end, " \u{e9}\n");
            *encoding = Encoding::Latin1;
        }
        23 => *text = text.replace("true", "yes").replace("false", "off"),
        _ => {
            // A scalar whose kind readers of YAML may see differently, in the place of some value.
            let values: Vec<usize> = text.match_indices(':').map(|(at, _)| at + 1).collect();
            let start = random.pick(&values);
            let end = text[start..].find(['\n', ',']).map_or(text.len(), |end| start + end);
            let scalar = random.pick(SCALARS);
            text.replace_range(start..end, &format!(" {scalar}"));
            return format!("{scalar:?} at {start}");
        }
    }
    format!("{encoding:?} {:?}…", &text.chars().take(24).collect::<String>())
}
