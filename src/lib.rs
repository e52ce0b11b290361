//! The replication sidecar as a library, so that every part can be tested; `main.rs` is thin.
//!
//! - `cli`, `config`: the command line and `proxy.toml`
//! - `logging`, `screen`, `signals`: output and signals
//! - `clock`: times as text
//! - `completions`, `man`: what shells and `man` know of the command line
//! - `descriptors`: whether there are enough of them; `doctor`: checks of nodes and machine
//! - `run`: the main job, step by step; `story`: its output
//! - `sources`: what is wanted: file, etcd, and what was changed at run time; reload
//! - `admin`: the HTTP API; `client`: the subcommands that use it
//! - `map`: the maps of a cluster in etcd
//! - `embedded`: data nodes inside this process; `sample`, `load`, `trickle`: their documents
//! - `watch`, `catch_up`: the progress of replication, and the wait for its end
//! - `kvnode_client`: the program `kvnode`, with its commands for a running node
//! - `verify`, `compare`: the comparison of two nodes over the wire

pub mod admin;
pub mod catch_up;
pub mod cli;
pub mod client;
pub mod clock;
pub mod compare;
pub mod completions;
pub mod config;
pub mod descriptors;
pub mod doctor;
pub mod embedded;
pub mod kvnode_client;
pub mod load;
pub mod logging;
pub mod man;
pub mod map;
pub mod run;
pub mod sample;
pub mod screen;
pub mod signals;
pub mod sources;
pub mod story;
pub mod trickle;
pub mod verify;
pub mod watch;
