//! The rules of replication, as pure code: no socket, no clock, no random source, no thread.
//!
//! - `link`: the consumer side of one link, events in, effects out
//! - `bucket`: the machine of a bucket: its links, the desired map, moves and retries
//! - `plan`: which vBuckets come from which producer, over which links
//! - `names`: names of DCP connections, byte for byte as Couchbase's cluster manager forms them
//! - `wanted`: the wanted streams of one link, the phase of each, and when each is retried
//! - `estimate`: a producer's takeover estimate, and whether it allows a takeover
//! - `remedy`: how to repair the copies of an interrupted takeover
//! - `branch`: the branch of a copy, which shows a stream that its consumer dropped silently
//! - `backoff`, `breaker`, `loops`: delays between attempts, and detection of retry loops
//! - `lag`, `stall`, `standstill`: the lag of a consumer; detection of stalled links and vBuckets
//! - `liveness`, `outage`: nodes that are unresponsive; since when a wanted stream is not open
//! - `signs`: what the words of the status mean, and what to do about each
//! - `topology`: whether a producer's topologies name our node, which durable writes depend on

pub mod backoff;
pub mod branch;
pub mod breaker;
pub mod bucket;
pub mod estimate;
pub mod lag;
pub mod link;
pub mod liveness;
pub mod loops;

pub mod names;
pub mod outage;
pub mod plan;
pub mod remedy;
pub mod signs;
pub mod stall;
pub mod standstill;
pub mod topology;
pub mod wanted;
