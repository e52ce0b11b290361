//! DCP: a connection from its DCP_OPEN on.
//!
//! The rules are in `vbucket::producer` and `vbucket::consumer`; here are their shells.
//!
//! - `open`: DCP_OPEN, checked; `serve`: from there to the end of the connection
//! - `registry`: the connections of a bucket, one for each name; `claims`: one stream towards each
//!   vBucket
//! - `session`: the task of a connection; `producer`, `consumer`: what differs between the sides;
//!   `wire`: the socket; `inbox`: the memory of a large frame on its way in; `still`: how long
//!   a peer has moved nothing; `ordinary`: requests that are not DCP's
//! - `access`, `wakeups`: vBuckets for the machines; `backfill`: disk reads; `out_of_order`: those
//!   in the order of keys
//! - `stats`: STAT dcp and dcp-vbtakeover

mod access;
mod backfill;
mod claims;
mod consumer;
mod inbox;
mod open;
mod ordinary;
mod out_of_order;
mod producer;
mod registry;
mod serve;
mod session;
mod stats;
mod still;
mod wakeups;
mod wire;

pub(crate) use open::DcpOpen;
pub(crate) use ordinary::{Executed, Requests};
pub(crate) use registry::ServedBucket;
pub(crate) use serve::{Handover, serve};
pub(crate) use stats::{Totals, stats, takeover_stats};
