//! What a connection has negotiated with HELLO.

use mcbp::Feature;

/// The features of a connection. Only what this node does is ever granted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Features {
    /// Values may carry extended attributes.
    pub xattr: bool,
    /// Values may be compressed with snappy.
    pub snappy: bool,
    /// The datatype says whether a value is JSON.
    pub json: bool,
    /// Keys carry a collection prefix.
    pub collections: bool,
    /// Answers to changes carry vBucket uuid and seqno.
    pub mutation_seqno: bool,
    /// Errors may use the codes of the error map.
    pub xerror: bool,
    /// Requests may have framing extras.
    pub alt_request: bool,
}

impl Features {
    /// Takes note of `feature` and says whether it is granted.
    pub fn grant(&mut self, feature: Feature) -> bool {
        let field = match feature {
            Feature::XATTR => &mut self.xattr,
            Feature::SNAPPY => &mut self.snappy,
            Feature::JSON => &mut self.json,
            Feature::COLLECTIONS => &mut self.collections,
            Feature::MUTATION_SEQNO => &mut self.mutation_seqno,
            Feature::XERROR => &mut self.xerror,
            Feature::ALT_REQUEST => &mut self.alt_request,
            // Nothing to remember: the socket never delays, and SELECT_BUCKET always works.
            Feature::TCP_NODELAY | Feature::SELECT_BUCKET => return true,
            _ => return false,
        };
        !std::mem::replace(field, true)
    }
}
