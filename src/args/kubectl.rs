//! The kubectl command that reaches the cluster these options name: for `--print-requests`.

use super::Connection;

/// `kubectl` with the flags that were given, ready for a shell. Secrets appear as variables to be filled in.
pub fn kubectl(connection: &Connection) -> String {
    let mut line = "kubectl".to_owned();
    let mut flag = |name: &str, value: &str| line.push_str(&format!(" --{name} {}", quoted(value)));
    let path = |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| path.to_string_lossy().into_owned());
    let c = connection;
    let texts = [
        ("kubeconfig", path(&c.kubeconfig)),
        ("context", c.context.clone()),
        ("cluster", c.cluster.clone()),
        ("user", c.user.clone()),
        ("server", c.server.clone()),
        ("tls-server-name", c.tls_server_name.clone()),
        ("certificate-authority", path(&c.certificate_authority)),
        ("client-certificate", path(&c.client_certificate)),
        ("client-key", path(&c.client_key)),
        ("username", c.username.clone()),
        ("as", c.as_user.clone()),
        ("as-uid", c.as_uid.clone()),
    ];
    for (name, value) in texts {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            flag(name, &value);
        }
    }
    for group in &c.as_groups {
        flag("as-group", group);
    }
    for (key, value) in &c.as_user_extra {
        // What an identity carries may be a credential of its own.
        let shown = if value.is_empty() { format!("{key}=") } else { format!("{key}=EXTRA") };
        flag("as-user-extra", &shown);
    }
    for (name, switch) in
        [("insecure-skip-tls-verify", c.insecure_skip_tls_verify), ("disable-compression", c.disable_compression)]
    {
        if let Some(switch) = switch {
            line.push_str(&format!(" --{name}={switch}"));
        }
    }
    for (name, variable, secret) in [("token", "TOKEN", &c.token), ("password", "PASSWORD", &c.password)] {
        if secret.is_some() {
            line.push_str(&format!(" --{name} \"${variable}\""));
        }
    }
    line
}

/// A word as a POSIX shell takes it for one.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:=@,+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{BINARY, Parsed, parse};

    fn line(args: &[&str]) -> String {
        match parse([&["n"], args].concat(), BINARY) {
            Ok(Parsed::Run(options)) => kubectl(&options.connection),
            other => panic!("{args:?}: {other:?}"),
        }
    }

    #[test]
    fn the_flags_that_were_given_are_repeated() {
        assert_eq!(line(&[]), "kubectl");
        assert_eq!(
            line(&["--context", "prod", "-s", "https://x:6443"]),
            "kubectl --context prod --server https://x:6443"
        );
        assert_eq!(
            line(&["--as", "system:admin", "--as-group=a b", "--as-group", "c", "--insecure-skip-tls-verify"]),
            "kubectl --as system:admin --as-group 'a b' --as-group c --insecure-skip-tls-verify=true"
        );
        assert_eq!(line(&["--context="]), "kubectl");
    }

    #[test]
    fn secrets_are_variables() {
        let line = line(&["--token", "hunter2", "--as", "a", "--as-user-extra", "k=hunter2"]);
        assert_eq!(line, "kubectl --as a --as-user-extra k=EXTRA --token \"$TOKEN\"");
    }

    #[test]
    fn a_shell_takes_a_quoted_word_for_one() {
        for word in ["", "a b", "it's", "$(x)", "a;b", "/api/v1?x=1&y=2", "~", "*", "a\nb", "`x`", "\\", "!"] {
            let out = std::process::Command::new("sh").arg("-c").arg(format!("printf %s {}", quoted(word))).output();
            assert_eq!(String::from_utf8(out.expect("a shell").stdout).expect("text"), word);
        }
        assert_eq!(quoted("/api/v1/nodes/n/proxy/logs/"), "/api/v1/nodes/n/proxy/logs/");
    }
}
