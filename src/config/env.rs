//! The process environment as a value, so that nothing below reads it behind the caller's back.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

/// Where a pod finds its service account.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Environment variables, and the one directory that plays their part inside a pod.
#[derive(Clone)]
pub struct Env {
    /// As they are: of a name that is there twice the last counts.
    variables: Vec<(OsString, OsString)>,
    service_account: PathBuf,
}

impl Env {
    /// From name and value pairs, usually `std::env::vars_os()`.
    pub fn new<N: Into<OsString>, V: Into<OsString>>(variables: impl IntoIterator<Item = (N, V)>) -> Self {
        Env {
            variables: variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            service_account: SERVICE_ACCOUNT.into(),
        }
    }

    /// The same environment with the pod's service account in another directory, for tests.
    pub fn with_service_account(mut self, directory: impl Into<PathBuf>) -> Self {
        self.service_account = directory.into();
        self
    }

    /// A variable's value; unset and empty are the same.
    pub fn var(&self, name: &str) -> Option<&OsStr> {
        let of_name = |same: fn(&OsStr, &OsStr) -> bool| {
            self.variables.iter().rfind(|(n, _)| same(n, OsStr::new(name))).map(|(_, value)| value.as_os_str())
        };
        let mut value = of_name(|a, b| a == b);
        if cfg!(windows) {
            value = value.or_else(|| of_name(|a, b| a.eq_ignore_ascii_case(b)));
        }
        value.filter(|value| !value.is_empty())
    }

    /// A variable's value as text; one that is not UTF-8 counts as unset.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.var(name).and_then(OsStr::to_str)
    }

    /// All variables, for a child process.
    pub fn variables(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.variables.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    /// The directory of the pod's service account: `token`, `ca.crt`, `namespace`.
    pub fn service_account(&self) -> &Path {
        &self.service_account
    }

    /// The directory that holds `.kube/config`; `None` without a home, never the working directory.
    pub fn home(&self) -> Option<PathBuf> {
        if cfg!(windows) {
            windows_home(self, |home| home.join(".kube").join("config").exists())
        } else {
            self.var("HOME").map(PathBuf::from)
        }
    }
}

/// Values may be secrets, so only the number of variables shows.
impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env").field("variables", &self.variables.len()).finish_non_exhaustive()
    }
}

/// Of HOME, HOMEDRIVE with HOMEPATH, and USERPROFILE the first that holds a kubeconfig, else the first that is set.
fn windows_home(env: &Env, holds_config: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let drive = env.var("HOMEDRIVE").zip(env.var("HOMEPATH")).map(|(drive, path)| {
        let mut home = drive.to_owned();
        home.push(path);
        home
    });
    let homes = [env.var("HOME").map(OsStr::to_owned), drive, env.var("USERPROFILE").map(OsStr::to_owned)];
    let homes: Vec<PathBuf> = homes.into_iter().flatten().map(PathBuf::from).collect();
    homes.iter().find(|home| holds_config(home)).or(homes.first()).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_is_unset_and_values_never_show() {
        let env = Env::new([("EMPTY", ""), ("TOKEN", "s3cr3t")]);
        assert_eq!((env.var("EMPTY"), env.var("ABSENT"), env.text("TOKEN")), (None, None, Some("s3cr3t")));
        assert!(!format!("{env:?}").contains("s3cr3t"));
    }

    #[test]
    fn on_windows_the_first_home_with_a_kubeconfig_counts() {
        let env = Env::new([("HOME", "h"), ("HOMEDRIVE", "C:"), ("HOMEPATH", "\\u"), ("USERPROFILE", "p")]);
        let pick = |holder: &str| windows_home(&env, |home| home == Path::new(holder));
        assert_eq!(pick("p"), Some("p".into()));
        assert_eq!(pick("C:\\u"), Some("C:\\u".into()));
        assert_eq!(pick("none"), Some("h".into()));
        assert_eq!(windows_home(&Env::new([("HOMEPATH", "\\u")]), |_| true), None);
    }

    #[test]
    #[cfg(not(windows))]
    fn without_home_there_is_no_default_file() {
        assert_eq!(Env::new([("X", "y")]).home(), None);
    }
}
