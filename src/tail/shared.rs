//! What the threads of `tail` share: how far lines were taken, and the bytes that may be given back
//! to the node.
//!
//! Changes that wait for the output are bounded by the window of flow control. Anything else that
//! waits is bounded by [`Shared::is_full`], upon which the node is not read.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use follow::Track;
use mcbp::VbId;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use super::taken::{Mark, Taken};

/// How much may wait before the node is not read any more: some 20 MB. The changes of a window, and
/// a snapshot for each of them, are less, so that a pipe that is not read does not come to it.
const WEIGHT_MAX: usize = 256 * 1024;
/// See the module.
pub(super) struct Shared {
    taken: Mutex<Taken>,
    /// To be acknowledged to the node.
    charge: AtomicUsize,
    /// The weight of what was handed over and not taken.
    waiting: AtomicUsize,
    /// There is something in `charge`, or room again.
    pub(super) given_back: Notify,
    /// No more lines are to be begun.
    pub(super) stop: Arc<AtomicBool>,
    /// Lines cannot be written any more.
    pub(super) over: CancellationToken,
    why: Mutex<Option<Failure>>,
}

impl Shared {
    pub(super) fn new(tracks: BTreeMap<VbId, Track>) -> Self {
        Self {
            taken: Mutex::new(Taken::new(tracks)),
            charge: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            given_back: Notify::new(),
            stop: Arc::default(),
            over: CancellationToken::new(),
            why: Mutex::new(None),
        }
    }

    pub(super) fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the steps of every mark that `is_taken`.
    pub(super) fn release(&self, is_taken: impl Fn(&Mark) -> bool) {
        let (charge, weight) = self.taken().release(is_taken);
        self.lighter(weight);
        self.give_back(charge);
    }

    /// Adds marks that are to be taken, in order.
    pub(super) fn expect(&self, marks: &mut Vec<Mark>) {
        let weight = self.taken().expect(marks);
        self.lighter(weight);
    }

    /// Lets the node send so much more.
    pub(super) fn give_back(&self, charge: usize) {
        if charge > 0 {
            self.charge.fetch_add(charge, Relaxed);
            self.given_back.notify_one();
        }
    }

    /// Something of this weight is handed over.
    pub(super) fn heavier(&self, weight: usize) {
        self.waiting.fetch_add(weight, Relaxed);
    }

    fn lighter(&self, weight: usize) {
        if self.waiting.fetch_sub(weight, Relaxed) > WEIGHT_MAX {
            self.given_back.notify_one();
        }
    }

    /// Whether so much waits that the node is not to be read.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.load(Relaxed) > WEIGHT_MAX
    }

    /// The bytes to acknowledge, once.
    pub(super) fn charge(&self) -> usize {
        self.charge.swap(0, Relaxed)
    }

    /// Ends with an error; the first one counts.
    pub(super) fn fail(&self, why: Failure) {
        self.why.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
        self.over.cancel();
    }

    pub(super) fn failure(&self) -> Option<Failure> {
        self.why.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }
}
