//! What follows from failures: counts and log lines, longer backoff for what is in a loop, and
//! restarts of what is stalled.

use std::collections::BTreeSet;
use std::time::Duration;

use mcbp::{Side, VbId};

use super::effect::{BucketEffect, BucketEffects};
use super::event::millis;
use super::event::{LinkId, Moment};
use super::lines::LineKind;
use super::link::Link;
use super::link_down::{LinkDown, Reopen};
use super::link_state::LinkState;
use super::machine::BucketMachine;
use super::nodes::{Appeared, Nodes};
use super::settings::Settings;
use super::silence::Hearing;
use crate::lag::Lag;
use crate::link::{Reason, VbError};
use crate::loops::{LoopKind, Notice};
use crate::stall::Sample;
use crate::standstill::{Position, Stuck};
use crate::wanted::WantedPhase;

/// Returns the delay before a link is opened again, after so many failures of one kind in a row.
fn link_delay(settings: &Settings, failures: u32, reopen: Reopen, chance: f64) -> Duration {
    match reopen {
        Reopen::Soon => settings.backoff.min,
        Reopen::AfterBackoff | Reopen::Never | Reopen::Slowly => {
            settings.backoff.delay(failures, chance)
        }
    }
}

impl BucketMachine {
    /// Counts and logs a stream that failed to open, or ended without a command.
    pub(super) fn note_failure(
        &mut self,
        id: LinkId,
        error: &VbError,
        has_ended: bool,
        at: Moment,
        fx: &mut BucketEffects,
    ) {
        if self.settings.poll_max_age.is_some() {
            self.copies.note_doubt(error);
        }
        let (line, in_loop) = if has_ended {
            (LineKind::Ended, Some(LoopKind::of_end(error)))
        } else {
            (LineKind::Failed, LoopKind::of_failure(error))
        };
        let why = error.to_string();
        let notice = self.failures.loops.failed(error.vb, in_loop, &why, at.now);
        let Some(link) = self.links.live(id) else { return };
        self.failures.streams.count(&link.key.producer, error.reason_code(), error.answer());
        fx.extend(link.log(line, error.vb, &why, notice, at.now));
    }

    /// Counts and logs that a consumer has to roll back.
    pub(super) fn note_rollback(
        &mut self,
        id: LinkId,
        vb: VbId,
        at: Moment,
        fx: &mut BucketEffects,
    ) {
        self.queue.extend_for_progress(&self.settings, at.now);
        let kind = LoopKind::Rollback;
        let notice = self.failures.loops.failed(vb, Some(kind), kind.name(), at.now);
        let Some(link) = self.links.live(id) else { return };
        link.rolling.insert(vb);
        let why = format_args!("{vb}: the consumer has to roll back");
        fx.extend(link.log(LineKind::Rollback, vb, &why, notice, at.now));
    }

    /// Records that a copy is complete up to this seqno only, or (`None`) has no gap.
    pub(super) fn note_copy(
        &mut self,
        id: LinkId,
        vb: VbId,
        complete_to: Option<mcbp::Seqno>,
        at: Moment,
        fx: &mut BucketEffects,
    ) {
        let Some(seqno) = complete_to else {
            if self.copies.mark_complete(vb) {
                let delay = self.failures.stream_delay(&self.copies, &self.settings, at);
                let Some(link) = self.links.live(id) else { return };
                link.wanted.postpone(vb, at.now, delay);
                let why = format_args!("{vb}: the consumer's copy has no gap");
                fx.extend(link.log(LineKind::Complete, vb, &why, Notice::Log(1), at.now));
            }
            return;
        };
        let known = self.copies.mark_incomplete(vb, seqno, id);
        let why = format_args!("{vb}: complete only up to seqno {known}, rolling it back");
        for link in self.links.iter_mut() {
            if link.id == id {
                fx.extend(link.log(LineKind::Incomplete, vb, &why, Notice::Log(1), at.now));
            } else if link.wanted.is_open(vb) {
                // The race: another link opened the vBucket before this report arrived.
                link.wanted.reopen(vb, None);
            }
        }
    }

    /// Handles the end of a link. Unless it was closed on purpose, it is opened again after a
    /// delay.
    pub(super) fn link_down(
        &mut self,
        id: LinkId,
        down: LinkDown,
        at: Moment,
        fx: &mut BucketEffects,
    ) {
        let Some(link) = self.links.live(id) else { return };
        if link.state == LinkState::Closing {
            fx.push(BucketEffect::info(format!("link closed link={}", link.name)));
            link.forget_streams();
            link.state = LinkState::Idle;
            return;
        }
        // A node that restarts fails in several ways, each for a moment: each kind starts its own
        // backoff.
        let is_same_kind = link.last_error.as_ref().is_none_or(|last| last.reopen == down.reopen);
        let in_a_row = if is_same_kind { link.failures } else { 0 };
        let delay = link_delay(&self.settings, in_a_row, down.reopen, at.chance);
        let failures = link.failures.saturating_add(1);
        if link.logged.should_log(&down.detail, u64::from(failures)) {
            fx.push(BucketEffect::warn(format!(
                "link down link={} times={failures} retry_ms={} reason=\"{}\"",
                link.name,
                delay.as_millis(),
                down.detail
            )));
        }
        self.failures.links.count(&link.key.producer, down.code, down.answer.clone());
        link.mark_down(down, failures, at.now + delay);
    }

