//! Values of flags that have a form of their own: boots, severities, pods, units, paths.

use std::fmt;

use crate::error::{Error, Result};

/// A boot of a node, as journalctl names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Boot {
    /// So many boots before the last: `0` or `-0` is the last itself.
    Back(u32),
    /// The nth of those the journal knows, from `+1` on.
    Nth(u32),
    /// By its id: 32 lowercase hexadecimal digits.
    Id(String),
}

impl Boot {
    /// Reads `0`, `-1`, `+1`, or an id with or without the dashes of a UUID.
    pub fn parse(text: &str) -> Result<Boot> {
        const FORMS: &str =
            "give 0 for the last boot, -1 for the one before, +1 for the first, or a whole id; --list-boots shows them";
        let wrong = || Error::usage(format!("not a boot: {text:?}")).hint(FORMS);
        let bare: String = text.chars().filter(|c| *c != '-').collect();
        if bare.len() == 32 && bare.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(Boot::Id(bare.to_ascii_lowercase()));
        }
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong());
        }
        let number: u32 = digits.parse().map_err(|_| wrong())?;
        Ok(match number {
            0 => Boot::Back(0),
            _ if text.starts_with('-') => Boot::Back(number),
            _ => Boot::Nth(number),
        })
    }
}

/// As it can be given.
impl fmt::Display for Boot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Boot::Back(0) => f.write_str("0"),
            Boot::Back(back) => write!(f, "-{back}"),
            Boot::Nth(nth) => write!(f, "+{nth}"),
            Boot::Id(id) => f.write_str(id),
        }
    }
}

/// klog's severities, mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// `I`
    Info,
    /// `W`
    Warning,
    /// `E`
    Error,
    /// `F`
    Fatal,
}

/// The mildest lines wanted, in one of two scales.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// By the letter of the klog header.
    Klog(Severity),
    /// By syslog's level, 0 (emergency) to 7 (debug).
    Syslog(u8),
}

impl Priority {
    /// Reads `I`, `W`, `E`, `F`, `0`–`7`, or a level's name.
    pub fn parse(text: &str) -> Result<Priority> {
        const LEVELS: [&[&str]; 8] = [
            &["emerg", "panic"],
            &["alert"],
            &["crit", "critical"],
            &["err", "error"],
            &["warning", "warn"],
            &["notice"],
            &["info"],
            &["debug"],
        ];
        let lower = text.to_ascii_lowercase();
        match lower.as_str() {
            "i" => return Ok(Priority::Klog(Severity::Info)),
            "w" => return Ok(Priority::Klog(Severity::Warning)),
            "e" => return Ok(Priority::Klog(Severity::Error)),
            "f" | "fatal" => return Ok(Priority::Klog(Severity::Fatal)),
            _ => {}
        }
        let level = match lower.as_bytes() {
            [digit @ b'0'..=b'7'] => Some(digit - b'0'),
            _ => LEVELS.iter().position(|names| names.contains(&lower.as_str())).map(|level| level as u8),
        };
        level.map(Priority::Syslog).ok_or_else(|| {
            Error::usage(format!("no such priority: {text:?}")).hint(
                "give klog's I, W, E or F, or syslog's 0-7 or emerg, alert, crit, err, warning, notice, info, debug",
            )
        })
    }

    /// The mildest of syslog's levels it lets through.
    pub fn level(self) -> u8 {
        match self {
            Priority::Klog(Severity::Info) => 7,
            Priority::Klog(Severity::Warning) => 4,
            Priority::Klog(Severity::Error) => 3,
            Priority::Klog(Severity::Fatal) => 2,
            Priority::Syslog(level) => level,
        }
    }

    /// The mildest klog severity it lets through.
    pub fn severity(self) -> Severity {
        match self {
            Priority::Klog(severity) => severity,
            Priority::Syslog(..=2) => Severity::Fatal,
            Priority::Syslog(3) => Severity::Error,
            Priority::Syslog(4 | 5) => Severity::Warning,
            Priority::Syslog(_) => Severity::Info,
        }
    }
}

/// A pod that lines can be about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodName {
    /// As said in `pod/NS/NAME`; otherwise the connection's namespace is meant.
    pub namespace: Option<String>,
    /// The pod's name.
    pub name: String,
}

impl PodName {
    /// Reads `pod/NAME` or `pod/NS/NAME`.
    pub fn parse(text: &str) -> Result<PodName> {
        let wrong = |what: String| Error::usage(what).hint("give pod/NAME or pod/NAMESPACE/NAME");
        let mut parts = text.split('/');
        let (Some("pod" | "pods" | "po"), Some(first)) = (parts.next(), parts.next()) else {
            // `web/web-0` lacks its kind; `deploy/web` has another.
            let is_kind = |part: &str| {
                let kinds = [
                    "deploy",
                    "daemonset",
                    "ds",
                    "statefulset",
                    "sts",
                    "replicaset",
                    "rs",
                    "job",
                    "node",
                    "no",
                    "service",
                    "svc",
                ];
                part.starts_with("deploy")
                    || kinds.contains(&part.strip_suffix('s').unwrap_or(part))
                    || kinds.contains(&part)
            };
            let meant = match text.split_once('/') {
                Some((first, rest)) => is_dns_name(first) && is_dns_name(rest) && !is_kind(first),
                None => is_dns_name(text),
            };
            let error = Error::usage(format!("not a pod: {text:?}"));
            return Err(if meant {
                error.hint(format!("did you mean pod/{text}? pods are named pod/NAME or pod/NAMESPACE/NAME"))
            } else {
                wrong(error.chain())
            });
        };
        let (namespace, name) = match (parts.next(), parts.next()) {
            (None, _) => (None, first),
            (Some(name), None) => (Some(first), name),
            (Some(_), Some(_)) => return Err(wrong(format!("not a pod: {text:?}"))),
        };
        match namespace {
            Some(namespace) if !is_dns_name(namespace) || namespace.contains('.') => {
                Err(wrong(format!("not a namespace: {namespace:?}")))
            }
            _ if !is_dns_name(name) => Err(wrong(format!("not a pod's name: {name:?}"))),
            _ => Ok(PodName { namespace: namespace.map(str::to_owned), name: name.to_owned() }),
        }
    }
}

