//! Deterministic mutations of seeds: what a fuzzer would do, poorly, but with any toolchain and the same every time.

/// A small generator (xorshift64*).
pub struct Random(u64);

impl Random {
    /// A generator that yields the same numbers for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// A number below `limit` (0 for 0).
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize;
        number.checked_rem(limit).unwrap_or(0)
    }
}

/// Pieces that parsers care about.
const PIECES: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b"%",
    b"%2e%2e",
    b"%00",
    b"/..",
    b"//",
    b"?",
    b"#",
    b";",
    b"0",
    b"ffffffff",
    b"HTTP/1.1",
    b"Host: a\r\n",
    b"Content-Length: 1\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"\x80",
    b"\xff",
    b"\r\n\r\n",
    b"0\r\n\r\n",
];

/// Runs `target` over every seed and over `count` mutations of them.
pub fn run(seeds: &[&[u8]], count: usize, target: impl Fn(&[u8])) {
    for seed in seeds {
        target(seed);
        for end in 0..seed.len() {
            target(&seed[..end]);
        }
    }
    let mut random = Random::new(0x5EED);
    for _ in 0..count {
        let mut bytes = seeds[random.below(seeds.len())].to_vec();
        for _ in 0..=random.below(4) {
            mutate(&mut bytes, seeds, &mut random);
        }
        target(&bytes);
    }
}

fn mutate(bytes: &mut Vec<u8>, seeds: &[&[u8]], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    match random.below(7) {
        0 => bytes.truncate(at),
        1 if at < bytes.len() => bytes[at] = random.below(256) as u8,
        2 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        3 => {
            let end = (at + random.below(8)).min(bytes.len());
            bytes.drain(at..end);
        }
        4 => {
            let other = seeds[random.below(seeds.len())];
            let from = random.below(other.len() + 1);
            bytes.splice(at..at, other[from..].iter().copied());
        }
        5 => {
            let run = vec![random.below(256) as u8; random.below(600)];
            bytes.splice(at..at, run);
        }
        _ => {
            let piece = PIECES[random.below(PIECES.len())];
            bytes.splice(at..at, piece.iter().copied());
        }
    }
}
