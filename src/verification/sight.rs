//! What the status of replication says of each target. Pure.

use std::collections::BTreeMap;

use dcp_actors::{BucketStatus, LinkPhase, StreamPhase};
use mcbp::VbId;

use super::words::{Held, Sight, Target};

/// The targets of all buckets.
pub(super) fn sights(buckets: &[BucketStatus]) -> BTreeMap<Target, Sight> {
    let mut sights: BTreeMap<Target, Sight> = BTreeMap::new();
    for bucket in buckets {
        for link in bucket.links.iter().filter(|link| !link.streams.is_empty()) {
            let target = Target { bucket: bucket.bucket.clone(), producer: link.producer.clone() };
            let sight = sights.entry(target).or_default();
            if link.phase != LinkPhase::Up {
                sight.held = Some(Held::LinkDown);
            }
            for stream in &link.streams {
                let vb = VbId(stream.vbucket);
                sight.wanted.insert(vb);
                if stream.phase == StreamPhase::Open && stream.complete_to.is_none() {
                    sight.ready.insert(vb);
                }
            }
            if !bucket.moves.is_empty() {
                sight.held = Some(Held::Moving);
            }
        }
    }
    sights
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::fixtures::{all, bucket, link, stream};
    use dcp_actors::{MovePhase, MoveStatus};

    fn only(buckets: &[BucketStatus]) -> Sight {
        let mut sights = sights(buckets).into_iter().collect::<Vec<_>>();
        assert_eq!(sights.len(), 1);
        let (target, sight) = sights.remove(0);
        assert_eq!((target.bucket.as_str(), target.producer.as_str()), ("default", "alpha"));
        sight
    }

    #[test]
    fn open_streams_of_complete_copies_are_ready() {
        let mut streams = all(3, StreamPhase::Open);
        streams[1].complete_to = Some(4);
        streams.push(stream(3, StreamPhase::Waiting, None));
        let sight = only(&[bucket(vec![link(LinkPhase::Up, None, streams)])]);
        assert_eq!(sight.wanted, [0, 1, 2, 3].map(VbId).into());
        assert_eq!((sight.ready, sight.held), ([0, 2].map(VbId).into(), None));
    }

    #[test]
    fn a_link_that_is_down_and_a_move_hold_the_pair() {
        let up = || link(LinkPhase::Up, None, all(2, StreamPhase::Open));
        let down = link(LinkPhase::Connecting, None, all(1, StreamPhase::Waiting));
        assert_eq!(only(&[bucket(vec![up(), down])]).held, Some(Held::LinkDown));
        let mut moving = bucket(vec![up()]);
        moving.moves.push(MoveStatus {
            bucket: "default".to_owned(),
            vbucket: 900,
            from: "alpha".to_owned(),
            phase: MovePhase::Queued,
            estimate: None,
            since_ms: 0,
        });
        assert_eq!(only(&[moving]).held, Some(Held::Moving));
    }

    #[test]
    fn a_link_without_streams_is_no_pair() {
        assert!(sights(&[bucket(vec![link(LinkPhase::Stopped, None, Vec::new())])]).is_empty());
    }
}
