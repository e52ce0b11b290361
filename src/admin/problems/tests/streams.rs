//! Links and streams that are not as they should be.

use dcp_actors::{BrokenLinkStatus, BrokenStatus, LinkPhase, MovePhase, MoveStatus, StreamPhase};
use mcbp::{Side, Status};
use replica::bucket::{Cause, LinkDown, Reopen};
use replica::link::{NodeAnswer, ReasonCode};
use replica::loops::LoopKind;

use super::*;
use crate::admin::fixtures::{all, bucket, down, link, refused, stream};

#[test]
fn all_open_and_nothing_wanted_are_no_problem() {
    assert_eq!(told(&facts(&[bucket(Vec::new())])), []);
    let mut open = all(8, StreamPhase::Open);
    open.iter_mut().for_each(|stream| stream.lag_seqnos = Some(0));
    assert_eq!(told(&facts(&[bucket(vec![link(LinkPhase::Up, None, open)])])), []);
}

#[test]
fn a_bucket_without_a_manager_is_named() {
    let mut facts = facts(&[]);
    facts.expected = vec!["default".to_owned()];
    let problem = only(&facts);
    assert_eq!((problem.id, problem.bucket.as_deref()), ("no-manager", Some("default")));
}

/// A link that a node refused with this status.
fn refusal(detail: &str, status: Status) -> Cause {
    Cause::Link(LinkDown {
        side: Some(Side::Consumer),
        code: ReasonCode::Refused,
        answer: Some(NodeAnswer::Status(status)),
        detail: format!("consumer beta at 10.0.0.2:11210: {detail}"),
        reopen: Reopen::Slowly,
        hung_up: false,
    })
}

#[test]
fn a_refused_login_bucket_or_privilege_is_told_as_such() {
    for (detail, status, id, what) in [
        (
            "refused user \"x\" (AuthError), check username and password",
            Status::AUTH_ERROR,
            "login-refused",
            "our node beta refused user \"x\" (AuthError), check username and password; 8 vBuckets \
             of default are not replicated",
        ),
        (
            "has no bucket \"default\" that this user may open (NoAccess)",
            Status::EACCESS,
            "no-bucket",
            "our node beta has no bucket \"default\" that this user may open (NoAccess); 8 \
             vBuckets of default are not replicated",
        ),
        (
            "answered DCP_OPEN with NoAccess",
            Status::EACCESS,
            "no-privilege",
            "our node beta: the user lacks a privilege: answered DCP_OPEN with NoAccess; 8 \
             vBuckets of default are not replicated",
        ),
    ] {
        let error = Some(refusal(detail, status));
        let buckets = [bucket(vec![link(LinkPhase::Waiting, error, all(8, StreamPhase::Due))])];
        let problem = only(&facts(&buckets));
        assert_eq!((problem.id, problem.what.as_str()), (id, what));
        assert_eq!((problem.node.as_deref(), problem.count), (Some("beta"), 8));
        assert_eq!(problem.severity, Severity::Error);
    }
}

#[test]
fn streams_with_equal_reasons_are_one_problem_and_the_largest_comes_first() {
    let mut streams = all(20, StreamPhase::Open);
    for vb in 0..20_u16 {
        let error = if vb < 12 { refused(vb) } else { down("else", Side::Consumer) };
        streams[usize::from(vb)] = stream(vb, StreamPhase::Waiting, Some(error));
    }
    let buckets = [bucket(vec![link(LinkPhase::Up, None, streams)])];
    let told = told(&facts(&buckets));
    assert_eq!(
        told,
        [
            (
                Severity::Error,
                "stream-waiting",
                12,
                "12 vBuckets of default get no changes, because of producer alpha: refused \
                 add-stream with NotMyVbucket (0x07)"
                    .to_owned()
            ),
            (
                Severity::Error,
                "stream-waiting",
                8,
                "8 vBuckets of default get no changes, because of our node beta: else".to_owned()
            ),
        ]
    );
}

#[test]
fn a_link_that_was_lost_is_one_problem() {
    let error = "producer alpha at 10.0.0.1:1: closed the connection during relay";
    let error = Some(down(error, Side::Producer));
    let buckets = [bucket(vec![link(LinkPhase::Waiting, error, all(8, StreamPhase::Due))])];
    let problem = only(&facts(&buckets));
    let what = "a link is down, at producer alpha: closed the connection during relay; 8 vBuckets \
                of default get no changes";
    assert_eq!((problem.id, problem.what.as_str()), ("link-down", what));
    assert_eq!(problem.since.as_deref(), Some("1970-01-01T23:59:53.000Z"), "of the longest");
}

