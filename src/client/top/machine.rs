//! The machine of `top`: keys, answers and time in; requests, drawings and the end out. Pure.

use std::time::Duration;

use serde::Deserialize as _;
use serde_json::Value;

use super::answers::{Detail, Events, History, Overview};
use super::asking::{Asking, LATE, Request, Wanted};
use super::choose::{self, Next};
use super::keys::Key;
use super::state::{Chosen, Lost, Moment, State};
use crate::client::error::Exit;

/// The shortest time between two drawings, for slow connections.
const DRAW_EVERY: Duration = Duration::from_millis(250);
/// The longest wait: a clock on the screen may go on.
const WAKE_MAX: Duration = Duration::from_secs(1);

/// What happens.
#[derive(Debug)]
pub(super) enum Event {
    Key(Key),
    /// The terminal has this size.
    Size(u16, u16),
    /// The request in flight is over.
    Answer(Result<Value, Failure>),
    /// Time has passed.
    Tick,
    /// A signal asks the program to end.
    Stop,
}

/// Why there is no answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Failure {
    pub(super) text: String,
    /// The exit code, where asking again is in vain unless somebody acts.
    pub(super) lasting: Option<Exit>,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Effect {
    Ask(Request),
    Draw,
    /// Forgets what is on the screen: the next drawing is a whole one.
    Clear,
    Quit {
        exit: Exit,
        why: Option<String>,
    },
}

/// The machine.
#[derive(Debug)]
pub(super) struct Machine {
    state: State,
    asking: Asking,
    started: Moment,
    heard: Option<Moment>,
    /// Why the last overview failed.
    failed: Option<String>,
    /// The request in flight.
    asked: Option<Request>,
    is_dirty: bool,
    drawn: Option<Duration>,
}

impl Machine {
    pub(super) fn new(url: String, size: (u16, u16), every: Duration, now: Moment) -> Self {
        Self {
            state: State { url, size, now, ..State::default() },
            asking: Asking::new(every),
            started: now,
            heard: None,
            failed: None,
            asked: None,
            is_dirty: true,
            drawn: None,
        }
    }

    pub(super) const fn state(&self) -> &State {
        &self.state
    }

    /// Takes an event.
    pub(super) fn step(&mut self, now: Moment, event: Event) -> Vec<Effect> {
        self.state.now = now;
        let mut effects = Vec::new();
        match event {
            Event::Tick => {}
            Event::Stop => return vec![Effect::Quit { exit: Exit::Done, why: None }],
            Event::Size(columns, rows) => {
                self.state.size = (columns, rows);
                self.is_dirty = true;
                effects.push(Effect::Clear);
            }
            Event::Key(key) => {
                self.is_dirty = true;
                match choose::key(&mut self.state, key) {
                    Next::Quit => return vec![Effect::Quit { exit: Exit::Done, why: None }],
                    Next::Clear => effects.push(Effect::Clear),
                    Next::Ask => self.asking.hurry(now.up),
                    Next::Draw => {}
                }
            }
            Event::Answer(answer) => {
                if let Some(quit) = self.answer(answer) {
                    return vec![quit];
                }
            }
        }
        effects.extend(self.ask().map(Effect::Ask));
        self.look_at_silence();
        effects.extend(self.draw());
        effects
    }

    /// How long nothing has to be done.
    pub(super) fn wake(&self, now: Duration) -> Duration {
        let draw = self.is_dirty.then(|| self.drawn.map_or(now, |drawn| drawn + DRAW_EVERY));
        let ask = self.state.view.paused.is_none().then(|| self.asking.wake(now));
        let first = draw.into_iter().chain(ask).min().unwrap_or(now + WAKE_MAX);
        first.saturating_sub(now).min(WAKE_MAX)
    }

    fn ask(&mut self) -> Option<Request> {
        let State { view, overview, legend, events_next, .. } = &self.state;
        if view.paused.is_some() {
            return None;
        }
        let newest = overview.as_ref().and_then(|overview| overview.events_newest.as_ref());
        let has_new = newest.is_none_or(|newest| Some(newest) != events_next.as_ref());
        let bucket = self.state.bucket().filter(|_| view.detail).map(|it| it.bucket.clone());
        let wanted = Wanted {
            legend: legend.is_empty(),
            events: has_new.then(|| Request::Events { after: events_next.clone() }),
            detail: bucket.map(|bucket| Request::Detail { bucket, vbucket: view.cursor }),
        };
        let request = self.asking.next(self.state.now.up, &wanted)?;
        self.asked = Some(request.clone());
        Some(request)
    }

