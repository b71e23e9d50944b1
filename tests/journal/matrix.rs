//! Every kind of question, of every fixture and of journals that are written here in each variant, beside journalctl.

use std::io::Write;
use std::path::PathBuf;

use kubelet_logs::journal::{AnyOf, Matches, Query};

use super::driver::{Files, files_of, fixtures, read, runs, values};
use super::oracle::{VARIANTS, assert_text, journalctl, restarts};
use crate::support::journals::entries::{self, Random};
use crate::support::journals::{Day, GROWTH, Variant, Writer, remote};
use crate::support::{program, ran, skipped};

/// Entries of a written journal: some files of 8 MiB.
const ENTRIES: u64 = 10_000;

/// A journal in a folder.
struct Set {
    name: String,
    folder: PathBuf,
    files: Files,
    _kept: Option<tempfile::TempDir>,
}

impl Set {
    fn of_fixture(name: &str, files: Files) -> Set {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, bytes) in &files {
            std::fs::write(folder.path().join(name), &bytes[..]).expect("written");
        }
        Set { name: name.to_owned(), folder: folder.path().to_owned(), files, _kept: Some(folder) }
    }

    fn written(variant: Variant, entries: u64) -> Option<Set> {
        let folder =
            Day { seed: 3, entries, variant, file_size: GROWTH }.directory("the questions to written journals")?;
        let files = files_of(&folder);
        assert!(files.len() > 1, "{variant:?}: {} files", files.len());
        Some(Set { name: format!("{variant:?}"), folder, files, _kept: None })
    }

    /// A journal whose first file has no more room for an array that its last entry needs: of that entry's values some lead
    /// to it and others don't, and the next file has it again, under the next number.
    fn doubled(variant: Variant) -> Option<Set> {
        /// So many entries find their places in the arrays of a value before it needs another one.
        const FULL: u64 = 1053;
        let program = remote("an entry in two files")?;
        let kept = tempfile::tempdir().expect("a folder");
        let folder = kept.path().to_owned();
        let write = |entries: &[u8]| {
            let mut writer = Writer::start(program, &folder, variant, GROWTH).expect("the program starts");
            writer.input().write_all(entries).expect("it reads");
            writer.finish();
        };
        // The kubelet's values lie before those of the second boot in the file, and so are linked before them.
        let entry = |nth: u64| {
            let unit = if nth % 4 == 2 { "kubelet" } else { "containerd" };
            // The entry that does not fit is the first under its own name.
            let name = if nth < FULL + 9 { "kubelet" } else { "containerd" };
            exported(nth, u8::from(nth > 8), [unit, name], format!("said {nth}").as_bytes())
        };
        write(&(1..FULL + 8).flat_map(entry).collect::<Vec<u8>>());
        let file = files_of(&folder).remove(0).1;
        let number = |at: u64| u64::from_le_bytes(file[at as usize..][..8].try_into().expect("eight bytes"));
        let last = number(136);
        let room = GROWTH - last - number(last + 8);
        let mut random = Random(7);
        let filling: Vec<u8> = (0..room - 6000).map(|_| random.next() as u8).collect();
        write(&exported(FULL + 8, 1, ["containerd", "kubelet"], &filling));
        assert_eq!(files_of(&folder).len(), 1, "{variant:?}");
        write(&(FULL + 9..FULL + 20).flat_map(entry).collect::<Vec<u8>>());
        let files = files_of(&folder);
        assert_eq!(files.len(), 2, "{variant:?}");
        Some(Set { name: format!("{variant:?}, an entry in two files"), folder, files, _kept: Some(kept) })
    }

    /// What is asked for, by journalctl's options.
    fn matches(&self) -> Vec<(Vec<String>, Matches)> {
        let args = |args: &[&str]| args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<String>>();
        let all = Matches::all;
        let kubelet = || AnyOf::unit("kubelet");
        let units = values(&self.files, |journal| journal.list("_SYSTEMD_UNIT", 4096));
        let rare = units.iter().min_by_key(|unit| unit.entries).expect("a unit").value();
        let rare = std::str::from_utf8(rare).expect("a name");
        let mut cases = vec![
            (args(&[]), all()),
            (args(&["-u", "kubelet"]), all().and(kubelet())),
            (args(&["-u", rare]), all().and(AnyOf::unit(rare))),
            (args(&["-u", "kubelet", "-u", "containerd"]), all().and(kubelet().or(AnyOf::unit("containerd")))),
            (args(&["-p", "err"]), all().and(AnyOf::priority(3))),
            (args(&["-u", "kubelet", "-p", "warning"]), all().and(kubelet()).and(AnyOf::priority(4))),
            (args(&["-t", "kubelet"]), all().and(AnyOf::identifier("kubelet"))),
            (
                args(&["-t", "kubelet", "-t", "sshd", "-p", "3"]),
                all().and(AnyOf::identifier("kubelet").or(AnyOf::identifier("sshd"))).and(AnyOf::priority(3)),
            ),
            (
                args(&["-t", "kubelet", "-t", "containerd", "-u", "kubelet"]),
                all().and(AnyOf::identifier("kubelet").or(AnyOf::identifier("containerd"))).and(kubelet()),
            ),
            (args(&["_TRANSPORT=kernel"]), all().and(AnyOf::kernel())),
            (args(&["-u", "system.slice"]), all().and(AnyOf::unit("system.slice"))),
            (args(&["-u", "no-such-unit"]), all().and(AnyOf::unit("no-such-unit"))),
        ];
        for boot in values(&self.files, |journal| journal.list_boots()) {
            let id = boot.id().expect("an id");
            cases.push((args(&[&format!("_BOOT_ID={id}")]), all().and(AnyOf::boot(id))));
            let own = all().and(kubelet()).and(AnyOf::boot(id));
            cases.push((args(&["-u", "kubelet", "-b", &id.to_string()]), own));
        }
        for id in runs(&self.files, "kubelet.service", None).0 {
            let (its, of) = (format!("_SYSTEMD_INVOCATION_ID={id}"), format!("INVOCATION_ID={id}"));
            cases.push((args(&[&its, "+", "_PID=1", &of]), all().and(AnyOf::invocation(id))));
        }
        cases
    }

    /// Asks everything; how many questions that were. `None` without journalctl.
    fn ask(&self) -> Option<usize> {
        let times: Vec<u64> =
            read(&self.files, Query::default()).entries.iter().map(|entry| entry.position.realtime).collect();
        let at = |percent: usize| times[(times.len() - 1) * percent / 100];
        let shown = |micros: u64| format!("@{}.{:06}", micros / 1_000_000, micros % 1_000_000);
        let windows = [(None, None), (Some(at(30)), None), (None, Some(at(60))), (Some(at(40)), Some(at(55)))];
        let mut asked = 0;
        for (args, matches) in self.matches() {
            for (since, until) in windows {
                let bounds = since.map(|at| ["--since".to_owned(), shown(at)]).into_iter();
                let bounds = bounds.chain(until.map(|at| ["--until".to_owned(), shown(at)]));
                let args = [args.clone(), bounds.flatten().collect()].concat();
                let what = format!("{}: {args:?}", self.name);
                let whole = read(&self.files, Query { since, until, ..Query::new(matches.clone()) });
                assert_text(&whole, &journalctl(&self.folder, &args)?, &what);
                asked += 1;
                let counts = if (since, until) == (None, None) { &[1, 10, 100, 1000][..] } else { &[10] };
                for count in counts.iter().copied() {
                    let what = format!("{what}, the last {count}");
                    let tail = read(&self.files, Query { since, until, ..Query::tail(matches.clone(), count) });
                    let last = &whole.entries[whole.entries.len().saturating_sub(count)..];
                    assert!(tail.entries == last, "{what}: {} entries, not {}", tail.entries.len(), last.len());
                    // With a window 252 gives other entries than later versions do.
                    if (since, until) == (None, None) {
                        let args = [&args[..], &["-n".to_owned(), count.to_string()]].concat();
                        assert_text(&tail, &journalctl(&self.folder, &args)?, &what);
                    }
                    asked += 1;
                }
            }
        }
        Some(asked)
    }

    /// What the program alone knows of: patterns, and the table of boots.
    fn ask_the_program(&self) -> Option<usize> {
        let ours = |args: &[&str]| {
            let from = ["--from".as_ref(), self.folder.as_os_str()];
            let mut command = program();
            command.env("KUBECONFIG", "/no/such/kubeconfig").args(from).args(args);
            let ran = ran(command.output().expect("the binary runs"));
            assert_eq!(ran.code, 0, "{} {args:?}: {}", self.name, ran.stderr);
            let text = String::from_utf8_lossy(&ran.stdout).into_owned();
            // journalctl -q leaves those out.
            text.split_inclusive('\n').filter(|line| !line.starts_with("-- Boot ")).collect::<String>()
        };
        let theirs =
            |args: &[&str]| journalctl(&self.folder, &args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>());
        // With -q journalctl leaves the table's head out.
        let cells = |text: &str| {
            let rows = text.lines().filter(|line| !line.starts_with("IDX"));
            rows.map(|row| row.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect::<Vec<_>>()
        };
        assert_eq!(cells(&ours(&["--list-boots"])), cells(&theirs(&["--list-boots"])?), "{}", self.name);
        let patterns = ["pod", "SyncLoop|started", "err(or)?[ :]", "^[IWEF][0-9]{4} ", "nowhere"];
        for pattern in patterns {
            let printed = theirs(&["-u", "kubelet", "-g", pattern])?;
            let found = ours(&["-u", "kubelet", "-g", pattern]);
            assert!(found == printed, "{} -g {pattern}: {} bytes, not {}", self.name, found.len(), printed.len());
            let tail = ours(&["-u", "kubelet", "-g", pattern, "--tail", "7"]);
            assert!(found.ends_with(&tail) && tail.is_empty() == found.is_empty(), "{} -g {pattern}", self.name);
        }
        let mut asked = 1 + 2 * patterns.len();
        for (nth, _) in values(&self.files, |journal| journal.list_boots()).iter().enumerate() {
            for boot in [format!("-{nth}"), format!("+{}", nth + 1)] {
                // To journalctl -b -0 is the last one, too.
                let printed = theirs(&["-u", "kubelet", "-b", &boot])?;
                assert!(ours(&["-u", "kubelet", "-b", &boot]) == printed, "{} -b {boot}", self.name);
                asked += 1;
            }
        }
        Some(asked)
    }
}

