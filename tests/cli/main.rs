//! The subcommands as processes against a played sidecar, whose answers have the form of
//! `docs/admin-api.md`: every text, every question, every exit code.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod answers;
mod exits;
mod help;
mod questions;
mod run;
mod save;
mod server;
mod session;
mod terminal;
mod texts;
mod transfers;
mod watching;
