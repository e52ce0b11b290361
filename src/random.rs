//! Random bytes and text that nobody can guess: passwords, tokens and salts.

use std::fmt::Write as _;

/// Returns `N` random bytes of the operating system.
///
/// # Errors
/// The operating system has no random bytes.
pub fn bytes<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// The same in hexadecimal.
///
/// # Errors
/// As [`bytes`].
pub fn hex<const N: usize>() -> Result<String, getrandom::Error> {
    Ok(bytes::<N>()?.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string does not fail.
        _ = write!(hex, "{byte:02x}");
        hex
    }))
}

#[cfg(test)]
mod tests {
    #[test]
    fn random_text_has_two_digits_for_each_byte_and_is_another_each_time() {
        let (one, other) = (super::hex::<32>().unwrap(), super::hex::<32>().unwrap());
        assert!(one.len() == 64 && one.bytes().all(|byte| byte.is_ascii_hexdigit()), "{one}");
        assert_ne!(one, other);
    }
}
