//! The pump against every way in which bytes can arrive and leave.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{Rule, concat, control, pump, split, withheld};
use bytes::Bytes;
use mcbp::scan::ControlSet;
use mcbp::{FrameBuilder, FrameError, Header, Opaque, Opcode, Status, VbId};
use relay::testing::mutation;
use relay::{Fault, Judge, LinkError, Pump, Side, Verdict, run_pair};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

const READ_SIZES: [usize; 6] = [1, 7, 24, 25, 1000, 64 * 1024];

/// A generator of its own, so that a seed means the same for ever.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) as usize % limit
    }
}

fn random_frames(seed: u64, count: usize) -> Vec<Bytes> {
    let mut random = Random(seed);
    let mut frame = |n: usize| {
        let opaque = n as u32;
        match random.below(12) {
            0 => control(Opcode::DCP_STREAM_END, opaque),
            1 => FrameBuilder::response(Opcode::DCP_ADD_STREAM, Status::SUCCESS)
                .opaque(Opaque(opaque))
                .extras(&[0; 4])
                .build(),
            2 => FrameBuilder::request(Opcode::DCP_NOOP).opaque(Opaque(opaque)).build(),
            3 => mutation(VbId(1), Opaque(opaque), n as u64, 200 + random.below(5000)),
            _ => mutation(VbId(1), Opaque(opaque), n as u64, random.below(200)),
        }
    };
    (0..count).map(&mut frame).collect()
}

fn passed(frames: &[Bytes]) -> Vec<Bytes> {
    frames.iter().filter(|frame| !withheld(frame)).cloned().collect()
}

async fn feed(mut to: DuplexStream, bytes: Bytes) {
    to.write_all(&bytes).await.unwrap();
}

async fn drain(mut from: DuplexStream) -> Vec<u8> {
    let mut all = Vec::new();
    from.read_to_end(&mut all).await.unwrap();
    all
}

/// Runs a pump that is to end soon, so that a test fails and does not hang.
async fn run<R, W>(pump: Pump<R, W, impl Judge>) -> LinkError
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    timeout(Duration::from_secs(30), pump.run()).await.expect("the pump hangs")
}

#[track_caller]
fn assert_closed(error: &LinkError, side: Side, cut_off: usize) {
    assert_eq!(error.side(), Some(side), "{error}");
    assert!(
        matches!(error.fault, Fault::Closed { cut_off_bytes, .. } if cut_off_bytes == cut_off),
        "{error}"
    );
}

#[tokio::test]
async fn any_sequence_passes_whole_and_in_order_at_any_read_size() {
    for (seed, size) in READ_SIZES
        .into_iter()
        .enumerate()
        .flat_map(|(i, size)| (0..4).map(move |n| ((i * 4 + n) as u64, size)))
    {
        let frames = random_frames(seed, 120);
        let (source, reader) = duplex(size);
        let (writer, sink) = duplex(size);
        let rule = Rule::default();
        let (pump, _injector) = pump(reader, writer, rule.clone());
        let progress = Arc::clone(&pump.progress);
        let (_, error, out) = tokio::join!(feed(source, concat(&frames)), run(pump), drain(sink));

        let want = passed(&frames);
        assert_eq!(split(&out), want, "seed {seed}, reads of {size}");
        assert_closed(&error, Side::Producer, 0);
        let is_control =
            |frame: &&Bytes| rule.control().contains(&Header::peek(frame).unwrap().unwrap());
        let control: Vec<_> = frames.iter().filter(is_control).cloned().collect();
        assert_eq!(*rule.judged.borrow(), control, "seed {seed}, reads of {size}");
        assert_eq!(progress.bytes(), out.len() as u64);
        assert_eq!(progress.frames(), want.len() as u64);
        assert_eq!(progress.withheld(), (frames.len() - want.len()) as u64);
    }
}

#[tokio::test]
async fn own_frames_stand_between_whole_frames_in_their_order() {
    for size in READ_SIZES {
        let frames = random_frames(size as u64, 200);
        let own: Vec<_> = (0..150).map(|n| control(Opcode::DCP_CONTROL, 1 << 20 | n)).collect();
        let (mut source, reader) = duplex(size);
        let (writer, sink) = duplex(size);
        let (pump, injector) = pump(reader, writer, Rule::default());
        let progress = Arc::clone(&pump.progress);
        let feeding = async {
            for (n, frame) in frames.iter().enumerate() {
                if let Some(own) = own.get(n) {
                    injector.inject(own.clone()).unwrap();
                }
                source.write_all(frame).await.unwrap();
            }
            // Own frames go out without any data, too: the source is silent from here on.
            let expect = own.len() as u64;
            while progress.injected() < expect {
                tokio::task::yield_now().await;
            }
            drop(source);
        };
        let (_, error, out) = tokio::join!(feeding, run(pump), drain(sink));

        assert_closed(&error, Side::Producer, 0);
        let (ours, theirs): (Vec<_>, Vec<_>) =
            split(&out).into_iter().partition(|frame| own.contains(frame));
        assert_eq!(theirs, passed(&frames), "reads of {size}");
        assert_eq!(ours, own, "reads of {size}");
    }
}

