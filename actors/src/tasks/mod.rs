//! Tasks beside the links, each on connections of its own: a request on a DCP connection would wait
//! in line after data. Executors, no rules.
//!
//! - `copying`: asks a producer how much of a vBucket it still has to send
//! - `examine`: asks both nodes what they have of a vBucket whose takeover failed, and repairs it
//! - `lag`: which nodes are polled; `poll`: polls one of them

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

/// A task of a move reports to its bucket.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct TaskReport(pub(crate) BucketEvent);
