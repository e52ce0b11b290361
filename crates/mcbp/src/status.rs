//! Response statuses.
//!
//! Source: `include/mcbp/protocol/status.h` of couchbase/kv_engine.

codes! {
    /// The status of a response, bytes 6 and 7 of its header.
    Status(u16) {
        SUCCESS = 0x00, "Success";
        KEY_ENOENT = 0x01, "KeyNotFound";
        KEY_EEXISTS = 0x02, "KeyExists";
        E2BIG = 0x03, "TooBig";
        EINVAL = 0x04, "Invalid";
        NOT_STORED = 0x05, "NotStored";
        DELTA_BADVAL = 0x06, "DeltaBadValue";
        NOT_MY_VBUCKET = 0x07, "NotMyVbucket";
        NO_BUCKET = 0x08, "NoBucket";
        LOCKED = 0x09, "Locked";
        DCP_STREAM_NOT_FOUND = 0x0a, "DcpStreamNotFound";
        OPAQUE_NO_MATCH = 0x0b, "OpaqueNoMatch";
        WOULD_THROTTLE = 0x0c, "WouldThrottle";
        CONFIG_ONLY = 0x0d, "ConfigOnly";
        NOT_LOCKED = 0x0e, "NotLocked";
        CAS_VALUE_INVALID = 0x0f, "CasValueInvalid";
        AUTH_STALE = 0x1f, "AuthStale";
        AUTH_ERROR = 0x20, "AuthError";
        AUTH_CONTINUE = 0x21, "AuthContinue";
        ERANGE = 0x22, "Range";
        ROLLBACK = 0x23, "Rollback";
        EACCESS = 0x24, "NoAccess";
        NOT_INITIALIZED = 0x25, "NotInitialized";
        UNKNOWN_FRAME_INFO = 0x80, "UnknownFrameInfo";
        UNKNOWN_COMMAND = 0x81, "UnknownCommand";
        ENOMEM = 0x82, "NoMemory";
        NOT_SUPPORTED = 0x83, "NotSupported";
        EINTERNAL = 0x84, "InternalError";
        EBUSY = 0x85, "Busy";
        ETMPFAIL = 0x86, "TemporaryFailure";
        XATTR_EINVAL = 0x87, "XattrInvalid";
        UNKNOWN_COLLECTION = 0x88, "UnknownCollection";
        CANNOT_APPLY_MANIFEST = 0x8a, "CannotApplyManifest";
        UNKNOWN_SCOPE = 0x8c, "UnknownScope";
        STREAM_ID_INVALID = 0x8d, "DcpStreamIdInvalid";
        DURABILITY_INVALID_LEVEL = 0xa0, "DurabilityInvalidLevel";
        DURABILITY_IMPOSSIBLE = 0xa1, "DurabilityImpossible";
        SYNC_WRITE_IN_PROGRESS = 0xa2, "SyncWriteInProgress";
        SYNC_WRITE_AMBIGUOUS = 0xa3, "SyncWriteAmbiguous";
        SYNC_WRITE_RE_COMMIT_IN_PROGRESS = 0xa4, "SyncWriteReCommitInProgress";
    }
}

impl Status {
    /// Whether the request succeeded.
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.0 == 0
    }
}
