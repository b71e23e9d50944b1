//! How a build is linked, and how large it may be.

use std::fs;
use std::io;
use std::path::Path;

use crate::report::Verdict;

/// How a program comes by its C library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Linked {
    /// From the system it runs on.
    Dynamically,
    /// It brings glibc.
    WithGlibc,
    /// It brings musl, or none.
    WithMusl,
}

/// Says what a build is, and whether it is small enough to ship.
pub(crate) fn describe(program: &Path) -> io::Result<(String, Verdict)> {
    let bytes = fs::read(program).map_err(|why| io::Error::other(format!("{}: {why}", program.display())))?;
    let (kind, most) = match linked(&bytes) {
        Linked::Dynamically => ("dynamic, not shipped", usize::MAX),
        Linked::WithGlibc => ("static with glibc, at most 3200000", 3_200_000),
        Linked::WithMusl => ("static with musl, at most 2300000", 2_300_000),
    };
    let (word, verdict) = match bytes.len() {
        _ if most == usize::MAX => ("", Verdict::Met),
        size if size <= most => (" ok", Verdict::Met),
        _ => (" MISSED", Verdict::Missed),
    };
    Ok((format!("{}, {} bytes ({kind}){word}", program.display(), bytes.len()), verdict))
}

fn linked(bytes: &[u8]) -> Linked {
    if asks_for_loader(bytes).unwrap_or(false) {
        Linked::Dynamically
    } else if memchr::memmem::find(bytes, b"GLIBC_TUNABLES").is_some() {
        // The one variable that every program with glibc in it looks for.
        Linked::WithGlibc
    } else {
        Linked::WithMusl
    }
}

/// Whether a 64-bit little-endian ELF file has a program header of type PT_INTERP.
fn asks_for_loader(bytes: &[u8]) -> Option<bool> {
    const PT_INTERP: u64 = 3;
    let number = |at: usize, size: usize| {
        let field = bytes.get(at..at.checked_add(size)?)?;
        Some(field.iter().rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte)))
    };
    let (start, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    let mut types = (0..count).filter_map(|nth| number(usize::try_from(start + nth * size).ok()?, 4));
    Some(types.any(|kind| kind == PT_INTERP))
}
