//! Which set-ups are asked for and when, and the state between them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mcbp::{Status, VbId};

use super::*;
use crate::link::{LinkStep, Reason, Side};

/// A set-up that closes nothing first.
fn setup(wanted: &[u16]) -> Option<Setup> {
    Some(Setup { wanted: set(wanted), reopen: BTreeSet::new() })
}

fn set(vbs: &[u16]) -> BTreeSet<VbId> {
    vbs.iter().copied().map(VbId).collect()
}

fn refused(vb: u16) -> VbError {
    let reason = Reason::Refused { step: LinkStep::AddStream, status: Status::ETMPFAIL };
    VbError { vb: VbId(vb), side: Side::Producer, reason }
}

fn outcomes(of: &[(u16, VbOutcome)]) -> BTreeMap<VbId, VbOutcome> {
    of.iter().map(|(vb, outcome)| (VbId(*vb), outcome.clone())).collect()
}

const SECOND: Duration = Duration::from_secs(1);
const NOW: Duration = Duration::from_secs(100);

fn any(_: VbId) -> bool {
    true
}

fn linear(_: VbId, failures: u32, _: Retry) -> Duration {
    SECOND * (failures + 1)
}

#[test]
fn a_failed_stream_is_asked_for_again_while_its_neighbours_stay_open() {
    let mut wanted = WantedStreams::default();
    wanted.want(&set(&[1, 2]));
    assert_eq!(wanted.next_setup(NOW, any), setup(&[1, 2]));
    assert_eq!(wanted.next_setup(NOW, any), None, "asked for once");
    let failed = VbOutcome::Failed(refused(2));
    wanted.settle(&outcomes(&[(1, VbOutcome::Opened), (2, failed)]), NOW, linear);
    assert!(wanted.is_settled());
    assert_eq!(wanted.next_setup(NOW, any), None);
    assert_eq!(wanted.next_due(), Some(NOW + SECOND));
    assert_eq!(wanted.next_setup(NOW + SECOND, any), setup(&[1, 2]), "with the open one");
    wanted.settle(&outcomes(&[(2, VbOutcome::Opened)]), NOW, linear);
    assert_eq!((wanted.open_count(), wanted.next_due()), (2, None));
}

#[test]
fn the_delay_grows_until_the_stream_has_been_open_for_long() {
    let mut wanted = WantedStreams::default();
    wanted.want(&set(&[7]));
    for failures in 1..4 {
        assert!(wanted.next_setup(Duration::MAX, any).is_some());
        wanted.settle(&outcomes(&[(7, VbOutcome::Failed(refused(7)))]), NOW, linear);
        assert_eq!(wanted.next_due(), Some(NOW + SECOND * failures));
    }
    assert!(wanted.next_setup(Duration::MAX, any).is_some());
    wanted.settle(&outcomes(&[(7, VbOutcome::Opened)]), NOW, linear);
    wanted.forget_lasting(NOW + 9 * SECOND, |_| 10 * SECOND);
    wanted.ended(refused(7), NOW, linear);
    assert_eq!(wanted.next_due(), Some(NOW + 4 * SECOND), "it fell at once");
    assert!(wanted.next_setup(Duration::MAX, any).is_some());
    wanted.settle(&outcomes(&[(7, VbOutcome::Opened)]), NOW, linear);
    wanted.forget_lasting(NOW + 10 * SECOND, |_| 10 * SECOND);
    wanted.ended(refused(7), NOW, linear);
    assert_eq!(wanted.next_due(), Some(NOW + SECOND), "the count restarts");
}

#[test]
fn what_is_not_wanted_any_more_is_closed() {
    let mut wanted = WantedStreams::default();
    wanted.want(&set(&[1, 2]));
    wanted.next_setup(NOW, any);
    wanted.settle(&outcomes(&[(1, VbOutcome::Opened), (2, VbOutcome::Opened)]), NOW, linear);
    wanted.want(&set(&[2]));
    assert!(!wanted.is_settled());
    assert_eq!(wanted.next_setup(NOW, any), setup(&[2]));
    let closed = outcomes(&[(1, VbOutcome::Closed), (2, VbOutcome::AlreadyOpen)]);
    wanted.settle(&closed, NOW, linear);
    assert!(wanted.is_settled());
    assert_eq!(wanted.next_setup(NOW, any), None);
}

