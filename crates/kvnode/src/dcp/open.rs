//! DCP_OPEN, parsed and checked.

use std::sync::Arc;

use mcbp::dcp::{Open, open_flags};
use mcbp::{Frame, Opaque, Status};
use serde::Deserialize;
use vbucket::producer::ProducerOptions;

use super::registry::ServedBucket;
use crate::protocol::{Features, RequestError};

/// The longest name of a DCP connection. The documents of kv_engine say 200; it takes 251.
const NAME_BYTES_MAX: usize = 251;

/// The flags of DCP_OPEN that kv_engine 8.0 knows.
const KNOWN_FLAGS: u32 = open_flags::PRODUCER
    | open_flags::INCLUDE_XATTRS
    | open_flags::NO_VALUE
    | open_flags::INCLUDE_DELETE_TIMES
    | open_flags::NO_VALUE_WITH_DATATYPE
    | open_flags::INCLUDE_DELETED_USER_XATTRS;

/// Which side this node is on a connection.
pub(super) enum Role {
    /// It sends.
    Producer(ProducerOptions),
    /// It receives. The size of the window depends on how many consumers there are.
    /// `name` is the one that topologies give this node, for durable writes.
    Consumer { collections: bool, json: bool, name: Option<String> },
}

/// A DCP_OPEN that may be answered with success.
pub(crate) struct DcpOpen {
    /// The name of the connection.
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) opaque: Opaque,
    pub(super) user: String,
    pub(super) served: Arc<ServedBucket>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Value {
    consumer_name: Option<String>,
}

impl DcpOpen {
    /// Reads and checks the frame of an authenticated user who has selected a bucket.
    ///
    /// # Errors
    /// EINVAL with what is wrong.
    pub(crate) fn new(
        frame: &Frame<'_>,
        features: Features,
        user: String,
        served: Arc<ServedBucket>,
    ) -> Result<Self, RequestError> {
        let open = Open::decode(frame)?;
        let invalid = |what: &str| Err(RequestError::new(Status::EINVAL, what));
        let has = |flag| open.flags & flag != 0;
        if open.flags & !KNOWN_FLAGS != 0 {
            return Err(RequestError::new(
                Status::EINVAL,
                format!("unknown flags {:#x}", open.flags & !KNOWN_FLAGS),
            ));
        }
        if has(open_flags::NO_VALUE) && has(open_flags::NO_VALUE_WITH_DATATYPE) {
            return invalid("NO_VALUE and NO_VALUE_WITH_DATATYPE exclude each other");
        }
        if has(open_flags::INCLUDE_DELETED_USER_XATTRS) && !has(open_flags::INCLUDE_XATTRS) {
            return invalid("INCLUDE_DELETED_USER_XATTRS needs INCLUDE_XATTRS");
        }
        let name = std::str::from_utf8(open.name).ok();
        let fits = |name: &&str| (1..=NAME_BYTES_MAX).contains(&name.len());
        let Some(name) = name.filter(fits) else {
            return invalid("a connection name is 1 to 251 bytes of UTF-8");
        };
        let role = if has(open_flags::PRODUCER) {
            if !open.value.is_empty() {
                return invalid("a producer takes no value");
            }
            let Features { collections, snappy, json, xattr, xerror, .. } = features;
            let open_flags = open.flags;
            let history = true;
            let options =
                ProducerOptions { open_flags, collections, snappy, json, xattr, xerror, history };
            Role::Producer(options)
        } else {
            let name = consumer_name(open.value)?;
            let Features { collections, json, .. } = features;
            Role::Consumer { collections, json, name }
        };
        Ok(Self { name: name.to_owned(), role, opaque: frame.header.opaque, user, served })
    }
}

/// The name in the value of a consumer's DCP_OPEN, if there is one.
fn consumer_name(value: &[u8]) -> Result<Option<String>, RequestError> {
    if value.is_empty() {
        return Ok(None);
    }
    let invalid =
        |_| RequestError::new(Status::EINVAL, "the value is a JSON object with consumer_name");
    // Through a map, because serde would read a struct from an array too.
    let object: serde_json::Map<_, _> = serde_json::from_slice(value).map_err(invalid)?;
    let value: Value = serde_json::from_value(object.into()).map_err(invalid)?;
    Ok(value.consumer_name.filter(|name| !name.is_empty()))
}
