//! Tracks flow control, and the NOOPs that the consumer asked for, from the frames of the consumer.
//! These frames are never changed and never withheld.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use mcbp::dcp::{BufferAck, Control, control_key};
use mcbp::{Frame, FrameError, Header, Opcode};

/// The default of a producer that is asked for NOOPs without an interval.
const NOOP_INTERVAL: Duration = Duration::from_secs(20);
/// The longest interval that a producer accepts.
const NOOP_SECONDS_MAX: f64 = 3600.0;

/// The flow-control window and the NOOPs of one link.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    window_bytes: AtomicU64,
    acked_bytes: AtomicU64,
    has_noops: AtomicBool,
    /// 0 until the consumer names an interval.
    noop_interval_ms: AtomicU64,
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

    /// Returns the interval of the producer's NOOPs; `None` while the consumer has asked for none.
    pub(crate) fn noop_interval(&self) -> Option<Duration> {
        let interval = match self.noop_interval_ms.load(Relaxed) {
            0 => NOOP_INTERVAL,
            ms => Duration::from_millis(ms),
        };
        self.has_noops.load(Relaxed).then_some(interval)
    }

    fn read(&self, bytes: &[u8]) -> Result<(), FrameError> {
        let frame = Frame::parse(bytes)?;
        if frame.opcode() == Opcode::DCP_BUFFER_ACK {
            let acked = BufferAck::decode(&frame)?.bytes;
            self.acked_bytes.fetch_add(u64::from(acked), Relaxed);
            return Ok(());
        }
        let Control { key, value } = Control::decode(&frame)?;
        let (Ok(key), Ok(value)) = (str::from_utf8(key), str::from_utf8(value)) else {
            return Ok(());
        };
        match key {
            control_key::CONNECTION_BUFFER_SIZE => {
                if let Ok(size) = value.parse() {
                    self.window_bytes.store(size, Relaxed);
                }
            }
            control_key::ENABLE_NOOP => self.has_noops.store(value == "true", Relaxed),
            control_key::SET_NOOP_INTERVAL => {
                if let Some(interval) = noop_interval(value) {
                    let ms = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
                    self.noop_interval_ms.store(ms, Relaxed);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Reads an interval in seconds, such as `0.100000` or `1`.
fn noop_interval(value: &str) -> Option<Duration> {
    let seconds: f64 = value.parse().ok().filter(|seconds| *seconds <= NOOP_SECONDS_MAX)?;
    Duration::try_from_secs_f64(seconds).ok().filter(|interval| !interval.is_zero())
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

    #[test]
    fn noops_are_due_once_the_consumer_has_asked_for_them() {
        let flow = Flow::default();
        flow.saw(&control("set_noop_interval", "0.100000"));
        assert_eq!(flow.noop_interval(), None, "not enabled");
        flow.saw(&control("enable_noop", "true"));
        assert_eq!(flow.noop_interval(), Some(Duration::from_millis(100)));
        for (value, seconds) in [("1", 1), ("-1", 1), ("NaN", 1), ("1e300", 1), ("180", 180)] {
            flow.saw(&control("set_noop_interval", value));
            assert_eq!(flow.noop_interval(), Some(Duration::from_secs(seconds)), "{value}");
        }
        flow.saw(&control("enable_noop", "false"));
        assert_eq!(flow.noop_interval(), None);
    }
}
