//! Compares a shown output with a real one: numbers, padding and what is left out may differ.

/// Says where `real` does not have the shape of `shown`. Any number fits any other, blanks fit any
/// number of blanks, `...` in a line fits any text, and as a line of its own any number of lines.
pub(crate) fn mismatch(shown: &str, real: &str) -> Option<String> {
    let shown: Vec<_> = shown.lines().map(plain).collect();
    let real_lines: Vec<_> = real.lines().map(plain).collect();
    match lines_fit(&shown, &real_lines) {
        Ok(()) => None,
        Err(line) => Some(format!("no line fits {line:?} in:\n{real}")),
    }
}

/// A line with every number as `0` and single blanks.
fn plain(line: &str) -> String {
    let mut text = String::new();
    let mut digits = false;
    for char in line.chars() {
        let is_digit = char.is_ascii_digit();
        if !(is_digit && digits) {
            text.push(if is_digit { '0' } else { char });
        }
        digits = is_digit;
    }
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    // 1,024 and 7 and 0.5 are numbers.
    ["0,0", "0,0", "0.0"].iter().fold(text, |text, number| text.replace(number, "0"))
}

/// `Err` with the first shown line that nothing fits.
fn lines_fit<'a>(shown: &'a [String], real: &[String]) -> Result<(), &'a str> {
    let Some((first, rest)) = shown.split_first() else {
        return if real.is_empty() { Ok(()) } else { Err("the end") };
    };
    if first == "..." {
        let fits = (0..=real.len()).any(|skipped| lines_fit(rest, &real[skipped..]).is_ok());
        return if fits { Ok(()) } else { Err(rest.first().map_or("the end", String::as_str)) };
    }
    match real.split_first() {
        Some((line, others)) if line_fits(first, line) => lines_fit(rest, others),
        _ => Err(first),
    }
}

fn line_fits(shown: &str, real: &str) -> bool {
    let Some((before, after)) = shown.split_once("...") else { return shown == real };
    let Some(rest) = real.strip_prefix(before) else { return false };
    let ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
    ends.into_iter().any(|at| line_fits(after, &rest[at..]))
}

#[test]
fn numbers_and_blanks_and_dots_fit_and_words_do_not() {
    for (shown, real) in [
        ("1,024 vBuckets  ready in 0.5 s", "7 vBuckets ready in 12 s"),
        ("a ... c", "a b b c"),
        ("a\n...\nc\n", "a\nb\nb\nc\n"),
        ("...\nc", "c"),
        ("", ""),
    ] {
        assert_eq!(mismatch(shown, real), None, "{shown:?} {real:?}");
    }
    for (shown, real) in [
        ("7 vBuckets", "7 streams"),
        ("a", "a\nb"),
        ("a\nb", "a"),
        ("a\n...\nc", "a\nb"),
        ("a ... c", "a b"),
    ] {
        assert!(mismatch(shown, real).is_some(), "{shown:?} {real:?}");
    }
}
