//! One bucket: its source, its overlay, and what is in force.

use std::collections::BTreeSet;

use mcbp::VbId;
use replica::plan::{Desired, VbSet};
use serde::{Deserialize, Serialize};

use crate::entry::Entry;
use crate::overlay::{self, CountSet, Dropped, Mark, Overlay, TakenOver, Why};

/// After a takeover, reports of the data node from before it may still arrive for so long.
const TAKEOVER_GRACE_MS: u64 = 30_000;

/// What is wanted of one bucket, and why.
///
/// - What is *in force* is the source with the overlay on top, without what is paused and without
///   what is active here.
/// - An overlay holds differences only. It stays until its source's entry changes; then the source
///   wins, and what was dropped is returned.
/// - What is paused or taken over is in no source, so no change of a source ends it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BucketMaps {
    source: Entry,
    overlay: Overlay,
    /// Counts changes of the source and of the overlay.
    revision: u64,
}

impl BucketMaps {
    /// Returns a bucket without an overlay.
    #[must_use]
    pub fn new(source: Entry) -> Self {
        Self { source, overlay: Overlay::default(), revision: 1 }
    }

    /// What the source says.
    #[must_use]
    pub const fn source(&self) -> &Entry {
        &self.source
    }

    /// What was changed at run time.
    #[must_use]
    pub const fn overlay(&self) -> &Overlay {
        &self.overlay
    }

