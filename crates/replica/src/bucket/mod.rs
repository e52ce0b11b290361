//! One bucket as a pure state machine: what is wanted of it, the links that carry it, the moves of
//! its vBuckets, and what follows from failures.
//!
//! [`BucketMachine`] takes one event at a time and returns the effects to carry out. It opens no
//! socket, reads no clock and draws no random number: the same type runs in the actor, in script
//! tables and in the model checker.
//!
//! - `machine`: takes events in, and the one step that compares what is wanted with what is there
//! - `queue`, `serve`: commands in the order of their turns, and what each comes to
//! - `links`, `link`: the table of links, and one of them
//! - `moves`: vBuckets on their way here
//! - `heal`: failures, stalls and loops; `copies`: copies of the consumer that need care; `nodes`:
//!   what the data nodes say of themselves
//! - `status`: what can be read at any time; `lines`, `tally`: what is logged and counted
//! - `event`, `effect`, `command`, `failure`, `settings`: the words

mod command;
mod copies;
mod effect;
mod event;
mod examine;
mod failure;
mod heal;
mod lines;
mod link;
mod links;
mod machine;
mod moves;
mod nodes;
mod queue;
mod serve;
mod settings;
mod status;
mod tally;

pub use command::{BucketCommand, Change, CommandError, Done, MoveKind, MoveRequest};
pub use effect::{BucketEffect, BucketEffects, LogLevel, LogLine};
pub use event::{BucketEvent, Finding, LinkId, LinkReport, Moment, PollAnswer, Polled, TaskId};
pub use examine::{BothSaid, Examine, Verdict};
pub use failure::{Cause, Examined, LinkDown, Reopen, VbFailure};
pub use machine::BucketMachine;
pub use queue::{CHANGES_MAX, MOVES_MAX};
pub use settings::Settings;
pub use status::{
    BrokenView, LinkPhase, LinkView, MovePhase, MoveView, StreamPhase, StreamView, millis,
};
pub use tally::{FailureKind, Tally};
