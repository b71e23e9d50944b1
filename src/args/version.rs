//! What this binary is.

use super::BINARY;

/// Name and version, for `--version`.
pub fn short() -> String {
    format!("{BINARY} {}\n", env!("CARGO_PKG_VERSION"))
}

/// With how it was built, for `version` and for reports of problems.
pub fn long() -> String {
    let libc = match (cfg!(target_env = "musl"), cfg!(target_env = "gnu")) {
        (true, _) => "-musl",
        (_, true) => "-gnu",
        _ => "",
    };
    let linked = if cfg!(target_feature = "crt-static") { "static" } else { "dynamic" };
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    let mut page = short();
    page.push_str(&format!("platform  {}/{}{libc}\n", std::env::consts::OS, std::env::consts::ARCH));
    page.push_str(&format!("build     {profile}, {linked}\n"));
    // Set by whoever builds from a repository; a plain build does not look for one.
    if let Some(commit) = option_env!("KUBELET_LOGS_COMMIT") {
        page.push_str(&format!("commit    {commit}\n"));
    }
    page.push_str("tls       rustls with ring\n");
    page
}
