//! The rules of the consumer machine: scripts for past bugs, and properties over random histories.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

#[path = "support/consumer_bench.rs"]
mod consumer_bench;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::BytesMut;
use consumer_bench::{Bench, built, mutation, mutation_of};
use mcbp::dcp::{
    Abort, BufferAck, Commit, Deletion, Expiration, Mutation, Prepare, SeqnoAdvanced,
    SetVbucketState, StreamReq, Target, stream_flags,
};
use mcbp::{
    Datatype, Frame, FrameBuilder, Opaque, Opcode, Seqno, Status, StreamEndStatus, VbId, VbState,
};
use proptest::prelude::*;
use vbucket::Kind;
use vbucket::collections::{Change, Collection, SystemEvent};
use vbucket::consumer::{Effect, Event, Failure, Part, Replicas as _};

#[test]
fn a_consumer_asks_for_what_it_stores_and_for_nothing_else() {
    let mut bench = Bench::with_window(1000);
    bench.node.put(0, 0, &[(1, 0)]);
    bench.settle();
    assert!(bench.sent.is_empty(), "silent before the first ADD_STREAM");
    bench.add(0, 1, 0);
    let asked = bench.answer_questions(|_| Status::SUCCESS);
    assert_eq!(
        asked,
        [
            "=\0\0",
            "enable_noop=true",
            "set_noop_interval=0.100000",
            "set_priority=high",
            "supports_cursor_dropping_vulcan=true",
            "supports_hifi_MFU=true",
            "send_stream_end_on_client_close_stream=true",
            "enable_expiry_opcode=true",
            "include_deleted_user_xattrs=true",
            "v7_dcp_status_codes=true",
            "flatbuffers_system_events=true",
            "change_streams=true",
            "max_marker_version=2.2",
            "connection_buffer_size=1000",
        ],
        "GET_ERROR_MAP and thirteen controls"
    );
}

#[test]
fn a_refused_noop_interval_is_asked_for_again_last_in_whole_seconds() {
    let mut bench = Bench::new();
    bench.node.put(0, 0, &[(1, 0)]);
    bench.add(0, 1, 0);
    let refusing = |key: &[u8]| match key {
        b"set_noop_interval" => Status::EINVAL,
        _ => Status::SUCCESS,
    };
    let asked = bench.answer_questions(refusing);
    assert_eq!(asked.last().unwrap(), "set_noop_interval=1");
    assert!(bench.closed, "refused twice");
    assert_eq!(bench.answers(), [(1, Status::ETMPFAIL)], "the ADD_STREAM is answered all the same");
}

#[test]
fn mb_72330_a_refused_window_ends_the_connection() {
    let mut bench = Bench::new();
    bench.node.put(0, 0, &[(1, 0)]);
    bench.add(0, 1, 0);
    bench.answer_questions(|key| match key {
        b"connection_buffer_size" => Status::EINVAL,
        _ => Status::SUCCESS,
    });
    assert!(bench.closed);
}

#[test]
fn mb_40934_new_statuses_are_used_only_once_agreed() {
    for (agreed, expected) in
        [(Status::SUCCESS, Status::DCP_STREAM_NOT_FOUND), (Status::EINVAL, Status::KEY_ENOENT)]
    {
        let mut bench = Bench::new();
        bench.node.put(0, 0, &[(1, 0)]);
        bench.add(0, 1, 0);
        bench.answer_questions(|key| match key {
            b"v7_dcp_status_codes" => agreed,
            _ => Status::SUCCESS,
        });
        bench.mutation(9, Opaque(1), 1);
        let refusal = bench.take(Opcode::DCP_MUTATION);
        assert_eq!(Frame::parse(&refusal[0]).unwrap().header.status(), expected);
    }
}

#[test]
fn mb_48398_the_branch_before_is_tried_only_where_the_newest_began_at_the_start() {
    let zero = 0_u64.to_be_bytes();
    let mut bench = Bench::new();
    bench.node.put(0, 10, &[(3, 10), (2, 4), (1, 0)]);
    bench.add(0, 1, 0);
    bench.negotiate();
    let (opaque, fields) = bench.request();
    assert_eq!(fields, [10, 3, 10, 10, 0]);
    bench.answer_request(opaque, Status::ROLLBACK, &zero);
    let (again, fields) = bench.request();
    assert_eq!((again, fields), (opaque, [10, 2, 10, 10, 0]), "same opaque, older branch");
    bench.answer_request(opaque, Status::ROLLBACK, &zero);
    assert!(matches!(bench.effects[..], [Effect::Rollback(_, _, Seqno(0))]), "4 is not 10");
    bench.run_effects();
    assert_eq!(bench.request(), (opaque, [0; 5]));
}

