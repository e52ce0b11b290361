//! DCP_CONTROL and BUFFER_ACK.

use bytes::BytesMut;

use crate::{Frame, FrameBuilder, FrameError, Opaque, Opcode, VbId};

/// Keys of DCP_CONTROL.
pub mod control_key {
    /// Flow control: how many unacknowledged bytes a producer may send; 0 turns it off.
    pub const CONNECTION_BUFFER_SIZE: &str = "connection_buffer_size";
    /// `true` makes the producer send NOOP.
    pub const ENABLE_NOOP: &str = "enable_noop";
    /// Seconds between NOOPs.
    pub const SET_NOOP_INTERVAL: &str = "set_noop_interval";
    /// `high`, `medium` or `low`.
    pub const SET_PRIORITY: &str = "set_priority";
    /// `true`: the producer may drop cursors.
    pub const SUPPORTS_CURSOR_DROPPING: &str = "supports_cursor_dropping_vulcan";
    /// `true`: the consumer understands frequency counters.
    pub const SUPPORTS_HIFI_MFU: &str = "supports_hifi_MFU";
    /// `true`: send a STREAM_END after the answer to CLOSE_STREAM.
    pub const SEND_STREAM_END_ON_CLIENT_CLOSE: &str = "send_stream_end_on_client_close_stream";
    /// `true`: send EXPIRATION instead of DELETION for expired documents.
    pub const ENABLE_EXPIRY_OPCODE: &str = "enable_expiry_opcode";
    /// `true`: send PREPARE, COMMIT and ABORT.
    pub const ENABLE_SYNC_WRITES: &str = "enable_sync_writes";
    /// The name of the consumer's node in topologies.
    pub const CONSUMER_NAME: &str = "consumer_name";
    /// `true`: send the user's extended attributes of deleted documents.
    pub const INCLUDE_DELETED_USER_XATTRS: &str = "include_deleted_user_xattrs";
    /// `true`: both sides may use the statuses 0x0a and 0x0b.
    pub const V7_STATUS_CODES: &str = "v7_dcp_status_codes";
    /// `true`: system events in FlatBuffers.
    pub const FLATBUFFERS_SYSTEM_EVENTS: &str = "flatbuffers_system_events";
    /// `true`: streams may carry history.
    pub const CHANGE_STREAMS: &str = "change_streams";
    /// `true`: the consumer gives each stream an id, and a vBucket may have several streams.
    pub const ENABLE_STREAM_ID: &str = "enable_stream_id";
    /// The newest version of snapshot marker that the consumer reads, such as `2.2`.
    pub const MAX_MARKER_VERSION: &str = "max_marker_version";
}

/// The body of DCP_CONTROL: one setting of the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Control<'a> {
    /// See [`control_key`].
    pub key: &'a [u8],
    /// Its value as text.
    pub value: &'a [u8],
}

impl<'a> Control<'a> {
    /// Reads the body.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] if key or value is empty, or there are extras.
    pub fn decode(frame: &Frame<'a>) -> Result<Self, FrameError> {
        if frame.key.is_empty() || frame.value.is_empty() || !frame.extras.is_empty() {
            return Err(frame.malformed("a control has a key and a value and no extras"));
        }
        Ok(Self { key: frame.key, value: frame.value })
    }

    /// Appends the frame to `out`.
    pub fn write(&self, opaque: Opaque, out: &mut BytesMut) {
        let frame = FrameBuilder::request(Opcode::DCP_CONTROL).opaque(opaque);
        frame.key(self.key).value(self.value).write(out);
    }
}

/// The body of BUFFER_ACK: the consumer has processed this many bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BufferAck {
    /// Freed bytes, counted as [`crate::flow::charge`] counts them.
    pub bytes: u32,
}

impl BufferAck {
    /// Reads the extras.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] unless they are 4 bytes.
    pub fn decode(frame: &Frame<'_>) -> Result<Self, FrameError> {
        let extras = frame.extras_exact::<4>("extras must be 4 bytes")?;
        Ok(Self { bytes: u32::from_be_bytes(*extras) })
    }

    /// Appends the frame to `out`.
    pub fn write(&self, vb: VbId, opaque: Opaque, out: &mut BytesMut) {
        let frame = FrameBuilder::request(Opcode::DCP_BUFFER_ACK).vbucket(vb).opaque(opaque);
        frame.extras(&self.bytes.to_be_bytes()).write(out);
    }
}
