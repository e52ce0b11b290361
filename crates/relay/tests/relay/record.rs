//! What a recording gets of a pump and of a handshake; and that it changes nothing that passes.

use std::sync::Arc;

use crate::support::{Rule, concat, control, peer, pump, split, withheld};
use bytes::Bytes;
use mcbp::{Frame, FrameBuilder, Opaque, Opcode, Status, VbId};
use relay::testing::{BUCKET, FakePeer, Manners, mutation};
use relay::{Budget, DcpOpen, Deadlines, LINK_FEATURES, Prepared, Recorder, Recording, Seen, Side};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

fn recorder() -> Arc<Recorder> {
    Arc::new(Recorder::new(0, Arc::new(Budget::new(1 << 20))))
}

/// What was recorded: whether a frame is ours, whether it was withheld, and the frame.
fn read(recording: &mut Recording) -> Vec<(bool, bool, Bytes)> {
    let mut frames = Vec::new();
    while recording.read(1 << 16, &mut |seen| match seen {
        Seen::Frame { is_own, is_withheld, bytes, .. } => {
            frames.push((is_own, is_withheld, Bytes::copy_from_slice(bytes)));
        }
        Seen::Closed { side, .. } => assert_eq!(side, Side::Producer),
        Seen::Gap { gap, .. } => panic!("{gap:?}"),
    }) {}
    frames
}

fn frames() -> Vec<Bytes> {
    let answer = |opcode, n| {
        FrameBuilder::response(opcode, Status::SUCCESS).opaque(Opaque(n)).extras(&[0; 4]).build()
    };
    vec![
        mutation(VbId(1), Opaque(1), 1, 0),
        answer(Opcode::DCP_ADD_STREAM, 2),
        // Larger than the buffer of the pump.
        mutation(VbId(1), Opaque(3), 2, 5000),
        control(Opcode::DCP_STREAM_END, 4),
        mutation(VbId(1), Opaque(5), 3, 90),
        answer(Opcode::DCP_CLOSE_STREAM, 6),
    ]
}

/// Whatever the sizes of reads are, what passes is the same as without a recording, and what is
/// recorded are the frames.
#[tokio::test]
async fn a_recorded_pump_forwards_the_same_bytes_and_the_recording_has_the_frames() {
    let all = concat(&frames());
    let passed: Vec<_> = frames().into_iter().filter(|frame| !withheld(frame)).collect();
    let mut sizes: Vec<_> = (1..400).collect();
    sizes.push(all.len());
    for size in sizes {
        let (mut source, reader) = duplex(size);
        let (writer, mut sink) = duplex(1 << 16);
        let (mut pump, injector) = pump(reader, writer, Rule::default());
        let recorder = recorder();
        pump.recorder = recorder.of(peer(Side::Producer).side.unwrap());
        let mut recording = recorder.record(1 << 20, false);
        let own = control(Opcode::DCP_ADD_STREAM, 77);
        injector.inject(own.clone()).unwrap();
        let bytes = all.clone();
        let feeding = async move { source.write_all(&bytes).await.unwrap() };
        let mut out = Vec::new();
        let (_, error, read_all) = tokio::join!(feeding, pump.run(), sink.read_to_end(&mut out));
        read_all.unwrap();
        let without = split(&out).into_iter().filter(|frame| *frame != own).collect::<Vec<_>>();
        assert_eq!(without, passed, "reads of {size}: {error}");
        let recorded = read(&mut recording);
        let (ours, theirs): (Vec<_>, Vec<_>) = recorded.into_iter().partition(|(own, ..)| *own);
        let want: Vec<_> =
            frames().into_iter().map(|frame| (false, withheld(&frame), frame)).collect();
        assert_eq!(theirs, want, "reads of {size}");
        assert_eq!(ours, [(true, false, own)], "reads of {size}");
    }
}

/// A recording that begins within a frame has the next one, and what passes is the same.
#[tokio::test]
async fn a_recording_may_begin_within_a_frame() {
    let (mut source, reader) = duplex(64);
    let (writer, mut sink) = duplex(1 << 16);
    let (mut pump, _injector) = pump(reader, writer, Rule::default());
    let recorder = recorder();
    pump.recorder = recorder.of(Side::Producer);
    let (first, second) = (mutation(VbId(1), Opaque(1), 1, 5000), control(Opcode::NOOP, 2));
    let all = concat(&[first.clone(), second.clone()]);
    let got = async {
        source.write_all(&all[..3000]).await.unwrap();
        let mut out = vec![0; 2900];
        // So much has passed.
        sink.read_exact(&mut out).await.unwrap();
        let mut recording = recorder.record(1 << 20, false);
        source.write_all(&all[3000..]).await.unwrap();
        drop(source);
        sink.read_to_end(&mut out).await.unwrap();
        assert_eq!(split(&out), [first, second.clone()]);
        read(&mut recording)
    };
    let (_, got) = tokio::join!(pump.run(), got);
    assert_eq!(got, [(false, false, second)]);
}

#[tokio::test]
async fn a_handshake_is_kept_without_its_password() {
    let node = FakePeer::bind().await;
    let endpoint = node.endpoint("alpha");
    let recorder = recorder();
    recorder.begins();
    let open = async {
        let deadlines = Deadlines::default();
        let of = Some(recorder.of(Side::Producer));
        let prepared =
            Prepared::connect_recorded(&endpoint, Side::Producer, BUCKET, deadlines, of).await;
        let open = DcpOpen {
            connection_name: "a name",
            consumer_name: None,
            agent: "an agent",
            features: &LINK_FEATURES,
        };
        prepared.unwrap().open(open).await.unwrap()
    };
    let manners = Manners::default();
    let (_connection, _conn) = tokio::join!(open, node.accept(&manners));
    let recorded = {
        let mut all = Vec::new();
        recorder.record(1 << 20, true).read(1 << 16, &mut |seen| {
            if let Seen::Frame { is_own, bytes, .. } = seen {
                all.push((is_own, Bytes::copy_from_slice(bytes)));
            }
        });
        all
    };
    let opcodes: Vec<_> = recorded
        .iter()
        .map(|(is_own, frame)| (*is_own, Frame::parse(frame).unwrap().opcode()))
        .collect();
    let sasl = [Opcode::SASL_LIST_MECHS, Opcode::SASL_AUTH, Opcode::SASL_STEP];
    let steps = [&sasl[..], &[Opcode::SELECT_BUCKET, Opcode::HELLO, Opcode::DCP_OPEN]].concat();
    let want: Vec<_> = steps.into_iter().flat_map(|step| [(true, step), (false, step)]).collect();
    assert_eq!(opcodes, want);
    // A proof and a signature are hidden as well: a password can be guessed from them.
    for (_, bytes) in &recorded[2..6] {
        let login = Frame::parse(bytes).unwrap();
        assert!(!login.value.is_empty() && login.value.iter().all(|byte| *byte == b'*'));
    }
}
