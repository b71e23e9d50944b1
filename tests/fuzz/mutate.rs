//! Variations of known inputs, the same for the same seed.

/// Longer than this an input does not grow.
const LONGEST: usize = 256 << 10;

/// Bytes that formats take for something.
const TELLING: [u8; 24] = [
    0, 1, 0x1b, 0x20, 0x7f, 0x80, 0x82, 0x84, 0xbf, 0xc0, 0xe2, 0xff, b'\t', b'\r', b'\n', b'"', b'\'', b':', b'%',
    b'&', b'<', b'\\', b'{', b'-',
];

/// A source of numbers that look random (xorshift64*).
pub(crate) struct Mutator(u64);

impl Mutator {
    /// Any seed will do.
    pub(crate) fn new(seed: u64) -> Self {
        Mutator(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d)
    }

    /// A number below this one; 0 if that is 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) as usize % bound.max(1)
    }

    /// A variation of these bytes: some changed, dropped, doubled, cut, exchanged for tokens or for a piece of `other`.
    pub(crate) fn vary(&mut self, bytes: &[u8], other: &[u8], tokens: &[&str]) -> Vec<u8> {
        let mut out = bytes.to_vec();
        // Mostly few changes: what many break is refused at its first byte.
        let changes = [1, 1, 2, 2, 3, 4, 8, 16][self.below(8)];
        for _ in 0..changes {
            self.change(&mut out, other, tokens);
        }
        out.truncate(LONGEST);
        out
    }

    fn change(&mut self, out: &mut Vec<u8>, other: &[u8], tokens: &[&str]) {
        let at = self.below(out.len() + 1);
        // A stretch behind it: mostly short.
        let most = [4, 16, 64, 1024][self.below(4)];
        let end = (at + self.below(most)).min(out.len());
        match self.below(12) {
            0 if at < out.len() => out[at] ^= 1 << self.below(8),
            1 if at < out.len() => out[at] = self.below(256) as u8,
            2 if at < out.len() => out[at] = TELLING[self.below(TELLING.len())],
            3 => out.insert(at, TELLING[self.below(TELLING.len())]),
            4 => drop(out.drain(at..end)),
            5 if self.below(4) == 0 => out.truncate(at),
            6 => {
                // Doubled elsewhere, or once in a while many times in a row.
                let piece = out[at..end].repeat(if self.below(16) == 0 { self.below(200) } else { 1 });
                let to = self.below(out.len() + 1);
                out.splice(to..to, piece);
            }
            7 if !other.is_empty() => {
                let from = self.below(other.len());
                let most = [16, 256, 4096][self.below(3)];
                let piece = other[from..(from + self.below(most)).min(other.len())].to_vec();
                out.splice(at..end, piece);
            }
            8 | 9 if !tokens.is_empty() => {
                let token = tokens[self.below(tokens.len())].bytes();
                let end = if self.below(2) == 0 { at } else { end };
                out.splice(at..end, token);
            }
            10 => {
                // A number near a limit.
                let numbers = ["0", "-1", "255", "65536", "4294967296", "9223372036854775807", "18446744073709551616"];
                out.splice(at..end.min(at + 4), numbers[self.below(numbers.len())].bytes());
            }
            _ => {
                // A line moves.
                let starts: Vec<usize> = memchr::memchr_iter(b'\n', out).map(|at| at + 1).collect();
                if let Some(&from) = starts.get(self.below(starts.len())) {
                    let to = starts.iter().copied().find(|&to| to > from).unwrap_or(out.len());
                    let line: Vec<u8> = out.drain(from..to).collect();
                    let at = self.below(out.len() + 1);
                    out.splice(at..at, line);
                }
            }
        }
    }
}

/// A variation of one input.
#[allow(dead_code, reason = "for the crate's own unit tests")]
pub(crate) fn mutated(bytes: &[u8], seed: u64) -> Vec<u8> {
    Mutator::new(seed).vary(bytes, bytes, &[])
}
