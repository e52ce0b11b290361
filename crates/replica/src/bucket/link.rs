//! One link of a bucket: its state, its wanted streams, and its failures.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use logline::{Limit, LogLimiter, value};
use mcbp::{Side, VbId};

use super::effect::BucketEffect;
use super::event::LinkId;
use super::failure::Cause;
use super::fall::Falls;
use super::lines::LineKind;
use super::link_down::LinkDown;
use super::link_state::{Decision, LinkState};
use super::streak::Streak;
use crate::link::{Outcome, Reason, ReasonCode, VbOutcome};
use crate::loops::Notice;
use crate::plan::LinkKey;
use crate::stall::{Sample, Stall, StallRule};
use crate::standstill::Standstill;
use crate::wanted::{WantedPhase, WantedStreams};

/// The state of a wanted stream, for a command that waits for it.
pub(super) enum StreamResult {
    Open,
    Failed(Cause),
    /// It is not asked for, because the vBucket is active at the consumer.
    Held,
    Pending,
}

/// One link of a bucket.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Link {
    pub(super) id: LinkId,
    pub(super) key: LinkKey,
    /// The name of its DCP connections.
    pub(super) name: String,
    pub(super) state: LinkState,
    pub(super) wanted: WantedStreams,
    /// Its failures in a row.
    pub(super) streak: Streak,
    /// How its incarnations ended.
    pub(super) fall: Falls,
    /// Limits its log lines, and those about its vBuckets.
    pub(super) lines: LogLimiter<LineKind>,
    /// Why the last incarnation ended; kept until a stream opens.
    pub(super) last_error: Option<LinkDown>,
    /// Stalls in a row without data between them.
    pub(super) stalls: u32,
    /// The last stall; until data moves.
    pub(super) stall: Option<String>,
    /// The stall rule of the present incarnation; set while the link is up and not given up.
    pub(super) watch: Option<StallRule>,
    /// The vBuckets of the running command, also those no longer wanted: the command may open their
    /// streams until it is answered.
    pub(super) asked: BTreeSet<VbId>,
    /// vBuckets that the consumer has to roll back before it repeats its STREAM_REQ.
    pub(super) rolling: BTreeSet<VbId>,
    /// Those of them that the consumer did not serve at the last poll.
    pub(super) lacking: BTreeSet<VbId>,
    /// Detects stalled streams.
    pub(super) standstill: Standstill,
    /// Whether the address or login of its producer has changed: it is to be opened anew.
    pub(super) is_outdated: bool,
}

impl Link {
    pub(super) fn new(index: usize, key: LinkKey, name: String) -> Self {
        Self {
            id: LinkId { index, incarnation: 0 },
            key,
            name,
            state: LinkState::Idle,
            wanted: WantedStreams::default(),
            streak: Streak::default(),
            fall: Falls::default(),
            lines: LogLimiter::new(Limit::OF_A_LINK),
            last_error: None,
            stalls: 0,
            stall: None,
            watch: None,
            asked: BTreeSet::new(),
            rolling: BTreeSet::new(),
            lacking: BTreeSet::new(),
            standstill: Standstill::default(),
            is_outdated: false,
        }
    }

    /// Returns what to do next. A link that is reserved for a takeover is kept open and gets no
    /// set-up.
    pub(super) fn decide(&self, is_reserved: bool, now: Duration) -> Decision {
        let is_needed = is_reserved || self.wanted.needs_link();
        self.state.decide(is_needed, is_reserved, now)
    }

    /// Records that both connections are open. Returns the log line, unless it is suppressed or the
    /// link is no longer wanted.
    pub(super) fn mark_up(
        &mut self,
        stall_limit: Duration,
        in_loop: bool,
        now: Duration,
    ) -> Option<BucketEffect> {
        if self.state != LinkState::Connecting {
            return None;
        }
        self.state = LinkState::Up { running: None };
        self.watch = Some(StallRule::new(stall_limit, self.stalls, now));
        let is_told = self.fall.up(self.streak.total(), in_loop, now);
        let text = format!("link up link={}", self.name);
        (is_told && self.lines.allow(LineKind::Up, now)).then(|| BucketEffect::info(text))
    }

    /// Whether the link accepts a command.
    pub(super) const fn is_ready(&self) -> bool {
        matches!(self.state, LinkState::Up { running: None })
    }

