//! What a node counts, for Prometheus: one page of OpenMetrics text at an address of its own.
//!
//! - `page`: the text, made anew for each request; `http`: who gets it
//!
//! It has no password and changes nothing: whoever can reach the address may read it.

mod http;
mod page;

pub(crate) use http::serve;
