//! Who commits: the thread of the committer; or, while that has nothing to do, the worker of a
//! session that waits for a small change. That saves waking two threads, which costs more than the
//! commit, and half as much as a sync of a quick disk.
//!
//! A commit is a task of its own on the worker, so that its session keeps its deadline. A disk that
//! does not answer holds the worker, so at most one commits in the process, and only where it is
//! not the only one. A worker that took the events of the sockets is waited for by all others, and
//! none of them would look there: the committer, which looks after it every millisecond, wakes
//! another. Connections that wait until that very worker is idle are woken before.

use std::cmp::Ordering::{Equal, Greater, Less};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};
use vbucket::store::Durability;

use super::bell::DOZE;
use super::committer::Committer;
use super::queue::Due;
use super::shared::{STUCK, Shared};
use crate::put_off;
use crate::sync::{lock, try_lock};

/// How often another worker is woken then.
const ROUSE: Duration = Duration::from_millis(20);

/// The committer sleeps once no batch has begun for so many looks.
const QUIET_LOOKS: u32 = 2;

/// The bucket for which a worker of this process commits, by the address of what it shares; 0 if
/// none does.
static BY_WORKER: AtomicUsize = AtomicUsize::new(0);

/// The committer's thread: runs until the queue is closed and empty.
pub(super) fn run(shared: &Shared) {
    let bell = &shared.queue.bell;
    bell.listen();
    let (mut begun_before, mut quiet) = (0, 0);
    loop {
        match shared.queue.due() {
            Due::Ended => break,
            Due::Now => match try_lock(&shared.logged) {
                Some(logged) => {
                    if let Some(batch) = shared.queue.take() {
                        Committer { shared, logged }.commit(batch);
                    }
                }
                None => watch_worker(shared),
            },
            Due::In(left) => bell.doze(left),
            Due::Nothing(_) if OnlyOne::is_of(shared) => {
                quiet = 0;
                watch_worker(shared);
            }
            Due::Nothing(begun) => {
                quiet = if begun == begun_before { quiet + 1 } else { 0 };
                begun_before = begun;
                match quiet.cmp(&QUIET_LOOKS) {
                    Less => bell.doze(DOZE),
                    Equal => bell.wake_for_all(),
                    Greater => bell.sleep(),
                }
            }
        }
    }
    // A worker may have taken the last batch.
    drop(lock(&shared.logged));
}

/// Waits a moment for the worker that commits.
fn watch_worker(shared: &Shared) {
    let is_stuck = lock(&shared.committing).is_some_and(|began| began.elapsed() > STUCK);
    if let Some(runtime) = shared.runtime.get().filter(|_| is_stuck) {
        rouse(runtime);
    }
    shared.queue.bell.doze(if is_stuck { ROUSE } else { DOZE });
}

/// Wakes a worker that has nothing to do: it takes over the sockets once it has run anything. A
/// worker keeps the newest task for itself, so where one calls this, others get those before.
fn rouse(runtime: &Handle) {
    runtime.spawn(std::future::ready(()));
}

/// See [`super::Bucket::offer_worker`].
pub(super) fn offer_worker(shared: &Arc<Shared>) {
    let is_slow = || shared.is_slow.load(Ordering::Relaxed);
    if OnlyOne::is_taken() || is_slow() || lock(&shared.committing).is_some() {
        return;
    }
    let runtime = shared.runtime.get_or_init(Handle::current);
    if !can_spare_one(runtime, shared.options.durability) || !shared.queue.want_light() {
        return;
    }
    if shared.options.durability == Durability::Synced {
        // For the time that this one waits for the disk.
        rouse(runtime);
    }
    let shared = Arc::clone(shared);
    // The next task of this worker, usually.
    runtime.spawn(async move { commit_here(&shared) });
}

/// Whether a worker may wait for the disk: the only one may not, and where each commit is a sync,
/// none may while another is awake, too.
fn can_spare_one(runtime: &Handle, durability: Durability) -> bool {
    let metrics = runtime.metrics();
    // The count is even while a worker runs.
    let is_awake = |&worker: &usize| metrics.worker_park_unpark_count(worker).is_multiple_of(2);
    runtime.runtime_flavor() == RuntimeFlavor::MultiThread
        && metrics.num_workers() > 1
        && (durability != Durability::Synced
            || (0..metrics.num_workers()).filter(is_awake).count() <= 1)
}

/// Commits the first batch on this worker. Where somebody else has the turn, that one looks at the
/// queue afterwards.
fn commit_here(shared: &Shared) {
    let Some(_only) = OnlyOne::take(shared) else { return shared.queue.bell.ring() };
    let Some(logged) = try_lock(&shared.logged) else { return };
    match shared.queue.take_light() {
        Some(batch) => {
            if put_off::wake() {
                rouse(&Handle::current());
            }
            Committer { shared, logged }.commit(batch);
        }
        None => drop(logged),
    }
    if shared.queue.due() == Due::Now {
        shared.queue.bell.ring();
    }
}

/// That no other worker commits.
struct OnlyOne;

impl OnlyOne {
    fn take(shared: &Shared) -> Option<Self> {
        let (free, us) = (0, address(shared));
        let taken = BY_WORKER.compare_exchange(free, us, Ordering::SeqCst, Ordering::SeqCst);
        taken.is_ok().then_some(Self)
    }

    fn is_taken() -> bool {
        BY_WORKER.load(Ordering::SeqCst) != 0
    }

    /// Whether a worker commits for this bucket.
    fn is_of(shared: &Shared) -> bool {
        BY_WORKER.load(Ordering::SeqCst) == address(shared)
    }
}

impl Drop for OnlyOne {
    fn drop(&mut self) {
        BY_WORKER.store(0, Ordering::SeqCst);
    }
}

fn address(shared: &Shared) -> usize {
    std::ptr::from_ref(shared).addr()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Instant;

    use tokio::runtime::{Builder, Runtime};

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(30);

    fn of_workers(number: usize) -> Runtime {
        Builder::new_multi_thread().worker_threads(number).build().unwrap()
    }

    /// What a task of the runtime finds.
    fn finds(runtime: &Runtime, durability: Durability) -> bool {
        let task = async move { can_spare_one(&Handle::current(), durability) };
        runtime.block_on(runtime.spawn(task)).unwrap()
    }

    #[test]
    fn no_worker_waits_for_a_sync_while_another_is_awake() {
        let runtime = of_workers(2);
        let (go, gone) = mpsc::channel::<()>();
        let (begin, begun) = mpsc::channel();
        let busy = runtime.spawn(async move {
            begin.send(()).unwrap();
            gone.recv().unwrap_err();
        });
        begun.recv_timeout(DEADLINE).unwrap();
        assert!(finds(&runtime, Durability::Buffered));
        assert!(!finds(&runtime, Durability::Synced));
        drop(go);
        runtime.block_on(busy).unwrap();
        let began = Instant::now();
        while !finds(&runtime, Durability::Synced) {
            assert!(began.elapsed() < DEADLINE, "the other worker is never idle");
        }
    }

    #[test]
    fn the_only_worker_does_not_wait_for_the_disk() {
        for durability in [Durability::Buffered, Durability::Synced] {
            assert!(!finds(&of_workers(1), durability));
        }
    }
}
