//! Data nodes that are frozen, gone, never there, or warn: one cause is one problem.

use dcp_actors::{LinkPhase, NodeStatus, StreamPhase};
use mcbp::Side;

use super::super::nodes::FIRST_POLL_MS;
use super::*;
use crate::admin::fixtures::{all, bucket, down, link};

/// A bucket whose only link is in this phase, after a change of its nodes.
fn with(phase: LinkPhase, streams: StreamPhase, change: impl Fn(&mut NodeStatus)) -> BucketStatus {
    let mut bucket = bucket(vec![link(phase, None, all(512, streams))]);
    bucket.nodes.iter_mut().for_each(change);
    bucket
}

#[test]
fn a_frozen_node_is_one_problem_and_its_streams_are_none() {
    for (node, role) in [("alpha", "producer alpha"), ("beta", "our node beta")] {
        let frozen = |it: &mut NodeStatus| it.unresponsive = it.node == node;
        for (phase, streams) in [
            (LinkPhase::Unresponsive, StreamPhase::Open),
            (LinkPhase::Connecting, StreamPhase::Due),
        ] {
            let buckets = [with(phase, streams, frozen)];
            let problem = only(&facts(&buckets));
            let what = format!("{role} does not answer; 512 vBuckets of default get no changes");
            assert_eq!((problem.id, problem.what), ("node-unresponsive", what));
            assert_eq!(problem.severity, Severity::Error);
            assert_eq!(problem.since.as_deref(), Some("1970-01-01T23:58:59.000Z"));
            assert_eq!((problem.vbuckets.as_deref(), problem.count), (Some("0-511"), 512));
            assert_eq!(problem.node.as_deref(), Some(node));
            assert!(problem.remedy.contains("dcp-proxy doctor --config proxy.toml"));
        }
    }
}

#[test]
fn both_nodes_frozen_are_two_problems() {
    let frozen = |it: &mut NodeStatus| {
        it.unresponsive = true;
        it.control_error = Some(format!("{} at h:1: STAT had no answer within 10s", it.node));
    };
    let buckets = [with(LinkPhase::Unresponsive, StreamPhase::Open, frozen)];
    let told = told(&facts(&buckets));
    let texts: Vec<_> = told.iter().map(|(.., what)| what.as_str()).collect();
    assert_eq!(
        texts,
        [
            "producer alpha does not answer; 512 vBuckets of default get no changes",
            "our node beta does not answer; 512 vBuckets of default get no changes",
        ]
    );
}

#[test]
fn a_node_that_is_gone_is_told_with_the_error_of_the_system() {
    let gone = "alpha at 10.0.0.1:11210: could not connect: Connection refused (os error 111)";
    for (silent_ms, id, verb) in [
        (Some(61_000), "node-gone", "cannot be connected to"),
        (None, "node-never-reached", "was never reached"),
    ] {
        for unresponsive in [false, true] {
            let mut bucket = with(LinkPhase::Waiting, StreamPhase::Waiting, |it| {
                if it.node == "alpha" {
                    (it.unresponsive, it.silent_ms) = (unresponsive, silent_ms);
                    it.control_error = Some(gone.to_owned());
                }
            });
            bucket.links[0].last_error = Some(down(gone, Side::Producer));
            let buckets = [bucket];
            let problem = only(&facts(&buckets));
            let what = format!(
                "producer alpha at 10.0.0.1:11210 {verb}: Connection refused (os error 111); 512 \
                 vBuckets of default get no changes"
            );
            assert_eq!((problem.id, problem.what), (id, what));
            assert_eq!(problem.since.as_deref(), Some("1970-01-01T23:58:59.000Z"));
        }
    }
}

#[test]
fn a_node_of_several_buckets_is_one_problem_with_the_sum() {
    let frozen = |it: &mut NodeStatus| it.unresponsive = it.node == "alpha";
    let mut other = with(LinkPhase::Unresponsive, StreamPhase::Open, frozen);
    other.bucket = "other".to_owned();
    let buckets = [with(LinkPhase::Unresponsive, StreamPhase::Open, frozen), other];
    let problem = only(&facts(&buckets));
    assert_eq!(
        (problem.what.as_str(), problem.bucket, problem.vbuckets, problem.count),
        (
            "producer alpha does not answer; 1,024 vBuckets of 2 buckets get no changes",
            None,
            None,
            1024
        )
    );
}