#[test]
fn a_producer_that_asks_for_rollbacks_for_ever_is_given_up() {
    let mut bench = Bench::new();
    bench.node.put(0, 1000, &[(1, 0)]);
    bench.add(0, 1, 0);
    bench.negotiate();
    let mut asked = 0;
    while bench.answers().is_empty() {
        let (opaque, fields) = bench.request();
        let to = fields[0].saturating_sub(1).to_be_bytes();
        bench.answer_request(opaque, Status::ROLLBACK, &to);
        bench.run_effects();
        asked += 1;
        assert!(asked < 100);
    }
}

#[test]
fn a_failed_rollback_is_the_answer_to_its_add_stream() {
    let mut bench = Bench::new();
    bench.node.put(0, 5, &[(1, 0)]);
    bench.add(0, 1, 0);
    bench.negotiate();
    let (opaque, _) = bench.request();
    bench.answer_request(opaque, Status::ROLLBACK, &0_u64.to_be_bytes());
    let effect = bench.effects.remove(0);
    bench.outcome(effect, Err(Failure::Other("disk".to_owned())));
    assert_eq!(bench.answers(), [(1, Status::EINTERNAL)]);
    assert!(!bench.closed, "its neighbours are innocent");
    bench.add(0, 2, 0);
    bench.request();
}

#[test]
fn a_request_inside_a_snapshot_names_that_snapshot() {
    let mut bench = Bench::new();
    bench.node.put(0, 5, &[(1, 0)]);
    bench.node.with(0, |f| (f.snapshot_start, f.snapshot_end) = (Seqno(3), Seqno(9)));
    bench.add(0, 1, stream_flags::TAKEOVER);
    bench.negotiate();
    assert_eq!(bench.request().1, [5, 1, 3, 9, 1]);
}

#[test]
fn jdcp_241_a_marker_counts_only_from_its_first_change_on() {
    let mut bench = Bench::new();
    bench.node.put(0, 0, &[(1, 0)]);
    let opaque = bench.open(0);
    bench.marker(0, opaque, 0, 2);
    bench.mutation(0, opaque, 1);
    bench.mutation(0, opaque, 2);
    bench.marker(0, opaque, 3, 9);
    bench.run_effects();
    assert_eq!(bench.node.facts(VbId(0)).unwrap().snapshot_end, Seqno(2));
    bench.mutation(0, opaque, 4);
    bench.run_effects();
    assert_eq!(bench.node.facts(VbId(0)).unwrap().snapshot_end, Seqno(9));
}

#[test]
fn mb_50543_what_does_not_follow_is_refused() {
    for (taken, refused) in [(&[1][..], 1), (&[1, 3], 2), (&[1, 3], 6), (&[], 6)] {
        let mut bench = Bench::new();
        bench.node.put(0, 0, &[(1, 0)]);
        let opaque = bench.open(0);
        bench.marker(0, opaque, 0, 5);
        taken.iter().for_each(|seqno| bench.mutation(0, opaque, *seqno));
        assert!(bench.take(Opcode::DCP_MUTATION).is_empty());
        bench.mutation(0, opaque, refused);
        assert_eq!(bench.refusals(Opcode::DCP_MUTATION), [Status::ERANGE], "seqno {refused}");
        bench.run_effects();
        let written = bench.node.facts(VbId(0)).unwrap().high_seqno.0;
        assert_eq!(
            written,
            taken.last().copied().unwrap_or(0),
            "what was received before is written"
        );
    }
}

#[test]
fn mb_34951_the_end_of_an_older_stream_does_no_harm() {
    let mut bench = Bench::new();
    bench.node.put(0, 0, &[(1, 0)]);
    let old = bench.open(0);
    bench.close(0, 9);
    bench.take(Opcode::DCP_CLOSE_STREAM);
    let new = bench.open(0);
    bench.end(0, old, StreamEndStatus::CLOSED);
    bench.marker(0, new, 0, 1);
    bench.mutation(0, new, 1);
    assert!(bench.take(Opcode::DCP_MUTATION).is_empty(), "the new stream lives");
}

