//! What a manager does about failures: counts and logs them, slows down what is in a loop, and
//! restarts links that stand still.

use std::collections::BTreeSet;
use std::time::Duration;

use actix::{Context, Handler};
use mcbp::VbId;
use relay::Side;
use replica::lag::Lag;
use replica::link::{Reason, Retry, VbError, VbOutcome};
use replica::loops::{Broken, LoopKind, Loops, Notice};
use replica::stall::{Stall, StallRule};
use replica::standstill::{Position, Stuck};
use replica::wanted::StreamPhase;

use super::link::{Link, LinkState};
use super::tell::Line;
use super::{Outcomes, ReplicationManager};
use crate::config::Limits;
use crate::error::LinkDown;
use crate::gauges::Gauges;
use crate::lag_monitor::{Heard, Polled};
use crate::replicator::{GiveUp, LinkId};
use crate::status::millis;

/// How often links are looked at: four times within the limit, and at least each second.
const LOOKS_PER_STALL: u32 = 4;
const LOOK_MAX: Duration = Duration::from_secs(1);

/// When a copy that misses rows is rolled back: long enough for the consumer's answer to
/// CLOSE_STREAM, which may show that it misses none, and short beside any backoff.
const MEND_AFTER: Duration = Duration::from_millis(50);

/// How often to look for links that stand still.
pub(super) fn look_interval(limits: &Limits) -> Duration {
    (limits.stall / LOOKS_PER_STALL).clamp(Duration::from_millis(1), LOOK_MAX)
}

/// The book of failures. Quiet is longer than two attempts at the slowest pace are apart.
pub(super) fn loops(limits: &Limits) -> Loops {
    let quiet = limits.loop_window.max(limits.backoff.max * 2);
    Loops::new(limits.loop_failures, limits.loop_window, quiet)
}

impl ReplicationManager {
    /// How long streams wait after so many failures in a row. What fails together is tried again
    /// together: one random number for all of it.
    ///
    /// Nothing is taken as final at once: a node that warms up says that it has no vBucket. A copy
    /// that misses rows is rolled back soon, so that it misses them for as short as can be.
    pub(super) fn stream_delay(&self) -> impl FnMut(VbId, u32, Retry) -> Duration + use<> {
        let (backoff, random) = (self.limits.backoff, fastrand::f64());
        let broken: BTreeSet<_> = self.loops.all_broken(self.now()).map(|(vb, ..)| vb).collect();
        let incomplete: BTreeSet<_> = self.incomplete.keys().copied().collect();
        move |vb, failures, retry| match retry {
            _ if failures == 0 && incomplete.contains(&vb) => MEND_AFTER,
            _ if broken.contains(&vb) => backoff.max,
            Retry::AtOnce if failures == 0 => Duration::ZERO,
            Retry::AtOnce | Retry::AfterBackoff | Retry::AfterNewTopology | Retry::Never => {
                backoff.delay(failures, random)
            }
        }
    }

    /// How long to wait before a link is opened again after so many failures of one kind in a row.
    fn link_delay(&self, failures: u32, retry: relay::Retry) -> Duration {
        let backoff = &self.limits.backoff;
        match retry {
            relay::Retry::Soon => backoff.min,
            relay::Retry::AfterBackoff | relay::Retry::Never | relay::Retry::Slowly => {
                backoff.delay(failures, fastrand::f64())
            }
        }
    }

    /// Counts and logs what failed in a set-up.
    pub(super) fn note_outcomes(&mut self, id: LinkId, outcomes: &Outcomes) {
        for error in outcomes.values().filter_map(VbOutcome::error) {
            self.tally(id, error);
            self.note_doubt(error);
            let notice = self.count(error.vb, LoopKind::of_failure(error), &error.to_string());
            self.tell(id, Line::Failed, error.vb, error, notice);
        }
    }

    /// Counts and logs the end of an open stream.
    pub(super) fn note_end(&mut self, id: LinkId, error: &VbError) {
        self.tally(id, error);
        self.note_doubt(error);
        let notice = self.count(error.vb, Some(LoopKind::of_end(error)), &error.to_string());
        self.tell(id, Line::Ended, error.vb, error, notice);
    }

