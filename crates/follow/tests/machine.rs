//! Scripts for the machine: events in, effects out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::time::Duration;

use follow::{Effect, End, Follow, Notice, Now, Refusal, Request, Track};
use mcbp::dcp::{FailoverEntry, stream_flags};
use mcbp::{Seqno, Status, StreamEndStatus, VbId, VbUuid};
use replica::backoff::Backoff;

const VB: VbId = VbId(3);

fn follow(track: Track, end: End) -> Follow {
    let mut follow = Follow::new(&BTreeMap::from([(VB, (track, end))]), Backoff::default());
    assert_eq!(effects(&mut follow), [Effect::Connect]);
    follow
}

fn at(ms: u64) -> Now {
    Now { at: Duration::from_millis(ms), random: 1.0 }
}

fn effects(follow: &mut Follow) -> Vec<Effect> {
    std::iter::from_fn(|| follow.effect()).collect()
}

fn requests(follow: &mut Follow) -> Vec<Request> {
    let request = |effect| if let Effect::Request(request) = effect { Some(request) } else { None };
    effects(follow).into_iter().filter_map(request).collect()
}

fn notices(follow: &mut Follow) -> Vec<Notice> {
    let notice = |effect| if let Effect::Say(notice) = effect { Some(notice) } else { None };
    effects(follow).into_iter().filter_map(notice).collect()
}

fn log() -> [FailoverEntry; 1] {
    [FailoverEntry { uuid: VbUuid(9), seqno: Seqno(0) }]
}

/// Connected, with an open stream and one change of a snapshot of ten.
fn open(end: End) -> Follow {
    let mut follow = follow(Track::start(), end);
    follow.connected(at(0));
    assert_eq!(requests(&mut follow).len(), 1);
    follow.opened(VB, &log(), at(0));
    follow.marker(VB, Seqno(1), Seqno(10));
    assert!(follow.advance(VB, Seqno(1)));
    assert!(!follow.advance(VB, Seqno(1)), "not twice");
    effects(&mut follow);
    follow
}

#[test]
fn a_lost_node_is_told_once_and_the_stream_goes_on_within_its_snapshot() {
    let mut follow = open(End::Never);
    follow.lost("reset".to_owned(), at(20_000));
    let lost = Notice::NodeLost { why: "reset".to_owned() };
    assert_eq!(notices(&mut follow), [lost]);
    assert_eq!(follow.wake(), Some(Duration::from_millis(20_100)));
    follow.tick(at(20_100));
    assert_eq!(effects(&mut follow), [Effect::Connect]);
    assert_eq!(follow.wake(), None, "while it is being connected");
    follow.lost("refused".to_owned(), at(20_100));
    assert_eq!(effects(&mut follow), [], "told already");
    assert_eq!(follow.wake(), Some(Duration::from_millis(20_300)), "a longer delay");
    follow.tick(at(20_300));
    follow.connected(at(20_300));
    let all = effects(&mut follow);
    let request = Request {
        vb: VB,
        after: Seqno(1),
        to: Seqno::MAX,
        uuid: VbUuid(9),
        snapshot: (Seqno(0), Seqno(10)),
        flags: 0,
    };
    let expected = [Effect::Connect, Effect::Say(Notice::NodeBack), Effect::Request(request)];
    assert_eq!(all, expected);
}

#[test]
fn what_passes_is_asked_for_again_later_and_later() {
    let mut follow = follow(Track::start(), End::Never);
    follow.connected(at(0));
    effects(&mut follow);
    let mut now = 0;
    for delay in [100, 200, 400] {
        follow.refused(VB, Status::NOT_MY_VBUCKET, at(now));
        now += delay;
        assert_eq!(follow.wake(), Some(Duration::from_millis(now)));
        follow.tick(at(now - 1));
        assert_eq!(requests(&mut follow), []);
        follow.tick(at(now));
        assert_eq!(requests(&mut follow).len(), 1);
    }
    follow.refused(VB, Status::NOT_MY_VBUCKET, at(now));
    assert_eq!(notices(&mut follow), [], "the same again is no news");
    follow.tick(at(now + 60_000));
    follow.refused(VB, Status::ETMPFAIL, at(now + 60_000));
    let refused = Notice::Refused { vb: VB, status: Status::ETMPFAIL };
    assert_eq!(notices(&mut follow), [refused]);
}

