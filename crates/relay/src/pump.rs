//! The byte path of one direction: reads one peer, writes the other, and is the only writer there.
//!
//! Data frames go from the read buffer to the socket in runs: no copy, no allocation, no mailbox.
//! Control frames wait for a verdict, so that the judge knows of them before the other peer does.
//! Frames of the link's owner are added between whole frames. Nothing is read until everything that
//! was read is written: that is the back-pressure. What is to be written is decided here; the
//! writes themselves are in `write`.

mod write;

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use invariant::{Broken, broken};
use mcbp::scan::{Next, scan};
use mcbp::{HEADER_BYTES, Header};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use self::write::{INJECT_BURST_FRAMES, burst};
use crate::buffer::ReadBuffer;
use crate::{
    ConnectionStep, Fault, Injections, Judge, LinkError, PeerRecorder, Progress, PumpLimits, Sink,
    Source, Verdict,
};

/// One direction of a link, ready to [`Pump::run`].
#[derive(Debug)]
pub struct Pump<R, W, J> {
    /// The peer to read from.
    pub source: Source<R>,
    /// The peer to write to.
    pub sink: Sink<W>,
    /// Decides on control frames of the source.
    pub judge: J,
    /// Own frames for the sink.
    pub injections: Injections,
    /// The counters of this direction.
    pub progress: Arc<Progress>,
    /// Sizes and deadlines.
    pub limits: PumpLimits,
    /// Where frames of the source, and own ones, are recorded.
    pub recorder: PeerRecorder,
}

impl<R, W, J> Pump<R, W, J>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
    J: Judge,
{
    /// Runs until one of the two peers is lost; returns which one and why. A pump has no normal
    /// end.
    ///
    /// Everything that was read before the end of the source is delivered first. Dropping the
    /// future closes both halves.
    pub async fn run(self) -> LinkError {
        let limits = self.limits;
        let mut running = PumpRun {
            buffer: ReadBuffer::new(
                // A control frame stays in the buffer until it is complete.
                limits.buffer_bytes.max(limits.control_bytes_max).max(HEADER_BYTES),
                limits.buffer_bytes_max,
                &self.source.leftover,
            ),
            cut: Cut::default(),
            own: Vec::with_capacity(INJECT_BURST_FRAMES),
            pump: self,
        };
        loop {
            if let Err(error) = running.turn().await {
                return error;
            }
        }
    }
}

/// The progress of a frame that is written in pieces; all zero between frames.
#[derive(Clone, Copy, Default)]
struct Cut {
    written_bytes: usize,
    left_bytes: usize,
}

impl Cut {
    /// Returns the progress once `rest_bytes` of the frame and everything up to `next` are written.
    const fn after(self, rest_bytes: usize, next: &Next) -> Self {
        match *next {
            Next::PartialData { frame_bytes, have_bytes } => {
                Self { written_bytes: have_bytes, left_bytes: frame_bytes - have_bytes }
            }
            _ if rest_bytes == self.left_bytes => Self { written_bytes: 0, left_bytes: 0 },
            _ => Self {
                written_bytes: self.written_bytes + rest_bytes,
                left_bytes: self.left_bytes - rest_bytes,
            },
        }
    }
}

struct PumpRun<R, W, J> {
    pump: Pump<R, W, J>,
    buffer: ReadBuffer,
    /// The frame whose front was written, and whose rest was not received yet.
    cut: Cut,
    /// Own frames of the current burst.
    own: Vec<Bytes>,
}

