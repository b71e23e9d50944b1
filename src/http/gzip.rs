//! Decoding gzip (RFC 1952) piece by piece: compressed bytes go in, bounded pieces come out.

use bytes::{Buf, Bytes};
use crc::{CRC_32_ISO_HDLC, Crc, Digest, Table};
use flate2::{Decompress, FlushDecompress, Status};

/// flate2's own checksum has tables of 16 kB, for a speed that no log comes with; this one has 1 kB.
static CHECKSUM: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);

/// So much is given at once, and may come on top of it.
const PIECE: usize = 32 << 10;

/// A gzip stream being decoded, of one member or several in a row (section 2.2).
///
/// One step gives at most about 64 KiB, however well the input was compressed.
pub struct Gunzip {
    inflate: Decompress,
    at: At,
    checksum: Digest<'static, u32, Table<1>>,
    /// How many bytes the member has given.
    given: u32,
}

/// The bytes are not gzip, fail their checksum, or end too early.
#[derive(Debug, PartialEq, Eq)]
pub struct Corrupt;

/// Where in a member the next byte lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// In front of a member, or behind all of them.
    Start,
    /// In the ten bytes every header has, of which the fourth says what follows them.
    Header {
        byte: u8,
        flags: u8,
    },
    /// In the length of the field for extensions.
    ExtraLength {
        first: Option<u8>,
        flags: u8,
    },
    /// So many bytes of the header are left before what its flags name.
    Skipped {
        left: u16,
        flags: u8,
    },
    /// In a text of the header.
    Text {
        flags: u8,
    },
    Data,
    /// In the checksum and the length behind the data.
    Trailer {
        byte: u8,
        value: u64,
    },
}

/// What the flags of a header name, in the order it follows (section 2.3.1).
const EXTRA: u8 = 4;
const NAME: u8 = 8;
const COMMENT: u8 = 16;
const HEADER_CHECKSUM: u8 = 2;
const RESERVED: u8 = 0xe0;

impl Default for Gunzip {
    fn default() -> Self {
        Gunzip { inflate: Decompress::new(false), at: At::Start, checksum: CHECKSUM.digest(), given: 0 }
    }
}

impl std::fmt::Debug for Gunzip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gunzip").field("at", &self.at).field("given", &self.given).finish_non_exhaustive()
    }
}

impl Gunzip {
    /// A decoder at the start of a stream.
    pub fn new() -> Self {
        Gunzip::default()
    }

    /// Takes some or all of `input` from its front and gives what it decodes to, perhaps nothing. Call it until `input`
    /// is empty; then everything the input stands for has been given.
    pub fn step(&mut self, input: &mut Bytes) -> Result<Bytes, Corrupt> {
        let mut plain = Vec::new();
        while !input.is_empty() && plain.len() < PIECE {
            if self.at == At::Data {
                self.inflate(input, &mut plain)?;
            } else {
                self.at = self.after(input.get_u8())?;
            }
        }
        Ok(plain.into())
    }

    /// The input is over: whether the stream was, too.
    pub fn finish(&self) -> Result<(), Corrupt> {
        // A stream of no bytes at all is empty, not cut off.
        if self.at == At::Start { Ok(()) } else { Err(Corrupt) }
    }

    fn inflate(&mut self, input: &mut Bytes, plain: &mut Vec<u8>) -> Result<(), Corrupt> {
        loop {
            plain.reserve_exact(PIECE);
            let (taken, given) = (self.inflate.total_in(), plain.len());
            let status = self.inflate.decompress_vec(input, plain, FlushDecompress::None).map_err(|_| Corrupt)?;
            let taken = (self.inflate.total_in() - taken) as usize;
            input.advance(taken);
            self.checksum.update(&plain[given..]);
            self.given = self.given.wrapping_add((plain.len() - given) as u32);
            if status == Status::StreamEnd {
                self.at = At::Trailer { byte: 0, value: 0 };
                return Ok(());
            }
            // What the input stands for may be more than there was room for.
            let is_stuck = taken == 0 && plain.len() == given;
            if is_stuck || plain.len() >= PIECE && !input.is_empty() {
                return Ok(());
            }
        }
    }