#[test]
fn what_needs_a_person_ends_with_an_error() {
    for status in [Status::EACCESS, Status::UNKNOWN_COLLECTION, Status::EINVAL] {
        let mut follow = follow(Track::start(), End::Never);
        follow.connected(at(0));
        effects(&mut follow);
        follow.refused(VB, status, at(1));
        assert_eq!(effects(&mut follow), [Effect::Fail(Refusal::Request(VB, status))]);
    }
    let mut follow = open(End::Never);
    follow.ended(VB, StreamEndStatus::LOST_PRIVILEGES, at(1));
    let refusal = Refusal::End(VB, StreamEndStatus::LOST_PRIVILEGES);
    assert_eq!(effects(&mut follow), [Effect::Fail(refusal)]);
}

#[test]
fn a_stream_that_ends_is_told_and_asked_for_again() {
    let mut follow = open(End::Never);
    follow.ended(VB, StreamEndStatus::STATE_CHANGED, at(20_000));
    let ended = Notice::StreamEnd { vb: VB, status: StreamEndStatus::STATE_CHANGED };
    assert_eq!(notices(&mut follow), [ended]);
    follow.tick(at(20_100));
    assert_eq!(requests(&mut follow).len(), 1);
    follow.ended(VB, StreamEndStatus::OK, at(20_100));
    assert_eq!(notices(&mut follow).len(), 1, "without an end there is no good one");
}

#[test]
fn a_rollback_is_followed_at_once_and_told() {
    let mut follow = open(End::Never);
    follow.lost("gone".to_owned(), at(20_000));
    follow.tick(at(30_000));
    follow.connected(at(30_000));
    effects(&mut follow);
    follow.rolled_back(VB, Seqno(0), at(30_000));
    let rollback = Notice::Rollback { vb: VB, from: Seqno(1), to: Seqno(0) };
    let said = effects(&mut follow);
    assert!(said.contains(&Effect::Say(rollback)), "{said:?}");
    assert!(matches!(&said[..], [Effect::Tracked(VB, _), ..]), "{said:?}");
    follow.tick(at(30_000));
    assert_eq!(requests(&mut follow)[0].after, Seqno(0));
    // A node that wants the same again is not asked in a loop.
    follow.rolled_back(VB, Seqno(0), at(30_000));
    follow.tick(at(30_000));
    assert_eq!(requests(&mut follow), []);
}

#[test]
fn it_is_done_once_every_vbucket_has_its_end() {
    let ended = |vbs: &[(u16, u64, u64)]| {
        let of = |&(vb, from, to): &(u16, u64, u64)| {
            (VbId(vb), (Track::at(Seqno(from), VbUuid(9)), End::At(Seqno(to))))
        };
        Follow::new(&vbs.iter().map(of).collect(), Backoff::default())
    };
    assert_eq!(effects(&mut ended(&[(0, 0, 0), (1, 0, 0)])), [Effect::Done], "nothing to do");
    let mut follow = ended(&[(0, 5, 5), (1, 2, 3), (2, 0, 7)]);
    assert_eq!(effects(&mut follow), [Effect::Connect]);
    follow.connected(at(0));
    let ends: Vec<_> = requests(&mut follow).iter().map(|it| (it.vb.0, it.to.0)).collect();
    assert_eq!(ends, [(0, 5), (1, 3), (2, 7)]);
    follow.opened(VbId(0), &log(), at(1));
    follow.ended(VbId(0), StreamEndStatus::OK, at(1));
    follow.ended(VbId(1), StreamEndStatus::OK, at(1));
    assert!(matches!(&effects(&mut follow)[..], [Effect::Tracked(VbId(0), _)]));
    follow.ended(VbId(2), StreamEndStatus::OK, at(1));
    assert_eq!(effects(&mut follow), [Effect::Done]);
}

#[test]
fn a_rollback_below_the_end_is_not_missed_because_the_end_was_reached_before() {
    // The node has lost what was shown up to 9, and has 5 now.
    let mut follow = follow(Track::at(Seqno(9), VbUuid(9)), End::Now(Seqno(5)));
    follow.connected(at(0));
    assert_eq!(requests(&mut follow)[0].to, Seqno(9));
    follow.rolled_back(VB, Seqno(4), at(0));
    let rollback = Notice::Rollback { vb: VB, from: Seqno(9), to: Seqno(4) };
    assert_eq!(notices(&mut follow), [rollback]);
    follow.tick(at(0));
    assert_eq!(requests(&mut follow)[0].flags, stream_flags::TO_LATEST);
    follow.opened(VB, &log(), at(0));
    follow.ended(VB, StreamEndStatus::OK, at(0));
    assert!(effects(&mut follow).ends_with(&[Effect::Done]));
}