    /// Counts and logs that a consumer has to roll back.
    pub(super) fn note_rollback(&mut self, id: LinkId, vb: VbId) {
        if let Some(link) = self.live_link(id) {
            link.rolling.insert(vb);
        }
        self.goes_on();
        let notice = self.count(vb, Some(LoopKind::Rollback), LoopKind::Rollback.name());
        self.tell(
            id,
            Line::Rollback,
            vb,
            &format_args!("{vb}: the consumer has to roll back"),
            notice,
        );
    }

    fn tally(&mut self, id: LinkId, error: &VbError) {
        let Some(link) = self.links.get(id.index) else { return };
        self.stream_failures.count(&link.key.producer, error.reason_code(), error.status());
    }

    fn count(&mut self, vb: VbId, kind: Option<LoopKind>, why: &str) -> Notice {
        let now = self.now();
        self.loops.failed(vb, kind, why, now)
    }

    /// The loop that a vBucket is in, if any.
    pub(super) fn broken(&self, vb: VbId) -> Option<Broken> {
        self.loops.broken(vb, self.now())
    }

    /// A link is over. Unless that was wanted, it is opened again after a while.
    pub(super) fn link_down(&mut self, id: LinkId, down: LinkDown) {
        self.note_heard(id.index);
        let now = self.now();
        let failures = self.live_link(id).map_or(0, |link| link.failures);
        // A node that comes back fails in other ways, one after the other, each for a moment.
        let before = self.live_link(id).and_then(|link| link.last_error.as_ref());
        let is_same_kind = before.is_none_or(|before| before.retry == down.retry);
        let delay = self.link_delay(if is_same_kind { failures } else { 0 }, down.retry);
        let Some(link) = self.live_link(id) else { return };
        link.wanted.link_lost();
        link.watch = None;
        link.rolling.clear();
        link.lacking.clear();
        link.standstill.clear();
        if matches!(link.state, LinkState::Closing(_)) {
            log::info!("link closed link={}", link.spec.name);
            link.state = LinkState::Idle;
            return;
        }
        link.failures = failures.saturating_add(1);
        if link.told.is_worth_a_line(&down.detail, u64::from(link.failures)) {
            log::warn!(
                "link down link={} times={} retry_ms={} reason=\"{}\"",
                link.spec.name,
                link.failures,
                delay.as_millis(),
                down.detail
            );
        }
        if down.is_stall() {
            link.stalls = link.stalls.saturating_add(1);
            link.stall = Some(down.detail.clone());
        }
        let (producer, status) = (link.key.producer.clone(), down.status.clone());
        let code = down.code;
        link.last_error = Some(down);
        link.state = LinkState::Waiting { until: now + delay };
        self.link_failures.count(&producer, code, status);
    }

    /// Looks at every link, and restarts those that stand still.
    pub(super) fn look_for_stalls(&mut self) {
        let now = self.now();
        for index in 0..self.links.len() {
            self.note_heard(index);
            let behind = self.links.get(index).and_then(|link| self.behind(link));
            let Some(link) = self.links.get_mut(index) else { continue };
            if let Some(stall) = link.look(behind, now) {
                // The consumer's fault where it does not acknowledge.
                let side = match stall {
                    Stall::Silent { .. } => Side::Producer,
                    Stall::WindowFull { .. } => Side::Consumer,
                };
                link.give_up(side, LinkDown::stalled(&stall));
            }
        }
    }

    /// Looks at every open stream, and has those closed and added again that stand still while
    /// their link goes on.
    pub(super) fn look_for_standstill(&mut self) {
        let (now, limit) = (self.now(), self.limits.stall);
        for index in 0..self.links.len() {
            for (vb, stuck) in self.stuck_streams(index, limit, now) {
                let Some(link) = self.links.get_mut(index) else { continue };
                let for_ms = millis(stuck.for_);
                let reason = Reason::Stalled { behind: stuck.behind, for_ms };
                let error = VbError { vb, side: Side::Producer, reason };
                log::warn!("stream stalled, adding it again link={} {error}", link.spec.name);
                let producer = link.key.producer.clone();
                self.stream_failures.count(&producer, error.reason_code(), error.status());
                link.wanted.reopen(vb, Some(error));
            }
        }
    }