    /// Counts changes, for callers that must not overwrite each other's.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    pub(crate) const fn overlay_mut(&mut self) -> &mut Overlay {
        &mut self.overlay
    }

    pub(crate) const fn next_revision(&mut self) {
        self.revision += 1;
    }

    /// What is wanted, be it paused or active here.
    #[must_use]
    pub fn wanted(&self) -> Desired {
        let mut wanted = self.source.replicate.clone();
        for assigned in &self.overlay.assigned {
            for vb in assigned.vbuckets.iter() {
                wanted.assign(vb, assigned.from.as_deref());
            }
        }
        wanted
    }

    /// What is to be replicated.
    #[must_use]
    pub fn in_force(&self) -> Entry {
        let mut replicate = self.wanted();
        for vb in self.paused().iter().chain(self.taken_over().iter()) {
            replicate.assign(vb, None);
        }
        let overlay = self.overlay.connections.as_ref();
        let connections = overlay.map_or(self.source.connections, |set| set.connections);
        Entry { connections, replicate }
    }

    /// What is paused.
    #[must_use]
    pub fn paused(&self) -> VbSet {
        self.overlay.paused.iter().flat_map(|paused| paused.vbuckets.iter()).collect()
    }

    /// The paused vBuckets that would be replicated otherwise.
    #[must_use]
    pub fn paused_wanted(&self) -> VbSet {
        let wanted = self.wanted();
        self.paused().iter().filter(|&vb| wanted.source(vb).is_some()).collect()
    }

    /// How many paused vBuckets would be replicated otherwise.
    #[must_use]
    pub fn paused_and_wanted(&self) -> usize {
        self.paused_wanted().len()
    }

    /// What is active here since a takeover.
    #[must_use]
    pub fn taken_over(&self) -> VbSet {
        self.overlay.taken_over.iter().flat_map(|taken| taken.vbuckets.iter()).collect()
    }

    /// What is wanted and not active here, be it paused.
    #[must_use]
    pub fn wanted_elsewhere(&self) -> Desired {
        let mut wanted = self.wanted();
        self.taken_over().iter().for_each(|vb| wanted.assign(vb, None));
        wanted
    }

    /// How many vBuckets and settings differ from the source.
    #[must_use]
    pub fn drift(&self) -> usize {
        let overlay = &self.overlay;
        let assigned = overlay.assigned.iter().flat_map(|it| it.vbuckets.iter());
        let paused = overlay.paused.iter().flat_map(|it| it.vbuckets.iter());
        let wanted = self.wanted();
        // A paused vBucket that nobody wants makes no difference.
        let idle = paused.filter(|&vb| wanted.source(vb).is_some());
        let taken = self.taken_over();
        let taken = taken.iter().filter(|&vb| self.source.replicate.source(vb).is_some());
        let differing: BTreeSet<VbId> = assigned.chain(idle).chain(taken).collect();
        differing.len() + usize::from(overlay.connections.is_some())
    }

    /// Takes what the source says now. Where that is another entry, the source wins; in any case,
    /// what is assigned to none of these `producers` is dropped. Returns what was dropped.
    ///
    /// What the new entry says itself is no loss, and is not returned: the overlay was saved.
    pub fn follow(&mut self, entry: Entry, producers: &BTreeSet<String>) -> Vec<Dropped> {
        let mut dropped = Vec::new();
        if entry != self.source {
            let assigned = std::mem::take(&mut self.overlay.assigned);
            for it in assigned {
                let is_said = |vb: &VbId| entry.replicate.source(*vb) == it.from.as_deref();
                let lost: VbSet = it.vbuckets.iter().filter(|vb| !is_said(vb)).collect();
                dropped.push(of_vbuckets(Why::SourceChanged, lost, it.from, it.mark));
            }
            if let Some(set) = self.overlay.connections.take()
                && set.connections != entry.connections
            {
                dropped.push(Dropped {
                    why: Why::SourceChanged,
                    vbuckets: VbSet::default(),
                    from: None,
                    connections: Some(set.connections),
                    mark: set.mark,
                });
            }
            self.source = entry;
            self.next_revision();
        }
        let is_known = |from: &Option<String>| match from {
            Some(producer) => producers.contains(producer),
            None => true,
        };
        for it in self.overlay.assigned.extract_if(.., |it| !is_known(&it.from)) {
            dropped.push(of_vbuckets(Why::NoProducer, it.vbuckets, it.from, it.mark));
            self.revision += 1;
        }
        dropped.retain(|it| it.connections.is_some() || !it.vbuckets.is_empty());
        dropped
    }

    /// Drops what was changed of the map and the connections, and resumes what is paused. What was
    /// taken over is active here all the same, and stays. Returns what was dropped.
    pub fn discard(&mut self) -> Vec<Dropped> {
        let Overlay { assigned, connections, paused, taken_over } =
            std::mem::take(&mut self.overlay);
        self.overlay.taken_over = taken_over;
        let why = Why::Discarded;
        let assigned =
            assigned.into_iter().map(|it| of_vbuckets(why, it.vbuckets, it.from, it.mark));
        let paused = paused.into_iter().map(|it| of_vbuckets(why, it.vbuckets, None, it.mark));
        let connections = connections.map(|CountSet { connections, mark }| Dropped {
            why,
            vbuckets: VbSet::default(),
            from: None,
            connections: Some(connections),
            mark,
        });
        let dropped: Vec<_> = assigned.chain(paused).chain(connections).collect();
        if !dropped.is_empty() {
            self.next_revision();
        }
        dropped
    }

    /// Takes a change back: `before` and `after` are this bucket before and after it. Where a
    /// source has said something else since, it has dropped the change already. What was taken
    /// over stays.
    pub fn undo(&mut self, before: Self, after: &Self) {
        if self.source != after.source {
            return;
        }
        let taken_over = std::mem::take(&mut self.overlay.taken_over);
        self.overlay = before.overlay;
        for taken in taken_over {
            overlay::put(&mut self.overlay.taken_over, taken);
        }
        self.next_revision();
    }

    /// Everything that is lost where the bucket leaves the configuration.
    #[must_use]
    pub fn into_dropped(mut self) -> Vec<Dropped> {
        let mut dropped = self.discard();
        let taken = std::mem::take(&mut self.overlay.taken_over).into_iter();
        let of_taken =
            |it: TakenOver| of_vbuckets(Why::NoBucket, it.vbuckets, Some(it.from), it.mark);
        dropped.extend(taken.map(of_taken));
        dropped.iter_mut().for_each(|it| it.why = Why::NoBucket);
        dropped
    }

    /// Records that vBuckets were taken over from a producer. Returns whether that is new.
    pub fn took_over(&mut self, vbuckets: VbSet, from: &str, mark: &Mark) -> bool {
        let known = self.taken_over();
        if vbuckets.iter().all(|vb| known.as_set().contains(&vb)) {
            return false;
        }
        let (from, mark) = (from.to_owned(), mark.clone());
        overlay::put(&mut self.overlay.taken_over, TakenOver { vbuckets, from, mark });
        self.next_revision();
        true
    }

    /// Records which vBuckets the data node has as active. What was taken over and is not active
    /// any more was moved on by somebody else: the source's word counts again. Returns these
    /// vBuckets.
    pub fn observe(&mut self, active_here: &VbSet, now_ms: u64) -> VbSet {
        let is_over = |it: &TakenOver| it.mark.at_ms.saturating_add(TAKEOVER_GRACE_MS) <= now_ms;
        let over = self.overlay.taken_over.iter().filter(|it| is_over(it));
        let released: VbSet = over
            .flat_map(|it| it.vbuckets.iter())
            .filter(|vb| !active_here.as_set().contains(vb))
            .collect();
        if !released.is_empty() {
            let is_released = |vb| released.as_set().contains(&vb);
            overlay::remove(&mut self.overlay.taken_over, is_released);
            self.next_revision();
        }
        released
    }
}

fn of_vbuckets(why: Why, vbuckets: VbSet, from: Option<String>, mark: Mark) -> Dropped {
    Dropped { why, vbuckets, from, connections: None, mark }
}
