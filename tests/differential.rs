//! The same kubeconfig, flags and environment given to kubectl and to this program must lead to the same server, as the same
//! identity, to the same end.
//!
//! Cases are made from seeds ([`generate`]); a case that differs is printed with its seed. `DIFFERENTIAL_SEED=N` starts at
//! that seed, `DIFFERENTIAL_CASES=N` takes so many from there on, `DIFFERENTIAL_KUBECTL=PATH` is the kubectl to compare with.
//! Where the two differ on purpose, [`KNOWN`] says how and why.

mod generate;
mod known;
mod stage;
mod values;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use self::generate::case;
use self::known::{Difference, KNOWN};
use self::stage::{Asked, Seen, Stage, Who};
use crate::support::skipped;

/// How many cases a stage serves: it remembers all that it was asked.
const SERVED: u64 = 100;

#[test]
fn kubectl_goes_the_same_way() {
    let Some(kubectl) = kubectl() else { return skipped("the comparison with kubectl: it is not on PATH") };
    let number = |name: &str, usual: u64| {
        std::env::var(name).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
    };
    let (first, count) = (number("DIFFERENTIAL_SEED", 1), number("DIFFERENTIAL_CASES", 60));
    let next = AtomicU64::new(first);
    let (differences, known) = (Mutex::new(Vec::new()), Mutex::new(std::collections::BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..number("DIFFERENTIAL_THREADS", 2) {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                loop {
                    let start = next.fetch_add(SERVED.min(count), Ordering::SeqCst);
                    if start >= first + count {
                        return;
                    }
                    let stage = Stage::new();
                    for seed in start..(start + SERVED).min(first + count) {
                        match runtime.block_on(compare(&stage, &kubectl, seed)) {
                            Same::Alike => {}
                            Same::Known(name) => *known.lock().expect("a count").entry(name).or_insert(0_usize) += 1,
                            Same::Different(words) => {
                                say(&words);
                                differences.lock().expect("a list").push(words);
                            }
                        }
                    }
                }
            });
        }
    });
    let (differences, known) = (differences.into_inner().expect("a list"), known.into_inner().expect("a count"));
    say(&format!("seeds {first} to {}: {} differ; known: {known:?}", first + count - 1, differences.len()));
    assert!(differences.is_empty(), "{} of {count} cases\n\n{}", differences.len(), differences.join("\n\n"));
}

#[test]
fn the_readme_names_every_field_and_flag_that_is_varied() {
    let readme = include_str!("../README.md");
    let (_, section) = readme.split_once("\n## Kubeconfig and credentials\n").expect("the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let missing: Vec<String> = generate::names().filter(|name| !section.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "not in the table: {}", missing.join(", "));
}

enum Same {
    Alike,
    Known(&'static str),
    Different(String),
}

async fn compare(stage: &Stage, kubectl: &Path, seed: u64) -> Same {
    let case = case(seed);
    let (theirs, their_words) = stage.run(Who::Kubectl(kubectl), &case).await;
    let (ours, our_words) = stage.run(Who::Ours, &case).await;
    if theirs == ours {
        return Same::Alike;
    }
    if let Some(prefix) = prefix(&theirs, &ours) {
        let (version, _) = stage.run(Who::KubectlVersion(kubectl), &case).await;
        if version.request.is_some_and(|asked| asked.path == format!("{prefix}/version")) {
            return Same::Alike;
        }
    }
    let difference =
        Difference { case: &case, theirs: &theirs, their_words: &their_words, ours: &ours, our_words: &our_words };
    if let Some(known) = KNOWN.iter().find(|known| (known.fits)(&difference)) {
        return Same::Known(known.what);
    }
    let show = |seen: &Seen| {
        format!("{:?} {:?} {:?} {:?}", seen.end, seen.request, seen.proxy, seen.told.as_ref().map(ToString::to_string))
    };
    Same::Different(format!(
        "seed {seed}: {}\n  kubectl: {}\n  {}\n  ours: {}\n  {}\n{}",
        case.twists.join("; "),
        show(&theirs),
        their_words.trim(),
        show(&ours),
        our_words.trim(),
        stage.show(&case)
    ))
}

/// What stands before the path of our request, where that is all the difference.
fn prefix(theirs: &Seen, ours: &Seen) -> Option<String> {
    let (their, our) = (theirs.request.as_ref()?, ours.request.as_ref()?);
    let prefix = our.path.strip_suffix(their.path.as_str()).filter(|prefix| !prefix.is_empty())?;
    let same_but_path = Asked { path: their.path.clone(), ..our.clone() } == *their;
    // A plain proxy is asked for the whole URL.
    let same_proxy =
        ours.proxy.as_ref().map(|asked| asked.replacen(prefix, "", 1)) == theirs.proxy || ours.proxy == theirs.proxy;
    (same_but_path && same_proxy && ours.told == theirs.told).then(|| prefix.to_owned())
}

/// The kubectl to compare with; of those behind a dispatcher, which picks one by the server's version, the newest.
fn kubectl() -> Option<PathBuf> {
    if let Some(given) = std::env::var_os("DIFFERENTIAL_KUBECTL") {
        return Some(given.into());
    }
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).map(|folder| folder.join("kubectl")).find(|file| file.is_file())?;
    let real = std::fs::canonicalize(found).ok()?;
    let minor = |file: &Path| file.file_name()?.to_str()?.strip_prefix("kubectl.1.")?.parse::<u32>().ok();
    let beside = std::fs::read_dir(real.parent()?).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let kubectl = beside.filter(|file| minor(file).is_some()).max_by_key(|file| minor(file)).unwrap_or(real);
    let runs = Command::new(&kubectl).args(["version", "--client"]).stdin(Stdio::null()).output();
    runs.is_ok_and(|output| output.status.success()).then_some(kubectl)
}

#[allow(clippy::print_stderr, reason = "the harness shows it with a failing test, or with --nocapture")]
fn say(words: &str) {
    eprintln!("{words}\n");
}
