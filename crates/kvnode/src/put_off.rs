//! Connections that the runtime has put off until their worker is idle: those that have used up
//! their turn, and those that yield. No other worker takes them. A worker that is about to block
//! wakes them first, so that another one can: `block_in_place` does so by itself.

use std::cell::Cell;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use tokio::task::coop::has_budget_remaining;

use crate::sync::lock;

type Wakers = Arc<Mutex<Vec<Waker>>>;

thread_local! {
    /// Those that this thread has put off.
    static HERE: Wakers = Wakers::default();
    /// Whether the task that runs yields.
    static YIELDS: Cell<bool> = const { Cell::new(false) };
}

/// A task that is put off, until this is dropped.
struct PutOff {
    waker: Waker,
    there: Wakers,
}

impl PutOff {
    fn here(context: &Context<'_>) -> Self {
        let (waker, there) = (context.waker().clone(), HERE.with(Arc::clone));
        lock(&there).push(waker.clone());
        Self { waker, there }
    }
}

impl Drop for PutOff {
    fn drop(&mut self) {
        lock(&self.there).retain(|waker| !waker.will_wake(&self.waker));
    }
}

/// Runs a task of a connection.
pub(crate) async fn noted<T>(task: impl Future<Output = T>) -> T {
    let mut task = pin!(task);
    let mut put_off = None;
    std::future::poll_fn(|context| {
        drop(put_off.take());
        YIELDS.set(false);
        let polled = task.as_mut().poll(context);
        if polled.is_pending() && (YIELDS.get() || !has_budget_remaining()) {
            put_off = Some(PutOff::here(context));
        }
        polled
    })
    .await
}

/// Lets all other tasks of the worker run, and looks at the sockets.
pub(crate) async fn yield_now() {
    YIELDS.set(true);
    tokio::task::yield_now().await;
}

/// Wakes those that this thread has put off. Returns whether there are any.
pub(crate) fn wake() -> bool {
    let woken = HERE.with(|here| std::mem::take(&mut *lock(here)));
    woken.iter().for_each(Waker::wake_by_ref);
    !woken.is_empty()
}
