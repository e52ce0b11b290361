//! Requests larger than a connection's free memory: read into memory of their own, which is taken
//! from the account first and gone with the request.

use bytes::{Bytes, BytesMut};
use mcbp::{Frame, Header, Status};
use tokio::io::AsyncReadExt as _;

use super::end::End;
use super::progress;
use crate::account::Lease;
use crate::client::Client;
use crate::protocol::RequestError;
use crate::tls::Socket;

/// A large request that has arrived, with its memory.
pub(super) struct Large {
    pub(super) frame: Bytes,
    pub(super) lease: Lease,
}

/// Returns the header of the request at the front of `buffer` if the request is large. It was
/// checked before. Strangers have small requests, and a deadline for all they send.
pub(super) fn begun(client: &Client, buffer: &[u8]) -> Option<Header> {
    let header = Header::peek(buffer).ok().flatten()?;
    (client.login.is_some() && header.frame_bytes() > client.free_bytes).then_some(header)
}

/// Reads the large request whose beginning is all of `buffer`. Without memory for it the request is
/// refused and what arrives of it is dropped: then there is an answer to write, and no request.
pub(super) async fn read(
    client: &mut Client,
    stream: &mut Socket,
    buffer: &mut BytesMut,
    header: &Header,
) -> Result<Option<Large>, End> {
    let frame_bytes = header.frame_bytes();
    let Some(lease) = client.node.account.take(frame_bytes).await else {
        refuse(client, header);
        drop_request(client, stream, buffer, frame_bytes).await?;
        return Ok(None);
    };
    let mut frame = BytesMut::with_capacity(frame_bytes);
    frame.extend_from_slice(buffer);
    *buffer = BytesMut::new();
    while frame.len() < frame_bytes {
        let left = frame_bytes - frame.len();
        let mut rest = (&mut *stream).take(left as u64);
        let count = progress::next(rest.read_buf(&mut frame), &client.seat, Some(&lease)).await?;
        note(client, count)?;
    }
    Ok(Some(Large { frame: frame.freeze(), lease }))
}

/// Answers a request for which there is no memory.
pub(super) fn refuse(client: &mut Client, header: &Header) {
    let (peer, opcode, held) = (client.peer, header.opcode, client.node.account.held_bytes());
    log::warn!(
        "request refused for want of memory, others hold it peer={peer} opcode={opcode} \
         held_bytes={held}"
    );
    client.node.counters.errors.add(1);
    let error = "other requests and answers hold the memory of this node's connections";
    client.fail(header, RequestError::new(Status::ETMPFAIL, error));
}

/// The same for a request that has arrived.
pub(super) fn refuse_frame(client: &mut Client, frame: &[u8]) {
    if let Ok(frame) = Frame::parse(frame) {
        refuse(client, &frame.header);
    }
}

async fn drop_request(
    client: &Client,
    stream: &mut Socket,
    buffer: &mut BytesMut,
    frame_bytes: usize,
) -> Result<(), End> {
    let mut left = frame_bytes.saturating_sub(buffer.len());
    buffer.clear();
    buffer.reserve(client.free_bytes);
    while left > 0 {
        let mut rest = (&mut *stream).take(left as u64);
        let count = progress::next(rest.read_buf(buffer), &client.seat, None).await?;
        note(client, count)?;
        left -= count;
        buffer.clear();
    }
    Ok(())
}

fn note(client: &Client, count: usize) -> Result<(), End> {
    client.node.counters.bytes_read.add(count as u64);
    if count == 0 { Err(End::Normal) } else { Ok(()) }
}