impl<R, W, J> PumpRun<R, W, J>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
    J: Judge,
{
    /// Delivers what is in the buffer, then reads the source or takes a burst of own frames,
    /// whichever is there. If both are there, the choice is random, so that neither starves the
    /// other.
    async fn turn(&mut self) -> Result<(), LinkError> {
        self.deliver().await?;
        let between_frames = self.cut.left_bytes == 0;
        // Dropping either future loses nothing; writes are never part of this select.
        let read = tokio::select! {
            read = self.buffer.read_from(&mut self.pump.source.reader) => read,
            () = burst(&mut self.pump.injections, &mut self.own), if between_frames => {
                return self.write_own().await;
            }
        };
        match read {
            Ok(0) => {
                self.pump.recorder.closed();
                let cut_off_bytes = self.cut.written_bytes + self.buffer.filled().len();
                Err(self.source_fault(Fault::Closed { step: ConnectionStep::Relay, cut_off_bytes }))
            }
            Ok(_) => {
                self.pump.progress.heard();
                Ok(())
            }
            Err(source) => Err(self.read_failed(source)),
        }
    }

    /// Writes everything in the buffer that can be written.
    async fn deliver(&mut self) -> Result<(), LinkError> {
        loop {
            match self.deliver_data().await? {
                Next::Empty | Next::PartialHeader | Next::PartialData { .. } => return Ok(()),
                Next::Control { header, whole } => {
                    self.check_control(&header)?;
                    if !whole {
                        return Ok(());
                    }
                    self.decide(&header).await?;
                }
                Next::Bad(source) => {
                    return Err(
                        self.source_fault(Fault::Garbage { step: ConnectionStep::Relay, source })
                    );
                }
            }
        }
    }

    /// Writes the data at the front of the buffer with one call: the rest of a frame whose front
    /// was written, whole frames, the front of the next frame. Queued own frames are written
    /// between the last two. Returns what follows the data.
    async fn deliver_data(&mut self) -> Result<Next, LinkError> {
        let filled = self.buffer.filled();
        let (rest_bytes, after) = match filled.split_at_checked(self.cut.left_bytes) {
            Some((rest, after)) => (rest.len(), after),
            // All bytes belong to a frame that continues after them.
            None => (filled.len(), &[][..]),
        };
        let finished = rest_bytes > 0 && rest_bytes == self.cut.left_bytes;
        let found = scan(after, self.pump.judge.control());
        let whole_bytes = rest_bytes + found.run_bytes;
        let frames = found.run_frames + usize::from(finished);
        let (front_bytes, cut_bytes) = match found.next {
            Next::PartialData { have_bytes, frame_bytes } => (have_bytes, frame_bytes),
            _ => (0, 0),
        };
        let begun = found.run_frames + usize::from(cut_bytes > 0);
        if begun > 0 {
            self.pump.progress.sample(after, found.run_bytes + cut_bytes, begun);
        }
        if self.pump.recorder.wants_runs() {
            self.record(self.cut.left_bytes, whole_bytes + front_bytes, frames);
        }
        self.cut = self.cut.after(rest_bytes, &found.next);
        if front_bytes > 0 && self.collect_own() {
            self.pass(whole_bytes, frames).await?;
            self.write_own().await?;
            self.pass(front_bytes, 0).await?;
        } else {
            self.pass(whole_bytes + front_bytes, frames).await?;
        }
        Ok(found.next)
    }

    #[cold]
    #[inline(never)]
    fn record(&self, rest_bytes: usize, count: usize, frames: usize) {
        if let Some(bytes) = self.buffer.front(count) {
            self.pump.recorder.run(bytes, rest_bytes, frames);
        }
    }

    fn check_control(&self, header: &Header) -> Result<(), LinkError> {
        let (frame_bytes, max_bytes) = (header.frame_bytes(), self.pump.limits.control_bytes_max);
        if frame_bytes <= max_bytes {
            return Ok(());
        }
        let opcode = header.opcode;
        Err(self.source_fault(Fault::TooLarge { opcode, frame_bytes, max_bytes }))
    }

    /// Asks the judge about the complete control frame at the front, and follows the verdict.
    async fn decide(&mut self, header: &Header) -> Result<(), LinkError> {
        let frame_bytes = header.frame_bytes();
        let Some(frame) = self.buffer.front(frame_bytes) else {
            return Err(self.miscounted(frame_bytes));
        };
        let Pump { judge, recorder, limits, .. } = &mut self.pump;
        let recorded = recorder.control(header, frame);
        let after = limits.verdict;
        let verdict = {
            let mut judged = pin!(judge.judge(Bytes::copy_from_slice(frame)));
            // Many are decided at once: then no clock is read and no timer set.
            match poll_fn(|cx| Poll::Ready(judged.as_mut().poll(cx))).await {
                Poll::Ready(verdict) => Ok(verdict),
                Poll::Pending => timeout(after, judged).await,
            }
        };
        match verdict {
            Ok(Verdict::Forward) => recorded.decided(false),
            Ok(Verdict::Withhold) => recorded.decided(true),
            Ok(Verdict::Stop) | Err(_) => drop(recorded),
        }
        match verdict {
            Ok(Verdict::Forward) => self.pass(frame_bytes, 1).await,
            Ok(Verdict::Withhold) => {
                self.buffer.consume(frame_bytes);
                self.pump.progress.withheld_one();
                Ok(())
            }
            Ok(Verdict::Stop) => Err(self.source_fault(Fault::Stopped)),
            Err(_) => {
                let opcode = header.opcode;
                Err(self.source_fault(Fault::NoVerdict { opcode, after }))
            }
        }
    }
}

/// Errors of the source.
impl<R, W, J> PumpRun<R, W, J> {
    #[cold]
    #[inline(never)]
    fn read_failed(&self, source: io::Error) -> LinkError {
        self.source_fault(match source.downcast::<Broken>() {
            Ok(broken) => broken.into(),
            Err(source) => Fault::Broken { step: ConnectionStep::Relay, source },
        })
    }

    #[cold]
    #[inline(never)]
    fn miscounted(&self, count: usize) -> LinkError {
        let read = self.buffer.filled().len();
        self.source_fault(broken!("{count} bytes counted in a buffer of {read}").into())
    }

    #[cold]
    #[inline(never)]
    fn source_fault(&self, fault: Fault) -> LinkError {
        fault.at(self.pump.source.peer.clone())
    }
}
