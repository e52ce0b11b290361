//! The binary protocol as this node speaks it to clients, without any command.
//!
//! - `framing`: whole frames from a read buffer; `request`: one of them, checked; `shape`: what
//!   it may carry; `frame_infos`: what its framing extras ask for
//! - `features`: what HELLO negotiated
//! - `replies`: answers that wait for their commits; `late`: those that may come in any order;
//!   `trace`: how long a request took; `error`: why one failed
//! - `target`: the vBucket that a request names

mod error;
mod features;
mod frame_infos;
pub(crate) mod framing;
mod late;
mod replies;
mod request;
mod shape;
mod target;
mod trace;

pub(crate) use error::RequestError;
pub(crate) use features::{Features, MapNews};
pub(crate) use late::Given;
pub(crate) use replies::Replies;
pub use request::KEY_BYTES_MAX;
pub(crate) use request::Request;
pub(crate) use target::{active_vb, any_vb, check_ready, replica_vb};
