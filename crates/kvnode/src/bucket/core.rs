//! The bucket itself: its vBuckets, its committer thread, the progress of warm-up.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use invariant::{Broken, broken};
use mcbp::{Seqno, VbId};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use vbucket::StoreError;
use vbucket::store::{ChangeHistory, SharedStore};

use super::counters::Counters;
use super::options::BucketOptions;
use super::shared::Shared;
use super::turn;
use super::vb::Vb;
use crate::sync::{lock, read, write};

/// How long whoever asks for seqnos waits for what is acknowledged and not stored.
const CATCH_UP: Duration = Duration::from_secs(2);

/// The progress of warm-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warmup {
    /// Nothing is served yet.
    Loading,
    /// Everything is served.
    Done,
    /// Nothing will be served, for this reason.
    Failed(String),
    /// The bucket was closed.
    Closed,
}

/// See the module.
pub struct Bucket {
    pub(super) shared: Arc<Shared>,
    slots: Vec<RwLock<Option<Arc<Vb>>>>,
    /// Held while a vBucket is created, so that there is one of each id.
    pub(super) making: tokio::sync::Mutex<()>,
    pub(super) warmup: Mutex<Warmup>,
    committer: Mutex<Option<JoinHandle<()>>>,
}

impl Bucket {
    /// A bucket over `store`, with its committer running and nothing visible: call
    /// [`Bucket::warm_up`] next.
    ///
    /// # Errors
    /// When the committer's thread cannot be started.
    pub fn open(options: BucketOptions, store: SharedStore) -> std::io::Result<Arc<Self>> {
        let slots = std::iter::repeat_with(RwLock::default);
        let slots = slots.take(usize::from(options.vbuckets)).collect();
        let shared = Arc::new(Shared::new(options, store));
        let thread = std::thread::Builder::new().name("committer".to_owned());
        let thread = thread.spawn({
            let shared = Arc::clone(&shared);
            move || turn::run(&shared)
        })?;
        Ok(Arc::new(Self {
            shared,
            slots,
            making: tokio::sync::Mutex::default(),
            warmup: Mutex::new(Warmup::Loading),
            committer: Mutex::new(Some(thread)),
        }))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.options.name
    }

    /// The vBucket, if it is on this node and warm-up has ended.
    #[must_use]
    pub fn vb(&self, vb: VbId) -> Option<Arc<Vb>> {
        self.slots.get(usize::from(vb.0)).and_then(|slot| read(slot).clone())
    }

    /// The vBuckets on this node in the order of their ids.
    #[must_use]
    pub fn vbuckets(&self) -> Vec<VbId> {
        self.all_vbs().map(|vb| vb.id()).collect()
    }

    pub(crate) fn all_vbs(&self) -> impl Iterator<Item = Arc<Vb>> {
        self.slots.iter().filter_map(|slot| read(slot).clone())
    }

    /// The store, for backfills. Its calls block.
    #[must_use]
    pub fn store(&self) -> &SharedStore {
        &self.shared.store
    }

