//! Packed payloads: one ZSTD frame, an LZ4 block behind its length, or an `.xz` stream. Sizes are checked before any memory
//! is taken for them.

#[cfg(any(feature = "zstd", feature = "xz"))]
use std::io::Read;

/// How a payload is packed: bits of an object's flags.
pub(super) const XZ: u8 = 1;
pub(super) const LZ4: u8 = 2;
pub(super) const ZSTD: u8 = 4;

/// A dictionary or window that a decoder may ask for, in bytes. systemd's presets need up to 8 MiB.
const WINDOW: u64 = 8 << 20;

/// Unpacks up to `limit` bytes; whether that was all.
pub(super) fn unpack(flags: u8, packed: &[u8], limit: usize) -> Result<(Vec<u8>, Whole), &'static str> {
    match flags & (XZ | LZ4 | ZSTD) {
        ZSTD => zstd(packed, limit),
        LZ4 => lz4(packed, limit),
        XZ => xz(packed, limit),
        _ => Err("packed in two ways at once"),
    }
}

/// Whether a value is all there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    Yes,
    /// It is longer than the limit.
    Cut,
}

#[cfg(feature = "zstd")]
fn zstd(packed: &[u8], limit: usize) -> Result<(Vec<u8>, Whole), &'static str> {
    let decoder = ruzstd::decoding::StreamingDecoder::new_with_max_window_size(packed, WINDOW)
        .map_err(|_| "no ZSTD frame, or one that needs too much memory")?;
    let len = decoder.decoder.content_size();
    drain(decoder, len, limit, "a broken ZSTD frame")
}

#[cfg(feature = "lz4")]
fn lz4(packed: &[u8], limit: usize) -> Result<(Vec<u8>, Whole), &'static str> {
    let (len, block) = packed.split_first_chunk().ok_or("too short for an LZ4 block")?;
    let len = usize::try_from(u64::from_le_bytes(*len)).unwrap_or(usize::MAX);
    // No byte of a block makes more than 255.
    if len > block.len().saturating_mul(255) {
        return Err("an LZ4 block that claims more than it can hold");
    }
    let mut bytes = vec![0; len.min(limit)];
    match lz4_flex::block::decompress_into(block, &mut bytes) {
        Ok(made) if made == len => Ok((bytes, Whole::Yes)),
        // What fits has been written when the first byte too many comes.
        Err(lz4_flex::block::DecompressError::OutputTooSmall { .. }) if len > limit => {
            let made = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at.saturating_add(1));
            bytes.truncate(made);
            Ok((bytes, Whole::Cut))
        }
        _ => Err("a broken LZ4 block"),
    }
}

/// The `.xz` container around one LZMA2 block, without the index, which tells nothing that is needed.
#[cfg(feature = "xz")]
fn xz(packed: &[u8], limit: usize) -> Result<(Vec<u8>, Whole), &'static str> {
    const BROKEN: &str = "a broken .xz stream";
    let block = packed.strip_prefix(b"\xfd7zXZ\0").and_then(|rest| rest.get(6..)).ok_or("no .xz stream")?;
    let head = usize::from(*block.first().ok_or(BROKEN)?).saturating_add(1).saturating_mul(4);
    let (head, body) = block.split_at_checked(head).ok_or(BROKEN)?;
    let [_, flags, rest @ ..] = head else { return Err(BROKEN) };
    // One filter, and perhaps the sizes of the block, which are variable-length numbers.
    if flags & 0x3f != 0 {
        return Err("an .xz stream of a kind that journals don't hold");
    }
    let sizes = usize::from(flags & 0x40 != 0).saturating_add(usize::from(flags & 0x80 != 0));
    let mut rest = rest;
    for _ in 0..sizes {
        let len = rest.iter().position(|byte| byte & 0x80 == 0).ok_or(BROKEN)?.saturating_add(1);
        rest = rest.get(len..).ok_or(BROKEN)?;
    }
    let [0x21, 1, dictionary, ..] = rest else { return Err("an .xz stream of a kind that journals don't hold") };
    let dictionary = match dictionary {
        bits @ 0..40 => (2 | u64::from(bits & 1)) << (bits >> 1).saturating_add(11),
        _ => u64::MAX,
    };
    // Never more than what may come out of it.
    let needed = dictionary.min((limit as u64).saturating_add(1)).max(4096);
    if dictionary > WINDOW {
        return Err("an .xz stream that needs too much memory");
    }
    let decoder = lzma_rust2::Lzma2Reader::new(body, u32::try_from(needed).unwrap_or(u32::MAX), None);
    drain(decoder, 0, limit, BROKEN)
}

