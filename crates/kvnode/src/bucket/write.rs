//! How a client's change gets into an active vBucket.
//!
//! One writer at a time for each key (striped locks), so that what was read before the change is
//! still true when the change is queued. Seqno, rev and CAS are assigned under the vBucket's lock,
//! in the critical section that queues the row: queue order is seqno order.

use std::sync::Arc;

use bytes::Bytes;
use mcbp::key::{DEFAULT_COLLECTION, collection_id};
use mcbp::{Seqno, VbState, VbUuid};
use vbucket::collections::Collection;
use vbucket::value::kept_by_deletion;
use vbucket::{Kind, Replaces, Row, hlc};

use super::advance::note;
use super::batch::{Answered, NewRow, Room};
use super::draft::{By, Draft, Stamped, Version, WriteRefusal, change_locked};
use super::error::{CommitError, VbError};
use super::pending_commit::PendingCommit;
use super::requirement::Requirement;
use super::stamp::{Stamp, stamped};
use super::vb::Vb;
use crate::clock;
use crate::sync::lock;

/// A replaced document of more memory is not passed to the store with the row that replaces it. The
/// store looks it up again, which needs no room in the queue; it does so anyway if the value is
/// large (1 KiB).
const REPLACED_BYTES_MAX: usize = 1280;

/// A change that is queued.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) row: Arc<Row>,
    pub(crate) uuid: VbUuid,
    pub(crate) commit: PendingCommit,
}

/// The outcome of one attempt.
enum Attempt {
    Done(Written),
    /// State or history is being changed: try again afterwards.
    Moving,
    /// The change needs this many bytes of room in the queue, more than was estimated.
    NeedsRoom(usize),
}

/// What [`Vb::queue_row`] needs beside the change.
struct Queueing {
    /// The epoch in which the replaced row was read.
    epoch: u64,
    replaces: Replaces,
    room: Room,
    stamps: Vec<Stamp>,
    /// If the change is to be durable.
    requirement: Option<Requirement>,
}

impl Vb {
    /// Changes a document of an active vBucket: `change` gets its newest row, also a queued one or
    /// a deletion, and returns the new version. It may be called more than once.
    pub(crate) async fn write<D: Into<Stamped>>(
        self: &Arc<Self>,
        key: Bytes,
        value_bytes: usize,
        by: By,
        mut change: impl FnMut(Option<&Row>) -> Result<D, WriteRefusal>,
    ) -> Result<Written, WriteRefusal> {
        let mut need = Row::OVERHEAD_BYTES + key.len() + value_bytes + REPLACED_BYTES_MAX;
        loop {
            let mut room = self.shared.queue.room(need).await.map_err(VbError::from)?;
            match self.attempt(&key, &mut room, by, &mut change)? {
                Attempt::Done(written) => return Ok(written),
                Attempt::NeedsRoom(bytes) => need = bytes,
                Attempt::Moving => {
                    drop(room);
                    self.settled().await?;
                }
            }
        }
    }

    /// Expires a document unless it was changed since it was found. Returns whether it did; the
    /// change becomes durable with the next commit.
    pub(crate) async fn expire(self: &Arc<Self>, key: Bytes) -> bool {
        self.try_expire(key).await.is_ok()
    }

    /// The same, with the reason where it did not: KEY_EEXISTS for a document that was changed.
    pub(super) async fn try_expire(self: &Arc<Self>, key: Bytes) -> Result<(), WriteRefusal> {
        let now = clock::unix_now();
        let change = |old: Option<&Row>| {
            old.filter(|row| row.is_expired_at(now))
                .map(|row| {
                    let (datatype, value) = kept_by_deletion(row.datatype, &row.value);
                    let kind = Kind::Expired { at: now };
                    Draft { version: Version::Ours, kind, datatype, value }
                })
                .ok_or(WriteRefusal::Status(mcbp::Status::KEY_EEXISTS))
        };
        self.write(key, 0, By::Node, change).await.map(drop)
    }

