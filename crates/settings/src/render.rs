//! A problem with the line of the file that it is in, and a caret below what is wrong.

use std::path::Path;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use crate::problem::{Place, Problem, Problems, SHOWN_MAX};

impl Problems {
    /// Every problem with its lines of the file, for people.
    #[must_use]
    pub fn rendered(&self) -> String {
        let shown = self.list.iter().take(SHOWN_MAX);
        let mut blocks: Vec<String> =
            shown.map(|problem| block(problem, &self.path, &self.shown)).collect();
        blocks.extend(self.more());
        blocks.join("\n\n")
    }
}

/// The block of text for one problem; `shown` is the text of the file without secrets.
fn block(problem: &Problem, path: &Path, shown: &str) -> String {
    let Place::Line { line, begin, end, .. } = problem.place else {
        return format!("error: {}", problem.within(path));
    };
    let (before, after) = shown.split_at_checked(begin).unwrap_or((shown, ""));
    let from = before.rfind('\n').map_or(0, |newline| newline + 1);
    let end = end.max(begin);
    let rest_of_line = shown.get(end..).unwrap_or_default().find('\n');
    let to = rest_of_line.map_or(shown.len(), |length| end + length);
    let lines = shown.get(from..to).unwrap_or(after);
    let caret = AnnotationKind::Primary.span(begin - from..end - from);
    let snippet = Snippet::source(lines).line_start(line).path(path.display().to_string());
    let snippet = snippet.annotation(caret);
    let title = Level::ERROR.primary_title(problem.message());
    Renderer::plain().render(&[title.element(snippet)])
}
