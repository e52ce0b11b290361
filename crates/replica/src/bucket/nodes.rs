//! What the data nodes report in polls: their seqnos, and whether a producer's topologies name our
//! node. A node that does not answer makes lag unknown; one that is heard nowhere is unresponsive.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use logline::value;
use mcbp::{Seqno, Side, VbId, VbState};

use super::branches::Branches;
use super::effect::{BucketEffect, BucketEffects};
use super::event::{PollAnswer, Polled, millis};
use super::link::Link;
use super::misfits::Misfits;
use super::settings::Settings;
use crate::lag::{Lag, LagTracker};
use crate::liveness::{Liveness, Quiet, Turn};
use crate::plan::Desired;
use crate::topology::TopologyMismatch;

/// The reports of the nodes.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Nodes {
    lags: LagTracker,
    /// The polled nodes. Answers of others are ignored.
    polled: BTreeMap<(Side, String), Liveness>,
    errors: BTreeMap<String, String>,
    warnings: BTreeMap<String, String>,
    misfits: Misfits,
    pub(super) branches: Branches,
    states: ConsumerStates,
}

/// What is known of the states of vBuckets at the consumer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
enum ConsumerStates {
    /// It is not polled, or did not answer its first poll.
    #[default]
    Unknown,
    /// Its first poll runs; set-ups wait for it until then.
    AwaitedUntil(Duration),
    /// It last reported them at that time.
    ReportedAt(Duration),
}

/// How long set-ups wait for the first report of states. It takes as long as a login, which the
/// links need too; a node that takes longer must not delay replication.
const STATES_WAIT: Duration = Duration::from_secs(1);

/// Maximum ages of a poll after which the states are unknown: they are polled less often than
/// seqnos.
const STATES_MAX_AGES: u32 = 3;

/// vBuckets that a node serves and did not serve at its previous poll.
pub(super) struct Appeared {
    pub(super) side: Side,
    pub(super) node: String,
    pub(super) vbs: BTreeSet<VbId>,
}

impl Nodes {
    /// Sets the polled nodes: the consumer and the producers of the desired map. The consumer is
    /// polled also while nothing is desired: only its states show that a vBucket that was taken
    /// over has become a replica again. Without a map no node is polled.
    pub(super) fn follow(&mut self, desired: Option<&Desired>, settings: &Settings, now: Duration) {
        if settings.poll_max_age.is_none() {
            return;
        }
        let mut sources = BTreeMap::new();
        let mut asked = BTreeSet::new();
        for (producer, vbs) in desired.into_iter().flat_map(Desired::producers) {
            asked.insert((Side::Producer, producer.clone()));
            sources.extend(vbs.iter().map(|vb| (vb, producer.clone())));
        }
        self.lags.follow(&sources, now);
        if desired.is_none() {
            self.states = ConsumerStates::Unknown;
        } else {
            let consumer = (Side::Consumer, settings.node.clone());
            if !self.polled.contains_key(&consumer) {
                self.states = ConsumerStates::AwaitedUntil(now + STATES_WAIT);
            }
            asked.insert(consumer);
        }
        self.polled.retain(|node, _| asked.contains(node));
        for node in asked {
            self.polled.entry(node).or_insert_with(|| Liveness::new(now));
        }
        let polled = &self.polled;
        let is_polled = |name: &String| polled.keys().any(|(_, node)| node == name);
        self.errors.retain(|name, _| is_polled(name));
        self.warnings.retain(|name, _| is_polled(name));
        self.misfits.retain(|node| polled.contains_key(node));
        self.branches.retain(|node| polled.contains_key(node));
    }

