//! Sockets, handshake and byte pump of one replication link, and a small client. No actors here.
//!
//! - `endpoint`: where a data node is and how to log in; `error`: what went wrong, on which side
//! - `handshake`: from a TCP connect to an open DCP connection
//! - `pump`: the byte path of one direction; `judge`, `inject` and `progress` are how its owner
//!   decides on control frames, adds frames of its own, and watches
//! - `client`: requests and responses, for tools and monitors; `dcp_reader`: reads streams
//! - `testing` (feature): peers that do what a test tells them, good or bad

mod buffer;
mod client;
mod dcp_reader;
mod endpoint;
mod error;
mod exchange;
mod handshake;
mod inject;
mod judge;
mod progress;
mod pump;
mod response;
mod socket;
#[cfg(feature = "testing")]
pub mod testing;

pub use client::{Client, Login};
pub use dcp_reader::{DcpReader, StreamEvent, StreamRange};
pub use endpoint::{Endpoint, Peer, Secret};
pub use error::{Fault, LinkError, Retry, Step};
pub use handshake::{Connection, DcpOpen, Deadlines, Sink, Source, open_dcp};
pub use inject::{INJECT_FRAMES_MAX, InjectError, Injections, Injector, injections};
pub use judge::{Judge, Verdict};
pub use mcbp::Side;
pub use progress::Progress;
pub use pump::{Pump, PumpLimits, run_pair};
pub use response::Response;
pub use socket::{BoxRead, BoxWrite};
