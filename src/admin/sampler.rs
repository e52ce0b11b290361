//! Takes the samples of the history, whether or not somebody looks.

use std::time::Duration;

use actix_web::web::Data;
use kvnode::NodeGauges;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::history;
use super::look::{Slow, Watched};
use super::metrics;
use super::state::State;

/// Runs until `end`.
pub(super) async fn run(state: Data<State>, watched: Data<Watched>, end: CancellationToken) {
    let mut ticks = interval(history::INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut newest = state.events.newest();
    loop {
        tokio::select! {
            () = end.cancelled() => return,
            _ = ticks.tick() => {}
            // A reload may have changed the token, and is an event.
            _ = newest.changed() => {
                state.follow_token();
                continue;
            }
        }
        tokio::select! {
            () = end.cancelled() => return,
            () = sample(&state, &watched) => {}
        }
    }
}

async fn sample(state: &State, watched: &Watched) {
    // Without an answer there is no sample, which the history shows as a gap.
    if let Ok(look) = watched.look(state).await {
        let now: Duration = look.at.saturating_duration_since(state.started);
        watched.history().sample(&look.buckets, now, look.time);
    }
    read_slow(state, watched).await;
    state.follow_session();
}

/// Reads what takes a disk, on a thread that may block.
async fn read_slow(state: &State, watched: &Watched) {
    let gauges = state.running().map(|running| running.gauges.clone()).unwrap_or_default();
    let config = state.sources.config();
    let reading = tokio::task::spawn_blocking(move || Slow {
        weighed: gauges.iter().map(NodeGauges::documents_and_disk_bytes).collect(),
        certificates: metrics::certificates(&config.certificates),
    });
    // An error would be a panic of the thread, and a panic ends the process.
    if let Ok(slow) = reading.await {
        *watched.slow() = slow;
    }
}
