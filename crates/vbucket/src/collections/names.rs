//! Which ids and names of scopes and collections are valid.

/// The name of the default scope and of the default collection.
pub const DEFAULT_NAME: &str = "_default";

/// The id of the default scope. That of the default collection is
/// [`mcbp::key::DEFAULT_COLLECTION`].
pub const DEFAULT_SCOPE: u32 = 0;

/// The id that the keys of system events have as their collection. No manifest has it.
pub const SYSTEM_EVENTS: u32 = 1;

/// The longest name of a scope or collection, in bytes.
pub const NAME_BYTES_MAX: usize = 251;

/// The longest `max_ttl` of a collection, in seconds: the largest positive number of 32 bits with a
/// sign.
pub const MAX_TTL_SECONDS: u32 = i32::MAX as u32;

/// Whether no scope and no collection may have the id: 1 to 7.
#[must_use]
pub const fn is_reserved(id: u32) -> bool {
    matches!(id, 1..=7)
}

/// Whether a client may give a scope or collection this name: 1 to [`NAME_BYTES_MAX`] letters,
/// digits and `_`, `-`, `%` or `$` of ASCII, not `$` first.
#[must_use]
pub fn is_valid_name(name: &str) -> bool {
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"_-%$".contains(&byte);
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && !name.starts_with('$')
        && name.bytes().all(is_valid)
}

/// Whether a scope or collection belongs to the system: its name begins with `_`, and it is not the
/// default one (id 0).
#[must_use]
pub fn is_system(id: u32, name: &str) -> bool {
    id != 0 && name.starts_with('_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_letters_digits_and_four_other_characters() {
        for name in ["a", "_default", "A-z_0%$", "%", "-", &"x".repeat(251)] {
            assert!(is_valid_name(name), "{name}");
        }
        for name in ["", "$a", "a b", "a.b", "\u{e4}", "a\0", &"x".repeat(252)] {
            assert!(!is_valid_name(name), "{name}");
        }
    }

    #[test]
    fn the_default_ones_are_not_of_the_system() {
        assert!(!is_system(0, DEFAULT_NAME));
        assert!(is_system(8, "_query"));
        assert!(!is_system(8, "query"));
    }
}
