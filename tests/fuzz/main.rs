//! `fuzz TARGET [--seconds N] [--seed N] [--inputs FILE|FOLDER] [--crashes FOLDER]`: varies a target's inputs until the time is
//! over, an input breaks it, or one takes too long. `fuzz` alone lists the targets; `--seconds 0` tries the inputs alone.

mod mutate;
mod targets;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// No input may take longer.
const TOO_LONG: Duration = Duration::from_secs(10);

struct Said {
    target: &'static targets::Target,
    seconds: u64,
    seed: u64,
    inputs: Vec<Vec<u8>>,
    crashes: PathBuf,
}

/// The input being tried, and since when.
type Current = Arc<Mutex<(Vec<u8>, Instant)>>;

fn main() -> ExitCode {
    let said = match said() {
        Ok(Some(said)) => said,
        Ok(None) => {
            targets::TARGETS.iter().for_each(|target| println!("{}", target.name));
            return ExitCode::SUCCESS;
        }
        Err(why) => {
            eprintln!("error: {why}");
            return ExitCode::from(2);
        }
    };
    let current: Current = Arc::new(Mutex::new((Vec::new(), Instant::now())));
    watch(&current, &said);
    let (began, limit) = (Instant::now(), Duration::from_secs(said.seconds));
    let (mut slowest, mut last) = (Duration::ZERO, Instant::now());
    let (target, seed) = (said.target, said.seed);
    let inputs = said.inputs.clone();
    let fuzzed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        targets::fuzz(
            target,
            inputs,
            seed,
            |_| began.elapsed() < limit,
            |input| {
                slowest = slowest.max(last.elapsed());
                last = Instant::now();
                let mut current = current.lock().expect("no panic holds it");
                current.0.clear();
                current.0.extend_from_slice(input);
                current.1 = last;
            },
        )
    }));
    match fuzzed {
        Ok(tried) => {
            println!(
                "{}: seed {seed}, {} mutations, {} outcomes, slowest {slowest:?}",
                target.name, tried.runs, tried.outcomes
            );
            ExitCode::SUCCESS
        }
        Err(_) => {
            let (input, _) = &*current.lock().expect("no panic holds it");
            tell(&said, input, "broke");
            ExitCode::FAILURE
        }
    }
}

/// Ends the process when an input takes too long.
fn watch(current: &Current, said: &Said) {
    let current = Arc::clone(current);
    let said = Said { inputs: Vec::new(), crashes: said.crashes.clone(), ..*said };
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let (input, since) = &*current.lock().expect("no panic holds it");
            if since.elapsed() > TOO_LONG {
                tell(&said, input, "took too long");
                std::process::exit(1);
            }
        }
    });
}

/// Keeps the input and says how to try it again.
fn tell(said: &Said, input: &[u8], what: &str) {
    let Said { target, seed, crashes, .. } = said;
    let path = crashes.join(format!("{}-{seed}", target.name));
    let kept = std::fs::create_dir_all(crashes).and_then(|()| std::fs::write(&path, input));
    eprintln!("{}: seed {seed}: an input {what}", target.name);
    match kept {
        Ok(()) => eprintln!("try it again: fuzz {} --seconds 0 --inputs {}", target.name, path.display()),
        Err(why) => eprintln!("it can't be kept in {}: {why}\n{input:?}", path.display()),
    }
}

fn said() -> Result<Option<Said>, String> {
    let mut words = std::env::args().skip(1);
    let Some(name) = words.next() else { return Ok(None) };
    let target = targets::TARGETS.iter().find(|target| target.name == name);
    let target = target.ok_or_else(|| format!("no target {name}"))?;
    let random = std::collections::hash_map::RandomState::new();
    let seed = std::hash::BuildHasher::hash_one(&random, 0) >> 32;
    let mut said = Said { target, seconds: 10, seed, inputs: Vec::new(), crashes: "artifacts".into() };
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} wants a value"))?;
        let number = || value.parse::<u64>().map_err(|why| format!("{word} {value}: {why}"));
        match word.as_str() {
            "--seconds" => said.seconds = number()?,
            "--seed" => said.seed = number()?,
            "--inputs" => {
                said.inputs = targets::read_inputs(Path::new(&value)).map_err(|why| format!("{value}: {why}"))?;
            }
            "--crashes" => said.crashes = value.into(),
            _ => return Err(format!("what is {word}?")),
        }
    }
    Ok(Some(said))
}
