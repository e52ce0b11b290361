//! The replication sidecar as a library, so that every part can be tested; `main.rs` is thin.
//!
//! - `cli`, `config`: what is asked for, on the command line and in `proxy.toml`
//! - `logging`, `screen`, `signals`: what a person sees, and how a person stops it
//! - `run`: the main job, step by step; `story`: what it says
//! - `admin`: the same over HTTP; `client`: the subcommands that ask there
//! - `embedded`: data nodes inside this process; `sample`, `load`, `trickle`: what is written there
//! - `watch`, `catch_up`: how far replication is, and waiting for it
//! - `verify`, `compare`: whether two nodes hold the same, read over the wire

pub mod admin;
pub mod catch_up;
pub mod cli;
pub mod client;
pub mod compare;
pub mod config;
pub mod embedded;
pub mod load;
pub mod logging;
pub mod run;
pub mod sample;
pub mod screen;
pub mod signals;
pub mod story;
pub mod trickle;
pub mod verify;
pub mod watch;
