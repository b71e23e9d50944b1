//! The two hashes of journal files: Jenkins' lookup3 (`hashlittle2`) in older ones, SipHash-2-4 keyed with the file's id.

use super::Id;
use super::le::{u32_at, u64_at};

/// lookup3's `hashlittle2` with both seeds 0; the first result is the upper half.
pub(super) fn jenkins(bytes: &[u8]) -> u64 {
    let start = 0xdead_beef_u32.wrapping_add(bytes.len() as u32);
    let (mut a, mut b, mut c) = (start, start, start);
    let mut rest = bytes;
    // The last block, full or not, is mixed otherwise.
    while let Some((block, after)) = rest.split_first_chunk::<12>()
        && !after.is_empty()
    {
        a = a.wrapping_add(u32_at(block, 0));
        b = b.wrapping_add(u32_at(block, 4));
        c = c.wrapping_add(u32_at(block, 8));
        for (first, second, third) in [(4, 6, 8), (16, 19, 4)] {
            a = a.wrapping_sub(c) ^ c.rotate_left(first);
            c = c.wrapping_add(b);
            b = b.wrapping_sub(a) ^ a.rotate_left(second);
            a = a.wrapping_add(c);
            c = c.wrapping_sub(b) ^ b.rotate_left(third);
            b = b.wrapping_add(a);
        }
        rest = after;
    }
    if !rest.is_empty() {
        let mut block = [0; 12];
        for (to, from) in block.iter_mut().zip(rest) {
            *to = *from;
        }
        a = a.wrapping_add(u32_at(&block, 0));
        b = b.wrapping_add(u32_at(&block, 4));
        c = c.wrapping_add(u32_at(&block, 8));
        c = (c ^ b).wrapping_sub(b.rotate_left(14));
        a = (a ^ c).wrapping_sub(c.rotate_left(11));
        b = (b ^ a).wrapping_sub(a.rotate_left(25));
        c = (c ^ b).wrapping_sub(b.rotate_left(16));
        a = (a ^ c).wrapping_sub(c.rotate_left(4));
        b = (b ^ a).wrapping_sub(a.rotate_left(14));
        c = (c ^ b).wrapping_sub(b.rotate_left(24));
    }
    u64::from(c) << 32 | u64::from(b)
}

/// SipHash-2-4 under the key that is the file's id.
pub(super) fn siphash(bytes: &[u8], key: Id) -> u64 {
    let (k0, k1) = (u64_at(&key.0, 0), u64_at(&key.0, 8));
    let mut state = Sip(
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    );
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state.absorb(u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    state.absorb(u64::from_le_bytes(last) | (bytes.len() as u64) << 56);
    state.2 ^= 0xff;
    (0..4).for_each(|_| state.round());
    state.0 ^ state.1 ^ state.2 ^ state.3
}

struct Sip(u64, u64, u64, u64);

impl Sip {
    fn absorb(&mut self, word: u64) {
        self.3 ^= word;
        self.round();
        self.round();
        self.0 ^= word;
    }

    fn round(&mut self) {
        let Sip(a, b, c, d) = self;
        *a = a.wrapping_add(*b);
        *b = b.rotate_left(13) ^ *a;
        *a = a.rotate_left(32);
        *c = c.wrapping_add(*d);
        *d = d.rotate_left(16) ^ *c;
        *a = a.wrapping_add(*d);
        *d = d.rotate_left(21) ^ *a;
        *c = c.wrapping_add(*b);
        *b = b.rotate_left(17) ^ *c;
        *c = c.rotate_left(32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn siphash_agrees_with_its_authors() {
        // The vectors of the reference implementation: key 00…0f, input 00, 01, … of growing length.
        let key = Id(std::array::from_fn(|n| n as u8));
        let input: Vec<u8> = (0..64).collect();
        for (len, hash) in [
            (0, 0x726f_db47_dd0e_0e31_u64),
            (1, 0x74f8_39c5_93dc_67fd),
            (7, 0xab02_00f5_8b01_d137),
            (8, 0x93f5_f579_9a93_2462),
            (15, 0xa129_ca61_49be_45e5),
            (63, 0x958a_324c_eb06_4572),
        ] {
            assert_eq!(siphash(&input[..len], key), hash, "{len} bytes");
        }
    }

    #[test]
    fn jenkins_agrees_with_its_author() {
        // From the self test of lookup3.c: c and b for both seeds 0.
        assert_eq!(jenkins(b""), 0xdead_beef_dead_beef);
        assert_eq!(jenkins(b"Four score and seven years ago"), 0x1777_0551_ce72_26e6);
    }
}
