//! The actors of one link: a pair of connections, the pumps between them, and the machine that
//! judges what passes. Executors, no rules.
//!
//! - `replicator`: opens the pair of connections, owns the pumps and the two actors below
//! - `consumer_conn`: the shell around `replica::link::ConsumerMachine`; `producer_conn`: tells it
//!   what the producer says; `deadlines`: its waits as one timer
//! - `pair`: opens both connections, starts both pumps; `down`: why that failed
//! - `frames`: which frames are control frames; `tap`: hands them to the actors
//! - `gauges`, `flow`: what can be read of an open link

mod consumer_conn;
mod deadlines;
mod down;
mod flow;
mod frames;
mod gauges;
mod messages;
mod pair;
mod producer_conn;
mod replicator;
mod tap;

pub(crate) use down::link_down;
pub(crate) use gauges::Gauges;
pub(crate) use messages::{FromLink, GiveUp, LinkOver, ReadLink, Run};
pub(crate) use pair::LinkSpec;
pub(crate) use replicator::Replicator;
