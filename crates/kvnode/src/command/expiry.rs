//! The expiry that a client sends, as Unix time.

use mcbp::Status;

use crate::clock::{absolute_expiry, unix_now};
use crate::protocol::RequestError;

/// Returns the expiry as Unix time; 0 for never.
///
/// # Errors
/// [`Status::EINVAL`] where it is later than 32 bits of seconds hold.
pub(super) fn checked_expiry(expiry: u32) -> Result<u32, RequestError> {
    let now = unix_now();
    absolute_expiry(expiry, now).ok_or_else(|| {
        let text = format!("an expiry in {expiry} s is after {}, the last second", u32::MAX);
        RequestError::new(Status::EINVAL, text)
    })
}
