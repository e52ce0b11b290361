//! Two things at the same time, one of them on a thread of its own for as long as it takes.

use std::io;
use std::sync::{Mutex, PoisonError};

/// Does `beside` on another thread while `here` is done on this one, where that is `worth_it`: a
/// thread costs some 20 us. Else, and where the system has no thread to give, one after the other.
pub(crate) fn both<A: Send, B>(
    worth_it: bool,
    beside: impl FnOnce() -> io::Result<A> + Send,
    here: impl FnOnce() -> B,
) -> (io::Result<A>, B) {
    if !worth_it {
        return (beside(), here());
    }
    let beside = Mutex::new(Some(beside));
    let run = || match beside.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(beside) => beside(),
        None => Err(io::Error::other("it was done already")),
    };
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().name("store-values".to_owned());
        match builder.spawn_scoped(scope, run) {
            Ok(thread) => {
                let done = here();
                let died = |_| Err(io::Error::other("the thread for it panicked"));
                (thread.join().unwrap_or_else(died), done)
            }
            Err(_) => (run(), here()),
        }
    })
}
