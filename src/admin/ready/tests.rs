//! Which states of streams, links and nodes are ready, and the reasons where they are not.

use dcp_actors::MoveStatus;

use super::*;
use crate::admin::fixtures::{all, bucket, down, link, refused, stream};

const NOON: Duration = Duration::from_secs(12 * 3600);

fn reasons(percent: u8, bucket: BucketStatus) -> Vec<String> {
    let buckets = ["default".to_owned()];
    let needs = Needs { buckets: &buckets, percent, node: "beta" };
    missing(&needs, &[bucket], UNIX_EPOCH + 3 * DAY + NOON)
}

#[test]
fn nothing_wanted_and_all_open_are_ready_and_a_bucket_without_a_manager_is_not() {
    assert_eq!(reasons(100, bucket(Vec::new())), Vec::<String>::new());
    let open = link(LinkPhase::Up, None, all(8, StreamPhase::Open));
    assert_eq!(reasons(100, bucket(vec![open])), Vec::<String>::new());
    let buckets = ["default".to_owned()];
    let needs = Needs { buckets: &buckets, percent: 0, node: "beta" };
    assert_eq!(missing(&needs, &[], UNIX_EPOCH), ["bucket default has no manager"]);
}

#[test]
fn a_node_that_is_gone_is_one_reason_for_all_its_vbuckets() {
    let error = down(
        "consumer beta at [::1]:7: could not connect: Connection refused (os error 111)",
        Side::Consumer,
    );
    let waiting = link(LinkPhase::Waiting, Some(error), all(1024, StreamPhase::Due));
    let want = "1,024 vBuckets: beta: could not connect: Connection refused (os error 111), since \
                11:42:57";
    assert_eq!(reasons(100, bucket(vec![waiting])), [want]);
}

#[test]
fn open_streams_of_an_unresponsive_node_do_not_count() {
    for (names, control_error, want) in [
        (vec!["alpha"], None, "alpha: unresponsive: no answer on any connection"),
        (vec!["beta"], None, "beta: unresponsive: no answer on any connection"),
        (
            vec!["alpha", "beta"],
            Some("alpha at 127.0.0.1:7: SASL_AUTH had no answer within 10s"),
            "alpha and beta: unresponsive: SASL_AUTH had no answer within 10s",
        ),
    ] {
        let open = link(LinkPhase::Unresponsive, None, all(8, StreamPhase::Open));
        let mut bucket = bucket(vec![open]);
        for node in &mut bucket.nodes {
            node.unresponsive = names.contains(&node.node.as_str());
            node.control_error = control_error.map(str::to_owned);
        }
        assert_eq!(reasons(1, bucket), [format!("8 vBuckets: {want}, since 11:58:59")]);
    }
}

#[test]
fn a_node_that_lets_the_first_attempt_hang_is_named() {
    let mut bucket = bucket(vec![link(LinkPhase::Connecting, None, all(8, StreamPhase::Due))]);
    bucket.nodes[0].unresponsive = true;
    let want = "8 vBuckets: alpha: unresponsive: no answer on any connection, since 11:58:59";
    assert_eq!(reasons(100, bucket), [want]);
}

#[test]
fn the_share_of_open_streams_decides() {
    let state = || {
        let mut streams = all(8, StreamPhase::Open);
        for vb in [6, 7] {
            streams[usize::from(vb)] = stream(vb, StreamPhase::Waiting, Some(refused(vb)));
        }
        bucket(vec![link(LinkPhase::Up, None, streams)])
    };
    for percent in [0, 1, 74, 75] {
        assert_eq!(reasons(percent, state()), Vec::<String>::new(), "{percent}");
    }
    let want = "2 vBuckets: alpha: refused add-stream with NotMyVbucket (0x07), since 11:59:53";
    for percent in [76, 100] {
        assert_eq!(reasons(percent, state()), [want], "{percent}");
    }
}

#[test]
fn the_largest_groups_come_first_and_the_rest_is_a_number() {
    let mut streams = all(20, StreamPhase::Open);
    for (vb, stream) in (0..).zip(&mut streams).skip(1) {
        let error = down(&format!("error {}", if vb < 9 { vb } else { 9 }), Side::Producer);
        *stream = self::stream(vb, StreamPhase::Waiting, Some(error));
    }
    let reasons = reasons(100, bucket(vec![link(LinkPhase::Up, None, streams)]));
    assert_eq!(reasons.len(), REASONS_MAX + 1);
    assert_eq!(reasons[0], "11 vBuckets: alpha: error 9, since 11:59:41");
    assert_eq!(reasons[1], "1 vBucket: alpha: error 1, since 11:59:59");
    assert_eq!(reasons[REASONS_MAX], "and 4 more reasons");
}

#[test]
fn streams_that_a_takeover_closes_on_purpose_are_no_reason() {
    let streams = vec![stream(1, StreamPhase::Waiting, None)];
    let mut bucket = bucket(vec![link(LinkPhase::Up, None, streams)]);
    let moving = |phase| MoveStatus {
        bucket: "default".to_owned(),
        vbucket: 1,
        from: "alpha".to_owned(),
        phase,
        estimate: None,
        since_ms: 0,
    };
    bucket.moves = vec![moving(MovePhase::Queued)];
    let set_up = "bucket default, producer alpha, connection 0: 1 streams are being set up, the \
                  first: vb:1";
    assert_eq!(reasons(100, bucket.clone()), [set_up]);
    bucket.moves = vec![moving(MovePhase::TakingOver)];
    assert_eq!(reasons(100, bucket), Vec::<String>::new());
}

#[test]
fn an_old_outage_is_told_in_days() {
    let now = UNIX_EPOCH + 9 * DAY;
    let at = |hours: u64| since(Duration::from_secs(hours * 3600), now);
    assert_eq!((at(1).as_str(), at(24).as_str()), (", since 23:00:00", ", for 1 days"));
    assert_eq!(since(100 * DAY, UNIX_EPOCH), ", for 100 days");
    let texts = [0, 999, 1000, 1_234_567].map(thousands);
    assert_eq!(texts, ["0", "999", "1,000", "1,234,567"]);
}
