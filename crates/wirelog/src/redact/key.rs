//! Keys and names: others of the same length, and different ones for different ones.
//!
//! Two keys that became one would change what a conversation means. So a key of printable ASCII is
//! encrypted within printable ASCII, by a Feistel network. Any other key becomes letters, which may
//! coincide where it is only a few bytes long.

use mcbp::key::split;

use super::Salt;

/// The printable characters of ASCII, from the blank on.
const FIRST: u8 = b' ';
const PRINTABLE: u16 = 95;
/// Rounds of the network; four suffice for a pseudo-random permutation.
const ROUNDS: u8 = 6;

/// Returns another key with the same collection prefix.
pub(super) fn redacted(key: &[u8], salt: &Salt) -> Vec<u8> {
    let name_at = split(key).map_or(0, |(_, name)| key.len() - name.len());
    let (prefix, rest) = key.split_at_checked(name_at).unwrap_or((&[], key));
    [prefix, &name(rest, salt)].concat()
}

/// Returns another name of the same length.
pub(super) fn name(name: &[u8], salt: &Salt) -> Vec<u8> {
    let digit =
        |byte: &u8| Some(byte.checked_sub(FIRST)?).filter(|digit| u16::from(*digit) < PRINTABLE);
    let Some(mut digits) = name.iter().map(digit).collect::<Option<Vec<u8>>>() else {
        return salt.text(name);
    };
    let (mut left, mut right) = digits.split_at_mut(name.len() / 2);
    for round in 0..ROUNDS {
        let added = salt.bytes(round, right);
        for (digit, byte) in left.iter_mut().zip(added) {
            *digit = sum(*digit, byte);
        }
        std::mem::swap(&mut left, &mut right);
    }
    digits.iter().map(|digit| digit + FIRST).collect()
}

fn sum(digit: u8, byte: u8) -> u8 {
    u8::try_from((u16::from(digit) + u16::from(byte)) % PRINTABLE).unwrap_or_default()
}
