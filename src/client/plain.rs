//! Text of others without what acts on a terminal. Pure.

/// Without control characters and what turns the direction of a line, as part of one line.
pub(crate) fn plain(text: &str) -> String {
    text.replace(acts, " ")
}

/// The same for text of more than one line, which may have tabs.
pub(super) fn plain_lines(text: &str) -> String {
    text.replace(|c: char| acts(c) && !matches!(c, '\n' | '\t'), " ")
}

/// Control characters, and the marks of Unicode that have no width or change the direction.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}')
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_acts_on_the_terminal() {
        let text = "a\u{1b}[2Jb\rc\u{9b}d\u{202e}e\u{200b}f\n\tg";
        assert_eq!(plain(text), "a [2Jb c d e f  g");
        assert_eq!(plain_lines(text), "a [2Jb c d e f\n\tg");
    }
}
