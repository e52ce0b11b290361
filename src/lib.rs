//! The replication sidecar as a library, so that every part can be tested; `main.rs` is thin.
//!
//! - `cli`, `config`: the command line and `proxy.toml`
//! - `logging`, `screen`, `signals`: output and signals
//! - `clock`: times as text; `random`: passwords and tokens
//! - `completions`, `man`: what shells and `man` know of the command line
//! - `descriptors`: whether there are enough of them; `holder`: who listens on a port
//! - `doctor`: checks of nodes and machine; `explain`: the story of one vBucket
//! - `run`: the main job, step by step; `story`: its output; `invocation`: commands in it
//! - `sources`: what is wanted: file, etcd, and what was changed at run time; reload
//! - `admin`: the HTTP API; `client`: the subcommands that use it; `session`: the file that leads
//!   them to it; `vb_state`: the states of a vBucket as both show them
//! - `map`: the maps of a cluster in etcd
//! - `embedded`: data nodes inside this process; `sample`, `load`, `trickle`: their documents
//! - `watch`, `catch_up`: the progress of replication, and the wait for its end
//! - `kvnode_client`: the program `kvnode`, with its commands for a running node
//! - `replay`: recorded conversations, played again
//! - `tail`: the changes of a node as JSON lines
//! - `verify`, `verify_command`: the comparison of two nodes over the wire; `verification`: its
//!   schedule in the sidecar

pub mod admin;
pub mod catch_up;
pub mod cli;
pub mod client;
pub mod clock;
pub mod completions;
pub mod config;
pub mod descriptors;
pub mod doctor;
pub mod embedded;
pub mod explain;
pub mod holder;
pub mod invocation;
pub mod kvnode_client;
pub mod load;
pub mod logging;
pub mod man;
pub mod map;
pub mod nodes;
pub mod random;
pub mod replay;
pub mod run;
pub mod sample;
pub mod screen;
pub mod session;
pub mod signals;
pub mod sources;
pub mod story;
pub mod tail;
pub mod trickle;
pub mod vb_state;
pub mod verification;
pub mod verify;
pub mod verify_command;
pub mod watch;
