//! Texts that differ in the number of their vBucket alone are alike, so that a thousand equal
//! errors share a row.

/// Returns a text about a vBucket without its name, `vb:7`.
pub(super) fn without_vb(text: &str, vb: u64) -> String {
    let name = format!("vb:{vb}");
    let (mut rest, mut out) = (text, String::new());
    while let Some((before, after)) = rest.split_once(&name) {
        out += before;
        rest = after;
        if rest.starts_with(|next: char| next.is_ascii_digit()) {
            // It is the name of another vBucket.
            out += &name;
        } else if out.is_empty() && rest.starts_with(": ") {
            rest = rest.get(2..).unwrap_or_default();
        } else {
            out += "it";
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_vbucket_is_left_out_and_that_of_another_is_not() {
        for (text, want) in [
            ("vb:7: the producer refused", "the producer refused"),
            ("vb:7: vb:7 is already being moved", "it is already being moved"),
            ("vb:7: vb:7: twice", "twice"),
            ("vb:71: of another", "vb:71: of another"),
            ("beta: vb:7 is active, vb:8 is not", "beta: it is active, vb:8 is not"),
            ("disk", "disk"),
            ("", ""),
        ] {
            assert_eq!(without_vb(text, 7), want);
        }
    }
}
