//! What strangers may take of a node: connections, descriptors, guesses at passwords.
//!
//! - `network`: where a connection comes from; `seats`: who may be connected; `guesses`: how fast
//!   passwords may be tried. These are pure, with script tables.
//! - `door`: `seats` for the connections of a listener; `logins`: `guesses` for those of a node
//! - `descriptors`: how many connections the process has descriptors for

mod descriptors;
mod door;
mod guesses;
mod logins;
mod network;
mod seats;

pub use descriptors::{TooFewDescriptors, raise_limit};
pub(crate) use descriptors::{check, connections};
pub(crate) use door::{Door, Seat};
pub(crate) use logins::{Logins, Outcome};
pub(crate) use seats::SeatLimits;