    /// Checks the links that are up, and restarts a stalled link, or a stalled stream of one.
    pub(super) fn sampled(
        &mut self,
        samples: Vec<(LinkId, Sample)>,
        at: Moment,
        fx: &mut BucketEffects,
    ) {
        self.listen(&samples, at.now, fx);
        for (id, sample) in samples {
            let Some(link) = self.links.live(id) else { continue };
            let behind = behind(&self.nodes, link, at.now);
            let stall = link.sampled(Sample { behind, ..sample }, at.now);
            match Hearing::of(&self.nodes, link, &sample.quiet, &self.settings, at.now) {
                Hearing::Unheard => continue,
                Hearing::Dead(side, silent) if link.watch.is_some() => {
                    give_up(link, side, LinkDown::unresponsive(side, silent), fx);
                }
                Hearing::Dead(..) | Hearing::Heard => {}
            }
            if let Some(stall) = stall {
                give_up(link, stall.side(), LinkDown::stalled(&stall), fx);
            }
            for (vb, stuck) in stuck_streams(&self.nodes, link, sample.data, &self.settings, at) {
                let for_ms = millis(stuck.for_);
                let reason = Reason::Stalled { behind: stuck.behind, for_ms };
                let error = VbError { vb, side: Side::Producer, reason };
                let text = format!("stream stalled link={} reason=\"{error}\"", link.name);
                fx.push(BucketEffect::warn(text));
                let producer = &link.key.producer;
                self.failures.streams.count(producer, error.reason_code(), error.answer());
                link.wanted.reopen(vb, Some(error));
            }
        }
        self.links.log_suppressed(at.now, fx);
    }

    /// Handles a poll of the consumer. A link is ended where its consumer has to roll back a
    /// vBucket that it did not serve at two polls in a row: real nodes drop such a rollback
    /// silently.
    pub(super) fn consumer_polled(&mut self, fx: &mut BucketEffects) {
        let (nodes, node) = (&self.nodes, &self.settings.node);
        let lacks = |vb| nodes.consumer_lacks(vb, node);
        self.copies.consumer_polled(lacks);
        for link in self.links.iter_mut() {
            let is_asked = |vb: &VbId| link.wanted.is_asked(*vb);
            let lacking = link.rolling.iter().filter(|vb| is_asked(vb) && lacks(**vb));
            let lacking: BTreeSet<_> = lacking.copied().collect();
            let given_up: BTreeSet<_> = lacking.intersection(&link.lacking).copied().collect();
            link.lacking = lacking;
            if let Some(&vb) = given_up.first() {
                link.lacking.clear();
                give_up(link, Side::Consumer, LinkDown::rollback_given_up(vb), fx);
                self.copies.mark_given_up(given_up);
            }
        }
    }

    /// Retries at once what waits for vBuckets that a node serves again.
    pub(super) fn serves_again(&mut self, appeared: &Appeared) {
        for link in self.links.iter_mut() {
            if appeared.side == Side::Consumer || link.key.producer == appeared.node {
                link.retry_now(|vb| appeared.vbs.contains(&vb));
            }
        }
    }
}

/// Ends a link for a fault that only the bucket can detect. The link reports that it is down; until
/// then it is not checked again.
fn give_up(link: &mut Link, side: Side, down: LinkDown, fx: &mut BucketEffects) {
    link.watch = None;
    if matches!(link.state, LinkState::Up { .. } | LinkState::Closing) {
        fx.push(BucketEffect::GiveUp(link.id, side, down));
    }
}

/// Returns the total lag of the open streams of a link, as far as it is known.
fn behind(nodes: &Nodes, link: &Link, now: Duration) -> Option<u64> {
    let open = link.wanted.streams().iter().filter(|(_, s)| s.phase == WantedPhase::Open);
    let known = open.filter_map(|(&vb, _)| nodes.lag(vb, now).seqnos());
    known.reduce(u64::saturating_add)
}

/// Returns the stalled streams of a link. Time is that of the consumer's last report: while its
/// control connection hangs, nothing is known of its streams.
fn stuck_streams(
    nodes: &Nodes,
    link: &mut Link,
    link_data: u64,
    settings: &Settings,
    at: Moment,
) -> Vec<(VbId, Stuck)> {
    let Some(heard) = nodes.consumer_heard() else { return Vec::new() };
    if link.watch.is_none() {
        return Vec::new();
    }
    let (wanted, standstill) = (&link.wanted, &mut link.standstill);
    standstill.retain(|vb| wanted.is_open(vb));
    let open = wanted.streams().keys().copied().filter(|&vb| wanted.is_open(vb));
    open.filter_map(|vb| {
        let Lag { producer, consumer, .. } = nodes.lag(vb, at.now);
        let position = Position { producer, consumer, link_data };
        let stuck = standstill.check(vb, position, settings.stall, heard);
        stuck.map(|stuck| (vb, stuck))
    })
    .collect()
}
