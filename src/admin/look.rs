//! Looks at replication for everybody who watches it: one reading of the status serves all within
//! half a second, so that the cost does not grow with the number of browsers.

use std::sync::{Arc, Mutex as Shared, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use dcp_actors::BucketStatus;
use tokio::sync::Mutex;

use super::error::ApiError;
use super::history::History;
use super::memory::Memory;
use super::problems::{self, Problem};
use super::state::State;
use crate::config::Certificate;

/// How old a reading may be that is given to another client.
const AGE_MAX: Duration = Duration::from_millis(500);

/// A reading of the status.
#[derive(Debug)]
pub(super) struct Look {
    /// When it was read.
    pub(super) at: Instant,
    /// The same by the calendar.
    pub(super) time: SystemTime,
    /// The status of each bucket; empty before replication has started.
    pub(super) buckets: Vec<BucketStatus>,
    /// What is wrong.
    pub(super) problems: Vec<Problem>,
}

/// What is known from looking, shared by all who do.
#[derive(Debug, Default)]
pub(super) struct Watched {
    /// The last reading. Who reads anew holds the lock, so that others wait for that reading.
    last: Mutex<Option<Arc<Look>>>,
    memory: Shared<Memory>,
    history: Shared<History>,
    slow: Shared<Slow>,
}

/// What takes a disk to know.
#[derive(Debug, Default)]
pub(super) struct Slow {
    /// Documents and bytes of each node inside this process; `None` for one that has ended.
    pub(super) weighed: Vec<Option<(u64, u64)>>,
    /// When the first certificate of each file expires, in seconds since 1970.
    pub(super) certificates: Vec<(Certificate, i64)>,
}

impl Watched {
    /// A reading that is fresh enough, and what is remembered is up to date with it.
    pub(super) async fn look(&self, state: &State) -> Result<Arc<Look>, ApiError> {
        let mut last = self.last.lock().await;
        if let Some(look) = &*last
            && look.at.elapsed() < AGE_MAX
        {
            return Ok(Arc::clone(look));
        }
        let buckets = state.status().await?;
        let (at, time) = (Instant::now(), SystemTime::now());
        let certificates = self.slow().certificates.clone();
        let mut memory = self.memory();
        memory.update(&buckets, at, time);
        let mut problems = problems::of(state, &buckets, memory.growing(), certificates, time);
        memory.date(&mut problems, time);
        drop(memory);
        let look = Arc::new(Look { at, time, buckets, problems });
        *last = Some(Arc::clone(&look));
        Ok(look)
    }

    /// What is remembered from one look to the next.
    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What passed in the last hour.
    pub(super) fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is read from the disk every few seconds.
    pub(super) fn slow(&self) -> MutexGuard<'_, Slow> {
        self.slow.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
