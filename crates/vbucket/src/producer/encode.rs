//! Encodes rows as the frames of one producer connection.
//!
//! A row is written from its own bytes. Only a value that the connection does not accept as it is
//! stored (compressed without snappy, extended attributes without the flag) is copied.

use std::borrow::Cow;

use bytes::BytesMut;
use mcbp::dcp::{
    Abort, Commit, Deletion, Expiration, Mutation, Prepare, STREAM_ID_BYTES, SeqnoAdvanced, Target,
    open_flags, push_stream_id,
};
use mcbp::framing::Level;
use mcbp::key::{KEY_BYTES_MAX, without_prefix};
use mcbp::{Datatype, Opaque, Seqno, VbId};

use super::settings::{OutOfOrder, ProducerOptions, Settings};
use crate::collections::{StreamFilter, SystemEvent};
use crate::value::{INFLATED_BYTES_MAX, body, deflate, inflate, kept_by_deletion};
use crate::{Kind, Row, Write};

/// The NRU value that kv_engine gives a document whose use was not counted.
const NRU_INITIAL: u8 = 4;

/// Header, stream id and extras of the longest frame of a row.
const FRAME_OVERHEAD_BYTES_MAX: usize = mcbp::HEADER_BYTES + STREAM_ID_BYTES + 31;

/// How rows are encoded on one connection. Cheap to copy: each backfill has a copy.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RowEncoder {
    options: ProducerOptions,
    expiry_opcode: bool,
    compresses: bool,
    flatbuffers_events: bool,
    sync_writes: bool,
    versions: bool,
    out_of_order: bool,
    /// The id that the consumer gave the stream, or 0.
    sid: u16,
}

/// Why a row cannot be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EncodeError {
    /// Its compressed value is damaged.
    #[error("the compressed value of seqno {seqno} cannot be read")]
    Value {
        /// The row.
        seqno: Seqno,
    },
    /// It is a system event that is damaged.
    #[error("the system event of seqno {seqno} cannot be read: {flaw}")]
    Event {
        /// The row.
        seqno: Seqno,
        /// What is wrong.
        flaw: &'static str,
    },
    /// Its key is longer than any that is stored.
    #[error("the key of seqno {seqno} is longer than {KEY_BYTES_MAX} bytes")]
    Key {
        /// The row.
        seqno: Seqno,
    },
}

impl RowEncoder {
    /// Returns the encoder for a connection with these options and settings.
    #[must_use]
    pub const fn new(options: ProducerOptions, settings: &Settings) -> Self {
        let compresses = settings.compress_values && options.snappy;
        Self {
            options,
            expiry_opcode: settings.expiry_opcode,
            compresses,
            flatbuffers_events: settings.flatbuffers_events,
            sync_writes: settings.sync_writes,
            versions: settings.change_streams,
            out_of_order: !matches!(settings.out_of_order, OutOfOrder::Never),
            sid: 0,
        }
    }

    /// Returns the encoder for a stream to which the consumer gave this id; 0 for none.
    #[must_use]
    pub const fn of_stream(self, sid: u16) -> Self {
        Self { sid, ..self }
    }

    /// Whether the consumer gets every version of documents whose history is kept.
    #[must_use]
    pub const fn wants_versions(&self) -> bool {
        self.versions
    }

    /// The collection whose documents a stream from disk may have in the order of their keys: it
    /// has no other, it begins at 0, and the consumer takes such snapshots. Older versions and the
    /// steps of durable writes have an order of their own.
    #[must_use]
    pub fn out_of_order(&self, filter: &StreamFilter, start: Seqno) -> Option<u32> {
        let StreamFilter::Collections(ids) = filter else { return None };
        let id = ids.first().filter(|_| ids.len() == 1).copied();
        let may = self.out_of_order && !self.versions && !self.sync_writes;
        id.filter(|_| may && start <= Seqno(1))
    }

    /// Whether the consumer gets a row of this kind.
    #[must_use]
    #[inline]
    pub const fn takes(&self, row: &Row) -> bool {
        self.sync_writes || row.is_visible()
    }

    /// Returns an upper bound for the length of the frame of `row`, in bytes.
    #[must_use]
    pub fn frame_bytes_max(&self, row: &Row) -> usize {
        let inflated = if row.datatype.contains(Datatype::SNAPPY) && self.inflates(row) {
            // A value that claims to be longer cannot be sent at all.
            snap::raw::decompress_len(&row.value).unwrap_or(0).min(INFLATED_BYTES_MAX)
        } else {
            0
        };
        FRAME_OVERHEAD_BYTES_MAX + row.key.len() + row.value.len().max(inflated)
    }

    /// Appends the frame of `row` to `out`.
    ///
    /// # Errors
    /// [`EncodeError`] where the value must be inflated and cannot be, or the key is too long.
    pub fn write(
        &self,
        row: &Row,
        vb: VbId,
        opaque: Opaque,
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        let key = self.key(row)?;
        if row.prepared != Seqno::ZERO && self.sync_writes {
            self.complete(row, key, (vb, opaque), out);
            return Ok(());
        }
        let (datatype, value) = self.value(row)?;
        let to = Target { vb, opaque, cas: row.cas, datatype };
        let from = out.len();
        let (seqno, rev) = (row.seqno, row.rev);
        let with_times = self.options.has(open_flags::INCLUDE_DELETE_TIMES);
        match row.kind {
            Kind::Document { flags, expiry } => {
                let nru = NRU_INITIAL;
                let body = Mutation { seqno, rev, flags, expiry, lock_time: 0, nru };
                body.write(to, key, &value, out);
            }
            Kind::Expired { at } if self.expiry_opcode && with_times => {
                Expiration { seqno, rev, delete_time: at }.write(to, key, &value, out);
            }
            Kind::Deleted { at } | Kind::Expired { at } => {
                let delete_time = with_times.then_some(at);
                Deletion { seqno, rev, delete_time }.write(to, key, &value, out);
            }
            Kind::Prepared { level, write } => {
                prepare(seqno, rev, level, write).write(to, key, &value, out);
            }
            // Written already.
            Kind::Aborted { .. } => {}
            Kind::Event { is_end } => self.event(row, is_end, to, out)?,
        }
        if self.sid != 0 {
            push_stream_id(out, from, self.sid);
        }
        Ok(())
    }

