//! Records what passes a link: the handshakes, the frames of both peers, and our own.
//!
//! A [`Recorder`] belongs to one link for as long as its process runs, over all its incarnations.
//! It always keeps the last frames that a judge sees (`ring`) and the present handshake (`recent`),
//! and on request the last data (`runs`). A [`Recording`] gets everything from its begin on
//! (`queue`), and makes frames of it when it is read (`frames`). `peer` is what pumps and
//! handshakes call. While there is no recording, a pump pays one load and one branch for each
//! read, and copies a judged frame into the ring, with its verdict.
//!
//! Nobody waits for the reader of a recording: what does not fit is left out, and counted.

mod entry;
mod frames;
mod peer;
mod queue;
mod recent;
mod ring;
mod runs;

use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use mcbp::Side;

use self::entry::{Decision, Entry, Kind};
use self::frames::Assembler;
use self::queue::Queue;
use self::recent::Recent;
use self::ring::Head;

pub use self::frames::{Gap, Seen};
pub use self::peer::PeerRecorder;

/// What [`Recorder::wants`] has: control frames.
const CONTROL: u8 = 1;
/// What [`Recorder::wants`] has: everything.
const ALL: u8 = 2;

/// The most that a link keeps of its last control frames, in bytes: the set-up of some 250 streams.
pub const RING_BYTES: usize = 128 * 1024;
/// What a recording may hold for its reader, in bytes: 8 ms of the fastest link that was measured,
/// or minutes of a usual one.
pub const QUEUE_BYTES: usize = 8 * 1024 * 1024;

/// Bytes that all recorders of a process may keep of the past together.
#[derive(Debug)]
pub struct Budget(AtomicUsize);

impl Budget {
    /// A budget of so many bytes.
    #[must_use]
    pub const fn new(bytes: usize) -> Self {
        Self(AtomicUsize::new(bytes))
    }

    /// Takes `bytes`; returns whether they were there.
    fn take(&self, bytes: usize) -> bool {
        self.0.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(bytes)).is_ok()
    }

    fn give(&self, bytes: usize) {
        self.0.fetch_add(bytes, Relaxed);
    }
}

/// Records what passes one link.
#[derive(Debug)]
pub struct Recorder {
    /// What is wanted now: 0, [`CONTROL`], or [`ALL`].
    wants: AtomicU8,
    /// The number of the next entry.
    next: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    recent: Recent,
    /// What is open, by the numbers of [`Recording`].
    queues: Vec<(u64, Queue)>,
    next_queue: u64,
}

impl Recorder {
    /// A recorder that keeps the handshake and [`RING_BYTES`] of control frames, and `data_bytes`
    /// of all other frames, as far as the budget allows.
    #[must_use]
    pub fn new(data_bytes: usize, budget: Arc<Budget>) -> Self {
        let state = State { recent: Recent::new(budget), queues: Vec::new(), next_queue: 0 };
        let (wants, next) = (AtomicU8::new(CONTROL), AtomicU64::new(0));
        let recorder = Self { wants, next, state: Mutex::new(state) };
        recorder.keep(data_bytes);
        recorder
    }

    /// Changes how many bytes of data frames are kept; 0 for control frames only.
    pub fn keep(&self, data_bytes: usize) {
        let mut state = self.state();
        state.recent.runs.set_limit(data_bytes, self.next.load(Relaxed));
        self.set_wants(&state);
    }

