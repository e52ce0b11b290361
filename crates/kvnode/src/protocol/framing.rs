//! Splits whole frames off the front of a read buffer. Never allocates what a header claims.

use bytes::{Bytes, BytesMut};
use mcbp::{FrameError, Header, Magic};

/// The largest body before authentication: a password is short, and anyone can connect.
const UNAUTHENTICATED_BODY_BYTES_MAX: u32 = 16 * 1024;

/// Bytes that are no frame; where the next frame begins is unknown from here on.
#[derive(Debug)]
pub(crate) struct Malformed {
    pub(crate) error: FrameError,
    /// The request to answer, if its header could be read.
    pub(crate) request: Option<Header>,
}

/// Returns the next whole frame, or `None` if it has not arrived yet.
pub(crate) fn next(buffer: &mut BytesMut, authenticated: bool) -> Result<Option<Bytes>, Malformed> {
    let header = match Header::peek(buffer) {
        Ok(Some(header)) => header,
        Ok(None) => return Ok(None),
        Err(error) => return Err(Malformed { error, request: answerable(buffer) }),
    };
    // A client answers notifications, and nobody waits for that.
    let is_answer = authenticated && header.magic == Magic::ServerResponse;
    if !header.is_request() && !is_answer {
        let error = header.malformed("expected a request, got a response");
        return Err(Malformed { error, request: None });
    }
    if !authenticated && header.body_bytes > UNAUTHENTICATED_BODY_BYTES_MAX {
        let error = header.malformed("more than 16 KiB before authentication");
        return Err(Malformed { error, request: Some(header) });
    }
    let frame_bytes = header.frame_bytes();
    if buffer.len() < frame_bytes {
        return Ok(None);
    }
    Ok(Some(buffer.split_to(frame_bytes).freeze()))
}

/// The request's header at the front, with its impossible lengths set to zero.
fn answerable(buffer: &[u8]) -> Option<Header> {
    let mut bytes = *buffer.first_chunk::<{ mcbp::HEADER_BYTES }>()?;
    let lengths = bytes.get_mut(2..12)?;
    lengths.fill(0);
    Header::decode(&bytes).ok().filter(Header::is_request)
}
