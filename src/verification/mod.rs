//! Verification inside the sidecar: every replicated vBucket is compared with its producer, row by
//! row, at an interval and on request, because equal seqnos are not equal documents.
//!
//! - `schedule`: what is compared next, in its `words`; `plan`: one run; `sight`: what replication
//!   says of that
//! - `board`: what is known of every target of bucket and producer, each a `record`; `batch`: what
//!   one comparison has found
//! - `task`: reads the status, runs the comparisons of [`crate::verify`]; `tell`: events and log

mod batch;
mod board;
mod plan;
mod record;
mod schedule;
mod sight;
mod task;
mod tell;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcbp::VbId;
use replica::plan::VbSet;
use tokio::sync::Notify;

pub(crate) use self::board::Board;
pub(crate) use self::record::{ByClass, Record, Run, in_words};
pub use self::task::Verifier;
pub(crate) use self::words::Target;

/// What is known, and what is asked for; cheap to clone.
#[derive(Clone, Default)]
pub struct Verification(Arc<Inner>);

#[derive(Default)]
struct Inner {
    board: Mutex<Board>,
    /// What was asked for and not taken yet; at most each vBucket once.
    asked: Mutex<BTreeMap<Target, BTreeSet<VbId>>>,
    woken: Notify,
}

impl Verification {
    /// Reads what is known.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Board) -> T) -> T {
        read(&self.board())
    }

    /// Asks for a comparison of these vBuckets, as soon as their streams are open.
    pub(crate) fn ask(&self, what: impl IntoIterator<Item = (Target, BTreeSet<VbId>)>) {
        let mut asked = self.0.asked.lock().unwrap_or_else(PoisonError::into_inner);
        for (target, vbs) in what {
            asked.entry(target).or_default().extend(vbs);
        }
        self.0.woken.notify_one();
    }

    /// Asks for a comparison of those of these vBuckets in which something is known to be wrong:
    /// their copies were made anew.
    pub(crate) fn ask_again(&self, bucket: &str, vbs: &VbSet) {
        let wrong = self.read(|board| board.wrong(bucket, vbs));
        self.ask(wrong);
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.0.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The targets for which a comparison was asked that has not begun.
    pub(crate) fn asked(&self) -> BTreeSet<Target> {
        self.0.asked.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// Runs what was asked for to `begin`, and forgets it after that: at any time it is known as
    /// asked for, or as begun.
    fn with_asked(&self, begin: impl FnOnce(&BTreeMap<Target, BTreeSet<VbId>>)) {
        let mut asked = self.0.asked.lock().unwrap_or_else(PoisonError::into_inner);
        begin(&asked);
        asked.clear();
    }
}

impl fmt::Debug for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verification").finish_non_exhaustive()
    }
}
