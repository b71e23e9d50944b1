//! The house's own rules, read from its source: who may import whom, and what no file may hold.

use std::path::{Path, PathBuf};

/// A source file and the top-level module it belongs to.
struct Source {
    module: String,
    name: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Top-level modules in the order of lib.rs.
fn modules(lib: &str) -> Vec<&str> {
    lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect()
}

/// All of src but lib.rs and main.rs, which stand above every module.
fn sources() -> Vec<Source> {
    let src = root().join("src");
    let mut found = Vec::new();
    let mut folders = vec![src.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder of src") {
            let path: PathBuf = entry.expect("an entry of src").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(&src).expect("under src").to_string_lossy().replace('\\', "/");
                let module = name.split(['/', '.']).next().unwrap_or_default().to_owned();
                found.push(Source { module, name, text: std::fs::read_to_string(&path).expect("source text") });
            }
        }
    }
    found.retain(|source| source.name != "lib.rs" && source.name != "main.rs");
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// The top-level modules that code names as `crate::NAME`, with their line numbers.
fn named(text: &str) -> Vec<(usize, String)> {
    let mut names = Vec::new();
    for (number, line) in text.lines().enumerate().map(|(n, line)| (n + 1, line)) {
        if line.trim_start().starts_with("//") {
            continue;
        }
        for (at, _) in line.match_indices("crate::") {
            // `$crate::` and `some_crate::` are others' paths only where a name goes on before it.
            if line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let rest = &line[at + "crate::".len()..];
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            names.push((number, name));
        }
    }
    names
}

/// Imports that don't point upwards in lib.rs's list: one sentence each.
fn arrows(lib: &str, source: &Source) -> Vec<String> {
    let order = modules(lib);
    let place = |name: &str| order.iter().position(|module| *module == name);
    let Source { module, name: file, text } = source;
    let Some(own) = place(module) else { return vec![format!("src/{file}: lib.rs lists no `pub mod {module};`")] };
    let wrong = |(line, name): (usize, String)| match place(&name) {
        Some(other) if other <= own => None,
        Some(_) => Some(format!("src/{file}:{line}: {module} imports {name}, which lib.rs lists below it")),
        // A group or a thing of lib.rs itself: neither has a place in the order.
        None => Some(format!("src/{file}:{line}: `crate::{name}` names no module of lib.rs")),
    };
    named(text).into_iter().filter_map(wrong).collect()
}

#[test]
fn a_module_imports_only_from_those_above_it() {
    let lib = std::fs::read_to_string(root().join("src/lib.rs")).expect("src/lib.rs");
    let sources = sources();
    assert!(modules(&lib).len() > 5 && sources.len() > 20, "the test no longer finds the source");
    let wrong: Vec<String> = sources.iter().flat_map(|source| arrows(&lib, source)).collect();
    assert!(wrong.is_empty(), "imports point from top to bottom of src/lib.rs:\n{}", wrong.join("\n"));
}

#[test]
fn an_import_from_below_is_found() {
    let lib = "pub mod error;\npub mod http;\npub mod kube;\n";
    for (text, wrong) in [
        ("use crate::error::Error;", false),
        ("use crate::http::Body;", false),
        ("let it = crate::error::Kind::Failed;", false),
        ("// as crate::kube does", false),
        ("use other_crate::kube;", false),
        ("use crate::kube::Client;", true),
        ("fn it() -> crate::kube::Client {", true),
        ("use crate::{error, kube};", true),
        ("use crate::run;", true),
    ] {
        let source = Source { module: "http".into(), name: "http/body.rs".into(), text: text.into() };
        assert_eq!(!arrows(lib, &source).is_empty(), wrong, "{text}");
    }
    let stray = Source { module: "stray".into(), name: "stray.rs".into(), text: String::new() };
    assert!(!arrows(lib, &stray).is_empty(), "a file outside lib.rs's list");
}

#[test]
fn the_top_level_holds_what_was_agreed_on() {
    let agreed =
        ["Cargo.toml", "Cargo.lock", "src", "tests", "fixtures", "README.md", "Makefile", "Dockerfile", "LICENSE"];
    let stray: Vec<String> = std::fs::read_dir(root())
        .expect("the top level")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && name != "target" && !agreed.contains(&name.as_str()))
        .collect();
    assert!(stray.is_empty(), "at the top level: {}", stray.join(", "));
}

#[test]
fn every_fixture_is_accounted_for() {
    let readme = std::fs::read_to_string(root().join("fixtures/README.md")).expect("fixtures/README.md");
    for entry in std::fs::read_dir(root().join("fixtures")).expect("fixtures") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        assert!(name == "README.md" || readme.contains(&format!("{name}/")), "fixtures/README.md is silent on {name}");
    }
}
