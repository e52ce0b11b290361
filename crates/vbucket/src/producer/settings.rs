//! What a consumer may ask of a producer connection with DCP_CONTROL, and what is refused.

use std::time::Duration;

use mcbp::Status;
use mcbp::dcp::{Control, control_key, open_flags};

/// The shortest noop interval; kv_engine's own timer runs at this step.
const NOOP_INTERVAL_S_MIN: f64 = 0.1;
/// The longest noop interval: far beyond the idle timeout a NOOP would prove nothing.
const NOOP_INTERVAL_S_MAX: f64 = 28_800.0;

/// The longest name of a consumer's node. Each vBucket keeps the names of those that acknowledge
/// its durable writes; names of nodes are host names with a prefix.
const NAME_BYTES_MAX: usize = 1024;

/// What HELLO and DCP_OPEN settled before the first control.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ProducerOptions {
    /// Flags of DCP_OPEN, see [`open_flags`].
    pub open_flags: u32,
    /// HELLO granted collections: keys carry the collection prefix.
    pub collections: bool,
    /// HELLO granted snappy: compressed values are sent as they are stored.
    pub snappy: bool,
    /// HELLO granted JSON: the JSON bit of the datatype is sent.
    pub json: bool,
    /// HELLO granted extended attributes.
    pub xattr: bool,
    /// HELLO granted extended errors: refusals say why.
    pub xerror: bool,
    /// The store may keep change history. kv_engine's couchstore, for one, does not.
    pub history: bool,
}

impl ProducerOptions {
    /// Whether this flag of DCP_OPEN is set.
    #[must_use]
    pub const fn has(&self, flag: u32) -> bool {
        self.open_flags & flag != 0
    }
}

/// The newest version of snapshot marker that the consumer reads.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum MarkerVersion {
    /// Range and flags only.
    #[default]
    V1,
    /// With the highest visible and completed seqno.
    V2_0,
    /// With purge seqno and highest prepare; for disk snapshots.
    V2_2,
}

/// Whether a snapshot from disk may come in the order of keys: an OSO snapshot (out of sequence
/// order), which is used where a stream has one collection and reading that alone is faster.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OutOfOrder {
    /// It comes in the order of seqnos.
    #[default]
    Never,
    /// It may.
    Allowed,
    /// It may, and SEQNO_ADVANCED says where it ends.
    WithSeqnoAdvanced,
}

/// The priority that a consumer asks for. It has no effect here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Priority {
    /// `high`.
    High,
    /// `medium`.
    Medium,
    /// `low`.
    Low,
}

/// The negotiated settings of a producer connection.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Settings {
    /// Send NOOP.
    pub noop: bool,
    /// Time between two NOOPs.
    pub noop_interval: Duration,
    /// Answer CLOSE_STREAM with a STREAM_END as well.
    pub end_on_close: bool,
    /// Send EXPIRATION for expired documents; needs delete times.
    pub expiry_opcode: bool,
    /// The consumer reads PREPARE, COMMIT and ABORT.
    pub sync_writes: bool,
    /// The consumer has said its name. With [`Self::sync_writes`] it acknowledges prepares, and
    /// reads markers of version 2.0.
    pub has_name: bool,
    /// Both sides may use the statuses 0x0a and 0x0b.
    pub v7_status_codes: bool,
    /// The consumer reads system events in FlatBuffers; this node sends none.
    pub flatbuffers_events: bool,
    /// The producer may drop cursors of slow streams (streams of this node fall back to disk).
    pub cursor_dropping: bool,
    /// Streams have every version of documents that the change history has.
    pub change_streams: bool,
    /// Streams have ids that the consumer gives them, so that a vBucket may have several.
    pub stream_ids: bool,
    /// Whether snapshots from disk may be in the order of keys.
    pub out_of_order: OutOfOrder,
    /// Values are compressed before they are sent, where that makes them shorter.
    pub compress_values: bool,
    /// The newest marker that the consumer asked for.
    pub max_marker: MarkerVersion,
    /// Kept for the statistics.
    pub priority: Priority,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            noop: false,
            noop_interval: Duration::from_secs(180),
            end_on_close: false,
            expiry_opcode: false,
            sync_writes: false,
            has_name: false,
            v7_status_codes: false,
            flatbuffers_events: false,
            cursor_dropping: false,
            change_streams: false,
            stream_ids: false,
            out_of_order: OutOfOrder::Never,
            compress_values: false,
            max_marker: MarkerVersion::V1,
            priority: Priority::Medium,
        }
    }
}

/// The result of a control.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Applied {
    /// Answer with this status; if it is a success, the setting was stored.
    Answer(Status),
    /// A success that also sets the flow-control window to this many bytes.
    Window(u32),
}

impl Settings {
    /// Applies one control. A key or value that is not UTF-8 is refused with EINVAL.
    pub fn apply(&mut self, control: &Control<'_>, options: &ProducerOptions) -> Applied {
        let (Ok(key), Ok(text)) = (str::from_utf8(control.key), str::from_utf8(control.value))
        else {
            return Applied::Answer(Status::EINVAL);
        };
        if key == control_key::CONNECTION_BUFFER_SIZE {
            return text.parse().map_or(Applied::Answer(Status::EINVAL), Applied::Window);
        }
        Applied::Answer(self.apply_plain(key, text, options).err().unwrap_or(Status::SUCCESS))
    }

