//! How a client locks a document and gives the lock back. Other clients still read it, with a CAS
//! that fits nothing; who changes it needs the CAS of the lock.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mcbp::Status;
use vbucket::hlc;

use super::draft::{Found, WriteRefusal};
use super::error::VbError;
use super::pending_commit::PendingCommit;
use super::vb::Vb;

use crate::clock;
use crate::sync::lock;

/// The outcome of one attempt.
enum Attempt {
    Locked(Found, u64),
    /// State or history is being changed: try again afterwards.
    Moving,
    /// The document is not durable yet: try again afterwards.
    Queued(PendingCommit),
}

impl Vb {
    /// Locks a document of an active vBucket for `time`, or for [`super::LOCK_TIME_MAX`] if that
    /// is less. Returns it with the CAS of the lock; its value may be left on the disk.
    ///
    /// # Errors
    /// `KEY_ENOENT`, `LOCKED`, `ETMPFAIL` while the vBucket has too many locks.
    pub(crate) async fn lock_document(
        self: &Arc<Self>,
        key: &Bytes,
        value_bytes_max: usize,
        time: Duration,
    ) -> Result<(Found, u64), WriteRefusal> {
        loop {
            match self.try_lock(key, value_bytes_max, time)? {
                Attempt::Locked(found, cas) => return Ok((found, cas)),
                Attempt::Moving => self.settled().await?,
                // What is locked is there, also if the disk fails. The outcome is seen again.
                Attempt::Queued(commit) => drop(commit.wait().await),
            }
        }
    }

    fn try_lock(
        &self,
        key: &Bytes,
        value_bytes_max: usize,
        time: Duration,
    ) -> Result<Attempt, WriteRefusal> {
        let refused = |status| Err(WriteRefusal::Status(status));
        // No writer changes the document between the look and the lock.
        let _writer = self.shared.keys.lock(self.id(), key).map_err(VbError::from)?;
        let Some((epoch, held)) = self.writable(key)? else {
            return Ok(Attempt::Moving);
        };
        let found = self.find_up_to(key, value_bytes_max)?;
        let now = clock::unix_now();
        let alive = |found: &Found| found.row.is_there_at(now);
        let Some(found) = found.filter(alive) else { return refused(Status::KEY_ENOENT) };
        if held.is_some() {
            return refused(Status::LOCKED);
        }
        if let Some(commit) = &found.commit {
            return Ok(Attempt::Queued(commit.clone()));
        }
        let mut inner = lock(&self.cell.inner);
        if inner.epoch != epoch {
            return Ok(Attempt::Moving);
        }
        let exhausted = || VbError::Exhausted { vb: self.id(), counter: "CAS" };
        let cas = hlc::next_cas(clock::unix_now_ns(), inner.tail.max_cas).ok_or_else(exhausted)?;
        if inner.locks.take(key, cas, time).is_err() {
            return refused(Status::ETMPFAIL);
        }
        inner.tail.max_cas = cas;
        Ok(Attempt::Locked(found, cas))
    }

    /// Ends the lock with this CAS.
    ///
    /// # Errors
    /// `KEY_ENOENT`, `NOT_LOCKED`, or `LOCKED` where the lock has another CAS.
    pub(crate) async fn unlock_document(
        self: &Arc<Self>,
        key: &Bytes,
        cas: u64,
    ) -> Result<(), WriteRefusal> {
        while !self.try_unlock(key, cas)? {
            self.settled().await?;
        }
        Ok(())
    }

    /// Returns false while the vBucket is moving.
    fn try_unlock(&self, key: &Bytes, cas: u64) -> Result<bool, WriteRefusal> {
        let _writer = self.shared.keys.lock(self.id(), key).map_err(VbError::from)?;
        let Some((_, held)) = self.writable(key)? else { return Ok(false) };
        let status = match held {
            Some(held) if held == cas => {
                lock(&self.cell.inner).locks.release(key);
                return Ok(true);
            }
            Some(_) => Status::LOCKED,
            None => {
                let found = self.find_up_to(key, 0)?;
                let now = clock::unix_now();
                let alive = found.filter(|it| it.row.is_there_at(now));
                if alive.is_some() { Status::NOT_LOCKED } else { Status::KEY_ENOENT }
            }
        };
        Err(WriteRefusal::Status(status))
    }
}
