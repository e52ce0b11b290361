//! The socket of a DCP connection: a buffer in, a buffer out, whole frames between.

use std::fmt;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use log::{debug, info, warn};
use mcbp::{Frame, FrameError, Header};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// How much is read at once.
const READ_BYTES: usize = 128 * 1024;

/// No more is read while so much waits to be written: a peer that asks and never reads.
const OUT_BYTES_READ_STOP: usize = 1024 * 1024;

/// A buffer that grew beyond this for a large frame is not kept.
const KEPT_BUFFER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How long the last bytes of a connection may take.
const LAST_WRITE_WAIT: Duration = Duration::from_secs(1);

/// Why a connection ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The peer closed it.
    ByPeer,
    /// The node stops.
    Shutdown,
    /// Another connection of the name was opened.
    Displaced,
    Io(std::io::Error),
    Malformed(FrameError),
    /// This side gives it up; what is in the buffer is still written.
    Closing(String),
}

/// See the module.
pub(super) struct Wire {
    name: String,
    stream: TcpStream,
    input: BytesMut,
    /// What is to be written.
    pub(super) out: BytesMut,
    /// Whether more is read.
    pub(super) reading: bool,
    opened: Instant,
    shutdown: CancellationToken,
    displaced: CancellationToken,
}

impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection={}", self.name)
    }
}

impl Wire {
    pub(super) fn new(
        name: String,
        stream: TcpStream,
        input: BytesMut,
        shutdown: CancellationToken,
        displaced: CancellationToken,
    ) -> Self {
        Self {
            name,
            stream,
            input,
            out: BytesMut::new(),
            reading: true,
            opened: Instant::now(),
            shutdown,
            displaced,
        }
    }

    /// The clock of the machine behind.
    pub(super) fn age(&self) -> Duration {
        self.opened.elapsed()
    }

    /// Gives every whole frame that was read to `each`, and the buffer for its answers.
    pub(super) fn frames(
        &mut self,
        mut each: impl FnMut(&Frame<'_>, &mut BytesMut),
    ) -> Result<(), Ended> {
        let mut taken = 0;
        let outcome = loop {
            let rest = self.input.get(taken..).unwrap_or_default();
            match Header::peek(rest) {
                Ok(Some(header)) if rest.len() >= header.frame_bytes() => {
                    match Frame::parse(rest) {
                        Ok(frame) => each(&frame, &mut self.out),
                        Err(error) => break Err(Ended::Malformed(error)),
                    }
                    taken += header.frame_bytes();
                }
                Ok(_) => break Ok(()),
                Err(error) => break Err(Ended::Malformed(error)),
            }
        };
        let _dealt_with = self.input.split_to(taken);
        outcome
    }

    /// Waits until something was read or written, or the connection ends. Safe to drop at any wait.
    pub(super) async fn moved(&mut self) -> Result<(), Ended> {
        let (mut reader, mut writer) = self.stream.split();
        let may_read = self.reading && self.out.len() < OUT_BYTES_READ_STOP;
        if may_read {
            if self.input.is_empty() && self.input.capacity() > KEPT_BUFFER_BYTES_MAX {
                self.input = BytesMut::new();
            }
            self.input.reserve(READ_BYTES);
        }
        tokio::select! {
            () = self.shutdown.cancelled() => Err(Ended::Shutdown),
            () = self.displaced.cancelled() => Err(Ended::Displaced),
            read = reader.read_buf(&mut self.input), if may_read => match read {
                Ok(0) => Err(Ended::ByPeer),
                Ok(_) => Ok(()),
                Err(error) => Err(Ended::Io(error)),
            },
            written = writer.write_buf(&mut self.out), if !self.out.is_empty() => match written {
                Ok(_) => Ok(()),
                Err(error) => Err(Ended::Io(error)),
            },
        }
    }

    /// Writes what waits, if that is of use, and says why the connection ended.
    pub(super) async fn close(&mut self, ended: Ended) {
        match &ended {
            Ended::ByPeer => info!("dcp connection closed by its peer {self}"),
            Ended::Shutdown => debug!("dcp connection closed, the node stops {self}"),
            Ended::Displaced => info!("dcp connection displaced by another of its name {self}"),
            Ended::Io(error) => info!("dcp connection lost {self} error={error}"),
            Ended::Malformed(error) => warn!("malformed frame, closing {self} error={error}"),
            Ended::Closing(reason) => warn!("closing a dcp connection {self} reason={reason}"),
        }
        if matches!(ended, Ended::Closing(_)) {
            let last = self.stream.write_all_buf(&mut self.out);
            let _lost = tokio::time::timeout(LAST_WRITE_WAIT, last).await;
        }
        let _gone = self.stream.shutdown().await;
    }
}