    /// How many bytes of data frames are kept.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        self.state().recent.runs.limit()
    }

    /// Begins a recording that holds at most `queue_bytes` for its reader. With `last` it begins
    /// with what is kept of the past.
    #[must_use]
    pub fn record(self: &Arc<Self>, queue_bytes: usize, last: bool) -> Recording {
        let mut state = self.state();
        let id = state.next_queue;
        state.next_queue += 1;
        let past = if last { state.recent.read() } else { Vec::new() };
        let since = self.next.load(Relaxed);
        state.queues.push((id, Queue::new(queue_bytes, since, past)));
        self.set_wants(&state);
        drop(state);
        Recording { recorder: Arc::clone(self), id, frames: Assembler::default() }
    }

    /// Tells that a new incarnation of the link begins: its handshake replaces the kept one.
    pub fn begins(&self) {
        self.state().recent.begins(self.next.load(Relaxed));
    }

    /// Returns the recorder of what `side` sends and gets.
    #[must_use]
    pub fn of(self: &Arc<Self>, side: Side) -> PeerRecorder {
        PeerRecorder::new(Arc::clone(self), side)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_wants(&self, state: &State) {
        let all = state.recent.runs.is_on() || !state.queues.is_empty();
        self.wants.store(if all { ALL } else { CONTROL }, Relaxed);
    }

    fn push(&self, side: Side, kind: Kind, frames: usize, bytes: &Bytes) {
        let at = Instant::now();
        let mut state = self.state();
        let number = self.next.fetch_add(1, Relaxed);
        let State { recent, queues, .. } = &mut *state;
        let entry = || Entry { number, at, side, kind, frames, bytes: bytes.clone() };
        for (_, queue) in queues {
            queue.push(&entry());
        }
        match kind {
            Kind::Run { .. } if recent.runs.is_on() => recent.runs.push(entry()),
            Kind::Run { .. } => {}
            Kind::Asked | Kind::Answered => recent.push_setup(entry()),
            _ => recent.ring.push(Head { number, at, side, kind }, bytes),
        }
    }

    /// Notes that a control frame waits for its verdict.
    fn noted(&self, side: Side, wants: u8, is_pulse: bool, frame: &[u8]) -> Noted {
        let at = Instant::now();
        let is_offered = wants == ALL;
        let number = match is_offered {
            true => self.offer(side, at, frame),
            false => self.next.fetch_add(1, Relaxed),
        };
        Noted { number, at, is_pulse, is_offered }
    }

    /// Gives the frame to all who record: it keeps its place until its verdict is known.
    #[cold]
    #[inline(never)]
    fn offer(&self, side: Side, at: Instant, frame: &[u8]) -> u64 {
        let bytes = Bytes::copy_from_slice(frame);
        let mut state = self.state();
        let number = self.next.fetch_add(1, Relaxed);
        let kind = Kind::Control(Decision::Pending);
        let entry = Entry { number, at, side, kind, frames: 1, bytes };
        state.queues.iter_mut().for_each(|(_, queue)| queue.push(&entry));
        number
    }

    /// Records what became of the frame.
    fn decided(&self, noted: &Noted, side: Side, decision: Decision, frame: &[u8]) {
        let &Noted { number, at, is_pulse, is_offered } = noted;
        let kind = Kind::Control(decision);
        let mut state = self.state();
        if is_pulse || is_offered || !state.queues.is_empty() {
            let bytes = Bytes::copy_from_slice(frame);
            let entry = Entry { number, at, side, kind, frames: 1, bytes };
            state.decided(entry, is_offered, is_pulse);
        }
        if !is_pulse {
            state.recent.ring.push(Head { number, at, side, kind }, frame);
        }
    }
}

impl State {
    #[cold]
    #[inline(never)]
    fn decided(&mut self, entry: Entry, was_offered: bool, is_pulse: bool) {
        for (_, queue) in &mut self.queues {
            queue.decided(&entry, was_offered);
        }
        if is_pulse && self.recent.runs.is_on() {
            self.recent.runs.push(entry);
        }
    }
}

/// A control frame that waits for its verdict.
#[derive(Debug)]
struct Noted {
    number: u64,
    at: Instant,
    /// Whether it is kept with the data only.
    is_pulse: bool,
    /// Whether the queues have it already.
    is_offered: bool,
}

impl Default for Recorder {
    /// A recorder that keeps nothing of the past.
    fn default() -> Self {
        let recorder = Self::new(0, Arc::new(Budget::new(0)));
        recorder.wants.store(0, Relaxed);
        recorder
    }
}

/// What passes a link from its begin on. Dropping it ends the recording.
#[derive(Debug)]
pub struct Recording {
    recorder: Arc<Recorder>,
    id: u64,
    frames: Assembler,
}

impl Recording {
    /// Passes on what was recorded since the last call, in order, but not much more than `bytes` of
    /// it. Returns whether there may be more already.
    pub fn read(&mut self, bytes: usize, each: &mut dyn FnMut(Seen<'_>)) -> bool {
        let taken = {
            let mut state = self.recorder.state();
            let own = state.queues.iter_mut().find(|(id, _)| *id == self.id);
            own.map(|(_, queue)| queue.take(bytes)).unwrap_or_default()
        };
        let is_more = !taken.is_empty();
        for entry in taken {
            self.frames.take(&entry, each);
        }
        is_more
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let mut state = self.recorder.state();
        state.queues.retain(|(id, _)| *id != self.id);
        self.recorder.set_wants(&state);
    }
}

#[cfg(test)]
mod tests;
