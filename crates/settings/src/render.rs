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
    let Place::Line { begin, end, .. } = problem.place else {
        return format!("error: {}", problem.within(path));
    };
    let caret = AnnotationKind::Primary.span(begin..end.max(begin));
    let snippet = Snippet::source(shown).path(path.display().to_string()).annotation(caret);
    let title = Level::ERROR.primary_title(problem.message());
    Renderer::plain().render(&[title.element(snippet)])
}
