//! What recordings get: bounds, gaps, verdicts, logins.

use bytes::BytesMut;
use mcbp::{Frame, FrameBuilder, HEADER_BYTES, Header, Opaque, Opcode};

use super::*;

const RUN: usize = 64 * 1024;

fn recorder(data_bytes: usize) -> Arc<Recorder> {
    Arc::new(Recorder::new(data_bytes, Arc::new(Budget::new(1 << 20))))
}

fn frame(number: usize, value_bytes: usize) -> Bytes {
    let opaque = Opaque(u32::try_from(number).unwrap());
    FrameBuilder::request(Opcode::DCP_MUTATION)
        .opaque(opaque)
        .value(&vec![b'v'; value_bytes])
        .build()
}

/// What a recording has: the opaque of each frame with its side, or a word.
fn read(recording: &mut Recording) -> Vec<String> {
    let mut seen = Vec::new();
    while recording.read(RUN, &mut |next| seen.push(word(next))) {}
    seen
}

fn word(seen: Seen<'_>) -> String {
    match seen {
        Seen::Frame { side, is_own, is_withheld, bytes, .. } => {
            let opaque = Header::peek(bytes).unwrap().unwrap().opaque.0;
            let withheld = if is_withheld { " withheld" } else { "" };
            format!("{side}{} {opaque}{withheld}", if is_own { "<" } else { ">" })
        }
        Seen::Closed { side, .. } => format!("{side} closed"),
        Seen::Gap { gap, .. } => format!("{gap:?}"),
    }
}

fn control(peer: &PeerRecorder, number: usize, is_withheld: bool) {
    let frame = frame(number, 0);
    let header = Header::peek(&frame).unwrap().unwrap();
    peer.control(&header, &frame).decided(is_withheld);
}

fn header(frame: &[u8]) -> Header {
    Header::peek(frame).unwrap().unwrap()
}

/// Passes `bytes` in runs that end at `cuts`, as a pump does: never within a header.
fn pass(peer: &PeerRecorder, frames: &[Bytes], cuts: &[usize]) {
    let all = frames.concat();
    let ends: Vec<usize> = frames
        .iter()
        .scan(0, |end, frame| {
            *end += frame.len();
            Some(*end)
        })
        .collect();
    let mut from = 0;
    for &cut in cuts.iter().chain([&all.len()]) {
        let begin = ends.iter().rev().find(|end| **end <= cut).copied().unwrap_or(0);
        // What is left of a header stays in the buffer.
        let cut = if cut - begin < HEADER_BYTES { begin } else { cut };
        if cut <= from {
            continue;
        }
        let next_end = ends.iter().find(|end| **end > from).copied().unwrap_or(from);
        let is_within = from > 0 && !ends.contains(&from);
        let rest = if is_within { next_end - from } else { 0 };
        let count = ends.iter().filter(|end| **end > from && **end <= cut).count();
        if peer.wants_runs() {
            peer.run(&all[from..cut], rest, count);
        }
        from = cut;
    }
}

#[test]
fn runs_cut_at_every_point_are_the_frames_again() {
    let frames: Vec<_> = [0, 1, 40, 300].iter().enumerate().map(|(n, v)| frame(n, *v)).collect();
    let total = frames.concat().len();
    let want: Vec<_> = (0..frames.len()).map(|n| format!("producer> {n}")).collect();
    for first in 0..total {
        for second in [first, total - 1, (first + total) / 2] {
            let recorder = recorder(0);
            let mut recording = recorder.record(RUN, false);
            pass(&recorder.of(Side::Producer), &frames, &[first, second]);
            assert_eq!(read(&mut recording), want, "cut at {first} and {second}");
        }
    }
}

#[test]
fn a_slow_reader_is_told_how_many_frames_it_misses_and_gets_those_after() {
    let recorder = recorder(0);
    let peer = recorder.of(Side::Producer);
    let mut recording = recorder.record(1000, false);
    let frames: Vec<_> = (0..6).map(|n| frame(n, 300)).collect();
    for frame in &frames {
        peer.run(frame, 0, 1);
    }
    control(&peer, 6, false);
    assert_eq!(read(&mut recording), ["producer> 0", "producer> 1", "Slow(5)"]);
    control(&peer, 7, false);
    assert_eq!(read(&mut recording), ["producer> 7"], "there is room again");
}