#[test]
fn what_opens_after_it_was_given_up_is_closed() {
    let mut wanted = WantedStreams::default();
    wanted.want(&set(&[1]));
    wanted.next_setup(NOW, any);
    wanted.want(&set(&[]));
    wanted.settle(&outcomes(&[(1, VbOutcome::Opened)]), NOW, linear);
    assert_eq!(wanted.next_setup(NOW, any), setup(&[]));
}

#[test]
fn kafka_11_a_lost_link_makes_every_wanted_stream_due() {
    let mut wanted = WantedStreams::default();
    wanted.want(&set(&[1, 2, 3]));
    wanted.next_setup(NOW, any);
    wanted.settle(&outcomes(&[(1, VbOutcome::Opened)]), NOW, linear);
    wanted.link_lost();
    assert_eq!(wanted.next_setup(NOW, any), setup(&[1, 2, 3]));
    wanted.not_done();
    assert_eq!(wanted.next_setup(NOW, any), setup(&[1, 2, 3]), "a busy machine changed nothing");
}

#[test]
fn a_neighbour_that_waits_goes_on_waiting_when_another_stream_is_added() {
    let mut wanted = WantedStreams::default();
    wanted.want(&set(&[1]));
    wanted.next_setup(NOW, any);
    wanted.settle(&outcomes(&[(1, VbOutcome::Failed(refused(1)))]), NOW, linear);
    wanted.want(&set(&[1, 2]));
    assert_eq!(wanted.next_setup(NOW, any), setup(&[2]));
    wanted.retry_now(|vb| vb == VbId(1));
    assert_eq!(wanted.next_setup(NOW, any), setup(&[1, 2]));
}

#[test]
fn mb_29354_a_stream_waits_until_another_link_has_closed_it() {
    let mut wanted = WantedStreams::default();
    wanted.want(&set(&[1, 2]));
    assert_eq!(wanted.next_setup(NOW, |vb| vb != VbId(1)), setup(&[2]));
    assert!(wanted.may_hold(VbId(2)) && !wanted.may_hold(VbId(1)));
    assert!(!wanted.is_settled_for(VbId(1)));
    wanted.settle(&outcomes(&[(2, VbOutcome::Opened)]), NOW, linear);
    assert!(wanted.is_settled_for(VbId(2)) && wanted.is_settled_for(VbId(3)));
    assert_eq!(wanted.next_setup(NOW, any), setup(&[1, 2]));
    wanted.settle(&outcomes(&[(1, VbOutcome::Failed(refused(1)))]), NOW, linear);
    assert_eq!(wanted.next_setup(NOW + SECOND, |_| false), None);
    assert_eq!(wanted.next_due(), None, "no timer for a stream that waits for another link");
}

#[test]
fn a_stream_that_is_to_be_reopened_stays_so_whatever_else_is_wanted_meanwhile() {
    let mut streams = WantedStreams::default();
    streams.want(&set(&[1, 2]));
    assert_eq!(streams.next_setup(NOW, any), setup(&[1, 2]));
    streams.settle(&outcomes(&[(1, VbOutcome::Opened), (2, VbOutcome::Opened)]), NOW, linear);
    streams.reopen(VbId(1), Some(refused(1)));
    // The link is busy with something else, and one more vBucket comes.
    streams.want(&set(&[1, 2, 3]));
    assert!(streams.may_hold(VbId(1)), "it is open until it is closed");
    let reopened = Setup { wanted: set(&[1, 2, 3]), reopen: set(&[1]) };
    assert_eq!(streams.next_setup(NOW, any), Some(reopened));
}

#[test]
fn a_stream_that_is_to_be_reopened_and_is_given_up_is_closed() {
    let mut streams = WantedStreams::default();
    streams.want(&set(&[1, 2]));
    assert_eq!(streams.next_setup(NOW, any), setup(&[1, 2]));
    streams.settle(&outcomes(&[(1, VbOutcome::Opened), (2, VbOutcome::Opened)]), NOW, linear);
    streams.reopen(VbId(1), None);
    streams.want(&set(&[2, 3]));
    streams.want(&set(&[2]));
    assert!(streams.may_hold(VbId(1)) && !streams.is_settled());
    assert_eq!(streams.next_setup(NOW, any), setup(&[2]));
    streams.settle(&outcomes(&[(1, VbOutcome::Closed)]), NOW, linear);
    assert!(!streams.may_hold(VbId(1)) && streams.is_settled());
}

