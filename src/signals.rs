//! Ctrl-C and SIGTERM: the first asks for a clean stop, the second ends the process at once.

use std::io;
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit code after a second signal.
const AT_ONCE: i32 = 1;
/// One request often comes as two signals, to the process and to its group: what follows the first
/// one so soon is the same request.
const SAME_REQUEST: Duration = Duration::from_millis(500);

/// A token that is cancelled by the first signal. Needs a tokio runtime.
///
/// # Errors
/// The system's word, where no signal can be listened for.
pub fn stop_token() -> io::Result<CancellationToken> {
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut terminations = signal(SignalKind::terminate())?;
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        let mut first = None;
        loop {
            let name = tokio::select! {
                _ = interrupts.recv() => "SIGINT",
                _ = terminations.recv() => "SIGTERM",
            };
            match first {
                None => {
                    log::info!("stopping, a second signal ends it at once signal={name}");
                    first = Some(Instant::now());
                    token.cancel();
                }
                Some(first) if Instant::now().duration_since(first) < SAME_REQUEST => {}
                Some(_) => {
                    log::warn!("ends at once, nothing is put in order signal={name}");
                    std::process::exit(AT_ONCE);
                }
            }
        }
    });
    Ok(stop)
}
