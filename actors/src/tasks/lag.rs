//! Polls the data nodes of a bucket's desired map, on control connections: a request on a DCP
//! connection would wait for the data before it.

use std::collections::{BTreeMap, BTreeSet};

use actix::Recipient;
use mcbp::Side;
use relay::Endpoint;
use replica::plan::{Desired, VbSet};
use replica::topology::SAMPLE_MAX;

use super::poll::{NodePolled, Poll, PollTarget};
use crate::config::ControlLimits;

/// The tasks that poll the nodes of one bucket.
#[derive(Default)]
pub(crate) struct LagPolls(BTreeMap<(Side, String), Poll>);

impl LagPolls {
    /// Ends the polls of these producers, whose address or login has changed.
    pub(crate) fn forget(&mut self, producers: &BTreeSet<String>) {
        self.0.retain(|(side, name), _| *side == Side::Consumer || !producers.contains(name));
    }

    /// Polls the consumer and the producers of `desired`, and no others; without a map, no node.
    /// The tuple holds the bucket, its consumer, and the configured producers. Answers go to
    /// `reports`.
    pub(crate) fn follow(
        &mut self,
        desired: Option<&Desired>,
        (bucket, consumer, producers): (&str, &Endpoint, &BTreeMap<String, Endpoint>),
        limits: &ControlLimits,
        reports: &Recipient<NodePolled>,
    ) {
        let Some(interval) = limits.lag_interval else { return };
        let Some(desired) = desired else { return self.0.clear() };
        let names = desired.producers().keys();
        let mut nodes: BTreeMap<_, _> = names
            .filter_map(|name| producers.get(name))
            .map(|node| ((Side::Producer, node.name.clone()), node))
            .collect();
        nodes.insert((Side::Consumer, consumer.name.clone()), consumer);
        self.0.retain(|asked, _| nodes.contains_key(asked));
        for ((side, name), node) in nodes {
            let vbs = desired.producers().get(&name).filter(|_| side == Side::Producer);
            let sample: Vec<_> = vbs.into_iter().flat_map(VbSet::iter).take(SAMPLE_MAX).collect();
            let target = PollTarget { side, node, bucket, our_name: consumer.consumer_name() };
            let start = || Poll::start(target, limits, interval, reports);
            self.0.entry((side, name)).or_insert_with(start).read_topology_of(sample);
        }
    }
}
