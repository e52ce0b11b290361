//! A cluster map and its revision.

use std::sync::OnceLock;

use bytes::Bytes;
use mcbp::{Datatype, MapRevision};

use crate::protocol::Features;

/// The name with which `SELECT_BUCKET` selects none.
pub(crate) const NAME_OF_NO_BUCKET: &[u8] = b"@no bucket@";

/// See the module. The text is JSON, but a pushed one is not looked into.
#[derive(Debug)]
pub(crate) struct Map {
    pub(crate) revision: MapRevision,
    text: Bytes,
    compressed: OnceLock<Bytes>,
}

impl Map {
    pub(crate) fn new(revision: MapRevision, text: Bytes) -> Self {
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
