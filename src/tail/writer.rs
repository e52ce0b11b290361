//! The thread that makes lines and writes them.

use std::io::{self, ErrorKind, Write as _};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use bytes::Bytes;
use follow::{Change, LineOptions, Notice, Track};
use mcbp::{Frame, Seqno, VbId, flow};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::failure::Failure;
use super::output::{self, Output};
use super::shared::Shared;
use super::taken::{Mark, Step, TRACK_WEIGHT};

/// How often it is checked whether the reader of a pipe is still there while there is no change.
const CHECK: Duration = Duration::from_secs(1);

/// What the thread that reads hands over, in order.
pub(super) enum Item {
    /// The frame of a change, and the snapshot that contains it.
    Change(Bytes, (Seqno, Seqno)),
    Marker(VbId, Seqno, Seqno),
    Advance(VbId, Seqno),
    Tracked(VbId, Box<Track>),
    Say(Notice),
}

impl Item {
    /// How much it counts for [`Shared::is_full`]: as the step that comes of it.
    pub(super) const fn weight(&self) -> usize {
        match self {
            Self::Tracked(..) => TRACK_WEIGHT,
            _ => 1,
        }
    }
}

/// See the module.
pub(super) struct Writer {
    pub(super) output: Output,
    pub(super) shared: Arc<Shared>,
    pub(super) options: LineOptions,
    /// What keys begin with.
    pub(super) key: Vec<u8>,
    /// Whether a line is taken once it is written; otherwise somebody acknowledges it.
    pub(super) written_is_taken: bool,
    /// Of lines that are not all written yet.
    pub(super) marks: Vec<Mark>,
    pub(super) lines: u64,
    /// For flow control, of changes that have no line: nothing of them waits for anybody.
    pub(super) passed: usize,
}

/// Why no more lines are written.
enum Over {
    Output(io::Error),
    Node(Failure),
}

impl From<io::Error> for Over {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl Writer {
    /// Writes until there are no more items, or lines cannot be written.
    pub(super) fn run(mut self, items: &Receiver<Vec<Item>>) {
        let done = self.write_all(items).and_then(|()| self.flush().map_err(Over::from));
        // What was written before an error was taken as well.
        self.expect();
        self.release();
        match done {
            Ok(()) => {}
            Err(Over::Output(_)) if self.output.has_stopped() => {}
            // As `head` does: nobody wants more lines.
            Err(Over::Output(error)) if error.kind() == ErrorKind::BrokenPipe => {}
            Err(Over::Output(error)) => {
                let cut =
                    if self.output.is_within_line() { ", the last one is cut off" } else { "" };
                let text = format!("lines cannot be written any more{cut}: {error}");
                self.shared.fail(Failure::Failed(text));
            }
            Err(Over::Node(failure)) => self.shared.fail(failure),
        }
        self.shared.over.cancel();
    }

    fn write_all(&mut self, items: &Receiver<Vec<Item>>) -> Result<(), Over> {
        loop {
            if self.shared.is_stopped() {
                return Ok(());
            }
            let batch = match items.try_recv() {
                Ok(batch) => batch,
                Err(TryRecvError::Disconnected) => return Ok(()),
                Err(TryRecvError::Empty) => {
                    self.flush()?;
                    match items.recv_timeout(CHECK) {
                        Ok(batch) => batch,
                        Err(RecvTimeoutError::Timeout) => {
                            self.check_reader()?;
                            continue;
                        }
                        Err(RecvTimeoutError::Disconnected) => return Ok(()),
                    }
                }
            };
            for item in batch {
                if self.shared.is_stopped() {
                    return Ok(());
                }
                self.item(item)?;
            }
        }
    }

    fn item(&mut self, item: Item) -> Result<(), Over> {
        let (step, charge) = match item {
            Item::Change(frame, snapshot) => self.change(&frame, snapshot)?,
            Item::Marker(vb, start, end) => (Step::Marker(vb, start, end), 0),
            Item::Advance(vb, seqno) => (Step::Advance(vb, seqno), 0),
            Item::Tracked(vb, track) => (Step::Tracked(vb, track), 0),
            Item::Say(notice) => {
                notice.write(&mut self.output)?;
                self.lines += 1;
                (Step::Nothing, 0)
            }
        };
        let (lines, bytes) = (self.lines, self.output.given());
        self.marks.push(Mark { lines, bytes, step, charge });
        if self.output.is_full() {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes a line, unless it is not wanted.
    fn change(&mut self, frame: &Bytes, snapshot: (Seqno, Seqno)) -> Result<(Step, usize), Over> {
        let malformed = |error| {
            let text = format!("the node sent a change that is none: {error}: the lines end here");
            Over::Node(Failure::Failed(text))
        };
        let frame = Frame::parse(frame).map_err(malformed)?;
        let change = Change::decode(&frame).map_err(malformed)?;
        let change = change.ok_or_else(|| malformed(frame.malformed("it is no change")))?;
        let mut charge = flow::charge(&frame.header);
        if change.key.starts_with(&self.key) {
            if output::is_large(frame.value.len() + frame.key.len()) {
                // The lines before it go out with its first piece.
                self.expect();
                change.write(self.options, snapshot, &mut self.output)?;
            } else {
                change.append(self.options, snapshot, self.output.buffer());
            }
            self.lines += 1;
        } else {
            self.passed += std::mem::take(&mut charge);
        }
        Ok((Step::Advance(change.vb, change.seqno), charge))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.expect();
        let flushed = self.output.flush();
        self.release();
        flushed
    }

    /// Before lines are written, so that nobody acknowledges what is unknown.
    fn expect(&mut self) {
        self.shared.expect(&mut self.marks);
    }

    fn release(&mut self) {
        self.shared.give_back(std::mem::take(&mut self.passed));
        if self.written_is_taken {
            let taken = self.output.taken();
            self.shared.release(|mark| mark.bytes <= taken);
        } else {
            // What has no line needs no acknowledgement, once those before it have theirs.
            let lines = self.shared.taken().lines;
            self.shared.release(|mark| mark.lines <= lines);
        }
    }

    /// Fails where the reader of a pipe has closed it, which a write would say too.
    fn check_reader(&self) -> io::Result<()> {
        let mut fds = [PollFd::new(self.output.file(), PollFlags::empty())];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut fds, Some(&at_once))?;
        let closed = fds.iter().any(|fd| fd.revents().contains(PollFlags::ERR));
        if closed { Err(ErrorKind::BrokenPipe.into()) } else { Ok(()) }
    }
}