/// Checks a unit's name and leaves out its `.service`.
pub fn unit_name(text: &str) -> Result<String> {
    let name = text.strip_suffix(".service").unwrap_or(text);
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_.:@-\\".contains(&b);
    if name.is_empty() {
        return Err(Error::usage("a unit's name is empty"));
    }
    if text.len() >= 256 {
        return Err(Error::usage("a unit's name is too long").hint("kubelets take fewer than 256 characters"));
    }
    if name.starts_with('-') || !name.bytes().all(allowed) {
        let hint = match name.contains(['*', '?', '[']) {
            true => "units are named one by one: -u a,b; or choose lines by what they say: -g PATTERN",
            false => "unit names have letters, digits and _ . : @ - \\; for a file under /var/log use --path",
        };
        return Err(Error::usage(format!("not a unit's name: {text:?}")).hint(hint));
    }
    Ok(name.to_owned())
}

/// Brings a path under the node's /var/log into its plain relative form; `""` is /var/log itself.
///
/// Refuses what leads out of /var/log: `..` and other absolute paths.
pub fn path_under_var_log(text: &str) -> Result<String> {
    if text.len() > 4096 || text.contains('\0') {
        return Err(Error::usage("not a path: too long, or with a NUL byte"));
    }
    let mut parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if text.starts_with('/') {
        if !parts.starts_with(&["var", "log"]) {
            return Err(Error::usage(format!("not under /var/log: {text:?}"))
                .hint("kubelets hand out files under /var/log only; paths are relative to it"));
        }
        parts.drain(..2);
    }
    if parts.contains(&"..") {
        return Err(
            Error::usage(format!("path with a '..': {text:?}")).hint("paths are relative to /var/log and stay in it")
        );
    }
    Ok(parts.join("/"))
}

/// Lower-case DNS labels joined by dots, as names of nodes and pods are; nothing that could steer a URL.
pub(crate) fn is_dns_name(text: &str) -> bool {
    text.len() <= 253
        && text.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        })
}

/// Checks a namespace's name.
pub(in crate::args) fn namespace_name(text: &str) -> Result<String> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Error::usage(format!("takes a namespace, not a number of lines: {text}"))
            .hint(format!("for the last {text} lines use --tail {text}")));
    }
    if !is_dns_name(text) || text.contains('.') || text.len() > 63 {
        return Err(Error::usage(format!("not a namespace: {text:?}")));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_relative_to_var_log() {
        for (text, expected) in [
            ("kubelet.log", "kubelet.log"),
            ("/var/log/kubelet.log", "kubelet.log"),
            ("//var//log//pods/x", "pods/x"),
            ("./pods//a b%/ü.log", "pods/a b%/ü.log"),
            ("/var/log", ""),
            ("/var/log/", ""),
            ("", ""),
            ("var/log/x", "var/log/x"),
            ("a..b/..c", "a..b/..c"),
        ] {
            assert_eq!(path_under_var_log(text).unwrap(), expected, "{text}");
        }
        for text in
            ["..", "../etc/shadow", "a/../../b", "/var/log/../lib", "/etc/passwd", "/var/logs/x", "/var", "/", "a\0b"]
        {
            assert!(path_under_var_log(text).is_err(), "{text}");
        }
    }

    #[test]
    fn priorities_are_read_in_both_scales() {
        for (text, expected, severity) in [
            ("I", Priority::Klog(Severity::Info), Severity::Info),
            ("w", Priority::Klog(Severity::Warning), Severity::Warning),
            ("E", Priority::Klog(Severity::Error), Severity::Error),
            ("fatal", Priority::Klog(Severity::Fatal), Severity::Fatal),
            ("0", Priority::Syslog(0), Severity::Fatal),
            ("crit", Priority::Syslog(2), Severity::Fatal),
            ("error", Priority::Syslog(3), Severity::Error),
            ("Warning", Priority::Syslog(4), Severity::Warning),
            ("notice", Priority::Syslog(5), Severity::Warning),
            ("info", Priority::Syslog(6), Severity::Info),
            ("7", Priority::Syslog(7), Severity::Info),
        ] {
            let priority = Priority::parse(text).unwrap();
            assert_eq!((priority, priority.severity()), (expected, severity), "{text}");
        }
        for text in ["", "8", "X", "-1", "verbose"] {
            assert!(Priority::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn boots_are_named_as_journalctl_names_them() {
        let id = "3bb427c1a1da059d2ad1245c92010b38";
        for (text, expected, shown) in [
            ("0", Boot::Back(0), "0"),
            ("-0", Boot::Back(0), "0"),
            ("-1", Boot::Back(1), "-1"),
            ("+2", Boot::Nth(2), "+2"),
            ("2", Boot::Nth(2), "+2"),
            (id, Boot::Id(id.into()), id),
            ("3BB427C1-a1da-059d-2ad1-245c92010b38", Boot::Id(id.into()), id),
        ] {
            let boot = Boot::parse(text).unwrap();
            assert_eq!((boot.to_string(), boot), (shown.to_owned(), expected), "{text}");
        }
        for text in ["", "-", "+", "--1", "last", "3bb427c1", "99999999999", "-1.5", "٣"] {
            assert!(Boot::parse(text).is_err(), "{text}");
        }
    }
}
