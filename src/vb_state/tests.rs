//! Which state a vBucket is shown in.

use dcp_actors::{
    BrokenStatus, BucketStatus, Cause, LinkPhase, LinkStatus, MovePhase, MoveStatus, StreamPhase,
    StreamStatus,
};
use mcbp::Side;
use replica::loops::LoopKind;

use super::*;
use crate::admin::fixtures;

/// The states of the first vBuckets as text.
fn shown(bucket: &BucketStatus, paused: &str, count: usize) -> String {
    let paused = if paused.is_empty() { VbSet::default() } else { paused.parse().unwrap() };
    let states = of_bucket(bucket, &paused);
    assert_eq!(states.len(), 1024);
    states.iter().take(count).map(|state| state.char()).collect()
}

fn one(link: LinkStatus) -> String {
    shown(&fixtures::bucket(vec![link]), "", 1)
}

fn stream(phase: StreamPhase) -> Vec<StreamStatus> {
    vec![fixtures::stream(0, phase, None)]
}

#[test]
fn every_state_has_a_character_a_word_and_a_meaning_of_its_own() {
    for (at, state) in VbState::ALL.iter().enumerate() {
        for other in &VbState::ALL[at + 1..] {
            assert_ne!(state.char(), other.char());
            assert_ne!(state.word(), other.word());
            assert_ne!(state.meaning(), other.meaning());
        }
        assert!(state.char().is_ascii_graphic());
    }
    let chars: String = VbState::ALL.iter().map(|state| state.char()).collect();
    assert_eq!(chars, ".ousriwbpham");
    assert_eq!(legend().len(), VbState::ALL.len());
}

#[test]
fn every_state_is_in_the_documents() {
    let text = include_str!("../../docs/admin-api.md");
    for state in VbState::ALL {
        let (char, word, meaning) = (state.char(), state.word(), state.meaning());
        let row = format!("\n| `{char}` | {word} | {meaning} |\n");
        assert!(text.contains(&row), "docs/admin-api.md needs{row}");
    }
}

#[test]
fn the_phase_of_stream_and_link_is_the_state() {
    use StreamPhase::{Asked, Due, HeldBack, Open, RollingBack, Waiting};
    let down = || Some(fixtures::down("x", Side::Producer));
    type Case = (LinkPhase, Option<Cause>, StreamPhase, &'static str);
    let cases: [Case; 9] = [
        (LinkPhase::Up, None, Open, "o"),
        (LinkPhase::Unresponsive, None, Open, "u"),
        (LinkPhase::Up, None, Due, "s"),
        (LinkPhase::Connecting, None, Asked, "s"),
        (LinkPhase::Up, None, RollingBack, "r"),
        (LinkPhase::Up, None, HeldBack, "h"),
        (LinkPhase::Up, None, Waiting, "w"),
        (LinkPhase::Waiting, down(), Due, "w"),
        (LinkPhase::Connecting, down(), Due, "w"),
    ];
    for (phase, error, of_stream, want) in cases {
        let said = format!("{phase:?} {of_stream:?}");
        assert_eq!(one(fixtures::link(phase, error, stream(of_stream))), want, "{said}");
    }
    let mut incomplete = stream(Open);
    incomplete[0].complete_to = Some(7);
    assert_eq!(one(fixtures::link(LinkPhase::Up, None, incomplete)), "i");
}

#[test]
fn loops_moves_pauses_and_what_is_active_here_are_shown() {
    let streams = (0..3).map(|vb| fixtures::stream(vb, StreamPhase::Waiting, None)).collect();
    let mut bucket = fixtures::bucket(vec![fixtures::link(LinkPhase::Up, None, streams)]);
    let kind = LoopKind::Flapping;
    bucket.broken = vec![BrokenStatus { vbucket: 0, kind, failures: 9, since_ms: 1 }];
    let moving = |vbucket, phase| MoveStatus {
        bucket: "default".to_owned(),
        vbucket,
        from: "alpha".to_owned(),
        phase,
        estimate: None,
        since_ms: 0,
    };
    bucket.moves = vec![moving(1, MovePhase::Copying), moving(2, MovePhase::Queued)];
    bucket.active_here = Some("3-4".parse().unwrap());
    assert_eq!(shown(&bucket, "4-5", 8), "bmwapp..");
    let counted = counts(&of_bucket(&bucket, &VbSet::default()));
    assert_eq!((counted[&VbState::ActiveHere], counted[&VbState::NotWanted]), (2, 1019));
}