#[test]
fn mb_29354_a_stream_added_while_the_one_before_drains_asks_from_what_is_on_disk() {
    let mut bench = Bench::new();
    bench.node.put(0, 0, &[(1, 0)]);
    let old = bench.open(0);
    bench.marker(0, old, 0, 3);
    (1..=3).for_each(|seqno| bench.mutation(0, old, seqno));
    bench.end(0, old, StreamEndStatus::STATE_CHANGED);
    bench.add(0, 2, 0);
    assert!(bench.take(Opcode::DCP_STREAM_REQ).is_empty(), "3 is not on disk");
    bench.run_effects();
    assert_eq!(bench.request().1[0], 3);
    assert!(bench.answers().is_empty());
}

#[test]
fn a_close_drops_what_waits_and_acknowledges_it() {
    let mut bench = Bench::new();
    bench.node.put(0, 0, &[(1, 0)]);
    let opaque = bench.open(0);
    bench.marker(0, opaque, 0, 3);
    bench.mutation(0, opaque, 1); // in flight
    bench.mutation(0, opaque, 2); // waits
    bench.close(0, 9);
    bench.mutation(0, opaque, 3); // late
    bench.run_effects();
    assert_eq!(bench.node.facts(VbId(0)).unwrap().high_seqno, Seqno(1));
    bench.now = Duration::from_secs(6);
    bench.settle();
    assert_eq!(bench.stat("total_acked_bytes"), bench.charged as u64);
}

#[test]
fn acknowledgements_come_at_a_fifth_of_the_window_or_after_five_seconds() {
    let mut bench = Bench::with_window(1000);
    bench.node.put(0, 0, &[(1, 0)]);
    let opaque = bench.open(0);
    bench.marker(0, opaque, 0, 9);
    let charge = mutation(0, opaque, 1).len();
    let acked = |bench: &mut Bench| -> u32 {
        let acks = bench.take(Opcode::DCP_BUFFER_ACK);
        let bytes = |ack: &Vec<u8>| BufferAck::decode(&Frame::parse(ack).unwrap()).unwrap().bytes;
        acks.iter().map(bytes).sum()
    };
    bench.mutation(0, opaque, 1);
    assert_eq!(acked(&mut bench), 0);
    bench.mutation(0, opaque, 2);
    bench.mutation(0, opaque, 3);
    assert_eq!(acked(&mut bench), 0, "received is not dealt with");
    bench.run_effects();
    assert_eq!(acked(&mut bench) as usize, 44 + 3 * charge);
    bench.mutation(0, opaque, 4);
    bench.run_effects();
    assert_eq!(acked(&mut bench), 0);
    bench.now = Duration::from_secs(5);
    bench.settle();
    assert_eq!(acked(&mut bench) as usize, charge);
    bench.now = Duration::from_secs(50);
    bench.settle();
    assert_eq!(acked(&mut bench), 0, "MB-59474: never of 0 bytes");
}

#[test]
fn a_state_comes_only_in_a_takeover() {
    let mut bench = Bench::new();
    bench.node.put(0, 0, &[(1, 0)]);
    let opaque = bench.open(0);
    let state = VbState::Active;
    bench.feed(&built(|out| SetVbucketState { state }.write(VbId(0), opaque, out)));
    let refusal = bench.take(Opcode::DCP_SET_VBUCKET_STATE);
    assert_eq!(Frame::parse(&refusal[0]).unwrap().header.status(), Status::EINVAL);
    assert!(bench.effects.is_empty());
}

