//! How long a request took: for statistics, and told in the answers to clients that negotiated
//! TRACING.

use std::time::{Duration, Instant};

/// The framing extra that holds the time: its id 0, its length 2.
const ID_AND_LENGTH: u8 = 0x02;
/// What the encoding raises the time to. Source: kv_engine's `mcbp/codec/frameinfo.h`.
const POWER: f64 = 1.74;

/// When a request began, and whether its answers tell how long it took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trace {
    began: Instant,
    told: bool,
}

impl Trace {
    pub(super) fn begin(told: bool) -> Self {
        Self { began: Instant::now(), told }
    }

    /// How long it took if it ends at `now`.
    pub(super) fn until(self, now: Instant) -> Duration {
        now.saturating_duration_since(self.began)
    }

    /// The framing extras of an answer that is given now, if its client wants to be told.
    pub(super) fn framing(self) -> Option<[u8; 3]> {
        self.told.then(|| {
            let [high, low] = encoded(self.began.elapsed()).to_be_bytes();
            [ID_AND_LENGTH, high, low]
        })
    }
}

/// Two bytes for up to two minutes, exact where it is short.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "an `as` from a float saturates, and the encoding is not exact"
)]
fn encoded(time: Duration) -> u16 {
    (2.0 * time.as_micros() as f64).powf(1.0 / POWER) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_encoded_as_clients_decode_them() {
        // As clients compute it, in microseconds.
        let decoded = |code: u16| f64::from(code).powf(POWER) / 2.0;
        for micros in [1_u32, 10, 100, 1_000, 1_000_000, 100_000_000] {
            let code = encoded(Duration::from_micros(micros.into()));
            assert!(decoded(code) <= f64::from(micros), "{micros}: {code}");
            assert!(decoded(code + 1) > f64::from(micros), "{micros}: {code}");
        }
        assert_eq!(encoded(Duration::ZERO), 0);
        assert_eq!(encoded(Duration::from_secs(1_000_000)), u16::MAX);
    }
}
