//! The writes of a pump to its sink: parts of the buffer, and bursts of own frames.
//!
//! A peer that stops reading is a fault: each write has to move something in time.

use std::future::{pending, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use invariant::broken;
use tokio::io::AsyncWrite;
use tokio::time::timeout;

use super::PumpRun;
use crate::{Fault, Injections, LinkError, Progress, Sink};

/// How many own frames are written with one call before data frames have their turn. 64 frames are
/// some 2 KiB, far less than a run: neither starves the other.
pub(super) const INJECT_BURST_FRAMES: usize = 64;

impl<R, W, J> PumpRun<R, W, J>
where
    W: AsyncWrite + Unpin,
{
    /// Writes the first `count` bytes of the buffer.
    pub(super) async fn pass(&mut self, count: usize, frames: usize) -> Result<(), LinkError> {
        if count == 0 {
            return Ok(());
        }
        let Some(bytes) = self.buffer.front(count) else { return Err(self.miscounted(count)) };
        let sink = &mut self.pump.sink;
        // As `write_whole` does; a future of its own would take a tenth more instructions.
        let mut rest = bytes;
        let tried = poll_fn(|cx| Poll::Ready(poll_whole(&mut sink.writer, &mut rest, cx))).await;
        let written = match tried {
            Poll::Ready(done) => done,
            Poll::Pending => {
                let stall = self.pump.limits.write_stall;
                write_slowly(&mut sink.writer, rest, stall, &self.pump.progress).await
            }
        };
        written.map_err(|fault| sink_fault(sink, fault))?;
        self.buffer.consume(count);
        self.pump.progress.passed(count, frames);
        Ok(())
    }

    /// Writes the burst of own frames with one call.
    pub(super) async fn write_own(&mut self) -> Result<(), LinkError> {
        let bytes = self.own.concat();
        self.pump.recorder.own(&self.own);
        let sink = &mut self.pump.sink;
        write_whole(&mut sink.writer, &bytes, self.pump.limits.write_stall, &self.pump.progress)
            .await
            .map_err(|fault| sink_fault(sink, fault))?;
        self.pump.progress.injected_some(self.own.len());
        self.own.clear();
        Ok(())
    }

    /// Takes the queued own frames, up to a burst. Returns whether there are any.
    pub(super) fn collect_own(&mut self) -> bool {
        while self.own.len() < INJECT_BURST_FRAMES
            && let Ok(frame) = self.pump.injections.0.try_recv()
        {
            self.own.push(frame);
        }
        !self.own.is_empty()
    }
}

/// The error of a write to `sink`.
#[cold]
#[inline(never)]
fn sink_fault<W>(sink: &Sink<W>, fault: Fault) -> LinkError {
    fault.at(sink.peer.clone())
}

/// Takes the queued own frames, at least one. Waits for ever once the injectors are dropped.
pub(super) async fn burst(injections: &mut Injections, own: &mut Vec<Bytes>) {
    if injections.0.recv_many(own, INJECT_BURST_FRAMES).await == 0 {
        pending().await
    }
}

/// Writes all of `bytes`. Each write has to accept at least one byte within `stall`. A socket takes
/// nearly every write at once: then no clock is read and no timer set.
async fn write_whole(
    writer: &mut (impl AsyncWrite + Unpin),
    mut bytes: &[u8],
    stall: Duration,
    progress: &Progress,
) -> Result<(), Fault> {
    match poll_fn(|cx| Poll::Ready(poll_whole(writer, &mut bytes, cx))).await {
        Poll::Ready(done) => done,
        Poll::Pending => write_slowly(writer, bytes, stall, progress).await,
    }
}

/// The same for a socket that does not take everything; `progress` learns of the wait.
async fn write_slowly(
    writer: &mut (impl AsyncWrite + Unpin),
    mut bytes: &[u8],
    stall: Duration,
    progress: &Progress,
) -> Result<(), Fault> {
    progress.blocked();
    let written = loop {
        let left = bytes.len();
        // Ready once at least one byte was taken, so that the deadline is for progress.
        let moved = poll_fn(|cx| match poll_whole(writer, &mut bytes, cx) {
            Poll::Pending if bytes.len() == left => Poll::Pending,
            moved => Poll::Ready(moved),
        });
        match timeout(stall, moved).await {
            Ok(Poll::Ready(done)) => break done,
            Ok(Poll::Pending) => {}
            Err(_) => break Err(Fault::WriteStalled { after: stall }),
        }
    };
    progress.unblocked();
    written
}

/// Writes as much of `bytes` as the socket takes, and flushes it after the last.
fn poll_whole(
    writer: &mut (impl AsyncWrite + Unpin),
    bytes: &mut &[u8],
    cx: &mut Context<'_>,
) -> Poll<Result<(), Fault>> {
    let failed = |source| Fault::WriteFailed { source };
    while !bytes.is_empty() {
        let count = ready!(Pin::new(&mut *writer).poll_write(cx, bytes)).map_err(failed)?;
        if count == 0 {
            return Poll::Ready(Err(failed(io::ErrorKind::WriteZero.into())));
        }
        let Some(rest) = bytes.get(count..) else {
            return Poll::Ready(Err(overwritten(count, bytes.len())));
        };
        *bytes = rest;
    }
    Pin::new(writer).poll_flush(cx).map_err(failed)
}

#[cold]
#[inline(never)]
fn overwritten(count: usize, bytes: usize) -> Fault {
    broken!("a socket took {count} of {bytes} bytes").into()
}
