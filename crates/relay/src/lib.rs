//! Sockets, handshake and byte pump of one replication link, and a small client. No actors here.
//!
//! - `reload`: values in files that are read again when they change
//! - `endpoint`: the address of a data node and how to log in; `error`: what failed, on which side
//! - `tls`: encryption; `login`: SASL, `mechanism` chooses which, `salted` keeps what takes time
//! - `handshake`: from a TCP connect to an open DCP connection
//! - `pump`: the byte path of one direction; through `judge`, `inject` and `progress` its owner
//!   decides on control frames, adds frames and reads counters; `pair`: both directions of a link,
//!   side by side
//! - `record`: what passes a link, for captures
//! - `client`: requests and responses, for tools and monitors; `dcp_reader`: reads streams
//! - `testing` (feature): fake peers that behave as a test tells them

mod buffer;
mod client;
mod connection;
mod connection_step;
mod dcp_reader;
mod dial;
mod endpoint;
mod error;
mod exchange;
mod handshake;
mod hear_out;
mod inject;
mod judge;
mod limits;
mod login;
mod mechanism;
mod name_check;
mod pair;
mod pipeline;
mod progress;
mod pump;
mod reader_options;
mod record;
mod reload;
mod response;
mod salted;
mod samples;
mod socket;
mod stream_event;
#[cfg(feature = "testing")]
pub mod testing;
pub mod tls;

pub use client::{Client, Login};
pub use connection::{Connection, Sink, Source};
pub use connection_step::ConnectionStep;
pub use dcp_reader::DcpReader;
pub use endpoint::{Endpoint, Peer, Secret};
pub use error::{Fault, LinkError, Reconnect};
pub use handshake::{DcpOpen, LINK_FEATURES, Prepared};
pub use hear_out::HearOut;
pub use inject::{INJECT_FRAMES_MAX, InjectError, Injections, Injector, injections};
pub use judge::{Judge, Verdict};
pub use limits::{Deadlines, PumpLimits};
pub use mcbp::Side;
pub use pair::run_pair;
pub use progress::Progress;
pub use pump::Pump;
pub use reader_options::ReaderOptions;
pub use record::{Budget, Gap, PeerRecorder, QUEUE_BYTES, RING_BYTES, Recorder, Recording, Seen};
pub use reload::Reloading;
pub use response::Response;
pub use samples::VbSample;
pub use scram::Mechanism;
pub use socket::{BoxRead, BoxWrite, limit_unsent, prepare_socket};
pub use stream_event::{StreamEvent, StreamRange};
pub use tls::{Tls, TlsFault, TlsFiles, TlsPart, TlsProblem};