#[test]
fn changes_are_kept_as_they_came() {
    let mut bench = Bench::new();
    bench.node.put(0, 0, &[(1, 0)]);
    bench.on(Event::Tick { now: Duration::ZERO, unix_s: 1234 });
    let opaque = bench.open(0);
    bench.marker(0, opaque, 0, 9);
    let to = Target { vb: VbId(0), opaque, cas: 7, datatype: Datatype::SNAPPY };
    let body = Mutation { seqno: Seqno(1), rev: 5, flags: 6, expiry: 8, lock_time: 0, nru: 1 };
    let squeezed = snap::raw::Encoder::new().compress_vec(b"value").unwrap();
    bench.feed(&built(|out| body.write(to, b"a", &squeezed, out)));
    let (seqno, rev, delete_time) = (Seqno(2), 1, None);
    let old = Deletion { seqno, rev, delete_time };
    bench.feed(&built(|out| old.write(to, b"b", b"", out)));
    let timed = Deletion { seqno: Seqno(3), delete_time: Some(99), ..old };
    bench.feed(&built(|out| timed.write(to, b"c", b"", out)));
    let expired = Expiration { seqno: Seqno(4), rev, delete_time: 100 };
    bench.feed(&built(|out| expired.write(to, b"d", b"", out)));
    let mut rows = Vec::new();
    while !bench.effects.is_empty() {
        let effect = bench.effects.remove(0);
        if let Effect::Apply(_, _, _, parts) = &effect {
            for part in parts {
                let Part::Rows { rows: some, .. } = part else { panic!("{part:?}") };
                rows.extend(some.iter().cloned());
            }
        }
        bench.outcome(effect, Ok(()));
    }
    let kinds: Vec<_> = rows.iter().map(|row| (&row.key[..], row.kind)).collect();
    assert_eq!(
        kinds,
        [
            (&b"\0a"[..], Kind::Document { flags: 6, expiry: 8 }),
            (b"\0b", Kind::Deleted { at: 1234 }),
            (b"\0c", Kind::Deleted { at: 99 }),
            (b"\0d", Kind::Expired { at: 100 }),
        ]
    );
    let first = &rows[0];
    assert_eq!((first.rev, first.cas, first.datatype), (5, 7, Datatype::SNAPPY));
    assert_eq!(&first.value[..], squeezed);
}

#[test]
fn nothing_heard_for_360_seconds_ends_the_connection() {
    let mut bench = Bench::new();
    bench.node.put(0, 0, &[(1, 0)]);
    bench.add(0, 1, 0);
    bench.on(Event::Tick { now: Duration::from_secs(359), unix_s: 0 });
    bench.settle();
    assert!(!bench.closed);
    bench.on(Event::Tick { now: Duration::from_secs(360), unix_s: 0 });
    bench.settle();
    assert!(bench.closed);
    assert_eq!(bench.answers(), [(1, Status::ETMPFAIL)]);
}

/// Something that may happen to a consumer at any time.
#[derive(Clone, Debug)]
enum Happening {
    Add(u16),
    Close(u16),
    Answer(u16, u8),
    End(u16, bool),
    Marker(u16),
    Mutation(u16),
    /// Another change; also where it cannot follow.
    Step(u16, Step),
    Outcome(usize, u8),
    Negotiate,
    StateOf(u16, bool),
    Later,
    /// A frame that cannot be stored.
    Bad(u16),
    /// Another connection takes the vBucket, or its stream there ends, or it is free.
    Elsewhere(u16, u8),
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Mutation,
    Prepare,
    /// Of the last prepare; with `other` of one that never came.
    Commit {
        other: bool,
    },
    Abort {
        other: bool,
    },
    /// Collection 8 begins.
    Begin,
    End,
    /// A document of collection 8.
    Document,
    Advance,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Prepare),
        3 => prop::bool::weighted(0.1).prop_map(|other| Step::Commit { other }),
        2 => prop::bool::weighted(0.1).prop_map(|other| Step::Abort { other }),
        2 => Just(Step::Begin),
        1 => Just(Step::End),
        1 => Just(Step::Document),
        1 => Just(Step::Advance),
    ]
}

