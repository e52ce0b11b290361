//! `dcp-proxy tail` as a process, against real data nodes and scripted ones.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod campaign;
#[path = "../common/mod.rs"]
mod common;
mod exec;
mod history;
mod nodes;
mod pipes;
mod recorded;
mod runs;
