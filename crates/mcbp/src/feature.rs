//! Features that a connection can ask for with HELLO.
//!
//! Source: `include/mcbp/protocol/feature.h` of couchbase/kv_engine.

use crate::{Frame, FrameError};

codes! {
    /// A feature code in the body of HELLO and of its response.
    Feature(u16) {
        TLS = 0x02, "Tls";
        TCP_NODELAY = 0x03, "TcpNodelay";
        MUTATION_SEQNO = 0x04, "MutationSeqno";
        XATTR = 0x06, "Xattr";
        XERROR = 0x07, "Xerror";
        SELECT_BUCKET = 0x08, "SelectBucket";
        SNAPPY = 0x0a, "Snappy";
        JSON = 0x0b, "Json";
        DUPLEX = 0x0c, "Duplex";
        CLUSTERMAP_NOTIFICATION = 0x0d, "ClustermapChangeNotification";
        UNORDERED_EXECUTION = 0x0e, "UnorderedExecution";
        TRACING = 0x0f, "Tracing";
        ALT_REQUEST = 0x10, "AltRequestSupport";
        SYNC_REPLICATION = 0x11, "SyncReplication";
        COLLECTIONS = 0x12, "Collections";
        SNAPPY_EVERYWHERE = 0x13, "SnappyEverywhere";
        PRESERVE_TTL = 0x14, "PreserveTtl";
        VATTR = 0x15, "VAttr";
        CREATE_AS_DELETED = 0x17, "SubdocCreateAsDeleted";
        SUBDOC_DOCUMENT_MACRO = 0x18, "SubdocDocumentMacroSupport";
        SUBDOC_REPLACE_BODY_WITH_XATTR = 0x19, "SubdocReplaceBodyWithXattr";
        REPORT_UNIT_USAGE = 0x1a, "ReportUnitUsage";
        NON_BLOCKING_THROTTLING = 0x1b, "NonBlockingThrottlingMode";
        SUBDOC_REPLICA_READ = 0x1c, "SubdocReplicaRead";
        GET_CLUSTER_CONFIG_WITH_VERSION = 0x1d, "GetClusterConfigWithKnownVersion";
        DEDUPE_NOT_MY_VBUCKET = 0x1e, "DedupeNotMyVbucketClustermap";
        CLUSTERMAP_NOTIFICATION_BRIEF = 0x1f, "ClustermapChangeNotificationBrief";
        SUBDOC_MULTIPLE_XATTR_KEYS = 0x20, "SubdocAllowsAccessOnMultipleXattrKeys";
        SUBDOC_BINARY_XATTR = 0x21, "SubdocBinaryXattr";
        RANGE_SCAN_INCLUDE_XATTR = 0x22, "RangeScanIncludeXattr";
        SUBDOC_REPLICA_READ_OF_DELETED = 0x23, "SubdocAllowReplicaReadOnDeletedDocs";
        GET_RANDOM_KEY_INCLUDE_XATTR = 0x24, "GetRandomKeyIncludeXattr";
        MUTATE_WITH_META = 0x25, "MutateWithMeta";
        DCP_SKIP_DELETES_IN_INITIAL_BACKFILL = 0x26, "DcpSkipDeletesInInitialBackfill";
    }
}

impl Feature {
    /// Decodes the features in the value of HELLO or of its response, 2 bytes each.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] if a byte is left over.
    pub fn decode_list(frame: &Frame<'_>) -> Result<Vec<Self>, FrameError> {
        let (codes, rest) = frame.value.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(frame.header.malformed("the value of HELLO is a list of 2-byte features"));
        }
        Ok(codes.iter().map(|code| Self(u16::from_be_bytes(*code))).collect())
    }

    /// Encodes the value of a HELLO with these features.
    #[must_use]
    pub fn encode_list(features: &[Self]) -> Vec<u8> {
        features.iter().flat_map(|feature| feature.0.to_be_bytes()).collect()
    }
}
