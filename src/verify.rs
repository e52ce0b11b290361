//! Reads the vBuckets of two nodes over the wire and compares them.
//!
//! Only the two changes under comparison are kept, so memory does not grow with the data. `reader`
//! reads one node.

mod reader;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use mcbp::{FrameError, Seqno, VbId};
use relay::{Client, Deadlines, Endpoint, LinkError, Login};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::reader::NodeReader;
use crate::compare::{self, Difference, Names};
use crate::screen::Bar;
use crate::watch::SEQNO_FEATURES;

/// Pairs of connections that read side by side.
const LANES: usize = 4;
/// How many differences are kept; the first ones are enough to see what is wrong.
const DIFFERENCES_MAX: usize = 20;
/// How often the bar moves.
const TICK: Duration = Duration::from_millis(100);

/// What to compare.
#[derive(Clone, Debug)]
pub struct Verify {
    /// The node that changes come from.
    pub producer: Endpoint,
    /// The node that changes go to.
    pub consumer: Endpoint,
    /// The bucket.
    pub bucket: String,
    /// The vBuckets.
    pub vbs: Vec<VbId>,
}

/// The result of the comparison.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Verified {
    /// How many vBuckets were compared.
    pub vbuckets: usize,
    /// How many documents and deletions were compared.
    pub changes: u64,
    /// The first differences that were found.
    pub differences: Vec<Difference>,
    /// How many there were in all.
    pub difference_count: u64,
}

impl Verified {
    /// Whether both nodes have the same data.
    #[must_use]
    pub const fn is_identical(&self) -> bool {
        self.difference_count == 0
    }

    fn note(&mut self, vb: VbId, what: String) {
        self.difference_count += 1;
        if self.differences.len() < DIFFERENCES_MAX {
            self.differences.push(Difference { vb, what });
        }
    }

    fn add(&mut self, other: Self) {
        self.vbuckets += other.vbuckets;
        self.changes += other.changes;
        self.difference_count += other.difference_count;
        let room = DIFFERENCES_MAX.saturating_sub(self.differences.len());
        self.differences.extend(other.differences.into_iter().take(room));
    }
}

/// Why the comparison failed.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A connection failed.
    #[error("the comparison was cut off: {0}")]
    Link(#[from] LinkError),
    /// A node sent a malformed change.
    #[error("the comparison was cut off: {node} sent a malformed change: {source}")]
    Malformed {
        /// The node.
        node: String,
        /// What is wrong with it.
        source: FrameError,
    },
    /// A task of the comparison panicked: a bug.
    #[error("a task of the comparison panicked: {0}")]
    Panicked(#[from] tokio::task::JoinError),
}

/// Compares both nodes: high seqnos, failover logs, and every change. Stops early and returns what
/// was compared so far when `stop` is cancelled.
///
/// # Errors
/// A [`VerifyError`] where a node cannot be read at all. A vBucket that one of them refuses is a
/// difference.
pub async fn verify(
    what: &Verify,
    bar: &mut Bar,
    stop: &CancellationToken,
) -> Result<Verified, VerifyError> {
    let (mut verified, ranges) = compare_states(what).await?;
    let done = Arc::new(AtomicU64::new(verified.vbuckets as u64));
    let mut lanes = JoinSet::new();
    for number in 0..LANES {
        let ranges = ranges.iter().skip(number).step_by(LANES).copied().collect();
        let lane = Lane { what: what.clone(), number, ranges, done: Arc::clone(&done) };
        lanes.spawn(lane.run(stop.clone()));
    }
    let mut tick = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            finished = lanes.join_next() => match finished {
                Some(finished) => verified.add(finished??),
                None => return Ok(verified),
            },
            _ = tick.tick() => bar.set(done.load(Relaxed), "vBuckets compared".to_owned()),
        }
    }
}

/// The high seqnos of a vBucket on both nodes.
type Highs = (Seqno, Seqno);

/// Compares seqnos and failover logs. Returns the vBuckets that both nodes have, which are to be
/// read; for the others the comparison ends here.
async fn compare_states(what: &Verify) -> Result<(Verified, Vec<(VbId, Highs)>), VerifyError> {
    let login = Login {
        bucket: Some(&what.bucket),
        agent: "dcp-proxy/verify",
        features: &SEQNO_FEATURES,
        deadlines: Deadlines::default(),
    };
    let mut left = Client::connect(&what.producer, login).await?;
    let mut right = Client::connect(&what.consumer, login).await?;
    left.require(&SEQNO_FEATURES)?;
    right.require(&SEQNO_FEATURES)?;
    let left_seqnos: BTreeMap<_, _> = left.get_all_vb_seqnos().await?.into_iter().collect();
    let right_seqnos: BTreeMap<_, _> = right.get_all_vb_seqnos().await?.into_iter().collect();
    let names = what.names();
    let (mut verified, mut on_both) = (Verified::default(), Vec::new());
    for &vb in &what.vbs {
        let (l, r) = (left_seqnos.get(&vb).copied(), right_seqnos.get(&vb).copied());
        if let Some(difference) = compare::seqnos(names, l, r) {
            verified.note(vb, difference);
        }
        let (Some(l), Some(r)) = (l, r) else {
            verified.vbuckets += 1;
            continue;
        };
        let (l_log, r_log) = (left.failover_log(vb).await?, right.failover_log(vb).await?);
        if let Some(difference) = compare::failover_logs(names, &l_log, &r_log) {
            verified.note(vb, difference);
        }
        on_both.push((vb, (l, r)));
    }
    Ok((verified, on_both))
}

impl Verify {
    fn names(&self) -> Names<'_> {
        Names { left: &self.producer.name, right: &self.consumer.name }
    }
}

/// A share of the vBuckets, read over its own pair of connections.
struct Lane {
    what: Verify,
    number: usize,
    ranges: Vec<(VbId, Highs)>,
    done: Arc<AtomicU64>,
}

impl Lane {
    async fn run(self, stop: CancellationToken) -> Result<Verified, VerifyError> {
        let (mut left, mut right) =
            (self.open(&self.what.producer).await?, self.open(&self.what.consumer).await?);
        let mut verified = Verified::default();
        for &(vb, (left_high, right_high)) in &self.ranges {
            if stop.is_cancelled() {
                break;
            }
            left.start(vb, left_high);
            right.start(vb, right_high);
            self.compare(vb, &mut left, &mut right, &mut verified).await?;
            verified.vbuckets += 1;
            self.done.fetch_add(1, Relaxed);
        }
        Ok(verified)
    }

    async fn open(&self, endpoint: &Endpoint) -> Result<NodeReader, VerifyError> {
        let name = format!("dcp-proxy-verify:{}:{}", self.what.bucket, self.number);
        NodeReader::open(endpoint, &self.what.bucket, &name).await
    }

    async fn compare(
        &self,
        vb: VbId,
        left: &mut NodeReader,
        right: &mut NodeReader,
        verified: &mut Verified,
    ) -> Result<(), VerifyError> {
        tokio::try_join!(left.advance(), right.advance())?;
        loop {
            let (l, r) = (left.change()?, right.change()?);
            let Some((advance, difference)) =
                compare::step(self.what.names(), l.as_ref(), r.as_ref())
            else {
                break;
            };
            verified.changes += 1;
            if let Some(difference) = difference {
                verified.note(vb, difference);
            }
            tokio::try_join!(left.advance_if(advance.left), right.advance_if(advance.right))?;
        }
        for side in [left, right] {
            if let Some(refusal) = side.take_refusal() {
                verified.note(vb, format!("could not be read from {}: {refusal}", side.node()));
            }
        }
        Ok(())
    }
}