    /// Writes the COMMIT or ABORT of a prepare, which have no value.
    #[cold]
    fn complete(&self, row: &Row, key: &[u8], to: (VbId, Opaque), out: &mut BytesMut) {
        let Row { seqno, prepared, kind, .. } = *row;
        let from = out.len();
        let (vb, opaque) = to;
        if matches!(kind, Kind::Aborted { .. }) {
            Abort { prepared, aborted: seqno }.write(vb, opaque, key, out);
        } else {
            Commit { prepared, committed: seqno }.write(vb, opaque, key, out);
        }
        if self.sid != 0 {
            push_stream_id(out, from, self.sid);
        }
    }

    /// Writes a system event; its seqno alone, where the consumer does not know the event.
    fn event(
        &self,
        row: &Row,
        is_end: bool,
        to: Target,
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        let (seqno, flatbuffers) = (row.seqno, self.flatbuffers_events);
        let event = SystemEvent::from_row(&row.key, is_end, &row.value);
        let event = event.map_err(|flaw| EncodeError::Event { seqno, flaw })?;
        if !event.write(seqno, to.vb, to.opaque, flatbuffers, out) {
            SeqnoAdvanced { seqno }.write(to.vb, to.opaque, out);
        }
        Ok(())
    }

    /// Returns the key as it is sent: without collections it has no prefix.
    fn key<'a>(&self, row: &'a Row) -> Result<&'a [u8], EncodeError> {
        let key = row.document_key();
        if key.len() > KEY_BYTES_MAX {
            return Err(EncodeError::Key { seqno: row.seqno });
        }
        Ok(if self.options.collections { key } else { without_prefix(key) })
    }

    /// Whether all extended attributes of a row are left out.
    const fn strips(&self, row: &Row) -> bool {
        row.datatype.contains(Datatype::XATTR) && !self.options.has(open_flags::INCLUDE_XATTRS)
    }

    /// Whether a compressed value is sent inflated.
    const fn inflates(&self, row: &Row) -> bool {
        self.strips(row) || self.prunes(row) || !self.options.snappy
    }

    /// Whether the user attributes of a deletion are left out.
    const fn prunes(&self, row: &Row) -> bool {
        let takes_them = self.options.has(open_flags::INCLUDE_DELETED_USER_XATTRS);
        row.datatype.contains(Datatype::XATTR) && row.is_deletion() && !takes_them
    }

    /// Returns the datatype without the bits that were not negotiated.
    const fn agreed(&self, datatype: Datatype) -> Datatype {
        let snappy = if self.options.snappy { Datatype::RAW } else { Datatype::SNAPPY };
        let json = if self.options.json { Datatype::RAW } else { Datatype::JSON };
        datatype.without(snappy).without(json)
    }

    fn value<'a>(&self, row: &'a Row) -> Result<(Datatype, Cow<'a, [u8]>), EncodeError> {
        let options = &self.options;
        if options.has(open_flags::NO_VALUE) {
            return Ok((Datatype::RAW, Cow::Borrowed(&[])));
        }
        if options.has(open_flags::NO_VALUE_WITH_DATATYPE) {
            return Ok((self.agreed(row.datatype), Cow::Borrowed(&[])));
        }
        let strip = self.strips(row);
        let mut datatype = row.datatype;
        let mut value = Cow::Borrowed(row.value.as_ref());
        if self.prunes(row) && !strip {
            let (kept_datatype, kept) = kept_by_deletion(row.datatype, &row.value);
            datatype = kept_datatype;
            if kept != row.value {
                value = Cow::Owned(kept.to_vec());
            }
        }
        if datatype.contains(Datatype::SNAPPY) && (strip || !options.snappy) {
            if !value.is_empty() {
                value = Cow::Owned(inflate(&value).ok_or(EncodeError::Value { seqno: row.seqno })?);
            }
            datatype = datatype.without(Datatype::SNAPPY);
        }
        if strip {
            value = Cow::Owned(body(&value).to_vec());
            datatype = datatype.without(Datatype::XATTR);
        }
        if self.compresses
            && !datatype.contains(Datatype::SNAPPY)
            && let Some(compressed) = deflate(&value)
        {
            value = Cow::Owned(compressed);
            datatype = datatype.with(Datatype::SNAPPY);
        }
        Ok((self.agreed(datatype), value))
    }
}

fn prepare(seqno: Seqno, rev: u64, level: Level, write: Write) -> Prepare {
    let (flags, expiry, deleted) = match write {
        Write::Document { flags, expiry } => (flags, expiry, false),
        // kv_engine has the time of a deletion in the place of the expiry.
        Write::Deletion { at } => (0, at, true),
    };
    let nru = if deleted { 0 } else { NRU_INITIAL };
    Prepare { seqno, rev, flags, expiry, lock_time: 0, nru, deleted, level: level.wire() }
}
