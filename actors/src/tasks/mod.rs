//! Tasks outside of the links, each on connections of its own: a request on a DCP connection would
//! wait for the data before it. They execute and decide nothing.
//!
//! - `copying`: polls a producer for the changes that a vBucket still lacks
//! - `examine`: asks both nodes for their copies after a failed takeover, and repairs them
//! - `lag`: the polled nodes; `poll`: polls one of them

mod copying;
mod examine;
mod lag;
mod poll;

use actix::Message;
use replica::bucket::BucketEvent;

pub(crate) use copying::estimate;
pub(crate) use examine::examine;
pub(crate) use lag::LagPolls;
pub(crate) use poll::NodePolled;

/// A report of a task to its bucket.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct TaskReport(pub(crate) BucketEvent);
