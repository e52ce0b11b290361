//! Opcodes of the binary protocol, client side and DCP.
//!
//! Source: `include/mcbp/protocol/opcode.h` of couchbase/kv_engine.

codes! {
    /// The operation of a frame, byte 1 of the header.
    ///
    /// The names are those of client requests; requests of a server (magic 0x82) have other
    /// opcodes.
    Opcode(u8) {
        GET = 0x00, "GET";
        SET = 0x01, "SET";
        ADD = 0x02, "ADD";
        REPLACE = 0x03, "REPLACE";
        DELETE = 0x04, "DELETE";
        INCREMENT = 0x05, "INCREMENT";
        DECREMENT = 0x06, "DECREMENT";
        QUIT = 0x07, "QUIT";
        FLUSH = 0x08, "FLUSH";
        GETQ = 0x09, "GETQ";
        NOOP = 0x0a, "NOOP";
        VERSION = 0x0b, "VERSION";
        GETK = 0x0c, "GETK";
        GETKQ = 0x0d, "GETKQ";
        APPEND = 0x0e, "APPEND";
        PREPEND = 0x0f, "PREPEND";
        STAT = 0x10, "STAT";
        SETQ = 0x11, "SETQ";
        ADDQ = 0x12, "ADDQ";
        REPLACEQ = 0x13, "REPLACEQ";
        DELETEQ = 0x14, "DELETEQ";
        INCREMENTQ = 0x15, "INCREMENTQ";
        DECREMENTQ = 0x16, "DECREMENTQ";
        QUITQ = 0x17, "QUITQ";
        FLUSHQ = 0x18, "FLUSHQ";
        APPENDQ = 0x19, "APPENDQ";
        PREPENDQ = 0x1a, "PREPENDQ";
        VERBOSITY = 0x1b, "VERBOSITY";
        TOUCH = 0x1c, "TOUCH";
        GAT = 0x1d, "GAT";
        GATQ = 0x1e, "GATQ";
        HELLO = 0x1f, "HELLO";
        SASL_LIST_MECHS = 0x20, "SASL_LIST_MECHS";
        SASL_AUTH = 0x21, "SASL_AUTH";
        SASL_STEP = 0x22, "SASL_STEP";
        SET_VBUCKET = 0x3d, "SET_VBUCKET";
        GET_VBUCKET = 0x3e, "GET_VBUCKET";
        DEL_VBUCKET = 0x3f, "DEL_VBUCKET";
        GET_ALL_VB_SEQNOS = 0x48, "GET_ALL_VB_SEQNOS";
        DCP_OPEN = 0x50, "DCP_OPEN";
        DCP_ADD_STREAM = 0x51, "DCP_ADD_STREAM";
        DCP_CLOSE_STREAM = 0x52, "DCP_CLOSE_STREAM";
        DCP_STREAM_REQ = 0x53, "DCP_STREAM_REQ";
        DCP_GET_FAILOVER_LOG = 0x54, "DCP_GET_FAILOVER_LOG";
        DCP_STREAM_END = 0x55, "DCP_STREAM_END";
        DCP_SNAPSHOT_MARKER = 0x56, "DCP_SNAPSHOT_MARKER";
        DCP_MUTATION = 0x57, "DCP_MUTATION";
        DCP_DELETION = 0x58, "DCP_DELETION";
        DCP_EXPIRATION = 0x59, "DCP_EXPIRATION";
        DCP_FLUSH = 0x5a, "DCP_FLUSH";
        DCP_SET_VBUCKET_STATE = 0x5b, "DCP_SET_VBUCKET_STATE";
        DCP_NOOP = 0x5c, "DCP_NOOP";
        DCP_BUFFER_ACK = 0x5d, "DCP_BUFFER_ACK";
        DCP_CONTROL = 0x5e, "DCP_CONTROL";
        DCP_SYSTEM_EVENT = 0x5f, "DCP_SYSTEM_EVENT";
        DCP_PREPARE = 0x60, "DCP_PREPARE";
        DCP_SEQNO_ACK = 0x61, "DCP_SEQNO_ACK";
        DCP_COMMIT = 0x62, "DCP_COMMIT";
        DCP_ABORT = 0x63, "DCP_ABORT";
        DCP_SEQNO_ADVANCED = 0x64, "DCP_SEQNO_ADVANCED";
        DCP_OSO_SNAPSHOT = 0x65, "DCP_OSO_SNAPSHOT";
        DCP_CACHE_TRANSFER = 0x66, "DCP_CACHE_TRANSFER";
        DCP_CACHE_TRANSFER_END = 0x67, "DCP_CACHE_TRANSFER_END";
        STOP_PERSISTENCE = 0x80, "STOP_PERSISTENCE";
        START_PERSISTENCE = 0x81, "START_PERSISTENCE";
        SET_PARAM = 0x82, "SET_PARAM";
        GET_REPLICA = 0x83, "GET_REPLICA";
        CREATE_BUCKET = 0x85, "CREATE_BUCKET";
        DELETE_BUCKET = 0x86, "DELETE_BUCKET";
        LIST_BUCKETS = 0x87, "LIST_BUCKETS";
        SELECT_BUCKET = 0x89, "SELECT_BUCKET";
        OBSERVE_SEQNO = 0x91, "OBSERVE_SEQNO";
        OBSERVE = 0x92, "OBSERVE";
        EVICT_KEY = 0x93, "EVICT_KEY";
        GET_LOCKED = 0x94, "GET_LOCKED";
        UNLOCK_KEY = 0x95, "UNLOCK_KEY";
        GET_FAILOVER_LOG = 0x96, "GET_FAILOVER_LOG";
        GET_META = 0xa0, "GET_META";
        GETQ_META = 0xa1, "GETQ_META";
        SET_WITH_META = 0xa2, "SET_WITH_META";
        SETQ_WITH_META = 0xa3, "SETQ_WITH_META";
        ADD_WITH_META = 0xa4, "ADD_WITH_META";
        ADDQ_WITH_META = 0xa5, "ADDQ_WITH_META";
        DELETE_WITH_META = 0xa8, "DELETE_WITH_META";
        DELETEQ_WITH_META = 0xa9, "DELETEQ_WITH_META";
        CREATE_CHECKPOINT = 0xaa, "CREATE_CHECKPOINT";
        ENABLE_TRAFFIC = 0xad, "ENABLE_TRAFFIC";
        DISABLE_TRAFFIC = 0xae, "DISABLE_TRAFFIC";
        COMPACT_DB = 0xb3, "COMPACT_DB";
        SET_CLUSTER_CONFIG = 0xb4, "SET_CLUSTER_CONFIG";
        GET_CLUSTER_CONFIG = 0xb5, "GET_CLUSTER_CONFIG";
        GET_RANDOM_KEY = 0xb6, "GET_RANDOM_KEY";
        SEQNO_PERSISTENCE = 0xb7, "SEQNO_PERSISTENCE";
        GET_KEYS = 0xb8, "GET_KEYS";
        COLLECTIONS_SET_MANIFEST = 0xb9, "COLLECTIONS_SET_MANIFEST";
        COLLECTIONS_GET_MANIFEST = 0xba, "COLLECTIONS_GET_MANIFEST";
        COLLECTIONS_GET_ID = 0xbb, "COLLECTIONS_GET_ID";
        COLLECTIONS_GET_SCOPE_ID = 0xbc, "COLLECTIONS_GET_SCOPE_ID";
        SUBDOC_GET = 0xc5, "SUBDOC_GET";
        SUBDOC_EXISTS = 0xc6, "SUBDOC_EXISTS";
        SUBDOC_DICT_ADD = 0xc7, "SUBDOC_DICT_ADD";
        SUBDOC_DICT_UPSERT = 0xc8, "SUBDOC_DICT_UPSERT";
        SUBDOC_DELETE = 0xc9, "SUBDOC_DELETE";
        SUBDOC_REPLACE = 0xca, "SUBDOC_REPLACE";
        SUBDOC_ARRAY_PUSH_LAST = 0xcb, "SUBDOC_ARRAY_PUSH_LAST";
        SUBDOC_ARRAY_PUSH_FIRST = 0xcc, "SUBDOC_ARRAY_PUSH_FIRST";
        SUBDOC_ARRAY_INSERT = 0xcd, "SUBDOC_ARRAY_INSERT";
        SUBDOC_ARRAY_ADD_UNIQUE = 0xce, "SUBDOC_ARRAY_ADD_UNIQUE";
        SUBDOC_COUNTER = 0xcf, "SUBDOC_COUNTER";
        SUBDOC_MULTI_LOOKUP = 0xd0, "SUBDOC_MULTI_LOOKUP";
        SUBDOC_MULTI_MUTATION = 0xd1, "SUBDOC_MULTI_MUTATION";
        SUBDOC_GET_COUNT = 0xd2, "SUBDOC_GET_COUNT";
        SUBDOC_REPLACE_BODY_WITH_XATTR = 0xd3, "SUBDOC_REPLACE_BODY_WITH_XATTR";
        RANGE_SCAN_CREATE = 0xda, "RANGE_SCAN_CREATE";
        RANGE_SCAN_CONTINUE = 0xdb, "RANGE_SCAN_CONTINUE";
        RANGE_SCAN_CANCEL = 0xdc, "RANGE_SCAN_CANCEL";
        GET_CMD_TIMER = 0xf3, "GET_CMD_TIMER";
        GET_ERROR_MAP = 0xfe, "GET_ERROR_MAP";
    }
}

impl Opcode {
    /// Whether this opcode is within the block of DCP (0x50 to 0x6f), whose end newer versions may
    /// use.
    #[must_use]
    pub const fn is_in_dcp_block(self) -> bool {
        matches!(self.0, 0x50..=0x6f)
    }

    /// Whether this opcode belongs to DCP (0x50 to 0x67).
    #[must_use]
    pub const fn is_dcp(self) -> bool {
        matches!(self.0, 0x50..=0x67)
    }

    /// Whether this is a sub-document operation (0xc5 to 0xd3).
    #[must_use]
    pub const fn is_subdoc(self) -> bool {
        matches!(self.0, 0xc5..=0xd3)
    }
}
