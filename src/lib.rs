//! The replication sidecar as a library, so that every part can be tested; `main.rs` is thin.
//!
//! - `cli`, `config`: the command line and `proxy.toml`
//! - `logging`, `screen`, `signals`: output and signals; `reload`: what SIGHUP does
//! - `descriptors`: whether there are enough of them
//! - `run`: the main job, step by step; `story`: its output
//! - `admin`: the HTTP API; `client`: the subcommands that use it
//! - `map`: the maps of a cluster in etcd
//! - `embedded`: data nodes inside this process; `sample`, `load`, `trickle`: their documents
//! - `watch`, `catch_up`: the progress of replication, and the wait for its end
//! - `verify`, `compare`: the comparison of two nodes over the wire

pub mod admin;
pub mod catch_up;
pub mod cli;
pub mod client;
pub mod compare;
pub mod config;
pub mod descriptors;
pub mod embedded;
pub mod load;
pub mod logging;
pub mod map;
pub mod reload;
pub mod run;
pub mod sample;
pub mod screen;
pub mod signals;
pub mod story;
pub mod trickle;
pub mod verify;
pub mod watch;
