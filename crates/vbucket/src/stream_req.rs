//! The answer of a producer to STREAM_REQ: the checks are in the order of kv_engine.
//!
//! Permanent errors come before temporary ones (MB-25434); all checks come before a stream exists
//! (MB-38356).

use std::sync::Arc;

use mcbp::dcp::{StreamReq, stream_flags};
use mcbp::key::DEFAULT_COLLECTION;
use mcbp::{Seqno, Status, VbState};
use serde::Deserialize;

use crate::collections::{StreamFilter, VbCollections};
use crate::rollback::{History, Position, needs_rollback};
use crate::{DurableSeqnos, FailoverTable};

/// The state of a vBucket at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VbFacts {
    /// Its state.
    pub state: VbState,
    /// Its failover table.
    pub failover: FailoverTable,
    /// The highest durable seqno; only durable rows are streamed.
    pub high_seqno: Seqno,
    /// Start of the snapshot that contains `high_seqno`.
    pub snapshot_start: Seqno,
    /// End of the snapshot that contains `high_seqno`.
    pub snapshot_end: Seqno,
    /// Tombstones up to this seqno may be missing.
    pub purge_seqno: Seqno,
    /// Of its durable writes.
    pub durable: DurableSeqnos,
    /// Where its change history begins, 0 for none; the history on disk may begin later by now.
    pub history_start: Seqno,
    /// Its collections at `high_seqno`.
    pub collections: Arc<VbCollections>,
}

/// What the connection has negotiated, and whether it has a stream of the vBucket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConnectionFacts {
    /// Whether keys carry a collection prefix; only then may the request have a value.
    pub collections: bool,
    /// Whether the connection uses features that make NOOP mandatory.
    pub needs_noop: bool,
    /// Whether `enable_noop` was agreed.
    pub noop: bool,
    /// Whether a live stream of this vBucket, with the id of the request, is on the connection.
    pub streaming: bool,
    /// Whether `enable_stream_id` was agreed: then a request must have a stream id, else it must
    /// not.
    pub stream_ids: bool,
}

/// A stream that may begin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Granted {
    /// See [`stream_flags`].
    pub flags: u32,
    /// The last seqno that the consumer has.
    pub start: Seqno,
    /// The last seqno that the consumer asks for.
    pub end: Seqno,
    /// Start of the snapshot that contains `start`, or `start`; the first marker starts there.
    pub snapshot_start: Seqno,
    /// End of the snapshot that contains `start`, or `start`; the first marker does not end before
    /// it.
    pub snapshot_end: Seqno,
    /// Which rows the stream has.
    pub filter: StreamFilter,
}

/// Why no stream begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StreamRefusal {
    /// An error status.
    Status(Status),
    /// The consumer has to roll back to this seqno.
    Rollback(Seqno),
}

/// The flags that kv_engine 8.0 knows.
const KNOWN_FLAGS: u32 = stream_flags::TAKEOVER
    | stream_flags::DISK_ONLY
    | stream_flags::TO_LATEST
    | stream_flags::ACTIVE_ONLY
    | stream_flags::STRICT_VBUUID
    | stream_flags::FROM_LATEST
    | stream_flags::IGNORE_PURGED_TOMBSTONES;

/// Whether all flags of a request or of an ADD_STREAM are known.
pub(crate) const fn knows(flags: u32) -> bool {
    flags & !KNOWN_FLAGS == 0
}

/// Checks a request against the vBucket (`None` if it does not exist) and the connection.
///
/// # Errors
/// [`StreamRefusal`], which is the answer; then no stream begins.
pub fn check(
    request: &StreamReq<'_>,
    vb: Option<&VbFacts>,
    connection: ConnectionFacts,
) -> Result<Granted, StreamRefusal> {
    let refuse = |status| Err(StreamRefusal::Status(status));
    let has = |flag| request.flags & flag != 0;
    if !knows(request.flags) {
        return refuse(Status::EINVAL);
    }
    let Some(vb) = vb else { return refuse(Status::NOT_MY_VBUCKET) };
    let active_only = has(stream_flags::ACTIVE_ONLY) || has(stream_flags::TAKEOVER);
    match vb.state {
        VbState::Active => {}
        VbState::Replica if !active_only => {}
        _ => return refuse(Status::NOT_MY_VBUCKET),
    }
    if !request.value.is_empty() && !connection.collections {
        return refuse(Status::EINVAL);
    }
    if (connection.needs_noop || !request.value.is_empty()) && !connection.noop {
        return refuse(Status::NOT_SUPPORTED);
    }
    let range = Range::of(request, vb);
    if !range.is_ordered() {
        return refuse(Status::ERANGE);
    }
    let filter = Filter::parse(request.value).map_err(StreamRefusal::Status)?;
    if connection.stream_ids != filter.sid.is_some() {
        return refuse(Status::STREAM_ID_INVALID);
    }
    let rows = filter.rows(connection.collections, &vb.collections);
    let rows = rows.map_err(StreamRefusal::Status)?;
    if connection.streaming {
        return refuse(Status::KEY_EEXISTS);
    }
    if is_receiving_first_snapshot(vb) {
        return refuse(Status::ETMPFAIL);
    }
    if let Some(to) = range.rollback(request, vb, filter.purge_seqno) {
        return Err(StreamRefusal::Rollback(to));
    }
    // A consumer without any change of its snapshot may name a snapshot beyond our high seqno.
    if range.start > vb.high_seqno {
        return refuse(Status::ERANGE);
    }
    let Range { start, end, snapshot_start, snapshot_end, .. } = range;
    // At the start of a snapshot the consumer has nothing of it: any other snapshot may follow.
    let snapshot_end = if start == snapshot_start { start } else { snapshot_end };
    // At its end the consumer has all of it.
    let snapshot_start = if start == snapshot_end { start } else { snapshot_start };
    Ok(Granted { flags: request.flags, start, end, snapshot_start, snapshot_end, filter: rows })
}

