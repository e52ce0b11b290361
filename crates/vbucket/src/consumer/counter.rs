//! The opaques of a consumer's own requests.

use mcbp::Opaque;

/// Counts from 1. kv_engine puts the number on the wire in host byte order, so the first opaque is
/// the bytes `01 00 00 00`, while the ADD_STREAM response holds the same number as `00 00 00 01`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Counter(u32);

impl Counter {
    pub(super) const fn next_opaque(&mut self) -> Opaque {
        self.0 = self.0.wrapping_add(1);
        Opaque(self.0.swap_bytes())
    }
}

/// Returns the number that a [`Counter`] encoded in an opaque.
pub(super) const fn number(opaque: Opaque) -> u32 {
    opaque.0.swap_bytes()
}
