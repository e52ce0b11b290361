//! What `top` knows and what is chosen: read by the drawing, changed by the machine alone. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use super::answers::{Bucket, Detail, Events, Happened, History, Legend, Link, Overview, Past};
use super::keys::Panel;
use super::links::{self, Sort};

/// How many events are kept.
const EVENTS_MAX: usize = 500;

/// A time: since the start of the program, and by the clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Moment {
    pub(super) up: Duration,
    /// Milliseconds since 1970.
    pub(super) wall_ms: u64,
}

/// Text that is being typed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Input {
    /// The filter of the links; it works while it is typed.
    Filter,
    /// The number of a vBucket.
    GoTo(String),
}

/// What is chosen.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) panel: Panel,
    /// The name of the bucket in the grid; the first one where it is not there.
    pub(super) bucket: Option<String>,
    /// The vBucket in the grid.
    pub(super) cursor: u16,
    /// The name of the chosen link.
    pub(super) link: Option<String>,
    pub(super) sort: Sort,
    pub(super) is_reversed: bool,
    pub(super) filter: String,
    pub(super) input: Option<Input>,
    pub(super) help: bool,
    pub(super) detail: bool,
    /// How many rows of a list are above the screen; of the events, below it.
    pub(super) skipped: usize,
    /// Since when the display stands still.
    pub(super) paused: Option<Moment>,
}

impl Default for View {
    fn default() -> Self {
        Self {
            panel: Panel::Links,
            bucket: None,
            cursor: 0,
            link: None,
            sort: Sort::default(),
            is_reversed: false,
            filter: String::new(),
            input: None,
            help: false,
            detail: false,
            skipped: 0,
            paused: None,
        }
    }
}

/// The details of one vBucket, or why they cannot be had.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    pub(super) bucket: String,
    pub(super) vbucket: u16,
    pub(super) detail: Result<Detail, String>,
}

/// Why the sidecar is shown as one that does not answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Lost {
    /// When it last answered, or the start of the program.
    pub(super) since: Moment,
    /// Whether it has answered before.
    pub(super) was_heard: bool,
    pub(super) why: String,
}

/// Everything that is drawn.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) url: String,
    /// Columns and rows of the terminal.
    pub(super) size: (u16, u16),
    pub(super) now: Moment,
    pub(super) view: View,
    pub(super) overview: Option<Overview>,
    pub(super) legend: Vec<Legend>,
    pub(super) history: Option<History>,
    /// Oldest first.
    pub(super) events: VecDeque<Happened>,
    /// The position after the last event that was read.
    pub(super) events_next: Option<String>,
    /// Why the events or the past cannot be had.
    pub(super) events_error: Option<String>,
    pub(super) history_error: Option<String>,
    pub(super) chosen: Option<Chosen>,
    pub(super) lost: Option<Lost>,
}

impl State {
    /// The bucket that the grid shows.
    pub(super) fn bucket(&self) -> Option<&Bucket> {
        let buckets = &self.overview.as_ref()?.buckets;
        let named = buckets.iter().find(|bucket| Some(&bucket.bucket) == self.view.bucket.as_ref());
        named.or_else(|| buckets.first())
    }

    /// The states of its vBuckets.
    pub(super) fn states(&self) -> Option<&str> {
        self.bucket()?.states.as_deref()
    }

    /// The links in their order, without those that the filter hides.
    pub(super) fn links(&self) -> Vec<&Link> {
        let all = self.overview.as_ref().map(|overview| overview.links.as_slice());
        let View { filter, sort, is_reversed, .. } = &self.view;
        links::arranged(all.unwrap_or_default(), filter, *sort, *is_reversed)
    }

    /// Where the chosen link is among those: the first where it is not there.
    pub(super) fn link_at(&self, shown: &[&Link]) -> usize {
        let is_it = |link: &&Link| Some(links::name(link)) == self.view.link;
        shown.iter().position(is_it).unwrap_or_default()
    }

    /// The past of a link.
    pub(super) fn past(&self, link: &Link) -> Option<&Past> {
        let is_it = |past: &&Past| {
            (&past.bucket, &past.producer, past.connection)
                == (&link.bucket, &link.producer, link.connection)
        };
        self.history.as_ref()?.links.iter().find(is_it)
    }

    /// The meaning of a character of the states.
    pub(super) fn meaning(&self, c: char) -> Option<&Legend> {
        self.legend.iter().find(|legend| legend.char == c)
    }

    /// Whether a state needs an operator, as far as the sidecar says.
    pub(super) fn is_trouble(&self, c: char) -> bool {
        self.meaning(c).is_none_or(|it| matches!(it.severity.as_str(), "error" | "warning"))
    }

    /// How many rows the chosen panel has, where it is a plain list.
    pub(super) fn rows(&self) -> usize {
        let Some(overview) = &self.overview else { return 0 };
        match self.view.panel {
            Panel::Links | Panel::Grid => 0,
            Panel::Moves => overview.moves.len(),
            Panel::Events => self.events.len(),
            // Two lines each.
            Panel::Nodes => (overview.producers.len() + overview.embedded.len() + 1) * 2,
            Panel::Problems => overview.problems.as_ref().map_or(0, Vec::len) * 3,
        }
    }

    /// Takes events that were read. A list that was scrolled stays where it is.
    pub(super) fn take_events(&mut self, read: Events) {
        let gap = read.gap.map(|gap| Happened {
            kind: "gap".to_owned(),
            text: gap.text,
            ..Happened::default()
        });
        let new: Vec<_> = gap.into_iter().chain(read.events).collect();
        if self.view.panel == Panel::Events && self.view.skipped > 0 {
            self.view.skipped += new.len();
        }
        self.events.extend(new);
        let extra = self.events.len().saturating_sub(EVENTS_MAX);
        self.events.drain(..extra);
        if self.view.panel == Panel::Events {
            self.view.skipped = self.view.skipped.min(self.events.len().saturating_sub(1));
        }
        self.events_next = read.next.or(self.events_next.take());
    }
}