/// The stream id in the value of a request, where it has one that can be read.
#[must_use]
pub fn stream_id(request: &StreamReq<'_>) -> Option<u16> {
    Filter::parse(request.value).ok()?.sid
}

/// A replica inside its first snapshot has no consistent state to stream (MB-31664).
fn is_receiving_first_snapshot(vb: &VbFacts) -> bool {
    vb.state == VbState::Replica
        && vb.snapshot_start == Seqno::ZERO
        && vb.high_seqno > Seqno::ZERO
        && vb.high_seqno < vb.snapshot_end
}

/// The range of a request after its flags were applied.
struct Range {
    start: Seqno,
    end: Seqno,
    snapshot_start: Seqno,
    snapshot_end: Seqno,
    from_latest: bool,
}

impl Range {
    fn of(request: &StreamReq<'_>, vb: &VbFacts) -> Self {
        let has = |flag| request.flags & flag != 0;
        let from_latest = has(stream_flags::FROM_LATEST);
        let latest_is_end = has(stream_flags::TO_LATEST) || has(stream_flags::DISK_ONLY);
        let end = if latest_is_end { vb.high_seqno } else { request.end };
        let (start, snapshot_start, snapshot_end) = if from_latest {
            (vb.high_seqno, vb.high_seqno, vb.high_seqno)
        } else {
            (request.start, request.snapshot_start, request.snapshot_end)
        };
        Self { start, end, snapshot_start, snapshot_end, from_latest }
    }

    fn is_ordered(&self) -> bool {
        self.start <= self.end
            && self.snapshot_start <= self.start
            && self.start <= self.snapshot_end
    }

    fn rollback(
        &self,
        request: &StreamReq<'_>,
        vb: &VbFacts,
        purge: Option<Seqno>,
    ) -> Option<Seqno> {
        if self.from_latest {
            return None;
        }
        let has = |flag| request.flags & flag != 0;
        let &Self { start, snapshot_start, snapshot_end, .. } = self;
        let position = Position { uuid: request.uuid, start, snapshot_start, snapshot_end, purge };
        let ignore_purged = has(stream_flags::IGNORE_PURGED_TOMBSTONES);
        let history = History {
            table: &vb.failover,
            high: vb.high_seqno,
            purge: if ignore_purged { Seqno::ZERO } else { vb.purge_seqno },
            strict_uuid: has(stream_flags::STRICT_VBUUID),
        };
        needs_rollback(&position, &history)
    }
}

/// The keys of the JSON value of STREAM_REQ. An object with none of them is refused.
const FILTER_KEYS: [&str; 6] = ["uid", "collections", "scope", "sid", "purge_seqno", "cts"];

/// The JSON value of STREAM_REQ. Its `uid` is not compared: kv_engine takes one that is ahead, too.
#[derive(Default, Deserialize)]
struct Filter {
    #[serde(default)]
    collections: Option<Vec<String>>,
    #[serde(default)]
    scope: Option<String>,
    #[serde(default, rename = "sid")]
    sid_number: Option<u64>,
    #[serde(skip)]
    sid: Option<u16>,
    #[serde(default, rename = "purge_seqno")]
    purge_seqno_text: Option<String>,
    #[serde(skip)]
    purge_seqno: Option<Seqno>,
}

impl Filter {
    fn parse(value: &[u8]) -> Result<Self, Status> {
        if value.is_empty() {
            return Ok(Self::default());
        }
        // Parsed as a map first, because serde reads a struct from an array too.
        let object: serde_json::Map<_, _> =
            serde_json::from_slice(value).map_err(|_| Status::EINVAL)?;
        if !FILTER_KEYS.iter().any(|key| object.contains_key(*key)) {
            return Err(Status::EINVAL);
        }
        let mut filter: Self = serde_json::from_value(object.into()).map_err(|_| Status::EINVAL)?;
        if filter.collections.is_some() && filter.scope.is_some() {
            return Err(Status::EINVAL);
        }
        // kv_engine takes the low 16 bits; an id of 0 is none.
        let sid = filter.sid_number.map(|sid| u16::try_from(sid & 0xffff).unwrap_or(0));
        filter.sid = sid.filter(|sid| *sid != 0);
        if sid == Some(0) {
            return Err(Status::STREAM_ID_INVALID);
        }
        if let Some(text) = &filter.purge_seqno_text {
            filter.purge_seqno = Some(Seqno(text.parse().map_err(|_| Status::EINVAL)?));
        }
        Ok(filter)
    }

    /// Which rows the stream has; fails where a collection or scope does not exist.
    fn rows(&self, with_events: bool, there: &VbCollections) -> Result<StreamFilter, Status> {
        let exists = |id: u32| there.get(id).map(|_| id).ok_or(Status::UNKNOWN_COLLECTION);
        if !with_events {
            return exists(DEFAULT_COLLECTION).map(|_| StreamFilter::Default);
        }
        if let Some(scope) = &self.scope {
            let id = hex_id(scope)?;
            return there.scope(id).map(|_| StreamFilter::Scope(id)).ok_or(Status::UNKNOWN_SCOPE);
        }
        let Some(ids) = &self.collections else { return Ok(StreamFilter::All) };
        let ids = ids.iter().map(|id| hex_id(id).and_then(exists));
        Ok(StreamFilter::Collections(ids.collect::<Result<_, _>>()?))
    }
}

fn hex_id(text: &str) -> Result<u32, Status> {
    u32::from_str_radix(text, 16).map_err(|_| Status::EINVAL)
}
