//! What can be read of a bucket at any time, without a command.

use std::time::Duration;

use mcbp::{Seqno, VbId};
use serde::Serialize;

use super::event::LinkId;
use super::failure::Cause;
use super::link::Link;
use super::link_down::LinkDown;
use super::link_state::LinkPhase;
use super::machine::BucketMachine;
use super::moves::MovePhase;
use super::tally::Tally;
use crate::lag::Lag;
use crate::loops::LoopKind;
use crate::plan::{Connections, LinkKey};
use crate::wanted::{self, WantedStream};

/// How far a stream is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StreamPhase {
    /// To be asked for as soon as its link can.
    Due,
    /// Asked for; the outcome is awaited.
    Asked,
    /// Asked for; the consumer rolls its copy back before it can open.
    RollingBack,
    /// Replicating.
    Open,
    /// Failed or ended; will be asked for again.
    Waiting,
}

/// One link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LinkView<'a> {
    /// Its place, and its present incarnation.
    pub id: LinkId,
    /// Producer and connection number.
    pub key: &'a LinkKey,
    /// The name of its DCP connections.
    pub name: &'a str,
    /// How far it is.
    pub phase: LinkPhase,
    /// Incarnations that failed in a row before this one.
    pub failures: u32,
    /// Why the last incarnation ended or could not be opened; `None` once a stream is open.
    pub last_error: Option<&'a LinkDown>,
    /// Why it was last found stalled and restarted; `None` once data moves again.
    pub stall: Option<&'a str>,
    /// How many streams are wanted.
    pub wanted: usize,
    /// How many of them are open.
    pub open: usize,
}

/// One wanted stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StreamView {
    /// The vBucket.
    pub vb: VbId,
    /// How far it is, as far as its bucket knows: never [`StreamPhase::RollingBack`], of which its
    /// link alone knows.
    pub phase: StreamPhase,
    /// Failures since it was last open.
    pub failures: u32,
    /// Why it is not open.
    pub last_error: Option<Cause>,
    /// What the nodes said of it lately.
    pub lag: Lag,
    /// Where the consumer's copy may miss rows: the seqno up to which it is complete.
    pub complete_to: Option<Seqno>,
}

impl StreamView {
    /// By how many seqnos the consumer is behind. Unknown where its copy misses rows: equal seqnos
    /// prove nothing then.
    #[must_use]
    pub fn lag_seqnos(&self) -> Option<u64> {
        self.lag.seqnos().filter(|_| self.complete_to.is_none())
    }

    /// For how long the consumer has been behind what the producer had then; unknown as above.
    #[must_use]
    pub fn behind_for(&self) -> Option<Duration> {
        self.lag.behind_for.filter(|_| self.complete_to.is_none())
    }
}

/// A vBucket on its way here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MoveView<'a> {
    /// The vBucket.
    pub vb: VbId,
    /// The producer that has it.
    pub from: &'a str,
    /// How far it is.
    pub phase: MovePhase,
    /// Changes that the producer still has to send, by its own estimate.
    pub estimate: Option<u64>,
    /// How long ago it was asked for.
    pub since: Duration,
}

/// A vBucket that fails again and again and is tried at the slowest pace only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BrokenView {
    /// The vBucket.
    pub vb: VbId,
    /// The kind of loop.
    pub kind: LoopKind,
    /// How often it failed since the loop began.
    pub failures: u64,
    /// How long ago it was found to be broken.
    pub since: Duration,
}

impl BucketMachine {
    /// Connections for each producer.
    #[must_use]
    pub const fn connections(&self) -> Connections {
        self.connections
    }

    /// The producers of all links, each once.
    pub fn producers(&self) -> impl Iterator<Item = &str> {
        let names: std::collections::BTreeSet<_> =
            self.links.iter().map(|link| link.key.producer.as_str()).collect();
        names.into_iter()
    }

    /// Every link, without those that are left from more connections and done with.
    pub fn links(&self) -> impl Iterator<Item = LinkView<'_>> {
        let count = self.connections.count();
        let is_shown = move |link: &&Link| !link.is_stopped() || link.key.connection < count;
        self.links.iter().filter(is_shown).map(Link::view)
    }

    /// The wanted streams of a link in ascending order.
    pub fn streams(&self, link: LinkId, now: Duration) -> impl Iterator<Item = StreamView> {
        let link = self.links.iter().find(|other| other.id == link);
        let streams = link.into_iter().flat_map(|link| link.wanted.streams());
        streams.map(move |(&vb, stream)| self.stream(vb, stream, now))
    }

    fn stream(&self, vb: VbId, stream: &WantedStream, now: Duration) -> StreamView {
        let complete_to = self.copies.complete_to(vb);
        let lag = self.nodes.recent_lag(vb, &self.settings, now);
        let last_error =
            stream.last_error.clone().map(|error| match self.failures.loops.broken(vb, now) {
                Some(broken) => Cause::Loop(error, broken.kind),
                None => Cause::Stream(error),
            });
        StreamView {
            vb,
            phase: stream.phase.into(),
            failures: stream.failures,
            last_error,
            lag,
            complete_to,
        }
    }

    /// Every move, in the order of their turns.
    pub fn moves(&self, now: Duration) -> impl Iterator<Item = MoveView<'_>> {
        self.queue.iter().filter_map(move |command| {
            let moving = command.job.as_move()?;
            let since = now.saturating_sub(command.asked);
            let (vb, from, phase) = (moving.vb(), moving.from(), moving.phase());
            Some(MoveView { vb, from, phase, estimate: moving.estimate, since })
        })
    }

    /// vBuckets that fail again and again, in ascending order.
    pub fn broken(&self, now: Duration) -> impl Iterator<Item = BrokenView> {
        self.failures.loops.all_broken(now).map(move |(vb, broken, failures)| {
            let since = now.saturating_sub(broken.since);
            BrokenView { vb, kind: broken.kind, failures, since }
        })
    }

    /// Streams that failed or ended since the start.
    #[must_use]
    pub const fn stream_failures(&self) -> &Tally {
        &self.failures.streams
    }

    /// Links that were lost, or could not be opened, since the start.
    #[must_use]
    pub const fn link_failures(&self) -> &Tally {
        &self.failures.links
    }

    /// Why the seqnos of a node are not known, where it was asked and did not say them.
    #[must_use]
    pub fn node_error(&self, node: &str) -> Option<&str> {
        self.nodes.error(node)
    }

    /// What somebody has to look into at a node that answers.
    #[must_use]
    pub fn node_warning(&self, node: &str) -> Option<&str> {
        self.nodes.warning(node)
    }
}

impl Link {
    fn view(&self) -> LinkView<'_> {
        LinkView {
            id: self.id,
            key: &self.key,
            name: &self.name,
            phase: self.state.phase(),
            failures: self.failures,
            last_error: self.last_error.as_ref(),
            stall: self.stall.as_deref(),
            wanted: self.wanted.streams().len(),
            open: self.wanted.open_count(),
        }
    }
}

impl From<wanted::WantedPhase> for StreamPhase {
    fn from(phase: wanted::WantedPhase) -> Self {
        match phase {
            wanted::WantedPhase::Due => Self::Due,
            wanted::WantedPhase::Asked => Self::Asked,
            wanted::WantedPhase::Open => Self::Open,
            wanted::WantedPhase::Waiting { .. } => Self::Waiting,
        }
    }
}
