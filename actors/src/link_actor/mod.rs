//! The actors of one link: a pair of connections, the pumps between them, and the shell of the
//! machine that gives the verdicts. They execute and decide nothing.
//!
//! - `replicator`: opens both connections, owns the pumps and the two actors below
//! - `consumer_conn`: the shell around `replica::link::ConsumerMachine`; `producer_conn`: passes it
//!   the control frames of the producer; `deadlines`: its deadlines on one timer
//! - `pair`: opens both connections, starts both pumps; `down`: converts their errors
//! - `frames`: which frames are control frames; `tap`: passes them to the actors
//! - `gauges`, `flow`, `acks`: counters of an open link

mod acks;
mod consumer_conn;
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
pub(crate) use pair::{LinkSpec, NameUse};
pub(crate) use replicator::Replicator;
