//! What a comparison is told, what it counts while it runs, and its result.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use comparison::{Class, Difference};
use mcbp::VbId;
use relay::{Endpoint, LinkError};
use replica::plan::VbSet;

/// How long a node may lag without any progress until its vBucket counts as behind.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The least rate, in bytes a second. With less, a large document would keep a connection from
/// answering the node for longer than nodes wait.
pub const RATE_MIN: u64 = 128 * 1024;

/// What to compare.
#[derive(Clone, Debug)]
pub struct Verify {
    /// Node A, which changes come from.
    pub producer: Endpoint,
    /// Node B, which changes go to.
    pub consumer: Endpoint,
    /// The bucket.
    pub bucket: String,
    /// The vBuckets.
    pub vbs: Vec<VbId>,
    /// How many bytes a second are read of both nodes together; `None` for no limit.
    pub rate: Option<NonZeroU64>,
    /// Distinguishes the connections from those of any other comparison: a node closes a
    /// connection when another one of its name comes.
    pub name: String,
    /// How long a node may lag without any progress until its vBucket counts as behind.
    pub patience: Duration,
}

impl Verify {
    /// Compares all of these vBuckets, as fast as the nodes are read.
    #[must_use]
    pub fn new(
        producer: Endpoint,
        consumer: Endpoint,
        bucket: String,
        vbs: Vec<VbId>,
        name: String,
    ) -> Self {
        Self { producer, consumer, bucket, vbs, rate: None, name, patience: PATIENCE }
    }
}

/// What a comparison has done so far; cheap to clone, and read while it runs.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    vbuckets: AtomicU64,
    wanted: AtomicU64,
    rows: AtomicU64,
    bytes: AtomicU64,
}

/// The numbers of a [`Progress`] at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Done {
    /// vBuckets that were compared.
    pub vbuckets: u64,
    /// vBuckets that are to be compared; 0 before the comparison begins.
    pub wanted: u64,
    /// Rows that were read of both nodes.
    pub rows: u64,
    /// Bytes that were read of both nodes.
    pub bytes: u64,
}

impl Progress {
    /// The numbers now.
    #[must_use]
    pub fn now(&self) -> Done {
        let Counters { vbuckets, wanted, rows, bytes } = &*self.0;
        Done {
            vbuckets: vbuckets.load(Relaxed),
            wanted: wanted.load(Relaxed),
            rows: rows.load(Relaxed),
            bytes: bytes.load(Relaxed),
        }
    }

    pub(super) fn begin(&self, wanted: usize) {
        self.0.wanted.store(wanted as u64, Relaxed);
    }

    pub(super) fn read(&self, rows: u64, bytes: u64) {
        self.0.rows.fetch_add(rows, Relaxed);
        self.0.bytes.fetch_add(bytes, Relaxed);
    }

    pub(super) fn vbucket_done(&self) {
        self.0.vbuckets.fetch_add(1, Relaxed);
    }
}

/// What happens while a comparison runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A difference was found.
    Found(Difference),
    /// The comparison of a vBucket is over; its differences came before.
    Done(VbVerified),
}

/// The result of the comparison of one vBucket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VbVerified {
    /// The vBucket.
    pub vb: VbId,
    /// How many keys were compared, by their newest rows.
    pub rows: u64,
    /// How many of them are deletions.
    pub deletions: u64,
    /// The differences by class.
    pub by_class: BTreeMap<Class, u64>,
}

/// The result of a comparison.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Verified {
    /// How many vBuckets were to be compared.
    pub wanted: usize,
    /// How many of them were looked at.
    pub vbuckets: usize,
    /// How many keys were compared, by their newest rows.
    pub rows: u64,
    /// How many of them are deletions.
    pub deletions: u64,
    /// The differences by class.
    pub by_class: BTreeMap<Class, u64>,
    /// The vBuckets with a difference, or that could not be compared.
    pub differing: VbSet,
}

impl Verified {
    /// Whether a stop was requested before every vBucket was looked at.
    #[must_use]
    pub const fn is_interrupted(&self) -> bool {
        self.vbuckets < self.wanted
    }

    /// Whether both nodes have the same data: every vBucket was compared, without a difference.
    #[must_use]
    pub fn is_identical(&self) -> bool {
        !self.is_interrupted() && self.by_class.is_empty()
    }

    /// How many differences there are.
    #[must_use]
    pub fn differences(&self) -> u64 {
        self.by_class.values().sum()
    }

    /// Adds the result of another vBucket, which counts as wanted already.
    pub fn add(&mut self, done: &VbVerified) {
        self.vbuckets += 1;
        self.rows += done.rows;
        self.deletions += done.deletions;
        for (class, count) in &done.by_class {
            *self.by_class.entry(*class).or_default() += count;
        }
        if !done.by_class.is_empty() {
            self.differing.insert(done.vb);
        }
    }

    /// Adds the result of another comparison.
    pub fn join(&mut self, other: &Self) {
        self.wanted += other.wanted;
        self.vbuckets += other.vbuckets;
        self.rows += other.rows;
        self.deletions += other.deletions;
        for (class, count) in &other.by_class {
            *self.by_class.entry(*class).or_default() += count;
        }
        for vb in other.differing.iter() {
            self.differing.insert(vb);
        }
    }

    pub(super) fn note(&mut self, difference: &Difference) {
        *self.by_class.entry(difference.class).or_default() += 1;
        self.differing.insert(difference.vb);
    }
}

/// Why the comparison failed.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A connection failed, and could not be opened again.
    #[error("the comparison was cut off: {0}")]
    Link(#[from] LinkError),
    /// A task of the comparison panicked: a bug.
    #[error("a task of the comparison panicked: {0}")]
    Panicked(#[from] tokio::task::JoinError),
}
