//! A manager's view of one link: its state, and the streams it should carry.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use mcbp::VbId;
use replica::bursts::Bursts;
use replica::link::{Outcome, Reason, VbOutcome};
use replica::loops::Told;
use replica::plan::LinkKey;
use replica::standstill::Standstill;
use replica::wanted::{StreamPhase, WantedStreams};

use super::Outcomes;
use super::heal::Watch;
use super::tell::Line;
use crate::error::{LinkDown, VbFailure};
use crate::gauges::Gauges;
use crate::link::LinkSpec;
use crate::replicator::Replicator;
use crate::status::LinkPhase;

/// How far a link is.
pub(super) enum LinkState {
    /// Nothing is wanted of it, or not yet begun.
    Idle,
    /// The pair is being opened.
    Connecting(Addr<Replicator>),
    /// Open; `running` while a command is under way.
    Up { addr: Addr<Replicator>, running: bool },
    /// Down; to be opened again then.
    Waiting {
        /// Time since the manager's start.
        until: Duration,
    },
    /// Told to close its streams and end.
    Closing(Addr<Replicator>),
}

impl LinkState {
    pub(super) const fn open_address(&self) -> Option<&Addr<Replicator>> {
        match self {
            Self::Up { addr, .. } | Self::Closing(addr) => Some(addr),
            Self::Idle | Self::Connecting(_) | Self::Waiting { .. } => None,
        }
    }

    pub(super) const fn phase(&self) -> LinkPhase {
        match self {
            Self::Idle => LinkPhase::Stopped,
            Self::Connecting(_) => LinkPhase::Connecting,
            Self::Up { .. } => LinkPhase::Up,
            Self::Waiting { .. } => LinkPhase::Waiting,
            Self::Closing(_) => LinkPhase::Closing,
        }
    }
}

/// How a wanted stream is, for whoever waits for it.
pub(super) enum Fate {
    Open,
    Failed(VbFailure),
    Pending,
}

/// One link of a bucket.
pub(super) struct Link {
    pub(super) key: LinkKey,
    pub(super) spec: Arc<LinkSpec>,
    pub(super) life: u64,
    pub(super) state: LinkState,
    pub(super) wanted: WantedStreams,
    /// Lives that failed in a row.
    pub(super) failures: u32,
    /// The reasons of these failures that were logged.
    pub(super) told: Told,
    /// What is logged of its vBuckets.
    pub(super) lines: Bursts<Line>,
    /// Why the last life ended; kept until a stream opens.
    pub(super) last_error: Option<LinkDown>,
    /// Stalls in a row that moved no data between them.
    pub(super) stalls: u32,
    /// Why it last stood still; until data moves.
    pub(super) stall: Option<String>,
    /// Of the present life, once it is up.
    pub(super) watch: Option<Watch>,
    /// vBuckets that the consumer has to roll back before it asks again.
    pub(super) rolling: BTreeSet<VbId>,
    /// Those of them that the consumer did not serve when it was polled last.
    pub(super) lacking: BTreeSet<VbId>,
    /// Open streams that stand still.
    pub(super) standstill: Standstill,
}

impl Link {
    pub(super) fn new(key: LinkKey, spec: LinkSpec) -> Self {
        Self {
            key,
            spec: Arc::new(spec),
            life: 0,
            state: LinkState::Idle,
            wanted: WantedStreams::default(),
            failures: 0,
            told: Told::default(),
            lines: Bursts::default(),
            last_error: None,
            stalls: 0,
            stall: None,
            watch: None,
            rolling: BTreeSet::new(),
            lacking: BTreeSet::new(),
            standstill: Standstill::default(),
        }
    }

    /// Both connections are open.
    pub(super) fn is_up(&mut self, gauges: Gauges, now: Duration) {
        self.watch(gauges, now);
        let state = std::mem::replace(&mut self.state, LinkState::Idle);
        self.state = match state {
            LinkState::Connecting(addr) => {
                log::info!("link up link={}", self.spec.name);
                LinkState::Up { addr, running: false }
            }
            other => other,
        };
    }

    /// Whether a command need not wait for this link any longer.
    pub(super) fn is_settled(&self) -> bool {
        match self.state {
            LinkState::Idle => self.wanted.is_empty(),
            LinkState::Waiting { .. } => true,
            LinkState::Up { .. } => self.wanted.is_settled(),
            LinkState::Connecting(_) | LinkState::Closing(_) => false,
        }
    }

