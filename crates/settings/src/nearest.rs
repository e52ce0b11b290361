//! The known name that a wrong one resembles most.

/// The nearest of the known names, if one is near enough to be meant: a third of the letters may be
/// wrong.
pub fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let most = name.chars().count() / 3;
    let lower = name.to_lowercase();
    let distances = known
        .into_iter()
        .map(|it| (strsim::damerau_levenshtein(&lower, &it.to_lowercase()), it))
        .filter(|(distance, _)| *distance <= most);
    distances.min().map(|(_, it)| it)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_of_the_keyboard_is_recognized_and_a_guess_is_not_made() {
        let known = ["address", "username", "env", "ca", "stall_ms"];
        for (name, want) in [
            ("adress", Some("address")),
            ("Address", Some("address")),
            ("user_name", Some("username")),
            ("evn", Some("env")),
            ("stallms", Some("stall_ms")),
            ("host", None),
            ("a", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, known), want, "{name}");
        }
    }
}