#[test]
fn a_snapshot_that_contains_the_end_is_shown_to_its_own_end() {
    let mut follow = open(End::At(Seqno(1)));
    follow.lost("gone".to_owned(), at(20_000));
    follow.tick(at(30_000));
    follow.connected(at(30_000));
    let request = requests(&mut follow)[0];
    assert_eq!((request.after, request.to), (Seqno(1), Seqno(10)));
    follow.opened(VB, &log(), at(30_000));
    let said = effects(&mut follow);
    assert!(!said.contains(&Effect::Done), "{said:?}");
    follow.ended(VB, StreamEndStatus::OK, at(30_000));
    assert_eq!(effects(&mut follow), [Effect::Done]);
}

#[test]
fn until_now_is_what_the_node_has_then_after_a_rollback() {
    let mut follow = follow(Track::at(Seqno(5), VbUuid(9)), End::Now(Seqno(8)));
    follow.connected(at(0));
    assert_eq!(requests(&mut follow)[0].to, Seqno(8));
    follow.rolled_back(VB, Seqno(4), at(0));
    follow.tick(at(0));
    let request = requests(&mut follow)[0];
    assert_eq!((request.after, request.flags), (Seqno(4), stream_flags::TO_LATEST));
}

#[test]
fn a_vbucket_that_the_node_does_not_have_is_named_once_the_others_have_their_end() {
    let (other, five) = (VbId(9), End::At(Seqno(5)));
    let vbs = [VB, other].map(|vb| (vb, (Track::start(), five))).into();
    let mut follow = Follow::new(&vbs, Backoff::default());
    follow.connected(at(0));
    let gives_up = |follow: &mut Follow| {
        effects(follow).into_iter().find(|effect| matches!(effect, Effect::Absent(_)))
    };
    follow.refused(other, Status::NOT_MY_VBUCKET, at(1_000));
    follow.refused(other, Status::NOT_MY_VBUCKET, at(31_000));
    assert_eq!(gives_up(&mut follow), None, "the other one goes on");
    follow.opened(VB, &log(), at(31_000));
    follow.ended(VB, StreamEndStatus::OK, at(32_000));
    assert_eq!(gives_up(&mut follow), None);
    follow.refused(other, Status::NOT_MY_VBUCKET, at(33_000));
    assert_eq!(gives_up(&mut follow), Some(Effect::Absent(vec![other])));
    // It begins again after anything else.
    follow.refused(other, Status::ETMPFAIL, at(34_000));
    follow.refused(other, Status::NOT_MY_VBUCKET, at(60_000));
    follow.refused(other, Status::NOT_MY_VBUCKET, at(89_000));
    assert_eq!(gives_up(&mut follow), None);
    follow.refused(other, Status::NOT_MY_VBUCKET, at(90_000));
    assert_eq!(gives_up(&mut follow), Some(Effect::Absent(vec![other])));
}

#[test]
fn a_node_that_has_less_than_a_rollback_left_is_not_asked_up_to_its_latest_for_ever() {
    let mut track = Track::at(Seqno(6), VbUuid(9));
    track.marker(Seqno(7), Seqno(8));
    assert!(track.advance(Seqno(7)) && track.advance(Seqno(8)));
    let mut follow = follow(track, End::Now(Seqno(5)));
    follow.connected(at(0));
    assert_eq!(requests(&mut follow).len(), 1);
    follow.rolled_back(VB, Seqno(7), at(0));
    follow.tick(at(0));
    assert_eq!(requests(&mut follow)[0].flags, stream_flags::TO_LATEST);
    let probed = |follow: &mut Follow, ms| {
        follow.refused(VB, Status::ERANGE, at(ms));
        assert_eq!(notices(follow), [], "nothing is wrong yet");
        follow.tick(at(ms + 10_000));
        let request = requests(follow)[0];
        assert_eq!((request.after, request.to, request.flags), (Seqno(6), Seqno(6), 0));
    };
    probed(&mut follow, 0);
    // The node has as much again: what it has is not shown yet.
    follow.opened(VB, &log(), at(20_000));
    follow.ended(VB, StreamEndStatus::OK, at(20_000));
    assert!(!effects(&mut follow).contains(&Effect::Done));
    follow.tick(at(40_000));
    assert_eq!(requests(&mut follow)[0].flags, stream_flags::TO_LATEST);
    probed(&mut follow, 40_000);
    follow.rolled_back(VB, Seqno(4), at(60_000));
    follow.tick(at(60_000));
    let request = requests(&mut follow)[0];
    assert_eq!((request.after, request.flags), (Seqno(4), stream_flags::TO_LATEST));
    follow.opened(VB, &log(), at(60_000));
    follow.ended(VB, StreamEndStatus::OK, at(60_000));
    assert!(effects(&mut follow).contains(&Effect::Done));
    // A node that says so to anything is told of.
    let mut other = open(End::Never);
    other.refused(VB, Status::ERANGE, at(0));
    assert_eq!(notices(&mut other), [Notice::Refused { vb: VB, status: Status::ERANGE }]);
}