    /// Whether no command needs to wait for this link.
    pub(super) fn is_settled(&self) -> bool {
        match self.state {
            LinkState::Idle => self.wanted.is_idle(),
            LinkState::Waiting { .. } => true,
            LinkState::Up { .. } => self.wanted.is_settled(),
            LinkState::Connecting | LinkState::Closing => false,
        }
    }

    /// As [`Self::is_settled`], for one vBucket.
    pub(super) fn is_settled_for(&self, vb: VbId) -> bool {
        matches!(self.state, LinkState::Waiting { .. }) || self.wanted.is_settled_for(vb)
    }

    /// Whether the consumer may have a stream of this vBucket on this link, or may still open one.
    pub(super) fn may_hold(&self, vb: VbId) -> bool {
        self.wanted.may_hold(vb) || self.rolling.contains(&vb) || self.asked.contains(&vb)
    }

    /// Records that a command was answered. Of the vBuckets that it settled, only those that it
    /// stopped waiting for still roll back.
    pub(super) fn note_rollbacks(&mut self, outcome: &Outcome) {
        let Outcome::Done(settled) = outcome else { return };
        self.rolling.retain(|vb| !settled.contains_key(vb));
        let still = outcome.errors().filter(|error| error.reason == Reason::RollingBack);
        self.rolling.extend(still.map(|error| error.vb));
    }

    /// Returns the name of its node on this side; `consumer` is that of our node.
    pub(super) fn node<'a>(&'a self, side: Side, consumer: &'a str) -> &'a str {
        match side {
            Side::Producer => &self.key.producer,
            Side::Consumer => consumer,
        }
    }

    /// Starts to measure stalls anew: this process did not run until `now`.
    pub(super) fn resumed(&mut self, now: Duration) {
        self.watch.iter_mut().for_each(|watch| watch.resumed(now));
        self.standstill.resumed(now);
    }

    /// Whether it carries streams, or is not closed yet.
    pub(super) fn is_in_use(&self) -> bool {
        !self.is_stopped() || !self.wanted.is_empty()
    }

    /// Returns the streams that are to be closed and may be open.
    pub(super) fn unclosed(&self) -> impl Iterator<Item = VbId> {
        self.wanted.surplus().iter().copied()
    }

    /// Forgets its failures, and that a rival may have its name.
    pub(super) fn forget_failures(&mut self) {
        self.streak.forget();
        self.fall.forget_rival();
        self.wanted.forget_failures();
    }

    /// Whether nothing is left of the last incarnation.
    pub(super) const fn is_stopped(&self) -> bool {
        matches!(self.state, LinkState::Idle)
    }

    /// Ends the backoff of the link.
    pub(super) fn open_now(&mut self) {
        if matches!(self.state, LinkState::Waiting { .. }) {
            self.state = LinkState::Idle;
        }
    }

    /// Ends the backoff of the streams concerned, and of the link if it carries one of them.
    pub(super) fn retry_now(&mut self, concerns: impl Fn(VbId) -> bool) {
        if self.wanted.streams().keys().any(|&vb| concerns(vb)) {
            self.open_now();
        }
        self.wanted.retry_now(concerns);
    }

    /// Records that the link was lost with all its streams. It is opened again at `until`.
    pub(super) fn mark_down(&mut self, down: LinkDown, until: Duration) {
        self.forget_streams();
        if down.code == ReasonCode::Stalled {
            self.stalls = self.stalls.saturating_add(1);
            self.stall = Some(down.detail.clone());
        }
        self.last_error = Some(down);
        self.state = LinkState::Waiting { until };
    }

    /// Forgets every stream of this incarnation.
    pub(super) fn forget_streams(&mut self) {
        self.wanted.link_lost();
        self.watch = None;
        self.asked.clear();
        self.rolling.clear();
        self.lacking.clear();
        self.standstill.clear();
    }

    /// Records a sample. Returns the stall, if the link is stalled. Without polls (`poll_max_age`)
    /// nobody knows whether there is something to move.
    pub(super) fn sampled(
        &mut self,
        sample: Sample,
        poll_max_age: Option<Duration>,
        now: Duration,
    ) -> Option<Stall> {
        let rule = self.watch.as_mut()?;
        let stall = rule.sample(sample, now);
        let has_moved = rule.has_moved_data() && stall.is_none();
        if has_moved {
            (self.stalls, self.stall) = (0, None);
        }
        let has_all = sample.behind == Some(0);
        if has_moved || (stall.is_none() && (has_all || poll_max_age.is_none())) {
            self.streak.moved();
        }
        stall
    }

