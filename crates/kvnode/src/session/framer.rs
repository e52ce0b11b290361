//! Cuts whole frames off the front of a read buffer. Never allocates what a header claims.

use bytes::{Bytes, BytesMut};
use mcbp::{FrameError, Header};

/// The largest body before authentication: a password is short, and anyone can connect.
const STRANGER_BODY_BYTES_MAX: u32 = 16 * 1024;

/// A connection that has lost its framing.
pub(crate) struct Broken {
    pub(crate) error: FrameError,
    /// The request to answer, where that much can be read.
    pub(crate) request: Option<Header>,
}

/// The next whole frame, or `None` where it has not arrived yet.
pub(crate) fn next(buffer: &mut BytesMut, authenticated: bool) -> Result<Option<Bytes>, Broken> {
    let header = match Header::peek(buffer) {
        Ok(Some(header)) => header,
        Ok(None) => return Ok(None),
        Err(error) => return Err(Broken { error, request: answerable(buffer) }),
    };
    if !header.is_request() {
        let what = "expected a request, got a response";
        let error = header.malformed(what);
        return Err(Broken { error, request: None });
    }
    if !authenticated && header.body_bytes > STRANGER_BODY_BYTES_MAX {
        let what = "more than 16 KiB before authentication";
        let error = header.malformed(what);
        return Err(Broken { error, request: Some(header) });
    }
    let frame_bytes = header.frame_bytes();
    if buffer.len() < frame_bytes {
        return Ok(None);
    }
    Ok(Some(buffer.split_to(frame_bytes).freeze()))
}

/// The header at the front with its impossible lengths set to zero, where it is a request's.
fn answerable(buffer: &[u8]) -> Option<Header> {
    let mut bytes = *buffer.first_chunk::<{ mcbp::HEADER_BYTES }>()?;
    let lengths = bytes.get_mut(2..12)?;
    lengths.fill(0);
    Header::decode(&bytes).ok().filter(Header::is_request)
}