/// Every frame that ends while a recording is open is in it, or counted: whatever is left out,
/// wherever runs end.
#[test]
fn frames_and_gaps_add_up() {
    for seed in 0..400_u64 {
        let mut random = fastrand(seed);
        let recorder = recorder(0);
        let peers = [recorder.of(Side::Producer), recorder.of(Side::Consumer)];
        let mut recording = recorder.record(200 + random(2000), false);
        let (mut passed, mut got, mut missed) = (0, 0, 0);
        let mut count = |seen: Seen<'_>| match seen {
            Seen::Gap { gap: Gap::Slow(frames), .. } => missed += frames,
            _ => got += 1,
        };
        for round in 0..20 {
            let frames: Vec<_> = (0..random(8)).map(|n| frame(n, random(400))).collect();
            let total = frames.concat().len();
            let mut cuts: Vec<_> = (0..random(6)).map(|_| random(total + 1)).collect();
            cuts.sort_unstable();
            pass(&peers[round % 2], &frames, &cuts);
            passed += frames.len();
            if random(3) == 0 {
                recording.read(random(500), &mut count);
            }
        }
        while recording.read(RUN, &mut count) {}
        assert_eq!(got + missed, passed, "seed {seed}: {got} and {missed} missed");
    }
}

fn fastrand(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |limit| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (state >> 33) as usize % limit.max(1)
    }
}

#[test]
fn a_frame_is_shown_with_its_verdict_and_nothing_overtakes_it() {
    let recorder = recorder(0);
    let (peer, other) = (recorder.of(Side::Consumer), recorder.of(Side::Producer));
    let mut recording = recorder.record(RUN, false);
    let first = frame(1, 0);
    let undecided = peer.control(&header(&first), &first);
    other.own(&[frame(2, 0)]);
    assert!(read(&mut recording).is_empty(), "the verdict is awaited");
    undecided.decided(true);
    control(&peer, 3, false);
    assert_eq!(read(&mut recording), ["consumer> 1 withheld", "consumer< 2", "consumer> 3"]);
    drop(peer.control(&header(&first), &first));
    peer.closed();
    assert_eq!(read(&mut recording), ["consumer> 1", "consumer closed"], "the link has ended");
}

#[test]
fn the_past_has_the_handshake_the_last_frames_and_what_is_between() {
    let recorder = recorder(0);
    let peer = recorder.of(Side::Consumer);
    recorder.begins();
    peer.asked(&frame(900, 0));
    peer.answered(&frame(901, 0));
    let count = RING_BYTES / HEADER_BYTES;
    (0..count).for_each(|number| control(&peer, number, false));
    // Data frames are not kept.
    assert!(!peer.wants_runs());
    let past = read(&mut recorder.record(RUN, true));
    assert_eq!(past[..2], ["consumer< 900", "consumer> 901"]);
    let kept = past.len() - 4;
    assert_eq!(past[2], format!("Evicted({})", count - kept));
    assert_eq!(past[3], format!("consumer> {}", count - kept));
    assert_eq!(past.last().unwrap(), "Unkept");
    assert!(kept * 2 * HEADER_BYTES < RING_BYTES && kept > 1000, "{kept}");
    recorder.begins();
    peer.asked(&frame(902, 0));
    let past = read(&mut recorder.record(RUN, true));
    assert_eq!(past[0], "consumer< 900", "the attempt before, as far as there is room");
    assert_eq!(past.iter().filter(|word| *word == "consumer< 902").count(), 1, "not twice");
    assert!(!past.iter().any(|word| word.starts_with("Evicted")), "nothing of this attempt");
    assert!(read(&mut recorder.record(RUN, false)).is_empty(), "not asked for");
}

/// A frame has its place from when it came, also where the recording begins before its verdict.
#[test]
fn a_recording_that_begins_before_a_verdict_has_the_frame_with_it() {
    for data_bytes in [0, 100_000] {
        let recorder = recorder(data_bytes);
        let (peer, other) = (recorder.of(Side::Consumer), recorder.of(Side::Producer));
        control(&peer, 1, false);
        let waiting = frame(2, 0);
        let undecided = peer.control(&header(&waiting), &waiting);
        let mut last = recorder.record(RUN, true);
        let mut new = recorder.record(RUN, false);
        other.own(&[frame(3, 0)]);
        undecided.decided(true);
        assert_eq!(read(&mut new), ["consumer> 2 withheld", "consumer< 3"]);
        let mut want = vec!["consumer> 1", "consumer> 2 withheld", "consumer< 3"];
        if data_bytes == 0 {
            want.insert(1, "Unkept");
        }
        let (mut got, past) = (read(&mut last), read(&mut recorder.record(RUN, true)));
        got.sort();
        want.sort_unstable();
        assert_eq!(got, want);
        assert_eq!(past[..2], ["consumer> 1", "consumer> 2 withheld"], "in its place");
    }
}

