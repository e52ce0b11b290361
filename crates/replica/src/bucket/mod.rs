//! One bucket as a pure state machine: its desired map, the links that carry it, the moves of its
//! vBuckets, and the recovery from failures.
//!
//! [`BucketMachine`] takes one event at a time and returns the effects to carry out. It opens no
//! socket, reads no clock and draws no random number: the same type runs in the actor, in script
//! tables and in the model checker.
//!
//! - `machine`: handles events; the step that reconciles the desired state with the actual one
//! - `queue`, `serve`: the queue of commands, and their answers; `work`, `changes`: changes and
//!   restarts; `producers`: producers that change at run time; `held`: vBuckets that are active
//!   here
//! - `links`, `link`: the table of links, and one of them; `link_state`: the next step of a link
//! - `moves`, `steps`, `step_actions`: vBuckets that move to this node, and the next step of a move
//! - `heal`, `failures`: recovery from failures, stalls and loops; `link_ends`, `fall`, `streak`:
//!   links that end, rivals of their names, delays; `copies`: incomplete and unserved copies
//! - `nodes`: what data nodes report in polls; `silence`: who is heard no more; `branches`,
//!   `dropped`: streams that the consumer dropped silently; `rolled_back`: copies that lost changes
//! - `status`: views for the status; `lines`, `tally`: log lines and counts
//! - `event`, `effect`, `command`, `failure`, `link_down`, `examine`, `settings`: the types of the
//!   interface

mod branches;
mod changes;
mod command;
mod copies;
mod dropped;
mod effect;
mod ending;
mod event;
mod examine;
mod failure;
mod failures;
mod fall;
mod heal;
mod held;
mod lines;
mod link;
mod link_down;
mod link_ends;
mod link_state;
mod links;
mod machine;
mod misfits;
mod moves;
mod nodes;
mod producers;
mod queue;
mod rolled_back;
mod serve;
mod settings;
mod silence;
mod status;
mod step_actions;
mod steps;
mod stop;
mod streak;
mod tally;
mod work;

pub use command::{BucketCommand, Change, CommandError, Done, MoveKind, MoveRequest, Restart};
pub use effect::{BucketEffect, BucketEffects, LogLevel, LogLine};
pub use event::{
    BucketEvent, Finding, LinkId, LinkReport, Moment, PollAnswer, PollError, Polled, TaskId, millis,
};
pub use examine::{CopyReports, Examine, ExamineAction};
pub use failure::{Cause, Examined, VbFailure};
pub use link_down::{LinkDown, Reopen};
pub use link_state::LinkPhase;
pub use machine::BucketMachine;
pub use moves::{MovePhase, MovesDone};
pub use queue::{CHANGES_MAX, MOVES_MAX};
pub use rolled_back::{MANY_ROLLED_BACK, RolledBackView};
pub use settings::Settings;
pub use status::{BrokenLink, BrokenView, LinkView, MoveView, NodeView, StreamPhase, StreamView};
pub use tally::{FailureKind, Tally};
