//! Compares the vBuckets of two nodes over the wire, while both go on working.
//!
//! The rules are in `crates/comparison`. Here are the connections: `lane`, a pair of them;
//! `reader`, one side of a lane; `poll`, the seqnos of both nodes; `limiter`, the rate of all.

mod lane;
mod limiter;
mod poll;
mod reader;
mod types;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use comparison::{Queue, Side};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::lane::{Lane, Message, Shared};
use self::limiter::Limiter;
use self::poll::Poll;
use self::reader::{Access, NodeReader};

pub use self::types::{
    Done, Event, PATIENCE, Progress, RATE_MIN, VbVerified, Verified, Verify, VerifyError,
};
pub use comparison::{Class, Difference, Key, Version};

/// Pairs of connections that read side by side: while one of them opens streams, the others read.
const LANES: usize = 4;
/// How many messages of the lanes wait for the caller.
const MESSAGES_MAX: usize = 256;
/// How often the nodes are asked for their seqnos at most, and at least while something waits.
const POLL_MIN: Duration = Duration::from_millis(10);
const POLL_MAX: Duration = Duration::from_millis(320);

/// Compares both nodes: failover logs, and every key. Each difference is passed to `each` as it is
/// found. Stops early and returns what was compared so far when `stop` is cancelled.
///
/// # Errors
/// A [`VerifyError`] where a node cannot be reached. A vBucket that one of them refuses is a
/// difference.
pub async fn verify(
    what: &Verify,
    progress: &Progress,
    each: &mut (dyn FnMut(Difference) + Send),
    stop: &CancellationToken,
) -> Result<Verified, VerifyError> {
    let mut on_event = |event| {
        if let Event::Found(difference) = event {
            each(difference);
        }
    };
    verify_each(what, progress, &mut on_event, stop).await
}

/// As [`verify`], and tells when the comparison of a vBucket is over, after its differences.
///
/// # Errors
/// As [`verify`].
pub async fn verify_each(
    what: &Verify,
    progress: &Progress,
    each: &mut (dyn FnMut(Event) + Send),
    stop: &CancellationToken,
) -> Result<Verified, VerifyError> {
    progress.begin(what.vbs.len());
    let mut verified = Verified { wanted: what.vbs.len(), ..Verified::default() };
    let mut run = async || {
        let mut poll = Poll::new(what);
        let shared = Arc::new(Shared::new(Queue::new(what.vbs.iter().copied(), what.patience)));
        poll.ask(&shared).await?;
        let (mut lanes, mut messages) = start(what, progress, &shared);
        let (mut pause, mut by_vb) = (POLL_MIN, BTreeMap::new());
        loop {
            tokio::select! {
                message = messages.recv() => match message {
                    Some(message) => take(message, &mut verified, &mut by_vb, each),
                    None => break,
                },
                () = tokio::time::sleep(pause) => {
                    if shared.with_queue(|queue, _| queue.wants_seqnos()) {
                        let got_on = poll.ask(&shared).await?;
                        pause = if got_on { POLL_MIN } else { (pause * 2).min(POLL_MAX) };
                    }
                }
            }
        }
        while let Some(ended) = lanes.join_next().await {
            ended??;
        }
        Ok(())
    };
    if let Some(Err(error)) = stop.run_until_cancelled(run()).await {
        return Err(error);
    }
    Ok(verified)
}

type Lanes = JoinSet<Result<(), VerifyError>>;

fn start(
    what: &Verify,
    progress: &Progress,
    shared: &Arc<Shared>,
) -> (Lanes, mpsc::Receiver<Message>) {
    let (messages, receiver) = mpsc::channel(MESSAGES_MAX);
    let limiter = Arc::new(Limiter::new(what.rate));
    let mut lanes = JoinSet::new();
    // One is fast enough for any limit, and disturbs the nodes least.
    let count = if limiter.is_limited() { 1 } else { LANES.min(what.vbs.len()) };
    for number in 0..count {
        let reader = |side, endpoint: &relay::Endpoint| {
            NodeReader::new(Access {
                side,
                endpoint: endpoint.clone(),
                bucket: what.bucket.clone(),
                // Both names may stand for one node, which closes the older connection of a name.
                name: format!(
                    "dcp-proxy-verify:{}:{}:{number}{}",
                    what.bucket,
                    what.name,
                    if side == Side::A { "a" } else { "b" }
                ),
                limiter: Arc::clone(&limiter),
                progress: progress.clone(),
            })
        };
        let lane = Lane {
            shared: Arc::clone(shared),
            a: reader(Side::A, &what.producer),
            b: reader(Side::B, &what.consumer),
            names: [what.producer.name.clone(), what.consumer.name.clone()],
            progress: progress.clone(),
            messages: messages.clone(),
        };
        lanes.spawn(lane.run());
    }
    (lanes, receiver)
}

fn take(
    message: Message,
    verified: &mut Verified,
    by_vb: &mut BTreeMap<mcbp::VbId, BTreeMap<Class, u64>>,
    each: &mut (dyn FnMut(Event) + Send),
) {
    match message {
        Message::Found(difference) => {
            verified.note(&difference);
            *by_vb.entry(difference.vb).or_default().entry(difference.class).or_default() += 1;
            each(Event::Found(difference));
        }
        Message::Done(vb, counts) => {
            verified.vbuckets += 1;
            verified.rows += counts.rows;
            verified.deletions += counts.deletions;
            let by_class = by_vb.remove(&vb).unwrap_or_default();
            let (rows, deletions) = (counts.rows, counts.deletions);
            each(Event::Done(VbVerified { vb, rows, deletions, by_class }));
        }
    }
}
