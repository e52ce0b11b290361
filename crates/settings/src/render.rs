//! A problem with the line of the file that it is in, and a caret below what is wrong.

use std::path::Path;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use crate::problem::{Place, Problem};

/// The block of text for one problem; `shown` is the text of the file without secrets.
pub(crate) fn block(problem: &Problem, path: &Path, shown: &str) -> String {
    let path = path.display().to_string();
    let title = Level::ERROR.primary_title(problem.message());
    let group = match &problem.place {
        Place::Whole if path.is_empty() => return format!("error: {}", problem.message()),
        Place::Whole => return format!("error: {path}: {}", problem.message()),
        Place::Variable(name) => title
            .element(Level::NOTE.message(format!("the value is from environment variable {name}"))),
        Place::Line { begin, end, .. } => {
            let span = *begin..(*end).max(*begin);
            let caret = AnnotationKind::Primary.span(span);
            title.element(Snippet::source(shown).path(path).annotation(caret))
        }
    };
    Renderer::plain().render(&[group])
}
