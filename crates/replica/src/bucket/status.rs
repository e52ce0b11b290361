//! Views of a bucket for the status. A read needs no command.

use std::time::Duration;

use mcbp::{Seqno, Side, VbId};
use serde::Serialize;

use super::event::LinkId;
use super::failure::Cause;
use super::link::Link;
use super::link_down::LinkDown;
use super::link_state::LinkPhase;
use super::machine::BucketMachine;
use super::moves::{MovePhase, MovesDone};
use super::rolled_back::RolledBackView;
use super::tally::Tally;
use crate::lag::Lag;
use crate::link::ReasonCode;
use crate::loops::LoopKind;
use crate::plan::{Connections, LinkKey};
use crate::wanted::{self, WantedStream};

/// The phase of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StreamPhase {
    /// Asked for with the next set-up of its link.
    Due,
    /// Part of the running set-up; its outcome is pending.
    Asked,
    /// Part of the running set-up; the consumer rolls its copy back first.
    RollingBack,
    /// Replicating.
    Open,
    /// Not asked for, because the vBucket is active at the consumer.
    HeldBack,
    /// Failed or ended; retried after its backoff.
    Waiting,
}

/// One link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LinkView<'a> {
    /// The present incarnation.
    pub id: LinkId,
    /// Producer and connection number.
    pub key: &'a LinkKey,
    /// The name of its DCP connections.
    pub name: &'a str,
    /// Its phase.
    pub phase: LinkPhase,
    /// Incarnations that failed in a row, until one has worked for long enough.
    pub failures: u32,
    /// Why the last incarnation ended or could not be opened; `None` once a stream is open.
    pub last_error: Option<&'a LinkDown>,
    /// The last stall, after which the link was restarted; `None` once data moves again.
    pub stall: Option<&'a str>,
    /// The number of wanted streams.
    pub wanted: usize,
    /// The number of open streams.
    pub open: usize,
    /// When it is opened again, on the clock of the machine; `None` unless it waits.
    pub retry_at: Option<Duration>,
}

/// One wanted stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StreamView {
    /// The vBucket.
    pub vb: VbId,
    /// The phase, as far as the bucket knows: never [`StreamPhase::RollingBack`], which only the
    /// link knows.
    pub phase: StreamPhase,
    /// Failures in a row, until it has been open for long enough.
    pub failures: u32,
    /// Why it is not open.
    pub last_error: Option<Cause>,
    /// The lag by recent polls.
    pub lag: Lag,
    /// For an incomplete copy, the seqno up to which it is complete.
    pub complete_to: Option<Seqno>,
    /// For how long it has not been open, to the interval of samples; `None` for an open one.
    pub not_open_for: Option<Duration>,
    /// The rest of its backoff; `None` unless it waits.
    pub retry_in: Option<Duration>,
}

/// One node that is asked on a control connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NodeView<'a> {
    /// Its role.
    pub side: Side,
    /// Its name.
    pub node: &'a str,
    /// Time since it was last heard on any connection, or since it is asked.
    pub silent_for: Duration,
    /// Whether it is unresponsive: silent for longer than the limit of a stall.
    pub is_unresponsive: bool,
}

impl StreamView {
    /// Returns the lag in seqnos; unknown for an incomplete copy, because equal seqnos prove
    /// nothing there.
    #[must_use]
    pub fn lag_seqnos(&self) -> Option<u64> {
        self.lag.seqnos().filter(|_| self.complete_to.is_none())
    }

    /// Returns the lag in time; unknown for an incomplete copy.
    #[must_use]
    pub fn behind_for(&self) -> Option<Duration> {
        self.lag.behind_for.filter(|_| self.complete_to.is_none())
    }
}

/// A queued or running move.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MoveView<'a> {
    /// The vBucket.
    pub vb: VbId,
    /// The producer that has it.
    pub from: &'a str,
    /// Its phase.
    pub phase: MovePhase,
    /// Changes that the producer still has to send, by its own estimate.
    pub estimate: Option<u64>,
    /// Time since the command was queued.
    pub since: Duration,
}

