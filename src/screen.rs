//! Output for people: plain lines and, on a terminal, a progress bar below them.
//!
//! Log lines are written through here too, so that they do not overwrite a bar. Lines go through
//! the queue of the log: a reader that has stopped reading stops nobody.

use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use logger::{Sink, Stream};

/// How often the progress is printed as a plain line, where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Redraws per second: smooth enough, and cheap.
const DRAWS_PER_SECOND: u8 = 10;

/// Standard output with bars; cheap to clone.
#[derive(Clone, Debug)]
pub struct Screen {
    bars: MultiProgress,
    is_terminal: bool,
}

impl Screen {
    /// The screen of this process.
    #[must_use]
    pub fn new() -> Self {
        let is_terminal = io::stdout().is_terminal() && io::stderr().is_terminal();
        let target = if is_terminal {
            ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND)
        } else {
            ProgressDrawTarget::hidden()
        };
        Self { bars: MultiProgress::with_draw_target(target), is_terminal }
    }

    /// Writes one plain line to standard output.
    pub fn say(&self, line: impl AsRef<str>) {
        logger::say(Stream::Output, line.as_ref());
    }

    /// Returns what writes lines to the standard streams, above any bar.
    ///
    /// # Errors
    /// The OS error where there is no file descriptor left.
    pub fn sink(&self) -> io::Result<Sink> {
        let mut streams = logger::standard_streams()?;
        if !self.is_terminal {
            return Ok(streams);
        }
        let bars = self.bars.clone();
        Ok(Box::new(move |stream, bytes| bars.suspend(|| streams(stream, bytes))))
    }

    /// A bar for work of `total` steps, below the lines printed so far.
    #[must_use]
    pub fn bar(&self, what: &'static str, total: u64) -> Bar {
        let bar = self.bars.add(ProgressBar::new(total));
        let style = "{prefix:10} [{bar:30}] {human_pos}/{human_len} {msg}, {eta} left";
        bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| {
            // The template is a literal. If it is invalid, a plain bar is better than none.
            ProgressStyle::default_bar()
        }));
        bar.set_prefix(what);
        Bar { screen: self.clone(), bar, what, last_line: Instant::now() }
    }
}

impl Default for Screen {
    fn default() -> Self {
        Self::new()
    }
}

/// The progress of one step; removed from the screen when dropped.
#[derive(Debug)]
pub struct Bar {
    screen: Screen,
    bar: ProgressBar,
    what: &'static str,
    last_line: Instant,
}

impl Bar {
    /// Shows the position, with a few words next to it.
    pub fn set(&mut self, position: u64, words: String) {
        self.bar.set_position(position);
        if !self.screen.is_terminal && self.last_line.elapsed() >= LINE_EVERY {
            let total = self.bar.length().unwrap_or(0);
            let (position, total) = (HumanCount(position), HumanCount(total));
            self.screen.say(format!("{}: {position} of {total}, {words}", self.what));
            self.last_line = Instant::now();
        }
        self.bar.set_message(words);
    }

    /// Changes how many steps there are.
    pub fn set_total(&self, total: u64) {
        self.bar.set_length(total);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