    fn answer(&mut self, answer: Result<Value, Failure>) -> Option<Effect> {
        let request = self.asked.take()?;
        let answer = answer.and_then(|body| self.take(&request, &body));
        let failure = answer.err();
        self.asking.answered(self.state.now.up, failure.is_none());
        if !matches!(request, Request::Overview { .. }) {
            if let Some(Failure { text, .. }) = failure {
                self.lacks(request, text);
            }
            return None;
        }
        match failure {
            None => {
                (self.heard, self.failed) = (Some(self.state.now), None);
                None
            }
            // Nothing to show yet, and waiting is in vain.
            Some(Failure { text, lasting: Some(exit) }) if self.heard.is_none() => {
                Some(Effect::Quit { exit, why: Some(text) })
            }
            Some(Failure { text, .. }) => {
                self.failed = Some(text);
                None
            }
        }
    }

    /// Notes why something besides the overview cannot be had.
    fn lacks(&mut self, request: Request, text: String) {
        if self.state.view.paused.is_some() {
            return;
        }
        self.is_dirty = true;
        match request {
            Request::Overview { .. } => {}
            Request::History => self.state.history_error = Some(text),
            Request::Events { .. } => self.state.events_error = Some(text),
            Request::Detail { bucket, vbucket } => {
                self.state.chosen = Some(Chosen { bucket, vbucket, detail: Err(text) });
            }
        }
    }

    /// Takes an answer into the state. While the display stands still nothing of it changes.
    fn take(&mut self, request: &Request, body: &Value) -> Result<(), Failure> {
        if self.state.view.paused.is_some() {
            return Ok(());
        }
        self.is_dirty = true;
        match request {
            Request::Overview { .. } => {
                let mut overview =
                    Overview::deserialize(body).map_err(|error| unexpected(&error))?;
                let before = self.state.overview.as_ref();
                let is_new = before.is_some_and(|it| it.uptime_ms > overview.uptime_ms);
                let legend = std::mem::take(&mut overview.legend);
                // Another process may be of another version.
                if is_new || !legend.is_empty() {
                    self.state.legend = legend;
                }
                self.state.overview = Some(overview);
                choose::within(&mut self.state);
            }
            Request::History => {
                let read = History::deserialize(body).map_err(|error| unexpected(&error))?;
                (self.state.history, self.state.history_error) = (Some(read), None);
            }
            Request::Events { .. } => {
                let read = Events::deserialize(body).map_err(|error| unexpected(&error))?;
                self.state.events_error = None;
                self.state.take_events(read);
            }
            Request::Detail { bucket, vbucket } => {
                let detail = Detail::deserialize(body).map_err(|error| unexpected(&error).text);
                let (bucket, vbucket) = (bucket.clone(), *vbucket);
                self.state.chosen = Some(Chosen { bucket, vbucket, detail });
            }
        }
        Ok(())
    }

    /// Notes whether the sidecar answers, and for how long it does not.
    fn look_at_silence(&mut self) {
        let now = self.state.now.up;
        let late = self.asking.waits(now).filter(|waits| *waits >= LATE);
        let why = match (&self.failed, late) {
            (Some(error), _) => Some(error.clone()),
            (None, Some(waits)) => {
                Some(format!("no answer within {} s", waits.as_secs_f32().floor()))
            }
            (None, None) => None,
        };
        let since = self.heard.unwrap_or(self.started);
        let was_heard = self.heard.is_some();
        let lost = why.filter(|_| self.state.view.paused.is_none()).map(|why| Lost {
            since,
            was_heard,
            why,
        });
        self.is_dirty |= lost != self.state.lost;
        // The time that is shown grows.
        let drawn = self.drawn.unwrap_or_default();
        self.is_dirty |= lost.is_some() && now.as_secs() != drawn.as_secs();
        self.state.lost = lost;
    }

    fn draw(&mut self) -> Option<Effect> {
        let now = self.state.now.up;
        let may = self.drawn.is_none_or(|drawn| now >= drawn + DRAW_EVERY);
        (may && std::mem::take(&mut self.is_dirty)).then(|| {
            self.drawn = Some(now);
            Effect::Draw
        })
    }
}

fn unexpected(error: &serde_json::Error) -> Failure {
    Failure { text: format!("unexpected answer of the sidecar: {error}"), lasting: None }
}
