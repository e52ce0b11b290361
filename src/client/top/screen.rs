//! The terminal: taken, drawn on, and given back as it was, however the program ends.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::style::{Attribute, Color as Colour, Print, SetAttribute, SetForegroundColor};
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{QueueableCommand as _, queue};
use ratatui_core::buffer::{Buffer, Cell};
use ratatui_core::style::{Color, Modifier, Style};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::termios::tcgetwinsize;

use super::text::{CUT, LEVELS, RULE};

/// The size where the terminal does not know its own.
const SIZE_DEFAULT: (u16, u16) = (80, 24);
/// More cells than any screen has; a larger one is drawn on in part.
const SIDE_MAX: u16 = 1000;

/// What stands for the levels where there is ASCII only.
const ASCII_LEVELS: [&str; 8] = ["_", ".", ".", "-", "-", "=", "=", "#"];

/// Whether the terminal is to be given back.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal while it is taken. It is given back when this is dropped.
pub(super) struct Screen {
    /// Standard output without the lock and the buffer of the standard library.
    out: File,
    shown: Option<Buffer>,
    has_unicode: bool,
}

/// Whether there is a terminal to draw on and to read keys from.
pub(super) fn is_terminal() -> bool {
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stdin().is_terminal() && io::stdout().is_terminal() && !is_dumb
}

/// Columns and rows of the terminal.
pub(super) fn size() -> io::Result<(u16, u16)> {
    let size = tcgetwinsize(io::stdout())?;
    Ok(match (size.ws_col, size.ws_row) {
        (0, _) | (_, 0) => SIZE_DEFAULT,
        (columns, rows) => (columns.min(SIDE_MAX), rows.min(SIDE_MAX)),
    })
}

impl Screen {
    /// Takes the terminal.
    pub(super) fn take() -> io::Result<Self> {
        let out = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        IS_TAKEN.store(true, Ordering::SeqCst);
        let mut screen = Self { out, shown: None, has_unicode: has_unicode() };
        enable_raw_mode()?;
        let mut bytes = Vec::new();
        queue!(bytes, EnterAlternateScreen, Hide)?;
        screen.out.write_all(&bytes)?;
        Ok(screen)
    }

    /// Draws the whole at the next time.
    pub(super) fn forget(&mut self) {
        self.shown = None;
    }

    /// Writes what differs from what is shown, at once.
    pub(super) fn draw(&mut self, next: Buffer) -> io::Result<()> {
        let mut bytes = Vec::new();
        let shown = self.shown.take().filter(|shown| shown.area() == next.area());
        let shown = match shown {
            Some(shown) => shown,
            None => {
                queue!(bytes, SetAttribute(Attribute::Reset), Clear(ClearType::All))?;
                Buffer::empty(*next.area())
            }
        };
        let (mut at, mut style) = (None, Style::reset());
        for (x, y, cell) in shown.diff(&next) {
            if at != Some((x, y)) {
                bytes.queue(MoveTo(x, y))?;
            }
            if style != cell.style() {
                style = cell.style();
                set_style(&mut bytes, style)?;
            }
            let symbol = if self.has_unicode { cell.symbol() } else { ascii(cell) };
            bytes.queue(Print(symbol))?;
            // After a wide character the terminal is asked for the place of the next one.
            at = symbol.is_ascii().then_some((x + 1, y));
        }
        if !bytes.is_empty() {
            bytes.queue(SetAttribute(Attribute::Reset))?;
            self.out.write_all(&bytes)?;
        }
        self.shown = Some(next);
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the terminal back as it was, if it is taken. Errors cannot be helped: it may be gone.
pub(super) fn give_back() {
    if !IS_TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    // This waits for nothing; a terminal that takes no output blocks what follows.
    _ = disable_raw_mode();
    let mut bytes = Vec::new();
    _ = queue!(bytes, SetAttribute(Attribute::Reset), LeaveAlternateScreen, Show);
    if let Ok(out) = io::stdout().as_fd().try_clone_to_owned() {
        _ = File::from(out).write_all(&bytes);
    }
}

/// The same for a terminal that takes no output, as after Ctrl-S: it waits for nothing.
pub(super) fn give_back_at_once() {
    let out = io::stdout();
    let flags = fcntl_getfl(&out).ok();
    if let Some(flags) = flags {
        _ = fcntl_setfl(&out, flags | OFlags::NONBLOCK);
    }
    give_back();
    if let Some(flags) = flags {
        _ = fcntl_setfl(&out, flags);
    }
}

fn set_style(bytes: &mut Vec<u8>, style: Style) -> io::Result<()> {
    bytes.queue(SetAttribute(Attribute::Reset))?;
    for (modifier, attribute) in [
        (Modifier::BOLD, Attribute::Bold),
        (Modifier::DIM, Attribute::Dim),
        (Modifier::REVERSED, Attribute::Reverse),
    ] {
        if style.add_modifier.contains(modifier) {
            bytes.queue(SetAttribute(attribute))?;
        }
    }
    let colour = match style.fg {
        Some(Color::Red) => Colour::DarkRed,
        Some(Color::Yellow) => Colour::DarkYellow,
        Some(Color::Green) => Colour::DarkGreen,
        Some(Color::Cyan) => Colour::DarkCyan,
        _ => return Ok(()),
    };
    bytes.queue(SetForegroundColor(colour))?;
    Ok(())
}

/// Whether the terminal takes UTF-8, as the locale says.
fn has_unicode() -> bool {
    let set = |name: &&str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(set);
    is_utf8(locale.as_deref())
}

/// Without a locale, as in containers, the terminal is a modern one nearly always.
fn is_utf8(locale: Option<&str>) -> bool {
    let Some(locale) = locale else { return true };
    let locale = locale.to_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// A cell for a terminal that has ASCII only.
fn ascii(cell: &Cell) -> &str {
    match cell.symbol() {
        symbol if symbol.is_ascii() => symbol,
        RULE => "-",
        CUT => "~",
        symbol => {
            let level = LEVELS.iter().position(|level| *level == symbol);
            level.and_then(|at| ASCII_LEVELS.get(at)).copied().unwrap_or("?")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_says_what_the_terminal_takes() {
        for (locale, expected) in [
            (None, true),
            (Some("en_US.UTF-8"), true),
            (Some("C.utf8"), true),
            (Some("C"), false),
            (Some("POSIX"), false),
            (Some("de_DE.ISO-8859-1"), false),
        ] {
            assert_eq!(is_utf8(locale), expected, "{locale:?}");
        }
    }

    #[test]
    fn every_sign_of_ours_has_one_of_ascii() {
        for symbol in ["a", RULE, CUT, "\u{7bc0}"].iter().chain(&LEVELS) {
            let mut cell = Cell::default();
            cell.set_symbol(symbol);
            let shown = ascii(&cell);
            assert_eq!((shown.len(), shown.is_ascii()), (1, true), "{symbol}");
            assert_eq!(shown == "?", *symbol == "\u{7bc0}", "{symbol}");
        }
    }
}
