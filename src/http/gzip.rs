//! Decoding gzip piece by piece: compressed bytes go in, bounded pieces come out.

use std::io::Write;

use bytes::{Buf, Bytes};
use flate2::write::MultiGzDecoder;

/// A gzip stream being decoded, of one member or several in a row (RFC 1952, section 2.2).
///
/// One step gives at most about 64 KiB, however well the input was compressed.
#[derive(Debug)]
pub struct Gunzip {
    /// Grows only within one step: each step takes what it holds.
    decoder: MultiGzDecoder<Vec<u8>>,
    /// A stream of no bytes at all is empty, not cut off.
    begun: bool,
}

/// The bytes are not gzip, fail their checksum, or end too early.
#[derive(Debug, PartialEq, Eq)]
pub struct Corrupt;

impl Default for Gunzip {
    fn default() -> Self {
        Gunzip { decoder: MultiGzDecoder::new(Vec::new()), begun: false }
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
        if !input.is_empty() {
            self.begun = true;
            let taken = self.decoder.write(input).map_err(|_| Corrupt)?;
            input.advance(taken);
        }
        if input.is_empty() {
            self.decoder.flush().map_err(|_| Corrupt)?;
        }
        Ok(Bytes::from(std::mem::take(self.decoder.get_mut())))
    }

    /// The input is over: gives what is left, or says that the stream was cut off or does not match its checksum.
    pub fn finish(&mut self) -> Result<Bytes, Corrupt> {
        if self.begun {
            self.begun = false;
            self.decoder.try_finish().map_err(|_| Corrupt)?;
        }
        Ok(Bytes::from(std::mem::take(self.decoder.get_mut())))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;

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
        plain.extend_from_slice(&gunzip.finish()?);
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
