//! Why a producer ended a stream.
//!
//! Source: `include/mcbp/protocol/dcp_stream_end_status.h` of couchbase/kv_engine.

codes! {
    /// The status in the extras of STREAM_END.
    StreamEndStatus(u32) {
        /// Everything that was requested has been sent.
        OK = 0, "Ok";
        /// The stream was closed by CLOSE_STREAM.
        CLOSED = 1, "Closed";
        /// The vBucket changed its state, for example to dead.
        STATE_CHANGED = 2, "StateChanged";
        /// The connection was lost; never sent.
        DISCONNECTED = 3, "Disconnected";
        /// The stream was too slow.
        SLOW = 4, "Slow";
        /// A backfill could not read its disk (MB-47790).
        BACKFILL_FAIL = 5, "BackfillFail";
        /// The start is no longer on disk: the consumer has to request again and roll back.
        ROLLBACK = 6, "Rollback";
        /// The filter matches nothing any more.
        FILTER_EMPTY = 7, "FilterEmpty";
        /// The user lost the privilege to stream.
        LOST_PRIVILEGES = 8, "LostPrivileges";
    }
}