    fn apply_plain(
        &mut self,
        key: &str,
        text: &str,
        options: &ProducerOptions,
    ) -> Result<(), Status> {
        match key {
            // Any other text turns these off, as with kv_engine.
            control_key::ENABLE_NOOP => self.noop = text == "true",
            control_key::SET_NOOP_INTERVAL => self.noop_interval = interval(text)?,
            control_key::SET_PRIORITY => self.priority = priority(text)?,
            control_key::SUPPORTS_CURSOR_DROPPING | "supports_cursor_dropping" => {
                self.cursor_dropping = text == "true";
            }
            control_key::SUPPORTS_HIFI_MFU => {}
            control_key::SEND_STREAM_END_ON_CLIENT_CLOSE => self.end_on_close = text == "true",
            control_key::ENABLE_EXPIRY_OPCODE => self.expiry_opcode = text == "true",
            // The two exclude each other: a consumer acknowledges a vBucket, not a stream.
            control_key::ENABLE_SYNC_WRITES => {
                check(!self.stream_ids, Status::NOT_SUPPORTED)?;
                self.sync_writes = must_be_true(text)?;
            }
            control_key::ENABLE_STREAM_ID => {
                check(!self.sync_writes, Status::NOT_SUPPORTED)?;
                self.stream_ids = must_be_true(text)?;
            }
            control_key::CONSUMER_NAME => {
                check((1..=NAME_BYTES_MAX).contains(&text.len()), Status::EINVAL)?;
                self.has_name = true;
            }
            control_key::INCLUDE_DELETED_USER_XATTRS => {
                let agreed = options.has(open_flags::INCLUDE_DELETED_USER_XATTRS);
                check(boolean(text)? == agreed, Status::EINVAL)?;
            }
            control_key::V7_STATUS_CODES => self.v7_status_codes = boolean(text)?,
            control_key::FLATBUFFERS_SYSTEM_EVENTS => self.flatbuffers_events = must_be_true(text)?,
            control_key::CHANGE_STREAMS => {
                let asked = must_be_true(text)?;
                check(options.history, Status::NOT_SUPPORTED)?;
                self.change_streams = asked;
            }
            control_key::MAX_MARKER_VERSION => {
                check(options.collections, Status::NOT_SUPPORTED)?;
                self.max_marker = marker_version(text)?;
            }
            "force_value_compression" => {
                check(options.snappy, Status::EINVAL)?;
                self.compress_values = boolean(text)?;
            }
            "enable_out_of_order_snapshots" => {
                self.out_of_order = match text {
                    "true" => OutOfOrder::Allowed,
                    "true_with_seqno_advanced" => OutOfOrder::WithSeqnoAdvanced,
                    _ => return Err(Status::EINVAL),
                };
            }
            // A hint that is ignored: backfills take turns.
            "backfill_order" => {
                check(matches!(text, "round-robin" | "sequential"), Status::EINVAL)?
            }
            "stream_buffer_size" => return Err(Status::NOT_SUPPORTED),
            _ => return Err(Status::EINVAL),
        }
        Ok(())
    }

    /// Whether the consumer is a replica that durable writes may wait for.
    #[must_use]
    pub const fn acknowledges(&self) -> bool {
        self.sync_writes && self.has_name
    }

    /// Returns the version of marker for a snapshot from disk or from memory.
    #[must_use]
    pub fn marker_version(&self, from_disk: bool) -> MarkerVersion {
        match (self.max_marker, self.acknowledges()) {
            (MarkerVersion::V2_2, _) if from_disk => MarkerVersion::V2_2,
            (_, true) => MarkerVersion::V2_0,
            _ => MarkerVersion::V1,
        }
    }
}

const fn check(holds: bool, otherwise: Status) -> Result<(), Status> {
    if holds { Ok(()) } else { Err(otherwise) }
}

fn boolean(text: &str) -> Result<bool, Status> {
    text.parse().map_err(|_| Status::EINVAL)
}

fn must_be_true(text: &str) -> Result<bool, Status> {
    check(boolean(text)?, Status::EINVAL).map(|()| true)
}

fn interval(text: &str) -> Result<Duration, Status> {
    let seconds: f64 = text.parse().map_err(|_| Status::EINVAL)?;
    let allowed = (NOOP_INTERVAL_S_MIN..=NOOP_INTERVAL_S_MAX).contains(&seconds);
    check(allowed, Status::EINVAL).map(|()| Duration::from_secs_f64(seconds))
}

fn priority(text: &str) -> Result<Priority, Status> {
    match text {
        "high" => Ok(Priority::High),
        "medium" => Ok(Priority::Medium),
        "low" => Ok(Priority::Low),
        _ => Err(Status::EINVAL),
    }
}

fn marker_version(text: &str) -> Result<MarkerVersion, Status> {
    // 2.0 follows from durable writes; a real node refuses to be asked for it.
    if text == "2.2" { Ok(MarkerVersion::V2_2) } else { Err(Status::EINVAL) }
}
