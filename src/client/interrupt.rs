//! Ctrl-C and SIGTERM in a subcommand: they end the program, never what the sidecar does.

use std::sync::{Mutex, Once, PoisonError};

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// What to call at the first signal.
type Then = Box<dyn FnOnce() + Send>;

static THEN: Mutex<Option<Then>> = Mutex::new(None);
static CATCH: Once = Once::new();

/// Has `then` called, on another thread, at the next SIGINT or SIGTERM, in place of what was given
/// before. Where signals cannot be caught, they end the process as they always do.
pub(super) fn then(then: impl FnOnce() + Send + 'static) {
    *THEN.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(then));
    CATCH.call_once(catch);
}

/// Begins to catch the signals, before it returns.
fn catch() {
    let Ok(runtime) = Builder::new_current_thread().enable_io().build() else { return };
    let caught = runtime.block_on(async {
        Some((signal(SignalKind::interrupt()).ok()?, signal(SignalKind::terminate()).ok()?))
    });
    let Some((mut interrupts, mut terminations)) = caught else { return };
    std::thread::spawn(move || {
        loop {
            runtime.block_on(async {
                tokio::select! {
                    _ = interrupts.recv() => {}
                    _ = terminations.recv() => {}
                }
            });
            let then = THEN.lock().unwrap_or_else(PoisonError::into_inner).take();
            match then {
                Some(then) => then(),
                // The first signal has not ended the process.
                None => std::process::exit(1),
            }
        }
    });
}
