//! Tracks flow control from the frames of the consumer. These frames are never changed and never
//! withheld.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use mcbp::dcp::{BufferAck, Control, control_key};
use mcbp::{Frame, FrameError, Header, Opcode};

/// The flow-control window of one link.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    window_bytes: AtomicU64,
    acked_bytes: AtomicU64,
}

impl Flow {
    /// Whether a frame of the consumer concerns flow control.
    pub(crate) const fn concerns(header: &Header) -> bool {
        header.is_request() && matches!(header.opcode, Opcode::DCP_BUFFER_ACK | Opcode::DCP_CONTROL)
    }

    /// Records a frame that [`Self::concerns`] accepts. A malformed one is ignored; the producer
    /// answers it.
    pub(crate) fn saw(&self, bytes: &[u8]) {
        // A malformed frame changes nothing.
        _ = self.read(bytes);
    }

    /// Returns the size of the window; `None` while the consumer has asked for none.
    pub(crate) fn window_bytes(&self) -> Option<u64> {
        Some(self.window_bytes.load(Relaxed)).filter(|&bytes| bytes > 0)
    }

    /// Returns the bytes that the consumer has acknowledged.
    pub(crate) fn acked_bytes(&self) -> u64 {
        self.acked_bytes.load(Relaxed)
    }

    fn read(&self, bytes: &[u8]) -> Result<(), FrameError> {
        let frame = Frame::parse(bytes)?;
        if frame.opcode() == Opcode::DCP_BUFFER_ACK {
            let acked = BufferAck::decode(&frame)?.bytes;
            self.acked_bytes.fetch_add(u64::from(acked), Relaxed);
            return Ok(());
        }
        let Control { key, value } = Control::decode(&frame)?;
        if key == control_key::CONNECTION_BUFFER_SIZE.as_bytes()
            && let Some(size) = str::from_utf8(value).ok().and_then(|text| text.parse().ok())
        {
            self.window_bytes.store(size, Relaxed);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use mcbp::{Opaque, VbId};

    use super::*;

    fn control(key: &str, value: &str) -> BytesMut {
        let mut out = BytesMut::new();
        Control { key: key.as_bytes(), value: value.as_bytes() }.write(Opaque(1), &mut out);
        out
    }

    #[test]
    fn the_window_may_change_and_acknowledgements_add_up() {
        let flow = Flow::default();
        assert_eq!((flow.window_bytes(), flow.acked_bytes()), (None, 0));
        flow.saw(&control("enable_noop", "true"));
        flow.saw(&control("connection_buffer_size", "1000"));
        flow.saw(&control("connection_buffer_size", "500"));
        for bytes in [200, 300] {
            let mut out = BytesMut::new();
            BufferAck { bytes }.write(VbId(0), Opaque(2), &mut out);
            flow.saw(&out);
        }
        assert_eq!((flow.window_bytes(), flow.acked_bytes()), (Some(500), 500));
        flow.saw(&control("connection_buffer_size", "0"));
        assert_eq!(flow.window_bytes(), None, "0 turns it off");
        flow.saw(b"malformed");
    }
}
