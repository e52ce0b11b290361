//! The present branches of the copies, as their nodes report them. Both ends of an open stream are
//! on the same branch; see [`crate::branch`].

use std::collections::BTreeMap;
use std::time::Duration;

use mcbp::{Side, VbId, VbUuid};

use crate::link::Reason;

/// The branches that a node reported.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Reported {
    asked: Duration,
    uuids: BTreeMap<VbId, VbUuid>,
}

/// The present branches of the copies, by node.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Branches(BTreeMap<(Side, String), Reported>);

impl Branches {
    /// Records what a node reported when it was `asked`; `None` where it does not say.
    pub(super) fn record(
        &mut self,
        side: Side,
        node: String,
        uuids: Option<Vec<(VbId, VbUuid)>>,
        asked: Duration,
    ) {
        match uuids {
            Some(uuids) => {
                let uuids = uuids.into_iter().collect();
                self.0.insert((side, node), Reported { asked, uuids });
            }
            None => _ = self.0.remove(&(side, node)),
        }
    }

    /// Forgets nodes that are not polled any more.
    pub(super) fn retain(&mut self, is_polled: impl Fn(&(Side, String)) -> bool) {
        self.0.retain(|node, _| is_polled(node));
    }

    /// Returns which of these streams, each with the time since when it is open, connect copies on
    /// different branches, and the branches.
    pub(super) fn parted(
        &self,
        producer: &str,
        consumer: &str,
        open: impl Iterator<Item = (VbId, Duration)>,
    ) -> Vec<(VbId, Reason)> {
        let of = |side, node: &str| self.0.get(&(side, node.to_owned()));
        let (Some(producer), Some(consumer)) =
            (of(Side::Producer, producer), of(Side::Consumer, consumer))
        else {
            return Vec::new();
        };
        let asked = producer.asked.min(consumer.asked);
        let parted = open.filter(|(_, since)| *since <= asked).filter_map(|(vb, _)| {
            let (producer, consumer) = (*producer.uuids.get(&vb)?, *consumer.uuids.get(&vb)?);
            (producer != consumer).then_some((vb, Reason::OtherBranch { producer, consumer }))
        });
        parted.collect()
    }
}
