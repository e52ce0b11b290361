//! The metrics of a node, for Prometheus: one page of OpenMetrics text at an address of its own.
//!
//! - `page`: the text, written for each request; `http`: the server; `moving`: its sockets
//!
//! The page needs no password and changes nothing: everyone who can reach the address may read it.

mod http;
mod moving;
mod page;

pub(crate) use http::serve;
