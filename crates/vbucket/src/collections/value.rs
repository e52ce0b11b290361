//! The FlatBuffers value of a system event: what its row has, and its frame in version 2.
//!
//! Fields and their numbers: `engines/ep/src/collections/events.fbs` of couchbase/kv_engine. Later
//! versions add fields at the end, which are ignored here.

use flatbuffers::{FlatBufferBuilder, TableFinishedWIPOffset, VOffsetT, WIPOffset};

use super::change::{Change, Collection, Flaw, Kind, SystemEvent};
use super::names::{MAX_TTL_SECONDS, NAME_BYTES_MAX, is_reserved};
use super::table::Table;

/// Numbers of the fields of a beginning or modified collection. Number 7 is kv_engine's own
/// bookkeeping of the default collection: not read, and left at its default of 0.
mod collection {
    pub(super) const TTL_VALID: u16 = 3;
    pub(super) const MAX_TTL: u16 = 4;
    pub(super) const NAME: u16 = 5;
    pub(super) const HISTORY: u16 = 6;
    pub(super) const METERED: u16 = 8;
    pub(super) const FLUSH_UID: u16 = 9;
}
/// Of every table.
const UID: u16 = 0;
/// Of every table.
const SCOPE_ID: u16 = 1;
/// Of tables of collections.
const COLLECTION_ID: u16 = 2;
const SCOPE_NAME: u16 = 2;
const SYSTEM_COLLECTION: u16 = 3;
const SYSTEM_SCOPE: u16 = 2;

/// Returns the value of an event.
pub(super) fn encode(event: &SystemEvent) -> Vec<u8> {
    let mut builder = FlatBufferBuilder::new();
    let root = match &event.change {
        Change::Begin { id, collection } | Change::Modify { id, collection } => {
            push_collection(&mut builder, event.uid, *id, collection)
        }
        Change::End { id, scope, is_system } => {
            let table = builder.start_table();
            builder.push_slot(slot(UID), event.uid, 0);
            builder.push_slot(slot(COLLECTION_ID), *id, 0);
            builder.push_slot(slot(SCOPE_ID), *scope, 0);
            builder.push_slot(slot(SYSTEM_COLLECTION), *is_system, false);
            builder.end_table(table)
        }
        Change::CreateScope { id, name } => {
            let name = builder.create_string(name);
            let table = builder.start_table();
            builder.push_slot(slot(UID), event.uid, 0);
            builder.push_slot_always(slot(SCOPE_NAME), name);
            builder.push_slot(slot(SCOPE_ID), *id, 0);
            builder.end_table(table)
        }
        Change::DropScope { id, is_system } => {
            let table = builder.start_table();
            builder.push_slot(slot(UID), event.uid, 0);
            builder.push_slot(slot(SCOPE_ID), *id, 0);
            builder.push_slot(slot(SYSTEM_SCOPE), *is_system, false);
            builder.end_table(table)
        }
    };
    builder.finish_minimal(root);
    builder.finished_data().to_vec()
}

/// Large fields first, and of the same size the last one first: so there is little padding, and the
/// bytes are those that kv_engine's generated code writes.
fn push_collection(
    builder: &mut FlatBufferBuilder<'_>,
    uid: u64,
    id: u32,
    of: &Collection,
) -> WIPOffset<TableFinishedWIPOffset> {
    let name = builder.create_string(&of.name);
    let table = builder.start_table();
    builder.push_slot(slot(collection::FLUSH_UID), of.flush_uid, 0);
    builder.push_slot(slot(UID), uid, 0);
    builder.push_slot_always(slot(collection::NAME), name);
    builder.push_slot(slot(collection::MAX_TTL), of.max_ttl.unwrap_or(0), 0);
    builder.push_slot(slot(COLLECTION_ID), id, 0);
    builder.push_slot(slot(SCOPE_ID), of.scope, 0);
    builder.push_slot(slot(collection::METERED), of.metered, false);
    builder.push_slot(slot(collection::HISTORY), of.history, false);
    builder.push_slot(slot(collection::TTL_VALID), of.max_ttl.is_some(), false);
    builder.end_table(table)
}

/// Returns where the header of a table has the place of a field.
fn slot(field: u16) -> VOffsetT {
    flatbuffers::field_index_to_field_offset(field)
}

/// Returns the event of a value of that kind. See [`check`] for the bounds.
pub(super) fn decode(kind: Kind, value: &[u8]) -> Result<SystemEvent, Flaw> {
    let table = Table::root(value)?;
    let scope = table.u32(SCOPE_ID)?;
    let change = match kind {
        Kind::Begin => Change::Begin { id: table.u32(COLLECTION_ID)?, collection: read(&table)? },
        Kind::Modify => Change::Modify { id: table.u32(COLLECTION_ID)?, collection: read(&table)? },
        Kind::End => {
            let is_system = table.bool(SYSTEM_COLLECTION)?;
            Change::End { id: table.u32(COLLECTION_ID)?, scope, is_system }
        }
        Kind::CreateScope => {
            Change::CreateScope { id: scope, name: name(table.bytes(SCOPE_NAME)?)? }
        }
        Kind::DropScope => Change::DropScope { id: scope, is_system: table.bool(SYSTEM_SCOPE)? },
    };
    Ok(SystemEvent { uid: table.u64(UID)?, change: check(change)? })
}

fn read(table: &Table<'_>) -> Result<Collection, Flaw> {
    let max_ttl = table.u32(collection::MAX_TTL)?;
    Ok(Collection {
        scope: table.u32(SCOPE_ID)?,
        name: name(table.bytes(collection::NAME)?)?,
        max_ttl: table.bool(collection::TTL_VALID)?.then_some(max_ttl),
        history: table.bool(collection::HISTORY)?,
        metered: table.bool(collection::METERED)?,
        flush_uid: table.u64(collection::FLUSH_UID)?,
    })
}

/// Returns a name from a peer. Its characters are not checked further: a later version of kv_engine
/// may allow more of them.
pub(super) fn name(bytes: Option<&[u8]>) -> Result<String, Flaw> {
    let bytes = bytes.filter(|bytes| !bytes.is_empty()).ok_or("a name is missing")?;
    if bytes.len() > NAME_BYTES_MAX {
        return Err("a name has more than 251 bytes");
    }
    str::from_utf8(bytes).map(str::to_owned).map_err(|_| "a name is not UTF-8")
}

/// Passes a change on whose ids are not reserved, and whose `max_ttl` is in range.
pub(super) fn check(change: Change) -> Result<Change, Flaw> {
    let (ids, max_ttl) = match &change {
        Change::Begin { id, collection } | Change::Modify { id, collection } => {
            ([*id, collection.scope], collection.max_ttl)
        }
        Change::End { id, scope, .. } => ([*id, *scope], None),
        Change::CreateScope { id, .. } | Change::DropScope { id, .. } => ([*id, *id], None),
    };
    if ids.into_iter().any(is_reserved) {
        return Err("ids 1 to 7 are reserved");
    }
    if max_ttl.is_some_and(|seconds| seconds > MAX_TTL_SECONDS) {
        return Err("a max_ttl is above 2147483647 seconds");
    }
    Ok(change)
}
