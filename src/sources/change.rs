//! A change at run time: on disk, then in the running replication, then answered.

use std::sync::PoisonError;
use std::time::Duration;

use dcp_actors::{CommandError, ReplicationHandle};
use desired::{BucketMaps, Change, Diff, Entry, Refusal};
use events::{Kind, Level};
use replica::bucket::CHANGES_MAX;
use replica::plan::{Desired, VbSet};
use tokio::time::timeout;

use super::maps::producers;
use super::{BucketDropped, Maps, Sources, StateError, mark, now_ms};

/// How long a change waits for earlier ones of its bucket: as long as replication itself lets a
/// command wait for others.
const TURN_WAIT: Duration = Duration::from_secs(90);

/// What a change led to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Changed {
    /// Open streams of the bucket.
    pub open: usize,
    /// The revision of the bucket after it.
    pub revision: u64,
}

/// Why a change was refused, or did not have its full effect.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// By the rules; nothing has changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It could not be written; nothing has changed.
    #[error(transparent)]
    State(#[from] StateError),
    /// By replication. With [`CommandError::Failed`] the change is in force, and the streams that
    /// failed are retried; otherwise nothing has changed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// Earlier changes of the bucket take too long; nothing has changed.
    #[error("an earlier change of bucket {bucket} is still in progress; try again later")]
    Busy {
        /// The bucket.
        bucket: String,
    },
    /// Replication has not started yet.
    #[error("replication has not started yet")]
    NotStarted,
}

impl Sources {
    /// Applies a change on behalf of `by`. Where `expected` is given, only if it is the bucket's
    /// revision. Waits until the streams concerned are open, closed or failed.
    ///
    /// # Errors
    /// A [`ChangeError`].
    pub async fn change(
        &self,
        bucket: &str,
        change: Change,
        by: &str,
        expected: Option<u64>,
    ) -> Result<Changed, ChangeError> {
        let running = self.0.running.get().ok_or(ChangeError::NotStarted)?;
        if self.maps().bucket(bucket).is_none() {
            return Err(no_bucket(bucket));
        }
        let _place = Place::take(self, bucket)?;
        let turn = self.turn(bucket);
        let busy = |_| ChangeError::Busy { bucket: bucket.to_owned() };
        let _turn = timeout(TURN_WAIT, turn.lock()).await.map_err(busy)?;
        let (before, after) = self.apply(bucket, &change, by, expected).await?;
        if before != after {
            let kind = match &change {
                Change::Pause(_) => Kind::Paused,
                Change::Resume(_) => Kind::Resumed,
                _ => Kind::DesiredChanged,
            };
            let text = format!("{change}, by {by}");
            self.0.events.note(Level::Info, kind, Some(bucket), text);
        }
        let asked = ask(&running.replication, bucket, &change, &after).await;
        match asked {
            Ok(open) => Ok(Changed { open, revision: after.revision() }),
            Err(error @ CommandError::Failed(_)) => Err(error.into()),
            Err(error) => {
                self.undo(bucket, before, &after).await?;
                Err(error.into())
            }
        }
    }

    /// What a change would open and close. Of a change of the map also what is paused, because it
    /// would not come back when it is resumed; the second value is those.
    ///
    /// # Errors
    /// [`ChangeError::Refused`], or [`CommandError::NoBucket`].
    pub fn plan(
        &self,
        bucket: &str,
        change: &Change,
        by: &str,
    ) -> Result<(Diff, VbSet), ChangeError> {
        let maps = self.maps();
        let before = maps.bucket(bucket).ok_or_else(|| no_bucket(bucket))?;
        let mut after = before.clone();
        after.change(change, &mark(by))?;
        if matches!(change, Change::Pause(_) | Change::Resume(_)) {
            let diff = Diff::between(&before.in_force().replicate, &after.in_force().replicate);
            return Ok((diff, VbSet::default()));
        }
        let diff = Diff::between(&before.wanted_elsewhere(), &after.wanted_elsewhere());
        let paused = before.paused();
        let closed = diff.closes.values().flat_map(VbSet::iter);
        let paused = closed.filter(|vb| paused.as_set().contains(vb)).collect();
        Ok((diff, paused))
    }