#[tokio::test]
async fn a_flood_of_own_frames_does_not_stop_data_nor_data_them() {
    let (mut source, reader) = duplex(4096);
    let (writer, mut sink) = duplex(4096);
    let (pump, injector) = pump(reader, writer, Rule::default());
    let progress = Arc::clone(&pump.progress);
    let data = mutation(VbId(1), Opaque(1), 1, 100);
    let own = control(Opcode::DCP_CONTROL, 2);
    let flood = async {
        loop {
            while injector.inject(own.clone()).is_ok() {}
            tokio::task::yield_now().await;
        }
    };
    let stream = async { while source.write_all(&data).await.is_ok() {} };
    let watch = async {
        let mut buffer = [0; 4096];
        while progress.frames() < 5000 || progress.injected() < 5000 {
            sink.read_exact(&mut buffer).await.unwrap();
        }
    };
    tokio::select! {
        () = flood => unreachable!("it never ends"),
        () = stream => unreachable!("nobody closes"),
        error = run(pump) => panic!("{error}"),
        done = timeout(Duration::from_secs(20), watch) => done.expect("both make progress"),
    }
}

#[tokio::test]
async fn mb_16159_a_frame_larger_than_the_buffer_passes_while_it_arrives() {
    let big = mutation(VbId(1), Opaque(1), 1, 3 * 1024 * 1024);
    let own = control(Opcode::DCP_CONTROL, 2);
    let (mut source, reader) = duplex(64 * 1024);
    let (writer, mut sink) = duplex(64 * 1024);
    let (pump, injector) = pump(reader, writer, Rule::default());
    let half = big.len() / 2;
    let talk = async {
        let mut out = vec![0; half];
        let (sent, read) = tokio::join!(source.write_all(&big[..half]), sink.read_exact(&mut out));
        sent.unwrap();
        read.unwrap();
        assert_eq!(out, big[..half], "the front is there before the rest was sent");
        injector.inject(own.clone()).unwrap();
        let mut rest = vec![0; big.len() - half + own.len()];
        let (sent, read) = tokio::join!(source.write_all(&big[half..]), sink.read_exact(&mut rest));
        sent.unwrap();
        read.unwrap();
        assert_eq!(rest, concat(&[big.slice(half..), own.clone()]), "own frames wait for the end");
    };
    tokio::select! {
        error = run(pump) => panic!("{error}"),
        () = talk => {}
    }
}

/// Passes each frame to the test and waits for its verdict.
struct Asks(mpsc::UnboundedSender<(Bytes, oneshot::Sender<Verdict>)>);

impl Judge for Asks {
    fn control(&self) -> &ControlSet {
        const ENDS: ControlSet = ControlSet::new(&[Opcode::DCP_STREAM_END], &[]);
        &ENDS
    }

    async fn judge(&mut self, frame: Bytes) -> Verdict {
        let (answer, verdict) = oneshot::channel();
        self.0.send((frame, answer)).unwrap();
        verdict.await.unwrap_or(Verdict::Stop)
    }
}