    /// Where the byte behind this one lies, which is none of the data.
    fn after(&mut self, byte: u8) -> Result<At, Corrupt> {
        Ok(match self.at {
            At::Start if byte == 0x1f => At::Header { byte: 1, flags: 0 },
            At::Header { byte: 1, .. } if byte == 0x8b => At::Header { byte: 2, flags: 0 },
            // 8 is deflate, the one method there is.
            At::Header { byte: 2, .. } if byte == 8 => At::Header { byte: 3, flags: 0 },
            At::Header { byte: 3, .. } if byte & RESERVED == 0 => At::Header { byte: 4, flags: byte },
            At::Header { byte: 9, flags } => self.behind(flags),
            At::Header { byte: number @ 4.., flags } => At::Header { byte: number + 1, flags },
            At::ExtraLength { first: None, flags } => At::ExtraLength { first: Some(byte), flags },
            At::ExtraLength { first: Some(first), flags } => match u16::from_le_bytes([first, byte]) {
                0 => self.behind(flags),
                left => At::Skipped { left, flags },
            },
            At::Skipped { left: 1, flags } => self.behind(flags),
            At::Skipped { left, flags } => At::Skipped { left: left - 1, flags },
            At::Text { flags } if byte == 0 => self.behind(flags),
            At::Text { flags } => At::Text { flags },
            At::Trailer { byte: number, value } => {
                let value = value >> 8 | u64::from(byte) << 56;
                match number {
                    7 if value == self.trailer() => At::Start,
                    7 => return Err(Corrupt),
                    _ => At::Trailer { byte: number + 1, value },
                }
            }
            At::Start | At::Header { .. } | At::Data => return Err(Corrupt),
        })
    }

    /// The part of a header that its flags name next, or the data.
    fn behind(&mut self, flags: u8) -> At {
        let without = |flag: u8| flags & !flag;
        if flags & EXTRA != 0 {
            At::ExtraLength { first: None, flags: without(EXTRA) }
        } else if flags & NAME != 0 {
            At::Text { flags: without(NAME) }
        } else if flags & COMMENT != 0 {
            At::Text { flags: without(COMMENT) }
        } else if flags & HEADER_CHECKSUM != 0 {
            At::Skipped { left: 2, flags: without(HEADER_CHECKSUM) }
        } else {
            self.inflate.reset(false);
            (self.checksum, self.given) = (CHECKSUM.digest(), 0);
            At::Data
        }
    }

