//! Ctrl-C and SIGTERM: the first requests a clean stop, the second terminates the process. SIGHUP
//! requests that the configuration is read again.

use std::io;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit code after a second signal.
const AT_ONCE: i32 = 1;
/// One request often arrives as two signals, one to the process and one to its group. A signal
/// that follows the first within this time belongs to the same request.
const SAME_REQUEST: Duration = Duration::from_millis(500);

/// Returns a token that the first signal cancels. Needs a tokio runtime.
///
/// # Errors
/// The OS error where no signal handler can be installed.
pub fn stop_token() -> io::Result<CancellationToken> {
    stop_token_with(|| {})
}

/// As [`stop_token`]; calls `last` before a second signal terminates the process.
///
/// # Errors
/// The OS error where no signal handler can be installed.
pub fn stop_token_with(last: impl Fn() + Send + 'static) -> io::Result<CancellationToken> {
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
                    log::info!("stopping; a second signal terminates immediately signal={name}");
                    first = Some(Instant::now());
                    token.cancel();
                }
                Some(first) if Instant::now().duration_since(first) < SAME_REQUEST => {}
                Some(_) => {
                    log::warn!("terminating immediately, no clean shutdown signal={name}");
                    last();
                    logger::finish();
                    std::process::exit(AT_ONCE);
                }
            }
        }
    });
    Ok(stop)
}

/// SIGHUPs, from the moment they do not end the process any more.
#[derive(Debug)]
pub struct HangUps(Signal);

impl HangUps {
    /// Catches them. Needs a tokio runtime. To be called before [`stop_token`], so that a process
    /// that can be stopped can be asked for a reload as well.
    ///
    /// # Errors
    /// The OS error where no signal handler can be installed.
    pub fn catch() -> io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }

    /// Calls `reload` at each one, one call at a time; also for what arrived before. Needs a tokio
    /// runtime.
    pub fn each<F>(mut self, reload: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send,
    {
        tokio::spawn(async move {
            while self.0.recv().await.is_some() {
                reload().await;
            }
        });
    }
}
