//! A scan that has begun.

use std::time::Instant;

use fastrand::Rng;
use mcbp::{Seqno, VbId};
use vbucket::collections::VbCollections;
use vbucket::store::{Scan, ScanEnd, ScanStep};
use vbucket::{Row, StoreError};

use super::wanted::{Selection, Wanted};

/// Rows that one request looks at, whether they are wanted or not.
const ROWS_MAX: usize = 20_000;

/// What one request may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// Documents.
    pub(crate) items: usize,
    /// Bytes of documents; one may have more.
    pub(crate) bytes: usize,
    /// Bytes of one document: a larger one stops the scan.
    pub(crate) document_bytes: usize,
    /// Until when rows are looked at.
    pub(crate) until: Instant,
}

/// Why a scan has stopped.
#[derive(Debug)]
pub(crate) enum Stop {
    /// There is more.
    More,
    /// The next document has so many bytes, more than may be read.
    Large(usize),
    /// There is nothing left.
    Complete,
    /// The disk could not be read.
    Failed(StoreError),
}

/// See the module.
pub(crate) struct OpenScan {
    pub(crate) vb: VbId,
    pub(crate) key_only: bool,
    scan: Box<dyn Scan>,
    collection: u32,
    sampler: Option<Sampler>,
    /// When the collection began: documents from before a later beginning are gone.
    begun: Seqno,
}

impl OpenScan {
    /// A scan over the wanted keys, in a snapshot of a vBucket whose collection has so many
    /// documents.
    pub(crate) fn new(
        vb: VbId,
        scan: Box<dyn Scan>,
        wanted: &Wanted,
        (begun, documents): (Seqno, u64),
    ) -> Self {
        let Wanted { collection, key_only, .. } = *wanted;
        let sampler = match wanted.selection {
            Selection::Range { .. } => None,
            Selection::Sample { samples, seed } => Some(Sampler::new(samples, documents, seed)),
        };
        Self { vb, key_only, scan, collection, sampler, begun }
    }

    /// Whether the vBucket still has the collection, and it was not flushed.
    pub(crate) fn is_of(&self, there: &VbCollections) -> bool {
        there.get(self.collection).is_some_and(|known| known.start == self.begun)
    }

    /// Passes documents to `take` until the budget is used up; `size` says what each takes of it.
    /// Blocks on the disk.
    pub(crate) fn go_on(
        &mut self,
        budget: &Budget,
        now: u32,
        size: impl Fn(&Row) -> usize,
        mut take: impl FnMut(&Row),
    ) -> Stop {
        let (mut items, mut bytes, mut rows, mut large) = (0, 0, 0, None);
        let Self { scan, sampler, .. } = self;
        let end = scan.run(&mut |row| {
            let is_late = rows % 64 == 63 && Instant::now() >= budget.until;
            if rows >= ROWS_MAX || is_late {
                return ScanStep::Later;
            }
            rows += 1;
            if !row.is_there_at(now) {
                return ScanStep::More;
            }
            if sampler.as_mut().is_some_and(|sampler| !sampler.wants(row.seqno)) {
                return ScanStep::More;
            }
            let more = size(&row);
            if more > budget.document_bytes && items == 0 {
                large = Some(more);
            }
            if large.is_some() || (items > 0 && bytes + more > budget.bytes) {
                return ScanStep::Later;
            }
            take(&row);
            items += 1;
            bytes += more;
            if items >= budget.items { ScanStep::Yield } else { ScanStep::More }
        });
        match (end, large) {
            (ScanEnd::Failed(error), _) => Stop::Failed(error),
            (ScanEnd::Finished, _) => Stop::Complete,
            (ScanEnd::Yielded | ScanEnd::Cancelled, Some(bytes)) => Stop::Large(bytes),
            (ScanEnd::Yielded | ScanEnd::Cancelled, None) => Stop::More,
        }
    }
}

/// Chooses documents by chance, each with the same probability as all others.
struct Sampler {
    random: Rng,
    samples_left: u64,
    documents_left: u64,
    /// What was chosen last: a row may come again that was not taken.
    chosen: Option<Seqno>,
}

impl Sampler {
    fn new(samples: u64, documents: u64, seed: u64) -> Self {
        let random = Rng::with_seed(seed);
        Self { random, samples_left: samples, documents_left: documents, chosen: None }
    }

    fn wants(&mut self, seqno: Seqno) -> bool {
        if self.chosen == Some(seqno) {
            return true;
        }
        let is_chosen = self.documents_left <= self.samples_left
            || self.random.u64(0..self.documents_left) < self.samples_left;
        self.documents_left = self.documents_left.saturating_sub(1);
        if self.samples_left == 0 || !is_chosen {
            return false;
        }
        self.samples_left -= 1;
        self.chosen = Some(seqno);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_its_size_and_a_seed_its_documents() {
        let chosen = |samples, documents, seed| {
            let mut sampler = Sampler::new(samples, documents, seed);
            (1..=documents).filter(|&it| sampler.wants(Seqno(it))).collect::<Vec<_>>()
        };
        assert_eq!(chosen(10, 1000, 1).len(), 10);
        assert_eq!(chosen(10, 1000, 1), chosen(10, 1000, 1));
        assert_ne!(chosen(10, 1000, 1), chosen(10, 1000, 2));
        assert_eq!(chosen(10, 4, 3), [1, 2, 3, 4]);
    }

    #[test]
    fn a_row_that_comes_again_is_chosen_again() {
        let mut sampler = Sampler::new(1, 1, 0);
        assert!(sampler.wants(Seqno(5)) && sampler.wants(Seqno(5)));
        assert!(!sampler.wants(Seqno(6)));
    }
}