#[test]
fn what_is_being_done_is_a_warning() {
    for (phase, id, what) in [
        (
            StreamPhase::RollingBack,
            "rolling-back",
            "8 vBuckets of default roll back at our node beta: they had changes that the producer \
             lacks",
        ),
        (
            StreamPhase::HeldBack,
            "held-back",
            "8 vBuckets of default are to be replicated, but active at our node beta: they are not \
             asked for",
        ),
        (
            StreamPhase::Asked,
            "setting-up",
            "8 vBuckets of default are being set up, from producer alpha",
        ),
    ] {
        let buckets = [bucket(vec![link(LinkPhase::Up, None, all(8, phase))])];
        let problem = only(&facts(&buckets));
        assert_eq!((problem.id, problem.what.as_str()), (id, what));
        assert_eq!(problem.severity, Severity::Warning);
    }
}

#[test]
fn copies_that_may_miss_rows_are_an_error_though_their_streams_are_open() {
    let mut streams = all(8, StreamPhase::Open);
    streams.iter_mut().for_each(|stream| stream.complete_to = Some(7));
    let buckets = [bucket(vec![link(LinkPhase::Up, None, streams)])];
    let problem = only(&facts(&buckets));
    assert_eq!((problem.id, problem.node.as_deref()), ("copy-incomplete", Some("beta")));
    assert!(problem.what.starts_with("the copies of 8 vBuckets of default may miss changes"));
}

#[test]
fn loops_and_rivals_are_told_by_their_link_or_vbuckets() {
    for (kind, id) in [(LoopKind::Rival, "rival"), (LoopKind::Flapping, "link-loop")] {
        let mut broken = link(LinkPhase::Waiting, None, all(8, StreamPhase::Due));
        broken.name = "replication:alpha->beta:default".to_owned();
        let detail = "alpha has an open connection".to_owned();
        broken.broken = Some(BrokenLinkStatus { kind, failures: 9, since_ms: 0, detail });
        let buckets = [bucket(vec![broken])];
        let problem = only(&facts(&buckets));
        assert_eq!((problem.id, problem.count), (id, 8));
        assert_eq!(problem.link.as_deref(), Some("replication:alpha->beta:default"));
    }
    let waiting = vec![stream(3, StreamPhase::Waiting, Some(refused(3)))];
    let mut bucket = bucket(vec![link(LinkPhase::Up, None, waiting)]);
    let kind = LoopKind::InvalidRequest;
    bucket.broken = vec![BrokenStatus { vbucket: 3, kind, failures: 9, since_ms: 0 }];
    let buckets = [bucket];
    let problem = only(&facts(&buckets));
    assert_eq!((problem.id, problem.vbuckets.as_deref()), ("stream-loop", Some("3")));
    assert!(problem.what.starts_with("1 vBucket of default fail again and again"));
}

#[test]
fn what_a_takeover_closes_on_purpose_is_no_problem() {
    let mut bucket = bucket(vec![link(LinkPhase::Up, None, all(1, StreamPhase::Waiting))]);
    let moving = |phase| MoveStatus {
        bucket: "default".to_owned(),
        vbucket: 0,
        from: "alpha".to_owned(),
        phase,
        estimate: None,
        since_ms: 0,
    };
    bucket.moves = vec![moving(MovePhase::TakingOver)];
    assert_eq!(told(&facts(std::slice::from_ref(&bucket))), []);
    bucket.moves = vec![moving(MovePhase::Queued)];
    assert_eq!(only(&facts(&[bucket])).id, "setting-up");
}

#[test]
fn a_stall_and_a_lag_that_grows_are_warnings() {
    let mut open = all(8, StreamPhase::Open);
    open.iter_mut().for_each(|stream| stream.lag_seqnos = Some(9));
    let mut stalled = link(LinkPhase::Up, None, open);
    (stalled.stall, stalled.open) = (Some("no byte for 60 s".to_owned()), 8);
    let mut bucket = bucket(vec![stalled]);
    let problem = only(&facts(std::slice::from_ref(&bucket)));
    assert_eq!(
        (problem.id, problem.severity, problem.count),
        ("link-stalled", Severity::Warning, 8)
    );
    bucket.links[0].stall = None;
    let buckets = [bucket];
    let mut facts = facts(&buckets);
    let (lag, before) = (Duration::from_secs(95), Duration::from_secs(45));
    let (bucket, since) = ("default".to_owned(), UNIX_EPOCH);
    facts.growing = vec![Growing { bucket, lag, before, since }];
    let problem = only(&facts);
    assert_eq!(problem.what, "the lag of default grows: 95 s, after 45 s a minute ago");
    assert!(problem.remedy.ends_with("dcp-proxy connections default 2 --config proxy.toml"));
}
