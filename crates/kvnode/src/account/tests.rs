//! The account under tasks that wait for it.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

const MIB: usize = 1024 * 1024;

fn account(least_mib: u64, unused: &Arc<AtomicU64>) -> (Arc<Account>, CancellationToken) {
    let (unused, shutdown) = (Arc::clone(unused), CancellationToken::new());
    let unused = move || unused.load(Ordering::Relaxed);
    let account = Account::new(least_mib << 20, unused, shutdown.clone());
    (Arc::new(account), shutdown)
}

/// Starts to take bytes, and returns once they are waited for.
async fn waiting(account: &Arc<Account>, bytes: usize) -> tokio::task::JoinHandle<Option<Lease>> {
    let taking = Arc::clone(account);
    let before = lock(&account.share(bytes).state).waiting.len();
    let task = tokio::spawn(async move { taking.take(bytes).await });
    while lock(&account.share(bytes).state).waiting.len() == before {
        tokio::task::yield_now().await;
    }
    task
}

#[tokio::test]
async fn bytes_go_to_those_who_wait_and_all_come_back() {
    let (account, _) = account(32, &Arc::default());
    let first = account.take(20 * MIB).await.unwrap();
    let second = waiting(&account, 20 * MIB).await;
    let third = waiting(&account, 2 * MIB).await;
    assert!(first.is_wanted());
    assert!(account.try_take(2 * MIB).is_none(), "nobody overtakes");
    let medium = account.try_take(MIB).expect("medium ones have a share of their own");
    assert!(!medium.is_wanted());
    drop(first);
    let (second, third) = (second.await.unwrap().unwrap(), third.await.unwrap().unwrap());
    assert_eq!((second.bytes(), account.held_bytes()), (20 * MIB, 23 * MIB));
    drop((second, third, medium));
    assert_eq!(account.held_bytes(), 0);
}

#[tokio::test]
async fn what_the_buckets_do_not_use_is_lent() {
    let unused = Arc::default();
    let (account, _) = account(16, &unused);
    let first = account.take(20 * MIB).await.expect("one is always possible");
    let second = waiting(&account, 20 * MIB).await;
    unused.store(100 << 20, Ordering::Relaxed);
    let second = second.await.unwrap().unwrap();
    assert!(!second.is_wanted());
    unused.store(0, Ordering::Relaxed);
    assert!(first.is_wanted(), "the buckets need it");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_ever_and_nothing_is_lost() {
    let (account, shutdown) = account(16, &Arc::default());
    let held = account.take(20 * MIB).await.unwrap();
    let begun = tokio::time::Instant::now();
    assert!(account.take(2 * MIB).await.is_none());
    assert_eq!(begun.elapsed(), WAIT);
    let cancelled = waiting(&account, 2 * MIB).await;
    cancelled.abort();
    assert!(cancelled.await.is_err());
    let last = waiting(&account, 2 * MIB).await;
    shutdown.cancel();
    assert!(last.await.unwrap().is_none());
    drop(held);
    assert_eq!(account.held_bytes(), 0);
    assert!(lock(&account.large.state).waiting.is_empty());
}

#[test]
fn what_all_connections_have_without_asking_is_bounded() {
    let account = Account::new(16 << 20, || u64::MAX, CancellationToken::new());
    for connections in [0, 1, 64, 128] {
        assert_eq!(account.free_bytes(connections), FREE_BYTES, "{connections}");
    }
    for connections in 129..2048 {
        let bytes = account.free_bytes(connections);
        assert!(bytes < FREE_BYTES && bytes * connections <= 8 << 20, "{connections}: {bytes}");
    }
    assert_eq!(account.free_bytes(4096), FREE_BYTES_MIN);
}
