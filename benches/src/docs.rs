//! Writes a program's report to its place in docs/performance.md.

use std::fs;
use std::io;
use std::path::Path;

/// Replaces the text between the marks of `program` in `performance.md` of `folder` by `report`.
///
/// # Errors
/// An I/O error; [`io::ErrorKind::InvalidData`] where the marks are missing.
pub fn put(folder: &Path, program: &str, report: &str) -> io::Result<()> {
    let path = folder.join("performance.md");
    let text = fs::read_to_string(&path)?;
    let replaced = replaced(&text, program, report).ok_or_else(|| {
        let text = format!("{}: the marks of {program} are missing", path.display());
        io::Error::new(io::ErrorKind::InvalidData, text)
    })?;
    fs::write(path, replaced)
}

/// Prints the report, and writes it into the documents of `folder`, if there is one.
///
/// # Errors
/// As [`put`].
pub fn tell(report: &str, folder: Option<&Path>, program: &str) -> io::Result<()> {
    println!("{report}");
    folder.map_or(Ok(()), |folder| put(folder, program, report))
}

fn replaced(text: &str, program: &str, report: &str) -> Option<String> {
    let begin = format!("<!-- {program} begins -->");
    let end = format!("<!-- {program} ends -->");
    let (before, rest) = text.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{report}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::replaced;

    #[test]
    fn only_what_stands_between_the_marks_is_replaced() {
        let text = "a\n<!-- x begins -->\nold\n<!-- x ends -->\nb\n";
        let want = "a\n<!-- x begins -->\nnew\n<!-- x ends -->\nb\n";
        assert_eq!(replaced(text, "x", "new\n").as_deref(), Some(want));
        assert_eq!(replaced(text, "y", "new\n"), None);
    }
}