    /// Returns why this link is down, if it is.
    pub(super) fn down(&self) -> Option<Cause> {
        let LinkState::Waiting { .. } = self.state else { return None };
        self.last_error.clone().map(Cause::Link)
    }

    /// Returns the state of a wanted stream.
    pub(super) fn stream_result(&self, vb: VbId) -> StreamResult {
        let stream = self.wanted.streams().get(&vb);
        if stream.is_some_and(|stream| stream.phase == WantedPhase::Held) {
            return StreamResult::Held;
        }
        if let Some(down) = self.down() {
            return StreamResult::Failed(down);
        }
        let Some(stream) = stream else { return StreamResult::Pending };
        match (stream.phase, &stream.last_error) {
            (WantedPhase::Open, _) => StreamResult::Open,
            (WantedPhase::Waiting { .. }, Some(error)) => {
                StreamResult::Failed(Cause::Stream(error.clone()))
            }
            // A stream that finished lacks nothing, and is about to be opened again.
            (WantedPhase::Waiting { .. } | WantedPhase::Due | WantedPhase::Asked, _) => {
                StreamResult::Pending
            }
            (WantedPhase::Held, _) => StreamResult::Held,
        }
    }

    /// Returns the vBuckets concerned whose streams are not open, and why. `consumer` is the name
    /// of our node.
    pub(super) fn failures(
        &self,
        consumer: &str,
        concerns: impl Fn(VbId) -> bool,
    ) -> impl Iterator<Item = (VbId, Cause)> {
        let wanted = self.wanted.streams().iter().filter(move |(vb, _)| concerns(**vb));
        wanted.filter_map(move |(&vb, stream)| match (self.stream_result(vb), stream.phase) {
            (StreamResult::Failed(cause), _) => Some((vb, cause)),
            (StreamResult::Held, _) => Some((vb, Cause::ActiveHere { node: consumer.to_owned() })),
            (StreamResult::Open, _) | (StreamResult::Pending, WantedPhase::Waiting { .. }) => None,
            (StreamResult::Pending, _) => Some((vb, Cause::Deadline)),
        })
    }

    /// Returns the next time at which this link has something to do.
    pub(super) fn next_due(&self) -> Option<Duration> {
        match self.state {
            LinkState::Waiting { until } => Some(until),
            LinkState::Up { running: None } => self.wanted.next_due(),
            LinkState::Idle
            | LinkState::Connecting
            | LinkState::Up { running: Some(_) }
            | LinkState::Closing => None,
        }
    }

    /// Records a settled set-up. Returns its log line, unless it is suppressed.
    pub(super) fn note_settled<'a>(
        &mut self,
        outcomes: impl Iterator<Item = &'a VbOutcome> + Clone,
        now: Duration,
    ) -> Option<BucketEffect> {
        let opened = outcomes.clone().filter(|o| matches!(o, VbOutcome::Opened)).count();
        let failed = outcomes.filter(|o| o.error().is_some()).count();
        if opened > 0 {
            self.streak.opened(now);
            self.last_error = None;
        }
        let open = self.wanted.open_count();
        let fields = format!("opened={opened} open={open} failed={failed}");
        let is_logged = self.fall.is_told() && self.lines.allow(LineKind::Settled, now);
        is_logged.then(|| LineKind::Settled.line(&self.name, &fields))
    }

    /// Returns the log line of an event of a vBucket, unless it is suppressed.
    pub(super) fn log(
        &mut self,
        kind: LineKind,
        vb: VbId,
        why: &dyn fmt::Display,
        notice: Notice,
        now: Duration,
    ) -> Option<BucketEffect> {
        let (kind, fields) = match notice {
            Notice::Log(times) => (kind, format!("times={times} reason={}", value(why))),
            Notice::Tripped(in_loop) => {
                (LineKind::Broken, format!("vb={} kind={in_loop} retry=longest-backoff", vb.0))
            }
            Notice::Suppress => return None,
        };
        self.lines.allow(kind, now).then(|| kind.line(&self.name, &fields))
    }
}
