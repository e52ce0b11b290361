//! Reads the documents of data nodes over DCP and compares them by key, because equal seqnos prove
//! nothing.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;

use mcbp::{Frame, Opcode, VbId};

use crate::backfill;
use crate::server::{Server, VBUCKETS};

/// By vBucket and key: the newest seqno, and a hash of its document.
pub(super) struct Contents {
    node: String,
    documents: HashMap<(VbId, Vec<u8>), (u64, u64)>,
}

impl Contents {
    pub(super) fn of(node: &Server) -> io::Result<Self> {
        let mut documents = HashMap::new();
        backfill::each(node, VBUCKETS, |frame| {
            if !matches!(frame.opcode(), Opcode::DCP_MUTATION | Opcode::DCP_DELETION) {
                return;
            }
            let seqno = frame.extras.first_chunk().copied().map_or(0, u64::from_be_bytes);
            let key = (frame.header.vbucket(), frame.key.to_vec());
            // A stream from memory may contain changes that later ones replace.
            let newest = documents.entry(key).or_default();
            *newest = (seqno, hash(frame)).max(*newest);
        })?;
        Ok(Self { node: node.name.clone(), documents })
    }

    /// The number of keys.
    pub(super) fn len(&self) -> usize {
        self.documents.len()
    }

    /// Fails where a key is missing, differs or is extra.
    pub(super) fn same_as(&self, other: &Self) -> io::Result<()> {
        let differs = |(key, document): (&_, &_)| other.documents.get(key) != Some(document);
        let count = self.documents.iter().filter(|(key, one)| differs((*key, *one))).count();
        if count == 0 && self.len() == other.len() {
            return Ok(());
        }
        Err(io::Error::other(format!(
            "{} has {} keys, {} has {}; {count} of the former are missing or differ",
            self.node,
            self.len(),
            other.node,
            other.len()
        )))
    }
}

fn hash(frame: &Frame<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    // Flags and expiry follow seqno and revision. The eviction counter is not compared.
    let lasting = frame.extras.get(..24).unwrap_or_default();
    (frame.opcode().0, frame.header.cas, lasting, frame.value).hash(&mut hasher);
    hasher.finish()
}
