//! Journal files that are broken in many ways, the same for the same seed.

/// Numbers that look random and are the same each time.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// Changes some bits, words or stretches, preferably where the format's structure is.
pub(crate) fn mutate(bytes: &mut Vec<u8>, objects: &[usize], random: &mut Random) {
    for _ in 0..1 + random.below(8) {
        let object = objects[random.below(objects.len() as u64) as usize];
        let at = match random.below(4) {
            0 => random.below(272) as usize,
            1 => random.below(bytes.len() as u64 + 1) as usize,
            _ => object + random.below(72) as usize,
        };
        let word = at & !7;
        if word + 8 > bytes.len() {
            continue;
        }
        match random.below(6) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next() as u8,
            // Points somewhere else: at itself, at another object, nowhere.
            2 => bytes[word..word + 8].copy_from_slice(&(object as u64).to_le_bytes()),
            3 => {
                let other = objects[random.below(objects.len() as u64) as usize] as u64;
                bytes[word..word + 8].copy_from_slice(&other.to_le_bytes());
            }
            4 => bytes[word..word + 8]
                .copy_from_slice(&[0, u64::MAX, 1 << 62, 8][random.below(4) as usize].to_le_bytes()),
            _ if random.below(20) == 0 => bytes.truncate(at),
            _ => bytes[word..word + 8].fill(0),
        }
    }
}

/// The places of a file's objects.
pub(crate) fn objects(bytes: &[u8]) -> Vec<usize> {
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    let (mut at, last) = (word(88), word(136));
    let mut places = Vec::new();
    while at <= last {
        places.push(at);
        at = (at + word(at + 8) + 7) & !7;
    }
    places
}
