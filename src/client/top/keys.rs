//! The keys, what each asks for, and the help that says so. Pure.

/// A key, as far as it means something here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Key {
    Char(char),
    Enter,
    Escape,
    Tab,
    BackTab,
    Backspace,
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-L.
    Redraw,
}

/// A part of the screen with keys of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Panel {
    Links,
    Grid,
    Moves,
    Events,
    Nodes,
    Problems,
}

impl Panel {
    /// All, in the order of their numbers.
    pub(super) const ALL: [Self; 6] =
        [Self::Links, Self::Grid, Self::Moves, Self::Events, Self::Nodes, Self::Problems];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Links => "links",
            Self::Grid => "vBuckets",
            Self::Moves => "moves",
            Self::Events => "events",
            Self::Nodes => "nodes",
            Self::Problems => "problems",
        }
    }

    /// The one after it, or before it.
    pub(super) fn beside(self, is_next: bool) -> Self {
        let by = if is_next { 1 } else { Self::ALL.len() - 1 };
        let at = Self::ALL.iter().position(|panel| *panel == self).unwrap_or_default();
        Self::ALL.iter().cycle().nth(at + by).copied().unwrap_or(self)
    }
}

/// A movement within a panel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Motion {
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    First,
    Last,
}

/// What a key asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Action {
    Quit,
    /// Closes what is open, else quits.
    Back,
    Help,
    Pause,
    Redraw,
    Focus(Panel),
    Beside {
        is_next: bool,
    },
    Move(Motion),
    Bucket {
        is_next: bool,
    },
    Sort,
    Reverse,
    Filter,
    GoTo,
    /// To the next vBucket that is in trouble, or to the one before.
    Trouble {
        is_next: bool,
    },
    Open,
}

/// What a key asks for where no text is typed.
pub(super) fn action(key: Key) -> Option<Action> {
    Some(match key {
        Key::Interrupt | Key::Char('q') => Action::Quit,
        Key::Escape => Action::Back,
        Key::Redraw => Action::Redraw,
        Key::Tab => Action::Beside { is_next: true },
        Key::BackTab => Action::Beside { is_next: false },
        Key::Enter => Action::Open,
        Key::Up | Key::Char('k') => Action::Move(Motion::Up),
        Key::Down | Key::Char('j') => Action::Move(Motion::Down),
        Key::Left | Key::Char('h') => Action::Move(Motion::Left),
        Key::Right | Key::Char('l') => Action::Move(Motion::Right),
        Key::PageUp => Action::Move(Motion::PageUp),
        Key::PageDown => Action::Move(Motion::PageDown),
        Key::Home => Action::Move(Motion::First),
        Key::End => Action::Move(Motion::Last),
        Key::Backspace => return None,
        Key::Char(c) => return letter(c),
    })
}

fn letter(c: char) -> Option<Action> {
    Some(match c {
        '?' => Action::Help,
        'p' | ' ' => Action::Pause,
        'b' => Action::Bucket { is_next: true },
        'B' => Action::Bucket { is_next: false },
        's' => Action::Sort,
        'r' => Action::Reverse,
        '/' => Action::Filter,
        'g' => Action::GoTo,
        'n' => Action::Trouble { is_next: true },
        'N' => Action::Trouble { is_next: false },
        c => {
            let number = c.to_digit(10).and_then(|digit| digit.checked_sub(1))?;
            Action::Focus(Panel::ALL.get(usize::try_from(number).ok()?).copied()?)
        }
    })
}

/// The help: keys, and what they do.
pub(super) const HELP: [(&str, &str); 14] = [
    ("1 to 6, Tab", "choose a panel: links, vBuckets, moves, events, nodes, problems"),
    ("arrows, hjkl", "move in the panel; also PageUp, PageDown, Home, End"),
    ("s", "sort the links by the next column"),
    ("r", "reverse the order of the links"),
    ("/", "filter the links by words of their row; Enter keeps it, Esc drops it"),
    ("b, B", "choose the next bucket, or the one before"),
    ("g", "go to a vBucket by its number"),
    ("n, N", "go to the next vBucket in trouble, or to the one before"),
    ("Enter", "show or hide the details of the chosen vBucket"),
    ("p, space", "pause the display, or continue; nothing is asked while it is paused"),
    ("Ctrl-L", "draw everything again"),
    ("?", "show or hide this help"),
    ("Esc", "close what is open, else quit"),
    ("q, Ctrl-C", "quit"),
];

/// What stands below the help.
pub(super) const ACTS: &str = "\
top only reads. These subcommands of dcp-proxy act: takeover, move, pause, resume, restart, \
replicate, drain, connections, reload, log-level, config save and discard. \
? in place of a value: it is not known.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_have_numbers_and_follow_each_other() {
        for (at, panel) in Panel::ALL.into_iter().enumerate() {
            let digit = char::from_digit(u32::try_from(at).unwrap() + 1, 10).unwrap();
            assert_eq!(action(Key::Char(digit)), Some(Action::Focus(panel)));
            assert_eq!(panel.beside(true).beside(false), panel);
        }
        assert_eq!(Panel::Problems.beside(true), Panel::Links);
        for nothing in ['0', '7', '9', 'x', '\u{e9}'] {
            assert_eq!(action(Key::Char(nothing)), None, "{nothing}");
        }
    }

    #[test]
    fn every_letter_of_the_help_asks_for_something() {
        let letters = HELP.iter().flat_map(|(keys, _)| keys.split(", "));
        let letters =
            letters.filter(|key| key.chars().count() == 1).map(|key| key.chars().next().unwrap());
        let mut count = 0;
        for letter in letters {
            assert!(action(Key::Char(letter)).is_some(), "{letter}");
            count += 1;
        }
        assert_eq!(count, 11);
    }
}
