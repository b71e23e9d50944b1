//! Texts people see are what was last agreed on: help, manual, completion scripts, the README's flag table.
//!
//! `UPDATE=1` writes them anew; the change is then in the diff, for a reviewer to read.

use std::path::PathBuf;

use kubelet_logs::args::command::{COMMANDS, SHELLS};
use kubelet_logs::args::{Parsed, parse, readme};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Fails unless `fixtures/golden/NAME` holds this text.
fn agrees(name: &str, text: &str) {
    let file = root().join("fixtures/golden").join(name);
    // A new version is no new text.
    let text = text.replace(concat!("kubelet-logs ", env!("CARGO_PKG_VERSION")), "kubelet-logs VERSION");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(root().join("fixtures/golden")).expect("a folder for golden files");
        std::fs::write(&file, text).expect("a golden file");
        return;
    }
    let agreed = std::fs::read_to_string(&file).unwrap_or_default();
    if let Some((n, (was, is))) = agreed.lines().zip(text.lines()).enumerate().find(|(_, (was, is))| was != is) {
        panic!("{name}:{}: was\n  {was}\nis\n  {is}\nif that is meant, run the tests with UPDATE=1", n + 1);
    }
    assert!(
        agreed == text,
        "{name}: one text goes on where the other ends; if that is meant, run the tests with UPDATE=1"
    );
}

fn printed(args: &[&str]) -> String {
    match parse(args, "kubectl-kubelet_logs") {
        Ok(Parsed::Print(text)) => text,
        other => panic!("{args:?}: {other:?}"),
    }
}

#[test]
fn help() {
    agrees("help.txt", &printed(&["--help"]));
    agrees("help-brief.txt", &printed(&["-h"]));
    for command in COMMANDS {
        agrees(&format!("help-{}.txt", command.name), &printed(&["help", command.name]));
        agrees(&format!("help-{}-brief.txt", command.name), &printed(&[command.name, "-h"]));
    }
}

#[test]
fn manual() {
    agrees("man.1", &printed(&["man"]));
}

#[test]
fn completion() {
    for shell in SHELLS {
        agrees(&format!("completion.{shell}"), &printed(&["completion", shell]));
    }
}

#[test]
fn readme_flags() {
    agrees("readme-flags.md", &readme::table());
    let path = root().join("README.md");
    let readme = std::fs::read_to_string(&path).expect("README.md");
    let table = readme::table_in(&readme).expect("the markers of the flag table in README.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, readme.replace(table, &format!("{}\n", readme::table()))).expect("README.md");
        return;
    }
    assert!(
        table.trim_end() == readme::table().trim_end(),
        "the flag table of README.md is not fixtures/golden/readme-flags.md; `make golden` writes both"
    );
}
