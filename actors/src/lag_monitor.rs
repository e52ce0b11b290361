//! Has the data nodes of one bucket asked for their high seqnos, on control connections and never
//! on those of DCP. A node that does not answer makes lag unknown and harms nothing else.
//!
//! Producers are asked on the same connections whether they count our node for durable writes.

use std::collections::BTreeMap;
use std::time::Duration;

use actix::Recipient;
use mcbp::{Side, VbId};
use relay::Endpoint;
use replica::lag::{Lag, LagBook};
use replica::plan::{Desired, VbSet};
use replica::topology::SAMPLE_MAX;

use crate::config::Limits;
use crate::node_poll::{Poll, Said, Whom};

pub(crate) use crate::node_poll::Polled;

/// A seqno that was not refreshed for so many intervals is shown as unknown: the node hangs, long
/// before a request runs into its deadline.
const INTERVALS_MAX: u32 = 3;
/// What a node that is busy may take beyond that.
const ANSWER_SLACK: Duration = Duration::from_secs(1);

/// A node that has answered.
pub(crate) struct Heard {
    /// As what it was asked.
    pub(crate) side: Side,
    /// Its name.
    pub(crate) node: String,
    /// vBuckets that it serves and did not when it was last asked.
    pub(crate) appeared: Vec<VbId>,
}

/// The lag of one bucket.
pub(crate) struct LagMonitor {
    bucket: String,
    consumer: Endpoint,
    limits: Limits,
    told: Recipient<Polled>,
    book: LagBook,
    polls: BTreeMap<(Side, String), Poll>,
    errors: BTreeMap<String, String>,
    warnings: BTreeMap<String, String>,
}

impl LagMonitor {
    /// Asks nobody yet. Answers go to `told`, which is to hand them to [`Self::said`].
    pub(crate) fn new(
        bucket: String,
        consumer: Endpoint,
        limits: Limits,
        told: Recipient<Polled>,
    ) -> Self {
        Self {
            bucket,
            consumer,
            limits,
            told,
            book: LagBook::default(),
            polls: BTreeMap::new(),
            errors: BTreeMap::new(),
            warnings: BTreeMap::new(),
        }
    }

    /// Asks for what is wanted, and for nothing else.
    pub(crate) fn follow(&mut self, desired: &Desired, producers: &BTreeMap<String, Endpoint>) {
        let Some(interval) = self.limits.lag_interval else { return };
        let mut sources = BTreeMap::new();
        for (producer, vbs) in desired.producers() {
            sources.extend(vbs.iter().map(|vb| (vb, producer.clone())));
        }
        self.book.follow(&sources);
        let names = desired.producers().keys();
        let mut nodes: BTreeMap<_, _> = names
            .filter_map(|name| producers.get(name))
            .map(|node| ((Side::Producer, node.name.clone()), node))
            .collect();
        if !nodes.is_empty() {
            nodes.insert((Side::Consumer, self.consumer.name.clone()), &self.consumer);
        }
        self.polls.retain(|asked, _| nodes.contains_key(asked));
        self.errors.retain(|name, _| nodes.keys().any(|(_, node)| node == name));
        self.warnings.retain(|name, _| nodes.keys().any(|(_, node)| node == name));
        for ((side, name), node) in nodes {
            let vbs = desired.producers().get(&name).filter(|_| side == Side::Producer);
            let sample: Vec<_> = vbs.into_iter().flat_map(VbSet::iter).take(SAMPLE_MAX).collect();
            let whom = Whom { side, node, bucket: &self.bucket, our_name: &self.consumer.name };
            let poll = self
                .polls
                .entry((side, name))
                .or_insert_with(|| Poll::start(whom, &self.limits, interval, &self.told));
            poll.read_topology_of(sample);
        }
    }

    /// Takes in an answer; says which node was heard, and what it serves again.
    pub(crate) fn said(&mut self, polled: Polled, now: Duration) -> Option<Heard> {
        let Polled { side, node, said } = polled;
        let asked = (side, node);
        if !self.polls.contains_key(&asked) {
            return None;
        }
        let (_, node) = asked;
        let seqnos = match said {
            Said::Seqnos(seqnos) => seqnos,
            Said::Stranger(stranger) => {
                self.note_stranger(&node, stranger.map(|stranger| stranger.to_string()));
                return Some(Heard { side, node, appeared: Vec::new() });
            }
        };
        let seqnos = match seqnos {
            Ok(seqnos) => {
                if self.errors.remove(&node).is_some() {
                    log::info!("lag is known again bucket={} node={node}", self.bucket);
                }
                Some(seqnos)
            }
            Err(error) => {
                if self.errors.insert(node.clone(), error.to_string()).is_none() {
                    log::warn!("lag is unknown bucket={} reason=\"{error}\"", self.bucket);
                }
                None
            }
        };
        let appeared = match side {
            Side::Consumer => self.book.consumer_said(seqnos.as_deref(), now),
            Side::Producer => self.book.producer_said(&node, seqnos.as_deref(), now),
        };
        seqnos.map(|_| Heard { side, node, appeared })
    }

    /// Logs what is new.
    fn note_stranger(&mut self, node: &str, warning: Option<String>) {
        let bucket = &self.bucket;
        match warning {
            Some(text) if self.warnings.get(node) != Some(&text) => {
                let quoted = text.replace('"', "'");
                log::warn!(
                    "node is in no topology bucket={bucket} producer={node} reason=\"{quoted}\""
                );
                self.warnings.insert(node.to_owned(), text);
            }
            Some(_) => {}
            None => {
                if self.warnings.remove(node).is_some() {
                    log::info!("warning about topology is over bucket={bucket} producer={node}");
                }
            }
        }
    }

    /// The lag of a vBucket as it may be shown: unknown where a node has not said it lately.
    pub(crate) fn recent_lag(&self, vb: VbId, now: Duration) -> Lag {
        let interval = self.limits.lag_interval.unwrap_or_default();
        self.book.recent_lag(vb, now, interval * INTERVALS_MAX + ANSWER_SLACK)
    }

    /// The lag of a vBucket by what the nodes said last, however long ago.
    pub(crate) fn lag(&self, vb: VbId, now: Duration) -> Lag {
        self.book.lag(vb, now)
    }

    /// Whether the consumer answered when it was asked last, and did not tell of this vBucket.
    pub(crate) fn consumer_lacks(&self, vb: VbId) -> bool {
        !self.errors.contains_key(&self.consumer.name) && self.book.consumer_lacks(vb)
    }

    /// When our node last said its seqnos.
    pub(crate) const fn consumer_heard(&self) -> Option<Duration> {
        self.book.consumer_heard()
    }

    /// Why the seqnos of a node are not known, where it did not say them.
    pub(crate) fn error(&self, node: &str) -> Option<&String> {
        self.errors.get(node)
    }

    /// What somebody has to look into at a node that answers.
    pub(crate) fn warning(&self, node: &str) -> Option<&String> {
        self.warnings.get(node)
    }
}
