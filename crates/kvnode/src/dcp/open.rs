//! What DCP_OPEN asks for, and what of it is refused.

use mcbp::dcp::{Open, open_flags};
use mcbp::{Frame, Status};
use serde::Deserialize;
use vbucket::consumer::ConsumerOptions;
use vbucket::producer::ProducerOptions;

use crate::session::{Fail, Features};

/// The longest name of a DCP connection. Source: `dcp/documentation/commands/open-connection.md`.
const NAME_BYTES_MAX: usize = 200;

/// Flags that a node of version 8.0 knows.
const KNOWN_FLAGS: u32 = open_flags::PRODUCER
    | open_flags::INCLUDE_XATTRS
    | open_flags::NO_VALUE
    | open_flags::INCLUDE_DELETE_TIMES
    | open_flags::NO_VALUE_WITH_DATATYPE
    | open_flags::INCLUDE_DELETED_USER_XATTRS;

/// Which side this node is on a connection.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Role {
    /// It sends.
    Producer(ProducerOptions),
    /// It receives. The window is set when the connection is registered.
    Consumer(ConsumerOptions),
}

/// A DCP_OPEN that may be answered with success.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Opening {
    pub(crate) name: String,
    pub(crate) role: Role,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Value {
    #[serde(rename = "consumer_name")]
    _consumer_name: Option<String>,
}

impl Opening {
    /// Reads and checks a DCP_OPEN.
    ///
    /// # Errors
    /// EINVAL with what is wrong.
    pub(crate) fn check(frame: &Frame<'_>, features: Features) -> Result<Self, Fail> {
        let open = Open::decode(frame).map_err(|error| Fail::new(Status::EINVAL, error))?;
        let invalid = |what: &str| Err(Fail::new(Status::EINVAL, what));
        let has = |flag| open.flags & flag != 0;
        if open.flags & !KNOWN_FLAGS != 0 {
            return invalid("unknown flags");
        }
        if has(open_flags::NO_VALUE) && has(open_flags::NO_VALUE_WITH_DATATYPE) {
            return invalid("no value and no value with datatype exclude each other");
        }
        if has(open_flags::INCLUDE_DELETED_USER_XATTRS) && !has(open_flags::INCLUDE_XATTRS) {
            return invalid("xattrs of deleted documents need xattrs");
        }
        let name = std::str::from_utf8(open.name).unwrap_or_default();
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return invalid("a connection name is 1 to 200 bytes of UTF-8");
        }
        let role = if has(open_flags::PRODUCER) {
            if !open.value.is_empty() {
                return invalid("a producer is opened without a value");
            }
            let Features { collections, snappy, json, xattr, .. } = features;
            let options =
                ProducerOptions { open_flags: open.flags, collections, snappy, json, xattr };
            Role::Producer(options)
        } else {
            check_value(open.value)?;
            let Features { collections, json, .. } = features;
            Role::Consumer(ConsumerOptions { collections, json, window_bytes: 0 })
        };
        Ok(Self { name: name.to_owned(), role })
    }
}

/// Checks the value of a consumer's DCP_OPEN. The name in it belongs to durable writes, which are
/// not stored here: it may be given and is not used.
fn check_value(value: &[u8]) -> Result<(), Fail> {
    if value.is_empty() {
        return Ok(());
    }
    let invalid = |_| Fail::new(Status::EINVAL, "the value is a JSON object with consumer_name");
    // Through a map, for a struct would be read from an array too.
    let object: serde_json::Map<_, _> = serde_json::from_slice(value).map_err(invalid)?;
    serde_json::from_value::<Value>(object.into()).map(drop).map_err(invalid)
}