    /// What must stand behind the data: the checksum, and the length modulo 2^32.
    fn trailer(&self) -> u64 {
        u64::from(self.checksum.clone().finalize()) | u64::from(self.given) << 32
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write;

    use super::*;
    use flate2::write::GzEncoder;
    use flate2::{Compression, GzBuilder};

    pub(crate) fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn decode(pieces: &[&[u8]]) -> Result<(Vec<u8>, usize), Corrupt> {
        let (mut gunzip, mut plain, mut largest) = (Gunzip::new(), Vec::new(), 0);
        for piece in pieces {
            let mut input = Bytes::copy_from_slice(piece);
            while !input.is_empty() {
                let out = gunzip.step(&mut input)?;
                largest = largest.max(out.len());
                plain.extend_from_slice(&out);
            }
        }
        gunzip.finish()?;
        Ok((plain, largest))
    }

    fn sample() -> Vec<u8> {
        (0..3000u32).flat_map(|n| format!("line {n} {}\n", n.wrapping_mul(2_654_435_761)).into_bytes()).collect()
    }

    #[test]
    fn the_same_bytes_come_out_however_the_input_is_cut() {
        let (plain, packed) = (sample(), gzip(&sample()));
        for size in [1, 7, 100, packed.len()] {
            let pieces: Vec<&[u8]> = packed.chunks(size).collect();
            assert_eq!(decode(&pieces).unwrap().0, plain, "pieces of {size}");
        }
    }

    #[test]
    fn members_in_a_row_are_one_stream() {
        let two = [gzip(b"one\n"), gzip(b"two\n")].concat();
        assert_eq!(decode(&[&two]).unwrap().0, b"one\ntwo\n");
        let bytewise: Vec<&[u8]> = two.chunks(1).collect();
        assert_eq!(decode(&bytewise).unwrap().0, b"one\ntwo\n");
    }

    #[test]
    fn all_a_header_may_hold_is_passed_over() {
        let builder = || GzBuilder::new().filename("kubelet.log").comment("a comment").extra(*b"extra").mtime(7);
        for builder in [GzBuilder::new().extra(*b""), GzBuilder::new().comment(""), builder()] {
            let mut encoder = builder.write(Vec::new(), Compression::fast());
            encoder.write_all(b"plain").unwrap();
            let packed = encoder.finish().unwrap();
            let bytewise: Vec<&[u8]> = packed.chunks(1).collect();
            assert_eq!(decode(&bytewise).unwrap().0, b"plain", "{packed:?}");
            // The same with a checksum of the header, which flate2 does not write.
            let behind = header_length(&packed);
            let mut checked = packed.clone();
            checked[3] |= HEADER_CHECKSUM;
            checked.splice(behind..behind, [1, 2]);
            assert_eq!(decode(&[&checked]).unwrap().0, b"plain", "{checked:?}");
        }
        for (at, byte) in [(0, 0), (1, 0), (2, 7), (3, 0x20)] {
            let mut other = gzip(b"plain");
            other[at] = byte;
            assert_eq!(decode(&[&other]), Err(Corrupt), "{byte} at {at}");
        }
    }

    /// Found by decoding, without the states under test, from ever later on.
    fn header_length(packed: &[u8]) -> usize {
        let is_data = |from: usize| {
            let mut plain = Vec::with_capacity(64);
            let done = Decompress::new(false).decompress_vec(
                &packed[from..packed.len() - 8],
                &mut plain,
                FlushDecompress::Finish,
            );
            matches!(done, Ok(Status::StreamEnd)) && plain == b"plain"
        };
        (10..packed.len()).find(|from| is_data(*from)).unwrap()
    }

    #[test]
    fn what_went_in_has_come_out_before_more_arrives() {
        let packed = gzip(&sample());
        let (mut gunzip, mut given) = (Gunzip::new(), 0);
        let mut half = Bytes::copy_from_slice(&packed[..packed.len() / 2]);
        while !half.is_empty() {
            given += gunzip.step(&mut half).unwrap().len();
        }
        assert!(given * 10 > sample().len() * 4, "{given} of {} after half the input", sample().len());
    }

    #[test]
    fn a_cut_anywhere_is_noticed() {
        let packed = gzip(b"a log that must not end early\n");
        for cut in 1..packed.len() {
            assert_eq!(decode(&[&packed[..cut]]), Err(Corrupt), "cut at {cut} of {}", packed.len());
        }
    }

    #[test]
    fn a_changed_byte_in_the_data_or_its_checksum_is_noticed() {
        let packed = gzip(b"a log that must not change\n");
        for at in 10..packed.len() {
            let mut changed = packed.clone();
            changed[at] ^= 1;
            assert!(decode(&[&changed]) != Ok((b"a log that must not change\n".to_vec(), 27)), "byte {at}");
        }
        assert_eq!(decode(&[b"plain text, not gzip"]), Err(Corrupt));
    }

    #[test]
    fn a_bomb_comes_out_in_bounded_pieces() {
        let packed = gzip(&vec![0; 20_000_000]);
        let (plain, largest) = decode(&[&packed]).unwrap();
        assert_eq!(plain.len(), 20_000_000);
        assert!(largest <= 96 * 1024, "a step gave {largest} bytes");
    }

    #[test]
    fn nothing_is_an_empty_stream() {
        assert_eq!(decode(&[]), Ok((Vec::new(), 0)));
    }
}
