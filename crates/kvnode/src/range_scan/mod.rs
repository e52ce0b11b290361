//! Range scans: the documents of a vBucket by a range of keys, or some by chance, at one moment.
//!
//! - `wanted`: what a scan is to return (pure); `open`: one that has begun
//! - `registry`: those of a bucket
//!
//! A scan reads a snapshot of the vBucket in the order of seqnos, as a backfill does, and passes
//! what is not wanted over: clients of Couchbase merge the vBuckets and rely on no order.

mod open;
mod registry;
mod wanted;

pub(crate) use open::{Budget, OpenScan, Stop};
pub(crate) use registry::{NotThere, RangeScans, ScanId};
pub(crate) use wanted::{Requirement, Selection, Wanted};