    fn attempt<D: Into<Stamped>>(
        self: &Arc<Self>,
        key: &Bytes,
        room: &mut Room,
        by: By,
        change: &mut impl FnMut(Option<&Row>) -> Result<D, WriteRefusal>,
    ) -> Result<Attempt, WriteRefusal> {
        let _writer = self.shared.keys.lock(self.id(), key).map_err(VbError::from)?;
        let requirement = by.requirement();
        if requirement.is_some() {
            self.check_durable(room.bytes())?;
        }
        let Some((epoch, locked)) = self.writable(key)? else { return Ok(Attempt::Moving) };
        let mut turn = None;
        let found = self.find(key, &mut turn)?;
        let (old, commit) = found.map_or((None, None), |found| (Some(found.row), found.commit));
        let is_queued = commit.is_some();
        // An overdue document is not there, and nothing that is not there is locked.
        let is_there = |old: &Arc<Row>| !old.is_expired_at(clock::unix_now());
        let locked = locked.filter(|_| old.as_ref().is_some_and(is_there));
        let change = match locked {
            None => change(old.as_deref()),
            Some(cas) => change_locked(cas, by, old.as_deref(), change),
        };
        let change = change.map_err(|refusal| match (refusal, commit) {
            (WriteRefusal::Status(status), Some(commit)) => WriteRefusal::After(status, commit),
            (refusal, _) => refusal,
        })?;
        let Stamped { mut draft, stamps } = change.into();
        let collections = self.collections();
        let id = collection_id(key).unwrap_or(DEFAULT_COLLECTION);
        let collection = collections.get(id).map(|known| &known.collection);
        limit_expiry(collection, &mut draft);
        let bytes = Row::OVERHEAD_BYTES + key.len() + draft.value.len();
        if !self.shared.queue.is_enough(room, bytes) {
            return Ok(Attempt::NeedsRoom(bytes));
        }
        // Also one that is queued: where that cannot be stored, nothing on top of it is.
        let known = old.as_ref().filter(|old| old.is_alive());
        let left = room.bytes().saturating_sub(bytes);
        // What is queued has room of its own. Those that have left the queue before what replaces
        // them were in it at one time, so they are no more than it holds.
        let bytes_of = |old: &Row| if is_queued { 0 } else { old.memory_bytes() };
        let fits =
            |old: &&Arc<Row>| old.memory_bytes() <= REPLACED_BYTES_MAX && bytes_of(old) <= left;
        let (replaces, replaced_bytes) = match known.filter(fits) {
            Some(old) => (Replaces::Row(Arc::clone(old)), bytes_of(old)),
            None if old.is_none() => (Replaces::Nothing, 0),
            None => (Replaces::Unknown, 0),
        };
        let room = room.split(bytes + replaced_bytes);
        let queueing = Queueing { epoch, replaces, room, stamps, requirement };
        self.queue_row(key, old.as_deref(), draft, queueing)
    }

    /// Checks that a durable write of so many bytes can be taken.
    fn check_durable(&self, bytes: usize) -> Result<(), WriteRefusal> {
        let inner = lock(&self.cell.inner);
        if inner.meta.state == VbState::Active && !inner.durable.monitor.is_possible() {
            let topology = Some(inner.meta.topology.clone()).filter(|text| !text.is_empty());
            let topology = topology.unwrap_or_else(|| "null".to_owned());
            return Err(WriteRefusal::Impossible { vb: self.id(), topology });
        }
        // More than all of it counts as all of it: a large document can be written once nothing
        // else waits (MB-24089).
        let bytes_max = self.shared.options.prepared_bytes_max();
        if self.shared.tracking.bytes() + bytes.min(bytes_max) > bytes_max {
            return Err(WriteRefusal::Status(mcbp::Status::ETMPFAIL));
        }
        Ok(())
    }

