//! The names that logrotate and its like give to a log file's predecessors. Pure.
//!
//! Known are `F.1`, `F-20261120`, `F-2026112003`, `F-1795230432`, `F-20261120-1795230432`, `F.20261120-030712`, the same
//! before the extension (`kubelet-20261120.log`, `kubelet.1.log`), each plain or packed.

use crate::logs::source::file::Packing;
use crate::logs::source::listing::Entry;
use crate::time::Timestamp;

/// More predecessors are not looked at: a folder of that many is none of a log's.
const MOST: usize = 400;

/// Endings of what can't be unpacked here.
const FOREIGN: [&str; 7] = [".xz", ".bz2", ".zst", ".lz4", ".lzma", ".Z", ".zip"];

/// A predecessor of a log file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Its name in the log's own folder.
    pub name: String,
    /// How it is packed; `None` if in a way that can't be unpacked here.
    pub packing: Option<Packing>,
    age: Age,
}

/// What a name tells of its place; the derived order is from the oldest to the newest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Age {
    /// Digits of a date, and of a time or a second number behind it.
    Date(String),
    /// The higher, the older.
    Number(std::cmp::Reverse<u32>),
}

/// Predecessors of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rotations {
    /// Oldest first, as far as names tell.
    pub all: Vec<Rotation>,
    /// Whether some names count and others have dates: which of them is older shows only in the files.
    pub mixed: bool,
}

/// The predecessors of `name` among the entries of its folder.
pub fn rotations(entries: &[Entry], name: &str) -> Rotations {
    let mut all: Vec<Rotation> =
        entries.iter().filter(|entry| !entry.directory).filter_map(|entry| rotation(&entry.name, name)).collect();
    // Of one that is being packed both forms are there, of which only the plain one is whole.
    let key = |rotation: &Rotation| rotation.packing != Some(Packing::Plain);
    all.sort_unstable_by(|a, b| (&a.age, key(a), &a.name).cmp(&(&b.age, key(b), &b.name)));
    all.dedup_by(|later, kept| later.age == kept.age);
    all.drain(..all.len().saturating_sub(MOST));
    let dated = all.iter().filter(|rotation| matches!(rotation.age, Age::Date(_))).count();
    let mixed = dated > 0 && dated < all.len();
    Rotations { all, mixed }
}

/// The name that a packed file's name is made of.
pub fn unpacked(name: &str) -> Option<&str> {
    name.strip_suffix(".gz").or_else(|| FOREIGN.iter().find_map(|ending| name.strip_suffix(ending)))
}

fn rotation(candidate: &str, name: &str) -> Option<Rotation> {
    let (bare, packing) = match unpacked(candidate) {
        Some(bare) => (bare, (Packing::of(candidate) == Packing::Gzip).then_some(Packing::Gzip)),
        None => (candidate, Some(Packing::Plain)),
    };
    let behind = bare.strip_prefix(name).and_then(age);
    let before = || {
        let (stem, extension) = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty())?;
        age(bare.strip_prefix(stem)?.strip_suffix(extension)?.strip_suffix('.')?)
    };
    Some(Rotation { name: candidate.to_owned(), packing, age: behind.or_else(before)? })
}

/// What stands between a log's name and its predecessor's end: `.1`, `-20261120`.
fn age(mark: &str) -> Option<Age> {
    let text = mark.strip_prefix(['.', '-', '_'])?;
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    if !text.starts_with(|c: char| c.is_ascii_digit())
        || text.chars().any(|c| !c.is_ascii_digit() && !"-._:T".contains(c))
    {
        return None;
    }
    if text.len() == digits.len() && digits.len() <= 5 {
        return Some(Age::Number(std::cmp::Reverse(digits.parse().ok()?)));
    }
    if is_date(&digits) {
        return Some(Age::Date(digits));
    }
    // Seconds since 1970, which begin with 1 or 2 and are ten digits from 2001 to 2286.
    if text.len() == digits.len() && digits.len() == 10 {
        let at = Timestamp::from_micros(digits.parse::<i64>().ok()?.checked_mul(1_000_000)?);
        return Some(Age::Date(at.rfc3339().to_string().chars().filter(char::is_ascii_digit).take(14).collect()));
    }
    None
}

/// Whether digits begin with a year of this or the last century, a month and a day.
fn is_date(digits: &str) -> bool {
    let number = |from: usize, to: usize| digits.get(from..to).and_then(|text| text.parse::<u32>().ok());
    matches!((number(0, 4), number(4, 6), number(6, 8)), (Some(1970..=2199), Some(1..=12), Some(1..=31)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(of: &str, entries: &[&str]) -> Vec<String> {
        let entries: Vec<Entry> =
            entries.iter().map(|name| Entry { name: (*name).to_owned(), directory: false }).collect();
        rotations(&entries, of).all.into_iter().map(|rotation| rotation.name).collect()
    }

    #[test]
    fn predecessors_are_found_and_ordered_from_the_oldest() {
        for (of, entries, expected) in [
            (
                "kubelet.log",
                &["kubelet.log", "kubelet.log.1", "kubelet.log.10.gz", "kubelet.log.2.gz", "kubelet.log.x"][..],
                &["kubelet.log.10.gz", "kubelet.log.2.gz", "kubelet.log.1"][..],
            ),
            (
                "messages",
                &[
                    "messages",
                    "messages-20261120.gz",
                    "messages-20261122",
                    "messages-20261121",
                    "messages.old",
                    "messagesx.1",
                ],
                &["messages-20261120.gz", "messages-20261121", "messages-20261122"],
            ),
            (
                "kubelet.log",
                &["kubelet.log-20261120-1795230432.gz", "kubelet.log-20261120-1795144032.gz", "kubelet.log-20261119"],
                &["kubelet.log-20261119", "kubelet.log-20261120-1795144032.gz", "kubelet.log-20261120-1795230432.gz"],
            ),
            (
                "kubelet.log",
                &["kubelet-20261120.log.gz", "kubelet.1.log", "kube.1.log"],
                &["kubelet-20261120.log.gz", "kubelet.1.log"],
            ),
            (
                "x.log",
                &["x.log-1795230432", "x.log-1795144032.gz", "x.log-2026112003"],
                &["x.log-2026112003", "x.log-1795144032.gz", "x.log-1795230432"],
            ),
            (
                "0.log",
                &["0.log.20261120-030712.gz", "0.log.20261121-030712", "1.log"],
                &["0.log.20261120-030712.gz", "0.log.20261121-030712"],
            ),
            ("a", &["a.", "a.1.", "a-1x", "a..1", "a-99999999", "a-2026", "a.123456"], &["a-2026"]),
        ] {
            assert_eq!(names(of, entries), expected, "{of}");
        }
    }

    #[test]
    fn one_that_is_being_packed_counts_once_and_foreign_packings_are_told() {
        let entries =
            ["k.1.gz", "k.1", "k.2.xz", "k.3.gz"].map(|name| Entry { name: name.to_owned(), directory: false });
        let found = rotations(&entries, "k");
        let all: Vec<(&str, Option<Packing>)> = found.all.iter().map(|r| (r.name.as_str(), r.packing)).collect();
        assert_eq!(all, [("k.3.gz", Some(Packing::Gzip)), ("k.2.xz", None), ("k.1", Some(Packing::Plain))]);
        assert!(!found.mixed);
        let mixed = ["k.1", "k-20261120"].map(|name| Entry { name: name.to_owned(), directory: false });
        assert!(rotations(&mixed, "k").mixed);
        let folder = [Entry { name: "k.1".to_owned(), directory: true }];
        assert!(rotations(&folder, "k").all.is_empty());
    }
}
