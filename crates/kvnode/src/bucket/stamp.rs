//! Numbers within the value of a change that are known once it is queued: its CAS and its seqno, as
//! the macros of sub-document operations want them.

use bytes::{Bytes, BytesMut};
use mcbp::Seqno;

/// The digits of a number.
const DIGITS: usize = 16;

/// A number that a value holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Number {
    /// The CAS, its bytes in the order of the machine that kv_engine runs on: the last one first.
    Cas,
    /// The seqno.
    Seqno,
}

/// Where a value holds a number: in 16 hexadecimal digits from `at` on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stamp {
    pub(crate) number: Number,
    pub(crate) at: usize,
}

/// Returns the value with its numbers. A value that nobody else holds is not copied.
pub(super) fn stamped(value: Bytes, stamps: &[Stamp], cas: u64, seqno: Seqno) -> Bytes {
    if stamps.is_empty() {
        return value;
    }
    let mut value = value.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
    for Stamp { number, at } in stamps {
        let digits = match number {
            Number::Cas => format!("{:016x}", cas.swap_bytes()),
            Number::Seqno => format!("{:016x}", seqno.0),
        };
        if let Some(place) = value.get_mut(*at..at + DIGITS) {
            place.copy_from_slice(digits.as_bytes());
        }
    }
    value.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_gets_its_digits() {
        let value = Bytes::from(b"<0000000000000000|0000000000000000>".to_vec());
        let shared = value.clone();
        let stamps =
            [Stamp { number: Number::Cas, at: 1 }, Stamp { number: Number::Seqno, at: 18 }];
        let cas = 0x18ec_3656_e6d3_0000;
        for value in [shared, value] {
            let value = stamped(value, &stamps, cas, Seqno(0x1b));
            assert_eq!(value, &b"<0000d3e65636ec18|000000000000001b>"[..]);
        }
        let outside = [Stamp { number: Number::Cas, at: 20 }];
        assert_eq!(stamped(Bytes::from_static(b"short"), &outside, cas, Seqno(1)), &b"short"[..]);
    }
}