    /// Records an answer. Returns the vBuckets that the node serves again.
    pub(super) fn record(
        &mut self,
        polled: Polled,
        bucket: &str,
        now: Duration,
        fx: &mut BucketEffects,
    ) -> Option<Appeared> {
        let Polled { side, node, answer, age } = polled;
        let asked = (side, node);
        let liveness = self.polled.get_mut(&asked)?;
        let (_, node) = asked;
        let is_sign = !matches!(&answer, PollAnswer::Seqnos(Err(error)) if !error.is_sign);
        if is_sign {
            let turn = liveness.heard(now);
            fx.extend(turn.map(|turn| turn_line(turn, bucket, side, &node, None)));
        }
        let vbs = match answer {
            PollAnswer::Topology(mismatch) => {
                fx.extend(self.topology(bucket, &node, mismatch.as_ref()));
                return None;
            }
            PollAnswer::Misfits(states) => {
                if side == Side::Consumer {
                    self.states = match &states {
                        Some(_) => ConsumerStates::ReportedAt(now),
                        None => ConsumerStates::Unknown,
                    };
                }
                self.misfits.record(side, node, states.unwrap_or_default());
                return None;
            }
            PollAnswer::Branches(uuids) => {
                self.branches.record(side, node, uuids, now.saturating_sub(age));
                return None;
            }
            PollAnswer::Seqnos(Ok(seqnos)) => {
                if self.errors.remove(&node).is_some() {
                    let text = format!("lag is known again bucket={bucket} node={node}");
                    fx.push(BucketEffect::info(text));
                }
                self.seqnos(side, &node, Some(&seqnos), now)
            }
            PollAnswer::Seqnos(Err(error)) => {
                let error = error.text;
                if self.errors.insert(node.clone(), error.clone()).is_none() {
                    let text = format!(
                        "lag is unknown bucket={bucket} node={node} reason={}",
                        value(error)
                    );
                    fx.push(BucketEffect::warn(text));
                }
                self.seqnos(side, &node, None, now)
            }
        };
        (!vbs.is_empty()).then(|| Appeared { side, node, vbs: vbs.into_iter().collect() })
    }

    fn seqnos(
        &mut self,
        side: Side,
        node: &str,
        seqnos: Option<&[(VbId, Seqno)]>,
        now: Duration,
    ) -> Vec<VbId> {
        match side {
            Side::Consumer => {
                match seqnos {
                    Some(seqnos) => {
                        let vbs = seqnos.iter().map(|(vb, _)| *vb);
                        self.misfits.remove(Side::Consumer, node, vbs);
                    }
                    None if matches!(self.states, ConsumerStates::AwaitedUntil(_)) => {
                        self.states = ConsumerStates::Unknown;
                    }
                    None => {}
                }
                self.lags.record_consumer(seqnos, now)
            }
            Side::Producer => self.lags.record_producer(node, seqnos, now),
        }
    }

    /// Records whether a producer's topologies name our node. Returns the log line of a change.
    fn topology(
        &mut self,
        bucket: &str,
        node: &str,
        mismatch: Option<&TopologyMismatch>,
    ) -> Option<BucketEffect> {
        let Some(mismatch) = mismatch else {
            self.warnings.remove(node)?;
            let text = format!("topology warning cleared bucket={bucket} producer={node}");
            return Some(BucketEffect::info(text));
        };
        let text = mismatch.to_string();
        if self.warnings.get(node) == Some(&text) {
            return None;
        }
        let reason = value(&text);
        self.warnings.insert(node.to_owned(), text);
        Some(BucketEffect::warn(format!(
            "node is in no topology bucket={bucket} producer={node} reason={reason}"
        )))
    }

    /// Returns the lag of a vBucket for the status: unknown where a node has not reported lately.
    pub(super) fn recent_lag(&self, vb: VbId, settings: &Settings, now: Duration) -> Lag {
        let Some(max_age) = settings.poll_max_age else { return Lag::default() };
        self.lags.recent_lag(vb, now, max_age)
    }

    /// Returns the lag of a vBucket by the last reports, however old.
    pub(super) fn lag(&self, vb: VbId, now: Duration) -> Lag {
        self.lags.lag(vb, now)
    }

    /// Whether the consumer, which has this name, answered its last poll without this vBucket.
    pub(super) fn consumer_lacks(&self, vb: VbId, consumer: &str) -> bool {
        !self.errors.contains_key(consumer) && self.lags.consumer_lacks(vb)
    }

    /// Returns until when set-ups wait for the first report of the consumer's states, if they do.
    pub(super) fn states_due(&self, now: Duration) -> Option<Duration> {
        match self.states {
            ConsumerStates::AwaitedUntil(until) if until > now => Some(until),
            _ => None,
        }
    }

    /// Returns the vBuckets that are active at the consumer; `None` where that is unknown or old.
    pub(super) fn active_here(&self, settings: &Settings, now: Duration) -> Option<BTreeSet<VbId>> {
        let ConsumerStates::ReportedAt(at) = self.states else { return None };
        let max_age = settings.poll_max_age? * STATES_MAX_AGES;
        if now.saturating_sub(at) > max_age {
            return None;
        }
        self.misfits.in_state(Side::Consumer, &settings.node, VbState::Active)
    }

