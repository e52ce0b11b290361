//! The writes of a pump to its sink: parts of the buffer, and bursts of own frames.
//!
//! A peer that stops reading is a fault: each write has to move something in time.

use std::future::{pending, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use invariant::broken;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::error::Elapsed;
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
        write_whole(&mut sink.writer, bytes, self.pump.limits.write_stall, &self.pump.progress)
            .await
            .map_err(|fault| sink_fault(sink, fault))?;
        self.buffer.consume(count);
        self.pump.progress.passed(count, frames);
        Ok(())
    }

    /// Writes the burst of own frames with one call.
    pub(super) async fn write_own(&mut self) -> Result<(), LinkError> {
        let bytes = self.own.concat();
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

/// Writes all of `bytes`. Each write has to accept at least one byte within `stall`. `progress`
/// learns of waits.
async fn write_whole(
    writer: &mut (impl AsyncWrite + Unpin),
    mut bytes: &[u8],
    stall: Duration,
    progress: &Progress,
) -> Result<(), Fault> {
    let mut has_waited = false;
    let mut wait = || {
        has_waited = true;
        progress.blocked();
    };
    let failed = |source| Fault::WriteFailed { source };
    let stalled = |_| Fault::WriteStalled { after: stall };
    while !bytes.is_empty() {
        let written = in_time(stall, writer.write(bytes), &mut wait).await.map_err(stalled)?;
        let count = written.map_err(failed)?;
        if count == 0 {
            return Err(failed(io::ErrorKind::WriteZero.into()));
        }
        let Some(rest) = bytes.get(count..) else { return Err(overwritten(count, bytes.len())) };
        bytes = rest;
    }
    let flushed = in_time(stall, writer.flush(), &mut wait).await.map_err(stalled)?;
    if has_waited {
        progress.unblocked();
    }
    flushed.map_err(failed)
}

#[cold]
#[inline(never)]
fn overwritten(count: usize, bytes: usize) -> Fault {
    broken!("a socket took {count} of {bytes} bytes").into()
}

/// A `timeout` that reads no clock if the future is ready at once, as nearly every write is. Calls
/// `wait` otherwise.
async fn in_time<T>(
    limit: Duration,
    future: impl Future<Output = T>,
    wait: &mut impl FnMut(),
) -> Result<T, Elapsed> {
    let mut future = pin!(future);
    match poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await {
        Poll::Ready(done) => Ok(done),
        Poll::Pending => {
            wait();
            timeout(limit, future).await
        }
    }
}
