//! The person's own say in which credential plugins may run: kubectl's preferences file, since kubectl 1.35.
//!
//! A kubeconfig is often somebody else's, and a plugin is a program that it names; the policy stands outside of it.

use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::env::Env;
use super::kubeconfig::{decode, read_yaml};
use super::{quoted, read_file};
use crate::error::{Error, Kind, Result};

/// The largest preferences file read.
const MAX_FILE: usize = 1 << 20;

/// The API group of preferences; of its versions only the first alpha knew no policy.
const GROUP: &str = "kubectl.config.k8s.io/";

/// Which credential plugins may run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PluginPolicy {
    /// All of them.
    #[default]
    AllowAll,
    /// None.
    DenyAll {
        /// Where that is said.
        file: PathBuf,
    },
    /// These.
    Allowlist {
        /// Names to be looked up on PATH, or paths.
        commands: Vec<String>,
        /// Where that is said.
        file: PathBuf,
    },
}

impl PluginPolicy {
    /// Reads a preferences file's content: the way in for whoever tries what it makes of hostile bytes.
    pub fn read(bytes: &[u8]) -> Result<PluginPolicy> {
        let file = Path::new("kuberc");
        match preferences(file, bytes)? {
            Some(preferences) => read(file, &preferences).map(|(policy, _)| policy),
            None => Ok(PluginPolicy::AllowAll),
        }
    }

    /// Why no plugin at all may run.
    pub(crate) fn denies_all(&self) -> Option<String> {
        match self {
            PluginPolicy::DenyAll { file } => Some(format!("credentialPluginPolicy of {} is DenyAll", file.display())),
            _ => None,
        }
    }

    /// Why a plugin may not run: `command` as the kubeconfig has it, found as `program`; `locate` finds other names.
    pub(crate) fn denies(
        &self,
        command: &Path,
        program: &Path,
        locate: impl Fn(&Path) -> Option<PathBuf>,
    ) -> Option<String> {
        let PluginPolicy::Allowlist { commands, file } = self else { return self.denies_all() };
        let command = clean(command);
        let is_it = |entry: &Path| entry == command || entry == program || locate(entry).is_some_and(|e| e == program);
        (!commands.iter().any(|entry| is_it(Path::new(entry))))
            .then(|| format!("credentialPluginAllowlist of {} does not name it", file.display()))
    }
}

/// The policy, and words about a preferences file that was passed over.
///
/// A file that KUBERC names must be good; of the usual one a fault is told and the rest of it ignored, as kubectl does. But
/// one that can't be read, or speaks of plugins without being understood, might deny: unlike kubectl, no plugin runs then.
pub(super) fn policy(env: &Env) -> Result<(PluginPolicy, Vec<String>)> {
    let none = Ok((PluginPolicy::AllowAll, Vec::new()));
    let is_off = env.text("KUBECTL_KUBERC").is_some_and(|gate| gate.eq_ignore_ascii_case("false"));
    let named = env.var("KUBERC").map(PathBuf::from);
    let usual = || env.home().map(|home| home.join(".kube").join("kuberc"));
    let Some(file) = named.clone().or_else(usual).filter(|file| file != Path::new("off") && !is_off) else {
        return none;
    };
    let remedy = match named {
        Some(_) => "correct the file that KUBERC names, or set KUBERC=off",
        None => "it may forbid credential plugins: correct it, or set KUBERC=off to do without",
    };
    let bytes = match read_file(&file, MAX_FILE) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => return none,
        Err(error) => return Err(at(&file).because(error).hint(remedy)),
    };
    match preferences(&file, &bytes) {
        Ok(Some(preferences)) => read(&file, &preferences),
        Ok(None) => none,
        Err(error) if named.is_some() || mentions_plugins(&bytes) => Err(error.hint(remedy)),
        Err(error) => Ok((PluginPolicy::AllowAll, vec![format!("{}: not followed, as in kubectl", error.chain())])),
    }
}

/// Whether a text in whatever encoding might be about plugins.
fn mentions_plugins(bytes: &[u8]) -> bool {
    let letters: Vec<u8> = bytes.iter().filter(|byte| byte.is_ascii_graphic()).map(u8::to_ascii_lowercase).collect();
    memchr::memmem::find(&letters, b"credentialplugin").is_some()
}

