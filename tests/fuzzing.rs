//! Every fuzz target with its seeds and mutations, the same each time. `make fuzz` tries others, for longer.

#[path = "fuzz/mutate.rs"]
mod mutate;
#[path = "fuzz/targets.rs"]
mod targets;

use targets::{TARGETS, fuzz};

/// Runs a target as a test; FUZZ_RUNS sets another number of mutations, FUZZ_SEED another beginning.
#[allow(clippy::print_stdout, reason = "the harness shows it with a failing test")]
fn try_out(name: &str) {
    let number = |name: &str| std::env::var(name).ok().map(|n| n.parse::<u64>().expect("a number"));
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target of this name");
    let (runs, seed) = (number("FUZZ_RUNS").unwrap_or(target.runs), number("FUZZ_SEED").unwrap_or(20_231_114));
    let mut current = Vec::new();
    let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        fuzz(target, Vec::new(), seed, |tried| tried < runs, |input| input.clone_into(&mut current))
    }));
    let tried =
        tried.unwrap_or_else(|_| panic!("{name}, FUZZ_SEED={seed}, breaks on {:?}", String::from_utf8_lossy(&current)));
    assert!(tried.runs == runs && tried.outcomes > 1, "{name}: all inputs came to the same: nothing is tried");
}

macro_rules! targets {
    ($($test:ident: $name:literal,)*) => {
        $(#[test]
        fn $test() {
            try_out($name);
        })*

        #[test]
        fn every_target_has_its_test() {
            let mut tested = [$($name),*].to_vec();
            let mut known: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            tested.sort_unstable();
            known.sort_unstable();
            assert_eq!(tested, known);
        }
    };
}

targets! {
    kubeconfig: "kubeconfig",
    kubeconfig_edit: "kubeconfig-edit",
    pem: "pem",
    exec_credential: "exec-credential",
    status: "status",
    listing: "listing",
    lines: "lines",
    records: "records",
    proxy_connect: "proxy-connect",
    proxy_socks5: "proxy-socks5",
    certificate: "certificate",
    multipart: "multipart",
    journal: "journal",
    quoting: "quoting",
    redact: "redact",
    oidc_answer: "oidc-answer",
    kuberc: "kuberc",
    proxies: "proxies",
    times: "times",
    names: "names",
}

/// Breaks on the one input that ends in `!`.
#[test]
fn a_target_that_breaks_is_found() {
    let target = targets::Target {
        name: "broken",
        run: |input| {
            assert!(!input.ends_with(b"!"));
            0
        },
        seeds: || vec![b"x".to_vec()],
        tokens: &["!"],
        runs: 0,
    };
    let found = std::panic::catch_unwind(|| fuzz(&target, Vec::new(), 1, |tried| tried < 10_000, |_| {}));
    assert!(found.is_err());
}