#[test]
fn what_passes_all_the_time_does_not_push_out_what_tells_something() {
    let recorder = recorder(0);
    let peer = recorder.of(Side::Consumer);
    control(&peer, 1, false);
    let pulse = FrameBuilder::request(Opcode::DCP_BUFFER_ACK).opaque(Opaque(2)).build();
    // While one records, it is recorded; of the past it is not kept.
    let mut recording = recorder.record(RUN, false);
    peer.control(&header(&pulse), &pulse).decided(false);
    assert_eq!(read(&mut recording), ["consumer> 2"]);
    drop(recording);
    peer.control(&header(&pulse), &pulse).decided(false);
    assert_eq!(read(&mut recorder.record(RUN, true)), ["consumer> 1", "Unkept"]);
    recorder.keep(100_000);
    peer.control(&header(&pulse), &pulse).decided(false);
    let past = read(&mut recorder.record(RUN, true));
    assert_eq!(past, ["consumer> 1", "Unkept", "consumer> 2"], "kept with the data");
}

/// Data that is not kept any more is told at its place, before the first that is.
#[test]
fn the_place_from_which_on_data_is_kept_is_told() {
    let recorder = recorder(1000);
    let peer = recorder.of(Side::Producer);
    control(&peer, 1, false);
    let past = |recorder: &Arc<Recorder>| read(&mut recorder.record(RUN, true));
    peer.run(&frame(2, 300), 0, 1);
    assert_eq!(past(&recorder), ["producer> 1", "producer> 2"], "nothing is missing");
    control(&peer, 3, false);
    peer.run(&frame(4, 700), 0, 1);
    let want = ["producer> 1", "Unkept", "producer> 3", "producer> 4"];
    assert_eq!(past(&recorder), want);
    recorder.keep(0);
    assert_eq!(past(&recorder), ["producer> 1", "producer> 3", "Unkept"]);
}

#[test]
fn data_frames_are_kept_on_request_and_go_on_without_a_seam() {
    let recorder = recorder(100_000);
    let peer = recorder.of(Side::Producer);
    let frames: Vec<_> = (0..4).map(|n| frame(n, 100)).collect();
    let all = frames.concat();
    let cut = frames[0].len() + frames[1].len() + 50;
    peer.run(&all[..cut], 0, 2);
    let mut recording = recorder.record(RUN, true);
    peer.run(&all[cut..], frames[0].len() - 50, 2);
    assert_eq!(read(&mut recording), ["producer> 0", "producer> 1", "producer> 2", "producer> 3"]);
    drop(recording);
    assert!(peer.wants_runs());
    recorder.keep(0);
    assert!(!peer.wants_runs(), "a reload has switched it off");
}

#[test]
fn links_share_a_budget_and_give_it_back() {
    let budget = Arc::new(Budget::new(10_000));
    let recorders: Vec<_> =
        (0..3).map(|_| Arc::new(Recorder::new(0, Arc::clone(&budget)))).collect();
    for recorder in &recorders {
        (0..100).for_each(|number| control(&recorder.of(Side::Consumer), number, false));
        assert!(budget.0.load(Relaxed) <= 10_000);
    }
    let kept = |recorder: &Arc<Recorder>| read(&mut recorder.record(RUN, true)).len();
    assert!(kept(&recorders[0]) > 10);
    drop(recorders);
    assert_eq!(budget.0.load(Relaxed), 10_000);
}

#[test]
fn a_login_is_masked_before_it_is_kept() {
    let recorder = recorder(0);
    let mut recording = recorder.record(RUN, false);
    let login = FrameBuilder::request(Opcode::SASL_AUTH).key(b"PLAIN").value(b"\0user\0secret");
    recorder.of(Side::Consumer).asked(&login.build());
    let mut shown = BytesMut::new();
    recording.read(RUN, &mut |seen| match seen {
        Seen::Frame { bytes, .. } => shown.extend_from_slice(bytes),
        other => panic!("{other:?}"),
    });
    assert_eq!(Frame::parse(&shown).unwrap().value, b"************");
    assert_eq!(shown.len(), login.build().len());
}

#[test]
fn two_recordings_see_the_same_and_end_alone() {
    let recorder = recorder(0);
    let peer = recorder.of(Side::Producer);
    let (mut one, mut two) = (recorder.record(RUN, false), recorder.record(RUN, false));
    control(&peer, 1, false);
    assert_eq!(read(&mut one), read(&mut two));
    drop(one);
    peer.run(&frame(2, 0), 0, 1);
    assert_eq!(read(&mut two), ["producer> 2"]);
    drop(two);
    assert!(!peer.wants_runs());
}
