//! A bucket of a node, and its clock.

use super::*;
use crate::doctor::rules::clocks::Offset;

const A_BUCKET_OF_A_NODE: &[Case] = &[
    (
        |f| at(f, 1).opened = Some(Err(Failure::NoBucket("has no bucket \"default\"".into()))),
        Error,
        Check::Bucket,
        "the node has no bucket \"default\"",
    ),
    (
        |f| {
            at(f, 0).answers.insert(Need::SetState, Status::EACCESS);
        },
        Error,
        Check::Privileges,
        "the user may not send SET_VBUCKET (NoAccess): takeovers and moves fail",
    ),
    (
        |f| {
            at(f, 1).answers.insert(Need::Seqnos, Status::UNKNOWN_COMMAND);
        },
        Warning,
        Check::Privileges,
        "the node does not know GET_ALL_VB_SEQNOS",
    ),
    (
        |f| at(f, 0).broken = Some(Failure::Silent("STAT had no answer within 5s".into())),
        Error,
        Check::Answers,
        "STAT had no answer",
    ),
    (
        |f| at(f, 0).broken = Some(Failure::Broken("connection broke during STAT: x".into())),
        Error,
        Check::Answers,
        "the connection broke during STAT",
    ),
    (
        |f| at(f, 1).dcp = Some(Err(Failure::Refused(Status::EACCESS, "x".into()))),
        Error,
        Check::Dcp,
        "the user may not open a DCP connection as producer",
    ),
    (
        |f| {
            at(f, 0).dcp =
                Some(Err(Failure::Broken("closed the connection during DCP_OPEN".into())))
        },
        Error,
        Check::Dcp,
        "the node closed the connection during DCP_OPEN",
    ),
    (|f| at(f, 0).dcp = Some(Err(Failure::WarmingUp)), Error, Check::Dcp, "still warming up"),
    (|f| at(f, 0).window_bytes = Some(0), Warning, Check::Window, "flow control is off"),
    (|f| at(f, 0).window_bytes = None, Note, Check::Window, "unknown"),
    (
        |f| {
            at(f, 0).window_bytes = Some(1 << 20);
            f.nodes[1].addresses = Some(Ok(vec![tried(1, Ok(Duration::from_millis(200)))]));
        },
        Warning,
        Check::Window,
        "and a round trip of 200.0 ms a connection carries at most 5.0 MiB/s",
    ),
    (
        |f| at(f, 1).topologies = vec![["gamma".to_owned()].into()],
        Warning,
        Check::Topology,
        "but the topologies of this producer name the replicas [\"gamma\"]",
    ),
    (
        |f| at(f, 1).topologies = vec![["beta".to_owned()].into()],
        Fine,
        Check::Topology,
        "name our node",
    ),
    (
        |f| at(f, 1).vbuckets_max = Some(64),
        Error,
        Check::Count,
        "64 vBuckets here, and 8 at our node",
    ),
    (
        |f| [0, 1].into_iter().for_each(|node| at(f, node).vbuckets_max = Some(4)),
        Error,
        Check::Count,
        "the bucket has 4 vBuckets, and replicate names vb 7",
    ),
];

#[test]
fn a_bucket_of_a_node() {
    hold(A_BUCKET_OF_A_NODE);
}

const CLOCKS_THAT_DIFFER: &[Case] = &[
    (|f| at(f, 0).clock = Some(clock(-1)), Fine, Check::Clock, "within 2 s"),
    (|f| at(f, 1).clock = Some(clock(4)), Note, Check::Clock, "ahead of our node's"),
    (|f| at(f, 1).clock = Some(clock(20)), Warning, Check::Clock, "ahead of this machine's"),
    (|f| at(f, 0).clock = Some(clock(-30)), Warning, Check::Clock, "behind this machine's"),
    (
        |f| at(f, 1).clock = Some(clock(3 * 3600)),
        Error,
        Check::Clock,
        "ahead of our node's: our node refuses what clients write here",
    ),
    (|f| at(f, 0).clock = None, Note, Check::Clock, "does not tell its time"),
    (
        |f| {
            at(f, 1).max_cas.insert(VbId(3), cas(NOW_S + 60));
        },
        Warning,
        Check::Clock,
        "the highest CAS of vb:3 is 59.0 s ahead of the node's clock",
    ),
    (
        |f| {
            at(f, 1).max_cas.insert(VbId(3), cas(NOW_S + 2 * DAY_S));
        },
        Error,
        Check::Clock,
        "a consumer refuses it",
    ),
    (
        |f| {
            at(f, 1).max_cas.insert(VbId(3), cas(NOW_S));
        },
        Fine,
        Check::Clock,
        "within",
    ),
];

#[test]
fn clocks_that_differ() {
    hold(CLOCKS_THAT_DIFFER);
}

fn cas(at_s: i64) -> u64 {
    u64::try_from(at_s).unwrap() * 1_000_000_000
}

#[test]
fn a_clock_is_known_to_a_second() {
    let offset = Offset::of(clock(0));
    assert_eq!((offset.least, offset.most, offset.certain()), (-2, 999, 0));
    assert_eq!(Offset::of(clock(10)).certain(), 9998);
    assert_eq!(Offset::of(clock(-10)).certain(), -9001);
    let apart = Offset::of(clock(10)).from(Offset::of(clock(-10)));
    assert_eq!((apart.least, apart.most), (18_999, 21_001));
}