#[tokio::test(start_paused = true)]
async fn the_judge_knows_before_the_peer_does_and_holds_what_follows() {
    let before = mutation(VbId(1), Opaque(1), 1, 10);
    let end = control(Opcode::DCP_STREAM_END, 2);
    let after = mutation(VbId(1), Opaque(1), 2, 10);
    let (mut source, reader) = duplex(4096);
    let (writer, mut sink) = duplex(4096);
    let (asks, mut asked) = mpsc::unbounded_channel();
    let (pump, _injector) = pump(reader, writer, Asks(asks));
    let talk = async {
        let all = concat(&[before.clone(), end.clone(), after.clone()]);
        source.write_all(&all).await.unwrap();
        let (frame, verdict) = asked.recv().await.unwrap();
        assert_eq!(frame, end);
        let mut out = vec![0; before.len()];
        sink.read_exact(&mut out).await.unwrap();
        assert_eq!(out, before);
        let early = timeout(Duration::from_secs(5), sink.read_u8()).await;
        assert!(early.is_err(), "something passed before the verdict");
        verdict.send(Verdict::Forward).unwrap();
        let mut out = vec![0; end.len() + after.len()];
        sink.read_exact(&mut out).await.unwrap();
        assert_eq!(out, concat(&[end.clone(), after.clone()]));
    };
    tokio::select! {
        error = run(pump) => panic!("{error}"),
        () = talk => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_judge_that_stops_or_hangs_ends_the_pump() {
    for stops in [true, false] {
        let (mut source, reader) = duplex(4096);
        let (writer, _sink) = duplex(4096);
        let (asks, mut asked) = mpsc::unbounded_channel();
        let (pump, _injector) = pump(reader, writer, Asks(asks));
        source.write_all(&control(Opcode::DCP_STREAM_END, 2)).await.unwrap();
        let answer = async {
            let (_, verdict) = asked.recv().await.unwrap();
            if stops {
                verdict.send(Verdict::Stop).unwrap();
                None
            } else {
                Some(verdict)
            }
        };
        let (error, _kept_open) = tokio::join!(pump.run(), answer);
        let right = match error.fault {
            Fault::Stopped => stops,
            Fault::NoVerdict { opcode, .. } => !stops && opcode == Opcode::DCP_STREAM_END,
            _ => false,
        };
        assert!(right, "{error}");
    }
}

/// An endless source that counts what was taken.
struct Endless {
    frame: Bytes,
    taken: Arc<AtomicUsize>,
}

impl AsyncRead for Endless {
    fn poll_read(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        while buffer.remaining() > 0 {
            let at = self.taken.load(Ordering::Relaxed) % self.frame.len();
            let part = &self.frame[at..];
            let part = &part[..part.len().min(buffer.remaining())];
            buffer.put_slice(part);
            self.taken.fetch_add(part.len(), Ordering::Relaxed);
        }
        std::task::Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn mb_38984_nothing_is_read_while_the_destination_is_slow() {
    let taken = Arc::new(AtomicUsize::new(0));
    let source = Endless { frame: mutation(VbId(1), Opaque(1), 1, 76), taken: Arc::clone(&taken) };
    let (writer, _sink) = duplex(512);
    let (pump, _injector) = pump(source, writer, Rule::default());
    let error = pump.run().await;
    assert!(taken.load(Ordering::Relaxed) <= 512 + 1024 + 256, "{taken:?} bytes were read");
    assert_eq!(error.to_string(), "consumer consumer at test:1: accepted no bytes for 360s");
}

#[tokio::test]
async fn garbage_ends_the_pump_after_what_was_good_and_names_its_sender() {
    let good = mutation(VbId(1), Opaque(1), 1, 10);
    let (source, reader) = duplex(4096);
    let (writer, sink) = duplex(4096);
    let (pump, _injector) = pump(reader, writer, Rule::default());
    let bytes = concat(&[good.clone(), Bytes::from_static(b"GET / HTTP/1.1\r\n\r\n")]);
    let (_, error, out) = tokio::join!(feed(source, bytes), run(pump), drain(sink));
    assert_eq!(out, good);
    assert_eq!(error.side(), Some(Side::Producer));
    let Fault::Garbage { source, .. } = error.fault else { panic!("{error}") };
    assert_eq!(source, FrameError::UnknownMagic { magic: b'G' });
}

#[tokio::test]
async fn gocbc_1242_what_came_before_the_end_is_delivered_before_it_is_reported() {
    let end = control(Opcode::DCP_STREAM_END, 1);
    let cut = mutation(VbId(1), Opaque(1), 1, 50).slice(..60);
    let (source, reader) = duplex(4096);
    let (writer, sink) = duplex(4096);
    let rule = Rule::default();
    let (pump, _injector) = pump(reader, writer, rule.clone());
    let bytes = concat(&[end.clone(), cut.clone()]);
    let (_, error, out) = tokio::join!(feed(source, bytes.clone()), run(pump), drain(sink));
    assert_eq!(out, bytes);
    assert_eq!(*rule.judged.borrow(), [end]);
    assert_closed(&error, Side::Producer, cut.len());
}

#[tokio::test]
async fn a_control_frame_beyond_the_limit_is_refused_before_it_arrives() {
    let (source, reader) = duplex(4096);
    let (writer, sink) = duplex(4096);
    let (pump, _injector) = pump(reader, writer, Rule::default());
    let large = FrameBuilder::request(Opcode::DCP_STREAM_END).value(&[0; 300]).build();
    let feeding = feed(source, large.slice(..24));
    let (_, error, out) = tokio::join!(feeding, run(pump), drain(sink));
    assert!(out.is_empty());
    assert_eq!(
        error.to_string(),
        "producer producer at test:1: sent DCP_STREAM_END of 324 bytes, the limit is 256"
    );
}

#[tokio::test]
async fn mb_12158_one_direction_ends_the_pair_and_both_connections_close() {
    let (mut producer, ours) = duplex(4096);
    let (from_producer, to_producer) = tokio::io::split(ours);
    let (consumer, ours) = duplex(4096);
    let (from_consumer, to_consumer) = tokio::io::split(ours);
    let (down, _to_consumer) = pump(from_producer, to_consumer, Rule::default());
    let (up, _to_producer) = pump(from_consumer, to_producer, Rule::default());
    drop(consumer);
    let error = run_pair(run(up), run(down)).await;
    assert!(matches!(error.fault, Fault::Closed { .. }), "{error}");
    assert_eq!(producer.read(&mut [0; 1]).await.unwrap(), 0);
}

#[tokio::test]
async fn gocbc_1242_the_last_frames_of_a_peer_that_cannot_be_written_to_are_delivered() {
    // Chance decides which direction is looked at first.
    for _ in 0..32 {
        let end = control(Opcode::DCP_STREAM_END, 1);
        let (mut producer, from_producer) = duplex(4096);
        producer.write_all(&end).await.unwrap();
        drop(producer);
        let (gone, to_producer) = duplex(4096);
        drop(gone);
        let (mut consumer, from_consumer) = duplex(4096);
        consumer.write_all(&mutation(VbId(1), Opaque(1), 1, 10)).await.unwrap();
        let (to_consumer, sink) = duplex(4096);
        let (down, _to_consumer) = pump(from_producer, to_consumer, Rule::default());
        let (mut up, _to_producer) = pump(from_consumer, to_producer, Rule::default());
        std::mem::swap(&mut up.source.peer, &mut up.sink.peer);
        let (error, out) = tokio::join!(run_pair(run(up), run(down)), drain(sink));
        assert_eq!(out, end);
        assert_eq!(error.side(), Some(Side::Producer), "{error}");
    }
}

#[tokio::test]
async fn what_the_handshake_read_in_excess_is_delivered_first() {
    let frames = random_frames(7, 30);
    let all = concat(&frames);
    for cut in [0, 1, 23, 24, 300, all.len()] {
        let (source, reader) = duplex(1000);
        let (writer, sink) = duplex(1000);
        let (mut pump, _injector) = pump(reader, writer, Rule::default());
        pump.source.leftover = all.slice(..cut);
        let (_, _, out) = tokio::join!(feed(source, all.slice(cut..)), run(pump), drain(sink));
        assert_eq!(split(&out), passed(&frames), "cut at {cut}");
    }
}

#[tokio::test(start_paused = true)]
async fn mb_20579_silence_is_counted_from_the_last_byte_of_the_source() {
    let (mut source, reader) = duplex(4096);
    let (writer, _sink) = duplex(4096);
    let (pump, injector) = pump(reader, writer, Rule::default());
    let progress = Arc::clone(&pump.progress);
    let mut running = pin!(pump.run());
    let minute = Duration::from_secs(60);
    timeout(minute, &mut running).await.expect_err("nothing ends it");
    assert_eq!(progress.silent_for(), minute);
    source.write_all(&mutation(VbId(1), Opaque(1), 1, 10)).await.unwrap();
    injector.inject(control(Opcode::DCP_CONTROL, 2)).unwrap();
    timeout(minute, &mut running).await.expect_err("nothing ends it");
    assert_eq!(progress.silent_for(), minute, "own frames are not news from the source");
}

#[tokio::test(start_paused = true)]
async fn silence_of_a_source_that_is_not_read_counts_from_the_end_of_the_wait() {
    let (mut source, reader) = duplex(4096);
    let (writer, mut sink) = duplex(16);
    let (pump, _injector) = pump(reader, writer, Rule::default());
    let progress = Arc::clone(&pump.progress);
    let mut running = pin!(pump.run());
    let minute = Duration::from_secs(60);
    timeout(minute, &mut running).await.expect_err("nothing ends it");
    assert_eq!(progress.unheard_for(), Some(minute));
    let frame = mutation(VbId(1), Opaque(1), 1, 10);
    source.write_all(&frame).await.unwrap();
    timeout(minute, &mut running).await.expect_err("it waits for the sink");
    assert_eq!((progress.unheard_for(), progress.silent_for()), (None, minute));
    let mut taken = vec![0; frame.len()];
    tokio::select! {
        error = &mut running => panic!("{error}"),
        read = sink.read_exact(&mut taken) => assert_eq!(read.unwrap(), frame.len()),
    }
    let second = Duration::from_secs(1);
    timeout(second, &mut running).await.expect_err("nothing ends it");
    assert_eq!(progress.unheard_for(), Some(second), "it reads again");
    assert_eq!(progress.silent_for(), minute + second);
}
