//! Copies of our node that miss rows: one that refused a row may have taken later ones, so that
//! equal seqnos would hide the gap. Such a copy is rolled back before its stream opens again, and
//! no takeover begins with it.
//!
//! What is known is kept here and not by a link: the link may be gone when the copy is mended.

use std::collections::{BTreeMap, BTreeSet};

use mcbp::{Seqno, VbId};
use replica::loops::Notice;
use replica::wanted::StreamPhase;

use super::ReplicationManager;
use super::tell::Line;
use crate::error::VbFailure;
use crate::replicator::LinkId;

/// A copy that may miss rows.
pub(super) struct Incomplete {
    /// The seqno up to which it is complete.
    pub(super) complete_to: Seqno,
    /// The life of the link that found it.
    by: LinkId,
}

impl ReplicationManager {
    /// A link tells up to where a copy is complete, or that it has no gap any more.
    pub(super) fn note_copy(&mut self, id: LinkId, vb: VbId, complete_to: Option<Seqno>) {
        let Some(seqno) = complete_to else {
            if self.incomplete.remove(&vb).is_some() {
                let (now, delay) = (self.now(), self.stream_delay());
                if let Some(link) = self.links.get_mut(id.index) {
                    link.wanted.postpone(vb, now, delay);
                }
                self.tell(id, Line::Complete, vb, &format_args!("{vb}"), Notice::Tell(1));
            }
            return;
        };
        let known = self.incomplete.get(&vb).map_or(seqno, |known| known.complete_to.min(seqno));
        self.incomplete.insert(vb, Incomplete { complete_to: known, by: id });
        let why = format_args!("{vb}: complete only up to seqno {known}, rolling it back");
        self.tell(id, Line::Incomplete, vb, &why, Notice::Tell(1));
        // Another link may have opened the vBucket before this one was heard.
        for (_, link) in self.links.iter_mut().enumerate().filter(|(index, _)| *index != id.index) {
            let stream = link.wanted.streams().get(&vb);
            if stream.is_some_and(|stream| stream.phase == StreamPhase::Open) {
                link.wanted.reopen(vb, None);
            }
        }
    }

    /// What is known to be incomplete among these vBuckets and was not found by this life of a
    /// link, which knows better than we do what became of it since.
    pub(super) fn incomplete_for(
        &self,
        index: usize,
        wanted: &BTreeSet<VbId>,
    ) -> BTreeMap<VbId, Seqno> {
        let life = self.links.get(index).map_or(0, |link| link.life);
        let link = LinkId { index, life };
        let is_news = |vb: &VbId, copy: &Incomplete| wanted.contains(vb) && copy.by != link;
        let incomplete = self.incomplete.iter().filter(|(vb, copy)| is_news(vb, copy));
        incomplete.map(|(&vb, copy)| (vb, copy.complete_to)).collect()
    }

    /// What is known of copies goes with this process: says so, for somebody may start another one.
    pub(super) fn tell_of_incomplete(&self) {
        for (vb, copy) in &self.incomplete {
            log::error!(
                "stopping with a copy that may miss rows bucket={} vb={vb} complete_to={} \
                 remedy=\"delete the vBucket at {} and make it again before it is used\"",
                self.bucket,
                copy.complete_to,
                self.node.name
            );
        }
    }

    /// Why a vBucket must not become active here, where its copy misses rows.
    pub(super) fn misses_rows(&self, vb: VbId, producer: &str) -> Option<VbFailure> {
        let complete_to = self.incomplete.get(&vb)?.complete_to;
        Some(VbFailure::of_incomplete(&self.bucket, producer, vb, complete_to))
    }
}
