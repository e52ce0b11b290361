//! The replication sidecar as a library, so that every part can be tested; `main.rs` is thin.
//!
//! - `cli`, `config`: what is asked for, on the command line and in `proxy.toml`
//! - `logging`, `screen`, `signals`: what a person sees, and how a person stops it
//! - `sample`: the documents that an embedded node starts with

pub mod cli;
pub mod compare;
pub mod config;
pub mod logging;
pub mod sample;
pub mod screen;
pub mod signals;