#[test]
fn a_stream_that_is_given_up_and_wanted_again_before_it_was_closed_is_settled_once() {
    let mut streams = WantedStreams::default();
    streams.want(&set(&[1, 2]));
    assert_eq!(streams.next_setup(NOW, any), setup(&[1, 2]));
    streams.settle(&outcomes(&[(1, VbOutcome::Opened), (2, VbOutcome::Opened)]), NOW, linear);
    streams.want(&set(&[2]));
    streams.want(&set(&[1, 2]));
    assert!(streams.may_hold(VbId(1)));
    assert_eq!(streams.next_setup(NOW, any), setup(&[1, 2]));
    let kept = [(1, VbOutcome::AlreadyOpen), (2, VbOutcome::AlreadyOpen)];
    streams.settle(&outcomes(&kept), NOW, linear);
    assert!(streams.is_settled());
    assert_eq!(streams.next_setup(NOW, any), None, "nothing is left to do");
}

#[test]
fn a_stream_that_was_dropped_silently_is_closed_at_once_and_added_after_its_backoff() {
    let mut wanted = WantedStreams::default();
    wanted.want(&set(&[1, 2]));
    wanted.next_setup(NOW, any);
    let open = [1, 2].map(|vb| (vb, VbOutcome::Opened));
    wanted.settle(&outcomes(&open), NOW, linear);
    assert_eq!(wanted.open_since().collect::<Vec<_>>(), [(VbId(1), NOW), (VbId(2), NOW)]);

    wanted.dropped(refused(2), NOW, linear);
    assert!(wanted.may_hold(VbId(2)), "another link does not ask for it yet");
    assert_eq!(wanted.next_setup(NOW, any), setup(&[1]));
    let closed = [(1, VbOutcome::AlreadyOpen), (2, VbOutcome::Closed)];
    wanted.settle(&outcomes(&closed), NOW, linear);
    assert!(!wanted.may_hold(VbId(2)));
    assert_eq!(wanted.next_setup(NOW + SECOND, any), setup(&[1, 2]), "it is closed already");
    wanted.settle(&outcomes(&[(2, VbOutcome::Opened)]), NOW + SECOND, linear);
    assert_eq!((wanted.open_count(), wanted.next_setup(NOW + SECOND, any)), (2, None));
}

#[test]
fn a_set_up_from_before_a_stream_was_dropped_does_not_call_it_open() {
    let mut wanted = WantedStreams::default();
    wanted.want(&set(&[1]));
    wanted.next_setup(NOW, any);
    wanted.settle(&outcomes(&[(1, VbOutcome::Opened)]), NOW, linear);
    wanted.want(&set(&[1, 2]));
    assert_eq!(wanted.next_setup(NOW, any), setup(&[1, 2]));
    wanted.dropped(refused(1), NOW, linear);
    let older = [(1, VbOutcome::AlreadyOpen), (2, VbOutcome::Opened)];
    wanted.settle(&outcomes(&older), NOW, linear);
    assert!(!wanted.is_open(VbId(1)));
    let again = Setup { wanted: set(&[1, 2]), reopen: set(&[1]) };
    assert_eq!(wanted.next_setup(NOW + SECOND, any), Some(again), "it is closed and added");
}

#[test]
fn a_dropped_stream_that_is_held_back_and_released_is_closed_before_it_is_added() {
    let mut wanted = WantedStreams::default();
    wanted.want(&set(&[1]));
    wanted.next_setup(NOW, any);
    wanted.settle(&outcomes(&[(1, VbOutcome::Opened)]), NOW, linear);
    wanted.dropped(refused(1), NOW, linear);
    wanted.hold(any);
    assert!(!wanted.needs_link());
    wanted.hold(|_| false);
    let again = Setup { wanted: set(&[1]), reopen: set(&[1]) };
    assert_eq!(wanted.next_setup(NOW, any), Some(again));
    wanted.settle(&outcomes(&[(1, VbOutcome::Opened)]), NOW, linear);
    assert!(wanted.is_open(VbId(1)) && wanted.is_settled());
}