    /// Drops the overlay of one bucket or of all, and lets replication follow. Returns what was
    /// dropped.
    ///
    /// # Errors
    /// A [`StateError`]; nothing has changed then.
    pub async fn discard(&self, bucket: Option<&str>) -> Result<Vec<BucketDropped>, StateError> {
        let dropped =
            self.update(|maps| Ok::<_, StateError>(maps.discard(bucket, now_ms()))).await?;
        self.tell_dropped(&dropped);
        self.0.unsettled.notify_one();
        Ok(dropped)
    }

    /// Takes what the source says of a bucket now, and lets replication follow.
    pub async fn follow_source(&self, bucket: &str, entry: Entry) {
        let producers = producers(&self.config());
        let follow = |maps: &mut Maps| maps.follow_one(bucket, entry, &producers, now_ms());
        let dropped = self.follow_with(follow).await;
        let text = "the source has another map";
        self.0.events.note(Level::Info, Kind::DesiredChanged, Some(bucket), text);
        self.tell_dropped(&dropped);
        self.0.unsettled.notify_one();
    }

    /// Writes a change down. Returns the bucket before and after it.
    async fn apply(
        &self,
        bucket: &str,
        change: &Change,
        by: &str,
        expected: Option<u64>,
    ) -> Result<(BucketMaps, BucketMaps), ChangeError> {
        self.update(|maps| {
            let maps = maps.bucket_mut(bucket).ok_or_else(|| no_bucket(bucket))?;
            let (before, actual) = (maps.clone(), maps.revision());
            if let Some(expected) = expected.filter(|&expected| expected != actual) {
                return Err(Refusal::Revision { expected, actual }.into());
            }
            maps.change(change, &mark(by))?;
            Ok((before, maps.clone()))
        })
        .await
    }

    /// Takes back what replication never began, unless the source has replaced it since.
    async fn undo(
        &self,
        bucket: &str,
        before: BucketMaps,
        after: &BucketMaps,
    ) -> Result<(), StateError> {
        let undone = self.update(|maps| {
            if let Some(maps) = maps.bucket_mut(bucket) {
                maps.undo(before, after);
            }
            Ok(())
        });
        undone.await
    }
}

/// A place among the changes of a bucket that wait or are in progress.
struct Place<'a>(&'a Sources, &'a str);

impl<'a> Place<'a> {
    fn take(sources: &'a Sources, bucket: &'a str) -> Result<Self, CommandError> {
        let mut asked = sources.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = asked.entry(bucket.to_owned()).or_default();
        if *count >= CHANGES_MAX {
            return Err(CommandError::Busy { waiting: *count });
        }
        *count += 1;
        Ok(Self(sources, bucket))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let Self(sources, bucket) = self;
        let mut asked = sources.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = asked.get_mut(*bucket) {
            *count -= 1;
        }
    }
}

fn no_bucket(bucket: &str) -> ChangeError {
    CommandError::NoBucket { bucket: bucket.to_owned() }.into()
}

/// Has replication carry out a change. What is paused stays closed.
async fn ask(
    replication: &ReplicationHandle,
    bucket: &str,
    change: &Change,
    after: &BucketMaps,
) -> Result<usize, CommandError> {
    let in_force = after.in_force();
    let open = |sets: &Desired| -> Result<Desired, CommandError> {
        let wanted = |vb| in_force.replicate.source(vb).is_some();
        let sets = sets.producers().iter().map(|(producer, set)| {
            (producer.clone(), set.iter().filter(|&vb| wanted(vb)).collect::<VbSet>())
        });
        Ok(Desired::new(sets.collect())?)
    };
    match change {
        Change::Replace(_) => {
            let sets = in_force.replicate.producers().iter();
            let sets = sets.map(|(name, set)| (name.clone(), set.as_set().clone()));
            replication.set_desired(bucket, sets.collect()).await
        }
        Change::Add(added) => replication.add_desired(bucket, open(added)?).await,
        Change::One { vb, .. } => {
            let from = in_force.replicate.source(*vb);
            replication.set_stream(bucket, *vb, from).await
        }
        Change::Connections(connections) => {
            replication.set_connections(bucket, connections.count()).await
        }
        Change::Remove(_) | Change::Pause(_) | Change::Resume(_) => {
            replication.follow(bucket, in_force.replicate, in_force.connections).await
        }
    }
}
