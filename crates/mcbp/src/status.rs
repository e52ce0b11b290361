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
        RANGE_SCAN_CANCELLED = 0xa5, "RangeScanCancelled";
        RANGE_SCAN_MORE = 0xa6, "RangeScanMore";
        RANGE_SCAN_COMPLETE = 0xa7, "RangeScanComplete";
        VB_UUID_NOT_EQUAL = 0xa8, "VbUuidNotEqual";
        SUBDOC_PATH_ENOENT = 0xc0, "SUBDOC_PATH_ENOENT";
        SUBDOC_PATH_MISMATCH = 0xc1, "SUBDOC_PATH_MISMATCH";
        SUBDOC_PATH_EINVAL = 0xc2, "SUBDOC_PATH_EINVAL";
        SUBDOC_PATH_E2BIG = 0xc3, "SUBDOC_PATH_E2BIG";
        SUBDOC_PATH_E2DEEP = 0xc4, "SUBDOC_PATH_E2DEEP";
        SUBDOC_VALUE_CANTINSERT = 0xc5, "SUBDOC_VALUE_CANTINSERT";
        SUBDOC_DOC_NOTJSON = 0xc6, "SUBDOC_DOC_NOTJSON";
        SUBDOC_NUM_ERANGE = 0xc7, "SUBDOC_NUM_ERANGE";
        SUBDOC_DELTA_EINVAL = 0xc8, "SUBDOC_DELTA_EINVAL";
        SUBDOC_PATH_EEXISTS = 0xc9, "SUBDOC_PATH_EEXISTS";
        SUBDOC_VALUE_ETOODEEP = 0xca, "SUBDOC_VALUE_ETOODEEP";
        SUBDOC_INVALID_COMBO = 0xcb, "SUBDOC_INVALID_COMBO";
        SUBDOC_MULTI_PATH_FAILURE = 0xcc, "SUBDOC_MULTI_PATH_FAILURE";
        SUBDOC_SUCCESS_DELETED = 0xcd, "SUBDOC_SUCCESS_DELETED";
        SUBDOC_XATTR_INVALID_FLAG_COMBO = 0xce, "SUBDOC_XATTR_INVALID_FLAG_COMBO";
        SUBDOC_XATTR_INVALID_KEY_COMBO = 0xcf, "SUBDOC_XATTR_INVALID_KEY_COMBO";
        SUBDOC_XATTR_UNKNOWN_MACRO = 0xd0, "SUBDOC_XATTR_UNKNOWN_MACRO";
        SUBDOC_XATTR_UNKNOWN_VATTR = 0xd1, "SUBDOC_XATTR_UNKNOWN_VATTR";
        SUBDOC_XATTR_CANT_MODIFY_VATTR = 0xd2, "SUBDOC_XATTR_CANT_MODIFY_VATTR";
        SUBDOC_MULTI_PATH_FAILURE_DELETED = 0xd3, "SUBDOC_MULTI_PATH_FAILURE_DELETED";
        SUBDOC_INVALID_XATTR_ORDER = 0xd4, "SUBDOC_INVALID_XATTR_ORDER";
        SUBDOC_XATTR_UNKNOWN_VATTR_MACRO = 0xd5, "SUBDOC_XATTR_UNKNOWN_VATTR_MACRO";
        SUBDOC_CAN_ONLY_REVIVE_DELETED_DOCUMENTS = 0xd6, "SUBDOC_CAN_ONLY_REVIVE_DELETED_DOCUMENTS";
        SUBDOC_DELETED_DOCUMENT_CANT_HAVE_VALUE = 0xd7, "SUBDOC_DELETED_DOCUMENT_CANT_HAVE_VALUE";
        SUBDOC_FIELD_NOT_BINARY_VALUE = 0xd8, "SUBDOC_FIELD_NOT_BINARY_VALUE";
    }
}

impl Status {
    /// Whether the request succeeded.
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.0 == 0
    }
}
