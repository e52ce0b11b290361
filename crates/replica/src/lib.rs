//! The rules of replication, as pure code: no socket, no clock, no random source, no thread.
//!
//! - `link`: the consumer side of one link, events in, effects out
//! - `bucket`: all links of a bucket, what is wanted of them, moves and healing, as a machine too
//! - `plan`: which vBuckets come from which producer, over which links
//! - `names`: what connections call themselves, byte for byte as Couchbase does
//! - `wanted`: the streams one link should have, and how far each is
//! - `estimate`: what a producer says before a takeover, and what follows
//! - `remedy`: what to do about a takeover that was cut off
//! - `backoff`, `breaker`, `loops`: when to try again, and when to stop trying so fast
//! - `bursts`: what to log of a thousand vBuckets at once
//! - `lag`, `stall`, `standstill`: how far a consumer is behind, and when a link or one vBucket of
//!   it is stuck
//! - `topology`: whether a producer counts our node for durable writes

pub mod backoff;
pub mod breaker;
pub mod bucket;
pub mod estimate;
pub mod lag;
pub mod link;
pub mod log_limiter;
pub mod loops;

pub mod names;
pub mod plan;
pub mod remedy;
pub mod stall;
pub mod standstill;
pub mod topology;
pub mod wanted;
