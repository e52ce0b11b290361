//! What both programs tell the service manager about their life, and what a panic leaves behind.
//!
//! - `machine`: which messages of the `sd_notify` protocol are due, as a pure machine
//! - `notify`: the socket of the service manager, and the thread that writes to it
//! - `arguments`: a command line without its secrets
//! - `panics`: the report of a panic

use std::env;

mod arguments;
mod machine;
pub mod notify;
pub mod panics;

pub use arguments::quoted;

/// Goes to `/` where the working directory is gone: libraries ask for it, and fail. To be called
/// when relative paths of the command line have been used, as they lead nowhere from there.
pub fn leave_lost_folder() {
    if let Err(error) = env::current_dir() {
        let error = logline::value(&error);
        log::info!("the working directory is gone, / takes its place error={error}");
        // Where this fails, the error of the library is as good.
        _ = env::set_current_dir("/");
    }
}