    /// The open streams of a link that stand still, by the time of what the consumer last said: one
    /// that hangs on its control connection says nothing about its streams.
    fn stuck_streams(
        &mut self,
        index: usize,
        limit: Duration,
        now: Duration,
    ) -> Vec<(VbId, Stuck)> {
        let (Some(lag), Some(link)) = (&self.lag, self.links.get_mut(index)) else {
            return Vec::new();
        };
        let Some(heard) = lag.consumer_heard() else { return Vec::new() };
        let Some(watch) = &link.watch else { return Vec::new() };
        let link_data = watch.gauges.sample(None).data;
        let streams = link.wanted.streams();
        let is_open = |vb| streams.get(&vb).is_some_and(|s| s.phase == StreamPhase::Open);
        link.standstill.retain(is_open);
        let open = streams.keys().copied().filter(|&vb| is_open(vb));
        let standstill = &mut link.standstill;
        open.filter_map(|vb| {
            let Lag { producer, consumer, .. } = lag.lag(vb, now);
            let at = Position { producer, consumer, link_data };
            standstill.look(vb, at, limit, heard).map(|stuck| (vb, stuck))
        })
        .collect()
    }

    /// How far the open streams of a link are behind, as far as that is known.
    fn behind(&self, link: &Link) -> Option<u64> {
        let (now, lag) = (self.now(), self.lag.as_ref()?);
        let open = link.wanted.streams().iter().filter(|(_, s)| s.phase == StreamPhase::Open);
        let known = open.filter_map(|(&vb, _)| lag.lag(vb, now).seqnos());
        known.reduce(u64::saturating_add)
    }

    /// Notes when both nodes of a link were last heard on it.
    fn note_heard(&mut self, index: usize) {
        let now = self.now();
        let Some(link) = self.links.get(index) else { return };
        let Some(Watch { gauges, .. }) = &link.watch else { return };
        let heard = |silent: Duration| now.saturating_sub(silent);
        self.traffic.heard(&link.key.producer, heard(gauges.producer_silent()));
        self.traffic.heard(&self.node.name, heard(gauges.consumer_silent()));
    }
}

impl Handler<Polled> for ReplicationManager {
    type Result = ();

    fn handle(&mut self, polled: Polled, ctx: &mut Context<Self>) {
        let now = self.now();
        let is_consumers = polled.side == Side::Consumer;
        let heard = self.lag.as_mut().and_then(|lag| lag.said(polled, now));
        if is_consumers {
            self.consumer_polled();
        }
        let Some(heard) = heard else { return };
        self.traffic.heard(&heard.node, now);
        if !heard.appeared.is_empty() {
            self.serves_again(&heard);
            self.reconcile(ctx);
        }
    }
}

impl ReplicationManager {
    /// A node serves vBuckets that it did not serve before: whatever waits for them after a failure
    /// is tried now.
    fn serves_again(&mut self, heard: &Heard) {
        let appeared: BTreeSet<_> = heard.appeared.iter().copied().collect();
        for link in &mut self.links {
            if heard.side == Side::Consumer || link.key.producer == heard.node {
                link.retry_now(|vb| appeared.contains(&vb));
            }
        }
    }
}

/// How an open link is watched.
pub(super) struct Watch {
    pub(super) gauges: Gauges,
    rule: StallRule,
}

impl Link {
    /// Watches a life that begins now.
    pub(super) fn watch(&mut self, gauges: Gauges, now: Duration) {
        let rule = StallRule::new(self.spec.limits.stall, self.stalls, now);
        self.watch = Some(Watch { gauges, rule });
    }

    /// Takes a sample, and says whether the link stands still.
    fn look(&mut self, behind: Option<u64>, now: Duration) -> Option<Stall> {
        let Watch { gauges, rule } = self.watch.as_mut()?;
        let stall = rule.sample(gauges.sample(behind), now);
        if rule.has_moved_data() && stall.is_none() {
            (self.stalls, self.stall) = (0, None);
        }
        stall
    }

    pub(super) fn give_up(&mut self, side: Side, down: LinkDown) {
        // It says that it is down when it is; until then it is not looked at again.
        self.watch = None;
        if let Some(addr) = self.state.open_address() {
            addr.do_send(GiveUp { side, down });
        }
    }
}
