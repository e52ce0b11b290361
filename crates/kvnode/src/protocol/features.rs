//! What a connection has negotiated with HELLO.

use mcbp::Feature;

/// The features of a connection. Only what this node supports is granted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Features {
    /// Values may carry extended attributes.
    pub(crate) xattr: bool,
    /// Values may be compressed with snappy.
    pub(crate) snappy: bool,
    /// The datatype tells whether a value is JSON.
    pub(crate) json: bool,
    /// Keys carry a collection prefix.
    pub(crate) collections: bool,
    /// Answers to changes carry vBucket uuid and seqno.
    pub(crate) mutation_seqno: bool,
    /// Errors may use the codes of the error map.
    pub(crate) xerror: bool,
}

impl Features {
    /// Records `feature`; returns whether it is granted.
    pub(crate) fn grant(&mut self, feature: Feature) -> bool {
        let field = match feature {
            Feature::XATTR => &mut self.xattr,
            Feature::SNAPPY => &mut self.snappy,
            Feature::JSON => &mut self.json,
            Feature::COLLECTIONS => &mut self.collections,
            Feature::MUTATION_SEQNO => &mut self.mutation_seqno,
            Feature::XERROR => &mut self.xerror,
            // Nothing to record: this node always behaves so.
            Feature::TCP_NODELAY
            | Feature::SELECT_BUCKET
            | Feature::ALT_REQUEST
            | Feature::PRESERVE_TTL => return true,
            _ => return false,
        };
        !std::mem::replace(field, true)
    }
}
