//! Copies of our node that miss rows: one that refused a row may have taken later ones, so that
//! equal seqnos would hide the hole. Such a copy is rolled back before its stream opens again, and
//! no takeover begins with it.
//!
//! What is known is kept here and not by a link: the link may be gone when the copy is mended.

use std::collections::{BTreeMap, BTreeSet};

use mcbp::{Seqno, VbId};
use replica::wanted::StreamPhase;

use super::ReplicationManager;
use crate::error::VbFailure;
use crate::replicator::LinkId;

impl ReplicationManager {
    /// A link tells up to where a copy is complete, or that it has no hole any more.
    pub(super) fn note_copy(&mut self, id: LinkId, vb: VbId, complete_to: Option<Seqno>) {
        let bucket = &self.bucket;
        let Some(seqno) = complete_to else {
            if self.incomplete.remove(&vb).is_some() {
                log::info!("copy is complete again bucket={bucket} vb={vb}");
            }
            return;
        };
        let known = self.incomplete.entry(vb).or_insert(seqno);
        *known = seqno.min(*known);
        log::warn!(
            "copy may miss rows, rolling it back bucket={bucket} vb={vb} complete_to={known}"
        );
        // Another link may have opened the vBucket before this one was heard.
        for (_, link) in self.links.iter_mut().enumerate().filter(|(index, _)| *index != id.index) {
            let stream = link.wanted.streams().get(&vb);
            if stream.is_some_and(|stream| stream.phase == StreamPhase::Open) {
                link.wanted.reopen(vb, None);
            }
        }
    }

    /// What is known to be incomplete among these vBuckets.
    pub(super) fn incomplete_of(&self, wanted: &BTreeSet<VbId>) -> BTreeMap<VbId, Seqno> {
        let incomplete = self.incomplete.iter().filter(|(vb, _)| wanted.contains(vb));
        incomplete.map(|(&vb, &seqno)| (vb, seqno)).collect()
    }

    /// Why a vBucket must not become active here, where its copy misses rows.
    pub(super) fn misses_rows(&self, vb: VbId, producer: &str) -> Option<VbFailure> {
        let complete_to = *self.incomplete.get(&vb)?;
        Some(VbFailure::of_incomplete(&self.bucket, producer, vb, complete_to))
    }
}
