//! Styles. Colour only repeats what a word, a sign or a letter says.

use ratatui_core::style::{Color, Modifier, Style};

/// How things look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::client::top) struct Theme {
    /// Whether colours may be used (`NO_COLOR`).
    pub(in crate::client::top) has_colour: bool,
}

impl Theme {
    fn fg(self, colour: Color) -> Style {
        if self.has_colour { Style::new().fg(colour) } else { Style::new() }
    }

    /// Of a problem or a state: the words of the API.
    pub(super) fn severity(self, severity: &str) -> Style {
        match severity {
            "error" => self.fg(Color::Red).add_modifier(Modifier::BOLD),
            "warning" | "warn" => self.fg(Color::Yellow).add_modifier(Modifier::BOLD),
            "ok" | "healthy" => self.fg(Color::Green),
            "notice" => self.fg(Color::Cyan),
            _ => Style::new(),
        }
    }

    /// A title or a name.
    #[expect(clippy::unused_self, reason = "as the others are asked for")]
    pub(super) const fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// What has the keys, or is chosen.
    #[expect(clippy::unused_self, reason = "as the others are asked for")]
    pub(super) const fn focus(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// What is of less interest.
    #[expect(clippy::unused_self, reason = "as the others are asked for")]
    pub(super) const fn faint(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }
}

/// The sign of a severity, which says the same without colour.
pub(super) fn sign(severity: &str) -> &'static str {
    match severity {
        "error" => "!!",
        "warning" | "warn" => "! ",
        _ => "i ",
    }
}