impl Step {
    /// Its frame at a seqno. Streams begin at several seqnos, so that `prepared` may be of none.
    fn frame(self, vb: VbId, opaque: Opaque, seqno: Seqno, prepared: Seqno) -> BytesMut {
        let to = Target { vb, opaque, cas: seqno.0, datatype: Datatype::RAW };
        let of = |other| if other { Seqno(seqno.0 + 7) } else { prepared };
        let event = |change| {
            let event = SystemEvent { uid: seqno.0, change };
            built(|out| _ = event.write(seqno, vb, opaque, true, out))
        };
        match self {
            Self::Mutation => mutation_of(b"\0key", vb.0, opaque, seqno.0),
            Self::Document => mutation_of(b"\x08key", vb.0, opaque, seqno.0),
            Self::Prepare => {
                let (rev, flags, expiry, lock_time, nru) = (1, 0, 0, 0, 4);
                let (deleted, level) = (false, 1);
                let prepare = Prepare { seqno, rev, flags, expiry, lock_time, nru, deleted, level };
                built(|out| prepare.write(to, b"\0durable", b"value", out))
            }
            Self::Commit { other } => {
                let commit = Commit { prepared: of(other), committed: seqno };
                built(|out| commit.write(vb, opaque, b"\0durable", out))
            }
            Self::Abort { other } => {
                let abort = Abort { prepared: of(other), aborted: seqno };
                built(|out| abort.write(vb, opaque, b"\0durable", out))
            }
            Self::Begin => {
                let (name, max_ttl, history) = ("c8".to_owned(), None, false);
                let (scope, metered, flush_uid) = (0, false, 0);
                let collection = Collection { scope, name, max_ttl, history, metered, flush_uid };
                event(Change::Begin { id: 8, collection })
            }
            Self::End => event(Change::End { id: 8, scope: 0, is_system: false }),
            Self::Advance => built(|out| SeqnoAdvanced { seqno }.write(vb, opaque, out)),
        }
    }
}

fn happening() -> impl Strategy<Value = Happening> {
    let vb = 0..3_u16;
    prop_oneof![
        3 => vb.clone().prop_map(Happening::Add),
        1 => vb.clone().prop_map(Happening::Close),
        3 => (vb.clone(), 0..4_u8).prop_map(|(vb, kind)| Happening::Answer(vb, kind)),
        1 => (vb.clone(), any::<bool>()).prop_map(|(vb, stale)| Happening::End(vb, stale)),
        2 => vb.clone().prop_map(Happening::Marker),
        4 => vb.clone().prop_map(Happening::Mutation),
        4 => (vb.clone(), step()).prop_map(|(vb, step)| Happening::Step(vb, step)),
        5 => (any::<usize>(), 0..8_u8).prop_map(|(at, kind)| Happening::Outcome(at, kind)),
        2 => Just(Happening::Negotiate),
        1 => (vb.clone(), any::<bool>()).prop_map(|(vb, is)| Happening::StateOf(vb, is)),
        1 => vb.clone().prop_map(Happening::Bad),
        2 => (vb, 0..3_u8).prop_map(|(vb, how)| Happening::Elsewhere(vb, how)),
        1 => Just(Happening::Later),
    ]
}

/// A history in the making.
struct History {
    bench: Bench,
    /// The newest STREAM_REQ of each vBucket, and the next seqno of its stream.
    asked: BTreeMap<u16, (Opaque, u64)>,
    /// The newest prepare that each vBucket was sent.
    prepared: BTreeMap<u16, u64>,
    adds: u32,
    answered: BTreeMap<u32, u32>,
    is_named: bool,
}

impl History {
    /// Of a consumer that takes durable writes and collections, or neither; with streams that are
    /// open and within a snapshot, or none.
    fn new(is_named: bool, is_open: bool) -> Self {
        let bench = if is_named { Bench::named("beta") } else { Bench::new() };
        (0..3).for_each(|vb| bench.node.put(vb, u64::from(vb) * 5, &[(1, 0)]));
        let (asked, prepared, answered) = Default::default();
        let mut history = Self { bench, asked, prepared, adds: 0, answered, is_named };
        for vb in 0..if is_open { 3 } else { 0 } {
            let (opaque, next) = (history.bench.open(vb), u64::from(vb) * 5 + 1);
            history.bench.marker(vb, opaque, next, next + 30);
            history.asked.insert(vb, (opaque, next));
        }
        history
    }

