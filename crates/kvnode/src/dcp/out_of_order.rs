//! OSO snapshots: the disk read of a stream that has one collection, in the order of keys.
//!
//! Where the collection is a small part of the vBucket, reading its own keys is faster than reading
//! all rows. Its system events come first, as a consumer needs them.

use std::collections::VecDeque;

use mcbp::key::collection_range;
use mcbp::{Seqno, VbId};
use vbucket::collections::{StreamFilter, VbCollections};
use vbucket::store::{CollectionCounts, Scan, ScanEnd, ScanStep, SharedStore, StoreError};
use vbucket::{Kind, Row, VbMeta};

/// A document that is found by its key costs about as much as so many rows that are passed: it is
/// looked up, while rows lie one behind the other. Source: kv_engine breaks even at 0.5 to 4 %.
const ROWS_A_LOOKUP: u64 = 25;
/// With so few documents either way is quick.
const DOCUMENTS_FEW: u64 = 1_000;

/// Opens a scan of the collection `id` in the order of keys; `None` where a scan in the order of
/// seqnos is faster, or where the collection is changing.
pub(super) fn open(
    store: &SharedStore,
    vb: VbId,
    id: u32,
) -> Result<Option<Box<dyn Scan>>, StoreError> {
    if !pays(&store.collections(vb)?, id) {
        return Ok(None);
    }
    let (start, end) = collection_range(id);
    let documents = store.scan_keys(vb, &start, &end)?;
    let high = documents.meta().high_seqno;
    let filter = StreamFilter::Collections([id].into());
    let mut events = store.events(vb)?;
    events.retain(|row| filter.has(row, &VbCollections::default()));
    // An event hides an older one of the same kind: the scan would begin without that.
    let is_late = |row: &Row| row.seqno > high || matches!(row.kind, Kind::Event { is_end: true });
    if high == Seqno::ZERO || events.iter().any(is_late) {
        return Ok(None);
    }
    events.sort_unstable_by_key(|row| row.seqno);
    Ok(Some(Box::new(OutOfOrder { events: events.into(), documents })))
}

fn pays(counts: &[CollectionCounts], id: u32) -> bool {
    let all: u64 = counts.iter().map(|counts| counts.items).sum();
    let counts = counts.iter().find(|counts| counts.id == id);
    let pays = |items| items <= DOCUMENTS_FEW || items * ROWS_A_LOOKUP <= all;
    counts.is_some_and(|counts| pays(counts.items))
}

struct OutOfOrder {
    /// Those that are still to come.
    events: VecDeque<Row>,
    documents: Box<dyn Scan>,
}

impl Scan for OutOfOrder {
    fn run(&mut self, each: &mut dyn FnMut(Row) -> ScanStep) -> ScanEnd {
        while let Some(event) = self.events.pop_front() {
            match each(event.clone()) {
                ScanStep::More => {}
                ScanStep::Yield => return ScanEnd::Yielded,
                ScanStep::Later => {
                    self.events.push_front(event);
                    return ScanEnd::Yielded;
                }
                ScanStep::Cancel => return ScanEnd::Cancelled,
            }
        }
        self.documents.run(each)
    }

    fn meta(&self) -> &VbMeta {
        self.documents.meta()
    }

    fn default_high_seqno(&self) -> Seqno {
        self.documents.default_high_seqno()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_part_of_a_vbucket_is_read_by_its_keys() {
        let pays = |items, others| {
            let counts = [(0, others), (8, items)];
            let counts = counts.map(|(id, items)| {
                let high_seqno = Seqno(1);
                CollectionCounts { id, high_seqno, items }
            });
            super::pays(&counts, 8)
        };
        assert!(pays(0, 0) && pays(1_000, 0) && pays(4_000, 96_000));
        assert!(!pays(1_001, 0) && !pays(4_001, 95_999));
        assert!(!super::pays(&[], 8));
    }
}