/// The first document that holds preferences; none in a file without any document.
fn preferences(file: &Path, bytes: &[u8]) -> Result<Option<Value>> {
    let text = decode(bytes).map_err(|malformed| at(file).because(malformed.what))?;
    let (mut documents, mut document) = (Vec::new(), String::new());
    for line in text.lines().chain(["---"]) {
        // A document may also begin behind the dashes, which ends none for kubectl.
        let behind = line.strip_prefix("---").map(str::trim_start);
        match behind.is_some_and(|behind| behind.is_empty() || behind.starts_with('#')) {
            true => documents.push(std::mem::take(&mut document)),
            false => document.extend([line, "\n"]),
        }
    }
    documents.retain(|document| !document.trim().is_empty());
    let is_one = |document: &Value| {
        let text = |name| document.get(name).and_then(Value::as_str).unwrap_or_default();
        let version = text("apiVersion").strip_prefix(GROUP);
        text("kind") == "Preference" && version.is_some_and(|version| ["v1alpha1", "v1beta1", "v1"].contains(&version))
    };
    match documents.iter().filter_map(|text| read_yaml::<Value>(text).ok()).find(is_one) {
        Some(preferences) => Ok(Some(preferences)),
        None if documents.is_empty() => Ok(None),
        None => Err(at(file).because(format!("no document of it is a Preference of {GROUP}v1beta1"))),
    }
}

/// The policy of a document. What is wrong with it is an error wherever it stands: it might deny.
fn read(file: &Path, preferences: &Value) -> Result<(PluginPolicy, Vec<String>)> {
    let wrong =
        |what: String| Err(at(file).because(what).hint("see the documentation of kubectl's kuberc, or set KUBERC=off"));
    if preferences["apiVersion"] == "kubectl.config.k8s.io/v1alpha1" {
        return Ok((PluginPolicy::AllowAll, Vec::new()));
    }
    let field = |name| preferences.get(name).filter(|value| !value.is_null());
    let (policy, list) = (field("credentialPluginPolicy"), field("credentialPluginAllowlist"));
    let name = match policy.map(Value::as_str) {
        None => "",
        Some(Some(name)) => name,
        Some(None) => return wrong("credentialPluginPolicy is no string".to_owned()),
    };
    let policy = match (name, list) {
        ("" | "AllowAll", None) => PluginPolicy::AllowAll,
        ("DenyAll", None) => PluginPolicy::DenyAll { file: file.to_owned() },
        ("" | "AllowAll" | "DenyAll", Some(_)) => {
            return wrong(format!("credentialPluginPolicy is {name:?}, yet there is a credentialPluginAllowlist"));
        }
        ("Allowlist", Some(Value::Array(entries))) if !entries.is_empty() => {
            let commands: Option<Vec<String>> = entries.iter().map(command).collect();
            match commands {
                Some(commands) => PluginPolicy::Allowlist { commands, file: file.to_owned() },
                None => {
                    return wrong(
                        "credentialPluginAllowlist has an entry without a command, or one that is no clean path"
                            .to_owned(),
                    );
                }
            }
        }
        ("Allowlist", _) => {
            return wrong("credentialPluginPolicy is Allowlist, and credentialPluginAllowlist names none".to_owned());
        }
        (other, _) => return wrong(format!("credentialPluginPolicy {} is not known", quoted(other))),
    };
    // kubectl warns of every field it does not know; of these a slip matters.
    let known = ["credentialPluginPolicy", "credentialPluginAllowlist"];
    let keys = preferences.as_object().into_iter().flat_map(|fields| fields.keys());
    let odd = keys.filter(|key| key.to_ascii_lowercase().starts_with("cred") && !known.contains(&key.as_str()));
    let words = odd.map(|key| format!("{} has an unknown field {}, which is ignored", file.display(), quoted(key)));
    Ok((policy, words.collect()))
}

/// What an entry of the list allows: `command`, which kubectl 1.35 called `name`.
fn command(entry: &Value) -> Option<String> {
    let text = |name| entry.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let command = match (text("command"), text("name")) {
        (Some(command), Some(name)) if command != name => return None,
        (command, name) => command.or(name)?,
    };
    (clean(Path::new(command)).as_os_str() == command).then(|| command.to_owned())
}

