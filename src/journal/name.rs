//! Names of journal files, which tell what is in them.

use super::Id;

/// What a journal file's name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// `system.journal`, `user-1000.journal`: still written to.
    Active {
        /// `system`, `user-1000`.
        prefix: String,
    },
    /// `PREFIX@<seqnum id>-<first number>-<first time>.journal`: complete.
    Archived {
        /// `system`, `user-1000`.
        prefix: String,
        /// In whose row its entries are numbered.
        seqnum_id: Id,
        /// The first entry's number.
        head_seqnum: u64,
        /// The first entry's time, µs since 1970.
        head_realtime: u64,
    },
    /// `PREFIX@<time>-<random>.journal~`: set aside after a crash.
    Unclean {
        /// `system`, `user-1000`.
        prefix: String,
        /// When it was set aside, µs since 1970.
        realtime: u64,
    },
}

/// File systems know no longer ones.
const LONGEST: usize = 255;

impl Name {
    /// Reads a file name; `None` if it is not a journal's, or holds anything that such names never do.
    pub fn parse(name: &str) -> Option<Name> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@._~-".contains(&byte);
        if name.len() > LONGEST || name.starts_with('.') || !name.bytes().all(plain) {
            return None;
        }
        let (stem, unclean) = match name.strip_suffix(".journal~") {
            Some(stem) => (stem, true),
            None => (name.strip_suffix(".journal")?, false),
        };
        let (prefix, rest) = match stem.split_once('@') {
            Some((prefix, rest)) => (prefix, Some(rest)),
            None => (stem, None),
        };
        if prefix.is_empty() {
            return None;
        }
        let prefix = prefix.to_owned();
        let name = match (rest, unclean) {
            (None, false) => Name::Active { prefix },
            (None, true) => Name::Unclean { prefix, realtime: 0 },
            (Some(rest), true) => {
                let (realtime, random) = rest.split_once('-')?;
                hexadecimal(random)?;
                Name::Unclean { prefix, realtime: hexadecimal(realtime)? }
            }
            (Some(rest), false) => {
                let mut parts = rest.split('-');
                let seqnum_id = parts.next()?.parse().ok()?;
                let (head_seqnum, head_realtime) = (hexadecimal(parts.next()?)?, hexadecimal(parts.next()?)?);
                if parts.next().is_some() {
                    return None;
                }
                Name::Archived { prefix, seqnum_id, head_seqnum, head_realtime }
            }
        };
        Some(name)
    }

    /// The name of an archived file.
    pub fn archived(prefix: &str, seqnum_id: Id, head_seqnum: u64, head_realtime: u64) -> String {
        format!("{prefix}@{seqnum_id}-{head_seqnum:016x}-{head_realtime:016x}.journal")
    }

    /// What stands before `@` or `.journal`: `system`, `user-1000`.
    pub fn prefix(&self) -> &str {
        match self {
            Name::Active { prefix } | Name::Archived { prefix, .. } | Name::Unclean { prefix, .. } => prefix,
        }
    }

    /// Whether the file may still grow.
    pub fn is_active(&self) -> bool {
        matches!(self, Name::Active { .. })
    }

    /// Whose the journal is, in `user-UID.journal`.
    pub fn user(&self) -> Option<u32> {
        self.prefix().strip_prefix("user-")?.parse().ok()
    }
}

fn hexadecimal(digits: &str) -> Option<u64> {
    (digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_hexdigit())).then_some(())?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_is_in_a_file() {
        let archived = "system@d845223f2d1c49cab88ad5c9e8993e92-0000000000000618-00060a24280f0f15.journal";
        let name = Name::parse(archived).unwrap();
        let Name::Archived { prefix, seqnum_id, head_seqnum: 0x618, head_realtime: 0x60a24280f0f15 } = &name else {
            panic!("{name:?}")
        };
        assert_eq!(Name::archived(prefix, *seqnum_id, 0x618, 0x60a24280f0f15), archived);
        assert_eq!(Name::parse("user-1000.journal").unwrap().user(), Some(1000));
        assert!(Name::parse("system.journal").unwrap().is_active());
        let unclean = Name::parse("system@00060a2418200000-1234567890abcdef.journal~").unwrap();
        assert_eq!(unclean, Name::Unclean { prefix: "system".into(), realtime: 0x60a2418200000 });
    }

    #[test]
    fn other_names_are_none() {
        for name in [
            "",
            ".journal",
            "..journal",
            "@.journal",
            "system.journal.gz",
            "a/system.journal",
            "system%2f.journal",
            "sys tem.journal",
            "system@1-2-3.journal",
            "system@00060a2418200000.journal~",
            "fss",
        ] {
            assert_eq!(Name::parse(name), None, "{name}");
        }
    }
}