    fn happen(&mut self, happening: &Happening) {
        let bench = &mut self.bench;
        let asked = |vb: &u16| self.asked.get(vb).copied().unwrap_or((Opaque(0xbad), 1));
        match happening {
            Happening::Add(vb) => {
                self.adds += 1;
                bench.add(*vb, self.adds, 0);
            }
            Happening::Close(vb) => bench.close(*vb, 0xc105),
            Happening::Answer(vb, 0) => {
                bench.answer_request(asked(vb).0, Status::ROLLBACK, &[0; 8])
            }
            Happening::Answer(vb, 1) => bench.answer_request(asked(vb).0, Status::EINTERNAL, &[]),
            Happening::Answer(vb, _) => bench.accept(asked(vb).0),
            Happening::End(vb, stale) => {
                let opaque = if *stale { Opaque(0xdead) } else { asked(vb).0 };
                bench.end(*vb, opaque, StreamEndStatus::STATE_CHANGED);
            }
            Happening::Marker(vb) => {
                let (opaque, next) = asked(vb);
                bench.marker(*vb, opaque, next, next + 2);
            }
            Happening::Mutation(vb) => self.step(*vb, Step::Mutation),
            Happening::Step(vb, step) => self.step(*vb, *step),
            Happening::Outcome(at, kind) => {
                if !bench.effects.is_empty() {
                    let effect = bench.effects.remove(at % bench.effects.len());
                    let outcome = match kind {
                        0 => Err(Failure::NotReplica),
                        1 => Err(Failure::Other("the disk".to_owned())),
                        _ => Ok(()),
                    };
                    bench.outcome(effect, outcome);
                }
            }
            Happening::Negotiate => bench.negotiate(),
            Happening::StateOf(vb, replica) => {
                let state = if *replica { VbState::Replica } else { VbState::Dead };
                bench.node.with(*vb, |facts| facts.state = state);
                bench.on(Event::Changed(VbId(*vb)));
                bench.settle();
            }
            Happening::Bad(vb) => {
                let frame = FrameBuilder::request(Opcode::DCP_PREPARE).vbucket(VbId(*vb));
                bench.feed(&frame.opaque(asked(vb).0).build());
            }
            Happening::Elsewhere(vb, how) => bench.elsewhere(*vb, *how),
            Happening::Later => {
                bench.now += Duration::from_secs(1);
                bench.settle();
            }
        }
        self.look();
    }

    /// Sends a change at the next seqno of the stream.
    fn step(&mut self, vb: u16, step: Step) {
        let (opaque, next) = self.asked.get(&vb).copied().unwrap_or((Opaque(0xbad), 1));
        let prepared = self.prepared.get(&vb).copied().unwrap_or_default();
        let frame = match step {
            Step::Mutation if !self.is_named => mutation(vb, opaque, next),
            step => step.frame(VbId(vb), opaque, Seqno(next), Seqno(prepared)),
        };
        self.bench.feed(&frame);
        if matches!(step, Step::Prepare) {
            self.prepared.insert(vb, next);
        }
        self.asked.insert(vb, (opaque, next + 1));
    }

    fn look(&mut self) {
        for (opaque, _) in self.bench.answers() {
            *self.answered.entry(opaque).or_default() += 1;
        }
        for bytes in self.bench.take(Opcode::DCP_STREAM_REQ) {
            let frame = Frame::parse(&bytes).unwrap();
            let start = StreamReq::decode(&frame).unwrap().start.0;
            self.asked.insert(frame.header.vbucket().0, (frame.header.opaque, start + 1));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever happens, every ADD_STREAM is answered once, every byte is acknowledged once, no
    /// vBucket stays claimed, and no gap is written.
    #[test]
    fn every_add_stream_is_answered_once_and_every_byte_counts_once(
        is_named: bool,
        is_open: bool,
        happenings in prop::collection::vec(happening(), 1..80),
    ) {
        let mut history = History::new(is_named, is_open);
        for happening in &happenings {
            history.happen(happening);
            prop_assert!(history.answered.values().all(|count| *count == 1));
        }
        // Everything that is in progress ends.
        (0..3).for_each(|vb| history.bench.elsewhere(vb, 2));
        history.bench.run_effects();
        history.look();
        history.bench.on(Event::Close("the end".to_owned()));
        history.bench.settle();
        history.look();
        for add in 1..=history.adds {
            prop_assert_eq!(history.answered.get(&add), Some(&1), "ADD_STREAM {}", add);
        }
        let bench = &history.bench;
        prop_assert_eq!(bench.machine.queued_bytes(), 0);
        let accounted = bench.stat("total_acked_bytes") + bench.stat("unacked_bytes");
        prop_assert_eq!(accounted, bench.charged as u64);
        let mut claimed = bench.node.claimed.borrow().clone();
        let mut streams: Vec<_> = bench.machine.vbuckets().collect();
        claimed.sort_unstable();
        streams.sort_unstable();
        prop_assert_eq!(claimed, streams);
    }
}
