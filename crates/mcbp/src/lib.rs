//! The memcached binary protocol and DCP: bytes to frames and back.
//!
//! Pure: no socket, no clock, no allocation of a size that a peer claims. The map:
//!
//! - `header`, `frame`, `builder`: one frame, borrowed or being built; `sizes`: its bounds
//! - `scan`: finds runs of whole frames in a buffer, for pumps and sessions
//! - `codes` and its users `opcode`, `status`, `feature`, `stream_end`: numbers with names
//! - `ids`: newtypes, so that numbers of different kinds are not confused
//! - `framing`, `key`: frame information, and the collection prefix of keys
//! - `dcp`: the bodies of DCP frames; `kv`: the bodies of key-value frames; `subdoc`: those of
//!   sub-document operations; `flow`: the charge of a frame in flow control
//! - `xattr`: extended attributes within a value
//! - `check`: properties that fuzz targets and tests share
//!
//! Source: the public `BinaryProtocol.md` and `dcp/documentation` of couchbase/kv_engine.

#[macro_use]
mod codes;
mod builder;
#[doc(hidden)]
pub mod check;
pub mod dcp;
mod error;
mod feature;
pub mod flow;
mod frame;
pub mod framing;
mod header;
mod ids;
pub mod key;
pub mod kv;
mod map_revision;
mod opcode;
pub mod scan;
mod sizes;
mod status;
mod stream_end;
pub mod subdoc;
pub mod xattr;

pub use builder::FrameBuilder;
pub use error::FrameError;
pub use feature::Feature;
pub use frame::Frame;
pub use header::{Header, Magic};
pub use ids::{Datatype, Opaque, Seqno, Side, VbId, VbState, VbUuid};
pub use map_revision::MapRevision;
pub use opcode::Opcode;
pub use sizes::{HEADER_BYTES, MAX_BODY_BYTES};
pub use status::Status;
pub use stream_end::StreamEndStatus;
