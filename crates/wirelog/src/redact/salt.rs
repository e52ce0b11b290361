//! The salted hash, and text made from it.

use sha1::{Digest as _, Sha1};

/// The letters of replaced text: legal within a JSON string.
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// What makes the replacements of one file differ from those of any other.
///
/// Without it nobody can test whether a value is the one that was guessed. So it is drawn anew for
/// each file, and written nowhere.
#[derive(Clone)]
pub struct Salt([u8; 16]);

impl std::fmt::Debug for Salt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Salt")
    }
}

impl Salt {
    /// A salt of random bytes.
    #[must_use]
    pub const fn new(random: [u8; 16]) -> Self {
        Self(random)
    }

    /// Returns bytes without end that depend on the salt, on `use_of` and on every byte of `input`.
    pub(super) fn bytes(&self, use_of: u8, input: &[u8]) -> impl Iterator<Item = u8> + use<> {
        let mut hash = Sha1::new();
        hash.update(self.0);
        hash.update([use_of]);
        hash.update(input);
        hash.update(self.0);
        let digest: [u8; 20] = hash.finalize().into();
        let (words, rest) = digest.as_chunks::<8>();
        let mut seeds = [0_u64; 2];
        for (seed, word) in seeds.iter_mut().zip(words) {
            *seed = u64::from_be_bytes(*word);
        }
        let [mut one, two] = seeds;
        let more = rest.iter().fold(0, |more, byte| more << 8 | u64::from(*byte));
        std::iter::repeat_with(move || {
            // SplitMix64, whose step is odd, so that it depends on the whole digest.
            one = one.wrapping_add(two | 1);
            mixed(one ^ more).to_be_bytes()
        })
        .flatten()
    }

    /// Returns as many letters as `input` has bytes.
    pub(super) fn text(&self, input: &[u8]) -> Vec<u8> {
        self.letters(input, input.len())
    }

    /// Returns `count` letters made from `input`.
    pub(super) fn letters(&self, input: &[u8], count: usize) -> Vec<u8> {
        let letter = |byte: u8| LETTERS.get(usize::from(byte & 63)).copied().unwrap_or(b'_');
        self.bytes(b'v', input).take(count).map(letter).collect()
    }

    /// Returns `count` digits made from `input`, none of them 0.
    pub(super) fn digits(&self, input: &[u8], count: usize) -> Vec<u8> {
        self.bytes(b'v', input).take(count).map(|byte| b'1' + byte % 9).collect()
    }
}

const fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
