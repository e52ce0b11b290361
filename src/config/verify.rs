//! `[verify]`: from what is written to what is used.

use std::num::NonZeroU64;
use std::time::Duration;

use super::check::{Checker, number};
use super::file;
use super::verification::{RATE, Verification};

impl Checker<'_, '_> {
    /// The ranges are in the table of settings.
    pub(super) fn verify(verify: &file::Verify) -> Verification {
        let seconds = number(verify.interval_s.as_ref(), 0);
        let interval = (seconds > 0).then(|| Duration::from_secs(seconds));
        let rate = number(verify.rate_bytes_per_s.as_ref(), RATE.get());
        Verification { interval, rate: NonZeroU64::new(rate).unwrap_or(RATE) }
    }
}