    /// Returns the epoch in which a client may write now, and the CAS of the lock of the document;
    /// `None` while the vBucket is moving.
    pub(super) fn writable(&self, key: &[u8]) -> Result<Option<(u64, Option<u64>)>, WriteRefusal> {
        let mut inner = lock(&self.cell.inner);
        match inner.meta.state {
            _ if inner.moving => Ok(None),
            _ if inner.removed => Err(VbError::NoVbucket(self.id()).into()),
            VbState::Active if self.is_held() || inner.branching => {
                Err(WriteRefusal::Status(mcbp::Status::ETMPFAIL))
            }
            VbState::Active => match inner.durable.monitor.blocked(key) {
                Some(blocked) => Err(WriteRefusal::Blocked(blocked)),
                None => Ok(Some((inner.epoch, inner.locks.find(key)))),
            },
            state => Err(VbError::WrongState { vb: self.id(), state }.into()),
        }
    }

    fn queue_row(
        self: &Arc<Self>,
        key: &Bytes,
        old: Option<&Row>,
        draft: Draft,
        queueing: Queueing,
    ) -> Result<Attempt, WriteRefusal> {
        let Queueing { epoch, replaces, room, stamps, requirement } = queueing;
        let mut inner = lock(&self.cell.inner);
        if inner.epoch != epoch {
            return Ok(Attempt::Moving);
        }
        // Under the lock: those that come before are answered by whoever stops the node.
        if requirement.is_some() && self.shared.tracking.is_stopping() {
            return Err(VbError::from(CommitError::Closed).into());
        }
        let exhausted = |counter| VbError::Exhausted { vb: self.id(), counter };
        let seqno = inner.tail.seqno.successor().ok_or_else(|| exhausted("seqno"))?;
        let next_rev = || old.map_or(inner.tail.max_deleted_rev, |row| row.rev).checked_add(1);
        let next_cas = || hlc::next_cas(clock::unix_now_ns(), inner.tail.max_cas);
        let (rev, cas) = match draft.version {
            Version::Ours => (next_rev().ok_or_else(|| exhausted("rev"))?, None),
            Version::Theirs { rev, cas } => (rev, cas),
        };
        let cas = cas.or_else(next_cas).ok_or_else(|| exhausted("CAS"))?;
        let row = Row {
            key: key.clone(),
            seqno,
            rev,
            cas,
            datatype: draft.datatype,
            kind: draft.kind,
            prepared: Seqno::ZERO,
            value: stamped(draft.value, &stamps, cas, seqno),
        };
        // What a prepare replaces is the row of an abort, if there is one.
        let (row, replaces) = match requirement {
            None => (row, replaces),
            Some(Requirement { level, .. }) => (row.prepared(level), Replaces::Unknown),
        };
        let row = Arc::new(row);
        let answered = match requirement {
            None if self.shared.options.memory_first => Answered::Queued,
            None => Answered::StoredByAnyone,
            Some(_) => Answered::Stored,
        };
        let new = NewRow { row: Arc::clone(&row), replaces, completes: None, answered };
        let queued = self.shared.queue.push_row(&self.cell, &mut inner, new, room);
        let mut commit = queued.map_err(VbError::from)?;
        // Whoever may change a document is the owner of its lock.
        inner.locks.release(key);
        if let Some(requirement) = requirement {
            commit = PendingCommit::of_durable_write(self.id(), requirement.patience());
            let deadline = self.shared.tracking.now() + requirement.patience();
            inner.durable.prepare(Arc::clone(&row), deadline, commit.clone());
            note(&self.shared, self.id(), &mut inner);
        }
        Ok(Attempt::Done(Written { row, uuid: inner.meta.failover.newest().uuid, commit }))
    }
}

/// A document lives no longer than its collection lets it, also one from another cluster.
fn limit_expiry(collection: Option<&Collection>, draft: &mut Draft) {
    let Kind::Document { flags, expiry } = draft.kind else { return };
    if let Some(max_ttl @ 1..) = collection.and_then(|collection| collection.max_ttl) {
        let latest = clock::unix_now().saturating_add(max_ttl);
        let expiry = if expiry == 0 { latest } else { expiry.min(latest) };
        draft.kind = Kind::Document { flags, expiry };
    }
}
