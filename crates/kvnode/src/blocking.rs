//! Calls that block on the disk, from tasks. They need the multi-threaded runtime that every node
//! starts.

use std::pin::pin;

/// Runs a task that blocks on the disk now and then. Everything between two waits counts as one
/// blocking call, because leaving a worker and coming back costs as much as a read from the cache.
pub(crate) async fn on_disk<T>(task: impl Future<Output = T>) -> T {
    let mut task = pin!(task);
    std::future::poll_fn(|context| disk(|| task.as_mut().poll(context))).await
}

/// Runs a blocking call without holding up the tasks that wait for this worker.
pub(crate) fn disk<T>(call: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(call)
}