/// An entry in export format.
fn exported(nth: u64, boot: u8, [unit, name]: [&str; 2], message: &[u8]) -> Vec<u8> {
    let at = nth * 1000;
    let head = format!(
        "__REALTIME_TIMESTAMP={}\n__MONOTONIC_TIMESTAMP={at}\n_BOOT_ID={:032x}\n_HOSTNAME=node\n_TRANSPORT=stdout\n\
        SYSLOG_IDENTIFIER={name}\n_PID=7\n_SYSTEMD_UNIT={unit}.service\n_SYSTEMD_SLICE=system.slice\n\
        _SYSTEMD_INVOCATION_ID={:032x}\nPRIORITY=6\nMESSAGE\n",
        entries::MIDNIGHT as u64 + at,
        u128::from(boot) + 1,
        entries::invocation(unit, boot.into()),
    );
    [head.as_bytes(), &(message.len() as u64).to_le_bytes(), message, b"\n\n"].concat()
}

fn tell(name: &str, sets: impl Iterator<Item = Set>) {
    for set in sets {
        let (Some(asked), Some(more)) = (set.ask(), set.ask_the_program()) else {
            return skipped("no journalctl on this machine");
        };
        let entries = read(&set.files, Query::default()).entries.len();
        println!("{name} {}: {} files, {entries} entries, {asked} + {more} questions", set.name, set.files.len());
    }
}

#[test]
fn fixtures_answer_every_question_as_journalctl_does() {
    let variants = VARIANTS.iter().map(|name| (*name, fixtures(name)));
    let sets = variants.chain(restarts()).chain([("rotated", fixtures("rotated"))]);
    tell("fixture", sets.map(|(name, files)| Set::of_fixture(name, files)));
}

/// All variants that can be written here; JOURNAL_MATRIX=27000 makes them of so many entries each, and asks them all of an
/// entry that two files have.
#[test]
fn journals_written_here_answer_every_question_as_journalctl_does() {
    let entries = std::env::var("JOURNAL_MATRIX").ok().map(|n| n.parse().expect("a number"));
    let few = if entries.is_some() { Variant::all().to_vec() } else { vec![Variant::NEW, Variant::OLD] };
    let doubled = few.into_iter().map_while(Set::doubled);
    let days = Variant::all().into_iter().map_while(|variant| Set::written(variant, entries.unwrap_or(ENTRIES)));
    tell("written", doubled.chain(days));
}
