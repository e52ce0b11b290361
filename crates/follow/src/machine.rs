//! Follows the vBuckets of one node: which streams to ask for and when, what the user is told, and
//! when all is done.
//!
//! Methods are events; [`Follow::effect`] returns the effects in order. Within one run a change is
//! shown once, except after a rollback.

mod vb;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use mcbp::dcp::{FailoverEntry, stream_flags};
use mcbp::{Seqno, Status, StreamEndStatus, VbId, VbUuid};
use replica::backoff::Backoff;

use self::vb::{State, Vb};
use crate::{Notice, Track};

/// How long a node says that it has not a vBucket until that is believed, where an end was asked
/// for: one that moves or restarts has it soon.
pub const ABSENT_AFTER: Duration = Duration::from_secs(30);

/// When an event happens, and chance for the next delay.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Since any fixed time.
    pub at: Duration,
    /// From 0 to 1.
    pub random: f64,
}

/// Where following one vBucket ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Nowhere.
    Never,
    /// At this seqno, or the end of the snapshot that contains it.
    At(Seqno),
    /// At what the node had when the program began, here this seqno. After a rollback that is no
    /// longer its history: then what it has at that moment.
    Now(Seqno),
}

/// A stream to ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    /// The vBucket.
    pub vb: VbId,
    /// The last seqno that was received.
    pub after: Seqno,
    /// The last seqno that is wanted; [`Seqno::MAX`] for no end.
    pub to: Seqno,
    /// The branch of `after`.
    pub uuid: VbUuid,
    /// The snapshot that contains `after`.
    pub snapshot: (Seqno, Seqno),
    /// See [`stream_flags`].
    pub flags: u32,
}

/// An answer that no retry changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// To a request for a stream.
    Request(VbId, Status),
    /// The end of a stream.
    End(VbId, StreamEndStatus),
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Connect to the node.
    Connect,
    /// Ask for a stream.
    Request(Request),
    /// Tell the user.
    Say(Notice),
    /// The track of a vBucket, which changed by more than a change: it has another failover log, or
    /// was rolled back.
    Tracked(VbId, Box<Track>),
    /// End with an error.
    Fail(Refusal),
    /// End with an error: the node does not have these vBuckets, and the others have reached their
    /// end.
    Absent(Vec<VbId>),
    /// Every vBucket has reached its end.
    Done,
}

#[derive(Clone, Copy, Debug)]
enum Node {
    /// Not connected; to be connected at this time, unless it is being connected.
    Away { failures: u32, next: Option<Duration> },
    /// Connected since this time, after so many failures.
    There { since: Duration, failures: u32 },
}

/// See the module.
#[derive(Debug)]
pub struct Follow {
    /// By number of the vBucket.
    vbs: Vec<Option<Vb>>,
    node: Node,
    was_there: bool,
    backoff: Backoff,
    effects: VecDeque<Effect>,
    /// When the next vBucket is due, or earlier.
    wake: Option<Duration>,
    open_ends: usize,
}

impl Follow {
    /// Follows these vBuckets from there, each to its end.
    #[must_use]
    pub fn new(vbs: &BTreeMap<VbId, (Track, End)>, backoff: Backoff) -> Self {
        let size = vbs.keys().last().map_or(0, |vb| usize::from(vb.0) + 1);
        let mut slots: Vec<Option<Vb>> = std::iter::repeat_with(|| None).take(size).collect();
        for (vb, (track, end)) in vbs {
            if let Some(slot) = slots.get_mut(usize::from(vb.0)) {
                *slot = Some(Vb::new(track.clone(), *end));
            }
        }
        let open_ends = slots.iter().flatten().filter(|vb| !vb.is_done()).count();
        let first = if open_ends == 0 { Effect::Done } else { Effect::Connect };
        Self {
            vbs: slots,
            node: Node::Away { failures: 0, next: None },
            was_there: false,
            backoff,
            effects: VecDeque::from([first]),
            wake: None,
            open_ends,
        }
    }

