//! Warm-up: loads the records of all vBuckets, all or nothing. After an unclean stop each active
//! vBucket begins a new branch of history, which is synced before any vBucket is visible (MB-41942,
//! MB-41257). After a failure nothing is served, and the reason is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use invariant::Broken;
use log::{error, info, warn};
use logline::value;
use mcbp::{Seqno, VbId, VbState};
use vbucket::collections::Manifest;
use vbucket::store::{Batch, Durability};
use vbucket::{Row, StoreError, VbMeta};

use super::advance::{follow_state, note};
use super::core::{Bucket, Warmup};
use super::error::VbError;
use super::events::from_rows;
use super::history::{begin_branch, new_meta};
use super::options::BucketOptions;
use super::vb::Vb;
use crate::clock::unix_now_ns;
use crate::sync::lock;

/// Why warm-up failed.
#[derive(Debug, thiserror::Error)]
enum WarmupError {
    #[error("loading the vBuckets: {0}")]
    Load(StoreError),
    #[error("writing the failover entries: {0}")]
    Commit(StoreError),
    #[error(
        "the store holds {found}, but the bucket is configured with {count} vBuckets; \
         configure at least {}", found.0 + 1
    )]
    TooMany { found: VbId, count: u16 },
    #[error("the manifest of collections on disk is malformed: {0}")]
    Manifest(String),
    #[error("following the manifest of collections: {0}")]
    Follow(VbError),
    #[error(transparent)]
    Broken(#[from] Broken),
}

/// Lets the change history of vBuckets begin or end as the options say. Returns which it was.
fn follow_retention(metas: &mut [VbMeta], options: &BucketOptions) -> BTreeSet<VbId> {
    let mut changed = BTreeSet::new();
    for meta in metas {
        let wanted = options.history_start(meta.high_seqno);
        if (wanted == Seqno::ZERO) != (meta.history_start == Seqno::ZERO) {
            meta.history_start = wanted;
            changed.insert(meta.vb);
        }
    }
    changed
}

/// Lets active vBuckets begin a branch. Returns the records that are to be written for that.
fn begin_branches(metas: &mut [VbMeta]) -> Vec<VbMeta> {
    let mut written = Vec::new();
    for meta in metas.iter_mut().filter(|meta| meta.state == VbState::Active) {
        begin_branch(meta);
        if !failpoint::is_on("no-early-commit") {
            written.push(meta.clone());
        }
    }
    written
}

/// Adds the records that are not in the batch.
fn add_missing<'a>(batch: &mut Batch, metas: impl IntoIterator<Item = &'a VbMeta>) {
    for meta in metas {
        if !batch.metas.iter().any(|there| there.vb == meta.vb) {
            batch.metas.push(meta.clone());
        }
    }
}

impl Bucket {
    /// Loads the vBuckets and makes them visible. Blocks on the disk. Returns the outcome, as
    /// [`Bucket::warmup`] does from then on.
    pub fn warm_up(self: &Arc<Self>) -> Warmup {
        let name = self.name();
        let outcome = match self.load() {
            Ok(count) => {
                info!("bucket is ready bucket={name} vbuckets={count}");
                Warmup::Done
            }
            Err(reason) => {
                error!(
                    "warm-up failed, the bucket is not served bucket={name} error={}",
                    value(&reason)
                );
                Warmup::Failed(reason.to_string())
            }
        };
        let mut warmup = lock(&self.warmup);
        if *warmup == Warmup::Loading {
            *warmup = outcome;
        }
        warmup.clone()
    }

    /// Reports vBuckets whose newest CAS is ahead of the clock: their next CAS values go on from
    /// there, whatever the clock says.
    fn warn_of_clocks(&self, metas: &[VbMeta]) {
        let cas_max = self.shared.options.drift.cas_max(unix_now_ns());
        let mut ahead = metas.iter().filter(|meta| meta.max_cas > cas_max).peekable();
        if let Some(&VbMeta { vb, max_cas, .. }) = ahead.peek() {
            let (bucket, count) = (self.name(), ahead.count());
            warn!(
                "CAS values are ahead of the clock, check the clock bucket={bucket} \
                 vbuckets={count} first={} max_cas={max_cas}",
                vb.0
            );
        }
    }

