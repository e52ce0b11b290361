//! CHANGELOG.md in the form that Debian's tools read.

/// Who maintains the package; as in Cargo.toml.
const MAINTAINER: &str = "dcp-proxy maintainers <maintainers@dcp-proxy.example>";
/// The widest line that lintian takes.
const COLUMNS: usize = 80;

/// Returns the changelog of one version, from its section or from "Unreleased".
///
/// # Errors
/// Where there is no such section, or no item in it.
pub(super) fn debian(text: &str, version: &str, date: &str) -> Result<String, String> {
    let section = section(text, version)
        .or_else(|| section(text, "Unreleased"))
        .ok_or_else(|| format!("CHANGELOG.md has no section {version} and none Unreleased"))?;
    let items = items(section);
    if items.is_empty() {
        return Err(format!("CHANGELOG.md names no change of {version}"));
    }
    let items = items.iter().map(|item| wrapped(item)).collect::<String>();
    Ok(format!(
        "dcp-proxy ({version}-1) unstable; urgency=medium\n\n{items}\n -- {MAINTAINER}  {date}\n"
    ))
}

/// The lines after a heading of the second level, until the next.
fn section<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let start = text.match_indices("\n## ").find(|(at, found)| {
        let heading = text.get(at + found.len()..).unwrap_or_default();
        let heading = heading.lines().next().unwrap_or_default();
        heading.split([' ', '[', ']']).find(|word| !word.is_empty()) == Some(name)
    })?;
    let rest = text.get(start.0 + start.1.len()..)?;
    let rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
    Some(rest.split("\n## ").next().unwrap_or(rest))
}

/// The items of the lists, each as one line.
fn items(section: &str) -> Vec<String> {
    let mut items: Vec<String> = Vec::new();
    for line in section.lines() {
        match (line.strip_prefix("- "), items.last_mut()) {
            (Some(item), _) => items.push(item.to_owned()),
            (None, Some(item)) if line.starts_with("  ") => {
                item.push(' ');
                item.push_str(line.trim());
            }
            _ => {}
        }
    }
    items
}

/// An item in lines of Debian's width.
fn wrapped(item: &str) -> String {
    let mut lines = String::new();
    let mut line = "  *".to_owned();
    for word in item.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > COLUMNS {
            lines.push_str(&line);
            lines.push('\n');
            line = "   ".to_owned();
        }
        line.push(' ');
        line.push_str(word);
    }
    lines.push_str(&line);
    lines.push('\n');
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Changelog\n\n## Unreleased\n\n### Added\n\n- One thing\n  on two \
                        lines.\n- Another.\n\n## [0.1.0] - 2026-01-01\n\n- Old.\n";

    #[test]
    fn the_section_of_a_version_or_what_is_unreleased() {
        let date = "Sun, 29 Nov 2026 05:00:00 +0000";
        let unreleased = debian(TEXT, "0.2.0", date).unwrap();
        let expected = format!(
            "dcp-proxy (0.2.0-1) unstable; urgency=medium\n\n  * One thing on two lines.\n  * \
             Another.\n\n -- {MAINTAINER}  {date}\n"
        );
        assert_eq!(unreleased, expected);
        let released = debian(TEXT, "0.1.0", date).unwrap();
        assert!(released.contains("(0.1.0-1)") && released.contains("\n  * Old.\n"), "{released}");
        assert!(!released.contains("Another"), "{released}");
    }

    #[test]
    fn a_changelog_without_the_version_or_without_changes_is_refused() {
        let error = debian("# Changelog\n", "1.0.0", "").unwrap_err();
        assert_eq!(error, "CHANGELOG.md has no section 1.0.0 and none Unreleased");
        let error = debian("# C\n\n## 1.0.0\n\nText.\n", "1.0.0", "").unwrap_err();
        assert_eq!(error, "CHANGELOG.md names no change of 1.0.0");
    }

    #[test]
    fn no_line_is_wider_than_lintian_takes() {
        let text = wrapped(&"word ".repeat(60));
        assert!(text.lines().all(|line| line.len() <= COLUMNS), "{text}");
        assert!(text.lines().skip(1).all(|line| line.starts_with("    word")), "{text}");
        assert_eq!(text.matches("word").count(), 60);
    }

    #[test]
    fn the_changelog_of_this_project_can_be_read() {
        let text = std::fs::read_to_string(crate::root().join("CHANGELOG.md")).unwrap();
        let manifest = std::fs::read_to_string(crate::root().join("Cargo.toml")).unwrap();
        assert!(manifest.contains(&format!("maintainer = \"{MAINTAINER}\"")));
        let version = super::super::version(&manifest).unwrap();
        let debian = debian(&text, &version, "Sun, 29 Nov 2026 05:00:00 +0000").unwrap();
        assert!(debian.lines().filter(|line| line.starts_with("  * ")).count() > 3, "{debian}");
    }
}
