//! One connection on which a script is played.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mcbp::{Header, VbId, VbUuid};
use relay::{BoxRead, BoxWrite};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout, timeout_at};

use super::player::{Next, Player};

/// How much of what comes is kept while something is being sent, in bytes: 64 MiB.
const KEPT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long to listen after the last line of a script for what nobody recorded.
const QUIET: Duration = Duration::from_millis(300);
/// Where the uuid is within a STREAM_REQ: 24 bytes of header, flags, reserved, start and end.
const UUID_AT: std::ops::Range<usize> = 48..56;

/// The two halves of a connection, and what was read of it.
pub(crate) struct Wire {
    reader: BoxRead,
    writer: BoxWrite,
    buffer: BytesMut,
}

impl Wire {
    pub(crate) fn new(reader: BoxRead, writer: BoxWrite, leftover: &[u8]) -> Self {
        Self { reader, writer, buffer: BytesMut::from(leftover) }
    }

    /// The next frame; `None` at the end. Dropping the future loses nothing.
    pub(crate) async fn frame(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let header = Header::peek(&self.buffer)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            if let Some(header) = header
                && self.buffer.len() >= header.frame_bytes()
            {
                return Ok(Some(self.buffer.split_to(header.frame_bytes()).freeze()));
            }
            match self.reader.read_buf(&mut self.buffer).await {
                Ok(0) => return Ok(None),
                // Closed with unread bytes.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
                read => _ = read?,
            }
        }
    }

    /// Sends bytes, and reads meanwhile, because the other side may do the same.
    pub(crate) async fn send(&mut self, bytes: &[u8], wait: Duration) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let Self { reader, writer, buffer } = self;
            let has_room = buffer.len() < KEPT_BYTES_MAX;
            let written = async {
                tokio::select! {
                    written = writer.write(rest) => written.map(Some),
                    read = reader.read_buf(buffer), if has_room => match read {
                        Ok(0) => Err(io::ErrorKind::BrokenPipe.into()),
                        read => read.map(|_| None),
                    },
                }
            };
            let late = || {
                let text = format!("the other side reads nothing for {wait:?}");
                io::Error::new(io::ErrorKind::TimedOut, text)
            };
            if let Some(written) = timeout(wait, written).await.map_err(|_| late())?? {
                rest = rest.get(written..).unwrap_or_default();
            }
        }
        self.writer.flush().await
    }

    async fn close(&mut self) {
        _ = self.writer.shutdown().await;
    }
}

/// Plays a script to its end. Whatever goes wrong is a difference.
pub(crate) async fn play(
    player: &mut Player,
    wire: &mut Wire,
    wait: Duration,
    uuids: &BTreeMap<VbId, VbUuid>,
) {
    let mut last_progress = Instant::now();
    loop {
        let sent = match player.next() {
            Next::Done => return hear_out(player, wire).await,
            Next::Close => return wire.close().await,
            Next::Send(bytes) => Some(bytes),
            Next::Request(vb, bytes) => Some(with_uuid(&bytes, uuids.get(&vb))),
            Next::Wait | Next::WaitForEnd => None,
        };
        if let Some(bytes) = sent {
            match wire.send(&bytes, wait).await {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    player.differences.push(error.to_string());
                    return;
                }
                Err(_) => return rest_and_end(player, wire).await,
            }
            last_progress = Instant::now();
            continue;
        }
        match timeout_at(last_progress + wait, wire.frame()).await {
            Err(_) => {
                player.give_up(wait);
                last_progress = Instant::now();
            }
            Ok(Ok(Some(frame))) => {
                let (answer, is_progress) = player.received(&frame);
                if let Some(answer) = answer
                    && wire.send(&answer, wait).await.is_err()
                {
                    return rest_and_end(player, wire).await;
                }
                if is_progress {
                    last_progress = Instant::now();
                }
            }
            Ok(Ok(None)) => return player.closed(),
            Ok(Err(error)) => {
                player.differences.push(format!("the connection broke: {error}"));
                return player.closed();
            }
        }
    }
}

/// The other side closed while something was sent: what it said before counts.
async fn rest_and_end(player: &mut Player, wire: &mut Wire) {
    while let Ok(Ok(Some(frame))) = timeout(QUIET, wire.frame()).await {
        _ = player.received(&frame);
    }
    player.closed();
}

/// What comes after the end of the script was not recorded, but for what is not compared.
async fn hear_out(player: &mut Player, wire: &mut Wire) {
    let until = Instant::now() + QUIET;
    while let Ok(Ok(Some(frame))) = timeout_at(until, wire.frame()).await {
        if let (Some(answer), _) = player.received(&frame) {
            _ = wire.send(&answer, QUIET).await;
        }
    }
}

/// A STREAM_REQ that continues a history names the node's own one.
fn with_uuid(request: &Bytes, uuid: Option<&VbUuid>) -> Bytes {
    let mut bytes = BytesMut::from(&request[..]);
    if let (Some(VbUuid(uuid)), Some(place)) = (uuid, bytes.get_mut(UUID_AT))
        && place.iter().any(|byte| *byte != 0)
    {
        place.copy_from_slice(&uuid.to_be_bytes());
    }
    bytes.freeze()
}
