//! Runs two tasks at the same time, one of them on a thread of its own.

use std::io;
use std::sync::{Mutex, PoisonError};

/// Runs `other` on a new thread, which costs some 20 us, and `here` on this one. Where the system
/// has no thread to give, runs one after the other.
pub(crate) fn join<A: Send, B>(
    other: impl FnOnce() -> io::Result<A> + Send,
    here: impl FnOnce() -> B,
) -> (io::Result<A>, B) {
    let other = Mutex::new(Some(other));
    let run = || match other.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(other) => other(),
        None => Err(io::Error::other("the task ran before")),
    };
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().name("store-values".to_owned());
        match builder.spawn_scoped(scope, run) {
            Ok(thread) => {
                let done = here();
                let panicked = |_| Err(io::Error::other("the thread panicked"));
                (thread.join().unwrap_or_else(panicked), done)
            }
            Err(_) => (run(), here()),
        }
    })
}