/// A vBucket in a retry loop, which is retried at the longest backoff only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BrokenView {
    /// The vBucket.
    pub vb: VbId,
    /// The kind of loop.
    pub kind: LoopKind,
    /// The number of failures since the loop began.
    pub failures: u64,
    /// Time since the loop was detected.
    pub since: Duration,
}

/// A link in a retry loop, which is opened at the longest backoff only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BrokenLink<'a> {
    /// The kind of loop: [`LoopKind::Rival`] or [`LoopKind::Flapping`].
    pub kind: LoopKind,
    /// Incarnations that failed in a row.
    pub failures: u32,
    /// Time since the loop was detected.
    pub since: Duration,
    /// Why the last incarnation ended.
    pub why: &'a str,
}

impl BucketMachine {
    /// Returns the loop that a link is in, if any.
    #[must_use]
    pub fn broken_link(&self, id: LinkId, now: Duration) -> Option<BrokenLink<'_>> {
        let broken = self.failures.link_loops.broken(id.index, now)?;
        let link = self.links.iter().find(|link| link.id == id)?;
        Some(BrokenLink {
            kind: broken.kind,
            failures: link.streak.total(),
            since: now.saturating_sub(broken.since),
            why: &link.fall.why,
        })
    }

    /// Returns the number of connections for each producer.
    #[must_use]
    pub const fn connections(&self) -> Connections {
        self.connections
    }

    /// Returns the producers of all links, each once.
    pub fn producers(&self) -> impl Iterator<Item = &str> {
        let links = self.links.iter().filter(|link| self.is_shown(link));
        let names: std::collections::BTreeSet<_> =
            links.map(|link| link.key.producer.as_str()).collect();
        names.into_iter()
    }

    /// Returns every link, except stopped ones left over from a larger number of connections, or
    /// from a producer that was removed.
    pub fn links(&self) -> impl Iterator<Item = LinkView<'_>> {
        let shown = self.links.iter().filter(|link| self.is_shown(link));
        shown.map(|link| link.view(self.is_unresponsive(link)))
    }

    fn is_shown(&self, link: &Link) -> bool {
        let is_configured = self.settings.producers.contains(&link.key.producer)
            && link.key.connection < self.connections.count();
        is_configured || link.is_in_use()
    }

    /// Returns the number of moves that have ended since the start.
    #[must_use]
    pub const fn moves_done(&self) -> MovesDone {
        self.moves_done
    }

    /// Returns the copies that lost changes in a rollback within the last hour.
    pub fn rolled_back(&self, now: Duration) -> impl Iterator<Item = RolledBackView<'_>> {
        self.rolled_back.views(now)
    }

    /// Returns the wanted streams of a link in ascending order.
    pub fn streams(&self, link: LinkId, now: Duration) -> impl Iterator<Item = StreamView> {
        let link = self.links.iter().find(|other| other.id == link);
        let streams = link.into_iter().flat_map(|link| link.wanted.streams());
        let producer = link.map_or("", |link| link.key.producer.as_str());
        streams.map(move |(&vb, stream)| self.stream(vb, producer, stream, now))
    }

    fn stream(&self, vb: VbId, producer: &str, stream: &WantedStream, now: Duration) -> StreamView {
        let complete_to = self.copies.complete_to(vb);
        let is_open = stream.phase == wanted::WantedPhase::Open;
        let lag = self.nodes.recent_lag(vb, &self.settings, now);
        let last_error =
            stream.last_error.clone().map(|error| match self.failures.loops.broken(vb, now) {
                Some(broken) => Cause::Loop(error, broken.kind),
                None => Cause::Stream(error),
            });
        let last_error = last_error.map(|cause| self.with_misfit(vb, producer, cause));
        let last_error = match stream.phase {
            wanted::WantedPhase::Held => {
                Some(Cause::ActiveHere { node: self.settings.node.clone() })
            }
            _ => last_error,
        };
        StreamView {
            vb,
            phase: stream.phase.into(),
            failures: stream.failures,
            last_error,
            lag,
            complete_to,
            not_open_for: self.outages.of(vb, now).filter(|_| !is_open),
            retry_in: stream.phase.retry_at().map(|until| until.saturating_sub(now)),
        }
    }

    /// Returns every move in the order of the queue.
    pub fn moves(&self, now: Duration) -> impl Iterator<Item = MoveView<'_>> {
        self.queue.iter().filter_map(move |command| {
            let moving = command.job.as_move()?;
            let since = now.saturating_sub(command.asked);
            let (vb, from, phase) = (moving.vb(), moving.from(), moving.phase());
            Some(MoveView { vb, from, phase, estimate: moving.estimate, since })
        })
    }

    /// Returns the vBuckets in a retry loop in ascending order.
    pub fn broken(&self, now: Duration) -> impl Iterator<Item = BrokenView> {
        self.failures.loops.all_broken(now).map(move |(vb, broken, failures)| {
            let since = now.saturating_sub(broken.since);
            BrokenView { vb, kind: broken.kind, failures, since }
        })
    }

    /// Returns the counts of streams that failed or ended since the start.
    #[must_use]
    pub const fn stream_failures(&self) -> &Tally {
        &self.failures.streams
    }

    /// Returns the counts of links that were lost or could not be opened since the start.
    #[must_use]
    pub const fn link_failures(&self) -> &Tally {
        &self.failures.links
    }

    /// Returns the nodes that are asked on control connections.
    pub fn nodes(&self, now: Duration) -> impl Iterator<Item = NodeView<'_>> {
        self.nodes.polled().map(move |(side, node, liveness)| NodeView {
            side,
            node,
            silent_for: liveness.silent_for(now),
            is_unresponsive: liveness.is_unresponsive(),
        })
    }

    /// Returns the error of a node's last poll, if it failed.
    #[must_use]
    pub fn node_error(&self, node: &str) -> Option<&str> {
        self.nodes.error(node)
    }

    /// Returns the warning about a node that answers, if any.
    #[must_use]
    pub fn node_warning(&self, node: &str) -> Option<String> {
        let wanted = |vb| self.links.iter().any(|link| link.wanted.streams().contains_key(&vb));
        self.nodes.warning(node, wanted)
    }

    /// Returns which wanted vBuckets of a node are in a state that does not fit, if any.
    #[must_use]
    pub fn misfit_warning(&self, node: &str) -> Option<String> {
        let wanted = |vb| self.links.iter().any(|link| link.wanted.streams().contains_key(&vb));
        self.nodes.misfit_warning(node, wanted)
    }

    /// Adds to a refusal which state of the vBucket does not fit, and where.
    pub(super) fn with_misfit(&self, vb: VbId, producer: &str, cause: Cause) -> Cause {
        if cause.reason() != ReasonCode::Refused && !matches!(cause, Cause::Loop(..)) {
            return cause;
        }
        match self.nodes.misfit(vb, producer, &self.settings.node) {
            Some(text) => Cause::Misfit(text, Box::new(cause)),
            None => cause,
        }
    }
}

impl Link {
    fn view(&self, is_unresponsive: bool) -> LinkView<'_> {
        LinkView {
            id: self.id,
            key: &self.key,
            name: &self.name,
            phase: self.state.phase(is_unresponsive),
            failures: self.streak.total(),
            last_error: self.last_error.as_ref(),
            stall: self.stall.as_deref(),
            wanted: self.wanted.streams().len(),
            open: self.wanted.open_count(),
            retry_at: self.state.retry_at(),
        }
    }
}

impl From<wanted::WantedPhase> for StreamPhase {
    fn from(phase: wanted::WantedPhase) -> Self {
        match phase {
            wanted::WantedPhase::Due => Self::Due,
            wanted::WantedPhase::Asked => Self::Asked,
            wanted::WantedPhase::Open => Self::Open,
            wanted::WantedPhase::Held => Self::HeldBack,
            wanted::WantedPhase::Waiting { .. } => Self::Waiting,
        }
    }
}
