//! The rules of comparing what two data nodes, A and B, have of a bucket while both go on working.
//! Pure: the shell polls the nodes and reads their streams; differences come out.
//!
//! - `change`: one change, and the fields in which two of them differ
//! - `judge`: whether it is a difference that a node lacks a change or has an older one
//! - `history`: failover logs
//! - `pass`: one pass over two snapshots; `vbucket`: as many passes as a vBucket needs
//! - `queue`: which vBucket is compared next, and how long a node is waited for
//! - `class`, `difference`: what is said of one difference

mod change;
mod class;
mod difference;
mod history;
mod judge;
mod pass;
mod queue;
mod vbucket;

pub use change::{Change, Kind, SYSTEM};
pub use class::Class;
pub use difference::{Difference, Key, Version};
pub use history::{History, compare_logs, log_text};
pub use judge::{Facts, Judgement, Side, Snapshot};
pub use pass::{Advance, Counts};
pub use queue::{Job, Queue, Seqnos};
pub use vbucket::{Failure, Pin, Vbucket, Verdict};
