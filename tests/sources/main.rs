//! What was changed at run time outlives restarts, and the configuration is reloaded without harm
//! to what did not change. With real processes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod api;
mod bad_input;
#[path = "../common/mod.rs"]
mod common;
mod kept;
mod kills;
mod reload;
