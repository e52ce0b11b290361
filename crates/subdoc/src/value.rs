//! Values that are inserted.

use serde::de::IgnoredAny;

use crate::scan::{skip_space, skip_value};
use crate::{Fault, LEVELS_MAX};

/// Checks that the text can stand between `before` and `after`, and at that depth: within so many
/// arrays and objects.
pub(crate) fn check([before, after]: [&[u8]; 2], value: &[u8], within: usize) -> Result<(), Fault> {
    let whole = [before, value, after].concat();
    let is_json = serde_json::from_slice::<IgnoredAny>(&whole).is_ok();
    if !is_json || skip_space(value, 0) == value.len() {
        return Err(Fault::ValueCannotInsert);
    }
    // What surrounds it for the check is one level.
    let outside = within.checked_sub(1).ok_or(Fault::ValueCannotInsert)?;
    match skip_value(&whole, 0, outside) {
        Err(Fault::DocTooDeep) => Err(Fault::ValueTooDeep),
        Err(_) => Err(Fault::ValueCannotInsert),
        Ok(_) if within > LEVELS_MAX => Err(Fault::ValueTooDeep),
        Ok(_) => Ok(()),
    }
}

/// What stands around the value of a member, and around elements.
pub(crate) const MEMBER: [&[u8]; 2] = [b"{\"\":", b"}"];
pub(crate) const ELEMENTS: [&[u8]; 2] = [b"[", b"]"];