/// A path without `.`, `..` and doubled separators, as Go's filepath.Clean leaves it.
fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match (component, clean.components().next_back()) {
            (Component::CurDir, _) => {}
            (Component::ParentDir, Some(Component::Normal(_))) => drop(clean.pop()),
            (Component::ParentDir, Some(Component::RootDir)) => {}
            (other, _) => clean.push(other),
        }
    }
    clean
}

fn at(file: &Path) -> Error {
    Error::new(Kind::Failed, format!("kuberc {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<(PluginPolicy, Vec<String>)> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("kuberc");
        std::fs::write(&file, text).unwrap();
        policy(&Env::new([("KUBERC", &file)]))
    }

    const HEAD: &str = "apiVersion: kubectl.config.k8s.io/v1beta1\nkind: Preference\n";

    fn allows(list: &[&str], command: &str, program: &str) -> bool {
        let commands = list.iter().map(|&entry| entry.to_owned()).collect();
        let policy = PluginPolicy::Allowlist { commands, file: "f".into() };
        // Names are found below /bin.
        let locate = |entry: &Path| match entry.is_absolute() {
            true => Some(entry.to_owned()),
            false => Some(Path::new("/bin").join(entry)),
        };
        policy.denies(Path::new(command), Path::new(program), locate).is_none()
    }

    #[test]
    fn a_plugin_is_known_by_its_name_and_by_its_place() {
        assert!(allows(&["x", "login"], "login", "/bin/login"));
        assert!(allows(&["/bin/login"], "login", "/bin/login"));
        assert!(allows(&["login"], "/bin/login", "/bin/login"));
        assert!(allows(&["/opt/login"], "/opt/./x/..//login", "/opt/./x/..//login"));
        assert!(!allows(&["login"], "/opt/login", "/opt/login"));
        assert!(!allows(&["/opt/login"], "login", "/bin/login"));
        assert!(!allows(&["login2", "/bin"], "login", "/bin/login"));
    }

    #[test]
    fn faults_are_told_and_a_policy_is_never_guessed() {
        for (text, words) in [
            ("credentialPluginPolicy: denyAll", "\"denyAll\" is not known"),
            ("credentialPluginPolicy: [x]", "is no string"),
            ("credentialPluginPolicy: Allowlist", "names none"),
            ("credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist: []", "names none"),
            ("credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist: x", "names none"),
            ("credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist: [{}]", "without a command"),
            ("credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist: [{command: ''}]", "without a command"),
            ("credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist: [{command: /a/../b}]", "no clean path"),
            (
                "credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist: [{command: a, name: b}]",
                "without a command",
            ),
            ("credentialPluginPolicy: DenyAll\ncredentialPluginAllowlist: [{command: a}]", "yet there is"),
            ("credentialPluginAllowlist: [{command: a}]", "yet there is"),
        ] {
            let error = of(&format!("{HEAD}{text}")).unwrap_err();
            assert!(error.chain().contains(words) && error.remedy().is_some(), "{text}: {}", error.chain());
        }
        for text in ["a: [", "kind: Config", "x"] {
            assert!(of(text).unwrap_err().chain().contains("no document of it is a Preference"), "{text}");
        }
        assert_eq!(of("").unwrap(), (PluginPolicy::AllowAll, vec![]));
        assert!(policy(&Env::new([("KUBERC", "/no/such/file")])).is_err());
    }

    #[test]
    fn the_first_preferences_of_the_file_count() {
        let name = |text: &str| match of(text).unwrap() {
            (PluginPolicy::AllowAll, words) => format!("all {}", words.len()),
            (PluginPolicy::DenyAll { .. }, words) => format!("none {}", words.len()),
            (PluginPolicy::Allowlist { commands, .. }, words) => format!("{commands:?} {}", words.len()),
        };
        let deny = "credentialPluginPolicy: DenyAll\n";
        assert_eq!(name(&format!("kind: Other\n---\njunk: [\n---\n{HEAD}{deny}---\n{HEAD}")), "none 0");
        assert_eq!(name(&format!("{}{deny}", HEAD.replace("v1beta1", "v1"))), "none 0");
        assert_eq!(name(&format!("{}{deny}", HEAD.replace("v1beta1", "v1alpha1"))), "all 0", "it knew no policy");
        assert_eq!(name(&format!("{HEAD}credentialPluginPolicy: ''\naliases: [x]\n")), "all 0");
        assert_eq!(name(&format!("{HEAD}credentialpluginPolicy: DenyAll\n")), "all 1", "a slip is told");
        let list = "credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist: [{name: a}, {command: /b}]\n";
        assert_eq!(name(&format!("{HEAD}{list}")), "[\"a\", \"/b\"] 0");
    }

    #[test]
    fn a_document_may_begin_behind_its_dashes_and_in_any_encoding() {
        let text = "apiVersion: kubectl.config.k8s.io/v1beta1, kind: Preference, credentialPluginPolicy: DenyAll";
        let denies = |bytes: &[u8]| {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("kuberc");
            std::fs::write(&file, bytes).unwrap();
            policy(&Env::new([("KUBERC", &file)])).unwrap().0.denies_all().is_some()
        };
        for text in [
            format!("--- {{{text}}}"),
            format!("---\t{{{text}}}\n"),
            format!("--- # first\nkind: Other\n---\n--- {{{text}}}\n---#\n{{}}\n"),
            format!("{{{text}}}\r\n---\r\n{{}}"),
        ] {
            let utf16 = |unit: fn(u16) -> [u8; 2]| -> Vec<u8> {
                [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(unit).collect()
            };
            assert!(denies(text.as_bytes()), "{text}");
            assert!(denies(&["\u{feff}".as_bytes(), text.as_bytes()].concat()), "{text}");
            assert!(denies(&utf16(u16::to_le_bytes)) && denies(&utf16(u16::to_be_bytes)), "{text}");
        }
    }

    #[test]
    fn what_might_deny_and_is_not_understood_does_not_allow() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".kube")).unwrap();
        let file = home.path().join(".kube/kuberc");
        let policy = || policy(&Env::new([("HOME", home.path())]));
        let utf16: Vec<u8> =
            "x: [\ncredentialPluginPolicy: DenyAll".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let cut = format!("{HEAD}credentialPluginPolicy: DenyAll\n: [");
        let later = format!("{HEAD}credentialPluginPolicy: DenyAll\n").replace("v1beta1", "v3");
        for bytes in [
            b"credentialPluginPolicy: DenyAll".as_slice(),
            b"\xff CredentialPluginPolicy: DenyAll",
            &utf16,
            cut.as_bytes(),
            later.as_bytes(),
        ] {
            std::fs::write(&file, bytes).unwrap();
            let error = policy().unwrap_err();
            assert!(error.remedy().unwrap().contains("KUBERC=off"), "{}", error.chain());
        }
        std::fs::remove_file(&file).unwrap();
        std::fs::create_dir(&file).unwrap();
        assert!(policy().unwrap_err().chain().contains("s a directory"));
    }

    #[test]
    fn the_usual_file_may_be_missing_or_broken() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".kube")).unwrap();
        let file = home.path().join(".kube/kuberc");
        let env = |more: &[(&'static str, &'static str)]| {
            let home = ("HOME", home.path().to_str().unwrap());
            policy(&Env::new(more.iter().copied().chain([home]))).unwrap()
        };
        assert_eq!(env(&[]), (PluginPolicy::AllowAll, vec![]));
        std::fs::write(&file, "a: [").unwrap();
        let (policy, words) = env(&[]);
        assert!(policy == PluginPolicy::AllowAll && words[0].contains("not followed"), "{words:?}");
        std::fs::write(&file, format!("{HEAD}credentialPluginPolicy: DenyAll\n")).unwrap();
        assert!(env(&[]).0.denies_all().unwrap().contains(".kube/kuberc is DenyAll"));
        assert_eq!(env(&[("KUBERC", "off")]).0, PluginPolicy::AllowAll);
        assert_eq!(env(&[("KUBECTL_KUBERC", "FALSE")]).0, PluginPolicy::AllowAll);
    }
}
