//! A cluster map and its revision.

use std::sync::OnceLock;

use bytes::Bytes;
use mcbp::Datatype;

use crate::protocol::Features;

/// The name with which `SELECT_BUCKET` selects none.
pub(crate) const NAME_OF_NO_BUCKET: &[u8] = b"@no bucket@";

/// How new a map is: the epoch counts first. Both begin with 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Revision {
    pub(crate) epoch: i64,
    pub(crate) number: i64,
}

impl Revision {
    /// Of extras: the epoch and the number, each as an i64.
    ///
    /// # Errors
    /// What is wrong, as text.
    pub(crate) fn decode(extras: &[u8]) -> Result<Self, &'static str> {
        let (epoch, number) = extras.split_at_checked(8).unwrap_or_default();
        let (Ok(epoch), Ok(number)) = (epoch.try_into(), number.try_into()) else {
            return Err("the extras are an epoch and a revision of 8 bytes each");
        };
        let revision =
            Self { epoch: i64::from_be_bytes(epoch), number: i64::from_be_bytes(number) };
        if revision.epoch < 1 || revision.number < 1 {
            return Err("epoch and revision must be at least 1");
        }
        Ok(revision)
    }

    /// Extras, as [`Revision::decode`] reads them.
    pub(crate) fn encode(self) -> [u8; 16] {
        let bytes = (i128::from(self.epoch) << 64) | i128::from(self.number.cast_unsigned());
        bytes.to_be_bytes()
    }
}

/// See the module. The text is JSON, but a pushed one is not looked into.
#[derive(Debug)]
pub(crate) struct Map {
    pub(crate) revision: Revision,
    text: Bytes,
    compressed: OnceLock<Bytes>,
}

impl Map {
    pub(crate) fn new(revision: Revision, text: Bytes) -> Self {
        Self { revision, text, compressed: OnceLock::new() }
    }

    /// The value and its datatype for a connection with `features`.
    pub(crate) fn shown(&self, features: &Features) -> (&Bytes, Datatype) {
        let json = if features.json { Datatype::JSON } else { Datatype::RAW };
        if features.snappy_everywhere {
            return (self.compressed(), json.with(Datatype::SNAPPY));
        }
        (&self.text, json)
    }

    fn compressed(&self) -> &Bytes {
        self.compressed.get_or_init(|| {
            let compressed = snap::raw::Encoder::new().compress_vec(&self.text);
            // Only a text of more than 4 GiB cannot be compressed.
            compressed.map_or_else(|_| Bytes::new(), Bytes::from)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_what_its_extras_say() {
        for (epoch, number) in [(1, 1), (1, i64::MAX), (i64::MAX, 1), (2, 10)] {
            let revision = Revision { epoch, number };
            assert_eq!(Revision::decode(&revision.encode()), Ok(revision));
        }
        for (epoch, number) in [(0, 1), (1, 0), (-1, 1), (1, -1)] {
            assert!(Revision::decode(&Revision { epoch, number }.encode()).is_err());
        }
        for bytes in [0, 8, 15, 17, 24] {
            assert!(Revision::decode(&vec![1; bytes]).is_err());
        }
        let [old, new] = [(1, 99), (2, 1)].map(|(epoch, number)| Revision { epoch, number });
        assert!(old < new);
    }
}