    /// The next effect.
    pub fn effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When [`Follow::tick`] has something to do.
    #[must_use]
    pub const fn wake(&self) -> Option<Duration> {
        match self.node {
            Node::Away { next, .. } => next,
            Node::There { .. } => self.wake,
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Now) {
        match &mut self.node {
            Node::Away { next, .. } => {
                if next.is_some_and(|at| at <= now.at) {
                    *next = None;
                    self.effects.push_back(Effect::Connect);
                }
            }
            Node::There { .. } => self.request_due(now.at),
        }
    }

    /// The connection is open.
    pub fn connected(&mut self, now: Now) {
        if std::mem::replace(&mut self.was_there, true) {
            self.effects.push_back(Effect::Say(Notice::NodeBack));
        }
        let failures = if let Node::Away { failures, .. } = self.node { failures } else { 0 };
        self.node = Node::There { since: now.at, failures };
        self.request_due(now.at);
    }

    /// The connection was lost, or could not be opened.
    pub fn lost(&mut self, why: String, now: Now) {
        let failures = match self.node {
            Node::Away { failures, .. } => failures,
            Node::There { since, failures } => {
                self.effects.push_back(Effect::Say(Notice::NodeLost { why }));
                let lasted = now.at.saturating_sub(since) >= self.backoff.lasting(failures);
                if lasted { 0 } else { failures }
            }
        };
        self.vbs.iter_mut().flatten().for_each(Vb::node_lost);
        let next = Some(now.at + self.backoff.delay(failures, now.random));
        self.node = Node::Away { failures: failures.saturating_add(1), next };
        self.wake = None;
    }

    /// A stream is open.
    pub fn opened(&mut self, id: VbId, log: &[FailoverEntry], now: Now) {
        let Some(vb) = self.vb(id) else { return };
        vb.state = State::Open { since: now.at };
        vb.refused = None;
        vb.absent_since = None;
        vb.track.opened(log);
        let (track, is_at_end) = (Box::new(vb.track.clone()), vb.is_at_end());
        self.effects.push_back(Effect::Tracked(id, track));
        if is_at_end {
            self.done(id);
        }
    }

    /// A snapshot is announced.
    pub fn marker(&mut self, id: VbId, start: Seqno, end: Seqno) {
        if let Some(vb) = self.vb(id) {
            vb.track.marker(start, end);
        }
    }

    /// A change arrived, or an advance without one. Whether it is new.
    pub fn advance(&mut self, id: VbId, seqno: Seqno) -> bool {
        self.vb(id).is_some_and(|vb| vb.track.advance(seqno))
    }

    /// The snapshot of the last change that arrived.
    #[must_use]
    pub fn snapshot(&self, id: VbId) -> (Seqno, Seqno) {
        let vb = self.vbs.get(usize::from(id.0)).and_then(Option::as_ref);
        vb.map_or((Seqno::ZERO, Seqno::ZERO), |vb| vb.track.snapshot())
    }

    /// A stream has ended.
    pub fn ended(&mut self, id: VbId, status: StreamEndStatus, now: Now) {
        let backoff = self.backoff;
        let Some(vb) = self.vb(id) else { return };
        if status == StreamEndStatus::OK && std::mem::take(&mut vb.probes) {
            // The node has as much again.
            let at = vb.failed(backoff, now);
            return self.wake_at(at);
        }
        if vb.is_done() || (status == StreamEndStatus::OK && vb.has_end()) {
            return self.done(id);
        }
        if matches!(status, StreamEndStatus::FILTER_EMPTY | StreamEndStatus::LOST_PRIVILEGES) {
            self.effects.push_back(Effect::Fail(Refusal::End(id, status)));
            return;
        }
        let at = vb.failed(backoff, now);
        self.effects.push_back(Effect::Say(Notice::StreamEnd { vb: id, status }));
        self.wake_at(at);
    }

    /// The node has another history, the same up to `to`.
    pub fn rolled_back(&mut self, id: VbId, to: Seqno, now: Now) {
        let backoff = self.backoff;
        let Some(vb) = self.vb(id) else { return };
        let from = vb.track.seqno();
        let back = if to == Seqno::ZERO { vb.track.step_back() } else { None };
        let to = back.unwrap_or_else(|| vb.track.roll_back(to));
        (vb.rolled_back, vb.probes) = (true, false);
        // The first one is followed at once; one that does not help is no reason for a storm.
        let at = if to < from { vb.again(now) } else { vb.failed(backoff, now) };
        let track = Box::new(vb.track.clone());
        self.effects.push_back(Effect::Tracked(id, track));
        self.effects.push_back(Effect::Say(Notice::Rollback { vb: id, from, to }));
        self.wake_at(at);
    }

    /// The node refused a stream. One that has no such vBucket for [`ABSENT_AFTER`] will not come
    /// to its end.
    pub fn refused(&mut self, id: VbId, status: Status, now: Now) {
        let backoff = self.backoff;
        let Some(vb) = self.vb(id) else { return };
        if needs_a_person(status) {
            self.effects.push_back(Effect::Fail(Refusal::Request(id, status)));
            return;
        }
        let at = vb.failed(backoff, now);
        if status == Status::NOT_MY_VBUCKET {
            vb.absent_since.get_or_insert(now.at);
        } else {
            vb.absent_since = None;
        }
        if vb.is_beyond(status) {
            return self.wake_at(at);
        }
        if vb.refused.replace(status) != Some(status) {
            self.effects.push_back(Effect::Say(Notice::Refused { vb: id, status }));
        }
        self.wake_at(at);
        self.give_up(now);
    }

    /// Ends where all that is missing is in vBuckets that the node does not have.
    fn give_up(&mut self, now: Now) {
        let is_absent = |vb: &Vb| {
            let since = vb.absent_since.filter(|_| vb.has_end());
            since.is_some_and(|since| now.at.saturating_sub(since) >= ABSENT_AFTER)
        };
        let vbs = (0..).zip(&self.vbs).filter_map(|(id, vb)| Some((VbId(id), vb.as_ref()?)));
        let missing = vbs.filter(|(_, vb)| !vb.is_done());
        let absent: Option<Vec<_>> = missing.map(|(id, vb)| is_absent(vb).then_some(id)).collect();
        if let Some(absent) = absent {
            self.effects.push_back(Effect::Absent(absent));
        }
    }

    fn vb(&mut self, id: VbId) -> Option<&mut Vb> {
        self.vbs.get_mut(usize::from(id.0))?.as_mut()
    }

    fn done(&mut self, id: VbId) {
        let Some(vb) = self.vb(id).filter(|vb| !vb.is_done()) else { return };
        vb.state = State::Done;
        self.open_ends = self.open_ends.saturating_sub(1);
        if self.open_ends == 0 {
            self.effects.push_back(Effect::Done);
        }
    }

    fn wake_at(&mut self, at: Duration) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }

    /// Asks for every stream that is due.
    fn request_due(&mut self, now: Duration) {
        let mut wake: Option<Duration> = None;
        for (number, vb) in self.vbs.iter_mut().enumerate() {
            let (Some(vb), Ok(number)) = (vb, u16::try_from(number)) else { continue };
            let State::Waiting(at) = vb.state else { continue };
            if at <= now {
                vb.state = State::Asked;
                self.effects.push_back(Effect::Request(vb.request(VbId(number))));
            } else {
                wake = Some(wake.map_or(at, |wake| wake.min(at)));
            }
        }
        self.wake = wake;
    }
}

/// Statuses that the request gets again until somebody changes the request, the user's rights or
/// the collections.
const fn needs_a_person(status: Status) -> bool {
    matches!(
        status,
        Status::EACCESS
            | Status::EINVAL
            | Status::NOT_SUPPORTED
            | Status::UNKNOWN_COMMAND
            | Status::UNKNOWN_COLLECTION
            | Status::UNKNOWN_SCOPE
    )
}

impl Request {
    /// Ends at what the node has now.
    pub(crate) const TO_LATEST: u32 = stream_flags::TO_LATEST;
}