    /// Loads what is prepared. What a killed process has left counts as synced from now on, which
    /// `batch` sees to.
    fn load_prepares(
        &self,
        metas: &[VbMeta],
        batch: &mut Batch,
    ) -> Result<BTreeMap<VbId, Vec<Row>>, WarmupError> {
        let mut prepares = BTreeMap::new();
        // Each look reads the disk, before the first client is answered.
        let had_some = |meta: &&VbMeta| meta.durable.high_prepared > Seqno::ZERO;
        for meta in metas.iter().filter(had_some) {
            let found = self.shared.store.prepares(meta.vb).map_err(WarmupError::Load)?;
            if !found.is_empty() {
                add_missing(batch, [meta]);
            }
            prepares.insert(meta.vb, found);
        }
        Ok(prepares)
    }

    fn load(self: &Arc<Self>) -> Result<usize, WarmupError> {
        let options = &self.shared.options;
        let mut metas = self.shared.store.load().map_err(WarmupError::Load)?;
        failpoint::reach("warmup-loaded");
        let mut batch = Batch::default();
        let changed = follow_retention(&mut metas, options);
        let is_new = metas.is_empty();
        if is_new {
            if let Some(state) = options.initial_state {
                let all = (0..options.vbuckets).map(VbId);
                metas.extend(all.map(|vb| new_meta(vb, state, None, options)));
            }
            batch.metas.clone_from(&metas);
        } else if !self.shared.store.was_clean() {
            batch.metas = begin_branches(&mut metas);
            warn!(
                "the last stop was not clean, active vBuckets begin a branch bucket={} count={}",
                options.name,
                batch.metas.len()
            );
        }
        add_missing(&mut batch, metas.iter().filter(|meta| changed.contains(&meta.vb)));
        let count = options.vbuckets;
        if let Some(found) = metas.iter().map(|meta| meta.vb).max().filter(|vb| vb.0 >= count) {
            return Err(WarmupError::TooMany { found, count });
        }
        let mut prepares = BTreeMap::new();
        if !is_new {
            prepares = self.load_prepares(&metas, &mut batch)?;
        }
        if !batch.metas.is_empty() {
            let commit = self.shared.store.commit(&batch, Durability::Synced);
            commit.map_err(WarmupError::Commit)?;
            failpoint::reach("warmup-committed");
        }
        self.warn_of_clocks(&metas);
        let loaded = metas.len();
        if let Some(text) = self.shared.store.manifest().map_err(WarmupError::Load)? {
            let manifest = Manifest::parse(&text);
            let manifest = manifest.map_err(|error| WarmupError::Manifest(error.to_string()))?;
            self.shared.manifest.put(manifest);
        }
        for meta in metas {
            let id = meta.vb;
            let events = self.shared.store.events(id).map_err(WarmupError::Load)?;
            let collections = from_rows(events).map_err(WarmupError::Load)?;
            self.shared.manifest.learn(&collections);
            let found = prepares.remove(&id).unwrap_or_default();
            let vb = Vb::new(meta, collections, found, Arc::clone(&self.shared));
            follow_state(&self.shared, id, &mut lock(&vb.cell.inner));
            // The last stop may have come before its events were on disk.
            vb.follow_manifest_at_once().map_err(WarmupError::Follow)?;
            let cell = Arc::clone(&vb.cell);
            self.put_slot(id, Some(vb))?;
            // A look at the prepares before that has not found the vBucket, and has forgotten it.
            note(&self.shared, id, &mut lock(&cell.inner));
        }
        failpoint::reach("warmup-visible");
        Ok(loaded)
    }
}
