//! One bucket as a pure state machine: what is wanted of it, the links that carry it, the moves of
//! its vBuckets, and what follows from failures.
//!
//! [`BucketMachine`] takes one event at a time and returns the effects to carry out. It opens no
//! socket, reads no clock and draws no random number: the same type runs in the actor, in script
//! tables and in the model checker.
//!
//! - `machine`: takes events in, and the one step that compares what is wanted with what is there
//! - `queue`, `serve`: commands in the order of their turns, and what each comes to
//! - `links`, `link`: the table of links, and one of them; `link_state`: what one does next
//! - `moves`, `steps`: vBuckets on their way here, and how each goes on
//! - `heal`, `failures`: what follows from failures, stalls and loops; `copies`: copies of the
//!   consumer that need care; `nodes`:
//!   what the data nodes say of themselves
//! - `status`: what can be read at any time; `lines`, `tally`: what is logged and counted
//! - `event`, `effect`, `command`, `failure`, `link_down`, `examine`, `settings`: the vocabulary

mod command;
mod copies;
mod effect;
mod event;
mod examine;
mod failure;
mod failures;
mod heal;
mod lines;
mod link;
mod link_down;
mod link_state;
mod links;
mod machine;
mod moves;
mod nodes;
mod queue;
mod serve;
mod settings;
mod status;
mod steps;
mod tally;

pub use command::{BucketCommand, Change, CommandError, Done, MoveKind, MoveRequest};
pub use effect::{BucketEffect, BucketEffects, LogLevel, LogLine};
pub use event::{
    BucketEvent, Finding, LinkId, LinkReport, Moment, PollAnswer, Polled, TaskId, millis,
};
pub use examine::{CopyReports, Examine, ExamineAction};
pub use failure::{Cause, Examined, VbFailure};
pub use link_down::{LinkDown, Reopen};
pub use link_state::LinkPhase;
pub use machine::BucketMachine;
pub use moves::MovePhase;
pub use queue::{CHANGES_MAX, MOVES_MAX};
pub use settings::Settings;
pub use status::{BrokenView, LinkView, MoveView, StreamPhase, StreamView};
pub use tally::{FailureKind, Tally};