#[cfg(any(feature = "zstd", feature = "xz"))]
fn drain(
    decoder: impl Read,
    expected: u64,
    limit: usize,
    broken: &'static str,
) -> Result<(Vec<u8>, Whole), &'static str> {
    let most = (limit as u64).saturating_add(1);
    // A long value that grows into its place takes twice as much meanwhile.
    let mut bytes = Vec::with_capacity(expected.min(most) as usize);
    decoder.take(most).read_to_end(&mut bytes).map_err(|_| broken)?;
    let whole = if bytes.len() > limit { Whole::Cut } else { Whole::Yes };
    bytes.truncate(limit);
    // It may have promised more.
    bytes.shrink_to_fit();
    Ok((bytes, whole))
}

#[cfg(not(feature = "zstd"))]
fn zstd(_: &[u8], _: usize) -> Result<(Vec<u8>, Whole), &'static str> {
    Err("packed with ZSTD, which this build can't read")
}

#[cfg(not(feature = "lz4"))]
fn lz4(_: &[u8], _: usize) -> Result<(Vec<u8>, Whole), &'static str> {
    Err("packed with LZ4, which this build can't read")
}

#[cfg(not(feature = "xz"))]
fn xz(_: &[u8], _: usize) -> Result<(Vec<u8>, Whole), &'static str> {
    Err("packed with XZ, which this build can't read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(feature = "lz4")]
    fn an_lz4_block_may_be_cut_but_claims_no_more_than_it_can_hold() {
        // Literals `ab`, then 40 bytes copied from 2 back, then the literal `!`.
        let packed = |len: u64| [&len.to_le_bytes()[..], &[0x2f, b'a', b'b', 2, 0, 21, 0x10, b'!']].concat();
        let whole = "ab".repeat(21) + "!";
        assert_eq!(unpack(LZ4, &packed(43), 100), Ok((whole.clone().into_bytes(), Whole::Yes)));
        let (bytes, cut) = unpack(LZ4, &packed(43), 42).unwrap();
        assert_eq!((whole.starts_with(std::str::from_utf8(&bytes).unwrap()), cut), (true, Whole::Cut));
        assert!(unpack(LZ4, &packed(42), 100).is_err());
        assert!(unpack(LZ4, &packed(1 << 40), 1 << 50).is_err());
        assert!(unpack(LZ4, b"1234567", 100).is_err());
    }

    #[test]
    #[cfg(feature = "zstd")]
    fn a_zstd_frame_does_not_get_the_memory_it_asks_for() {
        // A frame of 5 raw bytes in a single segment; then one that asks for a window of 2 GiB.
        let small = b"\x28\xb5\x2f\xfd\x20\x05\x29\0\0hello";
        assert_eq!(unpack(ZSTD, small, 100), Ok((b"hello".to_vec(), Whole::Yes)));
        assert_eq!(unpack(ZSTD, small, 4), Ok((b"hell".to_vec(), Whole::Cut)));
        let bomb = b"\x28\xb5\x2f\xfd\x00\xa8\x29\0\0hello";
        assert!(unpack(ZSTD, bomb, 100).is_err());
        // 600,000 blocks of 128 KiB of one byte each: 2.4 MB that would make 78 GB.
        let mut rle = b"\x28\xb5\x2f\xfd\x00\x38".to_vec();
        (0..600_000).for_each(|_| rle.extend_from_slice(&[0x02, 0, 0x10, b'a']));
        let (bytes, whole) = unpack(ZSTD, &rle, 1 << 20).unwrap();
        assert_eq!((bytes.len(), whole), (1 << 20, Whole::Cut));
    }

    #[test]
    #[cfg(feature = "xz")]
    fn an_xz_stream_does_not_get_the_memory_it_asks_for() {
        let stream = |dictionary: u8| {
            let head = [2, 0, 0x21, 1, dictionary, 0, 0, 0, 0, 0, 0, 0];
            [&b"\xfd7zXZ\0\0\0\0\0\0\0"[..], &head, &[1, 0, 4], b"hello", &[0]].concat()
        };
        assert_eq!(unpack(XZ, &stream(16), 100), Ok((b"hello".to_vec(), Whole::Yes)));
        assert_eq!(unpack(XZ, &stream(16), 4), Ok((b"hell".to_vec(), Whole::Cut)));
        assert!(unpack(XZ, &stream(30), 100).is_err(), "a dictionary of 128 MiB");
        assert!(unpack(XZ, &stream(41), 100).is_err());
        assert!(unpack(XZ, &stream(16)[..15], 100).is_err());
    }

    #[test]
    fn two_ways_at_once_are_none() {
        assert!(unpack(XZ | LZ4, b"12345678", 100).is_err());
        assert!(unpack(0, b"12345678", 100).is_err());
    }
}
