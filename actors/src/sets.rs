//! Takeovers and moves of sets of vBuckets: one command for each vBucket, all queued at once, all
//! answered.

use std::collections::BTreeSet;

use mcbp::VbId;
use replica::bucket::{CommandError, MoveKind, VbFailure};

use crate::handle::ReplicationHandle;
use crate::status::Moved;

/// The result of moving a set of vBuckets; each is in one of the two lists.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MovedSet {
    /// The vBuckets that are active here now, in ascending order.
    pub moved: Vec<Moved>,
    /// The failures of the others.
    pub failures: Vec<VbFailure>,
}

impl ReplicationHandle {
    /// As [`Self::takeover`], for each of these vBuckets in turn. One that fails does not stop the
    /// others. A vBucket that is already being moved is a failure.
    ///
    /// # Errors
    /// [`CommandError::NoBucket`] or [`CommandError::NoProducer`]; nothing is moved then.
    pub async fn takeover_set(
        &self,
        bucket: &str,
        vbs: &BTreeSet<VbId>,
        from: &str,
    ) -> Result<MovedSet, CommandError> {
        self.start_moves(bucket, vbs, from, MoveKind::Takeover).await
    }

    /// As [`Self::move_vbucket`], for each of these vBuckets in turn; see [`Self::takeover_set`].
    ///
    /// # Errors
    /// As [`Self::takeover_set`].
    pub async fn move_set(
        &self,
        bucket: &str,
        vbs: &BTreeSet<VbId>,
        from: &str,
    ) -> Result<MovedSet, CommandError> {
        self.start_moves(bucket, vbs, from, MoveKind::WithData).await
    }

    async fn start_moves(
        &self,
        bucket: &str,
        vbs: &BTreeSet<VbId>,
        from: &str,
        kind: MoveKind,
    ) -> Result<MovedSet, CommandError> {
        let mut answers = Vec::new();
        for &vb in vbs {
            answers.push((vb, self.ask_for_move(bucket, vb, from, kind)?));
        }
        let mut set = MovedSet::default();
        for (vb, answer) in answers {
            match answer.await {
                Ok(moved) => set.moved.push(moved),
                Err(CommandError::Failed(failures)) => set.failures.extend(failures),
                // Every vBucket of the set has this error.
                Err(error @ CommandError::NoProducer { .. }) => return Err(error),
                Err(error) => {
                    let (bucket, producer) = (bucket.to_owned(), from.to_owned());
                    set.failures.push(VbFailure { bucket, producer, vb, cause: error.cause() });
                }
            }
        }
        Ok(set)
    }
}
