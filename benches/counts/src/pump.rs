//! One direction of a link, between halves in memory, whose instructions are not counted.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use gungraun::{Callgrind, LibraryBenchmarkConfig, library_benchmark};
use mcbp::scan::ControlSet;
use relay::{
    Budget, Injector, Judge, LinkError, Peer, Progress, Pump, PumpLimits, Recorder, Recording,
    Side, Sink, Source, Verdict, injections,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::{Builder, Runtime};

use crate::frames::{CONTROL, mixed, same, with_control};

/// The size of a read of a busy socket: it usually ends within a frame, and fits the pump's buffer.
const READ_BYTES: usize = 60_000;

// A pump from its first read to the end of its source.
//
// Counting stops at the entry of the function that is named here and continues after it returns.
#[library_benchmark(config = LibraryBenchmarkConfig::default()
    .tool(Callgrind::with_args(["toggle-collect=*Supply*poll_read*"])))]
#[bench::of_64_bytes(Link::new(same(64), READ_BYTES))]
#[bench::of_256_bytes(Link::new(same(256), READ_BYTES))]
#[bench::of_1_kib(Link::new(same(1024), READ_BYTES))]
#[bench::of_16_kib(Link::new(same(16_384), READ_BYTES))]
#[bench::mixed(Link::new(mixed(), READ_BYTES))]
#[bench::with_control(Link::new(with_control(256), READ_BYTES))]
#[bench::one_a_read(Link::new(same(256), 256))]
#[bench::captured_of_1_kib(Link::new(same(1024), READ_BYTES).captured())]
fn pump_frames(link: Link) -> (LinkError, Runtime, Injector, Option<Recording>) {
    let error = link.runtime.block_on(link.pump.run());
    (error, link.runtime, link.injector, link.recording)
}

struct Link {
    pump: Pump<Supply, Drain, ForwardAll>,
    runtime: Runtime,
    injector: Injector,
    recorder: Arc<Recorder>,
    recording: Option<Recording>,
}

impl Link {
    fn new(bytes: Bytes, read_bytes: usize) -> Self {
        let peer = |side| Peer { side: Some(side), name: "node".into(), address: "memory".into() };
        let (injector, injections) = injections();
        let reader = Supply { bytes, at: 0, read_bytes };
        // As in a sidecar without a capture: it keeps the last control frames.
        let recorder = Arc::new(Recorder::new(0, Arc::new(Budget::new(usize::MAX))));
        let pump = Pump {
            source: Source { peer: peer(Side::Producer), reader, leftover: Bytes::new() },
            sink: Sink { peer: peer(Side::Consumer), writer: Drain },
            judge: ForwardAll,
            injections,
            progress: Arc::new(Progress::new()),
            limits: PumpLimits::default(),
            recorder: recorder.of(Side::Producer),
        };
        let runtime = Builder::new_current_thread().enable_time().build();
        let runtime = runtime.expect("a runtime without sockets");
        Self { pump, runtime, injector, recorder, recording: None }
    }

    /// The same while a capture runs whose reader has room for everything.
    fn captured(self) -> Self {
        let recording = Some(self.recorder.record(usize::MAX, false));
        Self { recording, ..self }
    }
}

struct ForwardAll;

impl Judge for ForwardAll {
    fn control(&self) -> &ControlSet {
        &CONTROL
    }

    async fn judge(&mut self, _: Bytes) -> Verdict {
        Verdict::Forward
    }
}

/// Returns `read_bytes` per read until its bytes end.
struct Supply {
    bytes: Bytes,
    at: usize,
    read_bytes: usize,
}

impl AsyncRead for Supply {
    // A separate function, so that valgrind can exclude it.
    #[inline(never)]
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let end = self.bytes.len().min(self.at + self.read_bytes.min(room.remaining()));
        room.put_slice(self.bytes.get(self.at..end).unwrap_or_default());
        self.at = end;
        Poll::Ready(Ok(()))
    }
}

/// Accepts every write.
struct Drain;

impl AsyncWrite for Drain {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
