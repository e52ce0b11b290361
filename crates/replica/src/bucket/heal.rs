//! What follows from failures: counts and log lines, longer backoff for what is in a loop, and
//! restarts of what is stalled.

use std::collections::BTreeSet;
use std::time::Duration;

use logline::value;
use mcbp::{Side, VbId};

use super::effect::{BucketEffect, BucketEffects};
use super::event::millis;
use super::event::{LinkId, Moment};
use super::lines::LineKind;
use super::link::Link;
use super::link_down::LinkDown;
use super::link_state::LinkState;
use super::machine::BucketMachine;
use super::nodes::{Appeared, Nodes};
use super::rolled_back::Lost;
use super::settings::Settings;
use super::silence::Hearing;
use crate::lag::Lag;
use crate::link::{ErrorAnswer, Reason, VbError};
use crate::loops::{LoopKind, Notice};
use crate::stall::Sample;
use crate::standstill::{Position, Stuck};
use crate::wanted::WantedPhase;

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
        let producer = self.links.live(id).map(|link| link.key.producer.clone());
        let misfit = producer.and_then(|name| {
            let refused = matches!(error.reason, Reason::Refused { .. });
            self.nodes.misfit(error.vb, &name, &self.settings.node).filter(|_| refused)
        });
        let why = misfit.map_or_else(|| error.to_string(), |text| format!("{error}; {text}"));
        let notice = self.failures.loops.failed(error.vb, in_loop, &why, at.now);
        let Some(link) = self.links.live(id) else { return };
        let (code, answer) = (error.reason_code(), error.answer());
        self.failures.streams.count(&link.key.producer, Some(error.side), code, answer);
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
        self.copies.rolls_back(vb);
        let why = format_args!("{vb}: the consumer has to roll back");
        fx.extend(link.log(LineKind::Rollback, vb, &why, notice, at.now));
    }

    /// Keeps and logs a rollback that has ended.
    pub(super) fn note_rolled_back(
        &mut self,
        id: LinkId,
        (vb, from, to): (VbId, mcbp::Seqno, mcbp::Seqno),
        at: Moment,
        fx: &mut BucketEffects,
    ) {
        let Some(link) = self.links.live(id) else { return };
        link.rolling.remove(&vb);
        let producer = link.key.producer.clone();
        if self.copies.complete_to(vb).is_some() {
            // We asked for it in the producer's place: nothing is lost that the producer lacks.
            return;
        }
        if self.rolled_back.note(vb, Lost { producer, from, to, at: at.now }) {
            let why = format_args!(
                "{vb}: our copy went back from seqno {from} to {to}, because the producer lacks \
                 these changes"
            );
            fx.extend(link.log(LineKind::RolledBack, vb, &why, Notice::Log(1), at.now));
        }
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
            let max_age = self.settings.poll_max_age;
            let stall = link.sampled(Sample { behind, ..sample }, max_age, at.now);
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
                let text = format!("stream stalled link={} reason={}", link.name, value(&error));
                fx.push(BucketEffect::warn(text));
                let producer = &link.key.producer;
                let (code, answer) = (error.reason_code(), error.answer());
                self.failures.streams.count(producer, Some(error.side), code, answer);
                link.wanted.reopen(vb, Some(error));
            }
            self.forget_lasting(id, at.now, fx);
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

    /// Retries at once what waits for vBuckets that a node serves again. A link in a loop keeps its
    /// delay: a node that ends because of the link would be ended again.
    pub(super) fn serves_again(&mut self, appeared: &Appeared, now: Duration) {
        for link in self.links.iter_mut() {
            if appeared.side == Side::Producer && link.key.producer != appeared.node {
                continue;
            }
            let concerns = |vb| appeared.vbs.contains(&vb);
            if self.failures.link_loops.broken(link.id.index, now).is_some() {
                link.wanted.retry_now(concerns);
            } else {
                link.retry_now(concerns);
            }
        }
    }

    /// Records that a node answered the other one with an error, after which that one may close its
    /// connection.
    pub(super) fn error_answered(
        &mut self,
        id: LinkId,
        answer: ErrorAnswer,
        at: Moment,
        fx: &mut BucketEffects,
    ) {
        let Some(link) = self.links.live(id) else { return };
        link.fall.answered(answer, at.now);
        if link.lines.allow(LineKind::ErrorAnswer, at.now) {
            fx.push(LineKind::ErrorAnswer.line(&link.name, &format!("reason=\"{answer}\"")));
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
