//! Numbers in values of the table `meta`: each in as many bytes as it needs (LEB128).

use mcbp::Seqno;

/// The value bits of one byte of a number; the one above them says that more bytes follow.
const BITS: u32 = 7;
const MORE: u8 = 1 << BITS;

/// Writes a number, its lowest bits first.
pub(super) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= u64::from(MORE) {
        out.push(number as u8 | MORE);
        number >>= BITS;
    }
    out.push(number as u8);
}

/// What is still to be read of a value.
pub(super) struct Numbers<'a>(pub(super) &'a [u8]);

impl Numbers<'_> {
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next number, or `None` where there is none that [`put`] writes.
    pub(super) fn take(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(BITS as usize) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            let bits = u64::from(byte & !MORE);
            if bits > u64::MAX >> shift {
                return None;
            }
            number |= bits << shift;
            if byte & MORE == 0 {
                return Some(number);
            }
        }
        None
    }

    pub(super) fn seqno(&mut self) -> Option<Seqno> {
        self.take().map(Seqno)
    }
}