    /// As [`Self::is_settled`], for one vBucket.
    pub(super) fn is_settled_for(&self, vb: VbId) -> bool {
        matches!(self.state, LinkState::Waiting { .. }) || self.wanted.is_settled_for(vb)
    }

    /// Whether the consumer may have a stream of this vBucket through this link, or make one.
    pub(super) fn may_hold(&self, vb: VbId) -> bool {
        self.wanted.may_hold(vb) || self.rolling.contains(&vb)
    }

    /// A command is over: of what it settled, that alone rolls back still which it could not wait
    /// for.
    pub(super) fn note_rollbacks(&mut self, outcome: &Outcome) {
        let Outcome::Done(settled) = outcome else { return };
        self.rolling.retain(|vb| !settled.contains_key(vb));
        let still = outcome.errors().filter(|error| error.reason == Reason::RollingBack);
        self.rolling.extend(still.map(|error| error.vb));
    }

    /// Whether nothing is left of the link's last life.
    pub(super) const fn is_stopped(&self) -> bool {
        matches!(self.state, LinkState::Idle)
    }

    /// A link that waits after a failure is opened now.
    pub(super) fn open_now(&mut self) {
        if matches!(self.state, LinkState::Waiting { .. }) {
            self.state = LinkState::Idle;
        }
    }

    /// Streams that wait after a failure are tried again now, and the link where it is concerned.
    pub(super) fn retry_now(&mut self, concerns: impl Fn(VbId) -> bool) {
        if self.wanted.streams().keys().any(|&vb| concerns(vb)) {
            self.open_now();
        }
        self.wanted.retry_now(concerns);
    }

    /// Why this link is down, as the failure of a vBucket, where it is.
    pub(super) fn down(&self, vb: VbId) -> Option<VbFailure> {
        let LinkState::Waiting { .. } = self.state else { return None };
        let down = self.last_error.as_ref()?;
        Some(VbFailure::of_link(&self.spec.bucket, &self.key.producer, vb, down))
    }

    /// How a stream that is wanted of this link is.
    pub(super) fn fate(&self, vb: VbId) -> Fate {
        if let Some(failure) = self.down(vb) {
            return Fate::Failed(failure);
        }
        let Some(stream) = self.wanted.streams().get(&vb) else { return Fate::Pending };
        match (stream.phase, &stream.last_error) {
            (StreamPhase::Open, _) => Fate::Open,
            (StreamPhase::Waiting { .. }, Some(error)) => {
                let (bucket, producer) = (&self.spec.bucket, &self.key.producer);
                Fate::Failed(VbFailure::of_stream(bucket, producer, error))
            }
            // One that has finished has everything, and is about to be opened again.
            (StreamPhase::Waiting { .. } | StreamPhase::Due | StreamPhase::Asked, _) => {
                Fate::Pending
            }
        }
    }

    /// The vBuckets concerned whose streams are not open, and why.
    pub(super) fn failures(
        &self,
        concerns: impl Fn(VbId) -> bool,
    ) -> impl Iterator<Item = VbFailure> {
        let late = |vb| VbFailure::of_deadline(&self.spec.bucket, &self.key.producer, vb);
        let wanted = self.wanted.streams();
        wanted.iter().filter(move |(vb, _)| concerns(**vb)).filter_map(move |(&vb, stream)| match (
            self.fate(vb),
            stream.phase,
        ) {
            (Fate::Failed(failure), _) => Some(failure),
            (Fate::Open, _) | (Fate::Pending, StreamPhase::Waiting { .. }) => None,
            (Fate::Pending, _) => Some(late(vb)),
        })
    }

    /// When something becomes due by itself.
    pub(super) fn next_due(&self) -> Option<Duration> {
        match self.state {
            LinkState::Waiting { until } => Some(until),
            LinkState::Up { running: false, .. } => self.wanted.next_due(),
            _ => None,
        }
    }

    /// One line for a set-up. A link counts as healthy again once a stream opens, not when it
    /// connects: a peer that accepts and fails at once must not be tried at full speed.
    pub(super) fn note_settled(&mut self, outcomes: &Outcomes) {
        let opened = outcomes.values().filter(|o| matches!(o, VbOutcome::Opened)).count();
        let failed = outcomes.values().filter(|o| o.error().is_some()).count();
        if opened > 0 {
            (self.failures, self.told, self.last_error) = (0, Told::default(), None);
        }
        let (name, open) = (&self.spec.name, self.wanted.open_count());
        log::info!("streams settled link={name} opened={opened} open={open} failed={failed}");
    }
}
