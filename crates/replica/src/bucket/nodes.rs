//! What the data nodes report in polls: their seqnos, and whether a producer's topologies name our
//! node. A node that does not answer makes lag unknown and has no other effect.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use logline::value;
use mcbp::{Seqno, Side, VbId};

use super::effect::{BucketEffect, BucketEffects};
use super::event::{PollAnswer, Polled};
use super::misfits::Misfits;
use super::settings::Settings;
use crate::lag::{Lag, LagTracker};
use crate::plan::Desired;
use crate::topology::TopologyMismatch;

/// The reports of the nodes.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Nodes {
    lags: LagTracker,
    /// The polled nodes. Answers of others are ignored.
    polled: BTreeSet<(Side, String)>,
    errors: BTreeMap<String, String>,
    warnings: BTreeMap<String, String>,
    misfits: Misfits,
}

/// vBuckets that a node serves and did not serve at its previous poll.
pub(super) struct Appeared {
    pub(super) side: Side,
    pub(super) node: String,
    pub(super) vbs: BTreeSet<VbId>,
}

impl Nodes {
    /// Sets the polled nodes to those of the desired map.
    pub(super) fn follow(&mut self, desired: &Desired, settings: &Settings) {
        if settings.poll_max_age.is_none() {
            return;
        }
        let mut sources = BTreeMap::new();
        for (producer, vbs) in desired.producers() {
            sources.extend(vbs.iter().map(|vb| (vb, producer.clone())));
        }
        self.lags.follow(&sources);
        let producers = desired.producers().keys();
        self.polled = producers.map(|name| (Side::Producer, name.clone())).collect();
        if !self.polled.is_empty() {
            self.polled.insert((Side::Consumer, settings.node.clone()));
        }
        let polled = &self.polled;
        let is_polled = |name: &String| polled.iter().any(|(_, node)| node == name);
        self.errors.retain(|name, _| is_polled(name));
        self.warnings.retain(|name, _| is_polled(name));
        self.misfits.retain(|node| polled.contains(node));
    }

    /// Records an answer. Returns the vBuckets that the node serves again.
    pub(super) fn record(
        &mut self,
        polled: Polled,
        bucket: &str,
        now: Duration,
        fx: &mut BucketEffects,
    ) -> Option<Appeared> {
        let Polled { side, node, answer } = polled;
        let asked = (side, node);
        if !self.polled.contains(&asked) {
            return None;
        }
        let (_, node) = asked;
        let vbs = match answer {
            PollAnswer::Topology(mismatch) => {
                fx.extend(self.topology(bucket, &node, mismatch.as_ref()));
                return None;
            }
            PollAnswer::Misfits(states) => {
                self.misfits.record(side, node, states);
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
            Side::Consumer => self.lags.record_consumer(seqnos, now),
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

    /// Returns when the consumer last reported its seqnos.
    pub(super) const fn consumer_heard(&self) -> Option<Duration> {
        self.lags.consumer_heard()
    }

    /// Returns the error of a node's last poll, if it failed.
    pub(super) fn error(&self, node: &str) -> Option<&str> {
        self.errors.get(node).map(String::as_str)
    }

    /// Returns the warning about a node that answers, if any: wanted vBuckets in a state that does
    /// not fit, or the topologies of a producer.
    pub(super) fn warning(&self, node: &str, is_wanted: impl Fn(VbId) -> bool) -> Option<String> {
        let misfits = self.misfits.warning(node, is_wanted);
        misfits.or_else(|| self.warnings.get(node).cloned())
    }

    /// Returns which state of a vBucket does not fit, and where.
    pub(super) fn misfit(&self, vb: VbId, producer: &str, consumer: &str) -> Option<String> {
        self.misfits.of(vb, producer, consumer)
    }
}
