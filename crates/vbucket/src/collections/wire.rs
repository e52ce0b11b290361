//! The `DCP_SYSTEM_EVENT` frame of a system event.
//!
//! Versions 0 and 1 have big-endian numbers as their value: the uid, then ids, and in version 1
//! `max_ttl`. Version 2 has the value of the row, and is sent where the consumer asked for it with
//! the control `flatbuffers_system_events`.

use bytes::{BufMut as _, BytesMut};
use mcbp::{Frame, FrameError, Opaque, Seqno, VbId, dcp};

use super::change::{Change, Collection, Flaw, Kind, SystemEvent};
use super::value;

/// The version of a value that is FlatBuffers.
const FLATBUFFERS: u8 = 2;

impl SystemEvent {
    /// Appends the `DCP_SYSTEM_EVENT` frame to `out`: with `flatbuffers` in version 2, else in
    /// version 1 for a collection that begins with a `max_ttl`, and in version 0 for all others.
    ///
    /// Returns false, and writes nothing, for a [`Change::Modify`] without `flatbuffers`: there is
    /// no such frame. Without FlatBuffers a consumer does not learn history, metering and flush
    /// uid, nor which collections and scopes are the system's.
    pub fn write(
        &self,
        seqno: Seqno,
        vb: VbId,
        opaque: Opaque,
        flatbuffers: bool,
        out: &mut BytesMut,
    ) -> bool {
        let kind = self.change.kind();
        let (version, value) = if flatbuffers {
            (FLATBUFFERS, value::encode(self))
        } else if kind == Kind::Modify {
            return false;
        } else {
            self.plain()
        };
        let key = match &self.change {
            Change::Begin { collection, .. } | Change::Modify { collection, .. } => {
                collection.name.as_str()
            }
            Change::CreateScope { name, .. } => name,
            Change::End { .. } | Change::DropScope { .. } => "",
        };
        let body = dcp::SystemEvent { seqno, event: kind as u32, version };
        body.write(vb, opaque, key.as_bytes(), &value, out);
        true
    }

    /// Returns version and value without FlatBuffers.
    fn plain(&self) -> (u8, Vec<u8>) {
        let mut value = Vec::with_capacity(20);
        value.put_u64(self.uid);
        let mut version = 0;
        match &self.change {
            Change::Begin { id, collection } | Change::Modify { id, collection } => {
                value.put_u32(collection.scope);
                value.put_u32(*id);
                if let Some(max_ttl) = collection.max_ttl {
                    value.put_u32(max_ttl);
                    version = 1;
                }
            }
            Change::End { id, scope, .. } => {
                value.put_u32(*scope);
                value.put_u32(*id);
            }
            Change::CreateScope { id, .. } | Change::DropScope { id, .. } => value.put_u32(*id),
        }
        (version, value)
    }

    /// Reads a `DCP_SYSTEM_EVENT` frame of version 0, 1 or 2.
    ///
    /// What versions 0 and 1 do not have is false or 0. In version 2 the value alone counts; the
    /// key has the same name once more.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] for an unknown event or version, a value that is too short or
    /// whose offsets point outside of it, a name that is not UTF-8, empty or longer than
    /// [`super::NAME_BYTES_MAX`], an id that is reserved, and a `max_ttl` above
    /// [`super::MAX_TTL_SECONDS`].
    pub fn decode(frame: &Frame<'_>) -> Result<(Seqno, Self), FrameError> {
        let body = dcp::SystemEvent::decode(frame)?;
        let kind = Kind::from_number(body.event).ok_or("an unknown system event");
        let event = kind.and_then(|kind| match body.version {
            FLATBUFFERS => value::decode(kind, frame.value),
            version => read_plain(kind, version, frame),
        });
        event.map(|event| (body.seqno, event)).map_err(|flaw| frame.malformed(flaw))
    }
}

fn read_plain(kind: Kind, version: u8, frame: &Frame<'_>) -> Result<SystemEvent, Flaw> {
    let (uid, rest) = frame.value.split_first_chunk::<8>().ok_or("the uid is cut off")?;
    let (numbers, rest) = rest.as_chunks::<4>();
    let is_whole = rest.is_empty();
    let numbers: Vec<u32> = numbers.iter().map(|number| u32::from_be_bytes(*number)).collect();
    let change = match (kind, version, numbers.as_slice()) {
        (Kind::Begin, 0, &[scope, id]) => begin(frame, scope, id, None)?,
        (Kind::Begin, 1, &[scope, id, max_ttl]) => begin(frame, scope, id, Some(max_ttl))?,
        (Kind::End, 0, &[scope, id]) => Change::End { id, scope, is_system: false },
        (Kind::CreateScope, 0, &[id]) => {
            Change::CreateScope { id, name: value::name(Some(frame.key))? }
        }
        (Kind::DropScope, 0, &[id]) => Change::DropScope { id, is_system: false },
        _ => return Err("the value does not have the form of its event and version"),
    };
    if !is_whole {
        return Err("a number of the value is cut off");
    }
    Ok(SystemEvent { uid: u64::from_be_bytes(*uid), change: value::check(change)? })
}

fn begin(frame: &Frame<'_>, scope: u32, id: u32, max_ttl: Option<u32>) -> Result<Change, Flaw> {
    let name = value::name(Some(frame.key))?;
    let collection =
        Collection { scope, name, max_ttl, history: false, metered: false, flush_uid: 0 };
    Ok(Change::Begin { id, collection })
}