    /// Records that a vBucket has become active at the consumer, until the next report.
    pub(super) fn note_active(&mut self, vb: VbId, consumer: &str) {
        if matches!(self.states, ConsumerStates::ReportedAt(_)) {
            self.misfits.add(Side::Consumer, consumer, vb, VbState::Active);
        }
    }

    /// Forgets that a vBucket is active at the consumer.
    pub(super) fn forget_active(&mut self, vb: VbId, consumer: &str) {
        self.misfits.remove(Side::Consumer, consumer, std::iter::once(vb));
    }

    /// Returns when the consumer last reported its seqnos.
    pub(super) const fn consumer_heard(&self) -> Option<Duration> {
        self.lags.consumer_heard()
    }

    /// Records how long the nodes of an open link have been silent on it. Returns the log lines of
    /// nodes that are heard again.
    pub(super) fn heard_on(
        &mut self,
        link: &Link,
        quiet: &Quiet,
        settings: &Settings,
        now: Duration,
    ) -> Vec<BucketEffect> {
        let sides = [(Side::Producer, quiet.producer), (Side::Consumer, quiet.consumer)];
        let lines = sides.into_iter().filter_map(|(side, silent)| {
            let node = link.node(side, &settings.node);
            let liveness = self.polled.get_mut(&(side, node.to_owned()))?;
            let turn = liveness.heard(now.saturating_sub(silent?))?;
            Some(turn_line(turn, &settings.bucket, side, node, None))
        });
        lines.collect()
    }

    /// Judges every polled node. Returns the log lines of those that have become unresponsive.
    pub(super) fn judge(&mut self, settings: &Settings, now: Duration) -> Vec<BucketEffect> {
        let errors = &self.errors;
        let lines = self.polled.iter_mut().filter_map(|((side, node), liveness)| {
            let turn = liveness.judge(settings.stall, now)?;
            let error = errors.get(node).map(String::as_str);
            Some(turn_line(turn, &settings.bucket, *side, node, error))
        });
        lines.collect()
    }

    /// Records that this process did not run until `now`.
    pub(super) fn resumed(&mut self, now: Duration) {
        self.polled.values_mut().for_each(|liveness| liveness.resumed(now));
    }

    /// Returns the state of a node that is polled in this role.
    pub(super) fn liveness(&self, side: Side, node: &str) -> Option<&Liveness> {
        // A search, because a borrowed pair is no key of the map; there are few nodes.
        let mut polled = self.polled.iter();
        polled.find(|((of, name), _)| *of == side && name == node).map(|(_, liveness)| liveness)
    }

    /// Returns the polled nodes.
    pub(super) fn polled(&self) -> impl Iterator<Item = (Side, &str, &Liveness)> {
        self.polled.iter().map(|((side, node), liveness)| (*side, node.as_str(), liveness))
    }

    /// Returns the error of a node's last poll, if it failed.
    pub(super) fn error(&self, node: &str) -> Option<&str> {
        self.errors.get(node).map(String::as_str)
    }

    /// Returns the warning about a node that answers, if any: wanted vBuckets in a state that does
    /// not fit, or the topologies of a producer.
    pub(super) fn warning(&self, node: &str, is_wanted: impl Fn(VbId) -> bool) -> Option<String> {
        self.misfit_warning(node, is_wanted).or_else(|| self.warnings.get(node).cloned())
    }

    /// Returns which wanted vBuckets of a node are in a state that does not fit, if any.
    pub(super) fn misfit_warning(
        &self,
        node: &str,
        is_wanted: impl Fn(VbId) -> bool,
    ) -> Option<String> {
        self.misfits.warning(node, is_wanted)
    }

    /// Returns which state of a vBucket does not fit, and where.
    pub(super) fn misfit(&self, vb: VbId, producer: &str, consumer: &str) -> Option<String> {
        self.misfits.of(vb, producer, consumer)
    }
}

/// Returns the log line of a node that became unresponsive, or is heard again.
fn turn_line(
    turn: Turn,
    bucket: &str,
    side: Side,
    node: &str,
    error: Option<&str>,
) -> BucketEffect {
    match turn {
        Turn::Unresponsive(silent) => {
            let reason = error.unwrap_or("no answer on any connection").replace('"', "'");
            BucketEffect::warn(format!(
                "node is unresponsive bucket={bucket} side={side} node={node} silent_ms={} \
                 reason=\"{reason}\"",
                millis(silent)
            ))
        }
        Turn::Responsive(silent) => BucketEffect::info(format!(
            "node is responsive again bucket={bucket} side={side} node={node} silent_ms={}",
            millis(silent)
        )),
    }
}