    /// Whether warm-up has succeeded; until then nothing is served and no consumer is accepted.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.warmup() == Warmup::Done
    }

    /// The progress of warm-up.
    #[must_use]
    pub fn warmup(&self) -> Warmup {
        lock(&self.warmup).clone()
    }

    /// How often states of vBuckets have changed, now and whenever one does.
    pub(crate) fn states(&self) -> watch::Receiver<u64> {
        self.shared.states.subscribe()
    }

    /// What it has counted since it was opened.
    pub(crate) fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    pub(crate) fn options(&self) -> &BucketOptions {
        &self.shared.options
    }

    /// Waits until what clients have been told of is stored, for a moment: where the disk does not
    /// keep up, what is stored is what there is to tell.
    pub(crate) async fn caught_up(&self) {
        if !self.shared.options.memory_first || self.write_failure().is_some() {
            return;
        }
        drop(tokio::time::timeout(CATCH_UP, self.shared.queue.drained()).await);
    }

    /// A task is about to wait for what it has queued: its worker commits that, if it is little and
    /// nobody else commits.
    pub(crate) fn offer_worker(&self) {
        turn::offer_worker(&self.shared);
    }

    /// How long the commit that runs has taken so far, if one runs.
    pub(crate) fn commit_lasts(&self) -> Option<Duration> {
        lock(&self.shared.committing).map(|began| began.elapsed())
    }

    /// Bytes that wait for their commit.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.shared.queue.used_bytes()
    }

    /// The change histories of all vBuckets together: their bytes, and the age of the oldest.
    pub(crate) fn change_history(&self) -> ChangeHistory {
        let histories = self.all_vbs().filter_map(|vb| vb.change_history());
        histories.fold(ChangeHistory::default(), |all, one| ChangeHistory {
            start: Seqno::ZERO,
            bytes: all.bytes + one.bytes,
            since: all.since.into_iter().chain(one.since).min(),
        })
    }

    /// Bytes of committed rows that are kept for streams.
    pub(crate) fn logged_bytes(&self) -> usize {
        self.shared.logged_bytes.load(Ordering::Relaxed)
    }

    /// Bytes of its quota that are in use, without those of connections.
    pub(crate) fn used_bytes(&self) -> u64 {
        let hashes = self.shared.hash_room.used_bytes();
        let ours = (self.queued_bytes() + self.logged_bytes() + hashes) as u64;
        ours + self.cached_bytes() + self.store().memory_bytes()
    }

    /// Bytes of the newest rows of documents that are kept for readers.
    pub(crate) fn cached_bytes(&self) -> u64 {
        self.shared.rows.bytes()
    }

    /// Logs how many messages about failed reads were suppressed, until `shutdown`.
    pub(crate) async fn run_failure_reports(self: Arc<Self>, shutdown: CancellationToken) {
        self.counters().read_failures.report(self.name(), &shutdown).await;
    }

    /// The error of the last commit, if it failed.
    pub(crate) fn write_failure(&self) -> Option<StoreError> {
        self.shared.queue.failure()
    }

    /// Makes a vBucket visible, or hides it. Its id is within the options' number of vBuckets.
    pub(super) fn put_slot(&self, vb: VbId, value: Option<Arc<Vb>>) -> Result<(), Broken> {
        let slot = self.slots.get(usize::from(vb.0));
        let slot = slot.ok_or_else(|| broken!("no slot for {vb} of {}", self.slots.len()))?;
        *write(slot) = value;
        self.shared.state_changed();
        Ok(())
    }

    /// Commits what is queued and closes the store cleanly. Blocks. Nothing can be written after
    /// it.
    ///
    /// # Errors
    /// The store's error, or that acknowledged changes could not be committed; the next start then
    /// treats this stop as unclean.
    pub fn close(&self) -> Result<(), StoreError> {
        let error = |detail| Err(StoreError::Io { doing: "closing the bucket", detail });
        if !self.stop_committer() {
            return error("the committer thread panicked".to_owned());
        }
        // Clients know seqnos of what is lost. The next changes get the same ones, and must not be
        // of the same branch of history.
        if let Some(failure) =
            self.write_failure().filter(|_| self.counters().changes_lost.get() > 0)
        {
            return error(format!("acknowledged changes are lost: {failure}"));
        }
        self.shared.store.close()
    }

    /// Stops without closing the store: the next start treats it as a crash. Does nothing to a
    /// bucket that was closed.
    pub(crate) fn abandon(&self) {
        self.stop_committer();
    }

    /// Commits what is queued and ends the committer. Returns false if that had panicked.
    fn stop_committer(&self) -> bool {
        *lock(&self.warmup) = Warmup::Closed;
        self.shared.queue.close();
        let thread = lock(&self.committer).take();
        thread.is_none_or(|thread| thread.join().is_ok())
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        self.abandon();
    }
}