#[test]
fn a_node_of_which_nothing_is_wanted_is_a_warning() {
    let mut bucket = bucket(Vec::new());
    bucket.nodes[0].unresponsive = true;
    let buckets = [bucket];
    assert_eq!(
        told(&facts(&buckets)),
        [(Severity::Warning, "node-unresponsive", 0, "producer alpha does not answer".to_owned())]
    );
}

#[test]
fn a_warning_of_a_node_is_a_misfit_or_about_its_topology() {
    let warning = "vBuckets that need to be replica to be replicated are active here: 0-2; dead \
                   here: 7";
    let mut one = with(LinkPhase::Up, StreamPhase::Open, |it| {
        it.warning = (it.node == "beta").then(|| warning.to_owned());
    });
    for vb in [0, 1, 2] {
        one.links[0].streams[vb].phase = StreamPhase::HeldBack;
    }
    let buckets = [one];
    let problem = only(&facts(&buckets));
    assert_eq!((problem.id, problem.severity), ("misfit", Severity::Error));
    assert_eq!((problem.vbuckets.as_deref(), problem.count), (Some("0-2,7"), 4));
    assert_eq!(problem.what, format!("our node beta: 4 vBuckets of default do not fit: {warning}"));

    let other = with(LinkPhase::Up, StreamPhase::Open, |it| {
        it.warning =
            (it.node == "alpha").then(|| "this node calls itself \"beta\", but".to_owned());
    });
    let buckets = [other];
    assert_eq!(only(&facts(&buckets)).id, "topology");
}

#[test]
fn a_lag_that_is_not_known_is_told_at_once_where_it_was_known() {
    let known = |lag_seqnos, lag_ms, lag_age_ms, silent| {
        let mut bucket = with(LinkPhase::Up, StreamPhase::Open, |node| {
            node.silent_ms = Some(if node.node == silent { 4_100 } else { 900 });
        });
        for stream in &mut bucket.links[0].streams {
            (stream.lag_seqnos, stream.lag_ms) = (lag_seqnos, lag_ms);
            stream.lag_age_ms = lag_age_ms;
        }
        bucket
    };
    let first = [Some(0), Some(FIRST_POLL_MS - 1), None].map(|ms| known(None, ms, None, "beta"));
    assert!(first.into_iter().all(|bucket| told(&facts(&[bucket])).is_empty()), "polled first");
    assert_eq!(told(&facts(&[known(Some(0), Some(0), Some(900), "alpha")])), []);
    for (silent, what) in [
        ("alpha", "producer alpha is silent: how far 512 vBuckets of default are behind"),
        ("beta", "our node beta is silent: how far 512 vBuckets of default are behind"),
        ("", "how far 512 vBuckets of default are behind"),
    ] {
        let buckets = [known(None, Some(4_100), Some(4_100), silent)];
        let problem = only(&facts(&buckets));
        assert_eq!((problem.id, problem.severity), ("lag-unknown", Severity::Warning));
        assert_eq!(problem.what, format!("{what} is not known"));
        assert_eq!(problem.node.as_deref(), Some(silent).filter(|name| !name.is_empty()));
        assert_eq!(problem.since.as_deref(), Some("1970-01-01T23:59:55.900Z"));
    }
    let never = [known(None, Some(FIRST_POLL_MS), None, "")];
    assert_eq!(only(&facts(&never)).since, None);
    let mut bucket = known(None, Some(4_100), Some(4_100), "beta");
    bucket.nodes[0].control_error = Some("alpha at h:1: answered STAT with NoAccess".to_owned());
    let buckets = [bucket];
    let problem = only(&facts(&buckets));
    assert_eq!(problem.node.as_deref(), Some("alpha"));
    assert!(problem.what.ends_with("is not known: alpha at h:1: answered STAT with NoAccess"));
}
