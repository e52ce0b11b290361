//! Calls that block on the disk, from tasks. They need the multi-threaded runtime that every node
//! starts.
//!
//! A thread that may block gives its place as a worker to another thread, which is woken for it:
//! that costs more than a command does that finds its document in memory. So a task stays on its
//! worker until it needs the disk. From then on everything up to its next wait is one blocking
//! call, because leaving a worker and coming back costs as much as a read from the cache.

use std::cell::Cell;
use std::pin::pin;
use std::task::Poll;

/// Where the task is that a thread runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// On a worker, which other tasks wait for.
    Worker,
    /// There again, after a blocking call.
    WorkerAgain,
    /// About to leave it.
    Leaving,
    /// On a thread that may block.
    Disk,
}

thread_local! {
    static PLACE: Cell<Place> = const { Cell::new(Place::Worker) };
}

/// Runs a task that blocks on the disk now and then, where it calls [`disk`] or [`leave_worker`].
pub(crate) async fn on_disk<T>(task: impl Future<Output = T>) -> T {
    let mut task = pin!(task);
    std::future::poll_fn(|context| {
        let (polled, left) = at(Place::Worker, || task.as_mut().poll(context));
        if polled.is_pending() && left == Place::Leaving {
            let (polled, _) =
                tokio::task::block_in_place(|| at(Place::Disk, || task.as_mut().poll(context)));
            return polled;
        }
        polled
    })
    .await
}

/// Calls `poll` at `place`; returns where it ended, too.
fn at<T>(place: Place, poll: impl FnOnce() -> T) -> (T, Place) {
    let before = PLACE.replace(place);
    let polled = poll();
    (polled, PLACE.replace(before))
}

/// The rest, up to the next wait, may block. With `only_again` this is so only if the task has been
/// to the disk since its last wait. For tasks of [`on_disk`].
pub(crate) async fn leave_worker(only_again: bool) {
    std::future::poll_fn(|_| match PLACE.get() {
        Place::Worker if only_again => Poll::Ready(()),
        Place::Worker | Place::WorkerAgain => {
            // Nobody needs to be woken: `on_disk` goes on with the task at once.
            PLACE.set(Place::Leaving);
            Poll::Pending
        }
        Place::Leaving | Place::Disk => Poll::Ready(()),
    })
    .await;
}

/// Runs a blocking call without holding up the tasks that wait for this worker.
pub(crate) fn disk<T>(call: impl FnOnce() -> T) -> T {
    if PLACE.get() == Place::Disk {
        return call();
    }
    let (result, _) = at(Place::Disk, || tokio::task::block_in_place(call));
    PLACE.set(Place::WorkerAgain);
    result
}
